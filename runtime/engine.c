/* engine.c: creating and destroying engines. The only place that reads the environment, once an engine. */
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

enum { DEFAULT_KERNELS = 1024, MAX_THREADS = 65536 };
static const uint32_t all_profiles =
    KILN_PROFILE_PERF_MAP | KILN_PROFILE_JITDUMP | KILN_PROFILE_GDB | KILN_PROFILE_LINES;

static void retain_code(void *ctx, void *value) {
  (void)ctx;
  rt_code_retain(value);
}

static void release_code(void *ctx, void *value) {
  (void)ctx;
  rt_code_release(value);
}

static void retain_linked(void *ctx, void *value) {
  (void)ctx;
  rt_linked_retain(value);
}

static void release_linked(void *ctx, void *value) {
  (void)ctx;
  rt_linked_release(value);
}

/* The linker, and what profilers want of it. Its reasons for failing go to the log, as there is no message yet. */
static kiln_status create_session(kiln_engine *engine, const kiln_engine_options *options) {
  const char *jitdump_dir = options->profile_dir ? options->profile_dir : ".";
  JitSessionOptions session = {
      .allocator = &engine->allocator,
      .log = &engine->log,
      .features = engine->cpu.features,
      .perf_map_dir = options->profile & KILN_PROFILE_PERF_MAP ? "/tmp" : NULL,
      .jitdump_dir = options->profile & KILN_PROFILE_JITDUMP ? jitdump_dir : NULL,
      .register_with_gdb = (options->profile & KILN_PROFILE_GDB) != 0,
  };
  Diagnostics faults;
  diagnostics_init(&faults, &engine->allocator);
  kiln_status status = jit_session_create(&session, &engine->session, &faults);
  for (size_t i = 0; i < faults.list.count; ++i)
    log_event(&engine->log, KILN_LOG_ERROR, "jit: %s", faults.list.items[i].message);
  diagnostics_release(&faults);
  return status;
}

/* The user's cache directory, as text in the engine's arena; "" for none. */
static const char *choose_directory(kiln_engine *engine, const kiln_engine_options *options) {
  Text text;
  text_init(&text, &engine->allocator);
  if (options->cache_dir) text_add(&text, options->cache_dir);
  else if (!jit_cache_directory(getenv("KILN_CACHE_DIR"), getenv("XDG_CACHE_HOME"), getenv("HOME"), &text))
    log_event(&engine->log, KILN_LOG_WARNING, "cache: neither KILN_CACHE_DIR, XDG_CACHE_HOME nor HOME says where");
  const char *directory = arena_copy(&engine->arena, text_get(&text), text.length);
  engine->arena.failed |= text.failed;
  text_release(&text);
  return directory;
}

/* Memory holds code for as long as it counts among the most recent; each counts 1. */
static kiln_status create_caches(kiln_engine *engine, const kiln_engine_options *options) {
  engine->cache_directory = choose_directory(engine, options);
  const char *read_only = options->cache_path ? options->cache_path : getenv("KILN_CACHE_PATH");
  const char *tune_file = options->tune_file ? options->tune_file : getenv("KILN_TUNE_FILE");
  rt_records_open(&engine->records, &engine->arena, tune_file, engine->cache_directory, read_only, &engine->log);
  JitMemoryOptions memory = {
      .allocator = &engine->allocator,
      .capacity = options->memory_max_kernels ? options->memory_max_kernels : DEFAULT_KERNELS,
      .retain = retain_code,
      .release = release_code,
  };
  JitMemoryOptions objects = memory;
  objects.retain = retain_linked;
  objects.release = release_linked;
  JitCacheOptions disk = {
      .allocator = &engine->allocator,
      .log = &engine->log,
      .directory = engine->cache_directory,
      .read_only = read_only,
      .capacity_bytes = options->cache_max_bytes,
  };
  kiln_status status = jit_memory_create(&memory, &engine->memory);
  if (!status) status = jit_memory_create(&objects, &engine->objects);
  return status ? status : jit_cache_create(&disk, &engine->cache);
}

/* Takes down what was made, of an engine half made too. */
static void destroy(kiln_engine *engine) {
  Allocator allocator = engine->allocator;
  jit_memory_destroy(engine->memory);
  jit_memory_destroy(engine->objects);
  jit_cache_destroy(engine->cache);
  jit_session_destroy(engine->session);
  rt_workspace_trim(engine);
  rt_records_close(&engine->records);
  rt_pool_release(&engine->pool);
  rt_trace_close(&engine->trace);
  arena_release(&engine->arena);
  allocator.release(allocator.ctx, engine);
}

