/* cmd_bench.c: kiln bench: a graph timed against the machine's measured peak and bandwidth and against other libraries,
 * all interleaved in this process. A peer computes the graph's product alone, without what comes before and after it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "tools/command.h"

enum { MAX_INPUTS = 32, MAX_PEERS = 4, MAX_COPIES = 64 };

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
  BenchPeer peers[MAX_PEERS];
  int peer_count;
  float *peer_result;
  BenchPeak *peak, *typed_peak; /* typed_peak: NULL where the product is of f32 */
  BenchStream *stream;
} Bench;

/* What a peer's case needs: the bench and which peer. */
typedef struct PeerRun {
  Bench *bench;
  const BenchPeer *peer;
  BenchProduct product;
} PeerRun;

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

static void run_peer(void *ctx) {
  PeerRun *run = ctx;
  Bench *bench = run->bench;
  next_weights(bench);
  if (bench->copy_count > 0 && bench->copies[bench->product.b][0] != NULL) {
    /* The peer's weights are as large as the blob, so it walks through the same memory. */
    run->product.b = bench->copies[bench->product.b][bench->next_copy];
    run->product.b += 64;
  }
  bench_peer_product(run->peer, &run->product);
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
      void *copy = aligned_alloc(64, (sizes[i] + 4096 + 63) / 64 * 64);
      if (copy == NULL) return complain_status("weights", KILN_OUT_OF_MEMORY, NULL);
      memcpy(copy, bench->data.packed[i], sizes[i]);
      bench->copies[i][c] = copy;
    }
  return EXIT_GOOD;
}

/* An absent library stays in the list with its reason: measure() says so. */
static int open_peers(Bench *bench) {
  const char *names = bench->command->options.against;
  while (names != NULL && *names != '\0') {
    char name[32];
    size_t length = strcspn(names, ",");
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), names);
    if (bench->peer_count == MAX_PEERS) return complain("--against names more than %d libraries", MAX_PEERS);
    BenchPeer *peer = &bench->peers[bench->peer_count++];
    if (!bench_peer_open(name, kiln_target_vector_bits(bench->command->options.target), peer))
      return complain("--against: no peer is called '%s', expected openblas", name);
    names += length + (names[length] == ',');
  }
  return EXIT_GOOD;
}

/* Why a peer cannot compute this graph's product; NULL: it can. */
static const char *peer_refusal(const Bench *bench, const BenchPeer *peer) {
  if (peer->absent[0] != '\0') return peer->absent;
  if (!bench->has_product) return "the graph has no product of two inputs";
  const kiln_graph *graph = bench->session.graph;
  const Node *a = graph_node(graph, graph->inputs.items[bench->product.a]);
  const Node *b = graph_node(graph, graph->inputs.items[bench->product.b]);
  if (a->type != KILN_F32 || b->type != KILN_F32) return "it multiplies f32 only";
  if (bench->product.batch != 1 || a->has_strides || b->has_strides) return "the operands are batched or strided";
  return NULL;
}

/* Leading dimensions of contiguous, perhaps transposed operands. */
static PeerRun peer_run(Bench *bench, const BenchPeer *peer) {
  const kiln_product *p = &bench->product;
  BenchProduct product = {
      .m = p->m,
      .n = p->n,
      .k = p->k,
      .lda = p->a_transposed ? p->m : p->k,
      .ldb = p->b_transposed ? p->k : p->n,
      .ldc = p->n,
      .a_transposed = p->a_transposed,
      .b_transposed = p->b_transposed,
      .a = bench->data.inputs[p->a],
      .b = bench->data.inputs[p->b],
      .c = bench->peer_result,
  };
  return (PeerRun){bench, peer, product};
}

