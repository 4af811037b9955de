/* interleave.c: rounds over all cases, medians and spreads. Assumes a monotonic clock of nanoseconds. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/bench.h"

enum { MIN_ROUNDS = 7, MAX_ROUNDS = 1000, MOST_SAMPLES = 3, WARM_RUNS = 3, STEADY_RUNS = 2, COLD_ROUNDS = 3 };
static const double sample_seconds = 2e-3, warm_seconds = 1e-2, most_warm_seconds = 0.1;
static const double steady = 0.98;     /* a run below this part of the best so far shows that caches still fill */
static const double long_run_us = 2e4; /* beyond it, warming the caches is lost in the run itself */

/* What is known of a case. */
typedef struct Samples {
  long runs; /* of one sample */
  int count;
  double seconds[MAX_ROUNDS * MOST_SAMPLES]; /* of a run; negative where the scheduler took the core away meanwhile */
} Samples;

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_now(void) { return seconds_of(CLOCK_MONOTONIC); }

double bench_clock(int threads) { return seconds_of(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC); }

static double time_runs(const BenchCase *c, long runs, int threads) {
  double start = bench_clock(threads);
  for (long i = 0; i < runs; ++i) c->run(c->ctx);
  return bench_clock(threads) - start;
}

/* How often another process took a core of ours away so far. */
static long preemptions(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

/* How many runs of a case fill a sample; warms it up too, and leaves a first estimate in its median. */
static long runs_per_sample(BenchCase *c, int threads) {
  long runs = 1;
  time_runs(c, 1, threads);
  c->median_us = time_runs(c, 1, threads) * 1e6;
  if (c->median_us >= long_run_us) return 1;
  for (;;) {
    double seconds = time_runs(c, runs, threads);
    if (seconds >= sample_seconds / 2 || runs > (1L << 30)) {
      double wanted = ceil((double)runs * sample_seconds / fmax(seconds, 1e-9));
      return wanted < 1 ? 1 : (long)wanted;
    }
    runs *= 2;
  }
}

/* Samples of all cases as long as one run of the longest, within reason: a core runs faster for a millisecond than it
 * does for ten, so a short sample of the peak would be compared with a long one of the product (by 13 % on Sapphire
 * Rapids). */
static void lengthen_samples(const BenchCase *cases, Samples *samples, int count) {
  double longest_us = sample_seconds * 1e6;
  for (int i = 0; i < count; ++i) longest_us = fmax(longest_us, fmin(cases[i].median_us, long_run_us));
  for (int i = 0; i < count; ++i) {
    double runs = (double)samples[i].runs;
    double run_us = samples[i].runs > 1 ? sample_seconds * 1e6 / runs : fmax(cases[i].median_us, 1);
    samples[i].runs = (long)fmax(1, floor(longest_us / run_us));
  }
}

static int ascending(const void *x, const void *y) {
  double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The case before left its own data in the caches, and what is read once does not enter every last-level cache: a
 * victim cache takes lines that were used again (on Sapphire Rapids 64 MiB come back within six runs), so runs go on
 * until they get no faster. The clock needs time too: after a light case a heavy one runs up to 13 % faster for some
 * milliseconds. */
static void warm(const BenchCase *c) {
  double start = bench_now(), now = start, best = INFINITY;
  bool one_run = c->is_cold || c->median_us >= long_run_us;
  for (int run = 1, last_gain = 1; run == 1 || !one_run; ++run) {
    double before = now;
    c->run(c->ctx);
    now = bench_now();
    if (now - before < steady * best) last_gain = run;
    best = fmin(best, now - before);
    if (run >= WARM_RUNS && now >= start + warm_seconds &&
        (run - last_gain >= STEADY_RUNS || now >= start + most_warm_seconds))
      return;
  }
}

/* A case's turn in a round: as many samples as take about as long as its warming did. */
static void take_turn(const BenchCase *c, Samples *samples, int threads) {
  const struct timespec pause = {.tv_nsec = 4000000};
  if (threads > 1) nanosleep(&pause, NULL);
  warm(c);
  double start = bench_now();
  for (int i = 0; i == 0 || (i < MOST_SAMPLES && bench_now() < start + warm_seconds); ++i) {
    long before = preemptions();
    double seconds = time_runs(c, samples->runs, threads) / (double)samples->runs;
    samples->seconds[samples->count++] = preemptions() == before ? seconds : -seconds;
  }
}

/* Undisturbed samples alone count where there are enough of them. */
static void drop_disturbed(Samples *samples) {
  int good = 0;
  for (int i = 0; i < samples->count; ++i) good += samples->seconds[i] >= 0;
  int kept = 0;
  for (int i = 0; i < samples->count; ++i)
    if (samples->seconds[i] >= 0 || good < MIN_ROUNDS) samples->seconds[kept++] = fabs(samples->seconds[i]);
  samples->count = kept;
}

static void summarise(BenchCase *c, Samples *samples) {
  drop_disturbed(samples);
  double middle = median(samples->seconds, samples->count);
  c->least_us = samples->seconds[0] * 1e6; /* in order now */
  for (int i = 0; i < samples->count; ++i) samples->seconds[i] = fabs(samples->seconds[i] - middle);
  c->median_us = middle * 1e6;
  c->spread = middle > 0 ? median(samples->seconds, samples->count) / middle : 0;
}

bool bench_interleave(BenchCase *cases, int count, int threads, double seconds) {
  Samples *samples = calloc((size_t)count, sizeof *samples);
  if (samples == NULL) return false;
  for (int i = 0; i < count; ++i) samples[i].runs = runs_per_sample(&cases[i], threads);
  lengthen_samples(cases, samples, count);
  double end = bench_now() + seconds;
  for (int round = 0; round < MAX_ROUNDS && (round < MIN_ROUNDS || bench_now() < end); ++round)
    for (int i = 0; i < count; ++i)
      if (!cases[i].is_cold || round % COLD_ROUNDS == 0) take_turn(&cases[i], &samples[i], threads);
  for (int i = 0; i < count; ++i) summarise(&cases[i], &samples[i]);
  free(samples);
  return true;
}
