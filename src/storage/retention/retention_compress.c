/* Compresses old days of logs: <day>.ndjson.zst takes the place of <day>.ndjson, as many days later as the
 * configuration says. Retention's thread compresses and reads back (log_compress.c); then the log committer deletes the
 * plain file, if it still has the size that was compressed; then its row says so.
 *
 * A stop in between leaves both files, of which the next cycle finds the compressed one whole and goes on, or a
 * compressed file alone, whose row is then corrected. Failure modes: a file that cannot be compressed is reported and
 * left for the next cycle; an index that fails ends this part of the cycle. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/log_days/log_compress.h"
#include "storage/retention/retention_internal.h"
#include "util/log.h"

struct closed_file {
        int64_t source_id;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes; /* compressed */
        bool done;
};

struct compress_step {
        struct step find, mark;
        char day_before[CLOCK_DAY_SIZE];
        char last_day[CLOCK_DAY_SIZE]; /* where the next page begins */
        int64_t last_source_id;
        size_t n;
        uint64_t done; /* files, in all steps */
        struct closed_file rows[DELETION_STEP_ROWS];
};

static int collect(void *userdata, const struct index_log_file *row)
{
        struct compress_step *step = userdata;
        assert(step->n < DELETION_STEP_ROWS);
        struct closed_file *file = &step->rows[step->n++];
        *file = (struct closed_file){ .source_id = row->source_id };
        snprintf(file->source.project, sizeof(file->source.project), "%s", row->project);
        snprintf(file->source.install_id, sizeof(file->source.install_id), "%s", row->install_id);
        snprintf(file->day, sizeof(file->day), "%s", row->day);
        step->last_source_id = row->source_id;
        memcpy(step->last_day, file->day, sizeof(file->day));
        return 0;
}

static int find_closed(struct step *s, struct index *index)
{
        struct compress_step *step = container_of(s, struct compress_step, find);
        step->n = 0;
        const struct index_log_file_key after = { step->last_day, step->last_source_id };
        return index_plain_log_files(index, &after, step->day_before, DELETION_STEP_ROWS, collect, step);
}

static int mark_compressed(struct step *s, struct index *index)
{
        struct compress_step *step = container_of(s, struct compress_step, mark);
        int r = 0;
        for (size_t i = 0; r == 0 && i < step->n; i++) {
                const struct closed_file *file = &step->rows[i];
                if (file->done)
                        r = index_mark_compressed(index, file->source_id, file->day, file->bytes);
        }
        return r;
}

static bool is_stopping(void *deletion)
{
        return deletion_is_stopping(deletion);
}

/* The plain file went in an earlier cycle, which did not live to say so. */
static bool only_compressed(const struct deletion *d, const char *dir, const char *name, uint64_t *ret_bytes)
{
        char path[512];
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s.zst", dir, name);
        if (fstatat(d->stores.datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return false;
        *ret_bytes = (uint64_t)st.st_size;
        return true;
}

static int remove_plain(struct deletion *d, const struct closed_file *file, uint64_t bytes)
{
        struct log_unlink unlink = { .source = file->source, .only_plain = true, .plain_bytes = bytes };
        memcpy(unlink.day, file->day, sizeof(file->day));
        return step_unlink(d->stores.logs, &unlink);
}

static void compress_one(struct deletion *d, struct closed_file *file)
{
        char dir[2 * SOURCE_COMPONENT_MAX + 8], name[CLOCK_DAY_SIZE + 8];
        struct log_compress_sizes sizes = { 0 };
        snprintf(dir, sizeof(dir), "logs/%s/%s", file->source.project, file->source.install_id);
        snprintf(name, sizeof(name), "%s.ndjson", file->day);
        int r = log_compress_day(d->stores.datadir_fd, &file->source, file->day, is_stopping, d, &sizes);
        if (r == -ENOENT && only_compressed(d, dir, name, &file->bytes)) {
                file->done = true;
                return;
        }
        if (r == 0) {
                file->bytes = sizes.compressed_bytes;
                r = remove_plain(d, file, sizes.plain_bytes);
        }
        file->done = r == 0;
        if (r != 0 && r != LOG_COMPRESS_STOPPED && r != -ENOENT)
                log_warn("cannot compress a day of logs", LOG_STR("directory", dir), LOG_STR("file", name),
                         LOG_STR("error",
                                 r == LOG_COMPRESS_OTHER ? "the compressed file holds other lines" : strerror(-r)));
}

static int next_files(struct deletion *d, void *work, bool *ret_last)
{
        struct compress_step *step = work;
        size_t done = 0;
        int r = deletion_run(d, &step->find);
        for (size_t i = 0; r == 0 && i < step->n && !deletion_is_stopping(d); i++) {
                compress_one(d, &step->rows[i]);
                done += step->rows[i].done;
        }
        if (r == 0 && done > 0)
                r = deletion_run(d, &step->mark);
        if (r < 0)
                return r;
        step->done += done;
        *ret_last = step->n < DELETION_STEP_ROWS;
        return 0;
}

int retention_compress(const struct retention *r, struct moment now, uint64_t *ret_files)
{
        if (r->config->logs_compress_after_days == 0)
                return 0;
        _cleanup_(freep) struct compress_step *step = calloc(1, sizeof(*step));
        if (!step)
                return -ENOMEM;
        step->find.run = find_closed;
        step->mark.run = mark_compressed;
        now.sec -= (int64_t)(r->config->logs_compress_after_days - 1) * RETENTION_SECONDS_PER_DAY;
        clock_format_day(now, step->day_before);
        int e = deletion_repeat(r->deletion, next_files, step, NULL);
        *ret_files = step->done;
        return e;
}
