/* gemm_layers.c: k shared by tasks where C has too few blocks to keep every thread busy: each computes a layer, part of
 * k, of a block, and leaves its accumulators in the workspace. The last to arrive at a block adds the layers up, in
 * their order, and finishes C, so nobody waits and any number of threads gives the same result.
 *
 * Assumes that counters are 0 when a call begins (args.h). */
#include "templates/gemm_build.h"

Value *gemm_layer_count(const GemmBuild *g, Builder *b) { return gemm_param(g, b, FIELD_layers); }

/* Nothing where there is one layer. */
static Value *where_several(const GemmBuild *g, Builder *b, Value *bytes) {
  Value *are_several = build_index(b, OP_index_lt, build_number(b, 1), gemm_layer_count(g, b));
  return build_index_select(b, are_several, bytes, build_number(b, 0));
}

Value *gemm_counter_bytes(const GemmBuild *g, Builder *b) {
  return where_several(g, b, build_number(b, KILN_WORKSPACE_ZEROED));
}

Value *gemm_layers_bytes(const GemmBuild *g, Builder *b) {
  Value *items = build_mul(b, gemm_block_count(g, b), gemm_layer_count(g, b));
  Value *sums = build_mul(b, items, gemm_block_bytes(g, b));
  return where_several(g, b, build_add(b, build_number(b, KILN_WORKSPACE_ZEROED), sums));
}

/* Where the accumulators of layer 0 of a block lie: they end where the workspace does. */
static Value *first_layer(GemmBuild *g, Value *block) {
  Builder *b = &g->b;
  Value *block_bytes = build_mul(b, g->layer_count, gemm_block_bytes(g, b));
  Value *tasks = build_add(b, gemm_counter_bytes(g, b), g->all_task_bytes);
  return build_named(build_add(b, tasks, build_mul(b, block, block_bytes)), "layers_before");
}

/* Layers are equally deep, in whole iterations of the k loop and groups of panels; the last ones may be short, or empty
 * and beyond k. */
void gemm_place_layer(GemmBuild *g, Value *block, Value *layer) {
  Builder *b = &g->b;
  Value *count = g->layer_count, *k = gemm_size(g->plan, b, GEMM_DEPTH);
  Value *unit = gemm_number(g, gemm_unit_of_k(g->plan));
  Value *depth = build_mul(b, build_ceildiv(b, build_ceildiv(b, k, count), unit), unit);
  g->layer_lo = build_named(build_mul(b, layer, depth), "layer_lo");
  Value *end = build_min(b, build_add(b, g->layer_lo, depth), k);
  g->layer_hi = build_named(build_index(b, OP_index_max, end, g->layer_lo), "layer_hi");
  g->is_single = build_named(build_index(b, OP_index_eq, count, gemm_number(g, 1)), "is_single");
  g->layers_before = first_layer(g, block);
  Value *before = build_add(b, g->layers_before, build_mul(b, layer, gemm_block_bytes(g, b)));
  g->kept_before = build_named(build_index_select(b, g->is_single, g->kept_before, before), "kept_before");
}

/* ---- the last to arrive ------------------------------------------------------------------------------------------ */

/* Row `r` of the accumulator at this offset of each layer, added up. */
static Value *sum_of_layers(GemmBuild *g, Value *offset, Value *r) {
  Builder *b = &g->b;
  TileType type = type_tile(1, (int)gemm_field(g, FIELD_nr), g->types.acc);
  Value *column = gemm_number(g, 0), *one = gemm_number(g, 1);
  Value *first = build_workspace(b, offset, &g->tile_buffer);
  Value *sum = build_load(b, OP_tile_load, (Place){first, {r, column}, NULL, NULL}, type);
  Loop loop = build_for(b, one, g->layer_count, one, &sum, 1);
  build_named(loop.index, "next_layer");
  Block *outer = b->block;
  b->block = loop.body;
  Value *next = build_add(b, offset, build_mul(b, loop.index, gemm_block_bytes(g, b)));
  Value *buffer = build_workspace(b, next, &g->tile_buffer);
  Value *row = build_load(b, OP_tile_load, (Place){buffer, {r, column}, NULL, NULL}, type);
  sum = build_binary(b, OP_tile_add, loop.carried[0], row);
  build_yield(b, &sum, 1);
  b->block = outer;
  return build_named(&loop.op->results[0], "product");
}

/* Row by row, since this is little of the work and much of the code otherwise. */
static void finish_tile(GemmBuild *g, Value *panel) {
  Builder *b = &g->b;
  gemm_place_rows(g, g->t);
  Value *offset = build_add(b, g->layers_before, gemm_kept_bytes_before(g, g->t, panel));
  Loop loop = build_for(b, gemm_number(g, 0), gemm_own_rows(g), gemm_number(g, 1), NULL, 0);
  build_named(loop.index, "r");
  Block *outer = b->block;
  b->block = loop.body;
  Value *product = sum_of_layers(g, offset, loop.index);
  gemm_epilogue(g, product, build_named(build_add(b, g->i, loop.index), "row"), NULL, 1);
  build_yield(b, NULL, 0);
  b->block = outer;
}

static void finish_panel(GemmBuild *g, Value *panel) {
  Builder *b = &g->b;
  gemm_place_columns(g, panel);
  if (gemm_needs_column_sums(g->plan)) gemm_build_column_sums(g);
  Block *outer = b->block;
  Loop tiles = build_for(b, g->t_lo, g->t_hi, gemm_number(g, 1), NULL, 0);
  g->t = build_named(tiles.index, "t");
  b->block = tiles.body;
  finish_tile(g, panel);
  build_yield(b, NULL, 0);
  b->block = outer;
}

static void finish_block(GemmBuild *g) {
  Builder *b = &g->b;
  Block *outer = b->block;
  if (gemm_needs_row_sums(g)) gemm_build_row_sums(g, g->t_hi);
  Loop panels = build_for(b, g->panel_lo, g->panel_hi, gemm_number(g, 1), NULL, 0);
  build_named(panels.index, "panel");
  b->block = panels.body;
  finish_panel(g, panels.index);
  build_yield(b, NULL, 0);
  b->block = outer;
}

/* Counts this layer in; whether all of the block's are there now. */
static Value *is_last_to_arrive(GemmBuild *g, Value *block) {
  Builder *b = &g->b;
  BufType counters = {.type = KILN_I32, .rank = 1};
  counters.dims[0] = extent_number(GEMM_COUNTERS);
  Value *arrivals = build_named(build_workspace(b, gemm_number(g, 0), &counters), "arrivals");
  Value *one = build_const(b, 1, type_scalar(KILN_I32));
  Value *before = build_named(build_atomic_add(b, one, (Place){arrivals, {block}, NULL, NULL}), "arrived_before");
  Value *arrived = build_add(b, build_unary(b, OP_index_tile, before), gemm_number(g, 1));
  return build_named(build_index(b, OP_index_eq, arrived, g->layer_count), "is_last_to_arrive");
}

void gemm_finish_layers(GemmBuild *g, Value *block) {
  Builder *b = &g->b;
  Block *outer = b->block;
  Value *are_several = build_index(b, OP_index_lt, gemm_number(g, 1), g->layer_count);
  b->block = build_if(b, are_several, NULL, 0, false)->blocks[0];
  Block *several = b->block;
  b->block = build_if(b, is_last_to_arrive(g, block), NULL, 0, false)->blocks[0];
  finish_block(g);
  build_yield(b, NULL, 0);
  b->block = several;
  build_yield(b, NULL, 0);
  b->block = outer;
}
