/* print_type.c: types as text: index, f32, tile<8x48, f32>, frag<acc, 8x48, f32>, buf<f32, [m, k], [lda, 1]>. */
#include "ir/tile/tile.h"

#include <inttypes.h>

static const char *const role_names[] = {[ROLE_A] = "a", [ROLE_B] = "b", [ROLE_ACC] = "acc"};

/* A symbol the kernel does not have prints like an unknown size; tile_verify reports it. */
static void print_extent(const Kernel *kernel, Extent extent, Text *out) {
  if (extent.symbol == EXTENT_NUMBER) text_printf(out, "%" PRId64, extent.number);
  else if (extent.symbol >= 0 && (size_t)extent.symbol < kernel->symbols.count)
    text_add(out, kernel->symbols.items[extent.symbol].name);
  else text_add_char(out, '?');
}

static void print_extents(const Kernel *kernel, const Extent *extents, int rank, Text *out) {
  text_add_char(out, '[');
  for (int i = 0; i < rank; i++) {
    text_add(out, i ? ", " : "");
    print_extent(kernel, extents[i], out);
  }
  text_add_char(out, ']');
}

/* A layout is written where it is not row-major. */
static void print_buf(const Kernel *kernel, const BufType *type, Text *out) {
  text_printf(out, "buf<%s, ", kiln_type_name(type->type));
  print_extents(kernel, type->dims, type->rank, out);
  switch (type->layout) {
  case LAYOUT_ROW_MAJOR: break;
  case LAYOUT_STRIDED:
    text_add(out, ", ");
    print_extents(kernel, type->strides, type->rank, out);
    break;
  case LAYOUT_COL_PANEL: text_printf(out, ", col_panel %dx%d", type->panel, type->group); break;
  case LAYOUT_ROW_PANEL: text_printf(out, ", row_panel %dx%d", type->panel, type->group); break;
  }
  text_add_char(out, '>');
}

void tile_print_type(const Kernel *kernel, TileType type, Text *out) {
  const char *element = kiln_type_name(type.type);
  switch (type.kind) {
  case KIND_INDEX: text_add(out, "index"); return;
  case KIND_BUF: print_buf(kernel, type.buf, out); return;
  case KIND_FRAG: text_printf(out, "frag<%s, %dx%d, %s>", role_names[type.role], type.rows, type.cols, element); return;
  case KIND_TILE:
    if (type.rows == 1 && type.cols == 1) text_add(out, element);
    else text_printf(out, "tile<%dx%d, %s>", type.rows, type.cols, element);
    return;
  }
}
