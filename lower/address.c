/* address.c: from indices, strides and panels to pointers; see address.h for the form they take. */
#include "lower/address.h"

/* ---- amounts ----------------------------------------------------------------------------------------------------- */

static int deeper(int x, int y) { return x > y ? x : y; }

/* Constants of a text may be of any size; addresses that wrap are out of bounds anyway. */
static int64_t wrapping_multiply(int64_t x, int64_t y) { return (int64_t)((uint64_t)x * (uint64_t)y); }
static int64_t wrapping_add(int64_t x, int64_t y) { return (int64_t)((uint64_t)x + (uint64_t)y); }

static Amount constant(int64_t number) { return (Amount){.number = number}; }

/* Sizes and strides are read at the kernel's top, so all arithmetic on them has depth 0. */
static Amount extent_amount(const Emitter *e, Extent extent) {
  if (extent.symbol == EXTENT_NUMBER) return constant(extent.number);
  LLVMValueRef value = lower_extent(e, extent);
  KILN_ASSERT(value != NULL);
  return (Amount){.value = value};
}

static Amount product(Emitter *e, Amount x, Amount y) {
  if (!x.value && !y.value) return constant(wrapping_multiply(x.number, y.number));
  Spot back = lower_go(e, 0);
  LLVMValueRef a = x.value ? x.value : lower_i64(e, x.number), b = y.value ? y.value : lower_i64(e, y.number);
  Amount result = {.value = lower_mul(e, a, b)};
  lower_back(e, back);
  if (lower_is_integer(result.value, &result.number)) result.value = NULL;
  return result;
}

static Amount divided_up(Emitter *e, Amount x, int y) {
  if (!x.value) return constant(x.number / y + (x.number % y != 0));
  Spot back = lower_go(e, 0);
  Amount result = {.value = lower_div(e, lower_add(e, x.value, lower_i64(e, y - 1)), y)};
  lower_back(e, back);
  return result;
}

/* ---- strides ----------------------------------------------------------------------------------------------------- */

static Amount panel_stride(Emitter *e, const BufType *type) {
  int inner = type->layout == LAYOUT_COL_PANEL ? type->rank - 2 : type->rank - 1;
  Amount groups = divided_up(e, extent_amount(e, type->dims[inner]), type->group);
  return product(e, groups, constant((int64_t)type->panel * type->group));
}

/* Elements of one step along an axis that is not inside of a panel. */
static Amount axis_stride(Emitter *e, const BufType *type, int axis) {
  if (type->layout == LAYOUT_STRIDED) return extent_amount(e, type->strides[axis]);
  int plain = buf_is_panel(type) ? type->rank - 2 : type->rank;
  Amount stride = constant(1);
  for (int i = axis + 1; i < plain; ++i) stride = product(e, stride, extent_amount(e, type->dims[i]));
  if (!buf_is_panel(type)) return stride;
  int outer = type->layout == LAYOUT_COL_PANEL ? type->rank - 1 : type->rank - 2;
  Amount copy = product(e, divided_up(e, extent_amount(e, type->dims[outer]), type->panel), panel_stride(e, type));
  return product(e, stride, copy);
}

static AddressAxis linear_axis(Amount stride) {
  return (AddressAxis){.exists = true, .number = stride.number, .stride = stride.value};
}

