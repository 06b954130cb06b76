#pragma once
/* What the janitor's files share: janitor.c (thread and cycle), janitor_caps.c (what is too much), janitor_crashes.c,
 * janitor_logs.c (what it deletes), janitor_compress.c (what it makes smaller), janitor_purge.c (what operators ask for).
 * All run on the janitor's thread, or on that of a helper's caller, but the done() functions of what is handed off. */

#include <pthread.h>
#include <semaphore.h>

#include "storage/index/index_operate.h"
#include "storage/retention/janitor.h"

#define JANITOR_STEP_ROWS 250 /* rows a transaction, at most */
/* So many where that is gentle: between two steps the janitor, which is idle, waits for its turn, and everybody else goes on.
 * With 250 the index writer took the processor away from log exports for milliseconds (P8). */
#define JANITOR_GENTLE_STEP_ROWS 16
#define JANITOR_STEPS_MAX 1000000u /* a cycle ends, whatever comes in meanwhile */
#define JANITOR_SECONDS_PER_DAY 86400

struct janitor {
        struct janitor_config config;
        bool has_thread;
        bool gentle; /* what goes now is only old: others come first */
        pthread_t thread;
        pthread_mutex_t lock; /* for the next six */
        pthread_cond_t wake;  /* monotonic */
        pthread_cond_t ended; /* a cycle has, or the thread */
        bool stopping;
        unsigned cycles_asked; /* the number of the last cycle that somebody waits for */
        unsigned cycles_begun, cycles_ended;
        struct janitor_cycle last;
        unsigned own_commits;  /* of the index writer's */
        unsigned seen_commits; /* of others, when caps were last looked at */
};

/* Something given to another thread and waited for. A semaphore, since the thread that finishes it must never wait for
 * one of idle priority that holds a lock. */
struct janitor_handoff {
        sem_t done;
        int result;
};

void janitor_handoff_finish(struct janitor_handoff *h, int result); /* the other thread, its last touch */
int janitor_handoff_wait(struct janitor_handoff *h);

bool janitor_is_stopping(struct janitor *j);
unsigned janitor_step_rows(const struct janitor *j);

/* Runs a job on the index writer's thread and waits for its result. The job's done() must finish h. -EAGAIN: it takes
 * none now. */
int janitor_run_job(struct janitor *j, struct index_job *job, struct janitor_handoff *h);

/* The same for a step of at most *max rows. On a full disk SQLite's WAL is written back and begun anew, then the reserve
 * file is given up, and at last the step is made smaller, since a smaller transaction needs less of the WAL. */
int janitor_run_step(struct janitor *j, struct index_job *job, struct janitor_handoff *h, unsigned *max);

/* A step of deleting crashes. */
struct janitor_old_crash {
        int64_t id;
        struct source source;
        struct moment crashed_at;
        char dump_sha256[BLOB_HEX_SIZE];
};

struct janitor_crash_step {
        struct index_job job;
        struct janitor_handoff handoff;
        int datadir_fd;
        atomic_bool *untidy;
        struct moment received_before;
        const char *project; /* evicted from, until it has no more than */
        uint64_t max_bytes;
        const struct index_scope *scope; /* purged */
        const int64_t *ids;              /* deleted one by one, with what became of each */
        size_t n_ids;
        enum janitor_outcome *outcomes;
        bool held_too;
        unsigned max; /* rows */
        size_t n;
        struct janitor_old_crash rows[JANITOR_STEP_ROWS];
};

struct janitor_crash_step *janitor_crash_step_new(const struct janitor *j,
                                                  int (*run)(struct index_job *, struct index *));
int janitor_collect_crash(void *crash_step, const struct index_crash_row *row); /* an index_crash_cb */

/* 0, or -errno when the cycle cannot go on; the tally holds what was done until then. */
int janitor_expire_log_files(struct janitor *j, struct moment now, struct janitor_tally *tally);
int janitor_compress_logs(struct janitor *j, struct moment now, struct janitor_tally *tally);
int janitor_expire_crashes(struct janitor *j, struct moment now, struct janitor_tally *tally);
/* Until a project ("": all together) has no more than max_bytes, or nothing that may go. */
int janitor_evict_log_files(struct janitor *j, const char *project, uint64_t max_bytes, struct moment now,
                            struct janitor_tally *tally);
int janitor_evict_crashes(struct janitor *j, const char *project, uint64_t max_bytes, struct janitor_tally *tally);
/* Both, wherever a cap is exceeded. */
bool janitor_has_caps(const struct janitor *j);
int janitor_evict(struct janitor *j, struct moment now, struct janitor_tally *tally);
/* One step of purging log files; *ret_done: there are no more. totals may be NULL. */
int janitor_purge_log_files(struct janitor *j, const struct index_scope *scope, struct log_totals *totals,
                            struct janitor_tally *tally, bool *ret_done);
int janitor_free_blobs(struct janitor *j, struct janitor_tally *tally);
