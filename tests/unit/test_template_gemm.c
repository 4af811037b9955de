/* test_template_gemm.c: the gemm template's tile IR, executed by the interpreter, against the graph interpreter. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/template_run.h"

static void expect(TemplateRun run, const char *expected_template) {
  Text why;
  text_init(&why, NULL);
  const char *used = "none";
  template_run(&run, &used, NULL, &why);
  cr_expect(why.length == 0, "%s (%s, m=%lld): %s", run.graph, run.schedule != NULL ? run.schedule : "",
            (long long)run.symbols[0], text_get(&why));
  cr_expect_str_eq(used, expected_template, "%s: %s", run.graph, used);
  text_release(&why);
}

static void expect_gemm(TemplateRun run) { expect(run, "gemm"); }

Test(template_gemm, fixed_sizes) {
  expect_gemm((TemplateRun){.graph = "x: f32[13, 7]; w: const f32[7, 50]; y = x @ w; return y"});
  expect_gemm((TemplateRun){.graph = "x: f32[24, 8]; w: const f32[8, 64]; y = x @ w; return y"});
  expect_gemm((TemplateRun){.graph = "x: f32[1, 5]; w: const f32[5, 1]; y = x @ w; return y"});
  expect_gemm((TemplateRun){.graph = "x: f32[13, 7]; w: f32[7, 50]; y = x @ w; return y"});
}

Test(template_gemm, symbolic_sizes_share_one_plan) {
  const char *graph = "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y: f32 = relu(x @ w + b); return y";
  const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 17}, {12, 4, 32}, {13, 0, 33}, {0, 3, 4}, {25, 9, 70}, {6, 3, 0}};
  for (size_t i = 0; i < ARRAY_LENGTH(sizes); ++i)
    expect_gemm((TemplateRun){.graph = graph, .symbols = {sizes[i][0], sizes[i][1], sizes[i][2]}, .threads = 3});
}

Test(template_gemm, blocks_of_k) {
  const char *graph = "x: f32[m, k]; w: const f32[k, n]; y = gelu(x @ w); return y";
  expect_gemm((TemplateRun){.graph = graph, .symbols = {14, 21, 40}, .schedule = "kc=8 mc=5 nc=20"});
  expect_gemm((TemplateRun){.graph = graph, .symbols = {14, 21, 40}, .schedule = "kc=8 epilogue=registers"});
  expect_gemm((TemplateRun){.graph = "x: f32[m, k]; w: f32[k, n]; y = gelu(x @ w); return y",
                            .symbols = {14, 21, 40},
                            .schedule = "kc=8 pack_b=task"});
}

Test(template_gemm, runs_of_blocks) {
  const char *graph = "x: f32[m, k]; w: f32[k, n]; y: f32 = x @ w; return y";
  static const char *const orders[] = {"strip=1 tasks=1", "strip=2 tasks=1", "strip=9 tasks=4", "strip=2 tasks=5",
                                       "strip=3 tasks=99"};
  for (size_t i = 0; i < ARRAY_LENGTH(orders); ++i) {
    char schedule[96];
    snprintf(schedule, sizeof schedule, "mc=5 nc=16 kc=8 pack_a=task pack_b=task %s", orders[i]);
    expect_gemm((TemplateRun){.graph = graph, .symbols = {31, 21, 100}, .schedule = schedule});
    snprintf(schedule, sizeof schedule, "mc=5 nc=16 kc=99 pack_a=task %s", orders[i]);
    expect_gemm((TemplateRun){.graph = graph, .symbols = {31, 21, 100}, .schedule = schedule});
    snprintf(schedule, sizeof schedule, "mc=5 nc=16 kc=8 pc=99 pack_a=task %s", orders[i]);
    expect_gemm((TemplateRun){.graph = graph, .symbols = {31, 21, 100}, .schedule = schedule});
  }
}

/* The interpreter runs the tasks in their order, so the last layer is always the last to arrive; the rest is shown by
 * test_gemm_threads.c. */
