/* Mends findings of a verification beside uploads: a job of the index writer's, so that nothing is published, written or
 * deleted meanwhile. Log files are left alone, since they are the log committer's (upkeep/repair.h).
 *
 * A request names findings; each is looked at again before anything is done about it, and the answer has an item for each.
 * Failure modes: a request that names what cannot be is refused whole. */
#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "control/operations_internal.h"
#include "upkeep/repair.h"

struct repair_job {
        struct index_job job;
        sem_t done;
        int result;
        int datadir_fd;
        struct repair repair;
        size_t n_items;
        struct buf items[OPERATIONS_REPAIRS_MAX];
        int item_error;
};

static void repair_job_done(struct repair_job **job)
{
        if (!*job)
                return;
        for (size_t i = 0; i < (*job)->n_items; i++)
                buf_done(&(*job)->items[i]);
        repair_done(&(*job)->repair);
        sem_destroy(&(*job)->done);
        free(*job);
}

static int read_finding(struct operation_call *c, struct json_object *object, struct repair *repair)
{
        struct json_object *kind = json_object_object_get(object, "finding");
        struct json_object *what = json_object_object_get(object, "what");
        struct json_object *id = json_object_object_get(object, "id");
        struct verify_finding finding = { .problem = "" };
        if (!json_object_is_type(kind, json_type_string) || !json_object_is_type(what, json_type_string))
                return operation_refuse(c, "\"findings\" holds what is no finding");
        finding.what = json_object_get_string(what);
        finding.id = json_object_get_int64(id);
        if (!verify_kind_parse(json_object_get_string(kind), &finding.kind) || !repair_knows(&finding))
                return operation_refuse(c, "\"findings\" holds what is no finding");
        return repair_note(repair, &finding);
}

static int read_findings(struct operation_call *c, struct repair *repair)
{
        struct json_object *array = json_object_object_get(c->request, "findings");
        if (!json_object_is_type(array, json_type_array))
                return operation_refuse(c, "\"findings\" is not an array");
        size_t n = json_object_array_length(array);
        if (n == 0 || n > OPERATIONS_REPAIRS_MAX)
                return operation_refuse(c, "\"findings\" has %zu, and may have 1 to %d", n, OPERATIONS_REPAIRS_MAX);
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct json_object *object = json_object_array_get_idx(array, i);
                r = json_object_is_type(object, json_type_object)
                            ? read_finding(c, object, repair)
                            : operation_refuse(c, "\"findings\" holds what is no finding");
        }
        return r;
}

static void note(void *userdata, const struct verify_finding *finding, enum repair_outcome outcome, const char *how)
{
        struct repair_job *job = userdata;
        struct buf *item = &job->items[job->n_items++];
        int r = operation_put_text(item, "finding", verify_kind_name(finding->kind));
        if (r == 0)
                r = operation_put_text(item, "what", finding->what);
        if (r == 0)
                r = operation_put_text(item, "repair", repair_outcome_name(outcome));
        if (r == 0)
                r = operation_put_text(item, "how", how);
        if (r < 0)
                job->item_error = r;
}

static int run(struct index_job *index_job, struct index *index)
{
        struct repair_job *job = container_of(index_job, struct repair_job, job);
        repair_run(&job->repair, job->datadir_fd, index, true, note, job);
        return 0;
}

static void finish(struct index_job *index_job, int result)
{
        struct repair_job *job = container_of(index_job, struct repair_job, job);
        job->result = result;
        sem_post(&job->done);
}

int operation_repair(struct operation_call *c)
{
        _cleanup_(repair_job_done) struct repair_job *job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        sem_init(&job->done, 0, 0);
        job->job = (struct index_job){ .run = run, .done = finish };
        job->datadir_fd = store_datadir_fd(c->operations->config.store);
        int r = read_findings(c, &job->repair);
        if (r < 0)
                return r;
        if (index_writer_submit_job(store_index(c->operations->config.store), &job->job) != 0)
                return operation_refuse(c, "the index takes no work now; try again");
        while (sem_wait(&job->done) < 0 && errno == EINTR)
                ;
        r = job->result < 0 ? job->result : job->item_error;
        for (size_t i = 0; r == 0 && i < job->n_items; i++)
                r = operation_emit(c, "item", &job->items[i]);
        return r == 0 ? operation_put_number(&c->answer, "repairs", job->n_items) : r;
}
