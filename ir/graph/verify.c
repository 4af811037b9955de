/* verify.c: the rules of the language: type and shape of each form of operator, and what only a whole graph can break.
 *
 * verify_<FORM> reads the operands, none of which is poison, and sets compute, type and shape; after a fault it gives
 * false. Integers meet floats as floats, a literal takes the type of what it meets, and bool meets nothing. */
#include <math.h>
#include <string.h>

#include "ir/graph/build.h"

/* A node being verified. */
typedef struct Verify {
  kiln_graph *graph;
  Node *node;
  int number;
} Verify;

static const Node *operand(const Verify *v, int index) { return graph_node(v->graph, v->node->operands[index]); }
static Phrase phrase(const Verify *v) { return graph_phrase(v->graph, v->number); }
static Phrase phrase_operand(const Verify *v, int index) { return graph_phrase(v->graph, v->node->operands[index]); }
static Phrase phrase_type(const Verify *v, int index) { return graph_phrase_type(v->graph, v->node->operands[index]); }
static Phrase phrase_dim(const Verify *v, Dim dim) { return graph_phrase_dim(v->graph, dim); }

#define FAULT(v, ...) (graph_fault((v)->graph, (v)->node->pos, __VA_ARGS__), false)

/* ---- types ------------------------------------------------------------------------------------------------------- */

/* Of the value as annotated, not of what it is computed in. */
static bool is_floating(const Node *node) { return type_is_floating(node->type); }

static bool refuse_bool(const Verify *v, int index) {
  return FAULT(v, "'%s' computes with the bool '%s': choose numbers first, as in where(%s, 1, 0)", phrase(v).text,
               phrase_operand(v, index).text, phrase_operand(v, index).text);
}

/* The operand that makes the others integers, or -1. */
static int first_integer(const Verify *v, int first, int last) {
  for (int i = first; i <= last; i++)
    if (!node_is_literal(operand(v, i)) && type_is_integer(operand(v, i)->type)) return i;
  return -1;
}

/* Among integers a literal is an integer: 0.5 would silently be 0. */
static bool check_literals(const Verify *v, int first, int last) {
  int integer = first_integer(v, first, last);
  for (int i = first; i <= last; i++) {
    const Node *literal = operand(v, i);
    if (!node_is_literal(literal) || type_round(KILN_I32, literal->number) == literal->number) continue;
    return FAULT(v, "'%s' joins %s with %s, which is no i32: dequant '%s' first", phrase(v).text,
                 phrase_type(v, integer).text, phrase_type(v, i).text, phrase_operand(v, integer).text);
  }
  return true;
}

/* What operands first … last are computed in: f64 before f32 before i32; literals follow, alone they are f32. */
static bool join_types(const Verify *v, int first, int last, kiln_type *joined) {
  bool any = false;
  *joined = KILN_F32;
  for (int i = first; i <= last; i++) {
    const Node *node = operand(v, i);
    if (node->type == KILN_BOOL) return refuse_bool(v, i);
    if (node_is_literal(node)) continue;
    kiln_type type = type_compute(node->type);
    if (!any || type == KILN_F64 || (type == KILN_F32 && *joined == KILN_I32)) *joined = type;
    any = true;
  }
  return *joined != KILN_I32 || check_literals(v, first, last);
}

/* The compute type of operators that leave the integers. */
static kiln_type as_floating(kiln_type type) { return type == KILN_I32 ? KILN_F32 : type; }

