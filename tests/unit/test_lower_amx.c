/* Lowering to tile registers: every instruction, layout, bound and shape, against the interpreter. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulate/native.h"
#include "tests/unit/lower_product.h"

typedef struct Row {
  kiln_type a, b, acc;
  int step, group;
  const char *target, *multiply;
} Row;

static const Row rows[] = {
    {KILN_BF16, KILN_BF16, KILN_F32, 32, 2, "sapphirerapids", NULL},
    {KILN_U8, KILN_I8, KILN_I32, 64, 4, "sapphirerapids", NULL},
    {KILN_I8, KILN_U8, KILN_I32, 64, 4, "sapphirerapids", NULL},
    {KILN_I8, KILN_I8, KILN_I32, 64, 4, "sapphirerapids", NULL},
    {KILN_U8, KILN_U8, KILN_I32, 64, 4, "sapphirerapids", NULL},
    {KILN_F16, KILN_F16, KILN_F32, 32, 2, "graniterapids", NULL},
    {KILN_F8E5M2, KILN_F8E5M2, KILN_F32, 64, 4, "diamondrapids", NULL},
    {KILN_F8E5M2, KILN_F8E4M3, KILN_F32, 64, 4, "diamondrapids", NULL},
    {KILN_F8E4M3, KILN_F8E5M2, KILN_F32, 64, 4, "diamondrapids", NULL},
    {KILN_F8E4M3, KILN_F8E4M3, KILN_F32, 64, 4, "diamondrapids", NULL},
    {KILN_F32, KILN_F32, KILN_F32, 16, 1, "diamondrapids", "mma_tf32"},
};

static Product product_of(const Row *row, int mr, int nr, int ku) {
  return (Product){.a = row->a,
                   .b = row->b,
                   .acc = row->acc,
                   .target = row->target,
                   .multiply = row->multiply,
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

Test(lower_amx, infinities_and_nan) {
  for (size_t r = 0; r < ARRAY_LENGTH(rows); ++r) {
    if (rows[r].acc == KILN_I32) continue;
    Product p = product_of(&rows[r], 16, 16, 1);
    p.fill = FILL_SPECIAL;
    p.m = p.mr, p.n = p.nr, p.k = p.ku + 3;
    product_check_layout(p, rows[r].group, 0, 0);
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

/* Any shape, bound and layout; those that fit no registers go to vectors. The text of a failure says which it was. */
Test(lower_amx, random_products) {
  uint32_t state = 3;
  for (int i = 0; i < 24; ++i) {
    int numbers[7];
    for (size_t j = 0; j < ARRAY_LENGTH(numbers); ++j) {
      state = state * 1664525u + 1013904223u;
      numbers[j] = (int)(state >> 16);
    }
    const Row *row = &rows[numbers[0] % (int)ARRAY_LENGTH(rows)];
    Product p = product_of(row, 1 + numbers[1] % 34, 16 * (1 + numbers[2] % 2), 1);
    p.m = 1 + numbers[3] % (2 * p.mr), p.n = 1 + numbers[4] % (2 * p.nr), p.k = numbers[5] % (2 * p.ku + 2);
    int layout = numbers[6] % (PRODUCT_A_LAYOUTS + PRODUCT_B_LAYOUTS);
    bool of_a = layout < PRODUCT_A_LAYOUTS;
    product_check_layout(p, row->group, of_a ? layout : 0, of_a ? 0 : layout - PRODUCT_A_LAYOUTS);
  }
}

