/* seeds.c: see the header. */
#include "tests/numeric/seeds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long long seeds_from_environment(const char *name, long long otherwise) {
  const char *text = getenv(name);
  return text != NULL ? atoll(text) : otherwise;
}

static char current[64];
static const int signals[] = {SIGSEGV, SIGFPE, SIGBUS, SIGABRT};
enum { SIGNALS = sizeof signals / sizeof *signals };
static struct sigaction before[SIGNALS];

/* Prints the seed and lets the signal take its course. */
static void say_seed(int number) {
  ssize_t written = write(STDERR_FILENO, current, strlen(current));
  (void)written;
  for (int i = 0; i < SIGNALS; ++i)
    if (signals[i] == number) sigaction(number, &before[i], NULL);
  if (number == SIGABRT) raise(number);
}

void seeds_watch(void) {
  struct sigaction action = {.sa_handler = say_seed};
  for (int i = 0; i < SIGNALS; ++i) sigaction(signals[i], &action, &before[i]);
}

void seeds_at(unsigned long long seed) { snprintf(current, sizeof current, "at seed %llu\n", seed); }
