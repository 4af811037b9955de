/* test_gemm_quant.c: quantised products: scales and zero points of every shape, all signs of bytes, requantisation, by
 * every matrix instruction this machine has; bytes and zero points at the ends of their ranges, long sums. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/numeric/ladder.h"

static const char *const bytes[] = {"u8", "i8"};

/* The inputs after x and w, and the epilogue of P, the product of the dequantised factors. */
typedef struct Form {
  const char *inputs, *a, *b, *result;
} Form;

static const Form forms[] = {
    {"xs: f32[]; ws: f32[]", "x, xs", "w, ws", "y: f32 = %s"},
    {"xs: f32[m, 1]; ws: f32[n]", "x, xs", "w, ws", "y: bf16 = %s"},
    {"xs: f32[m, 1]; xz: u8[m, 1]; ws: f32[1, n]", "x, xs, xz", "w, ws", "y: f32 = relu(%s)"},
    {"xs: f32[]; xz: i8[]; ws: f32[n]; wz: i8[n]; b: f32[n]", "x, xs, xz", "w, ws, wz", "y: f32 = gelu(%s + b)"},
    {"xs: bf16[]; ws: f32[n]; wz: u8[n]; r: f32[m, n]", "x, xs", "w, ws, wz", "y: f32 = %s + r"},
    {"xs: f32[]; xz: u8[]; ws: f32[n]; wz: i8[n]; os: f32[]; oz: u8[]", "x, xs, xz", "w, ws, wz",
     "y: u8 = quant(relu(%s), os, oz)"},
    {"xs: f32[]; ws: f32[n]; r: u8[m, n]; rs: f32[]; rz: u8[]; os: f32[]", "x, xs, 3", "w, ws",
     "y: i8 = quant(%s + dequant(r, rs, rz), os)"},
};
enum { FORMS = sizeof forms / sizeof *forms };

static void one(kiln_engine *engine, const char *target, int form, int signs, const char *packing, const char *schedule,
                int m, int n, int k, bool extreme) {
  const Form *f = &forms[form];
  char graph[500], product[100], result[200];
  snprintf(product, sizeof product, "dequant(%s) @ dequant(%s)", f->a, f->b);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(result, sizeof result, f->result, product);
#pragma GCC diagnostic pop
  snprintf(graph, sizeof graph, "x: %s[m, k]; w: %s%s[k, n]; %s; %s; return y", bytes[signs % 2], packing,
           bytes[signs / 2], f->inputs, result);
  LadderCase c = {.graph = graph,
                  .target = target,
                  .template_ = "gemm",
                  .schedule = schedule,
                  .fill = extreme ? LADDER_ENDS : LADDER_NUMBERS};
  c.symbols[0] = m, c.symbols[1] = k, c.symbols[2] = n;
  ladder_run(engine, &c);
}

Test(gemm_quant, forms) {
  kiln_engine *engine = ladder_engine();
  int targets;
  const char *const *target = ladder_instruction_targets(engine, &targets);
  static const int ks[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 65}, ms[] = {1, 2, 6, 7, 12, 13, 14, 15, 29};
  static const int ns[] = {1, 8, 15, 16, 17, 33, 40};
  for (int t = 0; t < targets; ++t)
    for (int form = 0; form < FORMS; ++form)
      for (int signs = (form + t) % 4; signs < 4; signs += 3) /* each target meets half of them */
        for (int i = 0; i < 4; ++i) {
          int x = i + 3 * form + 5 * signs;
          one(engine, target[t], form, signs, i % 2 ? "const " : "", NULL, ms[x % 9], ns[x % 7], ks[x % 14], i < 2);
        }
  kiln_engine_destroy(engine);
}

Test(gemm_quant, schedules) {
  kiln_engine *engine = ladder_engine();
  static const char *const schedules[] = {"pack_a=task kc=64 mc=9", "kc=30 mc=20 nc=40", "epilogue=rows",
                                          "pack_b=task kc=70", "pack_a=task pack_b=task nc=32"};
  for (int s = 0; s < 5; ++s)
    for (int form = s % 2; form < FORMS; form += 2)
      for (int signs = form % 2; signs < 4; signs += 2)
        one(engine, NULL, form, signs, s < 3 ? "const " : "", schedules[s], 17 + form, 50 + signs, 90 + 17 * form,
            signs % 2);
  kiln_engine_destroy(engine);
}

/* Zeros behind the end of k, of B in its moved form, are in none of the sums. */
Test(gemm_quant, zeros_behind_a_number_of_steps) {
  kiln_engine *engine = ladder_engine();
  static const char *const schedules[] = {"pack_a=task", "pack_a=task kc=32 mc=9", "pack_a=task pack_b=task kc=16",
                                          "pack_a=task kc=16 layers=2"};
  for (int s = 0; s < 4; ++s)
    for (int signs = 0; signs < 4; ++signs)
      for (int k = 61; k < 65; ++k) {
        char graph[300];
        snprintf(graph, sizeof graph,
                 "x: %s[m, %d]; w: %s%s[%d, n]; y: f32 = dequant(x, 0.5, 3) @ dequant(w, 0.25, 2); return y",
                 bytes[signs % 2], k, s != 2 ? "const " : "", bytes[signs / 2], k);
        ladder_run(engine, &(LadderCase){.graph = graph, .schedule = schedules[s], .symbols = {19 + k % 2, 70}});
      }
  kiln_engine_destroy(engine);
}

/* Sums of a panel's columns are asked for while the next panel is multiplied. */
Test(gemm_quant, tiles_finished_beside_the_next_panel) {
  kiln_engine *engine = ladder_engine_for("sapphirerapids");
  if (engine == NULL) return;
  static const char *const schedules[] = {"mma=tiles epilogue=overlapped",
                                          "mma=tiles epilogue=overlapped kc=64 mc=32 nc=96",
                                          "mma=tiles epilogue=overlapped layers=2 kc=64 nc=64"};
  for (int s = 0; s < 3; ++s)
    for (int form = 0; form < FORMS; ++form)
      one(engine, "sapphirerapids", form, (form + s) % 4, "const ", schedules[s], 40 + form, 101 + form, 90 + 17 * form,
          s == 1);
  kiln_engine_destroy(engine);
}

/* k so long that sums of extreme bytes come near the ends of i32. */
Test(gemm_quant, long_sums) {
  kiln_engine *engine = ladder_engine();
  for (int signs = 0; signs < 4; ++signs) {
    char graph[200];
    snprintf(graph, sizeof graph, "x: %s[m, k]; w: const %s[k, n]; y = x @ w; return y", bytes[signs % 2],
             bytes[signs / 2]);
    ladder_run(engine, &(LadderCase){.graph = graph, .fill = LADDER_ENDS, .symbols = {2, 33000, 3}});
    one(engine, NULL, 3, signs, "const ", NULL, 3, 5, 20000, true);
  }
  kiln_engine_destroy(engine);
}
