/* test_graph_bounds.c: the bounds beside the interpreter's values: right f32 kernels of several makes stay within them,
 * and slightly wrong ones do not. */
#include "tests/unit/graph_fixture.h"

#include <float.h>
#include <math.h>

enum { COUNT = 4096 };

static void fill(double *values, int count, uint64_t seed, double low, double high) {
  Random random = {seed};
  for (int i = 0; i < count; i++) values[i] = (double)(float)random_real(&random, low, high);
}

/* How many of a kernel's results the interpreter refuses. */
static int refused(const GraphResult *result, const double *got) {
  int count = 0;
  for (int64_t i = 0; i < result->count; i++)
    if (!graph_accepts(result->values[i], result->bounds[i], got[i])) count++;
  return count;
}

static Outcome run(const char *text, const double *a, const double *b, const double *c) {
  Outcome outcome = outcome_of(text, NULL, (const double *[]){a, b, c});
  cr_assert_eq(outcome.status, KILN_OK);
  return outcome;
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

/* Plain f32 code, as a vector library would be, with cancellation where that is usual. */
static float plain_sigmoid(float x) { return 1 / (1 + expf(-x)); }
static float plain_gelu(float x) { return x * (1 + erff(x * 0.70710678f)) * 0.5f; }
static float plain_gelu_tanh(float x) { return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x))); }
static float plain_silu(float x) { return x * (0.5f + 0.5f * tanhf(0.5f * x)); }
static float plain_hardsigmoid(float x) { return fminf(fmaxf(fmaf(x, 1.0f / 6, 0.5f), 0), 1); }
static float plain_hardswish(float x) { return x * plain_hardsigmoid(x); }
static float plain_rsqrt(float x) { return 1 / sqrtf(x); }
static float plain_square(float x) { return x * x; }
static float plain_exp(float x) { return exp2f(x * 1.4426950408889634f) * (1 + 1e-7f * x); }

typedef struct Kernel {
  const char *expression;
  float (*eval)(float x);
  double low, high;
} Kernel;

static const Kernel kernels[] = {
    {"sqrt(x)", sqrtf, 0, 100},
    {"rsqrt(x)", plain_rsqrt, 1e-6, 100},
    {"exp(x)", expf, -87, 88},
    {"exp(x)", expf, -200, -80},
    {"exp(x)", plain_exp, -1, 1},
    {"log(x)", logf, 1e-30, 100},
    {"tanh(x)", tanhf, -12, 12},
    {"tanh(x)", tanhf, -1e-3, 1e-3},
    {"sigmoid(x)", plain_sigmoid, -80, 80},
    {"gelu(x)", plain_gelu, -12, 12},
    {"gelu_tanh(x)", plain_gelu_tanh, -12, 12},
    {"silu(x)", plain_silu, -30, 30},
    {"hardswish(x)", plain_hardswish, -4, 4},
    {"hardsigmoid(x)", plain_hardsigmoid, -4, 4},
    {"square(x)", plain_square, -4, 4},
};

Test(graph_bounds, admit_functions_in_f32_and_little_more) {
  static double x[COUNT], got[COUNT];
  for (size_t i = 0; i < ARRAY_LENGTH(kernels); i++) {
    const Kernel *kernel = &kernels[i];
    char text[100];
    snprintf(text, sizeof text, "x: f32[4096]; return %s", kernel->expression);
    fill(x, COUNT, i, kernel->low, kernel->high);
    Outcome outcome = run(text, x, NULL, NULL);
    for (int j = 0; j < COUNT; j++) got[j] = (double)kernel->eval((float)x[j]);
    cr_expect_eq(refused(&outcome.results[0], got), 0, "%s", kernel->expression);
    for (int j = 0; j < COUNT; j++)
      got[j] += 2e-5 * fabs(x[j]) + 2e-5 * fabs(got[j]) + (kernel->low < -100 ? 1e-30 : 0);
    cr_expect_gt(refused(&outcome.results[0], got), COUNT / 2, "%s accepts %d", kernel->expression,
                 COUNT - refused(&outcome.results[0], got));
    outcome_release(&outcome);
  }
}

