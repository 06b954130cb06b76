/* One easy handle of libcurl: client_send() sets it up for a request and lets it run; callbacks feed it the body and
 * gather the answer. An easy handle keeps its connections when its options are reset.
 *
 * libcurl passes headers and trailers to the same callback, line by line, those of interim answers (RFC 9110 §15.2)
 * too. So a status line starts the headers again, and trailers are added to them. */
#include "client/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MAX_BYTES (64 * 1024)

struct client {
        CURL *curl;
        /* of the request under way */
        const struct client_request *request; /* NULL: there is none */
        size_t piece, offset;                 /* of its body: what is sent next */
        struct client_answer *answer;
        int error;     /* why a callback stopped it: -ENOMEM or CLIENT_TOO_LONG */
        bool complete; /* a callback stopped it, because the whole answer is there */
        char reason[CURL_ERROR_SIZE];
};

int client_new(struct client **ret)
{
        struct client *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK; /* counts its callers */
        c->curl = ready ? curl_easy_init() : NULL;
        if (!c->curl) {
                if (ready)
                        curl_global_cleanup();
                free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

struct client *client_free(struct client *c)
{
        if (!c)
                return NULL;
        assert(!c->request);
        curl_easy_cleanup(c->curl);
        curl_global_cleanup();
        free(c);
        return NULL;
}

/* ---- the answer ---- */

void client_answer_done(struct client_answer *a)
{
        buf_done(&a->headers);
        buf_done(&a->body);
}

/* Names and values in turn, each with its NUL. */
const char *client_answer_header(const struct client_answer *a, const char *name)
{
        const char *at = (const char *)a->headers.data, *end = at + a->headers.len, *found = NULL;
        while (at < end) {
                const char *value = at + strlen(at) + 1;
                if (strcasecmp(at, name) == 0)
                        found = value;
                at = value + strlen(value) + 1;
        }
        return found;
}

static int add_header(struct client_answer *a, const char *line, size_t len)
{
        const char *colon = memchr(line, ':', len);
        if (memchr(line, '\0', len) || !colon) /* the empty line that ends them */
                return 0;
        if (a->headers.len + len > HEADERS_MAX_BYTES)
                return CLIENT_TOO_LONG;
        const char *value = colon + 1, *end = line + len;
        while (value < end && (*value == ' ' || *value == '\t'))
                value++;
        while (end > value && strchr(" \t\r\n", end[-1]))
                end--;
        buf_append(&a->headers, line, (size_t)(colon - line));
        buf_append_char(&a->headers, '\0');
        buf_append(&a->headers, value, (size_t)(end - value));
        return buf_append_char(&a->headers, '\0');
}

/* gRPC: an answer whose headers have the status has nothing more to come ("Trailers-Only"). When it comes before the
 * request was sent, libcurl 7.88 does not see its end and waits until the timeout; so it is not left to wait. */
static bool is_whole(const struct client_answer *a, const char *line)
{
        return (*line == '\r' || *line == '\n') && client_answer_header(a, "grpc-status");
}

static size_t on_header(char *line, _unused_ size_t one, size_t len, void *userdata)
{
        struct client *c = userdata;
        assert(c->request);
        if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
                buf_clear(&c->answer->headers);
        else
                c->error = add_header(c->answer, line, len);
        c->complete = c->error == 0 && is_whole(c->answer, line);
        return c->error == 0 && !c->complete ? len : 0;
}

static size_t on_body(char *data, _unused_ size_t one, size_t len, void *userdata)
{
        struct client *c = userdata;
        assert(c->request);
        assert(c->answer->body.len <= c->request->answer_max_bytes);
        size_t room = c->request->answer_max_bytes - c->answer->body.len, n = len < room ? len : room;
        c->answer->cut = c->answer->cut || n < len;
        c->error = buf_append(&c->answer->body, data, n);
        return c->error == 0 ? len : 0;
}

/* ---- the request ---- */

static size_t read_body(char *to, _unused_ size_t one, size_t size, void *userdata)
{
        struct client *c = userdata;
        const struct client_request *q = c->request;
        assert(q);
        while (c->piece < q->n_body) {
                const struct iovec *piece = &q->body[c->piece];
                size_t left = piece->iov_len - c->offset, n = left < size ? left : size;
                memcpy(to, (const char *)piece->iov_base + c->offset, n);
                c->offset += n;
                if (c->offset == piece->iov_len) {
                        c->piece++;
                        c->offset = 0;
                }
                if (n > 0)
                        return n;
        }
        return 0;
}

/* From the beginning again, when a kept connection was dead. */
static int rewind_body(void *userdata, curl_off_t offset, int origin)
{
        struct client *c = userdata;
        if (offset != 0 || origin != SEEK_SET)
                return CURL_SEEKFUNC_CANTSEEK;
        c->piece = c->offset = 0;
        return CURL_SEEKFUNC_OK;
}

static int add_line(struct curl_slist **list, const struct client_header *h)
{
        _cleanup_(freep) char *line = NULL;
        if (strpbrk(h->name, "\r\n:") || strpbrk(h->value, "\r\n"))
                return -EINVAL;
        /* "name;" is libcurl's way to say that the value is empty. */
        if (asprintf(&line, *h->value ? "%s: %s" : "%s;", h->name, h->value) < 0)
                return -ENOMEM;
        struct curl_slist *longer = curl_slist_append(*list, line);
        if (!longer)
                return -ENOMEM;
        *list = longer;
        return 0;
}

/* What libcurl would add by itself is left out. */
static int make_headers(const struct client_request *q, struct curl_slist **ret)
{
        static const char *const unwanted[] = { "Accept:", "Expect:" };
        int r = 0;
        for (size_t i = 0; r == 0 && i < q->n_headers; i++)
                r = add_line(ret, &q->headers[i]);
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(unwanted); i++) {
                struct curl_slist *longer = curl_slist_append(*ret, unwanted[i]);
                r = longer ? 0 : -ENOMEM;
                *ret = longer ? longer : *ret;
        }
        return r;
}

#define SET(option, value)                                                                                             \
        do {                                                                                                           \
                if (r == CURLE_OK)                                                                                     \
                        r = curl_easy_setopt(c->curl, option, value);                                                  \
        } while (0)

static CURLcode set_body(struct client *c, const struct client_request *q)
{
        CURLcode r = CURLE_OK;
        curl_off_t len = 0;
        for (size_t i = 0; i < q->n_body; i++)
                len += (curl_off_t)q->body[i].iov_len;
        if (q->n_body > 0) {
                SET(CURLOPT_POST, 1L);
                SET(CURLOPT_POSTFIELDSIZE_LARGE, len);
                SET(CURLOPT_READFUNCTION, read_body);
                SET(CURLOPT_READDATA, c);
                SET(CURLOPT_SEEKFUNCTION, rewind_body);
                SET(CURLOPT_SEEKDATA, c);
        } else if (strcmp(q->method, "HEAD") == 0) {
                SET(CURLOPT_NOBODY, 1L);
        }
        SET(CURLOPT_CUSTOMREQUEST, q->method);
        return r;
}

/* libcurl before 8.0 cannot use a connection again that speaks HTTP/2 by prior knowledge (its issue 10634). */
static bool can_keep(long version)
{
        return version != CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE ||
               curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000;
}

static CURLcode set_options(struct client *c, const struct client_request *q, struct curl_slist *headers)
{
        bool tls = strncasecmp(q->url, "https:", 6) == 0;
        long version = q->version == CLIENT_HTTP_1 ? CURL_HTTP_VERSION_1_1
                       : tls                       ? CURL_HTTP_VERSION_2TLS
                                                   : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
        curl_easy_reset(c->curl);
        CURLcode r = set_body(c, q);
        SET(CURLOPT_ERRORBUFFER, c->reason);
        SET(CURLOPT_URL, q->url);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
        SET(CURLOPT_FOLLOWLOCATION, 0L);
        SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        SET(CURLOPT_PROXY, "");
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_HTTP_VERSION, version);
        SET(CURLOPT_FORBID_REUSE, can_keep(version) ? 0L : 1L);
        SET(CURLOPT_HTTPHEADER, headers);
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long)q->connect_timeout_ms);
        SET(CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
        SET(CURLOPT_HEADERFUNCTION, on_header);
        SET(CURLOPT_HEADERDATA, c);
        SET(CURLOPT_WRITEFUNCTION, on_body);
        SET(CURLOPT_WRITEDATA, c);
        return r;
}

