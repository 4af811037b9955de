/* syntax.h: what the printer and the parser must agree on. */
#ifndef KILN_IR_TILE_SYNTAX_H
#define KILN_IR_TILE_SYNTAX_H

#include "ir/tile/tile.h"

/* How deep an expression the printer writes in one piece, and the parser's bound on its recursion. */
enum { EXPRESSION_DEPTH = 64, PARSE_DEPTH = 2 * EXPRESSION_DEPTH + 8 };

/* How tightly infix operators bind, loosest first. All but comparisons associate to the left; those do not associate.
 */
typedef enum Precedence {
  PRECEDENCE_ANY,
  PRECEDENCE_COMPARISON,
  PRECEDENCE_SUM,
  PRECEDENCE_PRODUCT,
  PRECEDENCE_OPERAND,
} Precedence;

static inline Precedence precedence_of(OpCode code) {
  if (code == OP_index_add || code == OP_index_sub) return PRECEDENCE_SUM;
  if (code == OP_index_mul || code == OP_index_div || code == OP_index_mod) return PRECEDENCE_PRODUCT;
  return PRECEDENCE_COMPARISON;
}

#endif
