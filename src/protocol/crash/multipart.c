#include "protocol/crash/multipart.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/crash/multipart_head.h"
#include "util/buf.h"

/* One pass over the body, in chunks that may be cut anywhere. The data event gets content from the caller's own bytes.
 *
 * A part ends with CRLF "--" boundary. No boundary contains a CR, so the only byte where a delimiter can start is CR:
 * memchr finds it, and a candidate that fails never hides a later one. A candidate cut by the end of a chunk is
 * remembered as a count (`matched`): the bytes held back are the delimiter's own, so there is nothing to copy.
 *
 * The body's first boundary needs no CRLF before it, nor does one right after a part's empty line, whose CRLF then
 * serves (RFC 2046 §5.1.1: body-part). So both places start with CRLF matched already; `borrowed` keeps those two bytes
 * from becoming content when the candidate fails.
 *
 * Failure: the message names the part that was read, or the one that would have come next, and what was expected. */

#define PREAMBLE_MAX 8192 /* bytes before the first boundary; no known client sends any */
#define CRLF_LEN 2

enum state {
        PREAMBLE,
        DELIMITER,         /* after the boundary: '-', padding or CR */
        DELIMITER_DASH,    /* after its first '-' */
        DELIMITER_PADDING, /* RFC 2046 §5.1.1: transport-padding */
        DELIMITER_LF,
        HEAD,
        CONTENT,
        CLOSED_PADDING,
        CLOSED_LF,
        EPILOGUE,
        FAILED,
};

struct multipart {
        struct multipart_limits limits;
        const struct multipart_events *events;
        void *userdata;
        enum state state;
        unsigned part; /* 1-based; 0 before the first */
        size_t preamble_bytes;
        size_t matched;      /* of the delimiter, at the end of what was read */
        size_t borrowed;     /* that many of them are not content if the match fails */
        struct buf head;     /* the header lines so far */
        struct buf filename; /* of the part that begins */
        size_t line;         /* where the current one starts in head */
        size_t delimiter_len;
        char delimiter[sizeof("\r\n--") + MULTIPART_BOUNDARY_MAX];
};

int multipart_new(const char *boundary, const struct multipart_limits *limits, const struct multipart_events *events,
                  void *userdata, struct multipart **ret)
{
        size_t n = strlen(boundary);
        if (n == 0 || n > MULTIPART_BOUNDARY_MAX)
                return -EINVAL;
        struct multipart *m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->limits = *limits;
        m->events = events;
        m->userdata = userdata;
        m->matched = m->borrowed = CRLF_LEN;
        m->delimiter_len = 4 + n;
        snprintf(m->delimiter, sizeof(m->delimiter), "\r\n--%s", boundary);
        *ret = m;
        return 0;
}

struct multipart *multipart_free(struct multipart *m)
{
        if (!m)
                return NULL;
        buf_done(&m->head);
        buf_done(&m->filename);
        free(m);
        return NULL;
}

/* Which part the message is about: the one being read, or the one that would come next. */
static int malformed(const struct multipart *m, struct refusal *r, const char *expected)
{
        bool inside = m->state == HEAD || m->state == CONTENT;
        return refuse(r, ANSWER_MALFORMED, "multipart part %u: expected %s", inside ? m->part : m->part + 1, expected);
}

/* Bytes outside of delimiters: content of a part, or preamble. */
static int pass(struct multipart *m, const uint8_t *data, size_t len, struct refusal *r)
{
        if (len == 0)
                return 0;
        if (m->state == CONTENT)
                return m->events->data(m->userdata, data, len);
        m->preamble_bytes += len;
        return m->preamble_bytes > PREAMBLE_MAX ? malformed(m, r, "a boundary within 8 KiB") : 0;
}

/* The candidate was not a delimiter: what was held back of it is content. */
static int release(struct multipart *m, struct refusal *r)
{
        size_t from = m->borrowed, to = m->matched;
        m->matched = m->borrowed = 0;
        return to > from ? pass(m, (const uint8_t *)m->delimiter + from, to - from, r) : 0;
}

static int delimiter_found(struct multipart *m)
{
        bool in_part = m->state == CONTENT;
        m->matched = m->borrowed = 0;
        m->state = DELIMITER;
        return in_part ? m->events->end(m->userdata) : 0;
}

/* Extends the match by what data holds of the rest of the delimiter. Returns how many bytes. */
static size_t match(struct multipart *m, const uint8_t *data, size_t len)
{
        assert(m->borrowed <= m->matched && m->matched < m->delimiter_len);
        size_t want = m->delimiter_len - m->matched, n = len < want ? len : want;
        if (memcmp(data, m->delimiter + m->matched, n) != 0)
                return 0;
        m->matched += n;
        return n;
}

