/* cache_keep.c: house-keeping of the disk layers: visiting, evicting, pruning, clearing.
 *
 * A directory is listed first and worked on afterwards. Other processes may add and remove meanwhile; what has gone by
 * then is passed over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jit/cache_disk.h"

#define ABANDONED_NS ((int64_t)3600 * 1000000000) /* a writer needs milliseconds between opening and renaming */

typedef struct Found {
  char name[ENTRY_NAME_BYTES];
  JitOsFile file;
} Found;

typedef struct Listing {
  Arena arena;
  VECTOR(Found) entries;
  VECTOR(const char *) temporaries;
  int64_t abandoned_before_ns;
} Listing;

static bool list_one(void *ctx, const char *name, const JitOsFile *file) {
  Listing *listing = ctx;
  if (jit_entry_is_name(name)) {
    Found found = {.file = *file};
    memcpy(found.name, name, sizeof found.name);
    VECTOR_PUSH(&listing->arena, listing->entries, found);
  } else if (jit_os_is_temporary(name) && file->used_ns <= listing->abandoned_before_ns) {
    const char *copy = arena_copy(&listing->arena, name, strlen(name));
    VECTOR_PUSH(&listing->arena, listing->temporaries, copy);
  }
  return !arena_has_failed(&listing->arena);
}

/* The caller releases listing->arena, whatever the result. */
static int list_directory(const JitCache *cache, int directory, int64_t abandoned_ns, Listing *listing) {
  *listing = (Listing){.abandoned_before_ns = jit_os_date_ns() - abandoned_ns};
  arena_init(&listing->arena, &cache->allocator);
  int result = jit_os_list(directory, list_one, listing);
  return arena_has_failed(&listing->arena) ? ENOMEM : result;
}

/* ---- visiting --------------------------------------------------------------------------------------------------- */

typedef struct Walk {
  JitCache *cache;
  const CacheLayer *layer;
  int directory;
  JitCacheVisit *visit;
  void *ctx;
} Walk;

static JitEntryState state_of(int result) {
  if (result == JIT_OS_TOO_LONG) return JIT_ENTRY_DAMAGED;
  return result < 0 ? JIT_ENTRY_UNTRUSTED : JIT_ENTRY_UNREADABLE;
}

static bool visit_entry(const Walk *walk, const Found *found) {
  JitCache *cache = walk->cache;
  JitMetadata metadata = {0};
  JitBuffer object;
  JitOsFile file = found->file;
  char text[128];
  Arena arena;
  Text why;
  int result = jit_os_read_file(walk->directory, found->name, JIT_OBJECT_LIMIT, &cache->allocator, &object, &file);
  if (result == ENOENT) return true;
  arena_init(&arena, &cache->allocator);
  text_init(&why, &cache->allocator);
  JitCacheEntry entry = {.directory = walk->layer->path,
                         .name = found->name,
                         .is_read_only = walk->layer->is_read_only,
                         .bytes = file.bytes,
                         .used = file.used_ns / 1000000000,
                         .state = state_of(result)};
  if (result) text_add(&why, jit_os_message(result, text));
  else entry.state = jit_entry_judge(cache, found->name, &object, &arena, &metadata, &entry.code_bytes, &why);
  entry.reason = text_get(&why);
  entry.metadata = metadata.key ? &metadata : NULL;
  bool goes_on = walk->visit(walk->ctx, &entry);
  text_release(&why);
  arena_release(&arena);
  jit_buffer_release(&object);
  return goes_on;
}

/* 0, or what is wrong with the layer; *goes_on is false once a visit returned false. */
static int visit_layer(Walk *walk, const char *prefix, bool *goes_on) {
  Listing listing;
  int result = jit_os_open_directory(walk->layer->path, false, &walk->directory);
  if (result) return result == ENOENT ? 0 : result;
  result = list_directory(walk->cache, walk->directory, ABANDONED_NS, &listing);
  for (size_t i = 0; i < listing.entries.count && *goes_on && !result; ++i)
    if (strncmp(listing.entries.items[i].name, prefix, strlen(prefix)) == 0)
      *goes_on = visit_entry(walk, &listing.entries.items[i]);
  arena_release(&listing.arena);
  jit_os_close_directory(walk->directory);
  return result;
}

kiln_status jit_cache_visit(JitCache *cache, const char *prefix, JitCacheVisit *visit, void *ctx) {
  kiln_status status = KILN_OK;
  bool goes_on = true;
  for (size_t i = 0; i < cache->layers.count && goes_on; ++i) {
    Walk walk = {.cache = cache, .layer = &cache->layers.items[i], .visit = visit, .ctx = ctx};
    int result = visit_layer(&walk, prefix, &goes_on);
    if (!result) continue;
    jit_cache_log(cache, walk.layer, "", result);
    status = KILN_IO;
  }
  return status;
}

/* ---- evicting --------------------------------------------------------------------------------------------------- */

