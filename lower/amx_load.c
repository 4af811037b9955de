/* amx_load.c: operands into tile registers: from where they lie, rows a constant distance apart; past a bound along k,
 * and of rows past a bound that the registers do not end with, through stack memory, with zeros or the last row in
 * place of what must not be read; from vectors, through stack memory too. */
#include "lower/amx.h"

LLVMValueRef lower_amx_at(Emitter *e, LLVMValueRef pointer, int64_t bytes) {
  LLVMValueRef offset = lower_i64(e, bytes);
  return bytes == 0 ? pointer : LLVMBuildGEP2(e->builder, e->i8, pointer, &offset, 1, "");
}

void lower_amx_move(Emitter *e, Intrinsic id, int number, LLVMValueRef pointer, LLVMValueRef stride) {
  LLVMValueRef arguments[] = {LLVMConstInt(e->i8, (unsigned)number, false), pointer, stride};
  lower_call(e, id, NULL, NULL, arguments, 3);
}

static void load(Emitter *e, int number, LLVMValueRef pointer, LLVMValueRef stride) {
  lower_amx_move(e, INTRINSIC_TILE_LOAD, number, pointer, stride);
}

void lower_amx_store_vector(Emitter *e, LLVMValueRef value, LLVMValueRef pointer) {
  LLVMSetAlignment(LLVMBuildStore(e->builder, value, pointer), 16);
}

/* Stack memory for one register of an operand that cannot be loaded from where it lies. */
static LLVMValueRef tail_of(Emitter *e, FragRole role) {
  LLVMValueRef *tail = &e->amx->tails[role];
  if (!*tail) *tail = lower_alloca(e, e->i8, AMX_TILE_BYTES, 64);
  return *tail;
}

/* ---- two ways ---------------------------------------------------------------------------------------------------- */

LLVMValueRef lower_amx_both(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  return !x || !y ? (x ? x : y) : LLVMBuildAnd(e->builder, x, y, "");
}

