#include "storage/retention/step.h"

#include <assert.h>
#include <errno.h>

static void begin(sem_t *ended)
{
        sem_init(ended, 0, 0);
}

static void wait_for(sem_t *ended)
{
        while (sem_wait(ended) < 0)
                assert(errno == EINTR);
        sem_destroy(ended);
}

static int run_job(struct index_job *job, struct index *index)
{
        struct step *step = container_of(job, struct step, job);
        assert(step->running);
        return step->run(step, index);
}

/* The last touch: the waiting thread may free the step as soon as the semaphore is posted. */
static void job_done(struct index_job *job, int result)
{
        struct step *step = container_of(job, struct step, job);
        if (result == 0 && step->committed)
                step->committed(step);
        assert(step->running); /* a job is done once */
        step->running = false;
        step->result = result;
        sem_post(&step->ended);
}

int step_run(struct step *step, struct index_writer *w, bool write_back)
{
        assert(step->run && !step->running);
        step->job = (struct index_job){ .run = run_job, .done = job_done, .write_back = write_back };
        step->running = true;
        begin(&step->ended);
        if (index_writer_submit_job(w, &step->job) != 0) {
                sem_destroy(&step->ended);
                step->running = false;
                return -EAGAIN;
        }
        wait_for(&step->ended);
        return step->result;
}

struct waited_unlink {
        struct log_unlink unlink;
        sem_t ended;
        int result;
};

static void unlink_done(struct log_unlink *u, int result)
{
        struct waited_unlink *w = container_of(u, struct waited_unlink, unlink);
        w->result = result;
        sem_post(&w->ended);
}

int step_unlink(struct log_committer *c, const struct log_unlink *u)
{
        struct waited_unlink w = { .unlink = *u };
        w.unlink.done = unlink_done;
        begin(&w.ended);
        if (log_committer_unlink(c, &w.unlink) != 0) {
                sem_destroy(&w.ended);
                return -EAGAIN;
        }
        wait_for(&w.ended);
        return w.result;
}
