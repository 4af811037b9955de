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

/* Whether an operand is a pending `a` that can be taken in pieces. */
bool lower_has_pieces(const Emitter *e, const Lowered *a);
/* Lane `at` along k of a row. */
Piece lower_piece_of_a(Emitter *e, const Lowered *a, int row, int at);
/* sum + a[row, k] * b; sum and `b` have the accumulator's type. */
LLVMValueRef lower_piece_fma(Emitter *e, const Lowered *a, int row, int k, LLVMValueRef b, LLVMValueRef sum);

#endif
