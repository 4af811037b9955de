/* gdb.c: gdb's JIT interface ("JIT Compilation Interface" in its manual).
 *
 * gdb watches a list of ELF images and is told of each change by a breakpoint on an empty function. LLVM's plugin for
 * its linker puts images on the list and never takes them off, though their memory goes with the code, so this is done
 * here. The list and the function are those of libLLVM: gdb expects one per program, and other users of LLVM in the
 * process share them. LLVM's own lock around the list is not within reach; ours keeps Kiln's threads apart, and the
 * interface is on request only.
 *
 * Both are mutable statics by the nature of the interface. */
#include <pthread.h>
#include <string.h>

#include "jit/profile.h"

enum { ACTION_NONE, ACTION_REGISTER, ACTION_UNREGISTER };
enum { SECTION_HEADER_BYTES = 64, SECTION_ADDRESS_AT = 16 };

typedef struct GdbEntry {
  struct GdbEntry *next, *previous;
  const uint8_t *image;
  uint64_t bytes;
} GdbEntry;

/* The layout and the names are gdb's. */
extern struct GdbDescriptor {
  uint32_t version, action;
  GdbEntry *relevant, *first;
} __jit_debug_descriptor;
extern void __jit_debug_register_code(void);

struct JitGdbImage {
  GdbEntry entry;
  Allocator allocator;
  uint8_t bytes[];
};

static pthread_mutex_t gdb_list_lock = PTHREAD_MUTEX_INITIALIZER;

static void tell(GdbEntry *entry, uint32_t action) {
  __jit_debug_descriptor.relevant = entry;
  __jit_debug_descriptor.action = action;
  __jit_debug_register_code();
  __jit_debug_descriptor.action = ACTION_NONE;
  __jit_debug_descriptor.relevant = NULL;
}

/* Writes where the function's section was loaded into its header: gdb takes the symbols' addresses from there. */
static void place_section(const JitObject *object, const char *name, const void *address, uint8_t *bytes) {
  for (size_t i = 1; i < object->symbol_count; ++i) {
    JitSymbol symbol = jit_object_symbol(object, i);
    if (!symbol.is_function || strcmp(symbol.name, name) != 0) continue;
    uint64_t start = (uint64_t)(uintptr_t)address - symbol.value;
    memcpy(bytes + object->sections + (size_t)symbol.section * SECTION_HEADER_BYTES + SECTION_ADDRESS_AT, &start,
           sizeof start);
  }
}

JitGdbImage *jit_gdb_add(const JitObject *object, const char *name, const void *address, const Allocator *allocator) {
  JitGdbImage *image = allocator->alloc(allocator->ctx, sizeof *image + object->size, _Alignof(JitGdbImage));
  if (!image) return NULL;
  image->allocator = *allocator;
  memcpy(image->bytes, object->bytes, object->size);
  place_section(object, name, address, image->bytes);
  pthread_mutex_lock(&gdb_list_lock);
  GdbEntry *first = __jit_debug_descriptor.first;
  image->entry = (GdbEntry){.next = first, .image = image->bytes, .bytes = object->size};
  if (first) first->previous = &image->entry;
  __jit_debug_descriptor.first = &image->entry;
  tell(&image->entry, ACTION_REGISTER);
  pthread_mutex_unlock(&gdb_list_lock);
  return image;
}

void jit_gdb_remove(JitGdbImage *image) {
  if (!image) return;
  GdbEntry *entry = &image->entry;
  pthread_mutex_lock(&gdb_list_lock);
  if (entry->next) entry->next->previous = entry->previous;
  if (entry->previous) entry->previous->next = entry->next;
  else __jit_debug_descriptor.first = entry->next;
  tell(entry, ACTION_UNREGISTER);
  pthread_mutex_unlock(&gdb_list_lock);
  image->allocator.release(image->allocator.ctx, image);
}
