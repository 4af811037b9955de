/* lower.h: tile IR to LLVM IR with explicit vectors, for one target. */
#ifndef KILN_LOWER_LOWER_H
#define KILN_LOWER_LOWER_H

#include <llvm-c/Types.h>

#include "ir/target/target.h"
#include "ir/tile/tile.h"

/* Lowers every kernel of a verified module to the three functions of args.h, named `symbol_prefix` (may be NULL) before
 * the kernel's name. The LLVM module is created in `context` and is the caller's to dispose; it has the triple, but
 * neither data layout nor CPU attributes (jit/machine.c). Nothing in it becomes a call to a function outside of the
 * module. `source` NULL: no debug information; else instructions carry the lines of the operations' positions, in a
 * text of this name.
 *
 * Beyond what tile_verify checks, code may assume that the row bound of a frag_load of role a is at least 1.
 *
 * KILN_OK with diagnostics are remarks: what compiled, but not into what it seems to be meant for. KILN_UNSUPPORTED
 * with located diagnostics where the target cannot do an operation, KILN_OUT_OF_MEMORY; *out is then NULL. */
kiln_status lower_module(const Module *module, const Target *target, LLVMContextRef context, const char *symbol_prefix,
                         const char *source, LLVMModuleRef *out, Diagnostics *faults);

#endif
