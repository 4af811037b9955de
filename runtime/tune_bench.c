/* tune_bench.c: the bench of the tuner: operands, objects of candidates, runs, the comparison of their results.
 *
 * Operands are small numbers whose products and sums are exact in every order, so a candidate's product equals the
 * default's bit for bit and only the epilogue may differ, by its rounding. They repeat after a prime number of
 * elements: filling them costs little more than copying. Const inputs lie in memory several times, together more than
 * the last-level cache holds, and calls take them in turn; other inputs and results stay where they are, as in a model.
 * Candidates are run without the checks of kiln_run, which are the same for all. */
#include <math.h>
#include <string.h>

#include "jit/os.h"
#include "runtime/tune.h"

static void *take(const TuneBench *bench, size_t bytes) { return rt_allocate(&bench->engine->allocator, &bytes); }

static void give(const TuneBench *bench, void *memory) {
  const Allocator *allocator = &bench->engine->allocator;
  if (memory) allocator->release(allocator->ctx, memory);
}

/* ---- operands ---------------------------------------------------------------------------------------------------- */

static bool is_factor(const kiln_graph *graph, int number) {
  for (size_t i = 0; i < graph->nodes.count; ++i) {
    const Node *node = graph_node(graph, (int)i);
    bool looks_through = node->op == KILN_OP_TRANSPOSE || node->op == KILN_OP_DEQUANT;
    if (looks_through && node->operands[0] == number && is_factor(graph, (int)i)) return true;
    if (node->op == KILN_OP_MATMUL && (node->operands[0] == number || node->operands[1] == number)) return true;
  }
  return false;
}

/* Factors: -2 to 2, or 0 to 3. Anything else may be a scale or a divisor: a half to two, or 1 to 3. */
static double draw(kiln_type type, bool factor, uint32_t random) {
  if (type == KILN_BOOL) return random % 2;
  if (factor) return type_class(type) == CLASS_UNSIGNED ? random % 4 : (double)(random % 5) - 2;
  return type_is_floating(type) ? (double)(random % 4 + 1) / 2 : random % 3 + 1;
}

static void fill(const Node *node, bool factor, uint32_t seed, char *memory, size_t bytes) {
  enum { PERIOD = 4099 };
  unsigned bits = type_bits(node->type);
  size_t period = type_bytes(node->type, 2 * PERIOD), first = bytes < period ? bytes : period;
  for (size_t i = 0; i < first * 8 / bits; ++i) {
    seed = seed * 1664525U + 1013904223U;
    type_store(node->type, memory, i, draw(node->type, factor, seed >> 16));
  }
  for (size_t done = first; done < bytes;) { /* `done` is whole periods */
    size_t more = bytes - done < done ? bytes - done : done;
    memcpy(memory + done, memory, more);
    done += more;
  }
}

static size_t bytes_of(const TuneBench *bench, const Port *port) {
  return type_bytes(port->node->type, (size_t)node_span(port->node, bench->symbols));
}

kiln_status tune_bench_open(TuneBench *bench) {
  const Code *plain = bench->plain;
  bench->inputs = ARENA_ARRAY(&bench->arena, void *, plain->input_count);
  bench->outputs = ARENA_ARRAY(&bench->arena, void *, plain->output_count);
  bench->expected = ARENA_ARRAY(&bench->arena, void *, plain->output_count);
  bench->buffers = ARENA_ARRAY(&bench->arena, void *, plain->port_count);
  bench->output_bytes = ARENA_ARRAY(&bench->arena, size_t, plain->output_count);
  if (arena_has_failed(&bench->arena)) return KILN_OUT_OF_MEMORY;
  for (size_t i = 0; i < plain->input_count; ++i) {
    const Port *port = &plain->ports[i];
    size_t bytes = bytes_of(bench, port);
    bench->inputs[i] = take(bench, bytes);
    if (!bench->inputs[i]) return KILN_OUT_OF_MEMORY;
    fill(port->node, is_factor(plain->graph, plain->graph->inputs.items[i]), (uint32_t)i + 1, bench->inputs[i], bytes);
  }
  for (size_t i = 0; i < plain->output_count; ++i) {
    bench->output_bytes[i] = bytes_of(bench, &plain->ports[plain->input_count + i]);
    bench->outputs[i] = take(bench, bench->output_bytes[i]);
    bench->expected[i] = take(bench, bench->output_bytes[i]);
    if (!bench->outputs[i] || !bench->expected[i]) return KILN_OUT_OF_MEMORY;
  }
  return KILN_OK;
}

