/* tune.h: what the files of the tuner share: the contest, which knows numbers only, and the bench that feeds it.
 *
 * tune.c drives and tells, tune_search.c chooses candidates. tune_bench.c makes data and objects, runs and
 * verifies candidates; tune_contest.c decides by their times. */
#ifndef KILN_RUNTIME_TUNE_H
#define KILN_RUNTIME_TUNE_H

#include "runtime/runtime.h"

/* ---- contest (tune_contest.c) ------------------------------------------------------------------------------------ */

enum { CONTEST_SAMPLES = 48 /* kept of each entrant in one stage; further ones take the place of the oldest */ };

/* One entrant of a contest: its times in the present stage, each with its ratio to the reference beside it. */
typedef struct Entrant {
  double seconds[CONTEST_SAMPLES], ratios[CONTEST_SAMPLES];
  size_t count;          /* of this stage */
  size_t faster;         /* samples below the reference */
  size_t judged;         /* behind the numbers below; 0: it was never measured */
  double median, spread; /* of a call in seconds, and median absolute deviation over the median; of the last stage */
  double ratio, error;   /* median of the ratios, and twice its standard error */
  int rounds;            /* in which it took part */
  bool is_out;           /* failed, or fell behind */
} Entrant;

/* Seconds of a call, by the wall and of the CPU; `cpu` < 0: not known. */
typedef struct Sample {
  double wall, cpu;
} Sample;

/* Entrant 0 is the reference. `measure` times one entrant; `goes_on` is asked before each, false ends the stage. */
typedef struct Contest {
  void *ctx;
  double (*now)(void *ctx);
  Sample (*measure)(void *ctx, size_t entrant);
  bool (*goes_on)(void *ctx);
  Arena *arena;
  Entrant *entrants;
  size_t count;
  size_t measured;
  size_t disturbed; /* measurements that did not count: the thread lost its core, or the reference drifted */
} Contest;

/* Successive halving among the entrants from 1 on that are not out, until `keep` of them are left or it is `deadline`:
 * each round measures those that are left more often, and the slower half falls out. */
void contest_halve(Contest *contest, size_t keep, double deadline);
/* Measures some entrants against the reference anew, so that no lucky sample of before counts, until their differences
 * are clear or it is `deadline`; at least three times each unless `goes_on` says no. */
void contest_duel(Contest *contest, const size_t *entrants, size_t count, double deadline);
/* The fastest entrant from 1 on that is not out; 0 where there is none. */
size_t contest_best(const Contest *contest);
/* Whether an entrant's last stage shows it faster than the reference by more than the noise. */
bool contest_wins(const Entrant *entrant);

/* ---- bench (tune_bench.c) ---------------------------------------------------------------------------------------- */

/* Copies of one const input in one layout, which calls take in turn: weights come from memory, not from the cache. */
typedef struct Weights {
  size_t input;
  BlobHeader header; /* of a packed one */
  bool is_packed;
  char *memory;
  size_t stride, count;
} Weights;

/* Candidates with the same baked fields share one. */
typedef struct TuneObject {
  Schedule baked;
  Code *code; /* NULL: it did not compile, as status and why say */
  kiln_status status;
  Text why;
  size_t *weights; /* index into the bench's weights for each input, SIZE_MAX for those that are not const */
} TuneObject;

typedef struct TuneCandidate {
  Schedule schedule; /* complete */
  size_t object;
  Binding binding;
  size_t batch; /* calls a sample */
  bool is_verified;
  const char *fault; /* why it does not count; NULL: it does */
} TuneCandidate;

typedef struct TuneBench {
  kiln_engine *engine;
  const Request *request;
  const char *graph_text;
  const Code *plain; /* the planned default */
  const int64_t *symbols;
  const kiln_threads *threads;
  Arena arena; /* initialised by the owner */
  VECTOR(TuneObject *) objects;
  VECTOR(TuneCandidate) candidates; /* the default first */
  VECTOR(Weights) weights;
  void **inputs, **outputs, **expected, **buffers;
  size_t *output_bytes;
  void *workspace;
  size_t workspace_bytes;
  double weights_seconds; /* that making copies of weights has taken */
  size_t turn;            /* of the weights */
  size_t cold_bytes;      /* of all weights together, to be more than the last-level cache holds */
} TuneBench;

kiln_status tune_bench_open(TuneBench *bench);
void tune_bench_close(TuneBench *bench);
/* Adds candidates and makes their objects, in parallel on the bench's threads, or on the engine's where that is one. */
kiln_status tune_bench_add(TuneBench *bench, const Schedule *schedules, size_t count);
/* Runs a candidate once and compares with the default's result, which must have been run; sets fault or is_verified and
 * batch. KILN_OUT_OF_MEMORY, or KILN_OK whatever came out. */
kiln_status tune_bench_verify(TuneBench *bench, size_t number);
/* Times a candidate that is verified. */
Sample tune_bench_measure(TuneBench *bench, size_t number);

/* ---- search (tune.c, tune_search.c) ------------------------------------------------------------------------------ */

enum {
  TUNE_FIRST = 9, /* diverse candidates */
  TUNE_NEIGHBOURS = 8,
  TUNE_BLOCKS = 4,
  TUNE_STEPS = 4,    /* from the best so far to its neighbours */
  TUNE_ROUNDS = 6,   /* of more of the diverse, and climbing again */
  TUNE_DIVERSE = 64, /* of them in all */
  TUNE_FEW =
      TUNE_DIVERSE + 1 + (TUNE_ROUNDS + 1) * TUNE_STEPS * (TUNE_NEIGHBOURS + TUNE_BLOCKS), /* with the recorded */
  TUNE_SPACE = 4096, /* all that a template lists */
};

typedef struct Tuning {
  kiln_tune_options options;
  Request request;
  Code *plain;
  Machine machine;
  TuneBench bench;
  Contest contest;
  Schedule *space; /* everything the template lists */
  size_t space_count, capacity;
  int64_t begin_ns;
  double seconds; /* the budget */
  size_t done, total;
  size_t kept;     /* candidate; 0: the default */
  size_t recorded; /* candidate that an earlier record names; 0: none */
  bool stopped;
  Text schedule; /* scratch */
} Tuning;

double tune_elapsed(void *ctx);                                   /* seconds, of a Tuning */
const char *tune_print(Tuning *tuning, const Schedule *schedule); /* until the next call */
/* A step is done. False: the caller wants to stop. */
bool tune_step(Tuning *tuning);
/* Candidates of a plan like the default's with more fields fixed. How many. */
size_t tune_list(Tuning *tuning, const Schedule *wishes, Schedule *out, size_t capacity);
/* Fills bench and contest, and decides what is kept. */
kiln_status tune_search(Tuning *tuning);
/* Measures the rest of the space after it. */
kiln_status tune_search_everything(Tuning *tuning);

#endif
