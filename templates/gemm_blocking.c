/* gemm_blocking.c: the passed fields of the gemm template for one call: which part of the product is computed while
 * which part of it lies in which cache, and how many tasks share the parts. In closed form, since calls with symbolic
 * sizes come here each time.
 *
 * Results depend on none of it but layers, which come of the sizes and the register tile (gemm_layers.c says where
 * there is one). */
#include <math.h>

#include "templates/gemm.h"

/* As gemm_tile_rows writes it. */
int64_t gemm_rows_of_tile(const Plan *plan, int64_t m) {
  const GemmMatch *match = plan->match;
  int64_t rows = plan->schedule.values[FIELD_mr];
  if (match->m.symbol < 0) return rows;
  if (plan->schedule.values[FIELD_mma] == MMA_ON_TILES) return larger_of(smaller_of(rows, m), 1);
  while (rows > 1 && rows > m) rows /= 2;
  return rows;
}

/* What of the second-level cache rows of A may fill; the rest is for panels of B passing through. */
static int64_t cache_for_rows(const Machine *machine) { return machine->l2_bytes / 8 * 5; }

/* Most steps of k of rows of B that tasks pack for vectors: the panel stays in half of the first-level cache while rows
 * of A pass (u8 x i8 of 128 x 4096 x 4096: 8.5 ms with 2048 steps, 7.6 with 512; f32 30.9 with 512, 28.8 with 192), but
 * for fewer steps than these an accumulator's way to memory and back counts. */
static int64_t longest_of_packed_panel(const Plan *plan, const Machine *machine) {
  enum { SHORT = 192, USUAL = 512 };
  int64_t fits = machine->l1d_bytes / 2 / gemm_bytes(gemm_types(plan).b, plan->schedule.values[FIELD_nr]);
  bool waits = (plan->problem.target->traits & TRAIT_WAITS_FOR_L2) != 0;
  return larger_of(fits, waits ? SHORT : USUAL);
}

/* Steps of k a visit takes: so many that 384 rows of A stay in the second-level cache while all of B passes, for B then
 * comes from further away once in 384 rows. Rows of B that tasks pack and that are pages apart share few sets of that
 * cache, and drive each other out before they are packed (u8 x i8 of 128 x 14336 x 4096 on Zen 5: 18.4 ms, and 17.0
 * with 512 steps for its MiB; bf16 32.8 and 31.6, f32 of 512 x 4096 x 4096 69.2 and 66.5). Packed rows are 2 KiB long
 * at most, so that what waits and what leaves find room beside them (f32 of 384 x 3072 x 768 on Granite Rapids 11.3 ms
 * whole and 10.8 in two, of 384 x 768 x 3072 12.2 in four and 11.7 in six). */
static int64_t choose_kc(const Plan *plan, int64_t n, int64_t k, const Machine *machine) {
  enum { ROWS = 384, SHORTEST = 256, MULTIPLE = 64, PAGE_BYTES = 4096, BYTES_OF_ROW = PAGE_BYTES / 2 };
  enum { LONGEST_BYTES = 2048 };
  const GemmMatch *match = plan->match;
  GemmTypes types = gemm_types(plan);
  int64_t limit = larger_of(cache_for_rows(machine) / gemm_bytes(types.a, ROWS), SHORTEST);
  bool packs_rows = plan->schedule.values[FIELD_pack_b] == PACK_B_TASK && !gemm_b_runs_along_k(plan);
  bool packs_pages = packs_rows && gemm_bytes(match->b.node->type, n) >= PAGE_BYTES;
  if (packs_pages) limit = larger_of(smaller_of(limit, machine->l2_bytes / BYTES_OF_ROW), SHORTEST);
  int64_t longest = LONGEST_BYTES / gemm_bytes(types.a, 1), whole = limit * 3 / 2;
  if (plan->schedule.values[FIELD_pack_a] == PACK_A_TASK && limit > longest) limit = longest, whole = longest * 5 / 4;
  if (packs_rows) limit = smaller_of(limit, longest_of_packed_panel(plan, machine)), whole = limit * 3 / 2;
  if (k <= whole) return larger_of(k, 1);
  int64_t visits = ceil_div(k, limit);
  return ceil_div(ceil_div(k, visits), MULTIPLE) * MULTIPLE;
}

