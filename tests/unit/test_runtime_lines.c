/* Kernels of an engine with KILN_PROFILE_LINES know which line of their tile IR an address comes from. */
#include "tests/unit/runtime_help.h"

static const char product[] = "x: f32[30, 40]; w: const f32[40, 50]; y = x @ w; return y";

/* Which of the text's lines holds this, from 1 on. */
static int32_t line_of(const char *text, const char *words) {
  const char *found = strstr(text, words);
  int32_t line = 1;
  cr_assert_not_null(found);
  for (; text < found; ++text) line += *text == '\n';
  return line;
}

static int32_t lines_in(const char *text) {
  int32_t lines = 0;
  for (; *text; ++text) lines += *text == '\n';
  return lines;
}

Test(runtime_lines, kernels_know_theirs) {
  Place place;
  place_init(&place);
  kiln_engine *engine;
  kiln_engine_options options = place_options(&place);
  options.profile = KILN_PROFILE_LINES;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  for (int round = 0; round < 2; ++round) { /* compiled, and from the disk */
    kiln_kernel *kernel;
    kiln_kernel_info info;
    kiln_buffer tile;
    kiln_graph *graph = graph_of(product);
    cr_assert_eq(kiln_compile(engine, graph, NULL, &kernel), KILN_OK);
    cr_assert_eq(kiln_dump(engine, graph, NULL, KILN_STAGE_TILE, &tile), KILN_OK);
    kiln_kernel_describe(kernel, &info);
    cr_expect_eq(info.cache, round == 0 ? KILN_COLD : KILN_DISK);
    /* The kernel's own code, then that of the one that packs w. */
    const char *entry = (const char *)(uintptr_t)kiln_kernel_function(kernel);
    int32_t own = line_of(tile.data, "\n}\n"), packing = line_of(tile.data, "_pack_w(");
    int32_t wanted = line_of(tile.data, " = mma "), total = lines_in(tile.data), highest = 0;
    bool seen = false, packs = false;
    for (size_t i = 0; i < info.code_bytes; ++i) {
      int32_t line = kiln_kernel_line(kernel, entry + i);
      cr_assert(line >= 0 && line <= total, "%d", (int)line);
      cr_assert(!packs || line == 0 || line >= packing, "%d after the code of %d", (int)line, (int)highest);
      highest = line > highest ? line : highest;
      seen |= line == wanted;
      packs |= line >= packing;
    }
    cr_expect(seen && packs && own < packing);
    cr_expect_eq(kiln_kernel_line(kernel, entry - (1 << 20)), 0);
    cr_expect_eq(kiln_kernel_line(kernel, entry + (1 << 20)), 0);
    cr_expect_eq(kiln_kernel_line(NULL, entry), 0);
    kiln_buffer_free(&tile);
    kiln_kernel_release(kernel);
    kiln_graph_destroy(graph);
    kiln_engine_trim(engine);
  }
  kiln_engine_destroy(engine);
  place_release(&place);
}

Test(runtime_lines, an_engine_without_them_has_other_objects) {
  Place place;
  place_init(&place);
  kiln_kernel_info infos[2];
  char keys[2][80];
  for (int i = 0; i < 2; ++i) {
    kiln_engine *engine;
    kiln_kernel *kernel;
    kiln_engine_options options = place_options(&place);
    options.profile = i == 0 ? 0 : KILN_PROFILE_LINES;
    cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
    cr_assert_eq(kiln_compile_text(engine, product, NULL, &kernel), KILN_OK);
    kiln_kernel_describe(kernel, &infos[i]);
    cr_expect_eq(infos[i].cache, KILN_COLD);
    snprintf(keys[i], sizeof keys[i], "%s", infos[i].key);
    if (i == 0) cr_expect_eq(kiln_kernel_line(kernel, (const void *)(uintptr_t)kiln_kernel_function(kernel)), 0);
    kiln_kernel_release(kernel);
    kiln_engine_destroy(engine);
  }
  cr_expect_neq(strcmp(keys[0], keys[1]), 0);
  place_release(&place);
}
