/* The rows first, then blob by blob. If retention deletes a blob meanwhile, the export fails with an error that
 * names the blob. It also fails if a blob's length differs from the index, because then it is not what was received. */
#include "storage/crashes/crash_export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/inflate.h"
#include "storage/blobs/blob.h"
#include "storage/index/index_list.h"
#include "storage/index/index_read.h"
#include "util/buf.h"
#include "util/files/regular.h"

#define PIECE_BYTES 65536
#define SHOWN_NAME_MAX 48 /* of a client's name for a file */

struct export
{
        int datadir_fd;
        int64_t id;
        const struct crash_export_options *options;
        const struct crash_export_sink *sink;
        struct error *err;
        struct moment mtime;
        int sink_failed; /* the sink's error while decoding; inflate_write() only reports INFLATE_STOPPED */
        uint64_t decoded;
};

static int put_text(struct export *e, const char *name, const char *text)
{
        char path[CRASH_EXPORT_NAME_MAX + 1];
        snprintf(path, sizeof(path), "crash-%lld/%s", (long long)e->id, name);
        int r = e->sink->begin(e->sink->userdata, path, strlen(text) + 1, e->mtime, e->err);
        if (r == 0)
                r = e->sink->data(e->sink->userdata, text, strlen(text), e->err);
        if (r == 0)
                r = e->sink->data(e->sink->userdata, "\n", 1, e->err);
        return r == 0 ? e->sink->end(e->sink->userdata, e->err) : r;
}

/* ---- a blob ---- */

static int open_blob(struct export *e, const struct index_blob_use *use, int *ret)
{
        char path[BLOB_PATH_SIZE];
        struct stat st;
        blob_path(use->sha256, path);
        _cleanup_(closep) int fd = -1;
        int r = regular_open(e->datadir_fd, path, &fd, &st);
        if (r < 0) {
                regular_say(e->datadir_fd, path, r, e->err);
                error_prefix(e->err, "cannot read %s", path);
                return r;
        }
        if ((uint64_t)st.st_size != use->len) {
                error_set(e->err, "%s is %lld bytes long, but the index says %llu", path, (long long)st.st_size,
                          (unsigned long long)use->len);
                return -EIO;
        }
        *ret = TAKE_FD(fd);
        return 0;
}

typedef int (*piece_cb)(struct export *e, struct inflate *decoder, const uint8_t *data, size_t len);

static int each_piece(struct export *e, int fd, struct inflate *decoder, piece_cb cb)
{
        uint8_t piece[PIECE_BYTES];
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        for (;;) {
                ssize_t n = read(fd, piece, sizeof(piece));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        error_set(e->err, "cannot read a blob: %s", strerror(errno));
                        return -errno;
                }
                if (n == 0)
                        return 0;
                int r = cb(e, decoder, piece, (size_t)n);
                if (r != 0)
                        return r;
        }
}

static int to_sink(void *userdata, const uint8_t *data, size_t len)
{
        struct export *e = userdata;
        e->sink_failed = e->sink->data(e->sink->userdata, data, len, e->err);
        return e->sink_failed;
}

static int count(void *userdata, const uint8_t *data _unused_, size_t len)
{
        struct export *e = userdata;
        e->decoded += len;
        return 0;
}

static int copy_piece(struct export *e, struct inflate *decoder _unused_, const uint8_t *data, size_t len)
{
        return e->sink->data(e->sink->userdata, data, len, e->err);
}

static int decode_piece(struct export *e, struct inflate *decoder, const uint8_t *data, size_t len)
{
        return inflate_write(decoder, data, len, to_sink, e);
}

static int count_piece(struct export *e, struct inflate *decoder, const uint8_t *data, size_t len)
{
        return inflate_write(decoder, data, len, count, e);
}

static int decode(struct export *e, int fd, enum encoding encoding, piece_cb cb)
{
        _cleanup_(inflate_freep) struct inflate *decoder = NULL;
        int r = inflate_new(encoding, e->options->max_decoded_bytes, &decoder);
        if (r == 0)
                r = each_piece(e, fd, decoder, cb);
        if (r == 0)
                r = inflate_end(decoder);
        return r;
}

