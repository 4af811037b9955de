/* interpret_elementwise.c: operations that give each element from the same element of each operand.
 *
 * Floats are computed in double and rounded to the type, which for + - * / and square root of types up to f32 is the
 * same as rounding once (double has more than twice their digits); functions are libm's, rounded likewise. Integers
 * wrap. */
#include "ir/tile/interpret.h"

#include <math.h>

/* The low bits: what addition, product and bitwise operations of the width give. */
double interp_wrap(kiln_type type, int64_t exact) {
  unsigned bits = type == KILN_BOOL ? 1 : type_bits(type);
  int64_t values = (int64_t)1 << bits;
  int64_t low = exact & (values - 1);
  return (double)(type_class(type) == CLASS_SIGNED && low >= values / 2 ? low - values : low);
}

/* Integers come here exact: sums and negations of any two fit in a double. */
double interp_finish(kiln_type type, double exact) {
  return type_is_floating(type) ? type_round(type, exact) : interp_wrap(type, (int64_t)exact);
}

double interp_add(kiln_type type, double x, double y) { return interp_finish(type, x + y); }

/* fmax would give the number where one is NaN. */
double interp_max(double x, double y) { return isnan(x) || isnan(y) ? (double)NAN : x > y ? x : y; }

/* One rounding, but in bf16: there a term beyond the 53 digits of a double can break a tie that it then does not. */
double interp_fma(kiln_type type, double x, double y, double z) {
  if (type == KILN_F32) return (double)fmaf((float)x, (float)y, (float)z);
  if (type_is_floating(type)) return type_round(type, fma(x, y, z));
  return interp_wrap(type, (int64_t)x * (int64_t)y + (int64_t)z);
}

/* ---- one operand ------------------------------------------------------------------------------------------------ */

typedef double UnaryFunction(double x);

static void map_unary(const Step *step, UnaryFunction *function) {
  const Slot *x = step->operands[0];
  Slot *result = step->results[0];
  for (int i = 0; i < slot_count(result); i++) {
    result->elements[i] = interp_finish(result->type.type, function(x->elements[i]));
    result->unspecified[i] = x->unspecified[i];
  }
}

static double negate(double x) { return -x; }
static double reciprocal_root(double x) { return 1 / sqrt(x); }

INTERP_BY(tile_neg, map_unary, negate)
INTERP_BY(tile_abs, map_unary, fabs)
INTERP_BY(tile_round, map_unary, nearbyint)
INTERP_BY(tile_sqrt, map_unary, sqrt)
INTERP_BY(tile_rsqrt, map_unary, reciprocal_root)
INTERP_BY(tile_exp, map_unary, exp)
INTERP_BY(tile_log, map_unary, log)
INTERP_BY(tile_tanh, map_unary, tanh)
INTERP_BY(tile_erf, map_unary, erf)

/* Integers to integers saturate as well: unlike arithmetic, which wraps. */
void interp_tile_convert(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *x = step->operands[0];
  Slot *result = step->results[0];
  for (int i = 0; i < slot_count(result); i++) {
    result->elements[i] = type_round(result->type.type, x->elements[i]);
    result->unspecified[i] = x->unspecified[i];
  }
}

/* ---- two operands, broadcast ------------------------------------------------------------------------------------ */

typedef double BinaryFunction(kiln_type type, double x, double y);

/* `type` of the function is the operands': a comparison's result is bool. */
static void map_binary(const Step *step, BinaryFunction *function) {
  const Slot *x = step->operands[0], *y = step->operands[1];
  Slot *result = step->results[0];
  for (int i = 0; i < result->type.rows; i++) {
    for (int j = 0; j < result->type.cols; j++) {
      int at = slot_at(result, i, j), at_x = slot_at(x, i, j), at_y = slot_at(y, i, j);
      result->elements[at] = function(x->type.type, x->elements[at_x], y->elements[at_y]);
      result->unspecified[at] = x->unspecified[at_x] || y->unspecified[at_y];
    }
  }
}

