/* operands.c: see operands.h. */
#include "tests/emulate/operands.h"

#include <stdio.h>
#include <string.h>

uint64_t random_bits(Random *random) {
  uint64_t x = random->state += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64 */
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}

int random_below(Random *random, int below) { return (int)(random_bits(random) % (uint64_t)below); }

/* ---- parts of a line --------------------------------------------------------------------------------------------- */

typedef struct Line {
  char *text;
  size_t size;
  const Instruction *row;
  OperandKind kind;
  Random *random;
} Line;

static void add(Line *line, const char *text) { strncat(line->text, text, line->size - strlen(line->text) - 1); }

static void add_vector(Line *line, int bytes) {
  char text[32];
  const char *kind = bytes > 32 ? "zmm" : bytes > 16 ? "ymm" : "xmm";
  snprintf(text, sizeof text, "%s%d", kind, random_below(line->random, line->row->encoding == ENCODING_EVEX ? 32 : 16));
  add(line, text);
}

static void add_mask(Line *line) {
  char text[16];
  if (line->row->encoding != ENCODING_EVEX || random_below(line->random, 2) == 0) return;
  snprintf(text, sizeof text, " {k%d}", 1 + random_below(line->random, 7));
  add(line, text);
  if (random_below(line->random, 2)) add(line, " {z}");
}

static const char *pick_gpr(Random *random) {
  static const char *const names[15] = {"rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8",
                                        "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  return names[random_below(random, 15)];
}

/* Displacements of one byte, compressed or not, of four, and none; distances from RIP reach the data behind the code.
 */
static void add_address(Line *line) {
  static const int displacements[] = {0, 1, -8, 64, -128, 127, 128, 192, -1024, 2048, 8128, 70000};
  Random *random = line->random;
  char text[64], index[32] = "";
  const char *base = pick_gpr(random), *other = pick_gpr(random);
  int displacement = displacements[random_below(random, sizeof displacements / sizeof *displacements)];
  if (base != other) snprintf(index, sizeof index, "%s * %d", other, 1 << random_below(random, 4));
  switch (random_below(random, 4)) {
  case 0: snprintf(text, sizeof text, "[rip + %d]", 8192 + random_below(random, 64)); break;
  case 1: snprintf(text, sizeof text, "[%s + %d]", base, displacement); break;
  case 2: snprintf(text, sizeof text, "[%s*8 + %d]", other, displacement & ~7); break;
  default: snprintf(text, sizeof text, "[%s + %s + %d]", base, index[0] ? index : "0", displacement); break;
  }
  add(line, text);
}

static void add_memory(Line *line, int bytes) {
  static const char *const words[] = {"byte", "word", "dword", "qword", "xmmword", "ymmword", "zmmword"};
  int log = 0;
  while (1 << log < bytes) log++;
  add(line, words[log]);
  add(line, " ptr ");
  add_address(line);
}

/* The second source: `count` elements of row->from bytes. */
static void add_second(Line *line, int count) {
  char text[16];
  switch (line->kind) {
  case OPERAND_REGISTER: add_vector(line, count * line->row->from); break;
  case OPERAND_MEMORY: add_memory(line, count * line->row->from); break;
  case OPERAND_BROADCAST:
    add_memory(line, line->row->from);
    snprintf(text, sizeof text, "{1to%d}", count);
    add(line, text);
    break;
  case OPERAND_KINDS: break;
  }
}

/* ---- lines by form ----------------------------------------------------------------------------------------------- */

static bool write_vector_form(Line *line, int bytes) {
  const Instruction *row = line->row;
  int widest = row->to > row->from ? row->to : row->from, count = bytes / widest;
  switch (row->form) {
  case FORM_PACKED3:
  case FORM_NARROW2:
    add_vector(line, bytes);
    add_mask(line);
    add(line, ", ");
    add_vector(line, bytes);
    add(line, ", ");
    add_second(line, bytes / row->from);
    return true;
  case FORM_PACKED2:
    add_vector(line, count * row->to);
    add_mask(line);
    add(line, ", ");
    add_second(line, count);
    return true;
  case FORM_MEMORY2:
  case FORM_BROADCAST:
    if (line->kind != OPERAND_MEMORY) return false;
    add_vector(line, bytes);
    add(line, ", ");
    add_memory(line, row->form == FORM_BROADCAST ? row->from : bytes);
    return true;
  case FORM_CONFIG:
  case FORM_NOTHING:
  case FORM_TILE:
  case FORM_TILE_MEMORY:
  case FORM_TILE3: break;
  }
  return false;
}

static bool write_tile_form(Line *line) {
  char text[64];
  int first = random_below(line->random, 8), step = 1 + random_below(line->random, 3);
  switch (line->row->form) {
  case FORM_CONFIG: add_address(line); return line->kind == OPERAND_MEMORY;
  case FORM_NOTHING: return line->kind == OPERAND_REGISTER;
  case FORM_TILE: snprintf(text, sizeof text, "tmm%d", first); break;
  case FORM_TILE3:
    snprintf(text, sizeof text, "tmm%d, tmm%d, tmm%d", first, (first + step) % 8, (first + 4) % 8);
    break;
  case FORM_TILE_MEMORY:
  case FORM_PACKED3:
  case FORM_PACKED2:
  case FORM_NARROW2:
  case FORM_MEMORY2:
  case FORM_BROADCAST: return false;
  }
  add(line, text);
  return line->kind == OPERAND_REGISTER;
}

bool operands_write(const Instruction *row, OperandKind kind, Random *random, char *line, size_t size) {
  bool is_evex = row->encoding == ENCODING_EVEX;
  if (kind == OPERAND_BROADCAST && !is_evex) return false;
  snprintf(line, size, "%s%s ", row->tile ? "" : is_evex ? "{evex} " : "{vex} ", row->name);
  Line out = {line, size, row, kind, random};
  int bytes = 16 << random_below(random, is_evex ? 3 : 2);
  return row->tile ? write_tile_form(&out) : write_vector_form(&out, bytes);
}

bool operands_point(const Decoded *code, EmulateState *state, uint64_t at, Random *random) {
  if (!code->is_memory || code->base == DECODE_RIP) return true;
  at -= (uint64_t)(int64_t)code->displacement;
  if (code->index != DECODE_NO_REGISTER && code->base != DECODE_NO_REGISTER) {
    if (code->index == code->base) return false;
    state->gpr[code->index] = random_bits(random) % 4096;
    at -= state->gpr[code->index] << code->scale;
  } else if (code->index != DECODE_NO_REGISTER) {
    state->gpr[code->index] = at >> code->scale;
    return at >> code->scale << code->scale == at;
  }
  if (code->base != DECODE_NO_REGISTER) state->gpr[code->base] = at;
  return true;
}
