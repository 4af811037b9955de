/* cache_memory.c: keys to the caller's values, bounded, and one maker per key.
 *
 * A hash table of nodes that are chained by the first bytes of the key (which is a hash already), and a list of the
 * settled ones from the least to the most recently used. A node that a thread waits on stays alive until the last has
 * woken, even if the value is dropped meanwhile. One lock and one condition for all: claims are a microsecond, waits
 * are compiles. */
#include <pthread.h>
#include <string.h>

#include "jit/cache.h"

enum { FIRST_BUCKETS = 64 };

typedef enum NodeState { NODE_PENDING, NODE_READY, NODE_FAILED } NodeState;

typedef struct Node {
  struct Node *chain;           /* of the bucket */
  struct Node *older, *younger; /* list of ready nodes */
  JitKey key;
  NodeState state;
  kiln_status status;
  void *value;
  size_t cost;
  size_t waiters;
} Node;

struct JitMemory {
  JitMemoryOptions options;
  Allocator allocator;
  pthread_mutex_t lock;
  pthread_cond_t settled;
  Node **buckets;
  size_t bucket_count; /* a power of two */
  size_t node_count;
  Node *oldest, *youngest;
  size_t ready_count, total_cost;
};

static void *allocate(JitMemory *memory, size_t bytes) {
  void *made = memory->allocator.alloc(memory->allocator.ctx, bytes, _Alignof(max_align_t));
  if (made) memset(made, 0, bytes);
  return made;
}

static void release(JitMemory *memory, void *made) { memory->allocator.release(memory->allocator.ctx, made); }

kiln_status jit_memory_create(const JitMemoryOptions *options, JitMemory **out) {
  Allocator allocator = options->allocator ? *options->allocator : allocator_default;
  JitMemory seed = {.options = *options, .allocator = allocator, .bucket_count = FIRST_BUCKETS};
  JitMemory *memory = allocate(&seed, sizeof *memory);
  *out = NULL;
  if (!memory) return KILN_OUT_OF_MEMORY;
  *memory = seed;
  memory->buckets = allocate(memory, FIRST_BUCKETS * sizeof *memory->buckets);
  if (!memory->buckets) {
    release(memory, memory);
    return KILN_OUT_OF_MEMORY;
  }
  pthread_mutex_init(&memory->lock, NULL);
  pthread_cond_init(&memory->settled, NULL);
  *out = memory;
  return KILN_OK;
}

/* ---- table ------------------------------------------------------------------------------------------------------ */

static Node **bucket_of(const JitMemory *memory, const JitKey *key) {
  uint64_t hash;
  memcpy(&hash, key->bytes, sizeof hash);
  return &memory->buckets[hash & (memory->bucket_count - 1)];
}

static Node *find_node(const JitMemory *memory, const JitKey *key) {
  for (Node *node = *bucket_of(memory, key); node; node = node->chain)
    if (memcmp(node->key.bytes, key->bytes, sizeof key->bytes) == 0) return node;
  return NULL;
}

/* Failing to grow only makes chains longer. */
static void grow(JitMemory *memory) {
  size_t old_count = memory->bucket_count;
  Node **old = memory->buckets, **wider = allocate(memory, 2 * old_count * sizeof *wider);
  if (!wider) return;
  memory->buckets = wider;
  memory->bucket_count = 2 * old_count;
  for (size_t i = 0; i < old_count; ++i)
    for (Node *node = old[i], *next; node; node = next) {
      next = node->chain;
      Node **bucket = bucket_of(memory, &node->key);
      node->chain = *bucket;
      *bucket = node;
    }
  release(memory, old);
}

static Node *add_node(JitMemory *memory, const JitKey *key) {
  if (memory->node_count >= memory->bucket_count) grow(memory);
  Node *node = allocate(memory, sizeof *node);
  if (!node) return NULL;
  Node **bucket = bucket_of(memory, key);
  node->key = *key;
  node->state = NODE_PENDING;
  node->chain = *bucket;
  *bucket = node;
  ++memory->node_count;
  return node;
}

static void unlink_node(JitMemory *memory, Node *node) {
  Node **link = bucket_of(memory, &node->key);
  while (*link != node) link = &(*link)->chain;
  *link = node->chain;
  node->chain = NULL;
  --memory->node_count;
}

/* ---- order of use ----------------------------------------------------------------------------------------------- */

static void leave_order(JitMemory *memory, Node *node) {
  if (node->older) node->older->younger = node->younger;
  else memory->oldest = node->younger;
  if (node->younger) node->younger->older = node->older;
  else memory->youngest = node->older;
  node->older = node->younger = NULL;
}

