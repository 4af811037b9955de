/* kiln.h: the library: engines, compiling, running, packing, explaining, and the object cache.
 *
 *   kiln_engine *engine;  kiln_engine_create(NULL, &engine);
 *   kiln_kernel *kernel;  kiln_compile(engine, graph, NULL, &kernel);
 *   kiln_run(kernel, &(kiln_call){.size = sizeof(kiln_call), .inputs = …, .outputs = …, .symbols = …});
 *
 * Option structs begin with their size, so that a program built against an older header keeps its meaning; zero means
 * the default in every field. Functions that can fail return kiln_status and touch their result only on success. An
 * engine and a kernel may be used from any number of threads at once; a kernel is immutable. docs/embedding.md is the
 * guide. */
#ifndef KILN_KILN_H
#define KILN_KILN_H

#include <stddef.h>
#include <stdint.h>

#include "kiln/args.h"
#include "kiln/base.h"
#include "kiln/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_VERSION_MAJOR 0
#define KILN_VERSION_MINOR 1
#define KILN_VERSION_PATCH 0
#define KILN_VERSION "0.1.0"

/* ---- text the library hands out ---------------------------------------------------------------------------------- */

/* Bytes owned by the caller; `data` has a NUL after `size`. Free with kiln_buffer_free, which takes NULL data too. */
typedef struct kiln_buffer {
  char *data;
  size_t size;
  kiln_allocator allocator;
} kiln_buffer;
KILN_API void kiln_buffer_free(kiln_buffer *buffer);

/* ---- threads ----------------------------------------------------------------------------------------------------- */

/* Who runs the tasks of a call. `parallel_for` calls body(arg, i) once for each i in 0 … count-1, on any threads, in
 * any order, and returns when all are done. `count` is how many threads it is likely to use: it guides blocking,
 * nothing relies on it. */
typedef struct kiln_threads {
  void *ctx;
  int32_t count;
  void (*parallel_for)(void *ctx, int64_t count, void (*body)(void *arg, int64_t index), void *arg);
} kiln_threads;

/* ---- engine ------------------------------------------------------------------------------------------------------ */

typedef struct kiln_engine kiln_engine;

typedef enum kiln_profile {
  KILN_PROFILE_PERF_MAP = 1, /* /tmp/perf-PID.map */
  KILN_PROFILE_JITDUMP = 2,  /* jit-PID.dump in the directory `profile_dir` */
  KILN_PROFILE_GDB = 4,      /* gdb's JIT interface */
  KILN_PROFILE_LINES = 8,    /* code knows the lines of its tile IR: kiln_kernel_line, jitdump, gdb */
} kiln_profile;

typedef struct kiln_engine_options {
  size_t size;                     /* sizeof(kiln_engine_options) */
  const kiln_allocator *allocator; /* copied; NULL: malloc */
  kiln_log log;                    /* events; none by default */
  const char *cache_dir;  /* NULL: $KILN_CACHE_DIR, else $XDG_CACHE_HOME/kiln, else ~/.cache/kiln; "": no disk cache */
  const char *cache_path; /* read-only directories, separated by ':'; NULL: $KILN_CACHE_PATH */
  uint64_t cache_max_bytes;  /* size at which old entries go; 0: 1 GiB */
  size_t memory_max_kernels; /* kernels, and objects, kept in memory for later compiles of the same; 0: 1024 */
  int32_t threads;           /* of the default pool, started at the first call that needs it; 0: every core */
  uint32_t profile;          /* kiln_profile bits */
  const char *profile_dir;   /* NULL: the current directory */
  const char *tune_file; /* tuning records; NULL: $KILN_TUNE_FILE, else tuning.txt in cache_dir; "": in memory only */
  const char *machine;   /* what to block for instead of this machine, `cores=96 sockets=2 l2_bytes=1M`; NULL: it */
} kiln_engine_options;

