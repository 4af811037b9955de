/* interpret_shape.c: tiles that are made, reshaped, reduced, taken apart and looked up, and what fragments add. */
#include "ir/tile/interpret.h"

static void set(Slot *slot, int at, double element, bool is_unspecified) {
  slot->elements[at] = element;
  slot->unspecified[at] = is_unspecified;
}

/* Writes `from` into `to` from (row, col) on. */
static void paste(Slot *to, int row, int col, const Slot *from) {
  for (int i = 0; i < from->type.rows; i++) {
    for (int j = 0; j < from->type.cols; j++) {
      int at = slot_at(from, i, j);
      set(to, slot_at(to, row + i, col + j), from->elements[at], from->unspecified[at]);
    }
  }
}

/* ---- made ------------------------------------------------------------------------------------------------------- */

static void fill(Slot *slot, double element) {
  for (int i = 0; i < slot_count(slot); i++) set(slot, i, element, false);
}

void interp_tile_const(Interp *interp, const Step *step) {
  (void)interp;
  fill(step->results[0], type_round(step->results[0]->type.type, step->op->real));
}

void interp_frag_zero(Interp *interp, const Step *step) {
  (void)interp;
  fill(step->results[0], 0);
}

/* One of rows and columns is 1, so the position in memory is the position along the axis. */
void interp_tile_iota(Interp *interp, const Step *step) {
  (void)interp;
  Slot *result = step->results[0];
  for (int i = 0; i < slot_count(result); i++) set(result, i, type_round(result->type.type, i), false);
}

/* ---- reshaped --------------------------------------------------------------------------------------------------- */

void interp_tile_broadcast(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *x = step->operands[0];
  Slot *result = step->results[0];
  for (int i = 0; i < result->type.rows; i++) {
    for (int j = 0; j < result->type.cols; j++) {
      int at = slot_at(x, i, j);
      set(result, slot_at(result, i, j), x->elements[at], x->unspecified[at]);
    }
  }
}

void interp_tile_transpose(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *x = step->operands[0];
  Slot *result = step->results[0];
  for (int i = 0; i < result->type.rows; i++) {
    for (int j = 0; j < result->type.cols; j++) {
      int at = slot_at(x, j, i);
      set(result, slot_at(result, i, j), x->elements[at], x->unspecified[at]);
    }
  }
}

void interp_tile_slice(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *x = step->operands[0];
  Slot *result = step->results[0];
  for (int i = 0; i < result->type.rows; i++) {
    for (int j = 0; j < result->type.cols; j++) {
      int at = slot_at(x, (int)step->op->number + i, (int)step->op->column + j);
      set(result, slot_at(result, i, j), x->elements[at], x->unspecified[at]);
    }
  }
}

void interp_tile_concat_rows(Interp *interp, const Step *step) {
  (void)interp;
  paste(step->results[0], 0, 0, step->operands[0]);
  paste(step->results[0], step->operands[0]->type.rows, 0, step->operands[1]);
}

void interp_tile_concat_cols(Interp *interp, const Step *step) {
  (void)interp;
  paste(step->results[0], 0, 0, step->operands[0]);
  paste(step->results[0], 0, step->operands[0]->type.cols, step->operands[1]);
}

/* Placement of fragments is the target's affair: here they are tiles. */
void interp_frag_tile(Interp *interp, const Step *step) {
  (void)interp;
  paste(step->results[0], 0, 0, step->operands[0]);
}

void interp_tile_frag(Interp *interp, const Step *step) {
  (void)interp;
  paste(step->results[0], 0, 0, step->operands[0]);
}

/* ---- reduced: from the first element on, rounded at each step ---------------------------------------------------- */

typedef double ReduceFunction(kiln_type type, double x, double y);

static double larger(kiln_type type, double x, double y) {
  (void)type;
  return interp_max(x, y);
}

