/* gemm_operands.c: how the gemm template reads its operands by default: packed or in place, on which instructions, in
 * which types, asked for how far ahead. Depends on problem and target only, like all of the baked part. */
#include "templates/gemm.h"

/* What a size that is not known counts as. */
enum { LARGE_SIZE = 4096 };

bool gemm_may_pack_ahead(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return match->b.node->is_const && !match->b_is_shared && plan->problem.packing == KILN_PACK_CONST;
}

/* On tile registers a cut last step of k is copied by each tile, which costs as much as 500 steps do (u8 x i8 1000
 * cubed: four times the time of 1024 cubed). Packed A has zeros there, and pays from the second panel on. */
static bool is_cut_for_panels(const Plan *plan) {
  enum { COLUMNS = 32 };
  const GemmMatch *match = plan->match;
  bool has_panels = match->n.symbol >= 0 || match->n.size > COLUMNS;
  return match->k.symbol < 0 && match->k.size % gemm_types(plan).step != 0 && has_panels &&
         plan->schedule.values[FIELD_pack_b] != PACK_B_NONE;
}

/* Whether vectors cut the last step of a k so short that it counts: with sizes passed, each tile copies the rest of
 * each row (u8 x i8 of 31 x 4097 x 63: 23 to 17 us packed, 2048 x 512 x 13 65 to 44, bf16 70 to 64). */
static bool is_cut_and_short(const Plan *plan) {
  enum { COLUMNS = 512, SHORT = 256 };
  const GemmMatch *match = plan->match;
  bool is_passed = gemm_has_numbers(plan) && plan->schedule.values[FIELD_sizes] == SIZES_PASSED;
  bool is_cut = match->k.symbol < 0 && match->k.size % gemm_types(plan).step != 0 && match->k.size < SHORT;
  bool has_panels = match->n.symbol >= 0 || match->n.size >= COLUMNS;
  return is_passed && is_cut && has_panels && plan->schedule.values[FIELD_pack_b] != PACK_B_NONE;
}

/* Tile registers read A from the second-level cache once for every panel of B; packed, its rows share pages, and next
 * lines follow (bf16 of 384 x 3072 x 768: 7 %, 2048 cubed 12 %). It pays from so many columns on, but not for few rows
 * that are long, which lie in blocks of few lines each (128 x 4096 x 11008: 4 % slower, bytes 14 %). */
static bool is_wide_for_tiles(const Plan *plan) {
  enum { WIDE_BYTES = 2048, FEW_ROWS = 128, LONG_BYTES = 4096 };
  const GemmMatch *match = plan->match;
  kiln_type type = gemm_types(plan).a;
  bool is_wide = match->n.symbol >= 0 || gemm_bytes(type, match->n.size) >= WIDE_BYTES;
  bool are_many = match->m.symbol >= 0 || match->m.size > FEW_ROWS;
  bool is_short = match->k.symbol < 0 && gemm_bytes(type, match->k.size) <= LONG_BYTES;
  return gemm_may_pack_ahead(plan) && is_wide && (are_many || is_short);
}

/* Of the first-level cache: addresses so far apart share a set. */
enum { WAY_BYTES = 4096 };

/* Whether rows of A that streams of B meet in turns lie a multiple of 4096 bytes apart and would fill all ways of one
 * set of the first-level cache (f32 of 8 x 4096 x 4096 on Zen 3, whose sets have 8: 4117 to 3622 us packed, of 8 x 4096
 * x 4128 3770 and 3656). */
static bool fills_set(const Plan *plan, Extent row) {
  const GemmMatch *match = plan->match;
  bool shares_set = row.symbol == EXTENT_NUMBER && gemm_bytes(match->a.node->type, row.number) % WAY_BYTES == 0;
  return shares_set && match->m.size * WAY_BYTES >= machine_of(plan->problem.target, 1).l1d_bytes;
}

