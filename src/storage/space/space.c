/* Usually the thread looks, the file system has room, and promises are made and spent.
 *
 * One atomic number decides: free_bytes. A promise subtracts from it, giving back adds to it, spending leaves it alone,
 * and unspending adds. A look adds the difference between what the file system says and what was expected. So the
 * number is never half updated, and every thread may compare with it.
 *
 * Failure modes: a failed statvfs() leaves things as they were. A write that finds the disk full although there seemed
 * to be room (a quota, no inodes, another program) stops all promises for a while; then the next check decides. */
#include "storage/space/space.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/space/denied.h"
#include "storage/space/space_forecast.h"
#include "storage/space/space_reserve.h"
#include "util/clock.h"
#include "util/cond.h"
#include "util/log.h"
#include "util/thread_owner.h"

#define LOOK_BUSY_MS 250
#define LOOK_IDLE_MS 1000
#define RETRY_MS 5000

static const struct {
        const char *name;
        uint64_t share, max; /* of the default reserve */
        enum metrics_gauge refusing;
        enum metrics_counter refusals;
} kinds[SPACE_KIND_MAX_] = {
        [SPACE_UPLOADS] = { "uploads", 20, (uint64_t)1 << 30, METRICS_DISK_REFUSING_UPLOADS,
                            METRICS_DISK_REFUSALS_UPLOADS },
        [SPACE_LOGS] = { "logs", 50, (uint64_t)256 << 20, METRICS_DISK_REFUSING_LOGS, METRICS_DISK_REFUSALS_LOGS },
};

struct space {
        struct space_config config;
        int64_t reserve[SPACE_KIND_MAX_], resume[SPACE_KIND_MAX_];

        atomic_int_least64_t free_bytes;
        atomic_int_least64_t written_bytes; /* since the last check, less what was deleted unused; may be below 0 */
        atomic_bool refusing[SPACE_KIND_MAX_];
        atomic_bool full;
        atomic_uint_least64_t full_ns; /* when a write found that last */

        /* Of whoever looks: the thread, and before and after it whoever starts and stops. */
        struct thread_owner looker;
        int64_t avail_bytes; /* as found at the last check */
        uint64_t look_ns;
        struct space_forecast forecast;
        struct space_reserve reserve_file;

        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;                                       /* cond.h */
        enum { SPACE_STILL, SPACE_LOOKING, SPACE_STOPPING } state; /* still -> looking -> stopping -> still */
};

/* ---- who may take what ---- */

/* Every look and every request decides again, by the one number. */
static bool judge(struct space *s, enum space_kind kind, int64_t free_bytes)
{
        bool refusing = atomic_load(&s->refusing[kind]);
        bool now = free_bytes < (refusing ? s->resume[kind] : s->reserve[kind]);
        if (now != refusing)
                atomic_store(&s->refusing[kind], now);
        return now;
}

bool space_refuses(struct space *s, enum space_kind kind)
{
        return judge(s, kind, atomic_load(&s->free_bytes)) || atomic_load(&s->full);
}

static unsigned long long shown(int64_t bytes)
{
        return bytes < 0 ? 0 : (unsigned long long)bytes;
}

static int explain(struct space *s, enum space_kind kind, struct refusal *r)
{
        int64_t free_bytes = atomic_load(&s->free_bytes);
        r->retry_after_ms = RETRY_MS;
        if (atomic_load(&s->full))
                return refuse(r, ANSWER_UNAVAILABLE, "the server's disk is full; %llu bytes seemed free",
                              shown(free_bytes));
        return refuse(r, ANSWER_UNAVAILABLE,
                      "the server's disk reserve for %s is reached: %llu bytes free, %llu must stay free",
                      kinds[kind].name, shown(free_bytes), shown(s->reserve[kind]));
}

static int refuse_it(struct space *s, enum space_kind kind, struct refusal *r)
{
        metrics_count(s->config.metrics, kinds[kind].refusals, 1);
        return explain(s, kind, r);
}

/* A request that would go below the reserve by itself is refused; others still fit. */
static bool may_take(struct space *s, enum space_kind kind, int64_t free_bytes, uint64_t bytes)
{
        return !judge(s, kind, free_bytes) && !atomic_load(&s->full) &&
               bytes <= (uint64_t)(free_bytes - s->reserve[kind]);
}

int space_check(struct space *s, enum space_kind kind, uint64_t bytes, struct refusal *r)
{
        return may_take(s, kind, atomic_load(&s->free_bytes), bytes) ? 0 : refuse_it(s, kind, r);
}

