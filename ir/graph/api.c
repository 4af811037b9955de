/* api.c: the kiln_graph_* calls, on top of the builder and the parser. */
#include <string.h>

#include "ir/graph/build.h"

/* What is built by calls has no place in a text. */
static const SourcePos nowhere = {0, 0};

static size_t length_of(const char *name) { return name ? strlen(name) : 0; }

static bool read_dim(kiln_graph *graph, const char *name, kiln_dim from, Dim *to) {
  *to = (Dim){from.size, -1};
  if (from.symbol) {
    to->symbol = graph_symbol(graph, nowhere, from.symbol, strlen(from.symbol));
    return to->symbol >= 0;
  }
  if (from.size >= 0 && from.size <= GRAPH_MAX_SIZE) return true;
  graph_fault(graph, nowhere, "'%.60s' has a size or stride of %lld: 0 to %lld are allowed", name, (long long)from.size,
              (long long)GRAPH_MAX_SIZE);
  return false;
}

/* Type and sizes of the caller's tensor; false after a fault. */
static bool read_tensor(kiln_graph *graph, const char *name, const kiln_tensor *tensor, TypeSpec *spec) {
  *spec = (TypeSpec){.type = tensor->type, .rank = tensor->rank, .has_strides = tensor->has_strides};
  if ((size_t)tensor->type >= KILN_TYPE_COUNT) {
    graph_fault(graph, nowhere, "'%.60s' has the type %d, which does not exist", name, (int)tensor->type);
    return false;
  }
  if (tensor->rank < -1 || tensor->rank > KILN_MAX_RANK) {
    graph_fault(graph, nowhere, "'%.60s' has %d axes: %d are the most", name, tensor->rank, KILN_MAX_RANK);
    return false;
  }
  for (int i = 0; i < tensor->rank; i++)
    if (!read_dim(graph, name, tensor->dims[i], &spec->dims[i])) return false;
  return true;
}

/* `rank` is that of the value, which a tensor may leave to be inferred. */
static bool read_strides(kiln_graph *graph, const char *name, const kiln_tensor *tensor, int rank, TypeSpec *spec) {
  spec->stride_count = tensor->has_strides ? rank : 0;
  for (int i = 0; i < spec->stride_count; i++)
    if (!read_dim(graph, name, tensor->strides[i], &spec->strides[i])) return false;
  return true;
}

/* The builder checks this too; here it keeps symbols of refused calls out of the graph. */
static bool can_build(const kiln_graph *graph) { return graph && !graph->examined && !arena_has_failed(&graph->arena); }

kiln_status kiln_graph_parse(const char *text, size_t length, const kiln_allocator *allocator, kiln_graph **graph) {
  if (!graph || (!text && length)) return KILN_INVALID_ARGUMENT;
  kiln_graph *parsed = graph_parse(text ? text : "", length, allocator);
  if (!parsed) return KILN_OUT_OF_MEMORY;
  if (arena_has_failed(&parsed->arena) || arena_has_failed(&parsed->faults.arena)) {
    kiln_graph_destroy(parsed);
    return KILN_OUT_OF_MEMORY;
  }
  *graph = parsed;
  return KILN_OK;
}

kiln_value kiln_graph_input(kiln_graph *graph, const char *name, const kiln_tensor *tensor, bool is_const) {
  if (!can_build(graph)) return KILN_NO_VALUE;
  TypeSpec spec;
  if (!tensor) graph_fault(graph, nowhere, "input '%.60s' has no tensor", name ? name : "");
  bool sound = tensor && read_tensor(graph, name ? name : "", tensor, &spec) &&
               read_strides(graph, name ? name : "", tensor, tensor->rank, &spec);
  return graph_add_input(graph, nowhere, name ? name : "", length_of(name), sound ? &spec : NULL, is_const);
}

kiln_value kiln_graph_number(kiln_graph *graph, double number) {
  return graph ? graph_add_number(graph, nowhere, number) : KILN_NO_VALUE;
}

kiln_value kiln_graph_apply(kiln_graph *graph, kiln_op op, const kiln_value *operands, size_t count) {
  if (!can_build(graph)) return KILN_NO_VALUE;
  if (operands || count == 0) return graph_add_apply(graph, nowhere, op, operands, count);
  graph_fault(graph, nowhere, "the operands are NULL");
  return graph_add_poison(graph, nowhere, NULL, 0);
}

kiln_value kiln_graph_name(kiln_graph *graph, kiln_value value, const char *name, const kiln_tensor *tensor) {
  if (!can_build(graph)) return value;
  TypeSpec spec;
  bool exists = value >= 0 && (size_t)value < graph->nodes.count;
  int rank = exists ? graph_node(graph, value)->shape.rank : 0;
  bool sound = tensor && read_tensor(graph, name ? name : "", tensor, &spec) &&
               read_strides(graph, name ? name : "", tensor, rank, &spec);
  if (exists && tensor && !sound) graph->nodes.items[value]->poison = true;
  graph_set_name(graph, nowhere, value, name, length_of(name), sound ? &spec : NULL);
  return value;
}

