/* test_emulate_tiles.c: AMX. Products, loads and stores against this CPU where it has them; the same code without
 * permission, which traps; configurations that the manual refuses. */
#include <criterion/criterion.h>
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
    printf("NOT EXERCISED: emulated AMX against the CPU: this CPU has no AMX\n");
    return;
  }
  cr_assert(native_create(&native, true));
  for (int i = 0; i < instruction_count; i++)
    if (instructions[i].form == FORM_TILE3 && native_has(instructions[i].feature))
      compare_product(&native, instructions[i].name, &random);
  native_destroy(&native);
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
