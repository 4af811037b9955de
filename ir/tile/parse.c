/* parse.c: the parser's entry, its tokens and names, and kernels with their headers. */
#include "ir/tile/parse.h"

#include <string.h>

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

void tile_parse_advance(Parser *p) {
  p->last = p->token.pos;
  p->token = tile_lexer_next(&p->lexer);
}

bool tile_parse_accept(Parser *p, const char *text) {
  if (!tile_token_is(p->token, text)) return false;
  tile_parse_advance(p);
  return true;
}

void tile_parse_fail(Parser *p, SourcePos pos, const char *format, ...) {
  va_list args;
  va_start(args, format);
  diagnostics_vreport(p->faults, pos, format, args);
  va_end(args);
}

/* Text from outside may hold anything: a long token is cut, a byte that is no visible ASCII is shown by its number. */
void tile_parse_fail_expected(Parser *p, const char *expected) {
  enum { SHOWN = 60 };
  Token token = p->token;
  int length = token.length > SHOWN ? SHOWN : (int)token.length;
  if (token.kind == TOKEN_END) tile_parse_fail(p, token.pos, "expected %s, found the end of the text", expected);
  else if (token.kind == TOKEN_BAD && (unsigned char)(*token.text - ' ') > '~' - ' ')
    tile_parse_fail(p, token.pos, "expected %s, found the byte 0x%02x", expected, (unsigned char)*token.text);
  else tile_parse_fail(p, token.pos, "expected %s, found '%.*s'", expected, length, token.text);
}

bool tile_parse_expect(Parser *p, const char *text) {
  if (tile_parse_accept(p, text)) return true;
  char quoted[32] = "'";
  strncat(quoted, text, sizeof quoted - 3);
  strcat(quoted, "'");
  tile_parse_fail_expected(p, quoted);
  return false;
}

