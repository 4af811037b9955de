/* test_emulate_native.c: the emulator against this CPU, for every instruction of the table that it has.
 *
 * Random registers, masks, lengths and addresses; random bits and special values in all registers and in memory. All
 * registers must be equal afterwards, bit for bit. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/emulate/assemble.h"
#include "tests/emulate/data.h"
#include "tests/emulate/native.h"
#include "tests/emulate/operands.h"

enum { INSTANCES = 24, MAX_LINE = 160, DATA_AT = 1024 };

/* ---- comparison -------------------------------------------------------------------------------------------------- */

static void compare(const char *line, const EmulateState *wanted, const EmulateState *got) {
  int vectors = wanted->has_avx512 ? 32 : 16, bytes = wanted->has_avx512 ? 64 : 32;
  for (int v = 0; v < vectors; v++)
    for (int i = 0; i < bytes; i += 4) {
      uint32_t cpu, emulator;
      memcpy(&cpu, wanted->vector[v] + i, 4);
      memcpy(&emulator, got->vector[v] + i, 4);
      cr_assert_eq(cpu, emulator, "%s: vector %d, dword %d: CPU %08x, emulator %08x", line, v, i / 4, cpu, emulator);
    }
  for (int i = 0; i < 8; i++)
    cr_assert_eq(wanted->mask[i], got->mask[i], "%s: k%d: CPU %016lx, emulator %016lx", line, i, wanted->mask[i],
                 got->mask[i]);
  for (int i = 0; i < 16; i++)
    cr_assert(i == 4 || wanted->gpr[i] == got->gpr[i], "%s: register %d: CPU %016lx, emulator %016lx", line, i,
              wanted->gpr[i], got->gpr[i]);
  cr_assert_eq(wanted->rflags, got->rflags, "%s: flags: CPU %lx, emulator %lx", line, wanted->rflags, got->rflags);
}

/* One instruction on both, memory included. */
static void run_both(Native *native, Random *random, const char *line, const uint8_t *code, size_t length) {
  Decoded decoded;
  cr_assert_eq(decode(&decoded, code, length), DECODE_FOUND, "%s: not decoded", line);
  cr_assert_eq(decoded.length, length, "%s: length %d, not %zu", line, decoded.length, length);
  EmulateState cpu = data_state(random, native_has("avx512bw"));
  cpu.rip = native_rip(native);
  uint64_t at = (uint64_t)(uintptr_t)native->data + DATA_AT + 8 * (uint64_t)random_below(random, 64);
  if (!operands_point(&decoded, &cpu, at, random)) return;
  EmulateState emulated = cpu;
  uint8_t memory[NATIVE_DATA_BYTES], memory_after[NATIVE_DATA_BYTES];
  data_fill(random, memory, sizeof memory);
  memcpy(native->data, memory, sizeof memory);
  native_run(native, &cpu, code, length);
  memcpy(memory_after, native->data, sizeof memory);
  memcpy(native->data, memory, sizeof memory);
  cr_assert_eq(emulate_step(&emulated, code, length), EMULATE_DONE, "%s", line);
  compare(line, &cpu, &emulated);
  cr_assert_eq(memcmp(memory_after, native->data, sizeof memory), 0, "%s: memory differs", line);
}

/* The instruction with a rounding mode of its own, or with exceptions suppressed: EVEX.b with registers only (SDM vol.
 * 2, "EVEX Encoding of Broadcast/Rounding/SAE Support"). */
static void run_rounded(Native *native, Random *random, const char *line, const uint8_t *code, size_t length) {
  uint8_t rounded[DECODE_MAX_BYTES];
  memcpy(rounded, code, length);
  rounded[3] = (uint8_t)((code[3] & 0x9F) | 0x10 | random_below(random, 4) << 5);
  run_both(native, random, line, rounded, length);
}

static bool can_be_rounded(const Instruction *row, OperandKind kind) {
  bool is_move = row->form == FORM_SCALAR_MOVE || row->form == FORM_WORD_LOAD || row->form == FORM_WORD_STORE;
  return kind == OPERAND_REGISTER && strcmp(row->feature, "avx512fp16") == 0 && !is_move;
}

/* ---- all vector rows --------------------------------------------------------------------------------------------- */

static void test_row(Native *native, const Instruction *row, OperandKind kind, Random *random) {
  static char text[INSTANCES * MAX_LINE], lines[INSTANCES][MAX_LINE];
  text[0] = '\0';
  for (int i = 0; i < INSTANCES; i++) {
    if (!operands_write(row, kind, random, lines[i], MAX_LINE)) return;
    strcat(strcat(text, lines[i]), "\n");
  }
  Assembled code;
  bool is_good = assemble(text, &code);
  cr_assert(is_good, "%s", code.error);
  const uint8_t *at = code.bytes;
  for (int i = 0; i < INSTANCES; at += code.lengths[i], i++)
    for (int round = 0; round < 8; round++) {
      run_both(native, random, lines[i], at, code.lengths[i]);
      if (can_be_rounded(row, kind)) run_rounded(native, random, lines[i], at, code.lengths[i]);
    }
  assemble_release(&code);
}

/* Says once for every feature of the table that only the emulator executes here. */
static void print_left_out(void) {
  for (int i = 0; i < instruction_count; i++) {
    const char *feature = instructions[i].feature;
    bool is_told = native_has(feature);
    for (int j = 0; j < i; j++) is_told |= strcmp(instructions[j].feature, feature) == 0;
    if (!is_told) printf("NOT EXERCISED: emulated %s against the CPU: this CPU has no %s\n", feature, feature);
  }
  if (native_has("avx512bf16") && !native_rounds("vdpbf16ps"))
    printf("NOT EXERCISED: emulated vdpbf16ps against the CPU: this CPU is not Intel's, whose manual gives its "
           "rounding\n");
}

Test(emulate_native, vector_instructions_agree_with_the_cpu) {
  Native native;
  Random random = {1};
  print_left_out();
  cr_assert(native_create(&native, false));
  for (int i = 0; i < instruction_count; i++) {
    const Instruction *row = &instructions[i];
    if (row->tile != NULL || !native_has(row->feature) || !native_rounds(row->name)) continue;
    for (int kind = 0; kind < OPERAND_KINDS; kind++) test_row(&native, row, (OperandKind)kind, &random);
  }
  native_destroy(&native);
}
