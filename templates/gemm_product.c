/* gemm_product.c: the product of one register tile over a block of k: the k loops, the accumulator between blocks, and
 * the variants for tiles with few rows. */
#include "templates/gemm_build.h"

/* Asks for lines of the panel at hand some way ahead of step `p`, for those that one iteration will read then: a KiB,
 * which the other streams' turns lie before; or a turn, where those of the core are longer (Zen 5, f32 of 8 x 4096 x
 * 4096: 2.3 to 1.4 ms), and where packed rows make them so, that into the second-level cache, since all of it is more
 * than the first holds (32 x 4096 x 11008 of bf16: 7.3 to 6.1 ms). */
static void prefetch_stream(GemmBuild *g, Value *p, int steps) {
  enum { AHEAD_BYTES = 1024 };
  bool is_long = target_habits(g->plan->problem.target)->turn * GEMM_LOAD_BYTES > AHEAD_BYTES;
  bool is_long_by_rows = g->task_rows != NULL && !is_long;
  int64_t nr = gemm_field(g, FIELD_nr), line = 64 / gemm_bytes(g->types.b, g->types.group);
  bool is_turn = (is_long || is_long_by_rows) && g->has_kc;
  Value *ahead = is_turn ? gemm_depth(g, &g->b) : gemm_number(g, AHEAD_BYTES / gemm_bytes(g->types.b, nr));
  Value *first = build_add(&g->b, p, ahead);
  int level = is_turn && is_long_by_rows ? 2 : 1;
  for (int r = 0; r < steps; r += g->types.group)
    for (int64_t c = 0; c < nr; c += line) {
      Value *row = build_add(&g->b, first, gemm_number(g, r));
      Value *column = build_add(&g->b, g->panel_column, gemm_number(g, c));
      build_prefetch(&g->b, (Place){.buffer = g->panel, .indices = {row, column}}, level);
    }
}

/* Asks for lines of packed rows a KiB ahead of step `p`, for those that one iteration will read then, where a panel is
 * asked for ahead as well: they come from the second-level cache, from which the panel streams past them all the while
 * (f32 of 384 x 768 x 3072 on Granite Rapids: 11.5 to 11.1 ms, of 384 x 3072 x 768 11.3 to 11.0). In the groups of
 * their layout, so that one pointer goes with these and with the loads. */
static void prefetch_rows(GemmBuild *g, Value *p, int steps) {
  enum { AHEAD_BYTES = 1024, LINE_BYTES = 64 };
  int64_t group = g->types.a_group, row_bytes = gemm_bytes(g->types.a, group);
  int64_t group_bytes = row_bytes * gemm_field(g, FIELD_mr), ahead = larger_of(AHEAD_BYTES / group_bytes, 1);
  for (int64_t byte = 0; byte < group_bytes * steps / group; byte += LINE_BYTES) {
    Value *column = build_add(&g->b, p, gemm_number(g, (ahead + byte / group_bytes) * group));
    Value *row = build_add(&g->b, g->first_row, gemm_number(g, byte % group_bytes / row_bytes));
    build_prefetch(&g->b, (Place){.buffer = g->rows_of_a, .indices = {row, column}}, 1);
  }
}

/* Whether packed rows are asked for ahead of the step at hand. */
static bool prefetches_rows(const GemmBuild *g) {
  bool is_packed = gemm_field(g, FIELD_pack_a) == PACK_A_TASK && gemm_field(g, FIELD_mma) != MMA_ON_TILES;
  bool waits = (g->plan->problem.target->traits & TRAIT_WAITS_FOR_L2) != 0;
  return is_packed && waits && gemm_prefetches_next(g);
}

/* acc + A * B for k from lo to hi, `steps` at a time. Where `is_bounded`, hi - lo need not be a multiple of
 * them, and what is beyond hi counts as 0. */
