/* compile.c: kiln_compile: memory, then disk, then the compiler; and the handles it gives out.
 *
 * Two keys are at work. A request (graph text and options as asked) finds loaded code in memory, in about 2 us and
 * without planning. What it came to (plan.c) finds an object in memory or on disk, so requests that differ in words
 * only, or in sizes that the code does not know, share that. */
#include <string.h>

#include "jit/os.h"
#include "runtime/runtime.h"

/* ---- one Code ---------------------------------------------------------------------------------------------------- */

static void log_stages(const Code *code, kiln_cache_hit hit) {
  const kiln_log *log = &code->engine->log;
  if (!log->write) return;
  Text text;
  text_init(&text, &code->engine->allocator);
#define KILN_COMPILE_STAGE(stage, meaning) text_printf(&text, ", " #stage " %.3f", code->times.stage);
#include "kiln/stages.def"
#undef KILN_COMPILE_STAGE
  log_event(log, KILN_LOG_DEBUG, "%s %s%s ms", hit == KILN_COLD ? "compiled" : "found", code->name, text_get(&text));
  text_release(&text);
}

void rt_code_warn(const Code *code) {
  const char *refusals = code->plan.refusals;
  if (!code->plan.template->is_fallback || code->plan.problem.forced) return;
  log_event(&code->engine->log, KILN_LOG_WARNING, "template %s, right and slow, takes the graph: %s",
            code->plan.template->name, code->graph_text);
  while (*refusals) {
    int length = (int)strcspn(refusals, "\n");
    log_event(&code->engine->log, KILN_LOG_WARNING, "  %.*s", length, refusals);
    refusals += length + (refusals[length] == '\n');
  }
}

/* Loads the object that the disk cache has. One that does not link is none; `hit` stays what it is where there is none.
 */
static kiln_status find_on_disk(Code *code, int64_t *clock, kiln_cache_hit *hit) {
  const kiln_engine *engine = code->engine;
  JitBuffer object = {0};
  Text why;
  bool found = jit_cache_find(engine->cache, code->key_text, code->key_length, &engine->cpu.features, &object);
  code->times.find = rt_lap(clock);
  if (!found) return KILN_OK;
  text_init(&why, &engine->allocator);
  kiln_status status = rt_code_load(code, &object, &why);
  if (!status) *hit = KILN_DISK;
  else log_event(&engine->log, KILN_LOG_WARNING, "cache: %s does not link: %s", code->key_name, text_get(&why));
  code->times.load = rt_lap(clock);
  text_release(&why);
  jit_buffer_release(&object);
  return status == KILN_OUT_OF_MEMORY ? status : KILN_OK;
}

/* Compiles and links. The object is kept even where linking fails: that is a matter of this process. */
static kiln_status make_anew(Code *code, bool store, int64_t *clock, Text *why) {
  JitBuffer object = {0};
  kiln_status status = rt_code_compile(code, NULL, JIT_OUTPUT_OBJECT, &code->times, &object, why);
  rt_lap(clock); /* its stages have been timed */
  if (!status && store) jit_cache_store(code->engine->cache, code->key_text, code->key_length, &object);
  code->times.store = rt_lap(clock);
  if (!status) status = rt_code_load(code, &object, why);
  code->times.load = rt_lap(clock);
  jit_buffer_release(&object);
  return status;
}

/* From disk or compiler. */
static kiln_status link_anew(Code *code, bool use_cache, int64_t *clock, kiln_cache_hit *hit, Text *why) {
  kiln_status status = KILN_OK;
  *hit = KILN_COLD;
  if (use_cache) status = find_on_disk(code, clock, hit);
  return !status && *hit == KILN_COLD ? make_anew(code, use_cache, clock, why) : status;
}

