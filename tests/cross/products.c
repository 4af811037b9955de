/* products.c: see products.h. Results come from plain loops in f64 or i32; gaps between rows and padding hold NaN or
 * large integers, so that reading them shows. */
#include "tests/cross/products.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void print_layout(ProductLayout layout, const char *panel, int width, int group, const char *stride, Text *out) {
  if (layout == ROWS) text_printf(out, "[%s, 1]", stride);
  if (layout == TURNED) text_printf(out, "[1, %s]", stride);
  if (layout == PANEL) text_printf(out, "%s %dx%d", panel, width, group);
}

static void print_buffers(const Product *p, Text *out) {
  text_printf(out, "%%a: buf<%s, [m, k], ", kiln_type_name(p->a));
  print_layout(p->a_layout, "row_panel", p->mr, p->a_group, "lda", out);
  text_printf(out, ">, %%b: buf<%s, [k, n], ", kiln_type_name(p->b));
  print_layout(p->b_layout, "col_panel", p->nr, p->b_group, "ldb", out);
  text_printf(out, ">, %%c: buf<%s, [m, n], [ldc, 1]>", kiln_type_name(p->c));
}

void product_print(const Product *p, const char *name, Text *out) {
  const char *acc = kiln_type_name(p->acc);
  text_printf(out, "kernel @%s(", name);
  print_buffers(p, out);
  text_printf(out, ")\n    symbols m, n, k, lda, ldb, ldc\n    tasks ceildiv(m, %d) * ceildiv(n, %d) {\n", p->mr,
              p->nr);
  text_printf(out, "  %%i = %d * (%%task / ceildiv(n, %d))\n  %%j = %d * (%%task %% ceildiv(n, %d))\n", p->mr, p->nr,
              p->nr, p->nr);
  if (p->adds)
    text_printf(out, "  %%start = frag_load %%c[%%i, %%j] rows m - %%i cols n - %%j : frag<acc, %dx%d, %s>\n", p->mr,
                p->nr, acc);
  else text_printf(out, "  %%start = frag_zero : frag<acc, %dx%d, %s>\n", p->mr, p->nr, acc);
  text_printf(out, "  %%sum = for %%p = 0 to k step %d carry %%s = %%start {\n", p->kr);
  text_printf(out, "    %%fa = frag_load %%a[%%i, %%p] rows m - %%i cols k - %%p : frag<a, %dx%d, %s>\n", p->mr, p->kr,
              kiln_type_name(p->a));
  text_printf(out, "    %%fb = frag_load %%b[%%p, %%j]%s%s : frag<b, %dx%d, %s>\n",
              p->is_b_bounded ? " rows k - %p" : "", p->b_layout == PANEL ? "" : " cols n - %j", p->kr, p->nr,
              kiln_type_name(p->b));
  text_add(out, "    %next = mma %s, %fa, %fb\n    yield %next\n  }\n");
  if (p->c == p->acc) {
    text_add(out, "  frag_store %sum, %c[%i, %j] rows m - %i cols n - %j\n}\n");
    return;
  }
  text_printf(out, "  %%wide = frag_tile %%sum : tile<%dx%d, %s>\n", p->mr, p->nr, acc);
  text_printf(out, "  %%y = tile_convert %%wide : tile<%dx%d, %s>\n", p->mr, p->nr, kiln_type_name(p->c));
  text_add(out, "  tile_store %y, %c[%i, %j] rows m - %i cols n - %j\n}\n");
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

static uint32_t next(uint64_t *state) {
  *state = *state * 6364136223846793005U + 1442695040888963407U;
  return (uint32_t)(*state >> 33);
}

static double integer_of(kiln_type type, uint32_t bits, ProductData data) {
  double values = ldexp(1, (int)type_bits(type)), least = type_class(type) == CLASS_SIGNED ? -values / 2 : 0;
  if (data == DATA_SPECIAL) return bits % 3 == 0 ? least : least + values - 1;
  return least + fmod(bits, values);
}

/* Special numbers are rare, so that not every result is NaN. */
static double real_of(uint32_t bits, ProductData data) {
  static const double specials[] = {(double)INFINITY, -(double)INFINITY, (double)NAN, -0.0};
  if (data == DATA_SPECIAL && bits % 64 == 0) return specials[bits / 64 % 4];
  if (data == DATA_RANDOM) return (double)bits / 0x1p30 - 1;
  return (double)(bits % 9) - 4;
}

static double element_of(kiln_type type, uint64_t *state, ProductData data) {
  uint32_t bits = next(state);
  return type_is_floating(type) ? real_of(bits, data) : integer_of(type, bits, data);
}

static double untouched(kiln_type type) { return type_is_floating(type) ? (double)NAN : 7; }

static int64_t offset(const BufType *type, const int64_t *symbols, int64_t row, int64_t col) {
  return buf_offset(type, symbols, (int64_t[]){row, col});
}

static void *make_buffer(const BufType *type, const int64_t *symbols, double fill, size_t *elements) {
  *elements = (size_t)buf_span(type, symbols);
  void *memory = calloc(type_bytes(type->type, *elements) + 1, 1);
  KILN_ASSERT(memory);
  for (size_t i = 0; i < *elements; ++i) type_store(type->type, memory, i, fill);
  return memory;
}

static void fill(const BufType *type, const int64_t *symbols, int64_t rows, int64_t cols, void *memory, uint64_t *state,
                 ProductData data) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j)
      type_store(type->type, memory, (size_t)offset(type, symbols, i, j), element_of(type->type, state, data));
}

