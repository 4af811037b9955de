/* gemm_build.c: the tile IR of the gemm template: which blocks and tiles a task computes. The
 * element-wise part is gemm_epilogue.c. One kernel serves every size: sizes, strides and blocks are symbols. */
#include <string.h>

#include "templates/gemm_build.h"

/* ---- small verbs ------------------------------------------------------------------------------------------------- */

Value *gemm_number(GemmBuild *g, int64_t value) { return build_number(&g->b, value); }

Value *gemm_size(const Plan *plan, Builder *b, int axis) { return build_extent(b, gemm_extent(plan, axis)); }

int gemm_param_symbol(const GemmBuild *g, Field field) {
  for (int i = 0; i < g->plan->param_count; ++i)
    if (g->plan->params[i] == field) return (int)tmpl_first_param(g->plan) + i;
  return -1;
}

Value *gemm_param(const GemmBuild *g, Builder *b, Field field) {
  int symbol = gemm_param_symbol(g, field);
  return symbol < 0 ? NULL : build_symbol(b, symbol);
}

Value *gemm_layer_end(GemmBuild *g) {
  return g->layer_hi != NULL ? g->layer_hi : gemm_size(g->plan, &g->b, GEMM_DEPTH);
}

Value *gemm_own_rows(GemmBuild *g) { return g->rows != NULL ? g->rows : gemm_number(g, gemm_field(g, FIELD_mr)); }

/* ---- interface --------------------------------------------------------------------------------------------------- */

/* A graph may use the name, so an underscore is added until it is free. */
static void add_symbol(Kernel *kernel, const char *wanted, bool is_param) {
  Text name;
  text_init(&name, &kernel->module->arena.allocator);
  text_add(&name, wanted);
  while (!name.failed && kernel_find_symbol(kernel, text_get(&name), name.length) >= 0) text_add_char(&name, '_');
  kernel_symbol(kernel, text_get(&name), is_param);
  kernel->module->arena.failed |= name.failed;
  text_release(&name);
}

void gemm_add_sizes(const Plan *plan, Kernel *kernel) {
  const kiln_graph *graph = plan->problem.graph;
  for (size_t i = 0; i < graph->symbols.count; ++i) kernel_symbol(kernel, graph->symbols.items[i], false);
  for (int i = 0; i < plan->size_count; ++i) add_symbol(kernel, plan->sizes[i].name, false);
}

static void add_buffers(GemmBuild *g) {
  const kiln_graph *graph = g->graph;
  size_t count = graph->inputs.count + graph->outputs.count;
  g->wholes = ARENA_ARRAY(&g->kernel->module->arena, Value *, count);
  g->buffers = ARENA_ARRAY(&g->kernel->module->arena, Value *, count);
  for (size_t i = 0; i < graph->inputs.count; ++i) {
    const Node *node = graph_node(graph, graph->inputs.items[i]);
    BufType type = g->plan->packs[i].packed ? gemm_packed_type(g->plan, (int)i) : gemm_buffer_type(g->plan, node);
    g->wholes[i] = g->buffers[i] = kernel_buffer(g->kernel, node->name, &type);
  }
  for (size_t i = 0; i < graph->outputs.count; ++i) {
    const Node *node = graph_node(graph, graph->outputs.items[i]);
    bool is_turned = node->op == KILN_OP_TRANSPOSE && node->shape.rank == 2;
    BufType type = gemm_buffer_type(g->plan, node);
    if (is_turned) type = gemm_turned(type);
    Value *buffer = kernel_buffer(g->kernel, node->name != NULL ? node->name : "result", &type);
    g->wholes[graph->inputs.count + i] = g->buffers[graph->inputs.count + i] = buffer;
  }
}

Value *gemm_operand_buffer(Builder *b, Value *buffer, const GemmOperand *operand) {
  if (!operand->transposed || buffer->type.buf->layout == LAYOUT_COL_PANEL) return buffer;
  BufType view = gemm_turned(*buffer->type.buf);
  return build_buf_transpose(b, buffer, &view);
}

/* What tasks share: blocks of C of all products of the batch, and their layers. */
static Value *item_count(const GemmBuild *g, Builder *b) {
  Value *items = gemm_batch_count(g, b);
  if (gemm_has_field(g->plan, FIELD_mc)) items = build_mul(b, items, gemm_block_count(g, b));
  return g->has_layers ? build_mul(b, items, gemm_layer_count(g, b)) : items;
}

