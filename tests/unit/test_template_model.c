/* test_template_model.c: predictions: never below what the machine could do at best, and following what they should.
 * Whether they are right is measured, not tested (bench/results/model.md). */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "templates/template.h"

static Prediction predict(const char *text, const char *target, const char *fixed, int64_t symbol,
                          const Machine *machine) {
  kiln_graph *graph = graph_parse(text, strlen(text), &allocator_default);
  Arena arena;
  Text why;
  Plan plan;
  text_init(&why, NULL);
  arena_init(&arena, NULL);
  cr_assert_eq(graph_check(graph), KILN_OK);
  Problem problem = {.graph = graph, .target = target_find(target)};
  cr_assert_eq(schedule_parse(fixed, &problem.wishes, &why), KILN_OK);
  cr_assert_eq(tmpl_plan(&problem, &arena, &plan, &why), KILN_OK, "%s", text_get(&why));
  int64_t params[PLAN_MAX_PARAMS];
  Prediction p;
  plan.template->bind(&plan, &symbol, machine, params);
  plan.template->predict(&plan, &symbol, params, machine, &p);
  text_release(&why);
  arena_release(&arena);
  kiln_graph_destroy(graph);
  return p;
}

static Machine machine_named(const char *target, int threads) { return machine_of(target_find(target), threads); }

static const char square[] = "x: f32[m, 1024]; w: const f32[1024, 1024]; y = x @ w; return y";

Test(template_model, is_never_above_the_peak) {
  static const char *const graphs[] = {
      square,
      "x: f32[m, 64]; w: f32[64, 7]; y = gelu(x @ w); return y",
      "x: bf16[m, 300]; w: bf16[5000, 300]; y: bf16 = x @ w.T; return y",
      "x: u8[m, 1]; w: const i8[1, 65]; y = x @ w; return y",
      "x: f16[m, 4096]; w: const f16[4096, 64]; b: f16[64]; y: f16 = x @ w + b; return y",
  };
  static const int64_t rows[] = {0, 1, 17, 128, 5000};
  for (size_t t = 0; t < target_count(); ++t)
    for (size_t g = 0; g < ARRAY_LENGTH(graphs); ++g)
      for (size_t r = 0; r < ARRAY_LENGTH(rows); ++r)
        for (int threads = 1; threads <= 64; threads *= 8) {
          Machine machine = machine_named(target_get(t)->name, threads);
          Prediction p = predict(graphs[g], target_get(t)->name, "", rows[r], &machine);
          cr_expect(isfinite(p.seconds) && p.seconds > 0, "%s: %g s", graphs[g], p.seconds);
          cr_expect(p.balance >= 1 - 1e-9, "%s: balance %g", graphs[g], p.balance);
          cr_expect(p.tile_share >= 0 && p.tile_share <= 1, "%s on %s: tile %g", graphs[g], target_get(t)->name,
                    p.tile_share);
          double parts = p.packing + p.epilogue + p.fork;
          for (size_t level = 0; level < LEVEL_COUNT; ++level) {
            cr_expect(p.bytes[level] >= 0 && p.levels[level] >= 0, "%s", graphs[g]);
            parts += p.levels[level];
          }
          cr_expect(p.seconds >= p.compute && p.seconds <= p.compute + parts + 1e-12, "%s: %g of %g and %g", graphs[g],
                    p.seconds, p.compute, parts);
        }
}

Test(template_model, follows_sizes_and_machine) {
  Machine one = machine_named("skylake-avx512", 1), many = machine_named("skylake-avx512", 16), slow = one;
  Prediction alone = predict(square, "skylake-avx512", "", 1024, &one);
  double work = 2.0 * 1024 * 1024 * 1024, twice = predict(square, "skylake-avx512", "", 2048, &one).seconds;
  cr_expect_geq(alone.seconds, work / alone.peak);
  cr_expect_leq(alone.seconds, 1.5 * work / alone.peak, "%g s", alone.seconds);
  cr_expect(twice > 1.8 * alone.seconds && twice < 2.2 * alone.seconds);
  double shared = alone.seconds / predict(square, "skylake-avx512", "", 1024, &many).seconds;
  cr_expect(shared > 10 && shared <= 16, "%g times faster on 16 threads", shared);
  slow.l2_bytes = 64 << 10;
  cr_expect_gt(predict(square, "skylake-avx512", "kc=1024 mc=1024", 1024, &slow).bytes[LEVEL_L3],
               alone.bytes[LEVEL_L3]);
  cr_expect_gt(predict(square, "skylake-avx512", "mr=4 nr=16", 1024, &one).seconds, 1.3 * alone.seconds);
  cr_expect_gt(predict(square, "skylake-avx512", "mc=1024 nc=1024", 1024, &many).balance, 15.9);
}

Test(template_model, machines_are_read_from_text) {
  static const struct {
    const char *text, *fault;
  } cases[] = {
      {"", ""},
      {" cores=96  sockets=2 l1d_bytes=48K l2_bytes=2M l3_bytes=1G l3_cores=8 ", ""},
      {"cores", "machine: 'cores', expected a number from 1, with K, M or G"},
      {"cores=", "machine: 'cores=', expected a number from 1, with K, M or G"},
      {"cores=0", "machine: 'cores=0', expected a number from 1, with K, M or G"},
      {"cores=4x", "machine: 'cores=4x', expected a number from 1, with K, M or G"},
      {"l2_bytes=99999999999999999999999",
       "machine: 'l2_bytes=99999999999999999999999', expected a number from 1, with K, M or G"},
      {"l3_bytes=2000000000G", "machine: 'l3_bytes=2000000000G', expected a number from 1, with K, M or G"},
      {"sockets=2 core=4", "machine: 'core=4', expected one of cores sockets l1d_bytes l2_bytes l3_bytes l3_cores"},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(cases); ++i) {
    Machine machine = {0};
    Text why;
    text_init(&why, NULL);
    kiln_status status = machine_parse(cases[i].text, &machine, &why);
    cr_expect_eq(status, cases[i].fault[0] ? KILN_INVALID_ARGUMENT : KILN_OK);
    cr_expect_str_eq(text_get(&why), cases[i].fault);
    if (i == 1) {
      Machine changed = machine_named("haswell", 3);
      machine_change(&changed, &machine);
      cr_expect(changed.cores == 96 && changed.sockets == 2 && changed.l1d_bytes == 48 << 10 && changed.threads == 3);
      cr_expect(changed.l2_bytes == 2 << 20 && changed.l3_bytes == 1 << 30 && changed.l3_cores == 8);
    }
    text_release(&why);
  }
}
