/* test_template_topology.c: how products are shared by machines that are not at hand: no thread without work, none with
 * much more than the others, no task for nothing.
 *
 * Machines are told in text, as `kiln explain --machine` has them; products are those of all suites, in their types,
 * and a sweep of sizes. Nothing runs on those cores: tasks are counted by the tile IR's header and shared out by the
 * model, and that the model knows what a task does is asked of the interpreter. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "templates/template.h"

static const char *const machines[] = {
    "cores=4 sockets=1 l1d_bytes=32K l2_bytes=256K l3_bytes=6M l3_cores=4",
    "cores=4 sockets=1 l1d_bytes=48K l2_bytes=2M l3_bytes=12M l3_cores=4",
    "cores=16 sockets=1 l1d_bytes=32K l2_bytes=512K l3_bytes=16M l3_cores=4",
    "cores=16 sockets=1 l1d_bytes=48K l2_bytes=1280K l3_bytes=30M l3_cores=16",
    "cores=56 sockets=2 l1d_bytes=32K l2_bytes=1M l3_bytes=38M l3_cores=28",
    "cores=56 sockets=1 l1d_bytes=48K l2_bytes=2M l3_bytes=105M l3_cores=56",
    "cores=96 sockets=2 l1d_bytes=48K l2_bytes=2M l3_bytes=97M l3_cores=48",
    "cores=96 sockets=1 l1d_bytes=32K l2_bytes=1M l3_bytes=32M l3_cores=8",
};
static const char *const targets[] = {"skylake-avx512", "haswell", "sapphirerapids", "neoverse-v1"};

typedef struct Subject {
  kiln_graph *graph;
  Arena arena;
  Plan plan;
  Module *module;
  const Kernel *kernel;
} Subject;

static Subject subject_of(const char *text, const char *target, const char *fixed) {
  Subject s = {.graph = graph_parse(text, strlen(text), NULL)};
  Text why;
  text_init(&why, NULL);
  arena_init(&s.arena, NULL);
  cr_assert_eq(graph_check(s.graph), KILN_OK, "%s", text);
  Problem problem = {.graph = s.graph, .target = target_find(target), .forced = template_find("gemm")};
  cr_assert_eq(schedule_parse(fixed, &problem.wishes, &why), KILN_OK, "%s", text_get(&why));
  cr_assert_eq(tmpl_plan(&problem, &s.arena, &s.plan, &why), KILN_OK, "%s: %s", text, text_get(&why));
  s.module = tmpl_build(&s.plan, "test", NULL);
  s.kernel = s.module->kernels.items[0];
  text_release(&why);
  return s;
}

static void release(Subject *s) {
  module_destroy(s->module);
  arena_release(&s->arena);
  kiln_graph_destroy(s->graph);
}

enum { MOST_DIMS = 4 + PLAN_MAX_SIZES + PLAN_MAX_PARAMS };

/* The dims of a call, as the runtime binds them. */
static Prediction bind(const Subject *s, const int64_t *symbols, const Machine *machine, int64_t dims[MOST_DIMS]) {
  tmpl_bind(&s->plan, symbols, machine, dims);
  Prediction p;
  s->plan.template->predict(&s->plan, symbols, dims + tmpl_first_param(&s->plan), machine, &p);
  return p;
}

/* ---- suites and sweeps ------------------------------------------------------------------------------------------- */

typedef struct Tally {
  double sum, worst; /* of the busiest thread's work over what whole register tiles make unavoidable */
  int count;
} Tally;

/* Register tiles of C, of the default schedule, whose rows are at most m where m is a number. */
static int64_t tiles_of(const Subject *s, const int64_t *symbols) {
  const Node *c = graph_node(s->graph, s->graph->outputs.items[0]);
  int64_t mr = s->plan.schedule.values[FIELD_mr], nr = s->plan.schedule.values[FIELD_nr];
  int64_t m = dim_value(c->shape.dims[0], symbols), n = dim_value(c->shape.dims[1], symbols);
  for (; s->graph->symbols.count > 0 && mr > m; mr = s->plan.schedule.values[FIELD_mma] ? m : mr / 2) continue;
  return (m + mr - 1) / mr * ((n + nr - 1) / nr);
}

