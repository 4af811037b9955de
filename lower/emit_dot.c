/* emit_dot.c: tile_dot. Neighbours that fill a lane of 32 bits are a group, as the rows of mma.def take them (dot.h);
 * without such a row each is taken out of its lane, and there are so many products. */
#include "lower/dot.h"

enum { MOST = 64 };

static int group_of(kiln_type type) { return 32 / (int)type_bits(type); }

/* The target's instruction for groups of these; NULL: it has none. */
static const MmaInstruction *instruction_for(const Emitter *e, kiln_type x, kiln_type y, kiln_type sum) {
  const MmaInstruction *rows[MMA_MAX_CANDIDATES];
  size_t count = mma_candidates(e->target, x, y, sum, rows);
  for (size_t i = 0; i < count; ++i)
    if (rows[i]->strategy == MMA_DOT && rows[i]->k == group_of(x) && lower_dot_steps(rows[i]) == 1) return rows[i];
  return NULL;
}

/* The groups that meet chunk `c` of a row of sums. Parts are loads of adjacent memory more often than not, and LLVM
 * joins them. */
static LLVMValueRef groups_for(Emitter *e, const Lowered *x, int row, int c, int lanes) {
  const LLVMValueRef *parts = &x->parts[row * lower_chunks(e, x->type.cols)];
  LLVMTypeRef type = lower_lanes_of(e->i32, lanes);
  int group = group_of(x->type.type), first = c * group * e->lanes;
  if (lanes == e->lanes && first + group * lanes <= x->type.cols)
    return LLVMBuildBitCast(e->builder, lower_concat(e, parts + first / e->lanes, group), type, "");
  LaneSource sources[MOST] = {{NULL, 0}};
  for (int i = 0; i < group * lanes && first + i < x->type.cols; ++i)
    sources[i] = (LaneSource){parts[(first + i) / e->lanes], (first + i) % e->lanes};
  LLVMValueRef flat = lower_collect(e, lower_element(e, x->type.type), sources, group * lanes);
  return LLVMBuildBitCast(e->builder, flat, type, "");
}

/* Element `number` of each group, as the sum's type has it. */
static LLVMValueRef element_of(Emitter *e, LLVMValueRef groups, kiln_type type, int number) {
  LLVMTypeRef lanes = LLVMTypeOf(groups);
  int bits = (int)type_bits(type), above = 32 - bits * (number + 1);
  LLVMValueRef top = LLVMBuildShl(e->builder, groups, lower_splat_integer(lanes, above), "");
  LLVMValueRef down = lower_splat_integer(lanes, 32 - bits);
  if (type == KILN_I8) return LLVMBuildAShr(e->builder, top, down, "");
  if (type == KILN_U8) return LLVMBuildLShr(e->builder, top, down, "");
  if (number > 0) top = LLVMBuildAnd(e->builder, groups, lower_splat_integer(lanes, (int64_t)0xffff0000), "");
  return LLVMBuildBitCast(e->builder, top, lower_like(groups, e->f32), ""); /* bf16 is the upper half of f32 */
}

static LLVMValueRef add_elements(Emitter *e, LLVMValueRef sum, const Lowered *x, LLVMValueRef left, const Lowered *y,
                                 LLVMValueRef right) {
  for (int i = 0; i < group_of(x->type.type); ++i) {
    LLVMValueRef a = element_of(e, left, x->type.type, i), b = element_of(e, right, y->type.type, i);
    sum = x->type.type == KILN_BF16 ? lower_fma(e, a, b, sum)
                                    : LLVMBuildAdd(e->builder, sum, LLVMBuildMul(e->builder, a, b, ""), "");
  }
  return sum;
}

static LLVMValueRef add_groups(Emitter *e, const MmaInstruction *instruction, LLVMValueRef sum, LLVMValueRef x,
                               LLVMValueRef y) {
  if (!lower_dot_has_excess(instruction)) return lower_dot_add(e, instruction, sum, x, y);
  LLVMValueRef offset = lower_dot_excess(e, lower_lane_count(sum)), zero = LLVMConstNull(LLVMTypeOf(sum));
  sum = lower_dot_add(e, instruction, sum, LLVMBuildXor(e->builder, x, offset, ""), y);
  return LLVMBuildSub(e->builder, sum, lower_dot_add(e, instruction, zero, offset, y), "");
}

void emit_tile_dot(Emitter *e, const Op *op) {
  const Lowered *sum = lower_get(e, op->operands[0]), *x = lower_get(e, op->operands[1]);
  const Lowered *y = lower_get(e, op->operands[2]);
  const MmaInstruction *instruction = instruction_for(e, x->type.type, y->type.type, sum->type.type);
  Lowered *result = lower_result(e, op);
  int chunks = lower_chunks(e, sum->type.cols);
  for (int i = 0; i < result->count; ++i) {
    int lanes = lower_lane_count(sum->parts[i]);
    LLVMValueRef left = groups_for(e, x, i / chunks, i % chunks, lanes);
    LLVMValueRef right = groups_for(e, y, i / chunks, i % chunks, lanes);
    result->parts[i] = instruction != NULL ? add_groups(e, instruction, sum->parts[i], left, right)
                                           : add_elements(e, sum->parts[i], x, left, y, right);
  }
}
