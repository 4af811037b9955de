/* House-keeping: eviction by last use, visiting, pruning, clearing. */
#include <fcntl.h>
#include <time.h>

#include "jit/cache.h"
#include "tests/cache/kernels.h"
#include "tests/cache/place.h"

enum { COUNT = 8 };

/* Key number i, and how old its entry is made, in minutes. */
static const char *key_number(int i, char text[32]) {
  snprintf(text, 32, "key number %d", i);
  return text;
}

static void make_older(const char *path, int minutes) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - 60 * minutes}};
  cr_assert_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Stores keys 0 … COUNT-1, key 0 the longest unused. All objects have one size. */
static size_t fill(Place *place, JitCache *cache) {
  char text[32], path[256];
  size_t size = 0;
  for (int i = 0; i < COUNT; ++i) {
    JitBuffer object = make_object(key_number(i, text));
    jit_cache_store(cache, text, strlen(text), &object);
    make_older(place_entry(place, text, path), 10 * (COUNT - i));
    size = object.size;
    jit_buffer_release(&object);
  }
  return size;
}

static bool has(const Place *place, int i) {
  char text[32], path[256];
  return file_exists(place_entry(place, key_number(i, text), path));
}

static void use(JitCache *cache, int i) {
  char text[32];
  JitBuffer found;
  key_number(i, text);
  cr_assert(jit_cache_find(cache, text, strlen(text), NULL, &found));
  jit_buffer_release(&found);
}

Test(cache_keep, the_least_recently_used_go) {
  Place place;
  place_init(&place, make_object(KEY));
  JitCache *cache = place_cache(&place);
  size_t size = fill(&place, cache);
  use(cache, 0); /* renews it */
  jit_cache_destroy(cache);
  /* Room for six, and some for what is to come: 8 stored, the 9th arrives, 7/8 of the room remain, which is five. */
  cache = place_open(&place, (JitCacheOptions){.directory = place.directory, .capacity_bytes = 6 * size + 100});
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect(has(&place, 0));
  for (int i = 1; i < 5; ++i) cr_expect_not(has(&place, i), "%d", i);
  for (int i = 5; i < COUNT; ++i) cr_expect(has(&place, i), "%d", i);
  cr_expect(finds(cache, KEY, &place.object));
  cr_expect_eq(place.warnings, 0, "%s", place.last);
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_keep, size_stays_below_the_cap) {
  Place place;
  place_init(&place, make_object(KEY));
  JitCache *cache =
      place_open(&place, (JitCacheOptions){.directory = place.directory, .capacity_bytes = 3 * place.object.size});
  fill(&place, cache);
  int kept = 0;
  for (int i = 0; i < COUNT; ++i) kept += has(&place, i);
  cr_expect_leq(kept, 3);
  cr_expect(has(&place, COUNT - 1));
  jit_cache_destroy(cache);
  place_release(&place);
}

/* A hit writes to the disk at most once a minute. */
Test(cache_keep, use_is_marked_when_it_is_old) {
  Place place;
  char path[256];
  struct stat before, after;
  place_init(&place, make_object(KEY));
  JitCache *cache = place_cache(&place);
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  place_entry(&place, KEY, path);
  stat(path, &before);
  cr_expect(finds(cache, KEY, &place.object));
  stat(path, &after);
  cr_expect_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
  make_older(path, 5);
  cr_expect(finds(cache, KEY, &place.object));
  stat(path, &after);
  cr_expect_geq(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
  jit_cache_destroy(cache);
  place_release(&place);
}

/* ---- visiting and pruning --------------------------------------------------------------------------------------- */

typedef struct Tally {
  size_t states[JIT_ENTRY_UNREADABLE + 1];
  size_t read_only, with_key, with_reason;
} Tally;

static bool tally(void *ctx, const JitCacheEntry *entry) {
  Tally *sum = ctx;
  ++sum->states[entry->state];
  sum->read_only += entry->is_read_only;
  sum->with_key += entry->metadata != NULL && entry->metadata->key_length > 0 && entry->code_bytes > 0;
  sum->with_reason += *entry->reason != 0;
  cr_expect_gt(entry->bytes, 0);
  cr_expect_eq(strlen(entry->name), JIT_KEY_NAME_BYTES - 1 + 2);
  return true;
}

static bool stop_at_once(void *ctx, const JitCacheEntry *entry) {
  (void)entry;
  ++*(int *)ctx;
  return false;
}

/* Entries 0 to 4 become: truncated, foreign, writable by others, a link, stale. */
static void spoil(Place *place) {
  char text[32], path[256], other[256];
  write_bytes(place_entry(place, key_number(0, text), path), place->object.data, 100);
  write_bytes(place_entry(place, key_number(1, text), path), place->object.data, place->object.size);
  chmod(place_entry(place, key_number(2, text), path), 0666);
  place_entry(place, key_number(3, text), path);
  cr_assert_eq(remove(path), 0);
  cr_assert_eq(symlink(place_entry(place, key_number(4, text), other), path), 0);
  JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = text, .key_length = strlen(text), .build = "old"};
  JitBuffer old;
  cr_assert_eq(emit_text(kernel_text, "x86-64", &options, &old, NULL), KILN_OK);
  write_bytes(other, old.data, old.size);
  jit_buffer_release(&old);
}

