/* Lowering of fragments and their products, for every pair of operand types. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/lower_run.h"

/* A product kernel with a loop over k in steps of `ku` and one for the rest. */
typedef struct Product {
  kiln_type a, b, acc;
  int mr, nr, ku;
  const char *a_layout, *b_layout;
  int64_t a_count, b_count;
  const char *a_bounds, *b_bounds, *c_bounds;
  int64_t m, n, k;
} Product;

static void add_loop(Text *text, const Product *p, const char *name, const char *lo, const char *hi, int step,
                     const char *from) {
  text_printf(text,
              "  %%%s = for %%p = %s to %s step %d carry %%sum = %%%s {\n"
              "    %%fa = frag_load %%a[%%i, %%p]%s : frag<a, %dx%d, %s>\n"
              "    %%fb = frag_load %%b[%%p, %%j]%s : frag<b, %dx%d, %s>\n"
              "    %%next = mma %%sum, %%fa, %%fb\n    yield %%next\n  }\n",
              name, lo, hi, step, from, p->a_bounds, p->mr, step, kiln_type_name(p->a), p->b_bounds, step, p->nr,
              kiln_type_name(p->b));
}

static void check(const Product *p) {
  Text text;
  const char *acc = kiln_type_name(p->acc);
  text_init(&text, NULL);
  text_printf(
      &text,
      "kernel @product(%%a: buf<%s%s>, %%b: buf<%s%s>, %%c: buf<%s, [m, n]>)\n    symbols m, n, k\n"
      "    tasks ceildiv(m, %d) * ceildiv(n, %d) {\n  %%i = %d * (%%task / ceildiv(n, %d))\n"
      "  %%j = %d * (%%task %% ceildiv(n, %d))\n  %%whole = k / %d * %d\n  %%zero = frag_zero : frag<acc, %dx%d, %s>\n",
      kiln_type_name(p->a), p->a_layout, kiln_type_name(p->b), p->b_layout, acc, p->mr, p->nr, p->mr, p->nr, p->nr,
      p->nr, p->ku, p->ku, p->mr, p->nr, acc);
  add_loop(&text, p, "main", "0", "%whole", p->ku, "zero");
  bool has_rest = strstr(p->a_bounds, "cols") == NULL;
  if (has_rest) add_loop(&text, p, "acc", "%whole", "k", 1, "main");
  else add_loop(&text, p, "acc", "%whole", "k", p->ku, "main");
  text_printf(&text, "  frag_store %%acc, %%c[%%i, %%j]%s\n}\n", p->c_bounds);
  const LowerBuffer buffers[] = {
      {p->a, p->a_count, FILL_SMALL, 0}, {p->b, p->b_count, FILL_SMALL, 0}, {p->acc, p->m * p->n, FILL_OUTPUT, 0}};
  const int64_t symbols[] = {p->m, p->n, p->k};
  lower_check(&(LowerCase){text_get(&text), symbols, buffers, 3});
  if (p->k == 6) lower_check_compiles(text_get(&text));
  text_release(&text);
}

static int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Tails are bounds; b lies in panels or as it is. */
static void check_sizes(Product p, int64_t m, int64_t n, int64_t k, bool is_packed) {
  char layout[64];
  snprintf(layout, sizeof layout, ", [k, n], col_panel %dx1", p.nr);
  p.m = m, p.n = n, p.k = k;
  p.a_layout = ", [m, k]";
  p.b_layout = is_packed ? layout : ", [k, n]";
  p.a_count = m * k;
  p.b_count = is_packed ? k * padded(n, p.nr) : k * n;
  p.a_bounds = " rows m - %i";
  p.b_bounds = is_packed ? "" : " cols n - %j";
  p.c_bounds = " rows m - %i cols n - %j";
  check(&p);
}

Test(lower_frag, sizes) {
  const Product p = {.a = KILN_F32, .b = KILN_F32, .acc = KILN_F32, .mr = 6, .nr = 16, .ku = 4};
  for (int64_t m = 1; m <= 12; m += 5)
    for (int64_t n = 1; n <= 33; n += 16)
      for (int64_t k = 0; k <= 6; k += 3)
        for (int packed = 0; packed < 2; ++packed) check_sizes(p, m, n, k, packed);
}

Test(lower_frag, tiles) {
  static const int tiles[][3] = {{1, 1, 1},  {8, 48, 4}, {12, 32, 4}, {14, 32, 2},
                                 {1, 64, 8}, {3, 20, 2}, {5, 7, 3},   {16, 8, 1}};
  for (size_t i = 0; i < ARRAY_LENGTH(tiles); ++i) {
    Product p = {
        .a = KILN_F32, .b = KILN_F32, .acc = KILN_F32, .mr = tiles[i][0], .nr = tiles[i][1], .ku = tiles[i][2]};
    check_sizes(p, 2 * p.mr - 1, 2 * p.nr - (p.nr > 1), 9, false);
    check_sizes(p, p.mr + 1, p.nr + 3, 9, true);
  }
}

static void check_types(kiln_type a, kiln_type b, kiln_type acc) {
  Product p = {.a = a, .b = b, .acc = acc, .mr = 4, .nr = 24, .ku = 2};
  bool is_nibble = type_bits(b) < 8;
  check_sizes(p, 7, is_nibble ? 30 : 29, 6, false);
  check_sizes(p, 7, 29, 5, true);
}

Test(lower_frag, floats) {
  static const kiln_type types[] = {KILN_F32, KILN_F16, KILN_BF16, KILN_F8E4M3, KILN_F8E5M2};
  for (size_t i = 0; i < ARRAY_LENGTH(types); ++i)
    for (size_t j = 0; j < ARRAY_LENGTH(types); ++j)
      if (i == j || j == 0 || i == 0) check_types(types[i], types[j], KILN_F32);
}

