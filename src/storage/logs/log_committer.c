/* Group commit: take what is queued, write it, make it durable by one sync, answer.
 *
 * Batches of one append, nearly all there are, first wait at their file (a run) and are written together by one writev.
 * A batch over several files is a barrier: the runs are written, then its appends one by one, so that on a failure they
 * are the tails of their files and can be cut off again. An unlink is a barrier too. Then all of it is committed, as one
 * frame of the journal or, where few files got many bytes, by syncing the files; a group too large for one frame is
 * committed in parts. Then the group is answered, each owner in the order of the queue.
 *
 * Failure modes: a write that fails (ENOSPC) is cut back to the last whole batch; that batch and those behind it in the
 * same run fail, the rest of the group goes on. A journal that cannot grow is gone round: the files are synced.
 * LOG_FILE_BROKEN (a failed sync, or a cut that failed) fails the group with -EIO and the store for good: what is queued
 * then, and comes later, is answered -EROFS, and no file is touched or synced again. */
#include "storage/logs/log_committer.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "storage/logs/journal.h"
#include "storage/logs/log_cache.h"
#include "storage/logs/log_checkpoint.h"
#include "storage/logs/log_file.h"
#include "util/log.h"

#define GROUP_MAX 4096 /* batches under one sync, so that the first does not wait for ever */
#define ANSWERS_MAX 32 /* owners told together; with more, some hear twice of a group */
#define TICK_MS 1000   /* how often an idle committer looks for what is due */
#define CHECKPOINT_INTERVAL_NS (5 * UINT64_C(1000000000))

/* So few files with so many bytes each are synced themselves: writing them twice would cost more (docs/adr/0007). */
#define DIRECT_FILES_MAX 8
#define DIRECT_BYTES_PER_FILE ((uint64_t)96 * 1024)

struct log_committer {
        struct log_committer_config config;
        struct work_queue *queue;
        pthread_t thread;
        atomic_bool failed;

        /* The thread's. */
        struct journal *journal;           /* NULL without sync */
        struct log_checkpoint *checkpoint; /* likewise */
        uint64_t frames_since_ns;          /* when the first frame that no checkpoint has seen was written */
        struct log_cache *files;
        uint64_t part_bytes; /* of lines, since the last commit */
        size_t part_records; /* appends, and files forgotten */
        bool part_forgets;
        struct log_file *runs; /* files with a run */
        struct iovec iov[IOV_MAX];
};

static struct log_batch *to_batch(struct log_work *w)
{
        return container_of(w, struct log_batch, work);
}

static struct log_unlink *to_unlink(struct log_work *w)
{
        return container_of(w, struct log_unlink, work);
}

static struct log_work *to_work(struct work *w)
{
        return w ? container_of(w, struct log_work, item) : NULL;
}

static struct log_work *next_work(const struct log_work *w)
{
        return to_work(w->item.next);
}

static int64_t count_list(const struct log_work *list)
{
        int64_t n = 0;
        for (const struct log_work *w = list; w; w = next_work(w))
                n++;
        return n;
}

static struct iovec piece(const struct log_append *a)
{
        return (struct iovec){ .iov_base = (void *)a->data, .iov_len = a->len };
}

/* For the journal: these lines begin there in their file. */
static void stage(struct log_committer *c, const struct log_append *a, uint64_t offset)
{
        if (c->journal)
                journal_stage(c->journal, a, offset);
}

/* Part of a run, at most IOV_MAX batches: all that got in whole stay, what follows is cut off. first has at least one
 * batch; *ret_next is the batch after the part. 0, -errno or LOG_FILE_BROKEN. */