/* A in place, or packed where the lines of a register tile's rows would drive each other out of the first-level cache:
 * rows a multiple of 4096 bytes apart share one set, and sets have 8 ways or 12; rows of vectors a multiple of 1024
 * apart share four (f32 of 384 x 768 x 3072: 5 % faster packed, 512 x 11008 x 4096 as much; 1000 cubed 7 % slower).
 * Packing a row costs a percent or two of multiplying it with 512 columns. Streams of tile registers come back to few
 * rows in short turns. */
int64_t gemm_default_pack_a(const Plan *plan) {
  enum { QUARTER = 1024, FEW_ROWS = 32, FEW_COLUMNS = 512, TILE_ROWS = 16 };
  const GemmMatch *match = plan->match;
  GemmTypes types = gemm_types(plan);
  if (gemm_is_by_dots(plan)) return PACK_A_NONE;
  BufType a = gemm_view(match->a.node, match->a.transposed);
  Extent row = a.layout == LAYOUT_STRIDED ? a.strides[0] : a.dims[1];
  if (types.a != match->a.node->type) return PACK_A_TASK;
  bool is_turned = match->a.transposed && a.layout == LAYOUT_STRIDED;
  if (types.group > 1 && is_turned) return PACK_A_TASK;
  bool is_small =
      (match->m.symbol < 0 && match->m.size < FEW_ROWS) || (match->n.symbol < 0 && match->n.size < FEW_COLUMNS);
  bool on_tiles = plan->schedule.values[FIELD_mma] == MMA_ON_TILES;
  if (on_tiles ? is_cut_for_panels(plan) : is_cut_and_short(plan)) return PACK_A_TASK;
  if (gemm_is_known_stream(plan) && (on_tiles ? match->m.size > TILE_ROWS : fills_set(plan, row))) return PACK_A_TASK;
  if (!is_small && !on_tiles && gemm_has_pairs_of_rows(plan)) return PACK_A_TASK; /* a load then brings both */
  if (row.symbol != EXTENT_NUMBER || is_small) return PACK_A_NONE;
  if (on_tiles && is_wide_for_tiles(plan)) return PACK_A_TASK;
  bool is_wide = match->n.symbol >= 0 || match->n.size > FEW_COLUMNS;
  int64_t shared = !on_tiles && is_wide ? QUARTER : WAY_BYTES;
  return gemm_bytes(match->a.node->type, row.number) % shared == 0 ? PACK_A_TASK : PACK_A_NONE;
}

bool gemm_has_narrow_panels(const Plan *plan) {
  enum { FEW_REGISTERS = 16, SHORT_BITS = 256 };
  const Target *target = plan->problem.target;
  return target->vector_registers == FEW_REGISTERS && target->vector_bits == SHORT_BITS;
}

/* Rows of f32 that meet rows of B where they lie. Narrow panels take few lines from each page that they come by, so
 * that packing them pays from a few rows on (Zen 3, 128 x 768 x 3072: 8.3 and 6.6 ms packed, 32 x 4096 x 4096 21.0 and
 * 13.4, but 24 x 768 x 768 353 and 362 us, 8 x 4096 x 4096 9.2 and 10.2 ms), unless all of a row is a few lines. */
static int most_rows_in_place(const Plan *plan, int64_t row_bytes) {
  enum {
    FEW_ROWS = 32,
    MORE_ROWS = 128,
    FEW_OF_NARROW = 12,
    MORE_OF_NARROW = 24,
    PAGE_BYTES = 4096,
    SHORT_BYTES = 1024
  };
  bool is_narrow = gemm_has_narrow_panels(plan);
  if (row_bytes >= PAGE_BYTES) return is_narrow ? FEW_OF_NARROW : FEW_ROWS;
  return is_narrow && row_bytes > SHORT_BYTES ? MORE_OF_NARROW : MORE_ROWS;
}

