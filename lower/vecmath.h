/* vecmath.h: elementary functions of float and double, emitted as LLVM IR where the builder stands.
 *
 * Every function takes a float, a double, or a fixed vector of either with any number of lanes, and gives the same
 * type. The code is straight-line: no branch, no call that would stay in the object, no constant but splats. It assumes
 * IEEE arithmetic in the default mode (round to nearest even, subnormals kept) and must be compiled without fast-math
 * flags; it sets none. Special values are those of C's Annex F.
 *
 *             float                 double (served for correctness, not speed)
 *   exp log   within 2 ulp          within 4 ulp
 *   tanh erf  within 4 ulp          within 4 ulp
 *   rsqrt     within 2 ulp          within 2 ulp; rsqrt(+-0) is +-inf
 *
 * The bounds hold over all inputs, subnormal inputs and results included, with and without fused multiply-add; the
 * measured errors and costs are kept in bench/results/vecmath.md. */
#ifndef KILN_LOWER_VECMATH_H
#define KILN_LOWER_VECMATH_H

#include <llvm-c/Core.h>

#include "ir/target/target.h"

typedef struct VecMath {
  LLVMContextRef context;
  LLVMModuleRef module; /* receives the declarations of intrinsics */
  LLVMBuilderRef builder;
  bool fma; /* the target fuses multiply and add; where it does not, llvm.fma would become a call to libm */
  const Target *target;
} VecMath;

LLVMValueRef lower_vec_exp(const VecMath *v, LLVMValueRef x);
LLVMValueRef lower_vec_log(const VecMath *v, LLVMValueRef x);
LLVMValueRef lower_vec_tanh(const VecMath *v, LLVMValueRef x);
LLVMValueRef lower_vec_erf(const VecMath *v, LLVMValueRef x);
LLVMValueRef lower_vec_rsqrt(const VecMath *v, LLVMValueRef x);

#endif
