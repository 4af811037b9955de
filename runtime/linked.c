/* linked.c: an object linked into this process, shared by every Code that came to it: products of one kind differ in
 * sizes, which are arguments, and requests may differ in words only. */
#include "runtime/runtime.h"

kiln_status rt_linked_create(kiln_engine *engine, const JitBuffer *object, const char *name, Linked **linked,
                             Text *why) {
  const Allocator *allocator = &engine->allocator;
  Linked *made = allocator->alloc(allocator->ctx, sizeof *made, _Alignof(Linked));
  if (!made) return KILN_OUT_OF_MEMORY;
  *made = (Linked){.allocator = *allocator, .bytes = object->size};
  atomic_init(&made->references, 1);
  Diagnostics faults;
  diagnostics_init(&faults, allocator);
  kiln_status status = jit_load(engine->session, object->data, object->size, name, &made->jit, &faults);
  diagnostics_print(&faults, NULL, NULL, 0, why);
  diagnostics_release(&faults);
  if (status) rt_linked_release(made);
  else *linked = made;
  return status;
}

void rt_linked_retain(Linked *linked) { atomic_fetch_add_explicit(&linked->references, 1, memory_order_relaxed); }

void rt_linked_release(Linked *linked) {
  if (!linked || atomic_fetch_sub_explicit(&linked->references, 1, memory_order_acq_rel) != 1) return;
  jit_unload(linked->jit);
  linked->allocator.release(linked->allocator.ctx, linked);
}
