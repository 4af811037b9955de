/* test_tile_interpret_memory.c: how the interpreter reads and writes buffers: bounds, layouts, and the faults it
 * reports of accesses out of range. */
#include "tests/unit/tile_run.h"

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

/* Copies a 3x4 corner of a 4x5 matrix with these bounds into one of -1; the result's sum tells how much was copied. */
static void copy_bounded(int64_t rows, int64_t cols, float to[20]) {
  float from[20];
  for (int i = 0; i < 20; i++) {
    from[i] = (float)(i + 1);
    to[i] = -1;
  }
  tile_run_well("kernel @t(%from: buf<f32, [4, 5]>, %to: buf<f32, [4, 5]>)\n"
                "    symbols r, c\n"
                "{\n"
                "  %x = tile_load %from[1, 1] rows r cols c : tile<3x4, f32>\n"
                "  tile_store %x, %to[0, 0]\n"
                "}\n",
                (void *[]){from, to}, (int64_t[]){rows, cols});
}

Test(tile_interpret_memory, tile_load_gives_zero_past_its_bounds) {
  static const int64_t bounds[] = {-7, 0, 1, 2, 3, 4, 100};
  for (size_t r = 0; r < ARRAY_LENGTH(bounds); r++) {
    for (size_t c = 0; c < ARRAY_LENGTH(bounds); c++) {
      float to[20];
      copy_bounded(bounds[r], bounds[c], to);
      for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 5; j++) {
          float inside = i < bounds[r] && j < bounds[c] ? (float)((i + 1) * 5 + j + 2) : 0;
          cr_assert_eq(to[i * 5 + j], i < 3 && j < 4 ? inside : -1);
        }
      }
    }
  }
}

Test(tile_interpret_memory, tile_store_and_frag_store_keep_what_is_past_their_bounds) {
  static const int64_t bounds[] = {-7, 0, 1, 2, 100};
  for (size_t r = 0; r < ARRAY_LENGTH(bounds); r++) {
    for (size_t c = 0; c < ARRAY_LENGTH(bounds); c++) {
      float to[2][6] = {{0}};
      tile_run_well("kernel @t(%x: buf<f32, [2, 3]>, %y: buf<f32, [2, 3]>)\n"
                    "    symbols r, c\n"
                    "{\n"
                    "  %one = tile_const 1 : tile<2x3, f32>\n"
                    "  tile_store %one, %x[0, 0] rows r cols c\n"
                    "  %acc = tile_frag %one : frag<acc, 2x3, f32>\n"
                    "  frag_store %acc, %y[0, 0] rows r cols c\n"
                    "}\n",
                    (void *[]){to[0], to[1]}, (int64_t[]){bounds[r], bounds[c]});
      for (int i = 0; i < 6; i++) {
        bool is_inside = i / 3 < bounds[r] && i % 3 < bounds[c];
        cr_assert(to[0][i] == (is_inside ? 1 : 0) && to[1][i] == (is_inside ? 1 : 0));
      }
    }
  }
}

/* A product of 2x2 whose operands are bounded; what it stores is bounded too. */
static const char bounded_product[] = "kernel @t(%a: buf<f32, [2, 2]>, %b: buf<f32, [2, 2]>, %c: buf<f32, [2, 2]>)\n"
                                      "    symbols am, ak, bk, bn, cm, cn\n"
                                      "{\n"
                                      "  %fa = frag_load %a[0, 0] rows am cols ak : frag<a, 2x2, f32>\n"
                                      "  %fb = frag_load %b[0, 0] rows bk cols bn : frag<b, 2x2, f32>\n"
                                      "  %zero = frag_zero : frag<acc, 2x2, f32>\n"
                                      "  %sum = mma %zero, %fa, %fb\n"
                                      "  frag_store %sum, %c[0, 0] rows cm cols cn\n"
                                      "}\n";

