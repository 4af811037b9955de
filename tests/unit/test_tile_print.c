/* How modules from a builder are named and laid out as text. */
#include "tests/unit/tile_text.h"

typedef struct Fixture {
  Module *module;
  Kernel *kernel;
  Builder b;
} Fixture;

static Fixture make_kernel(void) {
  Module *module = module_create(NULL);
  Kernel *kernel = kernel_create(module, "k");
  kernel_symbol(kernel, "m", false);
  return (Fixture){module, kernel, builder_of(kernel, kernel->body)};
}

static Value *op2(Builder *b, OpCode code, Value *x, Value *y) { return build_binary(b, code, x, y); }

static void expect_and_destroy(Fixture f, const char *text) {
  expect_module(f.module, text);
  expect_verified(f.module, "");
  expect_canonical(text);
  module_destroy(f.module);
}

Test(tile_print, an_index_used_once_in_its_block_is_written_in_place) {
  Fixture f = make_kernel();
  Value *buffer = kernel_buffer(f.kernel, "a", &(BufType){.type = KILN_F32, .rank = 1, .dims = {extent_symbol(0)}});
  Value *once = build_add(&f.b, kernel_task(f.kernel), build_number(&f.b, 1));
  Value *twice = build_add(&f.b, kernel_task(f.kernel), build_number(&f.b, 2));
  Value *named = build_named(build_add(&f.b, kernel_task(f.kernel), build_number(&f.b, 3)), "named");
  Value *inner = build_add(&f.b, kernel_task(f.kernel), build_number(&f.b, 4));
  build_add(&f.b, kernel_task(f.kernel), build_number(&f.b, 5)); /* never used */
  build_prefetch(&f.b, (Place){.buffer = buffer, .indices = {once}}, 1);
  build_prefetch(&f.b, (Place){.buffer = buffer, .indices = {twice}}, 1);
  build_prefetch(&f.b, (Place){.buffer = buffer, .indices = {twice}}, 1);
  build_prefetch(&f.b, (Place){.buffer = buffer, .indices = {named}}, 1);
  Op *op = build_if(&f.b, build_index(&f.b, OP_index_lt, kernel_task(f.kernel), build_symbol(&f.b, 0)), NULL, 0, false);
  Builder then = builder_of(f.kernel, op->blocks[0]);
  build_prefetch(&then, (Place){.buffer = buffer, .indices = {inner}}, 1);
  build_yield(&then, NULL, 0);
  expect_and_destroy(f, "kernel @k(%a: buf<f32, [m]>)\n"
                        "    symbols m {\n"
                        "  %0 = %task + 2\n"
                        "  %named = %task + 3\n"
                        "  %1 = %task + 4\n"
                        "  %2 = %task + 5\n"
                        "  prefetch %a[%task + 1] level 1\n"
                        "  prefetch %a[%0] level 1\n"
                        "  prefetch %a[%0] level 1\n"
                        "  prefetch %a[%named] level 1\n"
                        "  if %task < m {\n"
                        "    prefetch %a[%1] level 1\n"
                        "  }\n"
                        "}\n");
}

Test(tile_print, operators_have_parentheses_only_where_needed) {
  Fixture f = make_kernel();
  Builder *b = &f.b;
  Value *t = kernel_task(f.kernel);
  Value *sum = op2(b, OP_index_add, t, t), *difference = op2(b, OP_index_sub, t, sum);
  Value *left = op2(b, OP_index_sub, op2(b, OP_index_sub, t, t), difference);
  Value *product = op2(b, OP_index_mul, left, op2(b, OP_index_mod, t, op2(b, OP_index_div, t, t)));
  Value *minimum = op2(b, OP_index_min, product, build_number(b, -1));
  build_named(op2(b, OP_index_sub, minimum, build_number(b, -2)), "x");
  Value *less = op2(b, OP_index_lt, t, op2(b, OP_index_max, t, op2(b, OP_index_ceildiv, t, t)));
  build_named(build_index_select(b, less, t, build_symbol(b, 0)), "y");
  expect_and_destroy(f, "kernel @k()\n"
                        "    symbols m {\n"
                        "  %x = min((%task - %task - (%task - (%task + %task))) * (%task % (%task / %task)), -1) - -2\n"
                        "  %y = select(%task < max(%task, ceildiv(%task, %task)), %task, m)\n"
                        "}\n");
}

Test(tile_print, names_are_made_unique) {
  Fixture f = make_kernel();
  static const char *const names[] = {"x", "x", "x.1", "x", "task", "a", "17", "", "odd name!", "odd_name_"};
  kernel_buffer(f.kernel, "a", &(BufType){.type = KILN_F32});
  kernel_buffer(f.kernel, "a", &(BufType){.type = KILN_F32});
  for (size_t i = 0; i < ARRAY_LENGTH(names); i++) build_named(build_const(&f.b, 1, type_scalar(KILN_F32)), names[i]);
  expect_and_destroy(f, "kernel @k(%a: buf<f32, []>, %a.1: buf<f32, []>)\n"
                        "    symbols m {\n"
                        "  %x = tile_const 1 : f32\n"
                        "  %x.1 = tile_const 1 : f32\n"
                        "  %x.1.1 = tile_const 1 : f32\n"
                        "  %x.2 = tile_const 1 : f32\n"
                        "  %task.1 = tile_const 1 : f32\n"
                        "  %a.2 = tile_const 1 : f32\n"
                        "  %0 = tile_const 1 : f32\n"
                        "  %1 = tile_const 1 : f32\n"
                        "  %odd_name_ = tile_const 1 : f32\n"
                        "  %odd_name_.1 = tile_const 1 : f32\n"
                        "}\n");
}

