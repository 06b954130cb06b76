#include "planted_logs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/log_days/log_compress.h"
#include "storage/log_days/log_path.h"
#include "util/files/durable.h"

char *planted_text(int64_t sec, int severity, const char *body)
{
        char *text;
        int n = asprintf(&text,
                         "{\"time_unix_nano\":%" PRId64
                         "000000000,\"observed_time_unix_nano\":7,\"severity_number\":%d,"
                         "\"severity_text\":\"\",\"body\":\"%s\",\"attributes\":{}}\n",
                         sec, severity, body);
        assert_true(n > 0);
        return text;
}

void planted_append(const char *source, const char *day, const char *text)
{
        char path[512];
        snprintf(path, sizeof(path), "logs/%s", source);
        storage_make_dirs(path);
        snprintf(path, sizeof(path), "logs/%s/%s.ndjson", source, day);
        _cleanup_(closep) int fd = openat(storage_fd, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        assert_true(fd >= 0);
        assert_int_equal(durable_write_all(fd, text, strlen(text)), 0);
}

void planted_add(const char *source, const char *day, int64_t sec, int severity, const char *body)
{
        _cleanup_(freep) char *text = planted_text(sec, severity, body);
        planted_append(source, day, text);
}

static bool never(_unused_ void *userdata)
{
        return false;
}

void planted_compress(const char *source, const char *day, bool remove_plain)
{
        char path[512], found[CLOCK_DAY_SIZE];
        struct source who;
        bool compressed;
        struct log_compress_sizes sizes;
        snprintf(path, sizeof(path), "logs/%s/%s.ndjson", source, day);
        assert_true(log_path_parse(path, &who, found, &compressed));
        assert_int_equal(log_compress_day(storage_fd, &who, day, never, NULL, &sizes), 0);
        if (remove_plain)
                assert_int_equal(unlinkat(storage_fd, path, 0), 0);
}
