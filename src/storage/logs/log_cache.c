/* An LRU of open log files.
 *
 * All files in it are of one day, so the source alone is the key: when the day changes the cache is emptied, between
 * two commits. A file is touched while a commit is under way, then dirty until a checkpoint has synced it; it may be
 * closed at any time, since the journal has its lines, or will have: the next checkpoint, or this commit, then has to
 * sync the whole file system, for a file that is closed cannot be synced alone.
 *
 * Notes are given by a sweep over all files, at most once a second, or at once when a file was opened. A refused note
 * keeps its lines for the next sweep; when its file is being closed it is dropped, and the next opening corrects the
 * file's size, which is what matters. */
#define HASH_NONFATAL_OOM 1 /* before uthash.h comes in: a failed insertion is seen in hh.tbl */
#include "storage/logs/log_cache.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "storage/space/denied.h"
#include "util/cleanup.h"
#include "util/files/durable.h"
#include "util/files/failure.h"
#include "util/log.h"
#include "util/thread_owner.h"

#define SWEEP_INTERVAL_NS (1 * UINT64_C(1000000000))
#define NOTE_INTERVAL_NS (5 * UINT64_C(1000000000))

struct log_cache {
        const struct log_committer_config *config;
        struct thread_owner owner;
        struct log_file *by_source; /* uthash */
        struct log_file *lru, *touched, *dirty;
        unsigned n_touched, n_dirty;
        bool closed_touched, closed_dirty; /* such a file is closed by now */
        struct moment at;
        char day[CLOCK_DAY_SIZE];
        uint64_t swept_ns;
        bool opened; /* a file since the last sweep */
        bool news;   /* as far as the last sweep and the appends since know */
};

struct log_cache *log_cache_new(const struct log_committer_config *config)
{
        struct log_cache *c = calloc(1, sizeof(*c));
        if (c)
                c->config = config;
        return c;
}

void log_cache_begin(struct log_cache *c)
{
        thread_owner_take(&c->owner);
}

static void note(struct log_cache *c, struct log_file *f, uint64_t now_ns)
{
        if (!c->config->note)
                return;
        struct log_file_note n = {
                .source = f->source,
                .platform = f->platform,
                .version = f->version,
                .bytes = f->size,
                .lines = f->lines,
                .at = f->at,
        };
        memcpy(n.day, f->day, sizeof(n.day));
        if (c->config->note(c->config->note_userdata, &n) != 0)
                return;
        f->lines = 0;
        f->noted_ns = now_ns;
}

static void drop_touched(struct log_cache *c, struct log_file *f)
{
        if (!f->touched)
                return;
        DL_DELETE2(c->touched, f, touched_prev, touched_next);
        f->touched = false;
        c->n_touched--;
}

static void drop_dirty(struct log_cache *c, struct log_file *f)
{
        if (!f->dirty)
                return;
        DL_DELETE2(c->dirty, f, dirty_prev, dirty_next);
        f->dirty = false;
        c->n_dirty--;
}

static void remove_file(struct log_cache *c, struct log_file *f)
{
        HASH_DELETE(hh, c->by_source, f);
        DL_DELETE2(c->lru, f, lru_prev, lru_next);
        drop_touched(c, f);
        drop_dirty(c, f);
        log_file_close(f);
        free(f);
}

static void retire(struct log_cache *c, struct log_file *f)
{
        assert(!f->run_first); /* its batches would be lost */
        if (f->lines > 0 || f->noted_ns == 0)
                note(c, f, clock_monotonic_ns());
        c->closed_touched = c->closed_touched || f->touched;
        c->closed_dirty = c->closed_dirty || f->dirty;
        remove_file(c, f);
}

void log_cache_close(struct log_cache *c, struct log_file *f)
{
        assert_on_thread(&c->owner);
        retire(c, f);
}

static void retire_all(struct log_cache *c)
{
        while (c->lru)
                retire(c, c->lru);
        c->news = false;
}

struct log_cache *log_cache_free(struct log_cache *c)
{
        if (!c)
                return NULL;
        assert_on_thread(&c->owner);
        retire_all(c);
        free(c);
        return NULL;
}

