/* gemm.c: recognises C = epilogue(A @ B): one product of two matrices that are inputs (either may be transposed), and
 * any element-wise graph of it and of inputs of shape [], [n], [1, n], [m, 1], [m, n], with one or several results.
 * All of them may have leading axes, one matrix for each element of a batch, which broadcast.
 *
 * Where both factors are dequantised bytes, dequant(a, s, z) @ dequant(b, t, u), it is a product of integers: scales
 * a tensor or a row of A, a tensor or a column of B can be taken out of the sum, zero points become sums of rows and
 * columns (gemm_quant.c). */
#include "templates/gemm.h"

#include <math.h>

GemmOperand gemm_operand(const kiln_graph *graph, const int *inputs_of_nodes, int number) {
  const Node *node = graph_node(graph, number);
  bool transposed = node->op == KILN_OP_TRANSPOSE;
  if (transposed) number = node->operands[0];
  if (inputs_of_nodes[number] < 0) return (GemmOperand){.input = -1};
  return (GemmOperand){inputs_of_nodes[number], graph_node(graph, number), transposed};
}

BufType gemm_view(const Node *node, bool transposed) {
  BufType type = buf_of_node(node);
  for (; type.rank > 2; --type.rank)
    for (int axis = 0; axis + 1 < type.rank; ++axis) {
      type.dims[axis] = type.dims[axis + 1];
      type.strides[axis] = type.strides[axis + 1];
    }
  return transposed && type.rank == 2 ? gemm_turned(type) : type;
}

static int find_product(const kiln_graph *graph, Text *why_not) {
  int product = -1;
  for (size_t i = 0; i < graph->nodes.count; ++i) {
    const Node *node = graph->nodes.items[i];
    if (node->op == KILN_OP_GROUPED_MATMUL) text_add(why_not, "it has a grouped product");
    else if (node->op == KILN_OP_MATMUL && product >= 0) text_add(why_not, "it has more than one product");
    else if (node->op == KILN_OP_MATMUL) product = (int)i;
    if (why_not->length > 0) return -1;
  }
  if (product < 0) text_add(why_not, "it has no matrix product");
  return product;
}

static bool check_factor(const Node *node, const char *side, Text *why_not) {
  if (node == NULL) {
    text_printf(why_not, "the %s operand of the product is computed, not an input", side);
  } else if (node->shape.rank < 2) {
    text_printf(why_not, "'%s' has %d axes, expected at least 2", node->name, node->shape.rank);
  } else if (type_bits(node->type) < 8 || node->type == KILN_BOOL) {
    text_printf(why_not, "'%s' is %s, which no product takes as it is", node->name, kiln_type_name(node->type));
  } else {
    return true;
  }
  return false;
}

/* Both floats, added in f32 (f64 only with its own), or both integers, added in i32. */
static bool check_types(GemmMatch *match, const Node *product, Text *why_not) {
  kiln_type a = match->a.node->type, b = match->b.node->type;
  match->acc = match->is_quantised ? KILN_I32 : product->compute;
  if (type_is_floating(a) == type_is_floating(b)) return true;
  text_printf(why_not, "'%s' is %s and '%s' is %s, which no product pairs", match->a.node->name, kiln_type_name(a),
              match->b.node->name, kiln_type_name(b));
  return false;
}

/* Whether a dimension broadcasts to `full`. */
static bool fits(Dim d, Dim full) { return dim_is_one(d) || dim_equal(d, full); }

/* Axis `axis` of the product, counted from the last one: n, m, the batch. */
static Dim axis_from_last(const GemmMatch *match, int axis) {
  return axis == 0 ? match->n : axis == 1 ? match->m : match->batch[match->batch_rank + 1 - axis];
}

int64_t gemm_batch(const GemmMatch *match, const int64_t *symbols) {
  int64_t count = 1;
  for (int i = 0; i < match->batch_rank; ++i) count *= dim_value(match->batch[i], symbols);
  return count;
}

/* ---- quantised factors ------------------------------------------------------------------------------------------- */

/* One for the tensor, a row of A, or a column of B; and an input or a number. */
static bool check_quant_operand(const kiln_graph *graph, const GemmMatch *match, bool is_a, int number, Text *why_not) {
  const Node *node = graph_node(graph, number);
  const Shape *s = &node->shape;
  bool good = true;
  for (int axis = 0; axis < s->rank; ++axis) {
    bool is_row = s->rank == 2 && axis == 0;
    good &= dim_is_one(s->dims[axis]) || (is_row == is_a && dim_equal(s->dims[axis], is_a ? match->m : match->n));
  }
  good &= s->rank <= 2 && (s->rank < 2 || node->op != KILN_OP_TRANSPOSE);
  bool is_leaf = node->op == KILN_OP_NUMBER || match->inputs_of_nodes[number] >= 0;
  if (good && is_leaf) return true;
  text_printf(why_not, "a scale or zero point of the %s operand is not one a tensor%s", is_a ? "left" : "right",
              is_a ? " or a row" : " or a column");
  return false;
}

