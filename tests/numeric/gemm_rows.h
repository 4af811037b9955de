/* gemm_rows.h: every matrix instruction of x86 as what a gemm kernel is made of: element types and a target for which
 * the template takes it. */
#ifndef KILN_TESTS_GEMM_ROWS_H
#define KILN_TESTS_GEMM_ROWS_H

#include "ir/target/target.h"
#include "tests/numeric/ladder.h"

typedef struct GemmRow {
  const char *target, *a, *b;
  const char *row;      /* of mma.def */
  const char *schedule; /* that makes it so; NULL: the default does */
  bool flushes;         /* as mma.def says: subnormal factors and sums are zeros */
} GemmRow;

/* Whether there is one of this name. */
bool gemm_row_exists(const char *row);
const MmaInstruction *gemm_row_instruction(const GemmRow *row);
/* Whether its instruction is executed by tests/emulate in an engine of ladder_engine_for. */
bool gemm_row_is_emulated(const GemmRow *row);

bool gemm_row_is_of_bytes(const GemmRow *row);
LadderCase gemm_row_case(const GemmRow *row, const char *graph);

/* Runs `run` on each row whose instructions this machine has or can emulate, with an engine for its target. */
typedef void GemmRowRun(kiln_engine *engine, const GemmRow *row);
void gemm_rows_run(GemmRowRun *run);

#endif