/* `options` may be NULL. KILN_INVALID_ARGUMENT for an impossible option, KILN_MISSING_FEATURE where this CPU is of no
 * family in `kiln list targets`. A cache directory that cannot be used is logged and costs only recompiling. */
KILN_API kiln_status kiln_engine_create(const kiln_engine_options *options, kiln_engine **engine);
/* Kernels may be released before or after: they keep what they need. No other call with this engine may be under way.
 * NULL is allowed. */
KILN_API void kiln_engine_destroy(kiln_engine *engine);

/* ---- compiling --------------------------------------------------------------------------------------------------- */

typedef struct kiln_kernel kiln_kernel;

typedef enum kiln_packing {
  KILN_PACK_CONST = 0, /* inputs declared const are packed ahead with kiln_pack */
  KILN_PACK_NEVER = 1, /* every input is passed as it is */
} kiln_packing;

typedef enum kiln_tuning {
  KILN_TUNE_RECORDS = 0, /* tuning records are used where there are any */
  KILN_TUNE_MEASURE =
      1,               /* where there is none, kiln_tune makes it first, within tune_seconds; failing is logged only */
  KILN_TUNE_NEVER = 2, /* the model alone decides */
} kiln_tuning;

typedef struct kiln_compile_options {
  size_t size;           /* sizeof(kiln_compile_options) */
  const char *target;    /* a row of `kiln list targets`; NULL: this machine */
  const char *template_; /* force a template by name; NULL: the first that matches */
  const char *schedule;  /* `mr=8 nr=48 …`: fields to fix; NULL: none */
  kiln_packing packing;
  bool batch_invariant; /* a row's result does not depend on how many rows there are */
  bool no_cache;        /* neither read nor write the memory and disk caches */
  kiln_buffer *
      message; /* overwritten with why it failed, located in the graph's text; data NULL on success; NULL: not wanted */
  kiln_tuning tune; /* of no effect where `schedule` fixes fields */
  const int64_t
      *tune_symbols;   /* sizes that calls will mostly have: what to measure, and the record to prefer; NULL: none */
  double tune_seconds; /* 0: 1 */
  const kiln_threads *tune_threads; /* that calls will mostly use, likewise; NULL: the engine's pool */
} kiln_compile_options;

/* Compiles a checked graph (checks it where that was not done), or finds it in the caches. `options` may be NULL.
 * Errors: KILN_INVALID_GRAPH, KILN_SYNTAX (the graph's own faults), KILN_NOT_FOUND (target, template, schedule field),
 * KILN_UNSUPPORTED (a forced template or schedule that does not fit), KILN_MISSING_FEATURE (a target
 * whose features this machine lacks; kiln_emit makes objects for it). The kernel is released with kiln_kernel_release.
 */
KILN_API kiln_status kiln_compile(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                                  kiln_kernel **kernel);
/* The same from graph text. */
KILN_API kiln_status kiln_compile_text(kiln_engine *engine, const char *text, const kiln_compile_options *options,
                                       kiln_kernel **kernel);
KILN_API void kiln_kernel_retain(kiln_kernel *kernel);
KILN_API void kiln_kernel_release(kiln_kernel *kernel); /* NULL is allowed */

typedef enum kiln_cache_hit { KILN_COLD, KILN_DISK, KILN_MEMORY } kiln_cache_hit;

/* What making a kernel's code took, in milliseconds; 0 for stages it did not go through. */
typedef struct kiln_compile_times {
#define KILN_COMPILE_STAGE(name, meaning) double name;
#include "kiln/stages.def"
#undef KILN_COMPILE_STAGE
} kiln_compile_times;

