/* convert.c: tile_convert between all pairs of element types, lane by lane: floats to nearest even, to integers to
 * nearest even and saturated, NaN to 0. Conversions LLVM would call a library for are spelled out in integer operations
 * (convert_small.c). */
#include "lower/emit.h"

static bool is_small(kiln_type type) { return type_is_floating(type) && type_bits(type) < 32; }

kiln_type lower_compute(kiln_type type) { return is_small(type) ? KILN_F32 : type; }

LLVMValueRef lower_extend_nibble(Emitter *e, LLVMValueRef x, kiln_type type) {
  LLVMTypeRef lanes = LLVMTypeOf(x);
  LLVMValueRef low = LLVMBuildAnd(e->builder, x, lower_splat_integer(lanes, 15), "");
  if (type_class(type) != CLASS_SIGNED) return low;
  LLVMValueRef sign = lower_splat_integer(lanes, 8);
  return LLVMBuildSub(e->builder, LLVMBuildXor(e->builder, low, sign, ""), sign, "");
}

/* Without an instruction: adding and subtracting 2^(digits - 1) leaves no fraction; larger numbers have none. */
LLVMValueRef lower_round_even(Emitter *e, LLVMValueRef x) {
  if (e->rounds) return lower_call_1(e, INTRINSIC_ROUNDEVEN, x);
  bool is_double = lower_element_of(x) == e->f64;
  LLVMValueRef magic = lower_splat_real(LLVMTypeOf(x), is_double ? 0x1p52 : 0x1p23);
  LLVMValueRef magnitude = lower_call_1(e, INTRINSIC_FABS, x);
  LLVMValueRef sum = LLVMBuildFAdd(e->builder, magnitude, magic, "");
  LLVMValueRef rounded = LLVMBuildFSub(e->builder, sum, magic, "");
  LLVMValueRef is_small_enough = LLVMBuildFCmp(e->builder, LLVMRealOLT, magnitude, magic, "");
  rounded = lower_call_2(e, INTRINSIC_COPYSIGN, rounded, x);
  return LLVMBuildSelect(e->builder, is_small_enough, rounded, x, "");
}

/* ---- integers ---------------------------------------------------------------------------------------------------- */

typedef struct Range {
  int64_t least, most;
} Range;

static Range range_of(kiln_type type) {
  int64_t values = (int64_t)1 << (type == KILN_BOOL ? 1 : type_bits(type));
  bool is_signed = type_class(type) == CLASS_SIGNED;
  return (Range){is_signed ? -values / 2 : 0, is_signed ? values / 2 - 1 : values - 1};
}

static LLVMValueRef resize(Emitter *e, LLVMValueRef x, kiln_type from, LLVMTypeRef element) {
  unsigned width = LLVMGetIntTypeWidth(lower_element_of(x)), wanted = LLVMGetIntTypeWidth(element);
  LLVMTypeRef type = lower_like(x, element);
  if (wanted == width) return x;
  if (wanted < width) return LLVMBuildTrunc(e->builder, x, type, "");
  return type_class(from) == CLASS_SIGNED ? LLVMBuildSExt(e->builder, x, type, "")
                                          : LLVMBuildZExt(e->builder, x, type, "");
}

static LLVMValueRef integer_to_integer(Emitter *e, LLVMValueRef x, kiln_type from, kiln_type to) {
  Range have = range_of(from), want = range_of(to);
  bool is_signed = type_class(from) == CLASS_SIGNED;
  LLVMTypeRef type = LLVMTypeOf(x);
  if (have.least < want.least) x = lower_call_2(e, INTRINSIC_SMAX, x, lower_splat_integer(type, want.least));
  if (have.most > want.most)
    x = lower_call_2(e, is_signed ? INTRINSIC_SMIN : INTRINSIC_UMIN, x, lower_splat_integer(type, want.most));
  return resize(e, x, from, lower_element(e, to));
}

static LLVMValueRef integer_to_float(Emitter *e, LLVMValueRef x, kiln_type from, LLVMTypeRef element) {
  LLVMTypeRef type = lower_like(x, element);
  if (from == KILN_I32) return LLVMBuildSIToFP(e->builder, x, type, "");
  return LLVMBuildSIToFP(e->builder, resize(e, x, from, e->i32), type, "");
}

