/* man.c: writes the man page kiln.1 from the tables of the command and of the environment, so that it is never behind
 * them.
 *
 * Run by the build; the result is installed. Assumes that the tables hold plain text: they are escaped for roff here.
 */
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *arguments, *does, *options, *example;
} verbs[] = {
#define VERB(name, arguments, does, options, example) {#name, arguments, does, options, example},
#include "tools/verbs.def"
#undef VERB
};

static const struct {
  const char *name, *value, *meaning;
} options[] = {
#define OPTION(field, name, kind, value, meaning) {name, value, meaning},
#include "tools/options.def"
#undef OPTION
};

static const struct {
  const char *scope, *name, *fallback, *meaning;
} variables[] = {
#define OPTION(scope, name, changes, fallback, meaning) {#scope, #name, fallback, meaning},
#include "runtime/options.def"
#undef OPTION
};

enum { VERBS = sizeof verbs / sizeof *verbs, OPTIONS = sizeof options / sizeof *options };
enum { VARIABLES = sizeof variables / sizeof *variables };

static const char head[] =
    ".SH NAME\nkiln \\- compile, run, time and look at matrix-product kernels\n"
    ".SH SYNOPSIS\n.B kiln\n.I verb\n.RI [ argument \" ...] [\" option \" ...]\"\n"
    ".SH DESCRIPTION\n"
    "Kiln takes a small graph, a matrix product with what follows it, and makes machine code of it, "
    "for\n"
    "this CPU or for another. Each verb does or shows one step of that way.\n"
    ".PP\n"
    ".I GRAPH\nis the text of a graph,\n.BI @ file\\fR,\nor\n.BR @\\- ,\nstandard input;\nits symbols are bound by "
    "arguments such as\n.BR m=384 .\n";

static const char tail[] =
    ".SH EXIT STATUS\n"
    ".TP\n0\nsuccess\n.TP\n1\na comparison failed\n.TP\n2\nwrong usage or bad input, with line and column\n";

/* Text in which roff sees no command, escape or hyphen. */
static void print_plain(const char *text) {
  if (*text == '.' || *text == '\'') fputs("\\&", stdout);
  for (; *text; text++) {
    if (*text == '\\') fputs("\\e", stdout);
    else if (*text == '-') fputs("\\-", stdout);
    else if (*text == '\'') fputs("\\(aq", stdout);
    else if (*text == '`') fputs("\\(ga", stdout);
    else putchar(*text);
  }
}

static void print_line(const char *before, const char *text, const char *after) {
  fputs(before, stdout);
  print_plain(text);
  fputs(after, stdout);
}

/* The options of a verb: words separated by spaces. */
static void print_option_names(const char *names) {
  while (*names) {
    size_t length = strcspn(names, " ");
    char name[64];
    snprintf(name, sizeof name, "--%.*s", (int)length, names);
    print_line(" \\fB", name, "\\fR");
    names += length + strspn(names + length, " ");
  }
}

int main(void) {
  puts(".TH KILN 1 \"\" \"kiln\" \"User commands\"");
  fputs(head, stdout);
  puts(".SH VERBS");
  for (size_t i = 0; i < VERBS; i++) {
    print_line(".TP\n\\fBkiln ", verbs[i].name, "\\fR ");
    print_line("\\fI", verbs[i].arguments, "\\fR\n");
    print_line("", verbs[i].does, ".\n.br\nOptions:");
    print_option_names(verbs[i].options);
    print_line("\n.br\nExample: ", verbs[i].example, "\n");
  }
  puts(".SH OPTIONS");
  for (size_t i = 0; i < OPTIONS; i++) {
    print_line(".TP\n\\fB\\-\\-", options[i].name, "\\fR ");
    print_line("\\fI", options[i].value, "\\fR\n");
    print_line("", options[i].meaning, "\n");
  }
  puts(".SH ENVIRONMENT");
  for (size_t i = 0; i < VARIABLES; i++) {
    if (strcmp(variables[i].scope, "ENVIRONMENT") != 0) continue;
    print_line(".TP\n\\fB", variables[i].name, "\\fR\n");
    print_line("", variables[i].meaning, "");
    print_line("; default: ", variables[i].fallback, "\n");
  }
  fputs(tail, stdout);
  return ferror(stdout) || fclose(stdout) != 0;
}
