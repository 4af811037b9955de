/* test_emulate_tiles.c: AMX. Products, loads and stores against this CPU where it has them; the same code without
 * permission, which traps; configurations that the manual refuses. */
#include <criterion/criterion.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/emulate/assemble.h"
#include "tests/emulate/data.h"
#include "tests/emulate/native.h"

enum { MAX_LINE = 160 };

static void assemble_or_fail(const char *lines, Assembled *code) {
  bool is_good = assemble(lines, code);
  cr_assert(is_good, "%s", code->error);
}

static void configure(EmulateTiles *tiles, int tile, int rows, int row_bytes) {
  tiles->config[0] = 1;
  tiles->config[16 + 2 * tile] = (uint8_t)row_bytes;
  tiles->config[48 + tile] = (uint8_t)rows;
}

/* All tiles filled within their shapes, zero beyond. */
static void fill_tiles(EmulateTiles *tiles, Random *random) {
  memset(tiles->data, 0, sizeof tiles->data);
  for (int t = 0; t < EMULATE_TILES; t++) {
    uint8_t bytes[EMULATE_ROWS][EMULATE_ROW_BYTES];
    data_fill(random, bytes, sizeof bytes);
    for (int r = 0; r < tiles->config[48 + t]; r++) memcpy(tiles->data[t][r], bytes[r], tiles->config[16 + 2 * t]);
  }
}

/* A product tmm1 += tmm2 * tmm3 of random shape; the other tiles hold a row. */
static void random_product(EmulateTiles *tiles, Random *random) {
  int m = 1 + random_below(random, 16), n = 1 + random_below(random, 16), k = 1 + random_below(random, 16);
  memset(tiles, 0, sizeof *tiles);
  for (int t = 0; t < EMULATE_TILES; t++) configure(tiles, t, 1, 4);
  configure(tiles, 1, m, 4 * n);
  configure(tiles, 2, m, 4 * k);
  configure(tiles, 3, k, 4 * n);
  fill_tiles(tiles, random);
}

static void compare_tiles(const char *line, const EmulateTiles *wanted, const EmulateTiles *got) {
  cr_assert_eq(memcmp(wanted->config, got->config, sizeof wanted->config), 0, "%s: configuration", line);
  for (int t = 0; t < EMULATE_TILES; t++)
    for (int r = 0; r < EMULATE_ROWS; r++)
      for (int i = 0; i < EMULATE_ROW_BYTES; i += 4) {
        uint32_t a, b;
        memcpy(&a, wanted->data[t][r] + i, 4);
        memcpy(&b, got->data[t][r] + i, 4);
        cr_assert_eq(a, b, "%s: tile %d, row %d, dword %d: wanted %08x, got %08x", line, t, r, i / 4, a, b);
      }
}

static EmulateStatus step(const char *line, EmulateState *state) {
  Assembled code;
  assemble_or_fail(line, &code);
  EmulateStatus status = emulate_step(state, code.bytes, code.size);
  assemble_release(&code);
  return status;
}

/* ---- against the CPU --------------------------------------------------------------------------------------------- */

static void compare_product(Native *native, const char *name, Random *random) {
  char line[MAX_LINE];
  Assembled code;
  snprintf(line, sizeof line, "%s tmm1, tmm2, tmm3", name);
  assemble_or_fail(line, &code);
  for (int round = 0; round < 400; round++) {
    EmulateTiles cpu, emulated;
    EmulateState state = data_state(random, native_has("avx512bw"));
    random_product(&cpu, random);
    emulated = cpu;
    state.tiles = &cpu;
    native_run(native, &state, code.bytes, code.size);
    state.tiles = &emulated;
    cr_assert_eq(emulate_step(&state, code.bytes, code.size), EMULATE_DONE);
    compare_tiles(line, &cpu, &emulated);
  }
  assemble_release(&code);
}

Test(emulate_tiles, products_agree_with_the_cpu) {
  Native native;
  Random random = {2};
  if (!native_has("amx-tile") || !native_permit_amx()) {
    printf("NOT EXERCISED: emulated amx-tile against the CPU: this CPU or its kernel gives no AMX\n");
    return;
  }
  cr_assert(native_create(&native, true));
  for (int i = 0; i < instruction_count; i++)
    if (instructions[i].form == FORM_TILE3 && native_has(instructions[i].feature))
      compare_product(&native, instructions[i].name, &random);
  native_destroy(&native);
}

