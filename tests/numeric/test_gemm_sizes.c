/* test_gemm_sizes.c: every size around the register tile, on one object with symbols, exact and random, for each vector
 * width this machine has. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/numeric/ladder.h"

/* Largest register tiles of the default schedules: rows and vectors. */
enum { ROWS = 14, COLUMNS = 64 };

static void every_size(const char *graph, const char *schedule, kiln_packing packing) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  static const int64_t ks[] = {0, 1, 2, 3, 4, 5, 7, 16, 33};
  for (int t = 0; t < targets; ++t)
    for (int64_t m = 1; m <= 2 * ROWS; ++m)
      for (int64_t n = 1; n <= 2 * COLUMNS; n += n < 20 || n % 16 < 2 || n % 16 == 15 ? 1 : 13) {
        int64_t k = ks[(m * 7 + n * 3) % 9];
        ladder_run(engine, &(LadderCase){.graph = graph,
                                         .target = target[t],
                                         .schedule = schedule,
                                         .packing = packing,
                                         .exact = (m + n) % 2 == 0,
                                         .symbols = {m, k, n}});
      }
  kiln_engine_destroy(engine);
}

static const char *const bare = "x: f32[m, k]; w: const f32[k, n]; y = x @ w; return y";

Test(gemm_sizes, packed_ahead) { every_size(bare, NULL, KILN_PACK_CONST); }
Test(gemm_sizes, packed_in_tasks) { every_size(bare, "pack_b=task", KILN_PACK_NEVER); }
Test(gemm_sizes, in_place) { every_size(bare, "pack_b=none", KILN_PACK_NEVER); }
Test(gemm_sizes, row_epilogue) {
  every_size("x: f32[m, k]; w: const f32[k, n]; y = relu(x @ w); return y", "epilogue=rows", KILN_PACK_CONST);
}
Test(gemm_sizes, blocks_of_k) { every_size(bare, "kc=4 mc=7 nc=33", KILN_PACK_CONST); }

Test(gemm_sizes, rows_packed_in_tasks) { every_size(bare, "pack_a=task", KILN_PACK_CONST); }
Test(gemm_sizes, both_packed_in_blocks) { every_size(bare, "pack_a=task pack_b=task kc=5 mc=9", KILN_PACK_NEVER); }
Test(gemm_sizes, rows_stay_packed) { every_size(bare, "pack_a=task kc=5 pc=99 mc=9 nc=20", KILN_PACK_CONST); }
Test(gemm_sizes, prefetched) { every_size(bare, "prefetch=both ku=2 kc=70 mc=20 nc=40", KILN_PACK_CONST); }

Test(gemm_sizes, every_k) {
  kiln_engine *engine = ladder_engine();
  for (int64_t k = 0; k < 40; ++k) {
    ladder_run(engine, &(LadderCase){.graph = bare, .exact = true, .symbols = {13, k, 35}});
    ladder_run(engine, &(LadderCase){.graph = bare, .exact = true, .schedule = "kc=8", .symbols = {13, k, 35}});
    ladder_run(engine, &(LadderCase){.graph = bare, .packing = KILN_PACK_NEVER, .symbols = {13, k, 35}});
  }
  kiln_engine_destroy(engine);
}

Test(gemm_sizes, empty) {
  kiln_engine *engine = ladder_engine();
  static const int64_t sizes[][3] = {{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {0, 0, 0}, {0, 0, 5}, {5, 0, 0}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    LadderCase c = {.graph = "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y = x @ w + b; return y", .exact = true};
    for (int s = 0; s < 3; ++s) c.symbols[s] = sizes[i][s];
    ladder_run(engine, &c);
    c.packing = KILN_PACK_NEVER;
    ladder_run(engine, &c);
  }
  ladder_run(engine, &(LadderCase){.graph = "x: f32[0, 3]; w: f32[3, 4]; y = x @ w; return y"});
  ladder_run(engine, &(LadderCase){.graph = "x: f32[3, 0]; w: f32[0, 4]; y = x @ w; return y"});
  kiln_engine_destroy(engine);
}

/* Fixed sizes have their own register tile each. */
Test(gemm_sizes, fixed) {
  kiln_engine *engine = ladder_engine();
  for (int m = 1; m <= 30; m += 3)
    for (int n = 1; n <= 100; n += 9) {
      char graph[200];
      snprintf(graph, sizeof graph, "x: f32[%d, %d]; w: const f32[%d, %d]; y = x @ w; return y", m, (m * n) % 11,
               (m * n) % 11, n);
      ladder_run(engine, &(LadderCase){.graph = graph, .exact = true});
    }
  kiln_engine_destroy(engine);
}

/* Every register tile a schedule can ask for. */
Test(gemm_sizes, register_tiles) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    for (int mr = 1; mr <= 14; ++mr)
      for (int nr = 16; nr <= 64; nr += 16) {
        char schedule[64];
        snprintf(schedule, sizeof schedule, "mr=%d nr=%d ku=%d", mr, nr, mr % 5 + 1);
        ladder_run(
            engine,
            &(LadderCase){
                .graph = bare, .target = target[t], .schedule = schedule, .exact = true, .symbols = {29, 11, 131}});
      }
  kiln_engine_destroy(engine);
}

/* A number for k that is no multiple of an instruction's: zeros are packed behind it, in whole or blocks of k. */
Test(gemm_sizes, cut_steps_of_k) {
  static const char *const types[][3] = {{"u8", "i8", "i32"}, {"i8", "i8", "i32"}, {"bf16", "bf16", "f32"}};
  static const char *const schedules[] = {NULL, "pack_a=task", "pack_a=task kc=32 mc=9",
                                          "pack_a=task pack_b=task kc=16"};
  kiln_engine *engine = ladder_engine();
  for (int k = 1; k < 75; k += 3 + k % 2)
    for (int i = 0; i < 3 * 4; ++i) {
      const char *const *type = types[i / 4];
      char graph[200];
      snprintf(graph, sizeof graph, "x: %s[m, %d]; w: %s%s[%d, n]; y: %s = x @ w; return y", type[0], k,
               i % 4 < 3 ? "const " : "", type[1], k, type[2]);
      LadderCase c = {.graph = graph, .schedule = schedules[i % 4], .exact = true, .symbols = {1 + k % 29, 31 + 9 * k}};
      ladder_run(engine, &c);
    }
  ladder_run(engine, &(LadderCase){.graph = "x: u8[40, 63]; w: const i8[63, 1000]; y: i32 = x @ w; return y"});
  kiln_engine_destroy(engine);
}
