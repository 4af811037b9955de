/* pieces.c: see pieces.h. A piece lies along k where rows do in memory, else along m. */
#include "lower/pieces.h"

#include "lower/arm.h"

typedef struct PieceShape {
  bool is_along_k;
  int first, lanes; /* on that axis */
} PieceShape;

/* Most scalars a piece may have: as many as 128 bits hold of the accumulator's type. */
static int most_lanes(const struct PendingLoad *a) { return 128 / (int)type_bits(a->placement->acc); }

/* The piece that position `at` of `count` is in: the largest power of two that fits there. */
static PieceShape shape_at(int at, int count, int most) {
  int lanes = most;
  while (at / lanes * lanes + lanes > count) lanes /= 2;
  return (PieceShape){.first = at / lanes * lanes, .lanes = lanes};
}

static bool is_along(const AddressAxis *axis, int count, int most) {
  if (count < 2) return false;
  for (int at = 0; at < count;) {
    PieceShape shape = shape_at(at, count, most);
    if (!lower_address_is_contiguous(axis, shape.first, shape.lanes)) return false;
    at += shape.lanes;
  }
  return true;
}

static bool is_along_k(const struct PendingLoad *a) {
  return is_along(&a->window.address.cols, a->window.cols, most_lanes(a));
}

static bool is_along_m(const struct PendingLoad *a) {
  const Address *address = &a->window.address;
  return !address->last_row && is_along(&address->rows, a->window.rows, most_lanes(a));
}

bool lower_has_pieces(const Emitter *e, const struct PendingLoad *a) {
  bool has_lanes = e->target->family == FAMILY_AARCH64 && type_is_floating(a->placement->acc);
  bool is_plain = type_bits(a->window.type) >= 8 && !a->window.col_bound.value && !a->window.row_bound.value;
  return has_lanes && is_plain && (is_along_k(a) || is_along_m(a));
}

static PieceShape shape_of(const struct PendingLoad *a, int row, int k) {
  bool along_k = is_along_k(a);
  PieceShape shape =
      along_k ? shape_at(k, a->window.cols, most_lanes(a)) : shape_at(row, a->window.rows, most_lanes(a));
  shape.is_along_k = along_k;
  return shape;
}

static Piece *piece_at(Emitter *e, struct PendingLoad *a, PieceShape shape, int row, int k) {
  if (!a->window.pieces) a->window.pieces = LOWER_ARRAY(e, Piece, a->window.rows * a->window.cols);
  int first_row = shape.is_along_k ? row : shape.first, first_k = shape.is_along_k ? shape.first : k;
  Piece *piece = &a->window.pieces[first_row * a->window.cols + first_k];
  if (piece->vector) return piece;
  LLVMValueRef pointer = lower_address_pointer(e, &a->window.address, first_row, first_k);
  LLVMValueRef vector = lower_load_from(e, &a->window, pointer, shape.lanes);
  piece->vector = lower_convert(e, vector, a->value->type.type, a->placement->acc);
  return piece;
}

/* SVE takes a lane of each 128 bits, so those are repeated. A chunk of f64 is two registers. */
static LLVMValueRef fma_by_lane(Emitter *e, Piece *piece, int lane, LLVMValueRef b, LLVMValueRef sum) {
  if (!piece->repeated) piece->repeated = lower_arm_repeat(e, piece->vector);
  int lanes = lower_lane_count(piece->repeated), mask[64];
  if (lower_lane_count(sum) == lanes) return lower_arm_fma_lane(e, sum, b, piece->repeated, lane);
  LLVMValueRef halves[2];
  for (int i = 0; i < 2; ++i)
    halves[i] = lower_arm_fma_lane(e, lower_part_of(e, sum, i * lanes, lanes), lower_part_of(e, b, i * lanes, lanes),
                                   piece->repeated, lane);
  for (int i = 0; i < 2 * lanes; ++i) mask[i] = i;
  return lower_shuffle(e, halves[0], halves[1], mask, 2 * lanes);
}

LLVMValueRef lower_piece_fma(Emitter *e, struct PendingLoad *a, int row, int k, LLVMValueRef b, LLVMValueRef sum) {
  PieceShape shape = shape_of(a, row, k);
  Piece *piece = piece_at(e, a, shape, row, k);
  int lane = (shape.is_along_k ? k : row) - shape.first, lanes = lower_lane_count(sum);
  int bits = lanes * (int)type_bits(a->placement->acc), whole = e->target->vector_bits;
  if (whole > 128 && (bits == whole || bits == 2 * whole) && shape.lanes == most_lanes(a))
    return fma_by_lane(e, piece, lane, b, sum);
  return lower_fma(e, lower_splat(e, lower_extract(e, piece->vector, lane), lanes), b, sum);
}
