#include "upkeep_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "storage/crashes/mirror.h"

const char *upkeep_blob(const char *dir, const char *dump, char ret[512])
{
        char sha256[BLOB_HEX_SIZE], path[BLOB_PATH_SIZE];
        blob_path(storage_hash(dump, sha256), path);
        snprintf(ret, 512, "%.60s%s", dir, path);
        return ret;
}

const char *upkeep_mirror(const char *dir, const char *timestamp, const char *dump, char ret[512])
{
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_A, timestamp);
        char sha256[BLOB_HEX_SIZE], path[MIRROR_PATH_SIZE];
        mirror_path(&m->source, m->timestamp, storage_hash(dump, sha256), path);
        snprintf(ret, 512, "%.60s%.450s", dir, path);
        return ret;
}

const char *upkeep_log(const char *dir, const char *day, const char *ending, char ret[512])
{
        snprintf(ret, 512, "%.60slogs/acme/" INSTALL_A "/%.10s.ndjson%s", dir, day, ending);
        return ret;
}

static void make_parent(const char *path)
{
        char parent[512];
        snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
        storage_make_dirs(parent);
}

void upkeep_put_crash(const char *dir, const char *timestamp, const char *dump)
{
        static const struct timespec received[2] = { { .tv_sec = 1700000000 }, { .tv_sec = 1700000000 } };
        char path[512], sha256[BLOB_HEX_SIZE];
        _cleanup_(storage_metadata_free) struct crash_metadata *m = storage_metadata(INSTALL_A, timestamp);
        const struct index_crash crash = {
                .metadata = m,
                .received_at = { .sec = 1700000000 },
                .dump = { .sha256 = storage_hash(dump, sha256), .len = strlen(dump) },
        };
        make_parent(upkeep_blob(dir, dump, path));
        storage_put(path, dump);
        int fd = openat(storage_fd, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mirror_write(fd, &crash), 0);
        close(fd);
        assert_int_equal(utimensat(storage_fd, upkeep_mirror(dir, timestamp, dump, path), received, 0), 0);
}

void upkeep_put_log(const char *dir, const char *day, const char *text)
{
        char path[512];
        make_parent(upkeep_log(dir, day, "", path));
        storage_put(path, text);
}

void upkeep_pack_log(const char *dir, const char *day, const char *text)
{
        char path[512], packed[1024];
        size_t n = ZSTD_compress(packed, sizeof(packed), text, strlen(text), 3);
        assert_false(ZSTD_isError(n));
        make_parent(upkeep_log(dir, day, ".zst", path));
        int fd = openat(storage_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        assert_int_equal(write(fd, packed, n), n);
        close(fd);
}

void upkeep_expect_text(const char *path, const char *expected)
{
        _cleanup_(freep) char *text = storage_text(path);
        if (!expected) {
                assert_null(text);
                return;
        }
        if (!text)
                fail_msg("%s is not there", path);
        assert_string_equal(text, expected);
}

void upkeep_remove(const char *path)
{
        assert_int_equal(unlinkat(storage_fd, path, 0), 0);
}
