/* main.c: the command: finds the verb, reads options, prints help. What verbs and options there are stands in verbs.def
 * and options.def; what a verb does with its arguments is the verb's affair. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/command.h"

typedef struct Verb {
  const char *name, *arguments, *does, *options, *example;
  int (*run)(const Command *command);
} Verb;

static const Verb verbs[] = {
#define VERB(verb, arguments, does, options, example) {#verb, arguments, does, options, example, cmd_##verb},
#include "tools/verbs.def"
#undef VERB
};

/* How a word of the command line becomes a field of Options. */
typedef enum OptionKind { OPTION_TEXT, OPTION_NUMBER, OPTION_FLAG } OptionKind;
typedef struct OptionRow {
  const char *name;
  OptionKind kind;
  size_t offset; /* in Options */
  const char *value, *meaning;
} OptionRow;

static const OptionRow option_rows[] = {
#define OPTION(field, name, kind, value, meaning) {name, OPTION_##kind, offsetof(Options, field), value, meaning},
#include "tools/options.def"
#undef OPTION
};

/* Whether a list of words separated by spaces has this one. */
static bool has_word(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word))
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  return false;
}

/* Completion reads these lines and those below (completion/kiln.bash). */
static void print_help(void) {
  puts("kiln: a JIT compiler for matrix-product kernels on CPUs\n");
  for (size_t i = 0; i < ARRAY_LENGTH(verbs); ++i) printf("  kiln %-8s %s\n", verbs[i].name, verbs[i].does);
  puts(
      "\nkiln VERB --help has a verb's arguments, options and an example. Exit status: 0 good, 1 a comparison failed,\n"
      "2 usage or bad input.");
}

static void print_verb_help(const Verb *verb) {
  printf("kiln %s%s%s\n  %s\n", verb->name, verb->arguments[0] ? " " : "", verb->arguments, verb->does);
  for (size_t i = 0; i < ARRAY_LENGTH(option_rows); ++i) {
    const OptionRow *row = &option_rows[i];
    if (!has_word(verb->options, row->name)) continue;
    char head[96];
    snprintf(head, sizeof head, "--%s%s%s", row->name, row->value[0] ? " " : "", row->value);
    printf("  %-24s %s\n", head, row->meaning);
  }
  if (strncmp(verb->arguments, "GRAPH", 5) == 0) puts("GRAPH is text, @FILE, or @- for standard input.");
  printf("example:\n  %s\n", verb->example);
}

/* Of those that the verb knows; NULL: none of this name. */
static const OptionRow *find_option(const Verb *verb, const char *name, size_t length) {
  for (size_t i = 0; i < ARRAY_LENGTH(option_rows); ++i) {
    const OptionRow *row = &option_rows[i];
    if (strlen(row->name) == length && memcmp(row->name, name, length) == 0 && has_word(verb->options, row->name))
      return row;
  }
  return NULL;
}

/* The field is found by its offset: its type follows from the kind (command.h). The last of several values counts. */
static int set_option(Options *options, const OptionRow *row, const char *value) {
  char *field = (char *)options + row->offset;
  if (row->kind == OPTION_FLAG) {
    *(bool *)(void *)field = true;
  } else if (row->kind == OPTION_TEXT) {
    memcpy(field, &value, sizeof value);
  } else {
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || *end != '\0' || end == value || number < 0)
      return complain("--%s is '%s', expected a number of at least 0", row->name, value);
    *(int64_t *)(void *)field = number;
  }
  return EXIT_GOOD;
}

/* Reads argv[*at], an option, and its value. */
static int read_option(const Verb *verb, int argc, char **argv, int *at, Options *options) {
  const char *word = argv[*at], *name = word + 2;
  if (strcmp(word, "-o") == 0) name = "output";
  else if (word[1] != '-') return complain("%s has no option '%s'; see kiln %s --help", verb->name, word, verb->name);
  const char *equals = strchr(name, '=');
  size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
  const OptionRow *row = find_option(verb, name, length);
  if (row == NULL) return complain("%s has no option '%s'; see kiln %s --help", verb->name, word, verb->name);
  if (row->kind == OPTION_FLAG && equals != NULL) return complain("--%s takes no value", row->name);
  const char *value = equals != NULL ? equals + 1 : NULL;
  if (row->kind != OPTION_FLAG && value == NULL) {
    if (*at + 1 >= argc) return complain("--%s needs a value: %s", row->name, row->value);
    value = argv[++*at];
  }
  return set_option(options, row, value);
}

/* Options and arguments, in any order, from words[0] on. `*help` is set at --help, which wins over everything after it.
 */
static int read_words(const Verb *verb, int count, char **words, Command *command, bool *help) {
  *command = (Command){.verb = verb->name};
  *help = false;
  for (size_t i = 0; i < ARRAY_LENGTH(option_rows); ++i)
    if (option_rows[i].kind == OPTION_NUMBER)
      *(int64_t *)(void *)((char *)&command->options + option_rows[i].offset) = -1;
  for (int i = 0; i < count && !*help; ++i) {
    *help = strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0;
    if (*help) continue;
    if (words[i][0] == '-' && words[i][1] != '\0') {
      int status = read_option(verb, count, words, &i, &command->options);
      if (status != EXIT_GOOD) return status;
    } else if (command->argument_count == MAX_ARGUMENTS) {
      return complain("more than %d arguments", MAX_ARGUMENTS);
    } else {
      command->arguments[command->argument_count++] = words[i];
    }
  }
  return EXIT_GOOD;
}

static const Verb *find_verb(const char *name) {
  for (size_t i = 0; i < ARRAY_LENGTH(verbs); ++i)
    if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
  return NULL;
}

int command_read(const char *verb, int count, char **words, Command *command) {
  bool help;
  int status = read_words(find_verb(verb), count, words, command, &help);
  return status == EXIT_GOOD && help ? complain("--help is for the command line") : status;
}

void options_override(Options *options, const Options *by) {
  for (size_t i = 0; i < ARRAY_LENGTH(option_rows); ++i) {
    const OptionRow *row = &option_rows[i];
    char *field = (char *)options + row->offset;
    const char *other = (const char *)by + row->offset;
    if (row->kind == OPTION_TEXT && *(const char *const *)(const void *)other != NULL)
      memcpy(field, other, sizeof(void *));
    if (row->kind == OPTION_NUMBER && *(const int64_t *)(const void *)other >= 0) memcpy(field, other, sizeof(int64_t));
    if (row->kind == OPTION_FLAG && *(const bool *)(const void *)other) memcpy(field, other, sizeof(bool));
  }
}

static int run_verb(const Verb *verb, int argc, char **argv) {
  Command command;
  bool help;
  int status = read_words(verb, argc - 2, argv + 2, &command, &help);
  if (status == EXIT_GOOD && help) print_verb_help(verb);
  else if (status == EXIT_GOOD) status = verb->run(&command);
  return status;
}

static int run_command(int argc, char **argv) {
  const char *word = argc > 1 ? argv[1] : "--help";
  if (strcmp(word, "--version") == 0) {
    puts("kiln " KILN_VERSION);
    return EXIT_GOOD;
  }
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
    print_help();
    return argc > 1 ? EXIT_GOOD : EXIT_USAGE;
  }
  const Verb *verb = find_verb(word);
  if (verb != NULL) return run_verb(verb, argc, argv);
  return complain("no verb is called '%s'; see kiln --help", word);
}

int main(int argc, char **argv) {
  int status = run_command(argc, argv);
  /* What was printed counts as done only when it has left, say to a full disk. */
  if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_GOOD)
    status = complain("standard output: %s", strerror(errno));
  return status;
}
