/* gemm_schedule.c: the default schedule of the gemm template, but for its register tile (gemm_registers.c). The baked
 * part depends on problem and target only, so that a cache filled elsewhere fits. */
#include "templates/gemm.h"

/* What a size that is not known counts as. */
enum { LARGE_SIZE = 4096 };

static bool may_pack_ahead(const Plan *plan) {
  const GemmMatch *match = plan->match;
  return match->b.node->is_const && !match->b_is_shared && plan->problem.packing == KILN_PACK_CONST;
}

/* A cut last step of k is copied by each tile, which costs as much as 500 steps do (u8 x i8 1000 cubed: four times the
 * time of 1024 cubed). Packed A has zeros there, and pays from the second panel on. */
static bool is_cut_for_panels(const Plan *plan) {
  enum { COLUMNS = 32 };
  const GemmMatch *match = plan->match;
  bool has_panels = match->n.symbol >= 0 || match->n.size > COLUMNS;
  return match->k.symbol < 0 && match->k.size % gemm_types(plan).step != 0 && has_panels &&
         plan->schedule.values[FIELD_pack_b] != PACK_B_NONE;
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
  return may_pack_ahead(plan) && is_wide && (are_many || is_short);
}

/* A in place, or packed where the lines of a register tile's rows would drive each other out of the first-level cache:
 * rows a multiple of 4096 bytes apart share one set, and sets have 8 ways or 12; rows of vectors a multiple of 1024
 * apart share four (f32 of 384 x 768 x 3072: 5 % faster packed, 512 x 11008 x 4096 as much; 1000 cubed 7 % slower).
 * Packing a row costs a percent or two of multiplying it with 512 columns. Streams of tile registers come back to few
 * rows in short turns. */
static int64_t default_pack_a(const Plan *plan) {
  enum { WAY_BYTES = 4096, QUARTER = 1024, FEW_ROWS = 32, FEW_COLUMNS = 512, TILE_ROWS = 16 };
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
  if (on_tiles && is_cut_for_panels(plan)) return PACK_A_TASK;
  if (on_tiles && gemm_is_known_stream(plan) && match->m.size > TILE_ROWS) return PACK_A_TASK;
  if (!is_small && !on_tiles && gemm_has_pairs_of_rows(plan)) return PACK_A_TASK; /* a load then brings both */
  if (row.symbol != EXTENT_NUMBER || is_small) return PACK_A_NONE;
  if (on_tiles && is_wide_for_tiles(plan)) return PACK_A_TASK;
  bool is_wide = match->n.symbol >= 0 || match->n.size > FEW_COLUMNS;
  int64_t shared = !on_tiles && is_wide ? QUARTER : WAY_BYTES;
  return gemm_bytes(match->a.node->type, row.number) % shared == 0 ? PACK_A_TASK : PACK_A_NONE;
}

/* Whether B is read where it lies, in its own type: few rows of C use each element, so that packing it would cost more
 * than it brings. Measured (bench/results/speed.md): up to about 128 rows of f32 where several of B's share a page,
 * else 32; fewer where each use converts, or where groups along k are joined first, or columns turned into vectors. */
static bool reads_in_place(const Plan *plan) {
  enum { FEW_ROWS = 32, MORE_ROWS = 128, FEW_ROWS_CONVERTED = 10, FEW_ROWS_JOINED = 4, FEW_ROWS_TURNED = 16 };
  enum { PAGE_BYTES = 4096 };
  const GemmMatch *match = plan->match;
  if (may_pack_ahead(plan) || match->m.symbol >= 0) return false;
  BufType b = gemm_view(match->b.node, match->b.transposed);
  bool is_row = b.layout == LAYOUT_ROW_MAJOR || (b.strides[1].symbol == EXTENT_NUMBER && b.strides[1].number == 1);
  bool is_float = type_is_floating(match->acc), turns = gemm_runs_along_k(&b);
  bool is_joined = !is_float || (turns && match->b.node->type != match->acc);
  bool converts = is_float && (match->a.node->type != match->acc || match->b.node->type != match->acc);
  bool is_short = match->n.symbol < 0 && gemm_bytes(b.type, match->n.size) < PAGE_BYTES;
  bool is_better_on_tiles = converts && is_short && gemm_has_tiles(plan); /* 8, 128, 65536 of bf16: 1.3, not 2.4 ms */
  int most = is_joined || is_better_on_tiles ? FEW_ROWS_JOINED
             : turns                         ? FEW_ROWS_TURNED
             : converts                      ? FEW_ROWS_CONVERTED
             : is_short                      ? MORE_ROWS
                                             : FEW_ROWS;
  return (is_row || turns) && match->m.size <= most;
}

