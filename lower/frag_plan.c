/* frag_plan.c: which matrix instruction each fragment value meets; see frag.h. Operations on fragments go to its
 * strategy. */
#include "lower/amx.h"

static const FragStrategy *const strategies[] = {
    [MMA_OUTER] = &mma_outer,
    [MMA_DOT] = &mma_dot,
    [MMA_AMX] = &mma_amx,
    [MMA_MMLA] = &mma_mmla,
};

/* ---- webs of linked values --------------------------------------------------------------------------------------- */

typedef struct Plan {
  Emitter *e;
  const Target *target; /* of the rows that may be taken */
  int *links;           /* by id: another value of the web, or itself at the web's root */
  int *meets;           /* likewise of all values that meet in products, whatever their roles */
  MmaProduct *shapes;   /* by id of the root of `meets`: what all of its products ask of a row; k 0: none yet */
  const MmaInstruction **products; /* by id of a product's result */
  FragPlacement *placements;
  int *writes_before; /* of a frag_load: how many operations of its block wrote before it */
} Plan;

static int root_of(int *links, int id) {
  while (links[id] != id) id = links[id] = links[links[id]];
  return id;
}

static void join(int *links, const Value *x, const Value *y) { links[root_of(links, x->id)] = root_of(links, y->id); }

static void link_values(Plan *plan, const Value *x, const Value *y) {
  if (x->type.kind != KIND_FRAG) return;
  join(plan->links, x, y);
  join(plan->meets, x, y);
}

static void link_yield(Plan *plan, const Op *op, const Block *block) {
  const Op *yield = lower_yield(block);
  for (int i = 0; i < op->result_count; ++i) link_values(plan, yield->operands[i], &op->results[i]);
}

static void link_block(Plan *plan, const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    if (op_multiplies(op->code)) {
      link_values(plan, op->operands[0], &op->results[0]);
      join(plan->meets, op->operands[1], op->operands[0]);
      join(plan->meets, op->operands[2], op->operands[0]);
    }
    for (int i = 0; op->code == OP_for && i < op->result_count; ++i) {
      link_values(plan, op->operands[3 + i], &op->results[i]);
      link_values(plan, op->blocks[0]->arguments[1 + i], &op->results[i]);
    }
    for (int i = 0; i < op->block_count; ++i) {
      if (op->blocks[i] == NULL) continue;
      link_block(plan, op->blocks[i]);
      link_yield(plan, op, op->blocks[i]);
    }
  }
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static int larger(int x, int y) { return x > y ? x : y; }

static void shape_block(Plan *plan, const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    if (op_multiplies(op->code)) {
      TileType a = op->operands[1]->type, b = op->operands[2]->type;
      MmaProduct *shape = &plan->shapes[root_of(plan->meets, op->operands[0]->id)];
      shape->cuts = op->code == OP_mma_tf32 && (shape->k == 0 || shape->cuts);
      shape->m = larger(shape->m, a.rows);
      shape->n = (int)lower_common_divisor(shape->n, b.cols);
      shape->k = (int)lower_common_divisor(shape->k, a.cols);
    }
    for (int i = 0; i < op->block_count; ++i)
      if (op->blocks[i]) shape_block(plan, op->blocks[i]);
  }
}

/* ---- placements -------------------------------------------------------------------------------------------------- */

static bool is_same_placement(const FragPlacement *x, const FragPlacement *y, FragRole role) {
  if (x->strategy != y->strategy || x->acc != y->acc) return false;
  return x->instruction == y->instruction || x->strategy->is_same_place(x->instruction, y->instruction, role);
}

static void place(Plan *plan, const Op *op, const Value *value, FragPlacement placement) {
  FragPlacement *found = &plan->placements[root_of(plan->links, value->id)];
  if (found->strategy == NULL) {
    *found = placement;
  } else if (!is_same_placement(found, &placement, value->type.role)) {
    lower_refuse(plan->e, op, "%%%s takes part in products by '%s' and by '%s', which keep fragments in different ways",
                 value->name ? value->name : "?", found->instruction->name, placement.instruction->name);
  }
}

/* A product whose k is that of tile registers, but which does not fit them: it was meant for them. */
static void remark_misfit(Plan *plan, const Op *op, const MmaProduct *product, const MmaInstruction *taken) {
  const MmaInstruction *rows[MMA_MAX_CANDIDATES];
  size_t count = mma_candidates(plan->target, product->a, product->b, product->acc, rows);
  for (size_t i = 0; i < count; ++i) {
    if (rows[i]->strategy != MMA_AMX || product->k % rows[i]->k != 0) continue;
    lower_remark(plan->e, op,
                 "a product of %dx%dx%d does not fit the tile registers and becomes %s: its columns must be a multiple "
                 "of %d, its accumulator at most 4 registers of %dx%d",
                 product->m, product->n, product->k, taken->name, rows[i]->n, rows[i]->m, rows[i]->n);
    return;
  }
}

static void place_product(Plan *plan, const Op *op) {
  MmaProduct product = plan->shapes[root_of(plan->meets, op->operands[0]->id)];
  product.a = op->operands[1]->type.type;
  product.b = op->operands[2]->type.type;
  product.acc = op->operands[0]->type.type;
  const MmaInstruction *instruction = mma_find(plan->target, &product);
  if (instruction == NULL) {
    lower_refuse(plan->e, op, "no matrix instruction of '%s' adds products of %s and %s in %s", plan->e->target->name,
                 kiln_type_name(product.a), kiln_type_name(product.b), kiln_type_name(product.acc));
    return;
  }
  if (instruction->strategy != MMA_AMX) remark_misfit(plan, op, &product, instruction);
  FragPlacement placement = {
      .strategy = strategies[instruction->strategy], .instruction = instruction, .acc = product.acc};
  for (int i = 0; i < 3; ++i) place(plan, op, op->operands[i], placement);
  plan->products[op->results[0].id] = instruction;
}

