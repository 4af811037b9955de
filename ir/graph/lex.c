/* lex.c: graph text cut into tokens.
 *
 * Any bytes will do: what is no token is reported where it stands and becomes TOKEN_BAD. Columns count bytes. */
#include "ir/graph/lex.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 100, MAX_EXPONENT = 100000 };

void lex_init(Lexer *lexer, const char *text, size_t length, Diagnostics *faults) {
  *lexer = (Lexer){.at = text, .end = text + length, .line_start = text, .line = 1, .faults = faults};
}

bool token_is(const Token *token, const char *spelling) {
  return (token->kind == TOKEN_SIGN || token->kind == TOKEN_NAME) && strlen(spelling) == token->length &&
         memcmp(token->start, spelling, token->length) == 0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/* The byte `offset` ahead, 0 past the end. */
static char peek(const Lexer *lexer, size_t offset) {
  return (size_t)(lexer->end - lexer->at) > offset ? lexer->at[offset] : 0;
}

/* Where the lexer stands. */
static SourcePos position(const Lexer *lexer) {
  return (SourcePos){lexer->line, (uint32_t)(lexer->at - lexer->line_start) + 1};
}

static void skip_newline(Lexer *lexer) {
  lexer->at++;
  lexer->line++;
  lexer->line_start = lexer->at;
}

/* Spaces, comments, and newlines inside brackets. */
static void skip_blank(Lexer *lexer) {
  while (lexer->at < lexer->end) {
    char c = *lexer->at;
    if (c == ' ' || c == '\t' || c == '\r') {
      lexer->at++;
    } else if (c == '#') {
      while (lexer->at < lexer->end && *lexer->at != '\n') lexer->at++;
    } else if (c == '\n' && lexer->nesting > 0) {
      skip_newline(lexer);
    } else {
      return;
    }
  }
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* Digits are gathered without their point and the exponent mended instead: `12.5e3` is converted as `125e2`, because
 * what strtod takes for a point depends on the locale. */
typedef struct Digits {
  char text[MAX_DIGITS + 16];
  int count, fraction, exponent;
} Digits;

/* Appends a run of digits; false where there are too many. */
static bool scan_digits(Lexer *lexer, Digits *digits) {
  for (; is_digit(peek(lexer, 0)); lexer->at++) {
    if (digits->count == MAX_DIGITS) return false;
    digits->text[digits->count++] = *lexer->at;
  }
  return true;
}

/* An `e` that no digits follow is left for the caller, who finds a letter behind a number. */
static void scan_exponent(Lexer *lexer, Digits *digits) {
  char sign = peek(lexer, 1);
  bool has_sign = sign == '+' || sign == '-';
  if ((peek(lexer, 0) != 'e' && peek(lexer, 0) != 'E') || !is_digit(peek(lexer, has_sign ? 2 : 1))) return;
  lexer->at += has_sign ? 2 : 1;
  for (; is_digit(peek(lexer, 0)); lexer->at++)
    if (digits->exponent < MAX_EXPONENT) digits->exponent = digits->exponent * 10 + (*lexer->at - '0');
  if (has_sign && sign == '-') digits->exponent = -digits->exponent;
}

/* Appends the exponent as text; far exponents become 0 or infinity in strtod, as they should. */
static double convert(Digits *digits) {
  int exponent = digits->exponent - digits->fraction, count = digits->count;
  unsigned magnitude = (unsigned)abs(exponent);
  char reversed[16];
  int length = 0;
  do reversed[length++] = (char)('0' + magnitude % 10);
  while (magnitude /= 10);
  digits->text[count++] = 'e';
  digits->text[count++] = exponent < 0 ? '-' : '+';
  while (length > 0) digits->text[count++] = reversed[--length];
  digits->text[count] = 0;
  return strtod(digits->text, NULL);
}

/* Digits, point, exponent. What sticks to a number makes it none: `2x` is not 2 times x. */
static void scan_number(Lexer *lexer, Token *token) {
  Digits digits = {.count = 0};
  bool fits = scan_digits(lexer, &digits);
  token->is_whole = true;
  if (fits && peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
    int whole = digits.count;
    lexer->at++;
    fits = scan_digits(lexer, &digits);
    digits.fraction = digits.count - whole;
    token->is_whole = false;
  }
  const char *before = lexer->at;
  if (fits) scan_exponent(lexer, &digits);
  if (lexer->at != before) token->is_whole = false;
  bool is_clean = fits && !is_letter(peek(lexer, 0)) && !is_digit(peek(lexer, 0));
  while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0))) lexer->at++;
  token->length = (size_t)(lexer->at - token->start);
  token->kind = is_clean ? TOKEN_NUMBER : TOKEN_BAD;
  if (is_clean) token->number = convert(&digits);
  else
    diagnostics_report(lexer->faults, token->pos, fits ? "'%.*s' is no number" : "'%.*s...' has too many digits",
                       token->length > 40 ? 40 : (int)token->length, token->start);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void scan_name(Lexer *lexer, Token *token) {
  while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0))) lexer->at++;
  token->length = (size_t)(lexer->at - token->start);
  token->kind = TOKEN_NAME;
  if (token_is(token, "inf")) token->kind = TOKEN_NUMBER, token->number = INFINITY;
  else if (token_is(token, "nan")) token->kind = TOKEN_NUMBER, token->number = NAN;
}