/* Turns the decoder's positive codes into -errno and a message. */
static int say_why(struct export *e, const char *name, int r)
{
        if (r == INFLATE_STOPPED)
                return e->sink_failed;
        if (r == INFLATE_TOO_LARGE)
                error_set(e->err, "%s decodes to more than %llu bytes", name,
                          (unsigned long long)e->options->max_decoded_bytes);
        else if (r == INFLATE_CORRUPT)
                error_set(e->err,
                          "%s cannot be decompressed: the data does not match its Content-Encoding; export it without "
                          "--decode",
                          name);
        return r == INFLATE_TOO_LARGE ? -EFBIG : r == INFLATE_CORRUPT ? -EBADMSG : r;
}

static int put_blob(struct export *e, const struct index_blob_use *use, const char *name)
{
        const char *declared = use->content_encoding ? use->content_encoding : "";
        enum encoding encoding = encoding_from_name(declared, strlen(declared));
        bool packed = encoding == ENCODING_ZSTD || encoding == ENCODING_GZIP;
        bool decodes = packed && e->options->decode;
        char path[CRASH_EXPORT_NAME_MAX + 1];
        _cleanup_(closep) int fd = -1;
        snprintf(path, sizeof(path), "crash-%lld/%s%s", (long long)e->id, name,
                 !packed || decodes          ? ""
                 : encoding == ENCODING_ZSTD ? ".zst"
                                             : ".gz");
        int r = open_blob(e, use, &fd);
        e->decoded = use->len;
        if (r == 0 && decodes) {
                e->decoded = 0;
                r = decode(e, fd, encoding, count_piece);
        }
        if (r == 0)
                r = e->sink->begin(e->sink->userdata, path, e->decoded, e->mtime, e->err);
        if (r == 0)
                r = decodes ? decode(e, fd, encoding, decode_piece) : each_piece(e, fd, NULL, copy_piece);
        if (r != 0)
                return say_why(e, path, r);
        return e->sink->end(e->sink->userdata, e->err);
}

/* ---- a crash ---- */

/* Takes the last component of a client's file name, and replaces everything but letters, digits, ".", "_" and "-"
 * (and a leading dot) with "_". */
static void harmless(const char *name, char ret[SHOWN_NAME_MAX + 1])
{
        size_t n = 0;
        for (const char *p = name; *p; p++) {
                if (*p == '/' || *p == '\\')
                        name = p + 1;
        }
        for (; *name && n < SHOWN_NAME_MAX; name++) {
                bool fine = (*name >= '0' && *name <= '9') || (*name >= 'A' && *name <= 'Z') ||
                            (*name >= 'a' && *name <= 'z') || *name == '-' || *name == '_' || (*name == '.' && n > 0);
                ret[n++] = fine ? *name : '_';
        }
        ret[n] = '\0';
}

static int put_files(void *userdata, const struct index_crash *crash)
{
        struct export *e = userdata;
        char shown[SHOWN_NAME_MAX + 1], name[SHOWN_NAME_MAX + 40];
        e->mtime = crash->received_at;
        int r = put_text(e, "metadata.json", crash->metadata->json);
        if (r == 0)
                r = put_blob(e, &crash->dump, strcmp(crash->metadata->kind, "Minidump") == 0 ? "dump.dmp" : "dump.bin");
        for (size_t i = 0; r == 0 && i < crash->n_attachments; i++) {
                const struct index_blob_use *use = &crash->attachments[i];
                harmless(use->filename && *use->filename ? use->filename : use->key, shown);
                snprintf(name, sizeof(name), "attachments/%02zu-%s", i, shown);
                r = put_blob(e, use, name);
        }
        return r;
}

static int put_shown(void *userdata, const char *json)
{
        return put_text(userdata, "crash.json", json);
}

int crash_export(struct index *x, int datadir_fd, int64_t id, const struct crash_export_options *options,
                 const struct crash_export_sink *sink, struct error *err)
{
        err->text[0] = '\0';
        struct export e = { .datadir_fd = datadir_fd, .id = id, .options = options, .sink = sink, .err = err };
        int r = index_read_crash(x, id, put_files, &e); /* also says when it was received */
        if (r == 0)
                r = index_show_crash(x, id, put_shown, &e);
        if (r < 0 && !err->text[0])
                error_set(err, r == -ENOENT ? "there is no crash %lld" : "cannot read crash %lld", (long long)id);
        return r;
}
