/* demo.c: the main job. The feed-forward layer of BERT-base and its projection back, 384 tokens: compiled cold, checked
 * against the interpreter, timed against this machine's peak and against OpenBLAS with a separate epilogue, and started
 * again in a new process from the object cache. Prints a short report. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/demo/separate.h"

typedef struct Layer {
  const char *title;
  const char *text;
  int64_t m, n, k;
  bool has_residual;
} Layer;

static const Layer layers[] = {
    {"feed-forward layer of BERT-base, gelu(x @ w + b)",
     "x: f32[384, 768]; w: const f32[768, 3072]; b: const f32[3072]; y: f32 = gelu(x @ w + b); return y", 384, 3072,
     768, false},
    {"its projection back, x @ w + b + r",
     "x: f32[384, 3072]; w: const f32[3072, 768]; b: const f32[768]; r: f32[384, 768]; y: f32 = x @ w + b + r; return "
     "y",
     384, 768, 3072, true},
};
enum { LAYERS = sizeof layers / sizeof *layers };

/* Everything one layer needs: operands, Kiln's kernel and blob, the peer's result. */
typedef struct Job {
  const Layer *layer;
  kiln_graph *graph;
  kiln_kernel *kernel;
  float *x, *w, *b, *r, *y, *peer_y;
  void *blob;
  const void *inputs[4];
  void *outputs[1];
  kiln_call call;
  BenchJob *peer;
  double cold_ms;
} Job;

static void fail(const char *what, kiln_status status, const kiln_buffer *message) {
  fprintf(stderr, "demo: %s: %s\n%s", what, kiln_status_text(status),
          message != NULL && message->data != NULL ? message->data : "");
  exit(1);
}

static float *floats(int64_t count, uint32_t seed) {
  float *data = aligned_alloc(64, ((size_t)count * sizeof(float) + 63) / 64 * 64);
  if (data == NULL) fail("memory", KILN_OUT_OF_MEMORY, NULL);
  uint32_t state = seed * 2654435761U + 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    data[i] = ((float)(state >> 8) / 8388608.0F - 1.0F) * 0.1F;
  }
  return data;
}

static void job_create(Job *job, const Layer *layer, kiln_engine *engine) {
  kiln_buffer message = {0};
  job->layer = layer;
  kiln_status status = kiln_graph_parse(layer->text, strlen(layer->text), NULL, &job->graph);
  if (status == KILN_OK) status = kiln_graph_check(job->graph);
  if (status != KILN_OK) fail("graph", status, NULL);
  kiln_compile_options options = {.size = sizeof options, .message = &message};
  status = kiln_compile(engine, job->graph, &options, &job->kernel);
  if (status != KILN_OK) fail("compile", status, &message);
  kiln_kernel_info info;
  kiln_kernel_describe(job->kernel, &info);
  job->cold_ms = info.compile_ms;
}

static void job_fill(Job *job, const BenchPeer *peer) {
  const Layer *l = job->layer;
  job->x = floats(l->m * l->k, 1);
  job->w = floats(l->k * l->n, 2);
  job->b = floats(l->n, 3);
  job->r = floats(l->m * l->n, 4);
  job->y = floats(l->m * l->n, 5);
  job->peer_y = floats(l->m * l->n, 6);
  const BenchProduct product = {.m = l->m,
                                .n = l->n,
                                .k = l->k,
                                .lda = l->k,
                                .ldb = l->n,
                                .ldc = l->n,
                                .b_is_const = true,
                                .a_type = KILN_F32,
                                .b_type = KILN_F32,
                                .c_type = KILN_F32,
                                .a = job->x,
                                .b = job->w,
                                .c = job->peer_y};
  if (!bench_job_create(peer, &product, 1, 0, &job->peer)) fail("peer", KILN_OUT_OF_MEMORY, NULL);
  size_t bytes = 0;
  kiln_status status = kiln_packed_bytes(job->kernel, 1, NULL, &bytes);
  job->blob = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (status == KILN_OK && job->blob == NULL) status = KILN_OUT_OF_MEMORY;
  if (status == KILN_OK) status = kiln_pack(job->kernel, 1, NULL, job->w, job->blob, bytes);
  if (status != KILN_OK) fail("pack", status, NULL);
  job->inputs[0] = job->x, job->inputs[1] = job->blob, job->inputs[2] = job->b, job->inputs[3] = job->r;
  job->outputs[0] = job->y;
  job->call = (kiln_call){.size = sizeof(kiln_call), .inputs = job->inputs, .outputs = job->outputs};
}

static void job_destroy(Job *job) {
  float *arrays[] = {job->x, job->w, job->b, job->r, job->y, job->peer_y};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; ++i) free(arrays[i]);
  free(job->blob);
  bench_job_destroy(job->peer);
  kiln_kernel_release(job->kernel);
  kiln_graph_destroy(job->graph);
}

static void run_kiln(void *ctx) {
  const Job *job = ctx;
  kiln_status status = kiln_run(job->kernel, &job->call);
  if (status != KILN_OK) fail("run", status, NULL);
}

static void run_peer(void *ctx) {
  const Job *job = ctx;
  const Layer *l = job->layer;
  bench_job_run(job->peer);
  if (l->has_residual) separate_bias_residual(job->peer_y, job->b, job->r, l->m, l->n);
  else separate_bias_gelu(job->peer_y, job->b, l->m, l->n);
}

