/* interpret.c: running a graph: node by node in order, inputs, movement and element-wise forms.
 *
 * Every value is kept as f64 with a bound beside it. A tensor is freed after its last use, so memory is that of what is
 * alive. Assumes a checked graph. */
#include "ir/graph/interpret.h"

#include <math.h>
#include <string.h>

double *run_alloc(Run *run, int64_t count) {
  size_t bytes = count > 0 ? (size_t)count * sizeof(double) : sizeof(double);
  double *memory = run->allocator.alloc(run->allocator.ctx, bytes, 64);
  if (!memory) run->status = KILN_OUT_OF_MEMORY;
  return memory;
}

void run_release(Run *run, void *memory) {
  if (memory) run->allocator.release(run->allocator.ctx, memory);
}

void run_fault(Run *run, const Node *node, const char *format, ...) {
  run->status = KILN_INVALID_ARGUMENT;
  if (!run->faults) return;
  va_list args;
  va_start(args, format);
  diagnostics_vreport(run->faults, node->pos, format, args);
  va_end(args);
}

/* ---- elements ---------------------------------------------------------------------------------------------------- */

/* An operand as it is met by the compute type: literals take it, and f32 holds not every i32. */
static Approx meet(const Node *operand, kiln_type compute, Approx x) {
  if (node_is_literal(operand)) x.value = type_round(compute, x.value);
  if (operand->type == KILN_I32 && compute == KILN_F32 && (double)(float)x.value != x.value)
    x.bound += 0x1p-24 * fabs(x.value);
  return x;
}

Approx run_get(const Run *run, const Node *node, int operand, int64_t index) {
  const Node *from = graph_node(run->graph, node->operands[operand]);
  return meet(from, node->compute, tensor_get(&run->tensors[node->operands[operand]], index));
}

/* Stores what needs no more rounding. */
static void store_final(Tensor *tensor, int64_t index, Approx value) {
  tensor->values[index] = value.value;
  if (tensor->bounds) tensor->bounds[index] = value.bound;
}

void run_store(const Node *node, const Arithmetic *arithmetic, Tensor *tensor, int64_t index, Approx value) {
  value = approx_settle(arithmetic, value);
  store_final(tensor, index, node->annotated ? approx_round(node->type, value) : value);
}

bool graph_accepts(double value, double bound, double got) {
  if (isinf(bound)) return true;
  if (isnan(value) || isnan(got)) return isnan(value) && isnan(got);
  return value == got || fabs(value - got) <= bound;
}

/* ---- element-wise forms ------------------------------------------------------------------------------------------ */

/* How an operand is walked beside the result, whose shape is padded to four axes from the left: along each axis, so
 * many result rows share one operand row, and the next is `stride` further on. */
typedef struct View {
  const Tensor *tensor;
  const Node *node;
  int64_t stride[GRAPH_MAX_RANK], group[GRAPH_MAX_RANK];
} View;

/* Axes of size 1 get the stride 0, which repeats them. */
static View view_of(const Run *run, const Node *node, int operand) {
  View view = {run_operand(run, node, operand), graph_node(run->graph, node->operands[operand]), {0}, {1, 1, 1, 1}};
  int64_t stride = 1;
  for (int back = 0; back < view.tensor->rank; back++) {
    int64_t size = view.tensor->dims[view.tensor->rank - 1 - back];
    if (size != 1) view.stride[GRAPH_MAX_RANK - 1 - back] = stride;
    stride *= size;
  }
  GraphForm form = graph_op_info(node->op)->form;
  if ((form == FORM_DEQUANT || form == FORM_QUANT) && operand > 0)
    view.group[GRAPH_MAX_RANK - 2] = node_group(run->graph, node, operand, run->symbols);
  return view;
}

static int64_t row_start(const View *view, int64_t i, int64_t j, int64_t k) {
  return i * view->stride[0] + j * view->stride[1] + k / view->group[2] * view->stride[2];
}

/* Sizes of four axes, 1 where the tensor has fewer. */
static void pad_dims(const Tensor *tensor, int64_t dims[static GRAPH_MAX_RANK]) {
  for (int i = 0; i < GRAPH_MAX_RANK; i++) {
    int axis = i - (GRAPH_MAX_RANK - tensor->rank);
    dims[i] = axis < 0 ? 1 : tensor->dims[axis];
  }
}

