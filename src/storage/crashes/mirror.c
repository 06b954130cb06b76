/* One JSON file a report, as the reference's serde_json::to_vec_pretty lays it out: written compact, the metadata as it
 * was normalised, then indented in one pass. The file's name holds the timestamp and the dump's hash, so the same
 * report sent again replaces its own file.
 *
 * Failure modes: -ENOMEM, or what the file system says; no half-written file is ever seen under the name. */
#include "storage/crashes/mirror.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/json/json_document.h"
#include "protocol/json/json_write.h"
#include "util/files/durable.h"
#include "util/text/hex.h"

static int directory_of(const struct source *source, char *ret, size_t size)
{
        return snprintf(ret, size, "crashes/by-source/%s/%s", source->project, source->install_id);
}

void mirror_path(const struct source *source, struct moment timestamp, const char *dump_sha256,
                 char ret[MIRROR_PATH_SIZE])
{
        char stamp[CLOCK_STAMP_SIZE];

        clock_format_stamp(timestamp, stamp);
        int n = directory_of(source, ret, MIRROR_PATH_SIZE);
        snprintf(ret + n, MIRROR_PATH_SIZE - (size_t)n, "/%s-%s.json", stamp, dump_sha256);
}

/* "YYYYMMDDTHHMMSS[.fff]Z" */
static bool parse_stamp(const char *stamp, size_t len, struct moment *ret)
{
        char text[CLOCK_RFC3339_SIZE];

        if (len < strlen("YYYYMMDDTHHMMSSZ") || len >= CLOCK_STAMP_SIZE)
                return false;
        int n = snprintf(text, sizeof(text), "%.4s-%.2s-%.5s:%.2s:%.*s", stamp, stamp + 4, stamp + 6, stamp + 11,
                         (int)len - 13, stamp + 13);
        return clock_parse_rfc3339(text, (size_t)n, ret) == 0;
}

/* One path component, up to the slash. NULL when there is none, else what follows the slash. */
static const char *parse_component(const char *text, char *ret, size_t size)
{
        const char *slash = strchr(text, '/');
        size_t n = slash ? (size_t)(slash - text) : 0;

        if (n == 0 || n >= size)
                return NULL;
        memcpy(ret, text, n);
        ret[n] = '\0';
        return slash + 1;
}

bool mirror_parse_path(const char *path, struct source *ret_source, struct moment *ret_timestamp,
                       char ret_dump_sha256[BLOB_HEX_SIZE])
{
        static const char top[] = "crashes/by-source/";
        struct source source = { 0 };

        if (strncmp(path, top, strlen(top)) != 0)
                return false;
        const char *name = parse_component(path + strlen(top), source.project, sizeof(source.project));
        name = name ? parse_component(name, source.install_id, sizeof(source.install_id)) : NULL;
        const char *dash = name ? strchr(name, '-') : NULL;
        if (!dash || strlen(dash) != 1 + 64 + strlen(".json") || strcmp(dash + 65, ".json") != 0 ||
            !hex_is_lower(dash + 1, 64) || !parse_stamp(name, (size_t)(dash - name), ret_timestamp))
                return false;
        *ret_source = source;
        snprintf(ret_dump_sha256, BLOB_HEX_SIZE, "%.64s", dash + 1);
        return true;
}

/* What a dump and an attachment have in common. */
static void write_pointer(struct json_write *w, const struct index_blob_use *use)
{
        char path[BLOB_PATH_SIZE];

        blob_path(use->sha256, path);
        json_write_string(w, "sha256", use->sha256);
        json_write_u64(w, "len", use->len);
        json_write_string(w, "path", path);
        json_write_bool(w, "dedup", use->dedup);
        if (use->content_encoding)
                json_write_string(w, "content_encoding", use->content_encoding);
}

static int render_compact(const struct index_crash *crash, struct buf *out)
{
        struct json_write w = json_write_to(out);
        json_write_object(&w, NULL);
        json_write_raw(&w, "metadata", crash->metadata->json, strlen(crash->metadata->json));
        json_write_object(&w, "dump");
        write_pointer(&w, &crash->dump);
        json_write_end(&w);
        json_write_array(&w, "attachments");
        for (size_t i = 0; i < crash->n_attachments; i++) {
                const struct index_blob_use *use = &crash->attachments[i];
                json_write_object(&w, NULL);
                json_write_string(&w, "key", use->key);
                json_write_string(&w, "content_type", use->content_type);
                write_pointer(&w, use);
                json_write_end(&w);
        }
        json_write_end(&w);
        json_write_end(&w);
        return json_write_finish(&w);
}

int mirror_render(const struct index_crash *crash, struct buf *out)
{
        _cleanup_(buf_done) struct buf compact = { 0 };
        assert(crash->metadata && crash->dump.sha256);
        int r = render_compact(crash, &compact);
        return r < 0 ? r : json_document_indent((const char *)compact.data, compact.len, out);
}

/* Nothing but the file's time says when a crash was received, should the index have to be made again from the files. A
 * time that cannot be set only makes the receipt look later. */
static void times_of(const struct index_crash *crash, struct timespec ret[2])
{
        ret[0] = (struct timespec){ .tv_nsec = UTIME_OMIT };
        ret[1] = (struct timespec){ .tv_sec = crash->received_at.sec, .tv_nsec = crash->received_at.nsec };
}

int mirror_draft(struct draft_dir *drafts, const struct index_crash *crash, struct draft *ret)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        struct draft f = { 0 };
        struct timespec times[2];

        int r = mirror_render(crash, &text);
        if (r < 0)
                return r;
        r = draft_open(drafts, &f);
        if (r < 0)
                return r;
        r = durable_write_all(f.fd, text.data, text.len);
        if (r < 0) {
                draft_done(&f);
                return r;
        }
        times_of(crash, times);
        (void)futimens(f.fd, times);
        *ret = f;
        return 0;
}

int mirror_link_as(struct draft *f, const char *path)
{
        int r = draft_link(f, path);
        if (r == -ENOENT) { /* the source's first */
                char directory[MIRROR_PATH_SIZE];
                snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(path, '/') - path), path);
                r = durable_mkdirs_later(f->dir->datadir_fd, directory);
                if (r == 0)
                        r = draft_link(f, path);
        }
        return r == -EEXIST ? draft_replace(f, path) : r;
}

int mirror_link(struct draft *f, const struct index_crash *crash)
{
        char path[MIRROR_PATH_SIZE];

        mirror_path(&crash->metadata->source, crash->metadata->timestamp, crash->dump.sha256, path);
        return mirror_link_as(f, path);
}

int mirror_write(int datadir_fd, const struct index_crash *crash)
{
        _cleanup_(buf_done) struct buf text = { 0 };
        char path[MIRROR_PATH_SIZE];
        struct timespec times[2];
        const struct crash_metadata *m = crash->metadata;

        int r = mirror_render(crash, &text);
        if (r < 0)
                return r;
        directory_of(&m->source, path, sizeof(path));
        r = durable_mkdirs(datadir_fd, path);
        if (r < 0)
                return r;
        mirror_path(&m->source, m->timestamp, crash->dump.sha256, path);
        r = durable_replace_file(datadir_fd, path, text.data, text.len, 0640);
        if (r == 0) {
                times_of(crash, times);
                (void)utimensat(datadir_fd, path, times, AT_SYMLINK_NOFOLLOW);
        }
        return r;
}
