/* Log files: the file of each row, its size and its end, then the row of each file; deep, every line of it.
 *
 * A file grows some seconds before its row says so. So a file that is larger than its row says is wrong only if nobody
 * writes to it. A smaller one has lost lines. A line that is being written has no end for a moment. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/json/json_document.h"
#include "storage/index/index_read.h"
#include "storage/log_days/log_lines.h"
#include "storage/log_days/log_path.h"
#include "upkeep/verify_internal.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define JSON_DEPTH_MAX 64 /* attributes nest 32 deep */
#define PACKED_RATIO 8    /* log lines become about that much smaller */

struct log_page {
        size_t n;
        int64_t last_source_id;
        char last_day[CLOCK_DAY_SIZE];
        struct {
                char path[LOG_PATH_SIZE];
                uint64_t bytes;
        } rows[VERIFY_PAGE_ROWS];
};

static int collect(void *userdata, const struct index_log_file *row)
{
        struct log_page *page = userdata;
        assert(page->n < VERIFY_PAGE_ROWS);
        log_path_format(row->project, row->install_id, row->day, row->compressed, page->rows[page->n].path);
        page->rows[page->n++].bytes = row->bytes;
        page->last_source_id = row->source_id;
        snprintf(page->last_day, sizeof(page->last_day), "%s", row->day);
        return 0;
}

static int take_row(void *userdata, const struct index_log_file *row)
{
        struct index_log_file *copy = userdata;
        copy->source_id = row->source_id;
        copy->bytes = row->bytes;
        copy->compressed = row->compressed;
        return 0;
}

/* The row of a file's source and day. 0, -ENOENT, -errno. */
static int find_row(struct verify *v, const char *path, struct index_log_file *ret, bool *ret_compressed)
{
        struct source source;
        char day[CLOCK_DAY_SIZE];
        if (!log_path_parse(path, &source, day, ret_compressed))
                return -EINVAL;
        return index_find_log_file(v->index, &source, day, take_row, ret);
}

