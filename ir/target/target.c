/* target.c: the tables of this folder and look-ups in them. */
#include "ir/target/target.h"

#include <string.h>

static const struct {
  const char *name;
  TargetFamily family;
  const char *meaning;
  bool is_llvm;
} feature_rows[] = {
#define FEATURE(enumerator, llvm_name, family, meaning) {llvm_name, FAMILY_##family, meaning, true},
#define OS_FEATURE(enumerator, name, family, meaning) {name, FAMILY_##family, meaning, false},
#include "ir/target/features.def"
#undef OS_FEATURE
#undef FEATURE
};

static const Target target_rows[] = {
#define F(feature) ((FeatureSet)1 << FEATURE_##feature)
#define T(trait) TRAIT_##trait
#define TARGET(name, family, tune, features, bits, registers, l1d, l2, l3, traits)                                     \
  {name, FAMILY_##family, tune, features, bits, registers, l1d, l2, l3, traits},
#include "ir/target/targets.def"
#undef TARGET
#undef T
};

static const Core core_rows[] = {
#define CORE(tune, mhz, products, loads, l2, l3, core_mbs, socket_mbs)                                                 \
  {tune, mhz, products, loads, l2, l3, core_mbs, socket_mbs},
#include "ir/target/cores.def"
#undef CORE
};

static const Habits habit_rows[] = {
#define HABITS(family, tune, streams, turn, chain, load) {FAMILY_##family, tune, streams, turn, chain, load},
#include "ir/target/habits.def"
#undef HABITS
};

enum { KILN_ANY = MMA_ANY_TYPE, KILN_TF32 = MMA_TF32_TYPE };
static const MmaInstruction mma_rows[] = {
#define ROW(name, a, b, acc, strategy, features, m, n, k, group, moves_a, widens)                                      \
  {#name, KILN_##a, KILN_##b, KILN_##acc, MMA_##strategy, features, m, n, k, group, moves_a, widens},
#define MMA(...) ROW(__VA_ARGS__, false, false)
#define MMA_MOVED(...) ROW(__VA_ARGS__, true, false)
#define MMA_WIDENED(...) ROW(__VA_ARGS__, false, true)
#include "ir/target/mma.def"
#undef MMA_WIDENED
#undef MMA_MOVED
#undef MMA
#undef ROW
#undef F
};

static const struct {
  const char *triple, *base_cpu;
} family_rows[FAMILY_COUNT] = {
    [FAMILY_X86_64] = {"x86_64-unknown-linux-gnu", "x86-64"},
    [FAMILY_AARCH64] = {"aarch64-unknown-linux-gnu", "generic"},
    [FAMILY_RISCV64] = {"riscv64-unknown-linux-gnu", "generic-rv64"},
};

size_t target_count(void) { return ARRAY_LENGTH(target_rows); }

const Target *target_get(size_t index) {
  KILN_ASSERT(index < ARRAY_LENGTH(target_rows));
  return &target_rows[index];
}

const Target *target_find(const char *name) {
  for (size_t i = 0; i < ARRAY_LENGTH(target_rows); ++i)
    if (strcmp(target_rows[i].name, name) == 0) return &target_rows[i];
  return NULL;
}

const Target *target_best(TargetFamily family, FeatureSet present) {
  const Target *best = NULL;
  for (size_t i = 0; i < ARRAY_LENGTH(target_rows); ++i)
    if (target_rows[i].family == family && (target_rows[i].features & ~present) == 0) best = &target_rows[i];
  KILN_ASSERT(best != NULL);
  return best;
}

const Core *target_core(const Target *target) {
  const Core *core = NULL;
  for (size_t i = 0; i < ARRAY_LENGTH(core_rows); ++i)
    if (strcmp(core_rows[i].tune, target->tune) == 0) core = &core_rows[i];
  KILN_ASSERT(core != NULL);
  return core;
}

const Habits *target_habits(const Target *target) {
  const Habits *habits = NULL;
  for (size_t i = 0; i < ARRAY_LENGTH(habit_rows); ++i) {
    const Habits *row = &habit_rows[i];
    if (row->family == target->family && (row->tune == NULL || strcmp(row->tune, target->tune) == 0)) habits = row;
  }
  KILN_ASSERT(habits != NULL);
  return habits;
}

bool target_has(const Target *target, Feature feature) { return (target->features >> feature & 1) != 0; }

const char *family_triple(TargetFamily family) { return family_rows[family].triple; }
const char *family_base_cpu(TargetFamily family) { return family_rows[family].base_cpu; }

const char *feature_name(Feature feature) { return feature_rows[feature].name; }
bool feature_is_llvm(Feature feature) { return feature_rows[feature].is_llvm; }
TargetFamily feature_family(Feature feature) { return feature_rows[feature].family; }
const char *feature_meaning(Feature feature) { return feature_rows[feature].meaning; }

void features_print(FeatureSet features, Text *out) {
  bool first = true;
  for (size_t i = 0; i < FEATURE_COUNT; ++i) {
    if ((features >> i & 1) == 0) continue;
    text_printf(out, "%s%s", first ? "" : " ", feature_rows[i].name);
    first = false;
  }
}

static bool feature_find(const char *name, size_t length, size_t *index) {
  for (size_t i = 0; i < FEATURE_COUNT; ++i) {
    const char *row = feature_rows[i].name;
    if (strlen(row) == length && memcmp(row, name, length) == 0) {
      *index = i;
      return true;
    }
  }
  return false;
}

bool features_parse(const char *text, size_t length, FeatureSet *features) {
  FeatureSet set = 0;
  for (size_t at = 0; at < length;) {
    size_t end = at;
    while (end < length && text[end] != ' ') ++end;
    size_t index;
    if (end > at) {
      if (!feature_find(text + at, end - at, &index)) return false;
      set |= (FeatureSet)1 << index;
    }
    at = end + 1;
  }
  *features = set;
  return true;
}

size_t mma_count(void) { return ARRAY_LENGTH(mma_rows); }

const MmaInstruction *mma_get(size_t index) {
  KILN_ASSERT(index < ARRAY_LENGTH(mma_rows));
  return &mma_rows[index];
}

MmaRow mma_row(const MmaInstruction *instruction) { return (MmaRow)(instruction - mma_rows); }

static bool has_types(const MmaInstruction *row, kiln_type a, kiln_type b, kiln_type acc) {
  return row->acc == acc && (row->a == MMA_ANY_TYPE || row->a == (int)a) &&
         (row->b == MMA_ANY_TYPE || row->b == (int)b);
}

/* A row with n elements a column needs whole ones, and an accumulator in at most half of the tile registers. */
static bool has_shape(const MmaInstruction *row, const MmaProduct *product) {
  if (product->k % row->k != 0) return false;
  if (row->strategy != MMA_AMX) return true;
  return product->n % row->n == 0 && (product->m + row->m - 1) / row->m * (product->n / row->n) <= 4;
}

size_t mma_candidates(const Target *target, kiln_type a, kiln_type b, kiln_type acc,
                      const MmaInstruction *candidates[MMA_MAX_CANDIDATES]) {
  size_t count = 0;
  for (int any = 0; any < 2; ++any) {
    for (size_t i = ARRAY_LENGTH(mma_rows); i-- > 0;) {
      const MmaInstruction *row = &mma_rows[i];
      bool fits = (row->a == MMA_ANY_TYPE) == (any == 1) && (row->features & ~target->features) == 0;
      if (fits && has_types(row, a, b, acc) && count < MMA_MAX_CANDIDATES) candidates[count++] = row;
    }
  }
  return count;
}

/* The row for factors that may be cut; NULL: the target has none for this shape. */
static const MmaInstruction *find_cutting(const Target *target, const MmaProduct *product) {
  for (size_t i = ARRAY_LENGTH(mma_rows); i-- > 0;) {
    const MmaInstruction *row = &mma_rows[i];
    if (row->a == MMA_TF32_TYPE && (row->features & ~target->features) == 0 && has_shape(row, product)) return row;
  }
  return NULL;
}

const MmaInstruction *mma_find(const Target *target, const MmaProduct *product) {
  const MmaInstruction *cutting = product->cuts ? find_cutting(target, product) : NULL;
  if (cutting) return cutting;
  const MmaInstruction *candidates[MMA_MAX_CANDIDATES];
  size_t count = mma_candidates(target, product->a, product->b, product->acc, candidates);
  for (size_t i = 0; i < count; ++i)
    if (has_shape(candidates[i], product)) return candidates[i];
  return NULL;
}
