/* test_gemm_random.c: gemm of random element types, layouts, shapes, batches, quantisation, epilogues and schedules, on
 * every target of x86, emulated where this CPU is another; against the interpreter with its bound, on guarded memory.
 *
 * KILN_TEST_SEED=n begins with another seed, KILN_TEST_COUNT=n runs as many. The seed stands in the first line of the
 * graph that a failure prints. Each seed is a case of its own. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/target/target.h"
#include "tests/numeric/ladder.h"
#include "tests/numeric/seeds.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
enum { CASES = 80 };
#else
enum { CASES = 160 };
#endif
enum { MAX_TARGETS = 32 };

typedef struct Chance {
  uint64_t state;
} Chance;

static unsigned below(Chance *chance, unsigned count) {
  uint64_t z = chance->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (unsigned)((z ^ z >> 31) % count);
}

#define PICK(chance, list) ((list)[below(chance, ARRAY_LENGTH(list))])

/* ---- a graph ----------------------------------------------------------------------------------------------------- */

typedef struct Graph {
  char text[1200];
  size_t length;
  int64_t symbols[12]; /* as they first appear */
  int symbol_count;
  char m[8], n[8], k[8]; /* as the text says them */
  int64_t sizes[3];
  const char *batch; /* leading axes: "", "b, " or numbers */
  const char *a, *b;
  bool is_integer, is_exact; /* no result can be off, whatever the order of additions */
} Graph;

__attribute__((format(printf, 2, 3))) static void say(Graph *g, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g->length += (size_t)vsnprintf(g->text + g->length, sizeof g->text - g->length, format, args);
  va_end(args);
}

/* A size as a number, or as a symbol where `is_symbol`; symbols are bound when they first appear in the text. */
static void name_size(char *name, const char *symbol, int64_t size, bool is_symbol) {
  if (is_symbol) snprintf(name, 8, "%s", symbol);
  else snprintf(name, 8, "%d", (int)size);
}

static void bind_name(Graph *g, const char *name, const char *symbol, int64_t value, bool *is_bound) {
  if (*is_bound || strcmp(name, symbol) != 0) return;
  g->symbols[g->symbol_count++] = value;
  *is_bound = true;
}

typedef struct Bound {
  bool sizes[3], batch;
} Bound;

static void use_size(Graph *g, Bound *bound, int which) {
  const char *names[] = {g->m, g->n, g->k}, *const symbols[] = {"m", "n", "k"};
  bind_name(g, names[which], symbols[which], g->sizes[which], &bound->sizes[which]);
}

enum { BATCH = 2 };

/* `name: type[rows, columns]`, plain or with strides; leading strides are symbols of their own. With leading axes where
 * the graph is a batch, or now and then without, which broadcast. */
static void declare(Graph *g, Bound *bound, Chance *chance, const char *name, const char *type, int rows, int columns) {
  const char *names[] = {g->m, g->n, g->k};
  bool is_first = name[0] == 'x', is_batch = g->batch[0] != '\0' && (is_first || below(chance, 3) > 0);
  say(g, "%s: %s[%s%s, %s]", name, type, is_batch ? g->batch : "", names[rows], names[columns]);
  if (is_batch) bind_name(g, g->batch, "b, ", BATCH, &bound->batch);
  use_size(g, bound, rows);
  use_size(g, bound, columns);
  unsigned way = below(chance, 5);
  if (way > 1 || (is_batch && strcmp(g->batch, "b, ") != 0)) return;
  int64_t inner = g->sizes[way == 0 ? columns : rows], ld = inner + 1 + below(chance, 9);
  say(g, " strides [");
  if (is_batch) say(g, "bs%s, ", name);
  say(g, way == 0 ? "ld%s, 1]" : "1, ld%s]", name);
  if (is_batch) g->symbols[g->symbol_count++] = (g->sizes[way == 0 ? rows : columns] + below(chance, 2)) * ld;
  g->symbols[g->symbol_count++] = ld;
}

static void choose_types(Graph *g, Chance *chance) {
  static const char *const floats[] = {"f32", "bf16", "f16", "f8e4m3", "f8e5m2"}, *const bytes[] = {"u8", "i8"};
  g->is_integer = below(chance, 2);
  if (g->is_integer) {
    g->a = PICK(chance, bytes);
    g->b = PICK(chance, bytes);
  } else {
    g->a = PICK(chance, floats);
    g->b = below(chance, 2) ? g->a : PICK(chance, floats); /* those that instructions know */
    if (below(chance, 16) == 0) g->a = g->b = "f64";
  }
}