Test(tile_interpret_memory, frag_load_gives_zero_along_k_and_nothing_certain_along_m_and_n) {
  float a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8}, c[4];
  void *buffers[] = {a, b, c};
  tile_run_well(bounded_product, buffers, (int64_t[]){2, 1, 2, 2, 2, 2});
  cr_expect(c[0] == 5 && c[1] == 6 && c[2] == 15 && c[3] == 18, "a past k");
  tile_run_well(bounded_product, buffers, (int64_t[]){2, 2, 1, 2, 2, 2});
  cr_expect(c[0] == 5 && c[1] == 6 && c[2] == 15 && c[3] == 18, "b past k");
  tile_run_well(bounded_product, buffers, (int64_t[]){2, 0, 2, 2, 2, 2});
  cr_expect(c[0] == 0 && c[3] == 0, "nothing along k");
  tile_run_well(bounded_product, buffers, (int64_t[]){1, 2, 2, 1, 1, 1});
  cr_expect(c[0] == 19 && c[3] == 0, "the specified corner");
  TileRun run = {.buffers = buffers, .symbols = (int64_t[]){1, 2, 2, 2, 2, 2}};
  tile_run_ill(bounded_product, &run, 8, "element (1, 0) of the stored value is unspecified");
  run.symbols = (int64_t[]){2, 2, 2, 1, 2, 2};
  tile_run_ill(bounded_product, &run, 8, "element (0, 1) of the stored value is unspecified");
  run.symbols = (int64_t[]){0, 2, 2, 2, 2, 2};
  tile_run_ill(bounded_product, &run, 4, "the bound 'rows' is 0, expected 1 or more for an operand a");
  run.symbols = (int64_t[]){1, 0, 2, 2, 2, 2};
  tile_run_ill(bounded_product, &run, 8, "element (1, 0) of the stored value is unspecified");
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

/* Copies [5, 6] elements one by one between layouts. */
static void copy_layout(const char *from_layout, const void *from, const char *to_layout, void *to) {
  char text[600];
  snprintf(text, sizeof text,
           "kernel @t(%%from: buf<u8, [5, 6]%s>, %%to: buf<u8, [5, 6]%s>) {\n"
           "  for %%i = 0 to 5 step 1 {\n"
           "    for %%j = 0 to 6 step 1 {\n"
           "      %%x = tile_load %%from[%%i, %%j] : u8\n"
           "      tile_store %%x, %%to[%%i, %%j]\n"
           "    }\n"
           "  }\n"
           "}\n",
           from_layout, to_layout);
  tile_run_well(text, (void *[]){(void *)(uintptr_t)from, to}, NULL);
}

/* The definition in tile.h, written out for element (i, j) of [5, 6] in panels of 4 and groups of 2. */
static int col_panel_at(int i, int j) { return ((j / 4 * 3 + i / 2) * 4 + j % 4) * 2 + i % 2; }
static int row_panel_at(int i, int j) { return ((i / 4 * 3 + j / 2) * 4 + i % 4) * 2 + j % 2; }

Test(tile_interpret_memory, panels_lie_as_defined) {
  uint8_t plain[30], cols[48] = {0}, rows[48] = {0}, back[30], strided[60] = {0};
  for (int i = 0; i < 30; i++) plain[i] = (uint8_t)(i + 1);
  copy_layout("", plain, ", col_panel 4x2", cols);
  copy_layout(", col_panel 4x2", cols, ", row_panel 4x2", rows);
  copy_layout(", row_panel 4x2", rows, ", [1, 7]", strided);
  copy_layout(", [1, 7]", strided, "", back);
  cr_expect_arr_eq(plain, back, sizeof plain);
  for (int i = 0; i < 5; i++) {
    for (int j = 0; j < 6; j++) {
      uint8_t element = plain[i * 6 + j];
      cr_expect_eq(cols[col_panel_at(i, j)], element);
      cr_expect_eq(rows[row_panel_at(i, j)], element);
      cr_expect_eq(strided[i + 7 * j], element);
    }
  }
}

