/* profile.h: telling perf and gdb about loaded code. */
#ifndef KILN_JIT_PROFILE_H
#define KILN_JIT_PROFILE_H

#include "jit/object.h"

typedef struct JitProfile JitProfile;

/* Either directory may be NULL. NULL where both are, or where neither file can be opened (a log event says why). */
JitProfile *jit_profile_create(const char *perf_map_dir, const char *jitdump_dir, const Allocator *allocator,
                               const kiln_log *log);
void jit_profile_destroy(JitProfile *profile); /* NULL is allowed */
/* Lines of loaded code; `begin` is the address that those of the table count from. */
typedef struct JitLineTable {
  const char *source; /* name of the text they are of */
  uintptr_t begin;
  const JitLine *lines;
  size_t count;
} JitLineTable;

/* One function at its final address; may be called from any thread. A NULL profile does nothing. */
void jit_profile_add(JitProfile *profile, const char *name, const void *code, size_t size, const JitLineTable *lines);

typedef struct JitGdbImage JitGdbImage;

/* Shows gdb an object whose function `name` was loaded at `address`; NULL when memory is short. The image is a copy. */
JitGdbImage *jit_gdb_add(const JitObject *object, const char *name, const void *address, const Allocator *allocator);
void jit_gdb_remove(JitGdbImage *image); /* NULL is allowed */

#endif
