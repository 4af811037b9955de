/* test_tune_records.c: tuning records as text: what is read, printed, merged, and ignored; sizes and their buckets. */
#include <criterion/criterion.h>
#include <string.h>

#include "runtime/records.h"

#define HEAD "kiln " KILN_VERSION " tuning 1 "
#define GRAPH "graph=x: f32[m, 8]; w: f32[8, 8]; y = x @ w; return y"
#define LINE                                                                                                           \
  HEAD "target=haswell threads=2 dims=m:384 packing=const template=gemm us=12.500000 default_us=13.000001 date=100 "   \
       "schedule=mr=4,nr=16,pack_b=task,mc=96 " GRAPH

static LineKind kind_of(const char *line) {
  Arena arena;
  Record record;
  arena_init(&arena, NULL);
  LineKind kind = record_parse(line, strlen(line), &arena, &record);
  arena_release(&arena);
  return kind;
}

Test(tune_records, text_is_the_identity) {
  static const char *const lines[] = {
      LINE,
      HEAD
      "target=haswell threads=1 dims= packing=never template=gemm us=0.000123 default_us=0.000000 date=0 schedule= "
      "graph=x: f32[4, 8]; w: f32[8, 8]; y = x @ w; return y",
      HEAD "target=znver5 threads=96 dims=m:1,k:4096 packing=const template=reference us=123456789.000000 "
           "default_us=1.000000 date=1795242967 schedule=kc=512 graph=g",
  };
  for (size_t i = 0; i < ARRAY_LENGTH(lines); ++i) {
    Arena arena;
    Record record;
    Text text;
    arena_init(&arena, NULL);
    text_init(&text, NULL);
    cr_assert_eq(record_parse(lines[i], strlen(lines[i]), &arena, &record), LINE_RECORD, "%s", lines[i]);
    record_print(&record, &text);
    cr_expect_str_eq(text_get(&text), lines[i]);
    text_release(&text);
    arena_release(&arena);
  }
}

Test(tune_records, fields_are_read) {
  Arena arena;
  Record record;
  arena_init(&arena, NULL);
  cr_assert_eq(record_parse(LINE, strlen(LINE), &arena, &record), LINE_RECORD);
  cr_expect_str_eq(record.target, "haswell");
  cr_expect_str_eq(record.template_, "gemm");
  cr_expect_str_eq(record.graph, GRAPH + 6);
  cr_expect_eq(record.threads, 2);
  cr_expect_eq(record.dim_count, 1);
  cr_expect_eq(record.dims[0], 384);
  cr_expect_eq(record.date, 100);
  cr_expect_float_eq(record.us, 12.5, 1e-9);
  cr_expect_float_eq(record.default_us, 13.000001, 1e-9);
  cr_expect(record.schedule.fixed[FIELD_mr] && record.schedule.values[FIELD_mr] == 4);
  cr_expect(record.schedule.set[FIELD_pack_b] && record.schedule.values[FIELD_pack_b] == PACK_B_TASK);
  cr_expect_not(record.schedule.set[FIELD_ku]);
  arena_release(&arena);
}

/* Other versions are other people's; what is no record at all is dropped. */
Test(tune_records, stale_lines) {
  cr_expect_eq(kind_of(""), LINE_EMPTY);
  cr_expect_eq(kind_of("# kiln"), LINE_EMPTY);
  cr_expect_eq(kind_of("kiln 0.0.9 tuning 1 target=haswell"), LINE_FOREIGN);
  cr_expect_eq(kind_of("kiln " KILN_VERSION " tuning 2 target=haswell"), LINE_FOREIGN);
  static const char *const malformed[] = {
      "kilm 1",
      "target=haswell",
      HEAD,
      HEAD "target=haswell " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= colour=red " GRAPH,
      HEAD "threads=0 target=haswell template=gemm dims= " GRAPH,
      HEAD "threads=x target=haswell template=gemm dims= " GRAPH,
      HEAD "threads=99999999999 target=haswell template=gemm dims= " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims=m " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims=m: " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims=m:-3 " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims=m:3,k " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims=m:33333333333333333333333333 " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= us=1e6 " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= us=.5 " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= us=1.5.5 " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= packing=maybe " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= schedule=mr=4,zz=5 " GRAPH, /* a field of another day */
      HEAD "threads=1 target=haswell template=gemm dims= schedule=mr=0 " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= schedule=mr=4,mr=4 " GRAPH,
      HEAD "threads=1 target=haswell template=gemm dims= nonsense " GRAPH,
  };
  for (size_t i = 0; i < ARRAY_LENGTH(malformed); ++i)
    cr_expect_eq(kind_of(malformed[i]), LINE_MALFORMED, "%s", malformed[i]);
  cr_expect_eq(record_parse("a\0b", 3, NULL, &(Record){0}), LINE_MALFORMED);
}

