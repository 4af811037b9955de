/* ops.c: the rows of ops.def as data, and what follows about an operation from its row and operands. */
#include "ir/tile/tile.h"

#include <string.h>

static const OpInfo infos[OP_COUNT] = {
#define ROW(name, spelling, stage, syntax, operands, result, effect, meaning)                                          \
  [OP_##name] = {#name, spelling, STAGE_##stage, SYNTAX_##syntax, operands, RESULT_##result, EFFECT_##effect, meaning},
#define CONTROL_OP(name, syntax, spelling, operands, result, effect, meaning)                                          \
  ROW(name, spelling, CONTROL, syntax, operands, result, effect, meaning)
#define INDEX_OP(name, syntax, spelling, operands, result, effect, meaning)                                            \
  ROW(name, spelling, INDEX, syntax, operands, result, effect, meaning)
#define MEMORY_OP(name, syntax, spelling, operands, result, effect, meaning)                                           \
  ROW(name, spelling, MEMORY, syntax, operands, result, effect, meaning)
#define TILE_OP(name, syntax, spelling, operands, result, effect, meaning)                                             \
  ROW(name, spelling, TILE, syntax, operands, result, effect, meaning)
#define FRAG_OP(name, syntax, spelling, operands, result, effect, meaning)                                             \
  ROW(name, spelling, FRAG, syntax, operands, result, effect, meaning)
#include "ir/tile/ops.def"
#undef CONTROL_OP
#undef INDEX_OP
#undef MEMORY_OP
#undef TILE_OP
#undef FRAG_OP
#undef ROW
};

const OpInfo *op_info(OpCode code) {
  KILN_ASSERT((unsigned)code < OP_COUNT);
  return &infos[code];
}

/* A linear search: a name is looked up once a statement, next to which this is nothing. */
bool op_find(const char *name, size_t length, OpCode *code) {
  for (int i = 0; i < OP_COUNT; i++) {
    if (strlen(infos[i].name) == length && memcmp(infos[i].name, name, length) == 0) {
      *code = (OpCode)i;
      return true;
    }
  }
  return false;
}

Access access_of(const Op *op) {
  KILN_ASSERT(op_info(op->code)->syntax == SYNTAX_ACCESS);
  Access access = {0};
  int first = op_stores(op->code) ? 1 : 0;
  int last = op->operand_count;
  if (op->has_cols) access.cols = op->operands[--last];
  if (op->has_rows) access.rows = op->operands[--last];
  if (first) access.value = op->operands[0];
  access.buffer = op->operands[first];
  access.indices = op->operands + first + 1;
  access.index_count = last - first - 1;
  return access;
}

/* ---- types that follow ------------------------------------------------------------------------------------------- */

static bool is_scalar(TileType type, kiln_type element) { return tile_type_equal(type, type_scalar(element)); }

/* Of index arithmetic: indexes, but for the condition of `select` and the scalar `index` reads. */
static bool index_operands_fit(OpCode code, Value *const *operands, int count) {
  for (int i = 0; i < count; i++) {
    TileType type = operands[i]->type;
    bool fits = code == OP_index_select && i == 0 ? is_scalar(type, KILN_BOOL)
                : code == OP_index_tile           ? is_scalar(type, KILN_I32)
                                                  : type.kind == KIND_INDEX;
    if (!fits) return false;
  }
  return true;
}

/* Widens `extent` to `other` as broadcasting does. */
static bool broadcast_extent(int *extent, int other) {
  if (*extent == 1) *extent = other;
  return other == 1 || other == *extent;
}

/* All tiles, of one element type but for the condition of a select, with extents equal or 1. */
static bool broadcast_operands(OpCode code, Value *const *operands, int count, TileType *type) {
  int first = code == OP_tile_select ? 1 : 0; /* the operand that gives the element type */
  if (count <= first || operands[first]->type.kind != KIND_TILE) return false;
  *type = operands[first]->type;
  for (int i = 0; i < count; i++) {
    TileType operand = operands[i]->type;
    kiln_type element = i < first ? KILN_BOOL : operands[first]->type.type;
    if (operand.kind != KIND_TILE || operand.type != element || !broadcast_extent(&type->rows, operand.rows) ||
        !broadcast_extent(&type->cols, operand.cols))
      return false;
  }
  return true;
}

bool op_infer(OpCode code, Value *const *operands, int count, TileType *type) {
  const OpInfo *info = op_info(code);
  if (info->operands >= 0 && count != info->operands) return false;
  TileType first = count > 0 ? operands[0]->type : type_index();
  switch (info->result) {
  case RESULT_INDEX: *type = type_index(); return index_operands_fit(code, operands, count);
  case RESULT_SAME: return broadcast_operands(code, operands, count, type);
  case RESULT_BOOL:
    if (info->stage == STAGE_INDEX) {
      *type = type_scalar(KILN_BOOL);
      return index_operands_fit(code, operands, count);
    }
    if (!broadcast_operands(code, operands, count, type)) return false;
    type->type = KILN_BOOL;
    return true;
  case RESULT_ACC: *type = first; return first.kind == KIND_FRAG || first.kind == KIND_TILE;
  case RESULT_REDUCED_ROWS: *type = type_tile(first.rows, 1, first.type); return first.kind == KIND_TILE;
  case RESULT_REDUCED_COLS: *type = type_tile(1, first.cols, first.type); return first.kind == KIND_TILE;
  case RESULT_TRANSPOSED: *type = type_tile(first.cols, first.rows, first.type); return first.kind == KIND_TILE;
  case RESULT_NONE:
  case RESULT_TYPED: return false;
  }
  return false;
}

TileType op_result_type(OpCode code, Value *const *operands, int count) {
  TileType type;
  if (op_infer(code, operands, count, &type)) return type;
  const OpInfo *info = op_info(code);
  if (info->stage == STAGE_INDEX) return info->result == RESULT_BOOL ? type_scalar(KILN_BOOL) : type_index();
  return count > 0 ? operands[0]->type : type_index();
}
