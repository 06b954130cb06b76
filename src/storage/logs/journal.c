/* Staging is a list of pointers; at the commit they become one frame in one buffer, written by one pwrite and one
 * fdatasync. A segment's first frame goes out together with the head that carries the segment's new generation: until
 * their sync nothing was answered, so either may be missing after a crash.
 *
 * A segment grows by stretches of zeros, since a sync of blocks that exist waits for no transaction of the file
 * system's: 0.15 ms instead of 0.3 (docs/performance.md).
 *
 * Failure modes: a segment that has to grow meets a full disk (-ENOSPC: the half frame is no frame, and the next one is
 * written over it), or cannot be opened; a failed sync, or an I/O error of a write, is final, since what is on disk is
 * then unknown. A segment that cannot be retired stays as it is, and its lines are brought back twice to the same
 * place. */
#include "storage/logs/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "storage/logs/journal_frame.h"
#include "util/files/durable.h"
#include "util/files/failure.h"
#include "util/log.h"
#include "util/thread_owner.h"

#define SMALL_DISK_SHARE 16                 /* of the file system, at most, for the journal */
#define SEGMENT_MIN_BYTES ((uint64_t)65536) /* even there */
#define BUFFER_KEPT_BYTES ((size_t)4 << 20) /* between commits */
#define GROW_BYTES ((uint64_t)1 << 20)      /* a segment grows to a multiple of it, or to the most it may have */

enum segment_state { SEGMENT_FREE, SEGMENT_ACTIVE, SEGMENT_FULL, SEGMENT_RETIRING };

struct segment {
        int fd;                            /* -1: not opened yet */
        uint64_t size;                     /* of the file, at least; bytes */
        uint64_t generation;               /* of its present or last use */
        _Atomic(enum segment_state) state; /* RETIRING to FREE: the checkpoint's; the rest: the committer's */
};

/* An append with its place, or an unlink. */
struct staged {
        const struct log_append *append;
        const struct log_unlink *forget;
        uint64_t offset;
};

struct journal {
        struct thread_owner owner; /* the committer's thread */
        int datadir_fd;
        uint64_t segment_bytes;
        uint64_t generation, sequence; /* of the next */
        struct segment segments[JOURNAL_SEGMENTS];
        struct segment *active; /* NULL: the next commit takes a free one */
        uint64_t end;           /* where the next frame goes; 0: its head is not written yet */
        size_t n_staged, cap_staged;
        struct staged *staged;
        struct journal_builder frame;
};

void journal_path(unsigned slot, char ret[JOURNAL_PATH_SIZE])
{
        snprintf(ret, JOURNAL_PATH_SIZE, "journal/%u.wal", slot);
}

