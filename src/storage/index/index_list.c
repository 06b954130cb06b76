/* Lists for people: crashes by filter, sources, and what is new.
 *
 * A list goes along one index, the one of the filter that leaves least, and looks at the other filters entry by entry:
 * the index has their columns. Which one that is, is counted, up to a bound; of several that
 * reach it the first in the order of choose() is taken, which sql/0005_reading.sql relies on. It goes in batches of ids, each a short statement; a row is read and handed out
 * with no statement open, so that a pager that sits at page one keeps no snapshot. What is deleted in between is passed
 * over; what comes in between is newer than all that is shown.
 *
 * An installation's crashes are found by the index that makes a report unique, and sorted; one that has more than
 * SORT_MAX is one filter among the others on the way through all crashes, which it must then be frequent in.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_internal.h"

#define BATCH 256
#define COUNT_MAX 20000
#define SORT_MAX 10000
#define AFTER_ANY_TIME "~"

/* What one step of a list has to go on with. */
struct walk {
        const struct index_crash_filter *filter;
        enum index_statement by;
        const char *key; /* what `by` is the index of; NULL: of time */
        char since[CLOCK_RFC3339_SIZE];
        struct index_cursor end;
        uint64_t looked;
        bool exhausted;
        size_t n;
        struct index_cursor batch[BATCH];
};

/* ---- which index ---- */

struct choice {
        enum index_statement walk, count;
        const char *key;
};

static int count_rows(struct index *x, const struct walk *w, const struct choice *c, int64_t *ret)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, c->count, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, c->key);
        if (c->count == INDEX_COUNT_BY_INSTALL) {
                index_bind_text(s, 5, w->filter->project);
        } else {
                index_bind_text(s, 2, w->since);
                index_bind_text(s, 3, w->end.at);
        }
        index_bind_int(s, 4, COUNT_MAX);
        r = index_step(x, s);
        if (r == INDEX_ROW)
                *ret = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        return r < 0 ? r : 0;
}

static int choose(struct index *x, struct walk *w)
{
        const struct index_crash_filter *f = w->filter;
        const struct choice choices[] = {
                { INDEX_WALK_BY_INSTALL, INDEX_COUNT_BY_INSTALL, f->install_id },
                { INDEX_WALK_BY_VERSION, INDEX_COUNT_BY_VERSION, f->version },
                { INDEX_WALK_BY_PROJECT, INDEX_COUNT_BY_PROJECT, f->project },
                { INDEX_WALK_BY_PLATFORM, INDEX_COUNT_BY_PLATFORM, f->platform },
                { INDEX_WALK_BY_KIND, INDEX_COUNT_BY_KIND, f->kind },
        };
        int64_t least = INT64_MAX;
        unsigned candidates = 0;
        for (size_t i = 0; i < ARRAY_LEN(choices); i++)
                candidates += choices[i].key != NULL;
        w->by = INDEX_WALK_BY_TIME;
        w->key = NULL;
        for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
                int64_t n = 0;
                if (!choices[i].key)
                        continue;
                int r = candidates > 1 || f->install_id ? count_rows(x, w, &choices[i], &n) : 0;
                if (r < 0)
                        return r;
                if (n >= least || (choices[i].walk == INDEX_WALK_BY_INSTALL && n > SORT_MAX))
                        continue;
                least = n;
                w->by = choices[i].walk;
                w->key = choices[i].key;
        }
        return 0;
}

/* ---- going along it ---- */

static void bind_filters(sqlite3_stmt *s, const struct index_crash_filter *f)
{
        index_bind_text(s, 5, f->project);
        index_bind_text(s, 6, f->version);
        index_bind_text(s, 7, f->platform);
        index_bind_text(s, 8, f->kind);
        index_bind_text(s, 9, f->install_id);
}

static int prepare_walk(struct index *x, const struct walk *w, const struct index_cursor *from, sqlite3_stmt **ret)
{
        int r = index_prepare(x, w->by, ret);
        if (r < 0)
                return r;
        index_bind_text(*ret, 1, w->key);
        index_bind_text(*ret, 2, w->since);
        index_bind_text(*ret, 3, from->at);
        index_bind_int(*ret, 4, from->id);
        bind_filters(*ret, w->filter);
        index_bind_int(*ret, 10, w->filter->grep != NULL);
        return 0;
}

