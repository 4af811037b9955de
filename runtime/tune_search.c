/* tune_search.c: which candidates are measured, and which is kept.
 *
 * First a few diverse candidates of the template, then the neighbours of the best of them, those that differ in one
 * baked field and other blocks, and again from the best of these; where none is better, more of the diverse, while
 * there is time; then the best is measured against the default anew, and wins only by more than the noise. What a step
 * costs is learned from the default, and the budget decides how many candidates there are. With `exhaustive` every
 * object is measured afterwards, to judge what the search missed. */
#include "runtime/records.h"
#include "runtime/tune.h"

enum { LEAST_CANDIDATES = 3, LAST_PASSES = 15 /* of the last comparison, about */ };
/* Shares of the budget by whose end the two searches are over; the rest is for the last comparison. */
static const double first_share = 0.5, second_share = 0.8;

/* Measurements of a halving of so many, about. */
static size_t halving_steps(size_t count) {
  size_t steps = 0;
  for (size_t passes = 2; count > 1; passes += passes / 2 + 1, count = (count + 1) / 2)
    steps += passes * (count + count / 12 + 1);
  return steps;
}

/* ---- candidates -------------------------------------------------------------------------------------------------- */

/* Compiles, packs, runs and compares them, as long as it is earlier than that share of the budget; what fails is said
 * in the log, and out. */
static kiln_status admit(Tuning *tuning, const Schedule *schedules, size_t count, double until) {
  enum { LEAST = 4, MOST = 16 }; /* at once: time is looked at in between, and each thread compiles one */
  TuneBench *bench = &tuning->bench;
  size_t chunk = (size_t)bench->engine->pool.threads.count;
  chunk = chunk < LEAST ? LEAST : chunk < MOST ? chunk : MOST;
  for (size_t done = 0; done < count && !tuning->stopped; done += chunk) {
    if (done > 0 && tune_elapsed(tuning) > until * tuning->seconds) break;
    size_t first = bench->candidates.count, some = count - done < chunk ? count - done : chunk;
    if (first + some > tuning->capacity) return KILN_INTERNAL;
    kiln_status status = tune_bench_add(bench, schedules + done, some);
    tuning->contest.count = bench->candidates.count;
    for (size_t i = first; !status && i < bench->candidates.count; ++i) {
      status = tune_bench_verify(bench, i);
      const TuneCandidate *candidate = &bench->candidates.items[i];
      tuning->contest.entrants[i].is_out = !candidate->is_verified;
      if (candidate->fault)
        log_event(&tuning->bench.engine->log, KILN_LOG_ERROR, "tune: %s: schedule %s: %s", tuning->plain->graph_text,
                  tune_print(tuning, &candidate->schedule), candidate->fault);
      if (!tune_step(tuning)) {
        for (size_t rest = i + 1; rest < bench->candidates.count; ++rest) tuning->contest.entrants[rest].is_out = true;
        break;
      }
    }
    if (status) return status;
  }
  return KILN_OK;
}

/* Fields of one kind in which two schedules differ. */
static int differences(const Schedule *x, const Schedule *y, FieldKind kind) {
  int count = 0;
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (field_info((Field)field)->kind == kind)
      count += x->set[field] != y->set[field] || (x->set[field] && x->values[field] != y->values[field]);
  return count;
}

static bool is_known(const Tuning *tuning, const Schedule *schedule) {
  for (size_t i = 0; i < tuning->bench.candidates.count; ++i) {
    const Schedule *known = &tuning->bench.candidates.items[i].schedule;
    if (differences(known, schedule, FIELD_BAKED) + differences(known, schedule, FIELD_PASSED) == 0) return true;
  }
  return false;
}

size_t tune_list(Tuning *tuning, const Schedule *wishes, Schedule *out, size_t capacity) {
  Plan plan;
  Arena arena;
  size_t count = 0;
  Problem problem = tuning->plain->plan.problem;
  problem.wishes = *wishes;
  arena_init(&arena, &tuning->bench.engine->allocator);
  Text why;
  text_init(&why, &tuning->bench.engine->allocator);
  if (tmpl_plan(&problem, &arena, &plan, &why) == KILN_OK && plan.template->candidates)
    count = plan.template->candidates(&plan, tuning->bench.symbols, &tuning->machine, out, capacity);
  text_release(&why);
  arena_release(&arena);
  return count;
}

