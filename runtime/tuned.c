/* tuned.c: what tuning records do to a kernel: baked fields when it is planned, passed fields when it is called.
 *
 * A kernel has one set of baked fields, and one order of additions whatever the sizes and threads of a call: those of
 * the record that suits best what its caller said of sizes and threads. Records with the same ones stay with the kernel
 * and give calls of their sizes the other passed fields. */
#include <string.h>

#include "jit/os.h"
#include "runtime/records.h"

bool rt_has_wishes(const Problem *problem) {
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (problem->wishes.fixed[field]) return true;
  return false;
}

RecordQuestion rt_record_question(const Request *request, const char *graph_text) {
  const kiln_threads *threads = request->options.tune_threads;
  return (RecordQuestion){
      .graph = graph_text,
      .target = request->problem.target->name,
      .packs_never = request->problem.packing == KILN_PACK_NEVER,
      .symbol_count = request->problem.graph->symbols.count,
      .symbols = request->options.tune_symbols,
      .threads = threads ? threads->count : request->engine->pool.threads.count,
  };
}

bool rt_uses_records(const Request *request) {
  return request->options.tune != KILN_TUNE_NEVER && !rt_has_wishes(&request->problem);
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static bool is_of_kernel(Field field) { return field_info(field)->kind == FIELD_BAKED || field_orders_sums(field); }

/* The fields that every call of a kernel shares. */
static Schedule kernel_part(const Schedule *schedule) {
  Schedule part = *schedule;
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (!is_of_kernel((Field)field)) part.set[field] = part.fixed[field] = false;
  return part;
}

static bool same_kernel(const Schedule *x, const Schedule *y) {
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    if (!is_of_kernel((Field)field)) continue;
    if (x->set[field] != y->set[field] || (x->set[field] && x->values[field] != y->values[field])) return false;
  }
  return true;
}

/* Keeps the records of the same kernel as the first for its calls. */
static void keep_calls(Code *code, const Record *records, size_t count) {
  code->calls = ARENA_ARRAY(&code->arena, TunedCall, count);
  for (size_t i = 0; code->calls && i < count; ++i) {
    const Record *record = &records[i];
    if (!same_kernel(&record->schedule, &records[0].schedule)) continue;
    TunedCall *call = &code->calls[code->call_count++];
    *call = (TunedCall){.threads = record->threads, .sizes = record->dims, .schedule = &record->schedule};
    call->buckets = ARENA_ARRAY(&code->arena, int64_t, record->dim_count + 1);
    for (size_t d = 0; d < record->dim_count; ++d) call->buckets[d] = record_bucket(record->dims[d]);
  }
}

static const char *const origins[] = {
    [RECORD_NONE] = "model",
    [RECORD_OTHER] = "record other",
    [RECORD_BUCKET] = "record bucket",
    [RECORD_EXACT] = "record exact",
};

/* Plans with what a record says; false: it does not fit the graph as this version plans it. */
static bool plan_record(Code *code, const Problem *problem, const Record *record, Text *why) {
  Problem wished = *problem;
  wished.wishes = kernel_part(&record->schedule);
  text_clear(why);
  if (tmpl_plan(&wished, &code->arena, &code->plan, why) != KILN_OK) return false;
  if (strcmp(code->plan.template->name, record->template_) == 0) return true;
  text_printf(why, "it is of template %s", record->template_);
  return false;
}

kiln_status rt_tuned_plan(Code *code, const Request *request, Text *why) {
  Problem problem = request->problem;
  problem.graph = code->graph;
  code->origin = rt_has_wishes(&problem) ? "fixed" : origins[RECORD_NONE];
  RecordQuestion question = rt_record_question(request, code->graph_text);
  Record *records = NULL;
  size_t count = 0;
  if (rt_uses_records(request)) count = rt_records_match(&code->engine->records, &question, &code->arena, &records);
  Text stale;
  text_init(&stale, &code->engine->allocator);
  for (size_t i = 0; i < count; ++i) {
    if (!plan_record(code, &problem, &records[i], &stale)) continue;
    RecordHit hit = record_compare(&records[i], question.symbols);
    bool is_near = records[i].threads == question.threads;
    code->origin = origins[hit == RECORD_EXACT && !is_near ? RECORD_BUCKET : hit];
    keep_calls(code, records + i, count - i);
    text_release(&stale);
    return KILN_OK;
  }
  if (count > 0)
    log_event(&code->engine->log, KILN_LOG_WARNING, "tune: a record does not fit and is ignored: %s: %s",
              code->graph_text, text_get(&stale));
  text_release(&stale);
  return tmpl_plan(&problem, &code->arena, &code->plan, why);
}

/* ---- calling ----------------------------------------------------------------------------------------------------- */

static bool same_sizes(const int64_t *x, const int64_t *y, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (x[i] != y[i]) return false;
  return true;
}

const TunedCall *rt_tuned_call(const Code *code, const int64_t *symbols, int32_t threads, bool *is_exact) {
  int64_t buckets[GRAPH_MAX_SYMBOLS];
  const TunedCall *near = NULL;
  bool has_buckets = false;
  for (size_t i = 0; i < code->call_count; ++i) {
    const TunedCall *call = &code->calls[i];
    if (call->threads != threads) continue;
    *is_exact = same_sizes(call->sizes, symbols, code->symbol_count);
    if (*is_exact) return call;
    for (size_t s = 0; !has_buckets && s < code->symbol_count; ++s) buckets[s] = record_bucket(symbols[s]);
    has_buckets = true;
    if (!near && same_sizes(call->buckets, buckets, code->symbol_count)) near = call;
  }
  return near;
}

