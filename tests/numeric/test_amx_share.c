/* test_amx_share.c: what products of 1024, 1024, 1024 on tile registers execute, counted by the emulator instruction by
 * instruction: so many products and loads as the shapes ask for, no register spilled, one configuration a task.
 *
 * The figures are of a model in which a product takes 16 cycles, a tile load or store 8, and both go on side by side
 * (Intel's optimization manual, "Intel AMX": TDP*'s throughput is 16 cycles, TILELOADD's 8). In it a slot of a product
 * is lost where
 *   ideal   loads and stores of a block of C take longer than its products;
 *   strict  beside that, where a block waits for its first two loads, and while its accumulators are stored.
 * The counts are of every machine alike; only the strict figure says anything about latency. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emulate/emulate.h"
#include "tests/numeric/ladder.h"

enum { SIZE = 1024, REGISTER = 16, BLOCK = 32, PRODUCT_CYCLES = 16, MOVE_CYCLES = 8 };

typedef struct Counts {
  uint64_t products, loads, stores, zeros, configurations, releases, tasks;
} Counts;

static void *zeros(size_t bytes) {
  void *memory = aligned_alloc(64, bytes);
  cr_assert_not_null(memory);
  return memset(memory, 0, bytes);
}

/* Counts a run of the kernel, without what packs B. */
static Counts count_run(const kiln_kernel *kernel, size_t element_bytes) {
  void *a = zeros(SIZE * SIZE * element_bytes), *b = zeros(SIZE * SIZE * element_bytes), *c = zeros(SIZE * SIZE * 4);
  size_t packed_bytes;
  cr_assert_eq(kiln_packed_bytes(kernel, 1, NULL, &packed_bytes), KILN_OK);
  void *packed = zeros(packed_bytes), *workspace;
  cr_assert_eq(kiln_pack(kernel, 1, NULL, b, packed, packed_bytes), KILN_OK);
  const void *inputs[] = {a, packed};
  size_t workspace_bytes;
  cr_assert_eq(kiln_workspace_bytes(kernel, NULL, kiln_threads_serial(), &workspace_bytes), KILN_OK);
  workspace = zeros((workspace_bytes + 64) / 64 * 64);
  kiln_call call = {
      .size = sizeof call,
      .inputs = inputs,
      .outputs = &c,
      .workspace = workspace,
      .workspace_bytes = workspace_bytes,
      .threads = kiln_threads_serial(),
  };
  emulate_reset();
  emulate_trace_begin();
  kiln_status status = kiln_run(kernel, &call);
  emulate_trace_end();
  cr_assert_eq(status, KILN_OK);
  free(a), free(b), free(c), free(packed), free(workspace);
  return (Counts){
      .products = emulate_count("tdp*"),
      .loads = emulate_count("tileload*"),
      .stores = emulate_count("tilestored"),
      .zeros = emulate_count("tilezero"),
      .configurations = emulate_count("ldtilecfg"),
      .releases = emulate_count("tilerelease"),
  };
}

/* Per cent of the slots that hold a product. */
static double share(const Counts *n, uint64_t lost) {
  uint64_t products = n->products * PRODUCT_CYCLES, moves = (n->loads + n->stores) * MOVE_CYCLES;
  return 100.0 * (double)products / (double)((products > moves ? products : moves) + lost);
}

static void check_product(const char *a, const char *b, const char *target, size_t element_bytes, const char *row) {
  kiln_engine *engine = ladder_engine_for(target);
  if (engine == NULL) return;
  char graph[200];
  snprintf(graph, sizeof graph, "x: %s[%d, %d]; w: const %s[%d, %d]; y = x @ w; return y", a, SIZE, SIZE, b, SIZE,
           SIZE);
  kiln_kernel *kernel;
  kiln_compile_options options = {.size = sizeof options, .target = target};
  cr_assert_eq(kiln_compile_text(engine, graph, &options, &kernel), KILN_OK);
  Counts n = count_run(kernel, element_bytes);
  int64_t dims[64], tasks;
  size_t workspace_bytes;
  cr_assert_leq(kiln_kernel_dim_count(kernel), 64);
  cr_assert_eq(kiln_kernel_args(kernel, NULL, 1, dims, &tasks, &workspace_bytes), KILN_OK);
  uint64_t accumulators = (uint64_t)(SIZE / REGISTER) * (SIZE / REGISTER), blocks = accumulators / 4;
  uint64_t products = accumulators * (SIZE / (64 / element_bytes));
  cr_expect_eq(n.products, products);
  cr_expect_eq(emulate_count(row), products, "all of them %s", row);
  int64_t kc = dims[5]; /* behind m, n, k, mc and nc: the graph has no symbols */
  uint64_t waits = ((uint64_t)((SIZE + kc - 1) / kc) - 1) * accumulators;
  cr_expect_eq(n.loads, products + waits, "2 of A and 2 of B for 4 products, and what waited between blocks of k");
  cr_expect_eq(n.stores, accumulators + waits, "accumulators are stored, and nothing else");
  cr_expect_eq(n.zeros, accumulators);
  cr_expect_eq(n.configurations, (uint64_t)tasks, "%lu in %ld tasks", (unsigned long)n.configurations, (long)tasks);
  cr_expect_eq(n.releases, (uint64_t)tasks);
  double ideal = share(&n, 0), strict = share(&n, blocks * (2 + 4) * MOVE_CYCLES);
  printf("%s x %s by %s: %lu products, %lu loads, %lu stores, %lu zeros, %lu configurations in %ld tasks: %.1f %% of "
         "the slots, %.1f %% strictly\n",
         a, b, row, (unsigned long)n.products, (unsigned long)n.loads, (unsigned long)n.stores, (unsigned long)n.zeros,
         (unsigned long)n.configurations, (long)tasks, ideal, strict);
  cr_expect_geq(ideal, 95);
  cr_expect_geq(strict, 95);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
}

Test(amx_share, bf16) { check_product("bf16", "bf16", "sapphirerapids", 2, "tdpbf16ps"); }
Test(amx_share, u8_i8) { check_product("u8", "i8", "sapphirerapids", 1, "tdpbusd"); }
