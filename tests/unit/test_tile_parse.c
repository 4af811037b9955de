/* Faults that the parser finds, with their exact text, and how it goes on after them. */
#include "tests/unit/tile_text.h"

#include <stdlib.h>

/* A body in a kernel with one buffer; its first line is line 3. */
static void expect_body_faults(const char *body, const char *faults) {
  Text text;
  text_init(&text, NULL);
  text_printf(&text, "kernel @k(%%a: buf<f32, [m, k]>)\n    symbols m, k {\n%s}\n", body);
  expect_faults(text_get(&text), faults);
  text_release(&text);
}

Test(tile_parse, nothing_is_an_empty_module) {
  expect_faults("", "");
  expect_faults(" \n// a comment at the end of the text", "");
}

Test(tile_parse, only_kernels_stand_outside) {
  expect_faults("x\nkernal @k() {\n}\n", "1:1: expected 'kernel', found 'x'\n");
  expect_faults("{\nkernel @k() {\n}\n}\n", "1:1: expected 'kernel', found '{'\n"
                                            "4:1: expected 'kernel', found '}'\n");
  expect_faults("\x80", "1:1: expected 'kernel', found the byte 0x80\n");
  expect_faults("\"", "1:1: expected 'kernel', found '\"'\n");
}

Test(tile_parse, headers) {
  expect_faults("kernel k() {\n}\n", "1:8: expected the kernel's name, such as '@scale', found 'k'\n");
  expect_faults("kernel @k {\n}\n", "1:11: expected '(', found '{'\n");
  expect_faults("kernel @k(a) {\n}\n", "1:11: expected a buffer, such as '%a: buf<f32, [m, k]>', found 'a'\n");
  expect_faults("kernel @k(%a) {\n}\n", "1:13: expected ':', found ')'\n");
  expect_faults("kernel @k(%a: f32) {\n}\n", "1:15: '%a' must be a buffer: expected the type 'buf<…>'\n");
  expect_faults("kernel @k(%a: buf<f32, []>, %a: buf<f32, []>) {\n}\n", "1:29: '%a' is already defined on line 1\n");
  expect_faults("kernel @k(%task: buf<f32, []>) {\n}\n", "1:1: '%task' is already defined on line 1\n");
  expect_faults("kernel @k(%a: buf<f32, []> {\n}\n", "1:28: expected ')', found '{'\n");
  expect_faults("kernel @k()", "1:12: expected '{', found the end of the text\n");
  expect_faults("kernel @k() {", "1:14: expected '}' to end the block of line 1, found the end of the text\n");
}

Test(tile_parse, clauses) {
  expect_faults("kernel @k() symbols {\n}\n", "1:21: expected the name of a symbol, found '{'\n");
  expect_faults("kernel @k() symbols m, n, m {\n}\n", "1:27: the symbol 'm' is declared twice\n");
  expect_faults("kernel @k() symbols m params m {\n}\n", "1:30: the symbol 'm' is declared twice\n");
  expect_faults("kernel @k() params m symbols n {\n}\n", "1:22: expected '{', found 'symbols'\n");
  expect_faults("kernel @k() symbols for {\n}\n", "1:21: 'for' is an operation, so no symbol can be called that\n");
  expect_faults("kernel @k() tasks %task {\n}\n",
                "1:19: expected symbols and numbers in a host expression, found '%task'\n");
  expect_faults("kernel @k() tasks n workspace 3 {\n}\n", "1:19: there is no symbol 'n'\n");
  expect_faults("kernel @k() tasks 1 workspace 3 {\n}\n", "1:21: expected '{', found 'workspace'\n");
  Text text;
  text_init(&text, NULL);
  text_add(&text, "kernel @k() symbols s0");
  for (int i = 1; i <= TILE_MAX_SYMBOLS; i++) text_printf(&text, ", s%d", i);
  text_add(&text, " {\n}\n");
  expect_faults(text_get(&text), "1:1447: a kernel has at most 256 symbols\n");
  text_release(&text);
}