/* What was decided, and what it cost. Strings live as long as the kernel. */
typedef struct kiln_kernel_info {
  const char *name;  /* the entry symbol, as perf and gdb show it */
  const char *graph; /* canonical text on one line */
  const char *template_;
  const char *schedule; /* baked fields, and passed ones that are fixed */
  const char *target;
  const char *features; /* CPU features the code requires */
  const char *key;      /* 64 hex digits: the entry's name in the object cache */
  kiln_cache_hit cache; /* where this handle's compile call found it */
  double compile_ms;    /* wall time of that call */
  size_t object_bytes, code_bytes;
  bool is_fallback; /* the reference template: right for everything, and slow */
  const char
      *origin; /* where the schedule comes from: "fixed", "record exact", "record bucket", "record other", "model" */
  kiln_compile_times times; /* of the call that compiled the code, or found its object, for the first time */
} kiln_kernel_info;
KILN_API kiln_status kiln_kernel_describe(const kiln_kernel *kernel, kiln_kernel_info *info);
/* The line of the kernel's tile IR (kiln_dump of the same graph and options) that the instruction at this address comes
 * from; 0: the address is not in its code, or the engine is without KILN_PROFILE_LINES. For profilers; may be called in
 * a signal handler. */
KILN_API int32_t kiln_kernel_line(const kiln_kernel *kernel, const void *address);

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* One call. Buffers address element 0 in the declared type and strides, aligned to the element. Where input i is packed
 * (kiln_kernel_is_packed), inputs[i] is the blob kiln_pack made. An output may be an element-wise operand of the same
 * shape and strides (in place); no other overlap. */
typedef struct kiln_call {
  size_t size;               /* sizeof(kiln_call) */
  const void *const *inputs; /* in order of declaration */
  void *const *outputs;      /* in order of return */
  const int64_t *symbols;    /* in order of first appearance; NULL where the graph has none */
  void *workspace;           /* 64-byte aligned; NULL: lent by the engine where needed */
  size_t workspace_bytes;
  const kiln_threads *threads; /* NULL: the engine's pool; see kiln_threads_serial */
} kiln_call;

/* KILN_INVALID_ARGUMENT for a NULL buffer, a symbol out of range, strides that overlap, a workspace too small, a blob
 * of another layout. Sizes of 0 are allowed. */
KILN_API kiln_status kiln_run(const kiln_kernel *kernel, const kiln_call *call);
/* Why kiln_run or kiln_pack of this call refuses, in words; empty where it does not. */
KILN_API kiln_status kiln_check_call(const kiln_kernel *kernel, const kiln_call *call, kiln_buffer *message);
/* Bytes of workspace of a call with these symbols and threads (as in kiln_call; more threads may need more); 0 for most
 * kernels. */
KILN_API kiln_status kiln_workspace_bytes(const kiln_kernel *kernel, const int64_t *symbols,
                                          const kiln_threads *threads, size_t *bytes);
/* The calling thread alone: for one call with no fork at all. */
KILN_API const kiln_threads *kiln_threads_serial(void);
/* The engine's own pool, for other work of the caller's; its threads start at the first parallel_for. Lives as long as
 * the engine. */
KILN_API const kiln_threads *kiln_engine_threads(kiln_engine *engine);

/* The code itself, for callers who fill kiln_args and loop over the tasks themselves; lives as long as the kernel.
 * kiln_kernel_args fills `dims` (room for kiln_kernel_dim_count numbers) for these symbols and this thread count.
 * Buffers are the inputs, then the outputs; a packed input's is kiln_packed_data of its blob. */
KILN_API kiln_entry *kiln_kernel_function(const kiln_kernel *kernel);
KILN_API size_t kiln_kernel_dim_count(const kiln_kernel *kernel);
KILN_API kiln_status kiln_kernel_args(const kiln_kernel *kernel, const int64_t *symbols, int32_t threads, int64_t *dims,
                                      int64_t *tasks, size_t *workspace_bytes);

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* Whether input i is passed as a blob made by kiln_pack. */
KILN_API bool kiln_kernel_is_packed(const kiln_kernel *kernel, size_t input);
/* Size of the blob of input i. */
KILN_API kiln_status kiln_packed_bytes(const kiln_kernel *kernel, size_t input, const int64_t *symbols, size_t *bytes);
/* Packs input i from `data` (declared type and strides) into `blob`, 64-byte aligned, of kiln_packed_bytes. The blob is
 * versioned, holds no pointers and may be written to a file and mapped again at any 64-byte aligned address; any kernel
 * that wants the same layout of the same sizes takes it. */