/* Compulsory traffic: every input and output once. */
static double graph_bytes(const Bench *bench) {
  const kiln_graph *graph = bench->session.graph;
  double bytes = 0;
  for (size_t i = 0; i < graph->inputs.count + graph->outputs.count; ++i) {
    const Node *node = graph_node(graph, i < graph->inputs.count ? graph->inputs.items[i]
                                                                 : graph->outputs.items[i - graph->inputs.count]);
    double count = 1;
    for (int axis = 0; axis < node->shape.rank; ++axis)
      count *= (double)dim_value(node->shape.dims[axis], bench->session.symbols);
    bytes += count * type_bits(node->type) / 8;
  }
  return bytes;
}

/* Rates and shares come from the product's operations alone, whatever else the graph computes, so peers compare. */
static void print_row(const Bench *bench, const BenchCase *c, const kiln_kernel_info *info, double peak_flops,
                      double bandwidth, double kiln_us) {
  const kiln_product *p = &bench->product;
  double flops = bench->has_product ? 2.0 * (double)(p->batch * p->m * p->n * p->k) : 0;
  double rate = flops / c->median_us * 1e-3, traffic = graph_bytes(bench) / c->median_us * 1e-3;
  int32_t threads = chosen_threads(bench->command, bench->session.engine)->count;
  if (bench->command->options.json) {
    Text dims;
    text_init(&dims, NULL);
    print_dims(&bench->session, &dims);
    Json json;
    json_open(&json);
    json_string(&json, "suite", "");
    json_string(&json, "graph", info->graph);
    json_string(&json, "dims", text_get(&dims));
    json_string(&json, "type",
                kiln_type_name(graph_node(bench->session.graph, bench->session.graph->inputs.items[0])->type));
    json_number(&json, "threads", threads);
    json_string(&json, "impl", c->name);
    json_number(&json, "us", c->median_us);
    json_number(&json, "spread", c->spread);
    json_number(&json, "gops", rate);
    json_number(&json, "peak_share", rate / peak_flops);
    json_number(&json, "bandwidth_share", traffic / bandwidth);
    json_close(&json);
    text_release(&dims);
    return;
  }
  printf("%-28s %11.1f us  +-%4.1f %%  %8.1f Gop/s  %5.1f %% of peak  %5.1f %% of bandwidth", c->name, c->median_us,
         100 * c->spread, rate, 100 * rate / peak_flops, 100 * traffic / bandwidth);
  if (c->median_us > kiln_us || c->median_us < kiln_us) printf("  kiln is %.2fx", c->median_us / kiln_us);
  printf("\n");
}

/* What stands above the rows: what was compiled, and what the shares are of. */
static void print_compile(const Bench *bench, const kiln_kernel_info *info, double peak, double bandwidth) {
  if (bench->command->options.json) {
    Json json;
    json_open(&json);
    json_compile(&json, info);
    json_close(&json);
  } else if (!bench->command->options.quiet) {
    int32_t threads = bench->call.threads->count;
    printf("%s\ntemplate %s, %s%starget %s\n", info->graph, info->template_, info->schedule,
           info->schedule[0] != '\0' ? ", " : "", info->target);
    printf("measured peak %.1f Gflop/s, bandwidth %.1f GB/s, %d thread%s%s\n", peak, bandwidth, threads,
           threads == 1 ? "" : "s", bench->peer_count > 0 ? "; peers compute the product only" : "");
  }
}

