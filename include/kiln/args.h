/* args.h: the layout shared with generated code.
 *
 * A kernel object exports, for a kernel called NAME:
 *   void    NAME(const kiln_args *args, int64_t task)   runs one task; any order, any number of threads
 *   int64_t NAME_tasks(const kiln_args *args)           how many tasks there are for these dims and schedule
 *   int64_t NAME_workspace(const kiln_args *args)       bytes of workspace for these dims and schedule; the
 *                                                     first KILN_WORKSPACE_ZEROED are 0 before the first task
 * The last two read `dims` only. An object may hold several kernels: NAME and NAME_pack_W for each weight W that it
 * wants packed ahead, whose buffers are (source, packed). Objects have no undefined symbols, so they link into any
 * program.
 *
 * The table below yields both this struct and the type in LLVM IR (lower/entry.c). KILN_ARGS_VERSION changes with it
 * and is part of every cache key and packed blob. */
#ifndef KILN_ARGS_H
#define KILN_ARGS_H

#include <stdint.h>

#define KILN_ARGS_VERSION 2

/* So many bytes at the start of the workspace, or all of it where it has fewer, must be 0 before the first task runs:
 * tasks count there who is done. */
#define KILN_WORKSPACE_ZEROED 1024

/*              type                  name        meaning */
#define KILN_ARGS_FIELDS(FIELD)                                                                                        \
  FIELD(void *const *, buffers, "address of element (0, 0) of each buffer, in the kernel's order")                     \
  FIELD(const int64_t *, dims, "symbols in the kernel's order: sizes, strides in elements, then schedule params")      \
  FIELD(void *, workspace, "at least NAME_workspace bytes (above), 64-byte aligned; NULL where that is 0")

typedef struct kiln_args {
#define FIELD(type, name, meaning) type name;
  KILN_ARGS_FIELDS(FIELD)
#undef FIELD
} kiln_args;

typedef void kiln_entry(const kiln_args *args, int64_t task);
typedef int64_t kiln_query(const kiln_args *args);

#endif
