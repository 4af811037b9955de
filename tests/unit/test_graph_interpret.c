/* test_graph_interpret.c: what every operator and type gives, on numbers small enough to check by hand. */
#include "tests/unit/graph_fixture.h"

#include <math.h>

#define N(...) ((double[]){__VA_ARGS__})
#define INPUTS(...) ((const double *[]){__VA_ARGS__})

/* A graph with one result, up to three inputs and symbols, and what it gives. */
typedef struct Case {
  const char *text;
  const double *inputs[3];
  const double *wanted;
  int64_t symbols[4];
} Case;

static void expect_results(const Case *c) {
  Outcome outcome = outcome_of(c->text, c->symbols, c->inputs);
  cr_assert_eq(outcome.status, KILN_OK, "%s", c->text);
  const GraphResult *result = &outcome.results[0];
  for (int64_t i = 0; i < result->count; i++) {
    double close = 1e-12 * fabs(c->wanted[i]);
    cr_expect(graph_accepts(result->values[i], close, c->wanted[i]), "%s: element %d is %.17g, wanted %.17g", c->text,
              (int)i, result->values[i], c->wanted[i]);
    cr_expect(result->bounds[i] >= 0, "%s: bound %g", c->text, result->bounds[i]);
  }
  outcome_release(&outcome);
}

#define X4 "x: f32[4]; return "
static const double values4[] = {-2, -0.5, 0, 3};

