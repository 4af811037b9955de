/* jit.h: from object bytes to running code; what this machine is.
 *
 * A session owns LLVM's linker in this process; each loaded object has a dylib and a resource tracker of its own there,
 * so names never clash and unloading frees its pages at once. Pages are writable while the linker fills them and
 * executable afterwards, never both. Sessions and code may be used from any thread. */
#ifndef KILN_JIT_JIT_H
#define KILN_JIT_JIT_H

#include "jit/object.h"

/* ---- this machine and this build -------------------------------------------------------------------------------- */

/* False where Kiln has no family for the machine this is compiled for. */
bool jit_host_family(TargetFamily *family);
/* What LLVM reports of this CPU (and of the operating system's support for its registers). About 0.1 ms: keep it. */
FeatureSet jit_host_features(void);
/* "22.1.8", of the library that is loaded. */
void jit_llvm_version(Text *out);
/* Digest of the sources that shape generated code. */
const char *jit_build_id(void);

/* ---- session ---------------------------------------------------------------------------------------------------- */

typedef struct JitSession JitSession;
typedef struct JitCode JitCode;

typedef struct JitSessionOptions {
  const Allocator *allocator; /* NULL: the default one */
  const kiln_log *log;        /* copied; NULL: no events */
  FeatureSet features;        /* of this CPU: jit_host_features() */
  const char *perf_map_dir;   /* write perf-PID.map there, where perf looks in /tmp; NULL: no map */
  const char *jitdump_dir;    /* write jit-PID.dump there, for `perf inject --jit`; NULL: no dump */
  bool register_with_gdb;
} JitSessionOptions;

/* A profile file that cannot be written is a log event, not an error. KILN_MISSING_FEATURE where this machine is of no
 * family of Kiln's, KILN_OUT_OF_MEMORY, KILN_INTERNAL. */
kiln_status jit_session_create(const JitSessionOptions *options, JitSession **out, Diagnostics *faults);
/* Code that is still loaded stays valid and keeps what it needs of the session. */
void jit_session_destroy(JitSession *session);

/* Links a kernel object; `name` appears in messages. The bytes are copied where needed. KILN_INVALID_OBJECT for bytes
 * that are no kernel of Kiln's or of another family, KILN_MISSING_FEATURE, KILN_INTERNAL where LLVM refuses. Not
 * checked: the checksum (the cache does that). */
kiln_status jit_load(JitSession *session, const uint8_t *bytes, size_t size, const char *name, JitCode **out,
                     Diagnostics *faults);
/* Address of a global function of the object; NULL: no such function. */
void *jit_symbol(const JitCode *code, const char *name);
size_t jit_code_bytes(const JitCode *code); /* of machine code */
/* Line of the tile IR that code at this address comes from; 0: the object has no such table (JitCompile.source), or the
 * address is not in its code. */
int32_t jit_line(const JitCode *code, const void *address);
void jit_unload(JitCode *code); /* NULL is allowed */

#endif
