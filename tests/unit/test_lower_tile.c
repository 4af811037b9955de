/* Lowering of operations on tiles: every operation for every element type it takes, in shapes that fill vectors and do
 * not. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/lower_run.h"

enum { MAX_OUTPUTS = 40 };

/* A kernel over x, y, z and a column and a row, that stores each result of `add` to a buffer of its own. */
typedef struct Source {
  kiln_type type;
  int rows, cols;
  Text body, parameters;
  LowerBuffer buffers[MAX_OUTPUTS + 8];
  int count;
} Source;

static int add_buffer(Source *s, const char *name, kiln_type type, int rows, int cols, LowerFill fill, double ulps) {
  text_printf(&s->parameters, "%s%%%s: buf<%s, [%d, %d]>", s->count ? ", " : "", name, kiln_type_name(type), rows,
              cols);
  s->buffers[s->count] = (LowerBuffer){type, (int64_t)rows * cols, fill, ulps};
  return s->count++;
}

static void begin(Source *s, kiln_type type, int rows, int cols, LowerFill fill) {
  static const char *const names[] = {"x", "y", "z"};
  const char *element = kiln_type_name(type);
  *s = (Source){.type = type, .rows = rows, .cols = cols};
  text_init(&s->body, NULL);
  text_init(&s->parameters, NULL);
  for (int i = 0; i < 3; ++i) {
    add_buffer(s, names[i], type, rows, cols, fill, 0);
    text_printf(&s->body, "  %%v%s = tile_load %%%s[0, 0] : tile<%dx%d, %s>\n", names[i], names[i], rows, cols,
                element);
  }
  add_buffer(s, "col", type, rows, 1, fill, 0);
  add_buffer(s, "row", type, 1, cols, fill, 0);
  text_printf(&s->body, "  %%vcol = tile_load %%col[0, 0] : tile<%dx1, %s>\n", rows, element);
  text_printf(&s->body, "  %%vrow = tile_load %%row[0, 0] : tile<1x%d, %s>\n", cols, element);
  text_printf(&s->body, "  %%mask = tile_le %%vx, %%vy\n");
}

/* `operation` with its operands; the result has the shape and type given. */
static void add_shaped(Source *s, const char *operation, kiln_type type, int rows, int cols, bool is_typed,
                       double ulps) {
  char name[16];
  snprintf(name, sizeof name, "o%d", s->count);
  text_printf(&s->body, "  %%r%s = %s", name, operation);
  if (is_typed) text_printf(&s->body, " : tile<%dx%d, %s>", rows, cols, kiln_type_name(type));
  text_printf(&s->body, "\n  tile_store %%r%s, %%%s[0, 0]\n", name, name);
  add_buffer(s, name, type, rows, cols, FILL_OUTPUT, ulps);
}

static void add(Source *s, const char *operation, double ulps) {
  add_shaped(s, operation, s->type, s->rows, s->cols, false, ulps);
}

static void add_mask(Source *s, const char *operation) {
  add_shaped(s, operation, KILN_BOOL, s->rows, s->cols, false, 0);
}

static void check(Source *s) {
  Text text;
  text_init(&text, NULL);
  text_printf(&text, "kernel @ops(%s) {\n%s}\n", text_get(&s->parameters), text_get(&s->body));
  lower_check(&(LowerCase){text_get(&text), NULL, s->buffers, s->count});
  if (s->rows == 2) lower_check_compiles(text_get(&text));
  text_release(&text);
  text_release(&s->body);
  text_release(&s->parameters);
}

static const int shapes[][2] = {{1, 1}, {5, 1}, {2, 20}, {1, 7}};

static void add_numbers(Source *s) {
  static const char *const operations[] = {"tile_neg %vx",        "tile_abs %vx",        "tile_add %vx, %vy",
                                           "tile_sub %vx, %vrow", "tile_mul %vcol, %vx", "tile_min %vx, %vy",
                                           "tile_max %vx, %vcol"};
  static const char *const comparisons[] = {"tile_lt %vx, %vrow", "tile_le %vcol, %vx", "tile_eq %vx, %vy",
                                            "tile_ne %vx, %vy"};
  for (size_t i = 0; i < ARRAY_LENGTH(operations); ++i) add(s, operations[i], 0);
  for (size_t i = 0; i < ARRAY_LENGTH(comparisons); ++i) add_mask(s, comparisons[i]);
  add(s, "tile_select %mask, %vx, %vrow", 0);
}

static void add_integers(Source *s) {
  add(s, "tile_and %vx, %vy", 0);
  add(s, "tile_or %vx, %vcol", 0);
  add(s, "tile_xor %vrow, %vx", 0);
}

static void add_floats(Source *s) {
  bool is_f64 = s->type == KILN_F64;
  add(s, "tile_div %vx, %vy", 0);
  add(s, "tile_round %vx", 0);
  add(s, "tile_sqrt %vx", 0);
  add(s, "tile_rsqrt %vx", 2);
  add(s, "tile_exp %vx", is_f64 ? 4 : 2);
  add(s, "tile_log %vy", is_f64 ? 4 : 2);
  add(s, "tile_tanh %vx", 4);
  add(s, "tile_erf %vy", 4);
}

static void check_type(kiln_type type, LowerFill fill) {
  for (size_t i = 0; i < ARRAY_LENGTH(shapes); ++i) {
    Source s;
    begin(&s, type, shapes[i][0], shapes[i][1], fill);
    add_numbers(&s);
    if (type_is_floating(type)) add_floats(&s);
    else add_integers(&s);
    check(&s);
  }
}

Test(lower_tile, f32) { check_type(KILN_F32, FILL_REAL); }
Test(lower_tile, f32_specials) { check_type(KILN_F32, FILL_BITS); }
Test(lower_tile, f64) { check_type(KILN_F64, FILL_REAL); }
Test(lower_tile, f16) { check_type(KILN_F16, FILL_BITS); }
Test(lower_tile, bf16) { check_type(KILN_BF16, FILL_BITS); }
Test(lower_tile, f8e4m3) { check_type(KILN_F8E4M3, FILL_BITS); }
Test(lower_tile, f8e5m2) { check_type(KILN_F8E5M2, FILL_BITS); }
Test(lower_tile, i32) { check_type(KILN_I32, FILL_BITS); }
Test(lower_tile, i8) { check_type(KILN_I8, FILL_BITS); }
Test(lower_tile, u8) { check_type(KILN_U8, FILL_BITS); }
