/* amx_plan.c: see amx.h. Accumulators that loops, choices and products hand on to each other form a web and have the
 * same registers, as in frag_plan.c; but zeros are made where they are wanted, so they link nothing. A walk over the
 * kernel from its end tells which accumulators are alive together; webs that are get different registers, and a web
 * with two living values at once fits nowhere. */
#include <string.h>

#include "lower/amx.h"

enum { MAX_WEBS = 64 };

typedef struct Web {
  int root; /* id of a value */
  int rows, cols;
  const Value *bound;
  bool has_bound; /* whether a product has been seen yet */
  uint64_t meets; /* webs alive at the same time */
  int first;      /* register; -1: none yet */
} Web;

typedef struct Planner {
  Emitter *e;
  const Kernel *kernel;
  const FragPlacement *placements;
  int *links;
  int *web_of; /* by id of a root; -1: none yet */
  Web webs[MAX_WEBS];
  int web_count;
  bool has_failed;
  AmxPlan *plan;
} Planner;

/* ---- webs -------------------------------------------------------------------------------------------------------- */

static int root_of(int *links, int id) {
  while (links[id] != id) id = links[id] = links[links[id]];
  return id;
}

/* An accumulator that is kept in registers. */
static bool is_kept(const Planner *p, const Value *value) {
  return value->type.kind == KIND_FRAG && value->type.role == ROLE_ACC &&
         p->placements[value->id].strategy == &mma_amx && !lower_amx_is_zero(value);
}

static void link_values(Planner *p, const Value *x, const Value *y) {
  if (is_kept(p, x) && is_kept(p, y)) p->links[root_of(p->links, x->id)] = root_of(p->links, y->id);
}

static void link_block(Planner *p, const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    if (op_multiplies(op->code)) link_values(p, op->operands[0], &op->results[0]);
    for (int i = 0; op->code == OP_for && i < op->result_count; ++i) {
      link_values(p, op->operands[3 + i], &op->results[i]);
      link_values(p, op->blocks[0]->arguments[1 + i], &op->results[i]);
    }
    for (int i = 0; i < op->block_count; ++i) {
      if (op->blocks[i] == NULL) continue;
      link_block(p, op->blocks[i]);
      const Op *yield = lower_yield(op->blocks[i]);
      for (int j = 0; j < op->result_count; ++j) link_values(p, yield->operands[j], &op->results[j]);
    }
  }
}

/* NULL: it is in no register, or there are too many webs. */
static Web *web_of(Planner *p, const Value *value) {
  if (!is_kept(p, value)) return NULL;
  int root = root_of(p->links, value->id);
  if (p->web_of[root] < 0) {
    if (p->web_count == MAX_WEBS) {
      p->has_failed = true;
      return NULL;
    }
    p->web_of[root] = p->web_count;
    p->webs[p->web_count++] = (Web){.root = root, .rows = value->type.rows, .cols = value->type.cols, .first = -1};
  }
  return &p->webs[p->web_of[root]];
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

/* Accumulators alive at some point, by id. */
typedef bool *Live;

static Live copy_live(Planner *p, Live live) {
  Live copy = LOWER_ARRAY(p->e, bool, p->kernel->value_count);
  memcpy(copy, live, (size_t)p->kernel->value_count * sizeof *copy);
  return copy;
}

static void use(Planner *p, Live live, const Value *value) {
  if (web_of(p, value)) live[value->id] = true;
}

/* Registers of `value` are written here, even if only with zeros: whatever else is alive must not be in them. */
static void define(Planner *p, Live live, const Value *value) {
  Web *web = web_of(p, value);
  if (!web) return;
  live[value->id] = false;
  for (int id = 0; id < p->kernel->value_count; ++id) {
    if (!live[id]) continue;
    Web *other = &p->webs[p->web_of[root_of(p->links, id)]];
    if (other == web) p->has_failed = true;
    web->meets |= (uint64_t)1 << (other - p->webs);
    other->meets |= (uint64_t)1 << (web - p->webs);
  }
}

static void use_inside(Planner *p, Live live, const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    for (int i = 0; i < op->operand_count; ++i) use(p, live, op->operands[i]);
    for (int i = 0; i < op->block_count; ++i)
      if (op->blocks[i]) use_inside(p, live, op->blocks[i]);
  }
}

/* What a block defines is no more alive in front of it. */
static void forget_inside(Planner *p, Live live, const Block *block) {
  for (int i = 0; i < block->argument_count; ++i) live[block->arguments[i]->id] = false;
  for (const Op *op = block->first; op != NULL; op = op->next) {
    for (int i = 0; i < op->result_count; ++i) live[op->results[i].id] = false;
    for (int i = 0; i < op->block_count; ++i)
      if (op->blocks[i]) forget_inside(p, live, op->blocks[i]);
  }
}

static void walk(Planner *p, const Block *block, Live live);

/* A side of a choice or the body of a loop; `live` is what is alive behind it, and after that in front of it. Zeros it
 * yields are written at its end. */
