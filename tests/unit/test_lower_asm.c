/* Narrow questions to the assembly of lowered kernels: no spill in a k loop, one instruction where one is meant. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/lower_run.h"

/* ---- reading assembly -------------------------------------------------------------------------------------------- */

enum { MAX_LINES = 20000 };

typedef struct Assembly {
  char *text;
  char *lines[MAX_LINES];
  int count;
} Assembly;

static Assembly read_assembly(const char *text, const char *target) {
  Assembly a = {.text = lower_assembly(text, target)};
  char *rest = a.text;
  for (char *line; a.count < MAX_LINES && (line = strsep(&rest, "\n")) != NULL;) a.lines[a.count++] = line;
  cr_assert_lt(a.count, MAX_LINES);
  return a;
}

static bool contains(const char *line, const char *word) { return strstr(line, word) != NULL; }

/* The line a jump goes back to; -1: it is none. */
static int loop_start(const Assembly *a, int at) {
  const char *label = strstr(a->lines[at], ".LBB");
  if (a->lines[at][0] != '\t' || a->lines[at][1] != 'j' || label == NULL) return -1;
  for (int i = 0; i < at; ++i)
    if (strncmp(a->lines[i], label, strlen(label)) == 0 && a->lines[i][strlen(label)] == ':') return i;
  return -1;
}

typedef struct ProductLoop {
  int instructions, products, spills, copies;
} ProductLoop;

/* Innermost loops with a product, in the order of the text. */
static int find_product_loops(const Assembly *a, ProductLoop *loops, int most) {
  int count = 0, last_start = -1;
  for (int end = 0; end < a->count; ++end) {
    int start = loop_start(a, end);
    if (start <= last_start) continue; /* not a loop, or around one already seen */
    ProductLoop loop = {0};
    for (int i = start; i <= end; ++i) {
      if (a->lines[i][0] != '\t' || a->lines[i][1] == '.') continue;
      ++loop.instructions;
      loop.products += contains(a->lines[i], "vfmadd");
      loop.spills += contains(a->lines[i], "(%rsp");
      loop.copies += contains(a->lines[i], "\tvmova") && !contains(a->lines[i], "(");
    }
    last_start = start;
    if (loop.products > 0 && count < most) loops[count++] = loop;
  }
  return count;
}

static int count_word(const Assembly *a, const char *word) {
  int count = 0;
  for (int i = 0; i < a->count; ++i) count += contains(a->lines[i], word);
  return count;
}

/* ---- the k loop -------------------------------------------------------------------------------------------------- */

/* A row-major with any lda, B in panels or row-major with any ldb, k a symbol, rows and columns bounded or not. */
static void write_gemm(Text *text, int mr, int nr, int ku, bool is_bounded, bool is_packed) {
  char panels[64];
  snprintf(panels, sizeof panels, ", [k, n], col_panel %dx1", nr);
  text_printf(
      text,
      "kernel @gemm(%%a: buf<f32, [m, k], [lda, 1]>, %%b: buf<f32%s>, %%c: buf<f32, [m, n], [ldc, 1]>)\n"
      "    symbols m, n, k, lda, ldb, ldc\n    tasks ceildiv(m, %d) * ceildiv(n, %d) {\n"
      "  %%i = %d * (%%task / ceildiv(n, %d))\n  %%j = %d * (%%task %% ceildiv(n, %d))\n  %%whole = k / %d * %d\n"
      "  %%zero = frag_zero : frag<acc, %dx%d, f32>\n",
      is_packed ? panels : ", [k, n], [ldb, 1]", mr, nr, mr, nr, nr, nr, ku, ku, mr, nr);
  for (int tail = 0; tail < 2; ++tail)
    text_printf(text,
                "  %%%s = for %%p = %s to %s step %d carry %%sum = %%%s {\n"
                "    %%fa = frag_load %%a[%%i, %%p]%s : frag<a, %dx%d, f32>\n"
                "    %%fb = frag_load %%b[%%p, %%j]%s : frag<b, %dx%d, f32>\n"
                "    %%next = mma %%sum, %%fa, %%fb\n    yield %%next\n  }\n",
                tail ? "acc" : "main", tail ? "%whole" : "0", tail ? "k" : "%whole", tail ? 1 : ku,
                tail ? "main" : "zero", is_bounded ? " rows m - %i" : "", mr, tail ? 1 : ku,
                is_bounded && !is_packed ? " cols n - %j" : "", tail ? 1 : ku, nr);
  text_printf(text, "  frag_store %%acc, %%c[%%i, %%j]%s\n}\n", is_bounded ? " rows m - %i cols n - %j" : "");
}

