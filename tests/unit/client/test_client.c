/* The HTTP client against a server of canned answers, over HTTP/1.1 and HTTP/2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "client/client.h"

#define LONG_MS 20000

/* ---- a server ---- */

struct canned {
        const char *until; /* what the request ends in */
        struct buf answer; /* empty: close the connection */
};

struct server {
        int listener;
        unsigned port;
        pthread_t thread;
        struct canned *canned;
        size_t n;
        struct buf received;
};

static int listen_somewhere(unsigned *ret_port)
{
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(at);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(fd, 4), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
        *ret_port = ntohs(at.sin_port);
        return fd;
}

/* One connection, on which it answers as often as it was told. */
static void *serve(void *userdata)
{
        struct server *s = userdata;
        int fd = accept(s->listener, NULL, NULL);
        size_t seen = 0;
        for (size_t i = 0; fd >= 0 && i < s->n; i++) {
                const char *until = s->canned[i].until;
                while (!memmem(s->received.data + seen, s->received.len - seen, until, strlen(until))) {
                        if (buf_reserve(&s->received, 65536) < 0)
                                abort();
                        ssize_t n = recv(fd, s->received.data + s->received.len, 65536, 0);
                        if (n <= 0)
                                goto out;
                        s->received.len += (size_t)n;
                }
                seen = s->received.len;
                const struct buf *answer = &s->canned[i].answer;
                if (answer->len == 0 || send(fd, answer->data, answer->len, MSG_NOSIGNAL) != (ssize_t)answer->len)
                        goto out;
        }
        char rest[64];
        while (fd >= 0 &&
               recv(fd, rest, sizeof(rest), 0) > 0) /* the client closes first: see client.h about trailers */
                ;
out:
        if (fd >= 0)
                close(fd);
        return NULL;
}

static void start(struct server *s, struct canned *canned, size_t n)
{
        *s = (struct server){ .canned = canned, .n = n };
        assert_int_equal(buf_reserve(&s->received, 1), 0);
        s->listener = listen_somewhere(&s->port);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
        shutdown(s->listener, SHUT_RDWR);
        assert_int_equal(pthread_join(s->thread, NULL), 0);
        close(s->listener);
        assert_int_equal(buf_append_char(&s->received, '\0'), 0);
        for (size_t i = 0; i < s->n; i++)
                buf_done(&s->canned[i].answer);
}

static struct buf text(const char *s)
{
        struct buf b = { 0 };
        assert_int_equal(buf_append_str(&b, s), 0);
        return b;
}

/* ---- a client ---- */

static const struct client_header headers[] = { { "authorization", "Bearer t" }, { "x-empty", "" } };
static const struct iovec pieces[] = {
        { (void *)"", 0 }, { (void *)"one, ", 5 }, { (void *)"", 0 }, { (void *)"end.", 4 }
};

static struct client_request request_to(const struct server *s, char url[64], enum client_version version)
{
        snprintf(url, 64, "http://127.0.0.1:%u/v1/x?y", s->port);
        return (struct client_request){ .method = "POST",
                                        .url = url,
                                        .version = version,
                                        .headers = headers,
                                        .n_headers = ARRAY_LEN(headers),
                                        .body = pieces,
                                        .n_body = ARRAY_LEN(pieces),
                                        .connect_timeout_ms = LONG_MS,
                                        .timeout_ms = LONG_MS,
                                        .answer_max_bytes = 100 };
}

static void expect_body(const struct client_answer *a, const char *expected)
{
        assert_int_equal(a->body.len, strlen(expected));
        assert_memory_equal(a->body.len ? (const char *)a->body.data : "", expected, a->body.len);
}

static void expect_header(const struct client_answer *a, const char *name, const char *expected)
{
        const char *value = client_answer_header(a, name);
        assert_true(!value == !expected);
        if (value)
                assert_string_equal(value, expected);
}

/* One request, answered with these bytes. */
static int exchange(enum client_version version, struct buf answer, struct client_answer *ret, struct error *err)
{
        struct server s;
        struct canned canned = { "end.", answer };
        struct client *c;
        char url[64];
        start(&s, &canned, 1);
        assert_int_equal(client_new(&c), 0);
        const struct client_request q = request_to(&s, url, version);
        int r = client_send(c, &q, ret, err);
        client_free(c);
        stop(&s);
        buf_done(&s.received);
        return r;
}

