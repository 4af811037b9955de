/* metadata.c: the section `.kiln`: what an object says about itself, and the checksum over its file.
 *
 * Layout: 8 bytes magic, 4 format version, 4 length of the text, 32 checksum, then the text, so `readelf -p .kiln`
 * shows it. The text is lines `name=value`; in values a newline is written `\n` and a backslash `\\`. The checksum is
 * the BLAKE3 of the file with the checksum's own bytes zero. */
#include "jit/object.h"

#include <llvm-c/blake3.h>
#include <string.h>

enum { MAGIC_AT = 0, FORMAT_AT = 8, LENGTH_AT = 12, CHECKSUM_AT = 16, TEXT_AT = CHECKSUM_AT + JIT_HASH_BYTES };
enum {
  LIST_LIMIT = 256
}; /* entries, and fields: so that hostile bytes cannot make vectors outgrow an arena's promise */
static const char magic[8] = {'K', 'I', 'L', 'N', 'M', 'E', 'T', 'A'};

void jit_hash(const void *bytes, size_t size, uint8_t hash[JIT_HASH_BYTES]) {
  llvm_blake3_hasher hasher;
  llvm_blake3_hasher_init(&hasher);
  llvm_blake3_hasher_update(&hasher, bytes, size);
  llvm_blake3_hasher_finalize(&hasher, hash, JIT_HASH_BYTES);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void add_line(Text *out, const char *name, const char *value, size_t length) {
  text_add(out, name);
  text_add_char(out, '=');
  for (size_t i = 0; i < length; ++i) {
    if (value[i] == '\n') text_add(out, "\\n");
    else if (value[i] == '\\') text_add(out, "\\\\");
    else text_add_char(out, value[i]);
  }
  text_add_char(out, '\n');
}

static void add_word(Text *out, const char *name, const char *value) {
  add_line(out, name, value ? value : "", value ? strlen(value) : 0);
}

static void add_u32(Text *out, uint32_t value) {
  uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
  text_add_bytes(out, bytes, sizeof bytes);
}

static void add_text(const JitMetadata *metadata, Text *out) {
  text_printf(out, "args=%d\n", metadata->args_version);
  add_word(out, "target", metadata->target);
  text_add(out, "features=");
  features_print(metadata->features, out);
  text_add_char(out, '\n');
  add_word(out, "llvm", metadata->llvm);
  add_word(out, "build", metadata->build);
  for (size_t i = 0; i < metadata->entry_count; ++i) add_word(out, "entry", metadata->entries[i]);
  for (size_t i = 0; i < metadata->field_count; ++i) add_word(out, metadata->fields[i].name, metadata->fields[i].value);
  add_line(out, "key", metadata->key, metadata->key_length);
}

void jit_metadata_write(const JitMetadata *metadata, Text *out) {
  static const uint8_t no_checksum[JIT_HASH_BYTES];
  Text text;
  text_init(&text, &out->allocator);
  add_text(metadata, &text);
  text_add_bytes(out, magic, sizeof magic);
  add_u32(out, JIT_OBJECT_FORMAT);
  add_u32(out, (uint32_t)text.length);
  text_add_bytes(out, no_checksum, sizeof no_checksum);
  text_add_bytes(out, text_get(&text), text.length);
  out->failed |= text.failed;
  text_release(&text);
}

/* ---- checksum --------------------------------------------------------------------------------------------------- */

static void hash_file(const JitObject *object, uint8_t hash[JIT_HASH_BYTES]) {
  static const uint8_t no_checksum[JIT_HASH_BYTES];
  size_t checksum = object->metadata + CHECKSUM_AT, rest = checksum + JIT_HASH_BYTES;
  llvm_blake3_hasher hasher;
  llvm_blake3_hasher_init(&hasher);
  llvm_blake3_hasher_update(&hasher, object->bytes, checksum);
  llvm_blake3_hasher_update(&hasher, no_checksum, JIT_HASH_BYTES);
  llvm_blake3_hasher_update(&hasher, object->bytes + rest, object->size - rest);
  llvm_blake3_hasher_finalize(&hasher, hash, JIT_HASH_BYTES);
}

bool jit_object_is_intact(const JitObject *object) {
  uint8_t hash[JIT_HASH_BYTES];
  if (object->metadata_size < TEXT_AT) return false;
  hash_file(object, hash);
  return memcmp(hash, object->bytes + object->metadata + CHECKSUM_AT, sizeof hash) == 0;
}

void jit_object_seal(const JitObject *object, uint8_t *bytes) {
  KILN_ASSERT(object->metadata_size >= TEXT_AT && object->bytes == bytes);
  uint8_t hash[JIT_HASH_BYTES];
  hash_file(object, hash);
  memcpy(bytes + object->metadata + CHECKSUM_AT, hash, sizeof hash);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

typedef struct Reader {
  Arena *arena;
  JitMetadata *out;
  VECTOR(const char *) entries;
  VECTOR(JitField) fields;
  unsigned seen; /* bit per single line: args target features llvm build key */
} Reader;

static kiln_status refuse(Text *why, const char *sentence) {
  if (why) text_add(why, sentence);
  return KILN_INVALID_OBJECT;
}

/* Decodes escapes; NULL where one is malformed. */
static char *read_value(Arena *arena, const char *value, size_t length, size_t *decoded) {
  char *text = arena_copy(arena, value, length);
  if (!text) return NULL;
  size_t to = 0;
  for (size_t from = 0; from < length; ++from) {
    char c = value[from];
    if (c == '\\') {
      if (++from == length || (value[from] != 'n' && value[from] != '\\')) return NULL;
      c = value[from] == 'n' ? '\n' : '\\';
    }
    text[to++] = c;
  }
  text[to] = 0;
  *decoded = to;
  return text;
}

static bool read_number(const char *value, size_t length, int *number) {
  if (length == 0 || length > 6) return false;
  *number = 0;
  for (size_t i = 0; i < length; ++i) {
    if (value[i] < '0' || value[i] > '9') return false;
    *number = *number * 10 + (value[i] - '0');
  }
  return true;
}

static bool take_line(Reader *reader, const char *name, char *value, size_t length) {
  static const char *const single[] = {"args", "target", "features", "llvm", "build", "key"};
  JitMetadata *out = reader->out;
  if (strcmp(name, "entry") == 0) {
    VECTOR_PUSH(reader->arena, reader->entries, value);
    return reader->entries.count <= LIST_LIMIT;
  }
  unsigned line = 0;
  while (line < ARRAY_LENGTH(single) && strcmp(name, single[line]) != 0) ++line;
  if (line == ARRAY_LENGTH(single)) {
    JitField field = {name, value};
    VECTOR_PUSH(reader->arena, reader->fields, field);
    return reader->fields.count <= LIST_LIMIT;
  }
  if (reader->seen >> line & 1) return false;
  reader->seen |= 1u << line;
  switch (line) {
  case 0: return read_number(value, length, &out->args_version);
  case 1: out->target = value; return true;
  case 2: return features_parse(value, length, &out->features);
  case 3: out->llvm = value; return true;
  case 4: out->build = value; return true;
  default:
    out->key = value;
    out->key_length = length;
    return true;
  }
}

static bool read_lines(Reader *reader, const char *text, size_t length) {
  for (size_t at = 0; at < length;) {
    const char *end = memchr(text + at, '\n', length - at);
    if (!end) return false;
    size_t line = (size_t)(end - (text + at));
    const char *equals = memchr(text + at, '=', line);
    if (!equals || equals == text + at) return false;
    size_t name = (size_t)(equals - (text + at)), decoded = 0;
    char *value = read_value(reader->arena, equals + 1, line - name - 1, &decoded);
    if (!value || !take_line(reader, arena_copy(reader->arena, text + at, name), value, decoded)) return false;
    at += line + 1;
  }
  return reader->seen == 0x3f;
}

static uint32_t read_u32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

kiln_status jit_metadata_read(const JitObject *object, Arena *arena, JitMetadata *out, Text *why) {
  *out = (JitMetadata){0};
  const uint8_t *section = object->bytes + object->metadata;
  if (object->metadata_size < TEXT_AT || memcmp(section + MAGIC_AT, magic, sizeof magic) != 0)
    return refuse(why, "the object has no metadata of kiln's");
  uint32_t format = read_u32(section + FORMAT_AT), length = read_u32(section + LENGTH_AT);
  if (format != JIT_OBJECT_FORMAT) {
    if (why) text_printf(why, "format version %u, expected %u", format, (unsigned)JIT_OBJECT_FORMAT);
    return KILN_INVALID_OBJECT;
  }
  if (length > object->metadata_size - TEXT_AT) return refuse(why, "the metadata is cut short");
  Reader reader = {.arena = arena, .out = out};
  if (!read_lines(&reader, (const char *)section + TEXT_AT, length)) return refuse(why, "the metadata is malformed");
  if (arena_has_failed(arena)) return KILN_OUT_OF_MEMORY;
  out->entries = reader.entries.items;
  out->entry_count = reader.entries.count;
  out->fields = reader.fields.items;
  out->field_count = reader.fields.count;
  return KILN_OK;
}
