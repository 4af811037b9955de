/* tile.h: tile IR from the outside: parse, verify, print, interpret and compile kernels written by hand.
 *
 * The text is the interface: docs/tile-ir.md has the language. A module holds one or more kernels. */
#ifndef KILN_TILE_H
#define KILN_TILE_H

#include "kiln/kiln.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiln_tile kiln_tile;

/* Parses and verifies tile IR. KILN_SYNTAX or KILN_INVALID_TILE with every fault, located, in `message` (may be NULL).
 */
KILN_API kiln_status kiln_tile_parse(const char *text, size_t length, const kiln_allocator *allocator, kiln_tile **tile,
                                     kiln_buffer *message);
KILN_API void kiln_tile_destroy(kiln_tile *tile);
/* The canonical text; its parse is the same module. */
KILN_API kiln_status kiln_tile_print(const kiln_tile *tile, kiln_buffer *out);

KILN_API size_t kiln_tile_kernel_count(const kiln_tile *tile);
/* What one kernel takes: names of its buffers and symbols (the order of kiln_args). */
KILN_API const char *kiln_tile_kernel_name(const kiln_tile *tile, size_t kernel);
KILN_API size_t kiln_tile_buffer_count(const kiln_tile *tile, size_t kernel);
KILN_API size_t kiln_tile_symbol_count(const kiln_tile *tile, size_t kernel);
KILN_API const char *kiln_tile_symbol_name(const kiln_tile *tile, size_t kernel, size_t symbol);
/* A buffer's type as text, its element type, and its size in bytes for these symbols. */
KILN_API kiln_status kiln_tile_buffer_info(const kiln_tile *tile, size_t kernel, size_t buffer, const int64_t *symbols,
                                           const char **name, kiln_type *type, size_t *bytes);
KILN_API kiln_status kiln_tile_query(const kiln_tile *tile, size_t kernel, const int64_t *symbols, int64_t *tasks,
                                     size_t *workspace_bytes);

/* Runs every task of a kernel in the interpreter, which checks each access; faults are located in `message`. */
KILN_API kiln_status kiln_tile_interpret(const kiln_tile *tile, size_t kernel, const kiln_args *args,
                                         size_t workspace_bytes, kiln_buffer *message);

/* Compiles a module; stage as of kiln_dump (LLVM, ASM, OBJECT). `target` NULL: this machine. */
KILN_API kiln_status kiln_tile_dump(kiln_engine *engine, const kiln_tile *tile, const char *target, kiln_stage stage,
                                    kiln_buffer *out, kiln_buffer *message);
/* Compiles a module for this machine and links it. Functions are found by name as in args.h ("gemm", "gemm_tasks"). */
typedef struct kiln_tile_code kiln_tile_code;
KILN_API kiln_status kiln_tile_compile(kiln_engine *engine, const kiln_tile *tile, const char *target,
                                       kiln_tile_code **code, kiln_buffer *message);
KILN_API void *kiln_tile_function(const kiln_tile_code *code, const char *name); /* NULL: no such function */
KILN_API void kiln_tile_code_release(kiln_tile_code *code);

#ifdef __cplusplus
}
#endif
#endif
