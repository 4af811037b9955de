/* groups.h: operands in groups of elements that follow each other along k, each group one integer lane, as dot products
 * and tile registers take them.
 *
 * A group of `a` (row, group) is a scalar, a chunk of `b` (group, chunk) is a vector with one lane a column. k is a
 * multiple of the group; elements past a bound along k are zeros, and no byte past it is read but padding of a panel.
 */
#ifndef KILN_LOWER_GROUPS_H
#define KILN_LOWER_GROUPS_H

#include "lower/frag.h"

/* How many elements of an operand the row takes as one lane; an `a` of another type than its instruction's goes singly.
 */
static inline int lower_group_of(const MmaInstruction *row, FragRole role) {
  return role == ROLE_A && row->a == KILN_F32 ? 1 : row->group;
}

LLVMTypeRef lower_group_type(const Emitter *e, kiln_type element, int group);
/* `group` scalars or vectors to one of wider integer lanes, the first element in the low bits. */
LLVMValueRef lower_join_group(Emitter *e, const LLVMValueRef *elements, int group);

LLVMValueRef lower_load_group_of_a(Emitter *e, struct PendingLoad *a, int row, int g);
/* Whether each chunk of `b` lies in memory as it is wanted, so that lower_load_group_of_b may be used. */
bool lower_has_groups_of_b(const Emitter *e, const Window *window, int group);
LLVMValueRef lower_load_group_of_b(Emitter *e, struct PendingLoad *b, int g, int chunk);
/* Where the group (row, g), or chunk c of group g, lies in memory; NULL: it is bounded or scattered. */
LLVMValueRef lower_group_place_of_a(Emitter *e, struct PendingLoad *a, int row, int g);
LLVMValueRef lower_group_place_of_b(Emitter *e, struct PendingLoad *b, int g, int chunk);
/* All chunks of `b` from any layout, group after group. */
void lower_load_groups_of_b(Emitter *e, struct PendingLoad *b, LLVMValueRef *parts);

/* The groups of a tile in registers that becomes an operand of this type. */
void lower_groups_of_tile(Emitter *e, const Lowered *tile, TileType type, int group, LLVMValueRef *parts);

#endif