KILN_API kiln_status kiln_pack(const kiln_kernel *kernel, size_t input, const int64_t *symbols, const void *data,
                               void *blob, size_t blob_bytes);
/* The payload of a blob, for kiln_kernel_function; NULL where it is not a blob of this version. */
KILN_API const void *kiln_packed_data(const void *blob);

/* ---- tuning ------------------------------------------------------------------------------------------------------ */

/* What tuning has come to so far, told between measurements. */
typedef struct kiln_tune_progress {
  size_t done, total;         /* steps, of about so many */
  double best_us, default_us; /* of a call; 0 where nothing is measured yet */
  const char *schedule;       /* of the best so far */
} kiln_tune_progress;

/* A schedule that was tried. Strings live during the call. */
typedef struct kiln_tune_candidate {
  const char *schedule; /* all fields */
  bool verified;        /* its results equal the default's */
  double us, spread;    /* median of a call in the last round it took part in, and its median absolute deviation */
  int32_t rounds;
  bool kept;          /* the schedule that is recorded */
  const char *reason; /* why it was kept, fell out or failed */
} kiln_tune_candidate;

typedef struct kiln_tune_options {
  size_t size; /* sizeof(kiln_tune_options) */
  const kiln_compile_options
      *compile;                /* target (one that runs here), template, packing, fixed fields; NULL: defaults */
  const int64_t *symbols;      /* the sizes to tune for; NULL where the graph has no symbols */
  const kiln_threads *threads; /* NULL: the engine's pool */
  double seconds; /* to spend, about, compiling included, and at least the default and two more are measured; 0: 1 */
  bool
      exhaustive; /* measures every object besides, and the blocks of the best, to judge the search: best_us; minutes */
  bool no_record; /* finds, and keeps nothing */
  bool list_only; /* tells the candidates and measures nothing */
  void *ctx;
  bool (*progress)(void *ctx, const kiln_tune_progress *progress);    /* false: stop, and keep what was found */
  void (*candidate)(void *ctx, const kiln_tune_candidate *candidate); /* each, at the end */
} kiln_tune_options;

typedef struct kiln_tune_result {
  size_t size;           /* sizeof(kiln_tune_result), set by the caller */
  double us, default_us; /* of a call with the schedule kept and with the untuned one, from the same last round */
  double best_us;        /* of the best there is, where exhaustive; else 0 */
  double seconds;
  bool gained, stopped;                          /* the schedule kept is another; `progress` said stop */
  size_t candidates, objects, failed, disturbed; /* disturbed: measurements that did not count */
  kiln_buffer schedule;                          /* the one kept, all fields; kiln_buffer_free */
} kiln_tune_result;

/* Refines the schedule of a graph for some sizes and threads by measuring, and keeps it as a record: later compiles of
 * the graph use it. Operands are made here; inputs declared const are read from memory, others from the caches.
 * Candidates that do not compile or compute something else are counted as failed and logged as errors. `result` may be
 * NULL. Errors as of kiln_compile and kiln_run. */
KILN_API kiln_status kiln_tune(kiln_engine *engine, kiln_graph *graph, const kiln_tune_options *options,
                               kiln_tune_result *result);

/* A time that the caller measured, say in its own model: recorded where there is no record of these sizes and threads,
 * or a slower one. */
typedef struct kiln_tune_timing {
  size_t size;                         /* sizeof(kiln_tune_timing) */
  const kiln_compile_options *compile; /* as in kiln_tune_options */
  const int64_t *symbols;
  int32_t threads;      /* of the calls; at least 1 */
  const char *schedule; /* that it was compiled with */
  double us;            /* of a call */
} kiln_tune_timing;
KILN_API kiln_status kiln_tune_report(kiln_engine *engine, kiln_graph *graph, const kiln_tune_timing *timing);

