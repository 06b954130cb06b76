/* A log file that is not here is copied as it is. If both directories have a day of a source, the lines that are
 * missing here are appended. A line ends up as many times as it is in the directory that has it more often. So another
 * run adds nothing, and lines that were really sent twice stay two. Lines are compared by 128 bits of their SHA-256.
 *
 * A compressed day that gains lines becomes plain again, and retention compresses it again later. The merged file is
 * renamed to its place, and only then is the compressed one removed. If that is cut short both are there, and the plain
 * one counts. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_read.h"
#include "storage/index/index_write.h"
#include "storage/log_days/log_lines.h"
#include "storage/log_days/log_path.h"
#include "upkeep/import_internal.h"
#include "util/buf.h"
#include "util/files/durable.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define WRITE_BYTES ((size_t)256 << 10)

struct line_id {
        uint64_t a, b;
};

struct line_set {
        size_t n, cap;
        struct line_id *ids;
};

static struct line_id id_of(const char *line, size_t len)
{
        unsigned char digest[SHA256_DIGEST_LENGTH];
        struct line_id id;
        SHA256((const unsigned char *)line, len, digest);
        memcpy(&id, digest, sizeof(id));
        return id;
}

static int compare(const void *x, const void *y)
{
        const struct line_id *a = x, *b = y;
        if (a->a != b->a)
                return a->a < b->a ? -1 : 1;
        return a->b == b->b ? 0 : a->b < b->b ? -1 : 1;
}

static int add(struct line_set *set, struct line_id id)
{
        if (set->n == IMPORT_MERGE_LINES_MAX)
                return -EFBIG;
        if (set->n == set->cap) {
                size_t cap = set->cap ? set->cap * 2 : 1024;
                struct line_id *ids = reallocarray(set->ids, cap, sizeof(*ids));
                if (!ids)
                        return -ENOMEM;
                set->ids = ids;
                set->cap = cap;
        }
        set->ids[set->n++] = id;
        return 0;
}

/* How the lines of a file ended. A torn end is left out. */
static int without_end(int r)
{
        return r == LOG_LINES_TORN ? 0 : r == LOG_LINES_TOO_LONG ? -EFBIG : r;
}

/* The lines of a file here, sorted. */
static int read_set(int dirfd, const char *path, struct line_set *set)
{
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        const char *line;
        size_t len;
        int r = log_lines_open(dirfd, path, &l);
        while (r == 0 && (r = log_lines_next(l, &line, &len)) == LOG_LINES_LINE)
                r = add(set, id_of(line, len));
        r = without_end(r);
        if (set->n > 0 && r == 0)
                qsort(set->ids, set->n, sizeof(*set->ids), compare);
        return r;
}

