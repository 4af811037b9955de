/* verify.h: what the files of the verifier share.
 *
 * verify.c walks a kernel and checks what every operation owes by its row: operands there, visible and as many as
 * stated, results of types that can exist and follow. Only where that holds is verify_<op> asked for the rest. */
#ifndef KILN_IR_TILE_VERIFY_H
#define KILN_IR_TILE_VERIFY_H

#include "ir/tile/tile.h"

typedef enum ValueState {
  STATE_HIDDEN, /* not defined before here, or in a block that has ended */
  STATE_VISIBLE,
  STATE_FAULTY, /* visible, but its type is wrong and has been reported: uses are not looked at */
} ValueState;

typedef struct Verifier {
  Diagnostics *faults;
  size_t fault_count;
  const Kernel *kernel;
  Arena arena;
  ValueState *states; /* by value id */
  int64_t scratch_bytes;
} Verifier;

#define TILE_ROW(name, syntax, spelling, operands, result, effect, meaning)                                            \
  void verify_##name(Verifier *v, const Op *op);
#include "ir/tile/ops_rows.h"
#undef TILE_ROW

/* Reports at an operation, or where it came from no text, in the kernel's name; op NULL: at the kernel. */
void verify_fault(Verifier *v, const Op *op, const char *format, ...) PRINTF_LIKE(3, 4);
const char *verify_type_text(Verifier *v, TileType type); /* for a message */
/* What the operation is called in the text. */
static inline const char *verify_name(const Op *op) {
  const OpInfo *info = op_info(op->code);
  return *info->spelling ? info->spelling : info->name;
}

/* Each reports at `op` and gives false where the type breaks a rule of its own. */
bool verify_type(Verifier *v, const Op *op, TileType type);
bool verify_kind(Verifier *v, const Op *op, TypeKind kind, TileType type, const char *what);
bool verify_same(Verifier *v, const Op *op, TileType expected, TileType found, const char *what);
/* Some size of the buffer is `?`. */
bool verify_has_unknown(const BufType *buf);

#endif
