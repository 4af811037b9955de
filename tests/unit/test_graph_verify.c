/* test_graph_verify.c: the rules of types and shapes: what each operator gives, and every fault with its exact text. */
#include "tests/unit/graph_fixture.h"

/* ---- what operators give ----------------------------------------------------------------------------------------- */

#define INPUTS                                                                                                         \
  "d: f64[m, 4]; x: f32[m, 4]; h: f16[m, 4]; b: bf16[m, 4]; e: f8e4m3[m, 4]; i: i32[m, 4]; q: i8[m, 4]; u: u8[m, 4]; " \
  "n: i4[m, 4]; c: bool[m, 4]; s: f32[]; v: f32[4]; w: bf16[4, n]; g: f32[2, 1, 4, k]; j: i32[5]; p: i8[4, n]; "       \
  "t: f32[3, m, 4]; y = "

/* An expression over INPUTS and the type of its value. */
static const char *const types[][2] = {
    {"x + x", "f32[m, 4]"},
    {"h + b", "f32[m, 4]"},
    {"e * e", "f32[m, 4]"},
    {"d - x", "f64[m, 4]"},
    {"q + u", "i32[m, 4]"},
    {"q / u", "f32[m, 4]"},
    {"d / q", "f64[m, 4]"},
    {"q * x", "f32[m, 4]"},
    {"q * 2", "i32[m, 4]"},
    {"x * 2", "f32[m, 4]"},
    {"d * 0.1", "f64[m, 4]"},
    {"1 + 2", "f32[]"},
    {"s + v", "f32[4]"},
    {"x + v", "f32[m, 4]"},
    {"t + x", "f32[3, m, 4]"},
    {"v + g.T", "f32[2, 1, k, 4]"},
    {"x < 1", "bool[m, 4]"},
    {"q == u", "bool[m, 4]"},
    {"min(q, 3)", "i32[m, 4]"},
    {"clamp(h, 0, 6)", "f32[m, 4]"},
    {"leaky_relu(d, 0.1)", "f64[m, 4]"},
    {"where(c, x, 0)", "f32[m, 4]"},
    {"where(c, q, 0)", "i32[m, 4]"},
    {"where(c, 1, 0)", "f32[m, 4]"},
    {"where(c, c, x > 1)", "bool[m, 4]"},
    {"where(c, s, t)", "f32[3, m, 4]"},
    {"neg(n)", "i32[m, 4]"},
    {"square(b)", "f32[m, 4]"},
    {"relu(q)", "i32[m, 4]"},
    {"exp(q)", "f32[m, 4]"},
    {"gelu(d)", "f64[m, 4]"},
    {"sqrt(2)", "f32[]"},
    {"x @ w", "f32[m, n]"},
    {"d @ w", "f64[m, n]"},
    {"q @ p", "i32[m, n]"},
    {"v @ w", "f32[n]"},
    {"w.T @ v", "f32[n]"},
    {"v @ v", "f32[]"},
    {"x @ g", "f32[2, 1, m, k]"},
    {"t @ w", "f32[3, m, n]"},
    {"t @ g", "f32[2, 3, m, k]"},
    {"v @ g", "f32[2, 1, k]"},
    {"q.T", "i8[4, m]"},
    {"c.T", "bool[4, m]"},
    {"t.T", "f32[3, 4, m]"},
    {"dequant(q, 0.1)", "f32[m, 4]"},
    {"dequant(e, s)", "f32[m, 4]"},
    {"dequant(n, v, v)", "f32[m, 4]"},
    {"dequant(n, v, 8)", "f32[m, 4]"},
    {"dequant(i, sum(x))", "f32[m, 4]"},
    {"dequant(q, sum(d))", "f64[m, 4]"},
    {"sum(q)", "i32[m, 1]"},
    {"sum(h)", "f32[m, 1]"},
    {"max(q)", "i32[m, 1]"},
    {"max(v)", "f32[1]"},
    {"mean(q)", "f32[m, 1]"},
    {"mean(d)", "f64[m, 1]"},
    {"softmax(q)", "f32[m, 4]"},
    {"rms_norm(b, 1e-5)", "f32[m, 4]"},
    {"layer_norm(d, s)", "f64[m, 4]"},
    {"causal(h)", "f32[m, 4]"},
    {"gather(n, j)", "i4[5, 4]"},
    {"gather(c, j)", "bool[5, 4]"},
};

