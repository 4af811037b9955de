/* dot.c: see dot.h.
 *
 * Bytes of one sign on vpdpbusd, whose first factor is unsigned and whose second is signed: a ^ 0x80 is a + 128 read as
 * the other sign for i8, a - 128 for u8. What that adds to each sum, the column sums of `b` times 128, is a product
 * too, with 0x80 in place of `a`; mma_dot.c keeps it beside the accumulator and takes it off at the end. All of it
 * wraps modulo 2^32, so the result is exact. Without dot products the even bytes of groups of four are widened to 16
 * bits in their place, then the odd ones, for vpmaddwd, which unlike vpmaddubsw cannot saturate: a mask or a shift
 * each, where widening neighbours would take a shuffle (u8 x i8 of 128 x 768 x 768 on Zen 3: 1.57 and 1.13 ms). */
#include "lower/dot.h"

#include <stdio.h>
#include <string.h>

#include "lower/arm.h"

typedef enum DotKind {
  DOT_NONE,
  DOT_CALL,  /* sum, factor, factor */
  DOT_ARM,   /* the same of AArch64 */
  DOT_WIDEN, /* every second byte to 16 bits; the call multiplies and adds pairs */
  DOT_SPLIT, /* pairs to two vectors of f32, two fused multiply-adds; the calls convert from memory, if there are any */
} DotKind;

typedef struct DotRow {
  DotKind kind;
  bool swaps;         /* `b` is the first factor; of AArch64's, the second may be a lane */
  Intrinsic calls[3]; /* on 128, 256, 512 bits */
  ArmProduct arm;
  Intrinsic
      splits[3]; /* of a split row on 256 bits: the first elements, the second ones, one element splatted; 0: none */
} DotRow;

#define BUSD {INTRINSIC_DPBUSD_128, INTRINSIC_DPBUSD_256, INTRINSIC_DPBUSD_512}
#define MADD {INTRINSIC_MADD_128, INTRINSIC_MADD_256, INTRINSIC_MADD_512}

