/* random_ops.c: random operations on the tiles in the pool, with the range of what they give. */
#include "tests/fuzz/random_ops.h"

#include <math.h>

/* ---- which operands ---------------------------------------------------------------------------------------------- */

static bool is_computable(TileType type) { return type_bits(type.type) >= 8 && type.type != KILN_BOOL; }

/* Arithmetic on what is not whole is right to the bit in f32 and f64 only. */
static bool is_number(const Gen *g, const Known *x) {
  (void)g;
  if (x->exactness == EXACT_NOT || !is_computable(x->value->type)) return false;
  return x->exactness == EXACT_INTEGERS || x->value->type.type == KILN_F32 || x->value->type.type == KILN_F64;
}

static bool is_whole(const Gen *g, const Known *x) { return is_number(g, x) && x->exactness == EXACT_INTEGERS; }
static bool is_floating(const Gen *g, const Known *x) {
  return is_number(g, x) && type_is_floating(x->value->type.type);
}
static bool is_f32_integer(const Gen *g, const Known *x) { return is_whole(g, x) && x->value->type.type == KILN_F32; }
static bool is_mask(const Gen *g, const Known *x) {
  (void)g;
  return x->value->type.type == KILN_BOOL;
}
static bool is_bits(const Gen *g, const Known *x) {
  (void)g;
  return !type_is_floating(x->value->type.type) && type_bits(x->value->type.type) >= 8;
}
static bool is_byte(const Gen *g, const Known *x) {
  (void)g;
  return x->value->type.type == KILN_I8 || x->value->type.type == KILN_U8;
}
static bool is_integer(const Gen *g, const Known *x) {
  (void)g;
  return type_is_integer(x->value->type.type);
}
static bool is_convertible(const Gen *g, const Known *x) {
  (void)g;
  return x->exactness != EXACT_NOT;
}
static bool is_whole_everywhere(const Gen *g, const Known *x) { return is_whole(g, x) && !x->is_partial; }
static bool is_movable(const Gen *g, const Known *x) {
  (void)g;
  return !x->is_partial && type_bits(x->value->type.type) >= 8;
}

static bool broadcasts(TileType a, TileType b) {
  return (a.rows == b.rows || a.rows == 1 || b.rows == 1) && (a.cols == b.cols || a.cols == 1 || b.cols == 1);
}

/* A partial tile goes with what lies like it or is repeated, not with, say, a transpose of the same shape. */
static bool goes_with(const Gen *g, const Known *x, const Known *y) {
  TileType type = y->value->type;
  bool is_small = (type.rows == 1 || type.rows == g->rows) && (type.cols == 1 || type.cols == g->cols);
  return broadcasts(x->value->type, type) && (!x->is_partial || is_small);
}

/* One of the pool that is accepted and goes with `x`, of the same type or of the one given. */
static const Known *pick_with(Gen *g, const Known *x, RandomFilter *filter, kiln_type type) {
  for (int i = 0; i < 8; i++) {
    const Known *y = random_pick(g, filter);
    if (!y) return NULL;
    if (y->value->type.type == type && goes_with(g, x, y) && goes_with(g, y, x)) return y;
  }
  return NULL;
}

static Exactness worse(Exactness a, Exactness b) { return a > b ? a : b; }

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static double lowest(const double *values, int count) {
  double least = values[0];
  for (int i = 1; i < count; i++) least = fmin(least, values[i]);
  return least;
}

static double highest(const double *values, int count) {
  double most = values[0];
  for (int i = 1; i < count; i++) most = fmax(most, values[i]);
  return most;
}

/* The range before anything is made: what does not fit is not made. */
static bool fits(kiln_type type, double lo, double hi) {
  double least, most;
  random_range(type, &least, &most);
  return lo >= least && hi <= most;
}

static void binary_range(OpCode code, const Known *x, const Known *y, double *lo, double *hi) {
  double products[] = {x->lo * y->lo, x->lo * y->hi, x->hi * y->lo, x->hi * y->hi};
  if (code == OP_tile_add) {
    *lo = x->lo + y->lo;
    *hi = x->hi + y->hi;
  } else if (code == OP_tile_sub) {
    *lo = x->lo - y->hi;
    *hi = x->hi - y->lo;
  } else if (code == OP_tile_mul) {
    *lo = lowest(products, 4);
    *hi = highest(products, 4);
  } else if (code == OP_tile_min) {
    *lo = fmin(x->lo, y->lo);
    *hi = fmin(x->hi, y->hi);
  } else {
    *lo = fmax(x->lo, y->lo);
    *hi = fmax(x->hi, y->hi);
  }
}

