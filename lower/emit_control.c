/* emit_control.c: loops and choices.
 *
 * A loop is rotated: one test in front of it, one at its end, and a phi for each chunk of each carried value, so there
 * is nothing for a later pass to turn round. A loop with constant bounds that runs once or never is no loop. */
#include <stdio.h>

#include "lower/emit.h"
#include "lower/frag.h"

static LLVMBasicBlockRef here(const Emitter *e) { return LLVMGetInsertBlock(e->builder); }

static LLVMBasicBlockRef append(Emitter *e, const Value *named, const char *suffix) {
  char name[96];
  bool has_name = named && named->name;
  snprintf(name, sizeof name, "%s%s%s", has_name ? named->name : "", has_name ? "." : "", suffix);
  return LLVMAppendBasicBlockInContext(e->context, e->function, e->has_names ? name : "");
}

/* How many parts a value that crosses blocks has; loads that are still to be emitted have been by then. */
static int part_count(const Emitter *e, const Value *value) {
  TileType type = value->type;
  if (type.kind == KIND_INDEX) return 1;
  if (type.kind == KIND_TILE) return type.rows * lower_chunks(e, type.cols);
  const FragPlacement *placement = lower_placement(e, value);
  return placement->strategy->part_count(e, placement, type);
}

/* A phi for each part; `from` (may be NULL) comes in from `block`. */
static Lowered *define_phis(Emitter *e, const Value *value, const Lowered *from, LLVMBasicBlockRef block) {
  Lowered *phis = lower_define(e, value, part_count(e, value));
  for (int i = 0; i < phis->count; ++i) {
    phis->parts[i] = LLVMBuildPhi(e->builder, lower_part_type(e, value, i), "");
    if (from) LLVMAddIncoming(phis->parts[i], &from->parts[i], &block, 1);
  }
  return phis;
}

static void add_incoming(const Lowered *phis, const Lowered *from, LLVMBasicBlockRef block) {
  for (int i = 0; i < phis->count; ++i) LLVMAddIncoming(phis->parts[i], &from->parts[i], &block, 1);
}

/* ---- for --------------------------------------------------------------------------------------------------------- */

static bool has_loop(const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    if (op->code == OP_for) return true;
    for (int i = 0; i < op->block_count; ++i)
      if (op->blocks[i] && has_loop(op->blocks[i])) return true;
  }
  return false;
}

typedef struct Trip {
  LLVMValueRef lo, hi, step;
  bool is_known_to_run, is_never, is_once;
} Trip;

static bool is_part(const Emitter *e, const Value *value, LLVMValueRef part) {
  return lower_get(e, value)->parts[0] == part;
}

/* `for p = chunk to min(chunk + steps, end)` inside of `for chunk = … to end step steps`: runs once at least. What a
 * loop that may not run carries goes round it: a copy of each accumulator, which cost the compiler, not the kernel. */
static bool is_chunk(const Emitter *e, const Op *op, LLVMValueRef lo) {
  const Op *hi = op->operands[1]->op;
  const LoopScope *around = e->scope;
  while (around && around->index != lo) around = around->outer;
  if (!around || !hi || hi->code != OP_index_min) return false;
  for (int i = 0; i < 2; ++i) {
    const Op *sum = hi->operands[i]->op;
    if (sum && sum->code == OP_index_add && is_part(e, sum->operands[0], lo) &&
        is_part(e, sum->operands[1], around->step) && is_part(e, hi->operands[1 - i], around->hi))
      return true;
  }
  return false;
}

