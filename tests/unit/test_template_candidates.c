/* test_template_candidates.c: schedules that templates call worth measuring: valid, complete, different, diverse, and
 * the default first; every one of them computes the product. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "templates/template.h"
#include "tests/unit/template_run.h"

enum { MOST = 4096 };

typedef struct Listed {
  kiln_graph *graph;
  Arena arena;
  Plan plan;
  Schedule *list;
  size_t count;
} Listed;

static Listed candidates_of(const char *graph, const char *target, const char *fixed, const int64_t *symbols,
                            int threads, size_t capacity) {
  Listed l = {.graph = graph_parse(graph, strlen(graph), &allocator_default), .list = calloc(MOST, sizeof *l.list)};
  Text why;
  text_init(&why, NULL);
  arena_init(&l.arena, NULL);
  cr_assert_eq(graph_check(l.graph), KILN_OK);
  Problem problem = {.graph = l.graph, .target = target_find(target)};
  cr_assert_eq(schedule_parse(fixed, &problem.wishes, &why), KILN_OK);
  cr_assert_eq(tmpl_plan(&problem, &l.arena, &l.plan, &why), KILN_OK, "%s", text_get(&why));
  Machine machine = machine_of(problem.target, threads);
  l.count = l.plan.template->candidates(&l.plan, symbols, &machine, l.list, capacity);
  cr_assert_leq(l.count, capacity);
  text_release(&why);
  return l;
}

static void release(Listed *l) {
  arena_release(&l->arena);
  kiln_graph_destroy(l->graph);
  free(l->list);
}

static void print(const Schedule *schedule, Text *out) {
  text_clear(out);
  schedule_print(schedule, FIELD_BAKED, out);
  text_add_char(out, ' ');
  schedule_print(schedule, FIELD_PASSED, out);
}

/* Each is planned as it stands, and no two print alike. */
static void expect_sound(const Listed *l) {
  Text text, why;
  text_init(&text, NULL);
  text_init(&why, NULL);
  char **printed = calloc(l->count, sizeof *printed);
  for (size_t i = 0; i < l->count; ++i) {
    print(&l->list[i], &text);
    printed[i] = strdup(text_get(&text));
    Problem problem = l->plan.problem;
    memset(&problem.wishes, 0, sizeof problem.wishes);
    cr_expect_eq(schedule_parse(printed[i], &problem.wishes, &why), KILN_OK);
    Plan plan;
    Arena arena;
    arena_init(&arena, NULL);
    cr_expect_eq(tmpl_plan(&problem, &arena, &plan, &why), KILN_OK, "%s: %s", printed[i], text_get(&why));
    arena_release(&arena);
    for (size_t j = 0; j < i; ++j) cr_expect_str_neq(printed[i], printed[j], "%zu and %zu are the same", j, i);
  }
  for (size_t i = 0; i < l->count; ++i) free(printed[i]);
  free(printed);
  text_release(&text);
  text_release(&why);
}

static const struct {
  const char *graph, *target;
  int64_t symbols[3];
} cases[] = {
    {"x: f32[m, k]; w: const f32[k, n]; y = x @ w; return y", "skylake-avx512", {384, 768, 3072}},
    {"x: f32[127, 129]; w: f32[129, 131]; y: f32 = relu(x @ w); return y", "haswell", {0}},
    {"x: bf16[128, 4096]; w: const bf16[4096, 4096]; y: bf16 = x @ w; return y", "sapphirerapids", {0}},
    {"x: u8[m, 300]; w: const i8[300, 500]; y = x @ w; return y", "cascadelake", {250}},
    {"x: f16[1, 64]; w: f16[64, 64]; y: f16 = x @ w; return y", "neoverse-v1", {0}},
    {"x: f32[m, 1]; w: f32[1, n]; y = x @ w; return y", "skylake-avx512", {0, 0}},
};