/* ---- HTTP/1.1 ---- */

static void test_http1(_unused_ void **state)
{
        struct server s;
        struct canned canned = { "end.", text("HTTP/1.1 100 Continue\r\nX-Interim: no\r\n\r\n"
                                              "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n"
                                              "X-A:  2 \r\nX-None:\r\n\r\n3\r\nabc\r\n0\r\nX-End: yes\r\n\r\n") };
        struct client_answer a = { 0 };
        struct error err;
        struct client *c;
        char url[64];
        start(&s, &canned, 1);
        assert_int_equal(client_new(&c), 0);
        const struct client_request q = request_to(&s, url, CLIENT_HTTP_1);
        assert_int_equal(client_send(c, &q, &a, &err), 0);
        client_free(c);
        stop(&s);
        const char *received = (const char *)s.received.data;
        assert_true(strncmp(received, "POST /v1/x?y HTTP/1.1\r\n", 23) == 0);
        assert_non_null(strstr(received, "\r\nauthorization: Bearer t\r\n"));
        assert_non_null(strstr(received, "\r\nx-empty:\r\n"));
        assert_non_null(strstr(received, "\r\nContent-Length: 9\r\n"));
        assert_non_null(strstr(received, "\r\n\r\none, end."));
        assert_null(strstr(received, "Accept"));
        assert_null(strstr(received, "Expect"));
        assert_int_equal(a.status, 201);
        assert_false(a.cut);
        expect_body(&a, "abc");
        expect_header(&a, "x-a", "2");
        expect_header(&a, "X-NONE", "");
        expect_header(&a, "x-end", "yes");
        expect_header(&a, "x-interim", NULL);
        client_answer_done(&a);
        buf_done(&s.received);
}

static void test_a_connection_is_kept(_unused_ void **state)
{
        struct server s;
        struct canned canned[] = { { "end.", text("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1") },
                                   { "\r\n\r\n", text("HTTP/1.1 204 No\r\n\r\n") } };
        struct error err;
        struct client *c;
        char url[64];
        start(&s, canned, ARRAY_LEN(canned));
        assert_int_equal(client_new(&c), 0);
        struct client_request q = request_to(&s, url, CLIENT_HTTP_1);
        for (int i = 0; i < 2; i++) {
                struct client_answer a = { 0 };
                assert_int_equal(client_send(c, &q, &a, &err), 0);
                assert_int_equal(a.status, i == 0 ? 200 : 204);
                expect_body(&a, i == 0 ? "1" : "");
                client_answer_done(&a);
                q.method = "GET";
                q.n_body = 0;
        }
        client_free(c);
        stop(&s);
        assert_non_null(strstr((const char *)s.received.data, "GET /v1/x?y HTTP/1.1\r\n"));
        buf_done(&s.received);
}

static void test_redirects_are_answers(_unused_ void **state)
{
        struct client_answer a = { 0 };
        struct error err;
        char answer[128];
        unsigned port;
        int elsewhere = listen_somewhere(&port);
        snprintf(answer, sizeof(answer),
                 "HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:%u/\r\nContent-Length: 0\r\n\r\n", port);
        assert_int_equal(exchange(CLIENT_HTTP_1, text(answer), &a, &err), 0);
        assert_int_equal(a.status, 307);
        struct pollfd asked = { .fd = elsewhere, .events = POLLIN };
        assert_int_equal(poll(&asked, 1, 0), 0);
        close(elsewhere);
        client_answer_done(&a);
}

/* N bytes are kept, and the first N of N + 1. */
static void test_a_body_is_bounded(_unused_ void **state)
{
        for (int more = 0; more <= 1; more++) {
                struct client_answer a = { 0 };
                struct error err;
                char answer[256];
                snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%0*d", 100 + more,
                         100 + more, 7);
                assert_int_equal(exchange(CLIENT_HTTP_1, text(answer), &a, &err), 0);
                assert_int_equal(a.body.len, 100);
                assert_int_equal(a.cut, more);
                client_answer_done(&a);
        }
}