/* Zero points are whole numbers, or integers by type. */
static bool check_zero(const Node *zero, Text *why_not) {
  bool good = zero->op == KILN_OP_NUMBER ? rint(node_number(zero)) == node_number(zero) : type_is_integer(zero->type);
  if (!good) text_add(why_not, "a zero point is no integer");
  return good;
}

/* The largest |q - zero| of a factor; a zero point that is an input lies in the range of bytes. */
static double largest_factor(const kiln_graph *graph, const Node *factor, const GemmQuant *quant) {
  double low = factor->type == KILN_I8 ? INT8_MIN : 0, high = low + UINT8_MAX, zero = 0;
  const Node *point = quant->zero >= 0 ? graph_node(graph, quant->zero) : NULL;
  if (point != NULL && point->op != KILN_OP_NUMBER) return high - low;
  if (point != NULL) zero = node_number(point);
  return fmax(fabs(low - zero), fabs(high - zero));
}

/* Products are added up in i32, which must hold whatever bytes there are. */
static bool check_sums(const kiln_graph *graph, const GemmMatch *match, Text *why_not) {
  enum { USUAL_K = 4096 }; /* where it is not known */
  double k = match->k.symbol < 0 ? fmax((double)match->k.size, 1) : USUAL_K;
  double a = largest_factor(graph, match->a.node, &match->a_quant);
  double b = largest_factor(graph, match->b.node, &match->b_quant);
  if (k * a * b <= INT32_MAX) return true;
  text_printf(why_not, "%g products of up to %g x %g may not fit i32", k, a, b);
  return false;
}

static bool is_dequant(const kiln_graph *graph, int number) { return graph_node(graph, number)->op == KILN_OP_DEQUANT; }

static bool is_byte(const Node *node) { return node->type == KILN_I8 || node->type == KILN_U8; }

/* Looks through the dequantisation of a factor; `number` becomes what is quantised. */
static GemmQuant find_quant(const kiln_graph *graph, int *number) {
  GemmQuant quant = {-1, -1, -1};
  const Node *node = graph_node(graph, *number);
  if (node->op != KILN_OP_DEQUANT) return quant;
  quant = (GemmQuant){*number, node->operands[1], node->operand_count > 2 ? node->operands[2] : -1};
  *number = node->operands[0];
  return quant;
}

static bool check_quant(const kiln_graph *graph, const GemmMatch *match, Text *why_not) {
  for (int side = 0; side < 2; ++side) {
    const GemmQuant *quant = side == 0 ? &match->a_quant : &match->b_quant;
    const Node *dequant = graph_node(graph, quant->dequant);
    const Node *node = side == 0 ? match->a.node : match->b.node;
    if (!is_byte(node)) text_printf(why_not, "'%s' is %s, expected i8 or u8", node->name, kiln_type_name(node->type));
    else if (dequant->type != dequant->compute) text_add(why_not, "a dequantised factor is rounded before the product");
    else if (dequant->use_count > 1) text_add(why_not, "a dequantised factor is used elsewhere too");
    if (why_not->length > 0) return false;
    if (!check_quant_operand(graph, match, side == 0, quant->scale, why_not)) return false;
    if (quant->zero < 0) continue;
    if (!check_zero(graph_node(graph, quant->zero), why_not)) return false;
    if (!check_quant_operand(graph, match, side == 0, quant->zero, why_not)) return false;
  }
  return check_sums(graph, match, why_not);
}

/* ---- epilogue ---------------------------------------------------------------------------------------------------- */

static bool check_operand(const GemmMatch *match, const Node *node, Text *why_not) {
  const Shape *s = &node->shape;
  const char *name = node->name != NULL ? node->name : graph_op_info(node->op)->spelling;
  bool good = s->rank <= match->batch_rank + 2;
  for (int axis = 0; good && axis < s->rank; ++axis)
    good = fits(s->dims[s->rank - 1 - axis], axis_from_last(match, axis));
  if (!good) text_printf(why_not, "'%s' does not broadcast to the product's rows and columns", name);
  else if (type_bits(node->type) < 8)
    text_printf(why_not, "'%s' is %s, two elements a byte", name, kiln_type_name(node->type));
  return why_not->length == 0;
}

/* An epilogue node: element-wise, of the product's shape or one that broadcasts to it. */
static bool check_epilogue_node(const kiln_graph *graph, const GemmMatch *match, int number, Text *why_not) {
  const Node *node = graph_node(graph, number);
  if (!elementwise_covers(node)) {
    text_printf(why_not, "'%s' after the product is not element-wise", graph_op_info(node->op)->spelling);
    return false;
  }
  if (!check_operand(match, node, why_not)) return false;
  for (int i = 0; i < node->operand_count; ++i)
    if (!check_operand(match, graph_node(graph, node->operands[i]), why_not)) return false;
  return true;
}

static bool is_leaf(const GemmMatch *match, const kiln_graph *graph, int number) {
  return graph_node(graph, number)->op == KILN_OP_NUMBER ||
         gemm_operand(graph, match->inputs_of_nodes, number).node != NULL;
}