static Value *product_loop(GemmBuild *g, Value *acc, int rows, Value *lo, Value *hi, int steps, bool is_bounded) {
  Block *outer = g->b.block;
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, steps), &acc, 1);
  build_named(loop.index, "p");
  build_named(loop.carried[0], "sum");
  g->b.block = loop.body;
  int columns = (int)gemm_field(g, FIELD_nr);
  Value *left = is_bounded ? build_named(build_sub(&g->b, hi, loop.index), "left") : NULL;
  Value *column = g->k_of_rows != NULL ? build_sub(&g->b, loop.index, g->k_of_rows) : loop.index;
  Value *valid = gemm_field(g, FIELD_mma) == MMA_ON_TILES && g->match->m.symbol >= 0 ? g->tile_rows : NULL;
  TileType type_a = type_frag(ROLE_A, rows, steps, g->rows_of_a->type.buf->type);
  Place place = {g->rows_of_a, {g->first_row, column}, valid, left};
  bool is_streamed = gemm_field(g, FIELD_load_a) == LOAD_A_STREAMED;
  Value *fa = is_streamed ? build_load_streamed(&g->b, place, type_a) : build_load(&g->b, OP_frag_load, place, type_a);
  Value *row = g->k_of_panel != NULL ? build_sub(&g->b, loop.index, g->k_of_panel) : loop.index;
  Value *fb = build_load(&g->b, OP_frag_load, (Place){g->panel, {row, g->panel_column}, left, g->panel_cols},
                         type_frag(ROLE_B, steps, columns, g->panel->type.buf->type));
  if (gemm_field(g, FIELD_prefetch) == PREFETCH_STREAM && !is_bounded) prefetch_stream(g, loop.index, steps);
  if (prefetches_rows(g) && !is_bounded && rows == gemm_field(g, FIELD_mr)) prefetch_rows(g, column, steps);
  Value *next = build_ternary(&g->b, OP_mma, loop.carried[0], build_named(fa, "fa"), build_named(fb, "fb"));
  build_yield(&g->b, &next, 1);
  g->b.block = outer;
  return build_named(&loop.op->results[0], "acc");
}

/* Rows of B that a request for the next panel brings: groups of a panel, rows as they lie, or where columns run along k
 * a line of each. */
static int64_t ahead_unit(const GemmBuild *g) {
  if (gemm_field(g, FIELD_pack_b) == PACK_B_AHEAD) return g->types.group;
  return gemm_runs_along_k(g->source->type.buf) ? larger_of(64 / gemm_bytes(g->source->type.buf->type, 1), 1) : 1;
}

int64_t gemm_panels_ahead(const GemmBuild *g) {
  return gemm_field(g, FIELD_pack_b) == PACK_B_TASK ? gemm_panels_at_once(g->plan) : 1;
}

/* Asks for `g->ahead_share` rows of the panel that comes next, or of what it is packed from, from row `lo` on, so that
 * they are in the second-level cache when it does. */
static void prefetch_panel(GemmBuild *g, Value *lo) {
  bool is_packed = gemm_field(g, FIELD_pack_b) == PACK_B_AHEAD;
  Value *from = is_packed ? g->panel : g->source;
  int64_t nr = gemm_field(g, FIELD_nr), unit = ahead_unit(g);
  int64_t line = is_packed || unit == 1 ? 64 / gemm_bytes(from->type.buf->type, is_packed ? unit : 1) : 1;
  Value *hi = build_min(&g->b, build_add(&g->b, lo, g->ahead_share), g->next_hi);
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, unit), NULL, 0);
  build_named(loop.index, "ahead");
  Block *outer = g->b.block;
  g->b.block = loop.body;
  for (int64_t c = 0; c < nr; c += line) {
    Value *column = build_add(&g->b, g->j, gemm_number(g, nr * gemm_panels_ahead(g) + c));
    build_prefetch(&g->b, (Place){.buffer = from, .indices = {loop.index, column}}, 2);
  }
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Asks for the lines that `g->result_share` rows of the tile's results will be written to, from row `lo` on, so that
 * stores need not wait until they are read; and for those of matrices that the results are computed from. */
static void prefetch_results(GemmBuild *g, Value *lo) {
  Value *rows = gemm_own_rows(g);
  if (g->has_kc) rows = build_index_select(&g->b, g->is_last, rows, gemm_number(g, 0));
  Value *hi = build_min(&g->b, build_add(&g->b, lo, g->result_share), rows);
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, 1), NULL, 0);
  build_named(loop.index, "r");
  Block *outer = g->b.block;
  g->b.block = loop.body;
  for (size_t o = 0; o < g->graph->outputs.count; ++o) {
    const Node *node = graph_node(g->graph, g->graph->outputs.items[o]);
    if (node->op == KILN_OP_TRANSPOSE) continue;
    Value *buffer = g->buffers[g->graph->inputs.count + o], *row = build_add(&g->b, g->i, loop.index);
    for (int64_t c = 0; c < gemm_field(g, FIELD_nr); c += 64 / gemm_bytes(node->type, 1))
      build_prefetch(&g->b, (Place){.buffer = buffer, .indices = {row, build_add(&g->b, g->j, gemm_number(g, c))}}, 1);
  }
  gemm_prefetch_operands(g, loop.index);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Those of tile registers are few enough to stay in the second-level cache. */
