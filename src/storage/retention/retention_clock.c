/* The rule, in order:
 *
 *   1. A clock before the floor is wrong. What is received meanwhile is remembered, and counts as received when the
 *      clock is corrected.
 *   2. In the same boot as the last believed cycle, the clock must have moved as far as the uptime has.
 *   3. After another boot it must not be behind that cycle. If it is more than a day ahead of it, and a tenth of what
 *      is stored would expire at once, that may be a machine that was off for long, or a wrong clock.
 *   4. Where nothing is known, as at the first start, the clock is believed.
 *
 * A clock that is doubted is believed after a day in which it ran steadily, or when an operator confirms it. A shorter
 * time to live since the last cycle is the operator's wish, so what expires because of it is not counted.
 *
 * Failure modes: a file that cannot be read or written is logged; nothing is known then. An index that cannot be read
 * leaves the clock in doubt. */
#include "storage/retention/retention_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/json/json_read.h"
#include "protocol/json/json_write.h"
#include "storage/index/index_read.h"
#include "util/files/durable.h"
#include "util/files/regular.h"
#include "util/log.h"

#define FILE_MAX_BYTES 4096
#define SAVE_INTERVAL_SECS 60 /* a cycle may come each second */
#define SECONDS_PER_DAY 86400
#define AFTER_ANY_DAY "9999-99-99"

/* ---- samples ---- */

static struct moment take_sample(struct retention_clock_sample *ret)
{
        struct moment now = clock_now();
        *ret = (struct retention_clock_sample){ .wall_secs = now.sec, .uptime_secs = clock_uptime_secs() };
        clock_boot_id(ret->boot_id);
        return now;
}

static bool same_boot(const struct retention_clock_sample *a, const struct retention_clock_sample *b)
{
        return a->boot_id[0] && strcmp(a->boot_id, b->boot_id) == 0 && a->uptime_secs <= b->uptime_secs;
}

/* By how much the clock moved more than time did; both are of one boot. */
static int64_t jump_secs(const struct retention_clock_sample *from, const struct retention_clock_sample *to)
{
        return (to->wall_secs - from->wall_secs) - (int64_t)(to->uptime_secs - from->uptime_secs);
}

static bool is_steady(int64_t jump)
{
        return jump <= RETENTION_CLOCK_TOLERANCE_SECS && jump >= -RETENTION_CLOCK_TOLERANCE_SECS;
}

/* ---- the file ---- */

static void write_sample(struct json_write *w, const char *key, const struct retention_clock_sample *s)
{
        if (s->wall_secs == 0)
                return;
        json_write_object(w, key);
        json_write_i64(w, "wall_secs", s->wall_secs);
        json_write_u64(w, "uptime_secs", s->uptime_secs);
        json_write_string(w, "boot_id", s->boot_id);
        json_write_end(w);
}

static void save(struct retention_clock *c, int datadir_fd, const struct retention_clock_sample *now)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        struct json_write w = json_write_to(&text);
        json_write_object(&w, NULL);
        write_sample(&w, "believed", &c->believed);
        json_write_u64(&w, "logs_ttl_days", c->logs_ttl_days);
        json_write_u64(&w, "crashes_ttl_days", c->crashes_ttl_days);
        write_sample(&w, "doubted", &c->doubted);
        json_write_u64(&w, "steady_secs", c->steady_secs);
        json_write_i64(&w, "wrong_until_secs", c->wrong_until_secs);
        json_write_i64(&w, "corrected_secs", c->corrected_secs);
        json_write_end(&w);
        buf_append_char(&text, '\n');
        int e = json_write_finish(&w);
        if (e == 0)
                e = durable_mkdirs_later(datadir_fd, "journal"); /* without syncs there is no journal */
        if (e == 0)
                e = durable_replace_file_later(datadir_fd, RETENTION_CLOCK_FILE, text.data, text.len, 0640);
        if (e < 0)
                log_warn("cannot keep what is known of time", LOG_STR("file", RETENTION_CLOCK_FILE),
                         LOG_STR("error", strerror(-e)));
        c->saved_uptime_secs = now->uptime_secs;
}

static void read_sample(struct json_object *tree, const char *key, struct retention_clock_sample *ret)
{
        struct json_object *s = json_read_member(tree, key);
        *ret = (struct retention_clock_sample){ .wall_secs = json_read_i64(s, "wall_secs"),
                                                .uptime_secs = json_read_u64(s, "uptime_secs") };
        snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", json_read_string(s, "boot_id") ?: "");
}

