/* gemm_build.c: the tile IR of the gemm template: which tiles a task computes, and the product inside one. The
 * element-wise part is gemm_epilogue.c. One kernel serves every size: sizes, strides and blocks are symbols. */
#include <string.h>

#include "templates/gemm_build.h"

/* ---- small verbs ------------------------------------------------------------------------------------------------- */

Value *gemm_number(GemmBuild *g, int64_t value) { return build_number(&g->b, value); }

static Extent extent_of(Dim d) { return (Extent){.number = d.size, .symbol = d.symbol < 0 ? EXTENT_NUMBER : d.symbol}; }

static Value *size_value(Builder *b, Dim d) { return build_extent(b, extent_of(d)); }

static Value *param_value(const GemmBuild *g, Builder *b, Field field) {
  for (int i = 0; i < g->plan->param_count; ++i)
    if (g->plan->params[i] == field) return build_symbol(b, g->first_param + i);
  return NULL;
}

static int64_t field(const GemmBuild *g, Field f) { return g->plan->schedule.values[f]; }

/* Rows of a tile: mr, or where m is less, the largest variant that fits (tile_variants), so that no tile reads a row
 * that is not there. */
static Value *tile_rows(const GemmBuild *g, Builder *b) {
  int64_t rows = field(g, FIELD_mr);
  if (g->match->m.symbol < 0) return build_number(b, rows);
  int64_t heights[8];
  int count = 0;
  for (; rows > 0; rows /= 2) heights[count++] = rows;
  Value *chosen = build_number(b, heights[--count]), *m = size_value(b, g->match->m);
  while (count-- > 0) {
    Value *fits = build_index(b, OP_index_le, build_number(b, heights[count]), m);
    chosen = build_index_select(b, fits, build_number(b, heights[count]), chosen);
  }
  return chosen;
}

