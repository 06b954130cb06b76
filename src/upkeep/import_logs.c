/* Log files. One that is not here is copied as it is. Where both have a day of a source, the lines that are missing here are
 * appended: each line counts as often as the directory that has it more often has it, so that running it again adds
 * nothing, and lines that were truly sent twice stay two. Lines are compared by 128 bits of their SHA-256.
 *
 * A compressed day that gains lines becomes plain again (retention compresses it anew): the merged file is renamed into
 * place, and only then the compressed one goes. Cut short before that, both are there, of which the plain one counts. */
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
#include "util/files/entries.h"

#define PATH_SIZE 320
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

/* The lines of a file here, sorted. Its torn tail is no line. */
static int read_set(int dirfd, const char *path, struct line_set *set)
{
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        const char *line;
        size_t len;
        int r = log_lines_open(dirfd, path, &l);
        while (r == 0 && (r = log_lines_next(l, &line, &len)) == LOG_LINES_LINE)
                r = add(set, id_of(line, len));
        if (set->n > 0 && (r == 0 || r == LOG_LINES_TORN))
                qsort(set->ids, set->n, sizeof(*set->ids), compare);
        return r == LOG_LINES_TORN ? 0 : r == LOG_LINES_TOO_LONG ? -EFBIG : r;
}

/* The first that is not less. */
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

/* One of them, used up. taken: how many of the ids that equal this one, at the first of these. */
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
        const char *path;         /* of the plain file */
        char here[PATH_SIZE + 4]; /* what is here: plain or compressed */
        char temporary[PATH_SIZE];
        int out; /* -1 until a line is missing */
        struct buf pending;
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
        int r = buf_append(&m->pending, line, len);
        if (r == 0)
                r = buf_append_char(&m->pending, '\n');
        return r == 0 && m->pending.len >= WRITE_BYTES ? write_pending(m) : r;
}

/* What is here comes first. */
static int begin(struct merge *m)
{
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        const char *line;
        size_t len;
        const char *slash = strrchr(m->path, '/');
        snprintf(m->temporary, sizeof(m->temporary), "%.*s/.new-%d", (int)(slash - m->path), m->path, (int)getpid());
        m->out = openat(m->i->o->dir.fd, m->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        int r = m->out < 0 ? -errno : log_lines_open(m->i->o->dir.fd, m->here, &l);
        while (r == 0 && (r = log_lines_next(l, &line, &len)) == LOG_LINES_LINE)
                r = put_line(m, line, len);
        return r > 0 ? (r == LOG_LINES_TORN ? 0 : -EFBIG) : r;
}

static int add_missing(struct merge *m, const char *from)
{
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        _cleanup_(freep) uint32_t *taken = NULL;
        struct line_set set = { 0 };
        const char *line;
        size_t len;
        int r = read_set(m->i->o->dir.fd, m->here, &set);
        if (r == 0) {
                taken = calloc(set.n + 1, sizeof(*taken));
                r = taken ? log_lines_open(m->i->from_fd, from, &l) : -ENOMEM;
        }
        while (r == 0 && (r = log_lines_next(l, &line, &len)) == LOG_LINES_LINE) {
                r = 0;
                if (take_from(&set, taken, id_of(line, len)))
                        continue;
                r = m->out < 0 ? begin(m) : 0;
                if (r == 0)
                        r = put_line(m, line, len);
                m->lines++;
        }
        free(set.ids);
        return r > 0 ? (r == LOG_LINES_TORN ? 0 : -EFBIG) : r;
}

static int take_row(void *userdata, const struct index_log_file *row)
{
        *(int64_t *)userdata = row->source_id;
        return 0;
}

static int publish(struct merge *m, const struct source *source, const char *day)
{
        int fd = m->i->o->dir.fd;
        int64_t source_id = 0;
        struct stat st = { 0 };
        int r = write_pending(m);
        if (r == 0)
                r = durable_sync(m->out);
        if (r == 0 && (fstat(m->out, &st) < 0 || renameat(fd, m->temporary, fd, m->path) < 0))
                r = -errno;
        if (r < 0)
                return r;
        char dir[PATH_SIZE];
        snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(m->path, '/') - m->path), m->path);
        r = durable_sync_dir(fd, dir);
        if (r == 0)
                r = index_find_log_file(m->i->o->index, source, day, take_row, &source_id);
        if (r == 0)
                r = index_mark_plain(m->i->o->index, source_id, day, (uint64_t)st.st_size);
        else if (r == -ENOENT)
                r = 0; /* the adoption makes it */
        if (r == 0 && strcmp(m->here, m->path) != 0 && unlinkat(fd, m->here, 0) < 0)
                r = -errno;
        m->i->counts.log_lines += m->lines;
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

static int take_file(void *userdata, const char *path, _unused_ const char *name)
{
        struct import *i = userdata;
        struct source source;
        char day[CLOCK_DAY_SIZE], plain[LOG_PATH_SIZE], compressed[LOG_PATH_SIZE];
        bool is_compressed;
        if (!log_path_parse(path, &source, day, &is_compressed))
                return 0;
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
        if (r != -EFBIG && r != -EBADMSG)
                return r;
        i->counts.log_files_left++;
        import_left(i, path, r == -EFBIG ? "it has too many lines, or too long ones, to be merged" : "it is damaged");
        return 0;
}

int import_logs(struct import *i)
{
        int r = entries_each_below(i->from_fd, "logs", 2, take_file, i);
        return r == 0 ? tree_copy_release(&i->files) : r;
}