static void choose_sizes(Graph *g, Chance *chance) {
  static const int64_t ms[] = {1, 2, 5, 7, 8, 13, 15, 16, 17, 31, 32, 33, 50, 70};
  static const int64_t ns[] = {1, 3, 8, 15, 16, 17, 32, 33, 47, 48, 64, 65, 100};
  static const int64_t ks[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 127, 128, 130, 257};
  g->sizes[0] = PICK(chance, ms);
  g->sizes[1] = PICK(chance, ns);
  g->sizes[2] = PICK(chance, ks);
  g->batch = below(chance, 4) > 0 ? "" : below(chance, 2) ? "b, " : "2, 1, ";
  name_size(g->m, "m", g->sizes[0], below(chance, 3) > 0);
  name_size(g->n, "n", g->sizes[1], below(chance, 3) > 0);
  name_size(g->k, "k", g->sizes[2], below(chance, 3) > 0);
}

/* Scale and zero point of a factor, as inputs or numbers, per tensor, row or column; says `dequant(...)` in `out`. */
static void quantise(Graph *g, Chance *chance, const char *name, bool is_a, char out[64]) {
  static const char *const zero_types[] = {"u8", "i8"}, *const scale_types[] = {"f32", "f32", "bf16"};
  static const char *const numbers[] = {"0.25", "2"}, *const zeros[] = {"3", "127", "0"};
  char vector[24], scale[16], zero[16];
  bool is_vector = below(chance, 2);
  if (is_a) snprintf(vector, sizeof vector, "[%s, 1]", g->m);
  else snprintf(vector, sizeof vector, below(chance, 2) ? "[%s]" : "[1, %s]", g->n);
  snprintf(scale, sizeof scale, "%ss", name);
  snprintf(zero, sizeof zero, "%sz", name);
  if (below(chance, 5) == 0) {
    snprintf(scale, sizeof scale, "%s", PICK(chance, numbers));
    is_vector = false;
  } else {
    say(g, "; %s: %s%s", scale, PICK(chance, scale_types), is_vector ? vector : "[]");
  }
  unsigned way = below(chance, 4);
  if (way == 0) snprintf(out, 64, "dequant(%s, %s)", name, scale);
  else if (way == 1) snprintf(zero, sizeof zero, "%s", PICK(chance, zeros));
  else say(g, "; %s: %s%s", zero, PICK(chance, zero_types), is_vector && below(chance, 2) ? vector : "[]");
  if (way > 0) snprintf(out, 64, "dequant(%s, %s, %s)", name, scale, zero);
}

/* Begins the statement of value i of `count`: p<i>, but the last one is named and annotated as `result` unless NULL. */
static void begin_value(Graph *g, int i, int count, const char *result) {
  if (i == count - 1 && result != NULL) say(g, "; %s = ", result);
  else say(g, "; p%d = ", i);
}

/* Element-wise math on p<i>, with an input of its own where the text has it not yet. */
static void add_step(Graph *g, Bound *bound, Chance *chance, int i, int count, const char *result) {
  static const char *const functions[] = {"relu", "gelu", "silu", "tanh", "sigmoid", "abs", "hardswish"};
  unsigned way = below(chance, 4);
  if (way == 0 && strstr(g->text, "; b:") == NULL) say(g, "; b: f32[%s]", g->n);
  if (way == 1 && strstr(g->text, "; c:") == NULL) say(g, "; c: f32[%s, 1]", g->m);
  if (way == 2 && strstr(g->text, "; r:") == NULL) {
    say(g, "; ");
    declare(g, bound, chance, "r", "f32", 0, 1);
  }
  begin_value(g, i + 1, count, result);
  if (way == 3) say(g, "%s(p%d)", PICK(chance, functions), i);
  else say(g, "p%d %c %c", i, "+*-"[way], "bcr"[way]);
  g->is_exact = false;
}

static void make_graph(Graph *g, Chance *chance, unsigned long long seed) {
  static const char *const results[] = {"f32", "f32", "bf16", "f16"};
  Bound bound = {0};
  char left[64] = "x", right[64] = "w";
  *g = (Graph){.is_exact = true};
  choose_types(g, chance);
  choose_sizes(g, chance);
  say(g, "# seed %llu\n", seed);
  bool is_quantised = g->is_integer && below(chance, 2), is_f64 = strcmp(g->a, "f64") == 0;
  bool a_turned = !is_quantised && below(chance, 3) == 0, b_turned = !is_quantised && below(chance, 3) == 0;
  declare(g, &bound, chance, "x", g->a, a_turned ? 2 : 0, a_turned ? 0 : 2);
  say(g, "; ");
  char weight[16];
  snprintf(weight, sizeof weight, "%s%s", below(chance, 3) ? "const " : "", g->b);
  declare(g, &bound, chance, "w", weight, b_turned ? 1 : 2, b_turned ? 2 : 1);
  if (is_quantised) {
    g->is_exact = false;
    quantise(g, chance, "x", true, left);
    quantise(g, chance, "w", false, right);
  }
  bool is_i32 = g->is_integer && !is_quantised, is_bytes = is_quantised && below(chance, 2);
  bool is_turned = !is_bytes && below(chance, 6) == 0;
  const char *type = is_f64 ? "f64" : is_i32 && below(chance, 2) ? "i32" : PICK(chance, results);
  char result[16];
  snprintf(result, sizeof result, "%s: %s", is_turned ? "q" : "y", type);
  int count = 1 + (is_f64 || is_i32 ? 0 : (int)below(chance, 4));
  begin_value(g, 0, count, is_bytes ? NULL : result);
  say(g, "%s%s @ %s%s", left, a_turned ? ".T" : "", right, b_turned ? ".T" : "");
  for (int i = 0; i + 1 < count; ++i) add_step(g, &bound, chance, i, count, is_bytes ? NULL : result);
  g->is_exact &= strcmp(type, "f32") == 0 || is_f64 || strcmp(type, "i32") == 0;
  bool has_zero = below(chance, 2);
  if (is_bytes)
    say(g, "; os: f32[]%s; y: u8 = quant(p%d, os%s)", has_zero ? "; oz: u8[]" : "", count - 1, has_zero ? ", oz" : "");
  say(g, is_turned ? "; y = q.T; return y" : "; return y");
}