/* Small numbers of each kind, whose products and sums are exact in any order. */
static uint32_t small_bits(const char *kind, int value) {
  static const uint32_t f16[5] = {0, 0x3C00, 0x4000, 0x4200, 0x4400}, bf8[5] = {0, 0x3C, 0x40, 0x42, 0x44};
  static const uint32_t f32[5] = {0, 0x3F800000, 0x40000000, 0x40400000, 0x40800000};
  static const uint32_t hf8[5] = {0, 0x38, 0x40, 0x44, 0x48};
  uint32_t size = (uint32_t)(value < 0 ? -value : value), sign = value < 0;
  switch (kind[0]) {
  case 'b': return bf8[size] | sign << 7;
  case 'h': return hf8[size] | sign << 7;
  case '2': return f16[size] | sign << 15;
  default: return f32[size] | sign << 31;
  }
}

typedef struct ExactCase {
  const char *name, *a, *b; /* kinds: b BF8, h HF8, 2 binary16, 4 binary32 */
  int bytes;                /* of a number */
} ExactCase;

static void check_exact(const ExactCase *c, Random *random) {
  EmulateTiles tiles = {.config = {0}};
  EmulateState state = {.tiles = &tiles};
  enum { M = 13, N = 11, DWORDS = 15 };
  int per_dword = 4 / c->bytes, k_count = DWORDS * per_dword, a[M][64], b[64][N];
  configure(&tiles, 1, M, 4 * N);
  configure(&tiles, 2, M, 4 * DWORDS);
  configure(&tiles, 3, DWORDS, 4 * N);
  for (int k = 0; k < k_count; k++) {
    for (int m = 0; m < M; m++) {
      uint32_t bits = small_bits(c->a, a[m][k] = random_below(random, 9) - 4);
      memcpy(tiles.data[2][m] + k * c->bytes, &bits, (size_t)c->bytes);
    }
    for (int n = 0; n < N; n++) {
      uint32_t bits = small_bits(c->b, b[k][n] = random_below(random, 9) - 4);
      memcpy(tiles.data[3][k / per_dword] + 4 * n + k % per_dword * c->bytes, &bits, (size_t)c->bytes);
    }
  }
  char line[MAX_LINE];
  snprintf(line, sizeof line, "%s tmm1, tmm2, tmm3", c->name);
  cr_assert_eq(step(line, &state), EMULATE_DONE);
  for (int m = 0; m < M; m++)
    for (int n = 0; n < N; n++) {
      int sum = 0;
      float got;
      for (int k = 0; k < k_count; k++) sum += a[m][k] * b[k][n];
      memcpy(&got, tiles.data[1][m] + 4 * n, 4);
      cr_assert_eq(got, (float)sum, "%s: row %d, column %d: %g, not %d", line, m, n, (double)got, sum);
    }
}

Test(emulate_tiles, products_of_whole_tiles_are_exact) {
  static const ExactCase cases[] = {{"tdpfp16ps", "2", "2", 2}, {"tmmultf32ps", "4", "4", 4},
                                    {"tdpbf8ps", "b", "b", 1},  {"tdpbhf8ps", "b", "h", 1},
                                    {"tdphbf8ps", "h", "b", 1}, {"tdphf8ps", "h", "h", 1}};
  Random random = {5};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int round = 0; round < 5; round++) check_exact(&cases[i], &random);
}

/* A product that this CPU lacks, on tiles that it has: they are in the frame. */
Test(emulate_tiles, missing_products_use_the_tiles_of_the_cpu) {
  Native native;
  Assembled code;
  Random random = {4};
  if (!native_has("amx-tile") || native_has("amx-tf32") || !native_permit_amx()) return;
  assemble_or_fail("tmmultf32ps tmm1, tmm2, tmm3", &code);
  cr_assert(emulate_install() && native_create(&native, true));
  for (int round = 0; round < 50; round++) {
    EmulateTiles trapped, direct;
    EmulateState state = data_state(&random, native_has("avx512bw"));
    random_product(&trapped, &random);
    direct = trapped;
    state.tiles = &trapped;
    native_run(&native, &state, code.bytes, code.size);
    state.tiles = &direct;
    cr_assert_eq(emulate_step(&state, code.bytes, code.size), EMULATE_DONE);
    compare_tiles("tmmultf32ps", &direct, &trapped);
  }
  cr_assert_eq(emulate_count("tmmultf32ps"), 50);
  native_destroy(&native);
  assemble_release(&code);
}

