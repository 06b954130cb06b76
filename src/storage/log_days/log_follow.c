/* Each source has a place: a day, and the offset in its lines up to which they were delivered. Compression keeps the
 * lines as they are, so a place is valid in <day>.ndjson and in <day>.ndjson.zst. The next day of a source begins when
 * it has a file: the committer writes no line of a day after one of a later day, so by then the day before is complete.
 *
 * Failure modes: a file that became shorter (the daemon cut off what a crash had left) is reported as broken and read
 * on from its new end. A file that cannot be read is reported once for each change. */
#include "storage/log_days/log_follow.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/log_days/log_day.h"
#include "storage/log_days/log_names.h"
#include "storage/log_days/log_path.h"

#define WINDOW_BYTES ((uint64_t)64 * 1024)
#define WINDOW_GROWTH 8

struct place {
        struct source source;
        char day[CLOCK_DAY_SIZE];     /* "": no file yet */
        char scanned[CLOCK_DAY_SIZE]; /* the last day on which later days were searched for */
        uint64_t offset;
        off_t size; /* of the file when it was last read */
        ino_t inode;
};

struct log_follow {
        int datadir_fd;
        const struct log_filter *filter;
        struct place *places; /* in the order of their names */
        size_t n_places;
        int64_t scanned_sec;
        bool stopped; /* cb ended it */
        log_line_cb cb;
        log_broken_cb broken;
        void *userdata;
};

struct log_follow *log_follow_free(struct log_follow *w)
{
        if (!w)
                return NULL;
        free(w->places);
        free(w);
        return NULL;
}

static void report_broken(const struct log_follow *w, const struct place *p, int error)
{
        if (w->broken)
                w->broken(w->userdata, &p->source, p->day, error);
}

static int compare_places(const struct place *a, const struct source *b)
{
        int c = strcmp(a->source.project, b->project);
        return c != 0 ? c : strcmp(a->source.install_id, b->install_id);
}

/* Both lists are sorted. Sources that are gone keep their places: they may come back. */
static int merge_sources(struct log_follow *w, const struct log_names *names)
{
        struct place *merged = calloc(w->n_places + names->n_sources + 1, sizeof(*merged));
        size_t n = 0, old = 0;
        if (!merged)
                return -ENOMEM;
        for (size_t i = 0; i < names->n_sources; i++) {
                while (old < w->n_places && compare_places(&w->places[old], &names->sources[i]) < 0)
                        merged[n++] = w->places[old++];
                if (old < w->n_places && compare_places(&w->places[old], &names->sources[i]) == 0)
                        merged[n++] = w->places[old++];
                else
                        merged[n++].source = names->sources[i];
        }
        while (old < w->n_places)
                merged[n++] = w->places[old++];
        free(w->places);
        w->places = merged;
        w->n_places = n;
        return 0;
}

static int scan_sources(struct log_follow *w)
{
        _cleanup_(log_names_done) struct log_names names = { 0 };
        int r = log_names_read(w->datadir_fd, w->filter, false, &names);
        return r == 0 ? merge_sources(w, &names) : r;
}

int log_follow_new(int datadir_fd, const struct log_filter *f, struct log_follow **ret)
{
        _cleanup_(log_follow_freep) struct log_follow *w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->datadir_fd = datadir_fd;
        w->filter = f;
        w->scanned_sec = INT64_MIN;
        int r = scan_sources(w);
        if (r == 0)
                *ret = TAKE_PTR(w);
        return r;
}

/* The days of a source after this one, in order. */
static int days_after(const struct log_follow *w, const struct place *p, const char *day, struct log_names *ret)
{
        struct source source = p->source;
        struct log_names names = { .sources = &source, .n_sources = 1 };
        int r = log_names_add_days(w->datadir_fd, w->filter, day, 0, &names);
        log_names_sort(&names);
        names.sources = NULL;
        if (r < 0)
                log_names_done(&names);
        *ret = r < 0 ? (struct log_names){ 0 } : names;
        return r;
}

