/* gemm_sizes.c: sizes as the kernel sees them: numbers, symbols of the graph, or, where sizes=passed, arguments that
 * stand for the graph's numbers. Code then differs only in what numbers decide by what they are (whether n is whole
 * panels, whether k has a rest), so products of one kind come out as the same tile IR, and share an object. */
#include "templates/gemm.h"

/* Sizes of 1 broadcast, and those of 0 leave nothing to do: code knows them. */
enum { LARGEST_KNOWN = 1 };

Dim gemm_axis(const Plan *plan, int axis) {
  const GemmMatch *match = plan->match;
  switch (axis) {
  case GEMM_M: return match->m;
  case GEMM_N: return match->n;
  case GEMM_K: return match->k;
  case GEMM_DEPTH: return gemm_loop_k(plan);
  default: return match->batch[axis - GEMM_BATCH];
  }
}

static bool is_passed(const Plan *plan, int axis) {
  const Schedule *s = &plan->schedule;
  if (!s->set[FIELD_sizes] || s->values[FIELD_sizes] != SIZES_PASSED) return false;
  Dim d = gemm_axis(plan, axis);
  return d.symbol < 0 && d.size > LARGEST_KNOWN && (axis != GEMM_DEPTH || !dim_equal(d, gemm_axis(plan, GEMM_K)));
}

bool gemm_has_numbers(const Plan *plan) {
  const GemmMatch *match = plan->match;
  for (int axis = 0; axis < GEMM_BATCH + match->batch_rank; ++axis) {
    Dim d = gemm_axis(plan, axis);
    if (d.symbol < 0 && d.size > LARGEST_KNOWN) return true;
  }
  return false;
}

Extent gemm_extent(const Plan *plan, int axis) {
  if (axis == GEMM_DEPTH && !is_passed(plan, axis) && dim_equal(gemm_axis(plan, axis), gemm_axis(plan, GEMM_K)))
    axis = GEMM_K;
  Dim d = gemm_axis(plan, axis);
  if (!is_passed(plan, axis)) return (Extent){.number = d.size, .symbol = d.symbol < 0 ? EXTENT_NUMBER : d.symbol};
  int symbol = (int)plan->problem.graph->symbols.count;
  for (int before = 0; before < axis; ++before) symbol += is_passed(plan, before);
  return (Extent){0, symbol};
}

void gemm_list_sizes(Plan *plan) {
  static const char *const names[GEMM_AXES] = {"m", "n", "k", "depth", "batch", "batch2"};
  const GemmMatch *match = plan->match;
  plan->size_count = 0;
  for (int axis = 0; axis < GEMM_BATCH + match->batch_rank; ++axis)
    if (is_passed(plan, axis)) plan->sizes[plan->size_count++] = (PlanSize){names[axis], gemm_axis(plan, axis).size};
}

/* Axis `from_last` of a tensor, counted from its last one, in a factor or in what meets C. */
static int axis_at(const GemmMatch *match, const Node *node, int from_last) {
  if (from_last >= 2) return GEMM_BATCH + match->batch_rank + 1 - from_last;
  bool is_a = node == match->a.node, is_b = node == match->b.node;
  bool is_turned = (is_a && match->a.transposed) || (is_b && match->b.transposed);
  bool is_last = (from_last == 0) != is_turned;
  if (is_a) return is_last ? GEMM_K : GEMM_M;
  if (is_b) return is_last ? GEMM_N : GEMM_K;
  return is_last ? GEMM_N : GEMM_M;
}

Extent gemm_extent_of(const Plan *plan, const Node *node, int axis) {
  const GemmMatch *match = plan->match;
  Dim d = node->shape.dims[axis];
  int from_last = node->shape.rank - 1 - axis, place = axis_at(match, node, from_last);
  /* What meets C may be the transpose of it. */
  bool is_turned =
      from_last < 2 && !dim_equal(d, gemm_axis(plan, place)) && node != match->a.node && node != match->b.node;
  if (is_turned) place = place == GEMM_N ? GEMM_M : GEMM_N;
  if (d.symbol < 0 && dim_equal(d, gemm_axis(plan, place))) return gemm_extent(plan, place);
  return (Extent){.number = d.size, .symbol = d.symbol < 0 ? EXTENT_NUMBER : d.symbol};
}

BufType gemm_buffer_type(const Plan *plan, const Node *node) {
  BufType type = buf_of_node(node);
  for (int axis = 0; axis < type.rank; ++axis) type.dims[axis] = gemm_extent_of(plan, node, axis);
  return type;
}

BufType gemm_packed_type(const Plan *plan, int input) {
  const GemmMatch *match = plan->match;
  BufType type = plan->packs[input].type;
  for (int axis = 0; axis < type.rank - 2; ++axis) type.dims[axis] = gemm_extent_of(plan, match->b.node, axis);
  type.dims[type.rank - 2] = gemm_extent(plan, GEMM_DEPTH);
  type.dims[type.rank - 1] = gemm_extent(plan, GEMM_N);
  return type;
}

BufType gemm_turned(BufType type) {
  Extent one = {.number = 1, .symbol = EXTENT_NUMBER};
  BufType view = type;
  if (type.layout == LAYOUT_ROW_MAJOR) view.layout = LAYOUT_STRIDED;
  view.dims[0] = type.dims[1];
  view.dims[1] = type.dims[0];
  view.strides[0] = type.layout == LAYOUT_STRIDED ? type.strides[1] : one;
  view.strides[1] = type.layout == LAYOUT_STRIDED ? type.strides[0] : type.dims[1];
  return view;
}
