/* onednn.c: oneDNN's matmul primitive as a peer: Debian's 2.x or the 3.x of PyPI's onednn-cpu-gomp. No header is
 * needed: the few functions and numbers used are declared here, the same in both but for making descriptors, which 2.x
 * initialises in memory of the caller's and 3.x allocates. A constant B is reordered into the layout the primitive asks
 * for. Builds whose CPU runtime is not OpenMP are refused, as their threads cannot be set (PyPI's `onednn` runs on
 * SYCL, half a millisecond a call). */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { CPU = 1, IN_ORDER = 1, ANY_LAYOUT = 1, RUNTIME_OPENMP = 2, QUERY_IMPLEMENTATION = 8, QUERY_WEIGHTS = 131 };
enum { ARG_SOURCE = 1, ARG_RESULT = 17, ARG_WEIGHTS = 33 };
enum { DESCRIPTOR_BYTES = 32768 }; /* of any descriptor of 2.x, generously */

typedef struct Version {
  int major, minor, patch;
  const char *hash;
  unsigned cpu_runtime, gpu_runtime;
} Version;

typedef struct Argument {
  int argument;
  void *memory;
} Argument;

/* Handles are opaque pointers; functions give 0 when all is well. */
typedef struct OneDnn {
  const Version *(*version)(void);
  void (*set_threads)(int threads);
  int (*engine_create)(void **engine, int kind, size_t index);
  int (*engine_destroy)(void *engine);
  int (*stream_create)(void **stream, void *engine, unsigned flags);
  int (*stream_destroy)(void *stream);
  int (*stream_wait)(void *stream);
  int (*memory_create)(void **memory, const void *descriptor, void *engine, void *data);
  int (*memory_set)(void *memory, void *data);
  int (*memory_destroy)(void *memory);
  size_t (*descriptor_bytes)(const void *descriptor);
  int (*same_descriptor)(const void *x, const void *y);
  const void *(*query_descriptor)(const void *plan, int what, int index);
  int (*query)(const void *plan, int what, int index, void *result);
  int (*plan_destroy)(void *plan);
  int (*reorder_plan)(void **plan, const void *from, void *from_engine, const void *to, void *to_engine, void *attr);
  int (*primitive_create)(void **primitive, const void *plan);
  int (*primitive_destroy)(void *primitive);
  int (*execute)(const void *primitive, void *stream, int count, const Argument *arguments);
  /* 2.x */
  int (*init_strides)(void *descriptor, int rank, const int64_t *dims, int type, const int64_t *strides);
  int (*init_tag)(void *descriptor, int rank, const int64_t *dims, int type, int tag);
  int (*init_matmul)(void *operation, const void *a, const void *b, const void *bias, const void *c);
  int (*plan_create)(void **plan, const void *operation, void *attr, void *engine, const void *hint);
  /* 3.x */
  int (*create_strides)(void **descriptor, int rank, const int64_t *dims, int type, const int64_t *strides);
  int (*create_tag)(void **descriptor, int rank, const int64_t *dims, int type, int tag);
  int (*destroy_descriptor)(void *descriptor);
  int (*matmul_plan)(void **plan, void *engine, const void *a, const void *b, const void *bias, const void *c,
                     void *attr);
  void *engine, *stream;
} OneDnn;

/* A product as a primitive with its operands. `data` is what the memory of B points to. */
typedef struct Matmul {
  void *plan, *primitive, *a, *b, *c;
  const void *data;
} Matmul;

/* Of ONEDNN_MAX_CPU_ISA, which limits and never raises. 2.x does not know those of FP16. */
static const char *isa_name(BenchIsa isa, int major) {
  static const char *const names[BENCH_ISA_COUNT] = {
      [BENCH_ISA_AVX2] = "AVX2",
      [BENCH_ISA_AVX2_VNNI] = "AVX2_VNNI",
      [BENCH_ISA_AVX2_VNNI_INT8] = "AVX2_VNNI_2",
      [BENCH_ISA_AVX512] = "AVX512_CORE",
      [BENCH_ISA_AVX512_VNNI] = "AVX512_CORE_VNNI",
      [BENCH_ISA_AVX512_BF16] = "AVX512_CORE_BF16",
      [BENCH_ISA_AVX512_FP16] = "AVX512_CORE_FP16",
      [BENCH_ISA_AMX] = "AVX512_CORE_AMX",
      [BENCH_ISA_AMX_FP16] = "AVX512_CORE_AMX_FP16",
  };
  if (major < 3 && isa == BENCH_ISA_AVX2_VNNI_INT8) isa = BENCH_ISA_AVX2_VNNI;
  if (major < 3 && isa == BENCH_ISA_AVX512_FP16) isa = BENCH_ISA_AVX512_BF16;
  if (major < 3 && isa == BENCH_ISA_AMX_FP16) isa = BENCH_ISA_AMX;
  return names[isa];
}

