/* tune.c: kiln_tune: refines the schedule of one graph for some sizes.
 *
 * First a few diverse candidates of the template, then the neighbours of the best of them: those that differ in one
 * baked field, and other blocks; then the best is measured against the default anew, and wins only by more than the
 * noise. What a step costs is learned from the default, and the budget decides how many candidates there are. With
 * `exhaustive` everything the template lists is measured afterwards, to judge what the search missed. Which template it
 * is and what its fields mean is unknown here. */
#include "runtime/tune.h"

#include <string.h>

#include "jit/os.h"
#include "runtime/records.h"

enum { FIRST_CANDIDATES = 9, NEIGHBOURS = 6, BLOCKS = 4, LEAST_CANDIDATES = 3, WHOLE_SPACE = 4096 };
enum { LAST_PASSES = 15 /* of the last comparison, about */ };
/* Shares of the budget by whose end the two searches are over; the rest is for the last comparison. */
static const double first_share = 0.5, second_share = 0.8, default_seconds = 1;

typedef struct Tuning {
  kiln_tune_options options;
  Request request;
  Code *plain;
  Machine machine;
  TuneBench bench;
  Contest contest;
  Schedule *space; /* everything the template lists */
  size_t space_count, capacity;
  int64_t begin_ns;
  double seconds; /* the budget */
  size_t done, total;
  size_t kept;     /* candidate; 0: the default */
  size_t recorded; /* candidate that an earlier record names; 0: none */
  bool stopped;
  Text schedule; /* scratch */
} Tuning;

static double elapsed(void *ctx) {
  const Tuning *tuning = ctx;
  return (double)(jit_os_now_ns() - tuning->begin_ns) * 1e-9;
}

