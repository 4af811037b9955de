/* tile_api.c: tile.h, tile IR from the outside: text, questions about its kernels, the interpreter, compiled code. */
#include "kiln/tile.h"

#include <string.h>

#include "runtime/runtime.h"

struct kiln_tile {
  Allocator allocator;
  Module *module;
  const char *source; /* as parsed, in the module's arena: faults point into it */
  size_t source_length;
};

struct kiln_tile_code {
  Allocator allocator;
  JitCode *jit;
};

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* Verifies only what parsed without a fault, so that one mistake is told once. */
static kiln_status parse(const char *text, size_t length, const Allocator *allocator, Module **module,
                         Diagnostics *faults) {
  *module = tile_parse(text, length, allocator, faults);
  if (!*module) return KILN_OUT_OF_MEMORY;
  if (faults->list.count > 0) return KILN_SYNTAX;
  return tile_verify(*module, faults);
}

kiln_status kiln_tile_parse(const char *text, size_t length, const kiln_allocator *allocator, kiln_tile **tile,
                            kiln_buffer *message) {
  const Allocator *memory = allocator ? allocator : &allocator_default;
  Diagnostics faults;
  Text why;
  text_init(&why, memory);
  kiln_status status = KILN_INVALID_ARGUMENT;
  if (tile && (text || length == 0)) {
    Module *module;
    diagnostics_init(&faults, memory);
    status = parse(text, length, memory, &module, &faults);
    diagnostics_print(&faults, NULL, text, length, &why);
    diagnostics_release(&faults);
    kiln_tile *made = status ? NULL : memory->alloc(memory->ctx, sizeof *made, _Alignof(kiln_tile));
    if (made) {
      *made = (kiln_tile){*memory, module, arena_copy(&module->arena, text, length), length};
      *tile = made;
    } else {
      module_destroy(module);
      if (!status) status = KILN_OUT_OF_MEMORY;
    }
  }
  rt_hand_out_message(&why, message);
  return status;
}

void kiln_tile_destroy(kiln_tile *tile) {
  if (!tile) return;
  Allocator allocator = tile->allocator;
  module_destroy(tile->module);
  allocator.release(allocator.ctx, tile);
}

