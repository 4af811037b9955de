/* memory.c: memory that operands lie in, of Kiln and of peers alike. */
#define _GNU_SOURCE /* madvise */
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/bench.h"

void *bench_allocate(size_t bytes) {
  enum { LINE = 64, PAGE = 2 << 20 };
  size_t unit = bytes > PAGE / 2 ? PAGE : LINE;
  if (bytes > SIZE_MAX - unit) return NULL;
  size_t whole = bytes > 0 ? (bytes + unit - 1) / unit * unit : unit;
  void *memory = aligned_alloc(unit, whole);
#ifdef MADV_HUGEPAGE
  if (memory != NULL && unit == PAGE) madvise(memory, whole, MADV_HUGEPAGE);
#endif
  return memory;
}
