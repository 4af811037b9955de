/* object.c: reader of relocatable ELF64 files.
 *
 * Assumes nothing of the bytes: every number is read unaligned, and every offset, size, index and name that anyone
 * follows later is checked here once, so the getters cannot fail. Refuses what a code generator never writes into a
 * kernel (extended section numbers, groups, compression, common symbols), which keeps a linker's rarer paths out of
 * reach of a damaged file. Does not apply relocations and does not know their types. */
#include "jit/object.h"

#include <string.h>

enum {
  FILE_HEADER_BYTES = 64,
  SECTION_HEADER_BYTES = 64,
  SYMBOL_BYTES = 24,
  RELOCATION_BYTES = 24,
  ALIGNMENT_LIMIT = 4096,
};

enum { MACHINE_X86_64 = 62, MACHINE_AARCH64 = 183, MACHINE_RISCV = 243 };

enum {
  SECTION_NULL = 0,
  SECTION_SYMBOLS = 2,
  SECTION_STRINGS = 3,
  SECTION_RELOCATIONS = 4,
  SECTION_NO_BITS = 8,
  SECTION_SHORT_RELOCATIONS = 9,
  SECTION_INIT = 14,
  SECTION_FINI = 15,
  SECTION_PREINIT = 16,
  SECTION_GROUP = 17,
  SECTION_WIDE_INDEX = 18,
};

enum { FLAG_WRITE = 1, FLAG_ALLOC = 2, FLAG_CODE = 4, FLAG_THREAD_LOCAL = 0x400, FLAG_COMPRESSED = 0x800 };

enum { INDEX_RESERVED = 0xff00, INDEX_ABSOLUTE = 0xfff1 };
enum { BIND_LOCAL = 0, KIND_FUNCTION = 2, KIND_THREAD_LOCAL = 6, KIND_INDIRECT = 10 };

bool jit_buffer_copy(const void *data, size_t size, const Allocator *allocator, JitBuffer *out) {
  *out = (JitBuffer){.allocator = allocator ? *allocator : allocator_default};
  out->data = out->allocator.alloc(out->allocator.ctx, size ? size : 1, 16);
  if (!out->data) return false;
  if (size) memcpy(out->data, data, size);
  out->size = size;
  return true;
}

void jit_buffer_release(JitBuffer *buffer) {
  if (buffer->data) buffer->allocator.release(buffer->allocator.ctx, buffer->data);
  buffer->data = NULL;
  buffer->size = 0;
}

static uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static uint32_t read32(const uint8_t *at) { return (uint32_t)read16(at) | (uint32_t)read16(at + 2) << 16; }
static uint64_t read64(const uint8_t *at) { return (uint64_t)read32(at) | (uint64_t)read32(at + 4) << 32; }

PRINTF_LIKE(2, 3)
static kiln_status refuse(Text *why, const char *format, ...) {
  if (why) {
    va_list args;
    va_start(args, format);
    text_vprintf(why, format, args);
    va_end(args);
  }
  return KILN_INVALID_OBJECT;
}