/* Whether B is read where it lies, in its own type: few rows of C use each element, so that packing it would cost more
 * than it brings. Measured (bench/results/speed.md): up to about 128 rows of f32 where several of B's share a page,
 * else 32; fewer where each use converts, or where groups along k are joined first, or columns turned into vectors, and
 * fewest where tile registers need no conversion (bf16 of 2, 4, 8 x 4096 x 4096: 1.42 and 1.55, 1.73 and 1.57, 3.3 and
 * 1.7 ms). Columns turned into vectors of 8 are worth it for fewer rows still (Zen 3, turned and packed:
 * 5 x 4096 x 4096 6.8 and 6.8 ms, 6 rows 9.2 and 8.2, 12 rows 34.7 and 9.9, 16 x 768 x 768 307 and 261 us). */
static bool reads_in_place(const Plan *plan) {
  enum { FEW_ROWS_CONVERTED = 10, FEW_ROWS_JOINED = 4, FEW_ROWS_TURNED = 16, FEW_ROWS_NO_TILES = 3 };
  enum { FEW_TURNED_NARROW = 5 };
  const GemmMatch *match = plan->match;
  if (gemm_may_pack_ahead(plan) || match->m.symbol >= 0) return false;
  BufType b = gemm_view(match->b.node, match->b.transposed);
  bool is_row = b.layout == LAYOUT_ROW_MAJOR || (b.strides[1].symbol == EXTENT_NUMBER && b.strides[1].number == 1);
  bool is_float = type_is_floating(match->acc), turns = gemm_runs_along_k(&b);
  bool is_joined = !is_float || (turns && match->b.node->type != match->acc);
  bool converts = is_float && (match->a.node->type != match->acc || match->b.node->type != match->acc);
  int most = is_joined                          ? FEW_ROWS_JOINED
             : turns                            ? (gemm_has_narrow_panels(plan) ? FEW_TURNED_NARROW : FEW_ROWS_TURNED)
             : converts && gemm_has_tiles(plan) ? FEW_ROWS_NO_TILES
             : converts ? FEW_ROWS_CONVERTED
                        : most_rows_in_place(plan, gemm_bytes(b.type, gemm_size_or(match->n, LARGE_SIZE)));
  return (is_row || turns) && match->m.size <= most;
}

/* Whether dot products do it unless something else is asked for: of one column always, where each row of A is used once
 * as it lies, and of few rows that meet columns of B along k, which then need not be turned into vectors. */
static bool prefers_dots(const Plan *plan) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  if (s->fixed[FIELD_mma]) return s->values[FIELD_mma] == MMA_AS_DOTS;
  if (!gemm_has_dots(plan) || (s->fixed[FIELD_pack_a] && s->values[FIELD_pack_a] != PACK_A_NONE)) return false;
  return gemm_is_column(plan) || (match->m.size <= gemm_rows_worth_dots(plan) && !gemm_may_pack_ahead(plan));
}

bool gemm_is_packed_by_few_rows(const Plan *plan, int64_t m) {
  enum { TILE_ROWS = 16 };
  return plan->schedule.values[FIELD_pack_b] == PACK_B_TASK && m <= TILE_ROWS && !gemm_b_runs_along_k(plan);
}

int64_t gemm_default_pack_b(const Plan *plan) {
  if (prefers_dots(plan)) return PACK_B_NONE;
  if (gemm_may_pack_ahead(plan)) return PACK_B_AHEAD;
  return reads_in_place(plan) ? PACK_B_NONE : PACK_B_TASK;
}

/* Tile registers multiply 16 rows at once and k in whole cache lines. They are as fast with fewer rows, and so are
 * vectors of bytes with one or two, which need no configuration (u8 x i8, 768 x 768, 1, 2 and 4 rows: 3.7 and 4.8, 4.6
 * and 5.0, 6.6 and 5.0 us); vectors of small floats convert (4 x 768 x 768 of bf16: 60 us against 13), and win only
 * where the whole call is one product of a tile register (16 x 16 x 16: 71 and 119 ns). */
