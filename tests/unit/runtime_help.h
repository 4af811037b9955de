/* runtime_help.h: what the runtime's tests share: an engine with a counting allocator, a log that remembers and a
 * directory of its own; tensors for a graph, and the comparison with the interpreter. */
#ifndef KILN_TESTS_RUNTIME_HELP_H
#define KILN_TESTS_RUNTIME_HELP_H

#include <criterion/criterion.h>
#include <fts.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kiln/kiln.h"

#define GELU "x: f32[m, 64]; w: const f32[64, 96]; b: f32[96]; y: f32 = gelu(x @ w + b); return y"
#define SMALL "x: f32[16, 16]; w: f32[16, 16]; y: f32 = x @ w; return y"
#define ROWS "x: f32[m, 8]; y: f32 = softmax(x); return y"

/* ---- place ------------------------------------------------------------------------------------------------------- */

typedef struct Place {
  kiln_allocator allocator;
  kiln_log log;
  atomic_long live, made; /* allocations */
  long fail_at;           /* this allocation and all later ones fail; 0: none */
  atomic_int events[4];   /* by level */
  char text[4096];        /* the warnings and errors, a line each */
  char root[64];          /* removed at the end */
  char cache[96];
} Place;

static void *place_alloc(void *ctx, size_t bytes, size_t align) {
  Place *place = ctx;
  long number = atomic_fetch_add(&place->made, 1) + 1;
  if (place->fail_at && number >= place->fail_at) return NULL;
  atomic_fetch_add(&place->live, 1);
  return align <= 16 ? malloc(bytes ? bytes : 1) : aligned_alloc(align, (bytes + align) / align * align);
}

static void place_free(void *ctx, void *memory) {
  Place *place = ctx;
  if (memory) atomic_fetch_sub(&place->live, 1);
  free(memory);
}

static void place_log(void *ctx, kiln_log_level level, const char *message) {
  Place *place = ctx;
  atomic_fetch_add(&place->events[level], 1);
  cr_expect_null(strchr(message, '\n'), "an event is one line: %s", message);
  size_t used = strlen(place->text);
  if (level <= KILN_LOG_WARNING) snprintf(place->text + used, sizeof place->text - used, "%s\n", message);
  if (getenv("KILN_TEST_LOG")) fprintf(stderr, "%d %s\n", (int)level, message);
}

static inline void place_init(Place *place) {
  *place = (Place){.root = "/tmp/kiln-runtime-XXXXXX"};
  place->allocator = (kiln_allocator){place, place_alloc, place_free};
  place->log = (kiln_log){place, place_log};
  cr_assert_not_null(mkdtemp(place->root));
  snprintf(place->cache, sizeof place->cache, "%s/cache", place->root);
}

static inline kiln_engine_options place_options(Place *place) {
  return (kiln_engine_options){
      .size = sizeof(kiln_engine_options),
      .allocator = &place->allocator,
      .log = place->log,
      .cache_dir = place->cache,
      .cache_path = "",
      .threads = 3,
  };
}

static inline kiln_engine *place_engine(Place *place) {
  kiln_engine *engine = NULL;
  kiln_engine_options options = place_options(place);
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  return engine;
}

