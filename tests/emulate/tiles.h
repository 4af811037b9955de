/* tiles.h: the shape of tiles, as configured. */
#pragma once

#include "tests/emulate/decode.h"

typedef struct TileShape {
  int rows, row_bytes;
} TileShape;

/* The shape of a tile; false: it is not configured, so using it is #UD (SDM vol. 1, "Intel AMX Tile Configuration"). */
bool tile_shape(const EmulateTiles *tiles, int tile, TileShape *out);

/* What every instruction that writes a tile does last: bytes and rows beyond the shape become zero, and start_row too
 * (write_row_and_zero, zero_upper_rows, zero_tileconfig_start in the operation sections of SDM vol. 2). */
void tile_finish(EmulateTiles *tiles, int tile, TileShape shape);
