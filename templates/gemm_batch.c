/* gemm_batch.c: products of a batch: where the matrices of each lie among the leading axes of operands and results. All
 * else is done as for a single product, on views of one matrix each. */
#include "templates/gemm_build.h"

Value *gemm_batch_count(const GemmBuild *g, Builder *b) {
  Value *count = build_number(b, 1);
  for (int i = 0; i < g->match->batch_rank; ++i) count = build_mul(b, count, gemm_size(g->plan, b, GEMM_BATCH + i));
  return count;
}

static Value *matrix_at(Builder *b, Value *whole, Value *const *indices) {
  const BufType *from = whole->type.buf;
  BufType type = *from;
  int dropped = from->rank - 2;
  Place place = {.buffer = whole};
  for (int axis = 0; axis < from->rank; ++axis)
    place.indices[axis] = axis < dropped ? indices[axis] : build_number(b, 0);
  type.rank = 2;
  for (int axis = 0; axis < 2; ++axis) {
    type.dims[axis] = from->dims[dropped + axis];
    type.strides[axis] = from->strides[dropped + axis];
  }
  return build_named(build_view(b, place, &type), "matrix");
}

/* The matrix of one operand or result; axes of one element broadcast. */
static Value *matrix_of(GemmBuild *g, Value *whole, const Node *node, Value *const *indices) {
  int dropped = node->shape.rank - 2;
  Value *own[GRAPH_MAX_RANK] = {NULL};
  for (int axis = 0; axis < dropped; ++axis)
    own[axis] = dim_is_one(node->shape.dims[axis]) ? gemm_number(g, 0) : indices[g->match->batch_rank - dropped + axis];
  return matrix_at(&g->b, whole, own);
}

/* A size by which indices are divided. Where it is known to be 0 there is no task, but the division stands there. */
static Value *divisor_of(Builder *b, Extent size) {
  if (size.symbol == EXTENT_NUMBER && size.number == 0) size.number = 1;
  return build_extent(b, size);
}

void gemm_place_product(GemmBuild *g, Value *number) {
  const GemmMatch *match = g->match;
  const kiln_graph *graph = g->graph;
  Value *indices[GRAPH_MAX_RANK] = {number};
  for (int i = match->batch_rank - 1; i > 0; --i) {
    Value *size = divisor_of(&g->b, gemm_extent(g->plan, GEMM_BATCH + i));
    indices[i] = build_index(&g->b, OP_index_mod, number, size);
    indices[i - 1] = number = build_index(&g->b, OP_index_div, number, size);
  }
  size_t inputs = graph->inputs.count;
  for (size_t i = 0; i < inputs + graph->outputs.count; ++i) {
    int node_number = i < inputs ? graph->inputs.items[i] : graph->outputs.items[i - inputs];
    const Node *node = graph_node(graph, node_number);
    if (node->shape.rank <= 2) continue;
    g->buffers[i] = matrix_of(g, g->wholes[i], node, indices);
    if (i < inputs || node->op != KILN_OP_TRANSPOSE) continue;
    BufType type = gemm_turned(*g->buffers[i]->type.buf);
    g->buffers[i] = build_buf_transpose(&g->b, g->buffers[i], &type);
  }
  g->a = gemm_operand_buffer(&g->b, g->buffers[match->a.input], &match->a);
  g->source = gemm_operand_buffer(&g->b, g->buffers[match->b.input], &match->b);
}

Value *gemm_place_packed(Builder *b, const Plan *plan, Value **source, Value **packed, int64_t nr) {
  const Node *node = ((const GemmMatch *)plan->match)->b.node;
  Value *panels = build_ceildiv(b, divisor_of(b, gemm_extent(plan, GEMM_N)), build_number(b, nr));
  Value *indices[GRAPH_MAX_RANK] = {NULL}, *task = kernel_task(b->kernel);
  Value *number = build_index(b, OP_index_div, task, panels);
  for (int axis = node->shape.rank - 3; axis >= 0; --axis) {
    Value *size = divisor_of(b, gemm_extent_of(plan, node, axis));
    indices[axis] = axis == 0 ? number : build_index(b, OP_index_mod, number, size);
    number = build_index(b, OP_index_div, number, size);
  }
  *source = matrix_at(b, *source, indices);
  *packed = matrix_at(b, *packed, indices);
  return build_index(b, OP_index_mod, task, panels);
}
