/* threads.c: the two ways of running tasks that the library brings: the calling thread alone, and pthreadpool.
 *
 * The pool belongs to an engine and starts with the first call that hands it more than one task. pthreadpool serialises
 * calls from several threads; an embedder with threads of its own should pass them with each call. */
#include <pthreadpool.h>

#include "runtime/runtime.h"

/* pthreadpool synchronises with atomics of code that ThreadSanitizer has not instrumented; it is told what happens
 * before what. */
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
static void handed_over(void *what) { __tsan_release(what); }
static void received(void *what) { __tsan_acquire(what); }
#else
static void handed_over(void *what) { (void)what; }
static void received(void *what) { (void)what; }
#endif

static void serial_parallel_for(void *ctx, int64_t count, void (*body)(void *arg, int64_t index), void *arg) {
  (void)ctx;
  for (int64_t i = 0; i < count; ++i) body(arg, i);
}

const kiln_threads *kiln_threads_serial(void) {
  static const kiln_threads serial = {NULL, 1, serial_parallel_for};
  return &serial;
}

/* pthreadpool counts in size_t and passes one pointer. */
typedef struct PoolJob {
  void (*body)(void *arg, int64_t index);
  void *arg;
} PoolJob;

/* One task, on a thread of the pool. */
static void run_one(void *ctx, size_t index) {
  PoolJob *job = ctx;
  received(job);
  job->body(job->arg, (int64_t)index);
  handed_over(job);
}

/* NULL: the threads could not be started. */
static pthreadpool_t start(Pool *pool) {
  pthreadpool_t started = atomic_load_explicit(&pool->pool, memory_order_acquire);
  if (started) return started;
  pthread_mutex_lock(&pool->mutex);
  started = atomic_load_explicit(&pool->pool, memory_order_relaxed);
  if (!started && !pool->failed) {
    started = pthreadpool_create((size_t)pool->threads.count);
    pool->failed = !started;
    if (started) atomic_store_explicit(&pool->pool, started, memory_order_release);
    else log_event(pool->log, KILN_LOG_WARNING, "threads: a pool of %d could not be started", (int)pool->threads.count);
  }
  pthread_mutex_unlock(&pool->mutex);
  return started;
}

static void pool_parallel_for(void *ctx, int64_t count, void (*body)(void *arg, int64_t index), void *arg) {
  Pool *pool = ctx;
  pthreadpool_t threads = start(pool);
  PoolJob job = {body, arg};
  handed_over(&job);
  /* Without a pool, this runs everything on the calling thread. */
  pthreadpool_parallelize_1d(threads, run_one, &job, (size_t)count, 0);
  received(&job);
}

void rt_pool_init(Pool *pool, int32_t count, const kiln_log *log) {
  *pool = (Pool){.log = log, .threads = {.ctx = pool, .count = count, .parallel_for = pool_parallel_for}};
  pthread_mutex_init(&pool->mutex, NULL);
}

void rt_pool_release(Pool *pool) {
  pthreadpool_t started = atomic_load_explicit(&pool->pool, memory_order_acquire);
  if (started) pthreadpool_destroy(started);
  pthread_mutex_destroy(&pool->mutex);
}

const kiln_threads *kiln_engine_threads(kiln_engine *engine) { return engine != NULL ? &engine->pool.threads : NULL; }
