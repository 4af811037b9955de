/* driver.c: runs kernels compiled ahead of time for another machine on the cases of a file; linked statically with them
 * and with ir/support's element types, executed by qemu.
 *
 * Each buffer lies against a page that cannot be touched: behind it in one run, in front of it in another. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ir/support/support.h"
#include "kiln/args.h"
#include "tests/cross/cases.h"

#include "headers.h"

#define KERNEL(name)                                                                                                   \
  kiln_entry name;                                                                                                     \
  kiln_query name##_tasks, name##_workspace;
#define GRAPH(name)
#define PACK(kernel, input, name, weight)
#include "kernels.h"
#undef KERNEL
#undef GRAPH
#undef PACK

/* `bind` NULL: the symbols are all that args->dims holds. */
static const struct {
  kiln_entry *run;
  kiln_query *tasks, *workspace;
  void (*bind)(const int64_t *symbols, int64_t *dims);
} kernels[] = {
#define KERNEL(name) {name, name##_tasks, name##_workspace, NULL},
#define GRAPH(name) {name, name##_tasks, name##_workspace, name##_bind},
#define PACK(kernel, input, name, weight)
#include "kernels.h"
#undef KERNEL
#undef GRAPH
#undef PACK
};

/* Inputs that a graph takes packed. */
static const struct {
  int64_t kernel, input;
  kiln_entry *run;
  kiln_query *tasks;
  int64_t (*bytes)(const int64_t *symbols);
} packs[] = {
#define KERNEL(name)
#define GRAPH(name)
#define PACK(kernel, input, name, weight)                                                                              \
  {kernel, input, name##_pack_##weight, name##_pack_##weight##_tasks, name##_packed_bytes_##weight},
#include "kernels.h"
#undef KERNEL
#undef GRAPH
#undef PACK
};

typedef struct Buffer {
  CrossBuffer head;
  const char *before, *after;
  const double *bounds;
} Buffer;

typedef struct Case {
  CrossCase head;
  int64_t symbols[CROSS_MAX_SYMBOLS];
  Buffer buffers[CROSS_MAX_BUFFERS];
} Case;

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static char *read_all(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) exit(2);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = malloc(*size + 1);
  if (!bytes || fread(bytes, 1, *size, file) != *size) exit(2);
  fclose(file);
  return bytes;
}

static const char *take(const char **at, size_t bytes) {
  const char *taken = *at;
  *at += (bytes + 7) / 8 * 8;
  return taken;
}

