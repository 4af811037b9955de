/* Lowering of loads and stores: every layout, offset and bound. Memory outside of a bound is behind a guard page. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/lower_run.h"

/* Copies a tile from one buffer to another, from (i, j) to (i2, j2) with these bounds; text says the buffers' layouts.
 */
typedef struct Copy {
  kiln_type type;
  int rows, cols;        /* of the tile */
  const char *from, *to; /* what stands after the element type */
  int64_t from_count, to_count;
  const char *load_bounds, *store_bounds;
  int64_t symbols[8]; /* i, j, i2, j2, r, c, m, n */
  bool compiles_elsewhere;
} Copy;

static void check_copy(const Copy *copy) {
  Text text;
  const char *type = kiln_type_name(copy->type);
  text_init(&text, NULL);
  text_printf(&text,
              "kernel @copy(%%from: buf<%s%s>, %%to: buf<%s%s>)\n    symbols i, j, i2, j2, r, c, m, n\n{\n"
              "  %%x = tile_load %%from[i, j]%s : tile<%dx%d, %s>\n  tile_store %%x, %%to[i2, j2]%s\n}\n",
              type, copy->from, type, copy->to, copy->load_bounds, copy->rows, copy->cols, type, copy->store_bounds);
  const LowerBuffer buffers[] = {{copy->type, copy->from_count, FILL_BITS, 0},
                                 {copy->type, copy->to_count, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){text_get(&text), copy->symbols, buffers, 2});
  if (copy->compiles_elsewhere) lower_check_compiles(text_get(&text));
  text_release(&text);
}

static const kiln_type types[] = {KILN_F32, KILN_F64, KILN_BF16, KILN_BOOL};

/* The corner of an m x n matrix whose last row and column are the tile's. */
static void check_corner(kiln_type type, int rows, int cols, int64_t r, int64_t c, const char *from, const char *to) {
  int64_t i = 2, j = 4, m = i + (r < 0 ? 0 : r), n = j + (c < 0 ? 0 : c);
  Copy copy = {type, rows, cols, from, to, m * n, m * n, " rows r cols c", " rows r cols c", {i, j, i, j, r, c, m, n},
               false};
  check_copy(&copy);
}

static const char row_major[] = ", [m, n]", transposed[] = ", [m, n], [1, m]", strided[] = ", [m, n], [n, 1]";

Test(lower_memory, bounds_of_rows) {
  static const int shapes[][2] = {{4, 48}, {3, 20}, {5, 1}, {1, 7}};
  for (size_t t = 0; t < ARRAY_LENGTH(types); ++t)
    for (size_t s = 0; s < ARRAY_LENGTH(shapes); ++s)
      for (int64_t r = -1; r <= shapes[s][0]; r += 2)
        for (int64_t c = t == 0 ? -1 : 1; c <= shapes[s][1]; c += c < 3 ? 2 : 15)
          check_corner(types[t], shapes[s][0], shapes[s][1], r, c, row_major, strided);
}

Test(lower_memory, bounds_of_columns) {
  static const int shapes[][2] = {{8, 8}, {20, 3}, {1, 5}, {6, 1}};
  static const kiln_type some[] = {KILN_F32, KILN_I8};
  for (size_t t = 0; t < ARRAY_LENGTH(some); ++t)
    for (size_t s = 0; s < ARRAY_LENGTH(shapes); ++s)
      for (int64_t r = 0; r <= shapes[s][0]; r += 1 + r)
        for (int64_t c = 0; c <= shapes[s][1]; c += 1 + c) {
          check_corner(some[t], shapes[s][0], shapes[s][1], r, c, transposed, row_major);
          check_corner(some[t], shapes[s][0], shapes[s][1], r, c, row_major, transposed);
        }
}

