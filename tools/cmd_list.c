/* cmd_list.c: kiln list: the tables of this build. Completion asks here too, so a row's name is the first word of its
 * line (but for ops and options, which begin with their language and scope). */
#include <string.h>

#include "tools/command.h"

int cmd_list(const Command *command) {
  static const char *const names[] = {
      [KILN_TABLE_OPS] = "ops",         [KILN_TABLE_TYPES] = "types",         [KILN_TABLE_TARGETS] = "targets",
      [KILN_TABLE_MMA] = "mma",         [KILN_TABLE_TEMPLATES] = "templates", [KILN_TABLE_PASSES] = "passes",
      [KILN_TABLE_OPTIONS] = "options",
  };
  static const char expected[] = "ops, types, targets, mma, templates, passes or options";
  if (command->argument_count == 0) return complain("list needs the name of a table: %s", expected);
  if (expect_arguments(command, 1) != EXIT_GOOD) return EXIT_USAGE;
  const char *wanted = command->arguments[0];
  for (size_t i = 0; i < ARRAY_LENGTH(names); ++i) {
    if (strcmp(names[i], wanted) != 0) continue;
    kiln_buffer text = {0};
    kiln_status result = kiln_list((kiln_table)i, command->options.json, &text);
    int status = result == KILN_OK ? write_output(NULL, text.data, text.size) : complain_status("list", result, NULL);
    kiln_buffer_free(&text);
    return status;
  }
  return complain("no table is called '%s', expected %s", wanted, expected);
}
