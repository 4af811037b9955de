/* separate.h: what a runtime without fusion does after the product: one pass over C, vectorised by the C compiler. */
#ifndef KILN_BENCH_DEMO_SEPARATE_H
#define KILN_BENCH_DEMO_SEPARATE_H

#include <stdint.h>

/* c (m x n, row-major) = gelu(c + bias), with the exact error function; and c = c + bias + residual. In place. */
void separate_bias_gelu(float *c, const float *bias, int64_t m, int64_t n);
void separate_bias_residual(float *c, const float *bias, const float *residual, int64_t m, int64_t n);

#endif