/* One loop for all of them: rows of the last axis, operands walked by their views. */
static void interpret_elementwise(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  Arithmetic arithmetic = arithmetic_of(node->compute);
  ApproxOp *op = approx_op(node->op);
  Tensor *out = &run->tensors[number];
  View views[GRAPH_MAX_OPERANDS];
  int64_t dims[GRAPH_MAX_RANK], at = 0, start[GRAPH_MAX_OPERANDS];
  Approx x[GRAPH_MAX_OPERANDS];
  for (int i = 0; i < node->operand_count; i++) views[i] = view_of(run, node, i);
  pad_dims(out, dims);
  for (int64_t row = 0; row < dims[0] * dims[1] * dims[2]; row++) {
    for (int i = 0; i < node->operand_count; i++)
      start[i] = row_start(&views[i], row / dims[2] / dims[1], row / dims[2] % dims[1], row % dims[2]);
    for (int64_t column = 0; column < dims[3]; column++, at++) {
      for (int i = 0; i < node->operand_count; i++)
        x[i] = meet(views[i].node, node->compute, tensor_get(views[i].tensor, start[i] + column * views[i].stride[3]));
      if (op) run_store(node, &arithmetic, out, at, op(&arithmetic, x, node->operand_count));
      else store_final(out, at, approx_quant(&arithmetic, node->type, x, node->operand_count));
    }
  }
}

#define interpret_ARITHMETIC interpret_elementwise
#define interpret_COMPARE interpret_elementwise
#define interpret_SELECT interpret_elementwise
#define interpret_UNARY interpret_elementwise
#define interpret_FUNCTION interpret_elementwise
#define interpret_DEQUANT interpret_elementwise
#define interpret_QUANT interpret_elementwise

/* ---- inputs and movement ----------------------------------------------------------------------------------------- */

/* Reads the caller's memory at its strides into row-major f64. */
static void interpret_INPUT(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  Tensor *out = &run->tensors[number];
  size_t position = 0;
  while (run->graph->inputs.items[position] != number) position++;
  const void *base = run->inputs[position];
  if (!base && out->count > 0) {
    run_fault(run, node, "input '%s' is NULL", node->name);
    return;
  }
  int64_t dims[GRAPH_MAX_RANK], strides[GRAPH_MAX_RANK] = {0}, at = 0;
  pad_dims(out, dims);
  for (int axis = 0; axis < out->rank; axis++)
    strides[GRAPH_MAX_RANK - out->rank + axis] = node_stride(node, axis, run->symbols);
  for (int64_t row = 0; row < dims[0] * dims[1] * dims[2]; row++) {
    int64_t start =
        row / dims[2] / dims[1] * strides[0] + row / dims[2] % dims[1] * strides[1] + row % dims[2] * strides[2];
    for (int64_t column = 0; column < dims[3]; column++, at++)
      out->values[at] = type_load(node->type, base, (size_t)(start + column * strides[3]));
  }
}

static void interpret_NUMBER(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  run->tensors[number].values[0] = node_number(node);
}

/* Copies one element that is only moved; an annotation may round it. */
static void move(const Node *node, Tensor *out, int64_t to, const Tensor *from, int64_t index) {
  Approx x = tensor_get(from, index);
  store_final(out, to, node->annotated ? approx_round(node->type, x) : x);
}

static void interpret_TRANSPOSE(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  Tensor *out = &run->tensors[number];
  const Tensor *x = run_operand(run, node, 0);
  int64_t rows = out->dims[out->rank - 2], columns = out->dims[out->rank - 1], size = rows * columns;
  for (int64_t i = 0; i < out->count; i++) {
    int64_t row = i % size / columns, column = i % columns;
    move(node, out, i, x, i / size * size + column * rows + row);
  }
}

