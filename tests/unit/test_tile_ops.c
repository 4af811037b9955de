/* Every operation of ops.def in text: it parses, verifies and prints as it was written. */
#include "tests/unit/tile_text.h"

/* What the samples stand on. */
static const char prologue[] = "kernel @every(%a: buf<f32, [m, k], [lda, 1]>, %b: buf<f32, [k, n], col_panel 48x1>, "
                               "%c: buf<i32, [n]>, %d: buf<u8, [2, m, n]>, %s: buf<f32, []>)\n"
                               "    symbols m, n, k, lda\n"
                               "    params mc {\n"
                               "  %x = tile_load %a[0, 0] : tile<8x48, f32>\n"
                               "  %y = tile_const 2 : tile<1x48, f32>\n"
                               "  %i = tile_const 3 : i32\n"
                               "  %q = tile_load %d[0, 0, 0] : tile<8x48, u8>\n"
                               "  %t = tile_const 1 : bool\n"
                               "  %acc = frag_zero : frag<acc, 8x48, f32>\n"
                               "  %fa = frag_load %a[0, 0] : frag<a, 8x1, f32>\n"
                               "  %fb = frag_load %b[0, 0] : frag<b, 1x48, f32>\n"
                               "  %p = min(m, n)\n";

typedef struct Sample {
  OpCode code;
  const char *text;
} Sample;

static const Sample samples[] = {
    {OP_for, "  for %j = 0 to m step 1 {\n"
             "    tile_store %x, %a[%j, 0]\n"
             "  }\n"},
    {OP_for, "  %r, %z = for %j = 0 to m step 1 carry %u = %x, %v = %p {\n"
             "    %w = tile_add %u, %y\n"
             "    yield %w, %v + %j\n"
             "  }\n"},
    {OP_if, "  if %p < 3 {\n"
            "    tile_store %x, %a[0, 0]\n"
            "  }\n"},
    {OP_if, "  if %t {\n"
            "  } else {\n"
            "    tile_store %x, %a[0, 0]\n"
            "  }\n"},
    {OP_if, "  %r, %z = if %t {\n"
            "    yield %x, %p\n"
            "  } else {\n"
            "    %w = tile_add %x, %y\n"
            "    yield %w, 0\n"
            "  }\n"},
    {OP_yield, "  %r = for %j = 0 to m step 1 carry %u = 0 {\n"
               "    yield %u + 1\n"
               "  }\n"},
    {OP_index_const, "  prefetch %c[-9223372036854775808] level 1\n"},
    {OP_index_symbol, "  prefetch %c[mc] level 1\n"},
    {OP_index_add, "  %r = %p + 1\n"},
    {OP_index_sub, "  %r = %p - (1 - %p)\n"},
    {OP_index_mul, "  %r = (%p + 1) * 2\n"},
    {OP_index_div, "  %r = m / (%p / 2)\n"},
    {OP_index_mod, "  %r = m / %p % 2\n"},
    {OP_index_lt, "  %r = %p < 1\n"},
    {OP_index_le, "  %r = %p <= m + 1\n"},
    {OP_index_eq, "  %r = %p == 1\n"},
    {OP_index_ne, "  %r = %p != 1\n"},
    {OP_index_min, "  %r = min(%p, m)\n"},
    {OP_index_max, "  %r = 2 * max(%p, m)\n"},
    {OP_index_ceildiv, "  %r = ceildiv(%p, 8)\n"},
    {OP_index_select, "  %r = select(%p < 3, m, n - 1)\n"},
    {OP_index_tile, "  %r = index(%i) + 1\n"},
    {OP_buf_view, "  %r = buf_view %a[8, %p] : buf<f32, [?, k], [lda, 1]>\n"},
    {OP_buf_view, "  %r = buf_view %d[%p, 0, 0] : buf<u8, [?, n]>\n"},
    {OP_buf_transpose, "  %r = buf_transpose %a : buf<f32, [k, m], [1, lda]>\n"},
    {OP_buf_scratch, "  %r = buf_scratch : buf<f16, [64, 64], row_panel 8x2>\n"},
    {OP_buf_workspace, "  %r = buf_workspace 64 * %task : buf<i4, [m, n], col_panel 48x8>\n"},
    {OP_prefetch, "  prefetch %b[%p, 0] level 0\n"},
    {OP_atomic_add, "  %r = atomic_add %i, %c[%p] : i32\n"},
    {OP_tile_load, "  %r = tile_load %a[8, %p] rows m - 8 cols %p : tile<8x48, f32>\n"},
    {OP_tile_load, "  %r = tile_load %s[] : f32\n"},
    {OP_tile_store, "  tile_store %y, %a[8, %p] rows 1\n"},
    {OP_tile_store, "  tile_store %y, %a[8, %p] cols %p / 2\n"},
    {OP_tile_const, "  %r = tile_const -1.5e-30 : tile<2x4, bf16>\n"},
    {OP_tile_const, "  %r = tile_const nan : f8e4m3\n"},
    {OP_tile_const, "  %r = tile_const -inf : f64\n"},
    {OP_tile_iota, "  %r = tile_iota : tile<1x48, i32>\n"},
    {OP_tile_index, "  %r = tile_index %p - 1 : i32\n"},
    {OP_tile_broadcast, "  %r = tile_broadcast %y : tile<4x48, f32>\n"},
    {OP_tile_convert, "  %r = tile_convert %x : tile<8x48, u4>\n"},
    {OP_tile_neg, "  %r = tile_neg %x\n"},
    {OP_tile_abs, "  %r = tile_abs %x\n"},
    {OP_tile_round, "  %r = tile_round %x\n"},
    {OP_tile_sqrt, "  %r = tile_sqrt %x\n"},
    {OP_tile_rsqrt, "  %r = tile_rsqrt %x\n"},
    {OP_tile_exp, "  %r = tile_exp %x\n"},
    {OP_tile_log, "  %r = tile_log %x\n"},
    {OP_tile_tanh, "  %r = tile_tanh %x\n"},
    {OP_tile_erf, "  %r = tile_erf %x\n"},
    {OP_tile_add, "  %r = tile_add %x, %y\n"},
    {OP_tile_sub, "  %r = tile_sub %q, %q\n"},
    {OP_tile_mul, "  %r = tile_mul %y, %x\n"},
    {OP_tile_div, "  %r = tile_div %x, %y\n"},
    {OP_tile_min, "  %r = tile_min %x, %y\n"},
    {OP_tile_max, "  %r = tile_max %x, %y\n"},
    {OP_tile_and, "  %r = tile_and %q, %q\n"},
    {OP_tile_or, "  %r = tile_or %p < m, %p == 2\n"},
    {OP_tile_xor, "  %r = tile_xor %i, %i\n"},
    {OP_tile_lt, "  %r = tile_lt %x, %y\n"},
    {OP_tile_le, "  %r = tile_le %x, %y\n"},
    {OP_tile_eq, "  %r = tile_eq %t, %t\n"},
    {OP_tile_ne, "  %r = tile_ne %x, %y\n"},
    {OP_tile_dot, "  %w = tile_const 1 : tile<8x12, i32>\n"
                  "  %r = tile_dot %w, %q, %q\n"},
    {OP_tile_fma, "  %r = tile_fma %x, %y, %x\n"},
    {OP_tile_select, "  %r = tile_select %t, %y, %x\n"},
    {OP_tile_row_sum, "  %r = tile_row_sum %x\n"},
    {OP_tile_row_max, "  %r = tile_row_max %x\n"},
    {OP_tile_col_sum, "  %r = tile_col_sum %x\n"},
    {OP_tile_col_max, "  %r = tile_col_max %x\n"},
    {OP_tile_transpose, "  %r = tile_transpose %x\n"},
    {OP_tile_slice, "  %r = tile_slice %x[4, 16] : tile<4x32, f32>\n"},
    {OP_tile_concat_rows, "  %r = tile_concat_rows %x, %y : tile<9x48, f32>\n"},
    {OP_tile_concat_cols, "  %r = tile_concat_cols %y, %y : tile<1x96, f32>\n"},
    {OP_tile_low_nibble, "  %r = tile_low_nibble %q : tile<8x48, i8>\n"},
    {OP_tile_high_nibble, "  %r = tile_high_nibble %q : tile<8x48, u8>\n"},
    {OP_tile_lookup, "  %w = tile_const 0.5 : tile<1x16, f16>\n"
                     "  %r = tile_lookup %w, %q : tile<8x48, f16>\n"},
    {OP_frag_zero, "  %r = frag_zero : frag<acc, 16x16, i32>\n"},
    {OP_frag_load, "  %r = frag_load %b[%p, 48] rows k - %p : frag<b, 4x48, f32>\n"},
    {OP_frag_store, "  frag_store %acc, %a[0, %p] rows m cols n\n"},
    {OP_frag_tile, "  %r = frag_tile %acc : tile<8x48, f32>\n"},
    {OP_tile_frag, "  %r = tile_frag %x : frag<a, 8x48, f32>\n"},
    {OP_mma, "  %r = mma %acc, %fa, %fb\n"},
    {OP_mma_tf32, "  %r = mma_tf32 %acc, %fa, %fb\n"},
};

