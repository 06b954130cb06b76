/* Finds each ResourceLogs in scanned bytes, and its resource. */

#include <errno.h>

#include "protocol/otlp/otlp_view.h"

static unsigned count_records(struct otlp_span scope_logs)
{
        struct otlp_field field = { 0 };
        unsigned n = 0;
        while (otlp_next(&scope_logs, &field))
                n += field.number == 2;
        return n;
}

static struct otlp_resource_logs look_into(struct otlp_span message)
{
        struct otlp_resource_logs logs = { .message = message };
        struct otlp_field field = { 0 };
        while (otlp_next(&message, &field)) {
                if (field.number == 1)
                        logs.resource = field.bytes;
                else if (field.number == 2)
                        logs.records += count_records(field.bytes);
        }
        return logs;
}

int otlp_split(struct arena *arena, struct otlp_span request, size_t max, struct otlp_resources *ret, struct refusal *r)
{
        struct otlp_span rest = request;
        struct otlp_field field = { 0 };
        size_t n = 0, i = 0;
        while (otlp_next(&rest, &field))
                n += field.number == 1;
        if (n > max)
                return refuse(r, ANSWER_TOO_LARGE, "more than %zu resource_logs in one request", max);
        struct otlp_resource_logs *list = arena_alloc(arena, n * sizeof(*list));
        if (!list)
                return arena_is_full(arena) ? refuse(r, ANSWER_TOO_LARGE, "the request needs too much memory")
                                            : -ENOMEM;
        for (rest = request; otlp_next(&rest, &field);) {
                if (field.number == 1)
                        list[i++] = look_into(field.bytes);
        }
        *ret = (struct otlp_resources){ list, n };
        return 0;
}
