/* schedule.c: schedules as text: one line of `field=value`, in table order. Knows the fields, not what they mean to
 * whom. */
#include <string.h>

#include "templates/template.h"

static const FieldInfo field_rows[] = {
#define SCHEDULE_FIELD(name, kind, words, low, high, meaning) {#name, FIELD_##kind, words, low, high, meaning},
#include "templates/schedule.def"
#undef SCHEDULE_FIELD
};

const FieldInfo *field_info(Field field) { return &field_rows[field]; }

bool field_orders_sums(Field field) { return field == FIELD_kc || field == FIELD_layers; }

/* The index of a word in "a|b|c", or -1. */
static int64_t word_index(const char *words, const char *text, size_t length) {
  for (int64_t index = 0;; ++index) {
    size_t end = strcspn(words, "|");
    if (end == length && memcmp(words, text, length) == 0) return index;
    if (words[end] == '\0') return -1;
    words += end + 1;
  }
}

static void print_word(const char *words, int64_t index, Text *out) {
  for (; index > 0; --index) words += strcspn(words, "|") + 1;
  text_add_bytes(out, words, strcspn(words, "|"));
}

/* A decimal number without sign that stays below 2^31; false: anything else. */
static bool read_number(const char *text, size_t length, int64_t *number) {
  int64_t value = 0;
  if (length == 0 || length > 10) return false;
  for (size_t i = 0; i < length; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  *number = value;
  return true;
}

static kiln_status set_field(const char *word, size_t name_length, size_t length, Schedule *schedule, Text *why) {
  size_t field = 0;
  while (field < FIELD_COUNT &&
         (strlen(field_rows[field].name) != name_length || memcmp(field_rows[field].name, word, name_length) != 0))
    ++field;
  if (field == FIELD_COUNT) {
    text_printf(why, "schedule: no field is called '%.*s'", (int)name_length, word);
    return KILN_NOT_FOUND;
  }
  const FieldInfo *info = &field_rows[field];
  const char *value_text = word + name_length + 1;
  size_t value_length = length - name_length - 1;
  int64_t value;
  bool good = info->words[0] != '\0' ? (value = word_index(info->words, value_text, value_length)) >= 0
                                     : read_number(value_text, value_length, &value);
  if (!good || value < info->low || value > info->high) {
    text_printf(why, "schedule: '%s' is '%.*s', expected ", info->name, (int)value_length, value_text);
    if (info->words[0] != '\0') text_printf(why, "one of %s", info->words);
    else text_printf(why, "a number from %lld to %lld", (long long)info->low, (long long)info->high);
    return KILN_INVALID_ARGUMENT;
  }
  if (schedule->fixed[field]) {
    text_printf(why, "schedule: '%s' is given twice", info->name);
    return KILN_INVALID_ARGUMENT;
  }
  schedule->values[field] = value;
  schedule->set[field] = schedule->fixed[field] = true;
  return KILN_OK;
}

kiln_status schedule_parse(const char *text, Schedule *schedule, Text *why) {
  while (*text != '\0') {
    size_t blanks = strspn(text, " \t\n");
    text += blanks;
    size_t length = strcspn(text, " \t\n");
    if (length == 0) break;
    const char *equals = memchr(text, '=', length);
    if (equals == NULL) {
      text_printf(why, "schedule: found '%.*s', expected field=value", (int)length, text);
      return KILN_INVALID_ARGUMENT;
    }
    kiln_status status = set_field(text, (size_t)(equals - text), length, schedule, why);
    if (status != KILN_OK) return status;
    text += length;
  }
  return KILN_OK;
}

void schedule_print(const Schedule *schedule, FieldKind kind, Text *out) {
  bool first = true;
  for (size_t field = 0; field < FIELD_COUNT; ++field) {
    const FieldInfo *info = &field_rows[field];
    if (!schedule->set[field] || info->kind != kind) continue;
    text_printf(out, "%s%s=", first ? "" : " ", info->name);
    if (info->words[0] != '\0') print_word(info->words, schedule->values[field], out);
    else text_printf(out, "%lld", (long long)schedule->values[field]);
    first = false;
  }
}
