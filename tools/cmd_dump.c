/* cmd_dump.c: kiln dump: any stage of a graph's way to bytes.
 *
 * Graph and dot need no template; the other stages are those of the kernel that kiln run would run, with the same
 * options. What is printed depends on nothing else: no cache is read, no symbol is bound. */
#include "tools/command.h"

int cmd_dump(const Command *command) {
  kiln_stage stage;
  const char *name = command->options.stage;
  if (name == NULL) return complain("dump needs --stage graph|tile|llvm|asm|object|dot");
  if (!stage_find(name, &stage))
    return complain("--stage is '%s', expected graph, tile, llvm, asm, object or dot", name);
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
