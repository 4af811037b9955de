/* profile.c: perf's map file and jitdump.
 *
 * LLVM's own writers hang on its older linker, which this library does not use, or are out of reach of its C API, so
 * the two formats are written here. The map is a line of text per function. The jitdump (tools/perf/Documentation/
 * jitdump-specification.txt of Linux) also holds the code, which `perf inject --jit` turns into files to annotate. perf
 * finds the dump because its first page is mapped executable. Neither format can take code back, and addresses are
 * reused after unloading: samples of unloaded kernels may carry the name of a later one in the map; in the dump, times
 * tell them apart. */
#include "jit/profile.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "jit/os.h"

enum { DUMP_MAGIC = 0x4A695444, DUMP_VERSION = 1, RECORD_LOAD = 0, RECORD_LINES = 2 };
enum { MACHINE_X86_64 = 62, MACHINE_AARCH64 = 183, MACHINE_RISCV = 243 };
enum { CLOSED = -1, PATH_LIMIT = 4096 };

struct JitProfile {
  Allocator allocator;
  kiln_log log;
  pthread_mutex_t lock; /* keeps lines whole */
  int map, dump;        /* files, or CLOSED */
  void *marker;
};

typedef struct DumpHeader {
  uint32_t magic, version, header_bytes, machine, padding, process;
  uint64_t time, flags;
} DumpHeader;

typedef struct RecordHeader {
  uint32_t kind, record_bytes;
  uint64_t time;
} RecordHeader;

typedef struct LoadRecord {
  RecordHeader header;
  uint32_t process, thread;
  uint64_t address, code_address, code_bytes, index;
} LoadRecord;

/* Entries follow, each with the source's name behind it. */
typedef struct LinesRecord {
  RecordHeader header;
  uint64_t code_address, count;
} LinesRecord;

typedef struct LineEntry {
  uint64_t address;
  int32_t line;
  uint32_t discriminator;
} LineEntry;

static uint32_t machine(void) {
#if defined(__x86_64__)
  return MACHINE_X86_64;
#elif defined(__aarch64__)
  return MACHINE_AARCH64;
#else
  return MACHINE_RISCV;
#endif
}

static void give_up(JitProfile *profile, int *file, const char *path, int result) {
  char text[128];
  log_event(&profile->log, KILN_LOG_WARNING, "profile: cannot write '%s': %s", path, jit_os_message(result, text));
  if (*file != CLOSED) jit_os_close_log(*file);
  *file = CLOSED;
}

static int open_named(const char *directory, const char *kind, const char *ending, char path[PATH_LIMIT], int *file) {
  int length = snprintf(path, PATH_LIMIT, "%s/%s-%lld%s", directory, kind, (long long)jit_os_process(), ending);
  return length < 0 || length >= PATH_LIMIT ? JIT_OS_TOO_LONG : jit_os_open_log(path, file);
}

static void open_map(JitProfile *profile, const char *directory) {
  char path[PATH_LIMIT];
  int result = open_named(directory, "perf", ".map", path, &profile->map);
  if (result) give_up(profile, &profile->map, path, result);
}

/* All engines of a process share its dump: one header, and records that do not mix, under a lock of the file. There is
 * no record of its end, which no engine knows to be the last to write. */
static int write_header(int file) {
  int result = 0;
  jit_os_lock_log(file);
  if (jit_os_log_size(file) == 0) {
    DumpHeader header = {.magic = DUMP_MAGIC,
                         .version = DUMP_VERSION,
                         .header_bytes = sizeof header,
                         .machine = machine(),
                         .process = (uint32_t)jit_os_process(),
                         .time = (uint64_t)jit_os_now_ns()};
    result = jit_os_append(file, &header, sizeof header);
  }
  jit_os_unlock_log(file);
  return result;
}

static void open_dump(JitProfile *profile, const char *directory) {
  char path[PATH_LIMIT];
  int result = open_named(directory, "jit", ".dump", path, &profile->dump);
  if (!result) result = write_header(profile->dump);
  if (!result) result = jit_os_map_marker(profile->dump, &profile->marker);
  if (result) give_up(profile, &profile->dump, path, result);
}

