/* Only when a file was moved does this cost more than a look at each name: it waits for a checkpoint under way, reads
 * the live journal, and syncs the whole file system, so that a renamed file or a copy has its lines, and its name. Then
 * one frame of the journal says that what it held of the file is settled, and holds what goes to the new file. Only
 * then is the new file written, so that each line is there once, whenever a crash comes. When the journal has no room
 * for that frame, the new file is synced, and the journal freed at once: a crash in between leaves the lines twice.
 *
 * Failure modes: a file that cannot be looked at, or opened, stays as it is, its batches are refused (`trouble`) and
 * the journal is kept until it can. A file that may not be written has its lines moved to recovered/ (log_recovered.c). After the frame
 * is durable a failed write is final; the next start brings the lines back from the journal. */
#include "storage/logs/log_settle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/logs/log_copies.h"
#include "storage/logs/log_recovered.h"
#include "storage/logs/log_replay.h"
#include "storage/logs/log_work.h"
#include "util/buf.h"
#include "util/files/durable.h"
#include "util/log.h"

#define MOVED_LOGGED_MAX 20 /* files of one look, each with a line in the log */

struct moved {
        struct log_file *file; /* NULL: closed */
        bool given_up;         /* for now: see file->trouble */
        const struct log_replay_file *journal;
        struct log_unlink forget;
        struct log_append append;
        char platform[LOG_FILE_TEXT_SIZE], version[LOG_FILE_TEXT_SIZE];
        struct buf lines; /* that are in no file */
};

struct moves {
        struct moved *list;
        size_t n, cap;
        struct log_replay replay;
        bool round_journal; /* lines are in their files, and the journal does not say so */
};

static void moves_done(struct moves *m)
{
        for (size_t i = 0; i < m->n; i++)
                buf_done(&m->list[i].lines);
        free(m->list);
        log_replay_done(&m->replay);
}

/* ---- which files ---- */

static void add(struct moves *m, struct log_file *f)
{
        f->trouble = 0;
        if (m->n == m->cap) {
                size_t cap = m->cap > 0 ? 2 * m->cap : 8;
                struct moved *list = realloc(m->list, cap * sizeof(*list));
                if (!list) {
                        f->trouble = -ENOMEM;
                        return;
                }
                m->list = list;
                m->cap = cap;
        }
        m->list[m->n++] = (struct moved){ .file = f };
}

static void look_at(const struct log_settle *s, struct log_file *f, struct moves *m)
{
        if (f->looked_at == s->group)
                return;
        f->looked_at = s->group;
        assert(!f->touched && !f->run_first); /* nothing of the group is written yet */
        if (!log_file_is_ours(f))
                add(m, f);
        else
                f->trouble = 0;
}

static void look_at_dirty(const struct log_settle *s, struct moves *m)
{
        struct log_file *f;
        for (f = log_cache_dirty(s->files); f; f = f->dirty_next)
                look_at(s, f, m);
}

static void look_at_group(const struct log_settle *s, const struct log_work *list, struct moves *m)
{
        for (const struct log_work *w = list; w; w = log_work_next(w)) {
                if (w->kind != LOG_WORK_BATCH)
                        continue;
                const struct log_batch *b = container_of(w, const struct log_batch, work);
                for (size_t i = 0; i < b->n_appends; i++) {
                        struct log_file *f = log_cache_find(s->files, &b->appends[i].source);
                        if (f)
                                look_at(s, f, m);
                }
        }
}

/* ---- where its lines are ---- */

static int read_journal(const struct log_settle *s, struct moves *m)
{
        struct journal_live live[JOURNAL_SEGMENTS];
        bool damaged = false; /* somebody reads it again after a crash, and reports it */
        int r = 0;
        m->replay.only_expected = true;
        for (struct moved *f = m->list; f < m->list + m->n; f++) {
                f->journal = log_replay_expect(&m->replay, &f->file->source, f->file->day);
                if (!f->journal)
                        return -ENOMEM;
        }
        unsigned n = journal_list_live(s->journal, live);
        for (unsigned i = 0; i < n && r == 0; i++)
                r = log_replay_read(&m->replay, live[i].slot, live[i].fd, live[i].generation, &damaged);
        for (struct log_replay_file *f = m->replay.files; f && r == 0; f = f->hh.next)
                log_replay_mark(f);
        return r;
}

/* Of a piece, the lines that are in no file. They may be some of it: a copy was made in between. */
static int take_lost(const struct log_replay *r, const struct log_replay_piece *p, const struct log_file *now,
                     const struct log_copies *copies, struct buf *lines)
{
        int e = 0;
        for (size_t from = 0, n; from < p->len && e == 0; from += n) {
                n = 0;
                if (now->fd >= 0)
                        e = log_replay_compare_named(r, p, from, now->fd, now->size, &n);
                if (e == 0 && n == 0)
                        n = log_copies_have(copies, r, p, from);
                if (e < 0 || n > 0)
                        continue;
                e = log_replay_line(r, p, from, &n);
                if (e == 0)
                        e = log_replay_take(r, p, from, n, lines);
        }
        return e;
}

