/* test_emulate_values.c: results worked out by hand, for what may not be on the CPU at hand: every sign of integer dot
 * products, AVX-NE-CONVERT, VDPPHPS, conversions of 8-bit floats, and the tile products of AMX-FP16, AMX-TF32 and
 * AMX-FP8. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/emulate/assemble.h"
#include "tests/emulate/native.h"
#include "tests/emulate/operands.h"

/* Executes a line on a state. */
static void step(const char *line, EmulateState *state) {
  Assembled code;
  bool is_good = assemble(line, &code);
  cr_assert(is_good, "%s", code.error);
  cr_assert_eq(emulate_step(state, code.bytes, code.size), EMULATE_DONE, "%s", line);
  assemble_release(&code);
}

static void set(EmulateState *state, int vector, int dword, uint32_t value) {
  memcpy(state->vector[vector] + 4 * dword, &value, 4);
}

static uint32_t get(const EmulateState *state, int vector, int dword) {
  uint32_t value;
  memcpy(&value, state->vector[vector] + 4 * dword, 4);
  return value;
}

/* ---- dot products of a lane -------------------------------------------------------------------------------------- */

typedef struct DotCase {
  const char *name;
  uint32_t c, a, b, wanted;
} DotCase;

/* Bytes of a: 255 or -1, 128 or -128, 127, 1; of b: 1, 2, 255 or -1, 128 or -128. */
static const DotCase dots[] = {
    {"vpdpbusd", 1000, 0x017F80FF, 0x80FF0201, 1000 + 255 + 256 - 127 - 128},
    {"vpdpbssd", 1000, 0x017F80FF, 0x80FF0201, 1000 - 1 - 256 - 127 - 128},
    {"vpdpbsud", 1000, 0x017F80FF, 0x80FF0201, 1000 - 1 - 256 + 127 * 255 + 128},
    {"vpdpbuud", 1000, 0x017F80FF, 0x80FF0201, 1000 + 255 + 256 + 127 * 255 + 128},
    {"vpdpbuud", 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 4 * 255 * 255 - 1},
    {"vpdpbuuds", 0xFFFFFFFF, 0x00000001, 0x00000001, 0xFFFFFFFF},
    {"vpdpbuuds", 0xFFFC07FB, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
    {"vpdpbuuds", 0xFFFC07FA, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE},
    {"vpdpbssds", 0x7FFFFFFF, 0x80808080, 0x80808080, 0x7FFFFFFF},
    {"vpdpbssds", 0x80000000, 0x80808080, 0x7F7F7F7F, 0x80000000},
    {"vpdpbssds", 0x80000000, 0x80808080, 0x80808080, 0x80010000},
    {"vpdpbsuds", 0x80000000, 0x80808080, 0xFFFFFFFF, 0x80000000},
    {"vpdpbsuds", 0x7FFFFFFE, 0x00000001, 0x00000002, 0x7FFFFFFF},
    {"vpdpbusds", 0x7FFFFFF0, 0xFFFFFFFF, 0x7F7F7F7F, 0x7FFFFFFF},
    {"vpdpbssd", 0x7FFFFFFF, 0x80808080, 0x80808080, 0x8000FFFF},
    /* words of a: 65535 or -1, 32768 or -32768; of b: 65535 or -1, 2 */
    {"vpdpwssd", 5, 0x8000FFFF, 0x0002FFFF, 5u + 1 - 65536},
    {"vpdpwsud", 5, 0x8000FFFF, 0x0002FFFF, 5u - 65535 - 65536},
    {"vpdpwusd", 5, 0x8000FFFF, 0x0002FFFF, 5u - 65535 + 65536},
    {"vpdpwuud", 5, 0x8000FFFF, 0x0002FFFF, 5u + 4294836225u + 65536},
    {"vpdpwuuds", 5, 0x8000FFFF, 0x0002FFFF, 5u + 4294836225u + 65536},
    {"vpdpwuuds", 65536, 0x8000FFFF, 0x0002FFFF, 0xFFFFFFFF},
    {"vpdpwuuds", 0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF},
    {"vpdpwssds", 1, 0x80008000, 0x80008000, 0x7FFFFFFF},
    {"vpdpwsuds", 0x80000000, 0x0000FFFF, 0x00000001, 0x80000000},
    {"vpdpwusds", 0x7FFF0000, 0x0000FFFF, 0x00000002, 0x7FFFFFFF},
    /* binary16: odd pair first, then even; 1 + 2^-24 is 1, and minus 1 is 0; the other order gives 2^-24 */
    {"vdpphps", 0x3F800000, 0xBC000C00, 0x3C000C00, 0x33800000},
    {"vdpphps", 0x3F800000, 0x0C00BC00, 0x0C003C00, 0x00000000},
    {"vdpphps", 0x00000000, 0x00000001, 0x00000001, 0x27800000}, /* denormal binary16 counts: 2^-48 */
    {"vdpphps", 0x00000001, 0x00000000, 0x00000000, 0x00000000}, /* denormal binary32 does not */
    {"vdpphps", 0x40000000, 0x00007C01, 0x00003C00, 0x7FC02000}, /* a signalling NaN, quiet */
    {"vdpphps", 0x40000000, 0x00007C00, 0x00000000, 0xFFC00000}, /* infinity times zero */
    {"vdpphps", 0x3F800000, 0x40003C00, 0x40003C00, 0x40C00000}, /* 1 + 4 + 1 */
    /* bfloat16: the same, and denormals are zero */
    {"vdpbf16ps", 0x3F800000, 0xBF803980, 0x3F803980, 0x33800000},
    {"vdpbf16ps", 0x3F800000, 0x3980BF80, 0x39803F80, 0x00000000},
    {"vdpbf16ps", 0x3F800000, 0x00000001, 0x00007F00, 0x3F800000},
    {"vdpbf16ps", 0x00800000, 0x00001A00, 0x00009A00, 0x00000000}, /* 2^-126 - 2^-150 is tiny, and flushed */
    {"vdpbf16ps", 0x00800000, 0x00001A00, 0x00009980, 0x00800000}, /* 2^-126 - 2^-151 rounds to 2^-126, which is not */
};

/* The same on this CPU, where it has the instruction: by hand, emulator and CPU agree. */
static void check_cpu(Native *native, const char *line, const DotCase *dot, EmulateState state) {
  Assembled code;
  Decoded decoded;
  cr_assert(assemble(line, &code) && decode(&decoded, code.bytes, code.size) == DECODE_FOUND);
  if (native->pages && native_has(decoded.row->feature) && native_rounds(dot->name)) {
    native_run(native, &state, code.bytes, code.size);
    cr_assert_eq(get(&state, 17, 3), dot->wanted, "CPU: %s gives %08x, not %08x", line, get(&state, 17, 3),
                 dot->wanted);
  }
  assemble_release(&code);
}

Test(emulate_values, dot_products) {
  Native native = {.pages = NULL};
  if (native_has("avx512bw")) cr_assert(native_create(&native, false));
  for (size_t i = 0; i < sizeof dots / sizeof *dots; i++) {
    EmulateState state = {.has_avx512 = true, .mxcsr = 0x1F80, .rflags = 0x202};
    char line[64];
    set(&state, 17, 3, dots[i].c);
    set(&state, 18, 3, dots[i].a);
    set(&state, 31, 3, dots[i].b);
    snprintf(line, sizeof line, "%s xmm17, xmm18, xmm31", dots[i].name);
    check_cpu(&native, line, &dots[i], state);
    step(line, &state);
    cr_assert_eq(get(&state, 17, 3), dots[i].wanted, "%zu: %s gives %08x, not %08x", i, line, get(&state, 17, 3),
                 dots[i].wanted);
    cr_assert_eq(get(&state, 17, 2), 0);
  }
  native_destroy(&native);
}

/* ---- minimum and maximum ----------------------------------------------------------------------------------------- */

typedef struct MinmaxCase {
  uint32_t a, b;
  int imm;
  uint32_t wanted;
} MinmaxCase;

static const MinmaxCase minmaxes[] = {
    {0xC0400000, 0x40000000, 4, 0xC0400000},  /* minimum(-3, 2) */
    {0xC0400000, 0x40000000, 5, 0x40000000},  /* maximum(-3, 2) */
    {0xC0400000, 0x40000000, 1, 0xC0000000},  /* the same with the sign of the first source */
    {0x40400000, 0xC0000000, 0, 0x40000000},  /* minimum(3, -2), so too */
    {0xC0400000, 0x40000000, 6, 0x40000000},  /* the lesser magnitude */
    {0xC0400000, 0x40000000, 7, 0xC0400000},  /* the greater magnitude */
    {0xC0400000, 0x40400000, 6, 0xC0400000},  /* of equal ones the lesser number */
    {0xC0400000, 0x40000000, 9, 0x40000000},  /* positive */
    {0xC0400000, 0x40000000, 13, 0xC0000000}, /* negative */
    {0x00000000, 0x80000000, 4, 0x80000000},  /* -0 is less than 0 */
    {0x80000000, 0x00000000, 5, 0x00000000},  {0x7FC00001, 0x40000000, 5, 0x7FC00001},  /* a NaN wins, quiet */
    {0x40000000, 0x7F800001, 5, 0x7FC00001},  {0x7FC00001, 0x40000000, 21, 0x40000000}, /* the number does */
    {0x7FC00001, 0x7F800002, 21, 0x7FC00002}, /* of two NaNs the signalling one */
};

Test(emulate_values, minmax) {
  for (size_t i = 0; i < sizeof minmaxes / sizeof *minmaxes; i++) {
    const MinmaxCase *c = &minmaxes[i];
    EmulateState state = {.has_avx512 = true};
    char line[64];
    set(&state, 2, 1, c->a);
    set(&state, 3, 1, c->b);
    snprintf(line, sizeof line, "vminmaxps xmm1, xmm2, xmm3, %d", c->imm);
    step(line, &state);
    cr_assert_eq(get(&state, 1, 1), c->wanted, "%zu: %s gives %08x, not %08x", i, line, get(&state, 1, 1), c->wanted);
  }
}

/* ---- masks, lengths, memory -------------------------------------------------------------------------------------- */

Test(emulate_values, masks_leave_or_zero_and_spare_memory) {
  EmulateState state = {.has_avx512 = true, .mask = {0, 0x0005}};
  uint32_t memory[3] = {0x01010101, 0, 0x02020202}; /* reading more would be seen by ASan */
  state.gpr[0] = (uint64_t)(uintptr_t)memory;
  for (int i = 0; i < 16; i++) set(&state, 1, i, 7), set(&state, 2, i, 0x03030303);
  EmulateState zeroed = state;
  step("vpdpbuud zmm1 {k1}, zmm2, [rax]", &state);
  step("vpdpbuud ymm1 {k1} {z}, ymm2, [rax]", &zeroed);
  for (int i = 0; i < 16; i++) {
    uint32_t product = i == 0 ? 12 : i == 2 ? 24 : 0;
    cr_assert_eq(get(&state, 1, i), 7 + product, "dword %d", i);
    cr_assert_eq(get(&zeroed, 1, i), product ? 7 + product : 0, "zeroing: dword %d", i);
  }
  for (int i = 0; i < 16; i++) set(&state, 1, i, 7);
  step("vpdpbuud ymm1, ymm2, dword ptr [rax + 8]{1to8}", &state);
  for (int i = 0; i < 16; i++) cr_assert_eq(get(&state, 1, i), i < 8 ? 31u : 0u, "broadcast: dword %d", i);
}

Test(emulate_values, ne_convert) {
  static const uint16_t memory[8] = {0x3F80, 0x4000, 0x7F81, 0x0001, 0x3C00, 0x0001, 0xFC00, 0x7C01};
  static const uint32_t bf16_even[4] = {0x3F800000, 0x7F810000, 0x3C000000, 0xFC000000};
  static const uint32_t bf16_odd[4] = {0x40000000, 0x00010000, 0x00010000, 0x7C010000};
  static const uint32_t f16_even[4] = {0x3FF00000, 0x7FF02000, 0x3F800000, 0xFF800000};
  static const uint32_t f16_odd[4] = {0x40000000, 0x33800000, 0x33800000, 0x7FC02000};
  EmulateState state = {.gpr = {(uint64_t)(uintptr_t)memory}};
  memset(state.vector, 0xFF, sizeof state.vector);
  step("vcvtneebf162ps xmm1, [rax]", &state);
  step("vcvtneobf162ps xmm2, [rax]", &state);
  step("vcvtneeph2ps xmm3, [rax]", &state);
  step("vcvtneoph2ps xmm4, [rax]", &state);
  step("vbcstnebf162ps ymm5, [rax + 2]", &state);
  step("vbcstnesh2ps xmm6, [rax + 10]", &state);
  for (int i = 0; i < 4; i++) {
    cr_assert_eq(get(&state, 1, i), bf16_even[i]);
    cr_assert_eq(get(&state, 2, i), bf16_odd[i]);
    cr_assert_eq(get(&state, 3, i), f16_even[i], "%d: %08x", i, get(&state, 3, i));
    cr_assert_eq(get(&state, 4, i), f16_odd[i], "%d: %08x", i, get(&state, 4, i));
    cr_assert_eq(get(&state, 5, i), 0x40000000);
    cr_assert_eq(get(&state, 5, i + 4), 0x40000000);
    cr_assert_eq(get(&state, 5, i + 8), 0, "the upper half of zmm5");
    cr_assert_eq(get(&state, 6, i), 0x33800000);
    cr_assert_eq(get(&state, 6, i + 4), 0, "the upper half of ymm6");
  }
}

/* To nearest even: 1 + 2^-8 is a tie, as is 1 + 3 * 2^-8; denormals become zero, the greatest number infinite. */
Test(emulate_values, rounding_to_bf16) {
  static const uint32_t from[8] = {0x3F808000, 0x3F818000, 0x3F808001, 0x807FFFFF,
                                   0x7F7FFFFF, 0x7F800001, 0xFF800000, 0x00800000};
  static const uint32_t pairs[4] = {0x3F823F80, 0x80003F81, 0x7FC07F80, 0x0080FF80};
  EmulateState state = {.rip = 0};
  for (int i = 0; i < 8; i++) set(&state, 2, i, from[i]);
  step("{vex} vcvtneps2bf16 xmm1, ymm2", &state);
  for (int i = 0; i < 4; i++) cr_assert_eq(get(&state, 1, i), pairs[i], "%d: %08x", i, get(&state, 1, i));
}

/* ---- floats of 8 bits -------------------------------------------------------------------------------------------- */

typedef struct SmallCase {
  uint16_t half;
  uint8_t bf8, bf8s, hf8, hf8s;
} SmallCase;

static const SmallCase smalls[] = {
    {0x3C00, 0x3C, 0x3C, 0x38, 0x38}, /* 1 */
    {0xBC00, 0xBC, 0xBC, 0xB8, 0xB8}, /* -1 */
    {0x3C40, 0x3C, 0x3C, 0x38, 0x38}, /* 1 + 1/16: a tie for HF8, to even */
    {0x3CC0, 0x3D, 0x3D, 0x3A, 0x3A}, /* 1 + 3/16: a tie for HF8, to even; above one for BF8 */
    {0x3C80, 0x3C, 0x3C, 0x39, 0x39}, /* 1 + 1/8: a tie for BF8 */
    {0x5F00, 0x5F, 0x5F, 0x7E, 0x7E}, /* 448, HF8's greatest */
    {0x5F40, 0x5F, 0x5F, 0x7E, 0x7E}, /* 464: a tie, to even */
    {0x5F41, 0x5F, 0x5F, 0x7F, 0x7E}, /* above */
    {0x7B00, 0x7B, 0x7B, 0x7F, 0x7E}, /* 57344, BF8's greatest */
    {0x7B80, 0x7C, 0x7B, 0x7F, 0x7E}, /* a tie, to infinity */
    {0xFBFF, 0xFC, 0xFB, 0xFF, 0xFE}, /* -65504 */
    {0x7C00, 0x7C, 0x7C, 0x7F, 0x7F}, /* infinity */
    {0xFC01, 0xFE, 0xFE, 0xFF, 0xFF}, /* NaN */
    {0x1800, 0x18, 0x18, 0x01, 0x01}, /* 2^-9, HF8's least */
    {0x1400, 0x14, 0x14, 0x00, 0x00}, /* 2^-10: a tie, to zero */
    {0x1401, 0x14, 0x14, 0x01, 0x01}, {0x23FF, 0x24, 0x24, 0x08, 0x08}, /* just below 2^-6, HF8's least normal number */
    {0x0080, 0x00, 0x00, 0x00, 0x00},                                   /* half of BF8's least, a tie */
    {0x0081, 0x01, 0x01, 0x00, 0x00}, {0x8000, 0x80, 0x80, 0x80, 0x80},
};

static void check_small(const char *name, uint16_t half, uint8_t wanted) {
  EmulateState state = {.has_avx512 = true};
  char line[64];
  set(&state, 2, 0, half);
  snprintf(line, sizeof line, "%s xmm1, xmm2", name);
  step(line, &state);
  cr_assert_eq(get(&state, 1, 0), wanted, "%s of %04x: %02x, not %02x", name, half, get(&state, 1, 0), wanted);
}

Test(emulate_values, narrowing_to_8_bits) {
  for (size_t i = 0; i < sizeof smalls / sizeof *smalls; i++) {
    check_small("vcvtph2bf8", smalls[i].half, smalls[i].bf8);
    check_small("vcvtph2bf8s", smalls[i].half, smalls[i].bf8s);
    check_small("vcvtph2hf8", smalls[i].half, smalls[i].hf8);
    check_small("vcvtph2hf8s", smalls[i].half, smalls[i].hf8s);
  }
}

/* Two sources: the second one fills the lower half. */
Test(emulate_values, two_sources) {
  EmulateState state = {.has_avx512 = true};
  set(&state, 2, 0, 0x40003C00);
  set(&state, 3, 0, 0x44004200);
  step("vcvt2ph2bf8 xmm1, xmm2, xmm3", &state);
  cr_assert_eq(get(&state, 1, 0), 0x4442);
  cr_assert_eq(get(&state, 1, 2), 0x403C);
  set(&state, 4, 0, 0x3F800000);
  set(&state, 5, 0, 0x40000000);
  step("vcvt2ps2phx xmm1, xmm4, xmm5", &state);
  cr_assert_eq(get(&state, 1, 0), 0x4000);
  cr_assert_eq(get(&state, 1, 2), 0x3C00);
}

/* Widening and narrowing again is the identity, NaN aside. */
Test(emulate_values, hf8_goes_there_and_back) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    EmulateState state = {.has_avx512 = true};
    set(&state, 2, 0, byte);
    step("vcvthf82ph xmm1, xmm2", &state);
    if (byte == 0x01) cr_assert_eq(get(&state, 1, 0), 0x1800);
    if (byte == 0x7E) cr_assert_eq(get(&state, 1, 0), 0x5F00);
    step("vcvtph2hf8 xmm3, xmm1", &state);
    cr_assert_eq(get(&state, 3, 0), byte);
  }
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/* One element: tmm0 (1x1) += tmm1 (1 row of `k` dwords) * tmm2 (k rows of a dword). */
static uint32_t multiply_one(const char *name, uint32_t c, const uint32_t *a, const uint32_t *b, int k) {
  EmulateTiles tiles = {.config = {1}};
  EmulateState state = {.tiles = &tiles};
  char line[64];
  const uint8_t rows[3] = {1, 1, (uint8_t)k}, bytes[3] = {4, (uint8_t)(4 * k), 4};
  for (int t = 0; t < 3; t++) tiles.config[48 + t] = rows[t], tiles.config[16 + 2 * t] = bytes[t];
  memcpy(tiles.data[0][0], &c, 4);
  memcpy(tiles.data[1][0], a, 4 * (size_t)k);
  for (int i = 0; i < k; i++) memcpy(tiles.data[2][i], &b[i], 4);
  snprintf(line, sizeof line, "%s tmm0, tmm1, tmm2", name);
  step(line, &state);
  uint32_t result;
  memcpy(&result, tiles.data[0][0], 4);
  return result;
}

