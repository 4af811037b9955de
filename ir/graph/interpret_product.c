/* interpret_product.c: MATMUL and GROUPED.
 *
 * One product costs up to three: the value, |A||B| for what rounding may do, and (|A| + dA)(|B| + dB) where operands
 * are uncertain. B is packed in panels of WIDTH columns, so that the inner loop has a fixed length (gcc vectorises it
 * at -O2) and reads memory in order: 0.9 G multiply-adds take about a second. */
#include <math.h>
#include <string.h>

#include "ir/graph/interpret.h"

enum { WIDTH = 16 };

/* One row-major m x k by k x n product. Bounds NULL: exact. */
typedef struct Product {
  int64_t m, n, k;
  const double *a, *a_bounds, *b, *b_bounds;
  Tensor *out;
  int64_t out_start;
  const Node *node;
} Product;

/* Memory for one panel and one row of each of the three sums. */
typedef struct Scratch {
  double *panels[3], *rows[3];
} Scratch;

enum { SUM_VALUE, SUM_MAGNITUDE, SUM_REACH };

/* Turns a value into a factor of sum `which`. */
static double factor(int which, double value, double bound) {
  if (which == SUM_VALUE) return value;
  return which == SUM_MAGNITUDE ? fabs(value) : fabs(value) + bound;
}

/* WIDTH columns of B from `column` on, row after row, 0 past the last. */
static void pack_panel(const Product *p, int64_t column, int which, double *panel) {
  for (int64_t i = 0; i < p->k; i++) {
    for (int64_t j = 0; j < WIDTH; j++) {
      int64_t from = i * p->n + column + j;
      bool is_inside = column + j < p->n;
      panel[i * WIDTH + j] = is_inside ? factor(which, p->b[from], p->b_bounds ? p->b_bounds[from] : 0) : 0;
    }
  }
}

static void pack_row(const Product *p, int64_t row, int which, double *factors) {
  for (int64_t i = 0; i < p->k; i++) {
    int64_t from = row * p->k + i;
    factors[i] = factor(which, p->a[from], p->a_bounds ? p->a_bounds[from] : 0);
  }
}

/* sums[j] = row . panel column j */
static void dot_panel(const double *restrict row, const double *restrict panel, int64_t k,
                      double sums[restrict WIDTH]) {
  for (int j = 0; j < WIDTH; j++) sums[j] = 0;
  for (int64_t i = 0; i < k; i++)
    for (int j = 0; j < WIDTH; j++) sums[j] += row[i] * panel[i * WIDTH + j];
}

/* Products and sums modulo 2^32, exactly. */
static void dot_integers(const double *row, const double *panel, int64_t k, double sums[WIDTH]) {
  uint32_t wrapping[WIDTH] = {0};
  for (int64_t i = 0; i < k; i++) {
    uint32_t a = (uint32_t)(int32_t)row[i];
    for (int j = 0; j < WIDTH; j++) wrapping[j] += a * (uint32_t)(int32_t)panel[i * WIDTH + j];
  }
  for (int j = 0; j < WIDTH; j++) sums[j] = approx_wrap(wrapping[j]);
}

/* `magnitude` is the sum of |a||b|, `reach` of (|a| + da)(|b| + db). */
static Approx product_of(const Product *p, const Arithmetic *arithmetic, double value, double magnitude, double reach) {
  bool is_exact = !p->a_bounds && !p->b_bounds;
  if (arithmetic->type == KILN_I32) {
    double bound = is_exact ? 0 : reach - magnitude;
    return (Approx){value, bound > 0 && reach >= 0x1p31 ? INFINITY : bound};
  }
  if (!isfinite(value)) return (Approx){value, is_exact ? 0 : INFINITY};
  if (reach == 0) return (Approx){value, 0};
  if (reach > arithmetic->largest) return (Approx){value, INFINITY};
  double error = arithmetic_gamma(arithmetic, (double)p->k + 1) * reach + (double)p->k * arithmetic->flushed;
  return (Approx){value, reach - magnitude + error};
}

/* All rows of A times one panel. Sums that were not computed equal those that were. */
static void multiply_panel(const Product *p, const Arithmetic *arithmetic, const Scratch *scratch, int64_t column) {
  bool is_integer = arithmetic->type == KILN_I32, is_exact = !p->a_bounds && !p->b_bounds;
  int sum_count = !is_exact ? 3 : is_integer ? 1 : 2;
  for (int s = 0; s < sum_count; s++) pack_panel(p, column, s, scratch->panels[s]);
  for (int64_t row = 0; row < p->m; row++) {
    double sums[3][WIDTH];
    for (int s = 0; s < sum_count; s++) {
      pack_row(p, row, s, scratch->rows[s]);
      if (s == SUM_VALUE && is_integer) dot_integers(scratch->rows[s], scratch->panels[s], p->k, sums[s]);
      else dot_panel(scratch->rows[s], scratch->panels[s], p->k, sums[s]);
    }
    if (sum_count < 3) memcpy(sums[SUM_REACH], sums[sum_count - 1], sizeof sums[SUM_REACH]);
    if (sum_count < 2) memcpy(sums[SUM_MAGNITUDE], sums[0], sizeof sums[SUM_MAGNITUDE]);
    for (int64_t j = 0; j < WIDTH && column + j < p->n; j++)
      run_store(p->node, arithmetic, p->out, p->out_start + row * p->n + column + j,
                product_of(p, arithmetic, sums[SUM_VALUE][j], sums[SUM_MAGNITUDE][j], sums[SUM_REACH][j]));
  }
}

