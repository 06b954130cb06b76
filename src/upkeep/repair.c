/* What is done about each kind of finding:
 *
 *   count                           counted again, all at once
 *   mirror missing or different     written from the row
 *   mirror extra                    indexed again, if its blobs are there (adopt.h)
 *   blob orphan                     gets a row without uses, and retention collects it (adopt.h)
 *   blob corrupt, of wrong length   moved to corrupt/, so that no reader takes it for whole, and so that the same bytes
 *                                   are stored if they are sent again; its row stays
 *   log torn                        the end is moved to <file>.torn
 *   log size, missing, unknown      the row is corrected, removed, made
 *   everything else                 left alone: there is nothing to repair it from
 */
#include "upkeep/repair.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/crashes/mirror.h"
#include "storage/index/index_check.h"
#include "storage/index/index_read.h"
#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/log_days/log_lines.h"
#include "storage/log_days/log_path.h"
#include "storage/logs/log_file.h"
#include "storage/store/adopt.h"
#include "util/files/durable.h"
#include "util/files/path.h"

struct repair_item {
        enum verify_kind kind;
        int64_t id;
        char *what, *problem;
};

struct mending {
        int datadir_fd;
        struct index *index;
        bool live, adopted;
        int usage_result;
        char how[256];
};

static const char *const outcome_names[REPAIR_OUTCOMES_] = {
        [REPAIR_MENDED] = "mended", [REPAIR_GONE] = "gone",     [REPAIR_ASIDE] = "set_aside",
        [REPAIR_LEFT] = "left",     [REPAIR_FAILED] = "failed",
};

const char *repair_outcome_name(enum repair_outcome outcome)
{
        assert(outcome < REPAIR_OUTCOMES_);
        return outcome_names[outcome];
}

bool repair_outcome_parse(const char *name, enum repair_outcome *ret)
{
        for (unsigned i = 0; name && i < REPAIR_OUTCOMES_; i++) {
                if (strcmp(name, outcome_names[i]) == 0) {
                        *ret = (enum repair_outcome)i;
                        return true;
                }
        }
        return false;
}