/* Uncertain operands: the function anywhere in the interval, turning points included. */
Test(graph_bounds, carry_uncertainty_through_functions) {
  static double x[COUNT], e[COUNT], got[COUNT];
  fill(x, COUNT, 1, -5, 5);
  fill(e, COUNT, 2, -0.05, 0.05);
  static const char *const names[] = {"gelu", "gelu_tanh", "silu", "hardswish", "hardsigmoid",
                                      "tanh", "sigmoid",   "exp",  "square",    "abs"};
  static double terms[2 * COUNT]; /* sums that cancel: intervals of about 0.03 */
  for (int j = 0; j < COUNT; j++) terms[2 * j] = 1e5, terms[2 * j + 1] = x[j] - 1e5;
  for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
    char text[200];
    snprintf(text, sizeof text, "a: f32[4096, 2]; s = sum(a); return %s(s), s", names[i]);
    Outcome outcome = run(text, terms, NULL, NULL);
    cr_expect_gt(outcome.results[1].bounds[0], 0.01);
    snprintf(text, sizeof text, "x: f64[4096]; return %s(x)", names[i]);
    for (int side = -1; side <= 1; side++) {
      for (int j = 0; j < COUNT; j++)
        got[j] = outcome.results[1].values[j] + side * outcome.results[1].bounds[j] * fabs(e[j]) * 20;
      Outcome exact = run(text, got, NULL, NULL);
      cr_expect_eq(refused(&outcome.results[0], exact.results[0].values), 0, "%s", names[i]);
      outcome_release(&exact);
    }
    outcome_release(&outcome);
  }
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

Test(graph_bounds, admit_fused_and_reordered_arithmetic) {
  static double a[COUNT], b[COUNT], c[COUNT], got[3][COUNT];
  fill(a, COUNT, 1, -100, 100);
  fill(b, COUNT, 2, -100, 100);
  fill(c, COUNT, 3, -100, 100);
  Outcome outcome = run("a: f32[4096]; b: f32[4096]; c: f32[4096]; return a * b + c, a / b - c, (a + b) * c", a, b, c);
  for (int i = 0; i < COUNT; i++) {
    float x = (float)a[i], y = (float)b[i], z = (float)c[i];
    got[0][i] = (double)fmaf(x, y, z);
    got[1][i] = (double)(x * (1 / y) - z);
    got[2][i] = (double)((x + y) * z);
  }
  for (int i = 0; i < 3; i++) cr_expect_eq(refused(&outcome.results[i], got[i]), 0);
  for (int i = 0; i < COUNT; i++) {
    got[0][i] += fabs(a[i] * b[i]) * 4e-7;
    got[1][i] += fabs(a[i] / b[i]) * 8e-7 + fabs(c[i]) * 4e-7;
    got[2][i] *= 1 + 4e-7;
  }
  for (int i = 0; i < 3; i++) cr_expect_gt(refused(&outcome.results[i], got[i]), COUNT * 9 / 10);
  outcome_release(&outcome);
}

Test(graph_bounds, are_zero_where_exact_numbers_stay_exact) {
  static double a[COUNT], b[COUNT];
  for (int i = 0; i < COUNT; i++) a[i] = i % 37 - 18, b[i] = i % 23 - 11;
  Outcome outcome =
      run("a: f32[4096]; b: f32[4096]; return a * b + a, relu(a - b) * 0.5, max(a, b) / 4, where(a * b > a, a, b)", a,
          b, NULL);
  for (int r = 0; r < 4; r++)
    for (int i = 0; i < COUNT; i++) cr_assert_eq(outcome.results[r].bounds[i], 0, "result %d, element %d", r, i);
  outcome_release(&outcome);
  outcome = run("a: i8[4096]; b: i32[4096]; return a * b - a, neg(a) + sum(b), min(a, b), clamp(a, b, 7)", a, b, NULL);
  for (int r = 0; r < 4; r++)
    for (int i = 0; i < COUNT; i++) cr_assert_eq(outcome.results[r].bounds[i], 0, "result %d, element %d", r, i);
  outcome_release(&outcome);
}