static int write_part(struct log_committer *c, struct log_file *f, struct log_batch *first, struct log_batch **ret_next)
{
        uint64_t whole = f->size, lines = 0;
        size_t n = 0;
        const struct log_append *newest = NULL;
        struct log_batch *b;

        for (b = first; b && n < IOV_MAX; b = b->next)
                c->iov[n++] = piece(&b->appends[0]);
        *ret_next = b;
        log_cache_touch(c->files, f);
        int r = log_file_append(f, c->iov, n);
        for (b = first; b != *ret_next && b->appends[0].len <= f->size - whole; b = b->next) {
                newest = &b->appends[0];
                stage(c, newest, whole);
                whole += newest->len;
                lines += newest->lines;
        }
        if (newest)
                log_cache_count(c->files, f, newest, lines);
        for (; b != *ret_next; b = b->next)
                b->result = r;
        return f->size > whole && log_file_cut(f, whole) != 0 ? LOG_FILE_BROKEN : r;
}

static int write_run(struct log_committer *c, struct log_file *f)
{
        struct log_batch *b = f->run_first;
        int r = 0;
        while (b && r == 0)
                r = write_part(c, f, b, &b);
        for (; b; b = b->next)
                b->result = r;
        f->run_first = NULL;
        f->run_last = &f->run_first;
        return r < 0 ? 0 : r;
}

/* 0 or LOG_FILE_BROKEN; what concerns single batches is in their results. */
static int write_runs(struct log_committer *c)
{
        int r = 0;
        while (c->runs && r == 0) {
                struct log_file *f = c->runs;
                c->runs = f->run_next;
                r = write_run(c, f);
        }
        return r;
}

static void join_run(struct log_committer *c, struct log_file *f, struct log_batch *b)
{
        if (!f->run_first) {
                f->run_next = c->runs;
                c->runs = f;
        }
        b->next = NULL;
        *f->run_last = b;
        f->run_last = &b->next;
}

/* Opening may close another file, so no run may wait there. */
static int open_file(struct log_committer *c, const struct source *source, struct log_file **ret)
{
        *ret = log_cache_find(c->files, source);
        if (*ret)
                return 0;
        int r = log_cache_full(c->files) ? write_runs(c) : 0;
        return r != 0 ? r : log_cache_open(c->files, source, ret);
}

/* One append of several: whole or not at all. 0, -errno or LOG_FILE_BROKEN. */
static int append_one(struct log_committer *c, const struct log_append *a)
{
        struct log_file *f;
        int r = open_file(c, &a->source, &f);
        if (r != 0)
                return r;
        uint64_t before = f->size;
        struct iovec iov = piece(a);
        log_cache_touch(c->files, f);
        r = log_file_append(f, &iov, 1);
        if (r == 0) {
                stage(c, a, before);
                log_cache_count(c->files, f, a, a->lines);
        } else if (f->size > before && log_file_cut(f, before) != 0) {
                return LOG_FILE_BROKEN;
        }
        return r;
}

/* Cuts off an append that is the tail of its file, which may have been closed meanwhile. 0 or LOG_FILE_BROKEN. */
static int undo_one(struct log_committer *c, const struct log_append *a)
{
        struct log_file *f;
        int r = open_file(c, &a->source, &f);
        if (r < 0)
                log_error("log store failed, a batch could not be taken back", LOG_STR("project", a->source.project),
                          LOG_STR("install_id", a->source.install_id), LOG_STR("error", strerror(-r)));
        if (r != 0)
                return LOG_FILE_BROKEN;
        log_cache_touch(c->files, f);
        log_cache_uncount(f, a);
        return log_file_cut(f, f->size - a->len);
}

static int write_together(struct log_committer *c, struct log_batch *b)
{
        size_t n = 0;
        int r = write_runs(c);
        if (r != 0)
                return r;
        size_t staged = c->journal ? journal_staged(c->journal) : 0;
        while (n < b->n_appends && r == 0)
                r = append_one(c, &b->appends[n++]);
        if (r >= 0)
                return r;
        b->result = r;
        r = 0;
        if (c->journal)
                journal_unstage(c->journal, staged);
        for (n--; n > 0 && r == 0; n--)
                r = undo_one(c, &b->appends[n - 1]);
        return r;
}

/* ---- commits ---- */

static void begin_checkpoint(struct log_committer *c)
{
        struct log_checkpoint_work work;
        log_cache_hand_over(c->files, &work);
        log_checkpoint_start(c->checkpoint, &work);
}

