/* module.c: modules, kernels, blocks and operations: making them and keeping use counts.
 *
 * Everything lives in the module's arena. When that runs out of memory the structures made afterwards are not to be
 * trusted (support.h); who builds a module asks arena_has_failed(&module->arena) before using it. */
#include "ir/tile/tile.h"

#include <string.h>

/* The module itself lies outside of its arena, which it contains. */
Module *module_create(const Allocator *allocator) {
  const Allocator *from = allocator ? allocator : &allocator_default;
  Module *module = from->alloc(from->ctx, sizeof *module, _Alignof(Module));
  if (!module) return NULL;
  *module = (Module){0};
  arena_init(&module->arena, from);
  return module;
}

void module_destroy(Module *module) {
  if (!module) return;
  Allocator allocator = module->arena.allocator;
  arena_release(&module->arena);
  allocator.release(allocator.ctx, module);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

Kernel *kernel_create(Module *module, const char *name) {
  Kernel *kernel = ARENA_NEW(&module->arena, Kernel);
  kernel->module = module;
  kernel->name = arena_copy(&module->arena, name, strlen(name));
  kernel->header = block_create(kernel, NULL, 0);
  kernel->body = block_create(kernel, NULL, 1);
  kernel->body->arguments[0]->type = type_index();
  kernel->body->arguments[0]->name = "task";
  VECTOR_PUSH(&module->arena, module->kernels, kernel);
  return kernel;
}

/* A linear search: kernels have few symbols, TILE_MAX_SYMBOLS at most where a text is the source. */
int kernel_find_symbol(const Kernel *kernel, const char *name, size_t length) {
  for (size_t i = 0; i < kernel->symbols.count; i++) {
    const char *other = kernel->symbols.items[i].name;
    if (strlen(other) == length && memcmp(other, name, length) == 0) return (int)i;
  }
  return -1;
}

int kernel_symbol(Kernel *kernel, const char *name, bool is_param) {
  int found = kernel_find_symbol(kernel, name, strlen(name));
  if (found >= 0) return found;
  Arena *arena = &kernel->module->arena;
  Symbol symbol = {arena_copy(arena, name, strlen(name)), is_param};
  VECTOR_PUSH(arena, kernel->symbols, symbol);
  return (int)kernel->symbols.count - 1;
}

static const BufType *copy_buf(Kernel *kernel, const BufType *type) {
  BufType *copy = ARENA_NEW(&kernel->module->arena, BufType);
  *copy = *type;
  return copy;
}

TileType kernel_buf_type(Kernel *kernel, const BufType *type) { return type_buf(copy_buf(kernel, type)); }

Value *kernel_buffer(Kernel *kernel, const char *name, const BufType *type) {
  Arena *arena = &kernel->module->arena;
  Value *buffer = ARENA_NEW(arena, Value);
  buffer->type = kernel_buf_type(kernel, type);
  buffer->name = arena_copy(arena, name, strlen(name));
  buffer->number = (int)kernel->buffers.count;
  buffer->id = kernel->value_count++;
  VECTOR_PUSH(arena, kernel->buffers, buffer);
  return buffer;
}

/* ---- blocks and operations --------------------------------------------------------------------------------------- */

/* Arguments have no types yet. */
Block *block_create(Kernel *kernel, Op *parent, int arguments) {
  Arena *arena = &kernel->module->arena;
  Block *block = ARENA_NEW(arena, Block);
  block->kernel = kernel;
  block->parent = parent;
  block->argument_count = arguments;
  block->arguments = ARENA_ARRAY(arena, Value *, arguments);
  for (int i = 0; i < arguments; i++) {
    Value *argument = ARENA_NEW(arena, Value);
    argument->block = block;
    argument->number = i;
    argument->id = kernel->value_count++;
    block->arguments[i] = argument;
  }
  return block;
}

/* Operands, blocks and the types of results are for the caller to set. */
Op *op_create(Builder *b, OpCode code, int operands, int results, int blocks) {
  Arena *arena = &b->kernel->module->arena;
  Op *op = ARENA_NEW(arena, Op);
  op->code = code;
  op->pos = b->pos;
  op->block = b->block;
  op->operand_count = operands;
  op->result_count = results;
  op->block_count = blocks;
  op->operands = ARENA_ARRAY(arena, Value *, operands);
  op->results = ARENA_ARRAY(arena, Value, results);
  op->blocks = ARENA_ARRAY(arena, Block *, blocks);
  for (int i = 0; i < results; i++)
    op->results[i] = (Value){.op = op, .block = b->block, .number = i, .id = b->kernel->value_count++};
  op->previous = b->block->last;
  *(b->block->last ? &b->block->last->next : &b->block->first) = op;
  b->block->last = op;
  return op;
}

void op_set_operand(Op *op, int number, Value *value) {
  if (op->operands[number]) op->operands[number]->use_count--;
  op->operands[number] = value;
  value->use_count++;
}

/* Takes back the uses that an operation and all in its blocks make. */
static void drop_uses(Op *op) {
  for (int i = 0; i < op->operand_count; i++) {
    if (op->operands[i]) op->operands[i]->use_count--;
  }
  for (int i = 0; i < op->block_count; i++) {
    if (!op->blocks[i]) continue;
    for (Op *inner = op->blocks[i]->first; inner; inner = inner->next) drop_uses(inner);
  }
}

void op_remove(Op *op) {
  for (int i = 0; i < op->result_count; i++) KILN_ASSERT(op->results[i].use_count == 0);
  drop_uses(op);
  *(op->previous ? &op->previous->next : &op->block->first) = op->next;
  *(op->next ? &op->next->previous : &op->block->last) = op->previous;
  op->previous = op->next = NULL;
}
