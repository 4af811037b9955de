/* vecmath.c: exp, log, tanh, erf and rsqrt as straight-line LLVM IR.
 *
 * One algorithm serves float and double where it can, with other coefficients. Those were fitted for this file: Remez
 * or Lawson minimax fits, then, for float, a random walk over the last bits that minimises the error of the rounded
 * evaluation, with and without fused multiply-add together. Coefficients are written exactly; those of float tables are
 * floats. The errors given are the largest ones measured over all 2^32 floats (bench/results/vecmath.md).
 *
 * It assumes that nothing reassociates: rounding to an integer is adding 1.5 * 2^mantissa bits (floor, rint and the
 * like are calls where SSE4.1 is missing), and the order of the additions carries the accuracy. */
#include "lower/vecmath.h"

#include <math.h>
#include <string.h>

#include "ir/support/support.h"

/* ---- emission ---------------------------------------------------------------------------------------------------- */

typedef struct Callee {
  LLVMTypeRef type;
  LLVMValueRef function;
} Callee;

/* What the functions below need to know of one argument. */
typedef struct Shape {
  const VecMath *v;
  LLVMBuilderRef builder;
  LLVMTypeRef element, real, integer; /* of a lane; of the argument; and the integers of the same bits */
  LLVMValueRef lanes;                 /* the shuffle mask that splats; NULL: a scalar */
  unsigned mantissa, bias;            /* stored mantissa bits; exponent bias */
  bool is_double;
  Callee fma; /* finding it costs as much as emitting ten operations; function NULL: no such instruction */
} Shape;

/* An intrinsic; overloaded ones on the argument's type alone. */
static Callee find(const Shape *s, const char *name) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMTypeRef overload = s->real;
  LLVMValueRef function =
      LLVMGetIntrinsicDeclaration(s->v->module, id, &overload, LLVMIntrinsicIsOverloaded(id) ? 1 : 0);
  return (Callee){LLVMGlobalGetValueType(function), function};
}

static Shape shape_of(const VecMath *v, LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  bool is_vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
  unsigned lanes = is_vector ? LLVMGetVectorSize(type) : 1;
  Shape s = {.v = v, .builder = v->builder, .element = is_vector ? LLVMGetElementType(type) : type, .real = type};
  s.is_double = LLVMGetTypeKind(s.element) == LLVMDoubleTypeKind;
  KILN_ASSERT(s.is_double || LLVMGetTypeKind(s.element) == LLVMFloatTypeKind);
  s.mantissa = s.is_double ? 52 : 23;
  s.bias = s.is_double ? 1023 : 127;
  LLVMTypeRef integer = LLVMIntTypeInContext(v->context, s.is_double ? 64 : 32);
  s.integer = is_vector ? LLVMVectorType(integer, lanes) : integer;
  if (is_vector) s.lanes = LLVMConstNull(LLVMVectorType(LLVMInt32TypeInContext(v->context), lanes));
  if (v->fma) s.fma = find(&s, "llvm.fma");
  return s;
}

static LLVMValueRef splat(const Shape *s, LLVMValueRef constant) {
  if (!s->lanes) return constant;
  LLVMValueRef one = LLVMConstVector(&constant, 1);
  return LLVMBuildShuffleVector(s->builder, one, LLVMGetPoison(LLVMTypeOf(one)), s->lanes, "");
}

static LLVMValueRef number(const Shape *s, double value) { return splat(s, LLVMConstReal(s->element, value)); }

static LLVMValueRef bits(const Shape *s, int64_t value) {
  LLVMTypeRef integer = s->lanes ? LLVMGetElementType(s->integer) : s->integer;
  return splat(s, LLVMConstInt(integer, (unsigned long long)value, true));
}

static LLVMValueRef to_bits(const Shape *s, LLVMValueRef x) { return LLVMBuildBitCast(s->builder, x, s->integer, ""); }
static LLVMValueRef to_real(const Shape *s, LLVMValueRef x) { return LLVMBuildBitCast(s->builder, x, s->real, ""); }

