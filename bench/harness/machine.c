/* machine.c: what this machine can do, measured with kernels written in tile IR: multiply-adds in registers, and
 * reading. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "kiln/tile.h"

enum { PEAK_LOOPS = 4000, PEAK_STEPS = 8, PEAK_PRODUCTS = 4 };

/* A tile kernel compiled and ready: its buffers and the pool it runs on. */
typedef struct Probe {
  kiln_tile *tile;
  kiln_tile_code *code;
  kiln_entry *entry;
  kiln_args args;
  void *buffers[3];
  const kiln_threads *threads;
  int64_t tasks;
} Probe;

struct BenchPeak {
  Probe probe;
  int rows, columns, depth;
  bool varies; /* another A for each product */
};

struct BenchStream {
  Probe probe;
  size_t bytes;
};

static void run_task(void *arg, int64_t index) {
  const Probe *probe = arg;
  probe->entry(&probe->args, index);
}

static void run_probe(void *ctx) {
  Probe *probe = ctx;
  if (probe->tasks == 1) run_task(probe, 0);
  else probe->threads->parallel_for(probe->threads->ctx, probe->tasks, run_task, probe);
}

static kiln_status probe_compile(kiln_engine *engine, const char *target, const char *text, Probe *probe,
                                 kiln_buffer *message) {
  kiln_status status = kiln_tile_parse(text, strlen(text), NULL, &probe->tile, message);
  if (status == KILN_OK) status = kiln_tile_compile(engine, probe->tile, target, &probe->code, message);
  if (status != KILN_OK) return status;
  void *function = kiln_tile_function(probe->code, "probe");
  memcpy(&probe->entry, &function, sizeof function);
  probe->args.buffers = (void *const *)probe->buffers;
  return KILN_OK;
}

static void probe_release(Probe *probe) {
  kiln_tile_code_release(probe->code);
  kiln_tile_destroy(probe->tile);
  free(probe->buffers[0]);
  free(probe->buffers[1]);
  free(probe->buffers[2]);
}

static int vector_bits(const char *target, kiln_engine *engine) {
  kiln_cpu cpu;
  if (target == NULL && kiln_engine_cpu(engine, &cpu) == KILN_OK) target = cpu.target;
  return kiln_target_vector_bits(target);
}

/* A register tile that fills the vector unit (8 chains at least) with all operands in registers: 5x4 vectors and 9
 * operands of 32 registers, 3x3 and 6 of 16. */
static void peak_shape(const char *target, kiln_engine *engine, int *rows, int *columns) {
  int bits = vector_bits(target, engine);
  *rows = bits == 512 ? 5 : 3;
  *columns = (bits == 512 ? 4 : 3) * bits / 32;
}

/* Room for `count` elements of any type, in whole cache lines. */
static void *zeros(size_t count) {
  size_t bytes = count * sizeof(double);
  void *data = bench_allocate(bytes);
  return data != NULL ? memset(data, 0, bytes) : NULL;
}

/* Steps of k that 32 bits of an operand hold: what one vector instruction can multiply. */
static int depth_of(kiln_type type) {
  if (type == KILN_BF16 || type == KILN_F16) return 2;
  return type == KILN_I8 || type == KILN_U8 ? 4 : 1;
}

/* Columns of A that the products of bytes go round in, a multiple of PEAK_PRODUCTS of them. */
static int peak_columns_of_a(const BenchPeak *peak) {
  return peak->varies ? peak->depth * PEAK_PRODUCTS * 16 : peak->depth;
}

/* Tile registers are loaded next to their use, in the shadow of products; vectors once, in front of the loop. Bytes
 * take another A for each product: without an instruction that also adds up, LLVM would take out of the loop products
 * whose factors stay the same. */
static void peak_text(const BenchPeak *peak, kiln_type a, kiln_type b, bool on_tiles, char *text, size_t size) {
  int r = peak->rows, c = peak->columns, d = peak->depth;
  const char *a_name = kiln_type_name(a), *b_name = kiln_type_name(b);
  const char *acc = depth_of(a) == 4 && depth_of(b) == 4 ? "i32" : a == KILN_F64 ? "f64" : "f32";
  char load_a[128], load_b[128], products[768] = "";
  snprintf(load_a, sizeof load_a, "    %%fa = frag_load %%a[0, 0] : frag<a, %dx%d, %s>\n", r, d, a_name);
  snprintf(load_b, sizeof load_b, "    %%fb = frag_load %%b[0, 0] : frag<b, %dx%d, %s>\n", d, c, b_name);
  for (int i = 0; i < PEAK_PRODUCTS; ++i) {
    size_t at = strlen(products);
    if (peak->varies)
      snprintf(products + at, sizeof products - at,
               "    %%fa%d = frag_load %%a[0, %d * (%%p %% 16) + %d] : frag<a, %dx%d, %s>\n", i, d * PEAK_PRODUCTS,
               d * i, r, d, a_name);
    at = strlen(products);
    snprintf(products + at, sizeof products - at, "    %%t%d = mma %%t%d, %%fa", i + 1, i);
    at = strlen(products);
    if (peak->varies) snprintf(products + at, sizeof products - at, "%d, %%fb\n", i);
    else snprintf(products + at, sizeof products - at, ", %%fb\n");
  }
  snprintf(
      text, size,
      "kernel @probe(%%a: buf<%s, [%d, %d]>, %%b: buf<%s, [%d, %d], col_panel %dx%d>, %%y: buf<%s, [64, %d, %d]>)\n"
      "    tasks %d {\n"
      "  %%zero = frag_zero : frag<acc, %dx%d, %s>\n"
      "%s%s"
      "  %%acc = for %%p = 0 to %d step 1 carry %%t0 = %%zero {\n"
      "%s%s%s"
      "    yield %%t%d\n"
      "  }\n"
      "  frag_store %%acc, %%y[%%task %% 64, 0, 0]\n"
      "}\n",
      a_name, r, peak_columns_of_a(peak), b_name, d, c, c, on_tiles ? d / 16 : d, acc, r, c,
      (int)peak->probe.threads->count, r, c, acc, on_tiles || peak->varies ? "" : load_a, on_tiles ? "" : load_b,
      PEAK_LOOPS * PEAK_STEPS / PEAK_PRODUCTS, on_tiles ? load_a : "", on_tiles ? load_b : "", products, PEAK_PRODUCTS);
}

