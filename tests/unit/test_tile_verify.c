/* Faults that tile_verify finds, with their exact text. */
#include "tests/unit/tile_text.h"

/* What the cases stand on: 11 lines. */
static const char prologue[] = "kernel @every(%a: buf<f32, [m, k], [lda, 1]>, %b: buf<f32, [k, n], col_panel 48x1>, "
                               "%c: buf<i32, [n]>, %d: buf<u8, [2, m, n]>, %s: buf<f32, []>, %e: buf<i4, [m, n]>)\n"
                               "    symbols m, n, k, lda {\n"
                               "  %x = tile_load %a[0, 0] : tile<8x48, f32>\n"
                               "  %y = tile_const 2 : tile<1x48, f32>\n"
                               "  %i = tile_const 3 : i32\n"
                               "  %q = tile_load %d[0, 0, 0] : tile<8x48, u8>\n"
                               "  %t = tile_const 1 : bool\n"
                               "  %acc = frag_zero : frag<acc, 8x48, f32>\n"
                               "  %fa = frag_load %a[0, 0] : frag<a, 8x1, f32>\n"
                               "  %fb = frag_load %b[0, 0] : frag<b, 1x48, f32>\n"
                               "  %h = tile_const 0 : tile<1x8, i4>\n";

typedef struct Case {
  const char *text;
  const char *faults; /* none: the text is valid */
} Case;

static void expect_cases(const Case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    Text text;
    text_init(&text, NULL);
    text_printf(&text, "%s%s}\n", prologue, cases[i].text);
    expect_faults(text_get(&text), cases[i].faults);
    text_release(&text);
  }
}

static const Case control_cases[] = {
    {"  %j = for %p = %i to %x step %t {\n"
     "  }\n",
     "12:3: 'for' gives no value, so nothing can be named\n"},
    {"  for %p = 0 to m step 0 {\n"
     "  }\n",
     "12:3: the step of 'for' must be positive, found 0\n"},
    {"  for %p = 0 to m step -8 {\n"
     "  }\n",
     "12:3: the step of 'for' must be positive, found -8\n"},
    {"  %r = for %p = 0 to m step 1 carry %u = %x {\n"
     "  }\n",
     "12:8: a block of 'for' must end in 'yield'\n"},
    {"  %r = for %p = 0 to m step 1 carry %u = %x {\n"
     "    yield\n"
     "  }\n",
     "13:5: expected a yield of 1 value, as 'for' gives, found 0\n"},
    {"  %r, %z = for %p = 0 to m step 1 carry %u = %x, %v = 1 {\n"
     "    yield %y, %i\n"
     "  }\n",
     "13:5: value 1 of 'yield' must be tile<8x48, f32>, found tile<1x48, f32>\n"
     "13:5: value 2 of 'yield' must be index, found i32\n"},
    {"  %r = for %p = 0 to m step 1 carry %u = %a {\n"
     "    yield %u\n"
     "  }\n",
     "12:8: value 1 of 'for' is a buffer: expected an index, tile or fragment\n"},
    {"  for %p = 0 to m step 1 {\n"
     "    yield\n"
     "    prefetch %c[0] level 1\n"
     "  }\n",
     "13:5: 'yield' must end its block\n"},
    {"  if %i {\n"
     "  }\n",
     "12:3: the condition of 'if' must be bool, found i32\n"},
    {"  if m {\n"
     "  }\n",
     "12:3: the condition of 'if' must be bool, found index\n"},
    {"  %r = if %t {\n"
     "    yield %x\n"
     "  }\n",
     "12:8: 'if' gives 1 value, so it needs an 'else'\n"},
    {"  %r = if %t {\n"
     "    yield %x\n"
     "  } else {\n"
     "    yield %y\n"
     "  }\n",
     "15:5: value 1 of 'yield' must be tile<8x48, f32>, found tile<1x48, f32>\n"},
    {"  %r, %z = if %t {\n"
     "    yield %x, 1\n"
     "  } else {\n"
     "    prefetch %c[0] level 1\n"
     "  }\n",
     "12:12: a block of 'if' must end in 'yield'\n"},
    {"  %r = if %t {\n"
     "    yield %a\n"
     "  } else {\n"
     "    yield %a\n"
     "  }\n",
     "12:8: value 1 of 'if' is a buffer: expected an index, tile or fragment\n"},
    {"  yield %x\n", "12:3: 'yield' must stand in a block of 'for' or 'if'\n"},
};

static const Case index_cases[] = {
    {"  %r = %x + 1\n", "12:11: '+' takes indexes, found tile<8x48, f32> and index\n"},
    {"  %r = m / 0\n", "12:10: the divisor of '/' must be positive, found 0\n"},
    {"  %r = ceildiv(m, -8) % (0 - 1) % 0\n", "12:8: the divisor of 'ceildiv' must be positive, found -8\n"
                                              "12:33: the divisor of '%' must be positive, found 0\n"},
    {"  %r = select(m, n, k)\n", "12:8: 'select' takes a bool and two indexes, found index, index and index\n"},
    {"  %r = select(%x, n, k)\n",
     "12:8: 'select' takes a bool and two indexes, found tile<8x48, f32>, index and index\n"},
    {"  %r = index(%t)\n", "12:8: 'index' takes an i32, found bool\n"},
    {"  %r = index(%x)\n", "12:8: 'index' takes an i32, found tile<8x48, f32>\n"},
    {"  %r = 1 < %i\n", "12:10: '<' takes indexes, found index and i32\n"},
    {"  %r = %a + (%b + 1)\n", "12:17: '+' takes indexes, found buf<f32, [k, n], col_panel 48x1> and index\n"},
    {"  %r = min(%x, %y)\n", "12:8: 'min' takes indexes, found tile<8x48, f32> and tile<1x48, f32>\n"},
};