static LLVMValueRef call(const Shape *s, const char *name, int count, LLVMValueRef *arguments) {
  Callee callee = find(s, name);
  return LLVMBuildCall2(s->builder, callee.type, callee.function, arguments, (unsigned)count, "");
}

static LLVMValueRef add(const Shape *s, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildFAdd(s->builder, x, y, ""); }
static LLVMValueRef sub(const Shape *s, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildFSub(s->builder, x, y, ""); }
static LLVMValueRef mul(const Shape *s, LLVMValueRef x, LLVMValueRef y) { return LLVMBuildFMul(s->builder, x, y, ""); }

/* x * y + z, rounded once or twice. */
static LLVMValueRef fused(const Shape *s, LLVMValueRef x, LLVMValueRef y, LLVMValueRef z) {
  if (!s->fma.function) return add(s, mul(s, x, y), z);
  LLVMValueRef arguments[] = {x, y, z};
  return LLVMBuildCall2(s->builder, s->fma.type, s->fma.function, arguments, 3, "");
}

/* x, or a constant that is not zero where that is less (more); NaN stays. One instruction: minps and its like of x86
 * give their second operand where one is NaN; llvm.minimum is right elsewhere, but for AVX10.2 LLVM 22 takes the sign
 * of the wrong operand (fixed in LLVM's pull request 183452). */
static LLVMValueRef bounded(const Shape *s, LLVMValueRef x, double bound, LLVMRealPredicate wins,
                            const char *intrinsic) {
  LLVMValueRef arguments[] = {x, number(s, bound)};
  if (s->v->target->family != FAMILY_X86_64) return call(s, intrinsic, 2, arguments);
  LLVMValueRef is_better = LLVMBuildFCmp(s->builder, wins, arguments[1], x, "");
  return LLVMBuildSelect(s->builder, is_better, arguments[1], x, "");
}

static LLVMValueRef at_most(const Shape *s, LLVMValueRef x, double bound) {
  return bounded(s, x, bound, LLVMRealOLT, "llvm.minimum");
}

static LLVMValueRef at_least(const Shape *s, LLVMValueRef x, double bound) {
  return bounded(s, x, bound, LLVMRealOGT, "llvm.maximum");
}

/* c[0] + c[1] * x + c[2] * x^2 … */
static LLVMValueRef polynomial(const Shape *s, LLVMValueRef x, const double *c, size_t count) {
  LLVMValueRef sum = number(s, c[count - 1]);
  for (size_t i = count - 1; i-- > 0;) sum = fused(s, x, sum, number(s, c[i]));
  return sum;
}

static LLVMValueRef choose(const Shape *s, LLVMRealPredicate is, LLVMValueRef x, double bound, LLVMValueRef yes,
                           LLVMValueRef no) {
  LLVMValueRef condition = LLVMBuildFCmp(s->builder, is, x, number(s, bound), "");
  return LLVMBuildSelect(s->builder, condition, yes, no, "");
}

/* 1.5 * 2^mantissa: added to a smaller number, it leaves that, rounded, in the low bits. */
static double shifter(const Shape *s) { return s->is_double ? 0x1.8p52 : 0x1.8p23; }

/* ---- exp --------------------------------------------------------------------------------------------------------- */

/* exp(x) = 2^n * exp(r), n the integer nearest to x / ln 2, |r| <= ln 2 / 2. ln 2 is split in two so that n times the
 * first part is exact without fma too. Beyond [low, high] the result is that at the bound: 0 and infinity.
 *
 * float: degree 6, 0.91 ulp with fma, 1.18 without. double: degree 11, 0.9 and 1.2. */
typedef struct ExpTable {
  double log2_e, ln2_high, ln2_low;
  double low, high;
  size_t count;
  double c[12];
} ExpTable;

