/* gemm_registers.c: the register tile of the gemm template (mr, nr), from a model of one core: issue slots, loads,
 * latency and what tails waste; of tile registers, how they cut C. Reads what the schedule has chosen so far: how B is
 * packed, the instruction, whether A is packed. */
#include <math.h>

#include "templates/gemm.h"

/* Two fused multiply-adds and two loads a cycle: every x86 core since Haswell, nearly. Bytes that are widened take two
 * products and two sums, and two or three operations for each vector of a factor. How late chains of them are and
 * what loads that fit beside them cost differs (habits.def); a vector of B, which comes from the second-level cache
 * where its panel overflows the first, costs more. (bench/results/speed.md) */
enum { FMA_PER_CYCLE = 2, LOADS_PER_CYCLE = 2, VECTOR_UNITS = 4, USUAL_VECTORS = 4 };
static const double panel_cost = 0.25;

/* Of scalars of A, which x86 broadcasts from memory for each step (f32 of 512 x 11008 x 4096: 8x48 is 9 % faster than
 * 12x32); where registers hold several (AArch64) they cost less. Where m is not known, higher tiles let more threads
 * share C evenly at the same traffic (unit/test_template_topology). */
static double load_cost(const Plan *plan) {
  static const double most_for_any_m = 0.06;
  const GemmMatch *match = plan->match;
  double cost = target_habits(plan->problem.target)->load_cost;
  return match->m.symbol < 0 ? cost : fmin(cost, most_for_any_m);
}

/* What the model takes for a size that is not known. */
static int64_t usual_k(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return gemm_size_or(match->k, 512);
}

/* Cycles one register tile takes for each step of k. A panel stays in the first-level cache up to four fifths of it
 * (768 steps of bytes in 8x48 and 8x32, on Emerald Rapids: 200 and 203 us of 128 x 768 x 768, 259 and 287 while
 * neighbours use the caches). */
static double tile_cycles(const Plan *plan, int64_t rows, int64_t vectors) {
  GemmTypes types = gemm_types(plan);
  int64_t depth = ceil_div(usual_k(plan), types.group) * types.group;
  int64_t panel_bytes = gemm_bytes(types.b, depth * vectors * gemm_lanes(plan));
  const GemmMatch *match = plan->match;
  bool panel_stays = match->k.symbol < 0 && panel_bytes <= machine_of(plan->problem.target, 1).l1d_bytes / 5 * 4;
  double fma = (double)(rows * vectors) / FMA_PER_CYCLE;
  if (gemm_widens_bytes(plan)) fma = (double)(4 * rows * vectors + 2 * rows + 3 * vectors) / VECTOR_UNITS;
  double loads = (double)(rows + vectors) / LOADS_PER_CYCLE;
  double hidden = load_cost(plan) * (double)(rows + vectors) + (panel_stays ? 0 : panel_cost * (double)vectors);
  return fmax(fmax(fma, loads), target_habits(plan->problem.target)->chain_cycles) + hidden;
}

/* Cycles to begin and end a tile. Where A and C come from beyond the second-level cache, each row is a stream of A and
 * one of C, and so many at once are late by this much: 14x32 by 121 cycles, 8x32 by 34, 4x64 by 9 (4096 x 192 x 64). */
static double tile_overhead(const Plan *plan, int64_t rows, int64_t vectors) {
  static const double begin = 5, accumulator_cost = 0.4, row_cost = 0.6;
  const GemmMatch *match = plan->match;
  int64_t row_bytes =
      gemm_bytes(match->a.node->type, usual_k(plan)) + gemm_bytes(match->acc, gemm_size_or(match->n, 1));
  bool is_streamed = gemm_size_or(match->m, 1) * row_bytes > machine_of(plan->problem.target, 1).l2_bytes;
  double fill = begin + accumulator_cost * (double)(rows * vectors);
  return fill + (is_streamed ? row_cost * (double)(rows * rows) : 0);
}

