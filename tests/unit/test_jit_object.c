/* The object reader and the metadata: what they read back, and that no bytes whatever mislead or crash them. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "jit/object.h"
#include "tests/cache/kernels.h"

static const char key_text[] = "graph: y = x\nslash \\ and \\n, equals = and more";

static JitObject parse(const JitBuffer *buffer) {
  JitObject object;
  cr_assert_eq(jit_object_parse(buffer->data, buffer->size, &object, NULL), KILN_OK);
  return object;
}

Test(jit_object, metadata_reads_back) {
  JitBuffer buffer = make_object(key_text);
  JitObject object = parse(&buffer);
  JitMetadata metadata;
  Arena arena;
  arena_init(&arena, NULL);
  cr_assert_eq(jit_metadata_read(&object, &arena, &metadata, NULL), KILN_OK);
  cr_expect_eq(metadata.key_length, strlen(key_text));
  cr_expect_str_eq(metadata.key, key_text);
  cr_expect_str_eq(metadata.target, "x86-64");
  cr_expect_eq(metadata.features, 0);
  cr_assert_eq(metadata.entry_count, 3);
  cr_expect_str_eq(metadata.entries[0], "add");
  cr_expect_str_eq(metadata.entries[2], "add_workspace");
  cr_assert_eq(metadata.field_count, 2);
  cr_expect_str_eq(metadata.fields[1].name, "schedule");
  cr_expect_str_eq(metadata.fields[1].value, "mr=1 nr=8");
  cr_expect(jit_object_is_intact(&object));
  cr_expect_eq(jit_object_check_kernel(&object, NULL), KILN_OK);
  cr_expect_gt(object.code_bytes, 0);
  arena_release(&arena);
  jit_buffer_release(&buffer);
}

Test(jit_object, symbols_read_back) {
  JitBuffer buffer = make_object("k");
  JitObject object = parse(&buffer);
  size_t functions = 0;
  for (size_t i = 1; i < object.symbol_count; ++i) {
    JitSymbol symbol = jit_object_symbol(&object, i);
    functions += symbol.is_global && symbol.is_function;
    cr_expect_neq(symbol.section, 0, "undefined symbol '%s'", symbol.name);
  }
  cr_expect_eq(functions, 3);
  jit_buffer_release(&buffer);
}

/* Follows everything a reader or linker would follow; sanitizers watch. */
static void walk(const JitObject *object) {
  static volatile size_t sink;
  JitMetadata metadata;
  Arena arena;
  for (size_t i = 0; i < object->section_count; ++i) {
    JitSection section = jit_object_section(object, i);
    if (section.type != 0) sink += strlen(section.name);
  }
  for (size_t i = 0; i < object->symbol_count; ++i) sink += strlen(jit_object_symbol(object, i).name);
  jit_object_check_kernel(object, NULL);
  arena_init(&arena, NULL);
  jit_metadata_read(object, &arena, &metadata, NULL);
  arena_release(&arena);
}

/* A copy of exactly this many bytes, so that reading past the end is seen. */
static void judge_copy(const uint8_t *bytes, size_t size, const char *what, size_t where) {
  uint8_t *copy = malloc(size ? size : 1);
  JitObject object;
  memcpy(copy, bytes, size);
  if (jit_object_parse(copy, size, &object, NULL) == KILN_OK) {
    cr_expect_not(jit_object_is_intact(&object), "%s at %zu passes", what, where);
    walk(&object);
  }
  free(copy);
}

Test(jit_object, every_truncation_is_noticed) {
  JitBuffer buffer = make_object("k");
  for (size_t size = 0; size < buffer.size; ++size) judge_copy(buffer.data, size, "truncation", size);
  jit_buffer_release(&buffer);
}