/* Fills m->lines. A file that was removed, with nothing in its place, was meant to go. */
static int find_lost(const struct log_replay *r, struct moved *m, int datadir_fd)
{
        struct log_file now = { .fd = -1 };
        struct log_copies copies = { 0 };
        int e = log_file_open_as_is(&now, datadir_fd, &m->file->source, m->file->day, false);
        bool named = log_file_has_a_name(m->file);
        if (e == -ENOENT && !named)
                return 0;
        if (named)
                log_copies_add(&copies, m->file->fd);
        log_copies_open(&copies, datadir_fd, m->journal);
        if (e == -ENOENT || log_recovered_is_for(e))
                e = 0;
        for (size_t i = 0; i < m->journal->n && e == 0; i++)
                e = take_lost(r, &m->journal->pieces[i], &now, &copies, &m->lines);
        log_copies_done(&copies);
        log_file_close(&now);
        return e;
}

/* ---- the new file ---- */

static unsigned count_lines(const struct buf *lines)
{
        unsigned n = 0;
        for (size_t i = 0; i < lines->len; i++)
                n += lines->data[i] == '\n';
        return n;
}

static void give_up(struct moved *m, int error)
{
        m->file->trouble = error;
        m->given_up = true;
}

/* Closes the old file and opens the new one. Its lines are in m->append afterwards, if there are any. */
static void reopen(const struct log_settle *s, struct moved *m)
{
        struct log_file *f = m->file, now;
        const struct source source = f->source;
        int e = m->lines.len > 0 ? log_file_open(&now, s->config->datadir_fd, &source, f->day) : 0;
        if (log_recovered_is_for(e)) {
                e = log_recovered_append(s->config->datadir_fd, &source, f->day, &m->lines, e);
                buf_done(&m->lines);
        } else if (e == 0 && m->lines.len > 0) {
                log_file_close(&now);
        }
        if (e != 0) {
                give_up(m, e < 0 ? e : -EIO);
                return;
        }
        memcpy(m->platform, f->platform, sizeof(m->platform));
        memcpy(m->version, f->version, sizeof(m->version));
        m->forget = (struct log_unlink){ .source = source };
        memcpy(m->forget.day, f->day, sizeof(m->forget.day));
        m->append = (struct log_append){
                .source = source,
                .platform = m->platform,
                .version = m->version,
                .data = m->lines.data,
                .len = m->lines.len,
                .lines = count_lines(&m->lines),
        };
        log_cache_retire(s->files, f);
        m->file = NULL;
}

static int find_or_open(const struct log_settle *s, const struct source *source, struct log_file **ret)
{
        *ret = log_cache_find(s->files, source);
        return *ret ? 0 : log_cache_open(s->files, source, ret);
}

/* One frame for as many as fit. 0; or what the journal said: then its lines must be synced in their files. */
static int write_frame(const struct log_settle *s, struct moved *first, const struct moved *end,
                       struct moved **ret_next)
{
        uint64_t bytes = 0;
        size_t records = 0;
        struct moved *m;
        int r = journal_reserve(s->journal, 2 * (size_t)(end - first));
        for (m = first; m < end && r == 0; m++) {
                struct log_file *f;
                if (m->given_up || m->journal->n == 0)
                        continue;
                if (records > 0 && bytes + m->append.len > journal_room(s->journal, records + 2))
                        break;
                bytes += m->append.len;
                records += 2;
                journal_stage_forget(s->journal, &m->forget);
                r = m->append.len > 0 ? find_or_open(s, &m->append.source, &f) : 0;
                if (r == 0 && m->append.len > 0)
                        journal_stage(s->journal, &m->append, f->size);
        }
        *ret_next = m;
        if (r == 0 && bytes > journal_room(s->journal, records))
                r = JOURNAL_FULL;
        if (r == 0)
                r = journal_commit(s->journal, log_cache_day(s->files));
        if (r != 0)
                journal_unstage(s->journal, 0);
        return r;
}

static int append_lines(const struct log_settle *s, const struct moved *m, struct moves *moves)
{
        struct log_file *f;
        uint64_t at;
        struct iovec iov = { .iov_base = (void *)m->append.data, .iov_len = m->append.len };
        int r = find_or_open(s, &m->append.source, &f);
        if (r != 0)
                return r;
        log_cache_touch(s->files, f);
        r = log_file_append(f, &iov, 1, &at);
        if (f->displaced)
                moves->round_journal = true; /* they are not where the frame says */
        log_cache_count(s->files, f, &m->append, m->append.lines);
        return r;
}

