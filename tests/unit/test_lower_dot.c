/* Lowering of dot products: every instruction, layout, bound and k around its group, against the interpreter. */
#include <criterion/criterion.h>

#include "tests/unit/lower_product.h"

typedef struct Row {
  kiln_type a, b, acc;
  int group;
  const char *targets[4];
} Row;

static const Row rows[] = {
    {KILN_U8, KILN_I8, KILN_I32, 2, {"haswell", "skylake-avx512"}},
    {KILN_I8, KILN_U8, KILN_I32, 2, {"haswell", "skylake-avx512"}},
    {KILN_I8, KILN_I8, KILN_I32, 2, {"haswell", "skylake-avx512"}},
    {KILN_U8, KILN_U8, KILN_I32, 2, {"haswell", "skylake-avx512"}},
    {KILN_U8, KILN_I8, KILN_I32, 4, {"alderlake", "cascadelake", "sierraforest"}},
    {KILN_I8, KILN_U8, KILN_I32, 4, {"alderlake", "cascadelake", "sierraforest", "diamondrapids"}},
    {KILN_I8, KILN_I8, KILN_I32, 4, {"alderlake", "cascadelake", "sierraforest", "diamondrapids"}},
    {KILN_U8, KILN_U8, KILN_I32, 4, {"alderlake", "cascadelake", "sierraforest", "diamondrapids"}},
    {KILN_BF16, KILN_BF16, KILN_F32, 2, {"haswell", "cooperlake", "sierraforest", "skylake-avx512"}},
    {KILN_F32, KILN_BF16, KILN_F32, 2, {"haswell", "cooperlake", "sierraforest"}},
    {KILN_F16, KILN_F16, KILN_F32, 2, {"sierraforest", "diamondrapids"}},
    {KILN_F32, KILN_F16, KILN_F32, 2, {"sierraforest"}},
};

static void check_rows(LowerFill fill, void (*check_one)(Product p, int group)) {
  for (size_t i = 0; i < ARRAY_LENGTH(rows); ++i) {
    const Row *row = &rows[i];
    if ((fill == FILL_BITS) != (row->acc == KILN_I32)) continue;
    for (int t = 0; t < 4 && row->targets[t]; ++t)
      check_one((Product){.a = row->a, .b = row->b, .acc = row->acc, .target = row->targets[t], .fill = fill},
                row->group);
  }
}

static void check_small(Product p, int group) {
  p.mr = 3, p.nr = 20, p.ku = group;
  p.m = p.mr + 1, p.n = p.nr + 1;
  for (p.k = 1; p.k <= 2 * p.ku + 1; ++p.k) product_check_layout(p, group, 0, 0);
  p.k = 2 * p.ku + 1;
  for (int i = 1; i < PRODUCT_A_LAYOUTS; ++i) product_check_layout(p, group, i, 0);
  for (int j = 1; j < PRODUCT_B_LAYOUTS; ++j) product_check_layout(p, group, 0, j);
}

/* All values of the integers, -128, 127 and 255 among them. */
Test(lower_dot, integers) { check_rows(FILL_BITS, check_small); }
Test(lower_dot, floats) { check_rows(FILL_SMALL, check_small); }

static void check_special(Product p, int group) {
  p.mr = 6, p.nr = 16, p.ku = 2 * group;
  p.m = p.mr, p.n = p.nr, p.k = 2 * p.ku - 1;
  product_check_layout(p, group, 0, 0);
}

Test(lower_dot, infinities_and_nan) { check_rows(FILL_SPECIAL, check_special); }

static void check_tiles(Product p, int group) {
  static const int tiles[][3] = {{1, 1, 1}, {14, 32, 2}, {2, 64, 4}, {5, 7, 3}, {4, 2, 1}, {6, 16, 2}};
  for (int i = 0; i < (int)ARRAY_LENGTH(tiles); ++i) {
    p.mr = tiles[i][0], p.nr = tiles[i][1], p.ku = tiles[i][2] * group;
    p.m = 2 * p.mr - 1, p.n = 2 * p.nr, p.k = 3 * p.ku - 1;
    product_check_layout(p, group, 0, 0);
    product_check_layout(p, group, i % PRODUCT_A_LAYOUTS, (i + 1) % PRODUCT_B_LAYOUTS);
  }
}

Test(lower_dot, tiles_of_integers) { check_rows(FILL_BITS, check_tiles); }
Test(lower_dot, tiles_of_floats) { check_rows(FILL_SMALL, check_tiles); }
