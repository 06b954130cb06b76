/* Reads the live segments in the order of their generations, frame by frame, and notes for each file which lines it was
 * given where. Then each file is opened once and the lines written to their places. Then everything is synced, and only
 * then the segments are freed: after a crash in between all of it is simply done again.
 *
 * Lines that are there already are written all the same: after a failed sync the kernel may hold as clean what the disk
 * never got. As long as the file agrees with the journal, what follows in it stays, since it may have been synced
 * without the journal; from the first difference on it is cut and the journal alone says how it goes on. What was never
 * acknowledged may thus stay or go.
 *
 * A frame is the last one when no other follows in its segment. Otherwise there is a hole: it is reported, the frames
 * after it count, and the segment is kept as <segment>.damaged-<generation>. A file that was removed is made again only
 * if the journal has it from its first byte; one that was cut short gets its lines at its end.
 *
 * Failure modes: memory, a full disk, a failing one: -errno, and everything stays as it was for the next start. */
#include "storage/logs/log_recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "storage/logs/journal.h"
#include "storage/logs/log_file.h"
#include "util/files/durable.h"
#include "util/log.h"

/* Lines of one file in one frame. */
struct piece {
        struct piece *next;
        unsigned slot; /* which segment */
        uint64_t at;   /* where in it */
        uint64_t offset;
        size_t len;
};

struct file {
        char key[SOURCE_CANONICAL_SIZE + CLOCK_DAY_SIZE];
        struct source source;
        char day[CLOCK_DAY_SIZE];
        struct piece *first, **last;
        uint64_t end; /* of the last piece in the file */
        UT_hash_handle hh;
};

struct segment {
        unsigned slot;
        int fd;
        struct journal_segment head;
        bool live, damaged;
};

struct recovery {
        int datadir_fd;
        struct log_recovery_counts counts;
        struct segment segments[JOURNAL_SEGMENTS]; /* by slot */
        struct file *files;
        bool has_sequence;
        uint64_t sequence; /* of the frame before */
};

/* ---- what the journal says ---- */

static void drop_pieces(struct file *f)
{
        while (f->first) {
                struct piece *next = f->first->next;
                free(f->first);
                f->first = next;
        }
        f->last = &f->first;
}

static struct file *find_file(struct recovery *r, const struct journal_record *record)
{
        struct file *f = NULL;
        char key[sizeof(f->key)];
        snprintf(key, sizeof(key), "%s/%s/%s", record->source.project, record->source.install_id, record->day);
        HASH_FIND_STR(r->files, key, f);
        if (f)
                return f;
        f = calloc(1, sizeof(*f));
        if (!f)
                return NULL;
        memcpy(f->key, key, sizeof(key));
        f->source = record->source;
        memcpy(f->day, record->day, sizeof(f->day));
        f->last = &f->first;
        HASH_ADD_STR(r->files, key, f);
        if (f->hh.tbl)
                return f;
        free(f);
        return NULL;
}