/* ---- shapes and configurations ----------------------------------------------------------------------------------- */

Test(emulate_tiles, shapes_that_do_not_agree_are_invalid) {
  static const uint8_t shapes[][6] = {/* rows and bytes of tmm1, tmm2, tmm3; the first is good */
                                      {2, 8, 2, 12, 3, 8}, {3, 8, 2, 12, 3, 8}, {2, 4, 2, 12, 3, 8},
                                      {2, 8, 2, 12, 2, 8}, {2, 6, 2, 12, 3, 6}, {0, 0, 2, 12, 3, 8}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    EmulateTiles tiles = {.config = {1}}, before;
    EmulateState state = {.tiles = &tiles};
    for (int t = 0; t < 3; t++) configure(&tiles, t + 1, shapes[i][2 * t], shapes[i][2 * t + 1]);
    before = tiles;
    cr_assert_eq(step("tdpbssd tmm1, tmm2, tmm3", &state), i == 0 ? EMULATE_DONE : EMULATE_INVALID, "shapes %zu", i);
    cr_assert_eq(memcmp(&before, &tiles, sizeof tiles), 0);
  }
  EmulateTiles none = {.config = {0}};
  EmulateState state = {.tiles = &none};
  cr_assert_eq(step("tilezero tmm1", &state), EMULATE_INVALID);
  cr_assert_eq(step("tdpbf16ps tmm1, tmm2, tmm3", &state), EMULATE_INVALID);
}

/* Byte `at` of a good configuration becomes `value`. */
static EmulateStatus load_changed(int at, uint8_t value, EmulateTiles *tiles) {
  EmulateTiles source = {.config = {1}};
  EmulateState state = {.tiles = tiles, .gpr = {(uint64_t)(uintptr_t)source.config}};
  for (int t = 0; t < EMULATE_TILES; t++) configure(&source, t, 16, 64);
  source.config[at] = value;
  return step("ldtilecfg [rax]", &state);
}

Test(emulate_tiles, configurations_are_checked) {
  EmulateTiles tiles = {.config = {0}};
  cr_assert_eq(load_changed(0, 1, &tiles), EMULATE_DONE);
  memset(tiles.data, 1, sizeof tiles.data);
  cr_assert_eq(load_changed(0, 2, &tiles), EMULATE_INVALID, "palette 2");
  cr_assert_eq(load_changed(5, 1, &tiles), EMULATE_INVALID, "a reserved byte");
  cr_assert_eq(load_changed(32, 1, &tiles), EMULATE_INVALID, "bytes of tile 8");
  cr_assert_eq(load_changed(56, 1, &tiles), EMULATE_INVALID, "rows of tile 8");
  cr_assert_eq(load_changed(16, 65, &tiles), EMULATE_INVALID, "65 bytes");
  cr_assert_eq(load_changed(17, 1, &tiles), EMULATE_INVALID, "320 bytes");
  cr_assert_eq(load_changed(48, 17, &tiles), EMULATE_INVALID, "17 rows");
  cr_assert_eq(load_changed(48, 0, &tiles), EMULATE_INVALID, "no rows of 64 bytes");
  cr_assert_eq(tiles.data[7][15][63], 1, "a refused configuration changes nothing");
  cr_assert_eq(load_changed(0, 0, &tiles), EMULATE_DONE, "palette 0");
  cr_assert_eq(tiles.config[16], 0, "palette 0 configures nothing");
  cr_assert_eq(tiles.data[7][15][63], 0, "a configuration zeroes tiles");
}

/* Rows at a stride, tails, and nothing beyond: ASan sees a byte too many. */
Test(emulate_tiles, loads_and_stores_keep_to_the_shape) {
  enum { ROWS = 3, BYTES = 20, STRIDE = 24 };
  EmulateTiles tiles = {.config = {0}};
  uint8_t memory[(ROWS - 1) * STRIDE + BYTES], stored[sizeof memory] = {0};
  EmulateState state = {.tiles = &tiles,
                        .gpr = {(uint64_t)(uintptr_t)memory - 8, STRIDE / 4, (uint64_t)(uintptr_t)stored}};
  for (size_t i = 0; i < sizeof memory; i++) memory[i] = (uint8_t)(i + 1);
  configure(&tiles, 6, ROWS, BYTES);
  memset(tiles.data, 0xFF, sizeof tiles.data);
  cr_assert_eq(step("tileloadd tmm6, [rax + 4*rcx + 8]", &state), EMULATE_DONE);
  cr_assert_eq(step("tilestored [rdx + 4*rcx], tmm6", &state), EMULATE_DONE);
  for (int r = 0; r < EMULATE_ROWS; r++)
    for (int i = 0; i < EMULATE_ROW_BYTES; i++) {
      uint8_t wanted = r < ROWS && i < BYTES ? memory[r * STRIDE + i] : 0;
      cr_assert_eq(tiles.data[6][r][i], wanted, "row %d, byte %d", r, i);
    }
  for (int i = 0; i < (int)sizeof memory; i++)
    cr_assert_eq(stored[i], i % STRIDE < BYTES ? memory[i] : 0, "stored byte %d", i);
  cr_assert_eq(tiles.data[5][0][0], 0xFF, "another tile");
}

