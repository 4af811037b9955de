/* runtime.h: what the files of runtime/ share: the engine, requests, compiled code, threads, packed blobs.
 *
 * Ownership: an engine is counted; its creator holds it, and so does every Code, so an engine destroyed early lives on
 * until its last kernel is released. A Code is the immutable result of one compile, counted; handles (kiln_kernel) and
 * the memory cache hold it. A handle says besides how this compile call found its Code. */
#ifndef KILN_RUNTIME_RUNTIME_H
#define KILN_RUNTIME_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>

#include "ir/graph/graph.h"
#include "ir/support/support.h"
#include "ir/target/target.h"
#include "jit/cache.h"
#include "jit/compile.h"
#include "jit/jit.h"
#include "kiln/kiln.h"
#include "templates/template.h"

/* ---- text and structs of the interface (buffer.c) ---------------------------------------------------------------- */

/* Hands a text's bytes to the caller; the text is empty afterwards. KILN_OUT_OF_MEMORY where the text had failed. */
kiln_status rt_hand_out(Text *text, kiln_buffer *out);
kiln_status rt_hand_out_bytes(const void *bytes, size_t size, const Allocator *allocator, kiln_buffer *out);
/* The same for a message that may not be wanted (`out` NULL) or is empty (out->data NULL then). Releases the text. */
void rt_hand_out_message(Text *text, kiln_buffer *out);
/* Copies an option struct that begins with its size, as an older or newer header may have it, into `to`: missing fields
 * are 0, fields this version does not know must be. */
bool rt_read_options(void *to, size_t to_bytes, const void *from);

/* ---- the machine (detect.c) -------------------------------------------------------------------------------------- */

typedef struct Cpu {
  const char *name;
  const Target *target;
  FeatureSet features; /* of this machine, those Kiln knows */
  const char *features_text;
  int32_t cores, threads; /* that this process may run on */
  uint32_t l1d_bytes, l2_bytes, l3_bytes;
  int32_t sockets, l3_cores; /* in the machine; that share a last-level cache */
} Cpu;

/* Describes this machine. Texts live in the arena. What cpuinfo cannot tell is taken from the target's row, and logged.
 * Features in `emulated` count as present, and the kernel is not asked for them. KILN_MISSING_FEATURE where the CPU is
 * of no family of targets.def. */
kiln_status rt_detect(Arena *arena, const kiln_log *log, FeatureSet emulated, Cpu *cpu);

/* ---- threads (threads.c) ----------------------------------------------------------------------------------------- */

/* The default pool. Its threads start in the first parallel_for. */
typedef struct Pool {
  pthread_mutex_t mutex; /* guards the start */
  _Atomic(struct pthreadpool *) pool;
  bool failed; /* threads could not be started: everything runs on the caller's */
  bool has_key;
  pthread_key_t at_work; /* a thread's job, while it runs a task of the pool */
  const kiln_log *log;
  kiln_threads threads; /* what calls use */
} Pool;

void rt_pool_init(Pool *pool, int32_t count, const kiln_log *log);
void rt_pool_release(Pool *pool);

/* ---- workspace (workspace.c) ------------------------------------------------------------------------------------- */

enum { WORKSPACES_KEPT = 8 };

/* Memory of at least `*bytes`, and of what that became: 64-byte aligned, and where it is more than a MiB of whole huge
 * pages, if the system has them. Packed rows and accumulators that wait then lie next to each other in the second-level
 * cache, rather than wherever pages of 4 KiB happen to (f32 of 384 x 768 x 3072 1 to 2 %, and much more where looking
 * up pages waits for memory; bench/results/speed.md). NULL when out of memory. */
void *rt_allocate(const Allocator *allocator, size_t *bytes);

/* Memory of at least `bytes`, 64-byte aligned, for one call; NULL when out of memory. */
void *rt_workspace_take(kiln_engine *engine, size_t bytes);
void rt_workspace_give(kiln_engine *engine, void *memory); /* NULL is allowed */
/* Makes any workspace ready for the first task of a call. */
void rt_workspace_begin(void *memory, size_t bytes);
/* Releases what is kept. */
void rt_workspace_trim(kiln_engine *engine);

