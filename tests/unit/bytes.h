/* bytes.h: numbers in files of bytes. */
#ifndef KILN_TESTS_UNIT_BYTES_H
#define KILN_TESTS_UNIT_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Of so many bytes, the least significant first. */
static inline uint64_t read_number(const uint8_t *at, size_t width) {
  uint64_t value = 0;
  memcpy(&value, at, width);
  return value;
}

#endif