/* ---- sending ---- */

static int unreachable(const struct client *c, CURLcode code, struct error *err)
{
        long number = code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : 0;
        if (code == CURLE_COULDNT_CONNECT)
                curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &number);
        error_set(err, "%s", number > 0 ? strerror((int)number) : *c->reason ? c->reason : curl_easy_strerror(code));
        return CLIENT_UNREACHABLE;
}

/* What libcurl's code means for our caller. */
static int outcome(const struct client *c, CURLcode code, struct error *err)
{
        curl_off_t connected_us = 0;
        const char *reason = *c->reason ? c->reason : curl_easy_strerror(code);
        curl_easy_getinfo(c->curl, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
        switch (code) {
        case CURLE_OK: return 0;
        case CURLE_OUT_OF_MEMORY: error_set(err, "out of memory"); return -ENOMEM;
        case CURLE_UNSUPPORTED_PROTOCOL:
                if (connected_us > 0) { /* it is the server that speaks something else */
                        error_set(err, "%s", reason);
                        return CLIENT_BROKEN;
                }
                __attribute__((fallthrough));
        case CURLE_LOGIN_DENIED:
        case CURLE_URL_MALFORMAT: error_set(err, "cannot use this URL: %s", reason); return -EINVAL;
        case CURLE_WRITE_ERROR:
                if (c->complete)
                        return 0;
                if (c->error == 0) {
                        error_set(err, "%s", reason);
                        return CLIENT_BROKEN;
                }
                error_set(err, c->error == CLIENT_TOO_LONG ? "the answer has too many headers" : "out of memory");
                return c->error;
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION: return unreachable(c, code, err);
        case CURLE_OPERATION_TIMEDOUT:
                if (connected_us == 0)
                        return unreachable(c, code, err);
                error_set(err, "no answer within %u ms", c->request->timeout_ms);
                return CLIENT_TIMED_OUT;
        case CURLE_GOT_NOTHING:
        case CURLE_RECV_ERROR: error_set(err, "the connection ended without an answer"); return CLIENT_BROKEN;
        default: error_set(err, "%s", reason); return CLIENT_BROKEN;
        }
}

static int run(struct client *c, struct curl_slist *headers, struct error *err)
{
        long status = 0;
        CURLcode code = set_options(c, c->request, headers);
        if (code == CURLE_OK)
                code = curl_easy_perform(c->curl);
        int r = outcome(c, code, err);
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
        c->answer->status = (int)status;
        return r;
}

int client_send(struct client *c, const struct client_request *request, struct client_answer *ret, struct error *err)
{
        struct client_answer answer = { 0 };
        struct curl_slist *headers = NULL;
        assert(!c->request);
        assert(request->connect_timeout_ms > 0 && request->timeout_ms > 0);
        int r = make_headers(request, &headers);
        if (r == 0) {
                c->request = request;
                c->answer = &answer;
                c->piece = c->offset = 0;
                c->error = 0;
                c->complete = false;
                c->reason[0] = '\0';
                r = run(c, headers, err);
                c->request = NULL;
                c->answer = NULL;
        } else {
                error_set(err, r == -EINVAL ? "a header has a line break in it" : "out of memory");
        }
        curl_slist_free_all(headers);
        if (r == 0)
                *ret = answer;
        else
                client_answer_done(&answer);
        return r;
}
