/* tiles_product.c: the matrix products of AMX-INT8, AMX-BF16, AMX-FP16, AMX-TF32 and AMX-FP8 (SDM vol. 2, TDPBSSD,
 * TDPBF16PS, TDPFP16PS; Instruction Set Extensions reference, chapters on AMX-TF32 and AMX-FP8).
 *
 * dst[m][n] += sum over k of a[m][k] * b[k][n], where k counts dwords: an element of a or b is a dword that holds as
 * many numbers as fit, adjacent along the inner dimension. MXCSR is neither consulted nor updated.
 *
 * Operands are widened to one number per place and multiplied in tiles_inner.c. What that leaves open, elements that
 * become NaN and infinities of 8 bits, and all of it on a CPU without FMA, is done here, one step after another. */
#include "tests/emulate/floats.h"
#include "tests/emulate/tiles.h"
#include "tests/emulate/tiles_inner.h"

#include <string.h>

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

/* tiles_inner.c may be called. */
static bool has_inner(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

typedef int32_t BytePart(uint8_t);

static int32_t as_unsigned(uint8_t byte) { return byte; }
static int32_t as_signed(uint8_t byte) { return (int8_t)byte; }

typedef struct IntegerProduct {
  int32_t a[INNER_ROWS][INNER_DEPTH], b[INNER_DEPTH][INNER_COLUMNS];
  uint32_t c[INNER_ROWS][INNER_COLUMNS];
} IntegerProduct;

static void widen_bytes(const Product *p, IntegerProduct *out, BytePart *a_part, BytePart *b_part) {
  for (int m = 0; m < p->m; m++)
    for (int i = 0; i < 4 * p->k; i++) out->a[m][i] = a_part(p->a[m][i]);
  for (int k = 0; k < p->k; k++)
    for (int i = 0; i < 4 * p->n; i++) out->b[4 * k + i % 4][i / 4] = b_part(p->b[k][i]);
  for (int m = 0; m < p->m; m++)
    for (int n = 0; n < p->n; n++) out->c[m][n] = dword_at(p->dst, m, n);
}

static void multiply_slowly(const Product *p, IntegerProduct *w) {
  for (int m = 0; m < p->m; m++)
    for (int n = 0; n < p->n; n++)
      for (int k = 0; k < 4 * p->k; k++) w->c[m][n] += (uint32_t)(w->a[m][k] * w->b[k][n]);
}

/* DPBD of TDPBSSD: four products and the dword are added without saturation, modulo 2^32. */
static bool multiply_bytes(EmulateState *state, const Decoded *code, BytePart *a_part, BytePart *b_part) {
  Product p;
  IntegerProduct wide = {.a = {{0}}};
  if (!find_product(state, code, &p)) return false;
  widen_bytes(&p, &wide, a_part, b_part);
  if (has_inner()) inner_multiply_integers(wide.a, wide.b, wide.c, 4 * p.k);
  else multiply_slowly(&p, &wide);
  for (int m = 0; m < p.m; m++)
    for (int n = 0; n < p.n; n++) set_dword(p.dst, m, n, wide.c[m][n]);
  tile_finish(state->tiles, code->reg, p.shape);
  return true;
}

bool tile_tdpbssd(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_signed, as_signed); }
bool tile_tdpbsud(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_signed, as_unsigned); }
bool tile_tdpbusd(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_unsigned, as_signed); }
bool tile_tdpbuud(EmulateState *s, const Decoded *code) { return multiply_bytes(s, code, as_unsigned, as_unsigned); }

/* ---- floats ------------------------------------------------------------------------------------------------------ */

/* A number of a dword as binary32. */
typedef uint32_t FloatPart(uint32_t dword, int which);

static uint32_t bf16_part(uint32_t dword, int which) { return which ? dword & 0xFFFF0000 : dword << 16; }
static uint32_t f16_part(uint32_t dword, int which) { return float_from_f16((uint16_t)(dword >> 16 * which)); }

/* silence_snan_fp32, then zero_lower_mantissa_bits_fp32 of TMMULTF32PS: truncation to 10 bits of fraction. */
static uint32_t tf32_part(uint32_t dword, int which) {
  (void)which;
  return (float_is_nan(dword) ? float_quiet(dword) : dword) & 0xFFFFE000;
}

/* Every `step`-th number along k makes a sum of its own. */
typedef struct FloatProduct {
  InnerA a;
  InnerB b;
  InnerC sums[2];
  int depth, step;
  Denormals denormals;
} FloatProduct;

static void widen_floats(const Product *p, FloatProduct *out, FloatPart *part) {
  int step = out->step;
  out->depth = p->k * step;
  for (int k = 0; k < p->k; k++)
    for (int which = 0; which < step; which++) {
      for (int m = 0; m < p->m; m++) out->a[m][step * k + which] = float_from_bits(part(dword_at(p->a, m, k), which));
      for (int n = 0; n < p->n; n++) out->b[step * k + which][n] = float_from_bits(part(dword_at(p->b, k, n), which));
    }
}

/* A sum from zero, by FMA in the order of k: what inner_multiply does as well, but for NaNs. */
static uint32_t sum_at(const FloatProduct *f, int m, int n, int first) {
  uint32_t fast = float_bits(f->sums[first][m][n]), sum = 0;
  if (!float_is_nan(fast)) return fast;
  for (int k = first; k < f->depth; k += f->step)
    sum = float_fma(float_bits(f->a[m][k]), float_bits(f->b[k][n]), sum, f->denormals);
  return sum;
}

