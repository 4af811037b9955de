/* list.c: the tables of Kiln, as text in columns or as one JSON object a row. */
#include <stdio.h>
#include <string.h>

#include "runtime/runtime.h"

/* One row: `count` names with values, the last of which is the meaning. Texts are copied by the printers at once. */
typedef struct Cell {
  const char *name, *value;
} Cell;

/* Text: columns of at least these widths, two blanks apart, the last one open. */
static void add_row(bool json, const Cell *cells, size_t count, const size_t *widths, Text *out) {
  size_t start = out->length, column = 0;
  if (json) text_add_char(out, '{');
  for (size_t i = 0; i < count; ++i) {
    const char *value = cells[i].value;
    if (json) {
      text_printf(out, "%s\"%s\":", i ? "," : "", cells[i].name);
      text_add_json(out, value, strlen(value));
      continue;
    }
    text_add(out, value);
    column += widths[i] + 2;
    if (i + 1 == count) continue;
    if (out->length - start >= column) text_add(out, "  ");
    else text_pad(out, column);
  }
  text_add(out, json ? "}\n" : "\n");
}

#define ADD_ROW(...)                                                                                                   \
  do {                                                                                                                 \
    const Cell cells_[] = {__VA_ARGS__};                                                                               \
    add_row(json, cells_, ARRAY_LENGTH(cells_), widths, out);                                                          \
  } while (0)

static void list_ops(bool json, Text *out) {
  static const size_t widths[] = {12, 24, 0};
  for (size_t i = 0; i < KILN_OP_COUNT; ++i) {
    const GraphOpInfo *op = graph_op_info((kiln_op)i);
    ADD_ROW({"language", "graph"}, {"name", op->spelling}, {"meaning", op->meaning});
  }
  for (size_t i = 0; i < OP_COUNT; ++i) {
    const OpInfo *op = op_info((OpCode)i);
    ADD_ROW({"language", "tile"}, {"name", op->name}, {"meaning", op->meaning});
  }
}

static void list_types(bool json, Text *out) {
  static const size_t widths[] = {8, 4, 0};
  for (size_t i = 0; i < KILN_TYPE_COUNT; ++i) {
    char bits[8];
    snprintf(bits, sizeof bits, "%u", type_bits((kiln_type)i));
    ADD_ROW({"name", kiln_type_name((kiln_type)i)}, {"bits", bits}, {"meaning", type_meaning((kiln_type)i)});
  }
}

static void list_targets(bool json, Text *out) {
  static const size_t widths[] = {16, 26, 4, 2, 0};
  Text features;
  text_init(&features, &out->allocator);
  for (size_t i = 0; i < target_count(); ++i) {
    const Target *target = target_get(i);
    char bits[8], registers[8];
    snprintf(bits, sizeof bits, "%d", target->vector_bits);
    snprintf(registers, sizeof registers, "%d", target->vector_registers);
    text_clear(&features);
    features_print(target->features, &features);
    ADD_ROW({"name", target->name}, {"triple", family_triple(target->family)}, {"vector_bits", bits},
            {"vector_registers", registers}, {"features", text_get(&features)});
  }
  out->failed |= features.failed;
  text_release(&features);
}

static const char *operand_name(int type) {
  if (type < 0) return type == MMA_ANY_TYPE ? "any" : "tf32";
  return kiln_type_name((kiln_type)type);
}

/* The targets that have a row's features, and how tests come to run it there. */
static const char *print_targets(const MmaInstruction *row, Text *out) {
  TargetFamily family = FAMILY_COUNT;
  for (size_t i = 0; row->features != 0 && i < target_count(); ++i) {
    const Target *target = target_get(i);
    if ((row->features & ~target->features) != 0) continue;
    text_printf(out, "%s%s", out->length > 0 ? " " : "", target->name);
    family = target->family;
  }
  if (row->features == 0) text_add(out, "all");
  if (family == FAMILY_COUNT) return "natively, qemu";
  return family == FAMILY_X86_64 ? "natively, emulated" : "qemu";
}