/* ---- engine (engine.c) ------------------------------------------------------------------------------------------- */

/* Where requests are recorded (trace.c). */
typedef struct Trace {
  int file; /* -1: nowhere */
} Trace;

/* Tuning records (records.c); what they are and how they read is in records.h. */
typedef struct Records {
  pthread_mutex_t mutex;        /* of the set */
  pthread_mutex_t measuring;    /* one tuning at a time where compiles ask for it: two would disturb each other */
  struct RecordSet *set;        /* NULL: not read yet */
  const char *path;             /* "": in memory only */
  const char *directory, *name; /* of the file */
  const char *read_only;        /* directories separated by ':' */
  const kiln_log *log;
  Allocator allocator;
} Records;

struct kiln_engine {
  atomic_int references;
  Allocator allocator;
  kiln_log log;
  bool has_lines; /* objects are made with the lines of their tile IR */
  Arena arena;    /* texts that live as long as the engine */
  Cpu cpu;
  Machine given; /* what the embedder says of the machine; 0 where nothing */
  JitSession *session;
  JitMemory *memory;  /* requests to Code … */
  JitMemory *objects; /* … and content keys to Linked */
  JitCache *cache;
  const char *cache_directory;
  Pool pool;
  Trace trace;
  _Atomic(void *) workspaces[WORKSPACES_KEPT]; /* not lent at the moment */
  Records records;
};

void rt_engine_release(kiln_engine *engine); /* one reference */
/* kiln_engine_create, on a CPU taken to have more features than it has: whoever calls executes their instructions in a
 * signal handler (tests/emulate). */
kiln_status rt_engine_create(const kiln_engine_options *given, FeatureSet emulated, kiln_engine **engine);
bool rt_engine_can_run(const kiln_engine *engine, const Target *target);
/* What blocking goes by: this machine for what it can run, else the target's row; with what the embedder says instead.
 */
Machine rt_engine_machine(const kiln_engine *engine, const Target *target, int32_t threads);

/* ---- requests (request.c, trace.c) ------------------------------------------------------------------------------- */

/* What a caller asks for, read and resolved. */
typedef struct Request {
  const kiln_engine *engine;
  kiln_compile_options options;
  Problem problem; /* its graph is the caller's */
} Request;

/* Reads options and checks the graph; `source` is its text where that is known (else NULL), for carets. Says in `why`
 * what is wrong. */
kiln_status rt_request_read(const kiln_engine *engine, kiln_graph *graph, const char *source, size_t source_length,
                            const kiln_compile_options *options, Request *request, Text *why);
/* Where the caller of these options wants messages, emptied; NULL: nowhere. */
kiln_buffer *rt_message_of(const kiln_compile_options *options);
/* ` name=value` for each option that changes code and is not the default. */
void rt_request_print(const Request *request, Text *out);
/* The set fields of both kinds, baked ones first. */
void rt_print_schedule(const Schedule *schedule, Text *out);
/* The lines of the content key that follow from the plan. */
void rt_plan_print_key(const Plan *plan, Text *out);

void rt_trace_open(Trace *trace, const char *path, const kiln_log *log); /* NULL or empty: nowhere */
void rt_trace_close(Trace *trace);
/* Appends one line: the graph, then its options as a comment. */
void rt_trace_request(const Trace *trace, const Request *request, const char *graph_text);

/* ---- tuning records (records.c) ---------------------------------------------------------------------------------- */

struct Record;
struct Code;

/* What a plan asks the records. */
typedef struct RecordQuestion {
  const char *graph, *target;
  bool packs_never;
  size_t symbol_count;
  const int64_t *symbols; /* sizes to prefer; NULL: none */
  int32_t threads;        /* likewise */
} RecordQuestion;

/* `path` NULL: tuning.txt in the cache's directory, if there is one. Texts live in the arena. */
void rt_records_open(Records *records, Arena *arena, const char *path, const char *cache_directory,
                     const char *read_only, const kiln_log *log);
void rt_records_close(Records *records);
/* Differs when the records that answer differ; 0: there are none. */
uint64_t rt_records_stamp(Records *records, const RecordQuestion *question);
/* All records that answer, the best suited first, copied to the arena. How many. */
size_t rt_records_match(Records *records, const RecordQuestion *question, Arena *arena, struct Record **list);
/* Adds a record, in memory and in the file; `replaces`: also one of the same date. */
void rt_records_add(Records *records, const struct Record *record, bool replaces);

