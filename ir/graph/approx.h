/* approx.h: numbers with a bound, the arithmetic of the interpreter.
 *
 * A value is what exact arithmetic gives, in f64; the bound is how far the result of a kernel may lie from it. The
 * bounds grant a kernel, with u the unit roundoff of the compute type (2^-24 for f32):
 *   + - *       one rounding; none where exact operands give a number the type holds
 *   /           two (a reciprocal and a product)
 *   sums        any order, each addition rounded
 *   functions   8 units in the last place, and 4 u |x| for those that cancel (gelu, silu, hardswish)
 *   dequant     (q - zero) * scale or q * scale - zero * scale
 *   quant       x / scale or x * (1 / scale)
 *   softmax     a running maximum and rescaled sums; exp(x - m) as 2^(x c - m c)
 *   layer_norm  two passes, not mean(x^2) - mean(x)^2
 * and of denormal results that they are flushed in functions and products. Integers are exact; they wrap. An infinite
 * bound means that anything may come out. */
#ifndef KILN_IR_GRAPH_APPROX_H
#define KILN_IR_GRAPH_APPROX_H

#include "ir/graph/graph.h"

typedef struct Approx {
  double value, bound;
} Approx;

/* What a compute type can do. */
typedef struct Arithmetic {
  kiln_type type;
  double unit;    /* roundoff; for f64 twice, because the interpreter rounds as well */
  double least;   /* smallest step, 2^-149 in f32 */
  double flushed; /* smallest normal number, 2^-126 in f32 */
  double largest;
} Arithmetic;

Arithmetic arithmetic_of(kiln_type compute);
/* n u / (1 - n u): the relative error of n roundings, infinite where that says nothing. */
double arithmetic_gamma(const Arithmetic *arithmetic, double roundings);

/* One element of an ARITHMETIC, COMPARE, SELECT, UNARY, FUNCTION, DEQUANT operator; KILN_OP_DEQUANT with `count` 2
 * or 3. */
typedef Approx ApproxOp(const Arithmetic *arithmetic, const Approx *x, int count);
ApproxOp *approx_op(kiln_op op); /* NULL for other forms */

/* A QUANT with its rounding to `type`. */
Approx approx_quant(const Arithmetic *arithmetic, kiln_type type, const Approx *x, int count);
/* What rounding to `type` makes of a value: the bound then covers all numbers the interval is rounded to. */
Approx approx_round(kiln_type type, Approx x);
/* The bound is infinite where it is NaN, and where f32 may have overflowed. */
Approx approx_settle(const Arithmetic *arithmetic, Approx x);
/* |a - b|; 0 between equal infinities or two NaN, infinite between what has no distance. */
double approx_distance(double a, double b);
int32_t approx_wrap(int64_t value); /* two's complement */

/* FUNCTION operators (approx_function.c). */
#define APPROX_FUNCTIONS(F)                                                                                            \
  F(SQRT) F(RSQRT) F(EXP) F(LOG) F(TANH) F(SIGMOID) F(GELU) F(GELU_TANH) F(SILU) F(HARDSWISH) F(HARDSIGMOID)
#define F(name) ApproxOp approx_##name;
APPROX_FUNCTIONS(F)
#undef F

#endif
