/* cmd_explain.c: kiln explain: what would be done with a graph, and why. Compiles nothing.
 *
 * Symbols may be bound or not: blocks and limits are told where they are. */
#include "tools/command.h"

int cmd_explain(const Command *command) {
  Session session;
  int status = session_open(command, false, &session);
  if (status != EXIT_GOOD) return status;
  kiln_buffer text = {0};
  kiln_status result = kiln_explain(session.engine, session.graph, &session.compile,
                                    session.bound ? session.symbols : NULL, command->options.json, &text);
  status = result == KILN_OK ? write_output(NULL, text.data, text.size)
                             : complain_status("explain", result, &session.message);
  kiln_buffer_free(&text);
  session_close(&session);
  return status;
}
