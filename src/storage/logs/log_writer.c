/* Writes groups of batches.
 *
 * Batches of one append, nearly all there are, first wait at their file (a run) and are written together by one writev.
 * A batch over several files comes between two runs: the runs are written, then its appends one by one, so that on a
 * failure they are the tails of their files and can be cut off again. So does an unlink. Then all of it is committed,
 * as one frame of the journal or, where few files got many bytes, by syncing the files; a group too large for one frame
 * is committed in parts.
 *
 * Failure modes: a write that fails (ENOSPC) is cut back to the last whole batch; that batch and those after it in
 * the same run fail, the rest of the group goes on. A cut that fails is owed (log_debts.h). When the journal cannot
 * grow, the files are synced instead. LOG_FILE_BROKEN (a failed sync) fails the group, and no file is touched or
 * synced again. */
#include "storage/logs/log_writer.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "storage/logs/journal.h"
#include "storage/logs/log_cache.h"
#include "storage/logs/log_checkpoint.h"
#include "storage/logs/log_debts.h"
#include "storage/logs/log_file.h"
#include "storage/logs/log_runs.h"
#include "storage/logs/log_settle.h"
#include "storage/logs/log_work.h"
#include "util/thread_owner.h"

#define CHECKPOINT_INTERVAL_NS (5 * UINT64_C(1000000000))

/* So few files with so many bytes each are synced themselves: writing them twice would cost more
 * (docs/adr/0007). */
#define DIRECT_FILES_MAX 8
#define DIRECT_BYTES_PER_FILE ((uint64_t)96 * 1024)

struct log_writer {
        const struct log_committer_config *config;
        struct thread_owner owner;
        atomic_bool failed;
        struct journal *journal;           /* NULL without sync */
        struct log_checkpoint *checkpoint; /* likewise */
        uint64_t frames_since_ns;          /* when the first frame that no checkpoint has seen was written */
        struct log_cache *files;
        struct log_debts debts; /* with room for what this part may add */
        struct log_settle settle;
        uint64_t part_bytes; /* of lines, since the last commit */
        size_t part_records; /* appends, and files forgotten */
        bool part_forgets;
        struct log_runs runs;
};

static struct iovec piece(const struct log_append *a)
{
        return (struct iovec){ .iov_base = (void *)a->data, .iov_len = a->len };
}

/* For the journal: these lines begin there in their file. */
static void stage(struct log_writer *w, const struct log_append *a, uint64_t offset)
{
        if (w->journal)
                journal_stage(w->journal, a, offset);
}

/* Opening may close another file, so no run may wait there. 0, -errno or LOG_FILE_BROKEN. */
static int open_file(struct log_writer *w, const struct source *source, struct log_file **ret)
{
        int r = log_debts_error(&w->debts, source);
        *ret = r == 0 ? log_cache_find(w->files, source) : NULL;
        if (r < 0)
                return r;
        if (*ret)
                return (*ret)->trouble;
        if (log_cache_full(w->files))
                log_runs_write(&w->runs);
        return log_cache_open(w->files, source, ret);
}

/* One append of several: whole or not at all. 0, -errno or LOG_FILE_BROKEN. */
static int append_one(struct log_writer *w, const struct log_append *a)
{
        struct log_file *f;
        int r = open_file(w, &a->source, &f);
        if (r != 0)
                return r;
        uint64_t at;
        struct iovec iov = piece(a);
        log_cache_touch(w->files, f);
        r = log_file_append(f, &iov, 1, &at);
        if (r == 0) {
                stage(w, a, at);
                log_cache_count(w->files, f, a, a->lines);
        } else {
                log_debts_cut_back(&w->debts, w->files, f, at, r);
        }
        return r;
}

/* Cuts off an append that is the tail of its file, which may have been closed meanwhile. 0 or LOG_FILE_BROKEN. */
static int undo_one(struct log_writer *w, const struct log_append *a)
{
        struct log_file *f;
        int r = open_file(w, &a->source, &f);
        if (r < 0)
                log_debts_add(&w->debts, &a->source, log_cache_day(w->files), a->len, r);
        if (r != 0)
                return r < 0 ? 0 : r;
        log_cache_touch(w->files, f);
        log_cache_uncount(f, a);
        if (f->size >= a->len) /* else somebody else cut it off while it was closed */
                log_debts_cut_back(&w->debts, w->files, f, f->size - a->len, 0);
        return 0;
}

