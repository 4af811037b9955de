/* approx.c: one element of each element-wise operator, with its bound (approx.h).
 *
 * approx_<OP> computes the value in f64 and carries the operands' bounds through. Infinities and NaN that come from
 * exact operands are exact results. */
#include "ir/graph/approx.h"

#include <float.h>
#include <math.h>

Arithmetic arithmetic_of(kiln_type compute) {
  if (compute == KILN_F64) return (Arithmetic){compute, 0x1p-52, 0x1p-1074, 0x1p-1022, DBL_MAX};
  if (compute == KILN_F32) return (Arithmetic){compute, 0x1p-24, 0x1p-149, 0x1p-126, FLT_MAX};
  return (Arithmetic){compute, 0, 0, 0, DBL_MAX};
}

double arithmetic_gamma(const Arithmetic *arithmetic, double roundings) {
  double nu = roundings * arithmetic->unit;
  return nu < 1 ? nu / (1 - nu) : INFINITY;
}

double approx_distance(double a, double b) {
  if (a == b || (isnan(a) && isnan(b))) return 0;
  double distance = fabs(a - b);
  return isnan(distance) ? INFINITY : distance;
}

/* Conversions of large unsigned numbers are the implementation's in C11: no conversion here is one. */
int32_t approx_wrap(int64_t value) {
  uint32_t low = (uint32_t)(uint64_t)value;
  return low < 0x80000000u ? (int32_t)low : (int32_t)(low - 0x80000000u) + INT32_MIN;
}

Approx approx_settle(const Arithmetic *arithmetic, Approx x) {
  if (isnan(x.bound)) x.bound = INFINITY;
  if (isfinite(x.value) && fabs(x.value) + x.bound > arithmetic->largest) x.bound = INFINITY;
  return x;
}

Approx approx_round(kiln_type type, Approx x) {
  double value = type_round(type, x.value);
  if (x.bound == 0) return (Approx){value, 0};
  bool open = isinf(x.bound);
  double low = type_round(type, open ? -INFINITY : x.value - x.bound);
  double high = type_round(type, open ? INFINITY : x.value + x.bound);
  return (Approx){value, fmax(approx_distance(value, low), approx_distance(high, value))};
}

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

static bool is_integer(const Arithmetic *arithmetic) { return arithmetic->type == KILN_I32; }
static bool is_exact(const Approx *x, int count) {
  for (int i = 0; i < count; i++)
    if (x[i].bound != 0) return false;
  return true;
}

/* Integers: `value` before wrapping, `reach` the largest magnitude that operands within their bounds give. */
static Approx wrapped(int64_t value, double bound, double reach) {
  return (Approx){approx_wrap(value), bound > 0 && reach >= 0x1p31 ? INFINITY : bound};
}

/* One rounding of `value`, which operands of these bounds spread by `spread`. */
static double rounding(const Arithmetic *arithmetic, double value, double spread) {
  bool is_held = arithmetic->type == KILN_F32 && (double)(float)value == value;
  return spread == 0 && is_held ? 0 : arithmetic->unit * (fabs(value) + spread);
}

/* A power of two divides and multiplies without rounding. */
static bool is_power_of_two(double value) {
  int exponent;
  return isnormal(value) && fabs(frexp(value, &exponent)) == 0.5;
}

/* ---- sums and products ------------------------------------------------------------------------------------------- */

/* An infinity or NaN that an operand brought stays whatever the other is. */
static Approx sum(const Arithmetic *arithmetic, Approx a, Approx b) {
  double value = a.value + b.value, spread = a.bound + b.bound;
  if (is_integer(arithmetic)) return wrapped((int64_t)a.value + (int64_t)b.value, spread, fabs(value) + spread);
  if (isfinite(value)) return (Approx){value, spread + rounding(arithmetic, value, spread)};
  bool is_brought = !isfinite(a.value) || !isfinite(b.value);
  return (Approx){value, is_brought && isfinite(spread) ? 0 : INFINITY};
}

/* Whether an operand's sign, and that it is not 0, are beyond doubt. */
static bool is_firm(Approx x) { return x.bound == 0 || fabs(x.value) > x.bound; }

/* The bound of an infinity or NaN: exact operands and firm signs make it certain. */
static double special_bound(Approx a, Approx b) {
  bool has_nan = (isnan(a.value) && a.bound == 0) || (isnan(b.value) && b.bound == 0);
  return has_nan || (is_firm(a) && is_firm(b)) ? 0 : INFINITY;
}

