#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/crash/multipart.h"
#include "protocol/crash/multipart_head.h"
#include "util/buf.h"

/* Every fixture is parsed whole, cut in two at every byte, and in pieces of one to seven bytes; the transcript must
 * come out the same each time. A transcript joins content that arrives in several pieces. */

static const struct multipart_limits LIMITS = { .part_head_bytes = 200, .parts = 4 };

struct transcript {
        struct buf text;
        bool open;
        int stop_with; /* what the next event answers */
        const char *stop_at;
};

static int on_begin(void *userdata, const struct multipart_part *p)
{
        struct transcript *t = userdata;
        assert_false(t->open);
        t->open = true;
        buf_printf(&t->text, "<%s|%s|%s|%s>", p->name, p->filename ? p->filename : "-",
                   p->content_type ? p->content_type : "-", p->content_encoding ? p->content_encoding : "-");
        return t->stop_at && strcmp(t->stop_at, "begin") == 0 ? t->stop_with : 0;
}

static int on_data(void *userdata, const uint8_t *data, size_t len)
{
        struct transcript *t = userdata;
        assert_true(t->open);
        assert_true(len > 0);
        buf_append(&t->text, data, len);
        return t->stop_at && strcmp(t->stop_at, "data") == 0 ? t->stop_with : 0;
}

static int on_end(void *userdata)
{
        struct transcript *t = userdata;
        assert_true(t->open);
        t->open = false;
        buf_append_str(&t->text, "</>");
        return t->stop_at && strcmp(t->stop_at, "end") == 0 ? t->stop_with : 0;
}

static const struct multipart_events EVENTS = { on_begin, on_data, on_end };

/* Parses body in pieces: the first of `first` bytes, the others of `rest`. Returns the transcript, the outcome at its
 * end as "!<answer> <message>". */
static char *parse(const struct multipart_limits *limits, const char *body, size_t len, size_t first, size_t rest)
{
        _cleanup_(multipart_freep) struct multipart *m = NULL;
        struct transcript t = { 0 };
        struct refusal r = { 0 };
        int answer = 0;

        assert_int_equal(multipart_new("b", limits, &EVENTS, &t, &m), 0);
        for (size_t at = 0, n = first; at < len && answer == 0; at += n, n = rest) {
                if (n > len - at)
                        n = len - at;
                uint8_t *piece = malloc(n ? n : 1); /* its own block, so that ASan sees a read beyond */
                assert_non_null(piece);
                memcpy(piece, body + at, n);
                answer = multipart_write(m, piece, n, &r);
                free(piece);
        }
        if (answer == 0)
                answer = multipart_end(m, &r);
        if (answer != 0)
                buf_printf(&t.text, "!%d %s", answer, r.message);
        char *text = buf_take_str(&t.text);
        assert_non_null(text);
        return text;
}

static void expect_limited(const struct multipart_limits *limits, const char *body, size_t len, const char *expected)
{
        char *whole = parse(limits, body, len, len, len);
        assert_string_equal(whole, expected);
        free(whole);
        for (size_t cut = 0; cut <= len; cut++) {
                char *text = parse(limits, body, len, cut, len);
                assert_string_equal(text, expected);
                free(text);
        }
        for (size_t piece = 1; piece <= 7; piece++) {
                char *text = parse(limits, body, len, piece, piece);
                assert_string_equal(text, expected);
                free(text);
        }
}

#define EXPECT(body, expected) expect_limited(&LIMITS, body, sizeof(body) - 1, expected)

#define NAMED(name) "Content-Disposition: form-data; name=\"" name "\"\r\n"
#define ONE(head, content) "--b\r\n" head "\r\n" content "\r\n--b--\r\n"
#define MALFORMED "!1 multipart part "

static void test_parts(void **state)
{
        (void)state;
        EXPECT(ONE(NAMED("a"), "x"), "<a|-|-|->x</>");
        EXPECT(ONE(NAMED("a"), ""), "<a|-|-|-></>");
        EXPECT("--b\r\n" NAMED("a") "Content-Type: text/plain\r\n\r\none\r\n--b\r\n" NAMED(
                       "d") "content-encoding:  zstd \r\nX-Other: y\r\n\r\ntwo\r\n--b--",
               "<a|-|text/plain|->one</><d|-|-|zstd>two</>");
        EXPECT("--b--\r\n", "");
        EXPECT("--b--", "");
}