static const DotRow dot_rows[MMA_ROW_COUNT] = {
    [MMA_ROW_vpmaddwd_u8i8] = {.kind = DOT_WIDEN, .calls = MADD},
    [MMA_ROW_vpmaddwd_i8u8] = {.kind = DOT_WIDEN, .calls = MADD},
    [MMA_ROW_vpmaddwd_i8i8] = {.kind = DOT_WIDEN, .calls = MADD},
    [MMA_ROW_vpmaddwd_u8u8] = {.kind = DOT_WIDEN, .calls = MADD},
    [MMA_ROW_vpdpbusd_vex_u8i8] = {.kind = DOT_CALL, .calls = BUSD},
    [MMA_ROW_vpdpbusd_vex_i8u8] = {.kind = DOT_CALL, .calls = BUSD, .swaps = true},
    [MMA_ROW_vpdpbusd_vex_i8i8] = {.kind = DOT_CALL, .calls = BUSD},
    [MMA_ROW_vpdpbusd_vex_u8u8] = {.kind = DOT_CALL, .calls = BUSD, .swaps = true},
    [MMA_ROW_vpdpbusd_u8i8] = {.kind = DOT_CALL, .calls = BUSD},
    [MMA_ROW_vpdpbusd_i8u8] = {.kind = DOT_CALL, .calls = BUSD, .swaps = true},
    [MMA_ROW_vpdpbusd_i8i8] = {.kind = DOT_CALL, .calls = BUSD},
    [MMA_ROW_vpdpbusd_u8u8] = {.kind = DOT_CALL, .calls = BUSD, .swaps = true},
    [MMA_ROW_vpdpbssd_vex] = {.kind = DOT_CALL, .calls = {INTRINSIC_DPBSSD_128, INTRINSIC_DPBSSD_256}},
    [MMA_ROW_vpdpbsud_vex] = {.kind = DOT_CALL, .calls = {INTRINSIC_DPBSUD_128, INTRINSIC_DPBSUD_256}},
    [MMA_ROW_vpdpbuud_vex] = {.kind = DOT_CALL, .calls = {INTRINSIC_DPBUUD_128, INTRINSIC_DPBUUD_256}},
    [MMA_ROW_vpdpbssd] = {.kind = DOT_CALL,
                          .calls = {INTRINSIC_DPBSSD_128, INTRINSIC_DPBSSD_256, INTRINSIC_DPBSSD_512}},
    [MMA_ROW_vpdpbsud] = {.kind = DOT_CALL,
                          .calls = {INTRINSIC_DPBSUD_128, INTRINSIC_DPBSUD_256, INTRINSIC_DPBSUD_512}},
    [MMA_ROW_vpdpbuud] = {.kind = DOT_CALL,
                          .calls = {INTRINSIC_DPBUUD_128, INTRINSIC_DPBUUD_256, INTRINSIC_DPBUUD_512}},
    [MMA_ROW_vdpbf16ps] = {.kind = DOT_CALL,
                           .calls = {INTRINSIC_DPBF16_128, INTRINSIC_DPBF16_256, INTRINSIC_DPBF16_512}},
    [MMA_ROW_vdpphps] = {.kind = DOT_CALL, .calls = {INTRINSIC_DPPH_128, INTRINSIC_DPPH_256, INTRINSIC_DPPH_512}},
    [MMA_ROW_sdot_i8i8] = {.kind = DOT_ARM, .arm = {INTRINSIC_NEON_SDOT, INTRINSIC_SVE_SDOT}, .swaps = true},
    [MMA_ROW_sdot_u8i8] = {.kind = DOT_ARM, .arm = {INTRINSIC_NEON_SDOT, INTRINSIC_SVE_SDOT}, .swaps = true},
    [MMA_ROW_udot_u8u8] = {.kind = DOT_ARM, .arm = {INTRINSIC_NEON_UDOT, INTRINSIC_SVE_UDOT}, .swaps = true},
    [MMA_ROW_udot_i8u8] = {.kind = DOT_ARM, .arm = {INTRINSIC_NEON_UDOT, INTRINSIC_SVE_UDOT}, .swaps = true},
    [MMA_ROW_usdot_u8i8] = {.kind = DOT_ARM, .arm = {INTRINSIC_NEON_USDOT, INTRINSIC_SVE_USDOT}},
    [MMA_ROW_usdot_i8u8] = {.kind = DOT_ARM, .arm = {INTRINSIC_NEON_USDOT, INTRINSIC_SVE_USDOT}, .swaps = true},
    [MMA_ROW_bfdot] = {.kind = DOT_ARM, .arm = {INTRINSIC_NEON_BFDOT, INTRINSIC_SVE_BFDOT}, .swaps = true},
    [MMA_ROW_fma_bf16] = {.kind = DOT_SPLIT},
    [MMA_ROW_fma_f32_bf16] = {.kind = DOT_SPLIT},
    [MMA_ROW_vcvtne_bf16] = {.kind = DOT_SPLIT,
                             .splits = {INTRINSIC_EVEN_BF16_256, INTRINSIC_ODD_BF16_256, INTRINSIC_SPLAT_BF16_256}},
    [MMA_ROW_vcvtne_f32_bf16] = {.kind = DOT_SPLIT, .splits = {INTRINSIC_EVEN_BF16_256, INTRINSIC_ODD_BF16_256, 0}},
    [MMA_ROW_vcvtne_f16] = {.kind = DOT_SPLIT,
                            .splits = {INTRINSIC_EVEN_F16_256, INTRINSIC_ODD_F16_256, INTRINSIC_SPLAT_F16_256}},
    [MMA_ROW_vcvtne_f32_f16] = {.kind = DOT_SPLIT, .splits = {INTRINSIC_EVEN_F16_256, INTRINSIC_ODD_F16_256, 0}},
};

/* The instructions know vectors of 128 bits and more. */
enum { LEAST_LANES = 4 };

static const DotRow *row_of(const MmaInstruction *instruction) {
  const DotRow *row = &dot_rows[mma_row(instruction)];
  KILN_ASSERT(row->kind != DOT_NONE);
  return row;
}

/* ---- factors ----------------------------------------------------------------------------------------------------- */

static void name_part(const Emitter *e, const Value *value, LLVMValueRef part, int row, int col) {
  char name[96];
  if (!e->has_names || value->name == NULL || LLVMIsAInstruction(part) == NULL) return;
  snprintf(name, sizeof name, "%s.%d.%d", value->name, row, col);
  LLVMSetValueName2(part, name, strlen(name));
}

/* Part (row, col) of an operand: a group of `a`, a chunk of `b`. */
static LLVMValueRef part_of(Emitter *e, const Lowered *operand, int row, int col, int columns) {
  struct PendingLoad *pending = operand->pending;
  if (!pending) return operand->parts[row * columns + col];
  LLVMValueRef part = operand->type.role == ROLE_A ? lower_load_group_of_a(e, pending, row, col)
                                                   : lower_load_group_of_b(e, pending, row, col);
  name_part(e, pending->value, part, row, col);
  return part;
}

