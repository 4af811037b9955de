/* emit.h: what the files of this folder share: the emitter's state, values, types and small verbs.
 *
 * A tile<RxC> is, per row, a list of chunks: vectors of as many lanes as the target has of 32 bits, whatever the
 * element type, so that conversions and mixed arithmetic stay lane by lane. Where C is no multiple, the last chunk has
 * the next power of two of lanes and those past the tile hold anything. A tile of one column is a list of scalars.
 *
 * In registers f16, bf16 and f8 are their bits as integers, nibbles are sign- or zero-extended to i8, bool is i1. */
#ifndef KILN_LOWER_EMIT_H
#define KILN_LOWER_EMIT_H

#include <llvm-c/Core.h>

#include "lower/lower.h"

/* ---- intrinsics -------------------------------------------------------------------------------------------------- */

typedef enum Intrinsic {
#define INTRINSIC(enumerator, name) INTRINSIC_##enumerator,
#include "lower/intrinsics.def"
#undef INTRINSIC
  INTRINSIC_COUNT
} Intrinsic;

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* How the fragments of one web of values are placed; see frag.h. */
typedef struct FragPlacement FragPlacement;

/* What a tile IR value is in LLVM IR. Parts of an index: the i64. Of a tile: chunk c of row r at r * chunks + c. Of a
 * fragment: as its strategy says. Of a buffer: the pointer. */
typedef struct Lowered {
  TileType type;
  int depth; /* of the innermost loop it varies with; 0: none */
  int count;
  LLVMValueRef *parts;
  LLVMValueRef
      nibble; /* buffers of nibbles: i64 element offset of the base from the pointer, not known even; NULL: 0 */
  struct PendingLoad *pending; /* fragments whose loads are emitted at their use; parts is then NULL */
} Lowered;

/* A pointer that advances with a loop. */
typedef struct Induction {
  struct Induction *next;
  LLVMValueRef base, stride, phi; /* base + index * stride bytes */
} Induction;

typedef struct LoopScope {
  struct LoopScope *outer;
  int depth; /* of values that vary with it; 1: an outermost loop */
  bool is_innermost;
  LLVMValueRef guard; /* the terminator before the loop: invariant code goes in front of it */
  LLVMBasicBlockRef header;
  LLVMValueRef index, lo, hi, step;
  LLVMValueRef counter; /* index - hi as a phi, once needed */
  Induction *inductions;
} LoopScope;

/* In the part of a kernel that is being emitted, `value` is at least this. */
typedef struct Fact {
  const struct Fact *outer;
  LLVMValueRef value;
  int64_t least;
} Fact;

/* Arithmetic on indices and pointers that was emitted, to be found again in its block. */
typedef struct Numbered {
  LLVMOpcode code;
  OpCode checked;      /* of a division with a check around it, by what operation it does; else OP_COUNT */
  LLVMTypeRef element; /* of a pointer that moves; else NULL */
  LLVMValueRef x, y, result;
  struct Numbered *next; /* of the same hash, made before */
} Numbered;

typedef struct CachedFunction {
  Intrinsic id;
  LLVMTypeRef overloads[2];
  LLVMTypeRef type;
  LLVMValueRef function;
} CachedFunction;

enum { LOWER_NUMBERED = 1024 };

typedef struct Emitter {
  const Target *target;
  int lanes;
  bool fuses;     /* llvm.fma is an instruction */
  bool rounds;    /* llvm.roundeven is one */
  bool has_half;  /* conversions between f16 and f32 are */
  bool has_names; /* values are to be named */

  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMBuilderRef builder;
  LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, half, pointer;
  unsigned intrinsics[INTRINSIC_COUNT];
  VECTOR(CachedFunction) functions;
  LLVMValueRef zeros;  /* a constant of LOWER_ZERO_BYTES zero bytes, once needed */
  unsigned align_kind; /* LLVM's number of the attribute `align` */

  const Kernel *kernel;
  LLVMValueRef function;
  LLVMBasicBlockRef entry;
  LLVMValueRef *symbols; /* by index */
  LLVMValueRef workspace;
  LLVMValueRef sink;  /* stack bytes that stores past a bound go to, once needed */
  LLVMValueRef stage; /* stack bytes for one operation at a time, once needed */
  int64_t stage_bytes;
  Lowered **values;                   /* by the values' ids */
  FragPlacement *placements;          /* by the values' ids */
  struct AmxPlan *amx;                /* of the kernel's tile registers; NULL: it uses none */
  LoopScope *scope;                   /* NULL: outside of loops */
  const Fact *facts;                  /* from the choices around; NULL: none */
  Numbered *numbered[LOWER_NUMBERED]; /* by hash, the latest first */
  LLVMValueRef before;                /* the builder stands in front of this; NULL: at the end of its block */
  int depth;                          /* of the values that can be computed where the builder stands */
  bool is_query;                      /* in NAME_tasks or NAME_workspace */
  bool needs_fence;                   /* some stores may be seen out of order */

  LLVMDIBuilderRef lines; /* NULL: no table of lines is wanted */
  LLVMMetadataRef file;
  LLVMMetadataRef line_scope; /* the function; NULL: its instructions have no lines */
  LLVMMetadataRef line;       /* of what is being emitted */

  Arena *arena;
  Diagnostics *faults;
  kiln_status status;
} Emitter;

