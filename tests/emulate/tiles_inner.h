/* tiles_inner.h: the inner loops of tile products, fast enough for tests of whole kernels. */
#pragma once

#include <stdint.h>

enum { INNER_ROWS = 16, INNER_COLUMNS = 16, INNER_DEPTH = 64 };

typedef float InnerA[INNER_ROWS][INNER_DEPTH];
typedef float InnerB[INNER_DEPTH][INNER_COLUMNS];
typedef float InnerC[INNER_ROWS][INNER_COLUMNS];

/* Control words for inner_multiply: all exceptions masked, to nearest even, with FTZ, and with DAZ too (SDM vol. 1,
 * "MXCSR Control and Status Register"). */
enum { INNER_FTZ = 0x9F80, INNER_FTZ_DAZ = 0x9FC0 };

/* c[m][n] becomes the sum from zero of a[m][k] * b[k][n] by FMA in the order of k from `first` in steps of `step`,
 * under MXCSR `control`. Where an element becomes NaN it is not said which. Needs a CPU with FMA. */
void inner_multiply(const InnerA a, const InnerB b, InnerC c, int first, int step, int depth, uint32_t control);

/* c[m][n] += the sum of a[m][k] * b[k][n], modulo 2^32. Needs AVX2. */
void inner_multiply_integers(const int32_t (*a)[INNER_DEPTH], const int32_t (*b)[INNER_COLUMNS],
                             uint32_t (*c)[INNER_COLUMNS], int depth);

/* c[m][n] = the sum of a[m][k] * b[k][n], exact as long as it is below 2^63. Needs AVX2. */
void inner_multiply_long(const int64_t (*a)[INNER_DEPTH], const int64_t (*b)[INNER_COLUMNS],
                         int64_t (*c)[INNER_COLUMNS], int depth);
