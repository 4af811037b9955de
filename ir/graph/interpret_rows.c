/* interpret_rows.c: REDUCE, ROWWISE and MASK, which look at whole rows of the last axis. */
#include <math.h>

#include "ir/graph/interpret.h"

/* One row of the operand, and where its results go. */
typedef struct Row {
  const Run *run;
  const Node *node;
  const Arithmetic *arithmetic;
  Tensor *out;
  int64_t start, count; /* in the operand */
} Row;

static Approx get(const Row *row, int64_t index) { return run_get(row->run, row->node, 0, row->start + index); }

/* ---- reductions -------------------------------------------------------------------------------------------------- */

/* Modulo 2^32; a bound that might cross the wrap says nothing. */
static Approx sum_integers(const Row *row) {
  int64_t sum = 0;
  double bound = 0, reach = 0;
  for (int64_t i = 0; i < row->count; i++) {
    Approx x = get(row, i);
    sum += (int64_t)x.value;
    bound += x.bound;
    reach += fabs(x.value) + x.bound;
  }
  return (Approx){approx_wrap(sum), bound > 0 && reach >= 0x1p31 ? INFINITY : bound};
}

/* Any order of additions; an infinity or NaN among exact values stays. */
static Approx sum_floats(const Row *row) {
  double sum = 0, bound = 0, reach = 0;
  bool is_special = false;
  for (int64_t i = 0; i < row->count; i++) {
    Approx x = get(row, i);
    if (!isfinite(x.value)) is_special = true;
    sum += x.value;
    bound += x.bound;
    reach += fabs(x.value) + x.bound;
  }
  if (!isfinite(sum)) return (Approx){sum, is_special && isfinite(bound) ? 0 : INFINITY};
  if (reach > row->arithmetic->largest) return (Approx){sum, INFINITY};
  return (Approx){sum, bound + arithmetic_gamma(row->arithmetic, (double)row->count) * reach};
}

static Approx reduce_SUM(const Row *row) {
  return row->arithmetic->type == KILN_I32 ? sum_integers(row) : sum_floats(row);
}

/* A sum, and a division or a product with 1/n. */
static Approx reduce_MEAN(const Row *row) {
  Approx sum = sum_floats(row);
  double count = (double)row->count, value = sum.value / count;
  if (!isfinite(value)) return (Approx){value, isinf(sum.bound) ? INFINITY : 0};
  return (Approx){value, sum.bound / count + 2 * row->arithmetic->unit * (fabs(value) + sum.bound / count)};
}

/* Exact up to the operands: the maximum of all that each may be, and the least it can be. */
static Approx reduce_ROW_MAX(const Row *row) {
  double least = row->arithmetic->type == KILN_I32 ? INT32_MIN : -INFINITY;
  double value = least, low = least, high = least;
  bool is_nan = false, is_open = false;
  for (int64_t i = 0; i < row->count; i++) {
    Approx x = get(row, i);
    is_nan |= isnan(x.value);
    is_open |= isinf(x.bound);
    value = fmax(value, x.value);
    low = fmax(low, x.value - x.bound);
    high = fmax(high, x.value + x.bound);
  }
  if (is_nan || is_open) return (Approx){is_nan ? NAN : value, is_open ? INFINITY : 0};
  return (Approx){value, fmax(approx_distance(high, value), approx_distance(value, low))};
}

/* Calls `body` for each row of operand 0. */
static void for_rows(Run *run, int number, void (*body)(const Row *row, int64_t index)) {
  const Node *node = graph_node(run->graph, number);
  const Tensor *x = run_operand(run, node, 0);
  Arithmetic arithmetic = arithmetic_of(node->compute);
  int64_t columns = tensor_columns(x), rows = 1;
  for (int i = 0; i < x->rank - 1; i++) rows *= x->dims[i];
  Row row = {run, node, &arithmetic, &run->tensors[number], 0, columns};
  for (int64_t i = 0; i < rows; i++) {
    row.start = i * columns;
    body(&row, i);
  }
}

static void reduce_row(const Row *row, int64_t index) {
  Approx result = row->node->op == KILN_OP_SUM    ? reduce_SUM(row)
                  : row->node->op == KILN_OP_MEAN ? reduce_MEAN(row)
                                                  : reduce_ROW_MAX(row);
  run_store(row->node, row->arithmetic, row->out, index, result);
}

void interpret_REDUCE(Run *run, int number) { for_rows(run, number, reduce_row); }

/* ---- softmax ----------------------------------------------------------------------------------------------------- */

/* How far the exponent of one term may be off: what x carries, the subtraction, the function with its rescaling, and a
 * maximum that was scaled to powers of 2 before the subtraction. */
static double exponent_error(const Row *row, Approx x, double most) {
  return x.bound + row->arithmetic->unit * (32 + 4 * fabs(x.value - most) + 2 * fabs(most));
}

