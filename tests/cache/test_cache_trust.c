/* What the disk layers accept, what they refuse, and what they do about it. */
#include <fcntl.h>

#include "jit/cache.h"
#include "tests/cache/kernels.h"
#include "tests/cache/place.h"

static mode_t mode_of(const char *path) {
  struct stat info;
  cr_assert_eq(lstat(path, &info), 0);
  return info.st_mode & 07777;
}

Test(cache_trust, stores_and_finds) {
  Place place;
  char path[256];
  place_init(&place, make_object(KEY));
  JitCache *cache = place_cache(&place);
  cr_expect_not(finds(cache, KEY, &place.object)); /* no directory yet: a plain miss */
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect(finds(cache, KEY, &place.object));
  cr_expect_not(finds(cache, KEY "!", &place.object));
  cr_expect_eq(mode_of(place.directory), 0700);
  cr_expect_eq(mode_of(place_entry(&place, KEY, path)), 0600);
  cr_expect_eq(place.warnings, 0, "%s", place.last);
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, parents_are_made) {
  Place place;
  place_init(&place, make_object(KEY));
  snprintf(place.directory, sizeof place.directory, "%s/a/b/kiln/", place.root);
  JitCache *cache = place_cache(&place);
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect(finds(cache, KEY, &place.object));
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, no_directory_is_no_cache) {
  Place place;
  place_init(&place, make_object(KEY));
  JitCache *cache = place_open(&place, (JitCacheOptions){.directory = ""});
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect_not(finds(cache, KEY, &place.object));
  cr_expect_eq(place.warnings, 0);
  jit_cache_destroy(cache);
  place_release(&place);
}

/* ---- damage ----------------------------------------------------------------------------------------------------- */

/* Puts these bytes in the entry's place: they must be a miss, one event, and be removed. */
static void expect_removed(Place *place, JitCache *cache, const void *bytes, size_t size, const char *state) {
  char path[256];
  place_entry(place, KEY, path);
  write_bytes(path, bytes, size);
  int warnings = place->warnings;
  cr_expect_not(finds(cache, KEY, &place->object), "%zu bytes are found", size);
  cr_expect_eq(place->warnings, warnings + 1);
  cr_expect_not_null(strstr(place->last, state), "%s", place->last);
  cr_expect_not(file_exists(path), "%zu bytes stay", size);
}

static JitCache *filled_cache(Place *place) {
  place_init(place, make_object(KEY));
  JitCache *cache = place_cache(place);
  jit_cache_store(cache, KEY, strlen(KEY), &place->object);
  return cache;
}

Test(cache_trust, truncated_entries) {
  Place place;
  JitCache *cache = filled_cache(&place);
  for (size_t size = 0; size < place.object.size; ++size)
    expect_removed(&place, cache, place.object.data, size, "damaged");
  jit_cache_store(cache, KEY, strlen(KEY), &place.object); /* and it recovers */
  cr_expect(finds(cache, KEY, &place.object));
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, flipped_entries) {
  Place place;
  JitCache *cache = filled_cache(&place);
  for (size_t at = 0; at < place.object.size; ++at) {
    uint8_t bit = (uint8_t)(1u << at % 8);
    place.object.data[at] ^= bit;
    expect_removed(&place, cache, place.object.data, place.object.size, "damaged");
    place.object.data[at] ^= bit;
  }
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, longer_entries) {
  Place place;
  JitCache *cache = filled_cache(&place);
  uint8_t *bytes = calloc(1, place.object.size + 1);
  memcpy(bytes, place.object.data, place.object.size);
  expect_removed(&place, cache, bytes, place.object.size + 1, "damaged");
  free(bytes);
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, foreign_entries) {
  Place place;
  JitCache *cache = filled_cache(&place);
  JitBuffer other = make_object("another key");
  expect_removed(&place, cache, other.data, other.size, "foreign");
  expect_removed(&place, cache, "#!/bin/sh\n", 10, "damaged");
  jit_buffer_release(&other);
  jit_cache_destroy(cache);
  place_release(&place);
}

/* An object of a compiler, with no metadata. */
Test(cache_trust, other_compilers_objects) {
  Place place;
  JitCache *cache = filled_cache(&place);
  JitObject object;
  cr_assert_eq(jit_object_parse(place.object.data, place.object.size, &object, NULL), KILN_OK);
  memset(place.object.data + object.metadata, 0, 8);
  expect_removed(&place, cache, place.object.data, place.object.size, "damaged");
  jit_cache_destroy(cache);
  place_release(&place);
}

