/* random_graph.h: random valid graph text with numbers for its symbols, the same for the same seed everywhere.
 *
 * Sizes are small, so that the interpreter takes milliseconds. At most RANDOM_GRAPH_TENSORS inputs and as many results;
 * i32 inputs that are an index of `gather` or offsets of `grouped_matmul` are nothing else. */
#ifndef KILN_TESTS_FUZZ_RANDOM_GRAPH_H
#define KILN_TESTS_FUZZ_RANDOM_GRAPH_H

#include "ir/graph/graph.h"

enum { RANDOM_GRAPH_TENSORS = 16, RANDOM_GRAPH_SYMBOLS = 8 };

typedef enum RandomFlavour {
  RANDOM_ANY,  /* the whole language */
  RANDOM_GEMM, /* one product of two f32 inputs and element-wise math on it: what template gemm takes */
} RandomFlavour;

typedef struct RandomGraph {
  Text text;
  int64_t symbols[RANDOM_GRAPH_SYMBOLS]; /* in order of first appearance */
} RandomGraph;

RandomGraph random_graph_make(uint64_t seed, RandomFlavour flavour);
/* Decisions follow the bytes, one each, and after their end a fixed seed. */
RandomGraph random_graph_of_bytes(const uint8_t *bytes, size_t size, RandomFlavour flavour);
void random_graph_release(RandomGraph *random);

#endif
