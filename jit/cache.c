/* cache.c: finding and storing objects in the layers on disk.
 *
 * Nothing is kept open between calls, so a directory that is removed, replaced or remounted meanwhile is seen as it is.
 * What lies there is used only after jit_entry_judge has called it good. "Used" is a file's time of modification:
 * access times are switched off or made coarse on most systems. It is renewed on a hit, but at most once a minute, for
 * it writes to the disk. */
#include "jit/cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "jit/cache_disk.h"
#include "jit/jit.h"

#define SECOND_NS ((int64_t)1000000000)
enum { RENEW_SECONDS = 60 };

JitKey jit_key_make(const char *text, size_t length) {
  JitKey key;
  jit_hash(text, length, key.bytes);
  return key;
}

void jit_key_name(const JitKey *key, char name[JIT_KEY_NAME_BYTES]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < JIT_HASH_BYTES; ++i) {
    name[2 * i] = digits[key->bytes[i] >> 4];
    name[2 * i + 1] = digits[key->bytes[i] & 15];
  }
  name[2 * JIT_HASH_BYTES] = 0;
}

/* ---- creation --------------------------------------------------------------------------------------------------- */

bool jit_cache_directory(const char *kiln_cache_dir, const char *xdg_cache_home, const char *home, Text *out) {
  if (kiln_cache_dir && *kiln_cache_dir) text_add(out, kiln_cache_dir);
  else if (xdg_cache_home && *xdg_cache_home == '/') text_printf(out, "%s/kiln", xdg_cache_home);
  else if (home && *home) text_printf(out, "%s/.cache/kiln", home);
  else return false;
  return !out->failed;
}

static void add_layer(JitCache *cache, const char *path, size_t length, bool is_read_only) {
  if (length == 0) return;
  CacheLayer layer = {.path = arena_copy(&cache->arena, path, length), .is_read_only = is_read_only};
  VECTOR_PUSH(&cache->arena, cache->layers, layer);
}

static void add_layers(JitCache *cache, const JitCacheOptions *options) {
  if (options->directory) add_layer(cache, options->directory, strlen(options->directory), false);
  for (const char *path = options->read_only ? options->read_only : ""; *path;) {
    size_t length = strcspn(path, ":");
    add_layer(cache, path, length, true);
    path += length + (path[length] == ':');
  }
}

kiln_status jit_cache_create(const JitCacheOptions *options, JitCache **out) {
  const Allocator *allocator = options->allocator ? options->allocator : &allocator_default;
  *out = NULL;
  JitCache *cache = allocator->alloc(allocator->ctx, sizeof *cache, _Alignof(JitCache));
  if (!cache) return KILN_OUT_OF_MEMORY;
  *cache = (JitCache){.allocator = *allocator,
                      .capacity_bytes = options->capacity_bytes ? options->capacity_bytes : JIT_CACHE_DEFAULT_BYTES};
  if (options->log) cache->log = *options->log;
  arena_init(&cache->arena, allocator);
  pthread_mutex_init(&cache->lock, NULL);
  add_layers(cache, options);
  Text llvm;
  text_init(&llvm, allocator);
  jit_llvm_version(&llvm);
  cache->llvm = arena_copy(&cache->arena, text_get(&llvm), llvm.length);
  const char *build = options->build ? options->build : jit_build_id();
  cache->build = arena_copy(&cache->arena, build, strlen(build));
  bool failed = llvm.failed || arena_has_failed(&cache->arena);
  text_release(&llvm);
  if (failed) jit_cache_destroy(cache);
  else *out = cache;
  return failed ? KILN_OUT_OF_MEMORY : KILN_OK;
}

void jit_cache_destroy(JitCache *cache) {
  if (!cache) return;
  Allocator allocator = cache->allocator;
  pthread_mutex_destroy(&cache->lock);
  arena_release(&cache->arena);
  allocator.release(allocator.ctx, cache);
}

