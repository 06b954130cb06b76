#pragma once
/* A log committer on a temporary directory, with what it calls wrapped at link time (tests/meson.build), so that a test
 * chooses what fails, when, and what time it is. One committer at a time. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/logs/log_committer.h"

#define PROBE_APPENDS_MAX 64

/* What the wrapped calls do and saw. Written by tests only while the committer is idle or held. */
struct faults {
        atomic_int sync_fails_at;     /* this durable_sync() fails with EIO, counted down; 0: none */
        atomic_int dir_sync_fails_at; /* likewise durable_sync_dir() */
        atomic_int all_sync_fails_at; /* likewise durable_sync_all() */
        atomic_int dir_sync_error;    /* instead of EIO; 0: EIO */
        atomic_bool cuts_fail;        /* ftruncate() says EIO */
        atomic_int journal_write_fails_at;
        atomic_llong journal_budget; /* bytes until a write into the journal says ENOSPC; < 0: no end */
        atomic_llong write_budget;   /* bytes until writev() says ENOSPC, after a short write; < 0: no end */
        atomic_int syncs, dir_syncs, all_syncs, writes;
        atomic_llong now_sec;   /* clock_now() */
        atomic_ullong ticks_ns; /* clock_monotonic_ns() */
        void (*in_write)(void); /* called by writev(), may be NULL */
        void (*in_sync)(void);  /* called by durable_sync(), may be NULL */
        void (*in_sync_all)(void);
        void (*in_checkpoint_wait)(void); /* called by log_checkpoint_wait(), before it waits */
        atomic_llong counters[METRICS_COUNTER_MAX_];
        atomic_llong gauges[METRICS_GAUGE_MAX_];
};
extern struct faults faults;

/* A batch and its answer. */
struct probe {
        struct log_batch batch;
        struct log_append appends[PROBE_APPENDS_MAX];
        struct source source; /* for one append */
        bool answered;
        size_t turn; /* the how many-th answer it was, from 1 */
};

#define DAY_1 "2026-05-19"
#define DAY_1_SEC INT64_C(1779148800)

int fixture_setup(void **state);
int fixture_teardown(void **state);

extern struct log_committer_config fixture_config; /* reset by setup: sync, 64 open files, roomy queue and journal */
extern struct log_committer *committer;

void start(void);
void stop(void);

struct source source_of(const char *install_id);                           /* of project "p" */
void probe_add(struct probe *p, const char *install_id, const char *text); /* text must live */
void probe_done(struct log_batch *b);                                      /* the done() of all */
int submit(struct probe *p);
int await(struct probe *p); /* its result */
/* One line of one source, answered. */
int put(const char *install_id, const char *text);

/* Between these, whatever is submitted is committed as one group. */
void hold(void);
void release(void);

/* A gate that stands open. Whoever comes while it is shut waits; the teardown opens it, so that a test which fails
 * ends. */
void gate_shut(void);
void gate_open(void);
void gate_pass(void);

char *file_text(const char *install_id, const char *day, const char *suffix); /* NULL: no such file; to be freed */
void expect_file(const char *install_id, const char *text);                   /* DAY_1; NULL: must not exist */
void plant(const char *install_id, const char *content, size_t len);          /* makes DAY_1's file, without a .torn */
