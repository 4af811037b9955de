/* place.h: a directory of its own for a test of the cache, and a log that counts. */
#ifndef KILN_TESTS_CACHE_PLACE_H
#define KILN_TESTS_CACHE_PLACE_H

#include <criterion/criterion.h>
#include <fts.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jit/cache.h"

#define KEY "graph y = x; schedule mr=1 nr=8; target x86-64"

typedef struct Place {
  char root[64];      /* removed at the end */
  char directory[96]; /* root/cache, not made yet */
  kiln_log log;
  atomic_int warnings;
  char last[512];   /* the last warning */
  JitBuffer object; /* whose key is KEY */
} Place;

static void place_log(void *ctx, kiln_log_level level, const char *message) {
  Place *place = ctx;
  if (level != KILN_LOG_WARNING) return;
  atomic_fetch_add(&place->warnings, 1);
  snprintf(place->last, sizeof place->last, "%s", message);
}

static inline void place_init(Place *place, JitBuffer object) {
  *place = (Place){.root = "/tmp/kiln-cache-XXXXXX", .log = {place, place_log}, .object = object};
  cr_assert_not_null(mkdtemp(place->root));
  snprintf(place->directory, sizeof place->directory, "%s/cache", place->root);
}

static inline void place_release(Place *place) {
  FTS *walk = fts_open((char *[]){place->root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  for (FTSENT *entry; walk && (entry = fts_read(walk)) != NULL;)
    if (entry->fts_info != FTS_D) remove(entry->fts_accpath); /* directories come again after their content */
  if (walk) fts_close(walk);
  jit_buffer_release(&place->object);
}

static inline JitCache *place_open(Place *place, JitCacheOptions options) {
  JitCache *cache;
  options.log = &place->log;
  cr_assert_eq(jit_cache_create(&options, &cache), KILN_OK);
  return cache;
}

/* A cache whose user's directory is the place's. */
static inline JitCache *place_cache(Place *place) {
  return place_open(place, (JitCacheOptions){.directory = place->directory});
}

/* Path of the entry of a key in the place's directory. */
static inline const char *place_entry(const Place *place, const char *key_text, char path[256]) {
  char name[JIT_KEY_NAME_BYTES];
  JitKey key = jit_key_make(key_text, strlen(key_text));
  jit_key_name(&key, name);
  snprintf(path, 256, "%s/%s.o", place->directory, name);
  return path;
}

static inline bool file_exists(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  cr_assert_not_null(file, "%s", path);
  cr_assert_eq(fwrite(bytes, 1, size, file), size);
  fclose(file);
  cr_assert_eq(chmod(path, 0600), 0);
}

/* Whether the key is found, and if so whole. */
static inline bool finds(JitCache *cache, const char *key_text, const JitBuffer *expected) {
  JitBuffer found;
  if (!jit_cache_find(cache, key_text, strlen(key_text), NULL, &found)) {
    cr_expect_null(found.data);
    return false;
  }
  cr_expect_eq(found.size, expected->size);
  cr_expect_eq(memcmp(found.data, expected->data, found.size), 0);
  jit_buffer_release(&found);
  return true;
}

#endif
