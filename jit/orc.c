/* orc.c: sessions and loaded code on LLVM's ORC.
 *
 * An LLJIT with JITLink underneath links; it never compiles, so its own target machine has no features. Each loaded
 * object gets a bare dylib: no search order, so an undefined symbol could not be found even if one came through, and
 * equal names in two objects never meet. Dylibs cannot be removed one by one through the C API (an empty one keeps 1
 * KiB), so unloading empties the dylib through its tracker and keeps it for the next object: there are as many as there
 * ever was code loaded at once.
 *
 * ORC runs work on whichever thread comes by: with two look-ups at once, one thread may link the other's object. So the
 * result of a look-up is waited for, though LLVM starts no thread here. */
#include <llvm-c/LLJIT.h>
#include <llvm-c/OrcEE.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "jit/jit.h"
#include "jit/llvm.h"
#include "jit/profile.h"

enum { DEAD_NAMES_SWEEP = 256 }; /* unloads between two sweeps of LLVM's string pool; each sweep walks all names */

typedef struct Dylib {
  struct Dylib *next; /* free list */
  LLVMOrcJITDylibRef dylib;
} Dylib;

struct JitSession {
  Allocator allocator;
  kiln_log log;
  FeatureSet features;
  TargetFamily family;
  LLVMOrcLLJITRef jit;
  LLVMOrcExecutionSessionRef orc;
  LLVMOrcObjectLayerRef linker;
  JitProfile *profile;
  bool register_with_gdb;
  pthread_mutex_t lock; /* of the fields below */
  size_t references;    /* the owner's and one per loaded code */
  Dylib *free_dylibs;
  size_t dylib_count, unload_count;
};

typedef struct Entry {
  const char *name;
  void *address;
  size_t size;
} Entry;

/* One allocation: the struct, its entries, their names. */
struct JitCode {
  JitSession *session;
  Dylib *home;
  LLVMOrcResourceTrackerRef tracker;
  JitGdbImage *gdb_image;
  size_t code_bytes;
  uintptr_t code_begin; /* of the section with the functions */
  JitLine *lines;       /* NULL: the object has no table of lines */
  size_t line_count;
  size_t entry_count;
  Entry entries[];
};

static void *allocate(const Allocator *allocator, size_t bytes) {
  return allocator->alloc(allocator->ctx, bytes, _Alignof(max_align_t));
}

static void release(const Allocator *allocator, void *memory) { allocator->release(allocator->ctx, memory); }

/* ---- session ---------------------------------------------------------------------------------------------------- */

static LLVMOrcObjectLayerRef create_linker(void *ctx, LLVMOrcExecutionSessionRef orc, const char *triple) {
  LLVMErrorRef *error = ctx;
  LLVMOrcObjectLayerRef layer = NULL;
  (void)triple;
  *error = LLVMOrcCreateObjectLinkingLayerWithInProcessMemoryManager(&layer, orc);
  /* LLJIT takes no NULL; this one only lasts until the error is seen. */
  return *error ? LLVMOrcCreateRTDyldObjectLinkingLayerWithSectionMemoryManager(orc) : layer;
}

/* Failures of linking also come back from the look-up that asked for it; this is where ORC would print them. */
static void log_error(void *ctx, LLVMErrorRef error) {
  JitSession *session = ctx;
  char *message = LLVMGetErrorMessage(error);
  log_event(&session->log, KILN_LOG_DEBUG, "orc: %s", message);
  LLVMDisposeErrorMessage(message);
}

static kiln_status start_orc(JitSession *session, Diagnostics *faults) {
  LLVMTargetMachineRef machine;
  kiln_status status = jit_machine_create_host(&machine, faults);
  if (status) return status;
  LLVMErrorRef layer_error = NULL;
  LLVMOrcLLJITBuilderRef builder = LLVMOrcCreateLLJITBuilder();
  LLVMOrcLLJITBuilderSetJITTargetMachineBuilder(builder,
                                                LLVMOrcJITTargetMachineBuilderCreateFromTargetMachine(machine));
  LLVMOrcLLJITBuilderSetObjectLinkingLayerCreator(builder, create_linker, &layer_error);
  status = jit_diagnose(LLVMOrcCreateLLJIT(&session->jit, builder), "starting orc", faults);
  kiln_status layer_status = jit_diagnose(layer_error, "starting the linker", faults);
  if (status || layer_status) return KILN_INTERNAL;
  session->orc = LLVMOrcLLJITGetExecutionSession(session->jit);
  session->linker = LLVMOrcLLJITGetObjLinkingLayer(session->jit);
  LLVMOrcExecutionSessionSetErrorReporter(session->orc, log_error, session);
  return KILN_OK;
}

