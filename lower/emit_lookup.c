/* emit_lookup.c: tile_lookup. Tables of up to 32 elements are permutes of registers where the target has them (AVX2,
 * AVX-512); else the table goes to the stack and each lane loads its element. */
#include "lower/emit.h"

/* ---- by permutes, in lanes of i32 -------------------------------------------------------------------------------- */

static LLVMValueRef to_i32(Emitter *e, LLVMValueRef x) {
  LLVMTypeRef element = lower_element_of(x), type = lower_like(x, e->i32);
  if (element == e->f32) return LLVMBuildBitCast(e->builder, x, type, "");
  return element == e->i32 ? x : LLVMBuildZExt(e->builder, x, type, "");
}

static LLVMValueRef from_i32(Emitter *e, LLVMValueRef x, LLVMTypeRef element) {
  LLVMTypeRef type = lower_like(x, element);
  if (element == e->f32) return LLVMBuildBitCast(e->builder, x, type, "");
  return element == e->i32 ? x : LLVMBuildTrunc(e->builder, x, type, "");
}

/* The table as vectors of whole registers. Repeated where it is shorter, so that indices need no reduction modulo its
 * size. */
static int table_vectors(Emitter *e, const Lowered *table, LLVMValueRef vectors[2]) {
  int size = table->type.cols, count = size > e->lanes ? 2 : 1;
  for (int v = 0; v < count; ++v) {
    LaneSource sources[64];
    for (int i = 0; i < e->lanes; ++i) {
      int at = (v * e->lanes + i) % size;
      sources[i] = (LaneSource){table->parts[at / e->lanes], at % e->lanes};
    }
    vectors[v] = to_i32(e, lower_collect(e, lower_element(e, table->type.type), sources, e->lanes));
  }
  return count;
}

static LLVMValueRef permute(Emitter *e, LLVMValueRef vector, LLVMValueRef index) {
  Intrinsic id = e->lanes == 16 ? INTRINSIC_PERMUTE_512 : INTRINSIC_PERMUTE_256;
  return lower_call(e, id, NULL, NULL, (LLVMValueRef[]){vector, index}, 2);
}

/* The instructions use the low bits of the index alone; the next one chooses between two vectors. */
static LLVMValueRef look_up(Emitter *e, const LLVMValueRef *vectors, int count, LLVMValueRef index) {
  LLVMValueRef low = permute(e, vectors[0], index);
  if (count == 1) return low;
  LLVMTypeRef type = LLVMTypeOf(index);
  LLVMValueRef bit = LLVMBuildAnd(e->builder, index, lower_splat_integer(type, e->lanes), "");
  LLVMValueRef is_low = LLVMBuildICmp(e->builder, LLVMIntEQ, bit, LLVMConstNull(type), "");
  return LLVMBuildSelect(e->builder, is_low, low, permute(e, vectors[1], index), "");
}

static void by_permutes(Emitter *e, const Lowered *table, const Lowered *index, Lowered *result) {
  LLVMValueRef vectors[2];
  int count = table_vectors(e, table, vectors);
  for (int i = 0; i < result->count; ++i) {
    LLVMValueRef x = index->parts[i];
    LaneSource sources[64] = {{NULL, 0}};
    int lanes = lower_lane_count(x);
    for (int lane = 0; lane < lanes; ++lane) sources[lane] = (LaneSource){x, lane};
    x = to_i32(e, lanes == e->lanes ? x : lower_collect(e, lower_element_of(x), sources, e->lanes));
    LLVMValueRef found = lower_part_of(e, look_up(e, vectors, count, x), 0, lanes);
    result->parts[i] = from_i32(e, found, lower_element(e, table->type.type));
  }
}

/* ---- through memory ---------------------------------------------------------------------------------------------- */

static LLVMValueRef element_at(Emitter *e, LLVMTypeRef type, LLVMValueRef memory, LLVMValueRef index, int size) {
  LLVMValueRef at = LLVMBuildAnd(e->builder, index, lower_i64(e, size - 1), "");
  return LLVMBuildLoad2(e->builder, type, LLVMBuildGEP2(e->builder, type, memory, &at, 1, ""), "");
}

static LLVMValueRef wide_index(Emitter *e, LLVMValueRef index, kiln_type type) {
  return type_class(type) == CLASS_SIGNED ? LLVMBuildSExt(e->builder, index, e->i64, "")
                                          : LLVMBuildZExt(e->builder, index, e->i64, "");
}

static LLVMValueRef memory_lanes(Emitter *e, LLVMValueRef x) {
  return lower_element_of(x) == e->i1 ? LLVMBuildZExt(e->builder, x, lower_like(x, e->i8), "") : x;
}

static void through_memory(Emitter *e, const Lowered *table, const Lowered *index, Lowered *result) {
  LLVMTypeRef element = lower_element(e, table->type.type), stored = element == e->i1 ? e->i8 : element;
  int size = table->type.cols;
  LLVMValueRef memory = lower_alloca(e, stored, (int64_t)lower_chunks(e, size) * e->lanes, 64);
  for (int c = 0; c < lower_chunks(e, size); ++c) {
    LLVMValueRef offset = lower_i64(e, c * e->lanes);
    LLVMValueRef place = LLVMBuildGEP2(e->builder, stored, memory, &offset, 1, "");
    LLVMValueRef store = LLVMBuildStore(e->builder, memory_lanes(e, table->parts[c]), place);
    LLVMSetAlignment(store, (type_bits(table->type.type) + 7) / 8);
  }
  int chunks = lower_chunks(e, result->type.cols);
  for (int i = 0; i < result->count; ++i) {
    LLVMValueRef found = LLVMGetPoison(lower_like(index->parts[i], stored));
    for (int lane = 0; lane < lower_chunk_valid(e, result->type.cols, i % chunks); ++lane) {
      LLVMValueRef at = wide_index(e, lower_extract(e, index->parts[i], lane), index->type.type);
      found = lower_insert(e, found, element_at(e, stored, memory, at, size), lane);
    }
    result->parts[i] = stored == element ? found : LLVMBuildTrunc(e->builder, found, lower_like(found, element), "");
  }
}

void emit_tile_lookup(Emitter *e, const Op *op) {
  const Lowered *table = lower_get(e, op->operands[0]), *index = lower_get(e, op->operands[1]);
  Lowered *result = lower_result(e, op);
  bool has_permutes = target_has(e->target, FEATURE_AVX2) && table->type.type != KILN_F64;
  if (has_permutes && table->type.cols <= 2 * e->lanes && result->type.cols > 1) by_permutes(e, table, index, result);
  else through_memory(e, table, index, result);
}
