/* floats.h: floating-point formats and arithmetic as the instructions define them, in bits.
 *
 * Nothing here reads or writes MXCSR. Plain C arithmetic is used where it is exact, or in round to nearest even, the
 * mode of a process that has not changed it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FLOAT_DEFAULT_NAN                                                                                              \
  UINT32_C(0xFFC00000) /* QNaN floating-point indefinite (SDM vol. 1, "Floating-Point Number and NaN Encodings") */

static inline uint32_t float_bits(float value) {
  union {
    float value;
    uint32_t bits;
  } cast = {.value = value};
  return cast.bits;
}

static inline float float_from_bits(uint32_t bits) {
  union {
    uint32_t bits;
    float value;
  } cast = {.bits = bits};
  return cast.value;
}

static inline bool float_is_nan(uint32_t bits) { return (bits & 0x7FFFFFFF) > 0x7F800000; }

/* Quiets a signalling NaN; only for NaNs. */
static inline uint32_t float_quiet(uint32_t bits) { return bits | 0x00400000; }

/* Denormals are zeros (DAZ), and results that are flushed to zero (FTZ): the sign stays. */
static inline uint32_t float_flush(uint32_t bits) { return (bits & 0x7F800000) == 0 ? bits & 0x80000000 : bits; }

/* What happens to denormal numbers. */
typedef enum Denormals { DENORMALS_FLUSH_RESULT, DENORMALS_FLUSH_ALL } Denormals;

/* a * b + c with one rounding to nearest even. Results that are tiny after rounding become zero, denormal operands too
 * with DENORMALS_FLUSH_ALL. Of several NaNs the first of a, b, c is returned, quiet (SDM vol. 1, "Rules for handling
 * NaNs" of FMA: src1 is a multiplicand, then the other, then the addend). */
uint32_t float_fma(uint32_t a, uint32_t b, uint32_t c, Denormals denormals);

/* a + b in the same manner. */
uint32_t float_add(uint32_t a, uint32_t b, Denormals denormals);

/* Rounded to nearest even, denormals as zero, NaN quiet: convert_fp32_to_bfloat16 of VCVTNEPS2BF16 (SDM vol. 2). */
uint16_t float_to_bf16(uint32_t bits);

/* Exact; a signalling NaN becomes quiet. */
uint32_t float_from_f16(uint16_t bits);

/* The sum of two doubles rounded to odd: toward zero, and then the last bit set where that was inexact. Rounding the
 * result again, to at most 51 bits, equals one rounding of the exact sum. */
double float_add_to_odd(double x, double y);
