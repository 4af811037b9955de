/* gemm_schedule.c: the default schedule of the gemm template, but for what it does with operands
 * (gemm_operands.c) and its register tile (gemm_registers.c). The baked part depends on problem and target only, so
 * that a cache filled elsewhere fits. */
#include "templates/gemm.h"

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
  if (s->values[FIELD_pack_b] == PACK_B_AHEAD && !gemm_may_pack_ahead(plan)) {
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
  int64_t tile_bytes = gemm_bytes(types.acc, s->values[FIELD_mr] * s->values[FIELD_nr]);
  if (s->values[FIELD_epilogue] == EPILOGUE_ROWS && tile_bytes > TILE_SCRATCH_BYTES) {
    text_printf(why_not, "schedule: 'epilogue' is rows, but a tile of %lldx%lld takes %lld bytes, expected at most %d",
                (long long)s->values[FIELD_mr], (long long)s->values[FIELD_nr], (long long)tile_bytes,
                TILE_SCRATCH_BYTES);
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
  /* Bytes that are widened (vpmaddwd) multiply and add apart: with more in an iteration LLVM runs out of registers. */
  bool is_one = plan->schedule.values[FIELD_mma] == MMA_ON_TILES || gemm_widens_bytes(plan);
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
enum { BYTES_WITHOUT_BLOCKS = 5120, BYTES_OF_PACKED_ROWS = 1024 /* likewise where tasks pack rows of B for vectors */ };

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
  bool packs_rows = s->values[FIELD_pack_b] == PACK_B_TASK && !on_tiles && !gemm_b_runs_along_k(plan);
  int64_t longest = packs_rows ? BYTES_OF_PACKED_ROWS : BYTES_WITHOUT_BLOCKS;
  bool is_long = match->k.symbol >= 0 || gemm_bytes(gemm_types(plan).a, match->k.size) > longest;
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
 * 4096 x 4096 of bytes 12 %, 64 x 4096 x 1024 15 %; but 1024 cubed of bytes 8 % slower), unless B comes from far more
 * than once, for so few rows are at hand (u8 x i8 of 256 x 4096 x 4096 3.8 ms both, of 256 x 8192 x 4096 9.2 and 10.7,
 * of 512 x 11008 x 4096 25.6 and 30.1). */
static bool is_worth_overlapping(const Plan *plan) {
  enum { PANELS = 8, FEWEST_ROWS = 32, FEW_ROWS = 128, LONG_EPILOGUE = 8, LARGE_BYTES = 2 << 20 };
  enum { SHORT_BYTES = 1536, LONG_BYTES = 4096, LONGEST_BYTES = 6144 }; /* of k */
  enum { FAR = 8 };                                                     /* second-level caches */
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
  int64_t cache = machine_of(plan->problem.target, 1).l2_bytes;
  int64_t rows = smaller_of(cache * 3 / 8 / k_bytes, GEMM_ROWS_BESIDE_PANELS);
  if (match->m.size > rows && k_bytes * match->n.size > FAR * cache) return false;
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

bool gemm_may_stream_results(const Plan *plan) {
  return plan->problem.target->family == FAMILY_X86_64 && plan->schedule.values[FIELD_epilogue] != EPILOGUE_NONE;
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
  set_default(s, FIELD_pack_b, gemm_default_pack_b(plan));
  if (gemm_has_tiles(plan) || gemm_has_dots(plan)) set_default(s, FIELD_mma, gemm_default_mma(plan));
  if (gemm_converts(plan)) set_default(s, FIELD_convert, gemm_default_convert(plan));
  set_default(s, FIELD_pack_a, gemm_default_pack_a(plan));
  gemm_choose_registers(plan);
  if (s->values[FIELD_mma] == MMA_ON_TILES) set_default(s, FIELD_load_a, gemm_default_load_a(plan));
  set_default(s, FIELD_ku, default_ku(plan));
  set_default(s, FIELD_prefetch, gemm_default_prefetch(plan));
  set_default(s, FIELD_epilogue, default_epilogue(plan));
  if (s->fixed[FIELD_store_c] && gemm_may_stream_results(plan)) s->set[FIELD_store_c] = true; /* else plain */
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
