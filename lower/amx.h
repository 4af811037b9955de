/* amx.h: the tile registers of a kernel: which accumulator is kept where, and with how many rows.
 *
 * LLVM does not allocate the registers: their numbers are constants of the intrinsics, so nothing is ever spilled. The
 * plan is made before anything is emitted; a kernel whose accumulators do not fit has none, and its products take the
 * next row of mma.def. */
#ifndef KILN_LOWER_AMX_H
#define KILN_LOWER_AMX_H

#include "lower/groups.h"

enum { AMX_REGISTERS = 8, AMX_ROWS = 16, AMX_ROW_BYTES = 64, AMX_TILE_BYTES = 1024 };

/* Rows of a register: `count`, or what of them is before a row bound that is known before the registers are configured,
 * at least one. */
typedef struct AmxRows {
  const Value *bound; /* NULL: none */
  int first, count;   /* of the fragment's rows */
} AmxRows;

typedef struct AmxPlan {
  const Op *first;      /* of the kernel's body: the registers are configured in front of it */
  int *registers;       /* by id of an accumulator: its first one; -1: it is zero, and in none */
  const Value **bounds; /* by id of an accumulator: the row bound its registers end with; NULL: none */
  AmxRows rows[AMX_REGISTERS];
  int accumulators;      /* how many registers, from 0 on, hold them */
  int whole;             /* operands of 16 rows have the registers from this one on; those with fewer rows lie below */
  LLVMValueRef tails[3]; /* by role: stack memory for one register, once needed */
} AmxPlan;

/* NULL: the accumulators do not fit. `placements` says which values are meant. */
AmxPlan *lower_plan_amx(Emitter *e, const Kernel *kernel, const FragPlacement *placements);
/* Configures the registers; at the end of the task releases them. */
void lower_amx_begin(Emitter *e);
void lower_amx_end(Emitter *e);

static inline bool lower_amx_is_zero(const Value *acc) { return acc->op != NULL && acc->op->code == OP_frag_zero; }
/* Rows of register row i of a fragment of so many rows. */
AmxRows lower_amx_rows(const Value *bound, int rows, int i);
bool lower_amx_is_same(AmxRows x, AmxRows y);

/* An operand at a product: where its copy is in stack memory, or loads from where it lies (`copy` NULL). */
typedef struct AmxOperand {
  const Lowered *x;
  LLVMValueRef copy;
} AmxOperand;

/* ---- amx_load.c -------------------------------------------------------------------------------------------------- */

/* Whether registers can be loaded from where the operand lies. */
bool lower_amx_is_direct(Emitter *e, const struct PendingLoad *operand);
/* The register `number` gets tile (row, col) of an operand, in units of registers. */
void lower_amx_load_a(Emitter *e, AmxOperand operand, const MmaInstruction *instruction, const Value *bound, int row,
                      int col, int number);
void lower_amx_load_b(Emitter *e, AmxOperand operand, const MmaInstruction *instruction, int row, int col, int number);
/* Between a register and memory with rows `stride` bytes apart. */
void lower_amx_move(Emitter *e, Intrinsic id, int number, LLVMValueRef pointer, LLVMValueRef stride);
void lower_amx_store_vector(Emitter *e, LLVMValueRef value, LLVMValueRef pointer);
/* A pointer so many bytes behind. */
LLVMValueRef lower_amx_at(Emitter *e, LLVMValueRef pointer, int64_t bytes);

/* Two ways: after `open` the builder is where the condition holds, after `turn` where it does not, after `close` behind
 * both. */
typedef struct AmxWays {
  LLVMBasicBlockRef other, done;
} AmxWays;
AmxWays lower_amx_open(Emitter *e, LLVMValueRef condition);
void lower_amx_turn(Emitter *e, AmxWays ways);
void lower_amx_close(Emitter *e, AmxWays ways);
LLVMValueRef lower_amx_both(Emitter *e, LLVMValueRef x, LLVMValueRef y); /* NULL: always holds */

#endif
