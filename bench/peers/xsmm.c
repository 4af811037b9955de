/* xsmm.c: libxsmm as a peer: a kernel generated for one small product, called through its pointer. Debian has it as an
 * archive only, of which `./dev bench` makes a shared library. It is column-major, so it computes C' = B' A', where a
 * prime says transposed: the same bytes. bf16 wants pairs of rows of B interleaved. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { MOST = 256, TRANSPOSE_A = 1, TRANSPOSE_B = 2, PAIRS_A = 32768 }; /* of libxsmm's flags */

typedef void Kernel(const void *a, const void *b, void *c, ...);
typedef Kernel *Dispatch(int m, int n, int k, const int *lda, const int *ldb, const int *ldc, const float *alpha,
                         const float *beta, const int *flags, const int *prefetch);

typedef struct Xsmm {
  void (*init)(void);
  void (*set_arch)(const char *name);
  const char *(*arch)(void);
  Dispatch *f32, *bf16;
} Xsmm;

typedef struct Small {
  Kernel *kernel;
} Small;

static const char *const arch_names[BENCH_ISA_COUNT] = {
    [BENCH_ISA_BEST] = NULL,         [BENCH_ISA_AVX2] = "hsw",
    [BENCH_ISA_AVX2_VNNI] = "hsw",   [BENCH_ISA_AVX2_VNNI_INT8] = "hsw",
    [BENCH_ISA_AVX512] = "skx",      [BENCH_ISA_AVX512_VNNI] = "clx",
    [BENCH_ISA_AVX512_BF16] = "cpx", [BENCH_ISA_AVX512_FP16] = "cpx",
    [BENCH_ISA_AMX] = "cpx",         [BENCH_ISA_AMX_FP16] = "cpx",
};

/* libxsmm keeps its code for the life of the process: jobs own nothing of it. */
static void open_xsmm(BenchPeer *peer, const char *file) {
  static const char *const files[] = {"libxsmm.so.1", "libxsmm.so", NULL};
  if (!bench_peer_load(peer, file, files, "./dev bench makes it of Debian's libxsmm-dev")) return;
  Xsmm *xsmm = peer->state = calloc(1, sizeof *xsmm);
  if (xsmm == NULL) return;
  const BenchSymbol symbols[] = {
      {"libxsmm_init", &xsmm->init},
      {"libxsmm_set_target_arch", &xsmm->set_arch},
      {"libxsmm_get_target_arch", &xsmm->arch},
      {"libxsmm_smmdispatch", &xsmm->f32},
      {"libxsmm_bsmmdispatch", &xsmm->bf16},
  };
  if (!bench_peer_symbols(peer, symbols, sizeof symbols / sizeof *symbols)) return;
  xsmm->init();
  if (arch_names[peer->isa] != NULL) xsmm->set_arch(arch_names[peer->isa]);
  snprintf(peer->name, sizeof peer->name, "xsmm 1.17 %s", xsmm->arch());
}

static void close_xsmm(BenchPeer *peer) { free(peer->state); }

/* It starts none. */
static void set_threads(const BenchPeer *peer, int threads) { (void)peer, (void)threads; }

/* A sentence why not, or NULL. */
static const char *refusal(const BenchJob *job) {
  const BenchProduct *p = &job->product;
  bool is_bf16 = p->a_type == KILN_BF16 && p->b_type == KILN_BF16;
  if (p->c_type != KILN_F32 || (!is_bf16 && (p->a_type != KILN_F32 || p->b_type != KILN_F32)))
    return "it multiplies f32, and bf16 to f32";
  if (p->m > MOST || p->n > MOST || p->k > MOST) return "it is for products of at most 256 x 256 x 256";
  if (p->m == 0 || p->n == 0 || p->k == 0) return "the product is empty";
  if (job->threads > 1) return "it runs on one thread";
  if (is_bf16 && (!p->b_is_const || p->k % 2 != 0 || p->a_transposed))
    return "bf16 needs B const, an even k and A as it is";
  return NULL;
}

/* A and B change places, and so do m and n (see above). */
static void prepare(BenchJob *job) {
  const BenchProduct *p = &job->product;
  const Xsmm *xsmm = job->peer->state;
  const char *why = refusal(job);
  if (why != NULL) {
    bench_refuse(job, why);
    return;
  }
  bool is_bf16 = p->a_type == KILN_BF16;
  int flags = is_bf16 ? PAIRS_A : (p->b_transposed ? TRANSPOSE_A : 0) | (p->a_transposed ? TRANSPOSE_B : 0);
  int lda = is_bf16 ? (int)p->n : (int)p->ldb, ldb = (int)p->lda, ldc = (int)p->ldc, prefetch = 0;
  float alpha = 1, beta = 0;
  Small *small = job->state = calloc(1, sizeof *small);
  if (small != NULL)
    small->kernel = (is_bf16 ? xsmm->bf16 : xsmm->f32)((int)p->n, (int)p->m, (int)p->k, &lda, &ldb, &ldc, &alpha, &beta,
                                                       &flags, &prefetch);
  if (small == NULL || small->kernel == NULL) bench_refuse(job, "it generates no kernel for this layout");
  if (is_bf16) job->packed_bytes = (size_t)(p->n * p->k) * 2;
}

/* Pairs of steps of k side by side for each column. */
static void pack(BenchJob *job, void *packed) {
  const BenchProduct *p = &job->product;
  const uint16_t *b = p->b;
  uint16_t *out = packed;
  for (int64_t l = 0; l < p->k; ++l)
    for (int64_t j = 0; j < p->n; ++j)
      out[(l / 2 * p->n + j) * 2 + l % 2] = b[p->b_transposed ? j * p->ldb + l : l * p->ldb + j];
}

static void run(const BenchJob *job, const void *b) {
  const Small *small = job->state;
  small->kernel(b, job->product.a, job->product.c);
}

static void finish(BenchJob *job) { free(job->state); }

const BenchPeerOps bench_xsmm = {.open = open_xsmm,
                                 .close = close_xsmm,
                                 .set_threads = set_threads,
                                 .prepare = prepare,
                                 .pack = pack,
                                 .run = run,
                                 .finish = finish};
