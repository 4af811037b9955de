/* interpret.c: the tile interpreter's driver and the structured control operations.
 *
 * Assumes a verified module. Any such module ends: what it computes is counted and stops at TileRun's limit. It stops
 * at the first fault, since everything after one is a consequence. Rounding mode is the default one. */
#include "ir/tile/interpret.h"

#include <math.h>
#include <string.h>

static const int64_t default_work_limit = 10000000000;

void interp_fault(Interp *interp, const Op *op, const char *format, ...) {
  if (interp_failed(interp)) return;
  Text message;
  text_init(&message, &interp->arena.allocator);
  if (op) text_printf(&message, "%s: ", op_info(op->code)->name);
  va_list args;
  va_start(args, format);
  text_vprintf(&message, format, args);
  va_end(args);
  if (interp->task >= 0) text_printf(&message, ", in task %lld", (long long)interp->task);
  diagnostics_report(interp->faults, op ? op->pos : interp->kernel->pos, "%s", text_get(&message));
  text_release(&message);
  interp->status = KILN_INVALID_TILE;
}

/* ---- slots ------------------------------------------------------------------------------------------------------ */

void slot_copy(Slot *to, const Slot *from) {
  to->index = from->index;
  if (to->type.kind != KIND_TILE && to->type.kind != KIND_FRAG) return;
  memcpy(to->elements, from->elements, sizeof *to->elements * (size_t)slot_count(to));
  memcpy(to->unspecified, from->unspecified, sizeof *to->unspecified * (size_t)slot_count(to));
}

/* Exchanges contents: the memory of the elements goes along. */
static void slot_swap(Slot *x, Slot *y) {
  Slot old = *x;
  *x = *y;
  *y = old;
}

void slot_unspecify(Slot *slot, int at) {
  slot->elements[at] = type_is_floating(slot->type.type) ? (double)NAN : type_round(slot->type.type, 0x55555555);
  slot->unspecified[at] = true;
}

/* ---- control ---------------------------------------------------------------------------------------------------- */

/* False, and a fault, at the limit. */
static bool count_work(Interp *interp, const Op *op, int64_t work) {
  if (work > interp->work_limit - interp->work) {
    interp_fault(interp, op, "the limit of %lld computed elements is reached", (long long)interp->work_limit);
    return false;
  }
  interp->work += work;
  return true;
}

void interp_body(Interp *interp, const Body *body) {
  for (int i = 0; i < body->step_count && !interp_failed(interp); i++) {
    const Step *step = &body->steps[i];
    if (count_work(interp, step->op, step->work)) step->execute(interp, step);
  }
}

/* The results hold what the next iteration is carried: the initial values, then what the body yielded. */
void interp_for(Interp *interp, const Step *step) {
  int64_t lo = step->operands[0]->index, hi = step->operands[1]->index, by = step->operands[2]->index;
  if (by <= 0) {
    interp_fault(interp, step->op, "the step is %lld, expected a positive one", (long long)by);
    return;
  }
  for (int c = 0; c < step->result_count; c++) slot_copy(step->results[c], step->operands[3 + c]);
  const Body *body = step->bodies[0];
  for (int64_t i = lo; i < hi; i += by) {
    if (!count_work(interp, step->op, 1)) return;
    body->arguments[0]->index = i;
    for (int c = 0; c < step->result_count; c++) slot_swap(body->arguments[1 + c], step->results[c]);
    interp_body(interp, body);
    if (interp_failed(interp) || i > INT64_MAX - by) return;
  }
}

void interp_if(Interp *interp, const Step *step) {
  const Slot *condition = step->operands[0];
  if (condition->unspecified[0]) {
    interp_fault(interp, step->op, "the condition is unspecified");
    return;
  }
  const Body *body = step->bodies[condition->elements[0] != 0 ? 0 : 1];
  if (body) interp_body(interp, body);
}

void interp_yield(Interp *interp, const Step *step) {
  (void)interp;
  for (int i = 0; i < step->result_count; i++) slot_copy(step->results[i], step->operands[i]);
}

/* ---- the run ---------------------------------------------------------------------------------------------------- */

/* A buffer that is NULL may have no elements, or none that are used. */
static bool bind_buffers(Interp *interp, Slot **slots, void *const *buffers) {
  for (size_t i = 0; i < interp->kernel->buffers.count; i++) {
    const BufType *type = interp->kernel->buffers.items[i]->type.buf;
    View *view = &slots[i]->view;
    if (!interp_view(interp, NULL, type, (Region){.memory = buffers[i]}, view)) return false;
    size_t bytes = type_bytes(type->type, (size_t)buf_span(type, interp->symbols));
    if (buffers[i]) view->region.bytes = bytes < INT64_MAX ? (int64_t)bytes : INT64_MAX;
  }
  return true;
}

kiln_status tile_interpret(const Kernel *kernel, const TileRun *run, int64_t first, int64_t last,
                           const Allocator *allocator, Diagnostics *faults) {
  Interp interp = {.kernel = kernel,
                   .symbols = run->symbols,
                   .workspace = run->workspace,
                   .workspace_bytes = run->workspace ? run->workspace_bytes : 0,
                   .faults = faults,
                   .task = -1,
                   .work_limit = run->work_limit > 0 ? run->work_limit : default_work_limit};
  arena_init(&interp.arena, allocator);
  Slot **buffers = NULL;
  Body *body = interp_plan(&interp, &buffers);
  if (body && bind_buffers(&interp, buffers, run->buffers)) {
    for (int64_t task = first; task < last && !interp_failed(&interp); task++) {
      interp.task = task;
      body->arguments[0]->index = task;
      interp_body(&interp, body);
    }
  }
  arena_release(&interp.arena);
  return interp.status;
}