void log_cache_set_time(struct log_cache *c, struct moment at)
{
        char day[CLOCK_DAY_SIZE];
        c->at = at;
        clock_format_day(at, day);
        assert_on_thread(&c->owner);
        assert(c->n_touched == 0); /* the last group has been committed */
        if (strcmp(day, c->day) == 0)
                return;
        retire_all(c);
        memcpy(c->day, day, sizeof(day));
}

const char *log_cache_day(const struct log_cache *c)
{
        return c->day;
}

struct log_file *log_cache_find(struct log_cache *c, const struct source *source)
{
        char key[SOURCE_CANONICAL_SIZE];
        struct log_file *f;
        size_t len = source_canonical(source, key);

        HASH_FIND(hh, c->by_source, key, len, f);
        if (f && f != c->lru) {
                DL_DELETE2(c->lru, f, lru_prev, lru_next);
                DL_PREPEND2(c->lru, f, lru_prev, lru_next);
        }
        return f;
}

bool log_cache_full(const struct log_cache *c)
{
        unsigned max = c->config->open_files > 0 ? c->config->open_files : 1;
        return log_cache_size(c) >= max;
}

static int insert(struct log_cache *c, struct log_file *f)
{
        size_t len = source_canonical(&f->source, f->key);
        HASH_ADD(hh, c->by_source, key, len, f);
        if (!f->hh.tbl)
                return -ENOMEM;
        DL_PREPEND2(c->lru, f, lru_prev, lru_next);
        c->opened = true;
        c->news = true;
        return 0;
}

static void retire_oldest(struct log_cache *c)
{
        retire(c, c->lru->lru_prev); /* utlist: the head's prev is the tail */
}

void log_cache_report(struct log_cache *c, const struct source *source, int error)
{
        char path[LOG_FILE_PATH_SIZE];
        if (error >= 0)
                return;
        log_file_path(source, c->day, path);
        denied_report(c->config->troubles, c->config->datadir_fd, DENIED_LOGS, path, error);
}

/* Nobody has to wait for the next look when it is the source's own request that shows that all is well again. */
static void look_at_denied(const struct log_cache *c)
{
        struct troubles *t = c->config->troubles;
        if (troubles_has(t, TROUBLE_LOGS_DENIED) || troubles_has(t, TROUBLE_SOURCE_DENIED))
                denied_look(t, c->config->datadir_fd);
}

/* Others may have taken the descriptors: then there are fewer for log files. */
static int open_file(struct log_cache *c, struct log_file *f, const struct source *source)
{
        int r;
        do {
                r = log_file_open(f, c->config->datadir_fd, source, c->day);
                if (!failure_is_descriptors(r) || !c->lru || c->lru->lru_prev->run_first)
                        break;
                retire_oldest(c);
        } while (true);
        return r;
}

