/* verify_tile.c: operations on tiles. That shapes broadcast and types agree has been checked by op_infer where the
 * result follows; here is which elements an operation is for, and how a stated result must relate to the operands. */
#include "ir/tile/verify.h"

/* ---- elements ---------------------------------------------------------------------------------------------------- */

typedef enum Elements {
  ELEMENTS_NUMBERS, /* floats, and integers but for nibbles, which are stored and converted only */
  ELEMENTS_FLOATS,
  ELEMENTS_BITS,  /* integers but for nibbles, bool */
  ELEMENTS_WHOLE, /* all but nibbles */
} Elements;

static bool is_among(kiln_type type, Elements elements) {
  if (type_bits(type) < 8) return false;
  switch (elements) {
  case ELEMENTS_NUMBERS: return type != KILN_BOOL;
  case ELEMENTS_FLOATS: return type_is_floating(type);
  case ELEMENTS_BITS: return !type_is_floating(type);
  case ELEMENTS_WHOLE: return true;
  }
  return false;
}

static bool check_elements(Verifier *v, const Op *op, TileType type, Elements elements) {
  static const char *const words[] = {[ELEMENTS_NUMBERS] = "floats or integers of 8 bits or more",
                                      [ELEMENTS_FLOATS] = "floats",
                                      [ELEMENTS_BITS] = "integers of 8 bits or more, or bool",
                                      [ELEMENTS_WHOLE] = "elements of 8 bits or more"};
  if (is_among(type.type, elements)) return true;
  verify_fault(v, op, "'%s' is for %s, found %s", verify_name(op), words[elements], verify_type_text(v, type));
  return false;
}

/* The rows for which the class of elements is all there is to add. */
#define VERIFIED_BY_ELEMENTS(name, elements)                                                                           \
  void verify_##name(Verifier *v, const Op *op) { check_elements(v, op, op->operands[0]->type, elements); }
VERIFIED_BY_ELEMENTS(tile_neg, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_abs, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_round, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_sqrt, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_rsqrt, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_exp, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_log, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_tanh, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_erf, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_add, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_sub, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_mul, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_div, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_min, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_max, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_and, ELEMENTS_BITS)
VERIFIED_BY_ELEMENTS(tile_or, ELEMENTS_BITS)
VERIFIED_BY_ELEMENTS(tile_xor, ELEMENTS_BITS)
VERIFIED_BY_ELEMENTS(tile_lt, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_le, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_eq, ELEMENTS_WHOLE)
VERIFIED_BY_ELEMENTS(tile_ne, ELEMENTS_WHOLE)
VERIFIED_BY_ELEMENTS(tile_fma, ELEMENTS_FLOATS)
VERIFIED_BY_ELEMENTS(tile_row_sum, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_row_max, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_col_sum, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_col_max, ELEMENTS_NUMBERS)
VERIFIED_BY_ELEMENTS(tile_transpose, ELEMENTS_WHOLE)
#undef VERIFIED_BY_ELEMENTS

void verify_tile_select(Verifier *v, const Op *op) { check_elements(v, op, op->results[0].type, ELEMENTS_WHOLE); }

/* ---- made from nothing ------------------------------------------------------------------------------------------- */

static bool check_tile_result(Verifier *v, const Op *op) {
  return verify_kind(v, op, KIND_TILE, op->results[0].type, "the result");
}

/* Floats round; an integer that the type does not hold would be a surprise. */
void verify_tile_const(Verifier *v, const Op *op) {
  TileType type = op->results[0].type;
  if (!check_tile_result(v, op) || type_is_floating(type.type) || type_round(type.type, op->real) == op->real) return;
  Text number;
  text_init(&number, &v->arena.allocator);
  text_add_number(&number, op->real);
  verify_fault(v, op, "'tile_const' of %s cannot be %s", verify_type_text(v, type), text_get(&number));
  text_release(&number);
}

void verify_tile_iota(Verifier *v, const Op *op) {
  TileType type = op->results[0].type;
  if (check_tile_result(v, op) && (type.type != KILN_I32 || (type.rows != 1 && type.cols != 1)))
    verify_fault(v, op, "'tile_iota' is a row or column of i32, found %s", verify_type_text(v, type));
}

void verify_tile_index(Verifier *v, const Op *op) {
  verify_kind(v, op, KIND_INDEX, op->operands[0]->type, "the operand");
  verify_same(v, op, type_scalar(KILN_I32), op->results[0].type, "the result");
}

/* ---- one tile to another ----------------------------------------------------------------------------------------- */

/* Both are tiles. */
static bool check_tiles(Verifier *v, const Op *op) {
  for (int i = 0; i < op->operand_count; i++) {
    if (!verify_kind(v, op, KIND_TILE, op->operands[i]->type, op->operand_count > 1 ? "an operand" : "the operand"))
      return false;
  }
  return check_tile_result(v, op);
}

