/* emit_reduce.c: sums and maxima along rows and columns.
 *
 * Along rows, chunks are combined pairwise and the lanes of the last one halved; small floats are added in f32 and
 * rounded at the end. Along columns, rows are combined in order, each step in the tile's type, as the order is part of
 * the meaning. */
#include "lower/emit.h"

typedef enum Reduction { REDUCE_SUM, REDUCE_MAX } Reduction;

static LLVMValueRef combine(Emitter *e, Reduction reduction, kiln_type type, LLVMValueRef x, LLVMValueRef y) {
  return reduction == REDUCE_SUM ? lower_sum(e, x, y) : lower_larger(e, type, x, y);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* Lanes past the tile get what changes nothing: 0 in a sum, the first element in a maximum. */
static LLVMValueRef neutralise(Emitter *e, Reduction reduction, LLVMValueRef x, int valid) {
  int lanes = lower_lane_count(x), mask[64];
  for (int i = 0; i < lanes; ++i) mask[i] = i < valid ? i : reduction == REDUCE_SUM ? lanes : 0;
  return lower_shuffle(e, x, LLVMConstNull(LLVMTypeOf(x)), mask, lanes);
}

static LLVMValueRef halve(Emitter *e, Reduction reduction, kiln_type type, LLVMValueRef x) {
  int half = lower_lane_count(x) / 2;
  return combine(e, reduction, type, lower_part_of(e, x, 0, half), lower_part_of(e, x, half, half));
}

static LLVMValueRef reduce_row(Emitter *e, Reduction reduction, kiln_type type, LLVMValueRef *chunks, int count) {
  int narrow = lower_lane_count(chunks[count - 1]) < e->lanes && count > 1 ? 1 : 0;
  LLVMValueRef last = chunks[count - 1];
  for (int left = count - narrow; left > 1; left = (left + 1) / 2)
    for (int i = 0; i < left / 2; ++i) chunks[i] = combine(e, reduction, type, chunks[i], chunks[left - 1 - i]);
  LLVMValueRef x = chunks[0];
  while (narrow && lower_lane_count(x) > lower_lane_count(last)) x = halve(e, reduction, type, x);
  if (narrow) x = combine(e, reduction, type, x, last);
  while (lower_lane_count(x) > 1) x = halve(e, reduction, type, x);
  return x;
}

static void reduce_rows(Emitter *e, const Op *op, Reduction reduction) {
  const Lowered *x = lower_get(e, op->operands[0]);
  Lowered *result = lower_result(e, op);
  kiln_type compute = lower_compute(x->type.type);
  int chunks = lower_chunks(e, x->type.cols);
  LLVMValueRef *row = LOWER_ARRAY(e, LLVMValueRef, chunks);
  for (int r = 0; r < x->type.rows; ++r) {
    for (int c = 0; c < chunks; ++c) {
      row[c] = lower_convert(e, x->parts[r * chunks + c], x->type.type, compute);
      if (lower_lane_count(row[c]) > 1)
        row[c] = neutralise(e, reduction, row[c], lower_chunk_valid(e, x->type.cols, c));
    }
    result->parts[r] = lower_convert(e, reduce_row(e, reduction, compute, row, chunks), compute, x->type.type);
  }
}

void emit_tile_row_sum(Emitter *e, const Op *op) { reduce_rows(e, op, REDUCE_SUM); }
void emit_tile_row_max(Emitter *e, const Op *op) { reduce_rows(e, op, REDUCE_MAX); }

/* ---- columns ----------------------------------------------------------------------------------------------------- */

static void reduce_columns(Emitter *e, const Op *op, Reduction reduction) {
  const Lowered *x = lower_get(e, op->operands[0]);
  Lowered *result = lower_result(e, op);
  kiln_type type = x->type.type, compute = lower_compute(type);
  int chunks = result->count;
  for (int c = 0; c < chunks; ++c) {
    LLVMValueRef sum = x->parts[c];
    for (int r = 1; r < x->type.rows; ++r) {
      LLVMValueRef left = lower_convert(e, sum, type, compute);
      LLVMValueRef right = lower_convert(e, x->parts[r * chunks + c], type, compute);
      sum = lower_convert(e, combine(e, reduction, compute, left, right), compute, type);
    }
    result->parts[c] = sum;
  }
}

void emit_tile_col_sum(Emitter *e, const Op *op) { reduce_columns(e, op, REDUCE_SUM); }
void emit_tile_col_max(Emitter *e, const Op *op) { reduce_columns(e, op, REDUCE_MAX); }