/* The first or second element of each pair in f32. */
static LLVMValueRef split(Emitter *e, LLVMValueRef pairs, kiln_type type, int which) {
  LLVMTypeRef lanes = LLVMTypeOf(pairs);
  if (type == KILN_BF16) {
    LLVMValueRef element = which ? LLVMBuildAnd(e->builder, pairs, lower_splat_integer(lanes, (int64_t)0xffff0000), "")
                                 : LLVMBuildShl(e->builder, pairs, lower_splat_integer(lanes, 16), "");
    return LLVMBuildBitCast(e->builder, element, lower_like(pairs, e->f32), "");
  }
  if (which) pairs = LLVMBuildLShr(e->builder, pairs, lower_splat_integer(lanes, 16), "");
  return lower_convert(e, LLVMBuildTrunc(e->builder, pairs, lower_like(pairs, e->i16), ""), type, KILN_F32);
}

/* Instructions that convert from memory take 256 bits. */
enum { SPLIT_LANES = 8 };

static LLVMValueRef split_a(Emitter *e, const MmaInstruction *instruction, const Lowered *a, int row, int g, int step,
                            int lanes) {
  Intrinsic id = row_of(instruction)->splits[2];
  if (instruction->a == KILN_F32) {
    LLVMValueRef scalar = part_of(e, a, row, 2 * g + step, a->type.cols);
    return lower_splat(e, LLVMBuildBitCast(e->builder, scalar, e->f32, ""), lanes);
  }
  LLVMValueRef pointer =
      a->pending && id && lanes == SPLIT_LANES ? lower_group_place_of_a(e, a->pending, row, g) : NULL;
  if (!pointer) return split(e, lower_splat(e, part_of(e, a, row, g, a->type.cols / 2), lanes), a->type.type, step);
  LLVMValueRef offset = lower_i64(e, step);
  if (step > 0) pointer = LLVMBuildGEP2(e->builder, e->i16, pointer, &offset, 1, "");
  return lower_call(e, id, NULL, NULL, &pointer, 1);
}

/* The even or the odd bytes of groups of four in 16 bits, and these as lanes of 32. */
static LLVMValueRef halves_of_fours(Emitter *e, LLVMValueRef groups, int type, int which) {
  LLVMTypeRef pairs = lower_lanes_of(e->i16, 2 * lower_lane_count(groups));
  LLVMValueRef x = LLVMBuildBitCast(e->builder, groups, pairs, ""), byte = lower_splat_integer(pairs, 8);
  if (type == KILN_I8) {
    if (which == 0) x = LLVMBuildShl(e->builder, x, byte, "");
    x = LLVMBuildAShr(e->builder, x, byte, "");
  } else {
    x = which == 0 ? LLVMBuildAnd(e->builder, x, lower_splat_integer(pairs, 0xff), "")
                   : LLVMBuildLShr(e->builder, x, byte, "");
  }
  return LLVMBuildBitCast(e->builder, x, lower_like(groups, e->i32), "");
}

LLVMValueRef lower_dot_a(Emitter *e, const MmaInstruction *instruction, const Lowered *a, int row, int g, int step,
                         int lanes) {
  const DotRow *dot = row_of(instruction);
  if (dot->kind == DOT_SPLIT) return split_a(e, instruction, a, row, g, step, lanes);
  LLVMValueRef splat = lower_splat(e, part_of(e, a, row, g, a->type.cols / instruction->group), lanes);
  return instruction->moves_a ? LLVMBuildXor(e->builder, splat, lower_dot_excess(e, lanes), "") : splat;
}

LLVMValueRef lower_dot_piece(Emitter *e, const MmaInstruction *instruction, Piece piece, int lanes) {
  LLVMValueRef offset = lower_dot_excess(e, lower_lane_count(piece.vector));
  if (instruction->moves_a) piece.vector = LLVMBuildXor(e->builder, piece.vector, offset, "");
  return lower_splat(e, lower_extract(e, piece.vector, piece.lane), lanes);
}

/* The second elements of pairs in memory, loaded as another type than the first: LLVM would load the pairs once and
 * keep them in registers, of which there are none left. */
static LLVMValueRef load_second(Emitter *e, LLVMValueRef pointer, int lanes) {
  LLVMValueRef mask[64];
  for (int i = 0; i < 2 * lanes; ++i) mask[i] = LLVMConstInt(e->i16, i % 2 ? 0xffff : 0, false);
  LLVMValueRef pairs = LLVMBuildLoad2(e->builder, lower_lanes_of(e->i16, 2 * lanes), pointer, "");
  LLVMSetAlignment(pairs, 2);
  pairs = LLVMBuildAnd(e->builder, pairs, LLVMConstVector(mask, 2 * (unsigned)lanes), "");
  return LLVMBuildBitCast(e->builder, pairs, lower_lanes_of(e->f32, lanes), "");
}

