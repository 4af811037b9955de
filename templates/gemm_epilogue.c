/* gemm_epilogue.c: the element-wise graph around the product, on a register tile or on one row of it. */
#include "templates/gemm_build.h"

/* One evaluation: the tile's place and the values of the graph's nodes so far. */
typedef struct Evaluation {
  GemmBuild *g;
  Value *i, *rows;
  int count;
  Value **values;
} Evaluation;

/* An input as the part of it that meets this tile: 1x1, 1 x nr, count x 1 or count x nr. */
static Value *load_leaf(Evaluation *e, const GemmOperand *leaf) {
  GemmBuild *g = e->g;
  const Shape *s = &leaf->node->shape;
  int rank = s->rank < 2 ? s->rank : 2;
  Place place = {.buffer = gemm_operand_buffer(&g->b, g->buffers[leaf->input], leaf)};
  int rows = 1, columns = 1;
  Value *origin = gemm_number(g, 0);
  for (int axis = 0; axis < rank; ++axis) {
    bool is_row = rank == 2 && axis == 0;
    Dim d = s->dims[s->rank - rank + (leaf->transposed ? 1 - axis : axis)];
    bool whole = !dim_is_one(d);
    place.indices[axis] = !whole ? origin : is_row ? e->i : g->j;
    if (whole && is_row) rows = e->count, place.rows = e->rows;
    if (whole && !is_row) columns = (int)g->plan->schedule.values[FIELD_nr], place.cols = g->cols;
  }
  Value *tile = build_load(&g->b, OP_tile_load, place, type_tile(rows, columns, leaf->node->type));
  return build_named(tile, leaf->node->name);
}

static Value *operand_value(Evaluation *e, int number) {
  const GemmBuild *g = e->g;
  if (e->values[number] != NULL || graph_node(g->graph, number)->op == KILN_OP_NUMBER) return e->values[number];
  GemmOperand leaf = gemm_operand(g->graph, g->match->inputs_of_nodes, number);
  KILN_ASSERT(leaf.node != NULL);
  return e->values[number] = load_leaf(e, &leaf);
}

static bool is_computed(const GemmBuild *g, int number) {
  const Node *node = graph_node(g->graph, number);
  bool is_factor = number == g->match->a_quant.dequant || number == g->match->b_quant.dequant;
  return elementwise_covers(node) && number != g->match->product && !is_factor;
}

/* A scale or zero point: a tile of an input, or a number, which its own operation takes as `own`, as `type`; NULL where
 * there is none. */
static Value *quant_operand(Evaluation *e, int number, kiln_type own, kiln_type type) {
  if (number < 0) return NULL;
  const Node *node = graph_node(e->g->graph, number);
  if (node->op != KILN_OP_NUMBER) return operand_value(e, number);
  double value = node_number(node);
  return build_const(&e->g->b, own != type ? type_round(own, value) : value, type_scalar(type));
}

static GemmScales quant_scales(Evaluation *e) {
  const GemmMatch *match = e->g->match;
  if (!match->is_quantised) return (GemmScales){NULL, NULL, NULL, NULL};
  const kiln_graph *graph = e->g->graph;
  kiln_type compute = graph_node(graph, match->product)->compute;
  kiln_type of_a = graph_node(graph, match->a_quant.dequant)->compute;
  kiln_type of_b = graph_node(graph, match->b_quant.dequant)->compute;
  return (GemmScales){
      quant_operand(e, match->a_quant.scale, of_a, compute), quant_operand(e, match->a_quant.zero, KILN_I32, KILN_I32),
      quant_operand(e, match->b_quant.scale, of_b, compute), quant_operand(e, match->b_quant.zero, KILN_I32, KILN_I32)};
}

static void store_results(Evaluation *e) {
  GemmBuild *g = e->g;
  for (size_t o = 0; o < g->graph->outputs.count; ++o) {
    int number = g->graph->outputs.items[o];
    const Node *node = graph_node(g->graph, number);
    Value *value = e->values[node->op == KILN_OP_TRANSPOSE ? node->operands[0] : number];
    Place place = {g->buffers[g->graph->inputs.count + o], {e->i, g->j}, e->rows, g->cols};
    if (gemm_field(g, FIELD_store_c) == STORE_C_STREAMED) build_store_streamed(&g->b, value, place);
    else build_store(&g->b, OP_tile_store, value, place);
  }
}