void tune_bench_close(TuneBench *bench) {
  const Code *plain = bench->plain;
  for (size_t i = 0; bench->inputs && i < plain->input_count; ++i) give(bench, bench->inputs[i]);
  for (size_t i = 0; bench->outputs && bench->expected && i < plain->output_count; ++i) {
    give(bench, bench->outputs[i]);
    give(bench, bench->expected[i]);
  }
  for (size_t i = 0; i < bench->weights.count; ++i) give(bench, bench->weights.items[i].memory);
  for (size_t i = 0; i < bench->objects.count; ++i) {
    rt_code_release(bench->objects.items[i]->code);
    text_release(&bench->objects.items[i]->why);
  }
  give(bench, bench->workspace);
  arena_release(&bench->arena);
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

static bool same_baked(const Schedule *x, const Schedule *y) {
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    if (field_info((Field)field)->kind != FIELD_BAKED) continue;
    if (x->set[field] != y->set[field] || (x->set[field] && x->values[field] != y->values[field])) return false;
  }
  return true;
}

/* The object of a schedule, made later where it is new. */
static size_t object_of(TuneBench *bench, const Schedule *schedule) {
  for (size_t i = 0; i < bench->objects.count; ++i)
    if (same_baked(&bench->objects.items[i]->baked, schedule)) return i;
  TuneObject *object = ARENA_NEW(&bench->arena, TuneObject);
  object->baked = *schedule;
  text_init(&object->why, &bench->engine->allocator);
  VECTOR_PUSH(&bench->arena, bench->objects, object);
  return bench->objects.count - 1;
}

/* What the caller fixed, and the baked fields of the object. */
static Request request_of(const TuneBench *bench, const TuneObject *object) {
  Request request = *bench->request;
  request.options.schedule = NULL;
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    if (field_info((Field)field)->kind != FIELD_BAKED || !object->baked.set[field]) continue;
    request.problem.wishes.values[field] = object->baked.values[field];
    request.problem.wishes.set[field] = request.problem.wishes.fixed[field] = true;
  }
  return request;
}

typedef struct Makings {
  TuneBench *bench;
  size_t first;
} Makings;

/* One object, on any thread. */
static void make_object(void *arg, int64_t index) {
  const Makings *makings = arg;
  TuneBench *bench = makings->bench;
  TuneObject *object = bench->objects.items[makings->first + (size_t)index];
  Request request = request_of(bench, object);
  kiln_cache_hit hit;
  object->status = rt_code_make(bench->engine, &request, bench->graph_text, &object->code, &hit, &object->why);
  if (object->status && object->why.length == 0) text_add(&object->why, kiln_status_text(object->status));
}

/* Copies for calls to take in turn, more than the cache holds. Where that is so much that filling it would take a good
 * part of the budget, layouts share it, as their candidates are measured in turns as well; those of one layout alone
 * would find their weights in the cache (f32 of 33 x 65 x 1023 on Zen 5: 24 us, and 48 beside other layouts). */
static kiln_status add_weights(TuneBench *bench, const Code *code, size_t input, size_t *number) {
  enum { LAYOUTS = 4, MOST_COPIES = 1 << 16, MUCH = 64 << 20 };
  const Port *port = &code->ports[input];
  Weights weights = {.input = input, .is_packed = port->pack != NULL};
  size_t bytes = bytes_of(bench, port), header = 0;
  if (port->pack) {
    if (!rt_blob_describe(&port->pack->type, bench->symbols, &weights.header)) return KILN_INVALID_ARGUMENT;
    bytes = (size_t)weights.header.payload_bytes;
    header = BLOB_BYTES;
  }
  for (size_t i = 0; i < bench->weights.count; ++i) {
    const Weights *other = &bench->weights.items[i];
    if (other->input != input || other->is_packed != weights.is_packed) continue;
    if (weights.is_packed && memcmp(&other->header, &weights.header, sizeof weights.header) != 0) continue;
    *number = i;
    return KILN_OK;
  }
  int64_t since = jit_os_now_ns();
  weights.stride = (bytes + header + 63) / 64 * 64 + 64; /* not all at the same place of a page */
  weights.count = bench->cold_bytes / (bench->cold_bytes > MUCH ? LAYOUTS : 1) / weights.stride + 1;
  if (weights.count > MOST_COPIES) weights.count = MOST_COPIES;
  weights.memory = take(bench, weights.stride * weights.count);
  if (!weights.memory) return KILN_OUT_OF_MEMORY;
  if (port->pack) {
    rt_pack(code, input, bench->symbols, bench->inputs[input], weights.memory);
  } else {
    memcpy(weights.memory, bench->inputs[input], bytes);
  }
  for (size_t i = 1; i < weights.count; ++i) memcpy(weights.memory + i * weights.stride, weights.memory, bytes);
  bench->weights_seconds += (double)(jit_os_now_ns() - since) * 1e-9;
  *number = bench->weights.count;
  VECTOR_PUSH(&bench->arena, bench->weights, weights);
  return KILN_OK;
}

