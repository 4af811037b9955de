/* interleave.c: rounds over all cases, medians and spreads. Assumes a monotonic clock of nanoseconds. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "bench/bench.h"

enum { MIN_ROUNDS = 7, MAX_ROUNDS = 1000 };
static const double round_seconds = 2e-3;

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_runs(const BenchCase *c, long runs) {
  double start = bench_now();
  for (long i = 0; i < runs; ++i) c->run(c->ctx);
  return bench_now() - start;
}

/* How many runs of a case fill a round; warms it up too. */
static long runs_per_round(const BenchCase *c) {
  long runs = 1;
  time_runs(c, 1);
  for (;;) {
    double seconds = time_runs(c, runs);
    if (seconds >= round_seconds / 2 || runs > (1L << 30)) {
      double wanted = ceil((double)runs * round_seconds / fmax(seconds, 1e-9));
      return wanted < 1 ? 1 : (long)wanted;
    }
    runs *= 2;
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

static void summarise(BenchCase *c, double *seconds, int rounds) {
  double middle = median(seconds, rounds);
  for (int i = 0; i < rounds; ++i) seconds[i] = fabs(seconds[i] - middle);
  c->median_us = middle * 1e6;
  c->spread = middle > 0 ? median(seconds, rounds) / middle : 0;
}

bool bench_interleave(BenchCase *cases, int count, double seconds) {
  double *samples = malloc(sizeof *samples * (size_t)count * MAX_ROUNDS);
  long *runs = malloc(sizeof *runs * (size_t)count);
  bool good = samples != NULL && runs != NULL;
  if (good) {
    for (int i = 0; i < count; ++i) runs[i] = runs_per_round(&cases[i]);
    double end = bench_now() + seconds;
    int rounds = 0;
    while (rounds < MAX_ROUNDS && (rounds < MIN_ROUNDS || bench_now() < end)) {
      for (int i = 0; i < count; ++i)
        samples[i * MAX_ROUNDS + rounds] = time_runs(&cases[i], runs[i]) / (double)runs[i];
      ++rounds;
    }
    for (int i = 0; i < count; ++i) summarise(&cases[i], &samples[i * MAX_ROUNDS], rounds);
  }
  free(samples);
  free(runs);
  return good;
}
