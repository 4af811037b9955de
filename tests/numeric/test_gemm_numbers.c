/* test_gemm_numbers.c: numbers at the ends of their ranges through gemm by every matrix instruction of x86: infinities
 * and NaN, subnormal numbers, bytes whose sums reach the ends of i32. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/emulate/native.h"
#include "tests/numeric/gemm_rows.h"

static void run_fill(kiln_engine *engine, const GemmRow *row, LadderFill fill, int m, int n, int k) {
  char graph[200];
  snprintf(graph, sizeof graph, "x: %s[m, k]; w: const %s[k, n]; y = x @ w; return y", row->a, row->b);
  LadderCase c = gemm_row_case(row, graph);
  c.fill = fill;
  c.exact = true;
  c.symbols[0] = m, c.symbols[1] = k, c.symbols[2] = n;
  ladder_run(engine, &c);
}

/* Nothing of what is beyond a tail of k may meet an infinity: 0 times it is NaN. */
static void run_special(kiln_engine *engine, const GemmRow *row) {
  const MmaInstruction *mma = gemm_row_instruction(row);
  if (mma->acc == KILN_I32) return;
  run_fill(engine, row, LADDER_SPECIAL, 9, 17, 1);
  run_fill(engine, row, LADDER_SPECIAL, 35, 33, 2 * mma->k + mma->k / 2 + 1);
  run_fill(engine, row, LADDER_SPECIAL, 16, 32, 8 * mma->k);
}
Test(gemm_numbers, infinities_and_nan) { gemm_rows_run(run_special); }

static void run_subnormal(kiln_engine *engine, const GemmRow *row) {
  const MmaInstruction *mma = gemm_row_instruction(row);
  if (mma->acc == KILN_I32) return;
  if (!gemm_row_is_emulated(row) && !native_rounds(row->row)) {
    printf("NOT EXERCISED: subnormal numbers by %s natively: this CPU is not of Intel's\n", row->row);
    return;
  }
  run_fill(engine, row, LADDER_SUBNORMAL_A, 17, 33, 2 * mma->k + 1);
  run_fill(engine, row, LADDER_SUBNORMAL_B, 17, 33, 8 * mma->k);
  if (strstr("f32 bf16", row->a) != NULL && strstr("f32 bf16", row->b) != NULL)
    run_fill(engine, row, LADDER_TINY, 7, 17, 8 * mma->k + 1);
}
Test(gemm_numbers, subnormal_numbers) { gemm_rows_run(run_subnormal); }

/* The longest k for which no sum of any bytes leaves i32 (docs/graph.md), and one more, where sums wrap. */
static void run_long(kiln_engine *engine, const GemmRow *row) {
  if (!gemm_row_is_of_bytes(row)) return;
  bool a_is_signed = row->a[0] == 'i', b_is_signed = row->b[0] == 'i';
  int longest = a_is_signed && b_is_signed ? 131071 : a_is_signed || b_is_signed ? 65793 : 33025;
  run_fill(engine, row, LADDER_GREATEST, 1, 2, longest);
  if (gemm_row_is_emulated(row)) return; /* slow */
  run_fill(engine, row, LADDER_GREATEST, 2, 1, longest + 1);
  run_fill(engine, row, LADDER_ENDS, 2, 3, longest + 1);
}
Test(gemm_numbers, sums_at_the_ends_of_i32) { gemm_rows_run(run_long); }
