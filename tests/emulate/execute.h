/* execute.h: a decoded instruction on the state. */
#pragma once

#include "tests/emulate/decode.h"

/* Executes and moves rip behind the instruction, or says why not and changes nothing. */
EmulateStatus execute(EmulateState *state, const Decoded *code);
