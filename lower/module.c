/* module.c: a module of the tile IR to a module of LLVM IR: the emitter's life, and operations one after another
 * through the table of emit_ functions. */
#include "lower/amx.h"

#include <string.h>

static EmitFunction *const functions[OP_COUNT] = {
#define TILE_ROW(name, syntax, spelling, operands, result, effect, meaning) [OP_##name] = emit_##name,
#include "ir/tile/ops_rows.h"
#undef TILE_ROW
};

static const char *const intrinsic_names[INTRINSIC_COUNT] = {
#define INTRINSIC(enumerator, name) name,
#include "lower/intrinsics.def"
#undef INTRINSIC
};

void lower_operation(Emitter *e, const Op *op) {
  LLVMMetadataRef around = lower_line(e, op->pos);
  if (e->amx && e->amx->first == op) lower_amx_begin(e);
  functions[op->code](e, op);
  lower_line_again(e, around);
  for (int i = 0; e->has_names && i < op->result_count; ++i)
    lower_name(e, &op->results[i], lower_get(e, &op->results[i]));
}

void lower_block(Emitter *e, const Block *block) {
  for (const Op *op = block->first; op != NULL && e->status == KILN_OK; op = op->next)
    if (op->code != OP_yield) lower_operation(e, op);
}

const Op *lower_yield(const Block *block) { return block->last; }

/* ---- the emitter ------------------------------------------------------------------------------------------------- */

static void set_target(Emitter *e, const Target *target) {
  bool is_x86 = target->family == FAMILY_X86_64, is_arm = target->family == FAMILY_AARCH64;
  e->target = target;
  e->lanes = target_lanes(target);
  e->fuses = !is_x86 || target_has(target, FEATURE_FMA);
  e->rounds = is_arm || target_has(target, FEATURE_SSE4_2); /* roundps is SSE4.1; RISC-V has none before Zfa */
  e->has_half = is_arm || target_has(target, FEATURE_F16C);
}

static void set_types(Emitter *e, LLVMContextRef context) {
  e->context = context;
  e->i1 = LLVMInt1TypeInContext(context);
  e->i8 = LLVMInt8TypeInContext(context);
  e->i16 = LLVMInt16TypeInContext(context);
  e->i32 = LLVMInt32TypeInContext(context);
  e->i64 = LLVMInt64TypeInContext(context);
  e->f32 = LLVMFloatTypeInContext(context);
  e->f64 = LLVMDoubleTypeInContext(context);
  e->half = LLVMHalfTypeInContext(context);
  e->pointer = LLVMPointerTypeInContext(context, 0);
  e->align_kind = LLVMGetEnumAttributeKindForName("align", strlen("align"));
  e->has_names = !LLVMContextShouldDiscardValueNames(context);
  for (int i = 0; i < INTRINSIC_COUNT; ++i)
    e->intrinsics[i] = LLVMLookupIntrinsicID(intrinsic_names[i], strlen(intrinsic_names[i]));
}

kiln_status lower_module(const Module *module, const Target *target, LLVMContextRef context, const char *symbol_prefix,
                         const char *source, LLVMModuleRef *out, Diagnostics *faults) {
  Arena arena;
  arena_init(&arena, &module->arena.allocator);
  Emitter e = {.arena = &arena, .faults = faults};
  set_target(&e, target);
  set_types(&e, context);
  e.module = LLVMModuleCreateWithNameInContext("kiln", context);
  e.builder = LLVMCreateBuilderInContext(context);
  LLVMSetTarget(e.module, family_triple(target->family));
  lower_lines_begin(&e, source);
  for (size_t i = 0; i < module->kernels.count && e.status == KILN_OK; ++i)
    lower_kernel(&e, module->kernels.items[i], symbol_prefix);
  lower_lines_end(&e);
  LLVMDisposeBuilder(e.builder);
  if (arena_has_failed(&arena)) e.status = KILN_OUT_OF_MEMORY;
  arena_release(&arena);
  *out = e.status == KILN_OK ? e.module : NULL;
  if (e.status != KILN_OK) LLVMDisposeModule(e.module);
  return e.status;
}