/* Modelled cycles for the product with this register tile; unknown sizes count as even. */
static double product_cycles(const Plan *plan, int64_t rows, int64_t vectors) {
  const GemmMatch *match = plan->match;
  int64_t columns = vectors * gemm_lanes(plan);
  int64_t m = gemm_size_or(match->m, 96 * rows), n = gemm_size_or(match->n, 96 * columns);
  double steps = (double)ceil_div(usual_k(plan), gemm_types(plan).step);
  double tiles = (double)ceil_div(m, rows) * (double)ceil_div(n, columns);
  double cycles = tile_cycles(plan, rows, vectors) * steps + tile_overhead(plan, rows, vectors);
  return tiles * cycles / ((double)m * (double)n);
}

/* Row addresses live in general registers unless the row stride is a number or rows are adjacent; x86-64 has 16 of
 * them. A tile of more than 14 rows is one vector wide: all of C, of fixed size, or none. */
static int64_t max_rows(const Plan *plan) {
  enum { ROWS_OF_FIXED = 24, ROWS = 14, ROWS_OF_ADDRESSES = 12 };
  const GemmMatch *match = plan->match;
  if (plan->schedule.values[FIELD_pack_a] == PACK_A_TASK) return ROWS;
  BufType a = gemm_view(match->a.node, match->a.transposed);
  bool is_number = a.layout == LAYOUT_STRIDED ? a.strides[0].symbol == EXTENT_NUMBER
                                              : gemm_extent(plan, GEMM_K).symbol == EXTENT_NUMBER;
  if (!is_number) return ROWS_OF_ADDRESSES;
  return match->m.symbol < 0 && match->m.size <= ROWS_OF_FIXED ? ROWS_OF_FIXED : ROWS;
}

/* Sizes known to be bound by reading B. */
bool gemm_is_known_stream(const Plan *plan) {
  const GemmMatch *match = plan->match;
  if (match->m.symbol >= 0 || match->n.symbol >= 0 || match->k.symbol >= 0) return false;
  int64_t l2_bytes = machine_of(plan->problem.target, 1).l2_bytes;
  return gemm_is_stream(plan, match->m.size, match->n.size, match->k.size, l2_bytes);
}

/* Cycles of one step of k for all of C in tiles of rows x columns registers: a product takes 16, and bringing an
 * operand about 26, since most come from the second-level cache (33 x 65 x 1023 of bf16 in 2x2, 2x1 and 3x1
 * registers: 15.6, 10.9 and 9.2 us; 48 x 1024 x 1024 in 2x2, 3x1 and 1x4: 156, 167 and 134). */
static double register_cycles(int64_t m, int64_t n, int64_t rows, int64_t columns) {
  double products = 16 * (double)(rows * columns), operands = 26 * (double)(rows + columns);
  return (double)(ceil_div(m, 16 * rows) * ceil_div(n, 16 * columns)) * fmax(products, operands);
}

/* Up to four accumulators of 16x16, 2x2 unless others cut C better; one where reading B is all there is to do, and two
 * where few rows meet rows of B that tasks pack (bf16 of 16 x 4096 x 4096 in 16x64 and 16x32: 2.6 and 2.0 ms). */
static void choose_tile_registers(Plan *plan) {
  enum { LARGE = 1 << 20, MOST = 4, FEW = 2 };
  const GemmMatch *match = plan->match;
  Schedule *s = &plan->schedule;
  int64_t m = match->m.symbol < 0 ? larger_of(match->m.size, 1) : LARGE;
  int64_t n = match->n.symbol < 0 ? larger_of(match->n.size, 1) : LARGE;
  int64_t best_rows = 1, best_columns = 1, most_columns = gemm_is_packed_by_few_rows(plan, m) ? FEW : MOST;
  double best = INFINITY;
  for (int64_t i = 0; i < MOST; ++i) {
    int64_t rows = i == 0 ? 2 : i == 1 ? 1 : i + 1;
    if (s->fixed[FIELD_mr] && rows != ceil_div(s->values[FIELD_mr], 16)) continue;
    for (int64_t columns = MOST / rows; columns >= 1; --columns) {
      if (gemm_is_known_stream(plan) && columns > 1) continue;
      if (s->fixed[FIELD_nr] ? columns != s->values[FIELD_nr] / 16 : columns > most_columns) continue;
      double cycles = register_cycles(m, n, rows, columns);
      if (cycles >= best * 0.999) continue;
      best = cycles;
      best_rows = rows;
      best_columns = columns;
    }
  }
  if (!s->fixed[FIELD_mr]) s->values[FIELD_mr] = smaller_of(16 * best_rows, m);
  if (!s->fixed[FIELD_nr]) s->values[FIELD_nr] = 16 * best_columns;
}

