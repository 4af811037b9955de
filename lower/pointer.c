/* pointer.c: from the terms of an address to pointers, each part computed where it does not vary. */
#include "lower/address.h"

static int deeper(int x, int y) { return x > y ? x : y; }

/* ---- along the axes ---------------------------------------------------------------------------------------------- */

static LLVMValueRef axis_steps(Emitter *e, const AddressAxis *axis, LLVMValueRef count) {
  return lower_mul(e, count, axis->stride ? axis->stride : lower_i64(e, axis->number));
}

/* What a step count known only at run time adds; the builder stands where it is known. */
static LLVMValueRef dynamic_delta(Emitter *e, const AddressAxis *axis, LLVMValueRef x) {
  if (axis->block == 0) return axis_steps(e, axis, x);
  LLVMValueRef blocks = axis_steps(e, axis, lower_div(e, x, axis->block));
  return lower_add(e, blocks, lower_mul(e, lower_mod(e, x, axis->block), lower_i64(e, axis->inner)));
}

/* What element x of the axis adds to the terms. `last` (may be NULL) bounds x. */
static Amount axis_delta(Emitter *e, const AddressAxis *axis, int x, LLVMValueRef last, int last_depth) {
  if (!axis->exists) return address_constant(0);
  bool is_first_block = axis->block > 0 && x < address_divisor_in_block(axis);
  if (is_first_block) return address_constant((int64_t)x * axis->inner); /* panels are whole, so no bound is needed */
  bool is_clamped = last && x > 0;
  if (is_clamped || axis->index) {
    int depth = deeper(is_clamped ? last_depth : 0, axis->index ? axis->index_depth : 0);
    Spot back = lower_go(e, depth);
    LLVMValueRef at = is_clamped ? lower_min(e, lower_i64(e, x), last) : lower_i64(e, x);
    if (axis->index) at = lower_add(e, axis->index, at);
    Amount result = {.value = dynamic_delta(e, axis, at), .depth = depth};
    if (axis->index) result.value = lower_sub(e, result.value, dynamic_delta(e, axis, axis->index));
    lower_back(e, back);
    return result;
  }
  int64_t count = axis->block ? x / axis->block : x;
  Amount result = address_constant(axis->block ? (int64_t)(x % axis->block) * axis->inner : 0);
  if (!axis->stride) result.number = address_add(result.number, address_multiply(count, axis->number));
  else if (count > 0) {
    /* next to its use, as chained rows are */
    result.depth = e->depth > 0 ? e->depth - 1 : 0;
    Spot back = lower_go(e, result.depth);
    result.value = axis_steps(e, axis, lower_i64(e, count));
    lower_back(e, back);
  }
  return result;
}

bool lower_address_is_contiguous(const AddressAxis *axis, int first, int count) {
  if (count == 1) return true;
  if (!axis->exists) return false;
  if (axis->block == 0) return !axis->stride && axis->number == 1;
  int64_t whole = address_divisor_in_block(axis);
  return axis->inner == 1 && first % whole + count <= whole;
}

bool lower_address_is_grouped(const AddressAxis *axis, int first, int count, int group) {
  if (count == 1) return true;
  if (axis->block == 0) return axis->exists && !axis->stride && axis->number == group;
  int64_t whole = address_divisor_in_block(axis);
  return axis->inner == group && first % whole + count <= whole;
}

LLVMValueRef lower_address_distance(Emitter *e, const AddressAxis *axis, int first, int count) {
  if (!axis->exists || count == 1) return lower_i64(e, 0);
  if (axis->block == 0) return axis->stride ? axis->stride : lower_i64(e, axis->number);
  int64_t whole = address_divisor_in_block(axis);
  return first % whole + count <= whole ? lower_i64(e, axis->inner) : NULL;
}

bool lower_address_is_even(const Address *address, int rows) {
  const AddressAxis *axis = &address->rows;
  bool rows_are_even = rows == 1 || !axis->exists || (axis->block == 0 && !axis->stride && axis->number % 2 == 0);
  bool is_even = !address->nibble && address->number % 2 == 0 && rows_are_even && !axis->index && !address->cols.index;
  for (int i = 0; i < address->term_count; ++i) is_even &= address->terms[i].divisor % 2 == 0;
  return is_even;
}

typedef struct AddressRow {
  LLVMValueRef pointer; /* NULL: not yet computed */
  LLVMValueRef base;    /* likewise, without what varies with the innermost loop, of rows a dynamic stride apart */
  int64_t number;
} AddressRow;

/* ---- pointers ---------------------------------------------------------------------------------------------------- */

static LLVMValueRef step(Emitter *e, const Address *address, LLVMValueRef pointer, LLVMValueRef elements) {
  int64_t number;
  if (lower_is_integer(elements, &number) && number == 0) return pointer;
  if (type_bits(address->type) < 8) elements = LLVMBuildAShr(e->builder, elements, lower_i64(e, 1), "");
  return lower_step(e, address->memory, pointer, elements);
}

