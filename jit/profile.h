/* profile.h: telling perf and gdb about loaded code. */
#ifndef KILN_JIT_PROFILE_H
#define KILN_JIT_PROFILE_H

#include "ir/support/support.h"

typedef struct JitProfile JitProfile;

/* Either directory may be NULL. NULL where both are, or where neither file can be opened (a log event says why). */
JitProfile *jit_profile_create(const char *perf_map_dir, const char *jitdump_dir, const Allocator *allocator,
                               const kiln_log *log);
void jit_profile_destroy(JitProfile *profile); /* NULL is allowed */
/* One function at its final address; may be called from any thread. A NULL profile does nothing. */
void jit_profile_add(JitProfile *profile, const char *name, const void *code, size_t size);

#endif