/* The least positive number of a floating type. */
static double least_of(kiln_type type) {
  double least = 1;
  while (type_round(type, least / 2) > 0) least /= 2;
  return least;
}

/* Makes all elements subnormal. */
static void make_subnormal(kiln_type type, size_t elements, void *memory) {
  double least = least_of(type);
  for (size_t i = 0; i < elements; ++i) type_store(type, memory, i, type_load(type, memory, i) * least);
}

/* The sum of one element, and of the products' magnitudes. */
static double product_of(const double *a, const double *b, int64_t k, double start, double *size) {
  double sum = start;
  *size = fabs(start);
  for (int64_t p = 0; p < k; ++p) sum += a[p] * b[p], *size += fabs(a[p] * b[p]);
  return sum;
}

static double *read_all(const BufType *type, const int64_t *symbols, int64_t rows, int64_t cols, const void *memory,
                        bool turns) {
  double *values = calloc((size_t)(rows * cols) + 1, sizeof(double));
  KILN_ASSERT(values);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j)
      values[turns ? j * rows + i : i * cols + j] = type_load(type->type, memory, (size_t)offset(type, symbols, i, j));
  return values;
}

/* Each addition rounds once, or twice to odd where an instruction does that; the factor covers both. */
static double bound_of(kiln_type acc, int64_t k, double size) {
  return (2 * (double)k + 4) * size * (acc == KILN_F64 ? 0x1p-53 : 0x1p-23);
}

static void expect(const Product *p, const BufType *types[3], ProductCase *c, ProductData data) {
  int64_t m = c->symbols[0], n = c->symbols[1], k = c->symbols[2];
  double *a = read_all(types[0], c->symbols, m, k, c->memory[0], false);
  double *b = read_all(types[1], c->symbols, k, n, c->memory[1], true);
  size_t bytes = type_bytes(p->c, c->elements[2]);
  c->c_after = malloc(bytes + 1);
  KILN_ASSERT(c->c_after);
  memcpy(c->c_after, c->memory[2], bytes);
  bool is_near = data == DATA_RANDOM && type_is_floating(p->acc);
  c->bounds = is_near ? calloc(c->elements[2] + 1, sizeof(double)) : NULL;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      size_t at = (size_t)offset(types[2], c->symbols, i, j);
      double size, start = p->adds ? type_load(p->c, c->memory[2], at) : 0;
      double sum = product_of(a + i * k, b + j * k, k, start, &size);
      if (data == DATA_SUBNORMAL && p->flushes) sum = 0;
      if (p->acc == KILN_I32) sum = (double)(int32_t)(uint32_t)(int64_t)sum; /* wraps */
      if (c->bounds) c->bounds[at] = bound_of(p->acc, k, size) + (p->c == p->acc ? 0 : fabs(sum) * 0x1p-8);
      type_store(p->c, c->c_after, at, sum);
    }
  free(a), free(b);
}

ProductCase product_make(const Product *p, const Kernel *kernel, const int64_t sizes[3], ProductData data,
                         uint64_t seed) {
  ProductCase c = {0};
  const BufType *types[3];
  int64_t m = sizes[0], n = sizes[1], k = sizes[2];
  bool is_nibble = type_bits(p->a) < 8 || type_bits(p->b) < 8;
  int64_t gap = is_nibble ? 2 : 3, even = is_nibble ? 2 : 1;
  memcpy(c.symbols, sizes, 3 * sizeof *sizes);
  c.symbols[3] = ((p->a_layout == TURNED ? m : k) + gap) / even * even;
  c.symbols[4] = ((p->b_layout == TURNED ? k : n) + gap) / even * even;
  c.symbols[5] = n + 5;
  for (int i = 0; i < 3; ++i) {
    types[i] = kernel->buffers.items[i]->type.buf;
    bool is_padded = i == 1 && !p->is_b_bounded;
    c.memory[i] = make_buffer(types[i], c.symbols, is_padded ? 0 : untouched(types[i]->type), &c.elements[i]);
  }
  fill(types[0], c.symbols, m, k, c.memory[0], &seed, data);
  fill(types[1], c.symbols, k, n, c.memory[1], &seed, data);
  if (data == DATA_SUBNORMAL && type_is_floating(p->a)) make_subnormal(p->a, c.elements[0], c.memory[0]);
  if (p->adds) fill(types[2], c.symbols, m, n, c.memory[2], &seed, DATA_EXACT);
  expect(p, types, &c, data);
  return c;
}

void product_release(ProductCase *c) {
  for (int i = 0; i < 3; ++i) free(c->memory[i]);
  free(c->c_after), free(c->bounds);
}