/* Takes content up to the end of the chunk or of the next delimiter. *ret_used may be 0 once, after a release. */
static int take_content(struct multipart *m, const uint8_t *data, size_t len, size_t *ret_used, struct refusal *r)
{
        size_t content = 0, delimiter = 0;

        if (m->matched > 0) { /* a candidate that began in an earlier chunk */
                delimiter = match(m, data, len);
                *ret_used = delimiter;
                if (delimiter == 0)
                        return release(m, r);
        } else {
                for (;; content++) {
                        const uint8_t *cr = memchr(data + content, '\r', len - content);
                        content = cr ? (size_t)(cr - data) : len;
                        if (!cr || (delimiter = match(m, cr, len - content)) > 0)
                                break;
                }
                *ret_used = content + delimiter;
                int answer = pass(m, data, content, r);
                if (answer != 0)
                        return answer;
        }
        return m->matched == m->delimiter_len ? delimiter_found(m) : 0;
}

static int begin_part(struct multipart *m, struct refusal *r)
{
        struct multipart_part part;
        int answer = multipart_head_parse((char *)m->head.data, m->line, m->part, &m->filename, &part, r);
        if (answer != 0)
                return answer;
        m->state = CONTENT;
        m->matched = m->borrowed = CRLF_LEN;
        answer = m->events->begin(m->userdata, &part);
        m->head.len = m->line = 0;
        return answer;
}

static int end_line(struct multipart *m, struct refusal *r)
{
        const uint8_t *line = m->head.data + m->line;
        size_t n = m->head.len - m->line;
        if (n < CRLF_LEN || line[n - CRLF_LEN] != '\r')
                return malformed(m, r, "header lines to end in CRLF");
        if (n == CRLF_LEN)
                return begin_part(m, r);
        if (line[0] == ' ' || line[0] == '\t') /* obs-fold, RFC 9112 §5.2 */
                return malformed(m, r, "a header on one line");
        m->line = m->head.len;
        return 0;
}

/* Takes the bytes of one header line, or of a part of one. The limit leaves room for the empty line, which has to come:
 * lines of one byte more are refused there at the latest. */
static int take_head(struct multipart *m, const uint8_t *data, size_t len, size_t *ret_used, struct refusal *r)
{
        const uint8_t *lf = memchr(data, '\n', len);
        size_t n = lf ? (size_t)(lf - data) + 1 : len;
        if (n > m->limits.part_head_bytes + CRLF_LEN - m->head.len)
                return refuse(r, ANSWER_TOO_LARGE, "multipart part %u: more than %zu bytes of header lines", m->part,
                              m->limits.part_head_bytes);
        int answer = buf_append(&m->head, data, n);
        if (answer < 0)
                return answer;
        *ret_used = n;
        return lf ? end_line(m, r) : 0;
}

static int next_part(struct multipart *m, struct refusal *r)
{
        if (m->part >= m->limits.parts)
                return refuse(r, ANSWER_TOO_LARGE, "more than %u multipart parts", m->limits.parts);
        assert(m->head.len == 0 && m->line == 0);
        m->part++;
        m->state = HEAD;
        return 0;
}

static bool is_padding(uint8_t c)
{
        return c == ' ' || c == '\t';
}

/* One byte of what follows a boundary on its line. */
static int take_delimiter_byte(struct multipart *m, uint8_t c, struct refusal *r)
{
        switch (m->state) {
        case DELIMITER:
                if (c == '-') {
                        m->state = DELIMITER_DASH;
                        return 0;
                }
                m->state = DELIMITER_PADDING;
                __attribute__((fallthrough));
        case DELIMITER_PADDING:
                if (is_padding(c))
                        return 0;
                m->state = DELIMITER_LF;
                return c == '\r' ? 0 : malformed(m, r, "CRLF after the boundary");
        case DELIMITER_LF: return c == '\n' ? next_part(m, r) : malformed(m, r, "CRLF after the boundary");
        case DELIMITER_DASH: m->state = CLOSED_PADDING; return c == '-' ? 0 : malformed(m, r, "'--' or CRLF");
        case CLOSED_PADDING:
                if (is_padding(c))
                        return 0;
                m->state = CLOSED_LF;
                return c == '\r' ? 0 : malformed(m, r, "CRLF or the end after the closing boundary");
        default: /* CLOSED_LF */
                m->state = EPILOGUE;
                return c == '\n' ? 0 : malformed(m, r, "CRLF or the end after the closing boundary");
        }
}

int multipart_write(struct multipart *m, const uint8_t *data, size_t len, struct refusal *r)
{
        assert(m->state != FAILED);
        while (len > 0 && m->state != EPILOGUE) {
                size_t used = 1;
                int answer;
                if (m->state == PREAMBLE || m->state == CONTENT)
                        answer = take_content(m, data, len, &used, r);
                else if (m->state == HEAD)
                        answer = take_head(m, data, len, &used, r);
                else
                        answer = take_delimiter_byte(m, *data, r);
                assert(used <= len);
                if (answer != 0) {
                        m->state = FAILED;
                        return answer;
                }
                data += used;
                len -= used;
        }
        return 0;
}

int multipart_end(const struct multipart *m, struct refusal *r)
{
        assert(m->state != FAILED);
        if (m->state == EPILOGUE || m->state == CLOSED_PADDING)
                return 0;
        return malformed(m, r, "the closing boundary, but the body ended");
}