enum { LOWER_ZERO_BYTES = 256, LOWER_SINK_BYTES = 8 /* the widest element */ };

/* The lowering of each row of ops.def. The builder stands at the end of the current block, before and after. */
typedef void EmitFunction(Emitter *e, const Op *op);
#define TILE_ROW(name, syntax, spelling, operands, result, effect, meaning) EmitFunction emit_##name;
#include "ir/tile/ops_rows.h"
#undef TILE_ROW

/* ---- module.c ---------------------------------------------------------------------------------------------------- */

void lower_operation(Emitter *e, const Op *op);
void lower_block(Emitter *e, const Block *block); /* without its yield */
const Op *lower_yield(const Block *block);

/* ---- emit_control.c ---------------------------------------------------------------------------------------------- */

/* What `value`, an index, is at least where the builder stands; INT64_MIN: that is not known. */
int64_t lower_least(const Emitter *e, LLVMValueRef value);

/* ---- counting.c -------------------------------------------------------------------------------------------------- */

/* A loop from 0 to a number that is at least 1. Goes on to `done`, which may be NULL: to a new block. */
typedef struct Counting {
  LLVMBasicBlockRef body;
  LLVMValueRef index;
} Counting;
Counting lower_count(Emitter *e);
void lower_count_to(Emitter *e, Counting loop, LLVMValueRef count, LLVMBasicBlockRef done);
/* To `rare`, which is laid out aside, where the condition holds. */
void lower_branch_rarely(Emitter *e, LLVMValueRef condition, LLVMBasicBlockRef rare, LLVMBasicBlockRef usual);

/* ---- lines.c: nothing of it does anything where no table of lines is wanted -------------------------------------- */

void lower_lines_begin(Emitter *e, const char *source); /* NULL: none is wanted */
void lower_lines_of_function(Emitter *e, SourcePos pos);
/* What is emitted from here on comes from this line; gives what did before, for lower_line_again. */
LLVMMetadataRef lower_line(Emitter *e, SourcePos pos);
void lower_line_again(Emitter *e, LLVMMetadataRef line);
void lower_lines_end_function(Emitter *e);
void lower_lines_end(Emitter *e);

/* ---- entry.c ----------------------------------------------------------------------------------------------------- */

/* The three functions of the kernel. */
void lower_kernel(Emitter *e, const Kernel *kernel, const char *symbol_prefix);

/* ---- values.c ---------------------------------------------------------------------------------------------------- */

/* The operation cannot be done on this target: a diagnostic at its place, and lowering goes on to find more. */
void lower_refuse(Emitter *e, const Op *op, const char *format, ...) PRINTF_LIKE(3, 4);
/* Something whoever wrote the kernel should know, though it compiles. */
void lower_remark(Emitter *e, const Op *op, const char *format, ...) PRINTF_LIKE(3, 4);

/* Memory of the emitter's arena, never NULL: a failure is seen at the end. */
void *lower_array(Emitter *e, size_t count, size_t item_bytes);
#define LOWER_ARRAY(e, Type, count) ((Type *)lower_array((e), (size_t)(count), sizeof(Type)))

