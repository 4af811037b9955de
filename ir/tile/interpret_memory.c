/* interpret_memory.c: buffers and their views, loads and stores.
 *
 * Sizes of a type are checked where an element is accessed, not where a view is made: views are pure, and one that
 * nothing uses may lie anywhere. The padding of panels may be read and written, as packing fills it. */
#include "ir/tile/interpret.h"

#include <stdlib.h>
#include <string.h>

static const int64_t largest_offset = (int64_t)1 << 60; /* sums of two stay in range */

/* ---- views ------------------------------------------------------------------------------------------------------ */

/* Replaces a symbol by its number. */
static bool resolve(Interp *interp, const Op *op, Extent *extent) {
  if (extent->symbol == EXTENT_UNKNOWN) return true;
  *extent = extent_number(extent_value(*extent, interp->symbols));
  if (extent->number >= 0) return true;
  interp_fault(interp, op, "a buffer's size or stride is %lld, expected 0 or more", (long long)extent->number);
  return false;
}

bool interp_view(Interp *interp, const Op *op, const BufType *type, Region region, View *view) {
  *view = (View){.type = *type, .region = region};
  for (int axis = 0; axis < type->rank; axis++) {
    if (!resolve(interp, op, &view->type.dims[axis])) return false;
    if (type->layout == LAYOUT_STRIDED && !resolve(interp, op, &view->type.strides[axis])) return false;
    bool is_known = view->type.dims[axis].symbol == EXTENT_NUMBER;
    view->limits[axis] = is_known ? view->type.dims[axis].number : LIMIT_NONE;
  }
  return true;
}

/* What is left of the axes of `from` behind the indices bounds those of the view; an index that selects nothing on a
 * dropped axis leaves no memory. */
static void inherit_limits(View *view, const View *from, const int64_t *indices) {
  int dropped = from->type.rank - view->type.rank;
  for (int axis = 0; axis < from->type.rank; axis++) {
    if (from->limits[axis] == LIMIT_NONE) continue;
    int64_t left = indices[axis] < 0 || indices[axis] > from->limits[axis] ? 0 : from->limits[axis] - indices[axis];
    if (axis < dropped) {
      if (left == 0) view->region.bytes = 0;
      continue;
    }
    int64_t *limit = &view->limits[axis - dropped];
    if (*limit == LIMIT_NONE || *limit > left) *limit = left;
  }
}

/* How many consecutive elements of an axis a panel buffer pads to; 1 elsewhere. */
static int axis_padding(const BufType *type, int axis) {
  if (!buf_is_panel(type) || axis < type->rank - 2) return 1;
  bool is_row = axis == type->rank - 2;
  return is_row == (type->layout == LAYOUT_ROW_PANEL) ? type->panel : type->group;
}

void interp_buf_view(Interp *interp, const Step *step) {
  const View *from = &step->operands[0]->view;
  View *view = &step->results[0]->view;
  int64_t indices[TILE_MAX_RANK] = {0};
  for (int axis = 0; axis < from->type.rank; axis++) {
    indices[axis] = step->operands[1 + axis]->index;
    int padding = axis_padding(&from->type, axis);
    if (padding == 1 || (indices[axis] >= 0 && indices[axis] % padding == 0)) continue;
    interp_fault(interp, step->op,
                 "begins at %lld along axis %d, expected a multiple of %d, where a panel or group begins",
                 (long long)indices[axis], axis, padding);
    return;
  }
  if (!interp_view(interp, step->op, step->results[0]->type.buf, from->region, view)) return;
  inherit_limits(view, from, indices);
  int64_t offset = buf_offset(&from->type, NULL, indices);
  view->start = from->start + (llabs(offset) < largest_offset ? offset : 0);
  if (llabs(offset) >= largest_offset || llabs(view->start) >= largest_offset) view->region.bytes = view->start = 0;
}

void interp_buf_transpose(Interp *interp, const Step *step) {
  const View *from = &step->operands[0]->view;
  View *view = &step->results[0]->view;
  if (!interp_view(interp, step->op, step->results[0]->type.buf, from->region, view)) return;
  int rank = from->type.rank;
  for (int axis = 0; axis < rank; axis++) {
    int64_t limit = from->limits[axis < rank - 2 ? axis : 2 * rank - 3 - axis];
    if (limit != LIMIT_NONE) view->limits[axis] = limit;
  }
  view->start = from->start;
}

