/* cache_disk.h: what the files of the disk layers share. */
#ifndef KILN_JIT_CACHE_DISK_H
#define KILN_JIT_CACHE_DISK_H

#include <pthread.h>

#include "jit/cache.h"
#include "jit/os.h"

enum { ENTRY_NAME_BYTES = JIT_KEY_NAME_BYTES + 2 }; /* hex digits, ".o", NUL */

typedef struct CacheLayer {
  const char *path;
  bool is_read_only;
} CacheLayer;

struct JitCache {
  Allocator allocator;
  Arena arena; /* strings and layers */
  kiln_log log;
  VECTOR(CacheLayer) layers; /* the user's first, if there is one */
  uint64_t capacity_bytes;
  const char *llvm, *build; /* of what is not stale */
  pthread_mutex_t lock;     /* of the fields below */
  bool is_counted;
  uint64_t written_bytes; /* in the user's directory, as far as this process knows */
};

/* `<64 hex digits>.o`, and whether a name is of that form. */
void jit_entry_name(const JitKey *key, char name[ENTRY_NAME_BYTES]);
bool jit_entry_is_name(const char *name);

/* Judges an object as the entry `name`. `metadata` is filled, with strings in the arena, as far as it can be read
 * (`key` is NULL otherwise). The reason goes to `why`. */
JitEntryState jit_entry_judge(const JitCache *cache, const char *name, const JitBuffer *object, Arena *arena,
                              JitMetadata *metadata, size_t *code_bytes, Text *why);

/* Of the user's open directory: removes the least recently used entries until `capacity_bytes` remain, and temporary
 * files that were left behind. */
int jit_cache_evict(JitCache *cache, int directory, uint64_t capacity_bytes, JitCacheTotals *totals);

/* One warning: `cache: 'layer/name': message of result`. */
void jit_cache_log(const JitCache *cache, const CacheLayer *layer, const char *name, int result);

#endif
