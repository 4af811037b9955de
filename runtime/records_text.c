/* records_text.c: tuning records as lines of text, and sets of them. Knows no files: records.c reads and writes those.
 *
 * A line is words `name=value` behind its version, in the order in which they are printed, but read in any; the graph
 * is the last, since it has blanks. A word that is not known makes the line stale: what it says might matter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/records.h"

static const char version[] = "kiln " KILN_VERSION " tuning 1 ", family[] = "kiln ";

uint64_t record_hash(const char *text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *text; ++text) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
  return hash;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

int64_t record_bucket(int64_t size) {
  enum { EXACT_BELOW = 8, STEPS = 4 };
  int64_t power = 0;
  if (size < EXACT_BELOW) return size;
  while ((size >> power) >= 2 * STEPS) ++power;
  return EXACT_BELOW + (power - 1) * STEPS + (size >> power) - STEPS; /* quarters of a power of two */
}

RecordHit record_compare(const Record *record, const int64_t *symbols) {
  RecordHit hit = RECORD_EXACT;
  if (!symbols) return record->dim_count == 0 ? RECORD_EXACT : RECORD_OTHER;
  for (size_t i = 0; i < record->dim_count; ++i) {
    if (record->dims[i] == symbols[i]) continue;
    if (record_bucket(record->dims[i]) != record_bucket(symbols[i])) return RECORD_OTHER;
    hit = RECORD_BUCKET;
  }
  return hit;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool read_integer(const char *text, int64_t *number) {
  char *end;
  long long value = strtoll(text, &end, 10);
  *number = value;
  return *text >= '0' && *text <= '9' && *end == '\0';
}

/* Microseconds with up to six decimals, whatever the locale thinks of points. */
static bool read_time(const char *text, double *number) {
  double value = 0, place = 1;
  bool is_whole = true;
  size_t digits = 0;
  for (; *text; ++text) {
    if (*text == '.' && is_whole && digits > 0) {
      is_whole = false;
      continue;
    }
    if (*text < '0' || *text > '9' || ++digits > 18) return false;
    if (!is_whole) place /= 10;
    value = is_whole ? value * 10 + (*text - '0') : value + place * (*text - '0');
  }
  *number = value;
  return digits > 0;
}

static void print_time(double us, Text *out) {
  long long millionths = us > 0 && us < 1e12 ? (long long)(us * 1e6 + 0.5) : 0;
  text_printf(out, "%lld.%06lld", millionths / 1000000, millionths % 1000000);
}

/* `m:384,k:768` */
static bool read_dims(const char *text, Arena *arena, Record *record) {
  record->dims_text = text;
  record->dim_count = *text ? 1 : 0;
  for (const char *at = text; *at; ++at) record->dim_count += *at == ',';
  record->dims = ARENA_ARRAY(arena, int64_t, record->dim_count + 1);
  for (size_t i = 0; i < record->dim_count; ++i) {
    char number[24];
    size_t length = strcspn(text, ","), name = strcspn(text, ":");
    if (name >= length || length - name > sizeof number) return false;
    snprintf(number, sizeof number, "%.*s", (int)(length - name - 1), text + name + 1);
    if (!read_integer(number, &record->dims[i])) return false;
    text += length + (text[length] == ',');
  }
  return true;
}

/* `mr=8,nr=48`; a field that this version does not have is a fault. */
static bool read_schedule(char *text, const Allocator *allocator, Record *record) {
  Text why;
  for (char *at = text; *at; ++at)
    if (*at == ',') *at = ' ';
  text_init(&why, allocator);
  bool good = schedule_parse(text, &record->schedule, &why) == KILN_OK;
  text_release(&why);
  return good;
}

static bool read_threads(const char *text, Record *record) {
  int64_t threads;
  bool good = read_integer(text, &threads) && threads >= 1 && threads <= INT32_MAX;
  if (good) record->threads = (int32_t)threads;
  return good;
}

static bool read_packing(const char *text, Record *record) {
  record->packs_never = strcmp(text, "never") == 0;
  return record->packs_never || strcmp(text, "const") == 0;
}

/* One word, whose text lives in the arena. */
static bool read_word(char *word, Arena *arena, Record *record) {
  char *value = strchr(word, '=');
  if (!value) return false;
  *value++ = '\0';
  if (strcmp(word, "target") == 0) record->target = value;
  else if (strcmp(word, "template") == 0) record->template_ = value;
  else if (strcmp(word, "graph") == 0) record->graph = value;
  else if (strcmp(word, "threads") == 0) return read_threads(value, record);
  else if (strcmp(word, "dims") == 0) return read_dims(value, arena, record);
  else if (strcmp(word, "packing") == 0) return read_packing(value, record);
  else if (strcmp(word, "us") == 0) return read_time(value, &record->us);
  else if (strcmp(word, "default_us") == 0) return read_time(value, &record->default_us);
  else if (strcmp(word, "date") == 0) return read_integer(value, &record->date);
  else if (strcmp(word, "schedule") == 0) return read_schedule(value, &arena->allocator, record);
  else return false;
  return true;
}

LineKind record_parse(const char *line, size_t length, Arena *arena, Record *record) {
  *record = (Record){0};
  if (length == 0 || line[0] == '#') return LINE_EMPTY;
  if (memchr(line, '\0', length)) return LINE_MALFORMED;
  size_t head = sizeof version - 1;
  if (length < head || memcmp(line, version, head) != 0)
    return length >= sizeof family - 1 && memcmp(line, family, sizeof family - 1) == 0 ? LINE_FOREIGN : LINE_MALFORMED;
  char *at = arena_copy(arena, line + head, length - head);
  if (!at) return LINE_MALFORMED;
  bool good = true, is_last = false;
  while (good && *at && !is_last) {
    is_last = strncmp(at, "graph=", 6) == 0;
    size_t size = is_last ? strlen(at) : strcspn(at, " ");
    char *next = at + size + (at[size] == ' ');
    at[size] = '\0';
    good = read_word(at, arena, record);
    at = next;
  }
  good &= record->target && record->template_ && record->graph && record->dims_text && record->threads > 0;
  if (!good) return LINE_MALFORMED;
  record->graph_hash = record_hash(record->graph);
  return LINE_RECORD;
}

void record_print(const Record *record, Text *out) {
  text_printf(out, "%starget=%s threads=%d dims=%s packing=%s template=%s us=", version, record->target,
              (int)record->threads, record->dims_text, record->packs_never ? "never" : "const", record->template_);
  print_time(record->us, out);
  text_add(out, " default_us=");
  print_time(record->default_us, out);
  text_printf(out, " date=%lld schedule=", (long long)record->date);
  size_t start = out->length;
  rt_print_schedule(&record->schedule, out);
  for (size_t i = start; i < out->length; ++i)
    if (out->data[i] == ' ') out->data[i] = ',';
  text_printf(out, " graph=%s", record->graph);
}

/* ---- sets -------------------------------------------------------------------------------------------------------- */

void record_set_init(RecordSet *set, const Allocator *allocator) {
  *set = (RecordSet){0};
  arena_init(&set->arena, allocator);
}

void record_set_release(RecordSet *set) { arena_release(&set->arena); }

/* By what they answer. */
static int compare_questions(const Record *x, const Record *y) {
  int order = strcmp(x->graph, y->graph);
  if (order == 0) order = strcmp(x->target, y->target);
  if (order == 0) order = (x->threads > y->threads) - (x->threads < y->threads);
  if (order == 0) order = strcmp(x->dims_text, y->dims_text);
  if (order == 0) order = x->packs_never - y->packs_never;
  return order;
}

/* Later, and where that is open, faster: so the order of merging does not matter. */
static bool holds_against(const Record *x, const Record *y) {
  if (x->date != y->date) return x->date > y->date;
  return x->us < y->us;
}

static const char *keep(RecordSet *set, const char *text) { return arena_copy(&set->arena, text, strlen(text)); }

static Record *copy(RecordSet *set, const Record *record) {
  Record *made = ARENA_NEW(&set->arena, Record);
  *made = *record;
  made->target = keep(set, record->target);
  made->template_ = keep(set, record->template_);
  made->graph = keep(set, record->graph);
  made->dims_text = keep(set, record->dims_text);
  made->dims = ARENA_ARRAY(&set->arena, int64_t, record->dim_count + 1);
  if (record->dim_count > 0) memcpy(made->dims, record->dims, record->dim_count * sizeof *made->dims);
  made->graph_hash = record_hash(made->graph);
  Text text;
  text_init(&text, &set->arena.allocator);
  record_print(made, &text);
  made->id = record_hash(text_get(&text));
  text_release(&text);
  return made;
}

void record_set_add(RecordSet *set, const Record *record, bool replaces) {
  uint64_t hash = record_hash(record->graph);
  for (size_t i = 0; i < set->list.count; ++i) {
    const Record *other = set->list.items[i];
    if (other->graph_hash != hash || compare_questions(other, record) != 0) continue;
    if (replaces || holds_against(record, other)) set->list.items[i] = copy(set, record);
    return;
  }
  Record *made = copy(set, record);
  VECTOR_PUSH(&set->arena, set->list, made);
}

void record_set_read(RecordSet *set, const char *bytes, size_t size) {
  Arena lines;
  arena_init(&lines, &set->arena.allocator);
  for (size_t at = 0; at < size;) {
    const char *end = memchr(bytes + at, '\n', size - at);
    size_t length = end ? (size_t)(end - (bytes + at)) : size - at;
    Record record;
    switch (record_parse(bytes + at, length, &lines, &record)) {
    case LINE_RECORD: record_set_add(set, &record, false); break;
    case LINE_FOREIGN: {
      const char *line = arena_copy(&set->arena, bytes + at, length);
      VECTOR_PUSH(&set->arena, set->foreign, line);
      break;
    }
    case LINE_MALFORMED: ++set->malformed; break;
    case LINE_EMPTY: break;
    }
    at += length + 1;
  }
  set->arena.failed |= lines.failed;
  arena_release(&lines);
}

static int order_records(const void *left, const void *right) {
  return compare_questions(*(const Record *const *)left, *(const Record *const *)right);
}

void record_set_print(const RecordSet *set, Text *out) {
  if (set->list.count > 1) qsort(set->list.items, set->list.count, sizeof *set->list.items, order_records);
  for (size_t i = 0; i < set->list.count; ++i) {
    record_print(set->list.items[i], out);
    text_add_char(out, '\n');
  }
  for (size_t i = 0; i < set->foreign.count; ++i) text_printf(out, "%s\n", set->foreign.items[i]);
}
