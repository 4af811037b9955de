/* arm.c: see arm.h. */
#include "lower/arm.h"

enum { UNIT_BITS = 128 };

static unsigned element_bits(LLVMTypeRef element) {
  return LLVMGetTypeKind(element) == LLVMIntegerTypeKind  ? LLVMGetIntTypeWidth(element)
         : LLVMGetTypeKind(element) == LLVMBFloatTypeKind ? 16
         : LLVMGetTypeKind(element) == LLVMDoubleTypeKind ? 64
                                                          : 32;
}

static LLVMTypeRef scalable(LLVMTypeRef element) {
  return LLVMScalableVectorType(element, UNIT_BITS / element_bits(element));
}

static LLVMValueRef to_scalable(Emitter *e, LLVMValueRef x) {
  LLVMTypeRef type = scalable(lower_element_of(x));
  LLVMValueRef arguments[] = {LLVMGetPoison(type), x, lower_i64(e, 0)};
  return lower_call(e, INTRINSIC_VECTOR_INSERT, type, LLVMTypeOf(x), arguments, 3);
}

static LLVMValueRef from_scalable(Emitter *e, LLVMValueRef x, LLVMTypeRef type) {
  LLVMValueRef arguments[] = {x, lower_i64(e, 0)};
  return lower_call(e, INTRINSIC_VECTOR_EXTRACT, type, LLVMTypeOf(x), arguments, 2);
}

/* The same bits as lanes of another element. */
static LLVMValueRef as_lanes(Emitter *e, LLVMValueRef x, LLVMTypeRef element) {
  unsigned bits = (unsigned)lower_lane_count(x) * element_bits(lower_element_of(x));
  return LLVMBuildBitCast(e->builder, x, LLVMVectorType(element, bits / element_bits(element)), "");
}

LLVMValueRef lower_arm_product(Emitter *e, const ArmProduct *product, LLVMValueRef sum, LLVMValueRef x,
                               LLVMValueRef y) {
  LLVMTypeRef type = LLVMTypeOf(sum);
  bool is_neon = lower_lane_count(sum) * 32 == UNIT_BITS, is_real = lower_element_of(sum) == e->f32;
  LLVMTypeRef element = is_real ? LLVMBFloatTypeInContext(e->context) : e->i8;
  LLVMValueRef arguments[] = {sum, as_lanes(e, x, element), as_lanes(e, y, element)};
  Intrinsic id = is_neon ? product->neon : product->sve;
  bool is_overloaded = LLVMIntrinsicIsOverloaded(e->intrinsics[id]);
  for (int i = 0; !is_neon && i < 3; ++i) arguments[i] = to_scalable(e, arguments[i]);
  LLVMTypeRef first = is_overloaded ? LLVMTypeOf(arguments[0]) : NULL;
  LLVMTypeRef second = is_overloaded && is_neon ? LLVMTypeOf(arguments[1]) : NULL;
  LLVMValueRef result = lower_call(e, id, first, second, arguments, 3);
  return is_neon ? result : from_scalable(e, result, type);
}

LLVMValueRef lower_arm_fma_lane(Emitter *e, LLVMValueRef sum, LLVMValueRef x, LLVMValueRef y, int lane) {
  LLVMValueRef arguments[] = {to_scalable(e, sum), to_scalable(e, x), to_scalable(e, y), lower_i32(e, lane)};
  LLVMValueRef result = lower_call(e, INTRINSIC_SVE_FMLA_LANE, LLVMTypeOf(arguments[0]), NULL, arguments, 4);
  return from_scalable(e, result, LLVMTypeOf(sum));
}

LLVMValueRef lower_arm_repeat(Emitter *e, LLVMValueRef x) {
  if (e->target->vector_bits == UNIT_BITS) return x;
  LLVMTypeRef element = lower_element_of(x), type = scalable(element);
  LLVMValueRef arguments[] = {to_scalable(e, x), lower_i64(e, 0)};
  LLVMValueRef repeated = lower_call(e, INTRINSIC_SVE_REPEAT, type, NULL, arguments, 2);
  return from_scalable(e, repeated, LLVMVectorType(element, (unsigned)e->target->vector_bits / element_bits(element)));
}
