/* The memory layer of the cache: one maker per key, order of use, balanced references. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "jit/cache.h"

typedef struct Value {
  atomic_int references;
} Value;

static void retain(void *ctx, void *value) {
  (void)ctx;
  atomic_fetch_add(&((Value *)value)->references, 1);
}

static void release(void *ctx, void *value) {
  (void)ctx;
  atomic_fetch_sub(&((Value *)value)->references, 1);
}

static JitMemory *make_memory(size_t capacity) {
  JitMemory *memory;
  JitMemoryOptions options = {.capacity = capacity, .retain = retain, .release = release};
  cr_assert_eq(jit_memory_create(&options, &memory), KILN_OK);
  return memory;
}

static JitKey numbered_key(int number) {
  char text[16];
  snprintf(text, sizeof text, "%d", number);
  return jit_key_make(text, strlen(text));
}

/* Claims the key and, where it is absent, settles it with the value. */
static JitClaim put(JitMemory *memory, int number, Value *value, size_t cost) {
  void *found;
  kiln_status status;
  JitKey key = numbered_key(number);
  JitClaim claim = jit_memory_claim(memory, &key, &found, &status);
  if (claim == JIT_CLAIM_OWNED) jit_memory_settle(memory, &key, value, cost, KILN_OK);
  if (claim == JIT_CLAIM_FOUND) release(NULL, found);
  return claim;
}

Test(jit_memory, finds_what_was_settled) {
  Value value = {1};
  JitMemory *memory = make_memory(10);
  JitKey key = numbered_key(1);
  void *found;
  kiln_status status;
  cr_expect_eq(put(memory, 1, &value, 1), JIT_CLAIM_OWNED);
  cr_expect_eq(value.references, 2);
  cr_expect_eq(jit_memory_claim(memory, &key, &found, &status), JIT_CLAIM_FOUND);
  cr_expect_eq(found, &value);
  cr_expect_eq(value.references, 3);
  jit_memory_destroy(memory);
  cr_expect_eq(value.references, 2);
}

Test(jit_memory, drops_the_least_recently_used) {
  Value values[5] = {0};
  JitMemory *memory = make_memory(3);
  for (int i = 0; i < 3; ++i) put(memory, i, &values[i], 1);
  cr_expect_eq(put(memory, 0, NULL, 1), JIT_CLAIM_FOUND); /* 1 is now the oldest */
  put(memory, 3, &values[3], 1);
  cr_expect_eq(values[1].references, 0);
  put(memory, 4, &values[4], 2); /* costs two: 2 and 0 go */
  cr_expect_eq(values[2].references, 0);
  cr_expect_eq(values[0].references, 0);
  cr_expect_eq(values[3].references, 1);
  cr_expect_eq(jit_memory_count(memory), 2);
  jit_memory_clear(memory);
  cr_expect_eq(jit_memory_count(memory), 0);
  for (size_t i = 0; i < ARRAY_LENGTH(values); ++i) cr_expect_eq(values[i].references, 0);
  jit_memory_destroy(memory);
}

Test(jit_memory, what_never_fits_is_not_kept) {
  Value value = {1};
  JitMemory *memory = make_memory(3);
  put(memory, 1, &value, 4);
  cr_expect_eq(value.references, 1);
  cr_expect_eq(jit_memory_count(memory), 0);
  jit_memory_destroy(memory);
}

Test(jit_memory, many_keys) {
  enum { COUNT = 5000 };
  static Value values[COUNT];
  JitMemory *memory = make_memory(COUNT);
  for (int i = 0; i < COUNT; ++i) cr_assert_eq(put(memory, i, &values[i], 1), JIT_CLAIM_OWNED);
  for (int i = 0; i < COUNT; ++i) cr_assert_eq(put(memory, i, NULL, 1), JIT_CLAIM_FOUND);
  jit_memory_destroy(memory);
  for (int i = 0; i < COUNT; ++i) cr_assert_eq(values[i].references, 0);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

typedef struct Race {
  JitMemory *memory;
  JitKey key;
  Value value;
  kiln_status outcome; /* what the maker settles with */
  atomic_int made, found, failed;
} Race;

static void *race(void *arg) {
  Race *shared = arg;
  void *value;
  kiln_status status;
  switch (jit_memory_claim(shared->memory, &shared->key, &value, &status)) {
  case JIT_CLAIM_OWNED:
    atomic_fetch_add(&shared->made, 1);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* the others come to wait */
    jit_memory_settle(shared->memory, &shared->key, shared->outcome ? NULL : &shared->value, 1, shared->outcome);
    break;
  case JIT_CLAIM_FOUND:
    cr_assert_eq(value, &shared->value);
    atomic_fetch_add(&shared->found, 1);
    break;
  case JIT_CLAIM_FAILED:
    cr_assert_eq(status, shared->outcome);
    atomic_fetch_add(&shared->failed, 1);
    break;
  }
  return NULL;
}

static void run_race(Race *shared) {
  pthread_t threads[8];
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i) cr_assert_eq(pthread_create(&threads[i], NULL, race, shared), 0);
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i) pthread_join(threads[i], NULL);
}

Test(jit_memory, threads_make_a_key_once) {
  Race shared = {.memory = make_memory(4), .key = numbered_key(1)};
  run_race(&shared);
  cr_expect_eq(shared.made, 1);
  cr_expect_eq(shared.found, 7);
  cr_expect_eq(shared.value.references, 8);
  jit_memory_destroy(shared.memory);
}

Test(jit_memory, failures_reach_those_who_wait_and_are_not_kept) {
  Race shared = {.memory = make_memory(4), .key = numbered_key(1), .outcome = KILN_UNSUPPORTED};
  run_race(&shared);
  cr_expect_geq(shared.made, 1);
  cr_expect_eq(shared.made + shared.failed, 8);
  cr_expect_eq(put(shared.memory, 1, &shared.value, 1), JIT_CLAIM_OWNED); /* the next one tries again */
  jit_memory_destroy(shared.memory);
}

static void *churn(void *arg) {
  Race *shared = arg;
  static Value values[16];
  for (int i = 0; i < 20000; ++i) put(shared->memory, i * 7 % 16, &values[i * 7 % 16], 1);
  return NULL;
}

Test(jit_memory, eviction_under_load) {
  pthread_t threads[4];
  Race shared = {.memory = make_memory(5)};
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i) cr_assert_eq(pthread_create(&threads[i], NULL, churn, &shared), 0);
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i) pthread_join(threads[i], NULL);
  cr_expect_leq(jit_memory_count(shared.memory), 5);
  jit_memory_destroy(shared.memory);
}
