/* tiles_product.c: the matrix products of AMX-INT8, AMX-BF16, AMX-FP16, AMX-TF32 and AMX-FP8 (SDM vol. 2, TDPBSSD,
 * TDPBF16PS, TDPFP16PS; Instruction Set Extensions reference, chapters on AMX-TF32 and AMX-FP8).
 *
 * dst[m][n] += sum over k of a[m][k] * b[k][n], where k counts dwords: an element of a or b is a dword that holds as
 * many numbers as fit, adjacent along the inner dimension. MXCSR is neither consulted nor updated. */
#include "tests/emulate/floats.h"
#include "tests/emulate/tiles.h"

#include <string.h>

enum { DWORDS = EMULATE_ROW_BYTES / 4 };

typedef struct Product {
  int m, n, k; /* k in dwords */
  uint8_t (*dst)[EMULATE_ROW_BYTES];
  uint8_t (*a)[EMULATE_ROW_BYTES];
  uint8_t (*b)[EMULATE_ROW_BYTES];
  TileShape shape;
} Product;

/* The #UD of AMX-E4: shapes must agree, rows hold whole dwords, start_row is 0. */
static bool find_product(const EmulateState *state, const Decoded *code, Product *p) {
  EmulateTiles *tiles = state->tiles;
  TileShape dst, a, b;
  if (!tile_shape(tiles, code->reg, &dst) || !tile_shape(tiles, code->rm, &a) || !tile_shape(tiles, code->vvvv, &b))
    return false;
  if (dst.row_bytes % 4 || a.row_bytes % 4 || b.row_bytes % 4) return false;
  if (dst.rows != a.rows || dst.row_bytes != b.row_bytes || a.row_bytes / 4 != b.rows) return false;
  *p = (Product){dst.rows,
                 dst.row_bytes / 4,
                 a.row_bytes / 4,
                 tiles->data[code->reg],
                 tiles->data[code->rm],
                 tiles->data[code->vvvv],
                 dst};
  return true;
}

static uint32_t dword_at(uint8_t (*tile)[EMULATE_ROW_BYTES], int row, int column) {
  uint32_t value;
  memcpy(&value, tile[row] + 4 * column, sizeof value);
  return value;
}

static void set_dword(uint8_t (*tile)[EMULATE_ROW_BYTES], int row, int column, uint32_t value) {
  memcpy(tile[row] + 4 * column, &value, sizeof value);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

typedef int32_t BytePart(uint8_t);

static int32_t as_unsigned(uint8_t byte) { return byte; }
static int32_t as_signed(uint8_t byte) { return (int8_t)byte; }

static void widen(uint8_t (*tile)[EMULATE_ROW_BYTES], int rows, int32_t (*out)[EMULATE_ROW_BYTES], BytePart *part) {
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < EMULATE_ROW_BYTES; i++) out[r][i] = part(tile[r][i]);
}

/* DPBD of TDPBSSD: four products and the dword are added without saturation, modulo 2^32. */
static bool multiply_bytes(EmulateState *state, const Decoded *code, BytePart *a_part, BytePart *b_part) {
  Product p;
  int32_t a[EMULATE_ROWS][EMULATE_ROW_BYTES], b[EMULATE_ROWS][EMULATE_ROW_BYTES];
  if (!find_product(state, code, &p)) return false;
  widen(p.a, p.m, a, a_part);
  widen(p.b, p.k, b, b_part);
  for (int m = 0; m < p.m; m++)
    for (int n = 0; n < p.n; n++) {
      uint32_t sum = dword_at(p.dst, m, n);
      for (int k = 0; k < p.k; k++)
        for (int i = 0; i < 4; i++) sum += (uint32_t)(a[m][4 * k + i] * b[k][4 * n + i]);
      set_dword(p.dst, m, n, sum);
    }
  tile_finish(state->tiles, code->reg, p.shape);
  return true;
}

bool tile_tdpbssd(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_signed, as_signed); }
bool tile_tdpbsud(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_signed, as_unsigned); }
bool tile_tdpbusd(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_unsigned, as_signed); }
bool tile_tdpbuud(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_unsigned, as_unsigned); }

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

typedef uint32_t PairPart(uint32_t dword, int which);

