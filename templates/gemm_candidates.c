/* gemm_candidates.c: schedules of a product that are worth measuring.
 *
 * The baked fields span a space of some hundred to some thousand objects: every word of every field that has words, a
 * few register tiles, a few lengths of the k loop. What the planner refuses is left out, and what the model calls twice
 * as slow as the best. Few slots are filled by prediction and by distance: a candidate like one that was taken already
 * is worth less, since the model is wrong about families of schedules, not about one of them. Passed fields are varied
 * one at a time around what bind chooses. Fields are taken from the table as they come; only the register tile, the
 * steps of k, the sizes where blocks end, whether code knows them and stores past the caches are known by name. Takes
 * milliseconds: it is for the tuner. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "templates/gemm.h"

enum { MAX_TILES = 40 };
static const double worth = 2; /* times the best prediction */

typedef struct Ranked {
  Schedule schedule; /* complete and fixed, passed fields as bind has them */
  double seconds;    /* predicted */
} Ranked;

typedef struct Search {
  const Plan *plan;
  const int64_t *symbols;
  const Machine *machine;
  Arena arena;
  Text why; /* the planner's refusals, of which there are many */
  Pack *packs;
  VECTOR(Ranked) found; /* the plan's own schedule first */
} Search;

/* ---- one schedule ------------------------------------------------------------------------------------------------ */

/* Every field that a plan uses, fixed. */
static Ranked rank(const Search *search, const Plan *plan) {
  Plan whole = *plan;
  int64_t params[PLAN_MAX_PARAMS];
  gemm_bind(plan, search->symbols, search->machine, params);
  for (int i = 0; i < plan->param_count; ++i) {
    whole.schedule.values[plan->params[i]] = params[i];
    whole.schedule.set[plan->params[i]] = true;
  }
  memcpy(whole.schedule.fixed, whole.schedule.set, sizeof whole.schedule.set);
  Prediction prediction;
  gemm_predict(plan, search->symbols, params, search->machine, &prediction);
  return (Ranked){whole.schedule, prediction.seconds};
}

/* A plan like the search's with these fields fixed; false where the planner refuses. */
static bool plan_with(Search *search, const Schedule *wishes, Plan *plan) {
  *plan = *search->plan;
  plan->problem.wishes = plan->schedule = *wishes;
  memset(plan->schedule.set, 0, sizeof plan->schedule.set);
  memset(search->packs, 0, sizeof *search->packs * plan->problem.graph->inputs.count);
  plan->packs = search->packs;
  plan->param_count = 0;
  text_clear(&search->why);
  return gemm_schedule(plan, &search->why) == KILN_OK;
}

static bool uses_all(const Plan *plan) {
  Schedule used = plan->schedule;
  for (int i = 0; i < plan->param_count; ++i) used.set[plan->params[i]] = true;
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (plan->schedule.fixed[field] && !used.set[field]) return false;
  return true;
}

static bool same_values(const Schedule *x, const Schedule *y) {
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (x->set[field] != y->set[field] || (x->set[field] && x->values[field] != y->values[field])) return false;
  return true;
}

static void try_schedule(Search *search, const Schedule *wishes) {
  Plan plan;
  if (!plan_with(search, wishes, &plan) || !uses_all(&plan)) return;
  Ranked ranked = rank(search, &plan);
  if (!same_values(&search->found.items[0].schedule, &ranked.schedule))
    VECTOR_PUSH(&search->arena, search->found, ranked);
}

static void fix(Schedule *schedule, Field field, int64_t value) {
  schedule->values[field] = value;
  schedule->set[field] = schedule->fixed[field] = true;
}

/* ---- the space of baked fields ----------------------------------------------------------------------------------- */

/* Steps of k an iteration takes, around what is the default for this tile. */
static void try_steps(Search *search, const Schedule *wishes) {
  Plan plan;
  if (!plan_with(search, wishes, &plan)) return;
  int64_t usual = plan.schedule.values[FIELD_ku];
  try_schedule(search, wishes);
  if (wishes->fixed[FIELD_ku]) return;
  const int64_t others[] = {usual * 2, usual / 2};
  for (size_t i = 0; i < ARRAY_LENGTH(others); ++i) {
    Schedule changed = *wishes;
    if (others[i] < field_info(FIELD_ku)->low || others[i] > field_info(FIELD_ku)->high) continue;
    fix(&changed, FIELD_ku, others[i]);
    try_schedule(search, &changed);
  }
}

