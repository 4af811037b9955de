/* lanes_bf16.c: dot products of pairs and conversions of AVX512-BF16, AVX-NE-CONVERT and AVX10.2. None of them consults
 * or updates MXCSR. */
#include "tests/emulate/floats.h"
#include "tests/emulate/instruction.h"

static uint32_t low_bf16(uint64_t dword) { return (uint32_t)dword << 16; }
static uint32_t high_bf16(uint64_t dword) { return (uint32_t)dword & 0xFFFF0000; }
static uint32_t low_f16(uint64_t dword) { return float_from_f16((uint16_t)dword); }
static uint32_t high_f16(uint64_t dword) { return float_from_f16((uint16_t)(dword >> 16)); }

/* SDM vol. 2, VDPBF16PS: one FMA for the upper pair, then one for the lower, each rounded to nearest even, denormal
 * inputs and outputs as zero. */
uint64_t lane_vdpbf16ps(const Lane *x) {
  uint32_t upper = float_fma(high_bf16(x->a), high_bf16(x->b), (uint32_t)x->c, DENORMALS_FLUSH_ALL);
  return float_fma(low_bf16(x->a), low_bf16(x->b), upper, DENORMALS_FLUSH_ALL);
}

/* AVX10.2 specification, VDPPHPS: as VDPBF16PS; denormal binary16 inputs count, since they are normal as binary32. */
uint64_t lane_vdpphps(const Lane *x) {
  uint32_t upper = float_fma(high_f16(x->a), high_f16(x->b), (uint32_t)x->c, DENORMALS_FLUSH_ALL);
  return float_fma(low_f16(x->a), low_f16(x->b), upper, DENORMALS_FLUSH_ALL);
}

uint64_t lane_vcvtneps2bf16(const Lane *x) { return float_to_bf16((uint32_t)x->b); }
uint64_t lane_vcvtne2ps2bf16(const Lane *x) { return float_to_bf16((uint32_t)x->b); }

/* SDM vol. 2, VBCSTNEBF162PS, VCVTNEEBF162PS, VCVTNEOBF162PS: the bits of the bfloat16 become the upper ones, whatever
 * they are. */
uint64_t lane_vbcstnebf162ps(const Lane *x) { return low_bf16(x->b); }
uint64_t lane_vcvtneebf162ps(const Lane *x) { return low_bf16(x->b); }
uint64_t lane_vcvtneobf162ps(const Lane *x) { return high_bf16(x->b); }

/* SDM vol. 2, VBCSTNESH2PS, VCVTNEEPH2PS, VCVTNEOPH2PS: convert_fp16_to_fp32, denormals converted. */
uint64_t lane_vbcstnesh2ps(const Lane *x) { return low_f16(x->b); }
uint64_t lane_vcvtneeph2ps(const Lane *x) { return low_f16(x->b); }
uint64_t lane_vcvtneoph2ps(const Lane *x) { return high_f16(x->b); }
