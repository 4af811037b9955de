/* mma_mmla.c: strategy `mmla`: AArch64's products of 2 x group by group x 2 into 2 x 2 blocks, one for each 128 bits.
 *
 * An accumulator is kept as pairs of rows: vector v of a pair has half as many columns as lanes, in each 128 bits the
 * two elements of the upper row, then those of the lower one. `a` is kept as 128 bits for each pair of rows and group,
 * the two rows' groups; `b` as groups of 64 bits, a vector for each chunk of columns (groups.h): just what memory has
 * in panels with groups, and what the instructions want. A missing last row is the one above it again, missing columns
 * are anything.
 *
 * bfmmla, unless the processor is told otherwise, takes subnormal operands as zeros, rounds products and sums to odd
 * and gives zero for subnormal results (Arm ARM, BFMatMulAdd): exact where every partial sum is. */
#include "lower/arm.h"
#include "lower/groups.h"

typedef struct MmlaRow {
  ArmProduct product;
  bool swaps; /* `b` is the first factor, so blocks come out transposed */
} MmlaRow;

static const MmlaRow mmla_rows[MMA_ROW_COUNT] = {
    [MMA_ROW_smmla_i8i8] = {{INTRINSIC_NEON_SMMLA, INTRINSIC_SVE_SMMLA}, false},
    [MMA_ROW_ummla_u8u8] = {{INTRINSIC_NEON_UMMLA, INTRINSIC_SVE_UMMLA}, false},
    [MMA_ROW_usmmla_u8i8] = {{INTRINSIC_NEON_USMMLA, INTRINSIC_SVE_USMMLA}, false},
    [MMA_ROW_usmmla_i8u8] = {{INTRINSIC_NEON_USMMLA, INTRINSIC_SVE_USMMLA}, true},
    [MMA_ROW_bfmmla] = {{INTRINSIC_NEON_BFMMLA, INTRINSIC_SVE_BFMMLA}, false},
};

static const MmlaRow *row_of(const MmaInstruction *instruction) { return &mmla_rows[mma_row(instruction)]; }

static int half_up(int x) { return (x + 1) / 2; }
/* Columns of one vector of an accumulator, and vectors of one pair of rows. */
static int columns_of(const Emitter *e) { return e->lanes / 2; }
static int vectors_of(const Emitter *e, int cols) { return (cols + columns_of(e) - 1) / columns_of(e); }

static int part_count(const Emitter *e, const FragPlacement *placement, TileType type) {
  int group = placement->instruction->group;
  if (type.role == ROLE_A) return half_up(type.rows) * (type.cols / group);
  if (type.role == ROLE_B) return type.rows / group * lower_chunks(e, type.cols);
  return half_up(type.rows) * vectors_of(e, type.cols);
}

static LLVMTypeRef part_type(const Emitter *e, const FragPlacement *placement, TileType type, int part) {
  if (type.role == ROLE_A) return LLVMVectorType(e->i64, 2);
  if (type.role == ROLE_B)
    return lower_lanes_of(e->i64, lower_chunk_lanes(e, type.cols, part % lower_chunks(e, type.cols)));
  return LLVMVectorType(lower_element(e, placement->acc), (unsigned)e->lanes);
}

