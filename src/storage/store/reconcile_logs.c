/* Checks the log files that were being written at an unclean stop: those of the two newest days, since older ones
 * cannot have been open, and those that were too new to have a row. The index says which these are; no directory is
 * walked.
 *
 * An unfinished last line was never acknowledged, and is moved to <file>.torn. Lines after the last totals of a file
 * are counted.
 *
 * After a power cut a file may have a hole: the file system knew its new size, but not all of its bytes were on the
 * disk. The missing ones read as zeros, and later ones may be there. No line holds a zero byte (JSON escapes it). So
 * the line with the first zero, and everything after it, is moved like an unfinished last line. Nothing of that was
 * acknowledged:
 *  - lines that the journal held are back in their place, since the recovery ran before;
 *  - any other line was acknowledged, or freed from the journal, after a sync of its file. That sync would have covered
 *    the hole in front of it, too;
 *  - lines that one daemon left unsynced, and the next one appended to, are synced here first, and by a clean stop
 *    (clean_stop.c). From then on their row counts them.
 * With `durability: written`, lines after a hole may have been acknowledged: that setting promises nothing after a
 * power cut. What the row counts is not checked. It was acknowledged (except in a file that was closed in the middle of
 * a commit), so only a damaged disk can make a hole there, and the lines after such a hole may have been acknowledged.
 *
 * Failure modes: an index or a sync that fails ends the start. A file that cannot be read, or whose tail cannot be
 * moved for want of space, is a warning. Its row then counts all of it, so that no later start takes lines for
 * unacknowledged that were acknowledged after such a tail. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_read.h"
#include "storage/index/index_write.h"
#include "storage/log_days/log_lines.h"
#include "storage/logs/log_file.h"
#include "storage/store/reconcile_internal.h"
#include "util/files/durable.h"
#include "util/log.h"

#define PAGE_ROWS 250

struct row {
        int64_t source_id;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes, lines_more;
        bool changed;
};

struct page {
        int64_t last_source_id;
        char last_day[CLOCK_DAY_SIZE];
        size_t n;
        struct row rows[PAGE_ROWS];
};

static int collect(void *userdata, const struct index_log_file *found)
{
        struct page *page = userdata;
        assert(page->n < PAGE_ROWS);
        struct row *row = &page->rows[page->n++];
        *row = (struct row){ .source_id = found->source_id, .bytes = found->bytes };
        snprintf(row->source.project, sizeof(row->source.project), "%s", found->project);
        snprintf(row->source.install_id, sizeof(row->source.install_id), "%s", found->install_id);
        snprintf(row->day, sizeof(row->day), "%s", found->day);
        page->last_source_id = found->source_id;
        memcpy(page->last_day, row->day, sizeof(row->day));
        return 0;
}

/* The head of this file says why nothing after a hole was acknowledged. 0 or LOG_FILE_BROKEN. */
static int repair_hole(struct log_file *f, const struct row *row, uint64_t known, struct log_lines_content *content,
                       struct reconcile_counts *counts)
{
        int r = log_file_repair_hole(f, content->hole, known);
        if (r == 0) {
                content->lines = content->lines_to_hole;
        } else if (r < 0) {
                counts->log_files_damaged++;
                log_error("a log file holds bytes that are not lines; they are left as they are",
                          LOG_STR("project", row->source.project), LOG_STR("install_id", row->source.install_id),
                          LOG_STR("day", row->day), LOG_STR("error", strerror(-r)));
        }
        return r < 0 ? 0 : r;
}

/* 0, -errno or LOG_FILE_BROKEN. */
static int check_open_file(struct log_file *f, struct row *row, struct reconcile_counts *counts)
{
        struct log_lines_content content;
        uint64_t size = f->size, known = row->bytes < size ? row->bytes : size;
        int r = log_lines_count(f->fd, known, size, &content);
        if (r == 0 && content.hole < size)
                r = repair_hole(f, row, known, &content, counts);
        if (r == 0)
                r = log_file_repair_tail(f);
        row->lines_more = content.lines;
        counts->log_tails += f->size < size;
        row->changed = f->size != row->bytes;
        row->bytes = f->size;
        return r;
}

/* 0, or -EIO: a sync failed. */
static int check_file(int datadir_fd, struct row *row, struct reconcile_counts *counts)
{
        struct log_file f;
        int r = log_file_open_as_is(&f, datadir_fd, &row->source, row->day, false);
        if (r == 0) {
                r = check_open_file(&f, row, counts);
                log_file_close(&f);
        }
        if (r < 0 && r != -ENOENT) /* retention removes a row without a file */
                log_warn("cannot check a log file", LOG_STR("project", row->source.project),
                         LOG_STR("install_id", row->source.install_id), LOG_STR("day", row->day),
                         LOG_STR("error", strerror(-r)));
        return r > 0 ? -EIO : 0;
}

static int write_rows(struct index *index, const struct page *page, struct reconcile_counts *counts)
{
        int r = index_begin(index);
        for (size_t i = 0; r == 0 && i < page->n; i++) {
                const struct row *row = &page->rows[i];
                if (!row->changed)
                        continue;
                r = index_correct_log_file(index, row->source_id, row->day, row->bytes, row->lines_more);
                counts->log_totals++;
        }
        if (r == 0)
                r = index_commit(index);
        if (r < 0)
                index_rollback(index);
        return r;
}

int reconcile_log_files(int datadir_fd, struct index *index, struct reconcile_counts *counts)
{
        _cleanup_(freep) struct page *page = calloc(1, sizeof(*page));
        if (!page)
                return -ENOMEM;
        int r = durable_sync_all(datadir_fd);
        while (r == 0) {
                const struct index_log_file_key after = { page->last_day, page->last_source_id };
                page->n = 0;
                r = index_newest_log_files(index, &after, PAGE_ROWS, collect, page);
                for (size_t i = 0; r == 0 && i < page->n; i++)
                        r = check_file(datadir_fd, &page->rows[i], counts);
                if (r == 0)
                        r = write_rows(index, page, counts);
                if (page->n < PAGE_ROWS)
                        break;
        }
        return r;
}