Test(template_gemm, layers_of_k) {
  static const char *const graphs[] = {
      "x: f32[m, k]; w: f32[k, n]; y = x @ w; return y",
      "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y = gelu(x @ w + b); return y",
      "x: u8[m, k]; w: const i8[k, n]; y: f32 = dequant(x, 0.5, 3) @ dequant(w, 0.25, 7); return y",
  };
  static const char *const schedules[] = {
      "layers=2", "layers=3 mc=5 nc=16 tasks=1", "layers=3 mc=5 nc=16 kc=4 tasks=99 strip=2 pack_a=task",
      "layers=2 mc=5 nc=16 kc=4 pc=99 tasks=3 pack_a=task", "layers=9 kc=4 epilogue=rows tasks=4"};
  static const int64_t sizes[][3] = {{31, 21, 100}, {1, 64, 16}, {13, 1, 33}, {4, 0, 5}};
  for (size_t g = 0; g < ARRAY_LENGTH(graphs); ++g)
    for (size_t s = 0; s < ARRAY_LENGTH(schedules); ++s)
      for (size_t i = 0; i < ARRAY_LENGTH(sizes); ++i)
        expect_gemm((TemplateRun){
            .graph = graphs[g], .symbols = {sizes[i][0], sizes[i][1], sizes[i][2]}, .schedule = schedules[s]});
}

Test(template_gemm, no_more_blocks_than_counters) {
  const char *graph = "x: f32[m, k]; w: f32[k, n]; y = x @ w; return y";
  expect_gemm((TemplateRun){.graph = graph, .symbols = {300, 8, 2}, .schedule = "layers=2 mr=1 mc=1 tasks=999"});
  expect_gemm((TemplateRun){.graph = graph, .symbols = {40, 8, 200}, .schedule = "layers=2 mr=1 mc=1 nc=16 tasks=999"});
}

Test(template_gemm, zeros_behind_a_cut_step_of_tile_registers) {
  static const char *const graphs[] = {
      "x: bf16[40, 100]; w: const bf16[100, 70]; y: f32 = x @ w; return y",
      "x: bf16[40, 100]; w: bf16[70, 100]; b: f32[70]; y: bf16 = gelu(x @ w.T + b); return y",
      "x: u8[33, 70]; w: i8[70, 65]; y: f32 = dequant(x, 0.5, 3) @ dequant(w, 0.25, 7); return y",
      "x: i8[m, 129]; w: const i8[129, 50]; y = x @ w; return y",
      "x: bf16[2, 20, 33]; w: const bf16[2, 33, 40]; y: f32 = x @ w; return y",
  };
  static const char *const schedules[] = {"mma=tiles pack_a=task", "mma=tiles pack_a=task kc=64 mc=32 nc=32 tasks=3"};
  for (size_t g = 0; g < ARRAY_LENGTH(graphs); ++g)
    for (size_t s = 0; s < ARRAY_LENGTH(schedules); ++s)
      expect_gemm(
          (TemplateRun){.graph = graphs[g], .symbols = {37}, .target = "sapphirerapids", .schedule = schedules[s]});
  expect_gemm((TemplateRun){
      .graph = graphs[0], .target = "sapphirerapids", .schedule = "mma=tiles pack_a=task pack_b=ahead layers=3"});
}

Test(template_gemm, streams) {
  const char *graph = "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y = relu(x @ w + b); return y";
  expect_gemm((TemplateRun){.graph = graph, .symbols = {3, 21, 70}, .schedule = "prefetch=stream kc=4 nc=40 nr=16"});
  expect_gemm((TemplateRun){.graph = "x: bf16[m, k]; w: const bf16[k, n]; y: f32 = x @ w; return y",
                            .symbols = {5, 70, 40},
                            .target = "sapphirerapids",
                            .schedule = "prefetch=stream kc=32 nr=16"});
  Text why;
  text_init(&why, NULL);
  template_run(&(TemplateRun){.graph = "x: f32[3, 4]; w: f32[4, 5]; y = x @ w; return y",
                              .schedule = "pack_b=task prefetch=stream"},
               NULL, NULL, &why);
  cr_expect_str_eq(text_get(&why), "schedule: 'prefetch' is stream, but 'pack_b' is not ahead");
  text_release(&why);
}

