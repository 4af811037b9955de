/* interpret.h: what the files of the tile interpreter share.
 *
 * A kernel is planned once: each value gets a slot, each operation a step with pointers to the slots it reads and
 * writes and to the function interp_<op> that executes it; then the steps run, task by task. Elements of tiles and
 * fragments are doubles that hold a number of the declared type exactly, with a flag beside each for "unspecified",
 * which arithmetic hands on. */
#ifndef KILN_IR_TILE_INTERPRET_H
#define KILN_IR_TILE_INTERPRET_H

#include "ir/tile/tile.h"

typedef struct Interp Interp;
typedef struct Step Step;
typedef struct Body Body;

/* Memory that a buffer lies in. */
typedef struct Region {
  char *memory;
  int64_t bytes;
  uint8_t *states; /* of scratch: an ElementState each; NULL: not known */
  bool is_private; /* scratch or workspace: it may hold unspecified elements */
} Region;
typedef enum ElementState { STATE_UNWRITTEN, STATE_SPECIFIED, STATE_UNSPECIFIED } ElementState;
enum { LIMIT_NONE = -1 };

/* A buffer at run time. Its type has numbers for symbols. */
typedef struct View {
  BufType type;
  int64_t limits[TILE_MAX_RANK]; /* elements from the base along each axis, by this type and those it is a view of */
  Region region;
  int64_t start; /* elements from the region's memory to element 0 */
} View;

typedef struct Slot {
  TileType type;
  int64_t index;     /* KIND_INDEX */
  double *elements;  /* KIND_TILE, KIND_FRAG: row after row */
  bool *unspecified; /* one an element */
  View view;         /* KIND_BUF */
} Slot;

typedef void StepFunction(Interp *interp, const Step *step);

struct Step {
  const Op *op;
  StepFunction *execute;
  int64_t work; /* elements computed, at least 1 */
  Slot **operands;
  Slot **results; /* of yield: those of the operation it ends a block of */
  int operand_count, result_count;
  Body *bodies[2];
  Region scratch; /* buf_scratch */
};

struct Body {
  Slot **arguments;
  Step *steps;
  int step_count;
};

struct Interp {
  Arena arena;
  const Kernel *kernel;
  const int64_t *symbols;
  void *workspace;
  int64_t workspace_bytes;
  Diagnostics *faults;
  kiln_status status; /* the first thing but KILN_OK ends the run */
  int64_t task;
  int64_t work, work_limit;
};

/* Reports a fault at the operation (NULL: at the kernel) and ends the run. */
void interp_fault(Interp *interp, const Op *op, const char *format, ...) PRINTF_LIKE(3, 4);
static inline bool interp_failed(const Interp *interp) { return interp->status != KILN_OK; }

/* The body of the kernel and the slots of its buffers; NULL after a fault or without memory. */
Body *interp_plan(Interp *interp, Slot ***buffers);
void interp_body(Interp *interp, const Body *body);

/* The buffer that a type describes in a region, sizes and strides resolved; false after a fault. */
bool interp_view(Interp *interp, const Op *op, const BufType *type, Region region, View *view);

static inline int slot_count(const Slot *slot) { return slot->type.rows * slot->type.cols; }
/* Where element (row, column) is, in a slot that may have one row or one column for all. */
static inline int slot_at(const Slot *slot, int row, int col) {
  return (slot->type.rows == 1 ? 0 : row) * slot->type.cols + (slot->type.cols == 1 ? 0 : col);
}
void slot_copy(Slot *to, const Slot *from); /* an index, tile or fragment */
void slot_unspecify(Slot *slot, int at);    /* with what such an element may well be: NaN, or a high integer */

/* What an operation of this type gives for an exact result: floats rounded, integers wrapped. */
double interp_finish(kiln_type type, double exact);
double interp_wrap(kiln_type type, int64_t exact);
double interp_add(kiln_type type, double x, double y);
double interp_max(double x, double y);
double interp_fma(kiln_type type, double x, double y, double z);

#define TILE_ROW(name, syntax, spelling, operands, result, effect, meaning)                                            \
  void interp_##name(Interp *interp, const Step *step);
#include "ir/tile/ops_rows.h"
#undef TILE_ROW

/* Rows that differ in one argument of a function: interp_<name> is function(step, argument). */
#define INTERP_BY(name, function, argument)                                                                            \
  void interp_##name(Interp *interp, const Step *step) {                                                               \
    (void)interp;                                                                                                      \
    function(step, argument);                                                                                          \
  }

#endif
