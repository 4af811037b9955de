/* data.c: operands for a graph: generated, packed, run, compared with the interpreter.
 *
 * The same seed gives the same data on every machine: a generator of ours, no library's. Results start as bytes of
 * 0xff, which is NaN in every float, so an element that the kernel forgets shows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "tools/command.h"

/* A linear congruential generator (Knuth's MMIX) whose high bits are mixed once more: its low bits repeat early. */
uint32_t data_random(uint64_t *state) {
  *state = *state * 6364136223846793005U + 1442695040888963407U;
  uint64_t x = *state ^ (*state >> 33);
  return (uint32_t)((x * 0xff51afd7ed558ccdU) >> 32);
}

/* Zeroed, so that the gaps between strided rows are defined. */
static void *allocate(size_t bytes) {
  void *memory = bench_allocate(bytes);
  if (memory != NULL) memset(memory, 0, bytes);
  return memory;
}

/* What an input's values must be beyond their type: rows to gather, or ends of groups; else 0. */
static int64_t index_limit(const Session *session, int number, bool *ascending) {
  const kiln_graph *graph = session->graph;
  for (size_t i = 0; i < graph->nodes.count; ++i) {
    const Node *node = graph->nodes.items[i];
    *ascending = node->op == KILN_OP_GROUPED_MATMUL;
    if ((node->op == KILN_OP_GATHER && node->operands[1] == number) || (*ascending && node->operands[2] == number))
      return dim_value(graph_node(graph, node->operands[0])->shape.dims[0], session->symbols);
  }
  return 0;
}

/* Exact: so small that sums of products of thousands stay whole numbers below 2^24. Random: the range of a narrow
 * integer, and -1 to 1 of a float, where rounding shows most. */
static double draw(kiln_type type, bool exact, uint64_t *state) {
  uint32_t r = data_random(state);
  if (type == KILN_BOOL) return r >> 31;
  if (exact) return type_class(type) == CLASS_UNSIGNED ? r % 4 : (double)(r % 5) - 2;
  switch ((int)type) {
  case KILN_I32: return (double)(r % 201) - 100;
  case KILN_I8: return (double)(r % 256) - 128;
  case KILN_U8: return r % 256;
  case KILN_I4: return (double)(r % 16) - 8;
  case KILN_U4: return r % 16;
  default: return (double)r / 2147483648.0 - 1;
  }
}

/* Fills all memory from the first element to the last, gaps included. */
static void fill_input(const Session *session, const Command *command, int number, void *memory, int64_t span,
                       uint64_t *state) {
  const Node *node = graph_node(session->graph, number);
  bool ascending = false, exact = command->options.fill != NULL && strcmp(command->options.fill, "exact") == 0;
  int64_t limit = index_limit(session, number, &ascending);
  for (int64_t i = 0; i < span; ++i) {
    double value = draw(node->type, exact, state);
    int64_t end = (i + 1) * limit / span;
    if (ascending) value = (double)end;
    else if (limit > 0) value = (double)(data_random(state) % (uint64_t)limit);
    type_store(node->type, memory, (size_t)i, value);
  }
}

/* On a fault, too, the caller destroys the data. */
int data_create(const Session *session, const Command *command, Data *data) {
  const kiln_graph *graph = session->graph;
  const char *fill = command->options.fill;
  *data = (Data){.input_count = graph->inputs.count, .output_count = graph->outputs.count};
  if (fill != NULL && strcmp(fill, "exact") != 0 && strcmp(fill, "random") != 0)
    return complain("--fill is '%s', expected exact or random", fill);
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  kiln_status status = graph_check_symbols(graph, session->symbols, &faults);
  if (status != KILN_OK)
    complain("%s", faults.list.count > 0 ? faults.list.items[0].message : kiln_status_text(status));
  diagnostics_release(&faults);
  if (status != KILN_OK) return EXIT_USAGE;
  data->inputs = calloc(data->input_count + 1, sizeof(void *));
  data->packed = calloc(data->input_count + 1, sizeof(void *));
  data->outputs = calloc(data->output_count + 1, sizeof(void *));
  bool good = data->inputs != NULL && data->packed != NULL && data->outputs != NULL;
  uint64_t state = command->options.seed >= 0 ? (uint64_t)command->options.seed : 1;
  for (size_t i = 0; good && i < data->input_count; ++i) {
    const Node *node = graph_node(graph, graph->inputs.items[i]);
    int64_t span = node_span(node, session->symbols);
    data->inputs[i] = data->packed[i] = allocate(type_bytes(node->type, (size_t)span));
    good = data->inputs[i] != NULL;
    if (good) fill_input(session, command, graph->inputs.items[i], data->inputs[i], span, &state);
  }
  for (size_t i = 0; good && i < data->output_count; ++i) {
    const Node *node = graph_node(graph, graph->outputs.items[i]);
    size_t bytes = type_bytes(node->type, (size_t)node_span(node, session->symbols));
    good = (data->outputs[i] = allocate(bytes)) != NULL;
    if (good) memset(data->outputs[i], 0xff, bytes);
  }
  return good ? EXIT_GOOD : complain_status("operands", KILN_OUT_OF_MEMORY, NULL);
}

