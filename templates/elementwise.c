/* elementwise.c: graph math on tiles: one element-wise node becomes a few tile operations, in the node's compute type,
 * rounded where the graph annotates. Used by every template, on any tile shape; knows nothing of where operands come
 * from. */
#include <math.h>

#include "templates/template.h"

bool elementwise_covers(const Node *node) {
  switch (graph_op_info(node->op)->form) {
  case FORM_ARITHMETIC:
  case FORM_COMPARE:
  case FORM_SELECT:
  case FORM_UNARY:
  case FORM_FUNCTION:
  case FORM_DEQUANT:
  case FORM_QUANT: return true;
  case FORM_INPUT:
  case FORM_NUMBER:
  case FORM_MATMUL:
  case FORM_TRANSPOSE:
  case FORM_REDUCE:
  case FORM_ROWWISE:
  case FORM_MASK:
  case FORM_GATHER:
  case FORM_GROUPED: return false;
  }
  return false;
}

Value *convert_build(Builder *b, Value *x, kiln_type type) {
  if (x->type.type == type) return x;
  return build_typed(b, OP_tile_convert, type_tile(x->type.rows, x->type.cols, type), x, NULL);
}

/* The state of one expansion: small verbs keep the formulas below readable. */
typedef struct Expansion {
  Builder *b;
  kiln_type type;
} Expansion;

static Value *number(const Expansion *e, double value) { return build_const(e->b, value, type_scalar(e->type)); }
static Value *add(const Expansion *e, Value *x, Value *y) { return build_binary(e->b, OP_tile_add, x, y); }
static Value *sub(const Expansion *e, Value *x, Value *y) { return build_binary(e->b, OP_tile_sub, x, y); }
static Value *mul(const Expansion *e, Value *x, Value *y) { return build_binary(e->b, OP_tile_mul, x, y); }
static Value *quotient(const Expansion *e, Value *x, Value *y) { return build_binary(e->b, OP_tile_div, x, y); }
static Value *smaller(const Expansion *e, Value *x, Value *y) { return build_binary(e->b, OP_tile_min, x, y); }
static Value *larger(const Expansion *e, Value *x, Value *y) { return build_binary(e->b, OP_tile_max, x, y); }
static Value *call(const Expansion *e, OpCode code, Value *x) { return build_unary(e->b, code, x); }

/* 1 + exp(x), by which logistic functions of -x divide. Where exp(x) would be subnormal the sum is 1 all the same, and
 * processors take hundreds of cycles for such a number. */
static Value *one_and_exp(const Expansion *e, Value *x) {
  static const double negligible = -80;
  return add(e, number(e, 1), call(e, OP_tile_exp, larger(e, x, number(e, negligible))));
}

static Value *sigmoid(const Expansion *e, Value *x) {
  return quotient(e, number(e, 1), one_and_exp(e, call(e, OP_tile_neg, x)));
}

/* x * sigmoid(x), by one division: sigmoid(x) itself may be subnormal where this is not. */
static Value *silu(const Expansion *e, Value *x) { return quotient(e, x, one_and_exp(e, call(e, OP_tile_neg, x))); }

/* x / 2 * (1 + erf(x / sqrt 2)) */
static Value *gelu(const Expansion *e, Value *x) {
  Value *tail = call(e, OP_tile_erf, mul(e, x, number(e, sqrt(0.5))));
  Value *half = mul(e, x, number(e, 0.5));
  return build_ternary(e->b, OP_tile_fma, half, tail, half);
}

/* x / 2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) = x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)): no cancellation
 * where x < 0 */
static Value *gelu_tanh(const Expansion *e, Value *x) {
  double scale = -2 * sqrt(2 / acos(-1.0));
  Value *cubic = build_ternary(e->b, OP_tile_fma, mul(e, x, x), number(e, scale * 0.044715), number(e, scale));
  return quotient(e, x, one_and_exp(e, mul(e, x, cubic)));
}

static Value *hardsigmoid(const Expansion *e, Value *x) {
  Value *shifted = add(e, x, number(e, 3));
  return quotient(e, smaller(e, larger(e, shifted, number(e, 0)), number(e, 6)), number(e, 6));
}

static Value *leaky_relu(const Expansion *e, Value *x, Value *slope) {
  Value *positive = build_binary(e->b, OP_tile_lt, number(e, 0), x);
  return build_ternary(e->b, OP_tile_select, positive, x, mul(e, slope, x));
}

/* (q - zero) * scale; zero may be absent */
static Value *dequant(const Expansion *e, Value *q, Value *scale, Value *zero) {
  return mul(e, zero != NULL ? sub(e, q, zero) : q, scale);
}

/* round(x / scale) + zero; the conversion to an integer saturates. To f8, whose conversion does not, x / scale + zero
 */
static Value *quant(const Expansion *e, kiln_type to, Value *x, Value *scale, Value *zero) {
  Value *steps = quotient(e, x, scale);
  bool is_floating = type_is_floating(to);
  if (zero != NULL) steps = add(e, is_floating ? steps : call(e, OP_tile_round, steps), zero);
  double most = to == KILN_F8E4M3 ? 448 : 57344;
  return is_floating ? smaller(e, larger(e, steps, number(e, -most)), number(e, most)) : steps;
}

