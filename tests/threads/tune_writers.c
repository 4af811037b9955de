/* tune_writers.c: engines of several threads and processes write records to one file at once; none may be lost, and
 * compiles find them meanwhile. Meant for ThreadSanitizer, and run under the others too. Uses the public header only.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kiln/kiln.h"

enum { PROCESSES = 3, THREADS = 4, RECORDS = 8 };
static const char graph_text[] = "x: f32[m, 16]; w: f32[16, 24]; y: f32 = x @ w; return y";

typedef struct Writer {
  pthread_t thread;
  kiln_engine *engine;
  int number; /* of all writers */
  const char *fault;
} Writer;

/* Each has sizes of its own, so every record must be there in the end. */
static void *write_records(void *arg) {
  Writer *writer = arg;
  kiln_graph *graph;
  if (kiln_graph_parse(graph_text, strlen(graph_text), NULL, &graph) || kiln_graph_check(graph)) {
    writer->fault = "no graph";
    return NULL;
  }
  for (int i = 0; i < RECORDS && !writer->fault; i++) {
    int64_t m = 1 + writer->number * RECORDS + i;
    kiln_tune_timing timing = {
        .size = sizeof timing, .symbols = &m, .threads = 1, .schedule = "mr=1 nr=16", .us = (double)m};
    if (kiln_tune_report(writer->engine, graph, &timing)) writer->fault = "reporting failed";
    kiln_compile_options options = {
        .size = sizeof options, .tune_symbols = &m, .tune_threads = kiln_threads_serial(), .schedule = NULL};
    kiln_kernel *kernel;
    kiln_kernel_info info;
    if (i % 4) continue;
    if (kiln_compile(writer->engine, graph, &options, &kernel)) {
      writer->fault = "compiling failed";
    } else {
      if (kiln_kernel_describe(kernel, &info) || strcmp(info.origin, "record exact") != 0) writer->fault = info.origin;
      kiln_kernel_release(kernel);
    }
  }
  kiln_graph_destroy(graph);
  return NULL;
}

/* One engine with several threads. */
static int run_process(const char *directory, int number) {
  kiln_engine_options options = {.size = sizeof options, .cache_dir = directory, .cache_path = ""};
  kiln_engine *engine;
  Writer writers[THREADS] = {0};
  int faults = 0;
  if (kiln_engine_create(&options, &engine)) return 1;
  for (int i = 0; i < THREADS; i++) {
    writers[i] = (Writer){.engine = engine, .number = number * THREADS + i};
    if (pthread_create(&writers[i].thread, NULL, write_records, &writers[i])) return 1;
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(writers[i].thread, NULL);
    if (writers[i].fault) printf("writer %d: %s\n", writers[i].number, writers[i].fault);
    faults += writers[i].fault != NULL;
  }
  kiln_engine_destroy(engine);
  return faults > 0;
}

static int count_lost(const char *directory) {
  static char text[1 << 20];
  char path[128], word[32];
  snprintf(path, sizeof path, "%s/tuning.txt", directory);
  FILE *file = fopen(path, "r");
  if (!file) return -1;
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  int lost = 0;
  for (int m = 1; m <= PROCESSES * THREADS * RECORDS; m++) {
    snprintf(word, sizeof word, "dims=m:%d ", m);
    if (strstr(text, word)) continue;
    printf("the record of m=%d is lost\n", m);
    lost++;
  }
  return lost;
}

int main(void) {
  char directory[] = "/tmp/kiln-writers-XXXXXX", command[64];
  if (!mkdtemp(directory)) return 1;
  pid_t children[PROCESSES];
  int failed = 0, status;
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      status = run_process(directory, i);
      fflush(stdout);
      _exit(status);
    }
  }
  for (int i = 0; i < PROCESSES; i++)
    failed |= children[i] < 0 || waitpid(children[i], &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  failed |= count_lost(directory) != 0;
  snprintf(command, sizeof command, "rm -r %s", directory);
  return system(command) != 0 || failed;
}
