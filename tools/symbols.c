/* symbols.c: the arguments name=number behind a GRAPH or FILE, bound to its symbols. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"

/* `m, k`, or `none`, of the symbols for which `values` has none yet (NULL: of all). */
static void print_names(const Symbols *symbols, const int64_t *values, Text *out) {
  size_t start = out->length;
  for (size_t i = 0; i < symbols->count; ++i)
    if (values == NULL || values[i] < 0)
      text_printf(out, "%s%s", out->length > start ? ", " : "", symbols->name_of(symbols->ctx, i));
  if (out->length == start) text_add(out, "none");
}

/* Complains with what `text` says followed by names; frees the text. */
static int complain_with_names(Text *text, const Symbols *symbols, const int64_t *values) {
  print_names(symbols, values, text);
  int status = complain("%s", text_get(text));
  text_release(text);
  return status;
}

/* Reads one argument into `values`. */
static int bind_one(const char *argument, const Symbols *symbols, int64_t *values) {
  const char *equals = strchr(argument, '=');
  char *end = NULL;
  errno = 0;
  long long number = equals != NULL ? strtoll(equals + 1, &end, 10) : -1;
  if (number < 0 || errno != 0 || end == equals + 1 || *end != '\0')
    return complain("found '%s', expected a symbol and a number, such as m=128", argument);
  size_t length = (size_t)(equals - argument);
  for (size_t i = 0; i < symbols->count; ++i) {
    const char *name = symbols->name_of(symbols->ctx, i);
    if (strlen(name) != length || memcmp(name, argument, length) != 0) continue;
    if (values[i] >= 0) return complain("found '%s', but '%s' is %lld already", argument, name, (long long)values[i]);
    values[i] = number;
    return EXIT_GOOD;
  }
  Text text;
  text_init(&text, NULL);
  text_printf(&text, "'%.*s' is no symbol here; symbols: ", (int)length, argument);
  return complain_with_names(&text, symbols, NULL);
}

int bind_symbols(const Command *command, const Symbols *symbols, bool need_all, int64_t values[MAX_ARGUMENTS]) {
  if (symbols->count > MAX_ARGUMENTS) return complain("more than %d symbols", MAX_ARGUMENTS);
  int status = EXIT_GOOD;
  size_t unbound = 0;
  for (size_t i = 0; i < symbols->count; ++i) values[i] = -1;
  for (int i = 1; i < command->argument_count && status == EXIT_GOOD; ++i)
    status = bind_one(command->arguments[i], symbols, values);
  for (size_t i = 0; i < symbols->count; ++i) unbound += values[i] < 0;
  if (status != EXIT_GOOD || unbound == 0 || !need_all) return status;
  Text text;
  text_init(&text, NULL);
  text_add(&text, "add a number, such as m=128, for each of: ");
  return complain_with_names(&text, symbols, values);
}
