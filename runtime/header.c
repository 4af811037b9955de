/* header.c: the C header beside an object made ahead of time. It needs neither libkiln nor its headers, and agrees with
 * them where both are included. */
#include <string.h>

#include "runtime/runtime.h"

/* For passed fields of the schedule where sizes are not known: large enough for blocks to matter, tasks for this many
 * threads. */
enum { TYPICAL_SIZE = 1024, TYPICAL_THREADS = 16 };

/* ---- expressions over `symbols` ---------------------------------------------------------------------------------- */

static void print_extent(Extent extent, Text *out) {
  if (extent.symbol >= 0) text_printf(out, "symbols[%d]", extent.symbol);
  else text_printf(out, "(int64_t)%lld", (long long)extent.number);
}

/* An axis in whole steps: `((x + 47) / 48 * 48)`. */
static void print_padded(Extent extent, int step, Text *out) {
  if (step > 1) text_add(out, "((");
  print_extent(extent, out);
  if (step > 1) text_printf(out, " + %d) / %d * %d)", step - 1, step, step);
}

/* Bytes of a packed buffer, as its layout pads it (ir/tile/tile.h). */
static void print_packed_bytes(const BufType *type, Text *out) {
  unsigned bits = type_bits(type->type);
  text_add(out, "  return ");
  for (int i = 0; i < type->rank; ++i) {
    bool is_row = i == type->rank - 2, is_column = i == type->rank - 1;
    int step = 1;
    if (type->layout == LAYOUT_COL_PANEL) step = is_column ? type->panel : is_row ? type->group : 1;
    if (type->layout == LAYOUT_ROW_PANEL) step = is_row ? type->panel : is_column ? type->group : 1;
    print_padded(type->dims[i], step, out);
    text_add(out, " * ");
  }
  if (bits >= 8) text_printf(out, "%u;\n", bits / 8);
  else text_printf(out, "%u / 8;\n", bits);
}

/* ---- the parts --------------------------------------------------------------------------------------------------- */

