/* parse.c: graph text to graph, by recursive descent with a bound on nesting.
 *
 *   text      = { [statement] (";" | newline) }
 *   statement = name ":" ["const"] type dims [strides]
 *             | name [":" type [dims] [strides]] "=" expression
 *             | "return" expression { "," expression }
 *
 * A statement that does not parse is reported once and skipped up to its end; the name it would have defined becomes
 * poison, so that its uses are not faults too. Everything else is the builder's to judge. */
#include <stdio.h>

#include "ir/graph/build.h"
#include "ir/graph/lex.h"

enum { MAX_NESTING = 200, MAX_ARGUMENTS = 8 };

typedef struct Parser {
  kiln_graph *graph;
  Lexer lexer;
  Token token;
  int nesting;
  bool failed; /* this statement; one fault is reported */
} Parser;

/* How much of a token a fault quotes. */
static int shown(const Token *token) { return token->length > 40 ? 40 : (int)token->length; }

/* One token of lookahead. */
static void advance(Parser *p) { p->token = lex_next(&p->lexer); }

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static void fail_at(Parser *p, SourcePos pos, const char *format, ...) PRINTF_LIKE(3, 4);
/* The statement does not parse. Said once: what follows from the first fault is no news, and the lexer reported its
 * own. */
static void fail_at(Parser *p, SourcePos pos, const char *format, ...) {
  bool is_news = !p->failed && p->token.kind != TOKEN_BAD;
  p->failed = p->graph->malformed = true;
  if (!is_news) return;
  va_list args;
  va_start(args, format);
  diagnostics_vreport(&p->graph->faults, pos, format, args);
  va_end(args);
}

/* `'x'`, `the end of the line` */
static Phrase found(const Parser *p) {
  Phrase phrase = {"the end of the text"};
  if (p->token.kind == TOKEN_SEPARATOR && p->token.start[0] == '\n') return (Phrase){"the end of the line"};
  if (p->token.kind != TOKEN_END) snprintf(phrase.text, sizeof phrase.text, "'%.*s'", shown(&p->token), p->token.start);
  return phrase;
}

/* Takes a sign, or fails saying what was expected `instead` of what is found. */
static void expect(Parser *p, const char *sign, const char *instead) {
  if (token_is(&p->token, sign)) advance(p);
  else fail_at(p, p->token.pos, "expected %s, found %s", instead, found(p).text);
}

/* ---- expressions ------------------------------------------------------------------------------------------------- */

static kiln_value parse_expression(Parser *p);

static kiln_value poison(Parser *p, SourcePos pos) { return graph_add_poison(p->graph, pos, NULL, 0); }

/* One level of brackets deeper, if the stack allows. */
static bool enter(Parser *p) {
  if (++p->nesting <= MAX_NESTING) return true;
  fail_at(p, p->token.pos, "nested deeper than %d", MAX_NESTING);
  return false;
}

/* Chooses the function by name and number of operands. */
static kiln_value apply_function(Parser *p, const Token *name, const kiln_value *operands, int count) {
  kiln_op op;
  int least, most, length = shown(name);
  if (graph_function_find(name->start, name->length, count, &op, &least, &most))
    return graph_add_apply(p->graph, name->pos, op, operands, (size_t)count);
  if (most == 0) graph_fault(p->graph, name->pos, "'%.*s' is no function", length, name->start);
  else if (least == most)
    graph_fault(p->graph, name->pos, "'%.*s' takes %d operand%s, found %d", length, name->start, most,
                most == 1 ? "" : "s", count);
  else
    graph_fault(p->graph, name->pos, "'%.*s' takes %d or %d operands, found %d", length, name->start, least, most,
                count);
  return graph_add_poison(p->graph, name->pos, operands, (size_t)count);
}

/* After a name, at its "(". */
static kiln_value parse_call(Parser *p, const Token *name) {
  kiln_value operands[MAX_ARGUMENTS];
  int count = 0;
  if (!enter(p)) return KILN_NO_VALUE;
  advance(p);
  while (!p->failed && !token_is(&p->token, ")")) {
    if (count == MAX_ARGUMENTS) {
      fail_at(p, p->token.pos, "more than %d operands", MAX_ARGUMENTS);
      break;
    }
    operands[count++] = parse_expression(p);
    if (p->failed || token_is(&p->token, ")")) break;
    expect(p, ",", "',' or ')'");
    if (token_is(&p->token, ")")) fail_at(p, p->token.pos, "expected a value, found ')'");
  }
  if (!p->failed) advance(p);
  p->nesting--;
  return p->failed ? KILN_NO_VALUE : apply_function(p, name, operands, count);
}

/* The value of this name, or poison after a fault. */
static kiln_value find_name(Parser *p, const Token *name) {
  int length = shown(name);
  kiln_value value = graph_find(p->graph, name->start, name->length);
  if (value != KILN_NO_VALUE) return value;
  if (graph_is_function(name->start, name->length))
    graph_fault(p->graph, name->pos, "'%.*s' is a function: it needs operands in parentheses", length, name->start);
  else graph_fault(p->graph, name->pos, "'%.*s' is not defined", length, name->start);
  return poison(p, name->pos);
}

