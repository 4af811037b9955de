/* verify_memory.c: buffers, and the operations that read and write them. */
#include "ir/tile/verify.h"

enum { KERNEL_SCRATCH_BYTES = 256 << 10 };

/* ---- accesses ---------------------------------------------------------------------------------------------------- */

/* A buffer, an index an axis, and bounds that are indexes. */
static bool check_place(Verifier *v, const Op *op, Access *access) {
  *access = access_of(op);
  if (!verify_kind(v, op, KIND_BUF, access->buffer->type, "the place")) return false;
  int rank = access->buffer->type.buf->rank;
  if (access->index_count != rank) {
    verify_fault(v, op, "'%s' needs an index for each of %d ax%ss, found %d", verify_name(op), rank,
                 rank == 1 ? "i" : "e", access->index_count);
    return false;
  }
  for (int i = 0; i < rank; i++) {
    if (!verify_kind(v, op, KIND_INDEX, access->indices[i]->type, "a position")) return false;
  }
  return (!access->rows || verify_kind(v, op, KIND_INDEX, access->rows->type, "the bound 'rows'")) &&
         (!access->cols || verify_kind(v, op, KIND_INDEX, access->cols->type, "the bound 'cols'"));
}

static bool check_unbounded(Verifier *v, const Op *op, Access *access) {
  if (!check_place(v, op, access)) return false;
  if (!access->rows && !access->cols) return true;
  verify_fault(v, op, "'%s' takes no bounds: expected neither 'rows' nor 'cols'", verify_name(op));
  return false;
}

/* Elements next to each other in memory lie along the rows of the tile, not the columns. */
static bool is_contiguous_along_rows(const BufType *buf) {
  return (buf->layout == LAYOUT_COL_PANEL && buf->group > 1) || (buf->layout == LAYOUT_ROW_PANEL && buf->group == 1);
}

/* Why a tile of this shape cannot lie in the buffer; NULL: it can. */
static const char *shape_rule(const BufType *buf, TileType shape) {
  if (buf->rank == 0 && (shape.rows != 1 || shape.cols != 1)) return "a buffer without axes holds one element";
  if (buf->rank == 1 && shape.rows != 1) return "a buffer of one axis holds one row";
  if (buf->layout == LAYOUT_COL_PANEL && shape.cols > buf->panel) return "columns may not exceed the panel";
  if (buf->layout == LAYOUT_ROW_PANEL && shape.rows > buf->panel) return "rows may not exceed the panel";
  int contiguous = is_contiguous_along_rows(buf) ? shape.rows : shape.cols;
  if (type_bits(buf->type) == 4 && contiguous % 2 != 0)
    return "nibbles are read and written in pairs, so an even number of neighbours is needed";
  return NULL;
}

/* A tile or fragment to or from memory. */
static void check_transfer(Verifier *v, const Op *op, TypeKind kind, TileType type) {
  Access access;
  if (!verify_kind(v, op, kind, type, op_stores(op->code) ? "the value" : "the result") || !check_place(v, op, &access))
    return;
  TileType buffer = access.buffer->type;
  if (buffer.type != type.type) {
    verify_fault(v, op, "'%s' of %s needs a buffer of %s, found %s", verify_name(op), verify_type_text(v, type),
                 kiln_type_name(type.type), verify_type_text(v, buffer));
    return;
  }
  const char *rule = shape_rule(buffer.buf, type);
  if (rule)
    verify_fault(v, op, "'%s' of %s does not fit %s: %s", verify_name(op), verify_type_text(v, type),
                 verify_type_text(v, buffer), rule);
}

void verify_tile_load(Verifier *v, const Op *op) { check_transfer(v, op, KIND_TILE, op->results[0].type); }
void verify_tile_store(Verifier *v, const Op *op) { check_transfer(v, op, KIND_TILE, op->operands[0]->type); }
void verify_frag_load(Verifier *v, const Op *op) { check_transfer(v, op, KIND_FRAG, op->results[0].type); }

