/* Reads the live segments in the order of their generations (log_replay.c). Then each file is opened once and the lines
 * written to their places. Then everything is synced, and only then the segments are freed: after a crash in between
 * all of it is simply done again.
 *
 * Lines that are at their place are written all the same: after a failed sync the kernel may hold as clean what the
 * disk never got. As long as the file agrees with the journal, what follows in it stays, since it may have been synced
 * without the journal. The first difference tells what happened. A line that is cut short or has zero bytes is what a
 * crash leaves: the file is cut there, and the journal alone says how it goes on. What was never acknowledged may thus
 * stay or go. Anything else was done by somebody: the file was renamed, emptied, or another one put in its place. Then
 * nothing is cut. Lines that are in a renamed file or a copy beside it (log_copies.c) are there already; all others go
 * to the end of the file that has the name now, or of a new one.
 *
 * A file that cannot be written (its permissions, a directory with its name) must not keep the daemon from starting:
 * its lines go to recovered/<project>/<install_id>/<day>.ndjson.
 *
 * A frame is the last one when no other follows in its segment. Otherwise there is a hole: it is reported, the frames
 * after it count, and the segment is kept as <segment>.damaged-<generation>.
 *
 * Failure modes: memory, a full disk, a failing one: -errno, and everything stays as it was for the next start. */
#include "storage/logs/log_recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/logs/journal.h"
#include "storage/logs/log_copies.h"
#include "storage/logs/log_file.h"
#include "storage/logs/log_recovered.h"
#include "storage/logs/log_replay.h"
#include "util/files/durable.h"
#include "util/log.h"

#define CHANGED_LOGGED_MAX 20 /* files that somebody changed, each with a line in the log */

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
        struct log_replay replay;
};

/* ---- what the journal says ---- */

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
                int e = log_replay_read(&r->replay, oldest->slot, oldest->fd, oldest->head.generation,
                                        &oldest->damaged);
                if (e < 0)
                        return e;
                oldest->live = false;
        }
}

/* ---- what becomes of a file ---- */

struct restore {
        struct recovery *recovery;
        const struct log_replay_file *file;
        struct log_file log; /* fd -1: there is none yet */
        uint64_t found;      /* bytes it has from before; what is written from now on is not looked at */
        struct log_copies copies;
        uint64_t appended; /* bytes of lines that had no place in it */
        bool repaired;
};

static int write_lines(const struct restore *s, const struct log_replay_piece *p, size_t from, size_t len, uint64_t to)
{
        uint8_t block[65536];
        for (size_t done = 0; done < len;) {
                size_t n = len - done < sizeof(block) ? len - done : sizeof(block);
                int e = log_replay_copy(&s->recovery->replay, p, from + done, block, n);
                ssize_t written = e == 0 ? pwrite(s->log.fd, block, n, (off_t)(to + done)) : 0;
                if (e < 0 || written <= 0)
                        return e < 0 ? e : written < 0 ? -errno : -EIO;
                done += (size_t)written;
        }
        return 0;
}

static int open_log(struct restore *s, bool create)
{
        int e = log_file_open_as_is(&s->log, s->recovery->datadir_fd, &s->file->source, s->file->day, create);
        if (e == -ENOENT && !create)
                return 0;
        s->found = e == 0 ? s->log.size : 0;
        return e <= 0 ? e : -EIO;
}

