/* test_tile_interpret.c: how the interpreter executes: control, unspecified elements, memory of a task, limits. Buffers
 * are in test_tile_interpret_memory.c, operations in test_tile_interpret_ops.c. */
#include "tests/unit/tile_run.h"

#include <stdlib.h>
#include <time.h>

/* ---- control ----------------------------------------------------------------------------------------------------- */

static int32_t loop(int64_t lo, int64_t hi, int64_t step) {
  int32_t out = -1;
  tile_run_well("kernel @t(%to: buf<i32, [1]>)\n"
                "    symbols lo, hi, by\n"
                "{\n"
                "  %start = tile_const 1000 : i32\n"
                "  %end = for %i = lo to hi step by carry %x = %start {\n"
                "    %k = tile_index %i : i32\n"
                "    %y = tile_add %x, %k\n"
                "    yield %y\n"
                "  }\n"
                "  tile_store %end, %to[0]\n"
                "}\n",
                (void *[]){&out}, (int64_t[]){lo, hi, step});
  return out;
}

Test(tile_interpret, for_runs_below_its_bound) {
  cr_expect_eq(loop(0, 4, 1), 1006);
  cr_expect_eq(loop(2, 9, 3), 1015);
  cr_expect_eq(loop(-3, 0, 2), 996);
  cr_expect_eq(loop(5, 5, 1), 1000);
  cr_expect_eq(loop(5, -5, 1), 1000);
  cr_expect_eq(loop(3, 4, INT64_MAX), 1003, "the index does not run over");
  cr_expect_eq(loop(INT64_MAX - 1, INT64_MAX, 2), 998);
}

Test(tile_interpret, for_carries_each_value_apart) {
  int32_t out[4] = {0};
  tile_run_well("kernel @t(%to: buf<i32, [4]>)\n"
                "    symbols n\n"
                "{\n"
                "  %one = tile_const 1 : i32\n"
                "  %two = tile_const 2 : i32\n"
                "  %a, %b, %i = for %t = 0 to n step 1 carry %x = %one, %y = %two, %j = n {\n"
                "    %z = tile_add %x, %y\n"
                "    %k = %j * 2\n"
                "    yield %y, %z, %k\n"
                "  }\n"
                "  tile_store %a, %to[0]\n"
                "  tile_store %b, %to[3]\n"
                "  %last = tile_index %i : i32\n"
                "  tile_store %last, %to[1]\n"
                "  %c = for %t = 0 to 3 step 1 carry %x = %one {\n"
                "    %d = for %u = 0 to 2 step 1 carry %y = %x {\n"
                "      %e = tile_add %y, %y\n"
                "      yield %e\n"
                "    }\n"
                "    yield %d\n"
                "  }\n"
                "  tile_store %c, %to[2]\n"
                "}\n",
                (void *[]){out}, (int64_t[]){3});
  cr_expect_eq(out[0], 5);
  cr_expect_eq(out[3], 8);
  cr_expect_eq(out[1], 24);
  cr_expect_eq(out[2], 64);
}

Test(tile_interpret, if_runs_one_block) {
  for (int64_t n = 0; n < 3; n++) {
    int32_t out[3] = {-1, -1, -1};
    tile_run_well("kernel @t(%to: buf<i32, [3]>)\n"
                  "    symbols n\n"
                  "{\n"
                  "  %one = tile_const 1 : i32\n"
                  "  %two = tile_const 2 : i32\n"
                  "  if n == 1 {\n"
                  "    tile_store %one, %to[0]\n"
                  "  }\n"
                  "  if n < 1 {\n"
                  "    tile_store %one, %to[1]\n"
                  "  } else {\n"
                  "    tile_store %two, %to[1]\n"
                  "  }\n"
                  "  %a, %b = if n != 2 {\n"
                  "    yield %one, n\n"
                  "  } else {\n"
                  "    %k = n + 10\n"
                  "    yield %two, %k\n"
                  "  }\n"
                  "  %c = tile_index %b : i32\n"
                  "  %d = tile_mul %a, %c\n"
                  "  tile_store %d, %to[2]\n"
                  "}\n",
                  (void *[]){out}, &n);
    cr_expect_eq(out[0], n == 1 ? 1 : -1);
    cr_expect_eq(out[1], n < 1 ? 1 : 2);
    cr_expect_eq(out[2], n != 2 ? n : 24);
  }
}