/* 0; 1: it is no such file; or -errno. */
static int read_file(struct retention_clock *c, int datadir_fd)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        _cleanup_(json_read_freep) struct json_object *tree = NULL;
        _cleanup_(closep) int fd = -1;
        int e = regular_open(datadir_fd, RETENTION_CLOCK_FILE, &fd, NULL);
        if (e < 0)
                return e == -ENOENT ? 0 : e;
        e = buf_read_fd(&text, fd, FILE_MAX_BYTES);
        if (e == 0)
                e = json_read_parse((const char *)text.data, text.len, 4, &tree);
        if (e != 0)
                return e;
        read_sample(tree, "believed", &c->believed);
        read_sample(tree, "doubted", &c->doubted);
        c->logs_ttl_days = (unsigned)json_read_u64(tree, "logs_ttl_days");
        c->crashes_ttl_days = (unsigned)json_read_u64(tree, "crashes_ttl_days");
        c->steady_secs = json_read_u64(tree, "steady_secs");
        c->wrong_until_secs = json_read_i64(tree, "wrong_until_secs");
        c->corrected_secs = json_read_i64(tree, "corrected_secs");
        return 0;
}

static void load(struct retention_clock *c, int datadir_fd)
{
        if (c->loaded)
                return;
        int e = read_file(c, datadir_fd);
        if (e != 0)
                log_warn("cannot read what was known of time", LOG_STR("file", RETENTION_CLOCK_FILE),
                         LOG_STR("error", e < 0 ? strerror(-e) : "it is not JSON"));
        c->loaded = true;
}

/* ---- what would expire ---- */

static void day_before(int64_t wall_secs, unsigned days, char ret[CLOCK_DAY_SIZE])
{
        clock_format_day((struct moment){ .sec = wall_secs - (int64_t)days * SECONDS_PER_DAY }, ret);
}

static unsigned longer(unsigned a, unsigned b)
{
        return a > b ? a : b;
}

/* A time to live of 0 deletes everything anyway. */
static int survey_expired(struct index *index, const struct retention_clock *c, int64_t wall_secs,
                          struct retention_clock_ttl ttl, struct index_survey *ret)
{
        char day[CLOCK_DAY_SIZE] = "";
        struct index_scope scope = { .received_before = { .sec = CLOCK_FIRST_SECOND }, .day_before = day };
        if (ttl.logs_days > 0)
                day_before(wall_secs, longer(ttl.logs_days, c->logs_ttl_days), day);
        if (ttl.crashes_days > 0)
                scope.received_before.sec =
                        wall_secs - (int64_t)longer(ttl.crashes_days, c->crashes_ttl_days) * SECONDS_PER_DAY;
        return index_survey(index, &scope, ret);
}

static bool is_a_tenth(uint64_t part, uint64_t of)
{
        return part > 0 && part >= of / 10;
}

/* 0 or -errno. */
static int would_much_expire(const char *data_dir, const struct retention_clock *c, int64_t wall_secs,
                             struct retention_clock_ttl ttl, bool *ret)
{
        _cleanup_(index_freep) struct index *index = NULL;
        const struct index_scope everything = { .received_before = { .sec = CLOCK_LAST_SECOND },
                                                .day_before = AFTER_ANY_DAY };
        struct index_survey expired, all;
        struct error err;
        int e = index_open_readonly(data_dir, &index, &err);
        if (e == 0)
                e = survey_expired(index, c, wall_secs, ttl, &expired);
        if (e == 0)
                e = index_survey(index, &everything, &all);
        if (e == 0)
                *ret = is_a_tenth(expired.crashes, all.crashes) || is_a_tenth(expired.log_files, all.log_files);
        return e > 0 ? -EINVAL : e;
}

/* ---- the judgement ---- */

static void say(char reason[RETENTION_CLOCK_REASON_SIZE], const char *format, ...) _printf_(2, 3);
static void say(char reason[RETENTION_CLOCK_REASON_SIZE], const char *format, ...)
{
        va_list args;
        va_start(args, format);
        vsnprintf(reason, RETENTION_CLOCK_REASON_SIZE, format, args);
        va_end(args);
}

static void format_span(int64_t secs, char ret[32])
{
        if (secs >= 2 * SECONDS_PER_DAY)
                snprintf(ret, 32, "%" PRId64 " days", secs / SECONDS_PER_DAY);
        else if (secs >= 2 * 3600)
                snprintf(ret, 32, "%" PRId64 " hours", secs / 3600);
        else
                snprintf(ret, 32, "%" PRId64 " minutes", secs / 60);
}

static void compare_with_uptime(const struct retention_clock *c, const struct retention_clock_sample *now, char *reason)
{
        char span[32];
        int64_t jump = jump_secs(&c->believed, now);
        if (is_steady(jump))
                return;
        format_span(jump < 0 ? -jump : jump, span);
        say(reason, "the clock was set %s by %s since the last retention cycle", jump < 0 ? "back" : "ahead", span);
}