Test(tile_print, many_equal_names) {
  enum { COUNT = 20000 };
  Fixture f = make_kernel();
  for (int i = 0; i < COUNT; i++) build_named(build_const(&f.b, 1, type_scalar(KILN_F32)), "x");
  Text text;
  text_init(&text, NULL);
  tile_print(f.module, &text);
  cr_expect_not_null(strstr(text_get(&text), "%x.19999 = "));
  text_release(&text);
  module_destroy(f.module);
}

Test(tile_print, a_deep_expression_is_cut) {
  enum { COUNT = 200 };
  for (int is_right = 0; is_right < 2; is_right++) {
    Fixture f = make_kernel();
    Value *x = kernel_task(f.kernel);
    for (int i = 0; i < COUNT; i++)
      x = is_right ? op2(&f.b, OP_index_sub, build_symbol(&f.b, 0), x)
                   : op2(&f.b, OP_index_min, x, kernel_task(f.kernel));
    build_named(x, "x");
    Text text;
    text_init(&text, NULL);
    tile_print(f.module, &text);
    expect_canonical(text_get(&text));
    cr_expect_not_null(strstr(text_get(&text), "%2 = "));
    cr_expect_null(strstr(text_get(&text), "%3 = "));
    text_release(&text);
    module_destroy(f.module);
  }
}

Test(tile_print, header_with_a_shared_value_is_written_out) {
  Fixture f = make_kernel();
  Builder header = builder_of(f.kernel, f.kernel->header);
  kernel_symbol(f.kernel, "mc", true);
  Value *blocks = build_ceildiv(&header, build_symbol(&header, 0), build_symbol(&header, 1));
  f.kernel->tasks = build_mul(&header, blocks, blocks);
  f.kernel->workspace = blocks;
  expect_and_destroy(f, "kernel @k()\n"
                        "    symbols m\n"
                        "    params mc\n"
                        "    workspace ceildiv(m, mc)\n"
                        "    tasks ceildiv(m, mc) * ceildiv(m, mc) {\n"
                        "}\n");
}

Test(tile_print, a_broken_module_can_be_looked_at) {
  Fixture f = make_kernel();
  op_create(&f.b, OP_tile_add, 2, 1, 0);
  op_create(&f.b, OP_tile_store, 1, 0, 0);
  op_create(&f.b, OP_for, 0, 0, 1);
  op_create(&f.b, OP_for, 3, 0, 1);
  op_create(&f.b, OP_if, 0, 0, 2);
  op_create(&f.b, OP_index_symbol, 0, 1, 0)->number = 17;
  op_create(&f.b, OP_index_add, 1, 1, 0);
  Op *late = op_create(&f.b, OP_tile_exp, 1, 1, 0);
  Value *value = build_const(&f.b, 1, type_scalar(KILN_F32));
  op_set_operand(late, 0, value);
  late->results[0].type = value->type;
  build_index(&f.b, OP_index_add, kernel_task(f.kernel), build_symbol(&f.b, 3));
  Op *self = op_create(&f.b, OP_index_min, 2, 1, 0);
  op_set_operand(self, 0, kernel_task(f.kernel));
  op_set_operand(self, 1, &self->results[0]);
  expect_module(f.module, "kernel @k()\n"
                          "    symbols m {\n"
                          "  %0 = tile_add ?, ?\n"
                          "  tile_store ?\n"
                          "  for ?\n"
                          "  for ?\n"
                          "  if  {\n"
                          "  }\n"
                          "  %1 = index_add(?)\n"
                          "  %2 = tile_exp %3\n"
                          "  %3 = tile_const 1 : f32\n"
                          "  %4 = %task + ?\n"
                          "  %5 = min(%task, %5)\n"
                          "}\n");
  module_destroy(f.module);
}

Test(tile_print, blocks_too_deep_are_not_shown) {
  Fixture f = make_kernel();
  Builder b = f.b;
  for (int i = 0; i < 100000; i++) {
    Op *op = build_if(&b, build_const(&b, 1, type_scalar(KILN_BOOL)), NULL, 0, false);
    b.block = op->blocks[0];
  }
  Text text;
  text_init(&text, NULL);
  tile_print(f.module, &text);
  cr_expect_not_null(strstr(text_get(&text), "// nested too deeply to be shown\n"));
  text_release(&text);
  module_destroy(f.module);
}

Test(tile_print, types) {
  Fixture f = make_kernel();
  static const struct {
    TileType type;
    const char *text;
  } types[] = {
      {{.kind = KIND_INDEX}, "index"},
      {{.kind = KIND_TILE, .type = KILN_BOOL, .rows = 1, .cols = 1}, "bool"},
      {{.kind = KIND_TILE, .type = KILN_U4, .rows = 1, .cols = 2}, "tile<1x2, u4>"},
      {{.kind = KIND_FRAG, .type = KILN_F8E5M2, .rows = 1, .cols = 1, .role = ROLE_B}, "frag<b, 1x1, f8e5m2>"}};
  for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
    Text text;
    text_init(&text, NULL);
    tile_print_type(f.kernel, types[i].type, &text);
    expect_text(&text, types[i].text);
    text_release(&text);
  }
  module_destroy(f.module);
}
