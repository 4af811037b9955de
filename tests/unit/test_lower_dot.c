/* Lowering of dot products: every instruction, layout, bound and k around its group, against the interpreter. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/lower_run.h"

/* A kernel with one loop over k in steps of `ku`, whose tail is a bound. */
typedef struct Product {
  kiln_type a, b, acc;
  const char *target;
  int mr, nr, ku;
  const char *a_layout, *b_layout;
  int64_t a_count, b_count;
  bool bounds_b; /* along k, though a panel needs it only where its padding holds anything */
  LowerFill fill;
  int64_t m, n, k;
} Product;

static void check(const Product *p) {
  Text text;
  const char *a = kiln_type_name(p->a), *b = kiln_type_name(p->b), *acc = kiln_type_name(p->acc);
  bool is_panel = strstr(p->b_layout, "panel") != NULL;
  text_init(&text, NULL);
  text_printf(&text,
              "kernel @product(%%a: buf<%s, [m, k]%s>, %%b: buf<%s, [k, n]%s>, %%c: buf<%s, [m, n]>)\n"
              "    symbols m, n, k\n    tasks ceildiv(m, %d) * ceildiv(n, %d) {\n"
              "  %%i = %d * (%%task / ceildiv(n, %d))\n  %%j = %d * (%%task %% ceildiv(n, %d))\n"
              "  %%zero = frag_zero : frag<acc, %dx%d, %s>\n",
              a, p->a_layout, b, p->b_layout, acc, p->mr, p->nr, p->mr, p->nr, p->nr, p->nr, p->mr, p->nr, acc);
  text_printf(&text,
              "  %%acc = for %%p = 0 to k step %d carry %%sum = %%zero {\n"
              "    %%fa = frag_load %%a[%%i, %%p] rows m - %%i%s : frag<a, %dx%d, %s>\n"
              "    %%fb = frag_load %%b[%%p, %%j]%s%s : frag<b, %dx%d, %s>\n"
              "    %%next = mma %%sum, %%fa, %%fb\n    yield %%next\n  }\n"
              "  frag_store %%acc, %%c[%%i, %%j] rows m - %%i cols n - %%j\n}\n",
              p->ku, p->k % p->ku ? " cols k - %p" : "", p->mr, p->ku, a, p->bounds_b ? " rows k - %p" : "",
              is_panel ? "" : " cols n - %j", p->ku, p->nr, b);
  const LowerBuffer buffers[] = {
      {p->a, p->a_count, p->fill, 0}, {p->b, p->b_count, p->fill, 0}, {p->acc, p->m * p->n, FILL_OUTPUT, 0}};
  const int64_t symbols[] = {p->m, p->n, p->k};
  lower_check_on(&(LowerCase){text_get(&text), symbols, buffers, 3}, p->target);
  text_release(&text);
}

static int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

enum { A_LAYOUTS = 4, B_LAYOUTS = 4 };

/* Layouts number `i` of a: as it is, transposed, rows in panels; and `j` of b: panels of groups, as it is, transposed,
 * panels of one. */
static void check_layout(Product p, int group, int i, int j) {
  const char *const a_layouts[A_LAYOUTS] = {"", ", [1, m]", ", row_panel %dx%d", ", row_panel %dx1"};
  const char *const b_layouts[B_LAYOUTS] = {", col_panel %dx%d", "", ", [1, k]", ", col_panel %dx1"};
  char a_layout[64], b_layout[64];
  snprintf(a_layout, sizeof a_layout, a_layouts[i], p.mr, group);
  snprintf(b_layout, sizeof b_layout, b_layouts[j], p.nr, group);
  p.a_layout = a_layout;
  p.b_layout = b_layout;
  p.a_count = padded(p.m, i >= 2 ? p.mr : 1) * padded(p.k, i == 2 ? group : 1);
  p.b_count = padded(p.n, j == 0 || j == 3 ? p.nr : 1) * padded(p.k, j == 0 ? group : 1);
  bool is_padded = j == 0 && padded(p.k, group) == padded(p.k, p.ku);
  for (int bounded = is_padded ? 0 : 1; bounded < 2; ++bounded) {
    p.bounds_b = bounded && p.k % p.ku;
    check(&p);
  }
}

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
  for (p.k = 1; p.k <= 2 * p.ku + 1; ++p.k) check_layout(p, group, 0, 0);
  p.k = 2 * p.ku + 1;
  for (int i = 1; i < A_LAYOUTS; ++i) check_layout(p, group, i, 0);
  for (int j = 1; j < B_LAYOUTS; ++j) check_layout(p, group, 0, j);
}

/* All values of the integers, -128, 127 and 255 among them. */
Test(lower_dot, integers) { check_rows(FILL_BITS, check_small); }
Test(lower_dot, floats) { check_rows(FILL_SMALL, check_small); }

static void check_tiles(Product p, int group) {
  static const int tiles[][3] = {{1, 1, 1}, {14, 32, 2}, {2, 64, 4}, {5, 7, 3}, {4, 2, 1}, {6, 16, 2}};
  for (int i = 0; i < (int)ARRAY_LENGTH(tiles); ++i) {
    p.mr = tiles[i][0], p.nr = tiles[i][1], p.ku = tiles[i][2] * group;
    p.m = 2 * p.mr - 1, p.n = 2 * p.nr, p.k = 3 * p.ku - 1;
    check_layout(p, group, 0, 0);
    check_layout(p, group, i % A_LAYOUTS, (i + 1) % B_LAYOUTS);
  }
}

Test(lower_dot, tiles_of_integers) { check_rows(FILL_BITS, check_tiles); }
Test(lower_dot, tiles_of_floats) { check_rows(FILL_SMALL, check_tiles); }
