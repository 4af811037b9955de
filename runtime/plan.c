/* plan.c: a Code up to its tile IR: its own copy of the graph, the plan, its names and its content key.
 *
 * Needs neither LLVM nor the disk, so explaining and looking for an object are cheap. */
#include <string.h>

#include "runtime/runtime.h"

/* ---- graph and ports --------------------------------------------------------------------------------------------- */

/* The caller may destroy its graph while the kernel lives, so the plan is made on a copy: the parse of the canonical
 * text. */
static kiln_status copy_graph(Code *code, const kiln_graph *original, const char *graph_text, Text *why) {
  size_t length = strlen(graph_text);
  code->graph_text = arena_copy(&code->arena, graph_text, length);
  code->graph = graph_parse(graph_text, length, &code->engine->allocator);
  if (!code->graph) return KILN_OUT_OF_MEMORY;
  kiln_status status = graph_check(code->graph);
  if (status) diagnostics_print(&code->graph->faults, "canonical graph", graph_text, length, why);
  if (status == KILN_OUT_OF_MEMORY) return status;
  const kiln_graph *copy = code->graph;
  bool same = !status && copy->symbols.count == original->symbols.count &&
              copy->inputs.count == original->inputs.count && copy->outputs.count == original->outputs.count;
  for (size_t i = 0; same && i < copy->symbols.count; ++i)
    same = strcmp(copy->symbols.items[i], original->symbols.items[i]) == 0;
  if (same) return KILN_OK;
  text_printf(why, "the graph's text does not read back as the same graph: %s\n", graph_text);
  return KILN_INTERNAL;
}

/* No symbol in its sizes and strides. */
static bool is_fixed(const Node *node) {
  for (int i = 0; i < node->shape.rank; ++i)
    if (node->shape.dims[i].symbol >= 0 || (node->has_strides && node->strides[i].symbol >= 0)) return false;
  return true;
}

/* What holds for inputs and outputs alike. Two nibbles share a byte, which any address aligns. */
static void describe_port(Code *code, Port *port, int node) {
  port->node = graph_node(code->graph, node);
  port->name = port->node->name ? port->node->name : "";
  unsigned bytes = type_bits(port->node->type) / 8;
  port->misaligned = bytes > 1 ? bytes - 1 : 0;
  port->is_fixed = is_fixed(port->node);
}

/* After planning: which inputs are packed and how. */
static kiln_status describe_ports(Code *code, Text *why) {
  const kiln_graph *graph = code->graph;
  code->input_count = graph->inputs.count;
  code->output_count = graph->outputs.count;
  code->port_count = code->input_count + code->output_count;
  code->symbol_count = graph->symbols.count;
  code->dim_count = tmpl_first_param(&code->plan) + (size_t)code->plan.param_count;
  code->ports = ARENA_ARRAY(&code->arena, Port, code->port_count);
  if (!code->ports) return KILN_OUT_OF_MEMORY;
  for (size_t i = 0; i < code->input_count; ++i) {
    Port *port = &code->ports[i];
    describe_port(code, port, graph->inputs.items[i]);
    if (!code->plan.packs[i].packed) continue;
    port->pack = &code->plan.packs[i];
    if (!port->is_fixed || rt_blob_describe(&port->pack->type, NULL, &port->header)) continue;
    text_printf(why, "input '%s' is larger than memory when packed\n", port->name);
    return KILN_UNSUPPORTED;
  }
  for (size_t i = 0; i < code->output_count; ++i)
    describe_port(code, &code->ports[code->input_count + i], graph->outputs.items[i]);
  return KILN_OK;
}

/* ---- names and key ----------------------------------------------------------------------------------------------- */

/* `kiln_gemm_f32_8x48_1a2b3c4d`: template, type of the first input, register tile, and a hash of what else decides the
 * code. The hash leaves out LLVM and the generator's build, so that a kernel keeps its name while Kiln is worked on. */