/* From memory, or anew, once in this process however many ask. */
static kiln_status link_once(Code *code, int64_t *clock, kiln_cache_hit *hit, Text *why) {
  JitMemory *objects = code->engine->objects;
  JitKey key = jit_key_make(code->key_text, code->key_length);
  void *linked;
  kiln_status status = KILN_OK;
  JitClaim claim = JIT_CLAIM_FAILED;
  /* Where another thread failed, this one tries for itself: the reasons were told there only. */
  while (claim == JIT_CLAIM_FAILED && status != KILN_OUT_OF_MEMORY)
    claim = jit_memory_claim(objects, &key, &linked, &status);
  if (claim == JIT_CLAIM_FAILED) return status;
  if (claim == JIT_CLAIM_FOUND) {
    *hit = KILN_MEMORY;
    status = rt_code_enter(code, linked, why);
    rt_linked_release(linked);
    code->times.find = rt_lap(clock);
    return status;
  }
  status = link_anew(code, true, clock, hit, why);
  jit_memory_settle(objects, &key, status ? NULL : code->linked, 1, status);
  return status;
}

kiln_status rt_code_make(kiln_engine *engine, const Request *request, const char *graph_text, Code **code,
                         kiln_cache_hit *hit, Text *why) {
  int64_t clock = jit_os_now_ns();
  Code *made;
  kiln_status status = rt_code_plan(engine, request, graph_text, &made, why);
  if (status) return status;
  made->times.plan = rt_lap(&clock);
  rt_code_warn(made);
  status = request->options.no_cache ? link_anew(made, false, &clock, hit, why) : link_once(made, &clock, hit, why);
  if (status == KILN_INTERNAL) log_event(&engine->log, KILN_LOG_ERROR, "%s: %s", made->name, text_get(why));
  if (status) {
    rt_code_release(made);
    return status;
  }
  log_stages(made, *hit);
  *code = made;
  return KILN_OK;
}

/* ---- the memory cache -------------------------------------------------------------------------------------------- */

/* Finds or makes the code of a request, whose text is `text`; the graph is its first `graph_length` bytes. */
static kiln_status obtain(kiln_engine *engine, const Request *request, Text *text, size_t graph_length, Code **code,
                          kiln_cache_hit *hit, Text *why) {
  JitKey key = jit_key_make(text_get(text), text->length);
  kiln_status status = KILN_OK;
  JitClaim claim = JIT_CLAIM_FAILED;
  void *value;
  *hit = KILN_MEMORY;
  /* Where another thread failed, this one tries for itself: the reasons were told there only. */
  while (claim == JIT_CLAIM_FAILED && status != KILN_OUT_OF_MEMORY)
    claim = request->options.no_cache ? JIT_CLAIM_OWNED : jit_memory_claim(engine->memory, &key, &value, &status);
  if (claim == JIT_CLAIM_FAILED) return status;
  if (claim == JIT_CLAIM_FOUND) {
    *code = value;
    return KILN_OK;
  }
  text->data[graph_length] = 0; /* the options have done their part */
  rt_trace_request(&engine->trace, request, text->data);
  status = rt_code_make(engine, request, text->data, code, hit, why);
  if (!request->options.no_cache) jit_memory_settle(engine->memory, &key, status ? NULL : *code, 1, status);
  return status;
}

/* A handle that takes over the caller's reference to the code. */
static kiln_status create_handle(Code *code, kiln_cache_hit hit, int64_t since, kiln_kernel **kernel) {
  const Allocator *allocator = &code->engine->allocator;
  kiln_kernel *made = allocator->alloc(allocator->ctx, sizeof *made, _Alignof(kiln_kernel));
  if (!made) {
    rt_code_release(code);
    return KILN_OUT_OF_MEMORY;
  }
  *made = (kiln_kernel){.code = code, .cache = hit};
  atomic_init(&made->references, 1);
  made->compile_ms = (double)(jit_os_now_ns() - since) * 1e-6;
  *kernel = made;
  return KILN_OK;
}

/* The records that answer a request, and what chooses among them: code made with others is another. */
static void print_tuned(kiln_engine *engine, const Request *request, const char *graph_text, Text *out) {
  if (!rt_uses_records(request)) return;
  RecordQuestion question = rt_record_question(request, graph_text);
  uint64_t stamp = rt_records_stamp(&engine->records, &question);
  if (!stamp) return;
  text_printf(out, " tuned=%llx threads=%d ", (unsigned long long)stamp, (int)question.threads);
  if (question.symbols) rt_print_sizes(request->problem.graph, question.symbols, out);
}