typedef struct Tile {
  int64_t rows, columns;
} Tile;

static void add_tile(Tile tiles[MAX_TILES], int *count, int64_t rows, int64_t columns) {
  if (rows < 1 || *count == MAX_TILES) return;
  for (int i = 0; i < *count; ++i)
    if (tiles[i].rows == rows && tiles[i].columns == columns) return;
  tiles[(*count)++] = (Tile){rows, columns};
}

/* Up to four accumulators of 16 x 16. */
static void list_register_blocks(int64_t m, Tile tiles[MAX_TILES], int *count) {
  for (int64_t high = 1; high <= 4; ++high)
    for (int64_t wide = 1; high * wide <= 4; ++wide) add_tile(tiles, count, smaller_of(16 * high, m), 16 * wide);
}

/* The planner's own, and half and a quarter of its longer side. */
static void list_dots(const Plan *plan, Tile tiles[MAX_TILES], int *count) {
  int64_t rows = plan->schedule.values[FIELD_mr], columns = plan->schedule.values[FIELD_nr];
  for (int64_t part = 1; part <= 4; part *= 2) {
    if (rows > columns) add_tile(tiles, count, rows / part, columns);
    else add_tile(tiles, count, rows, larger_of(columns / part, 1));
  }
}

/* Of each width the planner's own height, the highest that fits, one that cuts m evenly, and some that are lower. */
static void list_vectors(Search *search, const Schedule *wishes, int64_t m, Tile tiles[MAX_TILES], int *count) {
  const Target *target = search->plan->problem.target;
  for (int64_t vectors = 1; vectors <= 4; ++vectors) {
    Plan plan;
    Schedule wide = *wishes;
    int64_t columns = vectors * gemm_lanes(search->plan);
    if (!wide.fixed[FIELD_nr]) fix(&wide, FIELD_nr, columns);
    if (wide.values[FIELD_nr] != columns || !plan_with(search, &wide, &plan)) continue;
    int64_t usual = plan.schedule.values[FIELD_mr], most = usual;
    if (target->family == FAMILY_X86_64) most = smaller_of(target->vector_registers / vectors - 2, 14);
    most = smaller_of(larger_of(most, usual), m);
    int64_t even = ceil_div(m, ceil_div(m, most));
    const int64_t heights[] = {usual, most, even, most - 1, most - 2, most * 3 / 4, most / 2};
    for (size_t i = 0; i < ARRAY_LENGTH(heights); ++i) add_tile(tiles, count, heights[i], columns);
  }
}

static void try_tiles(Search *search, const Schedule *wishes) {
  const GemmMatch *match = search->plan->match;
  Plan plan;
  if (!plan_with(search, wishes, &plan)) return;
  Tile tiles[MAX_TILES];
  int count = 0;
  int64_t m = larger_of(dim_value(match->m, search->symbols), 1);
  if (plan.schedule.set[FIELD_mma] && plan.schedule.values[FIELD_mma] == MMA_ON_TILES)
    list_register_blocks(m, tiles, &count);
  else if (gemm_is_by_dots(&plan)) list_dots(&plan, tiles, &count);
  else list_vectors(search, wishes, m, tiles, &count);
  for (int i = 0; i < count; ++i) {
    Schedule changed = *wishes;
    if (!changed.fixed[FIELD_mr]) fix(&changed, FIELD_mr, tiles[i].rows);
    if (!changed.fixed[FIELD_nr]) fix(&changed, FIELD_nr, tiles[i].columns);
    if (changed.values[FIELD_mr] == tiles[i].rows && changed.values[FIELD_nr] == tiles[i].columns)
      try_steps(search, &changed);
  }
}