static void enter_order(JitMemory *memory, Node *node) {
  node->older = memory->youngest;
  if (memory->youngest) memory->youngest->younger = node;
  else memory->oldest = node;
  memory->youngest = node;
}

/* Takes ready nodes from the old end, past those that are waited on: all, or until the cost fits. They come back
 * chained. */
static Node *drop(JitMemory *memory, bool all) {
  Node *dropped = NULL;
  for (Node *node = memory->oldest, *next; node; node = next) {
    if (!all && memory->total_cost <= memory->options.capacity) break;
    next = node->younger;
    if (node->waiters) continue;
    leave_order(memory, node);
    unlink_node(memory, node);
    --memory->ready_count;
    memory->total_cost -= node->cost;
    node->chain = dropped;
    dropped = node;
  }
  return dropped;
}

static void free_dropped(JitMemory *memory, Node *dropped) {
  while (dropped) {
    Node *next = dropped->chain;
    memory->options.release(memory->options.ctx, dropped->value);
    release(memory, dropped);
    dropped = next;
  }
}

/* ---- claims ----------------------------------------------------------------------------------------------------- */

static JitClaim take(JitMemory *memory, Node *node, void **value, kiln_status *status) {
  if (node->state == NODE_FAILED) {
    *status = node->status;
    return JIT_CLAIM_FAILED;
  }
  memory->options.retain(memory->options.ctx, node->value);
  *value = node->value;
  *status = KILN_OK;
  leave_order(memory, node);
  enter_order(memory, node);
  return JIT_CLAIM_FOUND;
}

static JitClaim wait_for(JitMemory *memory, Node *node, void **value, kiln_status *status) {
  ++node->waiters;
  while (node->state == NODE_PENDING) pthread_cond_wait(&memory->settled, &memory->lock);
  --node->waiters;
  JitClaim claim = take(memory, node, value, status);
  if (node->state == NODE_FAILED && node->waiters == 0) release(memory, node); /* settling had unlinked it */
  return claim;
}

JitClaim jit_memory_claim(JitMemory *memory, const JitKey *key, void **value, kiln_status *status) {
  JitClaim claim = JIT_CLAIM_OWNED;
  *value = NULL;
  *status = KILN_OK;
  pthread_mutex_lock(&memory->lock);
  Node *node = find_node(memory, key);
  if (node) {
    claim = node->state == NODE_PENDING ? wait_for(memory, node, value, status) : take(memory, node, value, status);
  } else if (!add_node(memory, key)) {
    *status = KILN_OUT_OF_MEMORY;
    claim = JIT_CLAIM_FAILED;
  }
  pthread_mutex_unlock(&memory->lock);
  return claim;
}

void jit_memory_settle(JitMemory *memory, const JitKey *key, void *value, size_t cost, kiln_status status) {
  Node *dropped = NULL;
  pthread_mutex_lock(&memory->lock);
  Node *node = find_node(memory, key);
  KILN_ASSERT(node && node->state == NODE_PENDING && (value != NULL) == (status == KILN_OK));
  if (value) {
    memory->options.retain(memory->options.ctx, value);
    node->state = NODE_READY;
    node->value = value;
    node->cost = cost;
    enter_order(memory, node);
    ++memory->ready_count;
    memory->total_cost += cost;
    dropped = drop(memory, false);
  } else {
    unlink_node(memory, node);
    node->state = NODE_FAILED;
    node->status = status;
    if (node->waiters == 0) release(memory, node);
  }
  pthread_cond_broadcast(&memory->settled);
  pthread_mutex_unlock(&memory->lock);
  free_dropped(memory, dropped);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

void jit_memory_clear(JitMemory *memory) {
  pthread_mutex_lock(&memory->lock);
  Node *dropped = drop(memory, true);
  pthread_mutex_unlock(&memory->lock);
  free_dropped(memory, dropped);
}

size_t jit_memory_count(JitMemory *memory) {
  pthread_mutex_lock(&memory->lock);
  size_t count = memory->ready_count;
  pthread_mutex_unlock(&memory->lock);
  return count;
}

void jit_memory_destroy(JitMemory *memory) {
  if (!memory) return;
  jit_memory_clear(memory);
  KILN_ASSERT(memory->node_count == 0);
  pthread_cond_destroy(&memory->settled);
  pthread_mutex_destroy(&memory->lock);
  release(memory, memory->buckets);
  release(memory, memory);
}
