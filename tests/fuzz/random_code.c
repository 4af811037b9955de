/* random_code.c: one memory for the interpreter and one for the code, filled alike; all elements are compared. */
#include "tests/fuzz/random_code.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 64 };

/* What a kernel runs on. */
typedef struct Memory {
  void *buffers[RANDOM_BUFFERS];
  void *workspace;
  kiln_args args;
} Memory;

static void *take(size_t bytes) {
  void *memory = aligned_alloc(PAGE, (bytes + PAGE) / PAGE * PAGE);
  KILN_ASSERT(memory);
  return memory;
}

static void take_memory(Memory *memory, const RandomTile *tile, size_t workspace_bytes) {
  for (size_t i = 0; i < tile->buffer_count; i++) {
    memory->buffers[i] = take(random_tile_bytes(tile, i));
    random_tile_fill(tile, i, memory->buffers[i]);
  }
  memory->workspace = take(workspace_bytes);
  memory->args = (kiln_args){.buffers = memory->buffers, .dims = tile->symbols, .workspace = memory->workspace};
}

static void release_memory(Memory *memory) {
  for (size_t i = 0; i < RANDOM_BUFFERS; i++) free(memory->buffers[i]);
  free(memory->workspace);
}

static bool is_equal(RandomRole role, double expected, double found) {
  if (isnan(expected) || isnan(found)) return isnan(expected) && isnan(found);
  if (role != RANDOM_NEAR || isinf(expected)) return expected == found;
  return fabs(expected - found) <= 1e-6 + 1e-5 * fabs(expected);
}

static bool is_same_memory(const RandomTile *tile, const Memory *expected, const Memory *found, Text *why) {
  for (size_t i = 0; i < tile->buffer_count; i++) {
    const RandomBuffer *buffer = &tile->buffers[i];
    kiln_type type = buffer->type->type;
    for (int64_t at = 0; at < buffer->elements; at++) {
      double x = type_load(type, expected->buffers[i], (size_t)at);
      double y = type_load(type, found->buffers[i], (size_t)at);
      if (is_equal(buffer->role, x, y)) continue;
      text_printf(why, "%%%s differs at element %lld: the interpreter gives %.17g, the code %.17g\n",
                  tile->module->kernels.items[0]->buffers.items[i]->name, (long long)at, x, y);
      return false;
    }
  }
  return true;
}

static bool is_good(kiln_status status, const char *what, kiln_buffer *message, Text *why) {
  if (status != KILN_OK)
    text_printf(why, "%s: %s: %s\n", what, kiln_status_name(status), message->data ? message->data : "");
  kiln_buffer_free(message);
  *message = (kiln_buffer){0};
  return status == KILN_OK;
}

static bool run(const RandomTile *tile, kiln_engine *engine, const kiln_tile *parsed, const char *target, Text *why) {
  Memory expected = {0}, found = {0};
  kiln_buffer message = {0};
  kiln_tile_code *code = NULL;
  int64_t tasks;
  size_t workspace_bytes;
  kiln_status status = kiln_tile_query(parsed, 0, tile->symbols, &tasks, &workspace_bytes);
  if (!is_good(status, "query", &message, why)) return false;
  status = kiln_tile_compile(engine, parsed, target, &code, &message);
  if (!is_good(status, "compile", &message, why)) return false;
  take_memory(&expected, tile, workspace_bytes);
  take_memory(&found, tile, workspace_bytes);
  status = kiln_tile_interpret(parsed, 0, &expected.args, workspace_bytes, &message);
  bool agrees = is_good(status, "interpret", &message, why);
  if (agrees) {
    void *function = kiln_tile_function(code, "random");
    kiln_entry *entry;
    memcpy(&entry, &function, sizeof entry);
    for (int64_t task = 0; task < tasks; task++) entry(&found.args, task);
    agrees = is_same_memory(tile, &expected, &found, why);
  }
  kiln_tile_code_release(code);
  release_memory(&expected);
  release_memory(&found);
  return agrees;
}

bool random_code_agrees(const RandomTile *tile, kiln_engine *engine, const char *target, Text *why) {
  kiln_tile *parsed = NULL;
  kiln_buffer message = {0};
  Text text;
  text_init(&text, NULL);
  tile_print(tile->module, &text);
  kiln_status status = kiln_tile_parse(text_get(&text), text.length, NULL, &parsed, &message);
  bool agrees = is_good(status, "parse", &message, why) && run(tile, engine, parsed, target, why);
  kiln_tile_destroy(parsed);
  if (!agrees) {
    text_printf(why, "seed %llu, target %s, symbols", (unsigned long long)tile->seed,
                target ? target : "of this machine");
    for (int i = 0; i < RANDOM_SYMBOLS; i++) text_printf(why, " %lld", (long long)tile->symbols[i]);
    text_printf(why, "\n%s", text_get(&text));
  }
  text_release(&text);
  return agrees;
}
