/* access.h: loads and stores of rectangles of a buffer, within bounds. What tile_load, tile_store and fragments have in
 * common.
 *
 * No byte outside of the bounds is touched, on any target: a vector access is masked where the target has that for its
 * element width, else each element past a bound is read from a constant zero or written to a stack slot. */
#ifndef KILN_LOWER_ACCESS_H
#define KILN_LOWER_ACCESS_H

#include "lower/address.h"

/* How many rows or columns there are; `value` NULL: all of the tile's. */
typedef struct Bound {
  LLVMValueRef value; /* i64 */
  int depth;
  int64_t least; /* so many there are for certain, by the choices around (emit_control.c) */
} Bound;

typedef struct Window {
  Address address;
  kiln_type type;     /* of the lanes */
  LLVMTypeRef memory; /* of a lane in memory */
  int unit;           /* elements of the address in a lane: 1, but for groups (access_groups.c) */
  int rows, cols;
  bool wants_stream;  /* a store may go past the caches … */
  bool passes_caches; /* … and does, where the code is that has checked it (access_streamed.c) */
  Bound row_bound, col_bound;
  LLVMValueRef limit;           /* col_bound as i32 of 0 … cols, once needed */
  LLVMValueRef *masks;          /* by chunk, once needed: lanes before col_bound */
  LLVMValueRef *row_conditions; /* by row, once needed */
  LLVMValueRef *row_pointers;   /* by row, once needed: its first element, or zeros */
  LLVMValueRef *pieces;         /* by row and column, once needed; see pieces.h */
} Window;

/* The window of an access, for tiles of this shape. */
Window lower_window(Emitter *e, const Op *op, TileType type);
/* Its rows as columns and the other way round. */
Window lower_window_transposed(Emitter *e, const Window *window);
/* What is known of rows and chunks is so no more, as their bounds have changed. */
void lower_window_forget(Emitter *e, Window *window);
/* Rows past the bound, which must be at least 1, read the last row, or padding of their panel, instead of zeros. */
void lower_window_repeat_last_row(Emitter *e, Window *window);
/* The same window for use in a block that may not be executed: what it computes there, the other does not know. */
Window lower_window_fork(Emitter *e, Window *window);
/* Whether each chunk of a row is one piece of memory, so that lower_load_chunk may be used. */
bool lower_window_is_direct(const Emitter *e, const Window *window);
LLVMValueRef lower_load_chunk(Emitter *e, Window *window, int row, int chunk);
LLVMValueRef lower_load_element(Emitter *e, Window *window, int row, int col);
/* All chunks, row after row. */
void lower_load(Emitter *e, Window *window, LLVMValueRef *parts);
void lower_store(Emitter *e, Window *window, const LLVMValueRef *parts);

/* ---- groups: panels whose elements lie in groups along k --------------------------------------------------------- */

/* Whether the window is of such a panel and begins with a whole group, so that these may be used. */
bool lower_window_is_grouped(const Emitter *e, const Window *window);
void lower_load_grouped(Emitter *e, Window *window, LLVMValueRef *parts);
void lower_store_grouped(Emitter *e, Window *window, const LLVMValueRef *parts);
/* Whether the window is of a buffer, not of a panel, whose columns each are one piece of memory, so that its groups of
 * `group` rows may be loaded column by column: chunks of lanes as wide as a group, group after group. */
bool lower_can_turn_groups(const Emitter *e, const Window *window, int group);
void lower_load_turned_groups(Emitter *e, Window *window, int group, LLVMValueRef *units);

/* ---- what the files access*.c and nibbles.c share ---------------------------------------------------------------- */

/* Row after row, as memory has them; no transposing. */
void lower_load_rows(Emitter *e, Window *window, LLVMValueRef *parts);
void lower_store_rows(Emitter *e, Window *window, const LLVMValueRef *parts);
/* With a column bound, of rows that each are one piece of memory, where the target has no masks (access_cut.c). */
bool lower_can_load_cut(Emitter *e, const Window *window);
void lower_load_cut(Emitter *e, Window *window, LLVMValueRef *parts);
/* With a column bound where masked stores are slow or there are none (access_cut.c): by a branch whole vectors, or row
 * after row within the bound. */
bool lower_can_store_whole(const Emitter *e, const Window *window);
void lower_store_cut(Emitter *e, Window *window, const LLVMValueRef *parts);
/* Without a column bound as `whole` says where `is_whole`, else as `cut` does. */
void lower_store_whole_or(Emitter *e, Window *whole, LLVMValueRef is_whole, Window *cut, const LLVMValueRef *parts);
/* Stores of whole vectors past the caches, where the target has such (access_streamed.c). */
bool lower_can_stream(Emitter *e, const Window *window);
void lower_store_past_caches(Emitter *e, const Window *window, LLVMValueRef pointer, LLVMValueRef value);
void lower_store_streamed(Emitter *e, Window *window, const LLVMValueRef *parts);
/* A window turned to run along memory, whose parts are those of the one that was turned (access_fours.c). */
bool lower_can_load_fours(const Emitter *e, const Window *turned);
void lower_load_fours(Emitter *e, Window *turned, LLVMValueRef *parts);
/* The transpose of rows x cols elements of 32 bits that come in pieces, four of a row from a column on; whether there
 * is such a way. */
typedef LLVMValueRef PieceFunction(Emitter *e, void *from, int row, int col);
void lower_turn_fours(Emitter *e, PieceFunction *piece, void *from, int rows, int cols, LLVMValueRef *out);
bool lower_turns_in_fours(const Emitter *e, int rows, int cols);
bool lower_can_store_fours(const Emitter *e, const Window *turned);
void lower_store_fours(Emitter *e, Window *turned, const LLVMValueRef *parts);
/* Memory holds a bool as a byte. */
LLVMValueRef lower_from_memory(Emitter *e, kiln_type type, LLVMValueRef x);
LLVMValueRef lower_to_memory(Emitter *e, kiln_type type, LLVMValueRef x);

/* i1: whether the row, the column or both are inside; NULL: they always are. */
LLVMValueRef lower_row_condition(Emitter *e, Window *window, int row);
LLVMValueRef lower_is_below(Emitter *e, Bound bound, int at);
LLVMValueRef lower_element_condition(Emitter *e, Window *window, int row, int col);
/* Lanes of a chunk that are before the column bound; NULL: all are. */
LLVMValueRef lower_chunk_mask(Emitter *e, Window *window, int chunk);
/* Where to load a chunk from: zeros where the row is outside. */
LLVMValueRef lower_chunk_pointer(Emitter *e, Window *window, int row, int chunk);
/* The pointer where the condition holds (or is NULL), else `other`. */
LLVMValueRef lower_pointer_if(Emitter *e, LLVMValueRef condition, LLVMValueRef pointer, LLVMValueRef other);
/* Whether masked vector accesses of this element are instructions. */
bool lower_has_masked_access(const Emitter *e, kiln_type type);

/* Elements as memory has them. */
LLVMValueRef lower_load_from(Emitter *e, const Window *window, LLVMValueRef pointer, int lanes);
LLVMValueRef lower_load_masked(Emitter *e, const Window *window, LLVMValueRef pointer, LLVMValueRef mask);
void lower_store_to(Emitter *e, const Window *window, LLVMValueRef pointer, LLVMValueRef value);

void lower_load_nibbles(Emitter *e, Window *window, LLVMValueRef *parts);
LLVMValueRef lower_load_nibble(Emitter *e, Window *window, int row, int col);
void lower_store_nibbles(Emitter *e, Window *window, int row, int chunk, LLVMValueRef value);

#endif
