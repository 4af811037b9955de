/* test_tile_proofs.c: the kernels of tests/golden/tile/proof_*.tile, written by hand to show what tile IR can say,
 * against plain loops in C.
 *
 * A kernel is run by each Runner: the interpreter, which must give the plain loops' bits (`slack` 0), and its code on
 * this machine, which gets a tolerance in units of the accumulator's rounding error. Data of kind EXACT are small
 * integers, whose sums no order of additions changes. */
#include "ir/tile/tile.h"
#include "kiln/args.h"
#include "kiln/tile.h"
#include "tests/numeric/ladder.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- running ----------------------------------------------------------------------------------------------------- */

typedef struct Proof {
  const char *file;
  Module *module;
  Text text;
  kiln_engine *engine;
  kiln_tile *tile;
  kiln_tile_code *code; /* for this machine */
} Proof;

typedef struct Runner {
  const char *name;
  void (*run)(const Proof *proof, const char *kernel, const kiln_args *args, int64_t tasks);
  double slack;
} Runner;

static void read_file(const char *file, Text *text) {
  char path[1000], part[4096];
  snprintf(path, sizeof path, "%s/tests/golden/tile/%s", KILN_SOURCE_DIR, file);
  FILE *stream = fopen(path, "r");
  cr_assert_not_null(stream, "%s", path);
  for (size_t length; (length = fread(part, 1, sizeof part, stream)) > 0;) text_add_bytes(text, part, length);
  fclose(stream);
}

static Proof load(const char *file) {
  Proof proof = {.file = file};
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  text_init(&proof.text, NULL);
  read_file(file, &proof.text);
  proof.module = tile_parse(text_get(&proof.text), proof.text.length, NULL, &faults);
  cr_assert_not_null(proof.module);
  if (faults.list.count == 0) tile_verify(proof.module, &faults);
  cr_assert_eq(faults.list.count, 0, "%s:%u: %s", file, faults.list.items[0].pos.line, faults.list.items[0].message);
  diagnostics_release(&faults);
  kiln_buffer message = {0};
  proof.engine = ladder_engine();
  kiln_status status = kiln_tile_parse(text_get(&proof.text), proof.text.length, NULL, &proof.tile, &message);
  if (status == KILN_OK) status = kiln_tile_compile(proof.engine, proof.tile, NULL, &proof.code, &message);
  cr_assert_eq(status, KILN_OK, "%s: %s", file, message.data);
  kiln_buffer_free(&message);
  return proof;
}

static void unload(Proof *proof) {
  kiln_tile_code_release(proof->code);
  kiln_tile_destroy(proof->tile);
  kiln_engine_destroy(proof->engine);
  module_destroy(proof->module);
  text_release(&proof->text);
}

static const Kernel *find_kernel(const Proof *proof, const char *name) {
  const Kernel *found = NULL;
  for (size_t i = 0; i < proof->module->kernels.count; i++) {
    const Kernel *kernel = proof->module->kernels.items[i];
    if (strcmp(kernel->name, name) == 0) found = kernel;
  }
  cr_assert_not_null(found, "%s has no kernel @%s", proof->file, name);
  return found;
}

static void run_interpreter(const Proof *proof, const char *kernel, const kiln_args *args, int64_t tasks) {
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  TileRun run = {.buffers = args->buffers, .symbols = args->dims};
  kiln_status status = tile_interpret(find_kernel(proof, kernel), &run, 0, tasks, NULL, &faults);
  cr_assert_eq(status, KILN_OK, "%s:%u: %s", proof->file, faults.list.items[0].pos.line, faults.list.items[0].message);
  diagnostics_release(&faults);
}

static void run_code(const Proof *proof, const char *kernel, const kiln_args *args, int64_t tasks) {
  kiln_entry *entry;
  void *function = kiln_tile_function(proof->code, kernel);
  cr_assert_not_null(function);
  memcpy(&entry, &function, sizeof entry);
  for (int64_t task = 0; task < tasks; ++task) entry(args, task);
}

static const Runner runners[] = {{"interpreter", run_interpreter, 0}, {"code", run_code, 4}};

