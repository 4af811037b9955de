/* bench.h: what the files behind `kiln bench` share: one comparison (bench_line.c) and what is printed of it
 * (bench_report.c); and what compiling takes (bench_compile.c). */
#ifndef KILN_TOOLS_BENCH_H
#define KILN_TOOLS_BENCH_H

#include "bench/bench.h"
#include "tools/command.h"

enum { MAX_PEERS = 8, MAX_MEANS = 16 };

/* The libraries of --against, opened once a process; lines of a suite share them. */
typedef struct Peers {
  BenchPeer list[MAX_PEERS];
  char names[MAX_PEERS][128]; /* as --against spells them */
  char targets[MAX_PEERS][64];
  int count;
} Peers;

/* Of one type, over the lines of a suite. */
typedef struct Mean {
  char type[24];
  double log_sum, least_log_sum; /* of the ratios to the best peer of each line, by medians and by least samples */
  int count, behind;
} Mean;

/* What is printed: rows as JSON objects, a table line for each line of a suite, or a block for a single graph. */
typedef struct Report {
  const char *suite; /* "": a single graph */
  bool json, quiet;
  bool has_header;
  Text said; /* refusals already printed */
  Mean means[MAX_MEANS];
  int mean_count;
  struct Compiled *compiled; /* of --compile, over all suites (bench_compile.c) */
  size_t compiled_count, compiled_capacity;
} Report;

/* What was measured of one graph. The first `own` of the cases are Kiln's. */
typedef struct Measured {
  const Session *session;
  const kiln_kernel_info *info;
  const kiln_product *product; /* NULL: the graph has none */
  const BenchCase *cases;
  int count, own, threads;
  double peak_flops, typed_flops; /* a second; typed: of the product's own types, 0 where they are f32 */
  double bandwidth;               /* bytes a second */
  bool has_peers;
} Measured;

/* One comparison: compiles, prepares peers, measures in turns, reports. */
int bench_line(const Command *command, Peers *peers, Report *report);
void peers_close(Peers *peers);

/* The same for --compile: compiles only, and says what it took. */
int bench_compile(const Command *command, Report *report);
/* Prints the totals of --compile, where there are any. */
void bench_compile_close(Report *report);

/* Runs a call of the kernel again and again, and says in which lines of its tile IR it was found (--profile). */
typedef struct Profiled {
  Session *session;
  kiln_engine *engine; /* makes kernels that know their lines … */
  kiln_kernel *kernel; /* … such as this, of the session's graph */
  void (*run)(void *ctx);
  void *ctx;
  double seconds;
} Profiled;
int bench_profile(const Profiled *what, const Measured *measured, const Report *report);

/* A report's life: begins for a graph or a suite, ends with the means of the suite; what --compile found stays. */
void report_open(Report *report, const Command *command, const char *suite);
void report_refusal(Report *report, const char *peer, const char *why); /* once each in a suite */
void report_line(Report *report, const Measured *measured);
/* Whether the fastest peer is faster than Kiln. */
bool report_is_behind(const Measured *measured);
/* Begins a JSON object with what says which line of which suite it is of. */
void report_begin_json(const Report *report, const Measured *measured, Json *json);
void report_close(Report *report);
/* The product's types, `f32` or `u8*i8`; without a product the first input's. */
void report_type(const Measured *measured, Text *out);
/* `384 3072 768 B' plain +gelu`: sizes, whether B is transposed, whether it may be packed, the last operation. */
void report_label(const Measured *measured, Text *out);

#endif
