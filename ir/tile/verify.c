/* verify.c: the verifier's walk: kernels, blocks, and what each operation owes by its row.
 *
 * Total on whatever builder and parser can make: operations may lack operands, name values of other places or have
 * types that cannot be; blocks may lack their yield. It trusts only that lists are linked and arrays as long as their
 * counts. */
#include "ir/tile/verify.h"

#include <string.h>

#include "ir/tile/names.h"
#include "ir/tile/syntax.h"

typedef void VerifyOp(Verifier *v, const Op *op);

static VerifyOp *const verify_ops[OP_COUNT] = {
#define TILE_ROW(name, syntax, spelling, operands, result, effect, meaning) [OP_##name] = verify_##name,
#include "ir/tile/ops_rows.h"
#undef TILE_ROW
};

/* ---- reports ----------------------------------------------------------------------------------------------------- */

/* What a builder made has no position, so the kernel must do. */
void verify_fault(Verifier *v, const Op *op, const char *format, ...) {
  SourcePos pos = op ? op->pos : v->kernel->pos;
  Text text;
  text_init(&text, &v->arena.allocator);
  if (pos.line == 0) text_printf(&text, "in '@%s': ", v->kernel->name);
  va_list args;
  va_start(args, format);
  text_vprintf(&text, format, args);
  va_end(args);
  diagnostics_report(v->faults, pos, "%s", text_get(&text));
  text_release(&text);
  v->fault_count++;
}

const char *verify_type_text(Verifier *v, TileType type) {
  Text text;
  text_init(&text, &v->arena.allocator);
  tile_print_type(v->kernel, type, &text);
  const char *copy = arena_copy(&v->arena, text_get(&text), text.length);
  text_release(&text);
  return copy;
}

bool verify_same(Verifier *v, const Op *op, TileType expected, TileType found, const char *what) {
  if (tile_type_equal(expected, found)) return true;
  verify_fault(v, op, "%s of '%s' must be %s, found %s", what, verify_name(op), verify_type_text(v, expected),
               verify_type_text(v, found));
  return false;
}

bool verify_kind(Verifier *v, const Op *op, TypeKind kind, TileType type, const char *what) {
  static const char *const kinds[] = {
      [KIND_INDEX] = "an index", [KIND_TILE] = "a tile", [KIND_FRAG] = "a fragment", [KIND_BUF] = "a buffer"};
  if (type.kind == kind) return true;
  verify_fault(v, op, "%s of '%s' must be %s, found %s", what, verify_name(op), kinds[kind], verify_type_text(v, type));
  return false;
}

/* ---- what an operation owes by its row --------------------------------------------------------------------------- */

static bool check_blocks(Verifier *v, const Op *op) {
  int expected = op->code == OP_for ? 1 : op->code == OP_if ? 2 : 0;
  if (op->block_count == expected && (expected == 0 || op->blocks[0])) return true;
  verify_fault(v, op, "'%s' must have %d block%s", verify_name(op), expected, expected == 1 ? "" : "s");
  return false;
}

/* How many operands at least; exactly so many where the row says so. */
static int least_operands(const Op *op) {
  const OpInfo *info = op_info(op->code);
  if (info->syntax == SYNTAX_ACCESS) return 1 + op_stores(op->code) + op->has_rows + op->has_cols;
  if (op->code == OP_for) return 3;
  return info->operands > 0 ? info->operands : 0;
}

static bool check_counts(Verifier *v, const Op *op) {
  const OpInfo *info = op_info(op->code);
  int least = least_operands(op);
  if (op->operand_count < least || (info->operands >= 0 && op->operand_count > info->operands)) {
    verify_fault(v, op, "'%s' takes %s%d operand%s, found %d", info->name, info->operands < 0 ? "at least " : "", least,
                 least == 1 ? "" : "s", op->operand_count);
    return false;
  }
  int results = info->result == RESULT_NONE ? 0 : 1;
  if (op->code != OP_for && op->code != OP_if && op->result_count != results) {
    verify_fault(v, op, "'%s' gives %d value%s, found %d", info->name, results, results == 1 ? "" : "s",
                 op->result_count);
    return false;
  }
  return check_blocks(v, op);
}

/* Values of other kernels have ids of their own, which mean nothing here. */
static ValueState state_of(const Verifier *v, const Value *value) {
  const Kernel *kernel = v->kernel;
  bool is_buffer = !value->block;
  if (is_buffer && ((size_t)value->number >= kernel->buffers.count || kernel->buffers.items[value->number] != value))
    return STATE_HIDDEN;
  if (!is_buffer && value->block->kernel != kernel) return STATE_HIDDEN;
  return v->states[value->id];
}

