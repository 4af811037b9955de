/* maker.c: see maker.h. */
#include "tests/cross/maker.h"

#include <stdlib.h>

_Noreturn void maker_fail(const char *what, const char *text) {
  fprintf(stderr, "%s\n%s\n", what, text);
  exit(1);
}

FILE *maker_open_file(const Maker *maker, const char *name) {
  char path[1000];
  snprintf(path, sizeof path, "%s/%s", maker->folder, name);
  FILE *file = fopen(path, "wb");
  if (!file) maker_fail("cannot write", path);
  return file;
}

void maker_add_kernel(Maker *maker, const char *name, const void *object, size_t bytes) {
  char file_name[100];
  snprintf(file_name, sizeof file_name, "%s.o", name);
  FILE *file = maker_open_file(maker, file_name);
  fwrite(object, 1, bytes, file);
  fclose(file);
  ++maker->kernel;
}

static void put(const Maker *maker, const void *bytes, size_t count) {
  static const char zeros[8];
  fwrite(bytes, 1, count, maker->cases);
  fwrite(zeros, 1, (8 - count % 8) % 8, maker->cases);
}

void maker_put_case(const Maker *maker, const char *label, const int64_t *symbols, int64_t symbol_count,
                    int64_t buffer_count) {
  CrossCase head = {.kernel = maker->kernel, .symbol_count = symbol_count, .buffer_count = buffer_count};
  snprintf(head.label, sizeof head.label, "%s", label);
  put(maker, &head, sizeof head);
  put(maker, symbols, (size_t)symbol_count * sizeof *symbols);
}

void maker_put_buffer(const Maker *maker, kiln_type type, size_t elements, const void *before, const void *after,
                      const double *bounds) {
  size_t bytes = type_bytes(type, elements);
  CrossBuffer head = {.type = (int64_t)type,
                      .elements = (int64_t)elements,
                      .bytes = (int64_t)bytes,
                      .check = !after   ? CROSS_UNCHANGED
                               : bounds ? CROSS_NEAR
                                        : CROSS_EQUAL};
  put(maker, &head, sizeof head);
  put(maker, before, bytes);
  if (after) put(maker, after, bytes);
  if (bounds) put(maker, bounds, elements * sizeof *bounds);
}