static void list_mma(bool json, Text *out) {
  static const size_t widths[] = {17, 6, 6, 3, 10, 18, 17, 0};
  Text features, targets;
  text_init(&features, &out->allocator);
  text_init(&targets, &out->allocator);
  for (size_t i = 0; i < mma_count(); ++i) {
    const MmaInstruction *row = mma_get(i);
    char shape[48], lanes[16] = "lanes";
    if (row->n > 0) snprintf(lanes, sizeof lanes, "%d", row->n);
    snprintf(shape, sizeof shape, "%dx%sx%d", row->m, lanes, row->k);
    text_clear(&features);
    features_print(row->features, &features);
    text_clear(&targets);
    const char *tested = print_targets(row, &targets);
    ADD_ROW({"name", row->name}, {"a", operand_name(row->a)}, {"b", operand_name(row->b)},
            {"acc", kiln_type_name(row->acc)}, {"shape", shape}, {"tested", tested}, {"features", text_get(&features)},
            {"targets", text_get(&targets)});
  }
  out->failed |= features.failed || targets.failed;
  text_release(&features);
  text_release(&targets);
}

static void list_templates(bool json, Text *out) {
  static const size_t widths[] = {12, 0};
  for (size_t i = 0; i < template_count(); ++i)
    ADD_ROW({"name", template_get(i)->name}, {"meaning", template_get(i)->meaning});
}

static void list_passes(bool json, Text *out) {
  static const size_t widths[] = {14, 0};
#define PASS(name, meaning) ADD_ROW({"name", name}, {"meaning", meaning});
#include "jit/passes.def"
#undef PASS
}

/* A field's values: its words, or its range. */
static void print_range(const FieldInfo *field, char text[48]) {
  if (field->words[0]) snprintf(text, 48, "%s", field->words);
  else snprintf(text, 48, "%lld to %lld", (long long)field->low, (long long)field->high);
}

static void list_options(bool json, Text *out) {
  static const size_t widths[] = {12, 18, 24, 0};
  static const struct {
    const char *scope, *name, *default_, *meaning;
  } rows[] = {
#define OPTION(scope, name, changes, default_, meaning) {#scope, #name, default_, meaning},
#include "runtime/options.def"
#undef OPTION
  };
  for (size_t i = 0; i < ARRAY_LENGTH(rows); ++i) {
    char scope[16] = "", name[32] = "";
    for (size_t c = 0; rows[i].scope[c] && c + 1 < sizeof scope; ++c) scope[c] = (char)(rows[i].scope[c] | 0x20);
    snprintf(name, sizeof name, "%s", rows[i].name);
    size_t length = strlen(name);
    if (name[length - 1] == '_') name[length - 1] = 0; /* C++ keeps the word itself for its own use */
    ADD_ROW({"scope", scope}, {"name", name}, {"default", rows[i].default_}, {"meaning", rows[i].meaning});
  }
  for (size_t i = 0; i < FIELD_COUNT; ++i) {
    const FieldInfo *field = field_info((Field)i);
    char range[48];
    print_range(field, range);
    ADD_ROW({"scope", "schedule"}, {"name", field->name}, {"default", range}, {"meaning", field->meaning});
  }
}

kiln_status kiln_list(kiln_table table, bool json, kiln_buffer *out) {
  Text text;
  if (!out) return KILN_INVALID_ARGUMENT;
  text_init(&text, NULL);
  switch (table) {
  case KILN_TABLE_OPS: list_ops(json, &text); break;
  case KILN_TABLE_TYPES: list_types(json, &text); break;
  case KILN_TABLE_TARGETS: list_targets(json, &text); break;
  case KILN_TABLE_MMA: list_mma(json, &text); break;
  case KILN_TABLE_TEMPLATES: list_templates(json, &text); break;
  case KILN_TABLE_PASSES: list_passes(json, &text); break;
  case KILN_TABLE_OPTIONS: list_options(json, &text); break;
  default: return KILN_INVALID_ARGUMENT;
  }
  return rt_hand_out(&text, out);
}