Test(jit_object, every_flipped_bit_is_noticed) {
  JitBuffer buffer = make_object("k");
  for (size_t bit = 0; bit < 8 * buffer.size; ++bit) {
    buffer.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    judge_copy(buffer.data, buffer.size, "bit", bit);
    buffer.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  jit_buffer_release(&buffer);
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* Numbers at the edges of what a field may hold, where checks overflow. */
Test(jit_object, hostile_fields_do_no_harm) {
  static const uint64_t edges[] = {0, 1, 0x7f, 0xff, 0xff00, 0xffff, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX};
  JitBuffer buffer = make_object("k");
  uint8_t *copy = malloc(buffer.size);
  uint64_t seed = 20250101;
  for (int round = 0; round < 40000; ++round) {
    size_t size = buffer.size;
    memcpy(copy, buffer.data, size);
    for (uint64_t changes = 1 + next_random(&seed) % 4; changes; --changes) {
      uint64_t value = next_random(&seed) % 4 ? edges[next_random(&seed) % ARRAY_LENGTH(edges)] : next_random(&seed);
      size_t width = (size_t)1 << next_random(&seed) % 4;
      size_t headers = buffer.size - 8 * 64; /* the section table lies at the end, the file header at the start */
      size_t at = next_random(&seed) % 2 ? headers + next_random(&seed) % (8 * 64) : next_random(&seed) % size;
      if (at + width <= size) memcpy(copy + at, &value, width);
    }
    if (next_random(&seed) % 8 == 0) size = next_random(&seed) % size;
    JitObject object;
    if (jit_object_parse(copy, size, &object, NULL) == KILN_OK) walk(&object);
  }
  free(copy);
  jit_buffer_release(&buffer);
}

Test(jit_object, random_bytes_are_refused) {
  uint64_t seed = 77;
  uint8_t bytes[512];
  JitObject object;
  for (int round = 0; round < 20000; ++round) {
    for (size_t i = 0; i < sizeof bytes; ++i) bytes[i] = (uint8_t)next_random(&seed);
    if (round % 2) memcpy(bytes, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\1\0\76\0", 20);
    cr_expect_neq(jit_object_parse(bytes, (size_t)(next_random(&seed) % sizeof bytes), &object, NULL), KILN_OK);
  }
}

Test(jit_object, undefined_symbol_is_refused_by_name) {
  JitBuffer buffer = make_object("k");
  JitObject object = parse(&buffer);
  Text why;
  text_init(&why, NULL);
  for (size_t i = 1; i < object.symbol_count; ++i)
    if (strcmp(jit_object_symbol(&object, i).name, "add_tasks") == 0)
      memset(buffer.data + object.symbols + 24 * i + 6, 0, 2); /* its section becomes "undefined" */
  cr_assert_eq(jit_object_parse(buffer.data, buffer.size, &object, &why), KILN_OK);
  cr_expect_eq(jit_object_check_kernel(&object, &why), KILN_INVALID_OBJECT);
  cr_expect_not_null(strstr(text_get(&why), "undefined symbol 'add_tasks'"), "%s", text_get(&why));
  text_release(&why);
  jit_buffer_release(&buffer);
}

Test(jit_object, refusals_say_why) {
  static const struct {
    size_t at;
    uint8_t value;
    const char *sentence;
  } rows[] = {
      {0, 0, "not a little-endian ELF64 file"},   {16, 2, "ELF type 2, expected 1 (relocatable)"},
      {18, 3, "ELF machine 3 is none of kiln's"}, {60, 1, "section table of 1 entries does not fit the file"},
      {62, 99, "string table 99 does not exist"},
  };
  JitBuffer buffer = make_object("k");
  for (size_t i = 0; i < ARRAY_LENGTH(rows); ++i) {
    JitObject object;
    Text why;
    text_init(&why, NULL);
    uint8_t kept = buffer.data[rows[i].at];
    buffer.data[rows[i].at] = rows[i].value;
    cr_expect_eq(jit_object_parse(buffer.data, buffer.size, &object, &why), KILN_INVALID_OBJECT);
    cr_expect_str_eq(text_get(&why), rows[i].sentence);
    buffer.data[rows[i].at] = kept;
    text_release(&why);
  }
  jit_buffer_release(&buffer);
}
