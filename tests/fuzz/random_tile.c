/* random_tile.c: a random kernel: its buffers, loops, loads and stores, and the memory to run it on.
 *
 * A task takes R rows of the m x n results and goes through them C columns at a time. In each step it has values from
 * memory, makes others of them (random_ops.c), and stores some. */
#include "tests/fuzz/random_ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOL_M, SYMBOL_N, SYMBOL_K, SYMBOL_LD };
enum {
  BUFFER_X,
  BUFFER_Y,
  BUFFER_Z,
  BUFFER_A,
  BUFFER_B,
  BUFFER_EXACT,
  BUFFER_NEAR,
  BUFFER_BITS,
  BUFFER_COUNTER,
  BUFFER_NIBBLES
};
enum { MAX_SIZE = 40, MAX_DEPTH = 3, TASK_BYTES = 64 << 10 };

/* ---- chance ------------------------------------------------------------------------------------------------------ */

uint64_t random_bits(uint64_t *state) { /* splitmix64 */
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

int random_below(Gen *g, int count) { return (int)(random_bits(&g->state) % (uint64_t)count); }

kiln_type random_type(Gen *g) { return g->types[random_below(g, (int)g->type_count)]; }

/* ---- values ------------------------------------------------------------------------------------------------------ */

void random_range(kiln_type type, double *lo, double *hi) {
  static const int digits[KILN_TYPE_COUNT] = {[KILN_F64] = 53,   [KILN_F32] = 24,   [KILN_F16] = 11, [KILN_BF16] = 8,
                                              [KILN_F8E4M3] = 4, [KILN_F8E5M2] = 3, [KILN_I32] = 31, [KILN_I8] = 7,
                                              [KILN_U8] = 8,     [KILN_I4] = 3,     [KILN_U4] = 4,   [KILN_BOOL] = 1};
  *hi = ldexp(1, digits[type]) - (type_is_floating(type) ? 0 : 1);
  *lo = type_is_floating(type) ? -*hi : type_class(type) == CLASS_SIGNED ? -*hi - 1 : 0;
}

bool random_know(Gen *g, Value *value, Exactness exactness, double lo, double hi, bool is_partial) {
  double least, most;
  random_range(value->type.type, &least, &most);
  if (exactness == EXACT_INTEGERS && (lo < least || hi > most)) return false;
  if (exactness == EXACT_BITS && fmax(fabs(lo), fabs(hi)) > 1e5) return false;
  Known known = {value, exactness, lo, hi, is_partial};
  VECTOR_PUSH(&g->kernel->module->arena, g->pool, known);
  return true;
}

const Known *random_pick(Gen *g, RandomFilter *filter) {
  size_t count = g->pool.count;
  size_t start = count ? random_bits(&g->state) % count : 0;
  for (size_t i = 0; i < count; i++) {
    const Known *known = &g->pool.items[(start + i) % count];
    if (filter(g, known)) return known;
  }
  return NULL;
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

Value *random_input(const Gen *g, size_t buffer) { return g->kernel->buffers.items[buffer]; }

/* Panels hold the tiles that are read: R rows, C columns. */
static BufType random_layout(Gen *g, kiln_type type, int rows_symbol, int cols_symbol) {
  BufType buf = {.type = type, .rank = 2, .dims = {extent_symbol(rows_symbol), extent_symbol(cols_symbol)}};
  bool has_rows = rows_symbol == SYMBOL_M, has_cols = cols_symbol == SYMBOL_N;
  int choice = random_below(g, 4);
  if (choice == 1) {
    buf.layout = LAYOUT_STRIDED;
    buf.strides[0] = extent_symbol(SYMBOL_LD);
    buf.strides[1] = extent_number(1);
  } else if (choice == 2 && has_cols) {
    buf.layout = LAYOUT_COL_PANEL;
    buf.panel = g->cols;
    buf.group = has_rows && g->rows % 2 == 0 ? 2 : 1;
  } else if (choice == 3 && has_rows) {
    buf.layout = LAYOUT_ROW_PANEL;
    buf.panel = g->rows;
    buf.group = has_cols && g->cols % 4 == 0 ? 4 : 1;
  }
  return buf;
}

static void add_buffer(Gen *g, const char *name, RandomRole role, BufType type) {
  RandomBuffer *buffer = &g->tile->buffers[g->tile->buffer_count++];
  double most;
  buffer->role = role;
  buffer->type = kernel_buffer(g->kernel, name, &type)->type.buf;
  buffer->elements = buf_span(&type, g->tile->symbols);
  random_range(type.type, &buffer->lo, &most);
  buffer->lo = fmax(buffer->lo, -4);
  buffer->hi = fmin(most, 4);
}

/* Two types whose products have an accumulator. */
static void random_factors(Gen *g, kiln_type *a, kiln_type *b) {
  *a = *b = KILN_F32;
  for (int i = 0; i < 8; i++) {
    kiln_type x = random_type(g), y = random_type(g);
    if ((type_is_floating(x) && type_is_floating(y)) || (type_is_integer(x) && type_is_integer(y))) {
      *a = x, *b = y;
      return;
    }
  }
}

static void add_buffers(Gen *g) {
  BufType type = {.type = random_type(g), .rank = 3};
  kiln_type a, b;
  random_factors(g, &a, &b);
  add_buffer(g, "x", RANDOM_INPUT, random_layout(g, random_type(g), SYMBOL_M, SYMBOL_N));
  add_buffer(g, "y", RANDOM_INPUT, (BufType){.type = random_type(g), .rank = 1, .dims = {extent_symbol(SYMBOL_N)}});
  type.dims[0] = extent_number(2);
  type.dims[1] = extent_symbol(SYMBOL_M);
  type.dims[2] = extent_symbol(SYMBOL_N);
  add_buffer(g, "z", RANDOM_INPUT, type);
  add_buffer(g, "a", RANDOM_INPUT, random_layout(g, a, SYMBOL_M, SYMBOL_K));
  add_buffer(g, "b", RANDOM_INPUT, random_layout(g, b, SYMBOL_K, SYMBOL_N));
  add_buffer(g, "exact", RANDOM_EXACT, random_layout(g, random_type(g), SYMBOL_M, SYMBOL_N));
  add_buffer(g, "near", RANDOM_NEAR, random_layout(g, KILN_F32, SYMBOL_M, SYMBOL_N));
  add_buffer(g, "bits", RANDOM_EXACT, random_layout(g, KILN_I32, SYMBOL_M, SYMBOL_N));
  add_buffer(g, "counter", RANDOM_EXACT, (BufType){.type = KILN_I32, .rank = 1, .dims = {extent_symbol(SYMBOL_M)}});
  if (g->has_nibbles) add_buffer(g, "nibbles", RANDOM_INPUT, random_layout(g, KILN_I4, SYMBOL_M, SYMBOL_N));
}

/* ---- positions --------------------------------------------------------------------------------------------------- */

static Value *index_op(Gen *g, OpCode code, Value *x, Value *y) { return build_binary(&g->b, code, x, y); }

/* The same index (of 0 or more, and small) by a detour. */
static Value *detour(Gen *g, Value *x) {
  Value *c = build_number(&g->b, 1 + random_below(g, 9));
  switch (random_below(g, 9)) {
  case 0: return index_op(g, OP_index_sub, index_op(g, OP_index_add, x, c), c);
  case 1: return index_op(g, OP_index_div, index_op(g, OP_index_mul, x, c), c);
  case 2: return index_op(g, OP_index_ceildiv, index_op(g, OP_index_mul, c, x), c);
  case 3: return index_op(g, OP_index_max, x, index_op(g, OP_index_sub, x, c));
  case 4: return index_op(g, OP_index_min, index_op(g, OP_index_add, x, c), x);
  case 5: return build_ternary(&g->b, OP_index_select, index_op(g, OP_index_lt, x, c), x, x);
  case 6: return index_op(g, OP_index_mod, x, build_number(&g->b, 1000000));
  case 7: {
    Value *scalar = build_typed(&g->b, OP_tile_index, type_scalar(KILN_I32), x, NULL);
    return build_unary(&g->b, OP_index_tile, scalar);
  }
  default: return x;
  }
}

/* ---- values from memory ------------------------------------------------------------------------------------------ */

static Place place_at(Gen *g, Value *buffer) {
  Value *i = detour(g, g->i), *j = detour(g, g->j);
  return (Place){buffer, {i, j}, g->rows_left, g->cols_left};
}

static void load_tile(Gen *g) {
  int choice = random_below(g, g->has_nibbles ? 5 : 4);
  size_t number = choice == 4 ? BUFFER_NIBBLES : choice == 3 ? BUFFER_X : (size_t)choice;
  const RandomBuffer *info = &g->tile->buffers[number];
  Value *buffer = random_input(g, number);
  Place place = place_at(g, buffer);
  TileType type = type_tile(g->rows, g->cols, info->type->type);
  if (number == BUFFER_Y) {
    type.rows = 1;
    place = (Place){buffer, {g->j}, NULL, g->cols_left};
  } else if (number == BUFFER_Z) {
    Value *copy = build_number(&g->b, random_below(g, 2));
    place = (Place){buffer, {copy, g->i, g->j}, g->rows_left, g->cols_left};
    if (random_chance(g, 2)) { /* the same through a view */
      BufType plane = {.type = type.type, .rank = 2, .dims = {extent_symbol(SYMBOL_M), extent_symbol(SYMBOL_N)}};
      Value *zero = build_number(&g->b, 0);
      place = place_at(g, build_view(&g->b, (Place){buffer, {copy, zero, zero}, NULL, NULL}, &plane));
    }
  } else if (choice == 3 && !buf_is_panel(info->type)) { /* columns of the transpose are rows */
    BufType swapped = *info->type;
    swapped.layout = LAYOUT_STRIDED;
    swapped.dims[0] = info->type->dims[1];
    swapped.dims[1] = info->type->dims[0];
    swapped.strides[0] = extent_number(1);
    swapped.strides[1] = info->type->layout == LAYOUT_STRIDED ? info->type->strides[0] : info->type->dims[1];
    type = type_tile(g->cols, g->rows, type.type);
    place = (Place){build_buf_transpose(&g->b, buffer, &swapped), {g->j, g->i}, g->cols_left, g->rows_left};
  }
  random_know(g, build_load(&g->b, OP_tile_load, place, type), EXACT_INTEGERS, fmin(info->lo, 0), fmax(info->hi, 0),
              false);
}

static bool is_private(const Gen *g, const Known *x) {
  (void)g;
  return !x->is_partial && type_bits(x->value->type.type) >= 8;
}

/* Memory of the task's own: scratch, or a part of the workspace. */
static Value *own_memory(Gen *g, const BufType *buf) {
  if (random_chance(g, 2)) return build_scratch(&g->b, buf);
  return build_workspace(&g->b, build_mul(&g->b, kernel_task(g->kernel), build_number(&g->b, TASK_BYTES)), buf);
}

static void store_and_load(Gen *g) {
  const Known *found = random_pick(g, is_private);
  if (!found) return;
  const Known x = *found;
  TileType type = x.value->type;
  BufType buf = {.type = type.type, .rank = 2, .dims = {extent_number(type.rows), extent_number(type.cols)}};
  Value *zero = build_number(&g->b, 0);
  if (random_chance(g, 3)) {
    buf.layout = random_chance(g, 2) ? LAYOUT_COL_PANEL : LAYOUT_ROW_PANEL;
    buf.panel = buf.layout == LAYOUT_COL_PANEL ? type.cols : type.rows;
    buf.group = 1 + random_below(g, 2);
  }
  Place place = {own_memory(g, &buf), {zero, zero}, NULL, NULL};
  if (random_chance(g, 4)) build_store_streamed(&g->b, x.value, place);
  else build_store(&g->b, OP_tile_store, x.value, place);
  random_know(g, build_load(&g->b, OP_tile_load, place, type), x.exactness, x.lo, x.hi, false);
}

/* What products of A and B are added up in. */
static kiln_type accumulator(const Gen *g) {
  kiln_type a = g->tile->buffers[BUFFER_A].type->type, b = g->tile->buffers[BUFFER_B].type->type;
  return type_is_integer(a) ? KILN_I32 : a == KILN_F64 || b == KILN_F64 ? KILN_F64 : KILN_F32;
}

static bool is_start(const Gen *g, const Known *x) {
  kiln_type acc = accumulator(g);
  return x->exactness == EXACT_INTEGERS && fmax(fabs(x->lo), fabs(x->hi)) < 1e6 &&
         tile_type_equal(x->value->type, type_tile(g->rows, g->cols, acc));
}

/* The accumulator as a tile: directly, or through scratch memory. */
static Value *tile_of(Gen *g, Value *acc) {
  TileType type = type_tile(g->rows, g->cols, acc->type.type);
  if (random_chance(g, 2)) return build_typed(&g->b, OP_frag_tile, type, acc, NULL);
  BufType buf = {.type = type.type, .rank = 2, .dims = {extent_number(g->rows), extent_number(g->cols)}};
  Value *zero = build_number(&g->b, 0);
  Place place = {build_scratch(&g->b, &buf), {zero, zero}, NULL, NULL};
  build_store(&g->b, OP_frag_store, acc, place);
  return build_load(&g->b, OP_tile_load, place, type);
}

/* The product of rows of A and columns of B, added to nothing or to a tile. */
static void make_product(Gen *g) {
  kiln_type a = g->tile->buffers[BUFFER_A].type->type, b = g->tile->buffers[BUFFER_B].type->type;
  int step = 1 << random_below(g, 3);
  const Known *start = random_chance(g, 2) ? random_pick(g, is_start) : NULL;
  double most = 16 * MAX_SIZE;
  double lo = -most + (start ? start->lo : 0), hi = most + (start ? start->hi : 0);
  TileType type = type_frag(ROLE_ACC, g->rows, g->cols, accumulator(g));
  Value *first = start ? build_typed(&g->b, OP_tile_frag, type, start->value, NULL)
                       : build_typed(&g->b, OP_frag_zero, type, NULL, NULL);
  Value *k = build_symbol(&g->b, SYMBOL_K);
  Loop loop = build_for(&g->b, build_number(&g->b, 0), k, build_number(&g->b, step), &first, 1);
  Builder in = builder_of(g->kernel, loop.body);
  Value *left = build_sub(&in, k, loop.index);
  Place at = {random_input(g, BUFFER_A), {g->i, loop.index}, g->rows_left, left};
  Value *fa = build_load(&in, OP_frag_load, at, type_frag(ROLE_A, g->rows, step, a));
  at = (Place){random_input(g, BUFFER_B), {loop.index, g->j}, left, g->cols_left};
  Value *fb = build_load(&in, OP_frag_load, at, type_frag(ROLE_B, step, g->cols, b));
  bool may_cut = a == KILN_F32 && b == KILN_F32 && random_chance(g, 2); /* these numbers have no more than 10 bits */
  Value *sum = build_ternary(&in, may_cut ? OP_mma_tf32 : OP_mma, loop.carried[0], fa, fb);
  build_yield(&in, &sum, 1);
  random_know(g, tile_of(g, &loop.op->results[0]), EXACT_INTEGERS, lo, hi, true);
}

/* ---- control ----------------------------------------------------------------------------------------------------- */

static bool is_carried(const Gen *g, const Known *x) {
  (void)g;
  double most = fmax(fabs(x->lo), fabs(x->hi));
  return x->exactness == EXACT_INTEGERS && type_bits(x->value->type.type) >= 16 && most < 100 && !x->is_partial;
}

/* Some steps in a block of their own, whose values are gone afterwards. */
static void make_steps(Gen *g, Block *block, int count) {
  g->b.block = block;
  g->depth++;
  for (int i = 0; i < count; i++) random_step(g);
  g->depth--;
}

/* Adds a value again and again: bounded by the number of iterations. */
static void make_loop(Gen *g) {
  enum { ITERATIONS = 4 };
  const Known *found = random_pick(g, is_carried);
  if (!found) return;
  const Known x = *found;
  Block *outer = g->b.block;
  size_t visible = g->pool.count;
  Value *lo = build_number(&g->b, random_below(g, 2)), *step = build_number(&g->b, 1 + random_below(g, 2));
  Value *hi = build_min(&g->b, build_symbol(&g->b, SYMBOL_K), build_number(&g->b, ITERATIONS));
  double least = x.lo + (double)ITERATIONS * fmin(x.lo, 0), most = x.hi + (double)ITERATIONS * fmax(x.hi, 0);
  Loop loop = build_for(&g->b, lo, hi, step, &x.value, 1);
  g->b.block = loop.body;
  random_know(g, loop.carried[0], EXACT_INTEGERS, least, most, false);
  make_steps(g, loop.body, 3);
  Value *next = build_binary(&g->b, OP_tile_add, loop.carried[0], x.value);
  if (type_class(x.value->type.type) == CLASS_LOGICAL) next = loop.carried[0];
  build_yield(&g->b, &next, 1);
  g->pool.count = visible;
  g->b.block = outer;
  random_know(g, &loop.op->results[0], EXACT_INTEGERS, least, most, false);
}

static bool is_condition(const Gen *g, const Known *x) {
  (void)g;
  return tile_type_equal(x->value->type, type_scalar(KILN_BOOL)) && !x->is_partial;
}

static Value *random_condition(Gen *g) {
  static const OpCode codes[] = {OP_index_lt, OP_index_le, OP_index_eq, OP_index_ne};
  const Known *known = random_pick(g, is_condition);
  if (known && random_chance(g, 2)) return known->value;
  Value *bound = build_number(&g->b, random_below(g, MAX_SIZE));
  OpCode code = codes[random_below(g, 4)];
  return build_index(&g->b, code, random_chance(g, 2) ? g->i : g->cols_left, bound);
}

static bool is_any(const Gen *g, const Known *x) { return g && x; }

/* One value of the type of `like` out of a branch. */
static Known make_branch(Gen *g, Block *block, const Known *like) {
  size_t visible = g->pool.count;
  make_steps(g, block, 3);
  Known result = *like;
  for (int i = 0; i < 8; i++) {
    const Known *x = random_pick(g, is_any);
    if (tile_type_equal(x->value->type, like->value->type)) result = *x;
  }
  build_yield(&g->b, &result.value, 1);
  g->pool.count = visible;
  return result;
}

static void make_choice(Gen *g) {
  const Known *found = random_pick(g, is_any);
  if (!found) return;
  const Known like = *found;
  Block *outer = g->b.block;
  Value *condition = random_condition(g);
  TileType type = like.value->type;
  Op *op = build_if(&g->b, condition, &type, 1, true);
  Known x = make_branch(g, op->blocks[0], &like), y = make_branch(g, op->blocks[1], &like);
  g->b.block = outer;
  random_know(g, &op->results[0], x.exactness > y.exactness ? x.exactness : y.exactness, fmin(x.lo, y.lo),
              fmax(x.hi, y.hi), x.is_partial || y.is_partial);
}

void random_step(Gen *g) {
  int choice = random_below(g, 16);
  if (choice == 0) load_tile(g);
  else if (choice == 1) store_and_load(g);
  else if (choice == 2 && g->depth < 2) make_product(g);
  else if (choice == 3 && g->depth < MAX_DEPTH) make_loop(g);
  else if (choice == 4 && g->depth < MAX_DEPTH) make_choice(g);
  else if (choice == 5) build_prefetch(&g->b, (Place){.buffer = random_input(g, BUFFER_X), .indices = {g->i, g->j}}, 1);
  else random_value(g);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static bool covers(const Gen *g, const Known *x) {
  TileType type = x->value->type;
  return (type.rows == 1 || type.rows == g->rows) && (type.cols == 1 || type.cols == g->cols);
}

static bool is_storable(const Gen *g, const Known *x) { return covers(g, x) && x->exactness != EXACT_NOT; }

static bool is_storable_near(const Gen *g, const Known *x) {
  return covers(g, x) && x->exactness == EXACT_NOT && x->value->type.type == KILN_F32;
}

static Value *spread(Gen *g, Value *value) {
  TileType type = type_tile(g->rows, g->cols, value->type.type);
  if (tile_type_equal(type, value->type)) return value;
  if (type_bits(type.type) < 8) return build_const(&g->b, 0, type);
  return build_typed(&g->b, OP_tile_broadcast, type, value, NULL);
}

/* What nothing used, as an i32 that broadcasts to R x C; NULL: it cannot be. */
static Value *leftover(Gen *g, const Known *x) {
  TileType type = x->value->type;
  Value *value = x->value;
  if (value->use_count > 0 || x->exactness == EXACT_NOT ||
      (!covers(g, x) && (x->is_partial || type_bits(type.type) < 8)))
    return NULL;
  if (!covers(g, x)) {
    type.rows = type.cols = 1;
    value = build_slice(&g->b, value, x->value->type.rows - 1, x->value->type.cols - 1, type);
  }
  type.type = KILN_I32;
  return x->value->type.type == KILN_I32 ? value : build_typed(&g->b, OP_tile_convert, type, value, NULL);
}

/* All that is left over, in one number an element. */
static void store_bits(Gen *g) {
  Value *bits = build_const(&g->b, 1, type_tile(g->rows, g->cols, KILN_I32));
  for (size_t i = 0; i < g->pool.count; i++) {
    Value *value = leftover(g, &g->pool.items[i]);
    if (value) bits = build_binary(&g->b, OP_tile_xor, bits, value);
  }
  build_store(&g->b, OP_tile_store, bits, place_at(g, random_input(g, BUFFER_BITS)));
}

static void store_results(Gen *g) {
  const Known *exact = random_pick(g, is_storable);
  Value *value = exact ? exact->value : build_const(&g->b, 1, type_scalar(KILN_F32));
  kiln_type element = g->tile->buffers[BUFFER_EXACT].type->type;
  if (value->type.type != element) {
    TileType type = value->type;
    type.type = element;
    value = build_typed(&g->b, OP_tile_convert, type, value, NULL);
  }
  build_store(&g->b, OP_tile_store, spread(g, value), place_at(g, random_input(g, BUFFER_EXACT)));
  const Known *near = random_pick(g, is_storable_near);
  if (near) build_store(&g->b, OP_tile_store, spread(g, near->value), place_at(g, random_input(g, BUFFER_NEAR)));
  store_bits(g);
}

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

static void make_body(Gen *g) {
  g->b = builder_of(g->kernel, g->kernel->body);
  Value *zero = build_number(&g->b, 0), *m = build_symbol(&g->b, SYMBOL_M), *n = build_symbol(&g->b, SYMBOL_N);
  g->i = build_named(build_mul(&g->b, kernel_task(g->kernel), build_number(&g->b, g->rows)), "i");
  g->rows_left = build_named(build_sub(&g->b, m, g->i), "rows");
  Value *one = build_const(&g->b, 1, type_scalar(KILN_I32));
  build_atomic_add(&g->b, one, (Place){.buffer = random_input(g, BUFFER_COUNTER), .indices = {g->i}});
  Loop loop = build_for(&g->b, zero, n, build_number(&g->b, g->cols), NULL, 0);
  g->b.block = loop.body;
  g->j = build_named(loop.index, "j");
  g->cols_left = build_named(build_sub(&g->b, n, g->j), "cols");
  for (int i = 0; i < 4; i++) load_tile(g);
  int count = 4 + random_below(g, 24);
  for (int i = 0; i < count; i++) random_step(g);
  store_results(g);
  build_yield(&g->b, NULL, 0);
}

static void choose_sizes(Gen *g) {
  static const int rows[] = {1, 2, 3, 4, 6, 8}, cols[] = {1, 4, 7, 8, 16, 24};
  g->rows = rows[random_below(g, ARRAY_LENGTH(rows))];
  g->cols = cols[random_below(g, ARRAY_LENGTH(cols))];
  if (g->cols % 2 != 0 || g->rows % 2 != 0) g->has_nibbles = false;
  int64_t *symbols = g->tile->symbols;
  for (int i = 0; i < RANDOM_SYMBOLS; i++) symbols[i] = random_chance(g, 8) ? 0 : 1 + random_below(g, MAX_SIZE);
  symbols[SYMBOL_M] += symbols[SYMBOL_M] == 0;
  if (g->has_nibbles) symbols[SYMBOL_N] += symbols[SYMBOL_N] % 2;
  symbols[SYMBOL_LD] = 2 * MAX_SIZE + 2 * random_below(g, 4);
}

RandomTile random_tile_make(uint64_t seed, const kiln_type *types, size_t type_count) {
  static const kiln_type all[] = {KILN_F32, KILN_F32,    KILN_F64,    KILN_F16, KILN_BF16,
                                  KILN_I32, KILN_F8E4M3, KILN_F8E5M2, KILN_I8,  KILN_U8};
  RandomTile tile = {.module = module_create(NULL), .seed = seed};
  KILN_ASSERT(tile.module);
  Gen g = {.state = seed, .tile = &tile, .kernel = kernel_create(tile.module, "random")};
  g.types = types ? types : all;
  g.type_count = types ? type_count : ARRAY_LENGTH(all);
  g.has_nibbles = !types && random_chance(&g, 2);
  choose_sizes(&g);
  static const char *const names[] = {"m", "n", "k", "ld"};
  for (int i = 0; i < RANDOM_SYMBOLS; i++) kernel_symbol(g.kernel, names[i], false);
  add_buffers(&g);
  Builder header = builder_of(g.kernel, g.kernel->header);
  g.kernel->tasks = build_ceildiv(&header, build_symbol(&header, SYMBOL_M), build_number(&header, g.rows));
  Value *tasks = build_ceildiv(&header, build_symbol(&header, SYMBOL_M), build_number(&header, g.rows));
  g.kernel->workspace = build_mul(&header, tasks, build_number(&header, TASK_BYTES));
  make_body(&g);
  return tile;
}

void random_tile_release(RandomTile *tile) {
  module_destroy(tile->module);
  tile->module = NULL;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

size_t random_tile_bytes(const RandomTile *tile, size_t buffer) {
  return type_bytes(tile->buffers[buffer].type->type, (size_t)tile->buffers[buffer].elements);
}

void random_tile_fill(const RandomTile *tile, size_t buffer, void *memory) {
  const RandomBuffer *info = &tile->buffers[buffer];
  uint64_t state = tile->seed ^ (buffer + 1) << 56;
  memset(memory, 0xff, random_tile_bytes(tile, buffer));
  if (buffer == BUFFER_COUNTER) memset(memory, 0, random_tile_bytes(tile, buffer));
  for (int64_t i = 0; i < info->elements && info->role == RANDOM_INPUT; i++)
    type_store(info->type->type, memory, (size_t)i,
               info->lo + (double)(random_bits(&state) % (uint64_t)(info->hi - info->lo + 1)));
}