Test(tile_interpret_memory, padding_of_panels_can_be_read_and_filled) {
  uint8_t plain[30], packed[48];
  float sums[8];
  for (int i = 0; i < 30; i++) plain[i] = (uint8_t)(i + 1);
  memset(packed, 0xee, sizeof packed);
  tile_run_well("kernel @t(%x: buf<u8, [5, 6]>, %packed: buf<u8, [5, 6], col_panel 4x2>, %sums: buf<f32, [8]>) {\n"
                "  for %j = 0 to 6 step 4 {\n"
                "    %x.j = tile_load %x[0, %j] rows 5 cols 6 - %j : tile<6x4, u8>\n"
                "    tile_store %x.j, %packed[0, %j]\n"
                "    %y = tile_load %packed[0, %j] : tile<6x4, u8>\n"
                "    %z = tile_convert %y : tile<6x4, f32>\n"
                "    %sum = tile_col_sum %z\n"
                "    tile_store %sum, %sums[%j]\n"
                "  }\n"
                "}\n",
                (void *[]){plain, packed, sums}, NULL);
  for (int j = 0; j < 8; j++) cr_expect_eq(sums[j], j < 6 ? (float)(65 + 5 * j) : 0);
  for (int at = 0; at < 48; at++) cr_expect_neq(packed[at], 0xee);
  float to[8] = {0};
  TileRun run = {.buffers = (void *[]){packed, to}};
  tile_run_ill("kernel @t(%packed: buf<u8, [5, 6], col_panel 4x2>, %to: buf<f32, [8]>) {\n"
               "  %x = tile_load %packed[6, 0] : u8\n}\n",
               &run, 2, "touches 6 to 6 along axis 0 of %packed, which has 5");
}

Test(tile_interpret_memory, nibbles_lie_two_in_a_byte) {
  uint8_t from[3] = {0x21, 0x83, 0xf7}, to[3] = {0xaa, 0xaa, 0xaa};
  float numbers[6];
  tile_run_well("kernel @t(%from: buf<i4, [6]>, %numbers: buf<f32, [6]>, %to: buf<i4, [6]>) {\n"
                "  %x = tile_load %from[0] : tile<1x6, i4>\n"
                "  %y = tile_convert %x : tile<1x6, f32>\n"
                "  tile_store %y, %numbers[0]\n"
                "  %z = tile_load %from[1] cols 3 : tile<1x4, i4>\n"
                "  tile_store %z, %to[1] cols 4\n"
                "}\n",
                (void *[]){from, numbers, to}, NULL);
  static const float expected[6] = {1, 2, 3, -8, 7, -1};
  for (int i = 0; i < 6; i++) cr_expect_eq(numbers[i], expected[i]);
  cr_expect(to[0] == 0x2a && to[1] == 0x83 && to[2] == 0xa0, "%02x %02x %02x", to[0], to[1], to[2]);
}

Test(tile_interpret_memory, buf_transpose_swaps_the_last_axes) {
  float x[2 * 3 * 5], y[2 * 4 * 2] = {0};
  for (int i = 0; i < 30; i++) x[i] = (float)i;
  static const char text[] = "kernel @t(%x: buf<f32, [2, 3, 4], [15, 5, 1]>, %y: buf<f32, [2, 4, 2]>)\n"
                             "    symbols r\n"
                             "{\n"
                             "  %t = buf_transpose %x : buf<f32, [2, 4, 3], [15, 1, 5]>\n"
                             "  for %i = 0 to 2 step 1 {\n"
                             "    %z = tile_load %t[%i, 0, r] : tile<4x2, f32>\n"
                             "    tile_store %z, %y[%i, 0, 0]\n"
                             "  }\n"
                             "}\n";
  tile_run_well(text, (void *[]){x, y}, (int64_t[]){1});
  for (int i = 0; i < 16; i++) cr_expect_eq(y[i], (float)(i / 8 * 15 + (i % 2 + 1) * 5 + i / 2 % 4));
  tile_run_ill(text, &(TileRun){.buffers = (void *[]){x, y}, .symbols = (int64_t[]){2}}, 6,
               "touches 2 to 3 along axis 2 of %t, which has 3");
}

