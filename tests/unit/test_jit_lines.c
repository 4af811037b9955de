/* Tables of lines: which line of the tile IR an address comes from, in objects and in jitdumps. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jit/compile.h"
#include "jit/jit.h"
#include "tests/unit/bytes.h"

static const char tile_text[] = "kernel @lines(%x: buf<f32, [n]>, %y: buf<f32, [n]>)\n"
                                "    symbols n {\n"
                                "  for %i = 0 to n step 1 {\n"
                                "    %v = tile_load %x[%i] : f32\n"
                                "    %w = tile_sqrt %v\n"
                                "    tile_store %w, %y[%i]\n"
                                "  }\n"
                                "}\n";
enum { LAST_LINE = 8, LOOP = 3, LOAD = 4, SQRT = 5, STORE = 6 };

static JitBuffer compile_lines(const char *target, const char *source) {
  JitBuffer object;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  Module *module = tile_parse(tile_text, strlen(tile_text), &allocator_default, &faults);
  cr_assert_eq(tile_verify(module, &faults), KILN_OK);
  JitCompile options = {.output = JIT_OUTPUT_OBJECT, .source = source, .key = "k", .key_length = 1};
  cr_assert_eq(jit_compile(module, target_find(target), &options, &allocator_default, &object, &faults), KILN_OK);
  module_destroy(module);
  diagnostics_release(&faults);
  return object;
}

static size_t read_lines(const uint8_t *bytes, size_t size, JitLine **lines) {
  JitObject object;
  *lines = NULL;
  if (jit_object_parse(bytes, size, &object, NULL) != KILN_OK) return 0;
  size_t most = jit_object_lines(&object, NULL);
  *lines = calloc(most + 1, sizeof **lines);
  size_t count = jit_object_lines(&object, *lines);
  cr_expect_leq(count, most);
  return count;
}

Test(jit_lines, objects_know_their_lines) {
  static const char *const targets[] = {"x86-64", "skylake-avx512", "generic-aarch64"};
  for (size_t t = 0; t < ARRAY_LENGTH(targets); ++t) {
    JitLine *lines;
    bool seen[LAST_LINE + 1] = {false};
    JitBuffer object = compile_lines(targets[t], "lines.tile");
    size_t count = read_lines(object.data, object.size, &lines);
    cr_expect_gt(count, 4);
    for (size_t i = 0; i < count; ++i) {
      cr_assert_leq(lines[i].line, LAST_LINE, "%s", targets[t]);
      cr_expect(i == 0 || lines[i].begin >= lines[i - 1].begin);
      seen[lines[i].line] = true;
    }
    cr_expect(seen[LOOP] && seen[LOAD] && seen[SQRT] && seen[STORE], "%s", targets[t]);
    free(lines);
    jit_buffer_release(&object);
  }
}

Test(jit_lines, none_unless_asked_for) {
  JitLine *lines;
  JitBuffer object = compile_lines("x86-64", NULL);
  cr_expect_eq(read_lines(object.data, object.size, &lines), 0);
  free(lines);
  jit_buffer_release(&object);
}

Test(jit_lines, look_up) {
  static const JitLine lines[] = {{4, 7}, {8, 9}, {8, 2}, {20, 0}};
  static const int32_t expected[] = {0, 0, 0, 0, 7, 7, 7, 7, 2, 2};
  for (uint64_t at = 0; at < ARRAY_LENGTH(expected); ++at) cr_expect_eq(jit_line_at(lines, 4, at), expected[at]);
  cr_expect_eq(jit_line_at(lines, 4, 19), 2);
  cr_expect_eq(jit_line_at(lines, 4, 20), 0);
  cr_expect_eq(jit_line_at(NULL, 0, 20), 0);
}

/* Every byte of the object changed, one at a time, and every two that follow each other: rows or none, and no harm. */
Test(jit_lines, any_table_ends) {
  static const uint8_t values[] = {0, 1, 2, 3, 9, 127, 128, 255};
  JitBuffer object = compile_lines("x86-64", "lines.tile");
  uint8_t *copy = malloc(object.size);
  for (size_t at = 0; at < object.size; ++at)
    for (size_t v = 0; v < ARRAY_LENGTH(values); ++v) {
      JitLine *lines;
      memcpy(copy, object.data, object.size);
      copy[at] = values[v];
      if (v % 2 && at + 1 < object.size) copy[at + 1] = values[v];
      read_lines(copy, object.size, &lines);
      free(lines);
    }
  free(copy);
  jit_buffer_release(&object);
}

/* ---- jitdump ----------------------------------------------------------------------------------------------------- */

Test(jit_lines, jitdump_has_them_before_the_code) {
  static uint8_t bytes[65536];
  char directory[] = "/tmp/kiln-lines-XXXXXX", path[128];
  JitSession *session;
  JitCode *code;
  cr_assert_not_null(mkdtemp(directory));
  JitSessionOptions options = {.jitdump_dir = directory};
  JitBuffer object = compile_lines("x86-64", "text.tile");
  cr_assert_eq(jit_session_create(&options, &session, NULL), KILN_OK);
  cr_assert_eq(jit_load(session, object.data, object.size, "test", &code, NULL), KILN_OK);
  uintptr_t address = (uintptr_t)jit_symbol(code, "lines");
  jit_unload(code);
  jit_session_destroy(session);
  jit_buffer_release(&object);
  snprintf(path, sizeof path, "%s/jit-%d.dump", directory, (int)getpid());
  FILE *file = fopen(path, "rb");
  cr_assert_not_null(file);
  size_t size = fread(bytes, 1, sizeof bytes, file), at = read_number(bytes + 8, 4);
  fclose(file);
  remove(path);
  rmdir(directory);
  cr_assert_lt(at + 32, size);
  cr_expect_eq(read_number(bytes + at, 4), 2);
  cr_expect_eq(read_number(bytes + at + 16, 8), address);
  size_t count = read_number(bytes + at + 24, 8), entry = at + 32;
  for (size_t i = 0; i < count; ++i, entry += 16 + sizeof "text.tile") {
    cr_expect(read_number(bytes + entry, 8) >= address && read_number(bytes + entry + 8, 4) <= LAST_LINE);
    cr_expect_str_eq((const char *)bytes + entry + 16, "text.tile");
  }
  cr_expect_eq(entry, at + read_number(bytes + at + 4, 4));
  cr_expect_eq(read_number(bytes + entry, 4), 0, "the function's code is next");
}