/* What was found or told of a planned Code; `schedule` NULL: nothing is better than the default. */
typedef struct RecordNews {
  const int64_t *symbols;
  int32_t threads;
  const Schedule *schedule;
  double us, default_us;
  bool only_better; /* than a record there is */
} RecordNews;
kiln_status rt_record_keep(const struct Code *code, const RecordNews *news);
/* For KILN_TUNE_MEASURE: tunes where no record answers the request exactly (tune.c). */
kiln_status rt_tune_first(kiln_engine *engine, kiln_graph *graph, const Request *request, const char *graph_text,
                          Text *why);
/* Whether the caller fixed fields of the schedule. */
bool rt_has_wishes(const Problem *problem);
bool rt_uses_records(const Request *request);
RecordQuestion rt_record_question(const Request *request, const char *graph_text);
/* `m:384,k:768` of a graph's symbols. */
void rt_print_sizes(const kiln_graph *graph, const int64_t *symbols, Text *out);

/* ---- packed blobs (pack.c) --------------------------------------------------------------------------------------- */

enum { BLOB_BYTES = 128 /* of the header; the payload follows */ };

/* What a blob says of itself, compared as a whole before it is used. */
typedef struct BlobHeader {
  char magic[8];
  uint32_t version, args_version;
  uint64_t payload_bytes;
  int32_t type, layout, panel, group, rank, unused;
  int64_t dims[TILE_MAX_RANK];
  uint64_t checksum; /* of the fields above */
  char padding[BLOB_BYTES - 88];
} BlobHeader;
_Static_assert(sizeof(BlobHeader) == BLOB_BYTES, "the payload starts on a cache line");

/* The header of a blob of this layout; false where its sizes do not fit an address space. */
bool rt_blob_describe(const BufType *type, const int64_t *symbols, BlobHeader *header);
/* Why `blob` is not what `expected` says, in words. */
void rt_blob_explain(const BlobHeader *blob, const BlobHeader *expected, Text *out);

/* ---- code (plan.c, code.c) --------------------------------------------------------------------------------------- */

/* One buffer of a kernel: an input or an output. */
typedef struct Port {
  const Node *node;
  const char *name;     /* "" for an output without one */
  uintptr_t misaligned; /* address bits that must be 0 */
  bool is_fixed;        /* no symbol in its sizes and strides */
  const Pack *pack;     /* NULL: passed as it is */
  BlobHeader header;    /* packed and fixed: what a blob must say */
  kiln_entry *packer;   /* packed: one task's share of (source, packed) */
  kiln_query *pack_tasks;
} Port;

/* The numbers of a call. */
typedef struct Binding {
  int32_t threads; /* for so many */
  int64_t *dims;
  int64_t tasks, workspace_bytes;
} Binding;

/* Passed fields that a record has for calls of some sizes and threads. */
typedef struct TunedCall {
  int32_t threads;
  const int64_t *sizes;
  int64_t *buckets;
  const Schedule *schedule;
} TunedCall;

enum { CODE_BINDINGS = 2 /* of a graph without symbols: for one thread and for the engine's pool */ };

/* An object in this process (linked.c), counted: Code and the engine's memory hold it. */
typedef struct Linked {
  atomic_int references;
  Allocator allocator;
  JitCode *jit;
  size_t bytes; /* of the object */
} Linked;

kiln_status rt_linked_create(kiln_engine *engine, const JitBuffer *object, const char *name, Linked **linked,
                             Text *why);
void rt_linked_retain(Linked *linked);
void rt_linked_release(Linked *linked); /* NULL is allowed */

