/* make_cases.c: TARGET FOLDER: writes objects for another machine, kernels.h with their names, and the file of cases
 * that the driver runs them on.
 *
 * Three kinds of kernels: products of every pair of types in several shapes and layouts; random tile IR, whose results
 * the interpreter gives; the functions of vecmath over a coarse walk through all floats. A line says which matrix
 * instruction each product uses. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/compile.h"
#include "kiln/args.h"
#include "tests/cross/graphs.h"
#include "tests/cross/products.h"
#include "tests/fuzz/random_tile.h"

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

/* The object of a module of one kernel. */
static void compile(Maker *maker, const Module *module, const char *text) {
  Diagnostics faults;
  JitBuffer object;
  JitCompile options = {.output = JIT_OUTPUT_OBJECT, .key = "", .key_length = 0};
  const char *name = module->kernels.items[0]->name;
  diagnostics_init(&faults, NULL);
  if (jit_compile(module, maker->target, &options, NULL, &object, &faults) != KILN_OK)
    maker_fail(faults.list.count ? faults.list.items[0].message : "compile", text);
  diagnostics_release(&faults);
  maker_add_kernel(maker, name, object.data, object.size);
  fprintf(maker->kernels, "KERNEL(%s)\n", name);
  jit_buffer_release(&object);
}

