/* graph_fixture.h: what the tests of the graph language share: faults as text, graphs run on numbers. */
#ifndef KILN_TESTS_GRAPH_FIXTURE_H
#define KILN_TESTS_GRAPH_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph/graph.h"

enum { FIXTURE_MAX_RESULTS = 4 };

/* Takes the text and frees it; what it gives is valid until the next call. */
static inline const char *keep(Text *text) {
  static char last[16384];
  snprintf(last, sizeof last, "%s", text_get(text));
  text_release(text);
  return last;
}

/* Checks the graph; all its faults, a line each: `line:column: message`. Valid until the next call. */
static inline const char *faults_of_graph(kiln_graph *graph) {
  Text text;
  text_init(&text, NULL);
  kiln_graph_check(graph);
  for (size_t i = 0; i < kiln_graph_fault_count(graph); i++) {
    kiln_fault fault = kiln_graph_fault(graph, i);
    if (fault.line) text_printf(&text, "%u:%u: ", fault.line, fault.column);
    text_printf(&text, "%s\n", fault.message);
  }
  return keep(&text);
}

/* The same of a text. */
static inline const char *faults_of(const char *source) {
  kiln_graph *graph = graph_parse(source, strlen(source), NULL);
  cr_assert_not_null(graph);
  const char *faults = faults_of_graph(graph);
  kiln_graph_destroy(graph);
  return faults;
}

/* Fails the test with the faults where there are some. The caller destroys the graph. */
static inline kiln_graph *parse_valid(const char *source) {
  kiln_graph *graph = graph_parse(source, strlen(source), NULL);
  cr_assert_not_null(graph);
  cr_assert_eq(graph_check(graph), KILN_OK, "%s\n%s", source, faults_of_graph(graph));
  return graph;
}

/* The canonical text of a valid one; valid until the next call. */
static inline const char *canonical(const char *source) {
  kiln_graph *graph = parse_valid(source);
  Text text;
  text_init(&text, NULL);
  graph_print(graph, false, &text);
  kiln_graph_destroy(graph);
  return keep(&text);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* A graph that ran on numbers. */
typedef struct Outcome {
  kiln_graph *graph;
  Arena arena;
  GraphResult results[FIXTURE_MAX_RESULTS];
  Diagnostics faults;
  kiln_status status;
} Outcome;

static inline void *store_input(const Node *node, const int64_t *symbols, const double *numbers) {
  size_t span = (size_t)node_span(node, symbols);
  char *memory = calloc(1, type_bytes(node->type, span) + 1);
  int64_t count = node_count(node, symbols);
  for (int64_t i = 0; i < count; i++) {
    int64_t rest = i, at = 0;
    for (int axis = node->shape.rank - 1; axis >= 0; axis--) {
      int64_t size = dim_value(node->shape.dims[axis], symbols);
      at += rest % size * node_stride(node, axis, symbols);
      rest /= size;
    }
    type_store(node->type, memory, (size_t)at, numbers[i]);
  }
  return memory;
}

/* `symbols` (may be NULL) in order of appearance; `numbers[i]` are row-major, stored in the declared type at the
 * declared strides. Free with outcome_release. */
static inline Outcome outcome_of(const char *text, const int64_t *symbols, const double *const *numbers) {
  Outcome outcome = {.graph = parse_valid(text)};
  arena_init(&outcome.arena, NULL);
  diagnostics_init(&outcome.faults, NULL);
  const kiln_graph *graph = outcome.graph;
  cr_assert(graph->outputs.count <= FIXTURE_MAX_RESULTS);
  outcome.status = graph_check_symbols(graph, symbols, NULL);
  void **inputs = calloc(graph->inputs.count + 1, sizeof *inputs);
  for (size_t i = 0; outcome.status == KILN_OK && i < graph->inputs.count; i++)
    inputs[i] = store_input(graph_node(graph, graph->inputs.items[i]), symbols, numbers[i]);
  outcome.status =
      graph_interpret(graph, symbols, (const void *const *)inputs, &outcome.arena, outcome.results, &outcome.faults);
  for (size_t i = 0; i < graph->inputs.count; i++) free(inputs[i]);
  free(inputs);
  return outcome;
}

static inline void outcome_release(Outcome *outcome) {
  kiln_graph_destroy(outcome->graph);
  arena_release(&outcome->arena);
  diagnostics_release(&outcome->faults);
}

/* ---- random numbers ---------------------------------------------------------------------------------------------- */

/* A deterministic stream of numbers. */
typedef struct Random {
  uint64_t state;
} Random;

static inline uint32_t random_bits(Random *random) {
  random->state = random->state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(random->state >> 32);
}

static inline double random_real(Random *random, double low, double high) {
  return low + (high - low) * random_bits(random) / 0x1p32;
}

#endif
