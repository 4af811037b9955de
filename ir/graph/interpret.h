/* interpret.h: what the files of the interpreter share: tensors of numbers with bounds, and one run. */
#ifndef KILN_IR_GRAPH_INTERPRET_H
#define KILN_IR_GRAPH_INTERPRET_H

#include "ir/graph/approx.h"
#include "ir/graph/build.h"

/* A node's value, row-major. */
typedef struct Tensor {
  double *values;
  double *bounds; /* NULL: all exact */
  int rank;
  int64_t dims[GRAPH_MAX_RANK];
  int64_t count;
} Tensor;

typedef struct Run {
  const kiln_graph *graph;
  const int64_t *symbols;
  const void *const *inputs;
  Tensor *tensors; /* by node */
  Diagnostics *faults;
  Allocator allocator;
  kiln_status status;
} Run;

/* Numbers from the run's allocator, uninitialised; NULL where there is no memory, which the run then knows. */
double *run_alloc(Run *run, int64_t count);
void run_release(Run *run, void *memory);
void run_fault(Run *run, const Node *node, const char *format, ...) PRINTF_LIKE(3, 4);

static inline const Tensor *run_operand(const Run *run, const Node *node, int index) {
  return &run->tensors[node->operands[index]];
}
static inline int64_t tensor_columns(const Tensor *tensor) { return tensor->rank ? tensor->dims[tensor->rank - 1] : 1; }
static inline Approx tensor_get(const Tensor *tensor, int64_t index) {
  return (Approx){tensor->values[index], tensor->bounds ? tensor->bounds[index] : 0};
}
/* Element `index` of operand `operand` as the node computes with it: literals and large integers rounded. */
Approx run_get(const Run *run, const Node *node, int operand, int64_t index);
/* Stores a computed element: rounded where the node is annotated. */
void run_store(const Node *node, const Arithmetic *arithmetic, Tensor *tensor, int64_t index, Approx value);

/* One interpreter a form; the tensor of node `number` has its shape and memory and is filled. */
typedef void InterpretForm(Run *run, int number);
InterpretForm interpret_MATMUL, interpret_GROUPED;                 /* interpret_product.c */
InterpretForm interpret_REDUCE, interpret_ROWWISE, interpret_MASK; /* interpret_rows.c */

#endif
