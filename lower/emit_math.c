/* emit_math.c: functions of one operand, through vecmath.h. Small floats are computed in f32.
 *
 * A column is a list of scalars, and a function of a scalar costs as much as one of a vector: its rows are put into the
 * lanes of vectors first. */
#include "lower/emit.h"
#include "lower/vecmath.h"

typedef LLVMValueRef Function(const VecMath *math, LLVMValueRef x);

static LLVMValueRef apply(Emitter *e, kiln_type type, Function *function, LLVMValueRef x) {
  VecMath math = {
      .context = e->context, .module = e->module, .builder = e->builder, .fma = e->fuses, .target = e->target};
  kiln_type compute = lower_compute(type);
  return lower_convert(e, function(&math, lower_convert(e, x, type, compute)), compute, type);
}

static void map(Emitter *e, const Op *op, Function *function) {
  const Lowered *x = lower_get(e, op->operands[0]);
  Lowered *result = lower_result(e, op);
  kiln_type type = x->type.type;
  if (x->type.cols > 1 || x->type.rows == 1) {
    for (int i = 0; i < result->count; ++i) result->parts[i] = apply(e, type, function, x->parts[i]);
    return;
  }
  int chunks = lower_chunks(e, x->type.rows);
  LLVMValueRef *row = LOWER_ARRAY(e, LLVMValueRef, chunks);
  lower_transpose(e, x->parts, x->type.rows, 1, row);
  for (int i = 0; i < chunks; ++i) row[i] = apply(e, type, function, row[i]);
  lower_transpose(e, row, 1, x->type.rows, result->parts);
}

void emit_tile_exp(Emitter *e, const Op *op) { map(e, op, lower_vec_exp); }
void emit_tile_log(Emitter *e, const Op *op) { map(e, op, lower_vec_log); }
void emit_tile_tanh(Emitter *e, const Op *op) { map(e, op, lower_vec_tanh); }
void emit_tile_erf(Emitter *e, const Op *op) { map(e, op, lower_vec_erf); }
void emit_tile_rsqrt(Emitter *e, const Op *op) { map(e, op, lower_vec_rsqrt); }
