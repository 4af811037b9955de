/* access_groups.c: tiles to and from panels whose elements lie in groups of 2, 4 or 8 along k, as packing wants them.
 *
 * A group is a unit, an integer of 16 to 64 bits, and such a panel holds rows of units: unit (k / group, x) of the
 * panel beside unit (k / group, x + 1). So in registers a tile becomes units, k down and x across, by interleaving its
 * rows where these lie along k (column panels), or else by turning its rows, seen as units, by 90 degrees (row panels).
 * Then all is done by vectors of units. The group that a bound along k cuts is stored by elements; it is loaded whole,
 * since panels are padded to whole groups, and cleared past the bound.
 *
 * Assumes that an access begins with a whole group; others go by elements (access.c). */
#include "lower/access.h"

enum { MAX_GROUP = 8, MAX_LANES = 64, REGISTER_BITS = 128 /* of the shortest vectors */ };

static bool is_power_of_two(int x) { return (x & (x - 1)) == 0; }

/* Whether the first axis is that of k, in groups, and the second counts groups. */
static bool are_grouped(const AddressAxis *k, const AddressAxis *across) {
  return k->block > 1 && k->inner == 1 && !k->index && across->block > 0 && across->inner == k->block;
}

static bool has_k_across(const Window *window) { return are_grouped(&window->address.cols, &window->address.rows); }

bool lower_window_is_grouped(const Emitter *e, const Window *window) {
  const Address *address = &window->address;
  bool k_across = has_k_across(window);
  if (!k_across && !are_grouped(&address->rows, &address->cols)) return false;
  int group = k_across ? address->cols.block : address->rows.block, depth = k_across ? window->cols : window->rows;
  int bits = (int)type_bits(window->type);
  (void)e;
  return bits >= 8 && group <= MAX_GROUP && is_power_of_two(group) && bits * group <= 64 && depth % group == 0 &&
         !address->is_prepared && !address->last_row;
}

/* ---- windows of units -------------------------------------------------------------------------------------------- */

/* A grouped panel, k down: the elements of the tile, and the units. */
typedef struct Grouped {
  Window elements, units;
  int group, bits;          /* of an element */
  LLVMValueRef whole, rest; /* whole units before the bound along k, elements of the next; NULL: there is no bound */
  int depth;                /* of these */
} Grouped;

/* The type of register elements with as many bits. */
static kiln_type unit_type(int bits) { return bits == 16 ? KILN_BF16 : bits == 32 ? KILN_I32 : KILN_F64; }

static void find_bound(Emitter *e, Grouped *g) {
  Bound bound = g->elements.row_bound;
  if (!bound.value) return;
  Spot back = lower_go(e, bound.depth);
  LLVMValueRef valid = lower_max(e, bound.value, lower_i64(e, 0));
  valid = lower_min(e, valid, lower_i64(e, g->elements.rows));
  g->whole = lower_div(e, valid, g->group);
  g->rest = lower_mod(e, valid, g->group);
  g->depth = bound.depth;
  lower_back(e, back);
}

static Grouped make_grouped(Emitter *e, const Window *window) {
  Grouped g = {.elements = has_k_across(window) ? lower_window_transposed(e, window) : *window};
  AddressAxis *k = &g.elements.address.rows;
  g.group = k->block;
  g.bits = (int)type_bits(g.elements.type);
  find_bound(e, &g);
  g.units = g.elements;
  g.units.type = unit_type(g.bits * g.group);
  g.units.memory = LLVMIntTypeInContext(e->context, (unsigned)(g.bits * g.group));
  g.units.unit = g.group;
  g.units.rows = g.elements.rows / g.group;
  g.units.address.rows = (AddressAxis){.exists = true, .number = k->number, .stride = k->stride};
  lower_window_forget(e, &g.units);
  return g;
}

/* ---- elements to units ------------------------------------------------------------------------------------------- */

/* Elements of a row that are turned at a time, as many as chunks of `lanes` or a short register hold. */
static int piece_of(const Emitter *e, const Grouped *g) {
  int most = e->lanes * g->group, piece = REGISTER_BITS / g->bits;
  if (piece < e->lanes) piece = e->lanes;
  return piece < most ? piece : most;
}

