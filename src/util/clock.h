#pragma once
/* Time: now, days, and RFC 3339 text. Pure, except for the two clocks. Thread-safe. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_FIRST_SECOND INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define CLOCK_LAST_SECOND INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */

#define CLOCK_DAY_SIZE 11     /* "YYYY-MM-DD" + NUL */
#define CLOCK_RFC3339_SIZE 36 /* "YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ" + NUL, with slack */
#define CLOCK_STAMP_SIZE 32   /* "YYYYMMDDTHHMMSS.nnnnnnnnnZ" + NUL */

/* A moment in UTC. nsec is 0..999,999,999; sec counts from 1970-01-01T00:00:00Z. */
struct moment {
        int64_t sec;
        uint32_t nsec;
};

uint64_t clock_monotonic_ns(void);
struct moment clock_now(void); /* CLOCK_REALTIME */
/* Since the kernel started, suspended or not, as the kernel itself says in /proc; 0 when it does not. */
uint64_t clock_uptime_secs(void);
#define CLOCK_BOOT_ID_SIZE 40
void clock_boot_id(char ret[CLOCK_BOOT_ID_SIZE]); /* another one each time the kernel starts; "": unknown */

/* RFC 3339 §5.6 date-time with any offset ("Z", "z", "+02:00", "-00:00"), "T"/"t"/" " between date and time, any
 * number of fraction digits (those after nanoseconds are cut). Years 0000..9999. A leap second (:60) is taken as :59.
 * Returns 0, or 1 when the text is not a date-time. */
int clock_parse_rfc3339(const char *text, size_t len, struct moment *ret);

/* "2026-05-19T00:00:00Z", the fraction with 3, 6 or 9 digits, none when it is zero. */
void clock_format_rfc3339(struct moment at, char ret[CLOCK_RFC3339_SIZE]);

/* "2026-05-19T00:00:00.000Z": always with that many fraction digits (1..9; the rest is cut), so that such texts sort by
 * time. */
void clock_format_fixed(struct moment at, unsigned digits, char ret[CLOCK_RFC3339_SIZE]);

/* "20260519T000000Z", with the fraction as above: the <stamp> in the name of a crash's JSON file. */
void clock_format_stamp(struct moment at, char ret[CLOCK_STAMP_SIZE]);

/* The UTC day of a moment: "2026-05-19". */
void clock_format_day(struct moment at, char ret[CLOCK_DAY_SIZE]);
/* Is it like a day: ten bytes, digits and dashes where they belong? */
bool clock_is_day(const char *text, size_t len);
