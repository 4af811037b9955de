/* tune.c: kiln_tune: one tuning from its options to its record: progress, what is told of candidates, the result.
 *
 * Which candidates there are and which is kept is decided in tune_search.c. Which template it is and what its fields
 * mean is unknown to both. */
#include <string.h>

#include "jit/os.h"
#include "runtime/records.h"
#include "runtime/tune.h"

static const double default_seconds = 1;

double tune_elapsed(void *ctx) {
  const Tuning *tuning = ctx;
  return (double)(jit_os_now_ns() - tuning->begin_ns) * 1e-9;
}

const char *tune_print(Tuning *tuning, const Schedule *schedule) {
  text_clear(&tuning->schedule);
  rt_print_schedule(schedule, &tuning->schedule);
  return text_get(&tuning->schedule);
}

/* ---- progress ---------------------------------------------------------------------------------------------------- */

static double microseconds(const Tuning *tuning, size_t candidate) {
  return tuning->contest.entrants[candidate].median * 1e6;
}

bool tune_step(Tuning *tuning) {
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
    progress.schedule = tune_print(tuning, &tuning->bench.candidates.items[best].schedule);
  }
  tuning->stopped = !tuning->options.progress(tuning->options.ctx, &progress);
  return !tuning->stopped;
}

static bool goes_on(void *ctx) { return tune_step(ctx); }

static Sample measure(void *ctx, size_t entrant) {
  Tuning *tuning = ctx;
  return tune_bench_measure(&tuning->bench, entrant);
}

/* ---- what is told and kept --------------------------------------------------------------------------------------- */

static const char *reason_of(const Tuning *tuning, size_t candidate) {
  const TuneCandidate *c = &tuning->bench.candidates.items[candidate];
  const Entrant *e = &tuning->contest.entrants[candidate];
  if (c->fault) return c->fault;
  if (candidate == tuning->kept) return candidate ? "faster than the default by more than the noise" : "the default";
  if (candidate == 0) return "the default, which is slower";
  if (e->rounds == 0) return "not measured: stopped";
  if (e->judged == 0) return "disturbed whenever it was measured";
  if (e->is_out) return "slower";
  return e->ratio < 1 ? "faster than the default, but not by more than the noise" : "not faster than the default";
}

static void tell_candidates(Tuning *tuning) {
  for (size_t i = 0; tuning->options.candidate && i < tuning->bench.candidates.count; ++i) {
    const Entrant *e = &tuning->contest.entrants[i];
    kiln_tune_candidate told = {
        .schedule = tune_print(tuning, &tuning->bench.candidates.items[i].schedule),
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
    kiln_tune_candidate told = {.schedule = tune_print(tuning, &tuning->space[i]), .reason = "listed"};
    tuning->options.candidate(tuning->options.ctx, &told);
  }
}

static kiln_status fill_result(Tuning *tuning, kiln_tune_result *result) {
  const TuneBench *bench = &tuning->bench;
  kiln_tune_result found = {
      .size = result->size,
      .us = microseconds(tuning, tuning->kept),
      .default_us = microseconds(tuning, 0),
      .seconds = tune_elapsed(tuning),
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
  bool has_schedule = result->size >= offsetof(kiln_tune_result, schedule) + sizeof found.schedule;
  kiln_status status = KILN_OK; /* a caller who knows the structure without its last field gets none */
  if (has_schedule) status = rt_hand_out(&text, &found.schedule);
  else text_release(&text);
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
  if (!status) status = tune_search(tuning);
  if (!status && tuning->options.exhaustive) status = tune_search_everything(tuning);
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
  tuning->capacity = TUNE_FEW + (tuning->options.exhaustive ? TUNE_SPACE : 0);
  arena_init(&bench->arena, &bench->engine->allocator);
  tuning->space = ARENA_ARRAY(&bench->arena, Schedule, TUNE_SPACE);
  tuning->contest = (Contest){.ctx = tuning,
                              .now = tune_elapsed,
                              .measure = measure,
                              .goes_on = goes_on,
                              .arena = &bench->arena,
                              .entrants = ARENA_ARRAY(&bench->arena, Entrant, tuning->capacity)};
  if (arena_has_failed(&bench->arena)) return KILN_OUT_OF_MEMORY;
  tuning->space_count = tune_list(tuning, &tuning->plain->plan.problem.wishes, tuning->space, TUNE_SPACE);
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
  if (!status) return KILN_OK;
  if (status == KILN_INVALID_ARGUMENT) {
    text_add(why, "tune: tune_symbols are no sizes of this graph, or tune_threads no threads\n");
    return status;
  }
  log_event(&engine->log, KILN_LOG_WARNING, "tune: %s: not tuned: %s", graph_text, kiln_status_text(status));
  return KILN_OK; /* what stops the compile as well is said there */
}
