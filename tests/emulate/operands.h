/* operands.h: random instances of the table's instructions as text, and registers for them. */
#pragma once

#include "tests/emulate/decode.h"

typedef struct Random {
  uint64_t state;
} Random;

uint64_t random_bits(Random *random);
/* From 0 to below - 1. */
int random_below(Random *random, int below);

typedef enum OperandKind { OPERAND_REGISTER, OPERAND_MEMORY, OPERAND_BROADCAST, OPERAND_KINDS } OperandKind;

/* Writes an instance of a row in Intel syntax with random registers, mask, length and address; the last source is of
 * the kind. rsp is never named. False: the row has no such form. */
bool operands_write(const Instruction *row, OperandKind kind, Random *random, char *line, size_t size);

/* Sets base and index registers so that the memory operand begins `at` (or, where it is relative to RIP, nothing).
 * False: no registers can do that. */
bool operands_point(const Decoded *code, EmulateState *state, uint64_t at, Random *random);
