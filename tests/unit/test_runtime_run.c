/* Calls: what they refuse and in which words, sizes, workspace, threads, buffers in place. */
#include <pthread.h>

#include "tests/unit/runtime_help.h"

/* Counts what it is asked for, and runs the tasks in descending order on two threads. */
typedef struct Probe {
  int calls;
  int64_t count;
  void (*body)(void *arg, int64_t index);
  void *arg;
  atomic_int *seen; /* times each index ran */
} Probe;

static void *run_odd(void *ctx) {
  Probe *probe = ctx;
  for (int64_t i = probe->count - 1; i >= 0; --i)
    if (i % 2 == 1) probe->body(probe->arg, i), atomic_fetch_add(&probe->seen[i], 1);
  return NULL;
}

static void probe_parallel_for(void *ctx, int64_t count, void (*body)(void *arg, int64_t index), void *arg) {
  Probe *probe = ctx;
  pthread_t thread;
  ++probe->calls;
  probe->count = count, probe->body = body, probe->arg = arg;
  probe->seen = calloc((size_t)count, sizeof *probe->seen);
  cr_assert_eq(pthread_create(&thread, NULL, run_odd, probe), 0);
  for (int64_t i = count - 1; i >= 0; --i)
    if (i % 2 == 0) body(arg, i), atomic_fetch_add(&probe->seen[i], 1);
  pthread_join(thread, NULL);
}

typedef struct Setup {
  Place place;
  kiln_engine *engine;
  kiln_kernel *kernel;
  Tensors tensors;
  kiln_call call;
} Setup;

static void set_up(Setup *s, const char *text, const int64_t *symbols, kiln_compile_options options) {
  place_init(&s->place);
  s->engine = place_engine(&s->place);
  s->kernel = compile_with(s->engine, text, options);
  s->tensors = make_tensors(s->kernel, text, symbols);
  s->call = call_of(&s->tensors, NULL);
}

static void tear_down(Setup *s) {
  free_tensors(&s->tensors);
  kiln_kernel_release(s->kernel);
  kiln_engine_destroy(s->engine);
  place_release(&s->place);
}

/* kiln_run refuses the call, and kiln_check_call says why. */
static void expect_refused(const Setup *s, kiln_call call, const char *word) {
  kiln_buffer message;
  cr_expect_eq(kiln_run(s->kernel, &call), KILN_INVALID_ARGUMENT, "%s", word);
  cr_expect_eq(kiln_check_call(s->kernel, &call, &message), KILN_INVALID_ARGUMENT, "%s", word);
  cr_assert_not_null(message.data);
  cr_expect_not_null(strstr(message.data, word), "'%s' is not in: %s", word, message.data);
  kiln_buffer_free(&message);
}

Test(runtime_run, any_threads_give_the_same_bits) {
  Setup s;
  Probe probe = {0};
  kiln_threads counted = {&probe, 7, probe_parallel_for};
  set_up(&s, GELU, (int64_t[]){50}, (kiln_compile_options){.schedule = "mc=8 nc=32 tasks=99"});
  size_t bytes = s.tensors.output_sizes[0] * sizeof(float);
  s.call.threads = kiln_threads_serial();
  cr_assert_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  expect_right(&s.tensors);
  void *first = malloc(bytes);
  memcpy(first, s.tensors.outputs[0], bytes);
  const kiln_threads *others[] = {NULL, &counted};
  for (size_t i = 0; i < 2; ++i) {
    memset(s.tensors.outputs[0], 0xff, bytes);
    s.call.threads = others[i];
    cr_assert_eq(kiln_run(s.kernel, &s.call), KILN_OK);
    cr_expect_arr_eq(s.tensors.outputs[0], first, bytes);
  }
  cr_expect_eq(probe.calls, 1);
  cr_expect_gt(probe.count, 1);
  for (int64_t i = 0; i < probe.count; ++i) cr_expect_eq(probe.seen[i], 1, "task %d", (int)i);
  free(probe.seen);
  free(first);
  tear_down(&s);
}

