/* text.c: the growing string that every printer writes to.
 *
 * Numbers do not depend on the locale. Columns count bytes. */
#include "ir/support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(Text *text, const Allocator *allocator) {
  *text = (Text){.allocator = allocator ? *allocator : allocator_default};
}

void text_release(Text *text) {
  if (text->data) text->allocator.release(text->allocator.ctx, text->data);
  Allocator allocator = text->allocator;
  text_init(text, &allocator);
}

void text_clear(Text *text) {
  text->length = 0;
  text->failed = false;
  if (text->data) text->data[0] = 0;
}

const char *text_get(const Text *text) { return text->data ? text->data : ""; }

/* Makes room for `more` bytes and a NUL. */
static bool reserve(Text *text, size_t more) {
  if (text->failed) return false;
  if (text->capacity - text->length > more) return true;
  size_t capacity = text->capacity < 64 ? 128 : text->capacity * 2;
  char *data = NULL;
  if (more < PTRDIFF_MAX / 2 - text->length) {
    if (capacity <= text->length + more) capacity = text->length + more + 1;
    data = text->allocator.alloc(text->allocator.ctx, capacity, 1);
  }
  if (!data) {
    text->failed = true;
    return false;
  }
  if (text->data) {
    memcpy(data, text->data, text->length);
    text->allocator.release(text->allocator.ctx, text->data);
  }
  text->data = data;
  text->capacity = capacity;
  return true;
}

void text_add_bytes(Text *text, const void *bytes, size_t length) {
  if (!reserve(text, length)) return;
  if (length) memcpy(text->data + text->length, bytes, length);
  text->length += length;
  text->data[text->length] = 0;
}

void text_add(Text *text, const char *string) { text_add_bytes(text, string, strlen(string)); }

void text_add_char(Text *text, char c) { text_add_bytes(text, &c, 1); }

void text_vprintf(Text *text, const char *format, va_list args) {
  char brief[256];
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(brief, sizeof brief, format, args);
  if (length < 0) {
    text->failed = true;
  } else if ((size_t)length < sizeof brief) {
    text_add_bytes(text, brief, (size_t)length);
  } else if (reserve(text, (size_t)length)) {
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  va_end(again);
}

void text_printf(Text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  text_vprintf(text, format, args);
  va_end(args);
}

void text_pad(Text *text, size_t column) {
  size_t start = text->length;
  while (start > 0 && text->data[start - 1] != '\n') start--;
  for (size_t at = text->length - start; at < column && !text->failed; at++) text_add_char(text, ' ');
}

/* The fewest significant digits that read back as `number` (finite, not 0), and the decimal exponent of the first. */
static size_t shortest_digits(double number, char digits[static 18], int *exponent) {
  char raw[64];
  for (int precision = 0; precision < 17; precision++) {
    snprintf(raw, sizeof raw, "%.*e", precision, number);
    if (strtod(raw, NULL) == number) break;
  }
  /* Only digits count before the e: the decimal point is the locale's. */
  size_t count = 0;
  const char *c = raw;
  for (; *c && *c != 'e'; c++)
    if (*c >= '0' && *c <= '9' && count < 17) digits[count++] = *c;
  *exponent = *c ? (int)strtol(c + 1, NULL, 10) : 0;
  while (count > 1 && digits[count - 1] == '0') count--;
  digits[count] = 0;
  return count;
}

void text_add_number(Text *text, double number) {
  if (isnan(number)) {
    text_add(text, "nan");
    return;
  }
  if (signbit(number)) text_add_char(text, '-');
  number = fabs(number);
  if (isinf(number) || number == 0) {
    text_add(text, number == 0 ? "0" : "inf");
    return;
  }
  char digits[18];
  int exponent;
  int count = (int)shortest_digits(number, digits, &exponent);
  if (exponent < -4 || exponent >= 16) {
    text_printf(text, "%c%s%.*s", digits[0], count > 1 ? "." : "", count - 1, digits + 1);
    text_printf(text, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
  } else if (exponent < 0) {
    text_add(text, "0.");
    for (int i = -1; i > exponent; i--) text_add_char(text, '0');
    text_add(text, digits);
  } else {
    for (int i = 0; i < count || i <= exponent; i++) {
      if (i == exponent + 1) text_add_char(text, '.');
      text_add_char(text, i < count ? digits[i] : '0');
    }
  }
}

/* Length of the well-formed UTF-8 sequence at `s` (RFC 3629, table of section 4), or 0. */
static size_t utf8_sequence(const unsigned char *s, size_t length) {
  if (s[0] < 0x80) return 1;
  size_t count = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4 || length < count) return 0;
  unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
  if (s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i < count; i++)
    if (s[i] < 0x80 || s[i] > 0xbf) return 0;
  return count;
}

void text_add_json(Text *text, const char *string, size_t length) {
  const unsigned char *s = (const unsigned char *)string;
  text_add_char(text, '"');
  for (size_t i = 0, step; i < length; i += step) {
    step = utf8_sequence(s + i, length - i);
    if (step == 0) {
      text_add(text, "\\ufffd");
      step = 1;
    } else if (s[i] == '"' || s[i] == '\\') {
      text_printf(text, "\\%c", s[i]);
    } else if (s[i] == '\n' || s[i] == '\t') {
      text_add(text, s[i] == '\n' ? "\\n" : "\\t");
    } else if (s[i] < 0x20 || s[i] == 0x7f) {
      text_printf(text, "\\u%04x", s[i]);
    } else {
      text_add_bytes(text, s + i, step);
    }
  }
  text_add_char(text, '"');
}
