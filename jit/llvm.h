/* llvm.h: what the files of this folder share about LLVM: target machines, the pass pipeline, errors. */
#ifndef KILN_JIT_LLVM_H
#define KILN_JIT_LLVM_H

#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/TargetMachine.h>

#include "ir/support/support.h"
#include "ir/target/target.h"

/* ---- machine.c -------------------------------------------------------------------------------------------------- */

/* Registers LLVM's code generator of a family, once per process: 0.2 ms. */
void jit_machine_init(TargetFamily family);

/* A machine for the row: base CPU and explicit features, position independent, small code model. Belongs to one thread
 * at a time; making one takes 0.1 ms. KILN_UNSUPPORTED, with a sentence, where this LLVM was built without the target.
 */
kiln_status jit_machine_create(const Target *target, LLVMTargetMachineRef *out, Diagnostics *faults);
/* The same for this machine with no feature at all: enough to link with. */
kiln_status jit_machine_create_host(LLVMTargetMachineRef *out, Diagnostics *faults);

/* Triple, data layout, and on each defined function the attributes that say the target. */
void jit_machine_apply(LLVMTargetMachineRef machine, const Target *target, bool frame_pointers, LLVMModuleRef module);

/* ---- optimize.c ------------------------------------------------------------------------------------------------- */

kiln_status jit_optimize(LLVMModuleRef module, LLVMTargetMachineRef machine, Diagnostics *faults);

/* ---- mend.c ----------------------------------------------------------------------------------------------------- */

/* After jit_optimize: what the code generator would make wrong. */
void jit_mend(LLVMModuleRef module);

/* ---- diagnose.c ------------------------------------------------------------------------------------------------- */

/* Success gives KILN_OK. Otherwise consumes the error and reports `doing: message`. */
kiln_status jit_diagnose(LLVMErrorRef error, const char *doing, Diagnostics *faults);
/* The same for functions that hand out a message (consumed; may be NULL); always KILN_INTERNAL. */
kiln_status jit_diagnose_message(char *message, const char *doing, Diagnostics *faults);

/* Collects a context's diagnostics of severity error while one module is compiled. */
typedef struct JitWatch {
  LLVMContextRef context;
  LLVMDiagnosticHandler previous;
  void *previous_ctx;
  Diagnostics *faults;
  bool has_error;
} JitWatch;
void jit_watch_begin(JitWatch *watch, LLVMContextRef context, Diagnostics *faults);
kiln_status jit_watch_end(JitWatch *watch); /* KILN_INTERNAL where there was one */

/* Where the module breaks LLVM's rules: KILN_INTERNAL and the verifier's report. */
kiln_status jit_verify(LLVMModuleRef module, Diagnostics *faults);

#endif
