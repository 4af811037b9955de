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

/* From where the operand lies. */
static void load_direct(Emitter *e, const Lowered *x, int number, LLVMValueRef pointer, LLVMValueRef stride) {
  lower_amx_move(e, x->pending->is_streamed ? INTRINSIC_TILE_STREAM : INTRINSIC_TILE_LOAD, number, pointer, stride);
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

/* ---- copies of tails --------------------------------------------------------------------------------------------- */

static void store_row(Emitter *e, LLVMValueRef row, LLVMValueRef value, LLVMValueRef tail) {
  LLVMValueRef offset = lower_mul(e, row, lower_i64(e, AMX_ROW_BYTES));
  lower_amx_store_vector(e, value, LLVMBuildGEP2(e->builder, e->i8, tail, &offset, 1, ""));
}

/* 0 … most. */
static LLVMValueRef clamp(Emitter *e, LLVMValueRef x, int most) {
  return lower_max(e, lower_min(e, x, lower_i64(e, most)), lower_i64(e, 0));
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

/* The first lanes, `count` of them. */
static LLVMValueRef first_lanes(Emitter *e, LLVMValueRef count, int lanes) {
  LLVMValueRef numbers[AMX_ROW_BYTES];
  for (int i = 0; i < lanes; ++i) numbers[i] = LLVMConstInt(e->i8, (unsigned)i, false);
  LLVMValueRef limit = lower_splat(e, LLVMBuildTrunc(e->builder, count, e->i8, ""), lanes);
  return LLVMBuildICmp(e->builder, LLVMIntULT, LLVMConstVector(numbers, (unsigned)lanes), limit, "");
}

/* Rows of 64 bytes, elements past the bound along k as zeros. `pointer` is that of the first row, and rows past the
 * window's last are read there. */
static void copy_tail_of_a(Emitter *e, Window *window, int first, int rows, int col, LLVMValueRef pointer,
                           LLVMValueRef stride) {
  int lanes = steps_of_row(window->type);
  LLVMValueRef mask = NULL, last = lower_i64(e, rows - 1);
  if (window->col_bound.value)
    mask = first_lanes(e, clamp(e, lower_sub(e, window->col_bound.value, lower_i64(e, (int64_t)col * lanes)), lanes),
                       lanes);
  if (window->address.last_row) last = clamp(e, lower_sub(e, window->address.last_row, lower_i64(e, first)), rows - 1);
  Counting loop = lower_count(e);
  LLVMValueRef offset = lower_mul(e, lower_min(e, loop.index, last), stride);
  LLVMValueRef from = LLVMBuildGEP2(e->builder, e->i8, pointer, &offset, 1, "");
  LLVMValueRef value = mask ? lower_load_masked(e, window, from, mask) : lower_load_from(e, window, from, lanes);
  store_row(e, loop.index, value, tail_of(e, ROLE_A));
  lower_count_to(e, loop, lower_i64(e, rows), NULL);
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
    load_direct(e, a, number, pointer, stride);
    return;
  }
  AmxWays ways = lower_amx_open(e, is_whole);
  load_direct(e, a, number, pointer, stride);
  lower_amx_turn(e, ways);
  copy_tail_of_a(e, window, first, rows, col, pointer, stride);
  load(e, number, tail_of(e, ROLE_A), lower_i64(e, AMX_ROW_BYTES));
  lower_amx_close(e, ways);
}

/* ---- b ----------------------------------------------------------------------------------------------------------- */

/* 16 groups of 16 columns from element `first` of k on, elements past the bound as zeros; what is left of the last
 * group is padding of the panel, groups behind it may be outside of the buffer. */
static void copy_tail_of_b(Emitter *e, const Window *window, int first, int group, LLVMValueRef pointer,
                           LLVMValueRef stride) {
  int64_t bits = (int64_t)type_bits(window->type);
  LLVMValueRef left = lower_sub(e, window->row_bound.value, lower_i64(e, first));
  Counting loop = lower_count(e);
  LLVMValueRef valid = lower_sub(e, left, lower_mul(e, loop.index, lower_i64(e, group)));
  LLVMValueRef offset = lower_mul(e, loop.index, stride);
  LLVMValueRef from = LLVMBuildGEP2(e->builder, e->i8, pointer, &offset, 1, "");
  LLVMValueRef is_inside = LLVMBuildICmp(e->builder, LLVMIntSGT, valid, lower_i64(e, 0), "");
  from = lower_pointer_if(e, is_inside, from, lower_zeros(e));
  LLVMValueRef value = LLVMBuildLoad2(e->builder, lower_lanes_of(e->i32, AMX_ROWS), from, "");
  LLVMSetAlignment(value, (unsigned)bits / 8);
  LLVMValueRef kept = lower_mul(e, lower_max(e, clamp(e, valid, group), lower_i64(e, 1)), lower_i64(e, bits));
  LLVMValueRef mask = LLVMBuildLShr(e->builder, lower_i64(e, -1), lower_sub(e, lower_i64(e, 64), kept), "");
  mask = lower_splat(e, LLVMBuildTrunc(e->builder, mask, e->i32, ""), AMX_ROWS);
  store_row(e, loop.index, LLVMBuildAnd(e->builder, value, mask, ""), tail_of(e, ROLE_B));
  lower_count_to(e, loop, lower_i64(e, AMX_ROWS), NULL);
}

/* Whether the groups of a column lie a constant distance apart. */
static bool is_direct_b(const Emitter *e, const struct PendingLoad *b) {
  int group = lower_group_of(b->placement->instruction, ROLE_B);
  const AddressAxis *rows = &b->window.address.rows;
  bool are_groups = group == 1 ? rows->block == 0 && b->window.address.cols.block > 0 : rows->block == group;
  return are_groups && !rows->index && lower_has_groups_of_b(e, &b->window, group);
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
    load_direct(e, b, number, pointer, stride);
    return;
  }
  AmxWays ways = lower_amx_open(e, is_whole);
  load_direct(e, b, number, pointer, stride);
  lower_amx_turn(e, ways);
  copy_tail_of_b(e, window, row * instruction->k, instruction->group, pointer, stride);
  load(e, number, tail_of(e, ROLE_B), lower_i64(e, AMX_ROW_BYTES));
  lower_amx_close(e, ways);
}
