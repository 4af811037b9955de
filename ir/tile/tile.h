/* tile.h: the tile IR, how to compute: a small, typed, structured SSA language (docs/tile-ir.md).
 *
 * A module owns an arena with everything in it. A kernel has buffers, symbols (run-time numbers in a fixed order: sizes
 * and strides, then schedule parameters), two host expressions (tasks, workspace) and a body. A block is a list of
 * operations; loops and choices own blocks, so there is no control-flow graph and a value is visible in its block after
 * its definition and in the blocks nested there.
 *
 * Nothing here checks: builders trust their caller and tile_verify reports every fault of a finished module. */
#ifndef KILN_IR_TILE_H
#define KILN_IR_TILE_H

#include "ir/support/support.h"

/* ---- types ------------------------------------------------------------------------------------------------------- */

enum {
  TILE_MAX_RANK = 4,
  TILE_MAX_EXTENT = 4096, /* rows or columns of a tile */
  TILE_MAX_ELEMENTS = 65536,
  TILE_MAX_NESTING = 64,    /* blocks in blocks */
  TILE_MAX_HOST_OPS = 4096, /* operations of a host expression written out as a tree */
  TILE_MAX_SYMBOLS = 256,   /* of a kernel */
};

/* A size or stride in a buffer's type: a number, a symbol of the kernel, or `?` (a view's size nobody states). */
typedef struct Extent {
  int64_t number; /* where symbol is EXTENT_NUMBER */
  int32_t symbol; /* index of a symbol, or one of: */
} Extent;
enum { EXTENT_NUMBER = -1, EXTENT_UNKNOWN = -2 };

typedef enum LayoutKind {
  LAYOUT_ROW_MAJOR, /* no strides written */
  LAYOUT_STRIDED,   /* `[ld, 1]`: elements, any sign-free number or symbol */
  LAYOUT_COL_PANEL, /* `col_panel PxG`: panels of P columns, in them G consecutive rows of a column adjacent */
  LAYOUT_ROW_PANEL, /* `row_panel PxG`: panels of P rows, in them G consecutive columns of a row adjacent */
} LayoutKind;

/* Element (k, n) of a [K, N] buffer in `col_panel PxG` is at ((n/P * ceil(K/G) + k/G) * P + n%P) * G + k%G; a row_panel
 * is the same of the transpose. Both are padded to whole panels and groups; leading axes are copies one after another.
 */
typedef struct BufType {
  kiln_type type;
  int rank; /* 0 … TILE_MAX_RANK */
  Extent dims[TILE_MAX_RANK];
  LayoutKind layout;
  Extent strides[TILE_MAX_RANK]; /* LAYOUT_STRIDED */
  int panel, group;              /* panels */
} BufType;

typedef enum TypeKind { KIND_INDEX, KIND_TILE, KIND_FRAG, KIND_BUF } TypeKind;
typedef enum FragRole { ROLE_A, ROLE_B, ROLE_ACC } FragRole;

typedef struct TileType {
  TypeKind kind;
  kiln_type type;     /* tile, frag */
  int rows, cols;     /* tile, frag: a is m x k, b is k x n, acc is m x n */
  FragRole role;      /* frag */
  const BufType *buf; /* buf */
} TileType;

static inline bool buf_is_panel(const BufType *type) {
  return type->layout == LAYOUT_COL_PANEL || type->layout == LAYOUT_ROW_PANEL;
}

static inline Extent extent_number(int64_t number) { return (Extent){number, EXTENT_NUMBER}; }
static inline Extent extent_symbol(int symbol) { return (Extent){0, symbol}; }
bool extent_equal(Extent a, Extent b);
int64_t extent_value(Extent extent, const int64_t *symbols); /* must be known */

bool tile_type_equal(TileType a, TileType b);
TileType type_index(void);
TileType type_tile(int rows, int cols, kiln_type type);
TileType type_scalar(kiln_type type);
TileType type_frag(FragRole role, int rows, int cols, kiln_type type);
TileType type_buf(const BufType *buf); /* refers to `buf`; kernel_buf_type copies it */

/* ---- operations and values --------------------------------------------------------------------------------------- */

