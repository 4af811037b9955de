/* diagnostics.c: statuses, located faults and log events.
 *
 * Messages quote text that may be hostile, so control characters become '?' and a message is cut at 1 KiB; a line of
 * source is shown around the fault only. */
#include "ir/support/support.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024, SHOWN_BEFORE = 80, SHOWN_AFTER = 40 };

static const struct {
  const char *name, *text;
} status_rows[] = {
#define KILN_STATUS(enumerator, name, sentence) {name, sentence},
#include "kiln/status.def"
#undef KILN_STATUS
};

const char *kiln_status_name(kiln_status status) {
  return (size_t)status < ARRAY_LENGTH(status_rows) ? status_rows[status].name : "unknown";
}

const char *kiln_status_text(kiln_status status) {
  return (size_t)status < ARRAY_LENGTH(status_rows) ? status_rows[status].text : "unknown";
}

static bool is_control(char c) { return (unsigned char)c < 0x20 || c == 0x7f; }

/* One printable line; returns its length. */
static size_t format_line(char line[static MESSAGE_BYTES], const char *format, va_list args) {
  int needed = vsnprintf(line, MESSAGE_BYTES, format, args);
  size_t length = needed < 0 ? 0 : (size_t)needed;
  if (length >= MESSAGE_BYTES) {
    length = MESSAGE_BYTES - 1;
    memcpy(line + length - 3, "...", 3);
  }
  for (size_t i = 0; i < length; i++)
    if (is_control(line[i])) line[i] = '?';
  return length;
}

void diagnostics_init(Diagnostics *diagnostics, const Allocator *allocator) {
  *diagnostics = (Diagnostics){0};
  arena_init(&diagnostics->arena, allocator);
}

void diagnostics_release(Diagnostics *diagnostics) {
  Allocator allocator = diagnostics->arena.allocator;
  arena_release(&diagnostics->arena);
  diagnostics_init(diagnostics, &allocator);
}

void diagnostics_vreport(Diagnostics *diagnostics, SourcePos pos, const char *format, va_list args) {
  if (diagnostics->list.count >= DIAGNOSTICS_LIMIT) {
    diagnostics->suppressed++;
    return;
  }
  char line[MESSAGE_BYTES];
  size_t length = format_line(line, format, args);
  Diagnostic diagnostic = {pos, arena_copy(&diagnostics->arena, line, length)};
  VECTOR_PUSH(&diagnostics->arena, diagnostics->list, diagnostic);
}

void diagnostics_report(Diagnostics *diagnostics, SourcePos pos, const char *format, ...) {
  va_list args;
  va_start(args, format);
  diagnostics_vreport(diagnostics, pos, format, args);
  va_end(args);
}

/* Finds line `number` (from 1) of the source, without its newline. */
static bool find_line(const char *source, size_t length, uint32_t number, const char **line, size_t *line_length) {
  const char *at = source, *end = source + length;
  for (uint32_t i = 1; i < number; i++) {
    at = memchr(at, '\n', (size_t)(end - at));
    if (!at) return false;
    at++;
  }
  const char *newline = memchr(at, '\n', (size_t)(end - at));
  *line = at;
  *line_length = (size_t)((newline ? newline : end) - at);
  return true;
}

static bool continues_character(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

/* The line around column `column` (from 1, in bytes), and a caret below it. */
static void print_excerpt(const char *line, size_t length, size_t column, Text *out) {
  size_t at = column > length ? length : column - (column > 0);
  size_t first = at > SHOWN_BEFORE ? at - SHOWN_BEFORE : 0;
  size_t last = length - at > SHOWN_AFTER ? at + SHOWN_AFTER : length;
  while (first > 0 && continues_character(line[first])) first--;
  while (last < length && continues_character(line[last])) last++;
  text_add(out, first > 0 ? "  ..." : "  ");
  for (size_t i = first; i < last; i++) text_add_char(out, is_control(line[i]) && line[i] != '\t' ? '?' : line[i]);
  text_add(out, last < length ? "...\n" : "\n");
  text_add(out, first > 0 ? "     " : "  ");
  for (size_t i = first; i < at; i++)
    if (!continues_character(line[i])) text_add_char(out, line[i] == '\t' ? '\t' : ' ');
  text_add(out, "^\n");
}

void diagnostics_print(const Diagnostics *diagnostics, const char *source_name, const char *source, size_t length,
                       Text *out) {
  for (size_t i = 0; i < diagnostics->list.count; i++) {
    const Diagnostic *diagnostic = &diagnostics->list.items[i];
    SourcePos pos = diagnostic->pos;
    if (source_name) text_printf(out, "%s:", source_name);
    if (pos.line) text_printf(out, "%u:%u:", pos.line, pos.column);
    text_printf(out, "%s%s\n", source_name || pos.line ? " " : "", diagnostic->message);
    const char *line;
    size_t line_length;
    if (pos.line && source && find_line(source, length, pos.line, &line, &line_length))
      print_excerpt(line, line_length, pos.column, out);
  }
  if (diagnostics->suppressed) text_printf(out, "and %zu more\n", diagnostics->suppressed);
}

void log_event(const kiln_log *log, kiln_log_level level, const char *format, ...) {
  if (!log || !log->write) return;
  char line[MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  format_line(line, format, args);
  va_end(args);
  log->write(log->ctx, level, line);
}
