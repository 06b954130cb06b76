/* LD_PRELOAD for an unmodified detritusd: the N-th call of a function fails, is cut short, lies, or is where the
 * process dies. Counted are calls on files below $NTH_DIR, whoever makes them (SQLite too), and allocations of all
 * threads.
 *
 * The test and this file share $NTH_CONTROL, one struct control (nth_control.py has the same): the test zeroes the
 * counts, says what is to happen, and sets `counting` last; it may do so before the start or at any time later. Calls
 * go on to the kernel directly, allocations to glibc's own functions, so nothing here has to be looked up at run time.
 *
 * Not counted: what is written through a mapping (SQLite's -shm), allocations that libraries make which do not
 * survive them and are spared therefore (test_nth.py says which), and whatever happens before the constructor has
 * run. */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum function {
        FN_NONE,
        FN_WRITE, /* write, pwrite, writev, pwritev */
        FN_FDATASYNC,
        FN_FSYNC,
        FN_SYNCFS,
        FN_FTRUNCATE,
        FN_LINKAT,
        FN_RENAME,
        FN_OPENAT, /* and open, of what is there */
        FN_CREATE, /* the same with O_CREAT or O_TMPFILE */
        FN_UNLINKAT,
        FN_MKDIRAT,
        FN_FALLOCATE,
        FN_MALLOC, /* malloc, calloc, realloc, aligned_alloc */
        FN_MAX
};

enum action {
        ACT_PASS,
        ACT_EIO,
        ACT_ENOSPC,
        ACT_FULL,  /* ENOSPC from the N-th on */
        ACT_SHORT, /* half is written */
        ACT_TORN,  /* half is written, then ENOSPC */
        ACT_KILL_BEFORE,
        ACT_KILL_HALF,
        ACT_KILL_AFTER,
        ACT_LIE, /* success, and nothing was done */
        ACT_ENOMEM,
        ACT_ENFILE,
        ACT_EDQUOT,
        ACT_EMFILE,
        ACT_EACCES,
        ACT_EPERM,
        ACT_EROFS,
};

enum { COUNT_FILES = 1, COUNT_MALLOC = 2 };

struct control {
        _Atomic uint32_t counting;
        uint32_t function;
        uint32_t action;
        uint32_t trace; /* where it happened goes to standard error */
        uint64_t n;
        char filter[64]; /* only paths that contain this */
        _Atomic uint64_t counts[FN_MAX];
        _Atomic uint32_t fired;
        uint32_t spared;        /* allocations of these libraries, bit by bit: libraries[] */
        uint64_t loaded;        /* sizeof(struct control), once nth.c is there */
        int64_t blocks_at_exit; /* allocated and not freed */
        char where[256];
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *p);

static struct control *control;
static char dir[PATH_MAX];
static size_t dir_len;

/* Whose allocations may be spared, and where their code is. */
static struct library {
        const char *name;
        uintptr_t start, end;
} libraries[] = { { .name = "libjson-c." }, { .name = "libcrypto." } };
enum { N_LIBRARIES = sizeof(libraries) / sizeof(libraries[0]) };

static atomic_long blocks;
static _Thread_local __attribute__((tls_model("initial-exec"))) bool inside;

/* ---- deciding ---- */

static void die(void)
{
        for (;;)
                syscall(SYS_kill, getpid(), SIGKILL);
}

static void note(const char *path)
{
        void *frames[32];
        strncpy(control->where, path, sizeof(control->where) - 1);
        atomic_store(&control->fired, 1);
        if (!control->trace)
                return;
        bool outer = inside;
        inside = true;
        dprintf(STDERR_FILENO, "nth: %s\n", path);
        backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
        inside = outer;
}

static enum action decide(enum function f, const char *path)
{
        if (!strstr(path, control->filter))
                return ACT_PASS;
        uint64_t seen = atomic_fetch_add(&control->counts[f], 1) + 1;
        if (f != control->function || seen < control->n)
                return ACT_PASS;
        enum action a = control->action;
        if (seen > control->n && a == ACT_TORN && seen == control->n + 1)
                a = ACT_ENOSPC;
        else if (seen > control->n && a != ACT_FULL)
                return ACT_PASS;
        note(path);
        if (a == ACT_KILL_BEFORE)
                die();
        return a;
}

static bool is_counting(uint32_t what)
{
        return control && atomic_load_explicit(&control->counting, memory_order_acquire) & what;
}

static bool path_of(int fd, char ret[PATH_MAX])
{
        char link[40];
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        long n = syscall(SYS_readlinkat, AT_FDCWD, link, ret, PATH_MAX - 1);
        if (n <= 0)
                return false;
        ret[n] = '\0';
        return true;
}

static bool is_ours(const char *path)
{
        return strncmp(path, dir, dir_len) == 0 && (path[dir_len] == '/' || path[dir_len] == '\0');
}

static enum action decide_fd(enum function f, int fd)
{
        char path[PATH_MAX];
        int saved = errno;
        bool counts = is_counting(COUNT_FILES) && path_of(fd, path) && is_ours(path);
        errno = saved;
        return counts ? decide(f, path) : ACT_PASS;
}