static bool is_same_place(const MmaInstruction *x, const MmaInstruction *y, FragRole role) {
  return role == ROLE_ACC ? row_of(x)->swaps == row_of(y)->swaps : x->group == y->group;
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

static LLVMValueRef join_rows(Emitter *e, LLVMValueRef upper, LLVMValueRef lower) {
  LLVMValueRef pair = lower_insert(e, LLVMGetPoison(LLVMVectorType(e->i64, 2)), upper, 0);
  return lower_insert(e, pair, lower, 1);
}

/* Groups of two rows: one load where memory has them one after the other. */
static LLVMValueRef load_pair(Emitter *e, struct PendingLoad *a, int pair, int g) {
  int group = a->placement->instruction->group, row = 2 * pair, last = a->window.rows - 1;
  Address *address = &a->window.address;
  bool is_whole = row < last && !a->window.col_bound.value && !address->last_row &&
                  lower_address_is_contiguous(&address->cols, g * group, group) &&
                  lower_address_is_grouped(&address->rows, row, 2, group);
  if (!is_whole)
    return join_rows(e, lower_load_group_of_a(e, a, row, g),
                     lower_load_group_of_a(e, a, row < last ? row + 1 : last, g));
  LLVMValueRef pointer = lower_address_pointer(e, address, row, g * group);
  LLVMValueRef value = LLVMBuildLoad2(e->builder, LLVMVectorType(e->i64, 2), pointer, "");
  LLVMSetAlignment(value, type_bits(a->value->type.type) / 8);
  return value;
}

static LLVMValueRef part_of_a(Emitter *e, const Lowered *a, int pair, int g, int group) {
  return a->pending ? load_pair(e, a->pending, pair, g) : a->parts[pair * (a->type.cols / group) + g];
}

static LLVMValueRef part_of_b(Emitter *e, const Lowered *b, int g, int chunk) {
  return b->pending ? lower_load_group_of_b(e, b->pending, g, chunk)
                    : b->parts[g * lower_chunks(e, b->type.cols) + chunk];
}

static void load_operand(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const FragPlacement *placement = lower_placement(e, value);
  struct PendingLoad *pending = ARENA_NEW(e->arena, struct PendingLoad);
  *pending = (struct PendingLoad){.window = lower_window(e, op, value->type), .value = value, .placement = placement};
  bool is_a = value->type.role == ROLE_A;
  int group = placement->instruction->group, groups = value->type.cols / group;
  if (is_a) lower_window_repeat_last_row(e, &pending->window);
  if (placement->loads_at_use && (is_a || lower_has_groups_of_b(e, &pending->window, group))) {
    lower_define(e, value, 0)->pending = pending;
    return;
  }
  Lowered *result = define(e, value);
  if (!is_a) lower_load_groups_of_b(e, pending, result->parts);
  for (int i = 0; is_a && i < result->count; ++i) result->parts[i] = load_pair(e, pending, i / groups, i % groups);
}

static void operand_from_tile(Emitter *e, const Lowered *tile, const Value *value, Lowered *result) {
  int group = lower_placement(e, value)->instruction->group, rows = value->type.rows;
  if (value->type.role == ROLE_B) {
    lower_groups_of_tile(e, tile, value->type, group, result->parts);
    return;
  }
  int groups = value->type.cols / group;
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, rows * groups);
  lower_groups_of_tile(e, tile, value->type, group, parts);
  for (int i = 0; i < result->count; ++i) {
    int row = 2 * (i / groups), next = row + 1 < rows ? row + 1 : row;
    result->parts[i] = join_rows(e, parts[row * groups + i % groups], parts[next * groups + i % groups]);
  }
}

/* ---- accumulators ------------------------------------------------------------------------------------------------ */

/* Lanes of 64 bits, chosen from two vectors by a rule: from `first` on, every `step`th of both, or in turn. */
static LLVMValueRef shuffle_wide(Emitter *e, LLVMValueRef x, LLVMValueRef y, int first, bool interleaves) {
  int mask[64], lanes = e->lanes / 2;
  LLVMTypeRef wide = LLVMVectorType(e->i64, (unsigned)lanes);
  for (int i = 0; i < lanes; ++i) mask[i] = interleaves ? first * lanes / 2 + i / 2 + i % 2 * lanes : 2 * i + first;
  LLVMValueRef a = LLVMBuildBitCast(e->builder, x, wide, ""), b = LLVMBuildBitCast(e->builder, y, wide, "");
  return LLVMBuildBitCast(e->builder, lower_shuffle(e, a, b, mask, lanes), LLVMTypeOf(x), "");
}