typedef enum OpCode {
#define TILE_ROW(name, syntax, spelling, operands, result, effect, meaning) OP_##name,
#include "ir/tile/ops_rows.h"
#undef TILE_ROW
  OP_COUNT
} OpCode;

typedef enum OpStage { STAGE_CONTROL, STAGE_INDEX, STAGE_MEMORY, STAGE_TILE, STAGE_FRAG } OpStage;
typedef enum OpSyntax {
  SYNTAX_STATEMENT,
  SYNTAX_LITERAL,
  SYNTAX_INFIX,
  SYNTAX_CALL,
  SYNTAX_PLAIN,
  SYNTAX_ACCESS
} OpSyntax;
typedef enum OpResult {
  RESULT_NONE,
  RESULT_INDEX,
  RESULT_SAME,
  RESULT_BOOL,
  RESULT_TYPED,
  RESULT_ACC,
  RESULT_REDUCED_ROWS,
  RESULT_REDUCED_COLS,
  RESULT_TRANSPOSED
} OpResult;
typedef enum OpEffect { EFFECT_PURE, EFFECT_READ, EFFECT_WRITE, EFFECT_BOTH, EFFECT_LOCAL } OpEffect;

typedef struct OpInfo {
  const char *name;     /* tile_load */
  const char *spelling; /* of INFIX and CALL; else the name is written */
  OpStage stage;
  OpSyntax syntax;
  int operands; /* -1: several */
  OpResult result;
  OpEffect effect;
  const char *meaning;
} OpInfo;

const OpInfo *op_info(OpCode code);
bool op_find(const char *name, size_t length, OpCode *code);
/* Products of fragments: acc, a, b. */
static inline bool op_multiplies(OpCode code) { return code == OP_mma || code == OP_mma_tf32; }
/* ACCESS operations whose first operand is the value that goes to memory. */
static inline bool op_stores(OpCode code) {
  return code == OP_tile_store || code == OP_frag_store || code == OP_atomic_add;
}
/* Accesses that may be marked `streamed`: what they move is not needed again soon. */
static inline bool op_may_stream(OpCode code) { return code == OP_frag_load || code == OP_tile_store; }

typedef struct Op Op;
typedef struct Block Block;
typedef struct Kernel Kernel;

typedef struct Value {
  TileType type;
  const char *name; /* without %; NULL: inline if it can be, else numbered at print */
  Op *op;       /* that defines it as result `number`; NULL: argument `number` of `block`, or buffer of the kernel */
  Block *block; /* where it is defined; NULL: a buffer of the kernel */
  int number;
  int id;        /* of its own in the kernel, below value_count: an index for side tables */
  int use_count; /* kept by the builder */
} Value;

/* Operands in order:
 * - for: lo, hi, step, initial values of the carried. Block 0 takes (index, carried…) and ends in yield of the results.
 * - if: condition (bool scalar). Block 0 is then, block 1 else, or NULL where there are no results. Both end in yield.
 * - ACCESS: [value,] buffer, one index an axis of the buffer, [rows], [cols]: see access_of.
 *
 * rows and cols are indexes: how many rows and columns from the indexed element on are there; absent: all of the
 * tile's. A tile's rows and columns lie along the buffer's last two axes; of a rank-1 buffer, along columns with one
 * row. */
struct Op {
  OpCode code;
  SourcePos pos;
  Block *block; /* it stands in */
  Op *previous, *next;
  int operand_count, result_count, block_count;
  Value **operands;
  Value *results;
  Block **blocks;
  bool has_rows, has_cols; /* ACCESS: bounds are among the operands, last, in this order */
  int64_t number; /* index_const; index_symbol: its index; prefetch: level; op_may_stream: 1 if so; tile_slice: row */
  int64_t column; /* tile_slice */
  double real;    /* tile_const */
};

struct Block {
  Kernel *kernel;
  Op *parent; /* NULL: the body or header of the kernel */
  Value **arguments;
  int argument_count;
  Op *first, *last;
};

typedef struct Symbol {
  const char *name;
  bool is_param; /* a passed field of the schedule, else a size or stride */
} Symbol;

