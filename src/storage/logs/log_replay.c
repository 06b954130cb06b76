/* Frames begin on blocks, so a hole in a segment costs only the frames in it: the next one is found all the same.
 *
 * Nothing that was acknowledged is dropped here, but for files that were deleted through the daemon (JOURNAL_FORGET). A
 * file whose lines begin again at a lower offset was replaced or emptied by somebody; both its lines from before and
 * those from after were acknowledged. Only the later ones can be at their place. */
#define HASH_NONFATAL_OOM 1 /* before uthash.h comes in: a failed insertion is seen in hh.tbl */
#include "storage/logs/log_replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/logs/journal_frame.h"

static struct log_replay_file *find_file(struct log_replay *r, const struct source *source, const char *day, bool make,
                                         int *ret_error)
{
        struct log_replay_file *f = NULL;
        char key[sizeof(f->key)];
        snprintf(key, sizeof(key), "%s/%s/%.10s", source->project, source->install_id, day);
        HASH_FIND_STR(r->files, key, f);
        if (f || !make)
                return f;
        *ret_error = -ENOMEM;
        f = calloc(1, sizeof(*f));
        if (!f)
                return NULL;
        memcpy(f->key, key, sizeof(key));
        f->source = *source;
        snprintf(f->day, sizeof(f->day), "%.10s", day);
        HASH_ADD_STR(r->files, key, f);
        if (f->hh.tbl)
                return f;
        free(f);
        return NULL;
}

struct log_replay_file *log_replay_expect(struct log_replay *r, const struct source *source, const char *day)
{
        int error = 0;
        return find_file(r, source, day, true, &error);
}

static int add_piece(struct log_replay_file *f, const struct log_replay_piece *p)
{
        if (f->n == f->cap) {
                size_t cap = f->cap > 0 ? 2 * f->cap : 4;
                struct log_replay_piece *pieces = realloc(f->pieces, cap * sizeof(*pieces));
                if (!pieces)
                        return -ENOMEM;
                f->pieces = pieces;
                f->cap = cap;
        }
        f->pieces[f->n++] = *p;
        return 0;
}

static int note_record(struct log_replay *r, unsigned slot, const struct journal_record *record, uint64_t at)
{
        int error = 0;
        struct log_replay_file *f = find_file(r, &record->source, record->day, !r->only_expected, &error);
        if (!f)
                return error;
        if (record->kind == JOURNAL_FORGET) {
                f->n = 0;
                return 0;
        }
        return add_piece(
                f, &(struct log_replay_piece){ .slot = slot, .at = at, .offset = record->offset, .len = record->len });
}

static int note_frame(struct log_replay *r, unsigned slot, struct journal_frame *frame, const uint8_t *start,
                      bool *ret_damaged)
{
        struct journal_record record;
        int e = 0;
        if (r->has_sequence && frame->sequence != r->sequence + 1) {
                *ret_damaged = true;
                r->frames_damaged += frame->sequence > r->sequence ? frame->sequence - r->sequence - 1 : 1;
        }
        r->has_sequence = true;
        r->sequence = frame->sequence;
        r->frames++;
        while (e == 0 && journal_frame_next(frame, &record) == 0)
                e = note_record(r, slot, &record, (uint64_t)(record.data - start));
        if (frame->records > 0)
                *ret_damaged = true;
        return e;
}

int log_replay_read(struct log_replay *r, unsigned slot, int fd, uint64_t generation, bool *ret_damaged)
{
        _cleanup_(buf_done) struct buf bytes = { 0 };
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        int e = buf_read_fd(&bytes, fd, SIZE_MAX / 4);
        r->fds[slot] = fd;
        for (size_t at = JOURNAL_BLOCK; e == 0 && at < bytes.len;) {
                struct journal_frame frame;
                if (journal_frame_read(bytes.data + at, bytes.len - at, generation, &frame) != 0) {
                        at += JOURNAL_BLOCK;
                        continue;
                }
                at += frame.size;
                e = note_frame(r, slot, &frame, bytes.data, ret_damaged);
        }
        return e;
}

/* From the last piece back: [low, high) is where later ones were written. */
void log_replay_mark(struct log_replay_file *f)
{
        uint64_t low = UINT64_MAX, high = 0;
        for (size_t i = f->n; i > 0; i--) {
                struct log_replay_piece *p = &f->pieces[i - 1];
                uint64_t end = p->offset + p->len;
                p->at_place = p->offset >= high || end <= low ? p->len
                              : low > p->offset               ? (size_t)(low - p->offset)
                                                              : 0;
                low = p->offset < low ? p->offset : low;
                high = end > high ? end : high;
        }
}

int log_replay_copy(const struct log_replay *r, const struct log_replay_piece *p, size_t from, void *ret, size_t n)
{
        ssize_t got = pread(r->fds[p->slot], ret, n, (off_t)(p->at + from));
        return got < 0 ? -errno : (size_t)got == n ? 0 : -EIO;
}

int log_replay_line(const struct log_replay *r, const struct log_replay_piece *p, size_t from, size_t *ret_len)
{
        char block[4096];
        for (size_t at = from; at < p->len;) {
                size_t n = p->len - at < sizeof(block) ? p->len - at : sizeof(block);
                int e = log_replay_copy(r, p, at, block, n);
                if (e < 0)
                        return e;
                const char *newline = memchr(block, '\n', n);
                if (newline) {
                        *ret_len = at + (size_t)(newline - block) + 1 - from;
                        return 0;
                }
                at += n;
        }
        *ret_len = p->len - from;
        return 0;
}

int log_replay_take(const struct log_replay *r, const struct log_replay_piece *p, size_t from, size_t n,
                    struct buf *lines)
{
        int e = buf_reserve(lines, n);
        if (e == 0)
                e = log_replay_copy(r, p, from, lines->data + lines->len, n);
        if (e == 0)
                lines->len += n;
        return e;
}

int log_replay_compare(const struct log_replay *r, const struct log_replay_piece *p, size_t from, int fd,
                       uint64_t limit, size_t *ret_same)
{
        uint8_t ours[4096], theirs[4096];
        uint64_t begin = p->offset + from, room = limit > begin ? limit - begin : 0;
        size_t at = 0, len = p->len - from < room ? p->len - from : (size_t)room;
        *ret_same = 0;
        while (at < len) {
                size_t n = len - at < sizeof(ours) ? len - at : sizeof(ours);
                int e = log_replay_copy(r, p, from + at, ours, n);
                ssize_t got = e == 0 ? pread(fd, theirs, n, (off_t)(begin + at)) : 0;
                if (e < 0 || got < 0)
                        return e < 0 ? e : -errno;
                size_t i = 0;
                while (i < (size_t)got && ours[i] == theirs[i])
                        i++;
                const uint8_t *newline = memrchr(ours, '\n', i);
                if (newline)
                        *ret_same = at + (size_t)(newline - ours) + 1;
                at += i;
                if (i < n)
                        break;
        }
        return 0;
}

int log_replay_compare_named(const struct log_replay *r, const struct log_replay_piece *p, size_t from, int fd,
                             uint64_t size, size_t *ret_same)
{
        uint64_t placed = p->offset + p->at_place;
        return log_replay_compare(r, p, from, fd, placed < size ? placed : size, ret_same);
}

void log_replay_done(struct log_replay *r)
{
        struct log_replay_file *f = r->files, *next;
        HASH_CLEAR(hh, r->files); /* the files stay linked */
        for (; f; f = next) {
                next = f->hh.next;
                free(f->pieces);
                free(f);
        }
}