Test(tile_interpret, tasks_are_run_in_order) {
  int32_t out[5] = {0};
  tile_run_well("kernel @t(%to: buf<i32, [n]>)\n"
                "    symbols n\n"
                "    tasks n {\n"
                "  %x = tile_index %task * %task : i32\n"
                "  tile_store %x, %to[%task]\n"
                "}\n",
                (void *[]){out}, (int64_t[]){5});
  for (int i = 0; i < 5; i++) cr_expect_eq(out[i], i * i);
}

/* ---- unspecified elements ---------------------------------------------------------------------------------------- */

/* %u is a 2x2 tile whose second row is unspecified, %x one of 1, 2, 3, 4; %out of 2x2 is what is stored. */
static Outcome run_unspecified(const char *body, float out[4]) {
  char text[1000];
  float x[4] = {1, 2, 3, 4};
  snprintf(text, sizeof text,
           "kernel @t(%%from: buf<f32, [2, 2]>, %%to: buf<f32, [2, 2]>) {\n"
           "  %%f = frag_load %%from[0, 0] rows 1 : frag<acc, 2x2, f32>\n"
           "  %%u = frag_tile %%f : tile<2x2, f32>\n"
           "  %%x = tile_load %%from[0, 0] : tile<2x2, f32>\n"
           "  %s\n"
           "  tile_store %%out, %%to[0, 0]\n"
           "}\n",
           body);
  return tile_run(text, &(TileRun){.buffers = (void *[]){x, out}}, NULL);
}

Test(tile_interpret, unspecified_elements_go_through_arithmetic) {
  static const char *const bodies[] = {
      "%out = tile_neg %u",
      "%out = tile_add %x, %u",
      "%out = tile_fma %x, %x, %u",
      "%out = tile_transpose %u",
      "%out = tile_convert %u : tile<2x2, f32>",
      "%r = tile_row_sum %u\n  %out = tile_add %x, %r",
      "%r = tile_col_max %u\n  %out = tile_add %x, %r",
      "%c = tile_lt %x, %u\n  %out = tile_select %c, %x, %x",
      "%r = tile_slice %u[1, 0] : tile<1x2, f32>\n  %out = tile_concat_rows %r, %r : tile<2x2, f32>",
      "%r = tile_slice %u[1, 0] : f32\n  %out = tile_broadcast %r : tile<2x2, f32>",
      "%acc = tile_frag %x : frag<acc, 2x2, f32>\n  %a = tile_frag %u : frag<a, 2x2, f32>\n"
      "  %b = tile_frag %x : frag<b, 2x2, f32>\n  %d = mma %acc, %a, %b\n  %out = frag_tile %d : tile<2x2, f32>"};
  float out[4];
  for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
    Outcome outcome = run_unspecified(bodies[i], out);
    cr_expect_eq(outcome.status, KILN_INVALID_TILE, "%s", bodies[i]);
    cr_expect(strstr(outcome.fault, "is unspecified"), "%s: %s", bodies[i], outcome.fault);
  }
}

Test(tile_interpret, unspecified_elements_that_are_not_chosen_do_no_harm) {
  float out[4];
  Outcome outcome = run_unspecified("%limit = tile_const 2.5 : f32\n"
                                    "  %c = tile_lt %x, %limit\n  %out = tile_select %c, %u, %x",
                                    out);
  cr_expect_eq(outcome.status, KILN_OK, "%s", outcome.fault);
  cr_expect(out[0] == 1 && out[1] == 2 && out[2] == 3 && out[3] == 4);
  outcome = run_unspecified("%r = tile_slice %u[0, 0] : tile<1x2, f32>\n"
                            "  %out = tile_concat_rows %r, %r : tile<2x2, f32>",
                            out);
  cr_expect_eq(outcome.status, KILN_OK, "%s", outcome.fault);
  cr_expect(out[2] == 1 && out[3] == 2);
}

Test(tile_interpret, unspecified_elements_decide_nothing) {
  int32_t x[2] = {0, 0};
  static const char *const bodies[] = {
      "%i = index(%u)\n  tile_store %n, %x[%i]", "%c = tile_lt %u, %n\n  if %c {\n    tile_store %n, %x[0]\n  }",
      "%c = tile_lt %u, %n\n  %i = select(%c, 0, 1)\n  tile_store %n, %x[%i]", "%old = atomic_add %u, %x[0] : i32"};
  for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
    char text[600];
    snprintf(text, sizeof text,
             "kernel @t(%%x: buf<i32, [2]>) {\n  %%f = frag_load %%x[0] cols 0 : frag<acc, 1x1, i32>\n"
             "  %%u = frag_tile %%f : i32\n  %%n = tile_const 1 : i32\n  %s\n}\n",
             bodies[i]);
    Outcome outcome = tile_run(text, &(TileRun){.buffers = (void *[]){x}}, NULL);
    cr_expect_eq(outcome.status, KILN_INVALID_TILE, "%s", bodies[i]);
    cr_expect(strstr(outcome.fault, "is unspecified"), "%s: %s", bodies[i], outcome.fault);
  }
}

