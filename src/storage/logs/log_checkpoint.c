/* The thread waits for work, syncs it, retires the segments sealed before, waits again.
 *
 * Failure modes: a segment's head that cannot be written for want of space is written by the next checkpoint; a failed
 * sync. The lines are in the journal still, so nothing acknowledged is lost; but the kernel may
 * have dropped the pages of a file, and a later sync would say OK without them. So no segment is ever retired again,
 * and the next start writes their lines again. */
#include "storage/logs/log_checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "util/files/durable.h"
#include "util/files/failure.h"
#include "util/log.h"
#include "util/thread_owner.h"

struct log_checkpoint {
        struct thread_owner owner;
        const struct log_committer_config *config;
        struct journal *journal;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool running, stopping;
        atomic_bool failed;
        struct log_checkpoint_work work; /* the thread's while running */
};

void log_checkpoint_work_done(struct log_checkpoint_work *w)
{
        while (w->n > 0)
                close(w->fds[--w->n]);
        w->everything = false;
}

static int sync_work(const struct log_checkpoint *k, const struct log_checkpoint_work *w)
{
        int r = 0;
        if (w->everything)
                return durable_sync_all(k->config->datadir_fd);
        for (unsigned i = 0; w->n > 1 && i < w->n; i++)
                sync_file_range(w->fds[i], 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: fdatasync reports the errors */
        for (unsigned i = 0; r == 0 && i < w->n; i++)
                r = durable_sync(w->fds[i]);
        return r;
}

static void run_one(struct log_checkpoint *k)
{
        assert_on_thread(&k->owner);
        int r = atomic_load(&k->failed) ? 0 : sync_work(k, &k->work);
        bool final = r < 0;
        if (r == 0 && !atomic_load(&k->failed)) {
                r = journal_retire(k->journal);
                final = r < 0 && failure_of(FAILURE_WRITE, r) == FAILURE_FINAL;
        }
        log_checkpoint_work_done(&k->work);
        if (r < 0 && !final) {
                log_warn("the log journal is not freed yet", LOG_STR("error", strerror(-r)));
        } else if (r < 0) {
                log_error("log store failed, no batch is acknowledged any more", LOG_STR("step", "checkpoint"),
                          LOG_STR("error", strerror(-r)));
                atomic_store(&k->failed, true);
                log_checkpoint_report_failure(k->config->troubles);
        } else {
                metrics_count(k->config->metrics, METRICS_LOG_CHECKPOINTS, 1);
        }
}

static void *run(void *userdata)
{
        struct log_checkpoint *k = userdata;
        thread_owner_take(&k->owner);
        pthread_mutex_lock(&k->lock);
        for (;;) {
                while (!k->running && !k->stopping)
                        pthread_cond_wait(&k->changed, &k->lock);
                if (!k->running)
                        break;
                pthread_mutex_unlock(&k->lock);
                run_one(k);
                pthread_mutex_lock(&k->lock);
                k->running = false;
                pthread_cond_broadcast(&k->changed);
        }
        pthread_mutex_unlock(&k->lock);
        thread_owner_release(&k->owner);
        return NULL;
}

void log_checkpoint_report_failure(struct troubles *t)
{
        troubles_set(t, TROUBLE_LOGS_FAILED, NULL,
                     "the log store failed to sync and accepts no writes until the daemon is restarted");
}

int log_checkpoint_new(const struct log_committer_config *config, struct journal *j, struct log_checkpoint **ret)
{
        struct log_checkpoint *k = calloc(1, sizeof(*k));
        if (!k)
                return -ENOMEM;
        k->config = config;
        k->journal = j;
        pthread_mutex_init(&k->lock, NULL);
        pthread_cond_init(&k->changed, NULL);
        int r = pthread_create(&k->thread, NULL, run, k);
        if (r != 0) {
                pthread_cond_destroy(&k->changed);
                pthread_mutex_destroy(&k->lock);
                free(k);
                return -r;
        }
        pthread_setname_np(k->thread, "log-checkpoint");
        *ret = k;
        return 0;
}

struct log_checkpoint *log_checkpoint_free(struct log_checkpoint *k)
{
        if (!k)
                return NULL;
        pthread_mutex_lock(&k->lock);
        k->stopping = true;
        pthread_cond_broadcast(&k->changed);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->thread, NULL);
        pthread_cond_destroy(&k->changed);
        pthread_mutex_destroy(&k->lock);
        free(k);
        return NULL;
}

void log_checkpoint_start(struct log_checkpoint *k, struct log_checkpoint_work *work)
{
        journal_seal(k->journal);
        pthread_mutex_lock(&k->lock);
        assert(!k->running && !k->stopping);
        k->work = *work;
        k->running = true;
        pthread_cond_broadcast(&k->changed);
        pthread_mutex_unlock(&k->lock);
        *work = (struct log_checkpoint_work){ 0 };
}

bool log_checkpoint_is_running(struct log_checkpoint *k)
{
        pthread_mutex_lock(&k->lock);
        bool running = k->running;
        pthread_mutex_unlock(&k->lock);
        return running;
}

void log_checkpoint_wait(struct log_checkpoint *k)
{
        assert_not_on_thread(&k->owner);
        pthread_mutex_lock(&k->lock);
        while (k->running)
                pthread_cond_wait(&k->changed, &k->lock);
        pthread_mutex_unlock(&k->lock);
}

bool log_checkpoint_failed(const struct log_checkpoint *k)
{
        return atomic_load(&k->failed);
}
