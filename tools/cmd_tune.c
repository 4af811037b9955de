/* cmd_tune.c: kiln tune: measures schedules of a graph, or of each graph of a file, and keeps the best as records.
 *
 * On a terminal a bar shows how far it is and the best so far. Interrupting stops the measurements and keeps what is
 * found. With --json every candidate is an object, and the outcome another. A line of a file is a graph's text and its
 * sizes, as `…; return y m=384`; a comment behind # is what KILN_TRACE says of options. --suite takes the suites of
 * kiln bench. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "tools/command.h"

static volatile sig_atomic_t was_interrupted;

static void interrupt(int signal) {
  (void)signal;
  was_interrupted = 1;
}

/* Of all graphs of a list, for means. */
typedef struct Totals {
  int graphs;
  double log_gain;               /* of the untuned time over the tuned one */
  double log_untuned, log_tuned; /* of the best time over theirs, where everything was measured */
} Totals;

typedef struct TuneRun {
  const Command *command;
  Totals *totals;
  const Session *session;
  const char *graph, *dims;
  int32_t threads;
  bool has_bar;
  double drawn; /* when the bar was, in seconds */
} TuneRun;

/* ---- what is shown ----------------------------------------------------------------------------------------------- */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool show_progress(void *ctx, const kiln_tune_progress *progress) {
  enum { WIDTH = 24 };
  TuneRun *run = ctx;
  static const char full[] = "########################", empty[] = "........................";
  if (!run->has_bar || now() - run->drawn < 0.05) return !was_interrupted;
  run->drawn = now();
  size_t filled = progress->total > 0 ? progress->done * WIDTH / progress->total : 0;
  if (filled > WIDTH) filled = WIDTH;
  fprintf(stderr, "\r[%.*s%.*s] %3zu/%zu", (int)filled, full, (int)(WIDTH - filled), empty, progress->done,
          progress->total);
  if (progress->best_us > 0)
    fprintf(stderr, "  best %.2f us of %.2f: %.60s", progress->best_us, progress->default_us, progress->schedule);
  fputs("\033[K", stderr);
  return !was_interrupted;
}

static void begin_row(const TuneRun *run, Json *json) {
  json_open(json);
  json_string(json, "graph", run->graph);
  json_string(json, "dims", run->dims);
  json_number(json, "threads", run->threads);
}

static void print_candidate(void *ctx, const kiln_tune_candidate *candidate) {
  const TuneRun *run = ctx;
  Json json;
  begin_row(run, &json);
  json_string(&json, "schedule", candidate->schedule);
  json_bool(&json, "verified", candidate->verified);
  json_number(&json, "us", candidate->us);
  json_number(&json, "spread", candidate->spread);
  json_number(&json, "rounds", candidate->rounds);
  json_bool(&json, "kept", candidate->kept);
  json_string(&json, "reason", candidate->reason);
  json_close(&json);
}

static void print_json(const TuneRun *run, const kiln_tune_result *result) {
  Json json;
  begin_row(run, &json);
  json_string(&json, "schedule", result->schedule.data);
  json_number(&json, "us", result->us);
  json_number(&json, "default_us", result->default_us);
  if (run->command->options.exhaustive) json_number(&json, "best_us", result->best_us);
  json_bool(&json, "gained", result->gained);
  json_bool(&json, "stopped", result->stopped);
  json_number(&json, "candidates", (double)result->candidates);
  json_number(&json, "objects", (double)result->objects);
  json_number(&json, "failed", (double)result->failed);
  json_number(&json, "disturbed", (double)result->disturbed);
  json_number(&json, "seconds", result->seconds);
  json_close(&json);
}

