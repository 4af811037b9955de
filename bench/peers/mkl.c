/* mkl.c: Intel's MKL as a peer (PyPI's mkl), through its CBLAS, its functions that pack B ahead and, for small
 * products, the kernels it generates. Of bytes it takes u8 by i8 only, where A is row-major. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/peers/cblas.h"

enum { PACKED = 151, B_MATRIX = 162, FIXED_OFFSET = 173, SMALL = 64 * 64 * 64 };

typedef size_t PackSize(int identifier, int m, int n, int k);
typedef void PackF32(int order, int identifier, int transpose, int m, int n, int k, float alpha, const float *source,
                     int ld, float *packed);
typedef void Pack(int order, int identifier, int transpose, int m, int n, int k, const void *source, int ld,
                  void *packed);
typedef void ComputeF32(int order, int transpose_a, int transpose_b, int m, int n, int k, const float *a, int lda,
                        const float *b, int ldb, float beta, float *c, int ldc);
/* bf16 and f16 with f32 results; the same for packed B. */
typedef void Multiply16(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const void *a,
                        int lda, const void *b, int ldb, float beta, float *c, int ldc);
typedef void Multiply8(int order, int transpose_a, int transpose_b, int offset, int m, int n, int k, float alpha,
                       const void *a, int lda, signed char ao, const void *b, int ldb, signed char bo, float beta,
                       int32_t *c, int ldc, const int32_t *co);

typedef void Small(void *jitter, const float *a, const float *b, float *c);
typedef struct SmallJob {
  void *jitter;
  Small *function;
} SmallJob;

typedef struct Mkl {
  /* A kernel generated for one small product: 0 is success. */
  int (*jit_create)(void **jitter, int order, int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                    float alpha, size_t lda, size_t ldb, float beta, size_t ldc);
  Small *(*jit_function)(const void *jitter);
  int (*jit_destroy)(void *jitter);
  Sgemm *f32;
  ComputeF32 *f32_compute;
  PackF32 *f32_pack;
  Multiply16 *bf16, *bf16_compute, *f16, *f16_compute;
  Multiply8 *u8i8, *u8i8_compute;
  Pack *bf16_pack, *f16_pack, *u8i8_pack;
  PackSize *f32_size, *bf16_size, *f16_size, *u8i8_size;
  void (*set_threads)(int threads);
  void (*version)(char *text, int length);
} Mkl;

/* Of MKL_ENABLE_INSTRUCTIONS; it enables up to what the CPU has. */
static const char *const isa_names[BENCH_ISA_COUNT] = {
    [BENCH_ISA_AVX2] = "AVX2",
    [BENCH_ISA_AVX2_VNNI] = "AVX2_E1",
    [BENCH_ISA_AVX2_VNNI_INT8] = "AVX2_E1",
    [BENCH_ISA_AVX512] = "AVX512",
    [BENCH_ISA_AVX512_VNNI] = "AVX512_E1",
    [BENCH_ISA_AVX512_BF16] = "AVX512_E3",
    [BENCH_ISA_AVX512_FP16] = "AVX512_E3",
    [BENCH_ISA_AMX] = "AVX512_E4",
    [BENCH_ISA_AMX_FP16] = "AVX512_E5",
};

/* Variables are read when the library is loaded or first called, so they come first. MKL_DYNAMIC would lower the thread
 * count by its own opinion. */
