/* test_graph_build.c: graphs built by calls: every operator, naming, faults without positions, what a graph tells of
 * itself, and allocators that fail at any point. */
#include "tests/unit/graph_fixture.h"

static kiln_dim number(int64_t size) { return (kiln_dim){size, NULL}; }
static kiln_dim symbol(const char *name) { return (kiln_dim){0, name}; }

static kiln_graph *create(void) {
  kiln_graph *graph;
  cr_assert_eq(kiln_graph_create(NULL, &graph), KILN_OK);
  return graph;
}

static kiln_value input(kiln_graph *graph, const char *name, kiln_type type, int rank, kiln_dim a, kiln_dim b) {
  return kiln_graph_input(graph, name, &(kiln_tensor){.type = type, .rank = rank, .dims = {a, b}}, false);
}

static kiln_value apply(kiln_graph *graph, kiln_op op, kiln_value a, kiln_value b, kiln_value c, size_t count) {
  return kiln_graph_apply(graph, op, (kiln_value[]){a, b, c}, count);
}

static const char *printed(kiln_graph *graph) {
  static char text[4096];
  cr_assert_eq(kiln_graph_check(graph), KILN_OK, "%s", faults_of_graph(graph));
  size_t length = kiln_graph_print(graph, text, sizeof text);
  cr_assert_lt(length, sizeof text);
  return text;
}

/* x @ w + b through gelu, as in the header's example. */
static kiln_graph *build_layer(const kiln_allocator *allocator) {
  kiln_graph *graph;
  if (kiln_graph_create(allocator, &graph) != KILN_OK) return NULL;
  kiln_value x = input(graph, "x", KILN_F32, 2, symbol("m"), number(768));
  kiln_value w = kiln_graph_input(
      graph, "w", &(kiln_tensor){.type = KILN_F32, .rank = 2, .dims = {number(768), symbol("n")}}, true);
  kiln_value b = input(graph, "b", KILN_F32, 1, symbol("n"), number(0));
  kiln_value sum = apply(graph, KILN_OP_ADD, apply(graph, KILN_OP_MATMUL, x, w, 0, 2), b, 0, 2);
  kiln_value y = apply(graph, KILN_OP_GELU, sum, 0, 0, 1);
  kiln_graph_name(
      graph, y, "y",
      &(kiln_tensor){.type = KILN_BF16, .rank = -1, .has_strides = true, .strides = {symbol("ldy"), number(1)}});
  kiln_graph_return(graph, &y, 1);
  return graph;
}

Test(graph_build, builds_a_layer) {
  kiln_graph *graph = build_layer(NULL);
  cr_expect_str_eq(printed(graph), "x: f32[m, 768]\nw: const f32[768, n]\nb: f32[n]\n"
                                   "y: bf16 strides [ldy, 1] = gelu(x @ w + b)\nreturn y\n");
  kiln_graph_destroy(graph);
}

Test(graph_build, tells_what_it_takes_and_gives) {
  kiln_graph *graph = build_layer(NULL);
  cr_assert_eq(kiln_graph_check(graph), KILN_OK);
  cr_expect_eq(kiln_graph_input_count(graph), 3);
  cr_expect_eq(kiln_graph_output_count(graph), 1);
  cr_expect_eq(kiln_graph_symbol_count(graph), 3);
  cr_expect_str_eq(kiln_graph_symbol_name(graph, 0), "m");
  cr_expect_str_eq(kiln_graph_symbol_name(graph, 2), "ldy");
  cr_expect_str_eq(kiln_graph_symbol_name(graph, 3), "");
  kiln_tensor_info info;
  cr_assert_eq(kiln_graph_input_info(graph, 1, &info), KILN_OK);
  cr_expect(strcmp(info.name, "w") == 0 && info.is_const && info.tensor.rank == 2 && info.tensor.type == KILN_F32);
  cr_expect(info.tensor.dims[0].size == 768 && !info.tensor.dims[0].symbol && !info.tensor.has_strides);
  cr_expect_str_eq(info.tensor.dims[1].symbol, "n");
  cr_assert_eq(kiln_graph_output_info(graph, 0, &info), KILN_OK);
  cr_expect(strcmp(info.name, "y") == 0 && !info.is_const && info.tensor.type == KILN_BF16 && info.tensor.has_strides);
  cr_expect_str_eq(info.tensor.strides[0].symbol, "ldy");
  cr_expect_eq(info.tensor.strides[1].size, 1);
  cr_expect_eq(kiln_graph_input_info(graph, 3, &info), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_graph_output_info(graph, 1, &info), KILN_INVALID_ARGUMENT);
  kiln_graph_destroy(graph);
}

