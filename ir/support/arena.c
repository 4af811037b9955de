/* arena.c: the default allocator, arenas and growing arrays in them.
 *
 * Blocks double from 16 KiB to 1 MiB; a request that is large for its block gets one of its own, so the newest block
 * keeps filling. When the arena's allocator fails, the arena notes it and goes on with memory from allocator_default:
 * what was built so far stays sound until the owner looks at `failed`, whatever the embedder's budget. Large requests
 * then get NULL instead, except those of growing arrays. Under AddressSanitizer, unused bytes of a block and a gap
 * behind each allocation are poisoned. */
#include "ir/support/support.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef HAS_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
enum { GAP = 16 };
static void poison(const void *start, size_t bytes) { __asan_poison_memory_region(start, bytes); }
static void unpoison(const void *start, size_t bytes) { __asan_unpoison_memory_region(start, bytes); }
#else
enum { GAP = 0 };
static void poison(const void *start, size_t bytes) { (void)start, (void)bytes; }
static void unpoison(const void *start, size_t bytes) { (void)start, (void)bytes; }
#endif

enum { ALIGNMENT = 16, FIRST_BLOCK = 16 << 10, LAST_BLOCK = 1 << 20, LARGE = 64 << 10 };

struct ArenaBlock {
  ArenaBlock *older;
  size_t capacity;      /* of data */
  bool is_from_default; /* release with allocator_default */
  _Alignas(ALIGNMENT) char data[];
};

static void *default_alloc(void *ctx, size_t bytes, size_t align) {
  (void)ctx;
  if (align <= _Alignof(max_align_t)) return malloc(bytes ? bytes : 1);
  if (bytes > SIZE_MAX - align) return NULL;
  return aligned_alloc(align, bytes ? (bytes + align - 1) / align * align : align);
}

static void default_release(void *ctx, void *memory) {
  (void)ctx;
  free(memory);
}

const Allocator allocator_default = {NULL, default_alloc, default_release};

void arena_init(Arena *arena, const Allocator *allocator) {
  *arena = (Arena){.allocator = allocator ? *allocator : allocator_default};
}

void arena_release(Arena *arena) {
  ArenaBlock *block = arena->blocks;
  while (block) {
    ArenaBlock *older = block->older;
    const Allocator *owner = block->is_from_default ? &allocator_default : &arena->allocator;
    unpoison(block->data, block->capacity);
    owner->release(owner->ctx, block);
    block = older;
  }
  Allocator allocator = arena->allocator;
  arena_init(arena, &allocator);
}

bool arena_has_failed(const Arena *arena) { return arena->failed; }

/* A block with `capacity` bytes of data, not yet in the list; NULL only where `may_fail`. */
static ArenaBlock *make_block(Arena *arena, size_t capacity, bool may_fail) {
  size_t bytes = sizeof(ArenaBlock) + capacity;
  ArenaBlock *block = arena->allocator.alloc(arena->allocator.ctx, bytes, ALIGNMENT);
  bool is_from_default = false;
  if (!block) {
    arena->failed = true;
    if (may_fail) return NULL;
    block = allocator_default.alloc(NULL, bytes, ALIGNMENT);
    is_from_default = true;
    KILN_ASSERT(block);
  }
  block->capacity = capacity;
  block->is_from_default = is_from_default;
  poison(block->data, capacity);
  arena->total_bytes += bytes;
  return block;
}

static void *take(char *memory, size_t bytes) {
  unpoison(memory, bytes);
  return memset(memory, 0, bytes);
}

static void *alloc(Arena *arena, size_t bytes, bool may_fail) {
  if (bytes > PTRDIFF_MAX / 2) {
    arena->failed = true;
    KILN_ASSERT(may_fail);
    return NULL;
  }
  size_t rounded = ((bytes ? bytes : 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + GAP;
  if (arena->capacity - arena->used < rounded) {
    size_t next = arena->capacity < FIRST_BLOCK ? FIRST_BLOCK : arena->capacity * 2;
    if (next > LAST_BLOCK) next = LAST_BLOCK;
    bool is_alone = rounded > next / 4;
    ArenaBlock *block = make_block(arena, is_alone ? rounded : next, may_fail);
    if (!block) return NULL;
    if (is_alone && arena->blocks) {
      block->older = arena->blocks->older;
      arena->blocks->older = block;
      return take(block->data, bytes);
    }
    block->older = arena->blocks;
    arena->blocks = block;
    arena->capacity = block->capacity;
    arena->used = 0;
  }
  void *memory = take(arena->blocks->data + arena->used, bytes);
  arena->used += rounded;
  return memory;
}

void *arena_alloc(Arena *arena, size_t bytes) { return alloc(arena, bytes, bytes >= LARGE); }

char *arena_copy(Arena *arena, const char *text, size_t length) {
  char *copy = alloc(arena, length + 1, false);
  if (length) memcpy(copy, text, length);
  return copy;
}

void *arena_grow(Arena *arena, void *items, size_t *capacity, size_t item_bytes) {
  size_t grown = *capacity < 4 ? 8 : *capacity * 2;
  void *memory = alloc(arena, grown * item_bytes, false);
  if (*capacity) memcpy(memory, items, *capacity * item_bytes);
  *capacity = grown;
  return memory;
}