static const ExpTable exp_float = {
    0x1.715476p+0,
    0x1.62e4p-1,
    0x1.7f7d1cp-20,
    -104,
    89,
    7,
    {1, 1, 0x1.fffffap-2, 0x1.555490p-3, 0x1.555a6ap-5, 0x1.123b2cp-7, 0x1.693eb2p-10},
};
static const ExpTable exp_double = {
    0x1.71547652b82fep+0,
    0x1.62e42fefa3p-1,
    0x1.3de6af278ece6p-42,
    -746,
    710,
    12,
    {1, 1, 0x1.0000000000001p-1, 0x1.5555555555556p-3, 0x1.5555555553d4fp-5, 0x1.11111111109adp-7,
     0x1.6c16c17893833p-10, 0x1.a01a01a7c8d47p-13, 0x1.a019b8ef67c6cp-16, 0x1.71de0d9c145d0p-19, 0x1.2891a8c1d838dp-22,
     0x1.af38d53857513p-26},
};

/* AVX-512's x * 2^floor(n), which rounds subnormal results once and overflows: four instructions less than `scale`.
 * NULL: the target or the number of lanes has none. */
static LLVMValueRef scale_avx512(const Shape *s, LLVMValueRef x, LLVMValueRef n) {
  unsigned lanes = s->lanes ? LLVMGetVectorSize(s->real) : 1;
  const char *name = lanes == 16  ? "llvm.x86.avx512.mask.scalef.ps.512"
                     : lanes == 8 ? "llvm.x86.avx512.mask.scalef.ps.256"
                     : lanes == 4 ? "llvm.x86.avx512.mask.scalef.ps.128"
                                  : NULL;
  if (s->is_double || !name || !target_has(s->v->target, lanes == 16 ? FEATURE_AVX512F : FEATURE_AVX512VL)) return NULL;
  Callee callee = find(s, name);
  LLVMTypeRef mask = LLVMIntTypeInContext(s->v->context, lanes == 16 ? 16 : 8);
  LLVMValueRef arguments[] = {x, n, LLVMConstNull(s->real), LLVMConstAllOnes(mask),
                              LLVMConstInt(LLVMInt32TypeInContext(s->v->context), 4, false)}; /* the current rounding */
  return LLVMBuildCall2(s->builder, callee.type, callee.function, arguments, lanes == 16 ? 5 : 4, "exp");
}

/* x * 2^n, rounded once, where the low bits of `shifted` are n + bias - 1. The range of n exceeds that of exponents, so
 * 2^(n-1) is split: up to a limit into itself and 1, below the limit into 2^limit and the rest. x is multiplied rather
 * than its exponent incremented, to keep NaN. */
static LLVMValueRef scale(const Shape *s, LLVMValueRef x, LLVMValueRef shifted) {
  int64_t limit = (int64_t)(s->is_double ? 122 : 26) << s->mantissa;
  LLVMValueRef exponent = LLVMBuildShl(s->builder, to_bits(s, shifted), bits(s, s->mantissa), "");
  LLVMValueRef is_large = LLVMBuildICmp(s->builder, LLVMIntSGT, exponent, bits(s, limit), "");
  LLVMValueRef last = LLVMBuildSelect(s->builder, is_large, exponent, bits(s, limit), "");
  LLVMValueRef rest = LLVMBuildSub(s->builder, exponent, last, "");
  LLVMValueRef first = LLVMBuildAdd(s->builder, rest, bits(s, (int64_t)(s->bias + 1) << s->mantissa), "");
  return mul(s, mul(s, x, to_real(s, first)), to_real(s, last));
}

static LLVMValueRef emit_exp(const Shape *s, LLVMValueRef x) {
  const ExpTable *t = s->is_double ? &exp_double : &exp_float;
  x = at_least(s, at_most(s, x, t->high), t->low);
  LLVMValueRef origin = number(s, shifter(s) + s->bias - 1);
  LLVMValueRef shifted = fused(s, x, number(s, t->log2_e), origin);
  LLVMValueRef n = sub(s, shifted, origin);
  LLVMValueRef r = fused(s, n, number(s, -t->ln2_high), x);
  r = fused(s, n, number(s, -t->ln2_low), r);
  LLVMValueRef power = polynomial(s, r, t->c, t->count);
  LLVMValueRef scaled = scale_avx512(s, power, n);
  return scaled ? scaled : scale(s, power, shifted);
}

