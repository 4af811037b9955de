/* Looking: stages of a graph, explanations, objects ahead of time, the entries of the cache. */
#include "tests/unit/runtime_help.h"

typedef struct Setup {
  Place place;
  kiln_engine *engine;
  kiln_graph *graph;
} Setup;

static void set_up(Setup *s, const char *text) {
  place_init(&s->place);
  s->engine = place_engine(&s->place);
  s->graph = graph_of(text);
}

static void tear_down(Setup *s) {
  kiln_graph_destroy(s->graph);
  kiln_engine_destroy(s->engine);
  place_release(&s->place);
}

static void expect_has(const kiln_buffer *buffer, const char *word) {
  cr_expect(buffer->data && strstr(buffer->data, word), "'%s' is not in: %.2000s", word, buffer->data);
}

Test(runtime_look, dumps_every_stage) {
  static const struct {
    kiln_stage stage;
    const char *word;
  } rows[] = {
      {KILN_STAGE_GRAPH, "gelu("}, {KILN_STAGE_DOT, "digraph"}, {KILN_STAGE_TILE, "kernel @kiln_gemm_f32_"},
      {KILN_STAGE_LLVM, "define"}, {KILN_STAGE_ASM, "ret"},     {KILN_STAGE_OBJECT, "\177ELF"},
  };
  Setup s;
  set_up(&s, GELU);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
    kiln_buffer out;
    cr_assert_eq(kiln_dump(s.engine, s.graph, NULL, rows[i].stage, &out), KILN_OK);
    expect_has(&out, rows[i].word);
    cr_expect_eq(out.data[out.size], 0);
    kiln_buffer_free(&out);
  }
  tear_down(&s);
}

