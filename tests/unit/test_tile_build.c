/* The builder, what it simplifies, and what a module says about itself: types that follow, offsets, host expressions.
 */
#include "tests/unit/tile_text.h"

#include <stdlib.h>

static Kernel *make_kernel(void) {
  Kernel *kernel = kernel_create(module_create(NULL), "k");
  kernel_symbol(kernel, "m", false);
  kernel_symbol(kernel, "n", false);
  return kernel;
}

/* ---- index arithmetic -------------------------------------------------------------------------------------------- */

typedef struct Fold {
  OpCode code;
  int64_t x, y;
  int64_t result; /* KEPT: not folded */
} Fold;
enum { KEPT = -77 };

static const Fold folds[] = {
    {OP_index_add, 3, 4, 7},
    {OP_index_sub, 3, 4, -1},
    {OP_index_mul, 3, -4, -12},
    {OP_index_div, 7, 2, 3},
    {OP_index_mod, 7, 2, 1},
    {OP_index_ceildiv, 7, 2, 4},
    {OP_index_ceildiv, 8, 2, 4},
    {OP_index_min, 3, 4, 3},
    {OP_index_min, 4, 3, 3},
    {OP_index_max, 3, 4, 4},
    {OP_index_max, 4, 3, 4},
    {OP_index_div, -7, 2, KEPT},
    {OP_index_div, 7, 0, KEPT},
    {OP_index_mod, 7, -1, KEPT},
    {OP_index_ceildiv, 7, 0, KEPT},
    {OP_index_lt, 1, 2, KEPT},
    {OP_index_add, INT64_MAX, 1, KEPT},
    {OP_index_sub, INT64_MIN, 1, KEPT},
    {OP_index_mul, INT64_MAX, 2, KEPT},
};

Test(tile_build, constants_fold) {
  Kernel *kernel = make_kernel();
  Builder b = builder_of(kernel, kernel->body);
  for (size_t i = 0; i < ARRAY_LENGTH(folds); i++) {
    Value *value = build_index(&b, folds[i].code, build_number(&b, folds[i].x), build_number(&b, folds[i].y));
    cr_expect_eq(value->op->code, folds[i].result == KEPT ? folds[i].code : OP_index_const, "fold %zu", i);
    if (folds[i].result != KEPT) cr_expect_eq(value->op->number, folds[i].result, "fold %zu", i);
  }
  module_destroy(kernel->module);
}

Test(tile_build, neutral_elements_vanish) {
  Kernel *kernel = make_kernel();
  Builder b = builder_of(kernel, kernel->body);
  Value *x = kernel_task(kernel), *zero = build_number(&b, 0), *one = build_number(&b, 1);
  Value *m = build_symbol(&b, 0), *again = build_symbol(&b, 0), *n = build_symbol(&b, 1);
  cr_expect_eq(build_add(&b, x, zero), x);
  cr_expect_eq(build_add(&b, zero, x), x);
  cr_expect_eq(build_sub(&b, x, zero), x);
  cr_expect_neq(build_sub(&b, zero, x), x);
  cr_expect_eq(build_mul(&b, x, one), x);
  cr_expect_eq(build_mul(&b, one, x), x);
  cr_expect_eq(build_mul(&b, x, zero), zero);
  cr_expect_eq(build_mul(&b, zero, x), zero);
  cr_expect_eq(build_index(&b, OP_index_div, x, one), x);
  cr_expect_eq(build_ceildiv(&b, x, one), x);
  cr_expect_eq(build_index(&b, OP_index_mod, x, one)->op->number, 0);
  cr_expect_eq(build_sub(&b, m, again)->op->code, OP_index_const);
  cr_expect_eq(build_sub(&b, m, n)->op->code, OP_index_sub);
  cr_expect_eq(build_min(&b, m, again), m);
  cr_expect_eq(build_min(&b, m, n)->op->code, OP_index_min);
  Value *less = build_index(&b, OP_index_lt, m, n);
  cr_expect_eq(build_index_select(&b, less, m, again), m);
  cr_expect_eq(build_index_select(&b, less, m, n)->op->code, OP_index_select);
  cr_expect_eq(build_extent(&b, extent_number(12))->op->number, 12);
  cr_expect_eq(build_extent(&b, extent_symbol(1))->op->code, OP_index_symbol);
  module_destroy(kernel->module);
}

/* ---- structure --------------------------------------------------------------------------------------------------- */