/* To i32, to nearest even; `x` is in range. RISC-V's vectors round as they convert. */
static LLVMValueRef round_to_i32(Emitter *e, LLVMValueRef x, bool is_rounded) {
  LLVMTypeRef type = lower_like(x, e->i32);
  return is_rounded ? LLVMBuildFPToSI(e->builder, x, type, "")
                    : lower_call(e, INTRINSIC_LRINT, type, LLVMTypeOf(x), &x, 1);
}

/* x in f32 or f64. The comparisons below are false for NaN, which the last select makes 0. */
static LLVMValueRef float_to_integer(Emitter *e, LLVMValueRef x, kiln_type to) {
  LLVMTypeRef type = LLVMTypeOf(x);
  Range range = range_of(to);
  double most = (double)range.most;
  bool is_inexact = to == KILN_I32 && lower_element_of(x) == e->f32; /* 2^31 - 1 is no f32 */
  bool rounds_first = !target_has(e->target, FEATURE_V) || lower_lane_count(x) == 1;
  LLVMValueRef rounded = rounds_first ? lower_round_even(e, x) : x;
  LLVMValueRef least = lower_splat_real(type, (double)range.least);
  LLVMValueRef largest = lower_splat_real(type, is_inexact ? 0x1.fffffep30 : most);
  LLVMValueRef is_above = LLVMBuildFCmp(e->builder, LLVMRealOGT, rounded, least, "");
  LLVMValueRef clamped = LLVMBuildSelect(e->builder, is_above, rounded, least, ""); /* NaN becomes the least */
  LLVMValueRef is_below = LLVMBuildFCmp(e->builder, LLVMRealOLT, clamped, largest, "");
  clamped = LLVMBuildSelect(e->builder, is_below, clamped, largest, "");
  LLVMValueRef integer = round_to_i32(e, clamped, rounds_first);
  if (is_inexact) {
    LLVMValueRef is_over = LLVMBuildFCmp(e->builder, LLVMRealOGT, rounded, largest, "");
    integer = LLVMBuildSelect(e->builder, is_over, lower_splat_integer(LLVMTypeOf(integer), range.most), integer, "");
  }
  LLVMValueRef is_number = LLVMBuildFCmp(e->builder, LLVMRealORD, x, x, "");
  integer = LLVMBuildSelect(e->builder, is_number, integer, LLVMConstNull(LLVMTypeOf(integer)), "");
  return resize(e, integer, KILN_I32, lower_element(e, to));
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static LLVMValueRef to_f64(Emitter *e, LLVMValueRef x, kiln_type from) {
  if (from == KILN_F64) return x;
  if (!type_is_floating(from)) return integer_to_float(e, x, from, e->f64);
  if (is_small(from)) x = lower_small_to_f32(e, x, from);
  return LLVMBuildFPExt(e->builder, x, lower_like(x, e->f64), "");
}

static LLVMValueRef to_f32(Emitter *e, LLVMValueRef x, kiln_type from) {
  if (from == KILN_F32) return x;
  if (from == KILN_F64) return LLVMBuildFPTrunc(e->builder, x, lower_like(x, e->f32), "");
  return is_small(from) ? lower_small_to_f32(e, x, from) : integer_to_float(e, x, from, e->f32);
}

/* Rounding twice, first to f32, is right where the first is exact or to odd. */
static LLVMValueRef to_small(Emitter *e, LLVMValueRef x, kiln_type from, kiln_type to) {
  bool is_wide = from == KILN_F64 || from == KILN_I32;
  LLVMValueRef real = is_wide ? lower_f64_to_odd(e, to_f64(e, x, from)) : to_f32(e, x, from);
  return lower_f32_to_small(e, real, to);
}

LLVMValueRef lower_convert(Emitter *e, LLVMValueRef x, kiln_type from, kiln_type to) {
  if (from == to) return x;
  if (to == KILN_F64) return to_f64(e, x, from);
  if (to == KILN_F32) return to_f32(e, x, from);
  if (is_small(to)) return to_small(e, x, from, to);
  if (is_small(from)) {
    x = lower_small_to_f32(e, x, from);
    from = KILN_F32;
  }
  if (to == KILN_BOOL) {
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(x));
    return type_is_floating(from) ? LLVMBuildFCmp(e->builder, LLVMRealUNE, x, zero, "")
                                  : LLVMBuildICmp(e->builder, LLVMIntNE, x, zero, "");
  }
  return type_is_floating(from) ? float_to_integer(e, x, to) : integer_to_integer(e, x, from, to);
}
