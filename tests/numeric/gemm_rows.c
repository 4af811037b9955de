/* gemm_rows.c: see the header. */
#include "tests/numeric/gemm_rows.h"

#include <criterion/criterion.h>
#include <string.h>

#include "jit/jit.h"

static const GemmRow rows[] = {
    {"x86-64", "f64", "f64", "outer_f64", NULL, false},
    {"haswell", "f32", "f32", "outer_f32", NULL, false},
    {"skylake-avx512", "f16", "f16", "outer_any_f32", "convert=load", false},
    {"haswell", "i32", "u8", "outer_any_i32", NULL, false},
    {"haswell", "f64", "f32", "outer_any_f64", "convert=load", false},
    {"haswell", "bf16", "bf16", "fma_bf16", "convert=load", false},
    {"haswell", "f32", "bf16", "fma_f32_bf16", "convert=load", false},
    {"haswell", "u8", "i8", "vpmaddwd_u8i8", NULL, false},
    {"haswell", "i8", "u8", "vpmaddwd_i8u8", NULL, false},
    {"skylake-avx512", "i8", "i8", "vpmaddwd_i8i8", NULL, false},
    {"skylake-avx512", "u8", "u8", "vpmaddwd_u8u8", NULL, false},
    {"alderlake", "u8", "i8", "vpdpbusd_vex_u8i8", NULL, false},
    {"alderlake", "i8", "u8", "vpdpbusd_vex_i8u8", NULL, false},
    {"alderlake", "i8", "i8", "vpdpbusd_vex_i8i8", "convert=load", false},
    {"alderlake", "u8", "u8", "vpdpbusd_vex_u8u8", "convert=load", false},
    {"sierraforest", "i8", "i8", "vpdpbssd_vex", NULL, false},
    {"sierraforest", "i8", "u8", "vpdpbsud_vex", NULL, false},
    {"sierraforest", "u8", "u8", "vpdpbuud_vex", NULL, false},
    {"sierraforest", "bf16", "bf16", "vcvtne_bf16", "convert=load", false},
    {"sierraforest", "f16", "f16", "vcvtne_f16", "convert=load", false},
    {"sierraforest", "f32", "bf16", "vcvtne_f32_bf16", "convert=load", false},
    {"sierraforest", "f32", "f16", "vcvtne_f32_f16", "convert=load", false},
    {"cascadelake", "u8", "i8", "vpdpbusd_u8i8", NULL, false},
    {"cascadelake", "i8", "u8", "vpdpbusd_i8u8", NULL, false},
    {"cascadelake", "i8", "i8", "vpdpbusd_i8i8", "convert=load", false},
    {"cascadelake", "u8", "u8", "vpdpbusd_u8u8", "convert=load", false},
    {"znver5", "bf16", "bf16", "vdpbf16ps", "convert=load", true},
    {"diamondrapids", "f16", "f16", "vdpphps", "mma=vectors", false},
    {"diamondrapids", "i8", "i8", "vpdpbssd", "mma=vectors", false},
    {"diamondrapids", "i8", "u8", "vpdpbsud", "mma=vectors", false},
    {"diamondrapids", "u8", "u8", "vpdpbuud", "mma=vectors", false},
    {"sapphirerapids", "bf16", "bf16", "tdpbf16ps", NULL, true},
    {"sapphirerapids", "u8", "i8", "tdpbusd", NULL, false},
    {"sapphirerapids", "i8", "u8", "tdpbsud", NULL, false},
    {"sapphirerapids", "i8", "i8", "tdpbssd", NULL, false},
    {"sapphirerapids", "u8", "u8", "tdpbuud", NULL, false},
    {"graniterapids", "f16", "f16", "tdpfp16ps", NULL, false},
    {"diamondrapids", "f8e5m2", "f8e5m2", "tdpbf8ps", NULL, false},
    {"diamondrapids", "f8e5m2", "f8e4m3", "tdpbhf8ps", NULL, false},
    {"diamondrapids", "f8e4m3", "f8e5m2", "tdphbf8ps", NULL, false},
    {"diamondrapids", "f8e4m3", "f8e4m3", "tdphf8ps", NULL, false},
};

bool gemm_row_exists(const char *row) {
  for (size_t i = 0; i < ARRAY_LENGTH(rows); ++i)
    if (strcmp(rows[i].row, row) == 0) return true;
  return false;
}

const MmaInstruction *gemm_row_instruction(const GemmRow *row) {
  for (size_t i = 0; i < mma_count(); ++i)
    if (strcmp(mma_get(i)->name, row->row) == 0) return mma_get(i);
  cr_assert_fail("mma.def has no row %s", row->row);
  return NULL;
}

bool gemm_row_is_emulated(const GemmRow *row) {
  const MmaInstruction *instruction = gemm_row_instruction(row);
  return instruction->strategy == MMA_AMX || (instruction->features & ~jit_host_features()) != 0;
}

bool gemm_row_is_of_bytes(const GemmRow *row) {
  return strstr("i8 u8", row->a) != NULL && strstr("i8 u8", row->b) != NULL;
}

LadderCase gemm_row_case(const GemmRow *row, const char *graph) {
  return (LadderCase){
      .graph = graph, .target = row->target, .template_ = "gemm", .schedule = row->schedule, .flushes = row->flushes};
}

void gemm_rows_run(GemmRowRun *run) {
  for (size_t i = 0; i < ARRAY_LENGTH(rows); ++i) {
    kiln_engine *engine = ladder_engine_for(rows[i].target);
    if (engine == NULL) continue;
    run(engine, &rows[i]);
    kiln_engine_destroy(engine);
  }
}