static Value *task_count(const GemmBuild *g, Builder *b) {
  Value *tasks = gemm_param(g, b, FIELD_tasks);
  return tasks == NULL ? build_number(b, 1) : build_min(b, tasks, item_count(g, b));
}

/* What a task packs: a panel of B, rows of A, their sums. */
static Value *packed_bytes(const GemmBuild *g, Builder *b) {
  Value *packed = build_add(b, gemm_panel_bytes(g, b), gemm_rows_bytes(g, b));
  packed = build_add(b, packed, gemm_row_sum_bytes(g, b));
  return build_add(b, packed, gemm_column_sum_bytes(g, b));
}

/* Accumulators that a task keeps while their tiles are not finished: those of a block where it visits k in blocks,
 * those of two panels where it goes panel by panel. */
static Value *kept_bytes(const GemmBuild *g, Builder *b) {
  Value *nothing = build_number(b, 0);
  if (!g->has_kc) return nothing;
  Value *is_cut = build_index(b, OP_index_lt, gemm_param(g, b, FIELD_kc), gemm_size(g->plan, b, GEMM_DEPTH));
  int64_t pair_bytes = 2 * gemm_bytes(g->types.acc, gemm_field(g, FIELD_mr) * gemm_field(g, FIELD_nr));
  Value *kept = gemm_overlaps(g) ? build_mul(b, gemm_tiles_per_block(g, b), build_number(b, pair_bytes))
                                 : build_index_select(b, is_cut, gemm_block_bytes(g, b), nothing);
  if (!g->has_layers) return kept;
  Value *is_single = build_index(b, OP_index_eq, gemm_layer_count(g, b), build_number(b, 1));
  return build_index_select(b, is_single, kept, nothing);
}

/* An accumulator of zeros, which the first visit to a tile of vectors goes on from as later ones do from the kept one:
 * a choice between the two in registers would be a copy of every accumulator, which costs the compiler, not the kernel.
 * Where k is a symbol there may be one visit only, for which no workspace is asked. */
static int64_t blank_bytes(const GemmBuild *g) {
  enum { LINE = 64 };
  if (!g->has_kc || g->loop_k.symbol >= 0 || gemm_field(g, FIELD_mma) == MMA_ON_TILES) return 0;
  return ceil_div(gemm_bytes(g->types.acc, gemm_field(g, FIELD_mr) * gemm_field(g, FIELD_nr)), LINE) * LINE;
}

static Value *task_bytes(const GemmBuild *g, Builder *b) {
  Value *own = build_add(b, packed_bytes(g, b), build_number(b, blank_bytes(g)));
  return build_add(b, own, kept_bytes(g, b));
}

