#include "detritusctl/screen/screen.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detritusctl/screen/terminal.h"
#include "util/buf.h"

#define WIDE_COLUMNS 140

static struct {
        bool terminal, color;
        size_t columns;
} screen;

void screen_init(void)
{
        screen.terminal = isatty(STDOUT_FILENO);
        screen.columns = screen.terminal ? terminal_columns() : 0;
        screen_set_color("auto");
}

void screen_set_color(const char *when)
{
        const char *no_color = getenv("NO_COLOR"); /* no-color.org */
        bool wanted = screen.terminal && !(no_color && *no_color) && !screen_is_dumb();
        assert(strcmp(when, "always") == 0 || strcmp(when, "auto") == 0 || strcmp(when, "never") == 0);
        screen.color = strcmp(when, "always") == 0 || (strcmp(when, "auto") == 0 && wanted);
}

bool screen_is_terminal(void)
{
        return screen.terminal;
}

bool screen_is_dumb(void)
{
        const char *term = getenv("TERM");
        return term && strcmp(term, "dumb") == 0;
}

size_t screen_columns(void)
{
        return screen.columns;
}

bool screen_is_narrow(void)
{
        return screen.columns > 0 && screen.columns < WIDE_COLUMNS;
}

bool screen_has_color(void)
{
        return screen.color;
}

const char *screen_on(enum screen_style style)
{
        static const char *const codes[] = {
                [SCREEN_HEAD] = "\033[1m",  [SCREEN_DIM] = "\033[2m",  [SCREEN_GOOD] = "\033[32m",
                [SCREEN_WARN] = "\033[33m", [SCREEN_BAD] = "\033[31m",
        };
        assert((size_t)style < ARRAY_LEN(codes));
        return screen.color ? codes[style] : "";
}

const char *screen_off(void)
{
        return screen.color ? "\033[0m" : "";
}

static const struct {
        const char *name;
        uint64_t seconds;
} units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } };

void screen_duration(uint64_t seconds, char ret[SCREEN_TIME_SIZE])
{
        size_t i = 0;
        while (i + 1 < ARRAY_LEN(units) && seconds < units[i].seconds)
                i++;
        uint64_t n = seconds / units[i].seconds, rest = seconds % units[i].seconds;
        if (i + 1 < ARRAY_LEN(units) && rest / units[i + 1].seconds > 0 && n < 10)
                snprintf(ret, SCREEN_TIME_SIZE, "%" PRIu64 " %s %" PRIu64 " %s", n, units[i].name,
                         rest / units[i + 1].seconds, units[i + 1].name);
        else
                snprintf(ret, SCREEN_TIME_SIZE, "%" PRIu64 " %s", n, units[i].name);
}

void screen_relative(struct moment at, struct moment now, char ret[SCREEN_TIME_SIZE])
{
        uint64_t distance =
                at.sec > now.sec ? (uint64_t)at.sec - (uint64_t)now.sec : (uint64_t)now.sec - (uint64_t)at.sec;
        size_t i = 0;
        while (i + 1 < ARRAY_LEN(units) && distance < units[i].seconds)
                i++;
        if (distance == 0)
                snprintf(ret, SCREEN_TIME_SIZE, "now");
        else
                snprintf(ret, SCREEN_TIME_SIZE, at.sec > now.sec ? "in %" PRIu64 " %s" : "%" PRIu64 " %s ago",
                         distance / units[i].seconds, units[i].name);
}

void screen_moment(struct moment at, char ret[SCREEN_TIME_SIZE])
{
        char text[CLOCK_RFC3339_SIZE];
        if (screen.terminal) {
                screen_relative(at, clock_now(), ret);
                return;
        }
        at.nsec = 0;
        clock_format_rfc3339(at, text);
        snprintf(ret, SCREEN_TIME_SIZE, "%s", text);
}

void screen_time(const char *rfc3339, char ret[SCREEN_TIME_SIZE])
{
        struct moment at;
        if (rfc3339 && clock_parse_rfc3339(rfc3339, strlen(rfc3339), &at) == 0)
                screen_moment(at, ret);
        else
                snprintf(ret, SCREEN_TIME_SIZE, "%s", rfc3339 ? rfc3339 : "");
}

int screen_json(_unused_ void *userdata, const char *json)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        terminal_json(&line, json);
        buf_append_char(&line, '\n');
        return screen_put(&line);
}

int screen_json_line(struct buf *json)
{
        int r = buf_append_char(json, '\0');
        return r == 0 ? screen_json(NULL, (const char *)json->data) : r;
}

int screen_put(const struct buf *text)
{
        if (text->error)
                return text->error;
        return text->len == 0 || fwrite(text->data, 1, text->len, stdout) == text->len ? 0 : -EIO;
}

bool screen_wait(int ms)
{
        struct pollfd out = { .fd = STDOUT_FILENO, .events = 0 }; /* POLLERR needs no asking for */
        assert(ms >= 0);
        if (fflush(stdout) != 0)
                return false;
        return poll(&out, 1, ms) == 0 || (out.revents & (POLLERR | POLLNVAL)) == 0;
}