/* Nothing cut off, and bounds larger than the tile. */
Test(lower_memory, whole) {
  static const char *const layouts[] = {", [m, n]", ", [m, n], [1, m]", ", [m, n], [r, c]"};
  static const int shapes[][2] = {{1, 1}, {7, 1}, {1, 30}, {16, 16}, {6, 48}};
  for (size_t t = 0; t < ARRAY_LENGTH(types); ++t)
    for (size_t s = 0; s < ARRAY_LENGTH(shapes); ++s)
      for (size_t l = 0; l < ARRAY_LENGTH(layouts); ++l) {
        int64_t m = shapes[s][0] + 2, n = shapes[s][1] + 1;
        int64_t stride_r = l == 2 ? 2 * n + 1 : 1000, stride_c = l == 2 ? 2 : 1000;
        Copy copy = {types[t],     shapes[s][0],
                     shapes[s][1], layouts[l],
                     ", [m, n]",   l == 2 ? (m - 1) * stride_r + (n - 1) * 2 + 1 : m * n,
                     m * n,        "",
                     "",           {1, 1, 2, 0, stride_r, stride_c, m, n},
                     s == 3};
        check_copy(&copy);
        copy = (Copy){types[t], shapes[s][0],    shapes[s][1], ", [m, n]", layouts[l],
                      m * n,    copy.from_count, "",           "",         {1, 1, 2, 0, stride_r, stride_c, m, n},
                      s == 3};
        check_copy(&copy);
        if (l != 2) {
          copy.load_bounds = copy.store_bounds = " rows r cols c";
          check_copy(&copy);
        }
      }
}

/* Ranks other than 2. */
Test(lower_memory, ranks) {
  const LowerBuffer buffers[] = {
      {KILN_F32, 1, FILL_BITS, 0},   {KILN_F32, 40, FILL_BITS, 0},   {KILN_F32, 3 * 5 * 7 * 33, FILL_BITS, 0},
      {KILN_F32, 1, FILL_OUTPUT, 0}, {KILN_F32, 40, FILL_OUTPUT, 0}, {KILN_F32, 3 * 5 * 7 * 33, FILL_OUTPUT, 0}};
  const int64_t symbols[] = {3, 5, 7, 33};
  lower_check(&(LowerCase){"kernel @ranks(%s: buf<f32, []>, %v: buf<f32, [40]>, %t: buf<f32, [a, b, c, d]>,\n"
                           "    %so: buf<f32, []>, %vo: buf<f32, [40]>, %to: buf<f32, [a, b, c, d]>)\n"
                           "    symbols a, b, c, d\n    tasks a * b {\n"
                           "  %x = tile_load %s[] : f32\n  tile_store %x, %so[]\n"
                           "  %y = tile_load %v[3] cols 37 : tile<1x48, f32>\n  tile_store %y, %vo[1] cols 39\n"
                           "  %i = %task / b\n  %j = %task % b\n"
                           "  %z = tile_load %t[%i, %j, 1, 2] cols 31 : tile<6x32, f32>\n"
                           "  tile_store %z, %to[%i, %j, 0, 1] rows c\n}\n",
                           symbols, buffers, 6});
}

/* ---- panels ------------------------------------------------------------------------------------------------------ */

static int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Tiles of a matrix walk through a panel buffer, along both axes, at and off the panels' edges. */
static void check_panels(kiln_type type, const char *layout, int panel, int group, bool is_col, int rows, int cols,
                         int64_t i, int64_t j) {
  int64_t m = 37, n = 53;
  char text[64];
  snprintf(text, sizeof text, ", [m, n], %s %dx%d", layout, panel, group);
  int64_t count = is_col ? padded(n, panel) * padded(m, group) : padded(m, panel) * padded(n, group);
  Copy copy = {type, rows, cols, text, ", [m, n]", count, m * n, "", " rows 100 cols 100", {i, j, 0, 0, 0, 0, m, n},
               false};
  check_copy(&copy);
  Copy back = {type, rows, cols, ", [m, n]", text, m * n, count, " rows 100 cols 100", "", {0, 0, i, j, 0, 0, m, n},
               false};
  check_copy(&back);
}

Test(lower_memory, col_panel) {
  static const int kinds[][2] = {{16, 1}, {48, 1}, {16, 4}, {8, 2}, {6, 1}};
  for (size_t k = 0; k < ARRAY_LENGTH(kinds); ++k) {
    int panel = kinds[k][0], group = kinds[k][1];
    check_panels(KILN_F32, "col_panel", panel, group, true, 4, panel, 8, 0);
    check_panels(KILN_F32, "col_panel", panel, group, true, 3, 5, 1, 1);
    check_panels(KILN_BF16, "col_panel", panel, group, true, 8, panel < 20 ? panel : 20, 3, 7);
    check_panels(KILN_I8, "col_panel", panel, group, true, 1, 1, 36, 40);
  }
}

Test(lower_memory, row_panel) {
  static const int kinds[][2] = {{8, 1}, {16, 4}, {6, 2}};
  for (size_t k = 0; k < ARRAY_LENGTH(kinds); ++k) {
    int panel = kinds[k][0], group = kinds[k][1];
    check_panels(KILN_F32, "row_panel", panel, group, false, panel, 4, 0, 8);
    check_panels(KILN_F64, "row_panel", panel, group, false, 5, 3, 1, 1);
    check_panels(KILN_U8, "row_panel", panel, group, false, 1, 16, 30, 7);
  }
}

