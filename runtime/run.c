/* run.c: one call of a kernel: checks, sizes, workspace, tasks.
 *
 * A call is checked in two ways that must agree: quickly in kiln_run, which looks at pointers and at headers of blobs
 * as a whole, and in words in kiln_check_call. Where the graph has no symbols, everything but the buffers was decided
 * at compile. */
#include <stdio.h>
#include <string.h>

#include "runtime/runtime.h"

enum { STACK_BUFFERS = 32, STACK_DIMS = 64 };

/* A call under way. What does not fit the arrays here is allocated. The struct is not cleared: that would cost more
 * than a small kernel. */
typedef struct Call {
  const Code *code;
  kiln_call given; /* as this version knows it */
  const kiln_threads *threads;
  Binding binding;
  void **buffers;
  void *own_workspace, *own_buffers, *own_dims; /* to be released */
  void *stack_buffers[STACK_BUFFERS];
  int64_t stack_dims[STACK_DIMS];
} Call;

static void *take(const Code *code, size_t bytes, size_t align) {
  const Allocator *allocator = &code->engine->allocator;
  return allocator->alloc(allocator->ctx, bytes, align);
}

static void give(const Code *code, void *memory) {
  const Allocator *allocator = &code->engine->allocator;
  if (memory) allocator->release(allocator->ctx, memory);
}

/* Reads the call and finds room for its buffers. After KILN_OK `end` is due. */
static kiln_status begin(Call *call, const kiln_kernel *kernel, const kiln_call *given) {
  call->own_workspace = call->own_buffers = call->own_dims = NULL;
  if (!kernel || !given) return KILN_INVALID_ARGUMENT;
  if (given->size == sizeof *given) call->given = *given;
  else if (!rt_read_options(&call->given, sizeof call->given, given)) return KILN_INVALID_ARGUMENT;
  const Code *code = call->code = kernel->code;
  call->threads = call->given.threads ? call->given.threads : &code->engine->pool.threads;
  if (!call->threads->parallel_for) return KILN_INVALID_ARGUMENT;
  call->buffers = call->stack_buffers;
  if (code->port_count <= STACK_BUFFERS) return KILN_OK;
  call->buffers = call->own_buffers = take(code, code->port_count * sizeof(void *), _Alignof(void *));
  return call->buffers ? KILN_OK : KILN_OUT_OF_MEMORY;
}