/* Each execution gives memory that nothing is known of. */
void interp_buf_scratch(Interp *interp, const Step *step) {
  const BufType *type = step->results[0]->type.buf;
  if (!interp_view(interp, step->op, type, step->scratch, &step->results[0]->view)) return;
  memset(step->scratch.states, STATE_UNWRITTEN, (size_t)buf_span(type, interp->symbols));
}

void interp_buf_workspace(Interp *interp, const Step *step) {
  const BufType *type = step->results[0]->type.buf;
  int64_t offset = step->operands[0]->index;
  int64_t align = type_bits(type->type) < 8 ? 1 : type_bits(type->type) / 8;
  if (offset % align != 0) {
    interp_fault(interp, step->op, "begins at byte %lld, expected a multiple of %lld", (long long)offset,
                 (long long)align);
    return;
  }
  bool inside = offset >= 0 && offset <= interp->workspace_bytes;
  Region region = {.memory = interp->workspace};
  if (inside && interp->workspace)
    region = (Region){region.memory + offset, interp->workspace_bytes - offset, NULL, true};
  interp_view(interp, step->op, type, region, &step->results[0]->view);
}

/* ---- accesses --------------------------------------------------------------------------------------------------- */

/* The elements of an access that are inside its bounds. */
typedef struct Window {
  const Step *step;
  const Value *buffer;
  const View *view;
  int64_t indices[TILE_MAX_RANK];
  int rows, cols;
} Window;

static int bound(int size, int64_t bound) { return bound < 0 ? 0 : bound < size ? (int)bound : size; }

static const char *buffer_name(const Window *window) { return window->buffer->name ? window->buffer->name : "?"; }

/* Padding counts as part of the buffer. Without a limit only absurd indices are refused here: locate sees the rest. */
static bool check_axis(Interp *interp, const Window *window, int axis, int count) {
  int64_t first = window->indices[axis], limit = window->view->limits[axis];
  int padding = axis_padding(&window->view->type, axis);
  int64_t padded =
      limit == LIMIT_NONE || limit >= largest_offset ? largest_offset : (limit + padding - 1) / padding * padding;
  if (first >= 0 && first <= padded - count) return true;
  if (limit == LIMIT_NONE)
    interp_fault(interp, window->step->op, "index %lld along axis %d of %%%s is out of range", (long long)first, axis,
                 buffer_name(window));
  else
    interp_fault(interp, window->step->op, "touches %lld to %lld along axis %d of %%%s, which has %lld",
                 (long long)first, (long long)((uint64_t)first + (uint64_t)count - 1), axis, buffer_name(window),
                 (long long)limit);
  return false;
}

/* False after a fault. Where a bound leaves nothing, no index is looked at. */
static bool open_window(Interp *interp, const Step *step, int rows, int cols, Window *window) {
  int next = op_stores(step->op->code) ? 1 : 0;
  *window = (Window){.step = step, .buffer = step->op->operands[next], .view = &step->operands[next]->view};
  next++;
  int rank = window->view->type.rank;
  for (int axis = 0; axis < rank; axis++) window->indices[axis] = step->operands[next++]->index;
  window->rows = step->op->has_rows ? bound(rows, step->operands[next++]->index) : rows;
  window->cols = step->op->has_cols ? bound(cols, step->operands[next++]->index) : cols;
  if (window->rows == 0 || window->cols == 0) return true;
  for (int axis = 0; axis < rank; axis++) {
    int count = axis == rank - 1 ? window->cols : axis == rank - 2 ? window->rows : 1;
    if (!check_axis(interp, window, axis, count)) return false;
  }
  return true;
}

/* The offset of an element of the window from the memory of its region; false after a fault. */
static bool locate(Interp *interp, const Window *window, int row, int col, int64_t *at) {
  const View *view = window->view;
  int64_t indices[TILE_MAX_RANK];
  memcpy(indices, window->indices, sizeof indices);
  if (view->type.rank > 1) indices[view->type.rank - 2] += row;
  if (view->type.rank > 0) indices[view->type.rank - 1] += col;
  int64_t offset = buf_offset(&view->type, NULL, indices);
  *at = offset < largest_offset ? view->start + offset : -1;
  bool inside = *at >= 0 && type_bytes(view->type.type, (size_t)*at + 1) <= (size_t)view->region.bytes;
  if (!inside)
    interp_fault(interp, window->step->op, "element (%d, %d) lies outside of the memory of %%%s", row, col,
                 buffer_name(window));
  return inside;
}

