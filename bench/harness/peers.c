/* peers.c: the table of peers, and what opening any of them takes. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

#define PEER(name, types) extern const BenchPeerOps bench_##name;
#include "bench/peers/peers.def"
#undef PEER

static const struct {
  const char *name;
  const BenchPeerOps *ops;
} rows[] = {
#define PEER(name, types) {#name, &bench_##name},
#include "bench/peers/peers.def"
#undef PEER
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Peers that choose code by themselves are held to that of the target. */
static const struct {
  const char *target;
  BenchIsa isa;
} isas[] = {
    {"haswell", BENCH_ISA_AVX2},           {"znver3", BENCH_ISA_AVX2},
    {"alderlake", BENCH_ISA_AVX2_VNNI},    {"sierraforest", BENCH_ISA_AVX2_VNNI_INT8},
    {"skylake-avx512", BENCH_ISA_AVX512},  {"cascadelake", BENCH_ISA_AVX512_VNNI},
    {"cooperlake", BENCH_ISA_AVX512_BF16}, {"znver4", BENCH_ISA_AVX512_BF16},
    {"znver5", BENCH_ISA_AVX512_BF16},     {"sapphirerapids-noamx", BENCH_ISA_AVX512_FP16},
    {"sapphirerapids", BENCH_ISA_AMX},     {"graniterapids", BENCH_ISA_AMX_FP16},
    {"diamondrapids", BENCH_ISA_AMX_FP16},
};

/* False: a target that peers have no code for, such as one of another family. */
static bool find_isa(const char *target, BenchIsa *isa) {
  *isa = BENCH_ISA_BEST;
  if (target == NULL) return true;
  for (size_t i = 0; i < sizeof isas / sizeof *isas; ++i) {
    if (strcmp(isas[i].target, target) != 0) continue;
    *isa = isas[i].isa;
    return true;
  }
  return false;
}

bool bench_peer_open(const char *name, const char *target, BenchPeer *peer) {
  memset(peer, 0, sizeof *peer);
  size_t length = strcspn(name, "=");
  for (size_t i = 0; i < ROWS && peer->ops == NULL; ++i)
    if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0) peer->ops = rows[i].ops;
  if (peer->ops == NULL) return false;
  snprintf(peer->name, sizeof peer->name, "%.*s", (int)length, name);
  if (!find_isa(target, &peer->isa))
    snprintf(peer->absent, sizeof peer->absent, "it has no code path like that of target %s", target);
  else peer->ops->open(peer, name[length] == '=' ? name + length + 1 : NULL);
  return true;
}

void bench_peer_close(BenchPeer *peer) {
  if (peer->ops != NULL && peer->state != NULL) peer->ops->close(peer);
  memset(peer, 0, sizeof *peer);
}

#define PEER(name, types) ", " #name
static const char names[] =
#include "bench/peers/peers.def"
    ;
#undef PEER

const char *bench_peer_names(void) { return names + strlen(", "); }

bool bench_peer_load(BenchPeer *peer, const char *file, const char *const *files, const char *package) {
  if (file != NULL) peer->library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  else
    for (size_t i = 0; files[i] != NULL && peer->library == NULL; ++i)
      peer->library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
  if (peer->library != NULL) return true;
  if (file != NULL) snprintf(peer->absent, sizeof peer->absent, "%s cannot be loaded: %.96s", file, dlerror());
  else snprintf(peer->absent, sizeof peer->absent, "%s is not installed (%s)", files[0], package);
  return false;
}

bool bench_peer_symbols(BenchPeer *peer, const BenchSymbol *symbols, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    void *found = dlsym(peer->library, symbols[i].name);
    if (found == NULL) {
      snprintf(peer->absent, sizeof peer->absent, "the library found has no %s", symbols[i].name);
      return false;
    }
    memcpy(symbols[i].pointer, &found, sizeof found);
  }
  return true;
}
