/* Lowering to tile registers: every instruction, layout, bound and shape, against the interpreter. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/emulate/native.h"
#include "tests/unit/lower_product.h"

typedef struct Row {
  kiln_type a, b, acc;
  int step, group;
  const char *target;
} Row;

static const Row rows[] = {
    {KILN_BF16, KILN_BF16, KILN_F32, 32, 2, "sapphirerapids"},
    {KILN_U8, KILN_I8, KILN_I32, 64, 4, "sapphirerapids"},
    {KILN_I8, KILN_U8, KILN_I32, 64, 4, "sapphirerapids"},
    {KILN_I8, KILN_I8, KILN_I32, 64, 4, "sapphirerapids"},
    {KILN_U8, KILN_U8, KILN_I32, 64, 4, "sapphirerapids"},
    {KILN_F16, KILN_F16, KILN_F32, 32, 2, "graniterapids"},
    {KILN_F8E5M2, KILN_F8E5M2, KILN_F32, 64, 4, "diamondrapids"},
    {KILN_F8E5M2, KILN_F8E4M3, KILN_F32, 64, 4, "diamondrapids"},
    {KILN_F8E4M3, KILN_F8E5M2, KILN_F32, 64, 4, "diamondrapids"},
    {KILN_F8E4M3, KILN_F8E4M3, KILN_F32, 64, 4, "diamondrapids"},
};

static Product product_of(const Row *row, int mr, int nr, int ku) {
  return (Product){.a = row->a,
                   .b = row->b,
                   .acc = row->acc,
                   .target = row->target,
                   .mr = mr,
                   .nr = nr,
                   .ku = ku * row->step,
                   .fill = row->acc == KILN_I32 ? FILL_BITS : FILL_SMALL};
}

/* k around the groups and around a register's. */
Test(lower_amx, every_instruction) {
  for (size_t r = 0; r < ARRAY_LENGTH(rows); ++r) {
    Product p = product_of(&rows[r], 18, 32, 1);
    p.m = p.mr + 1, p.n = p.nr + 1;
    const int64_t ks[] = {1, rows[r].group, p.ku - 1, p.ku, p.ku + 1, 2 * p.ku + rows[r].group};
    for (size_t i = 0; i < ARRAY_LENGTH(ks); ++i) {
      p.k = ks[i];
      product_check_layout(p, rows[r].group, 0, 0);
    }
  }
}

/* The CPU's own registers, where it has them; elsewhere all of this file is emulated. */
Test(lower_amx, natively) {
  const char *feature = native_has("amx-bf16") && native_has("amx-int8") ? NULL : "this CPU has no AMX";
  if (!feature && !native_permit_amx()) feature = "the kernel does not permit AMX";
  if (feature) {
    fprintf(stderr, "NOT EXERCISED: AMX natively: %s\n", feature);
    return;
  }
  for (size_t r = 0; r < 5; ++r) {
    Product p = product_of(&rows[r], 32, 32, 2);
    p.m = 2 * p.mr - 3, p.n = 3 * p.nr - 1;
    for (p.k = p.ku - 1; p.k <= 2 * p.ku + 3; p.k += p.ku / 4) product_check_layout(p, rows[r].group, 0, 0);
  }
}

Test(lower_amx, layouts) {
  for (size_t r = 0; r < 2; ++r) {
    Product p = product_of(&rows[r], 32, 32, 1);
    p.m = p.mr + 3, p.n = p.nr, p.k = p.ku + 3;
    for (int i = 1; i < PRODUCT_A_LAYOUTS; ++i) product_check_layout(p, rows[r].group, i, 0);
    for (int j = 1; j < PRODUCT_B_LAYOUTS; ++j) product_check_layout(p, rows[r].group, 0, j);
  }
}

Test(lower_amx, shapes) {
  static const int shapes[][3] = {{16, 16, 1}, {16, 32, 1}, {16, 48, 2}, {16, 64, 1}, {32, 16, 1}, {48, 16, 2},
                                  {64, 16, 1}, {32, 32, 2}, {5, 32, 1},  {1, 64, 1},  {17, 32, 1}, {49, 16, 1}};
  for (size_t r = 0; r < 2; ++r) {
    for (size_t s = 0; s < ARRAY_LENGTH(shapes); ++s) {
      Product p = product_of(&rows[r], shapes[s][0], shapes[s][1], shapes[s][2]);
      for (p.m = 1; p.m <= p.mr; p.m += p.mr > 1 ? p.mr - 1 : 1) {
        p.n = p.nr - 1, p.k = 2 * p.ku + 2;
        product_check_layout(p, rows[r].group, 0, 0);
      }
    }
  }
}
