/* cmd_dump.c: kiln dump: any stage of a graph's way to bytes. */
#include <string.h>

#include "tools/command.h"

int cmd_dump(const Command *command) {
  kiln_stage stage;
  if (!stage_find(command->options.stage, &stage))
    return complain("--stage is '%s', expected graph, tile, llvm, asm, object or dot",
                    command->options.stage != NULL ? command->options.stage : "missing");
  Session session;
  int status = session_open(command, false, &session);
  if (status != EXIT_GOOD) return status;
  kiln_buffer out = {0};
  kiln_status result = kiln_dump(session.engine, session.graph, &session.compile, stage, &out);
  status = result == KILN_OK ? write_output(command->options.output, out.data, out.size)
                             : complain_status("dump", result, &session.message);
  kiln_buffer_free(&out);
  session_close(&session);
  return status;
}