/* Tile registers ask for 64 bytes a cycle, as much as the second-level cache ever gives: k is cut so that the panel of
 * B at hand stays in the first-level cache while A streams past it. Accumulators that wait in memory cost less than a
 * panel that overflows does (256 x 256 x 1024 of bf16: 93 us whole, 72 in two; bench/results/speed.md). With few rows,
 * for which B comes from beyond the second-level cache all the time, half of that is better (128 x 4096 x 11008 of
 * bf16: 15.2 to 12.1 ms), and where bytes of B are packed (512 x 11008 x 4096: 33.7 to 29.4), but for columns along k
 * of a large B, each visit to which is a page anew (128 x 11008 x 4096 of u8 x i8: 10.2 to 7.0 ms, of bf16 21.5
 * to 17.3). Rows of B that a few rows of A meet are read to their end, few at a time (bf16 of 16 x 4096 x 4096: 2.9 to
 * 2.0 ms, of 8 x 128 x 65536 1.18 to 0.77). A panel that only a tile or two of rows meet, and that the second-level
 * cache has, gains nothing by staying: all of k at once (bf16 of 16 x 768 x 768: 18.0 to 16.3 us, 32 x 768 x 768 31 to
 * 27.5, 64 x 512 x 2048 175 to 160; u8 x i8 of 32 x 512 x 2048 27 to 24). */
static int64_t choose_kc_of_tiles(const Plan *plan, int64_t m, int64_t n, int64_t k, const Machine *machine) {
  enum { COLUMNS = 32, MULTIPLE = 64, LARGE = 16, ROWS_OF_TWO_TILES = 64 };
  if (gemm_is_packed_by_few_rows(plan, m)) return gemm_types(plan).step;
  kiln_type type = gemm_types(plan).b;
  int64_t limit = larger_of(machine->l1d_bytes * 2 / 3 / gemm_bytes(type, COLUMNS), MULTIPLE);
  int64_t b_bytes = gemm_bytes(type, n * k);
  bool packs = plan->schedule.values[FIELD_pack_b] == PACK_B_TASK, has_few_rows = m <= GEMM_FEW_ROWS_OF_TILES;
  bool turns_pages = packs && has_few_rows && gemm_b_runs_along_k(plan) && b_bytes >= LARGE * machine->l2_bytes;
  bool is_short = (has_few_rows && !turns_pages) || (packs && type_bits(type) == 8 && !turns_pages);
  if (is_short && b_bytes > machine->l2_bytes) limit /= 2;
  bool is_near = plan->schedule.values[FIELD_pack_b] == PACK_B_AHEAD && b_bytes <= machine->l2_bytes;
  if (k <= limit * 5 / 4 || (is_near && m <= ROWS_OF_TWO_TILES)) return larger_of(k, 1);
  int64_t visits = ceil_div(k, limit);
  return ceil_div(ceil_div(k, visits), MULTIPLE) * MULTIPLE;
}

/* B in place: a row at a time would be a page at a time for every panel, so few rows pass through all of C before the
 * next ones do; more of them where each is used often, or short (f32 of 16 x 4096 x 4096: 5.1 ms with 16, 5.7 with
 * 32, 13.8 with 64), and most where a page holds several that need no conversion and the core follows few streams that
 * are long (8 x 128 x 65536 on Zen 5: 2.2 ms with 16, 1.0 with 512; on Granite Rapids 1.4 and 1.7; on Zen 3 4.3 and,
 * with 64, 3.7). Rows that are pages apart share few sets of the first-level cache, so that the fewest rows of A meet
 * no more of them than such a set has ways, where these are 8 and panels narrow (2 x 4096 x 4096 on Zen 3: 4.4 ms with
 * 16, 3.4 with 8). Columns that run along k are read to their end. */
