/* threads.c: the two ways of running tasks that the library brings: the calling thread alone, and pthreadpool.
 *
 * The pool belongs to an engine and starts with the first call that hands it more than one task. pthreadpool serialises
 * calls from several threads, so that one from a task of the pool itself runs on the thread that makes it; an embedder
 * with threads of its own should pass them with each call. */
#include <pthread.h>
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
  const Pool *pool;
} PoolJob;

/* One task, on a thread of the pool. */
static void run_one(void *ctx, size_t index) {
  PoolJob *job = ctx;
  received(job);
  if (job->pool->has_key) pthread_setspecific(job->pool->at_work, job);
  job->body(job->arg, (int64_t)index);
  if (job->pool->has_key) pthread_setspecific(job->pool->at_work, NULL);
  handed_over(job);
}

static void *pass(void *gate) {
  pthread_mutex_lock(gate);
  pthread_mutex_unlock(gate);
  return NULL;
}

/* How many threads can be there at once, up to `wanted`: pthreadpool would wait for ever for those that it could not
 * start. */
static size_t count_startable(size_t wanted) {
  enum { MOST = 1024 };
  pthread_t handles[MOST];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  size_t count = 0;
  pthread_mutex_lock(&gate);
  while (count < wanted && count < MOST && pthread_create(&handles[count], NULL, pass, &gate) == 0) ++count;
  pthread_mutex_unlock(&gate);
  for (size_t i = 0; i < count; ++i) pthread_join(handles[i], NULL);
  return count < MOST ? count : wanted;
}

/* NULL: the threads could not be started. */
static pthreadpool_t start(Pool *pool) {
  pthreadpool_t started = atomic_load_explicit(&pool->pool, memory_order_acquire);
  if (started) return started;
  pthread_mutex_lock(&pool->mutex);
  started = atomic_load_explicit(&pool->pool, memory_order_relaxed);
  if (!started && !pool->failed) {
    size_t wanted = (size_t)pool->threads.count, count = 1 + count_startable(wanted - 1);
    if (count > 1) started = pthreadpool_create(count);
    pool->failed = !started;
    if (started) atomic_store_explicit(&pool->pool, started, memory_order_release);
    if (!started || count < wanted)
      log_event(pool->log, KILN_LOG_WARNING, "threads: of %zu of a pool only %zu could be started", wanted,
                started ? count : 1);
  }
  pthread_mutex_unlock(&pool->mutex);
  return started;
}

static void pool_parallel_for(void *ctx, int64_t count, void (*body)(void *arg, int64_t index), void *arg) {
  Pool *pool = ctx;
  bool is_within = pool->has_key && pthread_getspecific(pool->at_work) != NULL;
  if (is_within || pool->threads.count < 2) {
    serial_parallel_for(NULL, count, body, arg);
    return;
  }
  pthreadpool_t threads = start(pool);
  PoolJob job = {body, arg, pool};
  handed_over(&job);
  /* Without a pool, this runs everything on the calling thread. */
  pthreadpool_parallelize_1d(threads, run_one, &job, (size_t)count, 0);
  received(&job);
}

void rt_pool_init(Pool *pool, int32_t count, const kiln_log *log) {
  *pool = (Pool){.log = log, .threads = {.ctx = pool, .count = count, .parallel_for = pool_parallel_for}};
  pthread_mutex_init(&pool->mutex, NULL);
  pool->has_key = pthread_key_create(&pool->at_work, NULL) == 0;
}

void rt_pool_release(Pool *pool) {
  pthreadpool_t started = atomic_load_explicit(&pool->pool, memory_order_acquire);
  if (started) pthreadpool_destroy(started);
  if (pool->has_key) pthread_key_delete(pool->at_work);
  pthread_mutex_destroy(&pool->mutex);
}

const kiln_threads *kiln_engine_threads(kiln_engine *engine) { return engine != NULL ? &engine->pool.threads : NULL; }