static void walk_side(Planner *p, const Op *op, const Block *block, Live live) {
  const Op *yield = lower_yield(block);
  for (int i = 0; i < op->result_count; ++i) use(p, live, yield->operands[i]);
  for (int i = 0; i < op->result_count; ++i)
    if (lower_amx_is_zero(yield->operands[i])) define(p, live, &op->results[i]);
  walk(p, block, live);
}

/* What the body uses of what is defined outside of it is alive in all of the loop. */
static void walk_loop(Planner *p, const Op *op, Live live) {
  const Block *body = op->blocks[0];
  Live inside = LOWER_ARRAY(p->e, bool, p->kernel->value_count);
  use_inside(p, inside, body);
  forget_inside(p, inside, body);
  for (int id = 0; id < p->kernel->value_count; ++id) live[id] |= inside[id];
  Live end = copy_live(p, live);
  walk_side(p, op, body, end);
  for (int i = 0; i < op->result_count; ++i) define(p, end, body->arguments[1 + i]);
  for (int i = 0; i < op->result_count; ++i) use(p, live, op->operands[3 + i]);
}

static void walk_choice(Planner *p, const Op *op, Live live) {
  Live before = copy_live(p, live);
  for (int i = 0; i < op->block_count; ++i) {
    if (op->blocks[i] == NULL) continue;
    Live side = copy_live(p, live);
    walk_side(p, op, op->blocks[i], side);
    for (int id = 0; id < p->kernel->value_count; ++id) before[id] |= side[id];
  }
  memcpy(live, before, (size_t)p->kernel->value_count * sizeof *live);
}

static void walk(Planner *p, const Block *block, Live live) {
  for (const Op *op = block->last; op != NULL; op = op->previous) {
    if (op->code == OP_yield) continue;
    for (int i = 0; i < op->result_count; ++i) define(p, live, &op->results[i]);
    if (op->code == OP_for) walk_loop(p, op, live);
    else if (op->code == OP_if) walk_choice(p, op, live);
    else
      for (int i = 0; i < op->operand_count; ++i) use(p, live, op->operands[i]);
  }
}

/* ---- row bounds -------------------------------------------------------------------------------------------------- */

static bool has_tiles(const Planner *p, const Block *block);

static bool needs_registers(const Planner *p, const Op *op) {
  for (int i = 0; i < op->result_count; ++i)
    if (is_kept(p, &op->results[i])) return true;
  for (int i = 0; i < op->operand_count; ++i)
    if (is_kept(p, op->operands[i])) return true;
  for (int i = 0; i < op->block_count; ++i)
    if (op->blocks[i] && has_tiles(p, op->blocks[i])) return true;
  return false;
}

static bool has_tiles(const Planner *p, const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next)
    if (needs_registers(p, op)) return true;
  return false;
}

enum { MAX_DEPTH = 16 };

static bool is_arithmetic(const Op *op) {
  return op != NULL && op_info(op->code)->stage == STAGE_INDEX && op->code != OP_index_tile;
}

/* Whether a value can be computed where the registers are configured. */
static bool is_early(const Planner *p, const Value *value, int depth) {
  if (value->op == NULL) return value->block == p->kernel->body;
  for (const Op *op = p->kernel->body->first; op != p->plan->first; op = op->next)
    if (op == value->op) return true;
  bool is_known = is_arithmetic(value->op) && depth < MAX_DEPTH;
  for (int i = 0; i < value->op->operand_count && is_known; ++i)
    is_known = is_early(p, value->op->operands[i], depth + 1);
  return is_known;
}

/* Whether two indexes are the same expression, which each load may have written for itself. */
static bool is_equal(const Value *x, const Value *y, int depth) {
  if (x == y) return true;
  if (!is_arithmetic(x->op) || !is_arithmetic(y->op) || depth == MAX_DEPTH) return false;
  if (x->op->code != y->op->code || x->op->number != y->op->number) return false;
  for (int i = 0; i < x->op->operand_count; ++i)
    if (!is_equal(x->op->operands[i], y->op->operands[i], depth + 1)) return false;
  return true;
}

/* The row bound of an operand, as the value that stands for all equal ones; NULL: it has none in time. */
static const Value *bound_of(const Planner *p, const Value *a) {
  bool is_loaded = a->op && a->op->code == OP_frag_load;
  const Value *bound = is_loaded ? access_of(a->op).rows : NULL;
  if (!bound || !is_early(p, bound, 0)) return NULL;
  for (int w = 0; w < p->web_count; ++w)
    if (p->webs[w].bound && is_equal(p->webs[w].bound, bound, 0)) return p->webs[w].bound;
  return bound;
}

/* The row bound of all `a` that meet a web, if it is one and known in time. */
static void find_bounds(Planner *p, const Block *block) {
  for (const Op *op = block->first; op != NULL; op = op->next) {
    Web *web = op_multiplies(op->code) ? web_of(p, &op->results[0]) : NULL;
    if (web) {
      const Value *bound = bound_of(p, op->operands[1]);
      web->bound = !web->has_bound || web->bound == bound ? bound : NULL;
      web->has_bound = true;
    }
    for (int i = 0; i < op->block_count; ++i)
      if (op->blocks[i]) find_bounds(p, op->blocks[i]);
  }
}

