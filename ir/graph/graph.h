/* graph.h: the graph, what to compute: nodes in an arena, built by the C API or by the parser.
 *
 * Values are nodes, numbered from 0 in the order made, so an operand's number is always smaller than its user's.
 * Building never fails at once: a fault is recorded in `faults` with the position of the text (or none) and the node
 * becomes poison, so that all faults of one graph are reported together by graph_check. A checked graph is immutable
 * and may be read from any thread. */
#ifndef KILN_IR_GRAPH_H
#define KILN_IR_GRAPH_H

#include "ir/support/support.h"
#include "kiln/graph.h"

enum {
  GRAPH_MAX_RANK = KILN_MAX_RANK,
  GRAPH_MAX_OPERANDS = 3,
  GRAPH_MAX_NODES = 4096, /* so that whoever recurses over a graph or searches it linearly is safe */
  GRAPH_MAX_SYMBOLS = 256,
};
#define GRAPH_MAX_SIZE ((int64_t)1 << 40) /* of a dimension or stride */

/* How an operator is written and typed: one verify_<FORM> and one interpret_<FORM> each. */
/* clang-format off */
#define GRAPH_FORMS(FORM)                                                                                              \
  FORM(INPUT) FORM(NUMBER) FORM(MATMUL) FORM(TRANSPOSE) FORM(ARITHMETIC) FORM(COMPARE) FORM(SELECT) FORM(UNARY)        \
  FORM(FUNCTION) FORM(DEQUANT) FORM(QUANT) FORM(REDUCE) FORM(ROWWISE) FORM(MASK) FORM(GATHER) FORM(GROUPED)
/* clang-format on */
typedef enum GraphForm {
#define FORM(name) FORM_##name,
  GRAPH_FORMS(FORM)
#undef FORM
} GraphForm;

typedef struct GraphOpInfo {
  const char *spelling;
  GraphForm form;
  int min_operands, max_operands;
  const char *meaning;
} GraphOpInfo;

const GraphOpInfo *graph_op_info(kiln_op op);

/* A dimension or stride: a number, or a symbol bound when the kernel runs. */
typedef struct Dim {
  int64_t size;   /* when symbol < 0 */
  int32_t symbol; /* index into the graph's symbols, or -1 */
} Dim;

static inline bool dim_is_one(Dim d) { return d.symbol < 0 && d.size == 1; }
static inline bool dim_equal(Dim a, Dim b) { return a.symbol == b.symbol && (a.symbol >= 0 || a.size == b.size); }

typedef struct Shape {
  int rank;
  Dim dims[GRAPH_MAX_RANK];
} Shape;

typedef struct Node {
  kiln_op op;
  bool poison;         /* a fault was reported here or above; later faults that follow from it are not reported */
  const char *name;    /* NULL: written inline at its use */
  kiln_type type;      /* of the value; where annotated, values are rounded to it */
  kiln_type compute;   /* what operands are brought to: f64, f32 or i32; the operand's type where elements only move */
  bool annotated;      /* a type stands after the name */
  bool shape_declared; /* dimensions stand after the type */
  bool is_const;       /* input that may be packed ahead */
  bool has_strides;    /* declared; else row-major */
  Shape shape;
  Dim strides[GRAPH_MAX_RANK]; /* in elements; valid where has_strides */
  double number;               /* KILN_OP_NUMBER */
  int operand_count;
  int operands[GRAPH_MAX_OPERANDS];
  int use_count; /* uses as an operand or a result */
  SourcePos pos; /* of the name, or of the expression's first character */
} Node;

struct kiln_graph {
  Arena arena;
  VECTOR(Node *) nodes;
  VECTOR(const char *) symbols; /* in order of first appearance */
  VECTOR(int) inputs;           /* node numbers, in order of declaration */
  VECTOR(int) outputs;          /* node numbers, in order of return */
  Diagnostics faults;
  bool returned;  /* the results are declared */
  bool malformed; /* some text did not parse */
  bool full;      /* more than GRAPH_MAX_NODES values were asked for */
  bool examined;  /* graph_check ran: nothing changes any more */
  bool checked;   /* and found no fault */
  SourcePos end;  /* of the text */
};

static inline const Node *graph_node(const kiln_graph *graph, int number) { return graph->nodes.items[number]; }

