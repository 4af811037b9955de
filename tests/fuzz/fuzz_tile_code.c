/* fuzz_tile_code.c: random valid tile IR, interpreted and as code for this machine: they must agree. The input is a
 * seed. */
#include "tests/fuzz/random_code.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static kiln_engine *engine;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  kiln_engine_options options = {.size = sizeof options, .cache_dir = "", .cache_path = ""};
  KILN_ASSERT(kiln_engine_create(&options, &engine) == KILN_OK);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint64_t seed = 0;
  memcpy(&seed, data, size < sizeof seed ? size : sizeof seed);
  RandomTile tile = random_tile_make(seed, NULL, 0);
  Text why;
  text_init(&why, NULL);
  bool agrees = random_code_agrees(&tile, engine, NULL, &why);
  if (!agrees) fprintf(stderr, "%s", text_get(&why));
  KILN_ASSERT(agrees);
  text_release(&why);
  random_tile_release(&tile);
  return 0;
}
