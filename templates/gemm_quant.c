/* gemm_quant.c: what a product of bytes needs besides: sums of B's columns and of A's rows, and the way from the
 * integer product to the value the graph means.
 *
 * With b' = b + s, where s is the shift of packed B:
 * sum (a - z)(b - u) = sum a b' - z sum b' - (u + s) sum a + k z (u + s). All in i32: what is added and taken away
 * again may wrap, as long as the result fits. */
#include "templates/gemm_build.h"

enum { MAX_SUMS = 4, BUSY_REGISTERS = 12 /* of at least 16 */ };

bool gemm_needs_column_sums(const Plan *plan) { return ((const GemmMatch *)plan->match)->a_quant.zero >= 0; }
bool gemm_needs_row_sums(const GemmBuild *g) { return g->match->b_quant.zero >= 0 || g->types.shift != 0; }

static Value *add(GemmBuild *g, Value *x, Value *y) { return build_binary(&g->b, OP_tile_add, x, y); }
static Value *sub(GemmBuild *g, Value *x, Value *y) { return build_binary(&g->b, OP_tile_sub, x, y); }
static Value *mul(GemmBuild *g, Value *x, Value *y) { return build_binary(&g->b, OP_tile_mul, x, y); }
static Value *integer(GemmBuild *g, int64_t value) { return build_const(&g->b, (double)value, type_scalar(KILN_I32)); }

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static BufType sums_type(int64_t rows, int64_t columns) {
  BufType type = {.type = KILN_I32, .rank = 2};
  type.dims[0] = rows > 0 ? extent_number(rows) : (Extent){0, EXTENT_UNKNOWN};
  type.dims[1] = extent_number(columns);
  return type;
}

Value *gemm_row_sum_bytes(const GemmBuild *g, Builder *b) {
  if (!gemm_needs_row_sums(g)) return build_number(b, 0);
  Value *bytes = build_mul(b, gemm_tiles_per_block(g, b), build_number(b, 4 * gemm_field(g, FIELD_mr)));
  return build_mul(b, build_ceildiv(b, bytes, build_number(b, 64)), build_number(b, 64));
}

void gemm_place_row_sums(GemmBuild *g, Value *offset) {
  BufType type = sums_type(0, 1);
  g->row_sums = build_named(build_workspace(&g->b, offset, &type), "row_sums");
}

/* Bytes of 1 that A's meet on an instruction that takes both as they are. */
static kiln_type type_of_ones(const GemmBuild *g, kiln_type a) {
  bool mixes = g->plan->problem.target->family == FAMILY_X86_64;
  return (a == KILN_I8) == mixes ? KILN_U8 : KILN_I8;
}

/* Adds `mr` rows of A from row g->i on, from step `lo` to `hi` in whole tiles, or where `is_bounded` in what is left.
 */
static Value *add_steps(GemmBuild *g, Value *sum, Value *lo, Value *hi, bool is_bounded) {
  int mr = (int)gemm_field(g, FIELD_mr), lanes = target_lanes(g->plan->problem.target), step = 4 * lanes;
  kiln_type type = g->a->type.buf->type, ones_type = type_of_ones(g, type);
  Block *outer = g->b.block;
  Value *rows = g->match->m.symbol < 0 ? NULL : g->tile_rows;
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, step), &sum, 1);
  build_named(loop.index, "p");
  g->b.block = loop.body;
  Value *left = is_bounded ? build_sub(&g->b, hi, loop.index) : NULL;
  Place place = {g->a, {g->i, loop.index}, rows, left};
  Value *a = build_load(&g->b, OP_tile_load, place, type_tile(mr, step, type));
  Value *ones = build_const(&g->b, 1, type_tile(mr, step, ones_type));
  bool is_first = ones_type == KILN_U8; /* instructions of both signs take the unsigned one first */
  Value *next = build_ternary(&g->b, OP_tile_dot, loop.carried[0], is_first ? ones : a, is_first ? a : ones);
  build_yield(&g->b, &next, 1);
  g->b.block = outer;
  return &loop.op->results[0];
}

/* Groups of four bytes are added up side by side, and the lanes at the end. */
void gemm_build_row_sums(GemmBuild *g, Value *end) {
  int mr = (int)gemm_field(g, FIELD_mr), lanes = target_lanes(g->plan->problem.target);
  Builder *b = &g->b;
  Block *outer = b->block;
  Loop tiles = build_for(b, g->t_lo, end, gemm_number(g, 1), NULL, 0);
  build_named(tiles.index, "t");
  b->block = tiles.body;
  gemm_place_rows(g, tiles.index);
  const Dim depth = g->match->k;
  Value *k = gemm_size(g->plan, b, GEMM_K), *step = gemm_number(g, 4 * (int64_t)lanes), *zero = gemm_number(g, 0);
  Value *whole = build_named(build_mul(b, build_index(b, OP_index_div, k, step), step), "whole");
  Value *sum = build_const(b, 0, type_tile(mr, lanes, KILN_I32));
  sum = add_steps(g, sum, zero, whole, false);
  if (depth.symbol >= 0 || depth.size % (4 * (int64_t)lanes) != 0) sum = add_steps(g, sum, whole, k, true);
  sum = build_unary(b, OP_tile_row_sum, sum);
  Value *row = build_mul(b, build_sub(b, tiles.index, g->t_lo), gemm_number(g, mr));
  build_store(b, OP_tile_store, sum, (Place){g->row_sums, {row, gemm_number(g, 0)}, NULL, NULL});
  build_yield(b, NULL, 0);
  b->block = outer;
}

