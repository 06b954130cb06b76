/* The WAL and its -shm file: checkpoints, and what to do on a full disk.
 *
 * A transaction that finds no space has made the WAL longer by what it wrote in vain, and a checkpoint may need that
 * space for the database. So the WAL is then cut after the last commit. Nobody reads there: frames count only up to
 * that (https://www.sqlite.org/walformat.html#reader_algorithm).
 *
 * The -shm file is mapped, and SQLite grows it by one byte in each 4 KiB. On a file system with smaller blocks the
 * others are holes, and whoever writes there on a full disk is killed by SIGBUS. So the blocks of its first part, which
 * serves a WAL of 16 MiB, are allocated when the index is opened, which can still fail with a message. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/index/index_internal.h"
#include "storage/index/index_write.h"

#define WAL_HEAD_BYTES 32 /* https://www.sqlite.org/walformat.html */
#define WAL_FRAME_HEAD_BYTES 24
#define PAGE_BYTES 4096
#define CHECKPOINT_PAGES 1000
#define TRUNCATE_PAGES (16 * 1024 * 1024 / PAGE_BYTES)
#define SHM_BYTES (32 * 1024)

static int note_pages(void *userdata, _unused_ sqlite3 *db, _unused_ const char *name, int pages)
{
        struct index *x = userdata;
        x->wal_pages = pages;
        return SQLITE_OK;
}

void index_wal_watch(struct index *x)
{
        sqlite3_wal_hook(x->db, note_pages, x);
}

int index_wal_keep_shm(struct index *x, const char *path)
{
        char shm[PATH_MAX];
        assert(x->shm_fd < 0);
        if (snprintf(shm, sizeof(shm), "%s-shm", path) >= (int)sizeof(shm))
                return -ENAMETOOLONG;
        x->shm_fd = open(shm, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (x->shm_fd < 0)
                return -errno;
        return fallocate(x->shm_fd, FALLOC_FL_KEEP_SIZE, 0, SHM_BYTES) == 0 || errno == EOPNOTSUPP ? 0 : -errno;
}

/* ---- checkpoints ---- */

/* Without waiting for readers: what they hold up is done next time. */
int index_wal_checkpoint(struct index *x, int mode)
{
        int pages = 0, written_back = 0;
        sqlite3_busy_timeout(x->db, 0);
        int r = sqlite3_wal_checkpoint_v2(x->db, NULL, mode, &pages, &written_back);
        sqlite3_busy_timeout(x->db, INDEX_BUSY_TIMEOUT_MS);
        x->checkpointed_pages = x->wal_pages;
        x->wal_held = written_back < pages || (r & 0xFF) == SQLITE_BUSY;
        if (r == SQLITE_OK && mode == SQLITE_CHECKPOINT_TRUNCATE)
                x->wal_pages = x->checkpointed_pages = 0;
        return r == SQLITE_OK || (r & 0xFF) == SQLITE_BUSY ? 0 : index_failed(x, "checkpoint");
}

int index_checkpoint_if_due(struct index *x)
{
        assert_on_thread(&x->owner);
        assert(!index_in_transaction(x));
        if (x->wal_pages < x->checkpointed_pages) /* the WAL started over */
                x->checkpointed_pages = 0;
        if (x->wal_pages - x->checkpointed_pages < CHECKPOINT_PAGES)
                return 0;
        return index_wal_checkpoint(x, x->wal_pages >= TRUNCATE_PAGES ? SQLITE_CHECKPOINT_TRUNCATE
                                                                      : SQLITE_CHECKPOINT_PASSIVE);
}

int index_cut_wal(struct index *x)
{
        assert_on_thread(&x->owner);
        assert(!index_in_transaction(x));
        return index_wal_checkpoint(x, SQLITE_CHECKPOINT_TRUNCATE);
}

/* 0: it has none, or cannot be read. */
static sqlite3_int64 frame_bytes(sqlite3_file *wal)
{
        uint8_t head[WAL_HEAD_BYTES];
        if (wal->pMethods->xRead(wal, head, sizeof(head), 0) != SQLITE_OK)
                return 0;
        uint32_t page = (uint32_t)head[8] << 24 | (uint32_t)head[9] << 16 | (uint32_t)head[10] << 8 | head[11];
        return page >= 512 && page <= 65536 ? WAL_FRAME_HEAD_BYTES + (sqlite3_int64)page : 0;
}

/* wal_pages is what the WAL had at the last commit, or more when it started over since; 0: there was none yet, and
 * frames that an earlier writer left are not counted. */
static void cut(struct index *x)
{
        sqlite3_file *wal = NULL;
        sqlite3_int64 size = 0;
        sqlite3_file_control(x->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
        if (x->wal_pages <= 0 || !wal || !wal->pMethods || wal->pMethods->xFileSize(wal, &size) != SQLITE_OK)
                return;
        sqlite3_int64 frame = frame_bytes(wal), whole = WAL_HEAD_BYTES + x->wal_pages * frame;
        if (frame > 0 && size > whole)
                wal->pMethods->xTruncate(wal, whole);
}

int index_checkpoint(struct index *x)
{
        assert_on_thread(&x->owner);
        assert(!index_in_transaction(x));
        cut(x);
        return index_wal_checkpoint(x, SQLITE_CHECKPOINT_PASSIVE);
}

/* ---- readers ---- */

uint64_t index_wal_bytes(const struct index *x)
{
        return x->wal_pages > 0 ? WAL_HEAD_BYTES + (uint64_t)x->wal_pages * (WAL_FRAME_HEAD_BYTES + PAGE_BYTES) : 0;
}

bool index_wal_is_held(const struct index *x)
{
        return x->wal_held;
}

/* Each reader locks one of these five bytes of the -shm file: https://www.sqlite.org/walformat.html#locks. */
#define FIRST_READ_LOCK 123
#define LAST_READ_LOCK 127

/* "1: POSIX  ADVISORY  READ 1234 fe:00:5678 123 123" */
static bool is_read_lock(const char *line, ino_t shm, pid_t *ret_pid)
{
        unsigned long long inode, first, last;
        int pid;
        if (sscanf(line, "%*d: POSIX %*s READ %d %*x:%*x:%llu %llu %llu", &pid, &inode, &first, &last) != 4)
                return false;
        *ret_pid = pid;
        return inode == shm && first <= LAST_READ_LOCK && last >= FIRST_READ_LOCK && pid > 0 && pid != getpid();
}

pid_t index_wal_find_reader(const struct index *x)
{
        char line[256];
        struct stat st;
        pid_t pid = 0;
        FILE *locks = fstat(x->shm_fd, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
        if (!locks)
                return 0;
        while (fgets(line, sizeof(line), locks)) {
                if (is_read_lock(line, st.st_ino, &pid))
                        break;
                pid = 0;
        }
        fclose(locks);
        return pid;
}