static const Case operators[] = {
    {"x: f32[2, 3]; w: f32[3, 2]; return x @ w", {N(1, 2, 3, 4, 5, 6), N(1, 2, 3, 4, 5, 6)}, N(22, 28, 49, 64), {0}},
    {"x: f32[2, 3]; return x.T", {N(1, 2, 3, 4, 5, 6)}, N(1, 4, 2, 5, 3, 6), {0}},
    {"x: f32[2]; y: f32[2]; return x + y", {N(1, 2), N(10, 20)}, N(11, 22), {0}},
    {"x: f32[2]; y: f32[2]; return x - y", {N(1, 2), N(10, 20)}, N(-9, -18), {0}},
    {"x: f32[2]; y: f32[2]; return x * y", {N(1, 2), N(10, 20)}, N(10, 40), {0}},
    {"x: f32[2]; y: f32[2]; return x / y", {N(1, 2), N(10, 16)}, N(0.1, 0.125), {0}},
    {X4 "where(x < 0, 1, 0)", {values4}, N(1, 1, 0, 0), {0}},
    {X4 "where(x <= 0, 1, 0)", {values4}, N(1, 1, 1, 0), {0}},
    {X4 "where(x > 0, 1, 0)", {values4}, N(0, 0, 0, 1), {0}},
    {X4 "where(x >= 0, 1, 0)", {values4}, N(0, 0, 1, 1), {0}},
    {X4 "where(x == 0, 1, 0)", {values4}, N(0, 0, 1, 0), {0}},
    {X4 "x != 0", {values4}, N(1, 1, 0, 1), {0}},
    {X4 "min(x, 0)", {values4}, N(-2, -0.5, 0, 0), {0}},
    {X4 "max(x, 0)", {values4}, N(0, 0, 0, 3), {0}},
    {X4 "where(x > 0, x, 7)", {values4}, N(7, 7, 7, 3), {0}},
    {X4 "neg(x)", {values4}, N(2, 0.5, 0, -3), {0}},
    {X4 "abs(x)", {values4}, N(2, 0.5, 0, 3), {0}},
    {X4 "square(x)", {values4}, N(4, 0.25, 0, 9), {0}},
    {X4 "sqrt(x)", {N(0, 1, 2, 4)}, N(0, 1, 1.4142135623730951, 2), {0}},
    {X4 "rsqrt(x)", {N(0, 1, 2, 4)}, N(INFINITY, 1, 0.70710678118654757, 0.5), {0}},
    {X4 "exp(x)", {values4}, N(0.1353352832366127, 0.6065306597126334, 1, 20.085536923187668), {0}},
    {X4 "log(x)", {N(0, 1, 2, -1)}, N(-INFINITY, 0, 0.6931471805599453, NAN), {0}},
    {X4 "tanh(x)", {values4}, N(-0.9640275800758169, -0.46211715726000975, 0, 0.99505475368673045), {0}},
    {X4 "sigmoid(x)", {values4}, N(0.11920292202211755, 0.37754066879814541, 0.5, 0.95257412682243336), {0}},
    {X4 "relu(x)", {values4}, N(0, 0, 0, 3), {0}},
    {X4 "leaky_relu(x, 0.5)", {values4}, N(-1, -0.25, 0, 3), {0}},
    {X4 "clamp(x, -1, 2)", {values4}, N(-1, -0.5, 0, 2), {0}},
    {X4 "gelu(x)", {values4}, N(-0.045500263896358417, -0.15426876936299344, 0, 2.9959503059051101), {0}},
    {X4 "gelu_tanh(x)", {values4}, N(-0.04540230591222494, -0.15428599017485606, 0, 2.996362607918227), {0}},
    {X4 "silu(x)", {values4}, N(-0.23840584404423509, -0.18877033439907270, 0, 2.8577223804673001), {0}},
    {X4 "hardswish(x)", {values4}, N(-1.0 / 3, -1.25 / 6, 0, 3), {0}},
    {X4 "hardsigmoid(x)", {values4}, N(1.0 / 6, 2.5 / 6, 0.5, 1), {0}},
    {"q: i8[2, 2]; return dequant(q, 0.5)", {N(-128, 3, 4, 127)}, N(-64, 1.5, 2, 63.5), {0}},
    {"q: u8[2, 2]; s: f32[2]; return dequant(q, s, 128)", {N(0, 128, 129, 255), N(2, 4)}, N(-256, 0, 2, 508), {0}},
    {"q: u4[2, 2]; s: f32[2, 1]; z: u8[2, 1]; return dequant(q, s, z)",
     {N(0, 15, 8, 9), N(1, 2), N(8, 7)},
     N(-8, 7, 2, 4),
     {0}},
    {"q: i4[k, 2]; s: f32[g, 2]; return dequant(q, s)",
     {N(1, 2, 3, 4, 5, 6, 7, -8), N(1, 10, 100, 1000)},
     N(1, 20, 3, 40, 500, 6000, 700, -8000),
     {4, 2}},
    {"q: i8[2, 4, 1]; s: f32[2, 2, 1]; return dequant(q, s)",
     {N(1, 1, 1, 1, 1, 1, 1, 1), N(1, 2, 3, 4)},
     N(1, 1, 2, 2, 3, 3, 4, 4),
     {0}},
    {"q: f8e4m3[2]; s: f64[]; return dequant(q, s)", {N(448, -0.5), N(2)}, N(896, -1), {0}},
    {"x: f32[6]; y: i8 = quant(x, 2); return y", {N(1, 3, -1, 5, 1000, -1000)}, N(0, 2, 0, 2, 127, -128), {0}},
    {"x: f32[3]; y: u8 = quant(x, 2, 128); return y", {N(-1000, 1, NAN)}, N(0, 128, 0), {0}},
    {"x: f32[4, 1]; s: f32[2, 1]; y: i8 = quant(x, s); return y", {N(1, 2, 3, 4), N(1, 0.5)}, N(1, 2, 6, 8), {0}},
    {"x: f32[4]; y: f8e4m3 = quant(x, 0.5); return y", {N(1, 1000, -INFINITY, 0.53)}, N(2, 448, -448, 1.0), {0}},
    {"x: i32[3]; s: f32[3]; y: u4 = quant(x, s, 8); z: i32 = y * 1; return z",
     {N(100, -3, 7), N(100, 1, 2)},
     N(9, 5, 12),
     {0}},
    {"x: f32[2, 2]; return sum(x)", {N(1, 2, 3, 4)}, N(3, 7), {0}},
    {"x: f32[2, 2]; return max(x)", {N(1, 2, 3, -4)}, N(2, 3), {0}},
    {"x: f32[2, 2]; return mean(x)", {N(1, 2, 3, 4)}, N(1.5, 3.5), {0}},
    {"x: f32[1, 3]; return softmax(x)", {N(0, -INFINITY, 0)}, N(0.5, 0, 0.5), {0}},
    {"x: f32[3]; return softmax(x)",
     {N(1000, 999, 998)},
     N(0.6652409557748218, 0.24472847105479764, 0.09003057317038046),
     {0}},
    {"x: f32[2]; return rms_norm(x, 3.5)", {N(1, 4)}, N(1 / sqrt(12), 4 / sqrt(12)), {0}},
    {"x: f32[2]; return layer_norm(x, 1.75)", {N(1, 4)}, N(-0.75, 0.75), {0}},
    {"x: f32[2, 3]; return causal(x)", {N(1, 2, 3, 4, 5, 6)}, N(1, 2, -INFINITY, 4, 5, 6), {0}},
    {"x: f32[3, 2]; return causal(x)", {N(1, 2, 3, 4, 5, 6)}, N(-INFINITY, -INFINITY, 3, -INFINITY, 5, 6), {0}},
    {"x: f32[3, 2]; i: i32[4]; return gather(x, i)",
     {N(1, 2, 3, 4, 5, 6), N(2, 0, 0, 1)},
     N(5, 6, 1, 2, 1, 2, 3, 4),
     {0}},
    {"x: f32[4, 1]; w: f32[3, 1, 2]; o: i32[3]; return grouped_matmul(x, w, o)",
     {N(1, 2, 3, 4), N(1, 10, 2, 20, 3, 30), N(2, 2, 3)},
     N(1, 10, 2, 20, 9, 90, 0, 0),
     {0}},
};