Test(cache_keep, visits_judge_every_entry) {
  Place place;
  Tally sum = {0};
  int visits = 0;
  place_init(&place, make_object(KEY));
  JitCache *cache = place_cache(&place);
  cr_expect_eq(jit_cache_visit(cache, "", tally, &sum), KILN_OK); /* nothing there yet */
  fill(&place, cache);
  spoil(&place);
  cr_expect_eq(jit_cache_visit(cache, "", tally, &sum), KILN_OK);
  cr_expect_eq(sum.states[JIT_ENTRY_GOOD], COUNT - 5);
  cr_expect_eq(sum.states[JIT_ENTRY_DAMAGED], 1);
  cr_expect_eq(sum.states[JIT_ENTRY_FOREIGN], 1);
  cr_expect_eq(sum.states[JIT_ENTRY_UNTRUSTED], 2);
  cr_expect_eq(sum.states[JIT_ENTRY_STALE], 1);
  cr_expect_eq(sum.with_key, COUNT - 3);
  cr_expect_eq(sum.with_reason, 5);
  cr_expect_eq(sum.read_only, 0);
  cr_expect_eq(place.warnings, 0); /* looking is not an event */
  jit_cache_visit(cache, "", stop_at_once, &visits);
  cr_expect_eq(visits, 1);
  jit_cache_destroy(cache);
  place_release(&place);
}

static bool keep_name(void *ctx, const JitCacheEntry *entry) {
  snprintf(ctx, JIT_KEY_NAME_BYTES + 2, "%s", entry->name);
  return true;
}

Test(cache_keep, visits_by_prefix_and_layer) {
  Place place;
  Tally sum = {0};
  char text[32], name[JIT_KEY_NAME_BYTES + 2] = "", prefix[17];
  place_init(&place, make_object(KEY));
  JitCache *cache = place_cache(&place);
  fill(&place, cache);
  jit_cache_destroy(cache);
  cache = place_open(&place, (JitCacheOptions){.read_only = place.directory});
  jit_cache_visit(cache, "", tally, &sum);
  cr_expect_eq(sum.read_only, COUNT);
  key_number(3, text);
  JitKey key = jit_key_make(text, strlen(text));
  char whole[JIT_KEY_NAME_BYTES];
  jit_key_name(&key, whole);
  memcpy(prefix, whole, sizeof prefix - 1);
  prefix[sizeof prefix - 1] = 0;
  jit_cache_visit(cache, prefix, keep_name, name);
  cr_expect_eq(strncmp(name, whole, strlen(whole)), 0);
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_keep, prune_removes_the_bad_then_the_old) {
  Place place;
  JitCacheTotals totals;
  char abandoned[160], fresh[160], mine[160];
  place_init(&place, make_object(KEY));
  JitCache *cache = place_cache(&place);
  cr_expect_eq(jit_cache_prune(cache, UINT64_MAX, &totals), KILN_OK); /* nothing there yet */
  size_t size = fill(&place, cache);
  spoil(&place);
  snprintf(abandoned, sizeof abandoned, "%s/.tmp-1-0000000000000000", place.directory);
  snprintf(fresh, sizeof fresh, "%s/.tmp-2-0000000000000000", place.directory);
  snprintf(mine, sizeof mine, "%s/README", place.directory);
  write_bytes(abandoned, "x", 1);
  write_bytes(fresh, "x", 1);
  write_bytes(mine, "x", 1);
  make_older(abandoned, 61);
  make_older(mine, 100000);
  cr_expect_eq(jit_cache_prune(cache, UINT64_MAX, &totals), KILN_OK);
  cr_expect_eq(totals.removed, 5);
  cr_expect_eq(totals.kept, COUNT - 5);
  cr_expect_eq(totals.kept_bytes, (COUNT - 5) * size);
  cr_expect_not(file_exists(abandoned));
  cr_expect(file_exists(fresh));
  cr_expect(file_exists(mine));
  cr_expect_eq(jit_cache_prune(cache, size, &totals), KILN_OK);
  cr_expect_eq(totals.kept, 1);
  cr_expect(has(&place, COUNT - 1));
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_keep, clear_removes_entries_only) {
  Place place;
  JitCacheTotals totals;
  char mine[160];
  place_init(&place, make_object(KEY));
  JitCache *cache = place_cache(&place);
  cr_expect_eq(jit_cache_clear(cache, &totals), KILN_OK); /* nothing there yet */
  size_t size = fill(&place, cache);
  snprintf(mine, sizeof mine, "%s/notes.o", place.directory);
  write_bytes(mine, "x", 1);
  cr_expect_eq(jit_cache_clear(cache, &totals), KILN_OK);
  cr_expect_eq(totals.removed, COUNT);
  cr_expect_eq(totals.removed_bytes, COUNT * size);
  cr_expect_eq(totals.kept, 0);
  cr_expect(file_exists(mine));
  for (int i = 0; i < COUNT; ++i) cr_expect_not(has(&place, i));
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_keep, unusable_directories_are_reported) {
  Place place;
  Tally sum = {0};
  JitCacheTotals totals;
  place_init(&place, make_object(KEY));
  write_bytes(place.directory, "x", 1);
  JitCache *cache = place_cache(&place);
  cr_expect_eq(jit_cache_visit(cache, "", tally, &sum), KILN_IO);
  cr_expect_eq(jit_cache_prune(cache, 0, &totals), KILN_IO);
  cr_expect_eq(jit_cache_clear(cache, &totals), KILN_IO);
  cr_expect_eq(place.warnings, 3);
  jit_cache_destroy(cache);
  place_release(&place);
}
