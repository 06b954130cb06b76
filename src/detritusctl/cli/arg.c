#include "detritusctl/cli/arg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "detritusctl/cli/ctl.h"
#include "detritusctl/cli/say.h"
#include "util/text/time_arg.h"

int arg_moment(const char *option, const char *text, struct moment *ret)
{
        if (time_arg_moment(text, clock_now(), ret) == 0)
                return CTL_OK;
        return say_usage(
                "%s: \"%s\" is not a time; use a time like 2026-05-19T08:30:00Z, a day like 2026-05-19, or how long "
                "ago, like 2h or 3d",
                option, text);
}

int arg_count(const char *option, const char *text, uint64_t max, uint64_t *ret)
{
        char *rest;
        errno = 0;
        uint64_t value = strtoull(text, &rest, 10);
        if (*text < '0' || *text > '9' || *rest || errno != 0)
                return say_usage("%s: \"%s\" is not a number", option, text);
        if (value > max)
                return say_usage("%s: %s is too large; the largest value is %" PRIu64, option, text, max);
        *ret = value;
        return CTL_OK;
}

int arg_bytes(const char *option, const char *text, uint64_t *ret)
{
        if (config_parse_size(text, ret) == 0)
                return CTL_OK;
        return say_usage(
                "%s: \"%s\" is not a size; use a number of bytes, or a number with KiB, MiB or GiB, like 64MiB", option,
                text);
}

int64_t arg_id(const char *text)
{
        size_t len = strlen(text);
        return len > 0 && len <= 18 && strspn(text, "0123456789") == len ? strtoll(text, NULL, 10) : -1;
}