/* A literal that takes the type of what it meets; its own `type` (f32) counts only where it meets nothing. */
static inline bool node_is_literal(const Node *node) { return node->op == KILN_OP_NUMBER && !node->annotated; }

/* The value of a NUMBER: rounded where it is annotated. */
static inline double node_number(const Node *node) {
  return node->annotated ? type_round(node->type, node->number) : node->number;
}

/* Text to graph. Any bytes give a graph with or without faults, NULL only where memory ran out; call graph_check before
 * use. Destroy with kiln_graph_destroy. */
kiln_graph *graph_parse(const char *text, size_t length, const Allocator *allocator);

/* The canonical text, whose parse is the same graph. Needs a checked graph. Each statement is a line, or all are one
 * line without its newline, separated by "; ", where `one_line`. Anonymous values that are used more than once,
 * annotated or nested too deep get a name that is free: t1, t2, … */
void graph_print(const kiln_graph *graph, bool one_line, Text *out);
/* Graphviz. */
void graph_print_dot(const kiln_graph *graph, Text *out);
/* `f32[m, 768]` of a node, as in the language; `f32[]` of a scalar. Strides are not shown. */
void graph_print_type(const kiln_graph *graph, const Node *node, Text *out);

/* KILN_OK, or KILN_SYNTAX / KILN_INVALID_GRAPH with graph->faults filled, or KILN_OUT_OF_MEMORY. Later calls give the
 * same answer at once. */
kiln_status graph_check(kiln_graph *graph);

/* ---- binding symbols --------------------------------------------------------------------------------------------- */

static inline int64_t dim_value(Dim d, const int64_t *symbols) { return d.symbol < 0 ? d.size : symbols[d.symbol]; }
/* Elements from the first to one past the last of a node's view, with its strides; 0 for an empty tensor, INT64_MAX
 * where that is too large. */
int64_t node_span(const Node *node, const int64_t *symbols);
/* Elements of a node's value; INT64_MAX where that is too large. */
int64_t node_count(const Node *node, const int64_t *symbols);
/* The stride of an axis in elements, row-major where none is declared. */
int64_t node_stride(const Node *node, int axis, const int64_t *symbols);
/* Rows that share one row of a quantised node's scale or zero (operand 1 or 2 of DEQUANT and QUANT): at least 1, and 0
 * where the number of groups does not divide the rows. */
int64_t node_group(const kiln_graph *graph, const Node *node, int operand, const int64_t *symbols);
/* Check a binding: sizes and strides in range, results that address no element twice, i4 and u4 rows of whole bytes,
 * tensors that fit the address space, quantisation groups that divide. Reports into `faults` (may be NULL); KILN_OK or
 * KILN_INVALID_ARGUMENT. Allocates nothing where all is well. */
kiln_status graph_check_symbols(const kiln_graph *graph, const int64_t *symbols, Diagnostics *faults);

/* ---- interpreter ------------------------------------------------------------------------------------------------- */

/* What the graph means, slowly and obviously, in f64 with rounding where annotated: the oracle of all tests. Beside
 * each value stands a bound on how far a kernel that computes in the compute type (f32, or f64 with its own rounding;
 * integer products exact) may be from it: |A||B| and k for products, the operands' bounds through each operation, a few
 * ulp per function, what rounding may make of it where annotated. Comparisons that the bound leaves open widen it to
 * the difference of the arms. ir/graph/approx.h says what a kernel is allowed. */
typedef struct GraphResult {
  double *values; /* row-major, shape of the output */
  double *bounds; /* same shape, >= 0; infinity where anything may come out */
  int64_t count;
} GraphResult;

/* `inputs[i]` addresses element 0 of input i in its declared type and strides. `results` has one entry an output; its
 * arrays live in `arena`. Returns KILN_OUT_OF_MEMORY or KILN_INVALID_ARGUMENT (bad symbols, gather index or offsets out
 * of range; reported in `faults`, which may be NULL). */
kiln_status graph_interpret(const kiln_graph *graph, const int64_t *symbols, const void *const *inputs, Arena *arena,
                            GraphResult *results, Diagnostics *faults);

/* Whether a right kernel may give `got`: within the bound of the value, the same infinity, NaN for NaN; anything where
 * the bound is infinite. An unannotated result is compared as it is, not rounded to its type. */
bool graph_accepts(double value, double bound, double got);

#endif
