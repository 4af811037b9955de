/* nibbles.c: loads and stores of i4 and u4, two a byte, the even element low.
 *
 * Where rows begin at even elements, bytes are loaded as vectors and taken apart, or put together. Elsewhere each
 * element finds its byte and shift at run time. A store that covers half a byte reads the byte first and keeps the
 * other half, so two tasks must not share a byte. */
#include "lower/access.h"

static bool is_by_bytes(const Window *window) {
  const AddressAxis *axis = &window->address.cols;
  bool is_dense = axis->exists && axis->block == 0 && !axis->stride && axis->number == 1;
  return is_dense && window->cols > 1 && lower_address_is_even(&window->address, window->rows);
}

/* ---- single elements --------------------------------------------------------------------------------------------- */

typedef struct NibblePlace {
  LLVMValueRef pointer, shift; /* of its byte; i8 */
} NibblePlace;

static NibblePlace find_nibble(Emitter *e, Window *window, int row, int col) {
  LLVMValueRef offset = lower_address_offset(e, &window->address, row, col);
  LLVMValueRef byte = LLVMBuildAShr(e->builder, offset, lower_i64(e, 1), "");
  LLVMValueRef odd =
      LLVMBuildAnd(e->builder, LLVMBuildTrunc(e->builder, offset, e->i8, ""), LLVMConstInt(e->i8, 1, false), "");
  return (NibblePlace){LLVMBuildGEP2(e->builder, e->i8, window->address.base, &byte, 1, ""),
                       LLVMBuildShl(e->builder, odd, LLVMConstInt(e->i8, 2, false), "")};
}

LLVMValueRef lower_load_nibble(Emitter *e, Window *window, int row, int col) {
  NibblePlace place = find_nibble(e, window, row, col);
  LLVMValueRef condition = lower_element_condition(e, window, row, col);
  if (condition) place.pointer = lower_pointer_if(e, condition, place.pointer, lower_zeros(e));
  LLVMValueRef byte = lower_load_from(e, window, place.pointer, 1);
  return lower_extend_nibble(e, LLVMBuildLShr(e->builder, byte, place.shift, ""), window->type);
}

