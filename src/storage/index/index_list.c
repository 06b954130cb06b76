/* Lists of crashes for people: by filter, and what is new.
 *
 * A list goes along one index, the one of the filter that leaves least, and looks at the other filters entry by entry:
 * the index has their columns. To find that index the rows of each filter are counted, up to a bound; of several
 * filters that reach the bound the first in the order of choose() is taken, which the indexes of sql/0001_index.sql
 * rely on. A list goes in batches of ids, each a short statement; a row is read and handed out with no statement open,
 * so that a pager that stays at page one keeps no snapshot. What is deleted in between is passed over; what comes in
 * between is newer than everything that is shown.
 *
 * An installation's crashes are found by the index that makes a report unique, and sorted. An installation with more
 * than SORT_MAX crashes is one filter among the others on the way through all crashes: it must be frequent there.
 */
#include "storage/index/index_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_list_internal.h"

#define BATCH INDEX_LIST_BATCH
#define COUNT_MAX 20000
#define SORT_MAX 10000
#define STOPPED 1 /* by a callback of ours */

/* What one step of a list has to go on with. */
struct walk {
        const struct index_crash_filter *filter;
        enum index_statement by;
        const char *key; /* what `by` is the index of; NULL: of time */
        char since[CLOCK_RFC3339_SIZE];
        struct index_cursor end;
        uint64_t looked;
        bool exhausted;
        size_t room, n;
        struct index_cursor batch[BATCH];
};

/* ---- one crash ---- */

static int copy_json(void *userdata, sqlite3_stmt *s)
{
        const char *json = index_text(s, 0);
        *(char **)userdata = json ? strdup(json) : NULL;
        return *(char **)userdata ? 0 : -ENOMEM;
}

int index_hand_out_json(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                        index_json_cb cb, void *userdata)
{
        _cleanup_(freep) char *json = NULL;
        int r = index_first(x, which, args, n, copy_json, &json);
        return r == 0 ? cb(userdata, json) : r;
}

int index_show_crash(struct index *x, int64_t id, index_json_cb cb, void *userdata)
{
        return index_hand_out_json(x, INDEX_SHOW_CRASH, ARGS(arg_int(id)), cb, userdata);
}

static int list_one(struct index *x, int64_t id, index_json_cb cb, void *userdata)
{
        return index_hand_out_json(x, INDEX_LIST_CRASH, ARGS(arg_int(id)), cb, userdata);
}

struct taken_ids {
        int64_t *ids;
        size_t n;
};

static int take_id(void *userdata, sqlite3_stmt *s)
{
        struct taken_ids *taken = userdata;
        taken->ids[taken->n++] = sqlite3_column_int64(s, 0);
        return 0;
}

int index_take_ids(struct index *x, enum index_statement which, const struct index_arg *args, size_t n_args,
                   int64_t *ret_ids, size_t *ret_n)
{
        struct taken_ids taken = { .ids = ret_ids };
        int r = index_each(x, which, args, n_args, take_id, &taken);
        if (r == 0)
                *ret_n = taken.n;
        return r;
}

int index_find_crashes(struct index *x, const char *hash_prefix, size_t max, int64_t *ret_ids, size_t *ret_n)
{
        return index_take_ids(x, INDEX_FIND_CRASHES, ARGS(arg_text(hash_prefix), arg_int((int64_t)max)), ret_ids,
                              ret_n);
}

/* ---- which index ---- */

struct choice {
        enum index_statement walk, count;
        const char *key;
};

