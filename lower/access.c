/* access.c: see access.h. Columns that lie one after another are loaded as vectors; where rows do, the transpose is,
 * and turned in registers; any other layout goes element by element. */
#include "lower/access.h"

/* ---- windows ----------------------------------------------------------------------------------------------------- */

/* A bound that cuts nothing off is none. */
static Bound bound_of(const Emitter *e, const Value *value, int count) {
  if (value == NULL) return (Bound){0};
  const Lowered *lowered = lower_get(e, value);
  int64_t number;
  int64_t least = lower_is_integer(lowered->parts[0], &number) ? number : lower_least(e, lowered->parts[0]);
  return least >= count ? (Bound){0} : (Bound){lowered->parts[0], lowered->depth, least};
}

void lower_window_forget(Emitter *e, Window *window) {
  window->masks = LOWER_ARRAY(e, LLVMValueRef, lower_chunks(e, window->cols));
  window->row_conditions = LOWER_ARRAY(e, LLVMValueRef, window->rows);
  window->row_pointers = LOWER_ARRAY(e, LLVMValueRef, window->rows);
  window->limit = NULL;
}

Window lower_window(Emitter *e, const Op *op, TileType type) {
  Access access = access_of(op);
  Window window = {.type = access.buffer->type.buf->type, .unit = 1, .rows = type.rows, .cols = type.cols};
  window.address = lower_address(e, &access, type.rows);
  window.memory = window.address.memory;
  window.row_bound = bound_of(e, access.rows, type.rows);
  window.col_bound = bound_of(e, access.cols, type.cols);
  lower_window_forget(e, &window);
  return window;
}

void lower_window_repeat_last_row(Emitter *e, Window *window) {
  const AddressAxis *rows = &window->address.rows;
  if (!rows->index && window->rows <= rows->block) window->row_bound.value = NULL; /* in one panel: padding will do */
  if (!window->row_bound.value) return;
  Spot back = lower_go(e, window->row_bound.depth);
  window->address.last_row = lower_sub(e, window->row_bound.value, lower_i64(e, 1));
  window->address.last_row_depth = window->row_bound.depth;
  lower_back(e, back);
  window->row_bound.value = NULL;
}

Window lower_window_fork(Emitter *e, Window *window) {
  Window fork = *window;
  fork.address = lower_address_fork(e, &window->address);
  lower_window_forget(e, &fork);
  return fork;
}

Window lower_window_transposed(Emitter *e, const Window *window) {
  Window result = *window;
  result.rows = window->cols;
  result.cols = window->rows;
  result.row_bound = window->col_bound;
  result.col_bound = window->row_bound;
  lower_address_swap(e, &result.address, result.rows);
  lower_window_forget(e, &result);
  return result;
}

static bool is_direct(const Emitter *e, const AddressAxis *axis, int cols, int unit) {
  for (int c = 0; c < lower_chunks(e, cols); ++c)
    if (!lower_address_is_grouped(axis, c * e->lanes, lower_chunk_valid(e, cols, c), unit)) return false;
  return true;
}

