/* emit.c: one module through verifier, passes and code generator, and the object's metadata into its section.
 *
 * The metadata travels as a private constant with the `exclude` mark: a section that is part of the object file, that
 * static linkers drop and that no loader maps. Its checksum is filled in after emission. Each call makes its own target
 * machine (0.1 ms of 5 and more), so there is nothing to share or lock. */
#include "jit/emit.h"

#include <string.h>

#include "jit/jit.h"
#include "jit/llvm.h"
#include "jit/os.h"
#include "kiln/args.h"

static bool is_entry(LLVMValueRef function) {
  return !LLVMIsDeclaration(function) && LLVMGetLinkage(function) == LLVMExternalLinkage;
}

/* The functions that other programs may call, in the module's order. */
static size_t list_entries(LLVMModuleRef module, const char **names) {
  size_t count = 0;
  for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
    size_t length;
    if (!is_entry(f)) continue;
    if (names) names[count] = LLVMGetValueName2(f, &length);
    ++count;
  }
  return count;
}

static void write_metadata(LLVMModuleRef module, const Target *target, const JitEmit *options, Arena *arena,
                           Text *out) {
  Text llvm;
  text_init(&llvm, &arena->allocator);
  jit_llvm_version(&llvm);
  size_t count = list_entries(module, NULL);
  const char **entries = ARENA_ARRAY(arena, const char *, count + 1);
  list_entries(module, entries);
  JitMetadata metadata = {
      .args_version = KILN_ARGS_VERSION,
      .key = options->key,
      .key_length = options->key_length,
      .target = target->name,
      .features = target->features,
      .llvm = text_get(&llvm),
      .build = options->build ? options->build : jit_build_id(),
      .entries = entries,
      .entry_count = count,
      .fields = (JitField *)options->fields,
      .field_count = options->field_count,
  };
  jit_metadata_write(&metadata, out);
  out->failed |= llvm.failed;
  text_release(&llvm);
}

static kiln_status add_metadata(LLVMModuleRef module, const Target *target, const JitEmit *options,
                                const Allocator *allocator) {
  Arena arena;
  Text text;
  arena_init(&arena, allocator);
  text_init(&text, allocator);
  write_metadata(module, target, options, &arena, &text);
  kiln_status status = text.failed || arena_has_failed(&arena) ? KILN_OUT_OF_MEMORY : KILN_OK;
  if (!status) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMValueRef bytes = LLVMConstStringInContext2(context, text_get(&text), text.length, true);
    LLVMValueRef global = LLVMAddGlobal(module, LLVMTypeOf(bytes), "kiln.metadata");
    LLVMSetInitializer(global, bytes);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetSection(global, ".kiln");
    LLVMSetAlignment(global, 8);
    LLVMGlobalSetMetadata(global, LLVMGetMDKindIDInContext(context, "exclude", 7),
                          LLVMMDNodeInContext2(context, NULL, 0));
  }
  text_release(&text);
  arena_release(&arena);
  return status;
}

static kiln_status copy_text(LLVMModuleRef module, const Allocator *allocator, JitBuffer *out) {
  char *text = LLVMPrintModuleToString(module);
  bool copied = jit_buffer_copy(text, strlen(text), allocator, out);
  LLVMDisposeMessage(text);
  return copied ? KILN_OK : KILN_OUT_OF_MEMORY;
}

static kiln_status generate(LLVMModuleRef module, LLVMTargetMachineRef machine, JitStage stage,
                            const Allocator *allocator, JitBuffer *out, Diagnostics *faults) {
  LLVMMemoryBufferRef memory = NULL;
  char *message = NULL;
  LLVMCodeGenFileType type = stage == JIT_STAGE_ASSEMBLY ? LLVMAssemblyFile : LLVMObjectFile;
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, type, &message, &memory))
    return jit_diagnose_message(message, "generating code", faults);
  bool copied = jit_buffer_copy(LLVMGetBufferStart(memory), LLVMGetBufferSize(memory), allocator, out);
  LLVMDisposeMemoryBuffer(memory);
  return copied ? KILN_OK : KILN_OUT_OF_MEMORY;
}

/* The object keeps the promises of its format, or the generator is at fault. */
static kiln_status seal(JitBuffer *out, Diagnostics *faults) {
  JitObject object;
  Text why;
  text_init(&why, &out->allocator);
  kiln_status status = jit_object_parse(out->data, out->size, &object, &why);
  if (!status) status = jit_object_check_kernel(&object, &why);
  if (status) diagnostics_report(faults, (SourcePos){0}, "emitted object: %s", text_get(&why));
  else jit_object_seal(&object, out->data);
  text_release(&why);
  return status ? KILN_INTERNAL : KILN_OK;
}

static int64_t lap(int64_t *since) {
  int64_t now = jit_os_now_ns(), elapsed = now - *since;
  *since = now;
  return elapsed;
}

static kiln_status compile(LLVMModuleRef module, const Target *target, LLVMTargetMachineRef machine,
                           const JitEmit *options, const Allocator *allocator, JitBuffer *out, Diagnostics *faults) {
  JitTimes times = {0};
  int64_t clock = jit_os_now_ns();
  jit_machine_apply(machine, target, options->frame_pointers, module);
  kiln_status status = jit_verify(module, faults);
  times.verify_ns = lap(&clock);
  if (!status && options->stage == JIT_STAGE_LLVM) return copy_text(module, allocator, out);
  if (!status) status = jit_optimize(module, machine, faults);
  if (!status) jit_mend(module);
  times.optimize_ns = lap(&clock);
  if (!status && options->stage == JIT_STAGE_OPTIMIZED) return copy_text(module, allocator, out);
  if (!status && options->stage == JIT_STAGE_OBJECT) status = add_metadata(module, target, options, allocator);
  if (!status) status = generate(module, machine, options->stage, allocator, out, faults);
  times.codegen_ns = lap(&clock);
  if (options->times) *options->times = times;
  return status;
}

kiln_status jit_emit(LLVMModuleRef module, const Target *target, const JitEmit *options, const Allocator *allocator,
                     JitBuffer *out, Diagnostics *faults) {
  LLVMTargetMachineRef machine;
  JitWatch watch;
  *out = (JitBuffer){0};
  kiln_status status = jit_machine_create(target, &machine, faults);
  if (status) return status;
  jit_watch_begin(&watch, LLVMGetModuleContext(module), faults);
  status = compile(module, target, machine, options, allocator, out, faults);
  kiln_status watched = jit_watch_end(&watch);
  LLVMDisposeTargetMachine(machine);
  if (!status) status = watched;
  if (!status && options->stage == JIT_STAGE_OBJECT) status = seal(out, faults);
  if (status) jit_buffer_release(out);
  return status;
}
