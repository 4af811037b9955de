/* random_ops.h: random operations on values whose range is known, and the state that the whole generator shares. */
#ifndef KILN_TESTS_FUZZ_RANDOM_OPS_H
#define KILN_TESTS_FUZZ_RANDOM_OPS_H

#include "tests/fuzz/random_tile.h"

/* How well a value is known. */
typedef enum Exactness {
  EXACT_INTEGERS, /* whole numbers from lo to hi that the type holds: any order of additions is exact */
  EXACT_BITS,     /* from lo to hi; right as long as each operation rounds once */
  EXACT_NOT,      /* near the truth */
} Exactness;

typedef struct Known {
  Value *value;
  Exactness exactness;
  double lo, hi;
  bool is_partial; /* RxC at (i, j) with unspecified elements past the bounds */
} Known;

typedef struct Gen {
  uint64_t state;
  RandomTile *tile;
  Kernel *kernel;
  Builder b;
  const kiln_type *types; /* that arithmetic may have: bool, i4 and u4 are apart */
  size_t type_count;
  int rows, cols; /* the tile of a task's step: R x C */
  bool has_nibbles;
  Value *i, *j, *rows_left, *cols_left;
  VECTOR(Known) pool; /* values in scope */
  int depth;
} Gen;

uint64_t random_bits(uint64_t *state);
int random_below(Gen *g, int count);
static inline bool random_chance(Gen *g, int in) { return random_below(g, in) == 0; }
kiln_type random_type(Gen *g);

/* The whole numbers that the type holds, all of them between. */
void random_range(kiln_type type, double *lo, double *hi);
/* Adds a value to the pool; false, leaving it unused, where its range is more than the type holds. */
bool random_know(Gen *g, Value *value, Exactness exactness, double lo, double hi, bool is_partial);
/* Any of the pool that is accepted; NULL: none. */
typedef bool RandomFilter(const Gen *g, const Known *known);
const Known *random_pick(Gen *g, RandomFilter *filter);

Value *random_input(const Gen *g, size_t buffer);
/* One more operation or structure at the end of the block; it may come to nothing. */
void random_step(Gen *g);  /* random_tile.c */
void random_value(Gen *g); /* random_ops.c */

#endif
