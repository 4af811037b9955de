/* print.c: a graph as text, as Graphviz, and in pieces for messages.
 *
 * The text is canonical: one space where the language allows any, no parentheses that precedence makes needless,
 * numbers in their shortest form. Its parse is the same graph again. */
#include <string.h>

#include "ir/graph/build.h"

enum {
  MAX_INLINE_DEPTH = 100, /* below the parser's limit of nesting */
  PHRASE_DEPTH = 3,
};

typedef struct Printer {
  const kiln_graph *graph;
  const int *labels; /* by node: k > 0 stands for the name t<k>; NULL in messages */
  int max_depth;
  Text *out;
} Printer;

/* ---- types ------------------------------------------------------------------------------------------------------- */

static void print_dim(const kiln_graph *graph, Dim dim, Text *out) {
  if (dim.symbol < 0) text_printf(out, "%lld", (long long)dim.size);
  else text_add(out, graph->symbols.items[dim.symbol]);
}

static void print_dims(const kiln_graph *graph, const Dim *dims, int rank, Text *out) {
  text_add_char(out, '[');
  for (int i = 0; i < rank; i++) {
    if (i) text_add(out, ", ");
    print_dim(graph, dims[i], out);
  }
  text_add_char(out, ']');
}

void graph_print_type(const kiln_graph *graph, const Node *node, Text *out) {
  text_add(out, kiln_type_name(node->type));
  print_dims(graph, node->shape.dims, node->shape.rank, out);
}

/* ---- expressions ------------------------------------------------------------------------------------------------- */

static void print_expression(const Printer *p, int number, int depth);

/* A value at its use: its name, or its expression in parentheses where it binds looser than `level`. */
static void print_use(const Printer *p, int number, int level, int depth) {
  const Node *node = graph_node(p->graph, number);
  if (node->name) {
    text_add(p->out, node->name);
  } else if (p->labels && p->labels[number]) {
    text_printf(p->out, "t%d", p->labels[number]);
  } else if (depth == p->max_depth || node->poison) {
    text_add(p->out, "...");
  } else if (graph_op_level(node->op) < level) {
    text_add_char(p->out, '(');
    print_expression(p, number, depth + 1);
    text_add_char(p->out, ')');
  } else {
    print_expression(p, number, depth + 1);
  }
}

/* `name(a, b)`: commas separate, so operands need no parentheses. */
static void print_call(const Printer *p, const Node *node, int depth) {
  text_printf(p->out, "%s(", graph_op_info(node->op)->spelling);
  for (int i = 0; i < node->operand_count; i++) {
    if (i) text_add(p->out, ", ");
    print_use(p, node->operands[i], LEVEL_COMPARE, depth);
  }
  text_add_char(p->out, ')');
}

