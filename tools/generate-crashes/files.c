#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/crashes/mirror.h"
#include "util/files/durable.h"

/* Makes the file with its directories. -EEXIST: it is there. */
static int put_file(int datadir_fd, const char *path, const struct buf *content, const struct moment *mtime)
{
        char directory[MIRROR_PATH_SIZE];
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
        _cleanup_(closep) int fd = openat(datadir_fd, path, flags, 0640);

        if (fd < 0 && errno == ENOENT) {
                snprintf(directory, sizeof(directory), "%s", path);
                *strrchr(directory, '/') = '\0';
                int r = durable_mkdirs_later(datadir_fd, directory);
                if (r < 0)
                        return r;
                fd = openat(datadir_fd, path, flags, 0640);
        }
        if (fd < 0)
                return -errno;
        int r = durable_write_all(fd, content->data, content->len);
        if (r == 0 && mtime) {
                struct timespec at = { (time_t)mtime->sec, (long)mtime->nsec };
                r = futimens(fd, (struct timespec[]){ at, at }) == 0 ? 0 : -errno;
        }
        return r;
}

static int put_blob(int datadir_fd, const struct world *w, const struct report_file *f)
{
        _cleanup_(buf_done) struct buf content = { 0 };
        char path[BLOB_PATH_SIZE];

        blob_path(f->sha256, path);
        int r = report_content(w, f, &content);
        if (r == 0)
                r = put_file(datadir_fd, path, &content, NULL);
        return r == -EEXIST ? 0 : r;
}

int files_put_report(int datadir_fd, const struct world *w, const struct report *r)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        char path[MIRROR_PATH_SIZE];

        int e = put_blob(datadir_fd, w, &r->dump);
        for (size_t i = 0; e == 0 && i < r->crash.n_attachments; i++)
                e = put_blob(datadir_fd, w, &r->attachments[i]);
        if (e == 0)
                e = mirror_render(&r->crash, &text);
        mirror_path(&r->metadata.source, r->metadata.timestamp, r->dump.sha256, path);
        return e == 0 ? put_file(datadir_fd, path, &text, &r->crash.received_at) : e;
}

static int put_line(struct buf *out, const struct world_source *s, const char *version, int64_t ms, struct dice *d)
{
        static const struct {
                unsigned number;
                const char *text, *body;
        } kinds[] = {
                { 9, "INFO", "session opened" },     { 9, "INFO", "frame budget kept" }, { 5, "DEBUG", "cache hit" },
                { 9, "INFO", "session closed" },     { 9, "INFO", "settings written" },  { 5, "DEBUG", "cache miss" },
                { 13, "WARN", "slow disk, waited" }, { 17, "ERROR", "connection lost" },
        };
        size_t i = dice_below(d, ARRAY_LEN(kinds));
        return buf_printf(
                out,
                "{\"time_unix_nano\":%lld000000,\"observed_time_unix_nano\":%lld000000,\"severity_number\":%u,"
                "\"severity_text\":\"%s\",\"body\":\"%s\",\"attributes\":{\"took_ms\":%llu},"
                "\"dropped_attributes_count\":0,\"flags\":0,\"trace_id\":\"\",\"span_id\":\"\","
                "\"event_name\":\"\",\"platform\":\"%s\",\"version\":\"%s\"}\n",
                (long long)ms, (long long)ms, kinds[i].number, kinds[i].text, kinds[i].body,
                (unsigned long long)dice_below(d, 5000), s->platform, version);
}

int files_put_log(int datadir_fd, const struct world *w, const struct world_source *s, const char *version,
                  const char *day, int64_t day_ms, uint64_t lines, uint64_t *ret_bytes)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        struct dice d = dice_for(w, s->source.install_id, (uint64_t)day_ms);
        char path[MIRROR_PATH_SIZE];
        int r = 0;

        for (uint64_t i = 0; r == 0 && i < lines; i++)
                r = put_line(&text, s, version, day_ms + WORLD_DAY_MS * (int64_t)i / (int64_t)lines, &d);
        snprintf(path, sizeof(path), "logs/%s/%s/%s.ndjson", s->source.project, s->source.install_id, day);
        if (r == 0)
                r = put_file(datadir_fd, path, &text, NULL);
        *ret_bytes = text.len;
        return r;
}