Test(tile_build, uses_are_counted) {
  Kernel *kernel = make_kernel();
  Builder b = builder_of(kernel, kernel->body);
  Value *x = build_const(&b, 1, type_tile(2, 2, KILN_F32)), *y = build_const(&b, 2, x->type);
  Value *sum = build_binary(&b, OP_tile_add, x, x);
  cr_expect_eq(x->use_count, 2);
  op_set_operand(sum->op, 1, y);
  cr_expect_eq(x->use_count, 1);
  cr_expect_eq(y->use_count, 1);
  Loop loop = build_for(&b, build_number(&b, 0), build_symbol(&b, 0), build_number(&b, 1), &x, 1);
  Builder in = builder_of(kernel, loop.body);
  Value *next = build_binary(&in, OP_tile_mul, loop.carried[0], y);
  build_yield(&in, &next, 1);
  cr_expect_eq(x->use_count, 2);
  cr_expect_eq(y->use_count, 2);
  op_remove(loop.op);
  cr_expect_eq(x->use_count, 1);
  cr_expect_eq(y->use_count, 1);
  op_remove(sum->op);
  cr_expect_eq(x->use_count + y->use_count, 0);
  op_remove(x->op);
  cr_expect_eq(kernel->body->first, y->op);
  expect_verified(kernel->module, "");
  module_destroy(kernel->module);
}

Test(tile_build, ids_are_unique) {
  Kernel *kernel = make_kernel();
  Builder b = builder_of(kernel, kernel->body);
  Value *buffer = kernel_buffer(kernel, "a", &(BufType){.type = KILN_F32});
  Value *x = build_number(&b, 0);
  Loop loop = build_for(&b, x, x, x, &x, 1);
  const Value *values[] = {kernel_task(kernel), buffer, x, loop.index, loop.carried[0], &loop.op->results[0]};
  bool is_taken[6] = {0};
  cr_assert_eq(kernel->value_count, 6);
  for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
    cr_assert(values[i]->id >= 0 && values[i]->id < 6 && !is_taken[values[i]->id]);
    is_taken[values[i]->id] = true;
  }
  module_destroy(kernel->module);
}

Test(tile_build, symbols_are_found_again) {
  Kernel *kernel = make_kernel();
  cr_expect_eq(kernel_symbol(kernel, "n", false), 1);
  cr_expect_eq(kernel_symbol(kernel, "mc", true), 2);
  cr_expect_eq(kernel_find_symbol(kernel, "mcc", 2), 2);
  cr_expect_eq(kernel_find_symbol(kernel, "mcc", 3), -1);
  module_destroy(kernel->module);
}

Test(tile_build, parts_of_an_access) {
  Kernel *kernel = make_kernel();
  Builder b = builder_of(kernel, kernel->body);
  Value *buffer =
      kernel_buffer(kernel, "a", &(BufType){.type = KILN_F32, .rank = 2, .dims = {extent_symbol(0), extent_symbol(1)}});
  Value *i = build_number(&b, 1), *j = build_number(&b, 2), *rows = build_number(&b, 3), *cols = build_number(&b, 4);
  Value *x = build_load(&b, OP_tile_load, (Place){buffer, {i, j}, NULL, cols}, type_tile(8, 8, KILN_F32));
  Access access = access_of(x->op);
  cr_expect(!access.value && access.buffer == buffer && access.index_count == 2 && access.indices[1] == j);
  cr_expect(!access.rows && access.cols == cols);
  build_store(&b, OP_tile_store, x, (Place){buffer, {i, j}, rows, NULL});
  access = access_of(b.block->last);
  cr_expect(access.value == x && access.buffer == buffer && access.index_count == 2 && access.indices[0] == i);
  cr_expect(access.rows == rows && !access.cols);
  module_destroy(kernel->module);
}

/* ---- types that follow ------------------------------------------------------------------------------------------- */

static void expect_inferred(OpCode code, TileType *types, int count, bool fits, TileType expected) {
  Value values[3];
  Value *operands[3];
  TileType type;
  for (int i = 0; i < count; i++) {
    values[i] = (Value){.type = types[i]};
    operands[i] = &values[i];
  }
  const char *name = op_info(code)->name;
  cr_expect_eq(op_infer(code, operands, count, &type), fits, "%s", name);
  if (fits) cr_expect(tile_type_equal(type, expected), "%s", name);
}