LLVMValueRef lower_vec_exp(const VecMath *v, LLVMValueRef x) {
  Shape s = shape_of(v, x);
  return emit_exp(&s, x);
}

/* ---- log --------------------------------------------------------------------------------------------------------- */

/* log(x) = e * ln 2 + log(1 + f), x = 2^e * (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = f + f^2 * c(f).
 * With e = 0 nothing is added to f but the polynomial's part, so the error stays relative near 1. Subnormal arguments
 * are scaled first.
 *
 * float: c of degree 7, 1.11 ulp with fma, 1.23 without. double: degree 20, 1.2 and 1.2. */
static const double log_float[] = {-0x1.fffff8p-2, 0x1.5556cep-2, -0x1.00057cp-2, 0x1.98e2a6p-3,
                                   -0x1.5343dep-3, 0x1.30c9dap-3, -0x1.25499cp-3, 0x1.6a27f8p-4};
static const double log_double[] = {
    -0x1.0000000000000p-1, 0x1.5555555555573p-2,  -0x1.ffffffffffe2fp-3, 0x1.9999999993b49p-3,  -0x1.555555556890bp-3,
    0x1.24924927d2db9p-3,  -0x1.fffffff7a924ap-4, 0x1.c71c7001466dep-4,  -0x1.9999999d32f6ep-4, 0x1.745d5d34415f4p-4,
    -0x1.55559850efe46p-4, 0x1.3b0d480b76282p-4,  -0x1.2486d65dcf4a6p-4, 0x1.1169a4d7fdebfp-4,  -0x1.00e991f5201e9p-4,
    0x1.dcd75050f16a7p-5,  -0x1.b34ed1252645ep-5, 0x1.b94e49783bb93p-5,  -0x1.01bcda005a3b9p-4, 0x1.da31967036aa5p-5,
    -0x1.989ae29a8bf90p-6};

/* The results that the formula does not give: of zeros, negative numbers, infinity and NaN. */
static LLVMValueRef log_special(const Shape *s, LLVMValueRef x, LLVMValueRef y) {
  LLVMValueRef infinity = number(s, (double)INFINITY), invalid = number(s, (double)NAN);
  LLVMValueRef pole = choose(s, LLVMRealOEQ, x, 0, LLVMBuildFNeg(s->builder, infinity, ""), invalid);
  y = choose(s, LLVMRealOGT, x, 0, y, pole);
  return choose(s, LLVMRealOEQ, x, (double)INFINITY, x, y);
}

LLVMValueRef lower_vec_log(const VecMath *v, LLVMValueRef x) {
  Shape s = shape_of(v, x);
  const ExpTable *t = s.is_double ? &exp_double : &exp_float;
  int64_t low = s.is_double ? 0x3fe6a09e667f3bcd : 0x3f3504f3; /* sqrt(1/2) */
  int64_t unit = (int64_t)1 << s.mantissa;
  double least = s.is_double ? 0x1p-1022 : 0x1p-126;

  LLVMValueRef is_subnormal = LLVMBuildFCmp(s.builder, LLVMRealOLT, x, number(&s, least), "");
  LLVMValueRef normal = LLVMBuildSelect(s.builder, is_subnormal, mul(&s, x, number(&s, (double)unit)), x, "");
  LLVMValueRef offset = LLVMBuildSelect(s.builder, is_subnormal, bits(&s, low + s.mantissa * unit), bits(&s, low), "");
  LLVMValueRef shifted = LLVMBuildSub(s.builder, to_bits(&s, normal), offset, "");
  LLVMValueRef e = LLVMBuildAShr(s.builder, shifted, bits(&s, s.mantissa), "");
  int64_t origin = s.is_double ? 0x4338000000000000 : 0x4b400000; /* the bits of shifter(): an integer becomes a real */
  e = sub(&s, to_real(&s, LLVMBuildAdd(s.builder, e, bits(&s, origin), "")), number(&s, shifter(&s)));
  LLVMValueRef fraction = LLVMBuildAnd(s.builder, shifted, bits(&s, unit - 1), "");
  LLVMValueRef f = sub(&s, to_real(&s, LLVMBuildAdd(s.builder, fraction, bits(&s, low), "")), number(&s, 1));

  LLVMValueRef c = s.is_double ? polynomial(&s, f, log_double, ARRAY_LENGTH(log_double))
                               : polynomial(&s, f, log_float, ARRAY_LENGTH(log_float));
  LLVMValueRef y = fused(&s, e, number(&s, t->ln2_low), f);
  y = fused(&s, mul(&s, f, f), c, y);
  y = fused(&s, e, number(&s, t->ln2_high), y);
  return log_special(&s, x, y);
}

