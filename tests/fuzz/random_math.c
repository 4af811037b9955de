/* random_math.c: random operators, one function a form: it takes operands from the pool that fit each other, or
 * declares inputs that do, and gives the value back to the pool. What was taken is always used. */
#include "tests/fuzz/random_math.h"

#include <string.h>

/* ---- operands ---------------------------------------------------------------------------------------------------- */

/* What element-wise operands must join: the operands so far. */
static bool is_joinable(const Term *term, const void *context) {
  AxisList joined;
  return math_join(&term->shape, context, &joined) && math_count(&joined) <= MATH_MAX_COUNT;
}

static bool is_small(const Term *term, const void *context) {
  return !context && math_count(&term->shape) <= MATH_MAX_COUNT;
}

static AxisList random_shape(MathGen *g, int least, int most) {
  AxisList shape = {.rank = least + math_below(g, most - least + 1)};
  do {
    for (int i = 0; i < shape.rank; i++) shape.dims[i] = math_axis(g);
    for (int i = 0; i < shape.rank && math_count(&shape) > MATH_MAX_COUNT; i++) shape.dims[i] = math_number(2);
  } while (math_count(&shape) > MATH_MAX_COUNT);
  return shape;
}

/* The shape of an operand that meets nothing yet. */
static AxisList first_shape(MathGen *g) {
  if (g->flavour == RANDOM_ANY) return random_shape(g, 0, math_chance(g, 3) ? 4 : 2);
  AxisList whole = {2, {g->axes[0], g->axes[1]}};
  return math_reduced(g, &whole);
}

/* From the pool mostly, else an input. */
static Term first_operand(MathGen *g, unsigned types) {
  Term term;
  if (!math_chance(g, 4) && math_take(g, types, is_small, NULL, &term)) return term;
  AxisList shape = first_shape(g);
  return math_input(g, math_type(g, types), &shape);
}

typedef struct AxesWanted {
  int least, most;
} AxesWanted;

static bool has_axes(const Term *term, const void *context) {
  const AxesWanted *wanted = context;
  return term->shape.rank >= wanted->least && term->shape.rank <= wanted->most && is_small(term, NULL);
}

static Term operand_of_rank(MathGen *g, unsigned types, int least, int most) {
  Term term;
  AxesWanted wanted = {least, most};
  if (!math_chance(g, 4) && math_take(g, types, has_axes, &wanted, &term)) return term;
  AxisList shape = random_shape(g, least, most);
  return math_input(g, math_type(g, types), &shape);
}

/* One that broadcasts with `shape`, which then is the shape of both. */
static Term joined_operand(MathGen *g, unsigned types, AxisList *shape) {
  Term term;
  if (math_chance(g, 3) || !math_take(g, types, is_joinable, shape, &term)) {
    AxisList reduced = math_reduced(g, shape);
    term = math_input(g, math_type(g, types), &reduced);
  }
  (void)math_join(&term.shape, shape, shape);
  return term;
}

/* The same, or a literal that the terms before allow: among integers it is whole. */
static Term operand_or_literal(MathGen *g, AxisList *shape, const Term *before, int count) {
  if (!math_chance(g, 3)) return joined_operand(g, TYPES_NUMBER, shape);
  return math_literal(g, count > 0 && math_joined_type(before, count) == KILN_I32);
}

/* Operands of one element-wise operator, in `terms`; one of them may be a literal. */
static void take_operands(MathGen *g, Term *terms, int count, AxisList *shape) {
  terms[0] = first_operand(g, TYPES_NUMBER);
  *shape = terms[0].shape;
  for (int i = 1; i < count; i++) terms[i] = operand_or_literal(g, shape, terms, i);
  /* A literal that was chosen among floats stays among floats: the first operand decides. */
  if (count == 2 && math_chance(g, 2)) {
    Term first = terms[0];
    terms[0] = terms[1];
    terms[1] = first;
  }
}

static kiln_type as_floating(kiln_type type) { return type == KILN_I32 ? KILN_F32 : type; }

/* ---- element-wise ------------------------------------------------------------------------------------------------ */

static void arithmetic(MathGen *g) {
  static const char *const formats[] = {"%s + %s",     "%s - %s",     "%s * %s",           "%s / %s",
                                        "min(%s, %s)", "max(%s, %s)", "leaky_relu(%s, %s)"};
  Term terms[2];
  AxisList shape;
  take_operands(g, terms, 2, &shape);
  int choice = math_below(g, ARRAY_LENGTH(formats));
  kiln_type type = math_joined_type(terms, 2);
  math_give(g, choice == 3 ? as_floating(type) : type, &shape,
            math_format(g, formats[choice], terms[0].text, terms[1].text));
}

