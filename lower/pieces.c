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

/* Consecutive lanes along k or m. */
typedef struct PieceShape {
  int first, lanes;
} PieceShape;

/* The piece that position `at` of `count` is in: the largest power of two that fits there. */
static PieceShape shape_at(int at, int count, int most) {
  int lanes = most;
  while (at / lanes * lanes + lanes > count) lanes /= 2;
  return (PieceShape){at / lanes * lanes, lanes};
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

static bool has_pieces(const Emitter *e, const struct PendingLoad *a) {
  if (!a || e->target->family != FAMILY_AARCH64) return false;
  const Window *window = &a->window;
  if (group_of(a) > 1 && window->type == KILN_BF16) return false; /* LLVM copies the lane for bfdot */
  bool is_plain = type_bits(window->type) >= 8 && !window->col_bound.value && !window->row_bound.value;
  return is_plain && (is_along(a, true) || is_along(a, false));
}

/* Half pieces, which need fewer registers, are nothing to SVE. */
PieceOrder lower_piece_order(const Emitter *e, const Lowered *a, const Lowered *acc, int spare) {
  const PieceOrder none = {0, 1, false};
  const struct PendingLoad *load = a->pending;
  if (!has_pieces(e, load)) return none;
  bool along_k = is_along(load, true);
  int most = most_lanes(load), rows = acc->type.rows, whole = e->target->vector_bits;
  int bits = (int)type_bits(acc->type.type), chunk = (e->lanes * bits + whole - 1) / whole; /* in registers */
  int row = (acc->type.cols * bits + whole - 1) / whole;
  int left = e->target->vector_registers - rows * row - spare * chunk;
  int if_stays = (along_k ? rows : (rows + most - 1) / most) + chunk;
  int steps = along_k ? most : 1, if_passes = steps * row + 1;
  if (if_stays <= if_passes && if_stays <= left) return (PieceOrder){most, 1, true};
  if (if_passes <= left) return (PieceOrder){most, steps, false};
  bool halves_fit = along_k && whole == PIECE_BITS && most > 2 && if_passes / 2 + 1 <= left;
  return halves_fit ? (PieceOrder){most / 2, most / 2, false} : none;
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

Piece lower_piece_of_a(Emitter *e, const Lowered *a, PieceOrder order, int row, int at) {
  struct PendingLoad *load = a->pending;
  bool along_k = is_along(load, true);
  PieceShape shape =
      along_k ? shape_at(at, lanes_along_k(load), order.lanes) : shape_at(row, load->window.rows, order.lanes);
  int lane = (along_k ? at : row) - shape.first;
  if (along_k) at = shape.first;
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

LLVMValueRef lower_piece_fma(Emitter *e, Piece piece, LLVMValueRef b, LLVMValueRef sum) {
  bool is_f64 = lower_element_of(sum) == e->f64, is_real = is_f64 || lower_element_of(sum) == e->f32;
  int lanes = lower_lane_count(sum), lane_bits = is_f64 ? 64 : 32, whole = e->target->vector_bits;
  bool fills = lanes * lane_bits == whole || lanes * lane_bits == 2 * whole;
  if (whole > PIECE_BITS && fills && is_real && lower_lane_count(piece.vector) * lane_bits == PIECE_BITS)
    return fma_by_lane(e, piece, b, sum);
  return lower_fma(e, lower_splat(e, lower_extract(e, piece.vector, piece.lane), lanes), b, sum);
}
