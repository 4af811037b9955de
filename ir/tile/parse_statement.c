/* parse_statement.c: blocks and statements, and how parsing goes on after a fault. */
#include "ir/tile/parse.h"

#include <string.h>

enum { MAX_OPERANDS = 1024 }; /* that a statement may list */

/* The `%a, %b =` before an operation, and where that stands. */
typedef struct Statement {
  VECTOR(Token) names;
  OpCode code;
  SourcePos pos;
} Statement;

typedef VECTOR(Value *) Values;

/* A statement ends with its line, or before the `}` of a block written on one line. */
static bool is_line_end(const Parser *p) {
  return p->token.is_first || p->token.kind == TOKEN_END || tile_token_is(p->token, "}");
}

static const char *op_name(const Statement *s) { return op_info(s->code)->name; }

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static bool parse_operand(Parser *p, Values *values) {
  if (values->count == MAX_OPERANDS) {
    tile_parse_fail(p, p->token.pos, "a statement has at most %d operands", MAX_OPERANDS);
    return false;
  }
  Value *value = tile_parse_expression(p, PRECEDENCE_ANY);
  if (!value) return false;
  VECTOR_PUSH(&p->arena, *values, value);
  return true;
}

static bool parse_operands(Parser *p, Values *values) {
  do {
    if (!parse_operand(p, values)) return false;
  } while (tile_parse_accept(p, ","));
  return true;
}

/* The parser must know how many results there are before it can define any. */
static bool check_name_count(Parser *p, const Statement *s, size_t results) {
  if (s->names.count == results) return true;
  if (results == 0)
    tile_parse_fail(p, s->names.items[0].pos, "'%s' gives no value, so nothing can be named", op_name(s));
  else
    tile_parse_fail(p, s->pos, "'%s' gives %zu value%s: expected as many names before '=', found %zu", op_name(s),
                    results, results == 1 ? "" : "s", s->names.count);
  return false;
}

/* Made once the statement is known to be whole; results have no types yet. */
static Op *make_op(Parser *p, const Statement *s, const Values *operands, int blocks) {
  p->b.pos = s->pos;
  Op *op = op_create(&p->b, s->code, (int)operands->count, (int)s->names.count, blocks);
  for (size_t i = 0; i < operands->count; i++) op_set_operand(op, (int)i, operands->items[i]);
  return op;
}

/* Names a value in the module as in the text, but for numbers: the printer gives those. */
static void name_value(Parser *p, Token token, Value *value) {
  size_t digits = 1;
  while (digits < token.length && token.text[digits] >= '0' && token.text[digits] <= '9') digits++;
  if (digits < token.length) value->name = arena_copy(&p->kernel->module->arena, token.text + 1, token.length - 1);
  tile_parse_define(p, token, value);
}

static void name_results(Parser *p, const Statement *s, Op *op) {
  for (size_t i = 0; i < s->names.count; i++) name_value(p, s->names.items[i], &op->results[i]);
}

/* ---- plain operations and accesses ------------------------------------------------------------------------------- */

static bool parse_slice(Parser *p, Op *op) {
  return tile_parse_expect(p, "[") && tile_parse_integer(p, &op->number) && tile_parse_expect(p, ",") &&
         tile_parse_integer(p, &op->column) && tile_parse_expect(p, "]");
}

static bool parse_real(Parser *p, Op *op) {
  bool is_negative = tile_parse_accept(p, "-");
  double number;
  if (!tile_token_real(p->token, &number)) {
    tile_parse_fail_expected(p, "a number");
    return false;
  }
  op->real = is_negative ? -number : number;
  tile_parse_advance(p);
  return true;
}

/* What an operation has besides operands and type, in the places where the printer puts it. */
static bool parse_attributes(Parser *p, Op *op) {
  if (op->code == OP_tile_slice) return parse_slice(p, op);
  if (op->code == OP_tile_const) return parse_real(p, op);
  if (op->code == OP_prefetch) return tile_parse_expect(p, "level") && tile_parse_integer(p, &op->number);
  if (op_may_stream(op->code)) op->number = tile_parse_accept(p, "streamed");
  return true;
}

