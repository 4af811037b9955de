/* Tile IR from the outside: text, questions, interpreter, compiled code. */
#include "kiln/tile.h"
#include "tests/unit/runtime_help.h"

/* y[i] = x[i] + 1, eight at a time, one task for each eight. */
static const char add_one[] = "kernel @add(%x: buf<f32, [n]>, %y: buf<f32, [n]>)\n"
                              "    symbols n\n"
                              "    tasks ceildiv(n, 8) {\n"
                              "  %i = 8 * %task\n"
                              "  %left = n - %i\n"
                              "  %v = tile_load %x[%i] cols %left : tile<1x8, f32>\n"
                              "  %one = tile_const 1 : tile<1x8, f32>\n"
                              "  %s = tile_add %v, %one\n"
                              "  tile_store %s, %y[%i] cols %left\n"
                              "}\n";

static kiln_tile *parse(const char *text) {
  kiln_tile *tile = NULL;
  kiln_buffer message;
  kiln_status status = kiln_tile_parse(text, strlen(text), NULL, &tile, &message);
  cr_assert_eq(status, KILN_OK, "%s: %s", kiln_status_name(status), message.data);
  cr_expect_null(message.data);
  return tile;
}

Test(runtime_tile, text) {
  kiln_tile *tile = parse(add_one);
  kiln_buffer first, second;
  cr_assert_eq(kiln_tile_print(tile, &first), KILN_OK);
  kiln_tile_destroy(tile);
  tile = parse(first.data);
  cr_assert_eq(kiln_tile_print(tile, &second), KILN_OK);
  cr_expect_str_eq(first.data, second.data);
  kiln_buffer_free(&first);
  kiln_buffer_free(&second);
  kiln_tile_destroy(tile);
  kiln_tile_destroy(NULL);
}