/* ---- scratch, workspace, atomics --------------------------------------------------------------------------------- */

Test(tile_interpret, scratch_begins_anew_each_time) {
  static const char text[] = "kernel @t(%to: buf<f32, [2]>)\n"
                             "    symbols n\n"
                             "{\n"
                             "  %one = tile_const 1 : f32\n"
                             "  for %i = 0 to n step 1 {\n"
                             "    %s = buf_scratch : buf<f32, [2]>\n"
                             "    if %i == 0 {\n"
                             "      tile_store %one, %s[1]\n"
                             "    }\n"
                             "    %x = tile_load %s[1] : f32\n"
                             "    tile_store %x, %to[%i]\n"
                             "  }\n"
                             "}\n";
  float to[2] = {0};
  tile_run_well(text, (void *[]){to}, (int64_t[]){1});
  cr_expect_eq(to[0], 1);
  tile_run_ill(text, &(TileRun){.buffers = (void *[]){to}, .symbols = (int64_t[]){2}}, 10,
               "element (0, 0) of the scratch buffer %s is read before it is written");
}

/* The second row of what is stored is unspecified; then row %n of it goes to the caller. */
static Outcome through_private_memory(const char *memory, int64_t row, float workspace[4], float out[2]) {
  char text[600];
  float x[4] = {1, 2, 3, 4};
  snprintf(text, sizeof text,
           "kernel @t(%%x: buf<f32, [2, 2]>, %%to: buf<f32, [2]>)\n"
           "    symbols n\n"
           "{\n"
           "  %%f = frag_load %%x[0, 0] rows 1 : frag<acc, 2x2, f32>\n"
           "  %%s = %s : buf<f32, [2, 2]>\n"
           "  frag_store %%f, %%s[0, 0]\n"
           "  %%y = tile_load %%s[n, 0] : tile<1x2, f32>\n"
           "  tile_store %%y, %%to[0]\n"
           "}\n",
           memory);
  return tile_run(text,
                  &(TileRun){.buffers = (void *[]){x, out},
                             .symbols = &row,
                             .workspace = workspace,
                             .workspace_bytes = 4 * sizeof *workspace},
                  NULL);
}

Test(tile_interpret, private_memory_may_hold_unspecified_elements) {
  float out[2] = {0}, workspace[4] = {0};
  cr_expect_eq(through_private_memory("buf_scratch", 0, workspace, out).status, KILN_OK);
  cr_expect(out[0] == 1 && out[1] == 2);
  Outcome outcome = through_private_memory("buf_scratch", 1, workspace, out);
  cr_expect_eq(outcome.status, KILN_INVALID_TILE, "scratch knows what is unspecified");
  cr_expect_str_eq(outcome.fault, "tile_store: element (0, 0) of the stored value is unspecified, in task 0");
  cr_expect_eq(through_private_memory("buf_workspace 0", 1, workspace, out).status, KILN_OK);
  cr_expect(isnan(out[0]) && isnan(out[1]), "the caller's memory can only show it");
  cr_expect(workspace[0] == 1 && workspace[1] == 2 && isnan(workspace[2]));
}

