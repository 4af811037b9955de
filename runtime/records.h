/* records.h: tuning records: which schedule was measured to be the best for a graph, its sizes, threads and target.
 *
 * A record is a line of text, so files merge with sort or cat:
 *   kiln 0.1.0 tuning 1 target=… threads=… dims=m:384 packing=const template=… us=… default_us=… date=… schedule=mr=8,…
 *   graph=… Of two records that answer the same question the later one holds. An empty schedule says that nothing
 * measured was faster than what the model chooses. Lines of other versions are kept and not used. */
#ifndef KILN_RUNTIME_RECORDS_H
#define KILN_RUNTIME_RECORDS_H

#include "runtime/runtime.h"

typedef struct Record {
  const char *target, *template_, *graph; /* names are not looked up: a row may be gone */
  const char *dims_text;                  /* `m:384,k:768`, empty where the graph has no symbols */
  int64_t *dims;
  size_t dim_count;
  int32_t threads;
  bool packs_never;
  double us, default_us;   /* default_us 0: not known */
  int64_t date;            /* seconds since 1970 */
  Schedule schedule;       /* set and fixed in its fields */
  uint64_t graph_hash, id; /* of the graph's text, and of the whole line; set by record_set_add */
} Record;

/* How near a record is to what was asked. */
typedef enum RecordHit { RECORD_NONE, RECORD_OTHER, RECORD_BUCKET, RECORD_EXACT } RecordHit;

/* All records of a process, and the lines of the file that are not ours to use. */
typedef struct RecordSet {
  Arena arena;
  VECTOR(Record *) list;
  VECTOR(const char *) foreign; /* lines of other versions */
  size_t malformed;
} RecordSet;

/* ---- text (records_text.c) --------------------------------------------------------------------------------------- */

typedef enum LineKind { LINE_RECORD, LINE_FOREIGN, LINE_MALFORMED, LINE_EMPTY } LineKind;

/* Reads a line without its newline; on LINE_RECORD the record lives in the arena. */
LineKind record_parse(const char *line, size_t length, Arena *arena, Record *record);
void record_print(const Record *record, Text *out);

void record_set_init(RecordSet *set, const Allocator *allocator);
void record_set_release(RecordSet *set);
/* Adds the lines of a file's bytes; of equal questions the later record holds. */
void record_set_read(RecordSet *set, const char *bytes, size_t size);
/* Adds a record (copied) where it is later than what is there, or `replaces`. */
void record_set_add(RecordSet *set, const Record *record, bool replaces);
/* A file: records in the order of their questions, then foreign lines. */
void record_set_print(const RecordSet *set, Text *out);

uint64_t record_hash(const char *text); /* FNV-1a */

/* ---- sizes (records_text.c) -------------------------------------------------------------------------------------- */

/* Sizes of one bucket are alike: the same up to 8, then at most a fifth apart. */
int64_t record_bucket(int64_t size);
/* RECORD_EXACT or RECORD_BUCKET where the sizes are those of the record or of its buckets; else RECORD_OTHER, as where
 * `symbols` is NULL and the record has dims. */
RecordHit record_compare(const Record *record, const int64_t *symbols);

#endif