/* Indices that are known multiples of the panel take the short way, inside of loops too. */
Test(lower_memory, panels_in_loops) {
  const int64_t symbols[] = {19, 96};
  const LowerBuffer buffers[] = {
      {KILN_F32, 19 * 96, FILL_BITS, 0}, {KILN_F32, 20 * 96, FILL_OUTPUT, 0}, {KILN_F32, 19 * 96, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){
      "kernel @pack(%in: buf<f32, [k, n]>, %packed: buf<f32, [k, n], col_panel 48x4>, %out: buf<f32, [k, n]>)\n"
      "    symbols k, n\n    tasks ceildiv(n, 48) {\n  %j = 48 * %task\n"
      "  for %p = 0 to k step 4 {\n"
      "    %x = tile_load %in[%p, %j] rows k - %p cols n - %j : tile<4x48, f32>\n"
      "    tile_store %x, %packed[%p, %j]\n    yield\n  }\n"
      "  for %q = 0 to k step 1 {\n"
      "    %y = tile_load %packed[%q, %j] : tile<1x48, f32>\n"
      "    tile_store %y, %out[%q, %j] cols n - %j\n    yield\n  }\n}\n",
      symbols, buffers, 3});
}

/* ---- nibbles ----------------------------------------------------------------------------------------------------- */

Test(lower_memory, nibbles) {
  static const kiln_type both[] = {KILN_I4, KILN_U4};
  for (size_t t = 0; t < 2; ++t) {
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t c = 0; c <= 20; c += 1 + c / 2) {
        Copy copy = {both[t],
                     3,
                     20,
                     ", [5, 30]",
                     ", [5, 30]",
                     150,
                     150,
                     " rows r cols c",
                     " rows r cols c",
                     {1, j, 2, 3 - j, 2, c, 0, 0},
                     j == 0};
        check_copy(&copy);
        Copy even = {
            both[t], 3, 20, ", [5, 30]", ", [5, 30]", 150, 150, " rows r cols c", " cols c", {1, 0, 2, 0, 2, c, 0, 0},
            false};
        even.from = even.to = ", [5, 30]";
        check_copy(&even);
      }
    Copy whole = {both[t], 2, 64, ", [m, n]", ", [4, 64]", 3 * 65, 256, "", "", {0, 1, 1, 0, 0, 0, 3, 65}, true};
    check_copy(&whole);
    Copy column = {both[t],
                   2,
                   8,
                   ", [16, 8], col_panel 8x2",
                   ", [16, 8], row_panel 2x1",
                   128,
                   128,
                   "",
                   "",
                   {4, 0, 6, 0, 0, 0, 0, 0},
                   false};
    check_copy(&column);
  }
}

/* The fast way: constant even offsets. */
Test(lower_memory, nibbles_by_bytes) {
  const LowerBuffer buffers[] = {
      {KILN_I4, 4 * 44, FILL_BITS, 0}, {KILN_I4, 4 * 44, FILL_OUTPUT, 0}, {KILN_I32, 4 * 44, FILL_OUTPUT, 0}};
  for (int64_t c = 0; c < 44; c += 3)
    lower_check(&(LowerCase){
        "kernel @bytes(%in: buf<i4, [4, 44]>, %out: buf<i4, [4, 44]>, %wide: buf<i32, [4, 44]>)\n    symbols c\n{\n"
        "  %x = tile_load %in[0, 0] rows 3 cols c : tile<4x44, i4>\n  tile_store %x, %out[0, 0]\n"
        "  %y = tile_convert %x : tile<4x44, i32>\n  tile_store %y, %wide[0, 0]\n}\n",
        &c, buffers, 3});
}

/* ---- views, scratch, workspace, counters ------------------------------------------------------------------------- */

