/* gemm_pack.c: A and B as the product reads them fastest: panels of nr columns of B, ahead of time or in the task, and
 * panels of mr rows of A in the task, so that the k loop walks through memory line by line.
 *
 * Bounds are those of the matrices; what lies beyond them in a panel is 0. */
#include "templates/gemm_build.h"

/* Steps of k copied at a time: a vector of the narrowest accumulators, in whole groups. */
static int pack_step(const Plan *plan, int group) {
  int lanes = target_lanes(plan->problem.target);
  return lanes > group ? lanes : group;
}

/* The same memory with rows and columns swapped. */
static Value *turned(Builder *b, Value *buffer) {
  BufType type = *buffer->type.buf;
  for (int i = 0; i < 2; ++i) {
    type.dims[i] = buffer->type.buf->dims[1 - i];
    type.strides[i] = buffer->type.buf->strides[1 - i];
  }
  if (type.layout == LAYOUT_COL_PANEL) type.layout = LAYOUT_ROW_PANEL;
  return build_buf_transpose(b, buffer, &type);
}

/* Steps of columns that run along k copied at a time: a cache line, for so far all of it is used at once; what is
 * converted by the vector, since two of them turned were half of a compile. */
static int pack_step_along_k(const Plan *plan, kiln_type type) {
  int step = 64 / (int)gemm_bytes(type, 1), shortest = pack_step(plan, gemm_types(plan).group);
  return step > shortest && type_bits(gemm_types(plan).b) == type_bits(type) ? step : shortest;
}

/* Whether a load of a line that ends early costs next to nothing. */
static bool has_masks(const Plan *plan) {
  enum { MASKED = 512 };
  return plan->problem.target->vector_bits >= MASKED;
}

/* A copy of columns of B to a panel: where from, where to, and which part. */
typedef struct Copy {
  const Plan *plan;
  Value *source, *target, *column, *target_column, *cols;
  Value *first;  /* the row of B that is row 0 of the panel */
  Value *end;    /* how many rows B has: beyond are zeros */
  int width;     /* columns of a panel */
  Value *panels; /* how many, one beside the other, a few rows of all at a time; NULL: one */
} Copy;

/* Bytes moved by 128, to be read as the other sign: their highest bit flipped. */
static Value *moved(Builder *b, Value *tile) {
  int highest = tile->type.type == KILN_I8 ? -128 : 128;
  return build_binary(b, OP_tile_xor, tile, build_const(b, highest, type_scalar(tile->type.type)));
}

/* One tile, from row `p` of B on, `rows` of the panel; NULL: all, and B has them. Columns that run along k are rows of
 * the transpose, and rows of the panel's too: so groups along k stay whole. */
static void copy_tile(Builder *b, const Copy *c, Value *p, int step, Value *rows) {
  bool turns = gemm_runs_along_k(c->source->type.buf);
  Value *row = build_sub(b, p, c->first), *source_rows = rows != NULL ? build_sub(b, c->end, p) : NULL;
  Place from = {c->source, {p, c->column}, source_rows, c->cols}, to = {c->target, {row, c->target_column}, rows, NULL};
  if (turns) {
    from = (Place){turned(b, c->source), {c->column, p}, c->cols, source_rows};
    to = (Place){turned(b, c->target), {c->target_column, row}, NULL, rows};
  }
  TileType type = type_tile(turns ? c->width : step, turns ? step : c->width, c->source->type.buf->type);
  Value *tile = convert_build(b, build_load(b, OP_tile_load, from, type), c->target->type.buf->type);
  if (gemm_types(c->plan).shift != 0) tile = moved(b, tile);
  build_store(b, OP_tile_store, tile, to);
}

/* The same columns of the panel `number` panels further on. */
static Copy copy_of_panel(Builder *b, const Copy *c, Value *number) {
  Copy result = *c;
  Value *columns = build_mul(b, number, build_number(b, c->width));
  result.column = build_add(b, c->column, columns);
  result.target_column = build_add(b, c->target_column, columns);
  if (c->cols != NULL) result.cols = build_sub(b, c->cols, columns);
  return result;
}