int log_cache_open(struct log_cache *c, const struct source *source, struct log_file **ret)
{
        assert_on_thread(&c->owner);
        if (log_cache_full(c))
                retire_oldest(c);
        _cleanup_(freep) struct log_file *f = malloc(sizeof(*f));
        if (!f)
                return -ENOMEM;
        int r = open_file(c, f, source);
        if (r != 0) {
                log_cache_report(c, source, r);
                return r;
        }
        look_at_denied(c);
        f->run_last = &f->run_first;
        f->at = c->at;
        r = insert(c, f);
        if (r < 0) {
                log_file_close(f);
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

void log_cache_touch(struct log_cache *c, struct log_file *f)
{
        if (f->touched)
                return;
        f->touched = true;
        c->n_touched++;
        DL_APPEND2(c->touched, f, touched_prev, touched_next);
}

unsigned log_cache_touched(const struct log_cache *c)
{
        return c->closed_touched ? UINT_MAX : c->n_touched;
}

/* Cuts between two UTF-8 characters: a continuation byte is never the first one left out. */
static void copy_text(char ret[LOG_FILE_TEXT_SIZE], const char *text)
{
        size_t len = text ? strnlen(text, LOG_FILE_TEXT_SIZE) : 0;
        if (len == LOG_FILE_TEXT_SIZE) {
                len--;
                while (len > 0 && ((uint8_t)text[len] & 0xC0) == 0x80)
                        len--;
        }
        if (len > 0)
                memcpy(ret, text, len);
        ret[len] = '\0';
}

void log_cache_count(struct log_cache *c, struct log_file *f, const struct log_append *newest, uint64_t lines)
{
        copy_text(f->platform, newest->platform);
        copy_text(f->version, newest->version);
        f->at = c->at;
        f->lines += lines;
        c->news = true;
}

void log_cache_uncount(struct log_file *f, const struct log_append *a)
{
        f->lines -= f->lines < a->lines ? f->lines : a->lines; /* a note may have gone out in between */
}

/* Writing out everything before waiting for the first file halves the wait when there are many. */
static void start_writeback(const struct log_cache *c)
{
        const struct log_file *f;
        if (c->n_touched < 2)
                return;
        DL_FOREACH2(c->touched, f, touched_next)
        sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: fdatasync reports the errors */
}

static int sync_closed(struct log_cache *c)
{
        int r = durable_sync_all(c->config->datadir_fd);
        if (r < 0) {
                log_error("log store failed, no batch is acknowledged any more", LOG_STR("step", "sync all files"),
                          LOG_STR("error", strerror(-r)));
                return LOG_FILE_BROKEN;
        }
        c->closed_touched = false;
        return 0;
}

int log_cache_sync(struct log_cache *c)
{
        int r = c->closed_touched ? sync_closed(c) : 0;
        start_writeback(c);
        while (c->touched && r == 0) {
                struct log_file *f = c->touched;
                drop_touched(c, f);
                drop_dirty(c, f);
                r = log_file_sync(f);
        }
        return r;
}

void log_cache_leave(struct log_cache *c)
{
        assert_on_thread(&c->owner);
        c->closed_dirty = c->closed_dirty || c->closed_touched;
        c->closed_touched = false;
        while (c->touched) {
                struct log_file *f = c->touched;
                drop_touched(c, f);
                if (f->dirty)
                        continue;
                f->dirty = true;
                c->n_dirty++;
                DL_APPEND2(c->dirty, f, dirty_prev, dirty_next);
        }
}

void log_cache_hand_over(struct log_cache *c, struct log_checkpoint_work *ret)
{
        *ret = (struct log_checkpoint_work){ .everything = c->closed_dirty || c->n_dirty > LOG_CHECKPOINT_FILES_MAX };
        c->closed_dirty = false;
        while (c->dirty) {
                struct log_file *f = c->dirty;
                drop_dirty(c, f);
                ret->everything = ret->everything || f->unnamed;
                f->unnamed = false; /* no file is synced alone before the checkpoint is over */
                int fd = ret->everything ? -1 : fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
                if (fd >= 0)
                        ret->fds[ret->n++] = fd;
                else
                        ret->everything = true;
        }
}

struct log_file *log_cache_dirty(const struct log_cache *c)
{
        return c->dirty;
}

void log_cache_retire(struct log_cache *c, struct log_file *f)
{
        assert_on_thread(&c->owner);
        assert(!f->touched);
        retire(c, f);
}

int log_cache_unlink(struct log_cache *c, const struct log_unlink *u)
{
        struct log_file *f = strcmp(u->day, c->day) == 0 ? log_cache_find(c, &u->source) : NULL;
        int r = log_file_unlink(c->config->datadir_fd, u);
        if (f && (r == 0 || r == -ENOENT))
                remove_file(c, f);
        return r;
}

void log_cache_notes(struct log_cache *c)
{
        struct log_file *f;
        uint64_t now_ns = clock_monotonic_ns();

        assert_on_thread(&c->owner);
        if (!c->config->note || (!c->opened && now_ns - c->swept_ns < SWEEP_INTERVAL_NS))
                return;
        c->swept_ns = now_ns;
        c->opened = c->news = false;
        DL_FOREACH2(c->lru, f, lru_next)
        {
                if (f->noted_ns == 0 || (f->lines > 0 && now_ns - f->noted_ns >= NOTE_INTERVAL_NS))
                        note(c, f, now_ns);
                if (f->noted_ns == 0 || f->lines > 0)
                        c->news = true;
        }
}

bool log_cache_has_news(const struct log_cache *c)
{
        return c->config->note && c->news;
}

size_t log_cache_size(const struct log_cache *c)
{
        return HASH_COUNT(c->by_source);
}
