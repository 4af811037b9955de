/* test_amx_refused.c: a kernel that refuses tile registers to the process: the engine says so in its log, the target of
 * the machine becomes one without them, and kernels are right on it. The refusal is made by a filter of system calls,
 * which lasts as long as the process: each test has its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "ir/target/target.h"
#include "jit/jit.h"
#include "tests/numeric/ladder.h"

/* From here on arch_prctl(ARCH_REQ_XCOMP_PERM) of this process fails with `error`; false: the kernel has no filters. */
static bool refuse_tiles(unsigned error) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023 };
  const unsigned number = offsetof(struct seccomp_data, nr), arch = offsetof(struct seccomp_data, arch);
  const unsigned argument = offsetof(struct seccomp_data, args);
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH_REQ_XCOMP_PERM, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void keep_warning(void *ctx, kiln_log_level level, const char *message) {
  char *kept = ctx;
  if (level == KILN_LOG_WARNING && strstr(message, "AMX") != NULL) snprintf(kept, 256, "%s", message);
}

static void check_refusal(unsigned error) {
  if ((jit_host_features() >> FEATURE_AMXTILE & 1) == 0) {
    printf("NOT EXERCISED: AMX refused by the kernel: this CPU has none\n");
    return;
  }
  if (!refuse_tiles(error)) {
    printf("NOT EXERCISED: AMX refused by the kernel: no filters of system calls here: %s\n", strerror(errno));
    return;
  }
  char warning[256] = "";
  kiln_engine *engine;
  kiln_engine_options options = {
      .size = sizeof options, .cache_dir = "", .cache_path = "", .log = {warning, keep_warning}};
  cr_assert_eq(kiln_engine_create(&options, &engine), KILN_OK);
  cr_expect_not_null(strstr(warning, "refuses tile registers"), "'%s'", warning);
  cr_expect_not_null(strstr(warning, strerror((int)error)), "'%s'", warning);
  kiln_cpu cpu;
  cr_assert_eq(kiln_engine_cpu(engine, &cpu), KILN_OK);
  cr_expect_null(strstr(cpu.features, "amx"), "%s", cpu.features);
  cr_expect_eq(target_has(target_find(cpu.target), FEATURE_AMXTILE), false, "%s", cpu.target);
  if (target_best(FAMILY_X86_64, jit_host_features()) == target_find("sapphirerapids"))
    cr_expect_str_eq(cpu.target, "sapphirerapids-noamx");
  static const char *const graphs[] = {"x: bf16[m, k]; w: const bf16[k, n]; y = x @ w; return y",
                                       "x: u8[m, k]; w: const i8[k, n]; y = x @ w; return y"};
  for (int g = 0; g < 2; ++g)
    ladder_run(engine, &(LadderCase){.graph = graphs[g], .exact = true, .symbols = {50, 130, 70}});
  kiln_graph *graph;
  kiln_kernel *kernel;
  kiln_compile_options compile = {.size = sizeof compile, .target = "sapphirerapids"};
  cr_assert_eq(kiln_graph_parse(graphs[0], strlen(graphs[0]), NULL, &graph), KILN_OK);
  cr_expect_eq(kiln_compile(engine, graph, &compile, &kernel), KILN_MISSING_FEATURE,
               "its instructions would be killed");
  kiln_graph_destroy(graph);
  kiln_engine_destroy(engine);
}

Test(amx_refused, not_permitted) { check_refusal(EPERM); }
Test(amx_refused, signal_stack_too_small) { check_refusal(ENOSPC); }
Test(amx_refused, old_kernel) { check_refusal(EINVAL); }
