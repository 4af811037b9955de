/* cmd_tile.c: kiln tile: tile IR written by hand, verified and printed, lowered, or run both ways and compared.
 *
 * The interpreter checks every access and knows unspecified elements, so it runs first: what it refuses is never run as
 * code. Then both have the same memory to start from, and every buffer is compared, read or written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kiln/tile.h"
#include "tools/command.h"

enum { MAX_BUFFERS = 64 };

/* One kernel with its memory twice: for the interpreter and for the machine. */
typedef struct TileJob {
  const Command *command;
  const kiln_tile *tile;
  kiln_engine *engine;
  size_t kernel;
  int64_t symbols[MAX_ARGUMENTS];
  size_t buffer_count;
  void *buffers[2][MAX_BUFFERS];
  size_t bytes[MAX_BUFFERS];
  kiln_type types[MAX_BUFFERS];
  const char *names[MAX_BUFFERS];
  void *workspace;
  size_t workspace_bytes;
  int64_t tasks;
} TileJob;

static const char *tile_symbol(const void *job, size_t index) {
  const TileJob *j = job;
  return kiln_tile_symbol_name(j->tile, j->kernel, index);
}

/* By --kernel, or the first. */
static int choose_kernel(TileJob *job) {
  const char *name = job->command->options.kernel;
  size_t count = kiln_tile_kernel_count(job->tile);
  if (count == 0) return complain("the module has no kernel");
  for (job->kernel = 0; name != NULL && job->kernel < count; ++job->kernel)
    if (strcmp(kiln_tile_kernel_name(job->tile, job->kernel), name) == 0) break;
  return job->kernel < count ? EXIT_GOOD : complain("no kernel is called '%s'", name);
}

static int bind(TileJob *job) {
  const Symbols symbols = {kiln_tile_symbol_count(job->tile, job->kernel), tile_symbol, job};
  return bind_symbols(job->command, &symbols, true, job->symbols);
}

/* Floats from -1 to 1, whole numbers from 0 to 7, which every integer type holds. Both copies get the same. */
static void fill(TileJob *job, size_t buffer, uint64_t *state) {
  kiln_type type = job->types[buffer];
  size_t count = job->bytes[buffer] * 8 / type_bits(type);
  for (size_t i = 0; i < count; ++i) {
    double r = (double)data_random(state) / 4294967296.0;
    type_store(type, job->buffers[0][buffer], i,
               type_is_floating(type)  ? 2 * r - 1
               : type_is_integer(type) ? floor(8 * r)
                                       : r > 0.5);
  }
  memcpy(job->buffers[1][buffer], job->buffers[0][buffer], job->bytes[buffer]);
}

/* Buffers, as large as these symbols make them, and the workspace the kernel asks for. Never empty: an address of its
 * own each. */
static int allocate_buffers(TileJob *job) {
  job->buffer_count = kiln_tile_buffer_count(job->tile, job->kernel);
  if (job->buffer_count > MAX_BUFFERS) return complain("the kernel has more than %d buffers", MAX_BUFFERS);
  uint64_t state = job->command->options.seed >= 0 ? (uint64_t)job->command->options.seed : 1;
  for (size_t i = 0; i < job->buffer_count; ++i) {
    kiln_status status =
        kiln_tile_buffer_info(job->tile, job->kernel, i, job->symbols, &job->names[i], &job->types[i], &job->bytes[i]);
    if (status != KILN_OK) return complain_status("buffer", status, NULL);
    size_t whole = (job->bytes[i] + 127) / 64 * 64;
    job->buffers[0][i] = aligned_alloc(64, whole);
    job->buffers[1][i] = aligned_alloc(64, whole);
    if (job->buffers[0][i] == NULL || job->buffers[1][i] == NULL)
      return complain_status("buffer", KILN_OUT_OF_MEMORY, NULL);
    fill(job, i, &state);
  }
  kiln_status status = kiln_tile_query(job->tile, job->kernel, job->symbols, &job->tasks, &job->workspace_bytes);
  if (status != KILN_OK) return complain_status("tasks", status, NULL);
  job->workspace = aligned_alloc(64, (job->workspace_bytes + 127) / 64 * 64);
  return job->workspace != NULL ? EXIT_GOOD : complain_status("workspace", KILN_OUT_OF_MEMORY, NULL);
}

/* Symbols and params are bound by name, in the kernel's order: that is what dims holds. The workspace is as fresh. */
static kiln_args args_of(TileJob *job, int copy) {
  memset(job->workspace, 0, job->workspace_bytes);
  return (kiln_args){.buffers = (void *const *)job->buffers[copy], .dims = job->symbols, .workspace = job->workspace};
}

/* Every task in order on this thread: what is wrong with one order shows in kiln run, not here. */
static int run_code(TileJob *job) {
  kiln_tile_code *code;
  kiln_buffer message = {0};
  kiln_status status = kiln_tile_compile(job->engine, job->tile, job->command->options.target, &code, &message);
  if (status != KILN_OK) return complain_status("compile", status, &message);
  void *function = kiln_tile_function(code, kiln_tile_kernel_name(job->tile, job->kernel));
  kiln_entry *entry;
  memcpy(&entry, &function, sizeof entry);
  kiln_args args = args_of(job, 1);
  for (int64_t task = 0; task < job->tasks; ++task) entry(&args, task);
  kiln_tile_code_release(code);
  return EXIT_GOOD;
}

/* How far results may differ, as a share: floats by the order of a reduction and a few ulp of a function in f32, and by
 * one step of a coarser type; integers not at all. */