static void test_preamble_and_epilogue(void **state)
{
        (void)state;
        EXPECT("hello\r\n--c\r\n-\r\n" ONE(NAMED("a"), "x") "bye\r\n--b\r\nmore", "<a|-|-|->x</>");
        EXPECT("\r\n" ONE(NAMED("a"), "x"), "<a|-|-|->x</>");
        /* "x--b" is preamble; so is all that follows up to CRLF "--b", here the closing one */
        EXPECT("x" ONE(NAMED("a"), "x"), "");
}

static void test_padding(void **state)
{
        (void)state;
        EXPECT("--b \t \r\n" NAMED("a") "\r\nx\r\n--b-- \t", "<a|-|-|->x</>");
        EXPECT("--b \t \r\n" NAMED("a") "\r\nx\r\n--b-- \r\nepilogue", "<a|-|-|->x</>");
        EXPECT("--b\r\n" NAMED("a") "\r\nx\r\n--b \r\n" NAMED("c") "\r\ny\r\n--b--", "<a|-|-|->x</><c|-|-|->y</>");
}

static void test_content_that_looks_like_a_boundary(void **state)
{
        (void)state;
        EXPECT(ONE(NAMED("a"), "\r\n--c\r\n-\r\n--\r\r\n\r\r\n-\n--b\n--b\r--b"),
               "<a|-|-|->\r\n--c\r\n-\r\n--\r\r\n\r\r\n-\n--b\n--b\r--b</>");
        EXPECT(ONE(NAMED("a"), "\r\n\r\n"), "<a|-|-|->\r\n\r\n</>");
        EXPECT(ONE(NAMED("a"), "--c--b"), "<a|-|-|->--c--b</>");
        EXPECT(ONE(NAMED("a"), "\r\r\r\n-\r\n--"), "<a|-|-|->\r\r\r\n-\r\n--</>");
        /* RFC 2046 §5.1.1: the empty line's CRLF may be the delimiter's */
        EXPECT("--b\r\n" NAMED("a") "\r\n--b\r\n" NAMED("c") "\r\n--b--", "<a|-|-|-></><c|-|-|-></>");
}

static void test_after_the_boundary(void **state)
{
        (void)state;
        EXPECT("--bx\r\n", MALFORMED "1: expected CRLF after the boundary");
        EXPECT("--b\n" NAMED("a"), MALFORMED "1: expected CRLF after the boundary");
        EXPECT("--b \rx", MALFORMED "1: expected CRLF after the boundary");
        EXPECT("--b -", MALFORMED "1: expected CRLF after the boundary");
        EXPECT("--b-x", MALFORMED "1: expected '--' or CRLF");
        EXPECT("--b\r\n" NAMED("a") "\r\nx\r\n--b-\r\n", "<a|-|-|->x</>" MALFORMED "2: expected '--' or CRLF");
        EXPECT("--b--x", MALFORMED "1: expected CRLF or the end after the closing boundary");
        EXPECT("--b--\n", MALFORMED "1: expected CRLF or the end after the closing boundary");
        EXPECT("--b--\rx", MALFORMED "1: expected CRLF or the end after the closing boundary");
}

#define ENDED ": expected the closing boundary, but the body ended"

static void test_truncated(void **state)
{
        static const char body[] = "--b\r\n" NAMED("a") "\r\nxyz\r\n--b\r\n" NAMED("c") "\r\n\r\n--b--";
        (void)state;
        for (size_t len = 0; len < sizeof(body) - 1; len++) {
                char *text = parse(&LIMITS, body, len, len, len);
                const char *outcome = strchr(text, '!');
                assert_non_null(outcome);
                assert_non_null(strstr(outcome, ENDED));
                free(text);
        }
        EXPECT("", MALFORMED "1" ENDED);
        EXPECT("--b", MALFORMED "1" ENDED);
        EXPECT("--b\r\n" NAMED("a"), MALFORMED "1" ENDED);
        EXPECT("--b\r\n" NAMED("a") "\r\nx", "<a|-|-|->x" MALFORMED "1" ENDED);
        EXPECT("--b\r\n" NAMED("a") "\r\nx\r\n--b\r\n", "<a|-|-|->x</>" MALFORMED "2" ENDED);
}

