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

/* Large blocks are whole huge pages where the system has them: packed rows and accumulators that wait are then next to
 * each other in the second-level cache, rather than wherever pages of 4 KiB happen to lie (f32 of 384 x 768 x 3072 1 to
 * 2 %; bench/results/speed.md). It is advice: memory that has none is as good as before. */
static void advise(void *start, size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(start, bytes, MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
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
  if (bytes > SIZE_MAX - PAGE - ALIGN) return NULL;
  size_t unit = bytes > PAGE / 2 ? PAGE : ROUND_BYTES;
  size_t whole = (bytes + ALIGN + unit - 1) / unit * unit;
  char *start = engine->allocator.alloc(engine->allocator.ctx, whole, unit == PAGE ? PAGE : ALIGN);
  if (!start) return NULL;
  if (unit == PAGE) advise(start, whole);
  bytes = whole - ALIGN;
  ((Loan *)(void *)start)->bytes = bytes;
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
