/* emit.h: from an LLVM module to text or object bytes. The only header of this folder that shows LLVM's types. */
#ifndef KILN_JIT_EMIT_H
#define KILN_JIT_EMIT_H

#include <llvm-c/Types.h>

#include "jit/object.h"

typedef enum JitStage {
  JIT_STAGE_LLVM,      /* the module as lowered, with the target's attributes, as text */
  JIT_STAGE_OPTIMIZED, /* the same after the passes of optimize.c */
  JIT_STAGE_ASSEMBLY,
  JIT_STAGE_OBJECT,
} JitStage;

typedef struct JitTimes {
  int64_t verify_ns, optimize_ns, codegen_ns;
} JitTimes;

/* `key` and `fields` are for the object's metadata; the rest of it follows from the module and the target. */
typedef struct JitEmit {
  JitStage stage;
  const char *key; /* full text of the content key */
  size_t key_length;
  const JitField *fields;
  size_t field_count;
  const char *build;   /* generator build id; NULL: this build's */
  bool frame_pointers; /* keep them, for profilers that walk stacks */
  JitTimes *times;     /* NULL: not wanted */
} JitEmit;

/* Verifies, optimises and compiles the module, which is changed and stays the caller's. Every defined function gets the
 * target's attributes. May run on many threads at once, each with a context of its own. Errors, with sentences in
 * `faults`: KILN_INTERNAL (an invalid module; an object that is no kernel, say for an undefined symbol),
 * KILN_UNSUPPORTED (this LLVM lacks the target), KILN_OUT_OF_MEMORY. Text stages have no NUL at the end.
 *
 * What LLVM cannot compile at all ends the process: see diagnose.c for what is caught and what is not. */
kiln_status jit_emit(LLVMModuleRef module, const Target *target, const JitEmit *options, const Allocator *allocator,
                     JitBuffer *out, Diagnostics *faults);

#endif