/* The last two axes of a panel: which panel and column in it, or which group and element of that. */
static AddressAxis panel_axis(Emitter *e, const BufType *type, int axis) {
  bool is_across = (axis == type->rank - 1) == (type->layout == LAYOUT_COL_PANEL);
  if (!is_across && type->group == 1) return linear_axis(constant(type->panel));
  if (!is_across && type->panel == 1) return linear_axis(constant(1));
  Amount stride = is_across ? panel_stride(e, type) : constant((int64_t)type->panel * type->group);
  AddressAxis result = linear_axis(stride);
  if (is_across && type->panel == 1) return result;
  result.block = is_across ? type->panel : type->group;
  result.inner = is_across ? type->group : 1;
  return result;
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

static void add_term(Emitter *e, Address *address, LLVMValueRef value, int depth, int64_t scale, int64_t divisor) {
  int64_t number;
  if (lower_is_integer(value, &number)) {
    address->number = wrapping_add(address->number, wrapping_multiply(number, scale));
    return;
  }
  KILN_ASSERT(address->term_count < ADDRESS_MAX_TERMS);
  bool is_induction = e->scope && value == e->scope->index && depth == e->scope->depth;
  int64_t whole = divisor == INT64_MAX ? divisor : wrapping_multiply(divisor, scale);
  address->terms[address->term_count++] = (AddressTerm){value, depth, scale, NULL, is_induction, whole};
}

/* Splits an index where its parts vary with different loops, and takes constant factors out. `room`: how many terms
 * this axis may still add. */
static void add_index(Emitter *e, Address *address, const Value *index, int64_t scale, int room) {
  const Lowered *lowered = lower_get(e, index);
  const Op *op = index->op;
  bool adds = op && (op->code == OP_index_add || op->code == OP_index_sub);
  if (op && op->code == OP_index_mul) {
    for (int i = 0; i < 2; ++i) {
      int64_t factor;
      if (!lower_is_integer(lower_get(e, op->operands[i])->parts[0], &factor)) continue;
      add_index(e, address, op->operands[1 - i], wrapping_multiply(scale, factor), room);
      return;
    }
  }
  if (adds && room > 1) {
    const Value *x = op->operands[0], *y = op->operands[1];
    int64_t number;
    bool splits = lower_get(e, x)->depth != lower_get(e, y)->depth ||
                  lower_is_integer(lower_get(e, x)->parts[0], &number) ||
                  lower_is_integer(lower_get(e, y)->parts[0], &number);
    if (splits) {
      add_index(e, address, x, scale, room / 2);
      add_index(e, address, y, op->code == OP_index_sub ? wrapping_multiply(scale, -1) : scale, room - room / 2);
      return;
    }
  }
  add_term(e, address, lowered->parts[0], lowered->depth, scale, lower_divisor(index));
}

/* One of an axis's terms is kept for its constant times a stride. */
enum { TERMS_OF_AXIS = ADDRESS_MAX_TERMS / TILE_MAX_RANK - 1 };

/* Index times stride into the terms. */
static void add_linear(Emitter *e, Address *address, const Value *index, const AddressAxis *axis) {
  int first = address->term_count;
  int64_t before = address->number;
  address->number = 0;
  add_index(e, address, index, 1, TERMS_OF_AXIS);
  int64_t number = address->number;
  address->number = before;
  for (int i = first; i < address->term_count; ++i) {
    AddressTerm *term = &address->terms[i];
    if (axis->stride) term->stride = axis->stride;
    else {
      term->scale = wrapping_multiply(term->scale, axis->number);
      term->divisor = term->divisor == INT64_MAX ? term->divisor : wrapping_multiply(term->divisor, axis->number);
    }
  }
  if (number == 0) return;
  if (!axis->stride) {
    address->number = wrapping_add(address->number, wrapping_multiply(number, axis->number));
    return;
  }
  KILN_ASSERT(address->term_count < ADDRESS_MAX_TERMS);
  address->terms[address->term_count++] = (AddressTerm){lower_i64(e, number), 0, 1, axis->stride, false, number};
}

/* A multiple of the block: whole blocks are linear too. */
static void add_blocks(Emitter *e, Address *address, const Value *index, const AddressAxis *axis) {
  if (!axis->stride && axis->number % axis->block == 0) { /* then so many elements for each position, on average */
    AddressAxis even = {.exists = true, .number = axis->number / axis->block};
    add_linear(e, address, index, &even);
    return;
  }
  Address trial = *address;
  trial.number = 0;
  add_index(e, &trial, index, 1, TERMS_OF_AXIS);
  bool divides = trial.number % axis->block == 0;
  for (int i = address->term_count; i < trial.term_count; ++i) divides &= trial.terms[i].scale % axis->block == 0;
  AddressTerm *first = &trial.terms[address->term_count];
  if (!divides) {
    const Lowered *lowered = lower_get(e, index);
    Spot back = lower_go(e, lowered->depth);
    *first = (AddressTerm){lower_div(e, lowered->parts[0], axis->block), lowered->depth, axis->block, NULL, false, 1};
    trial.term_count = address->term_count + 1;
    trial.number = 0;
    lower_back(e, back);
  }
  for (AddressTerm *term = first; term < trial.terms + trial.term_count; ++term) {
    term->scale /= axis->block;
    term->divisor = term->scale;
    term->stride = axis->stride;
    if (!axis->stride) term->scale = wrapping_multiply(term->scale, axis->number), term->divisor = term->scale;
  }
  int64_t blocks = trial.number / axis->block;
  trial.number = address->number;
  if (blocks != 0 && axis->stride)
    trial.terms[trial.term_count++] = (AddressTerm){lower_i64(e, blocks), 0, 1, axis->stride, false, 1};
  else if (blocks != 0) trial.number = wrapping_add(trial.number, wrapping_multiply(blocks, axis->number));
  *address = trial;
}

static int64_t divisor_in_block(const AddressAxis *axis) {
  int64_t a = axis->divisor, b = axis->block;
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* An index that may be inside of a block: the blocks before it, and what is before it in its own. */
static void add_inside_block(Emitter *e, Address *address, const AddressAxis *axis) {
  int64_t inner = axis->inner, whole = divisor_in_block(axis);
  Spot back = lower_go(e, axis->index_depth);
  LLVMValueRef blocks = lower_div(e, axis->index, axis->block), rest = lower_mod(e, axis->index, axis->block);
  lower_back(e, back);
  KILN_ASSERT(address->term_count + 2 <= ADDRESS_MAX_TERMS);
  AddressTerm *terms = address->terms + address->term_count;
  int64_t number = axis->stride ? 1 : axis->number;
  terms[0] = (AddressTerm){blocks, axis->index_depth, number, axis->stride, false, number};
  terms[1] = (AddressTerm){rest, axis->index_depth, inner, NULL, false, wrapping_multiply(whole, inner)};
  address->term_count += 2;
}

static void add_axis(Emitter *e, Address *address, const Value *index, AddressAxis *axis) {
  axis->divisor = lower_divisor(index);
  if (axis->block == 0) {
    add_linear(e, address, index, axis);
  } else if (axis->divisor % axis->block == 0 || axis->divisor == INT64_MAX) {
    axis->divisor = axis->block;
    add_blocks(e, address, index, axis);
  } else {
    axis->index = lower_get(e, index)->parts[0];
    axis->index_depth = lower_get(e, index)->depth;
    add_inside_block(e, address, axis);
  }
}

Address lower_address(Emitter *e, const Access *access, int rows) {
  const Lowered *buffer = lower_get(e, access->buffer);
  const BufType *type = access->buffer->type.buf;
  Address address = {
      .type = type->type, .base = buffer->parts[0], .base_depth = buffer->depth, .nibble = buffer->nibble};
  address.memory = type->type == KILN_BOOL ? e->i8 : lower_element(e, type->type);
  for (int axis = 0; axis < type->rank; ++axis) {
    bool is_inside = axis >= type->rank - 2;
    AddressAxis steps =
        buf_is_panel(type) && is_inside ? panel_axis(e, type, axis) : linear_axis(axis_stride(e, type, axis));
    add_axis(e, &address, access->indices[axis], &steps);
    if (axis == type->rank - 1) address.cols = steps;
    if (axis == type->rank - 2) address.rows = steps;
  }
  address.row_count = rows;
  return address;
}

void lower_address_swap(Emitter *e, Address *address, int rows) {
  (void)e;
  KILN_ASSERT(!address->is_prepared && !address->last_row);
  AddressAxis axis = address->rows;
  address->rows = address->cols;
  address->cols = axis;
  address->row_count = rows;
}

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
  if (!axis->exists) return constant(0);
  bool is_first_block = axis->block > 0 && x < divisor_in_block(axis);
  if (is_first_block) return constant((int64_t)x * axis->inner); /* panels are whole, so no bound is needed */
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
  Amount result = constant(axis->block ? (int64_t)(x % axis->block) * axis->inner : 0);
  if (!axis->stride) result.number = wrapping_add(result.number, wrapping_multiply(count, axis->number));
  else if (count > 0) {
    /* Next to its use: a product of two sizes kept across outer loops would only be spilled. */
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
  int64_t whole = divisor_in_block(axis);
  return axis->inner == 1 && first % whole + count <= whole;
}

bool lower_address_is_grouped(const AddressAxis *axis, int first, int count, int group) {
  if (count == 1) return true;
  if (axis->block == 0) return axis->exists && !axis->stride && axis->number == group;
  int64_t whole = divisor_in_block(axis);
  return axis->inner == group && first % whole + count <= whole;
}

LLVMValueRef lower_address_distance(Emitter *e, const AddressAxis *axis, int first, int count) {
  if (!axis->exists || count == 1) return lower_i64(e, 0);
  if (axis->block == 0) return axis->stride ? axis->stride : lower_i64(e, axis->number);
  int64_t whole = divisor_in_block(axis);
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
  int64_t number;
} AddressRow;

/* ---- pointers ---------------------------------------------------------------------------------------------------- */

static LLVMValueRef step(Emitter *e, const Address *address, LLVMValueRef pointer, LLVMValueRef elements) {
  int64_t number;
  if (lower_is_integer(elements, &number) && number == 0) return pointer;
  if (type_bits(address->type) < 8) elements = LLVMBuildAShr(e->builder, elements, lower_i64(e, 1), "");
  return LLVMBuildGEP2(e->builder, address->memory, pointer, &elements, 1, "");
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
  add_initial(e, made->phi, is_zero ? base : LLVMBuildGEP2(e->builder, e->i8, base, &offset, 1, ""));
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
  if (term && (term->stride || !is_free_scale(wrapping_multiply(term->scale, bytes)))) {
    Spot back = lower_go(e, e->depth - 1);
    LLVMValueRef stride = lower_i64(e, wrapping_multiply(term->scale, bytes));
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

static LLVMValueRef row_pointer(Emitter *e, Address *address, Amount delta) {
  LLVMValueRef pointer = address->origin;
  if (delta.value) {
    Spot back = lower_go(e, deeper(delta.depth, address->origin_depth));
    pointer = step(e, address, pointer, delta.value);
    lower_back(e, back);
  }
  return address->variant ? step(e, address, pointer, address->variant) : pointer;
}

LLVMValueRef lower_address_pointer(Emitter *e, Address *address, int row, int col) {
  if (!address->is_prepared) prepare(e, address);
  KILN_ASSERT(row < address->row_count);
  AddressRow *cached = &address->row_cache[row];
  if (!cached->pointer) {
    Amount delta = axis_delta(e, &address->rows, row, address->last_row, address->last_row_depth);
    if (!delta.value && !address->shared) address->shared = row_pointer(e, address, delta);
    *cached = (AddressRow){delta.value ? row_pointer(e, address, delta) : address->shared, delta.number};
  }
  Amount delta = axis_delta(e, &address->cols, col, NULL, 0);
  LLVMValueRef pointer = delta.value ? step(e, address, cached->pointer, delta.value) : cached->pointer;
  int64_t number = wrapping_add(address->number, wrapping_add(cached->number, delta.number));
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
  LLVMValueRef sum = lower_i64(e, wrapping_add(address->number, wrapping_add(deltas[0].number, deltas[1].number)));
  if (address->nibble) sum = lower_add(e, sum, address->nibble);
  for (int i = 0; i < 2; ++i)
    if (deltas[i].value) sum = lower_add(e, sum, deltas[i].value);
  for (int i = 0; i < address->term_count; ++i) sum = lower_add(e, sum, term_value(e, &address->terms[i]));
  return sum;
}
