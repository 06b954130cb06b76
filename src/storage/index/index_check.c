/* Verifying and repairing the index as a whole: statements that run once in a command.
 *
 * Recounting asks for each blob by the indexes that deletion uses. A row's figures come from one statement, and
 * triggers change them within the writer's transaction, so that a difference is a real one, also beside a daemon under
 * load.
 */
#include "storage/index/index_check.h"

#include <errno.h>

#include "storage/index/index_internal.h"
#include "storage/index/index_write.h"

/* ---- problems ---- */

struct problems {
        index_problem_cb cb;
        void *userdata;
        unsigned n;
};

static int hand_out_problem(void *userdata, sqlite3_stmt *s)
{
        struct problems *p = userdata;
        const char *what = index_text(s, 0), *problem = index_text(s, 1);
        p->n++;
        return what && problem ? p->cb(p->userdata, what, problem) : -ENOMEM;
}

static int find_problems(struct index *x, enum index_statement which, struct problems *p)
{
        return index_each(x, which, NO_ARGS, hand_out_problem, p);
}

struct pages {
        struct index *index;
        index_pages_cb cb;
        void *userdata;
        int64_t all;
};

#define STEPS_BETWEEN_LOOKS 100000 /* of SQLite's machine: a few milliseconds */

/* Pages that did not come from the cache; some are read more than once. */
static int look_at_pages(void *userdata)
{
        struct pages *p = userdata;
        int read = 0, high = 0;
        sqlite3_db_status(p->index->db, SQLITE_DBSTATUS_CACHE_MISS, &read, &high, 0);
        p->cb(p->userdata, (uint64_t)(read < p->all ? read : p->all), (uint64_t)p->all);
        return 0;
}

static void watch_pages(struct pages *p)
{
        int read = 0, high = 0;
        if (!p->cb || index_number(p->index, INDEX_PAGE_COUNT, NO_ARGS, &p->all) != 0)
                return;
        sqlite3_db_status(p->index->db, SQLITE_DBSTATUS_CACHE_MISS, &read, &high, 1);
        sqlite3_progress_handler(p->index->db, STEPS_BETWEEN_LOOKS, look_at_pages, p);
}

/* Rows are only looked at where the pages are sound. The check looks at CHECK constraints, which call json_valid(): see
 * configure_writer() in index.c. */
int index_check_database(struct index *x, index_problem_cb cb, index_pages_cb pages, void *userdata)
{
        struct problems found = { .cb = cb, .userdata = userdata };
        struct pages watched = { .index = x, .cb = pages, .userdata = userdata };
        int trusted = 0;
        sqlite3_db_config(x->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &trusted);
        sqlite3_db_config(x->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, NULL);
        watch_pages(&watched);
        int r = find_problems(x, INDEX_CHECK_INTEGRITY, &found);
        if (r == 0 && found.n == 0)
                r = find_problems(x, INDEX_CHECK_SCHEMA_INTEGRITY, &found);
        if (r == 0 && found.n == 0)
                r = find_problems(x, INDEX_CHECK_FOREIGN_KEYS, &found);
        sqlite3_progress_handler(x->db, 0, NULL, NULL);
        sqlite3_db_config(x->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, trusted, NULL);
        return r;
}

int index_check_usage(struct index *x, index_problem_cb cb, void *userdata)
{
        struct problems found = { .cb = cb, .userdata = userdata };
        int r = find_problems(x, INDEX_CHECK_USAGE, &found);
        return r == 0 ? find_problems(x, INDEX_CHECK_CRASH_COUNT, &found) : r;
}

/* ---- counting ---- */

struct blob_counts {
        index_blob_count_cb cb;
        void *userdata;
};

static int hand_out_count(void *userdata, sqlite3_stmt *s)
{
        const struct blob_counts *counts = userdata;
        const struct index_blob_count count = {
                .sha256 = index_text(s, 0),
                .len = (uint64_t)sqlite3_column_int64(s, 1),
                .refs = sqlite3_column_int64(s, 2),
                .counted = sqlite3_column_int64(s, 3),
                .in_blob_use = sqlite3_column_int64(s, 4),
                .wrong_blob_use = sqlite3_column_int64(s, 5),
        };
        return count.sha256 ? counts->cb(counts->userdata, &count) : -ENOMEM;
}

int index_count_blobs(struct index *x, const char *sha256, unsigned max, index_blob_count_cb cb, void *userdata)
{
        struct blob_counts counts = { cb, userdata };
        return index_each(x, INDEX_COUNT_BLOBS, ARGS(arg_copy(sha256), arg_int(max)), hand_out_count, &counts);
}

static int take_totals(void *userdata, sqlite3_stmt *s)
{
        *(struct index_totals *)userdata = (struct index_totals){
                .crashes = index_count(s, 0),
                .blobs = index_count(s, 1),
                .log_files = index_count(s, 2),
                .sources = index_count(s, 3),
        };
        return 0;
}

int index_count_all(struct index *x, struct index_totals *ret)
{
        return index_each(x, INDEX_COUNT_ALL, NO_ARGS, take_totals, ret);
}

/* ---- repairs ---- */

/* In the transaction that is open, else in one of its own. */
static int run_all(struct index *x, const enum index_statement *list, size_t n, const struct index_arg *args,
                   size_t n_args)
{
        bool alone = !index_in_transaction(x);
        assert(x->writable);
        int r = alone ? index_begin(x) : 0;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = index_run(x, list[i], args, n_args);
        if (r == 0 && alone)
                r = index_commit(x);
        if (r < 0 && alone)
                index_rollback(x);
        return r;
}

/* Triggers go from refs and uses to usage, as though what was there had been right: so usage is to be recounted after.
 * */
int index_recount_blob(struct index *x, const char *sha256)
{
        static const enum index_statement list[] = { INDEX_RECOUNT_REFS, INDEX_FORGET_USES, INDEX_RECOUNT_USES };
        return run_all(x, list, ARRAY_LEN(list), ARGS(arg_text(sha256)));
}

/* What has to be sorted is as large as all uses are, so that it goes to files, unlike a writer's other statements.
 * (SQLite refuses that inside a transaction of a connection that has temporary tables open, as integrity_check leaves
 * it.) */
int index_recount_usage(struct index *x)
{
        static const enum index_statement list[] = { INDEX_RECOUNT_USAGE, INDEX_RECOUNT_CRASHES };
        sqlite3_exec(x->db, "PRAGMA temp_store = FILE", NULL, NULL, NULL);
        int r = run_all(x, list, ARRAY_LEN(list), NO_ARGS);
        sqlite3_exec(x->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
        return r;
}
