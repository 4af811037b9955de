/* fuzz_graph.c: any bytes as graph text: they give a graph and located faults; what has none prints as text that is the
 * same graph, and is interpreted with small symbols: bounds are never NaN or negative.
 *
 * Inputs are made of the text's own bytes, so that what fails is in the file that libFuzzer keeps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_WORK = 20000, MAX_RESULTS = 64 };

/* Every fault has a position in the text. */
static void check_faults(const kiln_graph *graph, size_t size) {
  for (size_t i = 0; i < graph->faults.list.count; i++) {
    Diagnostic fault = graph->faults.list.items[i];
    KILN_ASSERT(fault.pos.line >= 1 && fault.pos.line <= size + 1);
    KILN_ASSERT(fault.pos.column >= 1 && fault.pos.column <= size + 1);
  }
}

static void check_identity(const kiln_graph *graph) {
  for (int one_line = 0; one_line <= 1; one_line++) {
    Text once, twice;
    text_init(&once, NULL);
    text_init(&twice, NULL);
    graph_print(graph, one_line, &once);
    kiln_graph *again = graph_parse(text_get(&once), once.length, NULL);
    KILN_ASSERT(graph_check(again) == KILN_OK);
    graph_print(again, one_line, &twice);
    KILN_ASSERT(once.length == twice.length && memcmp(text_get(&once), text_get(&twice), once.length) == 0);
    kiln_graph_destroy(again);
    text_release(&once);
    text_release(&twice);
  }
}

/* Elements the interpreter would touch, times the longest axis for what products cost. */
static bool is_small(const kiln_graph *graph, const int64_t *symbols) {
  int64_t work = 0;
  for (int i = 0; i < (int)graph->nodes.count; i++) {
    const Node *node = graph_node(graph, i);
    int64_t count = node_count(node, symbols), span = node_span(node, symbols), longest = 1;
    if (count > MAX_WORK || span > MAX_WORK) return false;
    for (int j = 0; j < node->operand_count; j++) {
      const Node *operand = graph_node(graph, node->operands[j]);
      for (int axis = 0; axis < operand->shape.rank; axis++) {
        int64_t length = dim_value(operand->shape.dims[axis], symbols);
        if (length > longest) longest = length;
      }
    }
    work += count * longest;
    if (longest > MAX_WORK || work > MAX_WORK) return false;
  }
  return graph->outputs.count <= MAX_RESULTS;
}

static void check_results(const kiln_graph *graph, const GraphResult *results) {
  for (size_t i = 0; i < graph->outputs.count; i++)
    for (int64_t j = 0; j < results[i].count; j++) KILN_ASSERT(results[i].bounds[j] >= 0);
}

static void interpret(const kiln_graph *graph, const int64_t *symbols, const uint8_t *data, size_t size) {
  Arena arena;
  arena_init(&arena, NULL);
  GraphResult results[MAX_RESULTS];
  const void **inputs = arena_alloc(&arena, (graph->inputs.count + 1) * sizeof *inputs);
  for (size_t i = 0; i < graph->inputs.count; i++) {
    const Node *node = graph_node(graph, graph->inputs.items[i]);
    size_t bytes = type_bytes(node->type, (size_t)node_span(node, symbols));
    uint8_t *memory = malloc(bytes + 1); /* exactly as long: reads past it are found */
    for (size_t j = 0; j < bytes; j++) memory[j] = data[(i * 7 + j) % size];
    if (node->type == KILN_I32 && node->shape.rank == 1) memset(memory, 0, bytes); /* may be an index */
    inputs[i] = memory;
  }
  kiln_status status = graph_interpret(graph, symbols, inputs, &arena, results, NULL);
  KILN_ASSERT(status == KILN_OK || status == KILN_INVALID_ARGUMENT);
  if (status == KILN_OK) check_results(graph, results);
  for (size_t i = 0; i < graph->inputs.count; i++) free((void *)(uintptr_t)inputs[i]);
  arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  kiln_graph *graph = graph_parse((const char *)data, size, NULL);
  KILN_ASSERT(graph);
  kiln_status status = graph_check(graph);
  KILN_ASSERT((status == KILN_OK) == (graph->faults.list.count == 0));
  check_faults(graph, size);
  if (status == KILN_OK) {
    check_identity(graph);
    Text dot;
    text_init(&dot, NULL);
    graph_print_dot(graph, &dot);
    text_release(&dot);
    for (int round = 0; round < 3; round++) {
      int64_t symbols[GRAPH_MAX_SYMBOLS];
      for (int i = 0; i < GRAPH_MAX_SYMBOLS; i++)
        symbols[i] = round == 0 ? 0 : round == 1 ? 2 : 1 + (i * 5 + data[0]) % 4;
      if (graph_check_symbols(graph, symbols, NULL) == KILN_OK && is_small(graph, symbols))
        interpret(graph, symbols, data, size);
    }
  }
  kiln_graph_destroy(graph);
  return 0;
}