/* Every word of each baked field that has words, from `at` on, where the fields before it leave it a use. */
static void try_words(Search *search, const Schedule *wishes, size_t at) {
  Plan plan;
  if (!plan_with(search, wishes, &plan)) return;
  while (at < FIELD_COUNT) {
    const FieldInfo *info = field_info((Field)at);
    if (info->kind == FIELD_BAKED && info->words[0] != '\0' && plan.schedule.set[at] && !wishes->fixed[at]) break;
    ++at;
  }
  if (at == FIELD_COUNT) {
    try_tiles(search, wishes);
    return;
  }
  for (int64_t word = field_info((Field)at)->low; word <= field_info((Field)at)->high; ++word) {
    Schedule changed = *wishes;
    fix(&changed, (Field)at, word);
    try_words(search, &changed, at + 1);
  }
}

static int compare_seconds(const void *left, const void *right) {
  const Ranked *x = left, *y = right;
  if (x->seconds < y->seconds || x->seconds > y->seconds) return x->seconds < y->seconds ? -1 : 1;
  return memcmp(x->schedule.values, y->schedule.values, sizeof x->schedule.values); /* the same on every machine */
}

/* Whether results overflow the second-level cache, so that storing them past it, if that can be, may be of use. */
static bool has_large_results(const Search *search) {
  const GemmMatch *match = search->plan->match;
  if (!gemm_may_stream_results(search->plan)) return false;
  int64_t count = dim_value(match->m, search->symbols) * dim_value(match->n, search->symbols);
  return gemm_bytes(match->acc, count) > search->machine->l2_bytes;
}

/* All of them, the plan's own first, then the fastest first, without the hopeless. */
static void find_all(Search *search) {
  Ranked own = rank(search, search->plan);
  VECTOR_PUSH(&search->arena, search->found, own);
  Schedule wishes = search->plan->problem.wishes; /* sizes=baked is a little faster, and one object more a size */
  if (search->plan->schedule.set[FIELD_sizes]) fix(&wishes, FIELD_sizes, search->plan->schedule.values[FIELD_sizes]);
  try_words(search, &wishes, 0);
  if (!wishes.fixed[FIELD_store_c] && has_large_results(search)) {
    fix(&wishes, FIELD_store_c, STORE_C_STREAMED);
    try_words(search, &wishes, 0);
  }
  if (search->found.count > 2)
    qsort(search->found.items + 1, search->found.count - 1, sizeof *search->found.items, compare_seconds);
  double best = search->found.count > 1 ? fmin(own.seconds, search->found.items[1].seconds) : own.seconds;
  while (search->found.count > 1 && search->found.items[search->found.count - 1].seconds > worth * best)
    --search->found.count;
}

/* ---- choosing a few ---------------------------------------------------------------------------------------------- */

/* In how many respects two schedules differ; the register tile is one, and counts twice. */
static int distance(const Schedule *x, const Schedule *y) {
  int differ = 0;
  bool other_tile = x->values[FIELD_mr] != y->values[FIELD_mr] || x->values[FIELD_nr] != y->values[FIELD_nr];
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    if (field == FIELD_mr || field == FIELD_nr || field_info((Field)field)->kind != FIELD_BAKED) continue;
    differ += x->set[field] != y->set[field] || (x->set[field] && x->values[field] != y->values[field]);
  }
  return differ + 2 * other_tile;
}

/* Brings `wanted` of them to the front: fast by prediction, and unlike those before. */
static void choose_diverse(Search *search, size_t wanted) {
  static const double likeness_cost = 0.08;
  Ranked *items = search->found.items;
  double *penalties = ARENA_ARRAY(&search->arena, double, search->found.count);
  for (size_t taken = 1; penalties != NULL && taken < wanted && taken < search->found.count; ++taken) {
    size_t best = taken;
    for (size_t i = taken; i < search->found.count; ++i) {
      int far = distance(&items[i].schedule, &items[taken - 1].schedule);
      penalties[i] += likeness_cost / (far > 0 ? far * far : 1);
      if (items[i].seconds * (1 + penalties[i]) < items[best].seconds * (1 + penalties[best])) best = i;
    }
    Ranked chosen = items[best];
    double penalty = penalties[best];
    memmove(&items[taken + 1], &items[taken], sizeof *items * (best - taken)); /* the rest stays in order */
    memmove(&penalties[taken + 1], &penalties[taken], sizeof *penalties * (best - taken));
    items[taken] = chosen;
    penalties[taken] = penalty;
  }
}

