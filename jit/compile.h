/* compile.h: tile IR to text or object bytes: lowering, then LLVM. Shows no LLVM types, so the rooms above may include
 * it. */
#ifndef KILN_JIT_COMPILE_H
#define KILN_JIT_COMPILE_H

#include "ir/tile/tile.h"
#include "jit/object.h"

typedef enum JitOutput { JIT_OUTPUT_LLVM, JIT_OUTPUT_ASSEMBLY, JIT_OUTPUT_OBJECT } JitOutput;

typedef struct JitCompileTimes {
  int64_t lower_ns, verify_ns, optimize_ns, codegen_ns;
} JitCompileTimes;

/* `key` and `fields` are for the object's metadata. */
typedef struct JitCompile {
  JitOutput output;
  const char *source; /* name of the text whose lines the object shall know (lower_module); NULL: none */
  const char *key;    /* full text of the content key */
  size_t key_length;
  const JitField *fields;
  size_t field_count;
  JitCompileTimes *times; /* NULL: not wanted */
} JitCompile;

/* Compiles a verified module for a row of targets.def; the module is not changed. Any number of compiles may run at
 * once. Errors, with sentences in `faults`: what lower_module and jit_emit refuse; remarks of lower_module where there
 * is none. The caller releases `out`. */
kiln_status jit_compile(const Module *module, const Target *target, const JitCompile *options,
                        const Allocator *allocator, JitBuffer *out, Diagnostics *faults);

#endif
