/* test_tune_contest.c: who wins a contest, on a clock of its own: the fastest, by more than the noise, whatever
 * disturbs the measurements. */
#include <criterion/criterion.h>
#include <math.h>

#include "runtime/tune.h"

enum { MOST = 128 };

/* Entrants with true times, a noise that is the same in every run of the test, and what may go wrong. */
typedef struct Lab {
  double seconds[MOST]; /* of a call */
  double noise;         /* largest relative deviation */
  double slowdown;      /* of everything in the second half of each tenth of a second; 1: none */
  double stolen;        /* share of samples in which half of the core was gone */
  size_t stop_after;    /* measurements; 0: never */
  uint32_t random;
  double now;
  size_t measured, asked[MOST];
} Lab;

static double draw(Lab *lab) {
  lab->random = lab->random * 1664525 + 1013904223;
  return (double)(lab->random >> 8) / (1 << 24);
}

static double now(void *ctx) { return ((Lab *)ctx)->now; }

static Sample measure(void *ctx, size_t entrant) {
  Lab *lab = ctx;
  double time = lab->seconds[entrant] * (1 + lab->noise * (2 * draw(lab) - 1));
  if (lab->slowdown > 1 && fmod(lab->now, 0.1) > 0.05) time *= lab->slowdown;
  bool is_stolen = draw(lab) < lab->stolen;
  double wall = is_stolen ? 2 * time : time;
  lab->now += wall;
  ++lab->measured;
  ++lab->asked[entrant];
  return (Sample){wall, time};
}

static bool goes_on(void *ctx) {
  const Lab *lab = ctx;
  return lab->stop_after == 0 || lab->measured < lab->stop_after;
}

typedef struct Outcome {
  Entrant entrants[MOST];
  size_t best, disturbed;
  bool wins;
} Outcome;

/* The way tune.c goes: halving, then a duel of the best. */
static Outcome run(Lab *lab, size_t count, double seconds) {
  static Outcome outcome;
  Arena arena;
  arena_init(&arena, NULL);
  outcome = (Outcome){0};
  if (lab->slowdown < 1) lab->slowdown = 1;
  Contest contest = {.ctx = lab, .now = now, .measure = measure, .goes_on = goes_on, .arena = &arena};
  contest.entrants = outcome.entrants;
  contest.count = count;
  contest_halve(&contest, 1, seconds * 0.8);
  outcome.best = contest_best(&contest);
  if (outcome.best > 0) contest_duel(&contest, &outcome.best, 1, seconds);
  outcome.wins = outcome.best > 0 && contest_wins(&outcome.entrants[outcome.best]);
  outcome.disturbed = contest.disturbed;
  arena_release(&arena);
  return outcome;
}

/* The reference takes 2 ms; the others are slower, but for `winner`, which takes `share` of it. */
static Lab lab_of(size_t count, size_t winner, double share) {
  Lab lab = {.slowdown = 1, .random = 7};
  for (size_t i = 0; i < count; ++i) lab.seconds[i] = 0.002 * (i == 0 ? 1 : 1.05 + 0.05 * (double)i);
  if (winner > 0) lab.seconds[winner] = 0.002 * share;
  return lab;
}

Test(tune_contest, finds_the_fastest) {
  for (size_t winner = 1; winner < 16; ++winner) {
    Lab lab = lab_of(16, winner, 0.9);
    lab.noise = 0.02;
    Outcome o = run(&lab, 16, 10);
    cr_expect_eq(o.best, winner);
    cr_expect(o.wins, "%zu does not win: ratio %g, error %g", winner, o.entrants[winner].ratio,
              o.entrants[winner].error);
    cr_expect_float_eq(o.entrants[winner].ratio, 0.9, 0.02);
    cr_expect_float_eq(o.entrants[winner].median, 0.0018, 0.00005);
  }
}

Test(tune_contest, the_slow_are_measured_less) {
  Lab lab = lab_of(16, 3, 0.9);
  lab.noise = 0.01;
  Outcome o = run(&lab, 16, 10);
  cr_expect_eq(o.best, 3);
  cr_expect_lt(lab.asked[15], lab.asked[3] / 3);
  cr_expect(o.entrants[15].is_out);
  cr_expect_lt(o.entrants[15].rounds, o.entrants[3].rounds);
}

