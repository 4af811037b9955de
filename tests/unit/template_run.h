/* template_run.h: a graph through a template and the tile interpreter, compared with the graph interpreter. */
#ifndef KILN_TESTS_TEMPLATE_RUN_H
#define KILN_TESTS_TEMPLATE_RUN_H

#include "templates/template.h"

typedef struct TemplateRun {
  const char *graph;
  const char *target;    /* NULL: skylake-avx512 */
  const char *template_; /* NULL: the first that matches */
  const char *schedule;  /* NULL: none fixed */
  int threads;           /* 0: 1 */
  int64_t symbols[8];
} TemplateRun;

/* Plans, builds, verifies, prints, packs what is to be packed, interprets, compares. Writes what went wrong to `why`;
 * empty: all is right. `used` (may be NULL) receives the template's name, `text` (may be NULL) the module. */
void template_run(const TemplateRun *run, const char **used, Text *text, Text *why);

#endif
