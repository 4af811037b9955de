/* graphs.h: graphs compiled as `kiln emit` does, with what the interpreter says they give. */
#ifndef KILN_TESTS_CROSS_GRAPHS_H
#define KILN_TESTS_CROSS_GRAPHS_H

#include "tests/cross/maker.h"

void make_graphs(Maker *maker);

#endif
