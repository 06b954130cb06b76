/* See the header. Answers are counted under one lock; hold() parks the committer in the done() of an empty batch. */
#include "committer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storage/logs/log_checkpoint.h"
#include "util/buf.h"

struct faults faults;
struct log_committer_config fixture_config;
struct log_committer *committer;

static char directory[] = "/tmp/test-committer-XXXXXX";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t answers;
static bool held, may_pass, is_shut;
static struct log_batch holder;

/* ---- what is wrapped ----
 *
 * Nothing is really synced: nothing here looks at what a power cut leaves. */

int __wrap_durable_sync(int fd);
int __wrap_durable_sync_all(int fd);
ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t at);
int __wrap_durable_sync_dir(int dirfd, const char *path);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);
int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
struct moment __wrap_clock_now(void);
uint64_t __wrap_clock_monotonic_ns(void);
void __wrap_metrics_count(struct metrics *m, enum metrics_counter c, uint64_t n);
void __wrap_metrics_gauge_add(struct metrics *m, enum metrics_gauge g, int64_t n);
void __wrap_metrics_gauge_set(struct metrics *m, enum metrics_gauge g, int64_t value);

static bool is_due(atomic_int *countdown)
{
        return atomic_load(countdown) > 0 && atomic_fetch_sub(countdown, 1) == 1;
}

int __wrap_durable_sync(int fd)
{
        atomic_fetch_add(&faults.syncs, 1);
        if (faults.in_sync)
                faults.in_sync();
        return is_due(&faults.sync_fails_at) ? -EIO : fcntl(fd, F_GETFD) < 0 ? -errno : 0;
}

int __wrap_durable_sync_dir(int dirfd, const char *path)
{
        atomic_fetch_add(&faults.dir_syncs, 1);
        int error = atomic_load(&faults.dir_sync_error);
        if (is_due(&faults.dir_sync_fails_at))
                return error ? -error : -EIO;
        _cleanup_(closep) int fd = openat(dirfd, path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : 0;
}

void __real_log_checkpoint_wait(struct log_checkpoint *k);
void __wrap_log_checkpoint_wait(struct log_checkpoint *k);
void __wrap_log_checkpoint_wait(struct log_checkpoint *k)
{
        if (faults.in_checkpoint_wait)
                faults.in_checkpoint_wait();
        __real_log_checkpoint_wait(k);
}

int __wrap_durable_sync_all(int fd)
{
        atomic_fetch_add(&faults.all_syncs, 1);
        if (faults.in_sync_all)
                faults.in_sync_all();
        return is_due(&faults.all_sync_fails_at) ? -EIO : fcntl(fd, F_GETFD) < 0 ? -errno : 0;
}

/* Only the journal is written so: what it may grow by, short first, then ENOSPC. */
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t at)
{
        long long budget = atomic_load(&faults.journal_budget);
        if (is_due(&faults.journal_write_fails_at)) {
                errno = EIO;
                return -1;
        }
        if (budget < 0)
                return __real_pwrite64(fd, data, len, at);
        if (budget == 0) {
                errno = ENOSPC;
                return -1;
        }
        ssize_t n = __real_pwrite64(fd, data, (long long)len < budget ? len : (size_t)budget, at);
        atomic_store(&faults.journal_budget, budget - (n > 0 ? n : 0));
        return n;
}

int __wrap_ftruncate64(int fd, off_t size)
{
        if (atomic_load(&faults.cuts_fail)) {
                errno = EIO;
                return -1;
        }
        return __real_ftruncate64(fd, size);
}

/* Writes what the budget allows, as a full disk does: short first, then ENOSPC. */
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
        long long budget = atomic_load(&faults.write_budget);
        ssize_t written = 0;

        atomic_fetch_add(&faults.writes, 1);
        if (faults.in_write)
                faults.in_write();
        if (budget < 0)
                return __real_writev(fd, iov, n);
        for (int i = 0; i < n && budget > 0; i++) {
                struct iovec one = iov[i];
                one.iov_len = (long long)one.iov_len < budget ? one.iov_len : (size_t)budget;
                ssize_t r = __real_writev(fd, &one, 1);
                if (r < 0)
                        return r;
                written += r;
                budget -= r;
        }
        atomic_store(&faults.write_budget, budget);
        if (written > 0)
                return written;
        errno = ENOSPC;
        return -1;
}

struct moment __wrap_clock_now(void)
{
        return (struct moment){ .sec = atomic_load(&faults.now_sec) };
}

uint64_t __wrap_clock_monotonic_ns(void)
{
        return atomic_load(&faults.ticks_ns);
}

void __wrap_metrics_count(struct metrics *m _unused_, enum metrics_counter c, uint64_t n)
{
        atomic_fetch_add(&faults.counters[c], (long long)n);
}

void __wrap_metrics_gauge_add(struct metrics *m _unused_, enum metrics_gauge g, int64_t n)
{
        if (atomic_fetch_add(&faults.gauges[g], n) + n < 0)
                abort(); /* on the committer's thread: no place for cmocka's longjmp */
}

void __wrap_metrics_gauge_set(struct metrics *m _unused_, enum metrics_gauge g, int64_t value)
{
        atomic_store(&faults.gauges[g], value);
}

/* Defined here, weakly, while protocol/source.c is not there yet. */
__attribute__((weak)) bool source_component_valid(const char *s, size_t len)
{
        return len > 0 && len <= SOURCE_COMPONENT_MAX && s[0] != '.' && !memchr(s, '/', len);
}

