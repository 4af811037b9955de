/* ops_rows.h: all rows of ops.def through one macro, TILE_ROW, for users to whom the stage does not matter. No include
 * guard: it is included once a use. */
#define CONTROL_OP TILE_ROW
#define INDEX_OP TILE_ROW
#define MEMORY_OP TILE_ROW
#define TILE_OP TILE_ROW
#define FRAG_OP TILE_ROW
#include "ir/tile/ops.def"
#undef CONTROL_OP
#undef INDEX_OP
#undef MEMORY_OP
#undef TILE_OP
#undef FRAG_OP