int64_t gemm_default_mma(const Plan *plan) {
  enum { FEW_ROWS = 3, SHORT_BYTES = 32, TINY = 16 * 16 * 16 };
  const GemmMatch *match = plan->match;
  if (gemm_is_in_place(plan) && prefers_dots(plan)) return MMA_AS_DOTS;
  if (!gemm_has_tiles(plan)) return MMA_ON_VECTORS;
  bool few_rows = match->m.symbol < 0 && match->m.size < FEW_ROWS && !type_is_floating(match->acc);
  bool is_short = match->k.symbol < 0 && gemm_bytes(match->a.node->type, match->k.size) < SHORT_BYTES;
  bool is_fixed = match->m.symbol < 0 && match->n.symbol < 0 && match->k.symbol < 0;
  bool is_tiny = is_fixed && match->batch_rank == 0 &&
                 (double)match->m.size * (double)match->n.size * (double)match->k.size <= TINY;
  return few_rows || is_short || is_tiny || gemm_is_in_place(plan) ? MMA_ON_VECTORS : MMA_ON_TILES;
}

/* The first pass over a panel that lies in the third-level cache waits for it, and so do stores to lines that do: on
 * Sapphire Rapids that was 4 % to 6 % each with 384 rows, a quarter with 32 (bench/results/spine.md), where others lose
 * (up to 30 % on Zen 5). What lies in the second-level cache already gains nothing, but weights seldom do: vectors ask
 * for the next panel, or with few rows for lines a little ahead, at 0 to 4 % from there and a gain of 6 to 25 % from
 * beyond (f32 of 16 x 768 x 768: 129 and 124 us, 316 and 254). Tile registers do with more than 128 rows, at 0 to 6 %
 * and a gain of 4 to 30 % (u8 x i8 of 1000 cubed: 845 and 735 us, 1030 and 770); with fewer they would lose up to half.
 * What tasks pack is asked for where vectors multiply, unless it is read along lines; tile registers gain only where
 * some rows meet bytes of columns along lines (u8 x i8, 128 x 11008 x 4096: 11.0 to 6.9 ms; 512 rows and bf16 lose, and
 * 8 rows do: 8 x 65536 x 128 651 to 569 us without). A result that stays in the first-level cache, and a panel that is
 * the only one, are not asked for (f32 of 64 x 64 x 8192: 510 to 478 us, of 32 x 32 x 16384: 305 to 285). */
static int64_t prefetch_from_l3(const Plan *plan) {
  enum { FEW_ROWS = 16, STREAMED_ROWS = 8 };
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  int64_t m = gemm_size_or(match->m, LARGE_SIZE), n = gemm_size_or(match->n, LARGE_SIZE),
          k = gemm_size_or(match->k, LARGE_SIZE);
  int64_t cache = machine_of(plan->problem.target, 1).l2_bytes;
  int64_t b_bytes = gemm_bytes(gemm_types(plan).b, k * n), c_bytes = gemm_bytes(match->acc, m * n);
  bool on_tiles = s->values[FIELD_mma] == MMA_ON_TILES, a_needs_nothing = gemm_types(plan).a == match->acc;
  if (s->values[FIELD_pack_b] == PACK_B_TASK) {
    if (b_bytes <= cache / 2) return PREFETCH_NONE;
    bool are_some = m > FEW_ROWS && m <= GEMM_FEW_ROWS_OF_TILES && type_bits(gemm_types(plan).b) == 8;
    if (on_tiles) return gemm_b_runs_along_k(plan) && are_some ? PREFETCH_PANEL : PREFETCH_NONE;
    return m > FEW_ROWS && !gemm_b_runs_along_k(plan) ? PREFETCH_BOTH : PREFETCH_NONE;
  }
  if (gemm_is_known_stream(plan)) return PREFETCH_STREAM;
  int64_t first = machine_of(plan->problem.target, 1).l1d_bytes;
  bool in_first = b_bytes <= first / 2 || m == 1;
  if (m <= STREAMED_ROWS) return on_tiles || in_first ? PREFETCH_NONE : PREFETCH_STREAM;
  bool has_few_rows = on_tiles && m <= GEMM_FEW_ROWS_OF_TILES;
  int64_t otherwise = has_few_rows || in_first ? PREFETCH_NONE : PREFETCH_PANEL;
  if (on_tiles && m <= 2 * FEW_ROWS) return PREFETCH_NONE;
  if (m <= FEW_ROWS) return b_bytes > 4 * cache && a_needs_nothing ? PREFETCH_BOTH : otherwise;
  if (n <= s->values[FIELD_nr] && c_bytes <= first / 2) return PREFETCH_NONE; /* no next panel, and results stay near */
  bool stays = !on_tiles && c_bytes <= first / 2;
  return (b_bytes > cache / 2 && !stays) || (!on_tiles && c_bytes > cache) ? PREFETCH_BOTH : otherwise;
}