static kiln_status find_weights(TuneBench *bench, TuneObject *object) {
  const Code *code = object->code;
  object->weights = ARENA_ARRAY(&bench->arena, size_t, code->input_count);
  for (size_t i = 0; object->weights && i < code->input_count; ++i) {
    object->weights[i] = SIZE_MAX;
    if (!code->ports[i].node->is_const && !code->ports[i].pack) continue;
    kiln_status status = add_weights(bench, code, i, &object->weights[i]);
    if (status) return status;
  }
  return arena_has_failed(&bench->arena) ? KILN_OUT_OF_MEMORY : KILN_OK;
}

/* ---- candidates -------------------------------------------------------------------------------------------------- */

static kiln_status bind_candidate(TuneBench *bench, TuneCandidate *candidate) {
  const TuneObject *object = bench->objects.items[candidate->object];
  const Code *code = object->code;
  if (!code) {
    candidate->fault = text_get(&object->why);
    return KILN_OK;
  }
  int64_t *dims = ARENA_ARRAY(&bench->arena, int64_t, code->dim_count);
  if (arena_has_failed(&bench->arena)) return KILN_OUT_OF_MEMORY;
  tmpl_fill_sizes(&code->plan, bench->symbols, dims);
  for (int i = 0; i < code->plan.param_count; ++i)
    dims[tmpl_first_param(&code->plan) + (size_t)i] = candidate->schedule.values[code->plan.params[i]];
  kiln_args args = {.dims = dims};
  candidate->binding = (Binding){.dims = dims, .tasks = code->tasks(&args), .workspace_bytes = code->workspace(&args)};
  if (candidate->binding.workspace_bytes < 0) candidate->fault = "its workspace is larger than memory";
  else if ((size_t)candidate->binding.workspace_bytes > bench->workspace_bytes) {
    give(bench, bench->workspace);
    bench->workspace_bytes = (size_t)candidate->binding.workspace_bytes;
    bench->workspace = take(bench, bench->workspace_bytes);
    if (!bench->workspace) return KILN_OUT_OF_MEMORY;
  }
  return KILN_OK;
}