/* True where each is there and sound. Silent about operands whose own fault has been reported. */
static bool check_operands(Verifier *v, const Op *op) {
  bool is_fine = true;
  for (int i = 0; i < op->operand_count; i++) {
    const Value *value = op->operands[i];
    ValueState state = value ? state_of(v, value) : STATE_HIDDEN;
    is_fine = is_fine && state == STATE_VISIBLE;
    if (!value) verify_fault(v, op, "operand %d of '%s' is missing", i + 1, verify_name(op));
    else if (state == STATE_HIDDEN && value->name)
      verify_fault(v, op, "operand %d of '%s', '%%%s', is not visible here", i + 1, verify_name(op), value->name);
    else if (state == STATE_HIDDEN)
      verify_fault(v, op, "operand %d of '%s' is not visible here", i + 1, verify_name(op));
  }
  return is_fine;
}

/* Says why op_infer refused. */
static void explain_misfit(Verifier *v, const Op *op) {
  Text text;
  text_init(&text, &v->arena.allocator);
  for (int i = 0; i < op->operand_count; i++) {
    text_add(&text, i == 0 ? "" : i + 1 == op->operand_count ? " and " : ", ");
    tile_print_type(v->kernel, op->operands[i]->type, &text);
  }
  const char *rule = op->code == OP_index_select               ? "a bool and two indexes"
                     : op->code == OP_index_tile               ? "an i32"
                     : op_info(op->code)->stage == STAGE_INDEX ? "indexes"
                     : op->code == OP_tile_select
                         ? "a bool tile, then tiles of one element type, of shapes that broadcast"
                     : op->operand_count > 1 ? "tiles of one element type, of shapes that broadcast"
                                             : "a tile";
  verify_fault(v, op, "'%s' takes %s, found %s", verify_name(op), rule, text_get(&text));
  text_release(&text);
}