typedef struct TileCase {
  const char *name;
  uint32_t c, a[2], b[2], wanted;
} TileCase;

static const TileCase tile_cases[] = {
    /* binary16: even and odd numbers are summed apart, then both, then the element */
    {"tdpfp16ps", 0x40000000, {0x40003C00, 0x3C003C00}, {0x42003C00, 0x3C004000}, 0x41400000}, /* 2 + (1+2) + (6+1) */
    {"tdpfp16ps", 0, {0x0C003C00, 0x0000BC00}, {0x0C003C00, 0x00003C00}, 0x33800000},          /* 1-1, 2^-24: kept */
    {"tdpfp16ps", 0, {0x00000001, 0}, {0x00003C00, 0}, 0x33800000},                            /* denormal: 2^-24 */
    {"tdpfp16ps", 0x00000001, {0, 0}, {0, 0}, 0},                                              /* a denormal element */
    {"tdpfp16ps", 0, {0x00007C00, 0}, {0x00000000, 0}, 0xFFC00000},
    {"tdpbf16ps", 0x40000000, {0x40003F80, 0x3F803F80}, {0x40403F80, 0x3F804000}, 0x41400000},
    {"tdpbf16ps", 0, {0x00000001, 0}, {0x00007F00, 0}, 0}, /* a denormal is zero */
    /* tf32: 13 bits are cut off; denormals count, results do not */
    {"tmmultf32ps", 0x3F800000, {0x3F801FFF, 0x40000000}, {0x3F801FFF, 0x40400000}, 0x41000000}, /* 1 + 1 + 6 */
    {"tmmultf32ps", 0, {0x3F802000, 0}, {0x3F800000, 0}, 0x3F802000},
    {"tmmultf32ps", 0, {0x00402000, 0}, {0x7E800000, 0}, 0x3F004000}, /* 2^-127 (1 + 2^-9) times 2^126 */
    {"tmmultf32ps", 0, {0x00800000, 0}, {0x3F000000, 0}, 0},
    {"tmmultf32ps", 0, {0x7F800001, 0}, {0x3F800000, 0}, 0x7FC00000}, /* quiet before it is cut */
    /* BF8: 1, 2, -1, 0.5 times 1, 1, 2, 4; HF8 the same */
    {"tdpbf8ps", 0x3F800000, {0x38BC403C, 0}, {0x44403C3C, 0}, 0x40800000},
    {"tdphf8ps", 0x3F800000, {0x30B84038, 0}, {0x48403838, 0}, 0x40800000},
    {"tdpbhf8ps", 0x3F800000, {0x38BC403C, 0}, {0x48403838, 0}, 0x40800000},
    {"tdphbf8ps", 0x3F800000, {0x30B84038, 0}, {0x44403C3C, 0}, 0x40800000},
    /* exact until the end: 57344^2 + 2^-32 - 57344^2 */
    {"tdpbf8ps", 0, {0x00FB017B, 0}, {0x007B017B, 0}, 0x2F800000},
    {"tdphf8ps", 0, {0x00FE017E, 0}, {0x007E017E, 0}, 0x36800000}, /* 448^2 + 2^-18 - 448^2 */
    {"tdpbf8ps", 0, {0x0000007C, 0}, {0x0000003C, 0}, 0x7F800000},
    {"tdpbf8ps", 0, {0x0000FC7C, 0}, {0x00003C3C, 0}, 0xFFC00000},
    {"tdpbf8ps", 0, {0x0000007C, 0}, {0x00000000, 0}, 0xFFC00000},
    {"tdpbhf8ps", 0, {0x0000003C, 0}, {0x0000007F, 0}, 0xFFC00000},
    {"tdphf8ps", 0, {0x00000077, 0}, {0x00000079, 0}, 0x47870000}, /* 240 * 288 */
};

Test(emulate_values, tile_products) {
  for (size_t i = 0; i < sizeof tile_cases / sizeof *tile_cases; i++) {
    const TileCase *t = &tile_cases[i];
    uint32_t got = multiply_one(t->name, t->c, t->a, t->b, 2);
    cr_assert_eq(got, t->wanted, "%zu: %s gives %08x, not %08x", i, t->name, got, t->wanted);
  }
}
