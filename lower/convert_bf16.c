/* convert_bf16.c: f32 to bf16 by the instruction for it, vcvtneps2bf16, which rounds as we want but takes subnormal
 * numbers for zeros, whatever the caller's modes. So a tile is asked once whether it has any, which hardly one has;
 * then all of it is done in integer operations (convert_small.c). */
#include "lower/emit.h"

enum { WIDTH = 16, LEAST_NORMAL = 0x00800000 };

bool lower_can_convert_bf16(const Emitter *e, LLVMValueRef x) {
  return target_has(e->target, FEATURE_AVX512BF16) && lower_lane_count(x) == WIDTH;
}

/* i1: whether some lane is subnormal: without its sign and less 1, a zero is the greatest of all. */
static LLVMValueRef has_subnormals(Emitter *e, const LLVMValueRef *x, int count) {
  LLVMTypeRef type = lower_like(x[0], e->i32);
  LLVMValueRef least = NULL;
  for (int i = 0; i < count; ++i) {
    LLVMValueRef bits = LLVMBuildBitCast(e->builder, x[i], type, "");
    LLVMValueRef twice = LLVMBuildAdd(e->builder, bits, bits, "");
    LLVMValueRef lower = LLVMBuildAdd(e->builder, twice, lower_splat_integer(type, -1), "");
    least = least ? lower_call_2(e, INTRINSIC_UMIN, least, lower) : lower;
  }
  LLVMValueRef limit = lower_splat_integer(type, 2 * LEAST_NORMAL - 1);
  LLVMValueRef lanes = LLVMBuildICmp(e->builder, LLVMIntULT, least, limit, "");
  LLVMValueRef mask = LLVMBuildBitCast(e->builder, lanes, e->i16, "");
  return LLVMBuildICmp(e->builder, LLVMIntNE, mask, LLVMConstInt(e->i16, 0, false), "");
}

static LLVMValueRef by_instruction(Emitter *e, LLVMValueRef x) {
  LLVMValueRef result = lower_call(e, INTRINSIC_TO_BF16_512, NULL, NULL, &x, 1);
  return LLVMBuildBitCast(e->builder, result, lower_like(x, e->i16), "");
}

static LLVMValueRef load_staged(Emitter *e, LLVMTypeRef type, LLVMValueRef place) {
  LLVMValueRef load = LLVMBuildLoad2(e->builder, type, place, "");
  LLVMSetAlignment(load, LOWER_STAGE_ALIGN);
  return load;
}

static void store_staged(Emitter *e, LLVMValueRef x, LLVMValueRef place) {
  LLVMSetAlignment(LLVMBuildStore(e->builder, x, place), LOWER_STAGE_ALIGN);
}

/* Through stack memory, one vector after the other: less code than each by itself. */
static void convert_rarely(Emitter *e, const LLVMValueRef *x, int count, LLVMValueRef *out) {
  enum { FEW = 2, BYTES = 4 * WIDTH };
  for (int i = 0; i < count && count <= FEW; ++i) out[i] = lower_f32_to_small(e, x[i], KILN_BF16);
  if (count <= FEW) return;
  LLVMValueRef stage = lower_stage(e, (int64_t)count * BYTES);
  LLVMTypeRef from = LLVMTypeOf(x[0]), to = lower_like(x[0], e->i16);
  for (int i = 0; i < count; ++i) store_staged(e, x[i], lower_step(e, e->i8, stage, lower_i64(e, (int64_t)i * BYTES)));
  Counting loop = lower_count(e);
  LLVMValueRef place = lower_step(e, e->i8, stage, lower_mul(e, loop.index, lower_i64(e, BYTES)));
  store_staged(e, lower_f32_to_small(e, load_staged(e, from, place), KILN_BF16), place);
  lower_count_to(e, loop, lower_i64(e, count), NULL);
  for (int i = 0; i < count; ++i)
    out[i] = load_staged(e, to, lower_step(e, e->i8, stage, lower_i64(e, (int64_t)i * BYTES)));
}

void lower_convert_bf16(Emitter *e, const LLVMValueRef *x, int count, LLVMValueRef *out) {
  LLVMValueRef *rare = LOWER_ARRAY(e, LLVMValueRef, count);
  LLVMBasicBlockRef ends[2], start = LLVMAppendBasicBlockInContext(e->context, e->function, "bf16.subnormal");
  LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(e->context, e->function, "bf16");
  for (int i = 0; i < count; ++i) out[i] = by_instruction(e, x[i]);
  lower_branch_rarely(e, has_subnormals(e, x, count), start, done);
  ends[0] = LLVMGetInsertBlock(e->builder);
  LLVMPositionBuilderAtEnd(e->builder, start);
  convert_rarely(e, x, count, rare);
  LLVMBuildBr(e->builder, done);
  ends[1] = LLVMGetInsertBlock(e->builder);
  LLVMPositionBuilderAtEnd(e->builder, done);
  for (int i = 0; i < count; ++i) {
    LLVMValueRef values[] = {out[i], rare[i]};
    out[i] = LLVMBuildPhi(e->builder, LLVMTypeOf(values[0]), "");
    LLVMAddIncoming(out[i], values, ends, 2);
  }
}