static double tolerance_of(kiln_type type) {
  enum { STEPS = 14 /* f32 and f64 are finer than 2^-14 */ };
  if (!type_is_floating(type)) return 0;
  double step = 1;
  for (int i = 0; i < STEPS && type_round(type, 1 + step / 2) > 1; ++i) step /= 2;
  return step;
}

/* A line for each buffer. Differences are relative where numbers are above 1. */
static bool compare(const TileJob *job) {
  bool match = true;
  for (size_t i = 0; i < job->buffer_count; ++i) {
    kiln_type type = job->types[i];
    double worst = 0;
    for (size_t e = 0; e < job->bytes[i] * 8 / type_bits(type); ++e) {
      double want = type_load(type, job->buffers[0][i], e), got = type_load(type, job->buffers[1][i], e);
      if (want == got || (isnan(want) && isnan(got))) continue;
      double error = fabs(want - got) / fmax(1, fabs(want));
      worst = isnan(error) ? INFINITY : fmax(worst, error);
    }
    bool good = worst <= tolerance_of(type);
    match = match && good;
    if (job->command->options.json) {
      Json json;
      json_open(&json);
      json_string(&json, "kernel", kiln_tile_kernel_name(job->tile, job->kernel));
      json_string(&json, "buffer", job->names[i]);
      json_bool(&json, "match", good);
      json_number(&json, "max_error", worst);
      json_close(&json);
    } else if (!job->command->options.quiet) {
      printf("%%%s: %s, largest difference %g\n", job->names[i], good ? "match" : "MISMATCH", worst);
    }
  }
  return match;
}

/* A fault of the text, as the library located it. */
static int complain_of_text(const Command *command, kiln_status status, kiln_buffer *message) {
  const char *path = command->arguments[0];
  if (message->data == NULL) return complain_status(path, status, NULL);
  complain_located(strcmp(path, "-") == 0 ? "standard input" : path, message->data);
  kiln_buffer_free(message);
  return EXIT_USAGE;
}

/* --run: exit status 1 where a buffer differs. */
static int run_both(const Command *command, const kiln_tile *tile, kiln_engine *engine) {
  TileJob *job = calloc(1, sizeof *job);
  if (job == NULL) return complain_status("tile", KILN_OUT_OF_MEMORY, NULL);
  job->command = command;
  job->tile = tile;
  job->engine = engine;
  int status = choose_kernel(job);
  if (status == EXIT_GOOD) status = bind(job);
  if (status == EXIT_GOOD) status = allocate_buffers(job);
  if (status == EXIT_GOOD) {
    kiln_args args = args_of(job, 0);
    kiln_buffer message = {0};
    kiln_status result = kiln_tile_interpret(tile, job->kernel, &args, job->workspace_bytes, &message);
    if (result != KILN_OK) status = complain_of_text(command, result, &message);
  }
  if (status == EXIT_GOOD) status = run_code(job);
  if (status == EXIT_GOOD && !compare(job)) status = EXIT_MISMATCH;
  for (size_t i = 0; i < MAX_BUFFERS; ++i) {
    free(job->buffers[0][i]);
    free(job->buffers[1][i]);
  }
  free(job->workspace);
  free(job);
  return status;
}

/* Without --run: the canonical text, or what LLVM makes of it. */
static int print_or_lower(const Command *command, const kiln_tile *tile, kiln_engine *engine) {
  kiln_buffer out = {0}, message = {0};
  kiln_stage stage = KILN_STAGE_TILE;
  bool known = command->options.stage == NULL || stage_find(command->options.stage, &stage);
  if (!known || stage == KILN_STAGE_GRAPH || stage == KILN_STAGE_DOT)
    return complain("--stage is '%s', expected tile, llvm, asm or object", command->options.stage);
  kiln_status result = stage == KILN_STAGE_TILE
                           ? kiln_tile_print(tile, &out)
                           : kiln_tile_dump(engine, tile, command->options.target, stage, &out, &message);
  int status = result == KILN_OK ? write_output(command->options.output, out.data, out.size)
                                 : complain_status("tile", result, &message);
  kiln_buffer_free(&out);
  return status;
}

/* What only --run heeds is refused without it, and what it does not heed, with it. */
static int check_options(const Command *command) {
  const Options *o = &command->options;
  if (command->argument_count == 0) return complain("tile needs a FILE, or - for standard input");
  if (o->run && o->stage != NULL) return complain("--run and --stage exclude each other");
  if (o->run) return EXIT_GOOD;
  if (o->kernel != NULL || o->json) return complain("--kernel and --json are for --run");
  return command->argument_count == 1 ? EXIT_GOOD : complain("found '%s', which is for --run", command->arguments[1]);
}

int cmd_tile(const Command *command) {
  int status = check_options(command);
  if (status != EXIT_GOOD) return status;
  size_t length;
  char *text = read_file(command->arguments[0], &length);
  if (text == NULL) return EXIT_USAGE;
  kiln_tile *tile = NULL;
  kiln_engine *engine = NULL;
  kiln_buffer message = {0};
  kiln_status result = kiln_tile_parse(text, length, NULL, &tile, &message);
  free(text);
  if (result != KILN_OK) return complain_of_text(command, result, &message);
  status = engine_open(command, &engine);
  if (status == EXIT_GOOD)
    status = command->options.run ? run_both(command, tile, engine) : print_or_lower(command, tile, engine);
  kiln_tile_destroy(tile);
  kiln_engine_destroy(engine);
  return status;
}