/* Rows lo … hi-1, `step` at a time; `is_bounded`: hi - lo need not be a multiple. */
static void copy_rows(Builder *b, const Copy *c, Value *lo, Value *hi, int step, bool is_bounded) {
  Loop loop = build_for(b, lo, hi, build_number(b, step), NULL, 0);
  build_named(loop.index, "p");
  Builder in = builder_of(b->kernel, loop.body);
  Value *rows = is_bounded ? build_named(build_sub(&in, hi, loop.index), "left") : NULL;
  if (c->panels == NULL) {
    copy_tile(&in, c, loop.index, step, rows);
  } else {
    Loop panels = build_for(&in, build_number(&in, 0), c->panels, build_number(&in, 1), NULL, 0);
    build_named(panels.index, "beside");
    Builder inner = builder_of(b->kernel, panels.body);
    Copy one = copy_of_panel(&inner, c, panels.index);
    copy_tile(&inner, &one, loop.index, step, rows);
    build_yield(&inner, NULL, 0);
  }
  build_yield(&in, NULL, 0);
}

/* Whole steps, and the rest by short ones, for bounds cost a choice or a mask for each row; where one mask serves all
 * rows of a step that is turned, each is bounded, for turning is much code (half of a compile, twice over). Rows go by
 * one group of the panel: four at once were twice the code to compile, and no faster. */
static void copy_columns(Builder *b, const Copy *c, Value *lo, Value *hi) {
  const Dim k = ((const GemmMatch *)c->plan->match)->k;
  bool has_zeros = !dim_equal(k, gemm_loop_k(c->plan));
  int group = gemm_types(c->plan).group, short_step = pack_step(c->plan, group);
  bool turns = gemm_runs_along_k(c->source->type.buf);
  int step = turns ? pack_step_along_k(c->plan, c->source->type.buf->type) : group;
  if (!turns) short_step = group;
  bool is_known = k.symbol < 0 && k.size % step == 0 && !gemm_has_field(c->plan, FIELD_kc);
  if (turns && has_masks(c->plan) && !is_known) {
    copy_rows(b, c, lo, hi, step, true);
    return;
  }
  Value *source_hi = has_zeros ? build_index(b, OP_index_max, build_min(b, hi, c->end), lo) : hi;
  Value *steps = build_index(b, OP_index_div, build_sub(b, source_hi, lo), build_number(b, step));
  Value *whole = build_named(build_add(b, lo, build_mul(b, steps, build_number(b, step))), "whole");
  if (k.symbol >= 0 || k.size >= step) copy_rows(b, c, lo, whole, step, false);
  if (is_known) return;
  bool is_even = short_step == 1 || (k.symbol < 0 && k.size % short_step == 0 && !turns);
  if (!is_even || has_zeros || short_step < step) copy_rows(b, c, whole, hi, short_step, !is_even || has_zeros);
}

/* Copies rows lo … hi-1 of B's columns to panel rows 0 …; 0 where B has no column. Columns that run along k are so many
 * streams, so only a vector of them is read at a time (1 x 4096 x 4096 of f32, 16, 32, 64 columns: 4.2, 5.1, 7.7 ms).
 */
static void pack_columns(Builder *b, Copy c, Value *lo, Value *hi) {
  int lanes = target_lanes(c.plan->problem.target);
  if (!gemm_runs_along_k(c.source->type.buf) || c.width <= lanes || c.width % lanes != 0) {
    copy_columns(b, &c, lo, hi);
    return;
  }
  Loop loop = build_for(b, build_number(b, 0), build_number(b, c.width), build_number(b, lanes), NULL, 0);
  build_named(loop.index, "column");
  Builder in = builder_of(b->kernel, loop.body);
  c.column = build_add(&in, c.column, loop.index);
  c.target_column = build_add(&in, c.target_column, loop.index);
  if (c.cols != NULL) c.cols = build_sub(&in, c.cols, loop.index);
  c.width = lanes;
  copy_columns(&in, &c, lo, hi);
  build_yield(&in, NULL, 0);
}