/* Zen finds by itself what lies near, but not what overflows the second-level cache by far. On Zen 5 f32 of 8 x 4096 x
 * 4096 in streams 5767 to 1425 us, of 16 x 4096 x 4096 4075 to 2690, of 512 x 4096 x 4096 81 to 72 ms. With some rows
 * asking costs less than 1 % where nothing was to be waited for, and weights seldom lie near (u8 x i8 of 16 x 768 x 768
 * from memory 35 to 22 us); with many it may cost 3 (bench/results/speed.md). Where results stay near, the panel is
 * enough (33 x 65 x 1023 from memory 48.6 to 31.9 us, from the cache 23.8 and 24.5; bf16 of 31 x 4097 x 63 62.9
 * to 37.2, 33.7 and 34.4). A single row reads memory as fast as it comes, and requests are in the way (1 x 11008 x 4096
 * from memory, f32 4.58 to 4.40 ms, bf16 2.20 to 2.08, u8 x i8 1.12 to 1.03). Zen 3 is the same (8 x 4096 x 4096 6.5
 * to 4.0 ms, 16 rows 9.0 to 6.9, 128 x 768 x 3072 7.0 to 6.5), but that columns along k which tasks pack gain nothing
 * there (64 x 64 x 8192: 1.03 to 0.87 ms without, 128 x 768 x 768 1.83 to 1.73). */
static int64_t prefetch_of_far(const Plan *plan) {
  enum { STREAMED_ROWS = 8, SOME_ROWS = 128, MORE_ROWS = 256 };
  const GemmMatch *match = plan->match;
  int64_t cache = machine_of(plan->problem.target, 1).l2_bytes;
  int64_t m = gemm_size_or(match->m, LARGE_SIZE), n = gemm_size_or(match->n, LARGE_SIZE);
  int64_t b_bytes = gemm_bytes(gemm_types(plan).b, gemm_size_or(match->k, LARGE_SIZE) * n);
  if (plan->schedule.values[FIELD_pack_b] == PACK_B_TASK) {
    bool is_in_the_way = gemm_has_narrow_panels(plan) && gemm_b_runs_along_k(plan);
    return b_bytes > 2 * cache && !is_in_the_way ? PREFETCH_BOTH : PREFETCH_NONE;
  }
  if (m == 1) return PREFETCH_NONE;
  if (m <= STREAMED_ROWS) return b_bytes > 2 * cache ? PREFETCH_STREAM : PREFETCH_NONE;
  bool is_near = gemm_bytes(match->acc, m * n) <= machine_of(plan->problem.target, 1).l1d_bytes / 2;
  bool stays = gemm_has_narrow_panels(plan) && is_near;
  if (b_bytes >= (m <= SOME_ROWS ? cache / 2 : 4 * cache)) return stays ? PREFETCH_PANEL : PREFETCH_BOTH;
  return b_bytes >= (m <= MORE_ROWS ? cache / 8 : cache / 2) ? PREFETCH_PANEL : PREFETCH_NONE;
}

