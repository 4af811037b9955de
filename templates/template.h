/* template.h: from a graph to a plan, and from a plan to tile IR. Pure functions: no threads, files or LLVM.
 *
 * A problem (graph, target, wishes) is offered to the templates in the order of templates.def; the first that matches
 * makes the plan, and each refusal keeps a sentence. A plan is a template with a complete schedule. Its kernels follow
 * one convention, so that the runtime knows nothing of templates:
 *   - the first kernel of the module is the entry; its buffers are the graph's inputs, then its outputs
 *   - its symbols are the graph's symbols in order, then the plan's sizes (numbers of the graph that the code does not
 * know) in order, then its params (passed schedule fields) in order: tmpl_bind
 *   - for each input i with packs[i].packed, a kernel NAME_pack_<input's name> has buffers (source, packed), the
 * graph's symbols and the plan's sizes, and its packed buffer has the type the entry's buffer i has */
#ifndef KILN_TEMPLATES_TEMPLATE_H
#define KILN_TEMPLATES_TEMPLATE_H

#include "ir/graph/graph.h"
#include "ir/target/target.h"
#include "ir/tile/tile.h"
#include "kiln/kiln.h"

/* ---- schedules --------------------------------------------------------------------------------------------------- */

typedef enum Field {
#define SCHEDULE_FIELD(name, kind, words, low, high, meaning) FIELD_##name,
#include "templates/schedule.def"
#undef SCHEDULE_FIELD
  FIELD_COUNT
} Field;
typedef enum FieldKind { FIELD_BAKED, FIELD_PASSED } FieldKind;

typedef struct FieldInfo {
  const char *name;
  FieldKind kind;
  const char *words; /* "a|b|c", or "" for a number */
  int64_t low, high;
  const char *meaning;
} FieldInfo;
const FieldInfo *field_info(Field field);
/* Whether a passed field decides in which order terms are added: then it is the same in every call of a kernel,
 * whatever the threads and rows. */
bool field_orders_sums(Field field);

enum { SIZES_BAKED, SIZES_PASSED };
enum { MMA_ON_VECTORS, MMA_ON_TILES, MMA_AS_DOTS };
enum { CONVERT_LOAD, CONVERT_PACK, CONVERT_ROWS };
enum { PACK_A_NONE, PACK_A_TASK };
enum { LOAD_A_PLAIN, LOAD_A_STREAMED };
enum { PACK_B_NONE, PACK_B_AHEAD, PACK_B_TASK };
enum { PREFETCH_NONE, PREFETCH_PANEL, PREFETCH_BOTH, PREFETCH_STREAM };
enum { EPILOGUE_REGISTERS, EPILOGUE_ROWS, EPILOGUE_NONE, EPILOGUE_OVERLAPPED };
enum { STORE_C_PLAIN, STORE_C_STREAMED };

/* A field is set by the caller (fixed), by the template (set), or not used at all. Passed fields that are not fixed are
 * chosen at each call (template's bind). */
typedef struct Schedule {
  int64_t values[FIELD_COUNT];
  bool set[FIELD_COUNT];
  bool fixed[FIELD_COUNT];
} Schedule;

/* `mr=8 nr=48 …`. A fault names the field: unknown, out of range, given twice. Sets `set` and `fixed`. */
kiln_status schedule_parse(const char *text, Schedule *schedule, Text *why);
/* The set fields of one kind, in table order, separated by spaces. */
void schedule_print(const Schedule *schedule, FieldKind kind, Text *out);

/* ---- plans ------------------------------------------------------------------------------------------------------- */

typedef struct Template Template;

typedef struct Problem {
  const kiln_graph *graph; /* checked; outlives the plan */
  const Target *target;
  const Template *forced; /* NULL: any */
  Schedule wishes;        /* fixed fields */
  kiln_packing packing;
  bool batch_invariant;
} Problem;

/* How input i must be laid out. */
typedef struct Pack {
  bool packed;
  BufType type; /* of the packed buffer; its symbols index the graph's */
} Pack;

enum { PLAN_MAX_PARAMS = 8, PLAN_MAX_SIZES = 8 };

/* A size of the graph that its kernels are told like a symbol. */
typedef struct PlanSize {
  const char *name;
  int64_t value;
} PlanSize;

typedef struct Plan {
  const Template *template;
  Problem problem;
  const void *match; /* the template's own, in the arena */
  Schedule schedule; /* complete in the baked fields the template uses */
  PlanSize sizes[PLAN_MAX_SIZES];
  int size_count;
  Field params[PLAN_MAX_PARAMS];
  int param_count;
  Pack *packs;          /* one an input */
  const char *refusals; /* a line for each template that was asked before: `name: sentence` */
} Plan;

