/* lex.c: splits the tile IR's text into tokens, and reads numbers without regard to the locale. */
#include "ir/tile/lex.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/tile/names.h"

void tile_lexer_init(Lexer *lexer, const char *text, size_t length) {
  *lexer = (Lexer){.at = text, .end = text + length, .line_start = text, .line = 1, .is_at_line_start = true};
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* NUL past the end, which belongs to no token. */
static char peek(const Lexer *lexer, size_t ahead) {
  return (size_t)(lexer->end - lexer->at) > ahead ? lexer->at[ahead] : '\0';
}

/* Blanks, ends of lines and comments; a comment does not end the line it is on. */
static void skip_blank(Lexer *lexer) {
  while (lexer->at < lexer->end) {
    char c = *lexer->at;
    if (c == '/' && peek(lexer, 1) == '/') {
      const char *newline = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));
      lexer->at = newline ? newline : lexer->end;
    } else if (c == '\n') {
      lexer->line_start = ++lexer->at;
      lexer->line++;
      lexer->is_at_line_start = true;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      lexer->at++;
    } else {
      return;
    }
  }
}

static size_t count_name(const Lexer *lexer, size_t from) {
  size_t length = from;
  while (tile_name_is_part(peek(lexer, length))) length++;
  return length;
}

static size_t count_digits(const Lexer *lexer, size_t from) {
  size_t length = from;
  while (is_digit(peek(lexer, length))) length++;
  return length;
}

/* digits [. digits] [e [sign] digits]; an `e` without digits is left to the next token. */
static size_t count_number(const Lexer *lexer) {
  size_t length = count_digits(lexer, 0);
  if (peek(lexer, length) == '.') length = count_digits(lexer, length + 1);
  char e = peek(lexer, length);
  if (e == 'e' || e == 'E') {
    char sign = peek(lexer, length + 1);
    size_t digits = length + (sign == '+' || sign == '-' ? 2 : 1);
    if (is_digit(peek(lexer, digits))) length = count_digits(lexer, digits);
  }
  return length;
}

/* `%` and `@` make a name only where they touch one: `%i % 8` is a remainder. */
static TokenKind scan(const Lexer *lexer, size_t *length) {
  char c = *lexer->at;
  char next = peek(lexer, 1);
  *length = 1;
  if (tile_name_is_start(c)) {
    *length = count_name(lexer, 1);
    return TOKEN_WORD;
  }
  if ((c == '%' || c == '@') && tile_name_is_part(next)) {
    *length = count_name(lexer, 1);
    return c == '%' ? TOKEN_VALUE : TOKEN_KERNEL;
  }
  if (is_digit(c)) {
    *length = count_number(lexer);
    return TOKEN_NUMBER;
  }
  if (next == '=' && strchr("<=!", c) && c) {
    *length = 2;
    return TOKEN_SIGN;
  }
  return c && strchr("+-*/%<>=()[]{},:?", c) ? TOKEN_SIGN : TOKEN_BAD;
}

/* Columns count bytes, as in the diagnostics. */
Token tile_lexer_next(Lexer *lexer) {
  skip_blank(lexer);
  Token token = {.kind = TOKEN_END, .text = lexer->at, .is_first = lexer->is_at_line_start};
  token.pos = (SourcePos){lexer->line, (uint32_t)(lexer->at - lexer->line_start) + 1};
  if (lexer->at == lexer->end) return token;
  token.kind = scan(lexer, &token.length);
  lexer->at += token.length;
  lexer->is_at_line_start = false;
  return token;
}

/* ---- what a token says ------------------------------------------------------------------------------------------- */

bool tile_token_is(Token token, const char *text) {
  return (token.kind == TOKEN_WORD || token.kind == TOKEN_SIGN) && strlen(text) == token.length &&
         memcmp(token.text, text, token.length) == 0;
}

bool tile_token_integer(Token token, bool is_negative, int64_t *number) {
  if (token.kind != TOKEN_NUMBER) return false;
  uint64_t limit = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
  uint64_t value = 0;
  for (size_t i = 0; i < token.length; i++) {
    if (!is_digit(token.text[i])) return false;
    uint64_t digit = (uint64_t)(token.text[i] - '0');
    if (value > (limit - digit) / 10) return false;
    value = 10 * value + digit;
  }
  *number = is_negative ? (int64_t)(0 - value) : (int64_t)value;
  return true;
}

/* Digits without a point and a decimal exponent, which strtod reads alike in every locale. */
bool tile_token_real(Token token, double *number) {
  enum { MAX_LENGTH = 512 };
  if (tile_token_is(token, "inf") || tile_token_is(token, "nan")) {
    *number = token.text[0] == 'i' ? (double)INFINITY : (double)NAN;
    return true;
  }
  if (token.kind != TOKEN_NUMBER || token.length > MAX_LENGTH) return false;
  char digits[MAX_LENGTH + 32];
  size_t count = 0, i = 0;
  long exponent = 0;
  for (bool is_fraction = false; i < token.length && (is_digit(token.text[i]) || token.text[i] == '.'); i++) {
    if (token.text[i] == '.') {
      is_fraction = true;
      continue;
    }
    digits[count++] = token.text[i];
    exponent -= is_fraction ? 1 : 0;
  }
  if (i < token.length) { /* e±digits; far beyond any double it does not matter how far */
    bool is_negative = token.text[i + 1] == '-';
    long written = 0;
    for (; i < token.length; i++) {
      if (is_digit(token.text[i]) && written < 100000) written = 10 * written + (token.text[i] - '0');
    }
    exponent += is_negative ? -written : written;
  }
  snprintf(digits + count, sizeof digits - count, "e%ld", exponent);
  *number = strtod(digits, NULL);
  return true;
}
