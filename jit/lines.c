/* lines.c: reader of an object's table of lines (`.debug_line`, version 4 of DWARF, as lower/lines.c asks for it).
 *
 * The table is a program for a machine of two registers, an address and a line; each row it emits says from which
 * address on code belongs to which line. Any bytes give rows or an end: what is malformed ends the table. LLVM's own
 * reader is out of reach of its C API, and elfutils' would be one more library for every embedder. */
#include <string.h>

#include "jit/object.h"

enum { VERSION = 4, FIRST_FIELDS = 10 /* bytes of the header before its length counts */ };
enum { COPY = 1, ADVANCE_PC, ADVANCE_LINE, SET_FILE, SET_COLUMN, NEGATE, BLOCK, CONST_ADD_PC, FIXED_ADVANCE_PC };
enum { EXTENDED = 0, END_SEQUENCE = 1, SET_ADDRESS = 2, ADDRESS_BYTES = 8 };
enum { MOST_SPECIAL = 255 };

typedef struct Reader {
  const JitObject *object;
  size_t section;
  const uint8_t *begin, *at, *end;
  bool has_failed;
  JitLine *lines; /* NULL: rows are counted only */
  size_t count;
} Reader;

typedef struct Header {
  uint8_t step, range, opcode_base;
  int8_t line_base;
  const uint8_t *operands; /* of opcode 1, 2, … */
  const char *source;      /* the first file's name */
} Header;

static uint8_t take_byte(Reader *r) {
  if (r->at < r->end) return *r->at++;
  r->has_failed = true;
  return 0;
}

static uint64_t take_fixed(Reader *r, int bytes) {
  uint64_t number = 0;
  for (int i = 0; i < bytes; ++i) number |= (uint64_t)take_byte(r) << 8 * i;
  return number;
}

/* LEB128. */
static uint64_t take_number(Reader *r, bool is_signed) {
  uint64_t number = 0;
  unsigned shift = 0;
  uint8_t byte;
  do {
    byte = take_byte(r);
    if (shift < 64) number |= (uint64_t)(byte & 127) << shift;
    shift += 7;
  } while (byte & 128);
  if (is_signed && (byte & 64) && shift < 64) number |= UINT64_MAX << shift;
  return number;
}

/* Rows whose addresses go back are of another sequence: none of ours. */
static void emit_row(Reader *r, uint64_t address, uint64_t line) {
  if (r->lines && r->count > 0 && address < r->lines[r->count - 1].begin) r->has_failed = true;
  if (r->has_failed) return;
  if (r->lines) r->lines[r->count] = (JitLine){address, line <= INT32_MAX ? (int32_t)line : 0};
  r->count++;
}

/* False: the sequence ends. */
static bool run_extended(Reader *r, uint64_t *address) {
  uint64_t bytes = take_number(r, false);
  const uint8_t *at = r->at;
  if (bytes == 0 || bytes > (uint64_t)(r->end - at)) {
    r->has_failed = true;
    return false;
  }
  uint8_t opcode = take_byte(r);
  if (opcode == SET_ADDRESS && bytes == 1 + ADDRESS_BYTES)
    *address = jit_object_relocated(r->object, r->section, (size_t)(r->at - r->begin));
  r->at = at + bytes;
  return opcode != END_SEQUENCE;
}

/* One sequence of rows. */
static void run_sequence(Reader *r, const Header *header) {
  uint64_t address = 0, line = 1;
  const uint64_t skip = (uint64_t)(MOST_SPECIAL - header->opcode_base) / header->range;
  while (!r->has_failed) {
    uint8_t opcode = take_byte(r);
    if (opcode >= header->opcode_base) {
      unsigned special = opcode - header->opcode_base;
      address += special / header->range * header->step;
      line += (uint64_t)(header->line_base + (int)(special % header->range));
      emit_row(r, address, line);
      continue;
    }
    switch (opcode) {
    case EXTENDED:
      if (run_extended(r, &address)) break;
      emit_row(r, address, 0);
      return;
    case COPY: emit_row(r, address, line); break;
    case ADVANCE_PC: address += take_number(r, false) * header->step; break;
    case ADVANCE_LINE: line += take_number(r, true); break;
    case CONST_ADD_PC: address += skip * header->step; break;
    case FIXED_ADVANCE_PC: address += take_fixed(r, 2); break;
    default:
      for (int i = 0; i < header->operands[opcode - 1]; ++i) take_number(r, false);
    }
  }
}

/* To behind the next text that ends in 0; NULL: there is none. */
static const char *take_text(Reader *r) {
  const uint8_t *text = r->at, *end = memchr(text, 0, (size_t)(r->end - text));
  if (end == NULL) return NULL;
  r->at = end + 1;
  return (const char *)text;
}

/* Behind the operands: directories up to an empty one, then files. */
static const char *read_source(Reader *r, const Header *header) {
  const char *directory;
  r->at = header->operands + header->opcode_base - 1;
  do directory = take_text(r);
  while (directory != NULL && directory[0] != 0);
  return directory == NULL ? NULL : take_text(r);
}

/* Leaves the reader at the program of the first unit, and its end at the unit's. */
static bool read_header(Reader *r, Header *header) {
  if (r->end - r->at < FIRST_FIELDS) return false;
  uint64_t unit = take_fixed(r, 4);
  if (unit > (uint64_t)(r->end - r->at)) return false;
  r->end = r->at + unit;
  if (take_fixed(r, 2) != VERSION) return false;
  uint64_t length = take_fixed(r, 4);
  const uint8_t *at = r->at;
  if (r->has_failed || length > (uint64_t)(r->end - at)) return false;
  header->step = take_byte(r);
  take_byte(r); /* operations of a bundle */
  take_byte(r); /* whether rows are statements at first */
  header->line_base = (int8_t)take_byte(r);
  header->range = take_byte(r);
  header->opcode_base = take_byte(r);
  header->operands = r->at;
  if (r->has_failed || header->range == 0 || header->opcode_base <= FIXED_ADVANCE_PC) return false;
  if (header->opcode_base - 1 > r->end - r->at) return false;
  header->source = read_source(r, header);
  r->at = at + length;
  return header->source != NULL;
}

/* The first table of the object, at its program; false: there is none that can be read. */
static bool open_table(const JitObject *object, Reader *r, Header *header) {
  for (size_t i = 1; i < object->section_count; ++i) {
    JitSection section = jit_object_section(object, i);
    if (strcmp(section.name, ".debug_line") != 0 || !jit_section_has_bytes(&section)) continue;
    const uint8_t *begin = object->bytes + section.offset;
    *r = (Reader){.object = object, .section = i, .begin = begin, .at = begin, .end = begin + section.size};
    return read_header(r, header);
  }
  return false;
}

size_t jit_object_lines(const JitObject *object, JitLine *lines) {
  Reader r;
  Header header;
  if (!open_table(object, &r, &header)) return 0;
  r.lines = lines;
  while (!r.has_failed && r.at < r.end) run_sequence(&r, &header);
  return r.count;
}

const char *jit_object_line_source(const JitObject *object) {
  Reader r;
  Header header;
  return open_table(object, &r, &header) ? header.source : NULL;
}

int32_t jit_line_at(const JitLine *lines, size_t count, uint64_t at) {
  size_t low = 0, high = count; /* lines[low - 1].begin <= at < lines[high].begin */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (lines[middle].begin <= at) low = middle + 1;
    else high = middle;
  }
  return low > 0 ? lines[low - 1].line : 0;
}
