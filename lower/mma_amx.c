/* mma_amx.c: strategy `amx`: products of tile registers, 16 rows of 64 bytes each.
 *
 * An accumulator is kept in the registers amx_plan.c gave it, 16 x 16 elements each, row after row, and has no parts.
 * An operand is loaded into registers where the product uses it, straight from memory where its layout allows (`a` with
 * rows a constant distance apart, `b` in panels of the instruction's group), else from vectors through stack memory:
 * its parts then are the chunks of a tile for `a`, and of groups for `b`. Tiles leave and come through stack memory as
 * well, accumulators that are stored whole go to their place at once. */
#include "lower/amx.h"

static const Intrinsic calls[MMA_ROW_COUNT] = {
    [MMA_ROW_tdpbf16ps] = INTRINSIC_TDPBF16PS,     [MMA_ROW_tdpfp16ps] = INTRINSIC_TDPFP16PS,
    [MMA_ROW_tdpbssd] = INTRINSIC_TDPBSSD,         [MMA_ROW_tdpbsud] = INTRINSIC_TDPBSUD,
    [MMA_ROW_tdpbusd] = INTRINSIC_TDPBUSD,         [MMA_ROW_tdpbuud] = INTRINSIC_TDPBUUD,
    [MMA_ROW_tdpbf8ps] = INTRINSIC_TDPBF8PS,       [MMA_ROW_tdpbhf8ps] = INTRINSIC_TDPBHF8PS,
    [MMA_ROW_tdphbf8ps] = INTRINSIC_TDPHBF8PS,     [MMA_ROW_tdphf8ps] = INTRINSIC_TDPHF8PS,
    [MMA_ROW_tmmultf32ps] = INTRINSIC_TMMULTF32PS,
};

static int part_count(const Emitter *e, const FragPlacement *placement, TileType type) {
  int chunks = lower_chunks(e, type.cols);
  if (type.role == ROLE_ACC) return 0;
  return (type.role == ROLE_A ? type.rows : type.rows / placement->instruction->group) * chunks;
}

static LLVMTypeRef part_type(const Emitter *e, const FragPlacement *placement, TileType type, int part) {
  (void)placement, (void)part;
  return lower_lanes_of(type.role == ROLE_A ? lower_element(e, type.type) : e->i32, e->lanes);
}

static bool is_same_place(const MmaInstruction *x, const MmaInstruction *y, FragRole role) {
  return role == ROLE_ACC || x->group == y->group;
}

/* ---- registers --------------------------------------------------------------------------------------------------- */

static int tile_rows(TileType acc) { return (acc.rows + AMX_ROWS - 1) / AMX_ROWS; }
static int tile_cols(TileType acc) { return acc.cols / AMX_ROWS; }

static void zero_registers(Emitter *e, const Value *acc) {
  for (int i = 0; i < tile_rows(acc->type) * tile_cols(acc->type); ++i) {
    LLVMValueRef number = LLVMConstInt(e->i8, (unsigned)(e->amx->registers[acc->id] + i), false);
    lower_call(e, INTRINSIC_TILE_ZERO, NULL, NULL, &number, 1);
  }
}

/* All registers from or to a matrix in memory. */
static void move_registers(Emitter *e, Intrinsic id, const Value *acc, LLVMValueRef pointer, LLVMValueRef stride) {
  int cols = tile_cols(acc->type);
  for (int i = 0; i < tile_rows(acc->type) * cols; ++i) {
    LLVMValueRef offset = lower_mul(e, stride, lower_i64(e, (int64_t)(i / cols) * AMX_ROWS));
    LLVMValueRef row = LLVMBuildGEP2(e->builder, e->i8, pointer, &offset, 1, "");
    lower_amx_move(e, id, e->amx->registers[acc->id] + i, lower_amx_at(e, row, (int64_t)(i % cols) * AMX_ROW_BYTES),
                   stride);
  }
}

static void carry(Emitter *e, const Value *from, const Value *to) {
  if (to->type.role == ROLE_ACC && lower_amx_is_zero(from)) zero_registers(e, to);
}

/* ---- accumulators and tiles -------------------------------------------------------------------------------------- */

static LLVMValueRef make_copy(Emitter *e, LLVMValueRef const *parts, int count, int64_t part_bytes) {
  LLVMValueRef copy = lower_alloca(e, e->i8, count * part_bytes, 64);
  for (int i = 0; i < count; ++i) lower_amx_store_vector(e, parts[i], lower_amx_at(e, copy, i * part_bytes));
  return copy;
}

static int64_t row_bytes(TileType acc) { return (int64_t)acc.cols * 4; }

