#include "util/text/time_arg.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_MAX (INT64_C(9999) * 366 * 86400)

static int64_t unit_seconds(char unit)
{
        switch (unit) {
        case 's': return 1;
        case 'm': return 60;
        case 'h': return 3600;
        case 'd': return 86400;
        case 'w': return 7 * 86400;
        default: return 0;
        }
}

int time_arg_duration(const char *text, int64_t *ret_seconds)
{
        int64_t sum = 0;
        if (!*text)
                return TIME_ARG_BAD;
        while (*text) {
                int64_t value = 0;
                size_t digits = strspn(text, "0123456789");
                if (digits == 0 || digits > 12)
                        return TIME_ARG_BAD;
                for (size_t i = 0; i < digits; i++)
                        value = value * 10 + (text[i] - '0');
                int64_t unit = unit_seconds(text[digits]);
                if (unit == 0 || value > (SECONDS_MAX - sum) / unit)
                        return TIME_ARG_BAD;
                sum += value * unit;
                text += digits + 1;
        }
        *ret_seconds = sum;
        return 0;
}

int time_arg_moment(const char *text, struct moment now, struct moment *ret)
{
        char day[CLOCK_RFC3339_SIZE];
        int64_t ago;
        size_t len = strlen(text);
        if (strcmp(text, "now") == 0) {
                *ret = now;
                return 0;
        }
        if (time_arg_duration(text, &ago) == 0) {
                if (now.sec - ago < CLOCK_FIRST_SECOND)
                        return TIME_ARG_BAD;
                *ret = (struct moment){ .sec = now.sec - ago, .nsec = now.nsec };
                return 0;
        }
        if (clock_is_day(text, len)) {
                snprintf(day, sizeof(day), "%sT00:00:00Z", text);
                return clock_parse_rfc3339(day, strlen(day), ret) == 0 ? 0 : TIME_ARG_BAD;
        }
        return clock_parse_rfc3339(text, len, ret) == 0 ? 0 : TIME_ARG_BAD;
}