Test(lower_frag, f64) {
  static const kiln_type types[] = {KILN_F64, KILN_F32, KILN_F16, KILN_BF16, KILN_F8E4M3};
  for (size_t i = 0; i < ARRAY_LENGTH(types); ++i) {
    check_types(KILN_F64, types[i], KILN_F64);
    if (i > 0) check_types(types[i], KILN_F64, KILN_F64);
  }
}

Test(lower_frag, integers) {
  static const kiln_type types[] = {KILN_I32, KILN_I8, KILN_U8, KILN_I4, KILN_U4};
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < ARRAY_LENGTH(types); ++j) check_types(types[i], types[j], KILN_I32);
}

/* Transposed and strided operands, grouped panels, bounds along k. */
Test(lower_frag, layouts) {
  Product p = {.a = KILN_F32, .b = KILN_F32, .acc = KILN_F32, .mr = 5, .nr = 20, .ku = 4, .m = 9, .n = 37, .k = 10};
  p.c_bounds = " rows m - %i cols n - %j";
  p.a_bounds = " rows m - %i";
  p.b_bounds = " cols n - %j";
  p.a_layout = ", [m, k], [1, m]", p.a_count = 90;
  p.b_layout = ", [k, n], [1, k]", p.b_count = 370;
  check(&p);
  p.a_layout = ", [m, k], row_panel 5x2", p.a_count = 100;
  p.b_layout = ", [k, n], col_panel 20x2", p.b_count = 400;
  check(&p);
  p.a_bounds = " rows m - %i cols k - %p";
  p.b_bounds = " rows k - %p cols n - %j";
  check(&p);
  p.a_layout = ", [m, k]", p.a_count = 90;
  p.b_layout = ", [k, n]", p.b_count = 370;
  check(&p);
  p.b_bounds = " rows k - %p";
  p.b_layout = ", [k, n], col_panel 20x1", p.b_count = 400;
  check(&p);
}

/* Accumulators pass through memory, tiles, loops and choices; operands are made of tiles and are carried. */
Test(lower_frag, conversions) {
  const LowerBuffer buffers[] = {{KILN_BF16, 4 * 3, FILL_SMALL, 0},
                                 {KILN_BF16, 3 * 20, FILL_SMALL, 0},
                                 {KILN_F32, 4 * 20, FILL_SMALL, 0},
                                 {KILN_F32, 4 * 20, FILL_OUTPUT, 0},
                                 {KILN_F32, 4 * 20, FILL_OUTPUT, 0}};
  for (int64_t s = 0; s < 3; ++s) {
    static const char text[] =
        "kernel @frags(%a: buf<bf16, [4, 3]>, %b: buf<bf16, [3, 20]>, %c: buf<f32, [4, 20]>,\n"
        "    %out: buf<f32, [4, 20]>, %doubled: buf<f32, [4, 20]>)\n    symbols s\n{\n"
        "  %ta = tile_load %a[0, 0] : tile<4x3, bf16>\n  %fa = tile_frag %ta : frag<a, 4x3, bf16>\n"
        "  %tb = tile_load %b[0, 0] : tile<3x20, bf16>\n  %fb = tile_frag %tb : frag<b, 3x20, bf16>\n"
        "  %lb = frag_load %b[0, 0] : frag<b, 3x20, bf16>\n"
        "  %start = frag_load %c[0, 0] rows 3 cols 17 : frag<acc, 4x20, f32>\n"
        "  %zero = frag_zero : frag<acc, 4x20, f32>\n"
        "  %from = if s < 1 {\n    yield %zero\n  } else {\n    %again = frag_load %c[0, 0] : frag<acc, 4x20, f32>\n   "
        " yield %again\n  }\n"
        "  %sum, %last = for %i = 0 to s step 1 carry %x = %from, %y = %lb {\n    %n = mma %x, %fa, %y\n    yield %n, "
        "%fb\n  }\n"
        "  frag_store %sum, %out[0, 0]\n  %t = frag_tile %sum : tile<4x20, f32>\n  %d = tile_add %t, %t\n"
        "  %fd = tile_frag %d : frag<acc, 4x20, f32>\n  %e = mma %fd, %fa, %last\n"
        "  frag_store %e, %doubled[0, 0]\n  frag_store %start, %out[0, 0] rows 3 cols 17\n}\n";
    lower_check(&(LowerCase){text, &s, buffers, 5});
  }
}

/* A load is not moved past a store: the product sees what was there before. */
Test(lower_frag, stores_between) {
  const LowerBuffer buffers[] = {
      {KILN_F32, 16, FILL_SMALL, 0}, {KILN_F32, 64, FILL_OUTPUT, 0}, {KILN_F32, 64, FILL_OUTPUT, 0}};
  lower_check(
      &(LowerCase){"kernel @order(%a: buf<f32, [4, 4]>, %b: buf<f32, [4, 16]>, %c: buf<f32, [4, 16]>) {\n"
                   "  %one = tile_const 1 : tile<4x16, f32>\n  tile_store %one, %b[0, 0]\n"
                   "  %fa = frag_load %a[0, 0] : frag<a, 4x4, f32>\n  %fb = frag_load %b[0, 0] : frag<b, 4x16, f32>\n"
                   "  %two = tile_const 2 : tile<4x16, f32>\n  tile_store %two, %b[0, 0]\n"
                   "  %zero = frag_zero : frag<acc, 4x16, f32>\n  %x = mma %zero, %fa, %fb\n"
                   "  frag_store %x, %c[0, 0]\n}\n",
                   NULL, buffers, 3});
}
