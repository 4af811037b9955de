/* host.c: the two host expressions of a kernel, evaluated for given symbols.
 *
 * Arithmetic wraps and a division out of its range gives 0, as the object's own NAME_tasks and NAME_workspace must not
 * trap either. Expressions are trees of at most TILE_MAX_HOST_OPS operations (tile_verify). */
#include "ir/tile/tile.h"

static int64_t evaluate(const Value *value, const int64_t *symbols);

static int64_t evaluate_binary(OpCode code, int64_t x, int64_t y) {
  bool divides = x >= 0 && y > 0;
  if (code == OP_index_add) return (int64_t)((uint64_t)x + (uint64_t)y);
  if (code == OP_index_sub) return (int64_t)((uint64_t)x - (uint64_t)y);
  if (code == OP_index_mul) return (int64_t)((uint64_t)x * (uint64_t)y);
  if (code == OP_index_div) return divides ? x / y : 0;
  if (code == OP_index_mod) return divides ? x % y : 0;
  if (code == OP_index_ceildiv) return divides ? x / y + (x % y != 0) : 0;
  if (code == OP_index_min) return x < y ? x : y;
  if (code == OP_index_max) return x > y ? x : y;
  if (code == OP_index_lt) return x < y;
  if (code == OP_index_le) return x <= y;
  if (code == OP_index_eq) return x == y;
  return code == OP_index_ne ? x != y : 0;
}

/* A shared value is evaluated at each use: the verifier's limit is on the tree. */
static int64_t evaluate(const Value *value, const int64_t *symbols) {
  const Op *op = value->op;
  if (!op) return 0;
  if (op->code == OP_index_const) return op->number;
  if (op->code == OP_index_symbol) return symbols[op->number];
  if (op->code == OP_index_select) return evaluate(op->operands[evaluate(op->operands[0], symbols) ? 1 : 2], symbols);
  if (op->operand_count != 2) return 0;
  return evaluate_binary(op->code, evaluate(op->operands[0], symbols), evaluate(op->operands[1], symbols));
}

int64_t tile_tasks(const Kernel *kernel, const int64_t *symbols) {
  return kernel->tasks ? evaluate(kernel->tasks, symbols) : 1;
}

int64_t tile_workspace(const Kernel *kernel, const int64_t *symbols) {
  return kernel->workspace ? evaluate(kernel->workspace, symbols) : 0;
}
