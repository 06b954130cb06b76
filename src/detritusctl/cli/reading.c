#include "detritusctl/cli/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/pager.h"
#include "detritusctl/screen/screen.h"
#include "storage/index/index_list.h"
#include "util/text/time_arg.h"

int reading_open_index(const struct ctl *ctl, struct index **ret)
{
        struct error err = { "out of memory" };
        int r = index_open_readonly(ctl->data_dir, ret, &err);
        return r == 0 ? CTL_OK : say_failed("%s", err.text);
}

int reading_open_data_dir(const struct ctl *ctl, int *ret_fd)
{
        int fd = open(ctl->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return say_failed("cannot open %s: %s", ctl->data_dir, strerror(errno));
        *ret_fd = fd;
        return CTL_OK;
}

int reading_failed(int r)
{
        if (r > 0 || ferror(stdout))
                return pager_was_quit() ? CTL_OK : CTL_FAILED;
        return say_failed("%s", strerror(-r));
}

int reading_moment(const char *option, const char *text, struct moment *ret)
{
        if (time_arg_moment(text, clock_now(), ret) == 0)
                return CTL_OK;
        return say_usage("%s: \"%s\" is no time: 2026-05-19T08:30:00Z, 2026-05-19, 2h, 3d", option, text);
}

int reading_count(const char *option, const char *text, uint64_t max, uint64_t *ret)
{
        char *rest;
        errno = 0;
        uint64_t value = strtoull(text, &rest, 10);
        if (*text < '0' || *text > '9' || *rest || errno != 0)
                return say_usage("%s is not a number", option);
        if (value > max)
                return say_usage("%s: at most %" PRIu64, option, max);
        *ret = value;
        return CTL_OK;
}

int reading_bytes(const char *option, const char *text, uint64_t *ret)
{
        if (config_parse_size(text, ret) == 0)
                return CTL_OK;
        return say_usage("%s: not a size: bytes, or a number with KiB, MiB or GiB", option);
}

const char *reading_text(struct json_object *object, const char *key)
{
        struct json_object *value = json_object_object_get(object, key);
        return value ? json_object_get_string(value) : "";
}

int reading_cursor(const char *text, struct index_cursor *ret)
{
        struct moment at;
        size_t len = INDEX_TIME_SIZE - 1;
        if (strlen(text) > len + 1 && text[len] == ',' && clock_parse_rfc3339(text, len, &at) == 0) {
                memcpy(ret->at, text, len);
                ret->at[len] = '\0';
                ret->id = reading_id(text + len + 1);
                if (ret->id >= 0)
                        return CTL_OK;
        }
        return say_usage("--after is not where a page ended: 2026-05-19T08:30:00.000Z,42");
}

int64_t reading_id(const char *text)
{
        size_t len = strlen(text);
        return len > 0 && len <= 18 && strspn(text, "0123456789") == len ? strtoll(text, NULL, 10) : -1;
}

void reading_say_more(const struct index_page *page, const char *what)
{
        if (page->looked_enough)
                say_below("looked at %" PRIu64 " panic texts, back to %s; look deeper with --depth, or go on with "
                          "--after %s,%" PRId64,
                          page->looked, page->end.at, page->end.at, page->end.id);
        else if (page->more)
                say_below("there is more: --after %s,%" PRId64, page->end.at, page->end.id);
        else if (page->n == 0 && screen_is_terminal())
                say_below("no %s fits", what);
}

bool reading_wait(int ms)
{
        struct pollfd out = { .fd = STDOUT_FILENO, .events = 0 }; /* POLLERR comes without being asked for */
        if (fflush(stdout) != 0)
                return false;
        return poll(&out, 1, ms) == 0 || (out.revents & (POLLERR | POLLNVAL)) == 0;
}
