/* How the steps of a deletion run: one after the other, each waited for, at the pace that was asked for.
 *
 * Failure modes: a full disk makes steps smaller (deletion_run_rows()); any other failure ends the deletion, and the
 * next one goes on from there. */
#include "storage/retention/deletion.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "storage/retention/deletion_internal.h"
#include "storage/space/space.h"

#define STEPS_MAX 1000000u /* a deletion ends, whatever comes in meanwhile */
#define REST_FACTOR 3      /* times as long as a step took */
#define REST_MAX_NS UINT64_C(500000000)

int deletion_new(const struct deletion_stores *stores, struct deletion **ret)
{
        struct deletion *d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->stores = *stores;
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_mutex_init(&d->lock, NULL);
        pthread_cond_init(&d->stopping, &attr);
        pthread_condattr_destroy(&attr);
        *ret = d;
        return 0;
}

struct deletion *deletion_free(struct deletion *d)
{
        if (!d)
                return NULL;
        pthread_cond_destroy(&d->stopping);
        pthread_mutex_destroy(&d->lock);
        free(d);
        return NULL;
}

void deletion_begin(struct deletion *d)
{
        thread_owner_take(&d->owner);
}

void deletion_stop(struct deletion *d)
{
        pthread_mutex_lock(&d->lock);
        d->is_stopping = true;
        pthread_cond_broadcast(&d->stopping);
        pthread_mutex_unlock(&d->lock);
}

bool deletion_is_stopping(struct deletion *d)
{
        pthread_mutex_lock(&d->lock);
        bool stopping = d->is_stopping;
        pthread_mutex_unlock(&d->lock);
        return stopping;
}

void deletion_set_pace(struct deletion *d, enum deletion_pace pace)
{
        assert_on_thread(&d->owner);
        d->pace = pace;
}

struct deletion_tally deletion_take_tally(struct deletion *d)
{
        assert_on_thread(&d->owner);
        struct deletion_tally tally = d->tally;
        d->tally = (struct deletion_tally){ 0 };
        return tally;
}

unsigned deletion_commits(const struct deletion *d)
{
        return d->commits;
}

unsigned deletion_step_rows(const struct deletion *d)
{
        return d->pace == DELETION_FAST ? DELETION_STEP_ROWS : DELETION_GENTLE_STEP_ROWS;
}

static int run(struct deletion *d, struct step *step, bool write_back)
{
        assert_on_thread(&d->owner);
        int r = step_run(step, d->stores.index, write_back);
        d->commits += r == 0;
        return r;
}

int deletion_run(struct deletion *d, struct step *step)
{
        return run(d, step, false);
}

/* Deleting keeps the disk busy, and log exports wait for that, too (docs/performance.md, P8). So the disk is theirs for
 * some time after each gentle step, unless space is wanted more. */
static void rest(struct deletion *d, uint64_t worked_ns)
{
        uint64_t ns = worked_ns * REST_FACTOR < REST_MAX_NS ? worked_ns * REST_FACTOR : REST_MAX_NS;
        struct timespec until;
        if (d->pace != DELETION_GENTLE || (d->stores.space && space_refuses(d->stores.space, SPACE_UPLOADS)))
                return;
        clock_gettime(CLOCK_MONOTONIC, &until);
        ns += (uint64_t)until.tv_nsec;
        until.tv_sec += (time_t)(ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
        pthread_mutex_lock(&d->lock);
        while (!d->is_stopping && pthread_cond_timedwait(&d->stopping, &d->lock, &until) != ETIMEDOUT)
                ;
        pthread_mutex_unlock(&d->lock);
}

int deletion_run_rows(struct deletion *d, struct step *step, unsigned *max)
{
        int r;
        bool write_back = false;
        uint64_t started = clock_monotonic_ns();
        assert(*max > 0 && *max <= DELETION_STEP_ROWS);
        while ((r = run(d, step, write_back)) == -ENOSPC && !deletion_is_stopping(d)) {
                /* At first there may only have been no room after the last commit in the WAL. */
                if (!write_back || space_give_up_reserve(d->stores.space)) {
                        write_back = true;
                        continue;
                }
                if (*max == 1)
                        break;
                *max = *max < 4 ? 1 : *max / 4;
        }
        if (r == 0)
                rest(d, clock_monotonic_ns() - started);
        return r;
}

int deletion_repeat(struct deletion *d, deletion_next next, void *work, const struct deletion_progress *progress)
{
        bool last = false;
        int r = 0;
        for (unsigned steps = 0; r == 0 && !last && steps < STEPS_MAX; steps++) {
                if (deletion_is_stopping(d))
                        return -ECANCELED;
                r = next(d, work, &last);
                if (r == 0 && progress)
                        r = progress->report(progress->userdata, &d->tally);
        }
        return r;
}