static void end(Call *call) {
  rt_workspace_give(call->code->engine, call->own_workspace);
  give(call->code, call->own_buffers);
  give(call->code, call->own_dims);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static kiln_status check_symbols(const Code *code, const int64_t *symbols, Text *why) {
  if (code->symbol_count == 0) return KILN_OK;
  if (!symbols) {
    if (why) text_printf(why, "symbols is NULL, but the graph has %zu\n", code->symbol_count);
    return KILN_INVALID_ARGUMENT;
  }
  if (!why) return graph_check_symbols(code->graph, symbols, NULL);
  Diagnostics faults;
  diagnostics_init(&faults, &why->allocator);
  kiln_status status = graph_check_symbols(code->graph, symbols, &faults);
  diagnostics_print(&faults, NULL, code->graph_text, strlen(code->graph_text), why);
  diagnostics_release(&faults);
  return status;
}

/* dims, tasks and workspace: from the Code where they were made at compile, else here. */
static kiln_status bind(Call *call, Text *why) {
  const Code *code = call->code;
  const int64_t *symbols = call->given.symbols;
  for (int i = 0; i < code->binding_count; ++i) {
    if (code->bindings[i].threads != call->threads->count) continue;
    call->binding = code->bindings[i];
    return KILN_OK;
  }
  kiln_status status = check_symbols(code, symbols, why);
  if (status) return status;
  call->binding.dims = call->stack_dims;
  if (code->dim_count > STACK_DIMS)
    call->binding.dims = call->own_dims = take(code, code->dim_count * sizeof(int64_t), _Alignof(int64_t));
  if (!call->binding.dims) return KILN_OUT_OF_MEMORY;
  rt_code_bind(code, symbols, call->threads->count > 0 ? call->threads->count : 1, &call->binding);
  return KILN_OK;
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

static bool is_output(const Code *code, size_t i) { return i >= code->input_count; }

static void *given_buffer(const Call *call, size_t i) {
  const Code *code = call->code;
  if (is_output(code, i)) return call->given.outputs[i - code->input_count];
  return (void *)call->given.inputs[i];
}

static void name_port(const Code *code, size_t i, Text *why) {
  size_t number = is_output(code, i) ? i - code->input_count : i;
  text_printf(why, "%s %zu", is_output(code, i) ? "output" : "input", number);
  if (code->ports[i].name[0]) text_printf(why, " '%s'", code->ports[i].name);
}

/* `input 0 'x' <sentence>`, where words are wanted. */
static kiln_status refuse(const Code *code, size_t i, Text *why, const char *sentence) {
  if (why) {
    name_port(code, i, why);
    text_printf(why, " %s\n", sentence);
  }
  return KILN_INVALID_ARGUMENT;
}

/* A blob of exactly the layout this kernel reads; its payload. */
static kiln_status open_blob(const Call *call, size_t i, void **buffer, Text *why) {
  const Port *port = &call->code->ports[i];
  const BlobHeader *blob = *buffer, *expected = &port->header;
  BlobHeader described;
  if (!blob) return refuse(call->code, i, why, "is NULL, expected a blob made by kiln_pack");
  if ((uintptr_t)blob % 64 != 0) return refuse(call->code, i, why, "is not 64-byte aligned, as a packed blob must be");
  if (!port->is_fixed) {
    if (!rt_blob_describe(&port->pack->type, call->given.symbols, &described))
      return refuse(call->code, i, why, "is larger than memory when packed");
    expected = &described;
  }
  if (memcmp(blob, expected, sizeof *blob) == 0) {
    *buffer = (char *)blob + BLOB_BYTES;
    return KILN_OK;
  }
  if (why) {
    name_port(call->code, i, why);
    text_add_char(why, ' ');
    rt_blob_explain(blob, expected, why);
    text_add_char(why, '\n');
  }
  return KILN_INVALID_ARGUMENT;
}

/* A pointer that is NULL or not aligned, which is fine only where there is nothing to read or write. */
static kiln_status doubt_buffer(const Call *call, size_t i, const void *buffer, Text *why) {
  const Port *port = &call->code->ports[i];
  if (!buffer && node_span(port->node, call->given.symbols) == 0) return KILN_OK;
  if (!buffer) return refuse(call->code, i, why, "is NULL");
  char sentence[80];
  snprintf(sentence, sizeof sentence, "is not aligned to %zu bytes, its element", (size_t)port->misaligned + 1);
  return refuse(call->code, i, why, sentence);
}

/* Fills call->buffers in the kernel's order. This loop is what a call of a small kernel costs. */
static kiln_status open_buffers(Call *call, Text *why) {
  const Code *code = call->code;
  kiln_status status = KILN_OK;
  if ((code->input_count > 0 && !call->given.inputs) || !call->given.outputs) {
    if (why) text_printf(why, "%s is NULL\n", call->given.outputs ? "inputs" : "outputs");
    return KILN_INVALID_ARGUMENT;
  }
  for (size_t i = 0; i < code->port_count; ++i) {
    const Port *port = &code->ports[i];
    kiln_status one = KILN_OK;
    void *buffer = given_buffer(call, i);
    if (port->pack) one = open_blob(call, i, &buffer, why);
    else if (!buffer || ((uintptr_t)buffer & port->misaligned)) one = doubt_buffer(call, i, buffer, why);
    call->buffers[i] = buffer;
    if (one && !why) return one; /* where words are wanted, all of them */
    if (one) status = one;
  }
  return status;
}

static kiln_status check_workspace(const Call *call, Text *why) {
  int64_t needed = call->binding.workspace_bytes;
  if (needed < 0) {
    if (why) text_add(why, "the workspace for these sizes is larger than memory\n");
    return KILN_INVALID_ARGUMENT;
  }
  if (needed == 0 || !call->given.workspace) return KILN_OK;
  if (call->given.workspace_bytes < (size_t)needed) {
    if (why)
      text_printf(why, "workspace has %zu bytes, expected %lld\n", call->given.workspace_bytes, (long long)needed);
    return KILN_INVALID_ARGUMENT;
  }
  if ((uintptr_t)call->given.workspace % 64 == 0) return KILN_OK;
  if (why) text_add(why, "workspace is not 64-byte aligned\n");
  return KILN_INVALID_ARGUMENT;
}

/* All that can be wrong with a call. With `why`, as much of it as can be said at once. */
static kiln_status check(Call *call, Text *why) {
  kiln_status status = bind(call, why);
  if (status) return status;
  kiln_status buffers = open_buffers(call, why);
  if (buffers && !why) return buffers;
  status = check_workspace(call, why);
  return buffers ? buffers : status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

typedef struct Job {
  kiln_entry *entry;
  const kiln_args *args;
} Job;

static void run_task(void *arg, int64_t index) {
  const Job *job = arg;
  job->entry(job->args, index);
}

void rt_run_tasks(kiln_entry *entry, const kiln_args *args, int64_t tasks, const kiln_threads *threads) {
  if (tasks == 1 || threads->count <= 1) {
    for (int64_t task = 0; task < tasks; ++task) entry(args, task);
    return;
  }
  Job job = {entry, args};
  threads->parallel_for(threads->ctx, tasks, run_task, &job);
}

/* Runs the tasks of a checked call. */
static kiln_status execute(Call *call) {
  const Code *code = call->code;
  int64_t tasks = call->binding.tasks;
  if (tasks <= 0) return KILN_OK;
  kiln_args args = {.buffers = call->buffers, .dims = call->binding.dims};
  if (call->binding.workspace_bytes > 0) {
    args.workspace = call->given.workspace;
    if (!args.workspace)
      args.workspace = call->own_workspace = rt_workspace_take(code->engine, (size_t)call->binding.workspace_bytes);
    if (!args.workspace) return KILN_OUT_OF_MEMORY;
    rt_workspace_begin(args.workspace, (size_t)call->binding.workspace_bytes);
  }
  rt_run_tasks(code->entry, &args, tasks, call->threads);
  return KILN_OK;
}

kiln_status kiln_run(const kiln_kernel *kernel, const kiln_call *given) {
  Call call;
  kiln_status status = begin(&call, kernel, given);
  if (status) return status;
  status = check(&call, NULL);
  if (!status) status = execute(&call);
  end(&call);
  return status;
}

kiln_status kiln_check_call(const kiln_kernel *kernel, const kiln_call *given, kiln_buffer *message) {
  Call call;
  Text why;
  text_init(&why, kernel ? &kernel->code->engine->allocator : NULL);
  kiln_status status = begin(&call, kernel, given);
  if (status == KILN_INVALID_ARGUMENT)
    text_add(&why, "kernel or call is NULL, of another version, or its threads have no parallel_for\n");
  if (!status) {
    status = check(&call, &why);
    end(&call);
  }
  rt_hand_out_message(&why, message);
  return status;
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

kiln_status kiln_workspace_bytes(const kiln_kernel *kernel, const int64_t *symbols, const kiln_threads *threads,
                                 size_t *bytes) {
  if (!bytes) return KILN_INVALID_ARGUMENT;
  kiln_call given = {.size = sizeof given, .symbols = symbols, .threads = threads};
  Call call;
  kiln_status status = begin(&call, kernel, &given);
  if (status) return status;
  status = bind(&call, NULL);
  if (!status) status = check_workspace(&call, NULL);
  if (!status) *bytes = (size_t)call.binding.workspace_bytes;
  end(&call);
  return status;
}

kiln_entry *kiln_kernel_function(const kiln_kernel *kernel) { return kernel ? kernel->code->entry : NULL; }

size_t kiln_kernel_dim_count(const kiln_kernel *kernel) { return kernel ? kernel->code->dim_count : 0; }

kiln_status kiln_kernel_args(const kiln_kernel *kernel, const int64_t *symbols, int32_t threads, int64_t *dims,
                             int64_t *tasks, size_t *workspace_bytes) {
  if (!kernel || !dims || threads < 1) return KILN_INVALID_ARGUMENT;
  kiln_status status = check_symbols(kernel->code, symbols, NULL);
  if (status) return status;
  Binding binding = {.dims = dims};
  rt_code_bind(kernel->code, symbols, threads, &binding);
  if (binding.workspace_bytes < 0) return KILN_INVALID_ARGUMENT;
  if (tasks) *tasks = binding.tasks;
  if (workspace_bytes) *workspace_bytes = (size_t)binding.workspace_bytes;
  return KILN_OK;
}
