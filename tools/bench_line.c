/* bench_line.c: one comparison: a graph's kernel, the machine's peak and bandwidth, and the libraries of --against, all
 * timed in turns (bench/harness/interleave.c). A peer computes the graph's product alone, without what comes before
 * and after it; of products of integers the i32 result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"

enum { MAX_INPUTS = 32, MAX_COPIES = 64, SMALL = 64 * 64 * 64 };

/* Everything one comparison runs. Const inputs may have copies that calls take in turn, so that weights come from
 * memory. */
typedef struct Bench {
  const Command *command;
  Session session;
  kiln_kernel *kernel;
  Data data;
  kiln_call call;
  const void *inputs[MAX_INPUTS];
  void *copies[MAX_INPUTS][MAX_COPIES];
  int copy_count, next_copy;
  kiln_product product;
  bool has_product;
  BenchJob *jobs[MAX_PEERS];
  int job_count;
  void *peer_result;
  BenchPeak *peak, *typed_peak; /* typed_peak: NULL where the product is of f32 */
  BenchStream *stream;
  kiln_args args; /* of the direct call */
  int64_t *dims, tasks;
  void *buffers[2 * MAX_INPUTS];
} Bench;

/* ---- Kiln's side ------------------------------------------------------------------------------------------------- */

/* Moves the const inputs on to their next copies, where there are any. */
static void next_weights(Bench *bench) {
  if (bench->copy_count == 0) return;
  bench->next_copy = (bench->next_copy + 1) % bench->copy_count;
  for (size_t i = 0; i < bench->data.input_count; ++i)
    if (bench->copies[i][0] != NULL) bench->inputs[i] = bench->copies[i][bench->next_copy];
}

/* A case of the harness: one call. */
static void run_kiln(void *ctx) {
  Bench *bench = ctx;
  next_weights(bench);
  if (kiln_run(bench->kernel, &bench->call) != KILN_OK) abort(); /* the first call has been checked */
}

/* As an embedder does who fills kiln_args once. */
static void run_direct(void *ctx) {
  Bench *bench = ctx;
  kiln_entry *entry = kiln_kernel_function(bench->kernel);
  for (int64_t task = 0; task < bench->tasks; ++task) entry(&bench->args, task);
}

static void run_job(void *ctx) { bench_job_run(ctx); }

/* Small products are also called as libxsmm's are, through the kernel's own function: true where that is worth a row.
 */
static bool prepare_direct(Bench *bench) {
  const kiln_product *p = &bench->product;
  if (!bench->has_product || bench->copy_count > 0 || bench->call.threads->count > 1) return false;
  if (p->batch * p->m * p->n * p->k > SMALL || bench->data.output_count > MAX_INPUTS) return false;
  size_t workspace_bytes;
  bench->dims = calloc(kiln_kernel_dim_count(bench->kernel) + 1, sizeof *bench->dims);
  if (bench->dims == NULL) return false;
  kiln_status status =
      kiln_kernel_args(bench->kernel, bench->session.symbols, 1, bench->dims, &bench->tasks, &workspace_bytes);
  if (status != KILN_OK || workspace_bytes > 0) return false;
  size_t count = bench->data.input_count;
  for (size_t i = 0; i < count; ++i) {
    const void *data = kiln_kernel_is_packed(bench->kernel, i) ? kiln_packed_data(bench->inputs[i]) : bench->inputs[i];
    memcpy(&bench->buffers[i], &data, sizeof data);
  }
  for (size_t i = 0; i < bench->data.output_count; ++i) bench->buffers[count + i] = bench->data.outputs[i];
  bench->args = (kiln_args){.buffers = bench->buffers, .dims = bench->dims};
  return true;
}

/* --cold-weights: copies of each const input, together twice the last-level cache, at least two. */
static int copy_weights(Bench *bench) {
  kiln_cpu cpu;
  kiln_engine_cpu(bench->session.engine, &cpu);
  size_t total = 0, sizes[MAX_INPUTS] = {0};
  for (size_t i = 0; i < bench->data.input_count; ++i) {
    kiln_tensor_info info;
    kiln_graph_input_info(bench->session.graph, i, &info);
    if (!info.is_const) continue;
    const Node *node = graph_node(bench->session.graph, bench->session.graph->inputs.items[i]);
    sizes[i] = type_bytes(node->type, (size_t)node_span(node, bench->session.symbols));
    if (kiln_kernel_is_packed(bench->kernel, i)) kiln_packed_bytes(bench->kernel, i, bench->session.symbols, &sizes[i]);
    total += sizes[i];
  }
  if (total == 0) return complain("--cold-weights needs an input declared const");
  size_t wanted = 2 * (size_t)(cpu.l3_bytes > (32U << 20) ? cpu.l3_bytes : 32U << 20) / total + 2;
  bench->copy_count = wanted < MAX_COPIES ? (int)wanted : MAX_COPIES;
  for (size_t i = 0; i < bench->data.input_count; ++i)
    for (int c = 0; c < bench->copy_count && sizes[i] > 0; ++c) {
      void *copy = bench_allocate(sizes[i]);
      if (copy == NULL) return complain_status("weights", KILN_OUT_OF_MEMORY, NULL);
      memcpy(copy, bench->data.packed[i], sizes[i]);
      bench->copies[i][c] = copy;
    }
  return EXIT_GOOD;
}