/* Register tiles along m and panels along n, in any block. */
static Value *tile_count(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, size_value(b, g->match->m), tile_rows(g, b));
}
static Value *panel_count(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, size_value(b, g->match->n), build_number(b, field(g, FIELD_nr)));
}
static Value *tiles_per_task(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, param_value(g, b, FIELD_mc), tile_rows(g, b));
}
static Value *panels_per_task(const GemmBuild *g, Builder *b) {
  return build_ceildiv(b, param_value(g, b, FIELD_nc), build_number(b, field(g, FIELD_nr)));
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

/* Bytes of one packed panel of B in a task: kc (or k) rows of nr, in whole cache lines since nr is whole vectors. */
static Value *panel_bytes(const GemmBuild *g, Builder *b) {
  Value *rows = g->has_kc ? param_value(g, b, FIELD_kc) : size_value(b, g->match->k);
  Value *bytes = build_mul(b, rows, build_number(b, 4 * field(g, FIELD_nr)));
  Value *lines = build_ceildiv(b, bytes, build_number(b, 64));
  return build_mul(b, lines, build_number(b, 64));
}

static Value *task_count(const GemmBuild *g, Builder *b) {
  return build_mul(b, build_ceildiv(b, tile_count(g, b), tiles_per_task(g, b)),
                   build_ceildiv(b, panel_count(g, b), panels_per_task(g, b)));
}

/* Workspace: a panel of B a task where tasks pack, then an accumulator tile for each tile of C where k is visited in
 * blocks. */
static Value *packed_bytes(const GemmBuild *g, Builder *b) {
  if (field(g, FIELD_pack_b) != PACK_B_TASK) return build_number(b, 0);
  return build_mul(b, task_count(g, b), panel_bytes(g, b));
}

static Value *accumulator_bytes(const GemmBuild *g, Builder *b) {
  if (!g->has_kc) return build_number(b, 0);
  Value *split = build_index(b, OP_index_lt, param_value(g, b, FIELD_kc), size_value(b, g->match->k));
  Value *tile_bytes = build_number(b, 4 * field(g, FIELD_mr) * field(g, FIELD_nr));
  Value *all = build_mul(b, build_mul(b, tile_count(g, b), panel_count(g, b)), tile_bytes);
  return build_index_select(b, split, all, build_number(b, 0));
}

static void add_header(GemmBuild *g) {
  Builder header = builder_of(g->kernel, g->kernel->header);
  g->kernel->tasks = task_count(g, &header);
  g->kernel->workspace = build_add(&header, packed_bytes(g, &header), accumulator_bytes(g, &header));
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* Copies rows lo … hi-1 of B's columns j … into panel rows 0 …: whole vectors, 0 where B has no column. */
static void pack_rows(Builder *b, const Plan *plan, Value *source, Value *target, Value *column, Value *target_column,
                      Value *cols, Value *lo, Value *hi) {
  int step = target_lanes(plan->problem.target);
  Loop loop = build_for(b, lo, hi, build_number(b, step), NULL, 0);
  build_named(loop.index, "p");
  Builder in = builder_of(b->kernel, loop.body);
  Value *rows = build_named(build_sub(&in, hi, loop.index), "left");
  TileType type = type_tile(step, (int)plan->schedule.values[FIELD_nr], source->type.buf->type);
  Value *tile = build_load(&in, OP_tile_load, (Place){source, {loop.index, column}, rows, cols}, type);
  build_store(&in, OP_tile_store, tile, (Place){target, {build_sub(&in, loop.index, lo), target_column}, rows, NULL});
  build_yield(&in, NULL, 0);
}

static void build_pack_kernel(const Plan *plan, const char *name, Module *module) {
  const GemmMatch *match = plan->match;
  Text full;
  text_init(&full, &module->arena.allocator);
  text_printf(&full, "%s_pack_%s", name, match->b.node->name);
  Kernel *kernel = kernel_create(module, text_get(&full));
  text_release(&full);
  add_symbols(plan->problem.graph, kernel);
  BufType source_type = buf_of_node(match->b.node);
  Value *source = kernel_buffer(kernel, match->b.node->name, &source_type);
  Value *packed = kernel_buffer(kernel, "packed", &plan->packs[match->b.input].type);
  int64_t nr = plan->schedule.values[FIELD_nr];
  Builder header = builder_of(kernel, kernel->header);
  kernel->tasks = build_ceildiv(&header, size_value(&header, match->n), build_number(&header, nr));
  Builder b = builder_of(kernel, kernel->body);
  Value *column = build_named(build_mul(&b, kernel_task(kernel), build_number(&b, nr)), "j");
  Value *cols = build_named(build_sub(&b, size_value(&b, match->n), column), "cols");
  source = gemm_operand_buffer(&b, source, &match->b);
  pack_rows(&b, plan, source, packed, column, column, cols, build_number(&b, 0), size_value(&b, match->k));
}

/* ---- the product in one register tile ---------------------------------------------------------------------------- */

/* acc + A * B for k from lo to hi, `steps` at a time; hi - lo is a multiple of steps. */
static Value *product_loop(GemmBuild *g, Value *acc, int rows, Value *lo, Value *hi, int steps) {
  Block *outer = g->b.block;
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, steps), &acc, 1);
  build_named(loop.index, "p");
  build_named(loop.carried[0], "sum");
  g->b.block = loop.body;
  int columns = (int)field(g, FIELD_nr);
  Value *fa = build_load(&g->b, OP_frag_load, (Place){g->a, {g->i, loop.index}, NULL, NULL},
                         type_frag(ROLE_A, rows, steps, KILN_F32));
  Value *row = g->panel_lo != NULL ? build_sub(&g->b, loop.index, g->panel_lo) : loop.index;
  Value *fb = build_load(&g->b, OP_frag_load, (Place){g->panel, {row, g->panel_column}, NULL, g->panel_cols},
                         type_frag(ROLE_B, steps, columns, KILN_F32));
  Value *next = build_ternary(&g->b, OP_mma, loop.carried[0], build_named(fa, "fa"), build_named(fb, "fb"));
  build_yield(&g->b, &next, 1);
  g->b.block = outer;
  return build_named(&loop.op->results[0], "acc");
}

static Value *product(GemmBuild *g, Value *acc, int rows) {
  int64_t ku = field(g, FIELD_ku);
  const Dim k = g->match->k;
  bool one_block = !g->has_kc;
  if (one_block && k.symbol < 0) {
    int64_t whole = k.size / ku * ku;
    if (whole > 0) acc = product_loop(g, acc, rows, gemm_number(g, 0), gemm_number(g, whole), (int)ku);
    if (whole < k.size) acc = product_loop(g, acc, rows, gemm_number(g, whole), gemm_number(g, k.size), 1);
    return acc;
  }
  if (ku == 1) return product_loop(g, acc, rows, g->k_lo, g->k_hi, 1);
  Value *steps = build_index(&g->b, OP_index_div, build_sub(&g->b, g->k_hi, g->k_lo), gemm_number(g, ku));
  Value *whole = build_named(build_add(&g->b, g->k_lo, build_mul(&g->b, steps, gemm_number(g, ku))), "whole");
  acc = product_loop(g, acc, rows, g->k_lo, whole, (int)ku);
  return product_loop(g, acc, rows, whole, g->k_hi, 1);
}