static double subtract(kiln_type type, double x, double y) { return interp_finish(type, x - y); }

/* The product of two i32 has more digits than a double. */
static double multiply(kiln_type type, double x, double y) {
  return type_is_floating(type) ? type_round(type, x * y) : interp_wrap(type, (int64_t)x * (int64_t)y);
}

/* 1 / 0 is infinite and 0 / 0 is NaN, as IEEE 754 has it. */
static double divide(kiln_type type, double x, double y) { return type_round(type, x / y); }

static double smaller(kiln_type type, double x, double y) {
  (void)type;
  return isnan(x) || isnan(y) ? (double)NAN : x < y ? x : y;
}

static double larger(kiln_type type, double x, double y) {
  (void)type;
  return interp_max(x, y);
}

/* Operands are sign- or zero-extended to 64 bits, which changes none of the low bits. */
static double bits_and(kiln_type type, double x, double y) { return interp_wrap(type, (int64_t)x & (int64_t)y); }
static double bits_or(kiln_type type, double x, double y) { return interp_wrap(type, (int64_t)x | (int64_t)y); }
static double bits_xor(kiln_type type, double x, double y) { return interp_wrap(type, (int64_t)x ^ (int64_t)y); }

/* With NaN all but != are false, in C as in tile IR. */
static double is_less(kiln_type type, double x, double y) {
  (void)type;
  return x < y;
}

static double is_less_or_equal(kiln_type type, double x, double y) {
  (void)type;
  return x <= y;
}

static double is_equal(kiln_type type, double x, double y) {
  (void)type;
  return x == y;
}

static double is_unequal(kiln_type type, double x, double y) {
  (void)type;
  return x != y;
}

INTERP_BY(tile_add, map_binary, interp_add)
INTERP_BY(tile_sub, map_binary, subtract)
INTERP_BY(tile_mul, map_binary, multiply)
INTERP_BY(tile_div, map_binary, divide)
INTERP_BY(tile_min, map_binary, smaller)
INTERP_BY(tile_max, map_binary, larger)
INTERP_BY(tile_and, map_binary, bits_and)
INTERP_BY(tile_or, map_binary, bits_or)
INTERP_BY(tile_xor, map_binary, bits_xor)
INTERP_BY(tile_lt, map_binary, is_less)
INTERP_BY(tile_le, map_binary, is_less_or_equal)
INTERP_BY(tile_eq, map_binary, is_equal)
INTERP_BY(tile_ne, map_binary, is_unequal)

/* ---- three operands, broadcast ---------------------------------------------------------------------------------- */

void interp_tile_fma(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *x = step->operands[0], *y = step->operands[1], *z = step->operands[2];
  Slot *result = step->results[0];
  for (int i = 0; i < result->type.rows; i++) {
    for (int j = 0; j < result->type.cols; j++) {
      int at = slot_at(result, i, j), at_x = slot_at(x, i, j), at_y = slot_at(y, i, j), at_z = slot_at(z, i, j);
      result->elements[at] = interp_fma(result->type.type, x->elements[at_x], y->elements[at_y], z->elements[at_z]);
      result->unspecified[at] = x->unspecified[at_x] || y->unspecified[at_y] || z->unspecified[at_z];
    }
  }
}

/* An unspecified element in the arm that is not chosen does no harm. */
void interp_tile_select(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *condition = step->operands[0];
  Slot *result = step->results[0];
  for (int i = 0; i < result->type.rows; i++) {
    for (int j = 0; j < result->type.cols; j++) {
      int at = slot_at(result, i, j), at_condition = slot_at(condition, i, j);
      const Slot *chosen = step->operands[condition->elements[at_condition] != 0 ? 1 : 2];
      int at_chosen = slot_at(chosen, i, j);
      result->elements[at] = chosen->elements[at_chosen];
      result->unspecified[at] = condition->unspecified[at_condition] || chosen->unspecified[at_chosen];
    }
  }
}