/* ---- the peers' side --------------------------------------------------------------------------------------------- */

/* An absent library stays in the list with its reason, and so does one that runs the code path of another target. NULL
 * after a complaint. */
static const BenchPeer *find_peer(Peers *peers, const char *name, const char *target) {
  const char *wanted = target != NULL ? target : "";
  for (int i = 0; i < peers->count; ++i) {
    BenchPeer *peer = &peers->list[i];
    if (strcmp(peers->names[i], name) != 0) continue;
    if (strcmp(peers->targets[i], wanted) != 0 && peer->absent[0] == '\0')
      snprintf(peer->absent, sizeof peer->absent, "it runs the code path of another --target in this process already");
    return peer;
  }
  if (peers->count == MAX_PEERS) {
    complain("--against names more than %d libraries", MAX_PEERS);
    return NULL;
  }
  BenchPeer *opened = &peers->list[peers->count];
  if (!bench_peer_open(name, target, opened)) {
    complain("--against: no peer is called '%s', expected %s", name, bench_peer_names());
    return NULL;
  }
  snprintf(peers->names[peers->count], sizeof peers->names[0], "%s", name);
  snprintf(peers->targets[peers->count++], sizeof peers->targets[0], "%s", wanted);
  return opened;
}

/* The leading stride of a matrix; a column-major one is a transposed row-major. False: no axis has stride 1. */
static bool matrix_layout(const Bench *bench, size_t input, bool *transposed, int64_t *ld) {
  const Node *node = graph_node(bench->session.graph, bench->session.graph->inputs.items[input]);
  const int64_t *symbols = bench->session.symbols;
  int rank = node->shape.rank;
  if (rank != 2) return false;
  int64_t row = node_stride(node, 0, symbols), column = node_stride(node, 1, symbols);
  if (column == 1 || dim_value(node->shape.dims[1], symbols) <= 1) return *ld = row, true;
  *transposed = !*transposed;
  return *ld = column, row == 1;
}

/* NULL, or why no peer computes this graph's product. */
static const char *describe_product(const Bench *bench, BenchProduct *out) {
  if (!bench->has_product) return "the graph has no product of two inputs";
  const kiln_product *p = &bench->product;
  const kiln_graph *graph = bench->session.graph;
  const Node *a = graph_node(graph, graph->inputs.items[p->a]), *b = graph_node(graph, graph->inputs.items[p->b]);
  bool is_integer = !type_is_floating(a->type) && !type_is_floating(b->type);
  kiln_type result = graph_node(graph, graph->outputs.items[0])->type;
  if (result != KILN_BF16 && result != KILN_F16) result = KILN_F32;
  *out = (BenchProduct){.m = p->m,
                        .n = p->n,
                        .k = p->k,
                        .ldc = p->n,
                        .a_transposed = p->a_transposed,
                        .b_transposed = p->b_transposed,
                        .b_is_const = b->is_const && bench->session.compile.packing != KILN_PACK_NEVER,
                        .a_type = a->type,
                        .b_type = b->type,
                        .c_type = is_integer ? KILN_I32 : result,
                        .a = bench->data.inputs[p->a],
                        .b = bench->data.inputs[p->b],
                        .c = bench->peer_result};
  if (bench_type_bytes(a->type) == 0 || bench_type_bytes(b->type) == 0) return "peers do not multiply these types";
  if (p->batch != 1 || !matrix_layout(bench, p->a, &out->a_transposed, &out->lda) ||
      !matrix_layout(bench, p->b, &out->b_transposed, &out->ldb))
    return "the operands are batched or have no axis of stride 1";
  return NULL;
}