/* The operator of a node, whatever its name. Operators group to the left, comparisons not at all. */
static void print_expression(const Printer *p, int number, int depth) {
  const Node *node = graph_node(p->graph, number);
  const GraphOpInfo *info = graph_op_info(node->op);
  int level = graph_op_level(node->op);
  if (node->op == KILN_OP_INPUT) {
    text_add(p->out, node->name ? node->name : "...");
  } else if (node->op == KILN_OP_NUMBER) {
    text_add_number(p->out, node->number);
  } else if (level == LEVEL_ATOM) {
    print_call(p, node, depth);
  } else if (level == LEVEL_POSTFIX) {
    print_use(p, node->operands[0], level, depth);
    text_add(p->out, info->spelling);
  } else {
    print_use(p, node->operands[0], level == LEVEL_COMPARE ? level + 1 : level, depth);
    text_printf(p->out, " %s ", info->spelling);
    print_use(p, node->operands[1], level + 1, depth);
  }
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

/* Whether a value is already called t<label>. */
static bool is_taken(const kiln_graph *graph, int label) {
  Text name;
  text_init(&name, &graph->arena.allocator);
  text_printf(&name, "t%d", label);
  bool taken = graph_find(graph, text_get(&name), name.length) != KILN_NO_VALUE;
  text_release(&name);
  return taken;
}

/* Finds the anonymous values that cannot stand inline and numbers them. */
static int *label_values(const kiln_graph *graph, Arena *arena) {
  int *labels = ARENA_ARRAY(arena, int, graph->nodes.count);
  int *depths = ARENA_ARRAY(arena, int, graph->nodes.count);
  int last = 0;
  for (int i = 0; i < (int)graph->nodes.count; i++) {
    const Node *node = graph_node(graph, i);
    for (int j = 0; j < node->operand_count; j++)
      if (depths[node->operands[j]] >= depths[i]) depths[i] = depths[node->operands[j]] + 1;
    bool is_deep = depths[i] >= MAX_INLINE_DEPTH;
    bool is_shared = node->use_count > 1 && node->op != KILN_OP_NUMBER;
    if (node->name || node->annotated || is_deep || is_shared) depths[i] = 0;
    if (node->name || !(node->annotated || is_deep || is_shared)) continue;
    do last++;
    while (is_taken(graph, last));
    labels[i] = last;
  }
  return labels;
}

/* The name a statement defines. */
static void print_name(const Printer *p, int number) {
  const Node *node = graph_node(p->graph, number);
  if (node->name) text_add(p->out, node->name);
  else text_printf(p->out, "t%d", p->labels[number]);
}

static void print_statement(const Printer *p, int number) {
  const Node *node = graph_node(p->graph, number);
  print_name(p, number);
  if (node->annotated) {
    text_printf(p->out, ": %s%s", node->is_const ? "const " : "", kiln_type_name(node->type));
    if (node->shape_declared) print_dims(p->graph, node->shape.dims, node->shape.rank, p->out);
    if (node->has_strides) {
      text_add(p->out, " strides ");
      print_dims(p->graph, node->strides, node->shape.rank, p->out);
    }
  }
  if (node->op == KILN_OP_INPUT) return;
  text_add(p->out, " = ");
  print_expression(p, number, 0);
}

void graph_print(const kiln_graph *graph, bool one_line, Text *out) {
  Arena arena;
  arena_init(&arena, &graph->arena.allocator);
  Printer printer = {graph, label_values(graph, &arena), GRAPH_MAX_NODES, out};
  for (int i = 0; i < (int)graph->nodes.count; i++) {
    if (!graph_node(graph, i)->name && !printer.labels[i]) continue;
    print_statement(&printer, i);
    text_add(out, one_line ? "; " : "\n");
  }
  text_add(out, "return ");
  for (size_t i = 0; i < graph->outputs.count; i++) {
    if (i) text_add(out, ", ");
    print_use(&printer, graph->outputs.items[i], LEVEL_COMPARE, 0);
  }
  if (!one_line) text_add_char(out, '\n');
  arena_release(&arena);
}

/* ---- Graphviz ---------------------------------------------------------------------------------------------------- */

/* One node and the edges from its operands, numbered where their order matters. */
static void print_dot_node(const kiln_graph *graph, int number, Text *out) {
  const Node *node = graph_node(graph, number);
  text_printf(out, "  n%d [label=\"", number);
  if (node->name) text_printf(out, "%s", node->name);
  if (node->op == KILN_OP_NUMBER) {
    if (node->name) text_add(out, " = ");
    text_add_number(out, node->number);
  } else {
    if (node->op != KILN_OP_INPUT) text_printf(out, "%s%s", node->name ? " = " : "", graph_op_info(node->op)->spelling);
    text_add(out, node->is_const ? "\\nconst " : "\\n");
    graph_print_type(graph, node, out);
  }
  text_add_char(out, '"');
  if (node->op == KILN_OP_INPUT) text_add(out, ", shape=box");
  if (node->op == KILN_OP_NUMBER) text_add(out, ", shape=plain");
  for (size_t i = 0; i < graph->outputs.count; i++)
    if (graph->outputs.items[i] == number) text_add(out, ", peripheries=2");
  text_add(out, "];\n");
  for (int i = 0; i < node->operand_count; i++) {
    text_printf(out, "  n%d -> n%d", node->operands[i], number);
    if (node->operand_count > 1) text_printf(out, " [label=%d]", i + 1);
    text_add(out, ";\n");
  }
}

void graph_print_dot(const kiln_graph *graph, Text *out) {
  text_add(out, "digraph kiln {\n  node [shape=ellipse, fontname=monospace];\n");
  for (int i = 0; i < (int)graph->nodes.count; i++) print_dot_node(graph, i, out);
  text_add(out, "}\n");
}

/* ---- pieces for messages ----------------------------------------------------------------------------------------- */

/* Takes the text and frees it. */
static Phrase cut(Text *text) {
  Phrase phrase;
  size_t length = text->length < sizeof phrase.text ? text->length : sizeof phrase.text - 1;
  memcpy(phrase.text, text_get(text), length);
  phrase.text[length] = 0;
  if (length < text->length) memcpy(phrase.text + length - 3, "...", 3);
  text_release(text);
  return phrase;
}

Phrase graph_phrase(const kiln_graph *graph, int number) {
  Text text;
  text_init(&text, &graph->arena.allocator);
  Printer printer = {graph, NULL, PHRASE_DEPTH, &text};
  print_use(&printer, number, LEVEL_COMPARE, 0);
  return cut(&text);
}

Phrase graph_phrase_type(const kiln_graph *graph, int number) {
  Text text;
  text_init(&text, &graph->arena.allocator);
  const Node *node = graph_node(graph, number);
  if (node_is_literal(node)) text_add_number(&text, node->number);
  else graph_print_type(graph, node, &text);
  return cut(&text);
}

Phrase graph_phrase_dim(const kiln_graph *graph, Dim dim) {
  Text text;
  text_init(&text, &graph->arena.allocator);
  print_dim(graph, dim, &text);
  return cut(&text);
}

Phrase graph_phrase_dims(const kiln_graph *graph, const Dim *dims, int rank) {
  Text text;
  text_init(&text, &graph->arena.allocator);
  print_dims(graph, dims, rank, &text);
  return cut(&text);
}