/* Threads are used where there is work for them. */
Test(runtime_run, cuts_large_work_into_tasks) {
  static const char text[] = "x: f32[m, 512]; w: f32[512, 512]; y: f32 = x @ w; return y";
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel *kernel = compile(engine, text);
  int64_t dims[32], few, alone, many;
  cr_assert_eq(kiln_kernel_args(kernel, (int64_t[]){1}, 8, dims, &few, NULL), KILN_OK);
  cr_assert_eq(kiln_kernel_args(kernel, (int64_t[]){512}, 1, dims, &alone, NULL), KILN_OK);
  cr_assert_eq(kiln_kernel_args(kernel, (int64_t[]){512}, 8, dims, &many, NULL), KILN_OK);
  cr_expect(many >= 8 && many > alone, "%d tasks for 8 threads, %d for one", (int)many, (int)alone);
  cr_expect_geq(few, 1);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* One task, or one thread, is a plain call. */
Test(runtime_run, forks_only_for_several) {
  Setup s;
  Probe probe = {0};
  kiln_threads one = {&probe, 1, probe_parallel_for}, many = {&probe, 7, probe_parallel_for};
  kiln_compile_options large = {.schedule = "mc=4096 nc=4096"};
  set_up(&s, GELU, (int64_t[]){50}, large);
  s.call.threads = &many;
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  cr_expect_eq(probe.calls, 0, "there is one task");
  tear_down(&s);
  set_up(&s, GELU, (int64_t[]){50}, (kiln_compile_options){.schedule = "mc=8 nc=48"});
  s.call.threads = &one;
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  cr_expect_eq(probe.calls, 0, "there is one thread");
  tear_down(&s);
}

Test(runtime_run, says_what_is_wrong_with_a_call) {
  Setup s;
  set_up(&s, GELU, (int64_t[]){20}, (kiln_compile_options){0});
  kiln_call call = s.call;
  const void *inputs[3];
  memcpy(inputs, s.tensors.passed, sizeof inputs);
  call.inputs = inputs;
  inputs[0] = NULL;
  expect_refused(&s, call, "input 0 'x' is NULL");
  inputs[0] = (char *)s.tensors.inputs[0] + 1;
  expect_refused(&s, call, "input 0 'x' is not aligned to 4 bytes");
  inputs[0] = s.tensors.inputs[0];
  inputs[1] = NULL;
  expect_refused(&s, call, "input 1 'w' is NULL, expected a blob");
  inputs[1] = (char *)s.tensors.blobs[1] + 4;
  expect_refused(&s, call, "64-byte aligned");
  inputs[1] = s.tensors.inputs[1];
  expect_refused(&s, call, "input 1 'w' is no blob of kiln_pack");
  call.inputs = NULL;
  expect_refused(&s, call, "inputs is NULL");
  call = s.call, call.outputs = NULL;
  expect_refused(&s, call, "outputs is NULL");
  call = s.call, call.outputs = (void *[]){NULL};
  expect_refused(&s, call, "output 0 'y' is NULL");
  call = s.call, call.symbols = NULL;
  expect_refused(&s, call, "symbols is NULL");
  call = s.call, call.symbols = (int64_t[]){-1};
  expect_refused(&s, call, "'m'");
  call = s.call, call.threads = &(kiln_threads){0};
  expect_refused(&s, call, "parallel_for");
  call = s.call, call.size = 1;
  expect_refused(&s, call, "version");
  cr_expect_eq(kiln_run(s.kernel, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_run(NULL, &s.call), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_check_call(NULL, &s.call, NULL), KILN_INVALID_ARGUMENT);
  kiln_buffer message;
  cr_expect_eq(kiln_check_call(s.kernel, &s.call, &message), KILN_OK);
  cr_expect_null(message.data);
  tear_down(&s);
}

Test(runtime_run, says_all_that_is_wrong) {
  Setup s;
  kiln_buffer message;
  set_up(&s, GELU, (int64_t[]){20}, (kiln_compile_options){0});
  s.call.inputs = (const void *[]){NULL, s.tensors.blobs[1], NULL};
  cr_expect_eq(kiln_check_call(s.kernel, &s.call, &message), KILN_INVALID_ARGUMENT);
  cr_assert_not_null(message.data);
  cr_expect(strstr(message.data, "'x'") && strstr(message.data, "'b'"), "%s", message.data);
  kiln_buffer_free(&message);
  tear_down(&s);
}

Test(runtime_run, takes_a_call_of_another_version) {
  Setup s;
  struct {
    kiln_call known;
    void *more;
  } newer;
  set_up(&s, GELU, (int64_t[]){20}, (kiln_compile_options){0});
  newer.known = s.call, newer.known.size = sizeof newer, newer.more = NULL;
  cr_expect_eq(kiln_run(s.kernel, &newer.known), KILN_OK);
  newer.more = &s;
  cr_expect_eq(kiln_run(s.kernel, &newer.known), KILN_INVALID_ARGUMENT);
  s.call.size = offsetof(kiln_call, workspace);
  memset(s.tensors.outputs[0], 0xff, s.tensors.output_sizes[0] * sizeof(float));
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  expect_right(&s.tensors);
  tear_down(&s);
}

Test(runtime_run, sizes_of_zero) {
  static const char text[] = "x: f32[m, k]; w: f32[k, n]; b: f32[n]; y: f32 = relu(x @ w + b); return y";
  static const int64_t sizes[][3] = {{0, 5, 7}, {3, 0, 7}, {3, 5, 0}, {0, 0, 0}, {1, 1, 1}};
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel *kernel = compile(engine, text);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) expect_runs(kernel, text, sizes[i], NULL);
  /* What is empty needs no memory. */
  float w[35] = {0}, b[7] = {0};
  kiln_call call = {
      .size = sizeof call,
      .inputs = (const void *[]){NULL, w, b},
      .outputs = (void *[]){NULL},
      .symbols = sizes[0],
  };
  cr_expect_eq(kiln_run(kernel, &call), KILN_OK);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_run, workspace_of_the_caller) {
  Setup s;
  size_t bytes = 0;
  set_up(&s, ROWS, (int64_t[]){20}, (kiln_compile_options){0});
  cr_expect_eq(kiln_workspace_bytes(s.kernel, s.call.symbols, NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_workspace_bytes(NULL, s.call.symbols, NULL, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_workspace_bytes(s.kernel, NULL, NULL, &bytes), KILN_INVALID_ARGUMENT);
  cr_assert_eq(kiln_workspace_bytes(s.kernel, s.call.symbols, NULL, &bytes), KILN_OK);
  cr_assert_gt(bytes, 0, "the reference template keeps values there");
  char *workspace = aligned_alloc(64, (bytes + 127) / 64 * 64);
  s.call.workspace = workspace;
  s.call.workspace_bytes = bytes;
  long before = s.place.made;
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  cr_expect_eq(s.place.made, before, "a call with workspace allocates nothing");
  expect_right(&s.tensors);
  s.call.workspace_bytes = bytes - 1;
  expect_refused(&s, s.call, "workspace has");
  s.call.workspace_bytes = bytes, s.call.workspace = workspace + 4;
  expect_refused(&s, s.call, "aligned");
  s.call.workspace = NULL;
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  cr_expect_gt(s.place.made, before);
  before = s.place.made;
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  cr_expect_eq(s.place.made, before, "the engine keeps what it lent");
  kiln_engine_trim(s.engine);
  s.place.made = 0;
  s.place.fail_at = 1;
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OUT_OF_MEMORY);
  s.place.fail_at = 0;
  free(workspace);
  tear_down(&s);
}

Test(runtime_run, outputs_in_place_of_inputs) {
  static const char text[] = "x: f32[m, 64]; w: const f32[64, 96]; r: f32[m, 96]; y: f32 = relu(x @ w) + r; return y";
  Setup s;
  set_up(&s, text, (int64_t[]){37}, (kiln_compile_options){0});
  size_t bytes = s.tensors.output_sizes[0] * sizeof(float);
  float *residual = aligned_alloc(64, (bytes + 63) / 64 * 64);
  memcpy(residual, s.tensors.inputs[2], bytes);
  s.tensors.passed[2] = residual;
  s.call.outputs = (void *[]){residual};
  cr_assert_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  memcpy(s.tensors.outputs[0], residual, bytes);
  expect_right(&s.tensors);
  free(residual);
  tear_down(&s);
}

/* The caller may do without kiln_run: fill kiln_args and loop over the tasks. */
Test(runtime_run, code_by_itself) {
  Setup s;
  int64_t dims[32], tasks = -1;
  size_t workspace = 1;
  set_up(&s, GELU, (int64_t[]){29}, (kiln_compile_options){0});
  cr_assert_leq(kiln_kernel_dim_count(s.kernel), 32);
  cr_expect_eq(kiln_kernel_args(s.kernel, NULL, 1, dims, &tasks, &workspace), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_kernel_args(s.kernel, s.call.symbols, 0, dims, &tasks, &workspace), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_kernel_args(s.kernel, s.call.symbols, 1, NULL, &tasks, &workspace), KILN_INVALID_ARGUMENT);
  cr_assert_eq(kiln_kernel_args(s.kernel, s.call.symbols, 2, dims, &tasks, &workspace), KILN_OK);
  cr_expect(dims[0] == 29 && tasks >= 1 && workspace == 0);
  void *buffers[] = {s.tensors.inputs[0], (void *)kiln_packed_data(s.tensors.blobs[1]), s.tensors.inputs[2],
                     s.tensors.outputs[0]};
  kiln_args args = {.buffers = buffers, .dims = dims};
  for (int64_t task = 0; task < tasks; ++task) kiln_kernel_function(s.kernel)(&args, task);
  expect_right(&s.tensors);
  cr_expect_null(kiln_kernel_function(NULL));
  cr_expect_eq(kiln_kernel_dim_count(NULL), 0);
  tear_down(&s);
}

Test(runtime_run, fixed_sizes_allocate_nothing) {
  Setup s;
  set_up(&s, SMALL, NULL, (kiln_compile_options){0});
  long before = s.place.made;
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK);
  s.call.threads = &(kiln_threads){NULL, 5, kiln_threads_serial()->parallel_for};
  cr_expect_eq(kiln_run(s.kernel, &s.call), KILN_OK, "a thread count that nobody foresaw");
  cr_expect_eq(s.place.made, before);
  expect_right(&s.tensors);
  tear_down(&s);
}

/* More buffers and symbols than a call keeps on the stack. */
Test(runtime_run, many_buffers_and_symbols) {
  enum { COUNT = 40 };
  char text[4096] = "x: f32[m, k]; w: f32[k, n]; ", sum[1024] = "y: f32 = x @ w";
  size_t at = strlen(text), end = strlen(sum);
  for (int i = 0; i < COUNT; ++i) {
    at += (size_t)snprintf(text + at, sizeof text - at, "r%d: f32[m, n] strides [s%d, t%d]; ", i, i, i);
    end += (size_t)snprintf(sum + end, sizeof sum - end, " + r%d", i);
  }
  snprintf(text + at, sizeof text - at, "%s; return y", sum);
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel *kernel = compile(engine, text);
  float x[6] = {1, 2, 3, 4, 5, 6}, w[6] = {1, 0, 0, 1, 1, 1}, r[4] = {1, 1, 1, 1}, y[4];
  const void *inputs[COUNT + 2] = {x, w};
  int64_t symbols[2 * COUNT + 3] = {2, 3, 2};
  for (int i = 0; i < COUNT; ++i) inputs[2 + i] = r, symbols[3 + 2 * i] = 2, symbols[4 + 2 * i] = 1;
  kiln_call call = {.size = sizeof call, .inputs = inputs, .outputs = (void *[]){y}, .symbols = symbols};
  cr_assert_eq(kiln_run(kernel, &call), KILN_OK);
  cr_expect_float_eq(y[0], COUNT + 4, 1e-3);
  cr_expect_float_eq(y[3], COUNT + 11, 1e-3);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}
