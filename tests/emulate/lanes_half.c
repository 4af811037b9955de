/* lanes_half.c: arithmetic and comparison of AVX512-FP16 (SDM vol. 2, VADDPH to VSQRTSH, VFMADD*PH, VCMPPH,
 * VRNDSCALEPH).
 *
 * Denormal numbers of binary16 count, whatever MXCSR.DAZ and FTZ say (vol. 1, "FP16 Instruction Set Overview"). Of two
 * NaNs the first source is returned, quiet (vol. 1, "Rules for Handling NaNs"). */
#include <math.h>

#include "tests/emulate/floats.h"
#include "tests/emulate/half.h"

/* ---- two operands ------------------------------------------------------------------------------------------------ */

/* What a NaN among the operands gives; false: there is none. */
static bool propagates_nan(const Lane *x, uint64_t *result) {
  *result = half_quiet(half_is_nan(x->a) ? x->a : x->b);
  return half_is_nan(x->a) || half_is_nan(x->b);
}

/* A sum rounded to odd. The sign of a zero is that of both terms, else it depends on the mode (vol. 1, "Signed
 * Zeros"). */
static uint64_t round_sum(double a, double b, Rounding rounding) {
  double sum = float_add_to_odd(a, b);
  if (sum == 0 && signbit(a) != signbit(b)) sum = rounding == ROUND_DOWN ? -0.0 : 0.0;
  return half_round(sum, rounding);
}

/* Products of two such numbers are exact in a double; of quotients and roots it has more than twice the digits, so that
 * rounding again is harmless. */
uint64_t lane_vaddph(const Lane *x) {
  uint64_t nan;
  return propagates_nan(x, &nan) ? nan : round_sum(half_value(x->a), half_value(x->b), x->rounding);
}
uint64_t lane_vsubph(const Lane *x) {
  uint64_t nan;
  return propagates_nan(x, &nan) ? nan : round_sum(half_value(x->a), -half_value(x->b), x->rounding);
}
uint64_t lane_vmulph(const Lane *x) {
  uint64_t nan;
  return propagates_nan(x, &nan) ? nan : half_round(half_value(x->a) * half_value(x->b), x->rounding);
}
uint64_t lane_vdivph(const Lane *x) {
  uint64_t nan;
  return propagates_nan(x, &nan) ? nan : half_round(half_value(x->a) / half_value(x->b), x->rounding);
}
uint64_t lane_vaddsh(const Lane *x) { return lane_vaddph(x); }
uint64_t lane_vsubsh(const Lane *x) { return lane_vsubph(x); }
uint64_t lane_vmulsh(const Lane *x) { return lane_vmulph(x); }
uint64_t lane_vdivsh(const Lane *x) { return lane_vdivph(x); }

/* The second source wherever neither is less: for NaNs, for zeros of both signs. */
uint64_t lane_vminph(const Lane *x) { return half_value(x->a) < half_value(x->b) ? x->a : x->b; }
uint64_t lane_vmaxph(const Lane *x) { return half_value(x->a) > half_value(x->b) ? x->a : x->b; }
uint64_t lane_vminsh(const Lane *x) { return lane_vminph(x); }
uint64_t lane_vmaxsh(const Lane *x) { return lane_vmaxph(x); }

/* ---- one operand ------------------------------------------------------------------------------------------------- */

uint64_t lane_vsqrtph(const Lane *x) {
  return half_is_nan(x->b) ? half_quiet(x->b) : half_round(sqrt(half_value(x->b)), x->rounding);
}
uint64_t lane_vsqrtsh(const Lane *x) { return lane_vsqrtph(x); }

/* imm[7:4]: digits kept behind the point; imm[2]: MXCSR's rounding, else that of imm[1:0]. */
uint64_t lane_vrndscaleph(const Lane *x) {
  if (half_is_nan(x->b)) return half_quiet(x->b);
  double scale = ldexp(1, x->imm >> 4), value = half_value(x->b);
  if (!isfinite(value)) return x->b;
  Rounding rounding = (Rounding)(x->imm & 4 ? x->mxcsr >> 13 & 3 : x->imm & 3);
  double rounded = half_round_integer(value * scale, rounding) / scale;
  return half_round(copysign(rounded, value), ROUND_NEAREST);
}
uint64_t lane_vrndscalesh(const Lane *x) { return lane_vrndscaleph(x); }