static void expect_type(const char *expression, const char *type) {
  Text source, found;
  text_init(&source, NULL);
  text_init(&found, NULL);
  text_printf(&source, INPUTS "%s", expression);
  kiln_graph *graph = graph_parse(text_get(&source), source.length, NULL);
  kiln_value value = (kiln_value)graph->nodes.count - 1;
  cr_expect_eq(kiln_graph_fault_count(graph), 0, "%s: %s", expression, kiln_graph_fault(graph, 0).message);
  graph_print_type(graph, graph_node(graph, value), &found);
  cr_expect_str_eq(text_get(&found), type, "%s is %s", expression, text_get(&found));
  text_release(&found);
  text_release(&source);
  kiln_graph_destroy(graph);
}

Test(graph_verify, finds_types_and_shapes) {
  for (size_t i = 0; i < ARRAY_LENGTH(types); i++) expect_type(types[i][0], types[i][1]);
}

Test(graph_verify, finds_the_type_of_grouped_products) {
  cr_expect_str_eq(
      canonical("x: bf16[t, k]; w: bf16[g, k, n]; o: i32[g]; y: f32[t, n] = grouped_matmul(x, w, o); return y"),
      "x: bf16[t, k]\nw: bf16[g, k, n]\no: i32[g]\ny: f32[t, n] = grouped_matmul(x, w, o)\nreturn y\n");
  cr_expect_str_eq(
      canonical("x: i8[t, 4]; w: u8[3, 4, n]; o: i32[3]; y: i32[t, n] = grouped_matmul(x, w, o); return y"),
      "x: i8[t, 4]\nw: u8[3, 4, n]\no: i32[3]\ny: i32[t, n] = grouped_matmul(x, w, o)\nreturn y\n");
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

/* A statement after INPUTS and its one fault. */
static const char *const faults[][2] = {
    {"x + w", "'x + w' joins f32[m, 4] with bf16[4, n]: 4 and n must be equal or 1"},
    {"x + j", "'x + j' joins f32[m, 4] with i32[5]: 4 and 5 must be equal or 1"},
    {"x + c", "'x + c' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"c < 1", "'c < 1' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"exp(c)", "'exp(c)' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"neg(x < 1)", "'neg(x < 1)' computes with the bool 'x < 1': choose numbers first, as in where(x < 1, 1, 0)"},
    {"softmax(c)", "'softmax(c)' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"sum(c)", "'sum(c)' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"rms_norm(x, 1 < 2)",
     "'rms_norm(x, 1 < 2)' computes with the bool '1 < 2': choose numbers first, as in where(1 < 2, 1, 0)"},
    {"q * 0.5", "'q * 0.5' joins i8[m, 4] with 0.5, which is no i32: dequant 'q' first"},
    {"3e9 - i", "'3000000000 - i' joins i32[m, 4] with 3000000000, which is no i32: dequant 'i' first"},
    {"leaky_relu(q, 0.1)", "'leaky_relu(q, 0.1)' joins i8[m, 4] with 0.1, which is no i32: dequant 'q' first"},
    {"where(c, q, nan)", "'where(c, q, nan)' joins i8[m, 4] with nan, which is no i32: dequant 'q' first"},
    {"where(x, x, x)", "'where(x, x, x)' chooses by 'x', which is f32[m, 4] and not bool: compare it"},
    {"where(1, x, x)", "'where(1, x, x)' chooses by '1', which is 1 and not bool: compare it"},
    {"where(c, c, x)", "'where(c, c, x)' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"where(c, x, j)", "'where(c, x, j)' joins f32[m, 4] with i32[5]: 4 and 5 must be equal or 1"},
    {"x @ x", "'x @ x' multiplies f32[m, 4] by f32[m, 4]: 4 and m must be equal"},
    {"w @ x", "'w @ x' multiplies bf16[4, n] by f32[m, 4]: n and m must be equal"},
    {"j @ w", "'j @ w' multiplies i32[5] by bf16[4, n]: dequant 'j' first"},
    {"x @ p", "'x @ p' multiplies f32[m, 4] by i8[4, n]: dequant 'p' first"},
    {"x @ s", "'x @ s' needs 1 axis in 's', found f32[]"},
    {"2 @ w", "'2 @ w' needs 1 axis in '2', found 2"},
    {"c @ w", "'c @ w' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"v.T", "'v.T' needs 2 axes in 'v', found f32[4]"},
    {"dequant(x, s)", "'dequant(x, s)' needs an integer or f8 tensor, found f32[m, 4]"},
    {"dequant(3, s)", "'dequant(3, s)' needs an integer or f8 tensor, found 3"},
    {"dequant(q, j)", "'dequant(q, j)' needs a floating scale, found i32[5]"},
    {"dequant(q, w)", "'dequant(q, w)' scales i8[m, 4] by bf16[4, n]: each axis must be 1 or equal, the last but one "
                      "may divide into groups"},
    {"dequant(q, t)", "'dequant(q, t)' scales i8[m, 4] by f32[3, m, 4]: each axis must be 1 or equal, the last but one "
                      "may divide into groups"},
    {"dequant(q, v, j)",
     "'dequant(q, v, j)' needs a zero like the scale or a scalar, found i32[5] and the scale f32[4]"},
    {"dequant(q, v, c)", "'dequant(q, v, c)' computes with the bool 'c': choose numbers first, as in where(c, 1, 0)"},
    {"sum(s)", "'sum(s)' needs 1 axis in 's', found f32[]"},
    {"softmax(s)", "'softmax(s)' needs 1 axis in 's', found f32[]"},
    {"rms_norm(x, v)", "'rms_norm(x, v)' needs a scalar in 'v', found f32[4]"},
    {"causal(v)", "'causal(v)' needs 2 axes in 'v', found f32[4]"},
    {"causal(q)", "'causal(q)' needs floats, because integers have no -inf; found i8[m, 4]"},
    {"gather(t, j)", "'gather(t, j)' needs exactly 2 axes in 't', found f32[3, m, 4]"},
    {"gather(x, i)", "'gather(x, i)' needs exactly 1 axis in 'i', found i32[m, 4]"},
    {"gather(x, v)", "'gather(x, v)' needs i32 in 'v', found f32[4]"},
    {"grouped_matmul(x, w, j)", "'grouped_matmul(x, w, j)' needs exactly 3 axes in 'w', found bf16[4, n]"},
    {"grouped_matmul(x, t, j)",
     "'grouped_matmul(x, t, j)' multiplies f32[m, 4] by f32[3, m, 4]: 4 and m must be equal"},
    {"grouped_matmul(x, t.T, j)", "'grouped_matmul(x, t.T, j)' has 3 weights and 5 offsets: they must be equally many"},
    {"grouped_matmul(q, t.T, j)", "'grouped_matmul(q, t.T, j)' multiplies i8[m, 4] by f32[3, 4, m]: dequant 'q' first"},
    {"x * x; z: bool = y + 1", "'y + 1' is f32[m, 4] and not bool: compare it, as in y + 1 != 0"},
    {"x < 1; z: f32 = where(y, y, y)",
     "'where(y, y, y)' is bool and not f32: choose, as in where(where(y, y, y), 1, 0)"},
    {"x * x; z: f32 = quant(y, s)", "'quant(y, s)' gives an integer or f8, found the type f32"},
    {"x * x; z: f16 = quant(y, s)", "'quant(y, s)' gives an integer or f8, found the type f16"},
    {"quant(x, s) + 1", "'quant(x, s)' is quantised to no type: write it, as in q: i8 = quant(x, s)"},
    {"x * x; z: f32[m] = y + 1", "'y + 1' has the shape [m, 4], declared is [m]"},
    {"x * x; z: f32[k, 4] = y + 1", "'y + 1' has the shape [m, 4], declared is [k, 4]"},
    {"x * x; z: f32 strides [1] = y + 1", "'y + 1' has 2 axes and 1 stride"},
};

static void expect_fault(const char *statement, const char *fault) {
  Text source;
  text_init(&source, NULL);
  text_printf(&source, INPUTS "%s", statement);
  kiln_graph *graph = graph_parse(text_get(&source), source.length, NULL);
  cr_expect_eq(kiln_graph_fault_count(graph), 1, "%s: %zu", statement, kiln_graph_fault_count(graph));
  cr_expect_str_eq(kiln_graph_fault(graph, 0).message, fault, "%s\n%s", statement, kiln_graph_fault(graph, 0).message);
  text_release(&source);
  kiln_graph_destroy(graph);
}

Test(graph_verify, explains_every_fault) {
  for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) expect_fault(faults[i][0], faults[i][1]);
}

/* Whole texts and all their faults. */
static const char *const whole[][2] = {
    {"x: f32[2, m]; w: f32[3, m, 5]; y = x @ w; z: f32[4, 2, 5] = w.T @ x.T; return y, z",
     "1:43: 'w.T @ x.T' has the shape [3, 5, 2], declared is [4, 2, 5]\n"},
    {"a: f32[2, 4, m]; b: f32[3, m, 4]; return a @ b",
     "1:42: 'a @ b' multiplies f32[2, 4, m] by f32[3, m, 4]: 2 and 3 must be equal or 1\n"},
    {"x: f32[m]; y: f32[m]; return x + 1", "1:12: 'y' is never used\n"},
    {"x: f32[m]; y = x + 1; z = y * 2; return x + 2", "1:23: 'z' is never used\n"},
    {"x: f32[m]; return x", "1:19: 'x' is an input: only computed values are returned\n"},
    {"x: f32[m]; return 3, x + 1", "1:19: '3' is a number: only computed values are returned\n"},
    {"x: f32[m]; c = 3; return c, x + 1", "1:26: 'c' is a number: only computed values are returned\n"},
    {"x: f32[m]; y = x + 1; return y, y", "1:33: 'y' is returned twice\n"},
    {"x: f32[m]; y = quant(x, 1); return y",
     "1:12: 'y' is quantised to no type: write it, as in q: i8 = quant(x, s)\n"},
    {"x: f32[m]; y: f32 strides [2] = x + 1; return y * 2", "1:12: 'y' has strides but is not returned\n"},
    {"x: i4[]; return x + 1", "1:1: 'x' is i4, two per byte: it cannot be a scalar\n"},
    {"x: i4[m, 3]; return x + 1", "1:1: 'x' is i4, two per byte: its last size must be even, found 3\n"},
    {"x: u4[m, 4] strides [k, 2]; return x + 1", "1:1: 'x' is u4, two per byte: its last stride must be 1, found 2\n"},
    {"x: i4[m, 4] strides [5, 1]; return x + 1",
     "1:1: 'x' is i4, two per byte: its outer strides must be even, found 5\n"},
    {"x: f32[m, 3]; y: u4 = quant(x, 1); return y",
     "1:15: 'y' is u4, two per byte: its last size must be even, found 3\n"},
    {"x: f32[4, 3]; y: f32 strides [1, 3] = x + 1; return y",
     "1:15: 'y' of the sizes [4, 3] with the strides [1, 3] addresses elements twice\n"},
    {"x: f32[4, 3]; y: f32 strides [0, 1] = x + 1; return y",
     "1:15: 'y' of the sizes [4, 3] with the strides [0, 1] addresses elements twice\n"},
    {"x: f32[1099511627776, 1099511627776]; return x + 1", "1:1: 'x' is larger than memory\n"},
    {"x: f32[3, 1099511627776] strides [1099511627776, 1099511627776]; return x + 1",
     "1:1: 'x' is larger than memory\n"},
    {"x: f32[m, 4]; y = foo(x) + bar; z = x @ x; return y * z, z.T, y",
     "1:19: 'foo' is no function\n1:28: 'bar' is not defined\n"
     "1:37: 'x @ x' multiplies f32[m, 4] by f32[m, 4]: 4 and m must be equal\n"},
    {"x: f32[4194304, 1]; y: f32[4194304]; z: f32[4194304, 1, 1]; return sum(x + y + z)",
     "1:72: 'x + y + z' is larger than memory\n"},
    {"w: i4[100, 8]; s: f32[3, 8]; return dequant(w, s)", "1:37: 'dequant(w, s)' scales i4[100, 8] by f32[3, 8]: each "
                                                          "axis must be 1 or equal, the last but one may divide into "
                                                          "groups\n"},
};

Test(graph_verify, reports_all_faults_of_a_text) {
  for (size_t i = 0; i < ARRAY_LENGTH(whole); i++)
    cr_expect_str_eq(faults_of(whole[i][0]), whole[i][1], "%s", faults_of(whole[i][0]));
}

/* What looks odd and is right. */
static const char *const valid[] = {
    "x: f32[4, 3] strides [0, 0]; return x + 1",
    "x: f32[0, 4]; return x.T @ x",
    "x: f32[4, 3]; y: f32 strides [1, 4] = x + 1; return y",
    "x: f32[4, 3]; y: f32 strides [s, r] = x + 1; return y",
    "x: f32[1, 3]; y: f32 strides [0, 7] = x + 1; return y",
    "m: f32[m]; n: f32[m]; return m * n",
    "w: const i4[768, n]; s: f32[6, n]; z: u8[6, n]; return dequant(w, s, z)",
    "w: const i4[e, k, n]; s: bf16[e, g, n]; z: f32[]; return dequant(w, s, z)",
    "x: f32[m, 4]; y: f8e5m2 = quant(x, 0.5); z: i32 = quant(x, 0.5); return y, z",
};

Test(graph_verify, accepts_what_is_right) {
  for (size_t i = 0; i < ARRAY_LENGTH(valid); i++)
    cr_expect_str_eq(faults_of(valid[i]), "", "%s\n%s", valid[i], faults_of(valid[i]));
}
