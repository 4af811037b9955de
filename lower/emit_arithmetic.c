/* emit_arithmetic.c: operations that give each element from the same element of each operand, but for functions
 * (emit_math.c).
 *
 * Small floats are computed in f32 and rounded back, which for + - * / and square root is rounding once; their fma in
 * f64, for the same reason. Integers wrap. */
#include <math.h>

#include "lower/emit.h"

/* Calls `function` on each chunk of the result with those of the operands, in the operands' compute type. */
typedef LLVMValueRef ChunkFunction(Emitter *e, kiln_type type, LLVMValueRef *x);

typedef struct Mapping {
  ChunkFunction *function;
  kiln_type compute; /* of operands; they are converted from their own */
  bool gives_bool;
} Mapping;

enum { MAX_OPERANDS = 3 };

static void map(Emitter *e, const Op *op, Mapping mapping) {
  Lowered *result = lower_result(e, op);
  int chunks = lower_chunks(e, result->type.cols);
  kiln_type type = op->operands[0]->type.type;
  Spread spreads[MAX_OPERANDS];
  for (int i = 0; i < op->operand_count; ++i)
    spreads[i] = lower_spread(lower_get(e, op->operands[i]), result->type.cols);
  for (int part = 0; part < result->count; ++part) {
    LLVMValueRef x[MAX_OPERANDS];
    for (int i = 0; i < op->operand_count; ++i)
      x[i] = lower_convert(e, lower_spread_chunk(e, &spreads[i], part / chunks, part % chunks), type, mapping.compute);
    LLVMValueRef y = mapping.function(e, mapping.compute, x);
    result->parts[part] = mapping.gives_bool ? y : lower_convert(e, y, mapping.compute, type);
  }
}

static void map_numbers(Emitter *e, const Op *op, ChunkFunction *function) {
  map(e, op, (Mapping){function, lower_compute(op->operands[0]->type.type), false});
}

/* ---- one operand ------------------------------------------------------------------------------------------------- */

static LLVMValueRef negate(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return type_is_floating(type) ? LLVMBuildFNeg(e->builder, x[0], "") : LLVMBuildNeg(e->builder, x[0], "");
}

static LLVMValueRef magnitude(Emitter *e, kiln_type type, LLVMValueRef *x) {
  if (type_is_floating(type)) return lower_call_1(e, INTRINSIC_FABS, x[0]);
  if (type_class(type) != CLASS_SIGNED) return x[0];
  LLVMValueRef arguments[] = {x[0], LLVMConstInt(e->i1, 0, false)};
  return lower_call(e, INTRINSIC_ABS, LLVMTypeOf(x[0]), NULL, arguments, 2);
}

static LLVMValueRef nearest(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return lower_round_even(e, x[0]);
}

static LLVMValueRef root(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return lower_call_1(e, INTRINSIC_SQRT, x[0]);
}

void emit_tile_neg(Emitter *e, const Op *op) { map_numbers(e, op, negate); }
void emit_tile_abs(Emitter *e, const Op *op) { map_numbers(e, op, magnitude); }
void emit_tile_round(Emitter *e, const Op *op) { map_numbers(e, op, nearest); }
void emit_tile_sqrt(Emitter *e, const Op *op) { map_numbers(e, op, root); }

void emit_tile_convert(Emitter *e, const Op *op) {
  const Lowered *x = lower_get(e, op->operands[0]);
  Lowered *result = lower_result(e, op);
  kiln_type from = x->type.type, to = result->type.type;
  if (from == KILN_F32 && to == KILN_BF16 && lower_can_convert_bf16(e, x->parts[0]) && x->type.cols % e->lanes == 0) {
    lower_convert_bf16(e, x->parts, result->count, result->parts);
    return;
  }
  for (int i = 0; i < result->count; ++i) result->parts[i] = lower_convert(e, x->parts[i], from, to);
}

/* ---- two operands ------------------------------------------------------------------------------------------------ */

static bool is_real(LLVMValueRef x) {
  LLVMTypeKind kind = LLVMGetTypeKind(lower_element_of(x));
  return kind == LLVMFloatTypeKind || kind == LLVMDoubleTypeKind;
}

LLVMValueRef lower_sum(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  return is_real(x) ? LLVMBuildFAdd(e->builder, x, y, "") : LLVMBuildAdd(e->builder, x, y, "");
}