/* The first baked field in which two schedules differ. */
static size_t first_difference(const Schedule *x, const Schedule *y) {
  size_t field = 0;
  while (field < FIELD_COUNT && (field_info((Field)field)->kind != FIELD_BAKED ||
                                 (x->set[field] == y->set[field] && x->values[field] == y->values[field])))
    ++field;
  return field;
}

/* Objects that differ from a candidate in one field: one for each field first, then others, as the template has them.
 */
static size_t list_near_objects(Tuning *tuning, const Schedule *around, Schedule out[TUNE_NEIGHBOURS]) {
  size_t count = 0;
  for (int again = 0; again < 2; ++again) {
    bool has_field[FIELD_COUNT] = {false};
    for (size_t i = 0; i < tuning->space_count && count < TUNE_NEIGHBOURS; ++i) {
      const Schedule *other = &tuning->space[i];
      if (differences(other, around, FIELD_BAKED) != 1 || is_known(tuning, other)) continue;
      size_t field = first_difference(other, around);
      bool is_there = !again && has_field[field];
      for (size_t j = 0; j < count; ++j) is_there |= differences(other, &out[j], FIELD_BAKED) == 0;
      if (is_there) continue;
      has_field[field] = true;
      out[count++] = *other;
    }
  }
  return count;
}

/* Other blocks of the same object. */
static size_t list_blocks(Tuning *tuning, const Schedule *around, Schedule out[TUNE_BLOCKS]) {
  Schedule wishes = *around, blocks[2 * TUNE_BLOCKS];
  size_t count = 0;
  for (size_t field = 0; field < FIELD_COUNT; ++field)
    if (field_info((Field)field)->kind == FIELD_PASSED) {
      wishes.fixed[field] = tuning->plain->plan.problem.wishes.fixed[field];
      wishes.set[field] = wishes.fixed[field];
    }
  size_t found = tune_list(tuning, &wishes, blocks, ARRAY_LENGTH(blocks));
  for (size_t i = 0; i < found && count < TUNE_BLOCKS; ++i)
    if (!is_known(tuning, &blocks[i])) out[count++] = blocks[i];
  return count;
}

