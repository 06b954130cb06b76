/* Closed days of logs become smaller: <day>.ndjson.zst in the place of <day>.ndjson, for days that are at least so many
 * days past. The janitor's thread compresses and reads back (log_compress.c); then the log committer deletes the plain
 * file, if it is still the size that was compressed; then its row says so.
 *
 * A stop in between leaves both files, of which the next cycle finds the compressed one whole and goes on, or a compressed
 * file alone, whose row is then corrected. Failure modes: a file that cannot be compressed is reported and left for the
 * next cycle; an index that fails ends this part of the cycle.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_retention.h"
#include "storage/index/index_write.h"
#include "storage/log_days/log_compress.h"
#include "storage/retention/janitor_internal.h"
#include "util/log.h"

struct closed_file {
        int64_t source_id;
        struct source source;
        char day[CLOCK_DAY_SIZE];
        uint64_t bytes; /* compressed */
        bool done;
};

struct compress_step {
        struct index_job find, mark;
        struct janitor_handoff handoff;
        char day_before[CLOCK_DAY_SIZE];
        char last_day[CLOCK_DAY_SIZE]; /* where the next page begins */
        int64_t last_source_id;
        size_t n;
        struct closed_file rows[JANITOR_STEP_ROWS];
};

static int collect(void *userdata, const struct index_log_file *row)
{
        struct compress_step *step = userdata;
        struct closed_file *file = &step->rows[step->n++];
        *file = (struct closed_file){ .source_id = row->source_id };
        snprintf(file->source.project, sizeof(file->source.project), "%s", row->project);
        snprintf(file->source.install_id, sizeof(file->source.install_id), "%s", row->install_id);
        snprintf(file->day, sizeof(file->day), "%s", row->day);
        step->last_source_id = row->source_id;
        memcpy(step->last_day, file->day, sizeof(file->day));
        return 0;
}

static int find_closed(struct index_job *job, struct index *index)
{
        struct compress_step *step = container_of(job, struct compress_step, find);
        step->n = 0;
        const struct index_log_file_key after = { step->last_day, step->last_source_id };
        return index_plain_log_files(index, &after, step->day_before, JANITOR_STEP_ROWS, collect, step);
}

static int mark_compressed(struct index_job *job, struct index *index)
{
        struct compress_step *step = container_of(job, struct compress_step, mark);
        int r = 0;
        for (size_t i = 0; r == 0 && i < step->n; i++) {
                const struct closed_file *file = &step->rows[i];
                if (file->done)
                        r = index_mark_compressed(index, file->source_id, file->day, file->bytes);
        }
        return r;
}

static void found(struct index_job *job, int result)
{
        janitor_handoff_finish(&container_of(job, struct compress_step, find)->handoff, result);
}

static void marked(struct index_job *job, int result)
{
        janitor_handoff_finish(&container_of(job, struct compress_step, mark)->handoff, result);
}

static bool is_stopping(void *janitor)
{
        return janitor_is_stopping(janitor);
}

/* The plain file went in an earlier cycle, which did not live to say so. */
static bool only_compressed(const struct janitor *j, const char *dir, const char *name, uint64_t *ret_bytes)
{
        char path[512];
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s.zst", dir, name);
        if (fstatat(j->config.datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return false;
        *ret_bytes = (uint64_t)st.st_size;
        return true;
}

struct plain_removal {
        struct log_unlink unlink;
        struct janitor_handoff handoff;
};

static void plain_removed(struct log_unlink *u, int result)
{
        janitor_handoff_finish(&container_of(u, struct plain_removal, unlink)->handoff, result);
}

static int remove_plain(struct janitor *j, const struct closed_file *file, uint64_t bytes)
{
        struct plain_removal removal = { .unlink = {
                                                 .source = file->source,
                                                 .only_plain = true,
                                                 .plain_bytes = bytes,
                                                 .done = plain_removed,
                                         } };
        memcpy(removal.unlink.day, file->day, sizeof(file->day));
        sem_init(&removal.handoff.done, 0, 0);
        return log_committer_unlink(j->config.logs, &removal.unlink) == 0 ? janitor_handoff_wait(&removal.handoff)
                                                                          : -EAGAIN;
}

static void compress_one(struct janitor *j, struct closed_file *file)
{
        char dir[2 * SOURCE_COMPONENT_MAX + 8], name[CLOCK_DAY_SIZE + 8];
        uint64_t plain = 0;
        snprintf(dir, sizeof(dir), "logs/%s/%s", file->source.project, file->source.install_id);
        snprintf(name, sizeof(name), "%s.ndjson", file->day);
        int r = log_compress_file(j->config.datadir_fd, dir, name, is_stopping, j, &plain, &file->bytes);
        if (r == -ENOENT && only_compressed(j, dir, name, &file->bytes)) {
                file->done = true;
                return;
        }
        if (r == 0)
                r = remove_plain(j, file, plain);
        file->done = r == 0;
        if (r != 0 && r != LOG_COMPRESS_STOPPED && r != -ENOENT)
                log_warn("cannot compress a day of logs", LOG_STR("directory", dir), LOG_STR("file", name),
                         LOG_STR("error",
                                 r == LOG_COMPRESS_OTHER ? "the compressed file holds other lines" : strerror(-r)));
}

static int run_compress_steps(struct janitor *j, struct compress_step *step, struct janitor_tally *tally)
{
        for (unsigned steps = 0; steps < JANITOR_STEPS_MAX && !janitor_is_stopping(j); steps++) {
                size_t done = 0;
                int r = janitor_run_job(j, &step->find, &step->handoff);
                for (size_t i = 0; r == 0 && i < step->n && !janitor_is_stopping(j); i++) {
                        compress_one(j, &step->rows[i]);
                        done += step->rows[i].done;
                }
                if (r == 0 && done > 0)
                        r = janitor_run_job(j, &step->mark, &step->handoff);
                if (r < 0)
                        return r;
                tally->log_files_compressed += done;
                if (step->n < JANITOR_STEP_ROWS)
                        break;
        }
        return 0;
}

int janitor_compress_logs(struct janitor *j, struct moment now, struct janitor_tally *tally)
{
        if (j->config.compress_after_days == 0)
                return 0;
        struct compress_step *step = calloc(1, sizeof(*step));
        if (!step)
                return -ENOMEM;
        step->find = (struct index_job){ .run = find_closed, .done = found };
        step->mark = (struct index_job){ .run = mark_compressed, .done = marked };
        now.sec -= (int64_t)(j->config.compress_after_days - 1) * JANITOR_SECONDS_PER_DAY;
        clock_format_day(now, step->day_before);
        int r = run_compress_steps(j, step, tally);
        free(step);
        return r;
}