__attribute__((weak)) size_t source_canonical(const struct source *s, char ret[SOURCE_CANONICAL_SIZE])
{
        return (size_t)snprintf(ret, SOURCE_CANONICAL_SIZE, "%s/%s", s->project, s->install_id);
}

/* ---- the committer ---- */

static int remove_one(const char *path, const struct stat *st _unused_, int flag _unused_, struct FTW *ftw _unused_)
{
        return remove(path);
}

int fixture_setup(void **state _unused_)
{
        memset(&faults, 0, sizeof(faults));
        atomic_store(&faults.write_budget, -1);
        atomic_store(&faults.journal_budget, -1);
        atomic_store(&faults.now_sec, DAY_1_SEC);
        atomic_store(&faults.ticks_ns, UINT64_C(1000000000));
        strcpy(directory + strlen(directory) - 6, "XXXXXX");
        if (!mkdtemp(directory))
                return -1;
        fixture_config = (struct log_committer_config){
                .datadir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                .queue_batches = 10000,
                .queue_bytes = 64 << 20,
                .open_files = 64,
                .sync = true,
                .journal_bytes = 64 << 20,
        };
        answers = 0;
        return fixture_config.datadir_fd < 0 ? -1 : 0;
}

int fixture_teardown(void **state _unused_)
{
        release();
        gate_open();
        stop();
        close(fixture_config.datadir_fd);
        return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void start(void)
{
        assert_int_equal(log_committer_new(&fixture_config, &committer), 0);
}

void stop(void)
{
        committer = log_committer_free(committer);
        assert_int_equal(atomic_load(&faults.gauges[METRICS_LOG_QUEUE]), 0);
        assert_int_equal(atomic_load(&faults.gauges[METRICS_LOG_FILES_OPEN]), 0);
}

struct source source_of(const char *install_id)
{
        struct source s = { .project = "p" };
        memset(s.install_id, 'x', sizeof(s.install_id)); /* what follows the NUL must not matter */
        strcpy(s.install_id, install_id);
        return s;
}

void probe_add(struct probe *p, const char *install_id, const char *text)
{
        unsigned lines = 0;
        for (const char *c = text; *c; c++)
                lines += *c == '\n';
        p->batch.appends = p->appends;
        p->appends[p->batch.n_appends++] = (struct log_append){
                .source = source_of(install_id),
                .platform = "linux",
                .version = "1.0",
                .data = (const uint8_t *)text,
                .len = strlen(text),
                .lines = lines,
        };
}

void probe_done(struct log_batch *b)
{
        struct probe *p = container_of(b, struct probe, batch);
        pthread_mutex_lock(&lock);
        if (p->answered)
                abort();
        p->answered = true;
        p->turn = ++answers;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

int submit(struct probe *p)
{
        p->batch.done = probe_done;
        return log_committer_submit(committer, &p->batch);
}

int await(struct probe *p)
{
        pthread_mutex_lock(&lock);
        while (!p->answered)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        return p->batch.result;
}

int put(const char *install_id, const char *text)
{
        struct probe p = { 0 };
        probe_add(&p, install_id, text);
        int r = submit(&p);
        return r != 0 ? r : await(&p);
}

static void park(struct log_batch *b _unused_)
{
        pthread_mutex_lock(&lock);
        held = true;
        pthread_cond_broadcast(&changed);
        while (!may_pass)
                pthread_cond_wait(&changed, &lock);
        held = false;
        pthread_mutex_unlock(&lock);
}

void hold(void)
{
        pthread_mutex_lock(&lock);
        may_pass = false;
        pthread_mutex_unlock(&lock);
        holder = (struct log_batch){ .done = park };
        assert_int_equal(log_committer_submit(committer, &holder), 0);
        pthread_mutex_lock(&lock);
        while (!held)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
}

void release(void)
{
        pthread_mutex_lock(&lock);
        may_pass = true;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

void gate_shut(void)
{
        pthread_mutex_lock(&lock);
        is_shut = true;
        pthread_mutex_unlock(&lock);
}

void gate_open(void)
{
        pthread_mutex_lock(&lock);
        is_shut = false;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

void gate_pass(void)
{
        pthread_mutex_lock(&lock);
        while (is_shut)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
}

/* ---- the disk ---- */

char *file_text(const char *install_id, const char *day, const char *suffix)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        char path[512], block[4096];
        ssize_t n;

        snprintf(path, sizeof(path), "%s/logs/p/%s/%s.ndjson%s", directory, install_id, day, suffix);
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        while ((n = read(fd, block, sizeof(block))) > 0)
                assert_int_equal(buf_append(&text, block, (size_t)n), 0);
        return buf_take_str(&text);
}

void expect_file(const char *install_id, const char *text)
{
        _cleanup_(freep) char *got = file_text(install_id, DAY_1, "");
        if (text) {
                assert_non_null(got);
                assert_string_equal(got, text);
        } else {
                assert_null(got);
        }
}

void plant(const char *install_id, const char *content, size_t len)
{
        char path[256];
        mkdirat(fixture_config.datadir_fd, "logs", 0750);
        mkdirat(fixture_config.datadir_fd, "logs/p", 0750);
        snprintf(path, sizeof(path), "logs/p/%s", install_id);
        mkdirat(fixture_config.datadir_fd, path, 0750);
        snprintf(path, sizeof(path), "logs/p/%s/" DAY_1 ".ndjson", install_id);
        unlinkat(fixture_config.datadir_fd, path, 0);
        _cleanup_(closep) int fd = openat(fixture_config.datadir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, len), len);
        snprintf(path, sizeof(path), "logs/p/%s/" DAY_1 ".ndjson.torn", install_id);
        unlinkat(fixture_config.datadir_fd, path, 0);
}
