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
/* The clock of cases that use so many threads, in seconds. One thread is charged for what it ran, so a busy machine
 * costs it caches but not its turn; several go by the clock on the wall, as waiting for one another is part of their
 * work. */
double bench_clock(int threads);

/* One implementation: `run` does the work once. Results come back in the lower part. */
typedef struct BenchCase {
  const char *name;
  void (*run)(void *ctx);
  void *ctx;
  bool is_cold; /* reads more than caches hold: needs no warm ones, leaves none, so its turn comes every third round */

  double median_us; /* of one run */
  double least_us;  /* of one run, the shortest sample: what neighbours on the machine disturb least */
  double spread;    /* median absolute deviation over the median */
} BenchCase;

/* Runs all cases in turn, for `seconds` in all and at least 7 rounds. A turn warms the caches until runs get no faster,
 * then takes up to three samples, each long enough to be timed (about 2 ms, or one run). Where cases use several
 * `threads`, a pause between them lets those of the case before fall asleep, which spin for a while. Returns false when
 * out of memory. */
bool bench_interleave(BenchCase *cases, int count, int threads, double seconds);

/* ---- profiles ---------------------------------------------------------------------------------------------------- */

/* Addresses at which the calling thread was found. */
typedef struct BenchSamples {
  const void **list;
  size_t capacity;
  volatile size_t count; /* the signal handler of the same thread counts */
} BenchSamples;

/* Runs again and again for so many seconds and asks every quarter of a millisecond where it is. KILN_UNSUPPORTED: no
 * timer, or its signals do not come; KILN_OUT_OF_MEMORY. Released either way with bench_samples_release. */
kiln_status bench_sample(void (*run)(void *ctx), void *ctx, double seconds, BenchSamples *samples);
void bench_samples_release(BenchSamples *samples);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* For operands, aligned to a cache line; more than a MiB is of whole huge pages where the system gives those: pages of
 * 4 KiB lie at random in the caches, and looking them up costs whoever is measured a different time in each process.
 * NULL: out of memory. Released with free. */
void *bench_allocate(size_t bytes);

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

/* ---- peers: libraries loaded at run time ------------------------------------------------------------------------- */

/* What code a peer may use, so that it competes with Kiln's of the same target; later ones include earlier ones of
 * their width. BENCH_ISA_BEST is whatever the peer itself takes on this machine. */
typedef enum BenchIsa {
  BENCH_ISA_BEST,
  BENCH_ISA_AVX2,
  BENCH_ISA_AVX2_VNNI,
  BENCH_ISA_AVX2_VNNI_INT8,
  BENCH_ISA_AVX512,
  BENCH_ISA_AVX512_VNNI,
  BENCH_ISA_AVX512_BF16,
  BENCH_ISA_AVX512_FP16,
  BENCH_ISA_AMX,
  BENCH_ISA_AMX_FP16,
  BENCH_ISA_COUNT
} BenchIsa;

/* C = A @ B, row-major unless transposed; leading strides in elements. */
typedef struct BenchProduct {
  int64_t m, n, k, lda, ldb, ldc;
  bool a_transposed, b_transposed;
  bool b_is_const; /* a peer may bring B into a layout of its own, outside of what is timed */
  kiln_type a_type, b_type, c_type;
  const void *a, *b;
  void *c;
} BenchProduct;

typedef struct BenchPeer {
  const struct BenchPeerOps *ops;
  char name[96];    /* with its version and code path: "openblas 0.3.21 SkylakeX" */
  char absent[192]; /* why it cannot be used; empty: it is there */
  BenchIsa isa;
  void *library, *state;
} BenchPeer;

/* A product made ready for a peer, with copies of B that its runs take in turn. */
typedef struct BenchJob {
  const BenchPeer *peer;
  BenchProduct product;
  int threads;
  char name[160];    /* the peer's, and the code path this product takes */
  char refusal[192]; /* why the peer does not compute this product; empty: it does */
  void *state;
  size_t packed_bytes; /* of B in the peer's layout; 0: B is used as it is */
  int copy_count, next_copy;
  void *copies[];
} BenchJob;

/* What a file of bench/peers/ defines: one library. `open` and `prepare` report through peer->absent and job->refusal.
 */
typedef struct BenchPeerOps {
  /* Loads `file` (NULL: the newest there is) with its best code path within peer->isa. */
  void (*open)(BenchPeer *peer, const char *file);
  void (*close)(BenchPeer *peer); /* what `open` allocated; libraries stay, as their threads may */
  void (*set_threads)(const BenchPeer *peer, int threads);
  void (*prepare)(BenchJob *job);            /* of job->product */
  void (*pack)(BenchJob *job, void *packed); /* B into packed_bytes, aligned to 64; NULL where packed_bytes stays 0 */
  void (*run)(const BenchJob *job, const void *b);
  void (*finish)(BenchJob *job); /* what `prepare` allocated; NULL: nothing */
} BenchPeerOps;

/* Opens the peer `name`, or `name=FILE` for one file, with the code path of a row of `kiln list targets` (NULL: the
 * best). Gives false for a name that bench_peer_names does not list. A library has one code path a process: the first
 * target wins. */
bool bench_peer_open(const char *name, const char *target, BenchPeer *peer);
void bench_peer_close(BenchPeer *peer);
const char *bench_peer_names(void); /* "onednn, openblas, ..." */

/* Prepares a product on this many threads with `copies` copies of B (0: none, hot weights), checks elements of its
 * result, and, where B may be packed, keeps the faster of packed and plain. False only when out of memory. */
bool bench_job_create(const BenchPeer *peer, const BenchProduct *product, int threads, int copies, BenchJob **job);
void bench_job_run(BenchJob *job);
void bench_job_destroy(BenchJob *job);

/* For the modules: loads `file`, else the first of `files` (ends with NULL) that is there, else says which Debian
 * package has it. False: absent. */
bool bench_peer_load(BenchPeer *peer, const char *file, const char *const *files, const char *package);
/* Fills function pointers from symbols; false (and absent) where one is missing. */
typedef struct BenchSymbol {
  const char *name;
  void *pointer; /* address of the function pointer */
} BenchSymbol;
bool bench_peer_symbols(BenchPeer *peer, const BenchSymbol *symbols, size_t count);
void bench_refuse(BenchJob *job, const char *sentence);
size_t bench_type_bytes(kiln_type type); /* of the types that peers multiply; 0: another */

/* ---- suites ------------------------------------------------------------------------------------------------------ */

/* A suite is a text of lines, each the arguments of one `kiln bench` quoted as in a shell. `names = values` defines
 * what a line may name in braces; the line then stands for one line for each value:
 *
 *     m = 1 2 4                            {m} is each of these
 *     n,k = 4096,4096 768,768              names of one definition change together
 *     'x: f32[{m},{k}]; w: const f32[{k},{n}]; y: f32 = x @ w; return y' --threads 1
 *
 * The definition that stands first changes slowest. `#` begins a comment line. `only` (of `only_count`) are
 * `name=value`: of that definition just the values with this one. Calls `line` with words, until it gives false. */
typedef struct BenchSuite {
  const char *text;
  const char *const *only;
  int only_count;
  bool (*line)(void *ctx, int count, char **words);
  void *ctx;
} BenchSuite;
/* False, with a message `3: ...` that begins with the line's number, where the text is wrong. */
bool bench_suite_run(const BenchSuite *suite, char message[160]);

#endif