static const Case memory_cases[] = {
    {"  %r = tile_load %x[0, 0] : f32\n", "12:8: the place of 'tile_load' must be a buffer, found tile<8x48, f32>\n"},
    {"  %r = tile_load %a[0] : f32\n", "12:8: 'tile_load' needs an index for each of 2 axes, found 1\n"},
    {"  %r = tile_load %c[0, 0] : i32\n", "12:8: 'tile_load' needs an index for each of 1 axis, found 2\n"},
    {"  %r = tile_load %s[0] : f32\n", "12:8: 'tile_load' needs an index for each of 0 axes, found 1\n"},
    {"  %r = tile_load %a[%i, 0] : f32\n", "12:8: a position of 'tile_load' must be an index, found i32\n"},
    {"  %r = tile_load %a[0, 0] rows %i : f32\n",
     "12:8: the bound 'rows' of 'tile_load' must be an index, found i32\n"},
    {"  %r = tile_load %a[0, 0] cols %t : f32\n",
     "12:8: the bound 'cols' of 'tile_load' must be an index, found bool\n"},
    {"  %r = tile_load %a[0, 0] : frag<a, 8x1, f32>\n",
     "12:8: the result of 'tile_load' must be a tile, found frag<a, 8x1, f32>\n"},
    {"  %r = tile_load %a[0, 0] : index\n", "12:8: the result of 'tile_load' must be a tile, found index\n"},
    {"  %r = tile_load %a[0, 0] : bf16\n",
     "12:8: 'tile_load' of bf16 needs a buffer of bf16, found buf<f32, [m, k], [lda, 1]>\n"},
    {"  %r = tile_load %s[] : tile<1x2, f32>\n",
     "12:8: 'tile_load' of tile<1x2, f32> does not fit buf<f32, []>: a buffer without axes holds one element\n"},
    {"  %r = tile_load %c[0] : tile<2x1, i32>\n",
     "12:8: 'tile_load' of tile<2x1, i32> does not fit buf<i32, [n]>: a buffer of one axis holds one row\n"},
    {"  %r = tile_load %b[0, 0] : tile<8x49, f32>\n", "12:8: 'tile_load' of tile<8x49, f32> does not fit buf<f32, [k, "
                                                      "n], col_panel 48x1>: columns may not exceed the panel\n"},
    {"  %w = buf_scratch : buf<f32, [16, 16], row_panel 8x2>\n"
     "  %r = tile_load %w[0, 0] : tile<9x16, f32>\n",
     "13:8: 'tile_load' of tile<9x16, f32> does not fit buf<f32, [16, 16], row_panel 8x2>: rows may not exceed the "
     "panel\n"},
    {"  %r = tile_load %e[0, 0] : tile<2x7, i4>\n",
     "12:8: 'tile_load' of tile<2x7, i4> does not fit buf<i4, [m, n]>: nibbles are read and written in pairs, so an "
     "even number of neighbours is needed\n"},
    {"  %w = buf_scratch : buf<u4, [16, 16], col_panel 8x2>\n"
     "  %r = tile_load %w[0, 0] : tile<3x8, u4>\n",
     "13:8: 'tile_load' of tile<3x8, u4> does not fit buf<u4, [16, 16], col_panel 8x2>: nibbles are read and written "
     "in pairs, so an even number of neighbours is needed\n"},
    {"  %w = buf_scratch : buf<u4, [16, 16], row_panel 8x2>\n"
     "  %r = tile_load %w[0, 0] : tile<8x3, u4>\n",
     "13:8: 'tile_load' of tile<8x3, u4> does not fit buf<u4, [16, 16], row_panel 8x2>: nibbles are read and written "
     "in pairs, so an even number of neighbours is needed\n"},
    {"  %w = buf_scratch : buf<u4, [16, 16], col_panel 8x1>\n"
     "  %r = tile_load %w[0, 0] : tile<3x7, u4>\n",
     "13:8: 'tile_load' of tile<3x7, u4> does not fit buf<u4, [16, 16], col_panel 8x1>: nibbles are read and written "
     "in pairs, so an even number of neighbours is needed\n"},
    {"  %w = buf_scratch : buf<u4, [16, 16], row_panel 8x1>\n"
     "  %r = tile_load %w[0, 0] : tile<3x8, u4>\n",
     "13:8: 'tile_load' of tile<3x8, u4> does not fit buf<u4, [16, 16], row_panel 8x1>: nibbles are read and written "
     "in pairs, so an even number of neighbours is needed\n"},
    {"  tile_store %i, %a[0, 0]\n",
     "12:3: 'tile_store' of i32 needs a buffer of i32, found buf<f32, [m, k], [lda, 1]>\n"},
    {"  tile_store %acc, %a[0, 0]\n", "12:3: the value of 'tile_store' must be a tile, found frag<acc, 8x48, f32>\n"},
    {"  tile_store 1, %a[0, 0]\n", "12:3: the value of 'tile_store' must be a tile, found index\n"},
    {"  frag_store %x, %a[0, 0]\n", "12:3: the value of 'frag_store' must be a fragment, found tile<8x48, f32>\n"},
    {"  frag_store %fa, %a[0, 0]\n", "12:3: 'frag_store' takes an accumulator, found frag<a, 8x1, f32>\n"},
    {"  frag_store %acc, %c[0]\n",
     "12:3: 'frag_store' of frag<acc, 8x48, f32> needs a buffer of f32, found buf<i32, [n]>\n"},
    {"  %r = frag_load %a[0, 0] : tile<1x2, f32>\n",
     "12:8: the result of 'frag_load' must be a fragment, found tile<1x2, f32>\n"},
    {"  %r = frag_load %d[0, 0, 0] : frag<a, 8x4, i8>\n",
     "12:8: 'frag_load' of frag<a, 8x4, i8> needs a buffer of i8, found buf<u8, [2, m, n]>\n"},
    {"  prefetch %a[0, 0] level 4\n", "12:3: the level of 'prefetch' must be from 0 to 3, found 4\n"},
    {"  prefetch %a[0, 0] rows 8 level -1\n", "12:3: 'prefetch' takes no bounds: expected neither 'rows' nor 'cols'\n"
                                              "12:3: the level of 'prefetch' must be from 0 to 3, found -1\n"},
    {"  %r = atomic_add %i, %a[0, 0] : i32\n",
     "12:8: 'atomic_add' needs a buffer of i32, found buf<f32, [m, k], [lda, 1]>\n"},
    {"  %r = atomic_add %x, %c[0] : i32\n", "12:8: the value of 'atomic_add' must be i32, found tile<8x48, f32>\n"},
    {"  %r = atomic_add %i, %c[0] : u8\n", "12:8: the result of 'atomic_add' must be i32, found u8\n"},
    {"  %r = atomic_add %i, %c[0] cols 1 : i32\n",
     "12:8: 'atomic_add' takes no bounds: expected neither 'rows' nor 'cols'\n"},
};