static int64_t layers_of(const Subject *s, const int64_t *dims) {
  for (int i = 0; i < s->plan.param_count; ++i)
    if (s->plan.params[i] == FIELD_layers) return dims[tmpl_first_param(&s->plan) + (size_t)i];
  return 1;
}

/* Whole tiles, or layers of them, leave some thread with `unavoidable` times the mean. Blocks may add a third to it
 * where a thread has few tiles, which fewer packed rows and shared panels are worth, and less where there are many. */
static void judge(const Subject *s, const int64_t *symbols, const char *what, Tally *tally) {
  for (size_t i = 0; i < ARRAY_LENGTH(machines); ++i) {
    Machine machine = machine_of(s->plan.problem.target, 1);
    Text why;
    text_init(&why, NULL);
    cr_assert_eq(machine_parse(machines[i], &machine, &why), KILN_OK, "%s", text_get(&why));
    text_release(&why);
    machine.threads = tmpl_threads(tmpl_work(s->graph, symbols), (int)machine.cores);
    int64_t dims[MOST_DIMS], threads = machine.threads;
    Prediction p = bind(s, symbols, &machine, dims);
    int64_t tiles = tiles_of(s, symbols) * layers_of(s, dims); /* what cannot be shared further */
    int64_t longest = (tiles + threads - 1) / threads, busy = threads < tiles ? threads : tiles;
    double unavoidable = (double)longest * (double)threads / (double)tiles, ratio = p.balance / unavoidable;
    double bound = tiles < 8 * threads ? 1.51 : tiles < 64 * threads ? 1.34 : 1.25;
    cr_expect_leq(ratio, bound, "%s on %s, %s: busiest thread %.2f times the mean, unavoidable %.2f", what,
                  s->plan.problem.target->name, machines[i], p.balance, unavoidable);
    cr_expect_geq(2 * p.tasks, busy, "%s: %lld tasks for %d threads", what, (long long)p.tasks, machine.threads);
    cr_expect_leq(p.tasks, tiles, "%s: %lld tasks of %lld tiles", what, (long long)p.tasks, (long long)tiles);
    cr_expect_eq(tile_tasks(s->kernel, dims), p.tasks, "%s", what);
    tally->sum += ratio;
    tally->worst = fmax(tally->worst, ratio);
    ++tally->count;
  }
}

static bool judge_line(void *ctx, int count, char **words) {
  static const int64_t none[4] = {0};
  cr_assert_geq(count, 1);
  for (size_t t = 0; t < ARRAY_LENGTH(targets); ++t) {
    Subject s = subject_of(words[0], targets[t], "");
    judge(&s, none, words[0], ctx);
    release(&s);
  }
  return true;
}

static void judge_suite(const char *name, Tally *tally) {
  enum { MOST_BYTES = 1 << 16 };
  char path[512], message[160], *text = calloc(1, MOST_BYTES);
  snprintf(path, sizeof path, "%s/bench/suites/%s.txt", KILN_SOURCE_DIR, name);
  FILE *file = fopen(path, "r");
  cr_assert_not_null(file, "%s", path);
  cr_assert_lt(fread(text, 1, MOST_BYTES - 1, file), MOST_BYTES - 1);
  fclose(file);
  BenchSuite suite = {.text = text, .line = judge_line, .ctx = tally};
  cr_expect(bench_suite_run(&suite, message), "%s: %s", name, message);
  free(text);
}

/* Every thread is as busy as whole tiles let it be, within a tenth in the mean. */
Test(template_topology, suites_are_shared_evenly) {
  static const char *const suites[] = {"square", "ragged", "thin", "bert", "llm", "ksplit", "unpacked"};
  Tally tally = {0, 0, 0};
  for (size_t i = 0; i < ARRAY_LENGTH(suites); ++i) judge_suite(suites[i], &tally);
  cr_expect_geq(tally.count, 10000);
  cr_expect_leq(tally.sum / tally.count, 1.1, "%.3f in the mean, %.2f at worst", tally.sum / tally.count, tally.worst);
}

