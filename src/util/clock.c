#include "util/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t clock_monotonic_ns(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct moment clock_now(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (struct moment){ .sec = ts.tv_sec, .nsec = (uint32_t)ts.tv_nsec };
}

static void read_line(const char *path, char *ret, size_t size)
{
        ssize_t n = -1;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                n = read(fd, ret, size - 1);
                close(fd);
        }
        ret[n > 0 ? n : 0] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
}

uint64_t clock_uptime_secs(void)
{
        char text[64];
        read_line("/proc/uptime", text, sizeof(text));
        return strtoull(text, NULL, 10);
}

void clock_boot_id(char ret[CLOCK_BOOT_ID_SIZE])
{
        read_line("/proc/sys/kernel/random/boot_id", ret, CLOCK_BOOT_ID_SIZE);
}

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar, and back. Eras of 400 years starting in March
 * keep the leap day last. */
static int64_t days_from_date(int year, int month, int day)
{
        int64_t y = month <= 2 ? year - 1 : year;
        int64_t era = (y >= 0 ? y : y - 399) / 400;
        int64_t year_of_era = y - era * 400;
        int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        return era * 146097 + day_of_era - 719468;
}

struct date {
        int year, month, day;
};

static struct date date_from_days(int64_t days)
{
        days += 719468;
        int64_t era = (days >= 0 ? days : days - 146096) / 146097;
        int64_t day_of_era = days - era * 146097;
        int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        int64_t shifted_month = (5 * day_of_year + 2) / 153;
        int month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
        return (struct date){
                .year = (int)(year_of_era + era * 400 + (month <= 2)),
                .month = month,
                .day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1),
        };
}

static int days_in_month(int year, int month)
{
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        return month == 2 && leap ? 29 : days[month - 1];
}

struct cursor {
        const char *at, *end;
};

/* Exactly n digits within [low, high]. */
static bool take_number(struct cursor *c, int n, int low, int high, int *ret)
{
        int value = 0;
        if (c->end - c->at < n)
                return false;
        for (int i = 0; i < n; i++) {
                if (c->at[i] < '0' || c->at[i] > '9')
                        return false;
                value = value * 10 + (c->at[i] - '0');
        }
        c->at += n;
        *ret = value;
        return value >= low && value <= high;
}

static bool take_char(struct cursor *c, const char *set)
{
        if (c->at == c->end)
                return false;
        for (; *set; set++) {
                if (*c->at == *set) {
                        c->at++;
                        return true;
                }
        }
        return false;
}

static bool take_fraction(struct cursor *c, uint32_t *ret)
{
        uint32_t nsec = 0, scale = 100000000;
        const char *first = c->at;
        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
                nsec += (uint32_t)(*c->at - '0') * scale;
                scale /= 10;
        }
        *ret = nsec;
        return c->at > first;
}

static bool take_offset(struct cursor *c, int *ret_seconds)
{
        if (take_char(c, "Zz")) {
                *ret_seconds = 0;
                return true;
        }
        bool negative = c->at < c->end && *c->at == '-';
        int hours, minutes;
        if (!take_char(c, "+-") || !take_number(c, 2, 0, 23, &hours) || !take_char(c, ":") ||
            !take_number(c, 2, 0, 59, &minutes))
                return false;
        *ret_seconds = (hours * 60 + minutes) * (negative ? -60 : 60);
        return true;
}

int clock_parse_rfc3339(const char *text, size_t len, struct moment *ret)
{
        struct cursor c = { text, text + len };
        int year, month, day, hour, minute, second, offset;
        uint32_t nsec = 0;

        if (!take_number(&c, 4, 0, 9999, &year) || !take_char(&c, "-") || !take_number(&c, 2, 1, 12, &month) ||
            !take_char(&c, "-") || !take_number(&c, 2, 1, days_in_month(year, month), &day) || !take_char(&c, "Tt ") ||
            !take_number(&c, 2, 0, 23, &hour) || !take_char(&c, ":") || !take_number(&c, 2, 0, 59, &minute) ||
            !take_char(&c, ":") || !take_number(&c, 2, 0, 60, &second))
                return 1;
        if (take_char(&c, ".") && !take_fraction(&c, &nsec))
                return 1;
        if (!take_offset(&c, &offset) || c.at != c.end)
                return 1;
        if (second == 60)
                second = 59;
        int64_t sec = days_from_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
        if (sec < days_from_date(0, 1, 1) * 86400 || sec >= days_from_date(10000, 1, 1) * 86400)
                return 1; /* the offset moved it out of four-digit years */
        *ret = (struct moment){ .sec = sec, .nsec = nsec };
        return 0;
}