Test(template_candidates, are_sound_and_the_default_is_first) {
  static const size_t capacities[] = {1, 2, 16, 400};
  for (size_t c = 0; c < ARRAY_LENGTH(cases); ++c)
    for (size_t i = 0; i < ARRAY_LENGTH(capacities); ++i) {
      Listed l = candidates_of(cases[c].graph, cases[c].target, "", cases[c].symbols, 2, capacities[i]);
      cr_expect_geq(l.count, 1);
      expect_sound(&l);
      for (size_t field = 0; field < FIELD_COUNT; ++field)
        if (field_info((Field)field)->kind == FIELD_BAKED && l.plan.schedule.set[field])
          cr_expect_eq(l.list[0].values[field], l.plan.schedule.values[field], "%s: %s", cases[c].graph,
                       field_info((Field)field)->name);
      release(&l);
    }
}

Test(template_candidates, few_are_diverse) {
  Listed l = candidates_of(cases[0].graph, cases[0].target, "", cases[0].symbols, 1, 16);
  cr_assert_eq(l.count, 16);
  int tiles = 0, fields = 0;
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    bool varies = false;
    for (size_t i = 1; i < l.count; ++i) varies |= l.list[i].values[field] != l.list[0].values[field];
    fields += varies;
  }
  for (size_t i = 0; i < l.count; ++i) {
    bool seen = false;
    for (size_t j = 0; j < i; ++j)
      seen |= l.list[i].values[FIELD_mr] == l.list[j].values[FIELD_mr] &&
              l.list[i].values[FIELD_nr] == l.list[j].values[FIELD_nr];
    tiles += !seen;
  }
  cr_expect_geq(tiles, 3, "%d register tiles", tiles);
  cr_expect_geq(fields, 6, "%d fields vary", fields);
  release(&l);
}

Test(template_candidates, fixed_fields_stay) {
  Listed l = candidates_of(cases[0].graph, cases[0].target, "mr=6 pack_b=task mc=96", cases[0].symbols, 1, 400);
  cr_expect_gt(l.count, 10);
  for (size_t i = 0; i < l.count; ++i) {
    cr_expect_eq(l.list[i].values[FIELD_mr], 6);
    cr_expect_eq(l.list[i].values[FIELD_pack_b], PACK_B_TASK);
    cr_expect_eq(l.list[i].values[FIELD_mc], 96);
  }
  release(&l);
}

static size_t count_streamed(const char *graph, const char *target) {
  size_t streamed = 0;
  Listed l = candidates_of(graph, target, "", NULL, 1, MOST);
  for (size_t i = 0; i < l.count; ++i) streamed += l.list[i].values[FIELD_store_c] == STORE_C_STREAMED;
  cr_expect_neq(l.list[0].values[FIELD_store_c], STORE_C_STREAMED);
  release(&l);
  return streamed;
}

/* Results are tried past the caches only where they overflow the second-level one and the target has such stores. */
Test(template_candidates, large_results_are_streamed_too) {
  static const char large[] = "x: f32[2048, 13]; w: const f32[13, 2048]; y = x @ w; return y";
  static const char small[] = "x: f32[256, 13]; w: const f32[13, 256]; y = x @ w; return y";
  cr_expect_gt(count_streamed(large, "skylake-avx512"), 0);
  cr_expect_eq(count_streamed(small, "skylake-avx512"), 0);
  cr_expect_eq(count_streamed(large, "neoverse-n1"), 0);
}

/* In the interpreter, on a small product, all that 64 slots hold. */
Test(template_candidates, compute_the_product) {
  static const char graph[] = "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y: f32 = relu(x @ w + b); return y";
  const int64_t symbols[] = {17, 9, 50};
  Listed l = candidates_of(graph, "skylake-avx512", "", symbols, 2, 64);
  Text text, why;
  text_init(&text, NULL);
  text_init(&why, NULL);
  for (size_t i = 0; i < l.count; ++i) {
    print(&l.list[i], &text);
    text_clear(&why);
    template_run(&(TemplateRun){.graph = graph, .symbols = {17, 9, 50}, .schedule = text_get(&text), .threads = 2},
                 NULL, NULL, &why);
    cr_expect(why.length == 0, "%s: %s", text_get(&text), text_get(&why));
  }
  text_release(&text);
  text_release(&why);
  release(&l);
}
