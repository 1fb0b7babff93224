/* Makes calls of libc fail on paths below a folder, as a script in shared memory says: for LD_PRELOAD.

   The script is one file of the size of `struct script`, mapped by this library and written by the test: which call,
   the error it gives, how many such calls pass first, and below which folder.  An empty name of a call: none fails.
   "any" stands for every call.  Instead of an error: KILL ends the process before the call, DELAY makes it wait, SHORT
   makes a write write half. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct script {
    char call[32];
    char folder[4032];
    int error;
    int passing;
    int failed;
};

enum { KILL = -1, DELAY = -2, SHORT = -3 };

static struct script *script;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAILING_CALLS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof *script, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) script = mapped;
    close(fd);
}

static int is_below(const char *path) {
    size_t length = strlen(script->folder);
    return strncmp(path, script->folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int holds(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int concerns(int folder, const char *name) {
    return name && name[0] == '/' ? is_below(name) : folder != AT_FDCWD && holds(folder);
}

static int fails(int concerned) {
    if (!concerned || script->passing-- > 0) return 0;
    script->failed++;
    if (script->error == KILL) kill(getpid(), SIGKILL);
    if (script->error == DELAY) usleep(100000);
    if (script->error < 0) return 0;
    errno = script->error;
    return 1;
}

#define IS(wanted) (script && (strcmp(script->call, wanted) == 0 || strcmp(script->call, "any") == 0))
#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENS(name) \
    int name(int folder, const char *path, int flags, ...) { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (IS("open") && fails(concerns(folder, path))) return -1; \
        return next(folder, path, flags, mode); \
    }
OPENS(openat)
OPENS(openat64)

#define OPENS_HERE(name) \
    int name(const char *path, int flags, ...) { \
        NEXT(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (IS("open") && fails(concerns(AT_FDCWD, path))) return -1; \
        return next(path, flags, mode); \
    }
OPENS_HERE(open)
OPENS_HERE(open64)

#define STATS(name, type) \
    int name(int fd, struct type *status) { \
        NEXT(name); \
        if (IS("fstat") && fails(holds(fd))) return -1; \
        return next(fd, status); \
    }
STATS(fstat, stat)
STATS(fstat64, stat64)

#define STATS_AT(name, type) \
    int name(int folder, const char *path, struct type *status, int flags) { \
        NEXT(name); \
        if (IS("stat") && fails(concerns(folder, path))) return -1; \
        return next(folder, path, status, flags); \
    }
STATS_AT(fstatat, stat)
STATS_AT(fstatat64, stat64)

#define READS_AT(name, type) \
    ssize_t name(int fd, void *data, size_t count, type at) { \
        NEXT(name); \
        if (IS("read") && fails(holds(fd))) return -1; \
        return next(fd, data, count, at); \
    }
READS_AT(pread, off_t)
READS_AT(pread64, off64_t)

ssize_t read(int fd, void *data, size_t count) {
    NEXT(read);
    if (IS("read") && fails(holds(fd))) return -1;
    return next(fd, data, count);
}

#define WRITES(name, type) \
    ssize_t name(int fd, const void *data, size_t count, type at) { \
        NEXT(name); \
        if (IS("write") && fails(holds(fd))) return -1; \
        return next(fd, data, count, at); \
    }
WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t count) {
    NEXT(write);
    int concerned = IS("write") && holds(fd);
    if (concerned && fails(1)) return -1;
    return next(fd, data, concerned && script->error == SHORT && count > 1 ? count / 2 : count);
}

/* Calls with one descriptor. */
#define ON(kind, name, more, values) \
    int name(int fd more) { \
        NEXT(name); \
        if (IS(kind) && fails(holds(fd))) return -1; \
        return next(fd values); \
    }
#define AND ,
ON("fsync", fsync, , )
ON("fsync", fdatasync, , )
ON("truncate", ftruncate, AND off_t length, AND length)
ON("truncate", ftruncate64, AND off64_t length, AND length)
ON("mode", fchmod, AND mode_t mode, AND mode)
ON("mode", fchown, AND uid_t owner AND gid_t group, AND owner AND group)

int posix_fallocate64(int fd, off64_t at, off64_t length) {
    NEXT(posix_fallocate64);
    return IS("truncate") && fails(holds(fd)) ? errno : next(fd, at, length);
}

/* Calls with one name, or a folder and a name in it. */
#define NAMED(kind, name, more, values) \
    int name(const char *path more) { \
        NEXT(name); \
        if (IS(kind) && fails(concerns(AT_FDCWD, path))) return -1; \
        return next(path values); \
    }
#define NAMED_AT(kind, name, more, values) \
    int name(int folder, const char *path more) { \
        NEXT(name); \
        if (IS(kind) && fails(concerns(folder, path))) return -1; \
        return next(folder, path values); \
    }
NAMED("unlink", unlink, , )
NAMED("unlink", rmdir, , )
NAMED_AT("unlink", unlinkat, AND int flags, AND flags)
NAMED("mkdir", mkdir, AND mode_t mode, AND mode)
NAMED_AT("mkdir", mkdirat, AND mode_t mode, AND mode)
NAMED("mode", chmod, AND mode_t mode, AND mode)
NAMED_AT("mode", fchmodat, AND mode_t mode AND int flags, AND mode AND flags)

/* Calls with an old name and a new one. */
int rename(const char *old, const char *new) {
    NEXT(rename);
    if (IS("rename") && fails(concerns(AT_FDCWD, old) || concerns(AT_FDCWD, new))) return -1;
    return next(old, new);
}

int renameat(int folder, const char *old, int target, const char *new) {
    NEXT(renameat);
    if (IS("rename") && fails(concerns(folder, old) || concerns(target, new))) return -1;
    return next(folder, old, target, new);
}

int renameat2(int folder, const char *old, int target, const char *new, unsigned flags) {
    NEXT(renameat2);
    if (IS("rename") && fails(concerns(folder, old) || concerns(target, new))) return -1;
    return next(folder, old, target, new, flags);
}

int linkat(int folder, const char *old, int target, const char *new, int flags) {
    NEXT(linkat);
    if (IS("link") && fails(concerns(folder, old) || concerns(target, new))) return -1;
    return next(folder, old, target, new, flags);
}

/* Lists of folders. */
DIR *opendir(const char *path) {
    NEXT(opendir);
    return IS("list") && fails(concerns(AT_FDCWD, path)) ? NULL : next(path);
}

DIR *fdopendir(int fd) {
    NEXT(fdopendir);
    return IS("list") && fails(holds(fd)) ? NULL : next(fd);
}
