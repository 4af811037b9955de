/* One directory, many users: processes and threads at once see whole entries or none. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "jit/cache.h"
#include "tests/cache/kernels.h"
#include "tests/cache/place.h"

enum { PROCESSES = 3, ROUNDS = 300 };

/* Stores, finds and clears in turn; every object found must be whole. Exit status 0 where that held. */
static int work(Place *place, unsigned seed) {
  JitCache *cache =
      place_open(place, (JitCacheOptions){.directory = place->directory, .capacity_bytes = 2 * place->object.size});
  JitCacheTotals totals;
  JitBuffer found;
  for (unsigned i = seed; i < seed + ROUNDS; ++i) {
    if (i % 3 == 0) jit_cache_store(cache, KEY, strlen(KEY), &place->object);
    if (i % 64 == 0) jit_cache_prune(cache, UINT64_MAX, &totals);
    if (!jit_cache_find(cache, KEY, strlen(KEY), NULL, &found)) continue;
    bool is_whole = found.size == place->object.size && memcmp(found.data, place->object.data, found.size) == 0;
    jit_buffer_release(&found);
    if (!is_whole) return 1;
  }
  jit_cache_destroy(cache);
  return place->warnings ? 2 : 0;
}

Test(cache_shared, processes_at_once) {
  Place place;
  pid_t children[PROCESSES];
  place_init(&place, make_object(KEY));
  for (unsigned i = 0; i < PROCESSES; ++i) {
    children[i] = fork();
    cr_assert_geq(children[i], 0);
    if (children[i] == 0) _exit(work(&place, 11 * i));
  }
  for (unsigned i = 0; i < PROCESSES; ++i) {
    int status;
    cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
    cr_expect(WIFEXITED(status));
    cr_expect_eq(WEXITSTATUS(status), 0);
  }
  JitCache *cache = place_cache(&place);
  cr_expect(finds(cache, KEY, &place.object));
  jit_cache_destroy(cache);
  place_release(&place);
}

/* A writer that is killed leaves a temporary file at worst, never a partial entry. */
Test(cache_shared, a_killed_writer_does_no_harm) {
  Place place;
  place_init(&place, make_object(KEY));
  for (int i = 0; i < 20; ++i) {
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
      JitCache *cache = place_cache(&place);
      for (;;) jit_cache_store(cache, KEY, strlen(KEY), &place.object);
    }
    usleep(2000 + 100 * (unsigned)i);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    JitCache *cache = place_cache(&place);
    cr_expect(finds(cache, KEY, &place.object) || i == 0);
    cr_expect_eq(place.warnings, 0, "%s", place.last);
    jit_cache_destroy(cache);
  }
  place_release(&place);
}

typedef struct Shared {
  Place place;
  JitCache *cache;
} Shared;

static void *work_in_thread(void *arg) {
  Shared *shared = arg;
  for (int i = 0; i < ROUNDS; ++i) {
    if (i % 3 == 0) jit_cache_store(shared->cache, KEY, strlen(KEY), &shared->place.object);
    finds(shared->cache, KEY, &shared->place.object);
  }
  return NULL;
}

Test(cache_shared, threads_share_a_cache) {
  pthread_t threads[6];
  Shared shared;
  place_init(&shared.place, make_object(KEY));
  shared.cache = place_cache(&shared.place);
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i)
    cr_assert_eq(pthread_create(&threads[i], NULL, work_in_thread, &shared), 0);
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i) pthread_join(threads[i], NULL);
  cr_expect(finds(shared.cache, KEY, &shared.place.object));
  cr_expect_eq(shared.place.warnings, 0, "%s", shared.place.last);
  jit_cache_destroy(shared.cache);
  place_release(&shared.place);
}
