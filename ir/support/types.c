/* types.c: element types: facts from the table, rounding, and reading and writing of single elements.
 *
 * The oracle's arithmetic rests on this file, so it is written to be seen right, not to be fast. Assumes the default
 * rounding mode. */
#include "ir/support/support.h"

#include <math.h>
#include <string.h>

static const struct {
  const char *name;
  unsigned bits;
  TypeClass class;
  const char *meaning;
} type_rows[] = {
#define KILN_TYPE(enumerator, name, bits, class, meaning) {name, bits, CLASS_##class, meaning},
#include "kiln/types.def"
#undef KILN_TYPE
};

/* The small binary floats, as IEEE 754 describes a format. In f8e4m3 the top exponent holds numbers too, and only all
 * ones is NaN (OCP 8-bit Floating Point Specification, section 5). */
typedef struct FloatFormat {
  int digits;     /* of the significand, with the leading one */
  int bias;       /* smallest normal exponent: 1 - bias */
  double largest; /* finite */
  bool has_infinity;
  unsigned infinity; /* bits of it, or of NaN where there is none */
  unsigned nan;
} FloatFormat;

static FloatFormat float_format(kiln_type type) {
  if (type == KILN_F16) return (FloatFormat){11, 15, 65504, true, 0x7c00, 0x7e00};
  if (type == KILN_BF16) return (FloatFormat){8, 127, 0x1.fep127, true, 0x7f80, 0x7fc0};
  if (type == KILN_F8E5M2) return (FloatFormat){3, 15, 57344, true, 0x7c, 0x7e};
  KILN_ASSERT(type == KILN_F8E4M3);
  return (FloatFormat){4, 7, 448, false, 0x7f, 0x7f};
}

const char *kiln_type_name(kiln_type type) {
  return (size_t)type < ARRAY_LENGTH(type_rows) ? type_rows[type].name : "unknown";
}

unsigned type_bits(kiln_type type) {
  KILN_ASSERT((size_t)type < ARRAY_LENGTH(type_rows));
  return type_rows[type].bits;
}

TypeClass type_class(kiln_type type) {
  KILN_ASSERT((size_t)type < ARRAY_LENGTH(type_rows));
  return type_rows[type].class;
}

const char *type_meaning(kiln_type type) {
  KILN_ASSERT((size_t)type < ARRAY_LENGTH(type_rows));
  return type_rows[type].meaning;
}

bool type_find(const char *name, size_t length, kiln_type *type) {
  for (size_t i = 0; i < ARRAY_LENGTH(type_rows); i++) {
    if (strlen(type_rows[i].name) != length || memcmp(type_rows[i].name, name, length) != 0) continue;
    *type = (kiln_type)i;
    return true;
  }
  return false;
}

size_t type_bytes(kiln_type type, size_t count) {
  unsigned bits = type_bits(type);
  if (bits < 8) return count / 2 + count % 2;
  return count > SIZE_MAX / (bits / 8) ? SIZE_MAX : count * (bits / 8);
}

kiln_type type_compute(kiln_type type) {
  if (type == KILN_F64) return KILN_F64;
  return type_is_floating(type) ? KILN_F32 : KILN_I32;
}

/* Integers and bool: the range of the type. */
static void integer_range(kiln_type type, double *least, double *most) {
  double values = ldexp(1, (int)type_bits(type));
  bool is_signed = type_class(type) == CLASS_SIGNED;
  *least = is_signed ? -values / 2 : 0;
  *most = is_signed ? values / 2 - 1 : values - 1;
}

static double round_integer(kiln_type type, double value) {
  double least, most;
  integer_range(type, &least, &most);
  if (isnan(value)) return 0;
  if (value < least) return least;
  return value > most ? most : nearbyint(value) + 0.0; /* -0 becomes 0 */
}

/* Counts `value` in units of its last place in the format; both steps by powers of two are exact. */
static double round_float(kiln_type type, double value) {
  FloatFormat format = float_format(type);
  if (value == 0 || isnan(value)) return value;
  double limit = format.has_infinity ? INFINITY : NAN;
  if (isinf(value)) return copysign(limit, value);
  int exponent;
  frexp(value, &exponent); /* value = f * 2^exponent, 1/2 <= f < 1 */
  exponent -= 1;
  if (exponent < 1 - format.bias) exponent = 1 - format.bias;
  int last_place = exponent - (format.digits - 1);
  double rounded = ldexp(nearbyint(ldexp(value, -last_place)), last_place);
  return fabs(rounded) > format.largest ? copysign(limit, value) : rounded;
}