static void test_headers_are_bounded(_unused_ void **state)
{
        struct client_answer a = { 0 };
        struct error err = { "" };
        struct buf answer = text("HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 9; i++)
                assert_int_equal(buf_printf(&answer, "X-%d: %08000d\r\n", i, i), 0);
        assert_int_equal(buf_append_str(&answer, "\r\n"), 0);
        assert_int_equal(exchange(CLIENT_HTTP_1, answer, &a, &err), CLIENT_TOO_LONG);
        assert_string_equal(err.text, "the answer has too many headers");
}

/* ---- HTTP/2 (RFC 9113; header blocks of RFC 7541 §6.2.2) ---- */

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, END_STREAM = 1, END_HEADERS = 4 };

static void put_frame(struct buf *b, char type, char flags, uint8_t stream, const void *payload, size_t len)
{
        const char head[] = { 0, (char)(len >> 8), (char)len, type, flags, 0, 0, 0, (char)stream };
        assert_int_equal(buf_append(b, head, sizeof(head)), 0);
        assert_int_equal(buf_append(b, payload, len), 0);
}

static void put_field(struct buf *b, const char *name, const char *value)
{
        assert_int_equal(buf_printf(b, "%c%s%c%s", (int)strlen(name), name, (int)strlen(value), value), 0);
}

/* NULL ends the fields; a field begins with a NUL, "literal without indexing". */
static void put_headers(struct buf *b, bool end, const char *status, const char *const *fields)
{
        struct buf block = { 0 };
        if (status)
                assert_int_equal(buf_printf(&block, "%c%c%s", 0x08, (int)strlen(status), status), 0);
        for (; *fields; fields += 2) {
                assert_int_equal(buf_append_char(&block, '\0'), 0);
                put_field(&block, fields[0], fields[1]);
        }
        put_frame(b, HEADERS, (char)(END_HEADERS | (end ? END_STREAM : 0)), 1, block.data, block.len);
        buf_done(&block);
}

static void test_http2_trailers(_unused_ void **state)
{
        struct client_answer a = { 0 };
        struct error err;
        struct buf answer = { 0 };
        put_frame(&answer, SETTINGS, 0, 0, "", 0);
        put_headers(&answer, false, "200", (const char *const[]){ "content-type", "application/grpc", NULL });
        put_frame(&answer, DATA, 0, 1, "hello", 5);
        put_headers(&answer, true, NULL,
                    (const char *const[]){ "grpc-status", "7", "grpc-message", "not yours", NULL });
        assert_int_equal(exchange(CLIENT_HTTP_2, answer, &a, &err), 0);
        assert_int_equal(a.status, 200);
        expect_body(&a, "hello");
        expect_header(&a, "content-type", "application/grpc");
        expect_header(&a, "grpc-status", "7");
        expect_header(&a, "grpc-message", "not yours");
        client_answer_done(&a);
}

static void test_http2_trailers_only(_unused_ void **state)
{
        struct client_answer a = { 0 };
        struct error err;
        struct buf answer = { 0 };
        put_frame(&answer, SETTINGS, 0, 0, "", 0);
        put_headers(&answer, true, "200", (const char *const[]){ "grpc-status", "16", NULL });
        assert_int_equal(exchange(CLIENT_HTTP_2, answer, &a, &err), 0);
        assert_int_equal(a.status, 200);
        expect_body(&a, "");
        expect_header(&a, "grpc-status", "16");
        client_answer_done(&a);
}

/* ---- what goes wrong ---- */

static void test_nobody_listens(_unused_ void **state)
{
        struct server s;
        struct client_answer a;
        struct error err = { "" };
        struct client *c;
        char url[64];
        close(listen_somewhere(&s.port));
        assert_int_equal(client_new(&c), 0);
        const struct client_request q = request_to(&s, url, CLIENT_HTTP_2);
        assert_int_equal(client_send(c, &q, &a, &err), CLIENT_UNREACHABLE);
        assert_string_equal(err.text, "Connection refused");
        client_free(c);
}

static void test_no_answer(_unused_ void **state)
{
        struct client_answer a;
        for (enum client_version version = CLIENT_HTTP_1; version <= CLIENT_HTTP_2; version++) {
                struct error err = { "" };
                assert_int_equal(exchange(version, (struct buf){ 0 }, &a, &err), CLIENT_BROKEN);
                if (version == CLIENT_HTTP_1)
                        assert_string_equal(err.text, "the connection ended without an answer");
                else
                        assert_non_null(strstr(err.text, "was not closed cleanly"));
        }
}

