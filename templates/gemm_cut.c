/* gemm_cut.c: how C is cut, in numbers: rows of a tile, tiles and panels of C and of a block, blocks, and where a
 * tile's accumulator waits. Values of sizes and params, in any block of the kernel and in its header. */
#include "templates/gemm_build.h"

/* Rows of a tile: mr, or where m is less, the largest variant that fits (tile_variants), so that no tile reads a row
 * that is not there. Tile registers have as many rows as they are told. */
Value *gemm_tile_rows(const GemmBuild *g, Builder *b) {
  int64_t rows = gemm_field(g, FIELD_mr);
  if (g->match->m.symbol < 0) return build_number(b, rows);
  if (gemm_field(g, FIELD_mma) == MMA_ON_TILES) {
    Value *fewer = build_min(b, gemm_size(g->plan, b, GEMM_M), build_number(b, rows));
    return build_index(b, OP_index_max, fewer, build_number(b, 1));
  }
  int halvings = 0;
  while (rows >> (halvings + 1) > 0) ++halvings;
  Value *chosen = build_number(b, 1), *m = gemm_size(g->plan, b, GEMM_M);
  while (halvings-- > 0) {
    Value *height = build_number(b, rows >> halvings);
    chosen = build_index_select(b, build_index(b, OP_index_le, height, m), height, chosen);
  }
  return chosen;
}

/* Register tiles along m and panels along n, in any block. */
Value *gemm_tile_count(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_size(g->plan, b, GEMM_M), gemm_tile_rows(g, b));
}
Value *gemm_panel_count(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_size(g->plan, b, GEMM_N), build_number(b, gemm_field(g, FIELD_nr)));
}
/* Whether there may be layers of more register tiles than there are counters. */
static bool has_many_layers(const GemmBuild *g) {
  const GemmMatch *match = g->match;
  if (!g->has_layers || match->m.symbol >= 0 || match->n.symbol >= 0) return g->has_layers;
  int64_t tiles = ceil_div(match->m.size, gemm_field(g, FIELD_mr));
  return tiles * ceil_div(match->n.size, gemm_field(g, FIELD_nr)) > GEMM_COUNTERS;
}

/* With several layers C has no more blocks than there are counters, however the params cut it: how C is cut must not
 * change the order of additions. */
static Value *at_least(const GemmBuild *g, Builder *b, Value *count, Value *all, Value *most_blocks) {
  Value *more = build_index(b, OP_index_max, count, build_ceildiv(b, all, most_blocks));
  Value *are_several = build_index(b, OP_index_lt, build_number(b, 1), gemm_param(g, b, FIELD_layers));
  return build_index_select(b, are_several, more, count);
}

/* Tiles along m and panels along n of a block: all of them where the kernel has no blocks. */
Value *gemm_panels_per_block(const GemmBuild *g, Builder *b) {
  Value *nc = gemm_param(g, b, FIELD_nc);
  if (nc == NULL) return gemm_panel_count(g, b);
  Value *count = build_ceildiv(b, nc, build_number(b, gemm_field(g, FIELD_nr)));
  return has_many_layers(g) ? at_least(g, b, count, gemm_panel_count(g, b), build_number(b, GEMM_COUNTERS)) : count;
}
Value *gemm_column_blocks(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_panel_count(g, b), gemm_panels_per_block(g, b));
}
Value *gemm_tiles_per_block(const GemmBuild *g, Builder *b) {
  Value *mc = gemm_param(g, b, FIELD_mc);
  if (mc == NULL) return gemm_tile_count(g, b);
  Value *count = build_ceildiv(b, mc, gemm_tile_rows(g, b));
  if (!has_many_layers(g)) return count;
  Value *columns = build_index(b, OP_index_max, gemm_column_blocks(g, b), build_number(b, 1));
  Value *rows = build_index(b, OP_index_div, build_number(b, GEMM_COUNTERS), columns);
  return at_least(g, b, count, gemm_tile_count(g, b), rows);
}
Value *gemm_row_blocks(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_tile_count(g, b), gemm_tiles_per_block(g, b));
}
Value *gemm_block_count(const GemmBuild *g, Builder *b) {
  return build_mul(b, gemm_row_blocks(g, b), gemm_column_blocks(g, b));
}
Value *gemm_block_bytes(const GemmBuild *g, Builder *b) {
  Value *tile_bytes = build_number(b, gemm_bytes(g->types.acc, gemm_field(g, FIELD_mr) * gemm_field(g, FIELD_nr)));
  Value *all = build_mul(b, build_mul(b, gemm_tiles_per_block(g, b), gemm_panels_per_block(g, b)), tile_bytes);
  return build_mul(b, build_ceildiv(b, all, build_number(b, 64)), build_number(b, 64));
}

/* Tiles of a panel lie one after another, so that those to come are found by prefetching. */
Value *gemm_kept_bytes_before(GemmBuild *g, Value *t, Value *panel) {
  Builder *b = &g->b;
  Value *panels = build_mul(b, build_sub(b, panel, g->panel_lo), g->tiles_of_block);
  Value *number = build_add(b, panels, build_sub(b, t, g->t_lo));
  return build_mul(b, number,
                   build_number(b, gemm_bytes(g->types.acc, gemm_field(g, FIELD_mr) * gemm_field(g, FIELD_nr))));
}