static const Case buffer_cases[] = {
    {"  %r = buf_view %a[0, 0] : f32\n", "12:8: the result of 'buf_view' must be a buffer, found f32\n"},
    {"  %r = buf_view %a[0, 0] rows 8 : buf<f32, [8, 8], [lda, 1]>\n",
     "12:8: 'buf_view' takes no bounds: expected neither 'rows' nor 'cols'\n"},
    {"  %r = buf_view %a[0, 0] : buf<f32, [8, 8]>\n", "12:8: buf<f32, [8, 8]> is no view of buf<f32, [m, k], [lda, "
                                                      "1]>: the strides must be those of the buffer's last axes\n"},
    {"  %r = buf_view %a[0, 0] : buf<bf16, [8, 8], [lda, 1]>\n",
     "12:8: buf<bf16, [8, 8], [lda, 1]> is no view of buf<f32, [m, k], [lda, 1]>: the element type must be the same\n"},
    {"  %r = buf_view %a[0, 0] : buf<f32, [1, 8, 8], [lda, lda, 1]>\n",
     "12:8: buf<f32, [1, 8, 8], [lda, lda, 1]> is no view of buf<f32, [m, k], [lda, 1]>: a view has at most the axes "
     "of its buffer\n"},
    {"  %r = buf_view %d[1, 0, 0] : buf<u8, [8, 8], [m, 1]>\n",
     "12:8: buf<u8, [8, 8], [m, 1]> is no view of buf<u8, [2, m, n]>: the strides must be those of the buffer's last "
     "axes\n"},
    {"  %r = buf_view %d[1, 0, 0] : buf<u8, [8, 8], [n, 1]>\n"
     "  %r2 = buf_view %d[1, 0, 0] : buf<u8, [n]>\n"
     "  %r3 = buf_view %d[1, 0, 0] : buf<u8, []>\n",
     ""},
    {"  %r = buf_view %b[0, 0] : buf<f32, [k, n], row_panel 48x1>\n",
     "12:8: buf<f32, [k, n], row_panel 48x1> is no view of buf<f32, [k, n], col_panel 48x1>: the panels must be the "
     "same\n"},
    {"  %r = buf_view %b[0, 0] : buf<f32, [k, n], col_panel 16x1>\n",
     "12:8: buf<f32, [k, n], col_panel 16x1> is no view of buf<f32, [k, n], col_panel 48x1>: the panels must be the "
     "same\n"},
    {"  %r = buf_view %b[0, 0] : buf<f32, [k, n]>\n",
     "12:8: buf<f32, [k, n]> is no view of buf<f32, [k, n], col_panel 48x1>: the panels must be the same\n"},
    {"  %r = buf_view %b[0, 0] : buf<f32, [8, n], col_panel 48x1>\n",
     "12:8: buf<f32, [8, n], col_panel 48x1> is no view of buf<f32, [k, n], col_panel 48x1>: the rows must be the "
     "same, as panels are that long\n"},
    {"  %r = buf_view %b[0, 48] : buf<f32, [k, ?], col_panel 48x1>\n", ""},
    {"  %w = buf_scratch : buf<u8, [4, 16, 16], row_panel 8x1>\n"
     "  %r = buf_view %w[0, 0, 0] : buf<u8, [8, 16], row_panel 8x1>\n"
     "  %r2 = buf_view %w[0, 0, 0] : buf<u8, [8, 8], row_panel 8x1>\n"
     "  %r3 = buf_view %w[2, 0, 0] : buf<u8, [2, 8, 16], row_panel 8x1>\n",
     "14:9: buf<u8, [8, 8], row_panel 8x1> is no view of buf<u8, [4, 16, 16], row_panel 8x1>: the columns must be the "
     "same, as panels are that long\n"
     "15:9: buf<u8, [2, 8, 16], row_panel 8x1> is no view of buf<u8, [4, 16, 16], row_panel 8x1>: all sizes but the "
     "first must be the same, as they fix how far copies are apart\n"},
    {"  %r = buf_transpose %d : f32\n", "12:8: the result of 'buf_transpose' must be a buffer, found f32\n"},
    {"  %r = buf_transpose %x : buf<u8, [n, m], [1, n]>\n",
     "12:8: the operand of 'buf_transpose' must be a buffer, found tile<8x48, f32>\n"},
    {"  %r = buf_transpose %a : buf<f32, [k, m], [lda, 1]>\n",
     "12:8: buf<f32, [k, m], [lda, 1]> is no transpose of buf<f32, [m, k], [lda, 1]>: the last two strides must be "
     "swapped\n"},
    {"  %r = buf_transpose %a : buf<f32, [m, k], [1, lda]>\n",
     "12:8: buf<f32, [m, k], [1, lda]> is no transpose of buf<f32, [m, k], [lda, 1]>: the last two sizes must be "
     "swapped\n"},
    {"  %r = buf_transpose %a : buf<f32, [k, m]>\n",
     "12:8: buf<f32, [k, m]> is no transpose of buf<f32, [m, k], [lda, 1]>: the last two strides must be swapped\n"},
    {"  %r = buf_transpose %a : buf<f16, [k, m], [1, lda]>\n",
     "12:8: buf<f16, [k, m], [1, lda]> is no transpose of buf<f32, [m, k], [lda, 1]>: the element type must be the "
     "same\n"},
    {"  %r = buf_transpose %c : buf<i32, [n]>\n",
     "12:8: buf<i32, [n]> is no transpose of buf<i32, [n]>: both need the same axes, at least two\n"},
    {"  %r = buf_transpose %d : buf<u8, [n, m], [1, n]>\n",
     "12:8: buf<u8, [n, m], [1, n]> is no transpose of buf<u8, [2, m, n]>: both need the same axes, at least two\n"},
    {"  %r = buf_transpose %b : buf<f32, [n, k], row_panel 24x1>\n",
     "12:8: buf<f32, [n, k], row_panel 24x1> is no transpose of buf<f32, [k, n], col_panel 48x1>: panels of columns "
     "become the same of rows, and these those\n"},
    {"  %w = buf_workspace 0 : buf<f32, [2, 3, 4]>\n"
     "  %r = buf_transpose %w : buf<f32, [2, 4, 3], [12, 1, 4]>\n"
     "  %r2 = buf_transpose %w : buf<f32, [3, 2, 4], [4, 12, 1]>\n",
     "14:9: buf<f32, [3, 2, 4], [4, 12, 1]> is no transpose of buf<f32, [2, 3, 4]>: the last two sizes must be "
     "swapped\n"},
    {"  %r = buf_scratch : f32\n", "12:8: the result of 'buf_scratch' must be a buffer, found f32\n"},
    {"  %r = buf_scratch : buf<f32, [m]>\n", "12:8: 'buf_scratch' needs a constant size, found buf<f32, [m]>\n"},
    {"  %r = buf_scratch : buf<f32, [8, 8], [lda, 1]>\n",
     "12:8: 'buf_scratch' needs a constant size, found buf<f32, [8, 8], [lda, 1]>\n"},
    {"  %r = buf_scratch : buf<f32, [?, 8]>\n", "12:8: 'buf_scratch' needs a constant size, found buf<f32, [?, 8]>\n"},
    {"  %r = buf_scratch : buf<f32, [128, 129]>\n",
     "12:8: 'buf_scratch' can have 65536 bytes, found buf<f32, [128, 129]>\n"},
    {"  %r = buf_scratch : buf<f64, [9000000000000000000, 9000000000000000000]>\n",
     "12:8: 'buf_scratch' can have 65536 bytes, found buf<f64, [9000000000000000000, 9000000000000000000]>\n"},
    {"  %r = buf_scratch : buf<u8, [65536]>\n"
     "  %r2 = buf_scratch : buf<u4, [131072]>\n"
     "  %r3 = buf_scratch : buf<f64, [8192]>\n"
     "  %r4 = buf_scratch : buf<i32, [16384]>\n"
     "  %r5 = buf_scratch : buf<u8, [1]>\n",
     "16:9: a kernel can have 262144 bytes of scratch, found 262145 up to here\n"},
    {"  %r = buf_workspace %i : buf<f32, [m]>\n",
     "12:8: the byte offset of 'buf_workspace' must be an index, found i32\n"},
    {"  %r = buf_workspace 0 : tile<2x2, f32>\n",
     "12:8: the result of 'buf_workspace' must be a buffer, found tile<2x2, f32>\n"},
};