/* The janitor compresses many files before it notes them in the index. */
static bool is_compressed_now(struct verify *v, const char *path)
{
        char compressed[VERIFY_PATH_SIZE + 4];
        snprintf(compressed, sizeof(compressed), "%s.zst", path);
        return faccessat(v->datadir_fd, compressed, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool row_again(struct verify *v, struct suspect *s)
{
        struct index_log_file row;
        struct stat st;
        bool compressed;
        if (find_row(v, s->path, &row, &compressed) != 0 || row.compressed != compressed)
                return false; /* it was deleted or compressed meanwhile */
        if (fstatat(v->datadir_fd, s->path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT && is_compressed_now(v, s->path)) {
                        s->kind = VERIFY_LOG_SIZE;
                        snprintf(s->problem, sizeof(s->problem), "it was compressed, and its row does not say so");
                        return !v->counts.daemon;
                }
                s->kind = errno == ENOENT ? VERIFY_LOG_MISSING : VERIFY_UNREADABLE;
                snprintf(s->problem, sizeof(s->problem), "%s",
                         s->kind == VERIFY_LOG_MISSING ? "a row names it, and it is not there" : strerror(errno));
                return true;
        }
        s->kind = VERIFY_LOG_SIZE;
        snprintf(s->problem, sizeof(s->problem), "%llu bytes, its row says %llu", (unsigned long long)st.st_size,
                 (unsigned long long)row.bytes);
        uint64_t size = (uint64_t)st.st_size;
        return size < row.bytes ||
               (size > row.bytes && !verify_is_young(v, (struct moment){ .sec = st.st_mtim.tv_sec }));
}

/* -1: the file is empty or cannot be read. */
static int last_byte(struct verify *v, const char *path, uint64_t *ret_size)
{
        unsigned char c;
        struct stat st;
        _cleanup_(closep) int fd = -1;
        if (regular_open(v->datadir_fd, path, &fd, &st) < 0)
                return -1;
        *ret_size = (uint64_t)st.st_size;
        return st.st_size > 0 && pread(fd, &c, 1, st.st_size - 1) == 1 ? c : -1;
}

/* number: the size that the file had. If it has grown since, somebody was writing to it. */
static bool torn_again(struct verify *v, struct suspect *s)
{
        uint64_t size = 0;
        int last = last_byte(v, s->path, &size);
        snprintf(s->problem, sizeof(s->problem), "its last line has no end");
        return last >= 0 && last != '\n' && size == s->number;
}

static int check_end(struct verify *v, const char *path)
{
        struct suspect s = { .kind = VERIFY_LOG_TORN, .again = torn_again };
        int last = last_byte(v, path, &s.number);
        if (last < 0 || last == '\n' || path_ends_with(path, ".zst"))
                return 0;
        snprintf(s.path, sizeof(s.path), "%s", path);
        return verify_suspect(v, &s);
}

struct line_tally {
        uint64_t lines, bad, first_bad;
        char why[128];
};

static int check_line(const char *line, size_t len, struct buf *scratch, struct line_tally *tally)
{
        struct error err = { "" };
        buf_clear(scratch);
        tally->lines++;
        int r = json_document_check(line, len, JSON_DEPTH_MAX, scratch, &err);
        if (r == JSON_DOCUMENT_BAD && tally->bad++ == 0) {
                tally->first_bad = tally->lines;
                snprintf(tally->why, sizeof(tally->why), "%.*s", (int)sizeof(tally->why) - 1, err.text);
        }
        return r < 0 ? r : 0;
}

/* The total is of the files' sizes. So lines of a compressed file count as what they may take there, and a file never
 * counts for more than its size. */
struct file_progress {
        uint64_t size, counted, rest; /* rest: bytes of lines that make no byte of the file yet */
        unsigned ratio;
};

static void count_bytes(struct verify *v, struct file_progress *p, uint64_t n)
{
        p->rest += n;
        uint64_t most = p->size - p->counted, bytes = p->rest / p->ratio < most ? p->rest / p->ratio : most;
        p->rest %= p->ratio;
        p->counted += bytes;
        verify_read_bytes(v, "logs, MiB", bytes, v->usage.log_bytes);
}

static int check_lines(struct verify *v, const char *path, uint64_t size)
{
        struct file_progress progress = { .size = size, .ratio = path_ends_with(path, ".zst") ? PACKED_RATIO : 1 };
        _cleanup_(log_lines_freep) struct log_lines *l = NULL;
        _cleanup_(buf_done) struct buf scratch = { 0 };
        struct line_tally tally = { 0 };
        const char *line;
        size_t len;
        int r = log_lines_open(v->datadir_fd, path, &l);
        while (r == 0 && (r = log_lines_next(l, &line, &len)) == LOG_LINES_LINE) {
                r = check_line(line, len, &scratch, &tally);
                count_bytes(v, &progress, len + 1);
        }
        count_bytes(v, &progress, size * progress.ratio); /* whatever is left of it */
        v->counts.log_lines += tally.lines;
        if (r == -ENOMEM)
                return r;
        if (r == LOG_LINES_TOO_LONG)
                return verify_report(v, VERIFY_LOG_DAMAGED, path, 0, "line %llu is longer than any that is accepted",
                                     (unsigned long long)tally.lines + 1);
        if (r == -EBADMSG)
                return verify_report(v, VERIFY_LOG_DAMAGED, path, 0, "it cannot be decompressed after line %llu",
                                     (unsigned long long)tally.lines);
        if (r < 0)
                return r == -ENOENT ? 0 : verify_report(v, VERIFY_UNREADABLE, path, 0, "%s", strerror(-r));
        if (tally.bad == 0)
                return 0;
        return verify_report(v, VERIFY_LOG_DAMAGED, path, 0, "%llu lines are not JSON, the first is line %llu: %s",
                             (unsigned long long)tally.bad, (unsigned long long)tally.first_bad, tally.why);
}

static int check_row(struct verify *v, const char *path, uint64_t bytes)
{
        struct suspect s = { .kind = VERIFY_LOG_SIZE, .again = row_again };
        struct stat st;
        int r = 0;
        v->counts.log_files++;
        if (!v->config->deep)
                verify_progress(v, "log files", v->counts.log_files, v->totals->log_files);
        bool there = fstatat(v->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
        uint64_t size = there ? (uint64_t)st.st_size : 0;
        v->counts.log_bytes += size;
        if (!there || size != bytes) {
                snprintf(s.path, sizeof(s.path), "%s", path);
                r = verify_suspect(v, &s);
        }
        if (r == 0)
                r = check_end(v, path);
        return r == 0 && v->config->deep ? check_lines(v, path, size) : r;
}

static int check_rows(struct verify *v, struct log_page *page)
{
        int r;
        do {
                const struct index_log_file_key after = { page->last_day, page->last_source_id };
                page->n = 0;
                r = index_log_files_after(v->index, &after, VERIFY_PAGE_ROWS, collect, page);
                for (size_t i = 0; r == 0 && i < page->n; i++)
                        r = check_row(v, page->rows[i].path, page->rows[i].bytes);
        } while (r == 0 && page->n > 0);
        return r;
}

static bool unknown_again(struct verify *v, struct suspect *s)
{
        struct index_log_file row;
        struct stat st;
        bool compressed;
        snprintf(s->problem, sizeof(s->problem), "no row names it");
        return find_row(v, s->path, &row, &compressed) == -ENOENT &&
               fstatat(v->datadir_fd, s->path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               !verify_is_young(v, (struct moment){ .sec = st.st_ctim.tv_sec });
}

static int check_file(void *userdata, const char *path, _unused_ const char *name)
{
        struct verify *v = userdata;
        struct suspect s = { .kind = VERIFY_LOG_UNKNOWN, .again = unknown_again };
        struct index_log_file row;
        bool compressed;
        int r = find_row(v, path, &row, &compressed);
        if (r != -ENOENT)
                return r == -EINVAL ? 0 : r;
        snprintf(s.path, sizeof(s.path), "%s", path);
        r = verify_suspect(v, &s);
        return r == 0 ? check_end(v, path) : r;
}

int verify_logs(struct verify *v)
{
        _cleanup_(freep) struct log_page *page = calloc(1, sizeof(*page));
        if (!page)
                return -ENOMEM;
        int r = check_rows(v, page);
        return r == 0 ? entries_each_below(v->datadir_fd, "logs", 2, check_file, v) : r;
}
