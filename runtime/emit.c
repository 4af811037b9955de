/* emit.c: ahead of time: an object for any target, and the header that goes with it. */
#include "runtime/runtime.h"

/* A name that C and the assembler both take. */
static bool is_identifier(const char *name) {
  if (!*name || (*name >= '0' && *name <= '9')) return false;
  for (const char *c = name; *c; ++c) {
    bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
    if (!letter && (*c < '0' || *c > '9')) return false;
  }
  return true;
}

static kiln_status emit_header(const Code *code, const char *name, kiln_buffer *header) {
  Text text;
  text_init(&text, &code->engine->allocator);
  kiln_status status = rt_print_header(code, name, &text);
  if (!status) return rt_hand_out(&text, header);
  text_release(&text);
  return status;
}

static kiln_status emit_object(const Code *code, const char *name, kiln_buffer *object, Text *why) {
  JitBuffer bytes = {0};
  kiln_status status = rt_code_compile(code, name, JIT_OUTPUT_OBJECT, NULL, &bytes, why);
  if (!status) status = rt_hand_out_bytes(bytes.data, bytes.size, &code->engine->allocator, object);
  jit_buffer_release(&bytes);
  return status;
}

/* Header first: it is cheap, and freed where compiling fails, so that both buffers are filled or none. */
static kiln_status emit(const Code *code, const char *name, kiln_buffer *object, kiln_buffer *header, Text *why) {
  kiln_buffer text = {0};
  kiln_status status = header ? emit_header(code, name, &text) : KILN_OK;
  if (!status && object) status = emit_object(code, name, object, why);
  if (status) kiln_buffer_free(&text);
  else if (header) *header = text;
  return status;
}

kiln_status kiln_emit(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                      const char *symbol_name, kiln_buffer *object, kiln_buffer *header) {
  kiln_buffer *message = rt_message_of(options);
  if (!engine || !graph) return KILN_INVALID_ARGUMENT;
  Text why;
  Code *code;
  text_init(&why, &engine->allocator);
  kiln_status status = KILN_INVALID_ARGUMENT;
  if (symbol_name && !is_identifier(symbol_name))
    text_printf(&why, "symbol name: '%s' is no C identifier\n", symbol_name);
  else status = rt_plan_request(engine, graph, options, &code, &why);
  if (!status) {
    rt_code_warn(code);
    status = emit(code, symbol_name ? symbol_name : code->name, object, header, &why);
    rt_code_release(code);
  }
  rt_hand_out_message(&why, message);
  return status;
}