static void print_text(const TuneRun *run, const kiln_tune_result *result) {
  const char *file = kiln_tune_file(run->session->engine);
  printf("%s%s%s, %d thread%s\n", run->graph, run->dims[0] != '\0' ? " " : "", run->dims, run->threads,
         run->threads == 1 ? "" : "s");
  if (result->candidates == 0) {
    printf("nothing to tune: its template has one schedule\n");
    return;
  }
  printf("%s %s\n", result->gained ? "tuned  " : "default", result->schedule.data);
  printf("%.2f us; the untuned schedule: %.2f us; %.3f times as fast%s\n", result->us, result->default_us,
         result->us > 0 ? result->default_us / result->us : 1, result->stopped ? "; stopped early" : "");
  printf("%zu candidates of %zu objects in %.2f s", result->candidates, result->objects, result->seconds);
  if (result->failed > 0) printf("; %zu FAILED", result->failed);
  if (result->disturbed > 0) printf("; %zu measurements were disturbed", result->disturbed);
  if (run->command->options.schedule != NULL) printf("; not recorded, as fields are fixed");
  else if (file[0] != '\0') printf("; recorded in %s", file);
  puts("");
  if (run->command->options.exhaustive && result->best_us > 0)
    printf("best of all: %.2f us; the untuned schedule reaches %.1f %% of it, the tuned one %.1f %%\n", result->best_us,
           100 * result->best_us / result->default_us, 100 * result->best_us / result->us);
}

static void add_totals(Totals *totals, const kiln_tune_result *result) {
  if (!(result->us > 0 && result->default_us > 0)) return;
  ++totals->graphs;
  totals->log_gain += log(result->default_us / result->us);
  if (!(result->best_us > 0)) return;
  totals->log_untuned += log(result->best_us / result->default_us);
  totals->log_tuned += log(result->best_us / result->us);
}

/* Geometric means. */
static void print_totals(const Command *command, const Totals *totals) {
  if (totals->graphs < 2 || command->options.json || command->options.quiet) return;
  printf("%d graphs: tuned %.3f times as fast (geometric mean)", totals->graphs,
         exp(totals->log_gain / totals->graphs));
  if (command->options.exhaustive)
    printf("; of the best, untuned schedules reach %.1f %%, tuned ones %.1f %%",
           100 * exp(totals->log_untuned / totals->graphs), 100 * exp(totals->log_tuned / totals->graphs));
  puts("");
}

/* ---- one graph --------------------------------------------------------------------------------------------------- */

static int tune_session(TuneRun *run) {
  const Command *command = run->command;
  const Session *session = run->session;
  kiln_buffer message = {0};
  kiln_compile_options compile = session->compile;
  compile.message = &message;
  kiln_tune_options options = {
      .size = sizeof options,
      .compile = &compile,
      .symbols = session->symbols,
      .threads = chosen_threads(command, session->engine),
      .exhaustive = command->options.exhaustive,
      .ctx = run,
      .progress = show_progress,
      .candidate = command->options.json ? print_candidate : NULL,
  };
  kiln_tune_result result = {.size = sizeof result};
  int status = read_budget(command, &options.seconds);
  if (status != EXIT_GOOD) return status;
  kiln_status tuned = kiln_tune(session->engine, session->graph, &options, &result);
  if (run->has_bar) fputs("\r\033[K", stderr);
  if (tuned != KILN_OK) return complain_status("tune", tuned, &message);
  if (command->options.json) print_json(run, &result);
  else if (!command->options.quiet) print_text(run, &result);
  add_totals(run->totals, &result);
  status = result.failed > 0 ? EXIT_MISMATCH : EXIT_GOOD;
  kiln_buffer_free(&result.schedule);
  return status;
}