/* Rows that leave registers for operands. A row of B is in registers twice: LLVM loads the next while this one is in
 * use; of 16 registers it has none left for that, so that 4x24 of AVX2 fits exactly (f32 of 32 x 768 x 768 on Zen 3 in
 * 5x16 and 4x24: 408 and 378 us). AArch64 takes scalars of A as lanes of vectors, and either a vector of each row stays
 * while B passes, or B of as many k as a vector has (lower/pieces.c); of packed rows a vector has four. Its matrix
 * products take rows by twos. */
static int64_t rows_that_fit(const Plan *plan, int64_t vectors) {
  enum { FEW_ROWS = 3 };
  const Target *target = plan->problem.target;
  int64_t registers = target->vector_registers, rows = larger_of(registers / vectors - 2, 1);
  if (rows < FEW_ROWS && (FEW_ROWS + 1) * vectors + 2 <= registers) rows = FEW_ROWS; /* of wide tiles, once: 3x112 */
  if (gemm_widens_bytes(plan)) rows = smaller_of(rows, larger_of((registers - 3) / vectors - 2, 1));
  GemmTypes types = gemm_types(plan);
  bool is_plain = type_is_floating(types.acc) && types.a == types.acc && types.b == types.acc; /* no register more */
  if (is_plain && gemm_has_narrow_panels(plan) && (rows + 2) * vectors + 1 <= registers) ++rows;
  if (target->family != FAMILY_AARCH64) return rows;
  bool is_packed = plan->schedule.values[FIELD_pack_a] == PACK_A_TASK, has_pairs = gemm_has_pairs_of_rows(plan);
  for (; rows > 1; --rows) {
    int64_t of_a = has_pairs ? rows / 2 : is_packed ? ceil_div(rows, 4) : rows;
    int64_t of_b = has_pairs ? 2 * vectors : is_packed ? vectors : 4 * vectors;
    if (target->vector_bits == 512 && of_b < of_a) of_b += 4; /* LLVM loads the next ones early: 11x32 spilled */
    bool is_even = has_pairs ? rows % 2 == 0 : !is_packed || rows < 4 || rows % 4 == 0;
    if (is_even && rows * vectors + smaller_of(of_a, of_b) + 1 < registers) break;
  }
  return rows;
}

bool gemm_is_in_place(const Plan *plan) {
  return plan->schedule.set[FIELD_pack_b] && plan->schedule.values[FIELD_pack_b] == PACK_B_NONE;
}

/* Whether vectors of B are turned from its columns as they lie. Each column is a stream of memory, so these are few. */
bool gemm_turns_in_place(const Plan *plan) { return gemm_is_in_place(plan) && gemm_b_runs_along_k(plan); }

/* B in place for few rows of A, all of which are streams beside those of B: half of them at a time, with more of B each
 * (f32 of 8 x 65536 x 128 in 8x32 and 4x64: 1814 and 1442 us; 8 x 4096 x 4096 in 8x48 and 4x64: 3989 and 3563), or a
 * quarter where panels are narrow (4 x 4096 x 4096 on Zen 3 in 4x24, 4x16 and 2x32: 6.0, 4.7 and 4.3 ms). */
static bool reads_few_rows(const Plan *plan) {
  enum { FEW_ROWS = 8 };
  const GemmMatch *match = plan->match;
  return gemm_is_in_place(plan) && !gemm_turns_in_place(plan) && match->m.symbol < 0 && match->m.size <= FEW_ROWS;
}

