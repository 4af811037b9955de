/* emulate.h: executes matrix instructions that this CPU lacks, so that the machine code of any x86-64 target runs here.
 *
 * A CPU answers a VEX or EVEX instruction that it does not know with SIGILL, RIP at the instruction. The handler
 * installed here decodes it, executes it in plain C on the saved registers and on tiles of its own, and resumes behind
 * it. What the CPU can execute never comes here, so the same test runs natively where the CPU has the instruction.
 *
 * AMX on a CPU that has it, in a process that did not ask for permission (arch_prctl ARCH_REQ_XCOMP_PERM), raises
 * SIGILL as well and is emulated; ldtilecfg, sttilecfg and tilerelease are then executed by the CPU, and the handler
 * reads the configuration that they leave. Emulated tiles become zero when it differs from the last one seen: there
 * code must not count on ldtilecfg to zero them. With permission the tiles of the CPU are used, so that products it
 * lacks mix with its own. The handler runs on the stack of the interrupted code and takes up to 128 KiB of it.
 *
 * Assumes Linux on x86-64 and instructions as compilers emit them: no segment or address-size prefix, no registers
 * beyond those of AVX-512 (no APX). Needs a CPU with AVX, and for EVEX instructions one with the registers of AVX-512.
 * Does not raise floating-point exceptions or set their flags in MXCSR. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- in a process ------------------------------------------------------------------------------------------------ */

/* Installs the handler of SIGILL for all threads; false: this CPU has no AVX. An instruction that is not in
 * tests/emulate/instructions.def, or that the manual refuses with #UD or #GP, is written to stderr and goes to the
 * handler there was before: it crashes as it would have. Installing twice is the same as once. */
bool emulate_install(void);

/* Gives SIGILL back to the handler there was before. */
void emulate_remove(void);

/* Whether instructions of a feature (LLVM's name, as in ir/target/features.def) can be emulated here. Otherwise *why,
 * unless NULL, says why not, in a static string. */
bool emulate_can(const char *feature, const char **why);

/* How many instructions the handlers of all threads executed since the start or emulate_reset: those whose name matches
 * the pattern, as file names do ("tdp*", "tileload*", "*"). */
uint64_t emulate_count(const char *pattern);

/* All counts to 0; this thread's emulated tiles and their configuration as after tilerelease. */
void emulate_reset(void);

/* From here on this thread's instructions are traced one by one, and those in the table are emulated and counted even
 * where the CPU has them; emulate_trace_end stops that. Needs emulate_install. Slow: microseconds for every
 * instruction. */
void emulate_trace_begin(void);
void emulate_trace_end(void);

/* ---- one instruction --------------------------------------------------------------------------------------------- */

enum { EMULATE_TILES = 8, EMULATE_ROWS = 16, EMULATE_ROW_BYTES = 64 };

/* AMX: TILECFG in the 64 bytes that ldtilecfg reads (palette 0: not configured), and TILEDATA. */
typedef struct EmulateTiles {
  uint8_t config[64];
  uint8_t data[EMULATE_TILES][EMULATE_ROWS][EMULATE_ROW_BYTES];
} EmulateTiles;

/* The registers that instructions of the table read or write. */
typedef struct EmulateState {
  uint64_t gpr[16]; /* in the order of encodings: rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15 */
  uint64_t rip, rflags;
  uint64_t mask[8];
  uint8_t vector[32][64]; /* zmm0 ... zmm31 */
  uint32_t mxcsr;
  bool has_avx512; /* mask, and of vector what is beyond ymm15, exist */
  EmulateTiles *tiles;
} EmulateState;

typedef enum EmulateStatus {
  EMULATE_DONE,    /* executed; rip is behind the instruction */
  EMULATE_UNKNOWN, /* not in the table, or cut off; nothing has changed */
  EMULATE_INVALID, /* the manual says #UD or #GP; nothing has changed */
  EMULATE_NO_STATE /* needs registers of AVX-512 that this CPU does not have */
} EmulateStatus;

/* Executes the instruction at `code`, of which `size` bytes may be read, on the state: what the handler does for the
 * one at RIP. Memory operands are this process's memory; RIP-relative ones count from state->rip, not from `code`. */
EmulateStatus emulate_step(EmulateState *state, const uint8_t *code, size_t size);

/* The name of the instruction at `code` and its length in bytes; NULL: none of the table. */
const char *emulate_name(const uint8_t *code, size_t size, int *length);