static int64_t choose_kc_in_place(const Plan *plan, int64_t m, int64_t n, int64_t k, const Machine *machine) {
  enum { FEWEST = 8, FEW = 16, SOME = 64, MORE = 128, MOST = 512, FEW_ROWS = 32, FEWEST_ROWS = 8 };
  enum { PAGE_BYTES = 4096, SHORT_BYTES = 1024 };
  const GemmMatch *match = plan->match;
  if (gemm_is_by_dots(plan) || gemm_b_runs_along_k(plan)) return larger_of(k, 1);
  int64_t row_bytes = gemm_bytes(match->b.node->type, n);
  bool converts = type_is_floating(match->acc) && match->b.node->type != match->acc;
  bool is_long = target_habits(plan->problem.target)->turn > FEW;
  if (m <= FEWEST_ROWS && row_bytes <= SHORT_BYTES && !converts)
    return is_long ? MOST : gemm_has_narrow_panels(plan) ? SOME : FEW;
  bool are_few_ways = gemm_has_narrow_panels(plan) && machine->l1d_bytes <= FEWEST * PAGE_BYTES;
  if (m <= FEWEST_ROWS && row_bytes >= PAGE_BYTES && !converts && are_few_ways) return FEWEST;
  bool has_few_rows = m <= FEWEST_ROWS || (m <= FEW_ROWS && row_bytes >= PAGE_BYTES);
  return has_few_rows ? FEW : MORE;
}

/* A block of C in register tiles: how many of them along m, how many panels along n. */
typedef struct Extents {
  int64_t tiles, panels;
} Extents;

/* Rows of A stay in half the second-level cache while all panels of B pass. */
static Extents block_of_vectors(const Plan *plan, Extents all, const Machine *machine, int64_t kc) {
  int64_t row_bytes = gemm_bytes(gemm_types(plan).a, plan->schedule.values[FIELD_mr] * kc);
  int64_t resident = larger_of(cache_for_rows(machine) / larger_of(row_bytes, 1), 1);
  if (plan->schedule.values[FIELD_pack_b] == PACK_B_TASK) return all; /* so each panel is packed once */
  if (plan->schedule.values[FIELD_pack_b] == PACK_B_NONE) return all;
  return (Extents){ceil_div(all.tiles, ceil_div(all.tiles, resident)), all.panels};
}

/* Where all of B stays in the second-level cache and C does not, vectors finish a large block of it a few rows at a
 * time, so that what leaves the cache leaves it in one stream (2048 x 512 x 13 of u8 x i8: 247 to 177 us); but more of
 * them where B is large, which is read once for each such piece (u8 x i8 1024 cubed: 16 rows 3.4 ms, 64 3.0, 160 2.9),
 * and not where each block adds up B's columns anew (512 cubed, where bytes of A were moved: 337 and 276 us). */
static int64_t tiles_at_once(const Plan *plan, Extents all, Extents block, const Machine *machine, int64_t k) {
  enum { LARGE = 4, PART = 32 };
  const Schedule *s = &plan->schedule;
  GemmTypes types = gemm_types(plan);
  int64_t columns = all.panels * s->values[FIELD_nr];
  int64_t row_bytes = larger_of(gemm_bytes(types.acc, columns * s->values[FIELD_mr]), 1);
  bool is_ahead = s->values[FIELD_pack_b] == PACK_B_AHEAD && s->values[FIELD_mma] != MMA_ON_TILES;
  int64_t b_bytes = gemm_bytes(types.b, k * columns);
  bool is_large = row_bytes * block.tiles / all.panels * block.panels > machine->l2_bytes / LARGE;
  bool b_stays = b_bytes <= machine->l2_bytes / 2;
  if (!is_ahead || !b_stays || !is_large || row_bytes * all.tiles <= machine->l2_bytes) return block.tiles;
  if (gemm_needs_column_sums(plan)) return block.tiles;
  int64_t few = larger_of((machine->l2_bytes / PART + b_bytes / 2) / row_bytes, 1);
  return ceil_div(block.tiles, ceil_div(block.tiles, few));
}

static int64_t most_tasks(const Machine *machine) {
  enum { PER_THREAD = 8 };
  return machine->threads > 1 ? (int64_t)machine->threads * PER_THREAD : 1;
}

/* Eight a thread, so that one that comes late costs little; but each task packs rows of A for itself, and eight took 2
 * to 5 % more time of f32 and up to half as much again of bf16 (1000 cubed on two threads 934 us, 630 with two a
 * thread, 597 with one; 128 x 4096 x 4096 1964, 1699, 1652): then two, where so many have as many items each. */
