/* gemm.h: what the files of the gemm template share: the match, and the shape of its kernel.
 *
 * C (m x n) is cut into register tiles of mr x nr, the first of which may own fewer rows and computes some twice;
 * columns go by panels of nr. A block of C has ceildiv(mc, mr) by ceildiv(nc, nr) of these tiles, k passes through it
 * in blocks of kc, and a task computes a run of blocks. */
#ifndef KILN_TEMPLATES_GEMM_H
#define KILN_TEMPLATES_GEMM_H

#include "kiln/args.h"
#include "templates/template.h"

/* A matrix or a batch of them: an input, read as it is or with its last two axes swapped. */
typedef struct GemmOperand {
  int input; /* index among the graph's inputs */
  const Node *node;
  bool transposed;
} GemmOperand;

/* What a quantised factor's elements are multiplied with and what is taken from them first: nodes of the graph, -1
 * where there is none. */
typedef struct GemmQuant {
  int dequant, scale, zero;
} GemmQuant;

typedef struct GemmMatch {
  GemmOperand a, b;
  GemmQuant a_quant, b_quant;
  bool is_quantised; /* both are: the product is one of integers */
  kiln_type acc;     /* f32, f64 or i32 */
  bool b_is_shared;  /* something else reads B too, so it cannot be packed ahead */
  Dim m, n, k;
  Dim batch[GRAPH_MAX_RANK - 2]; /* leading axes of the product: one of each element after the other … */
  int batch_rank;                /* … and how many there are */
  int product;                   /* node number of the product */
  int *inputs_of_nodes;          /* input index of each node, -1 for others */
  double epilogue_cost;          /* vector instructions an element, roughly */
} GemmMatch;

/* What a register tile multiplies: element types of fragments and panels, the steps of k of one matrix instruction, and
 * how many consecutive k lie together in a panel. */
typedef struct GemmTypes {
  kiln_type a, b, acc;
  int step, group;
  int a_group;     /* likewise of a packed A */
  int vector_step; /* of the instruction on vectors */
  int shift;       /* added to each element of B where it is packed: bytes of one sign become bytes of the other */
} GemmTypes;
GemmTypes gemm_types(const Plan *plan);
/* Whether an instruction multiplies two rows of A at once. */
bool gemm_has_pairs_of_rows(const Plan *plan);
/* Whether the target multiplies these types in tile registers. */
bool gemm_has_tiles(const Plan *plan);
/* Whether one instruction adds products of these floats as they are, faster than those of f32. */
bool gemm_has_fast_dot(const Plan *plan);
/* Whether bytes become 16 bits for each product, without an instruction that adds four of them up. */
bool gemm_widens_bytes(const Plan *plan);
/* Whether convert=pack would change a type. */
bool gemm_converts(const Plan *plan);
/* Whether sums of B's columns correct the product, for a zero point of A. */
bool gemm_needs_column_sums(const Plan *plan);
/* Whether elements of C may be dot products along k of A and B as they lie: of few rows, or of one column; whether C is
 * one; whether they are. */
bool gemm_has_dots(const Plan *plan);
bool gemm_is_column(const Plan *plan);
bool gemm_is_by_dots(const Plan *plan);
/* Rows up to which that is the fastest. */
int64_t gemm_rows_worth_dots(const Plan *plan);
enum { GEMM_FEW_ROWS_OF_DOTS = 8, GEMM_MOST_ROWS_OF_DOTS = 16 };
/* Whether the accumulators of the product are the graph's only result, as they are. */
bool gemm_is_bare(const Plan *plan);
/* Whether results can be stored past the caches: the target has such stores, and they go through registers. */
bool gemm_may_stream_results(const Plan *plan);
/* Whether the kernel takes this passed field. */
bool gemm_has_field(const Plan *plan, Field field);
/* The instruction that register tiles multiply with; NULL: there is none but plain arithmetic. */
const MmaInstruction *gemm_instruction(const Plan *plan);
/* ---- sizes (gemm_sizes.c) ---------------------------------------------------------------------------------------- */

/* What sizes belong to; of a batch, its axes in order. Depth is k as its loops go (gemm_loop_k). */
enum { GEMM_M, GEMM_N, GEMM_K, GEMM_DEPTH, GEMM_BATCH, GEMM_AXES = GEMM_BATCH + GRAPH_MAX_RANK - 2 };
/* As the planner knows it. */
Dim gemm_axis(const Plan *plan, int axis);
/* As the kernel does: a number, a symbol of the graph, or one of the plan's sizes. */
Extent gemm_extent(const Plan *plan, int axis);
/* The same of an axis of an input or result; the buffer of one, as it is passed, or packed. */
Extent gemm_extent_of(const Plan *plan, const Node *node, int axis);
BufType gemm_buffer_type(const Plan *plan, const Node *node);
BufType gemm_packed_type(const Plan *plan, int input);
/* A matrix with its axes swapped, of the same memory. */
BufType gemm_turned(BufType type);
/* Whether sizes are known that could be passed; fills plan->sizes with those that are. */
bool gemm_has_numbers(const Plan *plan);
void gemm_list_sizes(Plan *plan);

