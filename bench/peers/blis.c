/* blis.c: BLIS as a peer, through its CBLAS. Which code it takes depends on the CPU model, which virtual machines hide;
 * version 0.9 takes the number of a configuration instead. It packs B in every call. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/peers/cblas.h"

typedef struct Blis {
  Sgemm *sgemm;
  const char *(*version)(void);
  void (*init)(void);
  int (*arch)(void);
  const char *(*arch_name)(int arch);
  void (*set_threads)(int64_t threads); /* dim_t: 64 bits in Debian's build */
} Blis;

/* Numbers of 0.9's arch_t; a wrong one would abort the process, so other versions choose by themselves. */
static void force_arch(const BenchPeer *peer, const Blis *blis) {
  if (strncmp(blis->version(), "0.9.", 4) != 0) return;
  bool is_wide = __builtin_cpu_supports("avx512f") && (peer->isa == BENCH_ISA_BEST || peer->isa >= BENCH_ISA_AVX512);
  if (is_wide) setenv("BLIS_ARCH_TYPE", "0", 0);                             /* skx */
  else if (__builtin_cpu_supports("avx2")) setenv("BLIS_ARCH_TYPE", "3", 0); /* haswell */
}

/* The arch must be set before bli_init, and asked after it. */
static void open_blis(BenchPeer *peer, const char *file) {
  static const char *const files[] = {"libblis.so.4", "libblis.so", NULL};
  if (!bench_peer_load(peer, file, files, "Debian: libblis4-pthread")) return;
  Blis *blis = peer->state = calloc(1, sizeof *blis);
  if (blis == NULL) return;
  const BenchSymbol symbols[] = {
      {"cblas_sgemm", &blis->sgemm},
      {"bli_info_get_version_str", &blis->version},
      {"bli_init", &blis->init},
      {"bli_arch_query_id", &blis->arch},
      {"bli_arch_string", &blis->arch_name},
      {"bli_thread_set_num_threads", &blis->set_threads},
  };
  if (!bench_peer_symbols(peer, symbols, sizeof symbols / sizeof *symbols)) return;
  force_arch(peer, blis);
  blis->init();
  snprintf(peer->name, sizeof peer->name, "blis %s %s", blis->version(), blis->arch_name(blis->arch()));
}

static void close_blis(BenchPeer *peer) { free(peer->state); }

static void set_threads(const BenchPeer *peer, int threads) {
  const Blis *blis = peer->state;
  blis->set_threads(threads);
}

static void prepare(BenchJob *job) {
  const BenchProduct *p = &job->product;
  if (p->a_type != KILN_F32 || p->b_type != KILN_F32 || p->c_type != KILN_F32)
    bench_refuse(job, "it multiplies f32 only");
}

static void run(const BenchJob *job, const void *b) {
  const BenchProduct *p = &job->product;
  const Blis *blis = job->peer->state;
  blis->sgemm(ROW_MAJOR, p->a_transposed ? TRANSPOSED : PLAIN, p->b_transposed ? TRANSPOSED : PLAIN, (int)p->m,
              (int)p->n, (int)p->k, 1.0F, p->a, (int)p->lda, b, (int)p->ldb, 0.0F, p->c, (int)p->ldc);
}

const BenchPeerOps bench_blis = {
    .open = open_blis, .close = close_blis, .set_threads = set_threads, .prepare = prepare, .run = run};
