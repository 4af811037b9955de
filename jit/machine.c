/* machine.c: LLVM's view of a target row.
 *
 * A row's code depends on the row only: the CPU is the family's base, and each feature is named, so what LLVM adds to
 * its definition of a CPU from one version to the next changes nothing here. `tune` chooses the scheduling model alone.
 *
 * LLVM keeps its targets in a process-wide registry without a lock. The `pthread_once_t` below guard our writes to it;
 * they are this library's only mutable statics. */
#include <llvm-c/Target.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "build_id.h"
#include "jit/jit.h"
#include "jit/llvm.h"
#include "jit/os.h"

static void init_x86_64(void) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
}

static void init_aarch64(void) {
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
}

static void init_riscv64(void) {
  LLVMInitializeRISCVTargetInfo();
  LLVMInitializeRISCVTarget();
  LLVMInitializeRISCVTargetMC();
  LLVMInitializeRISCVAsmPrinter();
}

static const struct {
  void (*init)(void);
  const char *features; /* every Linux machine of the family has them, though LLVM's base CPU does not */
  const char *abi;      /* NULL: the family has one */
} families[FAMILY_COUNT] = {
    [FAMILY_X86_64] = {init_x86_64, "", NULL},
    [FAMILY_AARCH64] = {init_aarch64, "", NULL},
    [FAMILY_RISCV64] = {init_riscv64, "+m,+a,+f,+d,+c", "lp64d"}, /* RV64GC, what distributions are built for */
};

void jit_machine_init(TargetFamily family) {
  static pthread_once_t done[FAMILY_COUNT] = {PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT};
  pthread_once(&done[family], families[family].init);
}

/* `+fma,+avx2,…` for LLVM: the family's own features, then the row's. */
static void add_features(TargetFamily family, FeatureSet features, Text *out) {
  text_add(out, families[family].features);
  for (unsigned i = 0; i < FEATURE_COUNT; ++i)
    if ((features >> i & 1) != 0 && feature_is_llvm((Feature)i))
      text_printf(out, "%s+%s", out->length ? "," : "", feature_name((Feature)i));
}

static kiln_status create(TargetFamily family, const char *features, LLVMCodeGenOptLevel level,
                          LLVMTargetMachineRef *out, Diagnostics *faults) {
  const char *triple = family_triple(family);
  LLVMTargetRef code_generator;
  char *message = NULL;
  jit_machine_init(family);
  if (LLVMGetTargetFromTriple(triple, &code_generator, &message)) {
    jit_diagnose_message(message, triple, faults);
    return KILN_UNSUPPORTED;
  }
  LLVMTargetMachineOptionsRef options = LLVMCreateTargetMachineOptions();
  LLVMTargetMachineOptionsSetCPU(options, family_base_cpu(family));
  LLVMTargetMachineOptionsSetFeatures(options, features);
  if (families[family].abi) LLVMTargetMachineOptionsSetABI(options, families[family].abi);
  LLVMTargetMachineOptionsSetCodeGenOptLevel(options, level);
  LLVMTargetMachineOptionsSetRelocMode(options, LLVMRelocPIC);
  LLVMTargetMachineOptionsSetCodeModel(options, LLVMCodeModelSmall);
  *out = LLVMCreateTargetMachineWithOptions(code_generator, triple, options);
  LLVMDisposeTargetMachineOptions(options);
  if (*out) return KILN_OK;
  jit_diagnose_message(LLVMCreateMessage("no target machine"), triple, faults);
  return KILN_UNSUPPORTED;
}

/* Above the level "less" LLVM puts a branch and a short division round each long one: a tenth of a compile, and no k
 * loop differs (bench/results/jit-passes.md). */
kiln_status jit_machine_create(const Target *target, LLVMTargetMachineRef *out, Diagnostics *faults) {
  Text features;
  text_init(&features, NULL);
  add_features(target->family, target->features, &features);
  kiln_status status = features.failed ? KILN_OUT_OF_MEMORY
                                       : create(target->family, text_get(&features), LLVMCodeGenLevelLess, out, faults);
  text_release(&features);
  return status;
}

kiln_status jit_machine_create_host(LLVMTargetMachineRef *out, Diagnostics *faults) {
  TargetFamily family;
  if (!jit_host_family(&family)) return KILN_MISSING_FEATURE;
  return create(family, families[family].features, LLVMCodeGenLevelNone, out, faults);
}

