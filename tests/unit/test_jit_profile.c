/* What perf and gdb are told about loaded code. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jit/jit.h"
#include "tests/cache/kernels.h"
#include "tests/unit/bytes.h"

/* gdb's interface, as libLLVM implements it: a list of ELF images. */
typedef struct GdbEntry {
  struct GdbEntry *next, *previous;
  const char *image;
  uint64_t bytes;
} GdbEntry;
extern struct {
  uint32_t version, action;
  GdbEntry *relevant, *first;
} __jit_debug_descriptor;

typedef struct Setting {
  char directory[64];
  JitSession *session;
  JitBuffer object;
  JitCode *code;
  int warnings;
} Setting;

static void count_warning(void *ctx, kiln_log_level level, const char *message) {
  (void)message;
  if (level == KILN_LOG_WARNING) ++*(int *)ctx;
}

static Setting set_up(JitSessionOptions options) {
  Setting setting = {.directory = "/tmp/kiln-profile-XXXXXX", .object = make_object("k")};
  cr_assert_not_null(mkdtemp(setting.directory));
  if (options.perf_map_dir) options.perf_map_dir = setting.directory;
  if (options.jitdump_dir) options.jitdump_dir = setting.directory;
  cr_assert_eq(jit_session_create(&options, &setting.session, NULL), KILN_OK);
  cr_assert_eq(jit_load(setting.session, setting.object.data, setting.object.size, "test", &setting.code, NULL),
               KILN_OK);
  return setting;
}

/* Ends the session and reads the file it wrote, whose name holds the process number. */
static size_t tear_down(Setting *setting, const char *kind, const char *ending, uint8_t *bytes, size_t limit) {
  char path[128];
  size_t size = 0;
  jit_unload(setting->code);
  jit_session_destroy(setting->session);
  jit_buffer_release(&setting->object);
  snprintf(path, sizeof path, "%s/%s-%d%s", setting->directory, kind, (int)getpid(), ending);
  FILE *file = fopen(path, "rb");
  if (file) {
    size = fread(bytes, 1, limit - 1, file);
    bytes[size] = 0;
    fclose(file);
    remove(path);
  }
  rmdir(setting->directory);
  return size;
}

Test(jit_profile, perf_map_names_every_function) {
  static uint8_t text[4096];
  char expected[64];
  Setting setting = set_up((JitSessionOptions){.perf_map_dir = ""});
  void *address = jit_symbol(setting.code, "add_tasks");
  cr_assert_gt(tear_down(&setting, "perf", ".map", text, sizeof text), 0);
  snprintf(expected, sizeof expected, "%llx 6 add_tasks\n", (unsigned long long)(uintptr_t)address);
  cr_expect_not_null(strstr((char *)text, expected), "%s", (char *)text);
  cr_expect_not_null(strstr((char *)text, " add\n"));
  cr_expect_not_null(strstr((char *)text, " add_workspace\n"));
}

/* Of all sessions of the process: one header, and no number twice. */
Test(jit_profile, jitdump_holds_every_functions_code) {
  static uint8_t bytes[16384];
  uint8_t code[6];
  Setting setting = set_up((JitSessionOptions){.jitdump_dir = ""});
  void *address = jit_symbol(setting.code, "add_tasks");
  memcpy(code, address, sizeof code);
  JitSessionOptions options = {.jitdump_dir = setting.directory};
  JitSession *other;
  JitCode *copy;
  cr_assert_eq(jit_session_create(&options, &other, NULL), KILN_OK);
  cr_assert_eq(jit_load(other, setting.object.data, setting.object.size, "test", &copy, NULL), KILN_OK);
  size_t size = tear_down(&setting, "jit", ".dump", bytes, sizeof bytes);
  cr_assert_geq(size, 40);
  cr_expect_eq(read_number(bytes, 4), 0x4A695444);
  cr_expect_eq(read_number(bytes + 20, 4), (uint64_t)getpid());
  size_t loads = 0, at = read_number(bytes + 8, 4);
  for (; at + 16 <= size && read_number(bytes + at, 4) == 0; at += read_number(bytes + at + 4, 4), ++loads) {
    const char *name = (const char *)bytes + at + 56;
    cr_expect_eq(read_number(bytes + at + 48, 8), at);
    if (strcmp(name, "add_tasks") != 0) continue;
    if (loads < 3) cr_expect_eq(read_number(bytes + at + 32, 8), (uintptr_t)address);
    cr_expect_eq(memcmp(name + strlen(name) + 1, code, sizeof code), 0);
  }
  cr_expect_eq(loads, 6);
  cr_expect_eq(at, size);
  jit_unload(copy);
  jit_session_destroy(other);
}

Test(jit_profile, gdb_sees_code_while_it_is_loaded) {
  static uint8_t unused[8];
  cr_expect_null(__jit_debug_descriptor.first);
  Setting setting = set_up((JitSessionOptions){.register_with_gdb = true});
  GdbEntry *entry = __jit_debug_descriptor.first;
  cr_assert_not_null(entry);
  cr_expect_eq(memcmp(entry->image, "\177ELF", 4), 0);
  cr_expect_null(entry->next);
  tear_down(&setting, "none", "", unused, sizeof unused);
  cr_expect_null(__jit_debug_descriptor.first);
}

Test(jit_profile, files_that_cannot_be_written_are_events) {
  int warnings = 0;
  kiln_log log = {&warnings, count_warning};
  JitSession *session;
  JitSessionOptions options = {.log = &log, .perf_map_dir = "/dev/null/no", .jitdump_dir = "/dev/null/no"};
  cr_assert_eq(jit_session_create(&options, &session, NULL), KILN_OK);
  cr_expect_eq(warnings, 2);
  jit_session_destroy(session);
}
