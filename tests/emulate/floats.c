/* floats.c: see floats.h. */
#include "tests/emulate/floats.h"

#include <float.h>
#include <math.h>

double float_add_to_odd(double x, double y) {
  double sum = x + y;
  double part = sum - x;
  double error = (x - (sum - part)) + (y - part); /* exact, after Knuth */
  if (error == 0 || !isfinite(sum)) return sum;
  union {
    double value;
    uint64_t bits;
  } cast = {.value = sum};
  if (cast.bits & 1) return sum;
  bool is_beyond = (error > 0) != (sum > 0); /* the sum was rounded away from zero */
  cast.bits = is_beyond ? cast.bits - 1 : cast.bits + 1;
  return cast.value;
}

static uint32_t first_nan(uint32_t a, uint32_t b, uint32_t c) {
  if (float_is_nan(a)) return float_quiet(a);
  if (float_is_nan(b)) return float_quiet(b);
  if (float_is_nan(c)) return float_quiet(c);
  return FLOAT_DEFAULT_NAN;
}

/* Tininess is detected after rounding as if the exponent had no bound (SDM vol. 1, "Numeric Underflow Exception"), so a
 * value that rounds up to the least normal number from less than a quarter of a last place below it is normal, and
 * others below are flushed. */
static uint32_t flush_rounded(double exact, uint32_t rounded) {
  double magnitude = fabs(exact);
  double least_kept = (double)FLT_MIN * (1 - 0x1p-25);
  return magnitude < least_kept ? rounded & 0x80000000 : (rounded & 0x80000000) | 0x00800000;
}

uint32_t float_fma(uint32_t a, uint32_t b, uint32_t c, Denormals denormals) {
  if (denormals == DENORMALS_FLUSH_ALL) a = float_flush(a), b = float_flush(b), c = float_flush(c);
  float x = float_from_bits(a), y = float_from_bits(b), z = float_from_bits(c);
  float result = fmaf(x, y, z);
  uint32_t bits = float_bits(result), magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return first_nan(a, b, c);
  if (magnitude > 0x00800000 || magnitude == 0) return bits;
  return flush_rounded(float_add_to_odd((double)x * (double)y, (double)z), bits);
}

/* A sum of floats is a multiple of the least denormal, so below the least normal number it is exact. */
uint32_t float_add(uint32_t a, uint32_t b, Denormals denormals) {
  if (denormals == DENORMALS_FLUSH_ALL) a = float_flush(a), b = float_flush(b);
  uint32_t bits = float_bits(float_from_bits(a) + float_from_bits(b));
  return float_is_nan(bits) ? first_nan(a, b, 0) : float_flush(bits);
}

uint16_t float_to_bf16(uint32_t bits) {
  if (float_is_nan(bits)) return (uint16_t)(bits >> 16 | 0x40);
  bits = float_flush(bits);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

uint32_t float_from_f16(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3FF;
  if (exponent == 31) return sign | 0x7F800000 | fraction << 13 | (fraction ? 0x00400000 : 0);
  if (exponent == 0) return sign | float_bits((float)fraction * 0x1p-24f);
  return sign | (exponent + 112) << 23 | fraction << 13;
}