static void checkpoint_if_due(struct log_committer *c)
{
        if (!c->journal || !journal_has_frames(c->journal) || log_checkpoint_is_running(c->checkpoint) ||
            log_committer_failed(c))
                return;
        if (journal_has_full(c->journal) || clock_monotonic_ns() - c->frames_since_ns >= CHECKPOINT_INTERVAL_NS)
                begin_checkpoint(c);
}

/* Every segment is in use: waits for a checkpoint. 0 or LOG_FILE_BROKEN. */
static int free_a_segment(struct log_committer *c)
{
        if (!log_checkpoint_is_running(c->checkpoint))
                begin_checkpoint(c);
        log_checkpoint_wait(c->checkpoint);
        return log_checkpoint_failed(c->checkpoint) ? LOG_FILE_BROKEN : 0;
}

/* A file is not synced alone while a checkpoint makes its name durable. */
static int sync_files(struct log_committer *c)
{
        log_checkpoint_wait(c->checkpoint);
        journal_unstage(c->journal, 0);
        metrics_count(c->config.metrics, METRICS_LOG_SYNCED_DIRECTLY, 1);
        return log_checkpoint_failed(c->checkpoint) ? LOG_FILE_BROKEN : log_cache_sync(c->files);
}

static int write_journal(struct log_committer *c)
{
        int r;
        if (!journal_has_frames(c->journal))
                c->frames_since_ns = clock_monotonic_ns();
        while ((r = journal_commit(c->journal, log_cache_day(c->files))) == JOURNAL_FULL) {
                r = free_a_segment(c);
                if (r != 0)
                        return r;
        }
        if (r < 0)
                return sync_files(c); /* no room to grow */
        if (r > 0)
                return LOG_FILE_BROKEN;
        log_cache_leave(c->files);
        return 0;
}

static bool goes_round_journal(const struct log_committer *c)
{
        unsigned files = log_cache_touched(c->files);
        if (c->part_forgets)
                return false;
        if (c->part_bytes > journal_room(c->journal, c->part_records))
                return true; /* one batch, and no segment would hold it */
        return files > 0 && files <= DIRECT_FILES_MAX && c->part_bytes / files >= DIRECT_BYTES_PER_FILE &&
               !log_checkpoint_is_running(c->checkpoint);
}

/* Writes what waits and makes it durable. 0 or LOG_FILE_BROKEN. */
static int commit_part(struct log_committer *c)
{
        int r = write_runs(c);
        if (r == 0 && !c->journal)
                log_cache_leave(c->files);
        else if (r == 0)
                r = goes_round_journal(c) ? sync_files(c) : write_journal(c);
        c->part_bytes = 0;
        c->part_records = 0;
        c->part_forgets = false;
        return r;
}

/* A part is what fits into one frame of the journal, or a single batch that does not. 0, -errno or LOG_FILE_BROKEN. */
static int join_part(struct log_committer *c, uint64_t bytes, size_t records)
{
        int r = 0;
        if (c->journal && c->part_records > 0 &&
            c->part_bytes + bytes > journal_room(c->journal, c->part_records + records))
                r = commit_part(c);
        if (r == 0 && c->journal)
                r = journal_reserve(c->journal, c->part_records + records);
        if (r == 0) {
                c->part_bytes += bytes;
                c->part_records += records;
        }
        return r;
}

/* 0 or LOG_FILE_BROKEN. */
static int stage_batch(struct log_committer *c, struct log_batch *b)
{
        struct log_file *f;
        b->result = 0;
        int r = join_part(c, b->work.item.weight, b->n_appends);
        if (r == 0 && b->n_appends != 1)
                return write_together(c, b);
        if (r == 0)
                r = open_file(c, &b->appends[0].source, &f);
        if (r == 0)
                join_run(c, f, b);
        else if (r < 0)
                b->result = r;
        return r < 0 ? 0 : r;
}

