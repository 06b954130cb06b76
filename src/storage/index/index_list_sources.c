/* Lists of sources, and short answers for people: tokens, counts, who sends. */
#include "storage/index/index_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/index/index_list_internal.h"

#define SHOWN_CRASHES_MAX 10 /* of a source */
#define BATCH INDEX_LIST_BATCH

/* ---- sources ---- */

struct listed_source {
        char *json;
        struct index_cursor at;
};

struct listed_sources {
        size_t n;
        struct listed_source rows[BATCH];
};

/* Copied, so that the statement is over before they are handed out. */
static int take_source(void *userdata, sqlite3_stmt *s)
{
        struct listed_sources *listed = userdata;
        struct listed_source *row = &listed->rows[listed->n];
        const char *json = index_text(s, 0), *at = index_text(s, 2);
        row->json = json && at ? strdup(json) : NULL;
        if (!row->json)
                return -ENOMEM;
        row->at.id = sqlite3_column_int64(s, 1);
        snprintf(row->at.at, sizeof(row->at.at), "%s", at);
        listed->n++;
        return 0;
}

static int hand_out_sources(const struct listed_sources *listed, struct index_page *page, index_json_cb cb,
                            void *userdata)
{
        for (size_t i = 0; i < listed->n; i++) {
                if (page->max > 0 && page->n == page->max) {
                        page->more = true;
                        return 0;
                }
                int r = cb(userdata, listed->rows[i].json);
                if (r != 0)
                        return r;
                page->n++;
                page->end = listed->rows[i].at;
        }
        return 0;
}

int index_list_sources(struct index *x, const char *project, struct index_page *page, index_json_cb cb, void *userdata)
{
        struct listed_sources listed = { 0 };
        size_t room = 0;
        int r = 0;
        *page = (struct index_page){ .after = page->after, .max = page->max, .end = { AFTER_ANY_TIME, INT64_MAX } };
        if (page->after.at[0])
                page->end = page->after;
        while (r == 0 && listed.n == room && !page->more) {
                room = index_page_room(page);
                listed.n = 0;
                r = index_each(
                        x, INDEX_LIST_SOURCES,
                        ARGS(arg_text(project), arg_text(page->end.at), arg_int(page->end.id), arg_int((int64_t)room)),
                        take_source, &listed);
                if (r == 0)
                        r = hand_out_sources(&listed, page, cb, userdata);
                for (size_t i = 0; i < listed.n; i++)
                        free(listed.rows[i].json);
        }
        return r;
}

int index_show_source(struct index *x, int64_t id, index_json_cb cb, void *userdata)
{
        return index_hand_out_json(x, INDEX_SHOW_SOURCE, ARGS(arg_int(id), arg_int(SHOWN_CRASHES_MAX)), cb, userdata);
}

int index_find_sources(struct index *x, const char *project, const char *install_id, size_t max, int64_t *ret_ids,
                       size_t *ret_n)
{
        return index_take_ids(x, INDEX_FIND_SOURCES,
                              ARGS(arg_text(install_id), arg_text(project), arg_int((int64_t)max)), ret_ids, ret_n);
}

/* ---- tokens, counts, who sends ---- */

struct token_uses {
        index_token_use_cb cb;
        void *userdata;
};

static int hand_out_token_use(void *userdata, sqlite3_stmt *s)
{
        const struct token_uses *uses = userdata;
        const char *id = index_text(s, 0), *at = index_text(s, 1);
        return id && at ? uses->cb(uses->userdata, id, at) : -ENOMEM;
}

int index_token_uses(struct index *x, index_token_use_cb cb, void *userdata)
{
        struct token_uses uses = { cb, userdata };
        return index_each(x, INDEX_TOKEN_USES, NO_ARGS, hand_out_token_use, &uses);
}

static int take_counts(void *userdata, sqlite3_stmt *s)
{
        struct index_counts *counts = userdata;
        const char *newest = index_text(s, 3);
        counts->crashes = index_count(s, 0);
        counts->sources = index_count(s, 1);
        counts->crashes_since = index_count(s, 2);
        snprintf(counts->newest, sizeof(counts->newest), "%s", newest ? newest : "");
        return 0;
}

int index_counts(struct index *x, unsigned max, struct moment since, struct index_counts *ret)
{
        *ret = (struct index_counts){ 0 };
        return index_each(x, INDEX_COUNTS, ARGS(arg_int(max), arg_received(since)), take_counts, ret);
}

struct activity_rows {
        index_activity_cb cb;
        void *userdata;
};

static int hand_out_activity(void *userdata, sqlite3_stmt *s)
{
        const struct activity_rows *rows = userdata;
        const struct index_activity row = { .project = index_text(s, 0),
                                            .install_id = index_text(s, 1),
                                            .bytes = index_count(s, 2),
                                            .lines = index_count(s, 3),
                                            .crashes = index_count(s, 4) };
        return row.project && row.install_id ? rows->cb(rows->userdata, &row) : -ENOMEM;
}

int index_log_activity(struct index *x, const char *day, unsigned max, index_activity_cb cb, void *ud)
{
        struct activity_rows rows = { cb, ud };
        return index_each(x, INDEX_LOG_ACTIVITY, ARGS(arg_text(day), arg_int(max)), hand_out_activity, &rows);
}

int index_crash_activity(struct index *x, struct moment since, unsigned max, index_activity_cb cb, void *ud)
{
        struct activity_rows rows = { cb, ud };
        return index_each(x, INDEX_CRASH_ACTIVITY, ARGS(arg_received(since), arg_int(max)), hand_out_activity, &rows);
}
