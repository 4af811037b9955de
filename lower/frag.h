/* frag.h: where fragments are kept, by strategy.
 *
 * A strategy of mma.def is one row of the table in frag_plan.c and one file mma_<strategy>.c. How a fragment is placed
 * must be known before any use of it is seen, so a walk over the kernel gives each fragment value the matrix
 * instruction it will meet: values that loops, choices and products link to each other form one web and share the
 * placement. */
#ifndef KILN_LOWER_FRAG_H
#define KILN_LOWER_FRAG_H

#include "lower/access.h"

/* What a strategy must do. Operations have been verified; operands are lowered. */
typedef struct FragStrategy {
  int (*part_count)(const Emitter *e, const FragPlacement *placement, TileType type);
  LLVMTypeRef (*part_type)(const Emitter *e, const FragPlacement *placement, TileType type, int part);
  /* Whether two of its rows keep fragments of a role in the same way. */
  bool (*is_same_place)(const MmaInstruction *x, const MmaInstruction *y, FragRole role);
  EmitFunction *zero, *load, *store, *to_tile, *from_tile, *mma;
  /* An accumulator goes on as another value, with the same parts; NULL: there is nothing to do. */
  void (*carry)(Emitter *e, const Value *from, const Value *to);
} FragStrategy;

extern const FragStrategy mma_outer, mma_dot, mma_amx, mma_mmla;

struct FragPlacement {
  const FragStrategy *strategy;      /* NULL: not a fragment */
  const MmaInstruction *instruction; /* that decided the place; NULL: it meets no product */
  const MmaInstruction *product;     /* of the result of a product: the one that gives it */
  kiln_type acc;                     /* the accumulator's type of the products it takes part in */
  bool loads_at_use; /* of a frag_load: only products of its own block use it, and no write comes in between */
};

/* An operand whose loads are emitted where the product uses its parts. */
struct PendingLoad {
  Window window;
  const Value *value;
  const FragPlacement *placement;
  LLVMValueRef *rests; /* see groups.h */
  bool is_streamed;    /* not needed again soon */
  Bound rows;          /* of `a`; its window repeats the last row instead */
};

/* The placement of every fragment value of a kernel, by id. Products that share an accumulator or an operand get a row
 * that takes all of their shapes. Refuses products no row of mma.def can do, and values that meet instructions with
 * different placements. */
FragPlacement *lower_plan_fragments(Emitter *e, const Kernel *kernel);

/* Where loops and choices hand values on: before an entry, at the end of a body or side. */
void lower_carry(Emitter *e, const Value *from, const Value *to);

/* Of a fragment; one that meets no product gets the place of strategy `outer`. */
const FragPlacement *lower_placement(const Emitter *e, const Value *value);

#endif
