/* tiles.c: configuration, loads and stores of AMX tiles (SDM vol. 1, "Programming with Intel Advanced Matrix
 * Extensions"; vol. 2, LDTILECFG, STTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILESTORED).
 *
 * start_row, with which the CPU resumes a load after a fault, is always 0 here: a load that faults does so in the
 * handler. */
#include "tests/emulate/tiles.h"

#include <string.h>

/* TILECFG in memory (SDM vol. 1, "Memory Area Layout" of LDTILECFG). Palette 1: 8 tiles of 16 rows of 64 bytes (CPUID
 * leaf 1DH). */
enum {
  AT_PALETTE = 0,
  AT_START_ROW = 1,
  AT_RESERVED = 2,
  AT_ROW_BYTES = 16,
  AT_UNUSED_BYTES = 32,
  AT_ROWS = 48,
  AT_UNUSED_ROWS = 56
};

static uint8_t *memory_at(const EmulateState *state, const Decoded *code) {
  return (uint8_t *)(uintptr_t)decode_address(code, state); // NOLINT(performance-no-int-to-ptr)
}

static int configured_row_bytes(const uint8_t *config, int tile) {
  return config[AT_ROW_BYTES + 2 * tile] | config[AT_ROW_BYTES + 2 * tile + 1] << 8;
}

static bool is_zero(const uint8_t *bytes, int from, int to) {
  for (int i = from; i < to; i++)
    if (bytes[i] != 0) return false;
  return true;
}

/* The checks of LDTILECFG that end in #GP(0) (SDM vol. 2, LDTILECFG, operation). */
static bool is_valid_config(const uint8_t *config) {
  if (config[AT_PALETTE] == 0) return true;
  if (config[AT_PALETTE] != 1 || !is_zero(config, AT_RESERVED, AT_ROW_BYTES)) return false;
  if (!is_zero(config, AT_UNUSED_BYTES, AT_ROWS) || !is_zero(config, AT_UNUSED_ROWS, 64)) return false;
  for (int t = 0; t < EMULATE_TILES; t++) {
    int bytes = configured_row_bytes(config, t), rows = config[AT_ROWS + t];
    if (bytes > EMULATE_ROW_BYTES || rows > EMULATE_ROWS || (bytes == 0) != (rows == 0)) return false;
  }
  return true;
}

bool tile_shape(const EmulateTiles *tiles, int tile, TileShape *out) {
  *out = (TileShape){tiles->config[AT_ROWS + tile], configured_row_bytes(tiles->config, tile)};
  return tiles->config[AT_PALETTE] != 0 && out->rows != 0;
}

void tile_finish(EmulateTiles *tiles, int tile, TileShape shape) {
  for (int r = 0; r < EMULATE_ROWS; r++) {
    int kept = r < shape.rows ? shape.row_bytes : 0;
    memset(tiles->data[tile][r] + kept, 0, (size_t)(EMULATE_ROW_BYTES - kept));
  }
  tiles->config[AT_START_ROW] = 0;
}

bool tile_ldtilecfg(EmulateState *state, const Decoded *code) {
  uint8_t config[64];
  memcpy(config, memory_at(state, code), sizeof config);
  if (!is_valid_config(config)) return false;
  memset(state->tiles, 0, sizeof *state->tiles);
  if (config[AT_PALETTE] != 0) memcpy(state->tiles->config, config, sizeof config);
  return true;
}

bool tile_sttilecfg(EmulateState *state, const Decoded *code) {
  memcpy(memory_at(state, code), state->tiles->config, sizeof state->tiles->config);
  return true;
}

bool tile_tilerelease(EmulateState *state, const Decoded *code) {
  (void)code;
  memset(state->tiles, 0, sizeof *state->tiles);
  return true;
}

bool tile_tilezero(EmulateState *state, const Decoded *code) {
  TileShape shape;
  if (!tile_shape(state->tiles, code->reg, &shape)) return false;
  memset(state->tiles->data[code->reg], 0, sizeof state->tiles->data[code->reg]);
  tile_finish(state->tiles, code->reg, shape);
  return true;
}

/* Rows lie SIB's index << scale bytes apart; without an index they are all the same one. */
static uint8_t *row_at(const EmulateState *state, const Decoded *code, int row) {
  uint64_t stride = code->index == DECODE_NO_REGISTER ? 0 : state->gpr[code->index] << code->scale;
  uint64_t address = decode_address(code, state) + stride * (uint64_t)row;
  return (uint8_t *)(uintptr_t)address; // NOLINT(performance-no-int-to-ptr)
}

bool tile_tileloadd(EmulateState *state, const Decoded *code) {
  TileShape shape;
  if (!tile_shape(state->tiles, code->reg, &shape)) return false;
  for (int r = 0; r < shape.rows; r++)
    memcpy(state->tiles->data[code->reg][r], row_at(state, code, r), (size_t)shape.row_bytes);
  tile_finish(state->tiles, code->reg, shape);
  return true;
}

/* Differs in a hint to the caches only. */
bool tile_tileloaddt1(EmulateState *state, const Decoded *code) { return tile_tileloadd(state, code); }

bool tile_tilestored(EmulateState *state, const Decoded *code) {
  TileShape shape;
  if (!tile_shape(state->tiles, code->reg, &shape)) return false;
  for (int r = 0; r < shape.rows; r++)
    memcpy(row_at(state, code, r), state->tiles->data[code->reg][r], (size_t)shape.row_bytes);
  state->tiles->config[AT_START_ROW] = 0;
  return true;
}