static void test_a_server_that_stands_still(_unused_ void **state)
{
        struct server s; /* nobody accepts, but the kernel does */
        struct client_answer a;
        struct error err = { "" };
        struct client *c;
        char url[64];
        s.listener = listen_somewhere(&s.port);
        assert_int_equal(client_new(&c), 0);
        struct client_request q = request_to(&s, url, CLIENT_HTTP_1);
        q.timeout_ms = 50;
        assert_int_equal(client_send(c, &q, &a, &err), CLIENT_TIMED_OUT);
        assert_string_equal(err.text, "no answer within 50 ms");
        client_free(c);
        close(s.listener);
}

static void test_wrong_requests(_unused_ void **state)
{
        static const char *const urls[] = { "file:///etc/hostname", "ftp://127.0.0.1/", "http://user:word@127.0.0.1/",
                                            "http://127.0.0.1:99999/", "http://a b/" };
        static const struct client_header wrong[] = { { "a", "b\r\nc: d" }, { "a\n", "b" }, { "a: b\r\nc", "d" } };
        struct client_answer a;
        struct client *c;
        struct client_request q = { .method = "GET", .connect_timeout_ms = LONG_MS, .timeout_ms = LONG_MS };
        assert_int_equal(client_new(&c), 0);
        for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
                struct error err = { "" };
                q.url = urls[i];
                assert_int_equal(client_send(c, &q, &a, &err), -EINVAL);
                assert_non_null(strstr(err.text, "cannot use this URL: "));
        }
        q.url = "http://127.0.0.1:1/";
        q.n_headers = 1;
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                struct error err = { "" };
                q.headers = &wrong[i];
                assert_int_equal(client_send(c, &q, &a, &err), -EINVAL);
                assert_string_equal(err.text, "a header has a line break in it");
        }
        client_free(c);
}

/* Neither a proxy nor a .netrc of the environment sees the token or adds one. */
static void test_the_environment_counts_for_nothing(_unused_ void **state)
{
        char home[] = "/tmp/detritus-client-XXXXXX", path[64];
        struct client_answer a = { 0 };
        struct error err;
        assert_non_null(mkdtemp(home));
        snprintf(path, sizeof(path), "%s/.netrc", home);
        FILE *netrc = fopen(path, "we");
        assert_non_null(netrc);
        fputs("machine 127.0.0.1 login somebody password secret\n", netrc);
        fclose(netrc);
        setenv("HOME", home, 1);
        setenv("http_proxy", "http://127.0.0.1:1", 1);
        setenv("ALL_PROXY", "http://127.0.0.1:1", 1);

        struct server s;
        struct canned canned = { "\r\n\r\n",
                                 text("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n") };
        struct client *c;
        char url[64];
        start(&s, &canned, 1);
        assert_int_equal(client_new(&c), 0);
        struct client_request q = request_to(&s, url, CLIENT_HTTP_1);
        q.n_body = q.n_headers = 0;
        q.method = "GET";
        assert_int_equal(client_send(c, &q, &a, &err), 0);
        client_free(c);
        stop(&s);
        assert_int_equal(a.status, 401);
        assert_null(strcasestr((const char *)s.received.data, "authorization"));
        client_answer_done(&a);
        buf_done(&s.received);
        unsetenv("http_proxy");
        unsetenv("ALL_PROXY");
        unlink(path);
        rmdir(home);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_http1),
                cmocka_unit_test(test_a_connection_is_kept),
                cmocka_unit_test(test_redirects_are_answers),
                cmocka_unit_test(test_a_body_is_bounded),
                cmocka_unit_test(test_headers_are_bounded),
                cmocka_unit_test(test_http2_trailers),
                cmocka_unit_test(test_http2_trailers_only),
                cmocka_unit_test(test_nobody_listens),
                cmocka_unit_test(test_no_answer),
                cmocka_unit_test(test_a_server_that_stands_still),
                cmocka_unit_test(test_wrong_requests),
                cmocka_unit_test(test_the_environment_counts_for_nothing),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