/* Lines of the file that are only in the journal must not bring it back. */
static int stage_unlink(struct log_committer *c, struct log_unlink *u)
{
        int r = commit_part(c);
        if (r != 0)
                return r;
        r = join_part(c, 0, 1);
        u->result = r < 0 ? r : log_cache_unlink(c->files, u);
        if ((u->result == 0 || u->result == -ENOENT) && c->journal && journal_is_live(c->journal)) {
                journal_stage_forget(c->journal, u);
                c->part_forgets = true;
        }
        return r < 0 ? 0 : r;
}

/* Writes a group and makes it durable. 0 or LOG_FILE_BROKEN. */
static int store_group(struct log_committer *c, struct log_work *list)
{
        int r = 0;
        log_cache_set_time(c->files, clock_now());
        for (struct log_work *w = list; w && r == 0; w = next_work(w))
                r = w->kind == LOG_WORK_BATCH ? stage_batch(c, to_batch(w)) : stage_unlink(c, to_unlink(w));
        return r == 0 ? commit_part(c) : r;
}

static void fail_all(struct log_work *list, int error)
{
        for (struct log_work *w = list; w; w = next_work(w)) {
                if (w->kind == LOG_WORK_BATCH)
                        to_batch(w)->result = error;
                else
                        to_unlink(w)->result = error;
        }
}

static void count_durable(const struct log_committer *c, struct log_work *list)
{
        uint64_t lines = 0;
        for (struct log_work *w = list; w; w = next_work(w)) {
                const struct log_batch *b = w->kind == LOG_WORK_BATCH ? to_batch(w) : NULL;
                for (size_t i = 0; b && b->result == 0 && i < b->n_appends; i++)
                        lines += b->appends[i].lines;
        }
        metrics_count(c->config.metrics, METRICS_LOG_COMMITS, 1);
        metrics_count(c->config.metrics, METRICS_LOG_RECORDS, lines);
}

/* What is told at once. */
struct answer {
        const void *owner;
        struct log_batch *first, **last;
};

struct answers {
        size_t n;
        struct answer list[ANSWERS_MAX];
};

static void give(struct answers *all)
{
        for (const struct answer *a = all->list; a < all->list + all->n; a++) {
                *a->last = NULL;
                a->first->done(a->first);
        }
        all->n = 0;
}

static void add_answer(struct answers *all, struct log_batch *b)
{
        struct answer *a = all->list, *end = a + all->n;
        while (a < end && (!b->owner || a->owner != b->owner))
                a++;
        if (a == all->list + ANSWERS_MAX) {
                give(all);
                a = end = all->list;
        }
        if (a == end) {
                *a = (struct answer){ .owner = b->owner, .last = &a->first };
                all->n++;
        }
        *a->last = b;
        a->last = &b->next;
}

/* done() may free the work. */
static void answer_all(struct log_work *list)
{
        struct answers answers;
        answers.n = 0;
        for (struct log_work *w = list, *next; w; w = next) {
                next = next_work(w);
                if (w->kind == LOG_WORK_BATCH)
                        add_answer(&answers, to_batch(w));
                else
                        to_unlink(w)->done(to_unlink(w), to_unlink(w)->result);
        }
        give(&answers);
}

static void commit(struct log_committer *c, struct log_work *list)
{
        metrics_gauge_add(c->config.metrics, METRICS_LOG_QUEUE, -count_list(list));
        if (log_committer_failed(c)) {
                fail_all(list, -EROFS);
        } else if (store_group(c, list) != 0) {
                atomic_store(&c->failed, true);
                fail_all(list, -EIO);
        } else {
                count_durable(c, list);
        }
        metrics_gauge_set(c->config.metrics, METRICS_LOG_FILES_OPEN, (int64_t)log_cache_size(c->files));
        answer_all(list);
}

static bool has_something_due(const struct log_committer *c)
{
        return log_cache_has_news(c->files) || (c->journal && journal_has_frames(c->journal));
}

/* Nothing is left for a recovery. */
static void checkpoint_at_the_end(struct log_committer *c)
{
        if (!c->journal)
                return;
        log_checkpoint_wait(c->checkpoint);
        if (journal_has_frames(c->journal) && !log_committer_failed(c))
                begin_checkpoint(c);
        log_checkpoint_wait(c->checkpoint);
}

