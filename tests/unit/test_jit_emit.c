/* From an LLVM module to text and objects: every target, no undefined symbols, faults as statuses. */
#include <criterion/criterion.h>
#include <llvm-c/Linker.h>
#include <pthread.h>

#include "jit/emit.h"
#include "jit/jit.h"
#include "jit/llvm.h"
#include "tests/cache/kernels.h"

static const char wide_text[] = "define void @wide(ptr %p) {\n"
                                "  %x = load <16 x float>, ptr %p, align 4\n"
                                "  %y = fadd <16 x float> %x, %x\n"
                                "  store <16 x float> %y, ptr %p, align 4\n"
                                "  ret void\n"
                                "}\n";

/* The text of a stage, NUL-terminated; free with allocator_default. */
static char *stage_text(const char *ir, const char *target, JitEmit options) {
  JitBuffer buffer;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  cr_assert_eq(emit_text(ir, target, &options, &buffer, &faults), KILN_OK);
  diagnostics_release(&faults);
  char *text = allocator_default.alloc(NULL, buffer.size + 1, 1);
  memcpy(text, buffer.data, buffer.size);
  text[buffer.size] = 0;
  jit_buffer_release(&buffer);
  return text;
}

static void expect_refused(const char *ir, const char *sentence) {
  JitBuffer buffer;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = "k", .key_length = 1};
  cr_expect_eq(emit_text(ir, "x86-64", &options, &buffer, &faults), KILN_INTERNAL);
  cr_expect_null(buffer.data);
  cr_assert_gt(faults.list.count, 0);
  cr_expect_not_null(strstr(faults.list.items[0].message, sentence), "%s", faults.list.items[0].message);
  diagnostics_release(&faults);
}

/* LLVM 22 stores all 32 bits of the lane (jit/mend.c). */
Test(jit_emit, a_single_lane_is_stored_in_its_own_type) {
  static const char ir[] =
      "define void @one(<16 x i32> %x, ptr %p) {\n"
      "  %t = trunc <16 x i32> %x to <16 x i8>\n"
      "  call void @llvm.masked.store.v16i8.p0(<16 x i8> %t, ptr align 1 %p, <16 x i1> <i1 true, i1 false, i1 false, "
      "i1 false, i1 false, i1 false, i1 false, i1 false, i1 false, i1 false, i1 false, i1 false, i1 false, i1 false, "
      "i1 false, i1 false>)\n"
      "  ret void\n"
      "}\n";
  char *text = stage_text(ir, "skylake-avx512", (JitEmit){.stage = JIT_STAGE_ASSEMBLY, .key = "k", .key_length = 1});
  cr_expect_null(strstr(text, "vmovss"), "%s", text);
  cr_expect(strstr(text, "vpextrb") != NULL || strstr(text, "movb") != NULL, "%s", text);
  allocator_default.release(NULL, text);
}

Test(jit_emit, every_target_gives_a_kernel) {
  for (size_t i = 0; i < target_count(); ++i) {
    const Target *target = target_get(i);
    JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = "k", .key_length = 1};
    JitBuffer buffer;
    JitObject object;
    JitMetadata metadata;
    Diagnostics faults;
    Arena arena;
    diagnostics_init(&faults, NULL);
    arena_init(&arena, NULL);
    cr_assert_eq(emit_text(kernel_text, target->name, &options, &buffer, &faults), KILN_OK, "%s", target->name);
    cr_assert_eq(jit_object_parse(buffer.data, buffer.size, &object, NULL), KILN_OK);
    cr_expect_eq(object.family, target->family);
    for (size_t s = 1; s < object.symbol_count; ++s)
      cr_expect_neq(jit_object_symbol(&object, s).section, 0, "%s: undefined symbol", target->name);
    cr_assert_eq(jit_metadata_read(&object, &arena, &metadata, NULL), KILN_OK);
    cr_expect_eq(metadata.features, target->features);
    cr_expect_str_eq(metadata.target, target->name);
    arena_release(&arena);
    diagnostics_release(&faults);
    jit_buffer_release(&buffer);
  }
}

Test(jit_emit, vectors_are_as_wide_as_the_target_says) {
  char *narrow = stage_text(wide_text, "haswell", (JitEmit){.stage = JIT_STAGE_ASSEMBLY});
  char *wide = stage_text(wide_text, "sapphirerapids", (JitEmit){.stage = JIT_STAGE_ASSEMBLY});
  cr_expect_not_null(strstr(narrow, "ymm"));
  cr_expect_null(strstr(narrow, "zmm"));
  cr_expect_not_null(strstr(wide, "zmm")); /* though this tuning prefers 256 bits */
  allocator_default.release(NULL, narrow);
  allocator_default.release(NULL, wide);
}

Test(jit_emit, assembly_has_no_calls_and_no_unwind_tables) {
  char *text = stage_text(kernel_text, "sapphirerapids", (JitEmit){.stage = JIT_STAGE_ASSEMBLY});
  cr_expect_null(strstr(text, "call"));
  cr_expect_null(strstr(text, ".cfi"));
  cr_expect_null(strstr(text, "rbp"));
  allocator_default.release(NULL, text);
  text = stage_text(kernel_text, "sapphirerapids", (JitEmit){.stage = JIT_STAGE_ASSEMBLY, .frame_pointers = true});
  cr_expect_not_null(strstr(text, "rbp"));
  allocator_default.release(NULL, text);
}