Test(tile_parse, words_of_the_header_can_be_symbols) {
  expect_canonical("kernel @k(%a: buf<f32, [symbols, to]>)\n"
                   "    symbols symbols, params, tasks, workspace, to, step, rows\n"
                   "    params carry, min, index\n"
                   "    workspace tasks * params\n"
                   "    tasks workspace + symbols {\n"
                   "  for %i = to to step step step {\n"
                   "    %x = tile_load %a[min, min(min, index)] rows rows cols carry : f32\n"
                   "    tile_store %x, %a[0, 0]\n"
                   "  }\n"
                   "}\n");
}

Test(tile_parse, types) {
  expect_body_faults("  %x = frag_zero : frag<c, 8x8, f32>\n", "3:25: expected 'a', 'b' or 'acc', found 'c'\n");
  expect_body_faults("  %x = frag_zero : frag<acc 8x8, f32>\n", "3:29: expected ',', found '8'\n");
  expect_body_faults("  %x = frag_zero : frag<acc, 8, f32>\n", "3:31: expected a shape, such as '8x48', found ','\n");
  expect_body_faults("  %x = frag_zero : frag<acc, 8x, f32>\n", "3:31: expected a shape, such as '8x48', found 'x'\n");
  expect_body_faults("  %x = frag_zero : frag<acc, 8y8, f32>\n",
                     "3:31: expected a shape, such as '8x48', found 'y8'\n");
  expect_body_faults("  %x = frag_zero : frag<acc, 3000000000x8, f32>\n",
                     "3:30: expected a shape, such as '8x48', found '3000000000'\n");
  expect_body_faults("  %x = frag_zero : frag<acc, 8x8, f31>\n",
                     "3:35: expected an element type, such as 'f32', found 'f31'\n");
  expect_body_faults("  %x = frag_zero : frag<acc, 8x8, f32\n}\n",
                     "4:1: expected '>', found '}'\n5:1: expected 'kernel', found '}'\n");
  expect_body_faults("  %x = frag_zero : float\n", "3:20: expected a type: 'index', 'tile<…>', 'frag<…>', 'buf<…>' "
                                                   "or an element type, found 'float'\n");
  expect_body_faults("  %x = buf_scratch : buf<f32, 8>\n", "3:31: expected '[', found '8'\n");
  expect_body_faults("  %x = buf_scratch : buf<f32, [8, j]>\n", "3:35: there is no symbol 'j'\n");
  expect_body_faults("  %x = buf_scratch : buf<f32, [8, -1]>\n",
                     "3:35: expected a number, a symbol or '?', found '-'\n");
  expect_body_faults("  %x = buf_scratch : buf<f32, [1, 1, 1, 1, 1]>\n", "3:44: a buffer has at most 4 axes\n");
  expect_body_faults("  %x = buf_scratch : buf<f32, [1, 1], [1]>\n",
                     "3:39: expected a stride for each of 2 axes, found 1\n");
  expect_body_faults("  %x = buf_scratch : buf<f32, [1, 1], panel 8>\n",
                     "3:39: expected a layout: strides, 'col_panel' or 'row_panel', found 'panel'\n");
  expect_body_faults("  %x = buf_scratch : buf<f32, [1, 1], col_panel 8>\n",
                     "3:50: expected a shape, such as '8x48', found '>'\n");
}

