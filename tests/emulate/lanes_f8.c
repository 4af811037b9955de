/* lanes_f8.c: conversions between binary16 and the floats of 8 bits, BF8 (E5M2) and HF8 (E4M3), of AVX10.2 (Intel
 * AVX10.2 specification, VCVTHF82PH, VCVTPH2BF8, VCVTPH2HF8 and their forms with two sources), and VCVT2PS2PHX.
 *
 * To nearest even, MXCSR is not consulted, denormals count. The forms in "s" saturate finite numbers; the others give
 * infinity, or for HF8, which has none, NaN. Infinity stays itself in BF8 and is NaN in HF8 in all of them. */
#include "tests/emulate/half.h"

uint64_t lane_vcvthf82ph(const Lane *x) {
  uint64_t sign = (x->b & 0x80) << 8, magnitude = x->b & 0x7F;
  if (magnitude == 0x7F) return sign | 0x7E00;
  int exponent = (int)(magnitude >> 3), fraction = (int)(magnitude & 7);
  double value = exponent == 0 ? fraction * 0x1p-9 : (8 + fraction) * (double)(1 << exponent) * 0x1p-10;
  return sign | half_round(value, ROUND_NEAREST);
}

/* The upper byte of a binary16, rounded; the largest numbers carry into infinity. */
static uint64_t to_bf8(uint64_t bits, bool saturates) {
  if (half_is_nan(bits)) return bits >> 8 | 2;
  if ((bits & 0x7FFF) == 0x7C00) return bits >> 8;
  uint64_t rounded = (bits + 0x7F + (bits >> 8 & 1)) >> 8;
  return saturates && (rounded & 0x7F) == 0x7C ? rounded - 1 : rounded;
}

/* Three digits behind the point from 2^-6 on, below in steps of 2^-9. */
static uint64_t to_hf8(uint64_t bits, bool saturates) {
  uint64_t sign = bits >> 8 & 0x80;
  if ((bits & 0x7FFF) >= 0x7C00) return sign | 0x7F;
  double value = half_value(bits & 0x7FFF), last = 0x1p-9;
  int exponent = 0;
  for (double end = 0x1p-5; value >= end; end *= 2, last *= 2) exponent++;
  uint64_t units = (uint64_t)half_round_integer(value / last, ROUND_NEAREST),
           magnitude = 8 * (uint64_t)exponent + units;
  return sign | (magnitude > 0x7E ? (saturates ? 0x7E : 0x7F) : magnitude);
}

uint64_t lane_vcvtph2bf8(const Lane *x) { return to_bf8(x->b, false); }
uint64_t lane_vcvtph2bf8s(const Lane *x) { return to_bf8(x->b, true); }
uint64_t lane_vcvtph2hf8(const Lane *x) { return to_hf8(x->b, false); }
uint64_t lane_vcvtph2hf8s(const Lane *x) { return to_hf8(x->b, true); }
uint64_t lane_vcvt2ph2bf8(const Lane *x) { return to_bf8(x->b, false); }
uint64_t lane_vcvt2ph2bf8s(const Lane *x) { return to_bf8(x->b, true); }
uint64_t lane_vcvt2ph2hf8(const Lane *x) { return to_hf8(x->b, false); }
uint64_t lane_vcvt2ph2hf8s(const Lane *x) { return to_hf8(x->b, true); }

uint64_t lane_vcvt2ps2phx(const Lane *x) { return lane_vcvtps2phx(x); }