/* What it is, for people, and the include guard. */
static void print_opening(const Code *code, const char *name, Text *out) {
  text_printf(out, "/* Made by kiln " KILN_VERSION ": the kernel %s for target %s.\n *\n *   %s\n *\n", name,
              code->plan.problem.target->name, code->graph_text);
  text_printf(out, " * Template %s, schedule %s. Needs the CPU features\n *   %s\n", code->plan.template->name,
              code->schedule, code->features[0] ? code->features : "(none)");
  text_printf(
      out,
      " * Everything here is re-entrant and calls nothing. Run the tasks 0 to %s_tasks(&args) - 1 in any order,\n"
      " * on any number of threads; a call is done when all of them are. */\n",
      name);
  text_printf(out, "#ifndef KILN_KERNEL_%s\n#define KILN_KERNEL_%s\n\n#include <stdint.h>\n\n", name, name);
  text_add(out, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
}

static void print_field(const char *type, const char *name, const char *meaning, Text *out) {
  bool is_pointer = type[strlen(type) - 1] == '*';
  text_printf(out, "  %s%s%s; /* %s */\n", type, is_pointer ? "" : " ", name, meaning);
}

/* What include/kiln/args.h says, from the same table and under the same guard. */
static void print_args(Text *out) {
  text_printf(out, "#ifndef KILN_ARGS_H\n#define KILN_ARGS_H\n#define KILN_ARGS_VERSION %d\n", KILN_ARGS_VERSION);
  text_printf(out, "#define KILN_WORKSPACE_ZEROED %d\ntypedef struct kiln_args {\n", KILN_WORKSPACE_ZEROED);
#define FIELD(type, name, meaning) print_field(#type, #name, meaning, out);
  KILN_ARGS_FIELDS(FIELD)
#undef FIELD
  text_add(out, "} kiln_args;\ntypedef void kiln_entry(const kiln_args *args, int64_t task);\n"
                "typedef int64_t kiln_query(const kiln_args *args);\n#endif\n");
  text_printf(out, "#if KILN_ARGS_VERSION != %d\n#error \"made for another version of kiln_args\"\n#endif\n\n",
              KILN_ARGS_VERSION);
}

/* A line for each buffer. */
static void print_ports(const Code *code, const char *name, Text *out) {
  for (size_t i = 0; i < code->port_count; ++i) {
    const Port *port = &code->ports[i];
    text_printf(out, " * buffers[%zu]  ", i);
    if (port->name[0]) text_printf(out, "%s: ", port->name);
    graph_print_type(code->graph, port->node, out);
    if (i >= code->input_count) text_add(out, ", written");
    if (port->pack) text_printf(out, ", packed by %s_pack_%s, 64-byte aligned", name, port->name);
    text_add_char(out, '\n');
  }
}

/* A line for each symbol, each size the code does not know, and each passed field of the schedule. */
static void print_dims(const Code *code, Text *out) {
  const Plan *plan = &code->plan;
  for (size_t i = 0; i < code->symbol_count; ++i)
    text_printf(out, " * dims[%zu]     %s\n", i, code->graph->symbols.items[i]);
  for (int i = 0; i < plan->size_count; ++i)
    text_printf(out, " * dims[%zu]     %s of the product: %lld\n", code->symbol_count + (size_t)i, plan->sizes[i].name,
                (long long)plan->sizes[i].value);
  for (int i = 0; i < plan->param_count; ++i) {
    const FieldInfo *field = field_info(plan->params[i]);
    text_printf(out, " * dims[%zu]     %s: %s\n", tmpl_first_param(plan) + (size_t)i, field->name, field->meaning);
  }
}

static void print_entry(const Code *code, const char *name, Text *out) {
  text_printf(out, "enum { %s_BUFFERS = %zu, %s_SYMBOLS = %zu, %s_DIMS = %zu };\n\n", name, code->port_count, name,
              code->symbol_count, name, code->dim_count);
  text_add(out, "/* What args holds:\n");
  print_ports(code, name, out);
  print_dims(code, out);
  text_printf(out, " * workspace   %s_workspace bytes, 64-byte aligned, the first KILN_WORKSPACE_ZEROED of them 0 */\n",
              name);
  text_printf(out, "void %s(const kiln_args *args, int64_t task);\n", name);
  text_printf(out, "/* These two read dims only. */\nint64_t %s_tasks(const kiln_args *args);\n", name);
  text_printf(out, "int64_t %s_workspace(const kiln_args *args);\n\n", name);
}

static void print_pack(const Port *port, const char *name, Text *out) {
  text_printf(out,
              "/* Packs %s. args->buffers: the source as declared, the packed buffer; args->dims: as %s has them. */\n",
              port->name, name);
  text_printf(out, "void %s_pack_%s(const kiln_args *args, int64_t task);\n", name, port->name);
  text_printf(out, "int64_t %s_pack_%s_tasks(const kiln_args *args);\n", name, port->name);
  text_printf(out, "static inline int64_t %s_packed_bytes_%s(const int64_t *symbols) {\n  (void)symbols;\n", name,
              port->name);
  print_packed_bytes(&port->pack->type, out);
  text_add(out, "}\n\n");
}

/* The template's choice of passed fields is code of ours, so the header gets its result, for sizes as good as known. */
static kiln_status print_bind(const Code *code, const char *name, Text *out) {
  const Plan *plan = &code->plan;
  int64_t params[PLAN_MAX_PARAMS] = {0};
  size_t bytes = (code->symbol_count + 1) * sizeof(int64_t);
  const Allocator *allocator = &code->engine->allocator;
  int64_t *symbols = allocator->alloc(allocator->ctx, bytes, _Alignof(int64_t));
  if (!symbols) return KILN_OUT_OF_MEMORY;
  for (size_t i = 0; i < code->symbol_count; ++i) symbols[i] = TYPICAL_SIZE;
  Machine machine = machine_of(plan->problem.target, TYPICAL_THREADS);
  if (plan->param_count > 0) plan->template->bind(plan, symbols, &machine, params);
  allocator->release(allocator->ctx, symbols);
  text_add(out, "/* Fills args->dims: the symbols in the order above, sizes, then a schedule for ");
  if (code->symbol_count > 0) text_printf(out, "sizes around %d and ", TYPICAL_SIZE);
  text_printf(out, "up to %d threads. */\n", TYPICAL_THREADS);
  text_printf(out,
              "static inline void %s_bind(const int64_t *symbols, int64_t *dims) {\n  (void)symbols;\n  (void)dims;\n",
              name);
  for (size_t i = 0; i < code->symbol_count; ++i) text_printf(out, "  dims[%zu] = symbols[%zu];\n", i, i);
  for (int i = 0; i < plan->size_count; ++i)
    text_printf(out, "  dims[%zu] = %lld; /* %s */\n", code->symbol_count + (size_t)i, (long long)plan->sizes[i].value,
                plan->sizes[i].name);
  for (int i = 0; i < plan->param_count; ++i)
    text_printf(out, "  dims[%zu] = %lld; /* %s */\n", tmpl_first_param(plan) + (size_t)i, (long long)params[i],
                field_info(plan->params[i])->name);
  text_add(out, "}\n\n");
  return KILN_OK;
}

kiln_status rt_print_header(const Code *code, const char *name, Text *out) {
  print_opening(code, name, out);
  print_args(out);
  print_entry(code, name, out);
  for (size_t i = 0; i < code->input_count; ++i)
    if (code->ports[i].pack) print_pack(&code->ports[i], name, out);
  kiln_status status = print_bind(code, name, out);
  text_add(out, "#ifdef __cplusplus\n}\n#endif\n#endif\n");
  return status;
}