static Value *one_operand(const Expansion *e, kiln_op op, Value *x) {
  switch ((int)op) {
  case KILN_OP_NEG: return call(e, OP_tile_neg, x);
  case KILN_OP_ABS: return call(e, OP_tile_abs, x);
  case KILN_OP_SQUARE: return mul(e, x, x);
  case KILN_OP_SQRT: return call(e, OP_tile_sqrt, x);
  case KILN_OP_RSQRT: return call(e, OP_tile_rsqrt, x);
  case KILN_OP_EXP: return call(e, OP_tile_exp, x);
  case KILN_OP_LOG: return call(e, OP_tile_log, x);
  case KILN_OP_TANH: return call(e, OP_tile_tanh, x);
  case KILN_OP_SIGMOID: return sigmoid(e, x);
  case KILN_OP_RELU: return larger(e, x, number(e, 0));
  case KILN_OP_GELU: return gelu(e, x);
  case KILN_OP_GELU_TANH: return gelu_tanh(e, x);
  case KILN_OP_SILU: return silu(e, x);
  case KILN_OP_HARDSWISH: return mul(e, x, hardsigmoid(e, x));
  case KILN_OP_HARDSIGMOID: return hardsigmoid(e, x);
  default: KILN_ASSERT(!"an element-wise function without its formula"); return x;
  }
}

static Value *more_operands(const Expansion *e, const Node *node, Value *const *v) {
  switch ((int)node->op) {
  case KILN_OP_ADD: return add(e, v[0], v[1]);
  case KILN_OP_SUB: return sub(e, v[0], v[1]);
  case KILN_OP_MUL: return mul(e, v[0], v[1]);
  case KILN_OP_DIV: return quotient(e, v[0], v[1]);
  case KILN_OP_MIN: return smaller(e, v[0], v[1]);
  case KILN_OP_MAX: return larger(e, v[0], v[1]);
  case KILN_OP_LT: return build_binary(e->b, OP_tile_lt, v[0], v[1]);
  case KILN_OP_LE: return build_binary(e->b, OP_tile_le, v[0], v[1]);
  case KILN_OP_GT: return build_binary(e->b, OP_tile_lt, v[1], v[0]);
  case KILN_OP_GE: return build_binary(e->b, OP_tile_le, v[1], v[0]);
  case KILN_OP_EQ: return build_binary(e->b, OP_tile_eq, v[0], v[1]);
  case KILN_OP_NE: return build_binary(e->b, OP_tile_ne, v[0], v[1]);
  case KILN_OP_WHERE: return build_ternary(e->b, OP_tile_select, v[0], v[1], v[2]);
  case KILN_OP_LEAKY_RELU: return leaky_relu(e, v[0], v[1]);
  case KILN_OP_CLAMP: return smaller(e, larger(e, v[0], v[1]), v[2]);
  case KILN_OP_DEQUANT: return dequant(e, v[0], v[1], v[2]);
  case KILN_OP_QUANT: return quant(e, node->type, v[0], v[1], v[2]);
  default: KILN_ASSERT(!"an element-wise operator without its formula"); return v[0];
  }
}

Value *elementwise_build(Builder *b, const kiln_graph *graph, const Node *node, Value *const *operands) {
  Expansion e = {b, node->compute == KILN_BOOL ? KILN_I32 : node->compute};
  Value *v[GRAPH_MAX_OPERANDS] = {NULL};
  for (int i = 0; i < node->operand_count; ++i) {
    const Node *operand = graph_node(graph, node->operands[i]);
    bool is_condition = node->op == KILN_OP_WHERE && i == 0;
    if (operand->op == KILN_OP_NUMBER) v[i] = number(&e, node_number(operand));
    else v[i] = is_condition ? operands[i] : convert_build(b, operands[i], e.type);
  }
  Value *result = node->operand_count == 1 ? one_operand(&e, node->op, v[0]) : more_operands(&e, node, v);
  return convert_build(b, result, node->type);
}

static Extent extent_of(Dim d) { return (Extent){.number = d.size, .symbol = d.symbol < 0 ? EXTENT_NUMBER : d.symbol}; }

BufType buf_of_node(const Node *node) {
  BufType type = {.type = node->type, .rank = node->shape.rank};
  for (int i = 0; i < node->shape.rank; ++i) {
    type.dims[i] = extent_of(node->shape.dims[i]);
    if (node->has_strides) type.strides[i] = extent_of(node->strides[i]);
  }
  type.layout = node->has_strides ? LAYOUT_STRIDED : LAYOUT_ROW_MAJOR;
  if (node->has_strides && type_bits(node->type) < 8) /* a symbol here is bound to 1 */
    type.strides[type.rank - 1] = (Extent){.number = 1, .symbol = EXTENT_NUMBER};
  return type;
}
