/* cmd_cpu.c: kiln cpu: this machine as Kiln sees it, and what it can do as measured.
 *
 * The probes are kernels written in tile IR and compiled by Kiln (bench/harness/machine.c), interleaved for a second,
 * so both figures hold for the same moment of a machine that others may use. */
#include <stdio.h>

#include "bench/bench.h"
#include "tools/command.h"

typedef struct Measured {
  double peak_gflops, bandwidth_gbs;
} Measured;

/* On the threads of --threads; a failure to compile a probe is a fault, never a figure of 0. */
static int measure(kiln_engine *engine, const kiln_threads *threads, Measured *measured) {
  BenchPeak *peak = NULL;
  BenchStream *stream = NULL;
  kiln_buffer message = {0};
  kiln_status status = bench_peak_create(engine, NULL, threads, KILN_F32, KILN_F32, false, &peak, &message);
  if (status == KILN_OK) status = bench_stream_create(engine, NULL, threads, &stream, &message);
  if (status == KILN_OK) {
    BenchCase cases[2] = {bench_peak_case(peak), bench_stream_case(stream)};
    if (!bench_interleave(cases, 2, threads->count, 1)) status = KILN_OUT_OF_MEMORY;
    measured->peak_gflops = bench_peak_flops(peak) / cases[0].median_us * 1e-3;
    measured->bandwidth_gbs = bench_stream_bytes(stream) / cases[1].median_us * 1e-3;
  }
  bench_peak_destroy(peak);
  bench_stream_destroy(stream);
  if (status != KILN_OK) return complain_status("measuring", status, &message);
  kiln_buffer_free(&message);
  return EXIT_GOOD;
}

static void print_cpu(const Command *command, const kiln_cpu *cpu, const kiln_threads *threads,
                      const Measured *measured) {
  if (command->options.json) {
    Json json;
    json_open(&json);
    json_string(&json, "cpu", cpu->name);
    json_string(&json, "target", cpu->target);
    json_string(&json, "features", cpu->features);
    json_number(&json, "cores", cpu->cores);
    json_number(&json, "l1d_bytes", cpu->l1d_bytes);
    json_number(&json, "l2_bytes", cpu->l2_bytes);
    json_number(&json, "l3_bytes", cpu->l3_bytes);
    json_number(&json, "threads", threads->count);
    json_number(&json, "peak_gflops", measured->peak_gflops);
    json_number(&json, "bandwidth_gbs", measured->bandwidth_gbs);
    json_close(&json);
    return;
  }
  printf("cpu        %s, %d core%s\n", cpu->name, cpu->cores, cpu->cores == 1 ? "" : "s");
  printf("target     %s\n", cpu->target);
  printf("features   %s\n", cpu->features);
  printf("caches     L1d %u KiB, L2 %u KiB, L3 %u KiB\n", cpu->l1d_bytes >> 10, cpu->l2_bytes >> 10,
         cpu->l3_bytes >> 10);
  printf("measured   %.1f Gflop/s f32, %.1f GB/s read, %d thread%s\n", measured->peak_gflops, measured->bandwidth_gbs,
         threads->count, threads->count == 1 ? "" : "s");
}

int cmd_cpu(const Command *command) {
  kiln_engine *engine;
  int status = expect_arguments(command, 0);
  if (status == EXIT_GOOD) status = engine_open(command, &engine);
  if (status != EXIT_GOOD) return status;
  const kiln_threads *threads = chosen_threads(command, engine);
  kiln_cpu cpu;
  Measured measured = {0, 0};
  kiln_status result = kiln_engine_cpu(engine, &cpu);
  status = result == KILN_OK ? measure(engine, threads, &measured) : complain_status("cpu", result, NULL);
  if (status == EXIT_GOOD) print_cpu(command, &cpu, threads, &measured);
  kiln_engine_destroy(engine);
  return status;
}