static const char *print_schedule(Tuning *tuning, const Schedule *schedule) {
  text_clear(&tuning->schedule);
  rt_print_schedule(schedule, &tuning->schedule);
  return text_get(&tuning->schedule);
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

static double microseconds(const Tuning *tuning, size_t candidate) {
  return tuning->contest.entrants[candidate].median * 1e6;
}

/* A step is done. False: the caller wants to stop. */
static bool step(Tuning *tuning) {
  ++tuning->done;
  if (tuning->total < tuning->done) tuning->total = tuning->done;
  if (!tuning->options.progress || tuning->stopped) return !tuning->stopped;
  size_t best = contest_best(&tuning->contest);
  bool is_ahead = best > 0 && tuning->contest.entrants[best].ratio < 1;
  if (!is_ahead) best = 0;
  kiln_tune_progress progress = {.done = tuning->done, .total = tuning->total, .schedule = ""};
  if (tuning->bench.candidates.count > 0) {
    progress.best_us = microseconds(tuning, best);
    progress.default_us = microseconds(tuning, 0);
    progress.schedule = print_schedule(tuning, &tuning->bench.candidates.items[best].schedule);
  }
  tuning->stopped = !tuning->options.progress(tuning->options.ctx, &progress);
  return !tuning->stopped;
}

static bool goes_on(void *ctx) { return step(ctx); }

static Sample measure(void *ctx, size_t entrant) {
  Tuning *tuning = ctx;
  return tune_bench_measure(&tuning->bench, entrant);
}

/* Measurements of a halving of so many, about. */
static size_t halving_steps(size_t count) {
  size_t steps = 0;
  for (size_t passes = 2; count > 1; passes += passes / 2 + 1, count = (count + 1) / 2)
    steps += passes * (count + count / 12 + 1);
  return steps;
}

/* ---- candidates -------------------------------------------------------------------------------------------------- */

/* Compiles, packs, runs and compares them; what fails is said in the log, and out. */
static kiln_status admit(Tuning *tuning, const Schedule *schedules, size_t count) {
  enum { CHUNK = 16 };
  TuneBench *bench = &tuning->bench;
  for (size_t done = 0; done < count && !tuning->stopped; done += CHUNK) {
    size_t first = bench->candidates.count, some = count - done < CHUNK ? count - done : CHUNK;
    if (first + some > tuning->capacity) return KILN_INTERNAL;
    kiln_status status = tune_bench_add(bench, schedules + done, some);
    tuning->contest.count = bench->candidates.count;
    for (size_t i = first; !status && i < bench->candidates.count; ++i) {
      status = tune_bench_verify(bench, i);
      const TuneCandidate *candidate = &bench->candidates.items[i];
      tuning->contest.entrants[i].is_out = !candidate->is_verified;
      if (candidate->fault)
        log_event(&tuning->bench.engine->log, KILN_LOG_ERROR, "tune: %s: schedule %s: %s", tuning->plain->graph_text,
                  print_schedule(tuning, &candidate->schedule), candidate->fault);
      if (!step(tuning)) {
        for (size_t rest = i + 1; rest < bench->candidates.count; ++rest) tuning->contest.entrants[rest].is_out = true;
        break;
      }
    }
    if (status) return status;
  }
  return KILN_OK;
}

/* Fields of one kind in which two schedules differ. */
static int differences(const Schedule *x, const Schedule *y, FieldKind kind) {
  int count = 0;
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (field_info((Field)field)->kind == kind)
      count += x->set[field] != y->set[field] || (x->set[field] && x->values[field] != y->values[field]);
  return count;
}

static bool is_known(const Tuning *tuning, const Schedule *schedule) {
  for (size_t i = 0; i < tuning->bench.candidates.count; ++i) {
    const Schedule *known = &tuning->bench.candidates.items[i].schedule;
    if (differences(known, schedule, FIELD_BAKED) + differences(known, schedule, FIELD_PASSED) == 0) return true;
  }
  return false;
}

/* Candidates of a plan like the default's with more fields fixed. */
static size_t list_with(Tuning *tuning, const Schedule *wishes, Schedule *out, size_t capacity) {
  Plan plan;
  Arena arena;
  size_t count = 0;
  Problem problem = tuning->plain->plan.problem;
  problem.wishes = *wishes;
  arena_init(&arena, &tuning->bench.engine->allocator);
  Text why;
  text_init(&why, &tuning->bench.engine->allocator);
  if (tmpl_plan(&problem, &arena, &plan, &why) == KILN_OK && plan.template->candidates)
    count = plan.template->candidates(&plan, tuning->bench.symbols, &tuning->machine, out, capacity);
  text_release(&why);
  arena_release(&arena);
  return count;
}

/* The neighbours of a candidate: other blocks of the same object, then the objects that differ in one field. */
static size_t list_neighbours(Tuning *tuning, size_t center, Schedule out[NEIGHBOURS + BLOCKS]) {
  const Schedule around = tuning->bench.candidates.items[center].schedule;
  Schedule wishes = around, blocks[2 * BLOCKS];
  size_t count = 0, near = 0;
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (field_info((Field)field)->kind == FIELD_PASSED) {
      wishes.fixed[field] = tuning->plain->plan.problem.wishes.fixed[field];
      wishes.set[field] = wishes.fixed[field];
    }
  size_t found = list_with(tuning, &wishes, blocks, ARRAY_LENGTH(blocks));
  for (size_t i = 0; i < found && count < BLOCKS; ++i)
    if (!is_known(tuning, &blocks[i])) out[count++] = blocks[i];
  for (size_t i = 0; i < tuning->space_count && near < NEIGHBOURS; ++i) {
    const Schedule *other = &tuning->space[i];
    if (differences(other, &around, FIELD_BAKED) != 1 || is_known(tuning, other)) continue;
    bool is_other_block = false; /* of an object that is there already */
    for (size_t j = 0; j < count; ++j) is_other_block |= differences(other, &out[j], FIELD_BAKED) == 0;
    if (is_other_block) continue;
    out[count++] = *other;
    ++near;
  }
  return count;
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

/* How many candidates a share of the budget pays for, where one costs `each` seconds besides its measurements. */
static size_t affordable(const Tuning *tuning, size_t wanted, double each, double call, double until) {
  double left = until * tuning->seconds - elapsed((void *)tuning);
  double cost = each + 5 * (call > 0.002 ? call : 0.003);
  double count = left / cost;
  if (count < LEAST_CANDIDATES) return LEAST_CANDIDATES < wanted ? LEAST_CANDIDATES : wanted;
  return count < (double)wanted ? (size_t)count : wanted;
}

static void add_last(size_t last[3], size_t *count, size_t candidate) {
  for (size_t i = 0; i < *count; ++i)
    if (last[i] == candidate) return;
  if (candidate > 0) last[(*count)++] = candidate;
}

/* The last comparison, with fresh measurements; decides what is kept. What was recorded stays as long as it is not
 * slower than the default: it was shown to be faster once. */
static void compare_last(Tuning *tuning, size_t best, size_t best_of_all) {
  size_t last[3], count = 0;
  const Entrant *entrants = tuning->contest.entrants, *recorded = &entrants[tuning->recorded];
  if (!tuning->bench.candidates.items[tuning->recorded].is_verified) tuning->recorded = 0;
  add_last(last, &count, best);
  add_last(last, &count, tuning->recorded);
  add_last(last, &count, best_of_all);
  tuning->total = tuning->done + (count + 2) * LAST_PASSES;
  if (count > 0) contest_duel(&tuning->contest, last, count, tuning->options.exhaustive ? 1e9 : tuning->seconds);
  bool stays = tuning->recorded > 0 && recorded->judged > 0 && recorded->ratio - recorded->error < 1;
  tuning->kept = stays ? tuning->recorded : 0;
  bool wins = best > 0 && contest_wins(&entrants[best]);
  if (wins && (!stays || entrants[best].ratio + entrants[best].error < recorded->ratio)) tuning->kept = best;
}

/* What an earlier tuning of these very sizes and threads found, where that is another schedule than the default. */
static size_t list_recorded(Tuning *tuning, Schedule *out) {
  const TuneBench *bench = &tuning->bench;
  RecordQuestion question = rt_record_question(&tuning->request, bench->graph_text);
  Record *records;
  question.symbols = bench->symbols;
  question.threads = bench->threads->count;
  size_t count = rt_records_match(&bench->engine->records, &question, &tuning->bench.arena, &records);
  if (count == 0 || record_compare(&records[0], bench->symbols) != RECORD_EXACT) return 0;
  if (records[0].threads != question.threads || rt_has_wishes(&tuning->request.problem)) return 0;
  return list_with(tuning, &records[0].schedule, out, 1) == 1 && !is_known(tuning, out);
}

/* The diverse few, and what an earlier record says; then the neighbours of the best. */
static kiln_status search(Tuning *tuning) {
  Schedule few[FIRST_CANDIDATES + 1], near[NEIGHBOURS + BLOCKS];
  size_t count = list_with(tuning, &tuning->plain->plan.problem.wishes, few, FIRST_CANDIDATES);
  double before = elapsed(tuning);
  kiln_status status = admit(tuning, few, count > 0);
  if (!status && count == 0) status = KILN_OUT_OF_MEMORY; /* the space was not empty before */
  if (!status && !tuning->bench.candidates.items[0].is_verified) status = KILN_INTERNAL;
  if (status) return status;
  double each = elapsed(tuning) - before, call = tune_bench_measure(&tuning->bench, 0).wall;
  tuning->contest.entrants[0].median = call;
  count = affordable(tuning, count, each, call, first_share);
  if (list_recorded(tuning, &few[count])) tuning->recorded = count++;
  tuning->total = 2 * (count + halving_steps(count)) + 3 * LAST_PASSES;
  status = admit(tuning, few + 1, count - 1);
  if (status) return status;
  contest_halve(&tuning->contest, 1, first_share * tuning->seconds);
  size_t best = contest_best(&tuning->contest);
  size_t center = best > 0 && tuning->contest.entrants[best].ratio < 1 ? best : 0;
  count = list_neighbours(tuning, center, near);
  count = affordable(tuning, count, each, call, second_share);
  if (!tuning->stopped && elapsed(tuning) < second_share * tuning->seconds) status = admit(tuning, near, count);
  if (status) return status;
  contest_halve(&tuning->contest, 1, second_share * tuning->seconds);
  compare_last(tuning, contest_best(&tuning->contest), 0);
  return KILN_OK;
}

/* Whether the list has a schedule of the same object before the entry: then it is one of its blocks. */
static bool is_block(const Tuning *tuning, size_t entry) {
  for (size_t i = 0; i < entry; ++i)
    if (differences(&tuning->space[i], &tuning->space[entry], FIELD_BAKED) == 0) return true;
  return false;
}

/* The entrants from 1 on that are not out. */
static size_t list_left(const Tuning *tuning, size_t left[], size_t capacity) {
  size_t count = 0;
  for (size_t i = 1; i < tuning->contest.count && count < capacity; ++i)
    if (!tuning->contest.entrants[i].is_out) left[count++] = i;
  return count;
}

/* Everything, to judge the search: all objects with their usual blocks, then all blocks that are listed of the best of
 * them; the best of all is compared with what the search kept and with the default. */
static kiln_status search_everything(Tuning *tuning) {
  enum { BEST_OBJECTS = 16 };
  size_t kept = tuning->kept, count = 0, left[BEST_OBJECTS];
  Schedule *rest = ARENA_ARRAY(&tuning->bench.arena, Schedule, tuning->space_count);
  bool *are_blocks = ARENA_ARRAY(&tuning->bench.arena, bool, tuning->space_count);
  if (!rest || !are_blocks) return KILN_OUT_OF_MEMORY;
  for (size_t i = 0; i < tuning->space_count; ++i) {
    are_blocks[i] = is_block(tuning, i);
    if (!are_blocks[i] && !is_known(tuning, &tuning->space[i])) rest[count++] = tuning->space[i];
  }
  for (size_t i = 1; i < tuning->contest.count; ++i)
    tuning->contest.entrants[i].is_out = !tuning->bench.candidates.items[i].is_verified;
  tuning->total = tuning->done + count + halving_steps(tuning->contest.count + count) + 3 * LAST_PASSES;
  kiln_status status = admit(tuning, rest, count);
  if (status) return status;
  contest_halve(&tuning->contest, BEST_OBJECTS, 1e9);
  size_t objects = list_left(tuning, left, BEST_OBJECTS);
  count = 0;
  for (size_t i = 0; i < tuning->space_count; ++i)
    for (size_t o = 0; are_blocks[i] && o < objects; ++o) {
      const Schedule *object = &tuning->bench.candidates.items[left[o]].schedule;
      if (differences(object, &tuning->space[i], FIELD_BAKED) != 0 || is_known(tuning, &tuning->space[i])) continue;
      rest[count++] = tuning->space[i];
      break;
    }
  status = admit(tuning, rest, count);
  if (status) return status;
  contest_halve(&tuning->contest, 1, 1e9);
  compare_last(tuning, kept, contest_best(&tuning->contest));
  tuning->kept = kept;
  return KILN_OK;
}

/* ---- what is told and kept --------------------------------------------------------------------------------------- */

static const char *reason_of(const Tuning *tuning, size_t candidate) {
  const TuneCandidate *c = &tuning->bench.candidates.items[candidate];
  const Entrant *e = &tuning->contest.entrants[candidate];
  if (c->fault) return c->fault;
  if (candidate == tuning->kept) return candidate ? "faster than the default by more than the noise" : "the default";
  if (candidate == 0) return "the default, which is slower";
  if (e->rounds == 0) return "not measured: stopped";
  if (e->is_out) return "slower";
  return e->ratio < 1 ? "faster than the default, but not by more than the noise" : "not faster than the default";
}

static void tell_candidates(Tuning *tuning) {
  for (size_t i = 0; tuning->options.candidate && i < tuning->bench.candidates.count; ++i) {
    const Entrant *e = &tuning->contest.entrants[i];
    kiln_tune_candidate told = {
        .schedule = print_schedule(tuning, &tuning->bench.candidates.items[i].schedule),
        .verified = tuning->bench.candidates.items[i].is_verified,
        .us = e->median * 1e6,
        .spread = e->spread,
        .rounds = e->rounds,
        .kept = i == tuning->kept,
        .reason = reason_of(tuning, i),
    };
    tuning->options.candidate(tuning->options.ctx, &told);
  }
}

/* Nothing is measured: the candidates are told as they stand. */
static void tell_space(Tuning *tuning) {
  for (size_t i = 0; tuning->options.candidate && i < tuning->space_count; ++i) {
    kiln_tune_candidate told = {.schedule = print_schedule(tuning, &tuning->space[i]), .reason = "listed"};
    tuning->options.candidate(tuning->options.ctx, &told);
  }
}

static kiln_status fill_result(Tuning *tuning, kiln_tune_result *result) {
  const TuneBench *bench = &tuning->bench;
  kiln_tune_result found = {
      .size = result->size,
      .us = microseconds(tuning, tuning->kept),
      .default_us = microseconds(tuning, 0),
      .seconds = elapsed(tuning),
      .gained = tuning->kept != 0,
      .stopped = tuning->stopped,
      .candidates = bench->candidates.count,
      .objects = bench->objects.count,
      .disturbed = tuning->contest.disturbed,
  };
  for (size_t i = 0; i < bench->candidates.count; ++i) found.failed += bench->candidates.items[i].fault != NULL;
  if (tuning->options.exhaustive) {
    size_t best = contest_best(&tuning->contest);
    found.best_us = found.us < found.default_us ? found.us : found.default_us;
    if (best > 0 && microseconds(tuning, best) < found.best_us) found.best_us = microseconds(tuning, best);
  }
  Text text;
  text_init(&text, &bench->engine->allocator);
  if (bench->candidates.count > 0) rt_print_schedule(&bench->candidates.items[tuning->kept].schedule, &text);
  kiln_status status = rt_hand_out(&text, &found.schedule);
  if (!status) memcpy(result, &found, result->size < sizeof found ? result->size : sizeof found);
  return status;
}

/* A graph whose caller fixed fields is another question than the one records answer. */
static kiln_status record(Tuning *tuning) {
  if (tuning->options.no_record || rt_has_wishes(&tuning->request.problem)) return KILN_OK;
  if (tuning->stopped && tuning->kept == 0) return KILN_OK; /* it was not found out that nothing is better */
  RecordNews news = {
      .symbols = tuning->bench.symbols,
      .threads = tuning->bench.threads->count,
      .schedule = tuning->kept ? &tuning->bench.candidates.items[tuning->kept].schedule : NULL,
      .us = microseconds(tuning, tuning->kept),
      .default_us = microseconds(tuning, 0),
  };
  return rt_record_keep(tuning->plain, &news);
}

static kiln_status measure_space(Tuning *tuning) {
  kiln_status status = tune_bench_open(&tuning->bench);
  if (!status) status = search(tuning);
  if (!status && tuning->options.exhaustive) status = search_everything(tuning);
  if (!status && arena_has_failed(&tuning->bench.arena)) status = KILN_OUT_OF_MEMORY;
  if (status) return status;
  tell_candidates(tuning);
  return record(tuning);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static kiln_status tune(Tuning *tuning, kiln_tune_result *result) {
  TuneBench *bench = &tuning->bench;
  const Cpu *cpu = &bench->engine->cpu;
  bench->plain = tuning->plain;
  bench->graph_text = tuning->plain->graph_text;
  bench->request = &tuning->request;
  bench->cold_bytes = (size_t)cpu->l3_bytes + cpu->l3_bytes / 4;
  tuning->machine = rt_code_machine(tuning->plain, bench->symbols, bench->threads->count);
  tuning->capacity = FIRST_CANDIDATES + 1 + NEIGHBOURS + BLOCKS + (tuning->options.exhaustive ? WHOLE_SPACE : 0);
  arena_init(&bench->arena, &bench->engine->allocator);
  tuning->space = ARENA_ARRAY(&bench->arena, Schedule, WHOLE_SPACE);
  tuning->contest = (Contest){.ctx = tuning,
                              .now = elapsed,
                              .measure = measure,
                              .goes_on = goes_on,
                              .arena = &bench->arena,
                              .entrants = ARENA_ARRAY(&bench->arena, Entrant, tuning->capacity)};
  if (arena_has_failed(&bench->arena)) return KILN_OUT_OF_MEMORY;
  tuning->space_count = list_with(tuning, &tuning->plain->plan.problem.wishes, tuning->space, WHOLE_SPACE);
  if (tuning->options.list_only) tell_space(tuning);
  kiln_status status = KILN_OK;
  if (tuning->space_count > 0 && !tuning->options.list_only) status = measure_space(tuning);
  return !status && result ? fill_result(tuning, result) : status;
}

/* Plans the default and checks the sizes. */
static kiln_status prepare(Tuning *tuning, kiln_engine *engine, kiln_graph *graph, Text *why) {
  kiln_status status = rt_request_read(engine, graph, NULL, 0, tuning->options.compile, &tuning->request, why);
  if (status) return status;
  if (!rt_engine_can_run(engine, tuning->request.problem.target)) {
    text_printf(why, "target: this machine lacks features of '%s'\n", tuning->request.problem.target->name);
    return KILN_MISSING_FEATURE;
  }
  if (kiln_graph_symbol_count(graph) > 0 && !tuning->options.symbols) {
    text_add(why, "tune: the graph has symbols, and no sizes are given\n");
    return KILN_INVALID_ARGUMENT;
  }
  Diagnostics faults;
  diagnostics_init(&faults, &engine->allocator);
  status = graph_check_symbols(graph, tuning->options.symbols, &faults);
  diagnostics_print(&faults, NULL, NULL, 0, why);
  diagnostics_release(&faults);
  if (status) return status;
  tuning->request.options.tune = KILN_TUNE_NEVER;
  tuning->request.options.no_cache |= tuning->options.exhaustive;
  Text text;
  text_init(&text, &engine->allocator);
  graph_print(graph, true, &text);
  status =
      text.failed ? KILN_OUT_OF_MEMORY : rt_code_plan(engine, &tuning->request, text_get(&text), &tuning->plain, why);
  text_release(&text);
  return status;
}

static bool read_options(const kiln_tune_options *given, Tuning *tuning) {
  if (given && !rt_read_options(&tuning->options, sizeof tuning->options, given)) return false;
  const kiln_threads *threads = tuning->options.threads;
  return tuning->options.seconds >= 0 && (!threads || (threads->parallel_for && threads->count >= 1));
}

kiln_status kiln_tune(kiln_engine *engine, kiln_graph *graph, const kiln_tune_options *options,
                      kiln_tune_result *result) {
  if (!engine || !graph || (result && result->size < sizeof(size_t))) return KILN_INVALID_ARGUMENT;
  Tuning tuning = {.begin_ns = jit_os_now_ns()};
  if (!read_options(options, &tuning)) return KILN_INVALID_ARGUMENT;
  kiln_buffer *message = rt_message_of(tuning.options.compile);
  tuning.seconds = tuning.options.seconds > 0 ? tuning.options.seconds : default_seconds;
  Text why;
  text_init(&why, &engine->allocator);
  text_init(&tuning.schedule, &engine->allocator);
  kiln_status status = prepare(&tuning, engine, graph, &why);
  if (!status) {
    tuning.bench = (TuneBench){
        .engine = engine,
        .symbols = tuning.options.symbols,
        .threads = tuning.options.threads ? tuning.options.threads : &engine->pool.threads,
    };
    status = tune(&tuning, result);
    tune_bench_close(&tuning.bench);
    rt_code_release(tuning.plain);
  }
  text_release(&tuning.schedule);
  rt_hand_out_message(&why, message);
  return status;
}

kiln_status rt_tune_first(kiln_engine *engine, kiln_graph *graph, const Request *request, const char *graph_text,
                          Text *why) {
  RecordQuestion question = rt_record_question(request, graph_text);
  kiln_compile_options compile = request->options;
  compile.size = sizeof compile;
  compile.message = NULL;
  kiln_tune_options options = {
      .size = sizeof options,
      .compile = &compile,
      .symbols = question.symbols,
      .threads = compile.tune_threads,
      .seconds = compile.tune_seconds,
  };
  if (rt_has_wishes(&request->problem)) return KILN_OK;
  if (question.symbol_count > 0 && !question.symbols) {
    text_add(why, "tune: the graph has symbols, and tune_symbols is NULL\n");
    return KILN_INVALID_ARGUMENT;
  }
  Arena arena;
  Record *records;
  arena_init(&arena, &engine->allocator);
  pthread_mutex_lock(&engine->records.measuring);
  size_t count = rt_records_match(&engine->records, &question, &arena, &records);
  bool is_answered = count > 0 && records[0].threads == question.threads &&
                     record_compare(&records[0], question.symbols) == RECORD_EXACT;
  kiln_status status = is_answered ? KILN_OK : kiln_tune(engine, graph, &options, NULL);
  pthread_mutex_unlock(&engine->records.measuring);
  arena_release(&arena);
  if (status) text_printf(why, "tune: %s\n", kiln_status_text(status));
  return status;
}