/* Blobs take the places of what they pack in `packed`; `inputs` stays for the interpreter. */
int data_pack(const Session *session, const kiln_kernel *kernel, Data *data) {
  for (size_t i = 0; i < data->input_count; ++i) {
    if (!kiln_kernel_is_packed(kernel, i)) continue;
    size_t bytes;
    kiln_status status = kiln_packed_bytes(kernel, i, session->symbols, &bytes);
    if (status == KILN_OK && (data->packed[i] = allocate(bytes)) == NULL) status = KILN_OUT_OF_MEMORY;
    if (status == KILN_OK) status = kiln_pack(kernel, i, session->symbols, data->inputs[i], data->packed[i], bytes);
    if (status != KILN_OK) return complain_status("packing", status, NULL);
  }
  return EXIT_GOOD;
}

void data_destroy(Data *data) {
  for (size_t i = 0; i < data->input_count && data->inputs != NULL && data->packed != NULL; ++i) {
    if (data->packed[i] != data->inputs[i]) free(data->packed[i]);
    free(data->inputs[i]);
  }
  for (size_t i = 0; i < data->output_count && data->outputs != NULL; ++i) free(data->outputs[i]);
  free(data->inputs);
  free(data->packed);
  free(data->outputs);
}

/* Offset in elements of row-major element `index` in a node's strided memory. */
static size_t element_offset(const Node *node, const int64_t *symbols, int64_t index) {
  int64_t offset = 0;
  for (int axis = node->shape.rank - 1; axis >= 0; --axis) {
    int64_t size = dim_value(node->shape.dims[axis], symbols);
    offset += index % size * node_stride(node, axis, symbols);
    index /= size;
  }
  return (size_t)offset;
}

/* `worst` is the largest share of its bound that an error had so far; infinite once one exceeded it. Where the bound is
 * infinite (an overflow, say) anything goes. */
static void compare_output(const Session *session, const Node *node, const void *output, const GraphResult *result,
                           double *worst, Comparison *comparison) {
  for (int64_t i = 0; i < result->count; ++i) {
    double got = type_load(node->type, output, element_offset(node, session->symbols, i));
    double want = result->values[i], bound = result->bounds[i];
    bool same = got == want || (isnan(got) && isnan(want));
    double error = same ? 0 : fabs(got - want);
    bool inside = same || error <= bound || bound == INFINITY;
    double share = same || bound == INFINITY ? 0 : inside ? error / bound : INFINITY;
    if (share > *worst) {
      *worst = share;
      comparison->max_error = error;
      comparison->bound = bound;
    }
    comparison->match = comparison->match && inside;
  }
}

int data_compare(const Session *session, const Data *data, Comparison *comparison) {
  const kiln_graph *graph = session->graph;
  Arena arena;
  arena_init(&arena, NULL);
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  GraphResult *results = ARENA_ARRAY(&arena, GraphResult, graph->outputs.count);
  kiln_status status =
      graph_interpret(graph, session->symbols, (const void *const *)data->inputs, &arena, results, &faults);
  *comparison = (Comparison){.match = status == KILN_OK};
  double worst = -1;
  for (size_t o = 0; status == KILN_OK && o < graph->outputs.count; ++o)
    compare_output(session, graph_node(graph, graph->outputs.items[o]), data->outputs[o], &results[o], &worst,
                   comparison);
  if (status != KILN_OK)
    complain("interpreter: %s", faults.list.count > 0 ? faults.list.items[0].message : kiln_status_text(status));
  diagnostics_release(&faults);
  arena_release(&arena);
  return status == KILN_OK ? EXIT_GOOD : EXIT_USAGE;
}
