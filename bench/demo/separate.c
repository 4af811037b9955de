/* separate.c: the peer's epilogue at its best: fast-math lets gcc call glibc's vector erf, clones let it use this CPU's
 * vectors. */
#include "bench/demo/separate.h"

#include <math.h>

#define CLONES __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512")))

CLONES void separate_bias_gelu(float *c, const float *bias, int64_t m, int64_t n) {
  for (int64_t i = 0; i < m; ++i) {
    float *row = c + i * n;
    for (int64_t j = 0; j < n; ++j) {
      float x = row[j] + bias[j];
      row[j] = 0.5F * x * (1.0F + erff(x * 0.70710678F));
    }
  }
}

CLONES void separate_bias_residual(float *c, const float *bias, const float *residual, int64_t m, int64_t n) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) c[i * n + j] += bias[j] + residual[i * n + j];
}
