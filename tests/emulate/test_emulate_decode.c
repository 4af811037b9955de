/* test_emulate_decode.c: every row of the table is found from its text in any form, nothing else is, and no byte is
 * read beyond the end. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulate/assemble.h"
#include "tests/emulate/operands.h"

enum { INSTANCES = 30, MAX_LINE = 160, MAX_LINES = 256 };

typedef struct Lines {
  char text[MAX_LINES * MAX_LINE];
  char line[MAX_LINES][MAX_LINE];
  int count;
  Assembled code;
} Lines;

static void add_line(Lines *lines, const char *text) {
  cr_assert_lt(lines->count, MAX_LINES);
  snprintf(lines->line[lines->count++], MAX_LINE, "%s", text);
  strcat(strcat(lines->text, text), "\n");
}

static void assemble_lines(Lines *lines) {
  bool is_good = assemble(lines->text, &lines->code);
  cr_assert(is_good, "%s in\n%s", lines->code.error, lines->text);
}

static void reset_lines(Lines *lines) {
  assemble_release(&lines->code);
  lines->count = 0;
  lines->text[0] = '\0';
}

/* Decodes from memory of just that size, so that ASan sees a byte too many. */
static DecodeResult decode_exactly(Decoded *out, const uint8_t *code, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  memcpy(copy, code, size);
  DecodeResult result = decode(out, size ? copy : copy + 1, size);
  free(copy);
  return result;
}

static void check_row(const Instruction *row, const char *line, const uint8_t *code, size_t length) {
  Decoded decoded;
  cr_assert_eq(decode_exactly(&decoded, code, length), DECODE_FOUND, "%s: not found", line);
  cr_assert_eq(decoded.row, row, "%s: found as %s", line, decoded.row->name);
  cr_assert_eq(decoded.length, length, "%s: %d bytes, not %zu", line, decoded.length, length);
  for (size_t size = 0; size < length; size++)
    cr_assert_eq(decode_exactly(&decoded, code, size), DECODE_SHORT, "%s: cut to %zu bytes", line, size);
}

static void check_lines(Lines *lines, const Instruction *row) {
  if (lines->count == 0) return;
  assemble_lines(lines);
  const uint8_t *at = lines->code.bytes;
  for (int i = 0; i < lines->count; at += lines->code.lengths[i++])
    check_row(row, lines->line[i], at, lines->code.lengths[i]);
  reset_lines(lines);
}

