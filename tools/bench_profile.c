/* bench_profile.c: kiln bench --profile: in which lines of its tile IR a kernel spends its time. Samples are of the
 * calling thread; an instruction that waits is found more often, and so is the one behind it. They are of a kernel
 * compiled anew by an engine with KILN_PROFILE_LINES, so that what is timed is what users get. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench.h"

static const double least_share = 0.005; /* of a line that is shown */

/* Samples by line; those of line 0 are outside of the kernel, or in code that belongs to no line. */
typedef struct Profile {
  const char *text; /* the tile IR */
  size_t *counts, line_count, total;
} Profile;

static size_t count_lines(const char *text) {
  size_t lines = 1;
  for (; *text != '\0'; ++text) lines += *text == '\n';
  return lines;
}

static bool count_samples(const kiln_kernel *kernel, const BenchSamples *samples, Profile *profile) {
  profile->line_count = count_lines(profile->text) + 1;
  profile->counts = calloc(profile->line_count, sizeof *profile->counts);
  if (profile->counts == NULL) return false;
  for (size_t i = 0; i < samples->count; ++i) {
    int32_t line = kiln_kernel_line(kernel, samples->list[i]);
    profile->counts[(size_t)line < profile->line_count ? (size_t)line : 0]++;
  }
  profile->total = samples->count;
  return true;
}

static double share_of(const Profile *profile, size_t line) {
  return profile->total > 0 ? (double)profile->counts[line] / (double)profile->total : 0;
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void print_row(const Report *report, const Measured *measured, double share, size_t line, const char *text,
                      int length) {
  if (!report->json) {
    printf("%7.1f %% %5zu  %.*s\n", 100 * share, line, length, text);
    return;
  }
  Text source;
  text_init(&source, NULL);
  text_printf(&source, "%.*s", length, text);
  Json json;
  report_begin_json(report, measured, &json);
  json_number(&json, "line", (double)line);
  json_number(&json, "share", share);
  json_string(&json, "text", text_get(&source));
  json_close(&json);
  text_release(&source);
}

/* Lines in their order, so that loops can be seen; line 0 is what belongs to none; the rest in one number. */
static void print(const Report *report, const Measured *measured, const Profile *profile) {
  const char *at = profile->text;
  double rest = 0;
  if (report->json) print_row(report, measured, share_of(profile, 0), 0, "", 0);
  else printf("profile of %zu samples, by line of the tile IR\n", profile->total);
  for (size_t line = 1; line < profile->line_count; ++line) {
    size_t length = strcspn(at, "\n");
    double share = share_of(profile, line);
    if (share >= least_share) print_row(report, measured, share, line, at, (int)length);
    else rest += share;
    at += length + (at[length] == '\n');
  }
  if (!report->json)
    printf("%7.1f %%        in other lines, %.1f %% in none of them\n", 100 * rest, 100 * share_of(profile, 0));
}

static kiln_status sample(const Profiled *what, const Measured *measured, const Report *report) {
  Session *session = what->session;
  kiln_buffer tile = {0};
  BenchSamples samples = {0};
  Profile profile = {.text = NULL};
  kiln_status status = kiln_dump(what->engine, session->graph, &session->compile, KILN_STAGE_TILE, &tile);
  if (status == KILN_OK) status = bench_sample(what->run, what->ctx, what->seconds, &samples);
  profile.text = tile.data;
  if (status == KILN_OK && !count_samples(what->kernel, &samples, &profile)) status = KILN_OUT_OF_MEMORY;
  if (status == KILN_OK) print(report, measured, &profile);
  bench_samples_release(&samples);
  free(profile.counts);
  kiln_buffer_free(&tile);
  return status;
}

int bench_profile(const Profiled *what, const Measured *measured, const Report *report) {
  kiln_status status = sample(what, measured, report);
  if (status == KILN_UNSUPPORTED) return complain("--profile: no timer's signal comes in this process");
  return status == KILN_OK ? EXIT_GOOD : complain_status("profile", status, &what->session->message);
}
