/* tiles_inner.c: compiled for AVX2 and FMA with optimisation and without sanitizers in every build (cmake/tests.cmake):
 * a tile product takes microseconds so, and a third of a millisecond otherwise. All loops over columns have 16 steps:
 * elements beyond a tile's shape are zero.
 *
 * Denormal numbers are left to the CPU: with MXCSR.FTZ and DAZ its FMA does what the manual asks of the instructions.
 */
#include "tests/emulate/tiles_inner.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

void inner_multiply(const InnerA a, const InnerB b, InnerC c, int first, int step, int depth, uint32_t control) {
  uint32_t before = _mm_getcsr();
  _mm_setcsr(control);
  for (int m = 0; m < INNER_ROWS; m++) {
    __m256 low = _mm256_setzero_ps(), high = _mm256_setzero_ps();
    for (int k = first; k < depth; k += step) {
      __m256 scalar = _mm256_set1_ps(a[m][k]);
      low = _mm256_fmadd_ps(scalar, _mm256_loadu_ps(b[k]), low);
      high = _mm256_fmadd_ps(scalar, _mm256_loadu_ps(b[k] + 8), high);
    }
    _mm256_storeu_ps(c[m], low);
    _mm256_storeu_ps(c[m] + 8, high);
  }
  _mm_setcsr(before);
}

void inner_multiply_integers(const int32_t (*a)[INNER_DEPTH], const int32_t (*b)[INNER_COLUMNS],
                             uint32_t (*c)[INNER_COLUMNS], int depth) {
  for (int m = 0; m < INNER_ROWS; m++) {
    uint32_t sum[INNER_COLUMNS];
    memcpy(sum, c[m], sizeof sum);
    for (int k = 0; k < depth; k++)
      for (int n = 0; n < INNER_COLUMNS; n++) sum[n] += (uint32_t)(a[m][k] * b[k][n]);
    memcpy(c[m], sum, sizeof sum);
  }
}

void inner_multiply_long(const int64_t (*a)[INNER_DEPTH], const int64_t (*b)[INNER_COLUMNS],
                         int64_t (*c)[INNER_COLUMNS], int depth) {
  for (int m = 0; m < INNER_ROWS; m++) {
    int64_t sum[INNER_COLUMNS] = {0};
    for (int k = 0; k < depth; k++)
      for (int n = 0; n < INNER_COLUMNS; n++) sum[n] += a[m][k] * b[k][n];
    memcpy(c[m], sum, sizeof sum);
  }
}
