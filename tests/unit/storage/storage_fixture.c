#include "storage_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/index/index_write.h"
#include "util/files/durable.h"
#include "util/log.h"
#include "util/text/hex.h"

struct storage_faults storage_faults;
char storage_dir[128];
int storage_fd = -1;

int __real_durable_sync(int fd);
int __wrap_durable_sync(int fd);
int __real_durable_sync_dir(int dirfd, const char *path);
int __wrap_durable_sync_dir(int dirfd, const char *path);
int __real_durable_sync_all(int fd);
int __wrap_durable_sync_all(int fd);
int __real_openat64(int dirfd, const char *path, int flags, ...);
int __wrap_openat64(int dirfd, const char *path, int flags, ...);

int __wrap_durable_sync(int fd)
{
        atomic_fetch_add(&storage_faults.syncs, 1);
        if (atomic_load(&storage_faults.sync_fails_at) > 0 && atomic_fetch_sub(&storage_faults.sync_fails_at, 1) == 1)
                return -atomic_load(&storage_faults.sync_error);
        return __real_durable_sync(fd);
}

int __wrap_durable_sync_dir(int dirfd, const char *path)
{
        atomic_fetch_add(&storage_faults.dir_syncs, 1);
        if (atomic_load(&storage_faults.dir_sync_fails_at) > 0 &&
            atomic_fetch_sub(&storage_faults.dir_sync_fails_at, 1) == 1)
                return -atomic_load(&storage_faults.dir_sync_error);
        return __real_durable_sync_dir(dirfd, path);
}

int __wrap_durable_sync_all(int fd)
{
        atomic_fetch_add(&storage_faults.all_syncs, 1);
        if (atomic_load(&storage_faults.sync_all_fails_at) > 0 &&
            atomic_fetch_sub(&storage_faults.sync_all_fails_at, 1) == 1)
                return -atomic_load(&storage_faults.sync_all_error);
        return __real_durable_sync_all(fd);
}

int __wrap_openat64(int dirfd, const char *path, int flags, ...)
{
        va_list args;
        va_start(args, flags);
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
        va_end(args);
        if ((flags & O_TMPFILE) == O_TMPFILE && atomic_load(&storage_faults.no_tmpfile)) {
                errno = EOPNOTSUPP;
                return -1;
        }
        return __real_openat64(dirfd, path, flags, mode);
}

int __real_index_delete_crash(struct index *x, int64_t id);
int __wrap_index_delete_crash(struct index *x, int64_t id);
int __real_index_begin(struct index *x);
int __wrap_index_begin(struct index *x);
int __real_index_commit(struct index *x);
int __wrap_index_commit(struct index *x);

static int deleted; /* the index writer's */

int __wrap_index_begin(struct index *x)
{
        deleted = 0;
        return __real_index_begin(x);
}

int __wrap_index_delete_crash(struct index *x, int64_t id)
{
        deleted++;
        return __real_index_delete_crash(x, id);
}

int __wrap_index_commit(struct index *x)
{
        int above = atomic_load(&storage_faults.commit_full_above);
        return above >= 0 && deleted > above ? -ENOSPC : __real_index_commit(x);
}

void __real_metrics_janitor_cycle(struct metrics *m, int ok, uint64_t duration_ns);
void __wrap_metrics_janitor_cycle(struct metrics *m, int ok, uint64_t duration_ns);

static pthread_mutex_t cycle_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cycle_ended = PTHREAD_COND_INITIALIZER;
static unsigned cycles, failed_cycles;

void __wrap_metrics_janitor_cycle(struct metrics *m, int ok, uint64_t duration_ns)
{
        __real_metrics_janitor_cycle(m, ok, duration_ns);
        pthread_mutex_lock(&cycle_lock);
        cycles++;
        failed_cycles += !ok;
        pthread_cond_broadcast(&cycle_ended);
        pthread_mutex_unlock(&cycle_lock);
}

unsigned storage_cycles(void)
{
        pthread_mutex_lock(&cycle_lock);
        unsigned n = cycles;
        pthread_mutex_unlock(&cycle_lock);
        return n;
}

unsigned storage_failed_cycles(void)
{
        pthread_mutex_lock(&cycle_lock);
        unsigned n = failed_cycles;
        pthread_mutex_unlock(&cycle_lock);
        return n;
}

void storage_await_cycles(unsigned n)
{
        pthread_mutex_lock(&cycle_lock);
        while (cycles < n)
                pthread_cond_wait(&cycle_ended, &cycle_lock);
        pthread_mutex_unlock(&cycle_lock);
}

int storage_setup(_unused_ void **state)
{
        memset(&storage_faults, 0, sizeof(storage_faults));
        atomic_store(&storage_faults.commit_full_above, -1);
        cycles = failed_cycles = 0;
        log_setup(LOG_FORMAT_PRETTY, LOG_LEVEL_ERROR + 1);
        snprintf(storage_dir, sizeof(storage_dir), "/tmp/detritus-test-XXXXXX");
        if (!mkdtemp(storage_dir))
                return -1;
        storage_fd = open(storage_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return storage_fd < 0 ? -1 : 0;
}

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int type, _unused_ struct FTW *ftw)
{
        return remove(path);
}

