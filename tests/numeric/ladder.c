/* ladder.c: see the header. Linux: mmap and mprotect. */
#include "tests/numeric/ladder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ir/graph/graph.h"
#include "ir/target/target.h"
#include "jit/jit.h"
#include "runtime/runtime.h"
#include "tests/emulate/emulate.h"

enum { PAGE = 4096, PATTERN = 0xa5, MAX_TENSORS = 16 };
#define LEAST_NORMAL 0x1p-126 /* of f32 and bf16 */

/* ---- guarded memory ---------------------------------------------------------------------------------------------- */

/* `bytes` at the start or the end of pages between two that trap. */
typedef struct Guarded {
  char *map;
  size_t map_bytes;
  char *data;
  size_t bytes;
} Guarded;

static Guarded guarded(size_t bytes, size_t align, bool at_end) {
  size_t inner = (bytes + PAGE - 1) / PAGE * PAGE + PAGE;
  Guarded g = {.map_bytes = inner + 2 * PAGE, .bytes = bytes};
  g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert_neq(g.map, MAP_FAILED);
  mprotect(g.map, PAGE, PROT_NONE);
  mprotect(g.map + PAGE + inner, PAGE, PROT_NONE);
  g.data = at_end ? g.map + PAGE + (inner - bytes) / align * align : g.map + PAGE;
  memset(g.data, PATTERN, bytes);
  return g;
}

