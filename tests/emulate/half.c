/* half.c: see half.h. */
#include "tests/emulate/half.h"

#include <math.h>

#include "tests/emulate/floats.h"

double half_value(uint64_t bits) { return (double)float_from_bits(float_from_f16((uint16_t)bits)); }

double half_round_integer(double value, Rounding rounding) {
  switch (rounding) {
  case ROUND_DOWN: return floor(value);
  case ROUND_UP: return ceil(value);
  case ROUND_ZERO: return trunc(value);
  case ROUND_NEAREST: break;
  }
  double below = floor(value), part = value - below;
  bool is_up = part > 0.5 || (part == 0.5 && fmod(below, 2) != 0);
  return copysign(is_up ? below + 1 : below, value);
}

/* Whether what is too large becomes infinite (SDM vol. 1, "Numeric Overflow Exception"). */
static bool overflows_to_infinity(Rounding rounding, bool is_negative) {
  return rounding == ROUND_NEAREST || rounding == (is_negative ? ROUND_DOWN : ROUND_UP);
}

uint64_t half_round(double value, Rounding rounding) {
  if (isnan(value)) return HALF_DEFAULT_NAN;
  bool is_negative = signbit(value);
  uint64_t sign = is_negative ? 0x8000 : 0;
  if (isinf(value)) return sign | 0x7C00;
  int exponent = 0; /* of the last place: 2^-24 for denormal and the least normal numbers */
  frexp(value, &exponent);
  exponent = (value == 0 || exponent < -13 ? -13 : exponent) - 11;
  double units = fabs(half_round_integer(ldexp(value, -exponent), rounding));
  if (ldexp(units, exponent) >= 0x1p16) return sign | (overflows_to_infinity(rounding, is_negative) ? 0x7C00 : 0x7BFF);
  return sign | ((uint64_t)(exponent + 24) * 1024 + (uint64_t)units); /* the leading bit carries into the exponent */
}
