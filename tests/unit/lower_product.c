/* lower_product.c: see lower_product.h. */
#include "tests/unit/lower_product.h"

#include <stdio.h>
#include <string.h>

void product_check(const Product *p) {
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
              "    %%next = %s %%sum, %%fa, %%fb\n    yield %%next\n  }\n"
              "  frag_store %%acc, %%c[%%i, %%j] rows m - %%i cols n - %%j\n}\n",
              p->ku, p->k % p->ku ? " cols k - %p" : "", p->mr, p->ku, a, p->bounds_b ? " rows k - %p" : "",
              is_panel ? "" : " cols n - %j", p->ku, p->nr, b, p->multiply ? p->multiply : "mma");
  const LowerBuffer buffers[] = {
      {p->a, p->a_count, p->fill, 0}, {p->b, p->b_count, p->fill, 0}, {p->acc, p->m * p->n, FILL_OUTPUT, 0}};
  const int64_t symbols[] = {p->m, p->n, p->k};
  lower_check_on(&(LowerCase){text_get(&text), symbols, buffers, 3}, p->target);
  text_release(&text);
}

static int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

void product_check_layout(Product p, int group, int i, int j) {
  const char *const a_layouts[PRODUCT_A_LAYOUTS] = {"", ", [1, m]", ", row_panel %dx%d", ", row_panel %dx1"};
  const char *const b_layouts[PRODUCT_B_LAYOUTS] = {", col_panel %dx%d", "", ", [1, k]", ", col_panel %dx1"};
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
    product_check(&p);
  }
}