/* Whether dot products do it unless something else is asked for: of one column always, where each row of A is used once
 * as it lies, and of few rows that meet columns of B along k, which then need not be turned into vectors. */
static bool prefers_dots(const Plan *plan) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  if (s->fixed[FIELD_mma]) return s->values[FIELD_mma] == MMA_AS_DOTS;
  if (!gemm_has_dots(plan) || (s->fixed[FIELD_pack_a] && s->values[FIELD_pack_a] != PACK_A_NONE)) return false;
  return gemm_is_column(plan) || (match->m.size <= gemm_rows_worth_dots(plan) && !may_pack_ahead(plan));
}

static int64_t default_pack_b(const Plan *plan) {
  if (prefers_dots(plan)) return PACK_B_NONE;
  if (may_pack_ahead(plan)) return PACK_B_AHEAD;
  return reads_in_place(plan) ? PACK_B_NONE : PACK_B_TASK;
}

/* Tile registers multiply 16 rows at once and k in whole cache lines. They are as fast with fewer rows, and so are
 * vectors of bytes with one or two, which need no configuration (u8 x i8, 768 x 768, 1, 2 and 4 rows: 3.7 and 4.8, 4.6
 * and 5.0, 6.6 and 5.0 us); vectors of small floats convert (4 x 768 x 768 of bf16: 60 us against 13), and win only
 * where the whole call is one product of a tile register (16 x 16 x 16: 71 and 119 ns). */
static int64_t default_mma(const Plan *plan) {
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
 * 8 rows do: 8 x 65536 x 128 651 to 569 us without). */
static int64_t prefetch_from_l3(const Plan *plan) {
  enum { FEW_ROWS = 16, STREAMED_ROWS = 8 };
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  int64_t m = match->m.symbol < 0 ? match->m.size : LARGE_SIZE, n = match->n.symbol < 0 ? match->n.size : LARGE_SIZE;
  int64_t k = match->k.symbol < 0 ? match->k.size : LARGE_SIZE, cache = machine_of(plan->problem.target, 1).l2_bytes;
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
  return b_bytes > cache / 2 || (!on_tiles && c_bytes > cache) ? PREFETCH_BOTH : otherwise;
}

/* Zen 5 finds by itself what lies near, but not what overflows the second-level cache by far: f32 of 8 x 4096 x 4096 in
 * streams 5767 to 1425 us, of 16 x 4096 x 4096 4075 to 2690, of 512 x 4096 x 4096 81 to 72 ms. With some rows asking
 * costs less than 1 % where nothing was to be waited for, and weights seldom lie near (u8 x i8 of 16 x 768 x 768 from
 * memory 35 to 22 us); with many it may cost 3 (bench/results/speed.md). */
static int64_t prefetch_of_far(const Plan *plan) {
  enum { STREAMED_ROWS = 8, SOME_ROWS = 128 };
  const GemmMatch *match = plan->match;
  int64_t cache = machine_of(plan->problem.target, 1).l2_bytes;
  int64_t m = match->m.symbol < 0 ? match->m.size : LARGE_SIZE, n = match->n.symbol < 0 ? match->n.size : LARGE_SIZE;
  int64_t k = match->k.symbol < 0 ? match->k.size : LARGE_SIZE, b_bytes = gemm_bytes(gemm_types(plan).b, k * n);
  if (plan->schedule.values[FIELD_pack_b] == PACK_B_TASK) return b_bytes > 2 * cache ? PREFETCH_BOTH : PREFETCH_NONE;
  if (m <= STREAMED_ROWS) return b_bytes > 2 * cache ? PREFETCH_STREAM : PREFETCH_NONE;
  return b_bytes >= (m <= SOME_ROWS ? cache / 2 : 4 * cache) ? PREFETCH_BOTH : PREFETCH_NONE;
}