/* Those of both versions, and those of the one loaded; the others stay NULL, which tells them apart later. */
static bool find_symbols(BenchPeer *peer, OneDnn *dnn) {
  const BenchSymbol both[] = {
      {"omp_set_num_threads", &dnn->set_threads},
      {"dnnl_engine_create", &dnn->engine_create},
      {"dnnl_engine_destroy", &dnn->engine_destroy},
      {"dnnl_stream_create", &dnn->stream_create},
      {"dnnl_stream_destroy", &dnn->stream_destroy},
      {"dnnl_stream_wait", &dnn->stream_wait},
      {"dnnl_memory_create", &dnn->memory_create},
      {"dnnl_memory_set_data_handle", &dnn->memory_set},
      {"dnnl_memory_destroy", &dnn->memory_destroy},
      {"dnnl_memory_desc_get_size", &dnn->descriptor_bytes},
      {"dnnl_memory_desc_equal", &dnn->same_descriptor},
      {"dnnl_primitive_desc_query_md", &dnn->query_descriptor},
      {"dnnl_primitive_desc_query", &dnn->query},
      {"dnnl_primitive_desc_destroy", &dnn->plan_destroy},
      {"dnnl_reorder_primitive_desc_create", &dnn->reorder_plan},
      {"dnnl_primitive_create", &dnn->primitive_create},
      {"dnnl_primitive_destroy", &dnn->primitive_destroy},
      {"dnnl_primitive_execute", &dnn->execute},
  };
  const BenchSymbol second[] = {
      {"dnnl_memory_desc_init_by_strides", &dnn->init_strides},
      {"dnnl_memory_desc_init_by_tag", &dnn->init_tag},
      {"dnnl_matmul_desc_init", &dnn->init_matmul},
      {"dnnl_primitive_desc_create", &dnn->plan_create},
  };
  const BenchSymbol third[] = {
      {"dnnl_memory_desc_create_with_strides", &dnn->create_strides},
      {"dnnl_memory_desc_create_with_tag", &dnn->create_tag},
      {"dnnl_memory_desc_destroy", &dnn->destroy_descriptor},
      {"dnnl_matmul_primitive_desc_create", &dnn->matmul_plan},
  };
  bool is_third = dnn->version()->major >= 3;
  return bench_peer_symbols(peer, both, sizeof both / sizeof *both) &&
         bench_peer_symbols(peer, is_third ? third : second, sizeof third / sizeof *third);
}

static void open_onednn(BenchPeer *peer, const char *file) {
  static const char *const files[] = {"libdnnl.so.3", "libdnnl.so.2", NULL};
  if (!bench_peer_load(peer, file, files, "Debian: libdnnl2, or ./dev bench --peers")) return;
  OneDnn *dnn = peer->state = calloc(1, sizeof *dnn);
  const BenchSymbol version = {"dnnl_version", dnn != NULL ? &dnn->version : NULL};
  if (dnn == NULL || !bench_peer_symbols(peer, &version, 1)) return;
  const Version *v = dnn->version();
  if (v->major != 2 && v->major != 3)
    snprintf(peer->absent, sizeof peer->absent, "it is of version %d, expected 2 or 3", v->major);
  else if (v->cpu_runtime != RUNTIME_OPENMP)
    snprintf(peer->absent, sizeof peer->absent, "version %d.%d is not built for OpenMP", v->major, v->minor);
  if (peer->absent[0] != '\0' || !find_symbols(peer, dnn)) return;
  /* Read at the first use of an engine or primitive. */
  if (peer->isa != BENCH_ISA_BEST) setenv("ONEDNN_MAX_CPU_ISA", isa_name(peer->isa, v->major), 0);
  snprintf(peer->name, sizeof peer->name, "onednn %d.%d.%d", v->major, v->minor, v->patch);
  if (dnn->engine_create(&dnn->engine, CPU, 0) != 0 || dnn->stream_create(&dnn->stream, dnn->engine, IN_ORDER) != 0)
    snprintf(peer->absent, sizeof peer->absent, "its engine could not be created");
}

