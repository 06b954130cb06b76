/* The index writer's thread and its queue. Each round takes what has gathered: the reports become one batch
 * (index_batch.c), each job gets a transaction of its own, then the WAL is checkpointed when it is due.
 *
 * Failure modes: a full disk or a busy database fails what met it. A failed sync, an I/O error or a broken database
 * stops the writer for good: one line says so, and whatever comes later is answered -EROFS until a restart, because the
 * kernel may have dropped what a later sync would call safe.
 */
#include "storage/writer/index_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "storage/index/index_write.h"
#include "storage/space/denied.h"
#include "storage/space/space.h"
#include "storage/writer/index_batch.h"
#include "storage/writer/wal_watch.h"
#include "util/files/failure.h"
#include "util/log.h"
#include "util/thread_owner.h"

#define JOBS_MAX 64 /* the janitor and the log files' bookkeeping have one each */

struct index_writer {
        struct index_batch_disk disk;
        struct thread_owner owner;
        struct work_queue *queue; /* weights count the reports, items reports and jobs */
        pthread_t thread;
        atomic_bool failed;
        atomic_uint commits;
        struct wal_watch wal;
        atomic_bool wants_empty_wal;
};

static void crash_file_done(struct crash_file *f)
{
        blob_writer_free(f->blob);
        free(f->key);
        free(f->filename);
        free(f->content_type);
        free(f->content_encoding);
}

struct crash_report *crash_report_free(struct crash_report *r)
{
        if (!r)
                return NULL;
        crash_metadata_free(r->metadata);
        crash_file_done(&r->dump);
        for (size_t i = 0; i < r->n_attachments; i++)
                crash_file_done(&r->attachments[i]);
        free(r->attachments);
        free(r);
        return NULL;
}

static void fail_for_good(struct index_writer *w, int error)
{
        assert(error < 0);
        if (!atomic_exchange(&w->failed, true))
                troubles_set(w->disk.troubles, TROUBLE_CRASHES_FAILED, NULL,
                             "the crash store failed and accepts no writes until the daemon is restarted: %s",
                             strerror(-error));
}

/* A WAL that cannot grow is written back, so that the next transaction finds room in it. True: the disk is too full
 * even for that. */
static bool write_back(struct index_writer *w)
{
        int r = index_checkpoint(w->disk.index);
        if (index_batch_is_final(r))
                fail_for_good(w, r);
        return failure_is_full(r);
}

static void make_room(struct index_writer *w)
{
        space_saw_full(w->disk.space);
        (void)write_back(w);
}

static bool any_met_full_disk(struct crash_report *const *reports, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (failure_is_full(reports[i]->result))
                        return true;
        }
        return false;
}

static void store_reports(struct index_writer *w, struct crash_report *const *reports, size_t n)
{
        if (n == 0)
                return;
        if (atomic_load(&w->failed)) {
                for (size_t i = 0; i < n; i++)
                        reports[i]->result = -EROFS;
        } else {
                int r = index_batch_store(&w->disk, reports, n);
                if (r < 0)
                        fail_for_good(w, r);
                atomic_fetch_add(&w->commits, r == 0);
                if (r == 0 && any_met_full_disk(reports, n))
                        make_room(w);
                if (troubles_has(w->disk.troubles, TROUBLE_CRASHES_DENIED))
                        denied_look(w->disk.troubles, w->disk.datadir_fd);
        }
        for (size_t i = 0; i < n; i++) {
                assert(reports[i]->result <= 0);
                reports[i]->done(reports[i]);
        }
}

static int run_in_transaction(struct index *index, struct index_job *job)
{
        int r = index_begin(index);
        if (r == 0)
                r = job->run(job, index);
        if (r == 0)
                r = index_commit(index);
        if (r != 0)
                index_rollback(index);
        return r;
}

/* While a reader needs it, it is wanted still. */
static int empty_wal_if_wanted(struct index_writer *w)
{
        if (!atomic_exchange(&w->wants_empty_wal, false))
                return 0;
        int r = index_cut_wal(w->disk.index);
        if (index_wal_is_held(w->disk.index))
                atomic_store(&w->wants_empty_wal, true);
        return r;
}

static void run_job(struct index_writer *w, struct index_job *job)
{
        int r = -EROFS;
        bool full = job->write_back && !atomic_load(&w->failed) && write_back(w);
        while (full && space_give_up_reserve(w->disk.space)) /* for the database, before the WAL takes it */
                full = write_back(w);
        if (!atomic_load(&w->failed)) {
                r = run_in_transaction(w->disk.index, job);
                if (index_batch_is_final(r))
                        fail_for_good(w, r);
                else if (failure_is_full(r))
                        make_room(w);
                atomic_fetch_add(&w->commits, r == 0);
        }
        int emptied = atomic_load(&w->failed) ? 0 : empty_wal_if_wanted(w);
        if (index_batch_is_final(emptied))
                fail_for_good(w, emptied);
        job->done(job, r);
}