static int64_t choose_tasks(const Plan *plan, const Machine *machine, int64_t items) {
  enum { PER_THREAD = 2 };
  int64_t few = (int64_t)machine->threads * PER_THREAD, uneven = ceil_div(items, few) * few - items;
  bool packs = plan->schedule.values[FIELD_pack_a] == PACK_A_TASK;
  return machine->threads > 1 && packs && uneven <= items / 32 ? few : most_tasks(machine);
}

/* Whether rows of A stay packed, all of k, for the next blocks of columns: unless that is much memory in all. */
static bool keeps_rows(const Plan *plan, int64_t k, int64_t tiles, const Machine *machine) {
  enum { MOST_BYTES = 64 << 20 };
  int64_t bytes = gemm_bytes(gemm_types(plan).a, tiles * plan->schedule.values[FIELD_mr] * k);
  return bytes <= MOST_BYTES / most_tasks(machine);
}

/* The rows of A at hand fill an eighth of the second-level cache, and accumulators that wait for the next block of k
 * another, so that the first stay while the others, results and panels of B pass, in a cache whose pages lie at random:
 * 256 x 256 of bf16. Twice as many columns where rows are packed again for each block of them, and twice as many rows
 * where B is, for each block of rows (512 x 4096 x 4096 of bf16, B plain: 21.9 to 18.1 ms). Few rows are packed once:
 * then columns that run along k are so many streams, and rows of B pages of which much is read at once
 * (bench/results/speed.md). Where all of A stays in half of that cache, columns along k are read to their end, one
 * panel after the other (u8 x i8 of 384 x 3072 x 768: 1.12 to 0.98 ms, bf16 of 128 x 768 x 3072: 806 to 695 us). */
static Extents usual_block_of_tiles(const Plan *plan, Extents all, const Machine *machine, int64_t k, int64_t kc) {
  enum { SHARE = 8, USUAL_ROWS = 256 };
  const Schedule *s = &plan->schedule;
  int64_t mr = s->values[FIELD_mr], nr = s->values[FIELD_nr], part = machine->l2_bytes / SHARE;
  bool packs_b = s->values[FIELD_pack_b] == PACK_B_TASK, are_few = all.tiles * mr <= GEMM_FEW_ROWS_OF_TILES;
  if (packs_b && !are_few) part *= 2;
  bool by_panels = s->values[FIELD_epilogue] == EPILOGUE_OVERLAPPED;
  if (by_panels) part *= 3;
  int64_t row_bytes = larger_of(gemm_bytes(gemm_types(plan).a, by_panels ? k : kc), 1);
  int64_t tiles = larger_of(part / row_bytes / mr, 1), panels = all.panels;
  if (by_panels) tiles = smaller_of(tiles, larger_of(GEMM_ROWS_BESIDE_PANELS / mr, 1));
  tiles = ceil_div(all.tiles, ceil_div(all.tiles, tiles));
  if (kc >= k || by_panels) return (Extents){tiles, panels};
  bool is_packed = s->values[FIELD_pack_a] == PACK_A_TASK, is_again = is_packed && !keeps_rows(plan, k, tiles, machine);
  int64_t rows = is_packed ? larger_of(tiles * mr, USUAL_ROWS) : tiles * mr;
  int64_t columns = part * (is_again ? 2 : 1) / (rows * gemm_bytes(gemm_types(plan).acc, 1));
  bool turns = packs_b && gemm_b_runs_along_k(plan);
  if (turns && gemm_bytes(gemm_types(plan).a, all.tiles * mr * k) <= machine->l2_bytes / 2) columns = nr;
  else if (packs_b && are_few) columns = turns ? columns / 2 : columns * 4 / gemm_bytes(gemm_types(plan).b, 1);
  return (Extents){tiles, smaller_of(larger_of(columns / nr, 1), panels)};
}

