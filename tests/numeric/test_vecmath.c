/* Vector exp, log, tanh, erf and rsqrt: errors in ulp, special values, and code without calls.
 *
 * Float results are compared with double libm, whose error is 1e-8 ulp of a float; double results with long double
 * libm. The default walk takes every 251st float and whole neighbourhoods of thresholds; KILN_TEST_FULL=1 takes all
 * 2^32 and prints the largest errors, which bench/results/vecmath.md records. */
#include <criterion/criterion.h>
#include <llvm-c/Core.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/emit.h"
#include "jit/jit.h"
#include "lower/vecmath.h"

/* ---- functions under test ---------------------------------------------------------------------------------------- */

typedef LLVMValueRef Emit(const VecMath *v, LLVMValueRef x);

static double rsqrt_double(double x) { return 1 / sqrt(x); }
static long double rsqrt_long(long double x) { return 1 / sqrtl(x); }

enum { SPECIAL_COUNT = 10 };
static const float special_inputs[SPECIAL_COUNT] = {0.0f,      -0.0f, 1.0f, -1.0f, INFINITY,
                                                    -INFINITY, NAN,   -NAN, 4.0f,  -4.0f};
#define ANY (-77.0f) /* no special value there */

typedef struct Function {
  const char *name;
  Emit *emit;
  double (*exact)(double);
  long double (*exact_long)(long double);
  double float_bound, double_bound; /* ulp */
  float largest;                    /* magnitude of a result */
  float specials[SPECIAL_COUNT];
} Function;

static const Function functions[] = {
    {"exp", lower_vec_exp, exp, expl, 2, 4, INFINITY, {1, 1, ANY, ANY, INFINITY, 0, NAN, NAN, ANY, ANY}},
    {"log",
     lower_vec_log,
     log,
     logl,
     2,
     4,
     INFINITY,
     {-INFINITY, -INFINITY, 0, NAN, INFINITY, NAN, NAN, NAN, ANY, NAN}},
    {"tanh", lower_vec_tanh, tanh, tanhl, 4, 4, 1, {0, -0.0f, ANY, ANY, 1, -1, NAN, NAN, ANY, ANY}},
    {"erf", lower_vec_erf, erf, erfl, 4, 4, 1, {0, -0.0f, ANY, ANY, 1, -1, NAN, NAN, 1, -1}},
    {"rsqrt",
     lower_vec_rsqrt,
     rsqrt_double,
     rsqrt_long,
     2,
     2,
     INFINITY,
     {INFINITY, -INFINITY, 1, NAN, 0, NAN, NAN, NAN, 0.5f, NAN}},
};
enum { FUNCTION_COUNT = ARRAY_LENGTH(functions) };

/* ---- compiled code ----------------------------------------------------------------------------------------------- */

static const int lane_counts[] = {1, 2, 3, 4, 5, 8, 16, 32};
enum { LANES_COUNT = ARRAY_LENGTH(lane_counts), LANES_MULTIPLE = 480 };

/* What to compile: one function or all (NULL), for f32, f64 or both, with one number of lanes or all (0). */
typedef struct Choice {
  const Function *function;
  bool f32, f64;
  int lanes;
} Choice;