/* `[%value, ]%buffer[index, …] [rows r] [cols c]` */
static bool parse_place(Parser *p, const Statement *s, Values *operands, bool *has_rows, bool *has_cols) {
  if (op_stores(s->code) && (!parse_operand(p, operands) || !tile_parse_expect(p, ","))) return false;
  if (p->token.kind != TOKEN_VALUE) {
    tile_parse_fail_expected(p, "a buffer");
    return false;
  }
  Value *buffer = tile_parse_value(p);
  if (!buffer || !tile_parse_expect(p, "[")) return false;
  VECTOR_PUSH(&p->arena, *operands, buffer);
  if (!tile_token_is(p->token, "]") && !parse_operands(p, operands)) return false;
  if (!tile_parse_expect(p, "]")) return false;
  *has_rows = tile_parse_accept(p, "rows");
  if (*has_rows && !parse_operand(p, operands)) return false;
  *has_cols = tile_parse_accept(p, "cols");
  return !*has_cols || parse_operand(p, operands);
}

/* PLAIN and ACCESS: operands, attributes, and the type where it does not follow. */
static bool parse_plain(Parser *p, Statement *s) {
  const OpInfo *info = op_info(s->code);
  Values operands = {0};
  bool has_rows = false, has_cols = false;
  if (!check_name_count(p, s, info->result == RESULT_NONE ? 0 : 1)) return false;
  if (info->syntax == SYNTAX_ACCESS) {
    if (!parse_place(p, s, &operands, &has_rows, &has_cols)) return false;
  } else if (info->operands != 0 && !parse_operands(p, &operands)) {
    return false;
  } else if ((int)operands.count != info->operands) {
    tile_parse_fail(p, s->pos, "'%s' takes %d operand%s, found %zu", info->name, info->operands,
                    info->operands == 1 ? "" : "s", operands.count);
    return false;
  }
  Op *op = make_op(p, s, &operands, 0);
  op->has_rows = has_rows;
  op->has_cols = has_cols;
  if (!parse_attributes(p, op)) return false;
  if (info->result == RESULT_TYPED) {
    if (!tile_parse_expect(p, ":") || !tile_parse_type(p, &op->results[0].type)) return false;
  } else if (info->result != RESULT_NONE) {
    op->results[0].type = op_result_type(s->code, op->operands, op->operand_count);
  }
  name_results(p, s, op);
  return true;
}

/* `%x = expression`. A new operation gets the name; a number, symbol or other value is only called so. */
static bool parse_definition(Parser *p, Statement *s) {
  if (s->names.count != 1) {
    tile_parse_fail_expected(p, s->names.count ? "'for' or 'if'" : "a statement");
    return false;
  }
  const Op *before = p->b.block->last;
  Value *value = tile_parse_expression(p, PRECEDENCE_ANY);
  if (!value) return false;
  bool is_new = value->op && value->op == p->b.block->last && value->op != before;
  if (is_new && op_info(value->op->code)->syntax != SYNTAX_LITERAL) name_value(p, s->names.items[0], value);
  else tile_parse_define(p, s->names.items[0], value);
  return true;
}

/* Parses a block for its faults only. */
static void parse_dropped_block(Parser *p) {
  Block *block = p->b.block;
  tile_parse_block(p, block_create(p->kernel, NULL, 0));
  p->b.block = block;
}

static void skip_line(Parser *p) {
  while (!is_line_end(p)) {
    if (tile_parse_accept(p, "{")) parse_dropped_block(p);
    else tile_parse_advance(p);
  }
}

/* ---- control ----------------------------------------------------------------------------------------------------- */

static bool parse_yield(Parser *p, Statement *s) {
  Values operands = {0};
  if (!check_name_count(p, s, 0) || (!is_line_end(p) && !parse_operands(p, &operands))) return false;
  make_op(p, s, &operands, 0);
  return true;
}

/* A block that yields nothing need not say so. */
static void add_yield(Parser *p, Block *block) {
  if (block->last && block->last->code == OP_yield) return;
  Builder b = builder_of(p->kernel, block);
  b.pos = block->parent->pos;
  build_yield(&b, NULL, 0);
}

/* A `%name` that the block of a `for` will know. */
static bool parse_argument_name(Parser *p, Token *name) {
  *name = p->token;
  if (name->kind != TOKEN_VALUE) {
    tile_parse_fail_expected(p, "the name of a value");
    return false;
  }
  tile_parse_advance(p);
  return tile_parse_expect(p, "=");
}