static void reduce(const Step *step, ReduceFunction *function) {
  const Slot *x = step->operands[0];
  Slot *result = step->results[0];
  for (int i = 0; i < x->type.rows; i++) {
    for (int j = 0; j < x->type.cols; j++) {
      int from = slot_at(x, i, j), to = slot_at(result, i, j);
      bool is_first = (result->type.rows > 1 || i == 0) && (result->type.cols > 1 || j == 0);
      double sum = is_first ? x->elements[from] : function(x->type.type, result->elements[to], x->elements[from]);
      set(result, to, sum, x->unspecified[from] || (!is_first && result->unspecified[to]));
    }
  }
}

INTERP_BY(tile_row_sum, reduce, interp_add)
INTERP_BY(tile_row_max, reduce, larger)
INTERP_BY(tile_col_sum, reduce, interp_add)
INTERP_BY(tile_col_max, reduce, larger)

/* ---- taken apart and looked up ---------------------------------------------------------------------------------- */

/* `shift` 0: the low ones, 4: the high ones. */
static void nibbles(const Step *step, unsigned shift) {
  const Slot *x = step->operands[0];
  Slot *result = step->results[0];
  bool is_signed = type_class(result->type.type) == CLASS_SIGNED;
  for (int i = 0; i < slot_count(result); i++) {
    int nibble = ((int)x->elements[i] & 0xff) >> shift & 0xf;
    set(result, i, is_signed && nibble >= 8 ? nibble - 16 : nibble, x->unspecified[i]);
  }
}

INTERP_BY(tile_low_nibble, nibbles, 0)
INTERP_BY(tile_high_nibble, nibbles, 4)

/* The mask gives the index modulo a power of two, for negative ones too. */
void interp_tile_lookup(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *table = step->operands[0], *index = step->operands[1];
  Slot *result = step->results[0];
  for (int i = 0; i < slot_count(result); i++) {
    int at = (int)index->elements[i] & (table->type.cols - 1);
    set(result, i, table->elements[at], index->unspecified[i] || table->unspecified[at]);
  }
}

/* ---- products --------------------------------------------------------------------------------------------------- */

void interp_tile_dot(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *x = step->operands[1], *y = step->operands[2];
  Slot *sum = step->results[0];
  int group = x->type.cols / sum->type.cols;
  slot_copy(sum, step->operands[0]);
  for (int i = 0; i < slot_count(x); i++) {
    int to = i / group; /* rows have so many times as many, too */
    sum->elements[to] = interp_fma(sum->type.type, x->elements[i], y->elements[i], sum->elements[to]);
    sum->unspecified[to] = sum->unspecified[to] || x->unspecified[i] || y->unspecified[i];
  }
}

/* Operands become the accumulator's type first, which is exact for all types but f64 to f32, and that is no valid
 * product. Rows of b are walked in the innermost loop, so each element of the accumulator still adds with k ascending.
 */
void interp_mma(Interp *interp, const Step *step) {
  (void)interp;
  const Slot *a = step->operands[1], *b = step->operands[2];
  Slot *acc = step->results[0];
  kiln_type type = acc->type.type;
  int n = acc->type.cols;
  slot_copy(acc, step->operands[0]);
  for (int i = 0; i < acc->type.rows; i++) {
    double *sums = acc->elements + i * n;
    bool *is_unspecified = acc->unspecified + i * n;
    for (int k = 0; k < a->type.cols; k++) {
      double x = type_round(type, a->elements[i * a->type.cols + k]);
      bool is_x_unspecified = a->unspecified[i * a->type.cols + k];
      for (int j = 0; j < n; j++) {
        sums[j] = interp_fma(type, x, type_round(type, b->elements[k * n + j]), sums[j]);
        is_unspecified[j] = is_unspecified[j] || is_x_unspecified || b->unspecified[k * n + j];
      }
    }
  }
}

/* Nothing is cut: the most exact of what it may give. */
void interp_mma_tf32(Interp *interp, const Step *step) { interp_mma(interp, step); }