static void run(const Runner *runner, const Proof *proof, const char *kernel, void *const *buffers,
                const int64_t *symbols) {
  kiln_args args = {.buffers = buffers, .dims = symbols};
  runner->run(proof, kernel, &args, tile_tasks(find_kernel(proof, kernel), symbols));
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

typedef enum Kind { EXACT, RANDOM } Kind;

typedef struct Random {
  uint64_t state;
} Random;

static uint32_t next(Random *random) {
  random->state = random->state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(random->state >> 33);
}

/* EXACT: an integer from -4 to 4; RANDOM: a real of [-1, 1). */
static double next_real(Random *random, Kind kind) {
  uint32_t bits = next(random);
  return kind == EXACT ? (double)(bits % 9) - 4 : (double)bits / 0x1p30 - 1;
}

enum { CANARY_BYTES = 64, CANARY = 0xa5 };

/* `count` elements with canaries in front and behind; memory the kernel has no business in. */
typedef struct Array {
  kiln_type type;
  size_t count;
  char *memory;
  void *elements;
} Array;

static Array make_array(kiln_type type, int64_t count) {
  size_t bytes = type_bytes(type, (size_t)count);
  Array array = {.type = type, .count = (size_t)count, .memory = malloc(bytes + 2 * CANARY_BYTES)};
  cr_assert_not_null(array.memory);
  array.elements = array.memory + CANARY_BYTES;
  memset(array.memory, CANARY, bytes + 2 * CANARY_BYTES);
  return array;
}

static Array make_reals(kiln_type type, int64_t count, Random *random, Kind kind) {
  Array array = make_array(type, count);
  for (size_t i = 0; i < array.count; i++) type_store(type, array.elements, i, next_real(random, kind));
  return array;
}

/* Integers over all of the type. */
static Array make_integers(kiln_type type, int64_t count, Random *random) {
  Array array = make_array(type, count);
  unsigned values = 1u << type_bits(type);
  double least = type_class(type) == CLASS_SIGNED ? -(double)values / 2 : 0;
  for (size_t i = 0; i < array.count; i++) type_store(type, array.elements, i, least + (double)(next(random) % values));
  return array;
}

static double get(const Array *array, int64_t index) { return type_load(array->type, array->elements, (size_t)index); }

static bool is_canary(const char *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if ((unsigned char)bytes[i] != CANARY) return false;
  }
  return true;
}

static void release_array(Array *array) {
  size_t bytes = type_bytes(array->type, array->count);
  cr_expect(is_canary(array->memory, CANARY_BYTES), "written in front of an array");
  cr_expect(is_canary(array->memory + CANARY_BYTES + bytes, CANARY_BYTES), "written behind an array");
  free(array->memory);
}

/* The same elements in another layout, 0 in the padding. `dims` are those of the type. */
static Array pack(const Array *from, const BufType *type) {
  Array packed = make_array(from->type, buf_span(type, NULL));
  memset(packed.elements, 0, type_bytes(packed.type, packed.count));
  int64_t cols = type->dims[1].number;
  for (int64_t i = 0; i < type->dims[0].number * cols; i++)
    type_store(packed.type, packed.elements, (size_t)buf_offset(type, NULL, (int64_t[]){i / cols, i % cols}),
               get(from, i));
  return packed;
}

static BufType col_panel(kiln_type type, int64_t rows, int64_t cols, int panel, int group) {
  return (BufType){.type = type,
                   .rank = 2,
                   .dims = {extent_number(rows), extent_number(cols)},
                   .layout = LAYOUT_COL_PANEL,
                   .panel = panel,
                   .group = group};
}

static void check_near(double found, double expected, double tolerance, const char *what, int64_t row, int64_t col) {
  bool is_near = tolerance > 0 ? fabs(found - expected) <= tolerance : found == expected;
  cr_assert(is_near, "%s: (%lld, %lld) is %.9g, expected %.9g within %.3g", what, (long long)row, (long long)col, found,
            expected, tolerance);
}

/* ---- GEMM in f32 and bf16 ---------------------------------------------------------------------------------------- */

/* Row i of a times column j of b as the interpreter adds: f32, one rounding a step, k ascending; `*magnitude` is the
 * sum of the absolute products. */
static float dot(const Array *a, int64_t lda, const Array *b, int64_t n, int64_t k, int64_t i, int64_t j,
                 double *magnitude) {
  float sum = 0;
  *magnitude = 0;
  for (int64_t p = 0; p < k; p++) {
    double x = get(a, i * lda + p), y = get(b, p * n + j);
    sum = fmaf((float)x, (float)y, sum);
    *magnitude += fabs(x * y);
  }
  return sum;
}

