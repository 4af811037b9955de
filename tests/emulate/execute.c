/* execute.c: what all VECTOR rows share: reading elements of operands, masks, and writing the result.
 *
 * Memory is read element by element, and not where the mask leaves an element out, since the CPU suppresses the faults
 * of those (SDM vol. 2, "Masking Support in EVEX"). Bits of the destination above the result become zero
 * (DEST[MAXVL-1:VL] := 0 in the operation sections). */
#include "tests/emulate/execute.h"

#include <string.h>

static uint64_t get_element(const uint8_t *from, int index, int bytes) {
  uint64_t value = 0;
  memcpy(&value, from + index * bytes, (size_t)bytes);
  return value;
}

static uint8_t *memory_at(const EmulateState *state, const Decoded *code) {
  return (uint8_t *)(uintptr_t)decode_address(code, state); // NOLINT(performance-no-int-to-ptr)
}

/* Elements of the second source: a register, memory, or one element of memory for all. */
static uint64_t get_second(const EmulateState *state, const Decoded *code, int index) {
  int bytes = code->row->from;
  bool is_gpr = code->row->form == FORM_SCALAR_GPR || code->row->form == FORM_WORD_LOAD;
  if (!code->is_memory && is_gpr) return get_element((const uint8_t *)&state->gpr[code->rm], 0, bytes);
  if (!code->is_memory) return get_element(state->vector[code->rm], index, bytes);
  bool is_one = code->is_broadcast || code->row->form == FORM_BROADCAST;
  return get_element(memory_at(state, code), is_one ? 0 : index, bytes);
}

/* MXCSR.RC is in bits 14 and 13. */
static Rounding rounding_of(const EmulateState *state, const Decoded *code) {
  return code->has_rounding ? code->rounding : (Rounding)(state->mxcsr >> 13 & 3);
}

static Lane make_lane(const EmulateState *state, const Decoded *code) {
  return (Lane){.rounding = rounding_of(state, code),
                .mxcsr = state->mxcsr,
                .imm = code->imm,
                .to = code->row->to,
                .from = code->row->from};
}

static uint64_t mask_of(const EmulateState *state, const Decoded *code) {
  return code->mask ? state->mask[code->mask] : ~UINT64_C(0);
}

/* ---- packed ------------------------------------------------------------------------------------------------------ */

/* How many elements the result has. */
static int count_lanes(const Decoded *code) {
  const Instruction *row = code->row;
  bool by_source = row->form == FORM_PACKED2 && row->from > row->to;
  return code->vector_bytes / (by_source ? row->from : row->to);
}

static Lane read_lane(const EmulateState *state, const Decoded *code, int index, int count) {
  const Instruction *row = code->row;
  const uint8_t *first = state->vector[code->vvvv];
  Lane lane = make_lane(state, code);
  if (row->form == FORM_NARROW2) {
    int half = count / 2;
    lane.b = index < half ? get_second(state, code, index) : get_element(first, index - half, row->from);
    return lane;
  }
  lane.b = get_second(state, code, index);
  if (row->form == FORM_PACKED3 || row->form == FORM_COMPARE) lane.a = get_element(first, index, row->from);
  if (row->form == FORM_PACKED3) lane.c = get_element(state->vector[code->reg], index, row->to);
  return lane;
}

static void execute_packed(EmulateState *state, const Decoded *code) {
  const Instruction *row = code->row;
  int count = count_lanes(code);
  uint64_t mask = mask_of(state, code);
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

static void execute_compare(EmulateState *state, const Decoded *code, int count) {
  uint64_t mask = mask_of(state, code), result = 0;
  for (int i = 0; i < count; i++) {
    if (!(mask >> i & 1)) continue;
    Lane lane = read_lane(state, code, i, count);
    if (code->row->form == FORM_SCALAR_COMPARE) lane.a = get_element(state->vector[code->vvvv], 0, code->row->from);
    result |= code->row->lane(&lane) << i;
  }
  state->mask[code->reg] = result;
}

/* ---- scalar ------------------------------------------------------------------------------------------------------ */

/* The lowest element is computed; the rest of 128 bits comes from `rest`, NULL: zeros; what is above becomes zero. A
 * mask bit of 0 leaves the destination's lowest element or zeroes it. */
static void execute_scalar(EmulateState *state, const Decoded *code, const uint8_t *rest) {
  const Instruction *row = code->row;
  uint8_t result[64] = {0};
  uint64_t value = code->is_zeroing ? 0 : get_element(state->vector[code->reg], 0, row->to);
  if (rest) memcpy(result, rest, 16);
  if (mask_of(state, code) & 1) {
    Lane lane = make_lane(state, code);
    lane.c = get_element(state->vector[code->reg], 0, row->to);
    lane.a = get_element(state->vector[code->vvvv], 0, row->to);
    lane.b = get_second(state, code, 0);
    value = row->lane(&lane);
  }
  memcpy(result, &value, row->to);
  memcpy(state->vector[code->reg], result, sizeof result);
}

/* The value for a general register, memory or the flags, from the lowest elements. */
static uint64_t compute_one(const EmulateState *state, const Decoded *code, uint64_t c, uint64_t b) {
  Lane lane = make_lane(state, code);
  lane.c = c;
  lane.b = b;
  return code->row->lane(&lane);
}

/* Writes of 32 bits zero the upper half. */
static void store_scalar(EmulateState *state, const Decoded *code) {
  uint64_t low = get_element(state->vector[code->reg], 0, code->row->from);
  if (!(mask_of(state, code) & 1)) return;
  uint64_t value = compute_one(state, code, 0, low);
  if (code->is_memory) memcpy(memory_at(state, code), &value, code->row->to);
  else state->gpr[code->rm] = value;
}

/* OF, SF and AF become zero; ZF, PF and CF are the result. */
static void set_flags(EmulateState *state, const Decoded *code) {
  const uint64_t all = 0x8D5;
  uint64_t low = get_element(state->vector[code->reg], 0, code->row->from);
  state->rflags = (state->rflags & ~all) | compute_one(state, code, low, get_second(state, code, 0));
}

static void execute_vector(EmulateState *state, const Decoded *code) {
  switch (code->row->form) {
  case FORM_PACKED3:
  case FORM_PACKED2:
  case FORM_NARROW2:
  case FORM_MEMORY2:
  case FORM_BROADCAST: execute_packed(state, code); break;
  case FORM_COMPARE: execute_compare(state, code, count_lanes(code)); break;
  case FORM_SCALAR_COMPARE: execute_compare(state, code, 1); break;
  case FORM_SCALAR3:
  case FORM_SCALAR_GPR:
  case FORM_SCALAR_MOVE: execute_scalar(state, code, state->vector[code->vvvv]); break;
  case FORM_SCALAR_UPDATE: execute_scalar(state, code, state->vector[code->reg]); break;
  case FORM_SCALAR_LOAD:
  case FORM_SCALAR_ZERO:
  case FORM_WORD_LOAD: execute_scalar(state, code, NULL); break;
  case FORM_SCALAR_STORE:
  case FORM_WORD_STORE: store_scalar(state, code); break;
  case FORM_SCALAR_FLAGS: set_flags(state, code); break;
  case FORM_TO_GPR: state->gpr[code->reg] = compute_one(state, code, 0, get_second(state, code, 0)); break;
  case FORM_CONFIG:
  case FORM_NOTHING:
  case FORM_TILE:
  case FORM_TILE_MEMORY:
  case FORM_TILE3:
  case FORM_ROW_GPR:
  case FORM_ROW_IMMEDIATE: break;
  }
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