static LLVMValueRef add(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return lower_sum(e, x[0], x[1]);
}

static LLVMValueRef subtract(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return type_is_floating(type) ? LLVMBuildFSub(e->builder, x[0], x[1], "") : LLVMBuildSub(e->builder, x[0], x[1], "");
}

static LLVMValueRef multiply(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return type_is_floating(type) ? LLVMBuildFMul(e->builder, x[0], x[1], "") : LLVMBuildMul(e->builder, x[0], x[1], "");
}

static LLVMValueRef divide(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return LLVMBuildFDiv(e->builder, x[0], x[1], "");
}

static LLVMValueRef bits_and(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return LLVMBuildAnd(e->builder, x[0], x[1], "");
}

static LLVMValueRef bits_or(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return LLVMBuildOr(e->builder, x[0], x[1], "");
}

static LLVMValueRef bits_xor(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return LLVMBuildXor(e->builder, x[0], x[1], "");
}

void emit_tile_add(Emitter *e, const Op *op) { map_numbers(e, op, add); }
void emit_tile_sub(Emitter *e, const Op *op) { map_numbers(e, op, subtract); }
void emit_tile_mul(Emitter *e, const Op *op) { map_numbers(e, op, multiply); }
void emit_tile_div(Emitter *e, const Op *op) { map_numbers(e, op, divide); }
void emit_tile_and(Emitter *e, const Op *op) { map_numbers(e, op, bits_and); }
void emit_tile_or(Emitter *e, const Op *op) { map_numbers(e, op, bits_or); }
void emit_tile_xor(Emitter *e, const Op *op) { map_numbers(e, op, bits_xor); }

/* ---- smaller and larger ------------------------------------------------------------------------------------------ */

/* Operands in an order that makes one instruction of it: x86's minps and maxps give the second where either is NaN. */
static LLVMValueRef extreme_real(Emitter *e, LLVMRealPredicate predicate, LLVMValueRef x, LLVMValueRef y) {
  return LLVMBuildSelect(e->builder, LLVMBuildFCmp(e->builder, predicate, x, y, ""), x, y, "");
}

/* NaN if either is: if y is, the instruction gives it; if x is, the select does. */
static LLVMValueRef extreme_or_nan(Emitter *e, LLVMRealPredicate predicate, LLVMValueRef x, LLVMValueRef y) {
  LLVMValueRef is_nan = LLVMBuildFCmp(e->builder, LLVMRealUNO, x, x, "");
  return LLVMBuildSelect(e->builder, is_nan, x, extreme_real(e, predicate, x, y), "");
}

static LLVMValueRef extreme_integer(Emitter *e, kiln_type type, bool larger, LLVMValueRef x, LLVMValueRef y) {
  bool is_signed = type_class(type) == CLASS_SIGNED;
  Intrinsic id = larger ? (is_signed ? INTRINSIC_SMAX : INTRINSIC_UMAX) : (is_signed ? INTRINSIC_SMIN : INTRINSIC_UMIN);
  return lower_call_2(e, id, x, y);
}

LLVMValueRef lower_larger(Emitter *e, kiln_type type, LLVMValueRef x, LLVMValueRef y) {
  return type_is_floating(type) ? extreme_or_nan(e, LLVMRealOGT, x, y) : extreme_integer(e, type, true, x, y);
}

static LLVMValueRef larger(Emitter *e, kiln_type type, LLVMValueRef *x) { return lower_larger(e, type, x[0], x[1]); }

static LLVMValueRef smaller(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return type_is_floating(type) ? extreme_or_nan(e, LLVMRealOLT, x[0], x[1])
                                : extreme_integer(e, type, false, x[0], x[1]);
}

static LLVMValueRef larger_than_number(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return type_is_floating(type) ? extreme_real(e, LLVMRealOGT, x[1], x[0]) : larger(e, type, x);
}

static LLVMValueRef smaller_than_number(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return type_is_floating(type) ? extreme_real(e, LLVMRealOLT, x[1], x[0]) : smaller(e, type, x);
}

static LLVMValueRef number_or_larger(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return larger_than_number(e, type, (LLVMValueRef[]){x[1], x[0]});
}

static LLVMValueRef number_or_smaller(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return smaller_than_number(e, type, (LLVMValueRef[]){x[1], x[0]});
}