bool lower_window_is_direct(const Emitter *e, const Window *window) {
  return type_bits(window->type) >= 8 && is_direct(e, &window->address.cols, window->cols, window->unit);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

LLVMValueRef lower_is_below(Emitter *e, Bound bound, int at) {
  if (!bound.value || at < bound.least) return NULL;
  Spot back = lower_go(e, bound.depth);
  LLVMValueRef condition = LLVMBuildICmp(e->builder, LLVMIntSGT, bound.value, lower_i64(e, at), "");
  lower_back(e, back);
  return condition;
}

LLVMValueRef lower_row_condition(Emitter *e, Window *window, int row) {
  LLVMValueRef *condition = &window->row_conditions[row];
  if (!*condition) *condition = lower_is_below(e, window->row_bound, row);
  return *condition;
}

LLVMValueRef lower_element_condition(Emitter *e, Window *window, int row, int col) {
  LLVMValueRef in_row = lower_row_condition(e, window, row), in_col = lower_is_below(e, window->col_bound, col);
  if (!in_row || !in_col) return in_row ? in_row : in_col;
  return LLVMBuildAnd(e->builder, in_row, in_col, "");
}

LLVMValueRef lower_pointer_if(Emitter *e, LLVMValueRef condition, LLVMValueRef pointer, LLVMValueRef other) {
  return condition ? LLVMBuildSelect(e->builder, condition, pointer, other, "") : pointer;
}

/* The column bound as a number of lanes can be compared with; the builder stands where it is known. */
static LLVMValueRef limit_of(Emitter *e, Window *window) {
  if (window->limit) return window->limit;
  LLVMValueRef natural = lower_max(e, window->col_bound.value, lower_i64(e, 0));
  LLVMValueRef limit = lower_min(e, natural, lower_i64(e, window->cols));
  return window->limit = LLVMBuildTrunc(e->builder, limit, e->i32, "");
}

static LLVMValueRef lanes_below(Emitter *e, LLVMValueRef limit, int first, int lanes) {
  LLVMValueRef numbers[64];
  for (int i = 0; i < lanes; ++i) numbers[i] = lower_i32(e, first + i);
  LLVMValueRef iota = LLVMConstVector(numbers, (unsigned)lanes);
  return LLVMBuildICmp(e->builder, LLVMIntSLT, iota, lower_splat(e, limit, lanes), "");
}

LLVMValueRef lower_chunk_mask(Emitter *e, Window *window, int chunk) {
  int lanes = lower_chunk_lanes(e, window->cols, chunk), valid = lower_chunk_valid(e, window->cols, chunk);
  LLVMValueRef *mask = &window->masks[chunk];
  if (*mask || (!window->col_bound.value && valid == lanes)) return *mask;
  if (!window->col_bound.value) return *mask = lanes_below(e, lower_i32(e, valid), 0, lanes);
  Spot back = lower_go(e, window->col_bound.depth);
  *mask = lanes_below(e, limit_of(e, window), chunk * e->lanes, lanes);
  lower_back(e, back);
  return *mask;
}

/* Rows outside of the bound are read from zeros. One choice does for a row whose chunks lie at constant distances. */
LLVMValueRef lower_chunk_pointer(Emitter *e, Window *window, int row, int chunk) {
  LLVMValueRef in_row = lower_row_condition(e, window, row);
  if (!in_row) return lower_address_pointer(e, &window->address, row, chunk * e->lanes);
  int64_t bytes = (int64_t)window->cols * (int64_t)type_bits(window->type) / 8;
  if (window->address.cols.block > 0 || bytes > LOWER_ZERO_BYTES)
    return lower_pointer_if(e, in_row, lower_address_pointer(e, &window->address, row, chunk * e->lanes),
                            lower_zeros(e));
  LLVMValueRef *first = &window->row_pointers[row];
  if (!*first) *first = lower_pointer_if(e, in_row, lower_address_pointer(e, &window->address, row, 0), lower_zeros(e));
  LLVMValueRef offset = lower_i64(e, (int64_t)chunk * e->lanes * (int64_t)type_bits(window->type) / 8);
  return chunk == 0 ? *first : LLVMBuildGEP2(e->builder, e->i8, *first, &offset, 1, "");
}

bool lower_has_masked_access(const Emitter *e, kiln_type type) {
  bool is_narrow = type_bits(type) < 32;
  if (target_has(e->target, FEATURE_V)) return true;
  if (target_has(e->target, FEATURE_SVE)) return e->target->vector_bits > 128;
  if (target_has(e->target, FEATURE_AVX512VL)) return !is_narrow || target_has(e->target, FEATURE_AVX512BW);
  return target_has(e->target, FEATURE_AVX2) && !is_narrow;
}

/* ---- loads ------------------------------------------------------------------------------------------------------- */

static unsigned align_of(const Window *window) {
  kiln_type element = window->address.type;
  return type_bits(element) <= 8 ? 1 : type_bits(element) / 8;
}

LLVMValueRef lower_from_memory(Emitter *e, kiln_type type, LLVMValueRef x) {
  if (type != KILN_BOOL) return x;
  return LLVMBuildICmp(e->builder, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "");
}

LLVMValueRef lower_to_memory(Emitter *e, kiln_type type, LLVMValueRef x) {
  return type == KILN_BOOL ? LLVMBuildZExt(e->builder, x, lower_like(x, e->i8), "") : x;
}

LLVMValueRef lower_load_from(Emitter *e, const Window *window, LLVMValueRef pointer, int lanes) {
  LLVMTypeRef type = lower_lanes_of(window->memory, lanes);
  LLVMValueRef value = LLVMBuildLoad2(e->builder, type, pointer, "");
  LLVMSetAlignment(value, align_of(window));
  return value;
}

static LLVMValueRef load_raw(Emitter *e, Window *window, int row, int col) {
  LLVMValueRef condition = lower_element_condition(e, window, row, col);
  LLVMValueRef pointer = lower_address_pointer(e, &window->address, row, col);
  if (condition) pointer = lower_pointer_if(e, condition, pointer, lower_zeros(e));
  return lower_load_from(e, window, pointer, 1);
}

LLVMValueRef lower_load_element(Emitter *e, Window *window, int row, int col) {
  if (type_bits(window->type) < 8) return lower_load_nibble(e, window, row, col);
  return lower_from_memory(e, window->type, load_raw(e, window, row, col));
}

static LLVMValueRef load_by_elements(Emitter *e, Window *window, int row, int chunk) {
  int lanes = lower_chunk_lanes(e, window->cols, chunk), valid = lower_chunk_valid(e, window->cols, chunk);
  if (lanes == 1) return lower_load_element(e, window, row, 0);
  LLVMValueRef vector = LLVMGetPoison(lower_lanes_of(window->memory, lanes));
  for (int i = 0; i < valid; ++i) vector = lower_insert(e, vector, load_raw(e, window, row, chunk * e->lanes + i), i);
  return lower_from_memory(e, window->type, vector);
}

LLVMValueRef lower_load_masked(Emitter *e, const Window *window, LLVMValueRef pointer, LLVMValueRef mask) {
  LLVMTypeRef type = lower_like(mask, window->memory);
  LLVMValueRef arguments[] = {pointer, mask, LLVMConstNull(type)};
  LLVMValueRef value = lower_call(e, INTRINSIC_MASKED_LOAD, type, e->pointer, arguments, 3);
  lower_call_align(e, value, 0, align_of(window));
  return value;
}

LLVMValueRef lower_load_chunk(Emitter *e, Window *window, int row, int chunk) {
  int lanes = lower_chunk_lanes(e, window->cols, chunk), valid = lower_chunk_valid(e, window->cols, chunk);
  bool is_whole = lanes > 1 && lanes == valid && !window->col_bound.value;
  if (!is_whole && (lanes == 1 || !lower_has_masked_access(e, window->type)))
    return load_by_elements(e, window, row, chunk);
  LLVMValueRef pointer = lower_chunk_pointer(e, window, row, chunk);
  LLVMValueRef value = is_whole ? lower_load_from(e, window, pointer, lanes)
                                : lower_load_masked(e, window, pointer, lower_chunk_mask(e, window, chunk));
  return lower_from_memory(e, window->type, value);
}

/* Whether loading (or storing) the transpose and turning it is better than going by elements. */
static bool is_better_transposed(const Emitter *e, const Window *window) {
  bool turns = type_bits(window->type) >= 8 && window->rows > 1 && is_direct(e, &window->address.rows, window->rows, 1);
  bool is_bounded = window->row_bound.value || window->col_bound.value;
  return turns && (window->cols == 1 ? is_bounded : !is_direct(e, &window->address.cols, window->cols, window->unit));
}

void lower_load_rows(Emitter *e, Window *window, LLVMValueRef *parts) {
  if (lower_can_load_cut(e, window)) {
    lower_load_cut(e, window, parts);
    return;
  }
  int chunks = lower_chunks(e, window->cols);
  bool by_chunks = lower_window_is_direct(e, window);
  for (int i = 0; i < window->rows * chunks; ++i)
    parts[i] = by_chunks ? lower_load_chunk(e, window, i / chunks, i % chunks)
                         : load_by_elements(e, window, i / chunks, i % chunks);
}

void lower_load(Emitter *e, Window *window, LLVMValueRef *parts) {
  if (type_bits(window->type) < 8) {
    lower_load_nibbles(e, window, parts);
  } else if (lower_window_is_grouped(e, window)) {
    lower_load_grouped(e, window, parts);
  } else if (is_better_transposed(e, window)) {
    Window turned = lower_window_transposed(e, window);
    if (lower_can_load_fours(e, &turned)) {
      lower_load_fours(e, &turned, parts);
      return;
    }
    LLVMValueRef *in = LOWER_ARRAY(e, LLVMValueRef, turned.rows * lower_chunks(e, turned.cols));
    lower_load(e, &turned, in);
    lower_transpose(e, in, turned.rows, turned.cols, parts);
  } else {
    lower_load_rows(e, window, parts);
  }
}

/* ---- stores ------------------------------------------------------------------------------------------------------ */

void lower_store_to(Emitter *e, const Window *window, LLVMValueRef pointer, LLVMValueRef value) {
  LLVMSetAlignment(LLVMBuildStore(e->builder, value, pointer), align_of(window));
}

static void store_by_elements(Emitter *e, Window *window, int row, int chunk, LLVMValueRef value) {
  for (int i = 0; i < lower_chunk_valid(e, window->cols, chunk); ++i) {
    int col = chunk * e->lanes + i;
    LLVMValueRef pointer = lower_address_pointer(e, &window->address, row, col);
    LLVMValueRef condition = lower_is_below(e, window->col_bound, col);
    if (condition) pointer = lower_pointer_if(e, condition, pointer, lower_sink(e));
    lower_store_to(e, window, pointer, lower_extract(e, value, i));
  }
}

static void store_chunk(Emitter *e, Window *window, int row, int chunk, LLVMValueRef value) {
  if (type_bits(window->type) < 8) {
    lower_store_nibbles(e, window, row, chunk, value);
    return;
  }
  int lanes = lower_chunk_lanes(e, window->cols, chunk), valid = lower_chunk_valid(e, window->cols, chunk);
  bool is_whole = lanes == valid && !window->col_bound.value;
  value = lower_to_memory(e, window->type, value);
  bool is_direct_chunk = lower_address_is_grouped(&window->address.cols, chunk * e->lanes, valid, window->unit);
  if (!is_direct_chunk || (!is_whole && (lanes == 1 || !lower_has_masked_access(e, window->type)))) {
    store_by_elements(e, window, row, chunk, value);
    return;
  }
  LLVMValueRef pointer = lower_address_pointer(e, &window->address, row, chunk * e->lanes);
  if (is_whole && window->passes_caches) {
    lower_store_past_caches(e, window, pointer, value);
    return;
  }
  if (is_whole) {
    lower_store_to(e, window, pointer, value);
    return;
  }
  LLVMValueRef arguments[] = {value, pointer, lower_chunk_mask(e, window, chunk)};
  LLVMValueRef call = lower_call(e, INTRINSIC_MASKED_STORE, LLVMTypeOf(value), e->pointer, arguments, 3);
  lower_call_align(e, call, 1, align_of(window));
}

/* Rows are stored in order, and the first one outside ends it: one branch a row, which the processor predicts, but for
 * rows that are there for certain. */
void lower_store_rows(Emitter *e, Window *window, const LLVMValueRef *parts) {
  int chunks = lower_chunks(e, window->cols);
  Bound bound = window->row_bound;
  LLVMBasicBlockRef done = NULL;
  if (bound.value) done = LLVMAppendBasicBlockInContext(e->context, e->function, "stored");
  window->row_bound.value = NULL; /* the branches see to it */
  for (int r = 0; r < window->rows; ++r) {
    if (bound.value && r >= bound.least) {
      LLVMBasicBlockRef inside = LLVMInsertBasicBlockInContext(e->context, done, "store.row");
      LLVMValueRef condition = LLVMBuildICmp(e->builder, LLVMIntSGT, bound.value, lower_i64(e, r), "");
      LLVMBuildCondBr(e->builder, condition, inside, done);
      LLVMPositionBuilderAtEnd(e->builder, inside);
    }
    for (int c = 0; c < chunks; ++c) store_chunk(e, window, r, c, parts[r * chunks + c]);
  }
  if (!bound.value) return;
  LLVMBuildBr(e->builder, done);
  LLVMPositionBuilderAtEnd(e->builder, done);
}

void lower_store(Emitter *e, Window *window, const LLVMValueRef *parts) {
  if (lower_window_is_grouped(e, window)) {
    lower_store_grouped(e, window, parts);
  } else if (is_better_transposed(e, window)) {
    Window turned = lower_window_transposed(e, window);
    if (lower_can_store_fours(e, &turned)) {
      lower_store_fours(e, &turned, parts);
      return;
    }
    LLVMValueRef *out = LOWER_ARRAY(e, LLVMValueRef, turned.rows * lower_chunks(e, turned.cols));
    lower_transpose(e, parts, window->rows, window->cols, out);
    lower_store(e, &turned, out);
  } else if (window->wants_stream && lower_can_stream(e, window)) {
    lower_store_streamed(e, window, parts);
  } else if (lower_can_store_whole(e, window)) {
    lower_store_cut(e, window, parts);
  } else {
    lower_store_rows(e, window, parts);
  }
}