/* Columns first … of a row as units. */
static LLVMValueRef units_of_row(Emitter *e, const Grouped *g, const LLVMValueRef *row, int first, int valid) {
  LLVMValueRef pieces[MAX_LANES] = {NULL};
  int count = (valid + e->lanes - 1) / e->lanes;
  for (int i = 0; i < count; ++i) pieces[i] = lower_to_memory(e, g->elements.type, row[first / e->lanes + i]);
  LLVMTypeRef type = LLVMTypeOf(pieces[0]);
  int last = lower_lane_count(pieces[count - 1]), full = lower_lane_count(pieces[0]);
  if (last < full) {
    int order[MAX_LANES];
    for (int i = 0; i < full; ++i) order[i] = i < last ? i : -1;
    pieces[count - 1] = lower_shuffle(e, pieces[count - 1], NULL, order, full);
  }
  for (; !is_power_of_two(count); ++count) pieces[count] = LLVMGetPoison(type);
  for (; count > 1; count /= 2)
    for (int i = 0; i < count / 2; ++i) pieces[i] = lower_concat(e, pieces + (ptrdiff_t)2 * i, 2);
  int lanes = lower_lane_count(pieces[0]) / g->group;
  return LLVMBuildBitCast(e->builder, pieces[0], lower_lanes_of(g->units.memory, lanes), "");
}

/* A tile whose columns lie along k, as its parts. */
typedef struct TurnedTile {
  const Grouped *grouped;
  const LLVMValueRef *parts;
} TurnedTile;

/* Four units of row x from unit `k` on, which are a chunk of its elements. */
static LLVMValueRef piece_of_tile(Emitter *e, void *from, int x, int k) {
  const TurnedTile *tile = from;
  const Grouped *g = tile->grouped;
  int chunks = lower_chunks(e, g->elements.rows), units = e->lanes / g->group;
  LLVMValueRef part = lower_to_memory(e, g->elements.type, tile->parts[x * chunks + k / units]);
  return LLVMBuildBitCast(e->builder, part, lower_lanes_of(g->units.memory, units), "");
}

/* Of a tile whose columns lie along k. */
static void turn_to_units(Emitter *e, const Grouped *g, const LLVMValueRef *parts, LLVMValueRef *units) {
  int rows = g->elements.cols, cols = g->elements.rows, chunks = lower_chunks(e, cols);
  int piece = piece_of(e, g), unit_chunks = lower_chunks(e, rows);
  LLVMValueRef *in = LOWER_ARRAY(e, LLVMValueRef, rows);
  bool are_whole = cols % e->lanes == 0 && e->lanes / g->group == 4 && g->bits * g->group == 32;
  if (are_whole && lower_turns_in_fours(e, rows, cols / g->group)) {
    lower_turn_fours(e, piece_of_tile, &(TurnedTile){g, parts}, rows, cols / g->group, units);
    return;
  }
  for (int first = 0; first < cols; first += piece) {
    int valid = cols - first < piece ? cols - first : piece;
    for (int r = 0; r < rows; ++r) in[r] = units_of_row(e, g, parts + r * chunks, first, valid);
    lower_transpose(e, in, rows, valid / g->group, units + first / g->group * unit_chunks);
  }
}

/* Lanes of x and y one after the other, as lanes of twice the width. */
static LLVMValueRef interleave_pair(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  int lanes = lower_lane_count(x), order[2 * MAX_LANES];
  LLVMTypeRef wide = LLVMIntTypeInContext(e->context, 2 * LLVMGetIntTypeWidth(lower_element_of(x)));
  LLVMValueRef both;
  if (lanes == 1) {
    both = lower_insert(e, LLVMGetPoison(LLVMVectorType(LLVMTypeOf(x), 2)), x, 0);
    both = lower_insert(e, both, y, 1);
  } else {
    for (int i = 0; i < 2 * lanes; ++i) order[i] = i / 2 + i % 2 * lanes;
    both = lower_shuffle(e, x, y, order, 2 * lanes);
  }
  return LLVMBuildBitCast(e->builder, both, lower_lanes_of(wide, lanes), "");
}

