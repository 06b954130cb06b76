#include "storage/store/health.h"

#include <stdio.h>

#define RETRY_MS 30000 /* a person has to come */

static void look_at_space(struct space *space, struct health *h)
{
        struct refusal logs = { 0 }, crashes = { 0 }, both = { 0 };
        if (space_check_kind(space, SPACE_UPLOADS, &crashes) != 0) {
                h->takes_crashes = false;
                snprintf(h->reason, sizeof(h->reason), "%s", crashes.message);
        }
        if (space_check_kind(space, SPACE_LOGS, &logs) != 0) {
                h->takes_logs = false;
                snprintf(h->reason, sizeof(h->reason), "%s", logs.message);
        }
        if (space_check_health(space, &both) != 0)
                h->refusal = both;
}

static void look_at_troubles(struct troubles *troubles, struct health *h)
{
        struct trouble worst;
        h->n_troubles = troubles_read(troubles, h->troubles);
        for (size_t i = 0; i < h->n_troubles; i++) {
                h->takes_logs = h->takes_logs && !trouble_stops_logs(h->troubles[i].kind);
                h->takes_crashes = h->takes_crashes && !trouble_stops_crashes(h->troubles[i].kind);
        }
        if (!troubles_unhealthy(troubles, clock_monotonic_ns(), &worst))
                return;
        refuse(&h->refusal, ANSWER_UNAVAILABLE, "%s%s%s", worst.reason, worst.path[0] ? ": " : "", worst.path);
        h->refusal.retry_after_ms = RETRY_MS;
        snprintf(h->reason, sizeof(h->reason), "%s", h->refusal.message);
}

void health_look(struct store *s, struct health *ret)
{
        *ret = (struct health){ .takes_logs = true, .takes_crashes = true };
        look_at_space(store_space(s), ret);
        look_at_troubles(store_troubles(s), ret);
}

static void write_trouble(struct json_write *w, const struct trouble *t)
{
        char since[CLOCK_RFC3339_SIZE];
        clock_format_rfc3339((struct moment){ .sec = t->since.sec }, since);
        json_write_object(w, NULL);
        json_write_string(w, "kind", trouble_name(t->kind));
        json_write_string(w, "reason", t->reason);
        json_write_string(w, "path", t->path[0] ? t->path : NULL);
        json_write_string(w, "since", since);
        json_write_bool(w, "stops_logs", trouble_stops_logs(t->kind));
        json_write_bool(w, "stops_crashes", trouble_stops_crashes(t->kind));
        json_write_end(w);
}

void health_write(const struct health *h, struct json_write *w)
{
        json_write_bool(w, "ready", h->refusal.answer == ANSWER_OK);
        json_write_bool(w, "takes_logs", h->takes_logs);
        json_write_bool(w, "takes_crashes", h->takes_crashes);
        json_write_string(w, "reason", h->reason[0] ? h->reason : NULL);
        json_write_array(w, "troubles");
        for (size_t i = 0; i < h->n_troubles; i++)
                write_trouble(w, &h->troubles[i]);
        json_write_end(w);
}
