/* tiles_row.c: rows of tiles as vectors, converted on the way: AMX-AVX512 (Instruction Set Extensions reference,
 * TILEMOVROW, TCVTROWD2PS, TCVTROWPS2BF16H/L, TCVTROWPS2PHH/L).
 *
 * Conversions round to nearest even and do not consult MXCSR; those to bfloat16 treat denormals as VCVTNEPS2BF16 does,
 * those to binary16 keep them. Not said there and assumed here: a row or chunk that tiles do not have is #UD. */
#include <string.h>

#include "tests/emulate/floats.h"
#include "tests/emulate/half.h"
#include "tests/emulate/tiles.h"

typedef uint32_t Convert(uint32_t);

/* Row in bits 15:0 of the register, or 5:0 of the immediate; 64-byte chunk of the row above, of which tiles have one.
 */
static bool select_row(const EmulateState *state, const Decoded *code, int rows, int *row) {
  bool is_immediate = code->row->form == FORM_ROW_IMMEDIATE;
  uint32_t selector = is_immediate ? code->imm : (uint32_t)state->gpr[code->vvvv];
  int bits = is_immediate ? 6 : 16;
  *row = (int)(selector & ((1u << bits) - 1));
  return *row < rows && selector >> bits == 0;
}

/* Elements beyond the row's bytes are zero. */
static bool move_row(EmulateState *state, const Decoded *code, Convert *convert) {
  TileShape shape;
  int row;
  if (!tile_shape(state->tiles, code->rm, &shape) || !select_row(state, code, shape.rows, &row)) return false;
  uint8_t result[64] = {0};
  for (int i = 0; i < shape.row_bytes / 4; i++) {
    uint32_t value;
    memcpy(&value, state->tiles->data[code->rm][row] + 4 * i, sizeof value);
    value = convert(value);
    memcpy(result + 4 * i, &value, sizeof value);
  }
  memcpy(state->vector[code->reg], result, sizeof result);
  state->tiles->config[1] = 0; /* start_row */
  return true;
}

static uint32_t keep(uint32_t bits) { return bits; }
static uint32_t to_f32(uint32_t bits) { return float_bits((float)(int32_t)bits); }
static uint32_t to_bf16(uint32_t bits) { return float_to_bf16(bits); }
static uint32_t to_high_bf16(uint32_t bits) { return (uint32_t)float_to_bf16(bits) << 16; }

static uint32_t to_f16(uint32_t bits) {
  Lane lane = {.b = bits, .rounding = ROUND_NEAREST};
  return (uint32_t)lane_vcvtps2phx(&lane);
}
static uint32_t to_high_f16(uint32_t bits) { return to_f16(bits) << 16; }

bool tile_tilemovrow(EmulateState *s, const Decoded *code) { return move_row(s, code, keep); }
bool tile_tcvtrowd2ps(EmulateState *s, const Decoded *code) { return move_row(s, code, to_f32); }
bool tile_tcvtrowps2bf16h(EmulateState *s, const Decoded *code) { return move_row(s, code, to_high_bf16); }
bool tile_tcvtrowps2bf16l(EmulateState *s, const Decoded *code) { return move_row(s, code, to_bf16); }
bool tile_tcvtrowps2phh(EmulateState *s, const Decoded *code) { return move_row(s, code, to_high_f16); }
bool tile_tcvtrowps2phl(EmulateState *s, const Decoded *code) { return move_row(s, code, to_f16); }
