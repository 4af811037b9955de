/* dot.h: one step of strategy `dot`: how the rows of mma.def multiply vectors of groups (groups.h). */
#ifndef KILN_LOWER_DOT_H
#define KILN_LOWER_DOT_H

#include "lower/pieces.h"

/* A group is multiplied in so many steps: at once, or one element after the other. */
int lower_dot_steps(const MmaInstruction *instruction);
/* Group (row, g) of `a` in as many lanes, and chunk c of group g of `b`, as a step multiplies them. */
LLVMValueRef lower_dot_a(Emitter *e, const MmaInstruction *instruction, const Lowered *a, int row, int g, int step,
                         int lanes);
/* The same of a group in a piece. */
LLVMValueRef lower_dot_piece(Emitter *e, const MmaInstruction *instruction, Piece piece, int lanes);
LLVMValueRef lower_dot_b(Emitter *e, const MmaInstruction *instruction, const Lowered *b, int g, int step, int c);
/* sum + a . b in each lane of the sum. */
LLVMValueRef lower_dot_add(Emitter *e, const MmaInstruction *instruction, LLVMValueRef sum, LLVMValueRef a,
                           LLVMValueRef b);

/* Whether the row multiplies a + offset instead of a, because its instruction wants the other sign: an accumulator then
 * is too large by the offset times the column sums of `b`. lower_dot_excess is what they are to be multiplied with. */
bool lower_dot_has_excess(const MmaInstruction *instruction);
LLVMValueRef lower_dot_excess(Emitter *e, int lanes);

#endif
