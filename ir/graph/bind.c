/* bind.c: sizes, strides and spans once symbols are numbers, and what may be wrong with them.
 *
 * The same checks run when a graph is built, with `symbols` NULL: then they say what the numbers in it already tell and
 * skip what hangs on a symbol. */
#include "ir/graph/build.h"

/* Products and sums of sizes >= 0, which stop at INT64_MAX. */
static int64_t multiply(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static int64_t add(int64_t a, int64_t b) { return a > INT64_MAX - b ? INT64_MAX : a + b; }

/* With `symbols` NULL only numbers are known. */
static bool is_known(Dim dim, const int64_t *symbols) { return dim.symbol < 0 || symbols != NULL; }

static bool shape_is_known(const Node *node, const int64_t *symbols) {
  for (int i = 0; i < node->shape.rank; i++)
    if (!is_known(node->shape.dims[i], symbols) || (node->has_strides && !is_known(node->strides[i], symbols)))
      return false;
  return true;
}

int64_t node_count(const Node *node, const int64_t *symbols) {
  int64_t count = 1;
  bool is_empty = false;
  for (int i = 0; i < node->shape.rank; i++) {
    int64_t size = dim_value(node->shape.dims[i], symbols);
    if (size == 0) is_empty = true;
    count = multiply(count, size);
  }
  return is_empty ? 0 : count;
}

int64_t node_stride(const Node *node, int axis, const int64_t *symbols) {
  if (node->has_strides) return dim_value(node->strides[axis], symbols);
  int64_t stride = 1;
  for (int i = axis + 1; i < node->shape.rank; i++) stride = multiply(stride, dim_value(node->shape.dims[i], symbols));
  return stride;
}

int64_t node_span(const Node *node, const int64_t *symbols) {
  int64_t span = node_count(node, symbols);
  if (!node->has_strides || span == 0) return span;
  span = 1;
  for (int i = 0; i < node->shape.rank; i++)
    span = add(span, multiply(dim_value(node->shape.dims[i], symbols) - 1, dim_value(node->strides[i], symbols)));
  return span;
}

int64_t node_group(const kiln_graph *graph, const Node *node, int operand, const int64_t *symbols) {
  const Shape *whole = &node->shape, *scale = &graph_node(graph, node->operands[operand])->shape;
  if (scale->rank < 2) return 1;
  int64_t rows = dim_value(whole->dims[whole->rank - 2], symbols);
  int64_t groups = dim_value(scale->dims[scale->rank - 2], symbols);
  if (groups == 1 || groups == rows) return 1;
  return groups == 0 || rows % groups != 0 ? 0 : rows / groups;
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

static void report(Diagnostics *faults, const Node *node, const char *format, ...) PRINTF_LIKE(3, 4);
/* A fault at the node's position, where anybody wants it. */
static void report(Diagnostics *faults, const Node *node, const char *format, ...) {
  if (!faults) return;
  va_list args;
  va_start(args, format);
  diagnostics_vreport(faults, node->pos, format, args);
  va_end(args);
}

/* Two elements per byte: rows must start at bytes, and neighbours must share them. */
static bool check_nibbles(const kiln_graph *graph, const Node *node, const int64_t *symbols, Diagnostics *faults) {
  int last = node->shape.rank - 1;
  const char *why = NULL;
  Dim found = {0, -1};
  if (last < 0) {
    report(faults, node, "'%s' is %s, two per byte: it cannot be a scalar", node->name ? node->name : "a result",
           kiln_type_name(node->type));
    return false;
  }
  if (is_known(node->shape.dims[last], symbols) && dim_value(node->shape.dims[last], symbols) % 2 != 0)
    why = "its last size must be even", found = node->shape.dims[last];
  for (int i = 0; node->has_strides && i <= last; i++) {
    if (!is_known(node->strides[i], symbols)) continue;
    int64_t stride = dim_value(node->strides[i], symbols);
    if (i == last && stride != 1) why = "its last stride must be 1", found = node->strides[i];
    if (i != last && stride % 2 != 0) why = "its outer strides must be even", found = node->strides[i];
  }
  if (!why) return true;
  report(faults, node, "'%s' is %s, two per byte: %s, found %s", node->name ? node->name : "a result",
         kiln_type_name(node->type), why, graph_phrase_dim(graph, found).text);
  return false;
}

/* Each axis must step over all that the axes of smaller stride address. This refuses some interleavings that happen to
 * address nothing twice; nobody writes them. */
static bool addresses_twice(const Node *node, const int64_t *symbols) {
  int order[GRAPH_MAX_RANK], count = 0;
  for (int i = 0; i < node->shape.rank; i++) {
    int64_t size = dim_value(node->shape.dims[i], symbols);
    if (size == 0) return false;
    if (size == 1) continue;
    int at = count++;
    for (; at > 0 && dim_value(node->strides[order[at - 1]], symbols) > dim_value(node->strides[i], symbols); at--)
      order[at] = order[at - 1];
    order[at] = i;
  }
  int64_t span = 1;
  for (int i = 0; i < count; i++) {
    int64_t stride = dim_value(node->strides[order[i]], symbols);
    if (stride < span) return true;
    span = add(span, multiply(dim_value(node->shape.dims[order[i]], symbols) - 1, stride));
  }
  return false;
}

/* The value of a symbol, where a fault should say it. */
static void report_overlap(const kiln_graph *graph, const Node *node, const int64_t *symbols, Diagnostics *faults) {
  if (!faults) return;
  Shape sizes = node->shape, strides = node->shape;
  for (int i = 0; i < node->shape.rank; i++) {
    sizes.dims[i] = (Dim){dim_value(node->shape.dims[i], symbols), -1};
    strides.dims[i] = (Dim){dim_value(node->strides[i], symbols), -1};
  }
  report(faults, node, "'%s' of the sizes %s with the strides %s addresses elements twice",
         node->name ? node->name : "a result", graph_phrase_dims(graph, sizes.dims, sizes.rank).text,
         graph_phrase_dims(graph, strides.dims, strides.rank).text);
}

/* So that byte offsets fit int64_t and ptrdiff_t, and so does the sum over all nodes, which a workspace may be. */
static bool is_too_large(int64_t elements) { return elements > (int64_t)1 << 48; }

bool graph_check_view(const kiln_graph *graph, const Node *node, bool is_output, const int64_t *symbols,
                      Diagnostics *faults) {
  bool sound = type_bits(node->type) >= 8 || check_nibbles(graph, node, symbols, faults);
  if (!shape_is_known(node, symbols)) return sound;
  if (is_too_large(node_span(node, symbols)) || is_too_large(node_count(node, symbols))) {
    report(faults, node, "'%s' is larger than memory", node->name ? node->name : "a result");
    return false;
  }
  if (is_output && node->has_strides && addresses_twice(node, symbols)) {
    report_overlap(graph, node, symbols, faults);
    return false;
  }
  return sound;
}

/* ---- a whole binding --------------------------------------------------------------------------------------------- */

/* Whether each scale's groups divide the rows. */
static bool check_groups(const kiln_graph *graph, int number, const int64_t *symbols, Diagnostics *faults) {
  const Node *node = graph_node(graph, number);
  for (int i = 1; i < node->operand_count; i++) {
    const Shape *scale = &graph_node(graph, node->operands[i])->shape;
    if (scale->rank < 2 || node_group(graph, node, i, symbols) > 0) continue;
    if (faults)
      report(faults, node, "'%s' scales %lld rows in %lld groups: the groups must divide the rows",
             graph_phrase(graph, number).text, (long long)dim_value(node->shape.dims[node->shape.rank - 2], symbols),
             (long long)dim_value(scale->dims[scale->rank - 2], symbols));
    return false;
  }
  return true;
}

kiln_status graph_check_symbols(const kiln_graph *graph, const int64_t *symbols, Diagnostics *faults) {
  if (graph->checked && graph->symbols.count == 0) return KILN_OK; /* graph_check did all of it */
  bool sound = true;
  for (size_t i = 0; i < graph->symbols.count; i++) {
    if (symbols[i] >= 0 && symbols[i] <= GRAPH_MAX_SIZE) continue;
    if (faults)
      diagnostics_report(faults, (SourcePos){0, 0}, "the symbol '%s' is %lld: sizes and strides are 0 to %lld",
                         graph->symbols.items[i], (long long)symbols[i], (long long)GRAPH_MAX_SIZE);
    sound = false;
  }
  if (!sound) return KILN_INVALID_ARGUMENT;
  for (size_t i = 0; i < graph->inputs.count; i++)
    if (!graph_check_view(graph, graph_node(graph, graph->inputs.items[i]), false, symbols, faults)) sound = false;
  for (size_t i = 0; i < graph->outputs.count; i++)
    if (!graph_check_view(graph, graph_node(graph, graph->outputs.items[i]), true, symbols, faults)) sound = false;
  for (int i = 0; i < (int)graph->nodes.count; i++) {
    const Node *node = graph_node(graph, i);
    GraphForm form = graph_op_info(node->op)->form;
    if ((form == FORM_DEQUANT || form == FORM_QUANT) && !check_groups(graph, i, symbols, faults)) sound = false;
    if (!is_too_large(node_count(node, symbols))) continue;
    report(faults, node, "'%s' is larger than memory", faults ? graph_phrase(graph, i).text : "");
    sound = false;
  }
  return sound ? KILN_OK : KILN_INVALID_ARGUMENT;
}