bool gemm_prefetches_kept(const GemmBuild *g) {
  return gemm_field(g, FIELD_prefetch) == PREFETCH_BOTH && g->has_kc && gemm_field(g, FIELD_mma) != MMA_ON_TILES;
}

/* Asks for as many rows of the accumulator that the next tile goes on with, or will leave. */
static void prefetch_kept(GemmBuild *g, Value *lo) {
  Value *k = gemm_layer_end(g);
  Value *is_cut = build_index(&g->b, OP_index_lt, gemm_param(g, &g->b, FIELD_kc), build_sub(&g->b, k, g->layer_lo));
  Value *rows = build_index_select(&g->b, is_cut, gemm_number(g, gemm_field(g, FIELD_mr)), gemm_number(g, 0));
  Value *hi = build_min(&g->b, build_add(&g->b, lo, g->result_share), rows);
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, 1), NULL, 0);
  build_named(loop.index, "r");
  Block *outer = g->b.block;
  g->b.block = loop.body;
  int64_t line = 64 / gemm_bytes(g->types.acc, 1);
  for (int64_t c = 0; c < gemm_field(g, FIELD_nr); c += line)
    build_prefetch(&g->b, (Place){.buffer = g->kept_next, .indices = {loop.index, gemm_number(g, c)}}, 1);
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Shortest chunk: a multiple of every usual ku. Two steps of tile registers move as many lines as 16 of vectors. */
static int64_t shortest_chunk(const GemmBuild *g) {
  return (int64_t)(gemm_field(g, FIELD_mma) == MMA_ON_TILES ? 2 : 16) * g->types.step;
}

bool gemm_prefetches_next(const GemmBuild *g) {
  return gemm_field(g, FIELD_prefetch) == PREFETCH_PANEL || gemm_field(g, FIELD_prefetch) == PREFETCH_BOTH;
}

bool gemm_overlaps(const GemmBuild *g) { return gemm_field(g, FIELD_epilogue) == EPILOGUE_OVERLAPPED; }

/* Where tiles of the panel before are finished all the while, results need no place made for them. */
static bool prefetches_results(const GemmBuild *g) {
  return gemm_field(g, FIELD_prefetch) == PREFETCH_BOTH && !gemm_overlaps(g);
}

/* How much each chunk of a tile's k loop asks for: the next panel evenly over the chunks of all tiles of the block, the
 * results over those of the tile. Chunks are short where few tiles share the panel, for many requests at once take
 * every fill buffer from the loads at hand; and an iteration each where a finished tile's rows are mixed in, for the
 * processor looks ahead by two rows of gelu: 1535 us with a row each step, 1763 with two each second, 1874 with four
 * each fourth, 1868 one tile after the other (384 x 3072 x 768 of bf16, C program; bench/results/speed.md). */
void gemm_place_chunks(GemmBuild *g) {
  enum { FEW_TILES = 12 };
  if (!gemm_prefetches_next(g) && !gemm_overlaps(g)) return;
  Builder *b = &g->b;
  Value *tiles = build_sub(b, g->t_hi, g->t_lo), *unit = gemm_number(g, ahead_unit(g));
  Value *is_few = build_index(b, OP_index_le, tiles, gemm_number(g, FEW_TILES));
  Value *shortest = gemm_number(g, shortest_chunk(g)), *longer = gemm_number(g, 2 * shortest_chunk(g));
  g->chunk = gemm_overlaps(g) ? gemm_number(g, gemm_field(g, FIELD_ku))
                              : build_named(build_index_select(b, is_few, shortest, longer), "chunk_steps");
  Value *chunks = build_named(build_ceildiv(b, build_sub(b, g->k_hi, g->k_lo), g->chunk), "chunks");
  Value *some = build_index(b, OP_index_max, chunks, gemm_number(g, 1)),
        *height = gemm_number(g, gemm_field(g, FIELD_mr));
  if (gemm_prefetches_next(g)) {
    Value *units = build_ceildiv(b, g->chunk, build_mul(b, tiles, unit));
    g->ahead_share = build_named(build_mul(b, units, unit), "ahead_share");
    g->ahead_of_tile = build_named(build_mul(b, chunks, g->ahead_share), "ahead_of_tile");
  }
  if (prefetches_results(g)) g->result_share = build_named(build_ceildiv(b, height, some), "result_share");
}

/* How many rows of g->waiting are finished when the tile has come to step `p` of k: as large a part of them. */
static Value *finished_at(GemmBuild *g, Value *p) {
  Builder *b = &g->b;
  Value *k = gemm_layer_end(g);
  Value *depth = build_index(b, OP_index_max, build_sub(b, k, g->layer_lo), gemm_number(g, 1));
  Value *share = build_mul(b, build_sub(b, p, g->layer_lo), gemm_number(g, gemm_field(g, FIELD_mr)));
  return build_index(b, OP_index_div, share, depth);
}