/* ---- a case ------------------------------------------------------------------------------------------------------ */

/* One of its engine's, or NULL where the graph refuses it. */
static const char *choose_schedule(kiln_engine *engine, const Graph *g, const char *target, Chance *chance) {
  static const char *const schedules[] = {"mma=vectors",
                                          "pack_a=task",
                                          "pack_b=task",
                                          "convert=load",
                                          "epilogue=rows",
                                          "epilogue=registers",
                                          "store_c=streamed",
                                          "epilogue=rows store_c=streamed",
                                          "mc=9 nc=48",
                                          "mc=32 nc=64 kc=64",
                                          "kc=30 mc=20 nc=40",
                                          "layers=3 mc=32 nc=48",
                                          "layers=2 kc=20 tasks=5",
                                          "mma=vectors pack_a=task kc=33 mc=9",
                                          "mma=vectors convert=load pack_b=task",
                                          "mr=5 pack_a=task pack_b=task"};
  if (below(chance, 3) == 0) return NULL;
  kiln_kernel *kernel;
  const char *schedule = PICK(chance, schedules);
  if (strstr(schedule, "mr=") != NULL && g->m[0] != 'm') return NULL; /* rows that are fewer must not be cut so */
  kiln_compile_options options = {.size = sizeof options, .target = target, .template_ = "gemm", .schedule = schedule};
  if (kiln_compile_text(engine, g->text, &options, &kernel) != KILN_OK) return NULL;
  kiln_kernel_release(kernel);
  return schedule;
}

static LadderFill choose_fill(const Graph *g, Chance *chance) {
  if (g->is_integer) return below(chance, 2) ? LADDER_ENDS : LADDER_NUMBERS;
  return g->is_exact && below(chance, 6) == 0 ? LADDER_SPECIAL : LADDER_NUMBERS;
}

static void run_seed(kiln_engine *engine, const char *target, unsigned long long seed) {
  Chance chance = {seed * 2654435761u};
  Graph g;
  make_graph(&g, &chance, seed);
  const char *schedule = choose_schedule(engine, &g, target, &chance);
  LadderCase c = {
      .graph = g.text,
      .target = target,
      .template_ = "gemm",
      .schedule = schedule,
      .packing = below(&chance, 3) ? KILN_PACK_CONST : KILN_PACK_NEVER,
      .fill = choose_fill(&g, &chance),
      .threads = (int)below(&chance, 4),
  };
  c.exact = g.is_exact && (g.is_integer || below(&chance, 2) || c.fill == LADDER_SPECIAL);
  memcpy(c.symbols, g.symbols, sizeof c.symbols);
  ladder_run(engine, &c);
}

Test(gemm_random, all_targets) {
  unsigned long long first = (unsigned long long)seeds_from_environment("KILN_TEST_SEED", 1);
  long long cases = seeds_from_environment("KILN_TEST_COUNT", CASES);
  kiln_engine *engines[MAX_TARGETS];
  const char *names[MAX_TARGETS];
  unsigned count = 0;
  for (size_t t = 0; t < target_count(); ++t) {
    const Target *target = target_get(t);
    if (target->family != FAMILY_X86_64) continue;
    cr_assert_lt(count, MAX_TARGETS);
    names[count] = target->name;
    engines[count] = ladder_engine_for(target->name);
    count += engines[count] != NULL;
  }
  printf("seeds %llu to %llu on %u targets\n", first, first + (unsigned long long)cases - 1, count);
  seeds_watch();
  for (unsigned long long seed = first; count > 0 && seed < first + (unsigned long long)cases; ++seed) {
    seeds_at(seed);
    run_seed(engines[seed % count], names[seed % count], seed);
  }
  for (unsigned t = 0; t < count; ++t) kiln_engine_destroy(engines[t]);
}