/* `<= >= == != .T` */
static bool is_pair(const Lexer *lexer) {
  char c = peek(lexer, 0), next = peek(lexer, 1), third = peek(lexer, 2);
  if (next == '=') return c == '<' || c == '>' || c == '=' || c == '!';
  return c == '.' && next == 'T' && !is_letter(third) && !is_digit(third);
}

/* The bytes of one UTF-8 character are one fault. */
static void refuse_byte(Lexer *lexer, Token *token) {
  char c = peek(lexer, 0);
  token->kind = TOKEN_BAD;
  if (c > ' ' && c < 0x7f) diagnostics_report(lexer->faults, token->pos, "'%c' is no sign of the language", c);
  else
    diagnostics_report(lexer->faults, token->pos, "the byte 0x%02x is no sign of the language",
                       (unsigned)(unsigned char)c);
  while ((unsigned char)c >= 0xc0 && ((unsigned char)peek(lexer, token->length) & 0xc0) == 0x80) token->length++;
}

static void scan_sign(Lexer *lexer, Token *token) {
  static const char singles[] = ":,()[]=+-*/@<>";
  char c = peek(lexer, 0);
  token->length = 1;
  if (is_pair(lexer)) {
    token->kind = TOKEN_SIGN;
    token->length = 2;
  } else if (c && strchr(singles, c)) {
    token->kind = TOKEN_SIGN;
    if (c == '(' || c == '[') lexer->nesting++;
    if ((c == ')' || c == ']') && lexer->nesting > 0) lexer->nesting--;
  } else {
    refuse_byte(lexer, token);
  }
  lexer->at += token->length;
}

bool lex_at_definition(const Lexer *lexer) {
  size_t offset = 0;
  while (peek(lexer, offset) == ' ' || peek(lexer, offset) == '\t') offset++;
  char c = peek(lexer, offset);
  return c == ':' || (c == '=' && peek(lexer, offset + 1) != '=');
}

Token lex_next(Lexer *lexer) {
  const char *before = lexer->at;
  uint32_t line = lexer->line;
  skip_blank(lexer);
  Token token = {.pos = position(lexer),
                 .start = lexer->at,
                 .touches_last = before == lexer->at,
                 .begins_line = line != lexer->line};
  char c = peek(lexer, 0);
  if (lexer->at == lexer->end) {
    token.kind = TOKEN_END;
  } else if (c == ';' || c == '\n') {
    token.kind = TOKEN_SEPARATOR;
    token.length = 1;
    if (c == '\n') skip_newline(lexer);
    else lexer->at++;
  } else if (is_digit(c)) {
    scan_number(lexer, &token);
  } else if (is_letter(c)) {
    scan_name(lexer, &token);
  } else {
    scan_sign(lexer, &token);
  }
  return token;
}
