/* Loading and unloading objects: what runs, what is refused, and what is left in the process. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>

#include "jit/jit.h"
#include "kiln/args.h"
#include "tests/cache/kernels.h"

static JitSession *make_session(FeatureSet features) {
  JitSession *session;
  cr_assert_eq(jit_session_create(&(JitSessionOptions){.features = features}, &session, NULL), KILN_OK);
  return session;
}

static JitCode *load(JitSession *session, const JitBuffer *object) {
  JitCode *code;
  cr_assert_eq(jit_load(session, object->data, object->size, "test", &code, NULL), KILN_OK);
  return code;
}

/* x[i] of the test kernel, run as task 10 on zeros, is i + 1 + 10. */
static void expect_runs(const JitCode *code) {
  float x[8] = {0};
  void *buffers[] = {x};
  kiln_args args = {.buffers = buffers};
  kiln_entry *entry = (kiln_entry *)jit_symbol(code, "add");
  cr_assert_not_null(entry);
  entry(&args, 10);
  for (int i = 0; i < 8; ++i) cr_expect_eq(x[i], (float)(i + 11));
}

Test(jit_load, code_runs) {
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  JitCode *code = load(session, &object);
  jit_buffer_release(&object); /* the session keeps none of the caller's bytes */
  expect_runs(code);
  kiln_query *tasks = (kiln_query *)jit_symbol(code, "add_tasks");
  cr_assert_not_null(tasks);
  cr_expect_eq(tasks(NULL), 1);
  cr_expect_null(jit_symbol(code, "ramp"));
  cr_expect_null(jit_symbol(code, "other"));
  cr_expect_gt(jit_code_bytes(code), 0);
  jit_unload(code);
  jit_unload(NULL);
  jit_session_destroy(session);
}