/* A stated type must be able to exist, and one that follows must be what is there. */
static bool check_result(Verifier *v, const Op *op) {
  OpResult result = op_info(op->code)->result;
  if (result == RESULT_NONE) return true;
  if (result == RESULT_TYPED) {
    bool is_fine = true;
    for (int i = 0; i < op->result_count; i++) is_fine = verify_type(v, op, op->results[i].type) && is_fine;
    return is_fine;
  }
  if (op_info(op->code)->syntax == SYNTAX_LITERAL)
    return verify_same(v, op, type_index(), op->results[0].type, "the result");
  TileType type;
  if (!op_infer(op->code, op->operands, op->operand_count, &type)) {
    if (result == RESULT_ACC) return true; /* verify_mma and its like say what its operands must be */
    explain_misfit(v, op);
    return false;
  }
  return verify_same(v, op, type, op->results[0].type, "the result") && verify_type(v, op, type);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

static void check_block(Verifier *v, const Block *block, ValueState arguments, int nesting);

static void set_results(Verifier *v, const Op *op, ValueState state) {
  for (int i = 0; i < op->result_count; i++) v->states[op->results[i].id] = state;
}

/* Results become visible after the blocks: a loop's own results are not its inputs. */
static void check_op(Verifier *v, const Op *op, int nesting) {
  bool is_sound = check_counts(v, op) && check_operands(v, op) && check_result(v, op);
  ValueState state = is_sound ? STATE_VISIBLE : STATE_FAULTY;
  if (is_sound) verify_ops[op->code](v, op);
  for (int i = 0; i < op->block_count; i++) {
    if (op->blocks[i]) check_block(v, op->blocks[i], state, nesting + 1);
  }
  set_results(v, op, state);
}

/* Definitions are hidden again at the end, so visibility needs no search through the blocks around. */
static void check_block(Verifier *v, const Block *block, ValueState arguments, int nesting) {
  if (nesting > TILE_MAX_NESTING) {
    verify_fault(v, block->parent, "blocks are nested more than %d deep", TILE_MAX_NESTING);
    return;
  }
  for (int i = 0; i < block->argument_count; i++) v->states[block->arguments[i]->id] = arguments;
  for (const Op *op = block->first; op; op = op->next) check_op(v, op, nesting);
  for (int i = 0; i < block->argument_count; i++) v->states[block->arguments[i]->id] = STATE_HIDDEN;
  for (const Op *op = block->first; op; op = op->next) set_results(v, op, STATE_HIDDEN);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

/* They are words of the text: bare identifiers that are told from operations by name only. */
static void check_symbols(Verifier *v) {
  bool has_params = false;
  if (v->kernel->symbols.count > TILE_MAX_SYMBOLS)
    verify_fault(v, NULL, "a kernel has at most %d symbols, found %zu", TILE_MAX_SYMBOLS, v->kernel->symbols.count);
  for (size_t i = 0; i < v->kernel->symbols.count && i < TILE_MAX_SYMBOLS; i++) {
    Symbol symbol = v->kernel->symbols.items[i];
    OpCode code;
    if (!tile_name_is_valid(symbol.name) || op_find(symbol.name, strlen(symbol.name), &code))
      verify_fault(v, NULL, "'%s' cannot name a symbol", symbol.name);
    if (kernel_find_symbol(v->kernel, symbol.name, strlen(symbol.name)) != (int)i)
      verify_fault(v, NULL, "the symbol '%s' is declared twice", symbol.name);
    if (has_params && !symbol.is_param)
      verify_fault(v, NULL, "the symbol '%s' stands after the schedule's parameters: expected sizes and strides first",
                   symbol.name);
    has_params = has_params || symbol.is_param;
  }
}

/* The host needs every size: it checks the memory a caller hands in. */
static void check_buffers(Verifier *v) {
  for (size_t i = 0; i < v->kernel->buffers.count; i++) {
    const Value *buffer = v->kernel->buffers.items[i];
    bool is_fine = verify_type(v, NULL, buffer->type);
    v->states[buffer->id] = is_fine ? STATE_VISIBLE : STATE_FAULTY;
    if (is_fine && verify_has_unknown(buffer->type.buf))
      verify_fault(v, NULL, "the buffer '%%%s' has a size '?': expected a number or a symbol", buffer->name);
  }
}

/* Operations of the expression as a tree, up to past the limit; `depth` more levels are allowed. */
static int count_host_ops(const Value *value, int depth, int budget) {
  if (depth < 0) return TILE_MAX_HOST_OPS + 1;
  int count = 1;
  for (int i = 0; value->op && i < value->op->operand_count && count <= budget; i++) {
    if (value->op->operands[i]) count += count_host_ops(value->op->operands[i], depth - 1, budget - count);
  }
  return count;
}

static void check_host(Verifier *v, const char *clause, const Value *value) {
  if (!value) return;
  if (value->block != v->kernel->header || !value->op || value->type.kind != KIND_INDEX)
    verify_fault(v, NULL, "'%s' must be an index computed in the kernel's header", clause);
  else if (count_host_ops(value, EXPRESSION_DEPTH, TILE_MAX_HOST_OPS) > TILE_MAX_HOST_OPS)
    verify_fault(v, NULL, "'%s' has more than %d operations or is more than %d deep", clause, TILE_MAX_HOST_OPS,
                 EXPRESSION_DEPTH);
}

/* Anything but index arithmetic ends the check, as the host could not evaluate it. */
static void check_header(Verifier *v) {
  for (const Op *op = v->kernel->header->first; op; op = op->next) {
    if (op_info(op->code)->stage != STAGE_INDEX || op->code == OP_index_tile) {
      verify_fault(v, op, "'%s' cannot stand in a host expression: expected index arithmetic", verify_name(op));
      return;
    }
  }
  check_block(v, v->kernel->header, STATE_VISIBLE, 1);
  check_host(v, "workspace", v->kernel->workspace);
  check_host(v, "tasks", v->kernel->tasks);
}

static void check_kernel(Verifier *v) {
  if (!tile_name_is_valid(v->kernel->name)) verify_fault(v, NULL, "'@%s' cannot name a kernel", v->kernel->name);
  check_symbols(v);
  check_buffers(v);
  check_header(v);
  if (v->kernel->body->argument_count != 1 || kernel_task(v->kernel)->type.kind != KIND_INDEX)
    verify_fault(v, NULL, "the body must have one argument, the task's index");
  check_block(v, v->kernel->body, STATE_VISIBLE, 1);
}

/* Kernels are symbols of one object, each with two queries of its name beside it. */
static void check_kernel_names(Verifier *v, const Module *module) {
  static const char *const queries[] = {"_tasks", "_workspace"};
  Names names;
  tile_names_init(&names, &v->arena);
  for (size_t i = 0; i < module->kernels.count; i++) {
    v->kernel = module->kernels.items[i];
    Name *name = tile_names_get(&names, v->kernel->name, strlen(v->kernel->name));
    if (name && name->is_defined) verify_fault(v, NULL, "the kernel '@%s' is defined twice", v->kernel->name);
    if (name) name->is_defined = true;
  }
  for (size_t i = 0; i < module->kernels.count; i++) {
    v->kernel = module->kernels.items[i];
    for (size_t q = 0; q < ARRAY_LENGTH(queries); ++q) {
      size_t length = strlen(v->kernel->name), tail = strlen(queries[q]);
      if (length <= tail || strcmp(v->kernel->name + length - tail, queries[q]) != 0) continue;
      Name *name = tile_names_get(&names, v->kernel->name, length - tail);
      if (name && name->is_defined)
        verify_fault(v, NULL, "the kernel '@%s' is called like a query of another", v->kernel->name);
    }
  }
}

kiln_status tile_verify(const Module *module, Diagnostics *faults) {
  Verifier v = {.faults = faults};
  arena_init(&v.arena, &module->arena.allocator);
  check_kernel_names(&v, module);
  for (size_t i = 0; i < module->kernels.count; i++) {
    v.kernel = module->kernels.items[i];
    v.scratch_bytes = 0;
    v.states = ARENA_ARRAY(&v.arena, ValueState, v.kernel->value_count);
    if (arena_has_failed(&v.arena)) break;
    check_kernel(&v);
  }
  bool has_failed = arena_has_failed(&v.arena);
  arena_release(&v.arena);
  return has_failed ? KILN_OUT_OF_MEMORY : v.fault_count > 0 ? KILN_INVALID_TILE : KILN_OK;
}