static bool options_are_good(const kiln_engine_options *options) {
  const kiln_allocator *allocator = options->allocator;
  return (!allocator || (allocator->alloc && allocator->release)) && options->threads >= 0 &&
         options->threads <= MAX_THREADS && (options->profile & ~all_profiles) == 0;
}

/* What is wrong with the text is an event. */
static kiln_status read_machine(kiln_engine *engine, const char *text) {
  Text why;
  text_init(&why, &engine->allocator);
  kiln_status status = text ? machine_parse(text, &engine->given, &why) : KILN_OK;
  if (!status && engine->given.cores > MAX_THREADS) status = KILN_INVALID_ARGUMENT;
  if (status)
    log_event(&engine->log, KILN_LOG_ERROR, "%s",
              why.length ? text_get(&why) : "machine: more cores than threads can be");
  text_release(&why);
  return status;
}

kiln_status rt_engine_create(const kiln_engine_options *given, FeatureSet emulated, kiln_engine **engine) {
  kiln_engine_options options = {0};
  if (!engine || (given && !rt_read_options(&options, sizeof options, given)) || !options_are_good(&options))
    return KILN_INVALID_ARGUMENT;
  const Allocator *allocator = options.allocator ? options.allocator : &allocator_default;
  kiln_engine *made = allocator->alloc(allocator->ctx, sizeof *made, _Alignof(kiln_engine));
  if (!made) return KILN_OUT_OF_MEMORY;
  *made = (kiln_engine){
      .allocator = *allocator, .log = options.log, .has_lines = (options.profile & KILN_PROFILE_LINES) != 0};
  atomic_init(&made->references, 1);
  for (int i = 0; i < WORKSPACES_KEPT; ++i) atomic_init(&made->workspaces[i], NULL);
  arena_init(&made->arena, allocator);
  kiln_status status = rt_detect(&made->arena, &made->log, emulated, &made->cpu);
  if (!status) status = read_machine(made, options.machine);
  int32_t cores = made->given.cores ? (int32_t)made->given.cores : made->cpu.cores;
  rt_pool_init(&made->pool, options.threads ? options.threads : cores, &made->log);
  rt_trace_open(&made->trace, getenv("KILN_TRACE"), &made->log);
  if (!status) status = create_session(made, &options);
  if (!status) status = create_caches(made, &options);
  if (!status && arena_has_failed(&made->arena)) status = KILN_OUT_OF_MEMORY;
  if (status) destroy(made);
  else *engine = made;
  return status;
}

kiln_status kiln_engine_create(const kiln_engine_options *options, kiln_engine **engine) {
  return rt_engine_create(options, 0, engine);
}

void rt_engine_release(kiln_engine *engine) {
  if (atomic_fetch_sub_explicit(&engine->references, 1, memory_order_acq_rel) == 1) destroy(engine);
}

void kiln_engine_destroy(kiln_engine *engine) {
  if (!engine) return;
  jit_memory_clear(engine->memory); /* code holds its engine, so what memory held would never end */
  rt_engine_release(engine);
}

void kiln_engine_trim(kiln_engine *engine) {
  if (!engine) return;
  jit_memory_clear(engine->memory);
  jit_memory_clear(engine->objects);
  rt_workspace_trim(engine);
}

bool rt_engine_can_run(const kiln_engine *engine, const Target *target) {
  return target->family == engine->cpu.target->family && (target->features & ~engine->cpu.features) == 0;
}

Machine rt_engine_machine(const kiln_engine *engine, const Target *target, int32_t threads) {
  const Cpu *cpu = &engine->cpu;
  Machine machine = machine_of(target, threads);
  Machine here = {
      .cores = cpu->cores,
      .sockets = cpu->sockets,
      .l1d_bytes = cpu->l1d_bytes,
      .l2_bytes = cpu->l2_bytes,
      .l3_bytes = cpu->l3_bytes,
      .l3_cores = cpu->l3_cores,
  };
  if (rt_engine_can_run(engine, target)) machine_change(&machine, &here);
  machine_change(&machine, &engine->given);
  return machine;
}

const char *kiln_tune_file(const kiln_engine *engine) { return engine ? engine->records.path : ""; }

kiln_status kiln_engine_cpu(const kiln_engine *engine, kiln_cpu *cpu) {
  if (!engine || !cpu) return KILN_INVALID_ARGUMENT;
  *cpu = (kiln_cpu){
      .name = engine->cpu.name,
      .target = engine->cpu.target->name,
      .features = engine->cpu.features_text,
      .cores = engine->cpu.cores,
      .threads = engine->cpu.threads,
      .l1d_bytes = engine->cpu.l1d_bytes,
      .l2_bytes = engine->cpu.l2_bytes,
      .l3_bytes = engine->cpu.l3_bytes,
  };
  return KILN_OK;
}