static void test_header_lines(void **state)
{
        (void)state;
        EXPECT(ONE("cOnTeNt-DiSpOsItIoN:form-data;name=a\r\n", "x"), "<a|-|-|->x</>");
        EXPECT(ONE("", "x"), MALFORMED "1: expected a Content-Disposition header");
        EXPECT(ONE("X: y\r\n", "x"), MALFORMED "1: expected a Content-Disposition header");
        EXPECT(ONE(NAMED("a") " folded\r\n", "x"), MALFORMED "1: expected a header on one line");
        EXPECT(ONE("\tfolded\r\n", "x"), MALFORMED "1: expected a header on one line");
        EXPECT(ONE("X: y\n" NAMED("a"), "x"), MALFORMED "1: expected header lines to end in CRLF");
        EXPECT("--b\r\n\nx", MALFORMED "1: expected header lines to end in CRLF");
        EXPECT(ONE("X: y\rz\r\n" NAMED("a"), "x"), MALFORMED "1: expected header lines without control characters");
        EXPECT(ONE("X: y\0z\r\n" NAMED("a"), "x"), MALFORMED "1: expected header lines without control characters");
        EXPECT(ONE("X: y\x7f\r\n" NAMED("a"), "x"), MALFORMED "1: expected header lines without control characters");
        EXPECT(ONE("X y\r\n" NAMED("a"), "x"), MALFORMED "1: expected a header's name and a colon");
        EXPECT(ONE(": y\r\n" NAMED("a"), "x"), MALFORMED "1: expected a header's name and a colon");
        EXPECT(ONE("X : y\r\n" NAMED("a"), "x"), MALFORMED "1: expected a header's name and a colon");
        EXPECT(ONE(NAMED("a") NAMED("a"), "x"), MALFORMED "1: expected each header at most once");
        EXPECT(ONE(NAMED("a") "Content-Type: x\r\nContent-type: y\r\n", "x"),
               MALFORMED "1: expected each header at most once");
        EXPECT(ONE(NAMED("a") "Content-Encoding: x\r\nContent-Encoding: x\r\n", "x"),
               MALFORMED "1: expected each header at most once");
        EXPECT(ONE(NAMED("a") "X: 1\r\nX: \xff\r\n", "x"), "<a|-|-|->x</>"); /* unknown: whatever it says */
        EXPECT(ONE(NAMED("a") "Content-Type: \xff\r\n", "x"), MALFORMED "1: expected headers in UTF-8");
        EXPECT(ONE(NAMED("a") "Content-Type:\r\nContent-Encoding: \t \r\n", "x"), "<a|-||>x</>");
}

#define BAD_CHAR "\xef\xbf\xbd"
#define DISPOSITION(value) ONE("Content-Disposition: " value "\r\n", "x")

static void test_disposition(void **state)
{
        (void)state;
        EXPECT(DISPOSITION("Form-Data ; Name=\"a\" ; FileName=\"f.txt\";"), "<a|f.txt|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=b"), "<a|b|-|->x</>");
        EXPECT(DISPOSITION("form-data; filename=\"f\"; name=\"a;b=c\""), "<a;b=c|f|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=\"a\\\"b\\\\c\\d%22%0D%0A\""), "<a\"b\\c\\d%22%0D%0A|-|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=\"\""), "<|-|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=\"\xc3\xa9\"; filename*=UTF-8''%e2"), "<\xc3\xa9|" BAD_CHAR "|-|->x</>");
        EXPECT(DISPOSITION("attachment; name=a"), MALFORMED "1: expected Content-Disposition: form-data");
        EXPECT(DISPOSITION("form-datax; name=a"), MALFORMED "1: expected Content-Disposition: form-data");
        EXPECT(DISPOSITION("form-data"), MALFORMED "1: expected a name in Content-Disposition");
        EXPECT(DISPOSITION("form-data; name*=a"), MALFORMED "1: expected a name in Content-Disposition");
        EXPECT(DISPOSITION("form-data; name=a; name=b"), MALFORMED "1: expected one name in Content-Disposition");
}

