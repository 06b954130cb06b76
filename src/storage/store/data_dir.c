/* Failure modes: another process holds the lock; the index cannot be opened, or is from a newer detritus. All come with
 * words. A process that is killed leaves "running" in the lock file, so the next one checks everything. */
#include "storage/store/data_dir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "storage/logs/log_recovery.h"
#include "storage/store/adopt.h"
#include "storage/store/clean_stop.h"
#include "storage/store/reconcile.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/log.h"

void data_dir_init(struct data_dir *d, const char *path)
{
        *d = (struct data_dir){ .path = path, .fd = -1, .lock_fd = -1 };
}

int data_dir_open(struct data_dir *d, struct error *err)
{
        assert(d->state == DATA_DIR_CLOSED);
        d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->fd < 0)
                return error_cannot(err, -errno, "open the data directory", d->path);
        d->state = DATA_DIR_OPEN;
        return 0;
}

static bool has(const struct data_dir *d, const char *name)
{
        return faccessat(d->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int data_dir_expect_database(const struct data_dir *d, struct error *err)
{
        assert(d->state == DATA_DIR_OPEN);
        return has(d, "detritus.db") ? 0
                                     : error_cannot(err, -ENOENT, "find the database of the data directory", d->path);
}

static int any(_unused_ void *userdata, _unused_ const char *path, _unused_ const char *name)
{
        return 1;
}

int data_dir_expect_ours(const struct data_dir *d, struct error *err)
{
        assert(d->state == DATA_DIR_OPEN);
        if (has(d, "detritus.db") || has(d, "crashes") || has(d, "logs"))
                return 0;
        int r = entries_each(d->fd, ".", any, NULL);
        if (r <= 0)
                return r == 0 ? 0 : error_cannot(err, r, "read", d->path);
        error_set(err, "%s is not a data directory: it has no database, no crashes and no log files", d->path);
        return -ENOENT;
}

/* The file names a pid for people. 0: none. */
static pid_t pid_in(int lock_fd)
{
        char text[32] = "";
        ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        long pid = strtol(text, NULL, 10);
        return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static int refuse_second(struct data_dir *d, int lock_fd, struct error *err)
{
        char pid[16] = "unknown";
        d->holder = pid_in(lock_fd);
        if (d->holder > 0)
                snprintf(pid, sizeof(pid), "%d", (int)d->holder);
        error_set(err, "data directory %s is in use by another detritusd or detritusctl (pid %s)", d->path, pid);
        return -EBUSY;
}

int data_dir_lock(struct data_dir *d, struct error *err)
{
        assert(d->state == DATA_DIR_OPEN);
        _cleanup_(closep) int fd = openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (fd < 0)
                return error_cannot(err, -errno, "open the lock of", d->path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? refuse_second(d, fd, err) : error_cannot(err, -errno, "lock", d->path);
        /* When the restore goes on, it would remove what came in meanwhile. */
        if (has(d, DATA_DIR_INCOMING)) {
                error_set(err,
                          "%s is a backup or a restore that was not finished: run it again (or, to keep what is there "
                          "as it is, remove %s/" DATA_DIR_INCOMING ")",
                          d->path, d->path);
                return -EUCLEAN;
        }
        int r = clean_stop_begin(d->fd, fd, &d->was_clean);
        if (r < 0)
                return error_cannot(err, r, "write the lock of", d->path);
        d->lock_fd = TAKE_FD(fd);
        d->state = DATA_DIR_LOCKED;
        return 0;
}

static int ignore_entry(_unused_ void *userdata, _unused_ const char *path, _unused_ const char *name)
{
        return 0;
}

/* What a stop in the middle of replacing a small file left. */
static int remove_unfinished(void *userdata, const char *path, const char *name)
{
        const struct data_dir *d = userdata;
        if (strncmp(name, PATH_UNFINISHED, strlen(PATH_UNFINISHED)) == 0)
                unlinkat(d->fd, path, 0);
        return 0;
}

int data_dir_recover_logs(struct data_dir *d, struct error *err)
{
        const struct entries_walk journal = {
                .dirfd = d->fd, .entry = ignore_entry, .hidden = remove_unfinished, .userdata = d
        };
        struct log_recovery_counts found;
        assert(d->state == DATA_DIR_LOCKED);
        (void)entries_walk(&journal, "journal");
        int r = log_recovery_run(d->fd, &found, err);
        if (r < 0)
                return r;
        if (found.frames > 0)
                log_info("log lines were recovered from the journal", LOG_INT("commits", found.frames),
                         LOG_INT("files", found.files), LOG_INT("files_repaired", found.files_repaired),
                         LOG_INT("bytes_restored", found.bytes_restored),
                         LOG_INT("bytes_elsewhere", found.bytes_elsewhere),
                         LOG_INT("files_changed", found.files_changed),
                         LOG_INT("files_unwritable", found.files_unwritable),
                         LOG_INT("commits_damaged", found.frames_damaged));
        d->state = DATA_DIR_RECOVERED;
        return 0;
}

static int adopt(struct data_dir *d, struct index *index, enum adopt_what what)
{
        struct adopt_counts counts;
        int r = adopt_data_dir(d->fd, index, what, &counts);
        if (r == 0 && (counts.crashes || counts.log_files || counts.unreadable || counts.blobs_missing))
                log_info("indexed what the data directory held", LOG_INT("crashes", counts.crashes),
                         LOG_INT("log_files", counts.log_files), LOG_INT("unreadable", counts.unreadable),
                         LOG_INT("blobs_missing", counts.blobs_missing));
        return r;
}

int data_dir_open_index(struct data_dir *d, struct index **ret, bool *ret_untidy, struct error *err)
{
        _cleanup_(index_freep) struct index *index = NULL;
        struct reconcile_counts found = { 0 };
        bool created;
        assert(d->state == DATA_DIR_RECOVERED);
        int r = index_open(d->path, &index, &created, err);
        if (r != 0)
                return r < 0 ? r : -EINVAL;
        if (created || d->was_clean)
                r = adopt(d, index, created ? ADOPT_ALL : ADOPT_LOGS);
        else
                r = reconcile_data_dir(d->fd, index, !d->verified, &found);
        if (r < 0)
                return error_cannot(err, r, "index the files of", d->path);
        d->state = DATA_DIR_INDEXED;
        *ret_untidy = found.mirrors_absent > 0;
        *ret = TAKE_PTR(index);
        return 0;
}

int data_dir_stop_clean(struct data_dir *d)
{
        assert(d->state >= DATA_DIR_RECOVERED);
        return clean_stop_end(d->fd, d->lock_fd);
}

void data_dir_done(struct data_dir *d)
{
        closep(&d->lock_fd);
        closep(&d->fd);
        d->lock_fd = d->fd = -1;
        d->state = DATA_DIR_CLOSED;
}

/* Compares inode and device. On btrfs and overlays the kernel's device number is not that of stat(2): there, the pid in
 * the file decides. */
static bool is_its_lock(const char *line, const struct stat *st, pid_t pid_in_file, int *ret_holder)
{
        unsigned device_major, device_minor;
        unsigned long long inode;
        if (sscanf(line, "%*d: FLOCK %*s WRITE %d %x:%x:%llu", ret_holder, &device_major, &device_minor, &inode) != 4 ||
            inode != st->st_ino)
                return false;
        return (device_major == major(st->st_dev) && device_minor == minor(st->st_dev)) ||
               (pid_in_file > 0 && *ret_holder == pid_in_file);
}

bool data_dir_is_held(int datadir_fd, pid_t *ret_pid)
{
        char line[256];
        struct stat st;
        bool found = false;
        int holder = 0;
        _cleanup_(closep) int fd = openat(datadir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        FILE *locks = fd >= 0 && fstat(fd, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
        if (!locks)
                return false;
        pid_t pid = pid_in(fd);
        while (!found && fgets(line, sizeof(line), locks))
                found = is_its_lock(line, &st, pid, &holder);
        fclose(locks);
        if (found && ret_pid)
                *ret_pid = holder;
        return found;
}
