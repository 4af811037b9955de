/* counting.c: loops and choices that one operation needs inside of itself, where unrolling would be much code or the
 * case is rare. */
#include <string.h>

#include "lower/emit.h"

Counting lower_count(Emitter *e) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
  Counting loop = {LLVMAppendBasicBlockInContext(e->context, e->function, "count"), NULL};
  LLVMBuildBr(e->builder, loop.body);
  LLVMPositionBuilderAtEnd(e->builder, loop.body);
  LLVMValueRef zero = lower_i64(e, 0);
  loop.index = LLVMBuildPhi(e->builder, e->i64, "");
  LLVMAddIncoming(loop.index, &zero, &here, 1);
  return loop;
}

void lower_count_to(Emitter *e, Counting loop, LLVMValueRef count, LLVMBasicBlockRef done) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(e->builder);
  if (!done) done = LLVMAppendBasicBlockInContext(e->context, e->function, "counted");
  LLVMValueRef next = LLVMBuildNSWAdd(e->builder, loop.index, lower_i64(e, 1), "");
  LLVMAddIncoming(loop.index, &next, &here, 1);
  LLVMBuildCondBr(e->builder, LLVMBuildICmp(e->builder, LLVMIntSLT, next, count, ""), loop.body, done);
  LLVMPositionBuilderAtEnd(e->builder, done);
}

void lower_branch_rarely(Emitter *e, LLVMValueRef condition, LLVMBasicBlockRef rare, LLVMBasicBlockRef usual) {
  static const char kind[] = "branch_weights";
  enum { TIMES = 1 << 20 };
  LLVMValueRef branch = LLVMBuildCondBr(e->builder, condition, rare, usual);
  LLVMMetadataRef weights[] = {LLVMMDStringInContext2(e->context, kind, strlen(kind)),
                               LLVMValueAsMetadata(lower_i32(e, 1)), LLVMValueAsMetadata(lower_i32(e, TIMES))};
  LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(e->context, "prof", strlen("prof")),
                  LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, weights, 3)));
}
