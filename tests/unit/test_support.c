/* test_support.c: arenas, text, diagnostics, log events and element types.
 *
 * Rounding of the small floats is checked at every point where it changes its result: at the middle between any two
 * neighbours and one f64 step to each side, against values decoded by other means than the library's. */
#include "ir/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An allocator that fails after some allocations and counts what lives. */
typedef struct Budget {
  int left, living;
} Budget;

static void *budget_alloc(void *ctx, size_t bytes, size_t align) {
  Budget *budget = ctx;
  if (budget->left == 0) return NULL;
  budget->left--;
  budget->living++;
  return allocator_default.alloc(NULL, bytes, align);
}

static void budget_release(void *ctx, void *memory) {
  Budget *budget = ctx;
  if (memory) budget->living--;
  free(memory);
}

/* ---- arena ------------------------------------------------------------------------------------------------------- */

Test(arena, gives_zeroed_aligned_memory_of_any_size) {
  Arena arena;
  arena_init(&arena, NULL);
  static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 5000, 16 << 10, 64 << 10, 3 << 20};
  for (int round = 0; round < 50; round++) {
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
      if (sizes[i] > 100000 && round > 2) continue;
      unsigned char *memory = arena_alloc(&arena, sizes[i]);
      cr_assert_not_null(memory);
      cr_assert_eq((uintptr_t)memory % 16, 0);
      for (size_t b = 0; b < sizes[i]; b++) cr_assert_eq(memory[b], 0);
      memset(memory, 0xff, sizes[i]);
    }
  }
  cr_assert(!arena_has_failed(&arena));
  arena_release(&arena);
  cr_assert_eq(arena.total_bytes, 0);
  cr_assert_str_eq(arena_copy(&arena, "again", 2), "ag");
  arena_release(&arena);
}

Test(arena, goes_on_soundly_when_the_allocator_fails) {
  for (int allowed = 0; allowed < 4; allowed++) {
    Budget budget = {allowed, 0};
    Arena arena;
    arena_init(&arena, &(Allocator){&budget, budget_alloc, budget_release});
    VECTOR(int) numbers = {0};
    for (int i = 0; i < 100000; i++) VECTOR_PUSH(&arena, numbers, i);
    for (int i = 0; i < 100000; i++) cr_assert_eq(numbers.items[i], i);
    cr_assert(arena_has_failed(&arena));
    cr_assert_null(arena_alloc(&arena, 100 << 20));
    cr_assert_not_null(arena_alloc(&arena, (64 << 10) - 1));
    arena_release(&arena);
    cr_assert_eq(budget.living, 0);
    cr_assert(!arena_has_failed(&arena));
  }
}

Test(arena, refuses_impossible_sizes) {
  Arena arena;
  arena_init(&arena, NULL);
  cr_assert_null(arena_alloc(&arena, SIZE_MAX));
  cr_assert(arena_has_failed(&arena));
  arena_release(&arena);
}

