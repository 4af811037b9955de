/* test_reference.c: graphs of every operator and type, compiled by the reference template and run on this machine. */
#include <criterion/criterion.h>

#include "tests/numeric/ladder.h"

Test(reference, every_operator_and_type) {
  static const char *const graphs[] = {
      "x: u8[3, 5]; w: i8[5, 9]; y = x @ w; return y",
      "x: bf16[3, 5]; w: f16[5, 9]; y: bf16 = x @ w; return y",
      "x: f64[3, 5]; w: f64[5, 9]; y = x @ w; return y",
      "x: f8e4m3[3, 5]; w: f8e5m2[5, 9]; y = x @ w; return y",
      "x: f32[3, 6]; q: i4[6, 10]; s: f32[3, 10]; y = x @ dequant(q, s); return y",
      "x: f32[3, 6]; q: u4[6, 10]; s: f32[10]; z: u4[10]; y = x @ dequant(q, s, z); return y",
      "x: f32[4, 10]; y: i4 = quant(x, 0.25); return y",
      "q: u4[4, 10]; y = q.T; return y",
      "x: f32[2, 3, 3, 5]; w: f32[3, 5, 9]; y = x @ w; return y",
      "x: f32[3, 37]; y = softmax(x * 10); return y",
      "x: f32[2, 3, 19]; y = rms_norm(x, 0.001); z = layer_norm(x, 0.001); return y, z",
      "x: f64[3, 19]; y = softmax(x); z = exp(x); u = tanh(x); return y, z, u",
      "x: f32[3, 19]; y = x - max(x); z = mean(x); u = sum(x); return y, z, u",
      "x: i8[3, 19]; y = sum(x); z = max(x); u = mean(x); return y, z, u",
      "q: f32[2, 7, 4]; k: f32[2, 9, 4]; v: f32[2, 9, 6]; y = softmax(causal(q @ k.T * 0.5)) @ v; return y",
      "x: f32[5, 7]; wg: f32[7, 11]; wu: f32[7, 11]; y: bf16 = silu(x @ wg) * (x @ wu); return y",
      "x: f32[4, 1]; y: f32[1, 5]; z = where(x < y, x, y); u = x == y; return z, u",
      "x: bool[4, 5]; y: f32[4, 5]; z = where(x, y, neg(y)); return z",
      "x: f32[]; y = x + 1; return y",
      "x: f32[4, 6] strides [1, 4]; y: f32[4, 6] strides [9, 1] = abs(x); return y",
      "x: i32[3, 4]; y = x / 3; z = x * x - 5; a = min(x, 2); b = x >= 1; return y, z, a, b",
      "a: u8[5, 12]; w: i8[12, 9]; s: f32[9]; b: f32[9]; y: u8 = quant(relu(dequant(a, 0.05, 3) @ dequant(w, s) + b), "
      "0.1, 7); return y",
  };
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; ++i)
      ladder_run(engine, &(LadderCase){.graph = graphs[i], .target = target[t], .template_ = "reference"});
  kiln_engine_destroy(engine);
}

/* Found by random graphs. */
Test(reference, rare_forms) {
  static const char *const graphs[] = {
      "x: f32[3]; c: f64 = 0.1; d: i8 = 300; y = min(x, c); z = x * d; return y, z",
      "x: f32[9]; z: f32[]; y: f8e4m3 = quant(x, 0.0005, z); u: f8e5m2 = quant(x, 0.1, 0.3); return y, u",
      "x: f32[3, 4]; w: f64[2, 4, 5]; o: i32[2]; y = grouped_matmul(x, w, o); return y",
      "x: f32[3, 4]; e: f64[]; y = rms_norm(x, abs(e)); z = layer_norm(x, abs(e)); return y, z",
      "x: f32[4]; y: f32[4]; z = x @ y; return z",
      "x: f32[4]; w: f32[4, 5]; u: f32[2, 3, 4]; b = x @ w; c = u @ x; d = x @ u.T; return b, c, d",
      "x: f32[3, 1]; y: f32[1, 1, 6]; s: f32[1, 1]; q: i4 = quant(x, s); z = q * y; return z",
  };
  kiln_engine *engine = ladder_engine();
  for (size_t i = 0; i < sizeof graphs / sizeof *graphs; ++i)
    ladder_run(engine, &(LadderCase){.graph = graphs[i], .template_ = "reference"});
  LadderCase strides = {.graph = "x: u4[3, 4] strides [6, s]; y = x + 1; return y", .symbols = {1}};
  ladder_run(engine, &strides);
  kiln_engine_destroy(engine);
}

Test(reference, symbols) {
  kiln_engine *engine = ladder_engine();
  for (int64_t m = 0; m < 5; ++m)
    for (int64_t n = 1; n < 40; n += 6)
      ladder_run(engine, &(LadderCase){.graph = "x: f32[m, k]; w: f32[k, n]; y = softmax(x @ w); return y",
                                       .symbols = {m, 3, n}});
  kiln_engine_destroy(engine);
}