Test(runtime_look, dump_refuses) {
  Setup s;
  kiln_buffer out, message;
  kiln_compile_options options = {.size = sizeof options, .message = &message, .target = "none"};
  set_up(&s, GELU);
  cr_expect_eq(kiln_dump(NULL, s.graph, NULL, KILN_STAGE_ASM, &out), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_dump(s.engine, NULL, NULL, KILN_STAGE_ASM, &out), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_dump(s.engine, s.graph, NULL, KILN_STAGE_ASM, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_dump(s.engine, s.graph, NULL, (kiln_stage)42, &out), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_dump(s.engine, s.graph, &options, KILN_STAGE_ASM, &out), KILN_NOT_FOUND);
  expect_has(&message, "'none'");
  kiln_buffer_free(&message);
  tear_down(&s);
}

Test(runtime_look, explains) {
  Setup s;
  kiln_buffer out;
  set_up(&s, GELU);
  cr_assert_eq(kiln_explain(s.engine, s.graph, NULL, (int64_t[]){384}, false, &out), KILN_OK);
  expect_has(&out, "template  gemm");
  expect_has(&out, "schedule  mr=");
  expect_has(&out, "flop");
  kiln_buffer_free(&out);
  cr_assert_eq(kiln_explain(s.engine, s.graph, NULL, NULL, false, &out), KILN_OK);
  expect_has(&out, "unknown until the symbols are bound");
  kiln_buffer_free(&out);
  cr_assert_eq(kiln_explain(s.engine, s.graph, NULL, (int64_t[]){384}, true, &out), KILN_OK);
  expect_has(&out, "\"template\":\"gemm\"");
  expect_has(&out, "\"flops\":");
  cr_expect(strchr(out.data, '\n') == out.data + out.size - 1, "one object on one line");
  kiln_buffer_free(&out);
  cr_expect_eq(kiln_explain(s.engine, s.graph, NULL, (int64_t[]){-3}, false, &out), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_explain(NULL, s.graph, NULL, NULL, false, &out), KILN_INVALID_ARGUMENT);
  tear_down(&s);
  set_up(&s, ROWS);
  cr_assert_eq(kiln_explain(s.engine, s.graph, NULL, NULL, true, &out), KILN_OK);
  expect_has(&out, "\"is_fallback\":true,\"refusals\":[\"gemm: ");
  kiln_buffer_free(&out);
  tear_down(&s);
}

Test(runtime_look, emits_for_every_target) {
  Setup s;
  kiln_buffer targets;
  set_up(&s, GELU);
  cr_assert_eq(kiln_list(KILN_TABLE_TARGETS, false, &targets), KILN_OK);
  for (char *line = targets.data; *line; line += strcspn(line, "\n") + 1) {
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
    kiln_compile_options options = {.size = sizeof options, .target = name};
    kiln_buffer object, header;
    cr_assert_eq(kiln_emit(s.engine, s.graph, &options, "layer", &object, &header), KILN_OK, "%s", name);
    cr_expect_eq(memcmp(object.data, "\177ELF", 4), 0);
    expect_has(&header, "void layer(const kiln_args *args, int64_t task);");
    expect_has(&header, "void layer_pack_w(const kiln_args *args, int64_t task);");
    expect_has(&header, name);
    kiln_buffer_free(&object);
    kiln_buffer_free(&header);
  }
  kiln_buffer_free(&targets);
  tear_down(&s);
}

Test(runtime_look, emit_refuses) {
  Setup s;
  kiln_buffer object, message;
  kiln_compile_options options = {.size = sizeof options, .message = &message};
  set_up(&s, GELU);
  cr_expect_eq(kiln_emit(s.engine, s.graph, &options, "not a name", &object, NULL), KILN_INVALID_ARGUMENT);
  expect_has(&message, "'not a name'");
  kiln_buffer_free(&message);
  cr_expect_eq(kiln_emit(s.engine, s.graph, &options, "1st", &object, NULL), KILN_INVALID_ARGUMENT);
  kiln_buffer_free(&message);
  cr_expect_eq(kiln_emit(NULL, s.graph, &options, "name", &object, NULL), KILN_INVALID_ARGUMENT);
  tear_down(&s);
}

/* The object and header make a program without libkiln, which computes the same. */
static const char driver[] = "#include \"layer.h\"\n#include <stdio.h>\n#include <stdlib.h>\n"
                             "int main(void) {\n"
                             "  enum { M = 21, K = 50, N = 90 };\n"
                             "  static float x[M * K], w[K * N], b[N], y[M * N];\n"
                             "  int64_t symbols[layer_SYMBOLS] = {M, K, N}, dims[layer_DIMS];\n"
                             "  layer_bind(symbols, dims);\n"
                             "  if (layer_packed_bytes_w(symbols) != PACKED_BYTES) return 3;\n"
                             "  for (int i = 0; i < M * K; i++) x[i] = i % 5 - 2;\n"
                             "  for (int i = 0; i < K * N; i++) w[i] = i % 7 - 3;\n"
                             "  for (int i = 0; i < N; i++) b[i] = i % 3;\n"
                             "  void *packed = aligned_alloc(64, (layer_packed_bytes_w(symbols) + 63) / 64 * 64);\n"
                             "  void *pack[] = {w, packed}, *buffers[layer_BUFFERS] = {x, packed, b, y};\n"
                             "  kiln_args packing = {pack, symbols, 0}, args = {buffers, dims, 0};\n"
                             "  for (int64_t t = 0; t < layer_pack_w_tasks(&packing); t++) layer_pack_w(&packing, t);\n"
                             "  if (layer_workspace(&args) != 0) return 2;\n"
                             "  for (int64_t t = 0; t < layer_tasks(&args); t++) layer(&args, t);\n"
                             "  for (int i = 0; i < M; i++)\n"
                             "    for (int j = 0; j < N; j++) {\n"
                             "      float sum = b[j];\n"
                             "      for (int p = 0; p < K; p++) sum += x[i * K + p] * w[p * N + j];\n"
                             "      if (y[i * N + j] != (sum > 0 ? sum : 0)) return 1;\n"
                             "    }\n"
                             "  return 0;\n}\n";

static void write_file(const Place *place, const char *name, const char *data, size_t size) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", place->root, name);
  FILE *file = fopen(path, "wb");
  cr_assert(file && fwrite(data, 1, size, file) == size);
  fclose(file);
}

Test(runtime_look, emitted_code_links_and_runs, .timeout = 60) {
  static const char text[] = "x: f32[m, k]; w: const f32[k, n]; b: f32[n]; y: f32 = relu(x @ w + b); return y";
  Setup s;
  kiln_buffer object, header;
  char command[1024];
  size_t bytes;
  set_up(&s, text);
  cr_assert_eq(kiln_emit(s.engine, s.graph, NULL, "layer", &object, &header), KILN_OK);
  kiln_kernel *kernel = compile(s.engine, text);
  cr_assert_eq(kiln_packed_bytes(kernel, 1, (int64_t[]){21, 50, 90}, &bytes), KILN_OK);
  kiln_kernel_release(kernel);
  write_file(&s.place, "layer.o", object.data, object.size);
  write_file(&s.place, "layer.h", header.data, header.size);
  write_file(&s.place, "main.c", driver, sizeof driver - 1);
  kiln_buffer_free(&object);
  kiln_buffer_free(&header);
  /* Alone, and with the library's headers before and after its own. */
  snprintf(command, sizeof command,
           "cd %s && export CFLAGS='-std=c11 -Wall -Wextra -Werror -I. -I" KILN_SOURCE_DIR
           "/include -DPACKED_BYTES=%zu' && "
           "cc $CFLAGS main.c layer.o -o main && ./main && cc $CFLAGS -include kiln/kiln.h -c main.c && "
           "cc $CFLAGS -include layer.h -include kiln/kiln.h -c main.c",
           s.place.root, bytes - 128);
  cr_expect_eq(system(command), 0);
  tear_down(&s);
}

