/* Compiling: what is refused and why, where kernels are found, what is decided, and who owns what. */
#include <pthread.h>

#include "tests/unit/runtime_help.h"

/* Compiles text that must fail; the message holds each of the words. */
static void expect_refused(kiln_engine *engine, const char *text, kiln_compile_options options, kiln_status expected,
                           const char *word) {
  kiln_kernel *kernel = (kiln_kernel *)1;
  kiln_buffer message;
  options.size = sizeof options;
  options.message = &message;
  kiln_status status = kiln_compile_text(engine, text, &options, &kernel);
  cr_expect_eq(status, expected, "%s, expected %s", kiln_status_name(status), kiln_status_name(expected));
  cr_expect_eq(kernel, (kiln_kernel *)1, "a result is touched only on success");
  cr_assert_not_null(message.data);
  cr_expect_not_null(strstr(message.data, word), "'%s' is not in: %s", word, message.data);
  cr_expect_eq(message.data[message.size - 1], '\n');
  kiln_buffer_free(&message);
}

Test(runtime_compile, says_why_not) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_compile_options none = {0};
  expect_refused(engine, "x: f32[4, 4]; y = x @; return y", none, KILN_SYNTAX, "^");
  expect_refused(engine, "x: f32[4, 5]; y: f32 = x @ x; return y", none, KILN_INVALID_GRAPH, "1:");
  expect_refused(engine, SMALL, (kiln_compile_options){.target = "z80"}, KILN_NOT_FOUND, "'z80'");
  expect_refused(engine, SMALL, (kiln_compile_options){.template_ = "magic"}, KILN_NOT_FOUND, "'magic'");
  expect_refused(engine, SMALL, (kiln_compile_options){.schedule = "shoe=44"}, KILN_NOT_FOUND, "'shoe'");
  expect_refused(engine, SMALL, (kiln_compile_options){.schedule = "mr=x"}, KILN_INVALID_ARGUMENT, "'mr'");
  expect_refused(engine, SMALL, (kiln_compile_options){.packing = (kiln_packing)7}, KILN_INVALID_ARGUMENT, "packing");
  expect_refused(engine, ROWS, (kiln_compile_options){.template_ = "gemm"}, KILN_UNSUPPORTED, "gemm");
  expect_refused(engine, SMALL, (kiln_compile_options){.target = "generic-riscv64"}, KILN_MISSING_FEATURE, "riscv64");
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_compile, refuses_null) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_graph *graph = graph_of(SMALL);
  kiln_kernel *kernel;
  kiln_buffer message = {.size = 77};
  kiln_compile_options options = {.size = sizeof options, .message = &message};
  cr_expect_eq(kiln_compile(NULL, graph, &options, &kernel), KILN_INVALID_ARGUMENT);
  cr_expect(message.data == NULL && message.size == 0, "a message can always be freed");
  cr_expect_eq(kiln_compile(engine, NULL, NULL, &kernel), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_compile(engine, graph, NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_compile_text(engine, NULL, NULL, &kernel), KILN_INVALID_ARGUMENT);
  options.size = 3;
  cr_expect_eq(kiln_compile(engine, graph, &options, &kernel), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_kernel_describe(NULL, NULL), KILN_INVALID_ARGUMENT);
  kiln_kernel_release(NULL);
  kiln_kernel_retain(NULL);
  kiln_graph_destroy(graph);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_compile, takes_options_of_an_older_header) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  struct {
    size_t size;
    const char *target;
  } older = {.size = sizeof older};
  kiln_kernel *kernel;
  cr_assert_eq(kiln_compile_text(engine, SMALL, (const kiln_compile_options *)(const void *)&older, &kernel), KILN_OK);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_compile, finds_kernels_in_memory_and_on_disk) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel *cold = compile(engine, GELU), *again = compile(engine, GELU);
  cr_expect_eq(info_of(cold).cache, KILN_COLD);
  cr_expect_eq(info_of(again).cache, KILN_MEMORY);
  cr_expect_eq(info_of(cold).cache, KILN_COLD, "a handle says what its own call found");
  cr_expect_eq(kiln_kernel_function(cold), kiln_kernel_function(again));
  kiln_kernel *apart = compile_with(engine, GELU, (kiln_compile_options){.no_cache = true});
  cr_expect_eq(info_of(apart).cache, KILN_COLD);
  cr_expect_neq(kiln_kernel_function(cold), kiln_kernel_function(apart));
  kiln_kernel_release(apart);
  kiln_engine_trim(engine);
  kiln_kernel *trimmed = compile(engine, GELU);
  cr_expect_eq(info_of(trimmed).cache, KILN_DISK);
  kiln_engine *other = place_engine(&place);
  kiln_kernel *found = compile(other, GELU);
  cr_expect_eq(info_of(found).cache, KILN_DISK);
  cr_expect_str_eq(info_of(found).key, info_of(cold).key);
  expect_runs(found, GELU, (int64_t[]){7}, NULL);
  kiln_kernel_release(cold), kiln_kernel_release(again), kiln_kernel_release(trimmed), kiln_kernel_release(found);
  kiln_engine_destroy(other);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* Options that make other code, or other numbers for the same code, make other kernels. */
