/* Every intrinsic of lower/intrinsics.def exists in this LLVM. */
#include <criterion/criterion.h>
#include <llvm-c/Core.h>
#include <string.h>

#include "lower/lower.h"

Test(lower_intrinsics, exist) {
#define INTRINSIC(enumerator, name) cr_expect_neq(LLVMLookupIntrinsicID(name, strlen(name)), 0, "%s", name);
#include "lower/intrinsics.def"
#undef INTRINSIC
}