static void read_element(Interp *interp, const Window *window, int row, int col, Slot *to, int to_at) {
  const Region *region = &window->view->region;
  int64_t at;
  if (!locate(interp, window, row, col, &at)) return;
  ElementState state = region->states ? (ElementState)region->states[at] : STATE_SPECIFIED;
  if (state == STATE_UNWRITTEN)
    interp_fault(interp, window->step->op, "element (%d, %d) of the scratch buffer %%%s is read before it is written",
                 row, col, buffer_name(window));
  to->elements[to_at] = type_load(window->view->type.type, region->memory, (size_t)at);
  to->unspecified[to_at] = state == STATE_UNSPECIFIED;
}

/* What a kernel gives to others must be specified; what a task keeps to itself may be unspecified where it does not
 * matter in the end. */
static void write_element(Interp *interp, const Window *window, int row, int col, Slot *from, int from_at) {
  const Region *region = &window->view->region;
  int64_t at;
  if (!locate(interp, window, row, col, &at)) return;
  bool is_unspecified = from->unspecified[from_at];
  if (is_unspecified && !region->is_private)
    interp_fault(interp, window->step->op, "element (%d, %d) of the stored value is unspecified", row, col);
  if (is_unspecified) slot_unspecify(from, from_at);
  type_store(window->view->type.type, region->memory, (size_t)at, from->elements[from_at]);
  if (region->states) region->states[at] = is_unspecified ? STATE_UNSPECIFIED : STATE_SPECIFIED;
}

/* Whether an element past the bounds is unspecified, rather than 0: see frag_load. */
static bool is_unspecified_outside(TileType type, bool is_past_rows, bool is_past_cols) {
  if (type.kind != KIND_FRAG) return false;
  return type.role == ROLE_A ? is_past_rows : type.role == ROLE_B ? is_past_cols : true;
}

static void load(Interp *interp, const Step *step) {
  Slot *result = step->results[0];
  Window window;
  if (!open_window(interp, step, result->type.rows, result->type.cols, &window)) return;
  for (int i = 0; i < result->type.rows; i++) {
    for (int j = 0; j < result->type.cols; j++) {
      int at = slot_at(result, i, j);
      bool is_past_rows = i >= window.rows, is_past_cols = j >= window.cols;
      if (is_past_rows || is_past_cols) {
        result->elements[at] = 0;
        result->unspecified[at] = false;
        if (is_unspecified_outside(result->type, is_past_rows, is_past_cols)) slot_unspecify(result, at);
      } else read_element(interp, &window, i, j, result, at);
      if (interp_failed(interp)) return;
    }
  }
}

void interp_tile_load(Interp *interp, const Step *step) { load(interp, step); }

/* Generated code reads the last row within the bound in place of those past it, so an operand `a` needs one (lower.h).
 */
void interp_frag_load(Interp *interp, const Step *step) {
  const Op *op = step->op;
  int64_t rows = op->has_rows ? step->operands[op->operand_count - 1 - (op->has_cols ? 1 : 0)]->index : 1;
  if (step->results[0]->type.role == ROLE_A && rows < 1)
    interp_fault(interp, op, "the bound 'rows' is %lld, expected 1 or more for an operand a", (long long)rows);
  else load(interp, step);
}

static void store(Interp *interp, const Step *step) {
  Slot *value = step->operands[0];
  Window window;
  if (!open_window(interp, step, value->type.rows, value->type.cols, &window)) return;
  for (int i = 0; i < window.rows; i++) {
    for (int j = 0; j < window.cols; j++) {
      write_element(interp, &window, i, j, value, slot_at(value, i, j));
      if (interp_failed(interp)) return;
    }
  }
}

void interp_tile_store(Interp *interp, const Step *step) { store(interp, step); }

void interp_frag_store(Interp *interp, const Step *step) { store(interp, step); }

/* A prefetch touches nothing, wherever it points. */
void interp_prefetch(Interp *interp, const Step *step) { (void)interp, (void)step; }

/* Tasks run one after another here, so plain reading and writing is atomic. */
void interp_atomic_add(Interp *interp, const Step *step) {
  Slot *old = step->results[0];
  Window window;
  if (!open_window(interp, step, 1, 1, &window)) return;
  read_element(interp, &window, 0, 0, old, 0);
  if (interp_failed(interp)) return;
  Slot *value = step->operands[0];
  double sum = interp_add(old->type.type, old->elements[0], value->elements[0]);
  bool is_unspecified = old->unspecified[0] || value->unspecified[0];
  write_element(interp, &window, 0, 0, &(Slot){.type = value->type, .elements = &sum, .unspecified = &is_unspecified},
                0);
}