/* Undefined symbols are refused even where the checksum is right. */
Test(cache_trust, sealed_objects_with_undefined_symbols) {
  Place place;
  JitCache *cache = filled_cache(&place);
  JitObject object;
  cr_assert_eq(jit_object_parse(place.object.data, place.object.size, &object, NULL), KILN_OK);
  for (size_t i = 1; i < object.symbol_count; ++i)
    if (strcmp(jit_object_symbol(&object, i).name, "add_tasks") == 0)
      memset(place.object.data + object.symbols + 24 * i + 6, 0, 2);
  jit_object_seal(&object, place.object.data);
  cr_assert(jit_object_is_intact(&object));
  expect_removed(&place, cache, place.object.data, place.object.size, "undefined symbol 'add_tasks'");
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, stale_entries) {
  Place place;
  JitCache *cache = filled_cache(&place);
  JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = KEY, .key_length = strlen(KEY), .build = "yesterday"};
  JitBuffer old;
  cr_assert_eq(emit_text(kernel_text, "x86-64", &options, &old, NULL), KILN_OK);
  expect_removed(&place, cache, old.data, old.size, "stale");
  jit_buffer_release(&old);
  JitObject object;
  cr_assert_eq(jit_object_parse(place.object.data, place.object.size, &object, NULL), KILN_OK);
  place.object.data[object.metadata + 8] = 99; /* a later version of the format, sealed by its own writer */
  jit_object_seal(&object, place.object.data);
  expect_removed(&place, cache, place.object.data, place.object.size, "stale");
  jit_cache_destroy(cache);
  place_release(&place);
}

/* ---- other CPUs ------------------------------------------------------------------------------------------------- */

Test(cache_trust, other_cpus_entries_are_a_miss_and_stay) {
  Place place;
  char path[256];
  JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = KEY, .key_length = strlen(KEY)};
  JitBuffer object, found;
  FeatureSet fma = (FeatureSet)1 << FEATURE_FMA, all = target_find("haswell")->features;
  cr_assert_eq(emit_text(kernel_text, "haswell", &options, &object, NULL), KILN_OK);
  place_init(&place, object);
  JitCache *cache = place_cache(&place);
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect_not(jit_cache_find(cache, KEY, strlen(KEY), &fma, &found));
  cr_expect_eq(place.warnings, 1);
  cr_expect_not_null(strstr(place.last, "needs what this CPU lacks: f16c"), "%s", place.last);
  cr_expect(file_exists(place_entry(&place, KEY, path)));
  cr_expect(jit_cache_find(cache, KEY, strlen(KEY), &all, &found));
  jit_buffer_release(&found);
  cr_expect(finds(cache, KEY, &place.object)); /* to be looked at, not run */
  jit_cache_destroy(cache);
  place_release(&place);
}

/* ---- who may write ---------------------------------------------------------------------------------------------- */

/* The entry is as it should be, but for who may change it: a miss and one event. */
static void expect_untrusted(Place *place, JitCache *cache, const char *sentence) {
  int warnings = place->warnings;
  cr_expect_not(finds(cache, KEY, &place->object), "%s", sentence);
  cr_expect_eq(place->warnings, warnings + 1);
  cr_expect_not_null(strstr(place->last, sentence), "%s", place->last);
}

Test(cache_trust, files_others_may_write) {
  Place place;
  char path[256];
  JitCache *cache = filled_cache(&place);
  place_entry(&place, KEY, path);
  chmod(path, 0660);
  expect_untrusted(&place, cache, "lets another user write");
  chmod(path, 0602);
  expect_untrusted(&place, cache, "lets another user write");
  chmod(path, 0644);
  cr_expect(finds(cache, KEY, &place.object));
  if (geteuid() == 0) {
    cr_assert_eq(chown(path, 12345, 0), 0);
    expect_untrusted(&place, cache, "lets another user write");
  }
  jit_cache_store(cache, KEY, strlen(KEY), &place.object); /* replaces it by one of ours */
  cr_expect(finds(cache, KEY, &place.object));
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, directories_others_may_write) {
  Place place;
  JitCache *cache = filled_cache(&place);
  chmod(place.directory, 0770);
  expect_untrusted(&place, cache, "lets another user write");
  int warnings = place.warnings;
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect_eq(place.warnings, warnings + 1);
  chmod(place.directory, 0755);
  cr_expect(finds(cache, KEY, &place.object));
  if (geteuid() == 0) {
    cr_assert_eq(chown(place.directory, 12345, 0), 0);
    expect_untrusted(&place, cache, "lets another user write");
  }
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, links_are_not_followed) {
  Place place;
  char path[256], target[256];
  JitCache *cache = filled_cache(&place);
  place_entry(&place, KEY, path);
  snprintf(target, sizeof target, "%s/elsewhere.o", place.root);
  cr_assert_eq(rename(path, target), 0);
  cr_assert_eq(symlink(target, path), 0);
  expect_untrusted(&place, cache, "not a regular file");
  jit_cache_store(cache, KEY, strlen(KEY), &place.object); /* replaces the link, not what it names */
  cr_expect(finds(cache, KEY, &place.object));
  cr_expect(file_exists(target));
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, linked_directories_are_refused) {
  Place place;
  char other[128];
  JitCache *cache = filled_cache(&place);
  snprintf(other, sizeof other, "%s/other", place.root);
  cr_assert_eq(rename(place.directory, other), 0);
  cr_assert_eq(symlink(other, place.directory), 0);
  int warnings = place.warnings;
  cr_expect_not(finds(cache, KEY, &place.object));
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect_eq(place.warnings, warnings + 2);
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, pipes_do_not_block) {
  Place place;
  char path[256];
  JitCache *cache = filled_cache(&place);
  place_entry(&place, KEY, path);
  cr_assert_eq(remove(path), 0);
  cr_assert_eq(mkfifo(path, 0600), 0);
  expect_untrusted(&place, cache, "not a regular file");
  jit_cache_destroy(cache);
  place_release(&place);
}

