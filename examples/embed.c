/* embed.c: gelu(x @ w + b) with Kiln, on threads of this program. Build: cc embed.c $(pkg-config --cflags --libs kiln)
 * -lm */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "kiln/kiln.h"

enum { THREADS = 3, M = 100, N = 768, K = 256 };

/* ---- threads: whatever the program has; here they are started for each call, and take tasks until none is left --- */

typedef struct Job {
  void (*body)(void *arg, int64_t index);
  void *arg;
  int64_t count;
  atomic_llong next;
} Job;

static void *work(void *arg) {
  Job *job = arg;
  for (long long i; (i = atomic_fetch_add(&job->next, 1)) < job->count;) job->body(job->arg, i);
  return NULL;
}

static void parallel_for(void *ctx, int64_t count, void (*body)(void *arg, int64_t index), void *arg) {
  Job job = {.body = body, .arg = arg, .count = count};
  pthread_t *threads = ctx;
  int started = 0;
  while (started < THREADS - 1 && pthread_create(&threads[started], NULL, work, &job) == 0) started++;
  work(&job);
  while (started > 0) pthread_join(threads[--started], NULL);
}

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

static float *numbers(size_t count, unsigned seed) {
  float *data = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
  if (!data) exit(1);
  for (size_t i = 0; i < count; i++) data[i] = (float)((seed = seed * 1664525 + 1013904223) >> 24) / 256 - 0.5f;
  return data;
}

static kiln_kernel *compile(kiln_engine *engine) {
  kiln_buffer message;
  kiln_kernel *kernel = NULL;
  kiln_compile_options options = {.size = sizeof options, .message = &message};
  const char *graph = "x: f32[m, 256]; w: const f32[256, 768]; b: f32[768]; y: f32 = gelu(x @ w + b); return y";
  if (kiln_compile_text(engine, graph, &options, &kernel)) fprintf(stderr, "%s", message.data ? message.data : "?");
  kiln_buffer_free(&message);
  return kernel;
}

/* Weights are packed once; the blob may also be kept in a file and mapped. */
static void *pack(const kiln_kernel *kernel, const float *w) {
  size_t bytes;
  if (kiln_packed_bytes(kernel, 1, NULL, &bytes)) return NULL;
  void *blob = aligned_alloc(64, (bytes + 63) / 64 * 64);
  return blob && !kiln_pack(kernel, 1, NULL, w, blob, bytes) ? blob : NULL;
}

static float expected(const float *x, const float *w, const float *b, int i, int j) {
  double sum = b[j];
  for (int p = 0; p < K; p++) sum += (double)x[i * K + p] * w[p * N + j];
  return (float)(sum * (1 + erf(sum / sqrt(2))) / 2);
}

int main(void) {
  kiln_engine *engine;
  pthread_t handles[THREADS];
  kiln_threads threads = {.ctx = handles, .count = THREADS, .parallel_for = parallel_for};
  if (kiln_engine_create(NULL, &engine)) return 1;
  kiln_kernel *kernel = compile(engine);
  if (!kernel) return 1;
  float *x = numbers(M * K, 1), *w = numbers(K * N, 2), *b = numbers(N, 3), *y = numbers(M * N, 4);
  void *blob = kiln_kernel_is_packed(kernel, 1) ? pack(kernel, w) : w;
  const void *inputs[] = {x, blob, b};
  void *outputs[] = {y};
  int64_t m = M; /* symbols are bound at each call: one kernel for every m */
  kiln_call call = {.size = sizeof call, .inputs = inputs, .outputs = outputs, .symbols = &m, .threads = &threads};
  if (kiln_run(kernel, &call)) return 1;
  double worst = 0;
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j += 17) worst = fmax(worst, fabs(y[i * N + j] - expected(x, w, b, i, j)));
  kiln_kernel_info info;
  kiln_kernel_describe(kernel, &info);
  printf("%s in %.1f ms (%s), largest error %.2g\n", info.name, info.compile_ms,
         info.cache == KILN_COLD ? "compiled" : "from the cache", worst);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  if (blob != w) free(blob);
  free(x), free(w), free(b), free(y);
  return worst < 1e-5 ? 0 : 1;
}