/* Two accumulators from one zero, choices that hand on, zeros that are chosen, an accumulator made of a tile. */
static const char webs[] = "kernel @webs(%a: buf<bf16, [m, k]>, %b: buf<bf16, [k, n], col_panel 32x2>, %c: buf<f32, "
                           "[m, n]>, %d: buf<f32, [m, n]>, %f: buf<f32, [m, n]>)\n"
                           "    symbols m, n, k, s\n"
                           "{\n"
                           "  %zero = frag_zero : frag<acc, 16x32, f32>\n"
                           "  %x, %y = for %p = 0 to k step 32 carry %u = %zero, %v = %zero {\n"
                           "    %fa = frag_load %a[0, %p] rows m cols k - %p : frag<a, 16x32, bf16>\n"
                           "    %fb = frag_load %b[%p, 0] rows k - %p : frag<b, 32x32, bf16>\n"
                           "    %u1 = mma %u, %fa, %fb\n"
                           "    %w = if s < 1 {\n"
                           "      %v1 = mma %v, %fa, %fb\n"
                           "      yield %v1\n"
                           "    } else {\n"
                           "      yield %v\n"
                           "    }\n"
                           "    yield %u1, %w\n"
                           "  }\n"
                           "  %z = if s < 2 {\n"
                           "    yield %zero\n"
                           "  } else {\n"
                           "    yield %y\n"
                           "  }\n"
                           "  %t = frag_tile %x : tile<16x32, f32>\n"
                           "  %t2 = tile_add %t, %t\n"
                           "  %back = tile_frag %t2 : frag<acc, 16x32, f32>\n"
                           "  %ga = frag_load %a[0, 0] rows m cols k : frag<a, 16x32, bf16>\n"
                           "  %gb = frag_load %b[0, 0] rows k : frag<b, 32x32, bf16>\n"
                           "  %more = mma %back, %ga, %gb\n"
                           "  frag_store %x, %c[0, 0] rows m cols n\n"
                           "  frag_store %more, %d[0, 0] rows m cols n\n"
                           "  frag_store %z, %f[0, 0] rows m cols n\n"
                           "}\n";

Test(lower_amx, accumulators_go_on) {
  for (int64_t s = 0; s < 3; ++s) {
    const int64_t symbols[] = {13, 30, 70, s};
    const LowerBuffer buffers[] = {{KILN_BF16, 13 * 70, FILL_SMALL, 0},
                                   {KILN_BF16, 32 * 70, FILL_SMALL, 0},
                                   {KILN_F32, 13 * 30, FILL_OUTPUT, 0},
                                   {KILN_F32, 13 * 30, FILL_OUTPUT, 0},
                                   {KILN_F32, 13 * 30, FILL_OUTPUT, 0}};
    lower_check_on(&(LowerCase){webs, symbols, buffers, 5}, "sapphirerapids");
  }
  char *assembly = lower_assembly(webs, "sapphirerapids");
  cr_assert_not_null(strstr(assembly, "tdpbf16ps"));
  cr_assert_null(strstr(assembly, "vdpbf16ps"));
  free(assembly);
}

/* Operands that loops carry, that tiles become and that something writes over are copied; the accumulator is read
 * twice, so that it lives on beside its successor and all of the kernel is left to vectors. */
static const char copies[] =
    "kernel @copies(%a: buf<u8, [16, 64]>, %b: buf<i8, [64, 32]>, %c: buf<i32, [16, 32]>, %d: buf<i32, [16, 32]>)\n"
    "    symbols s\n{\n"
    "  %ta = tile_load %a[0, 0] : tile<16x64, u8>\n  %fa = tile_frag %ta : frag<a, 16x64, u8>\n"
    "  %tb = tile_load %b[0, 0] : tile<64x32, i8>\n  %fb = tile_frag %tb : frag<b, 64x32, i8>\n"
    "  %lb = frag_load %b[0, 0] : frag<b, 64x32, i8>\n"
    "  %start = frag_load %c[0, 0] : frag<acc, 16x32, i32>\n"
    "  %x, %y = for %i = 0 to s step 1 carry %u = %start, %v = %lb {\n"
    "    %n = mma %u, %fa, %v\n    yield %n, %fb\n  }\n"
    "  frag_store %x, %c[0, 0] rows 15 cols 31\n"
    "  %z = mma %x, %fa, %y\n  frag_store %z, %d[0, 0]\n";

Test(lower_amx, operands_are_copied) {
  for (int lives_on = 0; lives_on < 2; ++lives_on) {
    Text text;
    text_init(&text, NULL);
    text_add(&text, copies);
    text_add(&text, lives_on ? "  frag_store %x, %c[0, 0]\n}\n" : "}\n");
    for (int64_t s = 0; s < 3; ++s) {
      const LowerBuffer buffers[] = {{KILN_U8, 16 * 64, FILL_BITS, 0},
                                     {KILN_I8, 64 * 32, FILL_BITS, 0},
                                     {KILN_I32, 16 * 32, FILL_OUTPUT, 0},
                                     {KILN_I32, 16 * 32, FILL_OUTPUT, 0}};
      lower_check_on(&(LowerCase){text_get(&text), &s, buffers, 4}, "sapphirerapids");
    }
    char *assembly = lower_assembly(text_get(&text), "sapphirerapids");
    cr_assert_eq(strstr(assembly, "tdpbusd") == NULL, lives_on);
    cr_assert_eq(strstr(assembly, "vpdpbusd") != NULL, lives_on);
    free(assembly);
    text_release(&text);
  }
}
