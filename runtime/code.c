/* code.c: from a planned Code to one that runs: building its tile IR, compiling it, linking the object, binding sizes.
 *
 * Knows of templates only what template.h promises: the entry's name, the order of its buffers and symbols, and the
 * names of its packing kernels. */
#include <stdio.h>

#include "jit/os.h"
#include "runtime/runtime.h"

void rt_code_retain(Code *code) { atomic_fetch_add_explicit(&code->references, 1, memory_order_relaxed); }

void rt_code_release(Code *code) {
  if (!code || atomic_fetch_sub_explicit(&code->references, 1, memory_order_acq_rel) != 1) return;
  kiln_engine *engine = code->engine;
  rt_linked_release(code->linked);
  kiln_graph_destroy(code->graph);
  arena_release(&code->arena);
  engine->allocator.release(engine->allocator.ctx, code);
  rt_engine_release(engine);
}

/* ---- compiling --------------------------------------------------------------------------------------------------- */

double rt_lap(int64_t *since) {
  int64_t now = jit_os_now_ns(), elapsed = now - *since;
  *since = now;
  return (double)elapsed * 1e-6;
}

kiln_status rt_code_build(const Code *code, const char *name, kiln_compile_times *times, Module **module, Text *why) {
  const Allocator *allocator = &code->engine->allocator;
  int64_t clock = jit_os_now_ns();
  Module *made = tmpl_build(&code->plan, name, allocator);
  if (!made) return KILN_OUT_OF_MEMORY;
  if (times) times->build = rt_lap(&clock);
  Diagnostics faults;
  diagnostics_init(&faults, allocator);
  kiln_status status = tile_verify(made, &faults);
  if (times) times->check = rt_lap(&clock);
  if (status) {
    text_printf(why, "template %s made wrong tile IR\n", code->plan.template->name);
    diagnostics_print(&faults, NULL, NULL, 0, why);
    status = status == KILN_OUT_OF_MEMORY ? status : KILN_INTERNAL;
  }
  diagnostics_release(&faults);
  if (status) module_destroy(made);
  else *module = made;
  return status;
}

void rt_log_remarks(const kiln_engine *engine, const char *name, const Diagnostics *remarks) {
  for (size_t i = 0; i < remarks->list.count; ++i) {
    const Diagnostic *remark = &remarks->list.items[i];
    SourcePos pos = remark->pos;
    if (pos.line > 0)
      log_event(&engine->log, KILN_LOG_WARNING, "%s:%u:%u: %s", name, pos.line, pos.column, remark->message);
    else log_event(&engine->log, KILN_LOG_WARNING, "%s: %s", name, remark->message);
  }
}

/* The same module with the lines of its text, which people see, as positions. */
static kiln_status read_back(const Code *code, Module **module, Text *why) {
  const Allocator *allocator = &code->engine->allocator;
  Text text;
  Diagnostics faults;
  text_init(&text, allocator);
  diagnostics_init(&faults, allocator);
  tile_print(*module, &text);
  Module *read = text.failed ? NULL : tile_parse(text_get(&text), text.length, allocator, &faults);
  kiln_status status = !read ? KILN_OUT_OF_MEMORY : faults.list.count > 0 ? KILN_INTERNAL : KILN_OK;
  diagnostics_print(&faults, "tile IR", text_get(&text), text.length, why);
  diagnostics_release(&faults);
  text_release(&text);
  module_destroy(status ? read : *module);
  if (!status) *module = read;
  return status;
}

kiln_status rt_code_compile(const Code *code, const char *name, JitOutput output, kiln_compile_times *times,
                            JitBuffer *out, Text *why) {
  Module *module;
  kiln_status status = rt_code_build(code, name ? name : code->name, times, &module, why);
  if (status) return status;
  bool has_lines = code->engine->has_lines;
  if (has_lines && (status = read_back(code, &module, why))) {
    module_destroy(module);
    return status;
  }
  enum { SOURCE_BYTES = 128 };
  char source[SOURCE_BYTES];
  snprintf(source, sizeof source, "%s.tile", code->name);
  JitField fields[] = {
      {"graph", code->graph_text},
      {"template", code->plan.template->name},
      {"schedule", code->schedule},
  };
  JitCompileTimes jit = {0};
  JitCompile options = {
      .output = output,
      .source = has_lines ? source : NULL,
      .key = code->key_text,
      .key_length = code->key_length,
      .fields = fields,
      .field_count = ARRAY_LENGTH(fields),
      .times = &jit,
  };
  Diagnostics faults;
  diagnostics_init(&faults, &code->engine->allocator);
  status = jit_compile(module, code->plan.problem.target, &options, &code->engine->allocator, out, &faults);
  if (status) diagnostics_print(&faults, NULL, NULL, 0, why);
  else rt_log_remarks(code->engine, code->name, &faults);
  diagnostics_release(&faults);
  module_destroy(module);
  if (times) {
    times->lower = (double)jit.lower_ns * 1e-6;
    times->verify = (double)jit.verify_ns * 1e-6;
    times->optimize = (double)jit.optimize_ns * 1e-6;
    times->codegen = (double)jit.codegen_ns * 1e-6;
  }
  return status;
}

