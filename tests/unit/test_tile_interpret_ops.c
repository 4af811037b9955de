/* test_tile_interpret_ops.c: what the interpreter computes for each operation on tiles and fragments, against results
 * worked out by hand. */
#include "tests/unit/tile_run.h"

#include <limits.h>

#define NA ((double)NAN)
#define INF ((double)INFINITY)
#define TINY 0x1p-24

static const char f32x8[] = "tile<1x8, f32>", i32x8[] = "tile<1x8, i32>", bool8[] = "tile<1x8, bool>",
                  i8x8[] = "tile<1x8, i8>", u8x8[] = "tile<1x8, u8>", f64x8[] = "tile<1x8, f64>",
                  f32x2x4[] = "tile<2x4, f32>", i32x2x4[] = "tile<2x4, i32>";

/* Statements that give %out from %x, %y and %z, which are of one type. */
typedef struct Case {
  const char *body;
  const char *type, *out_type;
  double x[8], y[8], z[8], out[8];
} Case;

static void shape_of(const char *type, int *rows, int *cols, kiln_type *element) {
  *rows = *cols = 1;
  sscanf(type, "tile<%dx%d", rows, cols);
  const char *comma = strchr(type, ',');
  const char *name = comma ? comma + 2 : type;
  cr_assert(type_find(name, strcspn(name, ">"), element), "%s", type);
}

/* A buffer that holds just this tile. */
static void add_buffer(Text *text, const char *name, const char *type) {
  int rows, cols;
  kiln_type element;
  shape_of(type, &rows, &cols, &element);
  text_printf(text, "%%%s: buf<%s, [%d, %d]>", name, kiln_type_name(element), rows, cols);
}

static void put(const char *type, const double *numbers, void *memory) {
  int rows, cols;
  kiln_type element;
  shape_of(type, &rows, &cols, &element);
  for (int i = 0; i < rows * cols; i++) type_store(element, memory, (size_t)i, numbers[i]);
}

static void check(const Case *c) {
  double memory[4][8] = {{0}};
  put(c->type, c->x, memory[0]);
  put(c->type, c->y, memory[1]);
  put(c->type, c->z, memory[2]);
  Text text;
  text_init(&text, NULL);
  text_add(&text, "kernel @t(");
  for (int i = 0; i < 3; i++) {
    add_buffer(&text, (const char *[]){"x_in", "y_in", "z_in"}[i], c->type);
    text_add(&text, ", ");
  }
  add_buffer(&text, "to", c->out_type);
  text_add(&text, ") {\n");
  for (int i = 0; i < 3; i++) text_printf(&text, "  %%%c = tile_load %%%c_in[0, 0] : %s\n", 'x' + i, 'x' + i, c->type);
  text_printf(&text, "  %s\n  tile_store %%out, %%to[0, 0]\n}\n", c->body);
  tile_run_well(text_get(&text), (void *[]){memory[0], memory[1], memory[2], memory[3]}, NULL);
  text_release(&text);
  int rows, cols;
  kiln_type element;
  shape_of(c->out_type, &rows, &cols, &element);
  for (int i = 0; i < rows * cols; i++) {
    double found = type_load(element, memory[3], (size_t)i);
    cr_expect(is_same_number(found, c->out[i]), "%s\nelement %d: found %.17g, expected %.17g", c->body, i, found,
              c->out[i]);
  }
}

#define CHECK_ALL(cases)                                                                                               \
  for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) check(&(cases)[i])

