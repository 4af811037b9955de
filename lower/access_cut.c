/* access_cut.c: accesses with a column bound where the target has no masked ones, or slow ones. A bound that cuts
 * nothing off, as nearly all do, costs one branch to whole vectors. One that cuts is rare: then a loop copies the
 * elements to be loaded to stack memory full of zeros, which takes less code than choosing for each of them, and stores
 * go by masks or elements. */
#include "lower/access.h"

bool lower_can_load_cut(Emitter *e, const Window *window) {
  const Address *address = &window->address;
  return window->cols > 1 && window->col_bound.value && !lower_has_masked_access(e, window->type) &&
         lower_address_is_grouped(&address->cols, 0, window->cols, window->unit) && !address->last_row &&
         lower_address_distance(e, &address->rows, 0, window->rows) != NULL;
}

/* ---- the copy ---------------------------------------------------------------------------------------------------- */

/* Bytes of a row of whole chunks. */
static int64_t row_bytes(const Emitter *e, const Window *window) {
  int last = lower_chunks(e, window->cols) - 1;
  return (int64_t)(last * e->lanes + lower_chunk_lanes(e, window->cols, last)) * (int64_t)type_bits(window->type) / 8;
}

static LLVMValueRef chunk_place(Emitter *e, const Window *window, LLVMValueRef stage, int row, int chunk) {
  int64_t bytes = (int64_t)type_bits(window->type) / 8;
  return lower_step(e, e->i8, stage, lower_i64(e, row * row_bytes(e, window) + (int64_t)chunk * e->lanes * bytes));
}

/* 0 … most of the bound; the builder stands where it is known. */
static LLVMValueRef clamped(Emitter *e, Bound bound, int most) {
  if (!bound.value) return lower_i64(e, most);
  return lower_max(e, lower_min(e, bound.value, lower_i64(e, most)), lower_i64(e, 0));
}

static void copy_elements(Emitter *e, Window *window, LLVMValueRef stage) {
  int64_t bytes = (int64_t)type_bits(window->type) / 8, unit = bytes / window->unit;
  LLVMValueRef rows = clamped(e, window->row_bound, window->rows), cols = clamped(e, window->col_bound, window->cols);
  LLVMValueRef distance = lower_address_distance(e, &window->address.rows, 0, window->rows);
  LLVMValueRef first = lower_address_pointer(e, &window->address, 0, 0);
  LLVMBasicBlockRef some = LLVMAppendBasicBlockInContext(e->context, e->function, "cut.some");
  LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(e->context, e->function, "cut.done");
  LLVMValueRef least = lower_min(e, rows, cols);
  LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSGT, least, lower_i64(e, 0), ""), some, done);
  LLVMPositionBuilderAtEnd(e->builder, some);
  Counting over_rows = lower_count(e);
  LLVMValueRef from =
      lower_step(e, e->i8, first, lower_mul(e, over_rows.index, lower_mul(e, distance, lower_i64(e, unit))));
  LLVMValueRef to = lower_step(e, e->i8, stage, lower_mul(e, over_rows.index, lower_i64(e, row_bytes(e, window))));
  Counting over_cols = lower_count(e);
  LLVMValueRef offset = lower_mul(e, over_cols.index, lower_i64(e, bytes));
  LLVMValueRef element = lower_load_from(e, window, lower_step(e, e->i8, from, offset), 1);
  lower_store_to(e, window, lower_step(e, e->i8, to, offset), element);
  lower_count_to(e, over_cols, cols, NULL);
  lower_count_to(e, over_rows, rows, done);
}

static void load_by_copy(Emitter *e, Window *window, LLVMValueRef *parts) {
  int chunks = lower_chunks(e, window->cols);
  LLVMValueRef stage = lower_stage(e, window->rows * row_bytes(e, window));
  for (int i = 0; i < window->rows * chunks; ++i) {
    LLVMTypeRef type = lower_lanes_of(window->memory, lower_chunk_lanes(e, window->cols, i % chunks));
    lower_store_to(e, window, chunk_place(e, window, stage, i / chunks, i % chunks), LLVMConstNull(type));
  }
  copy_elements(e, window, stage);
  for (int i = 0; i < window->rows * chunks; ++i) {
    LLVMValueRef place = chunk_place(e, window, stage, i / chunks, i % chunks);
    LLVMValueRef part = lower_load_from(e, window, place, lower_chunk_lanes(e, window->cols, i % chunks));
    parts[i] = lower_from_memory(e, window->type, part);
  }
}

