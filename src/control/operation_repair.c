/* Repairs what a verification found, while uploads go on: one job of the index writer's, so that nothing is published,
 * written or deleted meanwhile. Log files are left alone, since they are the log committer's (upkeep/repair.h).
 *
 * A request names findings; each is looked at again before anything is done about it, and the answer has an item for
 * each. Failure modes: a request that names what cannot be a finding is refused whole. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "control/operation.h"
#include "storage/retention/step.h"
#include "upkeep/repair.h"

struct repair_job {
        struct step step;
        int datadir_fd;
        struct repair repair;
        size_t n_items;
        struct operation_line items[OPERATIONS_REPAIRS_MAX];
};

static void repair_job_freep(struct repair_job **job)
{
        if (!*job)
                return;
        for (size_t i = 0; i < (*job)->n_items; i++)
                buf_done(&(*job)->items[i].bytes);
        repair_done(&(*job)->repair);
        free(*job);
}

static int read_finding(struct operation *o, struct json_object *object, struct repair *repair)
{
        const char *kind = json_read_string(object, "finding");
        struct verify_finding finding = { .problem = "",
                                          .what = json_read_string(object, "what"),
                                          .id = json_read_i64(object, "id") };
        if (!kind || !finding.what || !verify_kind_parse(kind, &finding.kind) || !repair_knows(&finding))
                return operation_refuse(o, "\"findings\" must contain only findings");
        return repair_note(repair, &finding);
}

static int read_findings(struct operation *o, struct repair *repair)
{
        struct json_object *array;
        size_t n = 0;
        int r = operation_array(o, "findings", OPERATIONS_REPAIRS_MAX, &array, &n);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = read_finding(o, json_read_item(array, i), repair);
        return r;
}

static void note(void *userdata, const struct verify_finding *finding, enum repair_outcome outcome, const char *how)
{
        struct repair_job *job = userdata;
        assert(job->n_items < OPERATIONS_REPAIRS_MAX);
        struct operation_line *item = &job->items[job->n_items++];
        operation_line_begin(item, "item");
        json_write_string(&item->out, "finding", verify_kind_name(finding->kind));
        json_write_string(&item->out, "what", finding->what);
        json_write_string(&item->out, "repair", repair_outcome_name(outcome));
        json_write_string(&item->out, "how", how);
}

static int run(struct step *step, struct index *index)
{
        struct repair_job *job = container_of(step, struct repair_job, step);
        repair_run(&job->repair, job->datadir_fd, index, true, note, job);
        return 0;
}

int operation_repair(struct operation *o)
{
        struct store *store = o->operations->config.store;
        _cleanup_(repair_job_freep) struct repair_job *job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        int r = read_findings(o, &job->repair);
        if (r < 0)
                return r;
        job->step.run = run;
        job->datadir_fd = store_datadir_fd(store);
        r = step_run(&job->step, store_index(store), false);
        if (r == -EAGAIN)
                return operation_refuse(o, "the index writer accepts no work at the moment; try again");
        for (size_t i = 0; r == 0 && i < job->n_items; i++)
                r = operation_line_emit(o, &job->items[i]);
        if (r == 0)
                json_write_u64(&o->out, "repairs", job->n_items);
        return r;
}