static const Case layout_cases[] = {
    {"  %r = buf_workspace 0 : buf<f32, [m], col_panel 8x1>\n",
     "12:8: buf<f32, [m], col_panel 8x1>: a panel layout needs two axes or more\n"},
    {"  %r = buf_workspace 0 : buf<f32, [m, n], col_panel 0x1>\n",
     "12:8: buf<f32, [m, n], col_panel 0x1>: panel and group must be from 1 to 4096\n"},
    {"  %r = buf_workspace 0 : buf<f32, [m, n], row_panel 8x4097>\n",
     "12:8: buf<f32, [m, n], row_panel 8x4097>: panel and group must be from 1 to 4096\n"},
    {"  %r = buf_workspace 0 : buf<f32, [m, n], [?, 1]>\n", "12:8: buf<f32, [m, n], [?, 1]>: a stride cannot be '?'\n"},
    {"  %r = buf_workspace 0 : buf<f32, [m, ?]>\n", "12:8: buf<f32, [m, ?]>: only the first size may be '?'\n"},
    {"  %r = buf_workspace 0 : buf<f32, [?, n], col_panel 8x1>\n",
     "12:8: buf<f32, [?, n], col_panel 8x1>: only the columns may be '?'\n"},
    {"  %r = buf_workspace 0 : buf<f32, [m, ?], col_panel 8x1>\n", ""},
    {"  %r = buf_workspace 0 : buf<f32, [m, ?], row_panel 8x1>\n",
     "12:8: buf<f32, [m, ?], row_panel 8x1>: only the first size may be '?'\n"},
    {"  %r = buf_workspace 0 : buf<f32, [2, m, ?], col_panel 8x1>\n",
     "12:8: buf<f32, [2, m, ?], col_panel 8x1>: only the first size may be '?'\n"},
    {"  %r = buf_workspace 0 : buf<i4, []>\n", "12:8: buf<i4, []>: a nibble has no memory of its own\n"},
    {"  %r = buf_workspace 0 : buf<i4, [8, 7]>\n", "12:8: buf<i4, [8, 7]>: the last size must be even for nibbles\n"},
    {"  %r = buf_workspace 0 : buf<i4, [8, 8], [8, 2]>\n",
     "12:8: buf<i4, [8, 8], [8, 2]>: the last stride must be 1 for nibbles\n"},
    {"  %r = buf_workspace 0 : buf<i4, [8, 8], [9, 1]>\n",
     "12:8: buf<i4, [8, 8], [9, 1]>: all strides but the last must be even for nibbles\n"},
    {"  %r = buf_workspace 0 : buf<i4, [8, 8], col_panel 8x3>\n",
     "12:8: buf<i4, [8, 8], col_panel 8x3>: the group, or the panel where the group is 1, must be even for nibbles\n"},
    {"  %r = buf_workspace 0 : buf<i4, [8, 8], col_panel 7x1>\n",
     "12:8: buf<i4, [8, 8], col_panel 7x1>: the group, or the panel where the group is 1, must be even for nibbles\n"},
    {"  %r = buf_workspace 0 : buf<i4, [8, 8], col_panel 7x2>\n", ""},
};