/* Is the line with the byte at `at` what a crash leaves: unterminated, or with bytes that never reached the disk? */
static int is_torn(const struct log_file *f, uint64_t at, bool *ret)
{
        uint8_t block[4096];
        for (*ret = true; at < f->size;) {
                ssize_t n = pread(f->fd, block, sizeof(block), (off_t)at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                const uint8_t *newline = memchr(block, '\n', (size_t)n);
                const size_t len = newline ? (size_t)(newline - block) : (size_t)n;
                if (memchr(block, '\0', len))
                        return 0;
                if (newline) {
                        *ret = false;
                        return 0;
                }
                at += len;
        }
        return 0;
}

/* The file has something else at `place`. *ret_fits: that was torn and is cut off. */
static int cut_torn(struct restore *s, uint64_t place, bool *ret_fits)
{
        uint64_t line;
        bool torn = false;
        int e = log_file_find_end(s->log.fd, place, &line);
        if (e == 0)
                e = is_torn(&s->log, line, &torn);
        *ret_fits = torn && line == place; /* always, when whole lines precede it */
        if (e < 0 || !*ret_fits)
                return e;
        s->found = line;
        return log_file_cut(&s->log, line) == 0 ? 0 : -EIO;
}

static int append_lines(struct restore *s, const struct log_replay_piece *p, size_t from, size_t len)
{
        int e = log_file_repair_tail(&s->log);
        if (e == 0)
                e = write_lines(s, p, from, len, s->log.size);
        if (e != 0)
                return e < 0 ? e : -EIO;
        s->log.size += len;
        s->appended += len;
        return 0;
}

/* The line is nowhere. Nor is the rest of the piece, if there is no file, and no part of one, in which it could be. */
static int restore_lines(struct restore *s, const struct log_replay_piece *p, size_t from, size_t *ret_len)
{
        const uint64_t place = p->offset + from;
        int e = s->log.fd < 0 ? open_log(s, true) : 0;
        if (e == 0)
                e = log_replay_line(&s->recovery->replay, p, from, ret_len);
        bool fits = e == 0 && from + *ret_len <= p->at_place && place <= s->log.size;
        if (fits && place < s->log.size) {
                fits = place < s->found;
                if (fits)
                        e = cut_torn(s, place, &fits);
        }
        if (e < 0)
                return e;
        if (s->copies.n == 0 && place >= s->found && (!fits || p->at_place == p->len))
                *ret_len = p->len - from;
        s->recovery->counts.bytes_restored += *ret_len;
        s->repaired = true;
        if (!fits)
                return append_lines(s, p, from, *ret_len);
        e = write_lines(s, p, from, *ret_len, place);
        s->log.size = place + *ret_len;
        return e;
}

static int restore_piece(struct restore *s, const struct log_replay_piece *p)
{
        const struct log_replay *r = &s->recovery->replay;
        int e = 0;
        for (size_t from = 0, n; from < p->len && e == 0; from += n) {
                n = 0;
                if (s->log.fd >= 0)
                        e = log_replay_compare_named(r, p, from, s->log.fd, s->found, &n);
                if (e == 0 && n > 0) {
                        e = write_lines(s, p, from, n, p->offset + from);
                } else if (e == 0 && (n = log_copies_have(&s->copies, r, p, from)) > 0) {
                        s->recovery->counts.bytes_elsewhere += n;
                } else if (e == 0) {
                        e = restore_lines(s, p, from, &n);
                }
        }
        return e;
}

static int restore_pieces(struct restore *s)
{
        int e = 0;
        for (const struct log_replay_piece *p = s->file->pieces; p < s->file->pieces + s->file->n && e == 0; p++)
                e = restore_piece(s, p);
        return e;
}

static void report_changed(struct restore *s)
{
        if (s->appended == 0 || ++s->recovery->counts.files_changed > CHANGED_LOGGED_MAX)
                return;
        log_warn("a log file had been moved, emptied or replaced: lines that were acknowledged are at its end again",
                 LOG_STR("file", s->file->key), LOG_INT("bytes", s->appended));
}

/* The file itself cannot be written. */
static int write_elsewhere(struct restore *s, int why)
{
        _cleanup_(buf_done) struct buf lines = { 0 };
        int e = 0;
        for (const struct log_replay_piece *p = s->file->pieces; p < s->file->pieces + s->file->n && e == 0; p++)
                e = log_replay_take(&s->recovery->replay, p, 0, p->len, &lines);
        if (e == 0)
                e = log_recovered_append(s->recovery->datadir_fd, &s->file->source, s->file->day, &lines, why);
        s->recovery->counts.files_unwritable++;
        return e;
}

static int restore_file(struct recovery *r, struct log_replay_file *file)
{
        struct restore s = { .recovery = r, .file = file, .log.fd = -1 };
        if (file->n == 0)
                return 0;
        r->counts.files++;
        log_replay_mark(file);
        log_copies_open(&s.copies, r->datadir_fd, file);
        int e = open_log(&s, false);
        if (e == 0)
                e = restore_pieces(&s);
        if (log_recovered_is_for(e))
                e = write_elsewhere(&s, e);
        r->counts.files_repaired += s.repaired;
        report_changed(&s);
        log_copies_done(&s.copies);
        log_file_close(&s.log);
        return e;
}

static int restore_files(struct recovery *r, struct error *err)
{
        struct log_replay_file *f, *next;
        HASH_ITER(hh, r->replay.files, f, next)
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
        for (struct segment *s = r->segments; s < r->segments + JOURNAL_SEGMENTS; s++)
                closep(&s->fd);
        log_replay_done(&r->replay);
}

int log_recovery_run(int datadir_fd, struct log_recovery_counts *ret, struct error *err)
{
        _cleanup_(recovery_done) struct recovery r = { .datadir_fd = datadir_fd };
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++)
                r.segments[slot] = (struct segment){ .slot = slot, .fd = -1 };
        error_set(err, "%s", "");
        int e = read_journal(&r, err);
        r.counts.frames = r.replay.frames;
        r.counts.frames_damaged = r.replay.frames_damaged;
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
