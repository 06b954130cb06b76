/* Each step relies on those before it: the database, blobs, counts, JSON files, log files. At the end, whatever a
 * running daemon may have been about to put right is checked again.
 *
 * What cannot be opened or read is a finding, too, and the rest is checked all the same. */
#include "upkeep/verify.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "storage/index/index_check.h"
#include "storage/index/index_read.h"
#include "storage/store/data_dir.h"
#include "upkeep/verify_internal.h"

static const char *const kind_names[VERIFY_KIND_MAX_] = {
        [VERIFY_DATABASE] = "database",
        [VERIFY_COUNT] = "count",
        [VERIFY_BLOB_MISSING] = "blob_missing",
        [VERIFY_BLOB_LENGTH] = "blob_length",
        [VERIFY_BLOB_CORRUPT] = "blob_corrupt",
        [VERIFY_BLOB_ORPHAN] = "blob_orphan",
        [VERIFY_MIRROR_MISSING] = "mirror_missing",
        [VERIFY_MIRROR_DIFFERENT] = "mirror_different",
        [VERIFY_MIRROR_EXTRA] = "mirror_extra",
        [VERIFY_LOG_MISSING] = "log_missing",
        [VERIFY_LOG_SIZE] = "log_size",
        [VERIFY_LOG_UNKNOWN] = "log_unknown",
        [VERIFY_LOG_TORN] = "log_torn",
        [VERIFY_LOG_DAMAGED] = "log_damaged",
        [VERIFY_UNREADABLE] = "unreadable",
};

const char *verify_kind_name(enum verify_kind kind)
{
        assert(kind < VERIFY_KIND_MAX_);
        return kind_names[kind];
}

bool verify_kind_parse(const char *name, enum verify_kind *ret)
{
        for (unsigned i = 0; i < VERIFY_KIND_MAX_; i++) {
                if (strcmp(name, kind_names[i]) == 0) {
                        *ret = (enum verify_kind)i;
                        return true;
                }
        }
        return false;
}

int verify_report(struct verify *v, enum verify_kind kind, const char *what, int64_t id, const char *form, ...)
{
        char problem[512];
        va_list args;
        va_start(args, form);
        vsnprintf(problem, sizeof(problem), form, args);
        va_end(args);
        const struct verify_finding finding = { .kind = kind, .what = what, .problem = problem, .id = id };
        v->counts.found[kind]++;
        v->counts.findings++;
        return v->config->finding(v->config->userdata, &finding);
}

/* The totals are the database's, of a moment before: a daemon may have stored more since. 0: it is not known. */
static void report_progress(struct verify *v, const char *step, uint64_t done, uint64_t all)
{
        if (v->config->progress)
                v->config->progress(v->config->userdata, step, done, all > 0 && all < done ? done : all);
}

void verify_progress(struct verify *v, const char *step, uint64_t done, uint64_t all)
{
        if (done % VERIFY_PROGRESS_FILES == 0 || done == all)
                report_progress(v, step, done, all);
}

#define MIB_SHIFT 20

void verify_read_bytes(struct verify *v, const char *step, uint64_t n, uint64_t all)
{
        uint64_t before = v->bytes_read;
        v->bytes_read += n;
        if (before >> MIB_SHIFT != v->bytes_read >> MIB_SHIFT)
                report_progress(v, step, v->bytes_read >> MIB_SHIFT, (all + (1 << MIB_SHIFT) - 1) >> MIB_SHIFT);
}

bool verify_is_young(const struct verify *v, struct moment at)
{
        return v->counts.daemon && at.sec + VERIFY_YOUNG_SECS >= v->started.sec;
}

static int ask_again(struct verify *v, struct suspect *s)
{
        return s->again(v, s) ? verify_report(v, s->kind, s->path, s->id, "%s", s->problem) : 0;
}

/* Waits until the daemon has finished what it was doing when the last suspect was seen. */
static int settle(struct verify *v)
{
        int r = 0;
        uint64_t due = v->last_suspect_ns + VERIFY_SETTLE_MS * UINT64_C(1000000), now = clock_monotonic_ns();
        if (v->n_suspects > 0 && now < due) {
                struct timespec rest = { .tv_sec = (time_t)((due - now) / 1000000000),
                                         .tv_nsec = (long)((due - now) % 1000000000) };
                while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
                        ;
        }
        for (size_t i = 0; r == 0 && i < v->n_suspects; i++)
                r = ask_again(v, &v->suspects[i]);
        v->n_suspects = 0;
        return r;
}

int verify_suspect(struct verify *v, const struct suspect *s)
{
        if (!v->counts.daemon) {
                struct suspect now = *s;
                return ask_again(v, &now);
        }
        int r = v->n_suspects == VERIFY_SUSPECTS_MAX ? settle(v) : 0;
        assert(v->n_suspects < VERIFY_SUSPECTS_MAX);
        v->suspects[v->n_suspects++] = *s;
        v->last_suspect_ns = clock_monotonic_ns();
        return r;
}

static int database_problem(void *userdata, const char *what, const char *problem)
{
        return verify_report(userdata, VERIFY_DATABASE, what, 0, "%s", problem);
}

static int count_problem(void *userdata, const char *what, const char *problem)
{
        return verify_report(userdata, VERIFY_COUNT, what, 0, "%s", problem);
}

static void see_pages(void *userdata, uint64_t done, uint64_t all)
{
        struct verify *v = userdata;
        report_progress(v, "database, pages", done, all);
}

static int check_database(struct verify *v)
{
        return index_check_database(v->index, database_problem, see_pages, v);
}

static int check_usage(struct verify *v)
{
        return index_check_usage(v->index, count_problem, v);
}

/* A table or directory that cannot be read to its end does not keep the others from being checked. */
static int verify_all(struct verify *v)
{
        static const struct {
                const char *what;
                int (*look)(struct verify *v);
        } steps[] = { { "detritus.db", check_database },
                      { "blobs", verify_blobs },
                      { "counts", check_usage },
                      { "crashes", verify_mirrors },
                      { "log files", verify_logs } };
        int r = 0;
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++) {
                v->bytes_read = 0;
                r = steps[i].look(v);
                if (r == -EIO || r == -EACCES)
                        r = verify_report(v, VERIFY_UNREADABLE, steps[i].what, 0, "cannot be read to the end: %s",
                                          strerror(-r));
        }
        return r == 0 ? settle(v) : r;
}

int verify_data_dir(int datadir_fd, struct index *index, const struct verify_config *config, struct verify_counts *ret)
{
        struct index_totals totals;
        _cleanup_(freep) struct suspect *suspects = calloc(VERIFY_SUSPECTS_MAX, sizeof(*suspects));
        if (!suspects)
                return -ENOMEM;
        struct verify v = {
                .datadir_fd = datadir_fd,
                .index = index,
                .config = config,
                .counts = { .daemon = !config->held && data_dir_is_held(datadir_fd, NULL) },
                .totals = &totals,
                .started = clock_now(),
                .suspects = suspects,
        };
        if (index_count_all(index, &totals) < 0)
                totals = (struct index_totals){ 0 }; /* only progress needs them */
        if (index_usage(index, "", &v.usage) < 0)
                v.usage = (struct index_usage){ 0 };
        int r = verify_all(&v);
        *ret = v.counts;
        return r;
}