static const Case shape_cases[] = {
    {"  %r = tile_const 0 : tile<0x8, f32>\n", "12:8: tile<0x8, f32>: rows and columns must be from 1 to 4096\n"},
    {"  %r = tile_const 0 : tile<1x4097, f32>\n", "12:8: tile<1x4097, f32>: rows and columns must be from 1 to 4096\n"},
    {"  %r = tile_const 0 : tile<512x129, f32>\n", "12:8: tile<512x129, f32>: there can be at most 65536 elements\n"},
    {"  %r = frag_zero : frag<acc, 8x8, bool>\n", "12:8: frag<acc, 8x8, bool>: fragments hold numbers\n"},
    {"  %r = tile_const 0 : tile<4096x1, f32>\n"
     "  %r2 = tile_transpose %r\n"
     "  %r3 = tile_add %r, %r2\n"
     "  %r4 = tile_exp %r3\n",
     "14:9: tile<4096x4096, f32>: there can be at most 65536 elements\n"},
};

static const Case element_cases[] = {
    {"  %r = tile_exp %i\n", "12:8: 'tile_exp' is for floats, found i32\n"},
    {"  %r = tile_exp 1\n", "12:8: 'tile_exp' takes a tile, found index\n"},
    {"  %r = tile_neg %t\n", "12:8: 'tile_neg' is for floats or integers of 8 bits or more, found bool\n"},
    {"  %r = tile_add %h, %h\n", "12:8: 'tile_add' is for floats or integers of 8 bits or more, found tile<1x8, i4>\n"},
    {"  %r = tile_and %x, %x\n",
     "12:8: 'tile_and' is for integers of 8 bits or more, or bool, found tile<8x48, f32>\n"},
    {"  %r = tile_lt %t, %t\n", "12:8: 'tile_lt' is for floats or integers of 8 bits or more, found bool\n"},
    {"  %r = tile_eq %h, %h\n", "12:8: 'tile_eq' is for elements of 8 bits or more, found tile<1x8, i4>\n"},
    {"  %r = tile_div %i, %i\n", "12:8: 'tile_div' is for floats, found i32\n"},
    {"  %r = tile_fma %i, %i, %i\n", "12:8: 'tile_fma' is for floats, found i32\n"},
    {"  %r = tile_transpose %h\n", "12:8: 'tile_transpose' is for elements of 8 bits or more, found tile<1x8, i4>\n"},
    {"  %r = tile_select %t, %h, %h\n", "12:8: 'tile_select' is for elements of 8 bits or more, found tile<1x8, i4>\n"},
    {"  %r = tile_row_sum %t\n", "12:8: 'tile_row_sum' is for floats or integers of 8 bits or more, found bool\n"},
    {"  %r = tile_col_max %acc\n", "12:8: 'tile_col_max' takes a tile, found frag<acc, 8x48, f32>\n"},
    {"  %r = tile_broadcast %h : tile<8x8, i4>\n",
     "12:8: 'tile_broadcast' is for elements of 8 bits or more, found tile<1x8, i4>\n"},
};

