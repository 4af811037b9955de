/* cmd_emit.c: kiln emit: an object and a C header for programs without LLVM and libkiln. */
#include "tools/command.h"

int cmd_emit(const Command *command) {
  const Options *o = &command->options;
  if (o->output == NULL) return complain("kiln emit needs -o FILE");
  Session session;
  int status = session_open(command, false, &session);
  if (status != EXIT_GOOD) return status;
  kiln_buffer object = {0}, header = {0};
  kiln_status result = kiln_emit(session.engine, session.graph, &session.compile, o->name != NULL ? o->name : "kiln_kernel",
                                 &object, &header);
  if (result != KILN_OK) status = complain_status("emit", result, &session.message);
  if (status == EXIT_GOOD) status = write_output(o->output, object.data, object.size);
  if (status == EXIT_GOOD && o->header != NULL) status = write_output(o->header, header.data, header.size);
  kiln_buffer_free(&object);
  kiln_buffer_free(&header);
  session_close(&session);
  return status;
}
