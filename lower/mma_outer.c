/* mma_outer.c: strategy `outer`: products as fused multiply-adds of vectors, one k after another, on any target.
 *
 * An accumulator is kept as the chunks of a tile, `b` likewise (k rows), `a` as m x k scalars that are splatted at the
 * product: LLVM makes a broadcasting load of each. Operands of other types than the accumulator's are converted as they
 * are loaded, so every pair of types works, bit for bit as the interpreter does it (without FMA, products and sums
 * round apart). */
#include <stdio.h>
#include <string.h>

#include "lower/pieces.h"

static int part_count(const Emitter *e, const FragPlacement *placement, TileType type) {
  (void)placement;
  return type.role == ROLE_A ? type.rows * type.cols : type.rows * lower_chunks(e, type.cols);
}

static LLVMTypeRef part_type(const Emitter *e, const FragPlacement *placement, TileType type, int part) {
  LLVMTypeRef element = lower_element(e, placement->acc);
  if (type.role == ROLE_A) return element;
  return lower_lanes_of(element, lower_chunk_lanes(e, type.cols, part % lower_chunks(e, type.cols)));
}

/* All rows convert to the accumulator's type. */
static bool is_same_place(const MmaInstruction *x, const MmaInstruction *y, FragRole role) {
  (void)x, (void)y, (void)role;
  return true;
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

static void name_part(const Emitter *e, const Value *value, LLVMValueRef part, int row, int col) {
  char name[96];
  if (!e->has_names || value->name == NULL || LLVMIsAInstruction(part) == NULL) return;
  snprintf(name, sizeof name, "%s.%d.%d", value->name, row, col);
  LLVMSetValueName2(part, name, strlen(name));
}

/* Part (row, col) of a pending operand: an element of `a`, a chunk of `b`. */
static LLVMValueRef load_part(Emitter *e, struct PendingLoad *pending, int row, int col) {
  const Value *value = pending->value;
  LLVMValueRef part = value->type.role == ROLE_A ? lower_load_element(e, &pending->window, row, col)
                                                 : lower_load_chunk(e, &pending->window, row, col);
  part = lower_convert(e, part, value->type.type, pending->placement->acc);
  name_part(e, value, part, row, col);
  return part;
}

static LLVMValueRef operand_part(Emitter *e, const Lowered *operand, int row, int col, int columns) {
  return operand->pending ? load_part(e, operand->pending, row, col) : operand->parts[row * columns + col];
}

static void load_now(Emitter *e, struct PendingLoad *pending) {
  const Value *value = pending->value;
  Lowered *result = define(e, value);
  if (value->type.role == ROLE_A) {
    for (int i = 0; i < result->count; ++i)
      result->parts[i] = load_part(e, pending, i / value->type.cols, i % value->type.cols);
    return;
  }
  lower_load(e, &pending->window, result->parts);
  for (int i = 0; i < result->count; ++i)
    result->parts[i] = lower_convert(e, result->parts[i], value->type.type, pending->placement->acc);
}

static void emit_load(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const FragPlacement *placement = lower_placement(e, value);
  struct PendingLoad *pending = ARENA_NEW(e->arena, struct PendingLoad);
  *pending = (struct PendingLoad){.window = lower_window(e, op, value->type), .value = value, .placement = placement};
  bool is_a = value->type.role == ROLE_A;
  if (is_a) lower_window_repeat_last_row(e, &pending->window);
  bool has_parts = is_a || (value->type.role == ROLE_B && lower_window_is_direct(e, &pending->window));
  if (placement->loads_at_use && has_parts) lower_define(e, value, 0)->pending = pending;
  else load_now(e, pending);
}

static void emit_store(Emitter *e, const Op *op) {
  const Lowered *acc = lower_get(e, op->operands[0]);
  Window window = lower_window(e, op, acc->type);
  lower_store(e, &window, acc->parts);
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

static void emit_to_tile(Emitter *e, const Op *op) { lower_alias(e, &op->results[0], lower_get(e, op->operands[0])); }

static void emit_from_tile(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const Lowered *tile = lower_get(e, op->operands[0]);
  kiln_type acc = lower_placement(e, value)->acc;
  Lowered *result = define(e, value);
  int chunks = lower_chunks(e, tile->type.cols);
  for (int i = 0; i < result->count; ++i) {
    LLVMValueRef part;
    if (value->type.role == ROLE_A) {
      int row = i / value->type.cols, col = i % value->type.cols;
      part = lower_extract(e, tile->parts[row * chunks + col / e->lanes], col % e->lanes);
    } else {
      part = tile->parts[i];
    }
    result->parts[i] = lower_convert(e, part, tile->type.type, acc);
  }
}

/* ---- product ----------------------------------------------------------------------------------------------------- */

typedef struct Product {
  Lowered *acc;
  const Lowered *a, *b;
  int chunks;
  LLVMValueRef *kept; /* the row of b, or the column of a */
} Product;

/* An element of `a` in every lane. It is converted after that: as a scalar it would pass through a general register. */
static LLVMValueRef splat_of_a(Emitter *e, const Product *p, int row, int k, int lanes) {
  struct PendingLoad *pending = p->a->pending;
  if (!pending) return lower_splat(e, p->a->parts[row * p->a->type.cols + k], lanes);
  LLVMValueRef element = lower_load_element(e, &pending->window, row, k);
  name_part(e, pending->value, element, row, k);
  return lower_convert(e, lower_splat(e, element, lanes), p->a->type.type, pending->placement->acc);
}

/* Column k of `a` times row k of `b`, row after row: the row of `b` stays in registers, each scalar is splatted once.
 */
static void add_by_rows(Emitter *e, Product *p, int k) {
  for (int c = 0; c < p->chunks; ++c) p->kept[c] = operand_part(e, p->b, k, c, p->chunks);
  for (int r = 0; r < p->acc->type.rows; ++r) {
    LLVMValueRef splat = NULL;
    for (int c = 0; c < p->chunks; ++c) {
      LLVMValueRef *sum = &p->acc->parts[r * p->chunks + c];
      int lanes = lower_lane_count(*sum);
      if (!splat || lower_lane_count(splat) != lanes) splat = splat_of_a(e, p, r, k, lanes);
      *sum = lower_fma(e, splat, p->kept[c], *sum);
    }
  }
}

/* The same, chunk after chunk: the splats stay. With 3x32 in f32, AVX2 has no register for four chunks and a splat. */
static void add_by_chunks(Emitter *e, Product *p, int k) {
  int rows = p->acc->type.rows;
  for (int r = 0; r < rows; ++r) p->kept[r] = splat_of_a(e, p, r, k, lower_lane_count(p->acc->parts[0]));
  for (int c = 0; c < p->chunks; ++c) {
    LLVMValueRef chunk = operand_part(e, p->b, k, c, p->chunks);
    for (int r = 0; r < rows; ++r) {
      LLVMValueRef *sum = &p->acc->parts[r * p->chunks + c];
      *sum = lower_fma(e, lower_part_of(e, p->kept[r], 0, lower_lane_count(*sum)), chunk, *sum);
    }
  }
}

/* The same with scalars that are lanes of vectors, for the k from `first` on. */
static void add_by_pieces(Emitter *e, Product *p, PieceOrder order, int first, int steps) {
  int rows = p->acc->type.rows;
  for (int i = 0; i < steps * p->chunks * rows; ++i) {
    int c = order.stays ? i / rows : i % p->chunks, r = order.stays ? i % rows : i / p->chunks / steps;
    int step = order.stays ? 0 : i / p->chunks % steps;
    LLVMValueRef *b = &p->kept[step * p->chunks + c], *sum = &p->acc->parts[r * p->chunks + c];
    if (r == 0) *b = operand_part(e, p->b, first + step, c, p->chunks);
    *sum = lower_piece_fma(e, lower_piece_of_a(e, p->a, order, r, first + step), *b, *sum);
  }
}

static void emit_product(Emitter *e, const Op *op) {
  const Lowered *start = lower_get(e, op->operands[0]);
  Product p = {
      .acc = define(e, &op->results[0]), .a = lower_get(e, op->operands[1]), .b = lower_get(e, op->operands[2])};
  for (int i = 0; i < p.acc->count; ++i) p.acc->parts[i] = start->parts[i];
  int rows = p.acc->type.rows;
  p.chunks = lower_chunks(e, p.acc->type.cols);
  PieceOrder order = lower_piece_order(e, p.a, p.acc, 0);
  p.kept = LOWER_ARRAY(e, LLVMValueRef, rows + p.chunks * order.steps);
  int count = p.a->type.cols;
  for (int k = 0; k < count; k += order.steps) {
    int steps = count - k < order.steps ? count - k : order.steps;
    if (order.lanes > 0) add_by_pieces(e, &p, order, k, steps);
    else if (rows < p.chunks) add_by_chunks(e, &p, k);
    else add_by_rows(e, &p, k);
  }
}

const FragStrategy mma_outer = {
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