static int write_together(struct log_writer *w, struct log_batch *b)
{
        size_t n = 0;
        int r = 0;
        log_runs_write(&w->runs);
        size_t staged = w->journal ? journal_staged(w->journal) : 0;
        while (n < b->n_appends && r == 0)
                r = append_one(w, &b->appends[n++]);
        if (r >= 0)
                return r;
        b->result = r;
        r = 0;
        if (w->journal)
                journal_unstage(w->journal, staged);
        for (n--; n > 0 && r == 0; n--)
                r = undo_one(w, &b->appends[n - 1]);
        log_debts_pay(&w->debts, w->config->datadir_fd); /* at once, before a kill could keep them for ever */
        return r;
}

/* ---- commits ---- */

static void begin_checkpoint(struct log_writer *w)
{
        struct log_checkpoint_work work;
        log_cache_hand_over(w->files, &work);
        log_checkpoint_start(w->checkpoint, &work);
}

/* Between two groups. */
static void settle_and_checkpoint(struct log_writer *w)
{
        int r = log_settle_checkpoint(&w->settle);
        if (r == 0)
                begin_checkpoint(w);
        else if (r > 0)
                atomic_store(&w->failed, true);
}

static void checkpoint_if_due(struct log_writer *w)
{
        if (!w->journal || !journal_has_frames(w->journal) || log_checkpoint_is_running(w->checkpoint) ||
            log_writer_failed(w))
                return;
        if (journal_has_full(w->journal) || clock_monotonic_ns() - w->frames_since_ns >= CHECKPOINT_INTERVAL_NS)
                settle_and_checkpoint(w);
}

/* Every segment is in use: waits for a checkpoint, which may free none if the disk is full. When a file was moved none
 * begins: the next group settles that first. 0 or LOG_FILE_BROKEN. */
static int free_a_segment(struct log_writer *w)
{
        if (!log_checkpoint_is_running(w->checkpoint) && !log_settle_is_due(&w->settle))
                begin_checkpoint(w);
        log_checkpoint_wait(w->checkpoint);
        return log_checkpoint_failed(w->checkpoint) ? LOG_FILE_BROKEN : 0;
}

/* A file is not synced alone while a checkpoint makes its name durable. */
static int sync_files(struct log_writer *w)
{
        log_checkpoint_wait(w->checkpoint);
        journal_unstage(w->journal, 0);
        metrics_count(w->config->metrics, METRICS_LOG_SYNCED_DIRECTLY, 1);
        return log_checkpoint_failed(w->checkpoint) ? LOG_FILE_BROKEN : log_cache_sync(w->files);
}

static int write_journal(struct log_writer *w)
{
        if (!journal_has_frames(w->journal))
                w->frames_since_ns = clock_monotonic_ns();
        int r = journal_commit(w->journal, log_cache_day(w->files));
        if (r == JOURNAL_FULL) {
                r = free_a_segment(w);
                if (r != 0)
                        return r;
                r = journal_commit(w->journal, log_cache_day(w->files));
        }
        if (r < 0 || r == JOURNAL_FULL)
                return sync_files(w); /* no room to grow */
        if (r > 0)
                return LOG_FILE_BROKEN;
        log_cache_leave(w->files);
        return 0;
}

static bool goes_round_journal(const struct log_writer *w)
{
        unsigned files = log_cache_touched(w->files);
        if (w->part_forgets)
                return false;
        if (w->part_bytes > journal_room(w->journal, w->part_records))
                return true; /* one batch, and no segment would hold it */
        return files > 0 && files <= DIRECT_FILES_MAX && w->part_bytes / files >= DIRECT_BYTES_PER_FILE &&
               !log_checkpoint_is_running(w->checkpoint);
}

/* Writes what waits and makes it durable. 0 or LOG_FILE_BROKEN. */
static int commit_part(struct log_writer *w)
{
        int r = 0;
        log_runs_write(&w->runs);
        if (!w->journal)
                log_cache_leave(w->files);
        else
                r = goes_round_journal(w) ? sync_files(w) : write_journal(w);
        w->part_bytes = 0;
        w->part_records = 0;
        w->part_forgets = false;
        return r;
}

/* A part is what fits into one frame of the journal, or a single batch that does not. 0, -errno or LOG_FILE_BROKEN. */
static int join_part(struct log_writer *w, uint64_t bytes, size_t records)
{
        int r = 0;
        if (w->journal && w->part_records > 0 &&
            w->part_bytes + bytes > journal_room(w->journal, w->part_records + records))
                r = commit_part(w);
        if (r == 0 && w->journal)
                r = journal_reserve(w->journal, w->part_records + records);
        if (r == 0)
                r = log_debts_reserve(&w->debts, w->part_records + records);
        if (r == 0) {
                w->part_bytes += bytes;
                w->part_records += records;
        }
        return r;
}