static Approx product(const Arithmetic *arithmetic, Approx a, Approx b) {
  double value = a.value * b.value;
  double spread = fabs(a.value) * b.bound + a.bound * fabs(b.value) + a.bound * b.bound;
  if (is_integer(arithmetic)) return wrapped((int64_t)a.value * (int64_t)b.value, spread, fabs(value) + spread);
  if (!isfinite(value)) return (Approx){value, special_bound(a, b)};
  double error = rounding(arithmetic, value, spread);
  return (Approx){value, spread + error + (error > 0 ? arithmetic->least : 0)};
}

/* `roundings` are those of a reciprocal and a product. */
static Approx quotient(const Arithmetic *arithmetic, Approx a, Approx b, double roundings) {
  double value = a.value / b.value;
  if (!isfinite(value)) return (Approx){value, special_bound(a, b)};
  double spread = 0;
  if (a.bound != 0 || b.bound != 0)
    spread = is_firm(b) ? (a.bound + fabs(value) * b.bound) / (fabs(b.value) - b.bound) : INFINITY;
  bool is_scaling = spread == 0 && is_power_of_two(b.value) && is_power_of_two(1 / b.value);
  double error = is_scaling ? rounding(arithmetic, value, 0) : roundings * arithmetic->unit * (fabs(value) + spread);
  if (a.value == 0 && a.bound == 0) error = 0;
  return (Approx){value, spread + error + (error > 0 ? arithmetic->least : 0)};
}

static Approx negated(Approx x) { return (Approx){-x.value, x.bound}; }

static Approx approx_ADD(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  return sum(arithmetic, x[0], x[1]);
}
static Approx approx_SUB(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  return sum(arithmetic, x[0], negated(x[1]));
}
static Approx approx_MUL(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  return product(arithmetic, x[0], x[1]);
}
static Approx approx_DIV(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  return quotient(arithmetic, x[0], x[1], 2);
}
static Approx approx_SQUARE(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  return product(arithmetic, x[0], x[0]);
}
static Approx approx_NEG(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  if (is_integer(arithmetic)) return wrapped(-(int64_t)x->value, x->bound, fabs(x->value) + x->bound);
  return negated(*x);
}
static Approx approx_ABS(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  double value = fabs(x->value);
  if (is_integer(arithmetic)) return wrapped((int64_t)value, x->bound, value + x->bound);
  return (Approx){value, x->bound};
}

/* ---- choices ----------------------------------------------------------------------------------------------------- */

/* The smaller, or with `sign` -1 the larger. */
static Approx extreme(Approx a, Approx b, double sign) {
  double widest = fmax(a.bound, b.bound);
  if (isnan(a.value) || isnan(b.value)) return (Approx){NAN, isinf(widest) ? INFINITY : 0};
  double x = sign * a.value, y = sign * b.value;
  if (x + a.bound < y - b.bound) return a;
  if (y + b.bound < x - a.bound) return b;
  return (Approx){x < y ? a.value : b.value, widest};
}

static Approx approx_MIN(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)arithmetic, (void)count;
  return extreme(x[0], x[1], 1);
}
static Approx approx_MAX(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)arithmetic, (void)count;
  return extreme(x[0], x[1], -1);
}
static Approx approx_RELU(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)arithmetic, (void)count;
  return extreme(*x, (Approx){0, 0}, -1);
}
static Approx approx_CLAMP(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)arithmetic, (void)count;
  return extreme(extreme(x[0], x[1], -1), x[2], 1);
}

/* Of two values that may both be meant, the first is the value. */
static Approx either(Approx a, Approx b) {
  return (Approx){a.value, fmax(a.bound, approx_distance(a.value, b.value) + b.bound)};
}

static Approx approx_LEAKY_RELU(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)count;
  Approx scaled = approx_settle(arithmetic, product(arithmetic, x[0], x[1]));
  if (x->value - x->bound > 0) return *x;
  if (x->value + x->bound <= 0 || isnan(x->value)) return scaled;
  return x->value > 0 ? either(*x, scaled) : either(scaled, *x);
}

static Approx approx_WHERE(const Arithmetic *arithmetic, const Approx *x, int count) {
  (void)arithmetic, (void)count;
  Approx chosen = x->value != 0 ? x[1] : x[2];
  return x->bound == 0 ? chosen : either(chosen, x->value != 0 ? x[2] : x[1]);
}

