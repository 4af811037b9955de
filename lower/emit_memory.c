/* emit_memory.c: buffers and their views, loads and stores of tiles, prefetch and arrival counters. */
#include "lower/access.h"

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

void emit_buf_view(Emitter *e, const Op *op) {
  Access access = access_of(op);
  Address address = lower_address(e, &access, 1);
  if (type_bits(address.type) < 8 && !lower_address_is_even(&address, 1)) {
    LLVMValueRef offset = lower_address_offset(e, &address, 0, 0);
    lower_define_one(e, &op->results[0], address.base, e->depth)->nibble = offset;
    return;
  }
  int depth;
  LLVMValueRef pointer = lower_address_base(e, &address, &depth);
  lower_define_one(e, &op->results[0], pointer, depth);
}

void emit_buf_transpose(Emitter *e, const Op *op) { lower_alias(e, &op->results[0], lower_get(e, op->operands[0])); }

void emit_buf_scratch(Emitter *e, const Op *op) {
  const BufType *type = op->results[0].type.buf;
  int64_t bytes = (int64_t)type_bytes(type->type, (size_t)buf_span(type, NULL));
  lower_define_one(e, &op->results[0], lower_alloca(e, e->i8, bytes, 64), 0);
}

void emit_buf_workspace(Emitter *e, const Op *op) {
  const Lowered *offset = lower_get(e, op->operands[0]);
  Spot back = lower_go(e, offset->depth);
  LLVMValueRef pointer = lower_step(e, e->i8, e->workspace, offset->parts[0]);
  lower_define_one(e, &op->results[0], pointer, offset->depth);
  lower_back(e, back);
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

void emit_tile_load(Emitter *e, const Op *op) {
  Lowered *result = lower_result(e, op);
  Window window = lower_window(e, op, result->type);
  lower_load(e, &window, result->parts);
}

void emit_tile_store(Emitter *e, const Op *op) {
  const Lowered *value = lower_get(e, op->operands[0]);
  Window window = lower_window(e, op, value->type);
  window.wants_stream = op->number != 0;
  lower_store(e, &window, value->parts);
}

/* ---- single elements --------------------------------------------------------------------------------------------- */

void emit_prefetch(Emitter *e, const Op *op) {
  static const int localities[] = {0, 3, 2, 1}; /* of LLVM, by level */
  Access access = access_of(op);
  Address address = lower_address(e, &access, 1);
  LLVMValueRef pointer;
  if (type_bits(address.type) < 8) {
    LLVMValueRef byte = LLVMBuildAShr(e->builder, lower_address_offset(e, &address, 0, 0), lower_i64(e, 1), "");
    pointer = LLVMBuildGEP2(e->builder, e->i8, address.base, &byte, 1, "");
  } else {
    pointer = lower_address_pointer(e, &address, 0, 0);
  }
  LLVMValueRef arguments[] = {pointer, lower_i32(e, 0), lower_i32(e, localities[op->number & 3]), lower_i32(e, 1)};
  lower_call(e, INTRINSIC_PREFETCH, e->pointer, NULL, arguments, 4);
}

void emit_atomic_add(Emitter *e, const Op *op) {
  Access access = access_of(op);
  Address address = lower_address(e, &access, 1);
  LLVMValueRef pointer = lower_address_pointer(e, &address, 0, 0);
  LLVMValueRef added = lower_get(e, access.value)->parts[0];
  LLVMValueRef old =
      LLVMBuildAtomicRMW(e->builder, LLVMAtomicRMWBinOpAdd, pointer, added, LLVMAtomicOrderingAcquireRelease, false);
  lower_define_one(e, &op->results[0], old, e->depth);
}
