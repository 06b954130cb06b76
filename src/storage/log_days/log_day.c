/* Bytes come from one or two parts, one after the other, into one buffer, and leave it as lines.
 *
 * The plain file is opened first. The janitor makes the compressed file before it deletes the plain one, so a reader
 * that misses the plain file finds the compressed one. If both are there, either they hold the same lines, because the
 * janitor is between those two steps, or the day was compressed and then written to again. Their sizes tell.
 *
 * Failure modes: a compressed file without our seek table is read from its start; a damaged one is read up to the
 * damage, then -EBADMSG. */
#include "storage/log_days/log_day.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "storage/log_days/log_bytes.h"
#include "storage/log_days/log_lines.h"
#include "storage/log_days/log_path.h"
#include "util/buf.h"

#define PIECE_BYTES ((size_t)128 * 1024)
#define FOOTER_SIZE 9 /* log_compress.c: number of frames, descriptor, magic */
#define SEEKABLE_MAGIC UINT32_C(0x8F92EAB1)
#define WITH_CHECKSUMS 0x80
#define FRAMES_MAX (1u << 24) /* 16 TiB of lines */
#define PARTS_MAX 2

struct part {
        struct log_bytes *bytes;
        bool compressed;
        bool sized;
        uint64_t size; /* of lines */
        uint32_t n_frames;
        uint32_t (*frames)[2]; /* compressed bytes, bytes of lines; NULL: no seek table */
};

struct log_day {
        struct part parts[PARTS_MAX];
        unsigned n_parts, part; /* the one being read */
        uint64_t discard;       /* bytes to skip before the next line */
        struct buf buf;         /* lines from `at` on */
        size_t at, searched;    /* no newline is before this */
        uint64_t offset;
        bool too_long; /* inside a line that is passed over */
        uint64_t passed_over;
};

struct log_day *log_day_free(struct log_day *d)
{
        if (!d)
                return NULL;
        for (unsigned i = 0; i < d->n_parts; i++) {
                log_bytes_free(d->parts[i].bytes);
                free(d->parts[i].frames);
        }
        buf_done(&d->buf);
        free(d);
        return NULL;
}

/* ---- the seek table ---- */

static int read_at(int fd, void *to, size_t len, off_t at)
{
        ssize_t n = pread(fd, to, len, at);
        return n < 0 ? -errno : (size_t)n == len ? 0 : -EBADMSG;
}

static uint32_t get_u32(const uint8_t *p)
{
        uint32_t value;
        memcpy(&value, p, sizeof(value));
        return le32toh(value);
}

/* Entries of 8 or, with checksums, 12 bytes. */
static int take_table(struct part *p, const uint8_t *table, size_t entry, uint64_t before_table)
{
        uint64_t packed = 0, plain = 0;
        p->frames = malloc(p->n_frames * sizeof(*p->frames) + 1);
        if (!p->frames)
                return -ENOMEM;
        for (uint32_t i = 0; i < p->n_frames; i++) {
                p->frames[i][0] = get_u32(table + i * entry);
                p->frames[i][1] = get_u32(table + i * entry + 4);
                packed += p->frames[i][0];
                plain += p->frames[i][1];
        }
        if (packed != before_table)
                return -EBADMSG;
        p->size = plain;
        p->sized = true;
        return 0;
}

/* 0: p->frames says where they are. -EBADMSG: not a table of ours. */
static int read_table(struct part *p, uint64_t file_size)
{
        uint8_t footer[FOOTER_SIZE];
        if (file_size < FOOTER_SIZE)
                return -EBADMSG;
        int r = read_at(log_bytes_fd(p->bytes), footer, sizeof(footer), (off_t)(file_size - FOOTER_SIZE));
        if (r < 0)
                return r;
        p->n_frames = get_u32(footer);
        size_t entry = footer[4] & WITH_CHECKSUMS ? 12 : 8;
        uint64_t len = (uint64_t)p->n_frames * entry;
        if (get_u32(footer + 5) != SEEKABLE_MAGIC || p->n_frames > FRAMES_MAX || len + FOOTER_SIZE + 8 > file_size)
                return -EBADMSG;
        uint64_t table_at = file_size - FOOTER_SIZE - len;
        _cleanup_(freep) uint8_t *table = malloc(len + 1);
        if (!table)
                return -ENOMEM;
        r = read_at(log_bytes_fd(p->bytes), table, len, (off_t)table_at);
        if (r == 0)
                r = take_table(p, table, entry, table_at - 8);
        if (r < 0) {
                free(p->frames);
                p->frames = NULL;
                p->sized = false;
        }
        return r;
}

static int begin_part(struct log_day *d, unsigned i, off_t at)
{
        assert(i < d->n_parts);
        d->part = i;
        return log_bytes_seek(d->parts[i].bytes, at);
}

/* ---- opening ---- */

static int open_part(struct log_day *d, int datadir_fd, const char *path, bool compressed)
{
        struct log_bytes *bytes;
        int r = log_bytes_open(datadir_fd, path, compressed, &bytes);
        if (r < 0)
                return r == -ENOTDIR || r == -ELOOP ? -ENOENT : r;
        struct part *p = &d->parts[d->n_parts++];
        *p = (struct part){ .bytes = bytes, .compressed = compressed };
        if (compressed) {
                r = read_table(p, log_bytes_file_size(bytes));
                return r == -EBADMSG ? 0 : r;
        }
        p->size = log_bytes_file_size(bytes);
        p->sized = true;
        return 0;
}

