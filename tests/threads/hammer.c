/* hammer.c: one engine used by eight threads at once; meant for ThreadSanitizer, and run under the others too.
 *
 * Each thread compiles graphs in an order of its own, so that some compiles meet in the memory cache, some on disk and
 * some wait for each other; packs, runs on exact data, compares, and releases. Meanwhile one thread tidies: it forgets
 * unheld kernels, and verifies, lists and prunes the disk cache. Uses the public header only. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kiln/kiln.h"

enum { THREADS = 8, ROUNDS = 12, MAX_ROWS = 19 };

/* Products y = x @ w (+ what `bias` says) of m rows; m is a symbol of each graph. */
typedef struct Product {
  const char *text;
  int n, k;
  bool has_bias;
} Product;

static const Product products[] = {
    {"x: f32[m, 16]; w: const f32[16, 24]; y: f32 = x @ w; return y", 24, 16, false},
    {"x: f32[m, 7]; w: const f32[7, 33]; b: f32[33]; y: f32 = x @ w + b; return y", 33, 7, true},
    {"x: f32[m, 40]; w: f32[40, 5]; y: f32 = x @ w; return y", 5, 40, false},
    {"x: f32[m, 12]; w: const f32[12, 12]; b: f32[12]; y: f32 = x @ w + b; return y", 12, 12, true},
};
enum { PRODUCTS = sizeof products / sizeof *products, MAX_SIDE = 40 };

typedef struct Worker {
  pthread_t thread;
  kiln_engine *engine;
  int number;
  const char *fault;
} Worker;

static void fill(float *data, int count, int seed) {
  for (int i = 0; i < count; i++) data[i] = (float)((i * 7 + seed * 3) % 9 - 4);
}

/* Sums of small integers are exact, so the comparison is too. */
static bool is_right(const Product *p, int m, const float *x, const float *w, const float *b, const float *y) {
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < p->n; j++) {
      float sum = p->has_bias ? b[j] : 0;
      for (int l = 0; l < p->k; l++) sum += x[i * p->k + l] * w[l * p->n + j];
      if (sum != y[i * p->n + j]) return false;
    }
  }
  return true;
}

/* Packs where the kernel wants it; NULL on failure. */
static void *pack(const kiln_kernel *kernel, int64_t m, const float *w) {
  size_t bytes;
  if (kiln_packed_bytes(kernel, 1, &m, &bytes)) return NULL;
  void *blob = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (blob && kiln_pack(kernel, 1, &m, w, blob, bytes)) {
    free(blob);
    return NULL;
  }
  return blob;
}

/* What went wrong, or NULL. */
static const char *run_product(kiln_kernel *kernel, const Product *p, int rows, int seed) {
  float x[MAX_ROWS * MAX_SIDE], w[MAX_SIDE * MAX_SIDE], b[MAX_SIDE], y[MAX_ROWS * MAX_SIDE];
  fill(x, rows * p->k, seed);
  fill(w, p->k * p->n, seed + 1);
  fill(b, p->n, seed + 2);
  int64_t m = rows;
  bool is_packed = kiln_kernel_is_packed(kernel, 1);
  void *blob = is_packed ? pack(kernel, m, w) : NULL;
  if (is_packed && !blob) return "packing failed";
  const void *inputs[] = {x, is_packed ? blob : w, b};
  void *outputs[] = {y};
  kiln_call call = {.size = sizeof call,
                    .inputs = inputs,
                    .outputs = outputs,
                    .symbols = &m,
                    .threads = seed % 3 ? kiln_threads_serial() : NULL};
  kiln_status status = kiln_run(kernel, &call);
  free(blob);
  if (status) return kiln_status_text(status);
  return is_right(p, rows, x, w, b, y) ? NULL : "a wrong result";
}

static bool is_sound(void *ctx, const kiln_cache_entry *entry) {
  if (entry->fault) *(const char **)ctx = "an unsound cache entry";
  return true;
}

static const char *tidy(kiln_engine *engine, int round) {
  const char *fault = NULL;
  size_t sound, removed;
  kiln_engine_trim(engine);
  if (kiln_cache_visit(engine, is_sound, &fault) || fault) return fault ? fault : "visiting the cache failed";
  if (round % 3 == 1 && kiln_cache_verify(engine, &sound, &removed)) return "verifying the cache failed";
  if (round % 3 == 2 && kiln_cache_prune(engine, 0, &removed)) return "pruning the cache failed";
  return NULL;
}

static void *work(void *arg) {
  Worker *worker = arg;
  for (int round = 0; round < ROUNDS && !worker->fault; round++) {
    const Product *p = &products[(round * (worker->number + 1) + worker->number) % PRODUCTS];
    kiln_compile_options options = {.size = sizeof options, .no_cache = round == 5 && worker->number == 3};
    kiln_kernel *kernel;
    if (kiln_compile_text(worker->engine, p->text, &options, &kernel)) {
      worker->fault = "compiling failed";
      break;
    }
    worker->fault = run_product(kernel, p, 1 + (round * 5 + worker->number) % MAX_ROWS, round + worker->number);
    kiln_kernel_release(kernel);
    if (!worker->fault && worker->number == 0) worker->fault = tidy(worker->engine, round);
  }
  return NULL;
}

int main(void) {
  char directory[] = "/tmp/kiln-hammer-XXXXXX", command[64];
  if (!mkdtemp(directory)) return 1;
  kiln_engine_options options = {.size = sizeof options, .cache_dir = directory, .cache_path = "", .threads = 3};
  Worker workers[THREADS] = {0};
  int faults = 0;
  kiln_engine *engine;
  if (kiln_engine_create(&options, &engine)) return 1;
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (Worker){.engine = engine, .number = i};
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) return 1;
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(workers[i].thread, NULL);
    if (workers[i].fault) printf("thread %d: %s\n", i, workers[i].fault);
    faults += workers[i].fault != NULL;
  }
  kiln_engine_destroy(engine);
  snprintf(command, sizeof command, "rm -r %s", directory);
  return system(command) != 0 || faults > 0;
}
