/* target.h: what code may be generated for: the rows of features.def, targets.def and mma.def as data.
 *
 * A target is a row of the table and nothing else, so an object compiled here for "sapphirerapids" and one compiled
 * there because the host is one have the same key. LLVM is unknown in this room: features carry LLVM's spelling as
 * text. */
#ifndef KILN_IR_TARGET_H
#define KILN_IR_TARGET_H

#include "ir/support/support.h"

typedef enum TargetFamily { FAMILY_X86_64, FAMILY_AARCH64, FAMILY_RISCV64, FAMILY_COUNT } TargetFamily;

typedef enum Feature {
#define FEATURE(enumerator, llvm_name, family, meaning) FEATURE_##enumerator,
#define OS_FEATURE FEATURE
#include "ir/target/features.def"
#undef OS_FEATURE
#undef FEATURE
  FEATURE_COUNT
} Feature;
typedef uint64_t FeatureSet; /* bit i: Feature i */

/* What measuring told about a microarchitecture and no feature says (bench/results). */
typedef enum TargetTrait {
  TRAIT_WAITS_FOR_L3 = 1 << 0,  /* a panel asked for ahead of its use is a gain */
  TRAIT_FAST_BF16_DOT = 1 << 1, /* vdpbf16ps does more multiply-adds a cycle than f32 */
  TRAIT_WAITS_FOR_FAR = 1 << 2, /* as WAITS_FOR_L3, but only of weights that overflow the second-level cache by far */
  TRAIT_WAITS_FOR_L2 = 1 << 3, /* packed rows asked for ahead of their use are a gain, beside a panel passing through */
} TargetTrait;

typedef struct Target {
  const char *name;
  TargetFamily family;
  const char *tune; /* LLVM's name of the scheduling model */
  FeatureSet features;
  int vector_bits;
  int vector_registers;
  int l1d_kib, l2_kib, l3_kib; /* per core, when the machine is not at hand */
  unsigned traits;             /* of TargetTrait */
} Target;

/* What a core does at best: a row of cores.def. */
typedef struct Core {
  const char *tune;
  int mhz;
  int products, loads;        /* of full vectors, a cycle */
  int l2_rate, l3_rate;       /* bytes a cycle */
  int memory_mbs, socket_mbs; /* MB/s that one core reads, that all cores of a socket do */
} Core;

/* What measuring a core told of schedules: a row of habits.def. */
typedef struct Habits {
  TargetFamily family;
  const char *tune;    /* NULL: every one of the family */
  int streams, turn;   /* of panels of B, and loads of one instruction's k of each in turn */
  double chain_cycles; /* that a chain of products takes for each */
  double load_cost;    /* cycles of a load beside products, where products are waited for */
} Habits;

size_t target_count(void);
const Target *target_get(size_t index);
const Target *target_find(const char *name); /* NULL: no such row */
/* The last row of the family whose features are all present. Never NULL: the first row of a family needs none. */
const Target *target_best(TargetFamily family, FeatureSet present);
bool target_has(const Target *target, Feature feature);
const Core *target_core(const Target *target);     /* never NULL: every scheduling model has a row */
const Habits *target_habits(const Target *target); /* never NULL: every family has a row */
static inline int target_lanes(const Target *target) { return target->vector_bits / 32; } /* f32 per vector */

/* ---- the machine around it ------------------------------------------------------------------------------------- */

/* What blocking and prediction know of a machine: a field for each row of machine.def, how many threads a call has, and
 * what its cores do. */
typedef struct Machine {
#define MACHINE_FIELD(name, meaning) int64_t name;
#include "ir/target/machine.def"
#undef MACHINE_FIELD
  int threads;
  const Core *core;
} Machine;

/* One socket with as many cores as threads and the caches of the target's row. */
Machine machine_of(const Target *target, int threads);
/* Bytes a second that so many cores together get from memory. */
double machine_rate(const Machine *machine, double cores);
/* Reads `cores=96 l2_bytes=1M …` (K, M and G: powers of 1024) into the fields named; others stay. A fault names the
 * word: KILN_INVALID_ARGUMENT. */
kiln_status machine_parse(const char *text, Machine *machine, Text *why);
/* Puts those fields of `changes` that are not 0 in the place of the machine's. */
void machine_change(Machine *machine, const Machine *changes);

/* ---- names ------------------------------------------------------------------------------------------------------- */

const char *family_triple(TargetFamily family); /* x86_64-unknown-linux-gnu … */
const char *
family_base_cpu(TargetFamily family); /* LLVM's CPU with no optional feature: x86-64, generic, generic-rv64 */

const char *feature_name(Feature feature); /* LLVM's, where it knows it */
bool feature_is_llvm(Feature feature);
TargetFamily feature_family(Feature feature);
const char *feature_meaning(Feature feature);
/* `fma f16c avx …` in table order, and back; an unknown word gives false. */
void features_print(FeatureSet features, Text *out);
bool features_parse(const char *text, size_t length, FeatureSet *features);

typedef enum MmaStrategy { MMA_OUTER, MMA_DOT, MMA_AMX, MMA_MMLA } MmaStrategy;
enum { MMA_ANY_TYPE = -1, MMA_TF32_TYPE = -2 /* f32 that may be cut to 10 bits of fraction */ };

typedef enum MmaRow {
#define MMA(name, a, b, acc, strategy, features, m, n, k, group) MMA_ROW_##name,
#define MMA_MOVED MMA
#define MMA_WIDENED MMA
#include "ir/target/mma.def"
#undef MMA_WIDENED
#undef MMA_MOVED
#undef MMA
  MMA_ROW_COUNT
} MmaRow;

typedef struct MmaInstruction {
  const char *name;
  int a, b; /* kiln_type, MMA_ANY_TYPE or MMA_TF32_TYPE */
  kiln_type acc;
  MmaStrategy strategy;
  FeatureSet features;
  int m, n, k, group;
  bool moves_a; /* the instruction lacks this pair of signs; the lowering moves A */
  bool widens;  /* it takes elements of twice the width; the lowering widens A and B */
} MmaInstruction;

/* What is asked of an instruction: fragments of m x k, k x n and m x n elements of these types. */
typedef struct MmaProduct {
  kiln_type a, b, acc;
  int m, n, k;
  bool cuts; /* f32 factors may be cut to tf32 */
} MmaProduct;

size_t mma_count(void);
const MmaInstruction *mma_get(size_t index);
MmaRow mma_row(const MmaInstruction *instruction);
/* The row that products of such fragments become on this target, as mma.def says; NULL only where no row has this
 * accumulator type. */
const MmaInstruction *mma_find(const Target *target, const MmaProduct *product);
/* The rows this target has for these types whatever the shape, best first; how many. The shape of its fragments is how
 * a schedule chooses one: mma_find must then give that row. */
enum { MMA_MAX_CANDIDATES = 16 };
size_t mma_candidates(const Target *target, kiln_type a, kiln_type b, kiln_type acc,
                      const MmaInstruction *candidates[MMA_MAX_CANDIDATES]);

#endif
