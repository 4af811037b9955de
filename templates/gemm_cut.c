/* gemm_cut.c: how C is cut, in numbers: rows of a tile, tiles and panels of C and of a block, blocks, where a
 * tile's accumulator waits, and in which order blocks are visited. Values of sizes and params, in any block of the
 * kernel and in its header. */
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

/* ---- blocks at hand ---------------------------------------------------------------------------------------------- */

GemmCut gemm_cut(GemmBuild *g) {
  Builder *b = &g->b;
  GemmCut cut = {.tiles = build_named(gemm_tile_count(g, b), "tiles"),
                 .panels = build_named(gemm_panel_count(g, b), "panels")};
  if (!gemm_has_field(g->plan, FIELD_mc)) return cut;
  cut.tiles_of_block = build_named(gemm_tiles_per_block(g, b), "mt");
  cut.panels_of_block = build_named(gemm_panels_per_block(g, b), "nt");
  cut.row_blocks = build_named(gemm_row_blocks(g, b), "row_blocks");
  cut.column_blocks = build_named(gemm_column_blocks(g, b), "column_blocks");
  cut.blocks = build_named(build_mul(b, cut.row_blocks, cut.column_blocks), "blocks");
  return cut;
}

/* Row and column of block `x` in the order of visits: strips of so many columns, down one and up the next, each row of
 * a strip from left to right and the next one back, so that blocks that follow each other share rows or columns. */
static void place_block(GemmBuild *g, Value *x, Value *rows, Value *columns, Value **row, Value **column) {
  Builder *b = &g->b;
  Value *one = gemm_number(g, 1), *two = gemm_number(g, 2), *zero = gemm_number(g, 0);
  Value *strip = build_named(build_min(b, gemm_param(g, b, FIELD_strip), columns), "strip_width");
  Value *blocks_of_strip = build_mul(b, rows, strip);
  Value *number = build_named(build_index(b, OP_index_div, x, blocks_of_strip), "strip");
  Value *within = build_named(build_index(b, OP_index_mod, x, blocks_of_strip), "within");
  Value *first = build_named(build_mul(b, number, strip), "first_column");
  Value *width = build_named(build_min(b, strip, build_sub(b, columns, first)), "width");
  Value *down = build_named(build_index(b, OP_index_div, within, width), "down");
  Value *right = build_named(build_index(b, OP_index_mod, within, width), "right");
  Value *goes_down = build_index(b, OP_index_eq, build_index(b, OP_index_mod, number, two), zero);
  Value *goes_right = build_index(b, OP_index_eq, build_index(b, OP_index_mod, down, two), zero);
  Value *up = build_sub(b, build_sub(b, rows, one), down), *left = build_sub(b, build_sub(b, width, one), right);
  *row = build_named(build_index_select(b, goes_down, down, up), "row_block");
  *column = build_named(build_add(b, first, build_index_select(b, goes_right, right, left)), "column_block");
}

Value *gemm_place_block(GemmBuild *g, const GemmCut *cut, Value *number, Value *product, Value *row_before) {
  Builder *b = &g->b;
  Value *row, *column;
  place_block(g, number, cut->row_blocks, cut->column_blocks, &row, &column);
  g->t_lo = build_named(build_mul(b, row, cut->tiles_of_block), "t_lo");
  g->t_hi = build_named(build_min(b, build_add(b, g->t_lo, cut->tiles_of_block), cut->tiles), "t_hi");
  g->panel_lo = build_named(build_mul(b, column, cut->panels_of_block), "panel_lo");
  g->panel_hi = build_named(build_min(b, build_add(b, g->panel_lo, cut->panels_of_block), cut->panels), "panel_hi");
  if (product != NULL) row = build_named(build_add(b, build_mul(b, product, cut->row_blocks), row), "row_of_batch");
  g->is_same_rows = build_named(build_index(b, OP_index_eq, row, row_before), "is_same_rows");
  return row;
}
