/* detritusctl top: who sends how much. The index has the bytes and lines of each source's log file of the day, updated
 * every few seconds, and every crash. The difference of two looks makes rates, without a counter for each source in the
 * daemon. At most SOURCES_MAX sources are looked at. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/access/open.h"
#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/commands.h"
#include "detritusctl/operate/watch.h"
#include "detritusctl/screen/screen.h"
#include "detritusctl/screen/size.h"
#include "detritusctl/screen/table.h"
#include "protocol/json/json_write.h"
#include "storage/index/index_list.h"
#include "util/clock.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define SOURCES_MAX 100000
#define CRASHES_MAX 100000
#define CRASH_SECS 300
#define ROWS 20
#define QUIET_NS (12 * UINT64_C(1000000000)) /* the totals of a growing file are updated every 5 s */

struct seen {
        char key[SOURCE_CANONICAL_SIZE];
        struct source source;
        uint64_t bytes, lines; /* of today */
        double bytes_rate, lines_rate;
        bool known;          /* the rates: the totals changed, or did not for QUIET_NS */
        uint64_t changed_ns; /* when that was; before, when it was first seen */
        uint64_t crashes;
        unsigned look; /* when it was seen last */
        UT_hash_handle hh;
};

struct top {
        const struct ctl *ctl;
        struct index *index;
        uint64_t rows; /* 0: all */
        unsigned look;
        uint64_t at_ns, before_ns; /* this look, and the one before it */
        struct seen *table;
};

static struct seen *find(struct top *t, const char *project, const char *install_id)
{
        struct seen *s = NULL;
        char key[SOURCE_CANONICAL_SIZE];
        snprintf(key, sizeof(key), "%s/%s", project, install_id);
        HASH_FIND_STR(t->table, key, s);
        if (s || HASH_COUNT(t->table) >= SOURCES_MAX + CRASHES_MAX)
                return s;
        s = calloc(1, sizeof(*s));
        if (!s)
                return NULL;
        memcpy(s->key, key, sizeof(s->key));
        snprintf(s->source.project, sizeof(s->source.project), "%s", project);
        snprintf(s->source.install_id, sizeof(s->source.install_id), "%s", install_id);
        HASH_ADD_STR(t->table, key, s);
        if (s->hh.tbl)
                return s;
        free(s);
        return NULL;
}

/* Totals are updated every few seconds, so a rate is taken from one change to the next, and holds until another change
 * is overdue. A source that was not there at the look before began since then; at the first look nobody knows when. */
static void see_totals(const struct top *t, struct seen *s, uint64_t bytes, uint64_t lines)
{
        bool grown = bytes > s->bytes || lines > s->lines;
        bool new_day = bytes < s->bytes;
        if (!s->changed_ns)
                s->changed_ns = t->before_ns ? t->before_ns : t->at_ns;
        if (grown && t->at_ns > s->changed_ns) {
                double secs = (double)(t->at_ns - s->changed_ns) / 1e9;
                s->bytes_rate = (double)(bytes - s->bytes) / secs;
                s->lines_rate = (double)(lines > s->lines ? lines - s->lines : 0) / secs;
                s->known = true;
        } else if (new_day || t->at_ns - s->changed_ns > QUIET_NS) {
                s->bytes_rate = s->lines_rate = 0;
                s->known = true;
        }
        if (grown || new_day)
                s->changed_ns = t->at_ns;
        s->bytes = bytes;
        s->lines = lines;
}

static int see(void *userdata, const struct index_activity *row)
{
        struct top *t = userdata;
        struct seen *s = find(t, row->project, row->install_id);
        if (!s)
                return -ENOMEM;
        if (s->look != t->look)
                s->crashes = 0;
        s->look = t->look;
        s->crashes += row->crashes;
        if (row->crashes == 0)
                see_totals(t, s, row->bytes, row->lines);
        return 0;
}

static void forget_silent(struct top *t)
{
        struct seen *s, *next;
        HASH_ITER(hh, t->table, s, next)
        {
                if (s->look == t->look)
                        continue;
                HASH_DEL(t->table, s);
                free(s);
        }
}

static int by_activity(const struct seen *a, const struct seen *b)
{
        if (a->bytes_rate != b->bytes_rate)
                return a->bytes_rate > b->bytes_rate ? -1 : 1;
        if (a->crashes != b->crashes)
                return a->crashes > b->crashes ? -1 : 1;
        if (a->bytes != b->bytes)
                return a->bytes > b->bytes ? -1 : 1;
        return strcmp(a->key, b->key);
}

/* ---- printing ---- */

enum { PROJECT, INSTALL, LINES, BYTES, CRASHES, DAY_LINES, DAY_BYTES, N_COLUMNS };

