/* figures.c: what the library costs around its kernels: compiling cold, from disk and from memory, calling, and memory.
 * Prints a line each, or JSON with --json. Each figure is a median with its spread, in one process (the disk's: a new
 * process a sample). */
#define _GNU_SOURCE
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

static const char fixed_graph[] =
    "x: f32[384, 768]; w: const f32[768, 3072]; b: f32[3072]; y: f32 = gelu(x @ w + b); return y";
static const char symbolic_graph[] = "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y: f32 = gelu(x @ w + b); return y";
static const char tiny_graph[] = "x: f32[16, 16]; w: const f32[16, 16]; y: f32 = x @ w; return y";
enum { SAMPLES = 15, KERNELS = 1000, CALLS = 20000 };

static bool as_json;

static void check(kiln_status status, const char *what) {
  if (status == KILN_OK) return;
  fprintf(stderr, "figures: %s: %s\n", what, kiln_status_text(status));
  exit(1);
}

static int ascending(const void *x, const void *y) {
  double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

static void print_figure(const char *what, const char *unit, double value, double low, double high, const char *bar) {
  if (as_json)
    printf("{\"figure\": \"%s\", \"unit\": \"%s\", \"median\": %g, \"low\": %g, \"high\": %g, \"bar\": \"%s\"}\n", what,
           unit, value, low, high, bar);
  else printf("%-58s %9.3f %-4s (%.3f to %.3f)  %s\n", what, value, unit, low, high, bar);
}

static void print_samples(const char *what, const char *unit, double *samples, int count, const char *bar) {
  qsort(samples, (size_t)count, sizeof *samples, ascending);
  print_figure(what, unit, samples[count / 2], samples[0], samples[count - 1], bar);
}

static kiln_engine *engine_in(const char *directory) {
  kiln_engine *engine;
  kiln_engine_options options = {.size = sizeof options, .cache_dir = directory, .cache_path = ""};
  check(kiln_engine_create(&options, &engine), "engine");
  return engine;
}

static kiln_kernel *compile(kiln_engine *engine, const char *text, bool no_cache) {
  kiln_kernel *kernel;
  kiln_compile_options options = {.size = sizeof options, .no_cache = no_cache};
  check(kiln_compile_text(engine, text, &options, &kernel), "compile");
  return kernel;
}

static double compile_ms(kiln_engine *engine, const char *text) {
  kiln_kernel *kernel = compile(engine, text, true);
  kiln_kernel_info info;
  kiln_kernel_describe(kernel, &info);
  double ms = info.compile_ms;
  kiln_kernel_release(kernel);
  return ms;
}

static void cold(kiln_engine *engine) {
  double fixed[SAMPLES], symbolic[SAMPLES], bare[SAMPLES];
  compile_ms(engine, tiny_graph); /* initialises LLVM */
  for (int i = 0; i < SAMPLES; ++i) {
    fixed[i] = compile_ms(engine, fixed_graph);
    symbolic[i] = compile_ms(engine, symbolic_graph);
    bare[i] = compile_ms(engine, tiny_graph);
  }
  print_samples("cold compile, gelu(x @ w + b), sizes fixed", "ms", fixed, SAMPLES, "<= 40, aim 15");
  print_samples("cold compile, gelu(x @ w + b), every size a symbol", "ms", symbolic, SAMPLES, "");
  print_samples("cold compile, 16 x 16 x 16", "ms", bare, SAMPLES, "");
}

/* In a new process: engine and first kernel from the disk, in milliseconds, to stdout. */
static int child(const char *directory) {
  double start = bench_now();
  kiln_engine *engine = engine_in(directory);
  kiln_kernel *kernel = compile(engine, fixed_graph, false);
  double ms = (bench_now() - start) * 1e3;
  kiln_kernel_info info;
  kiln_kernel_describe(kernel, &info);
  printf("%g %d\n", ms, info.cache == KILN_DISK);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  return 0;
}

static double run_child(const char *program, const char *directory) {
  int ends[2];
  if (pipe(ends) != 0) check(KILN_IO, "pipe");
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl(program, program, "--child", directory, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  FILE *answer = fdopen(ends[0], "r");
  double ms = NAN;
  int hit = 0;
  if (answer == NULL || fscanf(answer, "%lf %d", &ms, &hit) != 2 || !hit)
    check(KILN_IO, "no disk hit in the new process");
  fclose(answer);
  waitpid(pid, NULL, 0);
  return ms;
}

static void disk(const char *program) {
  char directory[] = "/tmp/kiln-figures-XXXXXX";
  if (mkdtemp(directory) == NULL) check(KILN_IO, "temporary directory");
  kiln_engine *engine = engine_in(directory);
  kiln_kernel_release(compile(engine, fixed_graph, false));
  double samples[SAMPLES];
  for (int i = 0; i < SAMPLES; ++i) samples[i] = run_child(program, directory);
  print_samples("first kernel of a new process from disk, engine included", "ms", samples, SAMPLES, "<= 3");
  kiln_cache_prune(engine, 0, NULL);
  kiln_engine_destroy(engine);
  rmdir(directory);
}

static void memory_hit(void) {
  enum { HITS = 2000 };
  kiln_engine *engine = engine_in("");
  kiln_kernel *first = compile(engine, fixed_graph, false);
  kiln_graph *graph;
  check(kiln_graph_parse(fixed_graph, strlen(fixed_graph), NULL, &graph), "graph");
  check(kiln_graph_check(graph), "graph");
  double samples[SAMPLES];
  for (int s = 0; s < SAMPLES; ++s) {
    double start = bench_now();
    for (int i = 0; i < HITS; ++i) {
      kiln_kernel *kernel;
      check(kiln_compile(engine, graph, NULL, &kernel), "memory hit");
      kiln_kernel_release(kernel);
    }
    samples[s] = (bench_now() - start) * 1e6 / HITS;
  }
  print_samples("compile of a graph already in memory", "us", samples, SAMPLES, "<= 10");
  kiln_graph_destroy(graph);
  kiln_kernel_release(first);
  kiln_engine_destroy(engine);
}

static void call_overhead(void) {
  kiln_engine *engine = engine_in("");
  kiln_kernel *kernel = compile(engine, tiny_graph, false);
  static _Alignas(64) float x[256], w[256], y[256];
  size_t blob_bytes, workspace_bytes;
  check(kiln_packed_bytes(kernel, 1, NULL, &blob_bytes), "pack");
  void *blob = aligned_alloc(64, (blob_bytes + 63) / 64 * 64);
  if (blob == NULL) check(KILN_OUT_OF_MEMORY, "pack");
  check(kiln_pack(kernel, 1, NULL, w, blob, blob_bytes), "pack");
  int64_t dims[16], tasks;
  check(kiln_kernel_args(kernel, NULL, 1, dims, &tasks, &workspace_bytes), "args");
  void *buffers[3] = {x, NULL, y};
  const void *payload = kiln_packed_data(blob);
  memcpy(&buffers[1], &payload, sizeof payload);
  kiln_args args = {.buffers = buffers, .dims = dims};
  kiln_entry *entry = kiln_kernel_function(kernel);
  kiln_call call = {.size = sizeof call,
                    .inputs = (const void *[]){x, blob},
                    .outputs = (void *[]){y},
                    .threads = kiln_threads_serial()};
  double direct[SAMPLES], overhead[SAMPLES];
  for (int s = 0; s < SAMPLES; ++s) {
    double start = bench_now();
    for (int i = 0; i < CALLS; ++i)
      for (int64_t t = 0; t < tasks; ++t) entry(&args, t);
    direct[s] = (bench_now() - start) * 1e6 / CALLS;
    start = bench_now();
    for (int i = 0; i < CALLS; ++i) check(kiln_run(kernel, &call), "run");
    overhead[s] = (bench_now() - start) * 1e6 / CALLS - direct[s];
  }
  print_samples("16 x 16 x 16 kernel, function called directly", "us", direct, SAMPLES, "");
  print_samples("the same through kiln_run: over the kernel itself", "us", overhead, SAMPLES, "<= 0.2");
  free(blob);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
}

static double resident_mib(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
  if (file != NULL) fclose(file);
  return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

/* An engine with many kernels, twice: what the first leaves behind is LLVM's own, started once a process. */
static void resident(void) {
  for (int pass = 0; pass < 2; ++pass) {
    malloc_trim(0);
    double before = resident_mib();
    kiln_engine *engine = engine_in("");
    kiln_kernel **kernels = calloc(KERNELS, sizeof(kiln_kernel *));
    if (kernels == NULL) check(KILN_OUT_OF_MEMORY, "kernels");
    for (int i = 0; i < KERNELS; ++i) {
      char text[128];
      snprintf(text, sizeof text, "x: f32[%d, %d]; w: const f32[%d, 16]; y: f32 = x @ w; return y", i % 25 + 1,
               i / 25 + 1, i / 25 + 1);
      kernels[i] = compile(engine, text, false);
    }
    double full = resident_mib();
    for (int i = 0; i < KERNELS; ++i) kiln_kernel_release(kernels[i]);
    kiln_engine_destroy(engine);
    free(kernels);
    double after = resident_mib();
    malloc_trim(0);
    double trimmed = resident_mib();
    char what[96];
    snprintf(what, sizeof what, "pass %d: resident before", pass + 1);
    print_figure(what, "MiB", before, before, before, "");
    snprintf(what, sizeof what, "pass %d: with %d kernels", pass + 1, KERNELS);
    print_figure(what, "MiB", full, full, full, "reported");
    snprintf(what, sizeof what, "pass %d: engine destroyed (and after malloc_trim: low)", pass + 1);
    print_figure(what, "MiB", after, trimmed, after, "returns to the start");
  }
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--child") == 0) return child(argv[2]);
  as_json = argc == 2 && strcmp(argv[1], "--json") == 0;
  kiln_engine *engine = engine_in("");
  cold(engine);
  kiln_engine_destroy(engine);
  disk(argv[0]);
  memory_hit();
  call_overhead();
  resident();
  return 0;
}