bool tile_parse_has_ended(const Parser *p) {
  return p->token.kind == TOKEN_END || arena_has_failed(&p->arena) || arena_has_failed(&p->kernel->module->arena);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static Name *name_of(Parser *p, Token token) { return tile_names_get(&p->names, token.text + 1, token.length - 1); }

/* Shadowing is refused: a name means one thing wherever it is visible. An unknown value is defined without a word, as
 * the fault behind it has been reported. */
void tile_parse_define(Parser *p, Token token, Value *value) {
  Name *name = name_of(p, token);
  if (!name) return;
  if (name->is_defined) {
    if (value)
      tile_parse_fail(p, token.pos, "'%.*s' is already defined on line %u", (int)token.length, token.text,
                      name->pos.line);
    return;
  }
  name->is_defined = true;
  name->value = value;
  name->pos = token.pos;
  VECTOR_PUSH(&p->arena, p->scope, name);
}

/* A name that is not there is reported at its first use only: from then on it is unknown. */
Value *tile_parse_value(Parser *p) {
  Token token = p->token;
  Name *name = name_of(p, token);
  tile_parse_advance(p);
  if (!name) return NULL;
  if (!name->is_defined) {
    if (name->pos.line > 0)
      tile_parse_fail(p, token.pos, "'%.*s' is not visible here: its block, of line %u, has ended", (int)token.length,
                      token.text, name->pos.line);
    else tile_parse_fail(p, token.pos, "'%.*s' is not defined", (int)token.length, token.text);
    tile_parse_define(p, token, NULL);
  }
  return name->value;
}

/* ---- kernel headers ---------------------------------------------------------------------------------------------- */

static bool is_kernel_start(const Parser *p) { return p->token.is_first && tile_token_is(p->token, "kernel"); }

/* Buffer types name symbols that are declared after them, so these are collected first, without reports. */
static void collect_symbols(Parser *p) {
  Lexer lexer = p->lexer;
  Token token = p->token;
  while (p->token.kind != TOKEN_END && !tile_parse_accept(p, ")")) tile_parse_advance(p);
  for (;;) {
    bool is_param = tile_token_is(p->token, "params");
    if (!is_param && !tile_token_is(p->token, "symbols")) break;
    do {
      tile_parse_advance(p);
      if (p->token.kind != TOKEN_WORD || p->kernel->symbols.count == TILE_MAX_SYMBOLS) break;
      kernel_symbol(p->kernel, arena_copy(&p->arena, p->token.text, p->token.length), is_param);
      tile_parse_advance(p);
    } while (tile_token_is(p->token, ","));
  }
  p->lexer = lexer;
  p->token = token;
}

/* `name, name …`; these are `*next` and following of the collected ones, unless one occurred before. */
static bool parse_symbols(Parser *p, size_t *next) {
  do {
    Token token = p->token;
    OpCode code;
    if (token.kind != TOKEN_WORD) {
      tile_parse_fail_expected(p, "the name of a symbol");
      return false;
    }
    if (op_find(token.text, token.length, &code))
      tile_parse_fail(p, token.pos, "'%.*s' is an operation, so no symbol can be called that", (int)token.length,
                      token.text);
    int found = kernel_find_symbol(p->kernel, token.text, token.length);
    if (found < 0) {
      tile_parse_fail(p, token.pos, "a kernel has at most %d symbols", TILE_MAX_SYMBOLS);
      return false;
    }
    if ((size_t)found == *next) (*next)++;
    else tile_parse_fail(p, token.pos, "the symbol '%.*s' is declared twice", (int)token.length, token.text);
    tile_parse_advance(p);
  } while (tile_parse_accept(p, ","));
  return true;
}

/* `%a: buf<…>`, also appended to the kernel. */
static bool parse_buffer(Parser *p) {
  Token name = p->token;
  TileType type;
  if (name.kind != TOKEN_VALUE) {
    tile_parse_fail_expected(p, "a buffer, such as '%a: buf<f32, [m, k]>'");
    return false;
  }
  tile_parse_advance(p);
  if (!tile_parse_expect(p, ":")) return false;
  SourcePos pos = p->token.pos;
  if (!tile_parse_type(p, &type)) return false;
  if (type.kind != KIND_BUF) {
    tile_parse_fail(p, pos, "'%.*s' must be a buffer: expected the type 'buf<…>'", (int)name.length, name.text);
    return false;
  }
  const char *text = arena_copy(&p->arena, name.text + 1, name.length - 1);
  tile_parse_define(p, name, kernel_buffer(p->kernel, text, type.buf));
  return true;
}

static bool parse_buffers(Parser *p) {
  if (!tile_parse_expect(p, "(")) return false;
  if (tile_parse_accept(p, ")")) return true;
  do {
    if (!parse_buffer(p)) return false;
  } while (tile_parse_accept(p, ","));
  return tile_parse_expect(p, ")");
}

/* An expression of symbols and numbers; a %value in it is refused by tile_parse_expression. */
static bool parse_host(Parser *p, const char *clause, Value **value) {
  if (!tile_parse_accept(p, clause)) return true;
  p->b.block = p->kernel->header;
  *value = tile_parse_expression(p, PRECEDENCE_ANY);
  return *value != NULL;
}

/* All between the kernel's name and its `{`. */
static bool parse_header(Parser *p) {
  size_t next = 0;
  collect_symbols(p);
  return parse_buffers(p) && (!tile_parse_accept(p, "symbols") || parse_symbols(p, &next)) &&
         (!tile_parse_accept(p, "params") || parse_symbols(p, &next)) &&
         parse_host(p, "workspace", &p->kernel->workspace) && parse_host(p, "tasks", &p->kernel->tasks);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

/* Without its header, what a kernel's body says cannot be judged. */
static void skip_to_kernel(Parser *p) {
  do tile_parse_advance(p);
  while (p->token.kind != TOKEN_END && !is_kernel_start(p));
}

/* A kernel whose header is faulty is left out of the module. */
static void parse_kernel(Parser *p, Module *module) {
  SourcePos pos = p->token.pos;
  tile_parse_advance(p);
  Token name = p->token;
  if (name.kind != TOKEN_KERNEL) {
    tile_parse_fail_expected(p, "the kernel's name, such as '@scale'");
    skip_to_kernel(p);
    return;
  }
  p->kernel = kernel_create(module, arena_copy(&p->arena, name.text + 1, name.length - 1));
  p->kernel->pos = pos;
  p->b = builder_of(p->kernel, p->kernel->header);
  p->scope.count = 0;
  p->block_depth = p->expression_depth = 0;
  tile_names_init(&p->names, &p->arena);
  tile_parse_advance(p);
  if (!parse_header(p) || !tile_parse_expect(p, "{")) {
    module->kernels.count--;
    if (!is_kernel_start(p)) skip_to_kernel(p);
    return;
  }
  Token task = {.kind = TOKEN_VALUE, .text = "%task", .length = 5, .pos = pos};
  tile_parse_define(p, task, kernel_task(p->kernel));
  tile_parse_block(p, p->kernel->body);
}

Module *tile_parse(const char *text, size_t length, const Allocator *allocator, Diagnostics *faults) {
  Module *module = module_create(allocator);
  if (!module) return NULL;
  Parser p = {.faults = faults};
  tile_lexer_init(&p.lexer, text, length);
  arena_init(&p.arena, allocator);
  tile_parse_advance(&p);
  while (p.token.kind != TOKEN_END && !arena_has_failed(&p.arena) && !arena_has_failed(&module->arena)) {
    if (tile_token_is(p.token, "kernel")) {
      parse_kernel(&p, module);
    } else {
      tile_parse_fail_expected(&p, "'kernel'");
      skip_to_kernel(&p);
    }
  }
  bool has_failed = arena_has_failed(&p.arena) || arena_has_failed(&module->arena);
  arena_release(&p.arena);
  if (!has_failed) return module;
  module_destroy(module);
  return NULL;
}