static const struct table_column columns[N_COLUMNS] = {
        [PROJECT] = { "PROJECT" },
        [INSTALL] = { "INSTALL" },
        [LINES] = { "LINES/S", .right = true, .spare = 2 },
        [BYTES] = { "BYTES/S", .right = true },
        [CRASHES] = { "CRASHES/5MIN", .right = true, .spare = 1 },
        [DAY_LINES] = { "LINES TODAY", .right = true, .spare = 3 },
        [DAY_BYTES] = { "BYTES TODAY", .right = true },
};

static int print_json(const struct seen *s)
{
        _cleanup_(buf_done) struct buf line = { 0 };
        struct json_write w = json_write_to(&line);
        json_write_object(&w, NULL);
        json_write_string(&w, "project", s->source.project);
        json_write_string(&w, "install_id", s->source.install_id);
        json_write_double(&w, "lines_per_second", s->lines_rate);
        json_write_double(&w, "bytes_per_second", s->bytes_rate);
        json_write_u64(&w, "crashes_5_min", s->crashes);
        json_write_u64(&w, "lines_today", s->lines);
        json_write_u64(&w, "bytes_today", s->bytes);
        json_write_end(&w);
        return screen_json_line(&line);
}

static int print_row(struct table *table, const struct seen *s)
{
        char numbers[N_COLUMNS][32];
        const char *cells[N_COLUMNS] = { [PROJECT] = s->source.project, [INSTALL] = s->source.install_id };
        snprintf(numbers[LINES], sizeof(numbers[LINES]), "%.1f", s->lines_rate);
        size_text((uint64_t)s->bytes_rate, numbers[BYTES]);
        snprintf(numbers[CRASHES], sizeof(numbers[CRASHES]), "%llu", (unsigned long long)s->crashes);
        snprintf(numbers[DAY_LINES], sizeof(numbers[DAY_LINES]), "%llu", (unsigned long long)s->lines);
        size_text(s->bytes, numbers[DAY_BYTES]);
        for (size_t i = LINES; i < N_COLUMNS; i++)
                cells[i] = !s->known && s->bytes > 0 && (i == LINES || i == BYTES) ? "-" : numbers[i];
        return table_add(table, cells);
}

static int print(struct top *t)
{
        _cleanup_(table_freep) struct table *table = NULL;
        unsigned n = 0;
        int r = t->ctl->json ? 0 : table_new(columns, N_COLUMNS, &table);
        HASH_SORT(t->table, by_activity);
        for (struct seen *s = t->table; r == 0 && s && (t->rows == 0 || n < t->rows); s = s->hh.next, n++)
                r = table ? print_row(table, s) : print_json(s);
        if (r == 0 && table)
                r = table_finish(table);
        if (r == 0 && table && HASH_COUNT(t->table) > n)
                printf("%s%u more%s\n", screen_on(SCREEN_DIM), HASH_COUNT(t->table) - n, screen_off());
        return r;
}

static int gather(struct top *t)
{
        char day[CLOCK_DAY_SIZE];
        struct moment now = clock_now(), since = now;
        t->look++;
        t->before_ns = t->at_ns;
        t->at_ns = clock_monotonic_ns();
        clock_format_day(now, day);
        since.sec -= CRASH_SECS;
        int r = index_log_activity(t->index, day, SOURCES_MAX, see, t);
        if (r == 0)
                r = index_crash_activity(t->index, since, CRASHES_MAX, see, t);
        forget_silent(t);
        return r;
}

static int look(void *userdata, bool *ret_fine)
{
        struct top *t = userdata;
        *ret_fine = true;
        int r = gather(t);
        return r == 0 ? print(t) : r;
}

static int run(const struct ctl *ctl)
{
        struct top t = { .ctl = ctl, .rows = ROWS };
        const char *limit = ctl_value(ctl, "limit");
        int status = limit ? arg_count("--limit", limit, SOURCES_MAX, &t.rows) : CTL_OK;
        if (status == CTL_OK)
                status = open_index(ctl, &t.index);
        if (status != CTL_OK)
                return status;
        status = watch_run(ctl, true, look, &t);
        t.look++; /* now nobody was seen, so all are freed */
        forget_silent(&t);
        index_free(t.index);
        return status;
}

const struct command top_command = {
        .name = "top",
        .summary = "show which sources send most, live",
        .description = "Shows the sources that send most and updates the table every few seconds; in a pipe one table "
                       "follows the other. The numbers come from the database: log totals may be a few seconds old, "
                       "and crashes are those of the last five minutes. A source's rates are known once its totals "
                       "have changed.",
        .options =
                (const struct command_option[]){
                        { "interval", "SECS", "seconds between two looks [2]" },
                        { "count", "N", "stop after N looks, 0: never [0]" },
                        { "limit", "N", "at most N sources, 0: all [20]", .letter = 'n' },
                        { NULL },
                },
        .examples =
                (const struct command_example[]){
                        { "detritusctl top", "who fills the disk?" },
                        { "detritusctl top --count 2 --interval 10 --json",
                          "the rates over ten seconds, for a script" },
                        { NULL },
                },
        .run = run,
};
