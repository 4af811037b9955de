/* os.h: what this folder needs of the operating system: trusted directories, whole files, a clock.
 *
 * Functions return 0, an errno value, or a JIT_OS_ code below. Reading a directory or a file here means trusting it
 * with code, so each is opened without following a link at its last component and refused unless it belongs to this
 * user or to root and nobody else may write to it. Checks are made on the open handle, never on a name. */
#ifndef KILN_JIT_OS_H
#define KILN_JIT_OS_H

#include "jit/object.h"

enum {
  JIT_OS_UNTRUSTED = -1, /* owner or mode lets another user write */
  JIT_OS_NO_FILE = -2,   /* a directory, link, pipe or device where a regular file should be */
  JIT_OS_TOO_LONG = -3,  /* longer than the limit, or a path longer than the system takes */
};

typedef struct JitOsFile {
  uint64_t bytes;
  int64_t used_ns; /* when it was written or last marked used, since 1970 */
} JitOsFile;

/* A sentence about a result, in static storage or in `text`. */
const char *jit_os_message(int result, char text[128]);

/* `create` makes it, and parents that are missing, with mode 0700. Trailing slashes are ignored. */
int jit_os_open_directory(const char *path, bool create, int *directory);
void jit_os_close_directory(int directory);
/* Keeps other processes that lock it out until it is closed. 0, or EWOULDBLOCK after so many milliseconds. */
int jit_os_lock_directory(int directory, int most_ms);

/* The whole of a regular file of at most `limit` bytes, as it was at one moment: the copy does not change afterwards.
 */
int jit_os_read_file(int directory, const char *name, size_t limit, const Allocator *allocator, JitBuffer *out,
                     JitOsFile *info);
/* Readers see the old content, the new content or no file, never a part. Mode 0600. Not forced to the disk: after a
 * loss of power the content may be damaged, which readers detect by the checksum. */
int jit_os_write_file(int directory, const char *name, const void *bytes, size_t size);
int jit_os_remove_file(int directory, const char *name); /* 0 where it is gone already */
int jit_os_mark_used(int directory, const char *name);

/* Calls `visit` for everything in the directory, whatever its kind, until it returns false. */
typedef bool JitOsVisit(void *ctx, const char *name, const JitOsFile *file);
int jit_os_list(int directory, JitOsVisit *visit, void *ctx);
/* Whether the name is that of a file jit_os_write_file had not finished. */
bool jit_os_is_temporary(const char *name);

int64_t jit_os_now_ns(void);  /* monotonic, as perf counts */
int64_t jit_os_date_ns(void); /* since 1970 */
int64_t jit_os_cpu_ns(void);  /* that the calling thread had */
int64_t jit_os_process(void);
int jit_os_sve_bits(void); /* length of this thread's SVE registers; 0: there are none */
int64_t jit_os_thread(void);

/* A file that only grows and is shared with profilers: opened or created (mode 0600) unless another user owns it. */
int jit_os_open_log(const char *path, int *file);
void jit_os_lock_log(int file);
void jit_os_unlock_log(int file);
uint64_t jit_os_log_size(int file); /* bytes */
int jit_os_append(int file, const void *bytes, size_t size);
void jit_os_close_log(int file);
/* Maps the file's first page readable and executable, which is how perf learns where a jitdump lies. */
int jit_os_map_marker(int file, void **marker);
void jit_os_unmap_marker(void *marker);

#endif