/* void NAME(const T *in, T *out, int64_t count): count is a multiple of the lanes. */
static void build_walk(const VecMath *v, const char *name, Emit *emit, LLVMTypeRef element, int lanes) {
  LLVMBuilderRef b = v->builder;
  LLVMTypeRef i64 = LLVMInt64TypeInContext(v->context), pointer = LLVMPointerTypeInContext(v->context, 0);
  LLVMTypeRef parameters[] = {pointer, pointer, i64};
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(v->context), parameters, 3, false);
  LLVMValueRef function = LLVMAddFunction(v->module, name, type);
  LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(v->context, function, "entry");
  LLVMBasicBlockRef loop = LLVMAppendBasicBlockInContext(v->context, function, "loop");
  LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(v->context, function, "done");
  LLVMPositionBuilderAtEnd(b, entry);
  LLVMBuildBr(b, loop);

  LLVMPositionBuilderAtEnd(b, loop);
  LLVMTypeRef vector = lanes > 1 ? LLVMVectorType(element, (unsigned)lanes) : element;
  unsigned align = LLVMGetTypeKind(element) == LLVMDoubleTypeKind ? 8 : 4;
  LLVMValueRef index = LLVMBuildPhi(b, i64, "i");
  LLVMValueRef in = LLVMBuildGEP2(b, element, LLVMGetParam(function, 0), &index, 1, "in");
  LLVMValueRef out = LLVMBuildGEP2(b, element, LLVMGetParam(function, 1), &index, 1, "out");
  LLVMValueRef x = LLVMBuildLoad2(b, vector, in, "x");
  LLVMSetAlignment(x, align);
  LLVMValueRef y = emit(v, x);
  cr_assert_eq(LLVMTypeOf(y), vector);
  LLVMSetAlignment(LLVMBuildStore(b, y, out), align);
  LLVMValueRef next = LLVMBuildAdd(b, index, LLVMConstInt(i64, (unsigned)lanes, false), "next");
  LLVMValueRef values[] = {LLVMConstNull(i64), next};
  LLVMBasicBlockRef blocks[] = {entry, loop};
  LLVMAddIncoming(index, values, blocks, 2);
  LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntULT, next, LLVMGetParam(function, 2), ""), loop, done);
  LLVMPositionBuilderAtEnd(b, done);
  LLVMBuildRetVoid(b);
}

/* Object with the chosen walks, named like exp_f32x8. jit_emit refuses undefined symbols. */
static kiln_status compile(const Target *target, Choice choice, JitBuffer *object, Diagnostics *faults) {
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef module = LLVMModuleCreateWithNameInContext("vecmath", context);
  bool fuses = target->family != FAMILY_X86_64 || target_has(target, FEATURE_FMA);
  VecMath v = {context, module, LLVMCreateBuilderInContext(context), fuses, target};
  for (const Function *f = functions; f < functions + FUNCTION_COUNT; ++f) {
    if (choice.function && choice.function != f) continue;
    for (size_t i = 0; i < LANES_COUNT; ++i) {
      int lanes = lane_counts[i];
      char name[32];
      if (choice.lanes && choice.lanes != lanes) continue;
      snprintf(name, sizeof name, "%s_f32x%d", f->name, lanes);
      if (choice.f32) build_walk(&v, name, f->emit, LLVMFloatTypeInContext(context), lanes);
      snprintf(name, sizeof name, "%s_f64x%d", f->name, lanes);
      if (choice.f64) build_walk(&v, name, f->emit, LLVMDoubleTypeInContext(context), lanes);
    }
  }
  JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = "k", .key_length = 1};
  kiln_status status = jit_emit(module, target, &options, NULL, object, faults);
  LLVMDisposeBuilder(v.builder);
  LLVMDisposeModule(module);
  LLVMContextDispose(context);
  return status;
}

typedef void WalkFloat(const float *in, float *out, int64_t count);
typedef void WalkDouble(const double *in, double *out, int64_t count);

/* Code of one target row that this CPU can run. */
typedef struct Code {
  const Target *target;
  JitCode *code;
  double worst; /* ulp, of the walk in progress */
  uint32_t worst_at;
  float largest; /* finite result */
} Code;

enum { MAX_CODES = 3 };
static JitSession *session;
static Code codes[MAX_CODES];
static int code_count;

static void add_code(const Target *target, Choice choice, FeatureSet present) {
  for (int i = 0; i < code_count; ++i)
    if (codes[i].target == target) return;
  if (target->features & ~present) {
    printf("NOT EXERCISED: vecmath for %s: this CPU lacks a feature\n", target->name);
    return;
  }
  Diagnostics faults;
  JitBuffer object;
  diagnostics_init(&faults, NULL);
  Code *code = &codes[code_count++];
  code->target = target;
  cr_assert_eq(compile(target, choice, &object, &faults), KILN_OK, "%s",
               faults.list.count ? faults.list.items[0].message : "no reason");
  cr_assert_eq(jit_load(session, object.data, object.size, "vecmath", &code->code, &faults), KILN_OK);
  jit_buffer_release(&object);
  diagnostics_release(&faults);
}

