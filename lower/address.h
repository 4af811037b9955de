/* address.h: addresses of the elements of one access, in a form that costs least where it is repeated.
 *
 * The offset of an element is a sum: constant, terms of the indices, and what its row and column in the tile add. Terms
 * are added in order of loop depth, constants last, so that what does not vary in the innermost loop is computed in
 * front of it, and the loop itself sees `[pointer + k * 4 + constant]` or a pointer that advances. */
#ifndef KILN_LOWER_ADDRESS_H
#define KILN_LOWER_ADDRESS_H

#include "lower/emit.h"

enum { ADDRESS_MAX_TERMS = 16 };

/* One summand of the offset, in elements: value * scale * stride. */
typedef struct AddressTerm {
  LLVMValueRef value;
  int depth;
  int64_t scale;
  LLVMValueRef stride; /* NULL: 1 */
  bool is_induction;   /* value is the index of the innermost loop */
  int64_t divisor;     /* divides value * scale * stride */
} AddressTerm;

/* How the offset changes along one axis of a tile. `block` 0: by `stride` a step. Otherwise element x of the axis is at
 * x / block * stride + x % block * inner; `index` is then its first element, NULL where it is a multiple of the block.
 */
typedef struct AddressAxis {
  bool exists;
  int64_t number;      /* the stride where it is a constant */
  LLVMValueRef stride; /* else */
  int block, inner;
  LLVMValueRef index;
  int index_depth;
  int64_t divisor; /* of the first element */
} AddressAxis;

/* An amount of elements: number + value. */
typedef struct Amount {
  int64_t number;
  LLVMValueRef value; /* NULL: 0 */
  int depth;
} Amount;

/* Constants of a text may be of any size; addresses that wrap are out of bounds anyway. */
static inline int64_t address_multiply(int64_t x, int64_t y) { return (int64_t)((uint64_t)x * (uint64_t)y); }
static inline int64_t address_add(int64_t x, int64_t y) { return (int64_t)((uint64_t)x + (uint64_t)y); }
static inline Amount address_constant(int64_t number) { return (Amount){.number = number}; }
/* Elements from the first on that are in its block for certain. */
static inline int64_t address_divisor_in_block(const AddressAxis *axis) {
  return lower_common_divisor(axis->divisor, axis->block);
}

typedef struct Address {
  kiln_type type;
  LLVMTypeRef memory; /* of an element; a byte for nibbles */
  LLVMValueRef base;
  int base_depth;
  LLVMValueRef nibble; /* of the buffer, see Lowered */
  int64_t number;
  AddressTerm terms[ADDRESS_MAX_TERMS];
  int term_count;
  AddressAxis rows, cols;
  LLVMValueRef last_row; /* rows past this one are read there instead; NULL: no such bound */
  int last_row_depth;

  bool is_prepared;
  LLVMValueRef origin; /* the pointer without what rows and columns add, where no term varies here */
  int origin_depth;
  LLVMValueRef variant;         /* elements still to add in the innermost loop; NULL: none */
  struct AddressRow *row_cache; /* what is known of each row */
  LLVMValueRef shared;          /* the pointer of all rows that differ by a constant only, once computed */
  int row_count;
} Address;

/* The address of the indexed element of an access, for tiles of so many rows. */
Address lower_address(Emitter *e, const Access *access, int rows);
/* Row axis as column axis and the other way round. */
void lower_address_swap(Emitter *e, Address *address, int rows);

/* ---- pointer.c --------------------------------------------------------------------------------------------------- */

/* See lower_window_fork. */
Address lower_address_fork(Emitter *e, Address *address);
/* Pointer to element (row, col); nibbles: to its byte, which needs lower_address_is_even. */
LLVMValueRef lower_address_pointer(Emitter *e, Address *address, int row, int col);
/* The indexed element itself, computed where it varies: `depth`. */
LLVMValueRef lower_address_base(Emitter *e, Address *address, int *depth);
/* Whether `count` columns from `col` on lie one after another. */
bool lower_address_is_contiguous(const AddressAxis *axis, int first, int count);
/* Whether groups of `group` elements lie one after another, and `count` columns from `col` on at the same place in
 * each. */
bool lower_address_is_grouped(const AddressAxis *axis, int first, int count, int group);
/* The distance, in elements, between elements first … first + count - 1 of an axis; NULL: they are not equally far
 * apart. */
LLVMValueRef lower_address_distance(Emitter *e, const AddressAxis *axis, int first, int count);
/* Whether every row begins at an even element, so that nibbles come in whole bytes. */
bool lower_address_is_even(const Address *address, int rows);
/* The whole offset of an element, and the depth it varies with; for nibbles that may begin in the middle of a byte. */
LLVMValueRef lower_address_offset(Emitter *e, const Address *address, int row, int col);

#endif