/* The same for operators that bring each operand to it on its own, so a literal needs no integer. */
static bool join_as_floating(const Verify *v, int first, int last, kiln_type *joined) {
  *joined = KILN_F32;
  for (int i = first; i <= last; i++) {
    if (operand(v, i)->type == KILN_BOOL) return refuse_bool(v, i);
    if (operand(v, i)->type == KILN_F64) *joined = KILN_F64;
  }
  return true;
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

/* Axis `back` counted from the last (0); axes a shape lacks are 1. */
static Dim axis_from_last(const Shape *shape, int back) {
  return back < shape->rank ? shape->dims[shape->rank - 1 - back] : (Dim){1, -1};
}

/* The size of two axes side by side; false where they do not fit. */
static bool join_dims(Dim a, Dim b, Dim *joined) {
  *joined = dim_is_one(a) ? b : a;
  return dim_equal(a, b) || dim_is_one(a) || dim_is_one(b);
}

/* Broadcasts operand `index` into `shape`; `other` is an operand it is compared with in the fault. */
static bool broadcast(const Verify *v, Shape *shape, int index, int other) {
  const Shape *more = &operand(v, index)->shape;
  Shape joined = {.rank = shape->rank > more->rank ? shape->rank : more->rank};
  for (int back = 0; back < joined.rank; back++) {
    Dim a = axis_from_last(shape, back), b = axis_from_last(more, back);
    if (!join_dims(a, b, &joined.dims[joined.rank - 1 - back]))
      return FAULT(v, "'%s' joins %s with %s: %s and %s must be equal or 1", phrase(v).text, phrase_type(v, other).text,
                   phrase_type(v, index).text, phrase_dim(v, a).text, phrase_dim(v, b).text);
  }
  *shape = joined;
  return true;
}

/* The shape that operands first … last have together. */
static bool broadcast_all(const Verify *v, int first, int last) {
  v->node->shape = operand(v, first)->shape;
  for (int i = first + 1; i <= last; i++)
    if (!broadcast(v, &v->node->shape, i, i - 1)) return false;
  return true;
}

static bool need_rank(const Verify *v, int index, int least) {
  if (operand(v, index)->shape.rank >= least) return true;
  return FAULT(v, "'%s' needs %d %s in '%s', found %s", phrase(v).text, least, least == 1 ? "axis" : "axes",
               phrase_operand(v, index).text, phrase_type(v, index).text);
}

static bool need_exact_rank(const Verify *v, int index, int rank) {
  if (operand(v, index)->shape.rank == rank) return true;
  if (rank == 0)
    return FAULT(v, "'%s' needs a scalar in '%s', found %s", phrase(v).text, phrase_operand(v, index).text,
                 phrase_type(v, index).text);
  return FAULT(v, "'%s' needs exactly %d %s in '%s', found %s", phrase(v).text, rank, rank == 1 ? "axis" : "axes",
               phrase_operand(v, index).text, phrase_type(v, index).text);
}

/* ---- forms ------------------------------------------------------------------------------------------------------- */

static bool verify_INPUT(const Verify *v) {
  return graph_check_view(v->graph, v->node, false, NULL, &v->graph->faults);
}

static bool verify_NUMBER(const Verify *v) {
  v->node->type = v->node->compute = KILN_F32;
  v->node->shape.rank = 0;
  return true;
}

/* Products never mix: what an integer times a float should round to is for dequant to say. */
static bool check_product_types(const Verify *v) {
  const Node *a = operand(v, 0), *b = operand(v, 1);
  for (int i = 0; i < 2; i++)
    if (operand(v, i)->type == KILN_BOOL) return refuse_bool(v, i);
  if (is_floating(a) == is_floating(b)) return true;
  int integer = is_floating(a) ? 1 : 0;
  return FAULT(v, "'%s' multiplies %s by %s: dequant '%s' first", phrase(v).text, phrase_type(v, 0).text,
               phrase_type(v, 1).text, phrase_operand(v, integer).text);
}

/* The fault of two sizes that should be as `rule` says. */
static bool refuse_product(const Verify *v, Dim a, Dim b, const char *rule) {
  return FAULT(v, "'%s' multiplies %s by %s: %s and %s must be %s", phrase(v).text, phrase_type(v, 0).text,
               phrase_type(v, 1).text, phrase_dim(v, a).text, phrase_dim(v, b).text, rule);
}

/* numpy's matmul: an operand of one axis is a row on the left, a column on the right, and loses that axis again. */
static bool verify_MATMUL(const Verify *v) {
  if (!need_rank(v, 0, 1) || !need_rank(v, 1, 1) || !check_product_types(v)) return false;
  if (!join_types(v, 0, 1, &v->node->compute)) return false;
  const Shape *a = &operand(v, 0)->shape, *b = &operand(v, 1)->shape;
  int a_batch = a->rank > 2 ? a->rank - 2 : 0, b_batch = b->rank > 2 ? b->rank - 2 : 0;
  Dim k = a->dims[a->rank - 1], k_of_b = b->dims[b->rank > 1 ? b->rank - 2 : 0];
  if (!dim_equal(k, k_of_b)) return refuse_product(v, k, k_of_b, "equal");
  Shape *shape = &v->node->shape;
  int batch = a_batch > b_batch ? a_batch : b_batch;
  for (int back = 0; back < batch; back++) {
    Dim da = back < a_batch ? a->dims[a_batch - 1 - back] : (Dim){1, -1};
    Dim db = back < b_batch ? b->dims[b_batch - 1 - back] : (Dim){1, -1};
    if (!join_dims(da, db, &shape->dims[batch - 1 - back])) return refuse_product(v, da, db, "equal or 1");
  }
  shape->rank = batch;
  if (a->rank > 1) shape->dims[shape->rank++] = a->dims[a->rank - 2];
  if (b->rank > 1) shape->dims[shape->rank++] = b->dims[b->rank - 1];
  v->node->type = v->node->compute;
  return true;
}

static bool verify_TRANSPOSE(const Verify *v) {
  if (!need_rank(v, 0, 2)) return false;
  const Node *x = operand(v, 0);
  v->node->type = v->node->compute = x->type;
  v->node->shape = x->shape;
  Dim *last = &v->node->shape.dims[x->shape.rank - 1];
  Dim swapped = last[0];
  last[0] = last[-1];
  last[-1] = swapped;
  return true;
}

static bool verify_ARITHMETIC(const Verify *v) {
  int last = v->node->operand_count - 1;
  if (!join_types(v, 0, last, &v->node->compute) || !broadcast_all(v, 0, last)) return false;
  if (v->node->op == KILN_OP_DIV) v->node->compute = as_floating(v->node->compute);
  v->node->type = v->node->compute;
  return true;
}

static bool verify_COMPARE(const Verify *v) {
  if (!join_types(v, 0, 1, &v->node->compute) || !broadcast_all(v, 0, 1)) return false;
  v->node->type = KILN_BOOL;
  return true;
}

static bool verify_SELECT(const Verify *v) {
  if (operand(v, 0)->type != KILN_BOOL)
    return FAULT(v, "'%s' chooses by '%s', which is %s and not bool: compare it", phrase(v).text,
                 phrase_operand(v, 0).text, phrase_type(v, 0).text);
  if (operand(v, 1)->type == KILN_BOOL && operand(v, 2)->type == KILN_BOOL) v->node->compute = KILN_BOOL;
  else if (!join_types(v, 1, 2, &v->node->compute)) return false;
  v->node->type = v->node->compute;
  return broadcast_all(v, 0, 2);
}

static bool verify_UNARY(const Verify *v) {
  if (!join_types(v, 0, 0, &v->node->compute)) return false;
  v->node->type = v->node->compute;
  v->node->shape = operand(v, 0)->shape;
  return true;
}

static bool verify_FUNCTION(const Verify *v) {
  if (!join_as_floating(v, 0, 0, &v->node->compute)) return false;
  v->node->type = v->node->compute;
  v->node->shape = operand(v, 0)->shape;
  return true;
}

/* Whether a scale or zero fits the quantised tensor: each axis 1 or equal, and the last but one may be a number of
 * groups of rows. Symbols are compared when they are bound. */
static bool check_scale_shape(const Verify *v, int index) {
  const Shape *whole = &operand(v, 0)->shape, *scale = &operand(v, index)->shape;
  bool fits = scale->rank <= whole->rank;
  for (int back = 0; fits && back < scale->rank; back++) {
    Dim rows = axis_from_last(whole, back), groups = axis_from_last(scale, back);
    bool divides = rows.symbol >= 0 || groups.symbol >= 0 || (groups.size > 0 && rows.size % groups.size == 0);
    fits = dim_is_one(groups) || dim_equal(rows, groups) || (back == 1 && divides);
  }
  if (fits) return true;
  return FAULT(v, "'%s' scales %s by %s: each axis must be 1 or equal, the last but one may divide into groups",
               phrase(v).text, phrase_type(v, 0).text, phrase_type(v, index).text);
}

/* A zero is like the scale, or one for all. */
static bool check_zero_shape(const Verify *v) {
  if (v->node->operand_count < 3) return true;
  const Shape *scale = &operand(v, 1)->shape, *zero = &operand(v, 2)->shape;
  bool same = zero->rank == 0 || zero->rank == scale->rank;
  for (int i = 0; same && i < zero->rank; i++) same = dim_equal(zero->dims[i], scale->dims[i]);
  if (same) return true;
  return FAULT(v, "'%s' needs a zero like the scale or a scalar, found %s and the scale %s", phrase(v).text,
               phrase_type(v, 2).text, phrase_type(v, 1).text);
}

/* What DEQUANT and QUANT have in common. */
static bool check_scales(const Verify *v) {
  if (!join_as_floating(v, 0, v->node->operand_count - 1, &v->node->compute)) return false;
  v->node->type = v->node->compute;
  const Node *scale = operand(v, 1);
  if (!is_floating(scale))
    return FAULT(v, "'%s' needs a floating scale, found %s", phrase(v).text, phrase_type(v, 1).text);
  v->node->shape = operand(v, 0)->shape;
  return check_scale_shape(v, 1) && check_zero_shape(v);
}

static bool verify_DEQUANT(const Verify *v) {
  const Node *q = operand(v, 0);
  if (!type_is_integer(q->type) && !(is_floating(q) && type_bits(q->type) == 8))
    return FAULT(v, "'%s' needs an integer or f8 tensor, found %s", phrase(v).text, phrase_type(v, 0).text);
  return check_scales(v);
}

/* The type comes with the name (graph_set_name). */
static bool verify_QUANT(const Verify *v) { return check_scales(v); }

static bool verify_REDUCE(const Verify *v) {
  if (!join_types(v, 0, 0, &v->node->compute) || !need_rank(v, 0, 1)) return false;
  if (v->node->op == KILN_OP_MEAN) v->node->compute = as_floating(v->node->compute);
  v->node->type = v->node->compute;
  v->node->shape = operand(v, 0)->shape;
  v->node->shape.dims[v->node->shape.rank - 1] = (Dim){1, -1};
  return true;
}

static bool verify_ROWWISE(const Verify *v) {
  if (!need_rank(v, 0, 1)) return false;
  for (int i = 1; i < v->node->operand_count; i++)
    if (!need_exact_rank(v, i, 0)) return false;
  if (!join_as_floating(v, 0, v->node->operand_count - 1, &v->node->compute)) return false;
  v->node->type = v->node->compute;
  v->node->shape = operand(v, 0)->shape;
  return true;
}

static bool verify_MASK(const Verify *v) {
  if (!join_types(v, 0, 0, &v->node->compute) || !need_rank(v, 0, 2)) return false;
  if (v->node->compute == KILN_I32)
    return FAULT(v, "'%s' needs floats, because integers have no -inf; found %s", phrase(v).text,
                 phrase_type(v, 0).text);
  v->node->type = v->node->compute;
  v->node->shape = operand(v, 0)->shape;
  return true;
}

/* Indices and offsets are i32: other integers would silently wrap or lose range. */
static bool need_index(const Verify *v, int index) {
  if (!need_exact_rank(v, index, 1)) return false;
  if (operand(v, index)->type == KILN_I32) return true;
  return FAULT(v, "'%s' needs i32 in '%s', found %s", phrase(v).text, phrase_operand(v, index).text,
               phrase_type(v, index).text);
}

static bool verify_GATHER(const Verify *v) {
  if (!need_exact_rank(v, 0, 2) || !need_index(v, 1)) return false;
  const Node *x = operand(v, 0);
  v->node->type = v->node->compute = x->type;
  v->node->shape = (Shape){2, {operand(v, 1)->shape.dims[0], x->shape.dims[1]}};
  return true;
}

static bool verify_GROUPED(const Verify *v) {
  if (!need_exact_rank(v, 0, 2) || !need_exact_rank(v, 1, 3) || !need_index(v, 2) || !check_product_types(v))
    return false;
  if (!join_types(v, 0, 1, &v->node->compute)) return false;
  const Shape *x = &operand(v, 0)->shape, *w = &operand(v, 1)->shape;
  Dim groups = operand(v, 2)->shape.dims[0];
  if (!dim_equal(x->dims[1], w->dims[1])) return refuse_product(v, x->dims[1], w->dims[1], "equal");
  if (!dim_equal(w->dims[0], groups))
    return FAULT(v, "'%s' has %s weights and %s offsets: they must be equally many", phrase(v).text,
                 phrase_dim(v, w->dims[0]).text, phrase_dim(v, groups).text);
  v->node->type = v->node->compute;
  v->node->shape = (Shape){2, {x->dims[0], w->dims[2]}};
  return true;
}

static bool (*const form_rows[])(const Verify *) = {
#define FORM(name) [FORM_##name] = verify_##name,
    GRAPH_FORMS(FORM)
#undef FORM
};

bool graph_verify_node(kiln_graph *graph, Node *node, int number) {
  Verify verify = {graph, node, number};
  return form_rows[graph_op_info(node->op)->form](&verify);
}

/* ---- the whole graph --------------------------------------------------------------------------------------------- */

static bool is_output(const kiln_graph *graph, int number) {
  for (size_t i = 0; i < graph->outputs.count; i++)
    if (graph->outputs.items[i] == number) return true;
  return false;
}

/* What is never used, and strides that describe no memory. */
static void check_uses(kiln_graph *graph) {
  for (int i = 0; i < (int)graph->nodes.count; i++) {
    const Node *node = graph_node(graph, i);
    if (node->poison) continue;
    if (node->use_count == 0) graph_fault(graph, node->pos, "'%s' is never used", graph_phrase(graph, i).text);
    else if (node->has_strides && node->op != KILN_OP_INPUT && !is_output(graph, i))
      graph_fault(graph, node->pos, "'%s' has strides but is not returned", graph_phrase(graph, i).text);
  }
}

/* What graph_check says, now and whenever it is asked again. */
static kiln_status verdict(const kiln_graph *graph) {
  if (graph->checked) return KILN_OK;
  if (arena_has_failed(&graph->arena) || arena_has_failed(&graph->faults.arena)) return KILN_OUT_OF_MEMORY;
  return graph->malformed ? KILN_SYNTAX : KILN_INVALID_GRAPH;
}

kiln_status graph_check(kiln_graph *graph) {
  if (graph->examined) return verdict(graph);
  if (!graph->returned && !arena_has_failed(&graph->arena))
    graph_fault(graph, graph->end, "nothing is returned: the last statement must be 'return' and a value");
  if (!graph->malformed && !graph->full && graph->returned) check_uses(graph);
  for (size_t i = 0; i < graph->outputs.count; i++)
    graph_check_view(graph, graph_node(graph, graph->outputs.items[i]), true, NULL, &graph->faults);
  if (graph->symbols.count == 0 && graph->faults.list.count == 0) graph_check_symbols(graph, NULL, &graph->faults);
  graph->examined = true;
  graph->checked = graph->faults.list.count == 0 && !arena_has_failed(&graph->arena);
  return verdict(graph);
}