/* However a file name is written, the part is taken. */
static void test_filenames(void **state)
{
        (void)state;
        EXPECT(DISPOSITION("form-data; filename=a; name=b; filename=c"), "<b|a|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=my file.txt ; x=y"), "<a|my file.txt|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename="), "<a||-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"\""), "<a||-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"my \"own\" file\""), "<a|my \"own\" file|-|->x</>");
        EXPECT(DISPOSITION("form-data; filename=\"my \"own\" file\"; name=a"), "<a|my \"own\" file|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"a\\\"b\""), "<a|a\"b|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"C:\\logs\\\""), "<a|C:\\logs\\|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"unending"), "<a|unending|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"a;b\""), "<a|a;b|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"na\xefve\""), "<a|na" BAD_CHAR "ve|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"\xc3\""), "<a|" BAD_CHAR "|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"a\tb\""), "<a|a b|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"a\0b\""), "<a|a" BAD_CHAR "b|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"\x1b[2J\x7f\""), "<a|" BAD_CHAR "[2J" BAD_CHAR "|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"\xc2\x9b\xe2\x80\xae.txt\""),
               "<a|" BAD_CHAR BAD_CHAR ".txt|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=\"../../etc\""), "<a|../../etc|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename*=utf-8''na%C3%AFve.log"), "<a|na\xc3\xafve.log|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename*=UTF-8'de'x%20y; filename=z"), "<a|x y|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename=z; FileName*=\"utf-8''q\""), "<a|q|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename*=iso-8859-1''na%EFve"), "<a|na\xc3\xafve|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename*=utf-8''a%zz%4"), "<a|a%zz%4|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename*=utf-8''a%00%0a%1bb"),
               "<a|a" BAD_CHAR BAD_CHAR BAD_CHAR "b|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename*=plain"), "<a|plain|-|->x</>");
        EXPECT(DISPOSITION("form-data; name=a; filename*0=x; filename*1=y"), "<a|-|-|->x</>");
}

#define BAD_PARAMS MALFORMED "1: expected parameters as key=value in Content-Disposition"
#define BAD_TEXT MALFORMED "1: expected a name in UTF-8 without control characters"

static void test_disposition_malformed(void **state)
{
        (void)state;
        EXPECT(DISPOSITION("form-data name=a"), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name"), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name="), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name =a"), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; =a"), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name=\"a"), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name=\"a\\\""), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name=\"a\"b"), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name=a b"), BAD_PARAMS);
        EXPECT(DISPOSITION("form-data; name=a\"b"), BAD_TEXT);
        EXPECT(DISPOSITION("form-data; name=\"a\tb\""), BAD_TEXT);
        EXPECT(DISPOSITION("form-data; name=\"\xff\""), BAD_TEXT);
        EXPECT(DISPOSITION("form-data; name=\"a\x1b\""), BAD_TEXT);
        EXPECT(DISPOSITION("form-data; name=\"a\0b\""), BAD_TEXT);
}

/* The message has the number of the second part. */
static void test_numbering(void **state)
{
        (void)state;
        EXPECT("--b\r\n" NAMED("a") "\r\nx\r\n--b\r\nX\r\n\r\n",
               "<a|-|-|->x</>" MALFORMED "2: expected a header's name and a colon");
}

static void test_limit_of_parts(void **state)
{
        const struct multipart_limits two = { .part_head_bytes = 100, .parts = 2 };
        (void)state;
#define PART "--b\r\n" NAMED("a") "\r\nx\r\n"
        static const char n[] = PART PART "--b--", n_plus_1[] = PART PART PART "--b--";
        expect_limited(&two, n, sizeof(n) - 1, "<a|-|-|->x</><a|-|-|->x</>");
        expect_limited(&two, n_plus_1, sizeof(n_plus_1) - 1,
                       "<a|-|-|->x</><a|-|-|->x</>!8 more than 2 multipart parts");
}

