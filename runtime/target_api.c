/* target_api.c: public questions about the rows of targets.def. */
#include "ir/target/target.h"
#include "kiln/kiln.h"

int32_t kiln_target_vector_bits(const char *target) {
  const Target *row = target != NULL ? target_find(target) : NULL;
  return row != NULL ? row->vector_bits : 0;
}
