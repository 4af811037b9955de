/* Lowering of operations that make, move, reduce and look up elements. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/lower_run.h"

/* A kernel from a tile<RxC> of a type to one result. `%%s` in the operation's text is the element type. */
static void check_one(kiln_type type, int rows, int cols, const char *operation, kiln_type to, int to_rows, int to_cols,
                      double ulps, LowerFill fill) {
  Text text;
  text_init(&text, NULL);
  text_printf(&text,
              "kernel @one(%%in: buf<%s, [%d, %d]>, %%out: buf<%s, [%d, %d]>) {\n"
              "  %%x = tile_load %%in[0, 0] : tile<%dx%d, %s>\n  %%y = %s\n  tile_store %%y, %%out[0, 0]\n}\n",
              kiln_type_name(type), rows, cols, kiln_type_name(to), to_rows, to_cols, rows, cols, kiln_type_name(type),
              operation);
  const LowerBuffer buffers[] = {{type, (int64_t)rows * cols, fill, 0},
                                 {to, (int64_t)to_rows * to_cols, FILL_OUTPUT, ulps}};
  lower_check(&(LowerCase){text_get(&text), NULL, buffers, 2});
  if (rows == 5) lower_check_compiles(text_get(&text));
  text_release(&text);
}

static const int shapes[][2] = {{1, 1}, {1, 5}, {6, 1}, {4, 4}, {8, 16}, {16, 8}, {5, 20}, {17, 34}, {2, 64}, {64, 2}};
static const kiln_type types[] = {KILN_F32, KILN_F64, KILN_BF16, KILN_U8};

Test(lower_shape, tile_transpose) {
  for (size_t i = 0; i < ARRAY_LENGTH(shapes); ++i)
    for (size_t t = 0; t < ARRAY_LENGTH(types); ++t)
      check_one(types[t], shapes[i][0], shapes[i][1], "tile_transpose %x", types[t], shapes[i][1], shapes[i][0], 0,
                FILL_BITS);
}

Test(lower_shape, tile_row_sum) {
  for (size_t i = 0; i < ARRAY_LENGTH(shapes); ++i)
    for (size_t t = 0; t < ARRAY_LENGTH(types); ++t)
      check_one(types[t], shapes[i][0], shapes[i][1], "tile_row_sum %x", types[t], shapes[i][0], 1, 0, FILL_SMALL);
}

Test(lower_shape, tile_row_max) {
  for (size_t i = 0; i < ARRAY_LENGTH(shapes); ++i)
    for (size_t t = 0; t < ARRAY_LENGTH(types); ++t)
      check_one(types[t], shapes[i][0], shapes[i][1], "tile_row_max %x", types[t], shapes[i][0], 1, 0, FILL_BITS);
}

Test(lower_shape, tile_col_sum) {
  for (size_t i = 0; i < ARRAY_LENGTH(shapes); ++i)
    for (size_t t = 0; t < ARRAY_LENGTH(types); ++t)
      check_one(types[t], shapes[i][0], shapes[i][1], "tile_col_sum %x", types[t], 1, shapes[i][1], 0, FILL_REAL);
}

Test(lower_shape, tile_col_max) {
  for (size_t i = 0; i < ARRAY_LENGTH(shapes); ++i)
    for (size_t t = 0; t < ARRAY_LENGTH(types); ++t)
      check_one(types[t], shapes[i][0], shapes[i][1], "tile_col_max %x", types[t], 1, shapes[i][1], 0, FILL_BITS);
}

Test(lower_shape, tile_broadcast) {
  check_one(KILN_F32, 1, 1, "tile_broadcast %x : tile<3x20, f32>", KILN_F32, 3, 20, 0, FILL_BITS);
  check_one(KILN_F32, 3, 1, "tile_broadcast %x : tile<3x20, f32>", KILN_F32, 3, 20, 0, FILL_BITS);
  check_one(KILN_F32, 1, 20, "tile_broadcast %x : tile<3x20, f32>", KILN_F32, 3, 20, 0, FILL_BITS);
  check_one(KILN_F16, 1, 1, "tile_broadcast %x : tile<5x1, f16>", KILN_F16, 5, 1, 0, FILL_BITS);
  check_one(KILN_BOOL, 2, 1, "tile_broadcast %x : tile<2x9, bool>", KILN_BOOL, 2, 9, 0, FILL_BITS);
}