static void clamp(MathGen *g) {
  Term terms[3];
  AxisList shape;
  take_operands(g, terms, 3, &shape);
  math_give(g, math_joined_type(terms, 3), &shape,
            math_format(g, "clamp(%s, %s, %s)", terms[0].text, terms[1].text, terms[2].text));
}

static const char *const comparisons[] = {"<", "<=", ">", ">=", "==", "!="};

static const char *compare_text(MathGen *g, AxisList *shape) {
  Term terms[2];
  take_operands(g, terms, 2, shape);
  const char *sign = comparisons[math_below(g, ARRAY_LENGTH(comparisons))];
  return math_format(g, "%s %s %s", terms[0].text, sign, terms[1].text);
}

static void compare(MathGen *g) {
  AxisList shape;
  const char *text = compare_text(g, &shape);
  math_give(g, KILN_BOOL, &shape, text);
}

static void select(MathGen *g) {
  AxisList shape;
  Term terms[2];
  bool has_bool_arms = math_chance(g, 8);
  if (has_bool_arms) {
    terms[0] = first_operand(g, TYPE_BIT(KILN_BOOL));
    shape = terms[0].shape;
    terms[1] = joined_operand(g, TYPE_BIT(KILN_BOOL), &shape);
  } else {
    take_operands(g, terms, 2, &shape);
  }
  kiln_type type = has_bool_arms ? KILN_BOOL : math_joined_type(terms, 2);
  Term condition = joined_operand(g, TYPE_BIT(KILN_BOOL), &shape);
  math_give(g, type, &shape, math_format(g, "where(%s, %s, %s)", condition.text, terms[0].text, terms[1].text));
}

static void unary(MathGen *g) {
  static const char *const names[] = {"neg", "abs", "square", "relu"};
  Term x = first_operand(g, TYPES_NUMBER);
  const char *text = math_format(g, "%s(%s)", names[math_below(g, ARRAY_LENGTH(names))], x.text);
  math_give(g, math_joined_type(&x, 1), &x.shape, text);
}

static void function(MathGen *g) {
  static const char *const names[] = {"sqrt", "rsqrt",     "exp",  "log",       "tanh",       "sigmoid",
                                      "gelu", "gelu_tanh", "silu", "hardswish", "hardsigmoid"};
  int choice = math_below(g, ARRAY_LENGTH(names));
  bool is_above = (choice < 2 || choice == 3) && !math_chance(g, 4); /* few results should be NaN */
  Term x = first_operand(g, TYPES_NUMBER);
  const char *text = math_format(g, is_above ? "%s(abs(%s) + 1)" : "%s(%s)", names[choice], x.text);
  math_give(g, as_floating(math_joined_type(&x, 1)), &x.shape, text);
}

/* ---- quantised --------------------------------------------------------------------------------------------------- */

/* Axes of 1 or equal; rows in groups where the language allows it. */
static AxisList scale_shape(MathGen *g, const AxisList *whole) {
  AxisList shape = math_reduced(g, whole);
  if (g->flavour == RANDOM_GEMM || shape.rank < 2 || math_chance(g, 2)) return shape;
  int64_t rows = whole->dims[whole->rank - 2].size, groups = rows;
  for (int tries = math_below(g, 4); tries > 0 && groups > 1; tries--) do
      groups--;
    while (rows % groups != 0);
  if (groups > 0 && groups < rows) shape.dims[shape.rank - 2] = math_axis_of(g, groups);
  return shape;
}

/* `, scale` and perhaps `, zero`. */
static const char *scale_text(MathGen *g, const AxisList *whole, kiln_type *type) {
  static const char *const literals[] = {"0.5", "0.125", "0.05", "1", "-0.25"};
  AxisList shape = scale_shape(g, whole);
  Term terms[3] = {{.type = *type}};
  int count = 1;
  const char *text = math_format(g, ", %s", literals[math_below(g, ARRAY_LENGTH(literals))]);
  if (math_chance(g, 3)) {
    shape.rank = 0;
  } else {
    terms[count++] = math_input(g, math_type(g, TYPES_FLOATING), &shape);
    text = math_format(g, ", %s", terms[1].text);
  }
  int choice = math_below(g, 4);
  if (choice == 0) {
    text = math_format(g, "%s, %d", text, math_below(g, 9) - 4);
  } else if (choice == 1) {
    if (math_chance(g, 3)) shape.rank = 0;
    terms[count] = math_input(g, math_type(g, TYPES_NUMBER), &shape);
    text = math_format(g, "%s, %s", text, terms[count++].text);
  }
  for (int i = 0; i < count; i++)
    if (terms[i].type == KILN_F64) *type = KILN_F64;
  return text;
}

