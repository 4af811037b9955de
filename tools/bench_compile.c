/* bench_compile.c: kiln bench --compile: how long it takes to make a graph's kernel, cold and from the disk, stage by
 * stage, and how many objects a suite comes to. Nothing is run.
 *
 * Each figure is the median of a few compiles by the clock on the wall; the first of a process, which also sets up
 * LLVM, is thereby left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"

enum { REPEATS = 7, LABEL_BYTES = 48, KEY_BYTES = 65 };

/* What one compile came to. */
typedef struct Sample {
  double ms;
  kiln_compile_times times;
} Sample;

/* A line of the table. */
typedef struct Compiled {
  char type[24], label[LABEL_BYTES], key[KEY_BYTES];
  Sample cold, disk; /* disk.ms 0: not measured */
} Compiled;

static int by_ms(const void *a, const void *b) {
  double x = ((const Sample *)a)->ms, y = ((const Sample *)b)->ms;
  return (x > y) - (x < y);
}

/* The median of REPEATS compiles of one kind; the info of the last one lives as long as *kernel. */
static int sample(Session *session, kiln_cache_hit expected, Sample *median, kiln_kernel **kernel,
                  kiln_kernel_info *info) {
  Sample samples[REPEATS];
  session->compile.no_cache = expected == KILN_COLD;
  for (int i = 0; i < REPEATS; ++i) {
    kiln_kernel_release(*kernel);
    *kernel = NULL;
    kiln_engine_trim(session->engine);
    kiln_status status = kiln_compile(session->engine, session->graph, &session->compile, kernel);
    if (status != KILN_OK) return complain_status("compile", status, &session->message);
    kiln_kernel_describe(*kernel, info);
    if (info->cache != expected && i > 0) return complain("the disk cache does not keep what it is given");
    samples[i] = (Sample){info->compile_ms, info->times};
  }
  qsort(samples, REPEATS, sizeof *samples, by_ms);
  *median = samples[REPEATS / 2];
  return EXIT_GOOD;
}

/* ---- one line ---------------------------------------------------------------------------------------------------- */

static void print_json(const Report *report, const Compiled *compiled, kiln_kernel_info info) {
  Json json;
  json_open(&json);
  json_string(&json, "suite", report->suite);
  json_string(&json, "graph", info.graph);
  json_string(&json, "type", compiled->type);
  info.cache = KILN_COLD;
  info.compile_ms = compiled->cold.ms;
  json_compile(&json, &info);
#define KILN_COMPILE_STAGE(name, meaning) json_number(&json, #name "_ms", compiled->cold.times.name);
#include "kiln/stages.def"
#undef KILN_COMPILE_STAGE
  json_number(&json, "disk_ms", compiled->disk.ms);
  json_string(&json, "key", info.key);
  json_close(&json);
}

static void print_line(Report *report, const Compiled *compiled, size_t object_bytes) {
  if (!report->has_header) {
    printf("%-8s %-32s %7s", "type", "m n k", "cold ms");
#define KILN_COMPILE_STAGE(name, meaning) printf(" %8s", #name);
#include "kiln/stages.def"
#undef KILN_COMPILE_STAGE
    printf(" %7s %7s  object\n", "disk ms", "KiB");
  }
  report->has_header = true;
  printf("%-8s %-32s %7.2f", compiled->type, compiled->label, compiled->cold.ms);
#define KILN_COMPILE_STAGE(name, meaning) printf(" %8.3f", compiled->cold.times.name);
#include "kiln/stages.def"
#undef KILN_COMPILE_STAGE
  printf(" %7.3f %7.1f  %.8s\n", compiled->disk.ms, (double)object_bytes / 1024, compiled->key);
}

static void copy(Text *text, char *out, size_t out_bytes) {
  snprintf(out, out_bytes, "%s", text_get(text));
  text_clear(text);
}

static void describe(Session *session, const kiln_kernel_info *info, Compiled *out) {
  kiln_product product;
  bool has_product = session->bound && kiln_graph_product(session->graph, session->symbols, &product) == KILN_OK;
  const Measured line = {.session = session, .info = info, .product = has_product ? &product : NULL};
  Text text;
  text_init(&text, NULL);
  report_type(&line, &text);
  copy(&text, out->type, sizeof out->type);
  report_label(&line, &text);
  copy(&text, out->label, sizeof out->label);
  snprintf(out->key, sizeof out->key, "%s", info->key);
  text_release(&text);
}

