/* assemble.h: machine code from readable text, by LLVM's assembler. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Assembled {
  uint8_t *bytes;   /* the code of all lines, one behind another */
  uint8_t *lengths; /* of each line */
  size_t size;
  int count;
  char error[256]; /* the assembler's first complaint */
} Assembled;

/* Assembles lines of Intel syntax, separated by '\n', with the instructions of every CPU. False, with out->error, where
 * there is one that LLVM does not know. */
bool assemble(const char *lines, Assembled *out);

void assemble_release(Assembled *out);
