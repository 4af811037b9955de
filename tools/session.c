/* session.c: from the words of the command line to an engine, a checked graph and bound symbols.
 *
 * The graph is parsed and checked here rather than by kiln_compile, so that its faults can show the text they are in.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"

char *read_file(const char *path, size_t *length) {
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (file == NULL) {
    complain("%s: %s", path, strerror(errno));
    return NULL;
  }
  char *text = NULL;
  size_t used = 0, capacity = 0;
  bool good = true;
  do {
    if (used + 1 >= capacity) {
      capacity = capacity * 2 + 65536;
      char *grown = realloc(text, capacity);
      good = grown != NULL;
      if (good) text = grown;
    }
    if (good) used += fread(text + used, 1, capacity - used - 1, file);
  } while (good && !feof(file) && !ferror(file));
  good = good && !ferror(file);
  if (file != stdin) fclose(file);
  if (!good) {
    complain("%s: cannot be read", path);
    free(text);
    return NULL;
  }
  text[used] = '\0';
  *length = used;
  return text;
}

char *read_argument(const char *argument, size_t *length) {
  if (strcmp(argument, "@") == 0) {
    complain("'@' needs the name of a file behind it");
    return NULL;
  }
  if (argument[0] == '@') return read_file(argument + 1, length);
  char *text = malloc(strlen(argument) + 1);
  if (text != NULL) strcpy(text, argument);
  else complain("%s", strerror(errno));
  *length = strlen(argument);
  return text;
}

/* Warnings are for people: a fallback to slow loops, a cache that cannot be used. Events below them are for embedders.
 */
static void log_to_stderr(void *ctx, kiln_log_level level, const char *message) {
  (void)ctx;
  if (level <= KILN_LOG_WARNING) fprintf(stderr, "kiln: %s\n", message);
}

int engine_open(const Command *command, kiln_engine **engine) {
  kiln_engine_options options = {.size = sizeof options, .machine = command->options.machine};
  if (!command->options.quiet) options.log.write = log_to_stderr;
  if (command->options.lines) options.profile = KILN_PROFILE_LINES;
  int64_t threads = command->options.threads;
  if (threads == 0 || threads > MAX_THREADS)
    return complain("--threads is %lld, expected 1 to %d", (long long)threads, MAX_THREADS);
  /* Where one thread is tuned for, the engine's others compile candidates between measurements. */
  bool compiles_beside = threads == 1 && strcmp(command->verb, "tune") == 0;
  if (threads > 0 && !compiles_beside) options.threads = (int32_t)threads;
  kiln_status status = kiln_engine_create(&options, engine);
  return status == KILN_OK ? EXIT_GOOD : complain_status("engine", status, NULL);
}

const kiln_threads *chosen_threads(const Command *command, kiln_engine *engine) {
  return command->options.threads == 1 ? kiln_threads_serial() : kiln_engine_threads(engine);
}

bool stage_find(const char *name, kiln_stage *stage) {
  static const char *const names[] = {
      [KILN_STAGE_GRAPH] = "graph", [KILN_STAGE_TILE] = "tile",     [KILN_STAGE_LLVM] = "llvm",
      [KILN_STAGE_ASM] = "asm",     [KILN_STAGE_OBJECT] = "object", [KILN_STAGE_DOT] = "dot",
  };
  for (size_t i = 0; i < ARRAY_LENGTH(names) && name != NULL; ++i) {
    if (strcmp(names[i], name) != 0) continue;
    *stage = (kiln_stage)i;
    return true;
  }
  return false;
}

static const char *graph_symbol(const void *graph, size_t index) { return kiln_graph_symbol_name(graph, index); }

static int bind_graph(const Command *command, bool need_symbols, Session *session) {
  const Symbols symbols = {kiln_graph_symbol_count(session->graph), graph_symbol, session->graph};
  int status = bind_symbols(command, &symbols, need_symbols, session->symbols);
  session->bound = true;
  for (size_t i = 0; i < symbols.count && status == EXIT_GOOD; ++i) session->bound &= session->symbols[i] >= 0;
  return status;
}

