/* lex.h: graph text cut into tokens. */
#ifndef KILN_IR_GRAPH_LEX_H
#define KILN_IR_GRAPH_LEX_H

#include "ir/graph/graph.h"

typedef enum TokenKind {
  TOKEN_END,
  TOKEN_SEPARATOR, /* ";" or a newline outside brackets */
  TOKEN_NAME,
  TOKEN_NUMBER, /* without sign; `inf` and `nan` too */
  TOKEN_SIGN,   /* an operator or punctuation */
  TOKEN_BAD,    /* reported already */
} TokenKind;

typedef struct Token {
  TokenKind kind;
  SourcePos pos;
  const char *start;
  size_t length;
  double number;     /* TOKEN_NUMBER */
  bool is_whole;     /* digits only */
  bool touches_last; /* no space before it */
  bool begins_line;  /* though a bracket was open before it */
} Token;

typedef struct Lexer {
  const char *at, *end, *line_start;
  uint32_t line;
  int nesting; /* open brackets: newlines inside do not separate */
  Diagnostics *faults;
} Lexer;

void lex_init(Lexer *lexer, const char *text, size_t length, Diagnostics *faults);
Token lex_next(Lexer *lexer);
bool token_is(const Token *token, const char *spelling);
/* Whether ":" or "=" comes next, as after the name that begins a statement. */
bool lex_at_definition(const Lexer *lexer);

#endif
