/* parse_type.c: types: index, f32, tile<8x48, f32>, frag<acc, 8x48, f32>, buf<f32, [m, k], [lda, 1]>. */
#include "ir/tile/parse.h"

static bool parse_element(Parser *p, kiln_type *type) {
  if (p->token.kind == TOKEN_WORD && type_find(p->token.text, p->token.length, type)) {
    tile_parse_advance(p);
    return true;
  }
  tile_parse_fail_expected(p, "an element type, such as 'f32'");
  return false;
}

/* A number of at most INT32_MAX. */
static bool small_number(Token token, int *number) {
  int64_t value;
  if (!tile_token_integer(token, false, &value) || value > INT32_MAX) return false;
  *number = (int)value;
  return true;
}

/* `8x48`: the lexer gives the number `8` and the word `x48`. */
static bool parse_shape(Parser *p, int *rows, int *cols) {
  if (small_number(p->token, rows)) {
    tile_parse_advance(p);
    Token token = p->token;
    if (token.kind == TOKEN_WORD && token.text[0] == 'x') {
      Token number = {.kind = TOKEN_NUMBER, .text = token.text + 1, .length = token.length - 1};
      if (number.length > 0 && small_number(number, cols)) {
        tile_parse_advance(p);
        return true;
      }
    }
  }
  tile_parse_fail_expected(p, "a shape, such as '8x48'");
  return false;
}

static bool parse_extent(Parser *p, Extent *extent) {
  Token token = p->token;
  if (tile_token_is(token, "?")) {
    *extent = (Extent){0, EXTENT_UNKNOWN};
  } else if (token.kind == TOKEN_WORD) {
    *extent = extent_symbol(kernel_find_symbol(p->kernel, token.text, token.length));
    if (extent->symbol < 0) {
      tile_parse_fail(p, token.pos, "there is no symbol '%.*s'", (int)token.length, token.text);
      return false;
    }
  } else {
    *extent = extent_number(0);
    if (!tile_token_integer(token, false, &extent->number)) {
      tile_parse_fail_expected(p, "a number, a symbol or '?'");
      return false;
    }
  }
  tile_parse_advance(p);
  return true;
}

/* `[m, k]`; its `[` is the next token. */
static bool parse_extents(Parser *p, Extent extents[TILE_MAX_RANK], int *count) {
  *count = 0;
  if (!tile_parse_expect(p, "[")) return false;
  if (tile_parse_accept(p, "]")) return true;
  do {
    if (*count == TILE_MAX_RANK) {
      tile_parse_fail(p, p->token.pos, "a buffer has at most %d axes", TILE_MAX_RANK);
      return false;
    }
    if (!parse_extent(p, &extents[*count])) return false;
    (*count)++;
  } while (tile_parse_accept(p, ","));
  return tile_parse_expect(p, "]");
}

/* What stands behind the sizes and a comma. */
static bool parse_layout(Parser *p, BufType *type) {
  SourcePos pos = p->token.pos;
  bool is_col_panel = tile_token_is(p->token, "col_panel");
  if (is_col_panel || tile_token_is(p->token, "row_panel")) {
    type->layout = is_col_panel ? LAYOUT_COL_PANEL : LAYOUT_ROW_PANEL;
    tile_parse_advance(p);
    return parse_shape(p, &type->panel, &type->group);
  }
  if (!tile_token_is(p->token, "[")) {
    tile_parse_fail_expected(p, "a layout: strides, 'col_panel' or 'row_panel'");
    return false;
  }
  int count;
  type->layout = LAYOUT_STRIDED;
  if (!parse_extents(p, type->strides, &count)) return false;
  if (count == type->rank) return true;
  tile_parse_fail(p, pos, "expected a stride for each of %d axes, found %d", type->rank, count);
  return false;
}

/* Inside of `buf<…>`. */
static bool parse_buf(Parser *p, TileType *type) {
  BufType buf = {0};
  if (!parse_element(p, &buf.type) || !tile_parse_expect(p, ",") || !parse_extents(p, buf.dims, &buf.rank))
    return false;
  if (tile_parse_accept(p, ",") && !parse_layout(p, &buf)) return false;
  *type = kernel_buf_type(p->kernel, &buf);
  return true;
}

static bool parse_role(Parser *p, FragRole *role) {
  if (tile_parse_accept(p, "a")) *role = ROLE_A;
  else if (tile_parse_accept(p, "b")) *role = ROLE_B;
  else if (tile_parse_accept(p, "acc")) *role = ROLE_ACC;
  else {
    tile_parse_fail_expected(p, "'a', 'b' or 'acc'");
    return false;
  }
  return true;
}

static bool parse_shaped(Parser *p, TileType *type) {
  return parse_shape(p, &type->rows, &type->cols) && tile_parse_expect(p, ",") && parse_element(p, &type->type);
}

/* Any type that can be spelled; whether it can exist is for tile_verify. */
bool tile_parse_type(Parser *p, TileType *type) {
  *type = type_index();
  if (tile_parse_accept(p, "index")) return true;
  bool is_fine;
  if (tile_parse_accept(p, "tile")) {
    type->kind = KIND_TILE;
    is_fine = tile_parse_expect(p, "<") && parse_shaped(p, type);
  } else if (tile_parse_accept(p, "frag")) {
    type->kind = KIND_FRAG;
    is_fine =
        tile_parse_expect(p, "<") && parse_role(p, &type->role) && tile_parse_expect(p, ",") && parse_shaped(p, type);
  } else if (tile_parse_accept(p, "buf")) {
    is_fine = tile_parse_expect(p, "<") && parse_buf(p, type);
  } else {
    *type = type_scalar(KILN_F32);
    if (p->token.kind == TOKEN_WORD && type_find(p->token.text, p->token.length, &type->type)) {
      tile_parse_advance(p);
      return true;
    }
    tile_parse_fail_expected(p, "a type: 'index', 'tile<…>', 'frag<…>', 'buf<…>' or an element type");
    return false;
  }
  return is_fine && tile_parse_expect(p, ">");
}
