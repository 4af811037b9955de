/* random_graph.c: a random graph: its axes and symbols, inputs with strides, names and annotations, results. */
#include "tests/fuzz/random_math.h"

#include <stdio.h>
#include <string.h>

/* ---- chance ------------------------------------------------------------------------------------------------------ */

int math_below(MathGen *g, int count) {
  if (g->size > 0) {
    g->size--;
    return *g->bytes++ % count;
  }
  uint64_t z = g->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (int)((z ^ z >> 31) % (uint64_t)count);
}

const char *math_format(MathGen *g, const char *format, ...) {
  Text text;
  text_init(&text, NULL);
  va_list args;
  va_start(args, format);
  text_vprintf(&text, format, args);
  va_end(args);
  const char *copy = arena_copy(&g->arena, text_get(&text), text.length);
  text_release(&text);
  return copy;
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

Axis math_axis(MathGen *g) { return g->axes[math_below(g, MATH_AXES)]; }

Axis math_axis_of(MathGen *g, int64_t size) {
  if (g->symbol_count == RANDOM_GRAPH_SYMBOLS || math_chance(g, 2)) return math_number(size);
  int number = g->symbol_count++;
  MathSymbol *symbol = &g->symbols[number];
  *symbol = (MathSymbol){.value = size};
  snprintf(symbol->name, sizeof symbol->name, math_chance(g, 4) ? "v%d" : "n%d", number); /* v0 may be a value too */
  return (Axis){size, number};
}

int64_t math_count(const AxisList *shape) {
  int64_t count = 1;
  for (int i = 0; i < shape->rank; i++) count *= shape->dims[i].size;
  return count;
}

bool math_join(const AxisList *a, const AxisList *b, AxisList *joined) {
  const AxisList *more = a->rank >= b->rank ? a : b, *less = more == a ? b : a;
  AxisList shape = *more;
  for (int back = 1; back <= less->rank; back++) {
    Axis x = less->dims[less->rank - back], *y = &shape.dims[shape.rank - back];
    if (!axis_equal(x, *y) && !axis_is_one(x) && !axis_is_one(*y)) return false;
    if (axis_is_one(*y)) *y = x;
  }
  *joined = shape;
  return true;
}

AxisList math_reduced(MathGen *g, const AxisList *whole) {
  AxisList shape = *whole;
  if (math_chance(g, 3)) {
    shape.rank = math_below(g, whole->rank + 1);
    memmove(shape.dims, whole->dims + whole->rank - shape.rank, (size_t)shape.rank * sizeof *shape.dims);
  }
  for (int i = 0; i < shape.rank; i++)
    if (math_chance(g, 4)) shape.dims[i] = math_number(1);
  return shape;
}

static void choose_axes(MathGen *g) {
  static const int64_t any[] = {1, 1, 2, 2, 3, 4, 4, 5, 6, 8, 9, 13, 17};
  static const int64_t gemm[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 65, 97};
  bool is_gemm = g->flavour == RANDOM_GEMM;
  for (int i = 0; i < MATH_AXES; i++) {
    int64_t size = is_gemm ? gemm[math_below(g, ARRAY_LENGTH(gemm))] : any[math_below(g, ARRAY_LENGTH(any))];
    if (i > 0 && math_chance(g, 8)) g->axes[i] = g->axes[i - 1];
    else g->axes[i] = math_axis_of(g, math_chance(g, 40) ? 0 : size);
  }
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Symbols are numbered as they appear in the text. */
static void write_axes(MathGen *g, int rank, const Axis *axes) {
  Text *text = &g->random->text;
  text_add(text, "[");
  for (int i = 0; i < rank; i++) {
    text_add(text, i > 0 ? ", " : "");
    if (axes[i].symbol < 0) {
      text_printf(text, "%lld", (long long)axes[i].size);
      continue;
    }
    MathSymbol *symbol = &g->symbols[axes[i].symbol];
    text_add(text, symbol->name);
    if (!symbol->is_written) g->random->symbols[g->written_count++] = symbol->value;
    symbol->is_written = true;
  }
  text_add(text, "]");
}

static void end_statement(MathGen *g) {
  static const char *const ends[] = {"\n", "\n", "; ", ";", "\n\n", " # then\n"};
  text_add(&g->random->text, ends[math_below(g, ARRAY_LENGTH(ends))]);
}

/* `t1` is what the printer calls values without a name. */
static const char *new_name(MathGen *g) {
  static const char *const prefixes[] = {"v", "t", "_", "x_", "F"};
  return math_format(g, "%s%d", prefixes[math_below(g, ARRAY_LENGTH(prefixes))], g->name_count++);
}

static bool is_nibble(kiln_type type) { return type_bits(type) < 8; }

static bool holds_nibbles(const AxisList *shape) {
  return shape->rank > 0 && shape->dims[shape->rank - 1].size % 2 == 0;
}

/* Strides of axes in any order with gaps between; no element is addressed twice. */
static void write_strides(MathGen *g, kiln_type type, const AxisList *shape, bool may_repeat) {
  Axis strides[GRAPH_MAX_RANK];
  bool is_done[GRAPH_MAX_RANK] = {false};
  int64_t span = 1;
  for (int i = 0; i < shape->rank; i++) {
    int axis = shape->rank - 1;
    if (!is_nibble(type) && math_chance(g, 3)) axis = math_below(g, shape->rank);
    while (is_done[axis]) axis = (axis + shape->rank - 1) % shape->rank;
    is_done[axis] = true;
    int64_t stride = span + (math_chance(g, 2) ? math_below(g, 4) : 0);
    if (is_nibble(type)) stride = i == 0 ? 1 : stride + stride % 2;
    strides[axis] = math_axis_of(g, stride);
    if (shape->dims[axis].size > 0) span += (shape->dims[axis].size - 1) * stride;
    if (may_repeat && math_chance(g, 8) && !(is_nibble(type) && i == 0)) strides[axis] = math_number(0);
  }
  text_add(&g->random->text, " strides ");
  write_axes(g, shape->rank, strides);
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

kiln_type math_type(MathGen *g, unsigned types) {
  static const kiln_type often[] = {KILN_F32, KILN_F32, KILN_F32, KILN_BF16, KILN_F64, KILN_I32, KILN_I8};
  if (g->flavour == RANDOM_GEMM && types != TYPES_NIBBLE) types &= ~TYPES_NIBBLE;
  kiln_type type = often[math_below(g, ARRAY_LENGTH(often))];
  if (math_chance(g, 2)) type = (kiln_type)math_below(g, KILN_TYPE_COUNT);
  while (!(types & TYPE_BIT(type))) type = (type + 1) % KILN_TYPE_COUNT;
  return type;
}

Term math_input(MathGen *g, kiln_type type, const AxisList *shape) {
  if (is_nibble(type) && !holds_nibbles(shape)) type = KILN_I8;
  Term term = {.text = new_name(g), .is_named = true, .is_input = true, .uses = 1, .type = type, .shape = *shape};
  text_printf(&g->random->text, "%s: %s%s", term.text, math_chance(g, 4) ? "const " : "", kiln_type_name(type));
  write_axes(g, shape->rank, shape->dims);
  if (math_chance(g, 4)) write_strides(g, type, shape, true);
  end_statement(g);
  g->input_count++;
  VECTOR_PUSH(&g->arena, g->terms, term);
  return term;
}

Term math_literal(MathGen *g, bool is_whole) {
  static const char *const whole[] = {"0", "1", "2", "3", "-1", "-2", "7", "100", "-0"};
  static const char *const real[] = {"0.5", "-0.25", "0.1", "1e-3", "3.75", "-1.5", "1e+06", "0.0625", "inf", "nan"};
  Term term = {.type = KILN_F32, .is_named = true, .is_literal = true};
  term.text = whole[math_below(g, ARRAY_LENGTH(whole))];
  if (!is_whole && math_chance(g, 2)) term.text = real[math_below(g, math_chance(g, 8) ? ARRAY_LENGTH(real) : 8)];
  if (!math_chance(g, 10)) return term;
  const char *name = new_name(g);
  text_printf(&g->random->text, "%s", name);
  if (math_chance(g, 2)) { /* then it is a literal no more: its type counts */
    term.type = math_type(g, is_whole ? TYPES_WHOLE & ~TYPES_NIBBLE : TYPES_FLOATING);
    term.is_literal = false;
    text_printf(&g->random->text, ": %s", kiln_type_name(term.type));
  }
  text_printf(&g->random->text, " = %s", term.text);
  end_statement(g);
  term.text = name;
  return term;
}

bool math_take(MathGen *g, unsigned types, MathFits *fits, const void *context, Term *taken) {
  size_t count = g->terms.count, start = count > 0 ? (size_t)math_below(g, (int)count) : 0;
  for (size_t i = 0; i < count; i++) {
    Term *term = &g->terms.items[(start + i) % count];
    if (term->is_hidden || (!term->is_named && term->uses > 0) || !(types & TYPE_BIT(term->type))) continue;
    if (!fits(term, context)) continue;
    term->uses++;
    *taken = *term;
    if (!term->is_named) taken->text = math_format(g, "(%s)", term->text);
    return true;
  }
  return false;
}

static void add_statement(MathGen *g, kiln_type type, bool is_typed, const AxisList *shape, const char *expression) {
  Text *text = &g->random->text;
  Term term = {.text = new_name(g), .is_named = true, .type = type, .shape = *shape};
  text_add(text, term.text);
  if (is_typed) {
    text_printf(text, ": %s", kiln_type_name(type));
    if (math_chance(g, 3)) write_axes(g, shape->rank, shape->dims);
    bool is_full = g->flavour == RANDOM_ANY || (shape->rank == 2 && axis_equal(shape->dims[0], g->axes[0]) &&
                                                axis_equal(shape->dims[1], g->axes[1]));
    term.is_returned = is_full && math_chance(g, 4) && (!is_nibble(type) || holds_nibbles(shape));
    if (term.is_returned && math_chance(g, 2)) write_strides(g, type, shape, false);
  }
  text_printf(text, " = %s", expression);
  end_statement(g);
  VECTOR_PUSH(&g->arena, g->terms, term);
}

void math_give_typed(MathGen *g, kiln_type type, const AxisList *shape, const char *expression) {
  add_statement(g, type, true, shape, expression);
}

void math_give(MathGen *g, kiln_type type, const AxisList *shape, const char *expression) {
  int choice = math_below(g, 4);
  if (choice == 0) {
    Term term = {.text = expression, .type = type, .shape = *shape};
    VECTOR_PUSH(&g->arena, g->terms, term);
  } else if (choice == 1) {
    add_statement(g, type, false, shape, expression);
  } else {
    unsigned types = type == KILN_BOOL ? TYPE_BIT(KILN_BOOL) : TYPES_NUMBER;
    if (math_chance(g, 2)) types = TYPE_BIT(type);
    add_statement(g, math_type(g, types), true, shape, expression);
  }
}

kiln_type math_joined_type(const Term *terms, int count) {
  kiln_type joined = KILN_F32;
  bool any = false;
  for (int i = 0; i < count; i++) {
    if (terms[i].is_literal) continue;
    kiln_type type = type_compute(terms[i].type);
    if (!any || type == KILN_F64 || (type == KILN_F32 && joined == KILN_I32)) joined = type;
    any = true;
  }
  return joined;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static bool is_leftover(const Term *term) { return term->uses == 0; }

/* Nibbles cannot be returned by halves of bytes: something is computed of them. */
static void use_up_nibbles(MathGen *g) {
  for (size_t i = 0; i < g->terms.count; i++) {
    Term *term = &g->terms.items[i];
    if (!is_leftover(term) || !is_nibble(term->type) || holds_nibbles(&term->shape)) continue;
    term->uses++;
    add_statement(g, KILN_I32, false, &term->shape, math_format(g, "neg(%s)", term->text));
  }
}

static bool is_full(const MathGen *g, const Term *term) {
  return term->shape.rank == 2 && axis_equal(term->shape.dims[0], g->axes[0]) &&
         axis_equal(term->shape.dims[1], g->axes[1]);
}

/* All results of RANDOM_GEMM have the product's shape: what has not is added to the product. */
static void widen_leftovers(MathGen *g, size_t product) {
  AxisList shape = {2, {g->axes[0], g->axes[1]}};
  for (size_t i = 0; i < g->terms.count; i++) {
    Term terms[2] = {g->terms.items[product], g->terms.items[i]};
    if (!is_leftover(&terms[1]) || is_full(g, &terms[1])) continue;
    g->terms.items[i].uses++;
    g->terms.items[product].uses++;
    bool is_bool = terms[1].type == KILN_BOOL;
    const char *text = math_format(g, is_bool ? "where(%s, %s, 0)" : "(%s) + %s", terms[1].text, terms[0].text);
    add_statement(g, math_joined_type(terms, is_bool ? 1 : 2), false, &shape, text);
  }
}

static void write_results(MathGen *g) {
  Text *text = &g->random->text;
  text_add(text, "return ");
  bool is_first = true;
  for (size_t i = 0; i < g->terms.count; i++) {
    Term *term = &g->terms.items[i];
    if (term->is_input || (!is_leftover(term) && !term->is_returned)) continue;
    text_add(text, is_first ? "" : ", ");
    is_first = false;
    bool may_turn = g->flavour == RANDOM_GEMM && !term->is_returned && is_leftover(term);
    text_printf(text, may_turn && math_chance(g, 4) ? "(%s).T" : "%s", term->text);
  }
  text_add(text, math_chance(g, 2) ? "\n" : "");
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

/* An f32 matrix as declared or turned. */
static const char *factor(MathGen *g, Axis rows, Axis cols) {
  bool is_turned = math_chance(g, 3);
  AxisList shape = {2, {is_turned ? cols : rows, is_turned ? rows : cols}};
  Term term = math_input(g, KILN_F32, &shape);
  g->terms.items[g->terms.count - 1].is_hidden = !is_full(g, &term);
  return math_format(g, "%s%s", term.text, is_turned ? ".T" : "");
}

static void make_gemm(MathGen *g) {
  Axis m = g->axes[0], n = g->axes[1], k = g->axes[2];
  const char *a = factor(g, m, k);
  bool is_square = math_chance(g, 20) && axis_equal(m, n);
  const char *b = is_square && strstr(a, ".T") == NULL ? math_format(g, "%s.T", a) : factor(g, k, n);
  AxisList shape = {2, {m, n}};
  kiln_type type = math_chance(g, 4) ? math_type(g, TYPES_NUMBER) : KILN_F32;
  add_statement(g, type, type != KILN_F32 || math_chance(g, 4), &shape, math_format(g, "%s @ %s", a, b));
  size_t product = g->terms.count - 1;
  for (int steps = math_below(g, 10); steps > 0 && g->input_count <= 12; steps--) math_elementwise_step(g);
  widen_leftovers(g, product);
}

static void make_any(MathGen *g) {
  int steps = 1 + math_below(g, 12);
  for (int i = 0; i < steps && g->input_count <= 12; i++) math_step(g);
  use_up_nibbles(g);
}

static RandomGraph make(MathGen *g) {
  RandomGraph random = {0};
  g->random = &random;
  text_init(&random.text, NULL);
  arena_init(&g->arena, NULL);
  choose_axes(g);
  if (g->flavour == RANDOM_GEMM) make_gemm(g);
  else make_any(g);
  write_results(g);
  KILN_ASSERT(!arena_has_failed(&g->arena));
  arena_release(&g->arena);
  return random;
}

RandomGraph random_graph_make(uint64_t seed, RandomFlavour flavour) {
  MathGen g = {.state = seed, .flavour = flavour};
  return make(&g);
}

RandomGraph random_graph_of_bytes(const uint8_t *bytes, size_t size, RandomFlavour flavour) {
  MathGen g = {.bytes = bytes, .size = size, .flavour = flavour};
  return make(&g);
}

void random_graph_release(RandomGraph *random) { text_release(&random->text); }