Test(emulate_tiles, rows_become_vectors) {
  EmulateTiles tiles = {.config = {0}};
  EmulateState state = {.tiles = &tiles, .has_avx512 = true, .gpr = {0, 2}};
  static const uint32_t row[3] = {0x3F808001, 0xFFFFFFFE, 0x33800000};
  configure(&tiles, 3, 4, 12);
  memcpy(tiles.data[3][2], row, sizeof row);
  static const struct {
    const char *line;
    uint32_t wanted[4];
  } cases[] = {{"tilemovrow zmm20, tmm3, ecx", {0x3F808001, 0xFFFFFFFE, 0x33800000, 0}},
               {"tilemovrow zmm20, tmm3, 2", {0x3F808001, 0xFFFFFFFE, 0x33800000, 0}},
               {"tcvtrowd2ps zmm20, tmm3, ecx", {0x4E7E0200, 0xC0000000, 0x4E4E0000, 0}},
               {"tcvtrowps2bf16h zmm20, tmm3, 2", {0x3F810000, 0xFFFF0000, 0x33800000, 0}},
               {"tcvtrowps2bf16l zmm20, tmm3, 2", {0x3F81, 0xFFFF, 0x3380, 0}},
               {"tcvtrowps2phh zmm20, tmm3, ecx", {0x3C040000, 0xFFFF0000, 0x00010000, 0}},
               {"tcvtrowps2phl zmm20, tmm3, 2", {0x3C04, 0xFFFF, 0x0001, 0}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    memset(state.vector[20], 0xAA, 64);
    cr_assert_eq(step(cases[i].line, &state), EMULATE_DONE);
    cr_assert_eq(memcmp(state.vector[20], cases[i].wanted, 16), 0, "%s", cases[i].line);
    cr_assert_eq(state.vector[20][63], 0);
  }
  state.gpr[1] = 4;
  cr_assert_eq(step("tilemovrow zmm20, tmm3, ecx", &state), EMULATE_INVALID);
}

static sigjmp_buf refused;

static void on_refusal(int number) {
  (void)number;
  siglongjmp(refused, 1);
}

/* LDTILECFG on the CPU needs no permission; a configuration that it refuses is #GP. */
static bool cpu_accepts(const uint8_t *config) {
  if (sigsetjmp(refused, 1)) return false;
  __asm__ volatile(".byte 0xC4, 0xE2, 0x78, 0x49, 0x00" ::"a"(config) : "memory"); /* ldtilecfg [rax] */
  __asm__ volatile(".byte 0xC4, 0xE2, 0x78, 0x49, 0xC0" ::: "memory");             /* tilerelease */
  return true;
}

/* Every byte of a good configuration changed in turn. */
Test(emulate_tiles, the_cpu_checks_configurations_alike) {
  static const uint8_t values[] = {0, 1, 2, 4, 15, 16, 17, 63, 64, 65, 255};
  if (!native_has("amx-tile")) return;
  signal(SIGSEGV, on_refusal);
  for (int at = 0; at < 64; at++)
    for (size_t i = 0; i < sizeof values; i++) {
      EmulateTiles source = {.config = {0}}, tiles;
      EmulateState state = {.tiles = &tiles, .gpr = {(uint64_t)(uintptr_t)source.config}};
      static const uint8_t code[] = {0xC4, 0xE2, 0x78, 0x49, 0x00};
      for (int t = 0; t < EMULATE_TILES; t++) configure(&source, t, 16, 64);
      source.config[at] = values[i];
      bool is_good = emulate_step(&state, code, sizeof code) == EMULATE_DONE;
      cr_assert_eq(is_good, cpu_accepts(source.config), "byte %d is %d: emulator %d", at, values[i], is_good);
    }
}

/* ---- trapping ---------------------------------------------------------------------------------------------------- */

typedef struct ByteProduct {
  uint8_t config[64], a[16][64];
  int8_t b[16][64];
  int32_t c[16][16], stored[16][16];
} ByteProduct;

static const char byte_product[] = "ldtilecfg [rdi]\n"
                                   "mov eax, 64\n"
                                   "tileloadd tmm0, [rdi + rax + 2112]\n"
                                   "tileloadd tmm1, [rdi + rax + 64]\n"
                                   "tileloaddt1 tmm2, [rdi + rax + 1088]\n"
                                   "tdpbusd tmm0, tmm1, tmm2\n"
                                   "tilestored [rdi + rax + 3136], tmm0\n"
                                   "tilezero tmm0\n"
                                   "tilerelease\n"
                                   "ret\n";

static void check_byte_product(const ByteProduct *p) {
  for (int m = 0; m < 16; m++)
    for (int n = 0; n < 16; n++) {
      int32_t sum = p->c[m][n];
      for (int k = 0; k < 16; k++)
        for (int i = 0; i < 4; i++) sum += p->a[m][4 * k + i] * p->b[k][4 * n + i];
      cr_assert_eq(p->stored[m][n], sum, "row %d, column %d: %d, not %d", m, n, p->stored[m][n], sum);
    }
}

/* A page of code, executable. */
static void *make_executable(const Assembled *code) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code->bytes, code->size);
  mprotect(page, 4096, PROT_READ | PROT_EXEC);
  return page;
}

