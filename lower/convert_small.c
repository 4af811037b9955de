/* convert_small.c: f16, bf16 and f8 by integer operations on their bits, rounding to nearest even.
 *
 * Works in 32-bit lanes, without a subnormal f32 on the way, so that a caller's flush-to-zero mode changes nothing. The
 * method for subnormals of the small format: with the number added to a power of two whose last place is theirs, the
 * sum's low bits are the wanted ones (after F. Giesen's notes on half-float conversion). */
#include "lower/emit.h"

typedef struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  bool has_infinity; /* else the top exponent holds numbers, and only all ones is NaN */
} SmallFloat;

static SmallFloat small_float(kiln_type type) {
  if (type == KILN_F16) return (SmallFloat){5, 10, 15, true};
  if (type == KILN_F8E5M2) return (SmallFloat){5, 2, 15, true};
  KILN_ASSERT(type == KILN_F8E4M3);
  return (SmallFloat){4, 3, 7, false};
}

/* Operations on i32 lanes with a constant. */
static LLVMValueRef number(LLVMValueRef like, int64_t bits) { return lower_splat_integer(LLVMTypeOf(like), bits); }
static LLVMValueRef and_bits(Emitter *e, LLVMValueRef x, int64_t bits) {
  return LLVMBuildAnd(e->builder, x, number(x, bits), "");
}
static LLVMValueRef or_bits(Emitter *e, LLVMValueRef x, int64_t bits) {
  return LLVMBuildOr(e->builder, x, number(x, bits), "");
}
static LLVMValueRef plus(Emitter *e, LLVMValueRef x, int64_t bits) {
  return LLVMBuildAdd(e->builder, x, number(x, bits), "");
}
static LLVMValueRef shift_left(Emitter *e, LLVMValueRef x, int by) {
  return LLVMBuildShl(e->builder, x, number(x, by), "");
}
static LLVMValueRef shift_right(Emitter *e, LLVMValueRef x, int by) {
  return LLVMBuildLShr(e->builder, x, number(x, by), "");
}

static LLVMValueRef compare(Emitter *e, LLVMIntPredicate predicate, LLVMValueRef x, int64_t bits) {
  return LLVMBuildICmp(e->builder, predicate, x, number(x, bits), "");
}

static LLVMValueRef select_lanes(Emitter *e, LLVMValueRef condition, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildSelect(e->builder, condition, x, y, "");
}

static LLVMValueRef as(Emitter *e, LLVMValueRef x, LLVMTypeRef element) {
  return LLVMBuildBitCast(e->builder, x, lower_like(x, element), "");
}

static LLVMValueRef widen(Emitter *e, LLVMValueRef bits) {
  return LLVMBuildZExt(e->builder, bits, lower_like(bits, e->i32), "");
}

/* ---- to f32 ------------------------------------------------------------------------------------------------------ */

static LLVMValueRef expand(Emitter *e, LLVMValueRef bits, SmallFloat format) {
  int small_bits = 1 + format.exponent_bits + format.mantissa_bits, up = 23 - format.mantissa_bits;
  int64_t all = ((int64_t)1 << (small_bits - 1)) - 1;
  int64_t rebias = (int64_t)(127 - format.bias) << 23, smallest_normal = (int64_t)(128 - format.bias) << 23;
  LLVMValueRef wide = widen(e, bits);
  LLVMValueRef magnitude = and_bits(e, wide, all);
  LLVMValueRef shifted = shift_left(e, magnitude, up);
  LLVMValueRef normal = plus(e, shifted, rebias);
  /* A subnormal: one more in the exponent makes it 2^(1 - bias) + itself. */
  LLVMValueRef raised = as(e, plus(e, shifted, smallest_normal), e->f32);
  LLVMValueRef magic = as(e, number(wide, smallest_normal), e->f32);
  LLVMValueRef subnormal = as(e, LLVMBuildFSub(e->builder, raised, magic, ""), e->i32);
  LLVMValueRef is_subnormal = compare(e, LLVMIntULT, magnitude, (int64_t)1 << format.mantissa_bits);
  LLVMValueRef result = select_lanes(e, is_subnormal, subnormal, normal);
  int64_t infinity = format.has_infinity ? all - (((int64_t)1 << format.mantissa_bits) - 1) : all;
  LLVMValueRef is_special = compare(e, LLVMIntUGE, magnitude, infinity);
  LLVMValueRef special = or_bits(e, shifted, 0x7f800000); /* the payload of a NaN stays, and keeps it one */
  result = select_lanes(e, is_special, special, result);
  LLVMValueRef sign = shift_left(e, and_bits(e, wide, all + 1), 32 - small_bits);
  return as(e, LLVMBuildOr(e->builder, result, sign, ""), e->f32);
}

LLVMValueRef lower_small_to_f32(Emitter *e, LLVMValueRef bits, kiln_type type) {
  if (type == KILN_BF16) return as(e, shift_left(e, widen(e, bits), 16), e->f32);
  if (type == KILN_F16 && e->has_half)
    return LLVMBuildFPExt(e->builder, as(e, bits, e->half), lower_like(bits, e->f32), "");
  return expand(e, bits, small_float(type));
}