/* y_i = e_i / sum(e), each e_j within exp(-w_j) … exp(w_j) of its value. */
static void softmax_row(const Row *row, int64_t index) {
  (void)index;
  Approx most = reduce_ROW_MAX(row);
  double sum = 0, low = 0, high = 0;
  for (int64_t i = 0; i < row->count; i++) {
    Approx x = get(row, i);
    double term = exp(x.value - most.value);
    sum += term;
    if (term == 0 && x.bound == 0) continue; /* masked */
    double error = exponent_error(row, x, most.value);
    low += term * exp(-error);
    high += term * exp(error);
  }
  for (int64_t i = 0; i < row->count; i++) {
    Approx x = get(row, i), y = {exp(x.value - most.value) / sum, 0};
    double error = exponent_error(row, x, most.value);
    if (isnan(y.value)) y.bound = isinf(most.bound) ? INFINITY : 0;
    else if (y.value > 0 || x.bound > 0)
      y.bound = fmax(y.value * sum / low * exp(error) - y.value, y.value - y.value * sum / high * exp(-error)) +
                (double)(row->count + 8) * row->arithmetic->unit * y.value + row->arithmetic->flushed;
    run_store(row->node, row->arithmetic, row->out, row->start + i, y);
  }
}

/* ---- norms ------------------------------------------------------------------------------------------------------- */

/* 1 / sqrt(mean of squares + eps), and between what it may lie. */
typedef struct Scale {
  double value, low, high;
} Scale;

/* Of the row less `mean`, which is {0, 0} for rms_norm. */
static Approx centred(const Row *row, int64_t index, Approx mean) {
  Approx x = get(row, index);
  if (mean.value == 0 && mean.bound == 0) return x;
  double value = x.value - mean.value, spread = x.bound + mean.bound;
  return (Approx){value, spread + row->arithmetic->unit * (fabs(value) + spread)};
}

static Scale scale_of(const Row *row, Approx mean, Approx eps) {
  double sum = 0, low = 0, high = 0, count = (double)row->count;
  for (int64_t i = 0; i < row->count; i++) {
    Approx x = centred(row, i, mean);
    double inner = fmax(fabs(x.value) - x.bound, 0), outer = fabs(x.value) + x.bound;
    sum += x.value * x.value;
    low += inner * inner;
    high += outer * outer;
  }
  double gamma = arithmetic_gamma(row->arithmetic, count + 8);
  low = (low / count + eps.value - eps.bound) * (1 - gamma);
  high = (high / count + eps.value + eps.bound) * (1 + gamma);
  return (Scale){1 / sqrt(sum / count + eps.value), 1 / sqrt(high), low > 0 ? 1 / sqrt(low) : INFINITY};
}

/* y = x scale, where both are uncertain. */
static void norm_row(const Row *row, Approx mean) {
  Scale scale = scale_of(row, mean, run_get(row->run, row->node, 1, 0));
  for (int64_t i = 0; i < row->count; i++) {
    Approx x = centred(row, i, mean);
    Approx y = {x.value * scale.value, INFINITY};
    if (isfinite(y.value) && isfinite(scale.high)) {
      double spread = x.bound * scale.high + fabs(x.value) * (scale.high - scale.low);
      y.bound = spread + 20 * row->arithmetic->unit * (fabs(y.value) + spread);
      if (y.bound > 0) y.bound += row->arithmetic->flushed;
    }
    run_store(row->node, row->arithmetic, row->out, row->start + i, y);
  }
}

static void rms_norm_row(const Row *row, int64_t index) {
  (void)index;
  norm_row(row, (Approx){0, 0});
}

static void layer_norm_row(const Row *row, int64_t index) {
  (void)index;
  norm_row(row, reduce_MEAN(row));
}

void interpret_ROWWISE(Run *run, int number) {
  kiln_op op = graph_node(run->graph, number)->op;
  for_rows(run, number, op == KILN_OP_SOFTMAX ? softmax_row : op == KILN_OP_RMS_NORM ? rms_norm_row : layer_norm_row);
}

/* ---- masks ------------------------------------------------------------------------------------------------------- */

/* The diagonal ends in the last row and column: row i of r sees columns up to i + (c - r). */
static void causal_row(const Row *row, int64_t index) {
  const Tensor *x = run_operand(row->run, row->node, 0);
  int64_t rows = x->dims[x->rank - 2], last = index % rows + row->count - rows;
  for (int64_t i = 0; i < row->count; i++)
    run_store(row->node, row->arithmetic, row->out, row->start + i, i > last ? (Approx){-INFINITY, 0} : get(row, i));
}

void interpret_MASK(Run *run, int number) { for_rows(run, number, causal_row); }
