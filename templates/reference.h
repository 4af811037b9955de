/* reference.h: the state of building one reference kernel, shared by its frame (reference.c) and its operators
 * (reference_ops.c). */
#ifndef KILN_TEMPLATES_REFERENCE_H
#define KILN_TEMPLATES_REFERENCE_H

#include "templates/template.h"

typedef struct Reference {
  const Plan *plan;
  const kiln_graph *graph;
  Kernel *kernel;
  Builder b;      /* where operations go now */
  Value **memory; /* each node's buffer: the input's own, or a part of the workspace; NULL for numbers */
  int width;      /* columns of the tiles that loops step by */
} Reference;

/* The element type a node's value has in memory: nibbles take a byte there. */
kiln_type reference_memory_type(const Node *node);

/* A loop nest over all elements of a shape, the last axis in steps of `step`. While it is open g->b is in its innermost
 * body; indices[axis] are the current element's, cols how many columns are left from there. */
typedef struct Nest {
  Loop loops[GRAPH_MAX_RANK];
  Block *outer;
  int depth;
  Value *indices[GRAPH_MAX_RANK];
  Value *cols;
} Nest;
Nest reference_open(Reference *g, const Shape *shape, int axes, int step);
void reference_close(Reference *g, Nest *nest);

/* Part of an operand's value that meets element `indices` of a broadcast result of `rank` axes: 1 x width, or 1x1 where
 * its last axis is 1. Numbers become constants of `number_type`. */
Value *reference_load(Reference *g, int operand, Value *const *indices, int rank, Value *cols, kiln_type number_type);
/* One element of a node by its own indices, as a scalar. */
Value *reference_element(Reference *g, int number, Value *const *indices);
void reference_store(Reference *g, int number, Value *tile, Value *const *indices, Value *cols);

Value *reference_size(Reference *g, Dim d);
/* Emits the loops of one node, which is not an input or a number. */
void reference_node(Reference *g, int number);

#endif
