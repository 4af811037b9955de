/* emit_shape.c: tiles that are made, repeated, taken apart, put together and looked up. No element changes but in
 * nibbles. */
#include "lower/emit.h"

/* ---- made -------------------------------------------------------------------------------------------------------- */

void emit_tile_const(Emitter *e, const Op *op) {
  Lowered *result = lower_result(e, op);
  int chunks = lower_chunks(e, result->type.cols);
  for (int i = 0; i < result->count; ++i) {
    result->parts[i] = i >= chunks
                           ? result->parts[i - chunks]
                           : lower_constant(e, result->type.type, lower_chunk_lanes(e, result->type.cols, i), op->real);
  }
}

void emit_tile_iota(Emitter *e, const Op *op) {
  Lowered *result = lower_result(e, op);
  for (int i = 0; i < result->count; ++i) {
    LLVMValueRef numbers[64];
    int lanes = lower_chunk_lanes(e, result->type.cols, result->type.cols == 1 ? 0 : i);
    int first = result->type.cols == 1 ? i : i * e->lanes;
    for (int lane = 0; lane < lanes; ++lane) numbers[lane] = lower_i32(e, first + lane);
    result->parts[i] = lanes == 1 ? numbers[0] : LLVMConstVector(numbers, (unsigned)lanes);
  }
}

void emit_tile_broadcast(Emitter *e, const Op *op) {
  Lowered *result = lower_result(e, op);
  int chunks = lower_chunks(e, result->type.cols);
  Spread spread = lower_spread(lower_get(e, op->operands[0]), result->type.cols);
  for (int i = 0; i < result->count; ++i) result->parts[i] = lower_spread_chunk(e, &spread, i / chunks, i % chunks);
}

/* ---- taken apart and put together -------------------------------------------------------------------------------- */

static LaneSource element_of(const Emitter *e, const Lowered *x, int row, int col) {
  int chunks = lower_chunks(e, x->type.cols);
  return (LaneSource){x->parts[row * chunks + col / e->lanes], col % e->lanes};
}

void emit_tile_transpose(Emitter *e, const Op *op) {
  const Lowered *x = lower_get(e, op->operands[0]);
  Lowered *result = lower_result(e, op);
  lower_transpose(e, x->parts, x->type.rows, x->type.cols, result->parts);
}

void emit_tile_slice(Emitter *e, const Op *op) {
  const Lowered *x = lower_get(e, op->operands[0]);
  Lowered *result = lower_result(e, op);
  int chunks = lower_chunks(e, result->type.cols);
  for (int i = 0; i < result->count; ++i) {
    LaneSource sources[64] = {{NULL, 0}};
    int row = (int)op->number + i / chunks, first = (int)op->column + i % chunks * e->lanes;
    for (int lane = 0; lane < lower_chunk_valid(e, result->type.cols, i % chunks); ++lane)
      sources[lane] = element_of(e, x, row, first + lane);
    result->parts[i] =
        lower_collect(e, lower_element(e, x->type.type), sources, lower_chunk_lanes(e, result->type.cols, i % chunks));
  }
}

void emit_tile_concat_rows(Emitter *e, const Op *op) {
  const Lowered *x = lower_get(e, op->operands[0]), *y = lower_get(e, op->operands[1]);
  Lowered *result = lower_result(e, op);
  for (int i = 0; i < result->count; ++i) result->parts[i] = i < x->count ? x->parts[i] : y->parts[i - x->count];
}

void emit_tile_concat_cols(Emitter *e, const Op *op) {
  const Lowered *x = lower_get(e, op->operands[0]), *y = lower_get(e, op->operands[1]);
  Lowered *result = lower_result(e, op);
  int chunks = lower_chunks(e, result->type.cols);
  for (int i = 0; i < result->count; ++i) {
    LaneSource sources[64] = {{NULL, 0}};
    for (int lane = 0; lane < lower_chunk_valid(e, result->type.cols, i % chunks); ++lane) {
      int col = i % chunks * e->lanes + lane, of_y = col - x->type.cols;
      sources[lane] = of_y < 0 ? element_of(e, x, i / chunks, col) : element_of(e, y, i / chunks, of_y);
    }
    result->parts[i] =
        lower_collect(e, lower_element(e, x->type.type), sources, lower_chunk_lanes(e, result->type.cols, i % chunks));
  }
}

/* ---- nibbles ----------------------------------------------------------------------------------------------------- */

static void take_nibbles(Emitter *e, const Op *op, int shift) {
  const Lowered *x = lower_get(e, op->operands[0]);
  Lowered *result = lower_result(e, op);
  kiln_type type = type_class(result->type.type) == CLASS_SIGNED ? KILN_I4 : KILN_U4;
  for (int i = 0; i < result->count; ++i) {
    LLVMValueRef byte = x->parts[i];
    if (shift) byte = LLVMBuildLShr(e->builder, byte, lower_splat_integer(LLVMTypeOf(byte), shift), "");
    result->parts[i] = lower_extend_nibble(e, byte, type);
  }
}

void emit_tile_low_nibble(Emitter *e, const Op *op) { take_nibbles(e, op, 0); }
void emit_tile_high_nibble(Emitter *e, const Op *op) { take_nibbles(e, op, 4); }
