/* Reads {"metadata":…,"dump":…,"attachments":[…]}. The metadata is checked like that of an upload; hashes and lengths
 * are checked here. The file name of an attachment is in the metadata's manifest, under its key. */
#include "storage/store/adopt_report.h"

#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/json/json_read.h"
#include "util/buf.h"
#include "util/files/regular.h"
#include "util/text/hex.h"

#define DEPTH_MAX 64 /* metadata may nest 32 deep */
#define MANIFEST_MAX 100000

struct adopt_report {
        struct json_object *document; /* owns the strings */
        struct crash_metadata *metadata;
        struct index_blob_use *attachments;
        struct index_crash crash;
};

struct adopt_report *adopt_report_free(struct adopt_report *report)
{
        if (!report)
                return NULL;
        free(report->attachments);
        crash_metadata_free(report->metadata);
        json_object_put(report->document);
        free(report);
        return NULL;
}

const struct index_crash *adopt_report_crash(const struct adopt_report *report)
{
        return &report->crash;
}

static int unreadable(struct error *err, const char *reason)
{
        error_set(err, "%s", reason);
        return ADOPT_REPORT_UNREADABLE;
}

static int read_file(int datadir_fd, const char *path, struct buf *out, struct moment *ret_mtime, struct error *err)
{
        struct stat st;
        _cleanup_(closep) int fd = -1;
        int r = regular_open(datadir_fd, path, &fd, &st);
        if (r == 0)
                r = buf_read_fd(out, fd, ADOPT_REPORT_MAX_BYTES);
        if (r < 0) {
                regular_say(datadir_fd, path, r, err);
                return r;
        }
        *ret_mtime = (struct moment){ .sec = st.st_mtim.tv_sec, .nsec = (uint32_t)st.st_mtim.tv_nsec };
        return 0;
}

static int parse_document(const struct buf *text, struct json_object **ret, struct error *err)
{
        _cleanup_(json_read_freep) struct json_object *document = NULL;
        int r = json_read_parse((const char *)text->data, text->len, DEPTH_MAX, &document);
        if (r != 0)
                return r < 0 ? r : unreadable(err, "not valid JSON");
        if (!json_object_is_type(document, json_type_object))
                return unreadable(err, "not a JSON object");
        *ret = TAKE_PTR(document);
        return 0;
}

static int take_metadata(struct adopt_report *report, struct error *err)
{
        struct json_object *metadata = json_read_member(report->document, "metadata");
        struct refusal refusal = { 0 };
        size_t len;
        if (!metadata)
                return unreadable(err, "metadata is missing");
        const char *text = json_object_to_json_string_length(
                metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        if (!text)
                return -ENOMEM;
        int r = crash_metadata_parse((const uint8_t *)text, len, MANIFEST_MAX, &report->metadata, &refusal);
        return r > 0 ? unreadable(err, refusal.message) : r;
}

/* What a dump and an attachment have in common. */
static int take_blob_use(struct json_object *object, struct index_blob_use *ret, struct error *err)
{
        struct json_object *len = json_read_member(object, "len");
        const char *sha256 = json_read_string(object, "sha256");
        if (!sha256 || strlen(sha256) != 64 || !hex_is_lower(sha256, 64))
                return unreadable(err, "sha256 is missing or not 64 lower-case hex digits");
        if (!json_object_is_type(len, json_type_int) || json_object_get_int64(len) < 0)
                return unreadable(err, "len is missing or not a number");
        *ret = (struct index_blob_use){
                .sha256 = sha256,
                .len = json_object_get_uint64(len),
                .content_encoding = json_read_string(object, "content_encoding"),
                .dedup = json_read_bool(object, "dedup"),
        };
        return 0;
}

static const char *declared_filename(const struct crash_metadata *m, const char *key)
{
        for (size_t i = 0; i < m->n_manifest; i++) {
                if (strcmp(m->manifest[i].key, key) == 0)
                        return m->manifest[i].filename;
        }
        return NULL;
}

static int take_attachment(struct adopt_report *report, struct json_object *object, struct error *err)
{
        struct index_blob_use *use = &report->attachments[report->crash.n_attachments];
        int r = take_blob_use(object, use, err);
        if (r != 0)
                return r;
        use->key = json_read_string(object, "key");
        use->content_type = json_read_string(object, "content_type");
        if (!use->key || !use->content_type)
                return unreadable(err, "an attachment has no key or content_type");
        use->filename = declared_filename(report->metadata, use->key);
        report->crash.n_attachments++;
        return 0;
}

static int take_attachments(struct adopt_report *report, struct error *err)
{
        struct json_object *array = json_read_member(report->document, "attachments");
        if (!json_read_has(report->document, "attachments"))
                return 0;
        if (!json_object_is_type(array, json_type_array))
                return unreadable(err, "attachments is not an array");
        size_t n = json_read_count(array);
        report->attachments = calloc(n + 1, sizeof(*report->attachments));
        if (!report->attachments)
                return -ENOMEM;
        report->crash.attachments = report->attachments;
        int r = 0;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = take_attachment(report, json_read_item(array, i), err);
        return r;
}

static int take_dump(struct adopt_report *report, struct error *err)
{
        struct json_object *dump = json_read_member(report->document, "dump");
        if (!dump)
                return unreadable(err, "dump is missing");
        return take_blob_use(dump, &report->crash.dump, err);
}

static int read_report(int datadir_fd, const char *path, struct adopt_report *report, struct error *err)
{
        static int (*const take[])(struct adopt_report *, struct error *) = { take_metadata, take_dump,
                                                                              take_attachments };
        _cleanup_(buf_done) struct buf text = { 0 };
        int r = read_file(datadir_fd, path, &text, &report->crash.received_at, err);
        if (r < 0)
                return r;
        r = parse_document(&text, &report->document, err);
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(take); i++)
                r = take[i](report, err);
        report->crash.metadata = report->metadata;
        return r;
}

int adopt_report_read(int datadir_fd, const char *path, struct adopt_report **ret, struct error *err)
{
        _cleanup_(adopt_report_freep) struct adopt_report *report = calloc(1, sizeof(*report));
        if (!report)
                return -ENOMEM;
        int r = read_report(datadir_fd, path, report, err);
        if (r == 0)
                *ret = TAKE_PTR(report);
        return r;
}
