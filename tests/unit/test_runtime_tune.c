/* test_runtime_tune.c: tuning through the public interface: results, records on disk, where kernels find them, what is
 * refused, stopping, and memory that runs out. Nothing here depends on how long anything takes. */
#include <sys/stat.h>

#include "tests/unit/runtime_help.h"

#define PRODUCT "x: f32[m, 48]; w: const f32[48, 96]; b: f32[96]; y: f32 = relu(x @ w + b); return y"
#define FIXED "x: f32[40, 48]; w: const f32[48, 96]; y: f32 = x @ w; return y"

/* What the callbacks saw. */
typedef struct Seen {
  size_t steps, candidates, verified, kept, stop_after;
  char first[256], kept_schedule[256];
} Seen;

static bool see_progress(void *ctx, const kiln_tune_progress *progress) {
  Seen *seen = ctx;
  cr_expect_leq(progress->done, progress->total);
  cr_expect_not_null(progress->schedule);
  return ++seen->steps != seen->stop_after;
}

static void see_candidate(void *ctx, const kiln_tune_candidate *candidate) {
  Seen *seen = ctx;
  if (seen->candidates++ == 0) snprintf(seen->first, sizeof seen->first, "%s", candidate->schedule);
  seen->verified += candidate->verified;
  if (candidate->kept) snprintf(seen->kept_schedule, sizeof seen->kept_schedule, "%s", candidate->schedule);
  seen->kept += candidate->kept;
  cr_expect(candidate->reason[0] != '\0');
}

static kiln_tune_options options_of(Seen *seen, const int64_t *symbols) {
  return (kiln_tune_options){
      .size = sizeof(kiln_tune_options),
      .symbols = symbols,
      .threads = kiln_threads_serial(),
      .seconds = 0.2,
      .ctx = seen,
      .progress = see_progress,
      .candidate = see_candidate,
  };
}

static kiln_status tune(kiln_engine *engine, const char *text, const kiln_tune_options *options,
                        kiln_tune_result *result) {
  kiln_graph *graph = graph_of(text);
  kiln_status status = kiln_tune(engine, graph, options, result);
  kiln_graph_destroy(graph);
  return status;
}

static kiln_status report(kiln_engine *engine, const char *text, int64_t m, int32_t threads, const char *schedule,
                          double us) {
  kiln_graph *graph = graph_of(text);
  kiln_tune_timing timing = {.size = sizeof timing, .symbols = &m, .threads = threads, .schedule = schedule, .us = us};
  kiln_status status = kiln_tune_report(engine, graph, &timing);
  kiln_graph_destroy(graph);
  return status;
}

/* How a kernel for m rows on one thread came to its schedule. */
static void expect_origin(kiln_engine *engine, const char *text, int64_t m, const char *origin, const char *schedule) {
  kiln_kernel *kernel =
      compile_with(engine, text, (kiln_compile_options){.tune_symbols = &m, .tune_threads = kiln_threads_serial()});
  cr_expect_str_eq(info_of(kernel).origin, origin);
  if (schedule) cr_expect_not_null(strstr(info_of(kernel).schedule, schedule), "%s", info_of(kernel).schedule);
  kiln_kernel_release(kernel);
}

static void *read_file(const char *path, char *text, size_t size) {
  FILE *file = fopen(path, "r");
  if (!file) return NULL;
  text[fread(text, 1, size - 1, file)] = 0;
  fclose(file);
  return text;
}

