/* cmd_cache.c: kiln cache: where the object cache is, what it holds, and keeping it tidy.
 *
 * An engine is opened for its directories only: nothing is compiled and no thread starts. Entries are read and judged
 * by the library, so what is listed as faulty is what a compile would refuse. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/command.h"

typedef struct Listing {
  const Command *command;
  const char *prefix; /* of the key to show; NULL: all, a line each */
  size_t count;
  uint64_t bytes;
} Listing;

/* A line, all fields, or a JSON object. */
static void print_entry(const Listing *listing, const kiln_cache_entry *entry) {
  if (listing->command->options.json) {
    Json json;
    json_open(&json);
    json_string(&json, "key", entry->key);
    json_string(&json, "directory", entry->directory);
    json_bool(&json, "writable", entry->writable);
    json_number(&json, "bytes", (double)entry->bytes);
    json_number(&json, "used", (double)entry->used);
    json_string(&json, "target", entry->target);
    json_string(&json, "template", entry->template_);
    json_string(&json, "schedule", entry->schedule);
    json_string(&json, "graph", entry->graph);
    json_string(&json, "fault", entry->fault != NULL ? entry->fault : "");
    json_close(&json);
  } else if (listing->prefix != NULL) {
    printf(
        "key        %s\ndirectory  %s%s\nbytes      %llu\ntarget     %s\ntemplate   %s\nschedule   %s\ngraph      %s\n",
        entry->key, entry->directory, entry->writable ? "" : " (read-only)", (unsigned long long)entry->bytes,
        entry->target, entry->template_, entry->schedule, entry->graph);
    if (entry->fault != NULL) printf("fault      %s\n", entry->fault);
  } else {
    char used[32];
    time_t seconds = (time_t)entry->used;
    struct tm when;
    strftime(used, sizeof used, "%Y-%m-%d %H:%M", localtime_r(&seconds, &when));
    printf("%.12s  %s  %8llu  %-15s %-10s %s\n", entry->key, used, (unsigned long long)entry->bytes, entry->target,
           entry->template_, entry->fault != NULL ? entry->fault : entry->graph);
  }
}

/* Filters by the key's first digits, and counts. */
static bool visit(void *ctx, const kiln_cache_entry *entry) {
  Listing *listing = ctx;
  if (listing->prefix != NULL && strncmp(entry->key, listing->prefix, strlen(listing->prefix)) != 0) return true;
  ++listing->count;
  listing->bytes += entry->bytes;
  print_entry(listing, entry);
  return true;
}

/* `prefix` NULL: a line for each entry and their sum. Else all of those whose keys begin so; none is a fault. */
static int list_entries(const Command *command, kiln_engine *engine, const char *prefix) {
  Listing listing = {.command = command, .prefix = prefix};
  kiln_status status = kiln_cache_visit(engine, visit, &listing);
  if (status != KILN_OK) return complain_status("cache", status, NULL);
  if (prefix != NULL && listing.count == 0) return complain("no entry's key begins with '%s'", prefix);
  if (prefix == NULL && !command->options.json && !command->options.quiet)
    printf("%zu entr%s, %llu bytes, in %s\n", listing.count, listing.count == 1 ? "y" : "ies",
           (unsigned long long)listing.bytes, kiln_cache_directory(engine));
  return EXIT_GOOD;
}

/* As JSON; `sound` NULL: not counted. */
static void print_counts(const size_t *sound, size_t removed) {
  Json json;
  json_open(&json);
  if (sound != NULL) json_number(&json, "sound", (double)*sound);
  json_number(&json, "removed", (double)removed);
  json_close(&json);
}

static int verify_entries(const Command *command, kiln_engine *engine) {
  size_t sound = 0, removed = 0;
  kiln_status status = kiln_cache_verify(engine, &sound, &removed);
  if (status != KILN_OK) return complain_status("cache", status, NULL);
  if (command->options.json) print_counts(&sound, removed);
  else if (!command->options.quiet) printf("%zu sound, %zu removed\n", sound, removed);
  return EXIT_GOOD;
}

static int prune(const Command *command, kiln_engine *engine, uint64_t max_bytes) {
  size_t removed = 0;
  kiln_status status = kiln_cache_prune(engine, max_bytes, &removed);
  if (status != KILN_OK) return complain_status("cache", status, NULL);
  if (command->options.json) print_counts(NULL, removed);
  else if (!command->options.quiet) printf("%zu removed\n", removed);
  return EXIT_GOOD;
}

static int print_path(const Command *command, const kiln_engine *engine) {
  const char *directory = kiln_cache_directory(engine);
  if (command->options.json) {
    Json json;
    json_open(&json);
    json_string(&json, "directory", directory);
    json_close(&json);
  } else {
    puts(directory);
  }
  return EXIT_GOOD;
}

/* The verb's own verbs. */
static int act(const Command *command, kiln_engine *engine, const char *verb) {
  enum { DEFAULT_MAX = 1 << 30 };
  if (strcmp(verb, "path") == 0) return print_path(command, engine);
  if (strcmp(verb, "list") == 0) return list_entries(command, engine, NULL);
  if (strcmp(verb, "show") == 0)
    return command->argument_count == 2 ? list_entries(command, engine, command->arguments[1])
                                        : complain("cache show needs a key, or its first digits");
  if (strcmp(verb, "verify") == 0) return verify_entries(command, engine);
  if (strcmp(verb, "clear") == 0) return prune(command, engine, 0);
  if (strcmp(verb, "prune") == 0) {
    int64_t max_bytes = command->options.max_bytes;
    return prune(command, engine, max_bytes >= 0 ? (uint64_t)max_bytes : DEFAULT_MAX);
  }
  return complain("cache cannot '%s', expected path, list, show, verify, prune or clear", verb);
}

int cmd_cache(const Command *command) {
  if (command->argument_count == 0) return complain("cache needs one of path, list, show, verify, prune, clear");
  kiln_engine *engine;
  int status = expect_arguments(command, strcmp(command->arguments[0], "show") == 0 ? 2 : 1);
  if (status == EXIT_GOOD) status = engine_open(command, &engine);
  if (status != EXIT_GOOD) return status;
  status = act(command, engine, command->arguments[0]);
  kiln_engine_destroy(engine);
  return status;
}
