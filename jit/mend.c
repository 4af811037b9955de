/* mend.c: instructions that this LLVM's code generator makes wrong, written in another way.
 *
 * Before  an optimised module
 * After   the same, without masked stores of a single lane
 * Needs   masks that are constant to be so in the text: nothing folds them later
 * Keeps   what is stored
 *
 * LLVM 22, x86 with AVX-512: a masked store of a truncated vector becomes a truncating one; where its constant mask has
 * one lane, that becomes a scalar store of the type before truncation. 16 lanes of i32 as bytes, one of them stored,
 * write four bytes: `vmovss %xmm0, (%rdi)`. */
#include <string.h>

#include "jit/llvm.h"

/* The only lane of a constant mask; -1: none, several, or no constant. */
static int only_lane(LLVMValueRef mask) {
  int found = -1;
  if (!LLVMIsConstant(mask)) return -1;
  unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(mask));
  for (unsigned i = 0; i < lanes; ++i) {
    LLVMValueRef lane = LLVMGetAggregateElement(mask, i);
    if (!lane || !LLVMIsAConstantInt(lane)) return -1;
    if (LLVMConstIntGetZExtValue(lane) == 0) continue;
    if (found >= 0) return -1;
    found = (int)i;
  }
  return found;
}

static unsigned alignment_of(LLVMValueRef call) {
  unsigned kind = LLVMGetEnumAttributeKindForName("align", strlen("align"));
  LLVMAttributeRef align = LLVMGetCallSiteEnumAttribute(call, 2, kind);
  return align ? (unsigned)LLVMGetEnumAttributeValue(align) : 1;
}

/* Stores the lane instead. */
static void mend_store(LLVMBuilderRef builder, LLVMValueRef call, int lane) {
  LLVMValueRef value = LLVMGetOperand(call, 0), pointer = LLVMGetOperand(call, 1);
  LLVMTypeRef index = LLVMInt64TypeInContext(LLVMGetTypeContext(LLVMTypeOf(value)));
  LLVMPositionBuilderBefore(builder, call);
  value = LLVMBuildExtractElement(builder, value, LLVMConstInt(index, (unsigned)lane, false), "");
  LLVMTypeRef element = LLVMTypeOf(value);
  LLVMValueRef offset = LLVMConstInt(index, (unsigned)lane, false);
  if (lane > 0) pointer = LLVMBuildGEP2(builder, element, pointer, &offset, 1, "");
  LLVMSetAlignment(LLVMBuildStore(builder, value, pointer), lane > 0 ? 1 : alignment_of(call));
  LLVMInstructionEraseFromParent(call);
}

static bool is_masked_store(LLVMValueRef instruction, unsigned id) {
  LLVMValueRef called = LLVMIsACallInst(instruction) ? LLVMGetCalledValue(instruction) : NULL;
  return called && LLVMIsAFunction(called) && LLVMGetIntrinsicID(called) == id;
}

void jit_mend(LLVMModuleRef module) {
  static const char name[] = "llvm.masked.store";
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMBuilderRef builder = LLVMCreateBuilderInContext(LLVMGetModuleContext(module));
  for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b)) {
      for (LLVMValueRef i = LLVMGetFirstInstruction(b), next; i; i = next) {
        next = LLVMGetNextInstruction(i);
        if (!is_masked_store(i, id)) continue;
        int lane = only_lane(LLVMGetOperand(i, 2));
        if (lane >= 0) mend_store(builder, i, lane);
      }
    }
  }
  LLVMDisposeBuilder(builder);
}