static LLVMValueRef term_value(Emitter *e, const AddressTerm *term) {
  LLVMValueRef value = lower_mul(e, term->value, lower_i64(e, term->scale));
  return term->stride ? lower_mul(e, value, term->stride) : value;
}

/* The sum of the terms of one depth; NULL: there is none. */
static LLVMValueRef sum_of_depth(Emitter *e, const Address *address, int depth) {
  LLVMValueRef sum = NULL;
  for (int i = 0; i < address->term_count; ++i) {
    if (address->terms[i].depth != depth) continue;
    LLVMValueRef value = term_value(e, &address->terms[i]);
    sum = sum ? lower_add(e, sum, value) : value;
  }
  return sum;
}

/* A phi of the innermost loop; the builder stands in front of the loop until lower_back. */
static LLVMValueRef make_phi(Emitter *e, LLVMTypeRef type) {
  LLVMPositionBuilderBefore(e->builder, LLVMGetFirstInstruction(e->scope->header));
  LLVMValueRef phi = LLVMBuildPhi(e->builder, type, "");
  LLVMPositionBuilderBefore(e->builder, e->scope->guard);
  return phi;
}

static void add_initial(Emitter *e, LLVMValueRef phi, LLVMValueRef initial) {
  LLVMBasicBlockRef before = LLVMGetInstructionParent(e->scope->guard);
  LLVMAddIncoming(phi, &initial, &before, 1);
}

/* A pointer that advances by `stride` bytes a step of the innermost loop's index; one for all that agree in both. */
static LLVMValueRef induction(Emitter *e, LLVMValueRef base, LLVMValueRef stride) {
  for (const Induction *found = e->scope->inductions; found; found = found->next)
    if (found->base == base && found->stride == stride) return found->phi;
  Induction *made = ARENA_NEW(e->arena, Induction);
  Spot back = lower_here(e);
  *made = (Induction){e->scope->inductions, base, stride, make_phi(e, e->pointer)};
  e->scope->inductions = made;
  LLVMValueRef offset = lower_mul(e, e->scope->lo, stride);
  int64_t number;
  bool is_zero = lower_is_integer(offset, &number) && number == 0;
  add_initial(e, made->phi, is_zero ? base : lower_step(e, e->i8, base, offset));
  lower_back(e, back);
  return made->phi;
}

/* The innermost loop's index less its end. */
static LLVMValueRef counter(Emitter *e) {
  LoopScope *scope = e->scope;
  if (scope->counter) return scope->counter;
  Spot back = lower_here(e);
  scope->counter = make_phi(e, e->i64);
  add_initial(e, scope->counter, lower_sub(e, scope->lo, scope->hi));
  lower_back(e, back);
  return scope->counter;
}

/* The term that alone varies with the innermost loop, by a multiple of its index; NULL: it is not so simple. */
static const AddressTerm *find_induction(const Emitter *e, const Address *address) {
  const AddressTerm *found = NULL;
  int variant = 0;
  for (int i = 0; i < address->term_count; ++i) {
    const AddressTerm *term = &address->terms[i];
    if (term->depth != e->depth) continue;
    ++variant;
    if (term->is_induction) found = term;
  }
  bool is_simple = variant == 1 && e->scope && e->scope->is_innermost && address->base_depth < e->depth;
  return is_simple && type_bits(address->type) >= 8 ? found : NULL;
}

/* What x86 and ARM can add to a pointer in an address. RISC-V cannot, but its generic target is not about speed. */
static bool is_free_scale(int64_t bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8; }

/* With more row pointers in a loop, and those of rows of B, x86 has no register left for the loop's end. */
enum { MAX_ROWS_WITH_END = 6 };

static void prepare(Emitter *e, Address *address) {
  LLVMValueRef pointer = address->base;
  int depth = address->base_depth;
  for (int level = 0; level < e->depth || level == 0; ++level) {
    Spot back = lower_go(e, level);
    LLVMValueRef sum = sum_of_depth(e, address, level);
    lower_back(e, back);
    if (!sum) continue;
    depth = deeper(depth, level);
    back = lower_go(e, depth);
    pointer = step(e, address, pointer, sum);
    lower_back(e, back);
  }
  const AddressTerm *term = find_induction(e, address);
  int64_t bytes = type_bits(address->type) / 8;
  if (term && (term->stride || !is_free_scale(address_multiply(term->scale, bytes)))) {
    Spot back = lower_go(e, e->depth - 1);
    LLVMValueRef stride = lower_i64(e, address_multiply(term->scale, bytes));
    if (term->stride) stride = lower_mul(e, term->stride, stride);
    lower_back(e, back);
    pointer = induction(e, pointer, stride);
    depth = e->depth;
  } else if (term && address->row_count > MAX_ROWS_WITH_END) {
    Spot back = lower_go(e, e->depth - 1);
    pointer = step(e, address, pointer, lower_mul(e, e->scope->hi, lower_i64(e, term->scale)));
    lower_back(e, back);
    depth = deeper(depth, e->depth - 1);
    address->variant = lower_mul(e, counter(e), lower_i64(e, term->scale));
  } else if (e->depth > 0) {
    address->variant = sum_of_depth(e, address, e->depth);
  }
  address->origin = pointer;
  address->origin_depth = depth;
  address->row_cache = LOWER_ARRAY(e, AddressRow, address->row_count);
  address->is_prepared = true;
}

