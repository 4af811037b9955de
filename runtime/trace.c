/* trace.c: the record of what a process compiles, which `kiln tune FILE` takes.
 *
 * One line a request that memory did not have: the graph's text, then as a comment the options that are not the
 * default. A line is one write to a file opened for appending, so processes can share it. */
#include <errno.h>

#include "jit/os.h"
#include "runtime/runtime.h"

void rt_trace_open(Trace *trace, const char *path, const kiln_log *log) {
  char text[128];
  trace->file = -1;
  if (!path || !*path) return;
  int result = jit_os_open_log(path, &trace->file);
  if (result == 0) return;
  trace->file = -1;
  log_event(log, KILN_LOG_WARNING, "trace: '%s' cannot be opened: %s", path, jit_os_message(result, text));
}

void rt_trace_close(Trace *trace) {
  if (trace->file >= 0) jit_os_close_log(trace->file);
  trace->file = -1;
}

void rt_trace_request(const Trace *trace, const Request *request, const char *graph_text) {
  if (trace->file < 0) return;
  const kiln_engine *engine = request->engine;
  Text line;
  text_init(&line, &engine->allocator);
  text_add(&line, graph_text);
  size_t graph_end = line.length;
  text_add(&line, "  #");
  size_t comment = line.length;
  rt_request_print(request, &line);
  if (line.length == comment) line.length = graph_end;
  text_add_char(&line, '\n');
  int result = line.failed ? ENOMEM : jit_os_append(trace->file, line.data, line.length);
  char text[128];
  if (result) log_event(&engine->log, KILN_LOG_WARNING, "trace: a line is lost: %s", jit_os_message(result, text));
  text_release(&line);
}