Test(lower_memory, views) {
  const int64_t symbols[] = {3, 6, 20};
  const LowerBuffer buffers[] = {{KILN_F32, 360, FILL_BITS, 0}, {KILN_F32, 360, FILL_OUTPUT, 0}};
  const char text[] =
      "kernel @views(%in: buf<f32, [b, m, n]>, %out: buf<f32, [b, m, n]>)\n    symbols b, m, n\n    tasks b {\n"
      "  %x = buf_view %in[%task, 0, 0] : buf<f32, [m, n]>\n  %t = buf_transpose %x : buf<f32, [n, m], [1, n]>\n"
      "  for %i = 0 to m step 1 {\n    %y = buf_view %out[%task, %i, 2] : buf<f32, [?]>\n"
      "    %row = buf_view %x[%i, 1] : buf<f32, [?]>\n"
      "    %v = tile_load %row[1] cols n - 2 : tile<1x24, f32>\n    tile_store %v, %y[0] cols n - 2\n"
      "    %w = tile_load %t[0, %i] : tile<2x1, f32>\n    %u = tile_transpose %w\n"
      "    tile_store %u, %out[%task, %i, 0]\n    yield\n  }\n}\n";
  lower_check(&(LowerCase){text, symbols, buffers, 2});
  lower_check_compiles(text);
}

/* Rows of a panel's transpose go to it whole groups at a time. */
Test(lower_memory, transposed_panel) {
  const int64_t symbols[] = {21};
  const LowerBuffer buffers[] = {{KILN_I8, 20 * 64, FILL_BITS, 0}, {KILN_I8, 24 * 32, FILL_OUTPUT, 0}};
  const char text[] = "kernel @turn(%in: buf<i8, [20, 64]>, %out: buf<i8, [k, 20], col_panel 16x4>)\n    symbols k\n{\n"
                      "  %t = buf_transpose %out : buf<i8, [20, k], row_panel 16x4>\n"
                      "  %x = tile_load %in[0, 0] cols k : tile<16x24, i8>\n  tile_store %x, %t[0, 0] cols k\n"
                      "  %y = tile_load %in[16, 0] : tile<4x16, i8>\n  tile_store %y, %t[16, 0]\n}\n";
  lower_check(&(LowerCase){text, symbols, buffers, 2});
  lower_check_compiles(text);
}

Test(lower_memory, views_of_nibbles) {
  const int64_t symbols[] = {3};
  const LowerBuffer buffers[] = {{KILN_U4, 64, FILL_BITS, 0}, {KILN_U4, 64, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){"kernel @views(%in: buf<u4, [64]>, %out: buf<u4, [64]>)\n    symbols o\n{\n"
                           "  %x = buf_view %in[o] : buf<u4, [?]>\n  %y = buf_view %x[o + 1] : buf<u4, [?]>\n"
                           "  %z = buf_view %out[6] : buf<u4, [?]>\n"
                           "  %v = tile_load %y[1] : tile<1x40, u4>\n  tile_store %v, %z[2]\n}\n",
                           symbols, buffers, 2});
}

Test(lower_memory, scratch_and_workspace) {
  const int64_t symbols[] = {5};
  const LowerBuffer buffers[] = {{KILN_F32, 5 * 64, FILL_BITS, 0}, {KILN_F32, 5 * 64, FILL_OUTPUT, 0}};
  const char text[] =
      "kernel @memory(%in: buf<f32, [m, 64]>, %out: buf<f32, [m, 64]>)\n    symbols m\n    workspace m * 256\n"
      "    tasks m {\n"
      "  %s = buf_scratch : buf<f32, [2, 32]>\n  %w = buf_workspace %task * 256 : buf<f32, [8, 8]>\n"
      "  for %i = 0 to 2 step 1 {\n    %x = tile_load %in[%task, 32 * %i] : tile<1x32, f32>\n"
      "    tile_store %x, %s[%i, 0]\n    prefetch %in[%task, 32 * %i + 64] level 2\n    yield\n  }\n"
      "  %y = tile_load %s[0, 8] : tile<2x8, f32>\n  tile_store %y, %w[2, 0]\n"
      "  %z = tile_load %w[2, 0] : tile<2x8, f32>\n  tile_store %z, %out[%task, 8] rows 1\n}\n";
  lower_check(&(LowerCase){text, symbols, buffers, 2});
  lower_check_compiles(text);
}

Test(lower_memory, atomic_add) {
  const int64_t symbols[] = {7};
  const LowerBuffer buffers[] = {{KILN_I32, 3, FILL_OUTPUT, 0}, {KILN_I32, 7, FILL_OUTPUT, 0}};
  const char text[] = "kernel @count(%counters: buf<i32, [3]>, %old: buf<i32, [m]>)\n    symbols m\n    tasks m {\n"
                      "  %one = tile_const 5 : i32\n  %before = atomic_add %one, %counters[%task % 3] : i32\n"
                      "  tile_store %before, %old[%task]\n}\n";
  lower_check(&(LowerCase){text, symbols, buffers, 2});
  lower_check_compiles(text);
}
