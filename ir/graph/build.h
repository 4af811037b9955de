/* build.h: what the files of this folder share: one builder for parser and API, the operators' names, printing of
 * parts.
 *
 * Builders take any input: what is wrong becomes a fault and a poison node. After an arena failed or graph_check ran
 * they do nothing and give KILN_NO_VALUE. */
#ifndef KILN_IR_GRAPH_BUILD_H
#define KILN_IR_GRAPH_BUILD_H

#include "ir/graph/graph.h"

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* Levels of precedence, loosest first; a call or a name binds tightest. */
enum { LEVEL_COMPARE, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_POSTFIX, LEVEL_ATOM };
int graph_op_level(kiln_op op);
/* The binary operator of this spelling. */
bool graph_operator_find(const char *spelling, size_t length, kiln_op *op);
bool graph_is_function(const char *name, size_t length);
/* The function of this name that takes `operands`; false where none does, and the range of what they take. */
bool graph_function_find(const char *name, size_t length, int operands, kiln_op *op, int *least, int *most);
/* Functions, types, const, return, strides, inf and nan cannot name values or symbols. */
bool graph_is_reserved(const char *name, size_t length);
bool graph_is_identifier(const char *name, size_t length);

/* ---- building ---------------------------------------------------------------------------------------------------- */

/* A type as written: `f32`, `f32[m, 4]`, `f32[m, 4] strides [ld, 1]`. */
typedef struct TypeSpec {
  kiln_type type;
  int rank; /* -1: to be inferred */
  Dim dims[GRAPH_MAX_RANK];
  bool has_strides;
  int stride_count;
  Dim strides[GRAPH_MAX_RANK];
} TypeSpec;

void graph_fault(kiln_graph *graph, SourcePos pos, const char *format, ...) PRINTF_LIKE(3, 4);
/* The index of a symbol, made where new; -1 after a fault. */
int32_t graph_symbol(kiln_graph *graph, SourcePos pos, const char *name, size_t length);
/* The newest value of this name, or KILN_NO_VALUE. */
kiln_value graph_find(const kiln_graph *graph, const char *name, size_t length);

kiln_value graph_add_input(kiln_graph *graph, SourcePos pos, const char *name, size_t length, const TypeSpec *spec,
                           bool is_const);
kiln_value graph_add_number(kiln_graph *graph, SourcePos pos, double number);
kiln_value graph_add_apply(kiln_graph *graph, SourcePos pos, kiln_op op, const kiln_value *operands, size_t count);
/* A value of which nothing is known because a fault was reported; it uses these operands. */
kiln_value graph_add_poison(kiln_graph *graph, SourcePos pos, const kiln_value *operands, size_t count);
/* `name` NULL: only the type; `spec` NULL: only the name. */
void graph_set_name(kiln_graph *graph, SourcePos pos, kiln_value value, const char *name, size_t length,
                    const TypeSpec *spec);
/* `positions` of the values, or NULL: all at `pos`. */
void graph_set_results(kiln_graph *graph, SourcePos pos, const SourcePos *positions, const kiln_value *values,
                       size_t count);

/* Types and shapes of a new node from its operands; false after a fault. `verify_<FORM>` does it. */
bool graph_verify_node(kiln_graph *graph, Node *node, int number);
/* Reports what is wrong with a view: strides, whole bytes, size. With `symbols` NULL only what numbers tell. */
bool graph_check_view(const kiln_graph *graph, const Node *node, bool is_output, const int64_t *symbols,
                      Diagnostics *faults);

/* ---- printing of parts ------------------------------------------------------------------------------------------- */

/* A piece of a message: an expression or a type, cut where long. */
typedef struct Phrase {
  char text[96];
} Phrase;
Phrase graph_phrase(const kiln_graph *graph, int number);      /* `gelu(x @ w) + b` */
Phrase graph_phrase_type(const kiln_graph *graph, int number); /* `f32[m, 768]`, or of a literal its number */
Phrase graph_phrase_dim(const kiln_graph *graph, Dim dim);
Phrase graph_phrase_dims(const kiln_graph *graph, const Dim *dims, int rank); /* `[m, 768]` */

#endif
