/* test_gemm_threads.c: results are the same bit for bit on any number of threads, and a row's result does not depend on
 * how many rows there are. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/numeric/ladder.h"

static const char *const graphs[] = {
    "x: f32[m, k]; w: const f32[k, n]; y = x @ w; return y",
    "x: f32[m, k]; w: f32[k, n]; y = x @ w; return y",
    "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y = gelu(x @ w + b); return y",
};

Test(gemm_threads, same_bits_for_any_count) {
  kiln_engine *engine = ladder_engine();
  static const int counts[] = {1, 2, 3, 7};
  static const char *const schedules[] = {NULL,
                                          "kc=32",
                                          "mc=24 nc=64",
                                          "mc=14 nc=32 kc=40 strip=2 tasks=5 pack_a=task",
                                          "mc=14 nc=32 kc=40 pc=100 strip=2 tasks=5 pack_a=task",
                                          "layers=3 mc=14 nc=64 tasks=20",
                                          "layers=7 kc=8 tasks=9 epilogue=rows"};
  enum { M = 61, K = 100, N = 203 };
  size_t bytes = sizeof(float) * M * N;
  char *first = malloc(bytes), *other = malloc(bytes);
  for (size_t g = 0; g < sizeof graphs / sizeof *graphs; ++g)
    for (size_t s = 0; s < sizeof schedules / sizeof *schedules; ++s)
      for (size_t t = 0; t < sizeof counts / sizeof *counts; ++t) {
        LadderCase c = {.graph = graphs[g], .schedule = schedules[s], .threads = counts[t], .symbols = {M, K, N}};
        ladder_run(engine, &c);
        ladder_result(engine, &c, t == 0 ? first : other, bytes);
        if (t > 0) cr_expect_eq(memcmp(first, other, bytes), 0, "%s: %d threads give other bits", graphs[g], counts[t]);
      }
  free(first);
  free(other);
  kiln_engine_destroy(engine);
}

/* Layers that the planner chooses by itself, added up by whichever thread is the last: the same bits for any count, and
 * for any number of rows where the kernel may be called with any. */
Test(gemm_threads, layers_of_long_k) {
  kiln_engine *engine = ladder_engine();
  static const int counts[] = {1, 2, 5};
  static const char *const long_k[] = {
      "x: f32[8, 8192]; w: const f32[8192, 40]; y = x @ w; return y",
      "x: bf16[8, 16384]; w: const bf16[16384, 40]; b: f32[40]; y = gelu(x @ w + b); return y",
      "x: u8[8, 32768]; w: i8[32768, 40]; y = dequant(x, 0.5, 3) @ dequant(w, 0.25, 7); return y",
      "x: f32[m, 8192]; w: f32[8192, 40]; y = x @ w; return y",
  };
  uint32_t first[8 * 40], other[8 * 40]; /* the bits of floats */
  for (size_t g = 0; g < sizeof long_k / sizeof *long_k; ++g)
    for (int round = 0; round < 12; ++round) {
      LadderCase c = {.graph = long_k[g], .threads = counts[round % 3], .symbols = {8}};
      ladder_run(engine, &c);
      ladder_result(engine, &c, round == 0 ? first : other, sizeof first);
      if (round > 0) cr_expect_eq(memcmp(first, other, sizeof first), 0, "%s: other bits", long_k[g]);
    }
  kiln_engine_destroy(engine);
}

/* The first rows of a longer product are those of a shorter one: the generator fills x row by row from the same seed
 * only if its length is the same, so both products read one long x and use a part of it. */
Test(gemm_threads, rows_do_not_depend_on_their_number) {
  kiln_engine *engine = ladder_engine();
  enum { ROWS = 40, K = 4100, N = 50 };
  float *x = malloc(sizeof(float) * ROWS * K), *w = malloc(sizeof(float) * K * N);
  float *all = malloc(sizeof(float) * ROWS * N), *part = malloc(sizeof(float) * ROWS * N);
  for (int i = 0; i < ROWS * K; ++i) x[i] = (float)(i % 101) * 0.37F - 15;
  for (int i = 0; i < K * N; ++i) w[i] = (float)(i % 89) * 0.11F - 4;
  kiln_kernel *kernel;
  kiln_compile_options options = {.size = sizeof options, .packing = KILN_PACK_NEVER, .batch_invariant = true};
  cr_assert_eq(kiln_compile_text(engine, graphs[0], &options, &kernel), KILN_OK);
  for (int64_t m = ROWS; m >= 1; --m) {
    kiln_call call = {
        .size = sizeof call,
        .inputs = (const void *[]){x, w},
        .outputs = (void *[]){m == ROWS ? all : part},
        .symbols = (int64_t[]){m, K, N},
        .threads = kiln_threads_serial(),
    };
    cr_assert_eq(kiln_run(kernel, &call), KILN_OK);
    if (m < ROWS)
      cr_expect_eq(memcmp(all, part, sizeof(float) * (size_t)m * N), 0, "%lld rows give other bits", (long long)m);
  }
  kiln_kernel_release(kernel);
  free(x), free(w), free(all), free(part);
  kiln_engine_destroy(engine);
}