/* Jobs of all peers that compute the product; the others are reported with their reasons. */
static int prepare_peers(Bench *bench, Peers *peers, Report *report) {
  BenchProduct product;
  const char *names = bench->command->options.against, *reason = describe_product(bench, &product);
  while (names != NULL && *names != '\0') {
    char name[128];
    size_t length = strcspn(names, ",");
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), names);
    names += length + (names[length] == ',');
    const BenchPeer *peer = find_peer(peers, name, bench->command->options.target);
    if (peer == NULL) return EXIT_USAGE;
    if (bench->job_count == MAX_PEERS) return complain("--against names more than %d libraries", MAX_PEERS);
    BenchJob *job = NULL;
    const char *why = peer->absent[0] != '\0' ? peer->absent : reason;
    if (why == NULL && !bench_job_create(peer, &product, bench->call.threads->count, bench->copy_count, &job))
      return complain_status("operands", KILN_OUT_OF_MEMORY, NULL);
    if (why == NULL && job->refusal[0] != '\0') why = job->refusal;
    if (why != NULL) report_refusal(report, peer->name, why);
    if (why == NULL) bench->jobs[bench->job_count++] = job;
    else bench_job_destroy(job);
  }
  return EXIT_GOOD;
}

void peers_close(Peers *peers) {
  for (int i = 0; i < peers->count; ++i) bench_peer_close(&peers->list[i]);
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

/* The peak of f32 and, where the product is of other types, theirs. */
static kiln_status create_peaks(Bench *bench, const char *target) {
  Session *session = &bench->session;
  const kiln_threads *threads = bench->call.threads;
  kiln_status result =
      bench_peak_create(session->engine, target, threads, KILN_F32, KILN_F32, false, &bench->peak, &session->message);
  if (result != KILN_OK || !bench->has_product) return result;
  kiln_tensor_info a, b;
  result = kiln_graph_input_info(session->graph, bench->product.a, &a);
  if (result == KILN_OK) result = kiln_graph_input_info(session->graph, bench->product.b, &b);
  if (result != KILN_OK || (a.tensor.type == KILN_F32 && b.tensor.type == KILN_F32)) return result;
  kiln_kernel_info info;
  kiln_kernel_describe(bench->kernel, &info);
  bool on_tiles = strstr(info.schedule, "mma=tiles") != NULL;
  kiln_type type_a = a.tensor.type, type_b = b.tensor.type;
  bool are_bytes = (type_a == KILN_U8 || type_a == KILN_I8) && (type_b == KILN_U8 || type_b == KILN_I8);
  if (are_bytes) type_a = KILN_U8, type_b = KILN_I8; /* what every instruction takes: others may need more than it */
  return bench_peak_create(session->engine, target, threads, type_a, type_b, on_tiles, &bench->typed_peak,
                           &session->message);
}

/* Everything up to the first call, which also starts the threads and shows whether the call is sound. */
static int prepare_kiln(Bench *bench) {
  Session *session = &bench->session;
  kiln_status result = kiln_compile(session->engine, session->graph, &session->compile, &bench->kernel);
  if (result != KILN_OK) return complain_status("compile", result, &session->message);
  int status = data_create(session, bench->command, &bench->data);
  if (status == EXIT_GOOD) status = data_pack(session, bench->kernel, &bench->data);
  if (status == EXIT_GOOD && bench->command->options.cold_weights) status = copy_weights(bench);
  if (status != EXIT_GOOD) return status;
  for (size_t i = 0; i < bench->data.input_count; ++i) bench->inputs[i] = bench->data.packed[i];
  bench->call = (kiln_call){
      .size = sizeof bench->call,
      .inputs = bench->inputs,
      .outputs = bench->data.outputs,
      .symbols = session->symbols,
      .threads = chosen_threads(bench->command, session->engine),
  };
  result = kiln_run(bench->kernel, &bench->call);
  if (result != KILN_OK) return complain_status("run", result, NULL);
  bench->has_product = kiln_graph_product(session->graph, session->symbols, &bench->product) == KILN_OK;
  size_t elements = bench->has_product ? (size_t)(bench->product.m * bench->product.n) : 1;
  bench->peer_result = bench_allocate(elements * sizeof(float));
  if (bench->peer_result == NULL) return complain_status("operands", KILN_OUT_OF_MEMORY, NULL);
  const char *target = bench->command->options.target;
  result = create_peaks(bench, target);
  if (result == KILN_OK)
    result = bench_stream_create(session->engine, target, bench->call.threads, &bench->stream, &session->message);
  return result == KILN_OK ? EXIT_GOOD : complain_status("probe", result, &session->message);
}

/* The call that was timed, by a kernel that knows its lines, made by an engine of its own. */
static int profile(Bench *bench, const Measured *measured, const Report *report) {
  Session *session = &bench->session;
  Command command = *bench->command;
  kiln_engine *engine;
  kiln_kernel *timed = bench->kernel;
  int64_t seconds = command.options.seconds;
  command.options.lines = command.options.quiet = true; /* what there is to warn of has been said */
  int status = engine_open(&command, &engine);
  if (status != EXIT_GOOD) return status;
  kiln_status result = kiln_compile(engine, session->graph, &session->compile, &bench->kernel);
  const Profiled profiled = {session, engine, bench->kernel, run_kiln, bench, seconds < 0 ? 2 : (double)seconds};
  if (result != KILN_OK) status = complain_status("profile", result, &session->message);
  else status = bench_profile(&profiled, measured, report);
  if (result == KILN_OK) kiln_kernel_release(bench->kernel);
  bench->kernel = timed;
  kiln_engine_destroy(engine);
  return status;
}

/* Times the probes, Kiln and the peers in turns and reports. */
static int measure(Bench *bench, Report *report) {
  enum { FIXED = 5 };
  BenchCase cases[FIXED + MAX_PEERS];
  int count = 0, own = 1;
  cases[count++] = bench_peak_case(bench->peak);
  cases[count++] = bench_stream_case(bench->stream);
  if (bench->typed_peak != NULL) cases[count++] = bench_peak_case(bench->typed_peak);
  const int first = count;
  cases[count++] = (BenchCase){.name = "kiln " KILN_VERSION, .run = run_kiln, .ctx = bench};
  if (prepare_direct(bench)) {
    cases[count++] = (BenchCase){.name = "kiln " KILN_VERSION " direct", .run = run_direct, .ctx = bench};
    own = 2;
  }
  for (int i = 0; i < bench->job_count; ++i)
    cases[count++] = (BenchCase){.name = bench->jobs[i]->name, .run = run_job, .ctx = bench->jobs[i]};
  int64_t seconds = bench->command->options.seconds;
  int threads = bench->call.threads->count;
  if (!bench_interleave(cases, count, threads, seconds < 0 ? 2 : (double)seconds))
    return complain_status("timing", KILN_OUT_OF_MEMORY, NULL);
  kiln_kernel_info info;
  kiln_kernel_describe(bench->kernel, &info);
  double typed = bench->typed_peak != NULL ? bench_peak_flops(bench->typed_peak) / cases[2].median_us * 1e6 : 0;
  Measured measured = {.session = &bench->session,
                       .info = &info,
                       .product = bench->has_product ? &bench->product : NULL,
                       .cases = &cases[first],
                       .count = count - first,
                       .own = own,
                       .threads = threads,
                       .peak_flops = bench_peak_flops(bench->peak) / cases[0].median_us * 1e6,
                       .typed_flops = typed,
                       .bandwidth = bench_stream_bytes(bench->stream) / cases[1].median_us * 1e6,
                       .has_peers = bench->command->options.against != NULL};
  report_line(report, &measured);
  bool is_wanted = report->suite[0] == '\0' || bench->job_count == 0 || report_is_behind(&measured);
  return bench->command->options.profile && is_wanted ? profile(bench, &measured, report) : EXIT_GOOD;
}

/* Also of a bench that was prepared in part. */
static void release(Bench *bench) {
  bench_peak_destroy(bench->peak);
  bench_peak_destroy(bench->typed_peak);
  bench_stream_destroy(bench->stream);
  for (size_t i = 0; i < MAX_INPUTS; ++i)
    for (int c = 0; c < MAX_COPIES; ++c) free(bench->copies[i][c]);
  for (int i = 0; i < bench->job_count; ++i) bench_job_destroy(bench->jobs[i]);
  free(bench->peer_result);
  free(bench->dims);
  data_destroy(&bench->data);
  kiln_kernel_release(bench->kernel);
  session_close(&bench->session);
  free(bench);
}

int bench_line(const Command *command, Peers *peers, Report *report) {
  Bench *bench = calloc(1, sizeof *bench);
  if (bench == NULL) return complain_status("bench", KILN_OUT_OF_MEMORY, NULL);
  bench->command = command;
  int status = session_open(command, true, &bench->session);
  if (status == EXIT_GOOD && command->options.seconds == 0) status = complain("--seconds is 0, expected at least 1");
  if (status == EXIT_GOOD && bench->session.graph->inputs.count > MAX_INPUTS)
    status = complain("the graph has more than %d inputs", MAX_INPUTS);
  if (status == EXIT_GOOD) status = prepare_kiln(bench);
  if (status == EXIT_GOOD) status = prepare_peers(bench, peers, report);
  if (status == EXIT_GOOD) status = measure(bench, report);
  release(bench);
  return status;
}