static Trip trip_of(const Emitter *e, const Op *op) {
  Trip trip = {lower_get(e, op->operands[0])->parts[0],
               lower_get(e, op->operands[1])->parts[0],
               lower_get(e, op->operands[2])->parts[0],
               false,
               false,
               false};
  int64_t lo, hi, step;
  if (!lower_is_integer(trip.lo, &lo) || !lower_is_integer(trip.hi, &hi)) {
    trip.is_known_to_run = is_chunk(e, op, trip.lo);
    return trip;
  }
  trip.is_known_to_run = lo < hi;
  trip.is_never = !trip.is_known_to_run;
  trip.is_once = trip.is_known_to_run && lower_is_integer(trip.step, &step) && step > 0 && step >= hi - lo;
  return trip;
}

static void alias_all(Emitter *e, Value *const *to, const Value *results, Value *const *from, int count) {
  for (int i = 0; i < count; ++i) {
    const Value *value = to ? to[i] : &results[i];
    lower_carry(e, from[i], value);
    lower_alias(e, value, lower_get(e, from[i]));
  }
}

static void carry_all(Emitter *e, const Op *op, Value *const *from) {
  for (int i = 0; i < op->result_count; ++i) lower_carry(e, from[i], &op->results[i]);
}

static void emit_once(Emitter *e, const Op *op, const Trip *trip) {
  const Block *body = op->blocks[0];
  lower_define_one(e, body->arguments[0], trip->lo, 0);
  alias_all(e, body->arguments + 1, NULL, op->operands + 3, op->result_count);
  lower_block(e, body);
  if (e->status == KILN_OK) alias_all(e, NULL, op->results, lower_yield(body)->operands, op->result_count);
}

/* Forwards `next`, the value that a loop goes on with, through an intrinsic that becomes nothing, so that LLVM's scalar
 * evolution does not see what it follows from. Addresses are already what they should be (address.c); loop strength
 * reduction would try thousands of other ways, which was a quarter to two thirds of the whole compile (bench/results/
 * jit-passes.md), and chain rows that are a stride apart by additions inside of the loop, which spilled accumulators
 * (bench/results/microkernel.md). */
static LLVMValueRef hide_step(Emitter *e, LLVMValueRef next) {
  if (LLVMGetTypeKind(LLVMTypeOf(next)) == LLVMPointerTypeKind) return lower_call_1(e, INTRINSIC_STRIP_GROUP, next);
  return lower_call_2(e, INTRINSIC_EXPECT, next, lower_i64(e, 0));
}

static void advance_inductions(Emitter *e, const LoopScope *scope, LLVMBasicBlockRef latch) {
  for (const Induction *i = scope->inductions; i != NULL; i = i->next) {
    LLVMPositionBuilderBefore(e->builder, scope->guard);
    LLVMValueRef bytes = lower_mul(e, scope->step, i->stride);
    LLVMPositionBuilderAtEnd(e->builder, latch);
    LLVMValueRef next = LLVMBuildGEP2(e->builder, e->i8, i->phi, &bytes, 1, "");
    next = hide_step(e, next);
    LLVMAddIncoming(i->phi, &next, &latch, 1);
  }
}

/* The header's phis, then the body. `before` is the block the loop is entered from. */
static void open_loop(Emitter *e, const Op *op, LoopScope *scope, LLVMBasicBlockRef before) {
  const Block *body = op->blocks[0];
  LLVMPositionBuilderAtEnd(e->builder, scope->header);
  e->scope = scope;
  e->depth = scope->depth;
  scope->index = LLVMBuildPhi(e->builder, e->i64, "");
  LLVMAddIncoming(scope->index, &scope->lo, &before, 1);
  lower_define_one(e, body->arguments[0], scope->index, scope->depth);
  for (int i = 0; i < op->result_count; ++i) {
    const Value *argument = body->arguments[1 + i];
    lower_name(e, argument, define_phis(e, argument, lower_get(e, op->operands[3 + i]), before));
  }
  lower_block(e, body);
}

static LLVMValueRef advance(Emitter *e, LLVMValueRef phi, LLVMValueRef step, LLVMBasicBlockRef latch) {
  LLVMValueRef next = hide_step(e, LLVMBuildNSWAdd(e->builder, phi, step, ""));
  LLVMAddIncoming(phi, &next, &latch, 1);
  return next;
}