/* The accumulator at the first visit, or as the last one left it. */
static Value *initial(GemmBuild *g, int rows) {
  TileType type = type_frag(ROLE_ACC, rows, (int)field(g, FIELD_nr), KILN_F32);
  if (!g->has_kc) return build_named(build_typed(&g->b, OP_frag_zero, type, NULL, NULL), "zero");
  Value *first = build_index(&g->b, OP_index_eq, g->k_lo, gemm_number(g, 0));
  Op *choice = build_if(&g->b, first, &type, 1, true);
  Builder fresh = builder_of(g->kernel, choice->blocks[0]);
  Value *zero = build_typed(&fresh, OP_frag_zero, type, NULL, NULL);
  build_yield(&fresh, &zero, 1);
  Builder again = builder_of(g->kernel, choice->blocks[1]);
  Value *origin = build_number(&again, 0);
  Value *sum = build_load(&again, OP_frag_load, (Place){g->kept, {origin, origin}, NULL, NULL}, type);
  build_yield(&again, &sum, 1);
  return build_named(&choice->results[0], "start");
}

static void store_acc(GemmBuild *g, Value *acc, Value *buffer) {
  Value *origin = gemm_number(g, 0);
  build_store(&g->b, OP_frag_store, acc, (Place){buffer, {origin, origin}, NULL, NULL});
}

/* What becomes of a finished accumulator: its epilogue in registers, or L1 for the row loop. */
static void finish(GemmBuild *g, Value *acc, int rows) {
  if (field(g, FIELD_epilogue) == EPILOGUE_ROWS) {
    store_acc(g, acc, g->scratch);
    return;
  }
  Value *tile = build_typed(&g->b, OP_frag_tile, type_tile(rows, (int)field(g, FIELD_nr), KILN_F32), acc, NULL);
  gemm_epilogue(g, build_named(tile, "product"), g->i, g->rows, rows);
}

