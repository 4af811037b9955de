/* half.h: binary16 numbers as doubles, which hold them, their products and sums exactly enough. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/emulate/instruction.h"

#define HALF_DEFAULT_NAN UINT16_C(0xFE00)

static inline bool half_is_nan(uint64_t bits) { return (bits & 0x7FFF) > 0x7C00; }
static inline uint64_t half_quiet(uint64_t bits) { return bits | 0x0200; }

/* Exact; for NaNs a NaN without their bits. */
double half_value(uint64_t bits);

/* Rounded, denormals kept, past the largest number to that or to infinity by mode; a NaN gives the default one. The
 * value may have been rounded to odd before. */
uint64_t half_round(double value, Rounding rounding);

/* Rounded to an integer. */
double half_round_integer(double value, Rounding rounding);