/* Where records are kept; lives as long as the engine. Empty: in memory only. */
KILN_API const char *kiln_tune_file(const kiln_engine *engine);

/* ---- looking ----------------------------------------------------------------------------------------------------- */

typedef enum kiln_stage {
  KILN_STAGE_GRAPH,
  KILN_STAGE_TILE,
  KILN_STAGE_LLVM,
  KILN_STAGE_ASM,
  KILN_STAGE_OBJECT,
  KILN_STAGE_DOT
} kiln_stage;

/* Any stage of a graph's way to bytes, as text (the object as bytes), for any target. */
KILN_API kiln_status kiln_dump(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                               kiln_stage stage, kiln_buffer *out);
/* Which template and why not the others, schedule and why, predicted limits for `symbols` (NULL: none are bound).
 * `json`: one object on one line. */
KILN_API kiln_status kiln_explain(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                                  const int64_t *symbols, bool json, kiln_buffer *out);
/* Ahead of time, for any target: a relocatable object and a C header that declares its functions and packing, usable
 * without libkiln. `symbol_name` is a C identifier (NULL: the kernel's own); either buffer may be NULL. */
KILN_API kiln_status kiln_emit(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options,
                               const char *symbol_name, kiln_buffer *object, kiln_buffer *header);

typedef enum kiln_table {
  KILN_TABLE_OPS,
  KILN_TABLE_TYPES,
  KILN_TABLE_TARGETS,
  KILN_TABLE_MMA,
  KILN_TABLE_TEMPLATES,
  KILN_TABLE_PASSES,
  KILN_TABLE_OPTIONS
} kiln_table;
KILN_API kiln_status kiln_list(kiln_table table, bool json, kiln_buffer *out);

/* Bits of a vector register of a target by name (512, 256, 128); 0: no such target. */
KILN_API int32_t kiln_target_vector_bits(const char *target);

/* This machine, as Kiln sees it. */
typedef struct kiln_cpu {
  const char *name;     /* the vendor's, as the operating system or cpuinfo says */
  const char *target;   /* the row of `kiln list targets` that code is compiled for */
  const char *features; /* all of this CPU's that Kiln knows */
  int32_t cores, threads;
  uint32_t l1d_bytes, l2_bytes, l3_bytes; /* of one core; L3 as shared */
} kiln_cpu;
KILN_API kiln_status kiln_engine_cpu(const kiln_engine *engine, kiln_cpu *cpu);

/* ---- the object cache -------------------------------------------------------------------------------------------- */

typedef struct kiln_cache_entry {
  const char *key; /* 64 hex digits */
  const char *directory;
  bool writable; /* in the user's directory, not a read-only one */
  uint64_t bytes;
  int64_t used; /* seconds since the epoch */
  const char *target, *template_, *schedule, *graph;
  const char *fault; /* NULL: sound; else why it is not used */
} kiln_cache_entry;

/* Calls `visit` for every entry of every directory, newest first, until it returns false. Strings live during the call.
 */
KILN_API kiln_status kiln_cache_visit(kiln_engine *engine, bool (*visit)(void *ctx, const kiln_cache_entry *entry),
                                      void *ctx);
/* The user's directory; lives as long as the engine. Empty: no disk cache. */
KILN_API const char *kiln_cache_directory(const kiln_engine *engine);
/* Reads every entry of the user's directory and removes the unsound. */
KILN_API kiln_status kiln_cache_verify(kiln_engine *engine, size_t *sound, size_t *removed);
/* Removes the entries used longest ago until at most `max_bytes` are left (0 removes all). */
KILN_API kiln_status kiln_cache_prune(kiln_engine *engine, uint64_t max_bytes, size_t *removed);
/* Forgets the kernels kept in memory (those that somebody holds live until they are released) and gives back workspaces
 * kept between calls. */
KILN_API void kiln_engine_trim(kiln_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