static const Case operand_cases[] = {
    {"  %r = tile_add %x, %i\n",
     "12:8: 'tile_add' takes tiles of one element type, of shapes that broadcast, found tile<8x48, f32> and i32\n"},
    {"  %r = tile_add %x, m\n",
     "12:8: 'tile_add' takes tiles of one element type, of shapes that broadcast, found tile<8x48, f32> and index\n"},
    {"  %r = tile_add %acc, %acc\n", "12:8: 'tile_add' takes tiles of one element type, of shapes that broadcast, "
                                     "found frag<acc, 8x48, f32> and frag<acc, 8x48, f32>\n"},
    {"  %w = tile_const 1 : tile<8x47, f32>\n"
     "  %r = tile_mul %x, %w\n",
     "13:8: 'tile_mul' takes tiles of one element type, of shapes that broadcast, found tile<8x48, f32> and tile<8x47, "
     "f32>\n"},
    {"  %r = tile_select %x, %x, %x\n",
     "12:8: 'tile_select' takes a bool tile, then tiles of one element type, of shapes that broadcast, found "
     "tile<8x48, f32>, tile<8x48, f32> and tile<8x48, f32>\n"},
    {"  %r = tile_select %t, %x, %i\n", "12:8: 'tile_select' takes a bool tile, then tiles of one element type, of "
                                        "shapes that broadcast, found bool, tile<8x48, f32> and i32\n"},
    {"  %r = tile_select m, %x, %x\n", "12:8: 'tile_select' takes a bool tile, then tiles of one element type, of "
                                       "shapes that broadcast, found index, tile<8x48, f32> and tile<8x48, f32>\n"},
    {"  %r = tile_lt %x, %q\n", "12:8: 'tile_lt' takes tiles of one element type, of shapes that broadcast, found "
                                "tile<8x48, f32> and tile<8x48, u8>\n"},
    {"  %r = tile_transpose m\n", "12:8: 'tile_transpose' takes a tile, found index\n"},
};