/* ---- two ways ---------------------------------------------------------------------------------------------------- */

void lower_load_cut(Emitter *e, Window *window, LLVMValueRef *parts) {
  int count = window->rows * lower_chunks(e, window->cols);
  LLVMBasicBlockRef whole = LLVMAppendBasicBlockInContext(e->context, e->function, "load.whole");
  LLVMBasicBlockRef cut = LLVMAppendBasicBlockInContext(e->context, e->function, "load.cut");
  LLVMBasicBlockRef loaded = LLVMAppendBasicBlockInContext(e->context, e->function, "loaded");
  Window in_whole = lower_window_fork(e, window), in_cut = lower_window_fork(e, window);
  in_whole.col_bound.value = NULL;
  LLVMBuildCondBr(e->builder, lower_is_below(e, window->col_bound, window->cols - 1), whole, cut);
  LLVMPositionBuilderAtEnd(e->builder, whole);
  lower_load_rows(e, &in_whole, parts);
  LLVMBasicBlockRef ends[] = {LLVMGetInsertBlock(e->builder), NULL};
  LLVMBuildBr(e->builder, loaded);
  LLVMPositionBuilderAtEnd(e->builder, cut);
  LLVMValueRef *copied = LOWER_ARRAY(e, LLVMValueRef, count);
  load_by_copy(e, &in_cut, copied);
  ends[1] = LLVMGetInsertBlock(e->builder);
  LLVMBuildBr(e->builder, loaded);
  LLVMPositionBuilderAtEnd(e->builder, loaded);
  for (int i = 0; i < count; ++i) {
    LLVMValueRef values[] = {parts[i], copied[i]};
    parts[i] = LLVMBuildPhi(e->builder, LLVMTypeOf(values[0]), "");
    LLVMAddIncoming(parts[i], values, ends, 2);
  }
}

/* ---- stores ------------------------------------------------------------------------------------------------------ */

/* AVX2's masked stores take 15 cycles each on Zen 3, whatever the mask (f32 of 2048 x 513 x 13, most tiles of which are
 * whole: 783 us by masks, 370 by this branch). */
static bool has_free_masks(const Emitter *e, kiln_type type) {
  bool is_by_avx2 = e->target->family == FAMILY_X86_64 && !target_has(e->target, FEATURE_AVX512VL);
  return lower_has_masked_access(e, type) && !is_by_avx2;
}

bool lower_can_store_whole(const Emitter *e, const Window *window) {
  return window->col_bound.value && window->cols > 1 && !has_free_masks(e, window->type) &&
         lower_window_is_direct(e, window);
}

void lower_store_whole_or(Emitter *e, Window *whole, LLVMValueRef is_whole, Window *cut, const LLVMValueRef *parts) {
  LLVMBasicBlockRef starts[] = {LLVMAppendBasicBlockInContext(e->context, e->function, "store.whole"),
                                LLVMAppendBasicBlockInContext(e->context, e->function, "store.cut")};
  LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(e->context, e->function, "store.done");
  Window ways[] = {lower_window_fork(e, whole), lower_window_fork(e, cut)};
  LLVMBuildCondBr(e->builder, is_whole, starts[0], starts[1]);
  ways[0].col_bound = (Bound){0};
  for (int i = 0; i < 2; ++i) {
    LLVMPositionBuilderAtEnd(e->builder, starts[i]);
    bool is_again = i == 1 && whole->passes_caches && lower_can_store_whole(e, cut);
    if (is_again) lower_store_cut(e, &ways[i], parts);
    else lower_store_rows(e, &ways[i], parts);
    LLVMBuildBr(e->builder, done);
  }
  LLVMPositionBuilderAtEnd(e->builder, done);
}

void lower_store_cut(Emitter *e, Window *window, const LLVMValueRef *parts) {
  lower_store_whole_or(e, window, lower_is_below(e, window->col_bound, window->cols - 1), window, parts);
}
