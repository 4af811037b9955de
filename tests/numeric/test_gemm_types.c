/* test_gemm_types.c: products of every pair of element types, by every matrix instruction this machine has: sizes
 * around each grouping of k and around the register tile, packed ahead, in the task, in place; exact and random. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/numeric/ladder.h"

typedef struct Pair {
  const char *a, *b;
} Pair;

static const Pair native[] = {{"bf16", "bf16"}, {"f16", "f16"}, {"u8", "i8"}, {"i8", "i8"}, {"i8", "u8"}, {"u8", "u8"}};
static const Pair mixed[] = {{"f32", "bf16"},      {"bf16", "f32"},    {"f16", "f32"},       {"f32", "f16"},
                             {"bf16", "f16"},      {"f32", "f8e4m3"},  {"f8e5m2", "f8e4m3"}, {"f8e4m3", "f8e4m3"},
                             {"f8e5m2", "f8e5m2"}, {"bf16", "f8e5m2"}, {"f64", "f64"},       {"i32", "i32"},
                             {"i32", "u8"}};

static void one(kiln_engine *engine, const char *target, Pair pair, const char *layout, const char *schedule, int m,
                int n, int k, bool exact) {
  char graph[200];
  snprintf(graph, sizeof graph, layout, pair.a, pair.b);
  LadderCase c = {.graph = graph, .target = target, .schedule = schedule, .exact = exact, .symbols = {m, k, n}};
  ladder_run(engine, &c);
}

static const char *const packed = "x: %s[m, k]; w: const %s[k, n]; y = x @ w; return y";
static const char *const plain = "x: %s[m, k]; w: %s[k, n]; y = x @ w; return y";
static const char *const turned = "x: %s[k, m]; w: %s[n, k]; y = x.T @ w.T; return y";

static void ladder_of(const Pair *pairs, size_t count) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_instruction_targets(engine, &targets);
  static const int ks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130};
  static const int ms[] = {1, 2, 3, 5, 6, 7, 11, 12, 13, 15, 16, 17, 25, 31, 33, 48};
  static const int ns[] = {1, 7, 8, 16, 17, 31, 32, 33, 49, 64, 65};
  for (int t = 0; t < targets; ++t)
    for (size_t p = 0; p < count; ++p)
      for (int i = 0; i < 24; ++i) {
        int k = ks[i % 19], m = ms[(i * 5) % 16], n = ns[(i * 3) % 11];
        const char *layout = i % 3 == 0 ? packed : i % 3 == 1 ? plain : turned;
        one(engine, target[t], pairs[p], layout, NULL, m, n, k, i % 2 == 0);
      }
  kiln_engine_destroy(engine);
}

Test(gemm_types, native) { ladder_of(native, sizeof native / sizeof *native); }
Test(gemm_types, mixed) { ladder_of(mixed, sizeof mixed / sizeof *mixed); }

/* Fixed sizes: no bound that a number can answer, no loop over a single rest. */
Test(gemm_types, fixed_sizes) {
  kiln_engine *engine = ladder_engine();
  for (size_t p = 0; p < sizeof native / sizeof *native; ++p)
    for (int k = 1; k < 20; k += 1 + k / 9) {
      char graph[200];
      int m = 3 + k, n = 70 - k;
      snprintf(graph, sizeof graph, "x: %s[%d, %d]; w: const %s[%d, %d]; y: f32 = x @ w; return y", native[p].a, m, k,
               native[p].b, k, n);
      ladder_run(engine, &(LadderCase){.graph = graph, .exact = true});
    }
  kiln_engine_destroy(engine);
}

/* Every way to bring the operands to the instruction. */
Test(gemm_types, schedules) {
  kiln_engine *engine = ladder_engine();
  static const char *const schedules[] = {"pack_a=task kc=64 mc=9", "pack_a=none", "pack_b=task kc=70",
                                          "pack_a=task pack_b=task kc=33 nc=40"};
  for (size_t p = 0; p < sizeof native / sizeof *native; ++p)
    for (int i = 0; i < 8; ++i) {
      one(engine, NULL, native[p], i % 4 < 2 ? packed : plain, schedules[i % 4], 20 + i, 61 + i, 120 + 13 * i, true);
    }
  for (size_t p = 0; p < 8; ++p) one(engine, NULL, mixed[p], packed, "convert=load pack_a=none", 13, 47, 37, true);
  kiln_engine_destroy(engine);
}

/* Rows of A become the accumulator's type where they are packed, B stays as it is. */
Test(gemm_types, rows_converted) {
  static const Pair pairs[] = {{"f16", "f16"}, {"bf16", "bf16"}, {"f16", "f32"}, {"bf16", "f16"}, {"f8e4m3", "bf16"}};
  static const char *const schedules[] = {"convert=rows", "convert=rows pack_a=task kc=9 mc=7 nc=33 pc=99"};
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 1; t < targets; ++t) /* but for the host itself, which may multiply some of them on tile registers */
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; ++p)
      for (int i = 0; i < 6; ++i)
        one(engine, target[t], pairs[p], i % 3 == 0 ? plain : packed, schedules[i % 2], 1 + 7 * i, 61 + i, 20 + 13 * i,
            i % 2 == 0);
  kiln_engine_destroy(engine);
}

/* Integer sums as every type of result. */
Test(gemm_types, results) {
  kiln_engine *engine = ladder_engine();
  static const char *const results[] = {"f32", "bf16", "f16", "i8", "u8", "i32"};
  for (int i = 0; i < 6; ++i) {
    char graph[200];
    snprintf(graph, sizeof graph, "x: u8[m, k]; w: const i8[k, n]; y: %s = x @ w; return y", results[i]);
    ladder_run(engine, &(LadderCase){.graph = graph, .exact = true, .symbols = {21, 30, 40}});
  }
  kiln_engine_destroy(engine);
}

/* Of the last vector of each row one lane is stored, of a type narrower than the sum. */
Test(gemm_types, one_column_left) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  static const char *const results[] = {"f32", "bf16", "f16", "i8", "u8"};
  for (int t = 0; t < targets; ++t)
    for (int i = 0; i < 5; ++i)
      for (int n = 1; n < 40; n += 16) {
        char graph[200];
        snprintf(graph, sizeof graph, "x: %s[5, 8]; w: const %s[8, %d]; y: %s = x @ w; return y", i < 3 ? "f32" : "u8",
                 i < 3 ? "f32" : "i8", n, results[i]);
        ladder_run(engine, &(LadderCase){.graph = graph, .target = target[t], .exact = true});
      }
  kiln_engine_destroy(engine);
}
