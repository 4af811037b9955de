/* seeds.h: tests of many seeds: which ones, and what a signal prints. */
#ifndef KILN_TESTS_SEEDS_H
#define KILN_TESTS_SEEDS_H

/* The number in an environment variable, KILN_TEST_SEED or KILN_TEST_COUNT; another where it is not set. */
long long seeds_from_environment(const char *name, long long otherwise);
/* From here on a signal that ends the test prints the last seed that seeds_at was told. */
void seeds_watch(void);
void seeds_at(unsigned long long seed);

#endif