Test(runtime_tune, finds_keeps_and_tells) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  Seen seen = {0};
  int64_t m = 40;
  kiln_tune_options options = options_of(&seen, &m);
  kiln_tune_result result = {.size = sizeof result};
  cr_assert_eq(tune(engine, PRODUCT, &options, &result), KILN_OK);
  cr_expect_geq(result.candidates, 3);
  cr_expect_eq(result.candidates, seen.candidates);
  cr_expect_eq(result.failed, 0, "%s", place.text);
  cr_expect_eq(seen.verified, seen.candidates);
  cr_expect_eq(seen.kept, 1);
  cr_expect_str_eq(result.schedule.data, seen.kept_schedule);
  cr_expect_eq(result.gained, strcmp(seen.first, seen.kept_schedule) != 0);
  cr_expect(result.us > 0 && result.default_us > 0 && result.us <= result.default_us);
  cr_expect_not(result.stopped);
  cr_expect_gt(seen.steps, seen.candidates);
  kiln_buffer_free(&result.schedule);
  expect_origin(engine, PRODUCT, 40, "record exact", NULL);
  expect_origin(engine, PRODUCT, 41, "record bucket", NULL);
  expect_origin(engine, PRODUCT, 400, "record other", NULL);
  kiln_engine_destroy(engine);
  engine = place_engine(&place); /* another process */
  expect_origin(engine, PRODUCT, 40, "record exact", NULL);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_tune, exhaustive_and_listing) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  Seen seen = {0}, listed = {0};
  kiln_compile_options compile = {.size = sizeof compile, .schedule = "mr=4 nr=32 epilogue=registers pack_a=none ku=2"};
  kiln_tune_options options = options_of(&seen, NULL), list = options_of(&listed, NULL);
  options.compile = list.compile = &compile;
  options.exhaustive = list.list_only = true;
  kiln_tune_result result = {.size = sizeof result};
  cr_assert_eq(tune(engine, FIXED, &list, NULL), KILN_OK);
  cr_assert_eq(tune(engine, FIXED, &options, &result), KILN_OK);
  cr_expect_geq(listed.candidates, 5);
  cr_expect_eq(listed.verified + listed.steps, 0);
  cr_expect_eq(result.candidates, listed.candidates, "everything that is listed of so few objects is measured");
  cr_expect(result.best_us > 0 && result.best_us <= result.us);
  kiln_buffer_free(&result.schedule);
  expect_origin(engine, FIXED, 0, "model", NULL); /* fields were fixed: no record */
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_tune, a_graph_with_one_schedule) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  Seen seen = {0};
  int64_t m = 5;
  kiln_tune_options options = options_of(&seen, &m);
  kiln_tune_result result = {.size = sizeof result};
  cr_assert_eq(tune(engine, ROWS, &options, &result), KILN_OK);
  cr_expect_eq(result.candidates, 0);
  cr_expect_str_eq(result.schedule.data, "");
  kiln_buffer_free(&result.schedule);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_tune, stops_when_told) {
  static const size_t moments[] = {1, 2, 12, 40};
  for (size_t i = 0; i < sizeof moments / sizeof *moments; ++i) {
    size_t after = moments[i];
    Place place;
    place_init(&place);
    kiln_engine *engine = place_engine(&place);
    Seen seen = {.stop_after = after};
    int64_t m = 40;
    kiln_tune_options options = options_of(&seen, &m);
    kiln_tune_result result = {.size = sizeof result};
    cr_assert_eq(tune(engine, PRODUCT, &options, &result), KILN_OK);
    cr_expect_eq(result.stopped, seen.steps == after);
    cr_expect_leq(seen.steps, after);
    cr_expect_eq(seen.kept, 1);
    kiln_buffer_free(&result.schedule);
    kiln_engine_destroy(engine);
    place_release(&place);
  }
}

