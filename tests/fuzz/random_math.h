/* random_math.h: random operators on terms of known type and shape, and the state that the whole generator shares. */
#ifndef KILN_TESTS_FUZZ_RANDOM_MATH_H
#define KILN_TESTS_FUZZ_RANDOM_MATH_H

#include "tests/fuzz/random_graph.h"

/* A size as it is written and what it is bound to. */
typedef struct Axis {
  int64_t size;
  int symbol; /* index into MathGen.symbols, or -1: a number */
} Axis;

typedef struct AxisList {
  int rank;
  Axis dims[GRAPH_MAX_RANK];
} AxisList;

/* A value in scope: its name, a literal, or an expression that can be used once. */
typedef struct Term {
  const char *text;
  bool is_named, is_literal, is_input;
  bool is_hidden;   /* not for picking */
  bool is_returned; /* whatever else uses it */
  int uses;
  kiln_type type;
  AxisList shape;
} Term;

typedef struct MathSymbol {
  char name[8];
  int64_t value;
  bool is_written;
} MathSymbol;

enum { MATH_AXES = 7, MATH_MAX_COUNT = 3000, MATH_MAX_WORK = 30000 };

typedef struct MathGen {
  const uint8_t *bytes;
  size_t size;
  uint64_t state;
  RandomFlavour flavour;
  RandomGraph *random;
  Arena arena;
  Axis axes[MATH_AXES]; /* RANDOM_GEMM: m, n, k first */
  MathSymbol symbols[RANDOM_GRAPH_SYMBOLS];
  int symbol_count, written_count;
  VECTOR(Term) terms;
  int input_count, name_count;
} MathGen;

/* ---- chance (random_graph.c) ------------------------------------------------------------------------------------- */

int math_below(MathGen *g, int count); /* 0 to count - 1, count at most 256 */
static inline bool math_chance(MathGen *g, int in) { return math_below(g, in) == 0; }

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static inline Axis math_number(int64_t size) { return (Axis){size, -1}; }
static inline bool axis_is_one(Axis a) { return a.symbol < 0 && a.size == 1; }
static inline bool axis_equal(Axis a, Axis b) { return a.symbol == b.symbol && a.size == b.size; }
Axis math_axis(MathGen *g);
/* An axis of this size: a number, or a symbol of its own where there is room for one more. */
Axis math_axis_of(MathGen *g, int64_t size);
int64_t math_count(const AxisList *shape);
bool math_join(const AxisList *a, const AxisList *b, AxisList *joined);
/* A shape that broadcasts to `whole`. */
AxisList math_reduced(MathGen *g, const AxisList *whole);

/* ---- terms ------------------------------------------------------------------------------------------------------- */

/* Sets of types, a bit each. */
#define TYPE_BIT(type) (1u << (type))
#define TYPES_FLOATING (TYPE_BIT(KILN_F64) | TYPE_BIT(KILN_F32) | TYPE_BIT(KILN_F16) | TYPE_BIT(KILN_BF16) | TYPES_F8)
#define TYPES_F8 (TYPE_BIT(KILN_F8E4M3) | TYPE_BIT(KILN_F8E5M2))
#define TYPES_WHOLE (TYPE_BIT(KILN_I32) | TYPE_BIT(KILN_I8) | TYPE_BIT(KILN_U8) | TYPES_NIBBLE)
#define TYPES_NIBBLE (TYPE_BIT(KILN_I4) | TYPE_BIT(KILN_U4))
#define TYPES_NUMBER (TYPES_FLOATING | TYPES_WHOLE)
#define TYPES_ANY (TYPES_NUMBER | TYPE_BIT(KILN_BOOL))

const char *math_format(MathGen *g, const char *format, ...) PRINTF_LIKE(2, 3);
kiln_type math_type(MathGen *g, unsigned types);
/* Declares an input and gives it, taken. A nibble type gives way to i8 where the shape has no place for it. */
Term math_input(MathGen *g, kiln_type type, const AxisList *shape);
Term math_literal(MathGen *g, bool is_whole);
/* A term of these types from the pool that `fits` says yes to; false: none. It is then used. */
typedef bool MathFits(const Term *term, const void *context);
bool math_take(MathGen *g, unsigned types, MathFits *fits, const void *context, Term *taken);
/* The operator's value: an expression for one use, or a statement, perhaps with a type. */
void math_give(MathGen *g, kiln_type type, const AxisList *shape, const char *expression);
/* The same, always a statement of this type. */
void math_give_typed(MathGen *g, kiln_type type, const AxisList *shape, const char *expression);
/* The type of the result of element-wise math on these. */
kiln_type math_joined_type(const Term *terms, int count);

/* ---- operators (random_math.c) ----------------------------------------------------------------------------------- */

void math_step(MathGen *g);             /* one more of any */
void math_elementwise_step(MathGen *g); /* one more that is element-wise, on shapes that are in the pool */

#endif
