/* access_streamed.c: stores past the caches. The processor wants whole vectors at multiples of their size, which nobody
 * promises of a caller's buffer: so code asks, once a tile, and stores as usual what does not lie so or is cut by a
 * bound. Such stores may be seen by other threads in any order: a kernel that has some ends with a fence. */
#include "lower/access.h"

#include <string.h>

enum { LEAST_BYTES = 16, MOST_BYTES = 64 }; /* of such a store */

static int64_t chunk_bytes(const Emitter *e, const Window *window) {
  return (int64_t)e->lanes * (int64_t)type_bits(window->type) / 8;
}

bool lower_can_stream(Emitter *e, const Window *window) {
  bool has_such = e->target->family == FAMILY_X86_64;
  bool is_whole = window->cols % e->lanes == 0 && lower_window_is_direct(e, window);
  bool is_regular = window->rows == 1 || lower_address_distance(e, &window->address.rows, 0, window->rows) != NULL;
  return has_such && is_whole && is_regular && chunk_bytes(e, window) >= LEAST_BYTES;
}

void lower_store_past_caches(Emitter *e, const Window *window, LLVMValueRef pointer, LLVMValueRef value) {
  LLVMValueRef store = LLVMBuildStore(e->builder, value, pointer);
  int64_t bytes = chunk_bytes(e, window);
  LLVMSetAlignment(store, (unsigned)(bytes < MOST_BYTES ? bytes : MOST_BYTES));
  LLVMMetadataRef one = LLVMValueAsMetadata(lower_i32(e, 1));
  LLVMValueRef node = LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, &one, 1));
  LLVMSetMetadata(store, LLVMGetMDKindIDInContext(e->context, "nontemporal", strlen("nontemporal")), node);
  e->needs_fence = true;
}

/* i1: whether rows begin at multiples of a vector, and no column is missing. */
static LLVMValueRef is_aligned_and_whole(Emitter *e, Window *window) {
  int64_t bytes = chunk_bytes(e, window), element = (int64_t)type_bits(window->type) / 8;
  LLVMValueRef first = lower_address_pointer(e, &window->address, 0, 0);
  LLVMValueRef places = LLVMBuildPtrToInt(e->builder, first, e->i64, "");
  if (window->rows > 1) {
    LLVMValueRef distance = lower_address_distance(e, &window->address.rows, 0, window->rows);
    LLVMValueRef apart = lower_mul(e, distance, lower_i64(e, element));
    places = LLVMBuildOr(e->builder, places, apart, "");
  }
  LLVMValueRef rest = LLVMBuildAnd(e->builder, places, lower_i64(e, (bytes < MOST_BYTES ? bytes : MOST_BYTES) - 1), "");
  LLVMValueRef is_aligned = LLVMBuildICmp(e->builder, LLVMIntEQ, rest, lower_i64(e, 0), "");
  LLVMValueRef is_whole = lower_is_below(e, window->col_bound, window->cols - 1);
  return is_whole ? LLVMBuildAnd(e->builder, is_aligned, is_whole, "") : is_aligned;
}

void lower_store_streamed(Emitter *e, Window *window, const LLVMValueRef *parts) {
  LLVMValueRef is_streamed = is_aligned_and_whole(e, window);
  Window whole = lower_window_fork(e, window);
  whole.passes_caches = true;
  lower_store_whole_or(e, &whole, is_streamed, window, parts);
}
