/* What `kiln run` does when the code is wrong: an object of other math lies in the cache, sealed, under the key of a
 * graph. Nothing but the comparison with the interpreter can find that. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "runtime/runtime.h"

#define GRAPH "x: f32[m, 8]; w: const f32[8, 16]; y = x @ w; return y"
#define WRONG "x: f32[m, 8]; w: const f32[8, 16]; y = x @ w * 1.001; return y"

static Code *plan(kiln_engine *engine, const char *text, kiln_graph **graph, Text *why) {
  Code *code;
  cr_assert_eq(kiln_graph_parse(text, strlen(text), NULL, graph), KILN_OK);
  cr_assert_eq(rt_plan_request(engine, *graph, NULL, &code, why), KILN_OK, "%s", text_get(why));
  return code;
}

/* Compiles WRONG with the names and the key of GRAPH, and stores it. */
static void poison_cache(const char *directory) {
  kiln_engine_options options = {.size = sizeof options, .cache_dir = directory};
  kiln_engine *engine;
  kiln_graph *right_graph, *wrong_graph;
  Text why;
  text_init(&why, NULL);
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  Code *right = plan(engine, GRAPH, &right_graph, &why), *wrong = plan(engine, WRONG, &wrong_graph, &why);
  Code mixed = *right;
  mixed.plan = wrong->plan;
  JitBuffer object = {0};
  cr_assert_eq(rt_code_compile(&mixed, NULL, JIT_OUTPUT_OBJECT, NULL, &object, &why), KILN_OK, "%s", text_get(&why));
  jit_cache_store(engine->cache, right->key_text, right->key_length, &object);
  jit_buffer_release(&object);
  rt_code_release(right);
  rt_code_release(wrong);
  kiln_graph_destroy(right_graph);
  kiln_graph_destroy(wrong_graph);
  kiln_engine_destroy(engine);
  text_release(&why);
}

/* Exit status of `kiln run GRAPH options`; its first 4 KiB of output go to `output`. */
static int run_command(const char *directory, const char *options, char output[4096]) {
  char line[1024];
  snprintf(line, sizeof line, "KILN_CACHE_DIR=%s %s run '%s' m=5 %s", directory, KILN_COMMAND, GRAPH, options);
  FILE *pipe = popen(line, "r");
  cr_assert_not_null(pipe);
  output[fread(output, 1, 4095, pipe)] = '\0';
  int status = pclose(pipe);
  cr_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

Test(cache_mismatch, is_found_by_the_comparison) {
  char directory[] = "/tmp/kiln-mismatch-XXXXXX", remove[64], output[4096];
  cr_assert_not_null(mkdtemp(directory));
  poison_cache(directory);
  cr_expect_eq(run_command(directory, "", output), 1);
  cr_expect_not_null(strstr(output, "(disk)"), "%s", output);
  cr_expect_not_null(strstr(output, "MISMATCH: error "), "%s", output);
  cr_expect_eq(run_command(directory, "--fill exact", output), 1);
  cr_expect_eq(run_command(directory, "--json --threads 1", output), 1);
  cr_expect_not_null(strstr(output, "\"cache\":\"disk\""), "%s", output);
  cr_expect_not_null(strstr(output, "\"match\":false"), "%s", output);
  cr_expect_eq(run_command(directory, "--quiet", output), 1);
  cr_expect_str_empty(output);
  /* The same command with an object of its own. */
  cr_expect_eq(run_command(directory, "--no-cache", output), 0);
  cr_expect_not_null(strstr(output, "\nmatch: error "), "%s", output);
  snprintf(remove, sizeof remove, "rm -r %s", directory);
  cr_expect_eq(system(remove), 0);
}
