/* frame.h: the registers that a signal handler finds in its frame, and will resume with. */
#pragma once

#include "tests/emulate/emulate.h"

#include <ucontext.h>

/* What the registers were, to write back only what has changed. */
typedef struct Frame {
  ucontext_t *context;
  EmulateState before;
  bool has_config, has_data; /* TILECFG and TILEDATA are in the frame; else they are the caller's own */
} Frame;

/* Asks the CPU once for where components lie in frames, since CPUID is slow in a virtual machine. Before all else. */
void frame_init(void);

/* Whether frames on this CPU have the registers of AVX, and of AVX-512. */
bool frame_has_avx(void);
bool frame_has_avx512(void);

/* Reads the state of a frame. `tiles`: NULL, or those of the thread, brought up to date where the frame has them.
 * False: the frame has no extended registers at all. */
bool frame_read(Frame *frame, ucontext_t *context, EmulateTiles *tiles, EmulateState *state);

/* Writes back what differs. */
void frame_write(Frame *frame, const EmulateState *state);
