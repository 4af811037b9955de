/* random_tile.h: random valid tile IR, with memory to run it on, the same for the same seed everywhere.
 *
 * A kernel @random computes on small integers, and each value's range is known while it is made, so sums are exact in
 * any order and generated code must give the interpreter's bits in buffers of role RANDOM_EXACT. What a function of
 * limited precision had a part in goes to buffers of role RANDOM_NEAR, where a relative error of 1e-5 and an absolute
 * one of 1e-6 is allowed. Tasks write different elements. The interpreter finds no fault in it. */
#ifndef KILN_TESTS_FUZZ_RANDOM_TILE_H
#define KILN_TESTS_FUZZ_RANDOM_TILE_H

#include "ir/tile/tile.h"

enum { RANDOM_SYMBOLS = 4, RANDOM_BUFFERS = 10 };

typedef enum RandomRole { RANDOM_INPUT, RANDOM_EXACT, RANDOM_NEAR } RandomRole;

typedef struct RandomBuffer {
  RandomRole role;
  const BufType *type;
  int64_t elements; /* with padding */
  double lo, hi;    /* RANDOM_INPUT: the integers it holds */
} RandomBuffer;

typedef struct RandomTile {
  Module *module; /* of one kernel */
  uint64_t seed;
  int64_t symbols[RANDOM_SYMBOLS];
  RandomBuffer buffers[RANDOM_BUFFERS];
  size_t buffer_count;
} RandomTile;

/* `types`: those that values may have, besides i32 and bool, which always occur; NULL: all. Free with
 * random_tile_release. */
RandomTile random_tile_make(uint64_t seed, const kiln_type *types, size_t type_count);
void random_tile_release(RandomTile *tile);

size_t random_tile_bytes(const RandomTile *tile, size_t buffer);
/* Inputs get their integers; all else a pattern (NaN in floats) that shows what was not written. */
void random_tile_fill(const RandomTile *tile, size_t buffer, void *memory);

#endif
