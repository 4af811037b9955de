/* verify_control.c: for, if, yield, and index arithmetic. */
#include <stdio.h>

#include "ir/tile/verify.h"

/* ---- control ----------------------------------------------------------------------------------------------------- */

/* A block must end in a yield of the types its operation gives. */
static void check_yield(Verifier *v, const Op *op, const Block *block) {
  const Op *yield = block->last;
  if (!yield || yield->code != OP_yield) {
    verify_fault(v, op, "a block of '%s' must end in 'yield'", verify_name(op));
    return;
  }
  if (yield->operand_count != op->result_count) {
    verify_fault(v, yield, "expected a yield of %d value%s, as '%s' gives, found %d", op->result_count,
                 op->result_count == 1 ? "" : "s", verify_name(op), yield->operand_count);
    return;
  }
  for (int i = 0; i < op->result_count; i++) {
    char what[32];
    snprintf(what, sizeof what, "value %d", i + 1);
    if (yield->operands[i]) verify_same(v, yield, op->results[i].type, yield->operands[i]->type, what);
  }
}

/* Memory must be known where it is accessed: an access through one of two buffers could not be checked or aliased. */
static void check_result_kinds(Verifier *v, const Op *op) {
  for (int i = 0; i < op->result_count; i++) {
    if (op->results[i].type.kind == KIND_BUF)
      verify_fault(v, op, "value %d of '%s' is a buffer: expected an index, tile or fragment", i + 1, verify_name(op));
  }
}

void verify_for(Verifier *v, const Op *op) {
  static const char *const names[] = {"the lower bound", "the upper bound", "the step"};
  for (int i = 0; i < 3; i++) verify_kind(v, op, KIND_INDEX, op->operands[i]->type, names[i]);
  const Op *step = op->operands[2]->op;
  if (step && step->code == OP_index_const && step->number <= 0)
    verify_fault(v, op, "the step of 'for' must be positive, found %lld", (long long)step->number);
  const Block *body = op->blocks[0];
  int carried = op->operand_count - 3;
  if (op->result_count != carried || body->argument_count != 1 + carried) {
    verify_fault(v, op,
                 "'for' carries %d value%s, so it must give as many and its block take one more, found %d and %d",
                 carried, carried == 1 ? "" : "s", op->result_count, body->argument_count);
    return;
  }
  verify_same(v, op, type_index(), body->arguments[0]->type, "the loop's index");
  for (int i = 0; i < carried; i++) {
    verify_same(v, op, op->operands[3 + i]->type, body->arguments[1 + i]->type, "an argument of the block");
    verify_same(v, op, op->operands[3 + i]->type, op->results[i].type, "a result");
  }
  check_result_kinds(v, op);
  check_yield(v, op, body);
}

void verify_if(Verifier *v, const Op *op) {
  verify_same(v, op, type_scalar(KILN_BOOL), op->operands[0]->type, "the condition");
  if (op->result_count > 0 && !op->blocks[1])
    verify_fault(v, op, "'if' gives %d value%s, so it needs an 'else'", op->result_count,
                 op->result_count == 1 ? "" : "s");
  check_result_kinds(v, op);
  for (int i = 0; i < 2; i++) {
    if (!op->blocks[i]) continue;
    if (op->blocks[i]->argument_count != 0)
      verify_fault(v, op, "a block of 'if' takes no arguments, found %d", op->blocks[i]->argument_count);
    check_yield(v, op, op->blocks[i]);
  }
}

/* What it yields is checked by the operation it belongs to. */
void verify_yield(Verifier *v, const Op *op) {
  if (!op->block->parent) verify_fault(v, op, "'yield' must stand in a block of 'for' or 'if'");
  else if (op->next) verify_fault(v, op, "'yield' must end its block");
}

/* ---- index arithmetic -------------------------------------------------------------------------------------------- */

/* The rows whose types say all. */
#define VERIFIED_BY_TYPES(name)                                                                                        \
  void verify_##name(Verifier *v, const Op *op) { (void)v, (void)op; }
VERIFIED_BY_TYPES(index_const)
VERIFIED_BY_TYPES(index_add)
VERIFIED_BY_TYPES(index_sub)
VERIFIED_BY_TYPES(index_mul)
VERIFIED_BY_TYPES(index_lt)
VERIFIED_BY_TYPES(index_le)
VERIFIED_BY_TYPES(index_eq)
VERIFIED_BY_TYPES(index_ne)
VERIFIED_BY_TYPES(index_min)
VERIFIED_BY_TYPES(index_max)
VERIFIED_BY_TYPES(index_select)
VERIFIED_BY_TYPES(index_tile)
#undef VERIFIED_BY_TYPES

void verify_index_symbol(Verifier *v, const Op *op) {
  if (op->number < 0 || (size_t)op->number >= v->kernel->symbols.count)
    verify_fault(v, op, "an operand is symbol %lld, but the kernel has %zu", (long long)op->number,
                 v->kernel->symbols.count);
}

static void check_divisor(Verifier *v, const Op *op) {
  const Op *divisor = op->operands[1]->op;
  if (divisor && divisor->code == OP_index_const && divisor->number <= 0)
    verify_fault(v, op, "the divisor of '%s' must be positive, found %lld", verify_name(op),
                 (long long)divisor->number);
}

void verify_index_div(Verifier *v, const Op *op) { check_divisor(v, op); }
void verify_index_mod(Verifier *v, const Op *op) { check_divisor(v, op); }
void verify_index_ceildiv(Verifier *v, const Op *op) { check_divisor(v, op); }