static const Case plain_cases[] = {
    {"  %r = tile_const 1.5 : i32\n", "12:8: 'tile_const' of i32 cannot be 1.5\n"},
    {"  %r = tile_const -1 : u8\n", "12:8: 'tile_const' of u8 cannot be -1\n"},
    {"  %r = tile_const nan : tile<1x2, i8>\n", "12:8: 'tile_const' of tile<1x2, i8> cannot be nan\n"},
    {"  %r = tile_const 2 : bool\n", "12:8: 'tile_const' of bool cannot be 2\n"},
    {"  %r = tile_const 1 : index\n", "12:8: the result of 'tile_const' must be a tile, found index\n"},
    {"  %r = tile_const 1 : frag<acc, 8x8, f32>\n",
     "12:8: the result of 'tile_const' must be a tile, found frag<acc, 8x8, f32>\n"},
    {"  %r = tile_iota : tile<1x48, f32>\n", "12:8: 'tile_iota' is a row or column of i32, found tile<1x48, f32>\n"},
    {"  %r = tile_iota : tile<2x2, i32>\n", "12:8: 'tile_iota' is a row or column of i32, found tile<2x2, i32>\n"},
    {"  %r = tile_index %i : i32\n", "12:8: the operand of 'tile_index' must be an index, found i32\n"},
    {"  %r = tile_index m : tile<1x2, i32>\n", "12:8: the result of 'tile_index' must be i32, found tile<1x2, i32>\n"},
    {"  %r = tile_index m : u8\n", "12:8: the result of 'tile_index' must be i32, found u8\n"},
    {"  %r = tile_broadcast %y : tile<8x48, f16>\n",
     "12:8: 'tile_broadcast' cannot make tile<8x48, f16> from tile<1x48, f32>: the element type must be the same\n"},
    {"  %r = tile_broadcast %y : tile<8x96, f32>\n", "12:8: 'tile_broadcast' cannot make tile<8x96, f32> from "
                                                     "tile<1x48, f32>: rows and columns must be 1 or the same\n"},
    {"  %r = tile_broadcast m : tile<8x96, f32>\n",
     "12:8: the operand of 'tile_broadcast' must be a tile, found index\n"},
    {"  %r = tile_convert %x : tile<48x8, f16>\n",
     "12:8: 'tile_convert' cannot make tile<48x8, f16> from tile<8x48, f32>: the shape must be the same\n"},
    {"  %r = tile_convert %x : frag<a, 8x48, f16>\n",
     "12:8: the result of 'tile_convert' must be a tile, found frag<a, 8x48, f16>\n"},
    {"  %r = tile_slice %x[1, 0] : tile<8x48, f32>\n",
     "12:8: 'tile_slice' from [1, 0] of tile<8x48, f32> reaches past tile<8x48, f32>\n"},
    {"  %r = tile_slice %x[0, -1] : tile<8x8, f32>\n",
     "12:8: 'tile_slice' from [0, -1] of tile<8x8, f32> reaches past tile<8x48, f32>\n"},
    {"  %r = tile_slice %x[0, 9223372036854775807] : tile<8x8, f32>\n",
     "12:8: 'tile_slice' from [0, 9223372036854775807] of tile<8x8, f32> reaches past tile<8x48, f32>\n"},
    {"  %r = tile_slice %x[0, 0] : tile<8x8, f16>\n",
     "12:8: 'tile_slice' cannot make tile<8x8, f16> from tile<8x48, f32>: the element type must be the same\n"},
    {"  %r = tile_concat_rows %x, %q : tile<16x48, f32>\n",
     "12:8: 'tile_concat_rows' cannot make tile<16x48, f32> from tile<8x48, f32> and tile<8x48, u8>: the element types "
     "must be the same\n"},
    {"  %r = tile_concat_rows %x, %i : tile<9x48, f32>\n",
     "12:8: 'tile_concat_rows' cannot make tile<9x48, f32> from tile<8x48, f32> and i32: the element types must be the "
     "same\n"},
    {"  %w = tile_const 1 : tile<8x47, f32>\n"
     "  %r = tile_concat_rows %x, %w : tile<16x48, f32>\n"
     "  %r2 = tile_concat_cols %x, %w : tile<8x96, f32>\n",
     "13:8: 'tile_concat_rows' cannot make tile<16x48, f32> from tile<8x48, f32> and tile<8x47, f32>: the columns must "
     "be as many\n"
     "14:9: the result of 'tile_concat_cols' must be tile<8x95, f32>, found tile<8x96, f32>\n"},
    {"  %r = tile_concat_cols %x, %y : tile<8x96, f32>\n",
     "12:8: 'tile_concat_cols' cannot make tile<8x96, f32> from tile<8x48, f32> and tile<1x48, f32>: the rows must be "
     "as many\n"},
    {"  %r = tile_low_nibble %i : i8\n", "12:8: 'tile_low_nibble' cannot make i8 from i32: both must be of i8 or u8\n"},
    {"  %r = tile_high_nibble %q : tile<8x48, i32>\n",
     "12:8: 'tile_high_nibble' cannot make tile<8x48, i32> from tile<8x48, u8>: both must be of i8 or u8\n"},
    {"  %r = tile_low_nibble %q : tile<8x96, u8>\n",
     "12:8: 'tile_low_nibble' cannot make tile<8x96, u8> from tile<8x48, u8>: the shape must be the same\n"},
    {"  %w = tile_const 0 : tile<8x48, i32>\n  %r = tile_dot %w, %q, %q\n",
     "13:8: 'tile_dot' cannot make tile<8x48, i32> from tile<8x48, i32> and tile<8x48, u8> and tile<8x48, u8>: the "
     "others must have its rows, and four times its columns of bytes, twice of bf16\n"},
    {"  %w = tile_const 0 : tile<8x12, i32>\n  %r = tile_dot %w, %q, %x\n",
     "13:8: 'tile_dot' cannot make tile<8x12, i32> from tile<8x12, i32> and tile<8x48, u8> and tile<8x48, f32>: the "
     "sum must be of i32 and the others of i8 or u8, or it of f32 and they of bf16\n"},
    {"  %r = tile_lookup %x, %q : tile<8x48, f32>\n",
     "12:8: 'tile_lookup' cannot make tile<8x48, f32> from tile<8x48, f32> and tile<8x48, u8>: the table must be one "
     "row of a power of two\n"},
    {"  %r = tile_lookup %y, %q : tile<8x48, f32>\n",
     "12:8: 'tile_lookup' cannot make tile<8x48, f32> from tile<1x48, f32> and tile<8x48, u8>: the table must be one "
     "row of a power of two\n"},
    {"  %w = tile_const 1 : tile<1x16, f32>\n"
     "  %r = tile_lookup %w, %x : tile<8x48, f32>\n"
     "  %r2 = tile_lookup %w, %q : tile<8x48, f16>\n",
     "13:8: 'tile_lookup' cannot make tile<8x48, f32> from tile<1x16, f32> and tile<8x48, f32>: the index must be of "
     "integers\n"
     "14:9: the result of 'tile_lookup' must be tile<8x48, f32>, found tile<8x48, f16>\n"},
};

