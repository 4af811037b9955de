/* dump.c: any stage of a graph's way to bytes: graph, dot, tile IR, LLVM IR, assembly, object. */
#include "runtime/runtime.h"

bool rt_output_of(kiln_stage stage, JitOutput *output) {
  switch (stage) {
  case KILN_STAGE_LLVM: *output = JIT_OUTPUT_LLVM; return true;
  case KILN_STAGE_ASM: *output = JIT_OUTPUT_ASSEMBLY; return true;
  case KILN_STAGE_OBJECT: *output = JIT_OUTPUT_OBJECT; return true;
  case KILN_STAGE_GRAPH:
  case KILN_STAGE_TILE:
  case KILN_STAGE_DOT: break;
  }
  return false;
}

kiln_status rt_plan_request(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options, Code **code,
                            Text *why) {
  Request request;
  kiln_status status = rt_request_read(engine, graph, NULL, 0, options, &request, why);
  if (status) return status;
  Text text;
  text_init(&text, &engine->allocator);
  graph_print(graph, true, &text);
  status = text.failed ? KILN_OUT_OF_MEMORY : rt_code_plan(engine, &request, text_get(&text), code, why);
  text_release(&text);
  return status;
}

/* The graph as it reads canonically, before any plan: also of a graph that no template takes. */
static kiln_status dump_graph(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                              kiln_stage stage, kiln_buffer *out, Text *why) {
  Request request;
  kiln_status status = rt_request_read(engine, graph, NULL, 0, options, &request, why);
  if (status) return status;
  Text text;
  text_init(&text, &engine->allocator);
  if (stage == KILN_STAGE_DOT) graph_print_dot(graph, &text);
  else graph_print(graph, false, &text);
  return rt_hand_out(&text, out);
}

static kiln_status dump_tile(const Code *code, kiln_buffer *out, Text *why) {
  Module *module;
  kiln_status status = rt_code_build(code, code->name, NULL, &module, why);
  if (status) return status;
  Text text;
  text_init(&text, &code->engine->allocator);
  tile_print(module, &text);
  module_destroy(module);
  return rt_hand_out(&text, out);
}

/* What LLVM sees or makes. */
static kiln_status dump_output(const Code *code, JitOutput output, kiln_buffer *out, Text *why) {
  JitBuffer bytes = {0};
  kiln_status status = rt_code_compile(code, NULL, output, NULL, &bytes, why);
  if (!status) status = rt_hand_out_bytes(bytes.data, bytes.size, &code->engine->allocator, out);
  jit_buffer_release(&bytes);
  return status;
}

static kiln_status dump(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options, kiln_stage stage,
                        kiln_buffer *out, Text *why) {
  JitOutput output;
  if (stage == KILN_STAGE_GRAPH || stage == KILN_STAGE_DOT) return dump_graph(engine, graph, options, stage, out, why);
  bool compiles = rt_output_of(stage, &output);
  if (!compiles && stage != KILN_STAGE_TILE) {
    text_printf(why, "stage: there is none of number %d\n", (int)stage);
    return KILN_INVALID_ARGUMENT;
  }
  Code *code;
  kiln_status status = rt_plan_request(engine, graph, options, &code, why);
  if (status) return status;
  rt_code_warn(code);
  status = compiles ? dump_output(code, output, out, why) : dump_tile(code, out, why);
  rt_code_release(code);
  return status;
}

kiln_status kiln_dump(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options, kiln_stage stage,
                      kiln_buffer *out) {
  kiln_buffer *message = rt_message_of(options);
  if (!engine || !graph || !out) return KILN_INVALID_ARGUMENT;
  Text why;
  text_init(&why, &engine->allocator);
  kiln_status status = dump(engine, graph, options, stage, out, &why);
  rt_hand_out_message(&why, message);
  return status;
}
