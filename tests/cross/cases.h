/* cases.h: what the program that makes cases (for this machine) and the one that runs them (for another) agree on.
 *
 * A file of cases is a sequence of CrossCase, each followed by its symbols (int64_t) and its buffers; a buffer is a
 * CrossBuffer, the bytes it holds before the run, and, by its check, the bytes and bounds expected after it. Both
 * machines are little-endian and have IEEE floats. */
#ifndef KILN_TESTS_CROSS_CASES_H
#define KILN_TESTS_CROSS_CASES_H

#include <stdint.h>

enum { CROSS_MAX_SYMBOLS = 16, CROSS_MAX_BUFFERS = 16 };

typedef struct CrossCase {
  int64_t kernel; /* of KERNELS, which is generated */
  int64_t symbol_count, buffer_count;
  char label[72];
} CrossCase;

typedef enum CrossCheck {
  CROSS_UNCHANGED, /* all bytes stay */
  CROSS_EQUAL,     /* bytes follow: elements are equal, or both NaN */
  CROSS_NEAR,      /* bytes, then a double for each element follow: finite elements differ by no more */
} CrossCheck;

typedef struct CrossBuffer {
  int64_t type; /* kiln_type */
  int64_t elements, bytes;
  int64_t check;
} CrossBuffer;

#endif