/* ---- passed fields ----------------------------------------------------------------------------------------------- */

/* The size that blocks of a field end at. */
static int64_t whole_size(const Search *search, Field field) {
  const GemmMatch *match = search->plan->match;
  if (field == FIELD_mc) return larger_of(dim_value(match->m, search->symbols), 1);
  if (field == FIELD_nc) return larger_of(dim_value(match->n, search->symbols), 1);
  if (field == FIELD_kc) return larger_of(dim_value(match->k, search->symbols), 1);
  return field_info(field)->high;
}

/* Another value of a field that is `usual` now; 0 to CHOICES - 1 of them: halved, doubled, whole; or the other words.
 */
enum { CHOICES = 3 };
static int64_t other_value(const Search *search, Field field, int64_t usual, int64_t choice) {
  const FieldInfo *info = field_info(field);
  if (info->words[0] != '\0') return choice < info->high ? (usual + 1 + choice) % (info->high + 1) : usual;
  int64_t whole = whole_size(search, field), now = smaller_of(usual, whole);
  if (choice == 0) return now / 2;
  if (choice == 1) return now * 2 < whole ? now * 2 : usual;
  return now < whole && whole < info->high ? whole : usual;
}

/* The variant `index` of a complete schedule: one passed field halved, doubled, or the whole size; another word. False:
 * there are no more. A variant that is none, since the field is fixed or comes out the same, leaves *variant alone. */
static bool vary(Search *search, const Schedule *complete, size_t index, Schedule *variant) {
  Plan plan;
  Schedule wishes = *complete;
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (field_info((Field)field)->kind == FIELD_PASSED) wishes.fixed[field] = search->plan->problem.wishes.fixed[field];
  if (!plan_with(search, &wishes, &plan) || index >= CHOICES * (size_t)plan.param_count) return false;
  Field field = plan.params[index / CHOICES];
  const FieldInfo *info = field_info(field);
  int64_t usual = complete->values[field], value = other_value(search, field, usual, (int64_t)(index % CHOICES));
  if (wishes.fixed[field] || value < info->low || value > info->high || value == usual) return true;
  fix(&plan.schedule, field, value);
  plan.schedule.set[field] = false; /* as gemm_schedule leaves passed fields */
  Ranked ranked = rank(search, &plan);
  if (!same_values(&ranked.schedule, complete)) *variant = ranked.schedule;
  return true;
}

/* Adds variants of the first `objects` schedules, in turns, until `capacity` is reached. */
static size_t add_variants(Search *search, size_t objects, Schedule *out, size_t count, size_t capacity) {
  bool more = true;
  for (size_t index = 0; more && count < capacity; ++index) {
    more = false;
    for (size_t i = 0; i < objects && count < capacity; ++i) {
      Schedule variant = search->found.items[i].schedule;
      if (!vary(search, &search->found.items[i].schedule, index, &variant)) continue;
      more = true;
      if (!same_values(&variant, &search->found.items[i].schedule)) out[count++] = variant;
    }
  }
  return count;
}

size_t gemm_candidates(const Plan *plan, const int64_t *symbols, const Machine *machine, Schedule *out,
                       size_t capacity) {
  Search search = {.plan = plan, .symbols = symbols, .machine = machine};
  if (capacity == 0) return 0;
  arena_init(&search.arena, &plan->problem.graph->arena.allocator);
  text_init(&search.why, &search.arena.allocator);
  search.packs = ARENA_ARRAY(&search.arena, Pack, plan->problem.graph->inputs.count);
  if (!arena_has_failed(&search.arena)) find_all(&search);
  size_t count = 0, most = capacity < 2 ? 1 : capacity * 3 / 4;
  size_t objects = most < search.found.count ? most : search.found.count;
  if (objects < search.found.count) choose_diverse(&search, objects);
  bool failed = arena_has_failed(&search.arena);
  for (; !failed && count < objects; ++count) out[count] = search.found.items[count].schedule;
  if (!failed) count = add_variants(&search, objects, out, count, capacity);
  text_release(&search.why);
  arena_release(&search.arena);
  return count;
}
