/* test_gemm_rows.c: whole gemm kernels by every matrix instruction of x86, those this CPU lacks executed by
 * tests/emulate: tails of m, n and k, B packed ahead and in the task, epilogues, quantisation, blocks; exact and random
 * numbers. Tile registers are emulated even where the CPU has them, for the process does not ask for them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/emulate/emulate.h"
#include "tests/numeric/gemm_rows.h"
#include "tests/numeric/ladder.h"

static const char *const plain_forms[] = {
    "x: %s[m, k]; w: %s[k, n]; y = x @ w; return y",
    "x: %s[m, k]; w: const %s[k, n]; b: f32[n]; r: f32[m, n]; y: f32 = relu(x @ w + b) + r; return y",
    "x: %s[k, m]; w: %s[n, k]; y: bf16 = x.T @ w.T; return y",
};
static const char *const quantised_forms[] = {
    "x: %s[m, k]; w: const %s[k, n]; xs: f32[m, 1]; xz: u8[m, 1]; ws: f32[n]; wz: i8[n]; b: f32[n]; "
    "y: f32 = gelu(dequant(x, xs, xz) @ dequant(w, ws, wz) + b); return y",
    "x: %s[m, k]; w: %s[k, n]; xs: f32[]; ws: f32[n]; os: f32[]; oz: u8[]; "
    "y: u8 = quant(relu(dequant(x, xs) @ dequant(w, ws)), os, oz); return y",
};
enum { PLAIN_FORMS = ARRAY_LENGTH(plain_forms), QUANTISED_FORMS = ARRAY_LENGTH(quantised_forms) };

static void run_form(kiln_engine *engine, const GemmRow *row, const char *form, const int sizes[3], bool exact) {
  char graph[400];
  snprintf(graph, sizeof graph, form, row->a, row->b);
  LadderCase c = gemm_row_case(row, graph);
  bool turned = strstr(graph, "[k, m]") != NULL;
  c.exact = exact;
  c.symbols[0] = sizes[turned ? 2 : 0], c.symbols[1] = sizes[turned ? 0 : 2], c.symbols[2] = sizes[1];
  ladder_run(engine, &c);
}

/* ---- sizes and forms --------------------------------------------------------------------------------------------- */

/* Sizes around a tile register and around a block of four of them; k around a step, the group and what is unrolled. */
static void run_sizes(kiln_engine *engine, const GemmRow *row) {
  static const int ms[] = {1, 15, 16, 17, 33, 50, 7, 31, 32}, ns[] = {1, 33, 16, 15, 32, 49, 65};
  const MmaInstruction *mma = gemm_row_instruction(row);
  const int ks[] = {0, 1, mma->k - 1, mma->k, mma->k + 1, 4 * mma->k + mma->group, 4 * mma->k - 1, 9 * mma->k};
  bool is_integer = mma->acc == KILN_I32;
  int forms = PLAIN_FORMS + (gemm_row_is_of_bytes(row) ? QUANTISED_FORMS : 0);
  for (int i = 0; i < 3 * forms; ++i) {
    int form = i % forms;
    const char *text = form < PLAIN_FORMS ? plain_forms[form] : quantised_forms[form - PLAIN_FORMS];
    const int sizes[3] = {ms[i % 9], ns[i * 2 % 7], ks[(i + i / forms) % 8]};
    bool exact = form < PLAIN_FORMS && (is_integer || i % 2 == 0 || i >= 2 * forms);
    run_form(engine, row, text, sizes, exact);
  }
}

/* That the instruction did it is counted where it is emulated; elsewhere the CPU has it. */
static void check_row(kiln_engine *engine, const GemmRow *row) {
  emulate_reset();
  run_sizes(engine, row);
  bool is_emulated = gemm_row_is_emulated(row);
  char pattern[64];
  snprintf(pattern, sizeof pattern, "%.*s*", (int)strcspn(row->row, "_"), row->row);
  if (is_emulated) cr_expect_gt(emulate_count(pattern), 0, "%s: no %s was executed", row->target, row->row);
  printf("EXERCISED: %s on %s, %s in gemm\n", row->row, row->target, is_emulated ? "emulated" : "natively");
}
Test(gemm_rows, sizes) { gemm_rows_run(check_row); }

/* Accumulators in a row and in a column of sizes that are numbers; blocks of m, n and k, A packed in the task. */
static void run_shapes(kiln_engine *engine, const GemmRow *given) {
  static const int shapes[][3] = {{10, 70, 130}, {90, 10, 100}, {70, 75, 300}};
  GemmRow row = *given;
  if (gemm_row_instruction(&row)->strategy != MMA_AMX) return;
  for (int s = 0; s < 2; ++s) {
    char form[200];
    const int *size = shapes[s];
    snprintf(form, sizeof form, "x: %%s[%d, %d]; w: const %%s[%d, %d]; y = x @ w; return y", size[0], size[2], size[2],
             size[1]);
    run_form(engine, &row, form, size, true);
  }
  row.schedule = "mma=tiles mr=32 nr=32 mc=32 nc=32 kc=128 pack_a=task";
  run_form(engine, &row, plain_forms[0], shapes[2], true);
}
Test(gemm_rows, shapes_of_tile_registers) { gemm_rows_run(run_shapes); }

/* ---- completeness ------------------------------------------------------------------------------------------------ */

/* No graph asks for the first; the template takes no product of f64 and another float. */
static const char *const without_gemm[] = {"tmmultf32ps"};

static bool is_of_x86(const MmaInstruction *mma) {
  for (unsigned i = 0; i < FEATURE_COUNT; ++i)
    if ((mma->features >> i & 1) != 0 && feature_family((Feature)i) != FAMILY_X86_64) return false;
  return true;
}

Test(gemm_rows, every_instruction_of_x86_has_a_row) {
  for (size_t i = 0; i < mma_count(); ++i) {
    const char *name = mma_get(i)->name;
    bool is_left_out = false;
    for (size_t j = 0; j < ARRAY_LENGTH(without_gemm); ++j) is_left_out |= strcmp(without_gemm[j], name) == 0;
    if (!is_of_x86(mma_get(i)) || is_left_out) continue;
    cr_expect(gemm_row_exists(name), "%s of mma.def is not in gemm_rows.c", name);
  }
}
