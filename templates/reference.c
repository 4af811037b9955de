/* reference.c: any valid graph as plain loops, one node after another through the workspace, in one task. It is right
 * for the whole language and slow on purpose: nothing here is worth reading twice for speed. */
#include "templates/reference.h"

kiln_type reference_memory_type(const Node *node) {
  if (node->type == KILN_I4) return KILN_I8;
  return node->type == KILN_U4 ? KILN_U8 : node->type;
}

static Extent extent_of(Dim d) { return (Extent){.number = d.size, .symbol = d.symbol < 0 ? EXTENT_NUMBER : d.symbol}; }

static Value *size_in(Builder *b, Dim d) { return build_extent(b, extent_of(d)); }
Value *reference_size(Reference *g, Dim d) { return size_in(&g->b, d); }

static bool has_memory(const Node *node) { return node->op != KILN_OP_INPUT && node->op != KILN_OP_NUMBER; }

/* Bytes of a node's part of the workspace, whole cache lines. */
static Value *node_bytes(Builder *b, const Node *node) {
  Value *bytes = build_number(b, type_bits(reference_memory_type(node)) / 8);
  for (int i = 0; i < node->shape.rank; ++i) bytes = build_mul(b, bytes, size_in(b, node->shape.dims[i]));
  return build_mul(b, build_ceildiv(b, bytes, build_number(b, 64)), build_number(b, 64));
}

/* ---- loops and elements ------------------------------------------------------------------------------------------ */

Nest reference_open(Reference *g, const Shape *shape, int axes, int step) {
  static const char *const names[GRAPH_MAX_RANK] = {"h", "i", "j", "l"};
  Nest nest = {.outer = g->b.block, .depth = axes};
  for (int axis = 0; axis < axes; ++axis) {
    Value *hi = reference_size(g, shape->dims[axis]);
    int by = axis == shape->rank - 1 ? step : 1;
    nest.loops[axis] = build_for(&g->b, build_number(&g->b, 0), hi, build_number(&g->b, by), NULL, 0);
    nest.indices[axis] = build_named(nest.loops[axis].index, names[axis]);
    g->b.block = nest.loops[axis].body;
    if (by > 1)
      nest.cols = build_named(build_sub(&g->b, reference_size(g, shape->dims[axis]), nest.indices[axis]), "left");
  }
  return nest;
}

void reference_close(Reference *g, Nest *nest) {
  for (int axis = nest->depth - 1; axis >= 0; --axis) {
    g->b.block = nest->loops[axis].body;
    build_yield(&g->b, NULL, 0);
  }
  g->b.block = nest->outer;
}

/* A nibble is read with its neighbour; which of the two is meant shows in the index. */
static Value *load_nibble(Reference *g, const Node *node, Place place) {
  int last = node->shape.rank - 1;
  Value *index = place.indices[last], *two = build_number(&g->b, 2);
  Value *odd = build_index(&g->b, OP_index_mod, index, two);
  place.indices[last] = build_sub(&g->b, index, odd);
  Value *pair = build_load(&g->b, OP_tile_load, place, type_tile(1, 2, node->type));
  Value *bytes = convert_build(&g->b, pair, reference_memory_type(node));
  TileType scalar = type_scalar(reference_memory_type(node));
  Value *low = build_slice(&g->b, bytes, 0, 0, scalar), *high = build_slice(&g->b, bytes, 0, 1, scalar);
  Value *is_low = build_index(&g->b, OP_index_eq, odd, build_number(&g->b, 0));
  return build_ternary(&g->b, OP_tile_select, is_low, low, high);
}

Value *reference_element(Reference *g, int number, Value *const *indices) {
  const Node *node = graph_node(g->graph, number);
  Place place = {.buffer = g->memory[number]};
  for (int axis = 0; axis < node->shape.rank; ++axis) place.indices[axis] = indices[axis];
  if (node->op == KILN_OP_INPUT && type_bits(node->type) < 8) return load_nibble(g, node, place);
  return build_load(&g->b, OP_tile_load, place, type_scalar(place.buffer->type.buf->type));
}

Value *reference_load(Reference *g, int operand, Value *const *indices, int rank, Value *cols, kiln_type number_type) {
  const Node *node = graph_node(g->graph, operand);
  if (node->op == KILN_OP_NUMBER) return build_const(&g->b, node_number(node), type_scalar(number_type));
  Value *own[GRAPH_MAX_RANK] = {NULL};
  const Shape *s = &node->shape;
  for (int axis = 0; axis < s->rank; ++axis)
    own[axis] = dim_is_one(s->dims[axis]) ? build_number(&g->b, 0) : indices[rank - s->rank + axis];
  bool narrow = s->rank == 0 || dim_is_one(s->dims[s->rank - 1]) || cols == NULL;
  if (narrow) return reference_element(g, operand, own);
  Place place = {.buffer = g->memory[operand], .cols = cols};
  for (int axis = 0; axis < s->rank; ++axis) place.indices[axis] = own[axis];
  Value *tile = build_load(&g->b, OP_tile_load, place, type_tile(1, g->width, place.buffer->type.buf->type));
  return convert_build(&g->b, tile, reference_memory_type(node));
}