static void load_codes(Choice choice) {
  FeatureSet present = jit_host_features();
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  JitSessionOptions options = {.features = present};
  cr_assert_eq(jit_session_create(&options, &session, &faults), KILN_OK);
  diagnostics_release(&faults);
  TargetFamily family;
  cr_assert(jit_host_family(&family));
  code_count = 0;
  add_code(target_best(family, present), choice, present);
  if (family != FAMILY_X86_64) return;
  add_code(target_find("haswell"), choice, present);
  add_code(target_find("x86-64"), choice, present);
}

static void unload_codes(void) {
  for (int i = 0; i < code_count; ++i) jit_unload(codes[i].code);
  jit_session_destroy(session);
}

/* POSIX makes the conversion of an object pointer to a function pointer valid; ISO C asks for this form. */
static void find(const Code *code, const Function *function, const char *type, int lanes, void *walk) {
  char name[32];
  snprintf(name, sizeof name, "%s_%sx%d", function->name, type, lanes);
  void *address = jit_symbol(code->code, name);
  cr_assert_not_null(address, "%s", name);
  memcpy(walk, &address, sizeof address);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* |y - exact| in units of the last place of a float of exact's size; infinite for a wrong kind of value. Infinity is
 * right exactly where rounding to nearest gives it. */
static double float_error(float y, double exact) {
  if (exact != exact || y != y) return (exact != exact) == (y != y) ? 0 : (double)INFINITY;
  if (isinf(y) || fabs(exact) >= 0x1.ffffffp127)
    return isinf(y) && fabs(exact) >= 0x1.ffffffp127 && (y > 0) == (exact > 0) ? 0 : (double)INFINITY;
  uint64_t bits;
  memcpy(&bits, &exact, sizeof bits);
  uint64_t exponent = bits >> 52 & 2047;
  if (exponent < 1023 - 126) exponent = 1023 - 126;
  uint64_t inverse_bits = (2046 + 23 - exponent) << 52; /* of 2^(23 - (exponent - 1023)) */
  double inverse;
  memcpy(&inverse, &inverse_bits, sizeof inverse);
  return fabs((double)y - exact) * inverse;
}

static long double double_error(double y, long double exact) {
  if (exact != exact || y != y) return (exact != exact) == (y != y) ? 0 : (long double)INFINITY;
  if (isinf(y) || fabsl(exact) >= 0x1.fffffffffffff8p1023L)
    return isinf(y) && fabsl(exact) >= 0x1.fffffffffffff8p1023L && (y > 0) == (exact > 0) ? 0 : (long double)INFINITY;
  int exponent = -1021;
  if (exact != 0) (void)frexpl(exact, &exponent);
  return ldexpl(fabsl((long double)y - exact), 53 - (exponent < -1021 ? -1021 : exponent));
}

enum { BLOCK = 1 << 14 };

/* Inputs first, first + step … as bits, on every code. */
static void walk_block(const Function *function, uint32_t first, uint32_t step) {
  static float in[BLOCK], out[BLOCK];
  static double exact[BLOCK];
  for (uint32_t i = 0; i < BLOCK; ++i) {
    in[i] = float_of(first + i * step);
    exact[i] = function->exact((double)in[i]);
  }
  for (int c = 0; c < code_count; ++c) {
    WalkFloat *walk;
    find(&codes[c], function, "f32", 16, &walk);
    walk(in, out, BLOCK);
    for (uint32_t i = 0; i < BLOCK; ++i) {
      double error = float_error(out[i], exact[i]);
      if (fabsf(out[i]) > codes[c].largest) codes[c].largest = fabsf(out[i]);
      if (error <= codes[c].worst) continue;
      codes[c].worst = error;
      codes[c].worst_at = first + i * step;
    }
  }
}

/* Where formulas change, results become subnormal, overflow or saturate; each with both signs. */
static const float thresholds[] = {0,           0x1p-126f,  0x1p-64f,   0x1p-24f,  0.25f,      0.5f,
                                   0.70710678f, 1,          1.4142135f, 2,         3.82f,      3.9192059f,
                                   4,           8.72f,      9.010913f,  87.33654f, 88.722839f, 89,
                                   103.27893f,  103.97208f, 104,        0x1p64f,   0x1p126f,   INFINITY};

static void test_floats(const Function *function) {
  const char *full = getenv("KILN_TEST_FULL");
  bool is_full = full && strcmp(full, "1") == 0;
  uint32_t step = is_full ? 1 : 251;
  load_codes((Choice){.function = function, .f32 = true, .lanes = 16});
  for (int c = 0; c < code_count; ++c) codes[c].worst = 0, codes[c].largest = 0;
  for (uint64_t first = 0; first < (uint64_t)1 << 32; first += (uint64_t)BLOCK * step)
    walk_block(function, (uint32_t)first, step);
  for (size_t i = 0; i < ARRAY_LENGTH(thresholds); ++i)
    for (uint32_t sign = 0; sign < 2; ++sign)
      walk_block(function, (bits_of(thresholds[i]) - BLOCK / 2) ^ sign << 31, 1);
  for (int c = 0; c < code_count; ++c) {
    const char *name = codes[c].target->name;
    float at = float_of(codes[c].worst_at);
    if (is_full)
      printf("%-5s %-15s %.4f ulp at %a (%.9g)\n", function->name, name, codes[c].worst, (double)at, (double)at);
    cr_expect_leq(codes[c].worst, function->float_bound, "%s for %s: %g ulp at %a", function->name, name,
                  codes[c].worst, (double)at);
    cr_expect_leq(codes[c].largest, function->largest, "%s for %s exceeds %g", function->name, name,
                  (double)function->largest);
  }
  unload_codes();
}

Test(vecmath, exp_floats) { test_floats(&functions[0]); }
Test(vecmath, log_floats) { test_floats(&functions[1]); }
Test(vecmath, tanh_floats) { test_floats(&functions[2]); }
Test(vecmath, erf_floats) { test_floats(&functions[3]); }
Test(vecmath, rsqrt_floats) { test_floats(&functions[4]); }

/* ---- special values, lane counts --------------------------------------------------------------------------------- */

static bool is_same(double x, double y) { return x != x ? y != y : x == y && signbit(x) == signbit(y); }

Test(vecmath, special_values) {
  float in[LANES_MULTIPLE], out[LANES_MULTIPLE];
  double in_double[LANES_MULTIPLE], out_double[LANES_MULTIPLE];
  for (int i = 0; i < LANES_MULTIPLE; ++i) in_double[i] = (double)(in[i] = special_inputs[i % SPECIAL_COUNT]);
  in_double[8] = in[8] == 4.0f ? 6 : 0; /* erf(4) is not 1 in double */
  in_double[9] = -6;
  load_codes((Choice){.f32 = true, .f64 = true, .lanes = 16});
  for (size_t f = 0; f < FUNCTION_COUNT; ++f) {
    for (int c = 0; c < code_count; ++c) {
      WalkFloat *walk;
      WalkDouble *walk_double;
      find(&codes[c], &functions[f], "f32", 16, &walk);
      find(&codes[c], &functions[f], "f64", 16, &walk_double);
      walk(in, out, LANES_MULTIPLE);
      walk_double(in_double, out_double, LANES_MULTIPLE);
      for (int i = 0; i < SPECIAL_COUNT; ++i) {
        float expected = functions[f].specials[i];
        if (expected == ANY) continue;
        cr_expect(is_same((double)expected, (double)out[i]), "%s(%g) for %s: %g", functions[f].name, (double)in[i],
                  codes[c].target->name, (double)out[i]);
        if (functions[f].emit == lower_vec_rsqrt && i == 8) continue;
        cr_expect(is_same((double)expected, out_double[i]), "%s(%g) for %s: %g", functions[f].name, in_double[i],
                  codes[c].target->name, out_double[i]);
      }
    }
  }
  unload_codes();
}

Test(vecmath, results_do_not_depend_on_the_lane_count) {
  enum { COUNT = LANES_MULTIPLE * 100 };
  static float in[COUNT], out[COUNT], expected[COUNT];
  for (uint32_t i = 0; i < COUNT; ++i) in[i] = float_of(i * 89477);
  load_codes((Choice){.f32 = true});
  for (size_t f = 0; f < FUNCTION_COUNT; ++f) {
    for (int c = 0; c < code_count; ++c) {
      WalkFloat *walk;
      find(&codes[c], &functions[f], "f32", 16, &walk);
      walk(in, expected, COUNT);
      for (size_t l = 0; l < LANES_COUNT; ++l) {
        find(&codes[c], &functions[f], "f32", lane_counts[l], &walk);
        walk(in, out, COUNT);
        int differ = 0;
        for (int i = 0; i < COUNT; ++i) differ += !is_same((double)expected[i], (double)out[i]);
        cr_expect_eq(differ, 0, "%s for %s, %d lanes: %d differ", functions[f].name, codes[c].target->name,
                     lane_counts[l], differ);
      }
    }
  }
  unload_codes();
}

/* ---- double, other targets --------------------------------------------------------------------------------------- */

static uint64_t random_bits(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* A sixth each: any bits, ±[0, 750), ±[0, 20), near ±1, ±2^[-60, 4), subnormal. */
static double random_double(uint64_t *state) {
  uint64_t draw = random_bits(state);
  double unit = (double)(draw >> 11) * 0x1p-53, sign = draw & 1 ? -1 : 1, x;
  switch (draw / 2 % 6) {
  case 0: draw = random_bits(state); break;
  case 1: return sign * unit * 750;
  case 2: return sign * unit * 20;
  case 3: return sign * (1 + (unit - 0.5) * ldexp(1, -(int)(random_bits(state) % 50)));
  case 4: return sign * exp2(unit * 64 - 60);
  default: draw &= 0x800fffffffffffff; break;
  }
  memcpy(&x, &draw, sizeof x);
  return x;
}

Test(vecmath, doubles) {
  enum { COUNT = LANES_MULTIPLE * 1000 };
  static double in[COUNT], out[COUNT];
  static long double exact[COUNT];
  uint64_t state = 88172645463325252u;
  for (int i = 0; i < COUNT; ++i) in[i] = random_double(&state);
  load_codes((Choice){.f64 = true, .lanes = 4});
  for (size_t f = 0; f < FUNCTION_COUNT; ++f) {
    for (int i = 0; i < COUNT; ++i) exact[i] = functions[f].exact_long((long double)in[i]);
    for (int c = 0; c < code_count; ++c) {
      WalkDouble *walk;
      find(&codes[c], &functions[f], "f64", 4, &walk);
      walk(in, out, COUNT);
      long double worst = 0;
      double worst_at = 0;
      for (int i = 0; i < COUNT; ++i) {
        long double error = double_error(out[i], exact[i]);
        if (error <= worst) continue;
        worst = error;
        worst_at = in[i];
      }
      if (getenv("KILN_TEST_FULL"))
        printf("%-5s %-15s f64 %.3Lf ulp at %a (%g)\n", functions[f].name, codes[c].target->name, worst, worst_at,
               worst_at);
      cr_expect_leq(worst, (long double)functions[f].double_bound, "%s for %s: %Lg ulp at %a", functions[f].name,
                    codes[c].target->name, worst, worst_at);
    }
  }
  unload_codes();
}

/* jit_emit refuses an object that calls anything. */
Test(vecmath, every_target_compiles_without_calls) {
  for (size_t i = 0; i < target_count(); ++i) {
    Diagnostics faults;
    JitBuffer object;
    diagnostics_init(&faults, NULL);
    kiln_status status = compile(target_get(i), (Choice){.f32 = true, .f64 = true, .lanes = 4}, &object, &faults);
    cr_expect_eq(status, KILN_OK, "%s: %s", target_get(i)->name,
                 faults.list.count ? faults.list.items[0].message : "no reason");
    if (status == KILN_OK) jit_buffer_release(&object);
    diagnostics_release(&faults);
  }
}
