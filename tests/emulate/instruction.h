/* instruction.h: the table of instructions as C, and what its rows compute with. */
#pragma once

#include "tests/emulate/emulate.h"

/* ---- encodings --------------------------------------------------------------------------------------------------- */

typedef enum Encoding { ENCODING_VEX, ENCODING_EVEX } Encoding;
typedef enum Prefix { PREFIX_NP, PREFIX_66, PREFIX_F3, PREFIX_F2 } Prefix; /* as the pp field counts them */
typedef enum Map { MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3, MAP_MAP5 = 5, MAP_MAP6 = 6 } Map;
typedef enum Wide { WIDE_W0, WIDE_W1, WIDE_WIG } Wide;

/* What the operands are; `to` and `from` are the row's element sizes in bytes. */
typedef enum Form {
  FORM_PACKED3,   /* vector, vector, vector or memory or broadcast element; masked */
  FORM_PACKED2,   /* vector, vector or memory or broadcast element; as many elements as the wider of both has; masked */
  FORM_NARROW2,   /* vector, vector, vector or memory: the second source fills the lower half; masked */
  FORM_MEMORY2,   /* vector, memory of the same length */
  FORM_BROADCAST, /* vector, one element in memory */
  FORM_COMPARE,   /* mask, vector, vector or memory or broadcast element; masked, the rest zero */

  FORM_SCALAR3,        /* vector, vector, vector's lowest element or memory; the rest is the first source's; masked */
  FORM_SCALAR_UPDATE,  /* the same, but the rest is the destination's */
  FORM_SCALAR_GPR,     /* vector, vector, general register or memory; the rest is the first source's */
  FORM_SCALAR_COMPARE, /* mask, vector, vector's lowest element or memory; masked */
  FORM_SCALAR_FLAGS,   /* vector's lowest element, that or memory: to rflags */
  FORM_SCALAR_LOAD,    /* vector, memory; the rest is zero; masked */
  FORM_SCALAR_MOVE,    /* as SCALAR3, but no memory */
  FORM_SCALAR_ZERO,    /* vector, vector's lowest element or memory; the rest is zero */
  FORM_SCALAR_STORE,   /* memory, vector's lowest element; masked */
  FORM_TO_GPR,         /* general register, vector's lowest element or memory */
  FORM_WORD_LOAD,      /* vector, general register or memory; the rest is zero */
  FORM_WORD_STORE,     /* general register or memory, vector's lowest element */

  FORM_CONFIG, /* 64 bytes in memory */
  FORM_NOTHING,
  FORM_TILE,        /* tile */
  FORM_TILE_MEMORY, /* tile, memory with a stride as SIB's index */
  FORM_TILE3,       /* tile, tile, tile, all different */
  FORM_ROW_GPR,     /* vector of 512 bits, tile, general register that says the row */
  FORM_ROW_IMMEDIATE
} Form;

/* ---- lanes ------------------------------------------------------------------------------------------------------- */

typedef enum Rounding { ROUND_NEAREST, ROUND_DOWN, ROUND_UP, ROUND_ZERO } Rounding; /* as MXCSR.RC counts them */

/* One element of each operand, zero-extended, and how to compute. */
typedef struct Lane {
  uint64_t c, a, b;  /* destination before, first source (VEX.vvvv), second source (ModRM.r/m) */
  Rounding rounding; /* MXCSR's, or the instruction's own */
  uint32_t mxcsr;
  uint8_t imm;
  uint8_t to, from; /* the row's */
} Lane;

typedef uint64_t LaneFunction(const Lane *lane);

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

typedef struct Decoded Decoded;

/* Returns false where the manual says #UD or #GP; nothing has changed then. */
typedef bool TileFunction(EmulateState *state, const Decoded *code);

/* ---- the table --------------------------------------------------------------------------------------------------- */

typedef struct Instruction {
  const char *name, *feature;
  Encoding encoding;
  Prefix prefix;
  Map map;
  Wide wide;
  uint8_t opcode, to, from;
  Form form;
  LaneFunction *lane; /* of a VECTOR row */
  TileFunction *tile; /* of a TILE row */
} Instruction;

extern const Instruction instructions[];
extern const int instruction_count;

#define VECTOR(name, encoding, opcode, form, to, from, feature) LaneFunction lane_##name;
#define TILE(name, encoding, opcode, form, feature) TileFunction tile_##name;
#include "tests/emulate/instructions.def"
#undef VECTOR
#undef TILE
