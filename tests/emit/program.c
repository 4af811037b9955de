/* program.c: a program with kernels compiled ahead of time: no libkiln, no LLVM, only the objects and headers of kiln
 * emit. Runs each on many sizes and compares with C loops.
 *
 *   layer  y = relu(x @ w + b) + r for any m, k, n; w is packed by the object's own layer_pack_w
 *   plain  c = a @ b.T for 13 x 37 x 50, rows of a and c 64 apart, nothing packed
 *   rows   y = softmax(x), which needs workspace and exp */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"
#include "plain.h"
#include "rows.h"

static int faults;

static void *allocate(int64_t bytes) {
  size_t whole = ((size_t)bytes + 127) / 64 * 64;
  void *memory = aligned_alloc(64, whole);
  if (memory == NULL) exit(1);
  return memset(memory, 0, whole);
}

/* Reals in -1 to 1. */
static float *generate(int64_t count) {
  static uint32_t state = 1;
  float *numbers = allocate(count * 4);
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    numbers[i] = (float)(int32_t)state / 2147483648.0F;
  }
  return numbers;
}

static void check(const char *what, float found, double expected, double bound) {
  if (fabs((double)found - expected) <= bound) return;
  if (++faults <= 10) printf("%s: found %.9g, expected %.9g within %g\n", what, (double)found, expected, bound);
}

/* Every task of a kernel, the last first: any order is right. */
static void run(kiln_entry *entry, const kiln_args *args, int64_t tasks) {
  for (int64_t task = tasks; task-- > 0;) entry(args, task);
}

static void test_layer(const int64_t sizes[3], int64_t mc, int64_t nc, int64_t kc) {
  int64_t m = sizes[0], k = sizes[1], n = sizes[2], dims[layer_DIMS];
  float *x = generate(m * k), *w = generate(k * n), *b = generate(n), *r = generate(m * n), *y = generate(m * n);
  layer_bind(sizes, dims);
  if (mc > 0) dims[3] = mc, dims[4] = nc, dims[5] = kc, dims[6] = 1, dims[7] = 3;
  void *packed = allocate(layer_packed_bytes_w(sizes)), *pair[2] = {w, packed};
  kiln_args pack_args = {pair, sizes, NULL};
  run(layer_pack_w, &pack_args, layer_pack_w_tasks(&pack_args));
  void *buffers[layer_BUFFERS] = {x, packed, b, r, y};
  kiln_args args = {buffers, dims, NULL};
  void *workspace = allocate(layer_workspace(&args));
  args.workspace = workspace;
  run(layer, &args, layer_tasks(&args));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = b[j], size = fabs(b[j]) + fabs(r[i * n + j]);
      for (int64_t p = 0; p < k; ++p)
        sum += (double)x[i * k + p] * w[p * n + j], size += fabs(x[i * k + p] * w[p * n + j]);
      check("layer", y[i * n + j], fmax(sum, 0) + r[i * n + j], size * (double)(k + 4) * 6e-8);
    }
  free(x), free(w), free(b), free(r), free(y), free(packed), free(workspace);
}

static void test_plain(void) {
  enum { M = 13, N = 37, K = 50, LD = 64 };
  float *a = generate(M * LD), *b = generate(N * K), *c = generate(M * LD), *before = allocate(M * LD * 4);
  memcpy(before, c, M * LD * 4);
  int64_t dims[plain_DIMS + 1];
  void *buffers[plain_BUFFERS] = {a, b, c};
  kiln_args args = {buffers, dims, NULL};
  plain_bind(NULL, dims);
  void *workspace = allocate(plain_workspace(&args));
  args.workspace = workspace;
  run(plain, &args, plain_tasks(&args));
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < LD; ++j) {
      double sum = 0;
      for (int p = 0; p < K && j < N; ++p) sum += (double)a[i * LD + p] * b[j * K + p];
      check("plain", c[i * LD + j], j < N ? sum : before[i * LD + j], j < N ? 1e-5 : 0);
    }
  free(a), free(b), free(c), free(before), free(workspace);
}

static void test_rows(int64_t m, int64_t n) {
  const int64_t sizes[rows_SYMBOLS] = {m, n};
  float *x = generate(m * n), *y = generate(m * n);
  int64_t dims[rows_DIMS];
  void *buffers[rows_BUFFERS] = {x, y};
  kiln_args args = {buffers, dims, NULL};
  rows_bind(sizes, dims);
  void *workspace = allocate(rows_workspace(&args));
  args.workspace = workspace;
  run(rows, &args, rows_tasks(&args));
  for (int64_t i = 0; i < m; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += exp(x[i * n + j]);
    for (int64_t j = 0; j < n; ++j) check("rows", y[i * n + j], exp(x[i * n + j]) / sum, 1e-6);
  }
  free(x), free(y), free(workspace);
}

int main(void) {
  static const int64_t sizes[][3] = {{1, 1, 1},   {1, 64, 48}, {7, 3, 100},   {13, 33, 50},
                                     {48, 0, 49}, {31, 65, 1}, {64, 129, 97}, {0, 5, 5}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    test_layer(sizes[i], 0, 0, 0);
    test_layer(sizes[i], 1, 1, 16); /* the smallest blocks: many tasks, sums kept between visits */
    test_layer(sizes[i], 1000, 1000, 40);
  }
  test_plain();
  test_rows(1, 1);
  test_rows(5, 37);
  test_rows(3, 64);
  printf("%d faults\n", faults);
  return faults > 0;
}
