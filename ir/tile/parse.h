/* parse.h: what the files of the parser share.
 *
 * Recursive descent with one token of lookahead. A function that meets a fault reports it, once, and returns false or
 * NULL; the statement is then dropped, its names become *unknown* values whose uses drop further statements without a
 * word, and parsing goes on at the next line. So the module holds only whole statements, and every fault is one of the
 * text's own. */
#ifndef KILN_IR_TILE_PARSE_H
#define KILN_IR_TILE_PARSE_H

#include "ir/tile/lex.h"
#include "ir/tile/names.h"
#include "ir/tile/syntax.h"

typedef struct Parser {
  Lexer lexer;
  Token token;    /* the next one */
  SourcePos last; /* of the one before */
  Diagnostics *faults;
  Arena arena; /* names; freed at the end */
  Kernel *kernel;
  Builder b;
  Names names;
  VECTOR(Name *) scope; /* what is visible, in order of definition */
  int expression_depth, block_depth;
  bool end_is_reported;
} Parser;

/* ---- tokens (parse.c) -------------------------------------------------------------------------------------------- */

void tile_parse_advance(Parser *p);
bool tile_parse_accept(Parser *p, const char *text); /* skips the token if it is this */
bool tile_parse_expect(Parser *p, const char *text); /* or reports it missing */
void tile_parse_fail(Parser *p, SourcePos pos, const char *format, ...) PRINTF_LIKE(3, 4);
void tile_parse_fail_expected(Parser *p, const char *expected); /* expected …, found the next token */
bool tile_parse_has_ended(const Parser *p);                     /* no more text, or no more memory */

/* ---- names (parse.c) --------------------------------------------------------------------------------------------- */

/* Makes a %token mean `value`, in the block that is being parsed; NULL: unknown. */
void tile_parse_define(Parser *p, Token token, Value *value);
/* What the next token, a %value, means; NULL: unknown, and reported. Skips it. */
Value *tile_parse_value(Parser *p);

/* ---- the language ------------------------------------------------------------------------------------------------ */

bool tile_parse_type(Parser *p, TileType *type);             /* parse_type.c */
bool tile_parse_integer(Parser *p, int64_t *number);         /* parse_expression.c; may be negative */
Value *tile_parse_expression(Parser *p, Precedence loosest); /* parse_expression.c */
void tile_parse_block(Parser *p, Block *block);              /* parse_statement.c; after its `{`, to after its `}` */

#endif