/* ---- comparison -------------------------------------------------------------------------------------------------- */

typedef enum Relation { LESS = 1, EQUAL = 2, GREATER = 4, UNORDERED = 8 } Relation;

static Relation relate(uint64_t a, uint64_t b) {
  double x = half_value(a), y = half_value(b);
  return x < y ? LESS : x > y ? GREATER : x == y ? EQUAL : UNORDERED;
}

/* Predicates 0 to 15; 16 to 31 differ in the exceptions they signal (SDM vol. 2, CMPPD, "Comparison Predicate"). */
static const uint8_t predicates[16] = {EQUAL,
                                       LESS,
                                       LESS | EQUAL,
                                       UNORDERED,
                                       LESS | GREATER | UNORDERED,
                                       EQUAL | GREATER | UNORDERED,
                                       GREATER | UNORDERED,
                                       LESS | EQUAL | GREATER,
                                       EQUAL | UNORDERED,
                                       LESS | UNORDERED,
                                       LESS | EQUAL | UNORDERED,
                                       0,
                                       LESS | GREATER,
                                       EQUAL | GREATER,
                                       GREATER,
                                       LESS | EQUAL | GREATER | UNORDERED};

uint64_t lane_vcmpph(const Lane *x) { return (predicates[x->imm & 15] & relate(x->a, x->b)) != 0; }
uint64_t lane_vcmpsh(const Lane *x) { return lane_vcmpph(x); }

/* ZF, PF and CF at their places in rflags (SDM vol. 2, VCOMISH); x->c is the destination, ModRM.reg. */
uint64_t lane_vcomish(const Lane *x) {
  enum { CF = 1, PF = 4, ZF = 64 };
  switch (relate(x->c, x->b)) {
  case LESS: return CF;
  case EQUAL: return ZF;
  case GREATER: return 0;
  case UNORDERED: break;
  }
  return ZF | PF | CF;
}
uint64_t lane_vucomish(const Lane *x) { return lane_vcomish(x); }

/* ---- fused multiply-add ------------------------------------------------------------------------------------------ */

typedef struct Signs {
  bool negates_product, negates_addend;
} Signs;

/* a * b + c with one rounding. Of several NaNs the first of a, b, c. */
static uint64_t fused(const Lane *x, uint64_t a, uint64_t b, uint64_t c, Signs signs) {
  if (half_is_nan(a)) return half_quiet(a);
  if (half_is_nan(b)) return half_quiet(b);
  if (half_is_nan(c)) return half_quiet(c);
  double product = half_value(a) * half_value(b), addend = half_value(c);
  if (signs.negates_product) product = -product;
  if (signs.negates_addend) addend = -addend;
  return round_sum(product, addend, x->rounding);
}

/* The digits say which operands are multiplied and which is added: 1 the destination, 2 the first source, 3 the second.
 */
#define FUSED(name, product_sign, addend_sign)                                                                         \
  uint64_t lane_v##name##132ph(const Lane *x) {                                                                        \
    return fused(x, x->c, x->b, x->a, (Signs){product_sign, addend_sign});                                             \
  }                                                                                                                    \
  uint64_t lane_v##name##213ph(const Lane *x) {                                                                        \
    return fused(x, x->a, x->c, x->b, (Signs){product_sign, addend_sign});                                             \
  }                                                                                                                    \
  uint64_t lane_v##name##231ph(const Lane *x) {                                                                        \
    return fused(x, x->a, x->b, x->c, (Signs){product_sign, addend_sign});                                             \
  }                                                                                                                    \
  uint64_t lane_v##name##132sh(const Lane *x) { return lane_v##name##132ph(x); }                                       \
  uint64_t lane_v##name##213sh(const Lane *x) { return lane_v##name##213ph(x); }                                       \
  uint64_t lane_v##name##231sh(const Lane *x) { return lane_v##name##231ph(x); }

FUSED(fmadd, false, false)
FUSED(fmsub, false, true)
FUSED(fnmadd, true, false)
FUSED(fnmsub, true, true)
