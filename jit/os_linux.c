/* os_linux.c: os.h on Linux. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* gettid, O_NOFOLLOW, utimensat */
#endif
#include "jit/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY_PREFIX ".tmp-"
enum { PATH_LIMIT = 4096 };

const char *jit_os_message(int result, char text[128]) {
  switch (result) {
  case JIT_OS_UNTRUSTED: return "its owner or mode lets another user write to it";
  case JIT_OS_NO_FILE: return "not a regular file";
  case JIT_OS_TOO_LONG: return "too long";
  default: return strerror_r(result, text, 128);
  }
}

/* An access list that lets others write shows in the group's bits, so the mode is enough. */
static bool is_trusted(const struct stat *info) {
  return (info->st_uid == geteuid() || info->st_uid == 0) && (info->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* ---- directories ------------------------------------------------------------------------------------------------ */

static int make_directories(char *path) {
  for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
    if (slash) *slash = 0;
    int made = mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
    if (!slash) return made;
    *slash = '/';
    /* A parent that exists may refuse to be made for other reasons (a read-only root); the last component decides. */
  }
}

int jit_os_open_directory(const char *path, bool create, int *directory) {
  char copy[PATH_LIMIT];
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') --length; /* "dir/" would follow a link named dir */
  if (length == 0) return ENOENT;
  if (length >= sizeof copy) return JIT_OS_TOO_LONG;
  memcpy(copy, path, length);
  copy[length] = 0;
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int handle = open(copy, flags);
  if (handle < 0 && errno == ENOENT && create) {
    int made = make_directories(copy);
    if (made) return made;
    handle = open(copy, flags);
  }
  if (handle < 0) return errno;
  struct stat info;
  int result = fstat(handle, &info) != 0 ? errno : is_trusted(&info) ? 0 : JIT_OS_UNTRUSTED;
  if (result) close(handle);
  else *directory = handle;
  return result;
}

void jit_os_close_directory(int directory) { close(directory); }

int jit_os_lock_directory(int directory, int most_ms) {
  static const struct timespec pause = {.tv_nsec = 1000000};
  for (;; --most_ms) {
    if (flock(directory, LOCK_EX | LOCK_NB) == 0) return 0;
    if ((errno != EWOULDBLOCK && errno != EINTR) || most_ms <= 0) return errno;
    nanosleep(&pause, NULL);
  }
}

static int64_t in_ns(const struct timespec *time) { return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec; }

static JitOsFile file_info(const struct stat *info) {
  return (JitOsFile){.bytes = (uint64_t)info->st_size, .used_ns = in_ns(&info->st_mtim)};
}

int jit_os_list(int directory, JitOsVisit *visit, void *ctx) {
  int copy =
      openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a stream has a position of its own to close */
  if (copy < 0) return errno;
  DIR *stream = fdopendir(copy);
  if (!stream) {
    int result = errno;
    close(copy);
    return result;
  }
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    struct stat info;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
        fstatat(directory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    JitOsFile file = file_info(&info);
    if (!visit(ctx, entry->d_name, &file)) break;
  }
  closedir(stream);
  return 0;
}

/* ---- whole files ------------------------------------------------------------------------------------------------ */

static int read_all(int file, uint8_t *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t got = read(file, bytes + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return EIO; /* it shrank under us */
    at += (size_t)got;
  }
  return 0;
}

static int write_all(int file, const uint8_t *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t put = write(file, bytes + at, size - at);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    at += (size_t)put;
  }
  return 0;
}

