/* Random tile IR gives the same results as machine code and in the interpreter, for each vector width this machine has.
 */
#include "tests/fuzz/random_code.h"
#include "tests/numeric/ladder.h"

#include <criterion/criterion.h>

/* The targets take turns. */
static void check_seeds(uint64_t first, uint64_t last, const kiln_type *types, size_t type_count) {
  int target_count;
  kiln_engine *engine = ladder_engine();
  const char *const *targets = ladder_targets(engine, &target_count);
  for (uint64_t seed = first; seed <= last; seed++) {
    RandomTile tile = random_tile_make(seed, types, type_count);
    Text why;
    text_init(&why, NULL);
    cr_expect(random_code_agrees(&tile, engine, targets[seed % (uint64_t)target_count], &why), "%s", text_get(&why));
    text_release(&why);
    random_tile_release(&tile);
  }
  kiln_engine_destroy(engine);
}

Test(tile_code, random_f32) { check_seeds(1, 40, (kiln_type[]){KILN_F32}, 1); }

Test(tile_code, random_of_all_types) { check_seeds(1000, 1080, NULL, 0); }
