/* test_random_graphs.c: random valid graphs print as text that is the same graph, and give compiled what the
 * interpreter gives, on memory that catches every stray access.
 *
 * KILN_TEST_SEED=n begins with another seed, KILN_TEST_COUNT=n runs as many. The seed stands in the first line of the
 * graph that a failure prints; a signal prints it too. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/random_graph.h"
#include "tests/numeric/ladder.h"
#include "tests/numeric/seeds.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
enum { SLOWER = 8 };
#else
enum { SLOWER = 1 };
#endif

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

static kiln_graph *parse(const char *text, size_t length, unsigned long long seed) {
  kiln_graph *graph = graph_parse(text, length, NULL);
  cr_assert_not_null(graph);
  Text why;
  text_init(&why, NULL);
  if (graph_check(graph) != KILN_OK) diagnostics_print(&graph->faults, "graph", text, length, &why);
  cr_assert_eq(why.length, 0, "seed %llu: %s\n%s", seed, text_get(&why), text);
  text_release(&why);
  return graph;
}

static void check_identity(const kiln_graph *graph, unsigned long long seed) {
  for (int one_line = 0; one_line <= 1; ++one_line) {
    Text once, twice;
    text_init(&once, NULL);
    text_init(&twice, NULL);
    graph_print(graph, one_line, &once);
    kiln_graph *again = parse(text_get(&once), once.length, seed);
    graph_print(again, one_line, &twice);
    cr_assert_str_eq(text_get(&once), text_get(&twice), "seed %llu", seed);
    kiln_graph_destroy(again);
    text_release(&once);
    text_release(&twice);
  }
}

typedef struct Tally {
  int graphs, runs;
  int ops[KILN_OP_COUNT], types[KILN_TYPE_COUNT], ranks[GRAPH_MAX_RANK + 1];
} Tally;

static void count(Tally *tally, const kiln_graph *graph) {
  bool has_op[KILN_OP_COUNT] = {false}, has_type[KILN_TYPE_COUNT] = {false}, has_rank[GRAPH_MAX_RANK + 1] = {false};
  for (size_t i = 0; i < graph->nodes.count; ++i) {
    const Node *node = graph_node(graph, (int)i);
    has_op[node->op] = has_type[node->type] = has_rank[node->shape.rank] = true;
  }
  ++tally->graphs;
  for (int i = 0; i < KILN_OP_COUNT; ++i) tally->ops[i] += has_op[i];
  for (int i = 0; i < KILN_TYPE_COUNT; ++i) tally->types[i] += has_type[i];
  for (int i = 0; i <= GRAPH_MAX_RANK; ++i) tally->ranks[i] += has_rank[i];
}

/* Valid for its symbols, and printed as itself. */
static void check_text(const RandomGraph *random, unsigned long long seed, Tally *tally) {
  kiln_graph *graph = parse(text_get(&random->text), random->text.length, seed);
  cr_assert_eq(graph_check_symbols(graph, random->symbols, NULL), KILN_OK, "seed %llu: symbols\n%s", seed,
               text_get(&random->text));
  check_identity(graph, seed);
  count(tally, graph);
  kiln_graph_destroy(graph);
}

Test(random_graphs, every_operator_type_and_rank_occurs) {
  Tally tally = {0};
  long long seeds = seeds_from_environment("KILN_TEST_COUNT", 2000);
  for (int seed = 1; seed <= seeds; ++seed) {
    RandomGraph random = random_graph_make((uint64_t)seed, seed % 4 == 0 ? RANDOM_GEMM : RANDOM_ANY);
    check_text(&random, (unsigned long long)seed, &tally);
    random_graph_release(&random);
  }
  for (int i = 0; i < KILN_OP_COUNT; ++i) {
    cr_expect_gt(tally.ops[i], 0, "'%s' never occurs", graph_op_info((kiln_op)i)->spelling);
    if (getenv("KILN_TEST_COUNT") != NULL)
      printf("%6.2f %% %s\n", 100.0 * tally.ops[i] / tally.graphs, graph_op_info((kiln_op)i)->spelling);
  }
  for (int i = 0; i < KILN_TYPE_COUNT; ++i)
    cr_expect_gt(tally.types[i], 0, "%s never occurs", kiln_type_name((kiln_type)i));
  for (int i = 0; i <= GRAPH_MAX_RANK; ++i) cr_expect_gt(tally.ranks[i], 0, "rank %d never occurs", i);
}

/* Generation depends on nothing but the seed. */
Test(random_graphs, seeds_are_all_there_is) {
  RandomGraph a = random_graph_make(42, RANDOM_ANY), b = random_graph_make(42, RANDOM_ANY);
  cr_expect_str_eq(text_get(&a.text), text_get(&b.text));
  random_graph_release(&a);
  random_graph_release(&b);
}

/* ---- compiled ---------------------------------------------------------------------------------------------------- */

static void check_seed(kiln_engine *engine, const char *const *targets, int target_count, unsigned long long seed,
                       RandomFlavour flavour) {
  static const char *const schedules[] = {NULL, "epilogue=registers", "epilogue=rows"};
  RandomGraph random = random_graph_make(seed, flavour);
  Text text;
  text_init(&text, NULL);
  text_printf(&text, "# seed %llu\n%s", seed, text_get(&random.text));
  Tally tally = {0};
  check_text(&random, seed, &tally);
  bool is_gemm = flavour == RANDOM_GEMM;
  LadderCase c = {
      .graph = text_get(&text),
      .target = targets[seed % (unsigned)target_count],
      .template_ = is_gemm    ? "gemm"
                   : seed % 2 ? "reference"
                              : NULL,
      .schedule = is_gemm ? schedules[seed / 7 % 3] : NULL,
      .packing = seed / 5 % 3 == 0 ? KILN_PACK_NEVER : KILN_PACK_CONST,
      .threads = (int)(seed / 3 % 5),
  };
  memcpy(c.symbols, random.symbols, sizeof random.symbols);
  ladder_run(engine, &c);
  c.template_ = "reference";
  c.schedule = NULL;
  if (is_gemm && seed % 3 == 0) ladder_run(engine, &c);
  text_release(&text);
  random_graph_release(&random);
}

static void check_seeds(unsigned long long first, int seeds, RandomFlavour flavour) {
  kiln_engine *engine = ladder_engine();
  int target_count;
  const char *const *targets = ladder_targets(engine, &target_count);
  first = (unsigned long long)seeds_from_environment("KILN_TEST_SEED", (long long)first);
  seeds = (int)seeds_from_environment("KILN_TEST_COUNT", seeds / SLOWER);
  seeds_watch();
  for (unsigned long long seed = first; seed < first + (unsigned)seeds; ++seed) {
    seeds_at(seed);
    check_seed(engine, targets, target_count, seed, flavour);
  }
  kiln_engine_destroy(engine);
}

Test(random_graphs, any) { check_seeds(1, 120, RANDOM_ANY); }

Test(random_graphs, gemm) { check_seeds(1, 48, RANDOM_GEMM); }