/* Each 2 x 2 block the other way round. */
static LLVMValueRef turn_blocks(Emitter *e, LLVMValueRef x) {
  int mask[64];
  for (int i = 0; i < e->lanes; ++i) mask[i] = i / 4 * 4 + i % 2 * 2 + i / 2 % 2;
  return lower_shuffle(e, x, NULL, mask, e->lanes);
}

static LLVMValueRef vector_or_poison(const Emitter *e, const Lowered *acc, int pair, int v, LLVMTypeRef type) {
  int vectors = vectors_of(e, acc->type.cols);
  return v < vectors ? acc->parts[pair * vectors + v] : LLVMGetPoison(type);
}

/* Chunks of a tile from an accumulator. */
static LLVMValueRef *rows_of_acc(Emitter *e, const Lowered *acc, bool swaps) {
  int rows = acc->type.rows, cols = acc->type.cols, chunks = lower_chunks(e, cols);
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, rows * chunks);
  LLVMTypeRef type = LLVMVectorType(lower_element(e, acc->type.type), (unsigned)e->lanes);
  for (int pair = 0; pair < half_up(rows); ++pair)
    for (int c = 0; c < chunks; ++c) {
      LLVMValueRef x = vector_or_poison(e, acc, pair, 2 * c, type), y = vector_or_poison(e, acc, pair, 2 * c + 1, type);
      if (swaps) x = turn_blocks(e, x), y = turn_blocks(e, y);
      for (int r = 2 * pair; r < rows && r < 2 * pair + 2; ++r)
        parts[r * chunks + c] = lower_part_of(e, shuffle_wide(e, x, y, r % 2, false), 0, lower_chunk_lanes(e, cols, c));
    }
  return parts;
}

/* A chunk with as many lanes as the target has, anything in the new ones. */
static LLVMValueRef widen(Emitter *e, LLVMValueRef chunk) {
  LaneSource sources[64] = {{NULL, 0}};
  for (int i = 0; i < lower_lane_count(chunk); ++i) sources[i] = (LaneSource){chunk, i};
  return lower_collect(e, lower_element_of(chunk), sources, e->lanes);
}

static void acc_from_rows(Emitter *e, const LLVMValueRef *parts, bool swaps, Lowered *acc) {
  int rows = acc->type.rows, chunks = lower_chunks(e, acc->type.cols), vectors = vectors_of(e, acc->type.cols);
  for (int pair = 0; pair < half_up(rows); ++pair)
    for (int v = 0; v < vectors; ++v) {
      int row = 2 * pair, next = row + 1 < rows ? row + 1 : row;
      LLVMValueRef x = widen(e, parts[row * chunks + v / 2]), y = widen(e, parts[next * chunks + v / 2]);
      LLVMValueRef blocks = shuffle_wide(e, x, y, v % 2, true);
      acc->parts[pair * vectors + v] = swaps ? turn_blocks(e, blocks) : blocks;
    }
}

static bool swaps_of(const Emitter *e, const Value *acc) { return row_of(lower_placement(e, acc)->instruction)->swaps; }

static void emit_load(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  if (value->type.role != ROLE_ACC) {
    load_operand(e, op);
    return;
  }
  Lowered *result = define(e, value);
  Window window = lower_window(e, op, result->type);
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, window.rows * lower_chunks(e, window.cols));
  lower_load(e, &window, parts);
  acc_from_rows(e, parts, swaps_of(e, value), result);
}

static void emit_store(Emitter *e, const Op *op) {
  const Lowered *acc = lower_get(e, op->operands[0]);
  LLVMValueRef *parts = rows_of_acc(e, acc, swaps_of(e, op->operands[0]));
  Window window = lower_window(e, op, acc->type);
  lower_store(e, &window, parts);
}

static void emit_to_tile(Emitter *e, const Op *op) {
  const Lowered *acc = lower_get(e, op->operands[0]);
  LLVMValueRef *parts = rows_of_acc(e, acc, swaps_of(e, op->operands[0]));
  Lowered *result = lower_result(e, op);
  for (int i = 0; i < result->count; ++i) result->parts[i] = parts[i];
}