/* Lines that begin before the last ones ended are of a new file under the old name. */
static int note_record(struct recovery *r, const struct segment *s, const struct journal_record *record, uint64_t at)
{
        struct file *f = find_file(r, record);
        if (!f)
                return -ENOMEM;
        if (record->kind == JOURNAL_FORGET || record->offset < f->end)
                drop_pieces(f);
        f->end = record->kind == JOURNAL_FORGET ? 0 : record->offset + record->len;
        if (record->kind == JOURNAL_FORGET)
                return 0;
        struct piece *p = malloc(sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (struct piece){ .slot = s->slot, .at = at, .offset = record->offset, .len = record->len };
        *f->last = p;
        f->last = &p->next;
        return 0;
}

static int note_frame(struct recovery *r, struct segment *s, struct journal_frame *frame, const uint8_t *start)
{
        struct journal_record record;
        int e = 0;
        if (r->has_sequence && frame->sequence != r->sequence + 1) {
                s->damaged = true;
                r->counts.frames_damaged += frame->sequence > r->sequence ? frame->sequence - r->sequence - 1 : 1;
        }
        r->has_sequence = true;
        r->sequence = frame->sequence;
        r->counts.frames++;
        while (e == 0 && journal_frame_next(frame, &record) == 0)
                e = note_record(r, s, &record, (uint64_t)(record.data - start));
        if (frame->records > 0)
                s->damaged = true;
        return e;
}

/* Frames begin on blocks: after the last one, look whether there is another after a hole. */
static int note_frames(struct recovery *r, struct segment *s, const uint8_t *data, size_t len)
{
        size_t at = JOURNAL_BLOCK;
        while (at < len) {
                struct journal_frame frame;
                if (journal_frame_read(data + at, len - at, s->head.generation, &frame) != 0) {
                        at += JOURNAL_BLOCK;
                        continue;
                }
                at += frame.size;
                int e = note_frame(r, s, &frame, data);
                if (e < 0)
                        return e;
        }
        return 0;
}

static int read_segment(struct recovery *r, struct segment *s)
{
        _cleanup_(buf_done) struct buf bytes = { 0 };
        if (lseek(s->fd, 0, SEEK_SET) < 0)
                return -errno;
        int e = buf_read_fd(&bytes, s->fd, SIZE_MAX / 4);
        return e < 0 ? e : note_frames(r, s, bytes.data, bytes.len);
}

/* Nothing that was synced is without a head; but a first head need not have been, and ext4 lets a file have its size
 * before it has its bytes, which are zeros till then. */
static bool is_unwritten(int fd)
{
        uint8_t block[JOURNAL_BLOCK];
        if (pread(fd, block, sizeof(block), 0) != sizeof(block))
                return false;
        return block[0] == 0 && memcmp(block, block + 1, sizeof(block) - 1) == 0;
}

static int open_segment(struct recovery *r, unsigned slot, struct error *err)
{
        struct segment *s = &r->segments[slot];
        struct stat st;
        int e = journal_open_segment(r->datadir_fd, slot, &s->fd);
        if (e == -ENOENT)
                return 0;
        if (e == 0)
                e = journal_read_head(s->fd, &s->head);
        if (e < 0 || fstat(s->fd, &st) < 0)
                return e < 0 ? e : -errno;
        if (e == JOURNAL_NEWER) {
                error_set(err, "the log journal was written by a newer detritusd");
                return -EINVAL;
        }
        s->live = e == 0 && s->head.live;
        s->damaged = e == JOURNAL_NOT && st.st_size > JOURNAL_BLOCK && !is_unwritten(s->fd);
        return 0;
}

static int read_journal(struct recovery *r, struct error *err)
{
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++) {
                int e = open_segment(r, slot, err);
                if (e < 0)
                        return e;
        }
        for (;;) { /* a handful: the oldest that is not read yet */
                struct segment *oldest = NULL;
                for (struct segment *s = r->segments; s < r->segments + JOURNAL_SEGMENTS; s++) {
                        if (s->live && (!oldest || s->head.generation < oldest->head.generation))
                                oldest = s;
                }
                if (!oldest)
                        return 0;
                int e = read_segment(r, oldest);
                if (e < 0)
                        return e;
                oldest->live = false;
        }
}

/* ---- what becomes of a file ---- */

static int read_piece(const struct recovery *r, const struct piece *p, uint8_t *block, size_t n, uint64_t from)
{
        ssize_t got = pread(r->segments[p->slot].fd, block, n, (off_t)(p->at + from));
        return got < 0 ? -errno : (size_t)got == n ? 0 : -EIO;
}

/* How many bytes from the piece's first on are in the file. */
static int compare_piece(const struct recovery *r, const struct log_file *f, const struct piece *p, size_t *ret_same)
{
        uint8_t ours[4096], theirs[4096];
        size_t same = 0;
        while (same < p->len && p->offset + same < f->size) {
                size_t n = p->len - same < sizeof(ours) ? p->len - same : sizeof(ours);
                int e = read_piece(r, p, ours, n, same);
                ssize_t got = e == 0 ? pread(f->fd, theirs, n, (off_t)(p->offset + same)) : 0;
                if (e < 0 || got < 0)
                        return e < 0 ? e : -errno;
                size_t i = 0;
                while (i < (size_t)got && ours[i] == theirs[i])
                        i++;
                same += i;
                if (i < n)
                        break;
        }
        *ret_same = same;
        return 0;
}

static int write_piece(const struct recovery *r, const struct log_file *f, const struct piece *p, uint64_t at)
{
        uint8_t block[65536];
        for (size_t done = 0; done < p->len;) {
                size_t n = p->len - done < sizeof(block) ? p->len - done : sizeof(block);
                int e = read_piece(r, p, block, n, done);
                ssize_t written = e == 0 ? pwrite(f->fd, block, n, (off_t)(at + done)) : 0;
                if (e < 0 || written <= 0)
                        return e < 0 ? e : written < 0 ? -errno : -EIO;
                done += (size_t)written;
        }
        return 0;
}

