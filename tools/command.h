/* command.h: what the verbs of the command share: arguments, graphs and data, output.
 *
 * A verb is one function in one file, cmd_<verb>.c, that gives the exit status: 0 good, 1 a comparison failed, 2 usage
 * or bad input. Results go to stdout; faults, located, to stderr. */
#ifndef KILN_TOOLS_COMMAND_H
#define KILN_TOOLS_COMMAND_H

#include "ir/graph/graph.h"
#include "kiln/kiln.h"

enum { EXIT_GOOD = 0, EXIT_MISMATCH = 1, EXIT_USAGE = 2 };
enum { MAX_ARGUMENTS = 64, MAX_THREADS = 65536 /* as kiln_engine_create has it */ };

typedef const char *OptionTEXT;
typedef int64_t OptionNUMBER; /* -1: not given */
typedef bool OptionFLAG;

typedef struct Options {
#define OPTION(field, name, kind, value, meaning) Option##kind field;
#include "tools/options.def"
#undef OPTION
} Options;

typedef struct Command {
  const char *verb;
  const char *arguments[MAX_ARGUMENTS]; /* without options */
  int argument_count;
  Options options;
} Command;

#define VERB(verb, arguments, does, options, example) int cmd_##verb(const Command *command);
#include "tools/verbs.def"
#undef VERB

/* Reads the options and arguments of a verb from words that stay; complains and gives EXIT_USAGE (main.c). */
int command_read(const char *verb, int count, char **words, Command *command);
/* Options given in `by` take the place of those in `options`. */
void options_override(Options *options, const Options *by);

/* ---- faults and output (output.c) -------------------------------------------------------------------------------- */

/* Prints `kiln: …` to stderr and gives EXIT_USAGE. */
int complain(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same with the library's message where there is one, else with what a status says of `what`; frees the message. */
int complain_status(const char *what, kiln_status status, kiln_buffer *message);
/* Prints faults `3:14: ...` of a text, with its name before each, and gives EXIT_USAGE. */
int complain_located(const char *name, const char *message);
/* Complains about arguments beyond the first `most`. */
int expect_arguments(const Command *command, int most);
/* Writes to a file as a whole or not at all (NULL or "-": stdout, unless it is a terminal and the bytes are no text).
 */
int write_output(const char *path, const void *bytes, size_t size);
/* Starts, adds to and ends one JSON object on stdout. */
typedef struct Json {
  Text text;
  bool started;
} Json;
void json_open(Json *json);
void json_string(Json *json, const char *key, const char *value);
void json_number(Json *json, const char *key, double value);
void json_bool(Json *json, const char *key, bool value);
/* The fields that every compile gives. */
void json_compile(Json *json, const kiln_kernel_info *info);
void json_close(Json *json);

/* ---- engine and graph (session.c) -------------------------------------------------------------------------------- */

/* A graph from the command line with its symbols bound, on an engine. */
typedef struct Session {
  kiln_engine *engine;
  kiln_graph *graph;
  int64_t symbols[MAX_ARGUMENTS];
  bool bound; /* every symbol has a value */
  kiln_compile_options compile;
  kiln_buffer message;
} Session;

/* Creates an engine whose warnings go to stderr unless --quiet. */
int engine_open(const Command *command, kiln_engine **engine);
/* Reads GRAPH and name=value arguments. `need_symbols`: every symbol must be bound. Gives an exit status; on EXIT_GOOD
 * the session must be closed. */
int session_open(const Command *command, bool need_symbols, Session *session);
void session_close(Session *session); /* a closed one too */
/* `m=384 k=768` of a session. */
void print_dims(const Session *session, Text *out);
/* Reads text or, after @, a file. NULL after a complaint. Freed with free. */
char *read_argument(const char *argument, size_t *length);
char *read_file(const char *path, size_t *length);

/* The symbols that arguments may bind. */
typedef struct Symbols {
  size_t count;
  const char *(*name_of)(const void *ctx, size_t index);
  const void *ctx;
} Symbols;
/* Binds the arguments after the first; -1 stays where a symbol has no value, which `need_all` forbids (symbols.c). */
int bind_symbols(const Command *command, const Symbols *symbols, bool need_all, int64_t values[MAX_ARGUMENTS]);

/* The threads a verb runs on: the caller's alone for --threads 1, else the engine's pool. */
const kiln_threads *chosen_threads(const Command *command, kiln_engine *engine);
/* --budget in seconds; 0 where it is not given. Gives an exit status. */
int read_budget(const Command *command, double *seconds);
bool stage_find(const char *name, kiln_stage *stage); /* of --stage; `name` may be NULL */

/* ---- data (data.c) ----------------------------------------------------------------------------------------------- */

/* Generated operands of a graph and room for its results. */
typedef struct Data {
  void **inputs; /* as declared */
  void **packed; /* the same, or blobs: what kiln_run takes */
  void **outputs;
  size_t input_count, output_count;
} Data;

/* Fills inputs by --fill and --seed; indices and offsets get values in range. */
int data_create(const Session *session, const Command *command, Data *data);
/* Packs what the kernel wants packed. */
int data_pack(const Session *session, const kiln_kernel *kernel, Data *data);
void data_destroy(Data *data);
uint32_t data_random(uint64_t *state); /* uniform 32 bits */

typedef struct Comparison {
  double max_error, bound; /* at the element that comes closest to its bound, or exceeds it most */
  bool match;
} Comparison;
/* Runs the interpreter and compares every result with it. */
int data_compare(const Session *session, const Data *data, Comparison *comparison);

#endif