typedef VECTOR(Token) Tokens;

/* Operands in the order of the operation; the names of the block's arguments, the index first. */
static bool parse_for_header(Parser *p, Values *operands, Tokens *arguments) {
  Token name;
  if (!parse_argument_name(p, &name)) return false;
  VECTOR_PUSH(&p->arena, *arguments, name);
  if (!parse_operand(p, operands) || !tile_parse_expect(p, "to") || !parse_operand(p, operands) ||
      !tile_parse_expect(p, "step") || !parse_operand(p, operands))
    return false;
  if (!tile_parse_accept(p, "carry")) return true;
  do {
    if (!parse_argument_name(p, &name) || !parse_operand(p, operands)) return false;
    VECTOR_PUSH(&p->arena, *arguments, name);
  } while (tile_parse_accept(p, ","));
  return true;
}

/* Arguments are visible in the block only, results after it only: a carried value may have the name of its result. */
static bool parse_for(Parser *p, Statement *s) {
  Values operands = {0};
  Tokens arguments = {0};
  if (!parse_for_header(p, &operands, &arguments) || !check_name_count(p, s, operands.count - 3) ||
      !tile_parse_expect(p, "{"))
    return false;
  Op *op = make_op(p, s, &operands, 1);
  Block *body = op->blocks[0] = block_create(p->kernel, op, (int)arguments.count);
  size_t outer = p->scope.count;
  for (size_t i = 0; i < arguments.count; i++) {
    if (i > 0) op->results[i - 1].type = operands.items[i + 2]->type;
    body->arguments[i]->type = i > 0 ? operands.items[i + 2]->type : type_index();
    name_value(p, arguments.items[i], body->arguments[i]);
  }
  tile_parse_block(p, body);
  for (; p->scope.count > outer; p->scope.count--) p->scope.items[p->scope.count - 1]->is_defined = false;
  if (op->result_count == 0) add_yield(p, body);
  name_results(p, s, op);
  return true;
}

/* The types of what `if` gives are those its first block yields. */
static bool take_yielded_types(Parser *p, const Statement *s, Op *op) {
  const Op *yield = op->blocks[0]->last;
  int count = yield && yield->code == OP_yield ? yield->operand_count : 0;
  if (count != op->result_count) {
    tile_parse_fail(p, s->pos, "'if' gives %d value%s, so its blocks must end in a yield of as many, found %d",
                    op->result_count, op->result_count == 1 ? "" : "s", count);
    return false;
  }
  for (int i = 0; i < count; i++) op->results[i].type = yield->operands[i]->type;
  return true;
}

