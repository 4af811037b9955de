/* Lowering of tiles to and from panels with groups along k: every bound, at and off the edges of panels and groups. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/lower_run.h"

/* A tile at (row, col), expressions of symbols i and j, of an m x n matrix in panels. */
typedef struct PanelCase {
  kiln_type type;
  const char *layout;
  int panel, group;
  int rows, cols; /* of the tile */
  const char *row, *col;
  int64_t i, j, m, n;
} PanelCase;

static int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static int64_t panel_elements(const PanelCase *test) {
  bool is_col = test->layout[0] == 'c';
  return is_col ? padded(test->n, test->panel) * padded(test->m, test->group)
                : padded(test->m, test->panel) * padded(test->n, test->group);
}

/* Each task has a matrix of its own and other bounds: from -1 to one more than the tile has, along both axes. */
static void check_bounds(const PanelCase *test, bool loads) {
  const char *type = kiln_type_name(test->type);
  int64_t tasks = (int64_t)(test->rows + 3) * (test->cols + 3);
  char panels[96], rows[64], there[64], text[1024];
  snprintf(panels, sizeof panels, "buf<%s, [t, m, n], %s %dx%d>", type, test->layout, test->panel, test->group);
  snprintf(rows, sizeof rows, "buf<%s, [t, %d, %d]>", type, test->rows, test->cols);
  snprintf(there, sizeof there, "[%%task, %s, %s] rows %%r cols %%c", test->row, test->col);
  snprintf(text, sizeof text,
           "kernel @panels(%%from: %s, %%to: %s)\n    symbols t, m, n, i, j\n    tasks t {\n"
           "  %%r = %%task %% %d - 1\n  %%c = %%task / %d - 1\n"
           "  %%x = tile_load %%from%s : tile<%dx%d, %s>\n  tile_store %%x, %%to%s\n}\n",
           loads ? panels : rows, loads ? rows : panels, test->rows + 3, test->rows + 3,
           loads ? there : "[%task, 0, 0]", test->rows, test->cols, type, loads ? "[%task, 0, 0]" : there);
  int64_t inner = tasks * test->rows * test->cols, outer = tasks * panel_elements(test);
  const int64_t symbols[] = {tasks, test->m, test->n, test->i, test->j};
  const LowerBuffer buffers[] = {{test->type, loads ? outer : inner, FILL_BITS, 0},
                                 {test->type, loads ? inner : outer, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){text, symbols, buffers, 2});
  lower_check_compiles(text);
}

static void check_all(const PanelCase *cases, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    check_bounds(&cases[i], false);
    check_bounds(&cases[i], true);
  }
}

/* As packing does it: whole panels of A, whole groups of k. */
Test(lower_panels, rows_at_panels) {
  static const PanelCase cases[] = {
      {KILN_U8, "row_panel", 12, 4, 12, 16, "12 * i", "4 * j", 1, 1, 24, 20},
      {KILN_I8, "row_panel", 6, 2, 6, 8, "6 * i", "8 * j", 0, 1, 6, 16},
      {KILN_I8, "row_panel", 8, 8, 8, 16, "8 * i", "8 * j", 1, 0, 16, 16},
      {KILN_F8E4M3, "row_panel", 16, 4, 16, 24, "0", "4 * j", 0, 1, 16, 28},
      {KILN_BF16, "row_panel", 14, 2, 14, 16, "14 * i", "2 * j", 0, 3, 14, 22},
      {KILN_F16, "row_panel", 8, 4, 8, 8, "8 * i", "4 * j", 1, 1, 16, 12},
      {KILN_F32, "row_panel", 6, 2, 6, 8, "6 * i", "2 * j", 0, 1, 6, 10},
  };
  check_all(cases, ARRAY_LENGTH(cases));
}

Test(lower_panels, columns_at_panels) {
  static const PanelCase cases[] = {
      {KILN_I8, "col_panel", 32, 4, 8, 32, "4 * i", "32 * j", 1, 1, 12, 64},
      {KILN_U8, "col_panel", 16, 2, 6, 16, "2 * i", "16 * j", 2, 0, 10, 16},
      {KILN_I8, "col_panel", 8, 8, 16, 8, "8 * i", "8 * j", 0, 1, 16, 16},
      {KILN_F8E5M2, "col_panel", 20, 4, 4, 20, "4 * i", "0", 1, 0, 8, 20},
      {KILN_BF16, "col_panel", 32, 2, 4, 32, "2 * i", "32 * j", 1, 0, 6, 32},
      {KILN_F16, "col_panel", 8, 4, 8, 8, "4 * i", "8 * j", 1, 1, 12, 16},
      {KILN_I32, "col_panel", 16, 2, 4, 16, "2 * i", "16 * j", 1, 0, 6, 16},
  };
  check_all(cases, ARRAY_LENGTH(cases));
}

