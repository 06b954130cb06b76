/* A document that is accepted is written as JSON that is accepted again and does not change any more. Its indented form
 * is still the same document. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/crash/crash_metadata.h"
#include "protocol/json/json_document.h"
#include "util/text/utf8.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        abort();                                                                                       \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct crash_metadata *parse(const void *text, size_t len)
{
        struct crash_metadata *m = NULL;
        struct refusal r = { 0 };
        int answer = crash_metadata_parse(text, len, 8, &m, &r);
        CHECK(answer == 0 || answer == ANSWER_MALFORMED || answer == ANSWER_VERSION || answer == ANSWER_TOO_LARGE);
        CHECK((answer == 0) == (m != NULL));
        CHECK(answer == 0 || (r.answer == (enum answer)answer && *r.message));
        CHECK(utf8_valid(r.message, strlen(r.message)));
        return m;
}

static void check_same(const struct crash_metadata *m, const void *text, size_t len)
{
        _cleanup_(crash_metadata_freep) struct crash_metadata *again = parse(text, len);
        CHECK(again || len > CRASH_METADATA_MAX_BYTES);
        if (!again)
                return;
        CHECK(strcmp(again->json, m->json) == 0);
        CHECK(strcmp(again->context, m->context) == 0);
        CHECK(again->timestamp.sec == m->timestamp.sec && again->timestamp.nsec == m->timestamp.nsec);
        CHECK(again->n_manifest == m->n_manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(buf_done) struct buf indented = { 0 };
        _cleanup_(crash_metadata_freep) struct crash_metadata *m = parse(data, size);

        if (!m)
                return 0;
        CHECK(strlen(m->source.install_id) == 36 && m->source.project[0]);
        check_same(m, m->json, strlen(m->json));
        CHECK(json_document_indent(m->json, strlen(m->json), &indented) == 0);
        check_same(m, indented.data, indented.len);
        return 0;
}