static void open_mkl(BenchPeer *peer, const char *file) {
  static const char *const files[] = {"libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so", NULL};
  setenv("MKL_INTERFACE_LAYER", "LP64", 1);
  setenv("MKL_THREADING_LAYER", "GNU", 0);
  setenv("MKL_DYNAMIC", "FALSE", 0);
  if (peer->isa != BENCH_ISA_BEST) setenv("MKL_ENABLE_INSTRUCTIONS", isa_names[peer->isa], 0);
  if (!bench_peer_load(peer, file, files, "PyPI: mkl, see ./dev bench --peers")) return;
  Mkl *mkl = peer->state = calloc(1, sizeof *mkl);
  if (mkl == NULL) return;
  const BenchSymbol symbols[] = {
      {"cblas_sgemm", &mkl->f32},
      {"cblas_sgemm_compute", &mkl->f32_compute},
      {"cblas_sgemm_pack", &mkl->f32_pack},
      {"cblas_sgemm_pack_get_size", &mkl->f32_size},
      {"cblas_gemm_bf16bf16f32", &mkl->bf16},
      {"cblas_gemm_bf16bf16f32_compute", &mkl->bf16_compute},
      {"cblas_gemm_bf16bf16f32_pack", &mkl->bf16_pack},
      {"cblas_gemm_bf16bf16f32_pack_get_size", &mkl->bf16_size},
      {"cblas_gemm_f16f16f32", &mkl->f16},
      {"cblas_gemm_f16f16f32_compute", &mkl->f16_compute},
      {"cblas_gemm_f16f16f32_pack", &mkl->f16_pack},
      {"cblas_gemm_f16f16f32_pack_get_size", &mkl->f16_size},
      {"cblas_gemm_s8u8s32", &mkl->u8i8},
      {"cblas_gemm_s8u8s32_compute", &mkl->u8i8_compute},
      {"cblas_gemm_s8u8s32_pack", &mkl->u8i8_pack},
      {"cblas_gemm_s8u8s32_pack_get_size", &mkl->u8i8_size},
      {"mkl_cblas_jit_create_sgemm", &mkl->jit_create},
      {"mkl_jit_get_sgemm_ptr", &mkl->jit_function},
      {"mkl_jit_destroy", &mkl->jit_destroy},
      {"MKL_Set_Num_Threads", &mkl->set_threads},
      {"MKL_Get_Version_String", &mkl->version},
  };
  if (!bench_peer_symbols(peer, symbols, sizeof symbols / sizeof *symbols)) return;
  char text[200] = "", version[32] = "?";
  mkl->version(text, sizeof text - 1);
  const char *at = strstr(text, "Version ");
  if (at != NULL) sscanf(at, "Version %31[0-9.]", version);
  snprintf(peer->name, sizeof peer->name, "mkl %s%s%s", version, peer->isa != BENCH_ISA_BEST ? " " : "",
           peer->isa != BENCH_ISA_BEST ? isa_names[peer->isa] : "");
}

static void close_mkl(BenchPeer *peer) { free(peer->state); }

static void set_threads(const BenchPeer *peer, int threads) {
  const Mkl *mkl = peer->state;
  mkl->set_threads(threads);
}

/* Exactly these types: MKL converts nothing. */
static bool is_pair(const BenchProduct *p, kiln_type a, kiln_type b, kiln_type c) {
  return p->a_type == a && p->b_type == b && p->c_type == c;
}

/* Where MKL does not generate code for this size, the job stays without state. */
static void generate_small(BenchJob *job, const Mkl *mkl) {
  const BenchProduct *p = &job->product;
  SmallJob *small = calloc(1, sizeof *small);
  if (small == NULL) return;
  int status = mkl->jit_create(&small->jitter, ROW_MAJOR, p->a_transposed ? TRANSPOSED : PLAIN,
                               p->b_transposed ? TRANSPOSED : PLAIN, (size_t)p->m, (size_t)p->n, (size_t)p->k, 1.0F,
                               (size_t)p->lda, (size_t)p->ldb, 0.0F, (size_t)p->ldc);
  if (status == 0) {
    small->function = mkl->jit_function(small->jitter);
    job->state = small;
    strcat(job->name, " jit");
    return;
  }
  if (small->jitter != NULL) mkl->jit_destroy(small->jitter);
  free(small);
}

