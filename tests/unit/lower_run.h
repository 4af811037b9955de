/* lower_run.h: tile IR as text, compiled for several targets, run and compared with the interpreter.
 *
 * Buffers lie between guard pages, once against the lower and once against the upper, so an access outside of them ends
 * the test. Targets this machine cannot run are compiled all the same: an object with an undefined symbol is a failure.
 */
#ifndef KILN_TESTS_UNIT_LOWER_RUN_H
#define KILN_TESTS_UNIT_LOWER_RUN_H

#include "ir/target/target.h"
#include "ir/tile/tile.h"
#include "lower/lower.h"

typedef enum LowerFill {
  FILL_SMALL,           /* whole numbers from -4 to 4, or what of them the type has */
  FILL_REAL,            /* of many magnitudes */
  FILL_SPECIAL,         /* as FILL_SMALL, with infinities and NaN among them */
  FILL_BITS,            /* any bits: infinities, NaN, subnormals */
  FILL_SUBNORMAL,       /* of f32: as FILL_REAL, with subnormals, least normal numbers and zeros of both signs */
  FILL_FIRST_SUBNORMAL, /* of f32: whole numbers, and only the first element is subnormal */
  FILL_LAST_SUBNORMAL,  /* likewise the last */
  FILL_OUTPUT,          /* as FILL_BITS, and its bytes are compared afterwards */
} LowerFill;

typedef struct LowerBuffer {
  kiln_type type;
  int64_t count; /* elements */
  LowerFill fill;
  double ulps; /* of an output: how far it may be off; 0: equal (but for the bits of a NaN) */
} LowerBuffer;

typedef struct LowerCase {
  const char *text;
  const int64_t *symbols;
  const LowerBuffer *buffers;
  int buffer_count;
} LowerCase;

/* Every task of the first kernel, on x86 without and with AVX2 and with AVX-512. */
void lower_check(const LowerCase *run);
/* The same on one target. */
void lower_check_on(const LowerCase *run, const char *target);

/* Objects for one target of each family and the richest x86, none of them run. */
void lower_check_compiles(const char *text);

/* The assembly of the text for a target; released with free. */
char *lower_assembly(const char *text, const char *target);
/* How many LLVM instructions the text becomes, all kernels together. */
int lower_count_instructions(const char *text, const char *target);

bool lower_can_run(const Target *target);

#endif
