/* buffer.c: text and structs that cross the public interface. */
#include <string.h>

#include "runtime/runtime.h"

void kiln_buffer_free(kiln_buffer *buffer) {
  if (!buffer) return;
  if (buffer->data) buffer->allocator.release(buffer->allocator.ctx, buffer->data);
  buffer->data = NULL;
  buffer->size = 0;
}

kiln_status rt_hand_out(Text *text, kiln_buffer *out) {
  text_add_bytes(text, "", 0); /* an empty text has memory too */
  if (text->failed) {
    text_release(text);
    return KILN_OUT_OF_MEMORY;
  }
  *out = (kiln_buffer){.data = text->data, .size = text->length, .allocator = text->allocator};
  text_init(text, &out->allocator);
  return KILN_OK;
}

kiln_status rt_hand_out_bytes(const void *bytes, size_t size, const Allocator *allocator, kiln_buffer *out) {
  Text text;
  text_init(&text, allocator);
  text_add_bytes(&text, bytes, size);
  return rt_hand_out(&text, out);
}

void rt_hand_out_message(Text *text, kiln_buffer *out) {
  if (out) {
    *out = (kiln_buffer){.allocator = text->allocator};
    if (text->length > 0 && text->data[text->length - 1] != '\n') text_add_char(text, '\n');
    if (text->length > 0) (void)rt_hand_out(text, out);
  }
  text_release(text);
}

bool rt_read_options(void *to, size_t to_bytes, const void *from) {
  size_t size;
  memcpy(&size, from, sizeof size);
  memset(to, 0, to_bytes);
  if (size < sizeof size) return false;
  memcpy(to, from, size < to_bytes ? size : to_bytes);
  for (size_t i = to_bytes; i < size; ++i)
    if (((const char *)from)[i] != 0) return false;
  return true;
}
