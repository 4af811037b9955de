/* Lowering of loops, choices and index arithmetic, and the queries of a kernel. */
#include <criterion/criterion.h>
#include <stdio.h>

#include <llvm-c/Core.h>

#include "jit/emit.h"
#include "jit/jit.h"
#include "kiln/args.h"
#include "tests/unit/lower_run.h"

/* Each result goes through an i32 scalar to an element of %out. */
static void check_indexes(const char *body, int results, const int64_t *symbols, int64_t tasks) {
  Text text;
  text_init(&text, NULL);
  text_printf(&text, "kernel @index(%%out: buf<i32, [t, %d]>)\n    symbols t, a, b, c\n    tasks t {\n%s", results,
              body);
  for (int i = 0; i < results; ++i)
    text_printf(&text, "  %%s%d = tile_index %%r%d : i32\n  tile_store %%s%d, %%out[%%task, %d]\n", i, i, i, i);
  text_add(&text, "}\n");
  const LowerBuffer buffers[] = {{KILN_I32, tasks * results, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){text_get(&text), symbols, buffers, 1});
  lower_check_compiles(text_get(&text));
  text_release(&text);
}

Test(lower_control, index_arithmetic) {
  check_indexes(
      "  %r0 = %task + a * 3\n  %r1 = a - %task * b\n  %r2 = (a + 100) / (b + %task)\n"
      "  %r3 = (a + 100) % (b + %task)\n  %r4 = ceildiv(%task, b)\n  %r5 = min(%task, b)\n  %r6 = max(a, 0 - %task)\n"
      "  %r7 = select(%task < b, a, c)\n  %r8 = select(%task <= b, a, c)\n  %r9 = select(%task == b, a, c)\n"
      "  %r10 = select(%task != b, a, c)\n  %r11 = ceildiv(a + 90, 7)\n  %r12 = (a + 90) / 7 * 7 + (a + 90) % 7\n",
      13, (const int64_t[]){6, 5, 3, -2}, 6);
}

Test(lower_control, loops) {
  check_indexes("  %r0 = for %i = a to b step c carry %s = %task {\n    %n = %s * 3 + %i\n    yield %n\n  }\n"
                "  %r1, %r2 = for %i = 0 to %task step 1 carry %x = a, %y = b {\n    yield %y, %x\n  }\n"
                "  %r3 = for %i = 0 to 4 step 4 carry %x = a {\n    %n = %x + %i + 7\n    yield %n\n  }\n"
                "  %r4 = for %i = 4 to 4 step 1 carry %x = a {\n    %n = %x + 1\n    yield %n\n  }\n"
                "  %r5 = for %i = 0 to 3 step 1 carry %x = a {\n    %in = for %j = %i to b step 2 carry %y = %x {\n"
                "      %k = %j * c + %i * a\n      %n = %y + %k / 2\n      yield %n\n    }\n    yield %in\n  }\n",
                6, (const int64_t[]){4, 1, 20, 3}, 4);
}

Test(lower_control, choices) {
  check_indexes("  %r0 = if %task < a {\n    yield b\n  } else {\n    %x = c + 1\n    yield %x\n  }\n"
                "  %r1 = if 1 < 2 {\n    yield a\n  } else {\n    yield b\n  }\n"
                "  %r2 = if 2 < 1 {\n    yield a\n  } else {\n    yield b\n  }\n"
                "  %r3 = for %i = 0 to c step 1 carry %s = b {\n    %n = if %i % 2 == 0 {\n      %x = %s + %i * a\n    "
                "  yield %x\n"
                "    } else {\n      %y = for %j = 0 to %i step 1 carry %z = %s {\n        %w = %z + %j\n        yield "
                "%w\n      }\n"
                "      yield %y\n    }\n    yield %n\n  }\n",
                4, (const int64_t[]){5, 2, 11, 6}, 5);
}

