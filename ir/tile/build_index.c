/* build_index.c: index arithmetic of the builder, simplified where that is free: constants fold and neutral elements
 * vanish.
 *
 * Assumes what the operations promise (divisions see no negative numbers), and leaves alone what would overflow or
 * divide by zero, so that such a fault stays visible. Comparisons are kept: there is no constant condition to fold them
 * to. */
#include "ir/tile/tile.h"

static bool is_number(const Value *value) { return value->op && value->op->code == OP_index_const; }

static bool is_exactly(const Value *value, int64_t number) { return is_number(value) && value->op->number == number; }

/* Literals are made anew at each use, so equal ones need not be the same value. */
static bool same_index(const Value *x, const Value *y) {
  if (x == y) return true;
  if (!x->op || !y->op || x->op->code != y->op->code) return false;
  return (x->op->code == OP_index_const || x->op->code == OP_index_symbol) && x->op->number == y->op->number;
}

static Value *literal(Builder *b, OpCode code, int64_t number) {
  Op *op = op_create(b, code, 0, 1, 0);
  op->number = number;
  op->results[0].type = type_index();
  return &op->results[0];
}

Value *build_number(Builder *b, int64_t number) { return literal(b, OP_index_const, number); }

Value *build_symbol(Builder *b, int symbol) { return literal(b, OP_index_symbol, symbol); }

Value *build_extent(Builder *b, Extent extent) {
  KILN_ASSERT(extent.symbol != EXTENT_UNKNOWN);
  return extent.symbol == EXTENT_NUMBER ? build_number(b, extent.number) : build_symbol(b, extent.symbol);
}

/* The result for two numbers; false where it is not an index. */
static bool fold_numbers(OpCode code, int64_t x, int64_t y, int64_t *result) {
  bool divides = x >= 0 && y > 0;
  if (code == OP_index_add) return !__builtin_add_overflow(x, y, result);
  if (code == OP_index_sub) return !__builtin_sub_overflow(x, y, result);
  if (code == OP_index_mul) return !__builtin_mul_overflow(x, y, result);
  if (code == OP_index_min || code == OP_index_max) {
    *result = (code == OP_index_min) == (x < y) ? x : y;
    return true;
  }
  if (!divides) return false;
  if (code == OP_index_div) *result = x / y;
  else if (code == OP_index_mod) *result = x % y;
  else if (code == OP_index_ceildiv) *result = x / y + (x % y != 0);
  else return false;
  return true;
}

/* An operand that is the result already; NULL: none. */
static Value *simplify(OpCode code, Value *x, Value *y) {
  if (code == OP_index_add) return is_exactly(y, 0) ? x : is_exactly(x, 0) ? y : NULL;
  if (code == OP_index_sub) return is_exactly(y, 0) ? x : NULL;
  if (code == OP_index_mul) {
    if (is_exactly(y, 1) || is_exactly(x, 0)) return x;
    return is_exactly(x, 1) || is_exactly(y, 0) ? y : NULL;
  }
  if (code == OP_index_div || code == OP_index_ceildiv) return is_exactly(y, 1) ? x : NULL;
  if (code == OP_index_min || code == OP_index_max) return same_index(x, y) ? x : NULL;
  return NULL;
}

Value *build_index(Builder *b, OpCode code, Value *x, Value *y) {
  int64_t folded;
  if (is_number(x) && is_number(y) && fold_numbers(code, x->op->number, y->op->number, &folded))
    return build_number(b, folded);
  if ((code == OP_index_sub && same_index(x, y)) || (code == OP_index_mod && is_exactly(y, 1)))
    return build_number(b, 0);
  Value *operand = simplify(code, x, y);
  return operand ? operand : build_binary(b, code, x, y);
}

Value *build_index_select(Builder *b, Value *condition, Value *x, Value *y) {
  return same_index(x, y) ? x : build_ternary(b, OP_index_select, condition, x, y);
}

Value *build_add(Builder *b, Value *x, Value *y) { return build_index(b, OP_index_add, x, y); }
Value *build_sub(Builder *b, Value *x, Value *y) { return build_index(b, OP_index_sub, x, y); }
Value *build_mul(Builder *b, Value *x, Value *y) { return build_index(b, OP_index_mul, x, y); }
Value *build_min(Builder *b, Value *x, Value *y) { return build_index(b, OP_index_min, x, y); }
Value *build_ceildiv(Builder *b, Value *x, Value *y) { return build_index(b, OP_index_ceildiv, x, y); }
