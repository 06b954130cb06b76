#pragma once
/* OTLP log exports: from wire bytes to NDJSON lines. Network threads; nothing here blocks. Three steps, in this order:
 *
 *   otlp_scan()    walks the wire bytes and refuses what is deep, wide, not UTF-8 or not protobuf, because protobuf-c
 *                  itself checks none of that
 *   otlp_decode()  unpacks into an arena with a ceiling
 *   otlp_source(), otlp_render()  per ResourceLogs: who sent it, and its lines
 *
 * Sources: opentelemetry-proto 1.x logs/v1, common/v1; docs/protocol.md "Logs". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/answer.h"
#include "protocol/source.h"
#include "util/arena.h"
#include "util/buf.h"

/* Generated from proto/; see those files for fields. */
typedef struct Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest OtlpRequest;
typedef struct Opentelemetry__Proto__Logs__V1__ResourceLogs OtlpResourceLogs;

struct otlp_limits {
        unsigned depth;       /* AnyValue nesting */
        unsigned records;     /* log records a request */
        unsigned submessages; /* all embedded messages a request */
        unsigned attributes;  /* attributes a record, a scope or a resource */
        size_t line_bytes;    /* one rendered line, newline included */
        size_t output_bytes;  /* out of otlp_render() as a whole, lines of earlier calls included; 0: the default. The
                                 resource is repeated on each line, so a small request could otherwise ask for GiBs */
};

#define OTLP_OUTPUT_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)

/* 0, or an answer with its words in *r: ANSWER_MALFORMED (INVALID_ARGUMENT; says which field: "log_records[3].body:
 * invalid UTF-8") or ANSWER_TOO_LARGE for the limits on counts; depth is ANSWER_MALFORMED.
 * ret_records, when 0 is returned: how many log records the request has. */
int otlp_scan(const uint8_t *data, size_t len, const struct otlp_limits *limits, unsigned *ret_records,
              struct refusal *r);

/* Unpacks scanned bytes; everything lives in the arena and, for strings, nothing points into data. 0,
 * ANSWER_TOO_LARGE (the arena is full), ANSWER_MALFORMED or -ENOMEM. */
int otlp_decode(struct arena *arena, const uint8_t *data, size_t len, OtlpRequest **ret, struct refusal *r);

size_t otlp_resource_count(const OtlpRequest *request);
const OtlpResourceLogs *otlp_resource(const OtlpRequest *request, size_t i);
size_t otlp_record_count(const OtlpResourceLogs *logs);

struct otlp_source {
        struct source id;
        const char *platform; /* NUL-terminated, points into the arena; may hold U+0000, hence the lengths */
        const char *version;
        size_t platform_len, version_len;
};

/* The string attributes source.project, source.platform, source.version, source.install_id of the resource. With
 * derive, absent ones come from: token_project; os.type; service.version; service.instance.id, host.id, host.name,
 * service.name; platform and version fall back to "". Without derive a missing one is ANSWER_MALFORMED with
 * "missing resource attribute `source.x`". An attribute that is there but not a string counts as missing. project and
 * install_id must be valid components, else ANSWER_MALFORMED naming the attribute. */
int otlp_source(const OtlpResourceLogs *logs, bool derive, const char *token_project, struct otlp_source *ret,
                struct refusal *r);

/* Appends one line per log record, keys as docs/protocol.md lists them. 0; ANSWER_TOO_LARGE when a line is over
 * limits->line_bytes or out would be over limits->output_bytes; -ENOMEM. On any failure out is as it was. */
int otlp_render(const OtlpResourceLogs *logs, const struct otlp_source *source, const struct otlp_limits *limits,
                struct buf *out, struct refusal *r);

/* The body of a successful answer: an empty ExportLogsServiceResponse has no bytes. */
