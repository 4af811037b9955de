/* instruction.c: the rows of instructions.def as one array. */
#include "tests/emulate/instruction.h"

#define VEX(prefix_name, map_name, wide_name)                                                                          \
  .encoding = ENCODING_VEX, .prefix = PREFIX_##prefix_name, .map = MAP_##map_name, .wide = WIDE_##wide_name
#define EVEX(prefix_name, map_name, wide_name)                                                                         \
  .encoding = ENCODING_EVEX, .prefix = PREFIX_##prefix_name, .map = MAP_##map_name, .wide = WIDE_##wide_name
#define VECTOR(row_name, how_encoded, row_opcode, row_form, to_bytes, from_bytes, feature_name)                        \
  {.name = #row_name,                                                                                                  \
   .feature = feature_name,                                                                                            \
   how_encoded,                                                                                                        \
   .opcode = row_opcode,                                                                                               \
   .form = FORM_##row_form,                                                                                            \
   .to = to_bytes,                                                                                                     \
   .from = from_bytes,                                                                                                 \
   .lane = lane_##row_name},
#define TILE(row_name, how_encoded, row_opcode, row_form, feature_name)                                                \
  {.name = #row_name,                                                                                                  \
   .feature = feature_name,                                                                                            \
   how_encoded,                                                                                                        \
   .opcode = row_opcode,                                                                                               \
   .form = FORM_##row_form,                                                                                            \
   .tile = tile_##row_name},

const Instruction instructions[] = {
#include "tests/emulate/instructions.def"
};
const int instruction_count = (int)(sizeof instructions / sizeof *instructions);