Test(graph_interpret, computes_every_operator) {
  for (size_t i = 0; i < ARRAY_LENGTH(operators); i++) expect_results(&operators[i]);
}

/* Every row of ops.def is in the table above, or is the input or number of every row of it. */
Test(graph_interpret, has_a_case_for_every_operator) {
  bool seen[KILN_OP_COUNT] = {false};
  for (size_t i = 0; i < ARRAY_LENGTH(operators); i++) {
    kiln_graph *graph = parse_valid(operators[i].text);
    for (int n = 0; n < (int)graph->nodes.count; n++) seen[graph_node(graph, n)->op] = true;
    kiln_graph_destroy(graph);
  }
  for (int op = 0; op < KILN_OP_COUNT; op++)
    cr_expect(seen[op], "'%s' has no case", graph_op_info((kiln_op)op)->spelling);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static const Case shapes[] = {
    {"x: f32[2, 1]; y: f32[3]; return x + y", {N(10, 20), N(1, 2, 3)}, N(11, 12, 13, 21, 22, 23), {0}},
    {"x: f32[2, 1, 2, 1]; y: f32[2, 1, 2]; return x - y",
     {N(10, 20, 30, 40), N(1, 2, 3, 4)},
     N(9, 8, 19, 18, 7, 6, 17, 16, 29, 28, 39, 38, 27, 26, 37, 36),
     {0}},
    {"x: f32[3]; w: f32[3, 2]; return x @ w", {N(1, 2, 3), N(1, 2, 3, 4, 5, 6)}, N(22, 28), {0}},
    {"w: f32[2, 3]; x: f32[3]; return w @ x", {N(1, 2, 3, 4, 5, 6), N(1, 2, 3)}, N(14, 32), {0}},
    {"x: f32[3]; return x @ x", {N(1, 2, 3)}, N(14), {0}},
    {"x: f32[2, 1, 2]; w: f32[2, 2]; return x @ w", {N(1, 2, 3, 4), N(1, 2, 3, 4)}, N(7, 10, 15, 22), {0}},
    {"x: f32[1, 2, 1, 1]; w: f32[2, 1, 1, 1]; return x @ w", {N(1, 2), N(3, 4)}, N(3, 6, 4, 8), {0}},
    {"x: f32[2, 2, 1, 1]; w: f32[2, 1, 2]; return x @ w",
     {N(1, 2, 3, 4), N(1, 10, 2, 20)},
     N(1, 10, 4, 40, 3, 30, 8, 80),
     {0}},
    {"x: f32[2, 2, 3]; return x.T",
     {N(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)},
     N(1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12),
     {0}},
    {"x: f32[m, k]; w: f32[k, n]; return x @ w", {N(1, 2, 3, 4), N(1, 1)}, N(3, 7), {2, 2, 1}},
    {"x: f32[m, k] strides [1, ld]; return x * 1", {N(1, 2, 3, 4, 5, 6)}, N(1, 2, 3, 4, 5, 6), {2, 3, 7}},
    {"x: f32[m, k] strides [0, 1]; return x * 1", {N(4, 5, 4, 5)}, N(4, 5, 4, 5), {2, 2}},
    {"x: u4[2, 2, 2] strides [16, 4, 1]; return x.T * 1", {N(1, 2, 3, 4, 5, 6, 7, 8)}, N(1, 3, 2, 4, 5, 7, 6, 8), {0}},
    {"x: f32[m, 0]; w: f32[0, n]; return x @ w + 1", {N(0), N(0)}, N(1, 1, 1, 1), {2, 2}},
    {"x: f32[2, 0]; return sum(x)", {N(0)}, N(0, 0), {0}},
    {"x: f32[2, 0]; return max(x)", {N(0)}, N(-INFINITY, -INFINITY), {0}},
    {"x: f32[2, 0]; return mean(x)", {N(0)}, N(NAN, NAN), {0}},
    {"x: f32[0, 4]; return softmax(x)", {N(0)}, N(0), {0}},
    {"x: i32[0]; return max(x)", {N(0)}, N(INT32_MIN), {0}},
    {"x: f32[2, m]; o: i32[0]; w: f32[0, m, 1]; return grouped_matmul(x, w, o)", {N(1, 2), N(0), N(0)}, N(0, 0), {1}},
};

Test(graph_interpret, follows_shapes_and_strides) {
  for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) expect_results(&shapes[i]);
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static const Case types[] = {
    {"x: f64[1]; return x + 1e-12", {N(1)}, N(1.000000000001), {0}},
    {"x: f32[1]; y: f64 = x * 1; z: f64 = y + 1e-12; return z", {N(1)}, N(1.000000000001), {0}},
    {"x: f32[2]; return x + 0.1", {N(0, 1)}, N((double)0.1f, 1 + (double)0.1f), {0}},
    {"x: f16[2]; return x * x", {N(65504, 0.333251953125)}, N(65504.0 * 65504, 0.333251953125 * 0.333251953125), {0}},
    {"x: f32[3]; y: f16 = x * 1; return y", {N(65519, 65520, 0.1)}, N(65504, INFINITY, 0.0999755859375), {0}},
    {"x: f32[3]; y: bf16 = x * 1; return y", {N(1.00390625, 1.01171875, 3e38)}, N(1, 1.015625, 0x1.c4p127), {0}},
    {"x: f32[3]; y: f8e4m3 = x * 1; return y", {N(449, 480, 0.1)}, N(448, NAN, 0.1015625), {0}},
    {"x: f32[2]; y: f8e5m2 = x * 1; return y", {N(60000, 70000)}, N(57344, INFINITY), {0}},
    {"x: f32[4]; y: i32 = x * 1; return y", {N(2.5, 3.5, 1e10, NAN)}, N(2, 4, INT32_MAX, 0), {0}},
    {"x: f32[4]; y: u4 = x * 1; return y", {N(2.5, -1, 100, 15)}, N(2, 0, 15, 15), {0}},
    {"x: f32[2]; y: i4 = x * 1; return y", {N(-9, 9)}, N(-8, 7), {0}},
    {"x: i32[3]; return x + 1", {N(INT32_MAX, -1, 5)}, N(INT32_MIN, 0, 6), {0}},
    {"x: i32[2]; return x * x", {N(65536, 123456789)}, N(0, -1757895751), {0}},
    {"x: i32[2]; return neg(x) - 1", {N(INT32_MIN, 1)}, N(INT32_MAX, -2), {0}},
    {"x: i32[1]; return abs(x)", {N(INT32_MIN)}, N(INT32_MIN), {0}},
    {"x: i32[2]; return square(x)", {N(3, 65537)}, N(9, 131073), {0}},
    {"x: i32[2]; return sum(x)", {N(INT32_MAX, 2)}, N(INT32_MIN + 1.0), {0}},
    {"x: i32[1, 2]; w: i32[2, 1]; return x @ w", {N(123456789, 65536), N(987654321, 65536)}, N(-67153019), {0}},
    {"x: u8[1, 2]; w: i8[2, 1]; return x @ w", {N(255, 255), N(-128, -128)}, N(-65280), {0}},
    {"x: i4[1, 2]; w: u4[2, 2]; return x @ w", {N(-8, 7), N(15, 0, 15, 1)}, N(-15, 7), {0}},
    {"x: i32[2]; return x / 4", {N(3, -3)}, N(0.75, -0.75), {0}},
    {"x: i8[2]; return mean(x)", {N(3, 4)}, N(3.5), {0}},
    {"x: i8[2]; return max(x)", {N(-3, -4)}, N(-3), {0}},
    {"x: bool[2]; y: bool[2]; return where(x, y, x)", {N(1, 0), N(0, 1)}, N(0, 0), {0}},
    {"x: bool[1, 2]; return x.T", {N(1, 0)}, N(1, 0), {0}},

};

Test(graph_interpret, follows_types) {
  for (size_t i = 0; i < ARRAY_LENGTH(types); i++) expect_results(&types[i]);
}

static const Case specials[] = {
    {"x: f32[4]; return min(x, 1)", {N(NAN, INFINITY, -INFINITY, 1)}, N(NAN, 1, -INFINITY, 1), {0}},
    {"x: f32[4]; return max(x, 1)", {N(NAN, INFINITY, -INFINITY, 1)}, N(NAN, INFINITY, 1, 1), {0}},
    {"x: f32[4]; return clamp(x, 0, 6)", {N(NAN, INFINITY, -INFINITY, 1)}, N(NAN, 6, 0, 1), {0}},
    {"x: f32[4]; return relu(x)", {N(NAN, INFINITY, -INFINITY, 1)}, N(NAN, INFINITY, 0, 1), {0}},
    {"x: f32[4]; return leaky_relu(x, 0.5)", {N(NAN, INFINITY, -INFINITY, 1)}, N(NAN, INFINITY, -INFINITY, 1), {0}},
    {"x: f32[4]; return x - x", {N(NAN, INFINITY, -INFINITY, 1)}, N(NAN, NAN, NAN, 0), {0}},
    {"x: f32[4]; return x * 0", {N(NAN, INFINITY, -INFINITY, 1)}, N(NAN, NAN, NAN, 0), {0}},
    {"x: f32[4]; return 1 / x", {N(NAN, INFINITY, -INFINITY, 0)}, N(NAN, 0, 0, INFINITY), {0}},
    {"x: f32[4]; return exp(x)", {N(NAN, INFINITY, -INFINITY, 0)}, N(NAN, INFINITY, 0, 1), {0}},
    {"x: f32[4]; return log(x)", {N(NAN, INFINITY, -INFINITY, 0)}, N(NAN, INFINITY, NAN, -INFINITY), {0}},
    {"x: f32[4]; return tanh(x)", {N(NAN, INFINITY, -INFINITY, 0)}, N(NAN, 1, -1, 0), {0}},
    {"x: f32[4]; return sigmoid(x)", {N(NAN, INFINITY, -INFINITY, 0)}, N(NAN, 1, 0, 0.5), {0}},
    {"x: f32[3]; return gelu(x)", {N(NAN, INFINITY, 0)}, N(NAN, INFINITY, 0), {0}},
    {"x: f32[3]; return hardswish(x)", {N(NAN, INFINITY, -10)}, N(NAN, INFINITY, 0), {0}},
    {"x: f32[3]; return max(x)", {N(NAN, INFINITY, 0)}, N(NAN), {0}},
    {"x: f32[3]; return sum(x)", {N(1, INFINITY, 0)}, N(INFINITY), {0}},
    {"x: f32[2]; return softmax(x)", {N(-INFINITY, -INFINITY)}, N(NAN, NAN), {0}},
    {"x: f32[1, 2]; w: f32[2, 1]; return x @ w", {N(1, 1), N(INFINITY, 1)}, N(INFINITY), {0}},
    {"x: f32[4]; return where(x == x, 1, 0) + where(x < 0, 2, 0)",
     {N(NAN, INFINITY, -INFINITY, 0)},
     N(0, 1, 3, 1),
     {0}},
};

/* From exact operands these are exact: a kernel must give the same. */
Test(graph_interpret, keeps_infinities_and_nan) {
  for (size_t i = 0; i < ARRAY_LENGTH(specials); i++) {
    expect_results(&specials[i]);
    Outcome outcome = outcome_of(specials[i].text, NULL, specials[i].inputs);
    for (int64_t j = 0; j < outcome.results[0].count; j++)
      if (!isfinite(outcome.results[0].values[j]))
        cr_expect_eq(outcome.results[0].bounds[j], 0, "%s", specials[i].text);
    outcome_release(&outcome);
  }
}

/* ---- several results, refusals ----------------------------------------------------------------------------------- */

Test(graph_interpret, gives_several_results) {
  Outcome outcome = outcome_of("x: f32[2]; y = x + 1; z: i8 = y * y; return z, y, x * 0", NULL, INPUTS(N(1, 2)));
  cr_expect(outcome.results[0].values[1] == 9 && outcome.results[1].values[1] == 3 &&
            outcome.results[2].values[1] == 0);
  outcome_release(&outcome);
}

typedef struct Refusal {
  const char *text;
  const double *inputs[3];
  int64_t symbols[4];
  const char *fault;
} Refusal;

static const Refusal refusals[] = {
    {"x: f32[3, 2]; i: i32[2]; return gather(x, i)",
     {N(1, 2, 3, 4, 5, 6), N(0, 3)},
     {0},
     "'gather(x, i)' names row 3 of 3"},
    {"x: f32[3, 2]; i: i32[2]; return gather(x, i)",
     {N(1, 2, 3, 4, 5, 6), N(-1, 0)},
     {0},
     "'gather(x, i)' names row -1 of 3"},
    {"x: f32[2, 1]; w: f32[2, 1, 1]; o: i32[2]; y = grouped_matmul(x, w, o); return y",
     {N(1, 2), N(1, 2), N(1, 3)},
     {0},
     "'y' has the offset 3 after 1: offsets ascend up to the 2 rows"},
    {"x: f32[2, 1]; w: f32[2, 1, 1]; o: i32[2]; return grouped_matmul(x, w, o)",
     {N(1, 2), N(1, 2), N(2, 1)},
     {0},
     "'grouped_matmul(x, w, o)' has the offset 1 after 2: offsets ascend up to the 2 rows"},
    {"x: f32[m]; return x + 1", {N(1)}, {-1}, "the symbol 'm' is -1: sizes and strides are 0 to 1099511627776"},
    {"w: i4[k, 2]; s: f32[g, 2]; return dequant(w, s)",
     {N(1), N(1)},
     {8, 3},
     "'dequant(w, s)' scales 8 rows in 3 groups: the groups must divide the rows"},
    {"w: i4[k, 2]; s: f32[g, 2]; return dequant(w, s)",
     {N(1), N(1)},
     {8, 0},
     "'dequant(w, s)' scales 8 rows in 0 groups: the groups must divide the rows"},
    {"w: u4[2, k]; return w + 1", {N(1)}, {3}, "'w' is u4, two per byte: its last size must be even, found k"},
    {"x: f32[m, n]; y: f32 strides [ld, 1] = x + 1; return y",
     {N(1)},
     {4, 3, 2},
     "'y' of the sizes [4, 3] with the strides [2, 1] addresses elements twice"},
    {"x: f32[m, n]; return x + 1", {N(1)}, {(int64_t)1 << 40, (int64_t)1 << 40}, "'x' is larger than memory"},
    {"x: f32[m, 1]; y: f32[m]; z: f32[m, 1, 1]; return max(x + y + z)",
     {N(1), N(1)},
     {(int64_t)1 << 22},
     "'x + y + z' is larger than memory"},
};

Test(graph_interpret, explains_what_it_refuses) {
  for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
    Outcome outcome = outcome_of(refusals[i].text, refusals[i].symbols, refusals[i].inputs);
    cr_expect_eq(outcome.status, KILN_INVALID_ARGUMENT);
    cr_assert_gt(outcome.faults.list.count, 0, "%s", refusals[i].text);
    cr_expect_str_eq(outcome.faults.list.items[0].message, refusals[i].fault, "%s",
                     outcome.faults.list.items[0].message);
    outcome_release(&outcome);
  }
}