/* k as its loops go: up to the next whole instruction where both operands are packed, with zeros behind their ends. */
Dim gemm_loop_k(const Plan *plan);
/* What blocks and layers of k are whole multiples of: iterations, and groups of a packed A. */
int64_t gemm_unit_of_k(const Plan *plan);
/* Whether a product of these sizes is bound by reading packed B, a few rows of C using each element. */
bool gemm_is_stream(const Plan *plan, int64_t m, int64_t n, int64_t k, int64_t l2_bytes);
/* Whether sizes are known, and such: panels are narrow then, so that many streams fit what is under way at once. */
bool gemm_is_known_stream(const Plan *plan);
/* Whether B is to be read where it lies; whether vectors of it are then turned from its columns. */
bool gemm_is_in_place(const Plan *plan);
bool gemm_turns_in_place(const Plan *plan);
/* Whether tasks pack rows of B for no more rows of A than a tile register has. */
bool gemm_is_packed_by_few_rows(const Plan *plan, int64_t m);
/* ---- the baked schedule ------------------------------------------------------------------------------------------ */

/* Defaults of fields of operands (gemm_operands.c), each from those above it. */
int64_t gemm_default_pack_b(const Plan *plan);
int64_t gemm_default_mma(const Plan *plan);
int64_t gemm_default_convert(const Plan *plan);
int64_t gemm_default_pack_a(const Plan *plan);
int64_t gemm_default_load_a(const Plan *plan);
int64_t gemm_default_prefetch(const Plan *plan); /* and from mr and nr */
bool gemm_may_pack_ahead(const Plan *plan);
/* Completes mr and nr (gemm_registers.c). */
void gemm_choose_registers(Plan *plan);
/* Vectors along k that an iteration of dot products takes. */
int64_t gemm_steps_of_dots(const Plan *plan);
void gemm_explain_registers(const Plan *plan, Text *out);
/* Whether sizes may come that are worth sharing k between tasks. */
bool gemm_may_have_layers(const Plan *plan);
/* Whether steps of k lie one after another in each column of B, as it is read. */
bool gemm_runs_along_k(const BufType *b);
/* The same of the graph's B, as the product reads it. */
bool gemm_b_runs_along_k(const Plan *plan);
/* Whether vectors are so few and short that panels are a line or two wide: AVX2. */
bool gemm_has_narrow_panels(const Plan *plan);
/* What a load of one instruction's k brings of a panel, some two lines, as habits.def counts turns in. */
enum { GEMM_LOAD_BYTES = 128 };
/* Rows that are few for tile registers, whose panels of B then come from beyond the second-level cache all the time. */
enum { GEMM_FEW_ROWS_OF_TILES = 128 };
/* Most rows of a block whose tiles are finished beside the next panel. */
enum { GEMM_ROWS_BESIDE_PANELS = 256 };
/* Products that the batch has in a call; 1 where it is none. */
int64_t gemm_batch(const GemmMatch *match, const int64_t *symbols);
/* Accumulators in one vector register. */
int64_t gemm_lanes(const Plan *plan);
/* Bytes of `count` elements, a whole number of them. */
int64_t gemm_bytes(kiln_type type, int64_t count);

static inline int64_t ceil_div(int64_t x, int64_t y) { return (x + y - 1) / y; }
static inline int64_t smaller_of(int64_t x, int64_t y) { return x < y ? x : y; }
static inline int64_t larger_of(int64_t x, int64_t y) { return x > y ? x : y; }
/* At least 1; `unknown` where it may change from call to call. */
static inline int64_t gemm_size_or(Dim d, int64_t unknown) { return d.symbol < 0 ? larger_of(d.size, 1) : unknown; }

bool gemm_match(Plan *plan, Arena *arena, Text *why_not);
kiln_status gemm_schedule(Plan *plan, Text *why_not);
void gemm_build(const Plan *plan, const char *name, Module *module);
/* Rows of a register tile in a call of so many: mr, or fewer where m is a symbol. */
int64_t gemm_rows_of_tile(const Plan *plan, int64_t m);
void gemm_bind(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *params);
/* Blocks of C that k in several layers allows: each needs a counter. */
enum { GEMM_COUNTERS = KILN_WORKSPACE_ZEROED / 4 };
/* Operations a cycle of one core at the peak of the instruction chosen. */
double gemm_peak(const Plan *plan, const Core *core);
void gemm_predict(const Plan *plan, const int64_t *symbols, const int64_t *params, const Machine *machine,
                  Prediction *prediction);
size_t gemm_candidates(const Plan *plan, const int64_t *symbols, const Machine *machine, Schedule *out,
                       size_t capacity);
void gemm_explain(const Plan *plan, const int64_t *symbols, const Machine *machine, Text *out);

/* The input behind a node that is an input or the transpose of one; node NULL: neither. */
GemmOperand gemm_operand(const kiln_graph *graph, const int *inputs_of_nodes, int number);
/* A node's memory as seen from the product, one matrix of a batch: transposed where asked. Vectors stay as they are. */
BufType gemm_view(const Node *node, bool transposed);

#endif
