/* records.c: the tuning records of an engine: finding those that answer a request, and keeping new ones in a file.
 *
 * The file is read when the first kernel is planned, and again whenever a record is added: what other processes wrote
 * meanwhile is merged, and the whole is written to a unique name and renamed, under a lock of the directory as long as
 * that can be had. Directories and files are trusted as those of the object cache are. Whatever is wrong with the file
 * costs records and one log event, never an error. */
#include "runtime/records.h"

#include <errno.h>
#include <string.h>

#include "jit/os.h"

enum { FILE_LIMIT = 16 << 20, LOCK_MS = 500 };
static const char file_name[] = "tuning.txt";

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void log_file(const Records *records, const char *directory, const char *name, int result) {
  char text[128];
  log_event(records->log, KILN_LOG_WARNING, "tune: '%s/%s': %s", directory, name, jit_os_message(result, text));
}

/* Adds what an open directory holds. What is wrong with the file, but that there is none, comes out. */
static int read_open(const Records *records, RecordSet *set, int handle, const char *directory, const char *name) {
  JitBuffer bytes = {0};
  JitOsFile info;
  int result = jit_os_read_file(handle, name, FILE_LIMIT, &set->arena.allocator, &bytes, &info);
  if (result && result != ENOENT) log_file(records, directory, name, result);
  size_t malformed = set->malformed;
  if (!result) record_set_read(set, (const char *)bytes.data, bytes.size);
  if (set->malformed > malformed)
    log_event(records->log, KILN_LOG_WARNING, "tune: '%s/%s': %zu lines are no records of this version, and ignored",
              directory, name, set->malformed - malformed);
  jit_buffer_release(&bytes);
  return result == ENOENT ? 0 : result;
}

static void read_file(const Records *records, RecordSet *set, const char *directory, const char *name) {
  int handle;
  int result = jit_os_open_directory(directory, false, &handle);
  if (result) {
    if (result != ENOENT) log_file(records, directory, name, result);
    return;
  }
  read_open(records, set, handle, directory, name);
  jit_os_close_directory(handle);
}

/* The read-only directories, then the user's file. */
static void read_all(Records *records, RecordSet *set) {
  Text path;
  text_init(&path, &set->arena.allocator);
  for (const char *at = records->read_only; *at;) {
    size_t length = strcspn(at, ":");
    text_clear(&path);
    text_add_bytes(&path, at, length);
    if (length > 0) read_file(records, set, text_get(&path), file_name);
    at += length + (at[length] == ':');
  }
  text_release(&path);
  /* Lines of other versions are kept where they were found only. */
  set->foreign.count = 0;
  if (records->directory[0]) read_file(records, set, records->directory, records->name);
}

/* Where it is locked by another process for long, it is written all the same: only a record may be lost. */
static int write_merged(Records *records, const Record *record, bool replaces, RecordSet *merged) {
  int handle;
  int result = jit_os_open_directory(records->directory, true, &handle);
  if (result) return result;
  jit_os_lock_directory(handle, LOCK_MS);
  RecordSet file;
  record_set_init(&file, &merged->arena.allocator);
  result = read_open(records, &file, handle, records->directory, records->name);
  if (result) { /* and writing would lose what is there */
    record_set_release(&file);
    jit_os_close_directory(handle);
    return result;
  }
  record_set_add(&file, record, replaces);
  for (size_t i = 0; i < file.list.count; ++i) record_set_add(merged, file.list.items[i], false);
  Text text;
  text_init(&text, &merged->arena.allocator);
  record_set_print(&file, &text);
  bool failed = text.failed || arena_has_failed(&file.arena);
  result = failed ? ENOMEM : jit_os_write_file(handle, records->name, text_get(&text), text.length);
  text_release(&text);
  record_set_release(&file);
  jit_os_close_directory(handle); /* and the lock with it */
  return result;
}

/* ---- the engine's records ---------------------------------------------------------------------------------------- */

/* `path` NULL: tuning.txt in the cache's directory, if there is one. Texts live in the engine's arena. */
void rt_records_open(Records *records, Arena *arena, const char *path, const char *cache_directory,
                     const char *read_only, const kiln_log *log) {
  Text file;
  text_init(&file, &arena->allocator);
  if (path) text_add(&file, path);
  else if (cache_directory[0]) text_printf(&file, "%s/%s", cache_directory, file_name);
  *records = (Records){.path = arena_copy(arena, text_get(&file), file.length), .log = log};
  arena->failed |= file.failed;
  text_release(&file);
  const char *slash = strrchr(records->path, '/');
  records->name = slash ? slash + 1 : records->path;
  records->directory = !records->path[0] ? "" : !slash ? "." : slash == records->path ? "/" : NULL;
  if (!records->directory) records->directory = arena_copy(arena, records->path, (size_t)(slash - records->path));
  records->read_only = arena_copy(arena, read_only ? read_only : "", read_only ? strlen(read_only) : 0);
  pthread_mutex_init(&records->mutex, NULL);
  pthread_mutex_init(&records->measuring, NULL);
  records->allocator = arena->allocator;
}