/* Streams are panels of two vectors, or two lines of each step where so few rows use them that the registers allow it
 * (f16 of 4 x 4096 x 11008 in 4x32 and 4x64: 6.7 and 6.1 ms from memory; of 8 rows 2.5 and 2.9); or four for a single
 * row on a core that follows two streams, long ones (1 x 11008 x 4096 of bf16 in 1x32 and 1x64: 2.16 and 2.08 ms). */
static int64_t vectors_of_stream(const Plan *plan) {
  enum { USUAL = 2, MOST = 4, FEW_ROWS = 4, BYTES = 128, FEW_STREAMS = 2 };
  const GemmMatch *match = plan->match;
  GemmTypes types = gemm_types(plan);
  if (match->m.size == 1 && target_habits(plan->problem.target)->streams == FEW_STREAMS) return MOST;
  int64_t bytes = gemm_bytes(types.b, gemm_lanes(plan) * types.group);
  return match->m.size <= FEW_ROWS ? larger_of(BYTES / bytes, USUAL) : USUAL;
}

/* Up to four vectors of columns, or all that C has where these are a few more: rows are few then, and nothing is
 * multiplied in vain (33 x 65 x 1023 in 11x16 and 3x80: f32 24.1 and 20.6 us, bf16 12.5 and 10.4, u8 x i8 6.1 and 5.2;
 * 128 x 112 x 500 in 8x32 and 3x112 61 and 54). */
static int64_t most_vectors_of(const Plan *plan) {
  enum { FEW_MORE = 7 };
  const GemmMatch *match = plan->match;
  if (gemm_turns_in_place(plan)) return 1;
  if (gemm_is_known_stream(plan)) return vectors_of_stream(plan);
  int64_t all = match->n.symbol < 0 ? ceil_div(match->n.size, gemm_lanes(plan)) : USUAL_VECTORS;
  return all > USUAL_VECTORS && all <= FEW_MORE ? all : USUAL_VECTORS;
}

/* Whether a panel so wide that is read as a stream begins each step amid a line, which it then shares with the last
 * (f32 of 4 x 4096 x 4096 on Zen 3 in 4x16 and 4x24: 2880 and 3242 us). */
static bool splits_lines(const Plan *plan, int64_t vectors) {
  enum { LINE_BYTES = 64 };
  GemmTypes types = gemm_types(plan);
  int64_t bytes = gemm_bytes(types.b, vectors * gemm_lanes(plan) * types.group);
  return gemm_is_known_stream(plan) && bytes % LINE_BYTES != 0 && LINE_BYTES % bytes != 0;
}

static void choose_register_tile(Plan *plan) {
  enum { FEW_AT_ONCE = 4, FEW_OF_NARROW = 2 };
  const GemmMatch *match = plan->match;
  Schedule *s = &plan->schedule;
  int64_t lanes = gemm_lanes(plan), best_rows = 1, best_vectors = 1;
  int64_t most_vectors = most_vectors_of(plan);
  double best = INFINITY;
  for (int64_t vectors = 1; vectors <= most_vectors || (s->fixed[FIELD_nr] && vectors <= 4); ++vectors) {
    if (s->fixed[FIELD_nr] ? vectors != ceil_div(s->values[FIELD_nr], lanes) : splits_lines(plan, vectors)) continue;
    int64_t limit = smaller_of(rows_that_fit(plan, vectors), max_rows(plan));
    if (match->m.symbol < 0) limit = smaller_of(limit, larger_of(match->m.size, 1));
    if (reads_few_rows(plan)) limit = smaller_of(limit, gemm_has_narrow_panels(plan) ? FEW_OF_NARROW : FEW_AT_ONCE);
    if (s->fixed[FIELD_mr] && s->values[FIELD_mr] > limit && vectors > 1) continue;
    for (int64_t rows = match->m.symbol < 0 ? 1 : limit; rows <= limit; ++rows) {
      if (s->fixed[FIELD_mr] && rows != smaller_of(s->values[FIELD_mr], limit)) continue;
      double cycles = product_cycles(plan, rows, vectors);
      if (cycles >= best * 0.999) continue;
      best = cycles;
      best_rows = rows;
      best_vectors = vectors;
    }
  }
  if (!s->fixed[FIELD_mr]) s->values[FIELD_mr] = best_rows;
  if (!s->fixed[FIELD_nr]) s->values[FIELD_nr] = best_vectors * lanes;
}