static double tolerance_of(const Runner *runner, Kind kind, int64_t k, double magnitude) {
  return kind == EXACT ? 0 : runner->slack * (double)k * 0x1p-24 * magnitude;
}

static void check_gemm_f32(const Runner *runner, const Proof *proof, int64_t m, int64_t n, int64_t k, Kind kind) {
  Random random = {(uint64_t)(m * 10007 + n * 101 + k)};
  int64_t lda = k + 3, ldc = n + 2;
  Array a = make_reals(KILN_F32, m * lda, &random, kind), b = make_reals(KILN_F32, k * n, &random, kind);
  Array c = make_array(KILN_F32, m * ldc);
  run(runner, proof, "gemm_f32", (void *[]){a.elements, b.elements, c.elements}, (int64_t[]){m, n, k, lda, ldc});
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) {
      double magnitude;
      float expected = dot(&a, lda, &b, n, k, i, j, &magnitude);
      check_near(get(&c, i * ldc + j), (double)expected, tolerance_of(runner, kind, k, magnitude), runner->name, i, j);
    }
    cr_assert(is_canary((char *)c.elements + 4 * (i * ldc + n), 4 * (size_t)(ldc - n)), "padding of c is written");
  }
  release_array(&a);
  release_array(&b);
  release_array(&c);
}

static void check_gemm_bf16(const Runner *runner, const Proof *proof, int64_t m, int64_t n, int64_t k, Kind kind) {
  Random random = {(uint64_t)(m * 10007 + n * 101 + k)};
  int64_t lda = k + 2;
  Array a = make_reals(KILN_BF16, m * lda, &random, kind), b = make_reals(KILN_BF16, k * n, &random, kind);
  Array c = make_array(KILN_BF16, m * n);
  BufType type = col_panel(KILN_BF16, k, n, 32, 2);
  Array packed = pack(&b, &type);
  run(runner, proof, "gemm_bf16", (void *[]){a.elements, packed.elements, c.elements}, (int64_t[]){m, n, k, lda});
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) {
      double magnitude;
      double expected = type_round(KILN_BF16, (double)dot(&a, lda, &b, n, k, i, j, &magnitude));
      double tolerance = tolerance_of(runner, kind, k, magnitude);
      if (tolerance > 0) tolerance += 0x1p-7 * fabs(expected); /* the sums may round to neighbours */
      check_near(get(&c, i * n + j), expected, tolerance, runner->name, i, j);
    }
  }
  release_array(&a);
  release_array(&b);
  release_array(&packed);
  release_array(&c);
}

typedef void CheckGemm(const Runner *runner, const Proof *proof, int64_t m, int64_t n, int64_t k, Kind kind);

/* All of ms x ns x ks; lists end with -1. */
static void check_sizes(const char *file, CheckGemm *check, const int64_t *ms, const int64_t *ns, const int64_t *ks) {
  Proof proof = load(file);
  for (size_t r = 0; r < ARRAY_LENGTH(runners); r++) {
    for (const int64_t *m = ms; *m >= 0; m++) {
      for (const int64_t *n = ns; *n >= 0; n++) {
        for (const int64_t *k = ks; *k >= 0; k++) {
          check(&runners[r], &proof, *m, *n, *k, EXACT);
          check(&runners[r], &proof, *m, *n, *k, RANDOM);
        }
      }
    }
  }
  unload(&proof);
}

Test(tile_proofs, gemm_f32) {
  static const int64_t ms[] = {0, 1, 3, 4, 5, 9, -1}, ns[] = {0, 1, 31, 32, 33, 65, -1}, ks[] = {0, 1, 2, 3, 17, -1};
  check_sizes("proof_gemm_f32.tile", check_gemm_f32, ms, ns, ks);
}

Test(tile_proofs, gemm_bf16) {
  static const int64_t ms[] = {1, 31, 32, 33, -1}, ns[] = {1, 32, 50, -1}, ks[] = {0, 1, 2, 31, 32, 33, 66, -1};
  check_sizes("proof_gemm_bf16.tile", check_gemm_bf16, ms, ns, ks);
}

/* ---- GEMM in u8 and i8 with requantisation ----------------------------------------------------------------------- */

static float quantised(int32_t sum, int32_t column_sum, float scale, float bias, int32_t zero_a, float zero_c) {
  float real = (float)(sum - zero_a * column_sum);
  float scaled = real * scale;
  float biased = scaled + bias;
  float shifted = nearbyintf(biased) + zero_c;
  return shifted < -128 ? -128 : shifted > 127 ? 127 : shifted;
}

