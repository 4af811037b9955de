/* test_template_reference.c: the reference template on every operator and type, executed by the interpreter of the tile
 * IR. */
#include <criterion/criterion.h>

#include "tests/unit/template_run.h"

static void expect_right(const char *graph, const int64_t *symbols, int count) {
  Text why;
  text_init(&why, NULL);
  TemplateRun run = {.graph = graph, .template_ = "reference", .target = "haswell"};
  for (int i = 0; i < count; ++i) run.symbols[i] = symbols[i];
  template_run(&run, NULL, NULL, &why);
  cr_expect(why.length == 0, "%s: %s", graph, text_get(&why));
  text_release(&why);
}

Test(template_reference, graphs) {
  static const char *const graphs[] = {
      "x: f32[3, 5]; w: f32[5, 9]; y = x @ w; return y",
      "x: f32[2, 3, 5]; w: f32[5, 9]; y = x @ w; return y",
      "x: f32[2, 3, 3, 5]; w: f32[3, 5, 9]; y = x @ w; return y",
      "x: u8[3, 5]; w: i8[5, 9]; y = x @ w; return y",
      "x: bf16[3, 5]; w: f16[5, 9]; y: bf16 = x @ w; return y",
      "x: f64[3, 5]; w: f64[5, 9]; y = x @ w; return y",
      "x: f8e4m3[3, 5]; w: f8e5m2[5, 9]; y = x @ w; return y",
      "x: f32[3, 6]; q: i4[6, 10]; s: f32[3, 10]; y = x @ dequant(q, s); return y",
      "x: f32[3, 6]; q: u4[6, 10]; s: f32[10]; z: u4[10]; y = x @ dequant(q, s, z); return y",
      "x: f32[4, 10]; y: i4 = quant(x, 0.25); return y",
      "q: u4[4, 10]; y = q.T; return y",
      "x: f32[3, 19]; y = softmax(x); return y",
      "x: f32[2, 3, 19]; y = rms_norm(x, 0.001); z = layer_norm(x, 0.001); return y, z",
      "x: f32[3, 19]; y = x - max(x); z = mean(x); u = sum(x); return y, z, u",
      "x: i8[3, 19]; y = sum(x); z = max(x); u = mean(x); return y, z, u",
      "q: f32[3, 4]; k: f32[5, 4]; v: f32[5, 6]; y = softmax(causal(q @ k.T * 0.5)) @ v; return y",
      "x: f32[7, 5]; i: i32[4]; y = gather(x, i); return y",
      "x: f32[7, 5]; w: f32[3, 5, 6]; o: i32[3]; y = grouped_matmul(x, w, o); return y",
      "x: f32[4, 1]; y: f32[1, 5]; z = where(x < y, x, y); u = x == y; return z, u",
      "x: bool[4, 5]; y: f32[4, 5]; z = where(x, y, neg(y)); return z",
      "x: f32[]; y = x + 1; return y",
      "x: f32[4, 6] strides [1, 4]; y: f32[4, 6] strides [9, 1] = abs(x); return y",
      "x: f32[3, 4]; y = neg(x); z = square(x); a = sqrt(abs(x)); b = rsqrt(abs(x) + 1); return y, z, a, b",
      "x: f32[3, 4]; y = exp(x); z = log(abs(x) + 1); a = tanh(x); b = sigmoid(x); return y, z, a, b",
      "x: f32[3, 4]; y = relu(x); z = leaky_relu(x, 0.5); a = clamp(x, 0, 1); b = gelu(x); return y, z, a, b",
      "x: f32[3, 4]; y = gelu_tanh(x); z = silu(x); a = hardswish(x); b = hardsigmoid(x); return y, z, a, b",
      "x: i32[3, 4]; y = x / 3; z = x * x - 5; a = min(x, 2); b = x >= 1; return y, z, a, b",
      "x: f32[0, 4]; w: f32[4, 5]; y = x @ w; return y",
      "x: f32[3, 0]; w: f32[0, 5]; y = x @ w; return y",
  };
  for (size_t i = 0; i < ARRAY_LENGTH(graphs); ++i) expect_right(graphs[i], NULL, 0);
}

Test(template_reference, symbols) {
  const char *graph = "x: f32[m, k]; w: f32[k, n]; b: f32[n]; y = softmax(x @ w + b); return y";
  for (int64_t m = 0; m < 4; ++m)
    for (int64_t n = 1; n < 20; n += 6) expect_right(graph, (int64_t[]){m, 3, n}, 3);
}
