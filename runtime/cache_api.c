/* cache_api.c: looking at the object cache on disk and tidying it. */
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* Copies of all entries, since they come in no order and live only while they are visited. */
typedef struct Entries {
  Arena arena;
  VECTOR(kiln_cache_entry) list;
} Entries;

static const char *keep(Entries *entries, const char *text) {
  return text ? arena_copy(&entries->arena, text, strlen(text)) : "";
}

static const char *field_of(const JitMetadata *metadata, const char *name) {
  for (size_t i = 0; i < metadata->field_count; ++i)
    if (strcmp(metadata->fields[i].name, name) == 0) return metadata->fields[i].value;
  return "";
}

/* A file of the cache is called by its key, `<64 hex digits>.o`. */
static const char *key_of(Entries *entries, const char *file) {
  return arena_copy(&entries->arena, file, strcspn(file, "."));
}

static bool collect(void *ctx, const JitCacheEntry *found) {
  Entries *entries = ctx;
  kiln_cache_entry entry = {
      .key = key_of(entries, found->name),
      .directory = keep(entries, found->directory),
      .writable = !found->is_read_only,
      .bytes = found->bytes,
      .used = found->used,
      .target = "",
      .template_ = "",
      .schedule = "",
      .graph = "",
      .fault = found->state == JIT_ENTRY_GOOD ? NULL : keep(entries, found->reason),
  };
  if (found->metadata) {
    entry.target = keep(entries, found->metadata->target);
    entry.template_ = keep(entries, field_of(found->metadata, "template"));
    entry.schedule = keep(entries, field_of(found->metadata, "schedule"));
    entry.graph = keep(entries, field_of(found->metadata, "graph"));
  }
  VECTOR_PUSH(&entries->arena, entries->list, entry);
  return true;
}

/* By time; by key within a second, so that two listings agree. */
static int newer_first(const void *a, const void *b) {
  const kiln_cache_entry *x = a, *y = b;
  if (x->used != y->used) return x->used < y->used ? 1 : -1;
  return strcmp(x->key, y->key);
}

kiln_status kiln_cache_visit(kiln_engine *engine, bool (*visit)(void *ctx, const kiln_cache_entry *entry), void *ctx) {
  if (!engine || !visit) return KILN_INVALID_ARGUMENT;
  Entries entries = {0};
  arena_init(&entries.arena, &engine->allocator);
  kiln_status status = jit_cache_visit(engine->cache, "", collect, &entries);
  bool failed = arena_has_failed(&entries.arena);
  if (entries.list.count > 0) qsort(entries.list.items, entries.list.count, sizeof *entries.list.items, newer_first);
  for (size_t i = 0; !failed && i < entries.list.count; ++i)
    if (!visit(ctx, &entries.list.items[i])) break;
  arena_release(&entries.arena);
  return failed ? KILN_OUT_OF_MEMORY : status;
}

const char *kiln_cache_directory(const kiln_engine *engine) { return engine ? engine->cache_directory : ""; }

kiln_status kiln_cache_verify(kiln_engine *engine, size_t *sound, size_t *removed) {
  JitCacheTotals totals = {0};
  if (!engine) return KILN_INVALID_ARGUMENT;
  kiln_status status = jit_cache_prune(engine->cache, UINT64_MAX, &totals);
  if (!status && sound) *sound = totals.kept;
  if (!status && removed) *removed = totals.removed;
  return status;
}

kiln_status kiln_cache_prune(kiln_engine *engine, uint64_t max_bytes, size_t *removed) {
  JitCacheTotals totals = {0};
  if (!engine) return KILN_INVALID_ARGUMENT;
  kiln_status status =
      max_bytes == 0 ? jit_cache_clear(engine->cache, &totals) : jit_cache_prune(engine->cache, max_bytes, &totals);
  if (!status && removed) *removed = totals.removed;
  return status;
}
