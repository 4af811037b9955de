/* lanes_int.c: integer dot products of AVX512-VNNI, AVX-VNNI, AVX-VNNI-INT8 and AVX-VNNI-INT16 (SDM vol. 2, VPDPBUSD,
 * VPDPB[SU,UU,SS]D[,S], VPDPW[SU,US,UU]D[,S], VPDPWSSD).
 *
 * All products of a dword are added to it without an intermediate rounding or saturation; the forms that end in "s"
 * saturate the sum once, to an unsigned dword where both sources are unsigned, else to a signed one. */
#include "tests/emulate/instruction.h"

typedef enum Sign { U, S } Sign;

static int64_t part(uint64_t dword, int index, int bits, Sign sign) {
  uint64_t value = dword >> index * bits & ((UINT64_C(1) << bits) - 1);
  bool is_negative = sign == S && value >> (bits - 1) & 1;
  return (int64_t)value - (is_negative ? INT64_C(1) << bits : 0);
}

static int64_t dot(const Lane *x, int bits, Sign a, Sign b) {
  int64_t sum = 0;
  for (int i = 0; i < 32 / bits; i++) sum += part(x->a, i, bits, a) * part(x->b, i, bits, b);
  return sum;
}

static uint64_t wrap(const Lane *x, int64_t products) { return (uint32_t)(x->c + (uint64_t)products); }

static uint64_t saturate_signed(const Lane *x, int64_t products) {
  int64_t sum = (int32_t)x->c + products;
  return (uint32_t)(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
}

static uint64_t saturate_unsigned(const Lane *x, int64_t products) {
  uint64_t sum = x->c + (uint64_t)products;
  return sum > UINT32_MAX ? UINT32_MAX : sum;
}

uint64_t lane_vpdpbusd(const Lane *x) { return wrap(x, dot(x, 8, U, S)); }
uint64_t lane_vpdpbssd(const Lane *x) { return wrap(x, dot(x, 8, S, S)); }
uint64_t lane_vpdpbsud(const Lane *x) { return wrap(x, dot(x, 8, S, U)); }
uint64_t lane_vpdpbuud(const Lane *x) { return wrap(x, dot(x, 8, U, U)); }
uint64_t lane_vpdpbusds(const Lane *x) { return saturate_signed(x, dot(x, 8, U, S)); }
uint64_t lane_vpdpbssds(const Lane *x) { return saturate_signed(x, dot(x, 8, S, S)); }
uint64_t lane_vpdpbsuds(const Lane *x) { return saturate_signed(x, dot(x, 8, S, U)); }
uint64_t lane_vpdpbuuds(const Lane *x) { return saturate_unsigned(x, dot(x, 8, U, U)); }

uint64_t lane_vpdpwssd(const Lane *x) { return wrap(x, dot(x, 16, S, S)); }
uint64_t lane_vpdpwsud(const Lane *x) { return wrap(x, dot(x, 16, S, U)); }
uint64_t lane_vpdpwusd(const Lane *x) { return wrap(x, dot(x, 16, U, S)); }
uint64_t lane_vpdpwuud(const Lane *x) { return wrap(x, dot(x, 16, U, U)); }
uint64_t lane_vpdpwssds(const Lane *x) { return saturate_signed(x, dot(x, 16, S, S)); }
uint64_t lane_vpdpwsuds(const Lane *x) { return saturate_signed(x, dot(x, 16, S, U)); }
uint64_t lane_vpdpwusds(const Lane *x) { return saturate_signed(x, dot(x, 16, U, S)); }
uint64_t lane_vpdpwuuds(const Lane *x) { return saturate_unsigned(x, dot(x, 16, U, U)); }
