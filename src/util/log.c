#include "util/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"

static enum log_format log_format = LOG_FORMAT_PRETTY;
static enum log_level log_min = LOG_LEVEL_INFO;

void log_setup(enum log_format format, enum log_level min)
{
        log_format = format;
        log_min = min;
}

static const char *const level_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

/* JSON string content, in ASCII alone: a byte above 0x7E is written as if it were Latin-1, so that whatever a peer sent
 * the line stays valid JSON and harmless on a terminal. */
static void append_escaped(struct buf *b, const char *s)
{
        for (const uint8_t *p = (const uint8_t *)s; *p; p++) {
                if (*p == '"' || *p == '\\')
                        buf_printf(b, "\\%c", *p);
                else if (*p < 0x20 || *p >= 0x7F)
                        buf_printf(b, "\\u%04x", *p);
                else
                        buf_append_char(b, (char)*p);
        }
}

static bool is_plain(const char *s)
{
        if (!*s)
                return false;
        for (const uint8_t *p = (const uint8_t *)s; *p; p++) {
                if (*p <= 0x20 || *p >= 0x7F || *p == '"' || *p == '=' || *p == '\\')
                        return false;
        }
        return true;
}

static void append_json(struct buf *b, enum log_level level, const char *time, const char *message,
                        const struct log_field *fields)
{
        buf_printf(b, "{\"timestamp\":\"%s\",\"level\":\"%s\",\"message\":\"", time, level_names[level]);
        append_escaped(b, message);
        buf_append_char(b, '"');
        for (const struct log_field *f = fields; f->key; f++) {
                buf_printf(b, ",\"%s\":", f->key);
                if (f->str) {
                        buf_append_char(b, '"');
                        append_escaped(b, f->str);
                        buf_append_char(b, '"');
                } else {
                        buf_printf(b, "%lld", (long long)f->num);
                }
        }
        buf_append_char(b, '}');
}

static void append_pretty(struct buf *b, enum log_level level, const char *time, const char *message,
                          const struct log_field *fields)
{
        buf_printf(b, "%s %5s %s", time, level_names[level], message);
        for (const struct log_field *f = fields; f->key; f++) {
                buf_printf(b, " %s=", f->key);
                if (!f->str) {
                        buf_printf(b, "%lld", (long long)f->num);
                } else if (is_plain(f->str)) {
                        buf_append_str(b, f->str);
                } else {
                        buf_append_char(b, '"');
                        append_escaped(b, f->str);
                        buf_append_char(b, '"');
                }
        }
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
        if (level < log_min)
                return;
        _cleanup_(buf_done) struct buf line = { 0 };
        char time[CLOCK_RFC3339_SIZE];
        struct moment now = clock_now();
        now.nsec -= now.nsec % 1000;
        clock_format_rfc3339(now, time);
        if (log_format == LOG_FORMAT_JSON)
                append_json(&line, level, time, message, fields);
        else
                append_pretty(&line, level, time, message, fields);
        if (buf_append_char(&line, '\n') < 0 && line.len > 0)
                line.data[line.len - 1] = '\n'; /* what there was memory for is still a line of its own */
        ssize_t n = write(STDERR_FILENO, line.data, line.len);
        (void)n; /* a log that cannot be written has nowhere to complain */
}