/* All rows at once where they fill no more than a quarter of the cache and B, packed ahead, is not large: it passes
 * once then, which is worth most when it comes from memory (384 x 768 x 3072 of bf16 1299 to 1225 us, from memory 1739
 * to 1426; of u8 x i8 585 to 601, 756 to 675; but 512 x 4096 x 4096 5.2 to 10.5 ms). Not many rows that are packed
 * first, which are not at hand for long enough (511 x 513 x 515: 3 to 8 % slower). */
static Extents block_of_tiles(const Plan *plan, Extents all, const Machine *machine, int64_t k, int64_t kc) {
  enum { PART = 4, TIMES = 4, MOST_PACKED = 384 };
  const Schedule *s = &plan->schedule;
  GemmTypes types = gemm_types(plan);
  Extents block = usual_block_of_tiles(plan, all, machine, k, kc);
  int64_t rows = all.tiles * s->values[FIELD_mr], columns = all.panels * s->values[FIELD_nr];
  bool fits = gemm_bytes(types.a, rows * kc) <= machine->l2_bytes / PART;
  bool is_small = gemm_bytes(types.b, columns * k) <= TIMES * machine->l2_bytes;
  bool is_usual = s->values[FIELD_pack_b] == PACK_B_AHEAD && s->values[FIELD_epilogue] != EPILOGUE_OVERLAPPED;
  bool are_many = s->values[FIELD_pack_a] == PACK_A_TASK && rows > MOST_PACKED;
  if (fits && is_small && is_usual && !are_many) block.tiles = all.tiles;
  return block;
}

/* Rows of B that lie in memory and that few rows of A meet: threads share them by k, for pieces of rows that lie pages
 * apart are read at half the rate of whole rows (f32 of 1 x 4096 x 4096 on two threads of Zen 3: 3.2 and 1.9 ms, 4 rows
 * 3.7 and 2.3; on one thread the same). */
static bool shares_rows_of_b(const Plan *plan, int64_t m, int64_t n, int64_t k) {
  enum { FEW_ROWS = 8, ROW_BYTES = 4096, LARGE_BYTES = 4 << 20 };
  const Schedule *s = &plan->schedule;
  const GemmMatch *match = plan->match;
  if (s->values[FIELD_pack_b] != PACK_B_NONE || s->values[FIELD_mma] == MMA_ON_TILES) return false;
  if (gemm_is_by_dots(plan) || gemm_b_runs_along_k(plan) || m > FEW_ROWS) return false;
  return gemm_bytes(match->b.node->type, n) >= ROW_BYTES && gemm_bytes(match->b.node->type, n * k) >= LARGE_BYTES;
}

/* Where register tiles of C are fewer than threads may come, k is shared too, in layers long enough to be worth adding
 * up. How many threads there are does not matter, so that it does not change the result; nor do the rows where they may
 * change from call to call of a kernel, or the caller asks for that. */
static int64_t choose_layers(const Plan *plan, int64_t m, int64_t n, int64_t k) {
  enum { WANTED = 64, SHORTEST_BYTES = 4096, WORK = 1 << 20, OF_ROWS = 8, SHORTEST_OF_ROWS = 256 };
  const Schedule *s = &plan->schedule;
  bool may_change = plan->problem.batch_invariant || ((const GemmMatch *)plan->match)->m.symbol >= 0;
  if (!may_change && ((const GemmMatch *)plan->match)->batch_rank == 0 && shares_rows_of_b(plan, m, n, k))
    return larger_of(smaller_of(OF_ROWS, k / SHORTEST_OF_ROWS), 1);
  if (may_change) m = 1;
  int64_t tiles = larger_of(ceil_div(m, s->values[FIELD_mr]) * ceil_div(n, s->values[FIELD_nr]), 1);
  int64_t most = gemm_bytes(gemm_types(plan).a, k) / SHORTEST_BYTES;
  if (m * n * k < WORK || ((const GemmMatch *)plan->match)->batch_rank > 0) return 1;
  return larger_of(smaller_of(ceil_div(WANTED, tiles), most), 1);
}

bool gemm_may_have_layers(const Plan *plan) {
  const GemmMatch *match = plan->match;
  enum { LARGE = 1 << 20 };
  int64_t n = match->n.symbol < 0 ? match->n.size : 1, k = match->k.symbol < 0 ? match->k.size : LARGE;
  return choose_layers(plan, match->m.symbol < 0 ? match->m.size : 1, n, k) > 1;
}

