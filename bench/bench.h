/* bench.h: measuring several implementations against each other on a noisy machine.
 *
 * All cases of a comparison run in one process, interleaved round by round, so that a neighbour who slows a core slows
 * all of them; the median over rounds is reported with its spread. This room sees only the public headers: it measures
 * what users get. */
#ifndef KILN_BENCH_BENCH_H
#define KILN_BENCH_BENCH_H

#include "kiln/kiln.h"

/* ---- timing ------------------------------------------------------------------------------------------------------ */

double bench_now(void); /* seconds, monotonic */

/* One implementation: `run` does the work once. Results come back in the lower part. */
typedef struct BenchCase {
  const char *name;
  void (*run)(void *ctx);
  void *ctx;

  double median_us; /* of one run */
  double spread;    /* median absolute deviation over the median */
} BenchCase;

/* Runs all cases in turn, each round long enough to be timed (about 2 ms a case), for `seconds` in all and at least 7
 * rounds. Returns false when out of memory. */
bool bench_interleave(BenchCase *cases, int count, double seconds);

/* ---- what the machine can do ------------------------------------------------------------------------------------- */

/* A loop of independent products of these types in registers, of vectors or of tiles, written in tile IR and compiled
 * by Kiln for `target` (NULL: the host): as a case, to be interleaved with what it is compared with. */
typedef struct BenchPeak BenchPeak;
kiln_status bench_peak_create(kiln_engine *engine, const char *target, const kiln_threads *threads, kiln_type a,
                              kiln_type b, bool on_tiles, BenchPeak **out, kiln_buffer *message);
void bench_peak_destroy(BenchPeak *peak);
BenchCase bench_peak_case(BenchPeak *peak);
double bench_peak_flops(const BenchPeak *peak); /* floating-point operations of one run of the case */

/* Reads 256 MiB, far more than any cache of one core, once a run. */
typedef struct BenchStream BenchStream;
kiln_status bench_stream_create(kiln_engine *engine, const char *target, const kiln_threads *threads, BenchStream **out,
                                kiln_buffer *message);
void bench_stream_destroy(BenchStream *stream);
BenchCase bench_stream_case(BenchStream *stream);
double bench_stream_bytes(const BenchStream *stream);

/* ---- peers ------------------------------------------------------------------------------------------------------- */

/* C = A @ B in f32, row-major unless transposed; leading strides in elements. */
typedef struct BenchProduct {
  int64_t m, n, k, lda, ldb, ldc;
  bool a_transposed, b_transposed;
  const float *a, *b;
  float *c;
} BenchProduct;

/* A library loaded at run time. */
typedef struct BenchPeer {
  char name[96];    /* with its version and code path: "openblas 0.3.21 SkylakeX" */
  char absent[160]; /* why it cannot be used; empty: it is there */
  void *library;
  void *function;
  void (*set_threads)(int threads);
} BenchPeer;

/* Loads a peer by name ("openblas") with its best code path for vectors of this many bits (0: the machine's widest),
 * once a process. Gives false for a name nobody knows; an absent library is said in peer->absent. */
bool bench_peer_open(const char *name, int32_t vector_bits, BenchPeer *peer);
void bench_peer_product(const BenchPeer *peer, const BenchProduct *product);
void bench_peer_close(BenchPeer *peer);

#endif
