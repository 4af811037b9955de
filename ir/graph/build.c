/* build.c: making graphs: symbols, nodes, names and results, for the parser and the C API alike.
 *
 * Types and shapes of a node are found as it is made (verify.c), so its fault has the position of its text. What can
 * only be said of a whole graph waits for graph_check. */
#include "ir/graph/build.h"

#include <math.h>
#include <string.h>

kiln_status kiln_graph_create(const kiln_allocator *allocator, kiln_graph **graph) {
  if (!graph) return KILN_INVALID_ARGUMENT;
  Allocator from = allocator ? *allocator : allocator_default;
  kiln_graph *made = from.alloc(from.ctx, sizeof *made, _Alignof(kiln_graph));
  if (!made) return KILN_OUT_OF_MEMORY;
  *made = (kiln_graph){0};
  arena_init(&made->arena, &from);
  diagnostics_init(&made->faults, &from);
  *graph = made;
  return KILN_OK;
}

void kiln_graph_destroy(kiln_graph *graph) {
  if (!graph) return;
  Allocator from = graph->arena.allocator;
  arena_release(&graph->arena);
  diagnostics_release(&graph->faults);
  from.release(from.ctx, graph);
}

void graph_fault(kiln_graph *graph, SourcePos pos, const char *format, ...) {
  va_list args;
  va_start(args, format);
  diagnostics_vreport(&graph->faults, pos, format, args);
  va_end(args);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool is_same(const char *name, const char *other, size_t length) {
  return strlen(name) == length && memcmp(name, other, length) == 0;
}

/* What a fault quotes: hostile names may be long. */
static int quoted(size_t length) { return length > 60 ? 60 : (int)length; }

/* Whether a name is one, and free of the language's words. */
static bool check_word(kiln_graph *graph, SourcePos pos, const char *what, const char *name, size_t length) {
  if (!graph_is_identifier(name, length))
    graph_fault(graph, pos, "'%.*s' cannot name a %s: names are letters, digits and _, and begin with no digit",
                quoted(length), name, what);
  else if (graph_is_reserved(name, length))
    graph_fault(graph, pos, "'%.*s' cannot name a %s: it is a word of the language", quoted(length), name, what);
  else return true;
  return false;
}

/* Linear search: a graph has a handful of symbols, and at most GRAPH_MAX_SYMBOLS. */
int32_t graph_symbol(kiln_graph *graph, SourcePos pos, const char *name, size_t length) {
  for (size_t i = 0; i < graph->symbols.count; i++)
    if (is_same(graph->symbols.items[i], name, length)) return (int32_t)i;
  if (!check_word(graph, pos, "size", name, length)) return -1;
  if (graph->symbols.count == GRAPH_MAX_SYMBOLS) {
    graph_fault(graph, pos, "'%.*s' is one symbol too many: %d are the most", quoted(length), name, GRAPH_MAX_SYMBOLS);
    return -1;
  }
  VECTOR_PUSH(&graph->arena, graph->symbols, arena_copy(&graph->arena, name, length));
  return (int32_t)graph->symbols.count - 1;
}

kiln_value graph_find(const kiln_graph *graph, const char *name, size_t length) {
  for (size_t i = graph->nodes.count; i-- > 0;) {
    const Node *node = graph->nodes.items[i];
    if (node->name && is_same(node->name, name, length)) return (kiln_value)i;
  }
  return KILN_NO_VALUE;
}

/* Whether `name` may be given to a value, and the copy to give. */
static const char *claim_name(kiln_graph *graph, SourcePos pos, const char *name, size_t length) {
  if (!check_word(graph, pos, "value", name, length)) return NULL;
  kiln_value other = graph_find(graph, name, length);
  if (other == KILN_NO_VALUE) return arena_copy(&graph->arena, name, length);
  SourcePos first = graph_node(graph, other)->pos;
  if (first.line)
    graph_fault(graph, pos, "'%.*s' is already defined at %u:%u", quoted(length), name, first.line, first.column);
  else graph_fault(graph, pos, "'%.*s' is already defined", quoted(length), name);
  return NULL;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

/* After these a builder does nothing: a checked graph may be read by other threads, and in an arena that failed every
 * allocation is a loan. */
static bool is_closed(const kiln_graph *graph) { return graph->examined || arena_has_failed(&graph->arena); }

/* A new node at the end, or NULL: closed, or full, which is reported once. `number` is KILN_NO_VALUE then. */
static Node *add_node(kiln_graph *graph, SourcePos pos, kiln_op op, kiln_value *number) {
  *number = KILN_NO_VALUE;
  if (is_closed(graph)) return NULL;
  if (graph->nodes.count == GRAPH_MAX_NODES) {
    if (!graph->full) graph_fault(graph, pos, "the graph has more than %d values", GRAPH_MAX_NODES);
    graph->full = true;
    return NULL;
  }
  Node *node = ARENA_NEW(&graph->arena, Node);
  *node = (Node){.op = op, .pos = pos, .type = KILN_F32, .compute = KILN_F32};
  *number = (kiln_value)graph->nodes.count;
  VECTOR_PUSH(&graph->arena, graph->nodes, node);
  return node;
}

static const char *plural(int count) { return count == 1 ? "" : "s"; }

static bool check_stride_count(kiln_graph *graph, SourcePos pos, const char *what, int rank, const TypeSpec *spec) {
  if (!spec->has_strides || spec->stride_count == rank) return true;
  graph_fault(graph, pos, "'%s' has %d %s and %d stride%s", what, rank, rank == 1 ? "axis" : "axes", spec->stride_count,
              plural(spec->stride_count));
  return false;
}

kiln_value graph_add_input(kiln_graph *graph, SourcePos pos, const char *name, size_t length, const TypeSpec *spec,
                           bool is_const) {
  kiln_value number;
  Node *node = add_node(graph, pos, KILN_OP_INPUT, &number);
  if (!node) return number;
  VECTOR_PUSH(&graph->arena, graph->inputs, number);
  node->poison = true;
  node->name = claim_name(graph, pos, name, length);
  if (!node->name || !spec) return number;
  if (spec->rank < 0) {
    graph_fault(graph, pos, "input '%s' needs its dimensions, as in %s: %s[m, 768], or %s[] for a scalar", node->name,
                node->name, kiln_type_name(spec->type), kiln_type_name(spec->type));
    return number;
  }
  node->type = node->compute = spec->type;
  node->annotated = node->shape_declared = true;
  node->is_const = is_const;
  node->shape.rank = spec->rank;
  memcpy(node->shape.dims, spec->dims, sizeof node->shape.dims);
  node->has_strides = spec->has_strides;
  memcpy(node->strides, spec->strides, sizeof node->strides);
  if (check_stride_count(graph, pos, node->name, spec->rank, spec))
    node->poison = !graph_verify_node(graph, node, number);
  return number;
}

kiln_value graph_add_number(kiln_graph *graph, SourcePos pos, double number) {
  kiln_value value;
  Node *node = add_node(graph, pos, KILN_OP_NUMBER, &value);
  if (!node) return value;
  node->number = isnan(number) ? NAN : number; /* the sign of a NaN has no spelling */
  node->poison = !graph_verify_node(graph, node, value);
  return value;
}

/* Whether the operator exists, can be applied, and takes so many operands. */
static bool check_operand_count(kiln_graph *graph, SourcePos pos, kiln_op op, size_t count) {
  if ((size_t)op >= KILN_OP_COUNT || graph_op_info(op)->max_operands == 0) {
    graph_fault(graph, pos, "%d is no operator that can be applied", (int)op);
    return false;
  }
  const GraphOpInfo *info = graph_op_info(op);
  if (count >= (size_t)info->min_operands && count <= (size_t)info->max_operands) return true;
  if (info->min_operands == info->max_operands)
    graph_fault(graph, pos, "'%s' takes %d operand%s, found %zu", info->spelling, info->max_operands,
                plural(info->max_operands), count);
  else
    graph_fault(graph, pos, "'%s' takes %d or %d operands, found %zu", info->spelling, info->min_operands,
                info->max_operands, count);
  return false;
}

/* A value a caller passed, or NULL. KILN_NO_VALUE is no news where a fault made it. */
static Node *find_value(kiln_graph *graph, SourcePos pos, kiln_value value) {
  if (value >= 0 && (size_t)value < graph->nodes.count) return graph->nodes.items[value];
  if (value != KILN_NO_VALUE || graph->faults.list.count == 0)
    graph_fault(graph, pos, "%d is not a value of this graph", (int)value);
  return NULL;
}

/* Marks a use. A quantised value has no type of its own before it is annotated. */
static bool use_value(kiln_graph *graph, SourcePos pos, kiln_value value) {
  Node *node = find_value(graph, pos, value);
  if (!node) return false;
  node->use_count++;
  if (node->op == KILN_OP_QUANT && !node->annotated && !node->poison) {
    graph_fault(graph, node->pos.line ? node->pos : pos,
                "'%s' is quantised to no type: write it, as in q: i8 = quant(x, s)", graph_phrase(graph, value).text);
    node->poison = true;
  }
  return !node->poison;
}

kiln_value graph_add_poison(kiln_graph *graph, SourcePos pos, const kiln_value *operands, size_t count) {
  for (size_t i = 0; i < count; i++) use_value(graph, pos, operands[i]);
  kiln_value number;
  Node *node = add_node(graph, pos, KILN_OP_NUMBER, &number);
  if (node) node->poison = true;
  return number;
}

kiln_value graph_add_apply(kiln_graph *graph, SourcePos pos, kiln_op op, const kiln_value *operands, size_t count) {
  if (is_closed(graph)) return KILN_NO_VALUE;
  if (!check_operand_count(graph, pos, op, count)) return graph_add_poison(graph, pos, operands, count);
  bool sound = true;
  for (size_t i = 0; i < count; i++)
    if (!use_value(graph, pos, operands[i])) sound = false;
  if (!sound) return graph_add_poison(graph, pos, NULL, 0);
  kiln_value number;
  Node *node = add_node(graph, pos, op, &number);
  if (!node) return number;
  node->operand_count = (int)count;
  for (size_t i = 0; i < count; i++) node->operands[i] = operands[i];
  node->poison = !graph_verify_node(graph, node, number);
  return number;
}

/* ---- naming and results ------------------------------------------------------------------------------------------ */

/* Whether a value of this node may be rounded to the type. */
static bool check_rounding(kiln_graph *graph, SourcePos pos, const Node *node, kiln_value value, kiln_type type) {
  if (node->op == KILN_OP_QUANT) {
    if (type_is_integer(type) || (type_is_floating(type) && type_bits(type) == 8)) return true;
    graph_fault(graph, pos, "'%s' gives an integer or f8, found the type %s", graph_phrase(graph, value).text,
                kiln_type_name(type));
    return false;
  }
  if ((type == KILN_BOOL) == (node->type == KILN_BOOL)) return true;
  Phrase phrase = graph_phrase(graph, value);
  if (type == KILN_BOOL)
    graph_fault(graph, pos, "'%s' is %s and not bool: compare it, as in %s != 0", phrase.text,
                graph_phrase_type(graph, value).text, phrase.text);
  else
    graph_fault(graph, pos, "'%s' is bool and not %s: choose, as in where(%s, 1, 0)", phrase.text, kiln_type_name(type),
                phrase.text);
  return false;
}

/* Whether type, shape and strides as declared fit the value. */
static bool check_annotation(kiln_graph *graph, SourcePos pos, const Node *node, kiln_value value,
                             const TypeSpec *spec) {
  if (!check_rounding(graph, pos, node, value, spec->type)) return false;
  bool same = spec->rank < 0 || spec->rank == node->shape.rank;
  for (int i = 0; same && i < spec->rank; i++) same = dim_equal(spec->dims[i], node->shape.dims[i]);
  if (!same) {
    graph_fault(graph, pos, "'%s' has the shape %s, declared is %s", graph_phrase(graph, value).text,
                graph_phrase_dims(graph, node->shape.dims, node->shape.rank).text,
                graph_phrase_dims(graph, spec->dims, spec->rank).text);
    return false;
  }
  return check_stride_count(graph, pos, graph_phrase(graph, value).text, node->shape.rank, spec);
}

/* Gives a value its declared type. The shape is as inferred: the declared one was found equal. */
static void annotate(Node *node, const TypeSpec *spec) {
  node->annotated = true;
  node->type = spec->type;
  node->shape_declared = spec->rank >= 0;
  node->has_strides = spec->has_strides;
  memcpy(node->strides, spec->strides, sizeof node->strides);
}

/* A second name for a value. It is defined as poison, so that its uses are not faults too. */
static void refuse_alias(kiln_graph *graph, SourcePos pos, Node *node, const char *name, size_t length) {
  node->use_count++;
  if (!node->name) return; /* an input whose name was refused */
  if (!name) {
    graph_fault(graph, pos, "'%s' must get its type with its name", node->name);
    return;
  }
  graph_fault(graph, pos, "'%.*s' is only another name of '%s': write %s * 1 for a rounded copy", quoted(length), name,
              node->name, node->name);
  kiln_value stand_in;
  Node *poison = add_node(graph, pos, KILN_OP_NUMBER, &stand_in);
  if (!poison) return;
  poison->poison = true;
  poison->name = claim_name(graph, pos, name, length);
}

void graph_set_name(kiln_graph *graph, SourcePos pos, kiln_value value, const char *name, size_t length,
                    const TypeSpec *spec) {
  if (is_closed(graph)) return;
  Node *node = find_value(graph, pos, value);
  if (!node) return;
  if (node->name || node->op == KILN_OP_INPUT) {
    refuse_alias(graph, pos, node, name, length);
    return;
  }
  bool sound = true;
  if (spec && !node->poison) {
    if (node->use_count || node->annotated) {
      graph_fault(graph, pos, "'%s' must get its type once and before it is used", graph_phrase(graph, value).text);
      sound = false;
    } else {
      sound = check_annotation(graph, pos, node, value, spec);
    }
  }
  if (spec && sound) annotate(node, spec);
  if (name) {
    node->name = claim_name(graph, pos, name, length);
    if (!node->name) sound = false;
    if (pos.line) node->pos = pos;
  }
  if (!sound) node->poison = true;
}

/* A result is a computed value. */
static bool check_result(kiln_graph *graph, SourcePos pos, kiln_value value) {
  const Node *node = graph_node(graph, value);
  const char *why = node->op == KILN_OP_INPUT ? "an input" : node->op == KILN_OP_NUMBER ? "a number" : NULL;
  if (why) {
    graph_fault(graph, pos, "'%s' is %s: only computed values are returned", graph_phrase(graph, value).text, why);
    return false;
  }
  for (size_t i = 0; i < graph->outputs.count; i++) {
    if (graph->outputs.items[i] != value) continue;
    graph_fault(graph, pos, "'%s' is returned twice", graph_phrase(graph, value).text);
    return false;
  }
  return true;
}

void graph_set_results(kiln_graph *graph, SourcePos pos, const SourcePos *positions, const kiln_value *values,
                       size_t count) {
  if (is_closed(graph)) return;
  if (graph->returned) {
    graph_fault(graph, pos, "the results are declared a second time");
    return;
  }
  graph->returned = true;
  if (count == 0) graph_fault(graph, pos, "'return' needs a value");
  for (size_t i = 0; i < count; i++) {
    SourcePos at = positions ? positions[i] : pos;
    if (use_value(graph, at, values[i]) && check_result(graph, at, values[i]))
      VECTOR_PUSH(&graph->arena, graph->outputs, values[i]);
  }
}