void rt_records_close(Records *records) {
  if (!records->log) return; /* an engine half made */
  if (records->set) {
    record_set_release(records->set);
    records->allocator.release(records->allocator.ctx, records->set);
  }
  pthread_mutex_destroy(&records->mutex);
  pthread_mutex_destroy(&records->measuring);
}

/* Under the mutex. NULL: out of memory. */
static RecordSet *set_of(Records *records) {
  if (records->set) return records->set;
  RecordSet *set = records->allocator.alloc(records->allocator.ctx, sizeof *set, _Alignof(RecordSet));
  if (!set) return NULL;
  record_set_init(set, &records->allocator);
  read_all(records, set);
  records->set = set;
  return set;
}

static bool answers(const Record *record, const RecordQuestion *question) {
  return strcmp(record->graph, question->graph) == 0 && strcmp(record->target, question->target) == 0 &&
         record->packs_never == question->packs_never && record->dim_count == question->symbol_count;
}

/* The same text for the same records: part of the key by which memory finds kernels. */
uint64_t rt_records_stamp(Records *records, const RecordQuestion *question) {
  uint64_t stamp = 0;
  pthread_mutex_lock(&records->mutex);
  const RecordSet *set = set_of(records);
  uint64_t hash = set && set->list.count > 0 ? record_hash(question->graph) : 0;
  for (size_t i = 0; set && i < set->list.count; ++i) {
    const Record *record = set->list.items[i];
    if (record->graph_hash == hash && answers(record, question)) stamp += record->id;
  }
  pthread_mutex_unlock(&records->mutex);
  return stamp;
}

/* How well a record suits: its sizes, then its threads. */
static int suits(const Record *record, const RecordQuestion *question) {
  return 2 * (int)record_compare(record, question->symbols) + (record->threads == question->threads);
}

/* Whether x goes before y: the better suited; among equals the one that saved most, the later. */
static bool is_before(const Record *x, const Record *y, const RecordQuestion *question) {
  int suits_x = suits(x, question), suits_y = suits(y, question);
  double saved_x = x->default_us - x->us, saved_y = y->default_us - y->us;
  if (suits_x != suits_y) return suits_x > suits_y;
  if (saved_x > saved_y || saved_x < saved_y) return saved_x > saved_y;
  return x->date > y->date;
}

/* All records that answer, the best suited first, copied to the arena. */
size_t rt_records_match(Records *records, const RecordQuestion *question, Arena *arena, Record **list) {
  VECTOR(Record) found = {0};
  pthread_mutex_lock(&records->mutex);
  const RecordSet *set = set_of(records);
  uint64_t hash = set && set->list.count > 0 ? record_hash(question->graph) : 0;
  for (size_t i = 0; set && i < set->list.count; ++i) {
    const Record *record = set->list.items[i];
    if (record->graph_hash != hash || !answers(record, question)) continue;
    Record copy = *record;
    copy.graph = copy.target = copy.dims_text = ""; /* the question says them */
    copy.template_ = arena_copy(arena, record->template_, strlen(record->template_));
    copy.dims = ARENA_ARRAY(arena, int64_t, record->dim_count + 1);
    if (record->dim_count > 0) memcpy(copy.dims, record->dims, record->dim_count * sizeof *copy.dims);
    VECTOR_PUSH(arena, found, copy);
    size_t at = found.count - 1;
    for (; at > 0 && is_before(&copy, &found.items[at - 1], question); --at) found.items[at] = found.items[at - 1];
    found.items[at] = copy;
  }
  pthread_mutex_unlock(&records->mutex);
  *list = found.items;
  return found.count;
}

void rt_records_add(Records *records, const Record *record, bool replaces) {
  pthread_mutex_lock(&records->mutex);
  RecordSet *set = set_of(records);
  if (set) {
    record_set_add(set, record, replaces);
    int result = records->directory[0] ? write_merged(records, record, replaces, set) : 0;
    if (result) log_file(records, records->directory, records->name, result);
  }
  pthread_mutex_unlock(&records->mutex);
}
