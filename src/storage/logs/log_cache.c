/* An LRU of open log files.
 *
 * All files in it are of one day, so the source alone is the key: when the day changes the cache is emptied, between two
 * groups, when nothing is dirty. Within a group the files touched are newer than the others, so a dirty one is evicted
 * only when a group touches more files than may be open; it is then synced early, which its batches have to wait for
 * anyway.
 *
 * Notes are given by a sweep over all files, at most once a second, or at once when a file was opened. A refused note
 * keeps its lines for the next sweep; when its file is being closed it is dropped, and the next opening corrects the
 * file's size, which is what matters. */
#define HASH_NONFATAL_OOM 1 /* before uthash.h comes in: a failed insertion is seen in hh.tbl */
#include "storage/logs/log_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <utlist.h>

#include "util/cleanup.h"

#define SWEEP_INTERVAL_NS (1 * UINT64_C(1000000000))
#define NOTE_INTERVAL_NS (5 * UINT64_C(1000000000))

struct log_cache {
        const struct log_committer_config *config;
        struct log_file *by_source; /* uthash */
        struct log_file *lru, *dirty;
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

static void remove_file(struct log_cache *c, struct log_file *f)
{
        HASH_DELETE(hh, c->by_source, f);
        DL_DELETE2(c->lru, f, lru_prev, lru_next);
        if (f->dirty)
                DL_DELETE2(c->dirty, f, dirty_prev, dirty_next);
        log_file_close(f);
        free(f);
}

static void retire(struct log_cache *c, struct log_file *f)
{
        if (f->lines > 0 || f->noted_ns == 0)
                note(c, f, clock_monotonic_ns());
        remove_file(c, f);
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
        retire_all(c);
        free(c);
        return NULL;
}

void log_cache_set_time(struct log_cache *c, struct moment at)
{
        char day[CLOCK_DAY_SIZE];
        c->at = at;
        clock_format_day(at, day);
        if (strcmp(day, c->day) == 0)
                return;
        retire_all(c);
        memcpy(c->day, day, sizeof(day));
}

struct log_file *log_cache_find(struct log_cache *c, const struct source *source)
{
        char key[SOURCE_CANONICAL_SIZE];
        struct log_file *f;
        size_t len = source_canonical(source, key);

        HASH_FIND(hh, c->by_source, key, len, f);
        if (f && !f->dirty && !f->run_first && !log_file_is_ours(f)) {
                retire(c, f);
                return NULL;
        }
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

static int sync_file(struct log_cache *c, struct log_file *f)
{
        DL_DELETE2(c->dirty, f, dirty_prev, dirty_next);
        f->dirty = false;
        return c->config->sync ? log_file_sync(f) : 0;
}

static int evict(struct log_cache *c)
{
        struct log_file *oldest = c->lru->lru_prev; /* utlist: the head's prev is the tail */
        int r = oldest->dirty ? sync_file(c, oldest) : 0;
        if (r == 0)
                retire(c, oldest);
        return r;
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

int log_cache_open(struct log_cache *c, const struct source *source, struct log_file **ret)
{
        int r = log_cache_full(c) ? evict(c) : 0;
        if (r != 0)
                return r;
        _cleanup_(freep) struct log_file *f = malloc(sizeof(*f));
        if (!f)
                return -ENOMEM;
        r = log_file_open(f, c->config->datadir_fd, source, c->day);
        if (r != 0)
                return r;
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
        if (f->dirty)
                return;
        f->dirty = true;
        DL_APPEND2(c->dirty, f, dirty_prev, dirty_next);
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

void log_cache_count(struct log_cache *c, struct log_file *f, const struct log_append *a)
{
        copy_text(f->platform, a->platform);
        copy_text(f->version, a->version);
        f->at = c->at;
        f->lines += a->lines;
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
        if (!c->config->sync || !c->dirty || !c->dirty->dirty_next)
                return;
        DL_FOREACH2(c->dirty, f, dirty_next)
        sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint: fdatasync tells the errors */
}

int log_cache_sync(struct log_cache *c)
{
        int r = 0;
        start_writeback(c);
        while (c->dirty && r == 0)
                r = sync_file(c, c->dirty);
        return r;
}

int log_cache_unlink(struct log_cache *c, const struct source *source, const char *day)
{
        struct log_file *f = strcmp(day, c->day) == 0 ? log_cache_find(c, source) : NULL;
        int r = log_file_unlink(c->config->datadir_fd, source, day);
        if (f && (r == 0 || r == -ENOENT))
                remove_file(c, f);
        return r;
}

void log_cache_notes(struct log_cache *c)
{
        struct log_file *f;
        uint64_t now_ns = clock_monotonic_ns();

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
