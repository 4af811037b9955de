/* native.c: see native.h. The code is written while its page is not executable, and executed while it is not writable.
 */
#include "tests/emulate/native.h"

#include <cpuid.h>
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/emulate/assemble.h"

enum { CODE_BYTES = 8192, PLACE_BYTES = 16, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_TILEDATA = 18, MAX_TEXT = 16384 };

bool native_has(const char *feature) {
  static char *features; /* asked once: CPUID is slow in a virtual machine */
  char wanted[64];
  if (features == NULL) features = LLVMGetHostCPUFeatures();
  size_t length = (size_t)snprintf(wanted, sizeof wanted, "+%s", feature);
  bool found = false;
  for (const char *at = features; (at = strstr(at, wanted)) != NULL; at += length)
    found |= (at == features || at[-1] == ',') && (at[length] == ',' || at[length] == '\0');
  return found;
}

bool native_rounds(const char *name) {
  unsigned a, b, c, d;
  __cpuid(0, a, b, c, d);
  bool is_intel = b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
  return is_intel || strcmp(name, "vdpbf16ps") != 0;
}

bool native_permit_amx(void) { return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILEDATA) == 0; }

/* ---- the code around an instruction ------------------------------------------------------------------------------ */

typedef struct Text {
  char lines[MAX_TEXT];
  size_t length;
} Text;

__attribute__((format(printf, 2, 3))) static void line(Text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  text->length += (size_t)vsnprintf(text->lines + text->length, MAX_TEXT - text->length, format, args);
  va_end(args);
  text->length += (size_t)snprintf(text->lines + text->length, MAX_TEXT - text->length, "\n");
}

static const char *const gpr_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
enum { RAX = 0, RCX = 1, RSP = 4, RDI = 7 };

#define AT(member) offsetof(EmulateState, member)

/* Vectors and opmasks from or to the state in `base`. */
static void move_vectors(Text *text, const char *base, bool is_load) {
  bool is_wide = native_has("avx512bw");
  for (size_t i = 0; i < (is_wide ? 32 : 16); i++) {
    const char *kind = is_wide ? "zmm" : "ymm";
    size_t at = AT(vector) + 64 * i;
    if (is_load) line(text, "vmovups %s%zu, [%s + %zu]", kind, i, base, at);
    else line(text, "vmovups [%s + %zu], %s%zu", base, at, kind, i);
  }
  for (size_t i = 0; is_wide && i < 8; i++) {
    if (is_load) line(text, "kmovq k%zu, [%s + %zu]", i, base, AT(mask) + 8 * i);
    else line(text, "kmovq [%s + %zu], k%zu", base, AT(mask) + 8 * i, i);
  }
}

static void move_tiles(Text *text, bool is_load) {
  line(text, is_load ? "ldtilecfg [rcx]" : "sttilecfg [rcx]");
  line(text, "mov edx, 64");
  for (size_t i = 0; i < EMULATE_TILES; i++) {
    size_t at = offsetof(EmulateTiles, data) + i * EMULATE_ROWS * EMULATE_ROW_BYTES;
    if (is_load) line(text, "tileloadd tmm%zu, [rcx + rdx + %zu]", i, at);
    else line(text, "tilestored [rcx + rdx + %zu], tmm%zu", at, i);
  }
}

static void write_before(Text *text, bool with_tiles) {
  line(text, "push rbx\npush rbp\npush r12\npush r13\npush r14\npush r15\npush rdi");
  move_vectors(text, "rdi", true);
  if (with_tiles) {
    line(text, "mov rcx, [rdi + %zu]", AT(tiles));
    move_tiles(text, true);
  }
  line(text, "ldmxcsr [rdi + %zu]\npush qword ptr [rdi + %zu]\npopfq", AT(mxcsr), AT(rflags));
  for (size_t i = 0; i < 16; i++)
    if (i != RSP && i != RDI) line(text, "mov %s, [rdi + %zu]", gpr_names[i], AT(gpr) + 8 * i);
  line(text, "mov rdi, [rdi + %zu]", AT(gpr) + 8 * RDI);
}

static void write_after(Text *text, bool with_tiles) {
  line(text, "push rax\nmov rax, [rsp + 8]");
  for (size_t i = 0; i < 16; i++)
    if (i != RSP && i != RAX) line(text, "mov [rax + %zu], %s", AT(gpr) + 8 * i, gpr_names[i]);
  line(text, "pop rcx\nmov [rax + %zu], rcx\npushfq\npop rcx\nmov [rax + %zu], rcx", AT(gpr) + 8 * RAX, AT(rflags));
  line(text, "stmxcsr [rax + %zu]\npush 0x1f80\nldmxcsr [rsp]\npop rcx", AT(mxcsr));
  move_vectors(text, "rax", false);
  if (with_tiles) {
    line(text, "mov rcx, [rax + %zu]", AT(tiles));
    move_tiles(text, false);
    line(text, "tilerelease");
  }
  line(text, "vzeroupper\ncld\npop rdi\npop r15\npop r14\npop r13\npop r12\npop rbp\npop rbx\nret");
}

static size_t write_code(uint8_t *to, void write(Text *, bool), bool with_tiles) {
  Text *text = calloc(1, sizeof *text);
  Assembled code = {0};
  write(text, with_tiles);
  bool is_good = assemble(text->lines, &code);
  free(text);
  if (!is_good) {
    fprintf(stderr, "native: %s\n", code.error);
    return 0;
  }
  memcpy(to, code.bytes, code.size);
  assemble_release(&code);
  return code.size;
}

bool native_create(Native *out, bool with_tiles) {
  *out = (Native){.with_tiles = with_tiles};
  void *pages = mmap(NULL, CODE_BYTES + NATIVE_DATA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return false;
  out->pages = pages;
  out->data = out->pages + CODE_BYTES;
  out->place = write_code(out->pages, write_before, with_tiles);
  size_t after = write_code(out->pages + out->place + PLACE_BYTES, write_after, with_tiles);
  if (out->place != 0 && after != 0) return true;
  native_destroy(out);
  return false;
}

void native_destroy(Native *native) {
  if (native->pages) munmap(native->pages, CODE_BYTES + NATIVE_DATA_BYTES);
  native->pages = NULL;
}

uint64_t native_rip(const Native *native) { return (uint64_t)(uintptr_t)(native->pages + native->place); }

uint8_t *native_load(Native *native, const uint8_t *code, size_t length) {
  mprotect(native->pages, CODE_BYTES, PROT_READ | PROT_WRITE);
  memcpy(native->pages, code, length);
  mprotect(native->pages, CODE_BYTES, PROT_READ | PROT_EXEC);
  return native->pages;
}

void native_run(Native *native, EmulateState *state, const uint8_t *code, size_t length) {
  mprotect(native->pages, CODE_BYTES, PROT_READ | PROT_WRITE);
  memset(native->pages + native->place, 0x90, PLACE_BYTES); /* nop */
  memcpy(native->pages + native->place, code, length);
  mprotect(native->pages, CODE_BYTES, PROT_READ | PROT_EXEC);
  union {
    const void *data;
    void (*run)(EmulateState *);
  } entry = {.data = native->pages};
  entry.run(state);
}
