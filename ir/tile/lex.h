/* lex.h: tokens of the tile IR's text. Any bytes are tokens: what belongs to none is a TOKEN_BAD of one byte. */
#ifndef KILN_IR_TILE_LEX_H
#define KILN_IR_TILE_LEX_H

#include "ir/support/support.h"

typedef enum TokenKind {
  TOKEN_END,
  TOKEN_WORD,   /* name */
  TOKEN_VALUE,  /* %name */
  TOKEN_KERNEL, /* @name */
  TOKEN_NUMBER, /* 12, 1.5, 1e-05: no sign */
  TOKEN_SIGN,   /* an operator or bracket */
  TOKEN_BAD,
} TokenKind;

typedef struct Token {
  TokenKind kind;
  const char *text; /* all of it, with % or @ */
  size_t length;
  SourcePos pos;
  bool is_first; /* on its line */
} Token;

typedef struct Lexer {
  const char *at, *end, *line_start;
  uint32_t line;
  bool is_at_line_start;
} Lexer;

void tile_lexer_init(Lexer *lexer, const char *text, size_t length);
Token tile_lexer_next(Lexer *lexer);

bool tile_token_is(Token token, const char *text); /* a word or sign spelled so */
/* A natural number below 2^63, in digits only; one over it where `is_negative`, for INT64_MIN. */
bool tile_token_integer(Token token, bool is_negative, int64_t *number);
/* Any number, also the words `inf` and `nan`; rounded to nearest. */
bool tile_token_real(Token token, double *number);

#endif
