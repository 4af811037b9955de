/* fuzz_random_graph.c: bytes decide how a valid graph is made: it is valid, prints as text that is the same graph, its
 * interpreter gives results with bounds, and the templates give tile IR that the verifier accepts. */
#include "tests/fuzz/random_graph.h"

#include <stdlib.h>
#include <string.h>

#include "templates/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_identity(const kiln_graph *graph) {
  Text once, twice;
  text_init(&once, NULL);
  text_init(&twice, NULL);
  graph_print(graph, false, &once);
  kiln_graph *again = graph_parse(text_get(&once), once.length, NULL);
  KILN_ASSERT(graph_check(again) == KILN_OK);
  graph_print(again, false, &twice);
  KILN_ASSERT(once.length == twice.length && memcmp(text_get(&once), text_get(&twice), once.length) == 0);
  kiln_graph_destroy(again);
  text_release(&once);
  text_release(&twice);
}

/* Inputs hold small integers; an index holds zeros, which are in range wherever there are rows. */
static void *make_input(const Node *node, const int64_t *symbols) {
  int64_t span = node_span(node, symbols);
  void *memory = calloc(1, type_bytes(node->type, (size_t)span) + 1);
  KILN_ASSERT(memory);
  for (int64_t i = 0; i < span && node->type != KILN_I32; i++)
    type_store(node->type, memory, (size_t)i, (double)(i % 5));
  return memory;
}

static void interpret(const kiln_graph *graph, const int64_t *symbols) {
  Arena arena;
  arena_init(&arena, NULL);
  GraphResult results[RANDOM_GRAPH_TENSORS];
  const void *inputs[RANDOM_GRAPH_TENSORS];
  KILN_ASSERT(graph->inputs.count <= RANDOM_GRAPH_TENSORS && graph->outputs.count <= RANDOM_GRAPH_TENSORS);
  for (size_t i = 0; i < graph->inputs.count; i++)
    inputs[i] = make_input(graph_node(graph, graph->inputs.items[i]), symbols);
  KILN_ASSERT(graph_interpret(graph, symbols, inputs, &arena, results, NULL) == KILN_OK);
  for (size_t i = 0; i < graph->outputs.count; i++)
    for (int64_t j = 0; j < results[i].count; j++) KILN_ASSERT(results[i].bounds[j] >= 0);
  for (size_t i = 0; i < graph->inputs.count; i++) free((void *)(uintptr_t)inputs[i]);
  arena_release(&arena);
}

/* The first template of each target, or one by name. */
static void build(const kiln_graph *graph, const char *target, const char *template) {
  Problem problem = {
      .graph = graph, .target = target_find(target), .forced = template ? template_find(template) : NULL};
  Arena arena;
  Plan plan = {0};
  Text why;
  Diagnostics faults;
  arena_init(&arena, NULL);
  text_init(&why, NULL);
  diagnostics_init(&faults, NULL);
  KILN_ASSERT(tmpl_plan(&problem, &arena, &plan, &why) == KILN_OK);
  Module *module = tmpl_build(&plan, "random", NULL);
  KILN_ASSERT(module && tile_verify(module, &faults) == KILN_OK);
  module_destroy(module);
  diagnostics_release(&faults);
  text_release(&why);
  arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  RandomFlavour flavour = size > 0 && data[0] % 4 == 0 ? RANDOM_GEMM : RANDOM_ANY;
  RandomGraph random = random_graph_of_bytes(data, size, flavour);
  kiln_graph *graph = graph_parse(text_get(&random.text), random.text.length, NULL);
  KILN_ASSERT(graph && graph_check(graph) == KILN_OK);
  KILN_ASSERT(graph_check_symbols(graph, random.symbols, NULL) == KILN_OK);
  check_identity(graph);
  interpret(graph, random.symbols);
  static const char *const targets[] = {"skylake-avx512", "haswell", "x86-64"};
  for (size_t i = 0; i < ARRAY_LENGTH(targets); i++) build(graph, targets[i], flavour == RANDOM_GEMM ? "gemm" : NULL);
  kiln_graph_destroy(graph);
  random_graph_release(&random);
  return 0;
}
