/* explain.c: which template and why not the others, schedule and why, and the limits that any kernel for the graph has.
 *
 * The limits are counted, not measured: the arithmetic at two fused multiply-adds of a full vector a cycle, which is
 * what x86 cores since Haswell reach, and every input and output once through memory. */
#include <string.h>

#include "runtime/runtime.h"

enum { FLOPS_PER_LANE = 4 /* two multiply-adds */ };

typedef struct Explanation {
  const Code *code;
  const int64_t *symbols; /* NULL: not all are known */
  bool has_sizes;
  Machine machine;
  Work work;
  double cycles; /* on one core, at least */
  Text reasons;  /* the template's lines */
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

/* `1.81 Gflop in at least ` */
static void add_scaled(double number, const char *unit, Text *out) {
  static const char prefixes[][2] = {"", "k", "M", "G", "T"};
  size_t prefix = 0;
  for (; number >= 1000 && prefix + 1 < ARRAY_LENGTH(prefixes); ++prefix) number /= 1000;
  text_printf(out, "%.3g %s%s", number, prefixes[prefix], unit);
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
  text_printf(out, "caches    L1d %lld KiB, L2 %lld KiB, L3 %lld KiB\n", (long long)e->machine.l1d_bytes >> 10,
              (long long)e->machine.l2_bytes >> 10, (long long)e->machine.l3_bytes >> 10);
  text_printf(out, "kernel    %s\n", code->name);
  text_printf(out, "key       %s\n", code->key_name);
  if (!e->has_sizes) {
    text_add(out, "limits    unknown until the symbols are bound\n");
    return;
  }
  text_add(out, "limits    ");
  add_scaled(e->work.flops, "flop in at least ", out);
  add_scaled(e->cycles, "cycles of one core; ", out);
  add_scaled(e->work.bytes, "bytes at least; ", out);
  text_printf(out, "%.3g flop a byte\n", e->work.bytes > 0 ? e->work.flops / e->work.bytes : 0);
}

/* `"name":"value",` */
static void add_field(const char *name, const char *value, Text *out) {
  text_printf(out, "\"%s\":", name);
  text_add_json(out, value, strlen(value));
  text_add_char(out, ',');
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
  text_printf(out, "\"l1d_bytes\":%lld,\"l2_bytes\":%lld,\"l3_bytes\":%lld,\"threads\":%d,",
              (long long)e->machine.l1d_bytes, (long long)e->machine.l2_bytes, (long long)e->machine.l3_bytes,
              e->machine.threads);
  add_field("kernel", code->name, out);
  text_printf(out, "\"key\":\"%s\"", code->key_name);
  if (e->has_sizes) {
    text_add(out, ",\"flops\":");
    text_add_number(out, e->work.flops);
    text_add(out, ",\"bytes\":");
    text_add_number(out, e->work.bytes);
    text_add(out, ",\"cycles\":");
    text_add_number(out, e->cycles);
  }
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
  if (e.has_sizes) e.work = tmpl_work(code->graph, symbols);
  e.cycles = e.work.flops / (FLOPS_PER_LANE * target_lanes(target));
  Text text;
  text_init(&text, &engine->allocator);
  text_init(&e.reasons, &engine->allocator);
  /* A template takes NULL for "not known", and needs some address where there is nothing to know. */
  static const int64_t none[1] = {0};
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