Test(graph_build, prints_into_what_there_is) {
  kiln_graph *graph = build_layer(NULL);
  char text[8] = "unset";
  cr_expect_eq(kiln_graph_print(graph, text, sizeof text), 0);
  cr_expect_str_eq(text, "");
  size_t length = strlen(printed(graph));
  cr_expect_eq(kiln_graph_print(graph, NULL, 0), length);
  cr_expect_eq(kiln_graph_print(graph, text, sizeof text), length);
  cr_expect_str_eq(text, "x: f32[");
  kiln_graph_destroy(graph);
}

Test(graph_build, names_shared_and_typed_values) {
  kiln_graph *graph = create();
  kiln_value x = input(graph, "x", KILN_F32, 2, symbol("m"), number(4));
  kiln_value t1 = kiln_graph_name(graph, apply(graph, KILN_OP_EXP, x, 0, 0, 1), "t1", NULL);
  kiln_value shared = apply(graph, KILN_OP_ADD, x, t1, 0, 2), two = kiln_graph_number(graph, 2);
  kiln_value typed = kiln_graph_name(graph, apply(graph, KILN_OP_MUL, shared, two, 0, 2), NULL,
                                     &(kiln_tensor){.type = KILN_F16, .rank = -1});
  kiln_value results[] = {apply(graph, KILN_OP_SUB, shared, typed, 0, 2), apply(graph, KILN_OP_MUL, two, two, 0, 2),
                          shared};
  kiln_graph_return(graph, results, 3);
  const char *text = "x: f32[m, 4]\nt1 = exp(x)\nt2 = x + t1\nt3: f16 = t2 * 2\nreturn t2 - t3, 2 * 2, t2\n";
  cr_expect_str_eq(printed(graph), text);
  cr_expect_str_eq(canonical(text), text);
  kiln_tensor_info info;
  cr_assert_eq(kiln_graph_output_info(graph, 0, &info), KILN_OK);
  cr_expect_str_eq(info.name, "");
  kiln_graph_destroy(graph);
}

/* Operands of the kinds the form asks for. */
static void make_operands(kiln_graph *graph, GraphForm form, int count, kiln_value operands[3]) {
  for (int i = 0; i < count; i++)
    operands[i] = input(graph, (const char *[]){"a", "b", "c"}[i], KILN_F32, 2, number(4), number(4));
  if (form == FORM_SELECT) operands[0] = apply(graph, KILN_OP_LT, operands[0], operands[1], 0, 2);
  if (form == FORM_DEQUANT)
    operands[0] = kiln_graph_name(graph, apply(graph, KILN_OP_QUANT, operands[0], operands[1], 0, 2), "q",
                                  &(kiln_tensor){.type = KILN_I8, .rank = -1});
  if (form == FORM_ROWWISE && count == 2) operands[1] = kiln_graph_number(graph, 1);
  if (form == FORM_GATHER) operands[1] = input(graph, "i", KILN_I32, 1, symbol("n"), number(0));
  if (form != FORM_GROUPED) return;
  const kiln_tensor weights = {.type = KILN_F32, .rank = 3, .dims = {number(2), number(4), number(3)}};
  operands[1] = kiln_graph_input(graph, "w", &weights, false);
  operands[2] = input(graph, "o", KILN_I32, 1, number(2), number(0));
}

static void expect_same_operator(kiln_op op, int count) {
  const GraphOpInfo *info = graph_op_info(op);
  kiln_graph *graph = create();
  kiln_value operands[3];
  make_operands(graph, info->form, count, operands);
  kiln_value y = kiln_graph_apply(graph, op, operands, (size_t)count);
  kiln_graph_name(graph, y, "y", info->form == FORM_QUANT ? &(kiln_tensor){.type = KILN_U8, .rank = -1} : NULL);
  kiln_graph_return(graph, &y, 1);
  Text text;
  text_init(&text, NULL);
  graph_print(graph, false, &text);
  cr_expect_not_null(strstr(text_get(&text), info->spelling), "%s", text_get(&text));
  kiln_graph *again = graph_parse(text_get(&text), text.length, NULL);
  kiln_value found = again->outputs.count ? again->outputs.items[0] : 0;
  cr_expect_eq(graph_node(again, found)->op, op, "%s", text_get(&text));
  cr_expect_eq(graph_node(again, found)->operand_count, count);
  kiln_graph_destroy(again);
  text_release(&text);
  kiln_graph_destroy(graph);
}

