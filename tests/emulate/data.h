/* data.h: numbers that find mistakes in arithmetic. */
#pragma once

#include "tests/emulate/operands.h"

/* Fills memory, in dwords, with random bits, with special numbers of 16 or 32 bits, with floats of about one size,
 * whose sums cancel and round, with such around the least normal number, or with a mix of these. */
void data_fill(Random *random, void *memory, size_t bytes);

/* All registers but tiles, filled so; any rounding mode and treatment of denormals, floating-point exceptions masked.
 */
EmulateState data_state(Random *random, bool has_avx512);
