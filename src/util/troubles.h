#pragma once
/* What is wrong with the daemon right now, for /healthz, metrics, `detritusctl status` and the log: at most one trouble
 * of each kind, with its reason, the path that it is about, and when it began. A line in the log says when one begins
 * and when it is over. Any thread; nothing here blocks for long. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/clock.h"

enum trouble_kind {
        TROUBLE_LOGS_FAILED,     /* a sync failed: until a restart */
        TROUBLE_CRASHES_FAILED,  /* likewise */
        TROUBLE_LOGS_DENIED,     /* no permission for what all logs need */
        TROUBLE_CRASHES_DENIED,  /* likewise */
        TROUBLE_SOURCE_DENIED,   /* no permission for one project's or one source's log files; others go on */
        TROUBLE_FILES_DENIED,    /* no permission for a place of ours, though nothing has been refused because of it */
        TROUBLE_DESCRIPTORS,     /* no file can be opened; passes by itself */
        TROUBLE_INDEX_READER,    /* somebody reads the database for so long that its WAL grows */
        TROUBLE_RETENTION_CLOCK, /* nothing is deleted, because the clock is not believed */
        TROUBLE_KIND_MAX_
};

#define TROUBLE_REASON_SIZE 256
#define TROUBLE_PATH_SIZE 320
#define TROUBLE_WARNING_NS (120 * UINT64_C(1000000000)) /* see troubles_unhealthy() */

struct trouble {
        enum trouble_kind kind;
        char reason[TROUBLE_REASON_SIZE]; /* in words; cut to fit, as is the path */
        char path[TROUBLE_PATH_SIZE];     /* relative to the data directory; "": it is about no path */
        struct moment since;
        uint64_t since_ns; /* CLOCK_MONOTONIC */
};

/* What a kind stops. */
bool trouble_stops_logs(enum trouble_kind kind);
bool trouble_stops_crashes(enum trouble_kind kind);
const char *trouble_name(enum trouble_kind kind); /* for JSON and metrics: "logs_denied" */

struct troubles;

struct troubles *troubles_new(void);                /* NULL on ENOMEM */
struct troubles *troubles_free(struct troubles *t); /* NULL-safe */
DEFINE_FREEP(troubles_free, struct troubles)

/* There is such a trouble. One that there was already gets the new reason and path, and keeps the time when it began.
 * Logged when it begins, and when reason or path change, at most every ten seconds. path may be NULL. t may be
 * NULL: nothing happens, as in the next three. */
void troubles_set(struct troubles *t, enum trouble_kind kind, const char *path, const char *reason, ...) _printf_(4, 5);
/* It is over; logged if there was one. */
void troubles_clear(struct troubles *t, enum trouble_kind kind);

bool troubles_has(const struct troubles *t, enum trouble_kind kind);
bool troubles_get(struct troubles *t, enum trouble_kind kind, struct trouble *ret);
/* All there are, by kind; returns how many. */
size_t troubles_read(struct troubles *t, struct trouble ret[TROUBLE_KIND_MAX_]);
/* The first one for which /healthz is 503: it stops logs or crashes; or it is one source's, or about files, and not
 * older than TROUBLE_WARNING_NS. Those need a person, too, but a single bad directory must not take the daemon away
 * from all other sources for ever. now_ns: CLOCK_MONOTONIC. */
bool troubles_unhealthy(struct troubles *t, uint64_t now_ns, struct trouble *ret);