static void check_gemm_u8i8(const Runner *runner, const Proof *proof, int64_t m, int64_t n, int64_t k, Kind kind) {
  Random random = {(uint64_t)(m * 10007 + n * 101 + k)};
  int64_t lda = k + 1;
  int32_t zero_a = 117;
  float zero_c = -5;
  Array a = make_integers(KILN_U8, m * lda, &random), b = make_integers(KILN_I8, k * n, &random);
  Array scale = make_reals(KILN_F32, n, &random, RANDOM), bias = make_reals(KILN_F32, n, &random, kind);
  /* about half of the results saturate */
  for (int64_t j = 0; j < n; j++)
    type_store(KILN_F32, scale.elements, (size_t)j, fabs(get(&scale, j)) * 0.03 / sqrt((double)k + 1));
  BufType type = col_panel(KILN_I8, k, n, 16, 4);
  Array packed = make_array(KILN_I8, buf_span(&type, NULL)), sums = make_array(KILN_I32, n),
        c = make_array(KILN_I8, m * n);
  run(runner, proof, "pack_i8", (void *[]){b.elements, packed.elements, sums.elements}, (int64_t[]){n, k});
  Array expected_packed = pack(&b, &type);
  cr_assert_arr_eq(packed.elements, expected_packed.elements, packed.count);
  run(runner, proof, "gemm_u8i8",
      (void *[]){a.elements, packed.elements, sums.elements, scale.elements, bias.elements, &zero_a, &zero_c,
                 c.elements},
      (int64_t[]){m, n, k, lda});
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) {
      int32_t sum = 0, column_sum = 0;
      for (int64_t p = 0; p < k; p++) {
        sum += (int32_t)get(&a, i * lda + p) * (int32_t)get(&b, p * n + j);
        column_sum += (int32_t)get(&b, p * n + j);
      }
      cr_assert_eq(get(&sums, j), column_sum);
      float expected = quantised(sum, column_sum, (float)get(&scale, j), (float)get(&bias, j), zero_a, zero_c);
      check_near(get(&c, i * n + j), (double)expected, 0, runner->name, i, j);
    }
  }
  Array *arrays[] = {&a, &b, &scale, &bias, &packed, &sums, &c, &expected_packed};
  for (size_t i = 0; i < ARRAY_LENGTH(arrays); i++) release_array(arrays[i]);
}