Test(template_topology, other_sizes_too) {
  static const char *const graphs[] = {
      "x: f32[m, k]; w: const f32[k, n]; y = x @ w; return y",
      "x: f32[m, k]; w: f32[k, n]; y = x @ w; return y",
      "x: bf16[m, k]; w: const bf16[k, n]; y: bf16 = gelu(x @ w); return y",
  };
  static const int64_t sizes[] = {1, 3, 17, 100, 777, 3001}, depths[] = {5, 64, 2000};
  Tally tally = {0, 0, 0};
  for (size_t g = 0; g < ARRAY_LENGTH(graphs); ++g)
    for (size_t t = 0; t < ARRAY_LENGTH(targets); ++t) {
      Subject s = subject_of(graphs[g], targets[t], "");
      for (size_t i = 0; i < ARRAY_LENGTH(sizes) * ARRAY_LENGTH(sizes) * ARRAY_LENGTH(depths); ++i) {
        int64_t m = sizes[i % 6], n = sizes[i / 6 % 6], k = depths[i / 36];
        char what[64];
        snprintf(what, sizeof what, "graph %zu %lldx%lldx%lld", g, (long long)m, (long long)n, (long long)k);
        judge(&s, (int64_t[]){m, k, n}, what, &tally);
      }
      release(&s);
    }
  cr_expect_leq(tally.sum / tally.count, 1.1, "%.3f in the mean, %.2f at worst", tally.sum / tally.count, tally.worst);
}

/* ---- what a task does -------------------------------------------------------------------------------------------- */

enum { ROWS = 8 * 13, COLUMNS = 16 * 11, DEPTH = 8, ELEMENTS = ROWS * COLUMNS };

/* Elements of C that a task writes, in the interpreter. */
static int64_t written(const Subject *s, const int64_t *dims, void *workspace, int64_t workspace_bytes, int64_t task) {
  static float a[ROWS * DEPTH], b[DEPTH * COLUMNS], c[ELEMENTS];
  for (size_t i = 0; i < ELEMENTS; ++i) c[i] = NAN;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  TileRun run = {
      .buffers = (void *const[]){a, b, c}, .symbols = dims, .workspace = workspace, .workspace_bytes = workspace_bytes};
  cr_expect_eq(tile_interpret(s->kernel, &run, task, task + 1, NULL, &faults), KILN_OK);
  diagnostics_release(&faults);
  int64_t count = 0;
  for (size_t i = 0; i < ELEMENTS; ++i) count += !isnan(c[i]);
  return count;
}

/* Tasks go to the thread that is free first: the busiest thread's elements over the mean, by what tasks write. */
Test(template_topology, the_model_knows_what_tasks_do) {
  static const char graph[] = "x: f32[104, 8]; w: f32[8, 176]; y = x @ w; return y";
  static const char *const schedules[] = {
      "mc=16 nc=48 strip=2 tasks=9",  "mc=24 nc=32 strip=1 tasks=7",  "mc=8 nc=16 strip=99 tasks=50",
      "mc=104 nc=64 strip=1 tasks=9", "mc=40 nc=80 strip=3 tasks=99",
  };
  enum { THREADS = 5 };
  for (size_t i = 0; i < ARRAY_LENGTH(schedules); ++i) {
    char fixed[96];
    snprintf(fixed, sizeof fixed, "mr=8 nr=16 %s", schedules[i]);
    Subject s = subject_of(graph, "skylake-avx512", fixed);
    Machine machine = machine_of(s.plan.problem.target, THREADS);
    int64_t dims[MOST_DIMS], all = 0, busy[THREADS] = {0}, longest = 0;
    Prediction p = bind(&s, (int64_t[4]){0}, &machine, dims);
    int64_t tasks = tile_tasks(s.kernel, dims), bytes = tile_workspace(s.kernel, dims);
    void *workspace = aligned_alloc(64, (size_t)(bytes + 64) / 64 * 64);
    for (int64_t task = 0; task < tasks; ++task) {
      int64_t next = 0, count = written(&s, dims, workspace, bytes, task);
      cr_expect_gt(count, 0, "%s: task %lld of %lld is empty", fixed, (long long)task, (long long)tasks);
      for (int64_t t = 1; t < THREADS; ++t)
        if (busy[t] < busy[next]) next = t;
      busy[next] += count;
      all += count;
      if (busy[next] > longest) longest = busy[next];
    }
    free(workspace);
    cr_expect_eq(all, ELEMENTS, "%s: tasks write %lld of %d elements", fixed, (long long)all, ELEMENTS);
    cr_expect_float_eq(p.balance, (double)longest * THREADS / ELEMENTS, 1e-9, "%s: %g", fixed, p.balance);
    release(&s);
  }
}
