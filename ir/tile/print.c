/* print.c: a module as text (docs/tile-ir.md).
 *
 * Assumes nothing that tile_verify checks: what is missing prints as `?`, so a broken module can be looked at. */
#include "ir/tile/tile.h"

#include <inttypes.h>

#include "ir/tile/labels.h"
#include "ir/tile/syntax.h"

typedef struct Printer {
  const Kernel *kernel;
  const Labels *labels;
  Text *out;
  int host_budget; /* operations of a host expression that may still be printed */
} Printer;

/* ---- expressions ------------------------------------------------------------------------------------------------- */

static void print_expression(Printer *p, const Op *op, Precedence context);

/* In the header all is written in place: it has no statements, and a shared value is written twice. */
static void print_operand(Printer *p, const Value *value, Precedence context) {
  if (!value) {
    text_add_char(p->out, '?');
    return;
  }
  const Op *op = value->op;
  if (op && op_info(op->code)->syntax == SYNTAX_LITERAL) print_expression(p, op, context);
  else if (op && op->block == p->kernel->header && p->host_budget > 0) print_expression(p, op, context);
  else if (op && op->block != p->kernel->header && !p->labels->names[value->id]) print_expression(p, op, context);
  else if (p->labels->names[value->id]) text_printf(p->out, "%%%s", p->labels->names[value->id]);
  else text_add_char(p->out, '?');
}

static void print_operands(Printer *p, Value *const *values, int count) {
  for (int i = 0; i < count; i++) {
    text_add(p->out, i ? ", " : "");
    print_operand(p, values[i], PRECEDENCE_ANY);
  }
}

static void print_literal(Printer *p, const Op *op) {
  if (op->code == OP_index_const) text_printf(p->out, "%" PRId64, op->number);
  else if (op->number >= 0 && (size_t)op->number < p->kernel->symbols.count)
    text_add(p->out, p->kernel->symbols.items[op->number].name);
  else text_add_char(p->out, '?');
}

