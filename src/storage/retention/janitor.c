/* The thread runs a cycle, waits for the interval to pass or for somebody to ask for one, and runs the next. While caps
 * exist it looks every second whether anybody has stored something. */
#include "storage/retention/janitor.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "util/thread_owner.h"

#define CAPS_INTERVAL_SECS 1 /* looks at a number, not at the database */

struct janitor {
        struct thread_owner owner;
        struct retention retention; /* the thread's */
        struct deletion *deletion;
        pthread_t thread;
        pthread_mutex_t lock; /* for all below */
        pthread_cond_t wake;  /* monotonic */
        pthread_cond_t ended; /* a cycle has, or the thread */
        bool started, stopping;
        bool confirm_clock;    /* asked for the next cycle */
        unsigned cycles_asked; /* the number of the last cycle that somebody waits for */
        unsigned cycles_begun, cycles_ended;
        struct retention_cycle last;
};

static void note_begin(struct janitor *j)
{
        pthread_mutex_lock(&j->lock);
        assert(j->cycles_begun == j->cycles_ended);
        j->cycles_begun++;
        j->retention.confirm_clock = j->confirm_clock;
        j->confirm_clock = false;
        pthread_mutex_unlock(&j->lock);
}

static void note_end(struct janitor *j, const struct retention_cycle *cycle)
{
        pthread_mutex_lock(&j->lock);
        j->last = *cycle;
        j->cycles_ended = j->cycles_begun;
        pthread_cond_broadcast(&j->ended);
        pthread_mutex_unlock(&j->lock);
}

static void run_cycle(struct janitor *j)
{
        struct retention_cycle cycle;
        assert_on_thread(&j->owner);
        note_begin(j);
        retention_run(&j->retention, &cycle);
        note_end(j, &cycle);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
        return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool is_asked(const struct janitor *j)
{
        return (int)(j->cycles_asked - j->cycles_ended) > 0;
}

enum waited { TIME_IS_UP, ASKED, STOPPED };

static enum waited wait_until(struct janitor *j, const struct timespec *deadline)
{
        int r = 0;
        pthread_mutex_lock(&j->lock);
        while (!j->stopping && !is_asked(j) && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&j->wake, &j->lock, deadline);
        enum waited waited = j->stopping ? STOPPED : is_asked(j) ? ASKED : TIME_IS_UP;
        pthread_mutex_unlock(&j->lock);
        return waited;
}

/* True: again; false: stop. */
static bool wait_for_next_cycle(struct janitor *j)
{
        struct timespec now, next;
        clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_sec += j->retention.config->janitor_interval_secs;
        for (;;) {
                clock_gettime(CLOCK_MONOTONIC, &now);
                now.tv_sec += CAPS_INTERVAL_SECS;
                if (!retention_caps_any(&j->retention) || is_before(&next, &now))
                        return wait_until(j, &next) != STOPPED;
                enum waited waited = wait_until(j, &now);
                if (waited != TIME_IS_UP)
                        return waited == ASKED;
                retention_keep_caps(&j->retention);
        }
}

static void *janitor_main(void *userdata)
{
        struct janitor *j = userdata;
        pthread_setname_np(pthread_self(), "janitor");
        thread_owner_take(&j->owner);
        deletion_begin(j->deletion);
        /* Uploads come first; where the kernel refuses, retention is as eager as they are. */
        pthread_setschedparam(pthread_self(), SCHED_IDLE, &(struct sched_param){ 0 });
        do
                run_cycle(j);
        while (wait_for_next_cycle(j));
        thread_owner_release(&j->owner);
        return NULL;
}

int janitor_run_cycle(struct janitor *j, bool confirm_clock, struct retention_cycle *ret)
{
        assert_not_on_thread(&j->owner); /* it would wait for itself */
        pthread_mutex_lock(&j->lock);
        unsigned mine = j->cycles_begun + 1; /* the one that may be running began before */
        j->cycles_asked = mine;
        j->confirm_clock |= confirm_clock;
        pthread_cond_signal(&j->wake);
        while (!j->stopping && (int)(mine - j->cycles_ended) > 0)
                pthread_cond_wait(&j->ended, &j->lock);
        int r = (int)(mine - j->cycles_ended) > 0 ? -ECANCELED : 0;
        *ret = j->last;
        pthread_mutex_unlock(&j->lock);
        return r;
}

bool janitor_last_cycle(struct janitor *j, struct retention_cycle *ret)
{
        pthread_mutex_lock(&j->lock);
        bool any = j->cycles_ended > 0;
        *ret = j->last;
        pthread_mutex_unlock(&j->lock);
        return any;
}

static void destroy(struct janitor *j)
{
        pthread_cond_destroy(&j->ended);
        pthread_cond_destroy(&j->wake);
        pthread_mutex_destroy(&j->lock);
        deletion_free(j->deletion);
        free(j);
}

int janitor_start(struct janitor *j)
{
        assert(!j->started);
        int r = pthread_create(&j->thread, NULL, janitor_main, j);
        j->started = r == 0;
        return -r;
}

int janitor_new(const struct config *config, const struct deletion_stores *stores, struct metrics *metrics,
                struct janitor **ret)
{
        struct janitor *j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->retention = (struct retention){ .config = config, .metrics = metrics, .considerate = true };
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_mutex_init(&j->lock, NULL);
        pthread_cond_init(&j->wake, &attr);
        pthread_cond_init(&j->ended, &attr);
        pthread_condattr_destroy(&attr);
        int r = deletion_new(stores, &j->deletion);
        j->retention.deletion = j->deletion;
        if (r < 0) {
                destroy(j);
                return r;
        }
        *ret = j;
        return 0;
}

void janitor_stop(struct janitor *j)
{
        deletion_stop(j->deletion);
        pthread_mutex_lock(&j->lock);
        j->stopping = true;
        pthread_cond_signal(&j->wake);
        pthread_cond_broadcast(&j->ended);
        pthread_mutex_unlock(&j->lock);
}

struct janitor *janitor_free(struct janitor *j)
{
        if (!j)
                return NULL;
        assert_not_on_thread(&j->owner);
        janitor_stop(j);
        if (j->started)
                pthread_join(j->thread, NULL);
        destroy(j);
        return NULL;
}
