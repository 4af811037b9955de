/* types.c: types of the tile IR: making, comparing, and where the elements of a buffer lie.
 *
 * Sizes and strides come from callers at run time, so arithmetic on them saturates instead of overflowing: a span that
 * does not fit in 63 bits is larger than any memory, and so is INT64_MAX. */
#include "ir/tile/tile.h"

/* ---- making and comparing ---------------------------------------------------------------------------------------- */

TileType type_index(void) { return (TileType){.kind = KIND_INDEX}; }

TileType type_tile(int rows, int cols, kiln_type type) {
  return (TileType){.kind = KIND_TILE, .type = type, .rows = rows, .cols = cols};
}

TileType type_scalar(kiln_type type) { return type_tile(1, 1, type); }

TileType type_frag(FragRole role, int rows, int cols, kiln_type type) {
  return (TileType){.kind = KIND_FRAG, .type = type, .rows = rows, .cols = cols, .role = role};
}

TileType type_buf(const BufType *buf) { return (TileType){.kind = KIND_BUF, .type = buf->type, .buf = buf}; }

/* The number beside a symbol means nothing. */
bool extent_equal(Extent a, Extent b) {
  return a.symbol == b.symbol && (a.symbol != EXTENT_NUMBER || a.number == b.number);
}

static bool buf_equal(const BufType *a, const BufType *b) {
  if (a->type != b->type || a->rank != b->rank || a->layout != b->layout) return false;
  for (int i = 0; i < a->rank; i++) {
    if (!extent_equal(a->dims[i], b->dims[i])) return false;
    if (a->layout == LAYOUT_STRIDED && !extent_equal(a->strides[i], b->strides[i])) return false;
  }
  return !buf_is_panel(a) || (a->panel == b->panel && a->group == b->group);
}

bool tile_type_equal(TileType a, TileType b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
  case KIND_INDEX: return true;
  case KIND_BUF: return a.buf == b.buf || buf_equal(a.buf, b.buf);
  case KIND_TILE: return a.type == b.type && a.rows == b.rows && a.cols == b.cols;
  case KIND_FRAG: return a.type == b.type && a.rows == b.rows && a.cols == b.cols && a.role == b.role;
  }
  return false;
}

/* ---- where elements lie ------------------------------------------------------------------------------------------ */

/* Sizes and strides are not negative, so what overflows is too large. */
static int64_t multiply(int64_t a, int64_t b) {
  int64_t product;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static int64_t add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b > 0); }

int64_t extent_value(Extent extent, const int64_t *symbols) {
  if (extent.symbol == EXTENT_NUMBER) return extent.number;
  KILN_ASSERT(extent.symbol >= 0);
  return symbols[extent.symbol];
}

/* What one panel spans: groups of the axis within it, each of panel * group elements. */
static int64_t panel_stride(const BufType *type, const int64_t *symbols) {
  int inner = type->layout == LAYOUT_COL_PANEL ? type->rank - 2 : type->rank - 1;
  int64_t groups = divide_up(extent_value(type->dims[inner], symbols), type->group);
  return multiply(groups, multiply(type->panel, type->group));
}

/* What one copy (the last two axes) of a panel buffer spans. */
static int64_t panel_copy(const BufType *type, const int64_t *symbols) {
  int outer = type->layout == LAYOUT_COL_PANEL ? type->rank - 1 : type->rank - 2;
  int64_t panels = divide_up(extent_value(type->dims[outer], symbols), type->panel);
  return multiply(panels, panel_stride(type, symbols));
}

/* The formula of tile.h; of a row panel with rows and columns exchanged. */
static int64_t panel_offset(const BufType *type, const int64_t *symbols, int64_t row, int64_t col) {
  bool transposed = type->layout == LAYOUT_ROW_PANEL;
  int64_t k = transposed ? col : row;
  int64_t n = transposed ? row : col;
  int64_t in_panel =
      add(multiply(add(multiply(k / type->group, type->panel), n % type->panel), type->group), k % type->group);
  return add(multiply(n / type->panel, panel_stride(type, symbols)), in_panel);
}

/* The last element of a strided buffer ends it: the rest of its last row is not part of it. */
int64_t buf_span(const BufType *type, const int64_t *symbols) {
  int plain = buf_is_panel(type) ? type->rank - 2 : type->rank; /* axes that are not inside a panel */
  int64_t count = 1;
  for (int i = 0; i < type->rank; i++) {
    if (extent_value(type->dims[i], symbols) <= 0) return 0;
  }
  if (type->layout == LAYOUT_STRIDED) {
    for (int i = 0; i < plain; i++)
      count = add(count, multiply(extent_value(type->dims[i], symbols) - 1, extent_value(type->strides[i], symbols)));
    return count;
  }
  for (int i = 0; i < plain; i++) count = multiply(count, extent_value(type->dims[i], symbols));
  return buf_is_panel(type) ? multiply(count, panel_copy(type, symbols)) : count;
}

int64_t buf_offset(const BufType *type, const int64_t *symbols, const int64_t *indices) {
  int64_t offset = 0;
  if (type->layout == LAYOUT_STRIDED) {
    for (int i = 0; i < type->rank; i++)
      offset = add(offset, multiply(indices[i], extent_value(type->strides[i], symbols)));
    return offset;
  }
  bool panels = buf_is_panel(type);
  int plain = panels ? type->rank - 2 : type->rank;
  for (int i = 0; i < plain; i++) /* the first axis's size does not matter, and may be unknown */
    offset = i == 0 ? indices[0] : add(multiply(offset, extent_value(type->dims[i], symbols)), indices[i]);
  if (!panels) return offset;
  int64_t in_copy = panel_offset(type, symbols, indices[plain], indices[plain + 1]);
  return plain == 0 ? in_copy : add(multiply(offset, panel_copy(type, symbols)), in_copy);
}