typedef struct Code {
  atomic_int references;
  kiln_engine *engine; /* held */
  Arena arena;         /* plan, texts, ports */
  kiln_graph *graph;   /* own copy, which the plan refers to */
  Plan plan;
  const char *graph_text; /* one line */
  const char *name, *schedule, *features;
  const char *key_text;
  size_t key_length;
  char key_name[JIT_KEY_NAME_BYTES];
  Port *ports; /* inputs, then outputs */
  size_t input_count, output_count, port_count, symbol_count, dim_count;
  const char *origin; /* of the schedule: "fixed", "record exact" … "model" */
  TunedCall *calls;
  size_t call_count;

  /* Where it is loaded, not only planned: */
  Linked *linked;
  kiln_entry *entry;
  kiln_query *tasks, *workspace;
  Binding bindings[CODE_BINDINGS];
  int binding_count;
  kiln_compile_times times;
} Code;

struct kiln_kernel {
  atomic_int references;
  Code *code;
  kiln_cache_hit cache;
  double compile_ms;
};

/* A loaded Code by way of disk (unless the request says no_cache) or compiler; `hit` says which. */
kiln_status rt_code_make(kiln_engine *engine, const Request *request, const char *graph_text, Code **code,
                         kiln_cache_hit *hit, Text *why);
/* Plans a Code whose graph is there, as a tuning record says where there is one that fits (tuned.c). */
kiln_status rt_tuned_plan(Code *code, const Request *request, Text *why);
/* The record for a call of these sizes and threads, or of their buckets; NULL: none. */
const TunedCall *rt_tuned_call(const Code *code, const int64_t *symbols, int32_t threads, bool *is_exact);
/* Puts its passed fields in the place of what bind chose. */
void rt_tuned_bind(const Code *code, const int64_t *symbols, int32_t threads, const Machine *machine, int64_t *params);
/* A Code with plan, names and key, not loaded. `graph_text` is the request's graph on one line. */
kiln_status rt_code_plan(kiln_engine *engine, const Request *request, const char *graph_text, Code **code, Text *why);
/* Logs a warning where the template is the fallback and nobody asked for it: that is never silent. */
void rt_code_warn(const Code *code);
void rt_code_retain(Code *code);
void rt_code_release(Code *code); /* NULL is allowed */

/* Milliseconds since the last lap. */
double rt_lap(int64_t *since);
/* The module of a plan, verified; its entry is called `name`. A broken rule there is KILN_INTERNAL. `times` gets what
 * the stages took; NULL: not wanted. */
kiln_status rt_code_build(const Code *code, const char *name, kiln_compile_times *times, Module **module, Text *why);
/* Remarks of a compile that succeeded, as warnings in the log; `name` says of what. */
void rt_log_remarks(const kiln_engine *engine, const char *name, const Diagnostics *remarks);
/* Builds and compiles. `name` NULL: the code's own. `times` as above. */
kiln_status rt_code_compile(const Code *code, const char *name, JitOutput output, kiln_compile_times *times,
                            JitBuffer *out, Text *why);
/* Packs an input as this code reads it; `symbols` NULL where its sizes and strides have none (pack.c). */
void rt_pack(const Code *code, size_t input, const int64_t *symbols, const void *data, void *payload);
/* Links an object of this code, or takes one that is linked, and completes the fields. After a fault the Code is as
 * before. */
kiln_status rt_code_load(Code *code, const JitBuffer *object, Text *why);
kiln_status rt_code_enter(Code *code, Linked *linked, Text *why);
/* The machine for a call: cache sizes, and of `threads` as many as its work is worth. */
Machine rt_code_machine(const Code *code, const int64_t *symbols, int32_t threads);
/* dims of a call from the graph's symbols; tasks and workspace follow from them. */
void rt_code_bind(const Code *code, const int64_t *symbols, int32_t threads, Binding *binding);

/* Tasks 0 … tasks-1 of a call, on the caller's thread where one is enough (run.c). */
void rt_run_tasks(kiln_entry *entry, const kiln_args *args, int64_t tasks, const kiln_threads *threads);

/* ---- looking (dump.c, header.c) ---------------------------------------------------------------------------------- */

/* Reads a request and plans it. */
kiln_status rt_plan_request(kiln_engine *engine, kiln_graph *graph, const kiln_compile_options *options, Code **code,
                            Text *why);
bool rt_output_of(kiln_stage stage, JitOutput *output); /* false: not a stage of the compiler */
/* The C header of an object whose entry is called `name`. */
kiln_status rt_print_header(const Code *code, const char *name, Text *out);

#endif