JitProfile *jit_profile_create(const char *perf_map_dir, const char *jitdump_dir, const Allocator *allocator,
                               const kiln_log *log) {
  if (!perf_map_dir && !jitdump_dir) return NULL;
  JitProfile *profile = allocator->alloc(allocator->ctx, sizeof *profile, _Alignof(JitProfile));
  if (!profile) return NULL;
  *profile = (JitProfile){.allocator = *allocator, .map = CLOSED, .dump = CLOSED};
  if (log) profile->log = *log;
  pthread_mutex_init(&profile->lock, NULL);
  if (perf_map_dir) open_map(profile, perf_map_dir);
  if (jitdump_dir) open_dump(profile, jitdump_dir);
  if (profile->map != CLOSED || profile->dump != CLOSED) return profile;
  jit_profile_destroy(profile);
  return NULL;
}

void jit_profile_destroy(JitProfile *profile) {
  if (!profile) return;
  if (profile->dump != CLOSED) {
    jit_os_unmap_marker(profile->marker);
    jit_os_close_log(profile->dump);
  }
  if (profile->map != CLOSED) jit_os_close_log(profile->map);
  pthread_mutex_destroy(&profile->lock);
  profile->allocator.release(profile->allocator.ctx, profile);
}

static void add_to_map(JitProfile *profile, const char *name, const void *code, size_t size) {
  char line[512];
  int length = snprintf(line, sizeof line, "%llx %zx %s\n", (unsigned long long)(uintptr_t)code, size, name);
  if (length < 0 || (size_t)length >= sizeof line) return;
  int result = jit_os_append(profile->map, line, (size_t)length);
  if (result) give_up(profile, &profile->map, "perf map", result);
}

static bool is_of(const JitLineTable *table, size_t row, const void *code, size_t size) {
  uintptr_t at = table->begin + (uintptr_t)table->lines[row].begin - (uintptr_t)code;
  return at < size && table->lines[row].line > 0;
}

/* The lines of a function; goes before the function's own record. */
static int add_lines(JitProfile *profile, const void *code, size_t size, const JitLineTable *table) {
  LinesRecord record = {.header = {.kind = RECORD_LINES, .time = (uint64_t)jit_os_now_ns()},
                        .code_address = (uint64_t)(uintptr_t)code};
  for (size_t i = 0; i < table->count; ++i) record.count += is_of(table, i, code, size);
  if (record.count == 0) return 0;
  size_t name_bytes = strlen(table->source) + 1;
  record.header.record_bytes = (uint32_t)(sizeof record + record.count * (sizeof(LineEntry) + name_bytes));
  int result = jit_os_append(profile->dump, &record, sizeof record);
  for (size_t i = 0; i < table->count && !result; ++i) {
    if (!is_of(table, i, code, size)) continue;
    LineEntry entry = {table->begin + table->lines[i].begin, table->lines[i].line, 0};
    result = jit_os_append(profile->dump, &entry, sizeof entry);
    if (!result) result = jit_os_append(profile->dump, table->source, name_bytes);
  }
  return result;
}

static void add_to_dump(JitProfile *profile, const char *name, const void *code, size_t size,
                        const JitLineTable *lines) {
  size_t name_bytes = strlen(name) + 1;
  LoadRecord record = {
      .header = {.kind = RECORD_LOAD,
                 .record_bytes = (uint32_t)(sizeof record + name_bytes + size),
                 .time = (uint64_t)jit_os_now_ns()},
      .process = (uint32_t)jit_os_process(),
      .thread = (uint32_t)jit_os_thread(),
      .address = (uint64_t)(uintptr_t)code,
      .code_address = (uint64_t)(uintptr_t)code,
      .code_bytes = size,
  };
  jit_os_lock_log(profile->dump);
  record.index = jit_os_log_size(profile->dump); /* of this function alone, whichever engine writes it */
  int result = add_lines(profile, code, size, lines);
  if (!result) result = jit_os_append(profile->dump, &record, sizeof record);
  if (!result) result = jit_os_append(profile->dump, name, name_bytes);
  if (!result) result = jit_os_append(profile->dump, code, size);
  jit_os_unlock_log(profile->dump);
  if (!result) return;
  jit_os_unmap_marker(profile->marker);
  give_up(profile, &profile->dump, "jitdump", result);
}

void jit_profile_add(JitProfile *profile, const char *name, const void *code, size_t size, const JitLineTable *lines) {
  if (!profile) return;
  pthread_mutex_lock(&profile->lock);
  if (profile->map != CLOSED) add_to_map(profile, name, code, size);
  if (profile->dump != CLOSED) add_to_dump(profile, name, code, size, lines);
  pthread_mutex_unlock(&profile->lock);
}
