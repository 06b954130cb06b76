/* Copies of a database, and what one takes over from another. */
#include "storage/index/index_copy.h"

#include <errno.h>

#include "storage/index/index_internal.h"
#include "storage/index/index_write.h"

#define COPY_PAGES 2000     /* a step of the copy */
#define TAKE_OVER_IDS 10000 /* in one statement */

/* In a read transaction of its own, the source stays as it was at the first step, and the copy never starts over. */
static int copy_pages(struct index *x, sqlite3 *to, index_progress progress, void *userdata)
{
        sqlite3_backup *b = sqlite3_backup_init(to, "main", x->db, "main");
        if (!b)
                return -ENOMEM;
        int r;
        while ((r = sqlite3_backup_step(b, COPY_PAGES)) == SQLITE_OK) {
                uint64_t all = (uint64_t)sqlite3_backup_pagecount(b);
                if (progress)
                        progress(userdata, all - (uint64_t)sqlite3_backup_remaining(b), all);
        }
        sqlite3_backup_finish(b);
        if (r == SQLITE_DONE)
                return 0;
        return (r & 0xFF) == SQLITE_FULL ? -ENOSPC : (r & 0xFF) == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

int index_copy_to(struct index *x, const char *path, index_progress progress, void *userdata)
{
        sqlite3 *to = NULL;
        assert(!index_in_transaction(x));
        int r = index_run(x, INDEX_BEGIN_READING, NO_ARGS);
        if (r == 0)
                r = index_run(x, INDEX_BEGIN_SNAPSHOT, NO_ARGS);
        if (r < 0)
                return r;
        if (sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK)
                r = copy_pages(x, to, progress, userdata);
        else
                r = -EIO;
        sqlite3_close(to);
        index_run(x, INDEX_COMMIT, NO_ARGS);
        return r;
}

int index_forget_blob(struct index *x, const char *sha256)
{
        assert(index_in_transaction(x));
        int r = index_run(x, INDEX_FORGET_CRASHES_OF_BLOB, ARGS(arg_text(sha256)));
        return r == 0 ? index_run(x, INDEX_FORGET_BLOB, ARGS(arg_text(sha256))) : r;
}

int index_checkpoint_whole(struct index *x)
{
        assert(!index_in_transaction(x));
        return sqlite3_wal_checkpoint_v2(x->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK
                       ? 0
                       : index_failed(x, "checkpoint");
}

int index_leave_wal(struct index *x)
{
        assert(!index_in_transaction(x));
        x->writable = false; /* no checkpoint when it is closed: there is nothing left to do */
        return index_execute(x, "PRAGMA journal_mode = DELETE");
}

/* By ranges of ids: what a statement that fails would put back is kept in memory. */
static int take_over_crashes(struct index *x)
{
        int64_t end = 0;
        int r = index_number(x, INDEX_NEWEST_CRASH, NO_ARGS, &end);
        for (int64_t id = 1; r == 0 && id <= end; id += TAKE_OVER_IDS)
                r = index_run(x, INDEX_TAKE_OVER_CRASHES, ARGS(arg_int(id), arg_int(id + TAKE_OVER_IDS - 1)));
        return r;
}

static int take_over_rows(struct index *x)
{
        int r = take_over_crashes(x);
        if (r == 0)
                r = index_run(x, INDEX_TAKE_OVER_LINES, NO_ARGS);
        return r == 0 ? index_run(x, INDEX_TAKE_OVER_SOURCES, NO_ARGS) : r;
}

static int take_over_tokens(struct index *x)
{
        bool there = false;
        int r = index_exists(x, INDEX_OTHER_HAS_TOKENS, NO_ARGS, &there);
        return r == 0 && there ? index_run(x, INDEX_TAKE_OVER_TOKENS, NO_ARGS) : r;
}

static int with_other(struct index *x, const char *copy_path, int (*take)(struct index *x))
{
        assert(x->writable && !index_in_transaction(x));
        int r = index_run(x, INDEX_ATTACH_OTHER, ARGS(arg_text(copy_path)));
        if (r < 0)
                return r;
        r = index_begin(x);
        if (r == 0)
                r = take(x);
        if (r == 0)
                r = index_commit(x);
        if (r < 0)
                index_rollback(x);
        index_run(x, INDEX_DETACH_OTHER, NO_ARGS);
        return r;
}

int index_take_over(struct index *x, const char *copy_path)
{
        return with_other(x, copy_path, take_over_rows);
}

int index_take_over_tokens(struct index *x, const char *copy_path)
{
        return with_other(x, copy_path, take_over_tokens);
}