static int64_t default_prefetch(const Plan *plan) {
  unsigned traits = plan->problem.target->traits;
  if (gemm_is_in_place(plan)) return PREFETCH_NONE;
  if ((traits & TRAIT_WAITS_FOR_L3) != 0) return prefetch_from_l3(plan);
  return (traits & TRAIT_WAITS_FOR_FAR) != 0 ? prefetch_of_far(plan) : PREFETCH_NONE;
}

static void set_default(Schedule *s, Field field, int64_t value) {
  if (!s->fixed[field]) s->values[field] = value;
  s->set[field] = true;
}

/* Dot products take both factors as they lie, and as many at once as registers hold. */
static kiln_status check_dots(const Plan *plan, Text *why_not) {
  const Schedule *s = &plan->schedule;
  if (!gemm_has_dots(plan)) {
    text_printf(
        why_not,
        "schedule: 'mma' is dots, but neither has the product one column, nor at most %d rows along k with columns "
        "along k",
        GEMM_FEW_ROWS_OF_DOTS);
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_pack_a] != PACK_A_NONE || s->values[FIELD_pack_b] != PACK_B_NONE) {
    text_add(why_not, "schedule: 'mma' is dots, but 'pack_a' or 'pack_b' is not none");
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_mr] > GEMM_MOST_ROWS_OF_DOTS || s->values[FIELD_mr] * s->values[FIELD_nr] > 64) {
    text_printf(why_not, "schedule: %lldx%lld is more than %d rows or 64 dot products", (long long)s->values[FIELD_mr],
                (long long)s->values[FIELD_nr], GEMM_MOST_ROWS_OF_DOTS);
    return KILN_UNSUPPORTED;
  }
  return KILN_OK;
}

static kiln_status check_fixed(const Plan *plan, Text *why_not) {
  const Schedule *s = &plan->schedule;
  const GemmMatch *match = plan->match;
  if (match->m.symbol < 0 && s->values[FIELD_mr] > larger_of(match->m.size, 1)) {
    text_printf(why_not, "schedule: 'mr' is %lld, expected at most %lld, the rows there are",
                (long long)s->values[FIELD_mr], (long long)larger_of(match->m.size, 1));
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_mma] == MMA_ON_TILES && !gemm_has_tiles(plan)) {
    text_printf(why_not, "schedule: 'mma' is tiles, but '%s' has no tile registers for these types",
                plan->problem.target->name);
    return KILN_UNSUPPORTED;
  }
  if (!gemm_is_by_dots(plan) && s->values[FIELD_nr] % gemm_lanes(plan) != 0) {
    text_printf(why_not, "schedule: 'nr' is %lld, expected a multiple of %d, the lanes of %s",
                (long long)s->values[FIELD_nr], (int)gemm_lanes(plan), plan->problem.target->name);
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_pack_b] == PACK_B_AHEAD && !may_pack_ahead(plan)) {
    text_printf(why_not, "schedule: 'pack_b' is ahead, but '%s' is %s", match->b.node->name,
                !match->b.node->is_const ? "not const"
                : match->b_is_shared     ? "read elsewhere too"
                                         : "to be passed as it is");
    return KILN_UNSUPPORTED;
  }
  if (s->fixed[FIELD_layers] && match->batch_rank > 0) {
    text_add(why_not, "schedule: 'layers' is set, but the product is a batch");
    return KILN_UNSUPPORTED;
  }
  GemmTypes types = gemm_types(plan);
  bool on_tiles = s->values[FIELD_mma] == MMA_ON_TILES;
  if (on_tiles && (s->values[FIELD_nr] % 16 != 0 || ceil_div(s->values[FIELD_mr], 16) * s->values[FIELD_nr] > 64)) {
    text_printf(why_not, "schedule: %lldx%lld is not at most four tile registers of 16x16",
                (long long)s->values[FIELD_mr], (long long)s->values[FIELD_nr]);
    return KILN_UNSUPPORTED;
  }
  if (types.a != match->a.node->type && s->values[FIELD_pack_a] != PACK_A_TASK) {
    text_printf(why_not, "schedule: 'convert' is not load, but 'pack_a' is none");
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_convert] == CONVERT_ROWS && !on_tiles && types.a == match->a.node->type) {
    text_printf(why_not, "schedule: 'convert' is rows, but those of '%s' need none", match->a.node->name);
    return KILN_UNSUPPORTED;
  }
  if (types.b != match->b.node->type && s->values[FIELD_pack_b] == PACK_B_NONE) {
    text_printf(why_not, "schedule: 'convert' is pack, but 'pack_b' is none");
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_epilogue] == EPILOGUE_OVERLAPPED && s->values[FIELD_mma] != MMA_ON_TILES) {
    text_printf(why_not, "schedule: 'epilogue' is overlapped, but 'mma' is not tiles");
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_epilogue] == EPILOGUE_NONE && !gemm_is_bare(plan)) {
    text_printf(why_not, "schedule: 'epilogue' is none, but the result is not the bare product");
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_ku] % types.step != 0) {
    text_printf(why_not, "schedule: 'ku' is %lld, expected a multiple of %d, the steps of one instruction",
                (long long)s->values[FIELD_ku], types.step);
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_prefetch] != PREFETCH_NONE && s->values[FIELD_pack_b] == PACK_B_NONE) {
    text_printf(why_not, "schedule: 'prefetch' is not none, but 'pack_b' is");
    return KILN_UNSUPPORTED;
  }
  if (s->values[FIELD_prefetch] == PREFETCH_STREAM && s->values[FIELD_pack_b] != PACK_B_AHEAD) {
    text_printf(why_not, "schedule: 'prefetch' is stream, but 'pack_b' is not ahead");
    return KILN_UNSUPPORTED;
  }
  return KILN_OK;
}