Test(tile_build, types_follow) {
  TileType index = type_index(), boolean = type_scalar(KILN_BOOL), i32 = type_scalar(KILN_I32);
  TileType row = type_tile(1, 48, KILN_F32), column = type_tile(8, 1, KILN_F32), full = type_tile(8, 48, KILN_F32);
  TileType odd = type_tile(8, 47, KILN_F32), mask = type_tile(8, 48, KILN_BOOL),
           acc = type_frag(ROLE_ACC, 8, 48, KILN_F32);
  TileType none = {0};
  expect_inferred(OP_index_add, (TileType[]){index, index}, 2, true, index);
  expect_inferred(OP_index_add, (TileType[]){index, i32}, 2, false, none);
  expect_inferred(OP_index_add, (TileType[]){index}, 1, false, none);
  expect_inferred(OP_index_le, (TileType[]){index, index}, 2, true, boolean);
  expect_inferred(OP_index_select, (TileType[]){boolean, index, index}, 3, true, index);
  expect_inferred(OP_index_select, (TileType[]){index, index, index}, 3, false, none);
  expect_inferred(OP_index_tile, (TileType[]){i32}, 1, true, index);
  expect_inferred(OP_index_tile, (TileType[]){boolean}, 1, false, none);
  expect_inferred(OP_tile_add, (TileType[]){row, column}, 2, true, full);
  expect_inferred(OP_tile_add, (TileType[]){full, odd}, 2, false, none);
  expect_inferred(OP_tile_add, (TileType[]){full, i32}, 2, false, none);
  expect_inferred(OP_tile_fma, (TileType[]){row, type_scalar(KILN_F32), column}, 3, true, full);
  expect_inferred(OP_tile_lt, (TileType[]){row, column}, 2, true, mask);
  expect_inferred(OP_tile_select, (TileType[]){mask, row, column}, 3, true, full);
  expect_inferred(OP_tile_select, (TileType[]){mask, row, row}, 3, true, full);
  expect_inferred(OP_tile_select, (TileType[]){boolean, row, i32}, 3, false, none);
  expect_inferred(OP_tile_row_sum, (TileType[]){full}, 1, true, column);
  expect_inferred(OP_tile_col_max, (TileType[]){full}, 1, true, row);
  expect_inferred(OP_tile_transpose, (TileType[]){full}, 1, true, type_tile(48, 8, KILN_F32));
  expect_inferred(OP_mma, (TileType[]){acc, acc, acc}, 3, true, acc);
  expect_inferred(OP_tile_const, NULL, 0, false, none);
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

/* Symbols of all types below: 0 → 5, 1 → 7. */
static const int64_t symbols[] = {5, 7};

static BufType buf(LayoutKind layout, int rank, Extent d0, Extent d1, Extent d2) {
  return (BufType){.type = KILN_F32, .rank = rank, .layout = layout, .dims = {d0, d1, d2}, .panel = 4, .group = 2};
}

Test(tile_build, spans) {
  Extent m = extent_symbol(0), n = extent_symbol(1), two = extent_number(2), none = extent_number(0);
  BufType type = buf(LAYOUT_ROW_MAJOR, 2, m, n, none);
  cr_expect_eq(buf_span(&type, symbols), 35);
  type = buf(LAYOUT_ROW_MAJOR, 0, none, none, none);
  cr_expect_eq(buf_span(&type, symbols), 1);
  type = buf(LAYOUT_ROW_MAJOR, 3, two, m, none);
  cr_expect_eq(buf_span(&type, symbols), 0);
  type = buf(LAYOUT_STRIDED, 2, m, n, none);
  type.strides[0] = extent_number(10);
  type.strides[1] = extent_number(1);
  cr_expect_eq(buf_span(&type, symbols), 47);
  type = buf(LAYOUT_COL_PANEL, 2, m, n, none); /* 2 panels of 3 groups of 4 x 2 */
  cr_expect_eq(buf_span(&type, symbols), 48);
  type = buf(LAYOUT_ROW_PANEL, 3, two, m, n); /* 2 copies of 2 panels of 4 groups of 4 x 2 */
  cr_expect_eq(buf_span(&type, symbols), 128);
  type = buf(LAYOUT_ROW_MAJOR, 2, extent_number(INT64_MAX), n, none);
  cr_expect_eq(buf_span(&type, symbols), INT64_MAX);
  type = buf(LAYOUT_COL_PANEL, 2, extent_number(INT64_MAX), extent_number(INT64_MAX), none);
  cr_expect_eq(buf_span(&type, symbols), INT64_MAX);
}

/* Every element of a panel layout has a place of its own within the span, by the formula of tile.h. */
Test(tile_build, offsets_in_panels) {
  for (int is_row = 0; is_row < 2; is_row++) {
    BufType type =
        buf(is_row ? LAYOUT_ROW_PANEL : LAYOUT_COL_PANEL, 3, extent_number(2), extent_symbol(0), extent_symbol(1));
    int64_t span = buf_span(&type, symbols);
    bool is_taken[128] = {0};
    cr_assert_leq(span, (int64_t)ARRAY_LENGTH(is_taken));
    for (int64_t i = 0; i < 2 * 5 * 7; i++) {
      int64_t indices[3] = {i / 35, i / 7 % 5, i % 7};
      int64_t k = indices[is_row ? 2 : 1], n = indices[is_row ? 1 : 2], groups = ((is_row ? 7 : 5) + 1) / 2;
      int64_t expected = indices[0] * span / 2 + ((n / 4 * groups + k / 2) * 4 + n % 4) * 2 + k % 2;
      int64_t offset = buf_offset(&type, symbols, indices);
      cr_assert_eq(offset, expected);
      cr_assert(offset < span && !is_taken[offset]);
      is_taken[offset] = true;
    }
  }
}

Test(tile_build, offsets_in_rows) {
  Extent m = extent_symbol(0), n = extent_symbol(1), unknown = {0, EXTENT_UNKNOWN};
  BufType type = buf(LAYOUT_ROW_MAJOR, 3, unknown, m, n);
  cr_expect_eq(buf_offset(&type, symbols, (int64_t[]){2, 3, 4}), 2 * 35 + 3 * 7 + 4);
  type.layout = LAYOUT_STRIDED;
  type.strides[0] = n;
  type.strides[1] = extent_number(1);
  type.strides[2] = extent_number(100);
  cr_expect_eq(buf_offset(&type, symbols, (int64_t[]){2, 3, 4}), 2 * 7 + 3 + 400);
  type.rank = 0;
  cr_expect_eq(buf_offset(&type, symbols, NULL), 0);
}

Test(tile_build, equal_types) {
  BufType a = buf(LAYOUT_COL_PANEL, 2, extent_symbol(0), extent_number(3), extent_number(0)), b = a;
  cr_expect(tile_type_equal(type_buf(&a), type_buf(&b)));
  b.dims[0].number = 99; /* does not count where there is a symbol */
  cr_expect(tile_type_equal(type_buf(&a), type_buf(&b)));
  b.group = 1;
  cr_expect_not(tile_type_equal(type_buf(&a), type_buf(&b)));
  a.layout = b.layout = LAYOUT_ROW_MAJOR;
  cr_expect(tile_type_equal(type_buf(&a), type_buf(&b)));
  b.dims[1].number = 4;
  cr_expect_not(tile_type_equal(type_buf(&a), type_buf(&b)));
  cr_expect_not(tile_type_equal(type_frag(ROLE_A, 1, 1, KILN_F32), type_frag(ROLE_B, 1, 1, KILN_F32)));
  cr_expect_not(tile_type_equal(type_scalar(KILN_F32), type_frag(ROLE_A, 1, 1, KILN_F32)));
}

/* ---- host expressions -------------------------------------------------------------------------------------------- */

static void expect_tasks(const char *expression, int64_t tasks) {
  Text text;
  text_init(&text, NULL);
  text_printf(&text, "kernel @k()\n    symbols m, n\n    workspace %s\n    tasks %s {\n}\n", expression, expression);
  Module *module = parse_well(text_get(&text));
  expect_verified(module, "");
  cr_expect_eq(tile_tasks(module->kernels.items[0], symbols), tasks, "%s", expression);
  cr_expect_eq(tile_workspace(module->kernels.items[0], symbols), tasks, "%s", expression);
  module_destroy(module);
  text_release(&text);
}

Test(tile_build, host_expressions) {
  expect_tasks("m * n - 1", 34);
  expect_tasks("ceildiv(n, 2) + n / 2 + n % 4", 10);
  expect_tasks("min(m, n) + 10 * max(m, n)", 75);
  expect_tasks("select(m < n, 1, 2)", 1);
  expect_tasks("select(n <= m, 1, 2)", 2);
  expect_tasks("select(n == 7, m, n) + select(n != 7, 1, 2)", 7);
  expect_tasks("m / (m - 5) + m % (m - 5) + ceildiv(m, m - 5)", 0);
  expect_tasks("9223372036854775807 + 1", INT64_MIN);
  Kernel *kernel = make_kernel();
  cr_expect_eq(tile_tasks(kernel, symbols), 1);
  cr_expect_eq(tile_workspace(kernel, symbols), 0);
  module_destroy(kernel->module);
}

/* ---- modules that no text can give ------------------------------------------------------------------------------- */

Test(tile_build, verifying_what_a_builder_got_wrong) {
  Kernel *kernel = make_kernel(), *other = kernel_create(kernel->module, "k");
  Builder b = builder_of(kernel, kernel->body), c = builder_of(other, other->body);
  Value *foreign = build_const(&c, 1, type_scalar(KILN_F32));
  build_unary(&b, OP_tile_exp, foreign);
  op_create(&b, OP_tile_add, 2, 1, 0);
  op_create(&b, OP_tile_exp, 0, 1, 0);
  op_create(&b, OP_tile_exp, 1, 2, 0);
  op_create(&b, OP_if, 1, 0, 1);
  op_create(&b, OP_tile_store, 1, 0, 0);
  op_create(&b, OP_index_symbol, 0, 1, 0)->number = 5;
  Value *x = build_named(build_const(&b, 1, type_scalar(KILN_F32)), "x");
  build_unary(&b, OP_tile_exp, x)->type = type_scalar(KILN_F16);
  Op *early = op_create(&b, OP_tile_exp, 1, 1, 0);
  op_set_operand(early, 0, build_named(build_const(&b, 1, type_scalar(KILN_F32)), "late"));
  Value *odd = build_binary(&b, OP_tile_add, x, build_const(&b, 1, type_scalar(KILN_F16)));
  build_unary(&b, OP_tile_exp, odd); /* silent: the fault is above */
  expect_verified(kernel->module, "in '@k': the kernel '@k' is defined twice\n"
                                  "in '@k': operand 1 of 'tile_exp' is not visible here\n"
                                  "in '@k': operand 1 of 'tile_add' is missing\n"
                                  "in '@k': operand 2 of 'tile_add' is missing\n"
                                  "in '@k': 'tile_exp' takes 1 operand, found 0\n"
                                  "in '@k': 'tile_exp' gives 1 value, found 2\n"
                                  "in '@k': 'if' must have 2 blocks\n"
                                  "in '@k': 'tile_store' takes at least 2 operands, found 1\n"
                                  "in '@k': an operand is symbol 5, but the kernel has 2\n"
                                  "in '@k': the result of 'tile_exp' must be f32, found f16\n"
                                  "in '@k': operand 1 of 'tile_exp', '%late', is not visible here\n"
                                  "in '@k': 'tile_add' takes tiles of one element type, of shapes that broadcast, "
                                  "found f32 and f16\n");
  module_destroy(kernel->module);
}

/* Each kernel has two queries beside it in the object, of its name. */
Test(tile_build, kernels_called_like_queries) {
  Kernel *kernel = make_kernel();
  kernel_create(kernel->module, "k_workspace");
  kernel_create(kernel->module, "other_tasks");
  expect_verified(kernel->module, "in '@k_workspace': the kernel '@k_workspace' is called like a query of another\n");
  module_destroy(kernel->module);
}

Test(tile_build, verifying_a_loop_that_a_builder_got_wrong) {
  Kernel *kernel = make_kernel();
  Builder b = builder_of(kernel, kernel->body);
  Value *zero = build_number(&b, 0), *one = build_number(&b, 1);
  Loop loop = build_for(&b, zero, one, one, &zero, 1);
  loop.carried[0]->type = type_scalar(KILN_F32);
  loop.op->results[0].type = type_scalar(KILN_F16);
  loop.index->type = type_scalar(KILN_I32);
  Builder in = builder_of(kernel, loop.body);
  build_yield(&in, &zero, 1);
  Loop other = build_for(&b, zero, one, one, NULL, 0);
  other.body->argument_count = 0;
  expect_verified(
      kernel->module,
      "in '@k': the loop's index of 'for' must be index, found i32\n"
      "in '@k': an argument of the block of 'for' must be index, found f32\n"
      "in '@k': a result of 'for' must be index, found f16\n"
      "in '@k': value 1 of 'yield' must be f16, found index\n"
      "in '@k': 'for' carries 0 values, so it must give as many and its block take one more, found 0 and 0\n");
  module_destroy(kernel->module);
}

Test(tile_build, verifying_headers) {
  Kernel *kernel = kernel_create(module_create(NULL), "not a name");
  kernel_symbol(kernel, "mc", true);
  kernel_symbol(kernel, "m", false);
  kernel_symbol(kernel, "2m", false);
  kernel_buffer(kernel, "a", &(BufType){.type = KILN_F32, .rank = 1, .dims = {{0, EXTENT_UNKNOWN}}});
  kernel_buffer(kernel, "b", &(BufType){.type = KILN_F32, .rank = 1, .dims = {{0, 7}}});
  kernel_buffer(kernel, "c", &(BufType){.type = KILN_F32, .rank = 1, .dims = {{-1, EXTENT_NUMBER}}});
  kernel_buffer(kernel, "d", &(BufType){.type = KILN_F32, .rank = 5});
  kernel->tasks = kernel_task(kernel);
  Builder header = builder_of(kernel, kernel->header);
  Value *x = kernel->workspace = build_symbol(&header, 0);
  for (int i = 0; i < 13; i++) x = kernel->workspace = build_binary(&header, OP_index_add, x, x);
  expect_verified(
      kernel->module,
      "in '@not a name': '@not a name' cannot name a kernel\n"
      "in '@not a name': the symbol 'm' stands after the schedule's parameters: expected sizes and strides first\n"
      "in '@not a name': '2m' cannot name a symbol\n"
      "in '@not a name': the symbol '2m' stands after the schedule's parameters: expected sizes and strides first\n"
      "in '@not a name': the buffer '%a' has a size '?': expected a number or a symbol\n"
      "in '@not a name': a size of a buffer is symbol 7, but the kernel has 3\n"
      "in '@not a name': a size of a buffer must not be negative, found -1\n"
      "in '@not a name': a buffer has from 0 to 4 axes\n"
      "in '@not a name': 'workspace' has more than 4096 operations or is more than 64 deep\n"
      "in '@not a name': 'tasks' must be an index computed in the kernel's header\n");
  build_const(&header, 1, type_scalar(KILN_F32));
  module_destroy(kernel->module);
}

Test(tile_build, verifying_a_header_with_tiles) {
  Kernel *kernel = make_kernel();
  Builder header = builder_of(kernel, kernel->header);
  build_const(&header, 1, type_scalar(KILN_F32));
  expect_verified(kernel->module,
                  "in '@k': 'tile_const' cannot stand in a host expression: expected index arithmetic\n");
  module_destroy(kernel->module);
}

Test(tile_build, verifying_deep_blocks) {
  Kernel *kernel = make_kernel();
  Builder b = builder_of(kernel, kernel->body);
  for (int i = 0; i < 100000; i++) {
    Op *op = build_if(&b, build_const(&b, 1, type_scalar(KILN_BOOL)), NULL, 0, false);
    Builder in = builder_of(kernel, op->blocks[0]);
    b = in;
  }
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  cr_expect_eq(tile_verify(kernel->module, &faults), KILN_INVALID_TILE);
  bool is_found = false;
  for (size_t i = 0; i < faults.list.count; i++)
    is_found |= strcmp(faults.list.items[i].message, "in '@k': blocks are nested more than 64 deep") == 0;
  cr_expect(is_found);
  diagnostics_release(&faults);
  module_destroy(kernel->module);
}

/* ---- out of memory ----------------------------------------------------------------------------------------------- */

static void *alloc_some(void *ctx, size_t bytes, size_t align) {
  (void)align;
  int *left = ctx;
  return (*left)-- > 0 ? malloc(bytes) : NULL;
}

static void release_some(void *ctx, void *memory) {
  (void)ctx;
  free(memory);
}

Test(tile_build, out_of_memory_is_told) {
  int left = 1000;
  Allocator few = {&left, alloc_some, release_some};
  Module *module = module_create(&few);
  Kernel *kernel = kernel_create(module, "k");
  Builder b = builder_of(kernel, kernel->body);
  for (int i = 0; i < 20000; i++) build_named(build_const(&b, 1, type_scalar(KILN_F32)), "x");
  cr_assert_not(arena_has_failed(&module->arena));
  Diagnostics faults;
  Text text;
  diagnostics_init(&faults, NULL);
  text_init(&text, NULL);
  left = 0;
  cr_expect_eq(tile_verify(module, &faults), KILN_OUT_OF_MEMORY);
  tile_print(module, &text);
  cr_expect(text.failed);
  cr_expect_null(module_create(&few));
  cr_expect_eq(faults.list.count, 0);
  left = 1000;
  text_clear(&text);
  text.failed = false;
  cr_expect_eq(tile_verify(module, &faults), KILN_OK);
  tile_print(module, &text);
  cr_expect_not(text.failed);
  text_release(&text);
  diagnostics_release(&faults);
  module_destroy(module);
}