static void make_binary(Gen *g) {
  static const OpCode codes[] = {OP_tile_add, OP_tile_sub, OP_tile_mul, OP_tile_min, OP_tile_max};
  OpCode code = codes[random_below(g, ARRAY_LENGTH(codes))];
  const Known *x = random_pick(g, is_number);
  const Known *y = x ? pick_with(g, x, is_number, x->value->type.type) : NULL;
  double lo, hi;
  if (!y) return;
  binary_range(code, x, y, &lo, &hi);
  Exactness exactness = worse(x->exactness, y->exactness);
  bool is_partial = x->is_partial || y->is_partial;
  if (fits(x->value->type.type, lo, hi))
    random_know(g, build_binary(&g->b, code, x->value, y->value), exactness, lo, hi, is_partial);
}

static void make_unary(Gen *g) {
  const Known *x = random_pick(g, is_number);
  if (!x) return;
  double most = fmax(fabs(x->lo), fabs(x->hi));
  bool is_negation = random_chance(g, 2);
  double lo = is_negation ? -x->hi : 0, hi = is_negation ? -x->lo : most;
  if (fits(x->value->type.type, lo, hi))
    random_know(g, build_unary(&g->b, is_negation ? OP_tile_neg : OP_tile_abs, x->value), x->exactness, lo, hi,
                x->is_partial);
}

/* x * y + z on whole numbers, which fusing does not change. */
static void make_fma(Gen *g) {
  const Known *x = random_pick(g, is_whole);
  if (!x || !type_is_floating(x->value->type.type)) return;
  kiln_type type = x->value->type.type;
  const Known *y = pick_with(g, x, is_whole, type), *z = pick_with(g, x, is_whole, type);
  if (!y || !z || !goes_with(g, y, z) || !goes_with(g, z, y)) return;
  double lo, hi;
  binary_range(OP_tile_mul, x, y, &lo, &hi);
  if (!fits(type, lo, hi) || !fits(type, lo + z->lo, hi + z->hi)) return;
  bool is_partial = x->is_partial || y->is_partial || z->is_partial;
  random_know(g, build_ternary(&g->b, OP_tile_fma, x->value, y->value, z->value), EXACT_INTEGERS, lo + z->lo,
              hi + z->hi, is_partial);
}

/* Sums of fours of bytes, with those of another tile of the same shape or with the tile's own. */
static void make_dot(Gen *g) {
  const Known *x = random_pick(g, is_byte);
  if (!x || x->is_partial || x->value->type.cols % 4 != 0) return;
  const Known *y = random_pick(g, is_byte);
  bool is_like =
      y && !y->is_partial && y->value->type.rows == x->value->type.rows && y->value->type.cols == x->value->type.cols;
  if (!is_like) y = x;
  double most = 4 * fmax(fabs(x->lo), fabs(x->hi)) * fmax(fabs(y->lo), fabs(y->hi));
  Value *start = build_const(&g->b, 7, type_tile(x->value->type.rows, x->value->type.cols / 4, KILN_I32));
  random_know(g, build_ternary(&g->b, OP_tile_dot, start, x->value, y->value), EXACT_INTEGERS, 7 - most, 7 + most,
              false);
}

/* Square root, quotient and rounding of f32 and f64: rounded once by every target. */
static void make_rounded(Gen *g) {
  const Known *x = random_pick(g, is_floating);
  if (!x || (x->value->type.type != KILN_F32 && x->value->type.type != KILN_F64)) return;
  TileType type = x->value->type;
  Value *value = x->value;
  double lo = x->lo, hi = x->hi, most = fmax(fabs(lo), fabs(hi));
  bool is_partial = x->is_partial;
  switch (random_below(g, 3)) {
  case 0:
    random_know(g, build_unary(&g->b, OP_tile_round, value), EXACT_INTEGERS, floor(lo), ceil(hi), is_partial);
    return;
  case 1:
    value = build_unary(&g->b, OP_tile_abs, value);
    random_know(g, build_unary(&g->b, OP_tile_sqrt, value), EXACT_BITS, 0, sqrt(most), is_partial);
    return;
  default: {
    double divisor = (double)(3 + random_below(g, 7));
    Value *y = build_const(&g->b, divisor, type_scalar(type.type));
    random_know(g, build_binary(&g->b, OP_tile_div, value, y), EXACT_BITS, lo / divisor, hi / divisor, is_partial);
  }
  }
}