static void free_session(JitSession *session) {
  if (session->jit) {
    LLVMErrorRef error = LLVMOrcDisposeLLJIT(session->jit);
    if (error) LLVMConsumeError(error);
  }
  while (session->free_dylibs) {
    Dylib *next = session->free_dylibs->next;
    release(&session->allocator, session->free_dylibs);
    session->free_dylibs = next;
  }
  jit_profile_destroy(session->profile);
  pthread_mutex_destroy(&session->lock);
  release(&session->allocator, session);
}

kiln_status jit_session_create(const JitSessionOptions *options, JitSession **out, Diagnostics *faults) {
  const Allocator *allocator = options->allocator ? options->allocator : &allocator_default;
  TargetFamily family;
  *out = NULL;
  if (!jit_host_family(&family)) return KILN_MISSING_FEATURE;
  JitSession *session = allocate(allocator, sizeof *session);
  if (!session) return KILN_OUT_OF_MEMORY;
  *session = (JitSession){.allocator = *allocator,
                          .features = options->features,
                          .family = family,
                          .register_with_gdb = options->register_with_gdb,
                          .references = 1};
  if (options->log) session->log = *options->log;
  pthread_mutex_init(&session->lock, NULL);
  kiln_status status = start_orc(session, faults);
  if (status) {
    free_session(session);
    return status;
  }
  session->profile = jit_profile_create(options->perf_map_dir, options->jitdump_dir, allocator, options->log);
  *out = session;
  return KILN_OK;
}

static void drop_reference(JitSession *session) {
  pthread_mutex_lock(&session->lock);
  bool is_last = --session->references == 0;
  pthread_mutex_unlock(&session->lock);
  if (is_last) free_session(session);
}

void jit_session_destroy(JitSession *session) {
  if (session) drop_reference(session);
}

/* ---- dylibs ----------------------------------------------------------------------------------------------------- */

static Dylib *take_dylib(JitSession *session) {
  char name[32];
  pthread_mutex_lock(&session->lock);
  Dylib *dylib = session->free_dylibs;
  if (dylib) session->free_dylibs = dylib->next;
  size_t number = dylib ? 0 : session->dylib_count++;
  ++session->references;
  pthread_mutex_unlock(&session->lock);
  if (dylib) return dylib;
  snprintf(name, sizeof name, "kiln.%zu", number);
  dylib = allocate(&session->allocator, sizeof *dylib);
  if (dylib) dylib->dylib = LLVMOrcExecutionSessionCreateBareJITDylib(session->orc, name);
  else drop_reference(session);
  return dylib;
}

static void give_dylib(JitSession *session, Dylib *dylib) {
  pthread_mutex_lock(&session->lock);
  dylib->next = session->free_dylibs;
  session->free_dylibs = dylib;
  bool sweep = ++session->unload_count % DEAD_NAMES_SWEEP == 0;
  pthread_mutex_unlock(&session->lock);
  if (sweep) LLVMOrcSymbolStringPoolClearDeadEntries(LLVMOrcExecutionSessionGetSymbolStringPool(session->orc));
  drop_reference(session);
}

/* ---- look-up ---------------------------------------------------------------------------------------------------- */

typedef struct LookUp {
  JitCode *code;
  LLVMOrcSymbolStringPoolEntryRef *names; /* of code->entries */
  LLVMErrorRef error;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool is_done;
} LookUp;

/* Runs under ORC's rules on any thread: takes the addresses, wakes the caller. Pool entries are unique, so names
 * compare as pointers. */
static void finish_look_up(LLVMErrorRef error, LLVMOrcCSymbolMapPairs pairs, size_t count, void *ctx) {
  LookUp *look_up = ctx;
  JitCode *code = look_up->code;
  for (size_t i = 0; !error && i < count; ++i)
    for (size_t j = 0; j < code->entry_count; ++j)
      if (pairs[i].Name == look_up->names[j]) code->entries[j].address = (void *)(uintptr_t)pairs[i].Sym.Address;
  pthread_mutex_lock(&look_up->lock);
  look_up->error = error;
  look_up->is_done = true;
  pthread_cond_signal(&look_up->changed);
  pthread_mutex_unlock(&look_up->lock);
}