static void test_limit_of_head(void **state)
{
        static const char head[] = NAMED("a") "X: 1\r\n", body[] = ONE(NAMED("a") "X: 1\r\n", "x");
        struct multipart_limits limits = { .part_head_bytes = sizeof(head) - 1, .parts = 2 };
        (void)state;
        expect_limited(&limits, body, sizeof(body) - 1, "<a|-|-|->x</>");
        for (size_t less = 1; less <= 4; less++) {
                char expected[100];
                limits.part_head_bytes = sizeof(head) - 1 - less;
                snprintf(expected, sizeof(expected), "!8 multipart part 1: more than %zu bytes of header lines",
                         limits.part_head_bytes);
                expect_limited(&limits, body, sizeof(body) - 1, expected);
        }
}

/* A line that never ends is refused as it comes, not kept. */
static void test_endless_head(void **state)
{
        char body[400];
        (void)state;
        memset(body, 'x', sizeof(body));
        memcpy(body, "--b\r\n", 5);
        expect_limited(&LIMITS, body, sizeof(body), "!8 multipart part 1: more than 200 bytes of header lines");
}

static void test_limit_of_preamble(void **state)
{
        static const char after[] = "\r\n" ONE(NAMED("a"), "x");
        char body[8193 + sizeof(after)];
        (void)state;
        for (size_t n = 8192; n <= 8193; n++) {
                memset(body, '.', n);
                memcpy(body + n, after, sizeof(after) - 1);
                const char *expected = n == 8192 ? "<a|-|-|->x</>" : MALFORMED "1: expected a boundary within 8 KiB";
                for (size_t piece = 1; piece < 20000; piece = piece * 3 + 1) {
                        char *text = parse(&LIMITS, body, n + sizeof(after) - 1, piece, piece);
                        assert_string_equal(text, expected);
                        free(text);
                }
        }
}

static void test_events_stop_the_parser(void **state)
{
        static const char body[] = ONE(NAMED("a"), "x");
        static const char *const where[] = { "begin", "data", "end" };
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(where); i++) {
                _cleanup_(multipart_freep) struct multipart *m = NULL;
                struct transcript t = { .stop_at = where[i], .stop_with = ANSWER_FORBIDDEN };
                struct refusal r = { .message = "untouched" };
                assert_int_equal(multipart_new("b", &LIMITS, &EVENTS, &t, &m), 0);
                assert_int_equal(multipart_write(m, (const uint8_t *)body, sizeof(body) - 1, &r), ANSWER_FORBIDDEN);
                assert_string_equal(r.message, "untouched");
                buf_done(&t.text);
        }
}

struct span {
        const uint8_t *data;
        size_t len;
        unsigned calls;
};

static int ignore_begin(void *userdata, const struct multipart_part *part)
{
        (void)userdata, (void)part;
        return 0;
}

static int note_span(void *userdata, const uint8_t *data, size_t len)
{
        *(struct span *)userdata = (struct span){ data, len, ((struct span *)userdata)->calls + 1 };
        return 0;
}

static int ignore_end(void *userdata)
{
        (void)userdata;
        return 0;
}

/* A large chunk goes to the event as it is, in one call. */
static void test_content_is_not_copied(void **state)
{
        static const struct multipart_events events = { ignore_begin, note_span, ignore_end };
        static uint8_t content[1 << 20];
        _cleanup_(multipart_freep) struct multipart *m = NULL;
        struct span span = { 0 };
        struct refusal r = { 0 };
        (void)state;
        for (size_t i = 0; i < sizeof(content); i++)
                content[i] = i % 5 ? (uint8_t)i : '\r';
        content[sizeof(content) - 1] = 'x';
        assert_int_equal(multipart_new("b", &LIMITS, &events, &span, &m), 0);
        static const char head[] = "--b\r\n" NAMED("a") "\r\n";
        assert_int_equal(multipart_write(m, (const uint8_t *)head, sizeof(head) - 1, &r), 0);
        assert_int_equal(multipart_write(m, content, sizeof(content), &r), 0);
        assert_int_equal(span.calls, 1);
        assert_ptr_equal(span.data, content);
        assert_int_equal(span.len, sizeof(content));
}

