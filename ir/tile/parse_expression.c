/* parse_expression.c: operands: values, numbers, symbols and index arithmetic on them.
 *
 * Makes the operations as it goes, in the block being parsed and without names, so that the printer writes them in
 * place again. Types are not checked here: tile_verify does. */
#include "ir/tile/parse.h"

#include <string.h>

/* The type may be wrong where operands do not fit; the position is where tile_verify will say so. */
static Value *make_op(Parser *p, OpCode code, Value *const *operands, int count, SourcePos pos) {
  p->b.pos = pos;
  Op *op = op_create(&p->b, code, count, 1, 0);
  for (int i = 0; i < count; i++) op_set_operand(op, i, operands[i]);
  op->results[0].type = op_result_type(code, operands, count);
  return &op->results[0];
}

static Value *make_literal(Parser *p, OpCode code, int64_t number, SourcePos pos) {
  Value *value = make_op(p, code, NULL, 0, pos);
  value->op->number = number;
  return value;
}

bool tile_parse_integer(Parser *p, int64_t *number) {
  bool is_negative = tile_parse_accept(p, "-");
  if (!tile_token_integer(p->token, is_negative, number)) {
    tile_parse_fail_expected(p, "a whole number of 64 bits");
    return false;
  }
  tile_parse_advance(p);
  return true;
}

static bool find_spelling(OpSyntax syntax, Token token, OpCode *code) {
  for (int i = 0; i < OP_COUNT; i++) {
    const OpInfo *info = op_info((OpCode)i);
    if (info->syntax == syntax && tile_token_is(token, info->spelling)) {
      *code = (OpCode)i;
      return true;
    }
  }
  return false;
}

/* `min(a, b)`; the name has been read, `(` is the next token. */
static Value *parse_call(Parser *p, Token name) {
  enum { MAX_OPERANDS = 3 };
  OpCode code;
  Value *operands[MAX_OPERANDS];
  int count = 0;
  if (!find_spelling(SYNTAX_CALL, name, &code)) {
    tile_parse_fail(p, name.pos, "there is no function '%.*s'", (int)name.length, name.text);
    return NULL;
  }
  int expected = op_info(code)->operands;
  do {
    tile_parse_advance(p);
    if (count == expected) {
      tile_parse_fail(p, name.pos, "'%.*s' takes %d operand%s, found more", (int)name.length, name.text, expected,
                      expected == 1 ? "" : "s");
      return NULL;
    }
    if (!(operands[count++] = tile_parse_expression(p, PRECEDENCE_ANY))) return NULL;
  } while (tile_token_is(p->token, ","));
  if (!tile_parse_expect(p, ")")) return NULL;
  if (count < expected) {
    tile_parse_fail(p, name.pos, "'%.*s' takes %d operands, found %d", (int)name.length, name.text, expected, count);
    return NULL;
  }
  return make_op(p, code, operands, count, name.pos);
}

/* A function's name is one by its `(`, so a symbol may have the same. */
static Value *parse_word(Parser *p) {
  Token name = p->token;
  tile_parse_advance(p);
  if (tile_token_is(p->token, "(")) return parse_call(p, name);
  int symbol = kernel_find_symbol(p->kernel, name.text, name.length);
  if (symbol >= 0) return make_literal(p, OP_index_symbol, symbol, name.pos);
  tile_parse_fail(p, name.pos, "there is no symbol '%.*s'", (int)name.length, name.text);
  return NULL;
}

static Value *parse_primary(Parser *p) {
  SourcePos pos = p->token.pos;
  int64_t number;
  if (p->token.kind == TOKEN_NUMBER || tile_token_is(p->token, "-"))
    return tile_parse_integer(p, &number) ? make_literal(p, OP_index_const, number, pos) : NULL;
  if (p->token.kind == TOKEN_WORD) return parse_word(p);
  if (p->token.kind == TOKEN_VALUE) {
    if (p->b.block != p->kernel->header) return tile_parse_value(p);
    tile_parse_fail_expected(p, "symbols and numbers in a host expression");
    return NULL;
  }
  if (tile_parse_accept(p, "(")) {
    Value *inner = tile_parse_expression(p, PRECEDENCE_ANY);
    return inner && tile_parse_expect(p, ")") ? inner : NULL;
  }
  tile_parse_fail_expected(p, "a value");
  return NULL;
}

/* Precedence climbing. An operator at the start of a line begins no continuation: a `-` there is a fault of its own. */
static Value *parse_operators(Parser *p, Precedence loosest) {
  Value *left = parse_primary(p);
  OpCode code;
  while (left && !p->token.is_first && find_spelling(SYNTAX_INFIX, p->token, &code)) {
    SourcePos pos = p->token.pos;
    Precedence own = precedence_of(code);
    if (own < loosest) break;
    tile_parse_advance(p);
    Value *right = tile_parse_expression(p, (Precedence)(own + 1));
    if (!right) return NULL;
    left = make_op(p, code, (Value *[]){left, right}, 2, pos);
    if (own == PRECEDENCE_COMPARISON) break; /* comparisons do not associate */
  }
  return left;
}

Value *tile_parse_expression(Parser *p, Precedence loosest) {
  if (p->expression_depth >= PARSE_DEPTH) {
    tile_parse_fail(p, p->token.pos, "the expression is nested more than %d deep", PARSE_DEPTH);
    return NULL;
  }
  p->expression_depth++;
  Value *value = parse_operators(p, loosest);
  p->expression_depth--;
  return value;
}
