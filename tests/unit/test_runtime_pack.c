/* Packed blobs: size, content, travel through a file, and what is refused. */
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/unit/runtime_help.h"

typedef struct Setup {
  Place place;
  kiln_engine *engine;
  kiln_kernel *kernel;
  Tensors tensors;
  size_t bytes; /* of the blob of w */
} Setup;

static const int64_t nine_rows[] = {9};

static void set_up(Setup *s) {
  place_init(&s->place);
  s->engine = place_engine(&s->place);
  s->kernel = compile(s->engine, GELU);
  s->tensors = make_tensors(s->kernel, GELU, nine_rows);
  cr_assert_eq(kiln_packed_bytes(s->kernel, 1, NULL, &s->bytes), KILN_OK);
}

static void tear_down(Setup *s) {
  free_tensors(&s->tensors);
  kiln_kernel_release(s->kernel);
  kiln_engine_destroy(s->engine);
  place_release(&s->place);
}

Test(runtime_pack, says_what_is_packed) {
  Setup s;
  set_up(&s);
  cr_expect_not(kiln_kernel_is_packed(s.kernel, 0));
  cr_expect(kiln_kernel_is_packed(s.kernel, 1));
  cr_expect_not(kiln_kernel_is_packed(s.kernel, 2));
  cr_expect_not(kiln_kernel_is_packed(s.kernel, 3), "an output");
  cr_expect_not(kiln_kernel_is_packed(NULL, 0));
  cr_expect_geq(s.bytes, 64 * 96 * sizeof(float));
  cr_expect_not_null(kiln_packed_data(s.tensors.blobs[1]));
  cr_expect_null(kiln_packed_data(s.tensors.inputs[1]));
  cr_expect_null(kiln_packed_data(NULL));
  kiln_kernel *as_is = compile_with(s.engine, GELU, (kiln_compile_options){.packing = KILN_PACK_NEVER});
  cr_expect_not(kiln_kernel_is_packed(as_is, 1));
  kiln_kernel_release(as_is);
  tear_down(&s);
}

