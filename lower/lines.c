/* lines.c: which line of the tile IR an instruction comes from, as debug information of LLVM IR: one file, a line for
 * each operation, nothing of types or variables. Code that is moved in front of a loop counts as the loop's. */
#include <llvm-c/DebugInfo.h>
#include <string.h>

#include "lower/emit.h"

enum { DEBUG_INFO_VERSION = 3, DWARF_VERSION = 4 /* whose line table has no strings outside of itself */ };

static void add_flag(const Emitter *e, const char *name, int number) {
  LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorWarning, name, strlen(name),
                    LLVMValueAsMetadata(LLVMConstInt(e->i32, (unsigned)number, false)));
}

void lower_lines_begin(Emitter *e, const char *source) {
  static const char producer[] = "kiln";
  if (!source) return;
  e->lines = LLVMCreateDIBuilder(e->module);
  e->file = LLVMDIBuilderCreateFile(e->lines, source, strlen(source), ".", 1);
  LLVMDIBuilderCreateCompileUnit(e->lines, LLVMDWARFSourceLanguageC99, e->file, producer, strlen(producer), true, "", 0,
                                 0, "", 0, LLVMDWARFEmissionLineTablesOnly, 0, false, false, "", 0, "", 0);
  add_flag(e, "Debug Info Version", DEBUG_INFO_VERSION);
  add_flag(e, "Dwarf Version", DWARF_VERSION);
}

void lower_lines_of_function(Emitter *e, SourcePos pos) {
  if (!e->lines) return;
  size_t length;
  const char *name = LLVMGetValueName2(e->function, &length);
  LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(e->lines, e->file, NULL, 0, LLVMDIFlagZero);
  e->line_scope = LLVMDIBuilderCreateFunction(e->lines, e->file, name, length, name, length, e->file, pos.line, type,
                                              false, true, pos.line, LLVMDIFlagZero, true);
  LLVMSetSubprogram(e->function, e->line_scope);
}

LLVMMetadataRef lower_line(Emitter *e, SourcePos pos) {
  LLVMMetadataRef before = e->line;
  if (!e->line_scope) return before;
  e->line = LLVMDIBuilderCreateDebugLocation(e->context, pos.line, pos.column, e->line_scope, NULL);
  LLVMSetCurrentDebugLocation2(e->builder, e->line);
  return before;
}

void lower_line_again(Emitter *e, LLVMMetadataRef line) {
  e->line = line;
  if (e->lines) LLVMSetCurrentDebugLocation2(e->builder, line);
}

void lower_lines_end_function(Emitter *e) {
  e->line_scope = NULL;
  lower_line_again(e, NULL);
}

void lower_lines_end(Emitter *e) {
  if (!e->lines) return;
  LLVMDIBuilderFinalize(e->lines);
  LLVMDisposeDIBuilder(e->lines);
}
