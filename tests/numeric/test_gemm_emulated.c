/* test_gemm_emulated.c: whole gemm kernels by every matrix instruction of x86, those this CPU lacks executed by
 * tests/emulate: tails of m, n and k, B packed ahead and in the task, epilogues, quantisation; exact and random. Tile
 * registers are emulated even where the CPU has them, for the process does not ask for them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ir/target/target.h"
#include "jit/jit.h"
#include "tests/emulate/emulate.h"
#include "tests/numeric/ladder.h"

typedef struct Row {
  const char *target, *a, *b;
  const char *row;      /* of mma.def: what the products become */
  const char *schedule; /* that makes it so; NULL: the default does */
} Row;

static const Row tiles[] = {
    {"sapphirerapids", "bf16", "bf16", "tdpbf16ps", NULL},    {"sapphirerapids", "u8", "i8", "tdpbusd", NULL},
    {"sapphirerapids", "i8", "u8", "tdpbsud", NULL},          {"sapphirerapids", "i8", "i8", "tdpbssd", NULL},
    {"sapphirerapids", "u8", "u8", "tdpbuud", NULL},          {"graniterapids", "f16", "f16", "tdpfp16ps", NULL},
    {"diamondrapids", "f8e5m2", "f8e5m2", "tdpbf8ps", NULL},  {"diamondrapids", "f8e5m2", "f8e4m3", "tdpbhf8ps", NULL},
    {"diamondrapids", "f8e4m3", "f8e5m2", "tdphbf8ps", NULL}, {"diamondrapids", "f8e4m3", "f8e4m3", "tdphf8ps", NULL},
};

static const Row vectors[] = {
    {"alderlake", "u8", "i8", "vpdpbusd_vex_u8i8", NULL},
    {"alderlake", "i8", "u8", "vpdpbusd_vex_i8u8", NULL},
    {"alderlake", "i8", "i8", "vpdpbusd_vex_i8i8", "convert=load"},
    {"alderlake", "u8", "u8", "vpdpbusd_vex_u8u8", "convert=load"},
    {"sierraforest", "u8", "i8", "vpdpbusd_vex_u8i8", NULL},
    {"sierraforest", "i8", "i8", "vpdpbssd_vex", NULL},
    {"sierraforest", "i8", "u8", "vpdpbsud_vex", NULL},
    {"sierraforest", "u8", "u8", "vpdpbuud_vex", NULL},
    {"sierraforest", "bf16", "bf16", "vcvtne_bf16", "convert=load"},
    {"sierraforest", "f16", "f16", "vcvtne_f16", "convert=load"},
    {"sierraforest", "f32", "bf16", "vcvtne_f32_bf16", "convert=load"},
    {"sierraforest", "f32", "f16", "vcvtne_f32_f16", "convert=load"},
    {"cascadelake", "u8", "i8", "vpdpbusd_u8i8", NULL},
    {"cascadelake", "i8", "u8", "vpdpbusd_i8u8", NULL},
    {"cascadelake", "i8", "i8", "vpdpbusd_i8i8", "convert=load"},
    {"cascadelake", "u8", "u8", "vpdpbusd_u8u8", "convert=load"},
    {"znver5", "bf16", "bf16", "vdpbf16ps", NULL},
    {"diamondrapids", "f16", "f16", "vdpphps", "mma=vectors"},
    {"diamondrapids", "i8", "i8", "vpdpbssd", "mma=vectors"},
    {"diamondrapids", "i8", "u8", "vpdpbsud", "mma=vectors"},
    {"diamondrapids", "u8", "u8", "vpdpbuud", "mma=vectors"},
};

static const char *const plain_forms[] = {
    "x: %s[m, k]; w: const %s[k, n]; y = x @ w; return y",
    "x: %s[m, k]; w: %s[k, n]; y = x @ w; return y",
    "x: %s[m, k]; w: const %s[k, n]; b: f32[n]; r: f32[m, n]; y: f32 = relu(x @ w + b) + r; return y",
    "x: %s[k, m]; w: %s[n, k]; y: bf16 = x.T @ w.T; return y",
};
static const char *const quantised_forms[] = {
    "x: %s[m, k]; w: const %s[k, n]; xs: f32[m, 1]; xz: u8[m, 1]; ws: f32[n]; wz: i8[n]; b: f32[n]; "
    "y: f32 = gelu(dequant(x, xs, xz) @ dequant(w, ws, wz) + b); return y",
    "x: %s[m, k]; w: %s[k, n]; xs: f32[]; ws: f32[n]; os: f32[]; oz: u8[]; "
    "y: u8 = quant(relu(dequant(x, xs) @ dequant(w, ws)), os, oz); return y",
};
enum { PLAIN_FORMS = 4, QUANTISED_FORMS = 2 };