/* Few rows of C with more of B than the second-level cache holds: the limit is how fast memory is read, and one panel
 * after the other is one stream, in which the processor's prefetching starts anew with each page. Eight panels in turn,
 * half a kilobyte of each, are eight streams (1 x 4096 x 4096: 2.8 instead of 4.3 ms, all of the bandwidth). */
bool gemm_is_stream(const Plan *plan, int64_t m, int64_t n, int64_t k, int64_t l2_bytes) {
  enum { FEW_ROWS = 8, FEW_ON_TILES = 32 };
  const Schedule *s = &plan->schedule;
  int64_t few = s->values[FIELD_mma] == MMA_ON_TILES ? FEW_ON_TILES : FEW_ROWS;
  return s->values[FIELD_pack_b] == PACK_B_AHEAD && m <= few && gemm_bytes(gemm_types(plan).b, k * n) > 2 * l2_bytes;
}

/* Tile registers take part only with the narrow panels that were chosen for that. */
static bool is_thin(const Plan *plan, const int64_t *symbols, const Machine *machine) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  if (s->values[FIELD_mma] == MMA_ON_TILES && s->values[FIELD_prefetch] != PREFETCH_STREAM) return false;
  return gemm_is_stream(plan, dim_value(match->m, symbols), dim_value(match->n, symbols), dim_value(match->k, symbols),
                        machine->l2_bytes);
}

/* Steps of k of one stream before the next has its turn: the fewer, the more streams are under way at once; eight of
 * half a kilobyte on Sapphire Rapids, two of a page on Zen 5 (f32 of 1 x 4096 x 4096: 2.7 and 1.75 ms). Two tile
 * registers of rows are packed, so that four steps of them stay in the first-level cache while the streams have their
 * turns (32 x 4096 x 4096 of bf16: 1675 to 1329 us). A row that meets moved bytes has only loads of B under way, whose
 * turns it then waits for: one stream after the other (i8 x i8 of 1 x 4096 x 4096 from memory: 427 and 371 us). */
static int64_t steps_of_stream(const Plan *plan, int64_t m, int64_t k) {
  enum { FEW_ROWS = 4, MORE = 8 };
  GemmTypes types = gemm_types(plan);
  int64_t turn = target_habits(plan->problem.target)->turn;
  int64_t bytes = gemm_bytes(types.b, plan->schedule.values[FIELD_nr] * types.group);
  bool asks_ahead = plan->schedule.values[FIELD_prefetch] != PREFETCH_NONE;
  if (m == 1 && gemm_types(plan).shift != 0 && !asks_ahead) return larger_of(k, 1);
  if (plan->schedule.values[FIELD_mma] == MMA_ON_TILES) return (m <= 16 ? 1 : 4) * types.step;
  int64_t steps = types.step * larger_of(GEMM_LOAD_BYTES / larger_of(bytes, 1), 1);
  return (m <= FEW_ROWS ? turn : larger_of(turn, MORE)) * steps;
}

/* What cutting costs beside the products, in parts of them for a block of one row or one column: its operands come from
 * the third-level cache once a block, and are packed there where tasks pack. */
typedef struct CutCost {
  double of_row, of_column;
} CutCost;

static CutCost cut_cost(const Plan *plan, const Machine *machine) {
  static const double pack_cycles = 0.35; /* an element */
  GemmTypes types = gemm_types(plan);
  double products = gemm_peak(plan, machine->core) / 2, bytes = products / machine->core->l3_rate;
  bool packs_a = plan->schedule.values[FIELD_pack_a] == PACK_A_TASK;
  bool packs_b = plan->schedule.values[FIELD_pack_b] == PACK_B_TASK;
  return (CutCost){
      .of_row = bytes * type_bits(types.b) / 8 + (packs_b ? products * pack_cycles : 0),
      .of_column = bytes * type_bits(types.a) / 8 + (packs_a ? products * pack_cycles : 0),
  };
}

