/* From bytes to a report: inflate, split into parts, and take the parts in the order that the protocol demands: one
 * `metadata`, one `dump`, then any `attach:<key>`. A dump is never held in memory. Its bytes go to an unlinked file as
 * they come, so an upload that ends early leaves nothing behind. */

#include "ingest/crash_upload.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocol/crash/multipart.h"

enum state {
        BEFORE_METADATA,
        IN_METADATA,
        BEFORE_DUMP, /* the metadata was admitted */
        IN_DUMP,
        AFTER_DUMP, /* an attachment may follow, or the end */
        IN_ATTACHMENT,
        OVER, /* it was refused, it failed, or the report was taken */
};

struct crash_upload {
        struct crash_upload_config config;
        struct inflate *inflate;
        struct multipart *multipart;
        struct crash_report *report;
        struct buf metadata;
        enum state state;
        size_t cap_attachments;
        uint64_t spent_bytes;   /* disk space that the parts have taken so far */
        struct refusal refusal; /* from an event of the parser of parts */
};

/* The moves that are allowed. Any state may move to OVER. */
static void move_to(struct crash_upload *u, enum state next)
{
        static const unsigned allowed[] = {
                [BEFORE_METADATA] = 1u << IN_METADATA, [IN_METADATA] = 1u << BEFORE_DUMP,
                [BEFORE_DUMP] = 1u << IN_DUMP,         [IN_DUMP] = 1u << AFTER_DUMP,
                [AFTER_DUMP] = 1u << IN_ATTACHMENT,    [IN_ATTACHMENT] = 1u << AFTER_DUMP,
        };
        assert(next == OVER ? u->state != OVER : allowed[u->state] & 1u << next);
        u->state = next;
}

static struct crash_file *current_file(struct crash_upload *u)
{
        assert(u->state == IN_DUMP || u->state == IN_ATTACHMENT);
        return u->state == IN_DUMP ? &u->report->dump : &u->report->attachments[u->report->n_attachments - 1];
}