static enum action decide_at(enum function f, int dirfd, const char *name)
{
        char path[2 * PATH_MAX];
        int saved = errno;
        if (!is_counting(COUNT_FILES))
                return ACT_PASS;
        path[0] = '\0';
        if (name[0] != '/' && dirfd != AT_FDCWD && path_of(dirfd, path))
                strcat(path, "/");
        strncat(path, name, PATH_MAX - 1);
        errno = saved;
        return is_ours(path) ? decide(f, path) : ACT_PASS;
}

/* Is the answer -1? Sets errno. */
static bool fails(enum action a)
{
        static const int errors[] = {
                [ACT_EIO] = EIO,       [ACT_ENOSPC] = ENOSPC, [ACT_FULL] = ENOSPC,
                [ACT_ENFILE] = ENFILE, [ACT_EDQUOT] = EDQUOT, [ACT_EMFILE] = EMFILE,
                [ACT_EACCES] = EACCES, [ACT_EPERM] = EPERM,   [ACT_EROFS] = EROFS,
        };
        int error = errors[a];
        errno = error ? error : errno;
        return error != 0;
}

/* A call without a half: what is neither an error nor a lie is done. */
#define DO(a, call) (fails(a) ? -1 : (a) == ACT_LIE ? 0 : done(a, call))

static long done(enum action a, long result)
{
        if (a == ACT_KILL_AFTER || a == ACT_KILL_HALF)
                die();
        return result;
}

/* ---- files ---- */

/* at < 0: where the file stands. */
static ssize_t write_pieces(int fd, const struct iovec *iov, size_t n, off_t at)
{
        return at < 0 ? syscall(SYS_writev, fd, iov, n) : syscall(SYS_pwritev, fd, iov, n, at, 0);
}

static ssize_t write_half(int fd, const struct iovec *iov, size_t n, off_t at, size_t len)
{
        struct iovec part[IOV_MAX];
        size_t used = 0;
        for (size_t left = len / 2; left > 0 && used < n; used++) {
                part[used] = iov[used];
                if (part[used].iov_len > left)
                        part[used].iov_len = left;
                left -= part[used].iov_len;
        }
        return write_pieces(fd, part, used, at);
}

static ssize_t write_any(int fd, const struct iovec *iov, size_t n, off_t at)
{
        enum action a = decide_fd(FN_WRITE, fd);
        size_t len = 0;
        for (size_t i = 0; i < n; i++)
                len += iov[i].iov_len;
        bool half = len > 1 && (a == ACT_SHORT || a == ACT_TORN || a == ACT_KILL_HALF);
        if (fails(a))
                return -1;
        if (a == ACT_LIE)
                return (ssize_t)len;
        return done(a, half ? write_half(fd, iov, n, at, len) : write_pieces(fd, iov, n, at));
}

