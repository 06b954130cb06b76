/* A slot for each kind under one lock, and a bit for each, so that whoever only asks whether there is one takes no
 * lock. The line for the log is written after the lock is given back. */
#include "util/troubles.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

#define LOG_INTERVAL_NS (10 * UINT64_C(1000000000)) /* between two lines about a trouble that changes */

static const struct {
        const char *name, *begins, *over;
        bool stops_logs, stops_crashes;
} kinds[TROUBLE_KIND_MAX_] = {
        [TROUBLE_LOGS_FAILED] = { "logs_failed", "the log store failed", "the log store works again", true, false },
        [TROUBLE_CRASHES_FAILED] = { "crashes_failed", "the crash store failed", "the crash store works again", false,
                                     true },
        [TROUBLE_LOGS_DENIED] = { "logs_denied", "log lines are refused until the permissions are right",
                                  "the permissions are right again: log lines are taken", true, false },
        [TROUBLE_CRASHES_DENIED] = { "crashes_denied", "crashes are refused until the permissions are right",
                                     "the permissions are right again: crashes are taken", false, true },
        [TROUBLE_SOURCE_DENIED] = { "source_denied",
                                    "log lines of a source are refused until the permissions are right",
                                    "the permissions of a source's log files are right again", false, false },
        [TROUBLE_FILES_DENIED] = { "files_denied", "files of the daemon's own cannot be used",
                                   "the daemon may use all its files again", false, false },
        [TROUBLE_DESCRIPTORS] = { "descriptors", "requests are refused because no more files can be opened",
                                  "files can be opened again", false, false },
        [TROUBLE_INDEX_READER] = { "index_reader", "a reader of the database makes its WAL grow",
                                   "the WAL of the database has been cut again", false, false },
        [TROUBLE_RETENTION_CLOCK] = { "retention_clock", "retention deletes nothing, because the clock jumped",
                                      "retention goes on", false, false },
};

struct troubles {
        pthread_mutex_t lock;
        atomic_uint present; /* a bit for each kind; changed under the lock */
        struct trouble slots[TROUBLE_KIND_MAX_];
        uint64_t logged_ns[TROUBLE_KIND_MAX_]; /* when the log was told last; 0: never */
        bool told[TROUBLE_KIND_MAX_];          /* of this one */
};
_Static_assert(TROUBLE_KIND_MAX_ <= 32, "there is a bit for each kind");

bool trouble_stops_logs(enum trouble_kind kind)
{
        return kinds[kind].stops_logs;
}

bool trouble_stops_crashes(enum trouble_kind kind)
{
        return kinds[kind].stops_crashes;
}

const char *trouble_name(enum trouble_kind kind)
{
        return kinds[kind].name;
}

struct troubles *troubles_new(void)
{
        struct troubles *t = calloc(1, sizeof(*t));
        if (t)
                pthread_mutex_init(&t->lock, NULL);
        return t;
}

struct troubles *troubles_free(struct troubles *t)
{
        if (!t)
                return NULL;
        pthread_mutex_destroy(&t->lock);
        free(t);
        return NULL;
}

static void log_one(const struct trouble *t, bool over)
{
        enum log_level level = over ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR;
        const char *message = over ? kinds[t->kind].over : kinds[t->kind].begins;
        if (t->path[0])
                log_at(level, message, LOG_STR("reason", t->reason), LOG_STR("path", t->path));
        else
                log_at(level, message, LOG_STR("reason", t->reason));
}

/* True: it is to be logged. One that comes and goes all the time is logged now and then. */
static bool put(struct troubles *t, const struct trouble *new)
{
        struct trouble *slot = &t->slots[new->kind];
        bool begins = !troubles_has(t, new->kind);
        bool changes = strcmp(slot->reason, new->reason) != 0 || strcmp(slot->path, new->path) != 0;
        bool recently = t->logged_ns[new->kind] > 0 && new->since_ns - t->logged_ns[new->kind] < LOG_INTERVAL_NS;
        struct trouble was = *slot;
        *slot = *new;
        if (!begins) {
                slot->since = was.since;
                slot->since_ns = was.since_ns;
        }
        atomic_fetch_or(&t->present, 1u << new->kind);
        bool say = begins ? !recently || changes : changes && !recently;
        if (say)
                t->logged_ns[new->kind] = new->since_ns;
        t->told[new->kind] = say || (!begins && t->told[new->kind]);
        return say;
}

void troubles_set(struct troubles *t, enum trouble_kind kind, const char *path, const char *reason, ...)
{
        struct trouble new = { .kind = kind };
        va_list args;
        if (!t)
                return;
        assert(kind < TROUBLE_KIND_MAX_);
        va_start(args, reason);
        vsnprintf(new.reason, sizeof(new.reason), reason, args);
        va_end(args);
        snprintf(new.path, sizeof(new.path), "%s", path ? path : "");
        new.since = clock_now();
        new.since_ns = clock_monotonic_ns();
        pthread_mutex_lock(&t->lock);
        bool say = put(t, &new);
        pthread_mutex_unlock(&t->lock);
        if (say)
                log_one(&new, false);
}

void troubles_clear(struct troubles *t, enum trouble_kind kind)
{
        struct trouble was;
        if (!troubles_has(t, kind))
                return;
        pthread_mutex_lock(&t->lock);
        was = t->slots[kind];
        bool there = atomic_fetch_and(&t->present, ~(1u << kind)) & 1u << kind, say = there && t->told[kind];
        t->told[kind] = false;
        pthread_mutex_unlock(&t->lock);
        if (say)
                log_one(&was, true);
}

bool troubles_has(const struct troubles *t, enum trouble_kind kind)
{
        return t && atomic_load(&t->present) & 1u << kind;
}

bool troubles_get(struct troubles *t, enum trouble_kind kind, struct trouble *ret)
{
        if (!troubles_has(t, kind))
                return false;
        pthread_mutex_lock(&t->lock);
        bool there = troubles_has(t, kind);
        if (there)
                *ret = t->slots[kind];
        pthread_mutex_unlock(&t->lock);
        return there;
}

size_t troubles_read(struct troubles *t, struct trouble ret[TROUBLE_KIND_MAX_])
{
        size_t n = 0;
        for (enum trouble_kind k = 0; k < TROUBLE_KIND_MAX_; k++)
                n += troubles_get(t, k, &ret[n]);
        return n;
}

bool troubles_unhealthy(struct troubles *t, uint64_t now_ns, struct trouble *ret)
{
        for (enum trouble_kind k = 0; k < TROUBLE_KIND_MAX_; k++) {
                bool stops = kinds[k].stops_logs || kinds[k].stops_crashes;
                bool warns = k == TROUBLE_SOURCE_DENIED || k == TROUBLE_FILES_DENIED;
                if ((stops || warns) && troubles_get(t, k, ret) &&
                    (stops || now_ns - ret->since_ns <= TROUBLE_WARNING_NS))
                        return true;
        }
        return false;
}