static void expect_printed(const RecordSet *set, const char *expected) {
  Text text;
  text_init(&text, NULL);
  record_set_print(set, &text);
  cr_expect_str_eq(text_get(&text), expected);
  text_release(&text);
}

#define OF(threads, dims, us, date)                                                                                    \
  HEAD "target=haswell threads=" threads " dims=" dims " packing=const template=gemm us=" us                           \
       ".000000 default_us=0.000000 date=" date " schedule= " GRAPH "\n"

/* Files may be joined in any order: the later measurement holds, of two at the same time the faster. */
Test(tune_records, merging) {
  static const char *const files[] = {
      OF("1", "m:1", "10", "100") OF("2", "m:1", "11", "100") "kiln 9.9.9 tuning 7 what it wants\n",
      OF("1", "m:1", "12", "200") "garbage\n" OF("1", "m:2", "5", "100"),
      OF("2", "m:1", "9", "100") OF("1", "m:2", "6", "100"),
  };
  static const char expected[] = OF("1", "m:1", "12", "200") OF("1", "m:2", "5", "100")
      OF("2", "m:1", "9", "100") "kiln 9.9.9 tuning 7 what it wants\n";
  for (size_t first = 0; first < 3; ++first)
    for (size_t step = 1; step < 3; ++step) {
      RecordSet set;
      record_set_init(&set, NULL);
      for (size_t i = 0; i < 3; ++i) {
        const char *file = files[(first + i * step) % 3];
        record_set_read(&set, file, strlen(file));
      }
      cr_expect_eq(set.malformed, 1);
      expect_printed(&set, expected);
      record_set_release(&set);
    }
}

Test(tune_records, a_new_record_replaces) {
  RecordSet set;
  Arena arena;
  Record record;
  arena_init(&arena, NULL);
  record_set_init(&set, NULL);
  record_set_read(&set, LINE "\n", sizeof LINE);
  cr_assert_eq(record_parse(LINE, strlen(LINE), &arena, &record), LINE_RECORD);
  record.us = 50;
  record_set_add(&set, &record, false);
  cr_expect_float_eq(set.list.items[0]->us, 12.5, 1e-9);
  uint64_t before = set.list.items[0]->id;
  record_set_add(&set, &record, true);
  cr_expect_eq(set.list.count, 1);
  cr_expect_float_eq(set.list.items[0]->us, 50, 1e-9);
  cr_expect_neq(set.list.items[0]->id, before);
  record_set_release(&set);
  arena_release(&arena);
}

Test(tune_records, buckets) {
  for (int64_t size = 0; size < 8; ++size) cr_expect_eq(record_bucket(size), size);
  int64_t last = record_bucket(7), first = 7;
  for (int64_t size = 8; size < 100000; ++size) {
    int64_t bucket = record_bucket(size);
    cr_expect(bucket == last || bucket == last + 1, "%lld is in bucket %lld after %lld", (long long)size,
              (long long)bucket, (long long)last);
    if (bucket != last) first = size;
    last = bucket;
    cr_expect_lt(size, first + first / 4 + 1, "%lld and %lld share a bucket", (long long)first, (long long)size);
  }
  cr_expect_gt(record_bucket(INT64_MAX), record_bucket(INT64_MAX / 2));
}

Test(tune_records, nearness) {
  int64_t dims[] = {384, 5};
  Record record = {.dims = dims, .dim_count = 2};
  cr_expect_eq(record_compare(&record, (int64_t[]){384, 5}), RECORD_EXACT);
  cr_expect_eq(record_compare(&record, (int64_t[]){400, 5}), RECORD_BUCKET);
  cr_expect_eq(record_compare(&record, (int64_t[]){384, 6}), RECORD_OTHER);
  cr_expect_eq(record_compare(&record, (int64_t[]){512, 5}), RECORD_OTHER);
  cr_expect_eq(record_compare(&record, NULL), RECORD_OTHER);
  cr_expect_eq(record_compare(&(Record){0}, NULL), RECORD_EXACT);
}