/* Prints every fault with its line and a caret. */
static int read_graph(const Command *command, Session *session) {
  if (command->argument_count == 0)
    return complain("%s needs a GRAPH; see kiln %s --help", command->verb, command->verb);
  size_t length;
  char *text = read_argument(command->arguments[0], &length);
  if (text == NULL) return EXIT_USAGE;
  kiln_status status = kiln_graph_parse(text, length, NULL, &session->graph);
  if (status == KILN_OK) status = kiln_graph_check(session->graph);
  if (status != KILN_OK && session->graph != NULL) {
    Text faults;
    text_init(&faults, NULL);
    const char *argument = command->arguments[0];
    const char *name = argument[0] != '@' ? "graph" : argument[1] == '-' ? "standard input" : argument + 1;
    diagnostics_print(&session->graph->faults, name, text, length, &faults);
    fputs(text_get(&faults), stderr);
    text_release(&faults);
  } else if (status != KILN_OK) {
    complain_status("graph", status, NULL);
  }
  free(text);
  return status == KILN_OK ? EXIT_GOOD : EXIT_USAGE;
}

/* What kiln_compile checks itself (target, template, schedule) goes through as text. */
static int read_compile_options(const Command *command, Session *session) {
  const Options *o = &command->options;
  session->compile = (kiln_compile_options){
      .size = sizeof session->compile,
      .target = o->target,
      .template_ = o->template_name,
      .schedule = o->schedule,
      .batch_invariant = o->batch_invariant,
      .no_cache = o->no_cache,
      .message = &session->message,
  };
  if (o->pack != NULL && strcmp(o->pack, "never") == 0) session->compile.packing = KILN_PACK_NEVER;
  else if (o->pack != NULL && strcmp(o->pack, "const") != 0)
    return complain("--pack is '%s', expected const or never", o->pack);
  return EXIT_GOOD;
}

int read_budget(const Command *command, double *seconds) {
  const char *text = command->options.budget;
  *seconds = 0;
  if (text == NULL) return EXIT_GOOD;
  char *end;
  double number = strtod(text, &end);
  bool in_ms = strcmp(end, "ms") == 0;
  bool good = end != text && (in_ms || *end == '\0' || strcmp(end, "s") == 0) && number > 0 && number < 1e6;
  if (!good) return complain("--budget is '%s', expected seconds, such as 2s or 500ms", text);
  *seconds = in_ms ? number / 1000 : number;
  return EXIT_GOOD;
}

/* Sizes and threads choose among records, where there are some. */
static int read_tuning(const Command *command, Session *session) {
  static const char *const names[] = {
      [KILN_TUNE_RECORDS] = "records", [KILN_TUNE_MEASURE] = "measure", [KILN_TUNE_NEVER] = "never"};
  kiln_compile_options *compile = &session->compile;
  const char *name = command->options.tune;
  size_t tuning = 0;
  while (name != NULL && tuning < ARRAY_LENGTH(names) && strcmp(names[tuning], name) != 0) ++tuning;
  if (tuning == ARRAY_LENGTH(names)) return complain("--tune is '%s', expected records, measure or never", name);
  compile->tune = (kiln_tuning)tuning;
  if (session->bound) compile->tune_symbols = session->symbols;
  compile->tune_threads = chosen_threads(command, session->engine);
  return read_budget(command, &compile->tune_seconds);
}

int session_open(const Command *command, bool need_symbols, Session *session) {
  *session = (Session){0};
  int status = read_compile_options(command, session);
  if (status == EXIT_GOOD) status = read_graph(command, session);
  if (status == EXIT_GOOD) status = bind_graph(command, need_symbols, session);
  if (status == EXIT_GOOD) status = engine_open(command, &session->engine);
  if (status == EXIT_GOOD) status = read_tuning(command, session);
  if (status != EXIT_GOOD) session_close(session);
  return status;
}

void session_close(Session *session) {
  kiln_graph_destroy(session->graph);
  kiln_engine_destroy(session->engine);
  kiln_buffer_free(&session->message);
  *session = (Session){0};
}

void print_dims(const Session *session, Text *out) {
  for (size_t i = 0; i < kiln_graph_symbol_count(session->graph); ++i)
    text_printf(out, "%s%s=%lld", i > 0 ? " " : "", kiln_graph_symbol_name(session->graph, i),
                (long long)session->symbols[i]);
}