/* Each row of ops.def: built by calls, printed, and parsed again. */
Test(graph_build, builds_and_prints_every_operator) {
  for (int op = 0; op < KILN_OP_COUNT; op++)
    for (int count = graph_op_info((kiln_op)op)->min_operands; count <= graph_op_info((kiln_op)op)->max_operands;
         count++)
      if (count > 0) expect_same_operator((kiln_op)op, count);
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

#define EXPECT_FAULTS(faults, ...)                                                                                     \
  do {                                                                                                                 \
    kiln_graph *graph = create();                                                                                      \
    kiln_value x = input(graph, "x", KILN_F32, 2, symbol("m"), number(4)), y = apply(graph, KILN_OP_ABS, x, 0, 0, 1);  \
    (void)y;                                                                                                           \
    __VA_ARGS__;                                                                                                       \
    cr_expect_str_eq(faults_of_graph(graph), faults, "%s", faults_of_graph(graph));                                    \
    kiln_graph_destroy(graph);                                                                                         \
  } while (0)

Test(graph_build, explains_wrong_tensors) {
  EXPECT_FAULTS("'z' has the type 99, which does not exist\n",
                kiln_graph_input(graph, "z", &(kiln_tensor){.type = (kiln_type)99}, false),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'z' has 5 axes: 4 are the most\n", input(graph, "z", KILN_F32, 5, number(1), number(1)),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'z' has a size or stride of -3: 0 to 1099511627776 are allowed\n",
                input(graph, "z", KILN_F32, 1, number(-3), number(1)), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'1m' cannot name a size: names are letters, digits and _, and begin with no digit\n",
                input(graph, "z", KILN_F32, 1, symbol("1m"), number(1)), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'' cannot name a size: names are letters, digits and _, and begin with no digit\n",
                input(graph, "z", KILN_F32, 1, symbol(""), number(1)), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("input 'z' has no tensor\n", kiln_graph_input(graph, "z", NULL, false),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'' cannot name a value: names are letters, digits and _, and begin with no digit\n",
                input(graph, NULL, KILN_F32, 0, number(0), number(0)), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'a b?' cannot name a value: names are letters, digits and _, and begin with no digit\n",
                input(graph, "a b\n", KILN_F32, 0, number(0), number(0)), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("input 'z' needs its dimensions, as in z: f32[m, 768], or f32[] for a scalar\n",
                input(graph, "z", KILN_F32, -1, number(0), number(0)), kiln_graph_return(graph, &y, 1));
}

Test(graph_build, explains_wrong_calls) {
  EXPECT_FAULTS("'abs' takes 1 operand, found 2\n", y = apply(graph, KILN_OP_ABS, y, x, 0, 2),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'quant' takes 2 or 3 operands, found 1\n", y = apply(graph, KILN_OP_QUANT, y, x, 0, 1),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("99 is no operator that can be applied\n", y = apply(graph, (kiln_op)99, y, 0, 0, 1),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("0 is no operator that can be applied\n", y = apply(graph, KILN_OP_INPUT, y, 0, 0, 0),
                kiln_graph_return(graph, (kiln_value[]){y, 1}, 2));
  EXPECT_FAULTS("the operands are NULL\n", x = kiln_graph_apply(graph, KILN_OP_ABS, NULL, 1),
                kiln_graph_return(graph, (kiln_value[]){x, y}, 2));
  EXPECT_FAULTS("7 is not a value of this graph\n", x = apply(graph, KILN_OP_ADD, y, 7, 0, 2),
                kiln_graph_return(graph, &x, 1));
  EXPECT_FAULTS("-1 is not a value of this graph\n", x = apply(graph, KILN_OP_ADD, y, KILN_NO_VALUE, 0, 2),
                kiln_graph_return(graph, &x, 1));
  EXPECT_FAULTS("'x @ abs(x)' multiplies f32[m, 4] by f32[m, 4]: 4 and m must be equal\n",
                y = apply(graph, KILN_OP_MATMUL, x, y, 0, 2), y = apply(graph, KILN_OP_ABS, y, 0, 0, 1),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'abs(x)' is never used\n", y = apply(graph, KILN_OP_NEG, x, 0, 0, 1), kiln_graph_return(graph, &y, 1));
}

Test(graph_build, explains_wrong_names_and_results) {
  const kiln_tensor half = {.type = KILN_F16, .rank = -1};
  EXPECT_FAULTS("'x' is already defined\n", kiln_graph_name(graph, y, "x", NULL), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'z' is only another name of 'x': write x * 1 for a rounded copy\n",
                kiln_graph_name(graph, x, "z", NULL), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'x' must get its type with its name\n", kiln_graph_name(graph, x, NULL, &half),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'abs(x)' must get its type once and before it is used\n", x = apply(graph, KILN_OP_NEG, y, 0, 0, 1),
                kiln_graph_name(graph, y, "y", &half), kiln_graph_return(graph, &x, 1));
  EXPECT_FAULTS("'abs(x)' must get its type once and before it is used\n", kiln_graph_name(graph, y, NULL, &half),
                kiln_graph_name(graph, y, NULL, &half), kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("the results are declared a second time\n", kiln_graph_return(graph, &y, 1),
                kiln_graph_return(graph, &y, 1));
  EXPECT_FAULTS("'return' needs a value\n'abs(x)' is never used\n", kiln_graph_return(graph, NULL, 1));
  EXPECT_FAULTS("nothing is returned: the last statement must be 'return' and a value\n", (void)0);
}

Test(graph_build, changes_nothing_after_the_check) {
  kiln_graph *graph = build_layer(NULL);
  const char *text = printed(graph);
  kiln_value number_value = kiln_graph_number(graph, 3);
  cr_expect_eq(number_value, KILN_NO_VALUE);
  cr_expect_eq(apply(graph, KILN_OP_ABS, 0, 0, 0, 1), KILN_NO_VALUE);
  cr_expect_eq(input(graph, "late", KILN_F32, 0, number(0), number(0)), KILN_NO_VALUE);
  kiln_graph_name(graph, 3, "late", NULL);
  kiln_graph_return(graph, &number_value, 1);
  cr_expect_eq(kiln_graph_fault_count(graph), 0);
  cr_expect_str_eq(printed(graph), text);
  kiln_graph_destroy(graph);
}

Test(graph_build, takes_null) {
  kiln_graph *graph = NULL;
  kiln_graph_destroy(NULL);
  cr_expect_eq(kiln_graph_create(NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_graph_parse(NULL, 3, NULL, &graph), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_graph_parse("", 0, NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_graph_check(NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_graph_number(NULL, 1), KILN_NO_VALUE);
  cr_expect_eq(kiln_graph_apply(NULL, KILN_OP_ABS, NULL, 0), KILN_NO_VALUE);
  cr_assert_eq(kiln_graph_parse(NULL, 0, NULL, &graph), KILN_OK);
  cr_expect_eq(kiln_graph_check(graph), KILN_INVALID_GRAPH);
  cr_expect_str_eq(kiln_graph_fault(graph, 5).message, "");
  kiln_graph_destroy(graph);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

typedef struct Budget {
  int left, living;
} Budget;

static void *budget_alloc(void *ctx, size_t bytes, size_t align) {
  Budget *budget = ctx;
  if (budget->left == 0) return NULL;
  budget->left--;
  budget->living++;
  return allocator_default.alloc(NULL, bytes, align);
}

static void budget_release(void *ctx, void *memory) {
  Budget *budget = ctx;
  if (memory) budget->living--;
  free(memory);
}

Test(graph_build, survives_a_failing_allocator) {
  bool done = false;
  for (int allowed = 0; !done; allowed++) {
    Budget budget = {allowed, 0};
    kiln_allocator allocator = {&budget, budget_alloc, budget_release};
    kiln_graph *graph = build_layer(&allocator);
    kiln_status status = graph ? kiln_graph_check(graph) : KILN_OUT_OF_MEMORY;
    cr_expect(status == KILN_OK || status == KILN_OUT_OF_MEMORY);
    if (status == KILN_OK) {
      float x[2 * 768] = {1}, w[768 * 3] = {2}, b[3] = {0};
      double y[6];
      status = kiln_graph_interpret(graph, (int64_t[]){2, 3, 3}, (const void *[]){x, w, b}, (double *[]){y}, NULL);
      cr_expect(status == KILN_OUT_OF_MEMORY || (status == KILN_OK && y[0] == 1.953125));
      done = status == KILN_OK;
    }
    kiln_graph_destroy(graph);
    cr_expect_eq(budget.living, 0);
    cr_assert_lt(allowed, 200);
  }
}

Test(graph_build, parses_with_a_failing_allocator) {
  static const char text[] = "x: f32[m, 4]\nw: f32[4, n]\ny: f32 = gelu(x @ w + foo)\nreturn y, q";
  for (int allowed = 0; allowed < 12; allowed++) {
    Budget budget = {allowed, 0};
    kiln_graph *graph = NULL;
    kiln_status status =
        kiln_graph_parse(text, strlen(text), &(kiln_allocator){&budget, budget_alloc, budget_release}, &graph);
    cr_expect(status == KILN_OK || status == KILN_OUT_OF_MEMORY);
    if (status == KILN_OK) {
      cr_expect_eq(kiln_graph_check(graph), KILN_INVALID_GRAPH);
      kiln_graph_destroy(graph);
    }
    cr_expect_eq(budget.living, 0);
  }
}
