/* cache_entry.c: the name of an entry, and the judgement of its bytes. */
#include <string.h>

#include "jit/cache_disk.h"
#include "kiln/args.h"

void jit_entry_name(const JitKey *key, char name[ENTRY_NAME_BYTES]) {
  jit_key_name(key, name);
  memcpy(name + 2 * JIT_HASH_BYTES, ".o", 3);
}

bool jit_entry_is_name(const char *name) {
  return strspn(name, "0123456789abcdef") == 2 * JIT_HASH_BYTES && strcmp(name + 2 * JIT_HASH_BYTES, ".o") == 0;
}

const char *jit_entry_state_name(JitEntryState state) {
  switch (state) {
  case JIT_ENTRY_GOOD: return "good";
  case JIT_ENTRY_STALE: return "stale";
  case JIT_ENTRY_FOREIGN: return "foreign";
  case JIT_ENTRY_DAMAGED: return "damaged";
  case JIT_ENTRY_UNTRUSTED: return "untrusted";
  case JIT_ENTRY_UNREADABLE: return "unreadable";
  }
  return "unknown";
}

static bool is_stale(const JitCache *cache, const JitMetadata *metadata, Text *why) {
  if (metadata->args_version != KILN_ARGS_VERSION)
    text_printf(why, "arguments of version %d, expected %d", metadata->args_version, KILN_ARGS_VERSION);
  else if (strcmp(metadata->llvm, cache->llvm) != 0)
    text_printf(why, "made by LLVM %s, expected %s", metadata->llvm, cache->llvm);
  else if (strcmp(metadata->build, cache->build) != 0)
    text_printf(why, "made by build %s, expected %s", metadata->build, cache->build);
  else return false;
  return true;
}

JitEntryState jit_entry_judge(const JitCache *cache, const char *name, const JitBuffer *object, Arena *arena,
                              JitMetadata *metadata, size_t *code_bytes, Text *why) {
  JitObject parsed;
  *metadata = (JitMetadata){0};
  *code_bytes = 0;
  if (jit_object_parse(object->data, object->size, &parsed, why)) return JIT_ENTRY_DAMAGED;
  *code_bytes = parsed.code_bytes;
  /* The checksum lies at the same place in every version of the format, so it can go first. */
  if (!jit_object_is_intact(&parsed)) {
    text_add(why, "the checksum is wrong");
    return JIT_ENTRY_DAMAGED;
  }
  kiln_status status = jit_metadata_read(&parsed, arena, metadata, why);
  if (status) {
    *metadata = (JitMetadata){0};
    if (status != KILN_OUT_OF_MEMORY) return JIT_ENTRY_STALE;
    text_add(why, kiln_status_text(status));
    return JIT_ENTRY_UNREADABLE;
  }
  if (is_stale(cache, metadata, why)) return JIT_ENTRY_STALE;
  if (jit_object_check_kernel(&parsed, why)) return JIT_ENTRY_DAMAGED;
  char expected[ENTRY_NAME_BYTES];
  JitKey key = jit_key_make(metadata->key, metadata->key_length);
  jit_entry_name(&key, expected);
  if (strcmp(expected, name) == 0) return JIT_ENTRY_GOOD;
  text_printf(why, "its key belongs to %s", expected);
  return JIT_ENTRY_FOREIGN;
}