/* Times the probes, Kiln and the peers in turns (bench/harness/interleave.c) and prints a row for each. */
static int measure(Bench *bench) {
  enum { FIXED = 4 };
  BenchCase cases[FIXED + MAX_PEERS] = {bench_peak_case(bench->peak),
                                        bench_stream_case(bench->stream),
                                        {.name = "kiln " KILN_VERSION, .run = run_kiln, .ctx = bench}};
  PeerRun runs[MAX_PEERS];
  int count = 3;
  for (int i = 0; i < bench->peer_count; ++i) {
    const char *refusal = peer_refusal(bench, &bench->peers[i]);
    if (refusal != NULL) {
      fprintf(stderr, "kiln: %s is left out: %s\n", bench->peers[i].name, refusal);
      continue;
    }
    bench->peers[i].set_threads(bench->call.threads->count);
    runs[i] = peer_run(bench, &bench->peers[i]);
    cases[count++] = (BenchCase){.name = bench->peers[i].name, .run = run_peer, .ctx = &runs[i]};
  }
  if (bench->typed_peak != NULL) cases[count++] = bench_peak_case(bench->typed_peak);
  int64_t seconds = bench->command->options.seconds;
  if (!bench_interleave(cases, count, seconds < 0 ? 2 : (double)seconds))
    return complain_status("timing", KILN_OUT_OF_MEMORY, NULL);
  double peak = bench_peak_flops(bench->peak) / cases[0].median_us * 1e-3;
  if (bench->typed_peak != NULL) {
    double typed = bench_peak_flops(bench->typed_peak) / cases[count - 1].median_us * 1e-3;
    if (!bench->command->options.quiet && !bench->command->options.json)
      printf("measured peak of these types %.1f Gop/s\n", typed);
    if (typed > peak) peak = typed;
    --count;
  }
  double bandwidth = bench_stream_bytes(bench->stream) / cases[1].median_us * 1e-3;
  kiln_kernel_info info;
  kiln_kernel_describe(bench->kernel, &info);
  print_compile(bench, &info, peak, bandwidth);
  for (int i = 2; i < count; ++i) print_row(bench, &cases[i], &info, peak, bandwidth, cases[2].median_us);
  return EXIT_GOOD;
}

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
  return bench_peak_create(session->engine, target, threads, a.tensor.type, b.tensor.type, on_tiles, &bench->typed_peak,
                           &session->message);
}

/* Everything up to the first call, which also starts the threads and shows whether the call is sound. */
static int prepare(Bench *bench) {
  Session *session = &bench->session;
  kiln_status result = kiln_compile(session->engine, session->graph, &session->compile, &bench->kernel);
  if (result != KILN_OK) return complain_status("compile", result, &session->message);
  int status = data_create(session, bench->command, &bench->data);
  if (status == EXIT_GOOD) status = data_pack(session, bench->kernel, &bench->data);
  if (status == EXIT_GOOD) status = open_peers(bench);
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
  bench->peer_result = malloc((elements + 1) * sizeof(float));
  if (bench->peer_result == NULL) return complain_status("operands", KILN_OUT_OF_MEMORY, NULL);
  const char *target = bench->command->options.target;
  result = create_peaks(bench, target);
  if (result == KILN_OK)
    result = bench_stream_create(session->engine, target, bench->call.threads, &bench->stream, &session->message);
  return result == KILN_OK ? EXIT_GOOD : complain_status("probe", result, &session->message);
}

/* Also of a bench that was prepared in part. */
static void release(Bench *bench) {
  bench_peak_destroy(bench->peak);
  bench_peak_destroy(bench->typed_peak);
  bench_stream_destroy(bench->stream);
  for (size_t i = 0; i < MAX_INPUTS; ++i)
    for (int c = 0; c < MAX_COPIES; ++c) free(bench->copies[i][c]);
  free(bench->peer_result);
  for (int i = 0; i < bench->peer_count; ++i) bench_peer_close(&bench->peers[i]);
  data_destroy(&bench->data);
  kiln_kernel_release(bench->kernel);
  session_close(&bench->session);
  free(bench);
}

int cmd_bench(const Command *command) {
  Bench *bench = calloc(1, sizeof *bench);
  if (bench == NULL) return complain_status("bench", KILN_OUT_OF_MEMORY, NULL);
  bench->command = command;
  int status = session_open(command, true, &bench->session);
  if (status == EXIT_GOOD && command->options.seconds == 0) status = complain("--seconds is 0, expected at least 1");
  if (status == EXIT_GOOD && bench->session.graph->inputs.count > MAX_INPUTS)
    status = complain("the graph has more than %d inputs", MAX_INPUTS);
  if (status == EXIT_GOOD) status = prepare(bench);
  if (status == EXIT_GOOD) status = measure(bench);
  release(bench);
  return status;
}