typedef struct Module Module;
struct Kernel {
  Module *module;
  const char *name; /* without @ */
  SourcePos pos;
  VECTOR(Value *) buffers;
  VECTOR(Symbol) symbols; /* sizes and strides first, then params: the order of kiln_args.dims */
  Block *header;          /* index operations of the two expressions */
  Value *tasks;           /* in header; NULL: 1 */
  Value *workspace;       /* bytes; in header; NULL: 0 */
  Block *body;            /* argument 0 is the task's index */
  int value_count;
};

struct Module {
  Arena arena;
  VECTOR(Kernel *) kernels;
};

/* The parts of an ACCESS operation. */
typedef struct Access {
  Value *value; /* tile_store, frag_store, atomic_add; else NULL */
  Value *buffer;
  Value **indices;
  int index_count;
  Value *rows, *cols; /* NULL: unbounded */
} Access;
Access access_of(const Op *op);

/* ---- building ---------------------------------------------------------------------------------------------------- */

Module *module_create(const Allocator *allocator); /* NULL when out of memory */
void module_destroy(Module *module);
Kernel *kernel_create(Module *module, const char *name);            /* with an empty body that has the task argument */
int kernel_symbol(Kernel *kernel, const char *name, bool is_param); /* finds or adds; gives its index */
int kernel_find_symbol(const Kernel *kernel, const char *name, size_t length); /* -1: none */
Value *kernel_buffer(Kernel *kernel, const char *name, const BufType *type); /* appends a buffer; the type is copied */
TileType kernel_buf_type(Kernel *kernel, const BufType *type);               /* copied to the kernel's arena */
static inline Value *kernel_task(const Kernel *kernel) { return kernel->body->arguments[0]; }

/* Where new operations go: the end of a block. */
typedef struct Builder {
  Kernel *kernel;
  Block *block;
  SourcePos pos; /* what new operations get */
} Builder;
Builder builder_of(Kernel *kernel, Block *block);

/* The raw maker all others and the parser use: room for the counts, appended to the builder's block. */
Op *op_create(Builder *b, OpCode code, int operands, int results, int blocks);
void op_set_operand(Op *op, int number, Value *value); /* keeps use counts */
void op_remove(Op *op);                                /* its results must be unused */
Block *block_create(Kernel *kernel, Op *parent, int arguments);

/* Index arithmetic. Constants fold, and x+0, x*1 and the like give x, so templates need no special cases. */
Value *build_number(Builder *b, int64_t number);
Value *build_symbol(Builder *b, int symbol);
Value *build_extent(Builder *b, Extent extent);                  /* number or symbol */
Value *build_index(Builder *b, OpCode code, Value *x, Value *y); /* any two-operand INDEX_OP, comparisons too */
Value *build_index_select(Builder *b, Value *condition, Value *x, Value *y);
Value *build_add(Builder *b, Value *x, Value *y);
Value *build_sub(Builder *b, Value *x, Value *y);
Value *build_mul(Builder *b, Value *x, Value *y);
Value *build_min(Builder *b, Value *x, Value *y);
Value *build_ceildiv(Builder *b, Value *x, Value *y);
Value *build_named(Value *value, const char *name); /* names it (copied), gives it back */

/* Control. for: build_for, then build into loop.body with loop.index and loop.carried, then build_yield, then go on in
 * the outer block with op->results. */
typedef struct Loop {
  Op *op;
  Block *body;
  Value *index;
  Value **carried;
} Loop;
Loop build_for(Builder *b, Value *lo, Value *hi, Value *step, Value *const *initial, int count);
/* if: block 1 exists where `results` > 0 or `has_else`. Result types are given; each block must end in build_yield. */
Op *build_if(Builder *b, Value *condition, const TileType *types, int results, bool has_else);
void build_yield(Builder *b, Value *const *values, int count);

