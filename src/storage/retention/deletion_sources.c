/* Rows of sources whose last crash and last log file are gone, a range of ids at a time. A source that sends again
 * gets a new row. */
#include <stdlib.h>

#include "storage/index/index_retention.h"
#include "storage/retention/deletion_internal.h"

struct range_step {
        struct step step;
        int64_t after, last; /* ids */
        size_t deleted;
};

static int delete_range(struct step *s, struct index *index)
{
        struct range_step *step = container_of(s, struct range_step, step);
        int r = index_last_source(index, &step->last);
        step->deleted = 0;
        return r < 0 ? r
                     : index_delete_empty_sources(index, step->after, step->after + DELETION_STEP_ROWS, &step->deleted);
}

static int next_range(struct deletion *d, void *work, bool *ret_last)
{
        struct range_step *step = work;
        int r = deletion_run(d, &step->step);
        if (r < 0)
                return r;
        d->tally.sources += step->deleted;
        step->after += DELETION_STEP_ROWS;
        *ret_last = step->after >= step->last;
        return 0;
}

int deletion_sources_free(struct deletion *d)
{
        struct range_step step = { .step.run = delete_range };
        return deletion_repeat(d, next_range, &step, NULL);
}
