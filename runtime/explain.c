/* explain.c: which template and why not the others, schedule and why, the limits that any kernel for the graph has, and
 * what the template's model says of this one.
 *
 * The limits are counted, not measured: the arithmetic at the peak of the instruction that the template chose (of full
 * vectors of f32 where it has no model), and every input and output once through memory. */
#include <math.h>
#include <string.h>

#include "runtime/runtime.h"

typedef struct Explanation {
  const Code *code;
  const int64_t *symbols; /* NULL: not all are known */
  bool has_sizes;
  Machine machine;
  Work work;
  double cores;                           /* that the call uses */
  double peak;                            /* operations a second of one of them */
  double compute_seconds, memory_seconds; /* at least */
  bool has_prediction;
  Prediction prediction;
  Text reasons; /* the template's lines */
} Explanation;

/* Calls `add` for each line. */
static void each_line(const char *text, void (*add)(const char *line, size_t length, size_t number, Text *out),
                      Text *out) {
  for (size_t number = 0; *text; ++number) {
    size_t length = strcspn(text, "\n");
    add(text, length, number, out);
    text += length + (text[length] == '\n');
  }
}

static void add_indented(const char *line, size_t length, size_t number, Text *out) {
  (void)number;
  text_printf(out, "  %.*s\n", (int)length, line);
}

static void add_json_line(const char *line, size_t length, size_t number, Text *out) {
  if (number > 0) text_add_char(out, ',');
  text_add_json(out, line, length);
}

static const char *const level_names[LEVEL_COUNT] = {
    [LEVEL_L1] = "l1", [LEVEL_L2] = "l2", [LEVEL_L3] = "l3", [LEVEL_MEMORY] = "memory"};

/* `1.81 Gflop in at least ` */
static void add_scaled(double number, const char *unit, Text *out) {
  static const char prefixes[][2] = {"", "k", "M", "G", "T"};
  size_t prefix = 0;
  for (; number >= 1000 && prefix + 1 < ARRAY_LENGTH(prefixes); ++prefix) number /= 1000;
  text_printf(out, "%.3g %s%s", number, prefixes[prefix], unit);
}

/* `13.9 ms` */
static void add_seconds(double seconds, Text *out) {
  bool is_short = seconds < 1e-3;
  text_printf(out, "%.3g %s", seconds * (is_short ? 1e6 : 1e3), is_short ? "us" : "ms");
}

static void print_limits(const Explanation *e, Text *out) {
  text_add(out, "limits    ");
  add_scaled(e->work.flops, "flop, ", out);
  add_seconds(e->compute_seconds, out);
  text_printf(out, " at %.4g Gop/s of %g core%s; ", e->peak * 1e-9, e->cores, e->cores > 1 ? "s" : "");
  add_scaled(e->work.bytes, "bytes, ", out);
  add_seconds(e->memory_seconds, out);
  text_printf(out, " from memory; %.3g flop a byte\n", e->work.bytes > 0 ? e->work.flops / e->work.bytes : 0);
}

static void print_prediction(const Prediction *p, Text *out) {
  text_add(out, "predicted ");
  add_seconds(p->seconds, out);
  text_printf(out, ": register tile at %.0f %% of peak, balance %.2f over %lld task%s\n", 100 * p->tile_share,
              p->balance, (long long)p->tasks, p->tasks == 1 ? "" : "s");
  text_add(out, "  products ");
  add_seconds(p->compute, out);
  for (size_t level = 0; level < LEVEL_COUNT; ++level) {
    text_printf(out, ", %s ", level_names[level]);
    add_seconds(p->levels[level], out);
  }
  text_add(out, " beside each other; packing ");
  add_seconds(p->packing, out);
  text_add(out, ", epilogue ");
  add_seconds(p->epilogue, out);
  text_add(out, ", fork ");
  add_seconds(p->fork, out);
  text_add(out, "\n  ");
  for (size_t level = 0; level < LEVEL_COUNT; ++level) {
    add_scaled(p->bytes[level], "bytes from ", out);
    text_printf(out, "%s%s", level_names[level], level + 1 < LEVEL_COUNT ? ", " : "\n");
  }
}