struct fields {
        struct date date;
        unsigned hour, minute, second;
};

static struct fields split(struct moment at)
{
        int64_t days = at.sec / 86400, rest = at.sec % 86400;
        if (rest < 0) {
                days--;
                rest += 86400;
        }
        return (struct fields){
                .date = date_from_days(days),
                .hour = (unsigned)(rest / 3600),
                .minute = (unsigned)(rest / 60 % 60),
                .second = (unsigned)(rest % 60),
        };
}

/* ".fff", ".ffffff" or ".fffffffff", whatever loses nothing; "" for zero. */
static void format_fraction(uint32_t nsec, char ret[12])
{
        if (nsec == 0)
                ret[0] = '\0';
        else if (nsec % 1000000 == 0)
                snprintf(ret, 12, ".%03u", nsec / 1000000 % 1000);
        else if (nsec % 1000 == 0)
                snprintf(ret, 12, ".%06u", nsec / 1000 % 1000000);
        else
                snprintf(ret, 12, ".%09u", nsec % 1000000000);
}

void clock_format_rfc3339(struct moment at, char ret[CLOCK_RFC3339_SIZE])
{
        struct fields f = split(at);
        char fraction[12];
        format_fraction(at.nsec, fraction);
        snprintf(ret, CLOCK_RFC3339_SIZE, "%04d-%02d-%02dT%02u:%02u:%02u%sZ", f.date.year, f.date.month, f.date.day,
                 f.hour, f.minute, f.second, fraction);
}

/* snprintf() would take most of the time of printing a log line. */
static char *put_number(char *to, uint32_t value, unsigned digits, char then)
{
        for (unsigned i = digits; i > 0; i--, value /= 10)
                to[i - 1] = (char)('0' + value % 10);
        to[digits] = then;
        return to + digits + 1;
}

void clock_format_fixed(struct moment at, unsigned digits, char ret[CLOCK_RFC3339_SIZE])
{
        assert(digits >= 1 && digits <= 9);
        struct fields f = split(at);
        uint32_t fraction = at.nsec % 1000000000;
        for (unsigned i = digits; i < 9; i++)
                fraction /= 10;
        char *to = put_number(ret, (uint32_t)f.date.year, 4, '-');
        to = put_number(to, (uint32_t)f.date.month, 2, '-');
        to = put_number(to, (uint32_t)f.date.day, 2, 'T');
        to = put_number(to, f.hour, 2, ':');
        to = put_number(to, f.minute, 2, ':');
        to = put_number(to, f.second, 2, '.');
        *put_number(to, fraction, digits, 'Z') = '\0';
}

void clock_format_stamp(struct moment at, char ret[CLOCK_STAMP_SIZE])
{
        struct fields f = split(at);
        char fraction[12];
        format_fraction(at.nsec, fraction);
        snprintf(ret, CLOCK_STAMP_SIZE, "%04d%02d%02dT%02u%02u%02u%sZ", f.date.year, f.date.month, f.date.day, f.hour,
                 f.minute, f.second, fraction);
}

void clock_format_day(struct moment at, char ret[CLOCK_DAY_SIZE])
{
        struct fields f = split(at);
        char day[CLOCK_RFC3339_SIZE];
        snprintf(day, sizeof(day), "%04d-%02d-%02d", f.date.year, f.date.month, f.date.day);
        snprintf(ret, CLOCK_DAY_SIZE, "%.10s", day);
}

bool clock_is_day(const char *text, size_t len)
{
        static const char shape[] = "dddd-dd-dd";
        if (len != sizeof(shape) - 1)
                return false;
        for (size_t i = 0; i < len; i++) {
                if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
                        return false;
        }
        return true;
}
