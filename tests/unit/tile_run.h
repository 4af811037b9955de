/* tile_run.h: tile IR as text, interpreted: what the tests of the interpreter share. */
#ifndef KILN_TESTS_UNIT_TILE_RUN_H
#define KILN_TESTS_UNIT_TILE_RUN_H

#include "ir/tile/tile.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct Outcome {
  kiln_status status;
  uint32_t line; /* of the first fault */
  char fault[256];
} Outcome;

/* Parses and verifies a text and runs all tasks of its first kernel. */
static inline Outcome tile_run(const char *text, const TileRun *run, const Allocator *allocator) {
  Outcome outcome = {.status = KILN_SYNTAX};
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  Module *module = tile_parse(text, strlen(text), NULL, &faults);
  cr_assert_not_null(module);
  if (faults.list.count == 0) outcome.status = tile_verify(module, &faults);
  if (outcome.status == KILN_OK) {
    const Kernel *kernel = module->kernels.items[0];
    outcome.status = tile_interpret(kernel, run, 0, tile_tasks(kernel, run->symbols), allocator, &faults);
    cr_assert_eq(outcome.status == KILN_INVALID_TILE, faults.list.count == 1);
  } else {
    cr_log_error("%s\n%s", text, faults.list.count ? faults.list.items[0].message : "no fault is named");
  }
  if (faults.list.count > 0) {
    outcome.line = faults.list.items[0].pos.line;
    snprintf(outcome.fault, sizeof outcome.fault, "%s", faults.list.items[0].message);
  }
  module_destroy(module);
  diagnostics_release(&faults);
  return outcome;
}

static inline void tile_run_well(const char *text, void *const *buffers, const int64_t *symbols) {
  Outcome outcome = tile_run(text, &(TileRun){.buffers = buffers, .symbols = symbols}, NULL);
  cr_assert_eq(outcome.status, KILN_OK, "%s\nline %u: %s", text, outcome.line, outcome.fault);
}

/* A fault on this line whose message contains the words. */
static inline void tile_run_ill(const char *text, const TileRun *run, uint32_t line, const char *words) {
  Outcome outcome = tile_run(text, run, NULL);
  cr_assert_eq(outcome.status, KILN_INVALID_TILE, "%s\nno fault, expected: %s", text, words);
  cr_assert(strstr(outcome.fault, words), "%s\nexpected: %s\nfound: %s", text, words, outcome.fault);
  cr_assert_eq(outcome.line, line, "line %u, expected %u: %s", outcome.line, line, outcome.fault);
}

static inline bool is_same_number(double x, double y) {
  return isnan(x) || isnan(y) ? isnan(x) && isnan(y) : x == y && !signbit(x) == !signbit(y);
}

#endif
