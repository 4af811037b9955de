/* groups.c: see groups.h. Where memory has the groups as they are wanted they are loaded whole, else joined from
 * elements in registers. */
#include "lower/groups.h"

static int group_of(const struct PendingLoad *operand) {
  return lower_group_of(operand->placement->instruction, operand->value->type.role);
}

static unsigned align_of(kiln_type type) { return type_bits(type) / 8; }

LLVMTypeRef lower_group_type(const Emitter *e, kiln_type element, int group) {
  return LLVMIntTypeInContext(e->context, (unsigned)group * type_bits(element));
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

/* Lanes of x and y one after the other, as lanes of twice the width. */
static LLVMValueRef join_pair(Emitter *e, LLVMValueRef x, LLVMValueRef y) {
  int lanes = lower_lane_count(x), mask[64];
  LLVMTypeRef element = lower_element_of(x);
  LLVMTypeRef wide = LLVMIntTypeInContext(e->context, 2 * LLVMGetIntTypeWidth(element));
  LLVMValueRef both;
  if (lanes == 1) {
    both = lower_insert(e, LLVMGetPoison(LLVMVectorType(element, 2)), x, 0);
    both = lower_insert(e, both, y, 1);
  } else {
    for (int i = 0; i < 2 * lanes; ++i) mask[i] = i / 2 + (i % 2 ? lanes : 0);
    both = lower_shuffle(e, x, y, mask, 2 * lanes);
  }
  return LLVMBuildBitCast(e->builder, both, lower_lanes_of(wide, lanes), "");
}

LLVMValueRef lower_join_group(Emitter *e, const LLVMValueRef *elements, int group) {
  if (group == 1) {
    LLVMTypeRef type =
        lower_like(elements[0], lower_element_of(elements[0]) == e->f32 ? e->i32 : lower_element_of(elements[0]));
    return LLVMBuildBitCast(e->builder, elements[0], type, "");
  }
  return join_pair(e, lower_join_group(e, elements, group / 2), lower_join_group(e, elements + group / 2, group / 2));
}

/* Rows of a tile, `group` of them to one row of groups. */
static void join_rows(Emitter *e, const LLVMValueRef *rows, int groups, int chunks, int group, LLVMValueRef *parts) {
  LLVMValueRef elements[8] = {NULL};
  for (int i = 0; i < groups * chunks; ++i) {
    for (int j = 0; j < group; ++j) elements[j] = rows[(i / chunks * group + j) * chunks + i % chunks];
    parts[i] = lower_join_group(e, elements, group);
  }
}

void lower_groups_of_tile(Emitter *e, const Lowered *tile, TileType type, int group, LLVMValueRef *parts) {
  int chunks = lower_chunks(e, tile->type.cols);
  if (type.role == ROLE_B) {
    join_rows(e, tile->parts, type.rows / group, chunks, group, parts);
    return;
  }
  LLVMValueRef elements[8] = {NULL};
  for (int i = 0; i < type.rows * type.cols; ++i) {
    int row = i / type.cols, col = i % type.cols;
    elements[col % group] = lower_extract(e, tile->parts[row * chunks + col / e->lanes], col % e->lanes);
    if (col % group == group - 1) parts[i / group] = lower_join_group(e, elements, group);
  }
}

/* ---- bounds along k ---------------------------------------------------------------------------------------------- */

/* How many elements from `first` on are before the bound: 0 … count. The builder stands where the bound is known. */
static LLVMValueRef count_valid(Emitter *e, Bound bound, int first, int count) {
  LLVMValueRef left = lower_sub(e, bound.value, lower_i64(e, first));
  return lower_max(e, lower_min(e, left, lower_i64(e, count)), lower_i64(e, 0));
}

/* The bits of a group that are before the bound, splatted; NULL: all are. */
static LLVMValueRef mask_of(Emitter *e, Bound bound, kiln_type type, int g, int group, int lanes) {
  if (!bound.value || group == 1) return NULL;
  Spot back = lower_go(e, bound.depth);
  LLVMValueRef bits = lower_mul(e, count_valid(e, bound, g * group, group), lower_i64(e, (int64_t)type_bits(type)));
  LLVMValueRef cut = lower_sub(e, lower_i64(e, 64), lower_max(e, bits, lower_i64(e, 1))); /* all cut: zeros are read */
  LLVMValueRef wide = LLVMBuildLShr(e->builder, lower_i64(e, -1), cut, "");
  LLVMValueRef mask = LLVMBuildTrunc(e->builder, wide, lower_group_type(e, type, group), "");
  mask = lower_splat(e, mask, lanes);
  lower_back(e, back);
  return mask;
}

static LLVMValueRef load_lanes(Emitter *e, LLVMTypeRef type, kiln_type element, LLVMValueRef pointer) {
  LLVMValueRef value = LLVMBuildLoad2(e->builder, type, pointer, "");
  LLVMSetAlignment(value, align_of(element));
  return value;
}

/* ---- a ----------------------------------------------------------------------------------------------------------- */

/* Of a row that ends in the middle of a group, that group with zeros behind, in a stack slot: reading it whole would
 * read past the row. `whole`, `rest`: groups before it and its elements. */
static LLVMValueRef make_rest(Emitter *e, struct PendingLoad *a, int row, LLVMValueRef whole, LLVMValueRef rest) {
  kiln_type type = a->value->type.type;
  int group = group_of(a);
  LLVMTypeRef lane = lower_group_type(e, type, group);
  LLVMValueRef offset = lower_mul(e, whole, lower_i64(e, group));
  LLVMTypeRef memory = a->window.address.memory;
  LLVMValueRef first = lower_address_pointer(e, &a->window.address, row, 0);
  first = LLVMBuildGEP2(e->builder, memory, first, &offset, 1, "");
  LLVMValueRef sum = LLVMConstNull(lane);
  for (int j = 0; j < group - 1; ++j) {
    LLVMValueRef at = lower_i64(e, j);
    LLVMValueRef inside = LLVMBuildICmp(e->builder, LLVMIntSGT, rest, at, "");
    LLVMValueRef pointer = LLVMBuildGEP2(e->builder, memory, first, &at, 1, "");
    pointer = LLVMBuildSelect(e->builder, inside, pointer, lower_zeros(e), "");
    LLVMValueRef element = LLVMBuildZExt(e->builder, load_lanes(e, memory, type, pointer), lane, "");
    LLVMValueRef shift = LLVMConstInt(lane, (unsigned)j * type_bits(type), false);
    sum = LLVMBuildOr(e->builder, sum, LLVMBuildShl(e->builder, element, shift, ""), "");
  }
  LLVMValueRef slot = lower_alloca(e, lane, 1, 4);
  LLVMBuildStore(e->builder, sum, slot);
  return slot;
}

/* A group of a row whose end is not known to be that of a group: from the row, from its rest or from zeros. */
static LLVMValueRef bounded_pointer(Emitter *e, struct PendingLoad *a, int row, int g) {
  int group = group_of(a);
  Bound bound = a->window.col_bound;
  Spot back = lower_go(e, bound.depth);
  LLVMValueRef valid = count_valid(e, bound, 0, a->window.cols);
  LLVMValueRef whole = lower_div(e, valid, group), rest = lower_mod(e, valid, group);
  LLVMValueRef is_whole = LLVMBuildICmp(e->builder, LLVMIntSGT, whole, lower_i64(e, g), "");
  LLVMValueRef is_rest = LLVMBuildICmp(e->builder, LLVMIntEQ, whole, lower_i64(e, g), "");
  lower_back(e, back);
  if (!a->rests) a->rests = LOWER_ARRAY(e, LLVMValueRef, a->window.rows);
  if (!a->rests[row]) a->rests[row] = make_rest(e, a, row, whole, rest);
  LLVMValueRef other = LLVMBuildSelect(e->builder, is_rest, a->rests[row], lower_zeros(e), "");
  LLVMValueRef pointer = lower_address_pointer(e, &a->window.address, row, g * group);
  return LLVMBuildSelect(e->builder, is_whole, pointer, other, "");
}

static LLVMValueRef join_elements_of_a(Emitter *e, struct PendingLoad *a, int row, int g) {
  LLVMValueRef elements[8] = {NULL};
  int group = group_of(a);
  for (int j = 0; j < group; ++j) elements[j] = lower_load_element(e, &a->window, row, g * group + j);
  return lower_join_group(e, elements, group);
}

LLVMValueRef lower_load_group_of_a(Emitter *e, struct PendingLoad *a, int row, int g) {
  int group = group_of(a);
  kiln_type type = a->value->type.type;
  Window *window = &a->window;
  const AddressAxis *cols = &window->address.cols;
  LLVMTypeRef lane = lower_group_type(e, type, group);
  if (!lower_address_is_contiguous(cols, g * group, group)) return join_elements_of_a(e, a, row, g);
  if (window->col_bound.value && cols->block == 0) return load_lanes(e, lane, type, bounded_pointer(e, a, row, g));
  LLVMValueRef pointer = lower_address_pointer(e, &window->address, row, g * group);
  LLVMValueRef mask = mask_of(e, window->col_bound, type, g, group, 1);
  pointer = lower_pointer_if(e, lower_is_below(e, window->col_bound, g * group), pointer, lower_zeros(e));
  LLVMValueRef value = load_lanes(e, lane, type, pointer);
  return mask ? LLVMBuildAnd(e->builder, value, mask, "") : value;
}

LLVMValueRef lower_group_place_of_a(Emitter *e, struct PendingLoad *a, int row, int g) {
  int group = group_of(a);
  if (a->window.col_bound.value) return NULL;
  if (!lower_address_is_contiguous(&a->window.address.cols, g * group, group)) return NULL;
  return lower_address_pointer(e, &a->window.address, row, g * group);
}

/* ---- b ----------------------------------------------------------------------------------------------------------- */

bool lower_has_groups_of_b(const Emitter *e, const Window *window, int group) {
  const Address *address = &window->address;
  bool is_padded = address->rows.block > 0 || group == 1;
  if (window->row_bound.value && !is_padded) return false; /* reading a group whole might read past the bound */
  for (int first = 0; first < window->rows; first += group)
    if (!lower_address_is_contiguous(&address->rows, first, group)) return false;
  bool has_masks = (int)type_bits(window->type) * group == 32 && lower_has_masked_access(e, KILN_I32);
  for (int c = 0; c < lower_chunks(e, window->cols); ++c) {
    int lanes = lower_chunk_lanes(e, window->cols, c), valid = lower_chunk_valid(e, window->cols, c);
    if (!lower_address_is_grouped(&address->cols, c * e->lanes, valid, group)) return false;
    if (valid < lanes && !has_masks) return false;
  }
  return true;
}

/* The first `valid` lanes; anything in the others. */
static LLVMValueRef load_first_lanes(Emitter *e, LLVMTypeRef type, kiln_type element, LLVMValueRef pointer, int valid) {
  LLVMValueRef lanes[64];
  unsigned count = LLVMGetVectorSize(type);
  for (unsigned i = 0; i < count; ++i) lanes[i] = LLVMConstInt(e->i1, (int)i < valid, false);
  LLVMValueRef arguments[] = {pointer, LLVMConstVector(lanes, count), LLVMConstNull(type)};
  LLVMValueRef value = lower_call(e, INTRINSIC_MASKED_LOAD, type, e->pointer, arguments, 3);
  lower_call_align(e, value, 0, align_of(element));
  return value;
}

LLVMValueRef lower_load_group_of_b(Emitter *e, struct PendingLoad *b, int g, int chunk) {
  int group = group_of(b);
  kiln_type type = b->value->type.type;
  Window *window = &b->window;
  int lanes = lower_chunk_lanes(e, window->cols, chunk), valid = lower_chunk_valid(e, window->cols, chunk);
  LLVMTypeRef vector = lower_lanes_of(lower_group_type(e, type, group), lanes);
  LLVMValueRef pointer = lower_address_pointer(e, &window->address, g * group, chunk * e->lanes);
  LLVMValueRef mask = mask_of(e, window->row_bound, type, g, group, lanes);
  pointer = lower_pointer_if(e, lower_is_below(e, window->row_bound, g * group), pointer, lower_zeros(e));
  LLVMValueRef value =
      valid < lanes ? load_first_lanes(e, vector, type, pointer, valid) : load_lanes(e, vector, type, pointer);
  return mask ? LLVMBuildAnd(e->builder, value, mask, "") : value;
}

LLVMValueRef lower_group_place_of_b(Emitter *e, struct PendingLoad *b, int g, int chunk) {
  if (b->window.row_bound.value) return NULL;
  return lower_address_pointer(e, &b->window.address, g * group_of(b), chunk * e->lanes);
}

void lower_load_groups_of_b(Emitter *e, struct PendingLoad *b, LLVMValueRef *parts) {
  int group = group_of(b), chunks = lower_chunks(e, b->window.cols);
  int groups = b->window.rows / group;
  if (lower_has_groups_of_b(e, &b->window, group)) {
    for (int i = 0; i < groups * chunks; ++i) parts[i] = lower_load_group_of_b(e, b, i / chunks, i % chunks);
    return;
  }
  if (lower_can_turn_groups(e, &b->window, group)) {
    lower_load_turned_groups(e, &b->window, group, parts);
    return;
  }
  LLVMValueRef *rows = LOWER_ARRAY(e, LLVMValueRef, b->window.rows * chunks);
  lower_load(e, &b->window, rows);
  join_rows(e, rows, groups, chunks, group, parts);
}