static int measure(Session *session, bool asks_disk, Report *report, kiln_kernel **kernel) {
  Compiled compiled = {.disk = {0}};
  kiln_kernel_info info;
  int status = sample(session, KILN_COLD, &compiled.cold, kernel, &info);
  if (status == EXIT_GOOD && asks_disk) status = sample(session, KILN_DISK, &compiled.disk, kernel, &info);
  if (status != EXIT_GOOD) return status;
  describe(session, &info, &compiled);
  if (report->json) print_json(report, &compiled, info);
  else print_line(report, &compiled, info.object_bytes);
  fflush(stdout);
  if (report->compiled_count == report->compiled_capacity) {
    size_t capacity = report->compiled_capacity * 2 + 64;
    Compiled *grown = realloc(report->compiled, capacity * sizeof *grown);
    if (grown == NULL) return complain_status("bench", KILN_OUT_OF_MEMORY, NULL);
    report->compiled = grown;
    report->compiled_capacity = capacity;
  }
  report->compiled[report->compiled_count++] = compiled;
  return EXIT_GOOD;
}

int bench_compile(const Command *command, Report *report) {
  Session session;
  kiln_kernel *kernel = NULL;
  int status = session_open(command, false, &session);
  if (status != EXIT_GOOD) return status;
  bool asks_disk = !command->options.no_cache && kiln_cache_directory(session.engine)[0] != '\0';
  status = measure(&session, asks_disk, report, &kernel);
  kiln_kernel_release(kernel);
  session_close(&session);
  return status;
}

/* ---- of a type, over all lines ----------------------------------------------------------------------------------- */

/* Of the lines of one type: how many are within a limit, the median and the most. */
typedef struct Summary {
  double median, most;
  int within, count;
} Summary;

static int by_number(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static Summary summarize(const Report *report, const char *type, bool of_disk, double limit, double *scratch) {
  Summary summary = {0};
  for (size_t i = 0; i < report->compiled_count; ++i) {
    const Compiled *c = &report->compiled[i];
    double ms = of_disk ? c->disk.ms : c->cold.ms;
    if (strcmp(c->type, type) != 0 || ms <= 0) continue;
    scratch[summary.count++] = ms;
    summary.within += ms < limit;
  }
  if (summary.count == 0) return summary;
  qsort(scratch, (size_t)summary.count, sizeof *scratch, by_number);
  summary.median = scratch[summary.count / 2];
  summary.most = scratch[summary.count - 1];
  return summary;
}

/* Different objects of a type: of lines with the same key the first counts. */
static int count_objects(const Report *report, const char *type) {
  int count = 0;
  for (size_t i = 0; i < report->compiled_count; ++i) {
    bool is_first = strcmp(report->compiled[i].type, type) == 0;
    for (size_t j = 0; j < i && is_first; ++j) is_first = strcmp(report->compiled[j].key, report->compiled[i].key) != 0;
    count += is_first;
  }
  return count;
}

static void print_type(const Report *report, const char *type, double *scratch) {
  Summary cold = summarize(report, type, false, 20, scratch), disk = summarize(report, type, true, 0.3, scratch);
  printf("%s: %d kernels in %d objects; cold %.1f ms (median), %.0f %% under 20, at most %.1f", type, cold.count,
         count_objects(report, type), cold.median, 100.0 * cold.within / cold.count, cold.most);
  if (disk.count > 0)
    printf("; from the disk %.3f ms, %.0f %% under 0.3, at most %.3f", disk.median, 100.0 * disk.within / disk.count,
           disk.most);
  printf("\n");
}

void bench_compile_close(Report *report) {
  double *scratch = calloc(report->compiled_count + 1, sizeof *scratch);
  for (size_t i = 0; scratch != NULL && !report->json && i < report->compiled_count; ++i) {
    bool is_first = true;
    for (size_t j = 0; j < i; ++j) is_first &= strcmp(report->compiled[j].type, report->compiled[i].type) != 0;
    if (is_first) print_type(report, report->compiled[i].type, scratch);
  }
  free(scratch);
  free(report->compiled);
}