/* Floats that are not the accumulator's type are converted where they are packed, unless an instruction takes them as
 * they are; few rows convert B, which they would read twice as much of, at each load, and their own elements once
 * rather than for each panel (16 x 4096 x 4096 of f16: 6.4 to 4.2 ms); some more do where B comes from beyond the
 * second-level cache (32 x 4096 x 11008: 23.5 to 17.2 ms, 48 x 4096 x 4096 10.7 to 9.6, 64 the same). Bytes are moved
 * at each load where few columns meet them, or they are few rows (i8 x i8 on Zen 5: 32 x 32 x 16384 46 to 38 us, 64 x
 * 64 x 8192 82 to 73, 8 x 4096 x 11008 1.13 to 1.03 ms; 16 rows the same, 31 x 4097 x 63 20 and 25 us). */
static int64_t default_convert(const Plan *plan) {
  enum { FEW_ROWS = 32, MORE_ROWS = 48, FEW_COLUMNS = 256, FEW_ROWS_OF_BYTES = 24, FEW_COLUMNS_OF_BYTES = 96 };
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  bool few_rows = match->m.symbol < 0 && match->m.size < FEW_ROWS;
  bool a_stays = s->fixed[FIELD_pack_a] && s->values[FIELD_pack_a] == PACK_A_NONE;
  bool b_stays = gemm_is_in_place(plan);
  if (a_stays || b_stays) return CONVERT_LOAD;
  bool few_columns = match->n.symbol < 0 && match->n.size <= FEW_COLUMNS_OF_BYTES;
  if (!type_is_floating(match->acc))
    return few_columns || (few_rows && match->m.size < FEW_ROWS_OF_BYTES) ? CONVERT_LOAD : CONVERT_PACK;
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
 * not drive it out: 35 instead of 49 ns for 32 steps of k (bench/results/types.md). */
static int64_t default_load_a(const Plan *plan) {
  const GemmMatch *match = plan->match;
  bool is_shared = match->m.symbol >= 0 || match->m.size > 2 * plan->schedule.values[FIELD_mr];
  return is_shared ? LOAD_A_STREAMED : LOAD_A_PLAIN;
}

/* Instructions of an iteration: four, or where the whole product is one tile of a few hundred, all of them (16 x 16 x
 * 16: 60 ns instead of 65). */
static int64_t default_ku(const Plan *plan) {
  const GemmMatch *match = plan->match;
  GemmTypes types = gemm_types(plan);
  int64_t step = types.step;
  if (gemm_is_by_dots(plan)) return gemm_steps_of_dots(plan) * step;
  /* More would meet an instruction that wants pairs of k, which B has not in place. */
  bool turns = gemm_turns_in_place(plan);
  if (gemm_is_in_place(plan) && type_is_floating(types.acc) && types.b != types.acc && !turns) return 1;
  /* Bytes by pairs (vpmaddwd) multiply and add apart: with more in an iteration LLVM runs out of registers. */
  bool is_one = plan->schedule.values[FIELD_mma] == MMA_ON_TILES || (match->acc == KILN_I32 && step == 2);
  enum { SEVERAL = 4, UNROLLED = 256, LONGEST = 64 };
  int64_t of_line = larger_of(64 / gemm_bytes(types.b, step), 1), most = turns ? of_line : is_one ? 1 : SEVERAL;
  if (match->k.symbol >= 0) return most * step;
  const Schedule *s = &plan->schedule;
  int64_t steps = ceil_div(larger_of(match->k.size, 1), step);
  int64_t products = s->values[FIELD_mr] * (s->values[FIELD_nr] / gemm_lanes(plan)) * steps;
  bool is_tile = match->m.symbol < 0 && match->m.size == s->values[FIELD_mr] && match->n.symbol < 0 &&
                 match->n.size <= s->values[FIELD_nr];
  if (is_tile && s->values[FIELD_mma] != MMA_ON_TILES && !turns && steps <= LONGEST && products <= UNROLLED)
    most = steps;
  return smaller_of(steps, most) * step;
}

/* Longest row of A, in bytes, for which no second visit to an accumulator is ever planned, so that no code for it is
 * made. */
enum { BYTES_WITHOUT_BLOCKS = 5120 };

static void add_param(Plan *plan, Field field) { plan->params[plan->param_count++] = field; }

bool gemm_has_field(const Plan *plan, Field field) {
  for (int i = 0; i < plan->param_count; ++i)
    if (plan->params[i] == field) return true;
  return false;
}

/* Whether all sizes are known and come to few multiply-adds. */
static bool is_at_most(const Plan *plan, double work) {
  const GemmMatch *match = plan->match;
  bool is_fixed = match->m.symbol < 0 && match->n.symbol < 0 && match->k.symbol < 0;
  return is_fixed && (double)match->m.size * (double)match->n.size * (double)match->k.size <= work;
}

/* Sizes as arguments cost some hundred cycles a call, and nothing in the loops: 5 % of 5 us (u8 x i8 of 127 x 131 x
 * 129), nothing measurable of 12 us and more (bench/results/jit-passes.md). */
static int64_t default_sizes(const Plan *plan) {
  static const double few = 1 << 22;
  return is_at_most(plan, few) ? SIZES_BAKED : SIZES_PASSED;
}

/* Few operations of fixed sizes are one block, and one task but where there is a batch of them. */
static void choose_params(Plan *plan) {
  static const double one_task = 64 * 64 * 64;
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  bool is_batch = match->batch_rank > 0;
  bool has_wish = s->values[FIELD_epilogue] == EPILOGUE_OVERLAPPED || s->fixed[FIELD_mc] || s->fixed[FIELD_nc] ||
                  s->fixed[FIELD_kc] || s->fixed[FIELD_pc] || s->fixed[FIELD_layers] ||
                  (s->fixed[FIELD_tasks] && !is_batch);
  if (is_at_most(plan, one_task) && !has_wish) {
    if (is_batch) add_param(plan, FIELD_tasks);
    return;
  }
  add_param(plan, FIELD_mc);
  add_param(plan, FIELD_nc);
  bool on_tiles = s->values[FIELD_mma] == MMA_ON_TILES;
  bool is_long = match->k.symbol >= 0 || gemm_bytes(gemm_types(plan).a, match->k.size) > BYTES_WITHOUT_BLOCKS;
  bool has_layers = !is_batch && (s->fixed[FIELD_layers] || gemm_may_have_layers(plan));
  bool is_in_blocks = is_long || gemm_is_in_place(plan) || on_tiles || gemm_is_known_stream(plan);
  if ((is_in_blocks && !gemm_is_by_dots(plan)) || s->fixed[FIELD_kc] || has_layers) add_param(plan, FIELD_kc);
  if (gemm_has_field(plan, FIELD_kc) && s->values[FIELD_pack_a] == PACK_A_TASK) add_param(plan, FIELD_pc);
  if (has_layers) add_param(plan, FIELD_layers);
  add_param(plan, FIELD_strip);
  add_param(plan, FIELD_tasks);
}

/* Whether tiles are finished while those of the next panel are multiplied: where panels are several, and rows of A, all
 * of k, stay in the second-level cache while they pass. The bare product gains too, since results leave a row at a
 * time, not a tile, where B is large and rows are few or k is not short (2048 cubed of bf16 and of bytes 7 %, 128 x
 * 4096 x 4096 of bytes 12 %, 64 x 4096 x 1024 15 %; but 1024 cubed of bytes 8 % slower). */
static bool is_worth_overlapping(const Plan *plan) {
  enum { PANELS = 8, FEWEST_ROWS = 32, FEW_ROWS = 128, LONG_EPILOGUE = 8, LARGE_BYTES = 2 << 20 };
  enum { SHORT_BYTES = 1536, LONG_BYTES = 4096, LONGEST_BYTES = 6144 }; /* of k */
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  bool has_panels = match->n.symbol >= 0 || match->n.size >= PANELS * s->values[FIELD_nr];
  bool is_alone = s->values[FIELD_pack_b] == PACK_B_AHEAD && !gemm_may_have_layers(plan) && !gemm_is_known_stream(plan);
  if (match->k.symbol >= 0 || !has_panels || !is_alone) return false;
  int64_t k_bytes = gemm_bytes(gemm_types(plan).a, match->k.size);
  bool are_few = match->m.symbol < 0 && match->m.size <= FEW_ROWS, is_short = k_bytes < SHORT_BYTES && !are_few;
  if (!gemm_is_bare(plan)) return k_bytes <= LONGEST_BYTES && (match->epilogue_cost >= LONG_EPILOGUE || !is_short);
  bool is_large = match->n.symbol < 0 && k_bytes * match->n.size >= LARGE_BYTES;
  if (!is_large || match->m.symbol >= 0 || match->m.size <= FEWEST_ROWS) return false;
  return k_bytes <= (are_few ? LONGEST_BYTES : LONG_BYTES) && !is_short;
}

/* Whether rows of C do not begin with cache lines, and are much of the work: vectors cross them faster than stores of
 * tile registers do (31 x 4097 x 63 39 to 28 us, 127 x 129 x 131 of bytes 4.8 to 4.3). */
static bool has_crossing_rows(const Plan *plan) {
  enum { LINE = 64, SHORT_BYTES = 512 };
  const GemmMatch *match = plan->match;
  bool crosses = match->n.symbol < 0 && gemm_bytes(match->acc, match->n.size) % LINE != 0;
  return crosses && match->k.symbol < 0 && gemm_bytes(gemm_types(plan).a, match->k.size) < SHORT_BYTES;
}

/* In registers what is short; by rows what would be much code, and all that comes out of tile registers. Their products
 * leave the vector units idle, so what follows is computed beside the next panel where that can be (gelu of 384 x 3072
 * x 768 in bf16: 1904 to 1310 us; bench/results/speed.md). */
static int64_t default_epilogue(const Plan *plan) {
  enum { LONG = 8 };
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  if (s->values[FIELD_mma] != MMA_ON_TILES) return match->epilogue_cost > LONG ? EPILOGUE_ROWS : EPILOGUE_REGISTERS;
  if (is_worth_overlapping(plan)) return EPILOGUE_OVERLAPPED;
  return gemm_is_bare(plan) && !has_crossing_rows(plan) ? EPILOGUE_NONE : EPILOGUE_ROWS;
}

/* B packed ahead, matrix after matrix; its panels are filled in by the schedule. */
static BufType pack_type(const GemmMatch *match) {
  BufType matrix = gemm_view(match->b.node, match->b.transposed), type = buf_of_node(match->b.node);
  type.dims[type.rank - 2] = matrix.dims[0];
  type.dims[type.rank - 1] = matrix.dims[1];
  return type;
}

kiln_status gemm_schedule(Plan *plan, Text *why_not) {
  const GemmMatch *match = plan->match;
  Schedule *s = &plan->schedule;
  if (gemm_has_numbers(plan)) set_default(s, FIELD_sizes, default_sizes(plan));
  set_default(s, FIELD_pack_b, default_pack_b(plan));
  if (gemm_has_tiles(plan) || gemm_has_dots(plan)) set_default(s, FIELD_mma, default_mma(plan));
  if (gemm_converts(plan)) set_default(s, FIELD_convert, default_convert(plan));
  set_default(s, FIELD_pack_a, default_pack_a(plan));
  gemm_choose_registers(plan);
  if (s->values[FIELD_mma] == MMA_ON_TILES) set_default(s, FIELD_load_a, default_load_a(plan));
  set_default(s, FIELD_ku, default_ku(plan));
  set_default(s, FIELD_prefetch, default_prefetch(plan));
  set_default(s, FIELD_epilogue, default_epilogue(plan));
  GemmTypes types = gemm_types(plan);
  gemm_list_sizes(plan);
  choose_params(plan);
  if (s->values[FIELD_pack_b] == PACK_B_AHEAD) {
    Pack *pack = &plan->packs[match->b.input];
    pack->packed = true;
    pack->type = pack_type(match);
    pack->type.layout = LAYOUT_COL_PANEL;
    pack->type.panel = (int)s->values[FIELD_nr];
    pack->type.type = types.b;
    pack->type.group = types.group;
    Dim k = gemm_loop_k(plan);
    if (k.symbol < 0) pack->type.dims[pack->type.rank - 2] = extent_number(k.size);
  }
  kiln_status status = gemm_is_by_dots(plan) ? check_dots(plan, why_not) : KILN_OK;
  return status ? status : check_fixed(plan, why_not);
}

void gemm_explain(const Plan *plan, const int64_t *symbols, const Machine *machine, Text *out) {
  const GemmMatch *match = plan->match;
  const Schedule *s = &plan->schedule;
  gemm_explain_registers(plan, out);
  if (match->batch_rank > 0)
    text_add(out, gemm_has_field(plan, FIELD_mc) ? "batch: tasks share blocks of all its products\n"
                                                 : "batch: tasks share its products, each of one block\n");
  static const char *const epilogues[] = {
      [EPILOGUE_REGISTERS] = "on the register tile",
      [EPILOGUE_ROWS] = "row by row through L1 (small code)",
      [EPILOGUE_NONE] = "accumulators are the result",
      [EPILOGUE_OVERLAPPED] = "row by row while the next panel is multiplied",
  };
  static const char *const pack_reasons[] = {
      [PACK_B_NONE] = "read in place: its elements are used too seldom to be packed",
      [PACK_B_AHEAD] = "const, so it is packed ahead into panels",
      [PACK_B_TASK] = "each task packs the panels it uses",
  };
  text_printf(out, "a '%s': %s\n", match->a.node->name,
              s->values[FIELD_pack_a] == PACK_A_TASK ? "each task packs its rows" : "read in place");
  text_printf(out, "b '%s': %s\n", match->b.node->name, pack_reasons[s->values[FIELD_pack_b]]);
  text_printf(out, "epilogue: about %g instructions an element, %s\n", match->epilogue_cost,
              epilogues[s->values[FIELD_epilogue]]);
  if (symbols == NULL) return;
  int64_t params[PLAN_MAX_PARAMS];
  gemm_bind(plan, symbols, machine, params);
  text_printf(out, "blocks for %d thread%s:", machine->threads, machine->threads == 1 ? "" : "s");
  for (int i = 0; i < plan->param_count; ++i)
    text_printf(out, " %s=%lld", field_info(plan->params[i])->name, (long long)params[i]);
  text_add(out, "\n");
}