Test(template_gemm, accumulators_are_the_result) {
  const char *bare = "x: f32[m, k]; w: f32[k, n]; y = x @ w; return y";
  expect_gemm((TemplateRun){.graph = bare, .symbols = {31, 21, 100}, .schedule = "epilogue=none kc=8 mc=5"});
  expect_gemm((TemplateRun){.graph = bare, .symbols = {3, 21, 10}, .schedule = "epilogue=none"});
  Text why;
  text_init(&why, NULL);
  template_run(
      &(TemplateRun){.graph = "x: f32[3, 4]; w: f32[4, 5]; y: bf16 = x @ w; return y", .schedule = "epilogue=none"},
      NULL, NULL, &why);
  cr_expect_str_eq(text_get(&why), "schedule: 'epilogue' is none, but the result is not the bare product");
  text_release(&why);
}

Test(template_gemm, epilogues_beside_the_next_panel) {
  const char *graph = "x: bf16[m, k]; w: const bf16[k, n]; b: f32[n]; y: bf16 = gelu(x @ w + b); return y";
  static const int64_t sizes[][3] = {{1, 5, 3}, {32, 64, 32}, {33, 64, 33}, {70, 100, 40}, {97, 0, 17}, {64, 40, 50}};
  static const char *const schedules[] = {"epilogue=overlapped",
                                          "epilogue=overlapped prefetch=none mc=64 nc=16 kc=32",
                                          "epilogue=overlapped pack_a=task mc=32 kc=64 tasks=3",
                                          "epilogue=overlapped pack_a=task mc=64 kc=32 pc=32 nc=96",
                                          "epilogue=overlapped pack_b=task kc=32 ku=64",
                                          "epilogue=overlapped layers=3 kc=32 mc=32 nc=64 tasks=4"};
  for (size_t i = 0; i < ARRAY_LENGTH(sizes); ++i)
    for (size_t s = 0; s < ARRAY_LENGTH(schedules); ++s)
      expect_gemm((TemplateRun){.graph = graph,
                                .symbols = {sizes[i][0], sizes[i][1], sizes[i][2]},
                                .target = "sapphirerapids",
                                .schedule = schedules[s]});
  expect_gemm((TemplateRun){.graph = "x: bf16[3, m, 40]; w: const bf16[3, 40, n]; y = x @ w; return y",
                            .symbols = {40, 70},
                            .target = "sapphirerapids",
                            .schedule = "epilogue=overlapped mc=32 tasks=5"});
  expect_gemm((TemplateRun){.graph = "x: bf16[9, 16]; w: const bf16[16, 40]; y = x @ w; return y",
                            .target = "sapphirerapids",
                            .schedule = "mma=tiles epilogue=overlapped"});
}

Test(template_gemm, transposes_and_strides) {
  expect_gemm((TemplateRun){.graph = "x: f32[k, m]; w: f32[n, k]; y = x.T @ w.T; return y", .symbols = {5, 14, 40}});
  expect_gemm(
      (TemplateRun){.graph = "x: f32[k, m]; w: const f32[n, k]; y = x.T @ w.T; return y", .symbols = {5, 14, 40}});
  expect_gemm((TemplateRun){.graph = "x: f32[m, k] strides [ldx, 1]; w: f32[k, n] strides [1, ldw]; "
                                     "y: f32[m, n] strides [ldy, 1] = x @ w; return y",
                            .symbols = {9, 6, 8, 20, 7, 23}});
  expect_gemm((TemplateRun){.graph = "x: f32[m, k]; w: f32[k, n]; y = (x @ w).T; return y", .symbols = {9, 6, 20}});
  expect_gemm((TemplateRun){.graph = "x: f32[m, k]; y = x @ x.T; return y", .symbols = {9, 6}});
  expect_gemm((TemplateRun){.graph = "x: f32[9, 9]; y = x @ x + x + x.T; return y"});
  expect_gemm((TemplateRun){.graph = "x: f32[9, 9]; w: const f32[9, 9]; y = x @ w + w; return y"});
}

