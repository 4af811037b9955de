/* test_gemm_tuned.c: what tuning does to results: nothing, where the order of additions stays; and whatever records
 * say, results depend neither on threads nor on how many rows there are. Records are told, not measured. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/numeric/ladder.h"

enum { ROWS = 90, K = 100, N = 150 };
static const char graph_text[] =
    "x: f32[m, 100]; w: const f32[100, 150]; b: f32[150]; y: f32 = gelu(x @ w + b); return y";

typedef struct Bench {
  kiln_engine *engine;
  kiln_graph *graph;
  float *x, *w, *b;
} Bench;

static Bench bench_open(void) {
  Bench bench = {.engine = NULL};
  kiln_engine_options options = {
      .size = sizeof options, .cache_dir = "", .cache_path = "", .tune_file = "", .threads = 1};
  cr_assert_eq(kiln_engine_create(&options, &bench.engine), KILN_OK);
  cr_assert_eq(kiln_graph_parse(graph_text, strlen(graph_text), NULL, &bench.graph), KILN_OK);
  cr_assert_eq(kiln_graph_check(bench.graph), KILN_OK);
  float *data[3];
  const size_t counts[3] = {ROWS * K, K * N, N};
  uint32_t random = 1;
  for (int i = 0; i < 3; ++i) {
    data[i] = malloc(counts[i] * sizeof(float));
    for (size_t j = 0; j < counts[i]; ++j) {
      random = random * 1664525 + 1013904223;
      data[i][j] = (float)(random >> 8) / (1 << 23) - 1;
    }
  }
  bench.x = data[0], bench.w = data[1], bench.b = data[2];
  return bench;
}

static void bench_close(Bench *bench) {
  kiln_graph_destroy(bench->graph);
  kiln_engine_destroy(bench->engine);
  free(bench->x), free(bench->w), free(bench->b);
}

static void record(Bench *bench, int64_t m, int32_t threads, const char *schedule) {
  kiln_tune_timing timing = {.size = sizeof timing, .symbols = &m, .threads = threads, .schedule = schedule, .us = 1};
  cr_assert_eq(kiln_tune_report(bench->engine, bench->graph, &timing), KILN_OK, "%s", schedule);
}

/* A kernel for calls of m rows, with its weights. */
typedef struct Tuned {
  kiln_kernel *kernel;
  void *blob;
} Tuned;

static Tuned tuned_for(Bench *bench, int64_t m, kiln_tuning tune, const char *origin) {
  Tuned t = {.kernel = NULL};
  kiln_compile_options options = {
      .size = sizeof options, .tune = tune, .tune_symbols = &m, .tune_threads = kiln_threads_serial()};
  cr_assert_eq(kiln_compile(bench->engine, bench->graph, &options, &t.kernel), KILN_OK);
  kiln_kernel_info info;
  kiln_kernel_describe(t.kernel, &info);
  cr_expect_str_eq(info.origin, origin);
  size_t bytes;
  cr_assert(kiln_kernel_is_packed(t.kernel, 1));
  cr_assert_eq(kiln_packed_bytes(t.kernel, 1, &m, &bytes), KILN_OK);
  t.blob = aligned_alloc(64, (bytes + 63) / 64 * 64);
  cr_assert_eq(kiln_pack(t.kernel, 1, &m, bench->w, t.blob, bytes), KILN_OK);
  return t;
}

static void tuned_release(Tuned *t) {
  kiln_kernel_release(t->kernel);
  free(t->blob);
}

static void run(const Bench *bench, const Tuned *t, int64_t m, int threads, float *y) {
  LadderPool pool = ladder_pool(threads);
  kiln_call call = {
      .size = sizeof call,
      .inputs = (const void *[]){bench->x, t->blob, bench->b},
      .outputs = (void *[]){y},
      .symbols = &m,
      .threads = threads == 1 ? kiln_threads_serial() : &pool.threads,
  };
  memset(y, 0xff, sizeof(float) * (size_t)m * N);
  cr_assert_eq(kiln_run(t->kernel, &call), KILN_OK);
}

/* The first rows of every call are the first rows of `expected`. */
static void expect_rows(const Bench *bench, const Tuned *t, const float *expected, const char *what) {
  static const int64_t rows[] = {1, 5, 37, 38, 64, 80, ROWS};
  float *y = malloc(sizeof(float) * ROWS * N);
  for (int threads = 1; threads <= 3; ++threads)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
      run(bench, t, rows[i], threads, y);
      cr_expect_eq(memcmp(y, expected, sizeof(float) * (size_t)rows[i] * N), 0, "%s: %lld rows on %d threads differ",
                   what, (long long)rows[i], threads);
    }
  free(y);
}

Test(gemm_tuned, other_tiles_and_blocks_give_the_same_bits) {
  static const char *const schedules[] = {"mr=4 nr=32 mc=8 nc=64 tasks=9", "mr=1 nr=16 ku=1 epilogue=rows",
                                          "pack_a=task epilogue=registers mc=16"};
  float *expected = malloc(sizeof(float) * ROWS * N);
  for (size_t i = 0; i < sizeof schedules / sizeof *schedules; ++i) {
    Bench bench = bench_open();
    Tuned plain = tuned_for(&bench, 37, KILN_TUNE_NEVER, "model");
    run(&bench, &plain, ROWS, 1, expected);
    record(&bench, 37, 1, schedules[i]);
    Tuned tuned = tuned_for(&bench, 37, KILN_TUNE_RECORDS, "record exact");
    expect_rows(&bench, &tuned, expected, schedules[i]);
    tuned_release(&plain);
    tuned_release(&tuned);
    bench_close(&bench);
  }
  free(expected);
}

/* Records that cut k differently for other sizes and threads do not meet in one kernel. */
Test(gemm_tuned, blocks_of_k_are_the_kernels) {
  Bench bench = bench_open();
  float *expected = malloc(sizeof(float) * ROWS * N);
  record(&bench, 37, 1, "mr=4 nr=32 kc=32 mc=8");
  record(&bench, 37, 3, "mr=4 nr=32 kc=64 mc=16");
  record(&bench, 80, 1, "mr=4 nr=32 kc=48 mc=80");
  record(&bench, 64, 2, "mr=4 nr=32 kc=32 mc=4 tasks=7");
  Tuned tuned = tuned_for(&bench, 37, KILN_TUNE_RECORDS, "record exact");
  run(&bench, &tuned, ROWS, 1, expected);
  expect_rows(&bench, &tuned, expected, "kc=32");
  tuned_release(&tuned);
  bench_close(&bench);
  free(expected);
}