Test(tile_interpret, one_operand) {
  static const Case cases[] = {
      {"%out = tile_neg %x", f32x8, f32x8, .x = {1.5, -2, 0, INF, NA},
       .out = {-1.5, 2, -0.0, -INF, NA, -0.0, -0.0, -0.0}},
      {"%out = tile_neg %x", i32x8, i32x8, .x = {INT_MIN, INT_MAX, 5, -7}, .out = {INT_MIN, -INT_MAX, -5, 7}},
      {"%out = tile_abs %x", f32x8, f32x8, .x = {-1.5, 2, -0.0, -INF, NA}, .out = {1.5, 2, 0, INF, NA}},
      {"%out = tile_abs %x", i32x8, i32x8, .x = {INT_MIN, -7, 7}, .out = {INT_MIN, 7, 7}},
      {"%out = tile_round %x", f32x8, f32x8, .x = {0.5, 1.5, 2.5, -0.5, -1.5, 3.7, INF, NA},
       .out = {0, 2, 2, -0.0, -2, 4, INF, NA}},
      {"%out = tile_sqrt %x", f32x8, f32x8, .x = {4, 2, 0, -1, INF, -0.0, NA},
       .out = {2, 0x1.6a09e6p+0, 0, NA, INF, -0.0, NA}},
      {"%out = tile_rsqrt %x", f32x8, f32x8, .x = {4, 0.25, 0, INF, -1, NA, 1, 1},
       .out = {0.5, 2, INF, 0, NA, NA, 1, 1}},
      {"%out = tile_exp %x", f32x8, f32x8, .x = {0, 1, -INF, INF, NA, 89, -104},
       .out = {1, 0x1.5bf0a8p+1, 0, INF, NA, INF, 0, 1}},
      {"%out = tile_exp %x", f64x8, f64x8, .x = {0, 1, 89},
       .out = {1, 2.718281828459045, 4.4896128191743455e38, 1, 1, 1, 1, 1}},
      {"%out = tile_log %x", f32x8, f32x8, .x = {1, 0, -1, INF, NA, 2, 1, 1},
       .out = {0, -INF, NA, INF, NA, 0x1.62e43p-1}},
      {"%out = tile_tanh %x", f32x8, f32x8, .x = {0, 1, INF, -INF, NA, -0.0, 20},
       .out = {0, (double)0.7615941559557649f, 1, -1, NA, -0.0, 1}},
      {"%out = tile_erf %x", f32x8, f32x8, .x = {0, 1, INF, -INF, NA, -0.0, 20},
       .out = {0, (double)0.8427007929497149f, 1, -1, NA, -0.0, 1}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, two_operands) {
  static const Case cases[] = {
      {"%out = tile_add %x, %y", f32x8, f32x8, .x = {16777216, 3e38, INF, NA, 0.1f}, .y = {1, 3e38, -INF, 1, 0.2f},
       .out = {16777216, INF, NA, NA, (double)0.3f}},
      {"%out = tile_add %x, %y", i32x8, i32x8, .x = {INT_MAX, INT_MIN, 3}, .y = {1, -1, -5},
       .out = {INT_MIN, INT_MAX, -2}},
      {"%out = tile_sub %x, %y", f32x8, f32x8, .x = {1, INF, -16777216}, .y = {2, INF, 1}, .out = {-1, NA, -16777216}},
      {"%out = tile_sub %x, %y", i32x8, i32x8, .x = {INT_MIN, 0, 9}, .y = {1, INT_MIN, 4},
       .out = {INT_MAX, INT_MIN, 5}},
      {"%out = tile_mul %x, %y", f32x8, f32x8, .x = {3, INF, 1e-30f, -2}, .y = {0.5, 0, 1e-30f, 0},
       .out = {1.5, NA, 0, -0.0}},
      {"%out = tile_mul %x, %y", i32x8, i32x8, .x = {65536, 46341, 123456789, -3}, .y = {65536, 46341, 987654321, 7},
       .out = {0, -2147479015, -67153019, -21}},
      {"%out = tile_div %x, %y", f32x8, f32x8, .x = {1, 1, 0, -1, INF}, .y = {3, 0, 0, 0, INF, 1, 1, 1},
       .out = {(double)(1.0f / 3.0f), INF, NA, -INF, NA}},
      {"%out = tile_min %x, %y", f32x8, f32x8, .x = {1, NA, 2, -INF}, .y = {2, 1, NA, 3}, .out = {1, NA, NA, -INF}},
      {"%out = tile_max %x, %y", f32x8, f32x8, .x = {1, NA, 2, INF}, .y = {2, 1, NA, 3}, .out = {2, NA, NA, INF}},
      {"%out = tile_min %x, %y", i32x8, i32x8, .x = {1, -5}, .y = {-2, 7}, .out = {-2, -5}},
      {"%out = tile_max %x, %y", i32x8, i32x8, .x = {1, -5}, .y = {-2, 7}, .out = {1, 7}},
      {"%out = tile_and %x, %y", i32x8, i32x8, .x = {-1, 12, INT_MIN}, .y = {12, 10, -1}, .out = {12, 8, INT_MIN}},
      {"%out = tile_or %x, %y", i32x8, i32x8, .x = {-8, 12}, .y = {3, 10}, .out = {-5, 14}},
      {"%out = tile_xor %x, %y", i32x8, i32x8, .x = {-1, 12}, .y = {5, 10}, .out = {-6, 6}},
      {"%out = tile_xor %x, %y", u8x8, u8x8, .x = {200, 1}, .y = {255, 1}, .out = {55, 0}},
      {"%out = tile_and %x, %y", bool8, bool8, .x = {1, 1, 0}, .y = {1, 0, 1}, .out = {1, 0, 0}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, comparisons) {
  static const Case cases[] = {
      {"%out = tile_lt %x, %y", f32x8, bool8, .x = {1, 2, NA, -0.0, 1}, .y = {2, 1, 1, 0, NA}, .out = {1, 0, 0, 0, 0}},
      {"%out = tile_le %x, %y", f32x8, bool8, .x = {1, 2, NA, -0.0, 1}, .y = {2, 1, 1, 0, NA},
       .out = {1, 0, 0, 1, 0, 1, 1, 1}},
      {"%out = tile_eq %x, %y", f32x8, bool8, .x = {1, 2, NA, -0.0}, .y = {2, 2, NA, 0},
       .out = {0, 1, 0, 1, 1, 1, 1, 1}},
      {"%out = tile_ne %x, %y", f32x8, bool8, .x = {1, 2, NA, -0.0}, .y = {2, 2, NA, 0}, .out = {1, 0, 1, 0}},
      {"%out = tile_lt %x, %y", i32x8, bool8, .x = {INT_MIN, 3}, .y = {INT_MAX, 3}, .out = {1, 0}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, three_operands) {
  static const Case cases[] = {
      /* (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24, which a product rounded on its own would lose */
      {"%out = tile_fma %x, %y, %z", f32x8, f32x8, .x = {1 + 0x1p-12, 2}, .y = {1 + 0x1p-12, 3}, .z = {-1 - 0x1p-11, 4},
       .out = {TINY, 10}},
      {"%c = tile_lt %x, %y\n  %out = tile_select %c, %z, %y", f32x8, f32x8, .x = {1, 3, NA}, .y = {2, 2, 2},
       .z = {7, 8, 9}, .out = {7, 2, 2}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, conversions) {
  static const Case cases[] = {
      {"%out = tile_convert %x : tile<1x8, i8>", f32x8, i8x8, .x = {127.5, -128.5, 2.5, 3.5, NA, INF, -INF, -0.5},
       .out = {127, -128, 2, 4, 0, 127, -128, 0}},
      {"%out = tile_convert %x : tile<1x8, u8>", f32x8, u8x8, .x = {-1, 255.5, 254.5, 0.5, NA, INF, -INF, 1.5},
       .out = {0, 255, 254, 0, 0, 255, 0, 2}},
      {"%out = tile_convert %x : tile<1x8, i32>", f32x8, i32x8, .x = {2147483648, -3e9, 1.5, 2.5, NA, INF, -INF, -7.5},
       .out = {INT_MAX, INT_MIN, 2, 2, 0, INT_MAX, INT_MIN, -8}},
      {"%out = tile_convert %x : tile<1x8, i8>", i32x8, i8x8, .x = {300, -300, 5, INT_MIN, INT_MAX},
       .out = {127, -128, 5, -128, 127}},
      {"%out = tile_convert %x : tile<1x8, u8>", i32x8, u8x8, .x = {300, -300, 5}, .out = {255, 0, 5}},
      {"%out = tile_convert %x : tile<1x8, f32>", i32x8, f32x8, .x = {16777217, -16777219, INT_MIN},
       .out = {16777216, -16777220, INT_MIN}},
      {"%out = tile_convert %x : tile<1x8, bf16>", f32x8, "tile<1x8, bf16>",
       .x = {1.00390625, 1.01171875, 3.4e38, NA, -0.0}, .out = {1, 1.015625, INF, NA, -0.0}},
      {"%out = tile_convert %x : tile<1x8, f16>", f32x8, "tile<1x8, f16>",
       .x = {65520, 65519, 2049, 2051, 0x1p-25, -INF}, .out = {INF, 65504, 2048, 2052, 0, -INF}},
      {"%out = tile_convert %x : tile<1x8, f8e4m3>", f32x8, "tile<1x8, f8e4m3>", .x = {500, 449, INF, 17, 19},
       .out = {NA, 448, NA, 16, 20}},
      {"%out = tile_convert %x : tile<1x8, f8e5m2>", f32x8, "tile<1x8, f8e5m2>", .x = {65536, 9, 11, -INF},
       .out = {INF, 8, 12, -INF}},
      {"%out = tile_convert %x : tile<1x8, f64>", f32x8, f64x8, .x = {0.1f, NA}, .out = {(double)0.1f, NA}},
      {"%out = tile_convert %x : tile<1x8, i4>", f32x8, "tile<1x8, i4>", .x = {7.5, -9, 2.5, -1.5},
       .out = {7, -8, 2, -2}},
      {"%out = tile_convert %x : tile<1x8, f32>", "tile<1x8, u4>", f32x8, .x = {15, 0, 9}, .out = {15, 0, 9}},
      {"%out = tile_convert %x : tile<1x8, f32>", bool8, f32x8, .x = {1, 0, 1}, .out = {1, 0, 1}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, made_and_reshaped) {
  static const Case cases[] = {
      {"%out = tile_const 0.1 : tile<1x2, f32>", f32x8, "tile<1x2, f32>", .out = {0.1f, 0.1f}},
      {"%out = tile_const nan : f32", f32x8, "f32", .out = {NA}},
      {"%out = tile_const -inf : tile<2x1, f32>", f32x8, "tile<2x1, f32>", .out = {-INF, -INF}},
      {"%out = tile_iota : tile<1x4, i32>", f32x8, "tile<1x4, i32>", .out = {0, 1, 2, 3}},
      {"%out = tile_iota : tile<3x1, i32>", f32x8, "tile<3x1, i32>", .out = {0, 1, 2}},
      {"%out = tile_index 3 - 10 : i32", f32x8, "i32", .out = {-7}},
      {"%out = tile_broadcast %x : tile<2x4, f32>", "tile<1x4, f32>", f32x2x4, .x = {1, 2, 3, 4},
       .out = {1, 2, 3, 4, 1, 2, 3, 4}},
      {"%out = tile_broadcast %x : tile<2x4, f32>", "tile<2x1, f32>", f32x2x4, .x = {1, 2},
       .out = {1, 1, 1, 1, 2, 2, 2, 2}},
      {"%out = tile_broadcast %x : tile<2x2, f32>", "f32", "tile<2x2, f32>", .x = {5}, .out = {5, 5, 5, 5}},
      {"%out = tile_transpose %x", f32x2x4, "tile<4x2, f32>", .x = {1, 2, 3, 4, 5, 6, 7, 8},
       .out = {1, 5, 2, 6, 3, 7, 4, 8}},
      {"%out = tile_slice %x[1, 2] : tile<1x2, f32>", f32x2x4, "tile<1x2, f32>", .x = {1, 2, 3, 4, 5, 6, 7, 8},
       .out = {7, 8}},
      {"%out = tile_concat_rows %x, %y : tile<2x4, f32>", "tile<1x4, f32>", f32x2x4, .x = {1, 2, 3, 4},
       .y = {5, 6, 7, 8}, .out = {1, 2, 3, 4, 5, 6, 7, 8}},
      {"%out = tile_concat_cols %x, %y : tile<2x4, f32>", "tile<2x2, f32>", f32x2x4, .x = {1, 2, 3, 4},
       .y = {5, 6, 7, 8}, .out = {1, 2, 5, 6, 3, 4, 7, 8}},
      /* a row and a column broadcast against each other, which one of them alone does not show */
      {"%r = tile_slice %x[0, 0] : tile<1x4, f32>\n  %c = tile_slice %y[0, 0] : tile<2x1, f32>\n  %out = tile_sub %r, "
       "%c",
       f32x2x4, f32x2x4, .x = {1, 2, 3, 4}, .y = {10, 0, 0, 0, 20}, .out = {-9, -8, -7, -6, -19, -18, -17, -16}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, reductions) {
  static const Case cases[] = {
      {"%out = tile_row_sum %x", f32x2x4, "tile<2x1, f32>", .x = {1, 2, 3, 4, 5, 6, 7, 8}, .out = {10, 26}},
      {"%out = tile_col_sum %x", f32x2x4, "tile<1x4, f32>", .x = {1, 2, 3, 4, 5, 6, 7, 8}, .out = {6, 8, 10, 12}},
      {"%out = tile_row_max %x", f32x2x4, "tile<2x1, f32>", .x = {1, 4, 3, 2, -INF, NA, 7, 8}, .out = {4, NA}},
      {"%out = tile_col_max %x", f32x2x4, "tile<1x4, f32>", .x = {1, NA, -3, -INF, 5, 6, -7, -INF},
       .out = {5, NA, -3, -INF}},
      {"%out = tile_row_sum %x", i32x2x4, "tile<2x1, i32>", .x = {INT_MAX, 1, 0, 0, 5, 6, 7, 8}, .out = {INT_MIN, 26}},
      /* from the first row on, each sum rounded */
      {"%out = tile_col_sum %x", "tile<4x1, f32>", "f32", .x = {16777216, 1, 1, 1}, .out = {16777216}},
      {"%out = tile_col_sum %x", "tile<4x1, f32>", "f32", .x = {1, 1, 1, 16777216}, .out = {16777220}},
      {"%out = tile_row_sum %x", "tile<4x1, f32>", "tile<4x1, f32>", .x = {1, 2, 3, 4}, .out = {1, 2, 3, 4}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, nibbles_and_tables) {
  static const Case cases[] = {
      {"%out = tile_low_nibble %x : tile<1x8, i8>", u8x8, i8x8, .x = {0x7f, 0x80, 0x08, 0xa7}, .out = {-1, 0, -8, 7}},
      {"%out = tile_low_nibble %x : tile<1x8, u8>", u8x8, u8x8, .x = {0x7f, 0x80, 0x08, 0xa7}, .out = {15, 0, 8, 7}},
      {"%out = tile_high_nibble %x : tile<1x8, i8>", u8x8, i8x8, .x = {0x7f, 0x80, 0x08, 0xa7}, .out = {7, -8, 0, -6}},
      {"%out = tile_high_nibble %x : tile<1x8, u8>", u8x8, u8x8, .x = {0x7f, 0x80, 0x08, 0xa7}, .out = {7, 8, 0, 10}},
      {"%out = tile_low_nibble %x : tile<1x8, u8>", i8x8, u8x8, .x = {-1, -128, 8}, .out = {15, 0, 8}},
      /* four bytes to a sum, each with its own sign, on top of what is there */
      {"%s = tile_const 1000 : tile<1x2, i32>\n  %out = tile_dot %s, %x, %y", u8x8, "tile<1x2, i32>",
       .x = {255, 1, 2, 3, 10, 0, 0, 200}, .y = {255, 1, 1, 1, 1, 9, 9, 2}, .out = {66031, 1410}},
      {"%s = tile_const 0 : tile<1x2, i32>\n  %out = tile_dot %s, %x, %y", i8x8, "tile<1x2, i32>",
       .x = {-128, -1, 2, 3, 127, 0, 0, 0}, .y = {-128, 1, 1, -1, -128, 9, 9, 9}, .out = {16382, -16256}},
      {"%p = tile_convert %x : tile<2x4, bf16>\n  %s = tile_const 1 : tile<2x2, f32>\n  %out = tile_dot %s, %p, %p",
       f32x2x4, "tile<2x2, f32>", .x = {1, 2, 0.5, 0, -3, 1, 0, 0}, .out = {6, 1.25, 11, 1}},
      /* the index counts modulo the table's length */
      {"%t = tile_slice %y[0, 0] : tile<1x4, i32>\n  %out = tile_lookup %t, %x : tile<1x8, i32>", i32x8, i32x8,
       .x = {0, 3, 2, 1, 4, -1, 7, -4}, .y = {10, 11, 12, 13}, .out = {10, 13, 12, 11, 10, 13, 13, 10}},
  };
  CHECK_ALL(cases);
}

#define FRAGMENTS(t, u) PRODUCT("mma", t, u)
#define PRODUCT(op, t, u)                                                                                              \
  "%a = tile_frag %x : frag<a, 2x2, " t ">\n  %b = tile_frag %y : frag<b, 2x2, " t ">\n"                               \
  "  %c = tile_frag %z : frag<acc, 2x2, " u ">\n  %d = " op " %c, %a, %b\n  %out = frag_tile %d : tile<2x2, " u ">"

Test(tile_interpret, products) {
  static const char f32x2x2[] = "tile<2x2, f32>", f64x2x2[] = "tile<2x2, f64>", i32x2x2[] = "tile<2x2, i32>";
  static const Case cases[] = {
      {FRAGMENTS("f32", "f32"), f32x2x2, f32x2x2, .x = {1, 2, 3, 4}, .y = {5, 6, 7, 8}, .z = {100, 200, 300, 400},
       .out = {119, 222, 343, 450}},
      {PRODUCT("mma_tf32", "f32", "f32"), f32x2x2, f32x2x2, .x = {1, 2, 3, 4}, .y = {5, 6, 7, 8},
       .z = {100, 200, 300, 400}, .out = {119, 222, 343, 450}},
      /* k ascending, one rounding a step: (2^24 + 1) + 1 stays, and the square above is not rounded before the sum */
      {FRAGMENTS("f32", "f32"), f32x2x2, f32x2x2, .x = {1, 1, 1 + 0x1p-12, 0}, .y = {1, 1 + 0x1p-12, 1, 0},
       .z = {16777216, 0, 0, -1 - 0x1p-11}, .out = {16777216, 1 + 0x1p-12, 1 + 0x1p-12, TINY}},
      {FRAGMENTS("f64", "f64"), f64x2x2, f64x2x2, .x = {0x1p27 + 1, 1, 0, 1}, .y = {0x1p27 + 1, 0, 0, 1},
       .z = {-0x1p54}, .out = {0x1p28 + 1, 1, 0, 1}},
      {FRAGMENTS("i32", "i32"), i32x2x2, i32x2x2, .x = {65536, INT_MAX, 1, 1}, .y = {65536, 1, 1, 1},
       .z = {1, 0, INT_MAX, 5}, .out = {INT_MIN, -2147418113, -2147418112, 7}},
      {"%zero = frag_zero : frag<acc, 2x2, f32>\n  %out = frag_tile %zero : tile<2x2, f32>", f32x2x2, f32x2x2,
       .out = {0}},
  };
  CHECK_ALL(cases);
}

Test(tile_interpret, products_of_narrow_types) {
  uint8_t a[4] = {255, 255, 0, 128}, f8[4] = {0x38, 0x40, 0xc0, 0x30}; /* 1, 2, -2, 0.5 */
  int8_t b[4] = {-128, 127, -128, 127};
  uint16_t bf16[4] = {0x3f80, 0x4000, 0xc000, 0x3f00}; /* the same */
  int32_t sums[4];
  float products[8];
  tile_run_well("kernel @t(%a: buf<u8, [2, 2]>, %b: buf<i8, [2, 2]>, %sums: buf<i32, [2, 2]>, %x: buf<bf16, [2, 2]>,\n"
                "          %y: buf<f8e4m3, [2, 2]>, %products: buf<f32, [4, 2]>) {\n"
                "  %fa = frag_load %a[0, 0] : frag<a, 2x2, u8>\n"
                "  %fb = frag_load %b[0, 0] : frag<b, 2x2, i8>\n"
                "  %zero = frag_zero : frag<acc, 2x2, i32>\n"
                "  %sum = mma %zero, %fa, %fb\n"
                "  frag_store %sum, %sums[0, 0]\n"
                "  %fx = frag_load %x[0, 0] : frag<a, 2x2, bf16>\n"
                "  %gx = frag_load %x[0, 0] : frag<b, 2x2, bf16>\n"
                "  %fy = frag_load %y[0, 0] : frag<a, 2x2, f8e4m3>\n"
                "  %gy = frag_load %y[0, 0] : frag<b, 2x2, f8e4m3>\n"
                "  %none = frag_zero : frag<acc, 2x2, f32>\n"
                "  %xx = mma %none, %fx, %gx\n"
                "  %yy = mma %none, %fy, %gy\n"
                "  frag_store %xx, %products[0, 0]\n"
                "  frag_store %yy, %products[2, 0]\n"
                "}\n",
                (void *[]){a, b, sums, bf16, f8, products}, NULL);
  static const int32_t expected_sums[4] = {-65280, 64770, -16384, 16256};
  static const float expected[4] = {-3, 3, -3, -3.75f};
  for (int i = 0; i < 4; i++) {
    cr_expect_eq(sums[i], expected_sums[i], "%d: %d", i, sums[i]);
    cr_expect_eq(products[i], expected[i], "bf16 %d: %g", i, (double)products[i]);
    cr_expect_eq(products[4 + i], expected[i], "f8 %d: %g", i, (double)products[4 + i]);
  }
}

/* ---- index arithmetic -------------------------------------------------------------------------------------------- */

typedef struct IndexCase {
  const char *operation, *expression;
  int32_t out;
  const char *fault; /* NULL: none */
} IndexCase;

Test(tile_interpret, index_arithmetic) {
  static const IndexCase cases[] = {
      {"index_const", "-5", -5, NULL},
      {"index_symbol", "m", 7, NULL},
      {"index_add", "m + 3", 10, NULL},
      {"index_sub", "3 - m", -4, NULL},
      {"index_mul", "m * -3", -21, NULL},
      {"index_div", "m / 2", 3, NULL},
      {"index_mod", "m % 4", 3, NULL},
      {"index_ceildiv", "ceildiv(m, 2)", 4, NULL},
      {"index_ceildiv", "ceildiv(m + 1, 2)", 4, NULL},
      {"index_ceildiv", "ceildiv(0, 2)", 0, NULL},
      {"index_min", "min(m, -3)", -3, NULL},
      {"index_max", "max(m, -3)", 7, NULL},
      {"index_select", "select(m < 8, 1, 2)", 1, NULL},
      {"index_lt", "select(m < 7, 1, 2)", 2, NULL},
      {"index_le", "select(m <= 7, 1, 2)", 1, NULL},
      {"index_eq", "select(m == 7, 1, 2)", 1, NULL},
      {"index_ne", "select(m != 7, 1, 2)", 2, NULL},
      {"index_div", "m / (m - 7)", 0, "7 is divided by 0"},
      {"index_div", "(0 - m) / 2", 0, "-7 is divided by 2"},
      {"index_mod", "m % (3 - m)", 0, "7 is divided by -4"},
      {"index_ceildiv", "ceildiv(m, 0 * m)", 0, "7 is divided by 0"},
      {"index_add", "9223372036854775807 + m", 0, "does not fit in 64 bits"},
      {"index_sub", "-9223372036854775808 - m", 0, "does not fit in 64 bits"},
      {"index_mul", "9223372036854775807 * m", 0, "does not fit in 64 bits"},
      {"index_add", "m + m + m * m", 63, NULL},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
    int32_t out = 0;
    int64_t m = 7;
    char text[400];
    snprintf(text, sizeof text,
             "kernel @t(%%to: buf<i32, [1]>)\n  symbols m {\n  %%i = %s\n  %%x = tile_index %%i : i32\n  tile_store "
             "%%x, %%to[0]\n}\n",
             cases[i].expression);
    TileRun run = {.buffers = (void *[]){&out}, .symbols = &m};
    if (cases[i].fault) {
      tile_run_ill(text, &run, 3, cases[i].fault);
      continue;
    }
    tile_run_well(text, run.buffers, &m);
    cr_expect_eq(out, cases[i].out, "%s: found %d, expected %d", cases[i].expression, out, cases[i].out);
  }
}

Test(tile_interpret, tile_index_and_index_tile) {
  int32_t numbers[3] = {2, -40, 0};
  tile_run_well("kernel @t(%x: buf<i32, [3]>) {\n"
                "  %two = tile_load %x[0] : i32\n"
                "  %i = index(%two)\n"
                "  %y = tile_load %x[%i - 1] : i32\n"
                "  %j = index(%y) * 1000000000\n"
                "  %z = tile_index %j : i32\n"
                "  tile_store %z, %x[%i]\n"
                "}\n",
                (void *[]){numbers}, NULL);
  cr_expect_eq(numbers[2], -1345294336, "an index that does not fit keeps its low 32 bits: %d", numbers[2]);
}

Test(tile_interpret, buf_transpose) {
  float x[6] = {1, 2, 3, 4, 5, 6}, y[6] = {0};
  tile_run_well("kernel @t(%x: buf<f32, [2, 3]>, %y: buf<f32, [3, 2]>) {\n"
                "  %t = buf_transpose %x : buf<f32, [3, 2], [1, 3]>\n"
                "  %v = tile_load %t[0, 0] : tile<3x2, f32>\n"
                "  tile_store %v, %y[0, 0]\n"
                "}\n",
                (void *[]){x, y}, NULL);
  for (int i = 0; i < 6; i++) cr_expect_eq(y[i], (float)(i / 2 + 1 + i % 2 * 3));
  TileRun run = {.buffers = (void *[]){x, y}};
  tile_run_ill("kernel @t(%x: buf<f32, [2, 3]>, %y: buf<f32, [3, 2]>) {\n"
               "  %t = buf_transpose %x : buf<f32, [3, 2], [1, 3]>\n"
               "  %v = tile_load %t[2, 2] : f32\n"
               "  tile_store %v, %y[0, 0]\n"
               "}\n",
               &run, 3, "");
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* A new operation without a test here or beside is found by its name. */
Test(tile_interpret, every_operation_is_tested) {
  static const char *const files[] = {"test_tile_interpret_ops.c", "test_tile_interpret.c",
                                      "test_tile_interpret_memory.c"};
  Text source;
  text_init(&source, NULL);
  for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
    char path[1000], part[4096];
    snprintf(path, sizeof path, "%s/tests/unit/%s", KILN_SOURCE_DIR, files[i]);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    for (size_t length; (length = fread(part, 1, sizeof part, file)) > 0;) text_add_bytes(&source, part, length);
    fclose(file);
  }
  for (int i = 0; i < OP_COUNT; i++) {
    const char *name = op_info((OpCode)i)->name;
    cr_expect(strstr(text_get(&source), name), "no test has %s", name);
  }
  text_release(&source);
}
