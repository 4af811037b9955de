/* cmd_run.c: kiln run: compile, run on generated data, compare every result with the interpreter.
 *
 * The bound is the interpreter's own, an element at a time, so there is no tolerance to choose and a mismatch is a
 * fault. */
#include <stdio.h>
#include <string.h>

#include "tools/command.h"

static const char *const cache_names[] = {[KILN_COLD] = "cold", [KILN_DISK] = "disk", [KILN_MEMORY] = "memory"};

/* `error` and `bound` are those of the element that came closest to its bound. */
static void print_result(const Command *command, const Session *session, const kiln_kernel_info *info,
                         const Comparison *comparison) {
  Text dims;
  text_init(&dims, NULL);
  print_dims(session, &dims);
  int32_t threads = chosen_threads(command, session->engine)->count;
  if (command->options.json) {
    Json json;
    json_open(&json);
    json_compile(&json, info);
    json_close(&json);
    json_open(&json);
    json_string(&json, "graph", info->graph);
    json_string(&json, "dims", text_get(&dims));
    json_string(&json, "target", info->target);
    json_number(&json, "threads", threads);
    json_string(&json, "template", info->template_);
    json_bool(&json, "match", comparison->match);
    json_number(&json, "max_error", comparison->max_error);
    json_number(&json, "bound", comparison->bound);
    json_close(&json);
  } else if (!command->options.quiet) {
    printf("%s %s\n", info->graph, text_get(&dims));
    printf("template %s, %s%s%s%starget %s\n", info->template_, info->schedule, info->schedule[0] != '\0' ? " (" : "",
           info->schedule[0] != '\0' ? info->origin : "", info->schedule[0] != '\0' ? "), " : "", info->target);
    printf("compiled in %.2f ms (%s), object %zu bytes, code %zu bytes\n", info->compile_ms, cache_names[info->cache],
           info->object_bytes, info->code_bytes);
    printf("%s: error %g where the bound is %g, %d thread%s\n", comparison->match ? "match" : "MISMATCH",
           comparison->max_error, comparison->bound, threads, threads == 1 ? "" : "s");
  }
  text_release(&dims);
}

/* One call; where the library refuses it, kiln_check_call knows the words. */
static int run_kernel(const Command *command, const Session *session, const kiln_kernel *kernel, Data *data) {
  int status = data_create(session, command, data);
  if (status == EXIT_GOOD) status = data_pack(session, kernel, data);
  if (status != EXIT_GOOD) return status;
  kiln_call call = {
      .size = sizeof call,
      .inputs = (const void *const *)data->packed,
      .outputs = data->outputs,
      .symbols = session->symbols,
      .threads = chosen_threads(command, session->engine),
  };
  kiln_status result = kiln_run(kernel, &call);
  if (result == KILN_OK) return EXIT_GOOD;
  kiln_buffer message = {0};
  kiln_check_call(kernel, &call, &message);
  return complain_status("run", result, &message);
}

/* Exit status: what failed first, else the comparison's. */
int cmd_run(const Command *command) {
  Session session;
  int status = session_open(command, true, &session);
  if (status != EXIT_GOOD) return status;
  kiln_kernel *kernel = NULL;
  Data data = {0};
  Comparison comparison = {0};
  kiln_status result = kiln_compile(session.engine, session.graph, &session.compile, &kernel);
  if (result != KILN_OK) status = complain_status("compile", result, &session.message);
  if (status == EXIT_GOOD) status = run_kernel(command, &session, kernel, &data);
  if (status == EXIT_GOOD) status = data_compare(&session, &data, &comparison);
  kiln_kernel_info info;
  if (status == EXIT_GOOD && kiln_kernel_describe(kernel, &info) == KILN_OK) {
    print_result(command, &session, &info, &comparison);
    status = comparison.match ? EXIT_GOOD : EXIT_MISMATCH;
  }
  data_destroy(&data);
  kiln_kernel_release(kernel);
  session_close(&session);
  return status;
}