Lowered *lower_get(const Emitter *e, const Value *value);
/* Parts are zeroed; depth is the current one. */
Lowered *lower_define(Emitter *e, const Value *value, int count);
/* The same value under another type: parts are shared. */
Lowered *lower_alias(Emitter *e, const Value *value, const Lowered *from);
/* Result 0 of `op`. */
Lowered *lower_result(Emitter *e, const Op *op);
/* One part. */
Lowered *lower_define_one(Emitter *e, const Value *value, LLVMValueRef part, int depth);
/* Names the parts after the value: acc.2.1 (row, chunk). */
void lower_name(const Emitter *e, const Value *value, const Lowered *lowered);

/* Chunks of a row of `cols` elements, lanes of chunk c (1: a scalar), and how many of these are elements. */
int lower_chunks(const Emitter *e, int cols);
int lower_chunk_lanes(const Emitter *e, int cols, int c);
int lower_chunk_valid(const Emitter *e, int cols, int c);

/* Register type of an element; a vector of it, or itself for one lane. */
LLVMTypeRef lower_element(const Emitter *e, kiln_type type);
LLVMTypeRef lower_lanes_of(LLVMTypeRef element, int lanes);
LLVMTypeRef lower_part_type(const Emitter *e, const Value *value, int part);
int lower_lane_count(LLVMValueRef x); /* 1: a scalar */
LLVMTypeRef lower_element_of(LLVMValueRef x);
/* The same lanes of another element. */
LLVMTypeRef lower_like(LLVMValueRef x, LLVMTypeRef element);

LLVMValueRef lower_i64(const Emitter *e, int64_t number);
LLVMValueRef lower_i32(const Emitter *e, int32_t number);
/* Integer or real constants in every lane of a type. */
LLVMValueRef lower_splat_integer(LLVMTypeRef type, int64_t number);
LLVMValueRef lower_splat_real(LLVMTypeRef type, double number);
/* A number of a tile type, as type_round gives it. */
LLVMValueRef lower_constant(const Emitter *e, kiln_type type, int lanes, double number);
bool lower_is_integer(LLVMValueRef x, int64_t *number); /* a constant index */

LLVMValueRef lower_call(Emitter *e, Intrinsic id, LLVMTypeRef overload, LLVMTypeRef second, LLVMValueRef *arguments,
                        int count);
LLVMValueRef lower_call_1(Emitter *e, Intrinsic id, LLVMValueRef x);
LLVMValueRef lower_call_2(Emitter *e, Intrinsic id, LLVMValueRef x, LLVMValueRef y);
/* Where `align` (bytes) holds of argument `number`. */
void lower_call_align(const Emitter *e, LLVMValueRef call, int number, unsigned align);

LLVMValueRef lower_alloca(Emitter *e, LLVMTypeRef type, int64_t count, unsigned align);
LLVMValueRef lower_zeros(Emitter *e);
LLVMValueRef lower_sink(Emitter *e);
enum { LOWER_STAGE_ALIGN = 16 };
/* So many bytes or more, for the operation that is being lowered. */
LLVMValueRef lower_stage(Emitter *e, int64_t bytes);

/* ---- emit_index.c ------------------------------------------------------------------------------------------------ */

/* Where the builder stands. lower_go moves it to where values of `depth` are computed once, in front of the loop they
 * do not vary with, and stays where that is here; lower_back returns. */
typedef struct Spot {
  LLVMBasicBlockRef block;
  LLVMValueRef before;
  int depth;
} Spot;
Spot lower_here(const Emitter *e);
Spot lower_go(Emitter *e, int depth);
void lower_back(Emitter *e, Spot back);

