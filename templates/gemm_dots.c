/* gemm_dots.c: a register tile as dot products (mma=dots): rows of A and columns of B are read along k as they lie,
 * each element of C has a vector of partial sums, and lanes are added up at the end. For one row or few of A, or one
 * column of B, all that is to be done is to read the other factor once, in long runs. */
#include "templates/gemm_build.h"

typedef struct Dots {
  Value *rows_of_b; /* its columns as rows */
  Value *cols;      /* how many of them are there; NULL: all of the tile's */
  int rows, columns, step;
  TileType sums; /* partial ones of a row of the tile, for each of its columns */
  int group;     /* adjacent k that add to one partial sum */
} Dots;

static Dots dots_of(GemmBuild *g, int rows) {
  const GemmOperand *b = &g->match->b;
  Dots d = {.rows = rows, .columns = (int)gemm_field(g, FIELD_nr), .step = (int)gemm_field(g, FIELD_ku)};
  d.group = g->types.step / (int)gemm_lanes(g->plan);
  d.sums = type_tile(d.columns, d.step / d.group, g->types.acc);
  d.rows_of_b = g->buffers[b->input];
  if (b->transposed) return d;
  BufType turned = gemm_turned(*g->source->type.buf);
  d.rows_of_b = build_named(build_buf_transpose(&g->b, g->source, &turned), "columns");
  return d;
}

static Value *multiply_add(GemmBuild *g, const Dots *d, Value *sum, Value *a, Value *b) {
  if (d->group > 1) {
    TileType repeated = type_tile(d->columns, d->step, g->types.a);
    if (d->columns > 1) a = build_typed(&g->b, OP_tile_broadcast, repeated, a, NULL);
    return build_ternary(&g->b, OP_tile_dot, sum, a, b);
  }
  if (type_is_floating(g->types.acc)) return build_ternary(&g->b, OP_tile_fma, a, b, sum);
  return build_binary(&g->b, OP_tile_add, sum, build_binary(&g->b, OP_tile_mul, a, b));
}

static Value *load(GemmBuild *g, const Dots *d, Place place, int rows, kiln_type type) {
  Value *tile = build_load(&g->b, OP_tile_load, place, type_tile(rows, d->step, type));
  return d->group > 1 ? tile : convert_build(&g->b, tile, g->types.acc);
}

/* Adds k from lo to hi to the sums, in whole steps, or where `is_bounded` in what is left of one. */
static void dots_loop(GemmBuild *g, const Dots *d, Value **sums, Value *lo, Value *hi, bool is_bounded) {
  Block *outer = g->b.block;
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, d->step), sums, d->rows);
  build_named(loop.index, "p");
  g->b.block = loop.body;
  Value *left = is_bounded ? build_named(build_sub(&g->b, hi, loop.index), "left") : NULL;
  Value *b = load(g, d, (Place){d->rows_of_b, {g->j, loop.index}, d->cols, left}, d->columns, g->types.b);
  Value *next[GEMM_MOST_ROWS_OF_DOTS];
  build_named(b, "b");
  for (int r = 0; r < d->rows; ++r) {
    Value *row = build_add(&g->b, g->first_row, gemm_number(g, r));
    Value *a = load(g, d, (Place){g->rows_of_a, {row, loop.index}, NULL, left}, 1, g->types.a);
    next[r] = multiply_add(g, d, build_named(loop.carried[r], "sums"), a, b);
  }
  build_yield(&g->b, next, d->rows);
  g->b.block = outer;
  for (int r = 0; r < d->rows; ++r) sums[r] = &loop.op->results[r];
}

/* The block of k at hand, into sums that begin with zero. */
static void all_steps(GemmBuild *g, const Dots *d, Value **sums) {
  Value *steps = build_index(&g->b, OP_index_div, build_sub(&g->b, g->k_hi, g->k_lo), gemm_number(g, d->step));
  Value *whole = build_add(&g->b, g->k_lo, build_mul(&g->b, steps, gemm_number(g, d->step)));
  build_named(whole, "whole");
  for (int r = 0; r < d->rows; ++r) sums[r] = build_const(&g->b, 0, d->sums);
  dots_loop(g, d, sums, g->k_lo, whole, false);
  bool is_even = g->loop_k.symbol < 0 && g->loop_k.size % d->step == 0; /* so are blocks of k */
  if (!is_even) dots_loop(g, d, sums, whole, g->k_hi, true);
}

/* The last panel may have fewer columns, whose bound costs each load a choice of its address: it has loops of its own.
 */
static void whole_or_cut(GemmBuild *g, Dots *d, Value **sums) {
  if (g->cols == NULL) {
    all_steps(g, d, sums);
    return;
  }
  TileType types[GEMM_MOST_ROWS_OF_DOTS];
  Block *outer = g->b.block;
  for (int r = 0; r < d->rows; ++r) types[r] = d->sums;
  Value *is_whole = build_index(&g->b, OP_index_eq, g->cols, gemm_number(g, d->columns));
  Op *choice = build_if(&g->b, is_whole, types, d->rows, true);
  for (int side = 0; side < 2; ++side) {
    g->b.block = choice->blocks[side];
    d->cols = side == 0 ? NULL : g->cols;
    all_steps(g, d, sums);
    build_yield(&g->b, sums, d->rows);
  }
  g->b.block = outer;
  for (int r = 0; r < d->rows; ++r) sums[r] = &choice->results[r];
}

Value *gemm_dots(GemmBuild *g, Value *acc, int rows) {
  Value *sums[GEMM_MOST_ROWS_OF_DOTS], *tile = NULL;
  Dots d = dots_of(g, rows);
  whole_or_cut(g, &d, sums);
  for (int r = 0; r < rows; ++r) {
    Value *row = build_unary(&g->b, OP_tile_row_sum, sums[r]);
    if (d.columns > 1) row = build_unary(&g->b, OP_tile_transpose, row);
    TileType above = type_tile(r + 1, d.columns, g->types.acc);
    tile = tile == NULL ? row : build_typed(&g->b, OP_tile_concat_rows, above, tile, row);
  }
  TileType type = type_tile(rows, d.columns, g->types.acc);
  if (g->has_kc) {
    Value *before = build_typed(&g->b, OP_frag_tile, type, acc, NULL);
    tile = build_binary(&g->b, OP_tile_add, before, tile);
  }
  return build_typed(&g->b, OP_tile_frag, type_frag(ROLE_ACC, rows, d.columns, g->types.acc), tile, NULL);
}