/* Cuts blocks of at most `most`, of which there are so many layers or products, further until the busiest thread has
 * least to do: for several numbers of row blocks, as many column blocks as make one to four items a thread. More items
 * than threads are worth something by themselves, since threads may come late. */
static Extents share(const Plan *plan, Extents all, Extents most, int64_t parts, const Machine *machine) {
  enum { PER_THREAD = 4 };
  static const double late = 0.1;
  int64_t threads = machine->threads, fewest = ceil_div(all.tiles, most.tiles);
  double mr = (double)plan->schedule.values[FIELD_mr], nr = (double)plan->schedule.values[FIELD_nr], least = INFINITY;
  CutCost cost = cut_cost(plan, machine);
  Extents best = most;
  int64_t last = smaller_of(all.tiles, larger_of(PER_THREAD * threads, fewest));
  for (int64_t rows = fewest, next; rows <= last; rows = next) {
    next = rows == last ? last + 1 : smaller_of(rows + rows / 2 + (rows < 2), last);
    for (int64_t each = 1; each <= PER_THREAD; ++each) {
      int64_t columns = smaller_of(larger_of(each * threads / (rows * parts), 1), all.panels);
      Extents block = {ceil_div(all.tiles, rows), smaller_of(ceil_div(all.panels, columns), most.panels)};
      int64_t blocks = ceil_div(all.tiles, block.tiles) * ceil_div(all.panels, block.panels);
      int64_t turns = ceil_div(blocks * parts, threads);
      double time = (double)(turns * block.tiles * block.panels) * (1 + late / (double)turns);
      time *= 1 + cost.of_row / (mr * (double)block.tiles) + cost.of_column / (nr * (double)block.panels);
      if (time >= least) continue;
      least = time;
      best = block;
    }
  }
  return best;
}

/* As gemm_build.c makes them where k is in layers. */
static Extents within_counters(Extents all, Extents block) {
  block.panels = larger_of(block.panels, ceil_div(all.panels, GEMM_COUNTERS));
  int64_t rows = GEMM_COUNTERS / ceil_div(all.panels, block.panels);
  return (Extents){larger_of(block.tiles, ceil_div(all.tiles, rows)), block.panels};
}

/* Whole iterations, as blocks of k are; layers of k keep what is theirs. */
static int64_t choose_pc(const Plan *plan, int64_t k, const int64_t *values, Extents block, Extents all,
                         const Machine *machine) {
  const Schedule *s = &plan->schedule;
  int64_t unit = gemm_unit_of_k(plan), whole = ceil_div(k, unit) * unit;
  if (values[FIELD_layers] > 1 || values[FIELD_kc] >= k) return values[FIELD_kc];
  if (s->fixed[FIELD_pc]) return s->values[FIELD_pc] >= k ? whole : values[FIELD_kc];
  bool come_again = block.panels < all.panels || s->values[FIELD_epilogue] == EPILOGUE_OVERLAPPED;
  return come_again && keeps_rows(plan, k, block.tiles, machine) ? whole : values[FIELD_kc];
}

/* Blocks that suit the caches, cut further so that all threads have work. */
static void choose_block(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *values) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  int64_t mr = gemm_rows_of_tile(plan, dim_value(match->m, symbols)), nr = s->values[FIELD_nr], kc = values[FIELD_kc];
  int64_t k = ceil_div(dim_value(gemm_loop_k(plan), symbols), values[FIELD_layers]);
  Extents all = {larger_of(ceil_div(dim_value(match->m, symbols), mr), 1),
                 larger_of(ceil_div(dim_value(match->n, symbols), nr), 1)};
  Extents block = s->values[FIELD_mma] == MMA_ON_TILES ? block_of_tiles(plan, all, machine, k, kc)
                                                       : block_of_vectors(plan, all, machine, kc);
  int64_t streams = target_habits(plan->problem.target)->streams;
  if (is_thin(plan, symbols, machine)) block = (Extents){all.tiles, smaller_of(all.panels, streams)};
  int64_t parts = values[FIELD_layers] * larger_of(gemm_batch(match, symbols), 1);
  if (machine->threads > 1) block = share(plan, all, block, parts, machine);
  block.tiles = tiles_at_once(plan, all, block, machine, k);
  if (values[FIELD_layers] > 1) block = within_counters(all, block);
  values[FIELD_mc] = block.tiles * mr;
  values[FIELD_pc] = choose_pc(plan, k, values, block, all, machine);
  values[FIELD_nc] = ceil_div(all.panels, ceil_div(all.panels, block.panels)) * nr;
  values[FIELD_strip] = all.panels; /* blocks that share rows of A follow each other */
  int64_t blocks = ceil_div(all.tiles, block.tiles) * ceil_div(all.panels, block.panels);
  values[FIELD_tasks] = choose_tasks(plan, machine, blocks * parts);
}