static uint32_t bf16_part(uint32_t dword, int which) { return which ? dword & 0xFFFF0000 : dword << 16; }
static uint32_t f16_part(uint32_t dword, int which) { return float_from_f16((uint16_t)(dword >> 16 * which)); }

typedef uint32_t Pairs[EMULATE_ROWS][DWORDS][2];

static void split_pairs(uint8_t (*tile)[EMULATE_ROW_BYTES], int rows, Pairs out, PairPart *part) {
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < DWORDS; i++)
      for (int which = 0; which < 2; which++) out[r][i][which] = part(dword_at(tile, r, i), which);
}

/* TDPBF16PS, operation: for every element two sums from zero, of the even and of the odd numbers, by FMA in the order
 * of k; then the even sum plus the odd one, and that added to the element. Each step rounds to nearest even, denormal
 * binary32 inputs and outputs are zero. TDPFP16PS is the same; its denormal binary16 inputs count, since they are
 * normal as binary32. */
static bool multiply_pairs(EmulateState *state, const Decoded *code, PairPart *part) {
  Product p;
  Pairs a, b;
  if (!find_product(state, code, &p)) return false;
  split_pairs(p.a, p.m, a, part);
  split_pairs(p.b, p.k, b, part);
  for (int m = 0; m < p.m; m++)
    for (int n = 0; n < p.n; n++) {
      uint32_t sum[2] = {0};
      for (int k = 0; k < p.k; k++)
        for (int i = 0; i < 2; i++) sum[i] = float_fma(a[m][k][i], b[k][n][i], sum[i], DENORMALS_FLUSH_ALL);
      uint32_t both = float_add(sum[0], sum[1], DENORMALS_FLUSH_ALL);
      set_dword(p.dst, m, n, float_add(dword_at(p.dst, m, n), both, DENORMALS_FLUSH_ALL));
    }
  tile_finish(state->tiles, code->reg, p.shape);
  return true;
}

bool tile_tdpbf16ps(EmulateState *s, const Decoded *code) { return multiply_pairs(s, code, bf16_part); }
bool tile_tdpfp16ps(EmulateState *s, const Decoded *code) { return multiply_pairs(s, code, f16_part); }

/* ---- tf32 -------------------------------------------------------------------------------------------------------- */

/* silence_snan_fp32, then zero_lower_mantissa_bits_fp32 of TMMULTF32PS: truncation to 10 bits of fraction. */
static uint32_t to_tf32(uint32_t bits) {
  if (float_is_nan(bits)) bits = float_quiet(bits);
  return bits & 0xFFFFE000;
}

/* TMMULTF32PS, operation: one sum from zero by FMA in the order of k, then added to the element. Denormal inputs count,
 * denormal results are zero. */
bool tile_tmmultf32ps(EmulateState *state, const Decoded *code) {
  Product p;
  if (!find_product(state, code, &p)) return false;
  for (int m = 0; m < p.m; m++)
    for (int n = 0; n < p.n; n++) {
      uint32_t sum = 0;
      for (int k = 0; k < p.k; k++)
        sum = float_fma(to_tf32(dword_at(p.a, m, k)), to_tf32(dword_at(p.b, k, n)), sum, DENORMALS_FLUSH_RESULT);
      set_dword(p.dst, m, n, float_add(dword_at(p.dst, m, n), sum, DENORMALS_FLUSH_RESULT));
    }
  tile_finish(state->tiles, code->reg, p.shape);
  return true;
}

/* ---- fp8 --------------------------------------------------------------------------------------------------------- */

/* A number of 8 bits as an integer times 2^-16 (BF8, E5M2) or 2^-9 (HF8, E4M3), or what it is instead. */
typedef enum Kind { FINITE, INFINITE, NOT_A_NUMBER } Kind;

typedef struct Small {
  int64_t value; /* the sign alone where infinite */
  Kind kind;
} Small;

typedef Small SmallPart(uint8_t);

static Small small_number(uint8_t byte, int fraction_bits) {
  int exponent = (byte & 0x7F) >> fraction_bits, fraction = byte & ((1 << fraction_bits) - 1);
  int64_t value = exponent == 0 ? fraction : (int64_t)(fraction | 1 << fraction_bits) << (exponent - 1);
  return (Small){byte & 0x80 ? -value : value, FINITE};
}

