#pragma once
/* What otlp_source() and otlp_render() should make of a request, computed in another way: protobuf-c unpacks it, and
 * plain code walks the tree. Slow on purpose. Shares no code with the product, except what writes JSON numbers and
 * strings. Only for bytes that passed otlp_scan(). Out of memory ends the test. */

#include <stdbool.h>

#include "collector_logs.pb-c.h"
#include "logs.pb-c.h"
#include "protocol/otlp/otlp.h"

typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest OracleRequest;
typedef Opentelemetry__Proto__Logs__V1__ResourceLogs OracleResourceLogs;

/* NULL, or what the refusal must mention. platform and version point into logs. */
const char *otlp_oracle_source(const OracleResourceLogs *logs, bool derive, const struct otlp_token *token,
                               struct otlp_source *ret);
extern const char *const otlp_oracle_rules[]; /* what it derives a name from; NULL at the end */

struct otlp_oracle_verdict {
        unsigned lines;
        bool long_line, long_output, many_members; /* the last line is over that limit */
};

/* Appends to out, until the first line that is over a limit, and that line too. */
struct otlp_oracle_verdict otlp_oracle_render(const OracleResourceLogs *logs, const struct otlp_source *source,
                                              const struct otlp_limits *limits, struct buf *out);