/* A row for each panel of the block, where k is visited in blocks and every panel in each. */
static bool keeps_column_sums(const GemmBuild *g) {
  return gemm_needs_column_sums(g->plan) && g->has_kc && !gemm_overlaps(g);
}

Value *gemm_column_sum_bytes(const GemmBuild *g, Builder *b) {
  if (!keeps_column_sums(g)) return build_number(b, 0);
  Value *bytes = build_mul(b, gemm_panels_per_block(g, b), build_number(b, 4 * gemm_field(g, FIELD_nr)));
  return build_mul(b, build_ceildiv(b, bytes, build_number(b, 64)), build_number(b, 64));
}

void gemm_place_column_sums(GemmBuild *g, Value *offset) {
  Builder *b = &g->b;
  bool keeps = keeps_column_sums(g);
  BufType type = sums_type(keeps ? 0 : gemm_overlaps(g) ? 2 : 1, gemm_field(g, FIELD_nr));
  if (keeps) {
    Value *rows = build_add(b, offset, gemm_rows_bytes(g, b));
    g->column_sums = build_workspace(b, build_add(b, rows, gemm_row_sum_bytes(g, b)), &type);
  } else {
    g->column_sums = build_scratch(b, &type);
  }
  build_named(g->column_sums, "column_sums");
}

Value *gemm_sums_of_panel(GemmBuild *g, Value *panel) {
  return keeps_column_sums(g) ? build_sub(&g->b, panel, g->panel_lo) : NULL;
}

/* Where B's columns are added up, and from row `lo` to `hi`; `first` is the row of B at row 0, NULL: 0. */
typedef struct Columns {
  Value *panel, *column, *cols, *first, *lo, *hi;
} Columns;

/* Adds `count` times a step of rows to as many sums, from row `lo` to `hi`. `is_bounded`: hi - lo need not be a
 * multiple of a step. */
static void add_rows(GemmBuild *g, const Columns *c, Value *lo, Value *hi, Value **sums, int count, bool is_bounded) {
  int step = g->types.vector_step, nr = (int)gemm_field(g, FIELD_nr);
  Block *outer = g->b.block;
  Value *ones = build_const(&g->b, 1, type_tile(1, step, g->types.a));
  ones = build_typed(&g->b, OP_tile_frag, type_frag(ROLE_A, 1, step, g->types.a), ones, NULL);
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, (int64_t)step * count), sums, count);
  build_named(loop.index, "p");
  g->b.block = loop.body;
  Value *left = is_bounded ? build_sub(&g->b, hi, loop.index) : NULL, *nexts[MAX_SUMS];
  Value *row = c->first != NULL ? build_sub(&g->b, loop.index, c->first) : loop.index;
  for (int i = 0; i < count; ++i) {
    Place place = {c->panel, {build_add(&g->b, row, gemm_number(g, (int64_t)i * step)), c->column}, left, c->cols};
    Value *b = build_load(&g->b, OP_frag_load, place, type_frag(ROLE_B, step, nr, c->panel->type.buf->type));
    nexts[i] = build_ternary(&g->b, OP_mma, loop.carried[i], ones, b);
  }
  build_yield(&g->b, nexts, count);
  g->b.block = outer;
  for (int i = 0; i < count; ++i) sums[i] = &loop.op->results[i];
}

/* A row of nr sums. An addition waits for the one before, so several sums are made in turns and added at the end. */
static Value *sums_of(GemmBuild *g, const Columns *c) {
  Builder *b = &g->b;
  int nr = (int)gemm_field(g, FIELD_nr), vectors = (int)ceil_div(nr, gemm_lanes(g->plan));
  int count = vectors * MAX_SUMS <= BUSY_REGISTERS ? MAX_SUMS : vectors * 2 <= BUSY_REGISTERS ? 2 : 1;
  Value *sums[MAX_SUMS], *step = gemm_number(g, (int64_t)g->types.vector_step * count);
  for (int i = 0; i < count; ++i)
    sums[i] = build_typed(b, OP_frag_zero, type_frag(ROLE_ACC, 1, nr, g->types.acc), NULL, NULL);
  Value *steps = build_index(b, OP_index_div, build_sub(b, c->hi, c->lo), step);
  Value *whole = build_named(build_add(b, c->lo, build_mul(b, steps, step)), "whole");
  const Dim k = g->match->k;
  bool is_even = k.symbol < 0 && k.size % g->types.vector_step == 0;
  add_rows(g, c, c->lo, whole, sums, count, false);
  if (g->has_kc || !is_even || k.size % ((int64_t)g->types.vector_step * count) != 0)
    add_rows(g, c, whole, c->hi, sums, 1, !is_even);
  Value *result = build_typed(b, OP_frag_tile, type_tile(1, nr, g->types.acc), sums[0], NULL);
  for (int i = 1; i < count; ++i)
    result = build_binary(b, OP_tile_add, result,
                          build_typed(b, OP_frag_tile, type_tile(1, nr, g->types.acc), sums[i], NULL));
  return build_named(result, "column_sum");
}