static void interpret_GATHER(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  Tensor *out = &run->tensors[number];
  const Tensor *x = run_operand(run, node, 0), *index = run_operand(run, node, 1);
  int64_t columns = x->dims[1];
  for (int64_t row = 0; row < out->dims[0]; row++) {
    Approx from = tensor_get(index, row);
    if (from.value < 0 || from.value >= (double)x->dims[0]) {
      run_fault(run, node, "'%s' names row %lld of %lld", graph_phrase(run->graph, number).text, (long long)from.value,
                (long long)x->dims[0]);
      return;
    }
    for (int64_t column = 0; column < columns; column++) {
      move(node, out, row * columns + column, x, (int64_t)from.value * columns + column);
      if (from.bound > 0 && out->bounds) out->bounds[row * columns + column] = INFINITY;
    }
  }
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static InterpretForm *const form_rows[] = {
#define FORM(name) [FORM_##name] = interpret_##name,
    GRAPH_FORMS(FORM)
#undef FORM
};

/* Whether a node's value can be anything but exact. */
static bool needs_bounds(const Run *run, const Node *node) {
  if (node->op == KILN_OP_INPUT || node->op == KILN_OP_NUMBER) return false;
  for (int i = 0; i < node->operand_count; i++)
    if (run_operand(run, node, i)->bounds) return true;
  GraphForm form = graph_op_info(node->op)->form;
  bool only_moves = form == FORM_TRANSPOSE || form == FORM_GATHER;
  return !only_moves && node->compute != KILN_I32;
}

/* Shape and memory of a node's value. */
static bool make_tensor(Run *run, int number) {
  const Node *node = graph_node(run->graph, number);
  Tensor *tensor = &run->tensors[number];
  tensor->rank = node->shape.rank;
  for (int i = 0; i < tensor->rank; i++) tensor->dims[i] = dim_value(node->shape.dims[i], run->symbols);
  tensor->count = node_count(node, run->symbols);
  tensor->values = run_alloc(run, tensor->count);
  if (tensor->values && needs_bounds(run, node)) tensor->bounds = run_alloc(run, tensor->count);
  return run->status == KILN_OK;
}

static void free_tensor(Run *run, Tensor *tensor) {
  run_release(run, tensor->values);
  run_release(run, tensor->bounds);
  tensor->values = tensor->bounds = NULL;
}

/* Exactness pays: a product of exact operands takes one pass less. */
static void drop_zero_bounds(Run *run, Tensor *tensor) {
  for (int64_t i = 0; tensor->bounds && i < tensor->count; i++)
    if (tensor->bounds[i] != 0) return;
  run_release(run, tensor->bounds);
  tensor->bounds = NULL;
}

/* Operands are freed after their last use; results have one use more and stay. */
static void run_nodes(Run *run, int *uses) {
  for (int i = 0; i < (int)run->graph->nodes.count && run->status == KILN_OK; i++) {
    const Node *node = graph_node(run->graph, i);
    uses[i] = node->use_count;
    if (!make_tensor(run, i)) return;
    form_rows[graph_op_info(node->op)->form](run, i);
    if (run->status != KILN_OK) return;
    drop_zero_bounds(run, &run->tensors[i]);
    for (int j = 0; j < node->operand_count; j++)
      if (--uses[node->operands[j]] == 0) free_tensor(run, &run->tensors[node->operands[j]]);
  }
}

/* Into the caller's arena; the zeroed bounds stay where all is exact. */
static void copy_result(Run *run, const Tensor *tensor, Arena *arena, GraphResult *result) {
  size_t bytes = (size_t)tensor->count * sizeof(double);
  *result = (GraphResult){arena_alloc(arena, bytes), arena_alloc(arena, bytes), tensor->count};
  if (!result->values || !result->bounds || arena_has_failed(arena)) {
    run->status = KILN_OUT_OF_MEMORY;
    return;
  }
  if (bytes) memcpy(result->values, tensor->values, bytes);
  if (bytes && tensor->bounds) memcpy(result->bounds, tensor->bounds, bytes);
}

kiln_status graph_interpret(const kiln_graph *graph, const int64_t *symbols, const void *const *inputs, Arena *arena,
                            GraphResult *results, Diagnostics *faults) {
  KILN_ASSERT(graph->checked);
  kiln_status status = graph_check_symbols(graph, symbols, faults);
  if (status != KILN_OK) return status;
  Run run = {.graph = graph, .symbols = symbols, .inputs = inputs, .faults = faults, .allocator = arena->allocator};
  size_t nodes = graph->nodes.count;
  run.tensors = arena->allocator.alloc(arena->allocator.ctx, nodes * sizeof *run.tensors, _Alignof(Tensor));
  int *uses = arena->allocator.alloc(arena->allocator.ctx, nodes * sizeof *uses, _Alignof(int));
  if (!run.tensors || !uses) {
    run.status = KILN_OUT_OF_MEMORY;
  } else {
    memset(run.tensors, 0, nodes * sizeof *run.tensors);
    run_nodes(&run, uses);
    for (size_t i = 0; run.status == KILN_OK && i < graph->outputs.count; i++)
      copy_result(&run, &run.tensors[graph->outputs.items[i]], arena, &results[i]);
    for (size_t i = 0; i < nodes; i++) free_tensor(&run, &run.tensors[i]);
  }
  run_release(&run, run.tensors);
  run_release(&run, uses);
  return run.status;
}
