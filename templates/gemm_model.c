/* gemm_model.c: how long a product takes, counted rather than measured: instructions of the register tiles, bytes that
 * each level of the memory hierarchy gives, packing, the epilogue, and how evenly tasks spread over threads.
 *
 * It follows the loops that gemm_build.c writes, with the rates of cores.def. Calls repeat: what all operands together
 * leave in a cache is found there again. The constants below were fitted to bench/results/model.md, on one machine;
 * none of them decides what is computed. */
#include <math.h>

#include "templates/gemm.h"

/* Products and loads are issued side by side; the longer counts fully, the other as this power mean has it. */
static const double issue = 2.2;
/* Of the time that the second-level cache needs, what products do not hide: prefetching does well there. Tile registers
 * wait for every load. */
static const double l2_exposed = 0.04, l2_exposed_of_tiles = 0.18;
/* Cycles, but where said. */
enum {
  FMA_LATENCY = 4,
  TILE_PRODUCT = 16,
  TILE_LOAD = 11,
  TILE_CALL = 24,
  BLOCK_CALL = 60,
  TASK_CALL = 150,
  CALL = 60
};
/* Of a row of A that a tile register loads, where it crosses a cache line, and where k ends inside of it. */
enum { CROSSING_ROW = 4, CUT_ROW = 25 };
static const double pack_element = 0.35, converted_load = 1, epilogue_rate = 2;
/* Of a vector of fours of bytes: two operations on four units, or three. */
static const double widened_of_a = 0.5, widened_of_b = 0.75;
/* One panel after the other is one stream of memory, which gives this share of what several do (bandwidth.md). Columns
 * of B as it lies are pieces of rows: so many times slower to read in place, and to pack. */
static const double one_stream = 0.57, in_place = 3.5, strided = 1.7;
/* A store past the caches takes a core as long as so many bytes read (f32, 16384 x 64 x 16384). */
static const double streamed_store = 3;
static const double wake_seconds = 2e-6, wake_each_seconds = 0.2e-6;
/* Of a cache, what data used again and again may fill before others drive it out. */
static const double usable = 0.75, usable_l3 = 0.33; /* that guest's share of it */
/* Most blocks and threads that are counted one by one; beyond them a call is as good as even. */
enum { MOST_BLOCKS = 1 << 16, MOST_THREADS = 1024 };

/* One call in whole numbers of tiles. */
typedef struct Call {
  const Plan *plan;
  const Machine *machine;
  GemmTypes types;
  bool on_tiles;
  int64_t m, n, k;
  int64_t rows, columns, vectors; /* of a register tile */
  int64_t tiles, panels;          /* along m and n: of C, and of a block … */
  int64_t block_tiles, block_panels;
  int64_t row_blocks, column_blocks, layers, strip, tasks;
  int64_t kc, visits; /* of k, over all layers */
  bool keeps_rows;    /* of A, packed for all of k */
  double tile_count;  /* of C */
} Call;

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static int64_t param_of(const Plan *plan, const int64_t *params, Field field, int64_t otherwise) {
  for (int i = 0; i < plan->param_count; ++i)
    if (plan->params[i] == field) return larger_of(params[i], 1);
  return otherwise;
}

static Call call_of(const Plan *plan, const int64_t *symbols, const int64_t *params, const Machine *machine) {
  const GemmMatch *match = plan->match;
  Call c = {.plan = plan, .machine = machine, .types = gemm_types(plan)};
  c.on_tiles = plan->schedule.values[FIELD_mma] == MMA_ON_TILES;
  c.m = dim_value(match->m, symbols);
  c.n = dim_value(match->n, symbols);
  c.k = dim_value(match->k, symbols);
  c.rows = gemm_rows_of_tile(plan, c.m);
  c.columns = plan->schedule.values[FIELD_nr];
  c.vectors = gemm_is_by_dots(plan) ? c.columns : c.columns / gemm_lanes(plan); /* along k, then */
  c.tiles = ceil_div(c.m, c.rows);
  c.panels = ceil_div(c.n, c.columns);
  c.block_tiles = larger_of(smaller_of(ceil_div(param_of(plan, params, FIELD_mc, c.m), c.rows), c.tiles), 1);
  c.block_panels = larger_of(smaller_of(ceil_div(param_of(plan, params, FIELD_nc, c.n), c.columns), c.panels), 1);
  int64_t batch = gemm_batch(match, symbols); /* as if its products stood one above the other */
  c.row_blocks = ceil_div(c.tiles, c.block_tiles) * batch;
  c.m *= batch;
  c.tiles *= batch;
  c.tile_count = (double)c.tiles * (double)c.panels;
  c.column_blocks = ceil_div(c.panels, c.block_panels);
  c.strip = larger_of(smaller_of(param_of(plan, params, FIELD_strip, c.column_blocks), c.column_blocks), 1);
  c.layers = param_of(plan, params, FIELD_layers, 1);
  c.tasks = smaller_of(param_of(plan, params, FIELD_tasks, 1), c.row_blocks * c.column_blocks * c.layers);
  int64_t depth = larger_of(ceil_div(c.k, c.layers), 1);
  c.kc = smaller_of(param_of(plan, params, FIELD_kc, depth), depth);
  c.visits = c.layers * ceil_div(depth, c.kc);
  c.keeps_rows = c.layers == 1 && param_of(plan, params, FIELD_pc, c.kc) >= c.k;
  return c;
}