Test(graph_bounds, open_comparisons_cover_both_arms) {
  /* 0.1 + 0.2 in f32 lies on either side of 0.3 */
  const double x[] = {(double)0.1f, 1}, y[] = {(double)0.2f, 1}, z[] = {(double)0.1f + (double)0.2f, 1};
  Outcome outcome =
      run("x: f32[2]; y: f32[2]; z: f64[2]; c = x + y < z; return where(c, 5, 1), c, where(x + y < 1, 5, 1)", x, y, z);
  cr_expect(graph_accepts(outcome.results[0].values[0], outcome.results[0].bounds[0], 1));
  cr_expect(graph_accepts(outcome.results[0].values[0], outcome.results[0].bounds[0], 5));
  cr_expect_eq(outcome.results[0].bounds[1], 0);
  cr_expect_eq(outcome.results[1].bounds[0], 1);
  cr_expect_eq(outcome.results[2].bounds[0], 0);
  outcome_release(&outcome);
}

Test(graph_bounds, are_infinite_where_anything_may_come_out) {
  const double big[] = {3e38, 1}, small[] = {1e-30, 1};
  Outcome outcome =
      run("x: f32[2]; y: f32[2]; return x + x, log(exp(y) - exp(0)), 1 / (exp(y) - exp(0)), x / y", big, small, NULL);
  for (int i = 0; i < 4; i++) {
    cr_expect(isinf(outcome.results[i].bounds[0]), "result %d: %g", i, outcome.results[i].bounds[0]);
    cr_expect(outcome.results[i].bounds[1] < 1e-5);
  }
  outcome_release(&outcome);
}

/* ---- rounding ---------------------------------------------------------------------------------------------------- */

Test(graph_bounds, know_rounding_from_truncation) {
  static double x[COUNT], got[COUNT];
  fill(x, COUNT, 1, -100, 100);
  static const kiln_type types[] = {KILN_F16, KILN_BF16, KILN_F8E4M3, KILN_F8E5M2, KILN_I8, KILN_I32};
  for (size_t t = 0; t < ARRAY_LENGTH(types); t++) {
    char text[100];
    snprintf(text, sizeof text, "x: f32[4096]; y: %s = x * 1.7; return y", kiln_type_name(types[t]));
    Outcome outcome = run(text, x, NULL, NULL);
    for (int i = 0; i < COUNT; i++) got[i] = type_round(types[t], (double)((float)x[i] * 1.7f));
    cr_expect_eq(refused(&outcome.results[0], got), 0, "%s", text);
    for (int i = 0; i < COUNT; i++)
      got[i] = type_round(types[t], (double)((float)x[i] * 1.7f) * (1 - type_round(types[t], 1) / 300));
    cr_expect_gt(refused(&outcome.results[0], got), 0, "%s", text);
    outcome_release(&outcome);
  }
}

Test(graph_bounds, admit_quantisation_by_a_reciprocal) {
  static double x[COUNT], got[COUNT];
  for (int i = 0; i < COUNT; i++) x[i] = (i - COUNT / 2) * 0.05; /* many ties */
  Outcome outcome = run("x: f32[4096]; y: i8 = quant(x, 0.1, 3); return y", x, NULL, NULL);
  float inverse = 1 / 0.1f;
  int wide = 0;
  for (int i = 0; i < COUNT; i++) {
    got[i] = fmin(fmax((double)rintf((float)x[i] * inverse) + 3, -128), 127);
    cr_expect(outcome.results[0].bounds[i] == 0 || outcome.results[0].bounds[i] == 1);
    wide += outcome.results[0].bounds[i] > 0;
  }
  cr_expect_eq(refused(&outcome.results[0], got), 0);
  cr_expect(wide > 0 && wide < 300);
  outcome_release(&outcome);
}

