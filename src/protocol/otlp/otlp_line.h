#pragma once
/* The parts of a log line, for otlp_render(). Only for bytes that passed otlp_scan(). Errors stick in json.error. */

#include "protocol/json/json_text.h"
#include "protocol/otlp/otlp.h"
#include "protocol/otlp/otlp_view.h"

struct otlp_line {
        struct json_text json;
        struct buf *pairs;    /* a stack of struct otlp_pair: members of objects being written; empty between parts */
        size_t scratch_bytes; /* most that it may hold */
        bool mends;           /* text may be something else than UTF-8 */
};

enum { OTLP_LINE_SCRATCH_FULL = JSON_TEXT_TOO_LONG + 1 }; /* of json.error */

/* What a record says, up to where its tail goes. */
void otlp_line_record(struct otlp_line *l, struct otlp_span record);

/* What all lines of a scope have in common: platform, version, scope, resource. */
void otlp_line_tail(struct otlp_line *l, const struct otlp_source *source, struct otlp_span resource,
                    struct otlp_span scope);

/* otlp_line_tail() may write that much and take it back. It must not count against a line's limit. */
#define OTLP_LINE_TAKEN_BACK_BYTES 64