static void expect_boundary(const char *content_type, int answer, const char *expected)
{
        char boundary[MULTIPART_BOUNDARY_MAX + 1] = "untouched";
        struct refusal r = { 0 };
        assert_int_equal(multipart_head_boundary(content_type, boundary, &r), answer);
        if (answer == 0)
                assert_string_equal(boundary, expected);
        else
                assert_non_null(strstr(r.message, expected));
        if (answer != 0)
                assert_string_equal(boundary, "untouched");
}

#define SEVENTY "0123456789012345678901234567890123456789012345678901234567890123456789"

static void test_boundary(void **state)
{
        (void)state;
        expect_boundary("multipart/form-data; boundary=abc", 0, "abc");
        expect_boundary("Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b'()+_,-./:=?c\" ; x=y", 0, "a b'()+_,-./:=?c");
        expect_boundary("multipart/form-data; boundary=----WebKit=/x", 0, "----WebKit=/x");
        expect_boundary("multipart/form-data; boundary=" SEVENTY, 0, SEVENTY);
        expect_boundary("multipart/form-data; boundary=" SEVENTY "x", ANSWER_MALFORMED, "missing multipart boundary");
        static const char *const bad[] = { "",
                                           ";",
                                           "; boundary",
                                           "; boundary=",
                                           "; boundary=\"\"",
                                           "; boundary=\"a",
                                           "; boundary=\"a \"",
                                           "; boundary=a!b",
                                           "; boundary=\"a\\\"b\"",
                                           "; boundary=\"a\r\nb\"",
                                           "; boundary=\xc3\xa9",
                                           "; boundary=a; boundary=b",
                                           "; boundary=a b",
                                           "; xboundary=a" };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                char value[100];
                snprintf(value, sizeof(value), "multipart/form-data%s", bad[i]);
                expect_boundary(value, ANSWER_MALFORMED, "missing multipart boundary");
        }
        expect_boundary("multipart/form-datax; boundary=a", ANSWER_MEDIA_TYPE, "multipart/form-data");
        expect_boundary("multipart/mixed; boundary=a", ANSWER_MEDIA_TYPE, "multipart/form-data");
        expect_boundary("", ANSWER_MEDIA_TYPE, "multipart/form-data");
        expect_boundary(NULL, ANSWER_MEDIA_TYPE, "multipart/form-data");
}

static void test_long_boundary(void **state)
{
        static const char body[] = "--" SEVENTY "\r\n" NAMED("a") "\r\nx\r\n--" SEVENTY "--";
        _cleanup_(multipart_freep) struct multipart *m = NULL;
        struct transcript t = { 0 };
        struct refusal r = { 0 };
        (void)state;
        assert_int_equal(multipart_new(SEVENTY "x", &LIMITS, &EVENTS, &t, &m), -EINVAL);
        assert_int_equal(multipart_new("", &LIMITS, &EVENTS, &t, &m), -EINVAL);
        assert_int_equal(multipart_new(SEVENTY, &LIMITS, &EVENTS, &t, &m), 0);
        assert_int_equal(multipart_write(m, (const uint8_t *)body, sizeof(body) - 1, &r), 0);
        assert_int_equal(multipart_end(m, &r), 0);
        assert_false(t.open);
        buf_done(&t.text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parts),
                cmocka_unit_test(test_preamble_and_epilogue),
                cmocka_unit_test(test_padding),
                cmocka_unit_test(test_content_that_looks_like_a_boundary),
                cmocka_unit_test(test_after_the_boundary),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_header_lines),
                cmocka_unit_test(test_disposition),
                cmocka_unit_test(test_filenames),
                cmocka_unit_test(test_disposition_malformed),
                cmocka_unit_test(test_numbering),
                cmocka_unit_test(test_limit_of_parts),
                cmocka_unit_test(test_limit_of_head),
                cmocka_unit_test(test_endless_head),
                cmocka_unit_test(test_limit_of_preamble),
                cmocka_unit_test(test_events_stop_the_parser),
                cmocka_unit_test(test_content_is_not_copied),
                cmocka_unit_test(test_boundary),
                cmocka_unit_test(test_long_boundary),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