Test(tile_parse, expressions) {
  expect_body_faults("  %x = 1 +\n", "4:1: expected a value, found '}'\n");
  expect_body_faults("  %x = (1 + 2\n", "4:1: expected ')', found '}'\n");
  expect_body_faults("  %x = 9223372036854775808\n", "3:8: expected a whole number of 64 bits, found "
                                                     "'9223372036854775808'\n");
  expect_body_faults("  %x = 1.5 + 2\n", "3:8: expected a whole number of 64 bits, found '1.5'\n");
  expect_body_faults("  %x = -m\n", "3:9: expected a whole number of 64 bits, found 'm'\n");
  expect_body_faults("  %x = m%8\n", "3:9: expected the end of the line, found '%8'\n");
  expect_body_faults("  %x = 1 < 2 < 3\n", "3:14: expected the end of the line, found '<'\n");
  expect_body_faults("  %x = maximum(1, 2)\n", "3:8: there is no function 'maximum'\n");
  expect_body_faults("  %x = 1 + q\n", "3:12: there is no symbol 'q'\n");
  expect_body_faults("  %x = min(1)\n", "3:8: 'min' takes 2 operands, found 1\n");
  expect_body_faults("  %x = min(1, 2, 3)\n", "3:8: 'min' takes 2 operands, found more\n");
  expect_body_faults("  %x = index(1, 2)\n", "3:8: 'index' takes 1 operand, found more\n");
  expect_body_faults("  %x = min(1, 2\n", "4:1: expected ')', found '}'\n");
}

Test(tile_parse, recursion_is_bounded) {
  Text text;
  text_init(&text, NULL);
  text_add(&text, "  %x = ");
  for (int i = 0; i < 100000; i++) text_add_char(&text, '(');
  text_add_char(&text, '\n');
  expect_body_faults(text_get(&text), "3:144: the expression is nested more than 136 deep\n");
  text_clear(&text);
  for (int i = 0; i < 100000; i++) text_add(&text, "if m < 3 {\n");
  for (int i = 0; i < 100000; i++) text_add(&text, "}\n");
  expect_body_faults(text_get(&text), "67:1: blocks are nested more than 64 deep\n");
  text_release(&text);
}

Test(tile_parse, values) {
  expect_body_faults("  tile_store %x, %a[0, 0]\n", "3:14: '%x' is not defined\n");
  expect_body_faults("  %x = 1 + 2\n  %x = 3\n", "4:3: '%x' is already defined on line 3\n");
  expect_body_faults("  for %i = 0 to m step 1 {\n"
                     "    %x = %i + 1\n"
                     "  }\n"
                     "  prefetch %a[%x, %i] level 1\n",
                     "6:15: '%x' is not visible here: its block, of line 4, has ended\n");
  expect_body_faults("  for %i = 0 to m step 1 {\n"
                     "    for %i = 0 to m step 1 {\n"
                     "    }\n"
                     "  }\n",
                     "4:9: '%i' is already defined on line 3\n");
}

Test(tile_parse, a_name_can_be_used_again_where_it_is_not_visible) {
  expect_prints("kernel @k(%a: buf<f32, [m]>)\n"
                "    symbols m {\n"
                "  for %i = 0 to m step 1 {\n"
                "    prefetch %a[%i] level 1\n"
                "  }\n"
                "  for %i = 0 to m step 1 {\n"
                "    prefetch %a[%i] level 1\n"
                "  }\n"
                "}\n",
                "kernel @k(%a: buf<f32, [m]>)\n"
                "    symbols m {\n"
                "  for %i = 0 to m step 1 {\n"
                "    prefetch %a[%i] level 1\n"
                "  }\n"
                "  for %i.1 = 0 to m step 1 {\n"
                "    prefetch %a[%i.1] level 1\n"
                "  }\n"
                "}\n");
}

