/* sampler.c: where the calling thread is, asked by a clock: a timer's signal goes to that thread alone, and its handler
 * writes down the address at which it interrupted. Needs no counters of the processor, which virtual machines hide. */
#define _GNU_SOURCE /* SIGEV_THREAD_ID */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "bench/bench.h"

enum { PERIOD_NS = 250000 };

static const void *address_of(const ucontext_t *context) {
#if defined(__x86_64__)
  return (const void *)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return (const void *)context->uc_mcontext.pc;
#else
  return (const void *)context->uc_mcontext.__gregs[REG_PC];
#endif
}

static void take(int signal, siginfo_t *info, void *context) {
  (void)signal;
  if (info->si_code != SI_TIMER) return; /* of somebody else's */
  BenchSamples *samples = info->si_value.sival_ptr;
  size_t at = samples->count;
  if (at >= samples->capacity) return;
  samples->list[at] = address_of(context);
  samples->count = at + 1;
}

static bool start(timer_t *timer, BenchSamples *samples) {
  struct sigevent event = {
      .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF, .sigev_value = {.sival_ptr = samples}};
  event._sigev_un._tid = (pid_t)syscall(SYS_gettid); /* sigev_notify_thread_id, which glibc names only from 2.38 on */
  if (timer_create(CLOCK_MONOTONIC, &event, timer) != 0) return false;
  const struct itimerspec every = {{0, PERIOD_NS}, {0, PERIOD_NS}};
  if (timer_settime(*timer, 0, &every, NULL) == 0) return true;
  timer_delete(*timer);
  return false;
}

kiln_status bench_sample(void (*run)(void *ctx), void *ctx, double seconds, BenchSamples *samples) {
  *samples = (BenchSamples){.capacity = (size_t)(seconds * 1e9 / PERIOD_NS) + 1};
  samples->list = calloc(samples->capacity, sizeof *samples->list);
  if (samples->list == NULL) return KILN_OUT_OF_MEMORY;
  struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO | SA_RESTART}, before;
  timer_t timer;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGPROF, &action, &before) != 0) return KILN_UNSUPPORTED;
  run(ctx);
  bool started = start(&timer, samples);
  for (double end = bench_now() + seconds; started && bench_now() < end;) run(ctx);
  if (started) timer_delete(timer);
  /* A signal that is still on its way is dropped, and finds no handler. */
  action.sa_flags = 0;
  action.sa_handler = SIG_IGN;
  sigaction(SIGPROF, &action, NULL);
  sigaction(SIGPROF, &before, NULL);
  return samples->count > 0 ? KILN_OK : KILN_UNSUPPORTED;
}

void bench_samples_release(BenchSamples *samples) {
  free(samples->list);
  *samples = (BenchSamples){0};
}
