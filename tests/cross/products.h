/* products.h: kernels c = a @ b (or c + a @ b) of any element types, written as tile IR, with data and results. */
#ifndef KILN_TESTS_CROSS_PRODUCTS_H
#define KILN_TESTS_CROSS_PRODUCTS_H

#include "ir/target/target.h"
#include "ir/tile/tile.h"

typedef enum ProductLayout { ROWS, TURNED, PANEL } ProductLayout;

typedef struct Product {
  kiln_type a, b, acc, c;
  int mr, nr, kr;
  ProductLayout a_layout, b_layout;
  int a_group, b_group; /* of panels */
  bool adds;            /* to what c holds */
  bool is_b_bounded;    /* k is a bound of b too; else its padding is zero */
  bool flushes;         /* the instruction takes subnormal numbers as zeros */
} Product;

typedef enum ProductData { DATA_EXACT, DATA_RANDOM, DATA_SPECIAL, DATA_SUBNORMAL, DATA_COUNT } ProductData;

/* One run: sizes and memory. c_after and bounds are what to expect. */
typedef struct ProductCase {
  int64_t symbols[6]; /* m, n, k, lda, ldb, ldc */
  size_t elements[3];
  void *memory[3]; /* a, b, c */
  void *c_after;
  double *bounds; /* NULL: exact */
} ProductCase;

void product_print(const Product *product, const char *name, Text *out);
/* Of the kernel that product_print's text gives. */
ProductCase product_make(const Product *product, const Kernel *kernel, const int64_t sizes[3], ProductData data,
                         uint64_t seed);
void product_release(ProductCase *c);

#endif