void gemm_build_pack_kernel(const Plan *plan, const char *name, Module *module) {
  const GemmMatch *match = plan->match;
  Text full;
  text_init(&full, &module->arena.allocator);
  text_printf(&full, "%s_pack_%s", name, match->b.node->name);
  Kernel *kernel = kernel_create(module, text_get(&full));
  module->arena.failed |= full.failed;
  text_release(&full);
  gemm_add_sizes(plan, kernel);
  BufType source_type = gemm_buffer_type(plan, match->b.node), packed_type = gemm_packed_type(plan, match->b.input);
  if (gemm_types(plan).shift != 0) packed_type.type = source_type.type; /* moved in its own type */
  Value *source = kernel_buffer(kernel, match->b.node->name, &source_type);
  Value *packed = kernel_buffer(kernel, "packed", &packed_type);
  int64_t nr = plan->schedule.values[FIELD_nr];
  Builder header = builder_of(kernel, kernel->header);
  kernel->tasks = build_ceildiv(&header, gemm_size(plan, &header, GEMM_N), build_number(&header, nr));
  for (int axis = 0; axis < source_type.rank - 2; ++axis)
    kernel->tasks = build_mul(&header, kernel->tasks, build_extent(&header, source_type.dims[axis]));
  Builder b = builder_of(kernel, kernel->body);
  Value *task = kernel_task(kernel);
  if (source_type.rank > 2) task = gemm_place_packed(&b, plan, &source, &packed, nr);
  Value *column = build_named(build_mul(&b, task, build_number(&b, nr)), "j");
  bool is_even = match->n.symbol < 0 && match->n.size % nr == 0;
  Value *cols = is_even ? NULL : build_named(build_sub(&b, gemm_size(plan, &b, GEMM_N), column), "cols");
  source = gemm_operand_buffer(&b, source, &match->b);
  Value *zero = build_number(&b, 0);
  Value *k = gemm_size(plan, &b, GEMM_K), *end = gemm_size(plan, &b, GEMM_DEPTH);
  pack_columns(&b, (Copy){plan, source, packed, column, column, cols, zero, k, (int)nr, NULL}, zero, end);
}

/* ---- in the task ------------------------------------------------------------------------------------------------- */

static Value *whole_lines(Builder *b, Value *bytes) {
  Value *lines = build_ceildiv(b, bytes, build_number(b, 64));
  return build_mul(b, lines, build_number(b, 64));
}

/* Of a block of k, or of what stays packed. */
static Value *depth_of(const GemmBuild *g, Builder *b, Field field) {
  Value *depth = g->has_kc ? gemm_param(g, b, field) : gemm_size(g->plan, b, GEMM_DEPTH);
  int64_t unit = g->has_kc ? gemm_unit_of_k(g->plan) : field == FIELD_pc ? g->types.a_group : g->types.step;
  return unit == 1 ? depth : build_mul(b, build_ceildiv(b, depth, build_number(b, unit)), build_number(b, unit));
}
static Extent depth_extent(const GemmBuild *g, Field field) {
  return g->has_kc ? (Extent){0, gemm_param_symbol(g, field)} : gemm_extent(g->plan, GEMM_DEPTH);
}

Value *gemm_depth(const GemmBuild *g, Builder *b) { return depth_of(g, b, FIELD_kc); }

/* Whether packed rows of all of k stay; NULL: always. */
static Value *keeps_all_of_k(GemmBuild *g) {
  if (!g->has_kc) return NULL;
  Builder *b = &g->b;
  Value *past = build_add(b, gemm_param(g, b, FIELD_pc), gemm_number(g, 1));
  if (g->is_single != NULL) past = build_index_select(b, g->is_single, past, gemm_number(g, 0));
  return build_index(b, OP_index_lt, gemm_size(g->plan, b, GEMM_DEPTH), past);
}

