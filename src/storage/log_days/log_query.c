/* Reads the files that can match, line by line. In a line that this program wrote, time and severity are at the
 * beginning, and are read there. Any other line is parsed as JSON. */
#include "storage/log_days/log_query.h"

#include <errno.h>
#include <json.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json/json_read.h"
#include "protocol/json/json_text.h"
#include "storage/log_days/log_day.h"
#include "storage/log_days/log_names.h"
#include "util/text/find_case.h"

#define NS_PER_SEC UINT64_C(1000000000)
#define DEPTH_MAX 64 /* attributes nest 32 deep */

char *log_filter_text(const char *words)
{
        _cleanup_(buf_done) struct buf quoted = { 0 };
        struct json_text json = { .buf = &quoted, .end_max = SIZE_MAX };
        json_text_string(&json, words, strlen(words));
        if (json.error)
                return NULL;
        quoted.len--; /* the quotes */
        buf_consume(&quoted, 1);
        return buf_take_str(&quoted);
}

/* ---- a line's head ---- */

struct head {
        uint64_t time, observed;
        int64_t severity;
};

static bool take_literal(const char **p, const char *end, const char *literal)
{
        size_t n = strlen(literal);
        if ((size_t)(end - *p) < n || memcmp(*p, literal, n) != 0)
                return false;
        *p += n;
        return true;
}

static bool take_u64(const char **p, const char *end, uint64_t *ret)
{
        const char *first = *p;
        uint64_t value = 0;
        for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
                if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(**p - '0'), &value))
                        return false;
        }
        *ret = value;
        return *p > first;
}

/* As otlp_render() writes it. */
static bool scan_head(const char *text, size_t len, struct head *ret)
{
        const char *p = text, *end = text + len;
        uint64_t severity;
        if (!take_literal(&p, end, "{\"time_unix_nano\":") || !take_u64(&p, end, &ret->time) ||
            !take_literal(&p, end, ",\"observed_time_unix_nano\":") || !take_u64(&p, end, &ret->observed) ||
            !take_literal(&p, end, ",\"severity_number\":"))
                return false;
        bool negative = take_literal(&p, end, "-");
        if (!take_u64(&p, end, &severity) || severity > INT32_MAX)
                return false;
        ret->severity = negative ? -(int64_t)severity : (int64_t)severity;
        return true;
}

/* In any order; a number may be a string. What is not a JSON object has no time and no severity. */
static void parse_head(const char *text, size_t len, struct head *ret)
{
        _cleanup_(json_read_freep) struct json_object *object = NULL;
        if (json_read_parse(text, len, DEPTH_MAX, &object) != 0)
                object = NULL;
        *ret = (struct head){
                .time = json_object_get_uint64(json_read_member(object, "time_unix_nano")),
                .observed = json_object_get_uint64(json_read_member(object, "observed_time_unix_nano")),
                .severity = json_object_get_int64(json_read_member(object, "severity_number")),
        };
}

/* ---- does it match ---- */

static bool has_text(const struct log_filter *f, const char *text, size_t len)
{
        return f->ignore_case ? find_case(text, len, f->text, f->text_len) != NULL
                              : memmem(text, len, f->text, f->text_len) != NULL;
}

static int compare_moments(struct moment a, struct moment b)
{
        return a.sec != b.sec ? (a.sec < b.sec ? -1 : 1) : a.nsec != b.nsec ? (a.nsec < b.nsec ? -1 : 1) : 0;
}

bool log_filter_fits(const struct log_filter *f, const char *text, size_t len, struct log_line *ret)
{
        struct head head;
        if (f->text && has_text(f, text, len) == f->invert)
                return false;
        if (!scan_head(text, len, &head))
                parse_head(text, len, &head);
        uint64_t ns = head.time ? head.time : head.observed;
        *ret = (struct log_line){
                .text = text,
                .len = len,
                .at = { .sec = (int64_t)(ns / NS_PER_SEC), .nsec = (uint32_t)(ns % NS_PER_SEC) },
                .severity = (int)head.severity,
        };
        return (f->severity == 0 || ret->severity >= f->severity) &&
               (!f->since || compare_moments(ret->at, *f->since) >= 0) &&
               (!f->until || compare_moments(ret->at, *f->until) < 0);
}

/* ---- the files ---- */

struct query {
        const struct log_filter *filter;
        log_line_cb cb;
        log_broken_cb broken;
        void *userdata;
        struct log_query_counts *counts;
};

/* *ret_stopped: cb ended the query, with the value that is returned. */
static int read_day(struct query *q, struct log_day *d, const struct source *source, bool *ret_stopped)
{
        const char *text;
        size_t len;
        int r;
        while ((r = log_day_next(d, &text, &len)) == LOG_DAY_LINE) {
                struct log_line line;
                q->counts->lines++;
                if (!log_filter_fits(q->filter, text, len, &line))
                        continue;
                q->counts->fits++;
                r = q->cb(q->userdata, source, &line);
                if (r != 0) {
                        *ret_stopped = true;
                        return r;
                }
        }
        return r;
}

static int query_file(struct query *q, int datadir_fd, const struct source *source, const char *day)
{
        _cleanup_(log_day_freep) struct log_day *d = NULL;
        bool stopped = false;
        int r = log_day_open(datadir_fd, source, day, &d);
        if (r == -ENOENT)
                return 0;
        if (r == 0) {
                q->counts->files++;
                r = read_day(q, d, source, &stopped);
                q->counts->passed_over += log_day_passed_over(d);
        }
        if (r == 0 || stopped || r == -ENOMEM)
                return r;
        q->counts->broken++;
        if (q->broken)
                q->broken(q->userdata, source, day, r);
        return 0;
}

int log_query(int datadir_fd, const struct log_filter *f, log_line_cb cb, log_broken_cb broken, void *userdata,
              struct log_query_counts *ret)
{
        _cleanup_(log_names_done) struct log_names names = { 0 };
        struct query q = { .filter = f, .cb = cb, .broken = broken, .userdata = userdata, .counts = ret };
        *ret = (struct log_query_counts){ 0 };
        int r = log_names_read(datadir_fd, f, true, &names);
        for (size_t i = 0; r == 0 && i < names.n_files; i++)
                r = query_file(&q, datadir_fd, &names.sources[names.files[i].source], names.files[i].day);
        return r;
}
