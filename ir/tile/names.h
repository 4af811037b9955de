/* names.h: a table of names, by hash: the parser's scope and the printer's guard against giving a name twice. */
#ifndef KILN_IR_TILE_NAMES_H
#define KILN_IR_TILE_NAMES_H

#include "ir/tile/tile.h"

typedef struct Name {
  const char *text; /* not copied */
  size_t length;
  SourcePos pos; /* parser: where it was defined */
  Value *value;  /* parser: what it means; NULL with is_defined: a value that could not be parsed */
  bool is_defined;
  int next_suffix; /* printer: the next `.N` to try */
} Name;

typedef struct Names {
  Arena *arena;
  Name **slots;
  size_t capacity, count;
} Names;

void tile_names_init(Names *names, Arena *arena);
/* The entry of a name, made where there is none; NULL when out of memory. */
Name *tile_names_get(Names *names, const char *text, size_t length);
bool tile_names_has(const Names *names, const char *text, size_t length);

/* Identifiers: a letter or `_`, then letters, digits, `_` and `.`; a value's name may also begin with a digit. */
bool tile_name_is_start(char c);
bool tile_name_is_part(char c);
bool tile_name_is_valid(const char *name);

#endif
