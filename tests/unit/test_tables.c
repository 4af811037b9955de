/* Names in our tables that only LLVM can judge: intrinsics, passes, features, triples and scheduling models. */
#include <criterion/criterion.h>
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ir/support/support.h"
#include "ir/target/target.h"

static void start_llvm(void) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeRISCVTargetInfo();
  LLVMInitializeRISCVTarget();
  LLVMInitializeRISCVTargetMC();
}

/* A machine, and what LLVM prints about names it does not know: that is its only way to tell. */
static LLVMTargetMachineRef create_machine(const char *triple, const char *cpu, const char *features, char said[512]) {
  LLVMTargetRef target;
  char *error = NULL;
  cr_assert(!LLVMGetTargetFromTriple(triple, &target, &error), "%s: %s", triple, error);
  FILE *file = tmpfile();
  int kept = dup(STDERR_FILENO);
  cr_assert(file != NULL && kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
  LLVMTargetMachineRef machine = LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault,
                                                         LLVMRelocPIC, LLVMCodeModelDefault);
  cr_assert(dup2(kept, STDERR_FILENO) >= 0);
  close(kept);
  rewind(file);
  said[fread(said, 1, 511, file)] = '\0';
  fclose(file);
  return machine;
}

Test(tables, every_intrinsic_exists) {
  static const char *const names[] = {
#define INTRINSIC(enumerator, name) name,
#include "lower/intrinsics.def"
#undef INTRINSIC
  };
  for (size_t i = 0; i < ARRAY_LENGTH(names); ++i)
    cr_expect_neq(LLVMLookupIntrinsicID(names[i], strlen(names[i])), 0, "this LLVM has no %s", names[i]);
}

Test(tables, every_pass_exists, .init = start_llvm) {
  static const char *const names[] = {
#define PASS(name, meaning) name,
#include "jit/passes.def"
#undef PASS
  };
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef module = LLVMModuleCreateWithNameInContext("passes", context);
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  for (size_t i = 0; i < ARRAY_LENGTH(names); ++i) {
    char pipeline[128];
    snprintf(pipeline, sizeof pipeline, "function(%s)", names[i]);
    LLVMErrorRef error = LLVMRunPasses(module, pipeline, NULL, options);
    char *message = error ? LLVMGetErrorMessage(error) : NULL;
    cr_expect_null(message, "%s: %s", names[i], message);
    if (message) LLVMDisposeErrorMessage(message);
  }
  LLVMDisposePassBuilderOptions(options);
  LLVMDisposeModule(module);
  LLVMContextDispose(context);
}

Test(tables, every_feature_is_known, .init = start_llvm) {
  for (int i = 0; i < FEATURE_COUNT; ++i) {
    const char *name = feature_name((Feature)i);
    if (!feature_is_llvm((Feature)i)) continue;
    char features[64], said[512];
    snprintf(features, sizeof features, "+%s", name);
    LLVMTargetMachineRef machine = create_machine(family_triple(feature_family((Feature)i)), "", features, said);
    cr_expect_str_empty(said, "%s: %s", name, said);
    LLVMDisposeTargetMachine(machine);
  }
}

Test(tables, every_target_is_known, .init = start_llvm) {
  char said[512];
  for (size_t i = 0; i < target_count(); ++i) {
    const Target *target = target_get(i);
    LLVMTargetMachineRef machine = create_machine(family_triple(target->family), target->tune, "", said);
    cr_expect_not_null(machine, "%s", target->name);
    cr_expect_str_empty(said, "%s: %s", target->tune, said);
    LLVMDisposeTargetMachine(machine);
  }
}

/* What predictions go by: a row of cores.def for each scheduling model, and only one. */
Test(tables, every_target_has_a_core) {
  static const char *const names[] = {
#define CORE(tune, mhz, products, loads, l2, l3, core_mbs, socket_mbs) tune,
#include "ir/target/cores.def"
#undef CORE
  };
  for (size_t t = 0; t < target_count(); ++t) {
    int rows = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); ++i) rows += strcmp(names[i], target_get(t)->tune) == 0;
    cr_expect_eq(rows, 1, "%s: %d rows of cores.def", target_get(t)->tune, rows);
  }
}

/* What schedules go by: a family's own row where no model's differs, and no row of a model that no target has. */
Test(tables, every_target_has_habits) {
  static const char *const models[] = {
#define HABITS(family, tune, streams, turn, chain, load) tune,
#include "ir/target/habits.def"
#undef HABITS
  };
  for (size_t t = 0; t < target_count(); ++t) {
    const Habits *habits = target_habits(target_get(t));
    cr_expect_eq(habits->family, target_get(t)->family);
    cr_expect(habits->tune == NULL || strcmp(habits->tune, target_get(t)->tune) == 0, "%s", target_get(t)->name);
  }
  for (size_t i = 0; i < ARRAY_LENGTH(models); ++i) {
    size_t users = 0;
    for (size_t t = 0; t < target_count(); ++t) {
      const Habits *habits = target_habits(target_get(t));
      users += models[i] == NULL ? habits->tune == NULL : habits->tune != NULL && strcmp(habits->tune, models[i]) == 0;
    }
    cr_expect_gt(users, 0, "row %zu of habits.def", i);
  }
}

/* Code for SVE registers asks for their length as for any feature, so cache, linker and choice of a target refuse
 * another. */
Test(tables, sve_has_one_length) {
  FeatureSet lengths[] = {0, (FeatureSet)1 << FEATURE_SVE_256, (FeatureSet)1 << FEATURE_SVE_512};
  for (size_t i = 0; i < target_count(); ++i) {
    const Target *target = target_get(i);
    bool is_scalable = target->family == FAMILY_AARCH64 && target->vector_bits > 128;
    FeatureSet wanted = is_scalable ? lengths[target->vector_bits / 256] : 0;
    cr_expect_eq(target->features & (lengths[1] | lengths[2]), wanted, "%s", target->name);
    FeatureSet elsewhere = (target->features & ~wanted) | (lengths[1] ^ lengths[2] ^ wanted);
    if (is_scalable) cr_expect_neq(target_best(FAMILY_AARCH64, elsewhere), target, "%s", target->name);
  }
}

/* What asks LLVM finds what it should. */
Test(tables, an_unknown_feature_is_found, .init = start_llvm) {
  char said[512];
  LLVMDisposeTargetMachine(create_machine("x86_64-unknown-linux-gnu", "pentium5000", "+frob", said));
  cr_expect_not_null(strstr(said, "pentium5000"), "%s", said);
  cr_expect_not_null(strstr(said, "frob"), "%s", said);
}