/* Whether `size` bytes from `offset` lie inside `limit`. */
static bool is_inside(uint64_t offset, uint64_t size, uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

static const uint8_t *section_header(const JitObject *object, size_t index) {
  return object->bytes + object->sections + index * SECTION_HEADER_BYTES;
}

JitSection jit_object_section(const JitObject *object, size_t index) {
  const uint8_t *header = section_header(object, index);
  return (JitSection){
      .name = (const char *)object->bytes + object->section_names + read32(header),
      .type = read32(header + 4),
      .flags = read64(header + 8),
      .offset = (size_t)read64(header + 24),
      .size = (size_t)read64(header + 32),
      .link = read32(header + 40),
      .info = read32(header + 44),
  };
}

JitSymbol jit_object_symbol(const JitObject *object, size_t index) {
  const uint8_t *at = object->bytes + object->symbols + index * SYMBOL_BYTES;
  return (JitSymbol){
      .name = (const char *)object->bytes + object->symbol_names + read32(at),
      .value = read64(at + 8),
      .size = read64(at + 16),
      .section = read16(at + 6),
      .is_global = at[4] >> 4 != BIND_LOCAL,
      .is_function = (at[4] & 15) == KIND_FUNCTION,
  };
}

bool jit_section_has_bytes(const JitSection *section) {
  return section->type != SECTION_NULL && section->type != SECTION_NO_BITS;
}

uint64_t jit_object_relocated(const JitObject *object, size_t section, size_t at) {
  for (size_t i = 1; i < object->section_count; ++i) {
    JitSection table = jit_object_section(object, i);
    if (table.type != SECTION_RELOCATIONS || table.info != section) continue;
    for (size_t entry = 0; entry < table.size; entry += RELOCATION_BYTES) {
      const uint8_t *bytes = object->bytes + table.offset + entry;
      if (read64(bytes) != at) continue;
      return jit_object_symbol(object, read64(bytes + 8) >> 32).value + read64(bytes + 16);
    }
  }
  return 0;
}

static kiln_status parse_file_header(JitObject *object, Text *why) {
  static const uint8_t identity[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1}; /* 64 bits, little-endian, version 1 */
  const uint8_t *bytes = object->bytes;
  if (object->size < FILE_HEADER_BYTES) return refuse(why, "%zu bytes are too short for an object", object->size);
  if (object->size > JIT_OBJECT_LIMIT) return refuse(why, "%zu bytes are too long for a kernel", object->size);
  if (memcmp(bytes, identity, sizeof identity) != 0) return refuse(why, "not a little-endian ELF64 file");
  if (read16(bytes + 16) != 1) return refuse(why, "ELF type %u, expected 1 (relocatable)", read16(bytes + 16));
  switch (read16(bytes + 18)) {
  case MACHINE_X86_64: object->family = FAMILY_X86_64; break;
  case MACHINE_AARCH64: object->family = FAMILY_AARCH64; break;
  case MACHINE_RISCV: object->family = FAMILY_RISCV64; break;
  default: return refuse(why, "ELF machine %u is none of kiln's", read16(bytes + 18));
  }
  uint64_t table = read64(bytes + 40);
  object->section_count = read16(bytes + 60);
  if (read16(bytes + 58) != SECTION_HEADER_BYTES || object->section_count < 2 ||
      object->section_count >= INDEX_RESERVED ||
      !is_inside(table, object->section_count * SECTION_HEADER_BYTES, object->size))
    return refuse(why, "section table of %zu entries does not fit the file", object->section_count);
  object->sections = (size_t)table;
  return KILN_OK;
}

/* A string table: inside the file, and its last byte ends the last string. */
static kiln_status parse_strings(const JitObject *object, size_t index, size_t *offset, size_t *size, Text *why) {
  if (index == 0 || index >= object->section_count) return refuse(why, "string table %zu does not exist", index);
  const uint8_t *header = section_header(object, index);
  uint64_t at = read64(header + 24), bytes = read64(header + 32);
  if (read32(header + 4) != SECTION_STRINGS || bytes == 0 || !is_inside(at, bytes, object->size) ||
      object->bytes[at + bytes - 1] != 0)
    return refuse(why, "section %zu is not a string table", index);
  *offset = (size_t)at;
  *size = (size_t)bytes;
  return KILN_OK;
}

static kiln_status check_section(const JitObject *object, size_t index, Text *why) {
  const uint8_t *header = section_header(object, index);
  if (read32(header) >= object->section_names_size) return refuse(why, "section %zu has no name", index);
  JitSection section = jit_object_section(object, index);
  uint64_t alignment = read64(header + 48);
  if (section.type == SECTION_NULL) return KILN_OK;
  if (section.type == SECTION_NO_BITS ? section.size > JIT_OBJECT_LIMIT
                                      : !is_inside(section.offset, section.size, object->size))
    return refuse(why, "section '%s' lies outside the file", section.name);
  if ((alignment & (alignment - 1)) != 0 || alignment > ALIGNMENT_LIMIT)
    return refuse(why, "section '%s' has alignment %llu", section.name, (unsigned long long)alignment);
  if (section.type == SECTION_GROUP || section.type == SECTION_WIDE_INDEX ||
      section.type == SECTION_SHORT_RELOCATIONS || (section.flags & FLAG_COMPRESSED))
    return refuse(why, "section '%s' is of a kind no kernel has", section.name);
  return KILN_OK;
}

static kiln_status parse_sections(JitObject *object, size_t *symbol_section, Text *why) {
  for (size_t i = 0; i < object->section_count; ++i) {
    kiln_status status = check_section(object, i, why);
    if (status) return status;
    JitSection section = jit_object_section(object, i);
    if (section.type == SECTION_NULL) continue;
    if (section.flags & FLAG_CODE) object->code_bytes += section.size;
    if (section.type == SECTION_SYMBOLS) {
      if (*symbol_section) return refuse(why, "two symbol tables");
      *symbol_section = i;
    }
    if (strcmp(section.name, ".kiln") == 0) {
      if (object->metadata_size || section.type == SECTION_NO_BITS) return refuse(why, "more than one section '.kiln'");
      object->metadata = section.offset;
      object->metadata_size = section.size;
    }
  }
  return KILN_OK;
}

static kiln_status check_symbol(const JitObject *object, size_t index, Text *why) {
  if (read32(object->bytes + object->symbols + index * SYMBOL_BYTES) >= object->symbol_names_size)
    return refuse(why, "symbol %zu has no name", index);
  JitSymbol symbol = jit_object_symbol(object, index);
  if (symbol.section == 0 || symbol.section == INDEX_ABSOLUTE) return KILN_OK;
  if (symbol.section >= object->section_count) return refuse(why, "symbol '%s' lies in no section", symbol.name);
  JitSection section = jit_object_section(object, symbol.section);
  if (section.type == SECTION_NULL || !is_inside(symbol.value, symbol.size, section.size))
    return refuse(why, "symbol '%s' lies outside section '%s'", symbol.name, section.name);
  return KILN_OK;
}

static kiln_status parse_symbols(JitObject *object, size_t symbol_section, Text *why) {
  if (!symbol_section) return refuse(why, "no symbol table");
  JitSection table = jit_object_section(object, symbol_section);
  if (read64(section_header(object, symbol_section) + 56) != SYMBOL_BYTES || table.size % SYMBOL_BYTES != 0 ||
      table.info > table.size / SYMBOL_BYTES)
    return refuse(why, "the symbol table is malformed");
  kiln_status status = parse_strings(object, table.link, &object->symbol_names, &object->symbol_names_size, why);
  if (status) return status;
  object->symbols = table.offset;
  object->symbol_count = table.size / SYMBOL_BYTES;
  for (size_t i = 0; i < object->symbol_count; ++i)
    if ((status = check_symbol(object, i, why))) return status;
  return KILN_OK;
}

static kiln_status check_relocations(const JitObject *object, size_t index, size_t symbol_section, Text *why) {
  JitSection section = jit_object_section(object, index);
  if (section.type != SECTION_RELOCATIONS) return KILN_OK;
  if (section.size % RELOCATION_BYTES != 0 || read64(section_header(object, index) + 56) != RELOCATION_BYTES ||
      section.link != symbol_section || section.info == 0 || section.info >= object->section_count)
    return refuse(why, "relocation section '%s' is malformed", section.name);
  JitSection patched = jit_object_section(object, section.info);
  for (size_t at = 0; at < section.size; at += RELOCATION_BYTES) {
    const uint8_t *entry = object->bytes + section.offset + at;
    if (read64(entry) >= patched.size || read64(entry + 8) >> 32 >= object->symbol_count)
      return refuse(why, "relocation %zu of '%s' points nowhere", at / RELOCATION_BYTES, section.name);
  }
  return KILN_OK;
}

kiln_status jit_object_parse(const uint8_t *bytes, size_t size, JitObject *out, Text *why) {
  JitObject object = {.bytes = bytes, .size = size};
  size_t symbol_section = 0;
  kiln_status status = parse_file_header(&object, why);
  if (!status)
    status = parse_strings(&object, read16(bytes + 62), &object.section_names, &object.section_names_size, why);
  if (!status) status = parse_sections(&object, &symbol_section, why);
  if (!status) status = parse_symbols(&object, symbol_section, why);
  for (size_t i = 1; !status && i < object.section_count; ++i)
    status = check_relocations(&object, i, symbol_section, why);
  *out = object;
  return status;
}

kiln_status jit_object_check_kernel(const JitObject *object, Text *why) {
  for (size_t i = 1; i < object->section_count; ++i) {
    JitSection section = jit_object_section(object, i);
    if (section.type == SECTION_INIT || section.type == SECTION_FINI || section.type == SECTION_PREINIT)
      return refuse(why, "section '%s' would run on load", section.name);
    if (section.flags & FLAG_THREAD_LOCAL) return refuse(why, "section '%s' is thread-local", section.name);
    /* Constants that hold addresses are writable only while a static linker relocates them. */
    bool is_constant = strncmp(section.name, ".data.rel.ro", 12) == 0;
    bool is_state = section.type == SECTION_NO_BITS || ((section.flags & FLAG_WRITE) && !is_constant);
    if ((section.flags & FLAG_ALLOC) && section.size && is_state)
      return refuse(why, "section '%s' is writable; kernels keep no state", section.name);
  }
  for (size_t i = 1; i < object->symbol_count; ++i) {
    JitSymbol symbol = jit_object_symbol(object, i);
    unsigned kind = object->bytes[object->symbols + i * SYMBOL_BYTES + 4] & 15u;
    if (symbol.section == 0) return refuse(why, "undefined symbol '%s'; kernels call nothing outside", symbol.name);
    if (kind == KIND_THREAD_LOCAL || kind == KIND_INDIRECT)
      return refuse(why, "symbol '%s' is of a kind no kernel has", symbol.name);
  }
  return KILN_OK;
}
