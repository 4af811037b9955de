/* gemm_types.c: which matrix instruction a product meets, and in which types its operands reach it. */
#include "templates/gemm.h"

int64_t gemm_lanes(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return plan->problem.target->vector_bits / (int)type_bits(match->acc);
}

int64_t gemm_bytes(kiln_type type, int64_t count) { return (int64_t)type_bytes(type, (size_t)count); }

GemmTypes gemm_types(const Plan *plan) {
  const GemmMatch *match = plan->match;
  GemmTypes types = {match->a.node->type, match->b.node->type, match->acc, 1, 1};
  if (plan->schedule.values[FIELD_convert] == CONVERT_PACK) types.a = types.b = match->acc;
  const MmaInstruction *candidates[MMA_MAX_CANDIDATES];
  if (mma_candidates(plan->problem.target, types.a, types.b, types.acc, candidates) == 0) return types;
  types.step = candidates[0]->k;
  types.group = candidates[0]->group;
  return types;
}