Test(template_gemm, epilogues) {
  const char *const bodies[] = {
      "y = x @ w + b; z = relu(y); return y, z",  "y = (x @ w) * s + r; z = c * y; return z",
      "y: bf16 = silu(x @ w + b); return y",      "y: i8 = quant(relu(x @ w + b), s); return y",
      "y = where(r < x @ w, r, b); return y",     "t: f16 = x @ w; y = t * t; z = r + t; return y, z",
      "y = max(x @ w, 0.5) / (c + 10); return y", "y = gelu(x @ w); z = exp(b) * y + leaky_relu(r, 0.25); return z",
  };
  const char *head = "x: f32[m, 6]; w: const f32[6, 20]; ";
  const char *const declarations[] = {"b: f32[20]; ", "s: f32[]; ", "r: f32[m, 20]; ", "c: f32[m, 1]; "};
  const char *const letters = "bsrc";
  for (size_t i = 0; i < ARRAY_LENGTH(bodies); ++i) {
    Text graph;
    text_init(&graph, NULL);
    text_add(&graph, head);
    for (size_t d = 0; d < 4; ++d) {
      bool used = false;
      for (const char *at = bodies[i]; *at != '\0'; ++at) {
        bool starts = at == bodies[i] || at[-1] == ' ' || at[-1] == '(';
        used |= starts && *at == letters[d] && (at[1] == ' ' || at[1] == ')' || at[1] == ';' || at[1] == ',');
      }
      if (used) text_add(&graph, declarations[d]);
    }
    text_add(&graph, bodies[i]);
    for (int64_t m = 1; m < 15; m += 6) {
      expect_gemm((TemplateRun){.graph = text_get(&graph), .symbols = {m}, .schedule = "epilogue=rows"});
      expect_gemm((TemplateRun){
          .graph = text_get(&graph), .symbols = {m}, .schedule = "epilogue=registers", .target = "haswell"});
    }
    text_release(&graph);
  }
}

Test(template_gemm, even_rows) {
  Text text, why;
  text_init(&text, NULL);
  text_init(&why, NULL);
  template_run(&(TemplateRun){.graph = "x: f32[13, 8]; w: const f32[8, 48]; y = x @ w; return y", .schedule = "nr=48"},
               NULL, &text, &why);
  cr_expect(why.length == 0, "%s", text_get(&why));
  cr_expect_not_null(strstr(text_get(&text), "frag<acc, 7x"), "13 rows are 7 + 6: %s", text_get(&text));
  text_release(&text);
  text_release(&why);
}

Test(template_gemm, refusals) {
  expect((TemplateRun){.graph = "x: f32[3, 4]; w: f32[4, 5]; y = softmax(x @ w); return y"}, "reference");
  expect((TemplateRun){.graph = "x: i8[3, 4]; w: f32[4, 5]; y = dequant(x, 0.5) @ w; return y"}, "reference");
  expect(
      (TemplateRun){.graph = "x: i8[3, 4]; w: i8[4, 6]; s: f32[2, 6]; y = dequant(x, 0.5) @ dequant(w, s); return y"},
      "reference");
  expect((TemplateRun){.graph = "x: i8[3, 4]; w: i8[4, 6]; z: f32[]; y = dequant(x, 0.5, z) @ dequant(w, 1); return y"},
         "reference");
  expect((TemplateRun){.graph = "x: f32[4]; w: f32[4, 5]; y = x @ w; return y"}, "reference");
  expect((TemplateRun){.graph = "x: f32[2, 3, 4]; w: f32[4, 5]; r: f32[3, 2, 3, 5]; y = x @ w + r; return y"},
         "reference");
}

/* A row that meets columns along k, and a column. */
static const char row_of_dots[] = "x: f32[2, 64]; w: f32[32, 64]; y = x @ w.T; return y";