static void close_onednn(BenchPeer *peer) {
  OneDnn *dnn = peer->state;
  if (dnn->stream != NULL) dnn->stream_destroy(dnn->stream);
  if (dnn->engine != NULL) dnn->engine_destroy(dnn->engine);
  free(dnn);
}

static void set_threads(const BenchPeer *peer, int threads) {
  const OneDnn *dnn = peer->state;
  dnn->set_threads(threads);
}

/* dnnl_data_type_t; 0: another. */
static int type_number(kiln_type type) {
  switch ((int)type) {
  case KILN_F16: return 1;
  case KILN_BF16: return 2;
  case KILN_F32: return 3;
  case KILN_I32: return 4;
  case KILN_I8: return 5;
  case KILN_U8: return 6;
  default: return 0;
  }
}

/* Rows x columns of a type; `ld` 0: in the layout that the primitive asks for. NULL: impossible. */
static void *make_descriptor(const OneDnn *dnn, kiln_type type, int64_t rows, int64_t columns, int64_t ld,
                             bool transposed) {
  const int64_t dims[2] = {rows, columns}, strides[2] = {transposed ? 1 : ld, transposed ? ld : 1};
  void *descriptor = NULL;
  int number = type_number(type), status;
  if (dnn->create_strides != NULL)
    status = ld == 0 ? dnn->create_tag(&descriptor, 2, dims, number, ANY_LAYOUT)
                     : dnn->create_strides(&descriptor, 2, dims, number, strides);
  else if ((descriptor = calloc(1, DESCRIPTOR_BYTES)) == NULL) return NULL;
  else
    status = ld == 0 ? dnn->init_tag(descriptor, 2, dims, number, ANY_LAYOUT)
                     : dnn->init_strides(descriptor, 2, dims, number, strides);
  return status == 0 ? descriptor : NULL;
}

static void destroy_descriptor(const OneDnn *dnn, void *descriptor) {
  if (dnn->destroy_descriptor == NULL) free(descriptor);
  else if (descriptor != NULL) dnn->destroy_descriptor(descriptor);
}

/* A primitive descriptor: oneDNN's decision how to compute. False: it cannot. */
static bool make_plan(const OneDnn *dnn, const void *a, const void *b, const void *c, void **plan) {
  if (dnn->matmul_plan != NULL) return dnn->matmul_plan(plan, dnn->engine, a, b, NULL, c, NULL) == 0;
  void *operation = calloc(1, DESCRIPTOR_BYTES);
  bool good = operation != NULL && dnn->init_matmul(operation, a, b, NULL, c) == 0 &&
              dnn->plan_create(plan, operation, NULL, dnn->engine, NULL) == 0;
  free(operation);
  return good;
}

/* Memory of constant operands is only read. */
static void *unconst(const void *data) {
  void *plain;
  memcpy(&plain, &data, sizeof plain);
  return plain;
}

/* "brg:avx512_core_vnni" behind the name: what really runs. */
static void name_job(BenchJob *job, const OneDnn *dnn, const Matmul *matmul) {
  const char *text = NULL;
  if (dnn->query(matmul->plan, QUERY_IMPLEMENTATION, 0, (void *)&text) == 0 && text != NULL)
    snprintf(job->name, sizeof job->name, "%s %s%s", job->peer->name, text, job->packed_bytes > 0 ? " packed" : "");
}

/* `b` is the plain layout, or any: what the plan then asks for is what memory of B is made of. */
static bool make_matmul(BenchJob *job, Matmul *matmul, const void *a, const void *b, const void *c) {
  const BenchProduct *p = &job->product;
  const OneDnn *dnn = job->peer->state;
  if (!make_plan(dnn, a, b, c, &matmul->plan)) return false;
  const void *wanted = dnn->query_descriptor(matmul->plan, QUERY_WEIGHTS, 0);
  if (p->b_is_const) job->packed_bytes = dnn->descriptor_bytes(wanted);
  name_job(job, dnn, matmul);
  matmul->data = p->b;
  return dnn->primitive_create(&matmul->primitive, matmul->plan) == 0 &&
         dnn->memory_create(&matmul->a, a, dnn->engine, unconst(p->a)) == 0 &&
         dnn->memory_create(&matmul->b, wanted, dnn->engine, unconst(p->b)) == 0 &&
         dnn->memory_create(&matmul->c, c, dnn->engine, p->c) == 0;
}