int64_t gemm_default_prefetch(const Plan *plan) {
  unsigned traits = plan->problem.target->traits;
  if (gemm_is_in_place(plan)) return PREFETCH_NONE;
  if ((traits & TRAIT_WAITS_FOR_L3) != 0) return prefetch_from_l3(plan);
  return (traits & TRAIT_WAITS_FOR_FAR) != 0 ? prefetch_of_far(plan) : PREFETCH_NONE;
}

/* Floats that are not the accumulator's type are converted where they are packed, unless an instruction takes them as
 * they are; few rows convert B, which they would read twice as much of, at each load, and their own elements once
 * rather than for each panel (16 x 4096 x 4096 of f16: 6.4 to 4.2 ms); some more do where B comes from beyond the
 * second-level cache (32 x 4096 x 11008: 23.5 to 17.2 ms, 48 x 4096 x 4096 10.7 to 9.6, 64 the same). Bytes are moved
 * where B is packed, but for sums of A's rows that a tiny product or few columns would notice (i8 x i8 on Zen 5 at each
 * load and packed: 1 x 4096 x 4096 178 and 167 us, 8 x 768 x 768 10.0 and 9.0, 1024 cubed 2.35 and 2.12 ms; 32 cubed 70
 * and 107 ns). */
int64_t gemm_default_convert(const Plan *plan) {
  enum { FEW_ROWS = 32, MORE_ROWS = 48, FEW_COLUMNS = 256, LANES = 16, TINY = 32 * 32 * 32 };
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  bool few_rows = match->m.symbol < 0 && match->m.size < FEW_ROWS;
  bool a_stays = s->fixed[FIELD_pack_a] && s->values[FIELD_pack_a] == PACK_A_NONE;
  if (gemm_is_in_place(plan) || (a_stays && type_is_floating(match->acc))) return CONVERT_LOAD;
  bool are_fixed = match->m.symbol < 0 && match->n.symbol < 0 && match->k.symbol < 0;
  bool is_tiny = are_fixed && (double)match->m.size * (double)match->n.size * (double)match->k.size <= TINY;
  if (!type_is_floating(match->acc))
    return is_tiny || (match->n.symbol < 0 && match->n.size <= LANES) ? CONVERT_LOAD : CONVERT_PACK;
  if (gemm_has_fast_dot(plan)) return CONVERT_LOAD;
  bool is_large =
      match->n.symbol < 0 && match->k.symbol < 0 &&
      gemm_bytes(match->b.node->type, match->n.size * match->k.size) > machine_of(plan->problem.target, 1).l2_bytes / 2;
  few_rows |= is_large && match->m.symbol < 0 && match->m.size <= MORE_ROWS;
  if (!few_rows) return CONVERT_PACK;
  bool has_panels = match->n.symbol >= 0 || match->n.size >= FEW_COLUMNS;
  return has_panels && match->a.node->type != match->acc ? CONVERT_ROWS : CONVERT_LOAD;
}

/* Many tiles share a panel of B, and it stays in the first-level cache if A, of which each tile has its own rows, does
 * not drive it out: 35 instead of 49 ns for 32 steps of k (bench/results/types.md). Where tasks pack bytes, what is
 * packed passes through that cache as well, and A is better kept (u8 x i8 of 128 x 14336 x 4096 with columns along k:
 * 15.2 to 12.1 ms, of 512 x 4096 x 4096 10.8 to 10.1; bf16 the other way round, 17.9 and 19.8). */
int64_t gemm_default_load_a(const Plan *plan) {
  const GemmMatch *match = plan->match;
  bool packs_bytes = plan->schedule.values[FIELD_pack_b] == PACK_B_TASK && type_bits(gemm_types(plan).b) == 8;
  bool is_shared = match->m.symbol >= 0 || match->m.size > 2 * plan->schedule.values[FIELD_mr];
  return is_shared && !packs_bytes ? LOAD_A_STREAMED : LOAD_A_PLAIN;
}