static inline void place_remove(Place *place) {
  FTS *walk = fts_open((char *[]){place->root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  for (FTSENT *entry; walk && (entry = fts_read(walk)) != NULL;)
    if (entry->fts_info != FTS_D) remove(entry->fts_accpath);
  if (walk) fts_close(walk);
}

/* Everything was given back. */
static inline void place_release(Place *place) {
  cr_expect_eq(place->live, 0, "%ld allocations are left", (long)place->live);
  place_remove(place);
}

/* ---- graphs and kernels ------------------------------------------------------------------------------------------ */

static inline kiln_graph *graph_of(const char *text) {
  kiln_graph *graph = NULL;
  cr_assert_eq(kiln_graph_parse(text, strlen(text), NULL, &graph), KILN_OK);
  kiln_status status = kiln_graph_check(graph);
  for (size_t i = 0; i < kiln_graph_fault_count(graph); ++i)
    cr_log_error("%s: %s", text, kiln_graph_fault(graph, i).message);
  cr_assert_eq(status, KILN_OK);
  return graph;
}

static inline kiln_kernel *compile_with(kiln_engine *engine, const char *text, kiln_compile_options options) {
  kiln_kernel *kernel = NULL;
  kiln_buffer message = {0};
  options.size = sizeof options;
  options.message = &message;
  kiln_status status = kiln_compile_text(engine, text, &options, &kernel);
  cr_assert_eq(status, KILN_OK, "%s: %s", kiln_status_name(status), message.data ? message.data : "no message");
  cr_expect_null(message.data);
  return kernel;
}

static inline kiln_kernel *compile(kiln_engine *engine, const char *text) {
  return compile_with(engine, text, (kiln_compile_options){0});
}

static inline kiln_kernel_info info_of(const kiln_kernel *kernel) {
  kiln_kernel_info info;
  cr_assert_eq(kiln_kernel_describe(kernel, &info), KILN_OK);
  return info;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

enum { MAX_PORTS = 8 };

/* Tensors of a graph of f32 for some sizes: inputs filled, packed where the kernel wants that, outputs poisoned. */
typedef struct Tensors {
  kiln_graph *graph;
  const int64_t *symbols;
  size_t input_count, output_count;
  void *inputs[MAX_PORTS], *outputs[MAX_PORTS], *blobs[MAX_PORTS];
  const void *passed[MAX_PORTS]; /* what the call gets */
  size_t output_sizes[MAX_PORTS];
} Tensors;

static inline size_t count_of(const Tensors *t, const kiln_tensor *tensor) {
  size_t count = 1;
  for (int i = 0; i < tensor->rank; ++i) {
    int64_t size = tensor->dims[i].size;
    for (size_t s = 0; tensor->dims[i].symbol && s < kiln_graph_symbol_count(t->graph); ++s)
      if (strcmp(kiln_graph_symbol_name(t->graph, s), tensor->dims[i].symbol) == 0) size = t->symbols[s];
    count *= (size_t)size;
  }
  return count;
}

static inline void *make_numbers(size_t count, uint32_t seed) {
  float *data = aligned_alloc(64, (count * sizeof(float) + 127) / 64 * 64);
  for (size_t i = 0; i < count; ++i) data[i] = (float)((int)((seed = seed * 1664525 + 1013904223) >> 24) - 128) / 64;
  return data;
}

static inline Tensors make_tensors(const kiln_kernel *kernel, const char *text, const int64_t *symbols) {
  Tensors t = {.graph = graph_of(text), .symbols = symbols};
  t.input_count = kiln_graph_input_count(t.graph);
  t.output_count = kiln_graph_output_count(t.graph);
  kiln_tensor_info info;
  for (size_t i = 0; i < t.input_count; ++i) {
    cr_assert_eq(kiln_graph_input_info(t.graph, i, &info), KILN_OK);
    t.passed[i] = t.inputs[i] = make_numbers(count_of(&t, &info.tensor), (uint32_t)i + 1);
    if (!kiln_kernel_is_packed(kernel, i)) continue;
    size_t bytes;
    cr_assert_eq(kiln_packed_bytes(kernel, i, symbols, &bytes), KILN_OK);
    t.passed[i] = t.blobs[i] = aligned_alloc(64, (bytes + 63) / 64 * 64);
    cr_assert_eq(kiln_pack(kernel, i, symbols, t.inputs[i], t.blobs[i], bytes), KILN_OK);
  }
  for (size_t i = 0; i < t.output_count; ++i) {
    cr_assert_eq(kiln_graph_output_info(t.graph, i, &info), KILN_OK);
    t.output_sizes[i] = count_of(&t, &info.tensor);
    t.outputs[i] = make_numbers(t.output_sizes[i], 99);
    memset(t.outputs[i], 0xff, t.output_sizes[i] * sizeof(float));
  }
  return t;
}

static inline void free_tensors(Tensors *t) {
  for (size_t i = 0; i < MAX_PORTS; ++i) free(t->inputs[i]), free(t->outputs[i]), free(t->blobs[i]);
  kiln_graph_destroy(t->graph);
}

static inline kiln_call call_of(const Tensors *t, const kiln_threads *threads) {
  return (kiln_call){
      .size = sizeof(kiln_call),
      .inputs = t->passed,
      .outputs = t->outputs,
      .symbols = t->symbols,
      .threads = threads,
  };
}

/* Every output lies within the interpreter's bound of its value; `inputs` as they were before the call. */
static inline void expect_right(const Tensors *t) {
  double *values[MAX_PORTS], *bounds[MAX_PORTS];
  for (size_t i = 0; i < t->output_count; ++i) {
    values[i] = calloc(t->output_sizes[i] + 1, sizeof(double));
    bounds[i] = calloc(t->output_sizes[i] + 1, sizeof(double));
  }
  cr_assert_eq(kiln_graph_interpret(t->graph, t->symbols, (const void *const *)t->inputs, values, bounds), KILN_OK);
  for (size_t i = 0; i < t->output_count; ++i) {
    const float *output = t->outputs[i];
    size_t wrong = 0, first = 0;
    for (size_t j = 0; j < t->output_sizes[i]; ++j) {
      if (fabs((double)output[j] - values[i][j]) <= bounds[i][j]) continue;
      if (wrong++ == 0) first = j;
    }
    cr_expect_eq(wrong, 0, "output %zu: %zu are wrong, the first is [%zu]: %g, expected %g within %g", i, wrong, first,
                 (double)output[first], values[i][first], bounds[i][first]);
    free(values[i]), free(bounds[i]);
  }
}

/* Runs a kernel on tensors of its own and checks the results. */
static inline void expect_runs(const kiln_kernel *kernel, const char *text, const int64_t *symbols,
                               const kiln_threads *threads) {
  Tensors t = make_tensors(kernel, text, symbols);
  kiln_call call = call_of(&t, threads);
  cr_assert_eq(kiln_run(kernel, &call), KILN_OK);
  expect_right(&t);
  free_tensors(&t);
}

#endif
