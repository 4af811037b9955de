/* gemm.c: recognises C = epilogue(A @ B): one product of two f32 matrices that are inputs (either may be transposed),
 * and any element-wise graph of it and of inputs of shape [], [n], [1, n], [m, 1], [m, n], with one or several results.
 */
#include "templates/gemm.h"

GemmOperand gemm_operand(const kiln_graph *graph, const int *inputs_of_nodes, int number) {
  const Node *node = graph_node(graph, number);
  bool transposed = node->op == KILN_OP_TRANSPOSE;
  if (transposed) number = node->operands[0];
  if (inputs_of_nodes[number] < 0) return (GemmOperand){.input = -1};
  return (GemmOperand){inputs_of_nodes[number], graph_node(graph, number), transposed};
}

BufType gemm_view(const Node *node, bool transposed) {
  BufType type = buf_of_node(node);
  if (!transposed || type.rank != 2) return type;
  Extent one = {.number = 1, .symbol = EXTENT_NUMBER};
  BufType view = type;
  view.layout = LAYOUT_STRIDED;
  view.dims[0] = type.dims[1];
  view.dims[1] = type.dims[0];
  view.strides[0] = type.layout == LAYOUT_STRIDED ? type.strides[1] : one;
  view.strides[1] = type.layout == LAYOUT_STRIDED ? type.strides[0] : type.dims[1];
  return view;
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
  } else if (node->shape.rank != 2) {
    text_printf(why_not, "'%s' has %d axes, expected 2", node->name, node->shape.rank);
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
  match->acc = product->compute;
  if ((a == KILN_F64) == (b == KILN_F64) && type_is_floating(a) == type_is_floating(b)) return true;
  text_printf(why_not, "'%s' is %s and '%s' is %s, which no product pairs", match->a.node->name, kiln_type_name(a),
              match->b.node->name, kiln_type_name(b));
  return false;
}

/* Whether a dimension broadcasts to `full`. */
static bool fits(Dim d, Dim full) { return dim_is_one(d) || dim_equal(d, full); }

static bool check_operand(const GemmMatch *match, const Node *node, Text *why_not) {
  const Shape *s = &node->shape;
  const char *name = node->name != NULL ? node->name : graph_op_info(node->op)->spelling;
  bool good = s->rank == 0 || (s->rank == 1 && fits(s->dims[0], match->n)) ||
              (s->rank == 2 && fits(s->dims[0], match->m) && fits(s->dims[1], match->n));
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
  bool full =
      value->shape.rank == 2 && dim_equal(value->shape.dims[0], match->m) && dim_equal(value->shape.dims[1], match->n);
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
  match->a = gemm_operand(graph, match->inputs_of_nodes, product->operands[0]);
  match->b = gemm_operand(graph, match->inputs_of_nodes, product->operands[1]);
  if (!check_factor(match->a.node, "left", why_not) || !check_factor(match->b.node, "right", why_not)) return false;
  if (!check_types(match, product, why_not)) return false;
  match->m = product->shape.dims[0];
  match->n = product->shape.dims[1];
  match->b_is_shared = match->b.node->use_count > 1 || graph_node(graph, product->operands[1])->use_count > 1;
  match->k = match->a.node->shape.dims[match->a.transposed ? 0 : 1];
  plan->match = match;
  return check_epilogue(graph, match, why_not);
}

const Template template_gemm = {
    .name = "gemm",
    .meaning = "C = epilogue(A @ B): one product of two matrices and any element-wise graph of it",
    .is_fallback = false,
    .match = gemm_match,
    .schedule = gemm_schedule,
    .build = gemm_build,
    .bind = gemm_bind,
    .explain = gemm_explain,
};
