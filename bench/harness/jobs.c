/* jobs.c: products made ready for peers: copies of B, a check of the result, and the better of packed and plain. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

size_t bench_type_bytes(kiln_type type) {
  if (type == KILN_F32 || type == KILN_I32) return 4;
  if (type == KILN_BF16 || type == KILN_F16) return 2;
  return type == KILN_I8 || type == KILN_U8 ? 1 : 0;
}

void bench_refuse(BenchJob *job, const char *sentence) { snprintf(job->refusal, sizeof job->refusal, "%s", sentence); }

void bench_job_run(BenchJob *job) {
  const void *b = job->product.b;
  if (job->copy_count > 0) {
    job->next_copy = (job->next_copy + 1) % job->copy_count;
    b = job->copies[job->next_copy];
  }
  job->peer->ops->run(job, b);
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

/* IEEE binary16, finite values: operands are. */
static double half(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  double fraction = bits & 1023;
  double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, exponent - 25);
  return bits >> 15 ? -value : value;
}

/* Element `index` of an array of a type that peers multiply. */
static double load(kiln_type type, const void *data, int64_t index) {
  const char *at = (const char *)data + (size_t)index * bench_type_bytes(type);
  float value;
  int32_t number;
  uint16_t bits;
  uint32_t wide;
  switch (bench_type_bytes(type)) {
  case 1: return type == KILN_I8 ? (double)*(const int8_t *)at : (double)*(const uint8_t *)at;
  case 2:
    memcpy(&bits, at, sizeof bits);
    if (type == KILN_F16) return half(bits);
    wide = (uint32_t)bits << 16;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
  default:
    memcpy(&number, at, sizeof number);
    memcpy(&value, at, sizeof value);
    return type == KILN_I32 ? (double)number : (double)value;
  }
}

/* A library that read its operands in another way than ours would be off by about the size of the products: `sum` is
 * the root of their squares. */
static bool is_right(const BenchProduct *p, int64_t i, int64_t j) {
  double dot = 0, squares = 0;
  for (int64_t l = 0; l < p->k; ++l) {
    double product = load(p->a_type, p->a, p->a_transposed ? l * p->lda + i : i * p->lda + l) *
                     load(p->b_type, p->b, p->b_transposed ? j * p->ldb + l : l * p->ldb + j);
    dot += product;
    squares += product * product;
  }
  return fabs(load(p->c_type, p->c, i * p->ldc + j) - dot) <= sqrt(squares) / 32 + fabs(dot) / 128;
}

/* Sixteen elements, the corners among them. */
static void check(BenchJob *job) {
  enum { SAMPLES = 16 };
  const BenchProduct *p = &job->product;
  for (int64_t s = 0; s < SAMPLES && p->m > 0 && p->n > 0; ++s) {
    int64_t i = s < 4 ? (s & 1) * (p->m - 1) : s * 7919 % p->m, j = s < 4 ? (s >> 1) * (p->n - 1) : s * 6007 % p->n;
    if (is_right(p, i, j)) continue;
    snprintf(job->refusal, sizeof job->refusal, "its result is wrong at row %lld, column %lld", (long long)i,
             (long long)j);
    return;
  }
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* From the first element of B to its last. */
static size_t plain_bytes(const BenchProduct *p) {
  int64_t rows = p->b_transposed ? p->n : p->k, columns = p->b_transposed ? p->k : p->n;
  return rows == 0 ? 0 : (size_t)((rows - 1) * p->ldb + columns) * bench_type_bytes(p->b_type);
}

/* B in the peer's layout, and as many copies of it as rotate. */
static bool copy_weights(BenchJob *job, int copies) {
  if (job->packed_bytes > 0 && copies == 0) copies = 1;
  size_t bytes = job->packed_bytes > 0 ? job->packed_bytes : plain_bytes(&job->product);
  for (; job->copy_count < copies; ++job->copy_count) {
    void *copy = bench_allocate(bytes);
    if (copy == NULL) return false;
    job->copies[job->copy_count] = copy;
    if (job->packed_bytes == 0) memcpy(copy, job->product.b, bytes);
    else job->peer->ops->pack(job, copy); /* each: MKL's layout may not be moved */
  }
  return true;
}

/* NULL: out of memory. */
static BenchJob *make_job(const BenchPeer *peer, const BenchProduct *product, int threads, int copies) {
  BenchJob *job = calloc(1, sizeof *job + (size_t)(copies + 1) * sizeof(void *));
  if (job == NULL) return NULL;
  job->peer = peer;
  job->product = *product;
  job->threads = threads;
  snprintf(job->name, sizeof job->name, "%s", peer->name);
  if (peer->absent[0] != '\0') {
    bench_refuse(job, peer->absent);
    return job;
  }
  peer->ops->set_threads(peer, threads);
  peer->ops->prepare(job);
  if (job->refusal[0] != '\0') return job;
  if (!copy_weights(job, copies)) {
    bench_job_destroy(job);
    return NULL;
  }
  bench_job_run(job);
  check(job);
  return job;
}

/* The shortest of a few runs. */
static double shortest(BenchJob *job, double best) {
  for (int i = 0; i < 3; ++i) {
    double start = bench_clock(job->threads);
    bench_job_run(job);
    best = fmin(best, bench_clock(job->threads) - start);
  }
  return best;
}

bool bench_job_create(const BenchPeer *peer, const BenchProduct *product, int threads, int copies, BenchJob **out) {
  BenchJob *job = make_job(peer, product, threads, copies), *plain = NULL;
  if (job == NULL) return false;
  *out = job;
  if (job->refusal[0] != '\0' || job->packed_bytes == 0) return true;
  BenchProduct as_is = *product;
  as_is.b_is_const = false;
  plain = make_job(peer, &as_is, threads, copies);
  if (plain == NULL || plain->refusal[0] != '\0') {
    bench_job_destroy(plain);
    return true;
  }
  double packed_best = INFINITY, plain_best = INFINITY;
  for (int i = 0; i < 3; ++i) {
    packed_best = shortest(job, packed_best);
    plain_best = shortest(plain, plain_best);
  }
  if (plain_best < packed_best) *out = plain, plain = job;
  bench_job_destroy(plain);
  return true;
}

void bench_job_destroy(BenchJob *job) {
  if (job == NULL) return;
  if (job->state != NULL && job->peer->ops->finish != NULL) job->peer->ops->finish(job);
  for (int i = 0; i < job->copy_count; ++i) free(job->copies[i]);
  free(job);
}