/* The compressed lines come first: they are older. If both are the same, the compressed file is left out. */
static void order_parts(struct log_day *d)
{
        assert(d->n_parts == PARTS_MAX && !d->parts[0].compressed && d->parts[1].compressed);
        struct part plain = d->parts[0], packed = d->parts[1];
        if (packed.sized && packed.size == plain.size) {
                log_bytes_free(packed.bytes);
                free(packed.frames);
                d->n_parts = 1;
                return;
        }
        d->parts[0] = packed;
        d->parts[1] = plain;
}

int log_day_open(int datadir_fd, const struct source *source, const char *day, struct log_day **ret)
{
        char path[LOG_PATH_SIZE];
        _cleanup_(log_day_freep) struct log_day *d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        log_path_format(source->project, source->install_id, day, false, path);
        int r = open_part(d, datadir_fd, path, false);
        if (r < 0 && r != -ENOENT)
                return r;
        log_path_format(source->project, source->install_id, day, true, path);
        r = open_part(d, datadir_fd, path, true);
        if (r < 0 && (r != -ENOENT || d->n_parts == 0))
                return r;
        if (d->n_parts == PARTS_MAX)
                order_parts(d);
        r = begin_part(d, 0, 0);
        if (r == 0)
                *ret = TAKE_PTR(d);
        return r;
}

/* ---- bytes ---- */

static int read_part(struct log_day *d, size_t *ret_n)
{
        int r = buf_reserve(&d->buf, PIECE_BYTES);
        if (r < 0)
                return r;
        return log_bytes_read(d->parts[d->part].bytes, d->buf.data + d->buf.len, PIECE_BYTES, ret_n);
}

/* Appends more bytes to buf. *ret_n 0: the end. */
static int fill(struct log_day *d, size_t *ret_n)
{
        for (;;) {
                int r = read_part(d, ret_n);
                if (r < 0)
                        return r;
                if (*ret_n == 0) {
                        if (d->part + 1 >= d->n_parts)
                                return 0;
                        r = begin_part(d, d->part + 1, 0);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (d->discard >= *ret_n) {
                        d->discard -= *ret_n;
                        continue;
                }
                d->buf.len += *ret_n;
                if (d->discard > 0) {
                        memmove(d->buf.data, d->buf.data + d->discard, d->buf.len - d->discard); /* it was empty */
                        d->buf.len -= d->discard;
                        *ret_n -= d->discard;
                        d->discard = 0;
                }
                return 0;
        }
}

/* ---- places ---- */

int log_day_size(struct log_day *d, uint64_t *ret)
{
        *ret = 0;
        for (unsigned i = 0; i < d->n_parts; i++) {
                struct part *p = &d->parts[i];
                if (!p->sized) { /* all of it has to be read */
                        size_t n = 1;
                        int r = begin_part(d, i, 0);
                        for (buf_clear(&d->buf); r == 0 && n > 0; p->size += n) {
                                buf_clear(&d->buf);
                                r = read_part(d, &n);
                                if (r < 0)
                                        return r;
                        }
                        p->sized = true;
                }
                *ret += p->size;
        }
        return log_day_seek(d, d->offset);
}

/* Where the frame begins that holds this byte; without a table, the first. *offset becomes what is left to skip. */
static off_t find_frame(const struct part *p, uint64_t *offset)
{
        uint64_t packed = 0;
        if (!p->frames)
                return 0;
        for (uint32_t i = 0; i < p->n_frames && *offset >= p->frames[i][1]; i++) {
                packed += p->frames[i][0];
                *offset -= p->frames[i][1];
        }
        return (off_t)packed;
}

int log_day_seek(struct log_day *d, uint64_t offset)
{
        unsigned i = 0;
        uint64_t within = offset;
        d->buf.len = d->at = d->searched = 0;
        d->too_long = false;
        d->offset = offset;
        while (i + 1 < d->n_parts && d->parts[i].sized && within >= d->parts[i].size)
                within -= d->parts[i++].size;
        const struct part *p = &d->parts[i];
        off_t at = p->compressed ? find_frame(p, &within) : (off_t)within;
        d->discard = p->compressed ? within : 0;
        return begin_part(d, i, at);
}

uint64_t log_day_offset(const struct log_day *d)
{
        return d->offset;
}

uint64_t log_day_passed_over(const struct log_day *d)
{
        return d->passed_over;
}

/* ---- lines ---- */

/* Drops a line above the limit, piece by piece. */
static void drop_piece(struct log_day *d)
{
        if (d->buf.len - d->at < LOG_LINES_MAX_BYTES && !d->too_long)
                return;
        d->too_long = true;
        d->offset += d->buf.len - d->at;
        d->buf.len = d->at = d->searched = 0;
}

int log_day_next(struct log_day *d, const char **ret_line, size_t *ret_len)
{
        for (;;) {
                uint8_t *from = d->buf.data + d->searched;
                uint8_t *newline = d->searched < d->buf.len ? memchr(from, '\n', d->buf.len - d->searched) : NULL;
                if (newline) {
                        size_t end = (size_t)(newline - d->buf.data), start = d->at;
                        d->offset += end + 1 - start;
                        d->at = d->searched = end + 1;
                        if (d->too_long || end + 1 - start > LOG_LINES_MAX_BYTES) {
                                d->too_long = false;
                                d->passed_over++;
                                continue;
                        }
                        *ret_line = (const char *)d->buf.data + start;
                        *ret_len = end - start;
                        return LOG_DAY_LINE;
                }
                buf_consume(&d->buf, d->at);
                d->at = 0;
                d->searched = d->buf.len;
                drop_piece(d);
                size_t n;
                int r = fill(d, &n);
                if (r < 0 || n == 0)
                        return r;
        }
}