/* ---- linking ----------------------------------------------------------------------------------------------------- */

typedef struct Finder {
  const Code *code;
  Text *why;
  kiln_status status; /* of the first that was not found */
} Finder;

/* The function `<name><suffix><port><ending>`; NULL, with a status and a sentence, where the object has none. */
static void *find_function(Finder *finder, const char *suffix, const char *port, const char *ending) {
  const Code *code = finder->code;
  Text name;
  text_init(&name, &code->engine->allocator);
  text_printf(&name, "%s%s%s%s", code->name, suffix, port, ending);
  void *found = name.failed ? NULL : jit_symbol(code->linked->jit, text_get(&name));
  if (!found && !finder->status) {
    finder->status = name.failed ? KILN_OUT_OF_MEMORY : KILN_INVALID_OBJECT;
    if (!name.failed) text_printf(finder->why, "the object has no function '%s'\n", text_get(&name));
  }
  text_release(&name);
  return found;
}

/* Every function that calls will need, so that an object without one is refused now. */
static kiln_status find_functions(Code *code, Text *why) {
  Finder finder = {code, why, KILN_OK};
  code->entry = (kiln_entry *)find_function(&finder, "", "", "");
  code->tasks = (kiln_query *)find_function(&finder, "_tasks", "", "");
  code->workspace = (kiln_query *)find_function(&finder, "_workspace", "", "");
  for (size_t i = 0; i < code->input_count; ++i) {
    Port *port = &code->ports[i];
    if (!port->pack) continue;
    port->packer = (kiln_entry *)find_function(&finder, "_pack_", port->name, "");
    port->pack_tasks = (kiln_query *)find_function(&finder, "_pack_", port->name, "_tasks");
  }
  return finder.status;
}

/* A graph without symbols has few bindings, so they are made once. */
static void make_bindings(Code *code) {
  int32_t counts[CODE_BINDINGS] = {1, code->engine->pool.threads.count};
  if (code->symbol_count > 0) return;
  for (int i = 0; i < CODE_BINDINGS && (i == 0 || counts[i] != counts[0]); ++i) {
    Binding *binding = &code->bindings[code->binding_count++];
    binding->dims = ARENA_ARRAY(&code->arena, int64_t, code->dim_count);
    rt_code_bind(code, NULL, counts[i], binding);
  }
}

kiln_status rt_code_enter(Code *code, Linked *linked, Text *why) {
  rt_linked_retain(linked);
  code->linked = linked;
  kiln_status status = find_functions(code, why);
  if (!status) make_bindings(code);
  if (!status && arena_has_failed(&code->arena)) status = KILN_OUT_OF_MEMORY;
  if (!status) return KILN_OK;
  rt_linked_release(linked);
  code->linked = NULL;
  code->binding_count = 0;
  return status;
}

kiln_status rt_code_load(Code *code, const JitBuffer *object, Text *why) {
  Linked *linked;
  kiln_status status = rt_linked_create(code->engine, object, code->name, &linked, why);
  if (status) return status;
  status = rt_code_enter(code, linked, why);
  rt_linked_release(linked);
  return status;
}

Machine rt_code_machine(const Code *code, const int64_t *symbols, int32_t threads) {
  if (threads > 1) threads = tmpl_threads(tmpl_work(code->graph, symbols), threads);
  return rt_engine_machine(code->engine, code->plan.problem.target, threads);
}

void rt_code_bind(const Code *code, const int64_t *symbols, int32_t threads, Binding *binding) {
  Machine machine = rt_code_machine(code, symbols, threads);
  tmpl_bind(&code->plan, symbols, &machine, binding->dims);
  if (code->call_count > 0)
    rt_tuned_bind(code, symbols, threads, &machine, binding->dims + tmpl_first_param(&code->plan));
  kiln_args args = {.dims = binding->dims};
  binding->threads = threads;
  binding->tasks = code->tasks(&args);
  binding->workspace_bytes = code->workspace(&args);
}