Test(tile_interpret_memory, any_rank) {
  float scalar = 2, x[24], y[4] = {0};
  for (int i = 0; i < 24; i++) x[i] = (float)i;
  tile_run_well("kernel @t(%s: buf<f32, []>, %x: buf<f32, [a, 3, 4]>, %y: buf<f32, [4]>)\n"
                "    symbols a\n"
                "{\n"
                "  %s.0 = tile_load %s[] : f32\n"
                "  %r = tile_load %x[1, 2, 0] : tile<1x4, f32>\n"
                "  %z = tile_mul %r, %s.0\n"
                "  tile_store %z, %y[0]\n"
                "  %view = buf_view %x[1, 0, 2] : buf<f32, [3, 2], [4, 1]>\n"
                "  %c = tile_load %view[1, 1] : f32\n"
                "  tile_store %c, %s[]\n"
                "}\n",
                (void *[]){&scalar, x, y}, (int64_t[]){2});
  for (int i = 0; i < 4; i++) cr_expect_eq(y[i], (float)(40 + 2 * i));
  cr_expect_eq(scalar, 19);
}

/* ---- accesses out of range --------------------------------------------------------------------------------------- */

typedef struct Stray {
  const char *buffer; /* the type of %x */
  const char *statement;
  const char *words;
} Stray;

Test(tile_interpret_memory, accesses_out_of_range_are_faults) {
  static const Stray strays[] = {
      {"buf<f32, [4, 4]>", "%y = tile_load %x[0, 1] : tile<1x4, f32>",
       "touches 1 to 4 along axis 1 of %x, which has 4"},
      {"buf<f32, [4, 4]>", "%y = tile_load %x[3, 0] : tile<2x1, f32>",
       "touches 3 to 4 along axis 0 of %x, which has 4"},
      {"buf<f32, [4, 4]>", "%y = tile_load %x[-1, 0] : f32", "touches -1 to -1 along axis 0"},
      {"buf<f32, [4, 4]>", "%y = tile_load %x[0, 9223372036854775807] : f32", "along axis 1"},
      {"buf<f32, [4, 4]>", "%y = tile_load %x[n, 0] rows 1 : tile<2x1, f32>", "touches 4 to 4 along axis 0"},
      {"buf<f32, [n, n], [5, 1]>", "%y = tile_load %x[0, 4] : f32", "touches 4 to 4 along axis 1"},
      {"buf<f32, [2, 4, 4]>", "%y = tile_load %x[2, 0, 0] : f32", "touches 2 to 2 along axis 0"},
      {"buf<f32, [4]>", "%y = tile_load %x[2] cols 3 : tile<1x8, f32>", "touches 2 to 4 along axis 0"},
      {"buf<f32, [4, 4]>", "%z = frag_zero : frag<acc, 2x2, f32>\n  frag_store %z, %x[3, 3] rows 1",
       "touches 3 to 4 along axis 1"},
      {"buf<f32, [4, 4]>", "%y = frag_load %x[0, 3] : frag<a, 1x2, f32>", "touches 3 to 4 along axis 1"},
      {"buf<i32, [4]>", "%z = tile_const 1 : i32\n  %y = atomic_add %z, %x[n] : i32", "touches 4 to 4 along axis 0"},
      {"buf<f32, [4, 4], col_panel 4x2>", "%y = tile_load %x[0, 4] : f32", "touches 4 to 4 along axis 1"},
      {"buf<f32, [4, 4], [less, 1]>", "", "size or stride is -1"},
      {"buf<f32, [less]>", "", "size or stride is -1"},
      {"buf<f32, [4, 4]>", "%v = buf_view %x[2, 2] : buf<f32, [?, ?], [4, 1]>\n  %y = tile_load %v[0, 2] : f32",
       "touches 2 to 2 along axis 1 of %v, which has 2"},
      {"buf<f32, [4, 4]>", "%v = buf_view %x[2, 0] : buf<f32, [8, 4]>\n  %y = tile_load %v[2, 0] : f32",
       "touches 2 to 2 along axis 0 of %v, which has 2"},
      {"buf<f32, [4, 4]>", "%v = buf_view %x[n, 0] : buf<f32, [4]>\n  %y = tile_load %v[0] : f32",
       "element (0, 0) lies outside of the memory of %v"},
      {"buf<f32, [4, 4]>", "%v = buf_workspace 0 : buf<f32, [?, 2]>\n  %y = tile_load %v[9223372036854775807, 0] : f32",
       "index 9223372036854775807 along axis 0 of %v is out of range"},
      {"buf<f32, [4, 4]>", "%v = buf_workspace 0 : buf<f32, [?, 2]>\n  %y = tile_load %v[1000000000000000000, 0] : f32",
       "lies outside of the memory of %v"},
      {"buf<f32, [4, 4]>", "%v = buf_view %x[0 - n, 0] : buf<f32, [?, 4]>\n  %y = tile_load %v[0, 0] : f32",
       "touches 0 to 0 along axis 0 of %v, which has 0"},
      {"buf<f32, [4, 4]>",
       "%w = buf_workspace 0 : buf<f32, [?, 2]>\n  %v = buf_view %w[0 - n, 0] : buf<f32, [?, 2]>\n"
       "  %y = tile_load %v[3, 0] : f32",
       "lies outside of the memory of %v"},
      {"buf<f32, [8, 8], col_panel 4x2>",
       "%v = buf_view %x[0, 4] : buf<f32, [8, 8], col_panel 4x2>\n  %y = tile_load %v[0, 4] : f32",
       "touches 4 to 4 along axis 1"},
      {"buf<f32, [8, 8], col_panel 4x2>", "%v = buf_view %x[0, 2] : buf<f32, [8, 4], col_panel 4x2>",
       "begins at 2 along axis 1, expected a multiple of 4"},
      {"buf<f32, [4, 4]>", "%v = buf_workspace n : buf<f32, [4]>\n  %y = tile_load %v[3] : f32",
       "element (0, 0) lies outside of the memory of %v"},
      {"buf<f32, [4, 4]>", "%v = buf_workspace n - 100 : buf<f32, [4]>\n  %y = tile_load %v[0] : f32",
       "lies outside of the memory"},
      {"buf<f32, [4, 4]>", "%v = buf_workspace n + 1 : buf<f32, [4]>", "begins at byte 5, expected a multiple of 4"},
      {"buf<f32, [4, 4]>", "%v = buf_scratch : buf<f32, [4]>\n  %y = tile_load %v[0] : f32",
       "is read before it is written"},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(strays); i++) {
    char text[500];
    float memory[64] = {0}, workspace[4] = {0};
    snprintf(text, sizeof text, "kernel @t(%%x: %s)\n    symbols n, less {\n  %s\n}\n", strays[i].buffer,
             strays[i].statement);
    TileRun run = {
        .buffers = (void *[]){memory}, .symbols = (int64_t[]){4, -1}, .workspace = workspace, .workspace_bytes = 16};
    Outcome outcome = tile_run(text, &run, NULL);
    cr_expect_eq(outcome.status, KILN_INVALID_TILE, "%s%s", text, strays[i].words);
    cr_expect(strstr(outcome.fault, strays[i].words), "%s\nexpected: %s\nfound: %s", text, strays[i].words,
              outcome.fault);
  }
}