ssize_t write(int fd, const void *data, size_t len)
{
        return write_any(fd, &(struct iovec){ (void *)data, len }, 1, -1);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at)
{
        return write_any(fd, &(struct iovec){ (void *)data, len }, 1, at);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
        return pwrite64(fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
        return write_any(fd, iov, (size_t)n, -1);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t at)
{
        return write_any(fd, iov, (size_t)n, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
        return pwritev64(fd, iov, n, at);
}

int fdatasync(int fd)
{
        enum action a = decide_fd(FN_FDATASYNC, fd);
        return (int)DO(a, syscall(SYS_fdatasync, fd));
}

int fsync(int fd)
{
        enum action a = decide_fd(FN_FSYNC, fd);
        return (int)DO(a, syscall(SYS_fsync, fd));
}

int syncfs(int fd)
{
        enum action a = decide_fd(FN_SYNCFS, fd);
        return (int)DO(a, syscall(SYS_syncfs, fd));
}

int ftruncate64(int fd, off64_t size)
{
        enum action a = decide_fd(FN_FTRUNCATE, fd);
        return (int)DO(a, syscall(SYS_ftruncate, fd, size));
}

int ftruncate(int fd, off_t size)
{
        return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t len)
{
        enum action a = decide_fd(FN_FALLOCATE, fd);
        return (int)DO(a, syscall(SYS_fallocate, fd, mode, at, len));
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
        return fallocate64(fd, mode, at, len);
}

int posix_fallocate64(int fd, off64_t at, off64_t len)
{
        return fallocate64(fd, 0, at, len) < 0 ? errno : 0;
}

int posix_fallocate(int fd, off_t at, off_t len)
{
        return posix_fallocate64(fd, at, len);
}

static int open_any(int dirfd, const char *path, int flags, mode_t mode)
{
        bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
        enum action a = decide_at(makes ? FN_CREATE : FN_OPENAT, dirfd, path);
        return fails(a) ? -1 : (int)done(a, syscall(SYS_openat, dirfd, path, flags, mode));
}

static mode_t mode_of(int flags, va_list args)
{
        return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define DEFINE_OPEN(name)                                                                                              \
        int name(const char *path, int flags, ...)                                                                     \
        {                                                                                                              \
                va_list args;                                                                                          \
                va_start(args, flags);                                                                                 \
                mode_t mode = mode_of(flags, args);                                                                    \
                va_end(args);                                                                                          \
                return open_any(AT_FDCWD, path, flags, mode);                                                          \
        }
#define DEFINE_OPENAT(name)                                                                                            \
        int name(int dirfd, const char *path, int flags, ...)                                                          \
        {                                                                                                              \
                va_list args;                                                                                          \
                va_start(args, flags);                                                                                 \
                mode_t mode = mode_of(flags, args);                                                                    \
                va_end(args);                                                                                          \
                return open_any(dirfd, path, flags, mode);                                                             \
        }

DEFINE_OPEN(open)
DEFINE_OPEN(open64)
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
        enum action a = decide_at(FN_LINKAT, to_fd, to);
        return (int)DO(a, syscall(SYS_linkat, from_fd, from, to_fd, to, flags));
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
        enum action a = decide_at(FN_RENAME, to_fd, to);
        return (int)DO(a, syscall(SYS_renameat, from_fd, from, to_fd, to));
}

int rename(const char *from, const char *to)
{
        return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int dirfd, const char *path, int flags)
{
        enum action a = decide_at(FN_UNLINKAT, dirfd, path);
        return (int)DO(a, syscall(SYS_unlinkat, dirfd, path, flags));
}

int unlink(const char *path)
{
        return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
        enum action a = decide_at(FN_MKDIRAT, dirfd, path);
        return (int)DO(a, syscall(SYS_mkdirat, dirfd, path, mode));
}

int mkdir(const char *path, mode_t mode)
{
        return mkdirat(AT_FDCWD, path, mode);
}

/* ---- memory ---- */

static bool is_spared(uintptr_t at)
{
        for (unsigned i = 0; i < N_LIBRARIES; i++) {
                if (control->spared & 1u << i && at >= libraries[i].start && at < libraries[i].end)
                        return true;
        }
        return false;
}

static bool within_spared(void)
{
        void *frames[24];
        int n = backtrace(frames, 24);
        for (int i = 0; i < n; i++) {
                if (is_spared((uintptr_t)frames[i]))
                        return true;
        }
        return false;
}

static bool out_of_memory(void)
{
        if (inside || !is_counting(COUNT_MALLOC))
                return false;
        int saved = errno;
        inside = true;
        enum action a = within_spared() ? ACT_PASS : decide(FN_MALLOC, "");
        inside = false;
        errno = a == ACT_PASS ? saved : ENOMEM;
        return a != ACT_PASS;
}

static void *counted(void *p)
{
        if (p)
                atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
        return p;
}

void *malloc(size_t size)
{
        return out_of_memory() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
        return out_of_memory() ? NULL : counted(__libc_calloc(n, size));
}

void free(void *p)
{
        if (p)
                atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
        __libc_free(p);
}

void *realloc(void *p, size_t size)
{
        if (p && size == 0) {
                free(p);
                return NULL;
        }
        if (out_of_memory())
                return NULL;
        return p ? __libc_realloc(p, size) : counted(__libc_malloc(size));
}

void *reallocarray(void *p, size_t n, size_t size)
{
        size_t total;
        if (!__builtin_mul_overflow(n, size, &total))
                return realloc(p, total);
        errno = ENOMEM;
        return NULL;
}

void *aligned_alloc(size_t alignment, size_t size)
{
        return out_of_memory() ? NULL : counted(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
        return aligned_alloc(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
        void *p = aligned_alloc(alignment, size);
        if (!p)
                return ENOMEM;
        *ret = p;
        return 0;
}

/* ---- beginning and end ---- */

static int find_libraries(struct dl_phdr_info *info, size_t size, void *userdata)
{
        (void)size;
        (void)userdata;
        for (unsigned l = 0; l < N_LIBRARIES; l++) {
                if (!strstr(info->dlpi_name, libraries[l].name))
                        continue;
                for (int i = 0; i < info->dlpi_phnum; i++) {
                        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
                        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
                                continue;
                        libraries[l].start = info->dlpi_addr + p->p_vaddr;
                        libraries[l].end = libraries[l].start + p->p_memsz;
                }
        }
        return 0;
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("NTH_CONTROL"), *data_dir = getenv("NTH_DIR");
        if (!path || !data_dir)
                return;
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        if (fd < 0)
                return;
        void *frames[1];
        backtrace(frames, 1); /* loads libgcc_s, which allocates */
        dl_iterate_phdr(find_libraries, NULL);
        dir_len = strlen(data_dir);
        memcpy(dir, data_dir, dir_len + 1);
        void *p = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (p == MAP_FAILED)
                return;
        control = p;
        control->loaded = sizeof(*control);
}

__attribute__((destructor)) static void end(void)
{
        if (control)
                control->blocks_at_exit = atomic_load(&blocks);
}