/* Whether no element can be NaN. */
static bool is_number(const Value *value) {
  const Op *op = value->op;
  if (op == NULL) return false;
  if (op->code == OP_tile_broadcast) return is_number(op->operands[0]);
  if (op->code == OP_tile_convert) return !type_is_floating(op->operands[0]->type.type);
  return op->code == OP_tile_const && !isnan(op->real);
}

static void map_extreme(Emitter *e, const Op *op, ChunkFunction *general, ChunkFunction *second, ChunkFunction *first) {
  bool second_is = is_number(op->operands[1]);
  map_numbers(e, op, second_is ? second : is_number(op->operands[0]) ? first : general);
}

void emit_tile_max(Emitter *e, const Op *op) { map_extreme(e, op, larger, larger_than_number, number_or_larger); }
void emit_tile_min(Emitter *e, const Op *op) { map_extreme(e, op, smaller, smaller_than_number, number_or_smaller); }

/* ---- comparisons ------------------------------------------------------------------------------------------------- */

static LLVMValueRef compare(Emitter *e, kiln_type type, LLVMValueRef *x, LLVMRealPredicate real,
                            LLVMIntPredicate with_sign, LLVMIntPredicate without) {
  if (type_is_floating(type)) return LLVMBuildFCmp(e->builder, real, x[0], x[1], "");
  return LLVMBuildICmp(e->builder, type_class(type) == CLASS_SIGNED ? with_sign : without, x[0], x[1], "");
}

static LLVMValueRef is_less(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return compare(e, type, x, LLVMRealOLT, LLVMIntSLT, LLVMIntULT);
}

static LLVMValueRef is_at_most(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return compare(e, type, x, LLVMRealOLE, LLVMIntSLE, LLVMIntULE);
}

static LLVMValueRef is_equal(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return compare(e, type, x, LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ);
}

static LLVMValueRef is_unequal(Emitter *e, kiln_type type, LLVMValueRef *x) {
  return compare(e, type, x, LLVMRealUNE, LLVMIntNE, LLVMIntNE);
}

static void map_comparison(Emitter *e, const Op *op, ChunkFunction *function) {
  map(e, op, (Mapping){function, lower_compute(op->operands[0]->type.type), true});
}

void emit_tile_lt(Emitter *e, const Op *op) { map_comparison(e, op, is_less); }
void emit_tile_le(Emitter *e, const Op *op) { map_comparison(e, op, is_at_most); }
void emit_tile_eq(Emitter *e, const Op *op) { map_comparison(e, op, is_equal); }
void emit_tile_ne(Emitter *e, const Op *op) { map_comparison(e, op, is_unequal); }

/* ---- three operands ---------------------------------------------------------------------------------------------- */

LLVMValueRef lower_fma(Emitter *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
  if (!is_real(x)) return LLVMBuildAdd(e->builder, LLVMBuildMul(e->builder, x, y, ""), z, "");
  if (!e->fuses) return LLVMBuildFAdd(e->builder, LLVMBuildFMul(e->builder, x, y, ""), z, "");
  return lower_call(e, INTRINSIC_FMA, LLVMTypeOf(x), NULL, (LLVMValueRef[]){x, y, z}, 3);
}

static LLVMValueRef fused(Emitter *e, kiln_type type, LLVMValueRef *x) {
  (void)type;
  return lower_fma(e, x[0], x[1], x[2]); // NOLINT(clang-analyzer-core.CallAndMessage): three operands, says ops.def
}

void emit_tile_fma(Emitter *e, const Op *op) {
  kiln_type type = op->operands[0]->type.type;
  bool is_small = type_is_floating(type) && type_bits(type) < 32;
  map(e, op, (Mapping){fused, is_small ? KILN_F64 : type, false});
}

void emit_tile_select(Emitter *e, const Op *op) {
  Lowered *result = lower_result(e, op);
  int chunks = lower_chunks(e, result->type.cols);
  Spread spreads[MAX_OPERANDS];
  for (int i = 0; i < MAX_OPERANDS; ++i) spreads[i] = lower_spread(lower_get(e, op->operands[i]), result->type.cols);
  for (int part = 0; part < result->count; ++part) {
    LLVMValueRef x[MAX_OPERANDS];
    for (int i = 0; i < MAX_OPERANDS; ++i) x[i] = lower_spread_chunk(e, &spreads[i], part / chunks, part % chunks);
    result->parts[part] = LLVMBuildSelect(e->builder, x[0], x[1], x[2], "");
  }
}
