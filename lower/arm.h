/* arm.h: products of AArch64 on vectors of 128 bits (NEON) or of the target's whole length (SVE).
 *
 * LLVM has NEON's instructions as intrinsics on fixed vectors and SVE's on scalable ones. Here values are fixed vectors
 * everywhere; at a known length moving them to a scalable type and back costs no instruction. */
#ifndef KILN_LOWER_ARM_H
#define KILN_LOWER_ARM_H

#include "lower/emit.h"

/* Two intrinsics (sum, factor, factor) that do the same. Factors are i8 or bf16. */
typedef struct ArmProduct {
  Intrinsic neon, sve;
} ArmProduct;

/* sum has four lanes of 32 bits, or the target's; factors as many bits, of any type. */
LLVMValueRef lower_arm_product(Emitter *e, const ArmProduct *product, LLVMValueRef sum, LLVMValueRef x, LLVMValueRef y);

/* sum + x * y[lane], the lane of each 128 bits of y; all as long as the target's vectors, f32 or f64. */
LLVMValueRef lower_arm_fma_lane(Emitter *e, LLVMValueRef sum, LLVMValueRef x, LLVMValueRef y, int lane);

/* 128 bits, repeated to the length of the target's vectors. */
LLVMValueRef lower_arm_repeat(Emitter *e, LLVMValueRef x);

#endif
