/* bench_report.c: what `kiln bench` prints: a row for each implementation as JSON or as text, a line of a table for
 * each line of a suite, and geometric means of the ratio to the best peer.
 *
 * Rates and shares come from the product's operations alone, whatever else the graph computes, so peers compare. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/bench.h"

void report_open(Report *report, const Command *command, const char *suite) {
  *report = (Report){.suite = suite,
                     .json = command->options.json,
                     .quiet = command->options.quiet,
                     .compiled = report->compiled,
                     .compiled_count = report->compiled_count,
                     .compiled_capacity = report->compiled_capacity};
  text_init(&report->said, NULL);
}

void report_refusal(Report *report, const char *peer, const char *why) {
  Text line;
  text_init(&line, NULL);
  text_printf(&line, "kiln: %s is left out: %s\n", peer, why);
  if (strstr(text_get(&report->said), text_get(&line)) == NULL) {
    fputs(text_get(&line), stderr);
    text_add(&report->said, text_get(&line));
  }
  text_release(&line);
}

/* ---- what a line is ---------------------------------------------------------------------------------------------- */

void report_type(const Measured *measured, Text *out) {
  const kiln_graph *graph = measured->session->graph;
  const int *inputs = graph->inputs.items;
  size_t a = measured->product != NULL ? measured->product->a : 0,
         b = measured->product != NULL ? measured->product->b : 0;
  kiln_type first = graph_node(graph, inputs[a])->type, second = graph_node(graph, inputs[b])->type;
  text_add(out, kiln_type_name(first));
  if (first != second) text_printf(out, "*%s", kiln_type_name(second));
}

/* The symbols bound, then those of m, n and k that are none. */
static void add_dims(const Measured *measured, Text *out) {
  print_dims(measured->session, out);
  const kiln_product *p = measured->product;
  if (p == NULL) return;
  const char *const names[] = {"m", "n", "k"};
  const int64_t sizes[] = {p->m, p->n, p->k};
  for (int i = 0; i < 3; ++i) {
    bool is_symbol = false;
    for (size_t s = 0; s < kiln_graph_symbol_count(measured->session->graph); ++s)
      is_symbol |= strcmp(kiln_graph_symbol_name(measured->session->graph, s), names[i]) == 0;
    if (!is_symbol) text_printf(out, "%s%s=%lld", out->length > 0 ? " " : "", names[i], (long long)sizes[i]);
  }
}

void report_label(const Measured *measured, Text *out) {
  const kiln_product *p = measured->product;
  const kiln_graph *graph = measured->session->graph;
  const Node *last = graph_node(graph, graph->outputs.items[0]);
  if (p == NULL) {
    text_printf(out, "%.40s", measured->info->graph);
    return;
  }
  text_printf(out, "%5lld %5lld %5lld", (long long)p->m, (long long)p->n, (long long)p->k);
  if (p->b_transposed) text_add(out, " B'");
  if (!graph_node(graph, graph->inputs.items[p->b])->is_const) text_add(out, " plain");
  if (last->op != KILN_OP_MATMUL) text_printf(out, " +%s", graph_op_info(last->op)->spelling);
}

/* Compulsory traffic: every input and output once. */
static double graph_bytes(const Session *session) {
  const kiln_graph *graph = session->graph;
  double bytes = 0;
  for (size_t i = 0; i < graph->inputs.count + graph->outputs.count; ++i) {
    const Node *node = graph_node(graph, i < graph->inputs.count ? graph->inputs.items[i]
                                                                 : graph->outputs.items[i - graph->inputs.count]);
    double count = 1;
    for (int axis = 0; axis < node->shape.rank; ++axis)
      count *= (double)dim_value(node->shape.dims[axis], session->symbols);
    bytes += count * type_bits(node->type) / 8;
  }
  return bytes;
}

/* What one implementation reached. */
typedef struct Row {
  double gops, peak_share, bandwidth_share;
} Row;

static Row row_of(const Measured *measured, const BenchCase *c) {
  const kiln_product *p = measured->product;
  double flops = p != NULL ? 2.0 * (double)(p->batch * p->m * p->n * p->k) : 0, seconds = c->median_us * 1e-6;
  return (Row){.gops = flops / seconds * 1e-9,
               .peak_share = flops / seconds / fmax(measured->peak_flops, measured->typed_flops),
               .bandwidth_share = graph_bytes(measured->session) / seconds / measured->bandwidth};
}

/* NULL where there is none. */
static const BenchCase *fastest(const BenchCase *cases, int count) {
  const BenchCase *best = NULL;
  for (int i = 0; i < count; ++i)
    if (best == NULL || cases[i].median_us < best->median_us) best = &cases[i];
  return best;
}