/* An INFIX, CALL or LITERAL operation, in parentheses where it binds weaker than its context. */
static void print_expression(Printer *p, const Op *op, Precedence context) {
  const OpInfo *info = op_info(op->code);
  p->host_budget--;
  if (info->syntax == SYNTAX_LITERAL) {
    print_literal(p, op);
  } else if (info->syntax == SYNTAX_INFIX && op->operand_count == 2) {
    Precedence own = precedence_of(op->code);
    Precedence tighter = (Precedence)(own + 1);
    text_add(p->out, own < context ? "(" : "");
    print_operand(p, op->operands[0], own == PRECEDENCE_COMPARISON ? tighter : own);
    text_printf(p->out, " %s ", info->spelling);
    print_operand(p, op->operands[1], tighter);
    text_add(p->out, own < context ? ")" : "");
  } else {
    text_printf(p->out, "%s(", info->syntax == SYNTAX_CALL ? info->spelling : info->name);
    print_operands(p, op->operands, op->operand_count);
    text_add_char(p->out, ')');
  }
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static void print_block(Printer *p, const Block *block, int depth);

/* `[%value, ]%buffer[index, …] [rows r] [cols c]` */
static void print_place(Printer *p, const Op *op) {
  Access access = access_of(op);
  if (access.value) {
    print_operand(p, access.value, PRECEDENCE_ANY);
    text_add(p->out, ", ");
  }
  print_operand(p, access.buffer, PRECEDENCE_ANY);
  text_add_char(p->out, '[');
  print_operands(p, access.indices, access.index_count);
  text_add_char(p->out, ']');
  if (access.rows) {
    text_add(p->out, " rows ");
    print_operand(p, access.rows, PRECEDENCE_ANY);
  }
  if (access.cols) {
    text_add(p->out, " cols ");
    print_operand(p, access.cols, PRECEDENCE_ANY);
  }
}

/* PLAIN and ACCESS: the name, operands, attributes and, where it does not follow, the type. */
static void print_plain(Printer *p, const Op *op) {
  const OpInfo *info = op_info(op->code);
  int fixed = 1 + op_stores(op->code) + op->has_rows + op->has_cols;
  text_add(p->out, info->name);
  if (info->syntax == SYNTAX_ACCESS && op->operand_count >= fixed) {
    text_add_char(p->out, ' ');
    print_place(p, op);
  } else if (op->operand_count > 0) {
    text_add_char(p->out, ' ');
    print_operands(p, op->operands, op->operand_count);
  }
  if (op->code == OP_prefetch) text_printf(p->out, " level %" PRId64, op->number);
  if (op_may_stream(op->code) && op->number != 0) text_add(p->out, " streamed");
  if (op->code == OP_tile_slice) text_printf(p->out, "[%" PRId64 ", %" PRId64 "]", op->number, op->column);
  if (op->code == OP_tile_const) {
    text_add_char(p->out, ' ');
    text_add_number(p->out, op->real);
  }
  if (info->result == RESULT_TYPED && op->result_count > 0) {
    text_add(p->out, " : ");
    tile_print_type(p->kernel, op->results[0].type, p->out);
  }
}

static const char *argument_name(const Printer *p, const Block *block, int number) {
  return number < block->argument_count ? p->labels->names[block->arguments[number]->id] : "?";
}

/* Without the results, which every statement has in front. */
static void print_for(Printer *p, const Op *op, int depth) {
  static const char *const words[] = {"", " to ", " step "};
  if (op->operand_count < 3 || op->block_count < 1 || !op->blocks[0]) {
    text_add(p->out, "for ?");
    return;
  }
  text_printf(p->out, "for %%%s = ", argument_name(p, op->blocks[0], 0));
  for (int i = 0; i < 3; i++) {
    text_add(p->out, words[i]);
    print_operand(p, op->operands[i], PRECEDENCE_ANY);
  }
  for (int i = 3; i < op->operand_count; i++) {
    text_printf(p->out, "%s %%%s = ", i == 3 ? " carry" : ",", argument_name(p, op->blocks[0], i - 2));
    print_operand(p, op->operands[i], PRECEDENCE_ANY);
  }
  print_block(p, op->blocks[0], depth);
}

static void print_if(Printer *p, const Op *op, int depth) {
  text_add(p->out, "if ");
  print_operands(p, op->operands, op->operand_count);
  print_block(p, op->block_count > 0 ? op->blocks[0] : NULL, depth);
  if (op->block_count > 1 && op->blocks[1]) {
    text_add(p->out, " else");
    print_block(p, op->blocks[1], depth);
  }
}

static void print_statement(Printer *p, const Op *op, int depth) {
  const OpInfo *info = op_info(op->code);
  text_printf(p->out, "%*s", 2 * depth, "");
  for (int i = 0; i < op->result_count; i++)
    text_printf(p->out, "%s%%%s", i ? ", " : "", p->labels->names[op->results[i].id]);
  text_add(p->out, op->result_count > 0 ? " = " : "");
  if (op->code == OP_for) print_for(p, op, depth);
  else if (op->code == OP_if) print_if(p, op, depth);
  else if (info->syntax == SYNTAX_INFIX || info->syntax == SYNTAX_CALL) print_expression(p, op, PRECEDENCE_ANY);
  else print_plain(p, op);
  text_add_char(p->out, '\n');
}

/* Not: literals, what is written in place, and a bare yield at the end, which the parser adds. */
static bool is_shown(const Printer *p, const Op *op) {
  OpSyntax syntax = op_info(op->code)->syntax;
  if (syntax == SYNTAX_LITERAL) return false;
  if (syntax == SYNTAX_INFIX || syntax == SYNTAX_CALL)
    return op->result_count != 1 || p->labels->names[op->results[0].id];
  return op->code != OP_yield || op->operand_count > 0 || op->next;
}

/* ` {`, the statements one deeper than `depth`, and `}` without a line end. */
static void print_block(Printer *p, const Block *block, int depth) {
  text_add(p->out, " {\n");
  if (depth >= TILE_MAX_NESTING) text_add(p->out, "// nested too deeply to be shown\n");
  for (const Op *op = block && depth < TILE_MAX_NESTING ? block->first : NULL; op; op = op->next) {
    if (is_shown(p, op)) print_statement(p, op, depth + 1);
  }
  text_printf(p->out, "%*s}", 2 * depth, "");
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

static void print_symbols(Printer *p, const char *clause, bool are_params) {
  bool is_first = true;
  for (size_t i = 0; i < p->kernel->symbols.count; i++) {
    Symbol symbol = p->kernel->symbols.items[i];
    if (symbol.is_param != are_params) continue;
    if (is_first) text_printf(p->out, "\n    %s ", clause);
    text_printf(p->out, "%s%s", is_first ? "" : ", ", symbol.name);
    is_first = false;
  }
}

/* The budget guards against a value that is shared again and again. */
static void print_host(Printer *p, const char *clause, const Value *value) {
  if (!value) return;
  text_printf(p->out, "\n    %s ", clause);
  p->host_budget = TILE_MAX_HOST_OPS;
  print_operand(p, value, PRECEDENCE_ANY);
}

static void print_kernel(const Kernel *kernel, Text *out) {
  Labels labels;
  Printer p = {.kernel = kernel, .labels = &labels, .out = out};
  if (!tile_labels_init(&labels, kernel)) {
    out->failed = true;
    tile_labels_release(&labels);
    return;
  }
  text_printf(out, "kernel @%s(", kernel->name);
  for (size_t i = 0; i < kernel->buffers.count; i++) {
    const Value *buffer = kernel->buffers.items[i];
    text_printf(out, "%s%%%s: ", i ? ", " : "", labels.names[buffer->id]);
    tile_print_type(kernel, buffer->type, out);
  }
  text_add_char(out, ')');
  print_symbols(&p, "symbols", false);
  print_symbols(&p, "params", true);
  print_host(&p, "workspace", kernel->workspace);
  print_host(&p, "tasks", kernel->tasks);
  print_block(&p, kernel->body, 0);
  text_add_char(out, '\n');
  tile_labels_release(&labels);
}

void tile_print(const Module *module, Text *out) {
  for (size_t i = 0; i < module->kernels.count; i++) {
    text_add(out, i ? "\n" : "");
    print_kernel(module->kernels.items[i], out);
  }
}