/* A "-" where a value should stand: part of a literal, or a mistake. */
static kiln_value parse_minus(Parser *p) {
  SourcePos pos = p->token.pos;
  advance(p);
  if (p->token.kind == TOKEN_NUMBER && p->token.touches_last) {
    double number = -p->token.number;
    advance(p);
    return graph_add_number(p->graph, pos, number);
  }
  Phrase example = {"x"};
  if (p->token.kind == TOKEN_NAME)
    snprintf(example.text, sizeof example.text, "%.*s", shown(&p->token), p->token.start);
  fail_at(p, pos, "'-' needs a left operand: write neg(%s)", example.text);
  return KILN_NO_VALUE;
}

static kiln_value parse_operand(Parser *p) {
  Token first = p->token;
  if (first.kind == TOKEN_NUMBER) {
    advance(p);
    return graph_add_number(p->graph, first.pos, first.number);
  }
  if (first.kind == TOKEN_NAME) {
    advance(p);
    return token_is(&p->token, "(") ? parse_call(p, &first) : find_name(p, &first);
  }
  if (token_is(&first, "-")) return parse_minus(p);
  if (!token_is(&first, "(")) {
    fail_at(p, first.pos, "expected a value, found %s", found(p).text);
    return KILN_NO_VALUE;
  }
  if (!enter(p)) return KILN_NO_VALUE;
  advance(p);
  kiln_value value = parse_expression(p);
  expect(p, ")", "')'");
  p->nesting--;
  return value;
}

/* A loop, not recursion: `.T.T.T…` nests nothing. */
static kiln_value parse_postfix(Parser *p) {
  SourcePos pos = p->token.pos;
  kiln_value value = parse_operand(p);
  while (!p->failed && token_is(&p->token, ".T")) {
    advance(p);
    value = graph_add_apply(p->graph, pos, KILN_OP_TRANSPOSE, &value, 1);
  }
  return value;
}

/* The operator of this level that stands here. */
static bool at_operator(const Parser *p, int level, kiln_op *op) {
  return p->token.kind == TOKEN_SIGN && graph_operator_find(p->token.start, p->token.length, op) &&
         graph_op_level(*op) == level;
}

/* Operators of this level between operands of the next tighter one, grouped to the left. */
static kiln_value parse_level(Parser *p, int level) {
  if (level == LEVEL_POSTFIX) return parse_postfix(p);
  SourcePos pos = p->token.pos;
  kiln_value left = parse_level(p, level + 1);
  kiln_op op;
  while (!p->failed && at_operator(p, level, &op)) {
    advance(p);
    kiln_value operands[2] = {left, parse_level(p, level + 1)};
    if (p->failed) break;
    left = graph_add_apply(p->graph, pos, op, operands, 2);
    if (level == LEVEL_COMPARE && at_operator(p, level, &op))
      fail_at(p, p->token.pos, "comparisons do not chain: put one in parentheses");
  }
  return left;
}

static kiln_value parse_expression(Parser *p) { return parse_level(p, LEVEL_COMPARE); }

/* ---- types ------------------------------------------------------------------------------------------------------- */

/* A number or a symbol. */
static Dim parse_dim(Parser *p) {
  Token token = p->token;
  Dim dim = {0, -1};
  if (token.kind == TOKEN_NAME) {
    advance(p);
    dim.symbol = graph_symbol(p->graph, token.pos, token.start, token.length);
    if (dim.symbol < 0) p->failed = p->graph->malformed = true;
  } else if (token.kind != TOKEN_NUMBER) {
    fail_at(p, token.pos, "expected a size, found %s", found(p).text);
  } else if (!token.is_whole) {
    fail_at(p, token.pos, "'%.*s' is no size: sizes are whole numbers and symbols", shown(&token), token.start);
  } else if (token.number > (double)GRAPH_MAX_SIZE) {
    fail_at(p, token.pos, "'%.*s' is too large: %lld is the most", shown(&token), token.start,
            (long long)GRAPH_MAX_SIZE);
  } else {
    advance(p);
    dim.size = (int64_t)token.number;
  }
  return dim;
}

/* "[" sizes "]"; gives how many. */
static int parse_dims(Parser *p, Dim *dims) {
  int count = 0;
  expect(p, "[", "'['");
  while (!p->failed && !token_is(&p->token, "]")) {
    if (count == GRAPH_MAX_RANK) {
      fail_at(p, p->token.pos, "more than %d axes", GRAPH_MAX_RANK);
      break;
    }
    dims[count++] = parse_dim(p);
    if (p->failed || token_is(&p->token, "]")) break;
    expect(p, ",", "',' or ']'");
    if (token_is(&p->token, "]")) fail_at(p, p->token.pos, "expected a size, found ']'");
  }
  if (!p->failed) advance(p);
  return count;
}