Test(jit_load, equal_names_do_not_meet) {
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  JitCode *first = load(session, &object), *second = load(session, &object);
  cr_expect_neq(jit_symbol(first, "add"), jit_symbol(second, "add"));
  jit_unload(first);
  expect_runs(second);
  first = load(session, &object);
  expect_runs(first);
  jit_unload(second);
  jit_unload(first);
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

Test(jit_load, code_outlives_its_session) {
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  JitCode *code = load(session, &object);
  jit_session_destroy(session);
  expect_runs(code);
  jit_unload(code);
  jit_buffer_release(&object);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void expect_refused(JitSession *session, const JitBuffer *object, kiln_status expected, const char *sentence) {
  JitCode *code;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  cr_expect_eq(jit_load(session, object->data, object->size, "guest", &code, &faults), expected);
  cr_expect_null(code);
  cr_assert_eq(faults.list.count, 1);
  cr_expect_not_null(strstr(faults.list.items[0].message, sentence), "%s", faults.list.items[0].message);
  diagnostics_release(&faults);
}

Test(jit_load, other_machines_code_is_refused) {
  JitSession *session = make_session(0);
  JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = "k", .key_length = 1};
  JitBuffer object;
  cr_assert_eq(emit_text(kernel_text, "generic-riscv64", &options, &object, NULL), KILN_OK);
  expect_refused(session, &object, KILN_INVALID_OBJECT, "another family");
  jit_buffer_release(&object);
  cr_assert_eq(emit_text(kernel_text, "haswell", &options, &object, NULL), KILN_OK);
  expect_refused(session, &object, KILN_MISSING_FEATURE, "this CPU lacks fma");
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

Test(jit_load, damaged_and_incomplete_objects_are_refused) {
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  JitObject parsed;
  cr_assert_eq(jit_object_parse(object.data, object.size, &parsed, NULL), KILN_OK);
  for (size_t i = 1; i < parsed.symbol_count; ++i)
    if (strcmp(jit_object_symbol(&parsed, i).name, "add_tasks") == 0)
      memset(object.data + parsed.symbols + 24 * i + 6, 0, 2); /* its section becomes "undefined" */
  expect_refused(session, &object, KILN_INVALID_OBJECT, "undefined symbol 'add_tasks'");
  object.data[parsed.metadata] ^= 1;
  expect_refused(session, &object, KILN_INVALID_OBJECT, "guest");
  object.size /= 2;
  expect_refused(session, &object, KILN_INVALID_OBJECT, "guest");
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

/* The linker sees these only if the checks above let them pass: whatever it says must come back as a status. */
Test(jit_load, flipped_objects_do_not_end_the_process) {
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  JitObject parsed;
  cr_assert_eq(jit_object_parse(object.data, object.size, &parsed, NULL), KILN_OK);
  for (size_t bit = 8 * (parsed.metadata + parsed.metadata_size); bit < 8 * object.size; ++bit) {
    JitCode *code;
    object.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (jit_load(session, object.data, object.size, "flipped", &code, NULL) == KILN_OK) jit_unload(code);
    object.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  JitCode *code = load(session, &object);
  expect_runs(code);
  jit_unload(code);
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

/* ---- the process ------------------------------------------------------------------------------------------------ */

/* Sanitizers keep what is freed, to notice its use. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool keeps_freed_memory = true;
#elif defined(__has_feature)
static const bool keeps_freed_memory = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
static const bool keeps_freed_memory = false;
#endif

typedef struct Mappings {
  size_t count, executable, writable_and_executable;
} Mappings;

static Mappings read_mappings(void) {
  Mappings mappings = {0};
  char line[4096], mode[5];
  FILE *file = fopen("/proc/self/maps", "r");
  cr_assert_not_null(file);
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "%*s %4s", mode) != 1) continue;
    ++mappings.count;
    mappings.executable += mode[2] == 'x';
    mappings.writable_and_executable += mode[1] == 'w' && mode[2] == 'x';
  }
  fclose(file);
  return mappings;
}

static size_t resident_kib(void) {
  size_t pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  cr_assert_not_null(file);
  cr_assert_eq(fscanf(file, "%*s %zu", &pages), 1);
  fclose(file);
  return 4 * pages;
}

Test(jit_load, no_page_is_writable_and_executable) {
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  size_t before = read_mappings().executable;
  JitCode *code = load(session, &object);
  cr_expect_gt(read_mappings().executable, before);
  cr_expect_eq(read_mappings().writable_and_executable, 0);
  jit_unload(code);
  cr_expect_eq(read_mappings().executable, before);
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

Test(jit_load, a_thousand_loads_and_unloads_leave_nothing) {
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  for (int i = 0; i < 300; ++i) jit_unload(load(session, &object)); /* allocators warm up */
  size_t before = resident_kib();
  Mappings mappings = read_mappings();
  for (int i = 0; i < 1000; ++i) jit_unload(load(session, &object));
  if (!keeps_freed_memory) cr_expect_lt(resident_kib(), before + 1024, "from %zu to %zu KiB", before, resident_kib());
  cr_expect_leq(read_mappings().count, mappings.count + 2);
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

Test(jit_load, many_at_once_give_their_pages_back) {
  enum { COUNT = 200 };
  JitCode *codes[COUNT];
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  size_t before = read_mappings().executable;
  for (int i = 0; i < COUNT; ++i) codes[i] = load(session, &object);
  for (int i = 0; i < COUNT; ++i) expect_runs(codes[i]);
  for (int i = 0; i < COUNT; ++i) jit_unload(codes[i]);
  cr_expect_eq(read_mappings().executable, before);
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

static size_t count_threads(void) {
  size_t count = 0;
  DIR *tasks = opendir("/proc/self/task");
  cr_assert_not_null(tasks);
  while (readdir(tasks)) ++count;
  closedir(tasks);
  return count;
}

Test(jit_load, no_thread_is_started) {
  size_t before = count_threads();
  JitSession *session = make_session(0);
  JitBuffer object = make_object("k");
  JitCode *code = load(session, &object);
  cr_expect_eq(count_threads(), before);
  jit_unload(code);
  jit_buffer_release(&object);
  jit_session_destroy(session);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

typedef struct Shared {
  JitSession *session;
  JitBuffer object;
} Shared;

static void *load_in_thread(void *arg) {
  Shared *shared = arg;
  for (int i = 0; i < 50; ++i) {
    JitCode *first = load(shared->session, &shared->object), *second = load(shared->session, &shared->object);
    expect_runs(first);
    jit_unload(first);
    expect_runs(second);
    jit_unload(second);
  }
  return NULL;
}

Test(jit_load, eight_threads_share_a_session) {
  pthread_t threads[8];
  Shared shared = {.session = make_session(0), .object = make_object("k")};
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i)
    cr_assert_eq(pthread_create(&threads[i], NULL, load_in_thread, &shared), 0);
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i) pthread_join(threads[i], NULL);
  jit_buffer_release(&shared.object);
  jit_session_destroy(shared.session);
}
