/* Opens one data directory, from the lock to the threads, each part after those that it needs; closes in reverse.
 *
 * Failure modes: another process holds the lock; the disk or the index cannot be opened; the index is from a newer
 * detritus. All end the start, with words. The board of troubles says what fails later.
 */
#include "storage/store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "config/descriptors.h"
#include "storage/retention/janitor.h"
#include "storage/store/data_dir.h"
#include "storage/writer/log_totals.h"
#include "util/files/durable.h"
#include "util/log.h"

struct store {
        enum { STORE_OPENING, STORE_OPEN, STORE_STOPPED } state;
        struct data_dir dir;
        bool failed;        /* when it stopped: the next start checks everything */
        atomic_bool untidy; /* something is left for the next start to put right */
        struct troubles *troubles;
        struct space *space;
        struct index *index; /* until the index writer takes it */
        struct blob_store *blobs;
        struct index_writer *writer;
        struct log_totals *totals;
        struct log_committer *logs;
        struct deletion_stores stores;
        struct janitor *janitor; /* NULL: opened for one job */
};

/* Early, because a start on a full disk may need the space of the reserve file. */
static int open_space(struct store *s, const struct config *config, struct metrics *metrics, struct error *err)
{
        const struct space_config space = {
                .datadir_fd = s->dir.fd,
                .metrics = metrics,
                .troubles = s->troubles,
                .full_pause_ns = config->limits.disk_full_pause_secs * UINT64_C(1000000000),
                .reserve_bytes = { [SPACE_UPLOADS] = config->limits.disk_reserve_uploads_bytes,
                                   [SPACE_LOGS] = config->limits.disk_reserve_logs_bytes },
        };
        int r = space_new(&space, &s->space);
        return r < 0 ? error_cannot(err, r, "look at the disk of", config->data_dir) : 0;
}

static int start_crashes(struct store *s, const struct config *config, struct metrics *metrics)
{
        assert(s->dir.state == DATA_DIR_INDEXED && s->space);
        int r = blob_store_new(s->dir.fd, &s->blobs);
        if (r < 0)
                return r;
        struct index_writer_config writer = {
                .datadir_fd = s->dir.fd,
                .blobs = s->blobs,
                .metrics = metrics,
                .troubles = s->troubles,
                .space = s->space,
                .untidy = &s->untidy,
                .queue_reports = config->limits.index_queue_reports,
        };
        r = index_writer_new(&writer, s->index, &s->writer);
        if (r == 0)
                s->index = NULL;
        return r;
}

/* A command that does one job may have fewer descriptors than a daemon must have. */
static unsigned log_files_open(const struct config *config)
{
        struct descriptors share;
        unsigned few = DESCRIPTORS_MIN / 4;
        if (descriptors_share_ours(&config->limits, &share, NULL) == 0)
                return share.log_files;
        return config->limits.log_files_open < few ? config->limits.log_files_open : few;
}

static int start_logs(struct store *s, const struct config *config, struct metrics *metrics)
{
        assert(s->writer);
        int r = log_totals_new(s->writer, &s->totals);
        if (r < 0)
                return r;
        struct log_committer_config committer = {
                .datadir_fd = s->dir.fd,
                .metrics = metrics,
                .troubles = s->troubles,
                .queue_batches = config->limits.log_queue_batches,
                .queue_bytes = config->limits.log_queue_bytes,
                .open_files = log_files_open(config),
                .sync = config->durability == CONFIG_DURABILITY_COMMIT,
                .journal_bytes = config->limits.log_journal_bytes,
                .note = log_totals_note,
                .note_userdata = s->totals,
        };
        return log_committer_new(&committer, &s->logs);
}

static int start_janitor(struct store *s, const struct config *config, struct metrics *metrics, bool for_a_job)
{
        assert(s->writer && s->logs);
        s->stores = (struct deletion_stores){
                .datadir_fd = s->dir.fd,
                .blobs = s->blobs,
                .index = s->writer,
                .logs = s->logs,
                .totals = s->totals,
                .space = s->space,
                .troubles = s->troubles,
                .untidy = &s->untidy,
        };
        return for_a_job ? 0 : janitor_new(config, &s->stores, metrics, &s->janitor);
}

static int take_directory(struct store *s, bool for_a_job, struct error *err)
{
        int r = for_a_job ? 0 : durable_mkdirs(AT_FDCWD, s->dir.path);
        if (r < 0)
                return error_cannot(err, r, "make the data directory", s->dir.path);
        r = data_dir_open(&s->dir, err);
        if (r < 0)
                return r;
        r = for_a_job ? data_dir_expect_database(&s->dir, err) : 0;
        return r < 0 ? r : data_dir_lock(&s->dir, err);
}