/* i64 arithmetic that folds constants and neutral elements. */
/* `count` elements behind `pointer`. */
LLVMValueRef lower_step(Emitter *e, LLVMTypeRef element, LLVMValueRef pointer, LLVMValueRef count);
/* What was emitted is not found again: some of it is about to go. */
void lower_forget_numbered(Emitter *e);
LLVMValueRef lower_add(Emitter *e, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef lower_sub(Emitter *e, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef lower_mul(Emitter *e, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef lower_div(Emitter *e, LLVMValueRef x, int64_t y); /* x >= 0, y > 0 */
LLVMValueRef lower_mod(Emitter *e, LLVMValueRef x, int64_t y);
LLVMValueRef lower_min(Emitter *e, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef lower_max(Emitter *e, LLVMValueRef x, LLVMValueRef y);

/* The greatest number that divides both; INT64_MAX stands for 0, which all divide. */
int64_t lower_common_divisor(int64_t a, int64_t b);
/* A number that divides the index whatever it is; INT64_MAX for 0. */
int64_t lower_divisor(const Value *index);

/* An extent of a buffer; `?` gives NULL. */
LLVMValueRef lower_extent(const Emitter *e, Extent extent);

/* ---- lanes.c ----------------------------------------------------------------------------------------------------- */

LLVMValueRef lower_splat(Emitter *e, LLVMValueRef scalar, int lanes);
LLVMValueRef lower_extract(Emitter *e, LLVMValueRef vector, int lane);
LLVMValueRef lower_insert(Emitter *e, LLVMValueRef vector, LLVMValueRef scalar, int lane);
/* Lane i of the result is lane mask[i] of x, or mask[i] - lanes of y; negative: anything. y may be NULL. */
LLVMValueRef lower_shuffle(Emitter *e, LLVMValueRef x, LLVMValueRef y, const int *mask, int lanes);
/* `lanes` consecutive lanes from `first` on. */
LLVMValueRef lower_part_of(Emitter *e, LLVMValueRef x, int first, int lanes);

/* One source of a lane; `from` NULL: anything. Scalars have lane 0. */
typedef struct LaneSource {
  LLVMValueRef from;
  int lane;
} LaneSource;
LLVMValueRef lower_collect(Emitter *e, LLVMTypeRef element, const LaneSource *sources, int lanes);

/* Rows of chunks to rows of chunks of the transpose: `in` is rows x cols, `out` cols x rows. */
/* Vectors of as many lanes, a power of two of them, one after the other. */
LLVMValueRef lower_concat(Emitter *e, const LLVMValueRef *parts, int count);
/* Each four by four lanes of each four of `n` vectors, in place. */
void lower_transpose_fours(Emitter *e, LLVMValueRef *rows, int n, int lanes);
void lower_transpose(Emitter *e, const LLVMValueRef *in, int rows, int cols, LLVMValueRef *out);

/* A tile as rows of `cols` columns, repeated where it has one row or one column. */
typedef struct Spread {
  const Lowered *x;
  int cols;
  int row, lanes; /* of the last splat */
  LLVMValueRef splat;
} Spread;
static inline Spread lower_spread(const Lowered *x, int cols) { return (Spread){.x = x, .cols = cols}; }
LLVMValueRef lower_spread_chunk(Emitter *e, Spread *spread, int row, int chunk);

/* ---- convert_bf16.c ---------------------------------------------------------------------------------------------- */

/* Whether f32 vectors like x become bf16 by an instruction, and `count` of them by it. */
bool lower_can_convert_bf16(const Emitter *e, LLVMValueRef x);
void lower_convert_bf16(Emitter *e, const LLVMValueRef *x, int count, LLVMValueRef *out);

/* ---- convert.c --------------------------------------------------------------------------------------------------- */

/* A scalar or vector in registers from one element type to another, as tile_convert says. */
LLVMValueRef lower_convert(Emitter *e, LLVMValueRef x, kiln_type from, kiln_type to);
/* Bytes 0 … 15 as a nibble type holds them. */
LLVMValueRef lower_extend_nibble(Emitter *e, LLVMValueRef x, kiln_type type);
LLVMValueRef lower_round_even(Emitter *e, LLVMValueRef x);
/* Small floats are computed in f32; other types in themselves. */
kiln_type lower_compute(kiln_type type);

/* convert_small.c: between f32 (or f64, rounded once) and the bits of f16, bf16 and f8. */
LLVMValueRef lower_small_to_f32(Emitter *e, LLVMValueRef bits, kiln_type type);
LLVMValueRef lower_f32_to_small(Emitter *e, LLVMValueRef x, kiln_type type);
LLVMValueRef lower_f64_to_odd(Emitter *e, LLVMValueRef x); /* f32, inexact results with an odd last bit */

/* ---- emit_arithmetic.c ------------------------------------------------------------------------------------------- */

/* Lane by lane in a type that is not a small float: x * y + z, sum, larger. */
LLVMValueRef lower_fma(Emitter *e, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z);
LLVMValueRef lower_sum(Emitter *e, LLVMValueRef x, LLVMValueRef y);
LLVMValueRef lower_larger(Emitter *e, kiln_type type, LLVMValueRef x, LLVMValueRef y);

#endif
