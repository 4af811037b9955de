/* mma_dot.c: strategy `dot`: each lane of the accumulator gets the products of `group` adjacent k at once.
 *
 * An accumulator is kept as the chunks of a tile, `b` as one vector of groups for each chunk of `group` rows, `a` as
 * groups that are splatted at the product: LLVM makes a broadcasting load of each (groups.h). */
#include <stdio.h>
#include <string.h>

#include "lower/groups.h"

/* What an instruction is called with. Its factors are bytes of fixed signs in the order of the intrinsic. */
typedef struct DotRow {
  Intrinsic calls[3]; /* on 128, 256, 512 bits */
} DotRow;

static const DotRow dot_rows[MMA_ROW_COUNT] = {
    [MMA_ROW_vpdpbusd_vex_u8i8] = {{INTRINSIC_DPBUSD_128, INTRINSIC_DPBUSD_256, INTRINSIC_DPBUSD_512}},
    [MMA_ROW_vpdpbusd_u8i8] = {{INTRINSIC_DPBUSD_128, INTRINSIC_DPBUSD_256, INTRINSIC_DPBUSD_512}},
    [MMA_ROW_vdpbf16ps] = {{INTRINSIC_DPBF16_128, INTRINSIC_DPBF16_256, INTRINSIC_DPBF16_512}},
};

static int group_of(const FragPlacement *placement) { return placement->instruction->group; }

static int part_count(const Emitter *e, const FragPlacement *placement, TileType type) {
  if (type.role == ROLE_A) return type.rows * type.cols / group_of(placement);
  int chunks = lower_chunks(e, type.cols);
  return type.role == ROLE_B ? type.rows / group_of(placement) * chunks : type.rows * chunks;
}

static LLVMTypeRef part_type(const Emitter *e, const FragPlacement *placement, TileType type, int part) {
  LLVMTypeRef lane =
      type.role == ROLE_ACC ? lower_element(e, type.type) : lower_group_type(e, type.type, group_of(placement));
  if (type.role == ROLE_A) return lane;
  return lower_lanes_of(lane, lower_chunk_lanes(e, type.cols, part % lower_chunks(e, type.cols)));
}