Test(tile_interpret_memory, what_is_out_of_range_but_past_the_bounds_is_not_touched) {
  float memory[16] = {0};
  tile_run_well("kernel @t(%x: buf<f32, [4, 4]>, %none: buf<f32, [n, 4]>)\n"
                "    symbols n\n"
                "{\n"
                "  %y = tile_load %x[3, 3] rows 1 cols 1 : tile<8x8, f32>\n"
                "  tile_store %y, %x[100, 0] rows n - 10\n"
                "  %z = tile_load %none[0, 0] rows n : tile<2x4, f32>\n"
                "  tile_store %z, %none[5, -5] rows n\n"
                "  %v = buf_view %x[77, 0] : buf<f32, [?, 4]>\n"
                "  prefetch %x[1000, 3] level 1\n"
                "}\n",
                (void *[]){memory, NULL}, (int64_t[]){0});
}

Test(tile_interpret_memory, index_of_the_last_task_is_in_the_message) {
  float x[4];
  TileRun run = {.buffers = (void *[]){x}};
  tile_run_ill("kernel @t(%x: buf<f32, [4]>)\n"
               "    tasks 9 {\n"
               "  %y = tile_load %x[%task] : f32\n"
               "}\n",
               &run, 3, "tile_load: touches 4 to 4 along axis 0 of %x, which has 4, in task 4");
}
