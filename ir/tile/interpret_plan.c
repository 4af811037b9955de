/* interpret_plan.c: from a verified kernel to slots and steps: every value found once, before anything runs. */
#include "ir/tile/interpret.h"

/* What slots and scratch of one kernel may take together: a text of a few lines can ask for more than there is. */
static const int64_t memory_limit = (int64_t)1 << 30;

static StepFunction *const functions[OP_COUNT] = {
#define TILE_ROW(name, syntax, spelling, operands, result, effect, meaning) [OP_##name] = interp_##name,
#include "ir/tile/ops_rows.h"
#undef TILE_ROW
};

typedef struct Plan {
  Interp *interp;
  Slot **slots; /* by the values' ids */
  int64_t bytes;
} Plan;

static Body *plan_block(Plan *plan, const Block *block, const Step *owner);

/* Memory that stays within the limit; NULL after a fault. */
static void *plan_alloc(Plan *plan, const Op *op, int64_t count, size_t bytes) {
  Arena *arena = &plan->interp->arena;
  if (count > (memory_limit - plan->bytes) / (int64_t)bytes) {
    interp_fault(plan->interp, op, "values and scratch memory of @%s exceed %lld MiB", plan->interp->kernel->name,
                 (long long)(memory_limit >> 20));
    return NULL;
  }
  plan->bytes += count * (int64_t)bytes;
  void *memory = arena_alloc(arena, (size_t)count * bytes);
  if (!arena_has_failed(arena)) return memory;
  plan->interp->status = KILN_OUT_OF_MEMORY;
  return NULL;
}

/* A slot with memory for its elements; buffers get theirs when they are bound or made. */
static Slot *define(Plan *plan, const Op *op, const Value *value) {
  Slot *slot = plan_alloc(plan, op, 1, sizeof *slot);
  if (!slot) return NULL;
  slot->type = value->type;
  if (slot->type.kind == KIND_TILE || slot->type.kind == KIND_FRAG) {
    slot->elements = plan_alloc(plan, op, slot_count(slot), sizeof *slot->elements);
    if (slot->elements) slot->unspecified = plan_alloc(plan, op, slot_count(slot), sizeof *slot->unspecified);
    if (!slot->unspecified) return NULL;
  }
  plan->slots[value->id] = slot;
  return slot;
}

/* A verified module defines before it uses; the check keeps others from crashing. */
static Slot *find(Plan *plan, const Op *op, const Value *value) {
  if (!plan->slots[value->id]) interp_fault(plan->interp, op, "an operand is not defined before it");
  return plan->slots[value->id];
}

static bool plan_operands(Plan *plan, Step *step) {
  const Op *op = step->op;
  step->operand_count = op->operand_count;
  step->operands = plan_alloc(plan, op, op->operand_count, sizeof(Slot *));
  if (!step->operands) return false;
  for (int i = 0; i < op->operand_count; i++) {
    step->operands[i] = find(plan, op, op->operands[i]);
    if (!step->operands[i]) return false;
  }
  return true;
}

/* A yield writes where the operation it belongs to has its results. */
static bool plan_results(Plan *plan, Step *step, const Step *owner) {
  const Op *op = step->op;
  if (op->code == OP_yield) {
    step->results = owner ? owner->results : NULL;
    step->result_count = owner ? owner->result_count : 0;
    return true;
  }
  step->result_count = op->result_count;
  step->results = plan_alloc(plan, op, op->result_count, sizeof(Slot *));
  if (!step->results) return false;
  for (int i = 0; i < op->result_count; i++) {
    step->results[i] = define(plan, op, &op->results[i]);
    if (!step->results[i]) return false;
  }
  return true;
}

static bool plan_scratch(Plan *plan, Step *step) {
  const BufType *type = step->op->results[0].type.buf;
  View view;
  if (!interp_view(plan->interp, step->op, type, (Region){0}, &view)) return false;
  int64_t span = buf_span(&view.type, plan->interp->symbols);
  /* The states are as many as the elements: a span that big fails there, before its bytes overflow. */
  step->scratch.is_private = true;
  step->scratch.states = plan_alloc(plan, step->op, span, sizeof *step->scratch.states);
  if (!step->scratch.states) return false;
  step->scratch.bytes = (int64_t)type_bytes(type->type, (size_t)span);
  step->scratch.memory = plan_alloc(plan, step->op, step->scratch.bytes, 1);
  return step->scratch.memory != NULL;
}

/* The largest tile the operation touches, times k for products: what a run is limited by. */
static int64_t work_of(const Step *step) {
  int64_t work = 1;
  for (int i = 0; i < step->result_count + step->operand_count; i++) {
    const TileType type =
        i < step->result_count ? step->results[i]->type : step->operands[i - step->result_count]->type;
    bool has_elements = type.kind == KIND_TILE || type.kind == KIND_FRAG;
    if (has_elements && (int64_t)type.rows * type.cols > work) work = (int64_t)type.rows * type.cols;
  }
  if (op_multiplies(step->op->code)) work *= step->operands[1]->type.cols;
  return work;
}

static bool plan_step(Plan *plan, Step *step, const Op *op, const Step *owner) {
  step->op = op;
  step->execute = functions[op->code];
  if (!plan_operands(plan, step) || !plan_results(plan, step, owner)) return false;
  for (int i = 0; i < op->block_count && i < (int)ARRAY_LENGTH(step->bodies); i++) {
    if (!op->blocks[i]) continue;
    step->bodies[i] = plan_block(plan, op->blocks[i], step);
    if (!step->bodies[i]) return false;
  }
  step->work = work_of(step);
  return op->code != OP_buf_scratch || plan_scratch(plan, step);
}

static Body *plan_block(Plan *plan, const Block *block, const Step *owner) {
  const Op *parent = block->parent;
  Body *body = plan_alloc(plan, parent, 1, sizeof *body);
  if (!body) return NULL;
  for (const Op *op = block->first; op; op = op->next) body->step_count++;
  body->arguments = plan_alloc(plan, parent, block->argument_count, sizeof(Slot *));
  body->steps = plan_alloc(plan, parent, body->step_count, sizeof(Step));
  if (!body->arguments || !body->steps) return NULL;
  for (int i = 0; i < block->argument_count; i++) {
    body->arguments[i] = define(plan, parent, block->arguments[i]);
    if (!body->arguments[i]) return NULL;
  }
  Step *step = body->steps;
  for (const Op *op = block->first; op; op = op->next) {
    if (!plan_step(plan, step++, op, owner)) return NULL;
  }
  return body;
}

Body *interp_plan(Interp *interp, Slot ***buffers) {
  const Kernel *kernel = interp->kernel;
  Plan plan = {.interp = interp};
  plan.slots = plan_alloc(&plan, NULL, kernel->value_count, sizeof(Slot *));
  if (!plan.slots) return NULL;
  *buffers = plan_alloc(&plan, NULL, (int64_t)kernel->buffers.count, sizeof(Slot *));
  if (!*buffers) return NULL;
  for (size_t i = 0; i < kernel->buffers.count; i++) {
    (*buffers)[i] = define(&plan, NULL, kernel->buffers.items[i]);
    if (!(*buffers)[i]) return NULL;
  }
  return plan_block(&plan, kernel->body, NULL);
}
