/* values.c: how values of the tile IR are kept in LLVM IR: chunks, types, constants, names, and calls of intrinsics. */
#include <stdio.h>
#include <string.h>

#include "lower/emit.h"
#include "lower/frag.h"

void lower_refuse(Emitter *e, const Op *op, const char *format, ...) {
  va_list args;
  va_start(args, format);
  diagnostics_vreport(e->faults, op->pos, format, args);
  va_end(args);
  if (e->status == KILN_OK) e->status = KILN_UNSUPPORTED;
}

void lower_remark(Emitter *e, const Op *op, const char *format, ...) {
  va_list args;
  if (!e->faults) return;
  va_start(args, format);
  diagnostics_vreport(e->faults, op->pos, format, args);
  va_end(args);
}

/* Requests of 64 KiB and more get no memory from an arena that has failed, those of growing arrays do. */
void *lower_array(Emitter *e, size_t count, size_t item_bytes) {
  void *items = arena_alloc(e->arena, count * item_bytes);
  for (size_t capacity = 0; items == NULL || (capacity > 0 && capacity < count);)
    items = arena_grow(e->arena, items, &capacity, item_bytes);
  return items;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

Lowered *lower_get(const Emitter *e, const Value *value) {
  Lowered *lowered = e->values[value->id];
  KILN_ASSERT(lowered != NULL);
  return lowered;
}

Lowered *lower_define(Emitter *e, const Value *value, int count) {
  Lowered *lowered = ARENA_NEW(e->arena, Lowered);
  *lowered = (Lowered){.type = value->type, .depth = e->depth, .count = count};
  lowered->parts = LOWER_ARRAY(e, LLVMValueRef, count);
  return e->values[value->id] = lowered;
}

Lowered *lower_alias(Emitter *e, const Value *value, const Lowered *from) {
  Lowered *lowered = ARENA_NEW(e->arena, Lowered);
  *lowered = *from;
  lowered->type = value->type;
  return e->values[value->id] = lowered;
}

static int tile_parts(const Emitter *e, TileType type) { return type.rows * lower_chunks(e, type.cols); }

Lowered *lower_result(Emitter *e, const Op *op) {
  const Value *value = &op->results[0];
  return lower_define(e, value, value->type.kind == KIND_TILE ? tile_parts(e, value->type) : 1);
}

Lowered *lower_define_one(Emitter *e, const Value *value, LLVMValueRef part, int depth) {
  Lowered *lowered = lower_define(e, value, 1);
  lowered->parts[0] = part;
  lowered->depth = depth;
  lower_name(e, value, lowered);
  return lowered;
}

void lower_name(const Emitter *e, const Value *value, const Lowered *lowered) {
  if (!e->has_names || value->name == NULL || lowered->parts == NULL) return;
  bool is_one = lowered->count == 1;
  int columns = value->type.kind == KIND_FRAG && value->type.role == ROLE_A      ? value->type.cols
                : value->type.kind == KIND_INDEX || value->type.kind == KIND_BUF ? 1
                                                                                 : lower_chunks(e, value->type.cols);
  for (int i = 0; i < lowered->count; ++i) {
    size_t length;
    LLVMValueRef part = lowered->parts[i];
    if (LLVMIsAInstruction(part) == NULL || LLVMGetValueName2(part, &length)[0] != '\0') continue;
    char name[128];
    if (is_one) snprintf(name, sizeof name, "%s", value->name);
    else snprintf(name, sizeof name, "%s.%d.%d", value->name, i / columns, i % columns);
    LLVMSetValueName2(part, name, strlen(name));
  }
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

int lower_chunks(const Emitter *e, int cols) { return (cols + e->lanes - 1) / e->lanes; }

int lower_chunk_lanes(const Emitter *e, int cols, int c) {
  if (cols == 1) return 1;
  int valid = lower_chunk_valid(e, cols, c), lanes = 2;
  while (lanes < valid) lanes *= 2;
  return lanes;
}

int lower_chunk_valid(const Emitter *e, int cols, int c) {
  int left = cols - c * e->lanes;
  return left < e->lanes ? left : e->lanes;
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

LLVMTypeRef lower_element(const Emitter *e, kiln_type type) {
  switch (type) {
  case KILN_F64: return e->f64;
  case KILN_F32: return e->f32;
  case KILN_F16:
  case KILN_BF16: return e->i16;
  case KILN_I32: return e->i32;
  case KILN_BOOL: return e->i1;
  case KILN_F8E4M3:
  case KILN_F8E5M2:
  case KILN_I8:
  case KILN_U8:
  case KILN_I4:
  case KILN_U4: return e->i8;
  case KILN_TYPE_COUNT: break;
  }
  KILN_ASSERT(!"an element type");
  return NULL;
}

LLVMTypeRef lower_lanes_of(LLVMTypeRef element, int lanes) {
  return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

LLVMTypeRef lower_part_type(const Emitter *e, const Value *value, int part) {
  TileType type = value->type;
  if (type.kind == KIND_INDEX) return e->i64;
  if (type.kind == KIND_FRAG) {
    const FragPlacement *placement = lower_placement(e, value);
    return placement->strategy->part_type(e, placement, type, part);
  }
  KILN_ASSERT(type.kind == KIND_TILE);
  return lower_lanes_of(lower_element(e, type.type),
                        lower_chunk_lanes(e, type.cols, part % lower_chunks(e, type.cols)));
}

static bool is_vector(LLVMTypeRef type) { return LLVMGetTypeKind(type) == LLVMVectorTypeKind; }

int lower_lane_count(LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return is_vector(type) ? (int)LLVMGetVectorSize(type) : 1;
}

LLVMTypeRef lower_element_of(LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return is_vector(type) ? LLVMGetElementType(type) : type;
}

LLVMTypeRef lower_like(LLVMValueRef x, LLVMTypeRef element) { return lower_lanes_of(element, lower_lane_count(x)); }

/* ---- constants --------------------------------------------------------------------------------------------------- */

LLVMValueRef lower_i64(const Emitter *e, int64_t number) {
  return LLVMConstInt(e->i64, (unsigned long long)number, true);
}

LLVMValueRef lower_i32(const Emitter *e, int32_t number) {
  return LLVMConstInt(e->i32, (unsigned long long)(int64_t)number, true);
}

static LLVMValueRef repeat(LLVMValueRef scalar, LLVMTypeRef type) {
  LLVMValueRef lanes[64];
  unsigned count = LLVMGetVectorSize(type);
  KILN_ASSERT(count <= ARRAY_LENGTH(lanes));
  for (unsigned i = 0; i < count; ++i) lanes[i] = scalar;
  return LLVMConstVector(lanes, count);
}

LLVMValueRef lower_splat_integer(LLVMTypeRef type, int64_t number) {
  LLVMTypeRef element = is_vector(type) ? LLVMGetElementType(type) : type;
  uint64_t bits = (uint64_t)number;
  unsigned width = LLVMGetIntTypeWidth(element);
  if (width < 64) bits &= ((uint64_t)1 << width) - 1; /* LLVM asserts that the number fits */
  LLVMValueRef scalar = LLVMConstInt(element, bits, false);
  return is_vector(type) ? repeat(scalar, type) : scalar;
}

LLVMValueRef lower_splat_real(LLVMTypeRef type, double number) {
  LLVMTypeRef element = is_vector(type) ? LLVMGetElementType(type) : type;
  LLVMValueRef scalar = LLVMConstReal(element, number);
  return is_vector(type) ? repeat(scalar, type) : scalar;
}

LLVMValueRef lower_constant(const Emitter *e, kiln_type type, int lanes, double number) {
  LLVMTypeRef register_type = lower_lanes_of(lower_element(e, type), lanes);
  if (type == KILN_F64 || type == KILN_F32) return lower_splat_real(register_type, type_round(type, number));
  if (type_class(type) != CLASS_FLOATING) return lower_splat_integer(register_type, (int64_t)type_round(type, number));
  uint16_t bits = 0; /* little-endian, as all families are */
  uint8_t bytes[2] = {0};
  type_store(type, bytes, 0, number);
  bits = (uint16_t)(bytes[0] | bytes[1] << 8);
  return lower_splat_integer(register_type, bits);
}

bool lower_is_integer(LLVMValueRef x, int64_t *number) {
  if (LLVMIsAConstantInt(x) == NULL) return false;
  *number = LLVMConstIntGetSExtValue(x);
  return true;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static CachedFunction find_function(Emitter *e, Intrinsic id, LLVMTypeRef overload, LLVMTypeRef second) {
  for (size_t i = 0; i < e->functions.count; ++i) {
    CachedFunction *cached = &e->functions.items[i];
    if (cached->id == id && cached->overloads[0] == overload && cached->overloads[1] == second) return *cached;
  }
  CachedFunction cached = {.id = id, .overloads = {overload, second}};
  size_t count = second ? 2 : overload ? 1 : 0;
  cached.function = LLVMGetIntrinsicDeclaration(e->module, e->intrinsics[id], cached.overloads, count);
  cached.type = LLVMGlobalGetValueType(cached.function);
  VECTOR_PUSH(e->arena, e->functions, cached);
  return cached;
}

LLVMValueRef lower_call(Emitter *e, Intrinsic id, LLVMTypeRef overload, LLVMTypeRef second, LLVMValueRef *arguments,
                        int count) {
  CachedFunction function = find_function(e, id, overload, second);
  return LLVMBuildCall2(e->builder, function.type, function.function, arguments, (unsigned)count, "");
}

LLVMValueRef lower_call_1(Emitter *e, Intrinsic id, LLVMValueRef x) {
  return lower_call(e, id, LLVMTypeOf(x), NULL, &x, 1);
}

LLVMValueRef lower_call_2(Emitter *e, Intrinsic id, LLVMValueRef x, LLVMValueRef y) {
  return lower_call(e, id, LLVMTypeOf(x), NULL, (LLVMValueRef[]){x, y}, 2);
}

void lower_call_align(const Emitter *e, LLVMValueRef call, int number, unsigned align) {
  LLVMAttributeRef attribute = LLVMCreateEnumAttribute(e->context, e->align_kind, align);
  LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)(number + 1), attribute);
}

/* ---- memory of the kernel ---------------------------------------------------------------------------------------- */

LLVMValueRef lower_alloca(Emitter *e, LLVMTypeRef type, int64_t count, unsigned align) {
  Spot back = lower_here(e);
  LLVMPositionBuilderBefore(e->builder, LLVMGetFirstInstruction(e->entry));
  LLVMValueRef memory = LLVMBuildAlloca(e->builder, LLVMArrayType2(type, (uint64_t)count), "");
  LLVMSetAlignment(memory, align);
  lower_back(e, back);
  return memory;
}

LLVMValueRef lower_zeros(Emitter *e) {
  if (e->zeros) return e->zeros;
  LLVMTypeRef type = LLVMArrayType2(e->i8, LOWER_ZERO_BYTES);
  e->zeros = LLVMAddGlobal(e->module, type, "kiln.zeros");
  LLVMSetInitializer(e->zeros, LLVMConstNull(type));
  LLVMSetGlobalConstant(e->zeros, true);
  LLVMSetLinkage(e->zeros, LLVMPrivateLinkage);
  LLVMSetAlignment(e->zeros, 64);
  return e->zeros;
}

LLVMValueRef lower_sink(Emitter *e) {
  if (!e->sink) e->sink = lower_alloca(e, e->i8, LOWER_SINK_BYTES, LOWER_SINK_BYTES);
  return e->sink;
}

LLVMValueRef lower_stage(Emitter *e, int64_t bytes) {
  if (e->stage_bytes < bytes) {
    e->stage = lower_alloca(e, e->i8, bytes, LOWER_STAGE_ALIGN);
    e->stage_bytes = bytes;
  }
  return e->stage;
}