/* `f32`, `f32[m, 4]`, `f32 strides [ld, 1]`, `f32[m, 4] strides [ld, 1]` */
static void parse_type(Parser *p, TypeSpec *spec) {
  *spec = (TypeSpec){.rank = -1};
  if (p->token.kind != TOKEN_NAME) {
    fail_at(p, p->token.pos, "expected a type, found %s", found(p).text);
  } else if (!type_find(p->token.start, p->token.length, &spec->type)) {
    fail_at(p, p->token.pos, "%s is no type", found(p).text);
  } else {
    advance(p);
    if (token_is(&p->token, "[")) spec->rank = parse_dims(p, spec->dims);
    if (p->failed || !token_is(&p->token, "strides")) return;
    advance(p);
    spec->has_strides = true;
    spec->stride_count = parse_dims(p, spec->strides);
  }
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static bool at_end(const Parser *p) { return p->token.kind == TOKEN_SEPARATOR || p->token.kind == TOKEN_END; }

/* A statement that parsed ends here. */
static void end_statement(Parser *p) {
  if (!p->failed && !at_end(p)) fail_at(p, p->token.pos, "expected the end of the statement, found %s", found(p).text);
}

/* Up to the statement's end, whatever brackets it left open: where one did, a line that can only begin a statement is
 * the end. That line's first token is then no longer a reason to stop. */
static void recover(Parser *p) {
  p->nesting = p->lexer.nesting = 0;
  bool is_next = p->token.begins_line && p->token.kind == TOKEN_NAME &&
                 (token_is(&p->token, "return") || lex_at_definition(&p->lexer));
  p->token.begins_line = false;
  while (!is_next && !at_end(p)) {
    advance(p);
    p->lexer.nesting = 0;
  }
}

/* At the `=` of a value's definition. */
static void define(Parser *p, const Token *name, const TypeSpec *spec, bool is_const) {
  if (is_const)
    graph_fault(p->graph, name->pos, "'%.*s' is computed: only an input can be const", shown(name), name->start);
  advance(p);
  kiln_value value = parse_expression(p);
  end_statement(p);
  if (!p->failed) graph_set_name(p->graph, name->pos, value, name->start, name->length, spec);
}

/* An input, or a value's definition. */
static void parse_definition(Parser *p) {
  Token name = p->token;
  if (name.kind != TOKEN_NAME) {
    fail_at(p, name.pos, "expected a name, found %s", found(p).text);
    return;
  }
  advance(p);
  TypeSpec spec;
  bool has_type = token_is(&p->token, ":"), is_const = false;
  if (has_type) {
    advance(p);
    is_const = token_is(&p->token, "const");
    if (is_const) advance(p);
    parse_type(p, &spec);
  }
  if (!p->failed && token_is(&p->token, "=")) {
    define(p, &name, has_type ? &spec : NULL, is_const);
  } else if (!has_type) {
    fail_at(p, p->token.pos, "expected ':' or '=' after '%.*s', found %s", shown(&name), name.start, found(p).text);
  } else {
    end_statement(p);
    if (!p->failed) graph_add_input(p->graph, name.pos, name.start, name.length, &spec, is_const);
  }
  if (p->failed && graph_find(p->graph, name.start, name.length) == KILN_NO_VALUE)
    graph_set_name(p->graph, name.pos, poison(p, name.pos), name.start, name.length, NULL);
}

/* Positions are kept one a value, because faults are one a value. */
static void parse_return(Parser *p) {
  SourcePos pos = p->token.pos;
  Arena *arena = &p->graph->arena;
  VECTOR(kiln_value) values = {0};
  VECTOR(SourcePos) positions = {0};
  do {
    advance(p);
    VECTOR_PUSH(arena, positions, p->token.pos);
    VECTOR_PUSH(arena, values, parse_expression(p));
  } while (!p->failed && token_is(&p->token, ","));
  end_statement(p);
  if (p->failed) p->graph->returned = true; /* it was meant to */
  else graph_set_results(p->graph, pos, positions.items, values.items, values.count);
}

/* When going on would only make more of the same fault. */
static bool is_hopeless(const Parser *p) { return p->graph->full || arena_has_failed(&p->graph->arena); }

kiln_graph *graph_parse(const char *text, size_t length, const Allocator *allocator) {
  kiln_graph *graph;
  if (kiln_graph_create(allocator, &graph) != KILN_OK) return NULL;
  Parser parser = {.graph = graph}, *p = &parser;
  lex_init(&p->lexer, text, length, &graph->faults);
  advance(p);
  while (p->token.kind != TOKEN_END && !is_hopeless(p)) {
    p->failed = false;
    if (p->token.kind == TOKEN_SEPARATOR) {
      advance(p);
      continue;
    }
    if (graph->returned) {
      graph_fault(graph, p->token.pos, "nothing may follow the return");
      break;
    }
    if (token_is(&p->token, "return")) parse_return(p);
    else parse_definition(p);
    recover(p);
  }
  graph->end = p->token.pos;
  return graph;
}