/* The functions of limited precision, where they are well conditioned. */
static void make_function(Gen *g) {
  static const OpCode codes[] = {OP_tile_exp, OP_tile_tanh, OP_tile_erf, OP_tile_log, OP_tile_rsqrt};
  OpCode code = codes[random_below(g, ARRAY_LENGTH(codes))];
  const Known *x = random_pick(g, is_f32_integer);
  if (!x || x->lo < -16 || x->hi > 16) return;
  Value *value = x->value;
  bool is_partial = x->is_partial;
  if (code == OP_tile_log || code == OP_tile_rsqrt) {
    value = build_unary(&g->b, OP_tile_abs, value);
    value = build_binary(&g->b, OP_tile_add, value, build_const(&g->b, 2, type_scalar(KILN_F32)));
  }
  random_know(g, build_unary(&g->b, code, value), EXACT_NOT, -1e8, 1e8, is_partial);
}

/* ---- comparison and bits ----------------------------------------------------------------------------------------- */

static void make_comparison(Gen *g) {
  static const OpCode codes[] = {OP_tile_lt, OP_tile_le, OP_tile_eq, OP_tile_ne};
  const Known *x = random_pick(g, is_number);
  const Known *y = x ? pick_with(g, x, is_number, x->value->type.type) : NULL;
  if (!y) return;
  bool is_partial = x->is_partial || y->is_partial;
  random_know(g, build_binary(&g->b, codes[random_below(g, 4)], x->value, y->value), EXACT_INTEGERS, 0, 1, is_partial);
}

static void make_select(Gen *g) {
  const Known *c = random_pick(g, is_mask);
  const Known *x = c ? random_pick(g, is_number) : NULL;
  if (!x || !goes_with(g, c, x) || !goes_with(g, x, c)) return;
  const Known *y = pick_with(g, x, is_number, x->value->type.type);
  if (!y || !goes_with(g, c, y) || !goes_with(g, y, c)) return;
  bool is_partial = c->is_partial || x->is_partial || y->is_partial;
  random_know(g, build_ternary(&g->b, OP_tile_select, c->value, x->value, y->value), worse(x->exactness, y->exactness),
              fmin(x->lo, y->lo), fmax(x->hi, y->hi), is_partial);
}

static void make_bits(Gen *g) {
  static const OpCode codes[] = {OP_tile_and, OP_tile_or, OP_tile_xor};
  const Known *x = random_pick(g, is_bits);
  const Known *y = x ? pick_with(g, x, is_bits, x->value->type.type) : NULL;
  double lo, hi;
  if (!y) return;
  random_range(x->value->type.type, &lo, &hi);
  bool is_partial = x->is_partial || y->is_partial;
  random_know(g, build_binary(&g->b, codes[random_below(g, 3)], x->value, y->value), EXACT_INTEGERS, lo, hi,
              is_partial);
}

static void make_nibble(Gen *g) {
  const Known *x = random_pick(g, is_byte);
  if (!x) return;
  TileType type = x->value->type;
  bool is_signed = random_chance(g, 2), is_partial = x->is_partial;
  type.type = is_signed ? KILN_I8 : KILN_U8;
  OpCode code = random_chance(g, 2) ? OP_tile_low_nibble : OP_tile_high_nibble;
  random_know(g, build_typed(&g->b, code, type, x->value, NULL), EXACT_INTEGERS, is_signed ? -8 : 0, is_signed ? 7 : 15,
              is_partial);
}

static void make_lookup(Gen *g) {
  const Known *x = random_pick(g, is_integer);
  if (!x) return;
  TileType type = x->value->type;
  bool is_partial = x->is_partial;
  int count = 1 << random_below(g, 5);
  Value *index = x->value;
  Value *iota = build_typed(&g->b, OP_tile_iota, type_tile(1, count, KILN_I32), NULL, NULL);
  Value *table = build_binary(&g->b, OP_tile_mul, iota, build_const(&g->b, -3, type_scalar(KILN_I32)));
  type.type = KILN_I32;
  random_know(g, build_typed(&g->b, OP_tile_lookup, type, table, index), EXACT_INTEGERS, -3.0 * (count - 1), 0,
              is_partial);
}

/* ---- conversion, shape, reduction -------------------------------------------------------------------------------- */

static void make_conversion(Gen *g) {
  const Known *x = random_pick(g, is_convertible);
  if (!x) return;
  TileType type = x->value->type;
  double lo = x->lo, hi = x->hi, least, most;
  bool is_partial = x->is_partial;
  Exactness exactness = x->exactness;
  type.type = random_type(g);
  random_range(type.type, &least, &most);
  bool is_within = lo >= least && hi <= most;
  if (!is_within && type_is_floating(type.type)) { /* rounded, but not past what the type holds */
    if (type_bits(type.type) < 16) return;
    exactness = EXACT_BITS;
    if (fmax(fabs(lo), fabs(hi)) > 60000) return;
  } else if (!type_is_floating(type.type)) { /* rounded and saturated */
    exactness = EXACT_INTEGERS;
    lo = fmin(fmax(floor(lo), least), most);
    hi = fmin(fmax(ceil(hi), least), most);
  }
  random_know(g, build_typed(&g->b, OP_tile_convert, type, x->value, NULL), exactness, lo, hi, is_partial);
}

