/* cmd_emit.c: kiln emit: an object and a C header for programs without LLVM and libkiln.
 *
 * Files are written last and each as a whole, so a compile that fails touches none. */
#include <stdio.h>
#include <time.h>

#include "tools/command.h"

/* What kiln explain gives, and what every compile gives, in one object. */
static int print_decision(const Session *session, size_t object_bytes, double compile_ms) {
  kiln_buffer text = {0};
  kiln_status status = kiln_explain(session->engine, session->graph, &session->compile, NULL, true, &text);
  if (status != KILN_OK) return complain_status("explain", status, NULL);
  size_t open = text.size;
  while (open > 0 && text.data[open] != '}') --open;
  printf("%.*s,\"object_bytes\":%zu,\"compile_ms\":%.3f,\"cache\":\"cold\"}\n", (int)open, text.data, object_bytes,
         compile_ms);
  kiln_buffer_free(&text);
  return EXIT_GOOD;
}

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

int cmd_emit(const Command *command) {
  const Options *o = &command->options;
  if (o->output == NULL) return complain("emit needs -o FILE");
  Session session;
  int status = session_open(command, false, &session);
  if (status != EXIT_GOOD) return status;
  kiln_buffer object = {0}, header = {0};
  double start = now_ms();
  kiln_status result = kiln_emit(session.engine, session.graph, &session.compile,
                                 o->name != NULL ? o->name : "kiln_kernel", &object, &header);
  if (result != KILN_OK) status = complain_status("emit", result, &session.message);
  double compile_ms = now_ms() - start;
  if (status == EXIT_GOOD) status = write_output(o->output, object.data, object.size);
  if (status == EXIT_GOOD && o->header != NULL) status = write_output(o->header, header.data, header.size);
  if (status == EXIT_GOOD && o->json) status = print_decision(&session, object.size, compile_ms);
  kiln_buffer_free(&object);
  kiln_buffer_free(&header);
  session_close(&session);
  return status;
}
