/* data.c: see data.h. */
#include "tests/emulate/data.h"

#include <string.h>

/* Numbers at which floats of 16 and 32 bits change their kind, and integers at which they overflow. */
static const uint32_t specials32[] = {0,          0x80000000, 1,          0x80000001, 0x007FFFFF, 0x00800000,
                                      0x807FFFFF, 0x80800000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000,
                                      0x7F800001, 0xFFC01234, 0x7FA00000, 0x3F800000, 0xBF800000, 0x3F808000,
                                      0x3F818000, 0x7F7F8000, 0xFFFFFFFF, 0x7FFFFFFF, 0x00FFFFFF, 0x01000001,
                                      0x477FE000, 0x477FF000, 0x33000000, 0x33800000};
static const uint16_t specials16[] = {0,      0x8000, 1,      0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00,
                                      0x7E00, 0x7C01, 0xFD23, 0x3C00, 0xBC00, 0x7F80, 0xFF80, 0x7FC0, 0x7F81, 0xFFFF,
                                      0x7FFF, 0x0080, 0x3F80, 0x7F7F, 0x3C01, 0x0001, 0x007F, 0x0100};

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

/* A dword: by `style` bits, special numbers, or floats of about one size, whose sums cancel and round. */
static uint32_t random_dword(Random *random, int style) {
  uint64_t bits = random_bits(random);
  switch (style) {
  case 0: return (uint32_t)bits;
  case 1: return specials32[bits % LENGTH(specials32)];
  case 2: return (uint32_t)specials16[bits % LENGTH(specials16)] << 16 | specials16[(bits >> 32) % LENGTH(specials16)];
  case 3: return ((uint32_t)bits & 0x80FFFFFF) | (uint32_t)(0x3E + bits % 3) << 24;
  case 4: return ((uint32_t)bits & 0x83FF83FF) | 0x38003C00;
  case 5: return ((uint32_t)bits & 0x807FFFFF) | (uint32_t)(bits >> 40 & 3) << 23; /* at the least normal number */
  default: return (uint32_t)bits & ((bits >> 33 & 1) ? 0x9FFF9FFF : 0xFFFFFFFF);
  }
}

void data_fill(Random *random, void *memory, size_t bytes) {
  int style = random_below(random, 8);
  for (size_t i = 0; i + 4 <= bytes; i += 4) {
    uint32_t value = random_dword(random, style == 7 ? random_below(random, 7) : style);
    memcpy((uint8_t *)memory + i, &value, 4);
  }
}

/* Exceptions masked; any rounding mode, denormals flushed or not (MXCSR.RC, FTZ and DAZ). */
static uint32_t random_mxcsr(Random *random) { return 0x1F80 | ((uint32_t)random_bits(random) & 0xE040); }

EmulateState data_state(Random *random, bool has_avx512) {
  EmulateState state = {
      .rflags = 0x202 | (random_bits(random) & 0x8D5), .mxcsr = random_mxcsr(random), .has_avx512 = has_avx512};
  for (int i = 0; i < 16; i++) state.gpr[i] = random_bits(random);
  for (int i = 0; i < 8; i++) state.mask[i] = random_bits(random);
  for (int i = 0; i < 32; i++) data_fill(random, state.vector[i], sizeof state.vector[i]);
  return state;
}
