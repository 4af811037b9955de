/* support.h: what every room uses: memory, text, diagnostics, assertions.
 *
 * Memory of one compile lives in an arena and is released at once; nothing in an arena is freed on its own. Allocation
 * goes through the embedder's allocator. An arena that runs out of memory longjmps nowhere: it records the failure
 * (`arena->failed`) and hands out memory from a small emergency block until the owner checks, so callers need no test
 * at each allocation; every public entry checks once, with arena_has_failed, before it trusts a result. */
#ifndef KILN_IR_SUPPORT_H
#define KILN_IR_SUPPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kiln/base.h"

#define KILN_ASSERT(condition) ((condition) ? (void)0 : kiln_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void kiln_assert_failed(const char *condition, const char *file, int line);

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#define PRINTF_LIKE(string, first) __attribute__((format(printf, string, first)))
#else
#define PRINTF_LIKE(string, first)
#endif

/* ---- allocator ------------------------------------------------------------------------------------------------ */

typedef kiln_allocator Allocator;

extern const Allocator allocator_default; /* aligned_alloc and free */

/* ---- arena ---------------------------------------------------------------------------------------------------- */

typedef struct ArenaBlock ArenaBlock;
typedef struct Arena {
  Allocator allocator;
  ArenaBlock *blocks;
  size_t used, capacity; /* of the newest block */
  size_t total_bytes;
  bool failed;
} Arena;

void arena_init(Arena *arena, const Allocator *allocator);       /* NULL: allocator_default */
void arena_release(Arena *arena);                                /* frees everything; the arena may be used again */
void *arena_alloc(Arena *arena, size_t bytes);                   /* zeroed, 16-byte aligned, never NULL below 64 KiB */
char *arena_copy(Arena *arena, const char *text, size_t length); /* NUL-terminated copy */
bool arena_has_failed(const Arena *arena);
#define ARENA_NEW(arena, Type) ((Type *)arena_alloc((arena), sizeof(Type)))
#define ARENA_ARRAY(arena, Type, count) ((Type *)arena_alloc((arena), sizeof(Type) * (size_t)(count)))

/* ---- vector: a growing array in an arena ------------------------------------------------------------------------ */

/* Use: `VECTOR(Node *) nodes = {0}; VECTOR_PUSH(arena, nodes, node); nodes.items[i]; nodes.count`. Growth leaves the
 * old array behind in the arena. */
#define VECTOR(Type)                                                                                                   \
  struct {                                                                                                             \
    Type *items;                                                                                                       \
    size_t count, capacity;                                                                                            \
  }
#define VECTOR_PUSH(arena, vector, item)                                                                               \
  do {                                                                                                                 \
    if ((vector).count == (vector).capacity)                                                                           \
      (vector).items = arena_grow((arena), (vector).items, &(vector).capacity, sizeof *(vector).items);                \
    (vector).items[(vector).count++] = (item);                                                                         \
  } while (0)
void *arena_grow(Arena *arena, void *items, size_t *capacity, size_t item_bytes); /* doubles, copies, at least 8 */

/* ---- text buffer ------------------------------------------------------------------------------------------------ */

/* A growing NUL-terminated string owned by an allocator. After a failed growth further appends are dropped and `failed`
 * is set; `text_get` then gives what was written before. */
typedef struct Text {
  Allocator allocator;
  char *data;
  size_t length, capacity;
  bool failed;
} Text;

void text_init(Text *text, const Allocator *allocator);
void text_release(Text *text);
void text_clear(Text *text);
void text_add(Text *text, const char *string);
void text_add_bytes(Text *text, const void *bytes, size_t length);
void text_add_char(Text *text, char c);
void text_printf(Text *text, const char *format, ...) PRINTF_LIKE(2, 3);
void text_vprintf(Text *text, const char *format, va_list args);
void text_pad(Text *text, size_t column); /* spaces up to this column of the current line, at least none */
const char *text_get(const Text *text);   /* never NULL */

/* The shortest decimal text that reads back as exactly this f64: `1`, `0.5`, `1e-05`, `inf`, `nan`. */
void text_add_number(Text *text, double number);
/* A JSON string with quotes and escapes. */
void text_add_json(Text *text, const char *string, size_t length);

/* ---- diagnostics ------------------------------------------------------------------------------------------------ */

typedef struct SourcePos {
  uint32_t line, column; /* from 1; line 0: no position in a text */
} SourcePos;

typedef struct Diagnostic {
  SourcePos pos;
  const char *message; /* lower case, quotes the offending name, says what was found and what was expected */
} Diagnostic;

/* All faults of one text or one graph, in the order found. Reporting stops at a limit, so that hostile input cannot
 * fill memory: `suppressed` counts the rest. */
typedef struct Diagnostics {
  Arena arena;
  VECTOR(Diagnostic) list;
  size_t suppressed;
} Diagnostics;

#define DIAGNOSTICS_LIMIT 100

void diagnostics_init(Diagnostics *diagnostics, const Allocator *allocator);
void diagnostics_release(Diagnostics *diagnostics);
void diagnostics_report(Diagnostics *diagnostics, SourcePos pos, const char *format, ...) PRINTF_LIKE(3, 4);
void diagnostics_vreport(Diagnostics *diagnostics, SourcePos pos, const char *format, va_list args);
/* `3:14: message`, the line of `source` (may be NULL) and a caret below the column, for each. */
void diagnostics_print(const Diagnostics *diagnostics, const char *source_name, const char *source, size_t length,
                       Text *out);

/* ---- types ------------------------------------------------------------------------------------------------------ */

typedef enum TypeClass { CLASS_FLOATING, CLASS_SIGNED, CLASS_UNSIGNED, CLASS_LOGICAL } TypeClass;

unsigned type_bits(kiln_type type);
TypeClass type_class(kiln_type type);
const char *type_meaning(kiln_type type);
bool type_find(const char *name, size_t length, kiln_type *type);
static inline bool type_is_floating(kiln_type type) { return type_class(type) == CLASS_FLOATING; }
static inline bool type_is_integer(kiln_type type) {
  return type_class(type) == CLASS_SIGNED || type_class(type) == CLASS_UNSIGNED;
}
/* Bytes of `count` consecutive elements; nibbles round up. */
size_t type_bytes(kiln_type type, size_t count);
/* What an unannotated value of this type is computed in: f64, f32 or i32. */
kiln_type type_compute(kiln_type type);

/* Round a real to what the type can hold and back: floats to nearest even (overflow: infinity, or NaN in f8e4m3 which
 * has none), integers to nearest even and saturated, NaN to 0; bool to 0 or 1. */
double type_round(kiln_type type, double value);
/* Read and write element `index` of an array of the type; nibbles by half byte. `store` rounds as above. */
double type_load(kiln_type type, const void *base, size_t index);
void type_store(kiln_type type, void *base, size_t index, double value);

/* ---- logging ---------------------------------------------------------------------------------------------------- */

/* Drops the event where `log` is NULL or has no callback. */
void log_event(const kiln_log *log, kiln_log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
