/* test_gemm_epilogues.c: every element-wise operator and function of the table behind a product, with operands of every
 * shape, results of several types and several results, in registers and row by row. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/numeric/ladder.h"

/* The epilogue `body` may use p (the product), b [n], c [m, 1], s [], r [m, n]. */
static void epilogue(kiln_engine *engine, const char *target, const char *inputs, const char *body) {
  static const char *const schedules[] = {"epilogue=registers", "epilogue=rows"};
  static const int64_t rows[] = {1, 9, 14};
  char graph[600];
  snprintf(graph, sizeof graph, "x: f32[m, 5]; w: const f32[5, 37]; %sp = x @ w; %s", inputs, body);
  for (int i = 0; i < 2; ++i)
    for (int r = 0; r < 3; ++r)
      ladder_run(engine,
                 &(LadderCase){.graph = graph, .target = target, .schedule = schedules[i], .symbols = {rows[r]}});
}

typedef struct Body {
  const char *inputs, *body;
} Body;

static void all(const Body *bodies, size_t count) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    for (size_t i = 0; i < count; ++i) epilogue(engine, target[t], bodies[i].inputs, bodies[i].body);
  kiln_engine_destroy(engine);
}

Test(gemm_epilogues, functions) {
  static const char *const functions[] = {"neg",  "abs",  "square", "exp",       "tanh",      "sigmoid",
                                          "relu", "gelu", "silu",   "gelu_tanh", "hardswish", "hardsigmoid"};
  static const char *const positive[] = {"sqrt", "rsqrt", "log"};
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  char body[100];
  for (int t = 0; t < targets; ++t) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; ++i) {
      snprintf(body, sizeof body, "y = %s(p * 3); return y", functions[i]);
      epilogue(engine, target[t], "", body);
    }
    for (size_t i = 0; i < sizeof positive / sizeof *positive; ++i) {
      snprintf(body, sizeof body, "y = %s(abs(p) + 0.125); return y", positive[i]);
      epilogue(engine, target[t], "", body);
    }
  }
  kiln_engine_destroy(engine);
}

Test(gemm_epilogues, operators) {
  static const Body bodies[] = {
      {"b: f32[37]; ", "y = p + b; return y"},
      {"c: f32[m, 1]; ", "y = p - c; return y"},
      {"s: f32[]; ", "y = p * s; return y"},
      {"r: f32[m, 37]; ", "y = p / (abs(r) + 1); return y"},
      {"r: f32[m, 37]; b: f32[37]; ", "y = min(p, r); z = max(p, b); return y, z"},
      {"r: f32[m, 37]; ", "y = where(p < r, p, neg(r)); return y"},
      {"r: f32[m, 37]; ", "y = p <= r; z = p > r; u = p >= r; v = p == r; t = p != r; return y, z, u, v, t"},
      {"", "y = leaky_relu(p, 0.125); z = clamp(p, -0.25, 0.5); return y, z"},
      {"b: f32[1, 37]; c: f32[1]; ", "y = p * b + c; return y"},
  };
  all(bodies, sizeof bodies / sizeof *bodies);
}

Test(gemm_epilogues, other_types) {
  static const Body bodies[] = {
      {"b: bf16[37]; r: f16[m, 37]; ", "y: bf16 = p + b + r; return y"},
      {"", "y: f16 = p * 1; return y"},
      {"", "y: f64 = p * 3; z: i32 = p * 100; return y, z"},
      {"", "y: i8 = quant(p, 0.03125); z: u8 = quant(p, 0.03125, 128); return y, z"},
      {"q: i8[m, 37]; ", "y = p + dequant(q, 0.125); return y"},
      {"k: bool[m, 37]; ", "y = where(k, p, 0); return y"},
      {"", "y: f8e4m3 = p * 3; z: f8e5m2 = p * 5; return y, z"},
  };
  all(bodies, sizeof bodies / sizeof *bodies);
}

Test(gemm_epilogues, several_results) {
  static const Body bodies[] = {
      {"b: f32[37]; r: f32[m, 37]; ", "y = p + b; z = gelu(y); u = z + r; return p, y, z, u"},
      {"b: f32[37]; ", "y: bf16 = p + b; z = y * y; return z, y"},
  };
  all(bodies, sizeof bodies / sizeof *bodies);
}

/* Results past the caches: vectors that lie at multiples of their size and others, whole panels and cut ones, several
 * results. */
Test(gemm_epilogues, streamed) {
  static const char *const schedules[] = {"store_c=streamed epilogue=registers", "store_c=streamed epilogue=rows"};
  static const char *const results[] = {
      "y: f32 = x @ w; return y",
      "y: bf16 = x @ w; return y",
      "p: f32 = x @ w; z: f32 = relu(p); return p, z",
      "p: f32 = x @ w; y: u8 = quant(p, 0.5); return y",
      "y: f32 strides [160, 1] = x @ w; return y",
      "y: f32 strides [157, 1] = x @ w; return y",
  };
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_targets(engine, &targets);
  for (int t = 0; t < targets; ++t)
    for (int r = 0; r < 6; ++r)
      for (int64_t columns = 95; columns <= 145; columns += columns == 96 ? 48 : 1)
        for (int s = 0; s < 2; ++s) {
          char graph[300];
          snprintf(graph, sizeof graph, "x: f32[m, 7]; w: const f32[7, %lld]; %s", (long long)columns, results[r]);
          ladder_run(engine,
                     &(LadderCase){.graph = graph, .target = target[t], .schedule = schedules[s], .symbols = {13}});
        }
  kiln_engine_destroy(engine);
}