/* ---- tanh -------------------------------------------------------------------------------------------------------- */

/* tanh(x) = 2ab / (a^2 + b^2), where a / b = tanh(x / 2), a = x * p(x^2), b = q(x^2). The doubling damps the error of a
 * / b, so that p and q are short and the rounding of their evaluation does not reach results near 1; one division
 * serves all. Common factors of p and q are free: q(0) = 1.83 keeps the mantissas of b and a^2 + b^2 large, their
 * rounding errors small. At the clamp the quotient is exactly 1, and never more below it.
 *
 * float: degrees 2 and 3, 3.11 ulp with fma, 3.47 without. double: degrees 6 and 6, 2.9 and 3.2. */
typedef struct TanhTable {
  double bound;
  size_t p_count, q_count;
  double p[7], q[7];
} TanhTable;

static const TanhTable tanh_float = {
    0x1.170014p+3,
    3,
    4,
    {0x1.d47d98p-1, 0x1.be5aeap-6, 0x1.b67a5ep-14},
    {0x1.d47d98p+0, 0x1.a7ea6ap-3, 0x1.2167acp-9, 0x1.2ddf6ap-19},
};
static const TanhTable tanh_double = {
    0x1.2c8cp+4,
    7,
    7,
    {0x1.d47d98p-1, 0x1.11940b5d8218fp-5, 0x1.3316d68f211e8p-12, 0x1.e49aa9a43fc54p-21, 0x1.1debb35048de7p-30,
     0x1.a8ef691439d4ap-42, 0x1.644fe018bdf8cp-56},
    {0x1.d47d98p+0, 0x1.c11dc0596bb72p-3, 0x1.d92a622b5c186p-9, 0x1.342589639d034p-16, 0x1.2ae923e5c033ap-25,
     0x1.9c784b2b8bb0dp-36, 0x1.1812020196658p-48},
};

LLVMValueRef lower_vec_tanh(const VecMath *v, LLVMValueRef x) {
  Shape s = shape_of(v, x);
  const TanhTable *t = s.is_double ? &tanh_double : &tanh_float;
  x = at_least(&s, at_most(&s, x, t->bound), -t->bound);
  LLVMValueRef u = mul(&s, x, x);
  LLVMValueRef a = mul(&s, x, polynomial(&s, u, t->p, t->p_count));
  LLVMValueRef b = polynomial(&s, u, t->q, t->q_count);
  LLVMValueRef sum = fused(&s, b, b, mul(&s, a, a));
  return LLVMBuildFDiv(s.builder, mul(&s, a, add(&s, b, b)), sum, "tanh");
}

/* ---- erf --------------------------------------------------------------------------------------------------------- */

/* float: erf(x) = x * c(x^2 - 7) up to where it rounds to 1, c of degree 15: a polynomial around the middle of x^2's
 * range is well conditioned, where powers of x^2 itself would cancel. The coefficients make it exactly 1 at the clamp
 * and never more. 3.90 ulp with fma, 3.71 without; double: 1.4 and 1.6. This costs fewer instructions than 1 - exp(…)
 * or, counting the division, than a quotient. */
