/* Everything goes through the index's own functions, so that the triggers count and a later schema is filled as the
 * daemon fills it. One transaction, without syncs, so a kill leaves what was there before, and a power cut anything:
 * this is for test data. */
#include "fill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "files.h"
#include "storage/index/index_internal.h"
#include "storage/index/index_write.h"

#define LINES_OF_FILES 24 /* at most, with --files */
#define LINES_OF_ROWS 4000
#define LINE_BYTES 330
#define COMPRESSED_AFTER_DAYS 3

struct filler {
        const struct options *options;
        int datadir_fd;
        struct index *index;
        struct world world;
        struct fill_counts counts;
};

/* Days of the world are counted from its start; a log file's day is one of the calendar. */
static int put_log(struct filler *x, const struct world_source *s, unsigned day, struct dice *d)
{
        int64_t start_ms = x->world.start_ms + day * WORLD_DAY_MS, day_ms = start_ms - start_ms % WORLD_DAY_MS;
        struct moment seen_at = world_moment(start_ms + WORLD_DAY_MS - 1 - (int64_t)dice_below(d, WORLD_DAY_MS / 2));
        uint64_t lines = 1 + dice_below(d, x->options->files ? LINES_OF_FILES : LINES_OF_ROWS);
        uint64_t bytes = lines * LINE_BYTES;
        char version[16], name[CLOCK_DAY_SIZE];
        int r = 0;

        world_version_name(s, world_version_at(&x->world, s, start_ms), version);
        clock_format_day(world_moment(day_ms), name);
        if (x->options->files)
                r = files_put_log(x->datadir_fd, &x->world, s, version, name, day_ms, lines, &bytes);
        if (r == 0)
                r = index_upsert_log_file(x->index, &(struct index_log_file_totals){ .source = &s->source,
                                                                                     .platform = s->platform,
                                                                                     .version = version,
                                                                                     .day = name,
                                                                                     .bytes = bytes,
                                                                                     .lines_more = lines,
                                                                                     .seen_at = seen_at });
        x->counts.log_files++;
        x->counts.log_lines += lines;
        return r;
}

/* On two days of three, but on its first and last day for sure: then a source is known from when to when it was there.
 * */
static int put_logs(struct filler *x)
{
        int r = 0;
        for (uint64_t i = 0; r == 0 && i < x->world.sources; i++) {
                struct dice d = dice_for(&x->world, "logs", i);
                struct world_source s;
                world_source(&x->world, i, &s);
                for (unsigned day = s.first_day; r == 0 && day <= s.last_day; day++) {
                        bool sure = day == s.first_day || day == s.last_day;
                        if (dice_percent(&d, 67) || sure)
                                r = put_log(x, &s, day, &d);
                }
        }
        return r;
}

static void show_progress(uint64_t done, uint64_t all)
{
        if (isatty(STDERR_FILENO) && (done % 10000 == 0 || done == all))
                fprintf(stderr, "\r%llu of %llu crashes%s", (unsigned long long)done, (unsigned long long)all,
                        done == all ? "\n" : "");
}

static int hold(struct index *x)
{
        /* The one just inserted: an attachment's row has no rowid. */
        return index_execute(x, "UPDATE crash SET held = 1 WHERE id = last_insert_rowid()");
}

static int put_crash(struct filler *x, struct reporter *reporter, uint64_t number, struct report *report)
{
        int r = report_make(reporter, number, report);
        if (r == 0)
                r = index_insert_crash(x->index, &report->crash);
        if (r == 0 && report->held)
                r = hold(x->index);
        if (r == 0 && x->options->files)
                r = files_put_report(x->datadir_fd, &x->world, report);
        x->counts.attachments += report->crash.n_attachments;
        show_progress(++x->counts.crashes, x->world.crashes);
        return r;
}

static int put_crashes(struct filler *x)
{
        _cleanup_(freep) uint8_t *seen = calloc(x->world.crashes, 1);
        struct reporter reporter = {
                .world = &x->world, .bytes = x->options->bytes, .whole_content = x->options->files, .seen = seen
        };
        struct report report = { 0 };
        int r = seen ? 0 : -ENOMEM;

        for (uint64_t i = 0; r == 0 && i < x->world.crashes; i++)
                r = put_crash(x, &reporter, i, &report);
        buf_done(&report.json);
        return r;
}

/* Rows of days that the daemon would have compressed, had it been asked to. */
static int compress(struct filler *x)
{
        char sql[200], day[CLOCK_DAY_SIZE];
        clock_format_day(world_moment(x->world.end_ms - COMPRESSED_AFTER_DAYS * WORLD_DAY_MS), day);
        snprintf(sql, sizeof(sql), "UPDATE log_file SET compressed = 1, bytes = bytes / 12 + 60 WHERE day < '%s'", day);
        return x->options->files ? 0 : index_execute(x->index, sql);
}

int fill(const struct options *o, int datadir_fd, struct index *index, struct fill_counts *ret)
{
        struct filler x = { .options = o, .datadir_fd = datadir_fd, .index = index };
        world_init(&x.world, o);
        int r = index_execute(index,
                              "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE;"
                              "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -1048576");
        if (r == 0)
                r = index_begin(index);
        if (r == 0 && !o->no_logs)
                r = put_logs(&x);
        if (r == 0)
                r = put_crashes(&x);
        if (r == 0)
                r = compress(&x);
        if (r == 0)
                r = index_commit(index);
        if (r < 0)
                index_rollback(index);
        int e = index_execute(index, "PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL");
        *ret = x.counts;
        return r < 0 ? r : e;
}