int repair_note(void *repair, const struct verify_finding *finding)
{
        struct repair *list = repair;
        if (list->n == REPAIR_FINDINGS_MAX) {
                list->dropped++;
                return 0;
        }
        if ((list->n & (list->n - 1)) == 0) { /* at each power of two the array is full */
                struct repair_item *items = reallocarray(list->items, list->n ? list->n * 2 : 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                list->items = items;
        }
        struct repair_item *item = &list->items[list->n];
        *item = (struct repair_item){ .kind = finding->kind,
                                      .id = finding->id,
                                      .what = strdup(finding->what),
                                      .problem = strdup(finding->problem) };
        list->n++;
        return item->what && item->problem ? 0 : -ENOMEM;
}

void repair_done(struct repair *repair)
{
        for (size_t i = 0; i < repair->n; i++) {
                free(repair->items[i].what);
                free(repair->items[i].problem);
        }
        free(repair->items);
        *repair = (struct repair){ 0 };
}

/* NULL: usage. */
static const char *blob_counted(const struct repair_item *item)
{
        return strncmp(item->what, "blob ", 5) == 0 ? item->what + 5 : NULL;
}

static struct verify_finding finding_of(const struct repair_item *item)
{
        return (struct verify_finding){
                .kind = item->kind, .what = item->what, .problem = item->problem, .id = item->id
        };
}

int repair_get(const struct repair *repair, size_t i, int (*cb)(void *userdata, const struct verify_finding *finding),
               void *userdata)
{
        assert(i < repair->n);
        const struct verify_finding finding = finding_of(&repair->items[i]);
        return cb(userdata, &finding);
}

bool repair_knows(const struct verify_finding *finding)
{
        struct source source;
        struct moment at;
        char text[BLOB_HEX_SIZE];
        bool compressed;
        switch (finding->kind) {
        case VERIFY_BLOB_MISSING:
        case VERIFY_BLOB_LENGTH:
        case VERIFY_BLOB_CORRUPT:
        case VERIFY_BLOB_ORPHAN: return blob_parse_path(finding->what, text);
        case VERIFY_LOG_MISSING:
        case VERIFY_LOG_SIZE:
        case VERIFY_LOG_UNKNOWN:
        case VERIFY_LOG_TORN:
        case VERIFY_LOG_DAMAGED: return log_path_parse(finding->what, &source, text, &compressed);
        case VERIFY_MIRROR_MISSING:
        case VERIFY_MIRROR_DIFFERENT: return finding->id > 0;
        case VERIFY_MIRROR_EXTRA: return mirror_parse_path(finding->what, &source, &at, text);
        default: return true; /* its name is not a path; SQL searches for the hash in "blob <hash>" */
        }
}

static enum repair_outcome say(struct mending *m, enum repair_outcome outcome, const char *how)
{
        snprintf(m->how, sizeof(m->how), "%s", how);
        return outcome;
}

static enum repair_outcome failed(struct mending *m, int error)
{
        return say(m, REPAIR_FAILED, strerror(-error));
}

static enum repair_outcome mend_count(struct mending *m, const struct repair_item *item)
{
        const char *sha256 = blob_counted(item);
        int r = sha256 ? index_recount_blob(m->index, sha256) : m->usage_result;
        return r < 0 ? failed(m, r) : say(m, REPAIR_MENDED, "counted again");
}

static int write_mirror(void *userdata, const struct index_crash *crash)
{
        return mirror_write(*(const int *)userdata, crash);
}

static enum repair_outcome mend_mirror(struct mending *m, const struct repair_item *item)
{
        int r = index_read_crash(m->index, item->id, write_mirror, &m->datadir_fd);
        if (r == -ENOENT)
                return say(m, REPAIR_GONE, "the crash has been deleted");
        return r < 0 ? failed(m, r) : say(m, REPAIR_MENDED, "written from its row");
}

static enum repair_outcome look_for_blob(struct mending *m, const struct repair_item *item)
{
        char sha256[BLOB_HEX_SIZE];
        bool known = false;
        if (!blob_parse_name(strrchr(item->what, '/') + 1, sha256))
                return say(m, REPAIR_LEFT, "its name is not that of a blob");
        int r = index_has_blob(m->index, sha256, &known);
        if (r < 0)
                return failed(m, r);
        return known ? say(m, REPAIR_MENDED, "it has a row now, and retention collects it")
                     : say(m, REPAIR_LEFT, "a crash that could not be indexed may be using it");
}

static enum repair_outcome look_for_crash(struct mending *m, const struct repair_item *item)
{
        struct crash_metadata named = { 0 };
        int64_t id = 0;
        char sha256[BLOB_HEX_SIZE];
        int r = 0;
        if (mirror_parse_path(item->what, &named.source, &named.timestamp, sha256))
                r = index_has_crash(m->index, &named, sha256, &id);
        if (r < 0)
                return failed(m, r);
        return id ? say(m, REPAIR_MENDED, "indexed again")
                  : say(m, REPAIR_LEFT, "it cannot be read, or its blobs are not there");
}

/* Indexes everything that has no row, at once, and says what became of this one. */
static enum repair_outcome mend_by_adoption(struct mending *m, const struct repair_item *item)
{
        struct adopt_counts counts;
        if (m->live)
                return say(m, REPAIR_LEFT, "stop the daemon to repair it");
        int r = m->adopted ? 0 : adopt_data_dir(m->datadir_fd, m->index, ADOPT_ALL, &counts);
        m->adopted = true;
        if (r < 0)
                return failed(m, r);
        switch (item->kind) {
        case VERIFY_BLOB_ORPHAN: return look_for_blob(m, item);
        case VERIFY_LOG_UNKNOWN: return say(m, REPAIR_MENDED, "it has a row now");
        default: return look_for_crash(m, item);
        }
}

/* A free name in corrupt/. */
static void name_aside(const struct mending *m, const char *name, char *ret, size_t size)
{
        struct stat st;
        snprintf(ret, size, REPAIR_CORRUPT_DIR "/%s", name);
        for (unsigned i = 1; i < 1000 && fstatat(m->datadir_fd, ret, &st, AT_SYMLINK_NOFOLLOW) == 0; i++)
                snprintf(ret, size, REPAIR_CORRUPT_DIR "/%s.%u", name, i);
}

static int move_aside(const struct mending *m, const char *path, const char *to)
{
        int r = durable_mkdirs(m->datadir_fd, REPAIR_CORRUPT_DIR);
        if (r < 0)
                return r;
        if (renameat2(m->datadir_fd, path, m->datadir_fd, to, RENAME_NOREPLACE) < 0)
                return -errno;
        return durable_sync_dir(m->datadir_fd, REPAIR_CORRUPT_DIR);
}

/* Nobody else publishes or deletes blobs meanwhile. */
static enum repair_outcome set_aside(struct mending *m, const struct repair_item *item)
{
        char to[128], sha256[BLOB_HEX_SIZE];
        uint64_t len;
        if (!blob_parse_path(item->what, sha256))
                return say(m, REPAIR_LEFT, "its name is not that of a blob");
        int r = index_find_blob(m->index, sha256, &len);
        if (r == -ENOENT)
                return say(m, REPAIR_GONE, "no row names it any more");
        if (r == 0)
                r = verify_blob_bytes(m->datadir_fd, sha256, len);
        if (r == 0 || r == -ENOENT)
                return say(m, REPAIR_GONE, r == 0 ? "it is whole" : "it is gone");
        if (r < 0)
                return failed(m, r);
        name_aside(m, strrchr(item->what, '/') + 1, to, sizeof(to));
        r = move_aside(m, item->what, to);
        if (r < 0)
                return failed(m, r);
        snprintf(m->how, sizeof(m->how), "moved to %s; a backup, or the same bytes sent again, bring it back", to);
        return REPAIR_ASIDE;
}

/* LOG_SIZE, LOG_TORN: corrects the row to what is there. */
static int correct_log(struct mending *m, struct log_file *f, const struct index_log_file *row)
{
        struct log_lines_content content = { 0 };
        bool lost = f->size < row->bytes; /* an unknown number of lines */
        int r = log_file_repair_tail(f);
        if (r == 0)
                r = log_file_sync(f);
        if (r != 0)
                return r < 0 ? r : -EIO;
        r = log_lines_count(f->fd, row->bytes, f->size, &content);
        if (r < 0)
                return r;
        if (row->source_id == 0 || f->size == row->bytes)
                return 0;
        return lost ? index_mark_plain(m->index, row->source_id, f->day, f->size)
                    : index_correct_log_file(m->index, row->source_id, f->day, f->size, content.lines);
}

static int take_row(void *userdata, const struct index_log_file *row)
{
        struct index_log_file *copy = userdata;
        copy->source_id = row->source_id;
        copy->bytes = row->bytes;
        copy->compressed = row->compressed;
        return 0;
}

static int mark_compressed(struct mending *m, const struct repair_item *item, const struct index_log_file *row,
                           const char *day)
{
        char path[PATH_MAX];
        struct stat st;
        snprintf(path, sizeof(path), "%s%s", item->what, path_ends_with(item->what, ".zst") ? "" : ".zst");
        if (fstatat(m->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return index_mark_compressed(m->index, row->source_id, day, (uint64_t)st.st_size);
}

/* The file of the row is missing. If the row is of a compressed day, the plain file may be there. */
static int forget_log(struct mending *m, const char *path, const struct index_log_file *row, const char *day)
{
        char plain[PATH_MAX];
        struct stat st;
        size_t len = strlen(path);
        snprintf(plain, sizeof(plain), "%.*s", (int)(len > 4 ? len - 4 : 0), path);
        if (row->compressed && fstatat(m->datadir_fd, plain, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return index_mark_plain(m->index, row->source_id, day, (uint64_t)st.st_size);
        return index_delete_log_file(m->index, row->source_id, day);
}

/* Of a log file that is there: plain, or compressed in its place. */
static int mend_log_row(struct mending *m, const struct repair_item *item, const struct source *source,
                        const struct index_log_file *row, const char *day)
{
        struct log_file f;
        if (path_ends_with(item->what, ".zst"))
                return mark_compressed(m, item, row, day);
        int r = log_file_open_as_is(&f, m->datadir_fd, source, day, false);
        if (r != 0)
                return r == -ENOENT ? mark_compressed(m, item, row, day) : r;
        r = correct_log(m, &f, row);
        log_file_close(&f);
        return r;
}

static enum repair_outcome mend_log(struct mending *m, const struct repair_item *item)
{
        struct source source;
        struct index_log_file row = { 0 };
        char day[CLOCK_DAY_SIZE];
        bool compressed = false, missing = item->kind == VERIFY_LOG_MISSING;
        if (m->live)
                return say(m, REPAIR_LEFT, "the daemon has its log files open; stop it to repair them");
        if (!log_path_parse(item->what, &source, day, &compressed))
                return say(m, REPAIR_LEFT, "its name is not that of a log file");
        int r = index_find_log_file(m->index, &source, day, take_row, &row);
        if (r < 0 && r != -ENOENT)
                return failed(m, r);
        if (missing && faccessat(m->datadir_fd, item->what, F_OK, 0) == 0)
                return say(m, REPAIR_GONE, "it is there now");
        r = missing ? forget_log(m, item->what, &row, day) : mend_log_row(m, item, &source, &row, day);
        if (r != 0)
                return failed(m, r < 0 ? r : -EIO);
        return say(m, REPAIR_MENDED,
                   missing                         ? "its row is removed, or says what is there"
                   : item->kind == VERIFY_LOG_TORN ? "its end was moved to <file>.torn"
                                                   : "its row is corrected");
}

static enum repair_outcome mend(struct mending *m, const struct repair_item *item)
{
        switch (item->kind) {
        case VERIFY_COUNT: return mend_count(m, item);
        case VERIFY_MIRROR_MISSING:
        case VERIFY_MIRROR_DIFFERENT: return mend_mirror(m, item);
        case VERIFY_MIRROR_EXTRA:
        case VERIFY_BLOB_ORPHAN:
        case VERIFY_LOG_UNKNOWN: return mend_by_adoption(m, item);
        case VERIFY_BLOB_LENGTH:
        case VERIFY_BLOB_CORRUPT: return set_aside(m, item);
        case VERIFY_LOG_TORN:
        case VERIFY_LOG_SIZE:
        case VERIFY_LOG_MISSING: return mend_log(m, item);
        case VERIFY_BLOB_MISSING:
                return say(m, REPAIR_LEFT, "only a backup, or the same bytes sent again, bring it back");
        case VERIFY_DATABASE: return say(m, REPAIR_LEFT, "detritusctl reindex rebuilds the database");
        default: return say(m, REPAIR_LEFT, "it is left as it is");
        }
}

/* In this order, because new and removed rows change counts, and the counts of blobs change usage. */
enum { FILES, BLOB_COUNTS, USAGE, STEPS };

static int step_of(const struct repair_item *item)
{
        return item->kind != VERIFY_COUNT ? FILES : blob_counted(item) ? BLOB_COUNTS : USAGE;
}

void repair_run(struct repair *repair, int datadir_fd, struct index *index, bool live, repair_cb cb, void *userdata)
{
        struct mending m = { .datadir_fd = datadir_fd, .index = index, .live = live };
        bool counts = false;
        for (size_t i = 0; i < repair->n; i++)
                counts = counts || repair->items[i].kind == VERIFY_COUNT;
        for (int step = 0; step < STEPS; step++) {
                if (step == USAGE && counts)
                        m.usage_result = index_recount_usage(index);
                for (size_t i = 0; i < repair->n; i++) {
                        const struct repair_item *item = &repair->items[i];
                        if (step_of(item) != step)
                                continue;
                        const struct verify_finding finding = finding_of(item);
                        enum repair_outcome outcome = mend(&m, item);
                        cb(userdata, &finding, outcome, m.how);
                }
        }
}
