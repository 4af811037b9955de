/* diagnose.c: LLVM's errors and diagnostics as statuses and sentences.
 *
 * LLVM says that something is wrong in four ways:
 *   errors (LLVMErrorRef) and messages that a function hands out: converted here;
 *   diagnostics of a context: collected by a watch. Left alone, LLVM prints them and ends the process;
 *   the verifier's report: asked for before any pass runs, so passes and code generation see valid modules only;
 *   fatal errors, which never return: nothing sound can be done after one. A handler that jumped out would leave C++
 * frames undone and locks held, and handlers are per process, where the embedder's own use of LLVM counts too. So none
 * is installed, and they are prevented instead: the target is a known row, the module is valid, its attributes are
 * ours, and the lowering asks for an intrinsic only where its row in intrinsics.def names features that the target has
 * ("cannot select" is what LLVM says otherwise). What remains is LLVM running out of memory, and bugs of LLVM. */
#include <llvm-c/Analysis.h>
#include <string.h>

#include "jit/llvm.h"

static const SourcePos nowhere = {0, 0};

/* LLVM's reports have line ends; a diagnostic is one line. */
static void report(Diagnostics *faults, const char *doing, char *message) {
  if (!faults) return;
  size_t length = strlen(message);
  while (length && message[length - 1] == '\n') message[--length] = 0;
  for (char *c = message; *c; ++c)
    if (*c == '\n') *c = ' ';
  diagnostics_report(faults, nowhere, "%s: %s", doing, message);
}

kiln_status jit_diagnose(LLVMErrorRef error, const char *doing, Diagnostics *faults) {
  if (!error) return KILN_OK;
  char *message = LLVMGetErrorMessage(error);
  report(faults, doing, message);
  LLVMDisposeErrorMessage(message);
  return KILN_INTERNAL;
}

kiln_status jit_diagnose_message(char *message, const char *doing, Diagnostics *faults) {
  if (message) {
    report(faults, doing, message);
    LLVMDisposeMessage(message);
  }
  return KILN_INTERNAL;
}

static void collect(LLVMDiagnosticInfoRef info, void *ctx) {
  JitWatch *watch = ctx;
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return;
  watch->has_error = true;
  char *message = LLVMGetDiagInfoDescription(info);
  report(watch->faults, "llvm", message);
  LLVMDisposeMessage(message);
}

void jit_watch_begin(JitWatch *watch, LLVMContextRef context, Diagnostics *faults) {
  *watch = (JitWatch){.context = context, .faults = faults};
  watch->previous = LLVMContextGetDiagnosticHandler(context);
  watch->previous_ctx = LLVMContextGetDiagnosticContext(context);
  LLVMContextSetDiagnosticHandler(context, collect, watch);
}

kiln_status jit_watch_end(JitWatch *watch) {
  LLVMContextSetDiagnosticHandler(watch->context, watch->previous, watch->previous_ctx);
  return watch->has_error ? KILN_INTERNAL : KILN_OK;
}

kiln_status jit_verify(LLVMModuleRef module, Diagnostics *faults) {
  char *message = NULL;
  if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message))
    return jit_diagnose_message(message, "invalid llvm module", faults);
  LLVMDisposeMessage(message);
  return KILN_OK;
}
