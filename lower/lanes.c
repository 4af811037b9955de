/* lanes.c: moving elements between lanes: splats, shuffles, pieces, transposes. All masks are constants. */
#include "lower/emit.h"

enum { MAX_LANES = 64 };

LLVMValueRef lower_splat(Emitter *e, LLVMValueRef scalar, int lanes) {
  if (lanes == 1) return scalar;
  LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
  if (LLVMIsAConstantInt(scalar) || LLVMIsAConstantFP(scalar)) {
    LLVMValueRef copies[MAX_LANES];
    for (int i = 0; i < lanes; ++i) copies[i] = scalar;
    return LLVMConstVector(copies, (unsigned)lanes);
  }
  LLVMValueRef first = LLVMBuildInsertElement(e->builder, LLVMGetPoison(type), scalar, lower_i64(e, 0), "");
  LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(e->i32, (unsigned)lanes));
  return LLVMBuildShuffleVector(e->builder, first, LLVMGetPoison(type), zeros, "");
}

LLVMValueRef lower_extract(Emitter *e, LLVMValueRef vector, int lane) {
  if (lower_lane_count(vector) == 1) return vector;
  return LLVMBuildExtractElement(e->builder, vector, lower_i64(e, lane), "");
}

LLVMValueRef lower_insert(Emitter *e, LLVMValueRef vector, LLVMValueRef scalar, int lane) {
  if (LLVMGetTypeKind(LLVMTypeOf(vector)) != LLVMVectorTypeKind) return scalar;
  return LLVMBuildInsertElement(e->builder, vector, scalar, lower_i64(e, lane), "");
}

LLVMValueRef lower_shuffle(Emitter *e, LLVMValueRef x, LLVMValueRef y, const int *mask, int lanes) {
  int width = lower_lane_count(x);
  bool is_identity = width == lanes;
  LLVMValueRef numbers[MAX_LANES];
  for (int i = 0; i < lanes; ++i) {
    is_identity &= mask[i] == i || mask[i] < 0;
    numbers[i] = mask[i] < 0 ? LLVMGetPoison(e->i32) : lower_i32(e, mask[i]);
  }
  if (is_identity) return x;
  if (lanes == 1) return mask[0] < width ? lower_extract(e, x, mask[0]) : lower_extract(e, y, mask[0] - width);
  LLVMValueRef other = y ? y : LLVMGetPoison(LLVMTypeOf(x));
  return LLVMBuildShuffleVector(e->builder, x, other, LLVMConstVector(numbers, (unsigned)lanes), "");
}

LLVMValueRef lower_part_of(Emitter *e, LLVMValueRef x, int first, int lanes) {
  int mask[MAX_LANES];
  for (int i = 0; i < lanes; ++i) mask[i] = first + i;
  return lower_shuffle(e, x, NULL, mask, lanes);
}

/* ---- collecting -------------------------------------------------------------------------------------------------- */

/* The source's lanes at their places in a vector of `lanes`, anything elsewhere. */
static LLVMValueRef place_lanes(Emitter *e, const LaneSource *sources, int lanes, LLVMValueRef from) {
  int mask[MAX_LANES];
  for (int i = 0; i < lanes; ++i) mask[i] = sources[i].from == from ? sources[i].lane : -1;
  return lower_shuffle(e, from, NULL, mask, lanes);
}

static LLVMValueRef blend_lanes(Emitter *e, const LaneSource *sources, int lanes, LLVMValueRef x, LLVMValueRef from) {
  int mask[MAX_LANES];
  LLVMValueRef placed = place_lanes(e, sources, lanes, from);
  for (int i = 0; i < lanes; ++i) mask[i] = sources[i].from == from ? lanes + i : i;
  return lower_shuffle(e, x, placed, mask, lanes);
}

LLVMValueRef lower_collect(Emitter *e, LLVMTypeRef element, const LaneSource *sources, int lanes) {
  LLVMValueRef result = NULL;
  if (lanes == 1) return lower_extract(e, sources[0].from, sources[0].lane);
  for (int i = 0; i < lanes; ++i) {
    LLVMValueRef from = sources[i].from;
    bool is_new = from != NULL;
    for (int j = 0; j < i && is_new; ++j) is_new = sources[j].from != from || lower_lane_count(from) == 1;
    if (!is_new) continue;
    if (lower_lane_count(from) == 1) {
      if (!result) result = LLVMGetPoison(lower_lanes_of(element, lanes));
      result = lower_insert(e, result, from, i);
    } else {
      result = result ? blend_lanes(e, sources, lanes, result, from) : place_lanes(e, sources, lanes, from);
    }
  }
  return result ? result : LLVMGetPoison(lower_lanes_of(element, lanes));
}

LLVMValueRef lower_concat(Emitter *e, const LLVMValueRef *parts, int count) {
  int mask[MAX_LANES], lanes = count * lower_lane_count(parts[0]), half = count / 2;
  if (count == 1) return parts[0];
  for (int i = 0; i < lanes; ++i) mask[i] = i;
  return lower_shuffle(e, lower_concat(e, parts, half), lower_concat(e, parts + half, half), mask, lanes);
}

/* ---- transposing ------------------------------------------------------------------------------------------------- */

/* Lanes of a pair of vectors, by a rule that gives lane i of the result as a lane of x (below `lanes`) or of y. */
static LLVMValueRef shuffle_pair(Emitter *e, LLVMValueRef x, LLVMValueRef y, int lanes, int (*rule)(int, int, int),
                                 int step) {
  int mask[MAX_LANES];
  if (!x && !y) return NULL;
  LLVMTypeRef type = LLVMTypeOf(x ? x : y);
  for (int i = 0; i < lanes; ++i) mask[i] = rule(i, lanes, step);
  return lower_shuffle(e, x ? x : LLVMGetPoison(type), y ? y : LLVMGetPoison(type), mask, lanes);
}

