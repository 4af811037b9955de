/* pieces.h: lanes of `a` loaded several at a time, for instructions that multiply by one lane of a vector.
 *
 * AArch64 has these: a load then brings four k (or four rows) of f32, where a broadcasting load brings one. A lane is
 * what a step of the strategy multiplies: an element in the accumulator's type, or a group (groups.h). */
#ifndef KILN_LOWER_PIECES_H
#define KILN_LOWER_PIECES_H

#include "lower/groups.h"

/* One lane of a vector of 128 bits or less. */
typedef struct Piece {
  LLVMValueRef vector;
  int lane;
} Piece;

/* In what order a product takes its operands, so that registers suffice. */
typedef struct PieceOrder {
  int lanes;  /* of a piece at most; 0: no pieces */
  int steps;  /* along k at a time */
  bool stays; /* the pieces of these steps stay in registers while chunks of `b` pass, else the other way round */
} PieceOrder;

/* For an accumulator with `spare` chunks beside its rows. No pieces where `a` is not a pending
 * load, is bounded along k or scattered. */
PieceOrder lower_piece_order(const Emitter *e, const Lowered *a, const Lowered *acc, int spare);
/* Lane `at` along k of a row. */
Piece lower_piece_of_a(Emitter *e, const Lowered *a, PieceOrder order, int row, int at);
/* sum + lane * b; sum and `b` have the accumulator's type. */
LLVMValueRef lower_piece_fma(Emitter *e, Piece piece, LLVMValueRef b, LLVMValueRef sum);

#endif