int space_promise(struct space *s, enum space_kind kind, uint64_t bytes, uint64_t *promised, struct refusal *r)
{
        assert(kind < SPACE_KIND_MAX_);
        int64_t free_bytes = atomic_load(&s->free_bytes);
        do {
                if (!may_take(s, kind, free_bytes, bytes))
                        return refuse_it(s, kind, r);
        } while (!atomic_compare_exchange_weak(&s->free_bytes, &free_bytes, free_bytes - (int64_t)bytes));
        metrics_gauge_add(s->config.metrics, METRICS_DISK_IN_FLIGHT_BYTES, (int64_t)bytes);
        *promised += bytes;
        return 0;
}

void space_spend(struct space *s, uint64_t bytes, uint64_t *promised)
{
        assert(bytes <= *promised); /* invariant 2 */
        *promised -= bytes;
        metrics_gauge_add(s->config.metrics, METRICS_DISK_IN_FLIGHT_BYTES, -(int64_t)bytes);
        atomic_fetch_add(&s->written_bytes, (int64_t)bytes);
}

void space_unspend(struct space *s, uint64_t bytes)
{
        atomic_fetch_sub(&s->written_bytes, (int64_t)bytes);
        atomic_fetch_add(&s->free_bytes, (int64_t)bytes);
}

void space_give_back(struct space *s, uint64_t *promised)
{
        metrics_gauge_add(s->config.metrics, METRICS_DISK_IN_FLIGHT_BYTES, -(int64_t)*promised);
        atomic_fetch_add(&s->free_bytes, (int64_t)*promised);
        *promised = 0;
}

void space_saw_full(struct space *s)
{
        if (!s)
                return;
        atomic_store(&s->full_ns, clock_monotonic_ns());
        if (!atomic_exchange(&s->full, true))
                log_warn("the disk is full: nothing that needs space is accepted for a while");
}

bool space_give_up_reserve(struct space *s)
{
        return s && space_reserve_give_up(&s->reserve_file);
}

int space_check_kind(struct space *s, enum space_kind kind, struct refusal *r)
{
        return space_refuses(s, kind) ? explain(s, kind, r) : 0;
}

int space_check_health(struct space *s, struct refusal *r)
{
        for (enum space_kind k = 0; k < SPACE_KIND_MAX_; k++) {
                if (!space_refuses(s, k))
                        return 0;
        }
        return explain(s, SPACE_LOGS, r);
}

/* ---- looking ---- */

static void forget_full(struct space *s)
{
        if (atomic_load(&s->full) && clock_monotonic_ns() - atomic_load(&s->full_ns) >= s->config.full_pause_ns)
                atomic_store(&s->full, false);
}

static void publish_kind(struct space *s, enum space_kind kind)
{
        struct metrics *m = s->config.metrics;
        bool refusing = space_refuses(s, kind), before = metrics_gauge_get(m, kinds[kind].refusing) != 0;
        metrics_gauge_set(m, kinds[kind].refusing, refusing);
        if (refusing != before)
                log_at(refusing ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                       refusing ? "refused until there is space on the disk" : "there is space on the disk again",
                       LOG_STR("what", kinds[kind].name), LOG_INT("free_bytes", s->avail_bytes),
                       LOG_INT("reserve_bytes", s->reserve[kind]));
}

static void publish(struct space *s, const struct statvfs *fs)
{
        struct metrics *m = s->config.metrics;
        metrics_gauge_set(m, METRICS_DISK_FREE_BYTES, s->avail_bytes);
        metrics_gauge_set(m, METRICS_DISK_SIZE_BYTES, (int64_t)(fs->f_blocks * fs->f_frsize));
        metrics_gauge_set(m, METRICS_DISK_FORECAST_MILLIDAYS,
                          (int64_t)space_forecast_millidays(&s->forecast, s->avail_bytes - s->reserve[SPACE_UPLOADS],
                                                            fs->f_blocks * fs->f_frsize));
        for (enum space_kind k = 0; k < SPACE_KIND_MAX_; k++)
                publish_kind(s, k);
}

/* It is allocated again only if nobody is refused because of that. */
static void keep_reserve_file(struct space *s)
{
        if (s->avail_bytes - (int64_t)s->reserve_file.bytes >= s->resume[SPACE_UPLOADS] && !atomic_load(&s->full))
                space_reserve_make(&s->reserve_file);
}