Test(runtime_compile, tells_requests_apart) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  static const kiln_compile_options requests[] = {
      {.template_ = NULL},       {.template_ = "reference"},   {.schedule = "mr=1"},
      {.schedule = "mr=1 mc=8"}, {.packing = KILN_PACK_NEVER}, {.batch_invariant = true},
  };
  enum { COUNT = sizeof requests / sizeof requests[0] };
  kiln_kernel *kernels[COUNT];
  for (size_t i = 0; i < COUNT; ++i) {
    kernels[i] = compile_with(engine, GELU, requests[i]);
    cr_expect(i == 3 || info_of(kernels[i]).cache == KILN_COLD, "request %zu", i);
    expect_runs(kernels[i], GELU, (int64_t[]){11}, NULL);
  }
  cr_expect_str_eq(info_of(kernels[2]).key, info_of(kernels[3]).key, "passed fields are not part of the key");
  cr_expect_eq(info_of(kernels[3]).cache, KILN_MEMORY, "the object is the same, what calls are told is not");
  for (size_t i = 0; i < COUNT; ++i) kiln_kernel_release(kernels[i]);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* Sizes that are numbers in the graph are arguments of the kernel, so graphs of one kind share an object: in memory,
 * and from the disk. What code must know of sizes makes another one. */
Test(runtime_compile, shares_objects_between_sizes) {
  static const struct {
    const char *graph;
    int own; /* of which line before it has the object, or its own number */
  } lines[] = {
      {"x: f32[96, 512]; w: const f32[512, 192]; y: f32 = x @ w; return y", 0},
      {"x: f32[192, 512]; w: const f32[512, 384]; y: f32 = x @ w; return y", 0},
      {"x: f32[96, 256]; w: const f32[256, 288]; y: f32 = x @ w; return y", 0},
      {"x: f32[97, 512]; w: const f32[512, 192]; y: f32 = x @ w; return y", 3},
      {"x: f32[131, 512]; w: const f32[512, 192]; y: f32 = x @ w; return y", 3},
      {"x: f32[96, 512]; w: const f32[512, 193]; y: f32 = x @ w; return y", 5},
      {"x: f32[96, 511]; w: const f32[511, 192]; y: f32 = x @ w; return y", 6},
  };
  enum { COUNT = sizeof lines / sizeof lines[0] };
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place), *other = place_engine(&place);
  kiln_compile_options options = {.target = "haswell", .schedule = "mr=6 nr=16 pack_a=none prefetch=none"};
  kiln_kernel *kernels[COUNT];
  for (size_t i = 0; i < COUNT; ++i) {
    kernels[i] = compile_with(engine, lines[i].graph, options);
    int own = lines[i].own;
    cr_expect_eq(info_of(kernels[i]).cache, own == (int)i ? KILN_COLD : KILN_MEMORY, "%s", lines[i].graph);
    for (size_t j = 0; j <= i; ++j)
      cr_expect_eq(strcmp(info_of(kernels[i]).key, info_of(kernels[j]).key) == 0, own == lines[j].own, "%s and %s",
                   lines[i].graph, lines[j].graph);
    cr_expect_str_eq(info_of(kernels[i]).graph, lines[i].graph);
    expect_runs(kernels[i], lines[i].graph, (int64_t[]){0}, NULL);
  }
  kiln_kernel *found = compile_with(other, lines[1].graph, options);
  cr_expect_eq(info_of(found).cache, KILN_DISK);
  expect_runs(found, lines[1].graph, (int64_t[]){0}, NULL);
  kiln_kernel_release(found);
  for (size_t i = 0; i < COUNT; ++i) kiln_kernel_release(kernels[i]);
  kiln_engine_destroy(other);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_compile, describes_what_it_decided) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel *kernel = compile_with(engine, GELU, (kiln_compile_options){.schedule = "mr=4 mc=8"});
  kiln_kernel_info info = info_of(kernel);
  cr_expect_eq(strncmp(info.name, "kiln_gemm_f32_4x", 16), 0, "%s", info.name);
  cr_expect_str_eq(info.template_, "gemm");
  cr_expect(strncmp(info.schedule, "mr=4 ", 5) == 0 && strstr(info.schedule, " mc=8"), "%s", info.schedule);
  cr_expect_str_eq(info.graph, GELU);
  cr_expect_eq(strlen(info.key), 64);
  cr_expect(info.object_bytes > info.code_bytes && info.code_bytes > 0);
  cr_expect_gt(info.compile_ms, 0);
  cr_expect(info.times.plan > 0 && info.times.build > 0 && info.times.codegen > 0 && info.times.load > 0);
  cr_expect_lt(info.times.lower + info.times.codegen, info.compile_ms);
  cr_expect_not(info.is_fallback);
  kiln_cpu cpu;
  kiln_engine_cpu(engine, &cpu);
  cr_expect_str_eq(info.target, cpu.target);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_compile, falling_back_is_logged) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel *kernel = compile(engine, ROWS);
  cr_expect(info_of(kernel).is_fallback);
  cr_expect_geq(place.events[KILN_LOG_WARNING], 2);
  cr_expect(strstr(place.text, "reference") && strstr(place.text, "gemm: "), "%s", place.text);
  expect_runs(kernel, ROWS, (int64_t[]){5}, NULL);
  int before = place.events[KILN_LOG_WARNING];
  kiln_kernel *wanted = compile_with(engine, SMALL, (kiln_compile_options){.template_ = "reference"});
  cr_expect_eq(place.events[KILN_LOG_WARNING], before, "what was asked for is no surprise");
  kiln_kernel_release(kernel);
  kiln_kernel_release(wanted);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_compile, kernels_outlive_graph_and_engine) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_graph *graph = graph_of(GELU);
  kiln_kernel *kernel;
  cr_assert_eq(kiln_compile(engine, graph, NULL, &kernel), KILN_OK);
  kiln_graph_destroy(graph);
  kiln_engine_destroy(engine);
  kiln_kernel_retain(kernel);
  kiln_kernel_release(kernel);
  cr_expect_gt(place.live, 0);
  expect_runs(kernel, GELU, (int64_t[]){33}, NULL);
  cr_expect_str_eq(info_of(kernel).template_, "gemm");
  kiln_kernel_release(kernel);
  place_release(&place);
}

