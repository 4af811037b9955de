/* test_graph_parse.c: graph text: what is accepted and how it is printed again, and every fault of the parser. */
#include "tests/unit/graph_fixture.h"

/* ---- canonical text ---------------------------------------------------------------------------------------------- */

/* Each is printed as it is. */
static const char *const canonical_texts[] = {
    "x: f32[m, 768]\nw: const f32[768, 3072]\nb: const f32[3072]\ny: f32 = gelu(x @ w + b)\nreturn y\n",
    ("x: bf16[m, 4096]\nwg: const bf16[4096, 11008]\nwu: const bf16[4096, 11008]\n"
     "y: bf16 = silu(x @ wg) * (x @ wu)\nreturn y\n"),
    "a: f32[2, k]\ns: f32[]\nreturn a * s, a + (s + 1), a - (a - s), a / (s * 2), a * (a / s)\n",
    "a: f32[k]\nreturn (a + 1) * 2, a - 1 - 2, a < 1, where(a < 1, a, 1) == 2, a + 1 < 2 * a\n",
    "x: f32[m, k] strides [1, ldx]\ny: f32[k, m] strides [ldy, 1] = x.T\nreturn y\n",
    "x: f32[m, k]\ny: f32 strides [1, ldy] = x * -3\nreturn y\n",
    "x: f32[4, 4]\nreturn (x + x).T, x.T.T, gelu(x).T @ x, (x @ x).T\n",
    "x: f32[4]\nreturn where(x >= -0.5, x, -inf), max(x, 1e-05), max(x), x * nan, x - -1\n",
    "x: f32[4]\nc = 2.5\ne: f64 = 1e-12\nt1 = x + c\nreturn t1 * t1, x - e\n",
    "q: i8[m, k]\ns: f32[m, 1]\nz: i32[]\nr: u8 = quant(dequant(q, s, z), s, 3)\nreturn r\n",
};

/* Each and what it is printed as. */
static const char *const other_texts[][2] = {
    {"x:f32[m,768];return(x*((2)))+1", "x: f32[m, 768]\nreturn x * 2 + 1\n"},
    {"# a comment\n\n;; x : f32 [ ]  # another\r\n\treturn x\t+\t0.50 ; # end", "x: f32[]\nreturn x + 0.5\n"},
    {"x: f32[2]\nreturn max(\n  x, # lines go on in brackets\n  1\n)", "x: f32[2]\nreturn max(x, 1)\n"},
    {"x: f32[2]; return x * 1e3, x * 1E+3, x * 0.001e6, x * 00012.50",
     "x: f32[2]\nreturn x * 1000, x * 1000, x * 1000, x * 12.5\n"},
    {"x: f32[2]; return x * 1e999999999999, x * 1e-999999999999, x * -0, x * -nan",
     "x: f32[2]\nreturn x * inf, x * 0, x * -0, x * nan\n"},
    {"x: f32[2]; return x * "
     "179769313486231570814527423731704356798070567525844996598917476803157260780028538760589558632766878",
     "x: f32[2]\nreturn x * 1.7976931348623157e+98\n"},
};

Test(graph_parse, prints_canonical_text_as_it_is) {
  for (size_t i = 0; i < ARRAY_LENGTH(canonical_texts); i++)
    cr_expect_str_eq(canonical(canonical_texts[i]), canonical_texts[i]);
}

Test(graph_parse, prints_other_text_canonically) {
  for (size_t i = 0; i < ARRAY_LENGTH(other_texts); i++)
    cr_expect_str_eq(canonical(other_texts[i][0]), other_texts[i][1]);
}

Test(graph_parse, prints_one_line) {
  kiln_graph *graph = parse_valid("x: f32[m, 4]\ny: f32 = x + 1\nreturn y\n");
  Text text;
  text_init(&text, NULL);
  graph_print(graph, true, &text);
  cr_expect_str_eq(text_get(&text), "x: f32[m, 4]; y: f32 = x + 1; return y");
  text_release(&text);
  kiln_graph_destroy(graph);
}

Test(graph_parse, reads_back_every_number) {
  static const double numbers[] = {0,
                                   1,
                                   0.1,
                                   1.0 / 3,
                                   5e-324,
                                   2.2250738585072014e-308,
                                   1.7976931348623157e308,
                                   123456789012345680.0,
                                   9007199254740993.0,
                                   1e21,
                                   1e22,
                                   1e23,
                                   -4.35};
  for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
    char source[100];
    snprintf(source, sizeof source, "x: f64[]; c: f64 = %.17g; return x * c", numbers[i]);
    kiln_graph *graph = parse_valid(source);
    cr_expect(graph_node(graph, 1)->number == numbers[i], "%s", source);
    kiln_graph_destroy(graph);
  }
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

typedef struct Fault {
  const char *text, *faults;
} Fault;

