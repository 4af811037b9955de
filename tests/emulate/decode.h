/* decode.h: from bytes to a row of the table and its operands. */
#pragma once

#include "tests/emulate/instruction.h"

enum { DECODE_MAX_BYTES = 15, DECODE_NO_REGISTER = -1, DECODE_RIP = 16 };

struct Decoded {
  const Instruction *row;
  uint8_t length;        /* of the instruction, in bytes */
  uint8_t vector_bytes;  /* 16, 32 or 64 */
  uint8_t reg, vvvv, rm; /* registers; rm where is_memory is false */
  bool is_memory, is_broadcast, is_zeroing, has_rounding;
  bool is_wide; /* W */
  uint8_t mask; /* opmask, 0: none */
  uint8_t imm;
  Rounding rounding;         /* where has_rounding */
  int8_t base, index, scale; /* of a memory operand; base may be DECODE_RIP; scale is a shift */
  int32_t displacement;      /* disp8*N applied */
};

typedef enum DecodeResult {
  DECODE_FOUND,
  DECODE_UNKNOWN, /* none of the table, or with operands that the manual refuses with #UD */
  DECODE_SHORT    /* perhaps one, but cut off */
} DecodeResult;

/* Decodes the instruction at `code`, reading at most `size` and at most DECODE_MAX_BYTES bytes. */
DecodeResult decode(Decoded *out, const uint8_t *code, size_t size);

/* Whether the operands need registers that came with AVX-512. */
bool decode_needs_avx512(const Decoded *code);

/* Address of the memory operand, without `index` for FORM_TILE_MEMORY. */
uint64_t decode_address(const Decoded *code, const EmulateState *state);