static LLVMValueRef after_phis(LLVMBasicBlockRef block) {
  LLVMValueRef instruction = LLVMGetFirstInstruction(block);
  while (LLVMIsAPHINode(instruction)) instruction = LLVMGetNextInstruction(instruction);
  return instruction;
}

/* Where a counter that ends at 0 exists the index follows from it, and the end of the loop needs no register. */
static LLVMValueRef goes_on(Emitter *e, LoopScope *scope, LLVMBasicBlockRef latch) {
  if (!scope->counter)
    return LLVMBuildICmp(e->builder, LLVMIntSLT, advance(e, scope->index, scope->step, latch), scope->hi, "");
  if (LLVMGetFirstUse(scope->index)) {
    LLVMPositionBuilderBefore(e->builder, after_phis(scope->header));
    LLVMReplaceAllUsesWith(scope->index, LLVMBuildNSWAdd(e->builder, scope->counter, scope->hi, ""));
    LLVMPositionBuilderAtEnd(e->builder, latch);
    lower_line_again(e, e->line);
  }
  lower_forget_numbered(e); /* the index among them, whose address another value may get */
  LLVMInstructionEraseFromParent(scope->index);
  LLVMValueRef next = advance(e, scope->counter, scope->step, latch);
  return LLVMBuildICmp(e->builder, LLVMIntSLT, next, lower_i64(e, 0), "");
}

/* The test at the end, and what comes round. Gives the block it stands in. */
static LLVMBasicBlockRef close_loop(Emitter *e, const Op *op, LoopScope *scope, LLVMBasicBlockRef done) {
  const Op *yield = lower_yield(op->blocks[0]);
  LLVMBasicBlockRef latch = here(e);
  carry_all(e, op, yield->operands);
  for (int i = 0; i < op->result_count; ++i)
    add_incoming(lower_get(e, op->blocks[0]->arguments[1 + i]), lower_get(e, yield->operands[i]), latch);
  advance_inductions(e, scope, latch);
  LLVMBuildCondBr(e->builder, goes_on(e, scope, latch), scope->header, done);
  return latch;
}

static void emit_loop(Emitter *e, const Op *op, const Trip *trip) {
  const Block *body = op->blocks[0];
  LLVMBasicBlockRef before = here(e), header = append(e, body->arguments[0], "loop"),
                    done = append(e, body->arguments[0], "done");
  LLVMValueRef runs = LLVMBuildICmp(e->builder, LLVMIntSLT, trip->lo, trip->hi, "");
  carry_all(e, op, op->operands + 3);
  LoopScope scope = {.outer = e->scope,
                     .depth = e->depth + 1,
                     .is_innermost = !has_loop(body),
                     .header = header,
                     .lo = trip->lo,
                     .hi = trip->hi,
                     .step = trip->step};
  scope.guard =
      trip->is_known_to_run ? LLVMBuildBr(e->builder, header) : LLVMBuildCondBr(e->builder, runs, header, done);
  open_loop(e, op, &scope, before);
  LLVMBasicBlockRef latch = e->status == KILN_OK ? close_loop(e, op, &scope, done) : NULL;
  e->scope = scope.outer;
  e->depth = scope.depth - 1;
  LLVMPositionBuilderAtEnd(e->builder, done);
  if (latch == NULL) return;
  LLVMMoveBasicBlockAfter(done, latch);
  for (int i = 0; i < op->result_count; ++i) {
    const Lowered *initial = trip->is_known_to_run ? NULL : lower_get(e, op->operands[3 + i]);
    Lowered *result = define_phis(e, &op->results[i], initial, before);
    add_incoming(result, lower_get(e, lower_yield(body)->operands[i]), latch);
  }
}