Test(tile_interpret, workspace_is_the_callers) {
  int32_t workspace[8] = {0, 0, 0, 0, 5, 6, 7, 8}, old[4] = {0};
  Outcome outcome =
      tile_run("kernel @t(%old: buf<i32, [4]>)\n"
               "    workspace 32\n"
               "    tasks 4 {\n"
               "  %count = buf_workspace 8 : buf<i32, [1]>\n"
               "  %sums = buf_workspace 16 : buf<i32, [4]>\n"
               "  %x = tile_load %sums[%task] : i32\n"
               "  %before = atomic_add %x, %count[0] : i32\n"
               "  tile_store %before, %old[%task]\n"
               "}\n",
               &(TileRun){.buffers = (void *[]){old}, .workspace = workspace, .workspace_bytes = 32}, NULL);
  cr_expect_eq(outcome.status, KILN_OK, "%s", outcome.fault);
  cr_expect_eq(workspace[2], 26);
  cr_expect(old[0] == 0 && old[1] == 5 && old[2] == 11 && old[3] == 18);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

Test(tile_interpret, for_needs_a_positive_step) {
  static const char text[] = "kernel @t()\n    symbols by {\n  for %i = 0 to 1 step by {\n  }\n}\n";
  tile_run_ill(text, &(TileRun){.symbols = (int64_t[]){0}}, 3, "the step is 0, expected a positive one");
  tile_run_ill(text, &(TileRun){.symbols = (int64_t[]){-2}}, 3, "the step is -2");
}

Test(tile_interpret, every_run_ends) {
  static const char text[] = "kernel @t()\n    symbols n {\n  for %i = 0 to n step 1 {\n  }\n}\n";
  TileRun run = {.symbols = (int64_t[]){INT64_MAX}, .work_limit = 1000000};
  tile_run_ill(text, &run, 3, "the limit of 1000000 computed elements is reached");
  tile_run_ill("kernel @t()\n    tasks 100000000000000 {\n  %x = tile_const 1 : tile<64x64, f32>\n}\n", &run, 3,
               "the limit of 1000000 computed elements is reached");
}

Test(tile_interpret, memory_is_limited) {
  Text text;
  text_init(&text, NULL);
  text_add(&text, "kernel @t() {\n");
  for (int i = 0; i < 3000; i++) text_printf(&text, "  %%x%d = tile_const %d : tile<256x256, f32>\n", i, i);
  text_add(&text, "}\n");
  Outcome outcome = tile_run(text_get(&text), &(TileRun){0}, NULL);
  cr_expect_eq(outcome.status, KILN_INVALID_TILE);
  cr_expect(strstr(outcome.fault, "values and scratch memory of @t exceed 1024 MiB"), "%s", outcome.fault);
  text_release(&text);
}

/* An allocator that fails after some allocations. */
static void *budget_alloc(void *ctx, size_t bytes, size_t align) {
  int *left = ctx;
  if (*left == 0) return NULL;
  (*left)--;
  return allocator_default.alloc(NULL, bytes, align);
}

static void budget_release(void *ctx, void *memory) {
  (void)ctx;
  free(memory);
}

Test(tile_interpret, running_out_of_memory_is_a_status) {
  static const char text[] = "kernel @t(%x: buf<f32, [128, 128]>) {\n"
                             "  %s = buf_scratch : buf<f32, [128, 128]>\n"
                             "  %y = tile_load %x[0, 0] : tile<128x128, f32>\n"
                             "  tile_store %y, %s[0, 0]\n"
                             "}\n";
  static float x[128 * 128];
  kiln_status status = KILN_OUT_OF_MEMORY;
  int allowed = 0;
  for (; allowed < 50 && status == KILN_OUT_OF_MEMORY; allowed++) {
    int left = allowed;
    status =
        tile_run(text, &(TileRun){.buffers = (void *[]){x}}, &(Allocator){&left, budget_alloc, budget_release}).status;
  }
  cr_expect_eq(status, KILN_OK);
  cr_expect_gt(allowed, 2);
}

Test(tile_interpret, a_product_of_128_takes_well_under_two_seconds) {
  static float a[128 * 128], b[128 * 128], c[128 * 128];
  for (int i = 0; i < 128 * 128; i++) {
    a[i] = (float)(i % 7 - 3);
    b[i] = (float)(i % 5 - 2);
  }
  clock_t start = clock();
  tile_run_well("kernel @t(%a: buf<f32, [128, 128]>, %b: buf<f32, [128, 128]>, %c: buf<f32, [128, 128]>)\n"
                "    tasks 64 {\n"
                "  %row = 8 * (%task / 4)\n"
                "  %col = 32 * (%task % 4)\n"
                "  %zero = frag_zero : frag<acc, 8x32, f32>\n"
                "  %sum = for %p = 0 to 128 step 1 carry %acc = %zero {\n"
                "    %fa = frag_load %a[%row, %p] : frag<a, 8x1, f32>\n"
                "    %fb = frag_load %b[%p, %col] : frag<b, 1x32, f32>\n"
                "    %next = mma %acc, %fa, %fb\n"
                "    yield %next\n"
                "  }\n"
                "  frag_store %sum, %c[%row, %col]\n"
                "}\n",
                (void *[]){a, b, c}, NULL);
  double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
  cr_log_info("128x128x128: %.3f s", seconds);
  cr_expect_lt(seconds, 2.0, "%.3f s", seconds);
  for (int i = 0; i < 128; i++) {
    for (int j = 0; j < 128; j++) {
      float sum = 0;
      for (int p = 0; p < 128; p++) sum += a[i * 128 + p] * b[p * 128 + j];
      cr_assert_eq(c[i * 128 + j], sum);
    }
  }
}
