/* lanes_half_convert.c: conversions from and to binary16, and moves, of AVX512-FP16 (SDM vol. 2, VCVTPH2PSX to
 * VCVTUW2PH, VMOVSH, VMOVW).
 *
 * MXCSR.DAZ makes denormal sources of binary32 and binary64 zero, never those of binary16 (vol. 1, "FP16 Instruction
 * Set Overview"). */
#include <math.h>
#include <string.h>

#include "tests/emulate/floats.h"
#include "tests/emulate/half.h"

/* ---- wider and narrower floats ----------------------------------------------------------------------------------- */

static bool has_daz(const Lane *x) { return x->mxcsr >> 6 & 1; }

static double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* NaNs keep the upper bits of their fraction and become quiet. */
static uint64_t from_double(const Lane *x) {
  bool is_nan = (x->b & ~(UINT64_C(1) << 63)) > UINT64_C(0x7FF0000000000000);
  if (is_nan) return (x->b >> 48 & 0x8000) | 0x7E00 | (x->b >> 42 & 0x1FF);
  bool is_denormal = (x->b >> 52 & 0x7FF) == 0;
  return half_round(has_daz(x) && is_denormal ? copysign(0, double_of(x->b)) : double_of(x->b), x->rounding);
}

static uint64_t from_float(const Lane *x) {
  uint32_t bits = (uint32_t)x->b;
  if (float_is_nan(bits)) return (bits >> 16 & 0x8000) | 0x7E00 | (bits >> 13 & 0x1FF);
  return half_round((double)float_from_bits(has_daz(x) ? float_flush(bits) : bits), x->rounding);
}

static uint64_t to_double(const Lane *x) {
  if (half_is_nan(x->b)) return (x->b & 0x8000) << 48 | UINT64_C(0x7FF8000000000000) | (x->b & 0x1FF) << 42;
  return bits_of(half_value(x->b));
}

uint64_t lane_vcvtph2psx(const Lane *x) { return float_from_f16((uint16_t)x->b); }
uint64_t lane_vcvtsh2ss(const Lane *x) { return float_from_f16((uint16_t)x->b); }
uint64_t lane_vcvtps2phx(const Lane *x) { return from_float(x); }
uint64_t lane_vcvtss2sh(const Lane *x) { return from_float(x); }
uint64_t lane_vcvtph2pd(const Lane *x) { return to_double(x); }
uint64_t lane_vcvtsh2sd(const Lane *x) { return to_double(x); }
uint64_t lane_vcvtpd2ph(const Lane *x) { return from_double(x); }
uint64_t lane_vcvtsd2sh(const Lane *x) { return from_double(x); }

/* ---- integers ---------------------------------------------------------------------------------------------------- */

/* Integers that a double rounds are beyond binary16's range, and stay there. */
static uint64_t from_unsigned(const Lane *x) { return half_round((double)x->b, x->rounding); }

static uint64_t from_signed(const Lane *x) {
  int shift = 64 - 8 * x->from;
  return half_round((double)((int64_t)(x->b << shift) >> shift), x->rounding);
}

/* What is no integer of that size becomes the indefinite one: the least signed one, the greatest unsigned one. */
static uint64_t to_integer(const Lane *x, Rounding rounding, bool is_signed) {
  int bits = 8 * x->to;
  double value = half_round_integer(half_value(x->b), rounding), end = ldexp(1, is_signed ? bits - 1 : bits);
  bool is_good = value < end && value >= (is_signed ? -end : 0);
  if (!is_good) return is_signed ? UINT64_C(1) << (bits - 1) : ~UINT64_C(0) >> (64 - bits);
  return (is_signed ? (uint64_t)(int64_t)value : (uint64_t)value) & ~UINT64_C(0) >> (64 - bits);
}

uint64_t lane_vcvtw2ph(const Lane *x) { return from_signed(x); }
uint64_t lane_vcvtdq2ph(const Lane *x) { return from_signed(x); }
uint64_t lane_vcvtqq2ph(const Lane *x) { return from_signed(x); }
uint64_t lane_vcvtsi2sh(const Lane *x) { return from_signed(x); }
uint64_t lane_vcvtuw2ph(const Lane *x) { return from_unsigned(x); }
uint64_t lane_vcvtudq2ph(const Lane *x) { return from_unsigned(x); }
uint64_t lane_vcvtuqq2ph(const Lane *x) { return from_unsigned(x); }
uint64_t lane_vcvtusi2sh(const Lane *x) { return from_unsigned(x); }
uint64_t lane_vcvtph2w(const Lane *x) { return to_integer(x, x->rounding, true); }
uint64_t lane_vcvtph2dq(const Lane *x) { return to_integer(x, x->rounding, true); }
uint64_t lane_vcvtph2uw(const Lane *x) { return to_integer(x, x->rounding, false); }
uint64_t lane_vcvttph2w(const Lane *x) { return to_integer(x, ROUND_ZERO, true); }
uint64_t lane_vcvttph2dq(const Lane *x) { return to_integer(x, ROUND_ZERO, true); }
uint64_t lane_vcvttsh2si(const Lane *x) { return to_integer(x, ROUND_ZERO, true); }
uint64_t lane_vcvttph2uw(const Lane *x) { return to_integer(x, ROUND_ZERO, false); }
uint64_t lane_vcvttph2udq(const Lane *x) { return to_integer(x, ROUND_ZERO, false); }
uint64_t lane_vcvttsh2usi(const Lane *x) { return to_integer(x, ROUND_ZERO, false); }

/* ---- moves ------------------------------------------------------------------------------------------------------- */

uint64_t lane_vmovsh(const Lane *x) { return x->b; }
uint64_t lane_vmovd(const Lane *x) { return x->b; }
uint64_t lane_vmovw(const Lane *x) { return x->b; }