void emit_for(Emitter *e, const Op *op) {
  Trip trip = trip_of(e, op);
  if (trip.is_never) alias_all(e, NULL, op->results, op->operands + 3, op->result_count);
  else if (trip.is_once) emit_once(e, op, &trip);
  else emit_loop(e, op, &trip);
}

/* ---- if ---------------------------------------------------------------------------------------------------------- */

int64_t lower_least(const Emitter *e, LLVMValueRef value) {
  int64_t least = INT64_MIN;
  for (const Fact *fact = e->facts; fact; fact = fact->outer)
    if (fact->value == value && fact->least > least) least = fact->least;
  return least;
}

/* What the other side of `if x <= 7` may rely on; false: nothing. */
static bool fact_of_else(const Emitter *e, const Op *op, Fact *fact) {
  const Op *compare = op->operands[0]->op;
  if (compare == NULL || (compare->code != OP_index_le && compare->code != OP_index_lt)) return false;
  int64_t number;
  if (!lower_is_integer(lower_get(e, compare->operands[1])->parts[0], &number) || number == INT64_MAX) return false;
  *fact = (Fact){e->facts, lower_get(e, compare->operands[0])->parts[0], number + (compare->code == OP_index_le)};
  return true;
}

/* One side; gives the block it ends in. */
static LLVMBasicBlockRef emit_side(Emitter *e, const Op *op, const Block *block, LLVMBasicBlockRef start,
                                   LLVMBasicBlockRef done) {
  LLVMPositionBuilderAtEnd(e->builder, start);
  lower_block(e, block);
  if (e->status == KILN_OK && op->result_count > 0) carry_all(e, op, lower_yield(block)->operands);
  LLVMBuildBr(e->builder, done);
  return here(e);
}

static void emit_choice(Emitter *e, const Op *op, LLVMValueRef condition) {
  const Block *sides[2] = {op->blocks[0], op->block_count > 1 ? op->blocks[1] : NULL};
  LLVMBasicBlockRef starts[2] = {append(e, op->operands[0], "then"), NULL}, ends[2] = {NULL, NULL};
  if (sides[1]) starts[1] = append(e, op->operands[0], "else");
  LLVMBasicBlockRef done = append(e, op->operands[0], "end");
  LLVMBuildCondBr(e->builder, condition, starts[0], sides[1] ? starts[1] : done);
  Fact fact;
  const Fact *around = e->facts;
  bool has_fact = fact_of_else(e, op, &fact);
  for (int i = 0; i < 2 && e->status == KILN_OK; ++i) {
    e->facts = i == 1 && has_fact ? &fact : around;
    if (sides[i]) ends[i] = emit_side(e, op, sides[i], starts[i], done);
  }
  e->facts = around;
  if (e->status != KILN_OK) return;
  LLVMMoveBasicBlockAfter(done, here(e));
  LLVMPositionBuilderAtEnd(e->builder, done);
  for (int i = 0; i < op->result_count; ++i) {
    Lowered *result = define_phis(e, &op->results[i], lower_get(e, lower_yield(sides[0])->operands[i]), ends[0]);
    add_incoming(result, lower_get(e, lower_yield(sides[1])->operands[i]), ends[1]);
  }
}

void emit_if(Emitter *e, const Op *op) {
  LLVMValueRef condition = lower_get(e, op->operands[0])->parts[0];
  if (LLVMIsAConstantInt(condition) == NULL) {
    emit_choice(e, op, condition);
    return;
  }
  const Block *side = LLVMConstIntGetZExtValue(condition) ? op->blocks[0] : op->block_count > 1 ? op->blocks[1] : NULL;
  if (side == NULL) return;
  lower_block(e, side);
  if (e->status == KILN_OK) alias_all(e, NULL, op->results, lower_yield(side)->operands, op->result_count);
}

/* What a block yields is taken by the operation it belongs to. */
void emit_yield(Emitter *e, const Op *op) { (void)e, (void)op; }