static const MmaInstruction *find_row(const char *name) {
  for (size_t i = 0; i < mma_count(); ++i)
    if (strcmp(mma_get(i)->name, name) == 0) return mma_get(i);
  cr_assert_fail("mma.def has no row %s", name);
  return NULL;
}

static void run_form(kiln_engine *engine, const Row *r, const char *form, const int sizes[3], bool exact) {
  char graph[400];
  snprintf(graph, sizeof graph, form, r->a, r->b);
  LadderCase c = {.graph = graph, .target = r->target, .template_ = "gemm", .schedule = r->schedule, .exact = exact};
  bool turned = strstr(graph, "[k, m]") != NULL;
  c.symbols[0] = sizes[turned ? 2 : 0], c.symbols[1] = sizes[turned ? 0 : 2], c.symbols[2] = sizes[1];
  ladder_run(engine, &c);
}

/* Sizes around a register and around a block of four of them; k around the group, a step and two of them. */
static void run_row(kiln_engine *engine, const Row *r, const MmaInstruction *row) {
  static const int ms[] = {1, 15, 16, 17, 33, 50, 7, 31, 32}, ns[] = {1, 33, 16, 15, 32, 49, 65};
  const int ks[] = {0, 1, row->k - 1, row->k, row->k + 1, 4 * row->k + row->group, 4 * row->k - 1, 9 * row->k};
  bool is_integer = row->acc == KILN_I32;
  int forms = PLAIN_FORMS + (is_integer ? QUANTISED_FORMS : 0);
  for (int i = 0; i < 3 * forms; ++i) {
    int form = i % forms;
    const char *text = form < PLAIN_FORMS ? plain_forms[form] : quantised_forms[form - PLAIN_FORMS];
    const int sizes[3] = {ms[i % 9], ns[i * 2 % 7], ks[(i + i / forms) % 8]};
    bool exact = form < PLAIN_FORMS && (is_integer || i % 2 == 0 || i >= 2 * forms);
    run_form(engine, r, text, sizes, exact);
  }
}

/* That the instruction did it is counted where it is emulated; elsewhere the CPU has it. */
static void check_rows(const Row *rows, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const MmaInstruction *row = find_row(rows[i].row);
    kiln_engine *engine = ladder_engine_for(rows[i].target);
    if (engine == NULL) continue;
    emulate_reset();
    run_row(engine, &rows[i], row);
    kiln_engine_destroy(engine);
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%.*s*", (int)strcspn(row->name, "_"), row->name);
    bool is_emulated = row->strategy == MMA_AMX || (row->features & ~jit_host_features()) != 0;
    if (is_emulated) cr_expect_gt(emulate_count(pattern), 0, "%s: no %s was executed", rows[i].target, row->name);
    printf("EXERCISED: %s on %s, %s in gemm\n", row->name, rows[i].target, is_emulated ? "emulated" : "natively");
  }
}

Test(gemm_emulated, on_tile_registers) { check_rows(tiles, sizeof tiles / sizeof *tiles); }
Test(gemm_emulated, on_vectors) { check_rows(vectors, sizeof vectors / sizeof *vectors); }

/* Accumulators in a row and in a column of sizes that are numbers; blocks of m, n and k, A packed in the task. */
Test(gemm_emulated, shapes_and_blocks) {
  static const int shapes[][3] = {{10, 70, 130}, {90, 10, 100}, {70, 75, 300}};
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; ++i) {
    Row row = tiles[i];
    kiln_engine *engine = ladder_engine_for(row.target);
    if (engine == NULL) continue;
    for (int s = 0; s < 2; ++s) {
      char form[200];
      snprintf(form, sizeof form, "x: %%s[%d, %d]; w: const %%s[%d, %d]; y = x @ w; return y", shapes[s][0],
               shapes[s][2], shapes[s][2], shapes[s][1]);
      run_form(engine, &row, form, shapes[s], true);
    }
    row.schedule = "mma=tiles mr=32 nr=32 mc=32 nc=32 kc=128 pack_a=task";
    run_form(engine, &row, plain_forms[0], shapes[2], true);
    kiln_engine_destroy(engine);
  }
}