Test(runtime_tile, faults_are_located) {
  static const char broken[] = "kernel @k(%x: buf<f32, [4]>) tasks 1 {\n  %v = tile_load %y[0] : tile<1x4, f32>\n}\n";
  kiln_tile *tile = (kiln_tile *)1;
  kiln_buffer message;
  kiln_status status = kiln_tile_parse(broken, strlen(broken), NULL, &tile, &message);
  cr_expect(status == KILN_SYNTAX || status == KILN_INVALID_TILE);
  cr_expect_eq(tile, (kiln_tile *)1);
  cr_assert_not_null(message.data);
  cr_expect(strstr(message.data, "2:") && strstr(message.data, "y") && strchr(message.data, '^'), "%s", message.data);
  kiln_buffer_free(&message);
  cr_expect_neq(kiln_tile_parse(broken, strlen(broken), NULL, &tile, NULL), KILN_OK);
  cr_expect_eq(kiln_tile_parse(NULL, 1, NULL, &tile, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tile_parse(broken, strlen(broken), NULL, NULL, NULL), KILN_INVALID_ARGUMENT);
}

Test(runtime_tile, questions) {
  kiln_tile *tile = parse(add_one);
  const char *name;
  kiln_type type;
  size_t bytes;
  int64_t tasks;
  cr_expect_eq(kiln_tile_kernel_count(tile), 1);
  cr_expect_str_eq(kiln_tile_kernel_name(tile, 0), "add");
  cr_expect_null(kiln_tile_kernel_name(tile, 1));
  cr_expect_eq(kiln_tile_buffer_count(tile, 0), 2);
  cr_expect_eq(kiln_tile_symbol_count(tile, 0), 1);
  cr_expect_str_eq(kiln_tile_symbol_name(tile, 0, 0), "n");
  cr_expect_null(kiln_tile_symbol_name(tile, 0, 1));
  cr_assert_eq(kiln_tile_buffer_info(tile, 0, 1, (int64_t[]){20}, &name, &type, &bytes), KILN_OK);
  cr_expect(strcmp(name, "y") == 0 && type == KILN_F32 && bytes == 80);
  cr_expect_eq(kiln_tile_buffer_info(tile, 0, 2, (int64_t[]){20}, &name, &type, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tile_buffer_info(tile, 0, 1, NULL, &name, &type, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tile_buffer_info(tile, 0, 1, (int64_t[]){-1}, &name, &type, &bytes), KILN_INVALID_ARGUMENT);
  cr_assert_eq(kiln_tile_query(tile, 0, (int64_t[]){20}, &tasks, &bytes), KILN_OK);
  cr_expect(tasks == 3 && bytes == 0);
  cr_expect_eq(kiln_tile_query(tile, 0, NULL, &tasks, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tile_query(tile, 7, NULL, &tasks, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tile_kernel_count(NULL), 0);
  kiln_tile_destroy(tile);
}

Test(runtime_tile, interpreter_and_code_agree) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_tile *tile = parse(add_one);
  enum { N = 21 };
  float x[N], y[N] = {0}, z[N] = {0};
  for (int i = 0; i < N; ++i) x[i] = (float)i / 4;
  kiln_args args = {.buffers = (void *[]){x, y}, .dims = (int64_t[]){N}};
  kiln_buffer message;
  cr_assert_eq(kiln_tile_interpret(tile, 0, &args, 0, &message), KILN_OK, "%s", message.data);
  kiln_tile_code *code;
  cr_assert_eq(kiln_tile_compile(engine, tile, NULL, &code, &message), KILN_OK, "%s", message.data);
  kiln_entry *entry = (kiln_entry *)kiln_tile_function(code, "add");
  kiln_query *tasks = (kiln_query *)kiln_tile_function(code, "add_tasks");
  cr_assert(entry && tasks);
  cr_expect_null(kiln_tile_function(code, "sub"));
  args.buffers = (void *[]){x, z};
  cr_expect_eq(tasks(&args), 3);
  for (int64_t task = 0; task < 3; ++task) entry(&args, task);
  cr_expect_arr_eq(y, z, sizeof y);
  cr_expect_eq(z[N - 1], x[N - 1] + 1);
  kiln_tile_code_release(code);
  kiln_tile_code_release(NULL);
  cr_expect_eq(kiln_tile_compile(engine, tile, "z80", &code, &message), KILN_NOT_FOUND);
  cr_expect(message.data && strstr(message.data, "z80"));
  kiln_buffer_free(&message);
  cr_expect_eq(kiln_tile_compile(engine, tile, "generic-riscv64", &code, NULL), KILN_MISSING_FEATURE);
  kiln_tile_destroy(tile);
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_tile, interpreter_finds_faults) {
  static const char beyond[] = "kernel @k(%x: buf<f32, [n]>) symbols n tasks 1 {\n"
                               "  %v = tile_load %x[n] : tile<1x1, f32>\n"
                               "  tile_store %v, %x[0]\n}\n";
  kiln_tile *tile = parse(beyond);
  float x[4] = {0};
  kiln_args args = {.buffers = (void *[]){x}, .dims = (int64_t[]){4}};
  kiln_buffer message;
  cr_expect_eq(kiln_tile_interpret(tile, 0, &args, 0, &message), KILN_INVALID_TILE);
  cr_expect(message.data && strstr(message.data, "2:") && strchr(message.data, '^'), "%s", message.data);
  kiln_buffer_free(&message);
  cr_expect_eq(kiln_tile_interpret(tile, 1, &args, 0, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tile_interpret(tile, 0, NULL, 0, NULL), KILN_INVALID_ARGUMENT);
  kiln_tile_destroy(tile);
}

Test(runtime_tile, dumps) {
  static const struct {
    kiln_stage stage;
    const char *word;
  } rows[] = {{KILN_STAGE_TILE, "kernel @add"},
              {KILN_STAGE_LLVM, "define"},
              {KILN_STAGE_ASM, "add_tasks"},
              {KILN_STAGE_OBJECT, "\177ELF"}};
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_tile *tile = parse(add_one);
  kiln_buffer out, message;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
    cr_assert_eq(kiln_tile_dump(engine, tile, "haswell", rows[i].stage, &out, &message), KILN_OK, "%s", message.data);
    cr_expect_not_null(strstr(out.data, rows[i].word));
    kiln_buffer_free(&out);
  }
  cr_expect_eq(kiln_tile_dump(engine, tile, NULL, KILN_STAGE_DOT, &out, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_tile_dump(engine, tile, "z80", KILN_STAGE_ASM, &out, NULL), KILN_NOT_FOUND);
  cr_expect_eq(kiln_tile_dump(NULL, tile, NULL, KILN_STAGE_ASM, &out, NULL), KILN_INVALID_ARGUMENT);
  kiln_tile_destroy(tile);
  kiln_engine_destroy(engine);
  place_release(&place);
}