Test(tune_contest, a_gain_within_the_noise_is_none) {
  for (uint32_t seed = 1; seed < 40; ++seed) {
    Lab lab = lab_of(12, 5, 1);
    for (size_t i = 1; i < 12; ++i) lab.seconds[i] = 0.002;
    lab.noise = 0.05;
    lab.random = seed;
    cr_expect_not(run(&lab, 12, 10).wins, "seed %u: equal entrants, and one wins", seed);
  }
}

Test(tune_contest, a_thousandth_is_no_gain) {
  Lab lab = lab_of(4, 2, 0.999); /* without any noise, so statistics are sure of it */
  Outcome o = run(&lab, 4, 10);
  cr_expect_eq(o.best, 2);
  cr_expect_not(o.wins);
}

Test(tune_contest, everything_slow_at_once_changes_nothing) {
  for (double slowdown = 1.1; slowdown < 3; slowdown += 0.3) {
    Lab lab = lab_of(10, 4, 0.93);
    lab.noise = 0.01;
    lab.slowdown = slowdown;
    Outcome o = run(&lab, 10, 20);
    cr_expect_eq(o.best, 4, "slowdown %g", slowdown);
    cr_expect(o.wins, "slowdown %g: ratio %g, error %g", slowdown, o.entrants[4].ratio, o.entrants[4].error);
  }
}

Test(tune_contest, stolen_time_does_not_count) {
  static const double shares[] = {0.1, 0.5, 1};
  for (size_t i = 0; i < 3; ++i) {
    Lab lab = lab_of(10, 4, 0.93);
    lab.noise = 0.01;
    lab.stolen = shares[i];
    Outcome o = run(&lab, 10, 20);
    cr_expect_eq(o.best, 4);
    cr_expect(o.wins);
    cr_expect_gt(o.disturbed, 5);
    cr_expect_float_eq(o.entrants[4].median, 0.00186, 0.00005, "%g stolen: %g", shares[i], o.entrants[4].median);
  }
}

Test(tune_contest, ends_in_time) {
  Lab lab = lab_of(16, 3, 0.9);
  lab.noise = 0.02;
  run(&lab, 16, 0.1);
  cr_expect_lt(lab.now, 0.1 + 0.1, "it took %g seconds", lab.now); /* a pass of all, and three of the duel */
}

Test(tune_contest, stopping_keeps_what_is_known) {
  for (size_t after = 0; after < 150; after += 7) {
    Lab lab = lab_of(8, 3, 0.8);
    lab.noise = 0.01;
    lab.stop_after = after + 1;
    Outcome o = run(&lab, 8, 10);
    cr_expect_leq(lab.measured, after + 4);
    if (after > 100) {
      cr_expect_eq(o.best, 3);
      cr_expect(o.wins);
    }
  }
}

Test(tune_contest, no_entrants_and_those_that_are_out) {
  Lab lab = lab_of(1, 0, 1);
  cr_expect_eq(run(&lab, 1, 1).best, 0);
  Entrant entrants[3] = {{.rounds = 0}, {.is_out = true}, {.is_out = true}};
  Contest contest = {.ctx = &lab, .now = now, .measure = measure, .goes_on = goes_on, .entrants = entrants, .count = 3};
  Arena arena;
  arena_init(&arena, NULL);
  contest.arena = &arena;
  contest_halve(&contest, 1, 1);
  cr_expect_eq(contest_best(&contest), 0);
  arena_release(&arena);
}

Test(tune_contest, very_many) {
  Lab lab = lab_of(MOST, 77, 0.95);
  for (size_t i = 1; i < MOST; ++i)
    if (i != 77) lab.seconds[i] = 0.002 * (1 + (double)(i % 20) * 0.01);
  lab.noise = 0.01;
  Outcome o = run(&lab, MOST, 100);
  cr_expect_eq(o.best, 77);
  cr_expect(o.wins);
}