static void *run(void *userdata)
{
        struct log_committer *c = userdata;
        for (;;) {
                bool timeout = false;
                struct work *list = work_queue_take(c->queue, GROUP_MAX, has_something_due(c) ? TICK_MS : -1, &timeout);
                if (list)
                        commit(c, to_work(list));
                else if (!timeout)
                        break;
                checkpoint_if_due(c);
                log_cache_notes(c->files);
        }
        checkpoint_at_the_end(c);
        c->files = log_cache_free(c->files);
        metrics_gauge_set(c->config.metrics, METRICS_LOG_FILES_OPEN, 0);
        return NULL;
}

static void destroy(struct log_committer *c)
{
        log_cache_free(c->files);
        log_checkpoint_free(c->checkpoint);
        journal_free(c->journal);
        work_queue_free(c->queue);
        free(c);
}

static int open_journal(struct log_committer *c)
{
        int r = journal_open(c->config.datadir_fd, c->config.journal_bytes, &c->journal);
        return r < 0 ? r : log_checkpoint_new(c->config.datadir_fd, c->journal, c->config.metrics, &c->checkpoint);
}

int log_committer_new(const struct log_committer_config *config, struct log_committer **ret)
{
        struct log_committer *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->config = *config;
        atomic_init(&c->failed, false);
        c->files = log_cache_new(&c->config);
        c->queue = work_queue_new(config->queue_batches, config->queue_bytes);
        int r = c->files && c->queue ? 0 : -ENOMEM;
        if (r == 0 && config->sync)
                r = open_journal(c);
        if (r == 0)
                r = -pthread_create(&c->thread, NULL, run, c);
        if (r < 0) {
                destroy(c);
                return r;
        }
        pthread_setname_np(c->thread, "log-committer");
        *ret = c;
        return 0;
}

struct log_committer *log_committer_free(struct log_committer *c)
{
        if (!c)
                return NULL;
        work_queue_close(c->queue);
        pthread_join(c->thread, NULL);
        destroy(c);
        return NULL;
}

static int push(struct log_committer *c, struct log_work *list, struct log_work **ret_rest)
{
        struct work *rest;
        *ret_rest = list;
        if (!list)
                return 0;
        if (log_committer_failed(c))
                return -EROFS;
        /* Counted before the thread can take them, so that the gauge never falls below zero. */
        metrics_gauge_add(c->config.metrics, METRICS_LOG_QUEUE, count_list(list));
        int r = work_queue_push_list(c->queue, &list->item, &rest);
        *ret_rest = to_work(rest);
        metrics_gauge_add(c->config.metrics, METRICS_LOG_QUEUE, -count_list(*ret_rest));
        return r;
}

int log_committer_submit_list(struct log_committer *c, struct log_batch *list, struct log_batch **ret_rest)
{
        struct log_work *rest;
        for (struct log_batch *b = list; b; b = b->next) {
                b->work =
                        (struct log_work){ .item.next = b->next ? &b->next->work.item : NULL, .kind = LOG_WORK_BATCH };
                for (size_t i = 0; i < b->n_appends; i++)
                        b->work.item.weight += b->appends[i].len;
        }
        int r = push(c, list ? &list->work : NULL, &rest);
        *ret_rest = rest ? to_batch(rest) : NULL;
        return r;
}

int log_committer_submit(struct log_committer *c, struct log_batch *batch)
{
        struct log_batch *rest;
        batch->next = NULL;
        return log_committer_submit_list(c, batch, &rest);
}

int log_committer_unlink(struct log_committer *c, struct log_unlink *u)
{
        struct log_work *rest;
        u->work = (struct log_work){ .kind = LOG_WORK_UNLINK };
        return push(c, &u->work, &rest);
}

bool log_committer_failed(const struct log_committer *c)
{
        return atomic_load(&c->failed) || (c->checkpoint && log_checkpoint_failed(c->checkpoint));
}

size_t log_committer_depth(const struct log_committer *c)
{
        return work_queue_depth(c->queue);
}
