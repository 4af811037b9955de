/* pieces.h: scalars of `a` loaded several at a time, for instructions that multiply by one lane of a vector.
 *
 * AArch64 has these: a load then brings four k (or four rows) of f32, where a broadcasting load brings one. */
#ifndef KILN_LOWER_PIECES_H
#define KILN_LOWER_PIECES_H

#include "lower/frag.h"

/* Scalars in 128 bits or less, in the accumulator's type; one scalar is one of its lanes. */
typedef struct Piece {
  LLVMValueRef vector;
  LLVMValueRef repeated; /* to the length of the target's vectors, once needed */
} Piece;

/* Whether a pending `a` can be taken in pieces, all of them. */
bool lower_has_pieces(const Emitter *e, const struct PendingLoad *a);
/* sum + a[row, k] * b; sum and `b` have the accumulator's type. */
LLVMValueRef lower_piece_fma(Emitter *e, struct PendingLoad *a, int row, int k, LLVMValueRef b, LLVMValueRef sum);

#endif