/* ---- the cache --------------------------------------------------------------------------------------------------- */

typedef struct Seen {
  int count, stop_after;
  int64_t last_used;
  char graphs[1024];
} Seen;

static bool see(void *ctx, const kiln_cache_entry *entry) {
  Seen *seen = ctx;
  cr_expect_eq(strlen(entry->key), 64);
  cr_expect(entry->writable && entry->bytes > 0 && !entry->fault, "%s", entry->fault);
  cr_expect(entry->target[0] && entry->template_[0] && entry->schedule[0]);
  cr_expect(seen->count == 0 || entry->used <= seen->last_used, "newest first");
  seen->last_used = entry->used;
  strncat(seen->graphs, entry->graph, sizeof seen->graphs - strlen(seen->graphs) - 1);
  return ++seen->count != seen->stop_after;
}

Test(runtime_look, cache_entries) {
  Setup s;
  size_t sound = 99, removed = 99;
  set_up(&s, GELU);
  kiln_kernel_release(compile(s.engine, GELU));
  kiln_kernel_release(compile(s.engine, SMALL));
  cr_expect_str_eq(kiln_cache_directory(s.engine), s.place.cache);
  Seen seen = {0};
  cr_assert_eq(kiln_cache_visit(s.engine, see, &seen), KILN_OK);
  cr_expect_eq(seen.count, 2);
  cr_expect(strstr(seen.graphs, GELU) && strstr(seen.graphs, SMALL));
  seen = (Seen){.stop_after = 1};
  cr_assert_eq(kiln_cache_visit(s.engine, see, &seen), KILN_OK);
  cr_expect_eq(seen.count, 1);
  cr_assert_eq(kiln_cache_verify(s.engine, &sound, &removed), KILN_OK);
  cr_expect(sound == 2 && removed == 0);
  cr_assert_eq(kiln_cache_prune(s.engine, 1, &removed), KILN_OK);
  cr_expect_eq(removed, 2);
  cr_assert_eq(kiln_cache_prune(s.engine, 0, &removed), KILN_OK);
  cr_expect_eq(removed, 0);
  cr_expect_eq(kiln_cache_visit(s.engine, NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_cache_visit(NULL, see, &seen), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_cache_verify(NULL, NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_cache_prune(NULL, 0, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_str_empty(kiln_cache_directory(NULL));
  tear_down(&s);
}

/* A cache that cannot be used is said when it is looked at, and costs compiles only recompiling. */
Test(runtime_look, cache_that_cannot_be_used) {
  Place place;
  place_init(&place);
  write_file(&place, "cache", "not a directory", 15);
  kiln_engine *engine = place_engine(&place);
  Seen seen = {0};
  cr_expect_eq(kiln_cache_visit(engine, see, &seen), KILN_IO);
  cr_expect_eq(kiln_cache_verify(engine, NULL, NULL), KILN_IO);
  cr_expect_eq(kiln_cache_prune(engine, 0, NULL), KILN_IO);
  kiln_kernel *kernel = compile(engine, SMALL);
  cr_expect_eq(info_of(kernel).cache, KILN_COLD);
  cr_expect_gt(place.events[KILN_LOG_WARNING], 0);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}

/* A directory shipped with a program serves others who may not write to it. */
Test(runtime_look, cache_to_read_only) {
  Place place;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel_release(compile(engine, SMALL));
  kiln_engine_destroy(engine);
  kiln_engine_options options = place_options(&place);
  options.cache_dir = "";
  options.cache_path = place.cache;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  kiln_kernel *found = compile(engine, SMALL), *missed = compile(engine, GELU);
  cr_expect_eq(info_of(found).cache, KILN_DISK);
  cr_expect_eq(info_of(missed).cache, KILN_COLD);
  kiln_kernel_release(found);
  kiln_kernel_release(missed);
  kiln_engine_destroy(engine);
  place_release(&place);
}