Test(tile_parse, statements) {
  expect_body_faults("  frob %a\n", "3:3: there is no operation 'frob'\n");
  expect_body_faults("  3\n", "3:3: expected a statement, found '3'\n");
  expect_body_faults("  %x, %y = 3\n", "3:12: expected 'for' or 'if', found '3'\n");
  expect_body_faults("  %x\n", "4:1: expected '=', found '}'\n");
  expect_body_faults("  %x, 3 = 4\n", "3:7: expected the name of a value, found '3'\n");
  expect_body_faults("  tile_const 1 : f32\n",
                     "3:3: 'tile_const' gives 1 value: expected as many names before '=', found 0\n");
  expect_body_faults("  %x = tile_store %a, %a[0, 0]\n", "3:3: 'tile_store' gives no value, so nothing can be named\n");
  expect_body_faults("  %x = tile_const one : f32\n", "3:19: expected a number, found 'one'\n");
  expect_body_faults("  %x = tile_const 1\n", "4:1: expected ':', found '}'\n");
  expect_body_faults("  %x = tile_const 1 : f32 %y\n", "3:27: expected the end of the line, found '%y'\n");
  expect_body_faults("  %x = tile_fma %a, %a\n", "3:8: 'tile_fma' takes 3 operands, found 2\n");
  expect_body_faults("  %x = tile_exp %a, %a\n", "3:8: 'tile_exp' takes 1 operand, found 2\n");
  expect_body_faults("  %x = tile_load 3[0, 0] : f32\n", "3:18: expected a buffer, found '3'\n");
  expect_body_faults("  %x = tile_load %a : f32\n", "3:21: expected '[', found ':'\n");
  expect_body_faults("  %x = tile_load %a[0, 0 : f32\n", "3:26: expected ']', found ':'\n");
  expect_body_faults("  prefetch %a[0, 0]\n", "4:1: expected 'level', found '}'\n");
  expect_body_faults("  %x = tile_slice %a[0 0] : f32\n", "3:24: expected ',', found '0'\n");
  expect_body_faults("  %x = tile_slice %a[m, 0] : f32\n", "3:22: expected a whole number of 64 bits, found 'm'\n");
}

Test(tile_parse, control) {
  expect_body_faults("  for i = 0 to m step 1 {\n  }\n", "3:7: expected the name of a value, found 'i'\n");
  expect_body_faults("  for %i 0 to m step 1 {\n  }\n", "3:10: expected '=', found '0'\n");
  expect_body_faults("  for %i = 0 m step 1 {\n  }\n", "3:14: expected 'to', found 'm'\n");
  expect_body_faults("  for %i = 0 to m {\n  }\n", "3:19: expected 'step', found '{'\n");
  expect_body_faults("  for %i = 0 to m step 1 carry {\n  }\n", "3:32: expected the name of a value, found '{'\n");
  expect_body_faults("  for %i = 0 to m step 1 carry %x = 0 {\n  }\n",
                     "3:3: 'for' gives 1 value: expected as many names before '=', found 0\n");
  expect_body_faults("  for %i = 0 to m step 1\n  prefetch %a[0, 0] level 1\n",
                     "4:3: expected '{', found 'prefetch'\n");
  expect_body_faults("  if m < 3\n", "4:1: expected '{', found '}'\n");
  expect_body_faults("  if m < 3 {\n  } else if m < 4 {\n  }\n", "4:10: expected '{', found 'if'\n");
  expect_body_faults("  %x = if m < 3 {\n  }\n",
                     "3:8: 'if' gives 1 value, so its blocks must end in a yield of as many, found 0\n");
  expect_body_faults("  %x = if m < 3 {\n    yield 1, 2\n  } else {\n    yield 1\n  }\n  %y = %x + 1\n",
                     "3:8: 'if' gives 1 value, so its blocks must end in a yield of as many, found 2\n");
  expect_body_faults("  %x = yield 3\n", "3:3: 'yield' gives no value, so nothing can be named\n");
  expect_body_faults("  if m < 3 { yield 1 2 }\n", "3:22: expected the end of the line, found '2'\n");
}

Test(tile_parse, each_fault_is_reported_once_and_the_rest_is_still_read) {
  expect_body_faults("  %x = tile_load %a[0, 0] : tile<8x f32>\n"
                     "  %y = tile_add %x, %x\n" /* silent: %x is a fault of line 3 */
                     "  %z, %w = for %p = 0 too m step 1 carry %s = %y, %t = 1 {\n"
                     "    %q = tile_add %s, %y\n"
                     "    %r = frob %p\n"
                     "    yield %q, %t + %r\n"
                     "  }\n"
                     "  %v = %u + %u +\n"
                     "    %z * (%w + 1)\n"
                     "  tile_store %v, %a[0, 0] rows\n",
                     "3:35: expected a shape, such as '8x48', found 'x'\n"
                     "5:23: expected 'to', found 'too'\n"
                     "7:10: there is no operation 'frob'\n"
                     "10:8: '%u' is not defined\n");
}

