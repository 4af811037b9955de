/* gemm_build.h: the state of building one gemm kernel, shared by its tiles (gemm_build.c) and its epilogue
 * (gemm_epilogue.c). */
#ifndef KILN_TEMPLATES_GEMM_BUILD_H
#define KILN_TEMPLATES_GEMM_BUILD_H

#include "templates/gemm.h"

typedef struct GemmBuild {
  const Plan *plan;
  const GemmMatch *match;
  const kiln_graph *graph;
  Kernel *kernel;
  Builder b;       /* where operations go now */
  Value **buffers; /* the graph's inputs, then its outputs */
  int first_param; /* symbol of the first param */
  bool has_kc;     /* k is visited in blocks */

  Value *tile_rows, *first_end;     /* rows of a tile; where the first one ends */
  Value *a, *source;                /* A and B in the product's orientation */
  BufType tile_buffer;              /* f32, mr x nr */
  Value *scratch;                   /* a finished accumulator, for the row loop */
  Value *task_panel;                /* B's panel that this task packed */

  Value *k_lo, *k_hi, *is_last;                        /* the block of k; is_last where has_kc */
  Value *i, *j;                                        /* first row and column of the tile */
  Value *rows, *cols;                                  /* how many of them it owns; NULL: all */
  Value *kept;                                         /* this tile's accumulator between blocks of k */
  Value *panel, *panel_column, *panel_cols, *panel_lo; /* where B is read */
} GemmBuild;

Value *gemm_number(GemmBuild *g, int64_t value);
/* The operand's buffer, turned where the product reads its transpose. */
Value *gemm_operand_buffer(Builder *b, Value *buffer, const GemmOperand *operand);

/* Computes and stores every result of `count` rows from row i on; `product` is their tile of A @ B, `rows` bounds them
 * (NULL: all are there). All operands are read before the first result is written, so a result may take an operand's
 * place. */
void gemm_epilogue(GemmBuild *g, Value *product, Value *i, Value *rows, int count);
/* The same, row by row from g->scratch. */
void gemm_epilogue_rows(GemmBuild *g);

#endif
