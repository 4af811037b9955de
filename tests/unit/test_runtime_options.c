/* Engine options that shape what lies on disk: the size of the cache, and where profiles go. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kiln/kiln.h"

static void make_folder(char path[64]) {
  snprintf(path, 64, "/tmp/kiln-options-XXXXXX");
  cr_assert_not_null(mkdtemp(path));
}

static void remove_folder(const char *path) {
  char command[96];
  snprintf(command, sizeof command, "rm -r %s", path);
  cr_expect_eq(system(command), 0);
}

/* Files of a folder whose names begin and end so. */
static int count_files(const char *path, const char *begin, const char *end) {
  int count = 0;
  DIR *folder = opendir(path);
  cr_assert_not_null(folder);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    size_t length = strlen(entry->d_name), tail = strlen(end);
    bool begins = strncmp(entry->d_name, begin, strlen(begin)) == 0;
    count += begins && length >= tail && strcmp(entry->d_name + length - tail, end) == 0;
  }
  closedir(folder);
  return count;
}

static void compile(kiln_engine *engine, int size) {
  char graph[128];
  kiln_kernel *kernel;
  snprintf(graph, sizeof graph, "x: f32[m, %d]; w: f32[%d, 16]; y = x @ w; return y", size, size);
  cr_assert_eq(kiln_compile_text(engine, graph, NULL, &kernel), KILN_OK);
  kiln_kernel_release(kernel);
}

/* No kernel is as small as 1 KiB, so at most the newest stays. */
Test(runtime_options, cache_max_bytes_evicts) {
  char folder[64];
  make_folder(folder);
  kiln_engine_options options = {.size = sizeof options, .cache_dir = folder, .cache_max_bytes = 1024};
  kiln_engine *engine;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  for (int size = 1; size <= 4; ++size) compile(engine, size);
  cr_expect_leq(count_files(folder, "", ".o"), 1);
  kiln_engine_destroy(engine);
  options.cache_max_bytes = 0;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  for (int size = 1; size <= 4; ++size) compile(engine, size);
  cr_expect_eq(count_files(folder, "", ".o"), 4);
  kiln_engine_destroy(engine);
  remove_folder(folder);
}

Test(runtime_options, profile_dir_holds_the_jitdump) {
  char folder[64];
  make_folder(folder);
  kiln_engine_options options = {
      .size = sizeof options, .cache_dir = "", .profile = KILN_PROFILE_JITDUMP, .profile_dir = folder};
  kiln_engine *engine;
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  compile(engine, 8);
  kiln_engine_destroy(engine);
  cr_expect_eq(count_files(folder, "jit-", ".dump"), 1);
  remove_folder(folder);
}
