/* machine.c: the machine that work is blocked for: from a target's row, and from text. */
#include <string.h>

#include "ir/target/target.h"

Machine machine_of(const Target *target, int threads) {
  return (Machine){
      .cores = threads,
      .sockets = 1,
      .l1d_bytes = (int64_t)target->l1d_kib << 10,
      .l2_bytes = (int64_t)target->l2_kib << 10,
      .l3_bytes = ((int64_t)target->l3_kib << 10) * threads,
      .l3_cores = threads,
      .threads = threads,
      .core = target_core(target),
  };
}

double machine_rate(const Machine *machine, double cores) {
  double sockets = cores < (double)machine->sockets ? cores : (double)machine->sockets;
  double all = sockets * machine->core->socket_mbs, each = cores * machine->core->memory_mbs;
  return (each < all ? each : all) * 1e6;
}

void machine_change(Machine *machine, const Machine *changes) {
#define MACHINE_FIELD(name, meaning)                                                                                   \
  if (changes->name != 0) machine->name = changes->name;
#include "ir/target/machine.def"
#undef MACHINE_FIELD
}

static int64_t *find_field(Machine *machine, const char *name, size_t length) {
#define MACHINE_FIELD(field, meaning)                                                                                  \
  if (length == strlen(#field) && memcmp(name, #field, length) == 0) return &machine->field;
#include "ir/target/machine.def"
#undef MACHINE_FIELD
  return NULL;
}

/* A number from 1 on; 0: it is none, or too large for any machine. */
static int64_t read_number(const char *text, size_t length) {
  const int64_t MOST = INT64_C(1) << 40;
  int64_t number = 0;
  size_t at = 0;
  for (; at < length && text[at] >= '0' && text[at] <= '9' && number <= MOST; ++at)
    number = number * 10 + (text[at] - '0');
  const char *units = "KMG", *unit = at + 1 == length ? strchr(units, text[at]) : NULL;
  if (unit != NULL) number = number > MOST ? number : number << 10 * (unit - units + 1);
  return (at < length && unit == NULL) || number > MOST ? 0 : number;
}

kiln_status machine_parse(const char *text, Machine *machine, Text *why) {
  for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
    size_t length = strcspn(text, " "), name_length = strcspn(text, " =");
    int64_t *field = find_field(machine, text, name_length);
    int64_t number = name_length + 1 < length ? read_number(text + name_length + 1, length - name_length - 1) : 0;
    if (field == NULL || number == 0) {
      text_printf(why, "machine: '%.*s', expected ", (int)length, text);
      text_add(why, field != NULL ? "a number from 1, with K, M or G" : "one of");
#define MACHINE_FIELD(name, meaning)                                                                                   \
  if (field == NULL) text_printf(why, " %s", #name);
#include "ir/target/machine.def"
#undef MACHINE_FIELD
      return KILN_INVALID_ARGUMENT;
    }
    *field = number;
    text += length;
  }
  return KILN_OK;
}
