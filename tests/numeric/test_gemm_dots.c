/* test_gemm_dots.c: products as dot products along k (mma=dots): few rows that meet columns along k, and one column;
 * every pair of types, tails of n and k, layers, batches, epilogues, zero points, strides. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/numeric/ladder.h"

static const char *const types[][3] = {{"f32", "f32", "f32"},  {"bf16", "bf16", "f32"},  {"f16", "f16", "f32"},
                                       {"f32", "bf16", "f32"}, {"f16", "f8e5m2", "f32"}, {"f64", "f64", "f64"},
                                       {"u8", "i8", "i32"},    {"i8", "u8", "i32"},      {"i8", "i8", "i32"},
                                       {"u8", "u8", "i32"},    {"i32", "i8", "i32"}};
enum { TYPES = sizeof types / sizeof *types };

/* `form` has the types of A, B and the result and the sizes m, n, k, in the places that `order` says. */
static void over_types(const char *form, const int (*sizes)[3], int count, const char *schedule) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    for (int i = 0; i < TYPES * count; ++i) {
      const int *s = sizes[i % count];
      const char *const *type = types[i / count];
      char graph[256];
      snprintf(graph, sizeof graph, form, type[0], s[0], s[2], type[1], s[1], s[2], type[2]);
      ladder_run(engine, &(LadderCase){.graph = graph, .target = target[t], .schedule = schedule, .exact = true});
    }
  kiln_engine_destroy(engine);
}

static const char rows_form[] = "x: %s[%d, %d]; w: %s[%d, %d]; y: %s = x @ w.T; return y";

Test(gemm_dots, few_rows) {
  static const int sizes[][3] = {{1, 40, 200}, {1, 1, 3}, {2, 17, 67}, {3, 5, 130}, {6, 9, 256}, {8, 33, 31}};
  over_types(rows_form, sizes, sizeof sizes / sizeof *sizes, "mma=dots");
  over_types(rows_form, sizes, 1, "mma=dots nr=3 ku=64 kc=64 tasks=3");
}

/* w is 1 x k, turned: a column along k. */
Test(gemm_dots, one_column) {
  static const int sizes[][3] = {{1, 1, 1000}, {13, 1, 65}, {100, 1, 300}};
  over_types(rows_form, sizes, sizeof sizes / sizeof *sizes, NULL);
  over_types("x: %s[%d, %d]; w: %s[%d, %d]; y: %s = relu(x @ w.T); return y", sizes + 1, 2, "mma=dots mr=5");
}

static void run(const char *graph, const char *schedule, int64_t first, int64_t second, int threads) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    ladder_run(engine, &(LadderCase){.graph = graph,
                                     .target = target[t],
                                     .schedule = schedule,
                                     .threads = threads,
                                     .symbols = {first, second, 300, 310}});
  kiln_engine_destroy(engine);
}

/* Rows that are a symbol: tiles of 8, 4, 2 and 1 of them; layers of k; a const column is not packed. */
Test(gemm_dots, symbols) {
  static const char graph[] = "x: f32[m, k]; w: const f32[k, 1]; y = x @ w; return y";
  for (int64_t m = 1; m <= 19; ++m) run(graph, NULL, m, 7 * m, 0);
  run("x: bf16[m, 40000]; w: bf16[40000, 1]; y: f32 = x @ w; return y", NULL, 5, 0, 2);
  run("x: u8[1, k]; w: i8[n, k]; y: i32 = x @ w.T; return y", NULL, 133, 21, 2);
}
Test(gemm_dots, layers) {
  run("x: f32[2, 65536]; w: f32[24, 65536]; y = x @ w.T; return y", "mma=dots layers=4", 0, 0, 2);
}
Test(gemm_dots, batches) {
  run("x: f32[5, 2, 33]; w: f32[5, 17, 33]; y = x @ w.T; return y", "mma=dots", 0, 0, 2);
  run("x: u8[3, 40, 70]; w: i8[3, 70, 1]; y: i32 = x @ w; return y", NULL, 0, 0, 2);
}
Test(gemm_dots, epilogues) {
  run("x: f32[3, 70]; w: f32[21, 70]; b: f32[21]; r: f32[3, 21]; y = gelu(x @ w.T + b) * r; return y", "mma=dots", 0, 0,
      0);
  run("x: bf16[m, 70]; w: const bf16[70, 1]; r: f32[m, 1]; y: bf16 = tanh(x @ w) + r; return y", NULL, 11, 0, 0);
  run("x: f32[4, 20]; w: f32[9, 20]; y = (x @ w.T).T; return y", "mma=dots", 0, 0, 0);
}
Test(gemm_dots, zero_points) {
  run("x: u8[2, 70]; w: i8[19, 70]; xs: f32[]; xz: u8[]; ws: f32[19]; wz: i8[19]; "
      "y: f32 = dequant(x, xs, xz) @ dequant(w.T, ws, wz); return y",
      NULL, 0, 0, 0);
  run("x: u8[m, 70]; w: i8[70, 1]; xs: f32[m, 1]; xz: u8[m, 1]; ws: f32[]; wz: i8[]; "
      "y: f32 = dequant(x, xs, xz) @ dequant(w, ws, wz); return y",
      NULL, 9, 0, 0);
}
Test(gemm_dots, strides) {
  run("x: f32[3, 300] strides [s, 1]; w: f32[n, 300] strides [p, 1]; y = x @ w.T; return y", "mma=dots", 300, 20, 0);
  run("x: f32[m, 77]; w: f32[77, 1] strides [1, 5]; y: f32[m, 1] strides [3, 1] = x @ w; return y", NULL, 10, 0, 0);
}

/* Where that is asked for, a row's sum is the same in kernels of any number of rows, and of a symbol. */
Test(gemm_dots, rows_do_not_depend_on_their_number) {
  enum { ROWS = 40, K = 4100 };
  static const int counts[] = {ROWS, 0, 1, 2, 3, 8, 17};
  kiln_engine *engine = ladder_engine();
  float *x = malloc(sizeof(float) * ROWS * K), *w = malloc(sizeof(float) * K), all[ROWS] = {0}, part[ROWS] = {0};
  for (int i = 0; i < ROWS * K; ++i) x[i] = (float)(i % 101) * 0.37F - 15;
  for (int i = 0; i < K; ++i) w[i] = (float)(i % 89) * 0.11F - 4;
  kiln_compile_options options = {.size = sizeof options, .batch_invariant = true};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; ++i) {
    int64_t rows = counts[i] > 0 ? counts[i] : ROWS;
    char rows_text[16] = "m", graph[96];
    if (counts[i] > 0) snprintf(rows_text, sizeof rows_text, "%d", counts[i]);
    snprintf(graph, sizeof graph, "x: f32[%s, %d]; w: const f32[%d, 1]; y = x @ w; return y", rows_text, K, K);
    kiln_kernel *kernel;
    cr_assert_eq(kiln_compile_text(engine, graph, &options, &kernel), KILN_OK);
    kiln_call call = {.size = sizeof call,
                      .inputs = (const void *[]){x, w},
                      .outputs = (void *[]){i == 0 ? all : part},
                      .symbols = &rows,
                      .threads = kiln_threads_serial()};
    cr_assert_eq(kiln_run(kernel, &call), KILN_OK);
    if (i > 0) cr_expect_eq(memcmp(all, part, sizeof(float) * (size_t)rows), 0, "%s: other bits", graph);
    kiln_kernel_release(kernel);
  }
  free(x), free(w);
  kiln_engine_destroy(engine);
}