/* As the chunks of a tile, in memory only for a moment. */
static LLVMValueRef *read_parts(Emitter *e, const Value *acc) {
  int count = acc->type.rows * lower_chunks(e, acc->type.cols);
  LLVMTypeRef type = lower_lanes_of(lower_element(e, acc->type.type), e->lanes);
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, count);
  if (lower_amx_is_zero(acc)) {
    for (int i = 0; i < count; ++i) parts[i] = LLVMConstNull(type);
    return parts;
  }
  LLVMValueRef copy = lower_alloca(e, e->i8, acc->type.rows * row_bytes(acc->type), 64);
  move_registers(e, INTRINSIC_TILE_STORE, acc, copy, lower_i64(e, row_bytes(acc->type)));
  for (int i = 0; i < count; ++i) {
    parts[i] = LLVMBuildLoad2(e->builder, type, lower_amx_at(e, copy, (int64_t)i * AMX_ROW_BYTES), "");
    LLVMSetAlignment(parts[i], 64);
  }
  return parts;
}

static void write_parts(Emitter *e, const Value *acc, LLVMValueRef const *parts) {
  LLVMValueRef copy = make_copy(e, parts, acc->type.rows * lower_chunks(e, acc->type.cols), AMX_ROW_BYTES);
  lower_define(e, acc, 0);
  move_registers(e, INTRINSIC_TILE_LOAD, acc, copy, lower_i64(e, row_bytes(acc->type)));
}

static void emit_zero(Emitter *e, const Op *op) { lower_define(e, &op->results[0], 0); }

static void emit_to_tile(Emitter *e, const Op *op) {
  Lowered *tile = lower_result(e, op);
  LLVMValueRef *parts = read_parts(e, op->operands[0]);
  for (int i = 0; i < tile->count; ++i) tile->parts[i] = parts[i];
}

