/* lanes_minmax.c: VMINMAXP[H,S,D] and VMINMAXS[H,S,D] of AVX10.2 (Intel AVX10.2 specification, "MINMAX instructions"):
 * IEEE 754-2019 minimum, maximum and their relatives by imm8.
 *
 *   imm8[1:0]  0 minimum, 1 maximum, 2 and 3 the same of magnitudes
 *   imm8[3:2]  sign of the result: 0 the first source's, 1 the comparison's, 2 positive, 3 negative
 *   imm8[4]    0 a NaN is the result, 1 the number beside a NaN is
 *
 * LLVM 22.1 asks for 0 and 1 in imm8 where it means 4 and 5 (llvm-project pull request 183452), and gets what it asks
 * for. MXCSR.DAZ is taken as 0. */
#include <math.h>
#include <string.h>

#include "tests/emulate/floats.h"
#include "tests/emulate/half.h"

/* One of the three formats. */
typedef struct Format {
  uint64_t sign, infinity, quiet;
  double (*value)(uint64_t);
} Format;

static double single_value(uint64_t bits) { return (double)float_from_bits((uint32_t)bits); }

static double double_value(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static const Format half_format = {0x8000, 0x7C00, 0x0200, half_value};
static const Format single_format = {0x80000000, 0x7F800000, 0x00400000, single_value};
static const Format double_format = {UINT64_C(1) << 63, UINT64_C(0x7FF) << 52, UINT64_C(1) << 51, double_value};

static bool is_nan(const Format *f, uint64_t bits) { return (bits & ~f->sign) > f->infinity; }
static bool is_signalling(const Format *f, uint64_t bits) { return is_nan(f, bits) && !(bits & f->quiet); }

/* With NaNs: a signalling one before a quiet one, the first source before the second. */
static uint64_t choose_nan(const Format *f, const Lane *x) {
  bool is_first = is_signalling(f, x->a) || (is_nan(f, x->a) && !is_signalling(f, x->b));
  return (is_first ? x->a : x->b) | f->quiet;
}

/* Zeros of both signs: the negative one is less. */
static bool is_less(const Format *f, uint64_t a, uint64_t b) {
  double x = f->value(a), y = f->value(b);
  return x < y || (x == y && (a & f->sign) > (b & f->sign));
}

static uint64_t choose_number(const Format *f, const Lane *x) {
  bool is_maximum = x->imm & 1, by_magnitude = x->imm & 2;
  uint64_t a = x->a, b = x->b;
  if (by_magnitude && fabs(f->value(a)) != fabs(f->value(b))) a &= ~f->sign, b &= ~f->sign;
  return is_less(f, a, b) != is_maximum ? x->a : x->b;
}

static uint64_t with_sign(const Format *f, const Lane *x, uint64_t result) {
  switch (x->imm >> 2 & 3) {
  case 0: return is_nan(f, x->a) ? result : (result & ~f->sign) | (x->a & f->sign);
  case 2: return result & ~f->sign;
  case 3: return result | f->sign;
  default: return result;
  }
}

static uint64_t minmax(const Format *f, const Lane *x) {
  bool a_is_nan = is_nan(f, x->a), b_is_nan = is_nan(f, x->b), keeps_number = x->imm & 16;
  if ((a_is_nan && b_is_nan) || ((a_is_nan || b_is_nan) && !keeps_number)) return choose_nan(f, x);
  uint64_t result = a_is_nan ? x->b : b_is_nan ? x->a : choose_number(f, x);
  return with_sign(f, x, result);
}

uint64_t lane_vminmaxph(const Lane *x) { return minmax(&half_format, x); }
uint64_t lane_vminmaxsh(const Lane *x) { return minmax(&half_format, x); }
uint64_t lane_vminmaxps(const Lane *x) { return minmax(&single_format, x); }
uint64_t lane_vminmaxss(const Lane *x) { return minmax(&single_format, x); }
uint64_t lane_vminmaxpd(const Lane *x) { return minmax(&double_format, x); }
uint64_t lane_vminmaxsd(const Lane *x) { return minmax(&double_format, x); }
