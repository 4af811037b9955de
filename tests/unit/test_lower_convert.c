/* Lowering of tile_convert: every pair of element types, on arbitrary bits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/lower_run.h"

/* One kernel converts a tile to every type. */
static void check_from(kiln_type from, int rows, int cols, LowerFill fill) {
  Text parameters, body, text;
  LowerBuffer buffers[KILN_TYPE_COUNT + 1] = {{from, (int64_t)rows * cols, fill, 0}};
  text_init(&parameters, NULL);
  text_init(&body, NULL);
  text_init(&text, NULL);
  for (int i = 0; i < KILN_TYPE_COUNT; ++i) {
    const char *to = kiln_type_name((kiln_type)i);
    buffers[i + 1] = (LowerBuffer){(kiln_type)i, (int64_t)rows * cols, FILL_OUTPUT, 0};
    text_printf(&parameters, ", %%o%d: buf<%s, [%d, %d]>", i, to, rows, cols);
    text_printf(&body, "  %%r%d = tile_convert %%x : tile<%dx%d, %s>\n  tile_store %%r%d, %%o%d[0, 0]\n", i, rows, cols,
                to, i, i);
  }
  text_printf(
      &text, "kernel @convert(%%in: buf<%s, [%d, %d]>%s) {\n  %%x = tile_load %%in[0, 0] : tile<%dx%d, %s>\n%s}\n",
      kiln_type_name(from), rows, cols, text_get(&parameters), rows, cols, kiln_type_name(from), text_get(&body));
  lower_check(&(LowerCase){text_get(&text), NULL, buffers, KILN_TYPE_COUNT + 1});
  if (rows == 2) lower_check_compiles(text_get(&text));
  text_release(&text);
  text_release(&body);
  text_release(&parameters);
}

static void check_type(kiln_type type) {
  check_from(type, 4, 48, FILL_BITS);
  check_from(type, 2, 6, FILL_BITS);
  check_from(type, 1, 22, FILL_REAL);
}

Test(lower_convert, f64) { check_type(KILN_F64); }
Test(lower_convert, f32) { check_type(KILN_F32); }
Test(lower_convert, f16) { check_type(KILN_F16); }
Test(lower_convert, bf16) { check_type(KILN_BF16); }
Test(lower_convert, f8e4m3) { check_type(KILN_F8E4M3); }
Test(lower_convert, f8e5m2) { check_type(KILN_F8E5M2); }
Test(lower_convert, i32) { check_type(KILN_I32); }
Test(lower_convert, i8) { check_type(KILN_I8); }
Test(lower_convert, u8) { check_type(KILN_U8); }
Test(lower_convert, i4) { check_type(KILN_I4); }
Test(lower_convert, u4) { check_type(KILN_U4); }
Test(lower_convert, bool) { check_type(KILN_BOOL); }

/* By the instruction, which flushes: tiles without a subnormal, with some, and with one at either end. */
Test(lower_convert, bf16_by_instruction) {
  static const int shapes[][2] = {{1, 16}, {1, 32}, {1, 64}, {5, 48}, {16, 64}, {3, 40}};
  static const LowerFill fills[] = {FILL_BITS,          FILL_REAL, FILL_SPECIAL, FILL_SUBNORMAL, FILL_FIRST_SUBNORMAL,
                                    FILL_LAST_SUBNORMAL};
  static const char *const targets[] = {"cooperlake", "sapphirerapids"};
  for (size_t s = 0; s < ARRAY_LENGTH(shapes); ++s)
    for (size_t f = 0; f < ARRAY_LENGTH(fills); ++f)
      for (size_t t = 0; t < ARRAY_LENGTH(targets); ++t) {
        char text[400];
        int rows = shapes[s][0], cols = shapes[s][1];
        snprintf(text, sizeof text,
                 "kernel @convert(%%in: buf<f32, [%d, %d]>, %%out: buf<bf16, [%d, %d]>) {\n"
                 "  %%x = tile_load %%in[0, 0] : tile<%dx%d, f32>\n"
                 "  %%y = tile_convert %%x : tile<%dx%d, bf16>\n"
                 "  tile_store %%y, %%out[0, 0]\n}\n",
                 rows, cols, rows, cols, rows, cols, rows, cols);
        const LowerBuffer buffers[] = {{KILN_F32, (int64_t)rows * cols, fills[f], 0},
                                       {KILN_BF16, (int64_t)rows * cols, FILL_OUTPUT, 0}};
        lower_check_on(&(LowerCase){text, NULL, buffers, 2}, targets[t]);
        if (cols % 16 != 0) continue;
        char *assembly = lower_assembly(text, targets[t]);
        cr_expect_not_null(strstr(assembly, "vcvtneps2bf16"));
        free(assembly);
      }
}

/* Columns of one element are scalars. */
Test(lower_convert, scalars) {
  for (int i = 0; i < KILN_TYPE_COUNT; ++i) {
    Text text;
    kiln_type from = (kiln_type)i;
    if (type_bits(from) < 8) continue; /* read and written in pairs */
    text_init(&text, NULL);
    LowerBuffer buffers[KILN_TYPE_COUNT + 1] = {{from, 9, FILL_BITS, 0}};
    text_printf(&text, "kernel @convert(%%in: buf<%s, [9, 1]>", kiln_type_name(from));
    int count = 1;
    for (int to = 0; to < KILN_TYPE_COUNT; ++to) {
      if (type_bits((kiln_type)to) < 8) continue;
      text_printf(&text, ", %%o%d: buf<%s, [9, 1]>", to, kiln_type_name((kiln_type)to));
      buffers[count++] = (LowerBuffer){(kiln_type)to, 9, FILL_OUTPUT, 0};
    }
    text_printf(&text, ") {\n  %%x = tile_load %%in[0, 0] : tile<9x1, %s>\n", kiln_type_name(from));
    for (int to = 0; to < KILN_TYPE_COUNT; ++to)
      if (type_bits((kiln_type)to) >= 8)
        text_printf(&text, "  %%r%d = tile_convert %%x : tile<9x1, %s>\n  tile_store %%r%d, %%o%d[0, 0]\n", to,
                    kiln_type_name((kiln_type)to), to, to);
    text_add(&text, "}\n");
    lower_check(&(LowerCase){text_get(&text), NULL, buffers, count});
    text_release(&text);
  }
}
