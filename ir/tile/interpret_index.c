/* interpret_index.c: index arithmetic. Results that do not fit in 64 bits are faults: what generated code does then is
 * not defined. */
#include "ir/tile/interpret.h"

static int64_t operand(const Step *step, int number) { return step->operands[number]->index; }

static void give(const Step *step, int64_t result) { step->results[0]->index = result; }

static void give_bool(const Step *step, bool result) {
  step->results[0]->elements[0] = result;
  step->results[0]->unspecified[0] = false;
}

/* After a fault the result is whatever the low bits are; nothing reads it. */
static void give_checked(Interp *interp, const Step *step, bool overflows, int64_t result) {
  give(step, result);
  if (overflows)
    interp_fault(interp, step->op, "the result of %lld and %lld does not fit in 64 bits", (long long)operand(step, 0),
                 (long long)operand(step, 1));
}

/* Rounding of negative quotients would be the question, so they are not defined at all. */
static bool divides(Interp *interp, const Step *step) {
  if (operand(step, 0) >= 0 && operand(step, 1) > 0) return true;
  interp_fault(interp, step->op, "%lld is divided by %lld, expected 0 or more by 1 or more",
               (long long)operand(step, 0), (long long)operand(step, 1));
  return false;
}

void interp_index_const(Interp *interp, const Step *step) {
  (void)interp;
  give(step, step->op->number);
}

void interp_index_symbol(Interp *interp, const Step *step) { give(step, interp->symbols[step->op->number]); }

void interp_index_add(Interp *interp, const Step *step) {
  int64_t result;
  bool overflows = __builtin_add_overflow(operand(step, 0), operand(step, 1), &result);
  give_checked(interp, step, overflows, result);
}

void interp_index_sub(Interp *interp, const Step *step) {
  int64_t result;
  bool overflows = __builtin_sub_overflow(operand(step, 0), operand(step, 1), &result);
  give_checked(interp, step, overflows, result);
}

void interp_index_mul(Interp *interp, const Step *step) {
  int64_t result;
  bool overflows = __builtin_mul_overflow(operand(step, 0), operand(step, 1), &result);
  give_checked(interp, step, overflows, result);
}

void interp_index_div(Interp *interp, const Step *step) {
  if (divides(interp, step)) give(step, operand(step, 0) / operand(step, 1));
}

void interp_index_mod(Interp *interp, const Step *step) {
  if (divides(interp, step)) give(step, operand(step, 0) % operand(step, 1));
}

void interp_index_ceildiv(Interp *interp, const Step *step) {
  if (divides(interp, step))
    give(step, operand(step, 0) / operand(step, 1) + (operand(step, 0) % operand(step, 1) != 0));
}

void interp_index_lt(Interp *interp, const Step *step) {
  (void)interp;
  give_bool(step, operand(step, 0) < operand(step, 1));
}

void interp_index_le(Interp *interp, const Step *step) {
  (void)interp;
  give_bool(step, operand(step, 0) <= operand(step, 1));
}

void interp_index_eq(Interp *interp, const Step *step) {
  (void)interp;
  give_bool(step, operand(step, 0) == operand(step, 1));
}

void interp_index_ne(Interp *interp, const Step *step) {
  (void)interp;
  give_bool(step, operand(step, 0) != operand(step, 1));
}

void interp_index_min(Interp *interp, const Step *step) {
  (void)interp;
  give(step, operand(step, 0) < operand(step, 1) ? operand(step, 0) : operand(step, 1));
}

void interp_index_max(Interp *interp, const Step *step) {
  (void)interp;
  give(step, operand(step, 0) > operand(step, 1) ? operand(step, 0) : operand(step, 1));
}

/* A condition or index that nobody knows would make the run depend on the target: a fault, unlike in a tile. */
void interp_index_select(Interp *interp, const Step *step) {
  const Slot *condition = step->operands[0];
  if (condition->unspecified[0]) interp_fault(interp, step->op, "the condition is unspecified");
  else give(step, operand(step, condition->elements[0] != 0 ? 1 : 2));
}

void interp_index_tile(Interp *interp, const Step *step) {
  const Slot *scalar = step->operands[0];
  if (scalar->unspecified[0]) interp_fault(interp, step->op, "the scalar is unspecified");
  else give(step, (int64_t)scalar->elements[0]);
}

/* The low 32 bits, as a truncation gives them. */
void interp_tile_index(Interp *interp, const Step *step) {
  (void)interp;
  Slot *result = step->results[0];
  result->elements[0] = interp_wrap(result->type.type, operand(step, 0));
  result->unspecified[0] = false;
}
