/* verify_type.c: types that can exist: extents of tiles and fragments, shapes and layouts of buffers. */
#include "ir/tile/verify.h"

static bool is_nibble(kiln_type type) { return type_bits(type) == 4; }

static bool is_odd(Extent extent) { return extent.symbol == EXTENT_NUMBER && extent.number % 2 != 0; }

bool verify_has_unknown(const BufType *buf) {
  for (int i = 0; i < buf->rank; i++) {
    if (buf->dims[i].symbol == EXTENT_UNKNOWN) return true;
  }
  return false;
}

/* Limits keep generated code and the interpreter's memory within reason. */
static bool check_tile(Verifier *v, const Op *op, TileType type) {
  const char *rule = NULL;
  if (type.rows < 1 || type.cols < 1 || type.rows > TILE_MAX_EXTENT || type.cols > TILE_MAX_EXTENT)
    rule = "rows and columns must be from 1 to 4096";
  else if (type.rows * type.cols > TILE_MAX_ELEMENTS) rule = "there can be at most 65536 elements";
  else if (type.kind == KIND_FRAG && type.type == KILN_BOOL) rule = "fragments hold numbers";
  if (rule) verify_fault(v, op, "%s: %s", verify_type_text(v, type), rule);
  return !rule;
}

/* Strides are not negative: the offset of an element never lies before its buffer. */
static bool check_extent(Verifier *v, const Op *op, Extent extent, const char *what) {
  bool is_symbol = extent.symbol >= 0 && (size_t)extent.symbol < v->kernel->symbols.count;
  if (is_symbol || extent.symbol == EXTENT_UNKNOWN || (extent.symbol == EXTENT_NUMBER && extent.number >= 0))
    return true;
  if (extent.symbol == EXTENT_NUMBER)
    verify_fault(v, op, "a %s of a buffer must not be negative, found %lld", what, (long long)extent.number);
  else
    verify_fault(v, op, "a %s of a buffer is symbol %d, but the kernel has %zu", what, extent.symbol,
                 v->kernel->symbols.count);
  return false;
}

/* Which sizes must be known, because the offset of an element depends on them. */
static const char *unknown_rule(const BufType *buf) {
  if (buf->layout == LAYOUT_STRIDED) return NULL;
  bool is_free_last = buf->layout == LAYOUT_COL_PANEL && buf->rank == 2;
  bool is_free_first = buf->layout != LAYOUT_COL_PANEL || buf->rank > 2;
  for (int i = 0; i < buf->rank; i++) {
    if (buf->dims[i].symbol == EXTENT_UNKNOWN && !(i == 0 && is_free_first) && !(i == buf->rank - 1 && is_free_last))
      return is_free_last ? "only the columns may be '?'" : "only the first size may be '?'";
  }
  return NULL;
}

/* Two elements share a byte, so they must be neighbours everywhere. */
static const char *nibble_rule(const BufType *buf) {
  if (!is_nibble(buf->type)) return NULL;
  if (buf->rank == 0) return "a nibble has no memory of its own";
  if (buf_is_panel(buf))
    return buf->group % 2 != 0 && (buf->group != 1 || buf->panel % 2 != 0)
               ? "the group, or the panel where the group is 1, must be even for nibbles"
               : NULL;
  if (is_odd(buf->dims[buf->rank - 1]) && buf->rank > 1) return "the last size must be even for nibbles";
  if (buf->layout != LAYOUT_STRIDED) return NULL;
  if (!extent_equal(buf->strides[buf->rank - 1], extent_number(1))) return "the last stride must be 1 for nibbles";
  for (int i = 0; i + 1 < buf->rank; i++) {
    if (is_odd(buf->strides[i])) return "all strides but the last must be even for nibbles";
  }
  return NULL;
}

static const char *layout_rule(const BufType *buf) {
  if (buf_is_panel(buf)) {
    if (buf->rank < 2) return "a panel layout needs two axes or more";
    if (buf->panel < 1 || buf->panel > TILE_MAX_EXTENT || buf->group < 1 || buf->group > TILE_MAX_EXTENT)
      return "panel and group must be from 1 to 4096";
  }
  for (int i = 0; i < buf->rank && buf->layout == LAYOUT_STRIDED; i++) {
    if (buf->strides[i].symbol == EXTENT_UNKNOWN) return "a stride cannot be '?'";
  }
  const char *rule = unknown_rule(buf);
  return rule ? rule : nibble_rule(buf);
}

static bool check_buf(Verifier *v, const Op *op, TileType type) {
  const BufType *buf = type.buf;
  if (!buf || buf->rank < 0 || buf->rank > TILE_MAX_RANK) {
    verify_fault(v, op, "a buffer has from 0 to %d axes", TILE_MAX_RANK);
    return false;
  }
  for (int i = 0; i < buf->rank; i++) {
    if (!check_extent(v, op, buf->dims[i], "size")) return false;
    if (buf->layout == LAYOUT_STRIDED && !check_extent(v, op, buf->strides[i], "stride")) return false;
  }
  const char *rule = layout_rule(buf);
  if (rule) verify_fault(v, op, "%s: %s", verify_type_text(v, type), rule);
  return !rule;
}

bool verify_type(Verifier *v, const Op *op, TileType type) {
  switch (type.kind) {
  case KIND_INDEX: return true;
  case KIND_TILE:
  case KIND_FRAG: return check_tile(v, op, type);
  case KIND_BUF: return check_buf(v, op, type);
  }
  return false;
}
