/* gemm_build.c: the tile IR of the gemm template: which tiles a task computes, and the product inside one. The
 * element-wise part is gemm_epilogue.c. One kernel serves every size: sizes, strides and blocks are symbols. */
#include <string.h>

#include "templates/gemm_build.h"

/* ---- small verbs ------------------------------------------------------------------------------------------------- */

Value *gemm_number(GemmBuild *g, int64_t value) { return build_number(&g->b, value); }

Extent gemm_extent(Dim d) { return (Extent){.number = d.size, .symbol = d.symbol < 0 ? EXTENT_NUMBER : d.symbol}; }

Value *gemm_size(Builder *b, Dim d) { return build_extent(b, gemm_extent(d)); }

Value *gemm_param(const GemmBuild *g, Builder *b, Field field) {
  for (int i = 0; i < g->plan->param_count; ++i)
    if (g->plan->params[i] == field) return build_symbol(b, g->first_param + i);
  return NULL;
}

/* Rows of a tile: mr, or where m is less, the largest variant that fits (tile_variants), so that no tile reads a row
 * that is not there. Tile registers have as many rows as they are told. */
static Value *tile_rows(const GemmBuild *g, Builder *b) {
  int64_t rows = gemm_field(g, FIELD_mr);
  if (g->match->m.symbol < 0) return build_number(b, rows);
  if (gemm_field(g, FIELD_mma) == MMA_ON_TILES) {
    Value *fewer = build_min(b, gemm_size(b, g->match->m), build_number(b, rows));
    return build_index(b, OP_index_max, fewer, build_number(b, 1));
  }
  int halvings = 0;
  while (rows >> (halvings + 1) > 0) ++halvings;
  Value *chosen = build_number(b, 1), *m = gemm_size(b, g->match->m);
  while (halvings-- > 0) {
    Value *height = build_number(b, rows >> halvings);
    chosen = build_index_select(b, build_index(b, OP_index_le, height, m), height, chosen);
  }
  return chosen;
}

/* Register tiles along m and panels along n, in any block. */
static Value *tile_count(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_size(b, g->match->m), tile_rows(g, b));
}
static Value *panel_count(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_size(b, g->match->n), build_number(b, gemm_field(g, FIELD_nr)));
}
Value *gemm_tiles_per_task(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_param(g, b, FIELD_mc), tile_rows(g, b));
}
static Value *panels_per_task(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, gemm_param(g, b, FIELD_nc), build_number(b, gemm_field(g, FIELD_nr)));
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

static void add_symbols(const kiln_graph *graph, Kernel *kernel) {
  for (size_t i = 0; i < graph->symbols.count; ++i) kernel_symbol(kernel, graph->symbols.items[i], false);
}

/* Params follow the graph's symbols; a graph may use one of their names, so an underscore is added until it is free. */
static void add_params(GemmBuild *g) {
  g->first_param = (int)g->graph->symbols.count;
  for (int i = 0; i < g->plan->param_count; ++i) {
    Text name;
    text_init(&name, &g->kernel->module->arena.allocator);
    text_add(&name, field_info(g->plan->params[i])->name);
    while (kernel_find_symbol(g->kernel, text_get(&name), name.length) >= 0) text_add_char(&name, '_');
    kernel_symbol(g->kernel, text_get(&name), true);
    text_release(&name);
  }
}

static void add_buffers(GemmBuild *g) {
  const kiln_graph *graph = g->graph;
  g->buffers = ARENA_ARRAY(&g->kernel->module->arena, Value *, graph->inputs.count + graph->outputs.count);
  for (size_t i = 0; i < graph->inputs.count; ++i) {
    const Node *node = graph_node(graph, graph->inputs.items[i]);
    BufType type = g->plan->packs[i].packed ? g->plan->packs[i].type : buf_of_node(node);
    g->buffers[i] = kernel_buffer(g->kernel, node->name, &type);
  }
  for (size_t i = 0; i < graph->outputs.count; ++i) {
    const Node *node = graph_node(graph, graph->outputs.items[i]);
    BufType type = gemm_view(node, node->op == KILN_OP_TRANSPOSE);
    g->buffers[graph->inputs.count + i] = kernel_buffer(g->kernel, node->name != NULL ? node->name : "result", &type);
  }
}