/* ---- attributes ------------------------------------------------------------------------------------------------- */

static const LLVMAttributeIndex function_index = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;

static void set_attribute(LLVMValueRef function, const char *name, const char *value) {
  unsigned name_length = (unsigned)strlen(name);
  LLVMContextRef context = LLVMGetModuleContext(LLVMGetGlobalParent(function));
  LLVMRemoveStringAttributeAtIndex(function, function_index, name, name_length);
  LLVMAddAttributeAtIndex(function, function_index,
                          LLVMCreateStringAttribute(context, name, name_length, value, (unsigned)strlen(value)));
}

static void set_enum(LLVMValueRef function, const char *name, uint64_t value) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMContextRef context = LLVMGetModuleContext(LLVMGetGlobalParent(function));
  LLVMAddAttributeAtIndex(function, function_index, LLVMCreateEnumAttribute(context, kind, value));
}

/* With the length of SVE registers known, LLVM keeps vectors of that length in them. Code for 128 bits is NEON and runs
 * at any length, so nothing is promised there. */
static void set_scalable_length(LLVMValueRef function, const Target *target) {
  uint64_t units = (uint64_t)target->vector_bits / 128;
  if (target_has(target, FEATURE_SVE) && units > 1) set_enum(function, "vscale_range", units << 32 | units);
}

static void apply(LLVMValueRef function, const Target *target, const char *features, bool frame_pointers) {
  char bits[16];
  snprintf(bits, sizeof bits, "%d", target->vector_bits);
  set_attribute(function, "target-cpu", family_base_cpu(target->family));
  set_attribute(function, "tune-cpu", target->tune);
  set_attribute(function, "target-features", features);
  /* LLVM would halve 512-bit vectors where the tuning CPU is said to prefer 256 bits; the template has decided already.
   */
  set_attribute(function, "prefer-vector-width", bits);
  set_attribute(function, "min-legal-vector-width", bits);
  set_attribute(function, "no-builtins", "");
  set_attribute(function, "frame-pointer", frame_pointers ? "all" : "none");
  set_enum(function, "nounwind", 0);
  set_scalable_length(function, target);
}

void jit_machine_apply(LLVMTargetMachineRef machine, const Target *target, bool frame_pointers, LLVMModuleRef module) {
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
  char *features = LLVMGetTargetMachineFeatureString(machine);
  LLVMSetModuleDataLayout(module, layout);
  LLVMSetTarget(module, family_triple(target->family));
  for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
    if (!LLVMIsDeclaration(f)) apply(f, target, features, frame_pointers);
  LLVMDisposeMessage(features);
  LLVMDisposeTargetData(layout);
}

/* ---- this machine ----------------------------------------------------------------------------------------------- */

bool jit_host_family(TargetFamily *family) {
#if defined(__x86_64__)
  *family = FAMILY_X86_64;
  return true;
#elif defined(__aarch64__)
  *family = FAMILY_AARCH64;
  return true;
#elif defined(__riscv) && __riscv_xlen == 64
  *family = FAMILY_RISCV64;
  return true;
#else
  (void)family;
  return false;
#endif
}

/* Features that LLVM does not know. */
static FeatureSet features_of_os(void) {
  switch (jit_os_sve_bits()) {
  case 256: return (FeatureSet)1 << FEATURE_SVE_256;
  case 512: return (FeatureSet)1 << FEATURE_SVE_512;
  default: return 0;
  }
}

FeatureSet jit_host_features(void) {
  TargetFamily family;
  if (!jit_host_family(&family)) return 0;
  FeatureSet present = features_of_os();
  char *list = LLVMGetHostCPUFeatures(); /* +avx,-xop,… */
  for (const char *word = list; *word;) {
    size_t length = strcspn(word, ",");
    for (unsigned i = 0; word[0] == '+' && i < FEATURE_COUNT; ++i) {
      const char *name = feature_name((Feature)i);
      if (feature_family((Feature)i) == family && strlen(name) == length - 1 && memcmp(name, word + 1, length - 1) == 0)
        present |= (FeatureSet)1 << i;
    }
    word += length + (word[length] == ',');
  }
  LLVMDisposeMessage(list);
  return present;
}

void jit_llvm_version(Text *out) {
  unsigned major, minor, patch;
  LLVMGetVersion(&major, &minor, &patch);
  text_printf(out, "%u.%u.%u", major, minor, patch);
}

const char *jit_build_id(void) { return KILN_BUILD_ID; }