/* For people: one subject a line, reasons indented. */
static void print_text(const Explanation *e, Text *out) {
  const Code *code = e->code;
  const Target *target = code->plan.problem.target;
  text_printf(out, "graph     %s\n", code->graph_text);
  text_printf(out, "template  %s: %s\n", code->plan.template->name, code->plan.template->meaning);
  if (code->plan.refusals[0]) text_add(out, "refused by\n");
  each_line(code->plan.refusals, add_indented, out);
  text_printf(out, "schedule  %s\n", code->schedule);
  text_printf(out, "  from %s\n", code->origin);
  each_line(text_get(&e->reasons), add_indented, out);
  text_printf(out, "target    %s: %d-bit vectors, %d registers; %s\n", target->name, target->vector_bits,
              target->vector_registers, code->features);
  const Machine *machine = &e->machine;
  text_printf(out, "machine   %lld core%s in %lld socket%s, L1d %lld KiB, L2 %lld KiB, L3 %lld KiB of %lld core%s\n",
              (long long)machine->cores, machine->cores == 1 ? "" : "s", (long long)machine->sockets,
              machine->sockets == 1 ? "" : "s", (long long)machine->l1d_bytes >> 10, (long long)machine->l2_bytes >> 10,
              (long long)machine->l3_bytes >> 10, (long long)machine->l3_cores, machine->l3_cores == 1 ? "" : "s");
  text_printf(out, "kernel    %s\n", code->name);
  text_printf(out, "key       %s\n", code->key_name);
  if (!e->has_sizes) {
    text_add(out, "limits    unknown until the symbols are bound\n");
    return;
  }
  print_limits(e, out);
  if (e->has_prediction) print_prediction(&e->prediction, out);
}

/* `"name":"value",` */
static void add_field(const char *name, const char *value, Text *out) {
  text_printf(out, "\"%s\":", name);
  text_add_json(out, value, strlen(value));
  text_add_char(out, ',');
}

static void add_number(const char *name, double value, Text *out) {
  text_printf(out, ",\"%s\":", name);
  text_add_number(out, value);
}

/* Microseconds of the whole and of each part, and bytes of each level. */
static void add_prediction(const Prediction *p, Text *out) {
  text_add(out, ",\"prediction\":{\"us\":");
  text_add_number(out, p->seconds * 1e6);
  add_number("compute_us", p->compute * 1e6, out);
  for (size_t level = 0; level < LEVEL_COUNT; ++level) {
    text_printf(out, ",\"%s_us\":", level_names[level]);
    text_add_number(out, p->levels[level] * 1e6);
    text_printf(out, ",\"%s_bytes\":", level_names[level]);
    text_add_number(out, p->bytes[level]);
  }
  add_number("packing_us", p->packing * 1e6, out);
  add_number("epilogue_us", p->epilogue * 1e6, out);
  add_number("fork_us", p->fork * 1e6, out);
  add_number("tile_share", p->tile_share, out);
  add_number("balance", p->balance, out);
  add_number("tasks", (double)p->tasks, out);
  text_add_char(out, '}');
}

/* The same as one object on one line, with stable names. */
static void print_json(const Explanation *e, Text *out) {
  const Code *code = e->code;
  text_add_char(out, '{');
  add_field("graph", code->graph_text, out);
  add_field("template", code->plan.template->name, out);
  text_printf(out, "\"is_fallback\":%s,\"refusals\":[", code->plan.template->is_fallback ? "true" : "false");
  each_line(code->plan.refusals, add_json_line, out);
  text_add(out, "],");
  add_field("schedule", code->schedule, out);
  add_field("origin", code->origin, out);
  text_add(out, "\"reasons\":[");
  each_line(text_get(&e->reasons), add_json_line, out);
  text_add(out, "],");
  add_field("target", code->plan.problem.target->name, out);
  add_field("features", code->features, out);
#define MACHINE_FIELD(name, meaning) text_printf(out, "\"%s\":%lld,", #name, (long long)e->machine.name);
#include "ir/target/machine.def"
#undef MACHINE_FIELD
  text_printf(out, "\"threads\":%d,", e->machine.threads);
  add_field("kernel", code->name, out);
  text_printf(out, "\"key\":\"%s\"", code->key_name);
  if (e->has_sizes) {
    add_number("flops", e->work.flops, out);
    add_number("bytes", e->work.bytes, out);
    add_number("compute_limit_us", e->compute_seconds * 1e6, out);
    add_number("memory_limit_us", e->memory_seconds * 1e6, out);
  }
  if (e->has_prediction) add_prediction(&e->prediction, out);
  text_add(out, "}\n");
}

