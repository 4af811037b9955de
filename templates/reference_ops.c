/* reference_ops.c: the loops of each operator of the graph language in the reference template. */
#include <math.h>

#include "templates/reference.h"

static Value *binary(Reference *g, OpCode code, Value *x, Value *y) { return build_binary(&g->b, code, x, y); }
static Value *index_of(Reference *g, int64_t number) { return build_number(&g->b, number); }

/* ---- element-wise ------------------------------------------------------------------------------------------------ */

/* A scale or zero point with fewer rows than its tensor serves groups of rows: its row is i / (rows / groups). */
static bool is_grouped(const Reference *g, const Node *node, int operand) {
  GraphForm form = graph_op_info(node->op)->form;
  if (operand == 0 || (form != FORM_DEQUANT && form != FORM_QUANT)) return false;
  const Shape *s = &graph_node(g->graph, node->operands[operand])->shape;
  if (s->rank < 2 || node->shape.rank < 2) return false;
  Dim d = s->dims[s->rank - 2];
  return !dim_is_one(d) && !dim_equal(d, node->shape.dims[node->shape.rank - 2]);
}

static void elementwise(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  int rank = node->shape.rank;
  Nest nest = reference_open(g, &node->shape, rank, g->width);
  Value *operands[GRAPH_MAX_OPERANDS] = {NULL};
  for (int i = 0; i < node->operand_count; ++i) {
    const Node *operand = graph_node(g->graph, node->operands[i]);
    if (operand->op == KILN_OP_NUMBER) continue;
    Value *indices[GRAPH_MAX_RANK];
    for (int axis = 0; axis < rank; ++axis) indices[axis] = nest.indices[axis];
    if (is_grouped(g, node, i)) {
      Value *groups = reference_size(g, operand->shape.dims[operand->shape.rank - 2]);
      Value *size = build_index(&g->b, OP_index_div, reference_size(g, node->shape.dims[rank - 2]), groups);
      indices[rank - 2] = build_index(&g->b, OP_index_div, indices[rank - 2], size);
    }
    operands[i] = reference_load(g, node->operands[i], indices, rank, nest.cols, node->type);
  }
  Value *result = elementwise_build(&g->b, g->graph, node, operands);
  result = convert_build(&g->b, result, reference_memory_type(node)); /* nibbles do not broadcast */
  if (nest.cols != NULL && result->type.cols == 1)
    result = build_typed(&g->b, OP_tile_broadcast, type_tile(1, g->width, result->type.type), result, NULL);
  reference_store(g, number, result, nest.indices, nest.cols);
  reference_close(g, &nest);
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

static void transpose(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  int rank = node->shape.rank;
  Nest nest = reference_open(g, &node->shape, rank, 1);
  Value *swapped[GRAPH_MAX_RANK];
  for (int axis = 0; axis < rank; ++axis) swapped[axis] = nest.indices[axis];
  swapped[rank - 2] = nest.indices[rank - 1];
  swapped[rank - 1] = nest.indices[rank - 2];
  Value *x = reference_element(g, node->operands[0], swapped);
  reference_store(g, number, convert_build(&g->b, x, node->type), nest.indices, NULL);
  reference_close(g, &nest);
}

/* An index out of range is the caller's fault (kiln_run cannot look); it reads the nearest row rather than foreign
 * memory. */
static Value *clamped(Reference *g, Value *index, Value *limit) {
  Value *last = build_sub(&g->b, limit, index_of(g, 1));
  return build_index(&g->b, OP_index_max, build_min(&g->b, index, last), index_of(g, 0));
}

static Value *loaded_index(Reference *g, int operand, Value *const *indices) {
  Value *x = convert_build(&g->b, reference_element(g, operand, indices), KILN_I32);
  return build_typed(&g->b, OP_index_tile, type_index(), x, NULL);
}

static void gather(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  const Node *table = graph_node(g->graph, node->operands[0]);
  Nest nest = reference_open(g, &node->shape, node->shape.rank, 1);
  Value *rows = reference_size(g, table->shape.dims[0]);
  Value *any = build_index(&g->b, OP_index_lt, index_of(g, 0), rows);
  Block *outer = g->b.block;
  g->b.block = build_if(&g->b, any, NULL, 0, false)->blocks[0];
  Value *from[2] = {clamped(g, loaded_index(g, node->operands[1], nest.indices), rows),
                    nest.indices[node->shape.rank - 1]};
  Value *x = reference_element(g, node->operands[0], from);
  reference_store(g, number, convert_build(&g->b, x, node->type), nest.indices, NULL);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
  reference_close(g, &nest);
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* One operand of a product: its indices, of which the loop over p fills `*k`. */
typedef struct Factor {
  int number, rank;
  Value *indices[GRAPH_MAX_RANK];
  int k;
} Factor;

/* Sum over p of a[…, i, p] * b[…, p, j …] in the accumulator's type: a 1 x width tile, or a scalar where `cols` is
 * NULL. */
static Value *dot(Reference *g, Factor *a, Factor *b, Value *cols, kiln_type type) {
  const Node *left = graph_node(g->graph, a->number);
  Value *k = reference_size(g, left->shape.dims[left->shape.rank - 1]);
  Value *sum = build_const(&g->b, 0, type_tile(1, cols != NULL ? g->width : 1, type));
  Block *outer = g->b.block;
  Loop loop = build_for(&g->b, index_of(g, 0), k, index_of(g, 1), &sum, 1);
  build_named(loop.index, "p");
  g->b.block = loop.body;
  a->indices[a->k] = b->indices[b->k] = loop.index;
  Value *x = convert_build(&g->b, reference_load(g, a->number, a->indices, a->rank, NULL, type), type);
  Value *y = convert_build(&g->b, reference_load(g, b->number, b->indices, b->rank, cols, type), type);
  Value *next = type == KILN_I32 ? binary(g, OP_tile_add, loop.carried[0], binary(g, OP_tile_mul, x, y))
                                 : build_ternary(&g->b, OP_tile_fma, x, y, loop.carried[0]);
  build_yield(&g->b, &next, 1);
  g->b.block = outer;
  return &loop.op->results[0];
}

/* A vector has neither batch nor the axis that it lacks in the result. */
static void matmul(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  int rank = node->shape.rank;
  bool is_row = graph_node(g->graph, node->operands[0])->shape.rank == 1;
  bool is_column = graph_node(g->graph, node->operands[1])->shape.rank == 1;
  int batch = rank - !is_row - !is_column;
  Nest nest = reference_open(g, &node->shape, rank, is_column ? 1 : g->width);
  Factor a = {.number = node->operands[0], .rank = is_row ? 1 : batch + 2, .k = is_row ? 0 : batch + 1};
  Factor b = {.number = node->operands[1], .rank = is_column ? 1 : batch + 2, .k = is_column ? 0 : batch};
  for (int axis = 0; axis < batch; ++axis) a.indices[axis] = b.indices[axis] = nest.indices[axis];
  if (!is_row) a.indices[batch] = nest.indices[batch];
  if (!is_column) b.indices[batch + 1] = nest.indices[rank - 1];
  Value *sum = dot(g, &a, &b, nest.cols, node->compute);
  reference_store(g, number, convert_build(&g->b, sum, node->type), nest.indices, nest.cols);
  reference_close(g, &nest);
}

/* Stores `tile` as columns j … of rows lo … hi-1 of a group, or zeros where no group is. */
static void grouped_rows(Reference *g, int number, Value *lo, Value *hi, Value *group) {
  const Node *node = graph_node(g->graph, number);
  Block *outer = g->b.block;
  Loop rows = build_for(&g->b, lo, hi, index_of(g, 1), NULL, 0);
  g->b.block = rows.body;
  Value *n = reference_size(g, node->shape.dims[1]);
  Loop columns = build_for(&g->b, index_of(g, 0), n, index_of(g, g->width), NULL, 0);
  g->b.block = columns.body;
  Value *cols = build_sub(&g->b, reference_size(g, node->shape.dims[1]), columns.index);
  Value *place[2] = {rows.index, columns.index};
  Factor a = {.number = node->operands[0], .rank = 2, .indices = {rows.index}, .k = 1};
  Factor b = {.number = node->operands[1], .rank = 3, .indices = {group, NULL, columns.index}, .k = 1};
  Value *sum = group == NULL ? build_const(&g->b, 0, type_tile(1, g->width, node->compute))
                             : dot(g, &a, &b, cols, node->compute);
  reference_store(g, number, convert_build(&g->b, sum, node->type), place, cols);
  build_yield(&g->b, NULL, 0);
  g->b.block = rows.body;
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void grouped_matmul(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  const Node *weights = graph_node(g->graph, node->operands[1]);
  Block *outer = g->b.block;
  Value *rows = reference_size(g, node->shape.dims[0]), *done = index_of(g, 0);
  Loop groups = build_for(&g->b, index_of(g, 0), reference_size(g, weights->shape.dims[0]), index_of(g, 1), &done, 1);
  build_named(groups.index, "group");
  g->b.block = groups.body;
  Value *limit = reference_size(g, node->shape.dims[0]);
  Value *end = build_min(&g->b, loaded_index(g, node->operands[2], &groups.index), limit);
  end = build_named(build_index(&g->b, OP_index_max, end, groups.carried[0]), "end");
  grouped_rows(g, number, groups.carried[0], end, groups.index);
  build_yield(&g->b, &end, 1);
  g->b.block = outer;
  grouped_rows(g, number, &groups.op->results[0], rows, NULL);
}

/* ---- rows: reductions, softmax, norms ---------------------------------------------------------------------------- */

/* One pass over a row of operand 0: folds f(x) into a scalar. */
typedef Value *RowStep(Reference *g, Value *x, Value *state, void *ctx);
typedef struct RowPass {
  int operand;
  Value **indices; /* leading axes; the last is the pass's own */
  int rank;
  kiln_type type;
  double start;
  double padding; /* what stands past the end of the row */
} RowPass;

static Value *row_pass(Reference *g, const RowPass *pass, RowStep *step, void *ctx) {
  const Node *node = graph_node(g->graph, pass->operand);
  Dim columns = node->shape.dims[node->shape.rank - 1];
  Value *state = build_const(&g->b, pass->start, type_scalar(pass->type));
  Block *outer = g->b.block;
  Value *hi = reference_size(g, columns);
  Loop loop = build_for(&g->b, index_of(g, 0), hi, index_of(g, g->width), &state, 1);
  g->b.block = loop.body;
  pass->indices[pass->rank - 1] = loop.index;
  Value *left = build_sub(&g->b, reference_size(g, columns), loop.index);
  Value *x = reference_load(g, pass->operand, pass->indices, pass->rank, left, pass->type);
  x = convert_build(&g->b, x, pass->type);
  if (x->type.cols == 1) x = build_typed(&g->b, OP_tile_broadcast, type_tile(1, g->width, pass->type), x, NULL);
  Value *count =
      build_typed(&g->b, OP_tile_index, type_scalar(KILN_I32), build_min(&g->b, left, index_of(g, g->width)), NULL);
  Value *column = build_typed(&g->b, OP_tile_iota, type_tile(1, g->width, KILN_I32), NULL, NULL);
  Value *inside = binary(g, OP_tile_lt, column, count);
  Value *y = step(g, x, NULL, ctx);
  y = build_ternary(&g->b, OP_tile_select, inside, y, build_const(&g->b, pass->padding, type_scalar(pass->type)));
  Value *next = step(g, y, loop.carried[0], ctx);
  build_yield(&g->b, &next, 1);
  g->b.block = outer;
  return &loop.op->results[0];
}

/* Steps are asked twice: without a state for f(x), with one for the fold. */
static Value *step_sum(Reference *g, Value *x, Value *state, void *ctx) {
  (void)ctx;
  return state == NULL ? x : binary(g, OP_tile_add, state, build_unary(&g->b, OP_tile_row_sum, x));
}
static Value *step_max(Reference *g, Value *x, Value *state, void *ctx) {
  (void)ctx;
  return state == NULL ? x : binary(g, OP_tile_max, state, build_unary(&g->b, OP_tile_row_max, x));
}
static Value *step_square(Reference *g, Value *x, Value *state, void *ctx) {
  if (state != NULL) return step_sum(g, x, state, ctx);
  Value *d = ctx == NULL ? x : binary(g, OP_tile_sub, x, ctx);
  return binary(g, OP_tile_mul, d, d);
}
static Value *step_exp(Reference *g, Value *x, Value *state, void *ctx) {
  if (state != NULL) return step_sum(g, x, state, ctx);
  return build_unary(&g->b, OP_tile_exp, binary(g, OP_tile_sub, x, ctx));
}

/* The number of columns as a scalar of the type. */
static Value *column_count(Reference *g, const Node *node, kiln_type type) {
  const Shape *s = &graph_node(g->graph, node->operands[0])->shape;
  Value *count =
      build_typed(&g->b, OP_tile_index, type_scalar(KILN_I32), reference_size(g, s->dims[s->rank - 1]), NULL);
  return convert_build(&g->b, count, type);
}

static void reduce(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  kiln_type type = node->compute;
  bool is_max = node->op == KILN_OP_ROW_MAX;
  Nest nest = reference_open(g, &node->shape, node->shape.rank - 1, 1);
  double lowest = type == KILN_I32 ? (double)INT32_MIN : -INFINITY;
  RowPass pass = {node->operands[0], nest.indices, node->shape.rank, type, is_max ? lowest : 0, is_max ? lowest : 0};
  Value *result = row_pass(g, &pass, is_max ? step_max : step_sum, NULL);
  if (node->op == KILN_OP_MEAN) result = binary(g, OP_tile_div, result, column_count(g, node, type));
  nest.indices[node->shape.rank - 1] = index_of(g, 0);
  reference_store(g, number, convert_build(&g->b, result, node->type), nest.indices, NULL);
  reference_close(g, &nest);
}

/* Writes a row of the result: x -> (x - shift) then exp or not, then * factor or / factor. */
typedef struct RowWrite {
  Value *shift, *factor;
  bool is_exp;
} RowWrite;

static void write_row(Reference *g, int number, const RowPass *pass, const RowWrite *write) {
  const Node *node = graph_node(g->graph, number);
  Dim columns = node->shape.dims[node->shape.rank - 1];
  Block *outer = g->b.block;
  Value *hi = reference_size(g, columns);
  Loop loop = build_for(&g->b, index_of(g, 0), hi, index_of(g, g->width), NULL, 0);
  g->b.block = loop.body;
  pass->indices[pass->rank - 1] = loop.index;
  Value *left = build_sub(&g->b, reference_size(g, columns), loop.index);
  Value *x = reference_load(g, pass->operand, pass->indices, pass->rank, left, pass->type);
  x = convert_build(&g->b, x, pass->type);
  if (write->shift != NULL) x = binary(g, OP_tile_sub, x, write->shift);
  if (write->is_exp) x = build_unary(&g->b, OP_tile_exp, x);
  x = binary(g, write->is_exp ? OP_tile_div : OP_tile_mul, x, write->factor);
  reference_store(g, number, convert_build(&g->b, x, node->type), pass->indices, left);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void rowwise(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  kiln_type type = node->compute;
  Nest nest = reference_open(g, &node->shape, node->shape.rank - 1, 1);
  RowPass pass = {node->operands[0], nest.indices, node->shape.rank, type, 0, 0};
  RowWrite write = {NULL, NULL, node->op == KILN_OP_SOFTMAX};
  if (node->op == KILN_OP_SOFTMAX) {
    pass.start = pass.padding = -INFINITY;
    write.shift = row_pass(g, &pass, step_max, NULL);
    pass.start = pass.padding = 0;
    write.factor = row_pass(g, &pass, step_exp, write.shift);
  } else {
    if (node->op == KILN_OP_LAYER_NORM)
      write.shift = binary(g, OP_tile_div, row_pass(g, &pass, step_sum, NULL), column_count(g, node, type));
    Value *mean = binary(g, OP_tile_div, row_pass(g, &pass, step_square, write.shift), column_count(g, node, type));
    Value *none[1] = {NULL};
    Value *eps = convert_build(&g->b, reference_load(g, node->operands[1], none, 0, NULL, type), type);
    write.factor = build_unary(&g->b, OP_tile_rsqrt, binary(g, OP_tile_add, mean, eps));
  }
  write_row(g, number, &pass, &write);
  reference_close(g, &nest);
}

/* -inf where column - (columns - rows) > row */
static void causal(Reference *g, int number) {
  const Node *node = graph_node(g->graph, number);
  int rank = node->shape.rank;
  Nest nest = reference_open(g, &node->shape, rank, g->width);
  Value *x = reference_load(g, node->operands[0], nest.indices, rank, nest.cols, node->type);
  kiln_type type = type_compute(x->type.type) == KILN_F64 ? KILN_F64 : KILN_F32;
  x = convert_build(&g->b, x, type);
  Value *shift =
      build_sub(&g->b, reference_size(g, node->shape.dims[rank - 1]), reference_size(g, node->shape.dims[rank - 2]));
  Value *last = build_sub(&g->b, build_add(&g->b, nest.indices[rank - 2], shift), nest.indices[rank - 1]);
  Value *limit = build_typed(&g->b, OP_tile_index, type_scalar(KILN_I32), last, NULL);
  Value *column = build_typed(&g->b, OP_tile_iota, type_tile(1, g->width, KILN_I32), NULL, NULL);
  Value *masked = build_const(&g->b, -INFINITY, type_scalar(type));
  Value *result = build_ternary(&g->b, OP_tile_select, binary(g, OP_tile_lt, limit, column), masked, x);
  reference_store(g, number, convert_build(&g->b, result, node->type), nest.indices, nest.cols);
  reference_close(g, &nest);
}

void reference_node(Reference *g, int number) {
  switch (graph_op_info(graph_node(g->graph, number)->op)->form) {
  case FORM_INPUT:
  case FORM_NUMBER: return;
  case FORM_MATMUL: matmul(g, number); return;
  case FORM_TRANSPOSE: transpose(g, number); return;
  case FORM_ARITHMETIC:
  case FORM_COMPARE:
  case FORM_SELECT:
  case FORM_UNARY:
  case FORM_FUNCTION:
  case FORM_DEQUANT:
  case FORM_QUANT: elementwise(g, number); return;
  case FORM_REDUCE: reduce(g, number); return;
  case FORM_ROWWISE: rowwise(g, number); return;
  case FORM_MASK: causal(g, number); return;
  case FORM_GATHER: gather(g, number); return;
  case FORM_GROUPED: grouped_matmul(g, number); return;
  }
}
