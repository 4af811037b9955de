/* mma_dot.c: strategy `dot`: each lane of the accumulator gets the products of `group` adjacent k at once.
 *
 * An accumulator is kept as the chunks of a tile, `b` as one vector of groups for each chunk of `group` rows, `a` as
 * groups that are splatted at the product: LLVM makes a broadcasting load of each (groups.h). Where the instruction's
 * sums have an excess (dot.h), that of each chunk of columns is kept behind the accumulator's parts, at the cost of one
 * more product for all of its rows, and taken off where the accumulator leaves the strategy. */
#include "lower/dot.h"

static bool has_excess(const FragPlacement *placement) { return lower_dot_has_excess(placement->instruction); }

static int part_count(const Emitter *e, const FragPlacement *placement, TileType type) {
  int group = lower_group_of(placement->instruction, type.role), chunks = lower_chunks(e, type.cols);
  if (type.role == ROLE_A) return type.rows * type.cols / group;
  if (type.role == ROLE_B) return type.rows / group * chunks;
  return (type.rows + has_excess(placement)) * chunks;
}

static LLVMTypeRef part_type(const Emitter *e, const FragPlacement *placement, TileType type, int part) {
  int group = lower_group_of(placement->instruction, type.role);
  LLVMTypeRef lane = type.role == ROLE_ACC ? lower_element(e, type.type) : lower_group_type(e, type.type, group);
  if (type.role == ROLE_A) return lane;
  return lower_lanes_of(lane, lower_chunk_lanes(e, type.cols, part % lower_chunks(e, type.cols)));
}

static bool is_same_place(const MmaInstruction *x, const MmaInstruction *y, FragRole role) {
  return role == ROLE_ACC ? lower_dot_has_excess(x) == lower_dot_has_excess(y) : x->group == y->group;
}

static Lowered *define(Emitter *e, const Value *value) {
  return lower_define(e, value, part_count(e, lower_placement(e, value), value->type));
}

static void emit_zero(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  Lowered *zero = define(e, value);
  for (int i = 0; i < zero->count; ++i)
    zero->parts[i] = LLVMConstNull(part_type(e, lower_placement(e, value), value->type, i));
}

/* ---- operands ---------------------------------------------------------------------------------------------------- */

static void load_operand(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const FragPlacement *placement = lower_placement(e, value);
  struct PendingLoad *pending = ARENA_NEW(e->arena, struct PendingLoad);
  *pending = (struct PendingLoad){.window = lower_window(e, op, value->type), .value = value, .placement = placement};
  bool is_a = value->type.role == ROLE_A;
  int group = lower_group_of(placement->instruction, value->type.role);
  if (is_a) lower_window_repeat_last_row(e, &pending->window);
  if (placement->loads_at_use && (is_a || lower_has_groups_of_b(e, &pending->window, group))) {
    lower_define(e, value, 0)->pending = pending;
    return;
  }
  Lowered *result = define(e, value);
  int groups = value->type.cols / group;
  if (!is_a) lower_load_groups_of_b(e, pending, result->parts);
  for (int i = 0; is_a && i < result->count; ++i)
    result->parts[i] = lower_load_group_of_a(e, pending, i / groups, i % groups);
}

/* ---- accumulators ------------------------------------------------------------------------------------------------ */

static int tile_parts(const Emitter *e, TileType type) { return type.rows * lower_chunks(e, type.cols); }

/* A new accumulator has no excess. */
static void clear_excess(Emitter *e, const Value *value, Lowered *acc) {
  for (int i = tile_parts(e, value->type); i < acc->count; ++i)
    acc->parts[i] = LLVMConstNull(part_type(e, lower_placement(e, value), value->type, i));
}

/* Its parts without the excess, as a tile has them. */
static const LLVMValueRef *finish(Emitter *e, const Lowered *acc) {
  int chunks = lower_chunks(e, acc->type.cols), count = tile_parts(e, acc->type);
  if (acc->count == count) return acc->parts;
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, count);
  for (int i = 0; i < count; ++i)
    parts[i] = LLVMBuildSub(e->builder, acc->parts[i], acc->parts[count + i % chunks], "");
  return parts;
}

static void emit_load(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  if (value->type.role != ROLE_ACC) {
    load_operand(e, op);
    return;
  }
  Lowered *result = define(e, value);
  Window window = lower_window(e, op, result->type);
  lower_load(e, &window, result->parts);
  clear_excess(e, value, result);
}

static void emit_store(Emitter *e, const Op *op) {
  const Lowered *acc = lower_get(e, op->operands[0]);
  Window window = lower_window(e, op, acc->type);
  lower_store(e, &window, finish(e, acc));
}

static void emit_to_tile(Emitter *e, const Op *op) {
  const LLVMValueRef *parts = finish(e, lower_get(e, op->operands[0]));
  Lowered *tile = lower_result(e, op);
  for (int i = 0; i < tile->count; ++i) tile->parts[i] = parts[i];
}