/* Swapping the off-diagonal blocks of `step` lanes. */
static int swap_upper(int i, int lanes, int step) { return i & step ? lanes + i - step : i; }
static int swap_lower(int i, int lanes, int step) { return i & step ? lanes + i : i + step; }
/* Interleaving within groups of four lanes: x0 y0 x1 y1 and x2 y2 x3 y3, of units of `step` lanes. */
static int interleave_low(int i, int lanes, int step) {
  int group = i / 4 * 4, unit = i % 4 / step;
  return group + (unit / 2) * step + i % step + (unit % 2 ? lanes : 0);
}
static int interleave_high(int i, int lanes, int step) { return interleave_low(i, lanes, step) + 2; }

/* Four rows at a time within groups of four lanes: the unpck instructions of x86, zip of ARM. */
void lower_transpose_fours(Emitter *e, LLVMValueRef *rows, int n, int lanes) {
  for (int i = 0; i < n; i += 4) {
    LLVMValueRef *r = rows + i, t[4];
    t[0] = shuffle_pair(e, r[0], r[1], lanes, interleave_low, 1);
    t[1] = shuffle_pair(e, r[0], r[1], lanes, interleave_high, 1);
    t[2] = shuffle_pair(e, r[2], r[3], lanes, interleave_low, 1);
    t[3] = shuffle_pair(e, r[2], r[3], lanes, interleave_high, 1);
    r[0] = shuffle_pair(e, t[0], t[2], lanes, interleave_low, 2);
    r[1] = shuffle_pair(e, t[0], t[2], lanes, interleave_high, 2);
    r[2] = shuffle_pair(e, t[1], t[3], lanes, interleave_low, 2);
    r[3] = shuffle_pair(e, t[1], t[3], lanes, interleave_high, 2);
  }
}

/* In place: each n x n block of n vectors is transposed. n is a power of two; NULL is a vector of anything. */
static void transpose_blocks(Emitter *e, LLVMValueRef *rows, int n, int lanes) {
  for (int step = n / 2; step > (n >= 4 ? 2 : 0); step /= 2) {
    for (int i = 0; i < n; ++i) {
      if (i & step) continue;
      LLVMValueRef x = rows[i], y = rows[i + step];
      rows[i] = shuffle_pair(e, x, y, lanes, swap_upper, step);
      rows[i + step] = shuffle_pair(e, x, y, lanes, swap_lower, step);
    }
  }
  if (n >= 4) lower_transpose_fours(e, rows, n, lanes);
}

static LLVMValueRef join(Emitter *e, LLVMTypeRef element, LLVMValueRef *rows, int count, int stride, int width) {
  LaneSource sources[MAX_LANES] = {{NULL, 0}};
  for (int i = 0; i < count * width; ++i) sources[i] = (LaneSource){rows[i / width * stride], i % width};
  return lower_collect(e, element, sources, count * width);
}

/* `height` rows (powers of two, NULL: anything) of one chunk of `width` lanes; column j goes to out[j * stride]. */
static void transpose_chunk(Emitter *e, LLVMValueRef *rows, int height, int width, int cols, LLVMValueRef *out,
                            int stride) {
  LLVMTypeRef element = NULL;
  for (int i = 0; i < height; ++i)
    if (rows[i]) element = lower_element_of(rows[i]);
  int n = height < width ? height : width, lanes = height > width ? height : width;
  if (height > width)
    for (int i = 0; i < n; ++i) rows[i] = join(e, element, rows + i, height / n, n, width);
  transpose_blocks(e, rows, n, lanes);
  for (int j = 0; j < cols; ++j) {
    LLVMValueRef row = rows[j % n] ? rows[j % n] : LLVMGetPoison(lower_lanes_of(element, lanes));
    out[j * stride] = height >= width ? row : lower_part_of(e, row, j / n * n, n);
  }
}

void lower_transpose(Emitter *e, const LLVMValueRef *in, int rows, int cols, LLVMValueRef *out) {
  int in_chunks = lower_chunks(e, cols), out_chunks = lower_chunks(e, rows);
  for (int b = 0; b < out_chunks; ++b) {
    int height = lower_chunk_lanes(e, rows, b), valid_rows = lower_chunk_valid(e, rows, b);
    for (int c = 0; c < in_chunks; ++c) {
      LLVMValueRef block[MAX_LANES] = {NULL};
      int width = lower_chunk_lanes(e, cols, c);
      for (int i = 0; i < valid_rows; ++i) block[i] = in[(b * e->lanes + i) * in_chunks + c];
      transpose_chunk(e, block, height, width, lower_chunk_valid(e, cols, c), out + c * e->lanes * out_chunks + b,
                      out_chunks);
    }
  }
}

/* ---- broadcasting ------------------------------------------------------------------------------------------------ */

LLVMValueRef lower_spread_chunk(Emitter *e, Spread *spread, int row, int chunk) {
  const Lowered *x = spread->x;
  int from = x->type.rows == 1 ? 0 : row;
  if (x->type.cols > 1) return x->parts[from * lower_chunks(e, x->type.cols) + chunk];
  int lanes = lower_chunk_lanes(e, spread->cols, chunk);
  if (lanes == 1) return x->parts[from];
  if (spread->splat && spread->row == from && spread->lanes == lanes) return spread->splat;
  spread->row = from;
  spread->lanes = lanes;
  return spread->splat = lower_splat(e, x->parts[from], lanes);
}