/* Values of every kind are carried. */
Test(lower_control, carried_tiles) {
  const LowerBuffer buffers[] = {{KILN_F32, 7 * 20, FILL_SMALL, 0},
                                 {KILN_F32, 20, FILL_OUTPUT, 0},
                                 {KILN_I32, 20, FILL_OUTPUT, 0},
                                 {KILN_F32, 3, FILL_OUTPUT, 0}};
  for (int64_t m = 0; m < 8; m += 7)
    lower_check(&(LowerCase){
        "kernel @carry(%in: buf<f32, [7, 20]>, %sum: buf<f32, [20]>, %over: buf<i32, [20]>, %col: buf<f32, [3]>)\n"
        "    symbols m\n{\n  %zero = tile_const 0 : tile<1x20, f32>\n  %no = tile_const 0 : tile<1x20, bool>\n"
        "  %none = tile_const 0 : tile<3x1, f32>\n"
        "  %s, %b, %c = for %i = 0 to m step 1 carry %x = %zero, %y = %no, %z = %none {\n"
        "    %v = tile_load %in[%i, 0] : tile<1x20, f32>\n    %n = tile_add %x, %v\n    %g = tile_lt %x, %v\n"
        "    %o = tile_or %y, %g\n    %w = tile_load %in[%i, 3] : tile<1x3, f32>\n    %t = tile_transpose %w\n"
        "    %k = tile_add %z, %t\n    yield %n, %o, %k\n  }\n"
        "  tile_store %s, %sum[0]\n  %w = tile_convert %b : tile<1x20, i32>\n  tile_store %w, %over[0]\n"
        "  %r = tile_transpose %c\n  tile_store %r, %col[0]\n}\n",
        &m, buffers, 4});
}

/* An index that depends on memory. */
Test(lower_control, gathered_rows) {
  const int64_t symbols[] = {5};
  const LowerBuffer buffers[] = {
      {KILN_U8, 5, FILL_BITS, 0}, {KILN_F32, 256 * 6, FILL_BITS, 0}, {KILN_F32, 5 * 6, FILL_OUTPUT, 0}};
  lower_check(&(LowerCase){
      "kernel @gather(%rows: buf<u8, [m]>, %table: buf<f32, [256, 6]>, %out: buf<f32, [m, 6]>)\n    symbols m\n{\n"
      "  for %i = 0 to m step 1 {\n    %b = tile_load %rows[%i] : u8\n    %w = tile_convert %b : i32\n"
      "    %r = index(%w)\n    %x = tile_load %table[%r, 0] : tile<1x6, f32>\n    tile_store %x, %out[%i, 0]\n"
      "    yield\n  }\n}\n",
      symbols, buffers, 3});
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* A query sees any sizes, must not trap, and agrees with the host's own evaluation. */
Test(lower_control, queries_of_any_size) {
  static const char text[] =
      "kernel @k(%x: buf<f32, [m]>)\n    symbols m, n\n    workspace select(m < n, m / n, m % n) * 64\n"
      "    tasks ceildiv(m, n) * max(min(m, n), 1) {\n}\n";
  static const int64_t sizes[] = {INT64_MIN, -1, 0, 1, 7, INT64_MAX};
  const Target *target = target_find("x86-64");
  Module *module = tile_parse(text, sizeof text - 1, NULL, NULL);
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef lowered;
  JitBuffer object;
  JitSession *session;
  JitCode *code;
  cr_assert_eq(lower_module(module, target, context, "prefix_", NULL, &lowered, NULL), KILN_OK);
  cr_assert_eq(
      jit_emit(lowered, target, &(JitEmit){.stage = JIT_STAGE_OBJECT, .key = ""}, &allocator_default, &object, NULL),
      KILN_OK);
  cr_assert_eq(jit_session_create(&(JitSessionOptions){0}, &session, NULL), KILN_OK);
  cr_assert_eq(jit_load(session, object.data, object.size, "k", &code, NULL), KILN_OK);
  kiln_query *tasks = (kiln_query *)jit_symbol(code, "prefix_k_tasks"),
             *workspace = (kiln_query *)jit_symbol(code, "prefix_k_workspace");
  for (size_t i = 0; i < ARRAY_LENGTH(sizes); ++i)
    for (size_t j = 0; j < ARRAY_LENGTH(sizes); ++j) {
      const int64_t symbols[] = {sizes[i], sizes[j]};
      kiln_args args = {.dims = symbols};
      cr_expect_eq(tasks(&args), tile_tasks(module->kernels.items[0], symbols));
      cr_expect_eq(workspace(&args), tile_workspace(module->kernels.items[0], symbols));
    }
  jit_unload(code);
  jit_session_destroy(session);
  jit_buffer_release(&object);
  LLVMDisposeModule(lowered);
  LLVMContextDispose(context);
  module_destroy(module);
}