/* Of a tile whose rows lie along k. */
static void interleave_to_units(Emitter *e, const Grouped *g, const LLVMValueRef *parts, LLVMValueRef *units) {
  int chunks = lower_chunks(e, g->elements.cols);
  LLVMTypeRef integer = LLVMIntTypeInContext(e->context, (unsigned)g->bits);
  for (int i = 0; i < g->units.rows * chunks; ++i) {
    LLVMValueRef elements[MAX_GROUP] = {NULL};
    for (int j = 0; j < g->group; ++j) {
      LLVMValueRef part = parts[(i / chunks * g->group + j) * chunks + i % chunks];
      part = lower_to_memory(e, g->elements.type, part);
      elements[j] = LLVMBuildBitCast(e->builder, part, lower_like(part, integer), "");
    }
    for (int left = g->group; left > 1; left /= 2)
      for (int j = 0; j < left / 2; ++j) elements[j] = interleave_pair(e, elements[2 * j], elements[2 * j + 1]);
    units[i] = elements[0];
  }
}

bool lower_can_turn_groups(const Emitter *e, const Window *window, int group) {
  const Address *address = &window->address;
  int bits = (int)type_bits(window->type);
  (void)e;
  return bits >= 8 && group > 1 && group <= MAX_GROUP && is_power_of_two(group) && bits * group <= 64 &&
         window->rows % group == 0 && !address->is_prepared && !address->last_row &&
         lower_address_is_contiguous(&address->rows, 0, window->rows) &&
         !lower_address_is_contiguous(&address->cols, 0, window->cols);
}

void lower_load_turned_groups(Emitter *e, Window *window, int group, LLVMValueRef *units) {
  Window turned = lower_window_transposed(e, window);
  Grouped g = {.elements = *window, .units = *window, .group = group, .bits = (int)type_bits(window->type)};
  g.units.memory = LLVMIntTypeInContext(e->context, (unsigned)(g.bits * group));
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, turned.rows * lower_chunks(e, turned.cols));
  lower_load_rows(e, &turned, parts);
  turn_to_units(e, &g, parts, units);
}

/* ---- units to elements ------------------------------------------------------------------------------------------- */

/* Element j of each unit, as memory has it but as an integer. */
static LLVMValueRef element_of_units(Emitter *e, const Grouped *g, LLVMValueRef units, int j) {
  LLVMTypeRef integer = LLVMIntTypeInContext(e->context, (unsigned)g->bits);
  if (j > 0) {
    LLVMValueRef shift = lower_splat_integer(LLVMTypeOf(units), j * g->bits);
    units = LLVMBuildLShr(e->builder, units, shift, "");
  }
  return LLVMBuildTrunc(e->builder, units, lower_like(units, integer), "");
}

static LLVMValueRef to_register(Emitter *e, const Grouped *g, LLVMValueRef part) {
  part = LLVMBuildBitCast(e->builder, part, lower_like(part, g->elements.memory), "");
  return lower_from_memory(e, g->elements.type, part);
}

static void split_units(Emitter *e, Grouped *g, const LLVMValueRef *units, LLVMValueRef *parts) {
  int chunks = lower_chunks(e, g->elements.cols);
  for (int i = 0; i < g->elements.rows * chunks; ++i) {
    int row = i / chunks;
    LLVMValueRef part = element_of_units(e, g, units[row / g->group * chunks + i % chunks], row % g->group);
    part = to_register(e, g, part);
    LLVMValueRef inside = lower_row_condition(e, &g->elements, row);
    parts[i] = inside ? LLVMBuildSelect(e->builder, inside, part, LLVMConstNull(LLVMTypeOf(part)), "") : part;
  }
}

/* `window` is that of the tile, with columns along k. */
static void turn_from_units(Emitter *e, const Grouped *g, Window *window, LLVMValueRef *units, LLVMValueRef *parts) {
  int rows = window->rows, cols = window->cols, chunks = lower_chunks(e, cols);
  int piece = piece_of(e, g), unit_chunks = lower_chunks(e, rows);
  LLVMValueRef *out = LOWER_ARRAY(e, LLVMValueRef, rows);
  for (int i = 0; i < rows * chunks; ++i) {
    int first = i / rows * e->lanes, row = i % rows, chunk = i / rows;
    int valid = cols - first / piece * piece < piece ? cols - first / piece * piece : piece;
    if (row == 0 && first % piece == 0)
      lower_transpose(e, units + first / g->group * unit_chunks, valid / g->group, rows, out);
    int lanes = lower_lane_count(out[row]) * g->group;
    LLVMValueRef part = LLVMBuildBitCast(e->builder, out[row], LLVMVectorType(g->elements.memory, (unsigned)lanes), "");
    part = lower_part_of(e, part, first % piece, lower_chunk_lanes(e, cols, chunk));
    part = lower_from_memory(e, g->elements.type, part);
    LLVMValueRef mask = window->col_bound.value ? lower_chunk_mask(e, window, chunk) : NULL;
    if (mask) part = LLVMBuildSelect(e->builder, mask, part, LLVMConstNull(LLVMTypeOf(part)), "");
    parts[row * chunks + chunk] = part;
  }
}