static int tune_graph(const Command *command, Totals *totals) {
  Session session;
  int status = session_open(command, true, &session);
  if (status != EXIT_GOOD) return status;
  Text dims, graph;
  text_init(&dims, NULL);
  text_init(&graph, NULL);
  print_dims(&session, &dims);
  graph_print(session.graph, true, &graph);
  TuneRun run = {
      .command = command,
      .totals = totals,
      .session = &session,
      .graph = text_get(&graph),
      .dims = text_get(&dims),
      .threads = chosen_threads(command, session.engine)->count,
      .has_bar = isatty(STDERR_FILENO) && !command->options.quiet,
  };
  status = tune_session(&run);
  text_release(&graph);
  text_release(&dims);
  session_close(&session);
  return status;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* Takes `m=384` from the end of a line; NULL: it does not end so. */
static char *take_size(char *line) {
  size_t length = strlen(line);
  while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r')) --length;
  line[length] = '\0';
  char *word = strrchr(line, ' ');
  if (word == NULL) return NULL;
  const char *equals = strchr(word, '=');
  if (equals == NULL || equals == word + 1 || equals[1] == '\0') return NULL;
  if (strspn(equals + 1, "0123456789") != strlen(equals + 1)) return NULL;
  *word = '\0';
  return word + 1;
}

/* What a trace says behind #: false where that is not understood. */
static bool read_comment(char *comment, Options *options) {
  for (char *word = strtok(comment, " \t\r"); word != NULL; word = strtok(NULL, " \t\r")) {
    if (strcmp(word, "packing=never") == 0) options->pack = "never";
    else if (strcmp(word, "batch_invariant=yes") == 0) options->batch_invariant = true;
    else if (strncmp(word, "target=", 7) == 0) options->target = word + 7;
    else return false;
  }
  return true;
}

static int tune_line(const Command *command, char *line, int number, Totals *totals) {
  Command one = *command;
  char *comment = strchr(line, '#');
  if (comment != NULL) *comment++ = '\0';
  line += strspn(line, " \t");
  for (char *size; (size = take_size(line)) != NULL;) {
    if (one.argument_count == MAX_ARGUMENTS) return complain("line %d: more than %d sizes", number, MAX_ARGUMENTS);
    one.arguments[one.argument_count++] = size;
  }
  if (line[0] == '\0') return EXIT_GOOD;
  if (comment != NULL && !read_comment(comment, &one.options)) {
    if (!command->options.quiet) fprintf(stderr, "kiln: line %d is left out: it fixes more than sizes\n", number);
    return EXIT_GOOD;
  }
  one.arguments[0] = line;
  int status = tune_graph(&one, totals);
  if (status == EXIT_USAGE) fprintf(stderr, "kiln: that was line %d of %s\n", number, command->arguments[0]);
  return status;
}

/* All lines, whatever becomes of one; the worst exit status. */
static int tune_file(const Command *command, Totals *totals) {
  size_t length;
  char *text = read_file(command->arguments[0], &length);
  if (text == NULL) return EXIT_USAGE;
  int worst = EXIT_GOOD, number = 0;
  for (char *line = text; line != NULL && !was_interrupted;) {
    char *end = strchr(line, '\n');
    if (end != NULL) *end = '\0';
    int status = tune_line(command, line, ++number, totals);
    if (status > worst) worst = status;
    line = end != NULL ? end + 1 : NULL;
  }
  free(text);
  return worst;
}

/* ---- suites ------------------------------------------------------------------------------------------------------ */

typedef struct SuiteRun {
  const Command *command;
  Totals *totals;
  int status;
} SuiteRun;

/* A line of a suite is one `kiln bench`; of its options those count that tuning knows too. */
static bool tune_words(void *ctx, int count, char **words) {
  SuiteRun *run = ctx;
  Command line;
  int status = command_read("bench", count, words, &line);
  if (status == EXIT_GOOD) {
    options_override(&line.options, &run->command->options);
    line.verb = run->command->verb;
    status = tune_graph(&line, run->totals);
  }
  if (status > run->status) run->status = status;
  fflush(stdout);
  return !was_interrupted;
}

static int tune_suite(const Command *command, Totals *totals) {
  char message[160];
  size_t length;
  const char *path = command->options.suite;
  char *text = read_file(path, &length);
  if (text == NULL) return EXIT_USAGE;
  SuiteRun run = {command, totals, EXIT_GOOD};
  const BenchSuite suite = {
      .text = text,
      .only = command->arguments,
      .only_count = command->argument_count,
      .line = tune_words,
      .ctx = &run,
  };
  if (!bench_suite_run(&suite, message)) run.status = complain("%s:%s", path, message);
  free(text);
  return run.status;
}

static bool is_file(const char *argument) {
  struct stat about;
  return stat(argument, &about) == 0 && !S_ISDIR(about.st_mode);
}

int cmd_tune(const Command *command) {
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND}; /* the second one kills */
  sigaction(SIGINT, &action, NULL);
  Totals totals = {0};
  bool is_list = command->argument_count > 0 && is_file(command->arguments[0]);
  int status = command->options.suite != NULL ? tune_suite(command, &totals)
               : is_list                      ? tune_file(command, &totals)
                                              : tune_graph(command, &totals);
  print_totals(command, &totals);
  return status;
}