static void place_block(Plan *plan, const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    if (op_multiplies(op->code)) place_product(plan, op);
    for (int i = 0; i < op->block_count; ++i)
      if (op->blocks[i]) place_block(plan, op->blocks[i]);
  }
}

/* ---- loads at use ------------------------------------------------------------------------------------------------ */

/* An operand loaded in front of a product of several k would hold registers from there on; its parts are better loaded
 * one by one, each before its use. That is the same as long as nothing writes in between. */
static void find_late_loads(Plan *plan, const Block *block) {
  int writes = 0;
  for (const Op *op = block->first; op != NULL; op = op->next) {
    for (int i = 0; i < op->operand_count; ++i) {
      const Value *value = op->operands[i];
      if (value->type.kind != KIND_FRAG) continue;
      bool is_near =
          op_multiplies(op->code) && i > 0 && value->block == block && plan->writes_before[value->id] == writes;
      if (!is_near) plan->placements[value->id].loads_at_use = false;
    }
    for (int i = 0; i < op->block_count; ++i)
      if (op->blocks[i]) find_late_loads(plan, op->blocks[i]);
    OpEffect effect = op_info(op->code)->effect;
    if (effect == EFFECT_WRITE || effect == EFFECT_BOTH) ++writes;
    if (op->code != OP_frag_load) continue;
    plan->writes_before[op->results[0].id] = writes;
    plan->placements[op->results[0].id].loads_at_use = true;
  }
}

static FragPlacement *plan_for(Emitter *e, const Kernel *kernel, const Target *target) {
  size_t count = (size_t)kernel->value_count;
  Plan plan = {.e = e,
               .target = target,
               .links = LOWER_ARRAY(e, int, count),
               .meets = LOWER_ARRAY(e, int, count),
               .shapes = LOWER_ARRAY(e, MmaProduct, count),
               .products = LOWER_ARRAY(e, const MmaInstruction *, count),
               .placements = LOWER_ARRAY(e, FragPlacement, count),
               .writes_before = LOWER_ARRAY(e, int, count)};
  if (arena_has_failed(e->arena)) {
    e->status = KILN_OUT_OF_MEMORY;
    return NULL;
  }
  for (size_t id = 0; id < count; ++id) plan.links[id] = plan.meets[id] = (int)id;
  link_block(&plan, kernel->body);
  shape_block(&plan, kernel->body);
  place_block(&plan, kernel->body);
  for (size_t id = 0; id < count; ++id) {
    plan.placements[id] = plan.placements[root_of(plan.links, (int)id)];
    plan.placements[id].product = plan.products[id];
  }
  find_late_loads(&plan, kernel->body);
  return plan.placements;
}

static bool uses(const FragPlacement *placements, const Kernel *kernel, const FragStrategy *strategy) {
  for (int id = 0; id < kernel->value_count; ++id)
    if (placements[id].strategy == strategy) return true;
  return false;
}

static const Op *find_product(const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    if (op_multiplies(op->code)) return op;
    for (int i = 0; i < op->block_count; ++i) {
      const Op *found = op->blocks[i] ? find_product(op->blocks[i]) : NULL;
      if (found) return found;
    }
  }
  return NULL;
}

/* Accumulators that do not fit the tile registers are kept in vectors, all of the kernel's. */
FragPlacement *lower_plan_fragments(Emitter *e, const Kernel *kernel) {
  Target without = *e->target;
  without.features &= ~((FeatureSet)1 << FEATURE_AMXTILE);
  FragPlacement *placements = plan_for(e, kernel, e->target);
  e->amx = NULL;
  if (e->status != KILN_OK || !uses(placements, kernel, &mma_amx)) return placements;
  e->amx = lower_plan_amx(e, kernel, placements);
  if (e->amx) return placements;
  lower_remark(e, find_product(kernel->body),
               "the accumulators of @%s that are alive together do not fit the tile registers: all of its products are "
               "done on vectors",
               kernel->name);
  return plan_for(e, kernel, &without);
}

const FragPlacement *lower_placement(const Emitter *e, const Value *value) {
  FragPlacement *placement = &e->placements[value->id];
  if (placement->strategy == NULL) {
    kiln_type type = value->type.type;
    placement->strategy = &mma_outer; /* it meets no product, so any place will do */
    placement->acc = value->type.role == ROLE_ACC ? type : type_compute(type);
  }
  return placement;
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

static const FragStrategy *strategy_of(const Emitter *e, const Value *value) {
  return lower_placement(e, value)->strategy;
}

void lower_carry(Emitter *e, const Value *from, const Value *to) {
  if (to->type.kind != KIND_FRAG) return;
  const FragStrategy *strategy = strategy_of(e, to);
  if (strategy->carry) strategy->carry(e, from, to);
}

void emit_frag_zero(Emitter *e, const Op *op) { strategy_of(e, &op->results[0])->zero(e, op); }
void emit_frag_load(Emitter *e, const Op *op) { strategy_of(e, &op->results[0])->load(e, op); }
void emit_frag_store(Emitter *e, const Op *op) { strategy_of(e, op->operands[0])->store(e, op); }
void emit_frag_tile(Emitter *e, const Op *op) { strategy_of(e, op->operands[0])->to_tile(e, op); }
void emit_tile_frag(Emitter *e, const Op *op) { strategy_of(e, &op->results[0])->from_tile(e, op); }
void emit_mma(Emitter *e, const Op *op) { strategy_of(e, &op->results[0])->mma(e, op); }
void emit_mma_tf32(Emitter *e, const Op *op) { emit_mma(e, op); }
