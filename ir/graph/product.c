/* product.c: the public question which product a graph holds. */
#include "ir/graph/graph.h"

/* The input behind a node that is an input, its transpose or dequantised, as an index among the inputs; -1: neither. */
static int input_behind(const kiln_graph *graph, int number, bool *transposed) {
  const Node *node = graph_node(graph, number);
  if (node->op == KILN_OP_DEQUANT) node = graph_node(graph, number = node->operands[0]);
  *transposed = node->op == KILN_OP_TRANSPOSE;
  if (*transposed) number = node->operands[0];
  for (size_t i = 0; i < graph->inputs.count; ++i)
    if (graph->inputs.items[i] == number) return (int)i;
  return -1;
}

kiln_status kiln_graph_product(const kiln_graph *graph, const int64_t *symbols, kiln_product *product) {
  if (graph == NULL || !graph->checked || product == NULL || (symbols == NULL && graph->symbols.count > 0))
    return KILN_INVALID_ARGUMENT;
  const int64_t none = 0;
  if (symbols == NULL) symbols = &none;
  for (size_t i = 0; i < graph->nodes.count; ++i) {
    const Node *node = graph->nodes.items[i];
    if (node->op != KILN_OP_MATMUL) continue;
    kiln_product found = {.batch = 1};
    int a = input_behind(graph, node->operands[0], &found.a_transposed);
    int b = input_behind(graph, node->operands[1], &found.b_transposed);
    if (a < 0 || b < 0) continue;
    int rank = node->shape.rank;
    const Shape *left = &graph_node(graph, node->operands[0])->shape;
    if (left->rank < 2 || graph_node(graph, node->operands[1])->shape.rank < 2) continue; /* a vector */
    found.a = (size_t)a;
    found.b = (size_t)b;
    found.m = dim_value(node->shape.dims[rank - 2], symbols);
    found.n = dim_value(node->shape.dims[rank - 1], symbols);
    found.k = dim_value(left->dims[left->rank - 1], symbols);
    for (int axis = 0; axis < rank - 2; ++axis) found.batch *= dim_value(node->shape.dims[axis], symbols);
    *product = found;
    return KILN_OK;
  }
  return KILN_NOT_FOUND;
}