static void prepare(BenchJob *job) {
  const BenchProduct *p = &job->product;
  const Mkl *mkl = job->peer->state;
  PackSize *size = is_pair(p, KILN_F32, KILN_F32, KILN_F32)     ? mkl->f32_size
                   : is_pair(p, KILN_BF16, KILN_BF16, KILN_F32) ? mkl->bf16_size
                   : is_pair(p, KILN_F16, KILN_F16, KILN_F32)   ? mkl->f16_size
                   : is_pair(p, KILN_U8, KILN_I8, KILN_I32)     ? mkl->u8i8_size
                                                                : NULL;
  if (size == NULL) {
    bench_refuse(job, "it multiplies f32, bf16 and f16 to f32, and u8 by i8 to i32");
    return;
  }
  if (p->a_type == KILN_F32 && p->m * p->n * p->k <= SMALL && job->threads == 1) generate_small(job, mkl);
  if (!p->b_is_const || job->state != NULL) return;
  job->packed_bytes = size(B_MATRIX, (int)p->m, (int)p->n, (int)p->k);
  strcat(job->name, " packed");
}

/* Packed B belongs to these sizes, this m among them. */
static void pack(BenchJob *job, void *packed) {
  const BenchProduct *p = &job->product;
  const Mkl *mkl = job->peer->state;
  int transpose = p->b_transposed ? TRANSPOSED : PLAIN, m = (int)p->m, n = (int)p->n, k = (int)p->k, ld = (int)p->ldb;
  if (p->b_type == KILN_F32) mkl->f32_pack(ROW_MAJOR, B_MATRIX, transpose, m, n, k, 1.0F, p->b, ld, packed);
  else if (p->b_type == KILN_BF16) mkl->bf16_pack(ROW_MAJOR, B_MATRIX, transpose, m, n, k, p->b, ld, packed);
  else if (p->b_type == KILN_F16) mkl->f16_pack(ROW_MAJOR, B_MATRIX, transpose, m, n, k, p->b, ld, packed);
  else mkl->u8i8_pack(ROW_MAJOR, B_MATRIX, transpose, m, n, k, p->b, ld, packed);
}

static void run(const BenchJob *job, const void *b) {
  const BenchProduct *p = &job->product;
  const Mkl *mkl = job->peer->state;
  bool is_packed = job->packed_bytes > 0;
  int ta = p->a_transposed ? TRANSPOSED : PLAIN, tb = is_packed ? PACKED : p->b_transposed ? TRANSPOSED : PLAIN;
  int m = (int)p->m, n = (int)p->n, k = (int)p->k, lda = (int)p->lda, ldb = (int)p->ldb, ldc = (int)p->ldc;
  static const int32_t no_offset = 0;
  const SmallJob *small = job->state;
  if (small != NULL) small->function(small->jitter, p->a, b, p->c);
  else if (p->b_type == KILN_F32 && is_packed)
    mkl->f32_compute(ROW_MAJOR, ta, tb, m, n, k, p->a, lda, b, ldb, 0.0F, p->c, ldc);
  else if (p->b_type == KILN_F32) mkl->f32(ROW_MAJOR, ta, tb, m, n, k, 1.0F, p->a, lda, b, ldb, 0.0F, p->c, ldc);
  else if (p->b_type == KILN_BF16)
    (is_packed ? mkl->bf16_compute : mkl->bf16)(ROW_MAJOR, ta, tb, m, n, k, 1.0F, p->a, lda, b, ldb, 0.0F, p->c, ldc);
  else if (p->b_type == KILN_F16)
    (is_packed ? mkl->f16_compute : mkl->f16)(ROW_MAJOR, ta, tb, m, n, k, 1.0F, p->a, lda, b, ldb, 0.0F, p->c, ldc);
  else
    (is_packed ? mkl->u8i8_compute : mkl->u8i8)(ROW_MAJOR, ta, tb, FIXED_OFFSET, m, n, k, 1.0F, p->a, lda, 0, b, ldb, 0,
                                                0.0F, p->c, ldc, &no_offset);
}

static void finish(BenchJob *job) {
  const Mkl *mkl = job->peer->state;
  SmallJob *small = job->state;
  mkl->jit_destroy(small->jitter);
  free(small);
}

const BenchPeerOps bench_mkl = {.open = open_mkl,
                                .close = close_mkl,
                                .set_threads = set_threads,
                                .prepare = prepare,
                                .pack = pack,
                                .run = run,
                                .finish = finish};
