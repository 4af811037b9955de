/* ladder.h: a graph compiled, run and compared with the interpreter, on memory that catches every stray access.
 *
 * Each operand lies against a page that cannot be touched: in front of it in one run, behind it in another. Results
 * begin as NaN; gaps between strided rows hold a pattern that must survive. */
#ifndef KILN_TESTS_LADDER_H
#define KILN_TESTS_LADDER_H

#include "kiln/kiln.h"

typedef enum LadderFill {
  LADDER_NUMBERS,     /* from -1 to 1; where `exact`, small integers */
  LADDER_ENDS,        /* bytes at the ends of their ranges */
  LADDER_GREATEST,    /* each byte -128 or 255 */
  LADDER_SPECIAL,     /* small integers, NaN and infinities */
  LADDER_SUBNORMAL_A, /* input 0 has a few times the least number of its type, the others what makes products normal */
  LADDER_SUBNORMAL_B, /* input 1 */
  LADDER_TINY,        /* numbers whose products and sums are subnormal in f32 */
} LadderFill;

typedef struct LadderCase {
  const char *graph;
  const char *target; /* NULL: this machine */
  const char *template_;
  const char *schedule;
  kiln_packing packing;
  LadderFill fill;
  bool exact;    /* results must be equal bit for bit, not just within their bound */
  bool flushes;  /* by an instruction that takes subnormal factors as zeros, and gives zeros for subnormal sums */
  bool in_place; /* output 0 takes the memory of the last input */
  int threads;   /* 0: the calling thread */
  int64_t symbols[12];
} LadderCase;

/* One engine without a disk cache, for all cases of a test. */
kiln_engine *ladder_engine(void);
/* One that runs kernels of a row of targets.def: instructions that this CPU lacks, and all on tile registers, are
 * executed by tests/emulate. NULL where that cannot be, after a line NOT EXERCISED. */
kiln_engine *ladder_engine_for(const char *target);
/* Names of the rows that this machine can run, one a vector width, widest first; `count` of them. Those it cannot are
 * printed as NOT EXERCISED. */
const char *const *ladder_targets(kiln_engine *engine, int *count);

/* The same, one a set of matrix instructions. */
const char *const *ladder_instruction_targets(kiln_engine *engine, int *count);

/* Runs a case; fails the Criterion test with what went wrong. */
void ladder_run(kiln_engine *engine, const LadderCase *c);
/* Runs a case and copies output 0 (row-major, no strides) to `bytes`. */
void ladder_result(kiln_engine *engine, const LadderCase *c, void *bytes, size_t size);

/* A pool of `count` real threads that takes tasks from the last to the first. */
typedef struct LadderPool {
  kiln_threads threads;
} LadderPool;
LadderPool ladder_pool(int count);

#endif