/* What was received since then says nothing: it came under the same clock. */
static void compare_with_last_cycle(const struct retention_clock *c, const struct retention_clock_sample *now,
                                    const char *data_dir, struct retention_clock_ttl ttl, char *reason)
{
        char span[32];
        bool much = false;
        int64_t since_cycle = now->wall_secs - c->believed.wall_secs;
        format_span(since_cycle < 0 ? -since_cycle : since_cycle, span);
        if (since_cycle < -RETENTION_CLOCK_TOLERANCE_SECS) {
                say(reason, "the clock is %s behind that of the last retention cycle", span);
                return;
        }
        if (since_cycle <= RETENTION_CLOCK_GAP_SECS)
                return;
        int e = would_much_expire(data_dir, c, now->wall_secs, ttl, &much);
        if (e < 0)
                say(reason,
                    "by the clock the last retention cycle was %s ago, and the index cannot tell what would "
                    "expire: %s",
                    span, strerror(-e));
        else if (much)
                say(reason,
                    "by the clock the last retention cycle was %s ago, and much of what is stored would expire at "
                    "once",
                    span);
}

/* Has the doubted clock run steadily for long enough? */
static bool has_been_steady(struct retention_clock *c, const struct retention_clock_sample *now)
{
        if (c->doubted.wall_secs == 0)
                c->steady_secs = 0;
        else if (!same_boot(&c->doubted, now)) /* how long it was off nobody knows, but not for days */
                c->steady_secs = now->wall_secs + RETENTION_CLOCK_TOLERANCE_SECS < c->doubted.wall_secs ||
                                                 now->wall_secs - c->doubted.wall_secs > RETENTION_CLOCK_GAP_SECS
                                         ? 0
                                         : c->steady_secs;
        else if (is_steady(jump_secs(&c->doubted, now)))
                c->steady_secs += now->uptime_secs - c->doubted.uptime_secs;
        else
                c->steady_secs = 0;
        return c->steady_secs >= RETENTION_CLOCK_STEADY_SECS;
}

/* Before the floor. The uptime says how long it may have been so. */
static void note_wrong(struct retention_clock *c, const struct retention_clock_sample *now)
{
        if (now->wall_secs > c->wrong_until_secs || c->corrected_secs != 0)
                c->wrong_until_secs = now->wall_secs > 0 ? now->wall_secs : 1;
        c->corrected_secs = 0;
}

static void note_corrected(struct retention_clock *c, const struct retention_clock_sample *now)
{
        if (c->wrong_until_secs == 0 || c->corrected_secs != 0)
                return;
        /* Until the next cycle, or the next start, it went on. */
        c->wrong_until_secs += SECONDS_PER_DAY;
        if (same_boot(&c->doubted, now))
                c->wrong_until_secs += (int64_t)(now->uptime_secs - c->doubted.uptime_secs);
        if (c->wrong_until_secs > RETENTION_CLOCK_FLOOR_SEC)
                c->wrong_until_secs = RETENTION_CLOCK_FLOOR_SEC;
        c->corrected_secs = now->wall_secs;
        log_info("the clock has been corrected; what was received before counts as received now");
}

struct moment retention_clock_judge(struct retention_clock *c, const struct deletion_stores *stores,
                                    const char *data_dir, struct retention_clock_ttl ttl, bool confirmed,
                                    char reason[RETENTION_CLOCK_REASON_SIZE])
{
        struct retention_clock_sample now;
        struct moment at = take_sample(&now);
        load(c, stores->datadir_fd);
        bool was_doubted = c->doubted.wall_secs != 0;
        reason[0] = '\0';
        if (now.wall_secs < RETENTION_CLOCK_FLOOR_SEC && !confirmed) {
                note_wrong(c, &now);
                say(reason, "the clock says a time before this program was made");
        } else {
                note_corrected(c, &now);
                if (confirmed || c->believed.wall_secs == 0)
                        ;
                else if (same_boot(&c->believed, &now))
                        compare_with_uptime(c, &now, reason);
                else
                        compare_with_last_cycle(c, &now, data_dir, ttl, reason);
                if (reason[0] && has_been_steady(c, &now))
                        reason[0] = '\0';
        }
        if (reason[0]) {
                c->doubted = now;
        } else {
                c->believed = now;
                c->logs_ttl_days = ttl.logs_days;
                c->crashes_ttl_days = ttl.crashes_days;
                c->doubted = (struct retention_clock_sample){ 0 };
                c->steady_secs = 0;
        }
        if (was_doubted != (reason[0] != '\0') || confirmed || c->saved_uptime_secs == 0 ||
            now.uptime_secs - c->saved_uptime_secs >= SAVE_INTERVAL_SECS)
                save(c, stores->datadir_fd, &now);
        return at;
}

struct moment retention_clock_wrong_until(const struct retention_clock *c, unsigned ttl_days, struct moment now)
{
        int64_t until = c->corrected_secs + (int64_t)ttl_days * SECONDS_PER_DAY;
        if (c->wrong_until_secs == 0 || (c->corrected_secs != 0 && now.sec >= until))
                return (struct moment){ .sec = CLOCK_FIRST_SECOND };
        return (struct moment){ .sec = c->wrong_until_secs };
}