static void multiply_sums(FloatProduct *f) {
  uint32_t control = f->denormals == DENORMALS_FLUSH_ALL ? INNER_FTZ_DAZ : INNER_FTZ;
  for (int first = 0; first < f->step; first++) {
    if (has_inner()) inner_multiply(f->a, f->b, f->sums[first], first, f->step, f->depth, control);
    else memset(f->sums[first], 0xFF, sizeof f->sums[first]); /* NaN: to be done by sum_at */
  }
}

static bool multiply_floats(EmulateState *state, const Decoded *code, FloatPart *part, int step, Denormals denormals) {
  Product p;
  FloatProduct f = {.step = step, .denormals = denormals};
  if (!find_product(state, code, &p)) return false;
  widen_floats(&p, &f, part);
  multiply_sums(&f);
  for (int m = 0; m < p.m; m++)
    for (int n = 0; n < p.n; n++) {
      uint32_t sum = sum_at(&f, m, n, 0);
      if (step == 2) sum = float_add(sum, sum_at(&f, m, n, 1), denormals);
      set_dword(p.dst, m, n, float_add(dword_at(p.dst, m, n), sum, denormals));
    }
  tile_finish(state->tiles, code->reg, p.shape);
  return true;
}

/* TDPBF16PS, operation: for every element two sums from zero, of the even and of the odd numbers, by FMA in the order
 * of k; then the even sum plus the odd one, and that added to the element. Each step rounds to nearest even, denormal
 * binary32 inputs and outputs are zero. TDPFP16PS is the same; its denormal binary16 inputs count, since they are
 * normal as binary32. */
bool tile_tdpbf16ps(EmulateState *s, const Decoded *code) {
  return multiply_floats(s, code, bf16_part, 2, DENORMALS_FLUSH_ALL);
}
bool tile_tdpfp16ps(EmulateState *s, const Decoded *code) {
  return multiply_floats(s, code, f16_part, 2, DENORMALS_FLUSH_ALL);
}

/* TMMULTF32PS, operation: one sum from zero by FMA in the order of k, then added to the element. Denormal inputs count,
 * denormal results are zero. */
bool tile_tmmultf32ps(EmulateState *s, const Decoded *code) {
  return multiply_floats(s, code, tf32_part, 1, DENORMALS_FLUSH_RESULT);
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

/* Both operands; b is cut in two, of 16 bits and what is above, so that sums of 64 products fit 64 bits. */
typedef struct SmallProduct {
  Small a[INNER_ROWS][INNER_DEPTH], b[INNER_DEPTH][INNER_COLUMNS];
  int64_t a_value[INNER_ROWS][INNER_DEPTH], b_low[INNER_DEPTH][INNER_COLUMNS], b_high[INNER_DEPTH][INNER_COLUMNS];
  int64_t low[INNER_ROWS][INNER_COLUMNS], high[INNER_ROWS][INNER_COLUMNS];
  bool has_special;
} SmallProduct;

static void widen_small(const Product *p, SmallProduct *out, SmallPart *a_part, SmallPart *b_part) {
  for (int m = 0; m < p->m; m++)
    for (int i = 0; i < 4 * p->k; i++) {
      Small x = out->a[m][i] = a_part(p->a[m][i]);
      out->a_value[m][i] = x.value;
      out->has_special |= x.kind != FINITE;
    }
  for (int k = 0; k < p->k; k++)
    for (int i = 0; i < 4 * p->n; i++) {
      Small x = out->b[4 * k + i % 4][i / 4] = b_part(p->b[k][i]);
      out->b_low[4 * k + i % 4][i / 4] = x.value & 0xFFFF;
      out->b_high[4 * k + i % 4][i / 4] = (x.value - (x.value & 0xFFFF)) / 0x10000;
      out->has_special |= x.kind != FINITE;
    }
}

static ExactSum exact_sum(const SmallProduct *w, int m, int n, int depth, bool is_done) {
  ExactSum sum = {.finite = (__int128)w->high[m][n] * 0x10000 + w->low[m][n]};
  for (int k = 0; k < depth && !is_done; k++) add_product(&sum, w->a[m][k], w->b[k][n]);
  return sum;
}

/* Instruction Set Extensions reference, TDPBF8PS: all products of a row and a column are added exactly, the sum is
 * rounded to binary32 to nearest even and added to the element. Not said there and assumed here: that addition treats
 * denormals as TDPBF16PS does, and a NaN among the inputs gives the default one. */
static bool multiply_small(EmulateState *state, const Decoded *code, SmallPart *a_part, SmallPart *b_part,
                           int exponent) {
  Product p;
  SmallProduct wide = {.has_special = false};
  if (!find_product(state, code, &p)) return false;
  widen_small(&p, &wide, a_part, b_part);
  bool is_fast = !wide.has_special && has_inner();
  if (is_fast) {
    inner_multiply_long(wide.a_value, wide.b_low, wide.low, 4 * p.k);
    inner_multiply_long(wide.a_value, wide.b_high, wide.high, 4 * p.k);
  }
  for (int m = 0; m < p.m; m++)
    for (int n = 0; n < p.n; n++) {
      ExactSum sum = exact_sum(&wide, m, n, 4 * p.k, is_fast);
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