/* Links what was added to the code's dylib by asking for all its functions. */
static LLVMErrorRef run_look_up(JitCode *code, LLVMOrcCLookupSet wanted, LLVMOrcSymbolStringPoolEntryRef *names) {
  LookUp look_up = {.code = code, .names = names};
  LLVMOrcCJITDylibSearchOrderElement order = {code->home->dylib, LLVMOrcJITDylibLookupFlagsMatchAllSymbols};
  pthread_mutex_init(&look_up.lock, NULL);
  pthread_cond_init(&look_up.changed, NULL);
  LLVMOrcExecutionSessionLookup(code->session->orc, LLVMOrcLookupKindStatic, &order, 1, wanted, code->entry_count,
                                finish_look_up, &look_up);
  pthread_mutex_lock(&look_up.lock);
  while (!look_up.is_done) pthread_cond_wait(&look_up.changed, &look_up.lock);
  pthread_mutex_unlock(&look_up.lock);
  pthread_cond_destroy(&look_up.changed);
  pthread_mutex_destroy(&look_up.lock);
  return look_up.error;
}

static kiln_status look_up_entries(JitCode *code, const char *name, Diagnostics *faults) {
  const Allocator *allocator = &code->session->allocator;
  LLVMOrcCLookupSet wanted = allocate(allocator, (code->entry_count + 1) * sizeof *wanted);
  LLVMOrcSymbolStringPoolEntryRef *names = allocate(allocator, (code->entry_count + 1) * sizeof *names);
  kiln_status status = KILN_OUT_OF_MEMORY;
  if (wanted && names) {
    for (size_t i = 0; i < code->entry_count; ++i) {
      names[i] = LLVMOrcExecutionSessionIntern(code->session->orc, code->entries[i].name);
      LLVMOrcRetainSymbolStringPoolEntry(names[i]); /* the look-up takes the other reference */
      wanted[i] = (LLVMOrcCLookupSetElement){names[i], LLVMOrcSymbolLookupFlagsRequiredSymbol};
    }
    status = jit_diagnose(run_look_up(code, wanted, names), name, faults);
    for (size_t i = 0; i < code->entry_count; ++i) LLVMOrcReleaseSymbolStringPoolEntry(names[i]);
  }
  if (wanted) release(allocator, wanted);
  if (names) release(allocator, names);
  return status;
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

static bool is_entry(const JitSymbol *symbol) { return symbol->is_global && symbol->is_function; }

static size_t count_entries(const JitObject *object) {
  size_t count = 0;
  for (size_t i = 1; i < object->symbol_count; ++i) {
    JitSymbol symbol = jit_object_symbol(object, i);
    count += is_entry(&symbol);
  }
  return count;
}

/* The code's record with its functions' names, not yet linked; NULL when memory is short. */
static JitCode *create_code(JitSession *session, const JitObject *object) {
  size_t count = count_entries(object), name_bytes = 0;
  for (size_t i = 1; i < object->symbol_count; ++i) {
    JitSymbol symbol = jit_object_symbol(object, i);
    if (is_entry(&symbol)) name_bytes += strlen(symbol.name) + 1;
  }
  JitCode *code = allocate(&session->allocator, sizeof *code + count * sizeof(Entry) + name_bytes);
  if (!code) return NULL;
  *code = (JitCode){.session = session, .code_bytes = object->code_bytes};
  char *names = (char *)&code->entries[count];
  for (size_t i = 1; i < object->symbol_count; ++i) {
    JitSymbol symbol = jit_object_symbol(object, i);
    if (!is_entry(&symbol)) continue;
    size_t length = strlen(symbol.name) + 1;
    memcpy(names, symbol.name, length);
    code->entries[code->entry_count++] = (Entry){.name = names, .size = (size_t)symbol.size};
    names += length;
  }
  return code;
}

/* An object that has a table of lines has it for people who profile; without memory for it there is none. */
static void keep_lines(JitCode *code, const JitObject *object) {
  size_t most = jit_object_lines(object, NULL);
  if (most == 0) return;
  for (size_t i = 1; i < object->symbol_count; ++i) {
    JitSymbol symbol = jit_object_symbol(object, i);
    if (is_entry(&symbol) && strcmp(symbol.name, code->entries[0].name) == 0)
      code->code_begin = (uintptr_t)code->entries[0].address - (uintptr_t)symbol.value;
  }
  code->lines = allocate(&code->session->allocator, most * sizeof *code->lines);
  if (code->lines) code->line_count = jit_object_lines(object, code->lines);
}

static void tell_profilers(JitCode *code, const JitObject *object) {
  JitSession *session = code->session;
  for (size_t i = 0; i < code->entry_count; ++i)
    jit_profile_add(session->profile, code->entries[i].name, code->entries[i].address, code->entries[i].size,
                    &(JitLineTable){jit_object_line_source(object), code->code_begin, code->lines, code->line_count});
  if (session->register_with_gdb)
    code->gdb_image = jit_gdb_add(object, code->entries[0].name, code->entries[0].address, &session->allocator);
}

static kiln_status link_code(JitCode *code, const JitObject *object, const char *name, Diagnostics *faults) {
  LLVMMemoryBufferRef memory =
      LLVMCreateMemoryBufferWithMemoryRangeCopy((const char *)object->bytes, object->size, name);
  kiln_status status =
      jit_diagnose(LLVMOrcObjectLayerAddObjectFileWithRT(code->session->linker, code->tracker, memory), name, faults);
  if (!status) status = look_up_entries(code, name, faults);
  if (!status) keep_lines(code, object);
  if (!status) tell_profilers(code, object);
  return status;
}

/* Whether the object is a kernel that this CPU can run. */
static kiln_status check(const JitSession *session, const JitObject *object, Text *why) {
  JitMetadata metadata;
  Arena arena;
  kiln_status status = jit_object_check_kernel(object, why);
  if (status) return status;
  if (object->family != session->family) {
    text_add(why, "code for another family of machines");
    return KILN_INVALID_OBJECT;
  }
  arena_init(&arena, &session->allocator);
  status = jit_metadata_read(object, &arena, &metadata, why);
  FeatureSet missing = status ? 0 : metadata.features & ~session->features;
  if (!status && count_entries(object) == 0) {
    text_add(why, "no function to call");
    status = KILN_INVALID_OBJECT;
  } else if (missing) {
    text_add(why, "this CPU lacks ");
    features_print(missing, why);
    status = KILN_MISSING_FEATURE;
  }
  arena_release(&arena);
  return status;
}

kiln_status jit_load(JitSession *session, const uint8_t *bytes, size_t size, const char *name, JitCode **out,
                     Diagnostics *faults) {
  JitObject object;
  Text why;
  *out = NULL;
  text_init(&why, &session->allocator);
  kiln_status status = jit_object_parse(bytes, size, &object, &why);
  if (!status) status = check(session, &object, &why);
  if (status && faults) diagnostics_report(faults, (SourcePos){0}, "%s: %s", name, text_get(&why));
  text_release(&why);
  if (status) return status;
  JitCode *code = create_code(session, &object);
  Dylib *home = code ? take_dylib(session) : NULL;
  if (!home) {
    if (code) release(&session->allocator, code);
    return KILN_OUT_OF_MEMORY;
  }
  code->home = home;
  code->tracker = LLVMOrcJITDylibCreateResourceTracker(home->dylib);
  status = link_code(code, &object, name, faults);
  if (status) jit_unload(code);
  else *out = code;
  return status;
}

void *jit_symbol(const JitCode *code, const char *name) {
  for (size_t i = 0; i < code->entry_count; ++i)
    if (strcmp(code->entries[i].name, name) == 0) return code->entries[i].address;
  return NULL;
}

size_t jit_code_bytes(const JitCode *code) { return code->code_bytes; }

int32_t jit_line(const JitCode *code, const void *address) {
  uintptr_t at = (uintptr_t)address - code->code_begin; /* beyond all where the address is below */
  return at < code->code_bytes ? jit_line_at(code->lines, code->line_count, at) : 0;
}

void jit_unload(JitCode *code) {
  if (!code) return;
  JitSession *session = code->session;
  Allocator allocator = session->allocator;
  jit_gdb_remove(code->gdb_image);
  LLVMErrorRef error = LLVMOrcResourceTrackerRemove(code->tracker);
  if (error) log_error(session, error);
  LLVMOrcReleaseResourceTracker(code->tracker);
  if (code->lines) release(&allocator, code->lines);
  give_dylib(session, code->home);
  release(&allocator, code);
}