static int restore_pieces(struct recovery *r, const struct file *file, struct log_file *f)
{
        bool agrees = true;
        for (const struct piece *p = file->first; p; p = p->next) {
                size_t same = 0;
                uint64_t at = p->offset;
                int e = agrees ? compare_piece(r, f, p, &same) : 0;
                if (e == 0 && same < p->len) {
                        agrees = false;
                        at = at < f->size ? at : f->size;
                        if (f->size > at && log_file_cut(f, at) != 0)
                                return -EIO;
                        r->counts.bytes_restored += p->len - same;
                        f->size = at + p->len;
                }
                if (e == 0)
                        e = write_piece(r, f, p, at);
                if (e < 0)
                        return e;
        }
        r->counts.files_repaired += !agrees;
        return 0;
}

static int restore_file(struct recovery *r, const struct file *file)
{
        struct log_file f;
        if (!file->first)
                return 0;
        r->counts.files++;
        int e = log_file_open_as_is(&f, r->datadir_fd, &file->source, file->day, file->first->offset == 0);
        if (e == -ENOENT) {
                r->counts.files_removed++;
                return 0;
        }
        if (e != 0)
                return e < 0 ? e : -EIO;
        /* Somebody has cut it short: what is left must end in a newline before more is appended. */
        if (f.size < file->first->offset && log_file_repair_tail(&f) != 0)
                e = -EIO;
        if (e == 0)
                e = restore_pieces(r, file, &f);
        log_file_close(&f);
        return e;
}

static int restore_files(struct recovery *r, struct error *err)
{
        struct file *f, *next;
        HASH_ITER(hh, r->files, f, next)
        {
                int e = restore_file(r, f);
                if (e < 0) {
                        error_set(err, "cannot bring log lines back from the journal into logs/%s.ndjson: %s", f->key,
                                  strerror(-e));
                        return e;
                }
        }
        return 0;
}

/* ---- the end ---- */

static int keep_aside(const struct recovery *r, const struct segment *s)
{
        char path[JOURNAL_PATH_SIZE], kept[JOURNAL_PATH_SIZE + 32];
        journal_path(s->slot, path);
        snprintf(kept, sizeof(kept), "%s.damaged-%" PRIu64, path, s->head.generation);
        log_error("the log journal is damaged: acknowledged lines may be lost; the segment is kept aside",
                  LOG_STR("file", kept));
        return renameat(r->datadir_fd, path, r->datadir_fd, kept) < 0 ? -errno : 0;
}

static int free_segments(const struct recovery *r)
{
        for (const struct segment *s = r->segments; s < r->segments + JOURNAL_SEGMENTS; s++) {
                if (s->fd < 0)
                        continue;
                int e = 0;
                if (s->damaged)
                        e = keep_aside(r, s);
                else if (s->head.live)
                        e = journal_free_segment(s->fd, s->head.generation);
                if (e < 0)
                        return e;
        }
        return 0;
}

static void recovery_done(struct recovery *r)
{
        struct file *f = r->files, *next;
        for (struct segment *s = r->segments; s < r->segments + JOURNAL_SEGMENTS; s++)
                closep(&s->fd);
        HASH_CLEAR(hh, r->files); /* the files stay linked */
        for (; f; f = next) {
                next = f->hh.next;
                drop_pieces(f);
                free(f);
        }
}

int log_recovery_run(int datadir_fd, struct log_recovery_counts *ret, struct error *err)
{
        _cleanup_(recovery_done) struct recovery r = { .datadir_fd = datadir_fd };
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++)
                r.segments[slot] = (struct segment){ .slot = slot, .fd = -1 };
        error_set(err, "%s", "");
        int e = read_journal(&r, err);
        if (e == 0)
                e = restore_files(&r, err);
        if (e == 0 && r.counts.frames > 0)
                e = durable_sync_all(datadir_fd);
        if (e == 0)
                e = free_segments(&r);
        if (e < 0) {
                if (!err->text[0])
                        error_set(err, "cannot recover the log journal: %s", strerror(-e));
                return e;
        }
        *ret = r.counts;
        return 0;
}
