/* suite.c: the language of suites (bench.h): definitions, lines, and what a line stands for. Bounds are fixed and
 * generous; a text beyond them is refused, never cut. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

enum { MAX_DEFINITIONS = 16, MAX_NAMES = 8, MAX_VALUES = 64, MAX_LINE = 2048, MAX_WORDS = 48 };

typedef struct Slice {
  const char *start;
  size_t length;
} Slice;

/* `values[v * names + i]` is the part of value v that stands for name i. */
typedef struct Definition {
  Slice names[MAX_NAMES], values[MAX_VALUES * MAX_NAMES];
  size_t name_count, value_count;
} Definition;

typedef struct Reader {
  const BenchSuite *suite;
  Definition definitions[MAX_DEFINITIONS];
  size_t definition_count;
  size_t chosen[MAX_DEFINITIONS]; /* the value in force while a line is expanded */
  int line_number;
  char *message; /* 160 bytes; empty: no fault */
  bool stopped;  /* `line` gave false */
} Reader;

static bool fail(Reader *reader, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = snprintf(reader->message, 160, "%d: ", reader->line_number);
  vsnprintf(reader->message + length, 160 - (size_t)length, format, args);
  va_end(args);
  return false;
}

static bool same(Slice slice, const char *text, size_t length) {
  return slice.length == length && memcmp(slice.start, text, length) == 0;
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* Cuts `text` at commas; false where there are more than `most` parts. */
static bool split(Slice text, Slice *parts, size_t most, size_t *count) {
  for (*count = 0; *count < most; ++*count) {
    const char *comma = memchr(text.start, ',', text.length);
    size_t length = comma != NULL ? (size_t)(comma - text.start) : text.length;
    parts[*count] = (Slice){text.start, length};
    if (comma == NULL) return ++*count, true;
    text = (Slice){comma + 1, text.length - length - 1};
  }
  return false;
}

/* Whether `--suite FILE name=value ...` wants this value. */
static bool is_wanted(const Reader *reader, const Definition *d, const Slice *parts) {
  for (int o = 0; o < reader->suite->only_count; ++o) {
    const char *only = reader->suite->only[o], *value = strchr(only, '=') + 1;
    for (size_t i = 0; i < d->name_count; ++i)
      if (same(d->names[i], only, (size_t)(value - 1 - only)) && !same(parts[i], value, strlen(value))) return false;
  }
  return true;
}

static bool read_definition(Reader *reader, Slice names, Slice values) {
  if (reader->definition_count == MAX_DEFINITIONS) return fail(reader, "more than %d definitions", MAX_DEFINITIONS);
  Definition *d = &reader->definitions[reader->definition_count++];
  if (!split(names, d->names, MAX_NAMES, &d->name_count)) return fail(reader, "more than %d names", MAX_NAMES);
  const char *at = values.start, *end = at + values.length;
  for (;;) {
    while (at < end && *at == ' ') ++at;
    if (at == end) return true;
    Slice value = {at, 0}, parts[MAX_NAMES];
    while (at + value.length < end && at[value.length] != ' ') ++value.length;
    at += value.length;
    size_t count;
    if (!split(value, parts, MAX_NAMES, &count) || count != d->name_count)
      return fail(reader, "found '%.*s', expected %zu parts with commas between", (int)value.length, value.start,
                  d->name_count);
    if (!is_wanted(reader, d, parts)) continue;
    if (d->value_count == MAX_VALUES) return fail(reader, "more than %d values", MAX_VALUES);
    memcpy(&d->values[d->value_count++ * d->name_count], parts, count * sizeof *parts);
  }
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* The definition and part of {name}; NULL: nobody defined it. */
static const Definition *find_name(const Reader *reader, const char *name, size_t length, size_t *part) {
  for (size_t d = reader->definition_count; d-- > 0;)
    for (size_t i = 0; i < reader->definitions[d].name_count; ++i)
      if (same(reader->definitions[d].names[i], name, length)) return *part = i, &reader->definitions[d];
  return NULL;
}

/* Cuts at spaces outside of quotes, in place. Gives how many words, or -1. */
static int split_words(char *text, char *words[MAX_WORDS]) {
  int count = 0;
  char *out = text, quote = '\0';
  bool inside = false;
  for (char *at = text; *at != '\0'; ++at) {
    if (quote == '\0' && isspace((unsigned char)*at)) {
      if (inside) *out++ = '\0';
      inside = false;
      continue;
    }
    if (!inside && count == MAX_WORDS) return -1;
    if (!inside) words[count++] = out;
    inside = true;
    if (quote == '\0' && (*at == '\'' || *at == '"')) quote = *at;
    else if (*at == quote) quote = '\0';
    else *out++ = *at;
  }
  *out = '\0';
  return quote == '\0' ? count : -1;
}

/* One line with the chosen values in place. */
static bool emit_line(Reader *reader, Slice line) {
  char text[MAX_LINE], *words[MAX_WORDS];
  size_t used = 0;
  for (size_t i = 0; i < line.length;) {
    Slice piece = {line.start + i, 1};
    const char *end = line.start[i] == '{' ? memchr(line.start + i, '}', line.length - i) : NULL;
    size_t length = end != NULL ? (size_t)(end - line.start) - i + 1 : 1, part;
    if (end != NULL) {
      const Definition *d = find_name(reader, line.start + i + 1, length - 2, &part);
      piece = d->values[reader->chosen[d - reader->definitions] * d->name_count + part];
    }
    if (used + piece.length >= sizeof text) return fail(reader, "a line of more than %d bytes", MAX_LINE);
    memcpy(text + used, piece.start, piece.length);
    used += piece.length;
    i += length;
  }
  text[used] = '\0';
  int count = split_words(text, words);
  if (count < 0) return fail(reader, "a quote without its end, or more than %d words", MAX_WORDS);
  reader->stopped = !reader->suite->line(reader->suite->ctx, count, words);
  return !reader->stopped;
}

/* Every value of the used definitions from `depth` on, the first slowest. */
static bool expand(Reader *reader, Slice line, const bool *used, size_t depth) {
  if (depth == reader->definition_count) return emit_line(reader, line);
  if (!used[depth]) return expand(reader, line, used, depth + 1);
  for (size_t v = 0; v < reader->definitions[depth].value_count; ++v) {
    reader->chosen[depth] = v;
    if (!expand(reader, line, used, depth + 1)) return false;
  }
  return true;
}

static bool read_line(Reader *reader, Slice line) {
  bool used[MAX_DEFINITIONS] = {false};
  for (size_t i = 0; i < line.length; ++i) {
    if (line.start[i] != '{') continue;
    const char *name = line.start + i + 1, *end = memchr(name, '}', line.length - i - 1);
    size_t length = end != NULL ? (size_t)(end - name) : 0, part;
    const Definition *d = find_name(reader, name, length, &part);
    if (d == NULL) return fail(reader, "nothing defines {%.*s}", (int)length, name);
    used[d - reader->definitions] = true;
  }
  return expand(reader, line, used, 0);
}

/* `names = values`: letters, digits and commas before the first `=`. */
static bool is_definition(Slice line, Slice *names, Slice *values) {
  size_t length = 0;
  while (length < line.length && (isalnum((unsigned char)line.start[length]) || line.start[length] == ',')) ++length;
  size_t equals = length;
  while (equals < line.length && line.start[equals] == ' ') ++equals;
  if (length == 0 || equals == line.length || line.start[equals] != '=') return false;
  *names = (Slice){line.start, length};
  *values = (Slice){line.start + equals + 1, line.length - equals - 1};
  return true;
}

/* Each `only` must restrict something, or a slip of the pen would measure everything. */
static bool check_only(Reader *reader) {
  for (int o = 0; o < reader->suite->only_count; ++o) {
    const char *only = reader->suite->only[o], *equals = strchr(only, '=');
    size_t part;
    if (equals == NULL || find_name(reader, only, (size_t)(equals - only), &part) == NULL) {
      snprintf(reader->message, 160, "'%.64s' restricts nothing: expected a name that is defined, = and a value", only);
      return false;
    }
  }
  return true;
}

/* The definitions (lines = false), or the lines. */
static bool read_text(Reader *reader, bool lines) {
  const char *at = reader->suite->text;
  for (reader->line_number = 1; *at != '\0'; ++reader->line_number) {
    size_t length = strcspn(at, "\n");
    Slice line = {at, length}, names, values;
    at += length + (at[length] == '\n');
    while (line.length > 0 && isspace((unsigned char)*line.start)) ++line.start, --line.length;
    if (line.length == 0 || line.start[0] == '#') continue;
    bool defines = is_definition(line, &names, &values);
    if (defines && !lines && !read_definition(reader, names, values)) return false;
    if (!defines && lines && !read_line(reader, line)) return false;
  }
  return true;
}

bool bench_suite_run(const BenchSuite *suite, char message[160]) {
  Reader reader = {.suite = suite, .message = message};
  message[0] = '\0';
  for (int o = 0; o < suite->only_count; ++o)
    if (strchr(suite->only[o], '=') == NULL) return check_only(&reader);
  bool good = read_text(&reader, false) && check_only(&reader) && read_text(&reader, true);
  return good || reader.stopped;
}
