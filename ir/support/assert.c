/* assert.c: where an impossible branch ends.
 *
 * The library never prints, so the message is left where a debugger and `strings core` find it: in this frame. */
#include "ir/support/support.h"

#include <stdlib.h>

_Noreturn void kiln_assert_failed(const char *condition, const char *file, int line) {
  volatile char message[256];
  const char *parts[] = {"kiln: assertion failed: ", condition, " in ", file};
  size_t length = 0;
  for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
    for (const char *c = parts[i]; *c && length < sizeof message - 1; c++) message[length++] = *c;
  message[length] = 0;
  volatile int message_line = line;
  (void)message_line;
  abort();
}