Value *gemm_first_packed(GemmBuild *g) {
  Value *keeps_all = keeps_all_of_k(g);
  if (keeps_all == NULL) return NULL;
  return build_named(build_index_select(&g->b, keeps_all, gemm_number(g, 0), g->k_lo), "k_of_rows");
}

/* In whole cache lines where the piece has room: what is asked for ahead begins with the columns of a panel, and lines
 * that two pieces share are asked for by neither (u8 x i8 of 128 x 4096 x 11008 in 48 columns, five and four panels at
 * once: 15.0 and 12.9 ms). */
int64_t gemm_panels_at_once(const Plan *plan) {
  enum { PIECE = 256, LINE = 64 };
  const GemmMatch *match = plan->match;
  BufType b = gemm_view(match->b.node, match->b.transposed);
  int64_t row_bytes = gemm_bytes(b.type, plan->schedule.values[FIELD_nr]), panels = 1;
  if (plan->schedule.values[FIELD_epilogue] == EPILOGUE_OVERLAPPED) return 1; /* all of k for one panel comes first */
  if (gemm_runs_along_k(&b) || row_bytes > LINE) return 1;
  while (panels * row_bytes % LINE != 0) ++panels; /* of whole lines */
  return panels <= PIECE / row_bytes ? PIECE / row_bytes / panels * panels : PIECE / row_bytes;
}

Value *gemm_panel_bytes(const GemmBuild *g, Builder *b) {
  if (gemm_field(g, FIELD_pack_b) != PACK_B_TASK) return build_number(b, 0);
  int64_t columns = gemm_panels_at_once(g->plan) * gemm_field(g, FIELD_nr);
  return whole_lines(b, build_mul(b, gemm_depth(g, b), build_number(b, gemm_bytes(g->types.b, columns))));
}

Value *gemm_rows_bytes(const GemmBuild *g, Builder *b) {
  if (gemm_field(g, FIELD_pack_a) != PACK_A_TASK) return build_number(b, 0);
  Value *panels = build_mul(b, depth_of(g, b, FIELD_pc), gemm_tiles_per_block(g, b));
  return whole_lines(b, build_mul(b, panels, build_number(b, gemm_bytes(g->types.a, gemm_field(g, FIELD_mr)))));
}

Value *gemm_panel_buffer(GemmBuild *g, Value *offset, kiln_type element) {
  int nr = (int)gemm_field(g, FIELD_nr);
  BufType type = {.type = element, .rank = 2, .layout = LAYOUT_COL_PANEL, .panel = nr, .group = g->types.group};
  type.dims[0] = depth_extent(g, FIELD_kc);
  type.dims[1] = (Extent){nr * gemm_panels_at_once(g->plan), EXTENT_NUMBER};
  return build_workspace(&g->b, offset, &type);
}

Value *gemm_rows_buffer(GemmBuild *g, Value *offset) {
  int mr = (int)gemm_field(g, FIELD_mr);
  BufType type = {.type = g->types.a, .rank = 2, .layout = LAYOUT_ROW_PANEL, .panel = mr, .group = g->types.a_group};
  type.dims[0] = (Extent){0, EXTENT_UNKNOWN};
  type.dims[1] = depth_extent(g, FIELD_pc);
  return build_workspace(&g->b, offset, &type);
}

