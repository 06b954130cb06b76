/* Compares everything that otlp_source() and otlp_render() return, and whether they refuse the same requests. */

#include "otlp_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "otlp_oracle.h"

static char words[200];

static const char *differ(const char *what, size_t index)
{
        snprintf(words, sizeof(words), "resource_logs[%zu]: %s", index, what);
        return words;
}

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
        return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

/* When neither side can name the source, both continue with the same one. */
static const char *compare_sources(const OracleResourceLogs *theirs, const struct otlp_resource_logs *ours, size_t i,
                                   struct otlp_source *ret_theirs, struct otlp_source *ret_ours,
                                   struct otlp_compare_counts *counts)
{
        static const struct otlp_source unknown = { { "p", "i" }, "", "", 0, 0 };
        bool derive = i % 2 == 0;
        const struct otlp_token token = { i % 3 == 0 ? NULL : "token", i % 5 == 0 ? ".id/~" : "id" };
        struct otlp_derive rules = { 0 };
        struct refusal r = { 0 };
        for (const char *const *rule = otlp_oracle_rules; *rule; rule++)
                otlp_derive_add(&rules, *rule);
        *ret_theirs = *ret_ours = unknown;
        int a = otlp_source(ours, derive ? &rules : NULL, &token, ret_ours, &r);
        const char *wrong = otlp_oracle_source(theirs, derive, &token, ret_theirs);
        if (a != (wrong ? ANSWER_MALFORMED : 0))
                return differ("one refuses the source", i);
        counts->sources += !wrong;
        counts->sources_refused += wrong != NULL;
        if (wrong) {
                *ret_theirs = *ret_ours = unknown;
                return strstr(r.message, wrong) ? NULL : differ("the source is refused for another reason", i);
        }
        if (strcmp(ret_theirs->id.project, ret_ours->id.project) != 0 ||
            strcmp(ret_theirs->id.install_id, ret_ours->id.install_id) != 0)
                return differ("different sources", i);
        if (!same_text(ret_theirs->platform, ret_theirs->platform_len, ret_ours->platform, ret_ours->platform_len) ||
            !same_text(ret_theirs->version, ret_theirs->version_len, ret_ours->version, ret_ours->version_len))
                return differ("different platforms or versions", i);
        return NULL;
}

struct texts {
        struct buf theirs, ours, scratch, tail;
};

static void texts_done(struct texts *t)
{
        buf_done(&t->theirs);
        buf_done(&t->ours);
        buf_done(&t->scratch);
        buf_done(&t->tail);
}

static const char *compare_lines(const OracleResourceLogs *theirs, const struct otlp_resource_logs *ours, size_t i,
                                 const struct otlp_source sources[2], const struct otlp_limits *limits,
                                 struct texts *texts, struct otlp_compare_counts *counts)
{
        struct refusal r = { 0 };
        struct otlp_output out = { .lines = &texts->ours, .scratch = &texts->scratch, .tail = &texts->tail };
        size_t theirs_before = texts->theirs.len, ours_before = texts->ours.len;
        struct otlp_oracle_verdict v = otlp_oracle_render(theirs, &sources[0], limits, &texts->theirs);
        int a = otlp_render(ours, i, &sources[1], limits, &out, &r);
        bool refused = v.long_line || v.long_output || v.many_members;
        if (a != (refused ? ANSWER_TOO_LARGE : 0))
                return differ("one refuses the lines", i);
        counts->long_lines += v.long_line;
        counts->outputs += v.long_output;
        counts->scratches += v.many_members;
        if (refused) {
                texts->theirs.len = theirs_before;
                return texts->ours.len == ours_before ? NULL : differ("a refusal leaves lines in the output", i);
        }
        counts->lines += v.lines;
        if (out.n_lines != v.lines)
                return differ("different counts of lines", i);
        return same_text((const char *)texts->theirs.data, texts->theirs.len, (const char *)texts->ours.data,
                         texts->ours.len)
                       ? NULL
                       : differ("different lines", i);
}

static const char *compare_resources(const OracleRequest *theirs, const struct otlp_resource_logs *ours,
                                     const struct otlp_limits *limits, struct otlp_compare_counts *counts)
{
        _cleanup_(texts_done) struct texts texts = { 0 };
        for (size_t i = 0; i < theirs->n_resource_logs; i++) {
                struct otlp_source sources[2];
                const OracleResourceLogs *logs = theirs->resource_logs[i];
                const char *wrong = compare_sources(logs, &ours[i], i, &sources[0], &sources[1], counts);
                if (!wrong)
                        wrong = compare_lines(logs, &ours[i], i, sources, limits, &texts, counts);
                if (wrong)
                        return wrong;
        }
        counts->resources += (unsigned)theirs->n_resource_logs;
        return NULL;
}

const char *otlp_compare(struct otlp_span bytes, struct otlp_span product, const struct otlp_limits *limits,
                         struct otlp_compare_counts *counts)
{
        struct otlp_resources ours = { 0 };
        struct refusal r = { 0 };
        struct arena *arena = arena_new(SIZE_MAX / 2);
        OracleRequest *theirs = opentelemetry__proto__collector__logs__v1__export_logs_service_request__unpack(
                NULL, (size_t)(bytes.end - bytes.at), bytes.at);
        if (!arena)
                abort();
        const char *wrong;
        if (!theirs)
                wrong = "protobuf-c refuses what the scan passes";
        else if (otlp_split(arena, product, SIZE_MAX, &ours, &r) != 0)
                wrong = "the split refuses";
        else if (ours.n != theirs->n_resource_logs)
                wrong = "different counts of resource_logs";
        else
                wrong = compare_resources(theirs, ours.logs, limits, counts);
        counts->requests++;
        if (theirs)
                opentelemetry__proto__collector__logs__v1__export_logs_service_request__free_unpacked(theirs, NULL);
        arena_free(arena);
        return wrong;
}
