/* Crashes by id: deleted, held against retention, or no longer held. The answer has an item for each.
 *
 * Failure modes: a request that names what cannot be an id is refused whole. */
#include <errno.h>
#include <json.h>
#include <stdlib.h>

#include "control/operation.h"

struct ids {
        size_t n;
        int64_t *ids;
        enum deletion_outcome *outcomes;
};

static void ids_done(struct ids *ids)
{
        free(ids->ids);
        free(ids->outcomes);
}

static int read_ids(struct operation *o, struct ids *ids)
{
        struct json_object *array;
        int r = operation_array(o, "ids", OPERATIONS_IDS_MAX, &array, &ids->n);
        if (r < 0)
                return r;
        ids->ids = calloc(ids->n, sizeof(*ids->ids));
        ids->outcomes = calloc(ids->n, sizeof(*ids->outcomes));
        if (!ids->ids || !ids->outcomes)
                return -ENOMEM;
        for (size_t i = 0; i < ids->n; i++) {
                struct json_object *id = json_read_item(array, i);
                if (!json_object_is_type(id, json_type_int) || json_object_get_int64(id) <= 0)
                        return operation_refuse(o, "\"ids\" must contain only crash ids");
                ids->ids[i] = json_object_get_int64(id);
        }
        return 0;
}

static const char *outcome_name(enum deletion_outcome outcome, const char *done)
{
        switch (outcome) {
        case DELETION_DONE: return done;
        case DELETION_ABSENT: return "absent";
        case DELETION_HELD: return "held";
        }
        return NULL;
}

static int emit_outcomes(struct operation *o, const struct ids *ids, const char *done)
{
        int r = 0;
        for (size_t i = 0; r == 0 && i < ids->n; i++) {
                struct operation_line line = { 0 };
                operation_line_begin(&line, "item");
                json_write_i64(&line.out, "id", ids->ids[i]);
                json_write_string(&line.out, "result", outcome_name(ids->outcomes[i], done));
                r = operation_line_emit(o, &line);
        }
        return r;
}

static int answer_outcomes(struct operation *o, const struct ids *ids, const char *done)
{
        uint64_t counts[3] = { 0 };
        for (size_t i = 0; i < ids->n; i++)
                counts[ids->outcomes[i]]++;
        json_write_u64(&o->out, "done", counts[DELETION_DONE]);
        json_write_u64(&o->out, "absent", counts[DELETION_ABSENT]);
        json_write_u64(&o->out, "held", counts[DELETION_HELD]);
        return emit_outcomes(o, ids, done);
}

int operation_crashes_delete(struct operation *o)
{
        _cleanup_(ids_done) struct ids ids = { 0 };
        struct deletion *deletion = NULL;
        bool held_too = false;
        int r = operation_flag(o, "held", &held_too);
        if (r == 0)
                r = read_ids(o, &ids);
        if (r == 0)
                r = operation_begin_deletion(o, &deletion);
        if (r < 0)
                return r;
        r = deletion_crashes_by_id(deletion, ids.ids, ids.n, held_too, ids.outcomes);
        struct deletion_tally tally = deletion_take_tally(deletion);
        operation_put_tally(&o->out, &tally);
        return r == 0 ? answer_outcomes(o, &ids, "deleted") : r;
}

static int set_held(struct operation *o, bool held)
{
        _cleanup_(ids_done) struct ids ids = { 0 };
        struct deletion *deletion = NULL;
        int r = read_ids(o, &ids);
        if (r == 0)
                r = operation_begin_deletion(o, &deletion);
        if (r == 0)
                r = deletion_crashes_hold(deletion, ids.ids, ids.n, held, ids.outcomes);
        return r == 0 ? answer_outcomes(o, &ids, held ? "held" : "released") : r;
}

int operation_crashes_hold(struct operation *o)
{
        return set_held(o, true);
}

int operation_crashes_release(struct operation *o)
{
        return set_held(o, false);
}