static void choose_name(Code *code, const Text *key) {
  const Schedule *schedule = &code->plan.schedule;
  Text name;
  text_init(&name, &code->engine->allocator);
  text_printf(&name, "kiln_%s", code->plan.template->name);
  if (code->input_count > 0) text_printf(&name, "_%s", kiln_type_name(code->ports[0].node->type));
  if (schedule->set[FIELD_mr] && schedule->set[FIELD_nr])
    text_printf(&name, "_%lldx%lld", (long long)schedule->values[FIELD_mr], (long long)schedule->values[FIELD_nr]);
  JitKey hash = jit_key_make(text_get(key), key->length);
  text_printf(&name, "_%02x%02x%02x%02x", hash.bytes[0], hash.bytes[1], hash.bytes[2], hash.bytes[3]);
  code->name = arena_copy(&code->arena, text_get(&name), name.length);
  code->arena.failed |= name.failed;
  text_release(&name);
}

/* What the kernels say, whatever they are called: BLAKE3 of their tile IR. It says all of the graph that the code
 * knows, and no size that is passed, so graphs of one kind have the same. */
static kiln_status print_tile_hash(const Code *code, Text *out) {
  Module *module = tmpl_build(&code->plan, "kernel", &code->engine->allocator);
  if (!module) return KILN_OUT_OF_MEMORY;
  Text tile;
  text_init(&tile, &code->engine->allocator);
  tile_print(module, &tile);
  module_destroy(module);
  char name[JIT_KEY_NAME_BYTES];
  JitKey hash = jit_key_make(text_get(&tile), tile.length);
  jit_key_name(&hash, name);
  text_printf(out, "tile %s\n", name);
  out->failed |= tile.failed;
  text_release(&tile);
  return KILN_OK;
}

/* The content key: what decides the code, then the versions of everything between here and the object. */
static void choose_key(Code *code) {
  Text key;
  text_init(&key, &code->engine->allocator);
  rt_plan_print_key(&code->plan, &key);
  if (print_tile_hash(code, &key)) code->arena.failed = true;
  choose_name(code, &key);
  text_printf(&key, "name %s\nargs %d\nobject %d\nllvm ", code->name, KILN_ARGS_VERSION, JIT_OBJECT_FORMAT);
  jit_llvm_version(&key);
  text_printf(&key, "\nbuild %s\n%s", jit_build_id(), code->engine->has_lines ? "lines\n" : "");
  code->key_length = key.length;
  code->key_text = arena_copy(&code->arena, text_get(&key), key.length);
  JitKey hash = jit_key_make(code->key_text, key.length);
  jit_key_name(&hash, code->key_name);
  code->arena.failed |= key.failed;
  text_release(&key);
}

/* Schedule and features as kiln_kernel_describe shows them. */
static void print_texts(Code *code) {
  Text text;
  text_init(&text, &code->engine->allocator);
  Schedule shown = code->plan.schedule;
  /* Passed fields are part of what was decided only where the caller fixed them. */
  for (size_t i = 0; i < FIELD_COUNT; ++i)
    if (field_info((Field)i)->kind == FIELD_PASSED) shown.set[i] = shown.fixed[i];
  rt_print_schedule(&shown, &text);
  code->schedule = arena_copy(&code->arena, text_get(&text), text.length);
  text_clear(&text);
  features_print(code->plan.problem.target->features, &text);
  code->features = arena_copy(&code->arena, text_get(&text), text.length);
  code->arena.failed |= text.failed;
  text_release(&text);
}

/* ---- a planned Code ---------------------------------------------------------------------------------------------- */

static kiln_status plan_code(Code *code, const Request *request, const char *graph_text, Text *why) {
  kiln_status status = copy_graph(code, request->problem.graph, graph_text, why);
  if (status) return status;
  status = rt_tuned_plan(code, request, why);
  if (!status) status = describe_ports(code, why);
  if (status) return status;
  choose_key(code);
  print_texts(code);
  return arena_has_failed(&code->arena) ? KILN_OUT_OF_MEMORY : KILN_OK;
}

kiln_status rt_code_plan(kiln_engine *engine, const Request *request, const char *graph_text, Code **code, Text *why) {
  Code *made = engine->allocator.alloc(engine->allocator.ctx, sizeof *made, _Alignof(Code));
  if (!made) return KILN_OUT_OF_MEMORY;
  *made = (Code){.engine = engine};
  atomic_init(&made->references, 1);
  atomic_fetch_add_explicit(&engine->references, 1, memory_order_relaxed);
  arena_init(&made->arena, &engine->allocator);
  kiln_status status = plan_code(made, request, graph_text, why);
  if (status) rt_code_release(made);
  else *code = made;
  return status;
}