/* ---- directories that cannot be written ------------------------------------------------------------------------- */

Test(cache_trust, unwritable_directories_cost_an_event) {
  Place place;
  char blocker[128];
  place_init(&place, make_object(KEY));
  snprintf(blocker, sizeof blocker, "%s/file", place.root);
  write_bytes(blocker, "x", 1);
  snprintf(place.directory, sizeof place.directory, "%s/file/cache", place.root);
  JitCache *cache = place_cache(&place);
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect_eq(place.warnings, 1);
  cr_expect_not(finds(cache, KEY, &place.object));
  jit_cache_destroy(cache);
  cache = place_open(&place, (JitCacheOptions){.directory = "/proc/kiln/cache"});
  int warnings = place.warnings;
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_expect_eq(place.warnings, warnings + 1);
  jit_cache_destroy(cache);
  if (geteuid() != 0) { /* root may write anyway */
    snprintf(place.directory, sizeof place.directory, "%s/sealed", place.root);
    cr_assert_eq(mkdir(place.directory, 0500), 0);
    cache = place_cache(&place);
    warnings = place.warnings;
    jit_cache_store(cache, KEY, strlen(KEY), &place.object);
    cr_expect_eq(place.warnings, warnings + 1);
    jit_cache_destroy(cache);
  }
  place_release(&place);
}

/* ---- read-only layers ------------------------------------------------------------------------------------------- */

Test(cache_trust, read_only_layers_are_read_in_order_and_never_written) {
  Place place;
  char path[256], layers[256];
  JitCache *cache = filled_cache(&place);
  jit_cache_destroy(cache);
  snprintf(layers, sizeof layers, "%s/absent::%s", place.root, place.directory);
  cache = place_open(&place, (JitCacheOptions){.read_only = layers});
  cr_expect(finds(cache, KEY, &place.object));
  cr_expect_eq(place.warnings, 0);
  jit_cache_store(cache, "other", 5, &place.object);
  cr_expect_not(file_exists(place_entry(&place, "other", path)));
  place_entry(&place, KEY, path);
  write_bytes(path, place.object.data, place.object.size / 2);
  cr_expect_not(finds(cache, KEY, &place.object));
  cr_expect_eq(place.warnings, 1);
  cr_expect(file_exists(path));
  jit_cache_destroy(cache);
  place_release(&place);
}

Test(cache_trust, user_directory_comes_first_and_falls_through) {
  Place place;
  char path[256], own[128];
  JitCache *cache = filled_cache(&place);
  jit_cache_destroy(cache);
  snprintf(own, sizeof own, "%s/own", place.root);
  cache = place_open(&place, (JitCacheOptions){.directory = own, .read_only = place.directory});
  cr_expect(finds(cache, KEY, &place.object)); /* from the second layer */
  jit_cache_store(cache, KEY, strlen(KEY), &place.object);
  cr_assert_eq(remove(place_entry(&place, KEY, path)), 0);
  cr_expect(finds(cache, KEY, &place.object)); /* from the first */
  jit_cache_destroy(cache);
  place_release(&place);
}

/* ---- where ------------------------------------------------------------------------------------------------------ */

Test(cache_trust, directory_follows_the_environment) {
  static const struct {
    const char *own, *xdg, *home, *expected; /* NULL: none */
  } rows[] = {
      {"/c", "/x", "/h", "/c"},
      {NULL, "/x", "/h", "/x/kiln"},
      {"", "/x", "/h", "/x/kiln"},
      {NULL, NULL, "/h", "/h/.cache/kiln"},
      {NULL, "relative", "/h", "/h/.cache/kiln"},
      {NULL, "", NULL, NULL},
      {NULL, NULL, "", NULL},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(rows); ++i) {
    Text path;
    text_init(&path, NULL);
    bool found = jit_cache_directory(rows[i].own, rows[i].xdg, rows[i].home, &path);
    cr_expect_eq(found, rows[i].expected != NULL);
    if (found) cr_expect_str_eq(text_get(&path), rows[i].expected);
    text_release(&path);
  }
}
