/* base.h: what every public header shares: result codes, element types, allocator and log hooks. */
#ifndef KILN_BASE_H
#define KILN_BASE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_API __attribute__((visibility("default")))

typedef enum kiln_status {
#define KILN_STATUS(enumerator, name, sentence) KILN_##enumerator,
#include "kiln/status.def"
#undef KILN_STATUS
  KILN_STATUS_COUNT
} kiln_status;

typedef enum kiln_type {
#define KILN_TYPE(enumerator, name, bits, class, meaning) KILN_##enumerator,
#include "kiln/types.def"
#undef KILN_TYPE
  KILN_TYPE_COUNT
} kiln_type;

/* The name of a status ("invalid_graph") and one sentence about it, static storage; "unknown" for any other value. */
KILN_API const char *kiln_status_name(kiln_status status);
KILN_API const char *kiln_status_text(kiln_status status);

/* The spelling of a type in both languages, static storage; "unknown" for any other value. */
KILN_API const char *kiln_type_name(kiln_type type);

/* Memory hooks. `alloc` returns `bytes` of memory aligned to `align` (a power of two), or NULL; `release` takes what
 * alloc returned, or NULL. Both may be called from any thread. LLVM's own allocations do not pass through them. */
typedef struct kiln_allocator {
  void *ctx;
  void *(*alloc)(void *ctx, size_t bytes, size_t align);
  void (*release)(void *ctx, void *memory);
} kiln_allocator;

typedef enum kiln_log_level { KILN_LOG_ERROR, KILN_LOG_WARNING, KILN_LOG_INFO, KILN_LOG_DEBUG } kiln_log_level;

/* Where events go; the library itself never writes to stdout or stderr. `write` may be NULL (events are dropped) and
 * may be called from any thread; `message` is one line without a newline, valid during the call. It must not call the
 * library: events are told under its locks. */
typedef struct kiln_log {
  void *ctx;
  void (*write)(void *ctx, kiln_log_level level, const char *message);
} kiln_log;

#ifdef __cplusplus
}
#endif
#endif