/* The operation exists before its blocks, which name it as their parent, and gets its results' types after them. */
static bool parse_if(Parser *p, Statement *s) {
  Values operands = {0};
  if (!parse_operand(p, &operands) || !tile_parse_expect(p, "{")) return false;
  Op *op = make_op(p, s, &operands, 2);
  op->blocks[0] = block_create(p->kernel, op, 0);
  tile_parse_block(p, op->blocks[0]);
  if (tile_parse_accept(p, "else")) {
    op->blocks[1] = block_create(p->kernel, op, 0);
    if (tile_parse_expect(p, "{")) tile_parse_block(p, op->blocks[1]);
    else skip_line(p);
  }
  for (int i = 0; i < 2 && op->result_count == 0; i++) {
    if (op->blocks[i]) add_yield(p, op->blocks[i]);
  }
  if (op->result_count > 0 && !take_yielded_types(p, s, op)) {
    op_remove(op);
    for (size_t i = 0; i < s->names.count; i++) tile_parse_define(p, s->names.items[i], NULL);
    return true;
  }
  name_results(p, s, op);
  return true;
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

/* Only a result list begins with a %value, so one token of lookahead is enough. */
static bool parse_names(Parser *p, Statement *s) {
  if (p->token.kind != TOKEN_VALUE) return true;
  do {
    if (p->token.kind != TOKEN_VALUE) {
      tile_parse_fail_expected(p, "the name of a value");
      return false;
    }
    VECTOR_PUSH(&p->arena, s->names, p->token);
    tile_parse_advance(p);
  } while (tile_parse_accept(p, ","));
  return tile_parse_expect(p, "=");
}

/* A word that begins no expression was meant to be an operation. */
static bool is_unknown_op(const Parser *p) {
  Lexer ahead = p->lexer;
  return p->token.kind == TOKEN_WORD && kernel_find_symbol(p->kernel, p->token.text, p->token.length) < 0 &&
         !tile_token_is(tile_lexer_next(&ahead), "(");
}

static bool parse_statement(Parser *p) {
  Statement s = {0};
  if (!parse_names(p, &s)) return false;
  Token token = p->token;
  s.pos = token.pos;
  bool is_op = token.kind == TOKEN_WORD && op_find(token.text, token.length, &s.code);
  if (!is_op && is_unknown_op(p)) {
    tile_parse_fail(p, token.pos, "there is no operation '%.*s'", (int)token.length, token.text);
    return false;
  }
  OpSyntax syntax = is_op ? op_info(s.code)->syntax : SYNTAX_INFIX;
  if (!is_op || syntax == SYNTAX_INFIX || syntax == SYNTAX_CALL || syntax == SYNTAX_LITERAL)
    return parse_definition(p, &s);
  tile_parse_advance(p);
  if (s.code == OP_for) return parse_for(p, &s);
  if (s.code == OP_if) return parse_if(p, &s);
  return s.code == OP_yield ? parse_yield(p, &s) : parse_plain(p, &s);
}

/* ---- after a fault ----------------------------------------------------------------------------------------------- */

/* The statement goes on behind this token at the end of a line. */
static bool is_continued(Token token) {
  return token.kind == TOKEN_SIGN && token.length == 1 && strchr("+-*/%<([,", *token.text);
}

/* Reads a faulty statement again from its start to the end of the line the fault is on. What it would have named
 * becomes unknown; the blocks it opens are parsed and dropped. */
static void recover(Parser *p, Lexer lexer, Token start) {
  const char *fault = p->token.text;
  bool is_result = start.kind == TOKEN_VALUE;
  Token before = {0};
  p->lexer = lexer;
  p->token = start;
  while (p->token.kind != TOKEN_END && !tile_token_is(p->token, "}")) {
    Token token = p->token;
    if (token.text != start.text && token.is_first && token.text >= fault && !is_continued(before)) return;
    before = token;
    tile_parse_advance(p);
    is_result = is_result && !tile_token_is(token, "=");
    if (tile_token_is(token, "{")) parse_dropped_block(p);
    else if (token.kind == TOKEN_VALUE && (is_result || tile_token_is(p->token, "=")))
      tile_parse_define(p, token, NULL);
  }
}

/* After a fault also takes back the index operations the statement had made so far. */
static void parse_line(Parser *p) {
  Lexer lexer = p->lexer;
  Token start = p->token;
  Op *before = p->b.block->last;
  if (!parse_statement(p)) {
    while (p->b.block->last != before) op_remove(p->b.block->last);
    recover(p, lexer, start);
  }
  if (!is_line_end(p)) {
    tile_parse_fail_expected(p, "the end of the line");
    skip_line(p);
  }
}

/* After a `{` too many: to after its `}`. */
static void skip_block(Parser *p) {
  for (size_t depth = 1; depth > 0 && p->token.kind != TOKEN_END; tile_parse_advance(p)) {
    depth += tile_token_is(p->token, "{") ? 1 : 0;
    depth -= tile_token_is(p->token, "}") ? 1 : 0;
  }
}

void tile_parse_block(Parser *p, Block *block) {
  if (p->block_depth == TILE_MAX_NESTING) {
    tile_parse_fail(p, p->token.pos, "blocks are nested more than %d deep", TILE_MAX_NESTING);
    skip_block(p);
    return;
  }
  SourcePos opened = p->last;
  Block *outer = p->b.block;
  size_t visible = p->scope.count;
  p->b.block = block;
  p->block_depth++;
  while (!tile_parse_has_ended(p) && !tile_token_is(p->token, "}")) parse_line(p);
  p->block_depth--;
  p->b.block = outer;
  for (; p->scope.count > visible; p->scope.count--) p->scope.items[p->scope.count - 1]->is_defined = false;
  if (!tile_parse_accept(p, "}") && p->token.kind == TOKEN_END && !p->end_is_reported) {
    tile_parse_fail(p, p->token.pos, "expected '}' to end the block of line %u, found the end of the text",
                    opened.line);
    p->end_is_reported = true;
  }
}