static void check_k_loop(const char *target, int mr, int nr, bool is_bounded, bool is_packed) {
  enum { KU = 4 };
  Text text;
  ProductLoop loops[4];
  text_init(&text, NULL);
  write_gemm(&text, mr, nr, KU, is_bounded, is_packed);
  Assembly a = read_assembly(text_get(&text), target);
  int chunks = nr / target_lanes(target_find(target));
  cr_assert_eq(find_product_loops(&a, loops, 4), 2, "%s %dx%d: expected the main loop and that of the rest", target, mr,
               nr);
  for (int i = 0; i < 2; ++i) {
    int steps = i == 0 ? KU : 1;
    cr_expect_eq(loops[i].products, steps * mr * chunks, "%s %dx%d: %d products", target, mr, nr, loops[i].products);
    cr_expect_eq(loops[i].spills, 0, "%s %dx%d (%d, %d): %d accesses to the stack in a k loop", target, mr, nr,
                 is_bounded, is_packed, loops[i].spills);
    cr_expect_eq(loops[i].copies, 0, "%s %dx%d: %d copies of vectors in a k loop", target, mr, nr, loops[i].copies);
    /* Products, a load for each row and chunk, and what advances. */
    int most = steps * (mr * chunks + mr + chunks) + (is_packed ? 4 : 8);
    cr_expect_leq(loops[i].instructions, most, "%s %dx%d: %d instructions, expected up to %d", target, mr, nr,
                  loops[i].instructions, most);
  }
  free(a.text);
  text_release(&text);
}

/* Where B is row-major its rows take registers too, more than there are with many rows of A; and its column bound takes
 * vector registers for masks on AVX2. */
static void check_tiles(const char *target, const int (*tiles)[2], size_t count) {
  bool has_mask_registers = target_lanes(target_find(target)) == 16;
  for (size_t i = 0; i < count; ++i) {
    check_k_loop(target, tiles[i][0], tiles[i][1], false, true);
    check_k_loop(target, tiles[i][0], tiles[i][1], true, true);
    if (tiles[i][0] <= 8) check_k_loop(target, tiles[i][0], tiles[i][1], false, false);
    if (tiles[i][0] <= 8 && has_mask_registers) check_k_loop(target, tiles[i][0], tiles[i][1], true, false);
  }
}

Test(lower_asm, k_loop_avx512) {
  static const int tiles[][2] = {{8, 48}, {7, 48}, {12, 32}, {11, 32}, {10, 32},
                                 {6, 64}, {5, 64}, {4, 64},  {3, 64},  {1, 64}};
  check_tiles("skylake-avx512", tiles, ARRAY_LENGTH(tiles));
  check_tiles("znver5", tiles, 3);
}

Test(lower_asm, k_loop_avx2) {
  static const int tiles[][2] = {{6, 16}, {5, 16}, {4, 24}, {3, 24}, {3, 32}, {1, 32}};
  check_tiles("haswell", tiles, ARRAY_LENGTH(tiles));
}

Test(lower_asm, size_of_gemm) {
  Text text;
  text_init(&text, NULL);
  write_gemm(&text, 8, 48, 4, true, true);
  int count = lower_count_instructions(text_get(&text), "skylake-avx512");
  cr_log_info("8x48 gemm: %d LLVM instructions", count);
  cr_expect_leq(count, 700, "%d", count);
  text_release(&text);
}

/* ---- single instructions ----------------------------------------------------------------------------------------- */

static void check_words(const char *body, const char *target, const char *word, int count, const char *never) {
  Text text;
  text_init(&text, NULL);
  text_printf(
      &text,
      "kernel @k(%%in: buf<f32, [4, 32]>, %%out: buf<f32, [4, 32]>) {\n  %%x = tile_load %%in[0, 0] : tile<1x16, f32>\n"
      "%s  tile_store %%y, %%out[0, 0]\n}\n",
      body);
  Assembly a = read_assembly(text_get(&text), target);
  cr_expect_eq(count_word(&a, word), count, "%s: %d '%s' in\n%s", target, count_word(&a, word), word, body);
  cr_expect_eq(count_word(&a, never), 0, "%s: '%s' in\n%s", target, never, body);
  free(a.text);
  text_release(&text);
}

Test(lower_asm, maximum_of_a_number_is_one_instruction) {
  const char *relu = "  %zero = tile_const 0 : f32\n  %y = tile_max %x, %zero\n";
  check_words(relu, "skylake-avx512", "vmaxps", 1, "vcmp");
  check_words(relu, "haswell", "vmaxps", 2, "vcmp");
  check_words(relu, "x86-64", "maxps", 4, "cmp");
  check_words("  %six = tile_const 6 : f32\n  %y = tile_min %six, %x\n", "skylake-avx512", "vminps", 1, "vcmp");
}

Test(lower_asm, scalars_are_broadcast_in_the_operand) {
  const char *body = "  %s = tile_load %in[3, 5] : f32\n  %y = tile_mul %x, %s\n";
  check_words(body, "skylake-avx512", "{1to16}", 1, "vbroadcast");
}