static double bytes_of(kiln_type type, double count) { return count * (double)type_bits(type) / 8; }

/* ---- balance ----------------------------------------------------------------------------------------------------- */

/* Register tiles of block `x` in the order of visits (place_block of gemm_build.c). */
static double tiles_of_block(const Call *c, int64_t x) {
  int64_t number = x / (c->row_blocks * c->strip), within = x % (c->row_blocks * c->strip), first = number * c->strip;
  int64_t width = smaller_of(c->strip, c->column_blocks - first), down = within / width, right = within % width;
  int64_t row = number % 2 == 0 ? down : c->row_blocks - 1 - down;
  int64_t column = first + (down % 2 == 0 ? right : width - 1 - right);
  int64_t tiles = smaller_of(c->block_tiles, c->tiles - row * c->block_tiles);
  return (double)tiles * (double)smaller_of(c->block_panels, c->panels - column * c->block_panels);
}

/* Work of the busiest thread over the mean, where each task goes to the thread that is free first. */
static double balance_of(const Call *c) {
  int64_t items = c->row_blocks * c->column_blocks * c->layers, threads = c->machine->threads;
  if (threads <= 1 || items == 0 || items > MOST_BLOCKS || threads > MOST_THREADS) return 1;
  double busy[MOST_THREADS] = {0}, longest = 0;
  for (int64_t task = 0; task < c->tasks; ++task) {
    int64_t next = 0;
    for (int64_t t = 1; t < threads; ++t)
      if (busy[t] < busy[next]) next = t;
    for (int64_t x = task * items / c->tasks; x < (task + 1) * items / c->tasks; ++x)
      busy[next] += tiles_of_block(c, x / c->layers) / (double)c->layers;
    longest = fmax(longest, busy[next]);
  }
  return longest / (c->tile_count / (double)threads);
}

/* ---- instructions ------------------------------------------------------------------------------------------------ */

/* Cycles between two of the product's instruction. Two that a core lacks the units for: vdpbf16ps without the trait,
 * and fours of bytes that are widened: two products and two sums, on as many units. */
static double instruction_cycles(const Plan *plan, const Core *core) {
  const MmaInstruction *row = gemm_instruction(plan);
  if (plan->schedule.values[FIELD_mma] == MMA_ON_TILES) return TILE_PRODUCT;
  double cycles = 1.0 / core->products;
  if (gemm_widens_bytes(plan)) return 2 * cycles;
  if (row == NULL || gemm_is_by_dots(plan) || plan->problem.target->family != FAMILY_X86_64) return cycles;
  bool is_slow_dot = row->acc == KILN_F32 && row->k > 1 && !gemm_has_fast_dot(plan);
  if (is_slow_dot && gemm_types(plan).step > 1) return 4 * cycles;
  return cycles;
}

/* Cycles of one register tile's step of k: products alone, and all that passes between registers and the first-level
 * cache. */
static double step_cycles(const Call *c) {
  double rows = (double)c->rows, vectors = (double)c->vectors;
  if (c->on_tiles) return TILE_PRODUCT * ceil(rows / 16) * ceil((double)c->columns / 16);
  double products = rows * vectors * instruction_cycles(c->plan, c->machine->core);
  bool converts = c->types.step == 1 || (gemm_is_by_dots(c->plan) && type_is_floating(c->types.acc));
  if (gemm_widens_bytes(c->plan)) products += widened_of_a * rows + widened_of_b * vectors;
  if (c->types.a != c->types.acc && converts) products += converted_load * rows;
  if (c->types.b != c->types.acc && converts) products += converted_load * vectors;
  return fmax(products, FMA_LATENCY);
}
static double step_load_cycles(const Call *c) {
  if (c->on_tiles) return TILE_LOAD * (ceil((double)c->rows / 16) + ceil((double)c->columns / 16));
  return (double)(c->rows + c->vectors) / c->machine->core->loads;
}

