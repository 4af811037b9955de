/* maker.h: what make_cases.c and graphs.c share: the files they write. */
#ifndef KILN_TESTS_CROSS_MAKER_H
#define KILN_TESTS_CROSS_MAKER_H

#include <stdio.h>

#include "ir/target/target.h"
#include "tests/cross/cases.h"

typedef struct Maker {
  const Target *target;
  const char *folder;
  FILE *cases, *kernels;
  int64_t kernel; /* number of the last one */
} Maker;

_Noreturn void maker_fail(const char *what, const char *text);
FILE *maker_open_file(const Maker *maker, const char *name);
/* Writes NAME.o, the next kernel's. */
void maker_add_kernel(Maker *maker, const char *name, const void *object, size_t bytes);

/* A case of the last kernel; its buffers follow. */
void maker_put_case(const Maker *maker, const char *label, const int64_t *symbols, int64_t symbol_count,
                    int64_t buffer_count);
/* `after` NULL: unchanged; `bounds` NULL: equal. */
void maker_put_buffer(const Maker *maker, kiln_type type, size_t elements, const void *before, const void *after,
                      const double *bounds);

#endif
