/* object.h: kernel objects as bytes: an ELF reader and the metadata an object carries about itself.
 *
 * A kernel object is a relocatable ELF64 file, little-endian, of one of the families of target.h, with a section
 * `.kiln` that is not loaded: a fixed header (magic, format version, checksum over the whole file) and lines of text
 * `name=value`. Readers are total: any bytes give an object or a refusal with a sentence. Nothing here needs LLVM's
 * code generator. */
#ifndef KILN_JIT_OBJECT_H
#define KILN_JIT_OBJECT_H

#include "ir/support/support.h"
#include "ir/target/target.h"

#define JIT_OBJECT_FORMAT 1
#define JIT_HASH_BYTES 32
#define JIT_OBJECT_LIMIT ((size_t)64 << 20) /* bytes; no kernel comes near, so a larger file is none of ours */

typedef struct JitBuffer {
  uint8_t *data;
  size_t size;
  Allocator allocator;
} JitBuffer;

/* Copies `size` bytes; false when memory is short, and `out` is then empty. */
bool jit_buffer_copy(const void *data, size_t size, const Allocator *allocator, JitBuffer *out);
void jit_buffer_release(JitBuffer *buffer); /* leaves it empty; an empty one is allowed */

/* ---- ELF -------------------------------------------------------------------------------------------------------- */

typedef struct JitSection {
  const char *name;
  uint32_t type, link, info;
  uint64_t flags;
  size_t offset, size;
} JitSection;

typedef struct JitSymbol {
  const char *name;
  uint64_t value, size;
  uint16_t section; /* 0: undefined */
  bool is_global, is_function;
} JitSymbol;

/* A checked view of an object's bytes, which must outlive it. */
typedef struct JitObject {
  const uint8_t *bytes;
  size_t size;
  TargetFamily family;
  size_t section_count, sections; /* `sections` and the like are byte offsets into the file */
  size_t section_names, section_names_size;
  size_t symbol_count, symbols;
  size_t symbol_names, symbol_names_size;
  size_t code_bytes;              /* in executable sections */
  size_t metadata, metadata_size; /* the `.kiln` section; size 0: none */
} JitObject;

/* Checks the structure of the whole file: every offset, index and name that the functions below or a linker follow.
 * KILN_INVALID_OBJECT with a reason appended to `why` (may be NULL) otherwise. */
kiln_status jit_object_parse(const uint8_t *bytes, size_t size, JitObject *out, Text *why);
JitSection jit_object_section(const JitObject *object, size_t index); /* index < section_count */
JitSymbol jit_object_symbol(const JitObject *object, size_t index);   /* index < symbol_count; 0 is the null symbol */

bool jit_section_has_bytes(const JitSection *section); /* in the file */
/* The address that a relocation puts at byte `at` of a section: an offset in the section of the symbol it names; 0: no
 * relocation is there. */
uint64_t jit_object_relocated(const JitObject *object, size_t section, size_t at);

/* Code from `begin` bytes into the section of the object's functions on comes from this line of its source; 0: from
 * none. */
typedef struct JitLine {
  uint64_t begin;
  int32_t line;
} JitLine;
/* The object's table of lines, ascending; how many (lines.c). `lines` NULL: only how many at most. */
size_t jit_object_lines(const JitObject *object, JitLine *lines);
const char *jit_object_line_source(const JitObject *object); /* the name of that source; NULL: there is no table */
int32_t jit_line_at(const JitLine *lines, size_t count, uint64_t at);

/* What makes an object a kernel: nothing undefined, nothing writable, no thread-local data, nothing that runs on load.
 */
kiln_status jit_object_check_kernel(const JitObject *object, Text *why);

/* ---- metadata --------------------------------------------------------------------------------------------------- */

typedef struct JitField {
  const char *name;  /* letters, digits, `_` and `-`; none of the names below */
  const char *value; /* any text */
} JitField;

typedef struct JitMetadata {
  int args_version;
  const char *key; /* full text of the content key */
  size_t key_length;
  const char *target;  /* row of targets.def; kept as text, for it may come from another version's table */
  FeatureSet features; /* that a CPU must have */
  const char *llvm, *build;
  const char **entries; /* names of the functions other programs may call */
  size_t entry_count;
  JitField *fields; /* what the caller of jit_emit added: template, schedule, packing … */
  size_t field_count;
} JitMetadata;

/* Strings live in the arena. KILN_INVALID_OBJECT with a reason where the section is absent, of another format version,
 * or malformed. Does not verify the checksum. */
kiln_status jit_metadata_read(const JitObject *object, Arena *arena, JitMetadata *out, Text *why);

/* Whether the checksum in the metadata is that of the file. */
bool jit_object_is_intact(const JitObject *object);

/* The metadata section's bytes with a checksum of zero, and the checksum's completion once they lie in an object. */
void jit_metadata_write(const JitMetadata *metadata, Text *out);
void jit_object_seal(const JitObject *object, uint8_t *bytes);

/* BLAKE3 of some bytes. */
void jit_hash(const void *bytes, size_t size, uint8_t hash[JIT_HASH_BYTES]);

#endif