static int count_rows(struct index *x, const struct walk *w, const struct choice *c, int64_t *ret)
{
        const struct index_arg key = arg_text(c->key), since = arg_text(w->since), end = arg_text(w->end.at),
                               max = arg_int(COUNT_MAX);
        if (c->count == INDEX_COUNT_BY_INSTALL)
                return index_number(x, c->count, ARGS(key, since, end, max, arg_text(w->filter->project)), ret);
        return index_number(x, c->count, ARGS(key, since, end, max), ret);
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

static bool panic_has(const char *panic, const char *grep)
{
        return panic && strcasestr(panic, grep);
}

static bool looked_enough(const struct walk *w)
{
        const struct index_crash_filter *f = w->filter;
        return f->grep && f->grep_depth > 0 && w->looked >= f->grep_depth;
}

static int take_walked(void *userdata, sqlite3_stmt *s)
{
        struct walk *w = userdata;
        const char *at = index_text(s, 1);
        if (!at)
                return -ENOMEM;
        w->end.id = sqlite3_column_int64(s, 0);
        snprintf(w->end.at, sizeof(w->end.at), "%s", at);
        w->looked++;
        if (!w->filter->grep || panic_has(index_text(s, 2), w->filter->grep))
                w->batch[w->n++] = w->end;
        return w->n == w->room || looked_enough(w) ? STOPPED : 0;
}

/* The next ids that fit, at most w->room. Moves the end after what was looked at. */
static int take_batch(struct index *x, struct walk *w)
{
        const struct index_crash_filter *f = w->filter;
        assert(w->room > 0 && w->room <= BATCH && !looked_enough(w));
        w->n = 0;
        int r = index_each(x, w->by,
                           ARGS(arg_text(w->key), arg_text(w->since), arg_copy(w->end.at), arg_int(w->end.id),
                                arg_text(f->project), arg_text(f->version), arg_text(f->platform), arg_text(f->kind),
                                arg_text(f->install_id), arg_int(f->grep != NULL)),
                           take_walked, w);
        w->exhausted = r == 0;
        return r == STOPPED ? 0 : r;
}

static int hand_out_batch(struct index *x, const struct walk *w, struct index_page *page, index_json_cb cb,
                          void *userdata)
{
        for (size_t i = 0; i < w->n; i++) {
                if (page->max > 0 && page->n == page->max) {
                        page->more = true;
                        return 0;
                }
                page->end = w->batch[i];
                int r = list_one(x, w->batch[i].id, cb, userdata);
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
        if (after->at[0])
                w->end = *after;
        if (!f->until)
                return;
        clock_format_fixed(*f->until, INDEX_RECEIVED_DIGITS, until);
        if (strcmp(until, w->end.at) <= 0) {
                snprintf(w->end.at, sizeof(w->end.at), "%.*s", INDEX_TIME_SIZE - 1, until);
                w->end.id = 0; /* no id is less: nothing of that very time */
        }
}

size_t index_page_room(const struct index_page *page)
{
        size_t left = page->max - page->n;
        return page->max > 0 && left < BATCH - 1 ? left + 1 : BATCH; /* one more, to know whether there is one */
}

int index_list_crashes(struct index *x, const struct index_crash_filter *filter, struct index_page *page,
                       index_json_cb cb, void *userdata)
{
        struct walk w;
        begin_walk(&w, filter, &page->after);
        *page = (struct index_page){ .after = page->after, .max = page->max };
        int r = choose(x, &w);
        while (r == 0 && !w.exhausted && !page->more && !looked_enough(&w)) {
                w.room = index_page_room(page);
                r = take_batch(x, &w);
                if (r == 0)
                        r = hand_out_batch(x, &w, page, cb, userdata);
        }
        page->looked = filter->grep ? w.looked : 0;
        page->looked_enough = r == 0 && !page->more && !w.exhausted;
        if (page->looked_enough)
                page->end = w.end;
        return r;
}

/* ---- what is new ---- */

int index_data_version(struct index *x, int64_t *ret)
{
        return index_number(x, INDEX_DATA_VERSION, NO_ARGS, ret);
}

int index_newest_crash(struct index *x, int64_t *ret_id)
{
        return index_number(x, INDEX_NEWEST_CRASH, NO_ARGS, ret_id);
}

static int take_new(struct index *x, const struct index_crash_filter *f, int64_t after, int64_t ids[BATCH],
                    size_t *ret_n)
{
        char since[CLOCK_RFC3339_SIZE] = "", until[CLOCK_RFC3339_SIZE] = AFTER_ANY_TIME;
        if (f->since)
                clock_format_fixed(*f->since, INDEX_RECEIVED_DIGITS, since);
        if (f->until)
                clock_format_fixed(*f->until, INDEX_RECEIVED_DIGITS, until);
        return index_take_ids(x, INDEX_NEW_CRASHES,
                              ARGS(arg_int(after), arg_int(BATCH), arg_text(since), arg_text(until),
                                   arg_text(f->project), arg_text(f->version), arg_text(f->platform), arg_text(f->kind),
                                   arg_text(f->install_id), arg_text(f->grep)),
                              ids, ret_n);
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
                        r = list_one(x, ids[i], cb, userdata);
                        if (r == -ENOENT) /* deleted meanwhile */
                                r = 0;
                        *id = ids[i];
                }
        }
        if (r == 0 && newest > *id) /* those that do not fit are not looked at again */
                *id = newest;
        return r;
}
