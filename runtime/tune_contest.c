/* tune_contest.c: which of some candidates is the fastest, on a machine that is never quiet.
 *
 * Candidates are measured in turns, in groups with the reference before and after; what counts is an entrant's ratio to
 * the two references around it, so that a slow second slows both. A group whose references differ too much does not
 * count, nor does a sample in which the thread was not on its core. Medians and median absolute deviations stand
 * against what is left. Of the many the best half goes on; the last are measured anew, since the best of many was lucky
 * too, and only a gain beyond the noise wins. Knows nothing of kernels: a test runs it on a clock of its own. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/tune.h"

enum { GROUP = 12, FIRST_PASSES = 2, MANY = 64, DUEL_LEAST = 11, DUEL_MOST = 40 };
/* References that differ more were disturbed; a thread that had less of its core was not alone; a gain below a third of
 * a percent is none, whatever the statistics say. */
static const double most_drift = 0.15, least_share = 0.9, least_gain = 0.0033;
/* Of the best: not worth a second look; of very many, one is enough of a look. */
static const double far_behind = 1.4, far_behind_many = 1.12;

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right) {
  double x = *(const double *)left, y = *(const double *)right;
  return (x > y) - (x < y);
}

static double median_of(double *numbers, size_t count) {
  qsort(numbers, count, sizeof *numbers, compare);
  return count % 2 ? numbers[count / 2] : (numbers[count / 2 - 1] + numbers[count / 2]) / 2;
}

/* Median of at most CONTEST_SAMPLES numbers and their median absolute deviation. */
static double center_of(const double *numbers, size_t count, double *deviation) {
  double sorted[CONTEST_SAMPLES];
  memcpy(sorted, numbers, count * sizeof *sorted);
  double median = median_of(sorted, count);
  for (size_t i = 0; i < count; ++i) sorted[i] = fabs(numbers[i] - median);
  *deviation = median_of(sorted, count);
  return median;
}

static void judge(Entrant *e) {
  /* For a normal distribution: the standard deviation from the MAD, and the error of a median from that of a mean. */
  static const double of_deviation = 1.4826, of_median = 1.2533;
  double deviation;
  size_t kept = e->count < CONTEST_SAMPLES ? e->count : CONTEST_SAMPLES;
  if (kept == 0) return; /* what was known of it before holds */
  e->judged = kept;
  e->median = center_of(e->seconds, kept, &deviation);
  e->spread = deviation / e->median;
  e->ratio = center_of(e->ratios, kept, &deviation);
  e->error = 2 * of_deviation * of_median * deviation / sqrt((double)kept);
  e->faster = 0;
  for (size_t i = 0; i < kept; ++i) e->faster += e->ratios[i] < 1;
}

static void keep_sample(Entrant *e, double seconds, double ratio) {
  e->seconds[e->count % CONTEST_SAMPLES] = seconds;
  e->ratios[e->count % CONTEST_SAMPLES] = ratio;
  ++e->count;
}

/* Beyond the error of the median, and faster so often as chance would have it once in a thousand times (three standard
 * deviations of a coin): the deviation of few samples is too uncertain to be trusted alone. */
bool contest_wins(const Entrant *e) {
  double coins = (double)e->judged;
  bool is_no_chance = (double)e->faster >= coins / 2 + 1.5 * sqrt(coins);
  return e->judged >= DUEL_LEAST && is_no_chance && e->ratio + e->error < 1 && e->ratio < 1 - least_gain;
}

size_t contest_best(const Contest *contest) {
  size_t best = 0;
  for (size_t i = 1; i < contest->count; ++i) {
    const Entrant *e = &contest->entrants[i];
    if (e->is_out || e->judged == 0) continue;
    if (best == 0 || e->ratio < contest->entrants[best].ratio) best = i;
  }
  return best;
}

/* ---- passes ------------------------------------------------------------------------------------------------------ */

/* Seconds of one call. Where the thread was not alone on its core the time is taken again, unless that is so most of
 * the time; then what the core gave it counts. */
static double time_one(Contest *contest, size_t entrant) {
  enum { TRIES = 3 };
  Sample sample = {0, 0};
  for (int i = 0; i < TRIES; ++i) {
    sample = contest->measure(contest->ctx, entrant);
    ++contest->measured;
    if (sample.cpu < 0 || sample.cpu >= least_share * sample.wall) return sample.wall;
    ++contest->disturbed;
    if (2 * contest->disturbed > contest->measured) break;
  }
  return sample.cpu;
}

typedef enum GroupEnd { GROUP_COUNTS, GROUP_DISTURBED, GROUP_STOPPED } GroupEnd;

/* Up to GROUP entrants between two measurements of the reference. */
static GroupEnd time_group_once(Contest *contest, const size_t *entrants, size_t count) {
  double times[GROUP];
  if (!contest->goes_on(contest->ctx)) return GROUP_STOPPED;
  double before = time_one(contest, 0);
  for (size_t i = 0; i < count; ++i) {
    if (!contest->goes_on(contest->ctx)) return GROUP_STOPPED;
    times[i] = time_one(contest, entrants[i]);
  }
  double after = time_one(contest, 0), beside = (before + after) / 2;
  if (fabs(before - after) > most_drift * beside) return GROUP_DISTURBED;
  keep_sample(&contest->entrants[0], beside, 1);
  for (size_t i = 0; i < count; ++i) keep_sample(&contest->entrants[entrants[i]], times[i], times[i] / beside);
  return GROUP_COUNTS;
}