kiln_status bench_peak_create(kiln_engine *engine, const char *target, const kiln_threads *threads, kiln_type a,
                              kiln_type b, bool on_tiles, BenchPeak **out, kiln_buffer *message) {
  BenchPeak *peak = calloc(1, sizeof *peak);
  if (peak == NULL) return KILN_OUT_OF_MEMORY;
  peak_shape(target, engine, &peak->rows, &peak->columns);
  peak->depth = depth_of(a) < depth_of(b) ? depth_of(a) : depth_of(b);
  peak->varies = peak->depth == 4 && !on_tiles;
  if (a == KILN_F64) peak->columns /= 2;
  if (on_tiles) peak->rows = peak->columns = 32, peak->depth *= 16;
  peak->probe.threads = threads;
  peak->probe.tasks = threads->count;
  char text[2048];
  peak_text(peak, a, b, on_tiles, text, sizeof text);
  size_t counts[3] = {(size_t)(peak->rows * peak_columns_of_a(peak)), (size_t)(peak->depth * peak->columns),
                      64 * (size_t)(peak->rows * peak->columns)};
  for (int i = 0; i < 3; ++i) peak->probe.buffers[i] = zeros(counts[i]);
  bool has_memory = peak->probe.buffers[0] && peak->probe.buffers[1] && peak->probe.buffers[2];
  kiln_status status = has_memory ? KILN_OK : KILN_OUT_OF_MEMORY;
  if (status == KILN_OK) status = probe_compile(engine, target, text, &peak->probe, message);
  if (status != KILN_OK) bench_peak_destroy(peak);
  else *out = peak;
  return status;
}

void bench_peak_destroy(BenchPeak *peak) {
  if (peak == NULL) return;
  probe_release(&peak->probe);
  free(peak);
}

BenchCase bench_peak_case(BenchPeak *peak) {
  return (BenchCase){.name = "peak", .run = run_probe, .ctx = &peak->probe};
}

double bench_peak_flops(const BenchPeak *peak) {
  return 2.0 * peak->rows * peak->columns * peak->depth * PEAK_LOOPS * PEAK_STEPS * (double)peak->probe.tasks;
}

/* Eight rows at once: the prefetchers of a core follow several streams, and one alone got 14 GB/s where eight get 23
 * (bench/results/bandwidth.md). */
kiln_status bench_stream_create(kiln_engine *engine, const char *target, const kiln_threads *threads, BenchStream **out,
                                kiln_buffer *message) {
  enum { ROW = 16384, ROWS = 4096, STREAMS = 8 };
  char text[1024];
  int width = vector_bits(target, engine) / 32;
  snprintf(text, sizeof text,
           "kernel @probe(%%x: buf<f32, [%d, %d]>, %%y: buf<f32, [%d, 64]>)\n"
           "    tasks %d {\n"
           "  %%zero = tile_const 0 : tile<%dx%d, f32>\n"
           "  %%sum = for %%j = 0 to %d step %d carry %%s = %%zero {\n"
           "    %%x0 = tile_load %%x[%d * %%task, %%j] : tile<%dx%d, f32>\n"
           "    %%t = tile_add %%s, %%x0\n"
           "    yield %%t\n"
           "  }\n"
           "  %%one = tile_row_sum %%sum\n"
           "  tile_store %%one, %%y[%d * %%task, 0]\n"
           "}\n",
           ROWS, ROW, ROWS, ROWS / STREAMS, STREAMS, width, ROW, width, STREAMS, STREAMS, width, STREAMS);
  BenchStream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) return KILN_OUT_OF_MEMORY;
  stream->bytes = (size_t)ROW * ROWS * sizeof(float);
  stream->probe.threads = threads;
  stream->probe.tasks = ROWS / STREAMS;
  stream->probe.buffers[0] = bench_allocate(stream->bytes);
  stream->probe.buffers[1] = calloc((size_t)ROWS * 64, sizeof(float));
  kiln_status status =
      stream->probe.buffers[0] != NULL && stream->probe.buffers[1] != NULL ? KILN_OK : KILN_OUT_OF_MEMORY;
  if (status == KILN_OK) {
    memset(stream->probe.buffers[0], 0, stream->bytes);
    status = probe_compile(engine, target, text, &stream->probe, message);
  }
  if (status != KILN_OK) bench_stream_destroy(stream);
  else *out = stream;
  return status;
}

void bench_stream_destroy(BenchStream *stream) {
  if (stream == NULL) return;
  probe_release(&stream->probe);
  free(stream);
}

BenchCase bench_stream_case(BenchStream *stream) {
  return (BenchCase){.name = "stream", .run = run_probe, .is_cold = true, .ctx = &stream->probe};
}

double bench_stream_bytes(const BenchStream *stream) { return (double)stream->bytes; }