Test(template_gemm, dot_products) {
  expect_gemm((TemplateRun){.graph = row_of_dots, .schedule = "mma=dots"});
  expect_gemm((TemplateRun){.graph = row_of_dots, .schedule = "mma=dots nr=5 ku=32 kc=32", .threads = 3});
  expect_gemm((TemplateRun){.graph = "x: u8[m, k]; w: const i8[k, 1]; y: i32 = x @ w; return y", .symbols = {21, 70}});
  expect_gemm((TemplateRun){.graph = "x: bf16[3, k]; w: bf16[n, k]; b: f32[n]; y: f32 = relu(x @ w.T) + b; return y",
                            .schedule = "mma=dots layers=2 tasks=4",
                            .symbols = {70, 21}});
}

Test(template_gemm, dot_products_that_do_not_fit) {
  static const char *const cases[][2] = {
      {"mma=dots pack_b=task", "schedule: 'mma' is dots, but 'pack_a' or 'pack_b' is not none"},
      {"mma=dots pack_a=task", "schedule: 'mma' is dots, but 'pack_a' or 'pack_b' is not none"},
      {"mma=dots nr=64", "schedule: 2x64 is more than 16 rows or 64 dot products"},
      {"mma=dots ku=24", "schedule: 'ku' is 24, expected a multiple of 16, the steps of one instruction"},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(cases); ++i) {
    Text why;
    text_init(&why, NULL);
    template_run(&(TemplateRun){.graph = row_of_dots, .schedule = cases[i][0]}, NULL, NULL, &why);
    cr_expect_str_eq(text_get(&why), cases[i][1]);
    text_release(&why);
  }
}

Test(template_gemm, batches) {
  expect((TemplateRun){.graph = "x: f32[2, 3, 4]; w: f32[4, 5]; y = x @ w; return y"}, "gemm");
  expect((TemplateRun){.graph = "x: f32[2, 1, 3, 4]; w: const f32[3, 4, 20]; r: f32[3, 1, 1]; y = x @ w + r; return y"},
         "gemm");
}

Test(template_gemm, rows_that_need_no_conversion) {
  Text why;
  text_init(&why, NULL);
  template_run(&(TemplateRun){.graph = "x: f32[3, 4]; w: f16[4, 5]; y = x @ w; return y", .schedule = "convert=rows"},
               NULL, NULL, &why);
  cr_expect_str_eq(text_get(&why), "schedule: 'convert' is rows, but those of 'x' need none");
  text_release(&why);
}

Test(template_gemm, wishes_that_do_not_fit) {
  static const struct {
    const char *schedule, *fault;
  } cases[] = {
      {"nr=20", "schedule: 'nr' is 20, expected a multiple of 16, the lanes of skylake-avx512"},
      {"load_a=streamed", "schedule: 'load_a' has no meaning for this graph in template gemm"},
      {"mr=4", "schedule: 'mr' is 4, expected at most 3, the rows there are"},
      {"epilogue=overlapped", "schedule: 'epilogue' is overlapped, but 'mma' is not tiles"},
      {"zz=3", "schedule: no field is called 'zz'"},
      {"mr=0", "schedule: 'mr' is '0', expected a number from 1 to 64"},
      {"mr=4 mr=4", "schedule: 'mr' is given twice"},
      {"pack_b=ahead", "schedule: 'pack_b' is ahead, but 'w' is not const"},
      {"convert=pack", "schedule: 'convert' has no meaning for this graph in template gemm"},
      {"pack_b=none prefetch=panel", "schedule: 'prefetch' is not none, but 'pack_b' is"},
      {"pack_b=never", "schedule: 'pack_b' is 'never', expected one of none|ahead|task"},
      {"mma=dots", "schedule: 'mma' is dots, but neither has the product one column, nor at most 8 rows along k with "
                   "columns along k"},
      {"mma=tiles", "schedule: 'mma' is tiles, but 'skylake-avx512' has no tile registers for these types"},
      {"strip=4", "schedule: 'strip' has no meaning for this graph in template gemm"},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(cases); ++i) {
    Text why;
    text_init(&why, NULL);
    template_run(
        &(TemplateRun){.graph = "x: f32[3, 4]; w: f32[4, 5]; y = x @ w; return y", .schedule = cases[i].schedule}, NULL,
        NULL, &why);
    cr_expect_str_eq(text_get(&why), cases[i].fault);
    text_release(&why);
  }
}
