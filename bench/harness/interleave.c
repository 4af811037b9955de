/* interleave.c: rounds over all cases, medians and spreads. Assumes a monotonic clock of nanoseconds. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/bench.h"

enum { MIN_ROUNDS = 7, WARM_RUNS = 3, MAX_ROUNDS = 1000 };
static const double round_seconds = 2e-3, warm_seconds = 1e-2;
static const double long_run_us = 2e4; /* beyond it, warming the caches is lost in the run itself */

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

/* How many runs of a case fill a round; warms it up too, and leaves a first estimate in its median. */
static long runs_per_round(BenchCase *c, int threads) {
  long runs = 1;
  time_runs(c, 1, threads);
  c->median_us = time_runs(c, 1, threads) * 1e6;
  if (c->median_us >= long_run_us) return 1;
  for (;;) {
    double seconds = time_runs(c, runs, threads);
    if (seconds >= round_seconds / 2 || runs > (1L << 30)) {
      double wanted = ceil((double)runs * round_seconds / fmax(seconds, 1e-9));
      return wanted < 1 ? 1 : (long)wanted;
    }
    runs *= 2;
  }
}

/* Rounds of all cases as long as one run of the longest, within reason: a core runs faster for a millisecond than it
 * does for ten, so a short round of the peak would be compared with a long one of the product (by 13 % on Sapphire
 * Rapids). */
static void lengthen_rounds(const BenchCase *cases, long *runs, int count) {
  double longest_us = round_seconds * 1e6;
  for (int i = 0; i < count; ++i) longest_us = fmax(longest_us, fmin(cases[i].median_us, long_run_us));
  for (int i = 0; i < count; ++i) {
    double run_us = runs[i] > 1 ? round_seconds * 1e6 / (double)runs[i] : fmax(cases[i].median_us, 1);
    runs[i] = (long)fmax(1, floor(longest_us / run_us));
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

/* One sample a round and case; negative where the scheduler took the core away meanwhile. */
static double sample(const BenchCase *c, long runs, int threads) {
  const struct timespec pause = {.tv_nsec = 4000000};
  if (threads > 1) nanosleep(&pause, NULL);
  /* The case before left its own data in the caches, and what is read once does not enter every last-level cache: a
   * victim cache takes lines that were used again (Sapphire Rapids needs three runs until times stay the same). The
   * clock needs time too: after a light case a heavy one runs up to 13 % faster for some milliseconds. */
  double start = bench_now();
  for (int i = 0; i == 0 || (c->median_us < long_run_us && (i < WARM_RUNS || bench_now() < start + warm_seconds)); ++i)
    c->run(c->ctx);
  long before = preemptions();
  double seconds = time_runs(c, runs, threads) / (double)runs;
  return preemptions() == before ? seconds : -seconds;
}

/* Undisturbed samples alone count where there are enough of them. */
static int choose_samples(double *seconds, int rounds) {
  int good = 0;
  for (int i = 0; i < rounds; ++i)
    if (seconds[i] >= 0) ++good;
  if (good < MIN_ROUNDS) {
    for (int i = 0; i < rounds; ++i) seconds[i] = fabs(seconds[i]);
    return rounds;
  }
  for (int i = 0, kept = 0; i < rounds; ++i)
    if (seconds[i] >= 0) seconds[kept++] = seconds[i];
  return good;
}

static void summarise(BenchCase *c, double *seconds, int rounds) {
  rounds = choose_samples(seconds, rounds);
  double middle = median(seconds, rounds);
  for (int i = 0; i < rounds; ++i) seconds[i] = fabs(seconds[i] - middle);
  c->median_us = middle * 1e6;
  c->spread = middle > 0 ? median(seconds, rounds) / middle : 0;
}

bool bench_interleave(BenchCase *cases, int count, int threads, double seconds) {
  double *samples = malloc(sizeof *samples * (size_t)count * MAX_ROUNDS);
  long *runs = malloc(sizeof *runs * (size_t)count);
  bool good = samples != NULL && runs != NULL;
  if (good) {
    for (int i = 0; i < count; ++i) runs[i] = runs_per_round(&cases[i], threads);
    lengthen_rounds(cases, runs, count);
    double end = bench_now() + seconds;
    int rounds = 0;
    while (rounds < MAX_ROUNDS && (rounds < MIN_ROUNDS || bench_now() < end)) {
      for (int i = 0; i < count; ++i) samples[i * MAX_ROUNDS + rounds] = sample(&cases[i], runs[i], threads);
      ++rounds;
    }
    for (int i = 0; i < count; ++i) summarise(&cases[i], &samples[i * MAX_ROUNDS], rounds);
  }
  free(samples);
  free(runs);
  return good;
}