kiln_status kiln_tile_print(const kiln_tile *tile, kiln_buffer *out) {
  if (!tile || !out) return KILN_INVALID_ARGUMENT;
  Text text;
  text_init(&text, &tile->allocator);
  tile_print(tile->module, &text);
  return rt_hand_out(&text, out);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

/* NULL: there is none of that number. */
static const Kernel *find_kernel(const kiln_tile *tile, size_t kernel) {
  return tile && kernel < tile->module->kernels.count ? tile->module->kernels.items[kernel] : NULL;
}

size_t kiln_tile_kernel_count(const kiln_tile *tile) { return tile ? tile->module->kernels.count : 0; }

const char *kiln_tile_kernel_name(const kiln_tile *tile, size_t kernel) {
  const Kernel *found = find_kernel(tile, kernel);
  return found ? found->name : NULL;
}

size_t kiln_tile_buffer_count(const kiln_tile *tile, size_t kernel) {
  const Kernel *found = find_kernel(tile, kernel);
  return found ? found->buffers.count : 0;
}

size_t kiln_tile_symbol_count(const kiln_tile *tile, size_t kernel) {
  const Kernel *found = find_kernel(tile, kernel);
  return found ? found->symbols.count : 0;
}

const char *kiln_tile_symbol_name(const kiln_tile *tile, size_t kernel, size_t symbol) {
  const Kernel *found = find_kernel(tile, kernel);
  return found && symbol < found->symbols.count ? found->symbols.items[symbol].name : NULL;
}

/* Whether a buffer's sizes and strides are known, not negative, and small enough to multiply. */
static bool sizes_are_good(const BufType *type, const int64_t *symbols) {
  int64_t count = sizeof(double);
  for (int i = 0; i < type->rank; ++i) {
    for (int stride = 0; stride <= (type->layout == LAYOUT_STRIDED); ++stride) {
      Extent extent = stride ? type->strides[i] : type->dims[i];
      if (extent.symbol == EXTENT_UNKNOWN || (extent.symbol >= 0 && !symbols)) return false;
      int64_t value = extent.symbol >= 0 ? symbols[extent.symbol] : extent.number;
      if (value < 0 || value > INT64_MAX - TILE_MAX_EXTENT) return false;
      if (__builtin_mul_overflow(count, stride ? (value > 0 ? value : 1) : value + TILE_MAX_EXTENT, &count))
        return false;
    }
  }
  return true;
}

kiln_status kiln_tile_buffer_info(const kiln_tile *tile, size_t kernel, size_t buffer, const int64_t *symbols,
                                  const char **name, kiln_type *type, size_t *bytes) {
  const Kernel *found = find_kernel(tile, kernel);
  if (!found || buffer >= found->buffers.count) return KILN_INVALID_ARGUMENT;
  const Value *value = found->buffers.items[buffer];
  const BufType *buf = value->type.buf;
  if (bytes && !sizes_are_good(buf, symbols)) return KILN_INVALID_ARGUMENT;
  if (name) *name = value->name;
  if (type) *type = buf->type;
  if (bytes) *bytes = type_bytes(buf->type, (size_t)buf_span(buf, symbols));
  return KILN_OK;
}

kiln_status kiln_tile_query(const kiln_tile *tile, size_t kernel, const int64_t *symbols, int64_t *tasks,
                            size_t *workspace_bytes) {
  const Kernel *found = find_kernel(tile, kernel);
  if (!found || (!symbols && found->symbols.count > 0)) return KILN_INVALID_ARGUMENT;
  int64_t workspace = tile_workspace(found, symbols);
  if (workspace < 0) return KILN_INVALID_ARGUMENT;
  if (tasks) *tasks = tile_tasks(found, symbols);
  if (workspace_bytes) *workspace_bytes = (size_t)workspace;
  return KILN_OK;
}

/* ---- execution --------------------------------------------------------------------------------------------------- */

kiln_status kiln_tile_interpret(const kiln_tile *tile, size_t kernel, const kiln_args *args, size_t workspace_bytes,
                                kiln_buffer *message) {
  const Kernel *found = find_kernel(tile, kernel);
  if (message) *message = (kiln_buffer){0};
  if (!found || !args || (!args->dims && found->symbols.count > 0) || (!args->buffers && found->buffers.count > 0))
    return KILN_INVALID_ARGUMENT;
  TileRun run = {
      .buffers = args->buffers,
      .symbols = args->dims,
      .workspace = args->workspace,
      .workspace_bytes = (int64_t)workspace_bytes,
  };
  Diagnostics faults;
  Text why;
  diagnostics_init(&faults, &tile->allocator);
  text_init(&why, &tile->allocator);
  kiln_status status = tile_interpret(found, &run, 0, tile_tasks(found, args->dims), &tile->allocator, &faults);
  diagnostics_print(&faults, NULL, tile->source, tile->source_length, &why);
  diagnostics_release(&faults);
  rt_hand_out_message(&why, message);
  return status;
}

/* ---- compiled code ----------------------------------------------------------------------------------------------- */

/* To text or object. What stands for a key is the module's own text: such objects are not kept in the cache. */
static kiln_status compile(kiln_engine *engine, const kiln_tile *tile, const char *name, JitOutput output,
                           const Target **target, JitBuffer *bytes, Text *why) {
  *target = name ? target_find(name) : engine->cpu.target;
  if (!*target) {
    text_printf(why, "target: no row is called '%s' (kiln list targets)\n", name);
    return KILN_NOT_FOUND;
  }
  Diagnostics faults;
  diagnostics_init(&faults, &engine->allocator);
  Text key, source;
  text_init(&key, &engine->allocator);
  text_init(&source, &engine->allocator);
  tile_print(tile->module, &key);
  if (engine->has_lines && tile->module->kernels.count > 0)
    text_printf(&source, "%s.tile", tile->module->kernels.items[0]->name);
  JitCompile request = {
      .output = output,
      .source = source.length > 0 ? text_get(&source) : NULL,
      .key = text_get(&key),
      .key_length = key.length,
  };
  kiln_status status = jit_compile(tile->module, *target, &request, &engine->allocator, bytes, &faults);
  text_release(&key);
  text_release(&source);
  if (status) diagnostics_print(&faults, NULL, NULL, 0, why);
  else rt_log_remarks(engine, "tile", &faults);
  diagnostics_release(&faults);
  return status;
}

kiln_status kiln_tile_dump(kiln_engine *engine, const kiln_tile *tile, const char *target, kiln_stage stage,
                           kiln_buffer *out, kiln_buffer *message) {
  JitOutput output;
  if (message) *message = (kiln_buffer){0};
  if (!engine || !tile || !out) return KILN_INVALID_ARGUMENT;
  if (stage == KILN_STAGE_TILE) return kiln_tile_print(tile, out);
  if (!rt_output_of(stage, &output)) return KILN_INVALID_ARGUMENT;
  Text why;
  text_init(&why, &engine->allocator);
  const Target *found;
  JitBuffer bytes = {0};
  kiln_status status = compile(engine, tile, target, output, &found, &bytes, &why);
  if (!status) status = rt_hand_out_bytes(bytes.data, bytes.size, &engine->allocator, out);
  jit_buffer_release(&bytes);
  rt_hand_out_message(&why, message);
  return status;
}

/* Links an object for this machine. */
static kiln_status load(kiln_engine *engine, const Target *target, const JitBuffer *object, kiln_tile_code **code,
                        Text *why) {
  if (!rt_engine_can_run(engine, target)) {
    text_printf(why, "this machine lacks features of target %s\n", target->name);
    return KILN_MISSING_FEATURE;
  }
  kiln_tile_code *made = engine->allocator.alloc(engine->allocator.ctx, sizeof *made, _Alignof(kiln_tile_code));
  if (!made) return KILN_OUT_OF_MEMORY;
  *made = (kiln_tile_code){.allocator = engine->allocator};
  Diagnostics faults;
  diagnostics_init(&faults, &engine->allocator);
  kiln_status status = jit_load(engine->session, object->data, object->size, "tile", &made->jit, &faults);
  diagnostics_print(&faults, NULL, NULL, 0, why);
  diagnostics_release(&faults);
  if (status) engine->allocator.release(engine->allocator.ctx, made);
  else *code = made;
  return status;
}

kiln_status kiln_tile_compile(kiln_engine *engine, const kiln_tile *tile, const char *target, kiln_tile_code **code,
                              kiln_buffer *message) {
  if (message) *message = (kiln_buffer){0};
  if (!engine || !tile || !code) return KILN_INVALID_ARGUMENT;
  Text why;
  text_init(&why, &engine->allocator);
  const Target *found;
  JitBuffer object = {0};
  kiln_status status = compile(engine, tile, target, JIT_OUTPUT_OBJECT, &found, &object, &why);
  if (!status) status = load(engine, found, &object, code, &why);
  jit_buffer_release(&object);
  rt_hand_out_message(&why, message);
  return status;
}

void *kiln_tile_function(const kiln_tile_code *code, const char *name) {
  return code && name ? jit_symbol(code->jit, name) : NULL;
}

void kiln_tile_code_release(kiln_tile_code *code) {
  if (!code) return;
  Allocator allocator = code->allocator;
  jit_unload(code->jit);
  allocator.release(allocator.ctx, code);
}