void rt_tuned_bind(const Code *code, const int64_t *symbols, int32_t threads, const Machine *machine, int64_t *params) {
  bool is_exact, is_other = false;
  const TunedCall *call = rt_tuned_call(code, symbols, threads, &is_exact);
  Plan plan = code->plan;
  for (int i = 0; call && i < plan.param_count; ++i) {
    Field field = plan.params[i];
    if (!call->schedule->set[field] || field_orders_sums(field)) continue;
    plan.schedule.values[field] = call->schedule->values[field];
    plan.schedule.set[field] = plan.schedule.fixed[field] = is_other = true;
  }
  if (is_other) plan.template->bind(&plan, symbols, machine, params);
}

/* ---- new records ------------------------------------------------------------------------------------------------- */

void rt_print_sizes(const kiln_graph *graph, const int64_t *symbols, Text *out) {
  for (size_t i = 0; i < graph->symbols.count; ++i)
    text_printf(out, "%s%s:%lld", i ? "," : "", graph->symbols.items[i], (long long)symbols[i]);
}

/* Whether a record of this very question is at least as fast. */
static bool has_faster(kiln_engine *engine, const Record *record) {
  RecordQuestion question = {record->graph,     record->target, record->packs_never,
                             record->dim_count, record->dims,   record->threads};
  Arena arena;
  Record *records;
  arena_init(&arena, &engine->allocator);
  size_t count = rt_records_match(&engine->records, &question, &arena, &records);
  bool found = count > 0 && records[0].threads == record->threads &&
               record_compare(&records[0], record->dims) == RECORD_EXACT && records[0].us <= record->us;
  arena_release(&arena);
  return found;
}

kiln_status rt_record_keep(const Code *code, const RecordNews *news) {
  kiln_engine *engine = code->engine;
  const Problem *problem = &code->plan.problem;
  Text sizes;
  text_init(&sizes, &engine->allocator);
  rt_print_sizes(code->graph, news->symbols, &sizes);
  Record record = {
      .target = problem->target->name,
      .template_ = code->plan.template->name,
      .graph = code->graph_text,
      .dims_text = text_get(&sizes),
      .dims = (int64_t *)news->symbols,
      .dim_count = code->symbol_count,
      .threads = news->threads,
      .packs_never = problem->packing == KILN_PACK_NEVER,
      .us = news->us,
      .default_us = news->default_us,
      .date = jit_os_date_ns() / 1000000000,
  };
  if (news->schedule) record.schedule = *news->schedule;
  bool failed = sizes.failed;
  if (!failed && (!news->only_better || !has_faster(engine, &record))) rt_records_add(&engine->records, &record, true);
  text_release(&sizes);
  return failed ? KILN_OUT_OF_MEMORY : KILN_OK;
}

/* ---- the interface ----------------------------------------------------------------------------------------------- */

/* The schedule as the planner completes it: with every field that its words leave open. */
static kiln_status keep_timing(const Code *code, const kiln_tune_timing *timing, Text *why) {
  Schedule schedule = {0}, complete = code->plan.schedule;
  kiln_status status = schedule_parse(timing->schedule, &schedule, why);
  if (status) return status;
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    if (schedule.set[field]) complete.values[field] = schedule.values[field];
    complete.set[field] |= schedule.set[field];
    complete.fixed[field] = complete.set[field];
  }
  RecordNews news = {
      .symbols = timing->symbols,
      .threads = timing->threads,
      .schedule = &complete,
      .us = timing->us,
      .only_better = true,
  };
  return rt_record_keep(code, &news);
}

kiln_status kiln_tune_report(kiln_engine *engine, kiln_graph *graph, const kiln_tune_timing *given) {
  kiln_tune_timing timing;
  if (!engine || !graph || !given || !rt_read_options(&timing, sizeof timing, given)) return KILN_INVALID_ARGUMENT;
  static const double least_us = 1e-6, most_us = 1e12; /* what a record's text can hold */
  bool is_time = timing.us >= least_us && timing.us <= most_us;
  if (!timing.schedule || timing.threads < 1 || !is_time) return KILN_INVALID_ARGUMENT;
  kiln_compile_options compile = {.size = sizeof compile};
  kiln_buffer *message = rt_message_of(timing.compile);
  Text why;
  text_init(&why, &engine->allocator);
  bool good = !timing.compile || rt_read_options(&compile, sizeof compile, timing.compile);
  compile.size = sizeof compile;
  compile.message = NULL;
  compile.schedule = timing.schedule; /* so a schedule that does not fit is refused now */
  compile.tune = KILN_TUNE_NEVER;
  Code *code = NULL;
  kiln_status status = good ? rt_plan_request(engine, graph, &compile, &code, &why) : KILN_INVALID_ARGUMENT;
  if (!status && code->symbol_count > 0 && !timing.symbols) status = KILN_INVALID_ARGUMENT;
  if (!status) status = graph_check_symbols(code->graph, timing.symbols, NULL);
  if (!status) status = keep_timing(code, &timing, &why);
  rt_code_release(code);
  rt_hand_out_message(&why, message);
  return status;
}
