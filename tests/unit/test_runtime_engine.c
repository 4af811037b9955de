/* Engines: options of every age, what they refuse, memory, the machine, the tables. */
#include <stdatomic.h>

#include "kiln/tile.h"
#include "tests/unit/runtime_help.h"

Test(runtime_engine, defaults) {
  kiln_engine *engine = NULL;
  setenv("KILN_CACHE_DIR", "/nonexistent/kiln", 1);
  cr_assert_eq(kiln_engine_create(NULL, &engine), KILN_OK);
  cr_expect_str_eq(kiln_cache_directory(engine), "/nonexistent/kiln");
  kiln_engine_destroy(engine);
  kiln_engine_destroy(NULL);
  kiln_engine_trim(NULL);
}

Test(runtime_engine, refuses_impossible_options) {
  kiln_engine *engine = (kiln_engine *)1;
  kiln_engine_options good = {.size = sizeof good, .cache_dir = ""}, bad;
  kiln_allocator half = {.alloc = place_alloc};
  cr_expect_eq(kiln_engine_create(&good, NULL), KILN_INVALID_ARGUMENT);
  bad = good, bad.size = 0;
  cr_expect_eq(kiln_engine_create(&bad, &engine), KILN_INVALID_ARGUMENT);
  bad = good, bad.threads = -1;
  cr_expect_eq(kiln_engine_create(&bad, &engine), KILN_INVALID_ARGUMENT);
  bad = good, bad.profile = 16;
  cr_expect_eq(kiln_engine_create(&bad, &engine), KILN_INVALID_ARGUMENT);
  bad = good, bad.allocator = &half;
  cr_expect_eq(kiln_engine_create(&bad, &engine), KILN_INVALID_ARGUMENT);
  cr_expect_eq(engine, (kiln_engine *)1, "a result is touched only on success");
}

Test(runtime_engine, takes_structs_of_other_versions) {
  struct {
    kiln_engine_options known;
    uint64_t more[2];
  } newer = {.known = {.size = sizeof newer, .cache_dir = ""}};
  kiln_engine *engine;
  cr_assert_eq(kiln_engine_create(&newer.known, &engine), KILN_OK);
  kiln_engine_destroy(engine);
  newer.more[1] = 1; /* asks for what this version does not know */
  cr_expect_eq(kiln_engine_create(&newer.known, &engine), KILN_INVALID_ARGUMENT);
  struct {
    size_t size;
    const kiln_allocator *allocator;
  } older = {.size = sizeof older};
  setenv("KILN_CACHE_DIR", "/nonexistent/kiln", 1);
  cr_assert_eq(kiln_engine_create((const kiln_engine_options *)(const void *)&older, &engine), KILN_OK);
  kiln_engine_destroy(engine);
}

Test(runtime_engine, gives_memory_back) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  cr_expect_gt(place.live, 0);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_engine, survives_any_failed_allocation) {
  Place place;
  place_init(&place);
  kiln_engine_options options = place_options(&place);
  kiln_status status = KILN_OUT_OF_MEMORY;
  for (long n = 1; status != KILN_OK; ++n) {
    kiln_engine *engine = NULL;
    place.made = 0;
    place.fail_at = n;
    status = kiln_engine_create(&options, &engine);
    cr_assert(status == KILN_OK || (status == KILN_OUT_OF_MEMORY && !engine));
    kiln_engine_destroy(engine);
    cr_assert_eq(place.live, 0, "allocation %ld fails and %ld are left", n, (long)place.live);
    cr_assert_lt(n, 1000);
  }
  place.fail_at = 0;
  place_release(&place);
}