static void fault_result(Verifier *v, const Op *op, const char *rule) {
  Text text;
  text_init(&text, &v->arena.allocator);
  for (int i = 0; i < op->operand_count; i++) {
    text_add(&text, i ? " and " : "");
    tile_print_type(v->kernel, op->operands[i]->type, &text);
  }
  verify_fault(v, op, "'%s' cannot make %s from %s: %s", verify_name(op), verify_type_text(v, op->results[0].type),
               text_get(&text), rule);
  text_release(&text);
}

void verify_tile_broadcast(Verifier *v, const Op *op) {
  TileType from = op->operands[0]->type, to = op->results[0].type;
  if (!check_tiles(v, op) || !check_elements(v, op, from, ELEMENTS_WHOLE)) return;
  if (from.type != to.type) fault_result(v, op, "the element type must be the same");
  else if ((from.rows != 1 && from.rows != to.rows) || (from.cols != 1 && from.cols != to.cols))
    fault_result(v, op, "rows and columns must be 1 or the same");
}

void verify_tile_convert(Verifier *v, const Op *op) {
  TileType from = op->operands[0]->type, to = op->results[0].type;
  if (check_tiles(v, op) && (from.rows != to.rows || from.cols != to.cols))
    fault_result(v, op, "the shape must be the same");
}

void verify_tile_slice(Verifier *v, const Op *op) {
  TileType from = op->operands[0]->type, to = op->results[0].type;
  if (!check_tiles(v, op)) return;
  if (from.type != to.type) fault_result(v, op, "the element type must be the same");
  else if (op->number < 0 || op->column < 0 || op->number > from.rows - to.rows || op->column > from.cols - to.cols)
    verify_fault(v, op, "'tile_slice' from [%lld, %lld] of %s reaches past %s", (long long)op->number,
                 (long long)op->column, verify_type_text(v, to), verify_type_text(v, from));
}

/* Side by side along one axis, of equal extent along the other. */
static void check_concat(Verifier *v, const Op *op, bool is_rows) {
  if (!check_tiles(v, op)) return;
  TileType x = op->operands[0]->type, y = op->operands[1]->type, to = op->results[0].type;
  TileType expected = is_rows ? type_tile(x.rows + y.rows, x.cols, x.type) : type_tile(x.rows, x.cols + y.cols, x.type);
  if (x.type != y.type) fault_result(v, op, "the element types must be the same");
  else if (is_rows ? x.cols != y.cols : x.rows != y.rows)
    fault_result(v, op, is_rows ? "the columns must be as many" : "the rows must be as many");
  else verify_same(v, op, expected, to, "the result");
}

void verify_tile_concat_rows(Verifier *v, const Op *op) { check_concat(v, op, true); }
void verify_tile_concat_cols(Verifier *v, const Op *op) { check_concat(v, op, false); }

static bool is_byte(kiln_type type) { return type == KILN_I8 || type == KILN_U8; }

static void check_nibbles(Verifier *v, const Op *op) {
  TileType from = op->operands[0]->type, to = op->results[0].type;
  if (!check_tiles(v, op)) return;
  if (!is_byte(from.type) || !is_byte(to.type)) fault_result(v, op, "both must be of i8 or u8");
  else if (from.rows != to.rows || from.cols != to.cols) fault_result(v, op, "the shape must be the same");
}

void verify_tile_low_nibble(Verifier *v, const Op *op) { check_nibbles(v, op); }
void verify_tile_high_nibble(Verifier *v, const Op *op) { check_nibbles(v, op); }

/* As many of each operand to an element of the sum as 32 bits hold. */
void verify_tile_dot(Verifier *v, const Op *op) {
  if (!check_tiles(v, op)) return;
  TileType sum = op->operands[0]->type, x = op->operands[1]->type, y = op->operands[2]->type;
  bool are_bytes = sum.type == KILN_I32 && is_byte(x.type) && is_byte(y.type);
  bool are_pairs = sum.type == KILN_F32 && x.type == KILN_BF16 && y.type == KILN_BF16;
  int group = are_bytes ? 4 : 2;
  if (!are_bytes && !are_pairs)
    fault_result(v, op, "the sum must be of i32 and the others of i8 or u8, or it of f32 and they of bf16");
  else if (x.rows != sum.rows || y.rows != sum.rows || x.cols != group * sum.cols || y.cols != x.cols)
    fault_result(v, op, "the others must have its rows, and four times its columns of bytes, twice of bf16");
}

/* A power of two lets every target take the index modulo the table's size with a mask. */
void verify_tile_lookup(Verifier *v, const Op *op) {
  if (!check_tiles(v, op)) return;
  TileType table = op->operands[0]->type, index = op->operands[1]->type, to = op->results[0].type;
  if (table.rows != 1 || (table.cols & (table.cols - 1)) != 0)
    fault_result(v, op, "the table must be one row of a power of two");
  else if (!type_is_integer(index.type)) fault_result(v, op, "the index must be of integers");
  else verify_same(v, op, type_tile(index.rows, index.cols, table.type), to, "the result");
}