/* Where data comes from. */
typedef enum Level { LEVEL_L1, LEVEL_L2, LEVEL_L3, LEVEL_MEMORY, LEVEL_COUNT } Level;

/* Where the time of a call goes, by the template's model of it. Times are seconds of the thread that is done last, each
 * as if nothing else took any; compute and levels overlap, so `seconds` is less than the sum. */
typedef struct Prediction {
  double seconds;
  double compute;             /* products alone */
  double levels[LEVEL_COUNT]; /* what comes from each */
  double packing, epilogue;
  double fork;               /* calls of tasks, and waking the threads */
  double bytes[LEVEL_COUNT]; /* that come from there, of all threads */
  double tile_share;         /* of the instructions' peak that a register tile reaches in the first-level cache */
  double peak;               /* operations a second of one core */
  double balance;            /* work of the busiest thread over the mean of all of the call's */
  int64_t tasks;
} Prediction;

struct Template {
  const char *name;
  const char *meaning;
  bool is_fallback;
  /* Whether it can compute the graph: fills plan->match and packs, or writes a sentence to `why_not`. */
  bool (*match)(Plan *plan, Arena *arena, Text *why_not);
  /* Completes plan->schedule and params from the problem, respecting fixed fields. KILN_UNSUPPORTED with a sentence
   * where a fixed field does not fit; KILN_NOT_FOUND where the template does not use it. */
  kiln_status (*schedule)(Plan *plan, Text *why_not);
  /* Appends its kernels to the module; the entry is called `name`. */
  void (*build)(const Plan *plan, const char *name, Module *module);
  /* Values of the params for one call: symbols are the graph's. Fast: it runs in each call with symbolic sizes. Results
   * of the kernel must not depend on machine->threads. */
  void (*bind)(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *params);
  /* Schedules worth measuring for these sizes: the plan's own first, then the best predicted first and diverse;
   * complete in the fields they use, which are fixed, and such that the planner takes them. Fields that the plan's
   * caller fixed stay. How many. NULL: only its own. */
  size_t (*candidates)(const Plan *plan, const int64_t *symbols, const Machine *machine, Schedule *out,
                       size_t capacity);
  /* What a call with these params takes, as far as a model can tell without measuring. NULL: there is no model. */
  void (*predict)(const Plan *plan, const int64_t *symbols, const int64_t *params, const Machine *machine,
                  Prediction *prediction);
  /* Lines for `kiln explain`: why this schedule. */
  void (*explain)(const Plan *plan, const int64_t *symbols, const Machine *machine, Text *out);
};

size_t template_count(void);
const Template *template_get(size_t index);
const Template *template_find(const char *name); /* NULL: no such row */

/* Matches and schedules. Errors: KILN_UNSUPPORTED, KILN_NOT_FOUND with a sentence in `why`. */
kiln_status tmpl_plan(const Problem *problem, Arena *arena, Plan *plan, Text *why);
/* How many symbols its kernels have before the params: the graph's and the plan's sizes. */
size_t tmpl_first_param(const Plan *plan);
/* The same as the entry takes them, without params: kernels that pack need no more. `symbols` NULL: those of the graph
 * stay as they are. */
void tmpl_fill_sizes(const Plan *plan, const int64_t *symbols, int64_t *dims);
/* All of the entry's, for one call; PLAN_MAX_SIZES + PLAN_MAX_PARAMS more than the graph has symbols suffice. */
void tmpl_bind(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *dims);
/* The module of a plan; verified by the caller. NULL when out of memory. */
Module *tmpl_build(const Plan *plan, const char *name, const Allocator *allocator);

/* Multiply-adds (or element operations where there is no product) and compulsory bytes of a graph for these symbols:
 * the roofline's numerator, whatever the template. */
typedef struct Work {
  double flops; /* 2 a multiply-add */
  double bytes; /* inputs and outputs once */
} Work;
Work tmpl_work(const kiln_graph *graph, const int64_t *symbols);
/* Of `threads` as many as this work is worth: at least 1. */
int tmpl_threads(Work work, int threads);

/* ---- shared by templates ----------------------------------------------------------------------------------------- */

bool elementwise_covers(const Node *node);
/* Emits one element-wise node on tiles of rows x cols: operands in their own types (any broadcastable tile), result in
 * the node's type. A NUMBER operand may be NULL: it is made here. */
Value *elementwise_build(Builder *b, const kiln_graph *graph, const Node *node, Value *const *operands);
/* tile_convert, or x itself where it has the type. */
Value *convert_build(Builder *b, Value *x, kiln_type type);
/* A buffer type for a graph's tensor: its dims and strides, with graph symbols as kernel symbols. */
BufType buf_of_node(const Node *node);

#endif
