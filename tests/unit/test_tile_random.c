/* Random tile IR is valid, prints as text that is the same module, and runs in the interpreter without a fault. */
#include "tests/fuzz/random_tile.h"
#include "tests/unit/tile_text.h"

#include <stdlib.h>

static void interpret(const RandomTile *tile, const Kernel *kernel) {
  void *buffers[RANDOM_BUFFERS];
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  for (size_t i = 0; i < tile->buffer_count; i++) {
    buffers[i] = malloc(random_tile_bytes(tile, i) + 1);
    cr_assert_not_null(buffers[i]);
    random_tile_fill(tile, i, buffers[i]);
  }
  TileRun run = {.buffers = buffers, .symbols = tile->symbols};
  run.workspace_bytes = tile_workspace(kernel, tile->symbols);
  run.workspace = malloc((size_t)run.workspace_bytes + 1);
  kiln_status status = tile_interpret(kernel, &run, 0, tile_tasks(kernel, tile->symbols), NULL, &faults);
  cr_expect_eq(status, KILN_OK, "seed %llu: line %u: %s", (unsigned long long)tile->seed, faults.list.items[0].pos.line,
               faults.list.items[0].message);
  for (size_t i = 0; i < tile->buffer_count; i++) free(buffers[i]);
  free(run.workspace);
  diagnostics_release(&faults);
}

static void check_seed(uint64_t seed) {
  RandomTile tile = random_tile_make(seed, NULL, 0);
  Text text;
  text_init(&text, NULL);
  tile_print(tile.module, &text);
  expect_verified(tile.module, "");
  expect_canonical(text_get(&text));
  Module *again = parse_well(text_get(&text));
  interpret(&tile, again->kernels.items[0]);
  module_destroy(again);
  text_release(&text);
  random_tile_release(&tile);
}

Test(tile_random, modules_are_valid) {
  for (uint64_t seed = 1; seed <= 200; seed++) check_seed(seed);
}

/* Generation depends on nothing but the seed. */
Test(tile_random, seeds_are_all_there_is) {
  RandomTile a = random_tile_make(42, NULL, 0), b = random_tile_make(42, NULL, 0);
  Text text;
  text_init(&text, NULL);
  tile_print(a.module, &text);
  expect_module(b.module, text_get(&text));
  text_release(&text);
  random_tile_release(&a);
  random_tile_release(&b);
}

static bool contains(const Block *block, OpCode code) {
  for (const Op *op = block->first; op; op = op->next) {
    if (op->code == code) return true;
    for (int i = 0; i < op->block_count; i++) {
      if (op->blocks[i] && contains(op->blocks[i], code)) return true;
    }
  }
  return false;
}

Test(tile_random, every_operation_occurs) {
  bool occurs[OP_COUNT] = {0};
  for (uint64_t seed = 1; seed <= 400; seed++) {
    RandomTile tile = random_tile_make(seed, NULL, 0);
    const Kernel *kernel = tile.module->kernels.items[0];
    for (int code = 0; code < OP_COUNT; code++)
      occurs[code] |= contains(kernel->body, (OpCode)code) || contains(kernel->header, (OpCode)code);
    random_tile_release(&tile);
  }
  for (int code = 0; code < OP_COUNT; code++) cr_expect(occurs[code], "'%s' never occurs", op_info((OpCode)code)->name);
}
