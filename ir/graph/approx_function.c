/* approx_function.c: the FUNCTION operators, with bounds (approx.h).
 *
 * Each function is monotone between its turning point and the ends, so where its operand is uncertain its spread is
 * found at the interval's ends and at the turning point. The f64 forms are chosen not to cancel. */
#include <math.h>

#include "ir/graph/approx.h"

typedef struct Function {
  double (*eval)(double x);
  double turning;    /* where it turns; NAN: nowhere */
  double per_x;      /* allowed error in u |x|: of forms that cancel */
  double everywhere; /* allowed error in u */
} Function;

static const double ulps =
    8; /* of a function: what lower/ promises is 2 to 4, and functions built of functions add up */

/* The value, the spread that the operand's bound causes, and what a kernel may miss it by. */
static Approx evaluate(const Function *function, const Arithmetic *arithmetic, Approx x) {
  double value = function->eval(x.value), spread = 0;
  if (x.bound > 0) {
    double low = x.value - x.bound, high = x.value + x.bound;
    spread = fmax(approx_distance(function->eval(low), value), approx_distance(function->eval(high), value));
    if (low < function->turning && function->turning < high)
      spread = fmax(spread, approx_distance(function->eval(function->turning), value));
  }
  if (isnan(value) && isinf(x.value) && function->per_x > 0)
    return (Approx){value, INFINITY}; /* -inf * 0: some ways to compute it give the limit */
  if (!isfinite(value)) return (Approx){value, spread};
  if (value == 0 && x.value == 0 && x.bound == 0) return (Approx){0, 0};
  double relative = 2 * ulps * (fabs(value) + spread);
  double absolute = function->per_x > 0 ? function->per_x * (fabs(x.value) + x.bound) : 0;
  double error = (relative + absolute + function->everywhere) * arithmetic->unit + arithmetic->flushed;
  return (Approx){value, spread + error};
}

static double rsqrt(double x) { return 1 / sqrt(x); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
/* x Phi(x); erfc is small where 1 + erf would cancel */
static double gelu(double x) { return 0.5 * x * erfc(-x * sqrt(0.5)); }
/* (1 + tanh(z)) / 2 is sigmoid(2 z) */
static double gelu_tanh(double x) { return x * sigmoid(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)); }
static double silu(double x) { return x * sigmoid(x); }
/* fmin and fmax would swallow a NaN */
static double hardsigmoid(double x) { return isnan(x) ? x : fmin(fmax(x + 3, 0), 6) / 6; }
static double hardswish(double x) { return x * hardsigmoid(x); }

#define FUNCTION(name, eval, turning, per_x, everywhere)                                                               \
  Approx approx_##name(const Arithmetic *arithmetic, const Approx *x, int count) {                                     \
    static const Function function = {eval, turning, per_x, everywhere};                                               \
    (void)count;                                                                                                       \
    return evaluate(&function, arithmetic, *x);                                                                        \
  }
/* clang-format off */
/*        op           f64          turning point        per_x  everywhere */
FUNCTION( SQRT,        sqrt,        NAN,                 0,     0 )
FUNCTION( RSQRT,       rsqrt,       NAN,                 0,     0 )
FUNCTION( EXP,         exp,         NAN,                 0,     0 )
FUNCTION( LOG,         log,         NAN,                 0,     0 )
FUNCTION( TANH,        tanh,        NAN,                 0,     0 )
FUNCTION( SIGMOID,     sigmoid,     NAN,                 0,     0 )
FUNCTION( GELU,        gelu,        -0.7517915246935645, 4,     0 )
FUNCTION( GELU_TANH,   gelu_tanh,   -0.7524614220710163, 4,     0 )
FUNCTION( SILU,        silu,        -1.2784645427610738, 4,     0 )
FUNCTION( HARDSWISH,   hardswish,   -1.5,                4,     0 )
FUNCTION( HARDSIGMOID, hardsigmoid, NAN,                 0,     4 )
/* clang-format on */
