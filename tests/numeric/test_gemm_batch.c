/* test_gemm_batch.c: gemm on batches: leading axes of every operand, broadcast or not, against guard pages; results are
 * those of one product after the other, however tasks share them. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/numeric/ladder.h"

/* For sizes b, m, k, n (in this order of symbols) on every vector width. */
static void over_sizes(const char *graph, const char *schedule) {
  static const int64_t sizes[][4] = {{1, 1, 1, 1}, {7, 5, 3, 17}, {3, 13, 9, 50}, {2, 40, 33, 64}, {0, 4, 4, 4}};
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
      LadderCase c = {.graph = graph, .target = target[t], .template_ = "gemm", .schedule = schedule};
      memcpy(c.symbols, sizes[i], sizeof sizes[i]);
      c.exact = strstr(graph, "gelu") == NULL;
      c.threads = (int)i;
      ladder_run(engine, &c);
    }
  kiln_engine_destroy(engine);
}

Test(gemm_batch, each_its_own) {
  over_sizes("x: f32[b, m, k]; w: f32[b, k, n]; y = x @ w; return y", NULL);
  over_sizes("x: f32[b, m, k]; w: f32[b, k, n]; y = x @ w; return y", "mc=16 nc=32 tasks=5");
  over_sizes("x: f32[b, m, k]; w: f32[b, k, n]; y = x @ w; return y", "pack_a=task pack_b=task kc=4 tasks=3");
}
Test(gemm_batch, packed_ahead) {
  over_sizes("x: f32[b, m, k]; w: const f32[b, k, n]; y = x @ w; return y", NULL);
  over_sizes("x: f32[b, m, k]; w: const f32[b, n, k]; y = x @ w.T; return y", NULL);
  over_sizes("x: f32[2, b, m, k]; w: const f32[2, b, k, n]; y = x @ w; return y", NULL);
}
Test(gemm_batch, broadcast) {
  over_sizes("x: f32[b, m, k]; w: const f32[k, n]; y = x @ w; return y", NULL);
  over_sizes("x: f32[b, m, k]; w: f32[1, k, n]; y = x @ w; return y", NULL);
  over_sizes("w: f32[b, m, k]; x: f32[k, n]; y = x.T @ w.T; return y", NULL);
  over_sizes("x: f32[2, b, m, k]; w: f32[b, k, n]; y = x @ w; return y", NULL);
  over_sizes("x: f32[2, b, m, k]; w: f32[2, 1, k, n]; y = x @ w; return y", "pack_a=task mc=8 tasks=7");
}
Test(gemm_batch, transposed) {
  over_sizes("x: f32[b, m, k]; w: f32[b, n, m]; y = x.T @ w.T; return y", NULL);
  over_sizes("x: f32[2, b, m, k]; w: f32[b, k, n]; y = (x @ w).T; return y", NULL);
}
Test(gemm_batch, epilogues) {
  over_sizes("x: f32[b, m, k]; w: f32[b, k, n]; c: f32[b, 1, n]; r: f32[m, n]; y = relu(x @ w + c) * r; return y",
             NULL);
  over_sizes("x: f32[2, b, m, k]; w: f32[k, n]; r: f32[2, 1, m, n]; s: f32[]; y = gelu(x @ w * s) + r; return y",
             "epilogue=rows");
}
Test(gemm_batch, strides_of_matrices) {
  kiln_engine *engine = ladder_engine();
  ladder_run(engine, &(LadderCase){.graph = "x: f32[5, 9, 7] strides [100, 8, 1]; w: f32[5, 7, 20] strides [200, 1, 8];"
                                            "y: f32[5, 9, 20] strides [21, 105, 1] = x @ w; return y",
                                   .template_ = "gemm",
                                   .exact = true});
  kiln_engine_destroy(engine);
}

/* Fixed small sizes: a task takes several whole products, without blocks. */
Test(gemm_batch, tiny) {
  static const char *const graphs[] = {
      "x: f32[b, 16, 16]; w: f32[b, 16, 16]; y = x @ w; return y",
      "x: f32[b, 16, 16]; w: const f32[16, 16]; y = x @ w; return y",
      "x: f32[3, b, 5, 7]; w: f32[b, 7, 33]; y = x @ w; return y",
      "x: bf16[b, 16, 32]; w: const bf16[b, 32, 48]; y: f32 = x @ w; return y",
      "x: bf16[b, 32, 64]; w: bf16[b, 64, 32]; y: f32 = x @ w; return y",
      "x: u8[b, 16, 16]; w: const i8[b, 16, 16]; y: i32 = x @ w; return y",
      "x: i8[b, 20, 64]; w: i8[64, 40]; y: i32 = x @ w; return y",
      "x: u8[b, 6, 9]; w: i8[b, 9, 10]; y = dequant(x, 0.5, 3) @ dequant(w, 2, 1); return y",
  };
  kiln_engine *engine = ladder_engine();
  for (size_t g = 0; g < sizeof graphs / sizeof *graphs; ++g)
    for (int64_t b = 0; b < 12; b += 1 + b / 2)
      for (int threads = 0; threads < 3; ++threads)
        ladder_run(engine, &(LadderCase){.graph = graphs[g],
                                         .template_ = "gemm",
                                         .schedule = threads == 2 ? "tasks=5" : NULL,
                                         .exact = true,
                                         .threads = threads,
                                         .symbols = {b}});
  kiln_engine_destroy(engine);
}

Test(gemm_batch, layers_are_refused) {
  kiln_engine *engine = ladder_engine();
  kiln_compile_options options = {.size = sizeof options, .schedule = "layers=2 kc=8"};
  kiln_kernel *kernel;
  const char *graph = "x: f32[b, 64, 64]; w: f32[b, 64, 64]; y = x @ w; return y";
  cr_expect_eq(kiln_compile_text(engine, graph, &options, &kernel), KILN_UNSUPPORTED);
  kiln_engine_destroy(engine);
}