Test(runtime_tune, measure_when_compiling) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  int64_t m = 40;
  kiln_compile_options options = {
      .tune = KILN_TUNE_MEASURE, .tune_symbols = &m, .tune_seconds = 0.05, .tune_threads = kiln_threads_serial()};
  kiln_kernel *kernel = compile_with(engine, PRODUCT, options);
  cr_expect_str_eq(info_of(kernel).origin, "record exact");
  expect_runs(kernel, PRODUCT, &m, NULL);
  kiln_kernel_release(kernel);
  kernel = compile_with(engine, PRODUCT, options);
  cr_expect_eq(info_of(kernel).cache, KILN_MEMORY, "there is a record now");
  kiln_kernel_release(kernel);
  options.tune = KILN_TUNE_NEVER;
  kernel = compile_with(engine, PRODUCT, options);
  cr_expect_str_eq(info_of(kernel).origin, "model");
  kiln_kernel_release(kernel);
  options.tune = KILN_TUNE_MEASURE;
  options.schedule = "mr=4";
  kernel = compile_with(engine, PRODUCT, options);
  cr_expect_str_eq(info_of(kernel).origin, "fixed");
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* Passed fields of the record reach the call: as many tasks as it says, for its threads and sizes only. */
Test(runtime_tune, reported_blocks_reach_the_call) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=4 nr=32 mc=8 nc=32 tasks=15", 5), KILN_OK);
  cr_assert_eq(report(engine, PRODUCT, 80, 1, "mr=4 nr=32 mc=80 nc=96 tasks=1", 5), KILN_OK);
  expect_origin(engine, PRODUCT, 40, "record exact", "mr=4 nr=32");
  int64_t m = 40, dims[16], tasks;
  kiln_kernel *kernel =
      compile_with(engine, PRODUCT, (kiln_compile_options){.tune_symbols = &m, .tune_threads = kiln_threads_serial()});
  static const struct {
    int64_t m, tasks;
    int32_t threads;
  } cases[] = {{40, 15, 1}, {41, 15, 1}, {80, 1, 1}, {78, 1, 1}, {64, 1, 1}, {40, 1, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    m = cases[i].m;
    cr_assert_eq(kiln_kernel_args(kernel, &m, cases[i].threads, dims, &tasks, NULL), KILN_OK);
    if (cases[i].tasks > 1) cr_expect_eq(tasks, cases[i].tasks, "m=%lld: %lld tasks", (long long)m, (long long)tasks);
    else cr_expect_lt(tasks, 15);
    expect_runs(kernel, PRODUCT, &m, kiln_threads_serial());
  }
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_tune, reports_replace_when_faster) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=4 nr=32", 5), KILN_OK);
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=5 nr=32", 6), KILN_OK);
  expect_origin(engine, PRODUCT, 40, "record exact", "mr=4 nr=32");
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=6 nr=32", 4), KILN_OK);
  expect_origin(engine, PRODUCT, 40, "record exact", "mr=6 nr=32");
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_tune, refusals) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_graph *graph = graph_of(PRODUCT);
  int64_t m = 4, negative = -1;
  kiln_tune_options options = {.size = sizeof options};
  kiln_tune_result small = {.size = 1};
  cr_expect_eq(kiln_tune(NULL, graph, &options, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tune(engine, NULL, &options, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tune(engine, graph, &options, NULL), KILN_INVALID_ARGUMENT); /* no sizes */
  cr_expect_eq(kiln_tune(engine, graph, &options, &small), KILN_INVALID_ARGUMENT);
  options.symbols = &negative;
  cr_expect_eq(kiln_tune(engine, graph, &options, NULL), KILN_INVALID_ARGUMENT);
  options.symbols = &m;
  options.seconds = -1;
  cr_expect_eq(kiln_tune(engine, graph, &options, NULL), KILN_INVALID_ARGUMENT);
  options.seconds = 0.1;
  kiln_buffer message = {0};
  kiln_compile_options compile = {.size = sizeof compile, .target = "neoverse-v1", .message = &message};
  options.compile = &compile;
  cr_expect_eq(kiln_tune(engine, graph, &options, NULL), KILN_MISSING_FEATURE);
  cr_expect_not_null(strstr(message.data, "lacks features of 'neoverse-v1'"));
  kiln_buffer_free(&message);
  cr_expect_eq(report(engine, PRODUCT, 40, 0, "mr=4", 5), KILN_INVALID_ARGUMENT);
  cr_expect_eq(report(engine, PRODUCT, 40, 1, "mr=4", 0), KILN_INVALID_ARGUMENT);
  cr_expect_eq(report(engine, PRODUCT, 40, 1, "mr=4", 1e13), KILN_INVALID_ARGUMENT);
  cr_expect_eq(report(engine, PRODUCT, 40, 1, "mr=4", 1e-9), KILN_INVALID_ARGUMENT);
  cr_expect_eq(report(engine, PRODUCT, 40, 1, "mr=four", 5), KILN_INVALID_ARGUMENT);
  cr_expect_eq(report(engine, PRODUCT, 40, 1, "nr=7", 5), KILN_UNSUPPORTED);
  cr_expect_eq(report(engine, PRODUCT, -1, 1, "mr=4", 5), KILN_INVALID_ARGUMENT);
  kiln_kernel *kernel;
  compile = (kiln_compile_options){.size = sizeof compile, .tune = KILN_TUNE_MEASURE, .message = &message};
  cr_expect_eq(kiln_compile(engine, graph, &compile, &kernel), KILN_INVALID_ARGUMENT);
  cr_expect_not_null(strstr(message.data, "tune_symbols"));
  kiln_buffer_free(&message);
  compile.tune_symbols = &negative;
  cr_expect_eq(kiln_compile(engine, graph, &compile, &kernel), KILN_INVALID_ARGUMENT);
  cr_expect_not_null(strstr(message.data, "no sizes of this graph"));
  kiln_buffer_free(&message);
  compile = (kiln_compile_options){.size = sizeof compile, .tune = (kiln_tuning)7};
  cr_expect_eq(kiln_compile(engine, graph, &compile, &kernel), KILN_INVALID_ARGUMENT);
  kiln_graph_destroy(graph);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

Test(runtime_tune, tune_file_says_where) {
  Place place;
  place_init(&place);
  char path[160], text[4096];
  snprintf(path, sizeof path, "%s/deep/records", place.root);
  kiln_engine_options options = place_options(&place);
  kiln_engine *engine;
  setenv("KILN_TUNE_FILE", path, 1);
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  unsetenv("KILN_TUNE_FILE");
  cr_expect_str_eq(kiln_tune_file(engine), path);
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=4 nr=32", 5), KILN_OK);
  cr_assert_not_null(read_file(path, text, sizeof text));
  cr_expect_not_null(strstr(text, "threads=1 dims=m:40 "));
  cr_expect_not_null(strstr(text, "schedule=mr=4,nr=32,"));
  kiln_engine_destroy(engine);
  options.tune_file = "";
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=4 nr=32", 5), KILN_OK);
  expect_origin(engine, PRODUCT, 40, "record exact", "mr=4 nr=32"); /* in memory */
  kiln_engine_destroy(engine);
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  expect_origin(engine, PRODUCT, 40, "model", NULL);
  kiln_engine_destroy(engine);
  options.cache_dir = "", options.tune_file = NULL;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  cr_expect_str_eq(kiln_tune_file(engine), "");
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_tune, read_only_directories_have_records_too) {
  Place place;
  place_init(&place);
  char shipped[160];
  snprintf(shipped, sizeof shipped, "%s/shipped", place.root);
  kiln_engine_options options = place_options(&place);
  kiln_engine *engine;
  options.cache_dir = shipped;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=4 nr=32", 5), KILN_OK);
  kiln_engine_destroy(engine);
  options.cache_dir = place.cache, options.cache_path = shipped;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  expect_origin(engine, PRODUCT, 40, "record exact", "mr=4 nr=32");
  kiln_engine_destroy(engine);
  place_release(&place);
}

static void write_file(const char *path, const char *text, mode_t mode) {
  FILE *file = fopen(path, "w");
  cr_assert_not_null(file);
  fputs(text, file);
  fclose(file);
  cr_assert_eq(chmod(path, mode), 0);
}

/* Stale lines and foreign files cost one event each, and never a compile. */
Test(runtime_tune, stale_and_untrusted_files) {
  static const struct {
    const char *text;
    mode_t mode;
    const char *event;
  } cases[] = {
      {"nonsense\nmore nonsense\n", 0600, "2 lines are no records of this version"},
      {"kiln 0.0.1 tuning 1 whatever\n", 0600, NULL},
      {"", 0666, "another user"},
      {"kiln " KILN_VERSION " tuning 1 target=T threads=1 dims=m:40 packing=const template=gemm us=1.0 date=9 "
       "schedule=nr=7 graph=" PRODUCT "\n",
       0600, "a record does not fit"},
      {"kiln " KILN_VERSION " tuning 1 target=T threads=1 dims=m:40 packing=const template=mlp us=1.0 date=9 "
       "schedule=mr=4 graph=" PRODUCT "\n",
       0600, "a record does not fit"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    Place place;
    place_init(&place);
    kiln_engine_options options = place_options(&place);
    kiln_engine *engine;
    kiln_cpu cpu;
    char path[160], text[1024], *target;
    cr_assert_eq(mkdir(place.cache, 0700), 0);
    cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
    kiln_engine_cpu(engine, &cpu);
    snprintf(text, sizeof text, "%s", cases[i].text);
    if ((target = strstr(text, "target=T ")) != NULL)
      snprintf(text, sizeof text, "%.*starget=%s %s", (int)(target - text), cases[i].text, cpu.target,
               cases[i].text + (target - text) + 9);
    snprintf(path, sizeof path, "%s/tuning.txt", place.cache);
    write_file(path, text, cases[i].mode);
    expect_origin(engine, PRODUCT, 40, "model", NULL);
    expect_origin(engine, PRODUCT, 40, "model", NULL);
    cr_expect_eq(place.events[KILN_LOG_WARNING], cases[i].event != NULL, "%s", place.text);
    if (cases[i].event) cr_expect_not_null(strstr(place.text, cases[i].event), "%s", place.text);
    kiln_engine_destroy(engine);
    place_release(&place);
  }
}

/* A file that is not read is not written either: its records would be lost. The engine keeps the new one. */
Test(runtime_tune, a_file_that_cannot_be_read_stays) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  char path[160], text[4096], before[4096];
  snprintf(path, sizeof path, "%s/tuning.txt", place.cache);
  cr_assert_eq(report(engine, PRODUCT, 40, 1, "mr=4 nr=32", 5), KILN_OK);
  cr_assert_not_null(read_file(path, before, sizeof before));
  cr_assert_eq(chmod(path, 0666), 0);
  cr_expect_eq(report(engine, PRODUCT, 80, 1, "mr=5 nr=32", 5), KILN_OK);
  cr_assert_not_null(read_file(path, text, sizeof text));
  cr_expect_str_eq(text, before);
  expect_origin(engine, PRODUCT, 80, "record exact", "mr=5 nr=32");
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* A caller who knows the result without its last field gets the others, and nothing is left behind. */
Test(runtime_tune, an_older_result) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_graph *graph = graph_of(PRODUCT);
  int64_t m = 4;
  kiln_tune_options options = {.size = sizeof options, .symbols = &m, .seconds = 0.05};
  kiln_tune_result result = {.size = offsetof(kiln_tune_result, schedule)};
  cr_assert_eq(kiln_tune(engine, graph, &options, &result), KILN_OK);
  cr_expect_gt(result.us, 0);
  cr_expect_null(result.schedule.data);
  kiln_graph_destroy(graph);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* Blocks of a record that are more than there is are cut to that: a kernel keeps accumulators for whole blocks. */
Test(runtime_tune, blocks_of_a_record_are_cut) {
  static const char text[] = "x: f32[m, 8192]; w: f32[8192, 64]; y: f32 = x @ w; return y";
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  int64_t m = 64;
  cr_assert_eq(report(engine, text, m, 1, "layers=4 mc=1073741824 nc=1073741824", 5), KILN_OK);
  kiln_kernel *kernel =
      compile_with(engine, text, (kiln_compile_options){.tune_symbols = &m, .tune_threads = kiln_threads_serial()});
  cr_expect_str_eq(info_of(kernel).origin, "record exact");
  expect_runs(kernel, text, &m, kiln_threads_serial());
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* Two engines as two processes: each adds to what the other wrote. */
Test(runtime_tune, writers_merge) {
  Place place;
  place_init(&place);
  char path[160], text[8192];
  kiln_engine *one = place_engine(&place), *two = place_engine(&place);
  for (int64_t m = 1; m <= 6; ++m) cr_assert_eq(report(m % 2 ? one : two, PRODUCT, m, 1, "mr=1 nr=32", 5), KILN_OK);
  snprintf(path, sizeof path, "%s/tuning.txt", place.cache);
  cr_assert_not_null(read_file(path, text, sizeof text));
  for (int m = 1; m <= 6; ++m) {
    char word[24];
    snprintf(word, sizeof word, "dims=m:%d ", m);
    cr_expect_not_null(strstr(text, word), "%s is lost", word);
  }
  kiln_engine_destroy(one);
  kiln_engine_destroy(two);
  place_release(&place);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

Test(runtime_tune, every_allocation_may_fail) {
  size_t succeeded = 0;
  for (long fail_at = 1; fail_at < 9000 && succeeded == 0; fail_at += 1 + fail_at / 5) {
    Place place;
    place_init(&place);
    kiln_engine *engine = place_engine(&place);
    Seen seen = {.stop_after = 8};
    kiln_graph *graph = graph_of(PRODUCT);
    int64_t m = 8;
    kiln_compile_options compile = {.size = sizeof compile,
                                    .schedule =
                                        "mr=4 nr=32 pack_b=ahead prefetch=none pack_a=none ku=1 epilogue=registers"};
    kiln_tune_options options = options_of(&seen, &m);
    options.compile = &compile; /* one object, whose blocks vary */
    kiln_tune_result result = {.size = sizeof result};
    place.fail_at = place.made + fail_at;
    kiln_status status = kiln_tune(engine, graph, &options, &result);
    cr_expect(status == KILN_OK || status == KILN_OUT_OF_MEMORY, "allocation %ld: %s", fail_at,
              kiln_status_name(status));
    succeeded += status == KILN_OK && place.made < place.fail_at;
    if (!status) kiln_buffer_free(&result.schedule);
    kiln_graph_destroy(graph);
    kiln_engine_destroy(engine);
    place_release(&place);
  }
  cr_expect_eq(succeeded, 1);
}