static void emit_from_tile(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const Lowered *tile = lower_get(e, op->operands[0]);
  if (value->type.role == ROLE_ACC) {
    write_parts(e, value, tile->parts);
  } else if (value->type.role == ROLE_A) {
    lower_alias(e, value, tile);
  } else {
    const FragPlacement *placement = lower_placement(e, value);
    Lowered *result = lower_define(e, value, part_count(e, placement, value->type));
    lower_groups_of_tile(e, tile, value->type, placement->instruction->group, result->parts);
  }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void load_operand(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  const FragPlacement *placement = lower_placement(e, value);
  struct PendingLoad *pending = ARENA_NEW(e->arena, struct PendingLoad);
  *pending = (struct PendingLoad){.window = lower_window(e, op, value->type), .value = value, .placement = placement};
  bool is_a = value->type.role == ROLE_A;
  pending->is_streamed = op->number != 0;
  pending->rows = pending->window.row_bound;
  if (placement->loads_at_use && lower_amx_is_direct(e, pending)) {
    if (is_a) lower_window_repeat_last_row(e, &pending->window);
    lower_define(e, value, 0)->pending = pending;
    return;
  }
  Lowered *result = lower_define(e, value, part_count(e, placement, value->type));
  if (is_a) lower_load(e, &pending->window, result->parts);
  else lower_load_groups_of_b(e, pending, result->parts);
}

/* The condition for moving registers from or to their place as they are; *stride NULL: its layout does not allow it. */
static LLVMValueRef can_move_whole(Emitter *e, Window *window, LLVMValueRef *stride) {
  const Address *address = &window->address;
  bool is_direct = lower_address_is_contiguous(&address->cols, 0, window->cols);
  LLVMValueRef distance = is_direct ? lower_address_distance(e, &address->rows, 0, window->rows) : NULL;
  *stride = distance ? lower_mul(e, distance, lower_i64(e, 4)) : NULL;
  return lower_amx_both(e, lower_is_below(e, window->row_bound, window->rows - 1),
                        lower_is_below(e, window->col_bound, window->cols - 1));
}

/* By way of vectors and stack memory. */
static void load_parts(Emitter *e, const Value *acc, Window *window) {
  LLVMValueRef *parts = LOWER_ARRAY(e, LLVMValueRef, acc->type.rows * lower_chunks(e, acc->type.cols));
  lower_load(e, window, parts);
  write_parts(e, acc, parts);
}

static void load_accumulator(Emitter *e, const Value *acc, Window *window) {
  LLVMValueRef stride, is_whole = can_move_whole(e, window, &stride);
  if (!stride) {
    load_parts(e, acc, window);
    return;
  }
  LLVMValueRef pointer = lower_address_pointer(e, &window->address, 0, 0);
  AmxWays ways = {NULL, NULL};
  if (is_whole) ways = lower_amx_open(e, is_whole);
  lower_define(e, acc, 0);
  move_registers(e, INTRINSIC_TILE_LOAD, acc, pointer, stride);
  if (!is_whole) return;
  lower_amx_turn(e, ways);
  Window bounded = lower_window_fork(e, window);
  load_parts(e, acc, &bounded);
  lower_amx_close(e, ways);
}

static void emit_load(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  if (value->type.role != ROLE_ACC) {
    load_operand(e, op);
    return;
  }
  Window window = lower_window(e, op, value->type);
  load_accumulator(e, value, &window);
}

static void emit_store(Emitter *e, const Op *op) {
  const Value *acc = op->operands[0];
  Window window = lower_window(e, op, acc->type);
  LLVMValueRef stride, is_whole = can_move_whole(e, &window, &stride);
  if (!stride || lower_amx_is_zero(acc)) {
    lower_store(e, &window, read_parts(e, acc));
    return;
  }
  LLVMValueRef pointer = lower_address_pointer(e, &window.address, 0, 0);
  AmxWays ways = {NULL, NULL};
  if (is_whole) ways = lower_amx_open(e, is_whole);
  move_registers(e, INTRINSIC_TILE_STORE, acc, pointer, stride);
  if (!is_whole) return;
  lower_amx_turn(e, ways);
  Window bounded = lower_window_fork(e, &window);
  lower_store(e, &bounded, read_parts(e, acc));
  lower_amx_close(e, ways);
}

/* ---- product ----------------------------------------------------------------------------------------------------- */

/* The operands' registers, and which tile each holds: in units of registers, -1 for none. */
typedef struct Product {
  const MmaInstruction *instruction;
  const Value *acc;
  AmxOperand a, b;
  int held_a[AMX_REGISTERS], held_b[AMX_REGISTERS];
  int first_b, count_a, count_b; /* registers of whole tiles: of `a` from plan->whole on, of `b` */
} Product;

static AmxOperand operand_of(Emitter *e, const Lowered *x) {
  if (x->pending) return (AmxOperand){x, NULL};
  int64_t bytes = x->type.role == ROLE_A ? e->lanes * (int64_t)type_bits(x->type.type) / 8 : AMX_ROW_BYTES;
  return (AmxOperand){x, make_copy(e, x->parts, x->count, bytes)};
}

/* The register for row `row` of `a`: of its own where it is cut, else one of those for whole tiles. */
static int register_of_a(const Emitter *e, const Product *p, int row) {
  const AmxPlan *plan = e->amx;
  AmxRows rows = lower_amx_rows(plan->bounds[p->acc->id], p->acc->type.rows, row);
  for (int i = plan->accumulators; i < plan->whole; ++i)
    if (lower_amx_is_same(plan->rows[i], rows)) return i;
  return plan->whole + row % p->count_a;
}

static void load_a(Emitter *e, Product *p, int row, int step) {
  int number = register_of_a(e, p, row);
  if (p->held_a[number] == row) return;
  p->held_a[number] = row;
  lower_amx_load_a(e, p->a, p->instruction, e->amx->bounds[p->acc->id], row, step, number);
}

static void load_b(Emitter *e, Product *p, int col, int step) {
  int number = p->first_b + col % p->count_b;
  if (p->held_b[number] == col) return;
  p->held_b[number] = col;
  lower_amx_load_b(e, p->b, p->instruction, step, col, number);
}

static void multiply(Emitter *e, const Product *p, int row, int col) {
  int numbers[] = {e->amx->registers[p->acc->id] + row * tile_cols(p->acc->type) + col, register_of_a(e, p, row),
                   p->first_b + col % p->count_b};
  LLVMValueRef arguments[3];
  for (int i = 0; i < 3; ++i) arguments[i] = LLVMConstInt(e->i8, (unsigned)numbers[i], false);
  lower_call(e, calls[mma_row(p->instruction)], NULL, NULL, arguments, 3);
}

/* One step of k. Tiles of the operand with fewer of them stay, if there are registers for it, and the others pass: each
 * is loaded once. The first product waits for two loads only. */
static void add_step(Emitter *e, Product *p, int step) {
  int rows = tile_rows(p->acc->type), cols = tile_cols(p->acc->type);
  bool by_rows = p->count_b >= cols;
  for (int i = 0; i < AMX_REGISTERS; ++i) p->held_a[i] = p->held_b[i] = -1;
  for (int i = 0; i < rows * cols; ++i) {
    int row = by_rows ? i / cols : i % rows, col = by_rows ? i % cols : i / rows;
    load_a(e, p, row, step);
    load_b(e, p, col, step);
    multiply(e, p, row, col);
  }
}

static int smaller(int x, int y) { return x < y ? x : y; }

/* Registers for whole tiles go to `a` and `b`: all of one operand if they suffice, the rest to the other. */
static void share_registers(const Emitter *e, Product *p) {
  int rows = tile_rows(p->acc->type), cols = tile_cols(p->acc->type), free = AMX_REGISTERS - e->amx->whole, whole = 0;
  for (int i = 0; i < rows; ++i) {
    AmxRows cut = lower_amx_rows(e->amx->bounds[p->acc->id], p->acc->type.rows, i);
    whole += cut.bound == NULL && cut.count == AMX_ROWS;
  }
  p->count_a = whole <= cols ? smaller(whole, free - 1) : smaller(whole, free - smaller(cols, free - 1));
  p->count_b = smaller(cols, free - p->count_a);
  p->first_b = e->amx->whole + p->count_a;
  if (p->count_a == 0) p->count_a = 1; /* no whole tile asks for it */
}

static void emit_product(Emitter *e, const Op *op) {
  const Value *acc = &op->results[0];
  Product p = {.instruction = lower_placement(e, acc)->product,
               .acc = acc,
               .a = operand_of(e, lower_get(e, op->operands[1])),
               .b = operand_of(e, lower_get(e, op->operands[2]))};
  lower_define(e, acc, 0);
  if (lower_amx_is_zero(op->operands[0])) zero_registers(e, acc);
  share_registers(e, &p);
  for (int step = 0; step < op->operands[1]->type.cols / p.instruction->k; ++step) add_step(e, &p, step);
}

/* ---- configuration ----------------------------------------------------------------------------------------------- */

/* Palette 1 has 8 registers; bytes of a row of each from offset 16 on in 16 bits, rows from 48 on (SDM volume 1, 18.3).
 */
enum { CONFIG_BYTES = 64, CONFIG_COLUMNS = 16, CONFIG_ROWS = 48 };

static LLVMValueRef config_constant(Emitter *e) {
  LLVMValueRef bytes[CONFIG_BYTES];
  for (int i = 0; i < CONFIG_BYTES; ++i) bytes[i] = LLVMConstNull(e->i8);
  bytes[0] = LLVMConstInt(e->i8, 1, false);
  for (int i = 0; i < AMX_REGISTERS; ++i) {
    bytes[CONFIG_COLUMNS + 2 * i] = LLVMConstInt(e->i8, AMX_ROW_BYTES, false);
    bytes[CONFIG_ROWS + i] = LLVMConstInt(e->i8, (unsigned)e->amx->rows[i].count, false);
  }
  LLVMValueRef constant = LLVMConstArray2(e->i8, bytes, CONFIG_BYTES);
  LLVMValueRef global = LLVMAddGlobal(e->module, LLVMTypeOf(constant), "kiln.tiles");
  LLVMSetInitializer(global, constant);
  LLVMSetGlobalConstant(global, true);
  LLVMSetLinkage(global, LLVMPrivateLinkage);
  LLVMSetAlignment(global, 64);
  return global;
}

/* An index that is defined further down, where it will be computed once more. */
static LLVMValueRef compute_index(Emitter *e, const Value *index) {
  if (!e->values[index->id]) {
    for (int i = 0; i < index->op->operand_count; ++i) compute_index(e, index->op->operands[i]);
    lower_operation(e, index->op);
  }
  return lower_get(e, index)->parts[0];
}

void lower_amx_begin(Emitter *e) {
  LLVMValueRef config = config_constant(e), copy = NULL;
  for (int i = 0; i < AMX_REGISTERS; ++i) {
    AmxRows rows = e->amx->rows[i];
    if (!rows.bound) continue;
    if (!copy) {
      copy = lower_alloca(e, e->i8, CONFIG_BYTES, 64);
      LLVMBuildMemCpy(e->builder, copy, 64, config, 64, lower_i64(e, CONFIG_BYTES));
    }
    LLVMValueRef left = lower_sub(e, compute_index(e, rows.bound), lower_i64(e, rows.first));
    LLVMValueRef count = lower_max(e, lower_min(e, left, lower_i64(e, rows.count)), lower_i64(e, 1));
    LLVMBuildStore(e->builder, LLVMBuildTrunc(e->builder, count, e->i8, ""), lower_amx_at(e, copy, CONFIG_ROWS + i));
  }
  if (copy) config = copy;
  lower_call(e, INTRINSIC_TILE_CONFIG, NULL, NULL, &config, 1);
}

void lower_amx_end(Emitter *e) { lower_call(e, INTRINSIC_TILE_RELEASE, NULL, NULL, NULL, 0); }

const FragStrategy mma_amx = {
    .part_count = part_count,
    .part_type = part_type,
    .is_same_place = is_same_place,
    .zero = emit_zero,
    .load = emit_load,
    .store = emit_store,
    .to_tile = emit_to_tile,
    .from_tile = emit_from_tile,
    .mma = emit_product,
    .carry = carry,
};
