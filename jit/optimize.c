/* optimize.c: the passes between lowering and code generation, chosen for compile time.
 *
 * Before  a verified module: explicit vectors, SSA values, addresses computed where they are used
 * After   the same without redundant address arithmetic and trivial blocks
 * Needs   nothing of the lowering beyond validity
 * Keeps   every floating-point operation and its order; calls nothing that was not called before
 *
 * The tile IR has already decided vectors, unrolling and what stays in registers, so there is little to find. On a GEMM
 * kernel of 2000 instructions these passes take 2 ms; default<O1> takes 40, and the code generator longer afterwards
 * (45 against 38); instcombine would take 3 more and saves nothing, licm the same, for loop strength reduction and
 * machine LICM run in the code generator anyway (bench/results/jit-passes.md). No pass here may introduce memcpy or
 * memset, so no loop-idiom and no memcpyopt. */
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>

#include "jit/llvm.h"

/* `,sroa,early-cse,…`. sroa costs nothing where no stack slot exists, and repairs a lowering that used some. */
static const char passes[] =
#define PASS(name, meaning) "," name
#include "jit/passes.def"
#undef PASS
    ;

kiln_status jit_optimize(LLVMModuleRef module, LLVMTargetMachineRef machine, Diagnostics *faults) {
  char pipeline[sizeof passes + sizeof "function()"];
  snprintf(pipeline, sizeof pipeline, "function(%s)", passes + 1);
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(module, pipeline, machine, options);
  LLVMDisposePassBuilderOptions(options);
  return jit_diagnose(error, "optimising", faults);
}