/* A request found none (ingest/call.c). */
static void look_at_descriptors(struct space *s)
{
        if (!troubles_has(s->config.troubles, TROUBLE_DESCRIPTORS))
                return;
        int fd = fcntl(s->config.datadir_fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
                return;
        close(fd);
        troubles_clear(s->config.troubles, TROUBLE_DESCRIPTORS);
}

void space_look(struct space *s)
{
        assert_on_thread(&s->looker);
        struct statvfs fs;
        denied_look(s->config.troubles, s->config.datadir_fd);
        look_at_descriptors(s);
        int64_t written = atomic_load(&s->written_bytes); /* first: what is written meanwhile counts twice at most */
        if (fstatvfs(s->config.datadir_fd, &fs) < 0) {
                log_warn("cannot look at the disk", LOG_STR("error", strerror(errno)));
                return;
        }
        uint64_t now_ns = clock_monotonic_ns();
        int64_t avail = (int64_t)(fs.f_bavail * fs.f_frsize);
        space_forecast_note(&s->forecast, s->avail_bytes - avail, now_ns - s->look_ns);
        atomic_fetch_add(&s->free_bytes, avail - s->avail_bytes + written);
        atomic_fetch_sub(&s->written_bytes, written);
        s->avail_bytes = avail;
        s->look_ns = now_ns;
        forget_full(s);
        publish(s, &fs);
        keep_reserve_file(s);
}

static void *run(void *userdata)
{
        struct space *s = userdata;
        bool busy = false;
        pthread_setname_np(pthread_self(), "space");
        thread_owner_take(&s->looker);
        pthread_mutex_lock(&s->lock);
        while (s->state == SPACE_LOOKING) {
                struct timespec until = cond_deadline(busy ? LOOK_BUSY_MS : LOOK_IDLE_MS);
                int r = 0;
                while (s->state == SPACE_LOOKING && r != ETIMEDOUT)
                        r = pthread_cond_timedwait(&s->wake, &s->lock, &until);
                if (s->state != SPACE_LOOKING)
                        break;
                pthread_mutex_unlock(&s->lock);
                busy = atomic_load(&s->written_bytes) != 0;
                space_look(s);
                pthread_mutex_lock(&s->lock);
        }
        pthread_mutex_unlock(&s->lock);
        thread_owner_release(&s->looker);
        return NULL;
}

/* ---- life ---- */

static void set_reserves(struct space *s, uint64_t disk_bytes)
{
        for (enum space_kind k = 0; k < SPACE_KIND_MAX_; k++) {
                uint64_t share = disk_bytes / kinds[k].share, bytes = s->config.reserve_bytes[k];
                if (bytes == 0)
                        bytes = share < kinds[k].max ? share : kinds[k].max;
                s->reserve[k] = (int64_t)bytes;
                s->resume[k] = (int64_t)(bytes + bytes / 4);
                assert(s->resume[k] >= s->reserve[k]); /* invariant 3 */
        }
}

int space_new(const struct space_config *config, struct space **ret)
{
        struct statvfs fs;
        if (fstatvfs(config->datadir_fd, &fs) < 0)
                return -errno;
        struct space *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->config = *config;
        set_reserves(s, fs.f_blocks * fs.f_frsize);
        int r = space_reserve_init(&s->reserve_file, config->datadir_fd, fs.f_blocks * fs.f_frsize);
        if (r < 0) {
                free(s);
                return r;
        }
        pthread_mutex_init(&s->lock, NULL);
        cond_init(&s->wake);
        for (unsigned i = 1; i < SPACE_RESERVE_PORTIONS && fs.f_bavail * fs.f_frsize < s->reserve_file.bytes; i++)
                space_reserve_give_up(&s->reserve_file); /* all but the last portion, which is for deleting */
        s->look_ns = clock_monotonic_ns();
        space_look(s);
        s->forecast = (struct space_forecast){ 0 };
        *ret = s;
        return 0;
}

int space_start(struct space *s)
{
        assert(s->state == SPACE_STILL);
        space_look(s);
        s->forecast = (struct space_forecast){ 0 }; /* what a start writes is not growth */
        s->state = SPACE_LOOKING;
        int r = -pthread_create(&s->thread, NULL, run, s);
        if (r < 0)
                s->state = SPACE_STILL;
        return r;
}

void space_stop(struct space *s)
{
        if (!s || s->state == SPACE_STILL)
                return;
        assert_not_on_thread(&s->looker);
        pthread_mutex_lock(&s->lock);
        s->state = SPACE_STOPPING;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        s->state = SPACE_STILL;
}

struct space *space_free(struct space *s)
{
        if (!s)
                return NULL;
        space_stop(s);
        pthread_cond_destroy(&s->wake);
        pthread_mutex_destroy(&s->lock);
        space_reserve_done(&s->reserve_file);
        free(s);
        return NULL;
}