static void read_case(const char **at, Case *c) {
  memcpy(&c->head, take(at, sizeof c->head), sizeof c->head);
  size_t bytes = (size_t)c->head.symbol_count * sizeof(int64_t);
  memcpy(c->symbols, take(at, bytes), bytes);
  for (int64_t i = 0; i < c->head.buffer_count; ++i) {
    Buffer *buffer = &c->buffers[i];
    memcpy(&buffer->head, take(at, sizeof buffer->head), sizeof buffer->head);
    buffer->before = buffer->after = take(at, (size_t)buffer->head.bytes);
    if (buffer->head.check != CROSS_UNCHANGED) buffer->after = take(at, (size_t)buffer->head.bytes);
    if (buffer->head.check == CROSS_NEAR)
      buffer->bounds = (const double *)(const void *)take(at, (size_t)buffer->head.elements * sizeof(double));
  }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* A stretch of memory with a page that cannot be touched at each end, one for each buffer. */
typedef struct Stretch {
  char *first;
  size_t size;
} Stretch;

static size_t page;

static Stretch make_stretch(size_t size) {
  char *memory = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(2);
  if (mprotect(memory, page, PROT_NONE) != 0 || mprotect(memory + page + size, page, PROT_NONE) != 0) exit(2);
  return (Stretch){memory + page, size};
}

/* Where a buffer lies; grows the stretch where it must. */
static char *place(Stretch *stretch, int64_t bytes, bool at_end) {
  size_t needed = ((size_t)bytes + page - 1) / page * page + page;
  if (stretch->size < needed) {
    if (stretch->first) munmap(stretch->first - page, stretch->size + 2 * page);
    *stretch = make_stretch(2 * needed);
  }
  return at_end ? stretch->first + stretch->size - bytes : stretch->first;
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static int faults;

static bool is_good(const Buffer *buffer, const char *found, size_t i, double *x, double *y) {
  kiln_type type = (kiln_type)buffer->head.type;
  *x = type_load(type, buffer->after, i);
  *y = type_load(type, found, i);
  if (isnan(*x) || isnan(*y)) return isnan(*x) && isnan(*y);
  if (*x == *y) return true;
  return buffer->head.check == CROSS_NEAR && fabs(*x - *y) <= buffer->bounds[i];
}

static void compare(const Case *c, int64_t number, const char *found) {
  const Buffer *buffer = &c->buffers[number];
  if (memcmp(found, buffer->after, (size_t)buffer->head.bytes) == 0) return;
  double x = 0, y = 0;
  size_t i = 0, count = (size_t)buffer->head.elements;
  if (buffer->head.check != CROSS_UNCHANGED)
    while (i < count && is_good(buffer, found, i, &x, &y)) ++i;
  if (buffer->head.check != CROSS_UNCHANGED && i == count) return;
  if (++faults > 20) return;
  printf("%s: symbols", c->head.label);
  for (int64_t s = 0; s < c->head.symbol_count; ++s) printf(" %lld", (long long)c->symbols[s]);
  if (buffer->head.check == CROSS_UNCHANGED) printf(": buffer %lld was written to\n", (long long)number);
  else
    printf(": buffer %lld, element %zu: expected %.9g within %.2g, found %.9g\n", (long long)number, i, x,
           buffer->bounds && buffer->head.check == CROSS_NEAR ? buffer->bounds[i] : 0, y);
}

static const Case *running;

/* Not a moment for printf, but the program ends here. */
static void say_where(int number) {
  printf("signal %d in %s: symbols", number, running->head.label);
  for (int64_t s = 0; s < running->head.symbol_count; ++s) printf(" %lld", (long long)running->symbols[s]);
  puts("");
  fflush(stdout);
  _exit(1);
}

/* Packs what the graph wants packed, in the buffers' places. */
static void pack_inputs(const Case *c, bool at_end, void **buffers, const int64_t *dims) {
  static Stretch stretches[CROSS_MAX_BUFFERS];
  for (size_t i = 0; i < sizeof packs / sizeof *packs; ++i) {
    if (packs[i].kernel != c->head.kernel) continue;
    void *pair[] = {buffers[packs[i].input],
                    place(&stretches[packs[i].input], (packs[i].bytes(c->symbols) + 63) / 64 * 64, at_end)};
    kiln_args args = {pair, dims, NULL};
    for (int64_t task = packs[i].tasks(&args); task-- > 0;) packs[i].run(&args, task);
    buffers[packs[i].input] = pair[1];
  }
}

static void run_case(const Case *c, bool at_end) {
  static Stretch stretches[CROSS_MAX_BUFFERS], workspaces;
  void *placed[CROSS_MAX_BUFFERS], *buffers[CROSS_MAX_BUFFERS];
  int64_t dims[4 * CROSS_MAX_SYMBOLS];
  kiln_args args = {buffers, c->symbols, NULL};
  if (kernels[c->head.kernel].bind) {
    kernels[c->head.kernel].bind(c->symbols, dims);
    args.dims = dims;
  }
  for (int64_t i = 0; i < c->head.buffer_count; ++i) {
    const Buffer *buffer = &c->buffers[i];
    buffers[i] = placed[i] = place(&stretches[i], buffer->head.bytes, at_end);
    memcpy(placed[i], buffer->before, (size_t)buffer->head.bytes);
  }
  pack_inputs(c, at_end, buffers, args.dims);
  int64_t bytes = (kernels[c->head.kernel].workspace(&args) + 63) / 64 * 64;
  args.workspace = place(&workspaces, bytes, at_end);
  memset(args.workspace, 0, (size_t)(bytes < KILN_WORKSPACE_ZEROED ? bytes : KILN_WORKSPACE_ZEROED));
  for (int64_t task = kernels[c->head.kernel].tasks(&args); task-- > 0;) kernels[c->head.kernel].run(&args, task);
  for (int64_t i = 0; i < c->head.buffer_count; ++i) compare(c, i, placed[i]);
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  page = (size_t)sysconf(_SC_PAGESIZE);
  size_t size, cases = 0;
  char *bytes = read_all(arguments[1], &size);
  static Case c;
  running = &c;
  signal(SIGSEGV, say_where);
  signal(SIGBUS, say_where);
  signal(SIGILL, say_where);
  for (const char *at = bytes; at < bytes + size; ++cases) {
    read_case(&at, &c);
    run_case(&c, false);
    run_case(&c, true);
  }
  free(bytes);
  printf("%zu kernels, %zu cases, %d faults\n", sizeof kernels / sizeof *kernels, cases, faults);
  return faults > 0;
}
