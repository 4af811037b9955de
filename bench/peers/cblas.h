/* cblas.h: the numbers that every CBLAS shares, so that no library's header is needed. */
#ifndef KILN_BENCH_PEERS_CBLAS_H
#define KILN_BENCH_PEERS_CBLAS_H

enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };

typedef void Sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                   int lda, const float *b, int ldb, float beta, float *c, int ldc);

#endif