/* Rows of A in place for tile registers that do not begin with cache lines, and a last step of k that is cut. */
static double tile_row_cycles(const Call *c) {
  enum { LINE = 64 };
  if (!c->on_tiles) return 0;
  const GemmMatch *match = c->plan->match;
  bool is_packed = c->plan->schedule.values[FIELD_pack_a] == PACK_A_TASK;
  bool crosses = !is_packed && gemm_bytes(match->a.node->type, c->k) % LINE != 0;
  double rows = (double)c->rows * c->tile_count;
  double crossing = crosses ? CROSSING_ROW * floor((double)c->k / c->types.step) : 0;
  return rows * (crossing + (c->k % c->types.step != 0 ? CUT_ROW : 0));
}

double gemm_peak(const Plan *plan, const Core *core) {
  bool on_tiles = plan->schedule.values[FIELD_mma] == MMA_ON_TILES;
  int64_t accumulators = on_tiles ? 16 * 16 : gemm_is_by_dots(plan) ? 1 : gemm_lanes(plan);
  return 2 * (double)accumulators * gemm_types(plan).step / instruction_cycles(plan, core);
}

/* What follows the product, and the accumulators' way out. */
static double epilogue_cycles(const Call *c) {
  const GemmMatch *match = c->plan->match;
  double vectors = (double)c->rows * (double)c->columns / (double)gemm_lanes(c->plan);
  double cost = match->epilogue_cost + 1; /* and a store */
  switch (c->plan->schedule.values[FIELD_epilogue]) {
  case EPILOGUE_NONE: return vectors;
  case EPILOGUE_REGISTERS: return vectors * cost / epilogue_rate;
  case EPILOGUE_OVERLAPPED: return vectors * (cost + 2) / epilogue_rate / 3;
  default: return vectors * (cost + 2) / epilogue_rate + 2 * (double)c->rows;
  }
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

/* Bytes of what one task has in hand, of the whole call, and how often each passes. */
static void count_bytes(const Call *c, double bytes[LEVEL_COUNT]) {
  const GemmMatch *match = c->plan->match;
  const Machine *machine = c->machine;
  double m = (double)c->m, n = (double)c->n, k = (double)c->k, kc = (double)c->kc, visits = (double)c->visits;
  double l1 = usable * (double)machine->l1d_bytes, l2 = usable * (double)machine->l2_bytes;
  double a_tile = bytes_of(c->types.a, (double)c->rows * kc), panel = bytes_of(c->types.b, (double)c->columns * kc);
  bool by_panels =
      c->plan->schedule.values[FIELD_epilogue] == EPILOGUE_OVERLAPPED; /* all of k for one after the other */
  double a_block = a_tile * (double)c->block_tiles * (by_panels ? visits : 1),
         b_block = panel * (double)c->block_panels;
  double acc_tile = bytes_of(c->types.acc, (double)c->rows * (double)c->columns);
  double a = bytes_of(match->a.node->type, m * k), b = bytes_of(c->types.b, n * k);
  bool past_caches = c->plan->schedule.values[FIELD_store_c] == STORE_C_STREAMED;
  double results = past_caches ? 0 : 2 * bytes_of(match->acc, m * n);          /* read before they are written */
  double kept = 2 * (visits - 1 + (c->layers > 1)) * c->tile_count * acc_tile; /* written and read */
  double kept_block = visits > 1 ? acc_tile * (double)c->block_tiles * (double)c->block_panels : 0;
  if (by_panels) kept_block = 2 * acc_tile * (double)c->block_tiles;

  double steps = visits * c->tile_count;
  bytes[LEVEL_L1] = steps * (a_tile + panel);
  bool panel_stays = panel + (c->on_tiles ? 0 : a_tile) <= l1 * 1.2, rows_stay = a_block + panel <= l1;
  bytes[LEVEL_L2] = (rows_stay ? a * (double)c->column_blocks : steps * a_tile) + results + kept;
  bytes[LEVEL_L2] += panel_stays ? b * (double)c->row_blocks : steps * panel;

  bool has_block = a_block <= l2, has_all_of_b = b_block * visits + a_block + kept_block <= l2;
  double a_passes = !has_block ? (double)c->panels : visits > 1 ? (double)c->column_blocks : 1;
  double b_passes = has_all_of_b && c->column_blocks == 1 ? 1 : (double)c->row_blocks;
  bytes[LEVEL_L3] = a * a_passes + b * b_passes + results + (a_block + kept_block > l2 ? kept : 0);

  double all = a + b + bytes_of(match->acc, m * n);
  double threads = fmin((double)machine->threads, (double)larger_of(c->tasks, 1));
  double sharing = fmax(threads / (double)larger_of(machine->l3_cores, 1), 1);
  double l3 = usable_l3 * (double)machine->l3_bytes * sharing;
  bytes[LEVEL_MEMORY] = all <= l3 ? 0 : a + b * (b_block * visits <= l3 ? 1 : b_passes) + results;
  if (all <= (double)machine->l2_bytes * threads) bytes[LEVEL_L3] = 0;
  if (all <= l1 * threads) bytes[LEVEL_L2] = 0;
  if (past_caches) bytes[LEVEL_MEMORY] += streamed_store * bytes_of(match->acc, m * n);
}

/* Elements that tasks pack, each time. */
static double packed_elements(const Call *c) {
  const Schedule *s = &c->plan->schedule;
  double a = 0, b = 0;
  if (s->values[FIELD_pack_a] == PACK_A_TASK) {
    int64_t runs = c->visits > 1 && !c->keeps_rows
                       ? c->column_blocks
                       : smaller_of(ceil_div(c->tasks, larger_of(c->row_blocks, 1)), c->column_blocks);
    a = (double)c->m * (double)c->k * (double)larger_of(runs, 1);
  }
  if (s->values[FIELD_pack_b] == PACK_B_TASK) b = (double)c->n * (double)c->k * (double)c->row_blocks;
  return a + b;
}

/* How much slower than several streams the operands' ways through memory are. */
static double slowness(const Call *c, Level level) {
  const Schedule *s = &c->plan->schedule;
  const GemmMatch *match = c->plan->match;
  /* gemm_is_stream: several panels in turn; dot products read several rows or columns at once */
  bool is_few_rows = (c->m <= 8 && !c->on_tiles) || gemm_is_by_dots(c->plan);
  double times = s->values[FIELD_pack_b] == PACK_B_NONE && !is_few_rows ? in_place : 1;
  if (s->values[FIELD_pack_b] == PACK_B_TASK && !match->b.transposed) times = strided;
  bool has_streams = is_few_rows || s->values[FIELD_prefetch] != PREFETCH_NONE;
  return level == LEVEL_MEMORY && !has_streams ? times / one_stream : times;
}

/* Bytes a second of one level when `threads` cores ask. */
static double rate_of(const Call *c, Level level, double threads) {
  const Core *core = c->machine->core;
  double hz = core->mhz * 1e6;
  if (level == LEVEL_L2) return threads * core->l2_rate * hz;
  if (level == LEVEL_L3) return threads * core->l3_rate * hz / slowness(c, level);
  return machine_rate(c->machine, threads) / slowness(c, level);
}

/* Tile registers wait for their loads, vectors find theirs in the reorder buffer. */
static double issue_time(const Call *c, double products, double loads) {
  return c->on_tiles ? products + loads : pow(pow(products, issue) + pow(loads, issue), 1 / issue);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

void gemm_predict(const Plan *plan, const int64_t *symbols, const int64_t *params, const Machine *machine,
                  Prediction *prediction) {
  Call c = call_of(plan, symbols, params, machine);
  double hz = machine->core->mhz * 1e6, all_threads = (double)machine->threads;
  double threads = fmin(all_threads, (double)larger_of(c.tasks, 1)), balance = balance_of(&c);
  double steps = c.tile_count * ceil((double)c.k / c.types.step), share = balance / all_threads;
  Prediction p = {.balance = balance, .tasks = c.tasks, .peak = gemm_peak(plan, machine->core) * hz};
  double visits = c.tile_count * (double)c.visits, blocks = (double)c.row_blocks * (double)c.column_blocks;
  double calls = CALL + TILE_CALL * visits;
  if (plan->param_count > 0) calls += TASK_CALL * (double)c.tasks + BLOCK_CALL * blocks * (double)c.visits;
  p.compute = (steps * step_cycles(&c) + tile_row_cycles(&c)) / hz * share;
  p.levels[LEVEL_L1] = steps * step_load_cycles(&c) / hz * share;
  count_bytes(&c, p.bytes);
  for (Level level = LEVEL_L2; level <= LEVEL_MEMORY; ++level)
    p.levels[level] = p.bytes[level] / rate_of(&c, level, threads) * share * threads;
  p.packing = packed_elements(&c) * pack_element / hz * share;
  p.epilogue = c.tile_count * epilogue_cycles(&c) / hz * share;
  p.fork = calls / hz * share + (threads > 1 ? wake_seconds + wake_each_seconds * threads : 0);
  p.seconds = issue_time(&c, p.compute, p.levels[LEVEL_L1]);
  p.seconds += p.levels[LEVEL_L2] * (c.on_tiles ? l2_exposed_of_tiles : l2_exposed);
  p.seconds += fmax(p.levels[LEVEL_L3], p.levels[LEVEL_MEMORY]) + p.packing + p.epilogue + p.fork;
  double tile = issue_time(&c, step_cycles(&c), step_load_cycles(&c));
  p.tile_share =
      steps > 0 ? 2 * (double)c.m * (double)c.n * (double)c.k / gemm_peak(plan, machine->core) / (steps * tile) : 0;
  *prediction = p;
}
