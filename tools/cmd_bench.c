/* cmd_bench.c: kiln bench: one graph, or every line of a suite (bench/bench.h has its language), timed against the
 * machine's measured peak and bandwidth and against other libraries, all in this process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"

/* A suite under way. */
typedef struct Run {
  const Command *command;
  Peers peers;
  Report report;
  int status;
} Run;

static int run_one(const Command *line, Run *run) {
  return line->options.compile ? bench_compile(line, &run->report) : bench_line(line, &run->peers, &run->report);
}

/* Options of the command line go before those of the line. A graph that cannot be measured is complained about, and
 * the rest still runs. */
static bool run_line(void *ctx, int count, char **words) {
  Run *run = ctx;
  Command line;
  int status = command_read("bench", count, words, &line);
  if (status != EXIT_GOOD) {
    run->status = status;
    return false;
  }
  options_override(&line.options, &run->command->options);
  status = run_one(&line, run);
  if (status != EXIT_GOOD) run->status = status;
  return true;
}

/* `thin` of bench/suites/thin.txt. */
static void name_suite(const char *path, char name[64]) {
  const char *slash = strrchr(path, '/');
  const char *start = slash != NULL ? slash + 1 : path;
  snprintf(name, 64, "%.*s", (int)strcspn(start, "."), start);
}

static void run_suite(Run *run, const char *path) {
  char name[64], message[160];
  size_t length;
  char *text = read_file(path, &length);
  if (text == NULL) {
    run->status = EXIT_USAGE;
    return;
  }
  name_suite(path, name);
  report_open(&run->report, run->command, name);
  const BenchSuite suite = {.text = text,
                            .only = run->command->arguments,
                            .only_count = run->command->argument_count,
                            .line = run_line,
                            .ctx = run};
  if (!bench_suite_run(&suite, message)) run->status = complain("%s:%s", path, message);
  report_close(&run->report);
  free(text);
}

/* Each of the files of --suite. */
static void run_suites(Run *run) {
  for (const char *at = run->command->options.suite; *at != '\0';) {
    size_t length = strcspn(at, ",");
    char *path = calloc(length + 1, 1);
    if (path != NULL) run_suite(run, memcpy(path, at, length));
    else run->status = complain_status("bench", KILN_OUT_OF_MEMORY, NULL);
    free(path);
    at += length + (at[length] == ',');
  }
}

int cmd_bench(const Command *command) {
  if (command->options.profile && command->options.compile)
    return complain("--profile says where a call spends its time; with --compile there is none");
  Run *run = calloc(1, sizeof *run);
  if (run == NULL) return complain_status("bench", KILN_OUT_OF_MEMORY, NULL);
  run->command = command;
  if (command->options.suite != NULL) {
    run_suites(run);
  } else {
    report_open(&run->report, command, "");
    run->status = run_one(command, run);
    report_close(&run->report);
  }
  int status = run->status;
  bench_compile_close(&run->report);
  peers_close(&run->peers);
  free(run);
  return status;
}
