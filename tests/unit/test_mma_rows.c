/* Every matrix instruction of x86 multiplies once on each target that chooses it, natively or emulated, and says so for
 * the table at the end of a test run. tests/cross does the same for other families. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ir/tile/tile.h"
#include "jit/jit.h"
#include "tests/emulate/native.h"
#include "tests/unit/lower_product.h"

/* A product that becomes the row on this target; false: other rows are better for its types whatever the shape. */
static bool find_product(const Target *target, const MmaInstruction *row, Product *p) {
  static const kiln_type floats[] = {KILN_F32, KILN_F8E5M2}, integers[] = {KILN_I32, KILN_I32};
  static const kiln_type doubles[] = {KILN_F64, KILN_F32};
  bool is_any = row->a == MMA_ANY_TYPE, is_cut = row->a == MMA_TF32_TYPE;
  const kiln_type *any = row->acc == KILN_I32 ? integers : row->acc == KILN_F64 ? doubles : floats;
  *p = (Product){.a = is_any   ? any[0]
                      : is_cut ? KILN_F32
                               : (kiln_type)row->a,
                 .b = is_any   ? any[1]
                      : is_cut ? KILN_F32
                               : (kiln_type)row->b,
                 .acc = row->acc,
                 .target = target->name,
                 .multiply = is_cut ? "mma_tf32" : NULL,
                 .mr = row->m >= 16 ? 32 : 6,
                 .nr = 32,
                 .ku = row->k,
                 .fill = FILL_SMALL,
                 .m = 33,
                 .n = 50,
                 .k = 3 * row->k - (row->group > 1)};
  MmaProduct product = {.a = p->a, .b = p->b, .acc = p->acc, .m = p->mr, .n = p->nr, .k = p->ku, .cuts = is_cut};
  return mma_find(target, &product) == row;
}

/* Whether this process may use tile registers of the CPU's own. */
static bool has_own_tiles(void) {
  enum { ARCH_GET_XCOMP_PERM = 0x1022, XFEATURE_XTILEDATA = 18 };
  uint64_t mask = 0;
  return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &mask) == 0 && (mask >> XFEATURE_XTILEDATA & 1) != 0;
}

static const char *way_of(const MmaInstruction *row) {
  FeatureSet missing = row->features & ~jit_host_features();
  bool needs_tiles = (row->features >> FEATURE_AMXTILE & 1) != 0;
  return missing == 0 && (!needs_tiles || has_own_tiles()) ? "natively" : "emulated";
}

static void check_row(const MmaInstruction *row) {
  int runs = 0, choices = 0;
  for (size_t t = 0; t < target_count() && runs < 2; ++t) {
    const Target *target = target_get(t);
    Product p;
    if (target->family != FAMILY_X86_64 || !find_product(target, row, &p)) continue;
    ++choices;
    if (!lower_can_run(target)) continue;
    product_check_layout(p, row->group, 0, 0);
    printf("EXERCISED: %s on %s, %s\n", row->name, target->name, way_of(row));
    ++runs;
  }
  if (choices > 0 && runs == 0) printf("NOT EXERCISED: mma %s: this CPU cannot run or emulate it\n", row->name);
}

Test(mma_rows, all) {
  for (size_t i = 0; i < mma_count(); ++i) check_row(mma_get(i));
}

Test(mma_rows, own_tiles) {
  FeatureSet tiles = (FeatureSet)1 << FEATURE_AMXTILE;
  if ((jit_host_features() & tiles) == 0 || !native_permit_amx()) return; /* emulated above */
  for (size_t i = 0; i < mma_count(); ++i)
    if ((mma_get(i)->features & tiles) != 0 && (mma_get(i)->features & ~jit_host_features()) == 0)
      check_row(mma_get(i));
}
