/* gemm_types.c: which matrix instruction a product meets, and in which types its operands reach it. */
#include "templates/gemm.h"

bool gemm_is_bare(const Plan *plan) {
  const GemmMatch *match = plan->match;
  const kiln_graph *graph = plan->problem.graph;
  if (graph->outputs.count != 1 || graph->outputs.items[0] != match->product || match->is_quantised) return false;
  const Node *node = graph_node(graph, match->product);
  BufType c = gemm_view(node, false);
  bool has_rows = c.layout == LAYOUT_ROW_MAJOR || (c.strides[1].symbol == EXTENT_NUMBER && c.strides[1].number == 1);
  return node->type == match->acc && has_rows && gemm_types(plan).shift == 0;
}

int64_t gemm_lanes(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return plan->problem.target->vector_bits / (int)type_bits(match->acc);
}

int64_t gemm_bytes(kiln_type type, int64_t count) { return (int64_t)type_bytes(type, (size_t)count); }

bool gemm_runs_along_k(const BufType *b) {
  return b->layout == LAYOUT_STRIDED && b->strides[0].symbol == EXTENT_NUMBER && b->strides[0].number == 1;
}

bool gemm_b_runs_along_k(const Plan *plan) {
  const GemmMatch *match = plan->match;
  BufType b = gemm_view(match->b.node, match->b.transposed);
  return gemm_runs_along_k(&b);
}

/* Whether steps of k lie one after another in the last axis of a view (rows), or in the one before. */
static bool is_run(const BufType *view, int axis) {
  const Extent *stride = &view->strides[axis];
  if (view->layout == LAYOUT_STRIDED) return stride->symbol == EXTENT_NUMBER && stride->number == 1;
  bool is_column = view->dims[1].symbol == EXTENT_NUMBER && view->dims[1].number == 1;
  return view->layout == LAYOUT_ROW_MAJOR && (axis == 1 || is_column);
}

bool gemm_is_column(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return match->n.symbol < 0 && match->n.size == 1;
}

/* Sums are in another order then, so a few rows do not where results must not depend on how many there are. */
bool gemm_has_dots(const Plan *plan) {
  const GemmMatch *match = plan->match;
  BufType a = gemm_view(match->a.node, match->a.transposed), b = gemm_view(match->b.node, match->b.transposed);
  bool are_few = match->m.symbol < 0 && match->m.size <= GEMM_FEW_ROWS_OF_DOTS && !plan->problem.batch_invariant;
  bool are_whole = type_bits(a.type) >= 8 && type_bits(b.type) >= 8;
  return (gemm_is_column(plan) || are_few) && are_whole && is_run(&a, 1) && is_run(&b, 0);
}

/* Elements that tile_dot adds to one sum; 1: they are converted and multiplied. */
static int dot_group(const GemmTypes *types) {
  bool are_bytes = type_bits(types->a) == 8 && type_bits(types->b) == 8 && types->acc == KILN_I32;
  bool are_pairs = types->a == KILN_BF16 && types->b == KILN_BF16 && types->acc == KILN_F32;
  return are_bytes ? 4 : are_pairs ? 2 : 1;
}

bool gemm_is_by_dots(const Plan *plan) { return plan->schedule.values[FIELD_mma] == MMA_AS_DOTS; }

/* Instructions on tile registers multiply whole 16 rows. */
static bool is_tile(const MmaInstruction *row) { return row->m >= 16; }

static const MmaInstruction *best_row(const Plan *plan, kiln_type a, kiln_type b, bool on_tiles) {
  const GemmMatch *match = plan->match;
  const MmaInstruction *candidates[MMA_MAX_CANDIDATES];
  size_t count = mma_candidates(plan->problem.target, a, b, match->acc, candidates);
  for (size_t i = 0; i < count; ++i)
    if (is_tile(candidates[i]) == on_tiles) return candidates[i];
  return NULL;
}

/* Bytes of equal signs on an instruction that takes different ones: the lowering moves each element of A in the k loop,
 * which costs a third of its speed on x86; B moved where it is packed costs nothing, and sums of A's rows make up for
 * it.
 */
static bool wants_shift(const Plan *plan) {
  const GemmMatch *match = plan->match;
  const MmaInstruction *row = best_row(plan, match->a.node->type, match->b.node->type, false);
  return row != NULL && row->moves_a;
}

/* Measured for columns of B along k that nothing packs ahead (bench/results/speed.md, "Dot products along k"): more
 * rows than these are better turned or packed; of what is multiplied one by one, all that may be dots where panels are
 * narrow (f32 of 8 x 4096 x 4096 on Zen 3: 17.5 ms turned, 7.8 as dots). Pairs of bf16 take twice as long where their
 * instruction is slow. */
int64_t gemm_rows_worth_dots(const Plan *plan) {
  enum { FEWEST = 2, FEW = 6, MORE = GEMM_FEW_ROWS_OF_DOTS };
  const GemmMatch *match = plan->match;
  GemmTypes types = {.a = match->a.node->type, .b = match->b.node->type, .acc = match->acc};
  int group = dot_group(&types);
  if (group == 2 && !gemm_has_fast_dot(plan)) return FEWEST;
  bool is_worth_more = group == 4 ? !wants_shift(plan) : group == 1 && gemm_has_narrow_panels(plan);
  return is_worth_more ? MORE : FEW;
}