/* The kernel that docs/tile-ir.md begins with. */
Test(tile_ops, the_worked_example_is_valid) {
  char page[4096];
  FILE *file = fopen(KILN_SOURCE_DIR "/docs/tile-ir.md", "r");
  cr_assert_not_null(file);
  size_t length = fread(page, 1, sizeof page - 1, file);
  fclose(file);
  page[length] = 0;
  char *text = strstr(page, "```\nkernel"), *end = text ? strstr(text + 4, "```") : NULL;
  cr_assert_not_null(end);
  *end = 0;
  expect_faults(text + 4, "");
}

static bool contains(const Block *block, OpCode code) {
  for (const Op *op = block->first; op; op = op->next) {
    if (op->code == code) return true;
    for (int i = 0; i < op->block_count; i++)
      if (op->blocks[i] && contains(op->blocks[i], code)) return true;
  }
  return false;
}

Test(tile_ops, each_prints_as_it_was_written) {
  for (size_t i = 0; i < ARRAY_LENGTH(samples); i++) {
    Text text;
    text_init(&text, NULL);
    text_printf(&text, "%s%s}\n", prologue, samples[i].text);
    expect_canonical(text_get(&text));
    Module *module = parse_well(text_get(&text));
    cr_expect(contains(module->kernels.items[0]->body, samples[i].code), "%s", samples[i].text);
    module_destroy(module);
    text_release(&text);
  }
}

Test(tile_ops, each_has_a_sample) {
  for (int code = 0; code < OP_COUNT; code++) {
    size_t i = 0;
    while (i < ARRAY_LENGTH(samples) && samples[i].code != (OpCode)code) i++;
    cr_expect_lt(i, ARRAY_LENGTH(samples), "'%s' has no sample", op_info((OpCode)code)->name);
  }
}

Test(tile_ops, each_is_found_by_its_name_only) {
  for (int i = 0; i < OP_COUNT; i++) {
    const OpInfo *info = op_info((OpCode)i);
    OpCode code;
    cr_expect(op_find(info->name, strlen(info->name), &code));
    cr_expect_eq((int)code, i);
    cr_expect_not(op_find(info->name, strlen(info->name) - 1, &code) && (int)code == i);
    cr_expect_gt(strlen(info->meaning), 0);
  }
}
