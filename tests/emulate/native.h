/* native.h: one instruction executed by the CPU, with all registers that the emulator knows. */
#pragma once

#include "tests/emulate/emulate.h"

enum { NATIVE_DATA_BYTES = 8192 };

/* Executable code around a place for an instruction, and memory for its operands within reach of RIP. */
typedef struct Native {
  uint8_t *pages;
  uint8_t *data; /* NATIVE_DATA_BYTES, readable and writable */
  size_t place;  /* of the instruction in pages */
  bool with_tiles;
} Native;

/* Whether this CPU and its kernel have a feature (LLVM's name). AMX needs permission beside: native_permit_amx. */
bool native_has(const char *feature);

/* Whether this CPU rounds an instruction as Intel's manual says. Only of vdpbf16ps another maker might think otherwise:
 * of its two sums, and of which NaN comes out. */
bool native_rounds(const char *name);

/* Asks the kernel for AMX in this process; false: it refuses. There is no way back. */
bool native_permit_amx(void);

/* with_tiles: the tiles of the state are loaded and stored too; it must configure all eight. */
bool native_create(Native *out, bool with_tiles);
void native_destroy(Native *native);

/* The address at which native_run executes. */
uint64_t native_rip(const Native *native);

/* Code instead of all that, for whoever calls it: where it lies, executable until native_destroy. */
uint8_t *native_load(Native *native, const uint8_t *code, size_t length);

/* Loads all registers but rsp from the state, executes `length` bytes of code, and stores them back. */
void native_run(Native *native, EmulateState *state, const uint8_t *code, size_t length);
