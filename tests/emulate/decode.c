/* decode.c: VEX and EVEX instructions (Intel SDM vol. 2, "Intel AVX" and "Intel AVX-512 Encoding" of chapter 2, which
 * the sections named below belong to).
 *
 * The prefix gives map, pp, W and vector length; with the opcode they select rows of the table, of which the first
 * whose form agrees with ModRM is taken (ldtilecfg and tilerelease differ in ModRM.mod alone). Fields are inverted in
 * the encoding (R X B R' vvvv V') and stand the right way round here. */
#include "tests/emulate/decode.h"

#include <string.h>

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

typedef struct Reader {
  const uint8_t *code;
  size_t at, size;
  bool is_short; /* a byte was missing */
} Reader;

static uint8_t next_byte(Reader *r) {
  if (r->at >= r->size) {
    r->is_short = true;
    return 0;
  }
  return r->code[r->at++];
}

static int32_t next_dword(Reader *r) {
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) value |= (uint32_t)next_byte(r) << 8 * i;
  return (int32_t)value;
}

/* ---- prefixes ---------------------------------------------------------------------------------------------------- */

typedef struct Fields {
  Encoding encoding;
  uint8_t prefix, map, wide, length; /* length: L'L */
  uint8_t r, x, b, r_high, v;        /* r_high: R'; v: V'vvvv */
  uint8_t mask;
  bool broadcast, zeroing;
} Fields;

/* "The VEX Prefix": bytes C5, and C4 with the map. */
static bool read_vex(Reader *in, Fields *f, bool is_short) {
  uint8_t first = next_byte(in), second = is_short ? first : next_byte(in);
  f->encoding = ENCODING_VEX;
  f->r = !(first >> 7);
  f->x = is_short ? 0 : !(first >> 6 & 1);
  f->b = is_short ? 0 : !(first >> 5 & 1);
  f->map = is_short ? MAP_0F : first & 31;
  f->wide = is_short ? 0 : second >> 7;
  f->v = ~(second >> 3) & 15;
  f->length = second >> 2 & 1;
  f->prefix = second & 3;
  return true;
}

/* "Instruction Format and EVEX": P0, P1, P2. Bits that only APX or rounding on 256 bits give a meaning must be
 * as before those. */
static bool read_evex(Reader *in, Fields *f) {
  uint8_t p0 = next_byte(in), p1 = next_byte(in), p2 = next_byte(in);
  f->encoding = ENCODING_EVEX;
  f->r = !(p0 >> 7);
  f->x = !(p0 >> 6 & 1);
  f->b = !(p0 >> 5 & 1);
  f->r_high = !(p0 >> 4 & 1);
  f->map = p0 & 7;
  f->wide = p1 >> 7;
  f->v = (uint8_t)((~(p1 >> 3) & 15) | (!(p2 >> 3 & 1) << 4));
  f->prefix = p1 & 3;
  f->zeroing = p2 >> 7;
  f->length = p2 >> 5 & 3;
  f->broadcast = p2 >> 4 & 1;
  f->mask = p2 & 7;
  return (p0 & 8) == 0 && (p1 & 4) != 0;
}