static Small bf8_part(uint8_t byte) {
  if ((byte & 0x7F) > 0x7C) return (Small){0, NOT_A_NUMBER};
  if ((byte & 0x7F) == 0x7C) return (Small){byte & 0x80 ? -1 : 1, INFINITE};
  return small_number(byte, 2);
}

static Small hf8_part(uint8_t byte) { return (byte & 0x7F) == 0x7F ? (Small){0, NOT_A_NUMBER} : small_number(byte, 3); }

/* An exact sum of products, and the special ones among them. Of 64 products below 2^64 the sum stays below 2^70. */
typedef struct ExactSum {
  __int128 finite;
  bool has_positive, has_negative, has_nan; /* infinities by sign */
} ExactSum;

static void add_product(ExactSum *sum, Small a, Small b) {
  if (a.kind == FINITE && b.kind == FINITE) {
    sum->finite += (__int128)a.value * b.value;
  } else if (a.kind == NOT_A_NUMBER || b.kind == NOT_A_NUMBER || a.value == 0 || b.value == 0) {
    sum->has_nan = true; /* infinity times zero as well */
  } else if ((a.value < 0) == (b.value < 0)) {
    sum->has_positive = true;
  } else {
    sum->has_negative = true;
  }
}

/* Rounded to nearest even; 24 bits of it and a sticky one fit a double. */
static uint32_t round_sum(const ExactSum *sum, int exponent) {
  if (sum->has_nan || (sum->has_positive && sum->has_negative)) return FLOAT_DEFAULT_NAN;
  if (sum->has_positive) return 0x7F800000;
  if (sum->has_negative) return 0xFF800000;
  unsigned __int128 magnitude = (unsigned __int128)(sum->finite < 0 ? -sum->finite : sum->finite);
  bool is_sticky = false;
  while (magnitude >> 52) {
    is_sticky |= magnitude & 1;
    magnitude >>= 1;
    exponent++;
  }
  double value = (double)(uint64_t)(magnitude << 1 | is_sticky);
  for (exponent--; exponent < 0; exponent++) value /= 2;
  for (; exponent > 0; exponent--) value *= 2;
  return float_bits((float)(sum->finite < 0 ? -value : value));
}

/* Instruction Set Extensions reference, TDPBF8PS: all products of a row and a column are added exactly, the sum is
 * rounded to binary32 to nearest even and added to the element. Not said there and assumed here: that addition treats
 * denormals as TDPBF16PS does, and a NaN among the inputs gives the default one. */
static bool multiply_small(EmulateState *state, const Decoded *code, SmallPart *a_part, SmallPart *b_part,
                           int exponent) {
  Product p;
  if (!find_product(state, code, &p)) return false;
  for (int m = 0; m < p.m; m++)
    for (int n = 0; n < p.n; n++) {
      ExactSum sum = {0};
      for (int k = 0; k < p.k; k++)
        for (int i = 0; i < 4; i++) add_product(&sum, a_part(p.a[m][4 * k + i]), b_part(p.b[k][4 * n + i]));
      uint32_t before = dword_at(p.dst, m, n), rounded = round_sum(&sum, exponent);
      bool is_nan = float_is_nan(before) || float_is_nan(rounded);
      set_dword(p.dst, m, n, is_nan ? FLOAT_DEFAULT_NAN : float_add(before, rounded, DENORMALS_FLUSH_ALL));
    }
  tile_finish(state->tiles, code->reg, p.shape);
  return true;
}

enum { BF8_EXPONENT = -16, HF8_EXPONENT = -9 };

bool tile_tdpbf8ps(EmulateState *s, const Decoded *code) {
  return multiply_small(s, code, bf8_part, bf8_part, 2 * BF8_EXPONENT);
}
bool tile_tdpbhf8ps(EmulateState *s, const Decoded *code) {
  return multiply_small(s, code, bf8_part, hf8_part, BF8_EXPONENT + HF8_EXPONENT);
}
bool tile_tdphbf8ps(EmulateState *s, const Decoded *code) {
  return multiply_small(s, code, hf8_part, bf8_part, BF8_EXPONENT + HF8_EXPONENT);
}
bool tile_tdphf8ps(EmulateState *s, const Decoded *code) {
  return multiply_small(s, code, hf8_part, hf8_part, 2 * HF8_EXPONENT);
}