/* Rows of g->waiting, as many as the tile has. */
static Value *waiting_rows(GemmBuild *g) {
  return build_index_select(&g->b, g->has_waiting, gemm_own_rows(g), gemm_number(g, 0));
}

/* The product loop in chunks, each with its share of other work; the variants for few rows go without. */
static Value *chunked_loop(GemmBuild *g, Value *acc, int rows, Value *lo, Value *hi, int steps) {
  bool prefetches = gemm_prefetches_next(g);
  bool has_results = prefetches_results(g);
  bool is_whole = rows == gemm_field(g, FIELD_mr) && shortest_chunk(g) % steps == 0;
  if (gemm_overlaps(g)) g->done = build_named(finished_at(g, lo), "done");
  if (!is_whole || !(prefetches || gemm_overlaps(g))) return product_loop(g, acc, rows, lo, hi, steps, false);
  Block *outer = g->b.block;
  Value *carried[4] = {acc}, *shares[4] = {NULL}, *all = gemm_overlaps(g) ? waiting_rows(g) : NULL;
  int count = 1, ahead = 0, results = 0, waiting = 0;
  if (prefetches) {
    ahead = count, shares[count] = g->ahead_share;
    Value *before = build_mul(&g->b, build_sub(&g->b, g->t, g->t_lo), g->ahead_of_tile);
    carried[count++] = build_add(&g->b, g->k_lo, before);
  }
  if (has_results) results = count, shares[count] = g->result_share, carried[count++] = gemm_number(g, 0);
  if (gemm_overlaps(g)) waiting = count, carried[count++] = g->done;
  Loop loop = build_for(&g->b, lo, hi, g->chunk, carried, count);
  build_named(loop.index, "chunk");
  g->b.block = loop.body;
  if (prefetches) prefetch_panel(g, build_named(loop.carried[ahead], "next_row"));
  if (has_results) prefetch_results(g, build_named(loop.carried[results], "result_row"));
  if (gemm_prefetches_kept(g)) prefetch_kept(g, loop.carried[results]);
  Value *end = build_min(&g->b, build_add(&g->b, loop.index, g->chunk), hi);
  carried[0] = product_loop(g, loop.carried[0], rows, loop.index, end, steps, false);
  for (int c = 1; c < count; ++c)
    carried[c] = shares[c] != NULL ? build_add(&g->b, loop.carried[c], shares[c]) : finished_at(g, end);
  if (waiting > 0)
    gemm_epilogue_waiting(g, build_named(loop.carried[waiting], "waiting_row"),
                          build_min(&g->b, carried[waiting], all));
  build_yield(&g->b, carried, count);
  g->b.block = outer;
  if (waiting > 0) g->done = build_named(&loop.op->results[waiting], "done");
  return build_named(&loop.op->results[0], "acc");
}

/* Steps of one instruction, and the last one, which may be cut: bounds cost loads element by element. */
static Value *rest_of_product(GemmBuild *g, Value *acc, int rows, Value *lo, Value *hi) {
  int64_t step = g->types.step, k = g->loop_k.size;
  bool is_known = !g->has_kc && g->loop_k.symbol < 0;
  bool is_even = step == 1 || (g->loop_k.symbol < 0 && k % step == 0); /* so are blocks of k */
  if (is_even && is_known && k % gemm_field(g, FIELD_ku) == 0) return acc;
  if (is_even) return product_loop(g, acc, rows, lo, hi, (int)step, false);
  Value *steps = build_index(&g->b, OP_index_div, build_sub(&g->b, hi, lo), gemm_number(g, step));
  Value *cut = build_named(build_add(&g->b, lo, build_mul(&g->b, steps, gemm_number(g, step))), "cut");
  bool has_whole = !is_known || k % gemm_field(g, FIELD_ku) >= step;
  if (has_whole) acc = product_loop(g, acc, rows, lo, cut, (int)step, false);
  return product_loop(g, acc, rows, cut, hi, (int)step, true);
}