/* The first one that is not less. */
static size_t find_first(const struct line_set *set, struct line_id id)
{
        size_t from = 0, to = set->n;
        while (from < to) {
                size_t middle = from + (to - from) / 2;
                if (compare(&set->ids[middle], &id) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

/* Uses up one line of the set that equals this one; false: there is none left. taken counts them, at the first of the
 * equal ones. */
static bool take_from(const struct line_set *set, uint32_t *taken, struct line_id id)
{
        size_t first = find_first(set, id);
        if (first == set->n || first + taken[first] == set->n || compare(&set->ids[first + taken[first]], &id) != 0)
                return false;
        taken[first]++;
        return true;
}

struct merge {
        struct import *i;
        const char *path;             /* of the plain file here */
        char here[LOG_PATH_SIZE + 4]; /* the file here, plain or compressed */
        char temporary[PATH_MAX];
        int out;            /* -1 until a missing line is found */
        struct buf pending; /* lines that are not written yet */
        uint64_t lines;
};

static int write_pending(struct merge *m)
{
        int r = durable_write_all(m->out, m->pending.data, m->pending.len);
        buf_clear(&m->pending);
        return r;
}

static int put_line(struct merge *m, const char *line, size_t len)
{
        buf_append(&m->pending, line, len);
        int r = buf_append_char(&m->pending, '\n');
        return r == 0 && m->pending.len >= WRITE_BYTES ? write_pending(m) : r;
}

/* Begins the merged file with the lines that are here. */
static int begin(struct merge *m)
{
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        const char *line;
        size_t len;
        assert(m->out < 0);
        int r = path_unfinished(m->path, m->temporary);
        if (r < 0)
                return r;
        m->out = openat(m->i->o->dir.fd, m->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        r = m->out < 0 ? -errno : log_lines_open(m->i->o->dir.fd, m->here, &l);
        while (r == 0 && (r = log_lines_next(l, &line, &len)) == LOG_LINES_LINE)
                r = put_line(m, line, len);
        return without_end(r);
}

/* One line of the other file. */
static int merge_line(struct merge *m, const struct line_set *here, uint32_t *taken, const char *line, size_t len)
{
        if (take_from(here, taken, id_of(line, len)))
                return 0;
        int r = m->out < 0 ? begin(m) : 0;
        if (r < 0)
                return r;
        m->lines++;
        return put_line(m, line, len);
}

static int merge_lines(struct merge *m, const struct line_set *here, const char *from)
{
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        _cleanup_(freep) uint32_t *taken = calloc(here->n + 1, sizeof(*taken));
        const char *line;
        size_t len;
        int r = taken ? log_lines_open(m->i->from_fd, from, &l) : -ENOMEM;
        while (r == 0 && (r = log_lines_next(l, &line, &len)) == LOG_LINES_LINE)
                r = merge_line(m, here, taken, line, len);
        return without_end(r);
}

static int add_missing(struct merge *m, const char *from)
{
        struct line_set here = { 0 };
        int r = read_set(m->i->o->dir.fd, m->here, &here);
        if (r == 0)
                r = merge_lines(m, &here, from);
        free(here.ids);
        return r;
}

static int take_row(void *userdata, const struct index_log_file *row)
{
        *(int64_t *)userdata = row->source_id;
        return 0;
}

static int rename_into_place(struct merge *m, uint64_t *ret_bytes)
{
        int fd = m->i->o->dir.fd;
        char dir[PATH_MAX];
        struct stat st;
        int r = write_pending(m);
        if (r < 0)
                return r;
        r = durable_sync(m->out);
        if (r < 0)
                return r;
        if (fstat(m->out, &st) < 0 || renameat(fd, m->temporary, fd, m->path) < 0)
                return -errno;
        *ret_bytes = (uint64_t)st.st_size;
        r = path_parent(m->path, dir);
        return r < 0 ? r : durable_sync_dir(fd, dir);
}

/* If there is no row, the adoption makes it. */
static int correct_row(struct merge *m, const struct source *source, const char *day, uint64_t bytes)
{
        struct index *index = m->i->o->index;
        int64_t source_id = 0;
        int r = index_find_log_file(index, source, day, take_row, &source_id);
        return r < 0 ? (r == -ENOENT ? 0 : r) : index_mark_plain(index, source_id, day, bytes);
}

static int publish(struct merge *m, const struct source *source, const char *day)
{
        uint64_t bytes = 0;
        int r = rename_into_place(m, &bytes);
        if (r < 0)
                return r;
        m->i->counts.log_lines += m->lines;
        r = correct_row(m, source, day, bytes);
        if (r == 0 && strcmp(m->here, m->path) != 0 && unlinkat(m->i->o->dir.fd, m->here, 0) < 0)
                r = -errno;
        return r;
}

static int merge_file(struct import *i, const char *from, const char *plain, const struct source *source,
                      const char *day)
{
        struct merge m = { .i = i, .path = plain, .out = -1 };
        bool has_plain = faccessat(i->o->dir.fd, plain, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        snprintf(m.here, sizeof(m.here), "%s%s", plain, has_plain ? "" : ".zst");
        int r = add_missing(&m, from);
        if (r == 0 && m.out >= 0)
                r = publish(&m, source, day);
        if (r == 0)
                *(m.lines ? &i->counts.log_files : &i->counts.log_files_known) += 1;
        if (r < 0 && m.out >= 0)
                unlinkat(i->o->dir.fd, m.temporary, 0);
        closep(&m.out);
        buf_done(&m.pending);
        return r;
}

static int leave(struct import *i, const char *path, const char *why)
{
        i->counts.log_files_left++;
        import_left(i, path, why);
        return 0;
}

/* Can it be read from one end to the other? 0 or -errno. */
static int try_to_read(struct import *i, const char *path)
{
        _cleanup_(closep) int fd = -1;
        char block[65536];
        ssize_t n = 0;
        int r = regular_open(i->from_fd, path, &fd, NULL);
        while (r == 0 && (n = read(fd, block, sizeof(block))) > 0)
                ;
        return n < 0 ? -errno : r;
}

/* The file, or the one here with which it should be merged, is odd, damaged, or cannot be read. */
static int leave_file(struct import *i, const char *path, const char *const here[2], int error)
{
        struct error why;
        struct stat st;
        if (error == -EFBIG)
                return leave(i, path, "it has too many lines, or too long ones, to be merged");
        if (error == -EBADMSG)
                return leave(i, path, "it is damaged");
        for (size_t n = 0; n < 2; n++) {
                if (fstatat(i->o->dir.fd, here[n], &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode)) {
                        error_set(&why, "here, it is %s, not a regular file", regular_kind(st.st_mode));
                        return leave(i, path, why.text);
                }
        }
        int r = try_to_read(i, path);
        if (r == 0 && error == -EIO) /* ours, then */
                return error;
        if (r < 0)
                regular_say(i->from_fd, path, r, &why);
        else
                error_set(&why, "it cannot be written here: %s", strerror(-error));
        return leave(i, path, why.text);
}

static int take_file(struct import *i, const char *path)
{
        struct source source;
        char day[CLOCK_DAY_SIZE], plain[LOG_PATH_SIZE], compressed[LOG_PATH_SIZE];
        bool is_compressed;
        if (path_ends_with(path, ".torn"))
                return 0; /* half a line, which was never acknowledged */
        if (!log_path_parse(path, &source, day, &is_compressed))
                return IMPORT_UNKNOWN;
        import_progress(i, "log files");
        log_path_format(source.project, source.install_id, day, false, plain);
        log_path_format(source.project, source.install_id, day, true, compressed);
        int here = i->o->dir.fd;
        int r;
        if (faccessat(here, plain, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
            faccessat(here, compressed, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
                r = merge_file(i, path, plain, &source, day);
        } else {
                r = is_compressed ? tree_copy_file(&i->files, path, false) : tree_copy_lines(&i->files, path);
                i->counts.log_files += r == 0;
        }
        return r == 0 || import_ends(r) ? r : leave_file(i, path, (const char *const[2]){ plain, compressed }, r);
}

int import_logs(struct import *i)
{
        const struct import_walk walk = { .top = "logs",
                                          .depth = 2,
                                          .take = take_file,
                                          .unknown = "its path is not that of a log file",
                                          .left = &i->counts.log_files_left };
        int r = import_walk(i, &walk);
        return r == 0 ? tree_copy_release(&i->files) : r;
}