static void store_nibble(Emitter *e, Window *window, int row, int col, LLVMValueRef value) {
  NibblePlace place = find_nibble(e, window, row, col);
  LLVMValueRef condition = lower_is_below(e, window->col_bound, col);
  if (condition) place.pointer = lower_pointer_if(e, condition, place.pointer, lower_sink(e));
  LLVMValueRef low_bits = LLVMConstInt(e->i8, 15, false);
  LLVMValueRef mask = LLVMBuildShl(e->builder, low_bits, place.shift, "");
  LLVMValueRef nibble = LLVMBuildShl(e->builder, LLVMBuildAnd(e->builder, value, low_bits, ""), place.shift, "");
  LLVMValueRef old = lower_load_from(e, window, place.pointer, 1);
  LLVMValueRef kept = LLVMBuildAnd(e->builder, old, LLVMBuildNot(e->builder, mask, ""), "");
  lower_store_to(e, window, place.pointer, LLVMBuildOr(e->builder, kept, nibble, ""));
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

/* The bytes of a chunk; those without an element inside of the bounds are 0. */
static LLVMValueRef load_bytes(Emitter *e, Window *window, int row, int chunk, LLVMValueRef mask) {
  int valid = lower_chunk_valid(e, window->cols, chunk), lanes = lower_chunk_lanes(e, window->cols, chunk);
  LLVMValueRef pointer = lower_chunk_pointer(e, window, row, chunk);
  if (!mask) return lower_load_from(e, window, pointer, lanes / 2);
  int even[32];
  for (int i = 0; i < lanes / 2; ++i) even[i] = 2 * i;
  LLVMValueRef bytes_mask = lower_shuffle(e, mask, NULL, even, lanes / 2);
  if (lanes > 2 && lower_has_masked_access(e, window->type)) return lower_load_masked(e, window, pointer, bytes_mask);
  LLVMValueRef bytes = LLVMGetPoison(lower_lanes_of(e->i8, lanes / 2));
  for (int i = 0; i < (valid + 1) / 2; ++i) {
    LLVMValueRef offset = lower_i64(e, i);
    LLVMValueRef at = LLVMBuildGEP2(e->builder, e->i8, pointer, &offset, 1, "");
    at = lower_pointer_if(e, lower_extract(e, bytes_mask, i), at, lower_zeros(e));
    bytes = lower_insert(e, bytes, lower_load_from(e, window, at, 1), i);
  }
  return bytes;
}

static LLVMValueRef interleave(Emitter *e, LLVMValueRef even, LLVMValueRef odd, int lanes) {
  LaneSource pair[] = {{even, 0}, {odd, 0}};
  if (lanes == 2) return lower_collect(e, e->i8, pair, lanes); /* of scalars */
  int order[64];
  for (int i = 0; i < lanes; ++i) order[i] = i / 2 + (i % 2) * (lanes / 2);
  return lower_shuffle(e, even, odd, order, lanes);
}

static LLVMValueRef load_chunk(Emitter *e, Window *window, int row, int chunk) {
  int lanes = lower_chunk_lanes(e, window->cols, chunk);
  LLVMValueRef mask = lower_chunk_mask(e, window, chunk);
  LLVMValueRef bytes = load_bytes(e, window, row, chunk, mask);
  LLVMTypeRef type = LLVMTypeOf(bytes);
  LLVMValueRef low = LLVMBuildAnd(e->builder, bytes, lower_splat_integer(type, 15), "");
  LLVMValueRef high = LLVMBuildLShr(e->builder, bytes, lower_splat_integer(type, 4), "");
  LLVMValueRef nibbles = lower_extend_nibble(e, interleave(e, low, high, lanes), window->type);
  return mask ? LLVMBuildSelect(e->builder, mask, nibbles, LLVMConstNull(LLVMTypeOf(nibbles)), "") : nibbles;
}

static LLVMValueRef load_by_elements(Emitter *e, Window *window, int row, int chunk) {
  int lanes = lower_chunk_lanes(e, window->cols, chunk);
  if (lanes == 1) return lower_load_nibble(e, window, row, 0);
  LLVMValueRef vector = LLVMGetPoison(LLVMVectorType(e->i8, (unsigned)lanes));
  for (int i = 0; i < lower_chunk_valid(e, window->cols, chunk); ++i)
    vector = lower_insert(e, vector, lower_load_nibble(e, window, row, chunk * e->lanes + i), i);
  return vector;
}

void lower_load_nibbles(Emitter *e, Window *window, LLVMValueRef *parts) {
  int chunks = lower_chunks(e, window->cols);
  bool by_bytes = is_by_bytes(window);
  for (int i = 0; i < window->rows * chunks; ++i)
    parts[i] =
        by_bytes ? load_chunk(e, window, i / chunks, i % chunks) : load_by_elements(e, window, i / chunks, i % chunks);
}

void lower_store_nibbles(Emitter *e, Window *window, int row, int chunk, LLVMValueRef value) {
  int lanes = lower_chunk_lanes(e, window->cols, chunk), valid = lower_chunk_valid(e, window->cols, chunk);
  if (lanes > 1 && lanes == valid && !window->col_bound.value && is_by_bytes(window)) {
    int even[32], odd[32];
    for (int i = 0; i < lanes / 2; ++i) even[i] = 2 * i, odd[i] = 2 * i + 1;
    LLVMValueRef low = lower_shuffle(e, value, NULL, even, lanes / 2),
                 high = lower_shuffle(e, value, NULL, odd, lanes / 2);
    LLVMTypeRef type = LLVMTypeOf(low);
    low = LLVMBuildAnd(e->builder, low, lower_splat_integer(type, 15), "");
    high = LLVMBuildShl(e->builder, high, lower_splat_integer(type, 4), "");
    LLVMValueRef pointer = lower_address_pointer(e, &window->address, row, chunk * e->lanes);
    lower_store_to(e, window, pointer, LLVMBuildOr(e->builder, low, high, ""));
    return;
  }
  for (int i = 0; i < valid; ++i) store_nibble(e, window, row, chunk * e->lanes + i, lower_extract(e, value, i));
}
