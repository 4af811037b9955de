/* pieces.c: see pieces.h. A piece lies along k where rows do in memory, else along m. */
#include "lower/pieces.h"

#include "lower/arm.h"

enum { PIECE_BITS = 128 };

static int group_of(const struct PendingLoad *a) {
  return a->placement->strategy == &mma_dot ? lower_group_of(a->placement->instruction, ROLE_A) : 1;
}

static int most_lanes(const struct PendingLoad *a) {
  int group = group_of(a);
  return PIECE_BITS / (int)(group > 1 ? (unsigned)group * type_bits(a->window.type) : type_bits(a->placement->acc));
}

static int lanes_along_k(const struct PendingLoad *a) { return a->window.cols / group_of(a); }

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

typedef struct PieceShape {
  bool is_along_k;
  int first, lanes; /* on that axis */
} PieceShape;

/* The piece that position `at` of `count` is in: the largest power of two that fits there. */
static PieceShape shape_at(int at, int count, int most) {
  int lanes = most;
  while (at / lanes * lanes + lanes > count) lanes /= 2;
  return (PieceShape){.first = at / lanes * lanes, .lanes = lanes};
}

/* Whether all pieces along k, or along m, are pieces of memory too. */
static bool is_along(const struct PendingLoad *a, bool along_k) {
  const Address *address = &a->window.address;
  int group = group_of(a), count = along_k ? lanes_along_k(a) : a->window.rows;
  if (count < 2 || (!along_k && address->last_row)) return false;
  for (int at = 0; at < count;) {
    PieceShape shape = shape_at(at, count, most_lanes(a));
    bool is_whole = along_k ? lower_address_is_contiguous(&address->cols, shape.first * group, shape.lanes * group)
                            : lower_address_is_grouped(&address->rows, shape.first, shape.lanes, group);
    if (!is_whole) return false;
    at += shape.lanes;
  }
  return along_k || group == 1 || lower_address_is_contiguous(&address->cols, 0, group);
}

static PieceShape shape_of(const struct PendingLoad *a, int row, int at) {
  bool along_k = is_along(a, true);
  PieceShape shape =
      along_k ? shape_at(at, lanes_along_k(a), most_lanes(a)) : shape_at(row, a->window.rows, most_lanes(a));
  shape.is_along_k = along_k;
  return shape;
}

bool lower_has_pieces(const Emitter *e, const Lowered *a) {
  const struct PendingLoad *load = a->pending;
  if (!load || e->target->family != FAMILY_AARCH64) return false;
  const Window *window = &load->window;
  bool is_plain = type_bits(window->type) >= 8 && !window->col_bound.value && !window->row_bound.value;
  return is_plain && (is_along(load, true) || is_along(load, false));
}

/* ---- loads ------------------------------------------------------------------------------------------------------- */

static LLVMValueRef load_piece(Emitter *e, struct PendingLoad *a, int row, int at, int lanes) {
  int group = group_of(a);
  kiln_type type = a->value->type.type;
  LLVMValueRef pointer = lower_address_pointer(e, &a->window.address, row, at * group);
  if (group == 1) return lower_convert(e, lower_load_from(e, &a->window, pointer, lanes), type, a->placement->acc);
  LLVMTypeRef vector = lower_lanes_of(lower_group_type(e, type, group), lanes);
  LLVMValueRef value = LLVMBuildLoad2(e->builder, vector, pointer, "");
  LLVMSetAlignment(value, type_bits(type) / 8);
  return value;
}

Piece lower_piece_of_a(Emitter *e, const Lowered *a, int row, int at) {
  struct PendingLoad *load = a->pending;
  PieceShape shape = shape_of(load, row, at);
  int lane = (shape.is_along_k ? at : row) - shape.first;
  if (shape.is_along_k) at = shape.first;
  else row = shape.first;
  if (!load->window.pieces) load->window.pieces = LOWER_ARRAY(e, LLVMValueRef, load->window.rows * load->window.cols);
  LLVMValueRef *vector = &load->window.pieces[row * load->window.cols + at];
  if (!*vector) *vector = load_piece(e, load, row, at, shape.lanes);
  return (Piece){*vector, lane};
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* SVE takes a lane of each 128 bits, so those are repeated. A chunk of f64 is two registers. */
static LLVMValueRef fma_by_lane(Emitter *e, Piece piece, LLVMValueRef b, LLVMValueRef sum) {
  LLVMValueRef repeated = lower_arm_repeat(e, piece.vector), halves[2];
  int lanes = lower_lane_count(repeated), mask[64];
  if (lower_lane_count(sum) == lanes) return lower_arm_fma_lane(e, sum, b, repeated, piece.lane);
  for (int i = 0; i < 2; ++i)
    halves[i] = lower_arm_fma_lane(e, lower_part_of(e, sum, i * lanes, lanes), lower_part_of(e, b, i * lanes, lanes),
                                   repeated, piece.lane);
  for (int i = 0; i < 2 * lanes; ++i) mask[i] = i;
  return lower_shuffle(e, halves[0], halves[1], mask, 2 * lanes);
}

LLVMValueRef lower_piece_fma(Emitter *e, const Lowered *a, int row, int k, LLVMValueRef b, LLVMValueRef sum) {
  Piece piece = lower_piece_of_a(e, a, row, k);
  kiln_type acc = a->pending->placement->acc;
  int lanes = lower_lane_count(sum), bits = lanes * (int)type_bits(acc), whole = e->target->vector_bits;
  bool is_whole = lower_lane_count(piece.vector) * (int)type_bits(acc) == PIECE_BITS;
  if (whole > PIECE_BITS && (bits == whole || bits == 2 * whole) && is_whole && type_is_floating(acc))
    return fma_by_lane(e, piece, b, sum);
  return lower_fma(e, lower_splat(e, lower_extract(e, piece.vector, piece.lane), lanes), b, sum);
}
