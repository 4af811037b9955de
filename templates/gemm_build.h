/* gemm_build.h: what the files that write the gemm template's tile IR share: gemm_build.c (tasks and tiles),
 * gemm_cut.c (how C is cut), gemm_batch.c (batches), gemm_layers.c (k shared by tasks), gemm_pack.c (panels),
 * gemm_product.c and gemm_dots.c (one register tile), gemm_epilogue.c (what is done with it). */
#ifndef KILN_TEMPLATES_GEMM_BUILD_H
#define KILN_TEMPLATES_GEMM_BUILD_H

#include "templates/gemm.h"

typedef struct GemmBuild {
  const Plan *plan;
  const GemmMatch *match;
  const kiln_graph *graph;
  Kernel *kernel;
  Builder b;       /* where operations go now */
  Value **wholes;  /* buffers of the graph's inputs, then of its outputs … */
  Value **buffers; /* … and the matrices of them at hand, one of each batch; elsewhere the same */
  GemmTypes types;
  Dim loop_k;      /* k as the loops go */
  bool has_kc;     /* k is visited in blocks */
  bool has_layers; /* k may be shared by tasks; then has_kc too */

  Value *tile_rows, *first_end;  /* rows of a tile; where the first one ends */
  Value *a, *source;             /* A and B in the product's orientation */
  BufType tile_buffer;           /* of accumulators, mr x nr */
  Value *row_sums, *column_sums; /* i32 sums of A's rows and of B's columns, where zero points or moves need them … */
  Value *panel_sums,
      *tile_sums;       /* … and rows of the latter: of the panel at hand, of the tile to be finished; NULL: 0 */
  Value *scratch;       /* a finished accumulator, for the row loop */
  Value *task_rows;     /* the rows of A that this task packed, panel after panel; NULL: read in place */
  Value *task_panel;    /* B's panel that this task packed */
  Value *panel_to_pack; /* the same memory; in B's own type where bytes are moved on the way */

  Value *task_bytes_before;                 /* where this task's part of the workspace begins */
  Value *all_task_bytes, *layers_before;    /* parts of all tasks; where layer 0 of the block has its accumulators */
  Value *tiles_of_block;                    /* that a block has along m, but for the last; NULL: C is one */
  Value *t_lo, *t_hi, *panel_lo, *panel_hi; /* the block of C: its tiles along m, its panels along n */
  Value *layer_lo, *layer_hi;               /* the layer's k; layer_hi NULL: all of it */
  Value *layer_count;                       /* NULL: one, always */
  Value *is_single;                         /* there is one layer; NULL: always */
  Value *kept_before;                       /* where the block's accumulators lie in the workspace */
  Value *is_same_rows;                      /* the block before had the same rows; NULL: there was none */
  Value *panel_at_hand;                     /* the panel, where all of k is visited for each */
  Value *t;                                 /* the tile */
  Value *k_lo, *k_hi, *is_last;             /* the block of k; is_last where has_kc */
  Value *i, *j;                             /* first row and column of the tile */
  Value *rows, *cols;                       /* how many of them it owns; NULL: all */
  Value *kept, *kept_next;                  /* this tile's accumulator between blocks of k, and the next one's */
  Value *blank_before;                      /* where zeros for the first visit lie in the workspace; NULL: nowhere */
  Value *start;                             /* what the tile goes on from, kept or zeros; NULL: see initial() */
  Value *panel, *panel_column, *panel_cols; /* where B is read */
  Value *rows_of_a, *first_row;             /* where A is read */
  Value *chunk;                             /* steps of k between two looks at what to prefetch … */
  Value *ahead_share, *ahead_of_tile;       /* … and rows of the next panel asked for then, and by a whole tile */
  Value *result_share;                      /* … and rows of the results */
  Value *waiting;                           /* the accumulator of this tile in the panel before, to be finished … */
  Value *waiting_j, *waiting_cols;          /* … its columns, as j and cols are this panel's … */
  Value *has_waiting, *done;                /* … whether it is there; its rows that chunks have finished */
  Value *next_hi;                           /* where prefetching the next panel ends: k_hi, or 0 after the last */
  Value *k_of_panel, *k_of_rows;            /* the k at row 0 of the panel, at column 0 of A; NULL: 0 */
} GemmBuild;

