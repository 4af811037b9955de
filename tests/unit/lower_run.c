/* lower_run.c: see lower_run.h. */
#include "tests/unit/lower_run.h"

#include <criterion/criterion.h>
#include <llvm-c/Core.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jit/emit.h"
#include "jit/jit.h"
#include "kiln/args.h"
#include "tests/emulate/emulate.h"

static const char *const run_targets[] = {"x86-64", "haswell", "skylake-avx512"};
static const char *const other_targets[] = {"generic-aarch64", "generic-riscv64", "graniterapids"};
enum { MAX_BUFFERS = 96 };

/* ---- text to objects --------------------------------------------------------------------------------------------- */

static void fail_with(const Diagnostics *faults, const char *text, const char *doing) {
  Text message;
  text_init(&message, NULL);
  diagnostics_print(faults, doing, text, strlen(text), &message);
  cr_assert_fail("%s\n%s", text_get(&message), text);
}

static Module *parse(const char *text) {
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  Module *module = tile_parse(text, strlen(text), NULL, &faults);
  cr_assert_not_null(module);
  if (faults.list.count > 0 || tile_verify(module, &faults) != KILN_OK) fail_with(&faults, text, "text");
  diagnostics_release(&faults);
  return module;
}

static JitBuffer emit(const Module *module, const char *text, const Target *target, JitStage stage) {
  Diagnostics faults;
  JitBuffer out = {0};
  LLVMModuleRef lowered = NULL;
  LLVMContextRef context = LLVMContextCreate();
  diagnostics_init(&faults, NULL);
  kiln_status status = lower_module(module, target, context, "", NULL, &lowered, &faults);
  JitEmit options = {.stage = stage, .key = "test", .key_length = 4};
  if (status == KILN_OK) status = jit_emit(lowered, target, &options, &allocator_default, &out, &faults);
  if (status != KILN_OK) fail_with(&faults, text, target->name);
  if (lowered) LLVMDisposeModule(lowered);
  LLVMContextDispose(context);
  diagnostics_release(&faults);
  return out;
}

/* Tile registers need permission beside the CPU's feature, so without it they are emulated. */
bool lower_can_run(const Target *target) {
  TargetFamily family;
  if (!jit_host_family(&family) || family != target->family) return false;
  FeatureSet missing = target->features & ~jit_host_features();
  bool has_tiles = target_has(target, FEATURE_AMXTILE);
  if (missing == 0 && !has_tiles) return true;
  if (!emulate_install()) return false;
  for (unsigned i = 0; i < FEATURE_COUNT; ++i) {
    const char *why;
    if ((missing >> i & 1) == 0 || emulate_can(feature_name((Feature)i), &why)) continue;
    fprintf(stderr, "NOT EXERCISED: %s: %s: %s\n", target->name, feature_name((Feature)i), why);
    return false;
  }
  return true;
}

char *lower_assembly(const char *text, const char *name) {
  Module *module = parse(text);
  JitBuffer out = emit(module, text, target_find(name), JIT_STAGE_ASSEMBLY);
  char *assembly = malloc(out.size + 1);
  cr_assert_not_null(assembly);
  memcpy(assembly, out.data, out.size);
  assembly[out.size] = '\0';
  jit_buffer_release(&out);
  module_destroy(module);
  return assembly;
}

int lower_count_instructions(const char *text, const char *name) {
  Module *module = parse(text);
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef lowered;
  cr_assert_eq(lower_module(module, target_find(name), context, "", NULL, &lowered, NULL), KILN_OK);
  int count = 0;
  for (LLVMValueRef f = LLVMGetFirstFunction(lowered); f; f = LLVMGetNextFunction(f))
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b))
      for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) ++count;
  LLVMDisposeModule(lowered);
  LLVMContextDispose(context);
  module_destroy(module);
  return count;
}

/* ---- buffers between guard pages --------------------------------------------------------------------------------- */

typedef struct Guarded {
  char *mapping, *data;
  size_t mapped, bytes;
} Guarded;

