/* emulate.c: the handlers of signals, and what they have counted. */
#define _GNU_SOURCE // NOLINT: REG_RIP
#include "tests/emulate/emulate.h"

#include <fnmatch.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/emulate/execute.h"
#include "tests/emulate/frame.h"

enum { MAX_ROWS = 512 };

/* The trap flag of RFLAGS: SIGTRAP after every instruction (SDM vol. 3, "Single-Step Exception Condition"). */
#define TRAP_FLAG UINT64_C(0x100)

static struct sigaction previous_illegal, previous_trap; /* of SIGILL and SIGTRAP */
static bool is_installed;
static atomic_uint_fast64_t counts[MAX_ROWS]; /* by row of the table */
static _Thread_local EmulateTiles own_tiles;

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static void count(const Instruction *row) {
  atomic_fetch_add_explicit(&counts[row - instructions], 1, memory_order_relaxed);
}

uint64_t emulate_count(const char *pattern) {
  uint64_t sum = 0;
  for (int i = 0; i < instruction_count; i++)
    if (fnmatch(pattern, instructions[i].name, 0) == 0) sum += atomic_load(&counts[i]);
  return sum;
}

void emulate_reset(void) {
  for (int i = 0; i < instruction_count; i++) atomic_store(&counts[i], 0);
  memset(&own_tiles, 0, sizeof own_tiles);
}

/* ---- one instruction --------------------------------------------------------------------------------------------- */

EmulateStatus emulate_step(EmulateState *state, const uint8_t *code, size_t size) {
  Decoded decoded;
  if (decode(&decoded, code, size) != DECODE_FOUND) return EMULATE_UNKNOWN;
  return execute(state, &decoded);
}

const char *emulate_name(const uint8_t *code, size_t size, int *length) {
  Decoded decoded;
  if (decode(&decoded, code, size) != DECODE_FOUND) return NULL;
  *length = decoded.length;
  return decoded.row->name;
}

/* ---- handlers ---------------------------------------------------------------------------------------------------- */

/* Reads no page beyond the one of RIP unless the instruction goes on there. */
static DecodeResult decode_at(Decoded *out, uint64_t rip) {
  const uint8_t *code = (const uint8_t *)(uintptr_t)rip; // NOLINT(performance-no-int-to-ptr)
  DecodeResult result = decode(out, code, 4096 - (rip & 4095));
  return result == DECODE_SHORT ? decode(out, code, DECODE_MAX_BYTES) : result;
}

/* Executes the instruction of a frame and moves the frame behind it; false: it stays as it is. */
static EmulateStatus emulate_frame(ucontext_t *context) {
  Decoded code;
  Frame frame;
  EmulateState state;
  if (decode_at(&code, (uint64_t)context->uc_mcontext.gregs[REG_RIP]) != DECODE_FOUND) return EMULATE_UNKNOWN;
  if (!frame_read(&frame, context, code.row->tile ? &own_tiles : NULL, &state)) return EMULATE_NO_STATE;
  EmulateStatus status = execute(&state, &code);
  if (status != EMULATE_DONE) return status;
  frame_write(&frame, &state);
  count(code.row);
  return EMULATE_DONE;
}

static char hex_digit(unsigned value) { return "0123456789abcdef"[value & 15]; }

/* Only calls that a handler may make. */
static void report(const ucontext_t *context, EmulateStatus status) {
  static const char *const reasons[] = {"", "not in tests/emulate/instructions.def", "#UD or #GP by the manual",
                                        "needs registers that this CPU lacks"};
  char text[128] = "emulate: ";
  size_t length = strlen(text);
  const uint8_t *code = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP]; // NOLINT(performance-no-int-to-ptr)
  size_t in_page = 4096 - ((uintptr_t)code & 4095);
  for (size_t i = 0; i < in_page && i < 8; i++) {
    text[length++] = hex_digit(code[i] >> 4);
    text[length++] = hex_digit(code[i]);
    text[length++] = ' ';
  }
  const char *reason = reasons[status];
  memcpy(text + length, reason, strlen(reason));
  length += strlen(reason);
  text[length++] = '\n';
  if (write(STDERR_FILENO, text, length) < 0) return;
}

static void on_illegal(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  EmulateStatus status = emulate_frame(context);
  if (status == EMULATE_DONE) return;
  report(context, status);
  sigaction(SIGILL, &previous_illegal, NULL); /* the instruction runs again, and meets that */
}

/* Before the next instruction, which is executed here as long as it is in the table; the CPU executes others. */
static void on_trap(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  while (emulate_frame(context) == EMULATE_DONE) continue;
}

bool emulate_install(void) {
  frame_init();
  if (!frame_has_avx()) return false;
  if (is_installed) return true;
  struct sigaction illegal = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  is_installed = sigaction(SIGILL, &illegal, &previous_illegal) == 0 && sigaction(SIGTRAP, &trap, &previous_trap) == 0;
  return is_installed;
}

void emulate_remove(void) {
  if (!is_installed) return;
  sigaction(SIGILL, &previous_illegal, NULL);
  sigaction(SIGTRAP, &previous_trap, NULL);
  is_installed = false;
}

void emulate_trace_begin(void) {
  __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp" ::"i"(TRAP_FLAG)
                   : "memory", "cc");
}

void emulate_trace_end(void) {
  __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp" ::"i"(~TRAP_FLAG)
                   : "memory", "cc");
}

/* ---- what can be emulated ---------------------------------------------------------------------------------------- */

bool emulate_can(const char *feature, const char **why) {
  const char *reason = "tests/emulate/instructions.def has no instruction of it";
  bool is_known = false, needs_avx512 = false;
  for (int i = 0; i < instruction_count; i++) {
    if (strcmp(instructions[i].feature, feature) != 0) continue;
    is_known = true;
    needs_avx512 |= instructions[i].encoding == ENCODING_EVEX;
  }
  frame_init();
  bool can = is_known && frame_has_avx() && (!needs_avx512 || frame_has_avx512());
  if (is_known) reason = frame_has_avx() ? "this CPU lacks the registers of AVX-512" : "this CPU lacks AVX";
  if (why) *why = can ? NULL : reason;
  return can;
}