static ByteProduct random_bytes(void) {
  Random random = {3};
  ByteProduct p;
  EmulateTiles tiles = {.config = {0}};
  for (size_t i = 0; i < sizeof p; i++) ((uint8_t *)&p)[i] = (uint8_t)random_bits(&random);
  memset(p.c, 0, sizeof p.c);
  for (int t = 0; t < 3; t++) configure(&tiles, t, 16, 64);
  memcpy(p.config, tiles.config, sizeof p.config);
  return p;
}

/* In a process that did not ask for AMX, every use of tile data traps, on a CPU with AMX as on one without. */
Test(emulate_tiles, code_without_permission_is_emulated) {
  Assembled code;
  ByteProduct p = random_bytes();
  union {
    void *page;
    void (*run)(ByteProduct *);
  } entry;
  assemble_or_fail(byte_product, &code);
  entry.page = make_executable(&code);
  cr_assert(emulate_install());
  entry.run(&p);
  check_byte_product(&p);
  cr_assert_eq(emulate_count("tdp*"), 1);
  cr_assert_eq(emulate_count("tileload*"), 3);
  cr_assert_eq(emulate_count("tilestored"), 1);
  emulate_reset();
  cr_assert_eq(emulate_count("*"), 0);
  entry.run(&p); /* stale tiles and counts are gone */
  check_byte_product(&p);
  emulate_trace_begin();
  entry.run(&p);
  emulate_trace_end();
  check_byte_product(&p);
  cr_assert_eq(emulate_count("tdpbusd"), 2);
  cr_assert_geq(emulate_count("ldtilecfg"), 1);
  cr_assert_geq(emulate_count("tilerelease"), 1);
  emulate_remove();
  munmap(entry.page, 4096);
  assemble_release(&code);
}

/* With permission the CPU executes all of it, and traced the emulator does, on the tiles of the frame. */
Test(emulate_tiles, code_with_permission_runs_natively_and_traced) {
  Assembled code;
  ByteProduct p = random_bytes();
  union {
    void *page;
    void (*run)(ByteProduct *);
  } entry;
  if (!native_has("amx-tile") || !native_permit_amx() || !emulate_install()) return;
  assemble_or_fail(byte_product, &code);
  entry.page = make_executable(&code);
  entry.run(&p);
  check_byte_product(&p);
  cr_assert_eq(emulate_count("*"), 0);
  memset(p.stored, 0, sizeof p.stored);
  emulate_trace_begin();
  entry.run(&p);
  emulate_trace_end();
  check_byte_product(&p);
  cr_assert_eq(emulate_count("*"), 8);
  memset(p.stored, 0, sizeof p.stored);
  entry.run(&p);
  check_byte_product(&p);
  munmap(entry.page, 4096);
  assemble_release(&code);
}
