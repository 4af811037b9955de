/* openblas.c: OpenBLAS as a peer, loaded at run time. Debian's build chooses its code path by CPU model and knows none
 * newer than itself, so the AVX-512 path is forced where the CPU has it. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef void Sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                   int lda, const float *b, int ldb, float beta, float *c, int ldc);
enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };

static void *symbol(const BenchPeer *peer, const char *name) { return dlsym(peer->library, name); }

static void name_peer(BenchPeer *peer) {
  char *(*config)(void), *(*core)(void);
  void *f = symbol(peer, "openblas_get_config"), *g = symbol(peer, "openblas_get_corename");
  char version[32] = "?";
  memcpy(&config, &f, sizeof f);
  memcpy(&core, &g, sizeof g);
  if (f != NULL) sscanf(config(), "OpenBLAS %31s", version);
  snprintf(peer->name, sizeof peer->name, "openblas %s %s", version, g != NULL ? core() : "?");
}

bool bench_peer_open(const char *name, int32_t vector_bits, BenchPeer *peer) {
  memset(peer, 0, sizeof *peer);
  if (strcmp(name, "openblas") != 0) return false;
  snprintf(peer->name, sizeof peer->name, "%s", name);
  bool is_wide = __builtin_cpu_supports("avx512f") && (vector_bits == 0 || vector_bits == 512);
  if (is_wide) setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  else if (__builtin_cpu_supports("avx2")) setenv("OPENBLAS_CORETYPE", "Haswell", 0);
  static const char *const files[] = {"libopenblas.so.0", "libopenblas.so"};
  for (size_t i = 0; i < 2 && peer->library == NULL; ++i) peer->library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
  if (peer->library == NULL) {
    snprintf(peer->absent, sizeof peer->absent, "libopenblas.so.0 is not installed (Debian: libopenblas0-pthread)");
    return true;
  }
  peer->function = symbol(peer, "cblas_sgemm");
  void *set = symbol(peer, "openblas_set_num_threads");
  memcpy(&peer->set_threads, &set, sizeof set);
  if (peer->function == NULL || set == NULL)
    snprintf(peer->absent, sizeof peer->absent, "libopenblas.so.0 has no cblas_sgemm");
  else name_peer(peer);
  return true;
}

void bench_peer_product(const BenchPeer *peer, const BenchProduct *p) {
  Sgemm *sgemm;
  memcpy(&sgemm, &peer->function, sizeof sgemm);
  sgemm(ROW_MAJOR, p->a_transposed ? TRANSPOSED : PLAIN, p->b_transposed ? TRANSPOSED : PLAIN, (int)p->m, (int)p->n,
        (int)p->k, 1.0F, p->a, (int)p->lda, p->b, (int)p->ldb, 0.0F, p->c, (int)p->ldc);
}

/* The library stays loaded: its own threads may still be running in it. */
void bench_peer_close(BenchPeer *peer) { memset(peer, 0, sizeof *peer); }