/* Whole iterations of ku, then the rest. */
static Value *product(GemmBuild *g, Value *acc, int rows) {
  int64_t ku = gemm_field(g, FIELD_ku);
  const Dim k = g->loop_k;
  if (gemm_is_by_dots(g->plan)) return gemm_dots(g, acc, rows);
  if (!g->has_kc && gemm_extent(g->plan, GEMM_DEPTH).symbol == EXTENT_NUMBER) {
    int64_t whole = k.size / ku * ku;
    if (whole > 0) acc = chunked_loop(g, acc, rows, gemm_number(g, 0), gemm_number(g, whole), (int)ku);
    return rest_of_product(g, acc, rows, gemm_number(g, whole), gemm_number(g, k.size));
  }
  bool has_rest = k.symbol >= 0 || k.size % ku != 0; /* blocks of k are whole iterations */
  if (ku == 1 || !has_rest) return chunked_loop(g, acc, rows, g->k_lo, g->k_hi, (int)ku);
  Value *steps = build_index(&g->b, OP_index_div, build_sub(&g->b, g->k_hi, g->k_lo), gemm_number(g, ku));
  Value *whole = build_named(build_add(&g->b, g->k_lo, build_mul(&g->b, steps, gemm_number(g, ku))), "whole");
  acc = chunked_loop(g, acc, rows, g->k_lo, whole, (int)ku);
  return rest_of_product(g, acc, rows, whole, g->k_hi);
}

/* All of a buffer of one accumulator. */
static Place whole_of(Builder *b, Value *buffer) {
  Value *origin = build_number(b, 0);
  return (Place){buffer, {origin, origin}, NULL, NULL};
}

/* The accumulator at the first visit, or as the last one left it. */
static Value *initial(GemmBuild *g, int rows) {
  TileType type = type_frag(ROLE_ACC, rows, (int)gemm_field(g, FIELD_nr), g->types.acc);
  if (!g->has_kc) return build_named(build_typed(&g->b, OP_frag_zero, type, NULL, NULL), "zero");
  if (g->start != NULL) return build_load(&g->b, OP_frag_load, whole_of(&g->b, g->start), type);
  Value *first = build_index(&g->b, OP_index_eq, g->k_lo, g->layer_lo);
  Op *choice = build_if(&g->b, first, &type, 1, true);
  Builder fresh = builder_of(g->kernel, choice->blocks[0]);
  Value *zero = build_typed(&fresh, OP_frag_zero, type, NULL, NULL);
  build_yield(&fresh, &zero, 1);
  Builder again = builder_of(g->kernel, choice->blocks[1]);
  Value *sum = build_load(&again, OP_frag_load, whole_of(&again, g->kept), type);
  build_yield(&again, &sum, 1);
  return build_named(&choice->results[0], "start");
}

/* What becomes of a finished accumulator: C, its epilogue in registers, or L1 for the row loop. */
static void finish(GemmBuild *g, Value *acc, int rows) {
  if (gemm_field(g, FIELD_epilogue) == EPILOGUE_ROWS) {
    build_store(&g->b, OP_frag_store, acc, whole_of(&g->b, g->scratch));
    return;
  }
  if (gemm_field(g, FIELD_epilogue) == EPILOGUE_NONE) {
    Value *c = g->buffers[g->graph->inputs.count];
    build_store(&g->b, OP_frag_store, acc, (Place){c, {g->i, g->j}, g->rows, g->cols});
    return;
  }
  Value *tile =
      build_typed(&g->b, OP_frag_tile, type_tile(rows, (int)gemm_field(g, FIELD_nr), g->types.acc), acc, NULL);
  gemm_epilogue(g, build_named(tile, "product"), g->i, g->rows, rows);
}

/* Whether the chunks of a tile's k loop cover all of k, and so finish all rows that wait. */
static bool finishes_in_chunks(const GemmBuild *g) {
  int64_t ku = gemm_field(g, FIELD_ku), k = g->loop_k.size;
  return g->loop_k.symbol < 0 && k > 0 && k % ku == 0 && shortest_chunk(g) % ku == 0;
}

static void tile_body(GemmBuild *g, int rows) {
  Value *acc = product(g, initial(g, rows), rows);
  if (gemm_overlaps(g)) {
    build_store(&g->b, OP_frag_store, acc, whole_of(&g->b, g->kept));
    if (!finishes_in_chunks(g))
      gemm_epilogue_waiting(g, g->done, build_index_select(&g->b, g->is_last, waiting_rows(g), g->done));
    return;
  }
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
  build_store(&g->b, OP_frag_store, acc, whole_of(&g->b, g->kept));
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Where m is a symbol a tile may own any number of rows; halves keep the waste of a small one below two. */
static void tile_variants(GemmBuild *g, int rows) {
  if (g->match->m.symbol < 0 || rows == 1 || gemm_field(g, FIELD_mma) == MMA_ON_TILES) {
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

void gemm_tile(GemmBuild *g) { tile_variants(g, (int)gemm_field(g, FIELD_mr)); }