AmxRows lower_amx_rows(const Value *bound, int rows, int i) {
  int first = i * AMX_ROWS;
  return (AmxRows){bound, bound ? first : 0, rows - first < AMX_ROWS ? rows - first : AMX_ROWS};
}

bool lower_amx_is_same(AmxRows x, AmxRows y) { return x.bound == y.bound && x.first == y.first && x.count == y.count; }

static bool is_whole(AmxRows rows) { return rows.bound == NULL && rows.count == AMX_ROWS; }

/* ---- registers --------------------------------------------------------------------------------------------------- */

static int tile_rows(const Web *web) { return (web->rows + AMX_ROWS - 1) / AMX_ROWS; }
static int tile_cols(const Web *web) { return web->cols / AMX_ROWS; }

static bool fits_at(const Planner *p, const Web *web, int first) {
  int count = tile_rows(web) * tile_cols(web);
  if (first + count > AMX_REGISTERS) return false;
  for (int w = 0; w < p->web_count; ++w) {
    const Web *other = &p->webs[w];
    bool overlaps =
        other->first >= 0 && other->first < first + count && first < other->first + tile_rows(other) * tile_cols(other);
    if (overlaps && (web->meets >> w & 1)) return false;
  }
  for (int i = 0; i < count; ++i) {
    AmxRows found = p->plan->rows[first + i];
    if (found.count > 0 && !lower_amx_is_same(found, lower_amx_rows(web->bound, web->rows, i / tile_cols(web))))
      return false;
  }
  return true;
}

/* A register for `a` with these rows, unless it has one; those of 16 rows share the rest. */
static void add_operand(Planner *p, AmxRows rows, int *next) {
  if (is_whole(rows)) return;
  for (int i = p->plan->accumulators; i < *next; ++i)
    if (lower_amx_is_same(p->plan->rows[i], rows)) return;
  if (*next < AMX_REGISTERS) p->plan->rows[*next] = rows;
  ++*next;
}

/* Accumulators first, operands with few rows next, all that is left is for operands with 16 rows: `b`, and `a` where it
 * has such rows. */
static bool assign(Planner *p) {
  AmxPlan *plan = p->plan;
  memset(plan->rows, 0, sizeof plan->rows);
  plan->accumulators = 0;
  for (int w = 0; w < p->web_count; ++w) p->webs[w].first = -1;
  for (int w = 0; w < p->web_count; ++w) {
    Web *web = &p->webs[w];
    int count = tile_rows(web) * tile_cols(web), first = 0;
    while (first < AMX_REGISTERS && !fits_at(p, web, first)) ++first;
    if (first == AMX_REGISTERS) return false;
    web->first = first;
    for (int i = 0; i < count; ++i) plan->rows[first + i] = lower_amx_rows(web->bound, web->rows, i / tile_cols(web));
    if (first + count > plan->accumulators) plan->accumulators = first + count;
  }
  int next = plan->accumulators, wanted = 1;
  for (int w = 0; w < p->web_count; ++w) {
    for (int i = 0; i < tile_rows(&p->webs[w]); ++i) {
      AmxRows rows = lower_amx_rows(p->webs[w].bound, p->webs[w].rows, i);
      add_operand(p, rows, &next);
      if (is_whole(rows)) wanted = 2;
    }
  }
  plan->whole = next;
  for (int i = 0; i < AMX_REGISTERS; ++i)
    if (plan->rows[i].count == 0) plan->rows[i] = (AmxRows){NULL, 0, AMX_ROWS};
  return next + wanted <= AMX_REGISTERS;
}

static void record(Planner *p) {
  for (int id = 0; id < p->kernel->value_count; ++id) {
    int web = p->web_of[root_of(p->links, id)];
    p->plan->registers[id] = web < 0 ? -1 : p->webs[web].first;
    p->plan->bounds[id] = web < 0 ? NULL : p->webs[web].bound;
  }
}

AmxPlan *lower_plan_amx(Emitter *e, const Kernel *kernel, const FragPlacement *placements) {
  int count = kernel->value_count;
  Planner p = {.e = e, .kernel = kernel, .placements = placements, .plan = ARENA_NEW(e->arena, AmxPlan)};
  p.links = LOWER_ARRAY(e, int, count);
  p.web_of = LOWER_ARRAY(e, int, count);
  *p.plan = (AmxPlan){.registers = LOWER_ARRAY(e, int, count), .bounds = LOWER_ARRAY(e, const Value *, count)};
  for (int id = 0; id < count; ++id) p.links[id] = id, p.web_of[id] = -1;
  link_block(&p, kernel->body);
  p.plan->first = kernel->body->first;
  while (p.plan->first && !needs_registers(&p, p.plan->first)) p.plan->first = p.plan->first->next;
  find_bounds(&p, kernel->body);
  walk(&p, kernel->body, LOWER_ARRAY(e, bool, count));
  if (p.has_failed) return NULL;
  bool fits = assign(&p);
  for (int w = 0; w < p.web_count && !fits; ++w) p.webs[w].bound = NULL; /* rows are cut elsewhere: amx_load.c */
  if (!fits && !assign(&p)) return NULL;
  record(&p);
  return p.plan;
}
