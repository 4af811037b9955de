/* graph.h: building and printing a graph, the math a kernel computes. Part of kiln.h.
 *
 * A graph is typed tensors and plain math on them (docs/graph.md has the language; graph text and these calls are
 * equal). Values are small numbers owned by the graph. Building calls never fail at once: a fault makes the value
 * KILN_NO_VALUE or poison and is kept; kiln_graph_check reports all of them. One graph is built by one thread; once
 * checked it may be read by any. */
#ifndef KILN_GRAPH_H
#define KILN_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "kiln/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KILN_MAX_RANK = 4 };

typedef enum kiln_op {
#define GRAPH_OP(enumerator, spelling, form, min_operands, max_operands, meaning) KILN_OP_##enumerator,
#include "kiln/ops.def"
#undef GRAPH_OP
  KILN_OP_COUNT
} kiln_op;

typedef struct kiln_graph kiln_graph;
typedef int32_t kiln_value;
#define KILN_NO_VALUE INT32_C(-1)

/* A size or stride: a number, or a name (copied) of a symbol bound when the kernel runs. */
typedef struct kiln_dim {
  int64_t size;       /* where symbol is NULL */
  const char *symbol; /* an identifier, or NULL */
} kiln_dim;

/* A tensor's type. `strides` is in elements and counts only where has_strides; otherwise the tensor is row-major. */
typedef struct kiln_tensor {
  kiln_type type;
  int rank; /* 0 to KILN_MAX_RANK; 0 is a scalar */
  kiln_dim dims[KILN_MAX_RANK];
  bool has_strides;
  kiln_dim strides[KILN_MAX_RANK];
} kiln_tensor;

/* Creates an empty graph; `allocator` NULL means malloc and is copied. */
KILN_API kiln_status kiln_graph_create(const kiln_allocator *allocator, kiln_graph **graph);
/* Parses graph text of `length` bytes. A graph is returned even where the text is wrong, so that its faults can be read
 * with kiln_graph_check and kiln_graph_fault; only KILN_OUT_OF_MEMORY and KILN_INVALID_ARGUMENT return none. */
KILN_API kiln_status kiln_graph_parse(const char *text, size_t length, const kiln_allocator *allocator,
                                      kiln_graph **graph);
KILN_API void kiln_graph_destroy(kiln_graph *graph); /* NULL is allowed */

/* An input called `name`; `is_const` says that its contents never change, so it may be packed ahead (kiln_pack). */
KILN_API kiln_value kiln_graph_input(kiln_graph *graph, const char *name, const kiln_tensor *tensor, bool is_const);
KILN_API kiln_value kiln_graph_number(kiln_graph *graph, double number);
/* Applies any other operator or function to its operands. */
KILN_API kiln_value kiln_graph_apply(kiln_graph *graph, kiln_op op, const kiln_value *operands, size_t count);
/* Gives a value a name and, where `tensor` is not NULL, a type: values are rounded to it here. A rank of -1 leaves the
 * shape to be inferred; strides are for values that are returned. `name` NULL gives only the type. Gives the value
 * back. */
KILN_API kiln_value kiln_graph_name(kiln_graph *graph, kiln_value value, const char *name, const kiln_tensor *tensor);
/* Declares the results, once. */
KILN_API void kiln_graph_return(kiln_graph *graph, const kiln_value *values, size_t count);

/* KILN_OK, or KILN_SYNTAX or KILN_INVALID_GRAPH; kiln_graph_fault then tells why. The graph is frozen from then
 * on: building calls do nothing and give KILN_NO_VALUE. */
KILN_API kiln_status kiln_graph_check(kiln_graph *graph);

/* One fault of a graph or text: line and column from 1, or 0 where it was built by calls. The message lives as long as
 * the graph. */
typedef struct kiln_fault {
  uint32_t line, column;
  const char *message;
} kiln_fault;
KILN_API size_t kiln_graph_fault_count(const kiln_graph *graph);
KILN_API kiln_fault kiln_graph_fault(const kiln_graph *graph, size_t index); /* index below the count */

/* The canonical text of a checked graph: up to `capacity` bytes with a final NUL go to `text`; gives the length of the
 * whole without the NUL, as snprintf does. `text` may be NULL when capacity is 0. */
KILN_API size_t kiln_graph_print(const kiln_graph *graph, char *text, size_t capacity);

/* What a checked graph takes and gives. Names live as long as the graph. */
KILN_API size_t kiln_graph_input_count(const kiln_graph *graph);
KILN_API size_t kiln_graph_output_count(const kiln_graph *graph);
KILN_API size_t kiln_graph_symbol_count(const kiln_graph *graph);
KILN_API const char *kiln_graph_symbol_name(const kiln_graph *graph, size_t index);
typedef struct kiln_tensor_info {
  const char *name; /* "" for an output without one */
  kiln_tensor tensor;
  bool is_const;
} kiln_tensor_info;
KILN_API kiln_status kiln_graph_input_info(const kiln_graph *graph, size_t index, kiln_tensor_info *info);
KILN_API kiln_status kiln_graph_output_info(const kiln_graph *graph, size_t index, kiln_tensor_info *info);

/* The graph's first matrix product of two inputs (either may be transposed), for callers that compare Kiln with a BLAS.
 * KILN_NOT_FOUND where there is none. Sizes are for these symbols; leading axes multiply into `batch`. */
typedef struct kiln_product {
  size_t a, b; /* inputs */
  bool a_transposed, b_transposed;
  int64_t batch, m, n, k;
} kiln_product;
KILN_API kiln_status kiln_graph_product(const kiln_graph *graph, const int64_t *symbols, kiln_product *product);

/* Runs the graph in f64 with rounding where annotated, slowly: the definition of right. `inputs[i]` addresses element 0
 * of input i in its declared type and strides; `symbols` are values in the order of kiln_graph_symbol_name. For each
 * output, `values[o]` and `bounds[o]` (either array may be NULL) receive row-major f64: the result, and how far a
 * kernel that computes in f32 (f64 for f64, exactly for integer products) may lie from it. */
KILN_API kiln_status kiln_graph_interpret(const kiln_graph *graph, const int64_t *symbols, const void *const *inputs,
                                          double *const *values, double *const *bounds);

#ifdef __cplusplus
}
#endif
#endif