static void add_header(GemmBuild *g) {
  Builder header = builder_of(g->kernel, g->kernel->header);
  g->kernel->tasks = task_count(g, &header);
  g->kernel->workspace = build_mul(&header, g->kernel->tasks, task_bytes(g, &header));
  if (g->has_layers) g->kernel->workspace = build_add(&header, g->kernel->workspace, gemm_layers_bytes(g, &header));
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

void gemm_place_columns(GemmBuild *g, Value *panel) {
  int64_t nr = gemm_field(g, FIELD_nr);
  g->j = build_named(build_mul(&g->b, panel, gemm_number(g, nr)), "j");
  bool even = g->match->n.symbol < 0 && g->match->n.size % nr == 0;
  g->cols =
      even
          ? NULL
          : build_named(build_min(&g->b, gemm_number(g, nr), build_sub(&g->b, gemm_size(g->plan, &g->b, GEMM_N), g->j)),
                        "cols");
}

/* Where this panel of B is read from; packs it first where tasks do. */
static void place_panel(GemmBuild *g, Value *panel) {
  g->panel = g->source;
  g->panel_column = g->j;
  g->panel_cols = gemm_field(g, FIELD_pack_b) == PACK_B_NONE ? g->cols : NULL;
  g->k_of_panel = NULL;
  if (gemm_field(g, FIELD_pack_b) != PACK_B_TASK) return;
  g->panel = g->task_panel;
  g->k_of_panel = g->has_kc ? g->k_lo : NULL;
  g->panel_column = gemm_pack_panel(g, panel);
}

/* Where the rows of tile `t` are read from. */
static void place_a(GemmBuild *g, Value *t) {
  bool is_packed = g->task_rows != NULL;
  g->rows_of_a = is_packed ? g->task_rows : g->a;
  g->k_of_rows = is_packed ? gemm_first_packed(g) : NULL;
  g->first_row = g->i;
  if (!is_packed) return;
  Value *panel = build_sub(&g->b, t, g->t_lo);
  g->first_row = build_named(build_mul(&g->b, panel, gemm_number(g, gemm_field(g, FIELD_mr))), "panel_row");
}

/* Whether this panel or the one before has the first of two places. */
static Value *turn_of(GemmBuild *g, Value *panel, int before) {
  Value *number = build_add(&g->b, build_sub(&g->b, panel, g->panel_lo), gemm_number(g, before));
  return build_index(&g->b, OP_index_mod, number, gemm_number(g, 2));
}

static void place_waiting_tile(GemmBuild *g, Value *t, Value *panel) {
  Value *before = build_add(&g->b, g->panel_lo, turn_of(g, panel, 1));
  Value *offset = build_add(&g->b, g->kept_before, gemm_kept_bytes_before(g, t, before));
  g->waiting = build_named(build_workspace(&g->b, offset, &g->tile_buffer), "waiting");
}

/* The panel in whose place of a block's accumulators those of `panel` are kept: where the tiles of one are finished
 * beside the next, and not all together, there are two that take turns. */
static Value *kept_panel(GemmBuild *g, Value *panel) {
  if (!gemm_overlaps(g)) return panel;
  Value *turn = build_add(&g->b, g->panel_lo, turn_of(g, panel, 0));
  return g->is_single != NULL ? build_index_select(&g->b, g->is_single, turn, panel) : turn;
}

static void one_tile(GemmBuild *g, Value *t, Value *panel) {
  g->t = t;
  gemm_place_rows(g, t);
  place_a(g, t);
  if (g->has_kc) {
    int64_t mr = gemm_field(g, FIELD_mr), nr = gemm_field(g, FIELD_nr);
    Value *offset = build_add(&g->b, g->kept_before, gemm_kept_bytes_before(g, t, kept_panel(g, panel)));
    g->kept = build_named(build_workspace(&g->b, offset, &g->tile_buffer), "kept");
    if (g->blank_before != NULL) {
      Value *is_first = build_index(&g->b, OP_index_eq, g->k_lo, g->layer_lo);
      Value *start = build_index_select(&g->b, is_first, g->blank_before, offset);
      g->start = build_named(build_workspace(&g->b, start, &g->tile_buffer), "start");
    }
    if (gemm_overlaps(g)) place_waiting_tile(g, t, panel);
    if (gemm_prefetches_kept(g)) {
      Value *next = build_add(&g->b, offset, gemm_number(g, gemm_bytes(g->types.acc, mr * nr)));
      g->kept_next = build_named(build_workspace(&g->b, next, &g->tile_buffer), "kept_next");
    }
  }
  gemm_tile(g);
  if (gemm_field(g, FIELD_epilogue) != EPILOGUE_ROWS) return;
  Block *outer = g->b.block;
  if (g->has_kc) g->b.block = build_if(&g->b, g->is_last, NULL, 0, false)->blocks[0];
  gemm_epilogue_rows(g);
  if (g->has_kc) build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void tiles_of_panel(GemmBuild *g, Value *panel) {
  Block *outer = g->b.block;
  Loop tiles = build_for(&g->b, g->t_lo, g->t_hi, gemm_number(g, 1), NULL, 0);
  build_named(tiles.index, "t");
  g->b.block = tiles.body;
  one_tile(g, tiles.index, panel);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Several layers are finished together, and their columns added up then. */
static void sums_of_columns(GemmBuild *g) {
  Block *outer = g->b.block;
  if (g->is_single != NULL) g->b.block = build_if(&g->b, g->is_single, NULL, 0, false)->blocks[0];
  gemm_add_column_sums(g);
  if (g->is_single != NULL) build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

static void place_next_panel(GemmBuild *g, Value *panel) {
  gemm_place_chunks(g);
  if (!gemm_prefetches_next(g)) return;
  Value *next = build_add(&g->b, panel, gemm_number(g, gemm_panels_ahead(g)));
  Value *is_last = build_index(&g->b, OP_index_le, g->panel_hi, next);
  g->next_hi = build_named(build_index_select(&g->b, is_last, gemm_number(g, 0), g->k_hi), "next_hi");
}

static void tiles_of_block(GemmBuild *g) {
  if (g->task_rows != NULL) gemm_pack_rows(g, NULL);
  Block *outer = g->b.block;
  Loop panels = build_for(&g->b, g->panel_lo, g->panel_hi, gemm_number(g, 1), NULL, 0);
  build_named(panels.index, "panel");
  g->b.block = panels.body;
  gemm_place_columns(g, panels.index);
  place_panel(g, panels.index);
  g->panel_sums = g->tile_sums = gemm_sums_of_panel(g, panels.index);
  if (gemm_needs_column_sums(g->plan)) sums_of_columns(g);
  place_next_panel(g, panels.index);
  tiles_of_panel(g, panels.index);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
  g->panel_sums = g->tile_sums = NULL; /* layers are finished together */
}

/* One block of k of the panel g->panel_at_hand. */
static void visit_of_panel(GemmBuild *g) {
  Value *panel = g->panel_at_hand;
  if (g->task_rows != NULL) gemm_pack_rows(g, build_index(&g->b, OP_index_eq, panel, g->panel_lo));
  place_panel(g, panel);
  if (gemm_needs_column_sums(g->plan)) sums_of_columns(g);
  place_next_panel(g, panel);
  tiles_of_panel(g, panel);
}

/* Visits the layer's k up to `k` in blocks of kc; at least once, so that k = 0 still gives the epilogue of zero. */
static void blocks_of_k(GemmBuild *g, Value *k, void (*visit)(GemmBuild *)) {
  if (!g->has_kc) {
    g->k_lo = gemm_number(g, 0);
    g->k_hi = k;
    visit(g);
    return;
  }
  Value *kc = gemm_depth(g, &g->b); /* whole iterations: only the last block of k may have a rest */
  bool has_steps = !g->has_layers && g->loop_k.symbol < 0 && g->loop_k.size > 0;
  Value *next = build_add(&g->b, g->layer_lo, gemm_number(g, 1));
  Value *last = has_steps ? k : build_index(&g->b, OP_index_max, k, next);
  Loop loop = build_for(&g->b, g->layer_lo, last, kc, NULL, 0);
  g->k_lo = build_named(loop.index, "k_lo");
  Block *outer = g->b.block;
  g->b.block = loop.body;
  Value *end = build_add(&g->b, g->k_lo, kc);
  g->k_hi = build_named(build_min(&g->b, end, k), "k_hi");
  Value *past = build_add(&g->b, end, gemm_number(g, 1)); /* several layers are finished together */
  if (g->is_single != NULL) past = build_index_select(&g->b, g->is_single, past, gemm_number(g, 0));
  g->is_last = build_named(build_index(&g->b, OP_index_lt, k, past), "is_last");
  visit(g);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* What is to be finished while `panel` is multiplied: tiles of the panel before. */
static void place_waiting(GemmBuild *g, Value *panel) {
  gemm_place_columns(g, build_sub(&g->b, panel, gemm_number(g, 1)));
  g->waiting_j = g->j;
  g->waiting_cols = g->cols;
  g->tile_sums = gemm_needs_column_sums(g->plan) ? turn_of(g, panel, 1) : NULL;
}

/* The tiles of the last panel, for which there is no next one. */
static void finish_last_panel(GemmBuild *g) {
  Builder *b = &g->b;
  Block *outer = b->block;
  Value *end = build_index_select(b, build_index(b, OP_index_lt, g->panel_lo, g->panel_hi), g->t_hi, g->t_lo);
  if (g->is_single != NULL) end = build_index_select(b, g->is_single, end, g->t_lo);
  place_waiting(g, g->panel_hi);
  Loop tiles = build_for(b, g->t_lo, end, gemm_number(g, 1), NULL, 0);
  g->t = build_named(tiles.index, "t");
  b->block = tiles.body;
  gemm_place_rows(g, g->t);
  place_waiting_tile(g, g->t, g->panel_hi);
  gemm_epilogue_waiting(g, gemm_number(g, 0), gemm_own_rows(g));
  build_yield(b, NULL, 0);
  b->block = outer;
}

/* All of k for one panel after the other: while its tiles are multiplied, those of the panel before are finished, row
 * by row over all of the time. */
static void overlapped_panels(GemmBuild *g) {
  Builder *b = &g->b;
  Block *outer = b->block;
  Loop panels = build_for(b, g->panel_lo, g->panel_hi, gemm_number(g, 1), NULL, 0);
  g->panel_at_hand = build_named(panels.index, "panel");
  b->block = panels.body;
  Value *first = g->is_single != NULL ? build_index_select(b, g->is_single, g->panel_lo, g->panel_hi) : g->panel_lo;
  g->has_waiting = build_named(build_index(b, OP_index_lt, first, panels.index), "has_waiting");
  place_waiting(g, panels.index);
  gemm_place_columns(g, panels.index);
  if (gemm_needs_column_sums(g->plan)) g->panel_sums = turn_of(g, panels.index, 0);
  blocks_of_k(g, gemm_layer_end(g), visit_of_panel);
  build_yield(b, NULL, 0);
  b->block = outer;
  finish_last_panel(g);
  g->panel_sums = g->tile_sums = NULL; /* layers are finished together */
}

/* ---- blocks of a task -------------------------------------------------------------------------------------------- */

/* The sums of the block's rows, unless they are there already or only the last layer needs them. */
static void sums_of_rows(GemmBuild *g) {
  Value *end = g->is_same_rows == NULL ? g->t_hi : build_index_select(&g->b, g->is_same_rows, g->t_lo, g->t_hi);
  if (g->is_single != NULL) end = build_index_select(&g->b, g->is_single, end, g->t_lo);
  gemm_build_row_sums(g, end);
}

/* Block `number` of C, the whole of it or a layer. */
static void one_block(GemmBuild *g, Value *number, Value *layer) {
  g->layer_lo = gemm_number(g, 0);
  if (g->has_kc) {
    Value *own = build_add(&g->b, packed_bytes(g, &g->b), gemm_number(g, blank_bytes(g)));
    g->kept_before = build_add(&g->b, g->task_bytes_before, own);
  }
  if (g->has_layers) gemm_place_layer(g, number, layer);
  if (gemm_needs_row_sums(g)) sums_of_rows(g);
  if (gemm_overlaps(g)) overlapped_panels(g);
  else blocks_of_k(g, gemm_layer_end(g), tiles_of_block);
  if (g->has_layers) gemm_finish_layers(g, number);
}

/* Item `item` of those that tasks share: a layer of a block of a product. Its row of blocks comes out, NULL where there
 * are no blocks. */
static Value *one_item(GemmBuild *g, const GemmCut *cut, Value *item, Value *row_before) {
  Builder *b = &g->b;
  Value *number = item, *layer = NULL, *product = NULL, *row = NULL;
  if (g->has_layers) {
    number = build_named(build_index(b, OP_index_div, item, g->layer_count), "block");
    layer = build_named(build_index(b, OP_index_mod, item, g->layer_count), "layer");
  }
  if (g->match->batch_rank > 0) {
    product = cut->blocks == NULL ? number : build_named(build_index(b, OP_index_div, number, cut->blocks), "product");
    number = cut->blocks == NULL ? gemm_number(g, 0)
                                 : build_named(build_index(b, OP_index_mod, number, cut->blocks), "block");
    gemm_place_product(g, product);
  }
  if (cut->blocks != NULL) row = gemm_place_block(g, cut, number, product, row_before);
  one_block(g, number, layer);
  return row;
}

/* The task's run of blocks, of one product of the batch after the other. Where sizes are few and fixed, each is one. */
static void blocks_of_task(GemmBuild *g) {
  Builder *b = &g->b;
  GemmCut cut = gemm_cut(g);
  g->tiles_of_block = cut.tiles_of_block;
  g->t_lo = g->panel_lo = gemm_number(g, 0);
  g->t_hi = cut.tiles;
  g->panel_hi = cut.panels;
  if (g->match->batch_rank == 0) gemm_place_product(g, NULL);
  if (gemm_param(g, b, FIELD_tasks) == NULL) {
    one_block(g, gemm_number(g, 0), NULL);
    return;
  }
  Value *task = kernel_task(g->kernel), *items = gemm_batch_count(g, b);
  if (cut.blocks != NULL) items = g->match->batch_rank > 0 ? build_mul(b, items, cut.blocks) : cut.blocks;
  if (g->has_layers) {
    g->layer_count = build_named(gemm_layer_count(g, b), "layer_count");
    items = build_named(build_mul(b, items, g->layer_count), "layers_of_blocks");
  }
  Value *tasks = build_named(build_min(b, gemm_param(g, b, FIELD_tasks), items), "tasks_of_blocks");
  Value *lo = build_index(b, OP_index_div, build_mul(b, task, items), tasks);
  Value *hi = build_index(b, OP_index_div, build_mul(b, build_add(b, task, gemm_number(g, 1)), items), tasks);
  bool has_blocks = cut.blocks != NULL;
  Value *no_row = has_blocks ? gemm_number(g, -1) : NULL;
  Loop loop = build_for(b, lo, hi, gemm_number(g, 1), &no_row, has_blocks);
  build_named(loop.index, "item");
  Block *outer = b->block;
  b->block = loop.body;
  Value *row = one_item(g, &cut, loop.index, has_blocks ? build_named(loop.carried[0], "row_before") : NULL);
  build_yield(b, &row, has_blocks);
  b->block = outer;
}

/* Writes the zeros that first visits go on from. */
static void place_blank(GemmBuild *g) {
  if (blank_bytes(g) == 0) return;
  Builder *b = &g->b;
  int columns = (int)gemm_field(g, FIELD_nr);
  g->blank_before = build_named(build_add(b, g->task_bytes_before, packed_bytes(g, b)), "blank_before");
  Value *blank = build_named(build_workspace(b, g->blank_before, &g->tile_buffer), "blank");
  Loop rows = build_for(b, gemm_number(g, 0), gemm_number(g, gemm_field(g, FIELD_mr)), gemm_number(g, 1), NULL, 0);
  Block *outer = b->block;
  b->block = rows.body;
  Value *zero = build_const(b, 0, type_tile(1, columns, g->types.acc));
  build_store(b, OP_tile_store, zero, (Place){blank, {rows.index, gemm_number(g, 0)}, NULL, NULL});
  build_yield(b, NULL, 0);
  b->block = outer;
}

static void build_body(GemmBuild *g) {
  Builder *b = &g->b;
  Value *before_last = build_sub(b, gemm_tile_count(g, b), gemm_number(g, 1));
  g->tile_rows = build_named(gemm_tile_rows(g, b), "tile_rows");
  g->first_end = build_sub(b, gemm_size(g->plan, b, GEMM_M), build_mul(b, before_last, g->tile_rows));
  build_named(g->first_end, "first_end");
  g->tile_buffer = (BufType){.type = g->types.acc, .rank = 2};
  g->tile_buffer.dims[0] = (Extent){gemm_field(g, FIELD_mr), EXTENT_NUMBER};
  g->tile_buffer.dims[1] = (Extent){gemm_field(g, FIELD_nr), EXTENT_NUMBER};
  if (gemm_field(g, FIELD_epilogue) == EPILOGUE_ROWS)
    g->scratch = build_named(build_scratch(b, &g->tile_buffer), "finished");
  Value *offset = build_mul(b, kernel_task(g->kernel), task_bytes(g, b));
  if (g->has_layers) {
    g->all_task_bytes = build_mul(b, task_count(g, b), task_bytes(g, b));
    offset = build_add(b, offset, gemm_counter_bytes(g, b));
  }
  g->task_bytes_before = offset;
  if (gemm_field(g, FIELD_pack_b) == PACK_B_TASK) {
    g->task_panel = build_named(gemm_panel_buffer(g, offset, g->types.b), "packed");
    g->panel_to_pack = g->task_panel;
    if (g->types.shift != 0) g->panel_to_pack = gemm_panel_buffer(g, offset, g->match->b.node->type);
  }
  offset = build_add(b, offset, gemm_panel_bytes(g, b));
  if (gemm_field(g, FIELD_pack_a) == PACK_A_TASK)
    g->task_rows = build_named(gemm_rows_buffer(g, offset), "packed_rows");
  if (gemm_needs_row_sums(g)) gemm_place_row_sums(g, build_add(b, offset, gemm_rows_bytes(g, b)));
  if (gemm_needs_column_sums(g->plan)) gemm_place_column_sums(g, offset);
  place_blank(g);
  blocks_of_task(g);
}

void gemm_build(const Plan *plan, const char *name, Module *module) {
  GemmBuild g = {.plan = plan, .match = plan->match, .graph = plan->problem.graph, .types = gemm_types(plan)};
  g.kernel = kernel_create(module, name);
  g.b = builder_of(g.kernel, g.kernel->body);
  g.loop_k = gemm_loop_k(plan);
  g.has_kc = gemm_has_field(plan, FIELD_kc);
  g.has_layers = gemm_has_field(plan, FIELD_layers);
  gemm_add_sizes(plan, g.kernel);
  for (int i = 0; i < plan->param_count; ++i) add_symbol(g.kernel, field_info(plan->params[i])->name, true);
  add_buffers(&g);
  add_header(&g);
  build_body(&g);
  if (gemm_field(&g, FIELD_pack_b) == PACK_B_AHEAD) gemm_build_pack_kernel(plan, name, module);
}
