/* Copies log files. Plain ones grow, and are copied up to a whole line; compressed ones never change.
 *
 * Meanwhile the daemon may compress or delete a file. So files that the copy has and the original no longer has are
 * checked again: if the original is compressed by now, the compressed file is copied before the plain one is removed.
 * At the end the copy's rows are corrected to what its files are. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/log_days/log_lines.h"
#include "storage/log_days/log_path.h"
#include "storage/store/adopt.h"
#include "upkeep/backup_internal.h"
#include "util/files/entries.h"
#include "util/files/path.h"
#include "util/files/regular.h"

#define PAGE_ROWS 250

static bool is_compressed(const char *path)
{
        return path_ends_with(path, ".zst");
}

static int copy_one(struct backup *b, const char *path)
{
        return is_compressed(path) ? tree_copy_file(&b->files, path, false) : tree_copy_lines(&b->files, path);
}

/* Torn ends that were set aside (.torn) are copied, too. */
static int copy_file(void *userdata, const char *path, const char *name)
{
        struct backup *b = userdata;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        bool compressed;
        bool torn = path_ends_with(name, ".torn");
        if (!torn && !log_path_parse(path, &source, day, &compressed))
                return 0;
        int r = torn ? tree_copy_whole(&b->files, path) : copy_one(b, path);
        if (r == -ENOENT)
                return 0; /* it is gone; remove_gone() finds what took its place */
        if (r < 0 && backup_left(b, path, r))
                return 0;
        if (r == 0)
                backup_progress(b, "log files", b->files.copied + b->files.kept + b->files.linked, 0);
        return r;
}

static int odd_directory(void *userdata, const char *path, int error)
{
        return backup_left(userdata, path, error) ? 0 : error;
}

static bool is_there(int fd, const char *path)
{
        return faccessat(fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int remove_gone(void *userdata, const char *path, _unused_ const char *name)
{
        struct backup *b = userdata;
        char compressed[PATH_MAX];
        if (is_there(b->from_fd, path))
                return 0;
        snprintf(compressed, sizeof(compressed), "%s.zst", path);
        int r = is_compressed(path) || !is_there(b->from_fd, compressed) ? 0 : copy_one(b, compressed);
        return r < 0 && r != -ENOENT ? r : backup_remove(b, path);
}

struct log_row {
        int64_t source_id;
        char path[LOG_PATH_SIZE], day[CLOCK_DAY_SIZE];
        uint64_t bytes;
        bool compressed;
};

struct log_page {
        size_t n;
        struct log_row rows[PAGE_ROWS];
};

static int collect(void *userdata, const struct index_log_file *row)
{
        struct log_page *page = userdata;
        assert(page->n < PAGE_ROWS);
        struct log_row *copy = &page->rows[page->n++];
        *copy = (struct log_row){ .source_id = row->source_id, .bytes = row->bytes, .compressed = row->compressed };
        snprintf(copy->day, sizeof(copy->day), "%s", row->day);
        log_path_format(row->project, row->install_id, row->day, false, copy->path);
        return 0;
}

static int count_lines(struct backup *b, const char *path, uint64_t from, uint64_t to, struct log_lines_content *ret)
{
        _cleanup_(closep) int fd = -1;
        int r = regular_open(b->to_fd, path, &fd, NULL);
        return r < 0 ? r : log_lines_count(fd, from, to, ret);
}

/* While there is a plain file, it counts. */
static int correct_row(struct backup *b, const struct log_row *row)
{
        char compressed[LOG_PATH_SIZE + 4];
        struct stat st;
        struct log_lines_content content = { 0 };
        if (fstatat(b->to_fd, row->path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                uint64_t size = (uint64_t)st.st_size;
                if (row->compressed || size < row->bytes)
                        return index_mark_plain(b->copy, row->source_id, row->day, size);
                if (size == row->bytes)
                        return 0;
                int r = count_lines(b, row->path, row->bytes, size, &content);
                return r < 0 ? r : index_correct_log_file(b->copy, row->source_id, row->day, size, content.lines);
        }
        snprintf(compressed, sizeof(compressed), "%s.zst", row->path);
        if (fstatat(b->to_fd, compressed, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return row->compressed && (uint64_t)st.st_size == row->bytes
                               ? 0
                               : index_mark_compressed(b->copy, row->source_id, row->day, (uint64_t)st.st_size);
        return index_delete_log_file(b->copy, row->source_id, row->day);
}

static int correct_page(struct backup *b, const struct log_page *page)
{
        int r = index_begin(b->copy);
        for (size_t i = 0; r == 0 && i < page->n; i++)
                r = correct_row(b, &page->rows[i]);
        return r < 0 ? r : index_commit(b->copy);
}

static int correct_rows(struct backup *b, struct log_page *page)
{
        char last_day[CLOCK_DAY_SIZE] = "";
        int64_t last_source = 0;
        do {
                const struct index_log_file_key after = { last_day, last_source };
                page->n = 0;
                int r = index_log_files_after(b->copy, &after, PAGE_ROWS, collect, page);
                if (r == 0)
                        r = correct_page(b, page);
                if (r < 0)
                        return r;
                if (page->n > 0) {
                        last_source = page->rows[page->n - 1].source_id;
                        memcpy(last_day, page->rows[page->n - 1].day, sizeof(last_day));
                }
        } while (page->n > 0);
        return 0;
}

int backup_logs(struct backup *b)
{
        _cleanup_(freep) struct log_page *page = calloc(1, sizeof(*page));
        struct adopt_counts adopted;
        if (!page)
                return -ENOMEM;
        const struct entries_walk walk = {
                .dirfd = b->from_fd, .depth = 2, .entry = copy_file, .odd = odd_directory, .userdata = b
        };
        int r = entries_walk(&walk, "logs");
        if (r < 0)
                return r;
        r = entries_each_below(b->to_fd, "logs", 2, remove_gone, b);
        if (r < 0)
                return r;
        r = correct_rows(b, page);
        return r < 0 ? r : adopt_data_dir(b->to_fd, b->copy, ADOPT_LOGS, &adopted);
}