int storage_teardown(_unused_ void **state)
{
        close(storage_fd);
        nftw(storage_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        return 0;
}

bool storage_exists(const char *path)
{
        return faccessat(storage_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static size_t counted;

static int count_one(_unused_ const char *path, _unused_ const struct stat *st, int type, _unused_ struct FTW *ftw)
{
        counted += type == FTW_F;
        return 0;
}

size_t storage_count(const char *path)
{
        char full[512];
        snprintf(full, sizeof(full), "%s/%s", storage_dir, path);
        counted = 0;
        nftw(full, count_one, 16, FTW_PHYS);
        return counted;
}

void storage_make_dirs(const char *path)
{
        assert_int_equal(durable_mkdirs(storage_fd, path), 0);
}

void storage_put(const char *path, const char *text)
{
        int fd = openat(storage_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

char *storage_text(const char *path)
{
        int fd = openat(storage_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return NULL;
        struct stat st;
        assert_int_equal(fstat(fd, &st), 0);
        char *text = calloc(1, (size_t)st.st_size + 1);
        assert_non_null(text);
        assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
        close(fd);
        return text;
}

static sqlite3 *open_by_hand(int flags)
{
        sqlite3 *db;
        char path[192];
        snprintf(path, sizeof(path), "%s/detritus.db", storage_dir);
        assert_int_equal(sqlite3_open_v2(path, &db, flags, NULL), SQLITE_OK);
        sqlite3_busy_timeout(db, 1000000); /* only a hang waits that long */
        return db;
}

void storage_expect(const char *sql, const char *expected)
{
        sqlite3 *db = open_by_hand(SQLITE_OPEN_READONLY);
        sqlite3_stmt *s;
        if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        const char *text = sqlite3_step(s) == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
        if (strcmp(text ? text : "", expected) != 0)
                fail_msg("%s\n  is       %s\n  expected %s", sql, text ? text : "", expected);
        sqlite3_finalize(s);
        sqlite3_close(db);
}

void storage_change(const char *sql)
{
        sqlite3 *db = open_by_hand(SQLITE_OPEN_READWRITE);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        sqlite3_close(db);
}

struct crash_metadata *storage_metadata(const char *install_id, const char *timestamp)
{
        static const char form[] =
                "{\"schema_version\":1,\"source\":{\"project\":\"acme\",\"platform\":\"linux\",\"version\":\"1.4.2\","
                "\"install_id\":\"%s\"},\"timestamp\":\"%s\",\"kind\":\"Minidump\",\"build\":{\"git_sha\":\"abc\","
                "\"profile\":\"release\",\"target_triple\":\"x86_64-unknown-linux-gnu\"},"
                "\"panic_text\":\"boom at \\u001b[31mline 1\\nand more\",\"context\":{\"seed\":18446744073709551615},"
                "\"attachments\":[{\"key\":\"a\",\"filename\":\"a.txt\",\"content_type\":\"text/plain\",\"len\":1},"
                "{\"key\":\"b\",\"filename\":null,\"content_type\":\"text/plain\",\"len\":1},"
                "{\"key\":\"c\",\"content_type\":\"text/plain\",\"len\":1}]}";
        char json[2048];
        struct crash_metadata *m;
        struct refusal refusal = { 0 };
        int n = snprintf(json, sizeof(json), form, install_id, timestamp);
        if (crash_metadata_parse((const uint8_t *)json, (size_t)n, 64, &m, &refusal) != 0)
                fail_msg("%s", refusal.message);
        return m;
}

void storage_metadata_free(struct crash_metadata **m)
{
        crash_metadata_free(*m);
}

struct blob_writer *storage_blob(struct blob_store *s, const char *content)
{
        struct blob_writer *w;
        assert_int_equal(blob_writer_new(s, &w), 0);
        assert_int_equal(blob_writer_write(w, content, strlen(content)), 0);
        assert_int_equal(blob_writer_finish(w), 0);
        return w;
}

struct crash_report *storage_report(struct blob_store *s, const char *install_id, const char *timestamp,
                                    const char *dump, const char *const attachments[3])
{
        struct crash_report *report = calloc(1, sizeof(*report));
        assert_non_null(report);
        report->metadata = storage_metadata(install_id, timestamp);
        report->received_at = clock_now();
        report->dump.blob = storage_blob(s, dump);
        report->attachments = calloc(3, sizeof(*report->attachments));
        assert_non_null(report->attachments);
        for (size_t i = 0; attachments && i < 3 && attachments[i]; i++) {
                struct crash_file *f = &report->attachments[report->n_attachments++];
                f->blob = storage_blob(s, attachments[i]);
                f->key = strdup(report->metadata->manifest[i].key);
                f->filename = i == 0 ? strdup("a.txt") : NULL;
                f->content_type = strdup("text/plain");
        }
        return report;
}

const char *storage_hash(const char *content, char ret[BLOB_HEX_SIZE])
{
        unsigned char digest[SHA256_DIGEST_LENGTH];
        SHA256((const unsigned char *)content, strlen(content), digest);
        *hex_encode(ret, digest, sizeof(digest)) = '\0';
        return ret;
}

int storage_log_file(struct index *x, const struct source *source, const char *platform, const char *version,
                     const char *day, uint64_t bytes, uint64_t lines_more, struct moment seen_at)
{
        return index_upsert_log_file(x, &(struct index_log_file_totals){ .source = source,
                                                                         .platform = platform,
                                                                         .version = version,
                                                                         .day = day,
                                                                         .bytes = bytes,
                                                                         .lines_more = lines_more,
                                                                         .seen_at = seen_at });
}