static void emit_from_tile(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const Lowered *tile = lower_get(e, op->operands[0]);
  Lowered *result = define(e, value);
  if (value->type.role == ROLE_ACC) {
    for (int i = 0; i < tile->count; ++i) result->parts[i] = tile->parts[i];
    clear_excess(e, value, result);
  } else {
    int group = lower_group_of(lower_placement(e, value)->instruction, value->type.role);
    lower_groups_of_tile(e, tile, value->type, group, result->parts);
  }
}

/* ---- product ----------------------------------------------------------------------------------------------------- */

typedef struct Product {
  const MmaInstruction *instruction;
  Lowered *acc;
  const Lowered *a, *b;
  int chunks, lanes;
  LLVMValueRef *excess; /* of each chunk; NULL: none */
  LLVMValueRef *kept;   /* the row of b, or the column of a */
} Product;

static void add(Emitter *e, const Product *p, LLVMValueRef *sum, LLVMValueRef a, LLVMValueRef b) {
  *sum = lower_dot_add(e, p->instruction, *sum, a, b);
}

static void add_excess(Emitter *e, const Product *p, int chunk, LLVMValueRef b) {
  if (p->excess) add(e, p, &p->excess[chunk], lower_dot_excess(e, p->lanes), b);
}

/* Group g of k, row after row: the row of `b` stays in registers; see mma_outer.c. */
static void add_by_rows(Emitter *e, Product *p, int g, int step) {
  for (int c = 0; c < p->chunks; ++c) {
    p->kept[c] = lower_dot_b(e, p->instruction, p->b, g, step, c);
    add_excess(e, p, c, p->kept[c]);
  }
  for (int r = 0; r < p->acc->type.rows; ++r) {
    LLVMValueRef a = lower_dot_a(e, p->instruction, p->a, r, g, step, p->lanes);
    for (int c = 0; c < p->chunks; ++c) add(e, p, &p->acc->parts[r * p->chunks + c], a, p->kept[c]);
  }
}

static void add_by_chunks(Emitter *e, Product *p, int g, int step) {
  int rows = p->acc->type.rows;
  for (int r = 0; r < rows; ++r) p->kept[r] = lower_dot_a(e, p->instruction, p->a, r, g, step, p->lanes);
  for (int c = 0; c < p->chunks; ++c) {
    LLVMValueRef b = lower_dot_b(e, p->instruction, p->b, g, step, c);
    add_excess(e, p, c, b);
    for (int r = 0; r < rows; ++r) add(e, p, &p->acc->parts[r * p->chunks + c], p->kept[r], b);
  }
}

/* The same with groups that are lanes of vectors, for those from `first` on. */
static void add_by_pieces(Emitter *e, Product *p, PieceOrder order, int first, int steps) {
  int rows = p->acc->type.rows;
  for (int i = 0; i < steps * p->chunks * rows; ++i) {
    int c = order.stays ? i / rows : i % p->chunks, r = order.stays ? i % rows : i / p->chunks / steps;
    int step = order.stays ? 0 : i / p->chunks % steps;
    LLVMValueRef *b = &p->kept[step * p->chunks + c];
    if (r == 0) {
      *b = lower_dot_b(e, p->instruction, p->b, first + step, 0, c);
      add_excess(e, p, c, *b);
    }
    Piece piece = lower_piece_of_a(e, p->a, order, r, first + step);
    add(e, p, &p->acc->parts[r * p->chunks + c], lower_dot_piece(e, p->instruction, piece, p->lanes), *b);
  }
}

static void emit_product(Emitter *e, const Op *op) {
  const Lowered *start = lower_get(e, op->operands[0]);
  Product p = {.instruction = lower_placement(e, &op->results[0])->product,
               .acc = define(e, &op->results[0]),
               .a = lower_get(e, op->operands[1]),
               .b = lower_get(e, op->operands[2])};
  for (int i = 0; i < p.acc->count; ++i) p.acc->parts[i] = start->parts[i];
  int rows = p.acc->type.rows, count = tile_parts(e, p.acc->type);
  p.chunks = lower_chunks(e, p.acc->type.cols);
  p.lanes = lower_lane_count(p.acc->parts[0]);
  if (p.acc->count > count) p.excess = p.acc->parts + count;
  PieceOrder order = lower_piece_order(e, p.a, p.acc, p.acc->count - count);
  p.kept = LOWER_ARRAY(e, LLVMValueRef, rows + p.chunks * order.steps);
  int steps = lower_dot_steps(p.instruction), groups = p.a->type.cols / p.instruction->group;
  for (int i = 0; i < groups * steps; ++i) {
    if (order.lanes > 0) continue;
    if (rows < p.chunks) add_by_chunks(e, &p, i / steps, i % steps);
    else add_by_rows(e, &p, i / steps, i % steps);
  }
  for (int g = 0; g < groups && order.lanes > 0; g += order.steps)
    add_by_pieces(e, &p, order, g, groups - g < order.steps ? groups - g : order.steps);
}

const FragStrategy mma_dot = {
    .part_count = part_count,
    .part_type = part_type,
    .is_same_place = is_same_place,
    .zero = emit_zero,
    .load = emit_load,
    .store = emit_store,
    .to_tile = emit_to_tile,
    .from_tile = emit_from_tile,
    .mma = emit_product,
};