static const Case frag_cases[] = {
    {"  %r = frag_zero : frag<a, 8x1, f32>\n",
     "12:8: the result of 'frag_zero' must be a fragment 'acc', found frag<a, 8x1, f32>\n"},
    {"  %r = frag_zero : tile<8x8, f32>\n",
     "12:8: the result of 'frag_zero' must be a fragment, found tile<8x8, f32>\n"},
    {"  %r = frag_tile %x : tile<8x48, f32>\n",
     "12:8: the operand of 'frag_tile' must be a fragment, found tile<8x48, f32>\n"},
    {"  %r = frag_tile %fa : tile<8x1, f32>\n",
     "12:8: the operand of 'frag_tile' must be a fragment 'acc', found frag<a, 8x1, f32>\n"},
    {"  %r = frag_tile %acc : tile<8x48, f16>\n",
     "12:8: the result of 'frag_tile' must be tile<8x48, f32>, found tile<8x48, f16>\n"},
    {"  %r = tile_frag %acc : frag<acc, 8x48, f32>\n",
     "12:8: the operand of 'tile_frag' must be a tile, found frag<acc, 8x48, f32>\n"},
    {"  %r = tile_frag %x : tile<8x48, f32>\n",
     "12:8: the result of 'tile_frag' must be a fragment, found tile<8x48, f32>\n"},
    {"  %r = tile_frag %x : frag<b, 48x8, f32>\n",
     "12:8: the result of 'tile_frag' must be frag<b, 8x48, f32>, found frag<b, 48x8, f32>\n"},
    {"  %r = mma %x, %fa, %fb\n", "12:8: the first operand of 'mma' must be a fragment, found tile<8x48, f32>\n"},
    {"  %r = mma %fa, %fa, %fb\n",
     "12:8: the first operand of 'mma' must be a fragment 'acc', found frag<a, 8x1, f32>\n"},
    {"  %r = mma %acc, %fb, %fa\n",
     "12:8: the second operand of 'mma' must be a fragment 'a', found frag<b, 1x48, f32>\n"},
    {"  %r = mma %acc, %fa, %acc\n",
     "12:8: the third operand of 'mma' must be a fragment 'b', found frag<acc, 8x48, f32>\n"},
    {"  %w = tile_frag %x : frag<b, 8x48, f32>\n"
     "  %r = mma %acc, %fa, %w\n",
     "13:8: 'mma' takes shapes m x n, m x k and k x n, found 8x48, 8x1 and 8x48\n"},
    {"  %w = tile_const 1 : tile<8x1, i8>\n"
     "  %f = tile_frag %w : frag<a, 8x1, i8>\n"
     "  %r = mma %acc, %f, %fb\n",
     "14:8: 'mma' cannot multiply i8 by f32\n"},
    {"  %w = tile_const 1 : tile<8x1, i8>\n"
     "  %f = tile_frag %w : frag<a, 8x1, i8>\n"
     "  %z = tile_const 1 : tile<1x48, u4>\n"
     "  %g = tile_frag %z : frag<b, 1x48, u4>\n"
     "  %r = mma %acc, %f, %g\n",
     "16:8: 'mma' adds products of i8 and u4 in i32, found f32\n"},
    {"  %w = tile_const 1 : tile<8x1, f64>\n"
     "  %f = tile_frag %w : frag<a, 8x1, f64>\n"
     "  %z = tile_const 1 : tile<1x48, f64>\n"
     "  %g = tile_frag %z : frag<b, 1x48, f64>\n"
     "  %r = mma %acc, %f, %g\n",
     "16:8: 'mma' adds products of f64 and f64 in f64, found f32\n"},
};

Test(tile_verify, control) { expect_cases(control_cases, ARRAY_LENGTH(control_cases)); }
Test(tile_verify, index) { expect_cases(index_cases, ARRAY_LENGTH(index_cases)); }
Test(tile_verify, memory) { expect_cases(memory_cases, ARRAY_LENGTH(memory_cases)); }
Test(tile_verify, buffer) { expect_cases(buffer_cases, ARRAY_LENGTH(buffer_cases)); }
Test(tile_verify, layout) { expect_cases(layout_cases, ARRAY_LENGTH(layout_cases)); }
Test(tile_verify, shape) { expect_cases(shape_cases, ARRAY_LENGTH(shape_cases)); }
Test(tile_verify, element) { expect_cases(element_cases, ARRAY_LENGTH(element_cases)); }
Test(tile_verify, operand) { expect_cases(operand_cases, ARRAY_LENGTH(operand_cases)); }
Test(tile_verify, plain) { expect_cases(plain_cases, ARRAY_LENGTH(plain_cases)); }
Test(tile_verify, frag) { expect_cases(frag_cases, ARRAY_LENGTH(frag_cases)); }