/* A loop that zeroes or copies memory stays a loop: no pass may turn it into a call. */
Test(jit_emit, loops_do_not_become_library_calls) {
  static const char text[] =
      "define void @clear(ptr %p, i64 %n) {\n"
      "entry:\n  br label %loop\n"
      "loop:\n  %i = phi i64 [ 0, %entry ], [ %next, %loop ]\n"
      "  %q = getelementptr float, ptr %p, i64 %i\n  store float 0.0, ptr %q\n"
      "  %next = add i64 %i, 1\n  %more = icmp ult i64 %next, %n\n  br i1 %more, label %loop, label %done\n"
      "done:\n  ret void\n}\n";
  char *assembly = stage_text(text, "skylake-avx512", (JitEmit){.stage = JIT_STAGE_ASSEMBLY});
  cr_expect_null(strstr(assembly, "mem"));
  allocator_default.release(NULL, assembly);
}

Test(jit_emit, text_stages_say_the_target) {
  char *plain = stage_text(kernel_text, "haswell", (JitEmit){.stage = JIT_STAGE_LLVM});
  char *optimized = stage_text(kernel_text, "haswell", (JitEmit){.stage = JIT_STAGE_OPTIMIZED});
  cr_expect_not_null(strstr(plain, "\"tune-cpu\"=\"haswell\""));
  cr_expect_not_null(strstr(plain, "\"target-cpu\"=\"x86-64\""));
  cr_expect_not_null(strstr(plain, "+fma,+f16c"));
  cr_expect_not_null(strstr(plain, "target triple = \"x86_64-unknown-linux-gnu\""));
  cr_expect_not_null(strstr(optimized, "define void @add"));
  cr_expect_null(strstr(optimized, "kiln.metadata"));
  allocator_default.release(NULL, plain);
  allocator_default.release(NULL, optimized);
}

Test(jit_emit, undefined_symbols_are_refused) {
  expect_refused("declare void @helper()\ndefine void @k() { call void @helper() ret void }\n",
                 "undefined symbol 'helper'");
}

Test(jit_emit, library_calls_of_the_generator_are_refused) {
  expect_refused("declare float @llvm.sin.f32(float)\n"
                 "define float @k(float %x) { %y = call float @llvm.sin.f32(float %x) ret float %y }\n",
                 "undefined symbol 'sinf'");
}

Test(jit_emit, state_is_refused) {
  expect_refused("@count = global i64 1\n"
                 "define i64 @k() { %x = load i64, ptr @count ret i64 %x }\n",
                 "section '.data' is writable");
  expect_refused("@count = global i64 0\n"
                 "define i64 @k() { %x = load i64, ptr @count ret i64 %x }\n",
                 "section '.bss' is writable");
}

Test(jit_emit, invalid_modules_are_reported) {
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef module = LLVMModuleCreateWithNameInContext("broken", context);
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(context), NULL, 0, false);
  LLVMAppendBasicBlockInContext(context, LLVMAddFunction(module, "k", type), "no_terminator");
  JitEmit options = {.stage = JIT_STAGE_OBJECT, .key = "k", .key_length = 1};
  JitBuffer buffer;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  cr_expect_eq(jit_emit(module, target_find("haswell"), &options, NULL, &buffer, &faults), KILN_INTERNAL);
  cr_assert_eq(faults.list.count, 1);
  cr_expect_not_null(strstr(faults.list.items[0].message, "no_terminator"), "%s", faults.list.items[0].message);
  diagnostics_release(&faults);
  LLVMDisposeModule(module);
  LLVMContextDispose(context);
}

static LLVMModuleRef module_with(LLVMContextRef context, const char *function) {
  LLVMModuleRef module = LLVMModuleCreateWithNameInContext("m", context);
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(context), NULL, 0, false);
  LLVMBuilderRef builder = LLVMCreateBuilderInContext(context);
  LLVMPositionBuilderAtEnd(builder,
                           LLVMAppendBasicBlockInContext(context, LLVMAddFunction(module, function, type), "entry"));
  LLVMBuildRetVoid(builder);
  LLVMDisposeBuilder(builder);
  return module;
}

/* LLVM's linker of modules is an easy source of an error that goes to the context only. */
Test(jit_emit, diagnostics_of_a_context_are_collected) {
  LLVMContextRef context = LLVMContextCreate();
  LLVMModuleRef module = module_with(context, "same");
  JitWatch watch;
  Diagnostics faults;
  diagnostics_init(&faults, NULL);
  jit_watch_begin(&watch, context, &faults);
  LLVMLinkModules2(module, module_with(context, "same"));
  cr_expect_eq(jit_watch_end(&watch), KILN_INTERNAL);
  cr_assert_eq(faults.list.count, 1);
  cr_expect_not_null(strstr(faults.list.items[0].message, "same"), "%s", faults.list.items[0].message);
  diagnostics_release(&faults);
  LLVMDisposeModule(module);
  LLVMContextDispose(context);
}

static void *emit_in_thread(void *arg) {
  for (int i = 0; i < 4; ++i) {
    JitBuffer object = make_object("k"), *expected = arg;
    cr_assert_eq(object.size, expected->size);
    cr_assert_eq(memcmp(object.data, expected->data, object.size), 0);
    jit_buffer_release(&object);
  }
  return NULL;
}

Test(jit_emit, concurrent_emission_gives_the_same_bytes) {
  pthread_t threads[4];
  JitBuffer expected = make_object("k");
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i)
    cr_assert_eq(pthread_create(&threads[i], NULL, emit_in_thread, &expected), 0);
  for (size_t i = 0; i < ARRAY_LENGTH(threads); ++i) pthread_join(threads[i], NULL);
  jit_buffer_release(&expected);
}

Test(jit_emit, the_host_is_some_target) {
  TargetFamily family;
  cr_assert(jit_host_family(&family));
  const Target *target = target_best(family, jit_host_features());
  cr_expect_eq(target->features & ~jit_host_features(), 0);
}