static bool read_prefix(Reader *in, Fields *f) {
  switch (next_byte(in)) {
  case 0xC5: return read_vex(in, f, true);
  case 0xC4: return read_vex(in, f, false);
  case 0x62: return read_evex(in, f);
  default: return false;
  }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static bool is_encoded_so(const Instruction *row, const Fields *f, uint8_t opcode) {
  return row->opcode == opcode && row->encoding == f->encoding && (int)row->prefix == f->prefix &&
         (int)row->map == f->map && (row->wide == WIDE_WIG || (int)row->wide == f->wide);
}

/* Registers of tiles are 0 to 7, and an encoding that names others is #UD ("Intel AMX Instruction Exception Classes").
 */
static bool are_tiles_named(const Fields *f, bool uses_v) {
  return f->r == 0 && f->length == 0 && (uses_v ? f->v < 8 : f->v == 0);
}

/* A row of a tile for all of zmm. */
static bool is_row_named(const Fields *f) { return f->length == 2 && f->mask == 0 && f->b == 0 && f->x == 0; }

/* Rounding of the instruction's own: EVEX.b with a register as last source. */
static bool is_rounding(const Fields *f, uint8_t modrm) { return f->broadcast && modrm >> 6 == 3; }

static bool can_round(const Instruction *row) { return strcmp(row->feature, "avx512fp16") == 0; }

static bool is_masked(const Fields *f) { return f->mask != 0 || f->zeroing; }

static bool form_accepts(const Instruction *row, const Fields *f, uint8_t modrm) {
  bool is_memory = modrm >> 6 != 3;
  uint8_t reg = modrm >> 3 & 7, rm = modrm & 7;
  if (is_rounding(f, modrm) && !can_round(row)) return false;
  switch (row->form) {
  case FORM_PACKED3:
  case FORM_NARROW2: return true;
  case FORM_PACKED2: return f->v == 0;
  case FORM_MEMORY2:
  case FORM_BROADCAST: return f->v == 0 && is_memory;
  case FORM_COMPARE: return f->r == 0 && f->r_high == 0 && !f->zeroing;
  case FORM_SCALAR3:
  case FORM_SCALAR_UPDATE: return !(is_memory && f->broadcast);
  case FORM_SCALAR_GPR: return !is_masked(f) && (is_memory ? !f->broadcast : f->x == 0);
  case FORM_SCALAR_COMPARE: return f->r == 0 && f->r_high == 0 && !f->zeroing && !(is_memory && f->broadcast);
  case FORM_SCALAR_FLAGS: return f->v == 0 && !is_masked(f) && !(is_memory && f->broadcast);
  case FORM_TO_GPR: return f->v == 0 && f->r_high == 0 && !is_masked(f) && !(is_memory && f->broadcast);
  case FORM_SCALAR_LOAD: return f->v == 0 && is_memory && !f->broadcast;
  case FORM_SCALAR_STORE: return f->v == 0 && is_memory && !f->broadcast && !f->zeroing;
  case FORM_SCALAR_ZERO: return f->v == 0 && f->length == 0 && !is_masked(f) && !f->broadcast;
  case FORM_SCALAR_MOVE: return !is_memory && !f->broadcast;
  case FORM_WORD_LOAD:
  case FORM_WORD_STORE:
    return f->v == 0 && f->length == 0 && !is_masked(f) && !f->broadcast && (is_memory || f->x == 0);
  case FORM_CONFIG: return are_tiles_named(f, false) && is_memory && reg == 0;
  case FORM_NOTHING: return are_tiles_named(f, false) && modrm == 0xC0;
  case FORM_TILE: return are_tiles_named(f, false) && !is_memory && rm == 0;
  case FORM_TILE_MEMORY: return are_tiles_named(f, false) && is_memory && rm == 4;
  case FORM_TILE3: return are_tiles_named(f, true) && !is_memory && f->b == 0 && reg != rm && reg != f->v && rm != f->v;
  case FORM_ROW_GPR: return is_row_named(f) && !is_memory && f->v < 16;
  case FORM_ROW_IMMEDIATE: return is_row_named(f) && !is_memory && f->v == 0;
  }
  return false;
}

static const Instruction *find_row(const Fields *f, uint8_t opcode, uint8_t modrm) {
  for (int i = 0; i < instruction_count; i++)
    if (is_encoded_so(&instructions[i], f, opcode) && form_accepts(&instructions[i], f, modrm)) return &instructions[i];
  return NULL;
}

/* ---- operands ---------------------------------------------------------------------------------------------------- */

/* N of disp8*N: the bytes of memory that the instruction reads or writes ("Compressed Displacement (disp8*N) Support in
 * EVEX", tables of tuple types). */
static int32_t memory_bytes(const Decoded *d) {
  const Instruction *row = d->row;
  int widest = row->to > row->from ? row->to : row->from;
  if (d->is_broadcast) return row->from;
  switch (row->form) {
  case FORM_PACKED2: return d->vector_bytes / widest * row->from;
  case FORM_PACKED3:
  case FORM_NARROW2:
  case FORM_MEMORY2:
  case FORM_COMPARE: return d->vector_bytes;
  case FORM_BROADCAST:
  case FORM_SCALAR3:
  case FORM_SCALAR_UPDATE:
  case FORM_SCALAR_GPR:
  case FORM_SCALAR_COMPARE:
  case FORM_SCALAR_FLAGS:
  case FORM_SCALAR_LOAD:
  case FORM_SCALAR_MOVE:
  case FORM_SCALAR_ZERO:
  case FORM_SCALAR_STORE:
  case FORM_TO_GPR:
  case FORM_WORD_LOAD:
  case FORM_WORD_STORE: return row->from;
  case FORM_CONFIG:
  case FORM_NOTHING:
  case FORM_TILE:
  case FORM_TILE_MEMORY:
  case FORM_TILE3:
  case FORM_ROW_GPR:
  case FORM_ROW_IMMEDIATE: break;
  }
  return 1;
}

/* ModRM, SIB and displacement ("Addressing-Mode Encoding of ModR/M and SIB Bytes"). */
static void read_memory(Reader *in, Decoded *d, const Fields *f, uint8_t modrm) {
  uint8_t mod = modrm >> 6, rm = modrm & 7;
  d->base = (int8_t)(rm | f->b << 3);
  if (rm == 4) {
    uint8_t sib = next_byte(in), index = (uint8_t)((sib >> 3 & 7) | f->x << 3);
    d->scale = (int8_t)(sib >> 6);
    d->base = (int8_t)((sib & 7) | f->b << 3);
    if (index != 4) d->index = (int8_t)index;
    if (mod == 0 && (sib & 7) == 5) d->base = DECODE_NO_REGISTER;
  } else if (mod == 0 && rm == 5) {
    d->base = DECODE_RIP;
  }
  bool is_long = mod == 2 || d->base == DECODE_RIP || d->base == DECODE_NO_REGISTER;
  if (is_long) d->displacement = next_dword(in);
  else if (mod == 1) d->displacement = (int8_t)next_byte(in) * (f->encoding == ENCODING_EVEX ? memory_bytes(d) : 1);
}

/* Zeroing needs a mask and a register to zero; L'L = 3 is no length ("#UD Equations for EVEX"). */
static bool read_operands(Reader *in, Decoded *d, const Fields *f, uint8_t modrm) {
  d->is_memory = modrm >> 6 != 3;
  d->base = d->index = DECODE_NO_REGISTER;
  d->is_broadcast = d->is_memory && f->broadcast;
  d->mask = f->mask;
  d->is_zeroing = f->zeroing;
  d->is_wide = f->wide;
  d->reg = (uint8_t)((modrm >> 3 & 7) | f->r << 3 | f->r_high << 4);
  d->vvvv = f->v;
  d->rm = (uint8_t)((modrm & 7) | f->b << 3 | (f->encoding == ENCODING_EVEX ? f->x << 4 : 0));
  d->has_rounding = is_rounding(f, modrm);
  if (d->is_zeroing && d->mask == 0) return false;
  if (f->length == 3 && !d->has_rounding) return false;
  d->vector_bytes = (uint8_t)(d->has_rounding ? 64 : 16 << f->length);
  d->rounding = (Rounding)f->length;
  if (d->is_memory) read_memory(in, d, f, modrm);
  if (d->row->map == MAP_0F3A) d->imm = next_byte(in);
  return true;
}

DecodeResult decode(Decoded *out, const uint8_t *code, size_t size) {
  Reader in = {code, 0, size < DECODE_MAX_BYTES ? size : DECODE_MAX_BYTES, false};
  Fields f = {0};
  *out = (Decoded){0};
  bool has_prefix = read_prefix(&in, &f);
  if (in.is_short) return DECODE_SHORT;
  if (!has_prefix) return DECODE_UNKNOWN;
  uint8_t opcode = next_byte(&in), modrm = next_byte(&in);
  if (in.is_short) return DECODE_SHORT;
  out->row = find_row(&f, opcode, modrm);
  if (out->row == NULL || !read_operands(&in, out, &f, modrm)) return DECODE_UNKNOWN;
  if (in.is_short) return DECODE_SHORT;
  out->length = (uint8_t)in.at;
  return DECODE_FOUND;
}

bool decode_needs_avx512(const Decoded *code) { return code->row->encoding == ENCODING_EVEX; }

uint64_t decode_address(const Decoded *code, const EmulateState *state) {
  uint64_t address = (uint64_t)(int64_t)code->displacement;
  if (code->base == DECODE_RIP) address += state->rip + code->length;
  else if (code->base != DECODE_NO_REGISTER) address += state->gpr[code->base];
  if (code->index != DECODE_NO_REGISTER && code->row->form != FORM_TILE_MEMORY)
    address += state->gpr[code->index] << code->scale;
  return address;
}