/* Whether a product is supported is the plan's to say: it depends on version, instructions and layout. */
static void prepare(BenchJob *job) {
  const BenchProduct *p = &job->product;
  const OneDnn *dnn = job->peer->state;
  if (p->m == 0 || p->n == 0 || p->k == 0) {
    bench_refuse(job, "the product is empty");
    return;
  }
  Matmul *matmul = job->state = calloc(1, sizeof *matmul);
  void *a = make_descriptor(dnn, p->a_type, p->m, p->k, p->lda, p->a_transposed);
  void *b = make_descriptor(dnn, p->b_type, p->k, p->n, p->b_is_const ? 0 : p->ldb, p->b_transposed);
  void *c = make_descriptor(dnn, p->c_type, p->m, p->n, p->ldc, false);
  bool good = matmul != NULL && a != NULL && b != NULL && c != NULL && make_matmul(job, matmul, a, b, c);
  if (!good) bench_refuse(job, "it has no matmul of these types and layouts on this CPU");
  destroy_descriptor(dnn, a);
  destroy_descriptor(dnn, b);
  destroy_descriptor(dnn, c);
}

/* A reorder primitive; made each time, as this is outside of what is timed. */
static void pack(BenchJob *job, void *packed) {
  const BenchProduct *p = &job->product;
  const OneDnn *dnn = job->peer->state;
  const Matmul *matmul = job->state;
  const void *wanted = dnn->query_descriptor(matmul->plan, QUERY_WEIGHTS, 0);
  void *plain = make_descriptor(dnn, p->b_type, p->k, p->n, p->ldb, p->b_transposed);
  void *plan = NULL, *primitive = NULL, *from = NULL, *to = NULL;
  bool good = plain != NULL && dnn->reorder_plan(&plan, plain, dnn->engine, wanted, dnn->engine, NULL) == 0 &&
              dnn->primitive_create(&primitive, plan) == 0 &&
              dnn->memory_create(&from, plain, dnn->engine, unconst(p->b)) == 0 &&
              dnn->memory_create(&to, wanted, dnn->engine, packed) == 0;
  const Argument arguments[] = {{ARG_SOURCE, from}, {ARG_RESULT, to}};
  good = good && dnn->execute(primitive, dnn->stream, 2, arguments) == 0 && dnn->stream_wait(dnn->stream) == 0;
  if (!good) memset(packed, 0xff, job->packed_bytes); /* the check of the result refuses it */
  if (from != NULL) dnn->memory_destroy(from);
  if (to != NULL) dnn->memory_destroy(to);
  if (primitive != NULL) dnn->primitive_destroy(primitive);
  if (plan != NULL) dnn->plan_destroy(plan);
  destroy_descriptor(dnn, plain);
}

/* Memory of B moves to the copy whose turn it is. */
static void run(const BenchJob *job, const void *b) {
  const OneDnn *dnn = job->peer->state;
  Matmul *matmul = job->state;
  if (b != matmul->data) {
    dnn->memory_set(matmul->b, unconst(b));
    matmul->data = b;
  }
  const Argument arguments[] = {{ARG_SOURCE, matmul->a}, {ARG_WEIGHTS, matmul->b}, {ARG_RESULT, matmul->c}};
  dnn->execute(matmul->primitive, dnn->stream, 3, arguments);
  dnn->stream_wait(dnn->stream);
}

static void finish(BenchJob *job) {
  const OneDnn *dnn = job->peer->state;
  Matmul *matmul = job->state;
  if (matmul->a != NULL) dnn->memory_destroy(matmul->a);
  if (matmul->b != NULL) dnn->memory_destroy(matmul->b);
  if (matmul->c != NULL) dnn->memory_destroy(matmul->c);
  if (matmul->primitive != NULL) dnn->primitive_destroy(matmul->primitive);
  if (matmul->plan != NULL) dnn->plan_destroy(matmul->plan);
  free(matmul);
}

const BenchPeerOps bench_onednn = {.open = open_onednn,
                                   .close = close_onednn,
                                   .set_threads = set_threads,
                                   .prepare = prepare,
                                   .pack = pack,
                                   .run = run,
                                   .finish = finish};
