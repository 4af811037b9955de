/* lower_product.h: kernels of one product for tests of matrix instructions, compared with the interpreter. */
#ifndef KILN_TESTS_UNIT_LOWER_PRODUCT_H
#define KILN_TESTS_UNIT_LOWER_PRODUCT_H

#include "tests/unit/lower_run.h"

/* A kernel of mr x nr fragments with one loop over k in steps of `ku`, whose tail is a bound. */
typedef struct Product {
  kiln_type a, b, acc;
  const char *target, *multiply; /* NULL: mma */
  int mr, nr, ku;
  const char *a_layout, *b_layout;
  int64_t a_count, b_count;
  bool bounds_b; /* along k, though a panel needs it only where its padding holds anything */
  LowerFill fill;
  int64_t m, n, k;
} Product;

void product_check(const Product *p);

/* Layouts number `i` of a: as it is, transposed, rows in panels of `group` and of one; and `j` of b: panels of `group`,
 * as it is, transposed, panels of one. */
enum { PRODUCT_A_LAYOUTS = 4, PRODUCT_B_LAYOUTS = 4 };
void product_check_layout(Product p, int group, int i, int j);

#endif