void verify_frag_store(Verifier *v, const Op *op) {
  TileType type = op->operands[0]->type;
  if (type.kind == KIND_FRAG && type.role != ROLE_ACC)
    verify_fault(v, op, "'frag_store' takes an accumulator, found %s", verify_type_text(v, type));
  else check_transfer(v, op, KIND_FRAG, type);
}

void verify_prefetch(Verifier *v, const Op *op) {
  Access access;
  check_unbounded(v, op, &access);
  if (op->number < 0 || op->number > 3)
    verify_fault(v, op, "the level of 'prefetch' must be from 0 to 3, found %lld", (long long)op->number);
}

void verify_atomic_add(Verifier *v, const Op *op) {
  Access access;
  TileType i32 = type_scalar(KILN_I32);
  if (!check_unbounded(v, op, &access) || !verify_same(v, op, i32, access.value->type, "the value") ||
      !verify_same(v, op, i32, op->results[0].type, "the result"))
    return;
  if (access.buffer->type.type != KILN_I32)
    verify_fault(v, op, "'atomic_add' needs a buffer of i32, found %s", verify_type_text(v, access.buffer->type));
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

/* A stride as a product: of a number and of symbols in ascending order. */
typedef struct Product {
  int64_t number;
  int symbols[TILE_MAX_RANK];
  int count;
} Product;

static void multiply(Product *product, Extent extent) {
  if (extent.symbol < 0) {
    if (__builtin_mul_overflow(product->number, extent.number, &product->number)) product->number = INT64_MAX;
    return;
  }
  int at = product->count++;
  for (; at > 0 && product->symbols[at - 1] > extent.symbol; at--) product->symbols[at] = product->symbols[at - 1];
  product->symbols[at] = extent.symbol;
}

/* Unknown sizes come first only (verify_type.c), so no stride contains one. */
static Product stride_of(const BufType *buf, int axis) {
  Product product = {.number = 1};
  if (buf->layout == LAYOUT_STRIDED) {
    multiply(&product, buf->strides[axis]);
    return product;
  }
  for (int i = axis + 1; i < buf->rank; i++) multiply(&product, buf->dims[i]);
  return product;
}

static bool is_same_product(const Product *a, const Product *b) {
  if (a->number != b->number || a->count != b->count) return false;
  for (int i = 0; i < a->count; i++) {
    if (a->symbols[i] != b->symbols[i]) return false;
  }
  return true;
}

/* Panels: what fixes the distance between elements must be the same, so that an offset added once suffices. */
static const char *panel_view_rule(const BufType *from, const BufType *to, int dropped) {
  if (to->layout != from->layout || to->panel != from->panel || to->group != from->group || to->rank < 2)
    return "the panels must be the same";
  bool is_col = to->layout == LAYOUT_COL_PANEL;
  int inner = is_col ? to->rank - 2 : to->rank - 1;
  if (!extent_equal(to->dims[inner], from->dims[dropped + inner]))
    return is_col ? "the rows must be the same, as panels are that long"
                  : "the columns must be the same, as panels are that long";
  for (int i = 1; i < to->rank && to->rank > 2; i++) {
    if (!extent_equal(to->dims[i], from->dims[dropped + i]))
      return "all sizes but the first must be the same, as they fix how far copies are apart";
  }
  return NULL;
}

/* Only the start moves: the distances between elements are those of the buffer, whatever the sizes. */
static const char *view_rule(const BufType *from, const BufType *to) {
  int dropped = from->rank - to->rank;
  if (to->type != from->type) return "the element type must be the same";
  if (dropped < 0) return "a view has at most the axes of its buffer";
  if (buf_is_panel(from) || buf_is_panel(to)) return panel_view_rule(from, to, dropped);
  for (int i = 0; i < to->rank; i++) {
    Product a = stride_of(to, i), b = stride_of(from, dropped + i);
    if (!is_same_product(&a, &b)) return "the strides must be those of the buffer's last axes";
  }
  return NULL;
}

void verify_buf_view(Verifier *v, const Op *op) {
  Access access;
  TileType type = op->results[0].type;
  if (!verify_kind(v, op, KIND_BUF, type, "the result") || !check_unbounded(v, op, &access)) return;
  const char *rule = view_rule(access.buffer->type.buf, type.buf);
  if (rule)
    verify_fault(v, op, "%s is no view of %s: %s", verify_type_text(v, type), verify_type_text(v, access.buffer->type),
                 rule);
}

/* Where axis `axis` of the transpose comes from. */
static int swapped(int axis, int rank) { return axis < rank - 2 ? axis : 2 * rank - 3 - axis; }

/* Panels of columns are panels of rows of the transpose. */
static bool is_same_panel(const BufType *from, const BufType *to) {
  return buf_is_panel(from) && buf_is_panel(to) && from->layout != to->layout && from->panel == to->panel &&
         from->group == to->group;
}

static const char *transpose_rule(const BufType *from, const BufType *to) {
  if (to->type != from->type) return "the element type must be the same";
  if (from->rank < 2 || to->rank != from->rank) return "both need the same axes, at least two";
  bool has_panels = buf_is_panel(from) || buf_is_panel(to);
  if (has_panels && !is_same_panel(from, to)) return "panels of columns become the same of rows, and these those";
  for (int i = 0; i < to->rank; i++) {
    Product a = stride_of(to, i), b = stride_of(from, swapped(i, to->rank));
    if (!extent_equal(to->dims[i], from->dims[swapped(i, to->rank)])) return "the last two sizes must be swapped";
    if (!has_panels && !is_same_product(&a, &b)) return "the last two strides must be swapped";
  }
  return NULL;
}

void verify_buf_transpose(Verifier *v, const Op *op) {
  TileType type = op->results[0].type, from = op->operands[0]->type;
  if (!verify_kind(v, op, KIND_BUF, type, "the result") || !verify_kind(v, op, KIND_BUF, from, "the operand")) return;
  const char *rule = transpose_rule(from.buf, type.buf);
  if (rule)
    verify_fault(v, op, "%s is no transpose of %s: %s", verify_type_text(v, type), verify_type_text(v, from), rule);
}

static bool is_static(const BufType *buf) {
  for (int i = 0; i < buf->rank; i++) {
    if (buf->dims[i].symbol != EXTENT_NUMBER ||
        (buf->layout == LAYOUT_STRIDED && buf->strides[i].symbol != EXTENT_NUMBER))
      return false;
  }
  return true;
}

/* It lies on the stack of whatever thread runs the task. */
void verify_buf_scratch(Verifier *v, const Op *op) {
  TileType type = op->results[0].type;
  if (!verify_kind(v, op, KIND_BUF, type, "the result")) return;
  if (!is_static(type.buf)) {
    verify_fault(v, op, "'buf_scratch' needs a constant size, found %s", verify_type_text(v, type));
    return;
  }
  int64_t elements = buf_span(type.buf, NULL);
  int64_t most = TILE_SCRATCH_BYTES * 8 / (int64_t)type_bits(type.type);
  if (elements > most) {
    verify_fault(v, op, "'buf_scratch' can have %d bytes, found %s", TILE_SCRATCH_BYTES, verify_type_text(v, type));
    return;
  }
  v->scratch_bytes += (int64_t)type_bytes(type.type, (size_t)elements);
  if (v->scratch_bytes > KERNEL_SCRATCH_BYTES)
    verify_fault(v, op, "a kernel can have %d bytes of scratch, found %lld up to here", KERNEL_SCRATCH_BYTES,
                 (long long)v->scratch_bytes);
}

void verify_buf_workspace(Verifier *v, const Op *op) {
  verify_kind(v, op, KIND_BUF, op->results[0].type, "the result");
  verify_kind(v, op, KIND_INDEX, op->operands[0]->type, "the byte offset");
}