#define X "x: f32[m, 4]\n"
static const Fault faults[] = {
    {"", "1:1: nothing is returned: the last statement must be 'return' and a value\n"},
    {X "y = x + 1", "2:10: nothing is returned: the last statement must be 'return' and a value\n"},
    {X "return x + $", "2:12: '$' is no sign of the language\n"},
    {X "return x + \xc3\xa4", "2:12: the byte 0xc3 is no sign of the language\n"},
    {X "return x !", "2:10: '!' is no sign of the language\n"},
    {X "return x . t", "2:10: '.' is no sign of the language\n"},
    {X "return x + 2x", "2:12: '2x' is no number\n"},
    {X "return x + 1e", "2:12: '1e' is no number\n"},
    {X "return x + 1.", "2:13: '.' is no sign of the language\n"},
    {X "return x +", "2:11: expected a value, found the end of the text\n"},
    {X "return x + ;", "2:12: expected a value, found ';'\n"},
    {X "y = x +\nreturn y", "2:8: expected a value, found the end of the line\n"},
    {X "return x + * 2", "2:12: expected a value, found '*'\n"},
    {X "return x + 1 2", "2:14: expected the end of the statement, found '2'\n"},
    {X "return (x + 1", "2:14: expected ')', found the end of the text\n"},
    {X "return x + 1)", "2:13: expected the end of the statement, found ')'\n"},
    {X "return gelu(x", "2:14: expected ',' or ')', found the end of the text\n"},
    {X "return max(x, )", "2:15: expected a value, found ')'\n"},
    {X "return max(x, 1, 2, 3, 4, 5, 6, 7, 8)", "2:36: more than 8 operands\n"},
    {X "return -x", "2:8: '-' needs a left operand: write neg(x)\n"},
    {X "return x * - 2", "2:12: '-' needs a left operand: write neg(x)\n"},
    {X "return x < 1 < 2", "2:14: comparisons do not chain: put one in parentheses\n"},
    {X "return x + 1\nreturn x", "3:1: nothing may follow the return\n"},
    {X "return", "2:7: expected a value, found the end of the text\n"},
    {X "return x + 1,", "2:14: expected a value, found the end of the text\n"},
    {X "return y", "2:8: 'y' is not defined\n1:1: 'x' is never used\n"},
    {X "return foo(x)", "2:8: 'foo' is no function\n"},
    {X "return gelu + x", "2:8: 'gelu' is a function: it needs operands in parentheses\n"},
    {X "return gelu(x, x)", "2:8: 'gelu' takes 1 operand, found 2\n"},
    {X "return gelu()", "2:8: 'gelu' takes 1 operand, found 0\n1:1: 'x' is never used\n"},
    {X "return max(x, x, x)", "2:8: 'max' takes 1 or 2 operands, found 3\n"},
    {X "return dequant(x)", "2:8: 'dequant' takes 2 or 3 operands, found 1\n"},
    {X "return where(x)", "2:8: 'where' takes 3 operands, found 1\n"},
    {X "y", "2:2: expected ':' or '=' after 'y', found the end of the text\n"
            "2:2: nothing is returned: the last statement must be 'return' and a value\n"},
    {X "3 = x\nreturn x + 1", "2:1: expected a name, found '3'\n"},
    {X "y: = x\nreturn y", "2:4: expected a type, found '='\n"},
    {X "y: f31 = x * 2\nreturn y", "2:4: 'f31' is no type\n"},
    {X "y: const f32 = x * 2\nreturn y", "2:1: 'y' is computed: only an input can be const\n"},
    {"y: f32[m\nreturn y * 2", "2:1: expected ',' or ']', found 'return'\n"},
    {"y: f32[m,]\nreturn y * 2", "1:10: expected a size, found ']'\n"},
    {"y: f32[-1]\nreturn y * 2", "1:8: expected a size, found '-'\n"},
    {"y: f32[2.5]\nreturn y * 2", "1:8: '2.5' is no size: sizes are whole numbers and symbols\n"},
    {"y: f32[inf]\nreturn y * 2", "1:8: 'inf' is no size: sizes are whole numbers and symbols\n"},
    {"y: f32[1099511627777]\nreturn y * 2", "1:8: '1099511627777' is too large: 1099511627776 is the most\n"},
    {"y: f32[a, b, c, d, e]\nreturn y * 2", "1:20: more than 4 axes\n"},
    {"y: f32[max]\nreturn y * 2", "1:8: 'max' cannot name a size: it is a word of the language\n"},
    {"y: f32\nreturn y * 2", "1:1: input 'y' needs its dimensions, as in y: f32[m, 768], or f32[] for a scalar\n"},
    {"y: f32 strides [1]\nreturn y * 2",
     "1:1: input 'y' needs its dimensions, as in y: f32[m, 768], or f32[] for a scalar\n"},
    {"y: f32[2] strides 1\nreturn y * 2", "1:19: expected '[', found '1'\n"},
    {"y: f32[2] strides [1, 2]\nreturn y * 2", "1:1: 'y' has 1 axis and 2 strides\n"},
    {"gelu: f32[2]\nreturn 1 + 2", "1:1: 'gelu' cannot name a value: it is a word of the language\n"},
    {"f32: f32[2]\nreturn 1 + 2", "1:1: 'f32' cannot name a value: it is a word of the language\n"},
    {X "x = 1 + x\nreturn x + 1", "2:1: 'x' is already defined at 1:1\n"},
    {X "y = x\nreturn y + 1", "2:1: 'y' is only another name of 'x': write x * 1 for a rounded copy\n"},
    {"x: f32[] = (\ny: f32[] = )\nz = w\nreturn z, y, x",
     "2:1: 'y' is not defined\n2:2: expected ')', found ':'\n3:5: 'w' is not defined\n4:11: 'y' is not defined\n"},
};

