/* workspace.c: memory for calls that bring no workspace of their own. Blocks stay with the engine between calls, a few
 * at most: fresh memory costs a page fault for every 4 KiB, which took up to half the time of a product that packs.
 *
 * A block is lent to one call at a time; slots are taken and given back without a lock. */
#define _GNU_SOURCE /* madvise */
#include <string.h>
#include <sys/mman.h>

#include "runtime/runtime.h"

/* What lies before the memory a call gets. */
typedef struct Loan {
  size_t bytes; /* of that memory */
} Loan;

enum { ALIGN = 64, ROUND_BYTES = 64 << 10, PAGE = 2 << 20 };

/* Advice: memory without huge pages is as good as before. */
static void advise(void *start, size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(start, bytes, MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
}

void *rt_allocate(const Allocator *allocator, size_t *bytes) {
  size_t unit = *bytes > PAGE / 2 ? PAGE : ROUND_BYTES;
  if (*bytes > SIZE_MAX - unit) return NULL;
  *bytes = *bytes > 0 ? (*bytes + unit - 1) / unit * unit : unit;
  void *start = allocator->alloc(allocator->ctx, *bytes, unit == PAGE ? PAGE : ALIGN);
  if (start && unit == PAGE) advise(start, *bytes);
  return start;
}

static Loan *block_of(void *memory) { return (Loan *)(void *)((char *)memory - ALIGN); }

static void release(const kiln_engine *engine, void *memory) {
  if (memory) engine->allocator.release(engine->allocator.ctx, block_of(memory));
}

void *rt_workspace_take(kiln_engine *engine, size_t bytes) {
  for (int i = 0; i < WORKSPACES_KEPT; ++i) {
    if (!atomic_load_explicit(&engine->workspaces[i], memory_order_relaxed)) continue;
    void *memory = atomic_exchange_explicit(&engine->workspaces[i], NULL, memory_order_acquire);
    if (memory && block_of(memory)->bytes >= bytes) return memory;
    release(engine, memory); /* too small: what replaces it will do for both */
  }
  if (bytes > SIZE_MAX - ALIGN) return NULL;
  bytes += ALIGN;
  char *start = rt_allocate(&engine->allocator, &bytes);
  if (!start) return NULL;
  ((Loan *)(void *)start)->bytes = bytes - ALIGN;
  return start + ALIGN;
}

void rt_workspace_begin(void *memory, size_t bytes) {
  memset(memory, 0, bytes < KILN_WORKSPACE_ZEROED ? bytes : KILN_WORKSPACE_ZEROED);
}

void rt_workspace_give(kiln_engine *engine, void *memory) {
  for (int i = 0; memory && i < WORKSPACES_KEPT; ++i) {
    void *empty = NULL;
    if (atomic_compare_exchange_strong_explicit(&engine->workspaces[i], &empty, memory, memory_order_release,
                                                memory_order_relaxed))
      return;
  }
  release(engine, memory);
}

void rt_workspace_trim(kiln_engine *engine) {
  for (int i = 0; i < WORKSPACES_KEPT; ++i)
    release(engine, atomic_exchange_explicit(&engine->workspaces[i], NULL, memory_order_acquire));
}
