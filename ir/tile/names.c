/* names.c: the hash table of names: open addressing, at most half full. */
#include "ir/tile/names.h"

#include <string.h>

void tile_names_init(Names *names, Arena *arena) { *names = (Names){.arena = arena}; }

static size_t hash_name(const char *text, size_t length) { /* FNV-1a */
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
  return (size_t)(hash ^ hash >> 32);
}

/* Where the name is, or the free slot where it would be. */
static Name **find_slot(Name **slots, size_t capacity, const char *text, size_t length) {
  size_t i = hash_name(text, length) & (capacity - 1);
  while (slots[i] && (slots[i]->length != length || memcmp(slots[i]->text, text, length) != 0))
    i = (i + 1) & (capacity - 1);
  return &slots[i];
}

/* Twice the slots; entries stay where they are, so pointers to them remain valid. */
static bool grow(Names *names) {
  size_t capacity = names->capacity ? 2 * names->capacity : 64;
  Name **slots = ARENA_ARRAY(names->arena, Name *, capacity);
  if (arena_has_failed(names->arena)) return false;
  for (size_t i = 0; i < names->capacity; i++) {
    if (names->slots[i]) *find_slot(slots, capacity, names->slots[i]->text, names->slots[i]->length) = names->slots[i];
  }
  names->slots = slots;
  names->capacity = capacity;
  return true;
}

Name *tile_names_get(Names *names, const char *text, size_t length) {
  if (2 * names->count >= names->capacity && !grow(names)) return NULL;
  Name **slot = find_slot(names->slots, names->capacity, text, length);
  if (*slot) return *slot;
  Name *name = ARENA_NEW(names->arena, Name);
  if (arena_has_failed(names->arena)) return NULL;
  *name = (Name){.text = text, .length = length, .next_suffix = 1};
  names->count++;
  return *slot = name;
}

bool tile_names_has(const Names *names, const char *text, size_t length) {
  return names->count > 0 && *find_slot(names->slots, names->capacity, text, length) != NULL;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool tile_name_is_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool tile_name_is_part(char c) { return tile_name_is_start(c) || is_digit(c) || c == '.'; }

bool tile_name_is_valid(const char *name) {
  if (!tile_name_is_start(name[0])) return false;
  for (const char *c = name; *c; c++) {
    if (!tile_name_is_part(*c)) return false;
  }
  return true;
}