static Module *parse(const char *text, size_t length) {
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  Module *module = tile_parse(text, length, NULL, &faults);
  if (faults.list.count == 0) tile_verify(module, &faults);
  if (faults.list.count > 0) maker_fail(faults.list.items[0].message, text);
  diagnostics_release(&faults);
  return module;
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

typedef struct Types {
  kiln_type a, b, acc, c;
  bool is_thorough; /* every size up to twice a register tile */
} Types;

static const Types pairs[] = {
    {KILN_F32, KILN_F32, KILN_F32, KILN_F32, true},        {KILN_F64, KILN_F64, KILN_F64, KILN_F64, false},
    {KILN_F16, KILN_F16, KILN_F32, KILN_F32, false},       {KILN_BF16, KILN_BF16, KILN_F32, KILN_F32, true},
    {KILN_BF16, KILN_BF16, KILN_F32, KILN_BF16, false},    {KILN_F16, KILN_F16, KILN_F32, KILN_F16, false},
    {KILN_F8E4M3, KILN_F8E4M3, KILN_F32, KILN_F32, false}, {KILN_F8E5M2, KILN_F8E4M3, KILN_F32, KILN_BF16, false},
    {KILN_F64, KILN_F32, KILN_F64, KILN_F64, false},       {KILN_F32, KILN_BF16, KILN_F32, KILN_F32, false},
    {KILN_BF16, KILN_F32, KILN_F32, KILN_F32, false},      {KILN_F16, KILN_F32, KILN_F32, KILN_F16, false},
    {KILN_I8, KILN_I8, KILN_I32, KILN_I32, false},         {KILN_U8, KILN_I8, KILN_I32, KILN_I32, true},
    {KILN_I8, KILN_U8, KILN_I32, KILN_I32, false},         {KILN_U8, KILN_U8, KILN_I32, KILN_I32, false},
    {KILN_U8, KILN_I8, KILN_I32, KILN_F32, false},         {KILN_I8, KILN_I4, KILN_I32, KILN_I32, false},
};

typedef struct Shape {
  int mr, nr, steps; /* of k: a few of the row's */
  ProductLayout a_layout, b_layout;
  bool adds, is_b_bounded;
} Shape;

/* Every row gets the first one with every pair of types; they take turns among the others. */
static const Shape shapes[] = {
    {7, 12, 2, ROWS, PANEL, false, false}, {4, 16, 1, ROWS, ROWS, true, true},
    {1, 8, 2, ROWS, TURNED, false, true},  {5, 7, 1, TURNED, PANEL, false, true},
    {6, 16, 4, PANEL, PANEL, true, false}, {2, 2, 1, PANEL, ROWS, false, true},
    {3, 34, 2, ROWS, PANEL, true, true},   {8, 12, 1, TURNED, TURNED, false, true},
    {1, 1, 1, ROWS, PANEL, false, false},  {9, 24, 2, ROWS, PANEL, false, true},
    {8, 8, 3, PANEL, PANEL, false, false},
};

static bool is_wanted(const Product *p) {
  if (type_bits(p->b) >= 8) return true;
  /* Nibbles lie two in a byte, so they must be neighbours. */
  return p->b_layout == PANEL && p->b_group % 2 == 0 && p->kr % 2 == 0;
}

static void make_size(const Maker *maker, const Product *p, const Kernel *kernel, const int64_t sizes[3], int turn) {
  ProductData data = (ProductData)(turn % DATA_COUNT);
  if (data == DATA_SUBNORMAL && p->adds) data = DATA_EXACT; /* such sums are not exact */
  ProductCase c = product_make(p, kernel, sizes, data, (uint64_t)turn);
  char label[72];
  snprintf(label, sizeof label, "%s %s*%s %dx%dx%d data %d", kernel->name, kiln_type_name(p->a), kiln_type_name(p->b),
           p->mr, p->nr, p->kr, (int)data);
  maker_put_case(maker, label, c.symbols, 6, 3);
  maker_put_buffer(maker, p->a, c.elements[0], c.memory[0], NULL, NULL);
  maker_put_buffer(maker, p->b, c.elements[1], c.memory[1], NULL, NULL);
  maker_put_buffer(maker, p->c, c.elements[2], c.memory[2], c.c_after, c.bounds);
  product_release(&c);
}

/* k is 0, 1, around the step and around twice it. */
static void make_sizes(const Maker *maker, const Product *p, const Kernel *kernel, bool is_thorough) {
  const int64_t ks[] = {0, 1, p->kr - 1, p->kr, p->kr + 1, 2 * p->kr - 1, 2 * p->kr + 3, 37};
  int turn = 0;
  for (int64_t m = 1; m <= 2 * p->mr; ++m) {
    bool is_m_near = m % p->mr <= 1 || m % p->mr == p->mr - 1;
    for (int64_t n = 1; n <= 2 * p->nr; ++n) {
      bool is_n_near = n % p->nr <= 1 || n % p->nr == p->nr - 1;
      if (!is_thorough && (!is_m_near || !is_n_near)) continue;
      make_size(maker, p, kernel, (int64_t[]){m, n, ks[(size_t)turn % ARRAY_LENGTH(ks)]}, turn);
      ++turn;
    }
  }
}

/* The k of fragments that this row multiplies, of so many steps if that can be; 0: others are always taken instead. */
static int find_k(const Target *target, const Types *types, const MmaInstruction *row, const Shape *shape) {
  for (int steps = shape->steps; steps > 0; --steps) {
    MmaProduct product = {.a = types->a, .b = types->b, .acc = types->acc, .m = shape->mr, .n = shape->nr};
    product.k = row->k * steps;
    if (mma_find(target, &product) == row) return product.k;
  }
  return 0;
}

static bool make_product(Maker *maker, const Types *types, const MmaInstruction *row, const Shape *shape) {
  int kr = find_k(maker->target, types, row, shape);
  if (kr == 0) return false;
  Product p = {.a = types->a, .b = types->b, .acc = types->acc, .c = types->c, .mr = shape->mr, .nr = shape->nr};
  p.kr = type_bits(types->b) < 8 ? 2 * kr : kr;
  p.a_layout = shape->a_layout, p.b_layout = shape->b_layout;
  p.a_group = row->group, p.b_group = type_bits(types->b) < 8 ? 2 * row->group : row->group;
  p.adds = shape->adds && types->c == types->acc;
  p.is_b_bounded = shape->is_b_bounded || p.b_group % p.kr != 0;
  p.flushes = strncmp(row->name, "bf", 2) == 0;
  if (!is_wanted(&p)) return false;
  char name[32];
  Text text;
  text_init(&text, NULL);
  snprintf(name, sizeof name, "product_%lld", (long long)maker->kernel + 1);
  product_print(&p, name, &text);
  Module *module = parse(text_get(&text), text.length);
  compile(maker, module, text_get(&text));
  make_sizes(maker, &p, module->kernels.items[0], types->is_thorough && shape == shapes);
  module_destroy(module);
  text_release(&text);
  return true;
}

/* Each row that the target has for each pair of types. */
static void make_products(Maker *maker) {
  size_t turn = 0;
  for (size_t i = 0; i < ARRAY_LENGTH(pairs); ++i) {
    const MmaInstruction *rows[MMA_MAX_CANDIDATES];
    size_t count = mma_candidates(maker->target, pairs[i].a, pairs[i].b, pairs[i].acc, rows);
    for (size_t j = 0; j < count; ++j) {
      bool is_done = make_product(maker, &pairs[i], rows[j], &shapes[0]);
      for (int k = 0; k < 2; ++k)
        is_done |= make_product(maker, &pairs[i], rows[j], &shapes[1 + turn++ % (ARRAY_LENGTH(shapes) - 1)]);
      if (is_done) printf("EXERCISED: %s on %s, by qemu\n", rows[j]->name, maker->target->name);
    }
  }
}

/* ---- random tile IR ---------------------------------------------------------------------------------------------- */

static void interpret(const RandomTile *tile, void *const *buffers, const char *text) {
  Kernel *kernel = tile->module->kernels.items[0];
  int64_t workspace_bytes = tile_workspace(kernel, tile->symbols);
  void *workspace = calloc((size_t)workspace_bytes + 1, 1);
  TileRun run = {
      .buffers = buffers, .symbols = tile->symbols, .workspace = workspace, .workspace_bytes = workspace_bytes};
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  if (tile_interpret(kernel, &run, 0, tile_tasks(kernel, tile->symbols), NULL, &faults) != KILN_OK)
    maker_fail("interpret", text);
  diagnostics_release(&faults);
  free(workspace);
}

static double *make_bounds(kiln_type type, size_t elements, const void *after) {
  double *bounds = calloc(elements + 1, sizeof *bounds);
  KILN_ASSERT(bounds);
  for (size_t i = 0; i < elements; ++i) {
    double x = type_load(type, after, i);
    bounds[i] = isfinite(x) ? 1e-6 + 1e-5 * fabs(x) : 0;
  }
  return bounds;
}

static void put_random(const Maker *maker, const RandomTile *tile, const char *text) {
  char label[72];
  void *after[RANDOM_BUFFERS];
  for (size_t i = 0; i < tile->buffer_count; ++i) {
    after[i] = calloc(random_tile_bytes(tile, i) + 1, 1);
    random_tile_fill(tile, i, after[i]);
  }
  interpret(tile, after, text);
  snprintf(label, sizeof label, "random tile, seed %llu", (unsigned long long)tile->seed);
  maker_put_case(maker, label, tile->symbols, RANDOM_SYMBOLS, (int64_t)tile->buffer_count);
  for (size_t i = 0; i < tile->buffer_count; ++i) {
    const RandomBuffer *buffer = &tile->buffers[i];
    size_t elements = (size_t)buffer->elements, bytes = random_tile_bytes(tile, i);
    void *before = calloc(bytes + 1, 1);
    random_tile_fill(tile, i, before);
    double *bounds = buffer->role == RANDOM_NEAR ? make_bounds(buffer->type->type, elements, after[i]) : NULL;
    maker_put_buffer(maker, buffer->type->type, elements, before, buffer->role == RANDOM_INPUT ? NULL : after[i],
                     bounds);
    free(before), free(bounds), free(after[i]);
  }
}

static void make_random(Maker *maker, uint64_t first, uint64_t last) {
  for (uint64_t seed = first; seed <= last; ++seed) {
    RandomTile tile = random_tile_make(seed, NULL, 0);
    char name[32];
    Text text;
    text_init(&text, NULL);
    snprintf(name, sizeof name, "random_%llu", (unsigned long long)seed);
    tile.module->kernels.items[0]->name = name;
    tile_print(tile.module, &text);
    compile(maker, tile.module, text_get(&text));
    put_random(maker, &tile, text_get(&text));
    text_release(&text);
    random_tile_release(&tile);
  }
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

static double rsqrt_of(double x) { return 1 / sqrt(x); }

static const struct {
  const char *name;
  double (*exact)(double);
  double ulp;
} functions[] = {{"exp", exp, 2}, {"log", log, 2}, {"tanh", tanh, 4}, {"erf", erf, 4}, {"rsqrt", rsqrt_of, 2}};

enum { WALK_STEP = 99991, WALK_COUNT = 42955 /* 2^32 / WALK_STEP */ };

static double ulps(float x, double count) {
  if (!isfinite(x)) return 0;
  return count * fabs((double)nextafterf(fabsf(x), INFINITY) - (double)fabsf(x));
}

static void make_function(Maker *maker, size_t number) {
  static float x[WALK_COUNT], y[WALK_COUNT], before[WALK_COUNT];
  static double bounds[WALK_COUNT];
  const char *name = functions[number].name;
  Text text;
  text_init(&text, NULL);
  text_printf(
      &text, "kernel @f_%s(%%x: buf<f32, [n]>, %%y: buf<f32, [n]>)\n    symbols n\n    tasks ceildiv(n, 19) {\n", name);
  text_add(&text, "  %i = 19 * %task\n  %v = tile_load %x[%i] cols n - %i : tile<1x19, f32>\n");
  text_printf(&text, "  %%w = tile_%s %%v\n  tile_store %%w, %%y[%%i] cols n - %%i\n}\n", name);
  Module *module = parse(text_get(&text), text.length);
  compile(maker, module, text_get(&text));
  for (uint32_t i = 0; i < WALK_COUNT; ++i) {
    uint32_t bits = i * WALK_STEP;
    memcpy(&x[i], &bits, sizeof bits);
    y[i] = (float)functions[number].exact((double)x[i]);
    bounds[i] = ulps(y[i], functions[number].ulp + 0.5); /* y itself is rounded */
    before[i] = NAN;
  }
  int64_t symbols[] = {WALK_COUNT};
  maker_put_case(maker, name, symbols, 1, 2);
  maker_put_buffer(maker, KILN_F32, WALK_COUNT, x, NULL, NULL);
  maker_put_buffer(maker, KILN_F32, WALK_COUNT, before, y, bounds);
  module_destroy(module);
  text_release(&text);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  Maker maker = {.target = target_find(arguments[1]), .folder = arguments[2], .kernel = -1};
  if (!maker.target) maker_fail("no such target", arguments[1]);
  maker.cases = maker_open_file(&maker, "cases.bin");
  maker.kernels = maker_open_file(&maker, "kernels.h");
  make_graphs(&maker);
  make_products(&maker);
  make_random(&maker, 6, 12);
  for (size_t i = 0; i < ARRAY_LENGTH(functions); ++i) make_function(&maker, i);
  bool failed = fclose(maker.cases) != 0;
  failed |= fclose(maker.kernels) != 0;
  return failed;
}