Test(lower_shape, tile_slice) {
  check_one(KILN_F32, 4, 48, "tile_slice %x [1, 16] : tile<2x16, f32>", KILN_F32, 2, 16, 0, FILL_BITS);
  check_one(KILN_F32, 4, 48, "tile_slice %x [0, 7] : tile<3x30, f32>", KILN_F32, 3, 30, 0, FILL_BITS);
  check_one(KILN_I8, 4, 48, "tile_slice %x [3, 47] : tile<1x1, i8>", KILN_I8, 1, 1, 0, FILL_BITS);
  check_one(KILN_F64, 9, 1, "tile_slice %x [2, 0] : tile<5x1, f64>", KILN_F64, 5, 1, 0, FILL_BITS);
  check_one(KILN_I4, 2, 32, "tile_slice %x [0, 6] : tile<2x8, i4>", KILN_I4, 2, 8, 0, FILL_BITS);
}

Test(lower_shape, tile_concat) {
  check_one(KILN_F32, 3, 20, "tile_concat_rows %x, %x : tile<6x20, f32>", KILN_F32, 6, 20, 0, FILL_BITS);
  check_one(KILN_F32, 3, 20, "tile_concat_cols %x, %x : tile<3x40, f32>", KILN_F32, 3, 40, 0, FILL_BITS);
  check_one(KILN_U8, 2, 7, "tile_concat_cols %x, %x : tile<2x14, u8>", KILN_U8, 2, 14, 0, FILL_BITS);
  check_one(KILN_U8, 5, 1, "tile_concat_cols %x, %x : tile<5x2, u8>", KILN_U8, 5, 2, 0, FILL_BITS);
  check_one(KILN_BF16, 5, 1, "tile_concat_rows %x, %x : tile<10x1, bf16>", KILN_BF16, 10, 1, 0, FILL_BITS);
}

Test(lower_shape, nibbles) {
  check_one(KILN_U8, 2, 20, "tile_low_nibble %x : tile<2x20, i8>", KILN_I8, 2, 20, 0, FILL_BITS);
  check_one(KILN_I8, 2, 20, "tile_high_nibble %x : tile<2x20, u8>", KILN_U8, 2, 20, 0, FILL_BITS);
  check_one(KILN_U8, 3, 1, "tile_high_nibble %x : tile<3x1, i8>", KILN_I8, 3, 1, 0, FILL_BITS);
}

Test(lower_shape, made) {
  check_one(KILN_F32, 1, 1, "tile_const -2.5 : tile<2x20, f16>", KILN_F16, 2, 20, 0, FILL_BITS);
  check_one(KILN_F32, 1, 1, "tile_const nan : tile<2x20, f8e4m3>", KILN_F8E4M3, 2, 20, 0, FILL_BITS);
  check_one(KILN_F32, 1, 1, "tile_const -7 : tile<3x2, i4>", KILN_I4, 3, 2, 0, FILL_BITS);
  check_one(KILN_F32, 1, 1, "tile_const -inf : tile<1x18, f64>", KILN_F64, 1, 18, 0, FILL_BITS);
  check_one(KILN_F32, 1, 1, "tile_iota : tile<1x35, i32>", KILN_I32, 1, 35, 0, FILL_BITS);
  check_one(KILN_F32, 1, 1, "tile_iota : tile<9x1, i32>", KILN_I32, 9, 1, 0, FILL_BITS);
}

static void check_lookup(kiln_type type, int size, kiln_type index, int rows, int cols) {
  Text text;
  const char *element = kiln_type_name(type), *number = kiln_type_name(index);
  text_init(&text, NULL);
  text_printf(&text,
              "kernel @look(%%t: buf<%s, [%d]>, %%i: buf<%s, [%d, %d]>, %%out: buf<%s, [%d, %d]>) {\n"
              "  %%vt = tile_load %%t[0] : tile<1x%d, %s>\n  %%vi = tile_load %%i[0, 0] : tile<%dx%d, %s>\n"
              "  %%y = tile_lookup %%vt, %%vi : tile<%dx%d, %s>\n  tile_store %%y, %%out[0, 0]\n}\n",
              element, size, number, rows, cols, element, rows, cols, size, element, rows, cols, number, rows, cols,
              element);
  const LowerBuffer buffers[] = {{type, size, FILL_BITS, 0},
                                 {index, (int64_t)rows * cols, FILL_BITS, 0},
                                 {type, (int64_t)rows * cols, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){text_get(&text), NULL, buffers, 3});
  text_release(&text);
}