static void tile_body(GemmBuild *g, int rows) {
  Value *acc = product(g, initial(g, rows), rows);
  if (!g->has_kc) {
    finish(g, acc, rows);
    return;
  }
  Block *outer = g->b.block;
  Op *choice = build_if(&g->b, g->is_last, NULL, 0, true);
  g->b.block = choice->blocks[0];
  finish(g, acc, rows);
  build_yield(&g->b, NULL, 0);
  g->b.block = choice->blocks[1];
  store_acc(g, acc, g->kept);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Where m is a symbol a tile may own any number of rows; halves keep the waste of a small one below two. */
static void tile_variants(GemmBuild *g, int rows) {
  if (g->match->m.symbol < 0 || rows == 1) {
    tile_body(g, rows);
    return;
  }
  Block *outer = g->b.block;
  Op *choice = build_if(&g->b, build_index(&g->b, OP_index_le, g->rows, gemm_number(g, rows / 2)), NULL, 0, true);
  g->b.block = choice->blocks[0];
  tile_variants(g, rows / 2);
  build_yield(&g->b, NULL, 0);
  g->b.block = choice->blocks[1];
  tile_body(g, rows);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* ---- tiles of a task --------------------------------------------------------------------------------------------- */

/* First row of tile `t`, and how many rows are its own. Tiles end where m ends; where they do not fill it evenly the
 * first is short, but computes the rows of its successor too: no row outside of A is ever read. */
static void place_rows(GemmBuild *g, Value *t) {
  int64_t mr = field(g, FIELD_mr);
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
  int64_t nr = field(g, FIELD_nr);
  g->j = build_named(build_mul(&g->b, panel, gemm_number(g, nr)), "j");
  bool even = g->match->n.symbol < 0 && g->match->n.size % nr == 0;
  g->cols =
      even ? NULL
           : build_named(build_min(&g->b, gemm_number(g, nr), build_sub(&g->b, size_value(&g->b, g->match->n), g->j)),
                         "cols");
}

/* Where this panel of B is read from; packs it first where tasks do. */
static void place_panel(GemmBuild *g) {
  g->panel = g->source;
  g->panel_column = g->j;
  g->panel_cols = field(g, FIELD_pack_b) == PACK_B_NONE ? g->cols : NULL;
  g->panel_lo = NULL;
  if (field(g, FIELD_pack_b) != PACK_B_TASK) return;
  g->panel = g->task_panel;
  g->panel_column = gemm_number(g, 0);
  g->panel_lo = g->has_kc ? g->k_lo : NULL;
  pack_rows(&g->b, g->plan, g->source, g->panel, g->j, g->panel_column, g->cols, g->k_lo, g->k_hi);
}

static void one_tile(GemmBuild *g, Value *t, Value *panel) {
  place_rows(g, t);
  if (g->has_kc) {
    int64_t mr = field(g, FIELD_mr), nr = field(g, FIELD_nr);
    Value *number = build_add(&g->b, build_mul(&g->b, t, panel_count(g, &g->b)), panel);
    Value *offset = build_add(&g->b, packed_bytes(g, &g->b), build_mul(&g->b, number, gemm_number(g, 4 * mr * nr)));
    g->kept = build_named(build_workspace(&g->b, offset, &g->tile_buffer), "kept");
  }
  tile_variants(g, (int)field(g, FIELD_mr));
  if (field(g, FIELD_epilogue) != EPILOGUE_ROWS) return;
  Block *outer = g->b.block;
  if (g->has_kc) g->b.block = build_if(&g->b, g->is_last, NULL, 0, false)->blocks[0];
  gemm_epilogue_rows(g);
  if (g->has_kc) build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void tiles_of_block(GemmBuild *g, Value *first_tile, Value *last_tile, Value *first_panel, Value *last_panel) {
  Block *outer = g->b.block;
  Loop panels = build_for(&g->b, first_panel, last_panel, gemm_number(g, 1), NULL, 0);
  build_named(panels.index, "panel");
  g->b.block = panels.body;
  place_columns(g, panels.index);
  place_panel(g);
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
  Value *k = size_value(&g->b, g->match->k);
  if (!g->has_kc) {
    g->k_lo = gemm_number(g, 0);
    g->k_hi = k;
    tiles_of_block(g, bounds[0], bounds[1], bounds[2], bounds[3]);
    return;
  }
  Value *kc = param_value(g, &g->b, FIELD_kc);
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
  Value *mt = build_named(tiles_per_task(g, b), "mt"), *nt = build_named(panels_per_task(g, b), "nt");
  Value *columns = build_named(build_ceildiv(b, panels, nt), "column_blocks");
  Value *task = kernel_task(g->kernel);
  Value *row_block = build_index(b, OP_index_div, task, columns),
        *column_block = build_index(b, OP_index_mod, task, columns);
  Value *bounds[4];
  bounds[0] = build_named(build_mul(b, row_block, mt), "t_lo");
  bounds[1] = build_named(build_min(b, build_add(b, bounds[0], mt), tiles), "t_hi");
  bounds[2] = build_named(build_mul(b, column_block, nt), "panel_lo");
  bounds[3] = build_named(build_min(b, build_add(b, bounds[2], nt), panels), "panel_hi");
  Value *before_last = build_sub(b, tiles, gemm_number(g, 1));
  g->tile_rows = build_named(tile_rows(g, b), "tile_rows");
  g->first_end = build_sub(b, size_value(b, g->match->m), build_mul(b, before_last, g->tile_rows));
  build_named(g->first_end, "first_end");
  g->a = gemm_operand_buffer(b, g->buffers[g->match->a.input], &g->match->a);
  g->source = gemm_operand_buffer(b, g->buffers[g->match->b.input], &g->match->b);
  g->tile_buffer = (BufType){.type = KILN_F32, .rank = 2};
  g->tile_buffer.dims[0] = (Extent){field(g, FIELD_mr), EXTENT_NUMBER};
  g->tile_buffer.dims[1] = (Extent){field(g, FIELD_nr), EXTENT_NUMBER};
  if (field(g, FIELD_epilogue) == EPILOGUE_ROWS)
    g->scratch = build_named(build_scratch(b, &g->tile_buffer), "finished");
  if (field(g, FIELD_pack_b) == PACK_B_TASK) {
    BufType panel = {
        .type = KILN_F32, .rank = 2, .layout = LAYOUT_COL_PANEL, .panel = (int)field(g, FIELD_nr), .group = 1};
    int kc_symbol = g->first_param + g->plan->param_count - 1;
    panel.dims[0] = g->has_kc ? (Extent){0, kc_symbol} : extent_of(g->match->k);
    panel.dims[1] = g->tile_buffer.dims[1];
    g->task_panel = build_named(build_workspace(b, build_mul(b, task, panel_bytes(g, b)), &panel), "packed");
  }
  blocks_of_k(g, bounds);
}

void gemm_build(const Plan *plan, const char *name, Module *module) {
  GemmBuild g = {.plan = plan, .match = plan->match, .graph = plan->problem.graph};
  g.kernel = kernel_create(module, name);
  g.b = builder_of(g.kernel, g.kernel->body);
  g.has_kc = plan->param_count > 2;
  add_symbols(g.graph, g.kernel);
  add_params(&g);
  add_buffers(&g);
  add_header(&g);
  build_body(&g);
  if (field(&g, FIELD_pack_b) == PACK_B_AHEAD) build_pack_kernel(plan, name, module);
}