static int compare_use(const void *left, const void *right) {
  const Found *a = left, *b = right;
  if (a->file.used_ns != b->file.used_ns) return a->file.used_ns < b->file.used_ns ? -1 : 1;
  return strcmp(a->name, b->name);
}

static void count_removed(JitCacheTotals *totals, uint64_t bytes) {
  --totals->kept;
  ++totals->removed;
  totals->kept_bytes -= bytes;
  totals->removed_bytes += bytes;
}

static int evict_listed(JitCache *cache, int directory, Listing *listing, uint64_t capacity, JitCacheTotals *totals) {
  for (size_t i = 0; i < listing->temporaries.count; ++i) jit_os_remove_file(directory, listing->temporaries.items[i]);
  for (size_t i = 0; i < listing->entries.count; ++i) totals->kept_bytes += listing->entries.items[i].file.bytes;
  totals->kept = listing->entries.count;
  if (totals->kept_bytes <= capacity) return 0;
  qsort(listing->entries.items, listing->entries.count, sizeof(Found), compare_use);
  for (size_t i = 0; i < listing->entries.count && totals->kept_bytes > capacity; ++i) {
    const Found *found = &listing->entries.items[i];
    int result = jit_os_remove_file(directory, found->name);
    if (result) jit_cache_log(cache, &cache->layers.items[0], found->name, result);
    else count_removed(totals, found->file.bytes);
  }
  return 0;
}

int jit_cache_evict(JitCache *cache, int directory, uint64_t capacity_bytes, JitCacheTotals *totals) {
  Listing listing;
  *totals = (JitCacheTotals){0};
  int result = list_directory(cache, directory, ABANDONED_NS, &listing);
  if (!result) result = evict_listed(cache, directory, &listing, capacity_bytes, totals);
  arena_release(&listing.arena);
  return result;
}

/* ---- pruning and clearing --------------------------------------------------------------------------------------- */

typedef struct Removal {
  int directory;
  JitCacheTotals *totals;
} Removal;

static bool remove_bad(void *ctx, const JitCacheEntry *entry) {
  Removal *removal = ctx;
  if (entry->state == JIT_ENTRY_GOOD || entry->state == JIT_ENTRY_UNREADABLE ||
      jit_os_remove_file(removal->directory, entry->name) != 0)
    return true;
  ++removal->totals->removed;
  removal->totals->removed_bytes += entry->bytes;
  return true;
}

/* The user's directory; 0 and *directory of -1 where there is none yet. */
static int open_own(JitCache *cache, int *directory) {
  *directory = -1;
  if (cache->layers.count == 0 || cache->layers.items[0].is_read_only) return 0;
  int result = jit_os_open_directory(cache->layers.items[0].path, false, directory);
  if (result == ENOENT) return 0;
  if (result) jit_cache_log(cache, &cache->layers.items[0], "", result);
  return result;
}

kiln_status jit_cache_prune(JitCache *cache, uint64_t capacity_bytes, JitCacheTotals *totals) {
  JitCacheTotals bad = {0}, evicted = {0};
  bool goes_on = true;
  int directory;
  *totals = bad;
  int result = open_own(cache, &directory);
  if (result || directory < 0) return result ? KILN_IO : KILN_OK;
  Removal removal = {.directory = directory, .totals = &bad};
  Walk walk = {.cache = cache, .layer = &cache->layers.items[0], .visit = remove_bad, .ctx = &removal};
  result = visit_layer(&walk, "", &goes_on);
  if (!result) result = jit_cache_evict(cache, directory, capacity_bytes, &evicted);
  jit_os_close_directory(directory);
  *totals = (JitCacheTotals){.kept = evicted.kept,
                             .removed = bad.removed + evicted.removed,
                             .kept_bytes = evicted.kept_bytes,
                             .removed_bytes = bad.removed_bytes + evicted.removed_bytes};
  return result ? KILN_IO : KILN_OK;
}

kiln_status jit_cache_clear(JitCache *cache, JitCacheTotals *totals) {
  Listing listing;
  int directory;
  *totals = (JitCacheTotals){0};
  int result = open_own(cache, &directory);
  if (result || directory < 0) return result ? KILN_IO : KILN_OK;
  result = list_directory(cache, directory, 0, &listing);
  for (size_t i = 0; !result && i < listing.entries.count; ++i) {
    const Found *found = &listing.entries.items[i];
    int removed = jit_os_remove_file(directory, found->name);
    if (removed) jit_cache_log(cache, &cache->layers.items[0], found->name, removed);
    if (removed) ++totals->kept;
    else ++totals->removed;
    *(removed ? &totals->kept_bytes : &totals->removed_bytes) += found->file.bytes;
  }
  for (size_t i = 0; !result && i < listing.temporaries.count; ++i)
    jit_os_remove_file(directory, listing.temporaries.items[i]);
  arena_release(&listing.arena);
  jit_os_close_directory(directory);
  return result ? KILN_IO : KILN_OK;
}
