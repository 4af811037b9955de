/* verify_frag.c: operations on fragments, but for loads and stores (verify_memory.c). */
#include "ir/tile/verify.h"

static const char *role_name(FragRole role) { return role == ROLE_A ? "a" : role == ROLE_B ? "b" : "acc"; }

static bool check_role(Verifier *v, const Op *op, TileType type, FragRole role, const char *what) {
  if (!verify_kind(v, op, KIND_FRAG, type, what)) return false;
  if (type.role == role) return true;
  verify_fault(v, op, "%s of '%s' must be a fragment '%s', found %s", what, verify_name(op), role_name(role),
               verify_type_text(v, type));
  return false;
}

void verify_frag_zero(Verifier *v, const Op *op) { check_role(v, op, op->results[0].type, ROLE_ACC, "the result"); }

void verify_frag_tile(Verifier *v, const Op *op) {
  TileType frag = op->operands[0]->type, tile = op->results[0].type;
  if (check_role(v, op, frag, ROLE_ACC, "the operand"))
    verify_same(v, op, type_tile(frag.rows, frag.cols, frag.type), tile, "the result");
}

/* Any role: an operand computed in registers feeds the next product. */
void verify_tile_frag(Verifier *v, const Op *op) {
  TileType tile = op->operands[0]->type, frag = op->results[0].type;
  if (verify_kind(v, op, KIND_TILE, tile, "the operand") && verify_kind(v, op, KIND_FRAG, frag, "the result"))
    verify_same(v, op, type_frag(frag.role, tile.rows, tile.cols, tile.type), frag, "the result");
}

/* What products of these elements are added up in; false: they have none. */
static bool find_accumulator(kiln_type a, kiln_type b, kiln_type *acc) {
  bool are_floats = type_is_floating(a) && type_is_floating(b);
  bool are_integers = type_is_integer(a) && type_is_integer(b);
  *acc = are_integers ? KILN_I32 : a == KILN_F64 || b == KILN_F64 ? KILN_F64 : KILN_F32;
  return are_integers || are_floats;
}

void verify_mma(Verifier *v, const Op *op) {
  TileType acc = op->operands[0]->type, a = op->operands[1]->type, b = op->operands[2]->type;
  kiln_type element;
  if (!check_role(v, op, acc, ROLE_ACC, "the first operand") || !check_role(v, op, a, ROLE_A, "the second operand") ||
      !check_role(v, op, b, ROLE_B, "the third operand"))
    return;
  if (a.rows != acc.rows || b.cols != acc.cols || a.cols != b.rows)
    verify_fault(v, op, "'%s' takes shapes m x n, m x k and k x n, found %dx%d, %dx%d and %dx%d", verify_name(op),
                 acc.rows, acc.cols, a.rows, a.cols, b.rows, b.cols);
  if (!find_accumulator(a.type, b.type, &element))
    verify_fault(v, op, "'mma' cannot multiply %s by %s", kiln_type_name(a.type), kiln_type_name(b.type));
  else if (acc.type != element)
    verify_fault(v, op, "'mma' adds products of %s and %s in %s, found %s", kiln_type_name(a.type),
                 kiln_type_name(b.type), kiln_type_name(element), kiln_type_name(acc.type));
}

void verify_mma_tf32(Verifier *v, const Op *op) {
  verify_mma(v, op);
  for (int i = 0; i < 3; ++i) {
    TileType type = op->operands[i]->type;
    if (type.kind == KIND_FRAG && type.type != KILN_F32)
      verify_fault(v, op, "'mma_tf32' takes fragments of f32, found %s", verify_type_text(v, type));
  }
}
