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

/* The lowest element of the second source. */
static void add_lowest(Line *line, int bytes) {
  if (line->kind == OPERAND_REGISTER) add_vector(line, bytes);
  else add_memory(line, line->row->from);
}

static void add_immediate(Line *line) {
  char text[16];
  if (line->row->map != MAP_0F3A) return;
  snprintf(text, sizeof text, ", %d", random_below(line->random, 256) & (line->row->form == FORM_PACKED2 ? 255 : 31));
  add(line, text);
}

static void add_mask_register(Line *line) {
  char text[32];
  snprintf(text, sizeof text, "k%d", random_below(line->random, 8));
  add(line, text);
  if (random_below(line->random, 2)) return;
  snprintf(text, sizeof text, " {k%d}", 1 + random_below(line->random, 7));
  add(line, text);
}

static const char *pick_sized_gpr(Random *random, int bytes) {
  static const char *const dwords[] = {"eax", "ecx", "edx", "ebx", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r15d"};
  return bytes == 8 ? pick_gpr(random) : dwords[random_below(random, sizeof dwords / sizeof *dwords)];
}

/* A general register of the element's size, at least a dword, or memory. */
static void add_gpr_or_memory(Line *line, int bytes) {
  if (line->kind == OPERAND_MEMORY) add_memory(line, bytes);
  else add(line, pick_sized_gpr(line->random, bytes));
}

/* ---- lines by form ----------------------------------------------------------------------------------------------- */

static void add_three(Line *line, int bytes, void second(Line *, int), int argument) {
  add_vector(line, bytes);
  add_mask(line);
  add(line, ", ");
  add_vector(line, bytes);
  add(line, ", ");
  second(line, argument);
}

static bool write_packed_form(Line *line, int bytes) {
  const Instruction *row = line->row;
  int widest = row->to > row->from ? row->to : row->from, count = bytes / widest;
  switch ((int)row->form) {
  case FORM_PACKED3:
  case FORM_NARROW2: add_three(line, bytes, add_second, bytes / row->from); break;
  case FORM_PACKED2:
    add_vector(line, count * row->to);
    add_mask(line);
    add(line, ", ");
    add_second(line, count);
    break;
  case FORM_COMPARE:
    add_mask_register(line);
    add(line, ", ");
    add_vector(line, bytes);
    add(line, ", ");
    add_second(line, bytes / row->from);
    break;
  default: /* MEMORY2, BROADCAST */
    add_vector(line, bytes);
    add(line, ", ");
    add_memory(line, row->form == FORM_BROADCAST ? row->from : bytes);
    return line->kind == OPERAND_MEMORY;
  }
  add_immediate(line);
  return true;
}

static bool write_scalar_form(Line *line) {
  const Instruction *row = line->row;
  switch ((int)row->form) {
  case FORM_SCALAR3:
  case FORM_SCALAR_UPDATE: add_three(line, 16, add_lowest, 16); break;
  case FORM_SCALAR_MOVE: add_three(line, 16, add_lowest, 16); return line->kind == OPERAND_REGISTER;
  case FORM_SCALAR_GPR:
    add_vector(line, 16);
    add(line, ", ");
    add_vector(line, 16);
    add(line, ", ");
    add_gpr_or_memory(line, row->from);
    break;
  case FORM_SCALAR_COMPARE:
    add_mask_register(line);
    add(line, ", ");
    add_vector(line, 16);
    add(line, ", ");
    add_lowest(line, 16);
    break;
  case FORM_SCALAR_ZERO: /* of memory LLVM's assembler knows other encodings */
    add_vector(line, 16);
    add(line, ", ");
    add_vector(line, 16);
    return line->kind == OPERAND_REGISTER;
  case FORM_SCALAR_FLAGS:
    add_vector(line, 16);
    add(line, ", ");
    add_lowest(line, 16);
    break;
  case FORM_TO_GPR:
    add(line, pick_sized_gpr(line->random, row->to));
    add(line, ", ");
    add_lowest(line, 16);
    break;
  case FORM_SCALAR_LOAD:
    add_vector(line, 16);
    add_mask(line);
    add(line, ", ");
    add_memory(line, row->from);
    return line->kind == OPERAND_MEMORY;
  case FORM_SCALAR_STORE:
    add_memory(line, row->from);
    if (random_below(line->random, 2)) add(line, " {k5}");
    add(line, ", ");
    add_vector(line, 16);
    return line->kind == OPERAND_MEMORY;
  case FORM_WORD_LOAD:
    add_vector(line, 16);
    add(line, ", ");
    add_gpr_or_memory(line, line->kind == OPERAND_MEMORY ? row->from : 4);
    break;
  default: /* WORD_STORE */
    add_gpr_or_memory(line, line->kind == OPERAND_MEMORY ? row->from : 4);
    add(line, ", ");
    add_vector(line, 16);
    break;
  }
  add_immediate(line);
  return true;
}

static bool is_scalar(Form form) { return form >= FORM_SCALAR3 && form <= FORM_WORD_STORE; }

static bool write_tile_form(Line *line) {
  char text[64];
  int first = random_below(line->random, 8), step = 1 + random_below(line->random, 3);
  switch ((int)line->row->form) {
  case FORM_CONFIG: add_address(line); return line->kind == OPERAND_MEMORY;
  case FORM_NOTHING: return line->kind == OPERAND_REGISTER;
  case FORM_TILE: snprintf(text, sizeof text, "tmm%d", first); break;
  case FORM_TILE3:
    snprintf(text, sizeof text, "tmm%d, tmm%d, tmm%d", first, (first + step) % 8, (first + 4) % 8);
    break;
  case FORM_ROW_GPR:
    snprintf(text, sizeof text, "zmm%d, tmm%d, %s", 4 * first + step, 7 - first, pick_sized_gpr(line->random, 4));
    break;
  case FORM_ROW_IMMEDIATE: snprintf(text, sizeof text, "zmm%d, tmm%d, %d", 4 * first, 7 - first, 5 * step); break;
  default: return false; /* TILE_MEMORY: tested with addresses of its own */
  }
  add(line, text);
  return line->kind == OPERAND_REGISTER;
}

bool operands_write(const Instruction *row, OperandKind kind, Random *random, char *line, size_t size) {
  bool is_evex = row->encoding == ENCODING_EVEX;
  bool is_packed = row->tile == NULL && !is_scalar(row->form);
  if (kind == OPERAND_BROADCAST && !(is_evex && is_packed && row->from > 1)) return false;
  snprintf(line, size, "%s%s ", row->tile ? "" : is_evex ? "{evex} " : "{vex} ", row->name);
  Line out = {line, size, row, kind, random};
  int bytes = 16 << random_below(random, is_evex ? 3 : 2);
  if (row->tile) return write_tile_form(&out);
  return is_packed ? write_packed_form(&out, bytes) : write_scalar_form(&out);
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
