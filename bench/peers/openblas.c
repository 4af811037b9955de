/* openblas.c: OpenBLAS as a peer: Debian's, or the newer build of PyPI's scipy-openblas64, whose symbols carry a prefix
 * and whose integers have 64 bits. Its kernels are chosen by CPU model, and it knows none newer than itself, so the
 * AVX-512 path is forced where the CPU has it, whatever the environment says. It packs B in every call: its interface
 * has no packing ahead. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/peers/cblas.h"

typedef void Sgemm64(int order, int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
                     const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

typedef struct OpenBlas {
  Sgemm *sgemm; /* NULL: integers have 64 bits */
  Sgemm64 *sgemm64;
  char *(*config)(void);
  char *(*core)(void);
  void (*set_threads)(int threads);
} OpenBlas;

/* Of either build; scipy's is known by its names. */
static bool find_symbols(BenchPeer *peer, OpenBlas *blas) {
  const BenchSymbol plain[] = {
      {"cblas_sgemm", &blas->sgemm},
      {"openblas_get_config", &blas->config},
      {"openblas_get_corename", &blas->core},
      {"openblas_set_num_threads", &blas->set_threads},
  };
  const BenchSymbol scipy[] = {
      {"scipy_cblas_sgemm64_", &blas->sgemm64},
      {"scipy_openblas_get_config64_", &blas->config},
      {"scipy_openblas_get_corename64_", &blas->core},
      {"scipy_openblas_set_num_threads64_", &blas->set_threads},
  };
  bool is_scipy = dlsym(peer->library, scipy[0].name) != NULL;
  return bench_peer_symbols(peer, is_scipy ? scipy : plain, sizeof plain / sizeof *plain);
}

static void open_openblas(BenchPeer *peer, const char *file) {
  static const char *const files[] = {"libscipy_openblas64_.so", "libopenblas.so.0", "libopenblas.so", NULL};
  bool is_wide = __builtin_cpu_supports("avx512f") && (peer->isa == BENCH_ISA_BEST || peer->isa >= BENCH_ISA_AVX512);
  if (is_wide) setenv("OPENBLAS_CORETYPE", "SkylakeX", 1);
  else if (__builtin_cpu_supports("avx2")) setenv("OPENBLAS_CORETYPE", "Haswell", 1);
  /* Idle threads of OpenBLAS spin 2^26 cycles by default, into the time of the next case; 2^20 are half a ms. */
  setenv("OPENBLAS_THREAD_TIMEOUT", "20", 0);
  if (!bench_peer_load(peer, file, files, "Debian: libopenblas0-pthread")) return;
  OpenBlas *blas = peer->state = calloc(1, sizeof *blas);
  if (blas == NULL || !find_symbols(peer, blas)) return;
  char version[32] = "?";
  sscanf(blas->config(), "OpenBLAS %31s", version);
  snprintf(peer->name, sizeof peer->name, "openblas %s %s", version, blas->core());
}

static void close_openblas(BenchPeer *peer) { free(peer->state); }

static void set_threads(const BenchPeer *peer, int threads) {
  const OpenBlas *blas = peer->state;
  blas->set_threads(threads);
}

static void prepare(BenchJob *job) {
  const BenchProduct *p = &job->product;
  if (p->a_type != KILN_F32 || p->b_type != KILN_F32 || p->c_type != KILN_F32)
    bench_refuse(job, "it multiplies f32 only");
}

static void run(const BenchJob *job, const void *b) {
  /* beta is 0, so C is only written, as Kiln's is */
  const BenchProduct *p = &job->product;
  const OpenBlas *blas = job->peer->state;
  int transpose_a = p->a_transposed ? TRANSPOSED : PLAIN, transpose_b = p->b_transposed ? TRANSPOSED : PLAIN;
  if (blas->sgemm != NULL)
    blas->sgemm(ROW_MAJOR, transpose_a, transpose_b, (int)p->m, (int)p->n, (int)p->k, 1.0F, p->a, (int)p->lda, b,
                (int)p->ldb, 0.0F, p->c, (int)p->ldc);
  else
    blas->sgemm64(ROW_MAJOR, transpose_a, transpose_b, p->m, p->n, p->k, 1.0F, p->a, p->lda, b, p->ldb, 0.0F, p->c,
                  p->ldc);
}

const BenchPeerOps bench_openblas = {
    .open = open_openblas, .close = close_openblas, .set_threads = set_threads, .prepare = prepare, .run = run};
