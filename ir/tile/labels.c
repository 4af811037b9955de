/* labels.c: which values are written in place, and names for the others, each once in the kernel.
 *
 * An INFIX or CALL result without a name, used once and in its own block, is written where it is used, as long as the
 * expression stays at most EXPRESSION_DEPTH deep (the parser's recursion is bounded). Parsing such an expression makes
 * the same operations, so printing what was parsed gives the same text. All else gets a name: its own, with `.1`, `.2`
 * … where that is taken, or a number; a name of digits counts as none, for numbers are given anew. */
#include "ir/tile/labels.h"

#include <stdio.h>
#include <string.h>

#include "ir/tile/names.h"
#include "ir/tile/syntax.h"

typedef struct Labeler {
  Labels *labels;
  Names names;
  uint8_t *depths; /* by value id: 1 + operations written in place below it; 0: not seen yet */
  int next_number;
} Labeler;

static bool is_anonymous(const Value *value) {
  return !value->name || strspn(value->name, "0123456789") == strlen(value->name);
}

/* What has a place in an expression, and so can be written where it is used. */
static bool is_expression(const Op *op) {
  OpSyntax syntax = op_info(op->code)->syntax;
  return syntax == SYNTAX_INFIX || syntax == SYNTAX_CALL;
}

/* ---- what is written in place ------------------------------------------------------------------------------------ */

static const char in_place[] = "";

/* Depths are those of what stands before, so an operand that comes later, which is a fault, is not placed: a cycle of
 * values never leads to endless printing. */
static void place_operands(Labeler *l, const Op *op) {
  int depth = 0;
  for (int i = 0; i < op->operand_count; i++) {
    const Value *value = op->operands[i];
    if (!value || !value->op || value->block != op->block || value->use_count != 1 || !is_expression(value->op) ||
        !is_anonymous(value))
      continue;
    int below = l->depths[value->id];
    if (below == 0 || below > EXPRESSION_DEPTH) continue;
    l->labels->names[value->id] = in_place;
    depth = below > depth ? below : depth;
  }
  if (is_expression(op) && op->result_count == 1) l->depths[op->results[0].id] = (uint8_t)(depth + 1);
}

static void place_block(Labeler *l, const Block *block, int nesting) {
  if (nesting > TILE_MAX_NESTING) return;
  for (const Op *op = block->first; op; op = op->next) {
    place_operands(l, op);
    for (int i = 0; i < op->block_count; i++) {
      if (op->blocks[i]) place_block(l, op->blocks[i], nesting + 1);
    }
  }
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* What a builder called a value, with `_` for what no identifier has; NULL: nothing. */
static char *wanted_name(Labeler *l, const Value *value) {
  if (is_anonymous(value)) return NULL;
  char *name = arena_copy(&l->labels->arena, value->name, strlen(value->name));
  for (char *c = name; *c; c++) {
    if (!tile_name_is_part(*c)) *c = '_';
  }
  return name;
}

/* `name.3`, or `3` where there is no name. */
static const char *numbered(Labeler *l, const char *name, int number) {
  char suffix[16];
  int digits = snprintf(suffix, sizeof suffix, "%s%d", name ? "." : "", number);
  size_t length = name ? strlen(name) : 0;
  char *text = arena_alloc(&l->labels->arena, length + (size_t)digits + 1);
  if (!text) return "";
  if (name) memcpy(text, name, length);
  memcpy(text + length, suffix, (size_t)digits + 1);
  return text;
}

/* `next_suffix` remembers where to go on, so that a thousand equal names take no million looks. */
static void give_name(Labeler *l, const Value *value) {
  const char **label = &l->labels->names[value->id];
  if (*label == in_place) {
    *label = NULL;
    return;
  }
  const char *wanted = wanted_name(l, value);
  if (!wanted) {
    *label = numbered(l, NULL, l->next_number++);
    return;
  }
  const char *name = wanted;
  bool is_taken = tile_names_has(&l->names, name, strlen(name));
  Name *base = tile_names_get(&l->names, wanted, strlen(wanted));
  while (base && is_taken) {
    name = numbered(l, wanted, base->next_suffix++);
    is_taken = tile_names_has(&l->names, name, strlen(name));
  }
  tile_names_get(&l->names, name, strlen(name));
  *label = name;
}

/* In the order in which the printer comes by, so that numbers ascend. */
static void name_block(Labeler *l, const Block *block, int nesting) {
  if (nesting > TILE_MAX_NESTING || arena_has_failed(&l->labels->arena)) return;
  for (const Op *op = block->first; op; op = op->next) {
    if (op_info(op->code)->syntax == SYNTAX_LITERAL) continue;
    for (int i = 0; i < op->result_count; i++) give_name(l, &op->results[i]);
    for (int i = 0; i < op->block_count; i++) {
      if (!op->blocks[i]) continue;
      for (int j = 0; j < op->blocks[i]->argument_count; j++) give_name(l, op->blocks[i]->arguments[j]);
      name_block(l, op->blocks[i], nesting + 1);
    }
  }
}

/* ---- entry ------------------------------------------------------------------------------------------------------- */

bool tile_labels_init(Labels *labels, const Kernel *kernel) {
  arena_init(&labels->arena, &kernel->module->arena.allocator);
  labels->names = ARENA_ARRAY(&labels->arena, const char *, kernel->value_count);
  Labeler l = {.labels = labels};
  tile_names_init(&l.names, &labels->arena);
  l.depths = ARENA_ARRAY(&labels->arena, uint8_t, kernel->value_count);
  if (arena_has_failed(&labels->arena)) return false;
  place_block(&l, kernel->body, 1);
  tile_names_get(&l.names, "task", 4);
  labels->names[kernel_task(kernel)->id] = "task";
  for (size_t i = 0; i < kernel->buffers.count; i++) give_name(&l, kernel->buffers.items[i]);
  name_block(&l, kernel->body, 1);
  return !arena_has_failed(&labels->arena);
}

void tile_labels_release(Labels *labels) { arena_release(&labels->arena); }
