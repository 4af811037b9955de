/* assemble.c: a module of nothing but inline assembly, emitted as an object; the bytes are its section .text, the
 * lengths one of their own. */
#include "tests/emulate/assemble.h"

#include <llvm-c/Core.h>
#include <llvm-c/Object.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char features[] = "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512vnni,+avxvnni,+avxvnniint8,+avxvnniint16,"
                               "+avxneconvert,+avx512bf16,+avx512fp16,+avx10.2,+amx-tile,+amx-int8,+amx-bf16,+amx-fp16,"
                               "+amx-fp8,+amx-tf32,+amx-avx512";

static void keep_complaint(LLVMDiagnosticInfoRef info, void *ctx) {
  Assembled *out = ctx;
  char *text = LLVMGetDiagInfoDescription(info);
  if (out->error[0] == '\0') snprintf(out->error, sizeof out->error, "%s", text);
  LLVMDisposeMessage(text);
}

/* Every line between two labels whose distance goes to the section of lengths. */
static char *module_text(const char *lines, int *count) {
  size_t capacity = 1024 + 140 * (strlen(lines) + 1), length = 0;
  char *text = malloc(capacity);
  *count = 0;
  length += (size_t)snprintf(text, capacity, ".intel_syntax noprefix\n.text\n");
  for (const char *at = lines; *at;) {
    int size = (int)strcspn(at, "\n");
    if (size > 0) {
      length += (size_t)snprintf(text + length, capacity - length,
                                 "start_%d: %.*s\nend_%d:\n.section .lengths\n.byte end_%d-start_%d\n.text\n", *count,
                                 size, at, *count, *count, *count);
      ++*count;
    }
    at += size + (at[size] == '\n');
  }
  snprintf(text + length, capacity - length, ".att_syntax\n");
  return text;
}

static uint8_t *copy_section(LLVMBinaryRef object, const char *name, size_t *size) {
  uint8_t *copy = NULL;
  LLVMSectionIteratorRef section = LLVMObjectFileCopySectionIterator(object);
  for (; !LLVMObjectFileIsSectionIteratorAtEnd(object, section); LLVMMoveToNextSection(section)) {
    const char *found = LLVMGetSectionName(section); /* NULL: the section of number 0 */
    if (copy != NULL || found == NULL || strcmp(found, name) != 0) continue;
    *size = LLVMGetSectionSize(section);
    copy = malloc(*size + 1);
    memcpy(copy, LLVMGetSectionContents(section), *size);
  }
  LLVMDisposeSectionIterator(section);
  return copy;
}

static LLVMTargetMachineRef create_machine(void) {
  LLVMTargetRef target;
  char *error = NULL;
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  if (LLVMGetTargetFromTriple("x86_64-linux-gnu", &target, &error)) {
    LLVMDisposeMessage(error);
    return NULL;
  }
  return LLVMCreateTargetMachine(target, "x86_64-linux-gnu", "x86-64", features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                 LLVMCodeModelDefault);
}

static void read_object(LLVMContextRef context, LLVMMemoryBufferRef buffer, Assembled *out) {
  char *error = NULL;
  size_t lengths = 0;
  LLVMBinaryRef object = LLVMCreateBinary(buffer, context, &error);
  if (object == NULL) {
    snprintf(out->error, sizeof out->error, "%s", error);
    LLVMDisposeMessage(error);
    return;
  }
  out->bytes = copy_section(object, ".text", &out->size);
  out->lengths = copy_section(object, ".lengths", &lengths);
  if (lengths != (size_t)out->count)
    snprintf(out->error, sizeof out->error, "%zu lengths of %d lines", lengths, out->count);
  LLVMDisposeBinary(object);
}

bool assemble(const char *lines, Assembled *out) {
  *out = (Assembled){0};
  LLVMTargetMachineRef machine = create_machine();
  LLVMContextRef context = LLVMContextCreate();
  LLVMContextSetDiagnosticHandler(context, keep_complaint, out);
  LLVMModuleRef module = LLVMModuleCreateWithNameInContext("assemble", context);
  LLVMSetTarget(module, "x86_64-linux-gnu");
  char *text = module_text(lines, &out->count), *error = NULL;
  LLVMSetModuleInlineAsm2(module, text, strlen(text));
  LLVMMemoryBufferRef buffer = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &error, &buffer)) {
    if (out->error[0] == '\0') snprintf(out->error, sizeof out->error, "%s", error);
    LLVMDisposeMessage(error);
  } else {
    if (out->error[0] == '\0') read_object(context, buffer, out);
    LLVMDisposeMemoryBuffer(buffer);
  }
  free(text);
  LLVMDisposeModule(module);
  LLVMContextDispose(context);
  LLVMDisposeTargetMachine(machine);
  if (out->error[0] == '\0') return true;
  assemble_release(out);
  return false;
}

void assemble_release(Assembled *out) {
  free(out->bytes);
  free(out->lengths);
  out->bytes = out->lengths = NULL;
}