static int read_open_file(int file, size_t limit, const Allocator *allocator, JitBuffer *out, JitOsFile *info) {
  struct stat status;
  if (fstat(file, &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return JIT_OS_NO_FILE;
  if (!is_trusted(&status)) return JIT_OS_UNTRUSTED;
  if (status.st_size < 0 || (uint64_t)status.st_size > limit) return JIT_OS_TOO_LONG;
  size_t size = (size_t)status.st_size;
  *info = file_info(&status);
  uint8_t *bytes = allocator->alloc(allocator->ctx, size ? size : 1, 16);
  if (!bytes) return ENOMEM;
  int result = read_all(file, bytes, size);
  if (result) allocator->release(allocator->ctx, bytes);
  else *out = (JitBuffer){.data = bytes, .size = size, .allocator = *allocator};
  return result;
}

int jit_os_read_file(int directory, const char *name, size_t limit, const Allocator *allocator, JitBuffer *out,
                     JitOsFile *info) {
  *out = (JitBuffer){0};
  /* Non-blocking, or a pipe of that name would make us wait for a writer. */
  int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return errno == ELOOP ? JIT_OS_NO_FILE : errno;
  int result = read_open_file(file, limit, allocator, out, info);
  close(file);
  return result;
}

static int open_temporary(int directory, char name[48], int *file) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    unsigned long long unique;
    if (getrandom(&unique, sizeof unique, 0) != sizeof unique) return EIO;
    snprintf(name, 48, TEMPORARY_PREFIX "%ld-%016llx", (long)getpid(), unique);
    *file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*file >= 0) return 0;
    if (errno != EEXIST) return errno;
  }
  return EEXIST;
}

int jit_os_write_file(int directory, const char *name, const void *bytes, size_t size) {
  char temporary[48];
  int file = -1;
  int result = open_temporary(directory, temporary, &file);
  if (result) return result;
  result = write_all(file, bytes, size);
  if (close(file) != 0 && !result) result = errno;
  if (!result && renameat(directory, temporary, directory, name) != 0) result = errno;
  if (result) unlinkat(directory, temporary, 0);
  return result;
}

bool jit_os_is_temporary(const char *name) { return strncmp(name, TEMPORARY_PREFIX, sizeof TEMPORARY_PREFIX - 1) == 0; }

int jit_os_remove_file(int directory, const char *name) {
  return unlinkat(directory, name, 0) == 0 || errno == ENOENT ? 0 : errno;
}

int jit_os_mark_used(int directory, const char *name) {
  static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
  return utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

/* ---- clock and identity ----------------------------------------------------------------------------------------- */

int64_t jit_os_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return in_ns(&now);
}

int64_t jit_os_date_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return in_ns(&now);
}

int jit_os_sve_bits(void) {
#if defined(__aarch64__)
  int length = prctl(PR_SVE_GET_VL);
  return length < 0 ? 0 : (length & PR_SVE_VL_LEN_MASK) * 8;
#else
  return 0;
#endif
}

int64_t jit_os_cpu_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return in_ns(&now);
}

int64_t jit_os_process(void) { return (int64_t)getpid(); }
int64_t jit_os_thread(void) { return (int64_t)syscall(SYS_gettid); }

/* ---- profile files ---------------------------------------------------------------------------------------------- */

int jit_os_open_log(const char *path, int *file) {
  struct stat info;
  int handle = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  if (handle < 0) return errno == ELOOP ? JIT_OS_NO_FILE : errno;
  int result = 0;
  if (fstat(handle, &info) != 0) result = errno;
  else if (!S_ISREG(info.st_mode)) result = JIT_OS_NO_FILE;
  else if (!is_trusted(&info)) result = JIT_OS_UNTRUSTED;
  if (result) close(handle);
  else *file = handle;
  return result;
}

/* The lock is of the opened file: it holds between the engines of a process as it does between processes. */
void jit_os_lock_log(int file) {
  while (flock(file, LOCK_EX) != 0 && errno == EINTR) continue;
}
void jit_os_unlock_log(int file) { flock(file, LOCK_UN); }

uint64_t jit_os_log_size(int file) {
  struct stat info;
  return fstat(file, &info) == 0 ? (uint64_t)info.st_size : 0;
}

int jit_os_append(int file, const void *bytes, size_t size) { return write_all(file, bytes, size); }
void jit_os_close_log(int file) { close(file); }

int jit_os_map_marker(int file, void **marker) {
  void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
  if (page == MAP_FAILED) return errno;
  *marker = page;
  return 0;
}

void jit_os_unmap_marker(void *marker) { munmap(marker, (size_t)sysconf(_SC_PAGESIZE)); }
