/* match.c: offers a problem to the templates in table order and keeps why each refuses. Knows templates only as rows.
 */
#include <string.h>

#include "templates/template.h"

#define TEMPLATE(name, meaning) extern const Template template_##name;
#include "templates/templates.def"
#undef TEMPLATE

static const Template *const template_rows[] = {
#define TEMPLATE(name, meaning) &template_##name,
#include "templates/templates.def"
#undef TEMPLATE
};

size_t template_count(void) { return ARRAY_LENGTH(template_rows); }

const Template *template_get(size_t index) {
  KILN_ASSERT(index < ARRAY_LENGTH(template_rows));
  return template_rows[index];
}

const Template *template_find(const char *name) {
  for (size_t i = 0; i < ARRAY_LENGTH(template_rows); ++i)
    if (strcmp(template_rows[i]->name, name) == 0) return template_rows[i];
  return NULL;
}

/* Every field the caller fixed must be one the template uses: a wish that changes nothing is a mistake. */
static kiln_status check_wishes(const Plan *plan, Text *why) {
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    bool used = plan->schedule.set[field];
    for (int i = 0; i < plan->param_count; ++i) used |= plan->params[i] == field;
    if (plan->problem.wishes.fixed[field] && !used) {
      text_printf(why, "schedule: '%s' has no meaning for this graph in template %s", field_info((Field)field)->name,
                  plan->template->name);
      return KILN_NOT_FOUND;
    }
  }
  return KILN_OK;
}

kiln_status tmpl_plan(const Problem *problem, Arena *arena, Plan *plan, Text *why) {
  Text refusals, sentence;
  text_init(&refusals, &arena->allocator);
  text_init(&sentence, &arena->allocator);
  *plan = (Plan){.problem = *problem, .schedule = problem->wishes};
  memset(plan->schedule.set, 0, sizeof plan->schedule.set); /* the template says which it uses */
  plan->packs = ARENA_ARRAY(arena, Pack, problem->graph->inputs.count);
  for (size_t i = 0; i < ARRAY_LENGTH(template_rows) && plan->template == NULL; ++i) {
    if (problem->forced != NULL && problem->forced != template_rows[i]) continue;
    text_clear(&sentence);
    if (template_rows[i]->match(plan, arena, &sentence)) plan->template = template_rows[i];
    else text_printf(&refusals, "%s: %s\n", template_rows[i]->name, text_get(&sentence));
  }
  plan->refusals = arena_copy(arena, text_get(&refusals), refusals.length);
  kiln_status status = KILN_UNSUPPORTED;
  if (plan->template == NULL) text_printf(why, "no template takes this graph: %s", plan->refusals);
  else if ((status = plan->template->schedule(plan, why)) == KILN_OK) status = check_wishes(plan, why);
  text_release(&refusals);
  text_release(&sentence);
  if (arena_has_failed(arena)) return KILN_OUT_OF_MEMORY;
  return status;
}

size_t tmpl_first_param(const Plan *plan) { return plan->problem.graph->symbols.count + (size_t)plan->size_count; }

void tmpl_fill_sizes(const Plan *plan, const int64_t *symbols, int64_t *dims) {
  size_t count = plan->problem.graph->symbols.count;
  for (size_t i = 0; symbols != NULL && i < count; ++i) dims[i] = symbols[i];
  for (int i = 0; i < plan->size_count; ++i) dims[count + (size_t)i] = plan->sizes[i].value;
}

void tmpl_bind(const Plan *plan, const int64_t *symbols, const Machine *machine, int64_t *dims) {
  tmpl_fill_sizes(plan, symbols, dims);
  if (plan->param_count > 0) plan->template->bind(plan, symbols, machine, dims + tmpl_first_param(plan));
}

Module *tmpl_build(const Plan *plan, const char *name, const Allocator *allocator) {
  Module *module = module_create(allocator);
  if (module == NULL) return NULL;
  plan->template->build(plan, name, module);
  if (arena_has_failed(&module->arena)) {
    module_destroy(module);
    return NULL;
  }
  return module;
}

static double element_count(const Node *node, const int64_t *symbols) {
  double count = 1;
  for (int i = 0; i < node->shape.rank; ++i) count *= (double)dim_value(node->shape.dims[i], symbols);
  return count;
}

Work tmpl_work(const kiln_graph *graph, const int64_t *symbols) {
  Work work = {0, 0};
  double element_ops = 0;
  for (size_t i = 0; i < graph->nodes.count; ++i) {
    const Node *node = graph->nodes.items[i];
    double count = element_count(node, symbols);
    if (node->op == KILN_OP_INPUT) {
      work.bytes += count * type_bits(node->type) / 8;
    } else if (node->op == KILN_OP_MATMUL || node->op == KILN_OP_GROUPED_MATMUL) {
      const Node *a = graph_node(graph, node->operands[0]);
      work.flops += 2 * count * (double)dim_value(a->shape.dims[a->shape.rank - 1], symbols);
    } else {
      element_ops += count;
    }
  }
  for (size_t i = 0; i < graph->outputs.count; ++i) {
    const Node *node = graph_node(graph, graph->outputs.items[i]);
    work.bytes += element_count(node, symbols) * type_bits(node->type) / 8;
  }
  if (work.flops == 0) work.flops = element_ops;
  return work;
}

int tmpl_threads(Work work, int threads) {
  /* Some ten microseconds of work each: waking a thread costs up to five. */
  static const double flops_per_thread = 5e5, bytes_per_thread = 128 << 10;
  double by_flops = work.flops / flops_per_thread, by_bytes = work.bytes / bytes_per_thread;
  double worthwhile = by_flops > by_bytes ? by_flops : by_bytes;
  if (worthwhile >= threads) return threads;
  return worthwhile < 1 ? 1 : (int)worthwhile;
}