/* A disturbed group is measured again, once. False: stopped. */
static bool time_group(Contest *contest, const size_t *entrants, size_t count) {
  GroupEnd end = GROUP_DISTURBED;
  for (int i = 0; i < 2 && end == GROUP_DISTURBED; ++i) {
    end = time_group_once(contest, entrants, count);
    if (end == GROUP_DISTURBED) contest->disturbed += count;
  }
  return end != GROUP_STOPPED;
}

/* Each of them once, beginning with another one each time. */
static bool time_all(Contest *contest, const size_t *entrants, size_t count, size_t turn) {
  size_t group[GROUP];
  for (size_t done = 0; done < count;) {
    size_t size = count - done < GROUP ? count - done : GROUP;
    for (size_t i = 0; i < size; ++i) group[i] = entrants[(done + i + turn) % count];
    if (!time_group(contest, group, size)) return false;
    done += size;
  }
  return true;
}

static void judge_all(Contest *contest, const size_t *entrants, size_t count) {
  judge(&contest->entrants[0]);
  for (size_t i = 0; i < count; ++i) judge(&contest->entrants[entrants[i]]);
}

static void forget(Entrant *e) { e->count = 0; }

/* ---- halving ----------------------------------------------------------------------------------------------------- */

/* The fastest first; before them those that no group counted for yet: nothing speaks against them. */
static void order(const Contest *contest, size_t *entrants, size_t count) {
  for (size_t i = 1; i < count; ++i) { /* nearly in order already, and few but once */
    size_t moved = entrants[i], at = i;
    const Entrant *e = &contest->entrants[moved];
    for (; at > 0; --at) {
      const Entrant *before = &contest->entrants[entrants[at - 1]];
      if (before->count == 0 || (e->count > 0 && before->ratio <= e->ratio)) break;
      entrants[at] = entrants[at - 1];
    }
    entrants[at] = moved;
  }
}

/* How many of the ordered entrants go on: the better half, less those far behind; the others are out. */
static size_t drop(Contest *contest, const size_t *entrants, size_t count, size_t keep) {
  size_t left = (count + 1) / 2 > keep ? (count + 1) / 2 : keep, best = contest_best(contest);
  if (best == 0) return count; /* nothing counted at all */
  double behind = (count > MANY ? far_behind_many : far_behind) * contest->entrants[best].ratio;
  while (left > keep && contest->entrants[entrants[left - 1]].count > 0 &&
         contest->entrants[entrants[left - 1]].ratio > behind)
    --left;
  for (size_t i = left; i < count; ++i) contest->entrants[entrants[i]].is_out = true;
  return left;
}

void contest_halve(Contest *contest, size_t keep, double deadline) {
  size_t *alive = ARENA_ARRAY(contest->arena, size_t, contest->count), count = 0, turn = 0;
  if (!alive) return; /* the arena's owner will see */
  for (size_t i = 1; i < contest->count; ++i)
    if (!contest->entrants[i].is_out) alive[count++] = i;
  forget(&contest->entrants[0]);
  for (size_t i = 0; i < count; ++i) forget(&contest->entrants[alive[i]]);
  bool goes_on = true;
  size_t first = count > MANY ? 1 : FIRST_PASSES;
  for (size_t passes = first; goes_on && count > keep; passes += passes / 2 + 1) {
    ++contest->entrants[0].rounds;
    for (size_t i = 0; i < count; ++i) ++contest->entrants[alive[i]].rounds;
    for (size_t pass = 0; goes_on && pass < passes; ++pass) {
      goes_on = time_all(contest, alive, count, turn++) && contest->now(contest->ctx) < deadline;
    }
    judge_all(contest, alive, count);
    order(contest, alive, count);
    if (goes_on) count = drop(contest, alive, count, keep);
  }
}

/* ---- duel -------------------------------------------------------------------------------------------------------- */

/* Whether every entrant has won, or is slower as often as not. */
static bool is_clear(const Contest *contest, const size_t *entrants, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const Entrant *e = &contest->entrants[entrants[i]];
    if (e->judged < DUEL_LEAST || e->count == 0) return false;
    if (!contest_wins(e) && 2 * e->faster > e->judged) return false;
  }
  return true;
}

void contest_duel(Contest *contest, const size_t *entrants, size_t count, double deadline) {
  enum { EVEN_LATE = 3 };
  size_t copies[GROUP];
  if (count > GROUP) count = GROUP;
  memcpy(copies, entrants, count * sizeof *copies);
  forget(&contest->entrants[0]);
  ++contest->entrants[0].rounds;
  for (size_t i = 0; i < count; ++i) {
    forget(&contest->entrants[copies[i]]);
    ++contest->entrants[copies[i]].rounds;
  }
  for (size_t pass = 0; pass < DUEL_MOST; ++pass) {
    if (pass >= EVEN_LATE && contest->now(contest->ctx) >= deadline) break;
    if (!time_all(contest, copies, count, pass)) break;
    judge_all(contest, copies, count);
    if (is_clear(contest, copies, count)) break;
  }
}
