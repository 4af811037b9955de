/* graphs.c: see graphs.h. Writes NAME.h beside each NAME.o, and lines GRAPH and PACK in kernels.h for the driver. */
#include "tests/cross/graphs.h"

#include <stdlib.h>
#include <string.h>

#include "ir/graph/graph.h"
#include "kiln/kiln.h"

enum { MAX_TENSORS = 8 };

typedef struct GraphCase {
  const char *text;
  bool is_exact; /* small integers give exact results */
} GraphCase;

static const GraphCase graphs[] = {
    {"a: f32[m,k]; b: const f32[k,n]; c: f32 = a @ b; return c", true},
    {"a: f16[m,k]; b: const f16[k,n]; c: f16 = a @ b; return c", true},
    {"a: bf16[m,k]; b: const bf16[k,n]; c: f32 = a @ b; return c", true},
    {"a: bf16[m,k]; b: bf16[n,k]; r: f32[m,n]; c: bf16 = relu(a @ b.T) + r; return c", true},
    {"a: u8[m,k]; b: const i8[k,n]; c: i32 = a @ b; return c", true},
    {"a: i8[m,k]; b: const u8[k,n]; c: i32 = a @ b; return c", true},
    {"a: i8[m,k]; b: const i8[k,n]; s: f32[n]; c: f32 = dequant(a @ b, s); return c", false},
    {"a: f8e4m3[m,k]; b: const f8e5m2[k,n]; c: f32 = a @ b; return c", true},
    {"a: f32[m,k]; b: const bf16[k,n]; r: f32[n]; c: f32 = gelu(a @ b + r); return c", false},
    {"a: u8[m,40]; b: const i8[40,97]; c: i32 = a @ b; return c", true}, /* its numbers are passed like sizes */
    {"x: f32[m,n]; y: f16 = softmax(x); return y", false},
};

static const int64_t sizes[][3] = {{1, 5, 3}, {13, 37, 29}, {24, 64, 50}, {7, 1, 1}, {40, 16, 24}};

static int64_t size_of(const char *symbol, const int64_t mkn[3]) {
  return mkn[*symbol == 'm' ? 0 : *symbol == 'k' ? 1 : 2];
}

/* Small integers. */
static void *draw(kiln_type type, size_t count, uint32_t *state) {
  void *memory = calloc(type_bytes(type, count) + 1, 1);
  if (!memory) maker_fail("memory", "");
  for (size_t i = 0; i < count; ++i) {
    *state = *state * 1664525U + 1013904223U;
    double x = (double)(*state >> 24) / 37;
    type_store(type, memory, i, (double)(int)x - (type_class(type) == CLASS_UNSIGNED ? 0 : 3));
  }
  return memory;
}

static void put_output(const Maker *maker, const Node *node, const int64_t *symbols, const GraphResult *result,
                       bool is_exact) {
  size_t count = (size_t)node_span(node, symbols);
  void *before = malloc(type_bytes(node->type, count) + 1), *after = malloc(type_bytes(node->type, count) + 1);
  if (!before || !after) maker_fail("memory", "");
  memset(before, 0xff, type_bytes(node->type, count));
  for (size_t i = 0; i < count; ++i) type_store(node->type, after, i, result->values[i]);
  maker_put_buffer(maker, node->type, count, before, after, is_exact ? NULL : result->bounds);
  free(before), free(after);
}

static void put_case(const Maker *maker, const kiln_graph *graph, const GraphCase *c, const int64_t mkn[3]) {
  int64_t symbols[8] = {0};
  void *inputs[MAX_TENSORS] = {NULL};
  GraphResult results[MAX_TENSORS];
  Arena arena;
  uint32_t state = 1;
  size_t symbol_count = kiln_graph_symbol_count(graph), input_count = graph->inputs.count;
  for (size_t i = 0; i < symbol_count; ++i) symbols[i] = size_of(kiln_graph_symbol_name(graph, i), mkn);
  maker_put_case(maker, c->text, symbols, (int64_t)symbol_count, (int64_t)(input_count + graph->outputs.count));
  for (size_t i = 0; i < input_count; ++i) {
    const Node *node = graph_node(graph, graph->inputs.items[i]);
    size_t count = (size_t)node_span(node, symbols);
    inputs[i] = draw(node->type, count, &state);
    maker_put_buffer(maker, node->type, count, inputs[i], NULL, NULL);
  }
  arena_init(&arena, NULL);
  if (graph_interpret(graph, symbols, (const void *const *)inputs, &arena, results, NULL) != KILN_OK)
    maker_fail("interpreter", c->text);
  for (size_t i = 0; i < graph->outputs.count; ++i)
    put_output(maker, graph_node(graph, graph->outputs.items[i]), symbols, &results[i], c->is_exact);
  arena_release(&arena);
  for (size_t i = 0; i < input_count; ++i) free(inputs[i]);
}

static void write_header(const Maker *maker, const char *name, const kiln_buffer *header) {
  char file_name[100];
  snprintf(file_name, sizeof file_name, "%s.h", name);
  FILE *file = maker_open_file(maker, file_name);
  fwrite(header->data, 1, header->size, file);
  fclose(file);
}

/* Lines for the driver; the header says which inputs are packed. */
static void write_rows(const Maker *maker, const kiln_graph *graph, const char *name, const kiln_buffer *header) {
  fprintf(maker->kernels, "GRAPH(%s)\n", name);
  for (size_t i = 0; i < graph->inputs.count; ++i) {
    char function[100];
    const char *input = graph_node(graph, graph->inputs.items[i])->name;
    snprintf(function, sizeof function, "%s_packed_bytes_%s(", name, input);
    if (strstr(header->data, function) != NULL)
      fprintf(maker->kernels, "PACK(%lld, %zu, %s, %s)\n", (long long)maker->kernel, i, name, input);
  }
}

static void make_graph(Maker *maker, kiln_engine *engine, const GraphCase *c, FILE *headers, size_t number) {
  kiln_graph *graph;
  kiln_buffer object = {0}, header = {0}, message = {0};
  kiln_compile_options options = {.size = sizeof options, .target = maker->target->name, .message = &message};
  char name[32];
  snprintf(name, sizeof name, "graph_%zu", number);
  if (kiln_graph_parse(c->text, strlen(c->text), NULL, &graph) != KILN_OK) maker_fail("parse", c->text);
  if (kiln_emit(engine, graph, &options, name, &object, &header) != KILN_OK)
    maker_fail(message.data ? message.data : "emit", c->text);
  maker_add_kernel(maker, name, object.data, object.size);
  write_header(maker, name, &header);
  write_rows(maker, graph, name, &header);
  fprintf(headers, "#include \"%s.h\"\n", name);
  for (size_t i = 0; i < ARRAY_LENGTH(sizes); ++i) put_case(maker, graph, c, sizes[i]);
  kiln_buffer_free(&object), kiln_buffer_free(&header), kiln_buffer_free(&message);
  kiln_graph_destroy(graph);
}

void make_graphs(Maker *maker) {
  kiln_engine *engine;
  FILE *headers = maker_open_file(maker, "headers.h");
  kiln_engine_options options = {.size = sizeof options, .cache_dir = ""};
  if (kiln_engine_create(&options, &engine) != KILN_OK) maker_fail("engine", "");
  for (size_t i = 0; i < ARRAY_LENGTH(graphs); ++i) make_graph(maker, engine, &graphs[i], headers, i);
  kiln_engine_destroy(engine);
  fclose(headers);
}