Test(allocator, keeps_the_alignment) {
  for (size_t align = 1; align <= 4096; align *= 2) {
    for (size_t bytes = 0; bytes < 100; bytes += 33) {
      void *memory = allocator_default.alloc(NULL, bytes, align);
      cr_assert_eq((uintptr_t)memory % align, 0);
      allocator_default.release(NULL, memory);
    }
  }
  cr_assert_null(allocator_default.alloc(NULL, SIZE_MAX - 10, 64));
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

Test(text, grows_and_formats) {
  Text text;
  text_init(&text, NULL);
  cr_assert_str_eq(text_get(&text), "");
  for (int i = 0; i < 1000; i++) text_printf(&text, "%d,", i);
  cr_assert_eq(text.length, 3890);
  text_clear(&text);
  cr_assert_str_eq(text_get(&text), "");
  text_printf(&text, "%0600d", 7);
  cr_assert_eq(strlen(text_get(&text)), 600);
  cr_assert_eq(text_get(&text)[599], '7');
  text_clear(&text);
  text_add(&text, "one\nab");
  text_pad(&text, 5);
  text_pad(&text, 2);
  text_add_char(&text, '|');
  cr_assert_str_eq(text_get(&text), "one\nab   |");
  text_release(&text);
  cr_assert_str_eq(text_get(&text), "");
}

Test(text, drops_what_does_not_fit_the_memory) {
  Budget budget = {1, 0};
  Text text;
  text_init(&text, &(Allocator){&budget, budget_alloc, budget_release});
  text_add(&text, "kept");
  text_printf(&text, "%0600d", 7);
  text_add(&text, "dropped");
  cr_assert(text.failed);
  cr_assert_str_eq(text_get(&text), "kept");
  text_release(&text);
  cr_assert_eq(budget.living, 0);
}

static void check_number(double number, const char *expected) {
  Text text;
  text_init(&text, NULL);
  text_add_number(&text, number);
  if (expected) cr_assert_str_eq(text_get(&text), expected, "%s, expected %s", text_get(&text), expected);
  double back = strtod(text_get(&text), NULL);
  cr_assert(memcmp(&back, &number, sizeof back) == 0 || isnan(number), "%a printed as %s", number, text_get(&text));
  text_release(&text);
}

Test(text, numbers_are_short_and_read_back) {
  static const struct {
    double number;
    const char *text;
  } rows[] = {
      {0, "0"},
      {-0.0, "-0"},
      {1, "1"},
      {-1, "-1"},
      {0.5, "0.5"},
      {0.1, "0.1"},
      {10, "10"},
      {1e6, "1000000"},
      {1234.5, "1234.5"},
      {1e15, "1000000000000000"},
      {1e16, "1e+16"},
      {1e-4, "0.0001"},
      {1e-5, "1e-05"},
      {1.5e-7, "1.5e-07"},
      {0x1p-1074, "5e-324"},
      {INFINITY, "inf"},
      {-INFINITY, "-inf"},
      {NAN, "nan"},
      {1e300, "1e+300"},
      {1.0 / 3, "0.3333333333333333"},
      {0x1.fffffffffffffp1023, "1.7976931348623157e+308"},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) check_number(rows[i].number, rows[i].text);
  uint64_t state = 1;
  for (int i = 0; i < 20000; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    double number;
    memcpy(&number, &state, sizeof number);
    if (!isnan(number)) check_number(number, NULL);
    check_number((double)(int)(state >> 44) / 64, NULL);
  }
}

Test(text, json_is_escaped_and_valid_utf8) {
  static const struct {
    const char *bytes, *json;
  } rows[] = {
      {"plain", "\"plain\""},
      {"a\"b\\c\n\t\r\x7f", "\"a\\\"b\\\\c\\n\\t\\u000d\\u007f\""},
      {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
      {"\xff.\xc3", "\"\\ufffd.\\ufffd\""},
      {"\xc0\x80", "\"\\ufffd\\ufffd\""},
      {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
  };
  for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
    Text text;
    text_init(&text, NULL);
    text_add_json(&text, rows[i].bytes, strlen(rows[i].bytes));
    cr_assert_str_eq(text_get(&text), rows[i].json, "row %zu: %s", i, text_get(&text));
    text_release(&text);
  }
}

/* ---- diagnostics and log ----------------------------------------------------------------------------------------- */

static void check_print(SourcePos pos, const char *message, const char *source, const char *expected) {
  Diagnostics diagnostics;
  diagnostics_init(&diagnostics, NULL);
  diagnostics_report(&diagnostics, pos, "%s", message);
  Text out;
  text_init(&out, NULL);
  diagnostics_print(&diagnostics, NULL, source, source ? strlen(source) : 0, &out);
  cr_assert_str_eq(text_get(&out), expected, "%s", text_get(&out));
  text_release(&out);
  diagnostics_release(&diagnostics);
}

Test(diagnostics, point_into_the_text) {
  check_print((SourcePos){2, 3}, "no such name 'q'", "x: f32\ny q", "2:3: no such name 'q'\n  y q\n    ^\n");
  check_print((SourcePos){1, 4}, "m", "\tab\n", "1:4: m\n  \tab\n  \t  ^\n");
  check_print((SourcePos){1, 3}, "m", "\xc3\xa9z", "1:3: m\n  \xc3\xa9z\n   ^\n");
  check_print((SourcePos){3, 1}, "m", "a\nb", "3:1: m\n");
  check_print((SourcePos){2, 1}, "m", "a\n", "2:1: m\n  \n  ^\n");
  check_print((SourcePos){0, 0}, "a\nb\x1b[1m", "x", "a?b?[1m\n");
  check_print((SourcePos){7, 7}, "m", NULL, "7:7: m\n");
}

Test(diagnostics, show_a_long_line_around_the_fault) {
  char *source = malloc(100000);
  memset(source, 'x', 99999);
  source[99999] = 0;
  Diagnostics diagnostics;
  diagnostics_init(&diagnostics, NULL);
  diagnostics_report(&diagnostics, (SourcePos){1, 50000}, "%s", source);
  Text out;
  text_init(&out, NULL);
  diagnostics_print(&diagnostics, "graph", source, 99999, &out);
  cr_assert_lt(out.length, 1500);
  cr_assert_eq(strncmp(text_get(&out), "graph:1:50000: xxx", 18), 0);
  cr_assert_not_null(strstr(text_get(&out), "\n  ...xxx"));
  free(source);
  text_release(&out);
  diagnostics_release(&diagnostics);
}

Test(diagnostics, stop_at_the_limit) {
  Diagnostics diagnostics;
  diagnostics_init(&diagnostics, NULL);
  for (unsigned i = 1; i <= DIAGNOSTICS_LIMIT + 5; i++) diagnostics_report(&diagnostics, (SourcePos){i, 1}, "m");
  cr_assert_eq(diagnostics.list.count, DIAGNOSTICS_LIMIT);
  cr_assert_eq(diagnostics.suppressed, 5);
  diagnostics_release(&diagnostics);
  cr_assert_eq(diagnostics.list.count, 0);
}

static void remember(void *ctx, kiln_log_level level, const char *message) {
  Text *text = ctx;
  text_printf(text, "%d:%s;", (int)level, message);
}

Test(log, is_one_line_and_optional) {
  Text text;
  text_init(&text, NULL);
  kiln_log log = {&text, remember};
  log_event(&log, KILN_LOG_WARNING, "a\n%d", 3);
  log_event(NULL, KILN_LOG_ERROR, "nobody");
  log_event(&(kiln_log){0}, KILN_LOG_ERROR, "nobody");
  cr_assert_str_eq(text_get(&text), "1:a?3;");
  text_release(&text);
}

Test(status, has_name_and_text) {
  cr_assert_str_eq(kiln_status_name(KILN_OK), "ok");
  cr_assert_str_eq(kiln_status_name(KILN_INTERNAL), "internal");
  for (int i = 0; i < KILN_STATUS_COUNT; i++) cr_assert_str_not_empty(kiln_status_text((kiln_status)i));
  cr_assert_str_eq(kiln_status_name(KILN_STATUS_COUNT), "unknown");
  cr_assert_str_eq(kiln_status_text((kiln_status)-1), "unknown");
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

Test(type, names_are_found) {
  for (int i = 0; i < KILN_TYPE_COUNT; i++) {
    const char *name = kiln_type_name((kiln_type)i);
    kiln_type type;
    cr_assert(type_find(name, strlen(name), &type));
    cr_assert_eq((int)type, i);
    cr_assert(!type_find(name, strlen(name) - 1, &type) || (int)type != i);
    cr_assert_str_not_empty(type_meaning(type));
  }
  kiln_type type;
  cr_assert(!type_find("f320", 4, &type));
  cr_assert(!type_find("", 0, &type));
  cr_assert_str_eq(kiln_type_name(KILN_TYPE_COUNT), "unknown");
}

Test(type, sizes_and_compute_types) {
  cr_assert_eq(type_bytes(KILN_I4, 3), 2);
  cr_assert_eq(type_bytes(KILN_U4, 4), 2);
  cr_assert_eq(type_bytes(KILN_F64, 3), 24);
  cr_assert_eq(type_bytes(KILN_BOOL, 3), 3);
  cr_assert_eq(type_bytes(KILN_F32, SIZE_MAX / 2), SIZE_MAX);
  cr_assert_eq(type_compute(KILN_F64), KILN_F64);
  cr_assert_eq(type_compute(KILN_F8E4M3), KILN_F32);
  cr_assert_eq(type_compute(KILN_U4), KILN_I32);
}

/* Value of an f16 by the compiler's own type, and of the others by way of it or of f32. */
static double f16_value(unsigned bits) {
  uint16_t word = (uint16_t)bits;
  _Float16 half;
  memcpy(&half, &word, sizeof half);
  return (double)half;
}

static double expected_value(kiln_type type, unsigned bits) {
  if (type == KILN_F16) return f16_value(bits);
  if (type == KILN_F8E5M2) return f16_value(bits << 8);
  if (type == KILN_F8E4M3) {
    if ((bits & 0x7f) == 0x7f) return NAN;
    return f16_value((bits & 0x80) << 8 | (bits & 0x7f) << 7) * 256; /* the biases differ by 8 */
  }
  uint32_t word = bits << 16;
  float single;
  memcpy(&single, &word, sizeof single);
  return (double)single;
}

static bool same(double a, double b) { return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b)); }

static const struct {
  kiln_type type;
  unsigned codes, largest; /* bit patterns, and that of the largest finite value */
} small_floats[] = {
    {KILN_F16, 1 << 16, 0x7bff},
    {KILN_BF16, 1 << 16, 0x7f7f},
    {KILN_F8E4M3, 1 << 8, 0x7e},
    {KILN_F8E5M2, 1 << 8, 0x7b},
};

Test(type, every_small_float_is_read_and_written_back) {
  for (size_t i = 0; i < ARRAY_LENGTH(small_floats); i++) {
    kiln_type type = small_floats[i].type;
    for (unsigned bits = 0; bits < small_floats[i].codes; bits++) {
      uint16_t word = (uint16_t)bits, back[2] = {0, 0};
      double value = type_load(type, &word, 0);
      cr_assert(same(value, expected_value(type, bits)), "%s %#x is %g", kiln_type_name(type), bits, value);
      cr_assert(same(type_round(type, value), value), "%s %#x", kiln_type_name(type), bits);
      type_store(type, back, 1, value);
      unsigned stored = type_bits(type) == 8 ? (unsigned)back[0] >> 8 : back[1];
      if (isnan(value)) cr_assert(isnan(expected_value(type, stored)));
      else cr_assert_eq(stored, bits);
    }
  }
}

/* What lies `steps` f64 values above a positive number. */
static double beside(double value, int steps) { return steps ? nextafter(value, steps > 0 ? INFINITY : 0) : value; }

Test(type, rounding_of_small_floats_is_right_at_every_boundary) {
  for (size_t i = 0; i < ARRAY_LENGTH(small_floats); i++) {
    kiln_type type = small_floats[i].type;
    unsigned largest = small_floats[i].largest;
    double overflow = type == KILN_F8E4M3 ? NAN : INFINITY;
    for (unsigned code = 0; code <= largest; code++) {
      double low = expected_value(type, code);
      double step = code < largest ? expected_value(type, code + 1) - low : low - expected_value(type, code - 1);
      double high = code < largest ? low + step : overflow;
      for (int side = -1; side <= 1; side++) {
        double probe = beside(low + step / 2, side);
        double expected = side < 0 || (side == 0 && code % 2 == 0) ? low : high;
        for (int sign = -1; sign <= 1; sign += 2) {
          double rounded = type_round(type, sign * probe);
          cr_assert(same(rounded, sign * expected), "%s: %a becomes %a, expected %a", kiln_type_name(type),
                    sign * probe, rounded, sign * expected);
        }
      }
    }
    cr_assert(same(type_round(type, INFINITY), overflow));
    cr_assert(same(type_round(type, -INFINITY), -overflow));
    cr_assert(same(type_round(type, 1e308), overflow));
    cr_assert(same(type_round(type, -0x1p-1074), -0.0));
    cr_assert(isnan(type_round(type, NAN)));
  }
}

Test(type, rounding_of_large_floats_and_integers) {
  cr_assert_eq(type_round(KILN_F32, 0.1), (double)0.1f);
  cr_assert_eq(type_round(KILN_F64, 0.1), 0.1);
  static const struct {
    kiln_type type;
    double least, most;
  } rows[] = {
      {KILN_I32, -0x1p31, 0x1p31 - 1}, {KILN_I8, -128, 127}, {KILN_U8, 0, 255}, {KILN_I4, -8, 7}, {KILN_U4, 0, 15}};
  for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
    kiln_type type = rows[i].type;
    cr_assert_eq(type_round(type, INFINITY), rows[i].most);
    cr_assert_eq(type_round(type, -1e300), rows[i].least);
    cr_assert_eq(type_round(type, rows[i].most + 0.5), rows[i].most);
    cr_assert_eq(type_round(type, NAN), 0);
    cr_assert_eq(type_round(type, 2.5), 2);
    cr_assert_eq(type_round(type, 3.5), 4);
    cr_assert(same(type_round(type, -0.25), 0));
  }
  cr_assert_eq(type_round(KILN_I8, -2.5), -2);
  cr_assert_eq(type_round(KILN_BOOL, 0.25), 1);
  cr_assert_eq(type_round(KILN_BOOL, -0.0), 0);
}

Test(type, every_integer_is_read_and_written) {
  static const kiln_type types[] = {KILN_I32, KILN_I8, KILN_U8, KILN_I4, KILN_U4, KILN_BOOL, KILN_F32, KILN_F64};
  for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
    double storage[300] = {0}, expected[300];
    for (size_t at = 0; at < 300; at++) {
      double value = (double)at - 150;
      type_store(types[i], storage, at, value);
      expected[at] = type_round(types[i], value);
    }
    for (size_t at = 0; at < 300; at++)
      cr_assert_eq(type_load(types[i], storage, at), expected[at], "%s[%zu]", kiln_type_name(types[i]), at);
  }
  unsigned char nibbles[] = {0x9f};
  cr_assert_eq(type_load(KILN_U4, nibbles, 0), 15);
  cr_assert_eq(type_load(KILN_I4, nibbles, 0), -1);
  cr_assert_eq(type_load(KILN_I4, nibbles, 1), -7);
}