/* A result: the product, an epilogue node or the transpose of one, of the full shape. */
static bool check_output(const kiln_graph *graph, const GemmMatch *match, int number, Text *why_not) {
  const Node *node = graph_node(graph, number);
  bool transposed = node->op == KILN_OP_TRANSPOSE;
  const Node *value = transposed ? graph_node(graph, node->operands[0]) : node;
  int computed = transposed ? node->operands[0] : number;
  bool full = value->shape.rank == match->batch_rank + 2 && (computed == match->product || elementwise_covers(value));
  for (int axis = 0; full && axis < value->shape.rank; ++axis)
    full = dim_equal(value->shape.dims[value->shape.rank - 1 - axis], axis_from_last(match, axis));
  if (!full || (transposed && node->type != value->type)) {
    text_printf(why_not, "result '%s' does not have the shape of the product", node->name != NULL ? node->name : "?");
    return false;
  }
  return true;
}

static bool is_transposed_result(const kiln_graph *graph, int number) {
  for (size_t i = 0; i < graph->outputs.count; ++i)
    if (graph->outputs.items[i] == number) return graph_node(graph, number)->use_count == 1;
  return false;
}

static double node_cost(const Node *node) {
  switch (graph_op_info(node->op)->form) {
  case FORM_FUNCTION: return node->op == KILN_OP_HARDSWISH || node->op == KILN_OP_HARDSIGMOID ? 4 : 20;
  case FORM_QUANT: return 6;
  case FORM_ARITHMETIC:
  case FORM_COMPARE:
  case FORM_SELECT:
  case FORM_UNARY:
  case FORM_DEQUANT: return node->annotated ? 3 : 1;
  case FORM_INPUT:
  case FORM_NUMBER:
  case FORM_MATMUL:
  case FORM_TRANSPOSE:
  case FORM_REDUCE:
  case FORM_ROWWISE:
  case FORM_MASK:
  case FORM_GATHER:
  case FORM_GROUPED: return 0;
  }
  return 0;
}

static bool check_epilogue(const kiln_graph *graph, GemmMatch *match, Text *why_not) {
  for (size_t i = 0; i < graph->nodes.count; ++i) {
    const Node *node = graph->nodes.items[i];
    int number = (int)i;
    if (number == match->product || is_leaf(match, graph, number)) continue;
    if (number == match->a_quant.dequant || number == match->b_quant.dequant) continue;
    if (node->op == KILN_OP_TRANSPOSE && is_transposed_result(graph, number)) continue;
    if (!check_epilogue_node(graph, match, number, why_not)) return false;
    match->epilogue_cost += node_cost(node);
  }
  for (size_t i = 0; i < graph->outputs.count; ++i)
    if (!check_output(graph, match, graph->outputs.items[i], why_not)) return false;
  return true;
}

bool gemm_match(Plan *plan, Arena *arena, Text *why_not) {
  const kiln_graph *graph = plan->problem.graph;
  GemmMatch *match = ARENA_NEW(arena, GemmMatch);
  match->inputs_of_nodes = ARENA_ARRAY(arena, int, graph->nodes.count);
  for (size_t i = 0; i < graph->nodes.count; ++i) match->inputs_of_nodes[i] = -1;
  for (size_t i = 0; i < graph->inputs.count; ++i) match->inputs_of_nodes[graph->inputs.items[i]] = (int)i;
  match->product = find_product(graph, why_not);
  if (match->product < 0) return false;
  const Node *product = graph_node(graph, match->product);
  int a = product->operands[0], b = product->operands[1];
  if (is_dequant(graph, a) != is_dequant(graph, b)) {
    text_add(why_not, "only one factor of the product is dequantised");
    return false;
  }
  match->is_quantised = is_dequant(graph, a);
  match->a_quant = find_quant(graph, &a);
  match->b_quant = find_quant(graph, &b);
  match->a = gemm_operand(graph, match->inputs_of_nodes, a);
  match->b = gemm_operand(graph, match->inputs_of_nodes, b);
  if (!check_factor(match->a.node, "left", why_not) || !check_factor(match->b.node, "right", why_not)) return false;
  if (!check_types(match, product, why_not)) return false;
  match->batch_rank = product->shape.rank - 2;
  for (int i = 0; i < match->batch_rank; ++i) match->batch[i] = product->shape.dims[i];
  match->m = product->shape.dims[match->batch_rank];
  match->n = product->shape.dims[match->batch_rank + 1];
  match->b_is_shared = match->b.node->use_count > 1 || graph_node(graph, b)->use_count > 1;
  match->k = match->a.node->shape.dims[match->a.node->shape.rank - (match->a.transposed ? 2 : 1)];
  plan->match = match;
  if (match->is_quantised && !check_quant(graph, match, why_not)) return false;
  return check_epilogue(graph, match, why_not);
}

const Template template_gemm = {
    .name = "gemm",
    .meaning =
        "C = epilogue(A @ B): one product of two matrices, or of batches of them, and any element-wise graph of it",
    .is_fallback = false,
    .match = gemm_match,
    .schedule = gemm_schedule,
    .build = gemm_build,
    .bind = gemm_bind,
    .candidates = gemm_candidates,
    .predict = gemm_predict,
    .explain = gemm_explain,
};