/* Few tiles of tile registers with a long k, whose operands come from beyond the second-level cache anyway: the longer
 * the streams the better (64 x 64 x 8192 of bf16: 61 to 51 us; of bytes, which stay there, 18 to 21). */
static bool passes_through(const Plan *plan, const int64_t *symbols, const Machine *machine) {
  enum { FEW_TILES = 4 };
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  int64_t m = dim_value(match->m, symbols), n = dim_value(match->n, symbols), k = dim_value(match->k, symbols);
  int64_t bytes = gemm_bytes(gemm_types(plan).a, m * k) + gemm_bytes(gemm_types(plan).b, n * k);
  bool are_few = ceil_div(m, s->values[FIELD_mr]) * ceil_div(n, s->values[FIELD_nr]) <= FEW_TILES;
  return s->values[FIELD_mma] == MMA_ON_TILES && s->values[FIELD_pack_b] == PACK_B_AHEAD && are_few &&
         bytes > machine->l2_bytes / 4 * 3;
}

/* Steps of k between visits to an accumulator; `k` is that of a layer. */
static int64_t default_kc(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t k) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  int64_t m = dim_value(match->m, symbols), n = dim_value(match->n, symbols);
  if (s->values[FIELD_pack_b] == PACK_B_NONE) return choose_kc_in_place(plan, m, n, k, machine);
  if (is_thin(plan, symbols, machine)) return steps_of_stream(plan, m, k);
  if (passes_through(plan, symbols, machine)) return larger_of(k, 1);
  if (s->values[FIELD_mma] == MMA_ON_TILES) return choose_kc_of_tiles(plan, m, n, k, machine);
  return choose_kc(plan, n, k, machine);
}

/* No more than what there is, in whole register tiles: the kernel keeps accumulators for a whole block. */
static int64_t at_most_tiles(int64_t wish, int64_t size, int64_t tile) {
  return smaller_of(wish, larger_of(ceil_div(size, tile), 1) * tile);
}

void gemm_bind(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *params) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  int64_t mr = gemm_rows_of_tile(plan, dim_value(match->m, symbols));
  int64_t values[FIELD_COUNT], unit = gemm_unit_of_k(plan), k = dim_value(gemm_loop_k(plan), symbols);
  values[FIELD_layers] = !gemm_has_field(plan, FIELD_layers) ? 1
                         : s->fixed[FIELD_layers]
                             ? s->values[FIELD_layers]
                             : choose_layers(plan, dim_value(match->m, symbols), dim_value(match->n, symbols), k);
  k = ceil_div(k, values[FIELD_layers]);
  values[FIELD_kc] = !gemm_has_field(plan, FIELD_kc) ? k
                     : s->fixed[FIELD_kc]            ? s->values[FIELD_kc]
                                                     : default_kc(plan, symbols, machine, k);
  values[FIELD_kc] = smaller_of(values[FIELD_kc], larger_of(k, 1));
  values[FIELD_kc] = ceil_div(values[FIELD_kc], unit) * unit; /* a cut iteration is left to the last block */
  choose_block(plan, symbols, machine, values);
  for (int i = 0; i < plan->param_count; ++i) {
    Field field = plan->params[i];
    params[i] = s->fixed[field] && field != FIELD_kc && field != FIELD_pc ? s->values[field] : values[field];
    if (field == FIELD_mc) params[i] = at_most_tiles(params[i], dim_value(match->m, symbols), mr);
    if (field == FIELD_nc) params[i] = at_most_tiles(params[i], dim_value(match->n, symbols), s->values[FIELD_nr]);
  }
}
