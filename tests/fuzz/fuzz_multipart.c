/* A Content-Type line, a byte that says how to cut, then a body. However the body is cut, there are the same events and
 * the same outcome. Of content only the bytes are compared, not the pieces. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/crash/multipart.h"
#include "protocol/crash/multipart_head.h"
#include "util/buf.h"
#include "util/text/utf8.h"

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition))                                                                                      \
                        abort();                                                                                       \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct transcript {
        struct buf text;
        bool open;
        size_t content;
};

static void note(struct transcript *t, char tag, const char *s)
{
        CHECK(!s || utf8_valid(s, strlen(s)));
        CHECK(buf_printf(&t->text, "%c%s;", tag, s ? s : "-") == 0);
}

static int on_begin(void *userdata, const struct multipart_part *p)
{
        struct transcript *t = userdata;
        CHECK(!t->open && p->name);
        t->open = true;
        note(t, 'n', p->name);
        note(t, 'f', p->filename);
        note(t, 't', p->content_type);
        note(t, 'e', p->content_encoding);
        return 0;
}

static int on_data(void *userdata, const uint8_t *data, size_t len)
{
        struct transcript *t = userdata;
        CHECK(t->open && len > 0);
        CHECK(buf_append(&t->text, data, len) == 0);
        t->content += len;
        return 0;
}

static int on_end(void *userdata)
{
        struct transcript *t = userdata;
        CHECK(t->open);
        t->open = false;
        note(t, '.', NULL);
        return 0;
}

static struct transcript parse(const char *boundary, const uint8_t *body, size_t len, size_t piece)
{
        static const struct multipart_limits limits = { .part_head_bytes = 256, .parts = 8 };
        static const struct multipart_events events = { on_begin, on_data, on_end };
        _cleanup_(multipart_freep) struct multipart *m = NULL;
        struct transcript t = { 0 };
        struct refusal r = { 0 };
        int answer = 0;

        CHECK(multipart_new(boundary, &limits, &events, &t, &m) == 0);
        for (size_t at = 0; at < len && answer == 0; at += piece)
                answer = multipart_write(m, body + at, len - at < piece ? len - at : piece, &r);
        if (answer == 0)
                answer = multipart_end(m, &r);
        CHECK(answer == 0 || answer == ANSWER_MALFORMED || answer == ANSWER_TOO_LARGE);
        CHECK(answer != 0 || !t.open);
        CHECK(t.content <= len);
        CHECK(utf8_valid(r.message, strlen(r.message)));
        CHECK(buf_printf(&t.text, "%d %s", answer, r.message) == 0);
        return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char boundary[MULTIPART_BOUNDARY_MAX + 1];
        struct refusal r = { 0 };
        const uint8_t *lf = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t line = lf ? (size_t)(lf - data) : size;
        _cleanup_(freep) char *content_type = strndup((const char *)data, line);

        CHECK(content_type);
        if (multipart_head_boundary(content_type, boundary, &r) != 0 || size - line < 2)
                return 0;
        const uint8_t *body = lf + 2;
        size_t len = size - line - 2;
        struct transcript whole = parse(boundary, body, len, len > 0 ? len : 1);
        size_t pieces[] = { 1, 1 + (size_t)lf[1] % 80 };
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
                struct transcript cut = parse(boundary, body, len, pieces[i]);
                CHECK(cut.text.len == whole.text.len && memcmp(cut.text.data, whole.text.data, whole.text.len) == 0);
                buf_done(&cut.text);
        }
        buf_done(&whole.text);
        return 0;
}
