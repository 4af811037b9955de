/* build.c: the builder: one call an operation, appended to a block.
 *
 * Builders trust their caller: where an operation's type does not follow from its operands, op_result_type puts one in
 * and tile_verify names the fault. Index arithmetic is simplified on the way (build_index.c). */
#include "ir/tile/tile.h"

#include <string.h>

Builder builder_of(Kernel *kernel, Block *block) { return (Builder){.kernel = kernel, .block = block}; }

Value *build_named(Value *value, const char *name) {
  if (value->block) {
    Arena *arena = &value->block->kernel->module->arena;
    value->name = arena_copy(arena, name, strlen(name));
  }
  return value;
}

/* ---- control ----------------------------------------------------------------------------------------------------- */

/* The carried values have the types of the initial ones, in the block and as results. */
Loop build_for(Builder *b, Value *lo, Value *hi, Value *step, Value *const *initial, int count) {
  Op *op = op_create(b, OP_for, 3 + count, count, 1);
  op_set_operand(op, 0, lo);
  op_set_operand(op, 1, hi);
  op_set_operand(op, 2, step);
  Block *body = op->blocks[0] = block_create(b->kernel, op, 1 + count);
  body->arguments[0]->type = type_index();
  for (int i = 0; i < count; i++) {
    op_set_operand(op, 3 + i, initial[i]);
    op->results[i].type = body->arguments[1 + i]->type = initial[i]->type;
  }
  return (Loop){op, body, body->arguments[0], body->arguments + 1};
}

Op *build_if(Builder *b, Value *condition, const TileType *types, int results, bool has_else) {
  Op *op = op_create(b, OP_if, 1, results, 2);
  op_set_operand(op, 0, condition);
  for (int i = 0; i < results; i++) op->results[i].type = types[i];
  op->blocks[0] = block_create(b->kernel, op, 0);
  if (results > 0 || has_else) op->blocks[1] = block_create(b->kernel, op, 0);
  return op;
}

void build_yield(Builder *b, Value *const *values, int count) {
  Op *op = op_create(b, OP_yield, count, 0, 0);
  for (int i = 0; i < count; i++) op_set_operand(op, i, values[i]);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* One index an axis: what the buffer's type says, not how many the caller filled in. */
static Op *build_access(Builder *b, OpCode code, Value *value, Place place, int results) {
  int rank = place.buffer->type.kind == KIND_BUF ? place.buffer->type.buf->rank : 0;
  int count = (value != NULL) + 1 + rank + (place.rows != NULL) + (place.cols != NULL);
  Op *op = op_create(b, code, count, results, 0);
  int next = 0;
  if (value) op_set_operand(op, next++, value);
  op_set_operand(op, next++, place.buffer);
  for (int i = 0; i < rank; i++) op_set_operand(op, next++, place.indices[i]);
  op->has_rows = place.rows != NULL;
  if (place.rows) op_set_operand(op, next++, place.rows);
  op->has_cols = place.cols != NULL;
  if (place.cols) op_set_operand(op, next++, place.cols);
  return op;
}

Value *build_load(Builder *b, OpCode code, Place from, TileType type) {
  Op *op = build_access(b, code, NULL, from, 1);
  op->results[0].type = type;
  return &op->results[0];
}

Value *build_load_streamed(Builder *b, Place from, TileType type) {
  Op *op = build_access(b, OP_frag_load, NULL, from, 1);
  op->results[0].type = type;
  op->number = 1;
  return &op->results[0];
}

void build_store(Builder *b, OpCode code, Value *value, Place to) { build_access(b, code, value, to, 0); }

void build_store_streamed(Builder *b, Value *value, Place to) {
  build_access(b, OP_tile_store, value, to, 0)->number = 1;
}

void build_prefetch(Builder *b, Place at, int level) { build_access(b, OP_prefetch, NULL, at, 0)->number = level; }

Value *build_atomic_add(Builder *b, Value *value, Place at) {
  Op *op = build_access(b, OP_atomic_add, value, at, 1);
  op->results[0].type = type_scalar(KILN_I32);
  return &op->results[0];
}

Value *build_view(Builder *b, Place from, const BufType *type) {
  Op *op = build_access(b, OP_buf_view, NULL, from, 1);
  op->results[0].type = kernel_buf_type(b->kernel, type);
  return &op->results[0];
}

Value *build_scratch(Builder *b, const BufType *type) {
  return build_typed(b, OP_buf_scratch, kernel_buf_type(b->kernel, type), NULL, NULL);
}

Value *build_buf_transpose(Builder *b, Value *buffer, const BufType *type) {
  return build_typed(b, OP_buf_transpose, kernel_buf_type(b->kernel, type), buffer, NULL);
}

Value *build_workspace(Builder *b, Value *byte_offset, const BufType *type) {
  return build_typed(b, OP_buf_workspace, kernel_buf_type(b->kernel, type), byte_offset, NULL);
}

/* ---- plain operations -------------------------------------------------------------------------------------------- */

/* Operations with one result whose type follows. */
static Value *build_inferred(Builder *b, OpCode code, Value *const *operands, int count) {
  Op *op = op_create(b, code, count, 1, 0);
  for (int i = 0; i < count; i++) op_set_operand(op, i, operands[i]);
  op->results[0].type = op_result_type(code, operands, count);
  return &op->results[0];
}

Value *build_unary(Builder *b, OpCode code, Value *x) { return build_inferred(b, code, &x, 1); }

Value *build_binary(Builder *b, OpCode code, Value *x, Value *y) {
  return build_inferred(b, code, (Value *[]){x, y}, 2);
}

Value *build_ternary(Builder *b, OpCode code, Value *x, Value *y, Value *z) {
  return build_inferred(b, code, (Value *[]){x, y, z}, 3);
}

Value *build_typed(Builder *b, OpCode code, TileType type, Value *x, Value *y) {
  Op *op = op_create(b, code, (x != NULL) + (y != NULL), 1, 0);
  if (x) op_set_operand(op, 0, x);
  if (y) op_set_operand(op, x != NULL, y);
  op->results[0].type = type;
  return &op->results[0];
}

/* The number is rounded to the element type when it is used, not here: the text keeps what was written. */
Value *build_const(Builder *b, double number, TileType type) {
  Value *value = build_typed(b, OP_tile_const, type, NULL, NULL);
  value->op->real = number;
  return value;
}

Value *build_slice(Builder *b, Value *x, int row, int column, TileType type) {
  Value *value = build_typed(b, OP_tile_slice, type, x, NULL);
  value->op->number = row;
  value->op->column = column;
  return value;
}
