/* emit_index.c: index arithmetic, each value computed in the outermost place it does not vary in.
 *
 * That is loop-invariant code motion at no cost: an expression knows the depth of the loop it varies with, and is
 * emitted in front of the loop inside of that. Divisions move only where the divisor is a constant, since they may
 * trap. */
#include <string.h>

#include "lower/emit.h"

/* ---- places ------------------------------------------------------------------------------------------------------ */

Spot lower_here(const Emitter *e) { return (Spot){LLVMGetInsertBlock(e->builder), e->before, e->depth}; }

Spot lower_go(Emitter *e, int depth) {
  Spot back = lower_here(e);
  if (depth >= e->depth) return back;
  const LoopScope *scope = e->scope;
  while (scope->depth > depth + 1) scope = scope->outer;
  e->before = scope->guard;
  e->depth = depth;
  LLVMPositionBuilderBefore(e->builder, scope->guard);
  return back;
}

void lower_back(Emitter *e, Spot back) {
  e->before = back.before;
  e->depth = back.depth;
  if (back.before) LLVMPositionBuilderBefore(e->builder, back.before);
  else LLVMPositionBuilderAtEnd(e->builder, back.block);
  lower_line_again(e, e->line); /* the builder takes that of where it stood */
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static bool is_exactly(LLVMValueRef x, int64_t number) {
  int64_t found;
  return lower_is_integer(x, &found) && found == number;
}

static LLVMValueRef build(Emitter *e, const Numbered *wanted) {
  LLVMOpcode code = wanted->code;
  LLVMValueRef x = wanted->x, y = wanted->y;
  if (code == LLVMGetElementPtr) return LLVMBuildGEP2(e->builder, wanted->element, x, &y, 1, "");
  if (!e->is_query && code == LLVMAdd) return LLVMBuildNSWAdd(e->builder, x, y, "");
  if (!e->is_query && code == LLVMSub) return LLVMBuildNSWSub(e->builder, x, y, "");
  if (!e->is_query && code == LLVMMul) return LLVMBuildNSWMul(e->builder, x, y, "");
  return LLVMBuildBinOp(e->builder, code, x, y, "");
}

/* Where values of this kind are remembered, the latest first. None is ever given up for another: hashes are of
 * addresses, which differ from run to run, and code must not. */
static Numbered **bucket(Emitter *e, const Numbered *wanted) {
  static const uint64_t spread = 0x9e3779b97f4a7c15; /* 2^64 over the golden ratio */
  enum { HIGH_BITS = 32 };
  uint64_t x = (uintptr_t)wanted->x, y = (uintptr_t)wanted->y, hash = (x * spread + y + wanted->code) * spread;
  return &e->numbered[(hash >> HIGH_BITS) % LOWER_NUMBERED];
}

/* NULL: it is not there. */
static LLVMValueRef find_numbered(Emitter *e, const Numbered *wanted) {
  LLVMBasicBlockRef block = LLVMGetInsertBlock(e->builder);
  for (const Numbered *entry = *bucket(e, wanted); entry; entry = entry->next) {
    bool is_same = entry->code == wanted->code && entry->checked == wanted->checked &&
                   entry->element == wanted->element && entry->x == wanted->x && entry->y == wanted->y;
    if (is_same && LLVMGetInstructionParent(entry->result) == block) return entry->result;
  }
  return NULL;
}

static LLVMValueRef remember(Emitter *e, Numbered made, LLVMValueRef result) {
  if (!LLVMIsAInstruction(result)) return result;
  Numbered **latest = bucket(e, &made), *kept = ARENA_NEW(e->arena, Numbered);
  *kept = made;
  kept->result = result;
  kept->next = *latest;
  *latest = kept;
  return result;
}

/* The same value from the block at hand, where it is there already: what accesses of one kind agree in is found to be
 * equal, so that one pointer can go with a loop for all of them. */
static LLVMValueRef numbered(Emitter *e, LLVMOpcode code, LLVMTypeRef element, LLVMValueRef x, LLVMValueRef y) {
  const Numbered wanted = {.code = code, .checked = OP_COUNT, .element = element, .x = x, .y = y};
  LLVMValueRef found = find_numbered(e, &wanted);
  return found ? found : remember(e, wanted, build(e, &wanted));
}

void lower_forget_numbered(Emitter *e) { memset(e->numbered, 0, sizeof e->numbered); }

LLVMValueRef lower_step(Emitter *e, LLVMTypeRef element, LLVMValueRef pointer, LLVMValueRef count) {
  return numbered(e, LLVMGetElementPtr, element, pointer, count);
}

LLVMValueRef lower_add(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  if (is_exactly(x, 0)) return y;
  if (is_exactly(y, 0)) return x;
  return numbered(e, LLVMAdd, NULL, x, y);
}

LLVMValueRef lower_sub(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  if (is_exactly(y, 0)) return x;
  return numbered(e, LLVMSub, NULL, x, y);
}

LLVMValueRef lower_mul(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  if (is_exactly(x, 1) || is_exactly(y, 0)) return y;
  if (is_exactly(y, 1) || is_exactly(x, 0)) return x;
  return numbered(e, LLVMMul, NULL, x, y);
}

LLVMValueRef lower_div(Emitter *e, LLVMValueRef x, int64_t y) {
  return y == 1 ? x : numbered(e, LLVMUDiv, NULL, x, lower_i64(e, y));
}

LLVMValueRef lower_mod(Emitter *e, LLVMValueRef x, int64_t y) {
  return y == 1 ? lower_i64(e, 0) : numbered(e, LLVMURem, NULL, x, lower_i64(e, y));
}

/* Calls of intrinsics do not fold by themselves. */
static LLVMValueRef extreme(Emitter *e, Intrinsic id, bool larger, LLVMValueRef x, LLVMValueRef y) {
  int64_t a, b;
  if (lower_is_integer(x, &a) && lower_is_integer(y, &b)) return (a > b) == larger ? x : y;
  return x == y ? x : lower_call_2(e, id, x, y);
}

LLVMValueRef lower_min(Emitter *e, LLVMValueRef x, LLVMValueRef y) { return extreme(e, INTRINSIC_SMIN, false, x, y); }
LLVMValueRef lower_max(Emitter *e, LLVMValueRef x, LLVMValueRef y) { return extreme(e, INTRINSIC_SMAX, true, x, y); }

LLVMValueRef lower_extent(const Emitter *e, Extent extent) {
  if (extent.symbol == EXTENT_UNKNOWN) return NULL;
  return extent.symbol == EXTENT_NUMBER ? lower_i64(e, extent.number) : e->symbols[extent.symbol];
}

/* ---- divisibility ------------------------------------------------------------------------------------------------ */

int64_t lower_common_divisor(int64_t a, int64_t b) {
  if (a == INT64_MAX) return b;
  if (b == INT64_MAX) return a;
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static int64_t divisor_of(const Value *index, int patience);

/* Of an argument of a loop's body: its index is lo plus a number of steps. */
static int64_t divisor_of_argument(const Value *index, int patience) {
  const Op *loop = index->block ? index->block->parent : NULL;
  if (loop == NULL || loop->code != OP_for || index->number != 0) return 1;
  return lower_common_divisor(divisor_of(loop->operands[0], patience), divisor_of(loop->operands[2], patience));
}

static int64_t divisor_of(const Value *index, int patience) {
  const Op *op = index->op;
  if (patience == 0) return 1;
  if (op == NULL) return divisor_of_argument(index, patience - 1);
  if (op->code == OP_index_const) {
    if (op->number == 0) return INT64_MAX;
    return op->number == INT64_MIN ? 1 : op->number < 0 ? -op->number : op->number;
  }
  bool selects = op->code == OP_index_select;
  bool combines = selects || op->code == OP_index_add || op->code == OP_index_sub || op->code == OP_index_min ||
                  op->code == OP_index_max;
  if (!combines && op->code != OP_index_mul) return 1;
  int64_t x = divisor_of(op->operands[selects ? 1 : 0], patience - 1);
  int64_t y = divisor_of(op->operands[selects ? 2 : 1], patience - 1);
  if (combines) return lower_common_divisor(x, y);
  int64_t product;
  return __builtin_mul_overflow(x, y, &product) ? (x > y ? x : y) : product;
}

int64_t lower_divisor(const Value *index) { return divisor_of(index, 8); }

/* ---- operations -------------------------------------------------------------------------------------------------- */

void emit_index_const(Emitter *e, const Op *op) { lower_define_one(e, &op->results[0], lower_i64(e, op->number), 0); }

void emit_index_symbol(Emitter *e, const Op *op) { lower_define_one(e, &op->results[0], e->symbols[op->number], 0); }

/* The depth a value of these operands has, and its place. */
static int depth_of(const Emitter *e, const Op *op) {
  int depth = 0;
  for (int i = 0; i < op->operand_count; ++i) {
    int operand = lower_get(e, op->operands[i])->depth;
    if (operand > depth) depth = operand;
  }
  return depth;
}

typedef LLVMValueRef IndexFunction(Emitter *e, LLVMValueRef x, LLVMValueRef y);

static void emit_at(Emitter *e, const Op *op, IndexFunction *function, int depth) {
  Spot back = lower_go(e, depth);
  LLVMValueRef x = lower_get(e, op->operands[0])->parts[0], y = lower_get(e, op->operands[1])->parts[0];
  lower_define_one(e, &op->results[0], function(e, x, y), depth);
  lower_back(e, back);
}

static void emit_binary(Emitter *e, const Op *op, IndexFunction *function) {
  emit_at(e, op, function, depth_of(e, op));
}

static void emit_division(Emitter *e, const Op *op, IndexFunction *function) {
  int64_t divisor;
  bool is_constant = lower_is_integer(lower_get(e, op->operands[1])->parts[0], &divisor) && divisor > 0;
  emit_at(e, op, function, is_constant ? depth_of(e, op) : e->depth);
}

void emit_index_add(Emitter *e, const Op *op) { emit_binary(e, op, lower_add); }
void emit_index_sub(Emitter *e, const Op *op) { emit_binary(e, op, lower_sub); }
void emit_index_mul(Emitter *e, const Op *op) { emit_binary(e, op, lower_mul); }
void emit_index_min(Emitter *e, const Op *op) { emit_binary(e, op, lower_min); }
void emit_index_max(Emitter *e, const Op *op) { emit_binary(e, op, lower_max); }

/* A kernel's divisions are in range (tile.h); those of its queries see any sizes, must not trap, and give 0 then. */
static LLVMValueRef divide_checked(Emitter *e, OpCode code, LLVMValueRef x, LLVMValueRef y) {
  bool is_up = code == OP_index_ceildiv;
  LLVMOpcode opcode = code == OP_index_mod ? LLVMURem : LLVMUDiv;
  const Numbered wanted = {.code = opcode, .checked = code, .x = x, .y = y};
  LLVMValueRef found = find_numbered(e, &wanted), zero = lower_i64(e, 0), one = lower_i64(e, 1);
  if (found) return found;
  LLVMIntPredicate in_range =
      is_up ? LLVMIntSGT : LLVMIntSGE; /* of the dividend: rounded up it is one less, plus one */
  LLVMValueRef is_defined = LLVMBuildICmp(e->builder, in_range, x, zero, ""), divisor = y;
  int64_t number;
  if (!lower_is_integer(y, &number) || number <= 0) {
    LLVMValueRef is_positive = LLVMBuildICmp(e->builder, LLVMIntSGT, y, zero, "");
    divisor = LLVMBuildSelect(e->builder, is_positive, y, one, "");
    is_defined = LLVMBuildAnd(e->builder, is_defined, is_positive, "");
  }
  LLVMValueRef dividend = is_up ? lower_sub(e, x, one) : x, result = numbered(e, opcode, NULL, dividend, divisor);
  if (is_up) result = lower_add(e, result, one);
  return remember(e, wanted, LLVMBuildSelect(e->builder, is_defined, result, zero, ""));
}

static LLVMValueRef divide(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  if (e->is_query) return divide_checked(e, OP_index_div, x, y);
  return is_exactly(y, 1) ? x : numbered(e, LLVMUDiv, NULL, x, y);
}

static LLVMValueRef rest(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  if (e->is_query) return divide_checked(e, OP_index_mod, x, y);
  return is_exactly(y, 1) ? lower_i64(e, 0) : numbered(e, LLVMURem, NULL, x, y);
}

static LLVMValueRef divide_up(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  if (e->is_query) return divide_checked(e, OP_index_ceildiv, x, y);
  return is_exactly(y, 1) ? x : divide(e, lower_add(e, x, lower_sub(e, y, lower_i64(e, 1))), y);
}

void emit_index_div(Emitter *e, const Op *op) { emit_division(e, op, divide); }
void emit_index_mod(Emitter *e, const Op *op) { emit_division(e, op, rest); }
void emit_index_ceildiv(Emitter *e, const Op *op) { emit_division(e, op, divide_up); }

static void emit_comparison(Emitter *e, const Op *op, LLVMIntPredicate predicate) {
  int depth = depth_of(e, op);
  Spot back = lower_go(e, depth);
  LLVMValueRef x = lower_get(e, op->operands[0])->parts[0], y = lower_get(e, op->operands[1])->parts[0];
  lower_define_one(e, &op->results[0], LLVMBuildICmp(e->builder, predicate, x, y, ""), depth);
  lower_back(e, back);
}

void emit_index_lt(Emitter *e, const Op *op) { emit_comparison(e, op, LLVMIntSLT); }
void emit_index_le(Emitter *e, const Op *op) { emit_comparison(e, op, LLVMIntSLE); }
void emit_index_eq(Emitter *e, const Op *op) { emit_comparison(e, op, LLVMIntEQ); }
void emit_index_ne(Emitter *e, const Op *op) { emit_comparison(e, op, LLVMIntNE); }

void emit_index_select(Emitter *e, const Op *op) {
  int depth = depth_of(e, op);
  Spot back = lower_go(e, depth);
  LLVMValueRef condition = lower_get(e, op->operands[0])->parts[0];
  LLVMValueRef x = lower_get(e, op->operands[1])->parts[0], y = lower_get(e, op->operands[2])->parts[0];
  lower_define_one(e, &op->results[0], LLVMBuildSelect(e->builder, condition, x, y, ""), depth);
  lower_back(e, back);
}

void emit_index_tile(Emitter *e, const Op *op) {
  const Lowered *scalar = lower_get(e, op->operands[0]);
  Spot back = lower_go(e, scalar->depth);
  LLVMValueRef index = LLVMBuildSExt(e->builder, scalar->parts[0], e->i64, "");
  lower_define_one(e, &op->results[0], index, scalar->depth);
  lower_back(e, back);
}

void emit_tile_index(Emitter *e, const Op *op) {
  const Lowered *index = lower_get(e, op->operands[0]);
  Spot back = lower_go(e, index->depth);
  LLVMValueRef scalar = LLVMBuildTrunc(e->builder, index->parts[0], e->i32, "");
  lower_define_one(e, &op->results[0], scalar, index->depth);
  lower_back(e, back);
}