/* Memory and fragments. `indices` has one entry an axis; rows and cols may be NULL. */
typedef struct Place {
  Value *buffer;
  Value *indices[TILE_MAX_RANK];
  Value *rows, *cols;
} Place;
Value *build_load(Builder *b, OpCode code, Place from, TileType type); /* tile_load, frag_load */
void build_store(Builder *b, OpCode code, Value *value, Place to);     /* tile_store, frag_store */
/* frag_load of an operand that is not needed again soon: it may leave the first-level cache to others. */
Value *build_load_streamed(Builder *b, Place from, TileType type);
/* tile_store of what is not read again soon: it may go past the caches. */
void build_store_streamed(Builder *b, Value *value, Place to);
void build_prefetch(Builder *b, Place at, int level);
Value *build_atomic_add(Builder *b, Value *value, Place at);
Value *build_view(Builder *b, Place from, const BufType *type); /* the type is copied */
Value *build_buf_transpose(Builder *b, Value *buffer, const BufType *type);
enum { TILE_SCRATCH_BYTES = 64 << 10 /* of a buf_scratch, at most */ };
Value *build_scratch(Builder *b, const BufType *type);
Value *build_workspace(Builder *b, Value *byte_offset, const BufType *type);

/* PLAIN operations: results that follow from the operands, and results that are stated. */
Value *build_unary(Builder *b, OpCode code, Value *x);
Value *build_binary(Builder *b, OpCode code, Value *x, Value *y);
Value *build_ternary(Builder *b, OpCode code, Value *x, Value *y, Value *z);    /* tile_fma, tile_select, mma */
Value *build_typed(Builder *b, OpCode code, TileType type, Value *x, Value *y); /* y, or both, may be NULL */
Value *build_const(Builder *b, double number, TileType type);
Value *build_slice(Builder *b, Value *x, int row, int column, TileType type);

/* The result of an operation whose type follows (SAME, BOOL, ACC, REDUCED_…, TRANSPOSED, INDEX); false: the operands do
 * not fit together (shapes that do not broadcast, other types). Builder, parser and verifier ask here. */
bool op_infer(OpCode code, Value *const *operands, int count, TileType *type);
/* The same, or where operands do not fit a type to go on with; tile_verify reports them. */
TileType op_result_type(OpCode code, Value *const *operands, int count);

/* ---- text, checks, execution ------------------------------------------------------------------------------------- */

/* Any bytes give a module, with faults reported where they are wrong; NULL only when out of memory. */
Module *tile_parse(const char *text, size_t length, const Allocator *allocator, Diagnostics *faults);
void tile_print(const Module *module, Text *out);
void tile_print_type(const Kernel *kernel, TileType type, Text *out);
/* Every fault with its position: KILN_OK or KILN_INVALID_TILE. Total on any module the builder or parser can make. */
kiln_status tile_verify(const Module *module, Diagnostics *faults);

/* Elements of a buffer from its base to one past its last, panels padded; its sizes must be known. */
int64_t buf_span(const BufType *type, const int64_t *symbols);
/* Offset in elements of an element given by `rank` indices from the base. */
int64_t buf_offset(const BufType *type, const int64_t *symbols, const int64_t *indices);

/* The two host expressions for these symbols. */
int64_t tile_tasks(const Kernel *kernel, const int64_t *symbols);
int64_t tile_workspace(const Kernel *kernel, const int64_t *symbols);

/* Executes tasks first … last-1 of a kernel in the declared types, slowly and obviously, on real memory laid out as for
 * generated code. Every access is checked against the buffer's sizes and every fault of the program is reported with
 * its position: KILN_INVALID_TILE. Faults are accesses out of bounds, division by zero, and a store of an unspecified
 * element to one of the kernel's buffers; scratch keeps such an element as it is, a workspace shows it as NaN or an
 * arbitrary integer. The run ends at the first fault. Matrix products add in f32 with one rounding a step (fma), k
 * ascending. */
typedef struct TileRun {
  void *const *buffers;
  const int64_t *symbols;
  void *workspace;
  int64_t workspace_bytes;
  int64_t work_limit; /* elements that may be computed before the run is ended by a fault; 0: 1e10 */
} TileRun;
kiln_status tile_interpret(const Kernel *kernel, const TileRun *run, int64_t first, int64_t last,
                           const Allocator *allocator, Diagnostics *faults);

#endif