static void multiply(const Product *p, const Scratch *scratch) {
  Arithmetic arithmetic = arithmetic_of(p->node->compute);
  for (int64_t column = 0; p->m > 0 && column < p->n; column += WIDTH) multiply_panel(p, &arithmetic, scratch, column);
}

static bool make_scratch(Run *run, int64_t k, Scratch *scratch) {
  for (int i = 0; i < 3; i++) {
    scratch->panels[i] = run_alloc(run, k * WIDTH);
    scratch->rows[i] = run_alloc(run, k);
  }
  return run->status == KILN_OK;
}

static void free_scratch(Run *run, Scratch *scratch) {
  for (int i = 0; i < 3; i++) {
    run_release(run, scratch->panels[i]);
    run_release(run, scratch->rows[i]);
  }
}

static const double *offset(const double *numbers, int64_t by) { return numbers ? numbers + by : NULL; }

/* ---- MATMUL ------------------------------------------------------------------------------------------------------ */

/* Batch axis `axis` of the result, for an operand: its stride in matrices, 0 where it is repeated. */
static int64_t batch_stride(const Tensor *x, int out_batch, int axis) {
  int own = axis - (out_batch - (x->rank - 2));
  if (x->rank <= 2 || own < 0 || x->dims[own] == 1) return 0;
  int64_t stride = 1;
  for (int i = own + 1; i < x->rank - 2; i++) stride *= x->dims[i];
  return stride;
}

/* An operand of one axis is a row on the left and a column on the right. */
void interpret_MATMUL(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  const Tensor *a = run_operand(run, node, 0), *b = run_operand(run, node, 1);
  Tensor *out = &run->tensors[number];
  Product p = {.m = a->rank > 1 ? a->dims[a->rank - 2] : 1,
               .n = b->rank > 1 ? b->dims[b->rank - 1] : 1,
               .k = a->dims[a->rank - 1],
               .out = out,
               .node = node};
  int batch = out->rank - (a->rank > 1) - (b->rank > 1);
  int64_t inner = batch > 1 ? out->dims[1] : 1, outer = batch > 0 ? out->dims[0] : 1;
  Scratch scratch = {0};
  if (make_scratch(run, p.k, &scratch)) {
    for (int64_t i = 0; i < outer * inner; i++) {
      int64_t place[2] = {i / inner, i % inner}, in_a = 0, in_b = 0;
      for (int axis = 0; axis < batch; axis++) {
        in_a += place[axis] * batch_stride(a, batch, axis);
        in_b += place[axis] * batch_stride(b, batch, axis);
      }
      p.a = a->values + in_a * p.m * p.k;
      p.a_bounds = offset(a->bounds, in_a * p.m * p.k);
      p.b = b->values + in_b * p.k * p.n;
      p.b_bounds = offset(b->bounds, in_b * p.k * p.n);
      p.out_start = i * p.m * p.n;
      multiply(&p, &scratch);
    }
  }
  free_scratch(run, &scratch);
}

/* ---- GROUPED ----------------------------------------------------------------------------------------------------- */

/* Offsets ascend from 0 on and end within the rows. */
static bool check_offsets(Run *run, int number, const Tensor *offsets, int64_t rows) {
  double last = 0;
  for (int64_t i = 0; i < offsets->count; i++) {
    double offset = offsets->values[i];
    if (offset >= last && offset <= (double)rows) {
      last = offset;
      continue;
    }
    run_fault(run, graph_node(run->graph, number),
              "'%s' has the offset %lld after %lld: offsets ascend up to the %lld rows",
              graph_phrase(run->graph, number).text, (long long)offset, (long long)last, (long long)rows);
    return false;
  }
  return true;
}

/* Rows of no group are exactly 0. */
static void clear_rows(const Product *p, int64_t first, int64_t last) {
  Arithmetic arithmetic = arithmetic_of(p->node->compute);
  for (int64_t i = first * p->n; i < last * p->n; i++) run_store(p->node, &arithmetic, p->out, i, (Approx){0, 0});
}

void interpret_GROUPED(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  const Tensor *x = run_operand(run, node, 0), *w = run_operand(run, node, 1), *offsets = run_operand(run, node, 2);
  if (!check_offsets(run, number, offsets, x->dims[0])) return;
  Product p = {.n = w->dims[2], .k = x->dims[1], .out = &run->tensors[number], .node = node};
  Scratch scratch = {0};
  if (make_scratch(run, p.k, &scratch)) {
    int64_t row = 0;
    for (int64_t group = 0; group < offsets->count; group++) {
      int64_t end = (int64_t)offsets->values[group];
      p.m = end - row;
      p.a = x->values + row * p.k;
      p.a_bounds = offset(x->bounds, row * p.k);
      p.b = w->values + group * p.k * p.n;
      p.b_bounds = offset(w->bounds, group * p.k * p.n);
      p.out_start = row * p.n;
      multiply(&p, &scratch);
      row = end;
    }
    clear_rows(&p, row, x->dims[0]);
    for (int64_t i = 0; offsets->bounds && i < p.out->count; i++) p.out->bounds[i] = INFINITY;
  }
  free_scratch(run, &scratch);
}