Test(runtime_pack, refuses_wrong_arguments) {
  Setup s;
  set_up(&s);
  size_t bytes;
  char *blob = s.tensors.blobs[1];
  const void *w = s.tensors.inputs[1];
  cr_expect_eq(kiln_packed_bytes(s.kernel, 0, NULL, &bytes), KILN_INVALID_ARGUMENT, "not packed");
  cr_expect_eq(kiln_packed_bytes(s.kernel, 1, NULL, NULL), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_pack(s.kernel, 0, NULL, w, blob, s.bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_pack(s.kernel, 1, NULL, NULL, blob, s.bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_pack(s.kernel, 1, NULL, (const char *)w + 2, blob, s.bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_pack(s.kernel, 1, NULL, w, NULL, s.bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_pack(s.kernel, 1, NULL, w, blob, s.bytes - 1), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_pack(s.kernel, 1, NULL, w, blob + 4, s.bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_pack(s.kernel, 1, NULL, w, blob, s.bytes), KILN_OK);
  tear_down(&s);
}

/* Written to a file and mapped elsewhere, by another engine. */
Test(runtime_pack, travels_through_a_file) {
  Setup s;
  char path[128];
  set_up(&s);
  snprintf(path, sizeof path, "%s/w.blob", s.place.root);
  FILE *file = fopen(path, "wb");
  cr_assert(file && fwrite(s.tensors.blobs[1], 1, s.bytes, file) == s.bytes);
  fclose(file);
  memset(s.tensors.blobs[1], 0, s.bytes);
  int handle = open(path, O_RDONLY);
  void *mapped = mmap(NULL, s.bytes, PROT_READ, MAP_PRIVATE, handle, 0);
  cr_assert_neq(mapped, MAP_FAILED);
  close(handle);
  kiln_engine *other = place_engine(&s.place);
  kiln_kernel *kernel = compile(other, GELU);
  s.tensors.passed[1] = mapped;
  kiln_call call = call_of(&s.tensors, NULL);
  cr_assert_eq(kiln_run(kernel, &call), KILN_OK);
  expect_right(&s.tensors);
  munmap(mapped, s.bytes);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(other);
  tear_down(&s);
}

static void expect_refused(Setup *s, const char *word) {
  kiln_buffer message;
  kiln_call call = call_of(&s->tensors, NULL);
  cr_expect_eq(kiln_run(s->kernel, &call), KILN_INVALID_ARGUMENT, "%s", word);
  cr_expect_eq(kiln_check_call(s->kernel, &call, &message), KILN_INVALID_ARGUMENT);
  cr_expect(message.data && strstr(message.data, word), "'%s' is not in: %s", word, message.data);
  kiln_buffer_free(&message);
}

Test(runtime_pack, refuses_foreign_and_damaged_blobs) {
  Setup s;
  set_up(&s);
  char *blob = s.tensors.blobs[1];
  for (size_t byte = 0; byte < 128; ++byte) {
    blob[byte] ^= 0x10;
    kiln_call call = call_of(&s.tensors, NULL);
    cr_expect_eq(kiln_run(s.kernel, &call), KILN_INVALID_ARGUMENT, "header byte %zu", byte);
    blob[byte] ^= 0x10;
  }
  blob[0] ^= 1;
  expect_refused(&s, "no blob");
  blob[0] ^= 1, blob[8] ^= 1;
  expect_refused(&s, "version");
  cr_expect_null(kiln_packed_data(blob));
  blob[8] ^= 1, blob[16] ^= 1;
  expect_refused(&s, "damaged");
  blob[16] ^= 1;
  kiln_kernel *narrow = compile_with(s.engine, GELU, (kiln_compile_options){.schedule = "nr=16"});
  size_t bytes;
  cr_assert_eq(kiln_packed_bytes(narrow, 1, NULL, &bytes), KILN_OK);
  char *other = aligned_alloc(64, (bytes + 63) / 64 * 64);
  cr_assert_eq(kiln_pack(narrow, 1, NULL, s.tensors.inputs[1], other, bytes), KILN_OK);
  s.tensors.passed[1] = other;
  expect_refused(&s, "is packed as f32[64, 96] in column panels of 16x1, expected f32[64, 96]");
  free(other);
  kiln_kernel_release(narrow);
  tear_down(&s);
}

/* Sizes of the weight that are symbols: given where it is packed, checked where it is used. */
Test(runtime_pack, symbolic_sizes) {
  static const char text[] = "x: f32[m, k]; w: const f32[k, n]; y: f32 = x @ w; return y";
  Place place;
  size_t bytes;
  place_init(&place);
  kiln_engine *engine = place_engine(&place);
  kiln_kernel *kernel = compile(engine, text);
  cr_assert(kiln_kernel_is_packed(kernel, 1));
  cr_expect_eq(kiln_packed_bytes(kernel, 1, NULL, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_packed_bytes(kernel, 1, (int64_t[]){1, INT64_MAX / 2, 3}, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_packed_bytes(kernel, 1, (int64_t[]){1, -1, 3}, &bytes), KILN_INVALID_ARGUMENT);
  cr_expect_eq(kiln_packed_bytes(kernel, 1, (int64_t[]){(int64_t)1 << 40, 0, (int64_t)1 << 40}, &bytes),
               KILN_INVALID_ARGUMENT);
  expect_runs(kernel, text, (int64_t[]){5, 33, 70}, NULL);
  expect_runs(kernel, text, (int64_t[]){5, 0, 70}, NULL);
  expect_runs(kernel, text, (int64_t[]){0, 3, 1}, NULL);
  Tensors t = make_tensors(kernel, text, (int64_t[]){5, 33, 70});
  kiln_call call = call_of(&t, NULL);
  call.symbols = (int64_t[]){5, 33, 69};
  cr_expect_eq(kiln_run(kernel, &call), KILN_INVALID_ARGUMENT, "a blob of other sizes");
  free_tensors(&t);
  kiln_kernel_release(kernel);
  kiln_engine_destroy(engine);
  place_release(&place);
}
