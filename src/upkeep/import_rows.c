/* What only the other database names: crashes and log files whose files are gone there. They cannot be taken, since
 * everything is taken from files, and must not be passed over without a word.
 *
 * A crash that is here already is not missed, and what is in the place of a file was left, and told, when the files
 * were taken. A database that this detritus cannot read row by row, because it is from before the first release, only
 * tells how many crashes it has. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_check.h"
#include "storage/index/index_copy.h"
#include "storage/index/index_read.h"
#include "storage/log_days/log_path.h"
#include "upkeep/import_internal.h"

#define PAGE_ROWS 500

static bool is_gone(const struct import *i, const char *path)
{
        struct stat st;
        return fstatat(i->from_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* ---- crashes ---- */

struct crash_page {
        size_t n;
        struct {
                int64_t id;
                struct crash_metadata named; /* its source and timestamp */
                char sha256[BLOB_HEX_SIZE];
        } rows[PAGE_ROWS];
};

static int collect_crash(void *userdata, const struct index_crash_row *row)
{
        struct crash_page *page = userdata;
        assert(page->n < PAGE_ROWS);
        struct crash_metadata *m = &page->rows[page->n].named;
        *m = (struct crash_metadata){ 0 };
        snprintf(m->source.project, sizeof(m->source.project), "%s", row->project);
        snprintf(m->source.install_id, sizeof(m->source.install_id), "%s", row->install_id);
        if (clock_parse_rfc3339(row->crashed_at, strlen(row->crashed_at), &m->timestamp) != 0)
                m->timestamp = (struct moment){ 0 };
        snprintf(page->rows[page->n].sha256, BLOB_HEX_SIZE, "%s", row->dump_sha256);
        page->rows[page->n++].id = row->id;
        return 0;
}

static int look_at_crash(struct import *i, const struct crash_metadata *named, const char *sha256)
{
        char path[MIRROR_PATH_SIZE];
        int64_t id = 0;
        import_progress(i, "crashes");
        int r = index_has_crash(i->o->index, named, sha256, &id);
        if (r < 0 || id)
                return r;
        mirror_path(&named->source, named->timestamp, sha256, path);
        if (!is_gone(i, path))
                return 0;
        i->counts.crashes_left++;
        import_left(i, path, "only the database there has this crash; run detritusctl mirror there, then import again");
        return 0;
}

static int look_at_crashes(struct import *i, struct index *other)
{
        _cleanup_(freep) struct crash_page *page = calloc(1, sizeof(*page));
        int64_t last = 0;
        if (!page)
                return -ENOMEM;
        int r;
        do {
                page->n = 0;
                r = index_crashes_after(other, last, PAGE_ROWS, collect_crash, page);
                for (size_t n = 0; r == 0 && n < page->n; n++) {
                        r = look_at_crash(i, &page->rows[n].named, page->rows[n].sha256);
                        last = page->rows[n].id;
                }
        } while (r == 0 && page->n > 0);
        return r;
}

/* ---- log files ---- */

struct log_page {
        struct import *i;
        size_t n;
        struct index_log_file_key last;
        char day[CLOCK_DAY_SIZE];
};

/* A row of a file without a byte loses nothing. */
static int look_at_log_file(void *userdata, const struct index_log_file *row)
{
        struct log_page *page = userdata;
        char plain[LOG_PATH_SIZE], compressed[LOG_PATH_SIZE];
        page->n++;
        page->last.source_id = row->source_id;
        snprintf(page->day, sizeof(page->day), "%s", row->day);
        log_path_format(row->project, row->install_id, row->day, false, plain);
        log_path_format(row->project, row->install_id, row->day, true, compressed);
        if (row->bytes == 0 || !is_gone(page->i, plain) || !is_gone(page->i, compressed))
                return 0;
        page->i->counts.log_files_left++;
        import_left(page->i, row->compressed ? compressed : plain, "the database there names it, and it is not there");
        return 0;
}

static int look_at_log_files(struct import *i, struct index *other)
{
        struct log_page page = { .i = i };
        page.last.day = page.day;
        int r;
        do {
                page.n = 0;
                r = index_log_files_after(other, &page.last, PAGE_ROWS, look_at_log_file, &page);
        } while (r == 0 && page.n > 0);
        return r;
}

/* ---- all ---- */

static int count_crashes(struct import *i)
{
        _cleanup_(index_freep) struct index *other = NULL;
        struct index_totals totals;
        struct error why;
        uint64_t files = i->counts.crashes + i->counts.crashes_known + i->counts.crashes_left;
        if (index_open_any(i->config->from, &other, &why) != 0 || index_count_all(other, &totals) < 0 ||
            totals.crashes <= files)
                return 0;
        error_set(&why, "it has %llu crashes, and there are JSON files of %llu; the others were not taken",
                  (unsigned long long)totals.crashes, (unsigned long long)files);
        import_leave_other(i, "detritus.db", why.text);
        return 0;
}

int import_rows(struct import *i)
{
        _cleanup_(index_freep) struct index *other = NULL;
        struct error err;
        if (!i->counts.details)
                return 0; /* there is no database, or it was left, and that was told */
        if (index_open_readonly(i->config->from, &other, &err) != 0)
                return count_crashes(i);
        int r = look_at_crashes(i, other);
        if (r == 0)
                r = look_at_log_files(i, other);
        if (r < 0 && !import_ends(r)) {
                import_leave_other(i, "detritus.db", "what only it names cannot be read to the end");
                r = 0;
        }
        return r;
}