static int copy_text(const char *text, char **ret)
{
        if (!text)
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int open_blob(struct crash_upload *u, const struct multipart_part *part)
{
        struct crash_file *f = current_file(u);
        int r = copy_text(part->content_encoding, &f->content_encoding);
        return r < 0 ? r : blob_writer_new(u->config.blobs, &f->blob);
}

/* The file name that the metadata declares for this key, else the one in the part's head. */
static const char *file_name(const struct crash_metadata *m, const char *key, const struct multipart_part *part)
{
        for (size_t i = 0; i < m->n_manifest; i++) {
                if (strcmp(m->manifest[i].key, key) == 0 && m->manifest[i].filename)
                        return m->manifest[i].filename;
        }
        return part->filename;
}

static int add_attachment(struct crash_upload *u, const char *key, const struct multipart_part *part)
{
        struct crash_report *report = u->report;
        if (report->n_attachments == u->cap_attachments) {
                size_t cap = u->cap_attachments ? u->cap_attachments * 2 : 4;
                struct crash_file *files = realloc(report->attachments, cap * sizeof(*files));
                if (!files)
                        return -ENOMEM;
                report->attachments = files;
                u->cap_attachments = cap;
        }
        struct crash_file *f = &report->attachments[report->n_attachments++];
        *f = (struct crash_file){ 0 };
        move_to(u, IN_ATTACHMENT);
        int r = copy_text(key, &f->key);
        if (r == 0)
                r = copy_text(file_name(report->metadata, key, part), &f->filename);
        if (r == 0)
                r = copy_text(part->content_type ? part->content_type : "application/octet-stream", &f->content_type);
        return r == 0 ? open_blob(u, part) : r;
}

static int begin_attachment(struct crash_upload *u, const struct multipart_part *part)
{
        const char *key = part->name + strlen("attach:");
        if (!*key)
                return refuse(&u->refusal, ANSWER_MALFORMED, "attachment part without a key");
        if (u->state == BEFORE_DUMP)
                return refuse(&u->refusal, ANSWER_MALFORMED, "part `%s` before `dump`", part->name);
        if (u->report->n_attachments >= u->config.config->limits.multipart_parts)
                return refuse(&u->refusal, ANSWER_TOO_LARGE, "more than %u attachments",
                              u->config.config->limits.multipart_parts);
        return add_attachment(u, key, part);
}

static int on_begin(void *userdata, const struct multipart_part *part)
{
        struct crash_upload *u = userdata;
        if (strcmp(part->name, "metadata") == 0) {
                if (u->state != BEFORE_METADATA)
                        return refuse(&u->refusal, ANSWER_MALFORMED, "metadata part must appear exactly once");
                move_to(u, IN_METADATA);
                return 0;
        }
        if (u->state == BEFORE_METADATA)
                return refuse(&u->refusal, ANSWER_MALFORMED, "first multipart part must be `metadata`");
        if (strcmp(part->name, "dump") == 0) {
                if (u->state != BEFORE_DUMP)
                        return refuse(&u->refusal, ANSWER_MALFORMED, "dump part must appear exactly once");
                move_to(u, IN_DUMP);
                return open_blob(u, part);
        }
        if (strncmp(part->name, "attach:", 7) == 0)
                return begin_attachment(u, part);
        return refuse(&u->refusal, ANSWER_MALFORMED, "unexpected part `%s`", part->name);
}

/* Bytes that the content length did not announce are promised as they come. */
static int write_blob(struct crash_upload *u, struct blob_writer *blob, const uint8_t *data, size_t len)
{
        uint64_t *promised = u->config.promised_bytes;
        int r = *promised < len ? space_promise(u->config.space, SPACE_UPLOADS, len - *promised, promised, &u->refusal)
                                : 0;
        if (r == 0)
                r = blob_writer_write(blob, data, len);
        if (r == 0) {
                space_spend(u->config.space, len, promised);
                u->spent_bytes += len;
        }
        return r;
}

static int on_data(void *userdata, const uint8_t *data, size_t len)
{
        struct crash_upload *u = userdata;
        if (u->state == IN_METADATA) {
                if (u->metadata.len + len > CRASH_METADATA_MAX_BYTES)
                        return refuse(&u->refusal, ANSWER_TOO_LARGE, "metadata exceeds maximum size of %d bytes",
                                      CRASH_METADATA_MAX_BYTES);
                return buf_append(&u->metadata, data, len);
        }
        struct blob_writer *blob = current_file(u)->blob;
        uint64_t max = u->config.config->crashes_max_part_bytes;
        if (blob_writer_len(blob) + len > max)
                return refuse(&u->refusal, ANSWER_TOO_LARGE, "payload exceeds maximum size of %llu bytes",
                              (unsigned long long)max);
        return write_blob(u, blob, data, len);
}

static int end_metadata(struct crash_upload *u)
{
        struct crash_metadata *metadata;
        int r = crash_metadata_parse(u->metadata.data, u->metadata.len, u->config.config->limits.multipart_parts,
                                     &metadata, &u->refusal);
        if (r != 0)
                return r;
        buf_done(&u->metadata);
        u->report->metadata = metadata;
        return u->config.admit(u->config.userdata, metadata, &u->refusal);
}

static int on_end(void *userdata)
{
        struct crash_upload *u = userdata;
        int r = u->state == IN_METADATA ? end_metadata(u) : blob_writer_finish(current_file(u)->blob);
        if (r == 0)
                move_to(u, u->state == IN_METADATA ? BEFORE_DUMP : AFTER_DUMP);
        return r;
}

static const struct multipart_events events = { .begin = on_begin, .data = on_data, .end = on_end };

int crash_upload_new(const struct crash_upload_config *config, const char *boundary, enum encoding encoding,
                     struct crash_upload **ret)
{
        const struct config *c = config->config;
        const struct multipart_limits limits = {
                .part_head_bytes = c->limits.multipart_head_bytes,
                .parts = c->limits.multipart_parts + 2, /* the attachments, metadata and dump */
        };
        _cleanup_(crash_upload_freep) struct crash_upload *u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        u->config = *config;
        u->report = calloc(1, sizeof(*u->report));
        if (!u->report)
                return -ENOMEM;
        int r = inflate_new(encoding, c->crashes_max_request_bytes, &u->inflate);
        if (r == 0)
                r = multipart_new(boundary, &limits, &events, u, &u->multipart);
        if (r == 0)
                *ret = TAKE_PTR(u);
        return r;
}

struct crash_upload *crash_upload_free(struct crash_upload *u)
{
        if (!u)
                return NULL;
        inflate_free(u->inflate);
        multipart_free(u->multipart);
        if (u->report) /* nobody took it, so its files are deleted */
                space_unspend(u->config.space, u->spent_bytes);
        crash_report_free(u->report);
        buf_done(&u->metadata);
        free(u);
        return NULL;
}

/* stopped: what the parser of parts returned, for INFLATE_STOPPED. */
static int explain(struct crash_upload *u, int r, int stopped, struct refusal *refusal)
{
        uint64_t max = u->config.config->crashes_max_request_bytes;
        switch (r) {
        case INFLATE_CORRUPT: return refuse(refusal, ANSWER_MALFORMED, "the body is not what content-encoding says");
        case INFLATE_TOO_LARGE:
                return refuse(refusal, ANSWER_TOO_LARGE, "request exceeds maximum size of %llu bytes",
                              (unsigned long long)max);
        case INFLATE_STOPPED: *refusal = u->refusal; return stopped;
        default: return r;
        }
}

struct decoding {
        struct crash_upload *upload;
        int stopped; /* what the parser of parts returned */
};

static int decode_piece(void *userdata, const uint8_t *data, size_t len)
{
        struct decoding *d = userdata;
        d->stopped = multipart_write(d->upload->multipart, data, len, &d->upload->refusal);
        return d->stopped;
}

int crash_upload_write(struct crash_upload *u, const uint8_t *data, size_t len, struct refusal *r)
{
        struct decoding d = { .upload = u };
        assert(u->state != OVER);
        int e = inflate_write(u->inflate, data, len, decode_piece, &d);
        if (e != 0)
                move_to(u, OVER);
        return explain(u, e, d.stopped, r);
}

static int check_whole(struct crash_upload *u, struct refusal *r)
{
        int e = explain(u, inflate_end(u->inflate), 0, r);
        if (e == 0)
                e = multipart_end(u->multipart, r);
        if (e != 0)
                return e;
        if (u->state == BEFORE_METADATA)
                return refuse(r, ANSWER_MALFORMED, "missing multipart part `metadata`");
        if (u->state == BEFORE_DUMP)
                return refuse(r, ANSWER_MALFORMED, "missing multipart part `dump`");
        assert(u->state == AFTER_DUMP);
        return 0;
}

int crash_upload_finish(struct crash_upload *u, struct crash_report **ret, struct refusal *r)
{
        assert(u->state != OVER);
        int e = check_whole(u, r);
        if (e == 0)
                *ret = TAKE_PTR(u->report);
        move_to(u, OVER);
        return e;
}