static int write_some(const struct log_settle *s, struct moves *moves, struct moved *first, struct moved **ret_next)
{
        int in_journal = write_frame(s, first, moves->list + moves->n, ret_next);
        moves->round_journal = moves->round_journal || in_journal != 0;
        int r = in_journal == JOURNAL_BROKEN ? LOG_FILE_BROKEN : 0;
        for (struct moved *m = first; m < *ret_next && r == 0; m++) {
                if (!m->given_up && m->append.len > 0)
                        r = append_lines(s, m, moves);
        }
        if (r == 0 && in_journal == 0)
                log_cache_leave(s->files);
        else if (r == 0)
                r = log_cache_sync(s->files);
        if (r < 0)
                log_error("log store failed, lines of a moved file could not be written again",
                          LOG_STR("error", strerror(-r)));
        return r != 0 ? LOG_FILE_BROKEN : 0;
}

static int write_lost(const struct log_settle *s, struct moves *m)
{
        int r = 0;
        for (struct moved *at = m->list; at < m->list + m->n && r == 0;)
                r = write_some(s, m, at, &at);
        return r;
}

/* A moved file whose lines may be in the journal alone. */
static bool any_unsettled(const struct log_settle *s)
{
        for (const struct log_file *f = log_cache_dirty(s->files); f; f = f->dirty_next) {
                if (f->trouble != 0)
                        return true;
        }
        return false;
}

/* What is settled must not be brought back. */
static int free_journal(const struct log_settle *s)
{
        struct log_checkpoint_work work;
        log_cache_hand_over(s->files, &work);
        log_checkpoint_start(s->checkpoint, &work);
        log_checkpoint_wait(s->checkpoint);
        return log_checkpoint_failed(s->checkpoint) ? LOG_FILE_BROKEN : 0;
}

/* ---- all together ---- */

static void report(const struct moves *m)
{
        size_t n = 0;
        for (const struct moved *f = m->list; f < m->list + m->n && n < MOVED_LOGGED_MAX; f++) {
                if (f->given_up || f->journal->n == 0)
                        continue;
                log_warn("a log file was moved, emptied or replaced while it was written; a new one is begun",
                         LOG_STR("file", f->journal->key), LOG_INT("bytes_brought_back", f->append.len));
                n++;
        }
}

static int settle(const struct log_settle *s, struct moves *m)
{
        bool held = false;
        log_checkpoint_wait(s->checkpoint);
        if (log_checkpoint_failed(s->checkpoint))
                return LOG_FILE_BROKEN;
        int r = read_journal(s, m);
        for (struct moved *f = m->list; f < m->list + m->n; f++) {
                int e = r == 0 ? find_lost(&m->replay, f, s->config->datadir_fd) : r;
                if (e != 0)
                        give_up(f, e < 0 ? e : -EIO);
                else
                        held = held || f->journal->n > 0;
        }
        if (held) {
                r = durable_sync_all(s->config->datadir_fd);
                if (r < 0) {
                        log_error("log store failed, no batch is acknowledged any more",
                                  LOG_STR("step", "sync moved files"), LOG_STR("error", strerror(-r)));
                        return LOG_FILE_BROKEN;
                }
        }
        for (struct moved *f = m->list; f < m->list + m->n; f++) {
                if (!f->given_up)
                        reopen(s, f);
        }
        r = held ? write_lost(s, m) : 0;
        report(m);
        if (r == 0 && m->round_journal && !any_unsettled(s))
                r = free_journal(s);
        return r;
}

static int settle_all(struct log_settle *s, struct moves *m)
{
        if (m->n == 0)
                return 0;
        if (s->journal)
                return settle(s, m);
        for (struct moved *f = m->list; f < m->list + m->n; f++)
                log_cache_retire(s->files, f->file);
        return 0;
}

int log_settle_group(struct log_settle *s, struct log_work *list)
{
        _cleanup_(moves_done) struct moves m = { 0 };
        s->group++;
        look_at_group(s, list, &m);
        if (m.n > 0)
                look_at_dirty(s, &m);
        return settle_all(s, &m);
}

int log_settle_checkpoint(struct log_settle *s)
{
        _cleanup_(moves_done) struct moves m = { 0 };
        s->group++;
        look_at_dirty(s, &m);
        int r = settle_all(s, &m);
        return r == 0 && any_unsettled(s) ? -EAGAIN : r;
}

bool log_settle_is_due(const struct log_settle *s)
{
        for (const struct log_file *f = log_cache_dirty(s->files); f; f = f->dirty_next) {
                if (!log_file_is_ours(f))
                        return true;
        }
        return false;
}