Test(graph_bounds, admit_both_ways_to_apply_a_zero) {
  static double q[COUNT], got[COUNT];
  for (int i = 0; i < COUNT; i++) q[i] = i % 256;
  const double scale[] = {(double)0.0123f}, zero[] = {(double)117.3f};
  Outcome outcome = run("q: u8[4096]; s: f32[]; z: f32[]; return dequant(q, s, z)", q, scale, zero);
  float s = (float)scale[0], z = (float)zero[0];
  for (int i = 0; i < COUNT; i++) got[i] = (double)(((float)q[i] - z) * s);
  cr_expect_eq(refused(&outcome.results[0], got), 0);
  for (int i = 0; i < COUNT; i++) got[i] = (double)((float)q[i] * s - z * s);
  cr_expect_eq(refused(&outcome.results[0], got), 0);
  for (int i = 0; i < COUNT; i++) got[i] = (double)(((float)q[i] - z) * s) + 3e-6;
  cr_expect_gt(refused(&outcome.results[0], got), COUNT / 2);
  outcome_release(&outcome);
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

enum { M = 7, K = 300, COLUMNS = 21 };

typedef enum Order { FORWARD, BACKWARD, FUSED, IN_LANES, DROPS_ONE, IN_HALF } Order;

static float multiply_add(float sum, float a, float b, Order order) {
  if (order == FUSED || order == IN_LANES) return fmaf(a, b, sum);
  float result = sum + a * b;
  return order == IN_HALF ? (float)type_round(KILN_BF16, (double)result) : result;
}

static float dot(const double *a, const double *b, Order order) {
  float lanes[8] = {0};
  for (int i = 0; i < K - (order == DROPS_ONE); i++) {
    int p = order == BACKWARD ? K - 1 - i : i;
    int lane = order == IN_LANES ? p % 8 : 0;
    lanes[lane] = multiply_add(lanes[lane], (float)a[p], (float)b[p * COLUMNS], order);
  }
  for (int i = 1; i < 8; i++) lanes[0] += lanes[i];
  return lanes[0];
}

static void product(const double *a, const double *b, Order order, double *c) {
  for (int i = 0; i < M; i++)
    for (int j = 0; j < COLUMNS; j++) c[i * COLUMNS + j] = (double)dot(a + i * K, b + j, order);
}

Test(graph_bounds, admit_products_in_any_order) {
  static double a[M * K], b[K * COLUMNS], c[M * COLUMNS];
  fill(a, M * K, 1, -1, 1);
  fill(b, K * COLUMNS, 2, -1, 1);
  Outcome outcome = run("a: f32[7, 300]; b: f32[300, 21]; return a @ b", a, b, NULL);
  for (Order order = FORWARD; order <= IN_LANES; order++) {
    product(a, b, order, c);
    cr_expect_eq(refused(&outcome.results[0], c), 0, "order %d", (int)order);
  }
  product(a, b, DROPS_ONE, c);
  cr_expect_gt(refused(&outcome.results[0], c), M * COLUMNS * 9 / 10);
  product(a, b, IN_HALF, c);
  cr_expect_gt(refused(&outcome.results[0], c), M * COLUMNS * 9 / 10);
  for (int i = 0; i < M * COLUMNS; i++) cr_expect_lt(outcome.results[0].bounds[i], 300 * 300 * 0x1p-24 * 0.5);
  outcome_release(&outcome);
}

Test(graph_bounds, admit_layers_and_tell_their_functions_apart) {
  static double a[M * K], b[K * COLUMNS], bias[COLUMNS], c[M * COLUMNS], gelu[M * COLUMNS];
  fill(a, M * K, 1, -1, 1);
  fill(b, K * COLUMNS, 2, -0.2, 0.2);
  fill(bias, COLUMNS, 3, -1, 1);
  Outcome outcome = run("a: f32[7, 300]; b: f32[300, 21]; c: f32[21]; y: f32 = gelu(a @ b + c); return y", a, b, bias);
  product(a, b, IN_LANES, c);
  for (int i = 0; i < M * COLUMNS; i++) gelu[i] = (double)plain_gelu((float)c[i] + (float)bias[i % COLUMNS]);
  cr_expect_eq(refused(&outcome.results[0], gelu), 0);
  for (int i = 0; i < M * COLUMNS; i++) gelu[i] = (double)plain_gelu_tanh((float)c[i] + (float)bias[i % COLUMNS]);
  cr_expect_gt(refused(&outcome.results[0], gelu), M * COLUMNS / 4);
  for (int i = 0; i < M * COLUMNS; i++) gelu[i] = (double)plain_gelu((float)c[i]);
  cr_expect_gt(refused(&outcome.results[0], gelu), M * COLUMNS / 2);
  outcome_release(&outcome);
}

Test(graph_bounds, carry_rounded_operands_through_products) {
  static double a[M * K], b[K * COLUMNS], half[M * K], c[M * COLUMNS];
  fill(a, M * K, 1, -1, 1);
  fill(b, K * COLUMNS, 2, -1, 1);
  Outcome outcome = run("a: f32[7, 300]; b: f32[300, 21]; h: bf16 = a * 1.1; return h @ b", a, b, NULL);
  for (int i = 0; i < M * K; i++) half[i] = type_round(KILN_BF16, (double)((float)a[i] * 1.1f));
  product(half, b, FORWARD, c);
  cr_expect_eq(refused(&outcome.results[0], c), 0);
  for (int i = 0; i < M * K; i++) half[i] = (double)((float)a[i] * 1.1f);
  product(half, b, FORWARD, c);
  cr_expect_gt(refused(&outcome.results[0], c), M * COLUMNS / 2);
  outcome_release(&outcome);
}

Test(graph_bounds, keep_integer_products_exact) {
  static double a[M * K], b[K * COLUMNS];
  Random random = {5};
  for (int i = 0; i < M * K; i++) a[i] = random_bits(&random) % 256;
  for (int i = 0; i < K * COLUMNS; i++) b[i] = (int)(random_bits(&random) % 256) - 128;
  Outcome outcome = run("a: u8[7, 300]; b: i8[300, 21]; return a @ b, sum(a)", a, b, NULL);
  for (int i = 0; i < M * COLUMNS; i++) {
    double sum = 0;
    for (int p = 0; p < K; p++) sum += a[i / COLUMNS * K + p] * b[p * COLUMNS + i % COLUMNS];
    cr_expect(outcome.results[0].values[i] == sum && outcome.results[0].bounds[i] == 0);
  }
  outcome_release(&outcome);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

enum { ROWS = 16, WIDTH = 256 };

/* In blocks with a running maximum, as flash attention does. */
static void online_softmax(const double *x, float *y) {
  const float c = 1.4426950408889634f;
  float most = -INFINITY, sum = 0;
  for (int block = 0; block < WIDTH; block += 16) {
    float next = most;
    for (int i = 0; i < 16; i++) next = fmaxf(next, (float)x[block + i]);
    float rescale = expf(most - next);
    sum *= rescale;
    for (int i = 0; i < block; i++) y[i] *= rescale;
    for (int i = 0; i < 16; i++) sum += y[block + i] = exp2f(fmaf((float)x[block + i], c, -(next * c)));
    most = next;
  }
  for (int i = 0; i < WIDTH; i++) y[i] *= 1 / sum;
}

static void norm(const double *x, bool centre, float eps, float *y) {
  float mean = 0, square = 0;
  for (int i = 0; centre && i < WIDTH; i++) mean += (float)x[i];
  mean /= (float)WIDTH;
  for (int i = 0; i < WIDTH; i++) square += ((float)x[i] - mean) * ((float)x[i] - mean);
  float scale = 1 / sqrtf(square / (float)WIDTH + eps);
  for (int i = 0; i < WIDTH; i++) y[i] = ((float)x[i] - mean) * scale;
}

Test(graph_bounds, admit_softmax_and_norms) {
  static double x[ROWS * WIDTH], got[3][ROWS * WIDTH];
  float y[WIDTH];
  fill(x, ROWS * WIDTH, 7, -4, 12);
  Outcome outcome = run("x: f32[16, 256]; return softmax(x), rms_norm(x, 1e-5), layer_norm(x, 1e-5)", x, NULL, NULL);
  for (int row = 0; row < ROWS; row++) {
    const double *from = x + row * WIDTH;
    online_softmax(from, y);
    for (int i = 0; i < WIDTH; i++) got[0][row * WIDTH + i] = (double)y[i];
    norm(from, false, 1e-5f, y);
    for (int i = 0; i < WIDTH; i++) got[1][row * WIDTH + i] = (double)y[i];
    norm(from, true, 1e-5f, y);
    for (int i = 0; i < WIDTH; i++) got[2][row * WIDTH + i] = (double)y[i];
  }
  for (int r = 0; r < 3; r++) {
    cr_expect_eq(refused(&outcome.results[r], got[r]), 0, "result %d", r);
    for (int i = 0; i < ROWS * WIDTH; i++) got[r][i] *= 1.0001;
    cr_expect_gt(refused(&outcome.results[r], got[r]), ROWS * WIDTH * 3 / 4, "result %d", r);
  }
  outcome_release(&outcome);
}

Test(graph_bounds, stay_useful_through_attention) {
  static double q[16 * 64], k[64 * 64], v[64 * 64];
  fill(q, 16 * 64, 1, -1, 1);
  fill(k, 64 * 64, 2, -1, 1);
  fill(v, 64 * 64, 3, -1, 1);
  Outcome outcome =
      run("q: f32[16, 64]; k: f32[64, 64]; v: f32[64, 64]; y: f32 = softmax(causal(q @ k.T * 0.125)) @ v; return y", q,
          k, v);
  double widest = 0;
  for (int i = 0; i < 16 * 64; i++) widest = fmax(widest, outcome.results[0].bounds[i]);
  cr_expect_lt(widest, 5e-5, "%g", widest);
  outcome_release(&outcome);
}

/* ---- the whole table --------------------------------------------------------------------------------------------- */

/* No bound is ever NaN or negative, whatever goes in. */
Test(graph_bounds, are_never_nan) {
  static const double odd[] = {0, -0.0, 1, -1, 1e-45, -1e-40, 1e38, -3e38, INFINITY, -INFINITY, NAN, 0.5};
  static double a[144], b[144];
  for (int i = 0; i < 144; i++) a[i] = odd[i / 12], b[i] = odd[i % 12];
  static const char *const expressions[] = {"a + b",
                                            "a - b",
                                            "a * b",
                                            "a / b",
                                            "min(a, b)",
                                            "max(a, b)",
                                            "leaky_relu(a, b)",
                                            "clamp(a, b, 1)",
                                            "where(a < b, a, b)",
                                            "a @ b",
                                            "softmax(a + b)",
                                            "rms_norm(a, 1e-5)",
                                            "layer_norm(a, 0)",
                                            "sum(a)",
                                            "mean(a)",
                                            "max(a)",
                                            "causal(a)"};
  for (int op = 0; op < KILN_OP_COUNT; op++) {
    const GraphOpInfo *info = graph_op_info((kiln_op)op);
    if (info->form != FORM_FUNCTION && info->form != FORM_UNARY) continue;
    for (size_t e = 0; e < ARRAY_LENGTH(expressions); e++) {
      char text[200];
      snprintf(text, sizeof text,
               "a: f32[12, 12]; b: f32[12, 12]; t = where(%s > b, a * 3, %s * 3); y: f16 = %s(t); return y, %s(t * "
               "0.1), sum(b)",
               expressions[e], expressions[e], info->spelling, info->spelling);
      Outcome outcome = run(text, a, b, NULL);
      for (int r = 0; r < 2; r++)
        for (int64_t i = 0; i < outcome.results[r].count; i++) cr_assert(outcome.results[r].bounds[i] >= 0, "%s", text);
      outcome_release(&outcome);
    }
  }
}