void lower_load_grouped(Emitter *e, Window *window, LLVMValueRef *parts) {
  bool turns = has_k_across(window);
  Grouped g = make_grouped(e, window);
  if (g.whole) {
    Spot back = lower_go(e, g.depth);
    LLVMValueRef has_rest = LLVMBuildICmp(e->builder, LLVMIntSGT, g.rest, lower_i64(e, 0), "");
    LLVMValueRef last = LLVMBuildZExt(e->builder, has_rest, e->i64, "");
    g.units.row_bound = (Bound){lower_add(e, g.whole, last), g.depth, 0};
    lower_back(e, back);
  }
  LLVMValueRef *units = LOWER_ARRAY(e, LLVMValueRef, g.units.rows * lower_chunks(e, g.units.cols));
  lower_load_rows(e, &g.units, units);
  if (turns) turn_from_units(e, &g, window, units, parts);
  else split_units(e, &g, units, parts);
}

/* ---- stores ------------------------------------------------------------------------------------------------------ */

/* The elements of the unit that the bound along k cuts. */
static void store_rest(Emitter *e, const Grouped *g, const LLVMValueRef *units) {
  LLVMBasicBlockRef inside = LLVMAppendBasicBlockInContext(e->context, e->function, "store.rest");
  LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(e->context, e->function, "stored");
  LLVMValueRef exists = LLVMBuildICmp(e->builder, LLVMIntSGT, g->rest, lower_i64(e, 0), "");
  LLVMBuildCondBr(e->builder, exists, inside, done);
  LLVMPositionBuilderAtEnd(e->builder, inside);
  Window window = g->elements;
  lower_window_forget(e, &window);
  AddressAxis *k = &window.address.rows;
  LLVMValueRef offset = lower_mul(e, g->whole, k->stride ? k->stride : lower_i64(e, k->number));
  window.address.base = LLVMBuildGEP2(e->builder, window.address.memory, window.address.base, &offset, 1, "");
  window.address.base_depth = e->depth;
  window.rows = g->group - 1;
  window.row_bound = (Bound){g->rest, g->depth, 0};
  if (window.type == KILN_BOOL) window.type = KILN_U8;
  int chunks = lower_chunks(e, window.cols);
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, window.rows * chunks);
  for (int c = 0; c < chunks; ++c) {
    LLVMValueRef unit = units[c];
    for (int i = 1; i < g->units.rows; ++i) {
      LLVMValueRef is_this = LLVMBuildICmp(e->builder, LLVMIntEQ, g->whole, lower_i64(e, i), "");
      unit = LLVMBuildSelect(e->builder, is_this, units[i * chunks + c], unit, "");
    }
    for (int j = 0; j < window.rows; ++j) parts[j * chunks + c] = element_of_units(e, g, unit, j);
  }
  lower_store_rows(e, &window, parts);
  LLVMBuildBr(e->builder, done);
  LLVMPositionBuilderAtEnd(e->builder, done);
}

void lower_store_grouped(Emitter *e, Window *window, const LLVMValueRef *parts) {
  bool turns = has_k_across(window);
  Grouped g = make_grouped(e, window);
  g.units.row_bound = (Bound){g.whole, g.depth, 0};
  LLVMValueRef *units = LOWER_ARRAY(e, LLVMValueRef, g.units.rows * lower_chunks(e, g.units.cols));
  if (turns) turn_to_units(e, &g, parts, units);
  else interleave_to_units(e, &g, parts, units);
  lower_store_rows(e, &g.units, units);
  if (g.rest) store_rest(e, &g, units);
}
