/* template_run.c: see the header. Memory is row-major or as the graph's strides say; inputs are small integers and
 * fractions, the same for every run of a shape. */
#include "tests/unit/template_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Rig {
  const TemplateRun *run;
  kiln_graph *graph;
  Arena arena;
  Plan plan;
  Module *module;
  void **plain;  /* inputs as declared, then outputs */
  void **passed; /* what the kernel takes */
  int64_t *dims;
  Text *why;
} Rig;

static void *room(Rig *rig, size_t bytes) {
  char *memory = arena_alloc(&rig->arena, bytes + 128);
  return memory + (64 - (uintptr_t)memory % 64) % 64;
}

static bool is_index(const Rig *rig, int number, int64_t *limit, bool *ascending) {
  for (size_t i = 0; i < rig->graph->nodes.count; ++i) {
    const Node *node = graph_node(rig->graph, (int)i);
    *ascending = node->op == KILN_OP_GROUPED_MATMUL;
    bool used =
        (node->op == KILN_OP_GATHER && node->operands[1] == number) || (*ascending && node->operands[2] == number);
    *limit = used ? dim_value(graph_node(rig->graph, node->operands[0])->shape.dims[0], rig->run->symbols) : 0;
    if (used) return true;
  }
  return false;
}

static void fill(Rig *rig, int number, void *memory, int64_t span) {
  const Node *node = graph_node(rig->graph, number);
  int64_t limit;
  bool ascending;
  bool index = is_index(rig, number, &limit, &ascending);
  for (int64_t i = 0; i < span; ++i) {
    double value = (double)((i * 7 + number * 5) % 13) / (type_is_floating(node->type) ? 4.0 : 1.0) - 1;
    if (type_class(node->type) == CLASS_UNSIGNED || node->type == KILN_BOOL) value = fabs(value);
    if (node->type == KILN_BOOL) value = (double)(i % 2);
    if (index) value = ascending ? (double)((i + 1) * limit / span) : (double)(i * 3 % limit);
    type_store(node->type, memory, (size_t)i, value);
  }
}

static void make_operands(Rig *rig) {
  size_t inputs = rig->graph->inputs.count, outputs = rig->graph->outputs.count;
  rig->plain = ARENA_ARRAY(&rig->arena, void *, inputs + outputs);
  rig->passed = ARENA_ARRAY(&rig->arena, void *, inputs + outputs);
  for (size_t i = 0; i < inputs + outputs; ++i) {
    int number = i < inputs ? rig->graph->inputs.items[i] : rig->graph->outputs.items[i - inputs];
    const Node *node = graph_node(rig->graph, number);
    int64_t span = node_span(node, rig->run->symbols);
    rig->plain[i] = rig->passed[i] = room(rig, type_bytes(node->type, (size_t)span));
    if (i < inputs) fill(rig, number, rig->plain[i], span);
  }
}

static void interpret(Rig *rig, const Kernel *kernel, void *const *buffers) {
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  int64_t bytes = tile_workspace(kernel, rig->dims);
  void *workspace = memset(room(rig, (size_t)bytes), 0, (size_t)bytes);
  TileRun run = {.buffers = buffers, .symbols = rig->dims, .workspace = workspace, .workspace_bytes = bytes};
  kiln_status status = tile_interpret(kernel, &run, 0, tile_tasks(kernel, rig->dims), NULL, &faults);
  if (status != KILN_OK) diagnostics_print(&faults, kernel->name, NULL, 0, rig->why);
  diagnostics_release(&faults);
}

/* Runs the module's pack kernels; their order is that of the packed inputs. */
static void pack(Rig *rig) {
  size_t kernel = 1;
  for (size_t i = 0; i < rig->graph->inputs.count; ++i) {
    if (!rig->plan.packs[i].packed) continue;
    int64_t span = buf_span(&rig->plan.packs[i].type, rig->run->symbols);
    rig->passed[i] = room(rig, type_bytes(rig->plan.packs[i].type.type, (size_t)span));
    interpret(rig, rig->module->kernels.items[kernel++], (void *[]){rig->plain[i], rig->passed[i]});
  }
}

static void compare(Rig *rig) {
  size_t inputs = rig->graph->inputs.count, outputs = rig->graph->outputs.count;
  GraphResult *results = ARENA_ARRAY(&rig->arena, GraphResult, outputs);
  kiln_status status =
      graph_interpret(rig->graph, rig->run->symbols, (const void *const *)rig->plain, &rig->arena, results, NULL);
  if (status != KILN_OK) text_printf(rig->why, "graph interpreter: %s", kiln_status_text(status));
  for (size_t o = 0; status == KILN_OK && o < outputs; ++o) {
    const Node *node = graph_node(rig->graph, rig->graph->outputs.items[o]);
    for (int64_t e = 0; e < results[o].count; ++e) {
      int64_t offset = 0, rest = e;
      for (int axis = node->shape.rank - 1; axis >= 0; --axis) {
        int64_t size = dim_value(node->shape.dims[axis], rig->run->symbols);
        offset += rest % size * node_stride(node, axis, rig->run->symbols);
        rest /= size;
      }
      double got = type_load(node->type, rig->passed[inputs + o], (size_t)offset), want = results[o].values[e];
      if (got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= results[o].bounds[e]) continue;
      text_printf(rig->why, "result %zu element %lld: found %g, expected %g +- %g", o, (long long)e, got, want,
                  results[o].bounds[e]);
      return;
    }
  }
}

static bool prepare(Rig *rig, const char **used, Text *text) {
  const TemplateRun *run = rig->run;
  Problem problem = {.graph = rig->graph, .target = target_find(run->target != NULL ? run->target : "skylake-avx512")};
  if (run->template_ != NULL) problem.forced = template_find(run->template_);
  if (run->schedule != NULL && schedule_parse(run->schedule, &problem.wishes, rig->why) != KILN_OK) return false;
  if (tmpl_plan(&problem, &rig->arena, &rig->plan, rig->why) != KILN_OK) return false;
  if (used != NULL) *used = rig->plan.template->name;
  rig->module = tmpl_build(&rig->plan, "test", NULL);
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  if (tile_verify(rig->module, &faults) != KILN_OK) {
    diagnostics_print(&faults, "module", NULL, 0, rig->why);
    tile_print(rig->module, rig->why);
  }
  diagnostics_release(&faults);
  if (text != NULL) tile_print(rig->module, text);
  return rig->why->length == 0;
}

void template_run(const TemplateRun *run, const char **used, Text *text, Text *why) {
  Rig rig = {.run = run, .graph = graph_parse(run->graph, strlen(run->graph), NULL), .why = why};
  arena_init(&rig.arena, NULL);
  if (graph_check(rig.graph) != KILN_OK) {
    diagnostics_print(&rig.graph->faults, "graph", run->graph, strlen(run->graph), why);
  } else if (prepare(&rig, used, text)) {
    size_t symbols = rig.graph->symbols.count;
    rig.dims = ARENA_ARRAY(&rig.arena, int64_t, symbols + PLAN_MAX_SIZES + PLAN_MAX_PARAMS);
    Machine machine = machine_of(rig.plan.problem.target, run->threads > 0 ? run->threads : 1);
    tmpl_bind(&rig.plan, run->symbols, &machine, rig.dims);
    make_operands(&rig);
    pack(&rig);
    if (why->length == 0) interpret(&rig, rig.module->kernels.items[0], rig.passed);
    if (why->length == 0) compare(&rig);
  }
  if (rig.module != NULL) module_destroy(rig.module);
  arena_release(&rig.arena);
  kiln_graph_destroy(rig.graph);
}