static void run_round(struct index_writer *w, struct work *list)
{
        struct crash_report *reports[INDEX_BATCH_MAX];
        struct index_job *jobs[INDEX_BATCH_MAX];
        size_t n_reports = 0, n_jobs = 0;

        assert_on_thread(&w->owner);
        for (struct work *item = list; item; item = item->next) {
                struct index_work *queued = container_of(item, struct index_work, work);
                assert(n_reports + n_jobs < INDEX_BATCH_MAX);
                if (queued->kind == INDEX_WORK_REPORT)
                        reports[n_reports++] = container_of(queued, struct crash_report, queued);
                else
                        jobs[n_jobs++] = container_of(queued, struct index_job, queued);
        }
        metrics_gauge_add(w->disk.metrics, METRICS_INDEX_QUEUE, -(int64_t)(n_reports + n_jobs));
        store_reports(w, reports, n_reports);
        for (size_t i = 0; i < n_jobs; i++)
                run_job(w, jobs[i]);
}

static int tidy_wal(struct index_writer *w)
{
        int r = index_checkpoint_if_due(w->disk.index);
        if (r == 0)
                r = empty_wal_if_wanted(w);
        return r == 0 ? wal_watch_look(&w->wal, w->disk.index, w->disk.metrics, w->disk.troubles) : r;
}

static void *writer_main(void *userdata)
{
        struct index_writer *w = userdata;
        struct work *list;
        pthread_setname_np(pthread_self(), "index-writer");
        thread_owner_take(&w->owner);
        index_write_take(w->disk.index);
        while ((list = work_queue_take(w->queue, INDEX_BATCH_MAX, -1, NULL))) {
                run_round(w, list);
                int r = atomic_load(&w->failed) ? 0 : tidy_wal(w);
                if (index_batch_is_final(r))
                        fail_for_good(w, r);
        }
        index_write_release(w->disk.index);
        thread_owner_release(&w->owner);
        return NULL;
}

int index_writer_new(const struct index_writer_config *config, struct index *index, struct index_writer **ret)
{
        struct index_writer *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->disk = (struct index_batch_disk){
                .index = index,
                .blobs = config->blobs,
                .metrics = config->metrics,
                .troubles = config->troubles,
                .space = config->space,
                .datadir_fd = config->datadir_fd,
                .untidy = config->untidy,
        };
        w->queue = work_queue_new(config->queue_reports + JOBS_MAX, config->queue_reports);
        int r = w->queue ? pthread_create(&w->thread, NULL, writer_main, w) : ENOMEM;
        if (r != 0) {
                work_queue_free(w->queue);
                free(w);
                return -r;
        }
        *ret = w;
        return 0;
}

struct index_writer *index_writer_free(struct index_writer *w)
{
        if (!w)
                return NULL;
        assert_not_on_thread(&w->owner);
        work_queue_close(w->queue);
        pthread_join(w->thread, NULL);
        work_queue_free(w->queue);
        index_free(w->disk.index);
        free(w);
        return NULL;
}

static int submit(struct index_writer *w, struct index_work *item)
{
        metrics_gauge_add(w->disk.metrics, METRICS_INDEX_QUEUE, 1); /* first, so that it is never seen below zero */
        int r = work_queue_push(w->queue, &item->work);
        if (r != 0)
                metrics_gauge_add(w->disk.metrics, METRICS_INDEX_QUEUE, -1);
        return r;
}

int index_writer_submit(struct index_writer *w, struct crash_report *r)
{
        assert(r->done && r->metadata && r->dump.blob);
        r->queued.kind = INDEX_WORK_REPORT;
        r->queued.work.weight = 1;
        return submit(w, &r->queued);
}

int index_writer_submit_job(struct index_writer *w, struct index_job *job)
{
        assert(job->run && job->done);
        job->queued.kind = INDEX_WORK_JOB;
        job->queued.work.weight = 0;
        return submit(w, &job->queued);
}

void index_writer_want_empty_wal(struct index_writer *w)
{
        atomic_store(&w->wants_empty_wal, true);
}

unsigned index_writer_commits(const struct index_writer *w)
{
        return atomic_load(&w->commits);
}

bool index_writer_failed(const struct index_writer *w)
{
        return atomic_load(&w->failed);
}

size_t index_writer_depth(const struct index_writer *w)
{
        return work_queue_depth(w->queue);
}

void index_writer_assert_elsewhere(const struct index_writer *w)
{
        assert_not_on_thread(&w->owner);
}