static LLVMBasicBlockRef insert_block(Emitter *e, LLVMBasicBlockRef next, const char *name) {
  if (!e->has_names) name = "";
  return next ? LLVMInsertBasicBlockInContext(e->context, next, name)
              : LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

AmxWays lower_amx_open(Emitter *e, LLVMValueRef condition) {
  LLVMBasicBlockRef next = LLVMGetNextBasicBlock(LLVMGetInsertBlock(e->builder));
  LLVMBasicBlockRef whole = insert_block(e, next, "tile.whole");
  AmxWays ways = {insert_block(e, next, "tile.tail"), insert_block(e, next, "tile.done")};
  LLVMBuildCondBr(e->builder, condition, whole, ways.other);
  LLVMPositionBuilderAtEnd(e->builder, whole);
  return ways;
}

void lower_amx_turn(Emitter *e, AmxWays ways) {
  LLVMBuildBr(e->builder, ways.done);
  LLVMPositionBuilderAtEnd(e->builder, ways.other);
}

void lower_amx_close(Emitter *e, AmxWays ways) {
  LLVMBuildBr(e->builder, ways.done);
  LLVMPositionBuilderAtEnd(e->builder, ways.done);
}

/* ---- a ----------------------------------------------------------------------------------------------------------- */

static int64_t element_bytes(kiln_type type) { return type_bits(type) / 8; }

/* A row of a register of `a` is `step` elements. */
static int steps_of_row(kiln_type type) { return AMX_ROW_BYTES / (int)element_bytes(type); }

static LLVMValueRef stride_of_a(Emitter *e, const Lowered *a, int row, int rows) {
  const Address *address = &a->pending->window.address;
  LLVMValueRef distance = lower_address_distance(e, &address->rows, row, rows);
  return distance ? lower_mul(e, distance, lower_i64(e, element_bytes(a->type.type))) : NULL;
}

static void load_tail_of_a(Emitter *e, const Lowered *a, int first, int rows, int step, int number) {
  Window window = lower_window_fork(e, &a->pending->window);
  LLVMValueRef tail = tail_of(e, ROLE_A);
  int chunks = steps_of_row(a->type.type) / e->lanes;
  int64_t chunk_bytes = AMX_ROW_BYTES / chunks;
  for (int i = 0; i < rows * chunks; ++i) {
    LLVMValueRef value = lower_load_chunk(e, &window, first + i / chunks, step * chunks + i % chunks);
    lower_amx_store_vector(e, value, lower_amx_at(e, tail, i / chunks * AMX_ROW_BYTES + i % chunks * chunk_bytes));
  }
  load(e, number, tail, lower_i64(e, AMX_ROW_BYTES));
}

/* Whether rows of whole registers lie one piece each and a constant distance apart. */
static bool is_direct_a(Emitter *e, const struct PendingLoad *a) {
  const Address *address = &a->window.address;
  int rows = a->window.rows, cols = a->window.cols, step = steps_of_row(a->value->type.type);
  bool is_direct = lower_window_is_direct(e, &a->window);
  for (int col = 0; col < cols; col += step) is_direct &= lower_address_is_contiguous(&address->cols, col, step);
  for (int row = 0; row < rows; row += AMX_ROWS) {
    int count = rows - row < AMX_ROWS ? rows - row : AMX_ROWS;
    is_direct &= lower_address_distance(e, &address->rows, row, count) != NULL;
  }
  return is_direct;
}

void lower_amx_load_a(Emitter *e, AmxOperand operand, const MmaInstruction *instruction, const Value *bound, int row,
                      int col, int number) {
  const Lowered *a = operand.x;
  kiln_type type = a->type.type;
  int first = row * AMX_ROWS, rows = lower_amx_rows(NULL, a->type.rows, row).count;
  if (operand.copy) {
    int64_t stride = a->type.cols * element_bytes(type);
    load(e, number, lower_amx_at(e, operand.copy, first * stride + (int64_t)col * AMX_ROW_BYTES), lower_i64(e, stride));
    return;
  }
  Window *window = &a->pending->window;
  Bound cut = bound ? (Bound){0} : a->pending->rows; /* the register ends with the bound, else it has all rows */
  LLVMValueRef pointer = lower_address_pointer(e, &window->address, first, col * instruction->k);
  LLVMValueRef stride = stride_of_a(e, a, first, rows);
  LLVMValueRef is_whole = lower_amx_both(e, lower_is_below(e, cut, first + rows - 1),
                                         lower_is_below(e, window->col_bound, (col + 1) * instruction->k - 1));
  if (!is_whole) {
    load(e, number, pointer, stride);
    return;
  }
  AmxWays ways = lower_amx_open(e, is_whole);
  load(e, number, pointer, stride);
  lower_amx_turn(e, ways);
  load_tail_of_a(e, a, first, rows, col, number);
  lower_amx_close(e, ways);
}

/* ---- b ----------------------------------------------------------------------------------------------------------- */

static void load_tail_of_b(Emitter *e, const Lowered *b, int first, int chunk, int number) {
  struct PendingLoad pending = *b->pending;
  LLVMValueRef tail = tail_of(e, ROLE_B);
  pending.window = lower_window_fork(e, &b->pending->window);
  for (int g = 0; g < AMX_ROWS; ++g)
    lower_amx_store_vector(e, lower_load_group_of_b(e, &pending, first + g, chunk),
                           lower_amx_at(e, tail, (int64_t)g * AMX_ROW_BYTES));
  load(e, number, tail, lower_i64(e, AMX_ROW_BYTES));
}

/* Whether the groups of a column lie a constant distance apart. */
static bool is_direct_b(const Emitter *e, const struct PendingLoad *b) {
  int group = lower_group_of(b->placement->instruction, ROLE_B);
  const AddressAxis *rows = &b->window.address.rows;
  return rows->block == group && !rows->index && lower_has_groups_of_b(e, &b->window, group);
}

bool lower_amx_is_direct(Emitter *e, const struct PendingLoad *operand) {
  return operand->value->type.role == ROLE_A ? is_direct_a(e, operand) : is_direct_b(e, operand);
}

void lower_amx_load_b(Emitter *e, AmxOperand operand, const MmaInstruction *instruction, int row, int col, int number) {
  const Lowered *b = operand.x;
  if (operand.copy) {
    int64_t stride = (int64_t)(b->type.cols / AMX_ROWS) * AMX_ROW_BYTES;
    load(e, number, lower_amx_at(e, operand.copy, row * AMX_ROWS * stride + (int64_t)col * AMX_ROW_BYTES),
         lower_i64(e, stride));
    return;
  }
  Window *window = &b->pending->window;
  const AddressAxis *axis = &window->address.rows;
  LLVMValueRef distance = axis->stride ? axis->stride : lower_i64(e, axis->number); /* of blocks, which are groups */
  LLVMValueRef stride = lower_mul(e, distance, lower_i64(e, element_bytes(b->type.type)));
  LLVMValueRef pointer = lower_address_pointer(e, &window->address, row * instruction->k, col * AMX_ROWS);
  LLVMValueRef is_whole = lower_is_below(e, window->row_bound, (row + 1) * instruction->k - 1);
  if (!is_whole) {
    load(e, number, pointer, stride);
    return;
  }
  AmxWays ways = lower_amx_open(e, is_whole);
  load(e, number, pointer, stride);
  lower_amx_turn(e, ways);
  load_tail_of_b(e, b, row * AMX_ROWS, col, number);
  lower_amx_close(e, ways);
}