void gemm_epilogue(GemmBuild *g, Value *product, Value *i, Value *rows, int count) {
  const kiln_graph *graph = g->graph;
  Evaluation e = {g, i, rows, count, ARENA_ARRAY(&g->kernel->module->arena, Value *, graph->nodes.count)};
  GemmScales scales = quant_scales(&e);
  product = gemm_product_value(g, product, &scales, i, count);
  e.values[g->match->product] = convert_build(&g->b, product, graph_node(graph, g->match->product)->type);
  for (size_t number = 0; number < graph->nodes.count; ++number) {
    if (!is_computed(g, (int)number)) continue;
    const Node *node = graph_node(graph, (int)number);
    Value *operands[GRAPH_MAX_OPERANDS] = {NULL};
    for (int o = 0; o < node->operand_count; ++o) operands[o] = operand_value(&e, node->operands[o]);
    e.values[number] = elementwise_build(&g->b, graph, node, operands);
    if (node->name != NULL) build_named(e.values[number], node->name);
  }
  store_results(&e);
}

/* A whole matrix that what follows the product reads as it lies; NULL: something else. */
static Value *matrix_of(const GemmBuild *g, int number) {
  GemmOperand leaf = gemm_operand(g->graph, g->match->inputs_of_nodes, number);
  if (leaf.node == NULL || leaf.transposed || leaf.node->shape.rank < 2) return NULL;
  const Dim *dims = leaf.node->shape.dims + leaf.node->shape.rank - 2;
  return dim_is_one(dims[0]) || dim_is_one(dims[1]) ? NULL : g->buffers[leaf.input];
}

void gemm_prefetch_operands(GemmBuild *g, Value *r) {
  for (size_t number = 0; number < g->graph->nodes.count; ++number) {
    const Node *node = graph_node(g->graph, (int)number);
    if (!is_computed(g, (int)number)) continue;
    for (int o = 0; o < node->operand_count; ++o) {
      Value *matrix = matrix_of(g, node->operands[o]);
      if (matrix == NULL) continue;
      Value *row = build_add(&g->b, g->i, r);
      for (int64_t c = 0; c < gemm_field(g, FIELD_nr); c += 64 / gemm_bytes(matrix->type.buf->type, 1))
        build_prefetch(&g->b, (Place){.buffer = matrix, .indices = {row, build_add(&g->b, g->j, gemm_number(g, c))}},
                       1);
    }
  }
}

void gemm_epilogue_waiting(GemmBuild *g, Value *lo, Value *hi) {
  Block *outer = g->b.block;
  Value *j = g->j, *cols = g->cols;
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, 1), NULL, 0);
  build_named(loop.index, "r");
  g->b.block = loop.body;
  TileType type = type_tile(1, (int)gemm_field(g, FIELD_nr), g->types.acc);
  Place place = {g->waiting, {loop.index, gemm_number(g, 0)}, NULL, NULL};
  Value *product = build_named(build_load(&g->b, OP_tile_load, place, type), "product");
  g->j = g->waiting_j;
  g->cols = g->waiting_cols;
  gemm_epilogue(g, product, build_named(build_add(&g->b, g->i, loop.index), "row"), NULL, 1);
  g->j = j;
  g->cols = cols;
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

void gemm_epilogue_rows(GemmBuild *g) {
  Block *outer = g->b.block;
  Loop loop = build_for(&g->b, gemm_number(g, 0), gemm_own_rows(g), gemm_number(g, 1), NULL, 0);
  build_named(loop.index, "r");
  g->b.block = loop.body;
  TileType type = type_tile(1, (int)g->plan->schedule.values[FIELD_nr], g->types.acc);
  Value *row = build_load(&g->b, OP_tile_load, (Place){g->scratch, {loop.index, gemm_number(g, 0)}, NULL, NULL}, type);
  Value *i = build_named(build_add(&g->b, g->i, loop.index), "row");
  gemm_epilogue(g, build_named(row, "product"), i, NULL, 1);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}