/* The largest error against the interpreter, as a share of what the interpreter's bound allows at that element. */
static double check(const Job *job) {
  size_t count = (size_t)(job->layer->m * job->layer->n);
  double *values = malloc(count * sizeof *values), *bounds = malloc(count * sizeof *bounds), worst = 0;
  const void *inputs[4] = {job->x, job->w, job->b, job->r};
  kiln_status status = values != NULL && bounds != NULL
                           ? kiln_graph_interpret(job->graph, NULL, inputs, &values, &bounds)
                           : KILN_OUT_OF_MEMORY;
  if (status != KILN_OK) fail("interpreter", status, NULL);
  for (size_t i = 0; i < count; ++i) worst = fmax(worst, fabs((double)job->y[i] - values[i]) / bounds[i]);
  free(values);
  free(bounds);
  return worst;
}

/* In the new process: how long until the first kernel of the cache can be called, engine creation included. */
static int child(const char *directory) {
  for (int i = 0; i < LAYERS; ++i) {
    double start = bench_now();
    kiln_engine *engine;
    kiln_kernel *kernel;
    kiln_engine_options options = {.size = sizeof options, .cache_dir = directory, .cache_path = ""};
    kiln_status status = kiln_engine_create(&options, &engine);
    if (status == KILN_OK) status = kiln_compile_text(engine, layers[i].text, NULL, &kernel);
    if (status != KILN_OK) fail("second process", status, NULL);
    double ms = (bench_now() - start) * 1e3;
    kiln_kernel_info info;
    kiln_kernel_describe(kernel, &info);
    printf("%d %g\n", info.cache == KILN_DISK, ms);
    kiln_kernel_release(kernel);
    kiln_engine_destroy(engine);
  }
  return 0;
}

static void start_again(const char *program, const char *directory, double ms[LAYERS]) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) fail("pipe", KILN_IO, NULL);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    execl(program, program, "--child", directory, (char *)NULL);
    _exit(127);
  }
  close(pipe_ends[1]);
  FILE *answers = fdopen(pipe_ends[0], "r");
  for (int i = 0; i < LAYERS; ++i) {
    int hit = 0;
    if (answers == NULL || fscanf(answers, "%d %lf", &hit, &ms[i]) != 2 || !hit)
      fail("the second process found no entry", KILN_IO, NULL);
  }
  fclose(answers);
  waitpid(pid, NULL, 0);
}

static void report(Job *job, BenchPeak *peak, double cached_ms) {
  BenchCase cases[3] = {bench_peak_case(peak),
                        {.name = "kiln", .run = run_kiln, .ctx = job},
                        {.name = job->peer->name, .run = run_peer, .ctx = job}};
  int count = job->peer->refusal[0] == '\0' ? 3 : 2;
  kiln_kernel_info info;
  run_kiln(job);
  double share = check(job);
  if (!bench_interleave(cases, count, 1, 3)) fail("timing", KILN_OUT_OF_MEMORY, NULL);
  kiln_kernel_describe(job->kernel, &info);
  double flops = 2.0 * (double)job->layer->m * (double)job->layer->n * (double)job->layer->k;
  double rate = flops / cases[1].median_us * 1e-3, peak_rate = bench_peak_flops(peak) / cases[0].median_us * 1e-3;
  printf("\n%s\n  m=%lld n=%lld k=%lld, template %s, %s\n", job->layer->title, (long long)job->layer->m,
         (long long)job->layer->n, (long long)job->layer->k, info.template_, info.schedule);
  printf("  compile   cold %.1f ms, from the disk cache in a new process %.2f ms (engine included), object %zu bytes\n",
         job->cold_ms, cached_ms, info.object_bytes);
  printf("  check     largest error is %.2f of the interpreter's bound: %s\n", share, share <= 1 ? "right" : "WRONG");
  printf("  time      %.0f us (spread %.1f %%), %.1f Gflop/s, %.1f %% of the measured peak of %.1f\n",
         cases[1].median_us, 100 * cases[1].spread, rate, 100 * rate / peak_rate, peak_rate);
  if (count == 3)
    printf("  peer      %s + separate epilogue %.0f us (spread %.1f %%): kiln is %.2f times as fast\n", job->peer->name,
           cases[2].median_us, 100 * cases[2].spread, cases[2].median_us / cases[1].median_us);
  else printf("  peer      %s: %s\n", job->peer->name, job->peer->refusal);
  if (!(share <= 1)) exit(1);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--child") == 0) return child(argv[2]);
  char directory[] = "/tmp/kiln-demo-XXXXXX";
  if (mkdtemp(directory) == NULL) fail("temporary directory", KILN_IO, NULL);
  kiln_engine *engine;
  kiln_engine_options options = {.size = sizeof options, .cache_dir = directory, .cache_path = "", .threads = 1};
  kiln_status status = kiln_engine_create(&options, &engine);
  if (status != KILN_OK) fail("engine", status, NULL);
  kiln_cpu cpu;
  kiln_engine_cpu(engine, &cpu);
  printf("kiln %s on %s, target %s, one thread\n", KILN_VERSION, cpu.name, cpu.target);
  BenchPeer peer;
  bench_peer_open("openblas", NULL, &peer);
  BenchPeak *peak;
  kiln_buffer message = {0};
  status = bench_peak_create(engine, NULL, kiln_threads_serial(), KILN_F32, KILN_F32, false, &peak, &message);
  if (status != KILN_OK) fail("peak", status, &message);
  Job jobs[LAYERS] = {0};
  double cached_ms[LAYERS];
  for (int i = 0; i < LAYERS; ++i) job_create(&jobs[i], &layers[i], engine);
  start_again(argv[0], directory, cached_ms);
  for (int i = 0; i < LAYERS; ++i) {
    job_fill(&jobs[i], &peer);
    report(&jobs[i], peak, cached_ms[i]);
    job_destroy(&jobs[i]);
  }
  bench_peer_close(&peer);
  bench_peak_destroy(peak);
  kiln_cache_prune(engine, 0, NULL);
  kiln_engine_destroy(engine);
  rmdir(directory);
  return 0;
}