int journal_open_segment(int datadir_fd, unsigned slot, int *ret_fd)
{
        char path[JOURNAL_PATH_SIZE];
        journal_path(slot, path);
        int fd = openat(datadir_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

int journal_read_head(int fd, struct journal_segment *ret)
{
        uint8_t block[JOURNAL_BLOCK] = { 0 };
        ssize_t n = pread(fd, block, sizeof(block), 0);
        return n < 0 ? -errno : journal_segment_read(block, ret);
}

static uint64_t segment_size(int datadir_fd, uint64_t bytes)
{
        struct statvfs fs;
        if (fstatvfs(datadir_fd, &fs) == 0) {
                uint64_t share = (uint64_t)fs.f_blocks * fs.f_frsize / SMALL_DISK_SHARE;
                bytes = bytes < share ? bytes : share;
        }
        bytes = bytes / JOURNAL_SEGMENTS / JOURNAL_BLOCK * JOURNAL_BLOCK;
        return bytes < SEGMENT_MIN_BYTES ? SEGMENT_MIN_BYTES : bytes;
}

/* A segment that was used before goes on after its last generation, so that no old frame can pass for a new one. */
static int look_at_segment(struct journal *j, unsigned slot)
{
        char path[JOURNAL_PATH_SIZE];
        struct journal_segment head = { 0 };
        struct segment *s = &j->segments[slot];
        struct stat st = { 0 };
        int r = journal_open_segment(j->datadir_fd, slot, &s->fd);
        if (r == -ENOENT)
                return 0;
        if (r == 0)
                r = fstat(s->fd, &st) < 0 ? -errno : journal_read_head(s->fd, &head);
        if (r < 0)
                return r;
        s->size = (uint64_t)st.st_size;
        journal_path(slot, path);
        if (r != 0)
                log_warn("a segment of the log journal has no valid head and is reused", LOG_STR("file", path));
        else if (j->generation <= head.generation)
                j->generation = head.generation + 1;
        return 0;
}

int journal_open(int datadir_fd, uint64_t bytes, struct journal **ret)
{
        int r = durable_mkdirs(datadir_fd, "journal");
        if (r < 0)
                return r;
        _cleanup_(journal_freep) struct journal *j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->datadir_fd = datadir_fd;
        j->segment_bytes = segment_size(datadir_fd, bytes);
        j->generation = 1;
        for (unsigned i = 0; i < JOURNAL_SEGMENTS; i++)
                j->segments[i].fd = -1;
        for (unsigned i = 0; r == 0 && i < JOURNAL_SEGMENTS; i++)
                r = look_at_segment(j, i);
        if (r == 0)
                *ret = TAKE_PTR(j);
        return r;
}

struct journal *journal_free(struct journal *j)
{
        if (!j)
                return NULL;
        for (unsigned i = 0; i < JOURNAL_SEGMENTS; i++) {
                if (j->segments[i].fd >= 0)
                        close(j->segments[i].fd);
        }
        buf_done(&j->frame.bytes);
        free(j->staged);
        free(j);
        return NULL;
}

void journal_begin(struct journal *j)
{
        thread_owner_take(&j->owner);
}

uint64_t journal_room(const struct journal *j, size_t appends)
{
        uint64_t heads = JOURNAL_BLOCK + JOURNAL_FRAME_HEAD_SIZE + (uint64_t)appends * JOURNAL_RECORD_MAX_HEAD;
        return j->segment_bytes > heads ? j->segment_bytes - heads : 0;
}

/* ---- staging ---- */

int journal_reserve(struct journal *j, size_t records)
{
        if (records <= j->cap_staged)
                return 0;
        size_t cap = 2 * records;
        struct staged *staged = realloc(j->staged, cap * sizeof(*staged));
        if (!staged)
                return -ENOMEM;
        j->staged = staged;
        j->cap_staged = cap;
        return 0;
}

void journal_stage(struct journal *j, const struct log_append *a, uint64_t offset)
{
        assert(j->n_staged < j->cap_staged);
        j->staged[j->n_staged++] = (struct staged){ .append = a, .offset = offset };
}

void journal_stage_forget(struct journal *j, const struct log_unlink *u)
{
        assert(j->n_staged < j->cap_staged);
        j->staged[j->n_staged++] = (struct staged){ .forget = u };
}

size_t journal_staged(const struct journal *j)
{
        return j->n_staged;
}

void journal_unstage(struct journal *j, size_t n)
{
        assert(n <= j->n_staged);
        j->n_staged = n;
}

static int build_frame(struct journal *j, const char *day)
{
        journal_builder_reset(&j->frame);
        for (size_t i = 0; i < j->n_staged; i++) {
                const struct staged *s = &j->staged[i];
                struct journal_record record = { .kind = JOURNAL_FORGET };
                if (s->append) {
                        record = (struct journal_record){
                                .kind = JOURNAL_APPEND,
                                .source = s->append->source,
                                .offset = s->offset,
                                .data = s->append->data,
                                .len = s->append->len,
                        };
                        memcpy(record.day, day, sizeof(record.day));
                } else {
                        record.source = s->forget->source;
                        memcpy(record.day, s->forget->day, sizeof(record.day));
                }
                int r = journal_builder_add(&j->frame, &record);
                if (r < 0)
                        return r;
        }
        return journal_builder_finish(&j->frame, j->active->generation, j->sequence);
}

/* ---- segments ---- */

/* The only moves: FREE to ACTIVE to FULL to RETIRING, all by the committer, and back to FREE by the checkpoint. */
static void move(struct segment *s, enum segment_state from, enum segment_state to)
{
        enum segment_state was = atomic_exchange(&s->state, to);
        assert(was == from);
        (void)was;
}

static int broken(int error)
{
        log_error("log store failed, no batch is acknowledged any more", LOG_STR("step", "write journal"),
                  LOG_STR("error", strerror(-error)));
        return JOURNAL_BROKEN;
}

static int open_segment(struct journal *j, struct segment *s)
{
        char path[JOURNAL_PATH_SIZE];
        if (s->fd >= 0)
                return 0;
        journal_path((unsigned)(s - j->segments), path);
        int fd = openat(j->datadir_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (fd < 0)
                return -errno;
        int r = durable_sync_dir(j->datadir_fd, "journal"); /* it may be new */
        if (r < 0) {
                close(fd);
                return failure_of(FAILURE_SYNC, r) == FAILURE_FINAL ? broken(r) : r;
        }
        s->fd = fd;
        return 0;
}

/* The lowest free one, so that those that have grown already are used again. */
static int activate(struct journal *j)
{
        struct segment *s = j->segments;
        while (s < j->segments + JOURNAL_SEGMENTS && atomic_load(&s->state) != SEGMENT_FREE)
                s++;
        if (s == j->segments + JOURNAL_SEGMENTS)
                return JOURNAL_FULL;
        int r = open_segment(j, s);
        if (r < 0)
                return r;
        move(s, SEGMENT_FREE, SEGMENT_ACTIVE);
        j->active = s;
        s->generation = j->generation++;
        j->end = 0;
        return 0;
}

static void set_aside(struct journal *j)
{
        if (j->active)
                move(j->active, SEGMENT_ACTIVE, SEGMENT_FULL);
        j->active = NULL;
}

static int write_at(int fd, const uint8_t *data, size_t len, uint64_t at)
{
        while (len > 0) {
                ssize_t n = pwrite(fd, data, len, (off_t)at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                data += n;
                len -= (size_t)n;
                at += (uint64_t)n;
        }
        return 0;
}

/* Makes room for the frames after `end`, as far as the disk has it. A failure means no space, or the sync that follows
 * reports it. */
static void grow(struct journal *j, struct segment *s, uint64_t end)
{
        static const uint8_t zeros[65536];
        uint64_t to = (end + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES;
        if (to > j->segment_bytes)
                to = j->segment_bytes;
        for (s->size = end; s->size < to;) {
                size_t n = to - s->size < sizeof(zeros) ? (size_t)(to - s->size) : sizeof(zeros);
                if (write_at(s->fd, zeros, n, s->size) < 0)
                        break;
                s->size += n;
        }
}

static int write_frame(struct journal *j)
{
        uint8_t head[JOURNAL_BLOCK];
        const struct buf *frame = &j->frame.bytes;
        uint64_t at = j->end ? j->end : JOURNAL_BLOCK;
        int r = 0;
        if (j->end == 0) {
                journal_segment_write(head, &(struct journal_segment){ j->active->generation, .live = true });
                r = write_at(j->active->fd, head, sizeof(head), 0);
        }
        if (r == 0)
                r = write_at(j->active->fd, frame->data, frame->len, at);
        if (r < 0)
                return failure_of(FAILURE_WRITE, r) == FAILURE_FINAL ? broken(r) : r;
        if (at + frame->len > j->active->size)
                grow(j, j->active, at + frame->len);
        r = durable_sync(j->active->fd);
        if (r == 0)
                j->end = at + frame->len;
        return r < 0 ? broken(r) : 0;
}

/* The frame's head names its segment's generation, so the segment comes first; its size decides which. */
static int find_segment(struct journal *j, const char *day)
{
        for (;;) {
                int r = j->active ? 0 : activate(j);
                if (r == 0)
                        r = build_frame(j, day);
                if (r != 0)
                        return r;
                uint64_t at = j->end ? j->end : JOURNAL_BLOCK;
                if (at + j->frame.bytes.len <= j->segment_bytes || j->end == 0)
                        return 0;
                set_aside(j);
        }
}

int journal_commit(struct journal *j, const char *day)
{
        assert_on_thread(&j->owner);
        if (j->n_staged == 0)
                return 0;
        int r = find_segment(j, day);
        if (r == 0)
                r = write_frame(j);
        if (j->frame.bytes.cap > BUFFER_KEPT_BYTES)
                buf_done(&j->frame.bytes);
        if (r == 0) {
                j->sequence++;
                j->n_staged = 0;
        }
        return r;
}

/* ---- checkpoints ---- */

static bool any_in(const struct journal *j, unsigned states)
{
        for (unsigned i = 0; i < JOURNAL_SEGMENTS; i++) {
                if (states & 1u << atomic_load(&j->segments[i].state))
                        return true;
        }
        return false;
}

bool journal_has_frames(const struct journal *j)
{
        return any_in(j, 1u << SEGMENT_ACTIVE | 1u << SEGMENT_FULL);
}

bool journal_has_full(const struct journal *j)
{
        return any_in(j, 1u << SEGMENT_FULL);
}

bool journal_is_live(const struct journal *j)
{
        return any_in(j, ~(1u << SEGMENT_FREE));
}

unsigned journal_list_live(const struct journal *j, struct journal_live ret[JOURNAL_SEGMENTS])
{
        unsigned n = 0;
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++) {
                const struct segment *s = &j->segments[slot];
                if (atomic_load(&s->state) == SEGMENT_FREE)
                        continue;
                unsigned at = n++;
                for (; at > 0 && ret[at - 1].generation > s->generation; at--)
                        ret[at] = ret[at - 1];
                ret[at] = (struct journal_live){ slot, s->fd, s->generation };
        }
        return n;
}

void journal_seal(struct journal *j)
{
        assert_on_thread(&j->owner);
        set_aside(j);
        for (struct segment *s = j->segments; s < j->segments + JOURNAL_SEGMENTS; s++) {
                if (atomic_load(&s->state) == SEGMENT_FULL) /* which only this thread changes */
                        move(s, SEGMENT_FULL, SEGMENT_RETIRING);
        }
}

int journal_free_segment(int fd, uint64_t generation)
{
        uint8_t head[JOURNAL_BLOCK];
        journal_segment_write(head, &(struct journal_segment){ generation, .live = false });
        int r = write_at(fd, head, sizeof(head), 0);
        if (r < 0)
                return r;
        return durable_sync(fd) < 0 ? -EIO : 0; /* even a full disk is final then */
}

static struct segment *oldest_retiring(struct journal *j)
{
        struct segment *oldest = NULL;
        for (struct segment *s = j->segments; s < j->segments + JOURNAL_SEGMENTS; s++) {
                if (atomic_load(&s->state) == SEGMENT_RETIRING && (!oldest || s->generation < oldest->generation))
                        oldest = s;
        }
        return oldest;
}

/* The oldest first: a recovery then finds no gap between what is left. */
int journal_retire(struct journal *j)
{
        struct segment *s;
        assert_not_on_thread(&j->owner); /* it would wait for a sync */
        while ((s = oldest_retiring(j))) {
                int r = journal_free_segment(s->fd, s->generation);
                if (r < 0)
                        return r;
                move(s, SEGMENT_RETIRING, SEGMENT_FREE);
        }
        return 0;
}