Value *gemm_pack_panel(GemmBuild *g, Value *panel) {
  Builder *b = &g->b;
  int64_t nr = gemm_field(g, FIELD_nr), most = gemm_panels_at_once(g->plan);
  Copy copy = {.plan = g->plan, .source = g->source, .target = g->panel_to_pack, .column = g->j, .cols = g->cols};
  copy.target_column = gemm_number(g, 0);
  copy.first = g->k_lo;
  copy.end = gemm_size(g->plan, b, GEMM_K);
  copy.width = (int)nr;
  if (most == 1) {
    pack_columns(b, copy, g->k_lo, g->k_hi);
    return copy.target_column;
  }
  Value *beside = build_sub(b, panel, g->panel_lo), *group = gemm_number(g, most);
  beside = build_named(build_index(b, OP_index_mod, beside, group), "panel_of_packed");
  Value *is_first = build_index(b, OP_index_eq, beside, gemm_number(g, 0));
  Builder in = builder_of(g->kernel, build_if(b, is_first, NULL, 0, false)->blocks[0]);
  copy.panels = build_min(&in, build_sub(&in, g->panel_hi, panel), group);
  if (g->cols != NULL) copy.cols = build_sub(&in, gemm_size(g->plan, &in, GEMM_N), g->j);
  pack_columns(&in, copy, g->k_lo, g->k_hi);
  build_yield(&in, NULL, 0);
  return build_named(build_mul(b, beside, gemm_number(g, nr)), "packed_column");
}

/* Where packing the block's rows ends: at t_lo where the block before, or the panel before, left them here, all of k.
 */
static Value *end_of_rows(GemmBuild *g, Value *is_first) {
  Value *keeps_all = keeps_all_of_k(g), *again = g->t_lo, *end = g->t_hi;
  if (keeps_all != NULL) again = build_index_select(&g->b, keeps_all, g->t_lo, g->t_hi);
  if (g->is_same_rows != NULL) end = build_index_select(&g->b, g->is_same_rows, again, g->t_hi);
  return is_first != NULL ? build_index_select(&g->b, is_first, end, again) : end;
}

/* Rows of A to be packed: `height` of them from row `i` on, of which A has `rows` (NULL: all), to panel rows from
 * `row` on. */
typedef struct RowCopy {
  Value *i, *rows, *row;
  int height;
} RowCopy;

/* Copies `step` steps of k from lo on, and so on to hi. `is_bounded`: hi - lo need not be a multiple. */
static void copy_rows_of_a(GemmBuild *g, const RowCopy *c, Value *lo, Value *hi, int step, bool is_bounded) {
  Block *outer = g->b.block;
  Value *first = gemm_first_packed(g);
  Loop loop = build_for(&g->b, lo, hi, gemm_number(g, step), NULL, 0);
  build_named(loop.index, "p");
  g->b.block = loop.body;
  Value *left = is_bounded ? build_named(build_sub(&g->b, hi, loop.index), "left") : NULL;
  bool has_zeros = is_bounded && !dim_equal(g->match->k, g->loop_k);
  Value *there = has_zeros ? build_sub(&g->b, gemm_size(g->plan, &g->b, GEMM_K), loop.index) : left;
  TileType type = type_tile(c->height, step, g->a->type.buf->type);
  Value *tile = build_load(&g->b, OP_tile_load, (Place){g->a, {c->i, loop.index}, c->rows, there}, type);
  tile = convert_build(&g->b, tile, g->types.a);
  Value *column = first != NULL ? build_sub(&g->b, loop.index, first) : loop.index;
  if (step == g->types.a_group) left = NULL; /* packed rows end with a whole group */
  build_store(&g->b, OP_tile_store, tile, (Place){g->task_rows, {c->row, column}, NULL, left});
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}

/* Steps from k_lo to k_hi that A has, in whole multiples of `step`. */
static Value *end_of_whole(GemmBuild *g, int step) {
  Builder *b = &g->b;
  bool has_zeros = !dim_equal(g->match->k, g->loop_k);
  Value *end = g->k_hi;
  if (has_zeros) end = build_index(b, OP_index_max, build_min(b, end, gemm_size(g->plan, b, GEMM_K)), g->k_lo);
  Value *steps = build_index(b, OP_index_div, build_sub(b, end, g->k_lo), gemm_number(g, step));
  return build_named(build_add(b, g->k_lo, build_mul(b, steps, gemm_number(g, step))), "whole");
}

/* A row to its end after the other: all rows of tile registers at once were 32 vectors, which LLVM kept on the stack
 * (1024 cubed of bf16: 5 of 17 ms to compile). */