static double least_of(const BenchCase *cases, int count) {
  double least = INFINITY;
  for (int i = 0; i < count; ++i) least = fmin(least, cases[i].least_us);
  return least;
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

/* The fields and their order are public (docs/measuring.md). */
void report_begin_json(const Report *report, const Measured *measured, Json *json) {
  Text dims, type;
  text_init(&dims, NULL);
  text_init(&type, NULL);
  add_dims(measured, &dims);
  report_type(measured, &type);
  json_open(json);
  json_string(json, "suite", report->suite);
  json_string(json, "graph", measured->info->graph);
  json_string(json, "dims", text_get(&dims));
  json_string(json, "type", text_get(&type));
  json_number(json, "threads", measured->threads);
  text_release(&dims);
  text_release(&type);
}

/* An object for the compile goes before the rows. */
static void print_json(const Report *report, const Measured *measured) {
  Json json;
  json_open(&json);
  json_compile(&json, measured->info);
  json_close(&json);
  for (int i = 0; i < measured->count; ++i) {
    const BenchCase *c = &measured->cases[i];
    Row row = row_of(measured, c);
    report_begin_json(report, measured, &json);
    json_string(&json, "impl", c->name);
    json_number(&json, "us", c->median_us);
    json_number(&json, "least_us", c->least_us);
    json_number(&json, "spread", c->spread);
    json_number(&json, "gops", row.gops);
    json_number(&json, "peak_share", row.peak_share);
    json_number(&json, "bandwidth_share", row.bandwidth_share);
    json_close(&json);
  }
}

/* One graph: what was compiled, what the shares are of, and a row for each implementation. */
static void print_block(const Report *report, const Measured *measured) {
  const kiln_kernel_info *info = measured->info;
  if (!report->quiet) {
    printf("%s\ntemplate %s, %s%starget %s\n", info->graph, info->template_, info->schedule,
           info->schedule[0] != '\0' ? ", " : "", info->target);
    printf("measured peak %.1f Gflop/s, bandwidth %.1f GB/s, %d thread%s%s\n", measured->peak_flops * 1e-9,
           measured->bandwidth * 1e-9, measured->threads, measured->threads == 1 ? "" : "s",
           measured->has_peers ? "; peers compute the product only" : "");
    if (measured->typed_flops > 0) printf("measured peak of these types %.1f Gop/s\n", measured->typed_flops * 1e-9);
  }
  const BenchCase *kiln = fastest(measured->cases, measured->own);
  double least = least_of(measured->cases, measured->own);
  for (int i = 0; i < measured->count; ++i) {
    const BenchCase *c = &measured->cases[i];
    Row row = row_of(measured, c);
    printf("%-40s %11.2f us  +-%4.1f %%  %8.1f Gop/s  %5.1f %% of peak  %5.1f %% of bandwidth", c->name, c->median_us,
           100 * c->spread, row.gops, 100 * row.peak_share, 100 * row.bandwidth_share);
    if (i >= measured->own)
      printf("  kiln is %.2fx, %.2fx by the least", c->median_us / kiln->median_us, c->least_us / least);
    printf("\n");
  }
}

/* Means are kept by type; types beyond the table are printed but not averaged. */
static void add_ratio(Report *report, const char *type, double ratio, double least) {
  Mean *mean = NULL;
  for (int i = 0; i < report->mean_count; ++i)
    if (strcmp(report->means[i].type, type) == 0) mean = &report->means[i];
  if (mean == NULL && report->mean_count == MAX_MEANS) return;
  if (mean == NULL) {
    mean = &report->means[report->mean_count++];
    snprintf(mean->type, sizeof mean->type, "%s", type);
  }
  mean->log_sum += log(ratio);
  mean->least_log_sum += log(least);
  mean->count += 1;
  mean->behind += ratio < 1;
}

/* A line of a suite: Kiln's faster way of being called, against the fastest peer. */
static void print_table_line(Report *report, const Measured *measured) {
  if (!report->has_header)
    printf("%-8s %-32s %11s %5s %6s %6s %11s %5s %6s %6s  %s\n", "type", "m n k", "kiln us", "+-%", "%peak", "%bandw",
           "peer us", "+-%", "ratio", "least", "best peer");
  report->has_header = true;
  Text type, label;
  text_init(&type, NULL);
  text_init(&label, NULL);
  report_type(measured, &type);
  report_label(measured, &label);
  const BenchCase *kiln = fastest(measured->cases, measured->own);
  const BenchCase *peer = fastest(measured->cases + measured->own, measured->count - measured->own);
  Row row = row_of(measured, kiln);
  printf("%-8s %-32s %11.2f %5.1f %6.1f %6.1f", text_get(&type), text_get(&label), kiln->median_us, 100 * kiln->spread,
         100 * row.peak_share, 100 * row.bandwidth_share);
  if (peer != NULL) {
    double ratio = peer->median_us / kiln->median_us,
           least = least_of(measured->cases + measured->own, measured->count - measured->own) /
                   least_of(measured->cases, measured->own);
    printf(" %11.2f %5.1f %6.2f %6.2f  %s\n", peer->median_us, 100 * peer->spread, ratio, least, peer->name);
    add_ratio(report, text_get(&type), ratio, least);
  } else {
    printf(" %11s %5s %6s %6s  none\n", "-", "-", "-", "-");
  }
  text_release(&type);
  text_release(&label);
}

bool report_is_behind(const Measured *measured) {
  const BenchCase *peer = fastest(measured->cases + measured->own, measured->count - measured->own);
  return peer != NULL && peer->median_us < fastest(measured->cases, measured->own)->median_us;
}

void report_line(Report *report, const Measured *measured) {
  if (report->json) print_json(report, measured);
  else if (report->suite[0] != '\0') print_table_line(report, measured);
  else print_block(report, measured);
  fflush(stdout); /* a suite takes minutes: what is measured is seen, and stays if the rest is stopped */
}

void report_close(Report *report) {
  for (int i = 0; i < report->mean_count; ++i) {
    const Mean *mean = &report->means[i];
    printf(
        "%s, %s: %.3f times the best peer of each of %d lines (geometric mean; %.3f by the least samples), behind in "
        "%d\n",
        report->suite, mean->type, exp(mean->log_sum / mean->count), mean->count,
        exp(mean->least_log_sum / mean->count), mean->behind);
  }
  text_release(&report->said);
}