Test(runtime_compile, forgets_the_oldest) {
  Place place;
  place_init(&place);
  kiln_engine_options options = place_options(&place);
  options.memory_max_kernels = 1;
  kiln_engine *engine;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  kiln_kernel_release(compile(engine, SMALL));
  kiln_kernel_release(compile(engine, GELU));
  kiln_kernel *kernel = compile(engine, SMALL);
  cr_expect_eq(info_of(kernel).cache, KILN_DISK);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* Whatever allocation fails, a compile says so or succeeds, and leaks nothing. The disk cache keeps the runs short. */
Test(runtime_compile, survives_any_failed_allocation, .timeout = 300) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel_release(compile(engine, SMALL));
  kiln_engine_trim(engine);
  long before = place.live;
  kiln_status status = KILN_OUT_OF_MEMORY;
  for (long n = 1; status != KILN_OK; ++n) {
    kiln_kernel *kernel = NULL;
    place.made = 0;
    place.fail_at = n;
    status = kiln_compile_text(engine, SMALL, NULL, &kernel);
    place.fail_at = 0;
    cr_assert(status == KILN_OK || (status == KILN_OUT_OF_MEMORY && !kernel), "allocation %ld: %s", n,
              kiln_status_name(status));
    kiln_kernel_release(kernel);
    kiln_engine_trim(engine);
    cr_assert_eq(place.live, before, "allocation %ld fails and %ld are left", n, (long)place.live - before);
    cr_assert_lt(n, 10000);
  }
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_compile, is_traced) {
  Place place;
  char path[128], line[512];
  place_init(&place);
  snprintf(path, sizeof path, "%s/trace", place.root);
  setenv("KILN_TRACE", path, 1);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel_release(compile(engine, SMALL));
  kiln_kernel_release(compile(engine, SMALL));
  kiln_kernel_release(
      compile_with(engine, GELU, (kiln_compile_options){.packing = KILN_PACK_NEVER, .schedule = "mr=4"}));
  kiln_engine_destroy(engine);
  unsetenv("KILN_TRACE");
  FILE *file = fopen(path, "r");
  cr_assert_not_null(file);
  cr_assert_not_null(fgets(line, sizeof line, file));
  cr_expect_str_eq(line, SMALL "\n");
  cr_assert_not_null(fgets(line, sizeof line, file));
  cr_expect_str_eq(line, GELU "  # schedule=\"mr=4\" packing=never\n");
  cr_expect_null(fgets(line, sizeof line, file), "what memory has is not compiled");
  fclose(file);
  place_release(&place);
}

/* ---- several threads --------------------------------------------------------------------------------------------- */

enum { THREADS = 8 };

typedef struct Worker {
  kiln_engine *engine;
  pthread_barrier_t *start;
  int made; /* compiles that were not in memory */
} Worker;

static void *compile_once(void *ctx) {
  Worker *worker = ctx;
  pthread_barrier_wait(worker->start);
  kiln_kernel *kernel = compile(worker->engine, GELU);
  worker->made = info_of(kernel).cache != KILN_MEMORY;
  kiln_kernel_release(kernel);
  return NULL;
}

/* Who comes while a graph is being compiled waits for it. tests/threads/hammer.c has the rest. */
Test(runtime_compile, threads_compile_a_graph_once, .timeout = 120) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  pthread_barrier_t start;
  pthread_t threads[THREADS];
  Worker workers[THREADS];
  int made = 0;
  pthread_barrier_init(&start, NULL, THREADS);
  for (int i = 0; i < THREADS; ++i) {
    workers[i] = (Worker){.engine = engine, .start = &start};
    cr_assert_eq(pthread_create(&threads[i], NULL, compile_once, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; ++i) {
    pthread_join(threads[i], NULL);
    made += workers[i].made;
  }
  cr_expect_eq(made, 1);
  pthread_barrier_destroy(&start);
  kiln_engine_destroy(engine);
  place_release(&place);
}