double type_round(kiln_type type, double value) {
  if (type == KILN_F64) return value;
  if (type == KILN_F32) return (double)(float)value;
  if (type_is_floating(type)) return round_float(type, value);
  if (type == KILN_BOOL) return value != 0;
  return round_integer(type, value);
}

static double decode_float(kiln_type type, unsigned bits) {
  FloatFormat format = float_format(type);
  unsigned sign_bit = 1u << (type_bits(type) - 1);
  unsigned magnitude = bits & (sign_bit - 1);
  double value;
  if (magnitude == format.infinity && format.has_infinity) {
    value = INFINITY;
  } else if (magnitude >= format.infinity) {
    value = NAN;
  } else {
    unsigned leading = 1u << (format.digits - 1);
    int exponent = (int)(magnitude / leading);
    unsigned fraction = magnitude % leading;
    unsigned significand = exponent ? fraction + leading : fraction;
    value = ldexp(significand, (exponent ? exponent : 1) - format.bias - (format.digits - 1));
  }
  return bits & sign_bit ? -value : value;
}

static unsigned encode_float(kiln_type type, double value) {
  FloatFormat format = float_format(type);
  unsigned sign = signbit(value) ? 1u << (type_bits(type) - 1) : 0;
  value = fabs(round_float(type, value));
  if (isnan(value)) return sign | format.nan;
  if (isinf(value)) return sign | format.infinity;
  if (value == 0) return sign;
  int exponent;
  frexp(value, &exponent);
  exponent -= 1;
  if (exponent < 1 - format.bias) exponent = 1 - format.bias;
  unsigned leading = 1u << (format.digits - 1);
  unsigned significand = (unsigned)ldexp(value, format.digits - 1 - exponent);
  if (significand < leading) return sign | significand; /* subnormal */
  return sign | ((unsigned)(exponent + format.bias) * leading + (significand - leading));
}

static unsigned load_bits(unsigned bits, const void *base, size_t index) {
  const unsigned char *bytes = base;
  if (bits == 4) return (unsigned)bytes[index / 2] >> (index % 2 * 4) & 0xfu;
  if (bits == 8) return bytes[index];
  uint16_t half;
  memcpy(&half, bytes + index * sizeof half, sizeof half);
  return half;
}

static void store_bits(unsigned bits, void *base, size_t index, unsigned value) {
  unsigned char *bytes = base;
  if (bits == 4) {
    unsigned shift = index % 2 * 4;
    bytes[index / 2] = (unsigned char)((bytes[index / 2] & ~(0xfu << shift)) | (value & 0xfu) << shift);
  } else if (bits == 8) {
    bytes[index] = (unsigned char)value;
  } else {
    uint16_t half = (uint16_t)value;
    memcpy(bytes + index * sizeof half, &half, sizeof half);
  }
}

double type_load(kiln_type type, const void *base, size_t index) {
  const char *bytes = base;
  if (type == KILN_F64) {
    double value;
    memcpy(&value, bytes + index * sizeof value, sizeof value);
    return value;
  }
  if (type == KILN_F32) {
    float value;
    memcpy(&value, bytes + index * sizeof value, sizeof value);
    return (double)value;
  }
  if (type == KILN_I32) {
    int32_t value;
    memcpy(&value, bytes + index * sizeof value, sizeof value);
    return value;
  }
  unsigned bits = load_bits(type_bits(type), base, index);
  if (type_is_floating(type)) return decode_float(type, bits);
  if (type == KILN_BOOL) return bits != 0;
  bool is_negative = type_class(type) == CLASS_SIGNED && bits >> (type_bits(type) - 1);
  return (double)bits - (is_negative ? ldexp(1, (int)type_bits(type)) : 0);
}

void type_store(kiln_type type, void *base, size_t index, double value) {
  char *bytes = base;
  if (type == KILN_F64) {
    memcpy(bytes + index * sizeof value, &value, sizeof value);
  } else if (type == KILN_F32) {
    float single = (float)value;
    memcpy(bytes + index * sizeof single, &single, sizeof single);
  } else if (type == KILN_I32) {
    int32_t integer = (int32_t)round_integer(type, value);
    memcpy(bytes + index * sizeof integer, &integer, sizeof integer);
  } else if (type_is_floating(type)) {
    store_bits(type_bits(type), base, index, encode_float(type, value));
  } else {
    store_bits(type_bits(type), base, index, (unsigned)(int)type_round(type, value));
  }
}