/* What a record changes in calls of these sizes, as a reason of its own. */
static void add_tuned(const Code *code, const int64_t *symbols, int32_t threads, Text *out) {
  bool is_exact;
  const TunedCall *call = code->call_count > 0 ? rt_tuned_call(code, symbols, threads, &is_exact) : NULL;
  if (!call) return;
  Schedule passed = *call->schedule;
  for (size_t field = 0; field < FIELD_COUNT; ++field) passed.set[field] &= !field_orders_sums((Field)field);
  Text fields;
  text_init(&fields, &out->allocator);
  schedule_print(&passed, FIELD_PASSED, &fields);
  if (fields.length > 0)
    text_printf(out, "a record of %s for %d thread%s has it: %s\n", is_exact ? "these sizes" : "sizes like these",
                (int)threads, threads == 1 ? "" : "s", text_get(&fields));
  text_release(&fields);
}

/* What a call with these sizes comes to, as it would be bound. */
static void predict(const Code *code, const int64_t *symbols, Explanation *e) {
  const Plan *plan = &code->plan;
  int64_t params[PLAN_MAX_PARAMS];
  const Core *core = e->machine.core;
  e->work = tmpl_work(code->graph, symbols);
  e->cores = fmin(e->machine.threads, (double)e->machine.cores);
  e->peak = 2.0 * core->products * target_lanes(plan->problem.target) * core->mhz * 1e6;
  e->has_prediction = plan->template->predict != NULL;
  if (e->has_prediction) {
    plan->template->bind(plan, symbols, &e->machine, params);
    if (code->call_count > 0) rt_tuned_bind(code, symbols, e->machine.threads, &e->machine, params);
    plan->template->predict(plan, symbols, params, &e->machine, &e->prediction);
    e->peak = e->prediction.peak;
  }
  e->compute_seconds = e->work.flops / (e->cores * e->peak);
  e->memory_seconds = e->work.bytes / machine_rate(&e->machine, e->cores);
}

static kiln_status explain(const Code *code, const int64_t *symbols, bool json, kiln_buffer *out, Text *why) {
  const kiln_engine *engine = code->engine;
  const Target *target = code->plan.problem.target;
  Explanation e = {.code = code, .symbols = symbols, .has_sizes = symbols || code->symbol_count == 0};
  if (symbols && code->symbol_count > 0) {
    Diagnostics faults;
    diagnostics_init(&faults, &engine->allocator);
    kiln_status status = graph_check_symbols(code->graph, symbols, &faults);
    diagnostics_print(&faults, NULL, code->graph_text, strlen(code->graph_text), why);
    diagnostics_release(&faults);
    if (status) return status;
  }
  int32_t threads = engine->pool.threads.count;
  e.machine = e.has_sizes ? rt_code_machine(code, symbols, threads) : rt_engine_machine(engine, target, threads);
  Text text;
  text_init(&text, &engine->allocator);
  text_init(&e.reasons, &engine->allocator);
  /* A template takes NULL for "not known", and needs some address where there is nothing to know. */
  static const int64_t none[1] = {0};
  if (e.has_sizes) predict(code, symbols ? symbols : none, &e);
  code->plan.template->explain(&code->plan, e.has_sizes && !symbols ? none : symbols, &e.machine, &e.reasons);
  if (e.has_sizes) add_tuned(code, symbols ? symbols : none, threads, &e.reasons);
  if (json) print_json(&e, &text);
  else print_text(&e, &text);
  text.failed |= e.reasons.failed;
  text_release(&e.reasons);
  return rt_hand_out(&text, out);
}

kiln_status kiln_explain(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                         const int64_t *symbols, bool json, kiln_buffer *out) {
  kiln_buffer *message = rt_message_of(options);
  if (!engine || !graph || !out) return KILN_INVALID_ARGUMENT;
  Text why;
  Code *code;
  text_init(&why, &engine->allocator);
  kiln_status status = rt_plan_request(engine, graph, options, &code, &why);
  if (!status) {
    status = explain(code, symbols, json, out, &why);
    rt_code_release(code);
  }
  rt_hand_out_message(&why, message);
  return status;
}