void jit_cache_log(const JitCache *cache, const CacheLayer *layer, const char *name, int result) {
  char text[128];
  log_event(&cache->log, KILN_LOG_WARNING, "cache: '%s%s%s': %s", layer->path, *name ? "/" : "", name,
            jit_os_message(result, text));
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

typedef struct Search {
  const char *key_text;
  size_t key_length;
  const FeatureSet *present;
  char name[ENTRY_NAME_BYTES];
} Search;

/* An entry that is not usable: says why, and removes it where that is ours to do and helps. */
static void reject(const JitCache *cache, const CacheLayer *layer, int directory, const char *name, JitEntryState state,
                   const char *why) {
  bool is_bad = state != JIT_ENTRY_UNREADABLE;
  bool removed = is_bad && !layer->is_read_only && jit_os_remove_file(directory, name) == 0;
  log_event(&cache->log, KILN_LOG_WARNING, "cache: '%s/%s' is %s: %s%s", layer->path, name, jit_entry_state_name(state),
            why, removed ? "; removed" : "");
}

static bool accept(const JitCache *cache, const CacheLayer *layer, int directory, const Search *search,
                   const JitBuffer *object) {
  JitMetadata metadata;
  size_t code_bytes;
  Arena arena;
  Text why;
  arena_init(&arena, &cache->allocator);
  text_init(&why, &cache->allocator);
  JitEntryState state = jit_entry_judge(cache, search->name, object, &arena, &metadata, &code_bytes, &why);
  bool accepted = state == JIT_ENTRY_GOOD && metadata.key_length == search->key_length &&
                  memcmp(metadata.key, search->key_text, search->key_length) == 0;
  FeatureSet missing = accepted && search->present ? metadata.features & ~*search->present : 0;
  if (state != JIT_ENTRY_GOOD) reject(cache, layer, directory, search->name, state, text_get(&why));
  if (missing) {
    features_print(missing, &why);
    log_event(&cache->log, KILN_LOG_WARNING, "cache: '%s/%s' needs what this CPU lacks: %s", layer->path, search->name,
              text_get(&why));
    accepted = false;
  }
  text_release(&why);
  arena_release(&arena);
  return accepted;
}

static bool find_in(const JitCache *cache, const CacheLayer *layer, const Search *search, JitBuffer *out) {
  int directory;
  int result = jit_os_open_directory(layer->path, false, &directory);
  if (result) {
    if (result != ENOENT) jit_cache_log(cache, layer, "", result);
    return false;
  }
  JitOsFile file = {0};
  result = jit_os_read_file(directory, search->name, JIT_OBJECT_LIMIT, &cache->allocator, out, &file);
  bool found = !result && accept(cache, layer, directory, search, out);
  if (result && result != ENOENT) jit_cache_log(cache, layer, search->name, result);
  if (found && !layer->is_read_only && jit_os_date_ns() - file.used_ns > RENEW_SECONDS * SECOND_NS)
    jit_os_mark_used(directory, search->name); /* failing costs the entry its place at worst */
  if (!found) jit_buffer_release(out);
  jit_os_close_directory(directory);
  return found;
}

bool jit_cache_find(JitCache *cache, const char *key_text, size_t key_length, const FeatureSet *present,
                    JitBuffer *out) {
  Search search = {.key_text = key_text, .key_length = key_length, .present = present};
  JitKey key = jit_key_make(key_text, key_length);
  jit_entry_name(&key, search.name);
  *out = (JitBuffer){0};
  for (size_t i = 0; i < cache->layers.count; ++i)
    if (find_in(cache, &cache->layers.items[i], &search, out)) return true;
  return false;
}

/* ---- storing ---------------------------------------------------------------------------------------------------- */

/* The directory is counted at the first write and by addition from then on; other writers are seen when it seems full.
 */
static void keep_within_capacity(JitCache *cache, int directory, uint64_t added) {
  JitCacheTotals totals;
  pthread_mutex_lock(&cache->lock);
  cache->written_bytes += added;
  uint64_t limit = cache->capacity_bytes - cache->capacity_bytes / 8; /* some room, or every write would evict */
  bool is_full = cache->written_bytes > cache->capacity_bytes;
  if (!cache->is_counted && jit_cache_evict(cache, directory, UINT64_MAX, &totals) == 0) {
    cache->is_counted = true;
    cache->written_bytes = totals.kept_bytes;
    is_full = totals.kept_bytes > cache->capacity_bytes;
  }
  if (is_full && jit_cache_evict(cache, directory, limit, &totals) == 0) cache->written_bytes = totals.kept_bytes;
  pthread_mutex_unlock(&cache->lock);
}

void jit_cache_store(JitCache *cache, const char *key_text, size_t key_length, const JitBuffer *object) {
  if (cache->layers.count == 0 || cache->layers.items[0].is_read_only) return;
  const CacheLayer *layer = &cache->layers.items[0];
  char name[ENTRY_NAME_BYTES];
  JitKey key = jit_key_make(key_text, key_length);
  jit_entry_name(&key, name);
  int directory;
  int result = jit_os_open_directory(layer->path, true, &directory);
  if (result) {
    jit_cache_log(cache, layer, "", result);
    return;
  }
  result = jit_os_write_file(directory, name, object->data, object->size);
  if (result) jit_cache_log(cache, layer, name, result);
  else keep_within_capacity(cache, directory, object->size);
  jit_os_close_directory(directory);
}