static Guarded guard(size_t bytes, bool at_end) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
  Guarded g = {.mapped = inner + 2 * page, .bytes = bytes};
  g.mapping = mmap(NULL, g.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert(g.mapping != MAP_FAILED);
  cr_assert_eq(mprotect(g.mapping + page, inner, PROT_READ | PROT_WRITE), 0);
  g.data = g.mapping + page + (at_end ? inner - bytes : 0);
  return g;
}

static void release(Guarded *g) { munmap(g->mapping, g->mapped); }

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

static void fill(const LowerBuffer *buffer, char *data, uint64_t *state) {
  static const double edges[] = {0, 0x1p-149, 0x1.8p-130, 0x1p-126 - 0x1p-149, 0x1p-126};
  size_t bytes = type_bytes(buffer->type, (size_t)buffer->count);
  if (buffer->fill == FILL_BITS || buffer->fill == FILL_OUTPUT)
    for (size_t i = 0; i < bytes; ++i) data[i] = (char)next_random(state);
  for (int64_t i = 0; i < buffer->count; ++i) {
    double number = (int)(next_random(state) % 9) - 4;
    if (buffer->fill == FILL_SPECIAL && next_random(state) % 32 == 0)
      number = next_random(state) % 3 == 0 ? NAN : number < 0 ? -INFINITY : INFINITY;
    if (buffer->fill == FILL_REAL || buffer->fill == FILL_SUBNORMAL)
      number = ldexp((next_random(state) % 4096) / 2048.0 - 1, (int)(next_random(state) % 12) - 6);
    if (buffer->fill == FILL_SUBNORMAL && next_random(state) % 4 == 0)
      number = copysign(edges[next_random(state) % ARRAY_LENGTH(edges)], number);
    bool is_first = i == 0, is_last = i == buffer->count - 1;
    if ((buffer->fill == FILL_FIRST_SUBNORMAL && is_first) || (buffer->fill == FILL_LAST_SUBNORMAL && is_last))
      number = copysign(0x1.8p-130, number);
    bool is_bits = buffer->fill == FILL_BITS || buffer->fill == FILL_OUTPUT;
    if (buffer->type == KILN_BOOL) number = next_random(state) % 2;
    if (!is_bits || buffer->type == KILN_BOOL) type_store(buffer->type, data, (size_t)i, number);
  }
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

typedef struct Run {
  const LowerCase *test;
  const Kernel *kernel;
  void *expected[MAX_BUFFERS]; /* buffers after interpretation */
  void *initial[MAX_BUFFERS];
  int64_t tasks, workspace_bytes;
} Run;

static void interpret(Run *run) {
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  void *workspace = run->workspace_bytes ? calloc(1, (size_t)run->workspace_bytes) : NULL;
  TileRun options = {.buffers = run->expected,
                     .symbols = run->test->symbols,
                     .workspace = workspace,
                     .workspace_bytes = run->workspace_bytes};
  if (tile_interpret(run->kernel, &options, 0, run->tasks, NULL, &faults) != KILN_OK)
    fail_with(&faults, run->test->text, "interpreter");
  free(workspace);
  diagnostics_release(&faults);
}

static double ulps_between(kiln_type type, double x, double y) {
  if (isnan(x) || isnan(y)) return isnan(x) && isnan(y) ? 0 : INFINITY;
  if (x == y) return signbit(x) == signbit(y) ? 0 : 0.5;
  if (isinf(x) || isinf(y)) return INFINITY;
  int digits = type == KILN_F64      ? 53
               : type == KILN_F32    ? 24
               : type == KILN_F16    ? 11
               : type == KILN_BF16   ? 8
               : type == KILN_F8E4M3 ? 4
                                     : 3;
  int exponent;
  frexp(fmax(fabs(x), fabs(y)), &exponent);
  return fabs(x - y) / (type_is_floating(type) ? ldexp(1, exponent - digits) : 1);
}

static void compare(const Run *run, const Target *target, int number, const char *found) {
  const LowerBuffer *buffer = &run->test->buffers[number];
  for (int64_t i = 0; i < buffer->count; ++i) {
    double x = type_load(buffer->type, found, (size_t)i), y = type_load(buffer->type, run->expected[number], (size_t)i);
    double ulps = ulps_between(buffer->type, x, y);
    cr_assert(ulps <= buffer->ulps, "%s: %%%s[%lld] is %.17g, expected %.17g (%g ulp)\n%s", target->name,
              run->kernel->buffers.items[number]->name, (long long)i, x, y, ulps, run->test->text);
  }
}

static void run_object(const Run *run, const Target *target, const JitCode *code, bool at_end) {
  Guarded guarded[MAX_BUFFERS];
  void *buffers[MAX_BUFFERS];
  for (int i = 0; i < run->test->buffer_count; ++i) {
    guarded[i] = guard(type_bytes(run->test->buffers[i].type, (size_t)run->test->buffers[i].count), at_end);
    buffers[i] = memcpy(guarded[i].data, run->initial[i], guarded[i].bytes);
  }
  Guarded workspace = guard((size_t)(run->workspace_bytes + 63) / 64 * 64, at_end);
  kiln_args args = {buffers, run->test->symbols, workspace.data};
  char name[128];
  snprintf(name, sizeof name, "%s_tasks", run->kernel->name);
  cr_assert_eq(((kiln_query *)jit_symbol(code, name))(&args), run->tasks);
  snprintf(name, sizeof name, "%s_workspace", run->kernel->name);
  cr_assert_eq(((kiln_query *)jit_symbol(code, name))(&args), run->workspace_bytes);
  kiln_entry *entry = (kiln_entry *)jit_symbol(code, run->kernel->name);
  for (int64_t task = 0; task < run->tasks; ++task) entry(&args, task);
  for (int i = 0; i < run->test->buffer_count; ++i) {
    if (run->test->buffers[i].fill == FILL_OUTPUT) compare(run, target, i, guarded[i].data);
    else
      cr_assert_arr_eq(guarded[i].data, run->initial[i], guarded[i].bytes, "%s: input %d has changed", target->name, i);
    release(&guarded[i]);
  }
  release(&workspace);
}

static void check_target(const Run *run, const Module *module, const Target *target) {
  JitBuffer object = emit(module, run->test->text, target, JIT_STAGE_OBJECT);
  if (lower_can_run(target)) {
    JitSession *session;
    JitCode *code;
    cr_assert_eq(
        jit_session_create(&(JitSessionOptions){.features = jit_host_features() | target->features}, &session, NULL),
        KILN_OK);
    cr_assert_eq(jit_load(session, object.data, object.size, "test", &code, NULL), KILN_OK);
    run_object(run, target, code, false);
    run_object(run, target, code, true);
    jit_unload(code);
    jit_session_destroy(session);
  }
  jit_buffer_release(&object);
}

static void check(const LowerCase *test, const char *const *names, size_t count) {
  Module *module = parse(test->text);
  Run run = {.test = test, .kernel = module->kernels.items[0]};
  uint64_t state = 20;
  cr_assert(test->buffer_count <= MAX_BUFFERS && (size_t)test->buffer_count == run.kernel->buffers.count);
  for (int i = 0; i < test->buffer_count; ++i) {
    size_t bytes = type_bytes(test->buffers[i].type, (size_t)test->buffers[i].count);
    run.initial[i] = malloc(bytes + 1);
    run.expected[i] = malloc(bytes + 1);
    fill(&test->buffers[i], run.initial[i], &state);
    memcpy(run.expected[i], run.initial[i], bytes);
  }
  run.tasks = tile_tasks(run.kernel, test->symbols);
  run.workspace_bytes = tile_workspace(run.kernel, test->symbols);
  interpret(&run);
  for (size_t i = 0; i < count; ++i) check_target(&run, module, target_find(names[i]));
  for (int i = 0; i < test->buffer_count; ++i) free(run.initial[i]), free(run.expected[i]);
  module_destroy(module);
}

void lower_check(const LowerCase *test) { check(test, run_targets, ARRAY_LENGTH(run_targets)); }
void lower_check_on(const LowerCase *test, const char *target) { check(test, &target, 1); }

void lower_check_compiles(const char *text) {
  Module *module = parse(text);
  for (size_t i = 0; i < ARRAY_LENGTH(other_targets); ++i) {
    JitBuffer object = emit(module, text, target_find(other_targets[i]), JIT_STAGE_OBJECT);
    jit_buffer_release(&object);
  }
  module_destroy(module);
}