Test(tile_parse, a_faulty_kernel_is_left_out) {
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  const char *text = "kernel @first() {\n"
                     "}\n"
                     "kernel @second(%a: buf<f31, []>) {\n"
                     "}\n"
                     "kernel @third() {\n"
                     "  %x = frob\n"
                     "}\n";
  Module *module = tile_parse(text, strlen(text), NULL, &faults);
  cr_assert_eq(faults.list.count, 2);
  expect_module(module, "kernel @first() {\n}\n\nkernel @third() {\n}\n");
  module_destroy(module);
  diagnostics_release(&faults);
}

Test(tile_parse, faults_are_counted_up_to_a_limit) {
  Text text;
  text_init(&text, NULL);
  text_add(&text, "kernel @k() {\n");
  for (int i = 0; i < 1000; i++) text_add(&text, "  frob\n");
  text_add(&text, "}\n");
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  Module *module = tile_parse(text_get(&text), text.length, NULL, &faults);
  cr_expect_eq(faults.list.count, DIAGNOSTICS_LIMIT);
  cr_expect_eq(faults.suppressed, 1000 - DIAGNOSTICS_LIMIT);
  module_destroy(module);
  diagnostics_release(&faults);
  text_release(&text);
}

Test(tile_parse, numbers) {
  static const struct {
    const char *text, *canonical;
  } numbers[] = {{"1.50", "1.5"},      {"1e400", "inf"},
                 {"1e-400", "0"},      {"-0", "-0"},
                 {"0.1e1", "1"},       {"123456789012345678901234567890", "1.2345678901234568e+29"},
                 {"-inf", "-inf"},     {"nan", "nan"},
                 {"1.", "1"},          {"2.2250738585072014e-308", "2.2250738585072014e-308"},
                 {"5e-324", "5e-324"}, {"1e99999999999999999999", "inf"},
                 {"0.1", "0.1"},       {"1e-99999999999999999999", "0"},
                 {"1e+5", "100000"}};
  for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
    Text text, canonical;
    text_init(&text, NULL);
    text_init(&canonical, NULL);
    text_printf(&text, "kernel @k() {\n  %%x = tile_const %s : f64\n}\n", numbers[i].text);
    text_printf(&canonical, "kernel @k() {\n  %%x = tile_const %s : f64\n}\n", numbers[i].canonical);
    expect_prints(text_get(&text), text_get(&canonical));
    text_release(&text);
    text_release(&canonical);
  }
}

/* An allocator that gives out a number of blocks only. */
static void *alloc_some(void *ctx, size_t bytes, size_t align) {
  (void)align;
  int *left = ctx;
  return (*left)-- > 0 ? malloc(bytes) : NULL;
}

static void release_some(void *ctx, void *memory) {
  (void)ctx;
  free(memory);
}

Test(tile_parse, out_of_memory_gives_nothing) {
  Text text;
  text_init(&text, NULL);
  text_add(&text, "kernel @k(%a: buf<f32, [m, k]>)\n    symbols m, k {\n");
  for (int i = 0; i < 2000; i++) text_printf(&text, "  %%x%d = tile_load %%a[m - %d, k] : f32\n", i, i);
  text_add(&text, "}\n");
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  for (int blocks = 0;; blocks++) {
    int left = blocks;
    Allocator few = {&left, alloc_some, release_some};
    Module *module = tile_parse(text_get(&text), text.length, &few, &faults);
    if (!module) continue;
    cr_expect_gt(blocks, 5);
    module_destroy(module);
    break;
  }
  cr_expect_eq(faults.list.count, 0);
  diagnostics_release(&faults);
  text_release(&text);
}