static void note_file(const struct log_follow *w, struct place *p)
{
        char path[LOG_PATH_SIZE];
        struct stat st;
        log_path_format(p->source.project, p->source.install_id, p->day, false, path);
        bool there = fstatat(w->datadir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
        p->size = there ? st.st_size : -1;
        p->inode = there ? st.st_ino : 0;
}

/* ---- the newest ---- */

struct kept {
        struct log_line line; /* its text is its own */
        uint32_t place;
        uint64_t number;
};

struct keeper {
        size_t max, n;
        struct kept *rows; /* 2 * max */
        uint64_t number;
};

static void drop_first(struct keeper *k, size_t n)
{
        assert(n <= k->n);
        for (size_t i = 0; i < n; i++)
                free((char *)k->rows[i].line.text);
        memmove(k->rows, k->rows + n, (k->n - n) * sizeof(*k->rows));
        k->n -= n;
}

static int compare_kept(const void *a, const void *b)
{
        const struct kept *x = a, *y = b;
        if (x->line.at.sec != y->line.at.sec)
                return x->line.at.sec < y->line.at.sec ? -1 : 1;
        if (x->line.at.nsec != y->line.at.nsec)
                return x->line.at.nsec < y->line.at.nsec ? -1 : 1;
        return x->number < y->number ? -1 : x->number > y->number;
}

static int keep(struct keeper *k, uint32_t place, const struct log_line *line)
{
        if (k->n == 2 * k->max)
                drop_first(k, k->max);
        char *text = malloc(line->len + 1);
        if (!text)
                return -ENOMEM;
        memcpy(text, line->text, line->len); /* a hole's NULs too */
        text[line->len] = '\0';
        k->rows[k->n++] = (struct kept){ .line = *line, .place = place, .number = k->number++ };
        k->rows[k->n - 1].line.text = text;
        return 0;
}

static int keeper_init(struct keeper *k, size_t max)
{
        *k = (struct keeper){ .max = max, .rows = calloc(2 * max + 1, sizeof(struct kept)) };
        return k->rows ? 0 : -ENOMEM;
}

static void keeper_done(struct keeper *k)
{
        drop_first(k, k->n);
        free(k->rows);
}

/* Keeps the last lines of d from `start` on. `start` may be in the middle of a line, so the first one is left out. */
static int keep_window(const struct log_follow *w, struct log_day *d, uint64_t start, uint32_t place, struct keeper *k)
{
        const char *text;
        size_t len;
        struct log_line line;
        drop_first(k, k->n);
        int r = log_day_seek(d, start);
        if (r == 0 && start > 0)
                r = log_day_next(d, &text, &len) < 0 ? -EBADMSG : 0;
        while (r >= 0 && (r = log_day_next(d, &text, &len)) == LOG_DAY_LINE) {
                if (k->max > 0 && log_filter_fits(w->filter, text, len, &line))
                        r = keep(k, place, &line);
        }
        if (r == 0 && k->n > k->max)
                drop_first(k, k->n - k->max);
        return r;
}

/* The last lines of one day. The place of the source becomes the end of its newest day. */
static int keep_day(struct log_follow *w, uint32_t place, const char *day, bool newest, struct keeper *k)
{
        struct place *p = &w->places[place];
        _cleanup_(log_day_freep) struct log_day *d = NULL;
        uint64_t size = 0, window = WINDOW_BYTES;
        if (newest) { /* even if it cannot be read: new lines come after it */
                snprintf(p->day, sizeof(p->day), "%s", day);
                note_file(w, p);
        }
        int r = log_day_open(w->datadir_fd, &p->source, day, &d);
        if (r == 0)
                r = log_day_size(d, &size);
        if (r < 0)
                return r;
        for (;; window *= WINDOW_GROWTH) {
                uint64_t start = window < size ? size - window : 0;
                r = keep_window(w, d, start, place, k);
                if (r < 0 || start == 0 || (k->n >= k->max && log_day_offset(d) > start))
                        break;
        }
        if (newest)
                p->offset = log_day_offset(d);
        return r;
}

/* The last lines of one source: from its newest day backwards, each day's lines put before those of later days. */
static int keep_place(struct log_follow *w, uint32_t place, struct keeper *all)
{
        _cleanup_(log_names_done) struct log_names days = { 0 };
        struct keeper days_lines[2]; /* of the days so far, of this day */
        int r = days_after(w, &w->places[place], "", &days);
        if (r < 0)
                return r;
        struct keeper *sum = &days_lines[0], *one = &days_lines[1];
        r = keeper_init(sum, all->max);
        for (size_t i = days.n_files; r == 0 && i-- > 0 && (sum->n < sum->max || i + 1 == days.n_files);) {
                r = keeper_init(one, all->max - sum->n);
                if (r == 0)
                        r = keep_day(w, place, days.files[i].day, i + 1 == days.n_files, one);
                if (r < 0 && r != -ENOMEM) {
                        if (r != -ENOENT)
                                report_broken(w, &w->places[place], r);
                        r = 0;
                }
                assert(sum->n + one->n <= sum->max);
                memmove(sum->rows + one->n, sum->rows, sum->n * sizeof(*sum->rows));
                memcpy(sum->rows, one->rows, one->n * sizeof(*one->rows));
                sum->n += one->n;
                one->n = 0;
                keeper_done(one);
        }
        for (size_t i = 0; r == 0 && i < sum->n; i++)
                r = keep(all, place, &sum->rows[i].line);
        keeper_done(sum);
        return r;
}

int log_follow_last(struct log_follow *w, size_t n, log_line_cb cb, log_broken_cb broken, void *userdata)
{
        struct keeper all;
        if (n > LOG_FOLLOW_LAST_MAX)
                n = LOG_FOLLOW_LAST_MAX;
        w->broken = broken;
        w->userdata = userdata;
        int r = keeper_init(&all, n);
        for (uint32_t i = 0; r == 0 && i < w->n_places; i++) {
                if (all.n > all.max) { /* so that keep() drops the oldest */
                        qsort(all.rows, all.n, sizeof(*all.rows), compare_kept);
                        drop_first(&all, all.n - all.max);
                }
                r = keep_place(w, i, &all);
        }
        if (r == 0 && w->n_places > 1)
                qsort(all.rows, all.n, sizeof(*all.rows), compare_kept);
        for (size_t i = all.n > n ? all.n - n : 0; r == 0 && i < all.n; i++)
                r = cb(userdata, &w->places[all.rows[i].place].source, &all.rows[i].line);
        keeper_done(&all);
        return r;
}

/* ---- new ones ---- */

/* Delivers what comes after the place. */
static int read_on(struct log_follow *w, struct place *p)
{
        _cleanup_(log_day_freep) struct log_day *d = NULL;
        const char *text;
        size_t len;
        uint64_t size = 0;
        struct log_line line;
        note_file(w, p); /* before reading: lines that arrive meanwhile make the file change again */
        int r = log_day_open(w->datadir_fd, &p->source, p->day, &d);
        if (r == 0)
                r = log_day_size(d, &size);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (size < p->offset) {
                p->offset = size;
                report_broken(w, p, -ESPIPE);
        }
        r = log_day_seek(d, p->offset);
        while (r == 0 && (r = log_day_next(d, &text, &len)) == LOG_DAY_LINE) {
                p->offset = log_day_offset(d);
                r = log_filter_fits(w->filter, text, len, &line) ? w->cb(w->userdata, &p->source, &line) : 0;
                w->stopped = r != 0;
        }
        return r;
}

static int read_on_or_report(struct log_follow *w, struct place *p)
{
        int r = read_on(w, p);
        if (r >= 0 || r == -ENOMEM || w->stopped)
                return r;
        report_broken(w, p, r);
        return 0;
}

static bool has_changed(const struct log_follow *w, const struct place *p)
{
        struct place now = *p;
        note_file(w, &now);
        return now.size != p->size || now.inode != p->inode;
}

static bool has_file(const struct log_follow *w, const struct place *p, const char *day)
{
        struct place then = *p;
        snprintf(then.day, sizeof(then.day), "%s", day);
        note_file(w, &then);
        return then.size >= 0;
}

/* Goes on to later days, after the rest of the present one. Directories are read once a day, and when today's file has
 * appeared. */
static int go_to_later_days(struct log_follow *w, struct place *p, const char *today)
{
        _cleanup_(log_names_done) struct log_names days = { 0 };
        if (strcmp(p->day, today) >= 0)
                return 0;
        if (strcmp(p->scanned, today) == 0 && !has_file(w, p, today))
                return 0;
        snprintf(p->scanned, sizeof(p->scanned), "%s", today);
        int r = days_after(w, p, p->day, &days);
        if (r == 0 && days.n_files > 0 && p->day[0])
                r = read_on_or_report(w, p);
        for (size_t i = 0; r == 0 && i < days.n_files; i++) {
                memcpy(p->day, days.files[i].day, sizeof(p->day));
                p->offset = 0;
                r = read_on_or_report(w, p);
        }
        return r;
}

int log_follow_more(struct log_follow *w, struct moment now, log_line_cb cb, log_broken_cb broken, void *userdata)
{
        char today[CLOCK_DAY_SIZE];
        int r = 0;
        w->stopped = false;
        w->cb = cb;
        w->broken = broken;
        w->userdata = userdata;
        clock_format_day(now, today);
        if (now.sec < w->scanned_sec || now.sec - LOG_FOLLOW_SCAN_SECS >= w->scanned_sec) {
                r = scan_sources(w);
                w->scanned_sec = now.sec;
        }
        for (size_t i = 0; r == 0 && i < w->n_places; i++) {
                struct place *p = &w->places[i];
                if (p->day[0] && has_changed(w, p))
                        r = read_on_or_report(w, p);
                if (r == 0)
                        r = go_to_later_days(w, p, today);
        }
        return r;
}
