/* access_fours.c: transposes of 32-bit elements to and from memory by blocks of four by four. Only lanes within a block
 * change places in registers; blocks find theirs as pieces of four elements in memory, which processors load and store
 * as well as whole vectors. A shuffle costs LLVM some 50 us to select, so half of them is most of a packing loop's
 * compile time (8 x 16: 3.7 to 1.6 ms; bench/results/jit-passes.md), at the same speed. */
#include "lower/access.h"

enum { FOUR = 4 };

/* Whether the window, whose memory runs along its rows and which was turned for that, is of whole fours. */
static bool is_of_fours(const Emitter *e, const Window *turned) {
  bool is_even = turned->cols % FOUR == 0 && turned->rows % FOUR == 0 && !turned->col_bound.value;
  bool has_place = turned->address.cols.block == 0 || turned->address.cols.block % FOUR == 0;
  return is_even && has_place && type_bits(turned->type) == 32 && turned->unit == 1 && e->lanes % FOUR == 0;
}

static LLVMValueRef piece_of_lanes(Emitter *e, LLVMValueRef x, int block) {
  return lower_lane_count(x) == FOUR ? x : lower_part_of(e, x, block * FOUR, FOUR);
}

void lower_turn_fours(Emitter *e, PieceFunction *piece, void *from, int rows, int cols, LLVMValueRef *out) {
  int chunks = lower_chunks(e, rows);
  for (int i = 0; i < chunks * (cols / FOUR); ++i) {
    int chunk = i % chunks, col = i / chunks * FOUR, blocks = lower_chunk_lanes(e, rows, chunk) / FOUR;
    LLVMValueRef turned[FOUR], pieces[16] = {NULL};
    for (int r = 0; r < FOUR; ++r) {
      for (int b = 0; b < blocks; ++b) pieces[b] = piece(e, from, chunk * e->lanes + b * FOUR + r, col);
      turned[r] = lower_concat(e, pieces, blocks);
    }
    lower_transpose_fours(e, turned, FOUR, blocks * FOUR);
    for (int r = 0; r < FOUR; ++r) out[(col + r) * chunks + chunk] = turned[r];
  }
}

bool lower_turns_in_fours(const Emitter *e, int rows, int cols) {
  for (int c = 0; c < lower_chunks(e, rows); ++c)
    if (lower_chunk_valid(e, rows, c) != lower_chunk_lanes(e, rows, c)) return false;
  return rows % FOUR == 0 && cols % FOUR == 0 && e->lanes % FOUR == 0;
}

/* ---- loads ------------------------------------------------------------------------------------------------------- */

bool lower_can_load_fours(const Emitter *e, const Window *turned) {
  bool is_flat = turned->address.cols.block == 0 && turned->cols * 4 <= LOWER_ZERO_BYTES;
  return is_of_fours(e, turned) && lower_turns_in_fours(e, turned->rows, turned->cols) &&
         (is_flat || !turned->row_bound.value);
}

/* Zeros where the row is outside. */
static LLVMValueRef load_piece(Emitter *e, void *from, int row, int col) {
  Window *turned = from;
  LLVMValueRef pointer = turned->row_bound.value ? lower_chunk_pointer(e, turned, row, 0)
                                                 : lower_address_pointer(e, &turned->address, row, col);
  LLVMValueRef offset = lower_i64(e, col * 4);
  if (turned->row_bound.value && col > 0) pointer = LLVMBuildGEP2(e->builder, e->i8, pointer, &offset, 1, "");
  return lower_load_from(e, turned, pointer, FOUR);
}

void lower_load_fours(Emitter *e, Window *turned, LLVMValueRef *parts) {
  lower_turn_fours(e, load_piece, turned, turned->rows, turned->cols, parts);
}

/* ---- stores ------------------------------------------------------------------------------------------------------ */

/* Rows as long as a vector are better stored whole: four times the stores took packing of 128 x 4096 x 4096, B turned,
 * 4 % of the product's time. */
bool lower_can_store_fours(const Emitter *e, const Window *turned) {
  bool is_short = turned->cols < e->lanes;
  return is_short && is_of_fours(e, turned) && !turned->row_bound.value && turned->rows > FOUR;
}

void lower_store_fours(Emitter *e, Window *turned, const LLVMValueRef *parts) {
  int chunks = lower_chunks(e, turned->rows);
  for (int i = 0; i < chunks * (turned->cols / FOUR); ++i) {
    int chunk = i % chunks, col = i / chunks * FOUR, lanes = lower_chunk_lanes(e, turned->rows, chunk);
    LLVMValueRef rows[FOUR];
    for (int r = 0; r < FOUR; ++r) rows[r] = parts[(col + r) * chunks + chunk];
    lower_transpose_fours(e, rows, FOUR, lanes);
    for (int j = 0; j < lower_chunk_valid(e, turned->rows, chunk); ++j) {
      LLVMValueRef pointer = lower_address_pointer(e, &turned->address, chunk * e->lanes + j, col);
      lower_store_to(e, turned, pointer, piece_of_lanes(e, rows[j % FOUR], j / FOUR));
    }
  }
}