Test(lower_shape, tile_lookup) {
  static const int sizes[] = {1, 2, 8, 16, 32, 64, 256};
  for (size_t i = 0; i < ARRAY_LENGTH(sizes); ++i) {
    check_lookup(KILN_F32, sizes[i], KILN_U8, 2, 20);
    check_lookup(KILN_F32, sizes[i], KILN_I32, 3, 1);
  }
  check_lookup(KILN_BF16, 16, KILN_U4, 2, 32);
  check_lookup(KILN_I8, 16, KILN_I4, 1, 8);
  check_lookup(KILN_F64, 16, KILN_I8, 1, 9);
  check_lookup(KILN_F16, 512, KILN_I8, 1, 9);
  check_lookup(KILN_BOOL, 8, KILN_I8, 1, 9);
  check_lookup(KILN_I32, 4, KILN_I32, 1, 33);
}

static void check_dot(kiln_type x, kiln_type y, int rows, int cols) {
  Text text;
  text_init(&text, NULL);
  text_printf(
      &text,
      "kernel @dot(%%s: buf<i32, [%d, %d]>, %%x: buf<%s, [%d, %d]>, %%y: buf<%s, [%d, %d]>, %%out: buf<i32, [%d, "
      "%d]>) {\n  %%vs = tile_load %%s[0, 0] : tile<%dx%d, i32>\n  %%vx = tile_load %%x[0, 0] : tile<%dx%d, "
      "%s>\n  %%vy = tile_load %%y[0, 0] : tile<%dx%d, %s>\n  %%r = tile_dot %%vs, %%vx, %%vy\n  tile_store "
      "%%r, %%out[0, 0]\n}\n",
      rows, cols, kiln_type_name(x), rows, 4 * cols, kiln_type_name(y), rows, 4 * cols, rows, cols, rows, cols, rows,
      4 * cols, kiln_type_name(x), rows, 4 * cols, kiln_type_name(y));
  const LowerBuffer buffers[] = {{KILN_I32, (int64_t)rows * cols, FILL_BITS, 0},
                                 {x, (int64_t)rows * cols * 4, FILL_BITS, 0},
                                 {y, (int64_t)rows * cols * 4, FILL_BITS, 0},
                                 {KILN_I32, (int64_t)rows * cols, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){text_get(&text), NULL, buffers, 4});
  text_release(&text);
}

Test(lower_shape, tile_dot) {
  static const kiln_type bytes[] = {KILN_U8, KILN_I8};
  static const int columns[] = {1, 2, 3, 4, 7, 8, 15, 16, 21};
  for (int pair = 0; pair < 4; ++pair)
    for (size_t i = 0; i < ARRAY_LENGTH(columns); ++i) check_dot(bytes[pair / 2], bytes[pair % 2], 3, columns[i]);
}

/* fma rounds once where the target fuses; on numbers with few digits twice is the same. */
Test(lower_shape, tile_fma) {
  check_one(KILN_F32, 3, 20, "tile_fma %x, %x, %x", KILN_F32, 3, 20, 0, FILL_SMALL);
  check_one(KILN_F64, 3, 5, "tile_fma %x, %x, %x", KILN_F64, 3, 5, 0, FILL_SMALL);
  check_one(KILN_F16, 3, 20, "tile_fma %x, %x, %x", KILN_F16, 3, 20, 0, FILL_BITS);
  check_one(KILN_BF16, 3, 20, "tile_fma %x, %x, %x", KILN_BF16, 3, 20, 0, FILL_BITS);
  check_one(KILN_F8E5M2, 3, 1, "tile_fma %x, %x, %x", KILN_F8E5M2, 3, 1, 0, FILL_BITS);
}
