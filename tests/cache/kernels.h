/* kernels.h: small kernels for the tests of the jit and the cache, written as LLVM IR. */
#ifndef KILN_TESTS_CACHE_KERNELS_H
#define KILN_TESTS_CACHE_KERNELS_H

#include <llvm-c/Core.h>
#include <llvm-c/IRReader.h>
#include <string.h>

#include "jit/emit.h"

/* Adds `task` to each of eight floats: loads, a constant table in read-only data, a loop. */
static const char kernel_text[] = "@ramp = private unnamed_addr constant [8 x float] [float 1.0, float 2.0, float 3.0, "
                                  "float 4.0, float 5.0, float 6.0,"
                                  " float 7.0, float 8.0]\n"
                                  "define void @add(ptr %args, i64 %task) {\n"
                                  "entry:\n"
                                  "  %buffers = load ptr, ptr %args\n"
                                  "  %x = load ptr, ptr %buffers\n"
                                  "  %t = sitofp i64 %task to float\n"
                                  "  br label %loop\n"
                                  "loop:\n"
                                  "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]\n"
                                  "  %p = getelementptr float, ptr %x, i64 %i\n"
                                  "  %r = getelementptr float, ptr @ramp, i64 %i\n"
                                  "  %a = load float, ptr %p\n"
                                  "  %b = load float, ptr %r\n"
                                  "  %c = fadd float %a, %b\n"
                                  "  %d = fadd float %c, %t\n"
                                  "  store float %d, ptr %p\n"
                                  "  %next = add i64 %i, 1\n"
                                  "  %more = icmp ult i64 %next, 8\n"
                                  "  br i1 %more, label %loop, label %done\n"
                                  "done:\n"
                                  "  ret void\n"
                                  "}\n"
                                  "define i64 @add_tasks(ptr %args) { ret i64 1 }\n"
                                  "define i64 @add_workspace(ptr %args) { ret i64 0 }\n";

/* jit_emit on IR text, which must parse, in a context of its own. */
static inline kiln_status emit_text(const char *text, const char *target, const JitEmit *options, JitBuffer *out,
                                    Diagnostics *faults) {
  LLVMContextRef context = LLVMContextCreate();
  LLVMMemoryBufferRef memory = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "kernel.ll");
  LLVMModuleRef module = NULL;
  char *message = NULL;
  kiln_status status = KILN_SYNTAX;
  *out = (JitBuffer){0};
  if (LLVMParseIRInContext(context, memory, &module, &message))
    diagnostics_report(faults, (SourcePos){0}, "%s", message);
  else status = jit_emit(module, target_find(target), options, &allocator_default, out, faults);
  LLVMDisposeMessage(message);
  if (module) LLVMDisposeModule(module);
  LLVMContextDispose(context);
  return status;
}

/* An object of the kernel above for plain x86-64, with this key; the caller releases it. */
static inline JitBuffer make_object(const char *key) {
  static const JitField fields[] = {{"template", "test"}, {"schedule", "mr=1 nr=8"}};
  JitEmit options = {
      .stage = JIT_STAGE_OBJECT, .key = key, .key_length = strlen(key), .fields = fields, .field_count = 2};
  JitBuffer object;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  emit_text(kernel_text, "x86-64", &options, &object, &faults);
  diagnostics_release(&faults);
  return object;
}

#endif
