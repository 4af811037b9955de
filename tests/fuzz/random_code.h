/* random_code.h: random tile IR as machine code, compared with the interpreter. */
#ifndef KILN_TESTS_FUZZ_RANDOM_CODE_H
#define KILN_TESTS_FUZZ_RANDOM_CODE_H

#include "kiln/tile.h"
#include "tests/fuzz/random_tile.h"

/* Through the text, as a user would. Elements outside of the results must keep their pattern. `target` NULL: this
 * machine. False: `why` says what differs, with the text. */
bool random_code_agrees(const RandomTile *tile, kiln_engine *engine, const char *target, Text *why);

#endif