/* Panels larger than the tile, tiles across two panels, positions known only to be whole groups. */
Test(lower_panels, off_the_panels) {
  static const PanelCase cases[] = {
      {KILN_U8, "row_panel", 12, 4, 5, 12, "i", "4 * j", 3, 1, 12, 16},
      {KILN_BF16, "row_panel", 5, 2, 5, 6, "i", "2 * j", 3, 1, 10, 8},
      {KILN_BOOL, "row_panel", 8, 4, 7, 12, "4 * i", "4 * j", 1, 1, 16, 16},
      {KILN_I8, "row_panel", 9, 4, 1, 8, "i", "0", 4, 0, 9, 8},
      {KILN_I8, "col_panel", 12, 4, 4, 7, "4 * i", "j", 1, 8, 8, 24},
      {KILN_F16, "col_panel", 16, 2, 4, 10, "2 * i", "4 * j", 1, 1, 6, 16},
      {KILN_BOOL, "col_panel", 6, 8, 8, 5, "8 * i", "j", 1, 1, 16, 6},
      {KILN_U8, "col_panel", 9, 2, 4, 1, "0", "j", 0, 4, 4, 9},
  };
  check_all(cases, ARRAY_LENGTH(cases));
}

/* What goes by elements: positions in the middle of a group, groups that are no unit, parts of a group. */
Test(lower_panels, by_elements) {
  static const PanelCase cases[] = {
      {KILN_U8, "row_panel", 6, 4, 6, 8, "6 * i", "j", 0, 3, 6, 11},
      {KILN_I8, "row_panel", 4, 3, 4, 6, "4 * i", "3 * j", 1, 1, 8, 9},
      {KILN_I8, "row_panel", 4, 4, 4, 6, "4 * i", "4 * j", 0, 1, 4, 10},
      {KILN_F64, "col_panel", 4, 2, 4, 4, "2 * i", "4 * j", 1, 1, 6, 8},
      {KILN_BF16, "col_panel", 8, 2, 3, 8, "i", "8 * j", 1, 0, 4, 8},
      {KILN_I8, "col_panel", 1, 4, 4, 1, "4 * i", "j", 1, 2, 8, 3},
  };
  check_all(cases, ARRAY_LENGTH(cases));
}

/* Packing of both operands with tails everywhere, through loops. */
Test(lower_panels, packing) {
  static const kiln_type types[] = {KILN_U8, KILN_BF16};
  static const int groups[] = {4, 2};
  for (size_t t = 0; t < ARRAY_LENGTH(types); ++t) {
    for (int64_t k = 1; k < 40; k += 1 + k / 3) {
      const char *type = kiln_type_name(types[t]);
      int64_t m = 17, n = 37, group = groups[t], groups_of_k = padded(k, group);
      char text[1536];
      snprintf(text, sizeof text,
               "kernel @pack(%%x: buf<%s, [m, k]>, %%w: buf<%s, [k, n]>, %%a: buf<%s, [m, k], row_panel 12x%d>,\n"
               "    %%b: buf<%s, [k, n], col_panel 32x%d>)\n    symbols m, n, k\n    tasks 1 {\n"
               "  for %%i = 0 to m step 12 {\n    for %%p = 0 to k step 16 {\n"
               "      %%t = tile_load %%x[%%i, %%p] rows m - %%i cols k - %%p : tile<12x16, %s>\n"
               "      tile_store %%t, %%a[%%i, %%p] rows m - %%i cols k - %%p\n      yield\n    }\n    yield\n  }\n"
               "  for %%j = 0 to n step 32 {\n    for %%q = 0 to k step 16 {\n"
               "      %%u = tile_load %%w[%%q, %%j] rows k - %%q cols n - %%j : tile<16x32, %s>\n"
               "      tile_store %%u, %%b[%%q, %%j] rows k - %%q\n      yield\n    }\n    yield\n  }\n}\n",
               type, type, type, (int)group, type, (int)group, type, type);
      const int64_t symbols[] = {m, n, k};
      const LowerBuffer buffers[] = {{types[t], m * k, FILL_BITS, 0},
                                     {types[t], k * n, FILL_BITS, 0},
                                     {types[t], 24 * groups_of_k, FILL_OUTPUT, 0},
                                     {types[t], 64 * groups_of_k, FILL_OUTPUT, 0}};
      lower_check(&(LowerCase){text, symbols, buffers, 4});
    }
  }
}