static int open_index(struct store *s, struct error *err)
{
        bool untidy = false;
        int r = data_dir_recover_logs(&s->dir, err);
        if (r < 0)
                return r;
        r = data_dir_open_index(&s->dir, &s->index, &untidy, err);
        atomic_store(&s->untidy, untidy);
        return r;
}

static int start_all(struct store *s, const struct config *config, struct metrics *metrics, bool for_a_job)
{
        int r = start_crashes(s, config, metrics);
        if (r < 0)
                return r;
        r = start_logs(s, config, metrics);
        if (r < 0)
                return r;
        r = start_janitor(s, config, metrics, for_a_job);
        return r < 0 ? r : space_start(s->space);
}

static int open_all(struct store *s, const struct config *config, struct metrics *metrics, bool for_a_job,
                    struct error *err)
{
        int r = take_directory(s, for_a_job, err);
        if (r < 0)
                return r;
        r = open_space(s, config, metrics, err);
        if (r < 0)
                return r;
        r = open_index(s, err);
        if (r < 0)
                return r;
        r = start_all(s, config, metrics, for_a_job);
        return r < 0 ? error_cannot(err, r, "start the stores of", config->data_dir) : 0;
}

static int open_store(const struct config *config, struct metrics *metrics, bool for_a_job, struct store **ret,
                      pid_t *ret_holder, struct error *err)
{
        struct store *s = calloc(1, sizeof(*s));
        if (!s)
                return error_cannot(err, -ENOMEM, "open", config->data_dir);
        data_dir_init(&s->dir, config->data_dir);
        s->troubles = troubles_new();
        int r = s->troubles ? open_all(s, config, metrics, for_a_job, err)
                            : error_cannot(err, -ENOMEM, "open", config->data_dir);
        if (r < 0) {
                if (ret_holder)
                        *ret_holder = s->dir.holder;
                store_free(s);
                return r;
        }
        s->state = STORE_OPEN;
        *ret = s;
        return 0;
}

int store_open(const struct config *config, struct metrics *metrics, struct store **ret, struct error *err)
{
        return open_store(config, metrics, false, ret, NULL, err);
}

int store_open_for_a_job(const struct config *config, struct metrics *metrics, struct store **ret, pid_t *ret_holder,
                         struct error *err)
{
        return open_store(config, metrics, true, ret, ret_holder, err);
}

void store_stop(struct store *s)
{
        if (s->state == STORE_STOPPED)
                return;
        s->failed = s->state == STORE_OPENING || log_committer_failed(s->logs) || index_writer_failed(s->writer);
        s->state = STORE_STOPPED;
        s->janitor = janitor_free(s->janitor);
        s->logs = log_committer_free(s->logs); /* its last notes go to totals, whose last job goes to the writer */
        s->totals = log_totals_free(s->totals);
        s->writer = index_writer_free(s->writer);
        space_stop(s->space); /* requests that end later still give back what they were promised */
}

struct store *store_free(struct store *s)
{
        if (!s)
                return NULL;
        store_stop(s);
        index_free(s->index);
        blob_store_free(s->blobs);
        space_free(s->space);
        int r = s->failed || atomic_load(&s->untidy) ? 0 : data_dir_stop_clean(&s->dir);
        if (r < 0)
                log_warn("cannot note that the stop was orderly; the next start will check the stores",
                         LOG_STR("error", strerror(-r)));
        data_dir_done(&s->dir);
        troubles_free(s->troubles);
        free(s);
        return NULL;
}

struct log_committer *store_logs(struct store *s)
{
        return s->logs;
}

struct index_writer *store_index(struct store *s)
{
        return s->writer;
}

struct blob_store *store_blobs(struct store *s)
{
        return s->blobs;
}

struct space *store_space(struct store *s)
{
        return s->space;
}

int store_start_retention(struct store *s)
{
        assert(s->janitor);
        return janitor_start(s->janitor);
}

struct janitor *store_janitor(struct store *s)
{
        return s->janitor;
}

int store_new_deletion(struct store *s, struct deletion **ret)
{
        assert(s->state == STORE_OPEN);
        return deletion_new(&s->stores, ret);
}

int store_datadir_fd(const struct store *s)
{
        return s->dir.fd;
}

struct troubles *store_troubles(struct store *s)
{
        return s->troubles;
}
