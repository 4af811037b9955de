/* test_gemm_layouts.c: strides, transposes and results in place, against guard pages. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/numeric/ladder.h"

static void over_sizes(const char *graph, const char *schedule, bool in_place) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  static const int64_t sizes[][3] = {{1, 1, 1}, {5, 3, 17}, {12, 8, 32}, {13, 9, 50}, {30, 17, 100}, {2, 40, 7}};
  for (int t = 0; t < targets; ++t)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
      LadderCase c = {.graph = graph, .target = target[t], .schedule = schedule, .in_place = in_place};
      int64_t largest = 0;
      for (int s = 0; s < 3; ++s) {
        c.symbols[s] = sizes[i][s];
        largest = sizes[i][s] > largest ? sizes[i][s] : largest;
      }
      for (int s = 3; s < 8; ++s) c.symbols[s] = largest + 2 * s; /* leading strides with a gap */
      c.exact = i % 2 == 0 && strstr(graph, "gelu") == NULL;
      ladder_run(engine, &c);
    }
  kiln_engine_destroy(engine);
}

Test(gemm_layouts, leading_strides) {
  over_sizes(
      "x: f32[m, k] strides [ldx, 1]; w: f32[k, n] strides [ldw, 1]; y: f32[m, n] strides [ldy, 1] = x @ w; return y",
      NULL, false);
}
Test(gemm_layouts, column_major) {
  over_sizes(
      "x: f32[m, k] strides [1, ldx]; w: f32[k, n] strides [1, ldw]; y: f32[m, n] strides [1, ldy] = x @ w; return y",
      NULL, false);
}
Test(gemm_layouts, const_column_major) {
  over_sizes("x: f32[m, k] strides [1, ldx]; w: const f32[k, n] strides [1, ldw]; y = x @ w; return y", NULL, false);
}
Test(gemm_layouts, transposed_operands) {
  over_sizes("x: f32[k, m]; w: f32[n, k]; y = x.T @ w.T; return y", NULL, false);
  over_sizes("x: f32[k, m]; w: const f32[n, k]; y = x.T @ w.T; return y", NULL, false);
}
/* B of few rows of A, and of more, whose columns are turned into vectors, in place or where they are packed. */
Test(gemm_layouts, columns_along_k) {
  static const char *const types[][3] = {{"f32", "f32", "f32"}, {"bf16", "bf16", "f32"}, {"f16", "f16", "f32"},
                                         {"u8", "i8", "i32"},   {"i8", "i8", "i32"},     {"f64", "f64", "f64"}};
  static const int sizes[][3] = {{1, 40, 200}, {3, 17, 67}, {20, 33, 130}};
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    for (size_t i = 0; i < sizeof types / sizeof *types * 3; ++i) {
      const int *size = sizes[i % 3];
      const char *const *type = types[i / 3];
      char graph[128];
      snprintf(graph, sizeof graph, "x: %s[%d,%d]; w: %s[%d,%d]; y: %s = x @ w.T; return y", type[0], size[0], size[2],
               type[1], size[1], size[2], type[2]);
      ladder_run(engine, &(LadderCase){.graph = graph, .target = target[t], .exact = true});
    }
  kiln_engine_destroy(engine);
}
Test(gemm_layouts, transposed_result) {
  over_sizes("x: f32[m, k]; w: f32[k, n]; y = (x @ w).T; return y", NULL, false);
}
Test(gemm_layouts, both_strides_are_symbols) {
  over_sizes("x: f32[m, k] strides [ldx, 1]; w: f32[k, n] strides [ldw, 2]; y = x @ w; return y", NULL, false);
}
Test(gemm_layouts, strided_epilogue_operands) {
  over_sizes("x: f32[m, k]; w: const f32[k, n]; r: f32[m, n] strides [ldr, 1]; c: f32[m, 1] strides [ldc, 1]; "
             "y = x @ w * c + r; return y",
             NULL, false);
}
Test(gemm_layouts, one_input_twice) {
  over_sizes("x: f32[m, k]; w: f32[n, k]; y = x @ w.T; return y", NULL, false);
  kiln_engine *engine = ladder_engine();
  ladder_run(engine, &(LadderCase){.graph = "x: f32[m, k]; y = x @ x.T; return y", .symbols = {21, 9}});
  ladder_run(engine, &(LadderCase){.graph = "x: f32[m, m]; y = x @ x + x + x.T; return y", .symbols = {37}});
  ladder_run(engine,
             &(LadderCase){.graph = "x: f32[m, m]; w: const f32[m, m]; y = x @ w + w; return y", .symbols = {37}});
  kiln_engine_destroy(engine);
}
Test(gemm_layouts, result_in_place_of_residual) {
  over_sizes("x: f32[m, k]; w: const f32[k, n]; r: f32[m, n]; y = x @ w + r; return y", NULL, true);
  over_sizes("x: f32[m, k]; w: const f32[k, n]; r: f32[m, n]; y = gelu(x @ w) + r; return y", "epilogue=rows", true);
  over_sizes("x: f32[m, k]; w: const f32[k, n]; r: f32[m, n]; y = x @ w * r; return y", "kc=4", true);
  over_sizes("x: f32[m, k]; w: const f32[k, n]; r: f32[m, n]; y = x @ w * r; return y", NULL, true);
}
