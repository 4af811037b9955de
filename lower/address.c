/* address.c: from indices, strides and panels to the terms of an address; see address.h for the form they take. */
#include "lower/address.h"

/* ---- amounts ----------------------------------------------------------------------------------------------------- */

/* Sizes and strides are read at the kernel's top, so all arithmetic on them has depth 0. */
static Amount extent_amount(const Emitter *e, Extent extent) {
  if (extent.symbol == EXTENT_NUMBER) return address_constant(extent.number);
  LLVMValueRef value = lower_extent(e, extent);
  KILN_ASSERT(value != NULL);
  return (Amount){.value = value};
}

static Amount product(Emitter *e, Amount x, Amount y) {
  if (!x.value && !y.value) return address_constant(address_multiply(x.number, y.number));
  Spot back = lower_go(e, 0);
  LLVMValueRef a = x.value ? x.value : lower_i64(e, x.number), b = y.value ? y.value : lower_i64(e, y.number);
  Amount result = {.value = lower_mul(e, a, b)};
  lower_back(e, back);
  if (lower_is_integer(result.value, &result.number)) result.value = NULL;
  return result;
}

static Amount divided_up(Emitter *e, Amount x, int y) {
  if (!x.value) return address_constant(x.number / y + (x.number % y != 0));
  Spot back = lower_go(e, 0);
  Amount result = {.value = lower_div(e, lower_add(e, x.value, lower_i64(e, y - 1)), y)};
  lower_back(e, back);
  return result;
}

/* ---- strides ----------------------------------------------------------------------------------------------------- */

static Amount panel_stride(Emitter *e, const BufType *type) {
  int inner = type->layout == LAYOUT_COL_PANEL ? type->rank - 2 : type->rank - 1;
  Amount groups = divided_up(e, extent_amount(e, type->dims[inner]), type->group);
  return product(e, groups, address_constant((int64_t)type->panel * type->group));
}

/* Elements of one step along an axis that is not inside of a panel. */
static Amount axis_stride(Emitter *e, const BufType *type, int axis) {
  if (type->layout == LAYOUT_STRIDED) return extent_amount(e, type->strides[axis]);
  int plain = buf_is_panel(type) ? type->rank - 2 : type->rank;
  Amount stride = address_constant(1);
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
  if (!is_across && type->group == 1) return linear_axis(address_constant(type->panel));
  if (!is_across && type->panel == 1) return linear_axis(address_constant(1));
  Amount stride = is_across ? panel_stride(e, type) : address_constant((int64_t)type->panel * type->group);
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
    address->number = address_add(address->number, address_multiply(number, scale));
    return;
  }
  KILN_ASSERT(address->term_count < ADDRESS_MAX_TERMS);
  bool is_induction = e->scope && value == e->scope->index && depth == e->scope->depth;
  int64_t whole = divisor == INT64_MAX ? divisor : address_multiply(divisor, scale);
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
      add_index(e, address, op->operands[1 - i], address_multiply(scale, factor), room);
      return;
    }
  }
  if (adds) {
    const Value *x = op->operands[0], *y = op->operands[1];
    int64_t number;
    bool has_number =
        lower_is_integer(lower_get(e, x)->parts[0], &number) || lower_is_integer(lower_get(e, y)->parts[0], &number);
    bool splits = has_number || (room > 1 && lower_get(e, x)->depth != lower_get(e, y)->depth);
    int room_of_x = has_number ? room : room / 2, room_of_y = has_number ? room : room - room / 2;
    if (splits) { /* a number is no term, so it leaves the other all of the room */
      add_index(e, address, x, scale, room_of_x);
      add_index(e, address, y, op->code == OP_index_sub ? address_multiply(scale, -1) : scale, room_of_y);
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
      term->scale = address_multiply(term->scale, axis->number);
      term->divisor = term->divisor == INT64_MAX ? term->divisor : address_multiply(term->divisor, axis->number);
    }
  }
  if (number == 0) return;
  if (!axis->stride) {
    address->number = address_add(address->number, address_multiply(number, axis->number));
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
    if (!axis->stride) term->scale = address_multiply(term->scale, axis->number), term->divisor = term->scale;
  }
  int64_t blocks = trial.number / axis->block;
  trial.number = address->number;
  if (blocks != 0 && axis->stride)
    trial.terms[trial.term_count++] = (AddressTerm){lower_i64(e, blocks), 0, 1, axis->stride, false, 1};
  else if (blocks != 0) trial.number = address_add(trial.number, address_multiply(blocks, axis->number));
  *address = trial;
}

/* An index that may be inside of a block: the blocks before it, and what is before it in its own. */
static void add_inside_block(Emitter *e, Address *address, const AddressAxis *axis) {
  int64_t inner = axis->inner, whole = address_divisor_in_block(axis);
  Spot back = lower_go(e, axis->index_depth);
  LLVMValueRef blocks = lower_div(e, axis->index, axis->block), rest = lower_mod(e, axis->index, axis->block);
  lower_back(e, back);
  KILN_ASSERT(address->term_count + 2 <= ADDRESS_MAX_TERMS);
  AddressTerm *terms = address->terms + address->term_count;
  int64_t number = axis->stride ? 1 : axis->number;
  terms[0] = (AddressTerm){blocks, axis->index_depth, number, axis->stride, false, number};
  terms[1] = (AddressTerm){rest, axis->index_depth, inner, NULL, false, address_multiply(whole, inner)};
  address->term_count += 2;
}

/* A multiple of the block and a number from 0 on: where in its block the index is, is known. */
static bool add_blocks_and_number(Emitter *e, Address *address, const Value *index, const AddressAxis *axis) {
  const Op *op = index->op;
  int64_t number;
  if (op == NULL || op->code != OP_index_add) return false;
  if (!lower_is_integer(lower_get(e, op->operands[1])->parts[0], &number) || number < 0) return false;
  if (lower_divisor(op->operands[0]) % axis->block != 0) return false;
  add_blocks(e, address, op->operands[0], axis);
  int64_t blocks = number / axis->block, inside = address_multiply(number % axis->block, axis->inner);
  address->number = address_add(address->number, inside);
  if (!axis->stride) address->number = address_add(address->number, address_multiply(blocks, axis->number));
  else if (blocks != 0) {
    KILN_ASSERT(address->term_count < ADDRESS_MAX_TERMS);
    address->terms[address->term_count++] = (AddressTerm){lower_i64(e, blocks), 0, 1, axis->stride, false, 1};
  }
  return true;
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
    if (!add_blocks_and_number(e, address, index, axis)) add_inside_block(e, address, axis);
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