void gemm_build_column_sums(GemmBuild *g) {
  Value *origin = gemm_number(g, 0), *k = gemm_size(g->plan, &g->b, GEMM_K);
  Columns columns = {g->source, g->j, g->cols, NULL, origin, k};
  if (g->source->type.buf->layout == LAYOUT_COL_PANEL) columns.cols = NULL;
  Value *sum = sums_of(g, &columns);
  if (g->source->type.buf->type != g->types.b) { /* not moved yet */
    Value *steps = build_typed(&g->b, OP_tile_index, type_scalar(KILN_I32), k, NULL);
    sum = add(g, sum, mul(g, steps, integer(g, g->types.shift)));
  }
  build_store(&g->b, OP_tile_store, sum, (Place){g->column_sums, {origin, origin}, NULL, NULL});
}

void gemm_add_column_sums(GemmBuild *g) {
  Builder *b = &g->b;
  Value *origin = gemm_number(g, 0), *row = g->panel_sums != NULL ? g->panel_sums : origin;
  Columns columns = {g->panel, g->panel_column, g->panel_cols, g->k_of_panel, g->k_lo, g->k_hi};
  bool has_more = !dim_equal(g->match->k, g->loop_k); /* whose moved zeros are none */
  if (has_more) columns.hi = build_min(b, g->k_hi, gemm_size(g->plan, b, GEMM_K));
  Value *sum = sums_of(g, &columns);
  if (g->has_kc) { /* on top of those of the blocks of k before, none at the first */
    Value *before = build_min(b, build_sub(b, g->k_lo, g->layer_lo), gemm_number(g, 1));
    Place place = {g->column_sums, {row, origin}, before, NULL};
    TileType type = type_tile(1, (int)gemm_field(g, FIELD_nr), KILN_I32);
    sum = build_binary(b, OP_tile_add, sum, build_load(b, OP_tile_load, place, type));
  }
  build_store(b, OP_tile_store, sum, (Place){g->column_sums, {row, origin}, NULL, NULL});
}

/* ---- the value --------------------------------------------------------------------------------------------------- */

/* The zero point as i32 that broadcasts to the tile, with `more` added; NULL: 0. */
static Value *zero_point(GemmBuild *g, Value *zero, int more) {
  if (zero == NULL) return more != 0 ? integer(g, more) : NULL;
  zero = convert_build(&g->b, zero, KILN_I32);
  return more != 0 ? add(g, zero, integer(g, more)) : zero;
}

/* Sums of `count` rows of A from row i on, which belongs to tile g->t. */
static Value *load_row_sums(GemmBuild *g, Value *i, int count) {
  Value *first = build_mul(&g->b, build_sub(&g->b, g->t, g->t_lo), gemm_number(g, gemm_field(g, FIELD_mr)));
  Value *row = build_add(&g->b, first, build_sub(&g->b, i, g->i));
  Place place = {g->row_sums, {row, gemm_number(g, 0)}, NULL, NULL};
  return build_load(&g->b, OP_tile_load, place, type_tile(count, 1, KILN_I32));
}

/* Takes the zero points out of a tile of the product. */
static Value *corrected(GemmBuild *g, Value *product, const GemmScales *scales, Value *i, int count) {
  Value *origin = gemm_number(g, 0);
  Value *a_zero = zero_point(g, scales->a_zero, 0), *b_zero = zero_point(g, scales->b_zero, g->types.shift);
  if (a_zero != NULL) {
    TileType type = type_tile(1, (int)gemm_field(g, FIELD_nr), KILN_I32);
    Value *row = g->tile_sums != NULL ? g->tile_sums : origin;
    Value *sums = build_load(&g->b, OP_tile_load, (Place){g->column_sums, {row, origin}, NULL, NULL}, type);
    product = sub(g, product, mul(g, a_zero, sums));
  }
  if (b_zero == NULL) return product;
  product = sub(g, product, mul(g, b_zero, load_row_sums(g, i, count)));
  if (scales->a_zero == NULL) return product;
  Value *k = build_typed(&g->b, OP_tile_index, type_scalar(KILN_I32), gemm_size(g->plan, &g->b, GEMM_K), NULL);
  return add(g, product, mul(g, mul(g, k, a_zero), b_zero));
}

Value *gemm_product_value(GemmBuild *g, Value *product, const GemmScales *scales, Value *i, int count) {
  if (g->match->acc != KILN_I32) return product;
  product = corrected(g, product, scales, i, count);
  if (!g->match->is_quantised) return product;
  kiln_type compute = graph_node(g->graph, g->match->product)->compute;
  Value *a = convert_build(&g->b, scales->a_scale, compute), *b = convert_build(&g->b, scales->b_scale, compute);
  return mul(g, convert_build(&g->b, product, compute), mul(g, a, b));
}