static void unguard(Guarded *g) {
  if (g->map != NULL) munmap(g->map, g->map_bytes);
  g->map = NULL;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

typedef struct PoolRun {
  atomic_llong next;
  void (*body)(void *arg, int64_t index);
  void *arg;
} PoolRun;

static void *pool_thread(void *ctx) {
  PoolRun *run = ctx;
  for (long long task; (task = atomic_fetch_sub(&run->next, 1)) >= 0;) run->body(run->arg, task);
  return NULL;
}

static void pool_for(void *ctx, int64_t count, void (*body)(void *arg, int64_t index), void *arg) {
  int threads = *(const int *)ctx;
  PoolRun run = {count - 1, body, arg};
  pthread_t handles[16];
  for (int i = 0; i < threads; ++i) pthread_create(&handles[i], NULL, pool_thread, &run);
  for (int i = 0; i < threads; ++i) pthread_join(handles[i], NULL);
}

LadderPool ladder_pool(int count) {
  static const int counts[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  return (LadderPool){{(void *)(uintptr_t)&counts[count], count, pool_for}};
}

/* ---- engine and targets ------------------------------------------------------------------------------------------ */

kiln_engine *ladder_engine(void) {
  kiln_engine *engine;
  kiln_engine_options options = {.size = sizeof options, .cache_dir = "", .cache_path = ""};
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  return engine;
}

kiln_engine *ladder_engine_for(const char *name) {
  const Target *target = target_find(name);
  FeatureSet tiles = (FeatureSet)1 << FEATURE_AMXTILE;
  FeatureSet emulated = target->features & (~jit_host_features() | tiles);
  if (emulated != 0 && !emulate_install()) {
    printf("NOT EXERCISED: %s: emulation: this CPU lacks AVX\n", name);
    return NULL;
  }
  for (int i = 0; i < FEATURE_COUNT; ++i) {
    const char *why;
    if ((emulated >> i & 1) == 0 || emulate_can(feature_name((Feature)i), &why)) continue;
    printf("NOT EXERCISED: %s: %s: %s\n", name, feature_name((Feature)i), why);
    return NULL;
  }
  kiln_engine *engine;
  kiln_engine_options options = {.size = sizeof options, .cache_dir = "", .cache_path = ""};
  cr_assert_eq(rt_engine_create(&options, emulated | tiles, &engine), KILN_OK); /* never asks for AMX */
  return engine;
}

static void find_usable(kiln_engine *engine, const char *const *rows, size_t row_count, const char **usable,
                        int *count) {
  kiln_cpu cpu;
  cr_assert_eq(kiln_engine_cpu(engine, &cpu), KILN_OK);
  FeatureSet present;
  cr_assert(features_parse(cpu.features, strlen(cpu.features), &present));
  *count = 0;
  usable[(*count)++] = NULL;
  for (size_t i = 0; i < row_count; ++i) {
    if ((target_find(rows[i])->features & ~present) == 0) usable[(*count)++] = rows[i];
    else printf("NOT EXERCISED: native code for %s: this CPU lacks its features\n", rows[i]);
  }
}

const char *const *ladder_targets(kiln_engine *engine, int *count) {
  static const char *const rows[] = {"skylake-avx512", "haswell", "x86-64"};
  static const char *usable[ARRAY_LENGTH(rows) + 1];
  find_usable(engine, rows, ARRAY_LENGTH(rows), usable, count);
  return usable;
}

const char *const *ladder_instruction_targets(kiln_engine *engine, int *count) {
  static const char *const rows[] = {"cooperlake", "cascadelake", "skylake-avx512", "alderlake", "haswell", "x86-64"};
  static const char *usable[ARRAY_LENGTH(rows) + 1];
  find_usable(engine, rows, ARRAY_LENGTH(rows), usable, count);
  return usable;
}

/* ---- one case ---------------------------------------------------------------------------------------------------- */

typedef struct Rig {
  const LadderCase *c;
  kiln_engine *engine;
  kiln_graph *graph;
  kiln_kernel *kernel;
  bool at_end;
  Guarded inputs[MAX_TENSORS], blobs[MAX_TENSORS], outputs[MAX_TENSORS], workspace;
  const void *passed[MAX_TENSORS];
  void *results[MAX_TENSORS];
  void *originals[MAX_TENSORS]; /* inputs as they were: a result may take an input's memory */
} Rig;

static const Node *input_node(const Rig *rig, size_t i) { return graph_node(rig->graph, rig->graph->inputs.items[i]); }
static const Node *output_node(const Rig *rig, size_t i) {
  return graph_node(rig->graph, rig->graph->outputs.items[i]);
}

/* The least positive number of a float type. */
static double least_of(kiln_type type) {
  double x = 1;
  while (type_round(type, x / 2) != 0) x /= 2;
  return x;
}

/* A power of two that makes normal numbers of the other factor's subnormal ones, as far as the type reaches. */
static double raising(kiln_type type) {
  double scale = 0x1p23;
  while (type_round(type, 3 * scale) != 3 * scale) scale /= 2;
  return scale;
}

static double draw_float(kiln_type type, const LadderCase *c, size_t input, uint32_t r) {
  double small = (double)(r % 7) - 3;
  bool is_subnormal = input == (c->fill == LADDER_SUBNORMAL_A ? 0 : 1);
  switch (c->fill) {
  case LADDER_SPECIAL: return r % 97 < 1 ? NAN : r % 97 < 3 ? INFINITY : r % 97 < 5 ? -INFINITY : small;
  case LADDER_SUBNORMAL_A:
  case LADDER_SUBNORMAL_B: return small * (is_subnormal ? least_of(type) : raising(type));
  case LADDER_TINY: return small * 0x1p-70;
  case LADDER_NUMBERS:
  case LADDER_ENDS:
  case LADDER_GREATEST: break;
  }
  return c->exact ? small : (double)r / 8388608.0 - 1;
}

static double draw(kiln_type type, const LadderCase *c, size_t input, uint32_t *state) {
  static const double ends[2][4] = {{-128, 127, -127, -128}, {255, 0, 254, 255}};
  *state = *state * 1664525U + 1013904223U;
  uint32_t r = *state >> 8;
  if (type_is_floating(type)) return draw_float(type, c, input, r);
  if (type == KILN_BOOL) return r % 2;
  bool is_byte = type == KILN_I8 || type == KILN_U8;
  if (c->fill == LADDER_ENDS && is_byte) return ends[type == KILN_U8][r % 4];
  if (c->fill == LADDER_GREATEST && is_byte) return type == KILN_U8 ? 255 : -128;
  return type_class(type) == CLASS_UNSIGNED ? r % 5 : (double)(r % 7) - 3;
}

/* Rows that an input names, as the index of a gather or the offsets of a grouped product; -1: it is neither. */
static int64_t rows_named(const Rig *rig, size_t i, bool *ascends) {
  for (size_t n = 0; n < rig->graph->nodes.count; ++n) {
    const Node *node = graph_node(rig->graph, (int)n);
    *ascends = node->op == KILN_OP_GROUPED_MATMUL;
    if (!*ascends && node->op != KILN_OP_GATHER) continue;
    if (node->operands[*ascends ? 2 : 1] != rig->graph->inputs.items[i]) continue;
    return dim_value(graph_node(rig->graph, node->operands[0])->shape.dims[0], rig->c->symbols);
  }
  return -1;
}

static void draw_index(Rig *rig, size_t i, int64_t span, int64_t rows, bool ascends) {
  uint32_t state = (uint32_t)(i * 31 + (size_t)span);
  for (int64_t e = 0; e < span; ++e) {
    state = state * 1664525U + 1013904223U;
    ((int32_t *)(void *)rig->inputs[i].data)[e] =
        (int32_t)(ascends ? (e + 1) * rows / (span + 1) : (state >> 8) % rows);
  }
}

static void make_input(Rig *rig, size_t i) {
  const Node *node = input_node(rig, i);
  int64_t span = node_span(node, rig->c->symbols);
  size_t bytes = type_bytes(node->type, (size_t)span);
  rig->inputs[i] = guarded(bytes, type_bits(node->type) > 8 ? type_bits(node->type) / 8 : 1, rig->at_end);
  uint32_t state = (uint32_t)(i * 977 + (size_t)span);
  for (int64_t e = 0; e < span; ++e)
    type_store(node->type, rig->inputs[i].data, (size_t)e, draw(node->type, rig->c, i, &state));
  bool ascends;
  int64_t rows = rows_named(rig, i, &ascends);
  if (rows >= 0) draw_index(rig, i, span, rows, ascends);
  rig->passed[i] = rig->inputs[i].data;
  rig->originals[i] = malloc(bytes + 1);
  memcpy(rig->originals[i], rig->inputs[i].data, bytes);
  for (int64_t e = 0; rig->c->flushes && e < span; ++e)
    if (fabs(type_load(node->type, rig->originals[i], (size_t)e)) < LEAST_NORMAL)
      type_store(node->type, rig->originals[i], (size_t)e, 0);
  if (!kiln_kernel_is_packed(rig->kernel, i)) return;
  cr_assert_eq(kiln_packed_bytes(rig->kernel, i, rig->c->symbols, &bytes), KILN_OK);
  rig->blobs[i] = guarded(bytes, 64, rig->at_end);
  cr_assert_eq(kiln_pack(rig->kernel, i, rig->c->symbols, rig->inputs[i].data, rig->blobs[i].data, bytes), KILN_OK);
  rig->passed[i] = rig->blobs[i].data;
}

static void make_output(Rig *rig, size_t i) {
  const Node *node = output_node(rig, i);
  size_t bytes = type_bytes(node->type, (size_t)node_span(node, rig->c->symbols));
  rig->outputs[i] = guarded(bytes, type_bits(node->type) > 8 ? type_bits(node->type) / 8 : 1, rig->at_end);
  rig->results[i] = rig->outputs[i].data;
  if (i == 0 && rig->c->in_place) {
    size_t last = rig->graph->inputs.count - 1;
    rig->results[0] = rig->inputs[last].data;
  } else if (type_is_floating(node->type) && !node->has_strides) {
    memset(rig->results[i], 0xff, bytes);
  }
}

static void compile(Rig *rig) {
  kiln_buffer message = {0};
  kiln_compile_options options = {
      .size = sizeof options,
      .target = rig->c->target,
      .template_ = rig->c->template_,
      .schedule = rig->c->schedule,
      .packing = rig->c->packing,
      .message = &message,
  };
  cr_assert_eq(kiln_graph_parse(rig->c->graph, strlen(rig->c->graph), NULL, &rig->graph), KILN_OK);
  kiln_status status = kiln_compile(rig->engine, rig->graph, &options, &rig->kernel);
  cr_assert_eq(status, KILN_OK, "%s: %s: %s", rig->c->graph, kiln_status_text(status),
               message.data != NULL ? message.data : "");
  kiln_buffer_free(&message);
}

static void run(Rig *rig) {
  LadderPool pool = ladder_pool(rig->c->threads);
  const kiln_threads *threads = rig->c->threads > 0 ? &pool.threads : kiln_threads_serial();
  size_t bytes = 0;
  cr_assert_eq(kiln_workspace_bytes(rig->kernel, rig->c->symbols, threads, &bytes), KILN_OK);
  rig->workspace = guarded(bytes, 64, rig->at_end);
  kiln_call call = {
      .size = sizeof call,
      .inputs = rig->passed,
      .outputs = rig->results,
      .symbols = rig->c->symbols,
      .workspace = rig->workspace.data,
      .workspace_bytes = bytes,
      .threads = threads,
  };
  kiln_status status = kiln_run(rig->kernel, &call);
  cr_assert_eq(status, KILN_OK, "%s: %s", rig->c->graph, kiln_status_text(status));
}

static int64_t offset_of(const Node *node, const int64_t *symbols, int64_t index) {
  int64_t offset = 0;
  for (int axis = node->shape.rank - 1; axis >= 0; --axis) {
    int64_t size = dim_value(node->shape.dims[axis], symbols);
    offset += index % size * node_stride(node, axis, symbols);
    index /= size;
  }
  return offset;
}

/* Elements of a strided result that belong to no index must hold the pattern still. */
static void check_gaps(const Rig *rig, size_t o, const GraphResult *result) {
  const Node *node = output_node(rig, o);
  size_t bytes = type_bits(node->type) / 8, span = (size_t)node_span(node, rig->c->symbols);
  if (!node->has_strides || bytes == 0) return;
  bool *used = calloc(span + 1, sizeof *used);
  for (int64_t e = 0; e < result->count; ++e) used[offset_of(node, rig->c->symbols, e)] = true;
  const unsigned char *data = rig->results[o];
  for (size_t e = 0; e < span; ++e)
    for (size_t b = 0; b < bytes && !used[e]; ++b)
      cr_assert_eq(data[e * bytes + b], PATTERN, "%s: the gap at element %zu is overwritten", rig->c->graph, e);
  free(used);
}

static void compare(Rig *rig) {
  Arena arena;
  arena_init(&arena, NULL);
  GraphResult results[MAX_TENSORS];
  kiln_status status =
      graph_interpret(rig->graph, rig->c->symbols, (const void *const *)rig->originals, &arena, results, NULL);
  cr_assert_eq(status, KILN_OK, "%s: interpreter: %s", rig->c->graph, kiln_status_text(status));
  const int64_t *s = rig->c->symbols;
  for (size_t o = 0; o < rig->graph->outputs.count; ++o) {
    const Node *node = output_node(rig, o);
    for (int64_t e = 0; e < results[o].count; ++e) {
      double got = type_load(node->type, rig->results[o], (size_t)offset_of(node, s, e)), want = results[o].values[e];
      double bound = rig->c->exact ? 0 : results[o].bounds[e];
      if (rig->c->flushes && fabs(want) < LEAST_NORMAL) want = 0;
      if (graph_accepts(want, bound, got)) continue;
      cr_assert_fail("%s (%lld %lld %lld, target %s, schedule %s, %d threads, guard %s): result %zu element %lld: "
                     "found %.9g, expected %.9g +- %g",
                     rig->c->graph, (long long)s[0], (long long)s[1], (long long)s[2],
                     rig->c->target != NULL ? rig->c->target : "host",
                     rig->c->schedule != NULL ? rig->c->schedule : "default", rig->c->threads,
                     rig->at_end ? "behind" : "in front", o, (long long)e, got, want, bound);
    }
    check_gaps(rig, o, &results[o]);
  }
  arena_release(&arena);
}

static void run_once(kiln_engine *engine, const LadderCase *c, bool at_end, void *bytes, size_t size) {
  Rig rig = {.c = c, .engine = engine, .at_end = at_end};
  compile(&rig);
  cr_assert_leq(rig.graph->inputs.count, MAX_TENSORS);
  for (size_t i = 0; i < rig.graph->inputs.count; ++i) make_input(&rig, i);
  for (size_t o = 0; o < rig.graph->outputs.count; ++o) make_output(&rig, o);
  run(&rig);
  if (bytes != NULL) memcpy(bytes, rig.results[0], size);
  else compare(&rig);
  for (size_t i = 0; i < MAX_TENSORS; ++i) {
    unguard(&rig.inputs[i]);
    unguard(&rig.blobs[i]);
    unguard(&rig.outputs[i]);
    free(rig.originals[i]);
  }
  unguard(&rig.workspace);
  kiln_kernel_release(rig.kernel);
  kiln_graph_destroy(rig.graph);
}

void ladder_run(kiln_engine *engine, const LadderCase *c) {
  run_once(engine, c, false, NULL, 0);
  run_once(engine, c, true, NULL, 0);
}

void ladder_result(kiln_engine *engine, const LadderCase *c, void *bytes, size_t size) {
  run_once(engine, c, true, bytes, size);
}