Value *gemm_operand_buffer(Builder *b, Value *buffer, const GemmOperand *operand) {
  if (!operand->transposed || buffer->type.buf->layout == LAYOUT_COL_PANEL) return buffer;
  BufType view = gemm_view(operand->node, true);
  return build_buf_transpose(b, buffer, &view);
}

static Value *task_count(const GemmBuild *g, Builder *b) {
  return build_mul(b, build_ceildiv(b, tile_count(g, b), gemm_tiles_per_task(g, b)),
                   build_ceildiv(b, panel_count(g, b), panels_per_task(g, b)));
}

/* What a task packs: a panel of B, its rows of A, their sums. */
static Value *task_bytes(const GemmBuild *g, Builder *b) {
  Value *packed = build_add(b, gemm_panel_bytes(g, b), gemm_rows_bytes(g, b));
  return build_add(b, packed, gemm_row_sum_bytes(g, b));
}

/* Workspace: what each task packs, then an accumulator tile for each tile of C where k is visited in blocks. */
static Value *packed_bytes(const GemmBuild *g, Builder *b) { return build_mul(b, task_count(g, b), task_bytes(g, b)); }

static Value *accumulator_bytes(const GemmBuild *g, Builder *b) {
  if (!g->has_kc) return build_number(b, 0);
  Value *split = build_index(b, OP_index_lt, gemm_param(g, b, FIELD_kc), gemm_size(b, g->match->k));
  Value *tile_bytes = build_number(b, gemm_bytes(g->types.acc, gemm_field(g, FIELD_mr) * gemm_field(g, FIELD_nr)));
  Value *all = build_mul(b, build_mul(b, tile_count(g, b), panel_count(g, b)), tile_bytes);
  return build_index_select(b, split, all, build_number(b, 0));
}

static void add_header(GemmBuild *g) {
  Builder header = builder_of(g->kernel, g->kernel->header);
  g->kernel->tasks = task_count(g, &header);
  g->kernel->workspace = build_add(&header, packed_bytes(g, &header), accumulator_bytes(g, &header));
}

/* ---- tiles of a task --------------------------------------------------------------------------------------------- */

/* First row of tile `t`, and how many rows are its own. Tiles end where m ends; where they do not fill it evenly the
 * first is short, but computes the rows of its successor too: no row outside of A is ever read. */
void gemm_place_rows(GemmBuild *g, Value *t) {
  int64_t mr = gemm_field(g, FIELD_mr);
  if (g->match->m.symbol < 0 && g->match->m.size % mr == 0) {
    g->i = build_named(build_mul(&g->b, t, gemm_number(g, mr)), "i");
    g->rows = NULL;
    return;
  }
  Value *end = build_add(&g->b, g->first_end, build_mul(&g->b, t, g->tile_rows));
  g->rows = build_named(build_min(&g->b, build_named(end, "end"), g->tile_rows), "rows");
  g->i = build_named(build_sub(&g->b, end, g->rows), "i");
}

static void place_columns(GemmBuild *g, Value *panel) {
  int64_t nr = gemm_field(g, FIELD_nr);
  g->j = build_named(build_mul(&g->b, panel, gemm_number(g, nr)), "j");
  bool even = g->match->n.symbol < 0 && g->match->n.size % nr == 0;
  g->cols =
      even ? NULL
           : build_named(build_min(&g->b, gemm_number(g, nr), build_sub(&g->b, gemm_size(&g->b, g->match->n), g->j)),
                         "cols");
}

/* Where this panel of B is read from; packs it first where tasks do. */
static void place_panel(GemmBuild *g) {
  g->panel = g->source;
  g->panel_column = g->j;
  g->panel_cols = gemm_field(g, FIELD_pack_b) == PACK_B_NONE ? g->cols : NULL;
  g->panel_lo = NULL;
  if (gemm_field(g, FIELD_pack_b) != PACK_B_TASK) return;
  g->panel = g->task_panel;
  g->panel_column = gemm_number(g, 0);
  g->panel_lo = g->has_kc ? g->k_lo : NULL;
  gemm_pack_panel(g);
}

/* Where the rows of tile `t` are read from. */
static void place_a(GemmBuild *g, Value *t) {
  bool is_packed = g->task_rows != NULL;
  g->rows_of_a = is_packed ? g->task_rows : g->a;
  g->rows_lo = is_packed && g->has_kc ? g->k_lo : NULL;
  g->first_row = g->i;
  if (!is_packed) return;
  Value *panel = build_sub(&g->b, t, g->t_lo);
  g->first_row = build_named(build_mul(&g->b, panel, gemm_number(g, gemm_field(g, FIELD_mr))), "panel_row");
}

