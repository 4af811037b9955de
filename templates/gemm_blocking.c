/* gemm_blocking.c: the passed fields of the gemm template for one call: which part of the product is computed while
 * which part of it lies in which cache, and how many tasks share the parts. In closed form, since calls with symbolic
 * sizes come here each time.
 *
 * Results depend on none of it but kc of dot products, and kc on k and the cache alone. */
#include "templates/gemm.h"

static int64_t ceil_div(int64_t x, int64_t y) { return (x + y - 1) / y; }
static int64_t smaller_of(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t larger_of(int64_t x, int64_t y) { return x > y ? x : y; }

/* What of the second-level cache rows of A may fill; the rest is for panels of B passing through. */
static int64_t cache_for_rows(const Machine *machine) { return machine->l2_bytes / 8 * 5; }

/* Steps of k a visit takes: so many that 384 rows of A stay in the second-level cache while all of B passes, for B then
 * comes from further away once in 384 rows. */
static int64_t choose_kc(int64_t k, kiln_type type, const Machine *machine) {
  enum { ROWS = 384, SHORTEST = 256, MULTIPLE = 64 };
  int64_t limit = larger_of(cache_for_rows(machine) / gemm_bytes(type, ROWS), SHORTEST);
  if (k <= limit * 3 / 2) return larger_of(k, 1);
  int64_t visits = ceil_div(k, limit);
  return ceil_div(ceil_div(k, visits), MULTIPLE) * MULTIPLE;
}

/* Rows and columns of a block, in register tiles: the rows of A stay in half the second-level cache while panels of B
 * pass; columns, then rows, are cut further until every thread has several tasks. */
static void choose_block(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *values) {
  enum { TASKS_PER_THREAD = 4 };
  const GemmMatch *match = plan->match;
  int64_t mr = plan->schedule.values[FIELD_mr], nr = plan->schedule.values[FIELD_nr], kc = values[FIELD_kc];
  int64_t tiles = larger_of(ceil_div(dim_value(match->m, symbols), mr), 1);
  int64_t panels = larger_of(ceil_div(dim_value(match->n, symbols), nr), 1);
  int64_t resident = larger_of(cache_for_rows(machine) / larger_of(gemm_bytes(gemm_types(plan).a, mr * kc), 1), 1);
  bool packs = plan->schedule.values[FIELD_pack_b] == PACK_B_TASK;
  int64_t row_blocks = packs ? 1 : ceil_div(tiles, resident);
  int64_t wanted = machine->threads > 1 ? (int64_t)machine->threads * TASKS_PER_THREAD : 1;
  bool packs_rows = plan->schedule.values[FIELD_pack_a] == PACK_A_TASK;
  if (packs_rows && !packs) row_blocks = larger_of(row_blocks, smaller_of(wanted, tiles)); /* so each is packed once */
  int64_t column_blocks = smaller_of(ceil_div(wanted, row_blocks), panels);
  if (row_blocks * column_blocks < wanted) row_blocks = smaller_of(ceil_div(wanted, column_blocks), tiles);
  values[FIELD_mc] = ceil_div(tiles, row_blocks) * mr;
  values[FIELD_nc] = ceil_div(panels, column_blocks) * nr;
  values[FIELD_strip] = panels; /* all: blocks that share rows of A follow each other */
  values[FIELD_tasks] = wanted;
}

void gemm_bind(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *params) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  int64_t values[FIELD_COUNT], k = dim_value(match->k, symbols);
  GemmTypes types = gemm_types(plan);
  values[FIELD_kc] = !gemm_has_field(plan, FIELD_kc) ? k
                     : s->fixed[FIELD_kc]            ? s->values[FIELD_kc]
                                                     : choose_kc(k, types.a, machine);
  values[FIELD_kc] = ceil_div(values[FIELD_kc], types.step) * types.step; /* a cut step is left to the last block */
  choose_block(plan, symbols, machine, values);
  for (int i = 0; i < plan->param_count; ++i) {
    Field field = plan->params[i];
    params[i] = s->fixed[field] && field != FIELD_kc ? s->values[field] : values[field];
  }
}