/* What both public functions do; `since` is when the call began, `source` the text it was given, if any. */
static kiln_status compile(kiln_engine *engine, kiln_graph *graph, const char *source, size_t length,
                           const kiln_compile_options *options, int64_t since, kiln_kernel **kernel, Text *why) {
  Request request;
  kiln_status status = rt_request_read(engine, graph, source, length, options, &request, why);
  if (status) return status;
  if (!rt_engine_can_run(engine, request.problem.target)) {
    text_printf(why, "target: this machine lacks features of '%s'; kiln_emit makes objects for it\n",
                request.problem.target->name);
    return KILN_MISSING_FEATURE;
  }
  Text text;
  Code *code = NULL;
  kiln_cache_hit hit = KILN_COLD;
  text_init(&text, &engine->allocator);
  graph_print(graph, true, &text);
  size_t graph_length = text.length;
  if (!text.failed && request.options.tune == KILN_TUNE_MEASURE)
    status = rt_tune_first(engine, graph, &request, text_get(&text), why);
  print_tuned(engine, &request, text_get(&text), &text);
  rt_request_print(&request, &text);
  if (text.failed) status = KILN_OUT_OF_MEMORY;
  if (!status) status = obtain(engine, &request, &text, graph_length, &code, &hit, why);
  text_release(&text);
  return status ? status : create_handle(code, hit, since, kernel);
}

/* ---- the interface ----------------------------------------------------------------------------------------------- */

kiln_status kiln_compile(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                         kiln_kernel **kernel) {
  int64_t since = jit_os_now_ns();
  kiln_buffer *message = rt_message_of(options);
  if (!engine || !graph || !kernel) return KILN_INVALID_ARGUMENT;
  Text why;
  text_init(&why, &engine->allocator);
  kiln_status status = compile(engine, graph, NULL, 0, options, since, kernel, &why);
  rt_hand_out_message(&why, message);
  return status;
}

kiln_status kiln_compile_text(kiln_engine *engine, const char *text, const kiln_compile_options *options,
                              kiln_kernel **kernel) {
  int64_t since = jit_os_now_ns();
  kiln_buffer *message = rt_message_of(options);
  if (!engine || !text || !kernel) return KILN_INVALID_ARGUMENT;
  kiln_graph *graph;
  size_t length = strlen(text);
  kiln_status status = kiln_graph_parse(text, length, &engine->allocator, &graph);
  if (status) return status;
  Text why;
  text_init(&why, &engine->allocator);
  status = compile(engine, graph, text, length, options, since, kernel, &why);
  kiln_graph_destroy(graph);
  rt_hand_out_message(&why, message);
  return status;
}

void kiln_kernel_retain(kiln_kernel *kernel) {
  if (kernel) atomic_fetch_add_explicit(&kernel->references, 1, memory_order_relaxed);
}

void kiln_kernel_release(kiln_kernel *kernel) {
  if (!kernel || atomic_fetch_sub_explicit(&kernel->references, 1, memory_order_acq_rel) != 1) return;
  Allocator allocator = kernel->code->engine->allocator;
  Code *code = kernel->code;
  allocator.release(allocator.ctx, kernel);
  rt_code_release(code); /* may end the engine, and with it the allocator's owner */
}

int32_t kiln_kernel_line(const kiln_kernel *kernel, const void *address) {
  return kernel ? jit_line(kernel->code->linked->jit, address) : 0;
}

kiln_status kiln_kernel_describe(const kiln_kernel *kernel, kiln_kernel_info *info) {
  if (!kernel || !info) return KILN_INVALID_ARGUMENT;
  const Code *code = kernel->code;
  *info = (kiln_kernel_info){
      .name = code->name,
      .graph = code->graph_text,
      .template_ = code->plan.template->name,
      .schedule = code->schedule,
      .target = code->plan.problem.target->name,
      .features = code->features,
      .key = code->key_name,
      .cache = kernel->cache,
      .compile_ms = kernel->compile_ms,
      .object_bytes = code->linked->bytes,
      .code_bytes = jit_code_bytes(code->linked->jit),
      .is_fallback = code->plan.template->is_fallback,
      .origin = code->origin,
      .times = code->times,
  };
  return KILN_OK;
}