Test(tile_proofs, gemm_u8i8) {
  static const int64_t ms[] = {1, 7, 8, 9, 20, -1}, ns[] = {1, 15, 16, 17, 40, -1}, ks[] = {0, 1, 3, 4, 5, 30, -1};
  check_sizes("proof_gemm_u8i8.tile", check_gemm_u8i8, ms, ns, ks);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

enum { HEAD = 32 };

/* Row i of softmax(q @ k.T * scale) @ v, in double. */
static void attend(const Array *q, const Array *k, const Array *v, int64_t s, int64_t i, double out[HEAD]) {
  double scores[256], max = -INFINITY, sum = 0;
  cr_assert_leq(s, 256);
  for (int64_t j = 0; j < s; j++) {
    scores[j] = 0;
    for (int64_t d = 0; d < HEAD; d++) scores[j] += get(q, i * HEAD + d) * get(k, j * HEAD + d);
    scores[j] /= sqrt(HEAD);
    max = fmax(max, scores[j]);
  }
  memset(out, 0, sizeof *out * HEAD);
  for (int64_t j = 0; j < s; j++) {
    double weight = exp(scores[j] - max);
    sum += weight;
    for (int64_t d = 0; d < HEAD; d++) out[d] += weight * get(v, j * HEAD + d);
  }
  for (int64_t d = 0; d < HEAD; d++) out[d] /= sum;
}

/* Scores reach sharpness^2 * sqrt(HEAD) about. */
static void check_attention(const Runner *runner, const Proof *proof, int64_t m, int64_t s, double sharpness) {
  Random random = {(uint64_t)(m * 10007 + s)};
  Array q = make_reals(KILN_F32, m * HEAD, &random, RANDOM), k = make_reals(KILN_F32, s * HEAD, &random, RANDOM);
  Array v = make_reals(KILN_F32, s * HEAD, &random, RANDOM), o = make_array(KILN_F32, m * HEAD);
  for (int64_t i = 0; i < m * HEAD; i++) type_store(KILN_F32, q.elements, (size_t)i, sharpness * get(&q, i));
  for (int64_t i = 0; i < s * HEAD; i++) type_store(KILN_F32, k.elements, (size_t)i, sharpness * get(&k, i));
  run(runner, proof, "attention", (void *[]){q.elements, k.elements, v.elements, o.elements}, (int64_t[]){m, s});
  for (int64_t i = 0; i < m; i++) {
    double expected[HEAD];
    attend(&q, &k, &v, s, i, expected);
    /* an error of a score is an equal relative error of its weight */
    double tolerance = 1e-6 * (1 + sharpness * sharpness * sqrt(HEAD));
    for (int64_t d = 0; d < HEAD; d++) check_near(get(&o, i * HEAD + d), expected[d], tolerance, runner->name, i, d);
  }
  Array *arrays[] = {&q, &k, &v, &o};
  for (size_t i = 0; i < ARRAY_LENGTH(arrays); i++) release_array(arrays[i]);
}

Test(tile_proofs, attention) {
  static const int64_t ms[] = {1, 7, 8, 9, 20}, ss[] = {1, 15, 16, 17, 40, 64, 200};
  Proof proof = load("proof_attention.tile");
  for (size_t r = 0; r < ARRAY_LENGTH(runners); r++) {
    for (size_t m = 0; m < ARRAY_LENGTH(ms); m++) {
      for (size_t s = 0; s < ARRAY_LENGTH(ss); s++) {
        check_attention(&runners[r], &proof, ms[m], ss[s], 1);
        check_attention(&runners[r], &proof, ms[m], ss[s], 6);
      }
    }
  }
  unload(&proof);
}

/* ---- int4 -------------------------------------------------------------------------------------------------------- */

enum { GROUP = 32 };

/* Rows r and r + 16 of a group in a byte; what is past k is anything. */
static Array pack_bytes(const Array *q, int64_t k, int64_t n) {
  int64_t groups = (k + GROUP - 1) / GROUP;
  Array bytes = make_array(KILN_U8, groups * GROUP / 2 * n);
  uint8_t *to = bytes.elements;
  for (int64_t row = 0; row < k; row++) {
    for (int64_t j = 0; j < n; j++) {
      int64_t in_group = row % GROUP;
      uint8_t *byte = &to[(row / GROUP * GROUP / 2 + in_group % (GROUP / 2)) * n + j];
      unsigned nibble = (unsigned)(int)get(q, row * n + j) & 0xf;
      *byte = (uint8_t)(in_group < GROUP / 2 ? (*byte & 0xf0) | nibble : (*byte & 0x0f) | nibble << 4);
    }
  }
  return bytes;
}

static void check_int4(const Runner *runner, const Proof *proof, int64_t k, int64_t n) {
  Random random = {(uint64_t)(k * 101 + n)};
  int64_t groups = (k + GROUP - 1) / GROUP;
  Array q = make_integers(KILN_I4, k * n, &random), scale = make_reals(KILN_F32, groups * n, &random, RANDOM);
  Array bytes = pack_bytes(&q, k, n);
  int64_t symbols[] = {k, n, groups};
  for (int form = 0; form < 2; form++) {
    Array w = make_array(KILN_F32, k * n);
    run(runner, proof, form ? "unpack_bytes" : "unpack_i4",
        (void *[]){form ? bytes.elements : q.elements, scale.elements, w.elements}, symbols);
    for (int64_t i = 0; i < k * n; i++) {
      float expected = (float)get(&q, i) * (float)get(&scale, i / n / GROUP * n + i % n);
      check_near(get(&w, i), (double)expected, 0, runner->name, i / n, i % n);
    }
    release_array(&w);
  }
  release_array(&q);
  release_array(&scale);
  release_array(&bytes);
}

Test(tile_proofs, int4) {
  static const int64_t ks[] = {1, 4, 16, 17, 31, 32, 33, 70, 128}, ns[] = {2, 30, 32, 34, 66};
  Proof proof = load("proof_int4.tile");
  for (size_t r = 0; r < ARRAY_LENGTH(runners); r++) {
    for (size_t k = 0; k < ARRAY_LENGTH(ks); k++) {
      for (size_t n = 0; n < ARRAY_LENGTH(ns); n++) check_int4(&runners[r], &proof, ks[k], ns[n]);
    }
  }
  unload(&proof);
}
