/* compile.c: one tile module through lowering and LLVM, in a context of its own that ends with the call. */
#include "jit/compile.h"

#include <llvm-c/Core.h>

#include "jit/emit.h"
#include "jit/os.h"
#include "lower/lower.h"

static JitStage stage_of(JitOutput output) {
  switch (output) {
  case JIT_OUTPUT_LLVM: return JIT_STAGE_LLVM;
  case JIT_OUTPUT_ASSEMBLY: return JIT_STAGE_ASSEMBLY;
  case JIT_OUTPUT_OBJECT: return JIT_STAGE_OBJECT;
  }
  return JIT_STAGE_OBJECT;
}

kiln_status jit_compile(const Module *module, const Target *target, const JitCompile *options,
                        const Allocator *allocator, JitBuffer *out, Diagnostics *faults) {
  int64_t start = jit_os_now_ns();
  LLVMContextRef context = LLVMContextCreate();
  /* Names of values are for readers; objects have none. */
  LLVMContextSetDiscardValueNames(context, options->output == JIT_OUTPUT_OBJECT);
  LLVMModuleRef lowered = NULL;
  *out = (JitBuffer){0};
  kiln_status status = lower_module(module, target, context, NULL, options->source, &lowered, faults);
  int64_t lower_ns = jit_os_now_ns() - start;
  JitTimes times = {0};
  JitEmit emit = {
      .stage = stage_of(options->output),
      .key = options->key,
      .key_length = options->key_length,
      .fields = options->fields,
      .field_count = options->field_count,
      .times = &times,
  };
  if (!status) status = jit_emit(lowered, target, &emit, allocator, out, faults);
  if (options->times)
    *options->times = (JitCompileTimes){lower_ns, times.verify_ns, times.optimize_ns, times.codegen_ns};
  if (lowered) LLVMDisposeModule(lowered);
  LLVMContextDispose(context);
  return status;
}