/* ---- from f32 ---------------------------------------------------------------------------------------------------- */

static LLVMValueRef narrow(Emitter *e, LLVMValueRef x, int bits) {
  return LLVMBuildTrunc(e->builder, x, lower_like(x, bits == 16 ? e->i16 : e->i8), "");
}

/* Adds just under half of the last place that stays, and the rest if that place is odd. */
static LLVMValueRef round_bits(Emitter *e, LLVMValueRef x, int dropped, int64_t rebias) {
  LLVMValueRef odd = and_bits(e, shift_right(e, x, dropped), 1);
  LLVMValueRef raised = plus(e, x, (((int64_t)1 << (dropped - 1)) - 1) + rebias);
  return shift_right(e, LLVMBuildAdd(e->builder, raised, odd, ""), dropped);
}

static LLVMValueRef to_bf16(Emitter *e, LLVMValueRef x) {
  LLVMValueRef bits = as(e, x, e->i32);
  LLVMValueRef quiet = or_bits(e, shift_right(e, bits, 16), 0x40);
  LLVMValueRef is_nan = LLVMBuildFCmp(e->builder, LLVMRealUNO, x, x, "");
  return narrow(e, select_lanes(e, is_nan, quiet, round_bits(e, bits, 16, 0)), 16);
}

static LLVMValueRef shrink(Emitter *e, LLVMValueRef x, SmallFloat format) {
  int small_bits = 1 + format.exponent_bits + format.mantissa_bits, down = 23 - format.mantissa_bits;
  int64_t all = ((int64_t)1 << (small_bits - 1)) - 1, one = (int64_t)1 << format.mantissa_bits;
  int64_t infinity = format.has_infinity ? all - (one - 1) : all, nan = format.has_infinity ? infinity | one / 2 : all;
  LLVMValueRef bits = as(e, x, e->i32);
  LLVMValueRef magnitude = and_bits(e, bits, 0x7fffffff);
  LLVMValueRef normal = round_bits(e, magnitude, down, (int64_t)(format.bias - 127) * ((int64_t)1 << 23));
  int64_t magic = (int64_t)(127 - format.bias + 24 - format.mantissa_bits) << 23;
  LLVMValueRef sum = LLVMBuildFAdd(e->builder, as(e, magnitude, e->f32), as(e, number(bits, magic), e->f32), "");
  LLVMValueRef subnormal = plus(e, as(e, sum, e->i32), -magic);
  LLVMValueRef is_subnormal = compare(e, LLVMIntULT, magnitude, (int64_t)(128 - format.bias) << 23);
  LLVMValueRef result = select_lanes(e, is_subnormal, subnormal, normal);
  /* Rounding may carry into the special codes, but not beyond them. */
  int64_t over = (infinity << down) + ((int64_t)(127 - format.bias) << 23);
  result = select_lanes(e, compare(e, LLVMIntUGE, magnitude, over), number(bits, infinity), result);
  result = select_lanes(e, compare(e, LLVMIntUGT, magnitude, 0x7f800000), number(bits, nan), result);
  LLVMValueRef sign = and_bits(e, shift_right(e, bits, 32 - small_bits), all + 1);
  return narrow(e, LLVMBuildOr(e->builder, result, sign, ""), small_bits);
}

LLVMValueRef lower_f32_to_small(Emitter *e, LLVMValueRef x, kiln_type type) {
  if (type == KILN_BF16) return to_bf16(e, x);
  if (type == KILN_F16 && e->has_half)
    return as(e, LLVMBuildFPTrunc(e->builder, x, lower_like(x, e->half), ""), e->i16);
  return shrink(e, x, small_float(type));
}

/* Rounding to odd keeps, in the last bit, that something was cut off, which is all a second rounding asks. */
LLVMValueRef lower_f64_to_odd(Emitter *e, LLVMValueRef x) {
  LLVMValueRef nearest = LLVMBuildFPTrunc(e->builder, x, lower_like(x, e->f32), "");
  LLVMValueRef back = LLVMBuildFPExt(e->builder, nearest, LLVMTypeOf(x), "");
  LLVMValueRef is_inexact = LLVMBuildFCmp(e->builder, LLVMRealONE, back, x, "");
  LLVMValueRef is_larger = LLVMBuildFCmp(e->builder, LLVMRealOGT, lower_call_1(e, INTRINSIC_FABS, back),
                                         lower_call_1(e, INTRINSIC_FABS, x), "");
  LLVMValueRef bits = as(e, nearest, e->i32);
  LLVMTypeRef type = LLVMTypeOf(bits);
  LLVMValueRef cut = LLVMBuildAdd(e->builder, bits, LLVMBuildSExt(e->builder, is_larger, type, ""), "");
  LLVMValueRef odd = LLVMBuildOr(e->builder, cut, LLVMBuildZExt(e->builder, is_inexact, type, ""), "");
  return as(e, odd, e->f32);
}