Test(runtime_engine, reads_the_environment) {
  Place place;
  place_init(&place);
  kiln_engine_options options = place_options(&place);
  options.cache_dir = options.cache_path = NULL;
  kiln_engine *engine;
  char expected[128];
  unsetenv("KILN_CACHE_DIR");
  setenv("XDG_CACHE_HOME", place.root, 1);
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  snprintf(expected, sizeof expected, "%s/kiln", place.root);
  cr_expect_str_eq(kiln_cache_directory(engine), expected);
  kiln_engine_destroy(engine);
  unsetenv("XDG_CACHE_HOME");
  setenv("HOME", place.root, 1);
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  snprintf(expected, sizeof expected, "%s/.cache/kiln", place.root);
  cr_expect_str_eq(kiln_cache_directory(engine), expected);
  kiln_engine_destroy(engine);
  unsetenv("HOME");
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  cr_expect_str_empty(kiln_cache_directory(engine));
  cr_expect_eq(place.events[KILN_LOG_WARNING], 1, "a lost disk cache is said");
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_engine, knows_the_machine) {
  Place place;
  kiln_cpu cpu;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  cr_expect_eq(kiln_engine_cpu(engine, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_engine_cpu(NULL, &cpu), KILN_INVALID_ARGUMENT);
  cr_assert_eq(kiln_engine_cpu(engine, &cpu), KILN_OK);
  cr_expect(cpu.name[0] && cpu.target[0]);
  cr_expect(cpu.cores >= 1 && cpu.threads >= cpu.cores);
  cr_expect(cpu.l1d_bytes >= 8192 && cpu.l2_bytes >= cpu.l1d_bytes && cpu.l3_bytes > 0);
  cr_expect_gt(kiln_target_vector_bits(cpu.target), 0);
  kiln_engine_destroy(engine);
  place_release(&place);
}

static size_t count_lines(const char *text) {
  size_t count = 0;
  for (; *text; ++text) count += *text == '\n';
  return count;
}

Test(runtime_engine, lists_every_table) {
  for (int table = KILN_TABLE_OPS; table <= KILN_TABLE_OPTIONS; ++table) {
    kiln_buffer text, json;
    cr_assert_eq(kiln_list((kiln_table)table, false, &text), KILN_OK);
    cr_assert_eq(kiln_list((kiln_table)table, true, &json), KILN_OK);
    cr_expect_gt(count_lines(text.data), 0, "table %d", table);
    cr_expect_eq(count_lines(text.data), count_lines(json.data), "table %d", table);
    cr_expect(json.data[0] == '{' && json.size == strlen(json.data));
    kiln_buffer_free(&text);
    kiln_buffer_free(&json);
    cr_expect_null(json.data);
    kiln_buffer_free(&json);
  }
  kiln_buffer text;
  cr_expect_eq(kiln_list((kiln_table)99, false, &text), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_list(KILN_TABLE_OPS, false, NULL), KILN_INVALID_ARGUMENT);
  kiln_buffer_free(NULL);
}

/* docs/embedding.md has a line for each status. */
Test(runtime_engine, statuses_are_documented) {
  char *text = calloc(1, 65536), row[256];
  FILE *file = fopen(KILN_SOURCE_DIR "/docs/embedding.md", "r");
  cr_assert(file && fread(text, 1, 65535, file) > 0);
  fclose(file);
#define KILN_STATUS(enumerator, name, sentence)                                                                        \
  snprintf(row, sizeof row, "| `KILN_%s` | %s | %s |", #enumerator, name, sentence);                                   \
  cr_expect_not_null(strstr(text, row), "%s", row);
#include "kiln/status.def"
#undef KILN_STATUS
  free(text);
}

typedef struct Nested {
  kiln_engine *engine;
  atomic_int count;
} Nested;

static void count_inner(void *arg, int64_t index) {
  (void)index;
  atomic_fetch_add(&((Nested *)arg)->count, 1);
}

static void run_inner(void *arg, int64_t index) {
  (void)index;
  const kiln_threads *threads = kiln_engine_threads(((Nested *)arg)->engine);
  threads->parallel_for(threads->ctx, 5, count_inner, arg);
}

/* A task of the engine's pool may hand out work to it, as kernels do that it runs. */
Test(runtime_engine, pool_within_its_own_task, .timeout = 120) {
  kiln_engine_options options = {.size = sizeof options, .cache_dir = "", .threads = 3};
  Nested nested = {NULL, 0};
  cr_assert_eq(kiln_engine_create(&options, &nested.engine), KILN_OK);
  const kiln_threads *threads = kiln_engine_threads(nested.engine);
  threads->parallel_for(threads->ctx, 7, run_inner, &nested);
  cr_expect_eq(atomic_load(&nested.count), 35);
  threads->parallel_for(threads->ctx, 7, run_inner, &nested);
  cr_expect_eq(atomic_load(&nested.count), 70);
  kiln_engine_destroy(nested.engine);
}