static void make_reduction(Gen *g) {
  static const OpCode codes[] = {OP_tile_row_sum, OP_tile_col_sum, OP_tile_row_max, OP_tile_col_max};
  OpCode code = codes[random_below(g, 4)];
  const Known *x = random_pick(g, is_whole_everywhere);
  if (!x) return;
  bool is_sum = code == OP_tile_row_sum || code == OP_tile_col_sum;
  double terms = !is_sum ? 1 : code == OP_tile_row_sum ? x->value->type.cols : x->value->type.rows;
  double lo = fmin(x->lo * terms, x->lo), hi = fmax(x->hi * terms, x->hi);
  if (fits(x->value->type.type, fmin(lo, 0), fmax(hi, 0)))
    random_know(g, build_unary(&g->b, code, x->value), EXACT_INTEGERS, lo, hi, false);
}

static void make_slice(Gen *g, const Known *x) {
  TileType from = x->value->type, to = from;
  to.rows = 1 + random_below(g, from.rows);
  to.cols = 1 + random_below(g, from.cols);
  int row = random_below(g, from.rows - to.rows + 1), column = random_below(g, from.cols - to.cols + 1);
  random_know(g, build_slice(&g->b, x->value, row, column, to), x->exactness, x->lo, x->hi, false);
}

static void make_concat(Gen *g, const Known *x) {
  const Known *y = random_pick(g, is_movable);
  bool is_rows = random_chance(g, 2);
  if (!y || y->value->type.type != x->value->type.type) return;
  TileType type = x->value->type, other = y->value->type;
  if (is_rows ? type.cols != other.cols : type.rows != other.rows) return;
  type.rows += is_rows ? other.rows : 0;
  type.cols += is_rows ? 0 : other.cols;
  if (type.rows > 64 || type.cols > 64) return;
  OpCode code = is_rows ? OP_tile_concat_rows : OP_tile_concat_cols;
  random_know(g, build_typed(&g->b, code, type, x->value, y->value), worse(x->exactness, y->exactness),
              fmin(x->lo, y->lo), fmax(x->hi, y->hi), false);
}

static void make_moved(Gen *g) {
  const Known *found = random_pick(g, is_movable);
  if (!found) return;
  const Known x = *found;
  TileType type = x.value->type;
  switch (random_below(g, 4)) {
  case 0: random_know(g, build_unary(&g->b, OP_tile_transpose, x.value), x.exactness, x.lo, x.hi, false); return;
  case 1: make_slice(g, &x); return;
  case 2: make_concat(g, &x); return;
  default:
    type.rows = type.rows == 1 ? g->rows : type.rows;
    type.cols = type.cols == 1 ? g->cols : type.cols;
    random_know(g, build_typed(&g->b, OP_tile_broadcast, type, x.value, NULL), x.exactness, x.lo, x.hi, false);
  }
}

/* ---- new ones ---------------------------------------------------------------------------------------------------- */

static void make_constant(Gen *g) {
  kiln_type type = random_type(g);
  double number = random_below(g, 9) - (type_class(type) == CLASS_UNSIGNED ? 0 : 4);
  int rows = random_chance(g, 2) ? 1 : g->rows, cols = random_chance(g, 2) ? 1 : g->cols;
  if (random_chance(g, 3)) {
    TileType row = random_chance(g, 2) ? type_tile(1, g->cols, KILN_I32) : type_tile(g->rows, 1, KILN_I32);
    random_know(g, build_typed(&g->b, OP_tile_iota, row, NULL, NULL), EXACT_INTEGERS, 0, 64, false);
  } else if (random_chance(g, 3)) {
    Value *index = random_chance(g, 2) ? g->rows_left : g->i;
    random_know(g, build_typed(&g->b, OP_tile_index, type_scalar(KILN_I32), index, NULL), EXACT_INTEGERS, 0, 64, false);
  } else {
    random_know(g, build_const(&g->b, number, type_tile(rows, cols, type)), EXACT_INTEGERS, number, number, false);
  }
}

typedef void Maker(Gen *g);

void random_value(Gen *g) {
  static Maker *const makers[] = {make_binary,    make_binary,   make_binary,     make_unary,      make_fma,
                                  make_rounded,   make_function, make_comparison, make_select,     make_bits,
                                  make_nibble,    make_dot,      make_lookup,     make_conversion, make_conversion,
                                  make_reduction, make_moved,    make_constant};
  makers[random_below(g, ARRAY_LENGTH(makers))](g);
}