Test(graph_interpret, refuses_null_inputs) {
  kiln_graph *graph = parse_valid("x: f32[m]; return x + 1");
  double y;
  cr_expect_eq(kiln_graph_interpret(graph, (int64_t[]){1}, (const void *[]){NULL}, (double *[]){&y}, NULL),
               KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_graph_interpret(graph, (int64_t[]){0}, (const void *[]){NULL}, (double *[]){&y}, NULL), KILN_OK);
  cr_expect_eq(kiln_graph_interpret(graph, NULL, (const void *[]){NULL}, NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_graph_interpret(graph, (int64_t[]){0}, NULL, NULL, NULL), KILN_INVALID_ARGUMENT);
  kiln_graph_destroy(graph);
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

Test(graph_bind, counts_spans) {
  kiln_graph *graph = parse_valid(
      "x: f32[m, 3] strides [1, ld]; y: f32[m, 3] strides [0, 0]; z: f32[m, 3]; s: f32[]; return x + y + z + s");
  const int64_t symbols[] = {4, 10}, empty[] = {0, 10}, huge[] = {(int64_t)1 << 40, (int64_t)1 << 40};
  const Node *x = graph_node(graph, 0), *y = graph_node(graph, 1), *z = graph_node(graph, 2), *s = graph_node(graph, 3);
  cr_expect_eq(node_span(x, symbols), 24);
  cr_expect_eq(node_span(y, symbols), 1);
  cr_expect_eq(node_span(z, symbols), 12);
  cr_expect_eq(node_span(s, symbols), 1);
  cr_expect_eq(node_span(x, empty), 0);
  cr_expect_eq(node_span(z, empty), 0);
  cr_expect_eq(node_stride(x, 1, symbols), 10);
  cr_expect_eq(node_stride(z, 0, symbols), 3);
  cr_expect_eq(node_stride(z, 1, symbols), 1);
  cr_expect_eq(node_count(x, symbols), 12);
  cr_expect_eq(node_count(x, huge), 3 * ((int64_t)1 << 40));
  cr_expect_eq(graph_check_symbols(graph, huge, NULL), KILN_OK);
  kiln_graph_destroy(graph);
}