/* 0 or LOG_FILE_BROKEN. */
static int stage_batch(struct log_writer *w, struct log_batch *b)
{
        struct log_file *f;
        b->result = 0;
        int r = join_part(w, b->work.item.weight, b->n_appends);
        if (r == 0 && b->n_appends != 1)
                return write_together(w, b);
        if (r == 0)
                r = open_file(w, &b->appends[0].source, &f);
        if (r == 0)
                log_runs_join(&w->runs, f, b);
        else if (r < 0)
                b->result = r;
        return r < 0 ? 0 : r;
}

/* Lines of the file that are only in the journal must not bring it back. */
static int stage_unlink(struct log_writer *w, struct log_unlink *u)
{
        int r = commit_part(w);
        if (r != 0)
                return r;
        r = join_part(w, 0, 1);
        u->result = r < 0 ? r : log_cache_unlink(w->files, u);
        if ((u->result == 0 || u->result == -ENOENT) && w->journal && journal_is_live(w->journal)) {
                journal_stage_forget(w->journal, u);
                w->part_forgets = true;
        }
        return r < 0 ? 0 : r;
}

static int stage_work(struct log_writer *w, struct log_work *work)
{
        switch (work->kind) {
        case LOG_WORK_BATCH: return stage_batch(w, log_work_batch(work));
        case LOG_WORK_UNLINK: return stage_unlink(w, log_work_unlink(work));
        case LOG_WORK_BARRIER: log_work_set_result(work, 0); return 0;
        }
        return 0;
}

int log_writer_store(struct log_writer *w, struct log_work *list)
{
        int r = 0;
        assert_on_thread(&w->owner);
        assert(!w->runs.first && w->part_records == 0); /* the last group has been committed */
        log_cache_set_time(w->files, clock_now());
        log_debts_pay(&w->debts, w->config->datadir_fd);
        r = log_settle_group(&w->settle, list);
        for (struct log_work *work = list; work && r == 0; work = log_work_next(work))
                r = stage_work(w, work);
        if (r == 0)
                r = commit_part(w);
        if (r == 0)
                return 0;
        log_runs_drop(&w->runs);
        atomic_store(&w->failed, true);
        log_checkpoint_report_failure(w->config->troubles);
        return -EIO;
}

/* ---- life ---- */

void log_writer_tick(struct log_writer *w)
{
        assert_on_thread(&w->owner);
        checkpoint_if_due(w);
        log_debts_pay(&w->debts, w->config->datadir_fd);
        log_cache_notes(w->files);
}

bool log_writer_needs_ticks(const struct log_writer *w)
{
        return w->debts.n > 0 || log_cache_has_news(w->files) || (w->journal && journal_has_frames(w->journal));
}

size_t log_writer_open_files(const struct log_writer *w)
{
        return log_cache_size(w->files);
}

bool log_writer_failed(const struct log_writer *w)
{
        return atomic_load(&w->failed) || (w->checkpoint && log_checkpoint_failed(w->checkpoint));
}

void log_writer_begin(struct log_writer *w)
{
        thread_owner_take(&w->owner);
        log_cache_begin(w->files);
        if (w->journal)
                journal_begin(w->journal);
}

static void checkpoint_at_the_end(struct log_writer *w)
{
        if (!w->journal)
                return;
        log_checkpoint_wait(w->checkpoint);
        if (journal_has_frames(w->journal) && !log_writer_failed(w))
                settle_and_checkpoint(w);
        log_checkpoint_wait(w->checkpoint);
}

void log_writer_end(struct log_writer *w)
{
        checkpoint_at_the_end(w);
        log_debts_pay(&w->debts, w->config->datadir_fd);
        w->files = log_cache_free(w->files);
        thread_owner_release(&w->owner);
}

static int open_journal(struct log_writer *w)
{
        int r = journal_open(w->config->datadir_fd, w->config->journal_bytes, &w->journal);
        return r < 0 ? r : log_checkpoint_new(w->config, w->journal, &w->checkpoint);
}

int log_writer_new(const struct log_committer_config *config, struct log_writer **ret)
{
        struct log_writer *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->config = config;
        w->files = log_cache_new(config);
        int r = w->files ? 0 : -ENOMEM;
        if (r == 0 && config->sync)
                r = open_journal(w);
        w->runs = (struct log_runs){ .files = w->files, .journal = w->journal, .debts = &w->debts };
        w->settle = (struct log_settle){
                .config = config, .files = w->files, .journal = w->journal, .checkpoint = w->checkpoint
        };
        if (r < 0) {
                log_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

struct log_writer *log_writer_free(struct log_writer *w)
{
        if (!w)
                return NULL;
        log_cache_free(w->files);
        log_debts_done(&w->debts);
        log_checkpoint_free(w->checkpoint);
        journal_free(w->journal);
        free(w);
        return NULL;
}
