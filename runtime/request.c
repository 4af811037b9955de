/* request.c: what a caller asks for: options and graph, read, checked and resolved; as text for the memory cache and
 * the trace; and what they came to, as the text of the content key. */
#include <string.h>

#include "runtime/runtime.h"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

kiln_buffer *rt_message_of(const kiln_compile_options *options) {
  kiln_compile_options read = {0};
  if (options) (void)rt_read_options(&read, sizeof read, options);
  if (read.message) *read.message = (kiln_buffer){0};
  return read.message;
}

/* A graph that was checked before may be in use by other threads, so it is not touched. */
static kiln_status check_graph(kiln_graph *graph, const char *source, size_t length, Text *why) {
  if (graph->checked) return KILN_OK;
  kiln_status status = kiln_graph_check(graph);
  if (status) diagnostics_print(&graph->faults, NULL, source, length, why);
  return status;
}

/* Names to rows, and the schedule's text to fields. */
static kiln_status resolve(const kiln_engine *engine, Request *request, Text *why) {
  const kiln_compile_options *options = &request->options;
  Problem *problem = &request->problem;
  problem->target = options->target ? target_find(options->target) : engine->cpu.target;
  if (!problem->target) {
    text_printf(why, "target: no row is called '%s' (kiln list targets)\n", options->target);
    return KILN_NOT_FOUND;
  }
  problem->forced = options->template_ ? template_find(options->template_) : NULL;
  if (options->template_ && !problem->forced) {
    text_printf(why, "template: no row is called '%s' (kiln list templates)\n", options->template_);
    return KILN_NOT_FOUND;
  }
  if (options->packing != KILN_PACK_CONST && options->packing != KILN_PACK_NEVER) {
    text_printf(why, "packing: %d is neither KILN_PACK_CONST nor KILN_PACK_NEVER\n", (int)options->packing);
    return KILN_INVALID_ARGUMENT;
  }
  if (options->tune < KILN_TUNE_RECORDS || options->tune > KILN_TUNE_NEVER || !(options->tune_seconds >= 0)) {
    text_printf(why, "tune: %d and %g seconds are no way of tuning\n", (int)options->tune, options->tune_seconds);
    return KILN_INVALID_ARGUMENT;
  }
  problem->packing = options->packing;
  problem->batch_invariant = options->batch_invariant;
  return options->schedule ? schedule_parse(options->schedule, &problem->wishes, why) : KILN_OK;
}

kiln_status rt_request_read(const kiln_engine *engine, kiln_graph *graph, const char *source, size_t source_length,
                            const kiln_compile_options *options, Request *request, Text *why) {
  *request = (Request){.engine = engine, .problem.graph = graph};
  if (options && !rt_read_options(&request->options, sizeof request->options, options)) {
    text_add(why, "options: of a version this library does not know\n");
    return KILN_INVALID_ARGUMENT;
  }
  kiln_status status = check_graph(graph, source, source_length, why);
  if (!status) status = resolve(engine, request, why);
  return status;
}

/* ---- what was asked ---------------------------------------------------------------------------------------------- */

void rt_print_schedule(const Schedule *schedule, Text *out) {
  size_t start = out->length;
  schedule_print(schedule, FIELD_BAKED, out);
  if (out->length > start) text_add_char(out, ' ');
  size_t baked = out->length;
  schedule_print(schedule, FIELD_PASSED, out);
  if (out->length == baked && baked > start) out->length--;
}

/* One function for each CODE row of options.def; it adds ` name=value` unless that is the default. A target is the
 * default where it is the host's own row, by whatever way it was named. */
static void ask_target(const Request *request, Text *out) {
  if (request->problem.target != request->engine->cpu.target)
    text_printf(out, " target=%s", request->problem.target->name);
}

static void ask_template_(const Request *request, Text *out) {
  if (request->problem.forced) text_printf(out, " template=%s", request->problem.forced->name);
}

static void ask_schedule(const Request *request, Text *out) {
  if (!request->options.schedule) return;
  text_add(out, " schedule=\"");
  rt_print_schedule(&request->problem.wishes, out);
  text_add(out, "\"");
}

static void ask_packing(const Request *request, Text *out) {
  if (request->problem.packing == KILN_PACK_NEVER) text_add(out, " packing=never");
}

static void ask_batch_invariant(const Request *request, Text *out) {
  if (request->problem.batch_invariant) text_add(out, " batch_invariant=yes");
}

#define ASK_NOTHING(name)
#define ASK_CODE(name) ask_##name(request, out);
void rt_request_print(const Request *request, Text *out) {
#define OPTION(scope, name, changes, default_, meaning) ASK_##changes(name)
#include "runtime/options.def"
#undef OPTION
}

/* ---- what it came to --------------------------------------------------------------------------------------------- */

/* One function for each CODE row: what decides the code, whoever asked and however. The target's features are spelled
 * out, since a row may gain one. */
static void key_target(const Plan *plan, Text *out) {
  const Target *target = plan->problem.target;
  text_printf(out, "target %s %s %s ", target->name, family_triple(target->family), target->tune);
  features_print(target->features, out);
}

static void key_template_(const Plan *plan, Text *out) { text_printf(out, "template %s", plan->template->name); }

static void key_schedule(const Plan *plan, Text *out) {
  text_add(out, "schedule ");
  schedule_print(&plan->schedule, FIELD_BAKED, out);
}

static void key_packing(const Plan *plan, Text *out) {
  text_printf(out, "packing %s", plan->problem.packing == KILN_PACK_NEVER ? "never" : "const");
}

static void key_batch_invariant(const Plan *plan, Text *out) {
  text_printf(out, "batch_invariant %s", plan->problem.batch_invariant ? "yes" : "no");
}

#define KEY_NOTHING(name)
#define KEY_CODE(name) key_##name(plan, out), text_add_char(out, '\n');
void rt_plan_print_key(const Plan *plan, Text *out) {
#define OPTION(scope, name, changes, default_, meaning) KEY_##changes(name)
#include "runtime/options.def"
#undef OPTION
}