static const double erf_float[] = {0x1.82f702p-2,  -0x1.b90aa2p-6,  0x1.75384ep-9,  -0x1.569842p-12,
                                   0x1.3ce1cp-15,  -0x1.1cf8p-18,   0x1.e7ee62p-22, -0x1.869b0ap-25,
                                   0x1.23005ap-28, -0x1.a416a6p-32, 0x1.226b82p-35, -0x1.38db7cp-39,
                                   0x1.010aeep-43, -0x1.adb26cp-47, 0x1.8787f2p-50, -0x1.097564p-54};
static const double erf_bound = 0x1.e84b1cp+1; /* 3.81, where erf is 1 - 1.2 ulp */

/* double: x + x * c(x^2) below 1, degree 11; 1 - exp(-x^2) * c(t) above, t = 1 / (|x| + 3) - 13/72, degree 11. */
static const double erf_near[] = {0x1.06eba8214db68p-3,   -0x1.812746b0379c1p-2,  0x1.ce2f21a040f66p-4,
                                  -0x1.b82ce31203772p-6,  0x1.565bccfa44156p-8,   -0x1.c02db0665e53dp-11,
                                  0x1.f9a2be4f731a1p-14,  -0x1.f4ca838adb73bp-17, 0x1.b981d78881a5dp-20,
                                  -0x1.5c131500d3f88p-23, 0x1.d76af6ca49787p-27,  -0x1.ac9585a44fe29p-31};
static const double erf_far[] = {0x1.a9f324d321d55p-3, 0x1.1c84bd7ea2d12p+1,  0x1.49c66843ad796p+3,
                                 0x1.2fb0a6c841ff7p+5, 0x1.aa6c894e18045p+6,  0x1.9aa3c7d4c654bp+7,
                                 0x1.5cdc48937d017p+7, -0x1.37806cdcd54ddp+8, -0x1.fe5383a09c027p+9,
                                 0x1.22267dfcacef9p+5, 0x1.505fcd4daa7ecp+12, -0x1.58a807779dc8cp+12};

static LLVMValueRef erf_of_double(const Shape *s, LLVMValueRef x) {
  LLVMValueRef a = at_most(s, call(s, "llvm.fabs", 1, &x), 6);
  LLVMValueRef u = mul(s, a, a);
  LLVMValueRef near = fused(s, a, polynomial(s, u, erf_near, ARRAY_LENGTH(erf_near)), a);
  LLVMValueRef inverse = LLVMBuildFDiv(s->builder, number(s, 1), add(s, a, number(s, 3)), "");
  LLVMValueRef t = sub(s, inverse, number(s, 0.18055555555555555));
  LLVMValueRef gauss = emit_exp(s, LLVMBuildFNeg(s->builder, u, ""));
  LLVMValueRef far = sub(s, number(s, 1), mul(s, gauss, polynomial(s, t, erf_far, ARRAY_LENGTH(erf_far))));
  LLVMValueRef arguments[] = {choose(s, LLVMRealOLT, a, 1, near, far), x};
  return call(s, "llvm.copysign", 2, arguments);
}

LLVMValueRef lower_vec_erf(const VecMath *v, LLVMValueRef x) {
  Shape s = shape_of(v, x);
  if (s.is_double) return erf_of_double(&s, x);
  x = at_least(&s, at_most(&s, x, erf_bound), -erf_bound);
  LLVMValueRef shifted = fused(&s, x, x, number(&s, -7));
  return mul(&s, x, polynomial(&s, shifted, erf_float, ARRAY_LENGTH(erf_float)));
}

/* ---- rsqrt ------------------------------------------------------------------------------------------------------- */

/* Two correctly rounded steps: 1.5 ulp at most. An estimate with Newton steps is faster, but its uses are one per row.
 */
LLVMValueRef lower_vec_rsqrt(const VecMath *v, LLVMValueRef x) {
  Shape s = shape_of(v, x);
  return LLVMBuildFDiv(s.builder, number(&s, 1), call(&s, "llvm.sqrt", 1, &x), "rsqrt");
}
