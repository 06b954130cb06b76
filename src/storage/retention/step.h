#pragma once
/* A piece of work for the index writer's or the log committer's thread that the caller waits for. Never call these on
 * one of those two threads. */

#include <semaphore.h>

#include "storage/logs/log_committer.h"
#include "storage/writer/index_writer.h"

struct step {
        /* On the index writer's thread, in a transaction of its own: 0 commits it, anything else rolls it back. */
        int (*run)(struct step *step, struct index *index);
        /* There too, right after the commit and before anything else is written. May be NULL. */
        void (*committed)(struct step *step);

        /* step.c's. A semaphore, because the thread that ends the step must never wait for one of idle priority that
         * holds a lock. */
        struct index_job job;
        bool running;
        sem_t ended;
        int result;
};

/* Runs the step and waits for it. With write_back the WAL is written back first, for a step that met a full disk. 0,
 * -errno, or -EAGAIN: the index writer takes no work now. A step may be run again. */
int step_run(struct step *step, struct index_writer *w, bool write_back);

/* Has the log committer unlink what u names, and waits for it. Its result, or -EAGAIN: the log
 * committer takes no work now. */
int step_unlink(struct log_committer *c, const struct log_unlink *u);
