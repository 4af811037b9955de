/* labels.h: how each value of a kernel is written: by a name, or in place where it is used. */
#ifndef KILN_IR_TILE_LABELS_H
#define KILN_IR_TILE_LABELS_H

#include "ir/tile/tile.h"

typedef struct Labels {
  Arena arena;
  const char **names; /* by value id, without %; NULL: written in place */
} Labels;

/* False when out of memory; tile_labels_release either way. */
bool tile_labels_init(Labels *labels, const Kernel *kernel);
void tile_labels_release(Labels *labels);

#endif