/* The answer of a comparison, open where both answers are within the bounds. */
static Approx answer(const Approx *x, bool holds) {
  double doubt = x[0].bound + x[1].bound;
  bool is_open = doubt > 0 && (isinf(doubt) || fabs(x[0].value - x[1].value) <= doubt);
  return (Approx){holds, is_open};
}

#define COMPARE(name, operator)                                                                                        \
  static Approx approx_##name(const Arithmetic *arithmetic, const Approx *x, int count) {                              \
    (void)arithmetic, (void)count;                                                                                     \
    return answer(x, x[0].value operator x[1].value);                                                                  \
  }
COMPARE(LT, <)
COMPARE(LE, <=)
COMPARE(GT, >)
COMPARE(GE, >=)
COMPARE(EQ, ==)
COMPARE(NE, !=)

/* ---- quantisation ------------------------------------------------------------------------------------------------ */

/* One rounding where there is no zero. Otherwise a kernel may multiply out, and both terms round. */
static Approx approx_DEQUANT(const Arithmetic *arithmetic, const Approx *x, int count) {
  Approx q = x[0], scale = x[1], zero = count > 2 ? x[2] : (Approx){0, 0};
  if (zero.value == 0 && zero.bound == 0) return product(arithmetic, q, scale);
  Approx difference = {q.value - zero.value, q.bound + zero.bound};
  Approx exact = product(arithmetic, difference, scale);
  if (!isfinite(exact.value) || (is_exact(x, count) && is_power_of_two(scale.value))) return exact;
  double terms = (fabs(q.value) + q.bound + fabs(zero.value) + zero.bound) * (fabs(scale.value) + scale.bound);
  return (Approx){exact.value, exact.bound + 2 * arithmetic->unit * terms + arithmetic->least};
}

/* Saturated: f8 stops at its largest finite number, which type_round would exceed. */
static double saturate(kiln_type type, double value) {
  double most = type == KILN_F8E4M3 ? 448 : 57344;
  if (type_is_floating(type) && !isnan(value)) value = fmin(fmax(value, -most), most);
  return type_round(type, value);
}

/* Integers round before the zero is added, so that a zero shifts no tie. */
static double quantised(kiln_type type, double scaled, double zero) {
  return saturate(type, (type_is_floating(type) ? scaled : nearbyint(scaled)) + zero);
}

/* Monotone in both operands, so the ends of the intervals bound the result. */
Approx approx_quant(const Arithmetic *arithmetic, kiln_type type, const Approx *x, int count) {
  Approx zero = count > 2 ? x[2] : (Approx){0, 0};
  Approx scaled = approx_settle(arithmetic, quotient(arithmetic, x[0], x[1], 3));
  double value = quantised(type, scaled.value, zero.value);
  bool open = isinf(scaled.bound) || isinf(zero.bound);
  double low = quantised(type, open ? -INFINITY : scaled.value - scaled.bound, open ? 0 : zero.value - zero.bound);
  double high = quantised(type, open ? INFINITY : scaled.value + scaled.bound, open ? 0 : zero.value + zero.bound);
  return (Approx){value, fmax(approx_distance(value, low), approx_distance(high, value))};
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* One row an operator; those of whole rows and tensors are interpreted elsewhere. */
#define ROW_INPUT(name) NULL
#define ROW_NUMBER(name) NULL
#define ROW_MATMUL(name) NULL
#define ROW_TRANSPOSE(name) NULL
#define ROW_ARITHMETIC(name) approx_##name
#define ROW_COMPARE(name) approx_##name
#define ROW_SELECT(name) approx_##name
#define ROW_UNARY(name) approx_##name
#define ROW_FUNCTION(name) approx_##name
#define ROW_DEQUANT(name) approx_##name
#define ROW_QUANT(name) NULL
#define ROW_REDUCE(name) NULL
#define ROW_ROWWISE(name) NULL
#define ROW_MASK(name) NULL
#define ROW_GATHER(name) NULL
#define ROW_GROUPED(name) NULL

static ApproxOp *const op_rows[] = {
#define GRAPH_OP(enumerator, spelling, form, min_operands, max_operands, meaning) ROW_##form(enumerator),
#include "kiln/ops.def"
#undef GRAPH_OP
};

ApproxOp *approx_op(kiln_op op) { return op_rows[op]; }