/* The neighbours of a candidate: two objects, then other blocks, in turns. */
static size_t list_neighbours(Tuning *tuning, size_t center, Schedule out[TUNE_NEIGHBOURS + TUNE_BLOCKS]) {
  const Schedule around = tuning->bench.candidates.items[center].schedule;
  Schedule objects[TUNE_NEIGHBOURS], blocks[TUNE_BLOCKS];
  size_t object_count = list_near_objects(tuning, &around, objects), next_object = 0;
  size_t block_count = list_blocks(tuning, &around, blocks), next_block = 0, count = 0;
  while (next_object < object_count || next_block < block_count) {
    bool takes_block = next_block < block_count && (next_object == object_count || count % 3 == 2);
    out[count++] = takes_block ? blocks[next_block++] : objects[next_object++];
  }
  return count;
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

/* How many candidates a share of the budget pays for, where one costs `each` seconds besides its measurements. */
static size_t affordable(const Tuning *tuning, size_t wanted, double each, double call, double until) {
  double left = until * tuning->seconds - tune_elapsed((void *)tuning);
  double cost = each + 5 * (call > 0.002 ? call : 0.003);
  double count = left / cost;
  if (count < LEAST_CANDIDATES) return LEAST_CANDIDATES < wanted ? LEAST_CANDIDATES : wanted;
  return count < (double)wanted ? (size_t)count : wanted;
}

static void add_last(size_t last[3], size_t *count, size_t candidate) {
  for (size_t i = 0; i < *count; ++i)
    if (last[i] == candidate) return;
  if (candidate > 0) last[(*count)++] = candidate;
}

/* The last comparison, with fresh measurements; decides what is kept. What was recorded stays as long as it is not
 * slower than the default: it was shown to be faster once. */
static void compare_last(Tuning *tuning, size_t best, size_t best_of_all) {
  size_t last[3], count = 0;
  const Entrant *entrants = tuning->contest.entrants, *recorded = &entrants[tuning->recorded];
  if (!tuning->bench.candidates.items[tuning->recorded].is_verified) tuning->recorded = 0;
  add_last(last, &count, best);
  add_last(last, &count, tuning->recorded);
  add_last(last, &count, best_of_all);
  tuning->total = tuning->done + (count + 2) * LAST_PASSES;
  if (count > 0) contest_duel(&tuning->contest, last, count, tuning->options.exhaustive ? 1e9 : tuning->seconds);
  bool stays = tuning->recorded > 0 && recorded->judged > 0 && recorded->ratio - recorded->error < 1;
  tuning->kept = stays ? tuning->recorded : 0;
  bool wins = best > 0 && contest_wins(&entrants[best]);
  if (wins && (!stays || entrants[best].ratio + entrants[best].error < recorded->ratio)) tuning->kept = best;
}

/* What an earlier tuning of these very sizes and threads found, where that is another schedule than the default. */
static size_t list_recorded(Tuning *tuning, Schedule *out) {
  const TuneBench *bench = &tuning->bench;
  RecordQuestion question = rt_record_question(&tuning->request, bench->graph_text);
  Record *records;
  question.symbols = bench->symbols;
  question.threads = bench->threads->count;
  size_t count = rt_records_match(&bench->engine->records, &question, &tuning->bench.arena, &records);
  if (count == 0 || record_compare(&records[0], bench->symbols) != RECORD_EXACT) return 0;
  if (records[0].threads != question.threads || rt_has_wishes(&tuning->request.problem)) return 0;
  return tune_list(tuning, &records[0].schedule, out, 1) == 1 && !is_known(tuning, out);
}

/* From the best so far to the best of its neighbours, while there is time and something better is found. */
static kiln_status climb(Tuning *tuning, double each, double call) {
  Schedule near[TUNE_NEIGHBOURS + TUNE_BLOCKS];
  size_t center = TUNE_SPACE;
  for (int i = 0; i < TUNE_STEPS; ++i) {
    size_t best = contest_best(&tuning->contest);
    if (best > 0 && tuning->contest.entrants[best].ratio >= 1) best = 0;
    bool is_late = tuning->stopped || tune_elapsed(tuning) >= second_share * tuning->seconds;
    if (is_late || best == center) break;
    center = best;
    size_t count = affordable(tuning, list_neighbours(tuning, center, near), each, call, second_share);
    if (count == 0) break;
    tuning->total = tuning->done + count + halving_steps(count + 1) + 3 * LAST_PASSES;
    kiln_status status = admit(tuning, near, count, second_share);
    if (status) return status;
    contest_halve(&tuning->contest, 1, second_share * tuning->seconds);
  }
  return KILN_OK;
}

/* The next of the diverse that were not measured, up to TUNE_FIRST; how many. */
static size_t list_next(const Tuning *tuning, const Schedule *diverse, size_t diverse_count, Schedule out[TUNE_FIRST]) {
  size_t count = 0;
  for (size_t i = 0; i < diverse_count && count < TUNE_FIRST; ++i)
    if (!is_known(tuning, &diverse[i])) out[count++] = diverse[i];
  return count;
}

/* Where climbing has come to its end before the time has: more of the diverse, and on from the best again. */
static kiln_status explore(Tuning *tuning, double each, double call) {
  Schedule diverse[TUNE_DIVERSE], next[TUNE_FIRST];
  size_t diverse_count = tune_list(tuning, &tuning->plain->plan.problem.wishes, diverse, TUNE_DIVERSE);
  kiln_status status = climb(tuning, each, call);
  for (int i = 0; i < TUNE_ROUNDS && !status; ++i) {
    if (tuning->stopped || tune_elapsed(tuning) >= second_share * tuning->seconds) break;
    size_t count = list_next(tuning, diverse, diverse_count, next);
    count = affordable(tuning, count, each, call, second_share);
    if (count == 0) break;
    tuning->total = tuning->done + count + halving_steps(count + 1) + 3 * LAST_PASSES;
    status = admit(tuning, next, count, second_share);
    if (status) break;
    contest_halve(&tuning->contest, 1, second_share * tuning->seconds);
    status = climb(tuning, each, call);
  }
  return status;
}

/* The diverse few, and what an earlier record says; then the neighbours of the best, and so on. */
kiln_status tune_search(Tuning *tuning) {
  Schedule few[TUNE_FIRST + 1];
  size_t count = tune_list(tuning, &tuning->plain->plan.problem.wishes, few, TUNE_FIRST);
  double before = tune_elapsed(tuning), copying = tuning->bench.weights_seconds;
  kiln_status status = admit(tuning, few, count > 0, 1);
  if (!status && count == 0) status = KILN_OUT_OF_MEMORY; /* the space was not empty before */
  if (!status && !tuning->bench.candidates.items[0].is_verified) status = KILN_INTERNAL;
  if (status) return status;
  copying = tuning->bench.weights_seconds - copying; /* which few others need again */
  double each = tune_elapsed(tuning) - before - copying, call = tune_bench_measure(&tuning->bench, 0).wall;
  tuning->contest.entrants[0].median = call;
  count = affordable(tuning, count, each, call, first_share);
  if (list_recorded(tuning, &few[count])) tuning->recorded = count++;
  tuning->total = 2 * (count + halving_steps(count)) + 3 * LAST_PASSES;
  status = admit(tuning, few + 1, count - 1, first_share);
  if (status) return status;
  contest_halve(&tuning->contest, 1, first_share * tuning->seconds);
  status = explore(tuning, each, call);
  if (status) return status;
  compare_last(tuning, contest_best(&tuning->contest), 0);
  return KILN_OK;
}

/* Whether the list has a schedule of the same object before the entry: then it is one of its blocks. */
static bool is_block(const Tuning *tuning, size_t entry) {
  for (size_t i = 0; i < entry; ++i)
    if (differences(&tuning->space[i], &tuning->space[entry], FIELD_BAKED) == 0) return true;
  return false;
}

/* The entrants from 1 on that are not out. */
static size_t list_left(const Tuning *tuning, size_t left[], size_t capacity) {
  size_t count = 0;
  for (size_t i = 1; i < tuning->contest.count && count < capacity; ++i)
    if (!tuning->contest.entrants[i].is_out) left[count++] = i;
  return count;
}

/* Everything, to judge the search: all objects with their usual blocks, then all blocks that are listed of the best of
 * them; the best of all is compared with what the search kept and with the default. */
kiln_status tune_search_everything(Tuning *tuning) {
  enum { BEST_OBJECTS = 16 };
  size_t kept = tuning->kept, count = 0, left[BEST_OBJECTS];
  Schedule *rest = ARENA_ARRAY(&tuning->bench.arena, Schedule, tuning->space_count);
  bool *are_blocks = ARENA_ARRAY(&tuning->bench.arena, bool, tuning->space_count);
  if (!rest || !are_blocks) return KILN_OUT_OF_MEMORY;
  for (size_t i = 0; i < tuning->space_count; ++i) {
    are_blocks[i] = is_block(tuning, i);
    if (!are_blocks[i] && !is_known(tuning, &tuning->space[i])) rest[count++] = tuning->space[i];
  }
  for (size_t i = 1; i < tuning->contest.count; ++i)
    tuning->contest.entrants[i].is_out = !tuning->bench.candidates.items[i].is_verified;
  tuning->total = tuning->done + count + halving_steps(tuning->contest.count + count) + 3 * LAST_PASSES;
  kiln_status status = admit(tuning, rest, count, 1e9);
  if (status) return status;
  contest_halve(&tuning->contest, BEST_OBJECTS, 1e9);
  size_t objects = list_left(tuning, left, BEST_OBJECTS);
  count = 0;
  for (size_t i = 0; i < tuning->space_count; ++i)
    for (size_t o = 0; are_blocks[i] && o < objects; ++o) {
      const Schedule *object = &tuning->bench.candidates.items[left[o]].schedule;
      if (differences(object, &tuning->space[i], FIELD_BAKED) != 0 || is_known(tuning, &tuning->space[i])) continue;
      rest[count++] = tuning->space[i];
      break;
    }
  status = admit(tuning, rest, count, 1e9);
  if (status) return status;
  contest_halve(&tuning->contest, 1, 1e9);
  compare_last(tuning, kept, contest_best(&tuning->contest));
  tuning->kept = kept;
  return KILN_OK;
}