void kiln_graph_return(kiln_graph *graph, const kiln_value *values, size_t count) {
  if (can_build(graph)) graph_set_results(graph, nowhere, NULL, values, values ? count : 0);
}

kiln_status kiln_graph_check(kiln_graph *graph) { return graph ? graph_check(graph) : KILN_INVALID_ARGUMENT; }

size_t kiln_graph_fault_count(const kiln_graph *graph) { return graph->faults.list.count; }

kiln_fault kiln_graph_fault(const kiln_graph *graph, size_t index) {
  if (index >= graph->faults.list.count) return (kiln_fault){0, 0, ""};
  const Diagnostic *fault = &graph->faults.list.items[index];
  return (kiln_fault){fault->pos.line, fault->pos.column, fault->message};
}

size_t kiln_graph_print(const kiln_graph *graph, char *text, size_t capacity) {
  if (capacity) text[0] = 0;
  if (!graph || !graph->checked) return 0;
  Text whole;
  text_init(&whole, &graph->arena.allocator);
  graph_print(graph, false, &whole);
  size_t length = whole.length;
  if (capacity) {
    size_t kept = length < capacity ? length : capacity - 1;
    memcpy(text, text_get(&whole), kept);
    text[kept] = 0;
  }
  text_release(&whole);
  return length;
}

/* ---- what a graph takes and gives -------------------------------------------------------------------------------- */

size_t kiln_graph_input_count(const kiln_graph *graph) { return graph->inputs.count; }
size_t kiln_graph_output_count(const kiln_graph *graph) { return graph->outputs.count; }
size_t kiln_graph_symbol_count(const kiln_graph *graph) { return graph->symbols.count; }

const char *kiln_graph_symbol_name(const kiln_graph *graph, size_t index) {
  return index < graph->symbols.count ? graph->symbols.items[index] : "";
}

static kiln_dim write_dim(const kiln_graph *graph, Dim dim) {
  return (kiln_dim){dim.symbol < 0 ? dim.size : 0, dim.symbol < 0 ? NULL : graph->symbols.items[dim.symbol]};
}

/* Names point into the graph. */
static void describe(const kiln_graph *graph, int number, kiln_tensor_info *info) {
  const Node *node = graph_node(graph, number);
  *info = (kiln_tensor_info){.name = node->name ? node->name : "", .is_const = node->is_const};
  info->tensor.type = node->type;
  info->tensor.rank = node->shape.rank;
  info->tensor.has_strides = node->has_strides;
  for (int i = 0; i < node->shape.rank; i++) {
    info->tensor.dims[i] = write_dim(graph, node->shape.dims[i]);
    if (node->has_strides) info->tensor.strides[i] = write_dim(graph, node->strides[i]);
  }
}

kiln_status kiln_graph_input_info(const kiln_graph *graph, size_t index, kiln_tensor_info *info) {
  if (!graph || !info || index >= graph->inputs.count) return KILN_INVALID_ARGUMENT;
  describe(graph, graph->inputs.items[index], info);
  return KILN_OK;
}

kiln_status kiln_graph_output_info(const kiln_graph *graph, size_t index, kiln_tensor_info *info) {
  if (!graph || !info || index >= graph->outputs.count) return KILN_INVALID_ARGUMENT;
  describe(graph, graph->outputs.items[index], info);
  return KILN_OK;
}

kiln_status kiln_graph_interpret(const kiln_graph *graph, const int64_t *symbols, const void *const *inputs,
                                 double *const *values, double *const *bounds) {
  if (!graph || !graph->checked || (!inputs && graph->inputs.count) || (!symbols && graph->symbols.count))
    return KILN_INVALID_ARGUMENT;
  Arena arena;
  arena_init(&arena, &graph->arena.allocator);
  GraphResult *results = ARENA_ARRAY(&arena, GraphResult, graph->outputs.count);
  kiln_status status = results ? graph_interpret(graph, symbols, inputs, &arena, results, NULL) : KILN_OUT_OF_MEMORY;
  for (size_t i = 0; status == KILN_OK && i < graph->outputs.count; i++) {
    size_t bytes = (size_t)results[i].count * sizeof(double);
    if (bytes && values && values[i]) memcpy(values[i], results[i].values, bytes);
    if (bytes && bounds && bounds[i]) memcpy(bounds[i], results[i].bounds, bytes);
  }
  arena_release(&arena);
  return status;
}
