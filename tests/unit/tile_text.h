/* tile_text.h: tile IR as text, parsed, verified and printed: what the tests of the language share. */
#ifndef KILN_TESTS_UNIT_TILE_TEXT_H
#define KILN_TESTS_UNIT_TILE_TEXT_H

#include "ir/tile/tile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Faults of parsing or, where there are none, of verifying, a line each with its position. */
static inline void add_faults(const Diagnostics *faults, Text *out) {
  for (size_t i = 0; i < faults->list.count; i++) {
    Diagnostic fault = faults->list.items[i];
    if (fault.pos.line) text_printf(out, "%u:%u: ", fault.pos.line, fault.pos.column);
    text_printf(out, "%s\n", fault.message);
  }
}

static inline void expect_text(const Text *found, const char *expected) {
  cr_expect_str_eq(text_get(found), expected, "expected\n%s\nfound\n%s", expected, text_get(found));
}

/* A module that stands in the text or came from a builder. */
static inline void expect_module(const Module *module, const char *text) {
  Text out;
  text_init(&out, NULL);
  tile_print(module, &out);
  expect_text(&out, text);
  text_release(&out);
}

static inline void expect_verified(const Module *module, const char *expected) {
  Diagnostics faults;
  Text out;
  diagnostics_init(&faults, NULL);
  text_init(&out, NULL);
  kiln_status status = tile_verify(module, &faults);
  add_faults(&faults, &out);
  expect_text(&out, expected);
  cr_expect_eq(status, *expected ? KILN_INVALID_TILE : KILN_OK);
  diagnostics_release(&faults);
  text_release(&out);
}

/* Parses and, if that finds no fault, verifies; all faults must be `expected`. */
static inline void expect_faults(const char *text, const char *expected) {
  Diagnostics faults;
  Text out;
  diagnostics_init(&faults, NULL);
  text_init(&out, NULL);
  Module *module = tile_parse(text, strlen(text), NULL, &faults);
  cr_assert_not_null(module);
  if (faults.list.count == 0) tile_verify(module, &faults);
  add_faults(&faults, &out);
  expect_text(&out, expected);
  module_destroy(module);
  diagnostics_release(&faults);
  text_release(&out);
}

/* Parses without a fault; free with module_destroy. */
static inline Module *parse_well(const char *text) {
  Diagnostics faults;
  Text out;
  diagnostics_init(&faults, NULL);
  text_init(&out, NULL);
  Module *module = tile_parse(text, strlen(text), NULL, &faults);
  add_faults(&faults, &out);
  cr_assert_not_null(module);
  cr_assert_eq(faults.list.count, 0, "%s\n%s", text, text_get(&out));
  diagnostics_release(&faults);
  text_release(&out);
  return module;
}

/* The text is canonical and without faults. */
static inline void expect_canonical(const char *text) {
  Module *module = parse_well(text);
  expect_verified(module, "");
  expect_module(module, text);
  module_destroy(module);
}

/* The text prints as `canonical`, which is. */
static inline void expect_prints(const char *text, const char *canonical) {
  Module *module = parse_well(text);
  expect_module(module, canonical);
  module_destroy(module);
  expect_canonical(canonical);
}

#endif
