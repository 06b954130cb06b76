#pragma once
/* OTLP log exports: from wire bytes to NDJSON lines. Runs on network threads and never blocks. Three steps, in this
 * order:
 *
 *   otlp_scan()    walks the wire bytes, refuses what is not protobuf, and notes what is deep, wide or not UTF-8
 *   otlp_split()   finds the ResourceLogs in them
 *   otlp_source(), otlp_render()  per ResourceLogs: who sent it, and its lines
 *
 * Nothing is unpacked. Source and lines are read straight from the wire bytes, which must stay until that is done.
 *
 * Sources: opentelemetry-proto 1.x logs/v1, common/v1; docs/protocol.md "Logs". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/answer.h"
#include "protocol/otlp/otlp_derive.h"
#include "protocol/otlp/otlp_faults.h"
#include "protocol/source.h"
#include "util/arena.h"
#include "util/buf.h"

/* Bytes of a request, borrowed. at NULL: absent. */
struct otlp_span {
        const uint8_t *at, *end;
};

struct otlp_resource_logs {
        struct otlp_span message;  /* a ResourceLogs */
        struct otlp_span resource; /* its resource */
        unsigned records;          /* 0: nothing to store, so nobody asks who sent it */
};

struct otlp_limits {
        unsigned depth;       /* AnyValue nesting */
        unsigned records;     /* log records a request */
        unsigned submessages; /* all embedded messages a request */
        unsigned attributes;  /* attributes a record, a scope or a resource */
        size_t line_bytes;    /* one rendered line, newline included */
        size_t scratch_bytes; /* for the members of objects that are being rendered; 0: the default */
        size_t output_bytes;  /* all lines of a request; 0: the default. The resource is repeated on each line, so a
                                 small request could otherwise become GiBs */
};

#define OTLP_SCRATCH_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define OTLP_OUTPUT_BYTES_DEFAULT ((size_t)256 * 1024 * 1024)

/* 0, or an answer with its message in *r: ANSWER_MALFORMED (INVALID_ARGUMENT; says which field: "log_records[3].body:
 * wrong wire type") or ANSWER_TOO_LARGE for the limits on counts. -ENOMEM.
 * faults, which must have begun: depth, attributes, a singular message given twice and text that is not UTF-8 are noted
 * there instead of refusing the request. NULL: they refuse it.
 * ret_records, when 0 is returned: how many log records the request has. */
int otlp_scan(const uint8_t *data, size_t len, const struct otlp_limits *limits, unsigned *ret_records,
              struct otlp_faults *faults, struct refusal *r);

/* The ResourceLogs of a request: a list in an arena. */
struct otlp_resources {
        struct otlp_resource_logs *logs;
        size_t n;
};

/* Finds them in scanned bytes. 0, ANSWER_TOO_LARGE (more than max of them, or the arena is full) or -ENOMEM. */
int otlp_split(struct arena *arena, struct otlp_span request, size_t max, struct otlp_resources *ret,
               struct refusal *r);

struct otlp_source {
        struct source id;
        const char *platform; /* points into the request; may contain U+0000, not NUL-terminated */
        const char *version;
        size_t platform_len, version_len;
};

/* What the token says about who sends. Both are NUL-terminated, and id is not empty. */
struct otlp_token {
        const char *project, *id;
};

/* The string attributes source.project, source.platform, source.version, source.install_id of the resource. With
 * derive, absent ones come from: the token's project; os.type; service.version; the first rule whose attributes are
 * there and not empty, else the token's id, escaped (source_component_escape()). platform and version fall back to "".
 * derive NULL: a missing one is ANSWER_MALFORMED with "missing resource attribute `source.x`". An attribute that is
 * there but not a string counts as missing. source.project and source.install_id must be valid components, else
 * ANSWER_MALFORMED naming the attribute. -ENOMEM. */
int otlp_source(const struct otlp_resource_logs *logs, const struct otlp_derive *derive, const struct otlp_token *token,
                struct otlp_source *ret, struct refusal *r);

struct otlp_output {
        struct buf *lines;          /* appended to */
        struct buf *scratch;        /* for the members of objects that are being rendered */
        struct buf *tail;           /* for what the lines of a scope share */
        struct otlp_faults *faults; /* of otlp_scan(); counts what is rejected and mended. NULL: a fault refuses all */
        unsigned n_lines;           /* set: how many lines the last call appended */
};

/* Appends one line per log record, keys as docs/protocol.md lists them. 0; ANSWER_TOO_LARGE when a line is over
 * limits->line_bytes or the scratch over limits->scratch_bytes, which with faults rejects the record or its scope only,
 * or when all lines together are over limits->output_bytes; -ENOMEM. On any failure out->lines is as it was. index: of
 * logs in the request, for messages. */
int otlp_render(const struct otlp_resource_logs *logs, size_t index, const struct otlp_source *source,
                const struct otlp_limits *limits, struct otlp_output *out, struct refusal *r);
