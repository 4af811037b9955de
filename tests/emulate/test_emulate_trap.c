/* test_emulate_trap.c: instructions that this CPU lacks, executed through the signal, with all registers that a frame
 * carries; the same ones traced where it has them; what becomes of instructions that nobody knows. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/emulate/assemble.h"
#include "tests/emulate/data.h"
#include "tests/emulate/native.h"

enum { INSTANCES = 6, MAX_LINE = 160, DATA_AT = 1024 };

#define TRAP_FLAG UINT64_C(0x100)

static void compare(const char *line, EmulateState *wanted, const EmulateState *got) {
  int vectors = wanted->has_avx512 ? 32 : 16;
  size_t bytes = wanted->has_avx512 ? 64 : 32;
  for (int v = 0; v < vectors; v++)
    cr_assert_eq(memcmp(wanted->vector[v], got->vector[v], bytes), 0, "%s: vector %d", line, v);
  wanted->gpr[4] = got->gpr[4]; /* rsp is the test's own */
  cr_assert_eq(memcmp(wanted->gpr, got->gpr, sizeof wanted->gpr), 0, "%s: general registers", line);
  cr_assert_eq(memcmp(wanted->mask, got->mask, sizeof wanted->mask), 0, "%s: masks", line);
  cr_assert_eq(wanted->rflags, got->rflags, "%s: flags %lx, not %lx", line, got->rflags, wanted->rflags);
}

/* Through the handler, and by emulate_step. */
static void run_both(Native *native, Random *random, const char *line, const uint8_t *code, size_t length,
                     bool is_traced) {
  Decoded decoded;
  EmulateState direct = data_state(random, native_has("avx512bw"));
  direct.rip = native_rip(native);
  direct.rflags |= is_traced ? TRAP_FLAG : 0;
  cr_assert_eq(decode(&decoded, code, length), DECODE_FOUND);
  if (!operands_point(&decoded, &direct, (uint64_t)(uintptr_t)native->data + DATA_AT, random)) return;
  EmulateState trapped = direct;
  uint8_t memory[NATIVE_DATA_BYTES], memory_after[NATIVE_DATA_BYTES];
  data_fill(random, memory, sizeof memory);
  memcpy(native->data, memory, sizeof memory);
  emulate_reset();
  native_run(native, &trapped, code, length);
  if (is_traced) emulate_trace_end();
  cr_assert_eq(emulate_count(decoded.row->name), 1, "%s: counted %lu times", line, emulate_count(decoded.row->name));
  memcpy(memory_after, native->data, sizeof memory);
  memcpy(native->data, memory, sizeof memory);
  cr_assert_eq(emulate_step(&direct, code, length), EMULATE_DONE);
  compare(line, &direct, &trapped);
  cr_assert_eq(memcmp(memory_after, native->data, sizeof memory), 0, "%s: memory", line);
}

static void test_row(Native *native, const Instruction *row, OperandKind kind, Random *random) {
  char text[INSTANCES * MAX_LINE] = "", lines[INSTANCES][MAX_LINE];
  Assembled code;
  for (int i = 0; i < INSTANCES; i++) {
    if (!operands_write(row, kind, random, lines[i], MAX_LINE)) return;
    strcat(strcat(text, lines[i]), "\n");
  }
  bool is_good = assemble(text, &code);
  cr_assert(is_good, "%s", code.error);
  const uint8_t *at = code.bytes;
  for (int i = 0; i < INSTANCES; at += code.lengths[i++])
    run_both(native, random, lines[i], at, code.lengths[i], native_has(row->feature));
  assemble_release(&code);
}

/* Says once for every feature that cannot be executed here at all. */
static void print_left_out(void) {
  for (int i = 0; i < instruction_count; i++) {
    const char *feature = instructions[i].feature, *why;
    bool is_told = emulate_can(feature, &why);
    for (int j = 0; j < i; j++) is_told |= strcmp(instructions[j].feature, feature) == 0;
    if (!is_told) printf("NOT EXERCISED: emulated %s: %s\n", feature, why);
  }
}

Test(emulate_trap, all_registers_pass_through_the_frame) {
  Native native;
  Random random = {21};
  print_left_out();
  if (!emulate_install()) return;
  cr_assert(native_create(&native, false));
  for (int i = 0; i < instruction_count; i++) {
    if (instructions[i].tile || !emulate_can(instructions[i].feature, NULL)) continue;
    for (int kind = 0; kind < OPERAND_KINDS; kind++) test_row(&native, &instructions[i], (OperandKind)kind, &random);
  }
  native_destroy(&native);
  emulate_remove();
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 3, TRAPS = 2000 };

static const char loop_text[] = "mov ecx, 2000\n"
                                "vpxor xmm0, xmm0, xmm0\n"
                                "vpcmpeqd xmm1, xmm1, xmm1\n"
                                ".byte 0xC4, 0xE2, 0x74, 0x50, 0xC1\n" /* vpdpbuud ymm0, ymm1, ymm1 */
                                "dec ecx\n"
                                ".byte 0x75, 0xF7\n" /* jnz to vpdpbuud */
                                "vmovd eax, xmm0\n"
                                "vzeroupper\n"
                                "ret\n";

static void *run_loop(void *code) {
  union {
    void *code;
    uint32_t (*run)(void);
  } entry = {code};
  return (void *)(uintptr_t)entry.run();
}

Test(emulate_trap, threads_do_not_meet) {
  Assembled code;
  Native page;
  pthread_t threads[THREADS];
  if (!emulate_install() || native_has("avxvnniint8")) return;
  bool is_good = assemble(loop_text, &code);
  cr_assert(is_good, "%s", code.error);
  cr_assert(native_create(&page, false));
  uint8_t *memory = native_load(&page, code.bytes, code.size);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run_loop, memory);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    cr_assert_eq((uint32_t)(uintptr_t)result, 4u * 255 * 255 * TRAPS);
  }
  cr_assert_eq(emulate_count("vpdpbuud"), THREADS * TRAPS);
  native_destroy(&page);
  assemble_release(&code);
}

/* ---- what is not emulated ---------------------------------------------------------------------------------------- */

static void run_one(const char *line) {
  Native native;
  Assembled code;
  Random random = {22};
  EmulateState state = data_state(&random, native_has("avx512bw"));
  bool is_good = assemble(line, &code);
  cr_assert(is_good && emulate_install() && native_create(&native, false));
  native_run(&native, &state, code.bytes, code.size);
}

Test(emulate_trap, unknown_instructions_crash_as_ever, .signal = SIGILL) { run_one("ud2"); }
Test(emulate_trap, invalid_instructions_crash_as_ever, .signal = SIGILL) { run_one("tdpbusd tmm1, tmm2, tmm3"); }

Test(emulate_trap, features_without_registers_or_rows_are_refused) {
  const char *why = NULL;
  cr_assert(!emulate_can("avx512vp2intersect", &why));
  cr_assert_not_null(why);
  static const uint8_t dot[] = {0x62, 0xF2, 0x6E, 0x48, 0x52, 0xCB}; /* vdpbf16ps zmm1, zmm2, zmm3 */
  EmulateState state = {.has_avx512 = false};
  cr_assert_eq(emulate_step(&state, dot, sizeof dot), EMULATE_NO_STATE);
  int length = 0;
  cr_assert_str_eq(emulate_name(dot, sizeof dot, &length), "vdpbf16ps");
  cr_assert_eq(length, 6);
  cr_assert_null(emulate_name(dot, 5, &length));
}