static inline int64_t gemm_field(const GemmBuild *g, Field f) { return g->plan->schedule.values[f]; }
Value *gemm_number(GemmBuild *g, int64_t value);
/* Size or param as a value, in any block; NULL where the kernel has no such param. */
Value *gemm_size(const Plan *plan, Builder *b, int axis);
Value *gemm_param(const GemmBuild *g, Builder *b, Field field);
int gemm_param_symbol(const GemmBuild *g, Field field); /* -1: no such param */
/* Where the k of the layer at hand ends; how many rows the tile at hand owns. */
Value *gemm_layer_end(GemmBuild *g);
Value *gemm_own_rows(GemmBuild *g);
/* Steps of k in a block, in whole groups. */
Value *gemm_depth(const GemmBuild *g, Builder *b);
/* The operand's buffer, turned where the product reads its transpose. */
Value *gemm_operand_buffer(Builder *b, Value *buffer, const GemmOperand *operand);
/* The kernel's symbols but for params: the graph's and the plan's sizes. */
void gemm_add_sizes(const Plan *plan, Kernel *kernel);
/* Places g->i and g->rows for tile `t`, g->j and g->cols for a panel. */
void gemm_place_rows(GemmBuild *g, Value *t);
void gemm_place_columns(GemmBuild *g, Value *panel);

/* ---- gemm_cut.c -------------------------------------------------------------------------------------------------- */

/* Rows of a tile: mr, or fewer where m is less. */
Value *gemm_tile_rows(const GemmBuild *g, Builder *b);
/* Register tiles along m and panels along n, of C and of a block, but for the last. */
Value *gemm_tile_count(const GemmBuild *g, Builder *b);
Value *gemm_panel_count(const GemmBuild *g, Builder *b);
Value *gemm_tiles_per_block(const GemmBuild *g, Builder *b);
Value *gemm_panels_per_block(const GemmBuild *g, Builder *b);
/* Blocks of C, along m, along n and all; bytes of one's accumulators. */
Value *gemm_row_blocks(const GemmBuild *g, Builder *b);
Value *gemm_column_blocks(const GemmBuild *g, Builder *b);
Value *gemm_block_count(const GemmBuild *g, Builder *b);
Value *gemm_block_bytes(const GemmBuild *g, Builder *b);
/* Bytes of a block's accumulators that lie before those of tile `t` of a panel. */
Value *gemm_kept_bytes_before(GemmBuild *g, Value *t, Value *panel);
/* How C is cut, in numbers of tiles, panels and blocks; NULL from tiles_of_block on: it is one block. */
typedef struct GemmCut {
  Value *tiles, *panels, *tiles_of_block, *panels_of_block, *row_blocks, *column_blocks, *blocks;
} GemmCut;
GemmCut gemm_cut(GemmBuild *g);
/* Places block `number` of product `product` (NULL: there is one). The block before had rows `row_before`; this one's
 * come out, numbered through the batch. */
Value *gemm_place_block(GemmBuild *g, const GemmCut *cut, Value *number, Value *product, Value *row_before);

/* ---- gemm_layers.c ----------------------------------------------------------------------------------------------- */

Value *gemm_layer_count(const GemmBuild *g, Builder *b);
/* Bytes of workspace that tasks share: counters of arrivals, at its start, and the layers' accumulators, at its end. */
Value *gemm_counter_bytes(const GemmBuild *g, Builder *b);
Value *gemm_layers_bytes(const GemmBuild *g, Builder *b);
/* Places the layer's k, and its accumulators where layers are several. */
void gemm_place_layer(GemmBuild *g, Value *block, Value *layer);
/* Where layers are several and this one is the block's last to be done: adds them up and finishes C. */
void gemm_finish_layers(GemmBuild *g, Value *block);

/* ---- gemm_batch.c ------------------------------------------------------------------------------------------------ */

/* Products of the batch. */
Value *gemm_batch_count(const GemmBuild *g, Builder *b);
/* Places operands and results of product `number`; NULL: there is one. */
void gemm_place_product(GemmBuild *g, Value *number);
/* For the kernel that packs B: `source` and `packed` become the matrices of which this task packs a panel of `nr`
 * columns, whose number in them comes out. */
Value *gemm_place_packed(Builder *b, const Plan *plan, Value **source, Value **packed, int64_t nr);

/* ---- gemm_pack.c ------------------------------------------------------------------------------------------------- */