LLVMValueRef lower_dot_b(Emitter *e, const MmaInstruction *instruction, const Lowered *b, int g, int step, int c) {
  const DotRow *dot = row_of(instruction);
  int lanes = lower_chunk_lanes(e, b->type.cols, c), valid = lower_chunk_valid(e, b->type.cols, c);
  if (dot->kind == DOT_SPLIT && b->pending && lanes == valid) {
    LLVMValueRef pointer = lower_group_place_of_b(e, b->pending, g, c);
    if (pointer && dot->splits[step] && lanes == SPLIT_LANES)
      return lower_call(e, dot->splits[step], NULL, NULL, &pointer, 1);
    if (pointer && step > 0 && b->type.type == KILN_BF16) return load_second(e, pointer, lanes);
  }
  LLVMValueRef part = part_of(e, b, g, c, lower_chunks(e, b->type.cols));
  return dot->kind == DOT_SPLIT ? split(e, part, b->type.type, step) : part;
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static LLVMValueRef widen(Emitter *e, LLVMValueRef x) {
  int lanes = lower_lane_count(x);
  if (lanes >= LEAST_LANES) return x;
  LLVMValueRef wide = LLVMGetPoison(lower_lanes_of(lower_element_of(x), LEAST_LANES));
  for (int i = 0; i < lanes; ++i) wide = lower_insert(e, wide, lower_extract(e, x, i), i);
  return wide;
}

/* The first lanes of a factor, or more than it has with anything in them. */
static LLVMValueRef fit(Emitter *e, LLVMValueRef x, int lanes) {
  return lower_lane_count(x) < lanes ? widen(e, x) : lower_part_of(e, x, 0, lanes);
}

/* Arguments are bits; the call's types say what they are read as. */
static LLVMValueRef call(Emitter *e, Intrinsic id, LLVMValueRef *arguments, int count) {
  LLVMTypeRef types[3];
  LLVMGetParamTypes(LLVMIntrinsicGetType(e->context, e->intrinsics[id], NULL, 0), types);
  for (int i = 0; i < count; ++i) arguments[i] = LLVMBuildBitCast(e->builder, arguments[i], types[i], "");
  return lower_call(e, id, NULL, NULL, arguments, count);
}

/* In 128 bits or all the target has; lanes beyond the sum's are anything. */
static LLVMValueRef add_arm(Emitter *e, const DotRow *row, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef arguments[] = {sum, row->swaps ? b : a, row->swaps ? a : b};
  int lanes = lower_lane_count(sum), wide_lanes = lanes <= LEAST_LANES ? LEAST_LANES : e->lanes;
  for (int i = 0; i < 3; ++i) {
    LaneSource sources[64] = {{NULL, 0}};
    for (int j = 0; j < lanes; ++j) sources[j] = (LaneSource){arguments[i], j};
    arguments[i] = lower_collect(e, lower_element_of(arguments[i]), sources, wide_lanes);
  }
  LLVMValueRef wide = lower_arm_product(e, &row->arm, arguments[0], arguments[1], arguments[2]);
  return lower_part_of(e, wide, 0, lanes);
}

LLVMValueRef lower_dot_add(Emitter *e, const MmaInstruction *instruction, LLVMValueRef sum, LLVMValueRef a,
                           LLVMValueRef b) {
  const DotRow *row = row_of(instruction);
  int lanes = lower_lane_count(sum);
  if (row->kind == DOT_SPLIT) return lower_fma(e, fit(e, a, lanes), b, sum);
  if (row->kind == DOT_ARM) return add_arm(e, row, sum, a, b);
  LLVMValueRef wide = widen(e, sum);
  int wide_lanes = lower_lane_count(wide);
  Intrinsic id = row->calls[wide_lanes == 4 ? 0 : wide_lanes == 8 ? 1 : 2];
  LLVMValueRef x = fit(e, a, wide_lanes), y = fit(e, b, wide_lanes);
  if (row->kind == DOT_WIDEN) {
    LLVMValueRef products[2];
    for (int i = 0; i < 2; ++i) {
      LLVMValueRef factors[] = {halves_of_fours(e, x, instruction->a, i), halves_of_fours(e, y, instruction->b, i)};
      products[i] = call(e, id, factors, 2);
    }
    wide = LLVMBuildAdd(e->builder, wide, LLVMBuildAdd(e->builder, products[0], products[1], ""), "");
  } else {
    wide = call(e, id, (LLVMValueRef[]){wide, row->swaps ? y : x, row->swaps ? x : y}, 3);
  }
  return lower_part_of(e, wide, 0, lanes);
}

int lower_dot_steps(const MmaInstruction *instruction) { return row_of(instruction)->kind == DOT_SPLIT ? 2 : 1; }

bool lower_dot_has_excess(const MmaInstruction *instruction) { return instruction->moves_a; }

LLVMValueRef lower_dot_excess(Emitter *e, int lanes) {
  return lower_splat_integer(lower_lanes_of(e->i32, lanes), (int64_t)0x80808080);
}
