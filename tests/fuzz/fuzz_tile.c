/* fuzz_tile.c: any bytes as tile IR: they give a module and located faults; what has none prints as text that is the
 * same module: its parse prints alike. */
#include "ir/tile/tile.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every fault has a position in the text. */
static void check_faults(const Diagnostics *faults, size_t size) {
  for (size_t i = 0; i < faults->list.count; i++) {
    Diagnostic fault = faults->list.items[i];
    KILN_ASSERT(fault.pos.line >= 1 && fault.pos.line <= size + 1);
    KILN_ASSERT(fault.pos.column >= 1 && fault.pos.column <= size + 1);
  }
}

static Module *parse(const char *text, size_t size, Diagnostics *faults) {
  Module *module = tile_parse(text, size, NULL, faults);
  KILN_ASSERT(module);
  if (faults->list.count == 0) {
    bool is_valid = tile_verify(module, faults) == KILN_OK;
    KILN_ASSERT(is_valid == (faults->list.count == 0));
  }
  check_faults(faults, size);
  return module;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Diagnostics faults;
  Text once, twice;
  diagnostics_init(&faults, NULL);
  text_init(&once, NULL);
  text_init(&twice, NULL);
  Module *module = parse((const char *)data, size, &faults);
  tile_print(module, &once);
  if (faults.list.count == 0) {
    Module *again = parse(text_get(&once), once.length, &faults);
    KILN_ASSERT(faults.list.count == 0);
    tile_print(again, &twice);
    KILN_ASSERT(once.length == twice.length && memcmp(text_get(&once), text_get(&twice), once.length) == 0);
    module_destroy(again);
  }
  module_destroy(module);
  text_release(&once);
  text_release(&twice);
  diagnostics_release(&faults);
  return 0;
}