void gemm_build_pack_kernel(const Plan *plan, const char *name, Module *module);
/* Bytes of workspace a task packs into, in whole cache lines: a panel of B, rows of A. */
Value *gemm_panel_bytes(const GemmBuild *g, Builder *b);
Value *gemm_rows_bytes(const GemmBuild *g, Builder *b);
/* The buffers there, from this byte offset on. */
Value *gemm_panel_buffer(GemmBuild *g, Value *offset, kiln_type element);
Value *gemm_rows_buffer(GemmBuild *g, Value *offset);
/* The k at column 0 of the packed rows; NULL: 0. */
Value *gemm_first_packed(GemmBuild *g);
/* Copies this block of k of panel `panel`, at g->j, unless it is there already; gives its first column there. */
Value *gemm_pack_panel(GemmBuild *g, Value *panel);
/* Panels a task packs one beside the other, so that it reads several lines of each row of B: a row is a page of its
 * own, and one line of each would be a stream that no prefetching follows. */
int64_t gemm_panels_at_once(const Plan *plan);
/* Copies this block of k of the rows of tiles t_lo … t_hi-1, unless they are there already; `is_first` tells whether it
 * is the block's first visit to that part of k (NULL: always). */
void gemm_pack_rows(GemmBuild *g, Value *is_first);

/* ---- gemm_product.c ---------------------------------------------------------------------------------------------- */

/* How many panels further on the one is that prefetches ask for. */
int64_t gemm_panels_ahead(const GemmBuild *g);
/* Whether the panel after this one is asked for while this one is multiplied. */
bool gemm_prefetches_next(const GemmBuild *g);
/* Whether the accumulator that the next tile goes on with is asked for. */
bool gemm_prefetches_kept(const GemmBuild *g);
/* What the chunks of a tile's k loop do besides, for the panel at hand. */
void gemm_place_chunks(GemmBuild *g);
/* The product of one tile over this block of k, and what follows the last one. */
void gemm_tile(GemmBuild *g);
/* Whether tiles are finished while those of the next panel are multiplied. */
bool gemm_overlaps(const GemmBuild *g);

/* acc + A * B over the block of k at hand, as dot products (gemm_dots.c). */
Value *gemm_dots(GemmBuild *g, Value *acc, int rows);

/* ---- gemm_quant.c ------------------------------------------------------------------------------------------------ */

bool gemm_needs_row_sums(const GemmBuild *g);
/* Bytes of workspace a task keeps row sums in; the buffer there; the sums of the block's rows up to tile `end`. */
Value *gemm_row_sum_bytes(const GemmBuild *g, Builder *b);
void gemm_place_row_sums(GemmBuild *g, Value *offset);
void gemm_build_row_sums(GemmBuild *g, Value *end);
/* The same of columns, behind rows packed at `offset` and their sums; the row of g->column_sums that panel `panel` has
 * while k is visited, NULL: 0. */
Value *gemm_column_sum_bytes(const GemmBuild *g, Builder *b);
void gemm_place_column_sums(GemmBuild *g, Value *offset);
Value *gemm_sums_of_panel(GemmBuild *g, Value *panel);
/* Adds this block of k of the panel at hand to its sums; makes the sums of g->j's columns over all of k, in row 0. */
void gemm_add_column_sums(GemmBuild *g);
void gemm_build_column_sums(GemmBuild *g);

/* Scales and zero points as tiles that broadcast to the product's; NULL where there is none. */
typedef struct GemmScales {
  Value *a_scale, *a_zero, *b_scale, *b_zero;
} GemmScales;
/* The product's value from its integer tile of `count` rows from row i on. Floats stay as they are. */
Value *gemm_product_value(GemmBuild *g, Value *product, const GemmScales *scales, Value *i, int count);

/* ---- gemm_epilogue.c --------------------------------------------------------------------------------------------- */

/* Computes and stores every result of `count` rows from row i on; `product` is their tile of A @ B, `rows` bounds them
 * (NULL: all are there). All operands are read before the first result is written, so a result may take an operand's
 * place. */
void gemm_epilogue(GemmBuild *g, Value *product, Value *i, Value *rows, int count);
/* The same, row by row from g->scratch. */
void gemm_epilogue_rows(GemmBuild *g);
/* The same for rows lo … hi-1 of g->waiting. */
void gemm_epilogue_waiting(GemmBuild *g, Value *lo, Value *hi);
/* Asks for what row `r` of the tile at hand will read of whole matrices. */
void gemm_prefetch_operands(GemmBuild *g, Value *r);

#endif