static void dequant(MathGen *g) {
  Term q = first_operand(g, TYPES_WHOLE | TYPES_F8);
  kiln_type type = KILN_F32;
  const char *scale = scale_text(g, &q.shape, &type);
  math_give(g, type, &q.shape, math_format(g, "dequant(%s%s)", q.text, scale));
}

static void quant(MathGen *g) {
  Term x = first_operand(g, TYPES_NUMBER);
  kiln_type type = x.type;
  const char *text = math_format(g, "quant(%s%s)", x.text, scale_text(g, &x.shape, &type));
  math_give_typed(g, math_type(g, TYPES_WHOLE | TYPES_F8), &x.shape, text);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void reduce(MathGen *g) {
  static const char *const names[] = {"sum", "max", "mean"};
  Term x = operand_of_rank(g, TYPES_NUMBER, 1, 4);
  int choice = math_below(g, ARRAY_LENGTH(names));
  kiln_type type = math_joined_type(&x, 1);
  AxisList shape = x.shape;
  shape.dims[shape.rank - 1] = math_number(1);
  math_give(g, choice == 2 ? as_floating(type) : type, &shape, math_format(g, "%s(%s)", names[choice], x.text));
}

static void rowwise(MathGen *g) {
  Term x = operand_of_rank(g, TYPES_NUMBER, 1, 4);
  kiln_type type = x.type == KILN_F64 ? KILN_F64 : KILN_F32;
  const char *name = math_chance(g, 2) ? "rms_norm" : "layer_norm";
  if (math_chance(g, 3)) {
    math_give(g, type, &x.shape, math_format(g, "softmax(%s)", x.text));
  } else if (math_chance(g, 2)) {
    math_give(g, type, &x.shape, math_format(g, "%s(%s, 0.001)", name, x.text));
  } else {
    AxisList scalar = {.rank = 0};
    Term eps = math_input(g, math_type(g, TYPES_NUMBER & ~TYPES_NIBBLE), &scalar);
    if (eps.type == KILN_F64) type = KILN_F64;
    math_give(g, type, &x.shape, math_format(g, "%s(%s, abs(%s))", name, x.text, eps.text));
  }
}

static void causal(MathGen *g) {
  Term x = operand_of_rank(g, TYPES_FLOATING, 2, 4);
  kiln_type type = math_joined_type(&x, 1);
  math_give(g, type, &x.shape, math_format(g, "causal(%s)", x.text));
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

static AxisList turned(AxisList shape) {
  Axis last = shape.dims[shape.rank - 1];
  shape.dims[shape.rank - 1] = shape.dims[shape.rank - 2];
  shape.dims[shape.rank - 2] = last;
  return shape;
}

static void transpose(MathGen *g) {
  Term x = operand_of_rank(g, TYPES_ANY, 2, 4);
  AxisList shape = turned(x.shape);
  math_give(g, x.type, &shape, math_format(g, "%s.T", x.text));
}

/* An input for the rows of `limit`: nothing else uses it. */
static Term index_input(MathGen *g, Axis count) {
  AxisList shape = {1, {count}};
  Term index = math_input(g, KILN_I32, &shape);
  g->terms.items[g->terms.count - 1].is_hidden = true;
  return index;
}

static void gather(MathGen *g) {
  Term x = operand_of_rank(g, TYPES_ANY, 2, 2);
  int64_t rows = x.shape.dims[0].size;
  Term index = index_input(g, rows > 0 ? math_axis(g) : math_number(0));
  const char *text = index.text;
  if (rows > 0 && math_chance(g, 3)) text = math_format(g, "clamp(%s * 2 - 1, 0, %lld)", text, (long long)rows - 1);
  AxisList shape = {2, {index.shape.dims[0], x.shape.dims[1]}};
  math_give(g, x.type, &shape, math_format(g, "gather(%s, %s)", x.text, text));
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* Types that may be multiplied by `type`. */
static unsigned factor_types(kiln_type type) { return type_is_floating(type) ? TYPES_FLOATING : TYPES_WHOLE; }

/* An axis that keeps the product small. */
static Axis axis_within(MathGen *g, int64_t work) {
  Axis axis = math_axis(g);
  return axis.size * work <= MATH_MAX_WORK ? axis : math_number(1 + math_below(g, 2));
}

/* The shape of a @ b; false: they do not multiply, or it is too much work. */
static bool product_shape(const AxisList *a, const AxisList *b, AxisList *product) {
  if (a->rank < 1 || b->rank < 1) return false;
  Axis k = a->dims[a->rank - 1];
  if (!axis_equal(k, b->dims[b->rank > 1 ? b->rank - 2 : 0])) return false;
  AxisList batch[2] = {*a, *b};
  for (int i = 0; i < 2; i++) batch[i].rank = batch[i].rank > 2 ? batch[i].rank - 2 : 0;
  if (!math_join(&batch[0], &batch[1], product)) return false;
  if (a->rank > 1) product->dims[product->rank++] = a->dims[a->rank - 2];
  if (b->rank > 1) product->dims[product->rank++] = b->dims[b->rank - 1];
  return math_count(product) <= MATH_MAX_COUNT && math_count(product) * k.size <= MATH_MAX_WORK;
}

static bool multiplies(const Term *term, const void *context) {
  AxisList product;
  return product_shape(context, &term->shape, &product);
}

/* A right operand for `a` whose product is small, whatever the sizes. */
static AxisList right_shape(MathGen *g, const AxisList *a) {
  AxisList shape = {.rank = 0}, product;
  Axis k = a->dims[a->rank - 1];
  int batch = a->rank > 2 ? a->rank - 2 : 0;
  if (math_chance(g, 6)) return (AxisList){1, {k}};
  if (batch > 0 && math_chance(g, 2)) {
    AxisList whole = *a;
    whole.rank = batch;
    shape = math_reduced(g, &whole);
  } else if (batch == 0 && math_chance(g, 4)) {
    shape = (AxisList){1, {axis_within(g, math_count(a) * 2)}};
  }
  int64_t more = batch == 0 && shape.rank > 0 ? shape.dims[0].size : 1;
  shape.dims[shape.rank++] = k;
  shape.dims[shape.rank++] = axis_within(g, math_count(a) * more);
  if (!product_shape(a, &shape, &product)) shape = (AxisList){2, {k, math_number(1)}};
  return shape;
}

static void matmul(MathGen *g) {
  Term a = operand_of_rank(g, TYPES_NUMBER, 1, 4), b;
  if (math_chance(g, 2) || !math_take(g, factor_types(a.type), multiplies, &a.shape, &b)) {
    AxisList shape = right_shape(g, &a.shape);
    bool is_turned = shape.rank >= 2 && math_chance(g, 3);
    AxisList declared = is_turned ? turned(shape) : shape;
    b = math_input(g, math_type(g, factor_types(a.type)), &declared);
    b.shape = shape;
    if (is_turned) b.text = math_format(g, "%s.T", b.text);
  }
  AxisList shape;
  bool multiply = product_shape(&a.shape, &b.shape, &shape);
  KILN_ASSERT(multiply);
  math_give(g, math_joined_type((Term[]){a, b}, 2), &shape, math_format(g, "%s @ %s", a.text, b.text));
}

static void grouped(MathGen *g) {
  Term x = operand_of_rank(g, TYPES_NUMBER, 2, 2);
  AxisList shape = {3, {math_axis(g), x.shape.dims[1], axis_within(g, math_count(&x.shape))}};
  Term w = math_input(g, math_type(g, factor_types(x.type)), &shape);
  Term offsets = index_input(g, shape.dims[0]);
  AxisList product = {2, {x.shape.dims[0], shape.dims[2]}};
  math_give(g, math_joined_type((Term[]){x, w}, 2), &product,
            math_format(g, "grouped_matmul(%s, %s, %s)", x.text, w.text, offsets.text));
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

void math_elementwise_step(MathGen *g) {
  static void (*const forms[])(MathGen *) = {arithmetic, arithmetic, arithmetic, clamp,   compare, select,
                                             unary,      function,   function,   dequant, quant};
  forms[math_below(g, ARRAY_LENGTH(forms))](g);
}

void math_step(MathGen *g) {
  static void (*const forms[])(MathGen *) = {reduce, rowwise, causal, transpose, gather, matmul, matmul, grouped};
  if (math_chance(g, 2)) math_elementwise_step(g);
  else forms[math_below(g, ARRAY_LENGTH(forms))](g);
}