static void emit_from_tile(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const Lowered *tile = lower_get(e, op->operands[0]);
  Lowered *result = define(e, value);
  if (value->type.role == ROLE_ACC) acc_from_rows(e, tile->parts, swaps_of(e, value), result);
  else operand_from_tile(e, tile, value, result);
}

/* ---- product ----------------------------------------------------------------------------------------------------- */

typedef struct Product {
  const MmlaRow *row;
  Lowered *acc;
  const Lowered *a, *b;
  int group, pairs, vectors;
  LLVMValueRef *kept; /* the pairs of a, or the vectors of b, of one group */
} Product;

static LLVMValueRef take_a(Emitter *e, const Product *p, int pair, int g) {
  return lower_arm_repeat(e, part_of_a(e, p->a, pair, g, p->group));
}

/* Vectors 2 * chunk and, where it exists, the next. */
static void take_b(Emitter *e, const Product *p, int g, int chunk, LLVMValueRef vectors[2]) {
  LLVMValueRef groups = part_of_b(e, p->b, g, chunk);
  int lanes = lower_lane_count(groups), columns = columns_of(e);
  for (int i = 0; i < 2; ++i) {
    LaneSource sources[64] = {{NULL, 0}};
    for (int j = 0; j < columns && i * columns + j < lanes; ++j) sources[j] = (LaneSource){groups, i * columns + j};
    vectors[i] = lower_collect(e, e->i64, sources, columns);
  }
}

static void add_block(Emitter *e, Product *p, int pair, int v, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef *sum = &p->acc->parts[pair * p->vectors + v];
  *sum = p->row->swaps ? lower_arm_product(e, &p->row->product, *sum, b, a)
                       : lower_arm_product(e, &p->row->product, *sum, a, b);
}

static void add_by_pairs(Emitter *e, Product *p, int g) {
  for (int c = 0; c < half_up(p->vectors); ++c) take_b(e, p, g, c, p->kept + 2 * c);
  for (int pair = 0; pair < p->pairs; ++pair) {
    LLVMValueRef a = take_a(e, p, pair, g);
    for (int v = 0; v < p->vectors; ++v) add_block(e, p, pair, v, a, p->kept[v]);
  }
}

static void add_by_vectors(Emitter *e, Product *p, int g) {
  LLVMValueRef vectors[2] = {NULL, NULL};
  for (int pair = 0; pair < p->pairs; ++pair) p->kept[pair] = take_a(e, p, pair, g);
  for (int v = 0; v < p->vectors; ++v) {
    if (v % 2 == 0) take_b(e, p, g, v / 2, vectors);
    for (int pair = 0; pair < p->pairs; ++pair) add_block(e, p, pair, v, p->kept[pair], vectors[v % 2]);
  }
}

static void emit_product(Emitter *e, const Op *op) {
  const Lowered *start = lower_get(e, op->operands[0]);
  const MmaInstruction *instruction = lower_placement(e, &op->results[0])->product;
  Product p = {.row = row_of(instruction),
               .acc = define(e, &op->results[0]),
               .a = lower_get(e, op->operands[1]),
               .b = lower_get(e, op->operands[2]),
               .group = instruction->group};
  for (int i = 0; i < p.acc->count; ++i) p.acc->parts[i] = start->parts[i];
  p.pairs = half_up(p.acc->type.rows);
  p.vectors = vectors_of(e, p.acc->type.cols);
  p.kept = LOWER_ARRAY(e, LLVMValueRef, p.pairs + p.vectors + 1);
  for (int g = 0; g < p.a->type.cols / p.group; ++g) {
    if (p.pairs <= p.vectors) add_by_vectors(e, &p, g);
    else add_by_pairs(e, &p, g);
  }
}

const FragStrategy mma_mmla = {
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
