/* optimize.c: the passes between lowering and code generation, chosen for compile time.
 *
 * Before  a verified module: explicit vectors, SSA values, addresses computed where they are used
 * After   the same without redundant address arithmetic and trivial blocks
 * Needs   nothing of the lowering beyond validity
 * Keeps   every floating-point operation and its order; calls nothing that was not called before
 *
 * The tile IR has already decided vectors, unrolling and what stays in registers, so there is little to find. On a GEMM
 * kernel of 2000 instructions (8x48 tile, four row counts, gelu) `default<O1>` and `<O2>` took 58 ms and the code
 * generator needed longer afterwards (53 against 45 ms); these took 2.3 ms. instcombine took 3 more and saved nothing,
 * licm the same: loop strength reduction and machine LICM run in the code generator anyway. No pass here may introduce
 * memcpy or memset, so no loop-idiom and no memcpyopt. */
#include <llvm-c/Transforms/PassBuilder.h>

#include "jit/llvm.h"

/* sroa costs nothing where no stack slot exists, and repairs a lowering that used some. */
static const char pipeline[] = "function(sroa,early-cse,simplifycfg)";

kiln_status jit_optimize(LLVMModuleRef module, LLVMTargetMachineRef machine, Diagnostics *faults) {
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(module, pipeline, machine, options);
  LLVMDisposePassBuilderOptions(options);
  return jit_diagnose(error, "optimising", faults);
}
