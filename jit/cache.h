/* cache.h: the object cache: memory, the user's directory, read-only directories.
 *
 * The memory layer holds loaded kernels, which are the caller's values, and lets concurrent threads compile a key once.
 * The disk layer holds objects, one file `<64 hex digits>.o` per key, each a kernel object that says its full key. What
 * is read there is trusted with execution, so it must be intact, of this key, and writable by nobody else (see os.h).
 * Every fault of the disk is a miss and one log event, never an error. Any number of threads and processes may share a
 * directory. */
#ifndef KILN_JIT_CACHE_H
#define KILN_JIT_CACHE_H

#include "jit/object.h"

typedef struct JitKey {
  uint8_t bytes[JIT_HASH_BYTES];
} JitKey;

JitKey jit_key_make(const char *text, size_t length); /* BLAKE3 of the full key text */
#define JIT_KEY_NAME_BYTES (2 * JIT_HASH_BYTES + 1)
void jit_key_name(const JitKey *key, char name[JIT_KEY_NAME_BYTES]); /* lower-case hex */

/* ---- memory layer ----------------------------------------------------------------------------------------------- */

typedef struct JitMemory JitMemory;

/* What the values are. `retain` runs under the layer's lock: quick, and no call back. `release` runs outside it. */
typedef struct JitMemoryOptions {
  const Allocator *allocator;
  size_t capacity; /* sum of costs; values beyond it go, the least recently used first */
  void *ctx;
  void (*retain)(void *ctx, void *value);
  void (*release)(void *ctx, void *value);
} JitMemoryOptions;

kiln_status jit_memory_create(const JitMemoryOptions *options, JitMemory **out);
void jit_memory_destroy(JitMemory *memory); /* releases all values; nobody may be waiting */

typedef enum JitClaim {
  JIT_CLAIM_FOUND,  /* *value is retained for the caller */
  JIT_CLAIM_OWNED,  /* the caller makes the value, and must settle the key */
  JIT_CLAIM_FAILED, /* *status says why: what another thread settled with, or KILN_OUT_OF_MEMORY */
} JitClaim;

/* Waits while another thread makes this key's value. A thread must not claim a key that it owns. */
JitClaim jit_memory_claim(JitMemory *memory, const JitKey *key, void **value, kiln_status *status);
/* Ends a claim: with a value (the layer retains it; the caller keeps its own reference), or with NULL and the status
 * that waiting threads shall see. After a failure the next claim tries again. */
void jit_memory_settle(JitMemory *memory, const JitKey *key, void *value, size_t cost, kiln_status status);
void jit_memory_clear(JitMemory *memory); /* drops all settled values */
size_t jit_memory_count(JitMemory *memory);

/* ---- disk layers ------------------------------------------------------------------------------------------------ */

#define JIT_CACHE_DEFAULT_BYTES ((uint64_t)1 << 30)

typedef struct JitCache JitCache;

/* Strings are copied. */
typedef struct JitCacheOptions {
  const Allocator *allocator; /* NULL: the default one */
  const kiln_log *log;        /* copied; NULL: no events */
  const char *directory;      /* the user's; made when first written to. NULL or empty: none */
  const char *read_only;      /* directories separated by ':', in the order to look; NULL: none */
  uint64_t capacity_bytes;    /* of the user's directory; 0: JIT_CACHE_DEFAULT_BYTES */
  const char *build;          /* generator build id of what is not stale; NULL: this build's */
} JitCacheOptions;

kiln_status jit_cache_create(const JitCacheOptions *options, JitCache **out);
void jit_cache_destroy(JitCache *cache);

/* The user's directory from the values of three environment variables, any of which may be NULL: KILN_CACHE_DIR itself,
 * else kiln below XDG_CACHE_HOME (where that is absolute, as its specification asks), else .cache/kiln below HOME; else
 * false. */
bool jit_cache_directory(const char *kiln_cache_dir, const char *xdg_cache_home, const char *home, Text *out);

/* Finds the object of a key text: intact, a kernel, of exactly this text. `present`: the features of the CPU that will
 * run it, whose lack is a miss as well; NULL: it will not run here. Damaged, foreign and stale entries are removed
 * where they are the user's. Marks the entry used, at most once a minute. The caller releases `out`. */
bool jit_cache_find(JitCache *cache, const char *key_text, size_t key_length, const FeatureSet *present,
                    JitBuffer *out);
/* Keeps an object under its key in the user's directory, and evicts the least recently used entries when the directory
 * outgrows its capacity. */
void jit_cache_store(JitCache *cache, const char *key_text, size_t key_length, const JitBuffer *object);

/* ---- what `kiln cache` shows and does --------------------------------------------------------------------------- */

typedef enum JitEntryState {
  JIT_ENTRY_GOOD,
  JIT_ENTRY_STALE,      /* of another LLVM, build of the generator, or version of the formats: never asked for again */
  JIT_ENTRY_FOREIGN,    /* a kernel, but under a name that is not its key's */
  JIT_ENTRY_DAMAGED,    /* truncated, flipped, or no kernel at all */
  JIT_ENTRY_UNTRUSTED,  /* another user may write it, or it is no regular file */
  JIT_ENTRY_UNREADABLE, /* reading failed, for a reason that may pass */
} JitEntryState;
const char *jit_entry_state_name(JitEntryState state); /* "good" … */

/* Valid during the visit. */
typedef struct JitCacheEntry {
  const char *directory, *name; /* the path is directory/name */
  bool is_read_only;
  uint64_t bytes;
  int64_t used; /* seconds since 1970: written, or marked used */
  JitEntryState state;
  const char *reason;          /* why it is not good; "" where it is */
  const JitMetadata *metadata; /* NULL where it cannot be read */
  size_t code_bytes;
} JitCacheEntry;

typedef bool JitCacheVisit(void *ctx, const JitCacheEntry *entry); /* false ends the walk */

/* Reads and judges every entry whose name starts with `prefix` ("" for all), the user's directory first, in no other
 * order. KILN_IO where a directory exists and cannot be used, after the others were walked. */
kiln_status jit_cache_visit(JitCache *cache, const char *prefix, JitCacheVisit *visit, void *ctx);

typedef struct JitCacheTotals {
  size_t kept, removed;
  uint64_t kept_bytes, removed_bytes;
} JitCacheTotals;

/* In the user's directory: removes entries that are bad (not the unreadable) and what writers left behind an hour ago,
 * then the least recently used until at most `capacity_bytes` remain (UINT64_MAX: no limit). KILN_IO where the
 * directory cannot be used. */
kiln_status jit_cache_prune(JitCache *cache, uint64_t capacity_bytes, JitCacheTotals *totals);
/* Removes every entry of the user's directory; files that are not the cache's stay. */
kiln_status jit_cache_clear(JitCache *cache, JitCacheTotals *totals);

#endif