kiln_status tune_bench_add(TuneBench *bench, const Schedule *schedules, size_t count) {
  size_t first_object = bench->objects.count, first = bench->candidates.count;
  for (size_t i = 0; i < count; ++i) {
    TuneCandidate candidate = {.schedule = schedules[i], .object = object_of(bench, &schedules[i]), .batch = 1};
    VECTOR_PUSH(&bench->arena, bench->candidates, candidate);
  }
  if (arena_has_failed(&bench->arena)) return KILN_OUT_OF_MEMORY;
  Makings makings = {bench, first_object};
  int64_t objects = (int64_t)(bench->objects.count - first_object);
  const kiln_threads *own = &bench->engine->pool.threads, *threads = bench->threads;
  if (threads->count <= 1) threads = own; /* nothing is measured meanwhile */
  if (objects > 1 && threads->count > 1) threads->parallel_for(threads->ctx, objects, make_object, &makings);
  else
    for (int64_t i = 0; i < objects; ++i) make_object(&makings, i);
  for (size_t i = first_object; i < bench->objects.count; ++i) {
    TuneObject *object = bench->objects.items[i];
    kiln_status status = object->code ? find_weights(bench, object) : KILN_OK;
    if (object->status == KILN_OUT_OF_MEMORY) status = KILN_OUT_OF_MEMORY;
    if (status) return status;
  }
  for (size_t i = first; i < bench->candidates.count; ++i) {
    kiln_status status = bind_candidate(bench, &bench->candidates.items[i]);
    if (status) return status;
  }
  return KILN_OK;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* One call, with the next copies of the weights. */
static void run_once(TuneBench *bench, const TuneCandidate *candidate) {
  const TuneObject *object = bench->objects.items[candidate->object];
  const Code *code = object->code;
  size_t turn = bench->turn++;
  for (size_t i = 0; i < code->input_count; ++i) {
    const Weights *weights = object->weights[i] == SIZE_MAX ? NULL : &bench->weights.items[object->weights[i]];
    bench->buffers[i] = weights ? weights->memory + turn % weights->count * weights->stride : bench->inputs[i];
  }
  memcpy(bench->buffers + code->input_count, bench->outputs, code->output_count * sizeof(void *));
  kiln_args args = {.buffers = bench->buffers, .dims = candidate->binding.dims, .workspace = bench->workspace};
  if (candidate->binding.workspace_bytes > 0)
    rt_workspace_begin(bench->workspace, (size_t)candidate->binding.workspace_bytes);
  rt_run_tasks(code->entry, &args, candidate->binding.tasks, bench->threads);
}

/* Calls by the clock of the wall, and of the CPU where this thread does all the work: else it may well wait. */
static Sample time_calls(TuneBench *bench, const TuneCandidate *candidate, size_t calls) {
  bool is_alone = bench->threads->count <= 1 || candidate->binding.tasks == 1;
  int64_t cpu = jit_os_cpu_ns(), wall = jit_os_now_ns();
  for (size_t i = 0; i < calls; ++i) run_once(bench, candidate);
  wall = jit_os_now_ns() - wall;
  cpu = jit_os_cpu_ns() - cpu;
  double all = (double)calls * 1e9;
  return (Sample){(double)wall / all, is_alone ? (double)cpu / all : -1};
}

Sample tune_bench_measure(TuneBench *bench, size_t number) {
  static const double long_seconds = 0.004;
  const TuneCandidate *candidate = &bench->candidates.items[number];
  Sample first = time_calls(bench, candidate, 1); /* brings code and activations back into the caches */
  return first.wall > long_seconds ? first : time_calls(bench, candidate, candidate->batch);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* Results of the same exact product through the same epilogue: roundings of its steps may differ. */
static bool is_close(kiln_type type, double x, double y) {
  double last_place = type == KILN_F64 ? 0x1p-50 : type == KILN_F32 ? 0x1p-20 : type == KILN_F16 ? 0x1p-9 : 0x1p-6;
  if (x == y || (isnan(x) && isnan(y))) return true;
  if (!type_is_floating(type)) return type != KILN_I32 && type != KILN_BOOL && fabs(x - y) <= 1;
  if (type_bits(type) == 8) last_place = 0x1p-2;
  return fabs(x - y) <= last_place * fmax(fabs(x), fabs(y)) + 1e-6;
}

static bool is_same(const TuneBench *bench, size_t output) {
  kiln_type type = bench->plain->ports[bench->plain->input_count + output].node->type;
  size_t bytes = bench->output_bytes[output];
  if (memcmp(bench->outputs[output], bench->expected[output], bytes) == 0) return true;
  for (size_t i = 0; i < bytes * 8 / type_bits(type); ++i)
    if (!is_close(type, type_load(type, bench->outputs[output], i), type_load(type, bench->expected[output], i)))
      return false;
  return true;
}

kiln_status tune_bench_verify(TuneBench *bench, size_t number) {
  static const double sample_seconds = 0.002;
  enum { MOST_CALLS = 1 << 20 };
  TuneCandidate *candidate = &bench->candidates.items[number];
  if (candidate->fault) return KILN_OK;
  size_t outputs = bench->plain->output_count;
  /* 0xff is NaN in every float: an element that is forgotten shows. */
  for (size_t i = 0; i < outputs; ++i) memset(bench->outputs[i], 0xff, bench->output_bytes[i]);
  run_once(bench, candidate);
  for (size_t i = 0; i < outputs; ++i) {
    if (number == 0) memcpy(bench->expected[i], bench->outputs[i], bench->output_bytes[i]);
    else if (!is_same(bench, i)) candidate->fault = "its results differ from the default's";
  }
  candidate->is_verified = !candidate->fault;
  for (candidate->batch = 1; candidate->is_verified && candidate->batch < MOST_CALLS; candidate->batch *= 2) {
    int64_t begin = jit_os_now_ns();
    for (size_t i = 0; i < candidate->batch; ++i) run_once(bench, candidate);
    double seconds = (double)(jit_os_now_ns() - begin) * 1e-9;
    if (seconds < sample_seconds / 4) continue;
    double wanted = sample_seconds / seconds * (double)candidate->batch;
    candidate->batch = wanted < 1 ? 1 : (size_t)(wanted + 0.5);
    break;
  }
  return KILN_OK;
}