/* Rows a dynamic stride apart follow one from the other: a multiple of the stride for each would be a product. In front
 * of the innermost loop, next to their use: kept across outer loops they would only be spilled. */
static bool are_chained(const Address *address) {
  const AddressAxis *rows = &address->rows;
  return rows->exists && rows->stride && rows->block == 0 && !address->last_row && type_bits(address->type) >= 8;
}

static LLVMValueRef chained_base(Emitter *e, Address *address, int row) {
  if (row == 0) return address->origin;
  AddressRow *cached = &address->row_cache[row];
  if (cached->base) return cached->base;
  LLVMValueRef before = chained_base(e, address, row - 1);
  Spot back = lower_go(e, deeper(e->depth > 0 ? e->depth - 1 : 0, address->origin_depth));
  cached->base = step(e, address, before, address->rows.stride);
  lower_back(e, back);
  return cached->base;
}

static LLVMValueRef row_pointer(Emitter *e, Address *address, Amount delta) {
  LLVMValueRef pointer = address->origin;
  if (delta.value) {
    Spot back = lower_go(e, deeper(delta.depth, address->origin_depth));
    pointer = step(e, address, pointer, delta.value);
    lower_back(e, back);
  }
  return address->variant ? step(e, address, pointer, address->variant) : pointer;
}

static LLVMValueRef chained_pointer(Emitter *e, Address *address, int row) {
  LLVMValueRef base = chained_base(e, address, row);
  return address->variant ? step(e, address, base, address->variant) : base;
}

LLVMValueRef lower_address_pointer(Emitter *e, Address *address, int row, int col) {
  if (!address->is_prepared) prepare(e, address);
  KILN_ASSERT(row < address->row_count);
  AddressRow *cached = &address->row_cache[row];
  if (!cached->pointer && row > 0 && are_chained(address)) cached->pointer = chained_pointer(e, address, row);
  if (!cached->pointer) {
    Amount delta = axis_delta(e, &address->rows, row, address->last_row, address->last_row_depth);
    if (!delta.value && !address->shared) address->shared = row_pointer(e, address, delta);
    cached->pointer = delta.value ? row_pointer(e, address, delta) : address->shared;
    cached->number = delta.number;
  }
  Amount delta = axis_delta(e, &address->cols, col, NULL, 0);
  LLVMValueRef pointer = delta.value ? step(e, address, cached->pointer, delta.value) : cached->pointer;
  int64_t number = address_add(address->number, address_add(cached->number, delta.number));
  return step(e, address, pointer, lower_i64(e, number));
}

Address lower_address_fork(Emitter *e, Address *address) {
  if (!address->is_prepared) prepare(e, address);
  Address fork = *address;
  fork.row_cache = LOWER_ARRAY(e, AddressRow, address->row_count);
  fork.shared = NULL;
  return fork;
}

LLVMValueRef lower_address_base(Emitter *e, Address *address, int *depth) {
  if (!address->is_prepared) prepare(e, address);
  *depth = e->depth;
  if (address->variant) return lower_address_pointer(e, address, 0, 0);
  *depth = address->origin_depth;
  Spot back = lower_go(e, *depth);
  LLVMValueRef pointer = step(e, address, address->origin, lower_i64(e, address->number));
  lower_back(e, back);
  return pointer;
}

LLVMValueRef lower_address_offset(Emitter *e, const Address *address, int row, int col) {
  Amount deltas[2] = {axis_delta(e, &address->rows, row, address->last_row, address->last_row_depth),
                      axis_delta(e, &address->cols, col, NULL, 0)};
  LLVMValueRef sum = lower_i64(e, address_add(address->number, address_add(deltas[0].number, deltas[1].number)));
  if (address->nibble) sum = lower_add(e, sum, address->nibble);
  for (int i = 0; i < 2; ++i)
    if (deltas[i].value) sum = lower_add(e, sum, deltas[i].value);
  for (int i = 0; i < address->term_count; ++i) sum = lower_add(e, sum, term_value(e, &address->terms[i]));
  return sum;
}