void reference_store(Reference *g, int number, Value *tile, Value *const *indices, Value *cols) {
  const Node *node = graph_node(g->graph, number);
  Place place = {.buffer = g->memory[number], .cols = tile->type.cols > 1 ? cols : NULL};
  for (int axis = 0; axis < node->shape.rank; ++axis) place.indices[axis] = indices[axis];
  build_store(&g->b, OP_tile_store, convert_build(&g->b, tile, reference_memory_type(node)), place);
}

/* ---- the frame --------------------------------------------------------------------------------------------------- */

/* Results leave the workspace last, when every input has been read: a result may take an operand's place. */
static void copy_output(Reference *g, size_t output, Value *buffer) {
  int number = g->graph->outputs.items[output];
  const Node *node = graph_node(g->graph, number);
  Nest nest = reference_open(g, &node->shape, node->shape.rank, g->width);
  Value *tile = reference_load(g, number, nest.indices, node->shape.rank, nest.cols, node->type);
  if (nest.cols != NULL && tile->type.cols == 1)
    tile = build_typed(&g->b, OP_tile_broadcast, type_tile(1, g->width, tile->type.type), tile, NULL);
  Place place = {.buffer = buffer, .cols = nest.cols};
  for (int axis = 0; axis < node->shape.rank; ++axis) place.indices[axis] = nest.indices[axis];
  build_store(&g->b, OP_tile_store, convert_build(&g->b, tile, node->type), place);
  reference_close(g, &nest);
}

static void add_interface(Reference *g, Value **outputs) {
  const kiln_graph *graph = g->graph;
  for (size_t i = 0; i < graph->symbols.count; ++i) kernel_symbol(g->kernel, graph->symbols.items[i], false);
  for (size_t i = 0; i < graph->inputs.count; ++i) {
    const Node *node = graph_node(graph, graph->inputs.items[i]);
    BufType type = buf_of_node(node);
    g->memory[graph->inputs.items[i]] = kernel_buffer(g->kernel, node->name, &type);
  }
  for (size_t i = 0; i < graph->outputs.count; ++i) {
    const Node *node = graph_node(graph, graph->outputs.items[i]);
    BufType type = buf_of_node(node);
    outputs[i] = kernel_buffer(g->kernel, node->name != NULL ? node->name : "result", &type);
  }
}

static void add_memory(Reference *g) {
  Builder header = builder_of(g->kernel, g->kernel->header);
  Value *total = build_number(&header, 0), *offset = build_number(&g->b, 0);
  for (size_t i = 0; i < g->graph->nodes.count; ++i) {
    const Node *node = graph_node(g->graph, (int)i);
    if (!has_memory(node)) continue;
    BufType type = {.type = reference_memory_type(node), .rank = node->shape.rank};
    for (int axis = 0; axis < node->shape.rank; ++axis) type.dims[axis] = extent_of(node->shape.dims[axis]);
    g->memory[i] = build_workspace(&g->b, offset, &type);
    build_named(g->memory[i], node->name != NULL ? node->name : "value");
    offset = build_add(&g->b, offset, node_bytes(&g->b, node));
    total = build_add(&header, total, node_bytes(&header, node));
  }
  g->kernel->workspace = total;
}

static void reference_build(const Plan *plan, const char *name, Module *module) {
  const kiln_graph *graph = plan->problem.graph;
  Reference g = {.plan = plan, .graph = graph, .kernel = kernel_create(module, name)};
  g.b = builder_of(g.kernel, g.kernel->body);
  g.width = target_lanes(plan->problem.target);
  g.memory = ARENA_ARRAY(&module->arena, Value *, graph->nodes.count);
  Value **outputs = ARENA_ARRAY(&module->arena, Value *, graph->outputs.count);
  add_interface(&g, outputs);
  add_memory(&g);
  for (size_t i = 0; i < graph->nodes.count; ++i)
    if (has_memory(graph_node(graph, (int)i))) reference_node(&g, (int)i);
  for (size_t i = 0; i < graph->outputs.count; ++i) copy_output(&g, i, outputs[i]);
}

static bool reference_match(Plan *plan, Arena *arena, Text *why_not) {
  (void)plan, (void)arena, (void)why_not;
  return true;
}

static kiln_status reference_schedule(Plan *plan, Text *why_not) {
  (void)plan, (void)why_not;
  return KILN_OK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the signature is that of every template */
static void reference_bind(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *params) {
  (void)plan, (void)symbols, (void)machine, (void)params;
}

static void reference_explain(const Plan *plan, const int64_t *symbols, const Machine *machine, Text *out) {
  (void)plan, (void)symbols, (void)machine;
  text_add(out, "plain loops in one task, every intermediate value through the workspace: right, and slow\n");
}

const Template template_reference = {
    .name = "reference",
    .meaning = "any valid graph, as plain loops: right, and slow",
    .is_fallback = true,
    .match = reference_match,
    .schedule = reference_schedule,
    .build = reference_build,
    .bind = reference_bind,
    .explain = reference_explain,
};
