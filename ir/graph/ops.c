/* ops.c: the table of operators and the words of the language. */
#include <string.h>

#include "ir/graph/build.h"

static const GraphOpInfo op_rows[] = {
#define GRAPH_OP(enumerator, spelling, form, min_operands, max_operands, meaning)                                      \
  {spelling, FORM_##form, min_operands, max_operands, meaning},
#include "kiln/ops.def"
#undef GRAPH_OP
};

const GraphOpInfo *graph_op_info(kiln_op op) {
  KILN_ASSERT((size_t)op < ARRAY_LENGTH(op_rows));
  return &op_rows[op];
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool is_same(const char *word, const char *name, size_t length) {
  return strlen(word) == length && memcmp(word, name, length) == 0;
}

/* Spelled as a word and applied to operands. */
static bool is_function_row(const GraphOpInfo *row) { return is_letter(row->spelling[0]) && row->max_operands > 0; }

int graph_op_level(kiln_op op) {
  const GraphOpInfo *row = graph_op_info(op);
  if (row->max_operands == 0 || is_function_row(row)) return LEVEL_ATOM;
  if (row->form == FORM_TRANSPOSE) return LEVEL_POSTFIX;
  if (row->form == FORM_COMPARE) return LEVEL_COMPARE;
  return op == KILN_OP_ADD || op == KILN_OP_SUB ? LEVEL_SUM : LEVEL_PRODUCT;
}

bool graph_operator_find(const char *spelling, size_t length, kiln_op *op) {
  for (size_t i = 0; i < ARRAY_LENGTH(op_rows); i++) {
    if (graph_op_level((kiln_op)i) >= LEVEL_POSTFIX || !is_same(op_rows[i].spelling, spelling, length)) continue;
    *op = (kiln_op)i;
    return true;
  }
  return false;
}

bool graph_is_function(const char *name, size_t length) {
  for (size_t i = 0; i < ARRAY_LENGTH(op_rows); i++)
    if (is_function_row(&op_rows[i]) && is_same(op_rows[i].spelling, name, length)) return true;
  return false;
}

/* `max` is two rows, told apart by the number of operands. */
bool graph_function_find(const char *name, size_t length, int operands, kiln_op *op, int *least, int *most) {
  *least = GRAPH_MAX_OPERANDS;
  *most = 0;
  for (size_t i = 0; i < ARRAY_LENGTH(op_rows); i++) {
    const GraphOpInfo *row = &op_rows[i];
    if (!is_function_row(row) || !is_same(row->spelling, name, length)) continue;
    if (row->min_operands < *least) *least = row->min_operands;
    if (row->max_operands > *most) *most = row->max_operands;
    if (operands < row->min_operands || operands > row->max_operands) continue;
    *op = (kiln_op)i;
    return true;
  }
  return false;
}

bool graph_is_reserved(const char *name, size_t length) {
  static const char *const words[] = {"const", "return", "strides", "inf", "nan"};
  for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
    if (is_same(words[i], name, length)) return true;
  kiln_type type;
  return type_find(name, length, &type) || graph_is_function(name, length);
}

bool graph_is_identifier(const char *name, size_t length) {
  if (length == 0 || !is_letter(name[0])) return false;
  for (size_t i = 1; i < length; i++)
    if (!is_letter(name[i]) && !(name[i] >= '0' && name[i] <= '9')) return false;
  return true;
}
