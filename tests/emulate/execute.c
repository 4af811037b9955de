/* execute.c: what all VECTOR rows share: reading elements of operands, masks, and writing the result.
 *
 * Memory is read element by element, and not where the mask leaves an element out, since the CPU suppresses the faults
 * of those (SDM vol. 2, section 2.7.8). Bits of the destination above the result become zero (vol. 1, section 14.1.1
 * for VEX; vol. 2, section 2.7.11 for EVEX). */
#include "tests/emulate/execute.h"

#include <string.h>

static uint64_t get_element(const uint8_t *from, int index, int bytes) {
  uint64_t value = 0;
  memcpy(&value, from + index * bytes, (size_t)bytes);
  return value;
}

/* Elements of the second source: a register, memory, or one element of memory for all. */
static uint64_t get_second(const EmulateState *state, const Decoded *code, int index) {
  int bytes = code->row->from;
  if (!code->is_memory) return get_element(state->vector[code->rm], index, bytes);
  const uint8_t *memory = (const uint8_t *)(uintptr_t)decode_address(code, state); // NOLINT(performance-no-int-to-ptr)
  bool is_one = code->is_broadcast || code->row->form == FORM_BROADCAST;
  return get_element(memory, is_one ? 0 : index, bytes);
}

/* How many elements the result has. */
static int count_lanes(const Decoded *code) {
  const Instruction *row = code->row;
  bool by_source = row->form == FORM_PACKED2 && row->from > row->to;
  return code->vector_bytes / (by_source ? row->from : row->to);
}

static Lane read_lane(const EmulateState *state, const Decoded *code, int index, int count) {
  const Instruction *row = code->row;
  const uint8_t *first = state->vector[code->vvvv];
  Lane lane = {
      .c = get_element(state->vector[code->reg], index, row->to), .rounding = code->rounding, .imm = code->imm};
  if (row->form == FORM_NARROW2) {
    int half = count / 2;
    lane.b = index < half ? get_second(state, code, index) : get_element(first, index - half, row->from);
  } else {
    lane.b = get_second(state, code, index);
    if (row->form == FORM_PACKED3) lane.a = get_element(first, index, row->from);
  }
  return lane;
}

static void execute_vector(EmulateState *state, const Decoded *code) {
  const Instruction *row = code->row;
  int count = count_lanes(code);
  uint64_t mask = code->mask ? state->mask[code->mask] : ~UINT64_C(0);
  uint8_t result[64] = {0};
  if (!code->is_zeroing) memcpy(result, state->vector[code->reg], (size_t)(count * row->to));
  for (int i = 0; i < count; i++) {
    if (!(mask >> i & 1)) continue;
    Lane lane = read_lane(state, code, i, count);
    uint64_t value = row->lane(&lane);
    memcpy(result + i * row->to, &value, row->to);
  }
  memcpy(state->vector[code->reg], result, sizeof result);
}

EmulateStatus execute(EmulateState *state, const Decoded *code) {
  if (decode_needs_avx512(code) && !state->has_avx512) return EMULATE_NO_STATE;
  if (code->row->tile) {
    if (!code->row->tile(state, code)) return EMULATE_INVALID;
  } else {
    execute_vector(state, code);
  }
  state->rip += code->length;
  return EMULATE_DONE;
}