static bool panic_has(const char *panic, const char *grep)
{
        return panic && strcasestr(panic, grep);
}

static bool looked_enough(const struct walk *w)
{
        const struct index_crash_filter *f = w->filter;
        return f->grep && f->grep_depth > 0 && w->looked >= f->grep_depth;
}

/* The next ids that fit, at most `room`. Moves the end behind what was looked at. */
static int take_batch(struct index *x, struct walk *w, size_t room)
{
        sqlite3_stmt *s;
        struct index_cursor from = w->end; /* bound, so it stays */
        int r = prepare_walk(x, w, &from, &s);
        w->n = 0;
        if (r < 0)
                return r;
        while (w->n < room && !looked_enough(w) && (r = index_step(x, s)) == INDEX_ROW) {
                const char *at = index_text(s, 1);
                if (!at) {
                        r = -ENOMEM;
                        break;
                }
                w->end.id = sqlite3_column_int64(s, 0);
                snprintf(w->end.at, sizeof(w->end.at), "%s", at);
                w->looked++;
                if (!w->filter->grep || panic_has(index_text(s, 2), w->filter->grep))
                        w->batch[w->n++] = w->end;
        }
        w->exhausted = r == 0 && w->n < room && !looked_enough(w);
        sqlite3_reset(s);
        return r < 0 ? r : 0;
}

static int hand_out_batch(struct index *x, const struct walk *w, size_t max, index_json_cb cb, void *userdata,
                          struct index_page *page)
{
        for (size_t i = 0; i < w->n; i++) {
                if (max > 0 && page->n == max) {
                        page->more = true;
                        return 0;
                }
                page->end = w->batch[i];
                int r = index_hand_out(x, INDEX_LIST_CRASH, w->batch[i].id, cb, userdata);
                if (r == -ENOENT)
                        continue; /* deleted meanwhile */
                if (r != 0)
                        return r;
                page->n++;
        }
        return 0;
}

static void begin_walk(struct walk *w, const struct index_crash_filter *f, const struct index_cursor *after)
{
        char until[CLOCK_RFC3339_SIZE];
        *w = (struct walk){ .filter = f, .end = { AFTER_ANY_TIME, INT64_MAX } };
        if (f->since)
                clock_format_fixed(*f->since, INDEX_RECEIVED_DIGITS, w->since);
        if (after && after->at[0])
                w->end = *after;
        if (!f->until)
                return;
        clock_format_fixed(*f->until, INDEX_RECEIVED_DIGITS, until);
        if (strcmp(until, w->end.at) <= 0) {
                snprintf(w->end.at, sizeof(w->end.at), "%.*s", INDEX_TIME_SIZE - 1, until);
                w->end.id = 0; /* no id is less: nothing of that very time */
        }
}

int index_list_crashes(struct index *x, const struct index_crash_filter *filter, const struct index_cursor *after,
                       size_t max, index_json_cb cb, void *userdata, struct index_page *ret)
{
        struct walk w;
        begin_walk(&w, filter, after);
        *ret = (struct index_page){ 0 };
        int r = choose(x, &w);
        while (r == 0 && !w.exhausted && !ret->more && !looked_enough(&w)) {
                size_t room = BATCH;
                if (max > 0 && max - ret->n < BATCH - 1)
                        room = max - ret->n + 1; /* one more, to know whether there is one */
                r = take_batch(x, &w, room);
                if (r == 0)
                        r = hand_out_batch(x, &w, max, cb, userdata, ret);
        }
        ret->looked = filter->grep ? w.looked : 0;
        ret->looked_enough = r == 0 && !ret->more && !w.exhausted;
        if (ret->looked_enough)
                ret->end = w.end;
        return r;
}

/* ---- what is new ---- */

static int read_number(struct index *x, enum index_statement which, int64_t *ret)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, which, &s);
        if (r < 0)
                return r;
        r = index_step(x, s);
        if (r == INDEX_ROW)
                *ret = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
        return r < 0 ? r : 0;
}

int index_data_version(struct index *x, int64_t *ret)
{
        return read_number(x, INDEX_DATA_VERSION, ret);
}

int index_newest_crash(struct index *x, int64_t *ret_id)
{
        return read_number(x, INDEX_NEWEST_CRASH, ret_id);
}