/* Dot products that are under way at once, each a stream and a vector of sums: the other factor's vectors stay beside
 * them, half of these at a time where they would leave room for one stream only (f32 of 8 x 4096 x 4096 on Zen 3 in 8x1
 * and 4x2: 9.1 and 6.7 ms, 6 rows in 6x1 and 3x4 6.7 and 6.2). */
static void choose_dots(Plan *plan) {
  enum { MOST = 8 };
  const GemmMatch *match = plan->match;
  Schedule *s = &plan->schedule;
  bool is_column = gemm_is_column(plan);
  Dim side = is_column ? match->m : match->n; /* that dot products are many along */
  int64_t registers = plan->problem.target->vector_registers, few = 1, many = MOST;
  if (!is_column) few = larger_of(s->fixed[FIELD_mr] ? s->values[FIELD_mr] : match->m.size, 1);
  if (!s->fixed[FIELD_mr] && few % 2 == 0 && few * 2 + few + 1 > registers) few /= 2;
  while (many > 1 && few * many + few + 1 > registers) many /= 2;
  many = smaller_of(many, gemm_size_or(side, many));
  if (!s->fixed[FIELD_mr]) s->values[FIELD_mr] = is_column ? many : few;
  if (!s->fixed[FIELD_nr]) s->values[FIELD_nr] = is_column ? few : many;
}

/* Vectors along k of each: several where there are few dot products, whose chains would be late; one where a row's sum
 * must not depend on how many rows there are. */
int64_t gemm_steps_of_dots(const Plan *plan) {
  enum { CHAINS = 8, LONGEST = 64 };
  const Schedule *s = &plan->schedule;
  int64_t dots = s->values[FIELD_mr] * s->values[FIELD_nr], steps = 1, step = gemm_types(plan).step;
  while (!plan->problem.batch_invariant && dots * steps < CHAINS && 2 * steps * step <= LONGEST) steps *= 2;
  return steps;
}

void gemm_choose_registers(Plan *plan) {
  Schedule *s = &plan->schedule;
  if (gemm_is_by_dots(plan)) choose_dots(plan);
  else if (s->values[FIELD_mma] == MMA_ON_TILES) choose_tile_registers(plan);
  else choose_register_tile(plan);
  s->set[FIELD_mr] = s->set[FIELD_nr] = true;
}

void gemm_explain_registers(const Plan *plan, Text *out) {
  const Schedule *s = &plan->schedule;
  long long mr = s->values[FIELD_mr], nr = s->values[FIELD_nr];
  if (s->values[FIELD_mma] == MMA_ON_TILES) {
    text_printf(out, "register tile %lldx%lld: %lld accumulators of 8 tile registers\n", mr, nr,
                (long long)(ceil_div(mr, 16) * ceil_div(nr, 16)));
    return;
  }
  if (gemm_is_by_dots(plan)) {
    text_printf(out, "register tile %lldx%lld: dot products along k, lanes added up at the end\n", mr, nr);
    return;
  }
  int64_t vectors = nr / gemm_lanes(plan);
  text_printf(out,
              "register tile %lldx%lld: %lld accumulators of %d registers, %g cycles an instruction's k where %g would "
              "be peak\n",
              mr, nr, (long long)(mr * vectors), plan->problem.target->vector_registers, tile_cycles(plan, mr, vectors),
              (double)(mr * vectors) / (gemm_widens_bytes(plan) ? 1 : FMA_PER_CYCLE));
}