Test(emulate_decode, finds_every_row_in_every_form) {
  static Lines lines;
  Random random = {11};
  for (int i = 0; i < instruction_count; i++) {
    int found = 0;
    if (instructions[i].form == FORM_TILE_MEMORY) continue;
    for (int kind = 0; kind < OPERAND_KINDS; kind++) {
      char line[MAX_LINE];
      for (int n = 0; n < INSTANCES; n++)
        if (operands_write(&instructions[i], (OperandKind)kind, &random, line, sizeof line)) add_line(&lines, line);
      found += lines.count;
      check_lines(&lines, &instructions[i]);
    }
    cr_assert_gt(found, 0, "no text for %s", instructions[i].name);
  }
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static void check_address(const char *line, uint64_t wanted, int index, int scale) {
  Assembled code;
  Decoded decoded;
  EmulateState state = {.rip = 0x1000};
  for (uint64_t i = 0; i < 16; i++) state.gpr[i] = 0x10000 * (i + 1);
  bool is_good = assemble(line, &code);
  cr_assert(is_good, "%s", code.error);
  cr_assert_eq(decode(&decoded, code.bytes, code.size), DECODE_FOUND, "%s", line);
  uint64_t address = decode_address(&decoded, &state);
  cr_assert_eq(address, wanted, "%s: %lx, not %lx", line, address, wanted);
  cr_assert(index == decoded.index && (index < 0 || scale == decoded.scale), "%s: index %d, scale %d", line,
            decoded.index, decoded.scale);
  assemble_release(&code);
}

Test(emulate_decode, computes_addresses) {
  check_address("vdpbf16ps zmm1, zmm2, [rax]", 0x10000, -1, 0);
  check_address("vdpbf16ps zmm1, zmm2, [rax + 64]", 0x10040, -1, 0);
  check_address("vdpbf16ps zmm1, zmm2, [rsp - 8192]", 0x50000 - 8192, -1, 0);
  check_address("vdpbf16ps zmm1, zmm2, dword ptr [rbp + 4]{1to16}", 0x60004, -1, 0);
  check_address("vdpbf16ps zmm1, zmm2, dword ptr [r13 + 508]{1to16}", 0xE0000 + 508, -1, 0);
  check_address("vdpbf16ps xmm1, xmm2, [r12 + 4*r9 - 16]", 0xD0000 + 4 * 0xA0000 - 16, 9, 2);
  check_address("vdpbf16ps ymm1, ymm2, [8*rbp + 5]", 8 * 0x60000 + 5, 5, 3);
  check_address("vdpbf16ps ymm1, ymm2, [rip + 100]", 0x1000 + 10 + 100, -1, 0);
  check_address("vcmpph k1, zmm2, [rip + 100], 3", 0x1000 + 11 + 100, -1, 0);
  check_address("vcvtps2phx ymm1, [rax + 63]", 0x1003F, -1, 0);
  check_address("vcvtph2psx zmm1, [rax + 32]", 0x10020, -1, 0);
  check_address("vmovsh xmm1, [rax + 2]", 0x10002, -1, 0);
  check_address("{vex} vpdpbusd ymm1, ymm2, [rbx + r15 + 1]", 0x40000 + 0x100000 + 1, 15, 0);
  check_address("tileloadd tmm1, [rsi + 4*rdi + 3]", 0x70003, 7, 2);
  check_address("tilestored [r12 + r13], tmm1", 0xD0000, 13, 0);
  check_address("ldtilecfg [r13]", 0xE0000, -1, 0);
  check_address("sttilecfg [rsp + 16]", 0x50010, -1, 0);
}

/* ---- what is not in the table ------------------------------------------------------------------------------------ */

static const char others[] = "nop\n"
                             "ud2\n"
                             "vmovups zmm1, [rax]\n"
                             "vaddps zmm1, zmm2, zmm3\n"
                             "vfmadd231ps ymm1, ymm2, ymm3\n"
                             "vpmaddubsw ymm1, ymm2, ymm3\n"
                             "vpmaddwd zmm1, zmm2, zmm3\n"
                             "vcvtph2ps zmm1, ymm2\n"
                             "vcvtps2ph ymm1, zmm2, 0\n"
                             "vpmovzxwd zmm1, ymm2\n"
                             "vpbroadcastd zmm1, [rax]\n"
                             "vmovd xmm1, eax\n"
                             "kmovq k1, rax\n"
                             "movups xmm1, [rax]\n"
                             "lock add dword ptr [rax], 1\n";

Test(emulate_decode, finds_no_other_instruction) {
  static Lines lines;
  char copy[sizeof others], *rest = copy;
  memcpy(copy, others, sizeof copy);
  for (char *line; (line = strsep(&rest, "\n")) != NULL && *line;) add_line(&lines, line);
  assemble_lines(&lines);
  const uint8_t *at = lines.code.bytes;
  for (int i = 0; i < lines.count; at += lines.code.lengths[i++]) {
    Decoded decoded;
    cr_assert_eq(decode(&decoded, at, lines.code.lengths[i]), DECODE_UNKNOWN, "%s is %s", lines.line[i],
                 decoded.row ? decoded.row->name : "cut");
  }
  reset_lines(&lines);
}

/* Encodings that the manual refuses with #UD. */
Test(emulate_decode, refuses_invalid_encodings) {
  static const uint8_t codes[][7] = {
      {0xC4, 0xE2, 0x61, 0x5E, 0xC9},       /* tdpbusd tmm1, tmm1, tmm3 */
      {0xC4, 0xE2, 0x71, 0x5E, 0xCA},       /* tdpbusd tmm1, tmm2, tmm1 */
      {0xC4, 0xE2, 0x7B, 0x4B, 0x18},       /* tileloadd without SIB */
      {0xC4, 0xE2, 0x65, 0x5E, 0xCA},       /* tdpbusd with L = 1 */
      {0xC4, 0xE2, 0x21, 0x5E, 0xCA},       /* tdpbusd with tile 11 */
      {0x62, 0xF2, 0x6E, 0xC8, 0x52, 0xCB}, /* vdpbf16ps with {z} and no mask */
      {0x62, 0xF2, 0x6E, 0x68, 0x52, 0xCB}, /* L'L = 3 */
      {0x62, 0xF2, 0x6E, 0x58, 0x52, 0xCB}, /* rounding of what does not round */
      {0x62, 0xFA, 0x6E, 0x48, 0x52, 0xCB}, /* APX */
      {0x62, 0xF2, 0xEE, 0x48, 0x52, 0xCB}, /* W = 1 */
      {0x62, 0xF2, 0x76, 0x48, 0x72, 0xCA}, /* vcvtneps2bf16 with vvvv */
      {0xC4, 0xE2, 0x7E, 0xB0, 0xC8},       /* vcvtneebf162ps of a register */
  };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    Decoded decoded;
    cr_assert_eq(decode(&decoded, codes[i], sizeof codes[i]), DECODE_UNKNOWN, "code %zu is %s", i,
                 decoded.row ? decoded.row->name : "cut");
  }
}

/* ---- any bytes --------------------------------------------------------------------------------------------------- */

Test(emulate_decode, survives_any_bytes) {
  static const uint8_t prefixes[] = {0xC4, 0xC5, 0x62, 0x62};
  Random random = {12};
  EmulateTiles tiles = {.config = {0}};
  int found = 0;
  for (int i = 0; i < 300000; i++) {
    uint8_t code[DECODE_MAX_BYTES];
    for (int b = 0; b < DECODE_MAX_BYTES; b++) code[b] = (uint8_t)random_bits(&random);
    code[0] = prefixes[random_below(&random, 4)];
    if (random_below(&random, 2)) { /* near a row of the table */
      const Instruction *row = &instructions[random_below(&random, instruction_count)];
      code[1] = (uint8_t)((code[1] & (code[0] == 0x62 ? 0xF0 : 0xE0)) | row->map);
      code[2] = (uint8_t)((code[2] & 0x78) | (code[0] == 0x62 ? 4 : 0) | row->prefix);
      code[code[0] == 0x62 ? 4 : 3] = row->opcode;
    }
    Decoded decoded;
    size_t size = (size_t)random_below(&random, DECODE_MAX_BYTES + 1);
    if (decode_exactly(&decoded, code, size) != DECODE_FOUND) continue;
    found++;
    cr_assert(decoded.length <= size && decoded.length >= 5);
    if (decoded.is_memory) continue;
    EmulateState state = {.tiles = &tiles, .has_avx512 = true};
    EmulateStatus status = emulate_step(&state, code, size);
    cr_assert(status == EMULATE_DONE || (status == EMULATE_INVALID && decoded.row->tile));
  }
  cr_assert_gt(found, 5000);
}
