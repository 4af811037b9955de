/* detect.c: what this machine is: cores and caches from cpuinfo, features from LLVM, the row of targets.def from both.
 *
 * Features decide the target, never the CPU's model number: virtual machines report one CPU's number and another's
 * features. cpuinfo may know nothing of the caches there; then the target's row says what is likely. */
#define _GNU_SOURCE /* sched_getaffinity */
#include <cpuinfo.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/runtime.h"

/* Processors that this process may run on, at least 1. */
static int32_t count_processors(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  /* Fails on machines of more than 1024 processors: the caller's other figure then counts. */
  if (sched_getaffinity(0, sizeof set, &set) != 0) return INT32_MAX;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

static uint32_t cache_bytes(const struct cpuinfo_cache *cache) { return cache ? cache->size : 0; }

/* Texts are copied: cpuinfo keeps its own for the life of the process, but says so nowhere. */
static void read_cpuinfo(Arena *arena, Cpu *cpu) {
  const struct cpuinfo_package *package = cpuinfo_get_package(0);
  const struct cpuinfo_processor *processor = cpuinfo_get_processor(0);
  if (package) cpu->name = arena_copy(arena, package->name, strnlen(package->name, sizeof package->name));
  cpu->cores = (int32_t)cpuinfo_get_cores_count();
  cpu->threads = (int32_t)cpuinfo_get_processors_count();
  cpu->sockets = (int32_t)cpuinfo_get_packages_count();
  if (!processor) return;
  cpu->l1d_bytes = cache_bytes(processor->cache.l1d);
  cpu->l2_bytes = cache_bytes(processor->cache.l2);
  cpu->l3_bytes = cache_bytes(processor->cache.l3);
  if (processor->cache.l3 && cpu->threads > 0) /* hardware threads share it; cores matter */
    cpu->l3_cores = (int32_t)processor->cache.l3->processor_count * cpu->cores / cpu->threads;
}

/* A size that cpuinfo gave as 0, from the target's row. */
static void complete(const kiln_log *log, const Target *target, const char *what, int row_kib, uint32_t *bytes) {
  if (*bytes != 0) return;
  *bytes = (uint32_t)row_kib << 10;
  log_event(log, KILN_LOG_INFO, "cpu: size of %s unknown, using %d KiB of target %s", what, row_kib, target->name);
}

/* The kernel lets a process use tile registers only after it asked, once for all its threads, because they make signal
 * frames larger; it refuses where a signal stack is too small for that. */
static bool may_use_tiles(void) {
#if defined(__x86_64__)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return false;
#endif
}

static FeatureSet without_tiles(FeatureSet features) {
  static const Feature tiles[] = {FEATURE_AMXTILE, FEATURE_AMXBF16, FEATURE_AMXINT8,
                                  FEATURE_AMXFP16, FEATURE_AMXFP8,  FEATURE_AMXTF32};
  for (size_t i = 0; i < ARRAY_LENGTH(tiles); ++i) features &= ~((FeatureSet)1 << tiles[i]);
  return features;
}

kiln_status rt_detect(Arena *arena, const kiln_log *log, FeatureSet emulated, Cpu *cpu) {
  *cpu = (Cpu){.name = "unknown"};
  TargetFamily family;
  if (!jit_host_family(&family)) return KILN_MISSING_FEATURE;
  cpu->features = jit_host_features() | emulated;
  if (((cpu->features & ~emulated) >> FEATURE_AMXTILE & 1) != 0 && !may_use_tiles()) {
    log_event(log, KILN_LOG_WARNING, "cpu: the kernel refuses tile registers (AMX) to this process: %s; going without",
              strerror(errno));
    cpu->features = without_tiles(cpu->features);
  }
  cpu->target = target_best(family, cpu->features);
  Text text;
  text_init(&text, &arena->allocator);
  features_print(cpu->features, &text);
  cpu->features_text = arena_copy(arena, text_get(&text), text.length);
  bool failed = text.failed;
  text_release(&text);
  if (cpuinfo_initialize()) read_cpuinfo(arena, cpu);
  else log_event(log, KILN_LOG_WARNING, "cpu: cpuinfo does not know this machine");
  int32_t allowed = count_processors();
  if (cpu->threads < 1) cpu->threads = allowed < INT32_MAX ? allowed : 1;
  if (cpu->threads > allowed) cpu->threads = allowed;
  if (cpu->cores < 1 || cpu->cores > cpu->threads) cpu->cores = cpu->threads;
  if (cpu->sockets < 1) cpu->sockets = 1;
  if (cpu->l3_cores < 1) cpu->l3_cores = 1;
  complete(log, cpu->target, "L1d", cpu->target->l1d_kib, &cpu->l1d_bytes);
  complete(log, cpu->target, "L2", cpu->target->l2_kib, &cpu->l2_bytes);
  complete(log, cpu->target, "L3", cpu->target->l3_kib, &cpu->l3_bytes);
  return failed || arena_has_failed(arena) ? KILN_OUT_OF_MEMORY : KILN_OK;
}