static void pack_row_by_row(GemmBuild *g, Value *row) {
  Builder *b = &g->b;
  int step = g->types.a_group;
  Value *whole = end_of_whole(g, step), *height = gemm_number(g, gemm_field(g, FIELD_mr));
  Block *outer = b->block;
  Loop loop =
      build_for(b, gemm_number(g, 0), g->match->m.symbol < 0 ? height : g->tile_rows, gemm_number(g, 1), NULL, 0);
  build_named(loop.index, "r");
  b->block = loop.body;
  RowCopy copy = {build_add(b, g->i, loop.index), NULL, build_add(b, row, loop.index), 1};
  copy_rows_of_a(g, &copy, g->k_lo, whole, step, false);
  bool is_even = g->match->k.symbol < 0 && g->match->k.size % step == 0;
  if (!is_even) copy_rows_of_a(g, &copy, whole, g->k_hi, step, true);
  build_yield(b, NULL, 0);
  b->block = outer;
}

/* Whole groups of all rows, and the rest as one that ends early where vectors have masks, else by instructions. */
static void pack_by_groups(GemmBuild *g, const RowCopy *rows) {
  const Dim k = g->match->k;
  int group = g->types.a_group, rest = has_masks(g->plan) ? group : g->types.group;
  Value *whole = end_of_whole(g, group);
  copy_rows_of_a(g, rows, g->k_lo, whole, group, false);
  bool is_even = k.symbol < 0 && k.size % group == 0;
  bool is_cut = k.symbol >= 0 || k.size % rest != 0 || g->loop_k.size != k.size;
  if (!is_even) copy_rows_of_a(g, rows, whole, g->k_hi, rest, is_cut);
}

/* Whole vectors along k, which are turned, and the rest one instruction at a time: with a bound they are a branch for
 * each step, which took LLVM 3 ms and cost twice the time of all the rest. */
static void pack_by_turning(GemmBuild *g, const RowCopy *rows) {
  const Dim k = g->match->k;
  int group = g->types.a_group, step = pack_step(g->plan, group);
  Value *whole = end_of_whole(g, step);
  copy_rows_of_a(g, rows, g->k_lo, whole, step, false);
  bool are_groups = group == 1 || (k.symbol < 0 && k.size % group == 0);
  bool is_even = k.symbol < 0 && k.size % step == 0 && (!g->has_kc || gemm_field(g, FIELD_ku) % step == 0);
  if (!is_even) copy_rows_of_a(g, rows, whole, g->k_hi, group, !are_groups);
}

static void pack_rows_of_tile(GemmBuild *g, Value *row) {
  enum { LINE = 64 };
  int group = g->types.a_group;
  bool is_turned = g->a->type.buf->layout == LAYOUT_STRIDED && g->match->a.transposed;
  RowCopy all = {g->i, g->match->m.symbol < 0 ? NULL : g->tile_rows, row, (int)gemm_field(g, FIELD_mr)};
  if (gemm_bytes(g->types.a, group) == LINE && !is_turned) pack_row_by_row(g, row);
  else if (group > g->types.group && !is_turned) pack_by_groups(g, &all);
  else pack_by_turning(g, &all);
}

/* Every panel holds as many rows as tiles have, so that of the first tile holds rows of the second too. */
void gemm_pack_rows(GemmBuild *g, Value *is_first) {
  Block *outer = g->b.block;
  Loop tiles = build_for(&g->b, g->t_lo, end_of_rows(g, is_first), gemm_number(g, 1), NULL, 0);
  build_named(tiles.index, "t");
  g->b.block = tiles.body;
  gemm_place_rows(g, tiles.index);
  Value *panel = build_sub(&g->b, tiles.index, g->t_lo);
  pack_rows_of_tile(g, build_mul(&g->b, panel, gemm_number(g, gemm_field(g, FIELD_mr))));
  build_yield(&g->b, NULL, 0);
  g->b.block = outer;
}