static int take_new(struct index *x, const struct index_crash_filter *f, int64_t behind, int64_t ids[BATCH],
                    size_t *ret_n)
{
        char since[CLOCK_RFC3339_SIZE] = "", until[CLOCK_RFC3339_SIZE] = AFTER_ANY_TIME;
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_NEW_CRASHES, &s);
        if (r < 0)
                return r;
        if (f->since)
                clock_format_fixed(*f->since, INDEX_RECEIVED_DIGITS, since);
        if (f->until)
                clock_format_fixed(*f->until, INDEX_RECEIVED_DIGITS, until);
        index_bind_int(s, 1, behind);
        index_bind_int(s, 2, BATCH);
        index_bind_text(s, 3, since);
        index_bind_text(s, 4, until);
        bind_filters(s, f);
        index_bind_text(s, 10, f->grep);
        return index_take_ids(x, s, ids, ret_n);
}

int index_new_crashes(struct index *x, const struct index_crash_filter *filter, int64_t *id, index_json_cb cb,
                      void *userdata)
{
        int64_t ids[BATCH], newest = 0;
        size_t n = BATCH;
        int r = index_newest_crash(x, &newest);
        while (r == 0 && n == BATCH) {
                r = take_new(x, filter, *id, ids, &n);
                for (size_t i = 0; r == 0 && i < n; i++) {
                        r = index_hand_out(x, INDEX_LIST_CRASH, ids[i], cb, userdata);
                        if (r == -ENOENT) /* deleted meanwhile */
                                r = 0;
                        *id = ids[i];
                }
        }
        if (r == 0 && newest > *id) /* those that do not fit are not looked at again */
                *id = newest;
        return r;
}

/* ---- sources ---- */

struct listed_source {
        char *json;
        struct index_cursor at;
};

/* The rows of one statement, copied, so that it is over before they are handed out. */
static int take_sources(struct index *x, sqlite3_stmt *s, struct listed_source *rows, size_t *n)
{
        int r;
        while ((r = index_step(x, s)) == INDEX_ROW) {
                const char *json = index_text(s, 0), *at = index_text(s, 2);
                struct listed_source *row = &rows[*n];
                row->json = json && at ? strdup(json) : NULL;
                if (!row->json) {
                        sqlite3_reset(s);
                        return -ENOMEM;
                }
                row->at.id = sqlite3_column_int64(s, 1);
                snprintf(row->at.at, sizeof(row->at.at), "%s", at);
                ++*n;
        }
        return r;
}

static int list_source_batch(struct index *x, const char *project, struct index_cursor from, size_t room,
                             struct listed_source *rows, size_t *n)
{
        sqlite3_stmt *s;
        int r = index_prepare(x, INDEX_LIST_SOURCES, &s);
        if (r < 0)
                return r;
        index_bind_text(s, 1, project);
        index_bind_text(s, 2, from.at);
        index_bind_int(s, 3, from.id);
        index_bind_int(s, 4, (int64_t)room);
        return take_sources(x, s, rows, n);
}

static int hand_out_sources(struct listed_source *rows, size_t n, size_t max, index_json_cb cb, void *userdata,
                            struct index_page *page)
{
        for (size_t i = 0; i < n; i++) {
                if (max > 0 && page->n == max) {
                        page->more = true;
                        return 0;
                }
                int r = cb(userdata, rows[i].json);
                if (r != 0)
                        return r;
                page->n++;
                page->end = rows[i].at;
        }
        return 0;
}

int index_list_sources(struct index *x, const char *project, const struct index_cursor *after, size_t max,
                       index_json_cb cb, void *userdata, struct index_page *ret)
{
        struct listed_source rows[BATCH];
        size_t n = 0, room = 0;
        int r = 0;
        *ret = (struct index_page){ .end = { AFTER_ANY_TIME, INT64_MAX } };
        if (after && after->at[0])
                ret->end = *after;
        while (r == 0 && n == room && !ret->more) {
                room = max > 0 && max - ret->n < BATCH - 1 ? max - ret->n + 1 : BATCH;
                n = 0;
                r = list_source_batch(x, project, ret->end, room, rows, &n);
                if (r == 0)
                        r = hand_out_sources(rows, n, max, cb, userdata, ret);
                for (size_t i = 0; i < n; i++)
                        free(rows[i].json);
        }
        return r;
}
