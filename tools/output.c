/* output.c: faults to stderr, results to stdout or a file, JSON objects.
 *
 * Nothing here flushes: main does, and turns a standard output that could not be written into a failure. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/command.h"

int complain(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("kiln: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  return EXIT_USAGE;
}

int complain_status(const char *what, kiln_status status, kiln_buffer *message) {
  if (message != NULL && message->data != NULL && message->size > 0)
    fprintf(stderr, "kiln: %s%s", message->data, message->data[message->size - 1] == '\n' ? "" : "\n");
  else complain("%s: %s", what, kiln_status_text(status));
  if (message != NULL) kiln_buffer_free(message);
  return EXIT_USAGE;
}

int complain_located(const char *name, const char *message) {
  while (*message != '\0') {
    int length = (int)strcspn(message, "\n");
    if (*message >= '0' && *message <= '9') fprintf(stderr, "%s:", name); /* else an excerpt or its caret */
    fprintf(stderr, "%.*s\n", length, message);
    message += length + (message[length] == '\n');
  }
  return EXIT_USAGE;
}

int expect_arguments(const Command *command, int most) {
  if (command->argument_count <= most) return EXIT_GOOD;
  return complain("%s: found '%s', expected no more; see kiln %s --help", command->verb, command->arguments[most],
                  command->verb);
}

/* A device or pipe is written to: a rename would put a file in its place. */
static bool is_special(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

static bool write_bytes(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  bool good = file != NULL && fwrite(bytes, 1, size, file) == size;
  if (file != NULL) good = fclose(file) == 0 && good;
  return good;
}

int write_output(const char *path, const void *bytes, size_t size) {
  if (path == NULL || strcmp(path, "-") == 0) {
    if (memchr(bytes, 0, size) != NULL && isatty(STDOUT_FILENO))
      return complain("bytes are not for a terminal; use -o FILE");
    bool good = fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0;
    return good ? EXIT_GOOD : complain("standard output: %s", strerror(errno));
  }
  if (is_special(path)) return write_bytes(path, bytes, size) ? EXIT_GOOD : complain("%s: %s", path, strerror(errno));
  /* Through another name beside it: a reader never sees half a file, and a full disk leaves the old one. A link stays
   * one, and its file is written. */
  char *resolved = realpath(path, NULL);
  const char *target = resolved != NULL ? resolved : path;
  size_t length = strlen(target) + 32;
  char *temporary = malloc(length);
  if (temporary == NULL) {
    free(resolved);
    return complain("%s", strerror(errno));
  }
  snprintf(temporary, length, "%s.%ld.tmp", target, (long)getpid());
  bool good = write_bytes(temporary, bytes, size) && rename(temporary, target) == 0;
  int status = good ? EXIT_GOOD : complain("%s: %s", path, strerror(errno));
  if (!good) unlink(temporary);
  free(temporary);
  free(resolved);
  return status;
}

void json_open(Json *json) {
  text_init(&json->text, NULL);
  text_add_char(&json->text, '{');
  json->started = false;
}

/* The comma, where one is due, and the key. Keys are identifiers of ours. */
static void json_key(Json *json, const char *key) {
  text_printf(&json->text, "%s\"%s\":", json->started ? "," : "", key);
  json->started = true;
}

void json_string(Json *json, const char *key, const char *value) {
  json_key(json, key);
  text_add_json(&json->text, value, strlen(value));
}

void json_number(Json *json, const char *key, double value) {
  json_key(json, key);
  if (isfinite(value)) text_add_number(&json->text, value);
  else text_add(&json->text, "null"); /* JSON has no infinity */
}

void json_bool(Json *json, const char *key, bool value) {
  json_key(json, key);
  text_add(&json->text, value ? "true" : "false");
}

void json_compile(Json *json, const kiln_kernel_info *info) {
  static const char *const hits[] = {[KILN_COLD] = "cold", [KILN_DISK] = "disk", [KILN_MEMORY] = "memory"};
  json_string(json, "template", info->template_);
  json_string(json, "schedule", info->schedule);
  json_string(json, "origin", info->origin);
  json_string(json, "target", info->target);
  json_number(json, "object_bytes", (double)info->object_bytes);
  json_number(json, "compile_ms", info->compile_ms);
  json_string(json, "cache", hits[info->cache]);
}

void json_close(Json *json) {
  text_add(&json->text, "}\n");
  fputs(text_get(&json->text), stdout);
  text_release(&json->text);
}