static bool is_same_place(const MmaInstruction *x, const MmaInstruction *y, FragRole role) {
  return role == ROLE_ACC || x->group == y->group;
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

/* Part (row, col) of an operand: a group of `a`, a chunk of `b`. */
static LLVMValueRef operand_part(Emitter *e, const Lowered *operand, int row, int col, int columns) {
  struct PendingLoad *pending = operand->pending;
  if (!pending) return operand->parts[row * columns + col];
  LLVMValueRef part = operand->type.role == ROLE_A ? lower_load_group_of_a(e, pending, row, col)
                                                   : lower_load_group_of_b(e, pending, row, col);
  name_part(e, pending->value, part, row, col);
  return part;
}

static void load_operand(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const FragPlacement *placement = lower_placement(e, value);
  struct PendingLoad *pending = ARENA_NEW(e->arena, struct PendingLoad);
  *pending = (struct PendingLoad){lower_window(e, op, value->type), value, placement, NULL};
  bool is_a = value->type.role == ROLE_A;
  if (is_a) lower_window_repeat_last_row(e, &pending->window);
  if (placement->loads_at_use && (is_a || lower_has_groups_of_b(e, &pending->window, group_of(placement)))) {
    lower_define(e, value, 0)->pending = pending;
    return;
  }
  Lowered *result = define(e, value);
  int groups = value->type.cols / group_of(placement);
  if (!is_a) lower_load_groups_of_b(e, pending, result->parts);
  for (int i = 0; is_a && i < result->count; ++i)
    result->parts[i] = lower_load_group_of_a(e, pending, i / groups, i % groups);
}

/* ---- accumulators ------------------------------------------------------------------------------------------------ */

static void emit_load(Emitter *e, const Op *op) {
  if (op->results[0].type.role != ROLE_ACC) {
    load_operand(e, op);
    return;
  }
  Lowered *result = define(e, &op->results[0]);
  Window window = lower_window(e, op, result->type);
  lower_load(e, &window, result->parts);
}

static void emit_store(Emitter *e, const Op *op) {
  const Lowered *acc = lower_get(e, op->operands[0]);
  Window window = lower_window(e, op, acc->type);
  lower_store(e, &window, acc->parts);
}

static void emit_to_tile(Emitter *e, const Op *op) { lower_alias(e, &op->results[0], lower_get(e, op->operands[0])); }

static void emit_from_tile(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const Lowered *tile = lower_get(e, op->operands[0]);
  Lowered *result = define(e, value);
  if (value->type.role == ROLE_ACC)
    for (int i = 0; i < result->count; ++i) result->parts[i] = tile->parts[i];
  else lower_groups_of_tile(e, tile, value->type, group_of(lower_placement(e, value)), result->parts);
}

/* ---- product ----------------------------------------------------------------------------------------------------- */

/* The instructions know vectors of 128 bits and more. */
enum { LEAST_LANES = 4 };

static LLVMValueRef widen(Emitter *e, LLVMValueRef x) {
  int lanes = lower_lane_count(x);
  if (lanes >= LEAST_LANES) return x;
  LLVMValueRef wide = LLVMGetPoison(lower_lanes_of(lower_element_of(x), LEAST_LANES));
  for (int i = 0; i < lanes; ++i) wide = lower_insert(e, wide, lower_extract(e, x, i), i);
  return wide;
}

static LLVMValueRef call(Emitter *e, Intrinsic id, LLVMValueRef sum, LLVMValueRef x, LLVMValueRef y) {
  LLVMTypeRef types[3];
  LLVMValueRef arguments[] = {sum, x, y};
  LLVMGetParamTypes(LLVMIntrinsicGetType(e->context, e->intrinsics[id], NULL, 0), types);
  for (int i = 0; i < 3; ++i) arguments[i] = LLVMBuildBitCast(e->builder, arguments[i], types[i], "");
  return lower_call(e, id, NULL, NULL, arguments, 3);
}

/* sum + a . b in each lane; `a` has been splatted, to as many lanes or more. */
static LLVMValueRef add_dot(Emitter *e, const MmaInstruction *instruction, LLVMValueRef sum, LLVMValueRef a,
                            LLVMValueRef b) {
  const DotRow *row = &dot_rows[mma_row(instruction)];
  int lanes = lower_lane_count(sum);
  LLVMValueRef wide = widen(e, sum), y = widen(e, b);
  int wide_lanes = lower_lane_count(wide);
  LLVMValueRef x = lower_part_of(e, a, 0, wide_lanes);
  wide = call(e, row->calls[wide_lanes == 4 ? 0 : wide_lanes == 8 ? 1 : 2], wide, x, y);
  return lower_part_of(e, wide, 0, lanes);
}

typedef struct Product {
  const MmaInstruction *instruction;
  Lowered *acc;
  const Lowered *a, *b;
  int chunks, groups;
  LLVMValueRef *kept; /* the row of b, or the column of a */
} Product;

static LLVMValueRef splat_of_a(Emitter *e, const Product *p, int row, int g) {
  int lanes = lower_lane_count(p->acc->parts[0]);
  return lower_splat(e, operand_part(e, p->a, row, g, p->groups), lanes < LEAST_LANES ? LEAST_LANES : lanes);
}

/* Group g of k, row after row: the row of `b` stays in registers; see mma_outer.c. */
static void add_by_rows(Emitter *e, Product *p, int g) {
  for (int c = 0; c < p->chunks; ++c) p->kept[c] = operand_part(e, p->b, g, c, p->chunks);
  for (int r = 0; r < p->acc->type.rows; ++r) {
    LLVMValueRef splat = splat_of_a(e, p, r, g);
    for (int c = 0; c < p->chunks; ++c) {
      LLVMValueRef *sum = &p->acc->parts[r * p->chunks + c];
      *sum = add_dot(e, p->instruction, *sum, splat, p->kept[c]);
    }
  }
}

static void add_by_chunks(Emitter *e, Product *p, int g) {
  int rows = p->acc->type.rows;
  for (int r = 0; r < rows; ++r) p->kept[r] = splat_of_a(e, p, r, g);
  for (int c = 0; c < p->chunks; ++c) {
    LLVMValueRef chunk = operand_part(e, p->b, g, c, p->chunks);
    for (int r = 0; r < rows; ++r) {
      LLVMValueRef *sum = &p->acc->parts[r * p->chunks + c];
      *sum = add_dot(e, p->instruction, *sum, p->kept[r], chunk);
    }
  }
}

static void emit_product(Emitter *e, const Op *op) {
  const Lowered *start = lower_get(e, op->operands[0]);
  Product p = {.instruction = lower_placement(e, &op->results[0])->product,
               .acc = define(e, &op->results[0]),
               .a = lower_get(e, op->operands[1]),
               .b = lower_get(e, op->operands[2])};
  for (int i = 0; i < p.acc->count; ++i) p.acc->parts[i] = start->parts[i];
  int rows = p.acc->type.rows;
  p.chunks = lower_chunks(e, p.acc->type.cols);
  p.groups = p.a->type.cols / p.instruction->group;
  p.kept = LOWER_ARRAY(e, LLVMValueRef, rows > p.chunks ? rows : p.chunks);
  for (int g = 0; g < p.groups; ++g) {
    if (rows < p.chunks) add_by_chunks(e, &p, g);
    else add_by_rows(e, &p, g);
  }
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