Test(graph_parse, locates_every_fault) {
  for (size_t i = 0; i < ARRAY_LENGTH(faults); i++)
    cr_expect_str_eq(faults_of(faults[i].text), faults[i].faults, "%s\n%s", faults[i].text, faults_of(faults[i].text));
}

Test(graph_parse, tells_syntax_from_rules) {
  static const struct {
    const char *text;
    kiln_status status;
  } rows[] = {{X "return x +", KILN_SYNTAX}, {X "return x + y", KILN_INVALID_GRAPH}, {X "return x + 1", KILN_OK}};
  for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
    kiln_graph *graph;
    cr_assert_eq(kiln_graph_parse(rows[i].text, strlen(rows[i].text), NULL, &graph), KILN_OK);
    cr_expect_eq(kiln_graph_check(graph), rows[i].status);
    cr_expect_eq(kiln_graph_check(graph), rows[i].status);
    kiln_graph_destroy(graph);
  }
}

/* A text of `head`, then `middle` many times, then `tail`. */
static char *repeat(const char *head, const char *middle, size_t times, const char *tail) {
  size_t length = strlen(head) + strlen(middle) * times + strlen(tail) + 1;
  char *text = malloc(length), *at = text + sprintf(text, "%s", head);
  for (size_t i = 0; i < times; i++) at += sprintf(at, "%s", middle);
  sprintf(at, "%s", tail);
  return text;
}

Test(graph_parse, bounds_nesting) {
  char *text = repeat("x: f32[2]; return ", "(", 1000000, "");
  cr_expect_str_eq(faults_of(text), "1:219: nested deeper than 200\n");
  free(text);
  text = repeat("x: f32[2]; return x", ".T", 300, "");
  cr_expect_str_eq(faults_of(text), "1:19: 'x.T' needs 2 axes in 'x', found f32[2]\n");
  free(text);
}

Test(graph_parse, bounds_values_and_symbols) {
  char *text = repeat("x: f32[2]\nreturn x", "+1", 5000, "");
  cr_expect_str_eq(faults_of(text), "2:8: the graph has more than 4096 values\n");
  free(text);
  Text many;
  text_init(&many, NULL);
  for (int i = 0; i < 65; i++) text_printf(&many, "x%d: f32[a%d, b%d, c%d, d%d]\n", i, i, i, i, i);
  text_add(&many, "return x0 + 1");
  cr_expect(strncmp(faults_of(text_get(&many)), "65:10: 'a64' is one symbol too many: 256 are the most\n", 54) == 0,
            "%s", faults_of(text_get(&many)));
  text_release(&many);
}

Test(graph_parse, keeps_a_limit_of_faults) {
  char *text = repeat("", "$\n", 1000, "");
  kiln_graph *graph = graph_parse(text, strlen(text), NULL);
  cr_expect_eq(graph_check(graph), KILN_SYNTAX);
  cr_expect_eq(kiln_graph_fault_count(graph), DIAGNOSTICS_LIMIT);
  cr_expect_eq(graph->faults.suppressed, 901);
  kiln_graph_destroy(graph);
  free(text);
}

Test(graph_parse, names_long_chains) {
  char *text = repeat("x: f32[2]\nreturn x", " + 1", 250, "\n");
  const char *printed = canonical(text);
  cr_expect(strstr(printed, "t1 = x + 1") && strstr(printed, "t2 = t1 + 1") && strstr(printed, "return t2 + 1"));
  char *again = strdup(printed);
  cr_expect_str_eq(canonical(again), again);
  free(again);
  free(text);
}

Test(graph_parse, takes_any_bytes) {
  Random random = {1};
  static const char alphabet[] = "xyz :;,=()[]+-*/@<>.T123e#\n\0\xff"
                                 "f32 return const strides max gelu";
  for (int round = 0; round < 3000; round++) {
    char text[200];
    size_t length = random_bits(&random) % sizeof text;
    for (size_t i = 0; i < length; i++) text[i] = alphabet[random_bits(&random) % (sizeof alphabet - 1)];
    kiln_graph *graph = graph_parse(text, length, NULL);
    cr_assert_not_null(graph);
    graph_check(graph);
    kiln_graph_destroy(graph);
  }
}