bool gemm_has_tiles(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return best_row(plan, match->a.node->type, match->b.node->type, true) != NULL;
}

bool gemm_widens_bytes(const Plan *plan) {
  const GemmMatch *match = plan->match;
  const MmaInstruction *row = best_row(plan, match->a.node->type, match->b.node->type, false);
  return row != NULL && row->widens;
}

bool gemm_has_fast_dot(const Plan *plan) {
  const GemmMatch *match = plan->match;
  const Target *target = plan->problem.target;
  const MmaInstruction *row = best_row(plan, match->a.node->type, match->b.node->type, false);
  if (row == NULL || row->k == 1) return false;
  if (target->family != FAMILY_X86_64) return true;
  FeatureSet bf16 = (FeatureSet)1 << FEATURE_AVX512BF16, avx10 = (FeatureSet)1 << FEATURE_AVX10_2;
  if ((row->features & avx10) != 0) return true;
  return (row->features & bf16) != 0 && (target->traits & TRAIT_FAST_BF16_DOT) != 0;
}

static bool wants_conversion(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return type_is_floating(match->acc) && (match->a.node->type != match->acc || match->b.node->type != match->acc);
}

bool gemm_converts(const Plan *plan) {
  return plan->schedule.values[FIELD_mma] == MMA_ON_VECTORS && (wants_conversion(plan) || wants_shift(plan));
}

/* Consecutive steps of k of a row of a packed A: those of one register of tiles, or where instructions splat elements
 * from memory 16 bytes, those of an iteration, so that packing moves pieces as they are; turning rows was a quarter of
 * the code and of a compile. Lines of 64 bytes were 3 % slower while other guests used the caches, since each is then
 * needed for four times as long (bench/results/speed.md). ARM's instructions splat lanes of a vector of several rows.
 */
static int group_of_rows(const Plan *plan, const MmaInstruction *row, kiln_type type, bool on_tiles) {
  enum { PIECE_BITS = 128, SHORTEST = 256 };
  const GemmMatch *match = plan->match;
  const Target *target = plan->problem.target;
  BufType a = gemm_view(match->a.node, match->a.transposed);
  bool splats = target->family == FAMILY_X86_64 && target->vector_bits >= SHORTEST;
  if (on_tiles) return row->k;
  return splats && is_run(&a, 1) && type_bits(type) >= 8 ? PIECE_BITS / (int)type_bits(type) : row->group;
}

GemmTypes gemm_types(const Plan *plan) {
  const GemmMatch *match = plan->match;
  GemmTypes types = {match->a.node->type, match->b.node->type, match->acc, 1, 1, 1, 1, 0};
  bool on_tiles = plan->schedule.values[FIELD_mma] == MMA_ON_TILES;
  if (plan->schedule.values[FIELD_convert] == CONVERT_PACK && !on_tiles) {
    if (wants_conversion(plan)) types.a = types.b = match->acc;
    else if (wants_shift(plan)) types.shift = types.b == KILN_I8 ? 128 : -128;
  }
  if (plan->schedule.values[FIELD_convert] == CONVERT_ROWS && !on_tiles && wants_conversion(plan)) types.a = match->acc;
  if (types.shift != 0) types.b = types.b == KILN_I8 ? KILN_U8 : KILN_I8;
  const MmaInstruction *vectors = best_row(plan, types.a, types.b, false);
  const MmaInstruction *row = on_tiles ? best_row(plan, types.a, types.b, true) : vectors;
  if (vectors != NULL) types.vector_step = vectors->k;
  if (gemm_is_by_dots(plan)) {
    types.step = (int)gemm_lanes(plan) * dot_group(&types);
    return types;
  }
  if (row == NULL) return types;
  bool is_in_place = plan->schedule.set[FIELD_pack_b] && plan->schedule.values[FIELD_pack_b] == PACK_B_NONE;
  if (is_in_place && !on_tiles && wants_conversion(plan) && !gemm_b_runs_along_k(plan))
    return types; /* each step of k is converted and multiplied */
  types.step = row->k;
  types.group = row->group;
  types.a_group = group_of_rows(plan, row, types.a, on_tiles);
  return types;
}

const MmaInstruction *gemm_instruction(const Plan *plan) {
  GemmTypes types = gemm_types(plan);
  return best_row(plan, types.a, types.b, plan->schedule.values[FIELD_mma] == MMA_ON_TILES);
}

Dim gemm_loop_k(const Plan *plan) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  Dim k = match->k;
  bool both_packed = s->values[FIELD_pack_a] == PACK_A_TASK && s->values[FIELD_pack_b] != PACK_B_NONE;
  if (k.symbol >= 0 || !both_packed) return k;
  int64_t step = gemm_types(plan).step;
  k.size = ceil_div(k.size, step) * step;
  return k;
}

int64_t gemm_unit_of_k(const Plan *plan) {
  const Schedule *s = &plan->schedule;
  int64_t ku = s->values[FIELD_ku], group = s->values[FIELD_pack_a] == PACK_A_TASK ? gemm_types(plan).a_group : 1;
  int64_t unit = ku;
  while (unit % group != 0) unit += ku;
  return unit;
}

bool gemm_has_pairs_of_rows(const Plan *plan) {
  GemmTypes types = gemm_types(plan);
  const MmaInstruction *row = best_row(plan, types.a, types.b, false);
  return row != NULL && row->m == 2;
}
