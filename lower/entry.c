/* entry.c: the three functions of a kernel, in the layout of args.h.
 *
 * Buffers, symbols and workspace are read once, at the top: they stay in registers or spill slots, and no store can be
 * taken to change them. */
#include <stdio.h>
#include <string.h>

#include "kiln/args.h"
#include "lower/amx.h"

typedef enum ArgsField {
#define FIELD(type, name, meaning) ARGS_##name,
  KILN_ARGS_FIELDS(FIELD)
#undef FIELD
      ARGS_FIELD_COUNT
} ArgsField;

/* All fields are pointers, so the type in LLVM IR is an array of them. */
_Static_assert(sizeof(kiln_args) == ARGS_FIELD_COUNT * sizeof(void *), "kiln_args is pointers only");

static void name_value(const Emitter *e, LLVMValueRef value, const char *name) {
  if (e->has_names) LLVMSetValueName2(value, name, strlen(name));
}

static LLVMValueRef load_element(Emitter *e, LLVMTypeRef type, LLVMValueRef base, int64_t index, const char *name) {
  LLVMValueRef offset = lower_i64(e, index);
  LLVMValueRef address = index == 0 ? base : LLVMBuildGEP2(e->builder, type, base, &offset, 1, "");
  LLVMValueRef value = LLVMBuildLoad2(e->builder, type, address, "");
  LLVMSetAlignment(value, 8);
  name_value(e, value, name);
  return value;
}

static LLVMValueRef load_field(Emitter *e, ArgsField field, const char *name) {
  return load_element(e, e->pointer, LLVMGetParam(e->function, 0), field, name);
}

static void begin(Emitter *e, const char *prefix, const char *suffix, LLVMTypeRef type) {
  Text name;
  text_init(&name, &e->arena->allocator);
  text_printf(&name, "%s%s%s", prefix ? prefix : "", e->kernel->name, suffix);
  e->function = LLVMAddFunction(e->module, text_get(&name), type);
  if (name.failed) e->status = KILN_OUT_OF_MEMORY;
  text_release(&name);
  name_value(e, LLVMGetParam(e->function, 0), "args");
  e->entry = LLVMAppendBasicBlockInContext(e->context, e->function, "entry");
  LLVMPositionBuilderAtEnd(e->builder, e->entry);
  e->scope = NULL;
  e->before = NULL;
  e->depth = 0;
  e->sink = e->stage = NULL;
  e->stage_bytes = 0;
}

/* Sizes, strides and parameters; those nothing uses are dropped by any optimisation. */
static void load_symbols(Emitter *e) {
  e->symbols = LOWER_ARRAY(e, LLVMValueRef, e->kernel->symbols.count);
  if (e->kernel->symbols.count == 0) return;
  LLVMValueRef dims = load_field(e, ARGS_dims, "dims");
  for (size_t i = 0; i < e->kernel->symbols.count; ++i)
    e->symbols[i] = load_element(e, e->i64, dims, (int64_t)i, e->kernel->symbols.items[i].name);
}

/* An expression of the header, operands first. The verifier bounds its size. */
static void emit_expression(Emitter *e, const Value *value) {
  if (e->values[value->id]) return;
  for (int i = 0; i < value->op->operand_count; ++i) emit_expression(e, value->op->operands[i]);
  lower_operation(e, value->op);
}

/* A query is some dozens of scalar instructions that run once a call at most: code quality is worth less here than the
 * tenth of a compile that it takes. */
static void compile_fast(const Emitter *e) {
  static const char *const names[] = {"optnone", "noinline"}; /* LLVM wants both */
  for (size_t i = 0; i < ARRAY_LENGTH(names); ++i) {
    unsigned kind = LLVMGetEnumAttributeKindForName(names[i], strlen(names[i]));
    LLVMAddAttributeAtIndex(e->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(e->context, kind, 0));
  }
}

static void emit_query(Emitter *e, const char *prefix, const char *suffix, const Value *value, int64_t absent) {
  begin(e, prefix, suffix, LLVMFunctionType(e->i64, &e->pointer, 1, false));
  compile_fast(e);
  e->is_query = true;
  LLVMValueRef result = lower_i64(e, absent);
  if (value != NULL) {
    e->values = LOWER_ARRAY(e, Lowered *, e->kernel->value_count);
    load_symbols(e);
    emit_expression(e, value);
    result = lower_get(e, value)->parts[0];
  }
  LLVMBuildRet(e->builder, result);
  e->is_query = false;
}

static void load_buffers(Emitter *e) {
  const Kernel *kernel = e->kernel;
  if (kernel->buffers.count == 0) return;
  LLVMValueRef buffers = load_field(e, ARGS_buffers, "buffers");
  for (size_t i = 0; i < kernel->buffers.count; ++i) {
    const Value *buffer = kernel->buffers.items[i];
    LLVMValueRef base = load_element(e, e->pointer, buffers, (int64_t)i, "");
    lower_define_one(e, buffer, base, 0);
  }
}

static void emit_body(Emitter *e, const char *prefix) {
  LLVMTypeRef parameters[] = {e->pointer, e->i64};
  begin(e, prefix, "", LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 2, false));
  lower_lines_of_function(e, e->kernel->pos);
  lower_line(e, e->kernel->pos);
  e->values = LOWER_ARRAY(e, Lowered *, e->kernel->value_count);
  lower_define_one(e, kernel_task(e->kernel), LLVMGetParam(e->function, 1), 0);
  name_value(e, LLVMGetParam(e->function, 1), "task");
  load_symbols(e);
  load_buffers(e);
  e->workspace = e->kernel->workspace ? load_field(e, ARGS_workspace, "workspace") : LLVMConstNull(e->pointer);
  lower_block(e, e->kernel->body);
  if (e->amx && e->status == KILN_OK) lower_amx_end(e);
  if (e->needs_fence) lower_call(e, INTRINSIC_SFENCE, NULL, NULL, NULL, 0);
  e->needs_fence = false;
  LLVMBuildRetVoid(e->builder);
  lower_lines_end_function(e);
}

void lower_kernel(Emitter *e, const Kernel *kernel, const char *symbol_prefix) {
  e->kernel = kernel;
  e->placements = lower_plan_fragments(e, kernel);
  if (e->status != KILN_OK) return;
  emit_body(e, symbol_prefix);
  emit_query(e, symbol_prefix, "_tasks", kernel->tasks, 1);
  emit_query(e, symbol_prefix, "_workspace", kernel->workspace, 0);
}