/* Asks for the lines the tile's results will be written to, so that stores need not wait for them to be read. */
static void prefetch_results(GemmBuild *g) {
  Block *outer = g->b.block;
  if (g->has_kc) g->b.block = build_if(&g->b, g->is_last, NULL, 0, false)->blocks[0];
  Block *inner = g->b.block;
  Value *rows = g->rows != NULL ? g->rows : gemm_number(g, gemm_field(g, FIELD_mr));
  Loop loop = build_for(&g->b, gemm_number(g, 0), rows, gemm_number(g, 1), NULL, 0);
  build_named(loop.index, "r");
  g->b.block = loop.body;
  for (size_t o = 0; o < g->graph->outputs.count; ++o) {
    const Node *node = graph_node(g->graph, g->graph->outputs.items[o]);
    if (node->op == KILN_OP_TRANSPOSE) continue;
    Value *buffer = g->buffers[g->graph->inputs.count + o], *row = build_add(&g->b, g->i, loop.index);
    for (int64_t c = 0; c < gemm_field(g, FIELD_nr); c += 64 / gemm_bytes(node->type, 1))
      build_prefetch(&g->b, (Place){.buffer = buffer, .indices = {row, build_add(&g->b, g->j, gemm_number(g, c))}}, 1);
  }
  build_yield(&g->b, NULL, 0);
  g->b.block = inner;
  if (g->has_kc) build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void one_tile(GemmBuild *g, Value *t, Value *panel) {
  g->t = t;
  gemm_place_rows(g, t);
  place_a(g, t);
  if (g->has_kc) {
    int64_t mr = gemm_field(g, FIELD_mr), nr = gemm_field(g, FIELD_nr);
    Value *number = build_add(&g->b, build_mul(&g->b, t, panel_count(g, &g->b)), panel);
    Value *tile_bytes = gemm_number(g, gemm_bytes(g->types.acc, mr * nr));
    Value *offset = build_add(&g->b, packed_bytes(g, &g->b), build_mul(&g->b, number, tile_bytes));
    g->kept = build_named(build_workspace(&g->b, offset, &g->tile_buffer), "kept");
  }
  if (gemm_field(g, FIELD_prefetch) == PREFETCH_BOTH) prefetch_results(g);
  gemm_tile(g);
  if (gemm_field(g, FIELD_epilogue) != EPILOGUE_ROWS) return;
  Block *outer = g->b.block;
  if (g->has_kc) g->b.block = build_if(&g->b, g->is_last, NULL, 0, false)->blocks[0];
  gemm_epilogue_rows(g);
  if (g->has_kc) build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void tiles_of_block(GemmBuild *g, Value *first_tile, Value *last_tile, Value *first_panel, Value *last_panel) {
  if (g->task_rows != NULL) gemm_pack_rows(g, last_tile);
  Block *outer = g->b.block;
  Loop panels = build_for(&g->b, first_panel, last_panel, gemm_number(g, 1), NULL, 0);
  build_named(panels.index, "panel");
  g->b.block = panels.body;
  place_columns(g, panels.index);
  place_panel(g);
  if (gemm_needs_column_sums(g)) gemm_build_column_sums(g);
  if (gemm_field(g, FIELD_prefetch) != PREFETCH_NONE) {
    Value *is_last = build_index(&g->b, OP_index_eq, build_add(&g->b, panels.index, gemm_number(g, 1)), last_panel);
    g->next_hi = build_named(build_index_select(&g->b, is_last, gemm_number(g, 0), g->k_hi), "next_hi");
    g->tiles_of_task = build_sub(&g->b, last_tile, first_tile);
  }
  Loop tiles = build_for(&g->b, first_tile, last_tile, gemm_number(g, 1), NULL, 0);
  build_named(tiles.index, "t");
  g->b.block = tiles.body;
  one_tile(g, tiles.index, panels.index);
  build_yield(&g->b, NULL, 0);
  g->b.block = panels.body;
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Visits k in blocks of kc; at least once, so that k = 0 still gives the epilogue of zero. */
static void blocks_of_k(GemmBuild *g, Value *const bounds[4]) {
  Value *k = gemm_size(&g->b, g->match->k);
  if (!g->has_kc) {
    g->k_lo = gemm_number(g, 0);
    g->k_hi = k;
    tiles_of_block(g, bounds[0], bounds[1], bounds[2], bounds[3]);
    return;
  }
  Value *kc = gemm_depth(g, &g->b); /* whole steps, so that no block of k begins inside of one */
  Loop loop = build_for(&g->b, gemm_number(g, 0), build_index(&g->b, OP_index_max, k, gemm_number(g, 1)), kc, NULL, 0);
  g->k_lo = build_named(loop.index, "k_lo");
  Block *outer = g->b.block;
  g->b.block = loop.body;
  Value *end = build_add(&g->b, g->k_lo, kc);
  g->k_hi = build_named(build_min(&g->b, end, k), "k_hi");
  g->is_last = build_named(build_index(&g->b, OP_index_le, k, end), "is_last");
  tiles_of_block(g, bounds[0], bounds[1], bounds[2], bounds[3]);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void build_body(GemmBuild *g) {
  Builder *b = &g->b;
  Value *tiles = build_named(tile_count(g, b), "tiles"), *panels = build_named(panel_count(g, b), "panels");
  Value *mt = build_named(gemm_tiles_per_task(g, b), "mt"), *nt = build_named(panels_per_task(g, b), "nt");
  Value *columns = build_named(build_ceildiv(b, panels, nt), "column_blocks");
  Value *task = kernel_task(g->kernel);
  Value *row_block = build_index(b, OP_index_div, task, columns),
        *column_block = build_index(b, OP_index_mod, task, columns);
  Value *bounds[4];
  g->t_lo = bounds[0] = build_named(build_mul(b, row_block, mt), "t_lo");
  bounds[1] = build_named(build_min(b, build_add(b, bounds[0], mt), tiles), "t_hi");
  bounds[2] = build_named(build_mul(b, column_block, nt), "panel_lo");
  bounds[3] = build_named(build_min(b, build_add(b, bounds[2], nt), panels), "panel_hi");
  Value *before_last = build_sub(b, tiles, gemm_number(g, 1));
  g->tile_rows = build_named(tile_rows(g, b), "tile_rows");
  g->first_end = build_sub(b, gemm_size(b, g->match->m), build_mul(b, before_last, g->tile_rows));
  build_named(g->first_end, "first_end");
  g->a = gemm_operand_buffer(b, g->buffers[g->match->a.input], &g->match->a);
  g->source = gemm_operand_buffer(b, g->buffers[g->match->b.input], &g->match->b);
  g->tile_buffer = (BufType){.type = g->types.acc, .rank = 2};
  g->tile_buffer.dims[0] = (Extent){gemm_field(g, FIELD_mr), EXTENT_NUMBER};
  g->tile_buffer.dims[1] = (Extent){gemm_field(g, FIELD_nr), EXTENT_NUMBER};
  if (gemm_field(g, FIELD_epilogue) == EPILOGUE_ROWS)
    g->scratch = build_named(build_scratch(b, &g->tile_buffer), "finished");
  Value *offset = build_mul(b, task, task_bytes(g, b));
  if (gemm_field(g, FIELD_pack_b) == PACK_B_TASK) g->task_panel = gemm_panel_buffer(g, offset);
  if (gemm_field(g, FIELD_pack_a) == PACK_A_TASK)
    g->task_rows = gemm_rows_buffer(g, build_add(b, offset, gemm_panel_bytes(g, b)));
  if (gemm_needs_column_sums(g)) gemm_place_column_sums(g);
  if (gemm_needs_row_sums(g)) {
    Value *packed = build_add(b, gemm_panel_bytes(g, b), gemm_rows_bytes(g, b));
    gemm_build_row_sums(g, build_add(b, offset, packed), bounds[1]);
  }
  blocks_of_k(g, bounds);
}

void gemm_build(const Plan *plan, const char *name, Module *module) {
  GemmBuild g = {.plan = plan, .match = plan->match, .graph = plan->problem.graph, .types = gemm_types(plan)};
  g.kernel = kernel_create(module, name);
  g.b = builder_of(g.kernel, g.kernel->body);
  g.has_kc = plan->param_count > 2;
  add_symbols(g.graph, g.kernel);
  add_params(&g);
  add_buffers(&g);
  add_header(&g);
  build_body(&g);
  if (gemm_field(&g, FIELD_pack_b) == PACK_B_AHEAD) gemm_build_pack_kernel(plan, name, module);
}
